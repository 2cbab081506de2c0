//! The tile of the forward convolution and the input gradient.

use super::{Columns, Line, Phase, Row};
use crate::kernels::direct::Relu;
use crate::kernels::direct::tile::gated;
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

/// The result of a tile that meets a column with a tap, where columns are `step` apart from a result to the next.
#[inline(always)]
pub(super) fn result(column: usize, tap: usize, step: usize) -> Option<usize> {
    column.checked_sub(tap).filter(|c| c.is_multiple_of(step)).map(|c| c / step)
}

/// The same where results are `up` apart from a column to the next.
#[inline(always)]
fn spread(column: usize, tap: usize, taps: usize, up: usize) -> Option<usize> {
    (column * up + tap).checked_sub((taps - 1) / up * up)
}

/// Columns that a tile of `n` results meets.
pub(super) const fn columns(n: usize, taps: usize, step: usize, up: usize) -> usize {
    if up == 1 { (n - 1) * step + taps } else { n / up + (taps - 1) / up }
}

/// One phase of one sample.
pub(super) struct Job<'a> {
    pub(super) phase: &'a Phase,
    pub(super) channels: usize,
    pub(super) block: usize,
    pub(super) source: *const f32,
    pub(super) weights: *const f32,
    pub(super) result: *mut f32,
    pub(super) bias: Option<&'a [f32]>,
    /// As in an epilogue, or null; from the sample on.
    pub(super) added: *const f32,
    pub(super) relu: Relu,
    pub(super) gate: *const f32,
    /// NaN if all above zero are open.
    pub(super) below: f32,
}

struct Rows<'a, const TAPS: usize, const STEP: usize, const UP: usize, const N: usize>(&'a Job<'a>);

impl<const TAPS: usize, const STEP: usize, const UP: usize, const N: usize> Kernel for Rows<'_, TAPS, STEP, UP, N> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let job = self.0;
        let phase = job.phase;
        let vectors = job.channels.div_ceil(S::LANES);
        for first in (0..vectors).step_by(job.block) {
            let block = first..vectors.min(first + job.block);
            for row in &phase.rows {
                for tile in 0..phase.tiles {
                    let inner = phase.inner.contains(&tile);
                    for vector in block.clone() {
                        // The last vector overlaps the one before if channels are left over.
                        let channel = (vector * S::LANES).min(job.channels - S::LANES);
                        // SAFETY: by the contract of `enter`; `channel` has a vector of channels; inner tiles are
                        // whole, and so are their columns.
                        unsafe {
                            if inner {
                                results::<S, TAPS, STEP, UP, N, false>(s, job, row, tile, channel);
                            } else {
                                results::<S, TAPS, STEP, UP, N, true>(s, job, row, tile, channel);
                            }
                        }
                    }
                }
            }
        }
    }
}

/// A vector of channels of a tile: its sums, and what becomes of them.
///
/// # Safety
/// As for [`enter`]; a vector of channels starts at `channel`. Unless `EDGE`, all of the tile's columns are inside the
/// sample, and its results inside the row.
#[inline(always)]
unsafe fn results<S: Simd, const TAPS: usize, const STEP: usize, const UP: usize, const N: usize, const EDGE: bool>(
    s: S,
    job: &Job<'_>,
    row: &Row,
    tile: usize,
    channel: usize,
) {
    let Phase { grid, lines, pitch, .. } = job.phase;
    // SAFETY: by contract.
    unsafe {
        let start = job.bias.map_or(s.splat(0.0), |b| s.load(b.as_ptr().add(channel)));
        let reads = Reads {
            lines: &lines[row.first..row.end],
            masks: job.phase.masks.as_ptr().add(tile),
            // Columns of the first line's first tap: those of the others differ by offsets of their own.
            source: job.source.wrapping_add(channel + tile * N / UP * STEP * grid.columns.pitch()),
            weights: job.weights.add(channel),
            columns: &grid.columns,
        };
        let mut sums = sums::<S, TAPS, STEP, UP, N, EDGE>(s, start, &reads);
        let stays = if EDGE { job.phase.stays.get_unchecked(tile).clone() } else { 0..N };
        // Results before the row, in its first tile, are not stored.
        let at = row.result as isize + ((tile * N) as isize - job.phase.shift as isize) * *pitch as isize;
        let at = at.wrapping_add_unsigned(channel);
        if !job.added.is_null() {
            let added = job.added.wrapping_offset(at);
            for i in 0..N {
                if stays.contains(&i) {
                    sums[i] = s.add(sums[i], s.load(added.wrapping_add(i * pitch)));
                }
            }
        }
        // Of a NaN and a bound the second operand stays, which is the NaN.
        if job.relu != Relu::No {
            for i in 0..N {
                sums[i] = s.max(s.splat(0.0), sums[i]);
            }
        }
        if let Relu::UpTo(most) = job.relu {
            for i in 0..N {
                sums[i] = s.min(s.splat(most), sums[i]);
            }
        }
        if !job.gate.is_null() {
            let (gate, below) = (job.gate.wrapping_offset(at), s.splat(job.below));
            for i in 0..N {
                if stays.contains(&i) {
                    sums[i] = gated(s, sums[i], s.load(gate.wrapping_add(i * pitch)), below);
                }
            }
        }
        let result = job.result.wrapping_offset(at);
        for i in 0..N {
            if stays.contains(&i) {
                s.store(result.wrapping_add(i * pitch), sums[i]);
            }
        }
    }
}

