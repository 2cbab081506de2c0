//! Pooling over `[n, in.., c]`; padding counts as absent.

use crate::errors::call;
use crate::ops::Sizes;
use crate::tensor::PyTensor;
use oxiconv::ir::{Op, Window};
use oxiconv::{Value, ops};
use pyo3::prelude::*;

type Given<'a, 'py> = &'a Bound<'py, PyTensor>;

/// Applies an op on the windows over the spatial axes of the first argument.
fn over(
    py: Python<'_>,
    name: &str,
    op: impl FnOnce(Window) -> Op + Send,
    args: &[Given<'_, '_>],
    [size, stride, low, high]: [Sizes; 4],
) -> PyResult<PyTensor> {
    let args: Vec<&Value> = args.iter().map(|a| &a.get().0).collect();
    let run = || ops::apply(op(ops::window_of(name, args[0], &size.0, &stride.0, &low.0, &high.0)?), &args);
    call(py, run).map(PyTensor)
}

/// Applies an op on the windows over spatial axes of the sizes `input`.
fn onto(
    py: Python<'_>,
    op: impl FnOnce(Window) -> Op + Send,
    args: &[Given<'_, '_>],
    [size, stride, low, high, input]: [Sizes; 5],
) -> PyResult<PyTensor> {
    let args: Vec<&Value> = args.iter().map(|a| &a.get().0).collect();
    let run = || ops::apply(op(ops::window(&input.0, &size.0, &stride.0, &low.0, &high.0)), &args);
    call(py, run).map(PyTensor)
}

/// Sum of each window.
#[pyfunction]
#[pyo3(signature = (x, size, stride, low, high, /))]
pub(crate) fn window_sum(
    py: Python<'_>,
    x: Given<'_, '_>,
    size: Sizes,
    stride: Sizes,
    low: Sizes,
    high: Sizes,
) -> PyResult<PyTensor> {
    over(py, "window_sum", Op::WindowSum, &[x], [size, stride, low, high])
}

/// Each value added to all positions of its window: the transpose of `window_sum`.
#[pyfunction]
#[pyo3(signature = (g, size, stride, low, high, input, /))]
pub(crate) fn window_spread(
    py: Python<'_>,
    g: Given<'_, '_>,
    size: Sizes,
    stride: Sizes,
    low: Sizes,
    high: Sizes,
    input: Sizes,
) -> PyResult<PyTensor> {
    onto(py, Op::WindowSpread, &[g], [size, stride, low, high, input])
}

/// Position within each window (row-major) of its first maximum; NaN wins.
#[pyfunction]
#[pyo3(signature = (x, size, stride, low, high, /))]
pub(crate) fn window_argmax(
    py: Python<'_>,
    x: Given<'_, '_>,
    size: Sizes,
    stride: Sizes,
    low: Sizes,
    high: Sizes,
) -> PyResult<PyTensor> {
    over(py, "window_argmax", Op::WindowArgMax, &[x], [size, stride, low, high])
}

/// The value at a position of each window.
#[pyfunction]
#[pyo3(signature = (x, index, size, stride, low, high, /))]
pub(crate) fn window_take(
    py: Python<'_>,
    x: Given<'_, '_>,
    index: Given<'_, '_>,
    size: Sizes,
    stride: Sizes,
    low: Sizes,
    high: Sizes,
) -> PyResult<PyTensor> {
    over(py, "window_take", Op::WindowTake, &[x, index], [size, stride, low, high])
}

/// Each value added at its position of its window, the rest zero: the transpose of `window_take`.
#[pyfunction]
#[pyo3(signature = (g, index, size, stride, low, high, input, /))]
pub(crate) fn window_put(
    py: Python<'_>,
    g: Given<'_, '_>,
    index: Given<'_, '_>,
    size: Sizes,
    stride: Sizes,
    low: Sizes,
    high: Sizes,
    input: Sizes,
) -> PyResult<PyTensor> {
    onto(py, Op::WindowPut, &[g, index], [size, stride, low, high, input])
}
