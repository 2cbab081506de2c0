//! NumPy arrays in and out.

use crate::errors::to_python;
use crate::ops::expected;
use bytemuck::cast_slice;
use numpy::{Element, PyArrayDescrMethods, PyArrayDyn, PyArrayMethods, PyReadonlyArrayDyn, PyUntypedArray};
use numpy::{PyUntypedArrayMethods, dtype};
use oxiconv::ir::{DType, Emit, Error, Op, Type};
use oxiconv::{Eager, Tensor};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyDict, PyTuple};

/// A C-contiguous, aligned array of an element type that NumPy has (all but bfloat16), kept from being written by Rust code.
pub(crate) struct Array<'py> {
    ty: Type,
    data: Data<'py>,
}

enum Data<'py> {
    F32(PyReadonlyArrayDyn<'py, f32>),
    /// Halves, as their bits.
    U16(PyReadonlyArrayDyn<'py, u16>),
    I64(PyReadonlyArrayDyn<'py, i64>),
    I32(PyReadonlyArrayDyn<'py, i32>),
    I8(PyReadonlyArrayDyn<'py, i8>),
    /// Bytes and truth values, which need not be 0 or 1 in an array.
    U8(PyReadonlyArrayDyn<'py, u8>),
}

impl<'py> Array<'py> {
    /// The array that an object is, or a copy if it is laid out otherwise. `op` is who asks.
    pub(crate) fn new(op: &str, object: &Bound<'py, PyAny>) -> PyResult<Self> {
        let py = object.py();
        let array = untyped(op, object)?;
        let dtype = dtype_of(op, array)?;
        let ty = Type::new(dtype, array.shape());
        let array = if array.is_c_contiguous() && is_aligned(array, dtype)? {
            object.clone()
        } else {
            py.import("numpy")?.call_method1("require", (object, py.None(), ["C", "A"]))?
        };
        let data = match dtype {
            DType::F32 => Data::F32(array.cast::<PyArrayDyn<f32>>()?.try_readonly()?),
            DType::F16 | DType::Bf16 => Data::U16(bits_view::<u16>(&array)?.try_readonly()?),
            DType::I64 => Data::I64(array.cast::<PyArrayDyn<i64>>()?.try_readonly()?),
            DType::I32 => Data::I32(array.cast::<PyArrayDyn<i32>>()?.try_readonly()?),
            DType::I8 => Data::I8(array.cast::<PyArrayDyn<i8>>()?.try_readonly()?),
            DType::U8 => Data::U8(array.cast::<PyArrayDyn<u8>>()?.try_readonly()?),
            DType::Bool => Data::U8(bits_view::<u8>(&array)?.try_readonly()?),
        };
        Ok(Self { ty, data })
    }

    pub(crate) fn ty(&self) -> &Type {
        &self.ty
    }

    pub(crate) fn bytes(&self) -> PyResult<&[u8]> {
        Ok(match &self.data {
            Data::F32(a) => cast_slice(a.as_slice()?),
            Data::U16(a) => cast_slice(a.as_slice()?),
            Data::I64(a) => cast_slice(a.as_slice()?),
            Data::I32(a) => cast_slice(a.as_slice()?),
            Data::I8(a) => cast_slice(a.as_slice()?),
            Data::U8(a) => a.as_slice()?,
        })
    }

    /// A tensor over the array's memory.
    pub(crate) fn share(&self) -> Option<Tensor> {
        match &self.data {
            Data::F32(a) => oxiconv::numpy::share(a, self.ty.dtype),
            Data::U16(a) => oxiconv::numpy::share(a, self.ty.dtype),
            Data::I64(a) => oxiconv::numpy::share(a, self.ty.dtype),
            Data::I32(a) => oxiconv::numpy::share(a, self.ty.dtype),
            Data::I8(a) => oxiconv::numpy::share(a, self.ty.dtype),
            Data::U8(a) => oxiconv::numpy::share(a, self.ty.dtype),
        }
    }
}

fn untyped<'a, 'py>(op: &str, object: &'a Bound<'py, PyAny>) -> PyResult<&'a Bound<'py, PyUntypedArray>> {
    object.cast::<PyUntypedArray>().map_err(|_| {
        let given = object.get_type().name().map_or_else(|_| "something else".into(), |name| name.to_string());
        to_python(object.py(), &Error::dtype(op, "a NumPy array or a Tensor", given))
    })
}

fn dtype_of(op: &str, array: &Bound<'_, PyUntypedArray>) -> PyResult<DType> {
    let (py, given) = (array.py(), array.dtype());
    let found = match (given.kind(), given.itemsize()) {
        _ if given.is_native_byteorder() == Some(false) => None,
        (b'f', 4) => Some(DType::F32),
        (b'f', 2) => Some(DType::F16),
        (b'i', 8) => Some(DType::I64),
        (b'i', 4) => Some(DType::I32),
        (b'i', 1) => Some(DType::I8),
        (b'u', 1) => Some(DType::U8),
        (b'b', 1) => Some(DType::Bool),
        _ => None,
    };
    found.ok_or_else(|| to_python(py, &Error::dtype(op, expected(), given.to_string())))
}

fn is_aligned(array: &Bound<'_, PyUntypedArray>, dtype: DType) -> PyResult<bool> {
    // Bytes are always aligned; for the rest ask NumPy.
    Ok(dtype.size() == 1 || array.getattr("flags")?.getattr("aligned")?.is_truthy()?)
}

fn bits_view<'py, T: Element>(array: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyArrayDyn<T>>> {
    Ok(array.call_method1("view", (dtype::<T>(array.py()),))?.cast_into::<PyArrayDyn<T>>()?)
}

/// NumPy's kind and size of an element.
fn typestr(dtype: DType) -> &'static str {
    match dtype {
        DType::F32 => "f4",
        DType::F16 => "f2",
        // NumPy has no name for it: see `view`.
        DType::Bf16 => "V2",
        DType::I64 => "i8",
        DType::I32 => "i4",
        DType::I8 => "i1",
        DType::U8 => "u1",
        DType::Bool => "b1",
    }
}

/// What NumPy keeps alive behind an array over a tensor's memory.
#[pyclass(frozen, module = "oxiconv._core")]
struct Memory(Tensor);

#[pymethods]
impl Memory {
    /// NumPy's array interface, version 3: a read-only C-contiguous array.
    #[getter]
    fn __array_interface__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let kind = typestr(self.0.ty().dtype);
        let order = match self.0.ty().dtype.size() {
            1 => '|',
            _ if cfg!(target_endian = "little") => '<',
            _ => '>',
        };
        let interface = PyDict::new(py);
        interface.set_item("version", 3)?;
        interface.set_item("shape", PyTuple::new(py, &self.0.ty().dims)?)?;
        interface.set_item("typestr", format!("{order}{kind}"))?;
        interface.set_item("data", (self.0.bytes().as_ptr().addr(), true))?;
        Ok(interface)
    }
}

/// An array of a tensor's values with memory of its own.
pub(crate) fn copy<'py>(py: Python<'py>, tensor: &Tensor) -> PyResult<Bound<'py, PyAny>> {
    fn filled<'py, T: Element + bytemuck::Pod>(py: Python<'py>, tensor: &Tensor) -> PyResult<Bound<'py, PyAny>> {
        let array = PyArrayDyn::<T>::zeros(py, &tensor.ty().dims[..], false);
        array.try_readwrite()?.as_slice_mut()?.copy_from_slice(cast_slice(tensor.bytes()));
        Ok(array.into_any())
    }
    match tensor.ty().dtype {
        DType::F32 => filled::<f32>(py, tensor),
        DType::I64 => filled::<i64>(py, tensor),
        DType::I32 => filled::<i32>(py, tensor),
        DType::I8 => filled::<i8>(py, tensor),
        DType::U8 => filled::<u8>(py, tensor),
        DType::F16 | DType::Bf16 | DType::Bool => view(py, tensor)?.call_method0("copy"),
    }
}

/// A read-only array over the memory of a tensor, which it keeps alive; of bfloat16, which NumPy does not have, over the
/// same values in float32.
pub(crate) fn view<'py>(py: Python<'py>, tensor: &Tensor) -> PyResult<Bound<'py, PyAny>> {
    static ASARRAY: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let shown = match tensor.ty().dtype {
        DType::Bf16 => Eager.emit(Op::Cast(DType::F32), std::slice::from_ref(tensor)).map_err(|e| to_python(py, &e))?,
        _ => tensor.clone(),
    };
    ASARRAY.import(py, "numpy", "asarray")?.call1((Memory(shown),))
}
