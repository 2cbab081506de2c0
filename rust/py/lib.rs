//! The Python module `oxiconv._core`. Glue only: what it does is in the crate `oxiconv`, what it looks like in
//! `_core.pyi`.
#![forbid(unsafe_code)]
#![allow(clippy::needless_pass_by_value, reason = "what is taken from Python arrives by value")]

mod array;
mod errors;
mod graph;
mod image;
mod ops;
mod profile;
mod tensor;
mod weights;
mod window;

use oxiconv::device;
use oxiconv::ir::{DType, Error};
use pyo3::exceptions::PyImportError;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyFloat, PyInt, PyTuple};

/// Sets how many threads later runs use, the calling one included. Results do not depend on it.
#[pyfunction]
fn set_num_threads(py: Python<'_>, n: usize) -> PyResult<()> {
    if n == 0 {
        return Err(errors::to_python(py, &Error::value("set_num_threads", "expected at least 1, got 0")));
    }
    device::set_num_threads(n);
    Ok(())
}

/// How many threads runs use.
#[pyfunction]
fn num_threads(py: Python<'_>) -> PyResult<usize> {
    errors::detached(py, device::num_threads)
}

/// Name of the instruction set in use.
#[pyfunction]
fn isa(py: Python<'_>) -> PyResult<&'static str> {
    errors::detached(py, device::isa)
}

/// The type aliases of the stub.
fn register_types(module: &Bound<'_, PyModule>) -> PyResult<()> {
    let py = module.py();
    let typing = py.import("typing")?;
    let literal = |d: DType| typing.getattr("Literal")?.get_item(d.name());
    let names = DType::ALL.into_iter().map(literal).collect::<PyResult<Vec<_>>>()?;
    module.add("DTypeName", typing.getattr("Union")?.get_item(PyTuple::new(py, names)?)?)?;
    let [float, int, bool] = [py.get_type::<PyFloat>(), py.get_type::<PyInt>(), py.get_type::<PyBool>()];
    module.add("Scalar", float.bitor(int)?.bitor(bool)?)
}

/// The Rust core: tensors, primitive ops, traced graphs, compiled steps.
#[pymodule]
mod _core {
    #[pymodule_export]
    use super::graph::{PyGraph, PyStep, PyTape};
    #[pymodule_export]
    use super::image::{convert_image, decode_image, encode_image, load_images, resample_image};
    #[pymodule_export]
    use super::ops::{
        argsort, binary, broadcast_to, cast, concat, conv, conv_transpose, detach, gather, gather_each, matmul, max,
        pad, permute, random, reshape, scatter_add, scatter_each, select, slice, sum, unary,
    };
    #[pymodule_export]
    use super::profile::{peak_gigaflops, profile_start, profile_stop};
    #[pymodule_export]
    use super::tensor::{PyCell, PyTensor, tensor};
    #[pymodule_export]
    use super::weights::{load_safetensors, save_safetensors};
    #[pymodule_export]
    use super::window::{window_argmax, window_put, window_spread, window_sum, window_take};
    use super::{Bound, PyAnyMethods, PyImportError, PyModule, PyModuleMethods, PyResult, device, errors};
    #[pymodule_export]
    use super::{isa, num_threads, set_num_threads};

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        device::check_environment().map_err(PyImportError::new_err)?;
        oxiconv::set_interrupt(errors::poll_signals);
        module.add("__version__", env!("CARGO_PKG_VERSION"))?;
        super::register_types(module)?;
        errors::register(module)?;
        // PyO3's list of names would make `import *` public, which nobody should need here.
        PyAnyMethods::delattr(&**module, "__all__")
    }
}
