//! Planning: memory that is alive together never overlaps, and known networks give the programs that they should.

use oxiconv_ir::fuse::Target;
use oxiconv_ir::plan::{Lifetime, Request, pack, plan};
use oxiconv_ir::program::{ALIGN, Kind, Place, Program, ValueId};
use oxiconv_ir::reference::{self, Array};
use oxiconv_ir::{
    Binary, Compose, Conv, DType, Emit, Expr, Form, Graph, NodeId, Op, Result, Seat, Type, Unary, Window,
};
use proptest::prelude::*;

/// A target that fuses whatever can be fused.
struct Everything;

impl Target for Everything {
    fn pools(&self, _: &Conv, _: &Window) -> bool {
        true
    }
    fn sparse(&self, _: &Conv, _: &Window, _: Seat) -> bool {
        true
    }
    fn packs(&self, kind: &Kind, _: &[&Type]) -> Option<usize> {
        if let Kind::Product { solve, .. } = kind { Seat::Kernel.position(*solve) } else { None }
    }
}

proptest! {
    #[test]
    fn packed_pieces_do_not_overlap_while_alive(
        pieces in prop::collection::vec((0usize..20, 0usize..6, 0usize..5000), 0..40)
    ) {
        let lives: Vec<Lifetime> =
            pieces.iter().map(|&(first, length, bytes)| Lifetime { first, last: first + length, bytes }).collect();
        let (offsets, total) = pack(&lives);
        for (i, a) in lives.iter().enumerate() {
            prop_assert_eq!(offsets[i] % ALIGN, 0);
            prop_assert!(offsets[i] + a.bytes <= total);
            for (j, b) in lives.iter().enumerate().take(i) {
                let together = a.first <= b.last && b.first <= a.last;
                let apart = offsets[i] + a.bytes <= offsets[j] || offsets[j] + b.bytes <= offsets[i];
                prop_assert!(!together || apart || a.bytes == 0 || b.bytes == 0);
            }
        }
        // At least what is alive at the busiest moment, at most everything side by side.
        let alive = |t: usize| lives.iter().filter(|l| l.first <= t && t <= l.last).map(|l| l.bytes).sum::<usize>();
        prop_assert!(total >= (0..26).map(alive).max().unwrap_or(0));
        prop_assert!(total <= lives.iter().map(|l| l.bytes.next_multiple_of(ALIGN)).sum::<usize>());
    }
}

/// Where a value is: in scratch or in the arena, from where, how many bytes.
fn extent(program: &Program, v: ValueId) -> Option<(bool, usize, usize)> {
    let value = &program.values[v];
    let cut = program.sharding;
    match value.place {
        Place::Arena(offset) => Some((false, offset, value.ty.bytes())),
        Place::Partial { offset, stride } => Some((false, offset, stride * cut.tasks())),
        Place::Scratch(offset) => {
            let stage = program.stages.iter().find(|s| s.steps.iter().any(|s| s.outputs.contains(&v)));
            let shard = stage.expect("made in some stage").shard;
            Some((true, offset, value.ty.bytes() / cut.samples * shard))
        }
        Place::Arg(_) | Place::Result(_) => None,
    }
}

/// Checks from the program alone that nothing is overwritten before its last reader, and nothing read before it is
/// made. In a sharded stage steps interleave across tasks, so there arena values live for the whole stage.
fn check(program: &Program) {
    let count = program.values.len();
    let (mut made, mut last) = (vec![None; count], vec![None; count]);
    for (s, stage) in program.stages.iter().enumerate() {
        for (i, step) in stage.steps.iter().enumerate() {
            for input in &step.inputs {
                let arg = matches!(program.values[input.value].place, Place::Arg(_));
                assert!(arg || made[input.value].is_some(), "%{} is read before it is made", input.value);
                last[input.value] = Some((s, i));
            }
            for &output in &step.outputs {
                made[output].get_or_insert((s, i));
                last[output] = last[output].max(Some((s, i)));
            }
        }
    }
    let moment = |(s, i): (usize, usize)| (s, if program.stages[s].sharded { 0 } else { i });
    for a in 0..count {
        for b in 0..a {
            let (Some(x), Some(y)) = (extent(program, a), extent(program, b)) else { continue };
            let (Some(ma), Some(mb), Some(la), Some(lb)) = (made[a], made[b], last[a], last[b]) else { continue };
            let together = if x.0 {
                ma.0 == mb.0 && ma.1 <= lb.1 && mb.1 <= la.1
            } else {
                moment(ma) <= moment(lb) && moment(mb) <= moment(la)
            };
            let apart = x.1 + x.2 <= y.1 || y.1 + y.2 <= x.1;
            assert!(x.0 != y.0 || !together || apart, "%{a} and %{b} overlap\n{program}");
        }
    }
}

