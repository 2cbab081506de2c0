//! Immutable tensors and the memory behind them.

use half::{bf16, f16};
use oxiconv_cpu::arena::Buffer;
use oxiconv_ir::{DType, Error, Result, Type};
use std::any::Any;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

/// An immutable n-d array, row-major. Clones share the memory, and are the same value to a gradient tape.
#[derive(Clone)]
pub struct Tensor {
    ty: Type,
    storage: Arc<Storage>,
    id: u64,
    /// Of the bytes: no other bytes ever have it, where the memory is owned.
    version: u64,
}

/// Memory of one or more tensors.
enum Storage {
    Owned(Recycled),
    /// Memory of someone else, valid as long as the owner lives.
    Foreign {
        ptr: *const u8,
        len: usize,
        /// Held to keep the memory.
        _owner: Box<dyn Any + Send + Sync>,
    },
}

// SAFETY: the memory is not written while it is shared (`Tensor::from_foreign` demands it of foreign memory), and
// `Owned` is `Send + Sync` by itself.
unsafe impl Send for Storage {}
// SAFETY: as above.
unsafe impl Sync for Storage {}

impl Storage {
    fn bytes(&self) -> &[u8] {
        match self {
            Self::Owned(buffer) => buffer.0.as_slice(),
            // SAFETY: `Tensor::from_foreign` was promised `len` readable bytes for the lifetime of the owner.
            Self::Foreign { ptr, len, .. } => unsafe { std::slice::from_raw_parts(*ptr, *len) },
        }
    }
}

impl Tensor {
    /// The tensor of these bytes: native byte order, row-major.
    pub fn from_bytes(ty: Type, bytes: &[u8]) -> Result<Self> {
        check_len(&ty, bytes.len())?;
        let mut memory = uninit(bytes.len())?;
        memory.0.as_mut_slice().copy_from_slice(bytes);
        Ok(Self::new(ty, memory))
    }

    /// The float32 tensor of these values.
    pub fn from_f32(dims: &[usize], values: &[f32]) -> Result<Self> {
        Self::from_values(Type::f32(dims), values.iter().map(|x| x.to_ne_bytes()))
    }

    /// The int32 tensor of these values.
    pub fn from_i32(dims: &[usize], values: &[i32]) -> Result<Self> {
        Self::from_values(Type::new(DType::I32, dims), values.iter().map(|x| x.to_ne_bytes()))
    }

    fn from_values(ty: Type, values: impl ExactSizeIterator<Item = [u8; 4]>) -> Result<Self> {
        check_len(&ty, values.len() * 4)?;
        let mut memory = uninit(ty.bytes())?;
        memory.0.as_mut_slice().as_chunks_mut().0.iter_mut().zip(values).for_each(|(to, from)| *to = from);
        Ok(Self::new(ty, memory))
    }

    /// A rank-0 tensor: the value rounded, or truncated and saturated, to the element type.
    pub fn scalar(value: f64, dtype: DType) -> Result<Self> {
        let ty = Type::new(dtype, []);
        match dtype {
            DType::F32 => Self::from_bytes(ty, &(value as f32).to_ne_bytes()),
            DType::F16 => Self::from_bytes(ty, &f16::from_f32(value as f32).to_ne_bytes()),
            DType::Bf16 => Self::from_bytes(ty, &bf16::from_f32(value as f32).to_ne_bytes()),
            DType::I64 => Self::from_bytes(ty, &(value as i64).to_ne_bytes()),
            DType::I32 => Self::from_bytes(ty, &(value as i32).to_ne_bytes()),
            DType::I8 => Self::from_bytes(ty, &(value as i8).to_ne_bytes()),
            DType::U8 => Self::from_bytes(ty, &[value as u8]),
            DType::Bool => Self::from_bytes(ty, &[u8::from(value != 0.0)]),
        }
    }

    /// A tensor over memory that `owner` keeps, without a copy.
    ///
    /// # Safety
    /// `ptr` is aligned to the element size and readable for `ty.bytes()` bytes until `owner` is dropped, and nothing
    /// writes there meanwhile.
    pub unsafe fn from_foreign(ty: Type, ptr: *const u8, owner: Box<dyn Any + Send + Sync>) -> Self {
        let len = ty.bytes();
        debug_assert!(ptr.addr().is_multiple_of(ty.dtype.size()));
        let id = next_id();
        Self { ty, storage: Arc::new(Storage::Foreign { ptr, len, _owner: owner }), id, version: id }
    }

    pub(crate) fn new(ty: Type, memory: Recycled) -> Self {
        debug_assert_eq!(ty.bytes(), memory.0.len());
        let id = next_id();
        Self { ty, storage: Arc::new(Storage::Owned(memory)), id, version: id }
    }

