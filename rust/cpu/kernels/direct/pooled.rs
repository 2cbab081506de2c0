//! Convolution followed by max-pooling: the convolution's output is never stored as a tensor.
//!
//! Disjoint, unpadded windows of four positions (2x2/2 above all) are pooled while their sums are in registers. For
//! all others, a band of the rows that some windows need is computed into scratch and pooled from there. Positions
//! that no window reads are not computed.

use super::gather::narrow;
use super::geometry::Geometry;
use super::tile::{Positions, Sink, Store, load_channels, store_channels, sweep};
use super::{ConvPlan, Epilogue, Method, Relu};
use crate::kernels::window;
use crate::simd::{Isa, Kernel, Simd, dispatch, prefetch};
use oxiconv_ir::Window;
use std::ops::Range;

/// Positions in a window that is pooled in registers.
const UNIT: usize = 4;

/// Channels of the widest tile: four vectors of sixteen.
const MAX_WIDTH: usize = 64;

/// Floats that a band should take, so that it stays in the L1 cache with disjoint rows of windows ...
const BAND: usize = 6 * 1024;
/// ... and in the L2 cache where rows of windows overlap and larger bands move fewer rows.
const OVERLAPPING_BAND: usize = 32 * 1024;

/// How the output of a convolution is pooled.
#[derive(Debug)]
pub(super) struct Pool {
    /// Floats of one sample's values.
    len: usize,
    form: Form,
}

#[derive(Debug)]
enum Form {
    /// Source offset of each position, window by window, and the window's result offset.
    Registers(Vec<[u32; 2]>),
    /// Of a whole sample in scratch, of so many floats.
    Sample(Window, usize),
    Bands {
        bands: Vec<Band>,
        /// Along the last axis, in columns of a band.
        columns: Vec<Span>,
        /// Columns of a band.
        width: usize,
        /// Window positions per row and per plane, for numbering.
        number: [usize; 2],
        scratch: usize,
    },
}

/// Part of a window along one axis that lies inside the tensor.
#[derive(Debug, Clone, Copy)]
struct Span {
    /// First position.
    start: usize,
    /// Positions.
    len: usize,
    /// Window positions before the first, in the padding.
    skipped: usize,
}

/// Some rows of windows, all of one window plane.
#[derive(Debug)]
struct Band {
    /// Source offset of each convolution output that is computed, and its place in scratch.
    positions: Vec<[u32; 2]>,
    /// Floats that the band before has left in scratch for this one, which move to its front.
    moved: Range<usize>,
    plane: Span,
    rows: Vec<Span>,
    /// Rows of one plane in scratch.
    height: usize,
    /// Offset of the band's first window in the result.
    result: usize,
}

/// The spans of all windows along an axis.
fn spans(input: usize, size: usize, stride: usize, low: usize, count: usize) -> Vec<Span> {
    let span = |i: usize| {
        let skipped = low.saturating_sub(i * stride);
        let start = i * stride + skipped - low;
        Span { start, len: (size - skipped).min(input - start), skipped }
    };
    (0..count).map(span).collect()
}

/// The positions that some of the spans cover, and the spans in terms of these.
fn compact(spans: &[Span]) -> (Vec<usize>, Vec<Span>) {
    let mut covered: Vec<usize> = spans.iter().flat_map(|s| s.start..s.start + s.len).collect();
    covered.sort_unstable();
    covered.dedup();
    let local = |s: &Span| Span { start: covered.partition_point(|p| *p < s.start), ..*s };
    let spans = spans.iter().map(local).collect();
    (covered, spans)
}

/// # Panics
/// If the window is not over the convolution's output, or has more than 256 positions.
fn check(geometry: &Geometry, window: &Window) {
    let rank = window.input.len();
    let axes = geometry.result;
    assert!(
        rank <= 3 && axes[3 - rank..] == window.input[..] && axes[..3 - rank].iter().all(|s| *s == 1),
        "pooling: expected windows over {axes:?}, got {window:?}"
    );
    assert!(window.volume() <= 256, "pooling: expected at most 256 positions per window, got {window:?}");
}