/// Convolution, bias, ReLU, 2x2 max-pool, dense, square error; one step of gradient descent.
fn training_step(batch: usize) -> Result<(Graph, Request)> {
    let mut g = Graph::new();
    let x = g.arg(0, Type::f32([batch, 28, 28, 1]))?;
    let target = g.arg(1, Type::f32([batch, 10]))?;
    let dims = [vec![3, 3, 1, 32], vec![32], vec![13 * 13 * 32, 10], vec![10]];
    let weights: Vec<NodeId> =
        dims.iter().enumerate().map(|(i, d)| g.arg(2 + i, Type::f32(d.clone()))).collect::<Result<_>>()?;
    let conv = Op::conv(&g.ty(&x), &g.ty(&weights[0]), &[1, 1], &[1, 1], &[0, 0], &[0, 0], 1)?;
    let y = g.emit(conv, &[x, weights[0]])?;
    let y = bias(&mut g, y, weights[1])?;
    let relu = Expr::build(1, |b| {
        let (x, zero) = (b.input(0), b.constant(0.0));
        b.binary(Binary::Max, x, zero)
    });
    let y = g.map(relu, DType::F32, &[y])?;
    let two = || vec![2, 2];
    let window = Window { input: vec![26, 26], size: two(), stride: two(), low: vec![0, 0], high: vec![0, 0] };
    let index = g.emit(Op::WindowArgMax(window.clone()), &[y])?;
    let y = g.emit(Op::WindowTake(window), &[y, index])?;
    let y = g.emit(Op::Reshape(vec![batch, 13 * 13 * 32]), &[y])?;
    let y = g.emit(Op::Product { form: Form::MatMul, solve: Seat::Output }, &[y, weights[2]])?;
    let y = bias(&mut g, y, weights[3])?;
    let d = g.sub(&y, &target)?;
    let square = g.mul(&d, &d)?;
    let loss = g.emit(Op::Sum(vec![0, 1]), &[square])?;
    let grads = g.grad(loss, &weights)?;
    let mut results = vec![loss];
    for (w, grad) in weights.iter().zip(grads) {
        let rate = g.full(0.01, &g.ty(w))?;
        let step = g.mul(&grad.expect("every weight matters"), &rate)?;
        results.push(g.sub(w, &step)?);
    }
    let batched = vec![true, true, false, false, false, false];
    Ok((g, Request { results, batched, updates: (0..4).map(|i| (1 + i, 2 + i)).collect(), fixed: vec![] }))
}

fn bias(g: &mut Graph, y: NodeId, b: NodeId) -> Result<NodeId> {
    let dims = g.ty(&y).dims;
    let axes = (0..dims.len() - 1).collect();
    let b = g.emit(Op::Broadcast { dims, axes }, &[b])?;
    g.add(&y, &b)
}

#[test]
fn a_training_step_is_one_pass_over_the_shards_and_one_update() -> Result<()> {
    let (graph, request) = training_step(128)?;
    let program = plan(&graph, &request, &Everything)?;
    check(&program);
    let sharded: Vec<bool> = program.stages.iter().map(|s| s.sharded).collect();
    assert_eq!(sharded, [true, false], "{program}");
    let text = program.to_string();
    // The convolution's result exists nowhere: pooled on the way out, its gradient read through the pooling.
    assert!(
        text.contains("conv [3, 3] stride [1, 1] 1→32 output → max(in0 + in1, 0) → max-pool [2, 2]/[2, 2]"),
        "{text}"
    );
    assert!(text.contains("conv [3, 3] stride [1, 1] 1→32 kernel through max-pool"), "{text}");
    assert!(program.values.iter().all(|v| v.ty.dims != [128, 26, 26, 32]), "{text}");
    // Each weight is replaced where it is.
    let updates = program.stages[1].steps.iter().filter(|s| matches!(s.kind, Kind::Map { .. })).count();
    assert_eq!(updates, 4, "{text}");
    assert!(!program.stages.iter().flat_map(|s| &s.steps).any(|s| matches!(s.kind, Kind::Copy)), "{text}");
    assert_eq!((program.sharding.tasks(), program.sharding.samples), (16, 128));
    Ok(())
}

