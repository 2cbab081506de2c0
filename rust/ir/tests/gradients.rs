//! Every op's gradient rule, and the gradient of the gradient, against central differences in `f64` through the
//! reference.

use oxiconv_ir::op::Dist;
use oxiconv_ir::reference::{Array, run};
use oxiconv_ir::{
    Binary, Compose, Conv, DType, Emit, Expr, Form, Graph, NodeId, Op, Precision, Record, Result, Seat, Type, Unary,
    Window, pullback,
};

/// Numbers in (-1, 1), no two closer than 1e-3 among the first 1900, so that no maximum changes hands within a
/// difference's reach: multiples of an irrational, modulo 2.
fn values(len: usize, seed: usize) -> Vec<f64> {
    const GOLDEN: f64 = 1.618033988749895;
    (0..len).map(|i| ((i + seed * 211 + 1) as f64 * GOLDEN) % 2.0 - 1.0).collect()
}

fn array(ty: &Type, seed: usize) -> Array {
    Array::new(ty.clone(), values(ty.len(), seed)).unwrap()
}

/// Sum of a node's elements.
fn total(graph: &mut Graph, x: NodeId) -> Result<NodeId> {
    let rank = graph.ty(&x).rank();
    graph.emit(Op::Sum((0..rank).collect()), &[x])
}

/// Checks `d scalar / d source` for every element of every source, where `given` are the nodes claimed to hold it.
fn assert_derivatives(graph: &Graph, args: &[Array], scalar: NodeId, sources: &[usize], given: &[Option<NodeId>]) {
    let value = |args: &[Array]| run(graph, args, &[scalar]).unwrap()[0].data[0];
    for (&source, given) in sources.iter().zip(given) {
        let claimed = match given {
            Some(node) => run(graph, args, &[*node]).unwrap().remove(0),
            None => Array::zeros(args[source].ty.clone()),
        };
        assert_eq!(claimed.ty, args[source].ty, "type of the gradient");
        for i in 0..claimed.data.len() {
            let h = 1e-4;
            let f = |k: f64| {
                let mut moved = args.to_vec();
                moved[source].data[i] += k * h;
                value(&moved)
            };
            let expected = (8.0 * (f(1.0) - f(-1.0)) - (f(2.0) - f(-2.0))) / (12.0 * h);
            // Order 4: h⁴ = 1e-16 of truncation, 1e-16 / h = 1e-12 of rounding, both times sums of a few hundred terms.
            let bound = 1e-9 * (1.0 + expected.abs());
            let claimed = claimed.data[i];
            assert!(
                (claimed - expected).abs() < bound,
                "argument {source}, element {i}: {claimed}, differences give {expected}\n{graph}"
            );
        }
    }
}

/// Checks first and second derivatives of `build` with respect to its float arguments, contracted with random
/// cotangents. Arguments are random but for those given in `fixed`, as integer ones must be.
fn check(types: &[Type], fixed: &[(usize, Vec<f64>)], build: impl Fn(&mut Graph, &[NodeId]) -> Result<NodeId>) {
    let mut graph = Graph::new();
    let mut args: Vec<Array> = types.iter().enumerate().map(|(i, ty)| array(ty, i)).collect();
    for (i, data) in fixed {
        args[*i] = Array::new(types[*i].clone(), data.clone()).unwrap();
    }
    let inputs: Vec<NodeId> = types.iter().enumerate().map(|(i, ty)| graph.arg(i, ty.clone()).unwrap()).collect();
    let out = build(&mut graph, &inputs).unwrap();
    let mut add_arg = |graph: &mut Graph, ty: &Type| {
        args.push(array(ty, args.len()));
        graph.arg(args.len() - 1, ty.clone()).unwrap()
    };
    let ty = graph.ty(&out);
    let cotangent = add_arg(&mut graph, &ty);
    let weighted = graph.mul(&out, &cotangent).unwrap();
    let first = total(&mut graph, weighted).unwrap();
    let sources: Vec<usize> = (0..types.len()).filter(|&i| types[i].dtype == DType::F32).collect();
    let source_ids: Vec<NodeId> = sources.iter().map(|&i| inputs[i]).collect();
    let gradients = graph.grad_from(&[(out, cotangent)], &source_ids).unwrap();

    // Σ gradient · random, whose gradient with respect to everything is the second derivative.
    let mut second = None;
    for gradient in gradients.iter().flatten() {
        let ty = graph.ty(gradient);
        let direction = add_arg(&mut graph, &ty);
        let product = graph.mul(gradient, &direction).unwrap();
        let sum = total(&mut graph, product).unwrap();
        second = Some(match second {
            Some(so_far) => graph.add(&so_far, &sum).unwrap(),
            None => sum,
        });
    }
    assert_derivatives(&graph, &args, first, &sources, &gradients);
    if let Some(second) = second {
        let all = [source_ids, vec![cotangent]].concat();
        let again = graph.grad(second, &all).unwrap();
        let sources = [sources, vec![types.len()]].concat();
        assert_derivatives(&graph, &args, second, &sources, &again);
    }
}

