//! Kernel gradient, transposed: for each output channel, the inputs at the positions that carry its gradient, times
//! the gradient, are summed in registers over the channel's list of positions.

use super::{HALF_CYCLE, Layout, cover_lines, line_tiles, valid};
use crate::kernels::direct::cover::{At, Pass};
use crate::simd::{Isa, Kernel, Simd, dispatch};

/// Bytes of input that a band of windows should read: most of the smallest L1 among current cores (32 KiB). Each
/// output channel reads them again.
const RESIDENT: usize = 24 << 10;

/// Windows that a band has if there are as many, so that adding a tile to memory costs a few percent of filling it.
const WINDOWS: usize = 48;

/// A position that carries gradient: its offset in the sample, and the gradient's bits.
type Entry = [u32; 2];

#[derive(Debug)]
pub(super) struct KernelGrad {
    lanes: usize,
    pub(super) passes: Vec<Pass>,
    /// Windows per band.
    band: usize,
}

impl KernelGrad {
    /// With the cost of one gradient value.
    pub(super) fn new(isa: Isa, layout: &Layout) -> Option<(usize, Self)> {
        let windows = layout.windows.len();
        let window_bytes = (layout.halo.len() * size_of::<f32>()).div_ceil(windows);
        let band = (RESIDENT / window_bytes.max(1)).max(WINDOWS).min(windows);
        let (cost, passes) = cover_lines(isa, layout, exists, |tile| {
            // Two loads of the entry; adding to memory once per band.
            ((tile + 2).max(8) + 1) * HALF_CYCLE + 3 * tile * HALF_CYCLE / band
        })?;
        // Two cycles to list a value.
        Some((cost + 4 * HALF_CYCLE, Self { lanes: isa.lanes(), passes, band }))
    }

    /// Floats of a pass's sums: tile by tile, output channel by output channel, line by line, in whole vectors.
    fn pass_len(&self, layout: &Layout, pass: &Pass) -> usize {
        pass.tiles.len() * layout.cout * pass.lines * pass.c * self.lanes
    }

    fn sums_len(&self, layout: &Layout) -> usize {
        self.passes.iter().map(|p| self.pass_len(layout, p)).sum()
    }

    /// The sample, and what the last vector of its last line reads past it.
    fn halo_len(&self, layout: &Layout) -> usize {
        (layout.halo.len() + self.lanes).next_multiple_of(16)
    }

    pub(super) fn scratch_len(&self, layout: &Layout) -> usize {
        let entries = layout.cout * self.band * size_of::<Entry>() / size_of::<f32>();
        self.sums_len(layout) + self.halo_len(layout) + layout.cout + entries
    }

    pub(super) fn run(
        &self,
        isa: Isa,
        layout: &Layout,
        n: usize,
        x: &[f32],
        g: &[f32],
        index: &[u8],
        dk: &mut [f32],
        scratch: &mut [f32],
    ) {
        let (sums, rest) = scratch.split_at_mut(self.sums_len(layout));
        let (bordered, rest) = rest.split_at_mut(self.halo_len(layout));
        let (counts, entries) = rest.split_at_mut(layout.cout);
        sums.fill(0.0);
        bordered.fill(0.0);
        let (sample_len, pooled) = (layout.halo.sample_len(), layout.windows.len() * layout.cout);
        for sample in 0..n {
            layout.halo.fill(&x[sample * sample_len..(sample + 1) * sample_len], bordered);
            for (band, windows) in layout.windows.chunks(self.band).enumerate() {
                let from = sample * pooled + band * self.band * layout.cout;
                let to = from + windows.len() * layout.cout;
                let mut job = Job {
                    layout,
                    x: bordered.as_ptr(),
                    entries: entries.as_mut_ptr().cast(),
                    counts: counts.as_mut_ptr().cast(),
                    capacity: self.band,
                    tiles: &[],
                    sums: sums.as_mut_ptr(),
                };
                // SAFETY: there is room for an entry per window and channel, and a count per channel.
                unsafe { job.list(windows, &g[from..to], &index[from..to]) }
                for pass in &self.passes {
                    job.tiles = &pass.tiles;
                    // SAFETY: entries are offsets of the layout, which with its lines lie in the haloed sample, after
                    // which a vector can be read; `sums` points at the pass's.
                    unsafe {
                        enter(isa, pass.lines, pass.c, &job);
                        job.sums = job.sums.add(self.pass_len(layout, pass));
                    }
                }
            }
        }
        let mut from = 0;
        for pass in &self.passes {
            dispatch(isa, Transpose { layout, pass, sums: &sums[from..], dk });
            from += self.pass_len(layout, pass);
        }
    }
}

/// Tiles of one pass over a band of windows.
struct Job<'a> {
    layout: &'a Layout,
    x: *const f32,
    /// `capacity` entries for each output channel, and how many there are.
    entries: *mut Entry,
    counts: *mut u32,
    capacity: usize,
    tiles: &'a [At],
    sums: *mut f32,
}

