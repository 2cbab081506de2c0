//! Memory: aligned, zeroed, faulted in before anything is timed. The arena of a program and the storage of a tensor
//! are both a [`Buffer`].

use oxiconv_ir::{Error, Result};
use std::alloc::{Layout, alloc, dealloc};
use std::ptr::NonNull;

/// Alignment of every buffer: a cache line, and the widest vector.
pub const ALIGN: usize = 64;
/// Size of a huge page; buffers of at least this size are aligned to it.
const HUGE: usize = 2 << 20;

/// Owned memory, [`ALIGN`]ed (huge-page aligned when large) and never uninitialised.
#[derive(Debug)]
pub struct Buffer {
    ptr: NonNull<u8>,
    len: usize,
}

// SAFETY: a `Buffer` owns its memory alone and has no interior mutability; access follows the borrow of `self`.
unsafe impl Send for Buffer {}
// SAFETY: as above; `&Buffer` only reads.
unsafe impl Sync for Buffer {}

impl Buffer {
    /// `len` zero bytes. `op` says in the error what they were for. Every page has been written once, so later use
    /// does not fault.
    pub fn zeroed(len: usize, op: &str) -> Result<Self> {
        if len == 0 {
            return Ok(Self::default());
        }
        let fail = || Error::Memory { op: op.to_owned(), bytes: len };
        let layout = layout(len).ok_or_else(fail)?;
        // SAFETY: `layout` has a size of at least 1.
        let ptr = NonNull::new(unsafe { alloc(layout) }).ok_or_else(fail)?;
        if len >= HUGE {
            advise_huge(ptr, len);
        }
        // Not `alloc_zeroed`: writing is what faults the pages in, and it must come after the advice.
        // SAFETY: `ptr` was just allocated with at least `len` bytes.
        unsafe { ptr.write_bytes(0, len) };
        Ok(Self { ptr, len })
    }

    /// A copy of `bytes`.
    pub fn copied(bytes: &[u8], op: &str) -> Result<Self> {
        let mut buffer = Self::zeroed(bytes.len(), op)?;
        buffer.as_mut_slice().copy_from_slice(bytes);
        Ok(buffer)
    }

    /// Size in bytes.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether the size is zero.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// First byte, for reading.
    pub fn as_ptr(&self) -> *const u8 {
        self.ptr.as_ptr()
    }

    /// First byte, for reading and writing.
    pub fn as_mut_ptr(&mut self) -> *mut u8 {
        self.ptr.as_ptr()
    }

    /// The bytes.
    pub fn as_slice(&self) -> &[u8] {
        // SAFETY: `len` bytes are allocated and were written in `zeroed`; nothing writes while `self` is shared.
        unsafe { std::slice::from_raw_parts(self.ptr.as_ptr(), self.len) }
    }

    /// The bytes, for writing.
    pub fn as_mut_slice(&mut self) -> &mut [u8] {
        // SAFETY: as in `as_slice`; `self` is borrowed mutably, so this is the only reference.
        unsafe { std::slice::from_raw_parts_mut(self.ptr.as_ptr(), self.len) }
    }
}

impl Default for Buffer {
    /// No bytes.
    fn default() -> Self {
        Self { ptr: dangling(), len: 0 }
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        if let (1.., Some(layout)) = (self.len, layout(self.len)) {
            // SAFETY: allocated in `zeroed` with the layout of this length.
            unsafe { dealloc(self.ptr.as_ptr(), layout) };
        }
    }
}

fn layout(len: usize) -> Option<Layout> {
    Layout::from_size_align(len, if len >= HUGE { HUGE } else { ALIGN }).ok()
}

fn dangling() -> NonNull<u8> {
    NonNull::without_provenance(const { std::num::NonZero::new(ALIGN).expect("not zero") })
}

#[cfg(any(target_os = "linux", target_os = "android"))]
fn advise_huge(ptr: NonNull<u8>, len: usize) {
    // SAFETY: the range is owned and page aligned, and this advice changes no content. A kernel without huge pages
    // refuses it, which costs speed only.
    unsafe { libc::madvise(ptr.as_ptr().cast(), len, libc::MADV_HUGEPAGE) };
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn advise_huge(_: NonNull<u8>, _: usize) {}

#[cfg(test)]
mod tests {
    use super::{ALIGN, Buffer, HUGE};
    use oxiconv_ir::Error;

    #[test]
    fn zeroed_and_aligned() {
        for len in [0, 1, 63, 64, 4096, HUGE - 1, HUGE, HUGE + 5] {
            let mut b = Buffer::zeroed(len, "test").unwrap();
            assert_eq!(b.as_ptr() as usize % if len >= HUGE { HUGE } else { ALIGN }, 0);
            assert_eq!(b.as_slice().len(), len);
            assert!(b.as_slice().iter().all(|&x| x == 0));
            b.as_mut_slice().fill(7);
            assert!(b.as_slice().iter().all(|&x| x == 7));
        }
    }

    #[test]
    fn copies() {
        let b = Buffer::copied(&[1, 2, 3], "test").unwrap();
        assert_eq!(b.as_slice(), [1, 2, 3]);
    }

    #[test]
    fn too_much_is_an_error() {
        for bytes in [usize::MAX, isize::MAX as usize, 1 << 55] {
            assert_eq!(Buffer::zeroed(bytes, "x").unwrap_err(), Error::Memory { op: "x".into(), bytes });
        }
    }
}
