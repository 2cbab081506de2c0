//! Convolutions towards few channels: lanes are the taps of a kernel row by result channels.
//!
//! What a source position adds to a row of the result through one row of the kernel lies side by side there: taps along
//! the last axis by result channels, usually more values than there are result channels alone to fill vectors with. Tiles
//! sum these *windows* over kernel rows and source channels; then every result position adds up the windows that overlap
//! there. Nothing is computed with padding, and strides of an input gradient along the last axis need no phases.

use super::gather::{self, Region, Run, narrow};
use super::pack::{self, Block};
use super::tile::{Positions, Store, Sweep, gated, load_channels, sweep};
use super::{Epilogue, Relu};
use crate::simd::{Isa, Kernel, Simd, dispatch};
use oxiconv_ir::{Conv, Seat};
use std::collections::BTreeMap;

/// Floats of windows that are added up together: most of an L1 cache.
const BAND: usize = 6 * 1024;

/// Floats past the last window that a vector of its channels may read.
const SLACK: usize = 16;

#[derive(Debug)]
pub(super) struct Overlap {
    /// Instruction set of the last sums.
    isa: Isa,
    solve: Seat,
    /// Rows, taps along the last axis, input and output channels of the kernel.
    kernel: [usize; 4],
    /// Over the lanes of a window.
    blocks: Vec<Block>,
    bands: Vec<Band>,
    /// Where, from the first window of its row on, the values are that a result column adds up.
    terms: Vec<u32>,
    /// Where each column's terms end.
    ends: Vec<usize>,
    /// Floats in one sample of source and result.
    sample: [usize; 2],
    source_channels: usize,
    result_channels: usize,
}

/// Neighbouring rows of the result.
#[derive(Debug)]
struct Band {
    /// Rows that meet the same kernel rows alike.
    regions: Vec<Region>,
    /// First window of each row; none where no tap reaches.
    rows: Vec<Option<usize>>,
    /// Floats of all windows.
    len: usize,
}

/// Which source positions meet each result position along an axis, with which tap: result by result, in source order.
fn meetings(conv: &Conv, axis: Option<usize>, solve: Seat) -> Vec<Vec<(usize, usize)>> {
    let Some(a) = axis else { return vec![vec![(0, 0)]] };
    let output = conv.output()[a];
    let results = if solve == Seat::Output { output } else { conv.input[a] };
    let mut found = vec![Vec::new(); results];
    for o in 0..output {
        for tap in 0..conv.kernel[a] {
            let at = (o * conv.stride[a] + tap * conv.dilation[a]).checked_sub(conv.low[a]);
            let Some(i) = at.filter(|i| *i < conv.input[a]) else { continue };
            let (result, source) = if solve == Seat::Output { (o, i) } else { (i, o) };
            found[result].push((source, tap));
        }
    }
    for pairs in &mut found {
        pairs.sort_unstable();
    }
    found
}

/// The rows of three axes from those of the first two: row-major numbers, of which there are `sources` and `taps` on the
/// second axis.
fn rows(
    outer: &[Vec<(usize, usize)>],
    inner: &[Vec<(usize, usize)>],
    sources: usize,
    taps: usize,
) -> Vec<Vec<(usize, usize)>> {
    let mut rows = Vec::with_capacity(outer.len() * inner.len());
    for o in outer {
        for i in inner {
            let row = o.iter().flat_map(|(s, t)| i.iter().map(move |(si, ti)| (s * sources + si, t * taps + ti)));
            rows.push(row.collect());
        }
    }
    rows
}

