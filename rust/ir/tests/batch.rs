//! `Op::batch` against its meaning: the two halves of a batch, computed apart, give the whole.

use oxiconv_ir::reference::{Array, apply};
use oxiconv_ir::{Batch, Binary, Conv, DType, Expr, Form, Op, Precision, Seat, Type, Window};

/// An op for any number of samples, and its arguments: their sizes, and whether they carry the batch.
struct Case {
    expected: Batch,
    op: fn(usize) -> Op,
    args: fn(usize) -> Vec<(Type, bool)>,
}

fn f(dims: &[usize]) -> Type {
    Type::f32(dims)
}

fn i(dims: &[usize]) -> Type {
    Type::new(DType::I32, dims)
}

fn window() -> Window {
    Window { input: vec![4], size: vec![2], stride: vec![1], low: vec![1], high: vec![0] }
}

fn conv(solve: Seat) -> Op {
    let form = Form::Conv(Conv {
        input: vec![5],
        kernel: vec![3],
        stride: vec![2],
        dilation: vec![1],
        low: vec![1],
        high: vec![1],
        cin: 2,
        cout: 3,
        groups: 1,
        precision: Precision::Fast,
    });
    Op::Product { form, solve }
}

fn matmul(solve: Seat) -> Op {
    Op::Product { form: Form::MatMul, solve }
}

fn map() -> Op {
    Op::Map { expr: Expr::binary(Binary::Mul), dtype: DType::F32 }
}

