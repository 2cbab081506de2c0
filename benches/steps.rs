//! Whole training steps, from the graph to updated weights: milliseconds per step and images per second for one thread
//! and for all, with the arithmetic of the dense layers as a rate.
//!
//! `cargo bench --bench steps [-- --smoke]`; `OXICONV_ISA` chooses the instruction set.
#![allow(clippy::print_stdout, reason = "printing is what a benchmark is for")]

use oxiconv_cpu::arena::Buffer;
use oxiconv_cpu::exec::Executable;
use oxiconv_cpu::threads::{num_threads, set_num_threads};
use oxiconv_ir::op::Dist;
use oxiconv_ir::plan::Request;
use oxiconv_ir::{Binary, Compose, DType, Emit, Expr, Form, Graph, NodeId, Op, Result, Seat, Type, Unary, Window};
use std::time::Instant;

/// Keras's `mnist_convnet` with Adam; multiply-adds per image of its layers, forward and backward.
struct Net {
    graph: Graph,
    request: Request,
    /// Type of each argument.
    args: Vec<Type>,
}

const CONV_MACS: [usize; 2] = [26 * 26 * 9 * 32, 11 * 11 * 9 * 32 * 64];
const DENSE_MACS: usize = 1600 * 10;

fn main() -> Result<()> {
    let smoke = std::env::args().any(|a| a == "--smoke");
    let batch = 128;
    // The first layer has no input gradient.
    let macs = CONV_MACS[0] * 2 + (CONV_MACS[1] + DENSE_MACS) * 3;
    println!("mnist_convnet, batch {batch}, Adam: {:.2} GFLOP a step if dense\n", 2e-9 * (macs * batch) as f64);
    println!("| threads | ms, best | ms, median | images/s | dense-equivalent GFLOP/s |\n|---|---|---|---|---|");
    let all = num_threads();
    for threads in if all > 1 { vec![1, all] } else { vec![1] } {
        set_num_threads(threads);
        let mut times = time(&mnist_convnet(batch)?, if smoke { 2 } else { 400 })?;
        times.sort_by(f64::total_cmp);
        let (best, median) = (times[0], times[times.len() / 2]);
        let (rate, gflops) = (batch as f64 / median, 2e-9 * (macs * batch) as f64 / median);
        println!("| {threads} | {:.3} | {:.3} | {rate:.0} | {gflops:.0} |", best * 1e3, median * 1e3);
    }
    Ok(())
}

/// Seconds of each of `steps` runs, after a few to warm up.
fn time(net: &Net, steps: usize) -> Result<Vec<f64>> {
    let mut exe = Executable::new(&net.graph, &net.request)?;
    if std::env::args().any(|a| a == "--program") {
        println!("{exe}");
    }
    let mut args: Vec<Buffer> =
        net.args.iter().map(|t| Buffer::zeroed(t.bytes(), "an argument")).collect::<Result<_>>()?;
    for (arg, ty) in args.iter_mut().zip(&net.args) {
        fill(arg, ty);
    }
    let pointers: Vec<*mut u8> = args.iter_mut().map(Buffer::as_mut_ptr).collect();
    let mut loss = [0u8; 64];
    let mut results = vec![loss.as_mut_ptr()];
    results.extend(net.request.updates.iter().map(|&(_, a)| pointers[a]));
    let inputs: Vec<*const u8> = pointers.iter().map(|p| p.cast_const()).collect();
    let mut times = Vec::with_capacity(steps);
    for step in 0..steps + 3 {
        let start = Instant::now();
        // SAFETY: the buffers have the arguments' sizes; results are the updated arguments, and the loss apart.
        unsafe { exe.run(&inputs, &results, &|| false)? };
        if step >= 3 {
            times.push(start.elapsed().as_secs_f64());
        }
    }
    Ok(times)
}

/// Small values that differ; labels below ten.
fn fill(buffer: &mut Buffer, ty: &Type) {
    let mut state = 88172645463325252u64;
    for word in buffer.as_mut_slice().chunks_exact_mut(4) {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        let bytes = match ty.dtype {
            DType::F32 => (((state >> 40) as f32 / 8_388_608.0 - 1.0) * 0.1).to_ne_bytes(),
            _ => (((state >> 40) % 10) as i32).to_ne_bytes(),
        };
        word.copy_from_slice(&bytes);
    }
}

fn relu() -> Expr {
    Expr::build(1, |b| {
        let (x, zero) = (b.input(0), b.constant(0.0));
        b.binary(Binary::Max, x, zero)
    })
}

/// `v` along axis `kept` of `like`'s dims.
fn repeated(g: &mut Graph, v: NodeId, like: NodeId, kept: usize) -> Result<NodeId> {
    let dims = g.ty(&like).dims;
    let axes = (0..dims.len()).filter(|a| *a != kept).collect();
    g.emit(Op::Broadcast { dims, axes }, &[v])
}

