//! The functions on tensors.

use crate::errors::{call, to_python};
use crate::tensor::PyTensor;
use oxiconv::compose::{Operand, Scalar, binary_named, unary_named};
use oxiconv::ir::{DType, Error, Op, Precision, Result};
use oxiconv::{Value, ops};
use pyo3::exceptions::PyOverflowError;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyFloat, PyInt};

type Given<'a, 'py> = &'a Bound<'py, PyTensor>;

/// A sequence of sizes, axes or positions.
pub(crate) struct Sizes(pub(crate) Vec<usize>);

impl<'py> FromPyObject<'_, 'py> for Sizes {
    type Error = PyErr;

    fn extract(object: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        object.extract().map(Self).map_err(|e| {
            if !e.is_instance_of::<PyOverflowError>(object.py()) {
                return e;
            }
            let given = object.repr().map_or_else(|_| "others".into(), |r| r.to_string());
            to_python(object.py(), &Error::shape("sizes", "whole numbers from 0", given))
        })
    }
}

/// The names of all element types, for messages.
pub(crate) fn expected() -> String {
    format!("one of {}", DType::ALL.map(DType::name).join(", "))
}

/// The element type with this name.
pub(crate) fn dtype_named(op: &str, name: &str) -> Result<DType> {
    DType::parse(name).ok_or_else(|| Error::dtype(op, expected(), format!("{name:?}")))
}

fn operand(op: &str, object: &Bound<'_, PyAny>) -> PyResult<Operand<Value>> {
    let scalar = if let Ok(tensor) = object.cast::<PyTensor>() {
        return Ok(Operand::Value(tensor.get().0.clone()));
    } else if let Ok(b) = object.cast::<PyBool>() {
        Scalar::Bool(b.is_true())
    } else if object.is_instance_of::<PyInt>() {
        Scalar::Int(object.extract()?)
    } else if object.is_instance_of::<PyFloat>() {
        Scalar::Float(object.extract()?)
    } else if object.getattr("ndim").and_then(|n| n.extract()).is_ok_and(|n: usize| n == 0) {
        // NumPy's scalars.
        return operand(op, &object.call_method0("item")?);
    } else {
        let given = object.get_type().name()?.to_string();
        return Err(to_python(object.py(), &Error::dtype(op, "a Tensor or a number", given)));
    };
    Ok(Operand::Scalar(scalar))
}

fn run(py: Python<'_>, f: impl FnOnce() -> Result<Value> + Send) -> PyResult<PyTensor> {
    call(py, f).map(PyTensor)
}

fn apply(py: Python<'_>, op: Op, args: &[Given<'_, '_>]) -> PyResult<PyTensor> {
    let args: Vec<&Value> = args.iter().map(|a| &a.get().0).collect();
    run(py, || ops::apply(op, &args))
}

/// neg abs sign floor ceil round sqrt rsqrt exp expm1 log log1p sin cos tan tanh sigmoid erf not isnan
#[pyfunction]
#[pyo3(signature = (name, x, /))]
pub(crate) fn unary(py: Python<'_>, name: &str, x: Given<'_, '_>) -> PyResult<PyTensor> {
    let x = x.get();
    run(py, || ops::unary(unary_named(name)?, &x.0))
}

/// add sub mul div floordiv pow min max mod atan2 eq ne lt le gt ge and or
#[pyfunction]
#[pyo3(signature = (name, a, b, /))]
pub(crate) fn binary(py: Python<'_>, name: &str, a: &Bound<'_, PyAny>, b: &Bound<'_, PyAny>) -> PyResult<PyTensor> {
    let (a, b) = (operand(name, a)?, operand(name, b)?);
    run(py, || ops::binary(binary_named(name)?, &a, &b))
}

/// `a` where the condition is non-zero, else `b`.
#[pyfunction]
#[pyo3(signature = (condition, a, b, /))]
pub(crate) fn select(
    py: Python<'_>,
    condition: Given<'_, '_>,
    a: &Bound<'_, PyAny>,
    b: &Bound<'_, PyAny>,
) -> PyResult<PyTensor> {
    let condition = condition.get();
    let (a, b) = (operand("select", a)?, operand("select", b)?);
    run(py, || ops::select(&condition.0, &a, &b))
}

