//! Depthwise convolution: each channel has a kernel of its own. Lanes are channels.
//!
//! A tile is a few neighbouring results of one row. Each kernel row that meets the sample there (a [`Line`]) loads its
//! weights and every source column once, and a column goes to all results that it meets: with three taps, eight
//! results take 13 loads for 24 multiply-adds. The input gradient of a strided convolution is computed in the same way,
//! each column going to results `up` apart. Nothing is copied: rows in the padding are left out, and so are columns,
//! in the first and last tiles of a row alone.

mod gradient;
mod tile;

use super::direct::Epilogue;
use super::direct::geometry::{Geometry, Halo, Pass};
use crate::simd::Isa;
pub(crate) use gradient::Gradient;
use oxiconv_ir::Conv;
use std::ops::Range;

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

/// Rows of results.
#[derive(Debug)]
struct Phase {
    grid: Grid,
    rows: Vec<Row>,
    lines: Vec<Line>,
    /// Floats from a result to the next.
    pitch: usize,
    /// Results of a tile, and tiles of a row, the first of which starts `shift` results before it.
    n: usize,
    tiles: usize,
    shift: usize,
    /// Tiles whose results are all in the row, and whose columns are all in the sample.
    inner: Range<usize>,
    /// Of each tile, the results in the row.
    stays: Vec<Range<usize>>,
    /// For each kind of line and tile, bits of the columns in the sample.
    masks: Vec<u32>,
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
    /// Where the masks of its kind start: those of the same columns are of one kind.
    kind: usize,
    /// Floats before the first tile's first column in the sample, if it were there.
    source: isize,
    /// Floats of packed weights before the first tap.
    tap: usize,
}

/// Taps of a line, source columns from a result to the next, and results from a source column to the next; one of the
/// latter two is 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Shape {
    taps: usize,
    step: usize,
    up: usize,
}

impl Shape {
    const fn new(taps: usize, step: usize, up: usize) -> Self {
        Self { taps, step, up }
    }

    /// The size of tile that wastes least on rows of `width` results: a tile costs about two results more than it has.
    fn tile(self, width: usize) -> usize {
        // Of seven there are tiles for the usual kernels alone.
        let fits = |n: &&usize| n.is_multiple_of(self.up) && (**n != 7 || matches!(self.taps, 3 | 5));
        *[8, 7, 4].iter().filter(fits).min_by_key(|n| width.div_ceil(**n) * (**n + 2)).expect("one fits")
    }
}

/// Shapes with tiles of their own. Any other kernel is lines of one tap each.
const SHAPES: [Shape; 8] = [
    Shape::new(2, 1, 1),
    Shape::new(3, 1, 1),
    Shape::new(5, 1, 1),
    Shape::new(7, 1, 1),
    Shape::new(3, 2, 1),
    Shape::new(5, 2, 1),
    Shape::new(3, 1, 2),
    Shape::new(5, 1, 2),
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
        let whole = Shape::new(row, step, 1);
        let neighbours = taps[..row].windows(2).all(|t| t[1].at[2] - t[0].at[2] == 1);
        let (shape, unit) =
            if neighbours && SHAPES.contains(&whole) { (whole, 1) } else { (Shape::new(1, 1, 1), step) };
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
        halo.row(std::array::from_fn(|a| self.at[i][a] + pass.step[a] * row[a]))
    }

    /// Source column of the first tap of line `i` at the first result; negative in the padding.
    fn column(&self, halo: &Halo, i: usize) -> isize {
        self.at[i][2] as isize - halo.low[2] as isize
    }
}

impl Columns {
    /// Floats from a column that a tile loads to the next.
    #[inline(always)]
    fn pitch(&self) -> usize {
        self.unit * self.channels
    }

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
    /// The results of one pass.
    fn new(geometry: &Geometry, pass: &Pass) -> Self {
        let halo = &geometry.halo;
        let grid = Grid::new(halo, pass);
        let mut columns: Vec<_> = (0..grid.at.len()).map(|i| grid.column(halo, i)).collect();
        columns.sort_unstable();
        columns.dedup();
        let (width, pitch) = (pass.size[2], pass.stride[2] * halo.channels);
        let mut phase = Self::with_tiles(grid, width, pitch, 0, &columns);
        for d in 0..pass.size[0] {
            for h in 0..pass.size[1] {
                let first = phase.lines.len();
                for i in 0..phase.grid.at.len() {
                    let Some(row) = phase.grid.source(halo, pass, i, [d, h]) else { continue };
                    let column = phase.grid.column(halo, i);
                    let kind = columns.iter().position(|c| *c == column).expect("a column of a line");
                    let source = row as isize + column * halo.channels as isize;
                    let tap = i * phase.grid.shape.taps * halo.channels;
                    phase.lines.push(Line { kind: kind * phase.tiles, source, tap });
                }
                let [d, h, w]: [usize; 3] = std::array::from_fn(|a| pass.origin[a] + pass.stride[a] * [d, h, 0][a]);
                let result = ((d * geometry.result[1] + h) * geometry.result[2] + w) * halo.channels;
                phase.rows.push(Row { result, first, end: phase.lines.len() });
            }
        }
        phase
    }

