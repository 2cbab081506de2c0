//! Products of bytes against their definition in integers, on every instruction set of this machine: no bit may differ.

#[allow(dead_code, reason = "other tests use the rest")]
mod definition;

use definition::products;
use oxiconv_cpu::exec::Executable;
use oxiconv_cpu::kernels::quantized::{Coefficient, Dense, Finish, QuantizedPlan, Requantize, Term};
use oxiconv_cpu::simd::Isa;
use oxiconv_ir::plan::Request;
use oxiconv_ir::reference::{self, Array};
use oxiconv_ir::{
    Binary, Compose, Conv, DType, Emit, Expr, Form, Graph, NodeId, Op, Precision, Result, Seat, Type, Unary,
};
use proptest::prelude::*;

/// Numbers that look random.
fn noise(i: usize, seed: u64) -> u64 {
    let mut z = (i as u64).wrapping_add(seed << 32).wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// Bytes, of which one in eight is an extreme one, so that products that saturate would show.
fn bytes(len: usize, seed: u64) -> Vec<u8> {
    let byte = |r: u64| if r.is_multiple_of(8) { [0, 255, 127, 128][(r >> 8) as usize % 4] } else { (r >> 16) as u8 };
    (0..len).map(|i| byte(noise(i, seed))).collect()
}

struct Case {
    conv: Conv,
    n: usize,
    signed: bool,
    x: Vec<u8>,
    kernel: Vec<i8>,
}

impl Case {
    fn new(conv: Conv, n: usize, signed: bool, seed: u64) -> Self {
        let len = |seat| conv.dims(seat, n).iter().product::<usize>();
        let x = bytes(len(Seat::Input), seed);
        let kernel = bytes(len(Seat::Kernel), seed + 1).into_iter().map(|b| b as i8).collect();
        Self { conv, n, signed, x, kernel }
    }

    fn plan(&self, isa: Isa) -> QuantizedPlan {
        let dtype = if self.signed { DType::I8 } else { DType::U8 };
        let x = Type::new(dtype, self.conv.dims(Seat::Input, self.n));
        let kernel = Type::new(DType::I8, self.conv.dims(Seat::Kernel, 0));
        QuantizedPlan::new(isa, &Form::Conv(self.conv.clone()), &x, &kernel)
    }

    fn run(&self, isa: Isa, finish: Finish<'_>) {
        let plan = self.plan(isa);
        // An alignment of four bytes, as the executor gives.
        let mut packed = vec![0u32; plan.packed_len().div_ceil(4)];
        let packed: &mut [u8] = bytemuck::cast_slice_mut(&mut packed);
        plan.pack(&self.kernel, packed);
        let mut scratch = vec![0xa5; plan.scratch_len()];
        // In two calls, cut somewhere.
        let rows = self.n * plan.rows();
        let cut = (self.x.len() + self.kernel.len()) % (rows + 1);
        // SAFETY: the source has `n` samples, as the results of every `finish` here.
        unsafe {
            plan.run(0..cut, self.x.as_ptr(), packed, finish, &mut scratch);
            plan.run(cut..rows, self.x.as_ptr(), packed, finish, &mut scratch);
        }
    }

    fn outputs(&self) -> usize {
        self.conv.dims(Seat::Output, self.n).iter().product()
    }

    fn sums(&self, isa: Isa) -> Vec<i32> {
        let mut out = vec![i32::MIN; self.outputs()];
        self.run(isa, Finish::Sums(out.as_mut_ptr()));
        out
    }

    /// The definition.
    fn expected(&self) -> Vec<i32> {
        let mut sums = vec![0i64; self.outputs()];
        products(&self.conv, self.n, |x, k, y| {
            let x = if self.signed { i64::from(self.x[x] as i8) } else { i64::from(self.x[x]) };
            sums[y] += x * i64::from(self.kernel[k]);
        });
        sums.into_iter().map(|sum| i32::try_from(sum).expect("int32 holds the sum")).collect()
    }

    fn check(&self) {
        let expected = self.expected();
        for isa in Isa::all_present() {
            assert_eq!(self.sums(isa), expected, "{} {:?} signed {}", isa.name(), self.conv, self.signed);
        }
    }
}

fn conv(
    input: &[usize],
    kernel: &[usize],
    channels: [usize; 2],
    stride: usize,
    dilation: usize,
    pad: [usize; 2],
) -> Conv {
    let all = |v: usize| vec![v; input.len()];
    Conv {
        input: input.to_vec(),
        kernel: kernel.to_vec(),
        stride: all(stride),
        dilation: all(dilation),
        low: all(pad[0]),
        high: all(pad[1]),
        cin: channels[0],
        cout: channels[1],
        groups: 1,
        precision: Precision::Fast,
    }
}

#[test]
fn sums_are_exact() {
    let cases = [
        // 3x3 and 1x1, strides, kernels beyond the image's ends, channels beside multiples of 4 and of the lanes.
        conv(&[8, 8], &[3, 3], [16, 16], 1, 1, [1, 1]),
        conv(&[9, 7], &[3, 3], [3, 5], 1, 1, [1, 1]),
        conv(&[7, 7], &[3, 3], [20, 50], 2, 1, [0, 1]),
        conv(&[5, 11], &[1, 1], [32, 33], 1, 1, [0, 0]),
        conv(&[6, 10], &[1, 1], [5, 17], 2, 1, [0, 0]),
        conv(&[6, 6], &[2, 3], [4, 40], 1, 2, [2, 1]),
        conv(&[4, 4], &[5, 5], [1, 1], 1, 1, [2, 2]),
        conv(&[1, 1], &[3, 3], [7, 9], 1, 1, [1, 1]),
        // Several bands: the padded image is larger than what is copied together.
        conv(&[130, 130], &[3, 3], [16, 3], 1, 1, [1, 1]),
        conv(&[131, 70], &[7, 7], [30, 18], 2, 1, [3, 3]),
        // One axis, and three.
        conv(&[50], &[4], [6, 10], 3, 1, [1, 2]),
        conv(&[12], &[3], [8, 16], 1, 2, [4, 0]),
        conv(&[4, 5, 6], &[3, 2, 3], [3, 19], 1, 1, [1, 1]),
        conv(&[5, 4, 7], &[2, 2, 2], [8, 32], 2, 1, [0, 1]),
    ];
    for (i, c) in cases.into_iter().enumerate() {
        for signed in [false, true] {
            Case::new(c.clone(), 1 + i % 3, signed, i as u64).check();
        }
    }
}

#[test]
fn extremes_do_not_saturate() {
    for (signed, x) in [(false, 255u8), (true, 128)] {
        for w in [-128i8, 127] {
            let mut case = Case::new(conv(&[3, 3], &[3, 3], [64, 24], 1, 1, [1, 1]), 2, signed, 0);
            case.x.fill(x);
            case.kernel.fill(w);
            case.check();
        }
    }
}

#[test]
fn rows_of_a_matrix() {
    for (rows, k, n) in [(1, 1, 1), (1, 64, 10), (7, 30, 16), (130, 13, 33), (65, 128, 48)] {
        for signed in [false, true] {
            let case = Case::new(conv(&[1], &[1], [k, n], 1, 1, [0, 0]), rows, signed, k as u64);
            case.check();
            for isa in Isa::all_present() {
                let dtype = if signed { DType::I8 } else { DType::U8 };
                let (x, kernel) = (Type::new(dtype, [rows, k]), Type::new(DType::I8, [k, n]));
                let plan = QuantizedPlan::new(isa, &Form::MatMul, &x, &kernel);
                assert_eq!(plan.describe(), case.plan(isa).describe());
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]
    #[test]
    fn any_convolution_is_exact(
        (h, w) in (1usize..12, 1usize..20),
        (kh, kw) in (1usize..4, 1usize..4),
        (cin, cout) in (1usize..36, 1usize..36),
        (stride, dilation) in (1usize..3, 1usize..3),
        pad in (0usize..3, 0usize..3),
        (n, signed, seed) in (1usize..4, any::<bool>(), any::<u32>()),
    ) {
        let c = conv(&[h, w], &[kh, kw], [cin, cout], stride, dilation, [pad.0, pad.1]);
        prop_assume!(c.check("conv").is_ok());
        Case::new(c, n, signed, u64::from(seed)).check();
    }
}

/// What [`Requantize`] says, one operation after the other in float32.
fn requantized(sum: i32, other: f32, scale: f32, shift: f32, times: f32, dtype: DType) -> f64 {
    let y = (sum as f32 * scale + shift) + other * 0.25;
    let y = (y.clamp(0.0, 6.0) * times).round_ties_even();
    match dtype {
        DType::U8 => f64::from(y as u8),
        DType::I8 => f64::from(y as i8),
        _ => f64::from(y),
    }
}

#[test]
fn scaling_has_the_bits_of_its_definition() {
    let case = Case::new(conv(&[6, 7], &[3, 3], [10, 37], 1, 1, [1, 1]), 2, false, 5);
    let (sums, cout) = (case.expected(), 37);
    let scale: Vec<f32> = (0..cout).map(|c| 1e-4 * (1.0 + c as f32 / 7.0)).collect();
    let shift: Vec<f32> = (0..cout).map(|c| c as f32 / 5.0 - 3.0).collect();
    let own = Term { scale: Coefficient::Channels(scale.as_ptr()), shift: Coefficient::Channels(shift.as_ptr()) };
    let residual = bytes(sums.len(), 9);
    let floats: Vec<f32> = residual.iter().map(|b| f32::from(*b) / 3.0).collect();
    let integers: Vec<i32> = residual.iter().map(|b| i32::from(*b) * 100_003).collect();
    let others: [(DType, *const u8, Vec<f32>); 4] = [
        (DType::U8, residual.as_ptr(), residual.iter().map(|b| f32::from(*b)).collect()),
        (DType::I8, residual.as_ptr(), residual.iter().map(|b| f32::from(*b as i8)).collect()),
        (DType::F32, floats.as_ptr().cast(), floats),
        (DType::I32, integers.as_ptr().cast(), integers.iter().map(|i| *i as f32).collect()),
    ];
    for isa in Isa::all_present() {
        for (dtype, first, values) in &others {
            for (to, times) in [(DType::U8, 50.5f32), (DType::I8, 33.25), (DType::F32, 2.0)] {
                let mut out = vec![0u32; sums.len()];
                let term = Term { scale: Coefficient::Scalar(0.25), shift: Coefficient::None };
                case.run(
                    isa,
                    Finish::Requantize(&Requantize {
                        own,
                        other: Some((Dense { dtype: *dtype, first: *first }, term)),
                        low: Some(0.0),
                        high: Some(6.0),
                        scale: Coefficient::Scalar(times),
                        dtype: to,
                        out: out.as_mut_ptr().cast(),
                    }),
                );
                let got: &[u8] = bytemuck::cast_slice(&out);
                for (i, sum) in sums.iter().enumerate() {
                    let c = i % cout;
                    let got = match to {
                        DType::U8 => f64::from(got[i]),
                        DType::I8 => f64::from(got[i] as i8),
                        _ => f64::from(f32::from_bits(out[i])),
                    };
                    let y = (*sum as f32 * scale[c] + shift[c]) + values[i] * 0.25;
                    let want = match to {
                        DType::F32 => f64::from(y.clamp(0.0, 6.0) * times),
                        _ => requantized(*sum, values[i], scale[c], shift[c], times, to),
                    };
                    assert_eq!(got, want, "{} {dtype} to {to}, element {i}", isa.name());
                }
            }
        }
    }
}

#[test]
fn nan_becomes_zero_and_what_is_too_large_the_largest() {
    let case = Case::new(conv(&[1, 1], &[1, 1], [4, 4], 1, 1, [0, 0]), 1, false, 5);
    let values = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 1e20];
    for isa in Isa::all_present() {
        for (dtype, expected) in [(DType::U8, [0u8, 255, 0, 255]), (DType::I8, [0, 127, 128, 127])] {
            let mut out = [9u8; 4];
            case.run(
                isa,
                Finish::Requantize(&Requantize {
                    own: Term { scale: Coefficient::Scalar(0.0), shift: Coefficient::Channels(values.as_ptr()) },
                    other: None,
                    low: None,
                    high: None,
                    scale: Coefficient::None,
                    dtype,
                    out: out.as_mut_ptr(),
                }),
            );
            assert_eq!(out, expected, "{} {dtype}", isa.name());
        }
    }
}

/// `y` times and plus a value per channel: the fixed arguments from `first` on.
fn affine(g: &mut Graph, y: NodeId, first: usize) -> Result<NodeId> {
    let dims = g.ty(&y).dims;
    let mut per_channel = |i: usize| -> Result<NodeId> {
        let values = g.arg(i, Type::f32([dims[3]]))?;
        g.emit(Op::Broadcast { dims: dims.clone(), axes: vec![0, 1, 2] }, &[values])
    };
    let (scale, shift) = (per_channel(first)?, per_channel(first + 1)?);
    let y = g.mul(&y, &scale)?;
    g.add(&y, &shift)
}

/// A convolution of bytes, scaled, normalized, added to its own input or not, put through `f`, and rounded to bytes.
fn layer(residual: bool, f: Unary, to: DType) -> Result<(Graph, NodeId, Vec<Type>)> {
    let mut g = Graph::new();
    let mut types = vec![Type::new(DType::U8, [6, 7, 5, 20]), Type::new(DType::I8, [3, 3, 20, 20])];
    types.extend((0..4).map(|_| Type::f32([20])));
    let (x, k) = (g.arg(0, types[0].clone())?, g.arg(1, types[1].clone())?);
    let op = Op::conv(&types[0], &types[1], &[1, 1], &[1, 1], &[1, 1], &[1, 1], 1)?;
    let sums = g.emit(op, &[x, k])?;
    let sums = g.emit(Op::Cast(DType::F32), &[sums])?;
    let mut y = affine(&mut g, sums, 2)?;
    y = affine(&mut g, y, 4)?;
    if residual {
        let own = g.map(
            Expr::build(1, |b| {
                let (x, scale) = (b.input(0), b.constant(0.25));
                b.mul(x, scale)
            }),
            DType::F32,
            &[x],
        )?;
        y = g.add(&y, &own)?;
    }
    let zero = g.zeros(&Type::f32(types[0].dims.clone()))?;
    y = if f == Unary::Abs { g.binary(Binary::Max, &y, &zero)? } else { g.unary(f, &y)? };
    let rounded = g.map(
        Expr::build(1, |b| {
            let (y, scale) = (b.input(0), b.constant(3.0));
            let y = b.mul(y, scale);
            b.unary(Unary::Round, y)
        }),
        to,
        &[y],
    )?;
    Ok((g, rounded, types))
}

#[test]
fn layers_are_one_step_and_have_the_values_of_the_graph() -> Result<()> {
    // `Abs` stands for the ReLU, which the kernel computes in registers, as it does not the others.
    for (residual, f, to, tail) in [
        (false, Unary::Abs, DType::U8, "+ scale"),
        (true, Unary::Abs, DType::U8, "+ scale + residual"),
        (true, Unary::Abs, DType::I8, "+ scale + residual"),
        (false, Unary::Tanh, DType::I8, "+ expression"),
        (true, Unary::Sigmoid, DType::U8, "+ expression"),
    ] {
        let (graph, root, types) = layer(residual, f, to)?;
        let x = bytes(types[0].len(), 3);
        let kernel = bytes(types[1].len(), 4);
        let coefficient = |i: usize| -> Vec<f32> {
            let around = [2e-4, 1.0, 0.8, -0.1][i];
            (0..20).map(|c| around * (1.0 + (noise(c, i as u64) % 100) as f32 / 100.0)).collect()
        };
        let floats: Vec<Vec<f32>> = (0..4).map(coefficient).collect();
        let mut wide: Vec<Vec<f64>> =
            vec![x.iter().map(|b| f64::from(*b)).collect(), kernel.iter().map(|b| f64::from(*b as i8)).collect()];
        wide.extend(floats.iter().map(|v| v.iter().map(|v| f64::from(*v)).collect()));
        let arrays = types.iter().zip(wide).map(|(t, v)| Array::new(t.clone(), v)).collect::<Result<Vec<_>>>()?;
        let expected = &reference::run(&graph, &arrays, &[root])?[0].data;
        for batched in [true, false] {
            let fixed = vec![false, true, true, true, true, true];
            let batched = (0..6).map(|i| batched && i == 0).collect();
            let request = Request { results: vec![root], batched, updates: vec![], fixed };
            let mut exe = Executable::new(&graph, &request)?;
            let products = exe.to_string().lines().filter(|l| l.contains("bytes ") && l.contains(tail)).count();
            assert_eq!(products, 1, "{exe}");
            let mut inputs = vec![x.as_ptr(), kernel.as_ptr()];
            inputs.extend(floats.iter().map(|v| v.as_ptr().cast::<u8>()));
            let mut out = vec![77u8; types[0].len()];
            // SAFETY: tensors of the graph's types, each with memory of its own.
            unsafe { exe.run(&inputs, &[out.as_mut_ptr()], &|| false)? };
            let mut moved = 0;
            for (got, want) in out.iter().zip(expected) {
                let got = if to == DType::U8 { f64::from(*got) } else { f64::from(*got as i8) };
                // The reference has no roundings: a value close to a half may go to the other side.
                assert!((got - want).abs() <= 1.0, "{got} should be {want}\n{exe}");
                moved += usize::from(got != *want);
            }
            assert!(moved * 200 < out.len(), "{moved} of {} are off by one", out.len());
        }
    }
    Ok(())
}