/// The values in another element type: floats truncate toward zero and saturate, and any non-zero value is true.
#[pyfunction]
#[pyo3(signature = (x, dtype, /))]
pub(crate) fn cast(py: Python<'_>, x: Given<'_, '_>, dtype: &str) -> PyResult<PyTensor> {
    let x = x.get();
    run(py, || ops::cast(&x.0, dtype_named("cast", dtype)?))
}

/// The same values with gradient zero.
#[pyfunction]
#[pyo3(signature = (x, /))]
pub(crate) fn detach(py: Python<'_>, x: Given<'_, '_>) -> PyResult<PyTensor> {
    apply(py, Op::Detach, &[x])
}

/// `[.., m, k] @ [.., k, n]`, equal leading axes.
#[pyfunction]
#[pyo3(signature = (a, b, /))]
pub(crate) fn matmul(py: Python<'_>, a: Given<'_, '_>, b: Given<'_, '_>) -> PyResult<PyTensor> {
    let (a, b) = (a.get(), b.get());
    run(py, || ops::matmul(&a.0, &b.0))
}

fn precision(exact: bool) -> Precision {
    if exact { Precision::Exact } else { Precision::Fast }
}

/// `[n, in.., cin]`, `[kernel.., cin // groups, cout]` to `[n, out.., cout]`; one to three spatial axes. `exact` sums the
/// products as they are, without transforms.
#[pyfunction]
#[pyo3(signature = (x, kernel, /, strides, dilation, low, high, groups, exact=false))]
pub(crate) fn conv(
    py: Python<'_>,
    x: Given<'_, '_>,
    kernel: Given<'_, '_>,
    strides: Sizes,
    dilation: Sizes,
    low: Sizes,
    high: Sizes,
    groups: usize,
    exact: bool,
) -> PyResult<PyTensor> {
    let (x, kernel) = (x.get(), kernel.get());
    run(py, || ops::conv(&x.0, &kernel.0, &strides.0, &dilation.0, &low.0, &high.0, groups, precision(exact)))
}

/// The input gradient of the `conv` whose spatial input sizes are `output`: `[n, in.., cout]`,
/// `[kernel.., cin // groups, cout]` to `[n, output.., cin]`.
#[pyfunction]
#[pyo3(signature = (y, kernel, /, output, strides, dilation, low, high, groups, exact=false))]
pub(crate) fn conv_transpose(
    py: Python<'_>,
    y: Given<'_, '_>,
    kernel: Given<'_, '_>,
    output: Sizes,
    strides: Sizes,
    dilation: Sizes,
    low: Sizes,
    high: Sizes,
    groups: usize,
    exact: bool,
) -> PyResult<PyTensor> {
    let (y, kernel) = (y.get(), kernel.get());
    let precision = precision(exact);
    run(py, || {
        ops::conv_transpose(&y.0, &kernel.0, &output.0, &strides.0, &dilation.0, &low.0, &high.0, groups, precision)
    })
}

/// Sum over axes, which vanish; bool and uint8 are counted in int32.
#[pyfunction]
#[pyo3(signature = (x, axes, /))]
pub(crate) fn sum(py: Python<'_>, x: Given<'_, '_>, axes: Sizes) -> PyResult<PyTensor> {
    let x = x.get();
    run(py, || ops::sum(&x.0, &axes.0))
}

/// Maximum over axes, which vanish. NaN wins.
#[pyfunction]
#[pyo3(signature = (x, axes, /))]
pub(crate) fn max(py: Python<'_>, x: Given<'_, '_>, axes: Sizes) -> PyResult<PyTensor> {
    let x = x.get();
    run(py, || ops::max(&x.0, &axes.0))
}

/// Positions (int32) along the last axis in ascending order; equal elements in their own order, NaNs last.
#[pyfunction]
#[pyo3(signature = (x, /))]
pub(crate) fn argsort(py: Python<'_>, x: Given<'_, '_>) -> PyResult<PyTensor> {
    apply(py, Op::ArgSort, &[x])
}

/// NumPy's `broadcast_to`.
#[pyfunction]
#[pyo3(signature = (x, dims, /))]
pub(crate) fn broadcast_to(py: Python<'_>, x: Given<'_, '_>, dims: Sizes) -> PyResult<PyTensor> {
    let x = x.get();
    run(py, || ops::broadcast_to(&x.0, &dims.0))
}