/// What a tile reads.
struct Reads<'a> {
    lines: &'a [Line],
    /// Columns of the tile that are inside the sample, as bits, by the lines' kind.
    masks: *const u32,
    source: *const f32,
    weights: *const f32,
    columns: &'a Columns,
}

/// The sums of `N` results, from `start`. Where `EDGE`, columns outside the sample are left out.
///
/// # Safety
/// A vector is readable at every column of the lines' source rows that the tile meets, or every one that the masks
/// have if `EDGE`; `weights` has a vector for each tap, `channels` apart.
#[inline(always)]
unsafe fn sums<S: Simd, const TAPS: usize, const STEP: usize, const UP: usize, const N: usize, const EDGE: bool>(
    s: S,
    start: S::F,
    reads: &Reads<'_>,
) -> [S::F; N] {
    let Reads { lines, masks, source, weights, columns: Columns { channels, .. } } = *reads;
    let pitch = reads.columns.pitch();
    let mut sums = [start; N];
    for line in lines {
        let mut w = [start; TAPS];
        for t in 0..TAPS {
            // SAFETY: by contract.
            w[t] = unsafe { s.load(weights.add(line.tap + t * channels)) };
        }
        // SAFETY: every kind of line has a mask for each tile.
        let mask = if EDGE { unsafe { *masks.add(line.kind) } } else { u32::MAX };
        let mut x = source.wrapping_offset(line.source);
        each_column!(C => {
            if C < columns(N, TAPS, STEP, UP) {
                if !EDGE || mask & (1 << C) != 0 {
                    // SAFETY: inside the sample, by contract.
                    let x = unsafe { s.load(x) };
                    for t in 0..TAPS {
                        let at = if UP == 1 { result(C, t, STEP) } else { spread(C, t, TAPS, UP) };
                        if let Some(i) = at.filter(|i| *i < N) {
                            sums[i] = s.fma(x, w[t], sums[i]);
                        }
                    }
                }
                x = x.wrapping_add(pitch);
            }
        });
    }
    sums
}

/// Computes a phase.
///
/// # Safety
/// `source` and `result` are a sample of each, with the rows of the phase, as are `added` and `gate` if not null;
/// `weights` has all its taps; there are as many channels as `isa` has lanes.
pub(super) unsafe fn enter(isa: Isa, job: &Job<'_>) {
    let shape = job.phase.grid.shape;
    macro_rules! shapes {
        ($($taps:literal / $step:literal / $up:literal x [$($n:literal)+],)+) => {
            match (shape.taps, shape.step, shape.up, job.phase.n) {
                $($(($taps, $step, $up, $n) => dispatch(isa, Rows::<$taps, $step, $up, $n>(job)),)+)+
                (.., n) => unreachable!("no tile of {n} for {shape:?}"),
            }
        };
    }
    shapes!(
        1 / 1 / 1 x [4 8],
        2 / 1 / 1 x [4 8],
        3 / 1 / 1 x [4 7 8],
        5 / 1 / 1 x [4 7 8],
        7 / 1 / 1 x [4 8],
        3 / 2 / 1 x [4 7 8],
        5 / 2 / 1 x [4 7 8],
        3 / 1 / 2 x [4 8],
        5 / 1 / 2 x [4 8],
    );
}
