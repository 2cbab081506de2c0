//! The kernel gradient of a convolution: `dk[tap, ic, oc] = Σ x[pixel + tap, ic] · dy[pixel, oc]` over samples and
//! output pixels.
//!
//! Every element of `dk` is a dot product over pixels. A register tile holds some of them over as many pixels as fit
//! the cache with their inputs (a *band*: several samples, or rows of one), and only then meets memory.

mod panel;
mod tile;

use super::cover;
use super::geometry::{Geometry, Halo};
use crate::simd::Isa;
use tile::{Columns, Job};

/// Bytes of input and output gradient in a band: under half of the smallest L2 among current cores (512 KiB), so that
/// every pass over a band but the first reads L2, with room for the result.
const BAND_BYTES: usize = 192 << 10;

/// Pixels that a band has if there are as many, even if it takes more bytes, where the result takes no more than
/// [`RESIDENT`] bytes, and where it takes more: adding a tile to memory costs about 3 pixels in L2, 10 beyond.
const BAND_PIXELS: [usize; 2] = [128, 384];

/// Bytes of result that stay in L2.
const RESIDENT: usize = 256 << 10;

/// How to compute a kernel gradient.
#[derive(Debug, Clone)]
pub(super) struct Weights {
    isa: Isa,
    halo: Halo,
    /// Start of each row of output pixels in a sample's halo.
    rows: Vec<usize>,
    /// Pixels per row.
    pixels: usize,
    /// Input elements from a pixel to the next.
    x_pixel: usize,
    /// Start of each line relative to a pixel, and elements per line: taps whose inputs are neighbours share a line.
    lines: Vec<usize>,
    line_len: usize,
    /// All samples are one row.
    flat: bool,
    /// The output gradient is copied to panels of whole vectors.
    packed: bool,
    columns: Vec<Columns>,
    groups: usize,
    /// Input and output channels per group.
    cin: usize,
    cout: usize,
}

/// Pixels that are summed in registers before memory.
struct Band {
    sample: usize,
    samples: usize,
    row: usize,
    rows: usize,
    pixel: usize,
    pixels: usize,
}

impl Weights {
    /// For the convolution with this forward geometry.
    pub(super) fn new(isa: Isa, geometry: &Geometry) -> Self {
        let (pass, halo, groups) = (&geometry.passes[0], &geometry.halo, geometry.groups);
        let [depth, height, width] = pass.size;
        let (cin, cout) = (geometry.source_channels, geometry.result_channels);
        let isa = isa.holding(cout);

        let x_pixel = pass.step[2] * halo.channels;
        let mut rows = Vec::with_capacity(depth * height);
        for d in 0..depth {
            for h in 0..height {
                rows.push(halo.offset([d * pass.step[0], h * pass.step[1], 0]));
            }
        }
        let mut pixels = width;
        if rows.windows(2).all(|r| r[1] - r[0] == width * x_pixel) {
            pixels *= rows.len();
            rows.truncate(1);
        }
        let flat = rows.len() == 1 && !halo.is_copied() && pixels * x_pixel == halo.len();

        let taps: Vec<_> = pass.taps.iter().map(|tap| halo.offset(tap.at)).collect();
        let (lines, line_len) = if groups > 1 { (taps, cin) } else { cover::lines(&taps, cin) };

        let columns = tile::choose(isa, lines.len(), line_len, cout.div_ceil(isa.lanes()));
        // One block of whole vectors is read in place. Several are worth a copy if each is read often: the pixels of
        // a block then lie next to each other.
        let blocks: usize = columns.iter().map(|c| c.blocks).sum();
        let partial = !cout.is_multiple_of(isa.lanes());
        let packed = partial || (blocks > 1 && lines.len() * line_len >= 64);
        let halo = halo.clone();
        Self { isa, halo, rows, pixels, x_pixel, lines, line_len, flat, packed, columns, groups, cin, cout }
    }

