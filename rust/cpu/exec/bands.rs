//! One image for several workers: its rows (the first spatial axis) cut into bands, each an image of its own, since a
//! band's rows are contiguous memory. A band differs from the image in its height and in its padding, which is only
//! where the image ends; rows that two bands read are read twice.

use super::heavy::{Choice, Product};
use super::{Call, Kernel, MAX_OPERANDS};
use crate::kernels::map::Operand;
use crate::simd::Isa;
use oxiconv_ir::{Conv, Expr, Form, Result, Seat, Type, Window};
use std::ops::Range;

/// Rows are cut in multiples of it: tiles of several rows fit.
const ROWS: usize = 4;

/// Rows `rows` of what a window slides over to, and what it needs: rows of the input, and the padding before and after
/// them. None if some of `rows` see padding alone.
struct Reach {
    input: Range<usize>,
    low: usize,
    high: usize,
}

fn reach(rows: &Range<usize>, stride: usize, span: usize, low: usize, input: usize) -> Option<Reach> {
    // Both counted from the first row of padding.
    let (start, end) = (rows.start * stride, (rows.end - 1) * stride + span);
    let (first, last) = (start.max(low) - low, end.saturating_sub(low).min(input));
    let (above, below) = (low.saturating_sub(start), end.saturating_sub(low + input));
    (first < last).then_some(Reach { input: first..last, low: above, high: below })
}

/// A band of a convolution, perhaps pooled: its sizes, and the first of its rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Band {
    conv: Conv,
    window: Option<Window>,
    /// Rows of the operand that has the batch, and of the stored result.
    source: Range<usize>,
    result: Range<usize>,
    /// Rows of the result before it is pooled.
    inner: Range<usize>,
}

impl Band {
    /// Rows `rows` of the result, which is the output or the pooled output.
    fn forward(conv: &Conv, window: Option<&Window>, rows: Range<usize>) -> Option<Self> {
        let (mut outputs, mut pooled) = (rows.clone(), window.cloned());
        if let Some(w) = &mut pooled {
            let r = reach(&rows, w.stride[0], w.size[0], w.low[0], w.input[0])?;
            (w.input[0], w.low[0], w.high[0]) = (r.input.len(), r.low, r.high);
            outputs = r.input;
        }
        let r = reach(&outputs, conv.stride[0], conv.span(0), conv.low[0], conv.input[0])?;
        let mut conv = conv.clone();
        (conv.input[0], conv.low[0], conv.high[0]) = (r.input.len(), r.low, r.high);
        let agree = conv.output()[0] == outputs.len() && pooled.as_ref().is_none_or(|w| w.output()[0] == rows.len());
        agree.then_some(Self { conv, window: pooled, source: r.input, result: rows, inner: outputs })
    }

    /// Rows `rows` of the input, from those of the output that reach them: with `i` an input and `o` an output row,
    /// `i + low = o·stride + t·dilation` for a tap `t`.
    fn backward(conv: &Conv, rows: Range<usize>) -> Option<Self> {
        let (stride, span, low) = (conv.stride[0], conv.span(0), conv.low[0]);
        let first = (rows.start + low + 1).saturating_sub(span).div_ceil(stride);
        let last = ((rows.end - 1 + low) / stride + 1).min(conv.output()[0]);
        if first >= last {
            return None;
        }
        let mut band = conv.clone();
        band.input[0] = rows.len();
        band.low[0] = (rows.start + low).checked_sub(first * stride)?;
        band.high[0] = ((last - first - 1) * stride + span).saturating_sub(rows.len() + band.low[0]);
        // Where no output reaches the last rows, sizes may not say so.
        let agree = band.output()[0] == last - first;
        agree.then_some(Self { conv: band, window: None, source: first..last, inner: rows.clone(), result: rows })
    }

    /// At most `count` bands, or one, of at least so many positions of the result: all bands read the whole kernel.
    fn all(conv: &Conv, window: Option<&Window>, solve: Seat, count: usize, positions: usize) -> Option<Vec<Self>> {
        let (result, unit) = match (solve, window) {
            (Seat::Output, Some(w)) => (w.output(), ROWS),
            // Those of a kernel's gradient have a term of it each.
            (Seat::Output, None) | (Seat::Kernel, _) => (conv.output(), ROWS),
            // The phases of a stride are the same in every band.
            (Seat::Input, _) => (conv.input.clone(), ROWS.next_multiple_of(conv.stride[0])),
        };
        let (rows, others) = (result[0], result[1..].iter().product::<usize>().max(1));
        let each = rows.div_ceil(count).max(positions.div_ceil(others)).next_multiple_of(unit);
        let bands = (0..rows).step_by(each).map(|first| first..(first + each).min(rows));
        bands
            .map(|rows| match solve {
                Seat::Output | Seat::Kernel => Self::forward(conv, window, rows),
                Seat::Input => Self::backward(conv, rows),
            })
            .collect()
    }

