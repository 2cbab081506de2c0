//! Windows that tile their input: average pooling as networks use it, and its gradient. Rows of windows lie at the same
//! distances everywhere, so that nothing is tested for edges.

use super::{Walk, load, store};
use crate::simd::{Kernel, Simd};

impl Walk {
    /// Whether windows tile the input.
    pub(super) fn tiles(&self) -> bool {
        (0..3).all(|a| {
            self.low[a] == 0 && self.stride[a] == self.size[a] && self.input[a] == self.output[a] * self.size[a]
        })
    }

    /// Calls `visit(first input position, first window)` for each row of windows of `n` samples, in order.
    #[inline(always)]
    fn rows_of_windows(&self, n: usize, mut visit: impl FnMut(usize, usize)) {
        let ([_, in1, in2], [size0, size1, _]) = (self.input, self.size);
        let mut window = 0;
        for sample in 0..n {
            for o0 in 0..self.output[0] {
                for o1 in 0..self.output[1] {
                    visit(sample * self.inputs() + (o0 * size0 * in1 + o1 * size1) * in2, window);
                    window += self.output[2];
                }
            }
        }
    }

    /// Positions from a row of windows to the end of its last row of the input.
    fn span(&self) -> usize {
        ((self.size[0] - 1) * self.input[1] + self.size[1]) * self.input[2]
    }
}

/// Sums of windows.
pub(super) struct Sums<'a> {
    pub(super) walk: &'a Walk,
    pub(super) c: usize,
    pub(super) x: &'a [f32],
    pub(super) y: &'a mut [f32],
}

impl Kernel for Sums<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Self { walk, c, x, y } = self;
        // What vectors read and write past the last channel.
        let past = c.next_multiple_of(S::LANES) - c;
        walk.rows_of_windows(
            y.len() / (walk.outputs() * c).max(1),
            #[inline(always)]
            |position, window| {
                let (x, y) = (&x[position * c..], &mut y[window * c..]);
                if walk.span() * c + past <= x.len() && walk.output[2] * c + past <= y.len() {
                    row::<S, true>(s, walk, c, x, y);
                } else {
                    row::<S, false>(s, walk, c, x, y);
                }
            },
        );
    }
}

/// Sums of a row of windows that start where `x` and `y` do, which have room for whole vectors if `FITS`. Windows go in
/// order: what lanes without a channel overwrite is written after.
#[inline(always)]
fn row<S: Simd, const FITS: bool>(s: S, walk: &Walk, c: usize, x: &[f32], y: &mut [f32]) {
    let ([_, in1, in2], [size0, size1, size2]) = (walk.input, walk.size);
    for window in 0..walk.output[2] {
        for ch in (0..c).step_by(S::LANES) {
            let mut sum = s.splat(0.0);
            for k0 in 0..size0 {
                for k1 in 0..size1 {
                    let row = ((k0 * in1 + k1) * in2 + window * size2) * c + ch;
                    for k2 in 0..size2 {
                        let x = &x[row + k2 * c..];
                        // SAFETY: there is room for whole vectors.
                        sum = s.add(sum, if FITS { unsafe { s.load(x.as_ptr()) } } else { load(s, x) });
                    }
                }
            }
            let y = &mut y[window * c + ch..];
            if FITS {
                // SAFETY: there is room for whole vectors.
                unsafe { s.store(y.as_mut_ptr(), sum) };
            } else {
                store(s, y, sum);
            }
        }
    }
}

/// Copies of values to all positions of their windows.
pub(super) struct Copies<'a> {
    pub(super) walk: &'a Walk,
    pub(super) c: usize,
    pub(super) g: &'a [f32],
    pub(super) y: &'a mut [f32],
}

impl Kernel for Copies<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Self { walk, c, g, y } = self;
        let ([_, in1, in2], [size0, size1, size2]) = (walk.input, walk.size);
        let past = c.next_multiple_of(S::LANES) - c;
        walk.rows_of_windows(
            y.len() / (walk.inputs() * c).max(1),
            #[inline(always)]
            |position, window| {
                // The first row of the windows, then copies of it. What its last vector writes past its end is written
                // after, by a copy or the next row of windows, unless that one is a copy in another plane.
                let fits = (position + in2) * c + past <= y.len()
                    && (window + walk.output[2]) * c + past <= g.len()
                    && (size1 > 1 || size0 == 1);
                let (mut to, end) = (position * c, (position + in2) * c);
                for o2 in 0..walk.output[2] {
                    for _ in 0..size2 {
                        for ch in (0..c).step_by(S::LANES) {
                            let (from, to) = ((window + o2) * c + ch, to + ch);
                            // SAFETY: the value's channels lie inside `g`, its positions inside `y`, and all that
                            // vectors read and write too if they fit.
                            unsafe {
                                if fits {
                                    s.store(y.as_mut_ptr().add(to), s.load(g.as_ptr().add(from)));
                                } else {
                                    store(s, &mut y[to..end], load(s, &g[from..]));
                                }
                            }
                        }
                        to += c;
                    }
                }
                for k in 1..size0 * size1 {
                    let row = position + (k / size1 * in1 + k % size1) * in2;
                    y.copy_within(position * c..(position + in2) * c, row * c);
                }
            },
        );
    }
}