impl Pool {
    /// Pools whole samples after the convolution.
    pub(super) fn after(geometry: &Geometry, window: &Window) -> Self {
        check(geometry, window);
        let channels = geometry.groups * geometry.result_channels;
        let len = window.output().iter().product::<usize>() * channels;
        Self { len, form: Form::Sample(window.clone(), geometry.result_len()) }
    }

    pub(super) fn new(isa: Isa, geometry: &Geometry, window: &Window) -> Self {
        check(geometry, window);
        let rank = window.input.len();
        let axes = geometry.result;
        let widen = |v: &[usize], missing| -> [usize; 3] {
            std::array::from_fn(|a| (a + rank).checked_sub(3).map_or(missing, |a| v[a]))
        };
        let size = widen(&window.size, 1);
        let stride = widen(&window.stride, 1);
        let low = widen(&window.low, 0);
        let count = widen(&window.output(), 1);
        let spans: [Vec<Span>; 3] = std::array::from_fn(|a| spans(axes[a], size[a], stride[a], low[a], count[a]));
        let channels = geometry.groups * geometry.result_channels;
        let len = count.iter().product::<usize>() * channels;
        let full = spans.iter().zip(size).all(|(s, size)| s.iter().all(|s| s.len == size));
        let form = if full && window.is_disjoint() && window.volume() == UNIT && isa != Isa::Scalar {
            Form::Registers(windows(geometry, &spans, channels))
        } else {
            let disjoint = size[1] <= stride[1];
            let (covered, columns) = compact(&spans[2]);
            let budget = if disjoint { BAND } else { OVERLAPPING_BAND };
            let bands = bands(geometry, &spans, &covered, channels, budget);
            let floats = |b: &Band| b.plane.len * b.height * covered.len() * channels;
            let scratch = bands.iter().map(floats).max().unwrap_or(0);
            Form::Bands { bands, columns, width: covered.len(), number: [size[1], size[2]], scratch }
        };
        Self { len, form }
    }

    /// Positions that a tile must hold together.
    pub(super) fn unit(&self) -> usize {
        if matches!(self.form, Form::Registers(_)) { UNIT } else { 1 }
    }

    /// Floats of scratch.
    pub(super) fn scratch_len(&self) -> usize {
        match self.form {
            Form::Registers(_) => 0,
            Form::Sample(_, len) | Form::Bands { scratch: len, .. } => len,
        }
    }
}

/// Source offset of a convolution output.
fn source(geometry: &Geometry, at: [usize; 3]) -> u32 {
    let step = geometry.passes[0].step;
    narrow(geometry.halo.offset(std::array::from_fn(|a| at[a] * step[a])))
}

fn positions_of(span: Span) -> Range<usize> {
    span.start..span.start + span.len
}

/// Positions window by window.
fn windows(geometry: &Geometry, spans: &[Vec<Span>; 3], channels: usize) -> Vec<[u32; 2]> {
    let mut table = Vec::new();
    let mut result = 0;
    for &pd in &spans[0] {
        for &ph in &spans[1] {
            for &pw in &spans[2] {
                for d in positions_of(pd) {
                    for h in positions_of(ph) {
                        table.extend(positions_of(pw).map(|w| [source(geometry, [d, h, w]), narrow(result)]));
                    }
                }
                result += channels;
            }
        }
    }
    table
}

