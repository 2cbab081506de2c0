//! One channel per group: lanes are channels, `acc[tap] += x[tap] · dy`, over every pixel of the job.

use crate::simd::{Isa, Kernel, Simd, dispatch};

/// Taps that a tile holds at most: as many pointers as there are registers for.
const MOST_TAPS: usize = 9;

/// All taps and channels, over one set of pixels. Strides are in elements.
pub(super) struct Job<'a> {
    /// Input of the first sample.
    pub(super) x: *const f32,
    pub(super) x_sample: usize,
    /// Start of each row of output pixels in the input.
    pub(super) rows: &'a [usize],
    pub(super) x_pixel: usize,
    /// Output gradient of the first sample.
    pub(super) y: *const f32,
    pub(super) y_sample: usize,
    pub(super) y_row: usize,
    pub(super) samples: usize,
    /// Pixels per row.
    pub(super) pixels: usize,
    /// Start of each tap relative to a pixel.
    pub(super) taps: &'a [usize],
    pub(super) channels: usize,
    /// The result, `[tap, channel]`.
    pub(super) out: *mut f32,
    /// Add to the result rather than overwrite it.
    pub(super) add: bool,
}

struct Tile<'a, const TAPS: usize> {
    job: &'a Job<'a>,
    first: usize,
}

impl<const TAPS: usize> Kernel for Tile<'_, TAPS> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let whole = self.job.channels / S::LANES * S::LANES;
        for channel in (0..whole).step_by(S::LANES) {
            // SAFETY: `run`'s caller vouches for the job; `channel` and the vector after it are within the channels.
            unsafe { sweep::<S, TAPS, true>(s, self.job, self.first, channel, S::LANES) }
        }
        if whole < self.job.channels {
            // SAFETY: as above, with as many channels as are left.
            unsafe { sweep::<S, TAPS, false>(s, self.job, self.first, whole, self.job.channels - whole) }
        }
    }
}

/// # Safety
/// The job's pointers and strides stay within its tensors for every tap, sample, row and pixel, and for `n` channels
/// from `channel`; `n` is `LANES` if `FULL`.
#[inline(always)]
unsafe fn sweep<S: Simd, const TAPS: usize, const FULL: bool>(
    s: S,
    job: &Job<'_>,
    first: usize,
    channel: usize,
    n: usize,
) {
    // SAFETY: by contract.
    let load = |p: *const f32| unsafe { if FULL { s.load(p) } else { s.load_partial(p, n) } };
    let mut acc = [s.splat(0.0); TAPS];
    // SAFETY: by contract.
    unsafe {
        let mut base = [job.x; TAPS];
        for t in 0..TAPS {
            base[t] = job.x.add(job.taps[first + t] + channel);
        }
        for sample in 0..job.samples {
            for (r, &row) in job.rows.iter().enumerate() {
                let mut y = job.y.add(sample * job.y_sample + r * job.y_row + channel);
                let mut offset = sample * job.x_sample + row;
                for _ in 0..job.pixels {
                    let dy = load(y);
                    for t in 0..TAPS {
                        acc[t] = s.fma(load(base[t].add(offset)), dy, acc[t]);
                    }
                    y = y.add(job.channels);
                    offset += job.x_pixel;
                }
            }
        }
        for t in 0..TAPS {
            let out = job.out.add((first + t) * job.channels + channel);
            let sum = if job.add { s.add(load(out), acc[t]) } else { acc[t] };
            if FULL { s.store(out, sum) } else { s.store_partial(out, sum, n) }
        }
    }
}

/// Runs a job.
///
/// # Safety
/// The job's pointers and strides stay within its tensors for every tap, channel, sample, row and pixel.
pub(super) unsafe fn run(isa: Isa, job: &Job<'_>) {
    let taps = job.taps.len();
    // Pieces as equal as can be.
    let pieces = taps.div_ceil(MOST_TAPS);
    let mut first = 0;
    for piece in 0..pieces {
        let count = (taps + piece) / pieces;
        macro_rules! tiles {
            ($($n:literal)+) => {
                match count {
                    $($n => dispatch(isa, Tile::<$n> { job, first }),)+
                    _ => unreachable!("{count} taps in a tile"),
                }
            };
        }
        tiles!(1 2 3 4 5 6 7 8 9);
        first += count;
    }
}
