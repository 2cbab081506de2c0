//! Adding up partial sums, always in the same order.

use super::{Call, Kernel};
use oxiconv_ir::program::ALIGN;
use oxiconv_ir::{DType, Result, Type};

/// `a[i] += b[i]`, float or wrapping integer.
///
/// # Safety
/// Both are valid for the type and do not overlap.
pub(super) unsafe fn add_assign(ty: &Type, a: *mut u8, b: *const u8) {
    let len = ty.len();
    // SAFETY: by contract; sums exist for these types only.
    unsafe {
        match ty.dtype {
            DType::F32 => add(std::slice::from_raw_parts_mut(a.cast(), len), slice(b, len)),
            DType::I64 => add_i64(std::slice::from_raw_parts_mut(a.cast(), len), slice(b, len)),
            _ => add_i32(std::slice::from_raw_parts_mut(a.cast(), len), slice(b, len)),
        }
    }
}

unsafe fn slice<'a, T>(p: *const u8, len: usize) -> &'a [T] {
    // SAFETY: by the callers' contracts.
    unsafe { std::slice::from_raw_parts(p.cast(), len) }
}

fn add(a: &mut [f32], b: &[f32]) {
    a.iter_mut().zip(b).for_each(|(a, b)| *a += b);
}

fn add_i32(a: &mut [i32], b: &[i32]) {
    a.iter_mut().zip(b).for_each(|(a, b)| *a = a.wrapping_add(*b));
}

fn add_i64(a: &mut [i64], b: &[i64]) {
    a.iter_mut().zip(b).for_each(|(a, b)| *a = a.wrapping_add(*b));
}

/// Sum of the tasks' terms in a binary tree: first half plus second half, each summed the same way.
pub(super) struct Combine {
    pub(super) ty: Type,
    pub(super) tasks: usize,
}

/// Elements that are added up at a time: the tree's intermediate sums stay on the stack.
const BLOCK: usize = 512;

impl Kernel for Combine {
    unsafe fn run(&self, call: Call<'_>) -> Result<()> {
        let len = self.ty.len();
        let size = self.ty.dtype.size();
        let stride = self.ty.bytes().next_multiple_of(ALIGN);
        let range = call.piece(len);
        for start in range.clone().step_by(BLOCK) {
            let n = BLOCK.min(range.end - start);
            let terms = Terms { base: call.inputs[0].wrapping_add(start * size), stride };
            let out = call.outputs[0].wrapping_add(start * size);
            // SAFETY: the block lies within the value, and within every task's term, by the caller's contract.
            unsafe {
                match self.ty.dtype {
                    DType::F32 => terms.sum(0, self.tasks, std::slice::from_raw_parts_mut(out.cast(), n), &add),
                    DType::I64 => terms.sum(0, self.tasks, std::slice::from_raw_parts_mut(out.cast(), n), &add_i64),
                    _ => terms.sum(0, self.tasks, std::slice::from_raw_parts_mut(out.cast(), n), &add_i32),
                }
            }
        }
        Ok(())
    }

    fn describe(&self) -> String {
        format!("sum of {} terms", self.tasks)
    }
}

#[derive(Clone, Copy)]
struct Terms {
    base: *const u8,
    stride: usize,
}

impl Terms {
    /// Terms `first..end` into `out`.
    unsafe fn sum<T: Copy + Default>(self, first: usize, end: usize, out: &mut [T], add: &dyn Fn(&mut [T], &[T])) {
        // SAFETY: every term has at least `out.len()` elements from `base` on, by the caller's contract.
        let term = |task: usize| unsafe { slice::<T>(self.base.wrapping_add(task * self.stride), out.len()) };
        match end - first {
            1 => out.copy_from_slice(term(first)),
            2 => {
                let (a, b) = (term(first), term(first + 1));
                out.copy_from_slice(a);
                add(out, b);
            }
            n => {
                let mut right = [T::default(); BLOCK];
                let right = &mut right[..out.len()];
                let middle = first + n.div_ceil(2);
                // SAFETY: forwarded.
                unsafe {
                    self.sum(first, middle, out, add);
                    self.sum(middle, end, right, add);
                }
                add(out, right);
            }
        }
    }
}