/// As many rows of windows per band as `budget` floats hold, but at least one.
fn bands(geometry: &Geometry, spans: &[Vec<Span>; 3], columns: &[usize], channels: usize, budget: usize) -> Vec<Band> {
    let mut found = Vec::new();
    let mut result = 0;
    let row = columns.len() * channels;
    for &plane in &spans[0] {
        let mut first = 0;
        let mut before: Vec<usize> = Vec::new();
        while first < spans[1].len() {
            let floats = |end: usize| compact(&spans[1][first..end]).0.len() * plane.len * columns.len() * channels;
            let mut end = first + 1;
            while end < spans[1].len() && floats(end + 1) <= budget {
                end += 1;
            }
            let (covered, rows) = compact(&spans[1][first..end]);
            // What the last windows of the band before share with the first of this one are its last rows. Of several
            // planes each would move on its own: they are computed again.
            let kept = if plane.len == 1 { covered.iter().filter(|h| before.contains(h)).count() } else { 0 };
            let moved = (before.len() - kept) * row..before.len() * row;
            let mut positions = Vec::with_capacity(plane.len * (covered.len() - kept) * columns.len());
            for d in positions_of(plane) {
                for &h in &covered[kept..] {
                    for &w in columns {
                        positions.push([source(geometry, [d, h, w]), narrow(kept * row + positions.len() * channels)]);
                    }
                }
            }
            let height = covered.len();
            found.push(Band { positions, moved, plane: Span { start: 0, ..plane }, rows, height, result });
            before = covered;
            result += (end - first) * spans[2].len() * channels;
            first = end;
        }
    }
    found
}

impl ConvPlan {
    /// Computes `n` samples of the pooled convolution: the maximum of each window, and its row-major position within
    /// the window (the first of equals; the first NaN if there is one).
    ///
    /// # Panics
    /// If a length is not that of the plan, or the plan does not pool.
    pub fn run_pooled(
        &self,
        n: usize,
        x: &[f32],
        packed: &[f32],
        values: &mut [f32],
        index: &mut [u8],
        epilogue: &Epilogue,
        scratch: &mut [f32],
    ) {
        let g = &self.geometry;
        let pool = self.pool.as_ref().expect("a plan made by ConvPlan::pooled");
        self.check(n, x, packed, scratch);
        assert!(!epilogue.is_elementwise(), "before it is pooled, a result meets biases alone: {:?}", self.conv);
        epilogue.check(g.groups * g.result_channels, 0);
        assert_eq!(values.len(), n * pool.len, "pooled result of {:?}", self.conv);
        assert_eq!(index.len(), n * pool.len, "positions of the pooled result of {:?}", self.conv);
        if let (Method::Depthwise(depthwise), Form::Sample(window, len)) = (&self.method, &pool.form) {
            let channels = self.conv.cout;
            let samples = x.chunks_exact(g.halo.sample_len()).zip(values.chunks_exact_mut(pool.len));
            for ((x, values), index) in samples.zip(index.chunks_exact_mut(pool.len)) {
                depthwise.run(1, x, packed, &mut scratch[..*len], epilogue);
                // SAFETY: one byte per value; a window has at most 256 positions.
                unsafe {
                    window::max_pool(self.isa, window, channels, 1, &scratch[..*len], values, index.as_mut_ptr());
                }
            }
            return;
        }
        let gather = &self.gathers[0];
        let region = &gather.regions[0];
        self.with_halo(n, x, scratch, |first, source, stride, count, scratch| {
            let values = &mut values[first * pool.len..][..count * pool.len];
            let index = &mut index[first * pool.len..][..count * pool.len];
            match &pool.form {
                Form::Registers(table) => self.each_block(gather, packed, epilogue, |block, group, part| {
                    let channel = group * g.result_channels + block.first;
                    for i in 0..count {
                        let start = i * pool.len + channel;
                        let sink =
                            MaxOfFour { values: values[start..].as_mut_ptr(), index: index[start..].as_mut_ptr() };
                        let source = source[i * stride + group * g.source_channels..].as_ptr();
                        let part = part.sweep(region, source, Positions::Table(table), sink);
                        // SAFETY: the table's offsets lie inside one sample of the source and one of the result,
                        // whose lengths were asserted; `part` holds the block's weights.
                        unsafe { sweep(block.isa, block.mr, block.nv, part) };
                    }
                }),
                Form::Sample(..) => unreachable!("tiles pool in registers or by bands"),
                Form::Bands { bands, columns, width, number, .. } => {
                    let channels = g.groups * g.result_channels;
                    for i in 0..count {
                        for band in bands {
                            scratch.copy_within(band.moved.clone(), 0);
                            self.each_block(gather, packed, epilogue, |block, group, part| {
                                let channel = group * g.result_channels + block.first;
                                let sink = Store::plain(scratch[channel..].as_mut_ptr());
                                let source = source[i * stride + group * g.source_channels..].as_ptr();
                                let part = part.sweep(region, source, Positions::Table(&band.positions), sink);
                                // SAFETY: as above, the result being the band, which scratch holds by its length.
                                unsafe { sweep(block.isa, block.mr, block.nv, part) };
                            });
                            let len = band.rows.len() * columns.len() * channels;
                            let start = i * pool.len + band.result;
                            dispatch(
                                self.isa,
                                MaxOfBand {
                                    band,
                                    columns,
                                    width: *width,
                                    number: *number,
                                    channels,
                                    scratch,
                                    values: &mut values[start..start + len],
                                    index: &mut index[start..start + len],
                                },
                            );
                        }
                    }
                }
            }
        });
    }
}