    /// The results of all passes of an input gradient at once, if there are tiles for its last axis.
    fn spread(geometry: &Geometry, conv: &Conv) -> Option<Self> {
        let (halo, last) = (&geometry.halo, conv.kernel.len() - 1);
        let (taps, up, low) = (conv.kernel[last], conv.stride[last], conv.low[last]);
        let shape = Shape::new(taps, 1, up);
        let strided = geometry.passes.iter().all(|p| p.stride[2] == up) && up > 1;
        if !strided || conv.dilation[last] != 1 || !SHAPES.contains(&shape) {
            return None;
        }
        let column = (low / up) as isize - ((taps - 1) / up) as isize;
        let columns =
            Columns { count: halo.sample[2], channels: halo.channels, step: 1, unit: 1, range: [column, column] };
        let kernel: usize = conv.kernel.iter().product();
        let grid = Grid { shape, taps: (0..kernel).collect(), at: Vec::new(), columns };
        let mut phase = Self::with_tiles(grid, geometry.result[2], halo.channels, low % up, &[column]);
        // Passes that differ along the last axis alone are the same rows.
        let origin = geometry.passes.iter().map(|p| p.origin[2]).min()?;
        for pass in geometry.passes.iter().filter(|p| p.origin[2] == origin) {
            let mut kernel_rows: Vec<_> = pass.taps.iter().map(|t| (t.kernel / taps, t.at)).collect();
            kernel_rows.dedup_by_key(|r| r.0);
            for d in 0..pass.size[0] {
                for h in 0..pass.size[1] {
                    let first = phase.lines.len();
                    for (kernel_row, at) in &kernel_rows {
                        let Some(row) = halo.row([at[0] + pass.step[0] * d, at[1] + pass.step[1] * h]) else {
                            continue;
                        };
                        let source = row as isize + column * halo.channels as isize;
                        phase.lines.push(Line { kind: 0, source, tap: kernel_row * taps * halo.channels });
                    }
                    let [d, h] = [pass.origin[0] + pass.stride[0] * d, pass.origin[1] + pass.stride[1] * h];
                    let result = (d * geometry.result[1] + h) * geometry.result[2] * halo.channels;
                    phase.rows.push(Row { result, first, end: phase.lines.len() });
                }
            }
        }
        phase.rows.sort_unstable_by_key(|r| r.result);
        Some(phase)
    }

    /// Without rows yet. `columns` are the first columns of the first tile, by the kind of line.
    fn with_tiles(grid: Grid, width: usize, pitch: usize, shift: usize, columns: &[isize]) -> Self {
        let Shape { taps, step, up } = grid.shape;
        let n = grid.shape.tile(shift + width);
        let tiles = (shift + width).div_ceil(n);
        let loads = tile::columns(n, taps, step, up);
        let first = |column: isize, tile: usize| column + (tile * n / up * grid.columns.step) as isize;
        let inside = |column: isize| usize::try_from(column).is_ok_and(|c| c < grid.columns.count);
        let mask = |column: isize| {
            let bit = |c: usize| u32::from(inside(column + (c * grid.columns.unit) as isize)) << c;
            (0..loads).map(bit).sum::<u32>()
        };
        let masks: Vec<u32> =
            columns.iter().flat_map(|c| (0..tiles).map(move |t| (*c, t))).map(|(c, t)| mask(first(c, t))).collect();
        let stays: Vec<_> =
            (0..tiles).map(|t| shift.saturating_sub(t * n).min(n)..(shift + width - t * n).min(n)).collect();
        let whole = |t: &usize| {
            stays[*t] == (0..n) && masks.iter().skip(*t).step_by(tiles).all(|m| m.count_ones() as usize == loads)
        };
        // Tiles between the ends are alike.
        let start = (0..tiles).find(whole).unwrap_or(tiles);
        let inner = start..start + (start..tiles).take_while(whole).count();
        Self { grid, rows: Vec::new(), lines: Vec::new(), pitch, n, tiles, shift, inner, stays, masks }
    }
}

/// The widest instruction set up to `isa` whose vectors `channels` fill.
fn fitting(isa: Isa, channels: usize) -> Isa {
    if isa == Isa::Avx512 && channels < isa.lanes() { Isa::Avx2 } else { isa }
}

impl Depthwise {
    /// For at least [`LEAST`] groups of one source and one result channel each.
    pub(crate) fn new(isa: Isa, conv: &Conv, geometry: &Geometry) -> Self {
        let channels = geometry.halo.channels;
        let isa = fitting(isa, channels);
        let phases = Phase::spread(geometry, conv).map_or_else(
            || geometry.passes.iter().map(|pass| Phase::new(geometry, pass)).collect(),
            |phase| vec![phase],
        );
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
        epilogue.check(self.channels, result.len());
        let samples = source.chunks_exact(self.source_len).zip(result.chunks_exact_mut(self.result_len));
        for (i, (source, result)) in samples.enumerate() {
            let mut packed = packed;
            for phase in &self.phases {
                let (weights, rest) = packed.split_at(phase.grid.taps.len() * self.channels);
                let from = |values: &[f32]| values[i * self.result_len..].as_ptr();
                let job = tile::Job {
                    phase,
                    channels: self.channels,
                    block: self.block,
                    source: source.as_ptr(),
                    weights: weights.as_ptr(),
                    result: result.as_mut_ptr(),
                    bias: epilogue.bias,
                    added: epilogue.added.map_or(std::ptr::null(), from),
                    relu: epilogue.relu,
                    gate: epilogue.gate.map_or(std::ptr::null(), |g| from(g.values)),
                    below: epilogue.gate.and_then(|g| g.below).unwrap_or(f32::NAN),
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
