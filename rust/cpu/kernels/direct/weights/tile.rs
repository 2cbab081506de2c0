//! The register tile of the kernel gradient, its instances, and the model that picks among them.
//!
//! Rows of the kernel gradient come in *lines*: stretches whose inputs lie next to each other in memory. A tile
//! holds `C` neighbours of each of `LINES` lines against `NV` vectors of output channels, and keeps them in registers
//! over every pixel of the job: `acc[line][c][v] += x[line + c] · dy[v]`.

use crate::kernels::direct::cover::{At, Pass, cover, registers};
use crate::simd::{Isa, Kernel, Simd, dispatch};
use std::mem::MaybeUninit;

/// `LINES`, `C` and `NV` of a tile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Shape {
    pub(super) lines: usize,
    pub(super) c: usize,
    pub(super) nv: usize,
}

/// Tiles of one shape, over one set of pixels. Strides are in elements.
pub(super) struct Job<'a> {
    /// Input of the first sample.
    pub(super) x: *const f32,
    pub(super) x_sample: usize,
    /// Start of each row of output pixels in the input.
    pub(super) rows: &'a [usize],
    pub(super) x_pixel: usize,
    /// Output gradient of the first sample, at the first channel block.
    pub(super) y: *const f32,
    pub(super) y_sample: usize,
    pub(super) y_row: usize,
    pub(super) y_pixel: usize,
    pub(super) y_block: usize,
    pub(super) samples: usize,
    /// Pixels per row.
    pub(super) pixels: usize,
    /// Start of each line relative to a pixel.
    pub(super) lines: &'a [usize],
    pub(super) line_len: usize,
    pub(super) tiles: &'a [At],
    /// Channel blocks of `NV` vectors.
    pub(super) blocks: usize,
    /// Channels from the first block to the end.
    pub(super) channels: usize,
    /// Row 0 of the result, at the first channel block.
    pub(super) out: *mut f32,
    pub(super) out_row: usize,
    /// Add to the result rather than overwrite it.
    pub(super) add: bool,
}

struct Tile<'a, const LINES: usize, const C: usize, const NV: usize>(&'a Job<'a>);

impl<const LINES: usize, const C: usize, const NV: usize> Kernel for Tile<'_, LINES, C, NV> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        // Instances that this instruction set cannot hold are never chosen: compile none.
        if const { fits(LINES * C, NV, S::REGISTERS) } {
            // SAFETY: `enter`'s caller vouches for the job.
            unsafe { sweep::<S, LINES, C, NV>(s, self.0) }
        } else {
            unreachable!("tile {LINES}x{C}x{NV} does not fit the registers")
        }
    }
}

/// Whether the sums of `rows` by `nv` vectors, `nv` gradients and a broadcast leave a register free: compilers move sums
/// to the stack where they do not.
const fn fits(rows: usize, nv: usize, registers: usize) -> bool {
    rows * nv + nv + 1 < registers
}

/// Floats of the largest tile: 32 registers of 16 lanes.
const MAX_TILE: usize = 512;

/// # Safety
/// The job's pointers and strides stay within its tensors for every tile, block, sample, row and pixel.
#[inline(always)]
unsafe fn sweep<S: Simd, const LINES: usize, const C: usize, const NV: usize>(s: S, job: &Job<'_>) {
    for block in 0..job.blocks {
        let channels = job.channels - block * NV * S::LANES;
        for &at in job.tiles {
            let mut acc = [[[s.splat(0.0); NV]; C]; LINES];
            // SAFETY: by contract.
            unsafe {
                let y = job.y.add(block * job.y_block);
                let mut base = [job.x; LINES];
                for l in 0..LINES {
                    base[l] = job.x.add(job.lines[at.line + l] + at.c);
                }
                for sample in 0..job.samples {
                    for (r, &row) in job.rows.iter().enumerate() {
                        let mut yp = y.add(sample * job.y_sample + r * job.y_row);
                        let mut offset = sample * job.x_sample + row;
                        for _ in 0..job.pixels {
                            let mut dy = [s.splat(0.0); NV];
                            for v in 0..NV {
                                dy[v] = s.load(yp.add(v * S::LANES));
                            }
                            for l in 0..LINES {
                                for c in 0..C {
                                    let x = s.splat(*base[l].add(offset + c));
                                    for v in 0..NV {
                                        acc[l][c][v] = s.fma(x, dy[v], acc[l][c][v]);
                                    }
                                }
                            }
                            yp = yp.add(job.y_pixel);
                            offset += job.x_pixel;
                        }
                    }
                }
                // Through memory, so that the loops below, which the compiler may leave rolled, do not index `acc`:
                // it could not stay in registers above.
                let mut done = MaybeUninit::<[f32; MAX_TILE]>::uninit();
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
                        let row = (at.line + l) * job.line_len + at.c + c;
                        let out = job.out.add(row * job.out_row + block * NV * S::LANES);
                        let from = done.add((l * C + c) * NV * S::LANES);
                        for v in 0..NV {
                            let n = channels - v * S::LANES;
                            write(s, out.add(v * S::LANES), s.load(from.add(v * S::LANES)), n, job.add);
                        }
                    }
                }
            }
        }
    }
}

