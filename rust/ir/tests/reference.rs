//! The reference against results worked out by hand.

use oxiconv_ir::reference::{Array, apply};
use oxiconv_ir::{Binary, DType, Expr, Form, Op, Seat, Type, Unary, Window};

fn array(dtype: DType, dims: &[usize], data: &[f64]) -> Array {
    Array::new(Type::new(dtype, dims), data.to_vec()).unwrap()
}

fn f(dims: &[usize], data: &[f64]) -> Array {
    array(DType::F32, dims, data)
}

#[test]
fn convolution() {
    // One channel, 3x3 by 2x2, padded by one column before: correlation, not flipped.
    let x = f(&[1, 3, 3, 1], &[1., 2., 3., 4., 5., 6., 7., 8., 9.]);
    let k = f(&[2, 2, 1, 1], &[1., 10., 100., 1000.]);
    let op = Op::conv(&x.ty, &k.ty, &[1, 2], &[1, 1], &[0, 1], &[0, 0], 1).unwrap();
    let y = apply(&op, &[&x, &k]).unwrap();
    assert_eq!(y.ty, Type::f32([1, 2, 2, 1]));
    assert_eq!(y.data, [4010., 6532., 7040., 9865.]);
}

#[test]
fn grouped_and_dilated_convolution() {
    // Two groups of one channel; the second has two filters of its own. Dilation 2 along the only axis.
    let x = f(&[1, 3, 2], &[1., 2., 3., 4., 5., 6.]);
    let k = f(&[2, 1, 4], &[1., 2., 3., 4., 10., 20., 30., 40.]);
    let op = Op::conv(&x.ty, &k.ty, &[1], &[2], &[0], &[0], 2).unwrap();
    let y = apply(&op, &[&x, &k]).unwrap();
    assert_eq!(y.data, [1. + 50., 2. + 100., 6. + 180., 8. + 240.]);
}

#[test]
fn transposed_convolution() {
    // Each y adds y·k at stride 2.
    let (y, k) = (f(&[1, 2, 1], &[1., 2.]), f(&[3, 1, 1], &[1., 10., 100.]));
    let op = Op::conv_transpose(&y.ty, &k.ty, &[5], &[2], &[1], &[0], &[0], 1).unwrap();
    assert_eq!(apply(&op, &[&k, &y]).unwrap().data, [1., 10., 102., 20., 200.]);
}

#[test]
fn matrix_product_in_each_seat() {
    let (x, k) = (f(&[2, 2], &[1., 2., 3., 4.]), f(&[2, 1], &[5., 6.]));
    let of = |solve, a: &Array, b: &Array| apply(&Op::Product { form: Form::MatMul, solve }, &[a, b]).unwrap().data;
    let y = f(&[2, 1], &of(Seat::Output, &x, &k));
    assert_eq!(y.data, [17., 39.]);
    // y kᵀ and xᵀ y.
    assert_eq!(of(Seat::Input, &k, &y), [85., 102., 195., 234.]);
    assert_eq!(of(Seat::Kernel, &x, &y), [134., 190.]);
}

#[test]
fn pooling() {
    let w = Window { input: vec![3], size: vec![2], stride: vec![1], low: vec![1], high: vec![0] };
    let x = f(&[1, 3, 1], &[-1., 7., 7.]);
    assert_eq!(apply(&Op::WindowSum(w.clone()), &[&x]).unwrap().data, [-1., 6., 14.]);
    assert_eq!(apply(&Op::WindowSpread(w.clone()), &[&x]).unwrap().data, [6., 14., 7.]);
    // Padding never wins; of equals, the first.
    let index = apply(&Op::WindowArgMax(w.clone()), &[&x]).unwrap();
    assert_eq!((index.ty.dtype, &index.data[..]), (DType::U8, &[1., 1., 0.][..]));
    assert_eq!(apply(&Op::WindowTake(w.clone()), &[&x, &index]).unwrap().data, [-1., 7., 7.]);
    assert_eq!(apply(&Op::WindowPut(w.clone()), &[&x, &index]).unwrap().data, [-1., 14., 0.]);
    let nan = f(&[1, 3, 1], &[-1., f64::NAN, 7.]);
    assert_eq!(apply(&Op::WindowArgMax(w.clone()), &[&nan]).unwrap().data, [1., 1., 0.]);
    // The first window's first entry is padding.
    let padded = array(DType::U8, &[1, 3, 1], &[0., 0., 0.]);
    let error = apply(&Op::WindowTake(w), &[&x, &padded]).unwrap_err().to_string();
    assert_eq!(error, "window_take: index 0 names no position of the window at [0, 0, 0]");
}