#[test]
fn the_cut_depends_on_the_batch_and_covers_it() -> Result<()> {
    for batch in [1, 2, 3, 7, 16, 33, 96, 128, 1000] {
        let (graph, request) = training_step(batch)?;
        let program = plan(&graph, &request, &Everything)?;
        check(&program);
        let cut = program.sharding;
        assert_eq!(cut.samples, batch);
        assert!(cut.shard >= 1 && cut.shard <= cut.task && cut.tasks() <= 16);
        let sharded = program.stages.iter().filter(|s| s.sharded);
        assert!(sharded.map(|s| s.shard).max().is_none_or(|most| most == cut.shard), "{program}");
        assert!((cut.tasks() - 1) * cut.task < batch && batch <= cut.tasks() * cut.task);
    }
    Ok(())
}

/// Batch normalization reads statistics of the whole batch: the stages must alternate.
#[test]
fn statistics_of_the_batch_are_a_barrier() -> Result<()> {
    let mut g = Graph::new();
    let x = g.arg(0, Type::f32([32, 8, 8, 4]))?;
    let sum = g.emit(Op::Sum(vec![0, 1, 2]), &[x])?;
    let n = g.full(2048.0, &Type::f32([4]))?;
    let mean = g.div(&sum, &n)?;
    let mean = g.emit(Op::Broadcast { dims: vec![32, 8, 8, 4], axes: vec![0, 1, 2] }, &[mean])?;
    let centred = g.sub(&x, &mean)?;
    let y = g.unary(Unary::Exp, &centred)?;
    let program =
        plan(&g, &Request { results: vec![y], batched: vec![true], updates: vec![], fixed: vec![] }, &Everything)?;
    check(&program);
    assert_eq!(program.stages.iter().map(|s| s.sharded).collect::<Vec<_>>(), [true, false, true], "{program}");
    Ok(())
}

/// A value that is repeated along axis 0 is read by every sample: if it is itself made in shards, all of them come first.
#[test]
fn a_repeated_batch_is_needed_whole() -> Result<()> {
    let mut g = Graph::new();
    let x = g.arg(0, Type::f32([10]))?;
    let y = g.unary(Unary::Exp, &x)?;
    let columns = g.emit(Op::Broadcast { dims: vec![10, 10], axes: vec![1] }, &[y])?;
    let rows = g.emit(Op::Broadcast { dims: vec![10, 10], axes: vec![0] }, &[y])?;
    let pairs = g.mul(&columns, &rows)?;
    let program =
        plan(&g, &Request { results: vec![pairs], batched: vec![true], updates: vec![], fixed: vec![] }, &Everything)?;
    check(&program);
    assert!(program.stages.len() > 1, "{program}");
    Ok(())
}

/// An update whose old value a sharded stage reads is copied at the end, not written early.
#[test]
fn updates_wait_for_all_reads() -> Result<()> {
    let mut g = Graph::new();
    let x = g.arg(0, Type::f32([8]))?;
    let counter = g.arg(1, Type::f32([]))?;
    let one = g.constant(1.0, DType::F32)?;
    let next = g.add(&counter, &one)?;
    let wide = g.emit(Op::Broadcast { dims: vec![8], axes: vec![0] }, &[counter])?;
    let y = g.mul(&x, &wide)?;
    let request = Request { results: vec![y, next], batched: vec![true, false], updates: vec![(1, 1)], fixed: vec![] };
    let program = plan(&g, &request, &Everything)?;
    check(&program);
    let last = program.stages.last().expect("there are stages");
    assert!(matches!(last.steps[..], [ref s] if matches!(s.kind, Kind::Copy)), "{program}");
    Ok(())
}

