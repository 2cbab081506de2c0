//! The kernel gradient of a depthwise convolution: `dk[tap, channel] = Σ x[position + tap, channel] · dy[position,
//! channel]`.
//!
//! A tile holds the sums of all taps of some lines in registers, over every position of a band of samples: a few
//! neighbours of `dy` are loaded, then every column of `x` once per line.

use super::tile::{each_column, result};
use super::{Columns, Geometry, Grid, Shape, fitting};
use crate::simd::{Isa, Kernel, Simd, dispatch};

/// Positions, if there are as many, that are summed in registers before memory.
const BAND: usize = 256;

/// How to compute a kernel gradient.
#[derive(Debug, Clone)]
pub(crate) struct Gradient {
    isa: Isa,
    grid: Grid,
    channels: usize,
    /// Floats in a sample of `x`.
    source_len: usize,
    /// Rows of positions, and positions per row.
    rows: usize,
    width: usize,
    /// Column of each line's first tap at the first position; negative in the padding.
    columns: Vec<isize>,
    /// Per row of positions, the floats of `x` before the source row of each line, if it meets the sample.
    sources: Vec<Option<usize>>,
}

/// All samples of a band.
struct Job<'a> {
    plan: &'a Gradient,
    samples: usize,
    x: *const f32,
    dy: *const f32,
    out: *mut f32,
    /// Add to the result rather than overwrite it.
    add: bool,
    /// First line of the tile.
    line: usize,
}

struct Tile<'a, const TAPS: usize, const STEP: usize, const LINES: usize>(&'a Job<'a>);

impl<const TAPS: usize, const STEP: usize, const LINES: usize> Kernel for Tile<'_, TAPS, STEP, LINES> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        // Instances that this instruction set cannot hold are never chosen: compile none.
        if const { TAPS * LINES + 3 < S::REGISTERS } {
            let Job { plan, out, line, add, .. } = *self.0;
            let channels = plan.channels;
            for vector in 0..channels.div_ceil(S::LANES) {
                // SAFETY: by the contract of `enter`; there are at least as many channels as lanes.
                unsafe {
                    // The last vector overlaps the one before if channels are left over: `done` of its lanes.
                    let channel = (vector * S::LANES).min(channels - S::LANES);
                    let done = vector * S::LANES - channel;
                    let sums = sweep::<S, TAPS, STEP, LINES>(s, self.0, channel);
                    for l in 0..LINES {
                        for t in 0..TAPS {
                            let to = out.add(((line + l) * TAPS + t) * channels + channel);
                            write(s, to, sums[l][t], done, add);
                        }
                    }
                }
            }
        } else {
            unreachable!("tile {LINES}x{TAPS} does not fit the registers")
        }
    }
}

/// The sums of a tile's taps over the job, for a vector of channels.
///
/// # Safety
/// The job's tensors have the plan's samples, and a vector of channels from `channel`.
#[inline(always)]
unsafe fn sweep<S: Simd, const TAPS: usize, const STEP: usize, const LINES: usize>(
    s: S,
    job: &Job<'_>,
    channel: usize,
) -> [[S::F; TAPS]; LINES] {
    let plan = job.plan;
    let (lines, columns) = (plan.columns.len(), &plan.grid.columns);
    let [left, right] = columns.edges(plan.width);
    let mut sums = [[s.splat(0.0); TAPS]; LINES];
    for sample in 0..job.samples {
        for row in 0..plan.rows {
            let mut sources = [Source { row: job.x, column: 0, inside: false }; LINES];
            for l in 0..LINES {
                if let Some(source) = plan.sources[row * lines + job.line + l] {
                    let column = plan.columns[job.line + l];
                    let row = job.x.wrapping_add(sample * plan.source_len + source + channel);
                    let row = row.wrapping_offset(column * columns.channels as isize);
                    sources[l] = Source { row, column, inside: true };
                }
            }
            let dy = job.dy.wrapping_add((sample * plan.rows + row) * plan.width * plan.channels + channel);
            // SAFETY: by contract.
            unsafe {
                for at in (0..left).chain(plan.width - right..plan.width) {
                    tile::<S, TAPS, STEP, LINES, 1, true>(s, columns, &mut sums, &sources, dy, at);
                }
                let (mut at, end) = (left, plan.width - right);
                macro_rules! tiles {
                    ($($n:literal)+) => {
                        $(while end - at >= $n {
                            tile::<S, TAPS, STEP, LINES, $n, false>(s, columns, &mut sums, &sources, dy, at);
                            at += $n;
                        })+
                    };
                }
                if const { S::REGISTERS >= 32 } {
                    tiles!(4 1);
                } else {
                    tiles!(2 1);
                }
            }
        }
    }
    sums
}

/// The source row of a line.
#[derive(Clone, Copy)]
struct Source {
    /// Column that the first tap reads at the first position, where it would be, and its number.
    row: *const f32,
    column: isize,
    /// Whether the row is inside the sample.
    inside: bool,
}