impl Job<'_> {
    /// Lists the positions of each output channel.
    ///
    /// # Safety
    /// `entries` has room for `capacity` per channel, at least one per window, and `counts` for one per channel.
    unsafe fn list(&self, windows: &[u32], g: &[f32], index: &[u8]) {
        let cout = self.layout.cout;
        assert!(windows.len() <= self.capacity && g.len() == windows.len() * cout && index.len() == g.len());
        // SAFETY: a channel's count is at most the windows seen before, so less than `capacity`.
        unsafe {
            self.counts.write_bytes(0, cout);
            for (w, window) in windows.iter().enumerate() {
                let (g, index) = (&g[w * cout..][..cout], &index[w * cout..][..cout]);
                for c in 0..cout {
                    let count = self.counts.add(c);
                    let at = window + self.layout.positions[usize::from(index[c])];
                    *self.entries.add(c * self.capacity + *count as usize) = [at, g[c].to_bits()];
                    *count += u32::from(g[c] != 0.0);
                }
            }
        }
    }
}

struct Tile<'a, const LINES: usize, const NV: usize>(&'a Job<'a>);

impl<const LINES: usize, const NV: usize> Kernel for Tile<'_, LINES, NV> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        // Instances that this instruction set cannot hold are never chosen: compile none.
        if const { LINES * NV + 2 <= S::REGISTERS } {
            // SAFETY: `enter`'s caller vouches for the job.
            unsafe { sweep::<S, LINES, NV>(s, self.0) }
        } else {
            unreachable!("tile {LINES}x{NV} does not fit the registers")
        }
    }
}

/// # Safety
/// From every entry, all lines and a vector more can be read; `sums` has all tiles of all channels.
#[inline(always)]
unsafe fn sweep<S: Simd, const LINES: usize, const NV: usize>(s: S, job: &Job<'_>) {
    let layout = job.layout;
    for (t, &at) in job.tiles.iter().enumerate() {
        // SAFETY: by contract.
        unsafe {
            let mut base = [job.x; LINES];
            for l in 0..LINES {
                base[l] = job.x.add(layout.lines[at.line + l] + at.c * S::LANES);
            }
            for channel in 0..layout.cout {
                let entries = job.entries.add(channel * job.capacity);
                let mut acc = [[s.splat(0.0); NV]; LINES];
                for e in 0..*job.counts.add(channel) as usize {
                    let [offset, g] = *entries.add(e);
                    let g = s.splat(f32::from_bits(g));
                    for l in 0..LINES {
                        for v in 0..NV {
                            // What a last vector reads past its line is dropped by `Transpose`.
                            let x = s.load(base[l].add(offset as usize + v * S::LANES));
                            acc[l][v] = s.fma(g, x, acc[l][v]);
                        }
                    }
                }
                let sums = job.sums.add((t * layout.cout + channel) * LINES * NV * S::LANES);
                for l in 0..LINES {
                    for v in 0..NV {
                        let p = sums.add((l * NV + v) * S::LANES);
                        s.store(p, s.add(s.load(p), acc[l][v]));
                    }
                }
            }
        }
    }
}

line_tiles! {
    Tile,
    1 x [1 2 3 4 5 6 7 8 9 10 11 12 13 14];
    2 x [1 2 3 4 5 6 7 8];
    3 x [1 2 3 4 6 8];
    5 x [1 2 3 4];
    9 x [1 2];
}

/// Sums of a pass to `[row, output channel]`.
struct Transpose<'a> {
    layout: &'a Layout,
    pass: &'a Pass,
    sums: &'a [f32],
    dk: &'a mut [f32],
}

impl Kernel for Transpose<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Self { layout, pass, sums, dk } = self;
        let (cout, tile_len) = (layout.cout, pass.lines * pass.c * S::LANES);
        assert!(sums.len() >= pass.tiles.len() * cout * tile_len);
        let mut block = [0.0; 4 * 16];
        for (t, at) in pass.tiles.iter().enumerate() {
            for vector in 0..pass.lines * pass.c {
                let (l, v) = (vector / pass.c, vector % pass.c);
                let row = (at.line + l) * layout.line_len + (at.c + v) * S::LANES;
                let rows = valid(layout, S::LANES, *at, v);
                for channel in (0..cout).step_by(4) {
                    let channels = (cout - channel).min(4);
                    let four = std::array::from_fn(|k| {
                        let from = (t * cout + channel + k.min(channels - 1)) * tile_len + vector * S::LANES;
                        // SAFETY: a vector of an existing tile and channel, by the assertion.
                        unsafe { s.load(sums.as_ptr().add(from)) }
                    });
                    // SAFETY: the block holds four vectors of up to sixteen lanes.
                    unsafe { s.store_interleaved4(block.as_mut_ptr(), four) }
                    for i in 0..rows {
                        let to = (row + i) * cout + channel;
                        dk[to..to + channels].copy_from_slice(&block[4 * i..4 * i + channels]);
                    }
                }
            }
        }
    }
}
