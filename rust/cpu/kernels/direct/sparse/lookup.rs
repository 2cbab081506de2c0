//! Kernel gradient for few input channels and windows of up to four positions: lanes are output channels, and each
//! picks its input from the positions of the window. For that, the sample is copied so that the positions of any
//! window follow each other: `table[4 i + p] = x[i + positions[p]]`, for every element `i`.

use super::{HALF_CYCLE, Layout, add_to};
use crate::kernels::direct::cover::{At, Pass, cover, registers};
use crate::simd::{Isa, Kernel, Simd, dispatch};
use std::mem::MaybeUninit;
use std::ops::Range;

/// Bytes of table that a band of windows should read: a quarter of the smallest L2 among current cores (512 KiB).
const TABLE_BYTES: usize = 128 << 10;

#[derive(Debug)]
pub(super) struct Lookup {
    lanes: usize,
    /// Vectors of output channels per tile.
    pub(super) nv: usize,
    pub(super) passes: Vec<Pass>,
    /// Windows per band.
    band: usize,
    /// Elements that a band's table covers, at most.
    table: usize,
}

impl Lookup {
    /// With the cost of one sample. None for windows of more than four positions.
    pub(super) fn new(isa: Isa, layout: &Layout) -> Option<(usize, Self)> {
        if layout.volume > 4 {
            return None;
        }
        let lanes = isa.lanes();
        let vectors = layout.cout.div_ceil(lanes);
        let registers = registers(isa);
        let covers = [2, 1].into_iter().filter_map(|nv| {
            let (cost, passes) = cover(layout.lines.len(), layout.line_len, |lines, c| {
                let rows = lines * c;
                // Gradient and index of each vector, the four inputs and what a lane picked.
                let known = exists(lines, c, nv) && fits(lines, c, nv, registers);
                // A multiply-add and a lookup, which share one of three ports.
                known.then(|| ((rows * nv * 3 / 2).max(8) + 2 * nv + 1) * HALF_CYCLE)
            })?;
            Some((cost * vectors.div_ceil(nv), nv, passes))
        });
        let (cost, nv, passes) = covers.min_by_key(|c| c.0)?;
        let windows = layout.windows.len();
        let band = (windows * TABLE_BYTES / (layout.halo.len() * 4 * size_of::<f32>())).clamp(1, windows);
        let mut lookup = Self { lanes, nv, passes, band, table: 0 };
        let bands = layout.windows.chunks(band);
        lookup.table = bands.map(|windows| range(layout, windows).len()).max().unwrap_or(0);
        // Four loads, four stores and eight permutations make a vector of table.
        let tables = windows.div_ceil(band) * lookup.table.div_ceil(lanes) * 12 * HALF_CYCLE;
        Some((cost * windows + tables, lookup))
    }

    /// Output channels, up to whole blocks.
    fn padded(&self, layout: &Layout) -> usize {
        layout.cout.next_multiple_of(self.nv * self.lanes)
    }

    /// Windows at the end of all samples from which the last block would read past the end. What it reads past the
    /// channels of other windows is dropped.
    fn last(&self, layout: &Layout) -> usize {
        (self.padded(layout) - layout.cout).div_ceil(layout.cout)
    }

    fn halo_len(layout: &Layout) -> usize {
        if layout.halo.is_copied() { layout.halo.len().next_multiple_of(16) } else { 0 }
    }

    fn table_len(&self) -> usize {
        4 * self.table.next_multiple_of(self.lanes)
    }