    /// Whether the same kernels compute both.
    fn is_like(&self, other: &Self) -> bool {
        self.conv == other.conv && self.window == other.window
    }
}

/// A convolution of few images in bands.
pub(super) struct Banded {
    /// Bands of one shape share a kernel.
    kernels: Vec<Product>,
    /// Of each image: which kernel, and in bytes how far its operands and results are into the image.
    bands: Vec<(usize, Offsets)>,
    /// Bytes from one image to the next.
    images: Offsets,
    entries: usize,
}

/// Bytes, per input and output.
struct Offsets {
    inputs: Vec<usize>,
    outputs: Vec<usize>,
}

/// How an operand or a result meets images and their rows.
struct Meets {
    image: bool,
    row: bool,
}

impl Meets {
    /// The type for one image of `rows` rows.
    fn cut(&self, ty: &Type, rows: usize) -> Type {
        let mut dims = ty.dims.clone();
        if self.image {
            dims[0] = 1;
        }
        if self.row {
            dims[usize::from(self.image)] = rows;
        }
        Type::new(ty.dtype, dims)
    }

    /// Bytes of an image, and of a row, where these are steps in memory.
    fn bytes(&self, ty: &Type) -> (usize, usize) {
        let image = if self.image { ty.bytes() / ty.dims[0] } else { ty.bytes() };
        let row = if self.row { image / ty.dims[usize::from(self.image)] } else { 0 };
        (if self.image { image } else { 0 }, row)
    }
}

impl Banded {
    /// The convolution of some images in about `pieces` pieces, if it can be cut. `types` are those of all inputs;
    /// the epilogue has the operands from 2 on.
    pub(super) fn new(
        isa: Isa,
        conv: &Conv,
        solve: Seat,
        (types, outs): (&[Type], &[Type]),
        epilogue: Option<(&Expr, &[Operand])>,
        window: Option<&Window>,
        product: &Product,
        pieces: usize,
    ) -> Option<Self> {
        let batched = usize::from(solve == Seat::Input);
        let entries = types[batched].dims[0];
        let all = Band::all(conv, window, solve, pieces.div_ceil(entries.max(1)), product.least_positions())?;
        if entries == 0 || all.len() < 2 {
            return None;
        }
        let seats = solve.others();
        let inputs: Vec<Meets> = (0..types.len())
            .map(|i| match (i, epilogue) {
                (0 | 1, _) => Meets { image: seats[i] != Seat::Kernel, row: seats[i] != Seat::Kernel },
                (_, Some((_, operands))) => {
                    let repeat = &operands[i - 2].repeat;
                    Meets { image: !repeat[0], row: !repeat[1] }
                }
                (_, None) => unreachable!("a product without epilogue has two operands"),
            })
            .collect();
        let whole = Meets { image: solve != Seat::Kernel, row: solve != Seat::Kernel };
        let (mut kernels, mut shapes, mut bands) = (Vec::<Product>::new(), Vec::<Band>::new(), Vec::new());
        for band in all {
            let rows = |i: usize| match (i, solve) {
                (0, _) | (1, Seat::Output | Seat::Input) => &band.source,
                (1, Seat::Kernel) | (2.., _) => &band.inner,
            };
            let kernel = shapes.iter().position(|b| b.is_like(&band)).unwrap_or(shapes.len());
            let offsets = Offsets {
                inputs: (0..types.len()).map(|i| inputs[i].bytes(&types[i]).1 * rows(i).start).collect(),
                outputs: outs.iter().map(|t| whole.bytes(t).1 * band.result.start).collect(),
            };
            bands.push((kernel, offsets));
            if kernel < shapes.len() {
                continue;
            }
            let cut: Vec<Type> = (0..types.len()).map(|i| inputs[i].cut(&types[i], rows(i).len())).collect();
            let out = whole.cut(&outs[0], band.result.len());
            let form = Form::Conv(band.conv.clone());
            let tail = epilogue.map(|(expr, operands)| (expr, operands, &cut[2..]));
            let part =
                Product::new(isa, &form, solve, &cut[..2], &out, tail, band.window.as_ref(), Choice::Like(product))?;
            kernels.push(part);
            shapes.push(band);
        }
        let images = Offsets {
            inputs: inputs.iter().zip(types).map(|(m, t)| m.bytes(t).0).collect(),
            outputs: outs.iter().map(|t| whole.bytes(t).0).collect(),
        };
        Some(Self { kernels, bands, images, entries })
    }

    /// How many workers can have a part of their own.
    pub(super) fn pieces(&self) -> usize {
        self.entries * self.bands.len()
    }
}

