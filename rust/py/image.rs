//! Image files.

use crate::errors::{detached, file_to_python, to_python};
use numpy::ndarray::ArrayView3;
use numpy::{PyArray1, PyArray4, PyArrayDyn, PyArrayMethods, PyUntypedArrayMethods};
use oxiconv::image::{self, Conventions, Filter, Fit, Format, Loading, Method, Picture, Samples};
use oxiconv::ir::Error;
use oxiconv::weights::FileError;
use pyo3::exceptions::PyOSError;
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use std::path::{Path, PathBuf};

/// The exception for what went wrong with the file `name`.
fn failed(py: Python<'_>, name: &Path, error: image::Error) -> PyErr {
    match error {
        image::Error::Io(error) => match error.raw_os_error() {
            // From a number, Python chooses the class: FileNotFoundError, PermissionError and so on.
            Some(code) => PyOSError::new_err((code, error.to_string(), name.to_path_buf())),
            None => PyOSError::new_err(format!("{}: {error}", name.display())),
        },
        image::Error::Format(message) => {
            file_to_python(py, FileError::Format(format!("{}: {message}", name.display())))
        }
    }
}

/// The one of `known` that has this name.
fn choose<T: Copy>(py: Python<'_>, op: &str, what: &str, name: &str, known: &[(&str, T)]) -> PyResult<T> {
    known.iter().find(|k| k.0 == name).map(|k| k.1).ok_or_else(|| {
        let names: Vec<&str> = known.iter().map(|k| k.0).collect();
        to_python(py, &Error::value(op, format!("{what}: expected one of {}, got {name:?}", names.join(", "))))
    })
}

/// The picture in an array `[height, width, channels]` of uint8 or uint16.
fn from_array(op: &str, object: &Bound<'_, PyAny>) -> PyResult<Picture> {
    fn read<T: Copy>(view: &ArrayView3<'_, T>) -> Vec<T> {
        view.iter().copied().collect()
    }
    let py = object.py();
    let bad = |given: String| {
        let want = "a picture: an array [height, width, channels] of uint8 or uint16 with 1 to 4 channels";
        to_python(py, &Error::value(op, format!("expected {want}, got {given}")))
    };
    let (samples, dims) = if let Ok(array) = object.cast::<PyArrayDyn<u8>>() {
        let array = array.try_readonly()?;
        let view = array.as_array().into_dimensionality().map_err(|_| bad(format!("shape {:?}", array.shape())))?;
        (Samples::U8(read(&view)), view.dim())
    } else if let Ok(array) = object.cast::<PyArrayDyn<u16>>() {
        let array = array.try_readonly()?;
        let view = array.as_array().into_dimensionality().map_err(|_| bad(format!("shape {:?}", array.shape())))?;
        (Samples::U16(read(&view)), view.dim())
    } else {
        return Err(bad(object.get_type().name()?.to_string()));
    };
    let (height, width, channels) = dims;
    if height == 0 || width == 0 || !(1..=4).contains(&channels) {
        return Err(bad(format!("shape {:?}", [height, width, channels])));
    }
    Ok(Picture { height, width, channels, samples })
}

fn to_array(py: Python<'_>, picture: Picture) -> PyResult<Bound<'_, PyAny>> {
    let shape = [picture.height, picture.width, picture.channels];
    Ok(match picture.samples {
        Samples::U8(v) => PyArray1::from_vec(py, v).reshape(shape)?.into_any(),
        Samples::U16(v) => PyArray1::from_vec(py, v).reshape(shape)?.into_any(),
    })
}

/// Decodes the content of an image file, with the channels it has.
#[pyfunction]
pub(crate) fn decode_image<'py>(
    py: Python<'py>,
    content: &Bound<'py, PyBytes>,
    name: PathBuf,
) -> PyResult<Bound<'py, PyAny>> {
    let bytes = content.as_bytes();
    let picture = detached(py, || image::decode(bytes, 0))?.map_err(|e| failed(py, &name, e))?;
    to_array(py, picture)
}

/// The picture with 1, 3 or 4 channels, as Pillow converts it.
#[pyfunction]
pub(crate) fn convert_image<'py>(
    py: Python<'py>,
    picture: &Bound<'py, PyAny>,
    channels: usize,
) -> PyResult<Bound<'py, PyAny>> {
    check_channels(py, "convert_image", channels)?;
    let picture = from_array("convert_image", picture)?;
    let converted = detached(py, || picture.converted(channels, Conventions::Pillow))?;
    to_array(py, converted)
}

fn check_channels(py: Python<'_>, op: &str, channels: usize) -> PyResult<()> {
    match channels {
        1 | 3 | 4 => Ok(()),
        _ => Err(to_python(py, &Error::value(op, format!("channels: expected 1, 3 or 4, got {channels}")))),
    }
}