    /// A tensor with the same memory and other sizes (as many elements): another value to a tape.
    pub(crate) fn with_dims(&self, dims: &[usize]) -> Self {
        let ty = Type::new(self.ty.dtype, dims);
        debug_assert_eq!(ty.len(), self.ty.len());
        Self { ty, storage: Arc::clone(&self.storage), id: next_id(), version: self.version }
    }

    /// A tensor with a copy of the memory.
    pub(crate) fn deep_copy(&self) -> Result<Self> {
        Self::from_bytes(self.ty.clone(), self.bytes())
    }

    /// Element type and sizes.
    pub fn ty(&self) -> &Type {
        &self.ty
    }

    /// A number that clones share, and no other tensor of this process ever has.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// A number that no tensor with other bytes ever has; none for memory of someone else, which may be written after
    /// all.
    pub(crate) fn version(&self) -> Option<u64> {
        match *self.storage {
            Storage::Owned(_) => Some(self.version),
            Storage::Foreign { .. } => None,
        }
    }

    /// The tensor if the memory is its own, else a copy, which has a version; the tensor after all if there is no memory
    /// for a copy. To tapes it stays the same value.
    pub(crate) fn owned(self) -> Self {
        match *self.storage {
            Storage::Owned(_) => self,
            Storage::Foreign { .. } => self.deep_copy().map_or(self.clone(), |copy| Self { id: self.id, ..copy }),
        }
    }

    /// The elements' bytes: native byte order, row-major.
    pub fn bytes(&self) -> &[u8] {
        self.storage.bytes()
    }

    /// The elements of a float32 tensor.
    pub fn to_f32(&self) -> Result<Vec<f32>> {
        self.expect_dtype("to_f32", DType::F32)?;
        Ok(self.bytes().as_chunks().0.iter().map(|&b| f32::from_ne_bytes(b)).collect())
    }

    /// The elements of an int32 tensor.
    pub fn to_i32(&self) -> Result<Vec<i32>> {
        self.expect_dtype("to_i32", DType::I32)?;
        Ok(self.bytes().as_chunks().0.iter().map(|&b| i32::from_ne_bytes(b)).collect())
    }

    /// The only element, as a number.
    pub fn to_scalar(&self) -> Result<f64> {
        if self.ty.len() != 1 {
            return Err(Error::shape("to_scalar", "one element", self.ty.to_string()));
        }
        Ok(match self.ty.dtype {
            DType::F32 => f64::from(self.to_f32()?[0]),
            DType::F16 => f16::from_ne_bytes(self.first()).to_f64(),
            DType::Bf16 => bf16::from_ne_bytes(self.first()).to_f64(),
            DType::I64 => i64::from_ne_bytes(self.first()) as f64,
            DType::I32 => f64::from(self.to_i32()?[0]),
            DType::I8 => f64::from(i8::from_ne_bytes(self.first())),
            DType::U8 | DType::Bool => f64::from(self.bytes()[0]),
        })
    }

    /// The bytes of the first element, which has `N`.
    fn first<const N: usize>(&self) -> [u8; N] {
        *self.bytes().first_chunk().expect("the element type has N bytes")
    }

    fn expect_dtype(&self, op: &str, dtype: DType) -> Result<()> {
        if self.ty.dtype == dtype { Ok(()) } else { Err(Error::dtype(op, dtype.name(), self.ty.to_string())) }
    }

    /// The memory for writing, if it is owned and no other tensor, array or cell shares it.
    fn unique_memory(&mut self) -> Option<*mut u8> {
        match Arc::get_mut(&mut self.storage)? {
            Storage::Owned(memory) => Some(memory.0.as_mut_ptr()),
            Storage::Foreign { .. } => None,
        }
    }

    /// The memory for writing; a copy of it first, if anyone shares it. The value is the same to tapes.
    pub(crate) fn make_unique(&mut self) -> Result<*mut u8> {
        if let Some(ptr) = self.unique_memory() {
            return Ok(ptr);
        }
        let mut memory = uninit(self.ty.bytes())?;
        memory.0.as_mut_slice().copy_from_slice(self.bytes());
        let ptr = memory.0.as_mut_ptr();
        self.storage = Arc::new(Storage::Owned(memory));
        Ok(ptr)
    }

    /// Makes this another value to tapes, and another version, after its memory was rewritten.
    pub(crate) fn renew(&mut self) {
        self.id = next_id();
        self.version = self.id;
    }
}

impl fmt::Debug for Tensor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tensor({})", self.ty)
    }
}

fn next_id() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

fn check_len(ty: &Type, given: usize) -> Result<()> {
    let len = ty.dims.iter().try_fold(ty.dtype.size(), |n, &d| n.checked_mul(d));
    if len == Some(given) {
        Ok(())
    } else {
        Err(Error::shape("tensor", format!("the bytes of {ty}"), format!("{given} bytes")))
    }
}

/// A buffer that returns to the spare ones when dropped.
pub(crate) struct Recycled(pub(crate) Buffer);

