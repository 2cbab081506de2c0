//! Depthwise convolution: each channel has a kernel of its own. Lanes are channels.
//!
//! A tile is a few neighbouring results of one row. Each kernel row that meets the sample there (a [`Line`]) loads its
//! weights and every source column once, and a column goes to all results that it meets: with three taps, eight
//! results take 13 loads for 24 multiply-adds. Nothing is copied: rows in the padding are left out, and columns in
//! the padding are read as zeros, in the first and last tiles of a row alone.

mod gradient;
mod tile;

use super::direct::Epilogue;
use super::direct::geometry::{Geometry, Halo, Pass};
use crate::simd::Isa;
pub(crate) use gradient::Gradient;

/// Channels from which lanes are channels: a vector of the narrower x86 kind.
pub(crate) const LEAST: usize = 8;

/// Bytes of source rows that a block of channels reads for one row of results: half of a small L1 cache.
const BLOCK_BYTES: usize = 16 << 10;

/// The forward convolution, or its input gradient.
#[derive(Debug)]
pub(crate) struct Depthwise {
    isa: Isa,
    channels: usize,
    /// Vectors of channels that go down the rows together.
    block: usize,
    /// Floats in a sample of source and result.
    source_len: usize,
    result_len: usize,
    phases: Vec<Phase>,
}

/// The results of one [`Pass`].
#[derive(Debug)]
struct Phase {
    grid: Grid,
    rows: Vec<Row>,
    lines: Vec<Line>,
    /// Results per row, and floats from one to the next.
    width: usize,
    pitch: usize,
}

/// A row of results: its first one, and the lines that it sums.
#[derive(Debug, Clone, Copy)]
struct Row {
    result: usize,
    first: usize,
    end: usize,
}

/// A kernel row over a source row.
#[derive(Debug, Clone, Copy)]
struct Line {
    /// Source column of the first tap at the first result; negative in the padding.
    column: isize,
    /// Floats before it in the sample, if it were there.
    source: isize,
    /// Floats of packed weights before the first tap.
    tap: usize,
}

/// Taps of a line, and source columns from a result to the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Shape {
    taps: usize,
    step: usize,
}

/// Shapes with tiles of their own. Any other kernel is lines of one tap each.
const SHAPES: [Shape; 6] = [
    Shape { taps: 2, step: 1 },
    Shape { taps: 3, step: 1 },
    Shape { taps: 5, step: 1 },
    Shape { taps: 7, step: 1 },
    Shape { taps: 3, step: 2 },
    Shape { taps: 5, step: 2 },
];

/// The taps of a pass as lines, and the columns that they read.
#[derive(Debug, Clone)]
struct Grid {
    shape: Shape,
    /// Kernel positions in packed order: line by line.
    taps: Vec<usize>,
    /// Haloed source position of each line's first tap at the first result.
    at: Vec<[usize; 3]>,
    columns: Columns,
}

/// Source columns of a row of results.
#[derive(Debug, Clone, Copy)]
struct Columns {
    /// In the sample.
    count: usize,
    /// Floats in one.
    channels: usize,
    /// From a result to the next.
    step: usize,
    /// From a column that a tile loads to the next: those of lines of one tap are `step` apart.
    unit: usize,
    /// Leftmost and rightmost column of all lines at the first result.
    range: [isize; 2],
}

impl Grid {
    fn new(halo: &Halo, pass: &Pass) -> Self {
        let mut taps = pass.taps.clone();
        taps.sort_unstable_by_key(|t| t.at);
        let step = pass.step[2];
        let row = taps.iter().take_while(|t| t.at[..2] == taps[0].at[..2]).count();
        let whole = Shape { taps: row, step };
        let neighbours = taps[..row].windows(2).all(|t| t[1].at[2] - t[0].at[2] == 1);
        let (shape, unit) =
            if neighbours && SHAPES.contains(&whole) { (whole, 1) } else { (Shape { taps: 1, step: 1 }, step) };
        let column = |at: [usize; 3]| at[2] as isize - halo.low[2] as isize;
        let ends = || taps.iter().map(|t| column(t.at));
        let range = [ends().min().unwrap_or(0), ends().max().unwrap_or(0)];
        Self {
            shape,
            at: taps.iter().step_by(shape.taps).map(|t| t.at).collect(),
            taps: taps.iter().map(|t| t.kernel).collect(),
            columns: Columns { count: halo.sample[2], channels: halo.channels, step, unit, range },
        }
    }

    /// Floats before the source row of line `i` at row `h` of plane `d` of the results, if it meets the sample there.
    fn source(&self, halo: &Halo, pass: &Pass, i: usize, row: [usize; 2]) -> Option<usize> {
        let inside =
            |a: usize| (self.at[i][a] + pass.step[a] * row[a]).checked_sub(halo.low[a]).filter(|s| *s < halo.sample[a]);
        Some((inside(0)? * halo.sample[1] + inside(1)?) * halo.sample[2] * halo.channels)
    }

    /// Source column of the first tap of line `i` at the first result; negative in the padding.
    fn column(&self, halo: &Halo, i: usize) -> isize {
        self.at[i][2] as isize - halo.low[2] as isize
    }
}

