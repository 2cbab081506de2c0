//! Loops that compute values and products in registers and add them to two sums at once. Every operation is rounded on
//! its own and rows are added in the order of [`Fold::columns`](super::fold::Fold::columns): the bits are those of an
//! expression computed beforehand.

use super::run::Part;
use crate::simd::{Isa, Kernel, Simd, dispatch};

/// Values by the element within the part and its column: a vector of `n` lanes, the others of any value.
pub(super) trait Values: Copy {
    /// # Safety
    /// `n <= LANES` elements are readable.
    unsafe fn get<S: Simd>(self, s: S, element: usize, column: usize, n: usize) -> S::F;
}

/// What values are multiplied by.
pub(super) trait Times: Copy {
    /// # Safety
    /// As [`Values::get`].
    unsafe fn times<S: Simd>(self, s: S, value: S::F, element: usize, column: usize, n: usize) -> S::F;
}

/// An input: float32, or bfloat16 if `half`. That is the same for all vectors of a pass, so that a branch costs little.
#[derive(Clone, Copy)]
pub(super) struct Plain {
    pub(super) first: *const u8,
    pub(super) half: bool,
}

#[derive(Clone, Copy)]
pub(super) struct Centred {
    pub(super) x: Plain,
    pub(super) centre: *const f32,
}

#[derive(Clone, Copy)]
pub(super) struct Gated {
    pub(super) gate: Plain,
    pub(super) x: Plain,
}

/// The value itself, for squares.
#[derive(Clone, Copy)]
pub(super) struct Itself;

/// # Safety
/// `n <= LANES` floats are readable.
#[inline(always)]
unsafe fn load<S: Simd>(s: S, p: *const f32, n: usize) -> S::F {
    // SAFETY: by contract.
    unsafe { if n == S::LANES { s.load(p) } else { s.load_partial(p, n) } }
}

impl Values for Plain {
    #[inline(always)]
    unsafe fn get<S: Simd>(self, s: S, element: usize, _: usize, n: usize) -> S::F {
        // SAFETY: by contract.
        unsafe {
            if !self.half {
                return load(s, self.first.cast::<f32>().add(element), n);
            }
            let p = self.first.cast::<u16>().add(element);
            if n == S::LANES { s.load_bf16(p) } else { s.load_bf16_partial(p, n) }
        }
    }
}

impl Values for Centred {
    #[inline(always)]
    unsafe fn get<S: Simd>(self, s: S, element: usize, column: usize, n: usize) -> S::F {
        // SAFETY: by contract.
        unsafe { s.sub(self.x.get(s, element, column, n), load(s, self.centre.add(column), n)) }
    }
}

impl Values for Gated {
    #[inline(always)]
    unsafe fn get<S: Simd>(self, s: S, element: usize, column: usize, n: usize) -> S::F {
        let zero = s.splat(0.0);
        // SAFETY: by contract.
        unsafe {
            let open = s.lt(zero, self.gate.get(s, element, column, n));
            s.select(open, self.x.get(s, element, column, n), zero)
        }
    }
}

impl<V: Values> Times for V {
    #[inline(always)]
    unsafe fn times<S: Simd>(self, s: S, value: S::F, element: usize, column: usize, n: usize) -> S::F {
        // SAFETY: by contract.
        unsafe { s.mul(value, self.get(s, element, column, n)) }
    }
}

impl Times for Itself {
    #[inline(always)]
    unsafe fn times<S: Simd>(self, s: S, value: S::F, _: usize, _: usize, _: usize) -> S::F {
        s.mul(value, value)
    }
}

/// Where a pass runs, and the sums of its values if they are wanted.
#[derive(Clone, Copy)]
pub(super) struct Target {
    pub(super) isa: Isa,
    pub(super) part: Part,
    pub(super) alone: Option<*mut f32>,
}