/// The larger of a running maximum and a later value, with its position; equals keep the earlier one, and so does the
/// first NaN. Positions are integers in the bits of floats, which are only ever moved.
#[inline(always)]
fn later<S: Simd>(s: S, best: [S::F; 2], value: S::F, position: usize) -> [S::F; 2] {
    let stays = s.le(value, best[0]);
    let number = s.eq(best[0], best[0]);
    let position = s.splat(f32::from_bits(position as u32));
    let pick = |old, new| s.select(number, s.select(stays, old, new), old);
    [pick(best[0], value), pick(best[1], position)]
}

/// Writes the first `n` positions as bytes.
///
/// # Safety
/// `p..p+n` is writable; `n` is at most `LANES`.
#[inline(always)]
unsafe fn store_positions<S: Simd>(s: S, p: *mut u8, positions: S::F, n: usize) {
    let mut bytes = [0; 16];
    const { assert!(S::LANES <= 16) };
    // SAFETY: writable by contract; the array holds a vector's bytes.
    unsafe {
        if n == S::LANES {
            s.store_bytes(p, positions);
        } else {
            s.store_bytes(bytes.as_mut_ptr(), positions);
            p.copy_from_nonoverlapping(bytes.as_ptr(), n);
        }
    }
}

/// Pools each four positions of a tile.
#[derive(Clone, Copy)]
pub(in crate::kernels) struct MaxOfFour {
    pub(in crate::kernels) values: *mut f32,
    pub(in crate::kernels) index: *mut u8,
}

impl Sink for MaxOfFour {
    const UNIT: usize = UNIT;

    #[inline(always)]
    fn expect(self, at: usize, len: usize) {
        prefetch(self.values.wrapping_add(at), len);
        prefetch(self.index.wrapping_add(at), len);
    }

