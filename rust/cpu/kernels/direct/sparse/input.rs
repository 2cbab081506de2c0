//! Input gradient: for each window position, the weights of the output channels that it carries, times their gradient,
//! are summed in registers over the position's list of channels, then added to `dx`.

use super::{HALF_CYCLE, Layout, add_to, cover_lines, line_tiles, valid};
use crate::kernels::direct::cover::{At, Pass};
use crate::kernels::direct::geometry::Halo;
use crate::simd::{Isa, Kernel, Simd, dispatch};
use std::mem::MaybeUninit;

/// Bytes of weights that stay in L1 while a tile meets all windows, next to the gradient and `dx`: three quarters of
/// the smallest L1 among current cores (32 KiB).
const RESIDENT: usize = 24 << 10;

/// Gradient values whose lists are made at once: the lists then take 16 KiB.
const BAND: usize = 4096;

#[derive(Debug)]
pub(super) struct InputGrad {
    lanes: usize,
    cout: usize,
    pub(super) passes: Vec<Pass>,
    /// Windows per band.
    band: usize,
}

impl InputGrad {
    /// With the cost of one gradient value.
    pub(super) fn new(isa: Isa, layout: &Layout) -> Option<(usize, Self)> {
        let lanes = isa.lanes();
        // Channels in a list, if all positions of a window are equally often the largest.
        let list = (layout.cout / layout.volume).max(1);
        let (cost, passes) = cover_lines(isa, layout, exists, |tile| {
            let resident = layout.cout * tile * lanes * size_of::<f32>() <= RESIDENT;
            // L2 delivers half of what a core multiplies.
            let value = if resident { tile } else { 2 * tile }.max(8) + 1;
            // Adding to `dx`, and a mispredicted end of the list.
            (value * list + 3 * tile + 24) * HALF_CYCLE / list
        })?;
        let band = (BAND / layout.cout).clamp(1, layout.windows.len());
        // Making the lists: a compare and a compress per position and vector.
        let lists = (2 * layout.volume * HALF_CYCLE * 4).div_ceil(lanes);
        Some((cost + lists, Self { lanes, cout: layout.cout, passes, band }))
    }

    /// Floats of a pass's weights: tile by tile, output channel by output channel, line by line, in whole vectors.
    fn pass_len(&self, pass: &Pass) -> usize {
        pass.tiles.len() * self.cout * pass.lines * pass.c * self.lanes
    }

    pub(super) fn packed_len(&self) -> usize {
        self.passes.iter().map(|p| self.pass_len(p)).sum()
    }

    pub(super) fn pack(&self, layout: &Layout, kernel: &[f32], packed: &mut [f32]) {
        packed.fill(0.0);
        let mut vectors = packed.chunks_exact_mut(self.lanes);
        for pass in &self.passes {
            for at in &pass.tiles {
                for channel in 0..self.cout {
                    for line in at.line..at.line + pass.lines {
                        for v in 0..pass.c {
                            let vector = vectors.next().expect("a packed vector for each of the tiles'");
                            let row = line * layout.line_len + (at.c + v) * self.lanes;
                            for (i, to) in vector[..valid(layout, self.lanes, *at, v)].iter_mut().enumerate() {
                                *to = kernel[(row + i) * self.cout + channel];
                            }
                        }
                    }
                }
            }
        }
    }

    fn halo_len(layout: &Layout) -> usize {
        if layout.halo.is_copied() { layout.halo.len().next_multiple_of(16) } else { 0 }
    }

    pub(super) fn scratch_len(&self, layout: &Layout) -> usize {
        let list = self.band * self.cout + self.lanes;
        Self::halo_len(layout) + list + self.band * layout.volume + 1
    }

    pub(super) fn run(
        &self,
        isa: Isa,
        layout: &Layout,
        packed: &[f32],
        g: &[f32],
        index: &[u8],
        dx: &mut [f32],
        scratch: &mut [f32],
    ) {
        let halo = &layout.halo;
        let (bordered, rest) = scratch.split_at_mut(Self::halo_len(layout));
        let (list, heads) = rest.split_at_mut(self.band * self.cout + self.lanes);
        let pooled = layout.windows.len() * self.cout;
        for (sample, dx) in dx.chunks_exact_mut(halo.sample_len()).enumerate() {
            let target = if halo.is_copied() { &mut bordered[..halo.len()] } else { &mut *dx };
            target.fill(0.0);
            for (band, windows) in layout.windows.chunks(self.band).enumerate() {
                let from = sample * pooled + band * self.band * self.cout;
                let g = &g[from..from + windows.len() * self.cout];
                let index = &index[from..from + g.len()];
                let mut job = Job {
                    layout,
                    windows,
                    g,
                    list: list.as_mut_ptr().cast(),
                    heads: heads.as_mut_ptr().cast(),
                    tiles: &[],
                    weights: packed.as_ptr(),
                    dx: target.as_mut_ptr(),
                };
                dispatch(isa, Lists { job: &job, index });
                for pass in &self.passes {
                    job.tiles = &pass.tiles;
                    // SAFETY: lists were just made for these windows, and name channels; all offsets of the layout
                    // lie in the haloed sample, and `weights` points at the pass's, packed for all channels.
                    unsafe {
                        enter(isa, pass.lines, pass.c, &job);
                        job.weights = job.weights.add(self.pass_len(pass));
                    }
                }
            }
            if halo.is_copied() {
                take(halo, bordered, dx);
            }
        }
    }
}

