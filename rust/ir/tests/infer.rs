//! What does not fit is said: op, expected, given.

use oxiconv_ir::op::Dist;
use oxiconv_ir::{
    Binary, Conv, DType, Emit, Error, Expr, Form, Graph, NodeId, Op, Precision, Seat, Type, Unary, Window,
};

fn f(dims: &[usize]) -> Type {
    Type::f32(dims)
}

fn i(dims: &[usize]) -> Type {
    Type::new(DType::I32, dims)
}

fn conv() -> Conv {
    Conv {
        input: vec![8, 8],
        kernel: vec![3, 3],
        stride: vec![1, 1],
        dilation: vec![1, 1],
        low: vec![0, 0],
        high: vec![0, 0],
        cin: 4,
        cout: 6,
        groups: 2,
        precision: Precision::Fast,
    }
}

fn product(form: Form, solve: Seat) -> Op {
    Op::Product { form, solve }
}

fn window(size: usize) -> Window {
    Window { input: vec![4], size: vec![size], stride: vec![1], low: vec![1], high: vec![0] }
}

#[test]
fn messages() {
    let unary = |op, dtype| Op::Map { expr: Expr::unary(op), dtype };
    let slice =
        |start: usize, stop: usize, step: usize| Op::Slice { start: vec![start], stop: vec![stop], step: vec![step] };
    let cases: Vec<(Op, Vec<Type>, &str)> = vec![
        (Op::Sum(vec![0]), vec![], "sum: expected 1 argument, got 0"),
        (Op::Concat(0), vec![], "concat: expected at least 1 argument, got 0"),
        (
            Op::Random { dist: Dist::Uniform, dims: vec![3] },
            vec![i(&[3])],
            "random: expected a state int32[2], got int32[3]",
        ),
        (
            Op::Map { expr: Expr::binary(Binary::Add), dtype: DType::F32 },
            vec![f(&[2, 3]), f(&[3])],
            "map: expected arguments of equal sizes (`in0 + in1`), got float32[2, 3], float32[3]",
        ),
        (
            unary(Unary::Exp, DType::I32),
            vec![i(&[2])],
            "map: expected a float32 argument or result for `exp(in0)`, got int32[2] -> int32",
        ),
        (
            Op::Map { expr: Expr::constant(0, 1.0), dtype: DType::F32 },
            vec![],
            "map: expected at least 1 argument, got 0",
        ),
        (
            Op::Sum(vec![0]),
            vec![Type::new(DType::Bool, [3])],
            "sum: expected float32, int32 or int64 (cast first), got bool[3]",
        ),
        (Op::Sum(vec![1, 0]), vec![f(&[2, 2])], "sum: expected distinct ascending axes below 2, got [1, 0]"),
        (Op::Sum(vec![2]), vec![f(&[2, 2])], "sum: expected distinct ascending axes below 2, got [2]"),
        (
            Op::Max(vec![0]),
            vec![f(&[0, 2])],
            "max: expected at least one element to take the maximum of, got float32[0, 2]",
        ),
        (
            Op::Broadcast { dims: vec![4, 3], axes: vec![0] },
            vec![f(&[2])],
            "broadcast: expected [3] ([4, 3] without the new axes [0]), got [2]",
        ),
        (
            Op::Broadcast { dims: vec![1 << 40, 1 << 40], axes: vec![0, 1] },
            vec![f(&[])],
            "broadcast: expected a result that can be addressed, got float32[1099511627776, 1099511627776]",
        ),
        (
            Op::Reshape(vec![4, 2]),
            vec![f(&[3, 3])],
            "reshape: expected sizes of 9 elements in all, got [4, 2] from [3, 3]",
        ),
        (
            Op::Reshape(vec![usize::MAX, 2]),
            vec![f(&[2])],
            "reshape: expected sizes of 2 elements in all, got [18446744073709551615, 2] from [2]",
        ),
        (Op::Permute(vec![0, 0]), vec![f(&[2, 3])], "permute: expected an order of the 2 axes of [2, 3], got [0, 0]"),
        (
            slice(0, 5, 1),
            vec![f(&[4])],
            "slice: expected start <= stop <= size and steps of at least 1, got start [0], stop [5], step [1] of [4]",
        ),
        (
            slice(0, 4, 0),
            vec![f(&[4])],
            "slice: expected start <= stop <= size and steps of at least 1, got start [0], stop [4], step [0] of [4]",
        ),
        (
            slice(0, 4, 1),
            vec![f(&[4, 4])],
            "slice: expected bounds and steps for 2 axes, got start [0], stop [4], step [1] of [4, 4]",
        ),
        (
            Op::Pad { low: vec![usize::MAX], high: vec![1], interior: vec![0] },
            vec![f(&[4])],
            "pad: expected a result that can be addressed, got low [18446744073709551615], high [1], interior [0] of [4]",
        ),
        (
            Op::Concat(1),
            vec![f(&[2, 3]), f(&[3, 3])],
            "concat: expected sizes equal but along axis 1, got float32[2, 3], float32[3, 3]",
        ),
        (Op::Concat(0), vec![f(&[2]), i(&[2])], "concat: expected float32 throughout, got float32[2], int32[2]"),
        (Op::WindowSum(window(2)), vec![f(&[2, 5, 3])], "window_sum: expected [batch, 4, channels], got [2, 5, 3]"),
        (Op::WindowSum(window(2)), vec![i(&[2, 4, 3])], "window_sum: expected float32, got int32[2, 4, 3]"),
        (
            Op::WindowSum(window(6)),
            vec![f(&[2, 4, 3])],
            "window_sum: expected spatial sizes of at least the window [6], got [4] with padding [1]/[0]",
        ),
        (
            Op::WindowSpread(window(1)),
            vec![f(&[2, 5, 3])],
            "window_spread: expected padding smaller than the window [1], got padding [1]/[0]",
        ),
        (
            Op::WindowTake(window(2)),
            vec![f(&[2, 4, 3]), i(&[2, 4, 3])],
            "window_take: expected index uint8[2, 4, 3], got int32[2, 4, 3]",
        ),
        (
            Op::WindowPut(window(2)),
            vec![f(&[2, 4, 3]), Type::new(DType::U8, [2, 4, 2])],
            "window_put: expected index uint8[2, 4, 3], got uint8[2, 4, 2]",
        ),
        (
            Op::Gather { axis: 2 },
            vec![f(&[2, 3]), i(&[4])],
            "gather: expected a tensor with an axis 2, got float32[2, 3]",
        ),
        (Op::ArgSort, vec![f(&[])], "argsort: expected a last axis whose positions int32 holds, got float32[]"),
        (Op::Gather { axis: 0 }, vec![f(&[2, 3]), f(&[4])], "gather: expected an int32 index, got float32[4]"),
        (
            Op::GatherEach { axis: 1 },
            vec![f(&[2, 3]), i(&[4, 1])],
            "gather_each: expected indices for 2 entries, got int32[4, 1]",
        ),
        (
            Op::GatherEach { axis: 0 },
            vec![f(&[2, 3]), i(&[2])],
            "gather_each: expected an axis 0 of entries and an axis after it, got float32[2, 3] and axis 0",
        ),
        (
            Op::ScatterAdd { axis: 1, size: 9 },
            vec![f(&[2, 3, 4]), i(&[4])],
            "scatter_add: expected the sizes [4] of the index from axis 1 on, got [2, 3, 4]",
        ),
        (
            product(Form::MatMul, Seat::Output),
            vec![f(&[2, 3]), f(&[4, 5])],
            "matmul: expected columns of x = rows of kernel, got x [2, 3], kernel [4, 5]",
        ),
        (
            product(Form::MatMul, Seat::Kernel),
            vec![f(&[2, 3]), f(&[4, 5])],
            "matmul: expected rows of x = rows of y, got x [2, 3], y [4, 5]",
        ),
        (
            product(Form::MatMul, Seat::Output),
            vec![f(&[2, 2, 3]), f(&[3, 5])],
            "matmul: expected two tensors of equal rank, at least 2, got x [2, 2, 3], kernel [3, 5]",
        ),
        (
            product(Form::MatMul, Seat::Output),
            vec![f(&[2, 2, 3]), f(&[4, 3, 5])],
            "matmul: expected equal leading sizes [2], got x [2, 2, 3], kernel [4, 3, 5]",
        ),
        (
            product(Form::MatMul, Seat::Output),
            vec![f(&[2, 3]), i(&[3, 5])],
            "matmul: expected float32 and float32, or uint8 or int8 and int8, got float32[2, 3] and int32[3, 5]",
        ),
        (
            product(Form::Conv(conv()), Seat::Input),
            vec![f(&[3, 3, 2, 6]), f(&[5, 6, 7, 6])],
            "conv: expected y [5, 6, 6, 6], got [5, 6, 7, 6]",
        ),
        (
            product(Form::Conv(conv()), Seat::Kernel),
            vec![f(&[5, 8, 8, 4]), f(&[4, 6, 6, 6])],
            "conv: expected y [5, 6, 6, 6], got [4, 6, 6, 6]",
        ),
        (
            product(Form::Conv(Conv { stride: vec![1, 0], ..conv() }), Seat::Output),
            vec![f(&[5, 8, 8, 4]), f(&[3, 3, 2, 6])],
            "conv: expected stride sizes of at least 1, got [1, 0]",
        ),
        (
            product(Form::Conv(Conv { dilation: vec![1], ..conv() }), Seat::Output),
            vec![f(&[5, 8, 8, 4]), f(&[3, 3, 2, 6])],
            "conv: expected dilation for 2 spatial axes, got [1]",
        ),
        (
            product(Form::Conv(Conv { groups: 4, ..conv() }), Seat::Output),
            vec![f(&[5, 8, 8, 4]), f(&[3, 3, 1, 6])],
            "conv: expected input channels and filters that are multiples of the groups, got 4 input channels, 6 filters, \
             4 groups",
        ),
        (
            product(Form::Conv(Conv { dilation: vec![1, 4], ..conv() }), Seat::Output),
            vec![f(&[5, 8, 8, 4]), f(&[3, 3, 2, 6])],
            "conv: expected padded spatial sizes of at least the kernel [3, 3] at dilation [1, 4], got [8, 8] with padding \
             [0, 0]/[0, 0]",
        ),
    ];
    for (op, args, message) in cases {
        assert_eq!(op.infer(&args).map_err(|e| e.to_string()), Err(message.to_string()), "{op} of {args:?}");
    }
}

