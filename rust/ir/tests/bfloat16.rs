//! bfloat16 in graphs: rounded where the graph says, computed in float32, stored in 16 bits where it waits.

use half::bf16;
use oxiconv_ir::fuse::Target;
use oxiconv_ir::narrow::narrow;
use oxiconv_ir::plan::{Request, plan};
use oxiconv_ir::program::{Kind, Place, Program};
use oxiconv_ir::recompute::recompute;
use oxiconv_ir::reference::{self, Array};
use oxiconv_ir::split::Split;
use oxiconv_ir::widen::{exact, widen};
use oxiconv_ir::{Binary, Compose, Conv, DType, Emit, Expr, Graph, NodeId, Op, Result, Seat, Type, Unary, Window};

/// A target that fuses what every device does.
struct Plain;

impl Target for Plain {
    fn pools(&self, _: &Conv, _: &Window) -> bool {
        false
    }
    fn sparse(&self, _: &Conv, _: &Window, _: Seat) -> bool {
        false
    }
}

fn cast(g: &mut Graph, x: NodeId, dtype: DType) -> Result<NodeId> {
    g.emit(Op::Cast(dtype), &[x])
}

fn relu() -> Expr {
    Expr::build(1, |b| {
        let (x, zero) = (b.input(0), b.constant(0.0));
        b.binary(Binary::Max, x, zero)
    })
}

/// A residual network as a mixed-precision policy traces it: `blocks` times convolution, normalization by statistics of
/// the batch, ReLU and an addition, in `dtype`; the loss and the gradients of the float32 kernels.
fn residual(n: usize, size: usize, blocks: usize, dtype: DType) -> Result<(Graph, Vec<NodeId>, Vec<bool>)> {
    let mut g = Graph::new();
    let dims = [n, size, size, 8];
    let x = g.arg(0, Type::f32(dims))?;
    let kernels: Vec<NodeId> = (0..blocks).map(|i| g.arg(1 + i, Type::f32([3, 3, 8, 8]))).collect::<Result<_>>()?;
    let count = (n * size * size) as f64;
    let mut y = cast(&mut g, x, dtype)?;
    for kernel in &kernels {
        // Products exist in float32 alone.
        let k = cast(&mut g, *kernel, dtype)?;
        let (wide, k) = (cast(&mut g, y, DType::F32)?, cast(&mut g, k, DType::F32)?);
        let conv = Op::conv(&g.ty(&wide), &g.ty(&k), &[1, 1], &[1, 1], &[1, 1], &[1, 1], 1)?;
        let conv = g.emit(conv, &[wide, k])?;
        let conv = cast(&mut g, conv, dtype)?;
        let wide = cast(&mut g, conv, DType::F32)?;
        let sum = g.emit(Op::Sum(vec![0, 1, 2]), &[wide])?;
        let scale = g.full(1.0 / count, &Type::f32([8]))?;
        let mean = g.mul(&sum, &scale)?;
        let mean = g.emit(Op::Broadcast { dims: dims.to_vec(), axes: vec![0, 1, 2] }, &[mean])?;
        let centred = g.sub(&wide, &mean)?;
        let normal = cast(&mut g, centred, dtype)?;
        let act = g.map(relu(), dtype, &[normal])?;
        y = g.map(Expr::binary(Binary::Add), dtype, &[act, y])?;
    }
    let wide = cast(&mut g, y, DType::F32)?;
    let square = g.mul(&wide, &wide)?;
    let loss = g.emit(Op::Sum(vec![0, 1, 2, 3]), &[square])?;
    let mut roots = vec![loss];
    roots.extend(g.grad(loss, &kernels)?.into_iter().map(|d| d.expect("every kernel matters")));
    let batched = (0..=blocks).map(|i| i == 0).collect();
    Ok((g, roots, batched))
}

fn arguments(graph: &Graph) -> Vec<Array> {
    let mut args: Vec<(usize, Array)> = Vec::new();
    for node in graph.nodes() {
        if let Op::Arg { index, ty } = &node.op {
            let mut state = 77 + *index as u64;
            let data = (0..ty.len())
                .map(|_| {
                    state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
                    f64::from((state >> 40) as f32 / 8_388_608.0 - 1.0)
                })
                .collect();
            args.push((*index, Array::new(ty.clone(), data).expect("as many as the sizes say")));
        }
    }
    args.sort_by_key(|(index, _)| *index);
    args.into_iter().map(|(_, a)| a).collect()
}

