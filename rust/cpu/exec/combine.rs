//! Adding up partial sums, always in the same order.

use super::{Call, Kernel};
use crate::simd::{self, Isa, Simd, dispatch};
use oxiconv_ir::program::ALIGN;
use oxiconv_ir::{DType, Result, Type};
use std::marker::PhantomData;

/// `a[i] += b[i]`, float or wrapping integer.
///
/// # Safety
/// Both are valid for the type and do not overlap.
pub(super) unsafe fn add_assign(ty: &Type, a: *mut u8, b: *const u8) {
    let len = ty.len();
    // SAFETY: by contract; sums exist for these types only.
    unsafe {
        match ty.dtype {
            DType::F32 => dispatch(Isa::active(), AddAssign { a: a.cast(), b: b.cast(), len }),
            DType::I64 => add_i64(std::slice::from_raw_parts_mut(a.cast(), len), slice(b, len)),
            _ => add_i32(std::slice::from_raw_parts_mut(a.cast(), len), slice(b, len)),
        }
    }
}

unsafe fn slice<'a, T>(p: *const u8, len: usize) -> &'a [T] {
    // SAFETY: by the callers' contracts.
    unsafe { std::slice::from_raw_parts(p.cast(), len) }
}

fn add_i32(a: &mut [i32], b: &[i32]) {
    a.iter_mut().zip(b).for_each(|(a, b)| *a = a.wrapping_add(*b));
}

fn add_i64(a: &mut [i64], b: &[i64]) {
    a.iter_mut().zip(b).for_each(|(a, b)| *a = a.wrapping_add(*b));
}

/// `a[i] += b[i]`. Made only of pointers to `len` floats each, which do not overlap.
struct AddAssign {
    a: *mut f32,
    b: *const f32,
    len: usize,
}

impl simd::Kernel for AddAssign {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        for i in (0..self.len).step_by(S::LANES) {
            let n = S::LANES.min(self.len - i);
            // SAFETY: as the type says.
            unsafe {
                let (a, b) = (self.a.add(i), self.b.add(i));
                store(s, a, s.add(load(s, a, n), load(s, b, n)), n);
            }
        }
    }
}

/// # Safety
/// `n <= LANES` floats are readable.
#[inline(always)]
unsafe fn load<S: Simd>(s: S, p: *const f32, n: usize) -> S::F {
    // SAFETY: by contract.
    unsafe { if n == S::LANES { s.load(p) } else { s.load_partial(p, n) } }
}

/// # Safety
/// `n <= LANES` floats are writable.
#[inline(always)]
unsafe fn store<S: Simd>(s: S, p: *mut f32, x: S::F, n: usize) {
    // SAFETY: by contract.
    unsafe { if n == S::LANES { s.store(p, x) } else { s.store_partial(p, x, n) } }
}

/// Sum of the tasks' terms in a binary tree: first half plus second half, each summed the same way. The first half is the
/// larger one.
pub(super) struct Combine {
    pub(super) isa: Isa,
    pub(super) ty: Type,
    pub(super) tasks: usize,
}

/// Most terms: as many as a batch has tasks, or a step pieces.
pub(super) const MAX_TERMS: usize = 16;

impl Kernel for Combine {
    unsafe fn run(&self, call: Call<'_>) -> Result<()> {
        let range = call.piece(self.ty.len());
        let skip = range.start * self.ty.dtype.size();
        let stride = self.ty.bytes().next_multiple_of(ALIGN);
        let (terms, out) = (call.inputs[0].wrapping_add(skip), call.outputs[0].wrapping_add(skip));
        let (tasks, len) = (self.tasks, range.len());
        // SAFETY: the range lies within the value, and within every task's term, by the caller's contract.
        unsafe {
            match self.ty.dtype {
                DType::F32 => {
                    let stride = stride / size_of::<f32>();
                    dispatch(self.isa, TreeOfFloats { terms: terms.cast(), stride, tasks, out: out.cast(), len });
                }
                DType::I64 => integers(terms, stride, tasks, std::slice::from_raw_parts_mut(out.cast(), len), add_i64),
                _ => integers(terms, stride, tasks, std::slice::from_raw_parts_mut(out.cast(), len), add_i32),
            }
        }
        Ok(())
    }

    fn describe(&self) -> String {
        format!("sum of {} terms", self.tasks)
    }
}

/// Integers wrap, and have one sum in any order.
///
/// # Safety
/// Terms `stride` bytes apart are as long as `out`.
unsafe fn integers<T: Copy>(terms: *const u8, stride: usize, tasks: usize, out: &mut [T], add: fn(&mut [T], &[T])) {
    let len = out.len();
    // SAFETY: by contract.
    let term = |task: usize| unsafe { slice::<T>(terms.wrapping_add(task * stride), len) };
    out.copy_from_slice(term(0));
    (1..tasks).for_each(|task| add(out, term(task)));
}

/// The sum of `tasks` terms of `len` floats, `stride` apart. Made only with such pointers.
struct TreeOfFloats {
    terms: *const f32,
    stride: usize,
    tasks: usize,
    out: *mut f32,
    len: usize,
}

