//! A pass with its offsets resolved: which positions sum which runs of source channels.
//!
//! A pass is either one region that reads a haloed copy of the sample, or several that read the sample itself: the
//! positions of a region have the same taps inside the sample and skip the others, which would only meet zeros.

use super::geometry::{Geometry, Pass};
use super::pack::Block;
use super::tile::finish;
use std::collections::BTreeMap;

/// FMA slots per channel below which a tile waits for its own sums: four cycles of two units.
const LATENCY: usize = 8;

/// FMA slots in the time of a region's calls, about fifty nanoseconds.
const CALLS: usize = 300;

/// Source channels that follow each other in memory, as do their packed weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Run {
    /// Offset from a position's own; negative for taps before the position.
    pub(super) source: isize,
    /// First row of packed weights.
    pub(super) row: usize,
}

/// Positions that sum the same runs.
#[derive(Debug)]
pub(super) struct Region {
    /// None where no tap reaches.
    pub(super) runs: Vec<Run>,
    /// Channels per run.
    pub(super) run: usize,
    /// Source and result offset of each position of a sample; none for matrix rows, and where pooling has its own.
    pub(super) positions: Vec<[u32; 2]>,
}

/// One pass of a plan.
#[derive(Debug)]
pub(super) struct Gather {
    pub(super) regions: Vec<Region>,
    /// Kernel positions of the taps in packed order.
    pub(super) taps: Vec<usize>,
    /// Rows of packed weights per block: taps by source channels.
    pub(super) depth: usize,
    /// Where the pass's packed weights start.
    pub(super) packed: usize,
    /// Floats in the packed weights of one group.
    pub(super) group_len: usize,
}

/// Offsets of a sample fit 32 bits.
pub(super) fn narrow(offset: usize) -> u32 {
    u32::try_from(offset).expect("convolution: expected samples of at most 2^32 elements")
}

/// A tap of a pass and its offset from a position's own.
struct Step {
    source: isize,
    at: [usize; 3],
    kernel: usize,
}

impl Gather {
    /// One region over the haloed sample, or the sample itself where there is no halo. Positions are left out where
    /// the caller has its own.
    pub(super) fn whole(geometry: &Geometry, pass: &Pass, with_positions: bool) -> Self {
        let offset = |at| geometry.halo.offset(at) as isize;
        let steps = steps(pass, offset);
        let (runs, run) = runs(geometry, &steps, |_| true);
        let mut positions = Vec::new();
        if with_positions {
            each_position(geometry, pass, |i, result| {
                let source = geometry.halo.offset(std::array::from_fn(|a| pass.step[a] * i[a]));
                positions.push([narrow(source), narrow(result)]);
            });
        }
        Self::new(geometry, steps, vec![Region { runs, run, positions }])
    }

    /// Regions over the sample itself.
    pub(super) fn split(geometry: &Geometry, pass: &Pass) -> Self {
        let halo = &geometry.halo;
        let strides = [halo.sample[1] * halo.sample[2], halo.sample[2], 1].map(|s| s * halo.channels);
        let before: usize = (0..3).map(|a| halo.low[a] * strides[a]).sum();
        let offset = |at: [usize; 3]| (0..3).map(|a| at[a] * strides[a]).sum::<usize>();
        let steps = steps(pass, |at| offset(at) as isize - before as isize);
        let mut regions: BTreeMap<[(usize, usize); 3], Vec<[u32; 2]>> = BTreeMap::new();
        let inside = inside(geometry, pass);
        each_position(geometry, pass, |i, result| {
            let source = offset(std::array::from_fn(|a| pass.step[a] * i[a]));
            let region = std::array::from_fn(|a| inside[a][i[a]]);
            regions.entry(region).or_default().push([narrow(source), narrow(result)]);
        });
        let region = |(inside, positions): ([(usize, usize); 3], _)| {
            let valid = |s: &Step| (0..3).all(|a| inside[a].0 <= s.at[a] && s.at[a] < inside[a].1);
            let (runs, run) = runs(geometry, &steps, valid);
            Region { runs, run, positions }
        };
        let regions = regions.into_iter().map(region).collect();
        Self::new(geometry, steps, regions)
    }