fn planned(n: usize, size: usize, blocks: usize, dtype: DType) -> Result<Program> {
    let (graph, results, batched) = residual(n, size, blocks, dtype)?;
    plan(&graph, &Request { results, batched, updates: vec![], fixed: vec![] }, &Plain)
}

#[test]
fn a_graph_without_bfloat16_stays() -> Result<()> {
    let (graph, roots, _) = residual(4, 4, 2, DType::F32)?;
    assert!(widen(&graph, &roots)?.is_none());
    Ok(())
}

/// Values are those of the graph but for roundings within a chain of elementwise work. Of four roundings of a block
/// (product, normalization, sum; cotangents likewise) none moves a value by more than 2⁻⁹ of it, and the network is two
/// blocks deep: 2⁻⁶ of the largest result covers what remains different.
#[test]
fn widening_keeps_the_values() -> Result<()> {
    let (graph, roots, _) = residual(4, 5, 2, DType::Bf16)?;
    let (wide, ends) = widen(&graph, &roots)?.expect("there is bfloat16");
    assert!(wide.nodes().iter().all(|n| n.ty.dtype != DType::Bf16), "{wide}");
    let args = arguments(&graph);
    let (want, got) = (reference::run(&graph, &args, &roots)?, reference::run(&wide, &args, &ends)?);
    for (want, got) in want.iter().zip(&got) {
        let scale = want.data.iter().fold(0.0f64, |m, v| m.max(v.abs()));
        for (w, g) in want.data.iter().zip(&got.data) {
            assert!((w - g).abs() <= scale / 64.0, "{g}, should be {w}");
        }
    }
    Ok(())
}

/// A chain of elementwise work is rounded once, at its end; a value that something else reads, or that is asked for in
/// float32, is rounded where the graph says.
#[test]
fn chains_round_once() -> Result<()> {
    let mut g = Graph::new();
    let x = g.arg(0, Type::new(DType::Bf16, [8]))?;
    let square = g.map(Expr::binary(Binary::Mul), DType::Bf16, &[x, x])?;
    let sum = g.map(Expr::binary(Binary::Add), DType::Bf16, &[square, x])?;
    let cube = g.map(Expr::binary(Binary::Mul), DType::Bf16, &[sum, x])?;
    let asked = cast(&mut g, sum, DType::F32)?;
    let (wide, ends) = widen(&g, &[cube, asked])?.expect("there is bfloat16");
    let text = wide.to_string();
    let values = [1.0, -0.75, 1.0078125, 3.140625, 0.0, -2.03125, 7.0, 255.0];
    let got = reference::run(&wide, &[Array::new(Type::new(DType::Bf16, [8]), values.to_vec())?], &ends)?;
    for (i, x) in values.iter().enumerate() {
        let sum = bf16::from_f64(x * x + x).to_f64();
        assert_eq!(got[1].data[i], sum, "{text}");
        assert_eq!(got[0].data[i], bf16::from_f64(sum * x).to_f64(), "{text}");
    }
    assert_eq!(wide.node(ends[0]).ty.dtype, DType::Bf16);
    Ok(())
}

#[test]
fn what_a_bfloat16_holds() -> Result<()> {
    let mut g = Graph::new();
    let bytes = g.arg(0, Type::new(DType::U8, [4, 4]))?;
    let x = g.arg(1, Type::f32([4, 4]))?;
    let pixels = g.map(Expr::input(1, 0), DType::F32, &[bytes])?;
    let rounded = g.unary(Unary::Bf16, &x)?;
    let larger = g.map(Expr::binary(Binary::Max), DType::F32, &[rounded, pixels])?;
    let turned = g.emit(Op::Permute(vec![1, 0]), &[larger])?;
    let sum = g.add(&turned, &rounded)?;
    let tenth = g.constant(0.1, DType::F32)?;
    let half = g.constant(0.5, DType::F32)?;
    let known = exact(&g);
    let holds = |id: NodeId| known[id.index()];
    assert!([pixels, rounded, larger, turned, half].into_iter().all(holds), "{g}");
    assert!(![x, sum, tenth].into_iter().any(holds), "{g}");
    Ok(())
}

