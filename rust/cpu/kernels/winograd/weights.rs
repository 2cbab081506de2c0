//! The kernel's gradient: source and result's gradient are transformed, multiplied and summed over tiles at the 36
//! points, and the sums transformed to nine taps.

use super::WinogradPlan;
use super::product::{HEIGHT, Left, Right, height, product};
use super::transform::{POINTS, Patch, SPAN, TILE, kernel_taps, spread};
use crate::kernels::direct::tile::{load_channels, store_channels};
use crate::simd::{Kernel, Simd, dispatch};

impl WinogradPlan {
    /// Floats of scratch for a register tile's sums at all points.
    pub(super) fn sums_len(&self) -> usize {
        POINTS * (HEIGHT * 2 * self.isa.lanes() + 16)
    }

    /// Overwrites `out` (`[3, 3, cin, cout]`) with the kernel's gradient summed over `n` samples.
    pub(super) fn kernel_gradient(&self, n: usize, x: &[f32], dy: &[f32], out: &mut [f32], scratch: &mut [f32]) {
        let (cin, cout) = self.channels;
        assert_eq!(x.len(), n * self.source_len(), "x of {self:?}");
        assert_eq!(dy.len(), n * self.out_len(), "dy of {self:?}");
        assert_eq!(out.len(), 9 * cin * cout, "kernel of {self:?}");
        assert!(scratch.len() >= self.scratch_len(), "scratch: {} of {}", scratch.len(), self.scratch_len());
        if n == 0 {
            out.fill(0.0);
            return;
        }
        let (zeros, rest) = scratch.split_at_mut(self.zeros_len());
        let (points, rest) = rest.split_at_mut(POINTS * self.point().0);
        let (gradients, sums) = rest.split_at_mut(POINTS * self.point().1);
        zeros.fill(0.0);
        dispatch(self.isa, Job { plan: self, n, x, dy, out, zeros, points, gradients, sums });
    }
}

/// One call. Lengths were asserted.
struct Job<'a> {
    plan: &'a WinogradPlan,
    n: usize,
    x: &'a [f32],
    dy: &'a [f32],
    out: &'a mut [f32],
    zeros: &'a [f32],
    points: &'a mut [f32],
    gradients: &'a mut [f32],
    sums: &'a mut [f32],
}

impl Kernel for Job<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Self { plan, n, x, dy, out, zeros, points, gradients, sums } = self;
        let ((cin, cout), rows, point) = (plan.channels, plan.padded(), plan.point());
        let (points, gradients, sums) = (points.as_mut_ptr(), gradients.as_mut_ptr(), sums.as_mut_ptr());
        for (first, here) in plan.blocks(n) {
            for (t, (sample, at)) in plan.tiles(first, here).enumerate() {
                let x = x[sample * plan.source_len()..].as_ptr();
                let dy = dy[sample * plan.out_len()..].as_ptr();
                let source = Patch::<SPAN>::new(x, plan.source, cin, at, plan.low, zeros.as_ptr());
                let gradient = Patch::<TILE>::new(dy, plan.result, cout, at, [0; 2], zeros.as_ptr());
                // SAFETY: samples have the plan's sizes; a tile's row at each point lies in the scratch.
                unsafe {
                    spread(s, &source, cin, points.add(t * rows.0), point.0);
                    spread(s, &gradient, cout, gradients.add(t * rows.1), point.1);
                }
            }
            let mut o = 0;
            while o < rows.1 {
                let vectors = if o + 2 * S::LANES <= rows.1 { 2 } else { 1 };
                let width = vectors * S::LANES;
                // A cache line more than the tile takes, as between points in the scratch.
                let sums_point = HEIGHT * width + 16;
                let mut c = 0;
                while c < cin {
                    let height = height::<S>(cin - c);
                    for p in 0..POINTS {
                        // SAFETY: rows have `cin` values up to whole vectors. Tiles go at most 3 beyond `cin`, to
                        // a multiple of 8, 4 or 2: never beyond the vectors.
                        unsafe {
                            let left = Left { from: points.add(p * point.0 + c), row: 1, term: rows.0 };
                            let right = Right { from: gradients.add(p * point.1 + o), term: rows.1 };
                            product(s, [height, vectors], here, left, right, sums.add(p * sums_point), width);
                        }
                    }
                    for i in 0..height.min(cin - c) {
                        for j in 0..vectors {
                            // SAFETY: the sums of the row were just written; `o + j·LANES` is below the channels.
                            unsafe {
                                let taps = kernel_taps(s, sums.add(i * width + j * S::LANES), sums_point);
                                let from = o + j * S::LANES;
                                for (tap, value) in taps.into_iter().enumerate() {
                                    let to = out[(tap * cin + c + i) * cout..][..cout].as_mut_ptr();
                                    let before =
                                        if first > 0 { load_channels(s, to, from, cout) } else { s.splat(0.0) };
                                    store_channels(s, to, s.add(before, value), from, cout);
                                }
                            }
                        }
                    }
                    c += height;
                }
                o += width;
            }
        }
    }
}