/// # Safety
/// `p..p + min(n, LANES)` is writable.
#[inline(always)]
unsafe fn write<S: Simd>(s: S, p: *mut f32, x: S::F, n: usize, add: bool) {
    // SAFETY: by contract.
    unsafe {
        if n >= S::LANES {
            s.store(p, if add { s.add(s.load(p), x) } else { x });
        } else {
            s.store_partial(p, if add { s.add(s.load_partial(p, n), x) } else { x }, n);
        }
    }
}

macro_rules! shapes {
    ($($lines:literal x [$($c:literal)+] x $nv:literal;)+) => {
        const SHAPES: &[Shape] = &[$($(Shape { lines: $lines, c: $c, nv: $nv }),+),+];

        /// Runs a job with the tile of a shape that [`choose`] gave for `isa`.
        ///
        /// # Safety
        /// The job's pointers and strides stay within its tensors for every tile, block, sample, row and pixel.
        pub(super) unsafe fn enter(isa: Isa, shape: Shape, job: &Job<'_>) {
            match (shape.lines, shape.c, shape.nv) {
                $($(($lines, $c, $nv) => dispatch(isa, Tile::<$lines, $c, $nv>(job)),)+)+
                _ => unreachable!("no tile {shape:?}"),
            }
        }
    };
}

shapes! {
    1 x [1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16] x 1;
    1 x [1 2 3 4 5 6 7 8 9 10 11 12] x 2;
    1 x [1 2 3 4 5 6] x 4;
    2 x [1 2 3 4 5 6 7 8] x 1;
    2 x [1 2 3 4 5 6] x 2;
    3 x [1 2 3 4 5 6 7 8 9] x 1;
    3 x [1 2 3 4] x 2;
    5 x [1 2 3 5] x 1;
    9 x [1] x 1;
    9 x [1] x 2;
}

/// Sixteenths of a cycle that a tile spends on one pixel: two multiply-adds and two loads a cycle, at least the four
/// cycles that a multiply-add takes, and a little for each load beyond that, since loads also feed.
fn cost(shape: Shape) -> usize {
    let rows = shape.lines * shape.c;
    let loads = rows + shape.nv;
    (rows * shape.nv).max(loads).max(8) * 8 + loads
}

/// Tiles for a span of output channels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Columns {
    /// First vector, counted in vectors of output channels.
    pub(super) first: usize,
    /// Blocks of `nv` vectors.
    pub(super) blocks: usize,
    /// Vectors per block.
    pub(super) nv: usize,
    pub(super) passes: Vec<Pass>,
}

/// The cheapest cover, by [`cost`], of `lines` lines of `len` elements and `vectors` vectors of output channels.
pub(super) fn choose(isa: Isa, lines: usize, len: usize, vectors: usize) -> Vec<Columns> {
    let registers = registers(isa);
    let mut best: Option<(usize, Vec<Columns>)> = None;
    for nv in [4, 2, 1] {
        let mut total = 0;
        let mut columns = Vec::new();
        let mut first = 0;
        for width in [nv, 2, 1] {
            let blocks = (vectors - first) / width;
            if width > nv || blocks == 0 {
                continue;
            }
            let Some((pixel, passes)) = cover(lines, len, |lines, c| {
                let shape = Shape { lines, c, nv: width };
                (fits(lines * c, width, registers) && SHAPES.contains(&shape)).then(|| cost(shape))
            }) else {
                break;
            };
            total += pixel * blocks;
            columns.push(Columns { first, blocks, nv: width, passes });
            first += blocks * width;
        }
        if first == vectors && best.as_ref().is_none_or(|b| total < b.0) {
            best = Some((total, columns));
        }
    }
    best.expect("the tile 1x1x1 fits every instruction set").1
}
