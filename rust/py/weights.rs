//! Tensors in files.

use crate::array::{Array, view};
use crate::errors::{detached, file_to_python};
use oxiconv::weights::{self, Entry};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyMapping, PyTuple};
use std::collections::HashMap;
use std::path::PathBuf;

/// Writes atomically: temporary file in the same folder, fsync, rename.
#[pyfunction]
pub(crate) fn save_safetensors(
    py: Python<'_>,
    path: PathBuf,
    tensors: &Bound<'_, PyMapping>,
    metadata: &Bound<'_, PyMapping>,
) -> PyResult<()> {
    let arrays = tensors
        .items()?
        .iter()
        .map(|item| {
            let (name, array): (String, Bound<'_, PyAny>) = item.extract()?;
            let array = Array::new(&format!("save {name:?}"), &array)?;
            Ok((name, array))
        })
        .collect::<PyResult<Vec<_>>>()?;
    let entries = arrays
        .iter()
        .map(|(name, array)| Ok((name.as_str(), Entry { ty: array.ty(), bytes: array.bytes()? })))
        .collect::<PyResult<Vec<_>>>()?;
    let metadata =
        metadata.items()?.iter().map(|item| item.extract()).collect::<PyResult<HashMap<String, String>>>()?;
    detached(py, || weights::save(&path, &entries, metadata))?.map_err(|e| file_to_python(py, e))
}

/// The arrays and the metadata of a file.
#[pyfunction]
pub(crate) fn load_safetensors(py: Python<'_>, path: PathBuf) -> PyResult<Bound<'_, PyTuple>> {
    let (tensors, metadata) = detached(py, || weights::load(&path))?.map_err(|e| file_to_python(py, e))?;
    let arrays = PyDict::new(py);
    for (name, tensor) in tensors {
        arrays.set_item(name, view(py, &tensor)?.call_method0("copy")?)?;
    }
    (arrays, metadata).into_pyobject(py)
}