#[test]
fn convolutions_speak_of_channels() {
    let build = |x: &[usize], k: &[usize], groups| {
        Op::conv(&f(x), &f(k), &[1, 1], &[1, 1], &[0, 0], &[0, 0], groups).unwrap_err().to_string()
    };
    assert_eq!(
        build(&[8, 32, 32, 4], &[3, 3, 3, 16], 1),
        "conv: expected 3 input channels (kernel [3, 3, 3, 16]), got 4 (x [8, 32, 32, 4])"
    );
    assert_eq!(
        build(&[8, 32, 32, 4], &[3, 3, 3, 16], 2),
        "conv: expected 6 input channels (kernel [3, 3, 3, 16], 2 groups), got 4 (x [8, 32, 32, 4])"
    );
    assert_eq!(
        build(&[8, 32, 4], &[3, 3, 4, 16], 1),
        "conv: expected x [batch, spatial.., channels] and kernel [spatial.., input channels / groups, filters], got x \
         [8, 32, 4], kernel [3, 3, 4, 16]"
    );
    let back = |input: &[usize], channels: usize| {
        let (y, k) = (f(&[8, 4, 4, channels]), f(&[3, 3, 5, 16]));
        Op::conv_transpose(&y, &k, input, &[2, 2], &[1, 1], &[0, 0], &[0, 0], 1).map_err(|e| e.to_string())
    };
    assert!(back(&[9, 10], 16).is_ok());
    assert_eq!(
        back(&[9, 11], 16).unwrap_err(),
        "conv_transpose: expected x with spatial sizes [4, 5] for a result of [9, 11], got [8, 4, 4, 16]"
    );
    assert_eq!(
        back(&[9, 9], 7).unwrap_err(),
        "conv_transpose: expected 16 input channels (kernel [3, 3, 5, 16]), got 7 (x [8, 4, 4, 7])"
    );
    assert_eq!(back(&[9], 16).unwrap_err(), "conv_transpose: expected 2 spatial sizes of the result, got [9]");
}