impl Target {
    /// # Safety
    /// Values have the part's elements, sums its width.
    pub(super) unsafe fn sum<V: Values>(self, value: V) {
        let alone = self.alone.expect("a pass has a result");
        let nothing = std::ptr::null_mut();
        dispatch(
            self.isa,
            Sums::<V, Itself, true, false> { value, times: Itself, alone, product: nothing, part: self.part },
        );
    }

    /// # Safety
    /// As [`Self::sum`].
    pub(super) unsafe fn sums<V: Values, T: Times>(self, value: V, times: T, product: *mut f32) {
        let Self { isa, part, .. } = self;
        if let Some(alone) = self.alone {
            dispatch(isa, Sums::<V, T, true, true> { value, times, alone, product, part });
        } else {
            let alone = std::ptr::null_mut();
            dispatch(isa, Sums::<V, T, false, true> { value, times, alone, product, part });
        }
    }
}

/// Adds values to sums, products to others, or both.
///
/// Made only with values of the part's elements, and with sums of its width where they are wanted.
struct Sums<V, T, const ALONE: bool, const PRODUCT: bool> {
    value: V,
    times: T,
    alone: *mut f32,
    product: *mut f32,
    part: Part,
}

impl<V: Values, T: Times, const ALONE: bool, const PRODUCT: bool> Kernel for Sums<V, T, ALONE, PRODUCT> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Part { stride, width, rows, .. } = self.part;
        let mut row = 0;
        // SAFETY: elements of rows below `rows` and columns below `width`.
        unsafe {
            while row + 4 <= rows {
                let mut i = 0;
                while i + S::LANES <= width {
                    self.four(s, row * stride, i, S::LANES);
                    i += S::LANES;
                }
                if i < width {
                    self.four(s, row * stride, i, width - i);
                }
                row += 4;
            }
            for row in row..rows {
                for i in (0..width).step_by(S::LANES) {
                    self.one(s, row * stride, i, S::LANES.min(width - i));
                }
            }
        }
    }
}

impl<V: Values, T: Times, const ALONE: bool, const PRODUCT: bool> Sums<V, T, ALONE, PRODUCT> {
    /// Four rows, first added among themselves, in pairs.
    ///
    /// # Safety
    /// The part has these `n` columns of four rows from element `at` on.
    #[inline(always)]
    unsafe fn four<S: Simd>(&self, s: S, at: usize, column: usize, n: usize) {
        let stride = self.part.stride;
        let (a, b) = (at + column, at + stride + column);
        let (c, d) = (b + stride, b + 2 * stride);
        // SAFETY: by contract.
        unsafe {
            let p = self.value.get(s, a, column, n);
            let q = self.value.get(s, b, column, n);
            let r = self.value.get(s, c, column, n);
            let t = self.value.get(s, d, column, n);
            if ALONE {
                add(s, self.alone.add(column), s.add(s.add(p, q), s.add(r, t)), n);
            }
            if PRODUCT {
                let p = self.times.times(s, p, a, column, n);
                let q = self.times.times(s, q, b, column, n);
                let r = self.times.times(s, r, c, column, n);
                let t = self.times.times(s, t, d, column, n);
                add(s, self.product.add(column), s.add(s.add(p, q), s.add(r, t)), n);
            }
        }
    }

    /// # Safety
    /// As [`Self::four`], for one row.
    #[inline(always)]
    unsafe fn one<S: Simd>(&self, s: S, at: usize, column: usize, n: usize) {
        // SAFETY: by contract.
        unsafe {
            let p = self.value.get(s, at + column, column, n);
            if ALONE {
                add(s, self.alone.add(column), p, n);
            }
            if PRODUCT {
                add(s, self.product.add(column), self.times.times(s, p, at + column, column, n), n);
            }
        }
    }
}

/// # Safety
/// `sum..sum+n` is valid.
#[inline(always)]
unsafe fn add<S: Simd>(s: S, sum: *mut f32, x: S::F, n: usize) {
    // SAFETY: by contract.
    unsafe {
        if n == S::LANES {
            s.store(sum, s.add(s.load(sum), x));
        } else {
            s.store_partial(sum, s.add(s.load_partial(sum, n), x), n);
        }
    }
}