/// The same elements in other sizes.
#[pyfunction]
#[pyo3(signature = (x, dims, /))]
pub(crate) fn reshape(py: Python<'_>, x: Given<'_, '_>, dims: Sizes) -> PyResult<PyTensor> {
    apply(py, Op::Reshape(dims.0), &[x])
}

/// Axis `i` of the result is axis `axes[i]` of `x`.
#[pyfunction]
#[pyo3(signature = (x, axes, /))]
pub(crate) fn permute(py: Python<'_>, x: Given<'_, '_>, axes: Sizes) -> PyResult<PyTensor> {
    apply(py, Op::Permute(axes.0), &[x])
}

/// Elements `start, start + step, ..` below `stop` of each axis; steps are at least 1.
#[pyfunction]
#[pyo3(signature = (x, start, stop, step, /))]
pub(crate) fn slice(py: Python<'_>, x: Given<'_, '_>, start: Sizes, stop: Sizes, step: Sizes) -> PyResult<PyTensor> {
    apply(py, Op::Slice { start: start.0, stop: stop.0, step: step.0 }, &[x])
}

/// Zeros before, after, and between the elements of each axis.
#[pyfunction]
#[pyo3(signature = (x, low, high, interior, /))]
pub(crate) fn pad(py: Python<'_>, x: Given<'_, '_>, low: Sizes, high: Sizes, interior: Sizes) -> PyResult<PyTensor> {
    apply(py, Op::Pad { low: low.0, high: high.0, interior: interior.0 }, &[x])
}

/// Tensors one after another along an axis.
#[pyfunction]
#[pyo3(signature = (xs, axis, /))]
pub(crate) fn concat(py: Python<'_>, xs: Vec<Bound<'_, PyTensor>>, axis: usize) -> PyResult<PyTensor> {
    let parts: Vec<&Value> = xs.iter().map(|x| &x.get().0).collect();
    run(py, || ops::concat(&parts, axis))
}

/// Slices of `x` along `axis` at the int32 indices: `[a.., axis, b..]`, `[i..]` to `[a.., i.., b..]`.
#[pyfunction]
#[pyo3(signature = (x, index, axis, /))]
pub(crate) fn gather(py: Python<'_>, x: Given<'_, '_>, index: Given<'_, '_>, axis: usize) -> PyResult<PyTensor> {
    apply(py, Op::Gather { axis }, &[x, index])
}

/// Slices of `x` added at the indices into zeros of `size` along `axis`: the transpose of `gather`.
#[pyfunction]
#[pyo3(signature = (x, index, axis, size, /))]
pub(crate) fn scatter_add(
    py: Python<'_>,
    x: Given<'_, '_>,
    index: Given<'_, '_>,
    axis: usize,
    size: usize,
) -> PyResult<PyTensor> {
    apply(py, Op::ScatterAdd { axis, size }, &[x, index])
}

/// Slices of each entry of axis 0 along `axis` at its own indices: `[n, a.., axis, b..]`, `[n, i..]` to
/// `[n, a.., i.., b..]`.
#[pyfunction]
#[pyo3(signature = (x, index, axis, /))]
pub(crate) fn gather_each(py: Python<'_>, x: Given<'_, '_>, index: Given<'_, '_>, axis: usize) -> PyResult<PyTensor> {
    apply(py, Op::GatherEach { axis }, &[x, index])
}

/// Slices of each entry of axis 0 added at its own indices: the transpose of `gather_each`.
#[pyfunction]
#[pyo3(signature = (x, index, axis, size, /))]
pub(crate) fn scatter_each(
    py: Python<'_>,
    x: Given<'_, '_>,
    index: Given<'_, '_>,
    axis: usize,
    size: usize,
) -> PyResult<PyTensor> {
    apply(py, Op::ScatterEach { axis, size }, &[x, index])
}

/// Counter-based random float32: uniform on [0, 1), or standard normal. `state` is int32[2] = (seed, counter).
#[pyfunction]
#[pyo3(signature = (state, dims, distribution, /))]
pub(crate) fn random(py: Python<'_>, state: Given<'_, '_>, dims: Sizes, distribution: &str) -> PyResult<PyTensor> {
    let state = state.get();
    run(py, || ops::random(&state.0, &dims.0, distribution))
}