/// [`check`] for one op.
fn check_op(op: &Op, types: &[Type], fixed: &[(usize, Vec<f64>)]) {
    check(types, fixed, |graph, args| graph.emit(op.clone(), args));
}

fn f(dims: &[usize]) -> Type {
    Type::f32(dims)
}

fn conv(rank: usize, f: impl FnOnce(&mut Conv)) -> Conv {
    let mut conv = Conv {
        input: [5, 4, 3][..rank].to_vec(),
        kernel: [3, 2, 2][..rank].to_vec(),
        stride: vec![1; rank],
        dilation: vec![1; rank],
        low: vec![0; rank],
        high: vec![0; rank],
        cin: 2,
        cout: 3,
        groups: 1,
        precision: Precision::Fast,
    };
    f(&mut conv);
    conv
}

#[test]
fn convolutions_in_every_seat() {
    let convs = [
        conv(1, |_| ()),
        conv(1, |c| (c.stride, c.low, c.high) = (vec![2], vec![2], vec![1])),
        // Stride 3 leaves input positions that no window reaches.
        conv(1, |c| (c.stride, c.kernel) = (vec![3], vec![1])),
        conv(2, |_| ()),
        conv(2, |c| (c.stride, c.low, c.high) = (vec![2, 1], vec![1, 0], vec![1, 1])),
        conv(2, |c| (c.dilation, c.low, c.input) = (vec![2, 3], vec![0, 2], vec![6, 5])),
        conv(2, |c| (c.groups, c.cin, c.cout) = (2, 4, 6)),
        conv(2, |c| (c.groups, c.cin, c.cout, c.stride) = (3, 3, 6, vec![1, 2])),
        conv(3, |c| (c.low, c.stride) = (vec![1, 0, 0], vec![2, 2, 1])),
    ];
    for c in convs {
        for solve in [Seat::Output, Seat::Input, Seat::Kernel] {
            let types = solve.others().map(|seat| f(&c.dims(seat, 2)));
            check_op(&Op::Product { form: Form::Conv(c.clone()), solve }, &types, &[]);
        }
    }
}

#[test]
fn matrix_products_in_every_seat() {
    for lead in [vec![], vec![3], vec![2, 2]] {
        let with = |r: usize, c: usize| f(&[&lead[..], &[r, c]].concat());
        let (x, k, y) = (with(3, 4), with(4, 2), with(3, 2));
        for (solve, types) in [(Seat::Output, [&x, &k]), (Seat::Input, [&k, &y]), (Seat::Kernel, [&x, &y])] {
            check_op(&Op::Product { form: Form::MatMul, solve }, &types.map(Type::clone), &[]);
        }
    }
}

#[test]
fn convolution_builders() {
    let (x, k) = (f(&[2, 6, 5, 4]), f(&[3, 3, 2, 6]));
    let op = Op::conv(&x, &k, &[2, 1], &[1, 1], &[1, 1], &[0, 1], 2).unwrap();
    assert_eq!(op.infer(&[x.clone(), k.clone()]).unwrap(), f(&[2, 3, 5, 6]));
    check_op(&op, &[x, k.clone()], &[]);
    let y = f(&[2, 3, 5, 6]);
    let back = Op::conv_transpose(&y, &k, &[6, 5], &[2, 1], &[1, 1], &[1, 1], &[0, 1], 2).unwrap();
    assert_eq!(back.infer(&[k.clone(), y.clone()]).unwrap(), f(&[2, 6, 5, 4]));
    check_op(&back, &[k, y], &[]);
}

