//! Sums and maxima of rows and of columns, the two shapes that all reductions are made of.

use crate::kernels::element::Word;
use crate::simd::{Kernel, Simd};

/// Terms of a row that are summed in one go, in [`LANES`] interleaved sums.
pub(super) const CHUNK: usize = 1024;

/// Interleaved sums of a row, whatever the instruction set: this makes their bits agree.
pub(super) const LANES: usize = 64;

/// An associative operation on words.
pub(super) trait Fold: Copy + 'static {
    type W: Word;
    /// What no words combine to.
    const IDENTITY: Self::W;
    fn combine(a: Self::W, b: Self::W) -> Self::W;

    /// All of up to [`CHUNK`] words combined.
    ///
    /// # Safety
    /// `p..p+n` is readable.
    #[inline(always)]
    unsafe fn row<S: Simd>(_: S, p: *const Self::W, n: usize) -> Self::W {
        // SAFETY: by contract.
        unsafe { (0..n).fold(Self::IDENTITY, |sum, i| Self::combine(sum, *p.add(i))) }
    }

    /// Four rows (or as many as `rows`) combined into `sums`: first among themselves, in pairs.
    ///
    /// # Safety
    /// `sums..sums+width` and that of each row are valid; rows are `stride` apart.
    #[inline(always)]
    unsafe fn columns<S: Simd>(_: S, sums: *mut Self::W, p: *const Self::W, stride: usize, width: usize, rows: usize) {
        for r in 0..rows {
            for i in 0..width {
                // SAFETY: by contract.
                unsafe { *sums.add(i) = Self::combine(*sums.add(i), *p.add(r * stride + i)) }
            }
        }
    }
}

#[derive(Clone, Copy)]
pub(super) struct SumI32;
#[derive(Clone, Copy)]
pub(super) struct MaxI32;
#[derive(Clone, Copy)]
pub(super) struct SumF32;
#[derive(Clone, Copy)]
pub(super) struct MaxF32;

impl Fold for SumI32 {
    type W = i32;
    const IDENTITY: i32 = 0;
    #[inline(always)]
    fn combine(a: i32, b: i32) -> i32 {
        a.wrapping_add(b)
    }
}

impl Fold for MaxI32 {
    type W = i32;
    const IDENTITY: i32 = i32::MIN;
    #[inline(always)]
    fn combine(a: i32, b: i32) -> i32 {
        a.max(b)
    }
}

/// Positions of lanes in a vector.
const POSITIONS: [f32; 16] = [0., 1., 2., 3., 4., 5., 6., 7., 8., 9., 10., 11., 12., 13., 14., 15.];

impl SumF32 {
    /// The first `n` words at `p`; the lanes past them add nothing.
    ///
    /// # Safety
    /// They are readable.
    #[inline(always)]
    unsafe fn padded<S: Simd>(s: S, p: *const f32, n: usize) -> S::F {
        // SAFETY: by contract; the other lanes are zero.
        unsafe { s.load_partial(p, n) }
    }
}

impl MaxF32 {
    /// The first `n` words at `p`; the lanes past them are below all.
    ///
    /// # Safety
    /// They are readable.
    #[inline(always)]
    unsafe fn padded<S: Simd>(s: S, p: *const f32, n: usize) -> S::F {
        // SAFETY: by contract; positions are as many as the lanes of the widest vector.
        unsafe {
            let inside = s.lt(s.load(POSITIONS.as_ptr()), s.splat(n as f32));
            s.select(inside, s.load_partial(p, n), s.splat(Self::IDENTITY))
        }
    }
}