/// A graph of a sequence `[n, steps, width]` whose every slice is multiplied by one kernel: the sum of all results, and
/// the gradients of the sequence and the kernel.
fn sequence(steps: usize) -> Result<(Graph, Vec<NodeId>)> {
    let (n, width) = (4, 8);
    let mut graph = Graph::new();
    let x = graph.arg(0, Type::f32([n, steps, width]))?;
    let kernel = graph.arg(1, Type::f32([width, width]))?;
    let mut state = graph.zeros(&Type::f32([n, width]))?;
    for t in 0..steps {
        let slice = Op::Slice { start: vec![0, t, 0], stop: vec![n, t + 1, width], step: vec![1; 3] };
        let part = graph.emit(slice, &[x])?;
        let part = graph.emit(Op::Reshape(vec![n, width]), &[part])?;
        let product = graph.emit(Op::Product { form: Form::MatMul, solve: Seat::Output }, &[state, kernel])?;
        let sum = graph.add(&product, &part)?;
        state = graph.unary(Unary::Tanh, &sum)?;
    }
    let loss = graph.emit(Op::Sum(vec![0, 1]), &[state])?;
    let gradients = graph.grad(loss, &[x, kernel])?;
    let roots = gradients.into_iter().map(|g| g.expect("connected")).collect();
    Ok((graph, roots))
}

/// The gradient of a sequence that is read step by step is one concatenation, that of a kernel used at each step one
/// product: not a sum of as many tensors as large as the whole.
#[test]
fn gradients_of_a_sequence_are_joined() -> Result<()> {
    for steps in [5, 40] {
        let (graph, roots) = sequence(steps)?;
        let request = Request { results: roots, batched: vec![true, false], updates: vec![], fixed: vec![] };
        let program = plan(&graph, &request, &Everything)?;
        check(&program);
        let kinds: Vec<&Kind> = program.stages.iter().flat_map(|s| &s.steps).map(|s| &s.kind).collect();
        let kernels = kinds.iter().filter(|k| matches!(k, Kind::Product { solve: Seat::Kernel, .. })).count();
        let pads = kinds.iter().filter(|k| matches!(k, Kind::Op(Op::Pad { .. }))).count();
        assert_eq!((kernels, pads), (1, 0), "{program}");
        assert_eq!(kinds.iter().filter(|k| matches!(k, Kind::Combine)).count(), 1, "{program}");
        let widest = program.stages.iter().flat_map(|s| &s.steps).map(|s| s.inputs.len()).max();
        assert!(widest.is_some_and(|inputs| inputs <= 32), "{program}");
    }
    Ok(())
}

/// Slices that overlap, or leave gaps, and slices along two axes.
#[test]
fn only_what_lies_side_by_side_is_joined() -> Result<()> {
    let cut = |graph: &mut Graph, x: NodeId, start: [usize; 2], stop: [usize; 2]| {
        graph.emit(Op::Slice { start: start.into(), stop: stop.into(), step: vec![1; 2] }, &[x])
    };
    type Slice = ([usize; 2], [usize; 2]);
    let cases: [(&[Slice], usize, usize); 3] = [
        (&[([0, 1], [4, 3]), ([0, 5], [4, 6])], 1, 0),
        (&[([0, 1], [4, 4]), ([0, 3], [4, 6])], 0, 2),
        (&[([0, 1], [4, 3]), ([1, 0], [2, 8])], 0, 2),
    ];
    for (slices, concats, pads) in cases {
        let mut graph = Graph::new();
        let x = graph.arg(0, Type::f32([4, 8]))?;
        let mut total = graph.constant(0.0, DType::F32)?;
        for &(start, stop) in slices {
            let part = cut(&mut graph, x, start, stop)?;
            let square = graph.mul(&part, &part)?;
            let sum = graph.emit(Op::Sum(vec![0, 1]), &[square])?;
            total = graph.add(&total, &sum)?;
        }
        let gradient = graph.grad(total, &[x])?[0].expect("connected");
        let request = Request { results: vec![gradient], batched: vec![false], updates: vec![], fixed: vec![] };
        let program = plan(&graph, &request, &Everything)?;
        check(&program);
        let steps = || program.stages.iter().flat_map(|s| &s.steps);
        let counted = |op: fn(&Op) -> bool| steps().filter(|s| matches!(&s.kind, Kind::Op(o) if op(o))).count();
        let found = (counted(|o| matches!(o, Op::Concat(_))), counted(|o| matches!(o, Op::Pad { .. })));
        assert_eq!(found, (concats, pads), "{program}");
    }
    Ok(())
}