/// Adds the products of `N` positions from `at`. Where `EDGE`, columns outside the sample are left out.
///
/// # Safety
/// A vector is readable at each position of `dy`, and at every column that the tile meets, or every one inside the
/// sample if `EDGE`.
#[inline(always)]
unsafe fn tile<S: Simd, const TAPS: usize, const STEP: usize, const LINES: usize, const N: usize, const EDGE: bool>(
    s: S,
    columns: &Columns,
    sums: &mut [[S::F; TAPS]; LINES],
    sources: &[Source; LINES],
    dy: *const f32,
    at: usize,
) {
    let pitch = columns.unit * columns.channels;
    let mut g = [s.splat(0.0); N];
    for i in 0..N {
        // SAFETY: by contract.
        g[i] = unsafe { s.load(dy.add((at + i) * columns.channels)) };
    }
    for l in 0..LINES {
        let Source { row, column, inside } = sources[l];
        // As good as free: it goes the same way for a whole row.
        if !inside {
            continue;
        }
        let x = row.wrapping_add(at * columns.step * columns.channels);
        let column = column + (at * columns.step) as isize;
        each_column!(C => {
            let inside = ((column + (C * columns.unit) as isize) as usize) < columns.count;
            if C < (N - 1) * STEP + TAPS && (inside || !EDGE) {
                // SAFETY: by contract.
                let x = unsafe { s.load(x.wrapping_add(C * pitch)) };
                for t in 0..TAPS {
                    if let Some(i) = result(C, t, STEP).filter(|i| *i < N) {
                        sums[l][t] = s.fma(x, g[i], sums[l][t]);
                    }
                }
            }
        });
    }
}

/// Writes the lanes of a vector of sums from `done`.
///
/// # Safety
/// A vector is writable at `p`.
#[inline(always)]
unsafe fn write<S: Simd>(s: S, p: *mut f32, sums: S::F, done: usize, add: bool) {
    // SAFETY: by contract; the array has as many lanes as any vector.
    unsafe {
        if done == 0 {
            s.store(p, if add { s.add(s.load(p), sums) } else { sums });
        } else {
            let mut lanes = [0.0f32; 16];
            s.store(lanes.as_mut_ptr(), sums);
            for (l, sum) in lanes.into_iter().enumerate().take(S::LANES).skip(done) {
                *p.add(l) = if add { *p.add(l) + sum } else { sum };
            }
        }
    }
}

impl Gradient {
    /// For at least [`super::LEAST`] groups of one channel each, with the geometry of the forward convolution.
    pub(crate) fn new(isa: Isa, geometry: &Geometry) -> Self {
        let (halo, pass) = (&geometry.halo, &geometry.passes[0]);
        let grid = Grid::new(halo, pass);
        let [depth, height, width] = pass.size;
        let rows = (0..depth).flat_map(|d| (0..height).map(move |h| [d, h]));
        let lines = 0..grid.at.len();
        let sources =
            rows.flat_map(|row| lines.clone().map(move |i| (i, row))).map(|(i, row)| grid.source(halo, pass, i, row));
        Self {
            isa: fitting(isa, halo.channels),
            channels: halo.channels,
            source_len: halo.sample_len(),
            rows: depth * height,
            width,
            columns: lines.clone().map(|i| grid.column(halo, i)).collect(),
            sources: sources.collect(),
            grid,
        }
    }

    /// Overwrites `out` (`[taps.., channels]`) with the sum over `n` samples.
    ///
    /// # Panics
    /// If a length is not that of its tensor.
    pub(crate) fn run(&self, n: usize, x: &[f32], dy: &[f32], out: &mut [f32]) {
        let dy_len = self.rows * self.width * self.channels;
        assert_eq!(x.len(), n * self.source_len, "x of a kernel gradient");
        assert_eq!(dy.len(), n * dy_len, "dy of a kernel gradient");
        assert_eq!(out.len(), self.grid.taps.len() * self.channels, "result of a kernel gradient");
        if n == 0 {
            out.fill(0.0);
        }
        let band = BAND.div_ceil(self.rows * self.width);
        for first in (0..n).step_by(band) {
            let mut line = 0;
            while line < self.grid.at.len() {
                let job = Job {
                    plan: self,
                    samples: band.min(n - first),
                    x: x[first * self.source_len..].as_ptr(),
                    dy: dy[first * dy_len..].as_ptr(),
                    out: out.as_mut_ptr(),
                    add: first > 0,
                    line,
                };
                // SAFETY: rows and lines come from the geometry; the lengths were asserted; channels fill a vector.
                line += unsafe { enter(self.isa, self.grid.shape, &job) };
            }
        }
    }

    /// For people.
    pub(crate) fn describe(&self) -> String {
        format!("depthwise kernel gradient ({})", self.isa.name())
    }
}

struct Registers;

impl Kernel for Registers {
    type Output = usize;

    #[inline(always)]
    fn run<S: Simd>(self, _: S) -> usize {
        S::REGISTERS
    }
}

/// Runs the tallest tile that fits the registers and the lines left, and returns its lines.
///
/// # Safety
/// The job's tensors have the plan's samples; there are as many channels as `isa` has lanes.
unsafe fn enter(isa: Isa, shape: Shape, job: &Job<'_>) -> usize {
    let most = ((dispatch(isa, Registers) - 4) / shape.taps).min(job.plan.grid.at.len() - job.line);
    macro_rules! tiles {
        ($($taps:literal / $step:literal x [$($lines:literal)+],)+) => {
            match (shape.taps, shape.step) {
                $(($taps, $step) => {
                    $(if most >= $lines {
                        dispatch(isa, Tile::<$taps, $step, $lines>(job));
                        return $lines;
                    })+
                })+
                _ => unreachable!("no tile for {shape:?}"),
            }
        };
    }
    tiles!(
        1 / 1 x [9 4 2 1],
        2 / 1 x [4 2 1],
        3 / 1 x [3 2 1],
        5 / 1 x [5 2 1],
        7 / 1 x [3 1],
        3 / 2 x [3 2 1],
        5 / 2 x [5 2 1],
    );
    unreachable!("a tile of one line fits every instruction set")
}