/// Copies what lies inside the border, zero where the border does not reach around the whole sample.
fn take(halo: &Halo, bordered: &[f32], sample: &mut [f32]) {
    let inside: [usize; 3] = std::array::from_fn(|a| halo.sample[a].min(halo.size[a].saturating_sub(halo.low[a])));
    if inside != halo.sample {
        sample.fill(0.0);
    }
    let row = inside[2] * halo.channels;
    if row == 0 {
        return; // all that was written is padding
    }
    for d in 0..inside[0] {
        for h in 0..inside[1] {
            let to = (d * halo.sample[1] + h) * halo.sample[2] * halo.channels;
            let from = halo.offset([halo.low[0] + d, halo.low[1] + h, halo.low[2]]);
            sample[to..to + row].copy_from_slice(&bordered[from..from + row]);
        }
    }
}

/// Tiles of one pass over a band of windows.
struct Job<'a> {
    layout: &'a Layout,
    windows: &'a [u32],
    /// Gradient of the band.
    g: &'a [f32],
    /// Channels of all lists, and where the list of each window and position starts; one more ends the last.
    list: *mut u32,
    heads: *mut u32,
    tiles: &'a [At],
    weights: *const f32,
    dx: *mut f32,
}

struct Lists<'a> {
    job: &'a Job<'a>,
    index: &'a [u8],
}

impl Kernel for Lists<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Job { layout, windows, g, list, heads, .. } = *self.job;
        let cout = layout.cout;
        assert!(g.len() == windows.len() * cout && self.index.len() == g.len());
        let zero = s.splat(0.0);
        let mut n = 0;
        for w in 0..windows.len() {
            for position in 0..layout.volume {
                // SAFETY: window `w` has `cout` gradients and indices, by the assertion; at most as many channels
                // per window enter a list, one for each, and lists have room for a vector more.
                unsafe {
                    *heads.add(w * layout.volume + position) = n as u32;
                    for c in (0..cout).step_by(S::LANES) {
                        let (g, index) = (g.as_ptr().add(w * cout + c), self.index.as_ptr().add(w * cout + c));
                        let (g, index) = match cout - c {
                            rest if rest < S::LANES => (s.load_partial(g, rest), s.load_bytes_partial(index, rest)),
                            _ => (s.load(g), s.load_bytes(index)),
                        };
                        // Lanes beyond the last channel are zero, so not listed; NaN is not zero.
                        let carried = s.bits(s.bytes_eq(index, position as u8)) & !s.bits(s.eq(g, zero));
                        n += s.store_lane_numbers(carried, c as u32, list.add(n));
                    }
                }
            }
        }
        // SAFETY: heads have one entry more than windows times positions.
        unsafe { *heads.add(windows.len() * layout.volume) = n as u32 }
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
/// Lists hold channels of their windows, `weights` those of all tiles, and the layout's offsets lie in `dx`.
#[inline(always)]
unsafe fn sweep<S: Simd, const LINES: usize, const NV: usize>(s: S, job: &Job<'_>) {
    let layout = job.layout;
    let tile_len = LINES * NV * S::LANES;
    for (t, &at) in job.tiles.iter().enumerate() {
        let full = (at.c + NV) * S::LANES <= layout.line_len;
        // SAFETY: by contract.
        unsafe {
            let weights = job.weights.add(t * layout.cout * tile_len);
            let mut base = [job.dx; LINES];
            for l in 0..LINES {
                base[l] = job.dx.add(layout.lines[at.line + l] + at.c * S::LANES);
            }
            for (w, &window) in job.windows.iter().enumerate() {
                let g = job.g.as_ptr().add(w * layout.cout);
                for position in 0..layout.volume {
                    let head = job.heads.add(w * layout.volume + position);
                    let (start, end) = (*head as usize, *head.add(1) as usize);
                    if start == end {
                        continue;
                    }
                    let mut acc = [[s.splat(0.0); NV]; LINES];
                    for q in start..end {
                        let channel = *job.list.add(q) as usize;
                        let g = s.splat(*g.add(channel));
                        let weights = weights.add(channel * tile_len);
                        for l in 0..LINES {
                            for v in 0..NV {
                                let k = s.load(weights.add((l * NV + v) * S::LANES));
                                acc[l][v] = s.fma(g, k, acc[l][v]);
                            }
                        }
                    }
                    let offset = (window + layout.positions[position]) as usize;
                    if full {
                        for l in 0..LINES {
                            for v in 0..NV {
                                add_to(s, base[l].add(offset + v * S::LANES), acc[l][v], S::LANES);
                            }
                        }
                    } else {
                        // Through memory, so that no loop that may stay rolled indexes `acc`.
                        let mut done = MaybeUninit::<[f32; 512]>::uninit();
                        let done: *mut f32 = done.as_mut_ptr().cast();
                        for l in 0..LINES {
                            for v in 0..NV {
                                s.store(done.add((l * NV + v) * S::LANES), acc[l][v]);
                            }
                        }
                        for l in 0..LINES {
                            for v in 0..NV {
                                let x = s.load(done.add((l * NV + v) * S::LANES));
                                let n = valid(layout, S::LANES, at, v);
                                add_to(s, base[l].add(offset + v * S::LANES), x, n);
                            }
                        }
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
