//! Convolutions of one channel to few: lanes are neighbouring positions of a row.
//!
//! The source of such positions lies side by side, whatever the number of result channels, each of which has its own sum
//! in a register. The sums are interleaved when they are stored. Every result sums the same products in the same order
//! as in tiles, and so has the same bits.

use super::Relu;
use super::forward::Part;
use super::gather::{Region, Run, narrow};
use super::geometry::Geometry;
use crate::simd::{Isa, Kernel, Simd, dispatch};

/// Most channels of the result: with more, tiles fill their vectors.
const CHANNELS: usize = 7;

#[derive(Debug)]
pub(super) struct Across {
    isa: Isa,
    channels: usize,
    /// Source and result offset of the first of the positions that a vector has, row by row. The last of a row may
    /// overlap the one before.
    segments: Vec<[u32; 2]>,
}

impl Across {
    /// None unless the source has one channel, the result fewer than half a vector of AVX-512, and rows are as long as a
    /// vector; `isa` is the best that may be used.
    pub(super) fn new(isa: Isa, geometry: &Geometry) -> Option<Self> {
        let [pass] = &geometry.passes[..] else { return None };
        let channels = geometry.result_channels;
        let beside = pass.step[2] == 1 && pass.stride == [1; 3] && !geometry.is_pointwise();
        if geometry.halo.channels != 1 || channels > CHANNELS || geometry.groups > 1 || !beside {
            return None;
        }
        let [depth, height, width] = pass.size;
        // Half vectors where whole ones would overlap by half or more.
        let halves = isa == Isa::Avx512 && (width < 16 || width.div_ceil(16) * 2 > width.div_ceil(8));
        let isa = if halves { Isa::Avx2 } else { isa };
        let lanes = isa.lanes();
        if width < lanes {
            return None;
        }
        let mut segments = Vec::new();
        for d in 0..depth {
            for h in 0..height {
                let source = geometry.halo.offset([d * pass.step[0], h * pass.step[1], 0]);
                let result = (d * height + h) * width * channels;
                for w in (0..width).step_by(lanes).map(|w| w.min(width - lanes)) {
                    segments.push([narrow(source + w), narrow(result + w * channels)]);
                }
            }
        }
        Some(Self { isa, channels, segments })
    }

    pub(super) fn isa(&self) -> Isa {
        self.isa
    }

    /// Computes one sample, and may write up to three floats past its end where `out` has room.
    ///
    /// # Safety
    /// The segments' positions and the runs of `region` lie inside the source; `part` holds the weights of its only
    /// block, `width` floats a row.
    pub(super) unsafe fn run(
        &self,
        region: &Region,
        source: *const f32,
        part: &Part<'_>,
        width: usize,
        out: &mut [f32],
    ) {
        let (weights, bias, relu) = part.parts();
        let sweep =
            Sweep { segments: &self.segments, runs: &region.runs, run: region.run, source, weights, width, bias, relu };
        macro_rules! instances {
            ($($channels:literal x $segments:literal),+) => {
                match self.channels {
                    $($channels => dispatch(self.isa, Tile::<$channels, $segments> { sweep, out }),)+
                    channels => unreachable!("no tile of {channels} channels across"),
                }
            };
        }
        // Sums, sources and one weight fit 16 registers.
        instances!(1 x 2, 2 x 2, 3 x 2, 4 x 2, 5 x 2, 6 x 2, 7 x 1);
    }
}

#[derive(Clone, Copy)]
struct Sweep<'a> {
    segments: &'a [[u32; 2]],
    runs: &'a [Run],
    run: usize,
    source: *const f32,
    weights: &'a [f32],
    width: usize,
    bias: Option<&'a [f32]>,
    relu: Relu,
}

/// `SEGMENTS` vectors of positions by `CHANNELS` sums. Made only by [`Across::run`], whose contract it carries.
struct Tile<'a, const CHANNELS: usize, const SEGMENTS: usize> {
    sweep: Sweep<'a>,
    out: &'a mut [f32],
}

