//! A step in steady state asks the allocator for nothing. Alone in its process: the allocator counts for all threads.

use oxiconv_cpu::exec::Executable;
use oxiconv_cpu::threads::set_num_threads;
use oxiconv_ir::op::Dist;
use oxiconv_ir::plan::Request;
use oxiconv_ir::{Compose, DType, Emit, Expr, Form, Graph, NodeId, Op, Result, Seat, Type, Unary, Window};
use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};

struct Counting;

static ALLOCATIONS: AtomicUsize = AtomicUsize::new(0);

// SAFETY: every call is handed to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: forwarded.
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, p: *mut u8, layout: Layout) {
        // SAFETY: forwarded.
        unsafe { System.dealloc(p, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// A step with something of everything: convolution, pooling, batch statistics, noise, a lookup, a padded and a
/// permuted tensor, gradients, updates.
fn step() -> Result<(Graph, Request, Vec<Type>)> {
    let mut g = Graph::new();
    let types = [
        Type::f32([32, 12, 12, 3]),
        Type::new(DType::I32, [32]),
        Type::new(DType::I32, [2]),
        Type::f32([3, 3, 3, 16]),
        Type::f32([16]),
        Type::f32([576, 5]),
        Type::f32([7, 5]),
    ];
    let args: Vec<NodeId> = types.iter().enumerate().map(|(i, t)| g.arg(i, t.clone())).collect::<Result<_>>()?;
    let conv = Op::conv(&types[0], &types[3], &[1, 1], &[1, 1], &[1, 1], &[1, 1], 1)?;
    let y = g.emit(conv, &[args[0], args[3]])?;
    let dims = vec![32, 12, 12, 16];
    let bias = g.emit(Op::Broadcast { dims: dims.clone(), axes: vec![0, 1, 2] }, &[args[4]])?;
    let y = g.add(&y, &bias)?;
    let sum = g.emit(Op::Sum(vec![0, 1, 2]), &[y])?;
    let scaled = g.full(1.0 / 4608.0, &Type::f32([16]))?;
    let mean = g.mul(&sum, &scaled)?;
    let mean = g.emit(Op::Broadcast { dims: dims.clone(), axes: vec![0, 1, 2] }, &[mean])?;
    let y = g.sub(&y, &mean)?;
    let y = g.unary(Unary::Tanh, &y)?;
    let noise = g.emit(Op::Random { dist: Dist::Normal, dims }, &[args[2]])?;
    let y = g.add(&y, &noise)?;
    let two = || vec![2, 2];
    let w = Window { input: vec![12, 12], size: two(), stride: two(), low: vec![0, 0], high: vec![0, 0] };
    let index = g.emit(Op::WindowArgMax(w.clone()), &[y])?;
    let y = g.emit(Op::WindowTake(w), &[y, index])?;
    let y = g.emit(Op::Permute(vec![0, 3, 1, 2]), &[y])?;
    let y = g.emit(Op::Reshape(vec![32, 576]), &[y])?;
    let y = g.emit(Op::Product { form: Form::MatMul, solve: Seat::Output }, &[y, args[5]])?;
    let rows = g.emit(Op::Gather { axis: 0 }, &[args[6], args[1]])?;
    let d = g.sub(&y, &rows)?;
    let square = g.mul(&d, &d)?;
    let loss = g.emit(Op::Sum(vec![0, 1]), &[square])?;
    let grads = g.grad(loss, &args[3..])?;
    let mut results = vec![loss];
    let descent = Expr::build(2, |b| {
        let (w, g, rate) = (b.input(0), b.input(1), b.constant(1e-4));
        let step = b.mul(g, rate);
        b.sub(w, step)
    });
    for (w, grad) in args[3..].iter().zip(grads) {
        results.push(g.map(descent.clone(), DType::F32, &[*w, grad.expect("connected")])?);
    }
    let updates = (0..4).map(|i| (i + 1, i + 3)).collect();
    Ok((
        g,
        Request { results, batched: vec![true, true, false, false, false, false, false], updates, fixed: vec![] },
        types.to_vec(),
    ))
}

#[test]
fn no_allocation_after_the_first_steps() -> Result<()> {
    let (graph, request, types) = step()?;
    for threads in [1, 2] {
        set_num_threads(threads);
        let mut exe = Executable::new(&graph, &request)?;
        let mut args: Vec<Vec<u32>> = types.iter().map(|t| vec![0u32; t.bytes().div_ceil(4)]).collect();
        let pointers: Vec<*mut u8> = args.iter_mut().map(|a| a.as_mut_ptr().cast()).collect();
        let inputs: Vec<*const u8> = pointers.iter().map(|p| p.cast_const()).collect();
        let mut loss = [0u32; 1];
        let mut results = vec![loss.as_mut_ptr().cast()];
        results.extend(request.updates.iter().map(|&(_, a)| pointers[a]));
        for _ in 0..5 {
            // SAFETY: memory of the types' sizes; results are the updated arguments.
            unsafe { exe.run(&inputs, &results, &|| false)? };
        }
        // A worker allocates when it starts, which on a busy machine may be later than the first steps.
        let mut before = usize::MAX;
        while before != ALLOCATIONS.load(Ordering::Relaxed) {
            before = ALLOCATIONS.load(Ordering::Relaxed);
            std::thread::sleep(std::time::Duration::from_millis(100));
        }
        for _ in 0..100 {
            // SAFETY: as above.
            unsafe { exe.run(&inputs, &results, &|| false)? };
        }
        assert_eq!(ALLOCATIONS.load(Ordering::Relaxed) - before, 0, "allocations in 100 steps with {threads} threads");
    }
    Ok(())
}
