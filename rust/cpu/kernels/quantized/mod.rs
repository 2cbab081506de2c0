//! Convolutions and matrix products of bytes: uint8 or int8 times an int8 kernel, exact int32 sums, and what scales them
//! and stores them as bytes again while they are in registers.
//!
//! The source of a band of result rows is copied once, with its padding, so that the kernel's taps along a row and their
//! channels are one *run* of contiguous bytes, four of which meet the four weights of each lane in one instruction. The
//! instruction takes unsigned bytes: signed ones are copied with 128 added (the sign bit turned), and sums start at −128
//! times the sum of the weights. Sums wrap, so that this is exact wherever the result is.
//!
//! Where runs need no padding and are whole groups of four unsigned bytes, the source is read in place.

mod pack;
mod requantize;
mod tile;

pub use requantize::{Coefficient, Dense, Requantize, Term};

use crate::simd::Isa;
use crate::simd::dot::{Dot, DotIsa, DotKernel, dispatch_dot};
use oxiconv_ir::{Conv, DType, Form, Type};
use std::ops::Range;
use tile::Block;

/// Bytes of source that a band copies, if more than one row of results needs them: half of an L2 cache of 256 KiB.
const BAND: usize = 128 << 10;
/// Rows of a matrix that are copied together.
const ROWS: usize = 64;

/// A convolution or matrix product of bytes for one instruction set.
#[derive(Debug, Clone)]
pub struct QuantizedPlan {
    isa: Isa,
    /// Of three axes each, the first of them of size 1 if there are fewer.
    source: [usize; 3],
    result: [usize; 3],
    stride: [usize; 3],
    low: [usize; 3],
    /// Sizes of the padded source, of which a band has some of the first axis.
    padded: [usize; 3],
    /// Source rows along the first axis that one result reads.
    span: usize,
    cin: usize,
    cout: usize,
    /// Whether the source is signed.
    signed: bool,
    /// Whether the source is read where it is.
    in_place: bool,
    /// Results along the first axis that are computed together.
    band: usize,
    /// Whether a sample is rows of a matrix, any number of which go together.
    is_rows: bool,
    /// Offsets of runs from a position's first byte.
    runs: Vec<usize>,
    /// Bytes of a run, and groups of four.
    run: usize,
    groups: usize,
}

/// What becomes of the sums.
#[derive(Clone, Copy)]
pub enum Finish<'a> {
    /// They are stored: int32.
    Sums(*mut i32),
    /// They are scaled, and stored as bytes or floats.
    Requantize(&'a Requantize),
}

impl QuantizedPlan {
    /// Plans a product that [`Form::infer`] accepts, of a source of this type.
    pub fn new(isa: Isa, form: &Form, x: &Type, kernel: &Type) -> Self {
        match form {
            Form::Conv(conv) => Self::conv(isa, conv, x.dtype == DType::I8),
            Form::MatMul => {
                let [k, n] = kernel.dims[..] else { unreachable!("products of bytes have kernels of rank 2") };
                let point = Conv {
                    input: vec![1],
                    kernel: vec![1],
                    stride: vec![1],
                    dilation: vec![1],
                    low: vec![0],
                    high: vec![0],
                    cin: k,
                    cout: n,
                    groups: 1,
                    precision: oxiconv_ir::Precision::Exact,
                };
                Self::conv(isa, &point, x.dtype == DType::I8)
            }
        }
    }

