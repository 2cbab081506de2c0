//! Every primitive, run at once, against the `f64` reference; empty tensors too.

use half::{bf16, f16};
use oxiconv::ir::op::Dist;
use oxiconv::ir::reference::{Array, apply};
use oxiconv::ir::{Binary, Conv, DType, Emit, Error, Expr, Form, Op, Precision, Seat, Type, Unary, Window};
use oxiconv::{Eager, Tensor};

/// Values in [-2, 2) in steps of 1/8, so that products of two and sums of a few thousand of them are exact in f32; at
/// the fixed positions of a linear congruence.
fn array(ty: Type, seed: u32) -> Array {
    let mut state = seed.wrapping_mul(2654435761).wrapping_add(1);
    let data = (0..ty.len()).map(|_| {
        state = state.wrapping_mul(1664525).wrapping_add(1013904223);
        let step = f64::from(state >> 27);
        match ty.dtype {
            DType::F32 | DType::F16 | DType::Bf16 => step / 8.0 - 2.0,
            DType::I32 | DType::I64 => step - 16.0,
            DType::I8 | DType::U8 => step,
            DType::Bool => f64::from(u8::from(step > 15.0)),
        }
    });
    let data = data.collect();
    Array::new(ty, data).unwrap()
}

fn tensor(a: &Array) -> Tensor {
    let bytes: Vec<u8> = match a.ty.dtype {
        DType::F32 => a.data.iter().flat_map(|&x| (x as f32).to_ne_bytes()).collect(),
        DType::F16 => a.data.iter().flat_map(|&x| f16::from_f64(x).to_ne_bytes()).collect(),
        DType::Bf16 => a.data.iter().flat_map(|&x| bf16::from_f64(x).to_ne_bytes()).collect(),
        DType::I64 => a.data.iter().flat_map(|&x| (x as i64).to_ne_bytes()).collect(),
        DType::I32 => a.data.iter().flat_map(|&x| (x as i32).to_ne_bytes()).collect(),
        DType::I8 => a.data.iter().map(|&x| x as i8 as u8).collect(),
        DType::U8 | DType::Bool => a.data.iter().map(|&x| x as u8).collect(),
    };
    Tensor::from_bytes(a.ty.clone(), &bytes).unwrap()
}

fn values(t: &Tensor) -> Vec<f64> {
    match t.ty().dtype {
        DType::F32 => t.to_f32().unwrap().into_iter().map(f64::from).collect(),
        DType::F16 => t.bytes().as_chunks().0.iter().map(|&b| f16::from_ne_bytes(b).to_f64()).collect(),
        DType::Bf16 => t.bytes().as_chunks().0.iter().map(|&b| bf16::from_ne_bytes(b).to_f64()).collect(),
        DType::I64 => t.bytes().as_chunks().0.iter().map(|&b| i64::from_ne_bytes(b) as f64).collect(),
        DType::I32 => t.to_i32().unwrap().into_iter().map(f64::from).collect(),
        DType::I8 => t.bytes().iter().map(|&b| f64::from(b as i8)).collect(),
        DType::U8 | DType::Bool => t.bytes().iter().map(|&b| f64::from(b)).collect(),
    }
}

/// Runs `op` both ways; `tolerance` is absolute, 0 where all intermediate values are exact.
fn check(op: &Op, args: &[Array], tolerance: f64) {
    let expected = apply(op, &args.iter().collect::<Vec<_>>()).unwrap();
    let given = Eager.emit(op.clone(), &args.iter().map(tensor).collect::<Vec<_>>()).unwrap();
    assert_eq!(given.ty(), &expected.ty, "{op}");
    for (i, (g, e)) in values(&given).iter().zip(&expected.data).enumerate() {
        assert!(
            (g - e).abs() <= tolerance || g == e,
            "{op} of {:?}, element {i}: {g}, expected {e}",
            args.first().map(|a| &a.ty)
        );
    }
}

fn floats(dims: &[usize], seed: u32) -> Array {
    array(Type::f32(dims), seed)
}

