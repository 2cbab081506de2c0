//! The register tile: some positions of a line by some vectors of result channels.

use super::{Finish, Line, QuantizedPlan};
use crate::simd::dot::Dot;

/// Result channels whose weights are packed together.
#[derive(Clone, Copy)]
pub(super) struct Block {
    weights: *const i8,
    starts: *const i32,
    /// The first channel, and how many there are; the vectors that hold them.
    pub(super) first: usize,
    pub(super) channels: usize,
    vectors: usize,
}

impl Block {
    /// The block of channels from `first` on, which is a multiple of `most`.
    #[inline(always)]
    pub(super) fn new(plan: &QuantizedPlan, packed: &[u8], first: usize, most: usize, lanes: usize) -> Self {
        let groups = plan.runs.len() * plan.groups;
        let channels = most.min(plan.cout - first);
        // Weights of the channels before: four for each group.
        let weights = packed.as_ptr().wrapping_add(groups * 4 * first).cast();
        let starts = packed[plan.weights_len()..].as_ptr().cast::<i32>().wrapping_add(first);
        Self { weights, starts, first, channels, vectors: channels.div_ceil(lanes) }
    }
}

/// All positions of a line, as equally cut into tiles as can be.
///
/// # Safety
/// Runs of every position are readable, to whole groups; `finish` has places for the line's results.
#[inline(always)]
pub(super) unsafe fn line<D: Dot>(d: D, plan: &QuantizedPlan, block: Block, line: Line, finish: Finish<'_>) {
    let (most, _) = D::TILE;
    let tiles = line.count.div_ceil(most);
    let mut done = 0;
    for t in 0..tiles {
        let count = line.count * (t + 1) / tiles - done;
        let source = line.source.wrapping_add(done * line.step);
        let part = Line { source, first: line.first + done, count, ..line };
        // SAFETY: as the whole line.
        unsafe {
            match block.vectors {
                1 => sized::<D, 1>(d, plan, block, part, finish),
                _ => sized::<D, 2>(d, plan, block, part, finish),
            }
        }
        done += count;
    }
}

/// A tile of the line's number of positions.
#[inline(always)]
unsafe fn sized<D: Dot, const V: usize>(d: D, plan: &QuantizedPlan, block: Block, line: Line, finish: Finish<'_>) {
    macro_rules! tiles {
        ($($p:literal)+) => {
            match line.count {
                // SAFETY: passed on; a tile has no more positions than the instruction set's.
                $($p if $p <= D::TILE.0 => unsafe { tile::<D, $p, V>(d, plan, block, line, finish) },)+
                count => unreachable!("a tile of {count} positions"),
            }
        };
    }
    tiles!(1 2 3 4 5 6 7 8);
}

/// `P` positions by `V` vectors.
///
/// # Safety
/// As [`line`], for `P` positions and a block of `V` vectors.
#[inline(always)]
unsafe fn tile<D: Dot, const P: usize, const V: usize>(
    d: D,
    plan: &QuantizedPlan,
    block: Block,
    line: Line,
    finish: Finish<'_>,
) {
    // SAFETY: starts and weights of a block are packed for whole vectors; sources by contract.
    let sums = unsafe {
        // Loops, not closures, which would be functions of their own without the instruction set.
        let mut start = [d.load_sums(block.starts); V];
        for (v, start) in start.iter_mut().enumerate() {
            *start = d.load_sums(block.starts.add(v * D::LANES));
        }
        let mut sums = [start; P];
        let mut weights = block.weights;
        for &run in &plan.runs {
            let mut source = line.source.add(run);
            for _ in 0..plan.groups {
                let mut w = [d.weights(weights); V];
                for (v, w) in w.iter_mut().enumerate() {
                    *w = d.weights(weights.add(v * 4 * D::LANES));
                }
                for (p, sums) in sums.iter_mut().enumerate() {
                    let x = d.bytes(source.add(p * line.step));
                    for (sum, w) in sums.iter_mut().zip(w) {
                        *sum = d.dot(*sum, x, w);
                    }
                }
                weights = weights.add(V * 4 * D::LANES);
                source = source.add(4);
            }
        }
        sums
    };
    for (p, sums) in sums.iter().enumerate() {
        for (v, sum) in sums.iter().enumerate() {
            let channel = block.first + v * D::LANES;
            let lanes = D::LANES.min(block.first + block.channels - channel);
            let at = (line.first + p) * plan.cout + channel;
            // SAFETY: `lanes` results from `at` on are the position's own, in channels that exist.
            unsafe {
                match finish {
                    Finish::Sums(out) if lanes == D::LANES => d.store_sums(out.add(at), *sum),
                    Finish::Sums(out) => {
                        let mut whole = [0; 16];
                        d.store_sums(whole.as_mut_ptr(), *sum);
                        out.add(at).copy_from_nonoverlapping(whole.as_ptr(), lanes);
                    }
                    Finish::Requantize(r) => r.put(d, *sum, at, channel, lanes),
                }
            }
        }
    }
}