    fn conv(isa: Isa, conv: &Conv, signed: bool) -> Self {
        // One axis is a row; of two, bands are cut along the first, which so is the first of three too.
        let three = |list: &[usize], missing: usize| match *list {
            [c] => [missing, missing, c],
            [a, c] => [a, missing, c],
            [a, b, c] => [a, b, c],
            _ => unreachable!("convolutions have one to three spatial axes"),
        };
        let [source, result] = [three(&conv.input, 1), three(&conv.output(), 1)];
        let [kernel, stride, dilation] = [&conv.kernel, &conv.stride, &conv.dilation].map(|l| three(l, 1));
        let [low, high] = [&conv.low, &conv.high].map(|l| three(l, 0));
        let padded: [usize; 3] = std::array::from_fn(|a| low[a] + source[a] + high[a]);
        // Taps along a row are contiguous unless they are apart.
        let along = if dilation[2] == 1 { kernel[2] } else { 1 };
        let (run, cin) = (along * conv.cin, conv.cin);
        let mut runs = Vec::new();
        for a in 0..kernel[0] {
            for b in 0..kernel[1] {
                for c in (0..kernel[2]).step_by(along) {
                    let at = (a * dilation[0] * padded[1] + b * dilation[1]) * padded[2] + c * dilation[2];
                    runs.push(at * cin);
                }
            }
        }
        let in_place = !signed && padded == source && run.is_multiple_of(4);
        let span = (kernel[0] - 1) * dilation[0] + 1;
        let is_rows = kernel == [1; 3] && stride == [1; 3] && padded == source;
        let slab = padded[1] * padded[2] * cin;
        let fits = (BAND / slab.max(1)).saturating_sub(span) / stride[0] + 1;
        let band = if in_place { result[0] } else { fits.min(result[0]) };
        let groups = run.div_ceil(4);
        let cout = conv.cout;
        Self {
            isa,
            source,
            result,
            stride,
            low,
            padded,
            span,
            cin,
            cout,
            signed,
            in_place,
            band,
            is_rows,
            runs,
            run,
            groups,
        }
    }

    /// Bytes of scratch that one call needs.
    pub fn scratch_len(&self) -> usize {
        if self.in_place {
            0
        } else if self.is_rows {
            ROWS * self.padded_channels() + 4
        } else {
            // The last run may be read beyond its end.
            self.band_rows(self.band) * self.padded[1] * self.padded[2] * self.cin + 4
        }
    }

    /// Source rows along the first axis that a band of results reads.
    fn band_rows(&self, results: usize) -> usize {
        (results - 1) * self.stride[0] + self.span
    }

    /// Bytes of a row of a matrix that is copied: whole groups.
    fn padded_channels(&self) -> usize {
        self.cin.next_multiple_of(4)
    }

    /// Sums of one sample, or of one row of a matrix.
    pub fn result_len(&self) -> usize {
        self.result.iter().product::<usize>() * self.cout
    }

    /// Bytes of one sample of the source, or of one row.
    pub fn source_len(&self) -> usize {
        self.source.iter().product::<usize>() * self.cin
    }

    /// Parts of a sample that can be computed on their own: rows.
    pub fn rows(&self) -> usize {
        if self.is_rows { self.result.iter().product() } else { self.result[0] }
    }

    /// Computes these rows, counted from the first sample on, whose first byte is `x`, and whose first result has the
    /// first place of `finish`.
    ///
    /// # Safety
    /// `x` has the samples of these rows, `packed` is what [`Self::pack`] made, `finish` has places for all samples, and
    /// `scratch` has [`Self::scratch_len`] bytes.
    pub unsafe fn run(&self, rows: Range<usize>, x: *const u8, packed: &[u8], finish: Finish<'_>, scratch: &mut [u8]) {
        assert!(packed.len() >= self.packed_len() && scratch.len() >= self.scratch_len());
        dispatch_dot(self.isa, Run { plan: self, rows, x, packed, finish, scratch: scratch.as_mut_ptr() });
    }

    /// The kernel, for people.
    pub fn describe(&self) -> String {
        let kind = DotIsa::of(self.isa);
        let (positions, vectors) = kind.tile();
        let place = if self.in_place { "" } else { ", source copied" };
        format!("bytes {} {positions}x{}{place}", kind.name(), vectors * kind.lanes())
    }
}

struct Run<'a> {
    plan: &'a QuantizedPlan,
    rows: Range<usize>,
    x: *const u8,
    packed: &'a [u8],
    finish: Finish<'a>,
    scratch: *mut u8,
}

/// Positions in one line: where their source is, from one to the next, and the number of the first result.
#[derive(Clone, Copy)]
struct Line {
    source: *const u8,
    step: usize,
    first: usize,
    count: usize,
}