impl<const CHANNELS: usize, const SEGMENTS: usize> Kernel for Tile<'_, CHANNELS, SEGMENTS> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Self { sweep, out } = self;
        let count = sweep.segments.len();
        for first in (0..count).step_by(SEGMENTS) {
            // Past the end the last segment is computed again.
            let at: [[u32; 2]; SEGMENTS] = std::array::from_fn(|g| sweep.segments[(first + g).min(count - 1)]);
            // SAFETY: by the contract of `Across::run`.
            let sums = unsafe { sums::<S, CHANNELS, SEGMENTS>(s, &sweep, at.map(|at| at[0] as usize)) };
            for g in 0..SEGMENTS {
                store(s, bounded(s, sums[g], sweep.relu), &mut out[at[g][1] as usize..]);
            }
        }
    }
}

/// # Safety
/// As [`Across::run`].
#[inline(always)]
unsafe fn sums<S: Simd, const CHANNELS: usize, const SEGMENTS: usize>(
    s: S,
    sweep: &Sweep<'_>,
    at: [usize; SEGMENTS],
) -> [[S::F; CHANNELS]; SEGMENTS] {
    let mut start = [s.splat(0.0); CHANNELS];
    if let Some(bias) = sweep.bias {
        for o in 0..CHANNELS {
            start[o] = s.splat(bias[o]);
        }
    }
    let mut sums = [start; SEGMENTS];
    for run in sweep.runs {
        // Positions and runs are inside the source together, not each alone.
        let source = sweep.source.wrapping_offset(run.source);
        let rows = &sweep.weights[run.row * sweep.width..];
        for (c, row) in rows.chunks_exact(sweep.width).take(sweep.run).enumerate() {
            let row = &row[..CHANNELS];
            let mut x = [s.splat(0.0); SEGMENTS];
            for g in 0..SEGMENTS {
                // SAFETY: by contract.
                x[g] = unsafe { s.load(source.wrapping_add(at[g] + c)) };
            }
            for o in 0..CHANNELS {
                let weight = s.splat(row[o]);
                for g in 0..SEGMENTS {
                    sums[g][o] = s.fma(x[g], weight, sums[g][o]);
                }
            }
        }
    }
    sums
}

/// Of a NaN and a bound the second operand stays, which is the NaN.
#[inline(always)]
fn bounded<S: Simd, const CHANNELS: usize>(s: S, mut sums: [S::F; CHANNELS], relu: Relu) -> [S::F; CHANNELS] {
    if relu != Relu::No {
        for o in 0..CHANNELS {
            sums[o] = s.max(s.splat(0.0), sums[o]);
        }
    }
    if let Relu::UpTo(most) = relu {
        for o in 0..CHANNELS {
            sums[o] = s.min(s.splat(most), sums[o]);
        }
    }
    sums
}

/// Writes a vector of positions, channel by channel of each, in fours: past the last channel they write what later
/// positions overwrite.
#[inline(always)]
fn store<S: Simd, const CHANNELS: usize>(s: S, sums: [S::F; CHANNELS], out: &mut [f32]) {
    const { assert!(CHANNELS <= 8 && S::LANES <= 16) };
    let mut fours = [0.0f32; 2 * 4 * 16];
    let number = CHANNELS.div_ceil(4);
    for q in 0..number {
        let mut four = [s.splat(0.0); 4];
        for k in 0..4 {
            if q * 4 + k < CHANNELS {
                four[k] = sums[q * 4 + k];
            }
        }
        // SAFETY: the array has room for twice four vectors.
        unsafe { s.store_interleaved4(fours[q * 4 * S::LANES..].as_mut_ptr(), four) };
    }
    if (S::LANES - 1) * CHANNELS + number * 4 <= out.len() {
        for position in 0..S::LANES {
            for q in 0..number {
                // SAFETY: four floats from a position's channels on lie inside `out`, as was just seen.
                unsafe {
                    let from = fours.as_ptr().add((q * S::LANES + position) * 4);
                    out.as_mut_ptr().add(position * CHANNELS + q * 4).copy_from_nonoverlapping(from, 4);
                }
            }
        }
    } else {
        for (position, out) in out.chunks_mut(CHANNELS).take(S::LANES).enumerate() {
            for (c, value) in out.iter_mut().enumerate() {
                *value = fours[(c / 4 * S::LANES + position) * 4 + c % 4];
            }
        }
    }
}