    fn new(geometry: &Geometry, steps: Vec<Step>, regions: Vec<Region>) -> Self {
        let depth = steps.len() * geometry.source_channels;
        Self { regions, taps: steps.into_iter().map(|s| s.kernel).collect(), depth, packed: 0, group_len: 0 }
    }

    /// Places the packed weights after `packed` floats of other passes, and returns the floats until their end.
    pub(super) fn place(&mut self, geometry: &Geometry, blocks: &[Block], packed: usize) -> usize {
        self.packed = packed;
        self.group_len = blocks.iter().map(|b| b.width() * self.depth).sum();
        packed + geometry.groups * self.group_len
    }
}

/// Estimated FMA slots that `regions` take with a block. A tile costs at least what the latency of its sums takes
/// ([`LATENCY`]), a region its calls.
fn slots<'a>(regions: impl Iterator<Item = &'a Region>, block: &Block) -> usize {
    let slots = |mr: usize| (mr * block.nv).max(LATENCY);
    let tiles = |count: usize| {
        let (whole, rest) = (count / block.mr, count % block.mr);
        whole * slots(block.mr) + if rest > 0 { slots(finish(block.mr, block.nv, rest, 1)) } else { 0 }
    };
    let one = |r: &Region| tiles(r.positions.len()) * r.runs.len() * r.run + CALLS;
    regions.filter(|r| !r.runs.is_empty()).map(one).sum()
}

/// Estimated FMA slots that `gathers` take with `blocks`.
pub(super) fn cost(gathers: &[Gather], blocks: &[Block]) -> usize {
    blocks.iter().map(|b| slots(gathers.iter().flat_map(|g| &g.regions), b)).sum()
}

/// The same in lanes, for comparison of blocks of different widths.
pub(super) fn lanes<'a>(regions: &(impl Iterator<Item = &'a Region> + Clone), blocks: &[Block]) -> usize {
    blocks.iter().map(|b| slots(regions.clone(), b) * b.isa.lanes()).sum()
}

/// Per axis and position, the range of `Tap::at` that lies inside the sample, as narrow as the taps make it: equal
/// ranges mean equal taps.
fn inside(geometry: &Geometry, pass: &Pass) -> [Vec<(usize, usize)>; 3] {
    std::array::from_fn(|a| {
        let (low, end) = (geometry.halo.low[a], geometry.halo.low[a] + geometry.halo.sample[a]);
        let range = |i: usize| {
            let valid = |at: &usize| (low..end).contains(&(at + pass.step[a] * i));
            let ats = || pass.taps.iter().map(|t| t.at[a]).filter(valid);
            (ats().min().unwrap_or(0), ats().max().map_or(0, |at| at + 1))
        };
        (0..pass.size[a]).map(range).collect()
    })
}

/// The taps in source order.
fn steps(pass: &Pass, offset: impl Fn([usize; 3]) -> isize) -> Vec<Step> {
    let mut steps: Vec<_> =
        pass.taps.iter().map(|t| Step { source: offset(t.at), at: t.at, kernel: t.kernel }).collect();
    steps.sort_unstable_by_key(|s| s.at);
    steps
}

/// The runs of the valid taps, merged where all their channels follow each other (the taps of a kernel row usually),
/// and the channels per run.
fn runs(geometry: &Geometry, steps: &[Step], valid: impl Fn(&Step) -> bool) -> (Vec<Run>, usize) {
    let channels = geometry.source_channels;
    let taps: Vec<_> = steps
        .iter()
        .enumerate()
        .filter(|(_, s)| valid(s))
        .map(|(i, s)| Run { source: s.source, row: i * channels })
        .collect();
    let mut merged: Vec<(Run, usize)> = Vec::new();
    for tap in &taps {
        match merged.last_mut() {
            Some((run, len)) if run.source + *len as isize == tap.source && run.row + *len == tap.row => {
                *len += channels;
            }
            _ => merged.push((*tap, channels)),
        }
    }
    if merged.iter().all(|r| r.1 == merged[0].1) {
        let len = merged.first().map_or(0, |r| r.1);
        (merged.into_iter().map(|r| r.0).collect(), len)
    } else {
        (taps, channels)
    }
}