    /// Samples per band, rows and pixels per row. A flat plan has one row and as many pixels as there are.
    fn band(&self) -> (usize, usize, usize) {
        let sample = self.rows.len() * self.pixels;
        let bytes = (self.halo.len() + sample * self.groups * self.cout_padded()) * size_of::<f32>();
        let result = self.lines.len() * self.line_len * self.groups * self.cout * size_of::<f32>();
        let pixels = (BAND_BYTES * sample / bytes).max(BAND_PIXELS[usize::from(result > RESIDENT)]);
        if self.rows.len() == 1 && (self.flat || pixels < self.pixels) {
            (1, 1, pixels)
        } else if pixels < sample {
            (1, (pixels / self.pixels).max(1), self.pixels)
        } else {
            (pixels / sample, self.rows.len(), self.pixels)
        }
    }

    /// Output channels of a group as read: up to whole vectors in panels.
    fn cout_padded(&self) -> usize {
        if self.packed { self.cout.next_multiple_of(self.isa.lanes()) } else { self.cout }
    }

    /// Floats of scratch for the copies of the inputs, up to whole cache lines.
    fn copies_len(&self) -> usize {
        let (samples, _, _) = self.band();
        if self.halo.is_copied() { (samples * self.halo.len()).next_multiple_of(16) } else { 0 }
    }

    /// Floats of scratch that [`Weights::run`] needs, for any number of samples.
    pub(super) fn scratch_len(&self) -> usize {
        let (samples, rows, pixels) = self.band();
        self.copies_len() + if self.packed { samples * rows * pixels * self.cout_padded() } else { 0 }
    }

    /// All samples, rows and pixels, band by band.
    fn bands(&self, n: usize) -> impl Iterator<Item = Band> {
        let (samples, rows, pixels) = self.band();
        let (n, row_len) = if self.flat { (1, n * self.pixels) } else { (n, self.pixels) };
        let all = self.rows.len();
        (0..n).step_by(samples).flat_map(move |sample| {
            (0..all).step_by(rows).flat_map(move |row| {
                (0..row_len).step_by(pixels).map(move |pixel| Band {
                    sample,
                    samples: samples.min(n - sample),
                    row,
                    rows: rows.min(all - row),
                    pixel,
                    pixels: pixels.min(row_len - pixel),
                })
            })
        })
    }

    /// Overwrites `out` with the kernel gradient summed over `n` samples.
    ///
    /// # Panics
    /// If a slice is shorter than its tensor.
    pub(super) fn run(&self, n: usize, x: &[f32], y: &[f32], out: &mut [f32], scratch: &mut [f32]) {
        assert_eq!(out.len(), self.out_len(), "result of a kernel gradient");
        if n == 0 {
            out.fill(0.0);
        } else {
            // SAFETY: the result is complete and borrowed.
            unsafe { self.run_piece(n, x, y, out.as_mut_ptr(), scratch, (0, 1)) }
        }
    }

    /// Floats of the result.
    fn out_len(&self) -> usize {
        self.lines.len() * self.line_len * self.groups * self.cout
    }

