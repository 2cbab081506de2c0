//! Operations and bytes of planned steps, counted by hand.

use oxiconv_ir::fuse::Target;
use oxiconv_ir::plan::{Request, plan};
use oxiconv_ir::program::Kind;
use oxiconv_ir::work::Work;
use oxiconv_ir::{Compose, Conv, DType, Emit, Form, Graph, NodeId, Op, Result, Seat, Type, Unary, Window};

/// A device that fuses everything that can be.
struct Fuses;

impl Target for Fuses {
    fn pools(&self, _: &Conv, _: &Window) -> bool {
        true
    }
    fn sparse(&self, _: &Conv, _: &Window, _: Seat) -> bool {
        true
    }
}

/// The work of each step that computes a function of these arguments, with the kind it has.
fn work(
    types: &[Type],
    batched: bool,
    build: impl FnOnce(&mut Graph, &[NodeId]) -> Result<NodeId>,
) -> Result<Vec<(Kind, Work)>> {
    let mut g = Graph::new();
    let args: Vec<NodeId> = types.iter().enumerate().map(|(i, t)| g.arg(i, t.clone())).collect::<Result<_>>()?;
    let result = build(&mut g, &args)?;
    let marks = (0..types.len()).map(|i| batched && i == 0).collect();
    let program = plan(&g, &Request { results: vec![result], batched: marks, updates: vec![], fixed: vec![] }, &Fuses)?;
    let steps = program.stages.iter().flat_map(|stage| &stage.steps);
    Ok(steps.map(|step| (step.kind.clone(), program.work(step))).collect())
}

fn only(steps: &[(Kind, Work)]) -> Work {
    assert_eq!(steps.len(), 1, "{steps:?}");
    steps[0].1
}

fn window(input: usize, size: usize, stride: usize) -> Window {
    let two = |v| vec![v; 2];
    Window { input: two(input), size: two(size), stride: two(stride), low: two(0), high: two(0) }
}

#[test]
fn a_strided_grouped_convolution_with_epilogue_and_pooling() -> Result<()> {
    let types = [Type::f32([3, 11, 9, 8]), Type::f32([3, 2, 4, 6]), Type::f32([6])];
    let found = only(&work(&types, true, |g, a| {
        let conv = Op::conv(&types[0], &types[1], &[2, 1], &[1, 2], &[1, 0], &[0, 1], 2)?;
        let y = g.emit(conv, &a[..2])?;
        // Height (11 + 1 - 3) / 2 + 1, width 9 + 1 - 3 + 1.
        let dims = vec![3, 5, 8, 6];
        let bias = g.emit(Op::Broadcast { dims, axes: vec![0, 1, 2] }, &[a[2]])?;
        let y = g.add(&y, &bias)?;
        let y = g.unary(Unary::Tanh, &y)?;
        let w = Window { input: vec![5, 8], ..window(0, 2, 2) };
        let index = g.emit(Op::WindowArgMax(w.clone()), &[y])?;
        g.emit(Op::WindowTake(w), &[y, index])
    })?);
    let (outputs, pooled) = (3 * 5 * 8 * 6, 3 * 2 * 4 * 6);
    assert_eq!(found.flops, (outputs * (2 * 3 * 2 * 4 + 2) + pooled * 4) as u64);
    // The maxima, and a byte for the position of each.
    let read = 3 * 11 * 9 * 8 + 3 * 2 * 4 * 6 + 6;
    assert_eq!(found.bytes, (4 * read + 5 * pooled) as u64);
    Ok(())
}

#[test]
fn stacks_of_matrices_for_each_seat() -> Result<()> {
    let [x, kernel, y] = [Type::f32([4, 5, 7]), Type::f32([4, 7, 3]), Type::f32([4, 5, 3])];
    for (solve, types) in
        [(Seat::Output, [x.clone(), kernel.clone()]), (Seat::Input, [kernel, y.clone()]), (Seat::Kernel, [x, y])]
    {
        let found = only(&work(&types, false, |g, a| g.emit(Op::Product { form: Form::MatMul, solve }, a))?);
        assert_eq!(
            found,
            Work { flops: 2 * 4 * 5 * 7 * 3, bytes: 4 * (4 * 5 * 7 + 4 * 7 * 3 + 4 * 5 * 3) },
            "{solve:?}"
        );
    }
    Ok(())
}

#[test]
fn elementwise_work_sums_and_moves() -> Result<()> {
    let x = Type::f32([6, 10]);
    let found = only(&work(std::slice::from_ref(&x), false, |g, a| {
        let e = g.unary(Unary::Exp, &a[0])?;
        g.mul(&e, &a[0])
    })?);
    assert_eq!(found, Work { flops: 2 * 60, bytes: 2 * 4 * 60 });
    let found = only(&work(std::slice::from_ref(&x), false, |g, a| {
        let square = g.mul(&a[0], &a[0])?;
        g.emit(Op::Sum(vec![1]), &[square])
    })?);
    assert_eq!(found, Work { flops: 2 * 60, bytes: 4 * (60 + 6) });
    let found = only(&work(std::slice::from_ref(&x), false, |g, a| g.emit(Op::Permute(vec![1, 0]), &[a[0]]))?);
    assert_eq!(found, Work { flops: 0, bytes: 2 * 4 * 60 });
    let index = Type::new(DType::I32, [6]);
    let found = only(&work(&[x, index], false, |g, a| g.emit(Op::ScatterAdd { axis: 0, size: 9 }, a))?);
    assert_eq!(found, Work { flops: 60, bytes: 4 * (60 + 6 + 90) });
    Ok(())
}

#[test]
fn windows_and_their_transposes() -> Result<()> {
    let types = [Type::f32([2, 6, 6, 5]), Type::f32([2, 2, 2, 5])];
    let w = window(6, 3, 3);
    let windows = 2 * 2 * 2 * 5;
    let bytes = 4 * (2 * 6 * 6 * 5 + windows);
    let summed = only(&work(&types[..1], false, |g, a| g.emit(Op::WindowSum(w.clone()), a))?);
    assert_eq!(summed, Work { flops: windows * 9, bytes });
    let spread = only(&work(&types[1..], false, |g, a| g.emit(Op::WindowSpread(w.clone()), a))?);
    assert_eq!(spread, summed);
    Ok(())
}

/// A term of each task is written, then read by the step that adds them up.
#[test]
fn a_sum_over_the_batch_is_a_term_of_each_task() -> Result<()> {
    let steps = work(&[Type::f32([64, 3])], true, |g, a| g.emit(Op::Sum(vec![0]), a))?;
    assert_eq!(steps.len(), 2, "{steps:?}");
    let tasks = 16;
    assert_eq!(steps[0].1, Work { flops: 64 * 3, bytes: 4 * (64 * 3 + tasks * 3) });
    assert_eq!(steps[1].1, Work { flops: tasks * 3, bytes: 4 * (tasks * 3 + 3) });
    Ok(())
}
