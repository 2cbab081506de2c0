//! Tensors in files, in the safetensors format.

use crate::Tensor;
use oxiconv_ir::{DType, Error, Type};
use safetensors::tensor::{Dtype, SafeTensors, View};
use std::borrow::Cow;
use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// What can go wrong with a file.
#[derive(Debug)]
pub enum FileError {
    /// The system's answer.
    Io(io::Error),
    /// The content. Python: `oxiconv.FileFormatError(ValueError)`.
    Format(String),
    /// Anything else.
    Other(Error),
}

impl From<io::Error> for FileError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// A tensor to write.
#[derive(Debug, Clone, Copy)]
pub struct Entry<'a> {
    /// Element type and sizes.
    pub ty: &'a Type,
    /// The elements, row-major.
    pub bytes: &'a [u8],
}

impl View for Entry<'_> {
    fn dtype(&self) -> Dtype {
        match self.ty.dtype {
            DType::F32 => Dtype::F32,
            DType::F16 => Dtype::F16,
            DType::Bf16 => Dtype::BF16,
            DType::I64 => Dtype::I64,
            DType::I32 => Dtype::I32,
            DType::I8 => Dtype::I8,
            DType::U8 => Dtype::U8,
            DType::Bool => Dtype::BOOL,
        }
    }

    fn shape(&self) -> &[usize] {
        &self.ty.dims
    }

    fn data(&self) -> Cow<'_, [u8]> {
        Cow::Borrowed(self.bytes)
    }

    fn data_len(&self) -> usize {
        self.bytes.len()
    }
}

/// Writes a file, so that after a crash at any moment the path holds either the old content or the new: temporary file
/// in the same folder, fsync, rename, fsync of the folder.
#[allow(clippy::implicit_hasher, reason = "the format's library takes this map")]
pub fn save(path: &Path, tensors: &[(&str, Entry<'_>)], metadata: HashMap<String, String>) -> Result<(), FileError> {
    let temporary = Temporary::beside(path)?;
    let metadata = (!metadata.is_empty()).then_some(metadata);
    safetensors::serialize_to_file(tensors.iter().copied(), metadata, &temporary.0).map_err(|e| match e {
        safetensors::SafeTensorError::IoError(e) => FileError::Io(e),
        e => FileError::Format(format!("{}: {e}", path.display())),
    })?;
    OpenOptions::new().write(true).open(&temporary.0)?.sync_all()?;
    std::fs::rename(&temporary.0, path)?;
    #[cfg(unix)]
    File::open(folder(path))?.sync_all()?;
    Ok(())
}

fn folder(path: &Path) -> &Path {
    path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// A new file, removed when dropped unless it was renamed.
struct Temporary(PathBuf);

impl Temporary {
    fn beside(path: &Path) -> io::Result<Self> {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let name = path.file_name().ok_or_else(|| io::Error::other(format!("{}: not a file name", path.display())))?;
        let mut temporary = std::ffi::OsString::from(".");
        temporary.push(name);
        temporary.push(format!(".{}-{}.tmp", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed)));
        let temporary = folder(path).join(temporary);
        OpenOptions::new().write(true).create_new(true).open(&temporary)?;
        Ok(Self(temporary))
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        // After the rename there is nothing left to remove.
        let _ = std::fs::remove_file(&self.0);
    }
}

/// What a file holds: tensors by name in the order of their data, and its metadata.
pub type Content = (Vec<(String, Tensor)>, HashMap<String, String>);

/// Reads a file, trusting nothing in it.
pub fn load(path: &Path) -> Result<Content, FileError> {
    let bytes = read(path)?;
    let bad = |message: String| FileError::Format(format!("{}: {message}", path.display()));
    let (_, header) = SafeTensors::read_metadata(&bytes).map_err(|e| bad(format!("not a safetensors file ({e})")))?;
    let file = SafeTensors::deserialize(&bytes).map_err(|e| bad(format!("not a safetensors file ({e})")))?;
    let mut tensors = Vec::with_capacity(file.len());
    for name in header.offset_keys() {
        let view = file.tensor(&name).map_err(|e| bad(e.to_string()))?;
        let dtype = match view.dtype() {
            Dtype::F32 => DType::F32,
            Dtype::F16 => DType::F16,
            Dtype::BF16 => DType::Bf16,
            Dtype::I64 => DType::I64,
            Dtype::I32 => DType::I32,
            Dtype::I8 => DType::I8,
            Dtype::U8 => DType::U8,
            Dtype::BOOL => DType::Bool,
            other => {
                return Err(bad(format!(
                    "tensor {name:?}: expected F32, F16, BF16, I64, I32, I8, U8 or BOOL, got {other:?}"
                )));
            }
        };
        if dtype == DType::Bool && view.data().iter().any(|&b| b > 1) {
            return Err(bad(format!("tensor {name:?}: truth values other than 0 and 1")));
        }
        let tensor = Tensor::from_bytes(Type::new(dtype, view.shape()), view.data()).map_err(FileError::Other)?;
        tensors.push((name, tensor));
    }
    Ok((tensors, header.metadata().clone().unwrap_or_default()))
}

fn read(path: &Path) -> Result<Vec<u8>, FileError> {
    let mut file = File::open(path)?;
    let len = usize::try_from(file.metadata()?.len()).unwrap_or(usize::MAX);
    let mut bytes = Vec::new();
    let fail = |_| FileError::Other(Error::Memory { op: format!("load {}", path.display()), bytes: len });
    bytes.try_reserve_exact(len).map_err(fail)?;
    file.read_to_end(&mut bytes)?;
    Ok(bytes)
}