/// Convolution, division by the batch's root mean square, ReLU, convolution, sum of squares; both kernels' gradients.
fn normalized() -> Result<(Graph, Request)> {
    let mut g = Graph::new();
    let dims = vec![32, 8, 8, 4];
    let x = g.arg(0, Type::f32(dims.clone()))?;
    let kernels = [g.arg(1, Type::f32([3, 3, 4, 4]))?, g.arg(2, Type::f32([3, 3, 4, 4]))?];
    let conv = Op::conv(&g.ty(&x), &g.ty(&kernels[0]), &[1, 1], &[1, 1], &[1, 1], &[1, 1], 1)?;
    let y = g.emit(conv.clone(), &[x, kernels[0]])?;
    let squares = g.mul(&y, &y)?;
    let sum = g.emit(Op::Sum(vec![0, 1, 2]), &[squares])?;
    let factor = g.unary(Unary::Rsqrt, &sum)?;
    let factor = g.emit(Op::Broadcast { dims, axes: vec![0, 1, 2] }, &[factor])?;
    let y = g.mul(&y, &factor)?;
    let relu = Expr::build(1, |b| {
        let (x, zero) = (b.input(0), b.constant(0.0));
        let positive = b.binary(Binary::Gt, x, zero);
        b.select(positive, x, zero)
    });
    let y = g.map(relu, DType::F32, &[y])?;
    let y = g.emit(conv, &[y, kernels[1]])?;
    let squares = g.mul(&y, &y)?;
    let loss = g.emit(Op::Sum(vec![0, 1, 2, 3]), &[squares])?;
    let results = g.grad(loss, &kernels)?.into_iter().map(|d| d.expect("connected")).collect();
    Ok((g, Request { results, batched: vec![true, false, false], updates: vec![], fixed: vec![] }))
}

/// What elementwise work makes of a convolution's result is computed again in each stage that reads it: only products'
/// results, with their epilogues, go from one stage to another.
#[test]
fn stages_compute_elementwise_work_again() -> Result<()> {
    let (graph, request) = normalized()?;
    let program = plan(&graph, &request, &Everything)?;
    check(&program);
    let steps = || program.stages.iter().flat_map(|s| &s.steps);
    let kept = |v: &ValueId| {
        program.values[*v].ty.dims == [32, 8, 8, 4] && matches!(program.values[*v].place, Place::Arena(_))
    };
    let stored: Vec<&Kind> = steps().filter(|s| s.outputs.iter().any(kept)).map(|s| &s.kind).collect();
    assert!(!stored.is_empty() && stored.iter().all(|k| matches!(k, Kind::Product { .. })), "{program}");
    Ok(())
}

/// A map of several readers behind a product is its epilogue, not computed by each of them from the product.
#[test]
fn a_map_of_several_readers_is_an_epilogue() -> Result<()> {
    let mut g = Graph::new();
    let (x, kernel) = (g.arg(0, Type::f32([8, 6]))?, g.arg(1, Type::f32([6, 6]))?);
    let y = g.emit(Op::Product { form: Form::MatMul, solve: Seat::Output }, &[x, kernel])?;
    let zero = g.zeros(&Type::f32([8, 6]))?;
    let relu = g.binary(Binary::Max, &y, &zero)?;
    let (a, b) = (g.emit(Op::Sum(vec![1]), &[relu])?, g.unary(Unary::Exp, &relu)?);
    let request = Request { results: vec![a, b], batched: vec![true, false], updates: vec![], fixed: vec![] };
    let program = plan(&g, &request, &Everything)?;
    check(&program);
    assert!(program.to_string().contains("matmul output → max(in0, 0)"), "{program}");
    Ok(())
}

/// Sums of the same values over the same axes are one step, unless one needs the other.
#[test]
fn sums_of_the_same_values_are_one_step() -> Result<()> {
    let mut g = Graph::new();
    let dims = vec![32, 8, 8, 4];
    let (x, y) = (g.arg(0, Type::f32(dims.clone()))?, g.arg(1, Type::f32(dims.clone()))?);
    let mean = g.emit(Op::Sum(vec![1, 2]), &[x])?;
    let wide = g.emit(Op::Broadcast { dims, axes: vec![1, 2] }, &[mean])?;
    let apart = g.sub(&x, &wide)?;
    let (squares, products) = (g.mul(&apart, &apart)?, g.mul(&apart, &y)?);
    let over = |g: &mut Graph, axes: &[usize], v| g.emit(Op::Sum(axes.to_vec()), &[v]);
    let results = vec![
        over(&mut g, &[1, 2], apart)?,
        over(&mut g, &[1, 2], squares)?,
        over(&mut g, &[0, 1, 2], y)?,
        over(&mut g, &[1, 2], products)?,
        over(&mut g, &[0, 1, 2], products)?,
        mean,
    ];
    let request = Request { results, batched: vec![true, true], updates: vec![], fixed: vec![] };
    let program = plan(&g, &request, &Everything)?;
    check(&program);
    let sums = program.stages.iter().flat_map(|s| &s.steps).filter(|s| matches!(s.kind, Kind::Reduce { .. }));
    let mut results: Vec<usize> = sums.map(|s| s.outputs.len()).collect();
    results.sort_unstable();
    // The mean; sums over the batch; sums over samples, which need the mean.
    assert_eq!(results, [1, 2, 3], "{program}");
    Ok(())
}