#[test]
fn reductions_and_movement() {
    let x = [f(&[3, 4, 2])];
    for axes in [vec![], vec![0], vec![1], vec![0, 2], vec![0, 1, 2]] {
        check_op(&Op::Sum(axes.clone()), &x, &[]);
        check_op(&Op::Max(axes), &x, &[]);
    }
    for (dims, axes) in [(vec![3, 4, 2], vec![]), (vec![3, 2, 4, 2], vec![1]), (vec![2, 3, 4, 2, 3], vec![0, 4])] {
        check_op(&Op::Broadcast { dims, axes }, &x, &[]);
    }
    check_op(&Op::Reshape(vec![6, 4]), &x, &[]);
    check_op(&Op::Permute(vec![2, 0, 1]), &x, &[]);
    check_op(&Op::Concat(1), &[f(&[3, 4, 2]), f(&[3, 1, 2]), f(&[3, 2, 2])], &[]);
    check_op(&Op::Cast(DType::F32), &x, &[]);
}

#[test]
fn detached_values_have_no_gradient() {
    let mut graph = Graph::new();
    let x = graph.arg(0, f(&[3])).unwrap();
    let still = graph.emit(Op::Detach, &[x]).unwrap();
    assert_eq!(graph.grad(still, &[x]).unwrap(), [None]);
    // The product's other use of x has one, and it is the detached value.
    let y = graph.mul(&still, &x).unwrap();
    let ones = graph.full(1.0, &f(&[3])).unwrap();
    let d = graph.grad_from(&[(y, ones)], &[x]).unwrap()[0].unwrap();
    let at = array(&f(&[3]), 0);
    assert_eq!(run(&graph, std::slice::from_ref(&at), &[d]).unwrap()[0].data, at.data);
}

#[test]
#[should_panic(expected = "differences give")]
fn the_check_sees_a_wrong_gradient() {
    // Detach claims a zero gradient of something that varies.
    check_op(&Op::Detach, &[f(&[3])], &[]);
}

#[test]
fn slices_and_padding() {
    // Uneven steps (the last one falls short of the end), empty slices, every axis different.
    for (start, stop, step) in [
        (vec![0, 0], vec![7, 5], vec![1, 1]),
        (vec![1, 0], vec![6, 5], vec![2, 3]),
        (vec![0, 2], vec![7, 4], vec![4, 1]),
        (vec![3, 0], vec![3, 5], vec![2, 1]),
    ] {
        check_op(&Op::Slice { start, stop, step }, &[f(&[7, 5])], &[]);
    }
    for (low, high, interior) in [
        (vec![1, 0], vec![0, 2], vec![0, 0]),
        (vec![0, 2], vec![3, 0], vec![2, 1]),
        (vec![0, 0], vec![0, 0], vec![1, 0]),
    ] {
        check_op(&Op::Pad { low: low.clone(), high: high.clone(), interior: interior.clone() }, &[f(&[3, 2])], &[]);
        check_op(&Op::Pad { low, high, interior }, &[f(&[1, 2])], &[]);
    }
}

fn windows() -> Vec<Window> {
    let window = |input: &[usize], size: &[usize], stride: &[usize], low: &[usize], high: &[usize]| Window {
        input: input.to_vec(),
        size: size.to_vec(),
        stride: stride.to_vec(),
        low: low.to_vec(),
        high: high.to_vec(),
    };
    vec![
        window(&[6], &[2], &[2], &[0], &[0]),
        window(&[6, 5], &[3, 2], &[2, 1], &[1, 0], &[2, 1]),
        window(&[5, 5], &[2, 2], &[3, 2], &[0, 0], &[0, 0]),
        window(&[3, 4, 3], &[2, 2, 2], &[1, 2, 1], &[0, 1, 0], &[1, 0, 0]),
    ]
}

#[test]
fn pooling() {
    for w in windows() {
        let x = f(&[&[2], &w.input[..], &[2]].concat());
        let y = f(&[&[2], &w.output()[..], &[2]].concat());
        check_op(&Op::WindowSum(w.clone()), std::slice::from_ref(&x), &[]);
        check_op(&Op::WindowSpread(w.clone()), std::slice::from_ref(&y), &[]);
        let max_pool = |graph: &mut Graph, args: &[NodeId]| {
            let index = graph.emit(Op::WindowArgMax(w.clone()), &args[..1])?;
            graph.emit(Op::WindowTake(w.clone()), &[args[0], index])
        };
        check(std::slice::from_ref(&x), &[], max_pool);
        check(&[x.clone(), y.clone()], &[], |graph, args| {
            let index = graph.emit(Op::WindowArgMax(w.clone()), &args[..1])?;
            graph.emit(Op::WindowPut(w.clone()), &[args[1], index])
        });
    }
}