/// Adam's new (slot, slot, weight), Keras's formulas.
fn adam() -> [Expr; 3] {
    let slot = |beta: f64, square: bool| {
        move |b: &mut oxiconv_ir::ExprBuilder| {
            let (m, g, rate) = (b.input(1), b.input(0), b.constant(1.0 - beta));
            let g = if square { b.mul(g, g) } else { g };
            let d = b.sub(g, m);
            let d = b.mul(d, rate);
            b.add(m, d)
        }
    };
    let weight = Expr::build(3, |b| {
        let (w, m, v) = (b.input(0), b.input(1), b.input(2));
        let (rate, epsilon) = (b.constant(1e-3), b.constant(1e-7));
        let step = b.mul(m, rate);
        let root = b.unary(Unary::Sqrt, v);
        let root = b.add(root, epsilon);
        let step = b.div(step, root);
        b.sub(w, step)
    });
    [Expr::build(2, slot(0.9, false)), Expr::build(2, slot(0.999, true)), weight]
}

fn mnist_convnet(n: usize) -> Result<Net> {
    let mut graph = Graph::new();
    let mut args: Vec<Type> = Vec::new();
    let mut arg = |g: &mut Graph, ty: Type| {
        args.push(ty.clone());
        g.arg(args.len() - 1, ty)
    };
    let g = &mut graph;
    let x = arg(g, Type::f32([n, 28, 28, 1]))?;
    let label = arg(g, Type::new(DType::I32, [n]))?;
    let classes = arg(g, Type::new(DType::I32, [10]))?;
    let state = arg(g, Type::new(DType::I32, [2]))?;
    let dims = [vec![3, 3, 1, 32], vec![32], vec![3, 3, 32, 64], vec![64], vec![1600, 10], vec![10]];
    let weights: Vec<NodeId> = dims.iter().map(|d| arg(g, Type::f32(d.clone()))).collect::<Result<_>>()?;
    let slots: Vec<NodeId> =
        dims.iter().flat_map(|d| [d, d]).map(|d| arg(g, Type::f32(d.clone()))).collect::<Result<_>>()?;
    let mut y = x;
    for (k, size) in [(0, 26), (2, 11)] {
        let conv = Op::conv(&g.ty(&y), &g.ty(&weights[k]), &[1, 1], &[1, 1], &[0, 0], &[0, 0], 1)?;
        y = g.emit(conv, &[y, weights[k]])?;
        let bias = repeated(g, weights[k + 1], y, 3)?;
        y = g.add(&y, &bias)?;
        y = g.map(relu(), DType::F32, &[y])?;
        let two = || vec![2, 2];
        let w = Window { input: vec![size, size], size: two(), stride: two(), low: vec![0, 0], high: vec![0, 0] };
        let index = g.emit(Op::WindowArgMax(w.clone()), &[y])?;
        y = g.emit(Op::WindowTake(w), &[y, index])?;
    }
    y = g.emit(Op::Reshape(vec![n, 1600]), &[y])?;
    let noise = g.emit(Op::Random { dist: Dist::Uniform, dims: vec![n, 1600] }, &[state])?;
    let dropout = Expr::build(2, |b| {
        let (x, u, half, zero, two) = (b.input(0), b.input(1), b.constant(0.5), b.constant(0.0), b.constant(2.0));
        let keep = b.binary(Binary::Ge, u, half);
        let scaled = b.mul(x, two);
        b.select(keep, scaled, zero)
    });
    y = g.map(dropout, DType::F32, &[y, noise])?;
    y = g.emit(Op::Product { form: Form::MatMul, solve: Seat::Output }, &[y, weights[4]])?;
    let bias = repeated(g, weights[5], y, 1)?;
    y = g.add(&y, &bias)?;
    let top = g.emit(Op::Max(vec![1]), &[y])?;
    let top = g.emit(Op::Detach, &[top])?;
    let top = repeated(g, top, y, 0)?;
    let shifted = g.sub(&y, &top)?;
    let exp = g.unary(Unary::Exp, &shifted)?;
    let sum = g.emit(Op::Sum(vec![1]), &[exp])?;
    let log = g.unary(Unary::Log, &sum)?;
    let log = repeated(g, log, y, 0)?;
    let logits = g.sub(&shifted, &log)?;
    let (rows, columns) = (repeated(g, label, y, 0)?, repeated(g, classes, y, 1)?);
    let hit = g.binary(Binary::Eq, &rows, &columns)?;
    let hit = g.emit(Op::Cast(DType::F32), &[hit])?;
    let picked = g.mul(&logits, &hit)?;
    let total = g.emit(Op::Sum(vec![0, 1]), &[picked])?;
    let scale = g.constant(-1.0 / n as f64, DType::F32)?;
    let loss = g.mul(&total, &scale)?;
    let grads = g.grad(loss, &weights)?;
    let (mut results, mut updates) = (vec![loss], Vec::new());
    let [first, second, weight] = adam();
    for (i, grad) in grads.into_iter().enumerate() {
        let grad = grad.expect("every weight matters");
        let m = g.map(first.clone(), DType::F32, &[grad, slots[2 * i]])?;
        let v = g.map(second.clone(), DType::F32, &[grad, slots[2 * i + 1]])?;
        let w = g.map(weight.clone(), DType::F32, &[weights[i], m, v])?;
        for (result, arg) in [(w, 4 + i), (m, 10 + 2 * i), (v, 11 + 2 * i)] {
            updates.push((results.len(), arg));
            results.push(result);
        }
    }
    let batched = (0..args.len()).map(|i| i < 2).collect();
    Ok(Net { graph, request: Request { results, batched, updates, fixed: Vec::new() }, args })
}