/// Where all that varies is the factor, it stays: constants alone have no terms to sum.
#[test]
fn factors_of_constants_stay() -> Result<()> {
    let mut g = Graph::new();
    let scale = g.arg(0, Type::f32([5]))?;
    let wide = g.emit(Op::Broadcast { dims: vec![4, 5], axes: vec![0] }, &[scale])?;
    let third = Expr::build(1, |b| {
        let (x, one, three) = (b.input(0), b.constant(1.0), b.constant(3.0));
        let third = b.div(one, three);
        b.mul(x, third)
    });
    let scaled = g.map(third, DType::F32, &[wide])?;
    let sum = g.emit(Op::Sum(vec![0]), &[scaled])?;
    let (factored, moved) = oxiconv_ir::factor::factor(&g, &[sum])?;
    assert_eq!(factored.node(moved[0]).op, Op::Sum(vec![0]), "{factored}");
    Ok(())
}

/// Signs and what is the same for all terms leave a sum, constants do not, and values stay.
#[test]
fn factors_leave_sums() -> Result<()> {
    let mut g = Graph::new();
    let (x, scale) = (g.arg(0, Type::f32([4, 3, 5]))?, g.arg(1, Type::f32([5]))?);
    let wide = g.emit(Op::Broadcast { dims: vec![4, 3, 5], axes: vec![0, 1] }, &[scale])?;
    let scaled = g.mul(&wide, &x)?;
    let negative = g.unary(Unary::Neg, &scaled)?;
    let half = g.full(0.5, &Type::f32([4, 3, 5]))?;
    let halved = g.mul(&x, &half)?;
    let sums = [
        g.emit(Op::Sum(vec![0, 1]), &[negative])?,
        g.emit(Op::Sum(vec![1]), &[negative])?,
        g.emit(Op::Sum(vec![0, 2]), &[negative])?,
        g.emit(Op::Sum(vec![0, 1]), &[halved])?,
        g.emit(Op::Sum(vec![0, 1]), &[wide])?,
    ];
    let (factored, moved) = oxiconv_ir::factor::factor(&g, &sums)?;
    let terms = |id: NodeId| {
        let live = factored.live(&[id]);
        let sum = factored.ids().find(|i| live[i.index()] && matches!(factored.node(*i).op, Op::Sum(_)));
        factored.node(factored.node(sum.expect("a sum")).args[0]).op.clone()
    };
    assert!(matches!(terms(moved[0]), Op::Arg { .. }) && matches!(terms(moved[1]), Op::Arg { .. }), "{factored}");
    // The factor varies along the last axis, and only the sign can leave.
    assert!(matches!(terms(moved[2]), Op::Map { ref expr, .. } if expr.to_string() == "in0 * in1"), "{factored}");
    assert!(matches!(terms(moved[3]), Op::Map { .. }) && matches!(terms(moved[4]), Op::Broadcast { .. }), "{factored}");
    let args: Vec<Array> = [vec![4, 3, 5], vec![5]]
        .into_iter()
        .map(|d| {
            Array::new(Type::f32(d.clone()), (0..d.iter().product()).map(|i: usize| (i * 7 % 11) as f64).collect())
        })
        .collect::<Result<_>>()?;
    let (plain, other) = (reference::run(&g, &args, &sums)?, reference::run(&factored, &args, &moved)?);
    for (a, b) in plain.iter().zip(&other) {
        assert_eq!((&a.ty, &a.data), (&b.ty, &b.data));
    }
    Ok(())
}