impl Kernel for Banded {
    unsafe fn run(&self, call: Call<'_>) -> Result<()> {
        for piece in call.piece(self.pieces()) {
            let (image, (kernel, band)) = (piece / self.bands.len(), &self.bands[piece % self.bands.len()]);
            let (mut inputs, mut outputs) = ([std::ptr::null(); MAX_OPERANDS], [std::ptr::null_mut(); MAX_OPERANDS]);
            for (i, p) in call.inputs.iter().enumerate() {
                inputs[i] = p.wrapping_add(image * self.images.inputs[i] + band.inputs[i]);
            }
            for (i, p) in call.outputs.iter().enumerate() {
                outputs[i] = p.wrapping_add(image * self.images.outputs[i] + band.outputs[i]);
            }
            let part = Call {
                samples: 1,
                of: 1,
                first: 0,
                piece: (0, 1),
                inputs: &inputs[..call.inputs.len()],
                outputs: &outputs[..call.outputs.len()],
                packed: call.packed,
                scratch: &mut *call.scratch,
            };
            // SAFETY: the band's rows lie within the image; bands have disjoint rows of the results.
            unsafe { self.kernels[*kernel].run(part)? };
        }
        Ok(())
    }

    fn scratch_len(&self) -> usize {
        self.kernels.iter().map(Kernel::scratch_len).max().unwrap_or(0)
    }

    fn packed_len(&self) -> usize {
        self.kernels[0].packed_len()
    }

    unsafe fn pack(&self, kernel: *const u8, packed: &mut [f32]) {
        // SAFETY: forwarded.
        unsafe { self.kernels[0].pack(kernel, packed) };
    }

    fn packed_operand(&self) -> Option<usize> {
        self.kernels[0].packed_operand()
    }

    fn describe(&self) -> String {
        format!("{} in {} bands", self.kernels[0].describe(), self.bands.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use oxiconv_ir::Precision;

    fn image(rows: usize, kernel: usize, stride: usize, dilation: usize, pad: usize) -> Conv {
        Conv {
            input: vec![rows, 14],
            kernel: vec![kernel, 3],
            stride: vec![stride, 1],
            dilation: vec![dilation, 1],
            low: vec![pad, 1],
            high: vec![pad, 1],
            cin: 8,
            cout: 8,
            groups: 1,
            precision: Precision::Fast,
        }
    }

    #[test]
    fn bands_follow_each_other_and_agree_on_sizes() {
        for (rows, kernel, stride, dilation, pad) in [
            (56, 3, 1, 1, 1),
            (57, 3, 2, 1, 1),
            (112, 7, 2, 1, 3),
            (40, 3, 1, 2, 2),
            (34, 2, 2, 1, 0),
            (31, 1, 1, 1, 0),
        ] {
            let conv = image(rows, kernel, stride, dilation, pad);
            for solve in [Seat::Output, Seat::Input] {
                let bands = Band::all(&conv, None, solve, 5, 24).expect("can be cut");
                let whole = if solve == Seat::Output { conv.output()[0] } else { rows };
                assert!((2..=5).contains(&bands.len()), "{} bands of {conv:?}", bands.len());
                assert_eq!(
                    bands.iter().flat_map(|b| b.result.clone()).collect::<Vec<_>>(),
                    (0..whole).collect::<Vec<_>>()
                );
                for b in bands {
                    let (x, y) = (b.conv.input[0], b.conv.output()[0]);
                    let (source, result) = if solve == Seat::Output { (x, y) } else { (y, x) };
                    assert_eq!((source, result), (b.source.len(), b.result.len()), "{conv:?}");
                }
            }
        }
    }

    /// The stem of a residual network: rows between two bands are computed twice, once for each.
    #[test]
    fn pooled_bands_have_the_rows_of_their_windows() {
        let conv = Conv { input: vec![224, 224], stride: vec![2, 2], ..image(224, 7, 2, 1, 3) };
        let conv = Conv { kernel: vec![7, 7], low: vec![3, 3], high: vec![3, 3], ..conv };
        let window =
            Window { input: conv.output(), size: vec![3; 2], stride: vec![2; 2], low: vec![1; 2], high: vec![1; 2] };
        let bands = Band::all(&conv, Some(&window), Seat::Output, 16, 24).expect("can be cut");
        assert_eq!(bands.len(), 14);
        assert_eq!((bands[0].inner.clone(), bands[1].inner.clone()), (0..8, 7..16));
        assert_eq!((bands[0].source.clone(), bands[1].source.clone()), (0..18, 11..34));
    }

    #[test]
    fn bands_of_padding_alone_are_no_bands() {
        let conv = image(4, 3, 1, 1, 30);
        assert!(Band::all(&conv, None, Seat::Output, 8, 24).is_none());
    }
}