    #[inline(always)]
    unsafe fn put<S: Simd, const MR: usize, const NV: usize>(
        self,
        s: S,
        sums: [[S::F; NV]; MR],
        at: [usize; MR],
        channels: usize,
        relu: Relu,
    ) {
        // Loops with small bodies, which the compiler unrolls: the sums then never leave the registers.
        let zero = s.splat(0.0);
        let one = s.splat(f32::from_bits(1));
        let two = s.splat(f32::from_bits(2));
        let three = s.splat(f32::from_bits(3));
        let mut total = zero;
        let mut best = sums;
        let mut position = [[zero; NV]; MR];
        for window in 0..MR / UNIT {
            let first = window * UNIT;
            for j in 0..NV {
                let (a, b, c, d) = (sums[first][j], sums[first + 1][j], sums[first + 2][j], sums[first + 3][j]);
                total = s.add(total, s.add(s.add(a, b), s.add(c, d)));
                let (ab, cd) = (s.max(b, a), s.max(d, c));
                let (at_ab, at_cd) = (s.select(s.lt(a, b), one, zero), s.select(s.lt(c, d), three, two));
                best[window][j] = s.max(cd, ab);
                position[window][j] = s.select(s.lt(ab, cd), at_cd, at_ab);
            }
        }
        if relu != Relu::No {
            // Where nothing is positive all four are zero, and the first is the maximum.
            for window in 0..MR / UNIT {
                for j in 0..NV {
                    position[window][j] = s.select(s.lt(zero, best[window][j]), position[window][j], zero);
                    best[window][j] = s.max(zero, best[window][j]);
                }
            }
        }
        if channels == NV * S::LANES {
            for window in 0..MR / UNIT {
                for j in 0..NV {
                    // SAFETY: in range by contract.
                    unsafe {
                        let at = at[window * UNIT] + j * S::LANES;
                        s.store(self.values.add(at), best[window][j]);
                        store_positions(s, self.index.add(at), position[window][j], S::LANES);
                    }
                }
            }
        } else {
            for window in 0..MR / UNIT {
                for j in 0..NV {
                    let here = (channels - j * S::LANES).min(S::LANES);
                    // SAFETY: in range by contract.
                    unsafe {
                        let at = at[window * UNIT] + j * S::LANES;
                        store_channels(s, self.values.add(at), best[window][j], 0, here);
                        store_positions(s, self.index.add(at), position[window][j], here);
                    }
                }
            }
        }
        // A NaN among the sums makes the total NaN (infinities may as well): then decide one by one.
        if s.reduce_add(total).is_nan() {
            let mut lanes = [[0.0f32; MAX_WIDTH]; MR];
            const { assert!(NV * S::LANES <= MAX_WIDTH) };
            for i in 0..MR {
                for j in 0..NV {
                    // SAFETY: a row holds `NV` vectors.
                    unsafe { s.store(lanes[i].as_mut_ptr().add(j * S::LANES), sums[i][j]) };
                }
            }
            for (window, rows) in lanes.chunks_exact(UNIT).enumerate() {
                for c in 0..channels {
                    let mut best = (f32::NEG_INFINITY, None);
                    for (i, row) in rows.iter().enumerate() {
                        let value = if relu != Relu::No && row[c] < 0.0 { 0.0 } else { row[c] };
                        if best.1.is_none() || value > best.0 || (value.is_nan() && !best.0.is_nan()) {
                            best = (value, Some(i as u8));
                        }
                    }
                    // SAFETY: in range by contract.
                    unsafe {
                        *self.values.add(at[window * UNIT] + c) = best.0;
                        *self.index.add(at[window * UNIT] + c) = best.1.unwrap_or(0);
                    }
                }
            }
        }
    }
}

/// Pools a band.
struct MaxOfBand<'a> {
    band: &'a Band,
    columns: &'a [Span],
    width: usize,
    number: [usize; 2],
    channels: usize,
    scratch: &'a [f32],
    values: &'a mut [f32],
    index: &'a mut [u8],
}

impl Kernel for MaxOfBand<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Self { band, columns, width, number, channels, scratch, values, index } = self;
        let row = width * channels;
        let mut windows = values.chunks_exact_mut(channels).zip(index.chunks_exact_mut(channels));
        for rows in &band.rows {
            for cols in columns {
                let (values, index) = windows.next().expect("a result for each window");
                for c in (0..channels).step_by(S::LANES) {
                    let mut best = None;
                    for d in 0..band.plane.len {
                        for h in 0..rows.len {
                            let line = &scratch[(d * band.height + rows.start + h) * row..][..row];
                            let numbered = (band.plane.skipped + d) * number[0] + rows.skipped + h;
                            for w in 0..cols.len {
                                let position = numbered * number[1] + cols.skipped + w;
                                let line = &line[(cols.start + w) * channels..][..channels];
                                // SAFETY: reads end at the slice's end.
                                let value = unsafe { load_channels(s, line.as_ptr(), c, channels) };
                                best = Some(match best {
                                    None => [value, s.splat(f32::from_bits(position as u32))],
                                    Some(best) => later(s, best, value, position),
                                });
                            }
                        }
                    }
                    let [best, position] = best.expect("every window holds a position");
                    // SAFETY: writes end at the slices' ends.
                    unsafe {
                        store_channels(s, values.as_mut_ptr(), best, c, channels);
                        store_positions(s, index.as_mut_ptr().add(c), position, (channels - c).min(S::LANES));
                    }
                }
            }
        }
    }
}