/// Memory for a result: its content is arbitrary, but never uninitialised.
pub(crate) fn uninit(len: usize) -> Result<Recycled> {
    if len >= SPARE_MIN
        && let Ok(mut spares) = SPARES.try_lock()
        && let Some(i) = spares.iter().rposition(|b| b.len() == len)
    {
        return Ok(Recycled(spares.remove(i)));
    }
    Buffer::zeroed(len, "tensor").map(Recycled)
}

/// Buffers of dropped tensors, oldest first: the same sizes come again with every step, and memory fresh from the
/// system costs a page fault per 4 KiB.
static SPARES: Mutex<Vec<Buffer>> = Mutex::new(Vec::new());
/// Smaller buffers cost less to allocate than to find.
const SPARE_MIN: usize = 16 << 10;
/// Most bytes, and most buffers, kept.
const SPARE_BYTES: usize = 256 << 20;
const SPARE_COUNT: usize = 256;

impl Drop for Recycled {
    fn drop(&mut self) {
        // Never waits: the lock may be held by a thread that a fork left behind.
        if !(SPARE_MIN..=SPARE_BYTES).contains(&self.0.len()) {
            return;
        }
        if let Ok(mut spares) = SPARES.try_lock() {
            let mut total: usize = self.0.len() + spares.iter().map(Buffer::len).sum::<usize>();
            while total > SPARE_BYTES || spares.len() >= SPARE_COUNT {
                total -= spares.remove(0).len();
            }
            spares.push(std::mem::take(&mut self.0));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{SPARE_MIN, Tensor, uninit};
    use oxiconv_ir::{DType, Error, Type};

    #[test]
    fn values_come_back() {
        let t = Tensor::from_f32(&[2, 2], &[1.0, -2.5, f32::INFINITY, 0.0]).unwrap();
        assert_eq!(t.ty(), &Type::f32([2, 2]));
        assert_eq!(t.to_f32().unwrap(), [1.0, -2.5, f32::INFINITY, 0.0]);
        assert_eq!(Tensor::from_i32(&[1], &[-7]).unwrap().to_i32().unwrap(), [-7]);
        assert_eq!(Tensor::scalar(-1.9, DType::I32).unwrap().to_scalar().unwrap(), -1.0);
        assert_eq!(Tensor::scalar(300.0, DType::U8).unwrap().to_scalar().unwrap(), 255.0);
        assert_eq!(Tensor::scalar(0.5, DType::Bool).unwrap().to_scalar().unwrap(), 1.0);
    }

    #[test]
    fn wrong_length_or_type_is_an_error() {
        assert!(matches!(Tensor::from_f32(&[3], &[1.0]), Err(Error::Shape { .. })));
        assert!(matches!(Tensor::from_bytes(Type::f32([usize::MAX, 2]), &[]), Err(Error::Shape { .. })));
        assert!(matches!(Tensor::from_f32(&[1], &[1.0]).unwrap().to_i32(), Err(Error::DType { .. })));
    }

    #[test]
    fn clones_are_one_value_and_share_memory() {
        let mut t = Tensor::from_f32(&[4], &[0.0; 4]).unwrap();
        assert!(t.unique_memory().is_some());
        let clone = t.clone();
        assert_eq!((clone.id(), clone.bytes().as_ptr()), (t.id(), t.bytes().as_ptr()));
        let reshaped = t.with_dims(&[2, 2]);
        assert_ne!(reshaped.id(), t.id());
        assert!(t.unique_memory().is_none());
        let (id, before) = (t.id(), clone.bytes().as_ptr());
        let ptr = t.make_unique().unwrap();
        assert_ne!(ptr.cast_const(), before);
        assert_eq!((t.id(), t.make_unique().unwrap(), t.bytes()), (id, ptr, clone.bytes()));
    }

    #[test]
    fn foreign_memory_is_kept_and_never_written() {
        let owner = std::sync::Arc::new(vec![7u8; 5]);
        let ptr = owner.as_ptr();
        // SAFETY: the vector lives as long as the tensor and is not changed.
        let mut t = unsafe { Tensor::from_foreign(Type::new(DType::U8, [5]), ptr, Box::new(owner.clone())) };
        assert_eq!(t.bytes(), [7; 5]);
        assert!(t.unique_memory().is_none());
        assert_eq!(std::sync::Arc::strong_count(&owner), 2);
        drop(t);
        assert_eq!(std::sync::Arc::strong_count(&owner), 1);
    }

    #[test]
    fn memory_of_a_dropped_result_serves_the_next() {
        // An odd size, so that no other test takes it.
        let len = SPARE_MIN + 12344;
        let first = uninit(len).unwrap();
        let ptr = first.0.as_ptr();
        drop(first);
        assert_eq!(uninit(len).unwrap().0.as_ptr(), ptr);
    }
}