impl DotKernel for Run<'_> {
    #[inline(always)]
    fn run<D: Dot>(self, d: D) {
        let plan = self.plan;
        if plan.is_rows {
            self.all_rows(d);
            return;
        }
        let [a, b, c] = plan.result;
        let most = D::TILE.1 * D::LANES;
        let row = plan.padded[2] * plan.cin;
        let Range { start: first, end } = self.rows;
        for sample in first / a..end.div_ceil(a) {
            let x = self.x.wrapping_add(sample * plan.source_len());
            let (begin, end) = (first.saturating_sub(sample * a), a.min(end - sample * a));
            for start in (begin..end).step_by(plan.band) {
                let count = plan.band.min(end - start);
                let base = if plan.in_place {
                    x.wrapping_add(start * plan.stride[0] * plan.padded[1] * row)
                } else {
                    // SAFETY: `x` is a sample, the scratch memory holds a band.
                    unsafe { self.copy(x, start * plan.stride[0], plan.band_rows(count)) };
                    self.scratch.cast_const()
                };
                for first in (0..plan.cout).step_by(most) {
                    let block = Block::new(plan, self.packed, first, most, D::LANES);
                    for i in 0..count {
                        for j in 0..b {
                            let at = i * plan.stride[0] * plan.padded[1] + j * plan.stride[1];
                            let line = Line {
                                source: base.wrapping_add(at * row),
                                step: plan.stride[2] * plan.cin,
                                first: ((sample * a + start + i) * b + j) * c,
                                count: c,
                            };
                            // SAFETY: the line's positions are in the band (or the sample), with all taps.
                            unsafe { tile::line(d, plan, block, line, self.finish) };
                        }
                    }
                }
            }
        }
    }
}

impl Run<'_> {
    /// All positions as rows of one matrix.
    #[inline(always)]
    fn all_rows<D: Dot>(&self, d: D) {
        let plan = self.plan;
        let Range { start, end } = self.rows;
        let most = D::TILE.1 * D::LANES;
        let together = if plan.in_place { end - start } else { ROWS };
        for first in (start..end).step_by(together.max(1)) {
            let count = together.min(end - first);
            let (mut source, mut step) = (self.x.wrapping_add(first * plan.cin), plan.cin);
            if !plan.in_place {
                step = plan.padded_channels();
                for i in 0..count {
                    // SAFETY: row `first + i` of the source, row `i` of the scratch memory.
                    unsafe { self.copy_bytes(source.add(i * plan.cin), self.scratch.add(i * step), plan.cin) };
                }
                source = self.scratch;
            }
            let line = Line { source, step, first, count };
            for first in (0..plan.cout).step_by(most) {
                let block = Block::new(plan, self.packed, first, most, D::LANES);
                // SAFETY: rows of the source, or of the scratch memory with what runs read beyond their ends.
                unsafe { tile::line(d, plan, block, line, self.finish) };
            }
        }
    }

    /// Rows `first..first + count` of the padded sample `x` to the scratch memory.
    ///
    /// # Safety
    /// `x` is a sample of the source; the scratch memory has as many rows.
    #[inline(always)]
    unsafe fn copy(&self, x: *const u8, first: usize, count: usize) {
        let p = self.plan;
        let [pa, pb] = [p.padded[1], p.padded[2] * p.cin];
        let zero = if p.signed { 128 } else { 0 };
        let row = p.source[2] * p.cin;
        let inside = |at: usize, axis: usize| at.checked_sub(p.low[axis]).filter(|i| *i < p.source[axis]);
        for i in 0..count {
            for j in 0..pa {
                // SAFETY: row `j` of slab `i`, of `pb` bytes, of which `row` from `low` on are the source's.
                unsafe {
                    let to = self.scratch.add((i * pa + j) * pb);
                    if let (Some(a), Some(b)) = (inside(first + i, 0), inside(j, 1)) {
                        let before = p.low[2] * p.cin;
                        to.write_bytes(zero, before);
                        self.copy_bytes(x.add((a * p.source[1] + b) * row), to.add(before), row);
                        to.add(before + row).write_bytes(zero, pb - before - row);
                    } else {
                        to.write_bytes(zero, pb);
                    }
                }
            }
        }
    }

    /// Bytes of the source, made unsigned.
    ///
    /// # Safety
    /// `len` bytes from `from` are readable and from `to` writable, and apart.
    #[inline(always)]
    unsafe fn copy_bytes(&self, from: *const u8, to: *mut u8, len: usize) {
        // SAFETY: by contract.
        unsafe {
            if self.plan.signed {
                for i in 0..len {
                    *to.add(i) = *from.add(i) ^ 128;
                }
            } else {
                std::ptr::copy_nonoverlapping(from, to, len);
            }
        }
    }
}