const CASES: &[Case] = &[
    Case { expected: Batch::Each, op: |_| map(), args: |n| vec![(f(&[n, 3]), true), (f(&[n, 3]), true)] },
    Case { expected: Batch::Each, op: |_| Op::Cast(DType::I32), args: |n| vec![(f(&[n, 3]), true)] },
    Case { expected: Batch::Each, op: |_| Op::Detach, args: |n| vec![(f(&[n, 3]), true)] },
    Case {
        expected: Batch::Each,
        op: |_| conv(Seat::Output),
        args: |n| vec![(f(&[n, 5, 2]), true), (f(&[3, 2, 3]), false)],
    },
    Case {
        expected: Batch::Each,
        op: |_| conv(Seat::Input),
        args: |n| vec![(f(&[3, 2, 3]), false), (f(&[n, 3, 3]), true)],
    },
    Case {
        expected: Batch::Sum,
        op: |_| conv(Seat::Kernel),
        args: |n| vec![(f(&[n, 5, 2]), true), (f(&[n, 3, 3]), true)],
    },
    Case {
        expected: Batch::Whole,
        op: |_| conv(Seat::Output),
        args: |n| vec![(f(&[2, 5, 2]), false), (f(&[n, 2, 3]), true)],
    },
    // Three rows per sample.
    Case {
        expected: Batch::Each,
        op: |_| matmul(Seat::Output),
        args: |n| vec![(f(&[3 * n, 5]), true), (f(&[5, 2]), false)],
    },
    Case {
        expected: Batch::Each,
        op: |_| matmul(Seat::Input),
        args: |n| vec![(f(&[5, 2]), false), (f(&[n, 2]), true)],
    },
    Case {
        expected: Batch::Sum,
        op: |_| matmul(Seat::Kernel),
        args: |n| vec![(f(&[3 * n, 5]), true), (f(&[3 * n, 2]), true)],
    },
    Case {
        expected: Batch::Whole,
        op: |_| matmul(Seat::Output),
        args: |n| vec![(f(&[4, n]), false), (f(&[n, 2]), true)],
    },
    Case {
        expected: Batch::Each,
        op: |_| matmul(Seat::Output),
        args: |n| vec![(f(&[n, 4, 5]), true), (f(&[n, 5, 2]), true)],
    },
    Case {
        expected: Batch::Each,
        op: |_| matmul(Seat::Kernel),
        args: |n| vec![(f(&[n, 4, 5]), true), (f(&[n, 4, 2]), true)],
    },
    Case { expected: Batch::Each, op: |_| Op::Sum(vec![1]), args: |n| vec![(f(&[n, 3]), true)] },
    Case { expected: Batch::Sum, op: |_| Op::Sum(vec![0]), args: |n| vec![(f(&[n, 3]), true)] },
    Case { expected: Batch::Sum, op: |_| Op::Sum(vec![0, 1]), args: |n| vec![(i(&[n, 3]), true)] },
    Case { expected: Batch::Each, op: |_| Op::Max(vec![1]), args: |n| vec![(f(&[n, 3]), true)] },
    Case { expected: Batch::Whole, op: |_| Op::Max(vec![0]), args: |n| vec![(f(&[n, 3]), true)] },
    Case {
        expected: Batch::Each,
        op: |n| Op::Broadcast { dims: vec![n, 3], axes: vec![0] },
        args: |_| vec![(f(&[3]), false)],
    },
    Case {
        expected: Batch::Each,
        op: |n| Op::Broadcast { dims: vec![n, 4, 3], axes: vec![1] },
        args: |n| vec![(f(&[n, 3]), true)],
    },
    Case {
        expected: Batch::Whole,
        op: |n| Op::Broadcast { dims: vec![2, n, 3], axes: vec![0] },
        args: |n| vec![(f(&[n, 3]), true)],
    },
    Case { expected: Batch::Each, op: |n| Op::Reshape(vec![n * 6]), args: |n| vec![(f(&[n, 2, 3]), true)] },
    Case { expected: Batch::Each, op: |n| Op::Reshape(vec![n, 2, 3]), args: |n| vec![(f(&[2 * n, 3]), true)] },
    Case { expected: Batch::Whole, op: |n| Op::Reshape(vec![1, n, 6]), args: |n| vec![(f(&[n, 2, 3]), true)] },
    Case { expected: Batch::Each, op: |_| Op::Permute(vec![0, 2, 1]), args: |n| vec![(f(&[n, 2, 3]), true)] },
    Case { expected: Batch::Whole, op: |_| Op::Permute(vec![1, 0]), args: |n| vec![(f(&[n, 3]), true)] },
    Case {
        expected: Batch::Each,
        op: |n| Op::Slice { start: vec![0, 1], stop: vec![n, 5], step: vec![1, 2] },
        args: |n| vec![(f(&[n, 5]), true)],
    },
    Case {
        expected: Batch::Whole,
        op: |n| Op::Slice { start: vec![0, 1], stop: vec![n, 5], step: vec![2, 2] },
        args: |n| vec![(f(&[n, 5]), true)],
    },
    Case {
        expected: Batch::Each,
        op: |_| Op::Pad { low: vec![0, 1], high: vec![0, 2], interior: vec![0, 1] },
        args: |n| vec![(f(&[n, 3]), true)],
    },
    Case {
        expected: Batch::Whole,
        op: |_| Op::Pad { low: vec![1, 0], high: vec![0, 0], interior: vec![0, 0] },
        args: |n| vec![(f(&[n, 3]), true)],
    },
    Case { expected: Batch::Each, op: |_| Op::Concat(1), args: |n| vec![(f(&[n, 3]), true), (f(&[n, 2]), true)] },
    Case { expected: Batch::Whole, op: |_| Op::Concat(0), args: |n| vec![(f(&[n, 3]), true), (f(&[n, 3]), true)] },
    Case { expected: Batch::Each, op: |_| Op::ArgSort, args: |n| vec![(f(&[n, 5]), true)] },
    Case { expected: Batch::Whole, op: |_| Op::ArgSort, args: |n| vec![(f(&[n]), true)] },
    Case { expected: Batch::Each, op: |_| Op::WindowSum(window()), args: |n| vec![(f(&[n, 4, 2]), true)] },
    Case { expected: Batch::Each, op: |_| Op::WindowSpread(window()), args: |n| vec![(f(&[n, 4, 2]), true)] },
    Case { expected: Batch::Each, op: |_| Op::WindowArgMax(window()), args: |n| vec![(f(&[n, 4, 2]), true)] },
    Case {
        expected: Batch::Each,
        op: |_| Op::Gather { axis: 1 },
        args: |n| vec![(f(&[n, 6, 2]), true), (i(&[4]), false)],
    },
    Case {
        expected: Batch::Each,
        op: |_| Op::Gather { axis: 0 },
        args: |n| vec![(f(&[6, 2]), false), (i(&[n, 3]), true)],
    },
    Case {
        expected: Batch::Whole,
        op: |_| Op::Gather { axis: 0 },
        args: |n| vec![(f(&[n, 2]), true), (i(&[3]), false)],
    },
    Case {
        expected: Batch::Each,
        op: |_| Op::ScatterAdd { axis: 1, size: 7 },
        args: |n| vec![(f(&[n, 4, 2]), true), (i(&[4]), false)],
    },
    Case {
        expected: Batch::Sum,
        op: |_| Op::ScatterAdd { axis: 0, size: 7 },
        args: |n| vec![(f(&[n, 3, 2]), true), (i(&[n, 3]), true)],
    },
    Case {
        expected: Batch::Each,
        op: |_| Op::GatherEach { axis: 2 },
        args: |n| vec![(f(&[n, 2, 6, 3]), true), (i(&[n, 4]), true)],
    },
    Case {
        expected: Batch::Each,
        op: |_| Op::ScatterEach { axis: 1, size: 7 },
        args: |n| vec![(f(&[n, 4, 2]), true), (i(&[n, 4]), true)],
    },
    Case {
        expected: Batch::Whole,
        op: |_| Op::ScatterAdd { axis: 0, size: 7 },
        args: |n| vec![(f(&[n, 2]), true), (i(&[]), false)],
    },
];

