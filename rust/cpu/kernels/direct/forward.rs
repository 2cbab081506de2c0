//! Runs a plan: samples, passes, groups and blocks of channels around the tile sweeps.

use super::geometry::{Geometry, Pass};
use super::pack::{self, Block, Runs};
use super::tile::{Positions, Sink, Store, Sweep, sweep};
use super::{ConvPlan, Epilogue};

/// Floats that the source rows of one round of blocks may take: half of a small L2 cache.
const RESIDENT: usize = 64 * 1024;

/// One pass of a plan, with offsets resolved.
#[derive(Debug)]
pub(super) struct Gather {
    pub(super) runs: Runs,
    /// Source and result offset of each position of a sample; none for matrix rows, and where pooling has its own.
    positions: Vec<[u32; 2]>,
    /// Where the pass's packed weights start.
    pub(super) packed: usize,
    /// Floats in the packed weights of one group.
    pub(super) group_len: usize,
}

/// Offsets of a sample fit 32 bits.
pub(super) fn narrow(offset: usize) -> u32 {
    u32::try_from(offset).expect("convolution: expected samples of at most 2^32 elements")
}

impl Gather {
    pub(super) fn new(geometry: &Geometry, pass: &Pass, blocks: &[Block], packed: usize, whole: bool) -> Self {
        let runs = Runs::new(geometry, pass);
        let group_len = pack::group_len(blocks, &runs);
        let positions = if whole && !geometry.is_pointwise() { positions(geometry, pass) } else { Vec::new() };
        Self { runs, positions, packed, group_len }
    }
}

fn positions(geometry: &Geometry, pass: &Pass) -> Vec<[u32; 2]> {
    let [_, height, width] = geometry.result;
    let channels = geometry.groups * geometry.result_channels;
    let mut table = Vec::with_capacity(pass.size.iter().product());
    for d in 0..pass.size[0] {
        for h in 0..pass.size[1] {
            for w in 0..pass.size[2] {
                let i = [d, h, w];
                let source = geometry.halo.offset(std::array::from_fn(|a| pass.step[a] * i[a]));
                let [d, h, w]: [usize; 3] = std::array::from_fn(|a| pass.origin[a] + pass.stride[a] * i[a]);
                table.push([narrow(source), narrow(((d * height + h) * width + w) * channels)]);
            }
        }
    }
    table
}

impl ConvPlan {
    /// Samples whose haloed copies are made together, so that weights larger than the caches are read once for all.
    pub(super) fn batch(&self) -> usize {
        let weights = self.gathers.iter().map(|g| g.group_len).max().unwrap_or(0);
        if weights < RESIDENT { 1 } else { (RESIDENT / self.geometry.halo.len().max(1)).clamp(1, 16) }
    }

    /// Computes `n` samples: `a` is `x` for `Seat::Output` and `dy` for `Seat::Input`, `b` the packed weights, `out`
    /// the other. For `Seat::Kernel`, `a` is `x`, `b` is `dy`, and `out` is overwritten with the sum over the samples.
    ///
    /// # Panics
    /// If a length is not that of the plan, the plan pools, or a kernel gradient is given an epilogue.
    pub fn run(&self, n: usize, a: &[f32], b: &[f32], out: &mut [f32], epilogue: &Epilogue, scratch: &mut [f32]) {
        let (g, packed) = (&self.geometry, b);
        if let Some(weights) = &self.weights {
            assert!(epilogue.bias.is_none() && !epilogue.relu, "a kernel gradient takes no epilogue: {:?}", self.conv);
            weights.run(n, a, b, out, scratch);
            return;
        }
        assert!(self.pool.is_none(), "a pooling plan runs with run_pooled");
        self.check(n, a, packed, epilogue, scratch);
        assert_eq!(out.len(), n * g.result_len(), "result of {:?}", self.conv);
        if g.is_pointwise() {
            self.rows(n, a, packed, out, epilogue);
            return;
        }
        self.with_halo(n, a, scratch, |first, source, stride, count, _| {
            let out = &mut out[first * g.result_len()..][..count * g.result_len()];
            for (pass, gather) in g.passes.iter().zip(&self.gathers) {
                if pass.taps.is_empty() {
                    self.untouched(gather, out, epilogue);
                    continue;
                }
                self.each_block(gather, packed, epilogue, |block, group, part| {
                    for i in 0..count {
                        // SAFETY: offsets of the geometry lie inside one sample of source and result, whose lengths
                        // `check` and this function asserted; `part` holds the block's weights.
                        unsafe {
                            let channel = group * g.result_channels + block.first;
                            sweep(
                                block.isa,
                                block.mr,
                                block.nv,
                                part.sweep(
                                    source[i * stride..].as_ptr().add(self.source_channel(group, block)),
                                    Positions::Table(&gather.positions),
                                    Store { result: out[i * g.result_len()..].as_mut_ptr().add(channel) },
                                ),
                            );
                        }
                    }
                });
            }
        });
    }

    /// First source channel that a block reads.
    pub(super) fn source_channel(&self, group: usize, block: &Block) -> usize {
        if self.geometry.depthwise { block.first } else { group * self.geometry.source_channels }
    }