#[test]
fn graphs_share_nodes_and_know_their_own() {
    let mut graph = Graph::new();
    let x = graph.arg(0, f(&[2, 3])).unwrap();
    let [a, b] = [(); 2].map(|()| graph.emit(Op::Sum(vec![0]), &[x]).unwrap());
    assert_eq!(a, b);
    // What changes nothing makes no node.
    for op in [Op::Reshape(vec![2, 3]), Op::Cast(DType::F32), Op::Permute(vec![0, 1]), Op::Sum(vec![])] {
        assert_eq!(graph.emit(op, &[x]).unwrap(), x);
    }
    assert_ne!(graph.emit(Op::Detach, &[x]).unwrap(), x);
    assert_eq!(graph.live(&[a]), [true, true, false]);
    let error = graph.emit(Op::Detach, &[NodeId(9)]).unwrap_err();
    assert_eq!(error, Error::Graph("detach: value %9 is not of this graph of 3 nodes".into()));
}

#[test]
fn products_of_bytes() {
    let of = |dtype, dims: &[usize]| Type::new(dtype, dims);
    let form = |groups| Form::Conv(Conv { groups, ..conv() });
    for x in [DType::U8, DType::I8] {
        let sums = product(form(1), Seat::Output).infer(&[of(x, &[2, 8, 8, 4]), of(DType::I8, &[3, 3, 4, 6])]);
        assert_eq!(sums.unwrap(), i(&[2, 6, 6, 6]));
        let sums = product(Form::MatMul, Seat::Output).infer(&[of(x, &[2, 3]), of(DType::I8, &[3, 5])]);
        assert_eq!(sums.unwrap(), i(&[2, 5]));
    }
    let bytes = |dims: &[usize]| of(DType::I8, dims);
    let most = oxiconv_ir::product::MAX_BYTE_TERMS;
    // The bound is one: 65793 · 255 · 128 is below 2^31, one more is not.
    assert!(most * 255 * 128 < 1 << 31 && (most + 1) * 255 * 128 >= 1 << 31);
    let cases = [
        (Form::MatMul, Seat::Output, [bytes(&[2, 3]), of(DType::U8, &[3, 5])], "uint8[3, 5]"),
        (Form::MatMul, Seat::Output, [bytes(&[2, 3]), f(&[3, 5])], "int8[2, 3] and float32[3, 5]"),
        (Form::MatMul, Seat::Input, [bytes(&[3, 5]), bytes(&[2, 5])], "solved for x"),
        (Form::MatMul, Seat::Output, [bytes(&[4, 2, 3]), bytes(&[4, 3, 5])], "a kernel of rank 2"),
        (form(2), Seat::Output, [bytes(&[2, 8, 8, 4]), bytes(&[3, 3, 2, 6])], "one group"),
        (Form::MatMul, Seat::Output, [bytes(&[2, most + 1]), bytes(&[most + 1, 5])], "at most 65793 terms"),
    ];
    for (form, seat, types, message) in cases {
        let error = product(form, seat).infer(&types).unwrap_err().to_string();
        assert!(error.contains(message), "{error}");
    }
}