/// Small whole numbers, so that sums in any order are equal; indices stay below 6.
fn array(ty: &Type, seed: usize) -> Array {
    let data = (0..ty.len()).map(|k| ((k * 7 + seed * 3 + k / 5) % 6) as f64).collect();
    Array::new(ty.clone(), data).unwrap()
}

/// Part of an array along axis 0: what `ty` holds, from the element `start` on.
fn part(x: &Array, ty: &Type, start: usize) -> Array {
    Array::new(ty.clone(), x.data[start..start + ty.len()].to_vec()).unwrap()
}

#[test]
fn halves_make_the_whole() {
    const N: usize = 4;
    for (number, case) in CASES.iter().enumerate() {
        let (op, args) = ((case.op)(N), (case.args)(N));
        let (types, batched): (Vec<Type>, Vec<bool>) = args.into_iter().unzip();
        assert_eq!(op.batch(N, &batched, &types), case.expected, "case {number}: {op}");
        if case.expected == Batch::Whole {
            continue;
        }
        let full: Vec<Array> = types.iter().enumerate().map(|(i, ty)| array(ty, i)).collect();
        let whole = apply(&op, &full.iter().collect::<Vec<_>>()).unwrap();
        let halves: Vec<Array> = (0..2)
            .map(|half| {
                let args: Vec<Array> = (case.args)(N / 2)
                    .iter()
                    .zip(&full)
                    .map(|((ty, batched), x)| part(x, ty, if *batched { half * ty.len() } else { 0 }))
                    .collect();
                apply(&(case.op)(N / 2), &args.iter().collect::<Vec<_>>()).unwrap()
            })
            .collect();
        let joined: Vec<f64> = if case.expected == Batch::Each {
            [&halves[0].data[..], &halves[1].data].concat()
        } else {
            halves[0].data.iter().zip(&halves[1].data).map(|(a, b)| a + b).collect()
        };
        assert_eq!(joined, whole.data, "case {number}: {op}");
    }
}