impl Overlap {
    /// None where windows do not overlap in a regular way: groups, and forward strides along the last axis, which would
    /// leave most of each window unused.
    pub(super) fn new(isa: Isa, conv: &Conv, solve: Seat) -> Option<Self> {
        let rank = conv.input.len();
        let last = rank - 1;
        if conv.groups > 1 || (solve == Seat::Output && conv.stride[last] > 1) {
            return None;
        }
        let (input, output) = (&conv.input, conv.output());
        let (sources, results) = if solve == Seat::Output { (input, &output) } else { (&output, input) };
        let (source_channels, result_channels) =
            if solve == Seat::Output { (conv.cin, conv.cout) } else { (conv.cout, conv.cin) };
        let taps = conv.kernel[last];

        let columns = meetings(conv, Some(last), solve);
        let mut used: Vec<_> = columns.iter().flatten().map(|m| m.0).collect();
        used.sort_unstable();
        used.dedup();

        let of_axis = |back: usize| rank.checked_sub(back);
        let (outer, inner) = (meetings(conv, of_axis(3), solve), meetings(conv, of_axis(2), solve));
        let size = |sizes: &[usize]| of_axis(2).map_or(1, |a| sizes[a]);
        let rows = rows(&outer, &inner, size(sources), size(&conv.kernel));

        let source_row = sources[last] * source_channels;
        // Relative to the first of a row's sources.
        let key = |row: &[(usize, usize)]| row.iter().map(|(s, t)| (s - row[0].0, *t)).collect::<Vec<_>>();
        let mut alike: BTreeMap<_, usize> = BTreeMap::new();
        rows.iter().filter(|r| !r.is_empty()).for_each(|r| *alike.entry(key(r)).or_default() += used.len());
        let blocks = pack::blocks(isa, taps * result_channels, alike.into_values().max().unwrap_or(0), 1);
        let width = blocks.last().map_or(0, |b| b.first + b.width());

        let per_band = (BAND / (used.len() * width).max(1)).max(1);
        let band = |rows: &[Vec<(usize, usize)>]| {
            let mut regions: BTreeMap<_, Vec<[u32; 2]>> = BTreeMap::new();
            let (mut len, mut firsts) = (0, Vec::with_capacity(rows.len()));
            for row in rows {
                firsts.push((!row.is_empty()).then_some(len));
                if let Some(&(first, _)) = row.first() {
                    let region = regions.entry(key(row)).or_default();
                    for column in &used {
                        region.push([narrow(first * source_row + column * source_channels), narrow(len)]);
                        len += width;
                    }
                }
            }
            let region = |(key, positions): (Vec<(usize, usize)>, _)| {
                let run =
                    |&(s, t): &(usize, usize)| Run { source: (s * source_row) as isize, row: t * source_channels };
                Region { runs: key.iter().map(run).collect(), run: source_channels, positions }
            };
            Band { regions: regions.into_iter().map(region).collect(), rows: firsts, len }
        };
        let bands = rows.chunks(per_band).map(band).collect();

        let (mut terms, mut ends) = (Vec::new(), Vec::with_capacity(columns.len()));
        for column in &columns {
            let window = |s: &usize| used.binary_search(s).expect("a used column") * width;
            terms.extend(column.iter().map(|(s, tap)| narrow(window(s) + tap * result_channels)));
            ends.push(terms.len());
        }
        Some(Self {
            isa: isa.holding(result_channels),
            solve,
            kernel: [conv.kernel[..last].iter().product(), taps, conv.cin, conv.cout],
            blocks,
            bands,
            terms,
            ends,
            sample: [
                sources.iter().product::<usize>() * source_channels,
                results.iter().product::<usize>() * result_channels,
            ],
            source_channels,
            result_channels,
        })
    }

    /// Estimated lanes of work, as [`gather::lanes`]: a term of a last sum is a load and an addition.
    pub(super) fn cost(&self) -> usize {
        let tiles = self.bands.iter().flat_map(|b| &b.regions);
        let rows: usize = self.bands.iter().map(|b| b.rows.len()).sum();
        let sums = rows * (self.terms.len() + 2 * self.ends.len()) * self.result_channels.div_ceil(self.isa.lanes());
        gather::lanes(&tiles, &self.blocks) + sums * self.isa.lanes()
    }

    pub(super) fn packed_len(&self) -> usize {
        let width: usize = self.blocks.iter().map(Block::width).sum();
        self.kernel[0] * self.source_channels * width
    }

    pub(super) fn scratch_len(&self) -> usize {
        self.bands.iter().map(|b| b.len).max().unwrap_or(0) + SLACK
    }

    /// Whether both read kernels packed alike.
    pub(super) fn packs_like(&self, other: &Self) -> bool {
        let widths = |o: &Self| o.blocks.iter().map(|b| (b.isa, b.nv)).collect::<Vec<_>>();
        self.solve == other.solve && self.kernel == other.kernel && widths(self) == widths(other)
    }

    /// Packs `[rows.., taps, cin, cout]` as `[block][row][source channel][lane]`.
    pub(super) fn pack(&self, kernel: &[f32], packed: &mut [f32]) {
        let [rows, _, cin, cout] = self.kernel;
        let row_len = kernel.len() / rows;
        // Floats between neighbouring sources, and between neighbouring results.
        let (source, result) = if self.solve == Seat::Output { (cout, 1) } else { (1, cout) };
        let mut packed = packed;
        for block in &self.blocks {
            let width = block.width();
            for row in kernel.chunks_exact(row_len) {
                let (part, rest) = packed.split_at_mut(self.source_channels * width);
                packed = rest;
                for lane in 0..width {
                    let (tap, r) =
                        ((block.first + lane) / self.result_channels, (block.first + lane) % self.result_channels);
                    for s in 0..self.source_channels {
                        let exists = lane < block.channels;
                        part[s * width + lane] =
                            if exists { row[tap * cin * cout + s * source + r * result] } else { 0.0 };
                    }
                }
            }
        }
    }

