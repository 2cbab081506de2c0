//! The classes `Tensor` and `Cell`.

use crate::array::{Array, view};
use crate::errors::{call, to_python};
use oxiconv::ir::Error;
use oxiconv::{Cell, Tensor, Value};
use pyo3::exceptions::{PyBufferError, PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};

/// Immutable n-d array: concrete, or a value of a `Graph` being traced. Row-major, channels last.
/// It takes attributes from Python: Keras hangs a mask on a tensor.
#[pyclass(frozen, dict, name = "Tensor", module = "oxiconv._core")]
#[derive(Clone)]
pub(crate) struct PyTensor(pub(crate) Value);

#[pymethods]
impl PyTensor {
    #[getter]
    fn shape<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        PyTuple::new(py, &self.0.ty().dims)
    }

    #[getter]
    fn dtype(&self) -> &'static str {
        self.0.ty().dtype.name()
    }

    #[getter]
    fn ndim(&self) -> usize {
        self.0.ty().rank()
    }

    #[getter]
    fn size(&self) -> usize {
        self.0.ty().len()
    }

    /// Whether this is a value of a graph, without data.
    #[getter]
    fn traced(&self) -> bool {
        matches!(self.0, Value::Traced(_))
    }

    /// Read-only view of the data, without a copy. GraphError if traced.
    fn numpy<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        view(py, self.data(py, "numpy")?)
    }

    #[pyo3(signature = (dtype=None, copy=None))]
    fn __array__<'py>(
        &self,
        py: Python<'py>,
        dtype: Option<Bound<'py, PyAny>>,
        copy: Option<bool>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let array = self.numpy(py)?;
        let converted = match dtype {
            Some(dtype) => {
                let options = PyDict::new(py);
                options.set_item("copy", false)?;
                array.call_method("astype", (dtype,), Some(&options))?
            }
            None => array.clone(),
        };
        match copy {
            Some(false) if !converted.is(&array) => {
                Err(PyValueError::new_err(format!("array: a copy is needed to convert from {}", self.dtype())))
            }
            Some(true) if converted.is(&array) => array.call_method0("copy"),
            _ => Ok(converted),
        }
    }

    /// DLPack capsule of the data: flagged read-only for consumers that know the flag (`max_version` from 1.0 on), and
    /// for others of a copy, since they may write.
    #[pyo3(signature = (**kwargs))]
    fn __dlpack__<'py>(&self, py: Python<'py>, kwargs: Option<&Bound<'py, PyDict>>) -> PyResult<Bound<'py, PyAny>> {
        let array = self.numpy(py)?;
        let refused = match array.call_method("__dlpack__", (), kwargs) {
            // BufferError: the consumer cannot know that the array is read-only. TypeError: NumPy before 2.1 has no
            // keywords beside `stream`.
            Err(e) if e.is_instance_of::<PyBufferError>(py) || e.is_instance_of::<PyTypeError>(py) => e,
            done => return done,
        };
        let copy = kwargs.and_then(|k| k.get_item("copy").transpose()).transpose()?;
        if copy.is_some_and(|c| c.is_truthy().is_ok_and(|c| !c) && !c.is_none()) {
            return Err(refused);
        }
        array.call_method0("copy")?.call_method0("__dlpack__")
    }

    fn __dlpack_device__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.numpy(py)?.call_method0("__dlpack_device__")
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        let shape = self.shape(py)?.repr()?;
        let kind = if self.traced() { "traced" } else { "concrete" };
        Ok(format!("<Tensor shape={shape} dtype={} {kind}>", self.dtype()))
    }
}

impl PyTensor {
    fn data(&self, py: Python<'_>, op: &str) -> PyResult<&Tensor> {
        self.0.tensor(op).map_err(|e| to_python(py, &e))
    }
}

impl From<Tensor> for PyTensor {
    fn from(tensor: Tensor) -> Self {
        Self(tensor.into())
    }
}

/// Tensor of an array of one of the four dtypes. `copy=False` shares the memory of a C-contiguous, aligned array.
#[pyfunction]
#[pyo3(signature = (array, copy=true))]
pub(crate) fn tensor(py: Python<'_>, array: &Bound<'_, PyAny>, copy: bool) -> PyResult<PyTensor> {
    let array = Array::new("tensor", array)?;
    if !copy && let Some(shared) = array.share() {
        return Ok(shared.into());
    }
    let (ty, bytes) = (array.ty().clone(), array.bytes()?);
    call(py, || Tensor::from_bytes(ty, bytes)).map(Into::into)
}

/// The mutable storage of a variable. `get` returns an immutable tensor that later `set`s and steps do not change.
#[pyclass(frozen, name = "Cell", module = "oxiconv._core")]
#[derive(Clone)]
pub(crate) struct PyCell(pub(crate) Cell);

#[pymethods]
impl PyCell {
    #[new]
    fn new(py: Python<'_>, value: &Bound<'_, PyTensor>) -> PyResult<Self> {
        Ok(Self(Cell::new(value.get().data(py, "cell")?.clone())))
    }

    fn get(&self, py: Python<'_>) -> PyResult<PyTensor> {
        call(py, || self.0.get()).map(Into::into)
    }

    fn set(&self, py: Python<'_>, value: &Bound<'_, PyTensor>) -> PyResult<()> {
        let value = value.get();
        call(py, || match &value.0 {
            Value::Tensor(tensor) => self.0.set(tensor.clone()),
            Value::Traced(_) => {
                Err(Error::Graph("cell: a traced value is stored by `Graph.compile(.., updates)`".into()))
            }
        })
    }
}