    pub(super) fn scratch_len(&self, layout: &Layout) -> usize {
        let values = self.last(layout) * self.padded(layout);
        Self::halo_len(layout) + self.table_len() + values + values.div_ceil(size_of::<f32>())
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
        let (bordered, rest) = scratch.split_at_mut(Self::halo_len(layout));
        let (table, rest) = rest.split_at_mut(self.table_len());
        let (cout, padded, last) = (layout.cout, self.padded(layout), self.last(layout));
        let (last_g, last_index) = rest.split_at_mut(last * padded);
        // SAFETY: scratch has a byte for each value of the last windows after their floats.
        let last_index = unsafe { std::slice::from_raw_parts_mut(last_index.as_mut_ptr().cast(), last * padded) };
        dk.fill(0.0);
        bordered.fill(0.0);
        let (sample_len, pooled) = (layout.halo.sample_len(), layout.windows.len());
        for sample in 0..n {
            let mut x = &x[sample * sample_len..(sample + 1) * sample_len];
            if layout.halo.is_copied() {
                layout.halo.fill(x, bordered);
                x = bordered;
            }
            for (band, windows) in layout.windows.chunks(self.band).enumerate() {
                let range = range(layout, windows);
                dispatch(isa, Table { layout, x, range: range.clone(), out: table });
                let first = sample * pooled + band * self.band;
                let (g, index) = (&g[first * cout..], &index[first * cout..]);
                let whole = windows.len().min((n * pooled - first).saturating_sub(last));
                let rest = windows.len() - whole;
                for w in 0..rest {
                    let from = (whole + w) * cout..(whole + w + 1) * cout;
                    last_g[w * padded..][..cout].copy_from_slice(&g[from.clone()]);
                    last_g[w * padded..][cout..padded].fill(0.0);
                    last_index[w * padded..][..cout].copy_from_slice(&index[from]);
                    last_index[w * padded..][cout..padded].fill(0);
                }
                let whole = (&windows[..whole], g, index, cout);
                let rest = (&windows[windows.len() - rest..], &*last_g, &*last_index, padded);
                for (windows, g, index, channels) in [whole, rest] {
                    if windows.is_empty() {
                        continue;
                    }
                    for pass in &self.passes {
                        let (table, first, tiles, dk) = (table.as_ptr(), range.start, &pass.tiles[..], dk.as_mut_ptr());
                        let job = Job { layout, windows, table, first, g, index, channels, tiles, dk };
                        // SAFETY: the table covers the lines of all windows of the band; from every window, `g` and
                        // `index` have whole blocks of channels; `dk` has all rows of the layout.
                        unsafe { enter(isa, pass.lines, pass.c, self.nv, &job) }
                    }
                }
            }
        }
    }
}

/// Elements of the sample that a band reads, but for the positions within windows.
fn range(layout: &Layout, windows: &[u32]) -> Range<usize> {
    let last = layout.lines[layout.lines.len() - 1] + layout.line_len;
    windows[0] as usize..windows[windows.len() - 1] as usize + last
}

struct Table<'a> {
    layout: &'a Layout,
    x: &'a [f32],
    range: Range<usize>,
    out: &'a mut [f32],
}

impl Kernel for Table<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Self { layout, x, range, out } = self;
        let positions: [usize; 4] = std::array::from_fn(|p| layout.positions[p] as usize);
        let reach = positions[0].max(positions[1]).max(positions[2]).max(positions[3]);
        assert!(range.end + reach <= x.len() && out.len() >= 4 * range.len().next_multiple_of(S::LANES));
        for i in (0..range.len()).step_by(S::LANES) {
            let n = range.len() - i;
            // SAFETY: reads end at the range's end plus a position, writes at the next whole vector of the table, by
            // the assertion.
            unsafe {
                let from = x.as_ptr().add(range.start + i);
                let mut v = [s.splat(0.0); 4];
                for p in 0..4 {
                    let from = from.add(positions[p]);
                    v[p] = if n >= S::LANES { s.load(from) } else { s.load_partial(from, n) };
                }
                s.store_interleaved4(out.as_mut_ptr().add(4 * i), v);
            }
        }
    }
}

/// Tiles of one pass over a band of windows.
struct Job<'a> {
    layout: &'a Layout,
    windows: &'a [u32],
    table: *const f32,
    /// Element of the sample that the table starts with.
    first: usize,
    g: &'a [f32],
    index: &'a [u8],
    /// From a window to the next in `g` and `index`.
    channels: usize,
    tiles: &'a [At],
    dk: *mut f32,
}

/// Whether the sums, gradients and positions of a tile fit the registers, with a table for each line: compilers read those
/// ahead, and would move sums to the stack for them.
const fn fits(lines: usize, c: usize, nv: usize, registers: usize) -> bool {
    let tables = if lines > 2 { lines } else { 2 };
    lines * c * nv + 2 * nv + tables <= registers
}