#[test]
fn movement() {
    let x = f(&[2, 3], &[1., 2., 3., 4., 5., 6.]);
    assert_eq!(apply(&Op::Permute(vec![1, 0]), &[&x]).unwrap().data, [1., 4., 2., 5., 3., 6.]);
    let slice = Op::Slice { start: vec![0, 0], stop: vec![2, 3], step: vec![1, 2] };
    assert_eq!(apply(&slice, &[&x]).unwrap().data, [1., 3., 4., 6.]);
    let pad = Op::Pad { low: vec![0, 1], high: vec![0, 0], interior: vec![1, 0] };
    assert_eq!(apply(&pad, &[&x]).unwrap().data, [0., 1., 2., 3., 0., 0., 0., 0., 0., 4., 5., 6.]);
    assert_eq!(apply(&Op::Concat(1), &[&x, &x]).unwrap().data, [1., 2., 3., 1., 2., 3., 4., 5., 6., 4., 5., 6.]);
    let broadcast = Op::Broadcast { dims: vec![2, 2, 3], axes: vec![1] };
    assert_eq!(apply(&broadcast, &[&x]).unwrap().data, [1., 2., 3., 1., 2., 3., 4., 5., 6., 4., 5., 6.]);
    assert_eq!(apply(&Op::Max(vec![0]), &[&x]).unwrap().data, [4., 5., 6.]);
    let ties = f(&[2, 4], &[2., 1., 2., 1., f64::NAN, 0., f64::INFINITY, -1.]);
    assert_eq!(apply(&Op::ArgSort, &[&ties]).unwrap().data, [1., 3., 0., 2., 3., 1., 2., 0.]);
    let at = array(DType::I32, &[2], &[2., 0.]);
    assert_eq!(apply(&Op::Gather { axis: 1 }, &[&x, &at]).unwrap().data, [3., 1., 6., 4.]);
    let twice = array(DType::I32, &[2], &[1., 1.]);
    assert_eq!(
        apply(&Op::ScatterAdd { axis: 0, size: 3 }, &[&x, &twice]).unwrap().data,
        [0., 0., 0., 5., 7., 9., 0., 0., 0.]
    );
    let beyond = array(DType::I32, &[1], &[3.]);
    let error = apply(&Op::Gather { axis: 1 }, &[&x, &beyond]).unwrap_err().to_string();
    assert_eq!(error, "gather: index 3 is out of range for axis 1 of size 3");
}

#[test]
fn conversions_and_integers() {
    let x = f(&[6], &[-1.7, 2.9, 300.0, 3e10, f64::NAN, 0.0]);
    let cast = |x: &Array, dtype| apply(&Op::Cast(dtype), &[x]).unwrap().data;
    assert_eq!(cast(&x, DType::I32), [-1., 2., 300., 2147483647., 0., 0.]);
    assert_eq!(cast(&x, DType::U8), [0., 2., 255., 255., 0., 0.]);
    assert_eq!(cast(&x, DType::Bool), [1., 1., 1., 1., 1., 0.]);
    let i = array(DType::I32, &[2], &[-1., 300.]);
    assert_eq!(cast(&i, DType::U8), [255., 44.]);
    // int32 wraps, in maps and in sums.
    let big = array(DType::I32, &[2], &[2147483647., 1.]);
    assert_eq!(apply(&Op::Sum(vec![0]), &[&big]).unwrap().data, [-2147483648.]);
    let map = |expr, dtype| Op::Map { expr, dtype };
    assert_eq!(apply(&map(Expr::binary(Binary::Add), DType::I32), &[&big, &i]).unwrap().data, [2147483646., 301.]);
    assert_eq!(apply(&map(Expr::binary(Binary::Mul), DType::I32), &[&big, &big]).unwrap().data, [1., 1.]);
    // A float result of integers is float arithmetic.
    assert_eq!(apply(&map(Expr::binary(Binary::Div), DType::F32), &[&i, &i]).unwrap().data, [1., 1.]);
    assert_eq!(
        apply(&map(Expr::unary(Unary::Neg), DType::U8), &[&array(DType::U8, &[1], &[1.])]).unwrap().data,
        [255.]
    );
}