#[test]
fn elementwise() {
    for dims in [&[][..], &[0], &[7], &[3, 0, 2], &[5, 67]] {
        let [x, y] = [floats(dims, 1), floats(dims, 2)];
        for f in [Binary::Add, Binary::Sub, Binary::Mul, Binary::Min, Binary::Max, Binary::Lt, Binary::Eq, Binary::And]
        {
            let dtype = if f.is_predicate() { DType::Bool } else { DType::F32 };
            check(&Op::Map { expr: Expr::binary(f), dtype }, &[x.clone(), y.clone()], 0.0);
        }
        for f in [Unary::Neg, Unary::Abs, Unary::Sign, Unary::Floor, Unary::Ceil, Unary::Round] {
            check(&Op::Map { expr: Expr::unary(f), dtype: DType::F32 }, std::slice::from_ref(&x), 0.0);
        }
        for from in DType::ALL {
            for to in DType::ALL {
                let x = array(Type::new(from, dims), 3);
                check(&Op::Cast(to), &[x], 0.0);
            }
        }
    }
}

#[test]
fn products() {
    let matmul = |solve| Op::Product { form: Form::MatMul, solve };
    for [m, k, n] in [[5, 7, 3], [1, 1, 1], [33, 64, 17], [0, 4, 3], [4, 0, 3], [4, 3, 0]] {
        for lead in [&[][..], &[3], &[0], &[2, 3]] {
            let of = |a, b, seed| floats(&[lead, &[a, b]].concat(), seed);
            check(&matmul(Seat::Output), &[of(m, k, 1), of(k, n, 2)], 0.0);
            check(&matmul(Seat::Input), &[of(k, n, 1), of(m, n, 2)], 0.0);
            check(&matmul(Seat::Kernel), &[of(m, k, 1), of(m, n, 2)], 0.0);
        }
    }
    for (stride, dilation, groups) in [(1, 1, 1), (2, 1, 1), (1, 2, 2), (3, 1, 4)] {
        let conv = Conv {
            input: vec![9, 8],
            kernel: vec![3, 2],
            stride: vec![stride; 2],
            dilation: vec![dilation; 2],
            low: vec![1, 0],
            high: vec![1, 1],
            cin: 4,
            cout: 8,
            groups,
            precision: Precision::Exact,
        };
        for n in [0, 1, 5] {
            for solve in [Seat::Input, Seat::Kernel, Seat::Output] {
                let [a, b] = solve.others().map(|s| floats(&conv.dims(s, n), s as u32));
                check(&Op::Product { form: Form::Conv(conv.clone()), solve }, &[a, b], 0.0);
            }
        }
    }
}

#[test]
fn reductions() {
    for dims in [[4, 5, 6], [1, 300, 2], [0, 3, 2], [3, 0, 2]] {
        for axes in [vec![0], vec![1], vec![2], vec![0, 2], vec![0, 1, 2], vec![]] {
            check(&Op::Sum(axes.clone()), &[floats(&dims, 1)], 0.0);
            check(&Op::Sum(axes.clone()), &[array(Type::new(DType::I32, dims), 1)], 0.0);
            if axes.iter().all(|&a| dims[a] > 0) {
                check(&Op::Max(axes), &[floats(&dims, 1)], 0.0);
            }
        }
    }
}

