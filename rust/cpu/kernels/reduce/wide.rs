//! Reductions of 64-bit integers: rare, and exact in any order, so a plain walk.

use super::{MAX_GROUPS, MAX_SUMS, ReduceKernel, Reduction, Source, outputs};
use crate::kernels::map::Series;
use oxiconv_ir::DType;

/// Values computed at a time.
const PIECE: usize = 512;
/// Floats per value, and those that align a piece to it.
const WIDTH: usize = 2;

impl ReduceKernel {
    pub(super) fn wide_scratch_len(&self) -> usize {
        self.source_len() + (self.results * PIECE + 1) * WIDTH
    }

    /// # Safety
    /// As [`ReduceKernel::run`].
    #[allow(clippy::cast_ptr_alignment, reason = "inputs and outputs are aligned to their types by contract")]
    pub(super) unsafe fn run_wide(&self, n: usize, inputs: &[*const u8], outs: &[*mut u8], scratch: &mut [f32]) {
        assert_eq!(self.dtype, DType::I64, "reductions of int64 give int64");
        let sizes = self.sizes(n);
        let sizes = &sizes[..self.groups.len()];
        let (identity, combine): (i64, fn(i64, i64) -> i64) = match self.reduction {
            Reduction::Sum => (0, i64::wrapping_add),
            Reduction::Max => (i64::MIN, i64::max),
        };
        // Steps of the output per group: none along those that vanish.
        let mut steps = [0; MAX_GROUPS];
        let mut step = 1;
        for (i, _) in self.groups.iter().enumerate().rev().filter(|(_, g)| !g.vanishes) {
            steps[i] = step;
            step *= sizes[i];
        }
        // SAFETY: each output holds one element per kept position.
        let result =
            |out: *mut u8| unsafe { std::slice::from_raw_parts_mut(out.cast::<i64>(), outputs(sizes, &self.groups)) };
        for &out in outs {
            result(out).fill(identity);
        }
        let (piece, map) = scratch.split_at_mut((self.results * PIECE + 1) * WIDTH);
        let piece = piece.as_mut_ptr();
        let piece = piece.wrapping_add(piece.align_offset(size_of::<i64>()).min(1)).cast::<i64>();
        let pieces: [*mut u8; MAX_SUMS] = std::array::from_fn(|k| piece.wrapping_add(k * PIECE).cast());
        let total: usize = sizes.iter().product();
        let mut series = Series::of(total);
        for start in (0..total).step_by(PIECE) {
            let len = PIECE.min(total - start);
            let values = match &self.source {
                Source::Input(i) => inputs[*i].cast::<i64>().wrapping_add(start),
                Source::Map(m) => {
                    // SAFETY: passed on; each piece holds `len` values.
                    unsafe { m.run_range(start, len, inputs, &pieces[..outs.len()], map, &mut series) };
                    piece.cast_const()
                }
                Source::Passes(_) => unreachable!("these are sums of floats"),
            };
            for (k, &out) in outs.iter().enumerate() {
                let out = result(out);
                for i in 0..len {
                    let (mut rest, mut at) = (start + i, 0);
                    for g in (0..sizes.len()).rev() {
                        at += rest % sizes[g] * steps[g];
                        rest /= sizes[g];
                    }
                    // SAFETY: `len` values of each expression are readable.
                    out[at] = combine(out[at], unsafe { *values.add(k * PIECE + i) });
                }
            }
        }
    }
}