    /// # Panics
    /// If a slice is shorter than its tensor.
    pub(super) fn run(
        &self,
        n: usize,
        source: &[f32],
        packed: &[f32],
        out: &mut [f32],
        e: &Epilogue,
        scratch: &mut [f32],
    ) {
        let [from, to] = self.sample;
        assert_eq!(source.len(), n * from, "source of a convolution");
        assert_eq!(packed.len(), self.packed_len(), "packed weights of a convolution");
        assert_eq!(out.len(), n * to, "result of a convolution");
        e.check(self.result_channels, out.len());
        assert!(scratch.len() >= self.scratch_len(), "scratch: {} of {}", scratch.len(), self.scratch_len());
        let mut at = 0;
        for i in 0..n {
            for band in &self.bands {
                for region in &band.regions {
                    let mut weights = packed;
                    for block in &self.blocks {
                        let (part, rest) = weights.split_at(self.kernel[0] * self.source_channels * block.width());
                        weights = rest;
                        // SAFETY: the positions and runs of a region lie inside one sample of the source, whose length
                        // was asserted, and its results inside the scratch of the largest band; a block's whole vectors
                        // end inside each window.
                        unsafe {
                            let sink = Store::plain(scratch.as_mut_ptr().add(block.first));
                            let part = Sweep {
                                source: source.as_ptr().add(i * from),
                                runs: &region.runs,
                                run: region.run,
                                weights: part.as_ptr(),
                                bias: None,
                                relu: Relu::No,
                                channels: block.width(),
                                positions: Positions::Table(&region.positions),
                                sink,
                            };
                            sweep(block.isa, block.mr, block.nv, part);
                        }
                    }
                }
                dispatch(self.isa, Sums { plan: self, band, windows: scratch, out, at, epilogue: e });
                at += band.rows.len() * self.ends.len() * self.result_channels;
            }
        }
    }

    /// The kernel and its tiles, for people.
    pub(super) fn describe(&self) -> String {
        let mut tiles: Vec<_> = self.blocks.iter().map(|b| format!("{}x{}", b.mr, b.nv)).collect();
        tiles.dedup();
        let isa = self.blocks.first().map_or(self.isa, |b| b.isa);
        format!("direct, overlapping windows, {} {}", tiles.join("+"), isa.name())
    }
}

/// The last sums of a band: what overlaps at each result position, and the epilogue.
struct Sums<'a> {
    plan: &'a Overlap,
    band: &'a Band,
    windows: &'a [f32],
    /// Results of all samples. Positions are written in order, in whole vectors where there is room: lanes without a
    /// channel are written again after.
    out: &'a mut [f32],
    /// The band's first.
    at: usize,
    epilogue: &'a Epilogue<'a>,
}

impl Kernel for Sums<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        const { assert!(S::LANES <= SLACK) };
        let Self { plan, band, windows, out, at, epilogue } = self;
        let channels = plan.result_channels;
        assert!(windows.len() >= band.len + SLACK);
        assert!(out.len() >= at + band.rows.len() * plan.ends.len() * channels);
        let value = |values: &[f32], at: usize, here: usize| {
            let values = &values[at..at + here];
            // SAFETY: the slice has as many values.
            unsafe { load_channels(s, values.as_ptr(), 0, here) }
        };
        let below = s.splat(epilogue.gate.and_then(|g| g.below).unwrap_or(f32::NAN));
        let mut to = at;
        for row in &band.rows {
            let mut first = 0;
            for &end in &plan.ends {
                let terms = if row.is_some() { &plan.terms[first..end] } else { &[] };
                first = end;
                for c in (0..channels).step_by(S::LANES) {
                    let here = (channels - c).min(S::LANES);
                    let mut sum = epilogue.bias.map_or(s.splat(0.0), |bias| value(bias, c, here));
                    // SAFETY: terms lie inside the windows of a row, and these with the slack inside the scratch, as
                    // asserted.
                    unsafe {
                        let windows = windows.as_ptr().add(row.unwrap_or(0) + c);
                        for &term in terms {
                            sum = s.add(sum, s.load(windows.add(term as usize)));
                        }
                    }
                    if let Some(added) = epilogue.added {
                        sum = s.add(sum, value(added, to + c, here));
                    }
                    // Of a NaN and a bound the second operand stays, which is the NaN.
                    if epilogue.relu != Relu::No {
                        sum = s.max(s.splat(0.0), sum);
                    }
                    if let Relu::UpTo(most) = epilogue.relu {
                        sum = s.min(s.splat(most), sum);
                    }
                    if let Some(gate) = epilogue.gate {
                        sum = gated(s, sum, value(gate.values, to + c, here), below);
                    }
                    // SAFETY: `out` has room for `channels` from `to` on, as asserted.
                    unsafe {
                        let at = to + c;
                        if at + S::LANES <= out.len() {
                            s.store(out.as_mut_ptr().add(at), sum);
                        } else {
                            s.store_partial(out.as_mut_ptr().add(at), sum, here);
                        }
                    }
                }
                to += channels;
            }
        }
    }
}