/// The content of an image file with the picture.
#[pyfunction]
pub(crate) fn encode_image<'py>(
    py: Python<'py>,
    picture: &Bound<'py, PyAny>,
    format: &str,
    quality: u8,
) -> PyResult<Bound<'py, PyBytes>> {
    let known = [("png", Format::Png), ("jpeg", Format::Jpeg(quality)), ("bmp", Format::Bmp), ("webp", Format::WebP)];
    let format = choose(py, "encode_image", "format", format, &known)?;
    let picture = from_array("encode_image", picture)?;
    let bytes = detached(py, || image::encode(&picture, format))?.map_err(|e| failed(py, "image".as_ref(), e))?;
    Ok(PyBytes::new(py, &bytes))
}

/// Resizes the part `(top, left, height, width)` of a picture as Pillow does.
#[pyfunction]
pub(crate) fn resample_image<'py>(
    py: Python<'py>,
    picture: &Bound<'py, PyAny>,
    part: [usize; 4],
    size: (usize, usize),
    filter: &str,
) -> PyResult<Bound<'py, PyAny>> {
    let known = [
        ("nearest", Filter::Nearest),
        ("box", Filter::Box),
        ("bilinear", Filter::Bilinear),
        ("hamming", Filter::Hamming),
        ("bicubic", Filter::Bicubic),
        ("lanczos", Filter::Lanczos),
    ];
    let filter = choose(py, "resample_image", "filter", filter, &known)?;
    let picture = from_array("resample_image", picture)?;
    let within = |start: usize, length: usize, whole: usize| length > 0 && start.saturating_add(length) <= whole;
    if !within(part[0], part[2], picture.height) || !within(part[1], part[3], picture.width) {
        let (height, width) = (picture.height, picture.width);
        return Err(to_python(
            py,
            &Error::value("resample_image", format!("part {part:?} of {height} x {width} pixels")),
        ));
    }
    check_size(py, "resample_image", size, picture.channels)?;
    let resized = detached(py, || image::resample(&picture, part, size, filter))?;
    to_array(py, resized)
}

/// Refuses empty and immense sizes.
fn check_size(py: Python<'_>, op: &str, size: (usize, usize), samples: usize) -> PyResult<()> {
    let total = size.0.checked_mul(size.1).and_then(|n| n.checked_mul(samples.max(1)));
    match total {
        Some(1..=0x3fff_ffff) => Ok(()),
        _ => Err(to_python(py, &Error::value(op, format!("size: expected two positive numbers, got {size:?}")))),
    }
}

/// Decodes and resizes files on the threads that runs use, to a float32 array `[files, height, width, channels]`.
#[pyfunction]
pub(crate) fn load_images(
    py: Python<'_>,
    paths: Vec<PathBuf>,
    out: &Bound<'_, PyAny>,
    interpolation: &str,
    fit: &str,
    channels_first: bool,
) -> PyResult<()> {
    let methods = [
        ("bilinear", Method::Bilinear),
        ("nearest", Method::Nearest),
        ("bicubic", Method::Bicubic),
        ("area", Method::Area),
        ("lanczos3", Method::Lanczos3),
        ("lanczos5", Method::Lanczos5),
        ("gaussian", Method::Gaussian),
        ("mitchellcubic", Method::MitchellCubic),
    ];
    let fits = [("stretch", Fit::Stretch), ("crop", Fit::Crop), ("pad", Fit::Pad)];
    let op = "load_images";
    let (method, fit) = (choose(py, op, "interpolation", interpolation, &methods)?, choose(py, op, "fit", fit, &fits)?);
    let bad = |given: String| {
        let want = "out: expected a writable float32 array with an axis of files, two of pixels and one of channels";
        to_python(py, &Error::value(op, format!("{want}, got {given}")))
    };
    let mut out = out
        .cast::<PyArray4<f32>>()
        .map_err(|_| bad(out.get_type().to_string()))?
        .try_readwrite()
        .map_err(|e| bad(e.to_string()))?;
    let shape = out.shape().to_vec();
    let ((&[files, channels, height, width], true) | (&[files, height, width, channels], false)) =
        (shape.as_slice(), channels_first)
    else {
        return Err(bad(format!("shape {shape:?}")));
    };
    if files != paths.len() || height == 0 || width == 0 || !matches!(channels, 1 | 3 | 4) {
        return Err(bad(format!("shape {shape:?} for {} files", paths.len())));
    }
    let how = Loading { height, width, channels, method, fit, channels_first };
    let target = out.as_slice_mut().map_err(|e| bad(e.to_string()))?;
    detached(py, || image::load_batch(&paths, &how, oxiconv::device::num_threads(), target))?
        .map_err(|(path, error)| failed(py, &path, error))
}
