//! The tile of the forward convolution and the input gradient.

use super::{Columns, Line, Phase, Row};
use crate::kernels::direct::Relu;
use crate::simd::{Isa, Kernel, Simd, dispatch};

/// Runs the block for every column of the widest tile: a loop of this length is not sure to be unrolled, and must be
/// for sums to stay in registers.
macro_rules! each_column {
    ($c:ident => $body:block) => {
        each_column!($c => $body; 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18);
    };
    ($c:ident => $body:block; $($n:literal)+) => {
        $({
            const $c: usize = $n;
            $body
        })+
    };
}
pub(super) use each_column;

/// The result of a tile that meets a column with a tap.
#[inline(always)]
pub(super) fn result(column: usize, tap: usize, step: usize) -> Option<usize> {
    column.checked_sub(tap).filter(|c| c.is_multiple_of(step)).map(|c| c / step)
}

/// What columns in the padding are read from.
static ZEROS: [f32; 16] = [0.0; 16];

/// One phase of one sample.
pub(super) struct Job<'a> {
    pub(super) phase: &'a Phase,
    pub(super) channels: usize,
    pub(super) block: usize,
    pub(super) source: *const f32,
    pub(super) weights: *const f32,
    pub(super) bias: Option<&'a [f32]>,
    pub(super) relu: Relu,
    pub(super) result: *mut f32,
    /// Results at either end of a row for which some line leaves the sample.
    pub(super) edges: [usize; 2],
}

struct Rows<'a, const TAPS: usize, const STEP: usize>(&'a Job<'a>);

impl<const TAPS: usize, const STEP: usize> Kernel for Rows<'_, TAPS, STEP> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let job = self.0;
        let vectors = job.channels.div_ceil(S::LANES);
        for first in (0..vectors).step_by(job.block) {
            for row in &job.phase.rows {
                for vector in first..vectors.min(first + job.block) {
                    // The last vector overlaps the one before if channels are left over.
                    let channel = (vector * S::LANES).min(job.channels - S::LANES);
                    // SAFETY: by the contract of `enter`; `channel` has a vector of channels.
                    unsafe { results::<S, TAPS, STEP>(s, job, row, channel) }
                }
            }
        }
    }
}

/// A vector of channels of a row of results.
///
/// # Safety
/// As for [`enter`]; a vector of channels starts at `channel`.
#[inline(always)]
unsafe fn results<S: Simd, const TAPS: usize, const STEP: usize>(s: S, job: &Job<'_>, row: &Row, channel: usize) {
    let Phase { grid, lines, width, pitch, .. } = job.phase;
    // SAFETY: by contract.
    unsafe {
        let reads = Reads {
            start: job.bias.map_or(s.splat(0.0), |b| s.load(b.as_ptr().add(channel))),
            lines: &lines[row.first..row.end],
            source: job.source.add(channel),
            weights: job.weights.add(channel),
            columns: &grid.columns,
        };
        let result = job.result.add(row.result + channel);
        let [left, right] = job.edges;
        macro_rules! tiles {
            ($n:literal) => {
                for at in (0..*width).step_by($n) {
                    let to = result.add(at * pitch);
                    if at >= left && at + $n <= width - right {
                        store(s, tile::<S, TAPS, STEP, $n, false>(s, &reads, at), to, *pitch, $n, job.relu);
                    } else {
                        store(s, tile::<S, TAPS, STEP, $n, true>(s, &reads, at), to, *pitch, width - at, job.relu);
                    }
                }
            };
        }
        // The compiler loads the columns of a kernel row ahead: all of them must fit the registers.
        if const { S::REGISTERS >= 32 } {
            tiles!(8);
        } else {
            tiles!(4);
        }
    }
}

/// What the tiles of a row read.
struct Reads<'a, S: Simd> {
    /// Start of the sums.
    start: S::F,
    lines: &'a [Line],
    source: *const f32,
    weights: *const f32,
    columns: &'a Columns,
}

/// `N` results from result `at` of a row. Where `EDGE`, columns outside the sample count as zeros.
///
/// # Safety
/// A vector is readable at every column of the lines' source rows that the tile meets, or every one inside the sample
/// if `EDGE`; `weights` has a vector for each tap, `channels` apart.
#[inline(always)]
unsafe fn tile<S: Simd, const TAPS: usize, const STEP: usize, const N: usize, const EDGE: bool>(
    s: S,
    reads: &Reads<'_, S>,
    at: usize,
) -> [S::F; N] {
    let Reads { start, lines, source, weights, columns } = *reads;
    let mut sums = [start; N];
    let (channels, pitch) = (columns.channels, columns.unit * columns.channels);
    let from = at * columns.step;
    for line in lines {
        let mut w = [start; TAPS];
        for t in 0..TAPS {
            // SAFETY: by contract.
            w[t] = unsafe { s.load(weights.add(line.tap + t * channels)) };
        }
        let column = line.column + from as isize;
        let source = source.wrapping_offset(line.source).wrapping_add(from * channels);
        each_column!(C => {
            if C < (N - 1) * STEP + TAPS {
                let inside = ((column + (C * columns.unit) as isize) as usize) < columns.count;
                let x = if inside || !EDGE { source.wrapping_add(C * pitch) } else { ZEROS.as_ptr() };
                // SAFETY: by contract, or a vector of zeros.
                let x = unsafe { s.load(x) };
                for t in 0..TAPS {
                    if let Some(i) = result(C, t, STEP).filter(|i| *i < N) {
                        sums[i] = s.fma(x, w[t], sums[i]);
                    }
                }
            }
        });
    }
    sums
}

/// Writes the first `count` results of a tile.
///
/// # Safety
/// A vector is writable at each of them.
#[inline(always)]
unsafe fn store<S: Simd, const N: usize>(
    s: S,
    mut sums: [S::F; N],
    result: *mut f32,
    pitch: usize,
    count: usize,
    relu: Relu,
) {
    // Of a NaN and a bound the second operand stays, which is the NaN.
    if relu != Relu::No {
        for i in 0..N {
            sums[i] = s.max(s.splat(0.0), sums[i]);
        }
    }
    if let Relu::UpTo(most) = relu {
        for i in 0..N {
            sums[i] = s.min(s.splat(most), sums[i]);
        }
    }
    for i in 0..N {
        if i < count {
            // SAFETY: by contract.
            unsafe { s.store(result.add(i * pitch), sums[i]) };
        }
    }
}

/// Computes a phase.
///
/// # Safety
/// `source` and `result` are a sample of each, with the rows of the phase; `weights` has all its taps; there are as
/// many channels as `isa` has lanes.
pub(super) unsafe fn enter(isa: Isa, job: &Job<'_>) {
    let shape = job.phase.grid.shape;
    macro_rules! shapes {
        ($($taps:literal / $step:literal),+) => {
            match (shape.taps, shape.step) {
                $(($taps, $step) => dispatch(isa, Rows::<$taps, $step>(job)),)+
                _ => unreachable!("no tile for {shape:?}"),
            }
        };
    }
    shapes!(1 / 1, 2 / 1, 3 / 1, 5 / 1, 7 / 1, 3 / 2, 5 / 2);
}