/// Calls `visit(index in the pass, result offset)`.
fn each_position(geometry: &Geometry, pass: &Pass, mut visit: impl FnMut([usize; 3], usize)) {
    let [_, height, width] = geometry.result;
    let channels = geometry.groups * geometry.result_channels;
    for d in 0..pass.size[0] {
        for h in 0..pass.size[1] {
            for w in 0..pass.size[2] {
                let i = [d, h, w];
                let [d, h, w]: [usize; 3] = std::array::from_fn(|a| pass.origin[a] + pass.stride[a] * i[a]);
                visit(i, ((d * height + h) * width + w) * channels);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simd::Isa;
    use oxiconv_ir::{Conv, Precision, Seat};

    fn conv(pad: usize) -> Conv {
        Conv {
            input: vec![8, 8],
            kernel: vec![3, 3],
            stride: vec![1, 1],
            dilation: vec![1, 1],
            low: vec![pad, pad],
            high: vec![pad, pad],
            cin: 4,
            cout: 4,
            groups: 1,
            precision: Precision::Fast,
        }
    }

    fn whole(conv: &Conv, solve: Seat) -> (usize, usize, Vec<usize>) {
        let g = Geometry::new(conv, solve);
        let gather = Gather::whole(&g, &g.passes[0], true);
        (gather.regions[0].runs.len(), gather.regions[0].run, gather.taps)
    }

    #[test]
    fn taps_of_a_row_merge_when_their_channels_follow_each_other() {
        let mut conv = conv(0);
        assert_eq!(whole(&conv, Seat::Output), (3, 12, (0..9).collect()));
        // Backward data walks the kernel from its far end.
        assert_eq!(whole(&conv, Seat::Input), (3, 12, (0..9).rev().collect()));
        conv.dilation = vec![1, 2];
        assert_eq!(whole(&conv, Seat::Output), (9, 4, (0..9).collect()));
        conv.dilation = vec![1, 1];
        conv.groups = 2;
        assert_eq!(whole(&conv, Seat::Output), (9, 2, (0..9).collect()));
    }

    #[test]
    fn regions_are_the_inside_the_edges_and_the_corners() {
        let g = Geometry::new(&conv(1), Seat::Output);
        let gather = Gather::split(&g, &g.passes[0]);
        let mut found: Vec<_> = gather.regions.iter().map(|r| (r.positions.len(), r.runs.len(), r.run)).collect();
        found.sort_unstable();
        let (corner, row, column, inside) = ((1, 2, 8), (6, 2, 12), (6, 3, 8), (36, 3, 12));
        assert_eq!(found, [corner, corner, corner, corner, row, row, column, column, inside]);
    }

    #[test]
    fn cost_counts_tiles_by_products() {
        let g = Geometry::new(&conv(1), Seat::Output);
        let block = Block { isa: Isa::Avx2, mr: 6, nv: 2, first: 0, channels: 16 };
        // 64 positions: ten tiles of six and one of four; nine taps of four channels.
        let whole = Gather::whole(&g, &g.passes[0], true);
        assert_eq!(cost(&[whole], &[block]), (10 * 12 + 8) * 36 + CALLS);
        // Inside 36 positions with all taps, edges of 6 with six, corners of 1 with four.
        let split = Gather::split(&g, &g.passes[0]);
        assert_eq!(cost(&[split], &[block]), 6 * 12 * 36 + 4 * 12 * 24 + 4 * 8 * 16 + 9 * CALLS);
    }
}
