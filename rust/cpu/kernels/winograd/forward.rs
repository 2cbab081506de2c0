//! Runs a plan: blocks of tiles through the source transform, 36 matrix products and the result transform, all of it
//! in the L2 cache.

use super::WinogradPlan;
use super::product::{Left, Right, height, product};
use super::transform::{POINTS, Patch, SPAN, TILE, Target, result_tile, spread};
use crate::kernels::direct::Epilogue;
use crate::kernels::direct::pooled::MaxOfFour;
use crate::kernels::direct::tile::{Sink, Store};
use crate::simd::{Kernel, Simd, dispatch};
use oxiconv_ir::Seat;

impl WinogradPlan {
    /// Computes `n` samples: `a` is `x` for `Seat::Output` and `dy` for `Seat::Input`, `b` the packed kernel; the bits
    /// of a sample's result do not depend on the others. For `Seat::Kernel`, `a` is `x`, `b` is `dy`, and `out` is
    /// overwritten with the sum over the samples, in an order that depends on their number alone.
    ///
    /// # Panics
    /// If a length is not that of the plan, the plan pools, or a kernel's gradient is given an epilogue.
    pub fn run(&self, n: usize, a: &[f32], b: &[f32], out: &mut [f32], epilogue: &Epilogue, scratch: &mut [f32]) {
        assert!(!self.pools, "a pooling plan runs with run_pooled");
        if self.solve == Seat::Kernel {
            assert!(epilogue.is_none(), "a kernel gradient takes no epilogue: {self:?}");
            return self.kernel_gradient(n, a, b, out, scratch);
        }
        assert_eq!(out.len(), n * self.out_len(), "result of {self:?}");
        epilogue.check(self.channels.1, out.len());
        self.enter(n, a, b, Store::new(out.as_mut_ptr(), epilogue, 0), epilogue, scratch);
    }

    /// Computes `n` samples and pools them: the maxima, and which of its window's four positions each is.
    ///
    /// # Panics
    /// As [`WinogradPlan::run`], if the plan does not pool.
    pub fn run_pooled(
        &self,
        n: usize,
        x: &[f32],
        packed: &[f32],
        values: &mut [f32],
        index: &mut [u8],
        epilogue: &Epilogue,
        scratch: &mut [f32],
    ) {
        assert!(self.pools, "a plan without pooling runs with run");
        assert_eq!([values.len(), index.len()], [n * self.out_len(); 2], "maxima of {self:?}");
        assert!(!epilogue.is_elementwise(), "before it is pooled, a result meets biases alone: {self:?}");
        let sink = MaxOfFour { values: values.as_mut_ptr(), index: index.as_mut_ptr() };
        self.enter(n, x, packed, sink, epilogue, scratch);
    }

    fn enter<K: Sink>(&self, n: usize, a: &[f32], packed: &[f32], sink: K, epilogue: &Epilogue, scratch: &mut [f32]) {
        assert_eq!(a.len(), n * self.source_len(), "source of {self:?}");
        assert_eq!(packed.len(), self.packed_len(), "packed kernel of {self:?}");
        assert!(scratch.len() >= self.scratch_len(), "scratch: {} of {}", scratch.len(), self.scratch_len());
        if let Some(bias) = epilogue.bias {
            assert_eq!(bias.len(), self.channels.1, "bias of {self:?}");
        }
        let (zeros, rest) = scratch.split_at_mut(self.zeros_len());
        let (points, sums) = rest.split_at_mut(POINTS * self.point().0);
        zeros.fill(0.0);
        let job = Job { plan: self, n, source: a.as_ptr(), packed, epilogue: *epilogue, sink, zeros, points, sums };
        dispatch(self.isa, job);
    }
}

/// One call. The lengths of what it points to were asserted.
struct Job<'a, K> {
    plan: &'a WinogradPlan,
    n: usize,
    source: *const f32,
    packed: &'a [f32],
    epilogue: Epilogue<'a>,
    sink: K,
    zeros: &'a [f32],
    points: &'a mut [f32],
    sums: &'a mut [f32],
}