    /// Asserts the lengths that every run shares.
    pub(super) fn check(&self, n: usize, a: &[f32], packed: &[f32], epilogue: &Epilogue, scratch: &[f32]) {
        let g = &self.geometry;
        assert_eq!(a.len(), n * g.halo.sample_len(), "source of {:?}", self.conv);
        assert_eq!(packed.len(), self.packed, "packed weights of {:?}", self.conv);
        assert!(scratch.len() >= self.scratch_len(), "scratch: {} of {}", scratch.len(), self.scratch_len());
        if let Some(bias) = epilogue.bias {
            assert_eq!(bias.len(), g.groups * g.result_channels, "bias of {:?}", self.conv);
        }
    }

    /// Calls `body(first sample, source, floats between its samples, samples, rest of scratch)` for rounds of samples
    /// with their halo in place.
    pub(super) fn with_halo(
        &self,
        n: usize,
        a: &[f32],
        scratch: &mut [f32],
        mut body: impl FnMut(usize, &[f32], usize, usize, &mut [f32]),
    ) {
        let halo = &self.geometry.halo;
        let batch = self.batch();
        let (bordered, rest) = scratch.split_at_mut(self.halo_len());
        for sample in bordered.chunks_exact_mut(halo.len()).take(n) {
            halo.clear(sample);
        }
        for first in (0..n).step_by(batch) {
            let count = batch.min(n - first);
            let samples = &a[first * halo.sample_len()..][..count * halo.sample_len()];
            if halo.is_copied() {
                let pairs = samples.chunks_exact(halo.sample_len()).zip(bordered.chunks_exact_mut(halo.len()));
                pairs.for_each(|(sample, bordered)| halo.fill(sample, bordered));
                body(first, bordered, halo.len(), count, rest);
            } else {
                body(first, samples, halo.len(), count, rest);
            }
        }
    }

    /// Calls `body(block, group, its weights and epilogue)`.
    pub(super) fn each_block(
        &self,
        gather: &Gather,
        packed: &[f32],
        epilogue: &Epilogue,
        mut body: impl FnMut(&Block, usize, Part),
    ) {
        let g = &self.geometry;
        for group in 0..g.groups {
            let mut start = gather.packed + group * gather.group_len;
            for block in &self.blocks {
                let len = block.width() * gather.runs.depth();
                let channel = group * g.result_channels + block.first;
                let part = Part {
                    runs: &gather.runs,
                    weights: &packed[start..start + len],
                    bias: epilogue.bias.map(|b| &b[channel..channel + block.channels]),
                    relu: epilogue.relu,
                    channels: block.channels,
                    depthwise: g.depthwise,
                };
                body(block, group, part);
                start += len;
            }
        }
    }

    /// Samples and positions are rows of one matrix: blocks of rows stay in the cache for all blocks of channels.
    fn rows(&self, n: usize, a: &[f32], packed: &[f32], out: &mut [f32], epilogue: &Epilogue) {
        let g = &self.geometry;
        let (source, result) = (g.source_channels, g.result_channels);
        let rows = n * g.result.iter().product::<usize>();
        // A multiple of every tile height but 5, which then leaves at most one partial tile per round.
        let round = (RESIDENT / source / 48).max(1) * 48;
        for first in (0..rows).step_by(round) {
            let count = round.min(rows - first);
            let a = &a[first * source..][..count * source];
            let out = &mut out[first * result..][..count * result];
            self.each_block(&self.gathers[0], packed, epilogue, |block, _, part| {
                let positions = Positions::Rows { count, source, result };
                let sink = Store { result: out[block.first..].as_mut_ptr() };
                // SAFETY: `count` rows of both matrices were just sliced; `part` holds the block's weights.
                unsafe { sweep(block.isa, block.mr, block.nv, part.sweep(a.as_ptr(), positions, sink)) };
            });
        }
    }

    /// Positions that no tap reaches: the epilogue of zero.
    fn untouched(&self, gather: &Gather, out: &mut [f32], epilogue: &Epilogue) {
        let channels = self.geometry.groups * self.geometry.result_channels;
        for sample in out.chunks_exact_mut(self.geometry.result_len()) {
            for [_, at] in &gather.positions {
                let result = &mut sample[*at as usize..][..channels];
                match epilogue.bias {
                    None => result.fill(0.0),
                    Some(bias) => result.copy_from_slice(bias),
                }
                if epilogue.relu {
                    result.iter_mut().filter(|v| **v < 0.0).for_each(|v| *v = 0.0);
                }
            }
        }
    }
}

/// A block's weights and epilogue.
pub(super) struct Part<'a> {
    runs: &'a Runs,
    weights: &'a [f32],
    bias: Option<&'a [f32]>,
    relu: bool,
    channels: usize,
    depthwise: bool,
}

impl<'a> Part<'a> {
    /// The sweep of this block over `positions`.
    pub(super) fn sweep<K: Sink>(&self, source: *const f32, positions: Positions<'a>, sink: K) -> Sweep<'a, K> {
        Sweep {
            source,
            runs: &self.runs.offsets,
            run: self.runs.len,
            depthwise: self.depthwise,
            weights: self.weights.as_ptr(),
            bias: self.bias,
            relu: self.relu,
            channels: self.channels,
            positions,
            sink,
        }
    }
}