    /// Overwrites the rows of `out` that are this piece's, of so many: each has some of the tiles.
    ///
    /// # Safety
    /// `out` is valid for the result; nobody else uses the piece's rows meanwhile.
    ///
    /// # Panics
    /// If there is no sample, or a slice is shorter than its tensor.
    pub(super) unsafe fn run_piece(
        &self,
        n: usize,
        x: &[f32],
        y: &[f32],
        out: *mut f32,
        scratch: &mut [f32],
        (piece, pieces): (usize, usize),
    ) {
        let (sample_len, halo_len) = (self.halo.sample_len(), self.halo.len());
        let channels = self.groups * self.cout;
        let y_len = self.rows.len() * self.pixels * channels;
        assert!(n > 0, "a piece of a sum over no samples");
        assert_eq!(x.len(), n * sample_len, "x of a kernel gradient");
        assert_eq!(y.len(), n * y_len, "dy of a kernel gradient");
        assert!(scratch.len() >= self.scratch_len(), "scratch: {} of {}", scratch.len(), self.scratch_len());

        let copied = self.halo.is_copied();
        let (copies, panels) = scratch.split_at_mut(self.copies_len());
        if copied {
            copies.chunks_exact_mut(halo_len).take(n).for_each(|copy| self.halo.clear(copy));
        }
        let lanes = self.isa.lanes();
        for (i, band) in self.bands(n).enumerate() {
            if copied && band.row == 0 && band.pixel == 0 {
                let samples = x.chunks_exact(sample_len).skip(band.sample).take(band.samples);
                for (sample, copy) in samples.zip(copies.chunks_exact_mut(halo_len)) {
                    self.halo.fill(sample, copy);
                }
            }
            let (x, x_sample) =
                if copied { (&*copies, halo_len) } else { (&x[band.sample * sample_len..], sample_len) };
            let y = &y[band.sample * y_len + (band.row * self.pixels + band.pixel) * channels..];
            let positions = band.samples * band.rows * band.pixels;
            for group in 0..self.groups {
                let y = &y[group * self.cout..];
                for columns in &self.columns {
                    let width = columns.nv * lanes;
                    let first = columns.first * lanes;
                    let panel = &mut panels[..if self.packed { columns.blocks * width * positions } else { 0 }];
                    if self.packed {
                        let stretch = band.rows * band.pixels;
                        for s in 0..band.samples {
                            for block in 0..columns.blocks {
                                let c = first + block * width;
                                let to = (block * positions + s * stretch) * width;
                                panel::pack(
                                    self.isa,
                                    &y[s * y_len + c..],
                                    channels,
                                    width.min(self.cout - c),
                                    width,
                                    &mut panel[to..to + stretch * width],
                                );
                            }
                        }
                    }
                    let y_pixel = if self.packed { width } else { channels };
                    let y_row = band.pixels * y_pixel;
                    let job = Job {
                        x: x[group * self.cin + band.pixel * self.x_pixel..].as_ptr(),
                        x_sample,
                        rows: &self.rows[band.row..band.row + band.rows],
                        x_pixel: self.x_pixel,
                        y: if self.packed { panel.as_ptr() } else { y[first..].as_ptr() },
                        y_sample: if self.packed { band.rows * y_row } else { y_len },
                        y_row,
                        y_pixel,
                        y_block: if self.packed { width * positions } else { width },
                        samples: band.samples,
                        pixels: band.pixels,
                        lines: &self.lines,
                        line_len: self.line_len,
                        tiles: &[],
                        blocks: columns.blocks,
                        channels: self.cout - first,
                        out: out.wrapping_add(group * self.cout + first),
                        out_row: channels,
                        add: i > 0,
                    };
                    for pass in &columns.passes {
                        let shape = tile::Shape { lines: pass.lines, c: pass.c, nv: columns.nv };
                        let tiles = pass.tiles.len() * piece / pieces..pass.tiles.len() * (piece + 1) / pieces;
                        let job = Job { tiles: &pass.tiles[tiles], ..job };
                        // SAFETY: lines and rows come from the geometry, whose taps stay within the halo for every
                        // output pixel; bands partition samples, rows and pixels; blocks of the unpacked gradient
                        // are whole vectors, and panels were sized for this band. The lengths were asserted above, that
                        // of the result and its use by nobody else are the caller's contract: tiles are disjoint.
                        unsafe { tile::enter(self.isa, shape, &job) }
                    }
                }
            }
        }
    }

    /// Tiles, as `lines x elements x vectors`.
    pub(super) fn describe(&self) -> String {
        let mut shapes = Vec::new();
        for columns in &self.columns {
            for pass in &columns.passes {
                let shape = format!("{}x{}x{}", pass.lines, pass.c, columns.nv);
                if !shapes.contains(&shape) {
                    shapes.push(shape);
                }
            }
        }
        format!("direct kernel gradient, tiles {} ({})", shapes.join(" "), self.isa.name())
    }
}

#[cfg(test)]
mod tests;