#[test]
fn indexing() {
    let index = |dims: &[usize]| Type::new(DType::I32, dims);
    // Repeated indices add up; one index is never named.
    let at = vec![3.0, 0.0, 3.0, 1.0];
    for axis in 0..3 {
        let x = f(&[4, 4, 4]);
        check_op(&Op::Gather { axis }, &[x.clone(), index(&[4])], &[(1, at.clone())]);
        check_op(&Op::ScatterAdd { axis, size: 5 }, &[x.clone(), index(&[4])], &[(1, at.clone())]);
        check_op(&Op::Gather { axis }, &[x, index(&[2, 2])], &[(1, at.clone())]);
    }
    let each = vec![3.0, 0.0, 3.0, 1.0, 2.0, 2.0];
    check_op(&Op::GatherEach { axis: 2 }, &[f(&[2, 3, 4]), index(&[2, 3])], &[(1, each.clone())]);
    check_op(&Op::ScatterEach { axis: 1, size: 5 }, &[f(&[2, 3, 2]), index(&[2, 3])], &[(1, each)]);
    check_op(&Op::ScatterAdd { axis: 1, size: 5 }, &[f(&[2, 2, 2, 3]), index(&[2, 2])], &[(1, at)]);
    check_op(&Op::Gather { axis: 0 }, &[f(&[4, 2]), index(&[])], &[(1, vec![2.0])]);
}

#[test]
fn elementwise() {
    let (x, y) = (f(&[2, 3]), f(&[2, 3]));
    let map = |expr: Expr| Op::Map { expr, dtype: DType::F32 };
    for op in [Unary::Exp, Unary::Tanh, Unary::Sigmoid, Unary::Erf, Unary::Sin, Unary::Expm1, Unary::Abs, Unary::Neg] {
        check_op(&map(Expr::unary(op)), std::slice::from_ref(&x), &[]);
    }
    for op in [Binary::Add, Binary::Mul, Binary::Div, Binary::Max, Binary::Min, Binary::Atan2, Binary::Lt] {
        // Away from division by zero and from angles at the origin, whose high derivatives have no bound.
        let second = values(6, 1).iter().map(|v| v + 2.0).collect();
        check_op(&map(Expr::binary(op)), &[x.clone(), y.clone()], &[(1, second)]);
    }
    // Which is the larger varies here.
    check_op(&map(Expr::binary(Binary::Max)), &[x.clone(), y.clone()], &[]);
    // Swish of a sum, and a value used twice.
    check(&[x.clone(), y.clone()], &[], |graph, args| {
        let sum = graph.add(&args[0], &args[1])?;
        let gate = graph.unary(Unary::Sigmoid, &sum)?;
        let swish = graph.mul(&sum, &gate)?;
        graph.mul(&swish, &args[0])
    });
    // Mixed element types: a truth value chooses.
    let mask = Type::new(DType::Bool, [2, 3]);
    check_op(&map(Expr::select()), &[mask, x, y], &[(0, vec![1.0, 0.0, 0.0, 1.0, 1.0, 0.0])]);
}

#[test]
fn a_small_network_twice() {
    // conv -> bias -> tanh -> mean pool -> dense -> log-softmax-like: rules composed, first and second order.
    let types = [f(&[2, 5, 5, 2]), f(&[3, 3, 2, 3]), f(&[3]), f(&[3, 2])];
    check(&types, &[], |graph, args| {
        let op = Op::conv(&types[0], &types[1], &[2, 2], &[1, 1], &[1, 1], &[1, 1], 1)?;
        let y = graph.emit(op, &args[..2])?;
        let bias = graph.emit(Op::Broadcast { dims: vec![2, 3, 3, 3], axes: vec![0, 1, 2] }, &args[2..3])?;
        let y = graph.add(&y, &bias)?;
        let y = graph.unary(Unary::Tanh, &y)?;
        let pooled = graph.emit(Op::Sum(vec![1, 2]), &[y])?;
        let logits = graph.emit(Op::Product { form: Form::MatMul, solve: Seat::Output }, &[pooled, args[3]])?;
        let e = graph.unary(Unary::Exp, &logits)?;
        let sum = graph.emit(Op::Sum(vec![1]), &[e])?;
        graph.unary(Unary::Log, &sum)
    });
}