impl Columns {
    /// Of `width` results, those at either end for which some line leaves the sample.
    fn edges(&self, width: usize) -> [usize; 2] {
        let [leftmost, rightmost] = self.range;
        let left = (leftmost.min(0).unsigned_abs()).div_ceil(self.step).min(width);
        // Results whose rightmost column is inside.
        let inside = self.count.saturating_add_signed(-rightmost).div_ceil(self.step);
        [left, width.saturating_sub(inside).min(width - left)]
    }
}

impl Phase {
    fn new(geometry: &Geometry, pass: &Pass) -> Self {
        let halo = &geometry.halo;
        let grid = Grid::new(halo, pass);
        let (mut rows, mut lines) = (Vec::new(), Vec::new());
        for d in 0..pass.size[0] {
            for h in 0..pass.size[1] {
                let first = lines.len();
                lines.extend((0..grid.at.len()).filter_map(|i| {
                    let (row, column) = (grid.source(halo, pass, i, [d, h])?, grid.column(halo, i));
                    let source = row as isize + column * halo.channels as isize;
                    Some(Line { column, source, tap: i * grid.shape.taps * halo.channels })
                }));
                let [d, h, w]: [usize; 3] = std::array::from_fn(|a| pass.origin[a] + pass.stride[a] * [d, h, 0][a]);
                let result = ((d * geometry.result[1] + h) * geometry.result[2] + w) * halo.channels;
                rows.push(Row { result, first, end: lines.len() });
            }
        }
        Self { grid, rows, lines, width: pass.size[2], pitch: pass.stride[2] * halo.channels }
    }
}

/// The widest instruction set up to `isa` whose vectors `channels` fill.
fn fitting(isa: Isa, channels: usize) -> Isa {
    if isa == Isa::Avx512 && channels < isa.lanes() { Isa::Avx2 } else { isa }
}

impl Depthwise {
    /// For at least [`LEAST`] groups of one source and one result channel each.
    pub(crate) fn new(isa: Isa, geometry: &Geometry) -> Self {
        let channels = geometry.halo.channels;
        let isa = fitting(isa, channels);
        let phases: Vec<_> = geometry.passes.iter().map(|pass| Phase::new(geometry, pass)).collect();
        let lines = phases.iter().flat_map(|p| &p.rows).map(|r| r.end - r.first).max().unwrap_or(1).max(1);
        let row = geometry.halo.sample[2] * isa.lanes() * size_of::<f32>();
        Self {
            isa,
            channels,
            block: (BLOCK_BYTES / (lines * row)).max(1),
            source_len: geometry.halo.sample_len(),
            result_len: geometry.result_len(),
            phases,
        }
    }

    /// Floats of packed weights: `[tap, channel]`, phase by phase.
    pub(crate) fn packed_len(&self) -> usize {
        self.phases.iter().map(|p| p.grid.taps.len()).sum::<usize>() * self.channels
    }

    /// Packs a kernel `[taps.., channels]`.
    pub(crate) fn pack(&self, kernel: &[f32], packed: &mut [f32]) {
        let taps = self.phases.iter().flat_map(|p| &p.grid.taps);
        for (tap, to) in taps.zip(packed.chunks_exact_mut(self.channels)) {
            to.copy_from_slice(&kernel[tap * self.channels..][..self.channels]);
        }
    }

    /// Computes `n` samples.
    ///
    /// # Panics
    /// If a length is not that of its tensor.
    pub(crate) fn run(&self, n: usize, source: &[f32], packed: &[f32], result: &mut [f32], epilogue: &Epilogue) {
        assert_eq!(source.len(), n * self.source_len, "source of a depthwise convolution");
        assert_eq!(result.len(), n * self.result_len, "result of a depthwise convolution");
        assert_eq!(packed.len(), self.packed_len(), "weights of a depthwise convolution");
        assert!(epilogue.bias.is_none_or(|b| b.len() == self.channels), "bias of a depthwise convolution");
        let samples = source.chunks_exact(self.source_len).zip(result.chunks_exact_mut(self.result_len));
        for (source, result) in samples {
            let mut packed = packed;
            for phase in &self.phases {
                let (weights, rest) = packed.split_at(phase.grid.taps.len() * self.channels);
                let job = tile::Job {
                    phase,
                    channels: self.channels,
                    block: self.block,
                    source: source.as_ptr(),
                    weights: weights.as_ptr(),
                    bias: epilogue.bias,
                    relu: epilogue.relu,
                    result: result.as_mut_ptr(),
                    edges: phase.grid.columns.edges(phase.width),
                };
                // SAFETY: lines start at rows of the sample, rows of results and their pitch come from the same
                // geometry, and the slices have the lengths of their tensors; there is a vector of channels.
                unsafe { tile::enter(self.isa, &job) }
                packed = rest;
            }
        }
    }

    /// For people.
    pub(crate) fn describe(&self) -> String {
        let phases = match self.phases.len() {
            1 => String::new(),
            n => format!(" in {n} phases"),
        };
        format!("depthwise {}{phases}", self.isa.name())
    }
}