impl simd::Kernel for TreeOfFloats {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        match self.tasks {
            1 => self.sum::<S, One>(s),
            2 => self.sum::<S, Two>(s),
            3 => self.sum::<S, Three>(s),
            4 => self.sum::<S, Four>(s),
            5 => self.sum::<S, Five>(s),
            6 => self.sum::<S, Six>(s),
            7 => self.sum::<S, Seven>(s),
            8 => self.sum::<S, Eight>(s),
            9 => self.sum::<S, Both<Five, Four>>(s),
            10 => self.sum::<S, Both<Five, Five>>(s),
            11 => self.sum::<S, Both<Six, Five>>(s),
            12 => self.sum::<S, Both<Six, Six>>(s),
            13 => self.sum::<S, Both<Seven, Six>>(s),
            14 => self.sum::<S, Both<Seven, Seven>>(s),
            15 => self.sum::<S, Both<Eight, Seven>>(s),
            MAX_TERMS => self.sum::<S, Both<Eight, Eight>>(s),
            n => unreachable!("{n} terms of a sum, of at most {MAX_TERMS}"),
        }
    }
}

impl TreeOfFloats {
    #[inline(always)]
    fn sum<S: Simd, T: Terms>(&self, s: S) {
        for i in (0..self.len).step_by(S::LANES) {
            let n = S::LANES.min(self.len - i);
            // SAFETY: as the type says.
            unsafe { store(s, self.out.add(i), T::sum(s, self.terms.add(i), self.stride, n), n) }
        }
    }
}

/// The tree of a number of terms, all of it in registers.
trait Terms {
    const COUNT: usize;

    /// # Safety
    /// `COUNT` terms, `stride` apart, of `n <= LANES` floats are readable.
    unsafe fn sum<S: Simd>(s: S, p: *const f32, stride: usize, n: usize) -> S::F;
}

struct One;

impl Terms for One {
    const COUNT: usize = 1;

    #[inline(always)]
    unsafe fn sum<S: Simd>(s: S, p: *const f32, _: usize, n: usize) -> S::F {
        // SAFETY: by contract.
        unsafe { load(s, p, n) }
    }
}

struct Both<A, B>(PhantomData<(A, B)>);

impl<A: Terms, B: Terms> Terms for Both<A, B> {
    const COUNT: usize = A::COUNT + B::COUNT;

    #[inline(always)]
    unsafe fn sum<S: Simd>(s: S, p: *const f32, stride: usize, n: usize) -> S::F {
        // SAFETY: by contract.
        unsafe { s.add(A::sum(s, p, stride, n), B::sum(s, p.add(A::COUNT * stride), stride, n)) }
    }
}

type Two = Both<One, One>;
type Three = Both<Two, One>;
type Four = Both<Two, Two>;
type Five = Both<Three, Two>;
type Six = Both<Three, Three>;
type Seven = Both<Four, Three>;
type Eight = Both<Four, Four>;

#[cfg(test)]
mod tests {
    use super::*;

    /// First half plus second half, as the definition has it.
    fn tree(terms: &[f32]) -> f32 {
        if let [x] = terms {
            return *x;
        }
        let (a, b) = terms.split_at(terms.len().div_ceil(2));
        tree(a) + tree(b)
    }

    #[test]
    fn terms_are_added_in_the_tree() {
        for isa in Isa::all_present() {
            for tasks in 1..=MAX_TERMS {
                for len in [1, 15, 16, 37, 100] {
                    let stride = (len * 4usize).next_multiple_of(ALIGN);
                    // Of very different sizes, so that any other order has other bits somewhere.
                    let value = |i: usize| ((i * 7919 % 1009) as f32 - 500.3) * (1.7f32).powi((i * 31 % 17) as i32);
                    let terms: Vec<f32> = (0..tasks * stride / 4).map(value).collect();
                    let mut out = vec![f32::NAN; len + 1];
                    let kernel = Combine { isa, ty: Type::f32([len]), tasks };
                    for piece in 0..3 {
                        let (inputs, outputs) = ([terms.as_ptr().cast()], [out.as_mut_ptr().cast()]);
                        let (inputs, outputs) = (&inputs[..], &outputs[..]);
                        let piece = (piece, 3);
                        let call =
                            Call { samples: 1, of: 1, first: 0, piece, inputs, outputs, packed: &[], scratch: &mut [] };
                        // SAFETY: arrays of the type's size, `tasks` of them.
                        unsafe { kernel.run(call).unwrap() };
                    }
                    for i in 0..len {
                        let column: Vec<f32> = (0..tasks).map(|t| terms[t * stride / 4 + i]).collect();
                        assert_eq!(out[i].to_bits(), tree(&column).to_bits(), "{} of {tasks} terms, {i}", isa.name());
                    }
                    assert!(out[len].is_nan(), "nothing past the end is written");
                }
            }
        }
    }

    #[test]
    fn integers_wrap() {
        let terms: Vec<i32> = (0..48).map(|i: i32| i.wrapping_mul(1_234_567_891)).collect();
        let mut out = [0i32; 16];
        let kernel = Combine { isa: Isa::active(), ty: Type { dtype: DType::I32, dims: vec![16] }, tasks: 3 };
        let (inputs, outputs) = (&[terms.as_ptr().cast()][..], &[out.as_mut_ptr().cast()][..]);
        let call = Call { samples: 1, of: 1, first: 0, piece: (0, 1), inputs, outputs, packed: &[], scratch: &mut [] };
        // SAFETY: three terms of 16 numbers, and as many in the result.
        unsafe { kernel.run(call).unwrap() };
        for i in 0..16 {
            assert_eq!(out[i], terms[i].wrapping_add(terms[16 + i]).wrapping_add(terms[32 + i]));
        }
    }
}