#[test]
fn ties_share_a_reduced_maximum() {
    let mut graph = Graph::new();
    let x = graph.arg(0, f(&[4])).unwrap();
    let best = graph.emit(Op::Max(vec![0]), &[x]).unwrap();
    let d = graph.grad(best, &[x]).unwrap()[0].unwrap();
    let x = Array::new(f(&[4]), vec![1.0, 3.0, 0.0, 3.0]).unwrap();
    assert_eq!(run(&graph, &[x], &[d]).unwrap()[0].data, [0.0, 0.5, 0.0, 0.5]);
}

#[test]
fn only_paths_from_sources_are_walked() {
    let mut graph = Graph::new();
    let (x, k) = (graph.arg(0, f(&[4, 3])).unwrap(), graph.arg(1, f(&[3, 2])).unwrap());
    let y = graph.emit(Op::Product { form: Form::MatMul, solve: Seat::Output }, &[x, k]).unwrap();
    let loss = total(&mut graph, y).unwrap();
    let apart = graph.arg(2, f(&[])).unwrap();
    let before = graph.nodes().len();
    let gradients = graph.grad(loss, &[k, apart]).unwrap();
    assert!(gradients[0].is_some());
    assert_eq!(gradients[1], None);
    // Ones, their broadcast, and one product: none for the gradient of x.
    let products = graph.nodes()[before..].iter().filter(|n| matches!(n.op, Op::Product { .. })).count();
    assert_eq!(products, 1, "{graph}");
}

#[test]
fn integers_and_steps_have_no_gradient() {
    let mut graph = Graph::new();
    let x = graph.arg(0, f(&[3])).unwrap();
    let rounded = graph.unary(Unary::Round, &x).unwrap();
    let whole = graph.emit(Op::Cast(DType::I32), &[x]).unwrap();
    let float = graph.emit(Op::Cast(DType::F32), &[whole]).unwrap();
    let state = graph.arg(1, Type::new(DType::I32, [2])).unwrap();
    let noise = graph.emit(Op::Random { dist: Dist::Normal, dims: vec![3] }, &[state]).unwrap();
    for y in [rounded, float, noise] {
        assert_eq!(graph.grad(y, &[x]).unwrap(), [None], "{graph}");
    }
    let error = graph.grad(whole, &[x]).unwrap_err().to_string();
    assert_eq!(error, "gradient: expected a floating target, got int32[3]");
}

#[test]
fn the_walk_serves_a_tape() {
    // Two uses of one value, a source that is itself a result, and a seed of the wrong sizes.
    let mut graph = Graph::new();
    let x = graph.arg(0, f(&[2])).unwrap();
    let mut tape = vec![];
    let mut apply = |graph: &mut Graph, op: Op, args: &[NodeId]| {
        let out = graph.emit(op.clone(), args).unwrap();
        tape.push(Record { op, args: args.to_vec(), out });
        out
    };
    let map = |expr| Op::Map { expr, dtype: DType::F32 };
    let e = apply(&mut graph, map(Expr::unary(Unary::Exp)), &[x]);
    let y = apply(&mut graph, map(Expr::binary(Binary::Mul)), &[e, x]);
    let ones = graph.full(1.0, &f(&[2])).unwrap();
    let found = pullback(&mut graph, &tape, &[(y, ones)], &[x, e]).unwrap();
    let at = Array::new(f(&[2]), vec![0.5, -1.0]).unwrap();
    let found: Vec<NodeId> = found.into_iter().flatten().collect();
    let values = run(&graph, std::slice::from_ref(&at), &found).unwrap();
    for i in 0..2 {
        let x = at.data[i];
        // (x eˣ)' = (1 + x) eˣ, to two roundings; and d(e · x)/de = x exactly.
        assert!((values[0].data[i] - (1.0 + x) * x.exp()).abs() < 1e-15);
        assert_eq!(values[1].data[i], x);
    }
    let wrong = graph.full(1.0, &f(&[3])).unwrap();
    let error = pullback(&mut graph, &tape, &[(y, wrong)], &[x]).unwrap_err().to_string();
    assert_eq!(error, "gradient: expected a cotangent of type float32[2], got float32[3]");
}