impl<K: Sink> Kernel for Job<'_, K> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Self { plan, n, source, packed, epilogue, sink, zeros, points, sums } = self;
        let (points, sums) = (points.as_mut_ptr(), sums.as_mut_ptr());
        let ((depth, channels), rows, point) = (plan.channels, plan.padded(), plan.point());
        for (first, here) in plan.blocks(n) {
            for (t, (sample, at)) in plan.tiles(first, here).enumerate() {
                let sample = source.wrapping_add(sample * plan.source_len());
                let patch = Patch::<SPAN>::new(sample, plan.source, depth, at, plan.low, zeros.as_ptr());
                // SAFETY: the sample has the plan's sizes; a tile's row at each point lies in the scratch.
                unsafe { spread(s, &patch, depth, points.add(t * rows.0), point.0) };
            }
            // Results go to memory that was last touched long ago: its lines arrive while the products are computed.
            let mut expected = plan.tiles(first, here).flat_map(|tile| (0..TILE).map(move |row| (tile, row)));
            for p in 0..POINTS {
                for (tile, row) in expected.by_ref().take((here * TILE).div_ceil(POINTS)) {
                    plan.expect(sink, tile, row);
                }
                // SAFETY: `here` rows, up to the height of a register tile, at each point of the scratch; the packed
                // kernel has a matrix for each point.
                unsafe {
                    let kernel = packed.as_ptr().add(p * depth * rows.1);
                    multiply(s, here, depth, points.add(p * point.0), rows.0, kernel, sums.add(p * point.1), rows.1);
                }
            }
            for (t, tile) in plan.tiles(first, here).enumerate() {
                let (first, left) = plan.place::<K>(tile);
                let step = [plan.result[1] / K::SHRINK * channels, channels];
                let target = Target::new(first, step, left, K::SHRINK);
                // SAFETY: the tile's sums were just written; offsets that exist lie in the result.
                unsafe {
                    let from = sums.add(t * rows.1);
                    result_tile(s, from, point.1, channels, epilogue.bias, epilogue.relu, sink, &target);
                }
            }
        }
    }
}

/// What tiles need to know of where their results go.
trait Shrinks: Sink {
    /// Positions of the convolution's result along an axis that make one of the sink's.
    const SHRINK: usize = if Self::UNIT == 1 { 1 } else { 2 };
}

impl<K: Sink> Shrinks for K {}

impl WinogradPlan {
    /// Offset of the first result of a tile, and how many results there are from it along each axis.
    #[inline(always)]
    fn place<K: Sink>(&self, (sample, at): (usize, [usize; 2])) -> (usize, [usize; 2]) {
        let (size, at) = (self.result.map(|r| r / K::SHRINK), at.map(|a| a / K::SHRINK));
        let first = ((sample * size[0] + at[0]) * size[1] + at[1]) * self.channels.1;
        (first, [size[0].saturating_sub(at[0]), size[1].saturating_sub(at[1])])
    }

    /// Asks for the memory of a row of a tile's results.
    #[inline(always)]
    fn expect<K: Sink>(&self, sink: K, tile: (usize, [usize; 2]), row: usize) {
        let (first, [rows, columns]) = self.place::<K>(tile);
        if row < rows.min(TILE / K::SHRINK) {
            let at = first + row * (self.result[1] / K::SHRINK) * self.channels.1;
            sink.expect(at, columns.min(TILE / K::SHRINK) * self.channels.1);
        }
    }
}

/// `sums[rows, width] = points[rows, depth] · kernel`, by blocks of two vectors. Rows of `points` and of `sums` after
/// the last are read and written, up to the height of a register tile.
///
/// # Safety
/// So many rows are readable in `points` and writable in `sums`; `kernel` holds `depth · width`.
#[inline(always)]
unsafe fn multiply<S: Simd>(
    s: S,
    rows: usize,
    depth: usize,
    points: *const f32,
    points_row: usize,
    kernel: *const f32,
    sums: *mut f32,
    width: usize,
) {
    let mut first = 0;
    while first < width {
        let vectors = if first + 2 * S::LANES <= width { 2 } else { 1 };
        let mut row = 0;
        while row < rows {
            let height = height::<S>(rows - row);
            // SAFETY: by contract.
            unsafe {
                let left = Left { from: points.add(row * points_row), row: points_row, term: 1 };
                let right = Right { from: kernel.add(first * depth), term: vectors * S::LANES };
                product(s, [height, vectors], depth, left, right, sums.add(row * width + first), width);
            }
            row += height;
        }
        first += vectors * S::LANES;
    }
}