/// Storing in 16 bits what has no more digits changes no bit.
#[test]
fn narrowing_changes_no_value() -> Result<()> {
    for (n, size) in [(4, 5), (2, 96)] {
        let (graph, roots, batched) = residual(n, size, 2, DType::Bf16)?;
        let (graph, roots) = widen(&graph, &roots)?.expect("there is bfloat16");
        let split = Split::new(&graph, &batched);
        let (graph, split, roots) = recompute(&graph, &split, &roots);
        let (small, cut, ends) = narrow(&graph, &split, &roots);
        let stored = small.nodes().iter().filter(|n| n.ty.dtype == DType::Bf16).count();
        assert!(stored >= 4, "{stored} values are stored\n{small}");
        assert_eq!((cut.class.len(), cut.time.len()), (small.nodes().len(), small.nodes().len()));
        let args = arguments(&graph);
        assert_eq!(reference::run(&graph, &args, &roots)?, reference::run(&small, &args, &ends)?);
    }
    Ok(())
}

#[test]
fn what_waits_takes_half_the_memory() -> Result<()> {
    let (wide, half) = (planned(64, 16, 6, DType::F32)?, planned(64, 16, 6, DType::Bf16)?);
    // Kernels, statistics and partial sums are the same.
    assert!(half.arena * 100 <= wide.arena * 58, "{} of {} bytes\n{half}", half.arena, wide.arena);
    let activation = Type::f32([64, 16, 16, 8]).len();
    for value in half.values.iter().filter(|v| v.ty.len() == activation && matches!(v.place, Place::Arena(_))) {
        assert_eq!(value.ty.dtype, DType::Bf16, "{half}");
    }
    // Conversions of their own are those that a product reads, within a shard, and those that store.
    let steps = half.stages.iter().flat_map(|s| &s.steps);
    for step in steps.filter(|s| matches!(&s.kind, Kind::Map { expr, .. } if expr.is_input(0))) {
        let out = &half.values[step.outputs[0]];
        let stores = out.ty.dtype == DType::Bf16 && matches!(out.place, Place::Arena(_));
        let loads = matches!(out.place, Place::Scratch(_));
        assert!(stores || loads || out.ty.len() < activation, "{half}");
    }
    Ok(())
}

/// A sample larger than the cache: what the backward pass of the same stage reads waits in half the memory too.
#[test]
fn what_leaves_the_cache_is_stored_in_half() -> Result<()> {
    let build = |dtype: DType| -> Result<Program> {
        let mut g = Graph::new();
        let x = g.arg(0, Type::f32([4, 64, 64, 16]))?;
        let kernels: Vec<NodeId> = (0..4).map(|i| g.arg(1 + i, Type::f32([3, 3, 16, 16]))).collect::<Result<_>>()?;
        let mut y = cast(&mut g, x, dtype)?;
        for k in &kernels {
            let wide = cast(&mut g, y, DType::F32)?;
            let conv = Op::conv(&g.ty(&wide), &g.ty(k), &[1, 1], &[1, 1], &[1, 1], &[1, 1], 1)?;
            let conv = g.emit(conv, &[wide, *k])?;
            let conv = cast(&mut g, conv, dtype)?;
            y = g.map(relu(), dtype, &[conv])?;
        }
        let wide = cast(&mut g, y, DType::F32)?;
        let loss = g.emit(Op::Sum(vec![0, 1, 2, 3]), &[wide])?;
        let mut results = vec![loss];
        results.extend(g.grad(loss, &kernels)?.into_iter().flatten());
        let batched = vec![true, false, false, false, false];
        plan(&g, &Request { results, batched, updates: vec![], fixed: vec![] }, &Plain)
    };
    let (wide, half) = (build(DType::F32)?, build(DType::Bf16)?);
    let waits = half.values.iter().filter(|v| v.ty.dtype == DType::Bf16 && matches!(v.place, Place::Scratch(_)));
    assert!(waits.count() >= 2, "{half}");
    assert!(half.scratch < wide.scratch, "{} and {} bytes\n{half}", half.scratch, wide.scratch);
    Ok(())
}
