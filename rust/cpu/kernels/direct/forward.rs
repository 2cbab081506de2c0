//! Runs a plan: samples, passes, groups and blocks of channels around the tile sweeps.

use super::gather::{Gather, Region};
use super::pack::Block;
use super::tile::{Positions, Sink, Store, Sweep, sweep};
use super::{ConvPlan, Epilogue, Method, Relu};
use oxiconv_ir::Seat;

/// Floats that the source rows of one round of blocks may take: half of a small L2 cache.
const RESIDENT: usize = 64 * 1024;

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
        if self.solve == Seat::Kernel {
            assert!(epilogue.is_none(), "a kernel gradient takes no epilogue: {:?}", self.conv);
        }
        assert!(self.pool.is_none(), "a pooling plan runs with run_pooled");
        self.compute(n, a, b, out, epilogue, scratch);
    }

    /// The same, before any pool.
    pub(super) fn compute(
        &self,
        n: usize,
        a: &[f32],
        b: &[f32],
        out: &mut [f32],
        epilogue: &Epilogue,
        scratch: &mut [f32],
    ) {
        let (g, packed) = (&self.geometry, b);
        match &self.method {
            Method::Tiles => {}
            Method::Overlap(overlap) => return overlap.run(n, a, packed, out, epilogue, scratch),
            Method::Weights(weights) => return weights.run(n, a, b, out, scratch),
            Method::Depthwise(depthwise) => return depthwise.run(n, a, packed, out, epilogue),
            Method::DepthwiseWeights(weights) => return weights.run(n, a, b, out),
        }
        self.check(n, a, packed, scratch);
        epilogue.check(g.groups * g.result_channels, out.len());
        assert_eq!(out.len(), n * g.result_len(), "result of {:?}", self.conv);
        if g.is_pointwise() {
            self.rows(n, a, packed, out, epilogue);
            return;
        }
        self.with_halo(n, a, scratch, |first, source, stride, count, _| {
            let start = first * g.result_len();
            // Tiles have the same bits, and epilogues of values for each result.
            if let Some(across) = self.across.as_ref().filter(|_| !epilogue.is_elementwise()) {
                self.each_block(&self.gathers[0], packed, epilogue, |block, _, part| {
                    for i in 0..count {
                        let (source, out) = (source[i * stride..].as_ptr(), &mut out[start + i * g.result_len()..]);
                        // SAFETY: segments and runs lie inside one sample, whose length was asserted; `part` holds the
                        // weights of the only block.
                        unsafe { across.run(&self.gathers[0].regions[0], source, &part, block.width(), out) };
                    }
                });
                return;
            }
            let untouched = self.gathers.iter().flat_map(|gather| &gather.regions).filter(|r| r.runs.is_empty());
            self.untouched(untouched, start, &mut out[start..start + count * g.result_len()], epilogue);
            for gather in &self.gathers {
                self.each_block(gather, packed, epilogue, |block, group, part| {
                    let (from, to) = (group * g.source_channels, group * g.result_channels + block.first);
                    for i in 0..count {
                        let source = source[i * stride..].as_ptr();
                        let sink = Store::new(out.as_mut_ptr(), epilogue, start + i * g.result_len() + to);
                        for region in gather.regions.iter().filter(|r| !r.runs.is_empty()) {
                            let positions = Positions::Table(&region.positions);
                            // SAFETY: the regions' offsets lie inside one sample of source and result, whose lengths
                            // were asserted; `part` holds the block's weights.
                            unsafe {
                                let part = part.sweep(region, source.add(from), positions, sink);
                                sweep(block.isa, block.mr, block.nv, part);
                            }
                        }
                    }
                });
            }
        });
    }

    /// Overwrites one of `pieces` of a kernel gradient's result, some rows of it: what [`ConvPlan::run`] does in one
    /// piece, with the same bits.
    ///
    /// # Safety
    /// `out` is valid for the result; nobody else uses the piece's rows meanwhile.
    ///
    /// # Panics
    /// If there is no sample, a length is not that of the plan, or the plan is for another seat or of single channels.
    pub unsafe fn run_piece(
        &self,
        n: usize,
        x: &[f32],
        dy: &[f32],
        out: *mut f32,
        scratch: &mut [f32],
        piece: (usize, usize),
    ) {
        let Method::Weights(weights) = &self.method else { panic!("a kernel gradient by rows: {:?}", self.conv) };
        // SAFETY: by contract.
        unsafe { weights.run_piece(n, x, dy, out, scratch, piece) }
    }

    /// Asserts the lengths that every run shares.
    pub(super) fn check(&self, n: usize, a: &[f32], packed: &[f32], scratch: &[f32]) {
        let g = &self.geometry;
        assert_eq!(a.len(), n * g.halo.sample_len(), "source of {:?}", self.conv);
        assert_eq!(packed.len(), self.packed, "packed weights of {:?}", self.conv);
        assert!(scratch.len() >= self.scratch_len(), "scratch: {} of {}", scratch.len(), self.scratch_len());
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
            if self.bordered {
                let pairs = samples.chunks_exact(halo.sample_len()).zip(bordered.chunks_exact_mut(halo.len()));
                pairs.for_each(|(sample, bordered)| halo.fill(sample, bordered));
                body(first, bordered, halo.len(), count, rest);
            } else {
                body(first, samples, halo.sample_len(), count, rest);
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
                let len = block.width() * gather.depth;
                let channel = group * g.result_channels + block.first;
                let part = Part {
                    weights: &packed[start..start + len],
                    bias: epilogue.bias.map(|b| &b[channel..channel + block.channels]),
                    relu: epilogue.relu,
                    channels: block.channels,
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
            let gather = &self.gathers[0];
            self.each_block(gather, packed, epilogue, |block, _, part| {
                let positions = Positions::Rows { count, source, result };
                let sink = Store::new(out.as_mut_ptr(), epilogue, first * result + block.first);
                // SAFETY: `count` rows of both matrices, whose lengths were asserted; `part` holds the block's weights.
                unsafe {
                    let part = part.sweep(&gather.regions[0], a.as_ptr(), positions, sink);
                    sweep(block.isa, block.mr, block.nv, part);
                }
            });
        }
    }

    /// Positions that no tap reaches, in the samples from element `start` of the result on: the epilogue of zero.
    fn untouched<'a>(
        &self,
        regions: impl Iterator<Item = &'a Region>,
        start: usize,
        out: &mut [f32],
        epilogue: &Epilogue,
    ) {
        let channels = self.geometry.groups * self.geometry.result_channels;
        let mut regions = regions.peekable();
        if regions.peek().is_some() && epilogue.is_none() {
            // All at once is faster than one by one, even if most are written again.
            out.fill(0.0);
            return;
        }
        let len = self.geometry.result_len();
        for region in regions {
            for (i, sample) in out.chunks_exact_mut(len).enumerate() {
                for [_, at] in &region.positions {
                    let at = *at as usize;
                    let result = &mut sample[at..at + channels];
                    let from = start + i * len + at;
                    match epilogue.bias {
                        None => result.fill(0.0),
                        Some(bias) => result.copy_from_slice(bias),
                    }
                    if let Some(added) = epilogue.added {
                        result.iter_mut().zip(&added[from..]).for_each(|(v, a)| *v += a);
                    }
                    if epilogue.relu != Relu::No {
                        result.iter_mut().filter(|v| **v < 0.0).for_each(|v| *v = 0.0);
                    }
                    if let Relu::UpTo(most) = epilogue.relu {
                        result.iter_mut().filter(|v| **v > most).for_each(|v| *v = most);
                    }
                    if let Some(gate) = epilogue.gate {
                        let open = |v: f32| v > 0.0 && gate.below.is_none_or(|below| v < below);
                        let values = result.iter_mut().zip(&gate.values[from..]);
                        values.filter(|(_, g)| !open(**g)).for_each(|(v, _)| *v = 0.0);
                    }
                }
            }
        }
    }
}

/// A block's weights and epilogue.
pub(super) struct Part<'a> {
    weights: &'a [f32],
    bias: Option<&'a [f32]>,
    relu: Relu,
    channels: usize,
}

impl<'a> Part<'a> {
    /// Weights, bias and bounds.
    pub(super) fn parts(&self) -> (&'a [f32], Option<&'a [f32]>, Relu) {
        (self.weights, self.bias, self.relu)
    }

    /// The sweep of this block over `positions`, with the runs of `region`.
    pub(super) fn sweep<K: Sink>(
        &self,
        region: &'a Region,
        source: *const f32,
        positions: Positions<'a>,
        sink: K,
    ) -> Sweep<'a, K> {
        Sweep {
            source,
            runs: &region.runs,
            run: region.run,
            weights: self.weights.as_ptr(),
            bias: self.bias,
            relu: self.relu,
            channels: self.channels,
            positions,
            sink,
        }
    }
}
