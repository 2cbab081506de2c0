//! The tile of the forward convolution and the input gradient.

use super::{Columns, Line, Phase};
use crate::simd::{Isa, Kernel, Simd, dispatch};

/// Results of a tile, and of the tile that finishes a row with few left.
const WIDE: usize = 8;
const NARROW: usize = 4;

/// What columns in the padding are read from.
pub(super) static ZEROS: [f32; 16] = [0.0; 16];

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

/// One phase of one sample.
pub(super) struct Job<'a> {
    pub(super) phase: &'a Phase,
    pub(super) channels: usize,
    pub(super) block: usize,
    pub(super) source: *const f32,
    pub(super) weights: *const f32,
    pub(super) bias: Option<&'a [f32]>,
    pub(super) relu: bool,
    pub(super) result: *mut f32,
}

struct Rows<'a, const TAPS: usize, const STEP: usize>(&'a Job<'a>);

impl<const TAPS: usize, const STEP: usize> Kernel for Rows<'_, TAPS, STEP> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let job = self.0;
        let Phase { grid, rows, lines, width, pitch } = job.phase;
        let vectors = job.channels.div_ceil(S::LANES);
        for first in (0..vectors).step_by(job.block) {
            for row in rows {
                for vector in first..vectors.min(first + job.block) {
                    // The last vector overlaps the one before if channels are left over.
                    let channel = (vector * S::LANES).min(job.channels - S::LANES);
                    let lines = &lines[row.first..row.end];
                    // SAFETY: by the contract of `enter`; `channel` has a vector of channels.
                    unsafe {
                        let start = job.bias.map_or(s.splat(0.0), |b| s.load(b.as_ptr().add(channel)));
                        let (source, weights) = (job.source.add(channel), job.weights.add(channel));
                        let result = job.result.add(row.result + channel);
                        let mut at = 0;
                        while at < *width {
                            let left = width - at;
                            let to = result.add(at * pitch);
                            if left >= WIDE && grid.columns.inside(at, WIDE) {
                                let sums = tile::<S, TAPS, STEP, WIDE, false>(
                                    s,
                                    start,
                                    lines,
                                    source,
                                    weights,
                                    &grid.columns,
                                    at,
                                );
                                store(s, sums, to, *pitch, WIDE, job.relu);
                                at += WIDE;
                            } else if left > NARROW {
                                let sums = tile::<S, TAPS, STEP, WIDE, true>(
                                    s,
                                    start,
                                    lines,
                                    source,
                                    weights,
                                    &grid.columns,
                                    at,
                                );
                                store(s, sums, to, *pitch, left, job.relu);
                                at += WIDE;
                            } else {
                                let sums = tile::<S, TAPS, STEP, NARROW, true>(
                                    s,
                                    start,
                                    lines,
                                    source,
                                    weights,
                                    &grid.columns,
                                    at,
                                );
                                store(s, sums, to, *pitch, left, job.relu);
                                at += NARROW;
                            }
                        }
                    }
                }
            }
        }
    }
}

/// `N` results from result `at` of a row. Where `EDGE`, columns outside the sample count as zeros.
///
/// # Safety
/// A vector is readable at every column of the lines' source rows that the tile meets, or every one inside the sample
/// if `EDGE`; `weights` has a vector for each tap, `channels` apart.
#[inline(always)]
unsafe fn tile<S: Simd, const TAPS: usize, const STEP: usize, const N: usize, const EDGE: bool>(
    s: S,
    start: S::F,
    lines: &[Line],
    source: *const f32,
    weights: *const f32,
    columns: &Columns,
    at: usize,
) -> [S::F; N] {
    let mut sums = [start; N];
    for line in lines {
        let column = line.column + (at * columns.step) as isize;
        let mut w = [start; TAPS];
        for t in 0..TAPS {
            // SAFETY: by contract.
            w[t] = unsafe { s.load(weights.add((line.tap + t) * columns.channels)) };
        }
        let source = source.wrapping_add(line.source).wrapping_offset(column * columns.channels as isize);
        each_column!(C => {
            if C < (N - 1) * STEP + TAPS {
                let column = column + (C * columns.unit) as isize;
                let x = source.wrapping_add(C * columns.unit * columns.channels);
                let x = if EDGE && column as usize >= columns.count { ZEROS.as_ptr() } else { x };
                // SAFETY: by contract, or a vector of zeros.
                let x = unsafe { s.load(x) };
                for t in 0..TAPS {
                    if C >= t && (C - t).is_multiple_of(STEP) && (C - t) / STEP < N {
                        sums[(C - t) / STEP] = s.fma(x, w[t], sums[(C - t) / STEP]);
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
    relu: bool,
) {
    if relu {
        for i in 0..N {
            sums[i] = s.max(s.splat(0.0), sums[i]);
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