struct Tile<'a, const LINES: usize, const C: usize, const NV: usize>(&'a Job<'a>);

impl<const LINES: usize, const C: usize, const NV: usize> Kernel for Tile<'_, LINES, C, NV> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        // Instances that this instruction set cannot hold are never chosen: compile none.
        if const { fits(LINES, C, NV, S::REGISTERS) } {
            // SAFETY: `enter`'s caller vouches for the job.
            unsafe { sweep::<S, LINES, C, NV>(s, self.0) }
        } else {
            unreachable!("tile {LINES}x{C}x{NV} does not fit the registers")
        }
    }
}

/// # Safety
/// The table covers all lines of all windows; `g` and `index` have whole blocks for them, `dk` the rows of all tiles.
#[inline(always)]
unsafe fn sweep<S: Simd, const LINES: usize, const C: usize, const NV: usize>(s: S, job: &Job<'_>) {
    let layout = job.layout;
    for &at in job.tiles {
        for block in (0..layout.cout).step_by(NV * S::LANES) {
            let mut acc = [[[s.splat(0.0); NV]; C]; LINES];
            // SAFETY: by contract.
            unsafe {
                for (w, &window) in job.windows.iter().enumerate() {
                    let values = w * job.channels + block;
                    let mut g = [s.splat(0.0); NV];
                    let mut index = [s.load_bytes(job.index.as_ptr().add(values)); NV];
                    for v in 0..NV {
                        g[v] = s.load(job.g.as_ptr().add(values + v * S::LANES));
                        index[v] = s.load_bytes(job.index.as_ptr().add(values + v * S::LANES));
                    }
                    for l in 0..LINES {
                        let line = window as usize + layout.lines[at.line + l] + at.c - job.first;
                        for c in 0..C {
                            let four = s.broadcast4(job.table.add(4 * (line + c)));
                            for v in 0..NV {
                                acc[l][c][v] = s.fma(s.lookup4(four, index[v]), g[v], acc[l][c][v]);
                            }
                        }
                    }
                }
                // Through memory, so that no loop that may stay rolled indexes `acc`.
                let mut done = MaybeUninit::<[f32; 512]>::uninit();
                let done: *mut f32 = done.as_mut_ptr().cast();
                for l in 0..LINES {
                    for c in 0..C {
                        for v in 0..NV {
                            s.store(done.add(((l * C + c) * NV + v) * S::LANES), acc[l][c][v]);
                        }
                    }
                }
                for l in 0..LINES {
                    for c in 0..C {
                        let row = (at.line + l) * layout.line_len + at.c + c;
                        for v in 0..NV {
                            let channel = block + v * S::LANES;
                            if channel < layout.cout {
                                let x = s.load(done.add(((l * C + c) * NV + v) * S::LANES));
                                let n = (layout.cout - channel).min(S::LANES);
                                add_to(s, job.dk.add(row * layout.cout + channel), x, n);
                            }
                        }
                    }
                }
            }
        }
    }
}

macro_rules! tiles {
    ($($lines:literal x [$($c:literal)+] x $nv:literal;)+) => {
        fn exists(lines: usize, c: usize, nv: usize) -> bool {
            [$($([$lines, $c, $nv]),+),+].contains(&[lines, c, nv])
        }

        /// # Safety
        /// That of [`sweep`].
        unsafe fn enter(isa: Isa, lines: usize, c: usize, nv: usize, job: &Job<'_>) {
            match (lines, c, nv) {
                $($(($lines, $c, $nv) => dispatch(isa, Tile::<$lines, $c, $nv>(job)),)+)+
                _ => unreachable!("no tile of {lines} lines by {c} by {nv} vectors"),
            }
        }
    };
}

tiles! {
    1 x [1 2 3 4 5 6 7 8 9 10 11 12] x 1;
    1 x [1 2 3 4 5 6 7 8 9 10 11 12] x 2;
    3 x [1 2 3 4] x 1;
    3 x [1 2 3 4] x 2;
    5 x [1 2 3 5] x 1;
    5 x [1 2] x 2;
}