#[test]
fn arrangement() {
    for n in [0, 1, 6] {
        for dtype in [DType::F32, DType::U8] {
            let x = || array(Type::new(dtype, [n, 5, 4]), 1);
            check(&Op::Broadcast { dims: vec![n, 3, 5, 2, 4], axes: vec![1, 3] }, &[x()], 0.0);
            check(&Op::Broadcast { dims: vec![2, n, 5, 4], axes: vec![0] }, &[x()], 0.0);
            check(&Op::Reshape(vec![n * 2, 10]), &[x()], 0.0);
            check(&Op::Permute(vec![2, 0, 1]), &[x()], 0.0);
            check(&Op::Permute(vec![0, 2, 1]), &[x()], 0.0);
            let slice = Op::Slice { start: vec![0, 1, 0], stop: vec![n, 5, 3], step: vec![1, 3, 2] };
            check(&slice, &[x()], 0.0);
            let pad = Op::Pad { low: vec![1, 0, 2], high: vec![0, 3, 0], interior: vec![0, 2, 1] };
            check(&pad, &[x()], 0.0);
            check(&Op::Concat(1), &[x(), array(Type::new(dtype, [n, 2, 4]), 2)], 0.0);
            check(&Op::Concat(0), &[x(), array(Type::new(dtype, [0, 5, 4]), 2), x()], 0.0);
            let index = Array::new(Type::new(DType::I32, [3]), vec![4.0, 0.0, 4.0]).unwrap();
            check(&Op::Gather { axis: 1 }, &[x(), index], 0.0);
            let each = Array::new(Type::new(DType::I32, [n, 2]), (0..2 * n).map(|i| (i % 5) as f64).collect()).unwrap();
            check(&Op::GatherEach { axis: 1 }, &[x(), each], 0.0);
            let nowhere = Array::new(Type::new(DType::I32, [0]), vec![]).unwrap();
            check(&Op::Gather { axis: 2 }, &[x(), nowhere], 0.0);
        }
        let at = Array::new(Type::new(DType::I32, [n]), (0..n).map(|i| (i % 3) as f64).collect()).unwrap();
        check(&Op::ScatterAdd { axis: 0, size: 3 }, &[floats(&[n, 5], 1), at], 0.0);
    }
}

#[test]
fn windows() {
    for stride in [1, 2, 3] {
        let w =
            Window { input: vec![7, 6], size: vec![3, 2], stride: vec![stride; 2], low: vec![1, 0], high: vec![1, 1] };
        for n in [0, 1, 4] {
            let x = floats(&[n, 7, 6, 5], 1);
            let out = w.output();
            let g = floats(&[n, out[0], out[1], 5], 2);
            check(&Op::WindowSum(w.clone()), std::slice::from_ref(&x), 0.0);
            check(&Op::WindowSpread(w.clone()), std::slice::from_ref(&g), 0.0);
            check(&Op::WindowArgMax(w.clone()), std::slice::from_ref(&x), 0.0);
            let index = apply(&Op::WindowArgMax(w.clone()), &[&x]).unwrap();
            check(&Op::WindowTake(w.clone()), &[x, index.clone()], 0.0);
            check(&Op::WindowPut(w.clone()), &[g, index], 0.0);
        }
    }
}

#[test]
fn random_numbers_and_constants() {
    let state = Array::new(Type::new(DType::I32, [2]), vec![5.0, 1.0]).unwrap();
    check(&Op::Random { dist: Dist::Uniform, dims: vec![3, 7] }, std::slice::from_ref(&state), 0.0);
    check(&Op::Random { dist: Dist::Uniform, dims: vec![0] }, std::slice::from_ref(&state), 0.0);
    // |x| < 6: logarithm, root, cosine and products within a few roundings of 2^-24 · 6 each.
    check(&Op::Random { dist: Dist::Normal, dims: vec![1001] }, &[state], 16.0 * 6.0 * 2f64.powi(-24));
    check(&Op::Const { dtype: DType::I32, bits: 7f64.to_bits() }, &[], 0.0);
}

#[test]
fn an_index_past_the_end_is_an_error() {
    let x = Tensor::from_f32(&[2], &[1.0, 2.0]).unwrap();
    for bad in [2, -1, i32::MIN, i32::MAX] {
        let index = Tensor::from_i32(&[1], &[bad]).unwrap();
        assert!(matches!(Eager.emit(Op::Gather { axis: 0 }, &[x.clone(), index]), Err(Error::Value { .. })), "{bad}");
    }
}

#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
#[test]
fn subnormals_are_zero_whoever_computes() {
    // Few elements are left to the calling thread, many are shared.
    for n in [1, 7, 1 << 18] {
        let x = Tensor::from_f32(&[n], &vec![f32::MIN_POSITIVE; n]).unwrap();
        let half = Expr::build(1, |b| {
            let (x, half) = (b.input(0), b.constant(0.5));
            b.mul(x, half)
        });
        let y = Eager.emit(Op::Map { expr: half, dtype: DType::F32 }, &[x]).unwrap();
        assert!(y.to_f32().unwrap().iter().all(|&y| y == 0.0), "{n} elements");
    }
}