/// The vector forms of an f32 operation: on two vectors, and across one.
macro_rules! vector_fold {
    (|$s:ident, $a:ident, $b:ident| $combine:expr, |$x:ident| $across:expr) => {
        #[inline(always)]
        unsafe fn row<S: Simd>($s: S, p: *const f32, n: usize) -> f32 {
            const { assert!(S::LANES >= 4 && LANES.is_multiple_of(S::LANES)) };
            if n < S::LANES {
                // SAFETY: `n` words are readable.
                let $x = unsafe { Self::padded($s, p, n) };
                return $across;
            }
            let vectors = LANES / S::LANES;
            let mut sums = [$s.splat(Self::IDENTITY); LANES / 4];
            let mut done = 0;
            // SAFETY: `done` stays below `n`.
            unsafe {
                while done + LANES <= n {
                    for j in 0..vectors {
                        let ($a, $b) = (sums[j], $s.load(p.add(done + j * S::LANES)));
                        sums[j] = $combine;
                    }
                    done += LANES;
                }
                for j in 0..vectors {
                    let ($a, $b) = if done + S::LANES <= n {
                        (sums[j], $s.load(p.add(done)))
                    } else if done < n {
                        (sums[j], Self::padded($s, p.add(done), n - done))
                    } else {
                        break;
                    };
                    sums[j] = $combine;
                    done += S::LANES;
                }
            }
            // Halves of the lanes onto each other, from one vector on within it.
            let mut half = vectors / 2;
            while half > 0 {
                for j in 0..half {
                    let ($a, $b) = (sums[j], sums[j + half]);
                    sums[j] = $combine;
                }
                half /= 2;
            }
            let $x = sums[0];
            $across
        }

        #[inline(always)]
        unsafe fn columns<S: Simd>($s: S, sums: *mut f32, p: *const f32, stride: usize, width: usize, rows: usize) {
            let mut row = 0;
            // SAFETY: rows below `rows` and columns below `width` are readable, sums writable, by contract.
            unsafe {
                while row + 4 <= rows {
                    let p = p.add(row * stride);
                    let mut i = 0;
                    while i + S::LANES <= width {
                        let ($a, $b) = ($s.load(p.add(i)), $s.load(p.add(stride + i)));
                        let first = $combine;
                        let ($a, $b) = ($s.load(p.add(2 * stride + i)), $s.load(p.add(3 * stride + i)));
                        let ($a, $b) = (first, $combine);
                        let ($a, $b) = ($s.load(sums.add(i)), $combine);
                        $s.store(sums.add(i), $combine);
                        i += S::LANES;
                    }
                    for i in i..width {
                        let pair = |r: usize| Self::combine(*p.add(r * stride + i), *p.add((r + 1) * stride + i));
                        *sums.add(i) = Self::combine(*sums.add(i), Self::combine(pair(0), pair(2)));
                    }
                    row += 4;
                }
                for row in row..rows {
                    let p = p.add(row * stride);
                    let mut i = 0;
                    while i + S::LANES <= width {
                        let ($a, $b) = ($s.load(sums.add(i)), $s.load(p.add(i)));
                        $s.store(sums.add(i), $combine);
                        i += S::LANES;
                    }
                    for i in i..width {
                        *sums.add(i) = Self::combine(*sums.add(i), *p.add(i));
                    }
                }
            }
        }
    };
}

impl Fold for SumF32 {
    type W = f32;
    const IDENTITY: f32 = 0.0;
    #[inline(always)]
    fn combine(a: f32, b: f32) -> f32 {
        a + b
    }
    vector_fold!(|s, a, b| s.add(a, b), |x| s.reduce_add(x));
}

impl Fold for MaxF32 {
    type W = f32;
    const IDENTITY: f32 = f32::NEG_INFINITY;
    #[inline(always)]
    fn combine(a: f32, b: f32) -> f32 {
        if a > b || a.is_nan() { a } else { b }
    }
    // The instruction gives `b` where either is NaN: right unless only `a` is.
    vector_fold!(|s, a, b| s.select(s.eq(a, a), s.max(a, b), a), |x| {
        let nans = s.reduce_add(s.select(s.eq(x, x), s.splat(0.0), s.splat(1.0)));
        if nans > 0.0 { f32::NAN } else { s.reduce_max(x) }
    });
}

/// Combines each of `count` rows of `len <= CHUNK` words.
///
/// Made only with `p` and `out` valid for that.
pub(super) struct Rows<F: Fold> {
    pub(super) p: *const F::W,
    pub(super) len: usize,
    pub(super) count: usize,
    pub(super) out: *mut F::W,
}

impl<F: Fold> Kernel for Rows<F> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        for r in 0..self.count {
            // SAFETY: as the type says.
            unsafe { self.out.add(r).write(F::row(s, self.p.add(r * self.len), self.len)) }
        }
    }
}

/// Combines `rows` rows of `width` words, `stride` apart, into `sums`.
///
/// Made only with `p` and `sums` valid for that.
pub(super) struct Columns<F: Fold> {
    pub(super) sums: *mut F::W,
    pub(super) p: *const F::W,
    pub(super) stride: usize,
    pub(super) width: usize,
    pub(super) rows: usize,
}

impl<F: Fold> Kernel for Columns<F> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        // SAFETY: as the type says.
        unsafe { F::columns(s, self.sums, self.p, self.stride, self.width, self.rows) }
    }
}
