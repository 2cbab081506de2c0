//! Programs whose work does not come as a batch of arguments: it is shared among workers all the same, with the numbers
//! of the f64 reference interpreter and the same bits for any number of threads.

use oxiconv_cpu::exec::Executable;
use oxiconv_cpu::threads::set_num_threads;
use oxiconv_ir::plan::Request;
use oxiconv_ir::program::{Kind, Step};
use oxiconv_ir::reference::{self, Array};
use oxiconv_ir::{Binary, Compose, DType, Emit, Expr, Form, Graph, NodeId, Op, Result, Seat, Type, Unary, Window};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The number of threads is one for the process: tests that set it take turns.
fn turn() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A graph of float32 arguments.
#[derive(Default)]
struct Case {
    graph: Graph,
    types: Vec<Type>,
    batched: Vec<bool>,
}

impl Case {
    fn arg(&mut self, dims: &[usize], batched: bool) -> Result<NodeId> {
        let ty = Type::f32(dims);
        self.types.push(ty.clone());
        self.batched.push(batched);
        self.graph.arg(self.types.len() - 1, ty)
    }

    /// Values in [-1, 1), the same for the same argument; a seventh of that in kernels, so that what they make of
    /// some hundred values is as large again.
    fn values(&self) -> Vec<Vec<f32>> {
        let value = |state: &mut u64| {
            *state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            (*state >> 40) as f32 / 8_388_608.0 - 1.0
        };
        let seeded = |i: usize| 0x9E37_79B9_7F4A_7C15u64.wrapping_mul(i as u64 + 1);
        let tensor = |(i, ty): (usize, &Type)| {
            let mut state = seeded(i);
            let scale = if self.batched[i] { 1.0 } else { 0.15 };
            (0..ty.len()).map(|_| scale * value(&mut state)).collect()
        };
        self.types.iter().enumerate().map(tensor).collect()
    }

    fn executable(&self, results: &[NodeId]) -> Result<Executable> {
        let request =
            Request { results: results.to_vec(), batched: self.batched.clone(), updates: vec![], fixed: vec![] };
        Executable::new(&self.graph, &request)
    }

    fn run(&self, exe: &mut Executable, results: &[NodeId]) -> Result<Vec<Vec<f32>>> {
        let args = self.values();
        let mut outs: Vec<Vec<f32>> = results.iter().map(|r| vec![f32::NAN; self.graph.node(*r).ty.len()]).collect();
        let inputs: Vec<*const u8> = args.iter().map(|a| a.as_ptr().cast()).collect();
        let outputs: Vec<*mut u8> = outs.iter_mut().map(|o| o.as_mut_ptr().cast()).collect();
        // Twice: what the first run left behind must not matter.
        for _ in 0..2 {
            // SAFETY: float tensors of the graph's sizes, each with memory of its own.
            unsafe { exe.run(&inputs, &outputs, &|| false)? };
        }
        Ok(outs)
    }

    /// Compares with the reference, to `tolerance` of a result's largest value, and the bits of 1, 2, 3 and 5 threads.
    fn check(&self, results: &[NodeId], tolerance: f64) -> Result<()> {
        let _turn = turn();
        let wide = |v: Vec<f32>| v.into_iter().map(f64::from).collect();
        let arrays: Vec<Array> =
            self.types.iter().zip(self.values()).map(|(t, v)| Array::new(t.clone(), wide(v))).collect::<Result<_>>()?;
        let want = reference::run(&self.graph, &arrays, results)?;
        let mut exe = self.executable(results)?;
        set_num_threads(1);
        let got = self.run(&mut exe, results)?;
        let bits = |outs: &[Vec<f32>]| outs.iter().flatten().map(|v| v.to_bits()).collect::<Vec<_>>();
        for threads in [2, 3, 5] {
            set_num_threads(threads);
            assert!(bits(&self.run(&mut exe, results)?) == bits(&got), "bits with {threads} threads");
        }
        for (r, (got, want)) in got.iter().zip(&want).enumerate() {
            let scale = want.data.iter().fold(0.0f64, |m, v| m.max(v.abs()));
            for (i, (g, w)) in got.iter().zip(&want.data).enumerate() {
                let error = (f64::from(*g) - w).abs();
                assert!(error <= tolerance * scale, "result {r}[{i}]: {g} should be {w}\n{}", exe.program());
            }
        }
        Ok(())
    }

    fn conv(&mut self, x: NodeId, kernel: NodeId, stride: usize, pad: usize) -> Result<NodeId> {
        let g = &mut self.graph;
        let op = Op::conv(&g.ty(&x), &g.ty(&kernel), &[stride; 2], &[1; 2], &[pad; 2], &[pad; 2], 1)?;
        g.emit(op, &[x, kernel])
    }

    /// `x` less its mean over all axes but the last, of size `count`.
    fn centred(&mut self, x: NodeId, count: usize) -> Result<NodeId> {
        let g = &mut self.graph;
        let dims = g.ty(&x).dims;
        let axes: Vec<usize> = (0..dims.len() - 1).collect();
        let sum = g.emit(Op::Sum(axes.clone()), &[x])?;
        let scale = g.full(1.0 / count as f64, &g.ty(&sum))?;
        let mean = g.mul(&sum, &scale)?;
        let mean = g.emit(Op::Broadcast { dims, axes }, &[mean])?;
        g.sub(&x, &mean)
    }
}

/// Images made from noise that is no batched argument, normalized, joined along axis 0 with those of the batch and
/// judged: the loss, the verdicts, the gradients of all kernels. `n` images of the batch, `made` of noise.
fn adversaries(n: usize, made: usize) -> Result<(Case, Vec<NodeId>)> {
    let mut case = Case::default();
    let real = case.arg(&[n, 12, 12, 4], true)?;
    let noise = case.arg(&[made, 96], false)?;
    let weights = [
        case.arg(&[96, 6 * 6 * 24], false)?,
        case.arg(&[3, 3, 24, 4], false)?,
        case.arg(&[3, 3, 4, 32], false)?,
        case.arg(&[3, 3, 32, 8], false)?,
    ];
    let g = &mut case.graph;
    let codes = g.unary(Unary::Sin, &noise)?;
    let seeds = g.emit(Op::Product { form: Form::MatMul, solve: Seat::Output }, &[codes, weights[0]])?;
    let seeds = g.emit(Op::Reshape(vec![made, 6, 6, 24]), &[seeds])?;
    let seeds = case.centred(seeds, made * 36)?;
    let g = &mut case.graph;
    let seeds = g.unary(Unary::Tanh, &seeds)?;
    // Twice as large, by repetition.
    let wide = g.emit(Op::Broadcast { dims: vec![made, 6, 2, 6, 2, 24], axes: vec![2, 4] }, &[seeds])?;
    let wide = g.emit(Op::Reshape(vec![made, 12, 12, 24]), &[wide])?;
    let images = case.conv(wide, weights[1], 1, 1)?;
    let images = case.graph.unary(Unary::Tanh, &images)?;
    let both = case.graph.emit(Op::Concat(0), &[real, images])?;
    let y = case.conv(both, weights[2], 1, 1)?;
    let y = case.graph.unary(Unary::Tanh, &y)?;
    let y = case.conv(y, weights[3], 2, 0)?;
    let y = case.centred(y, (n + made) * 25)?;
    let g = &mut case.graph;
    let verdicts = g.unary(Unary::Tanh, &y)?;
    let square = g.mul(&verdicts, &verdicts)?;
    let loss = g.emit(Op::Sum(vec![0, 1, 2, 3]), &[square])?;
    let mut results = vec![loss, verdicts];
    results.extend(g.grad(loss, &weights)?.into_iter().flatten());
    Ok((case, results))
}

/// Sums of at most 2·18·144·288 terms of either sign, four layers deep: 3e-5 is 250 units of rounding of the largest
/// value, and a wrong or missing sample changes a result by more than 1/36 of it.
const ROUNDING: f64 = 3e-5;

#[test]
fn work_that_is_made_rather_than_given() -> Result<()> {
    // As many made as given; twice as many; a number that cannot be cut like the batch.
    for (n, made) in [(18, 18), (7, 14), (16, 11), (1, 9)] {
        let (case, results) = adversaries(n, made)?;
        case.check(&results, ROUNDING)?;
    }
    Ok(())
}

#[test]
fn nothing_heavy_stays_in_a_whole_stage() -> Result<()> {
    let (case, results) = adversaries(18, 18)?;
    let exe = case.executable(&results)?;
    let whole = exe.program().stages.iter().filter(|s| !s.sharded).flat_map(|s| &s.steps);
    // But for gradients of matrices, which workers share by rows.
    let by_rows = |s: &&Step| matches!(s.kind, Kind::Product { form: Form::MatMul, solve: Seat::Kernel, .. });
    let heavy = |s: &&Step| matches!(s.kind, Kind::Product { .. } | Kind::Reduce { .. });
    let heavy = whole.filter(|s| heavy(s) && !by_rows(s)).count();
    assert_eq!(heavy, 0, "{}", exe.program());
    assert!(exe.program().sharding.tasks() > 2, "{}", exe.program());
    Ok(())
}

/// One image of `height` rows through a convolution with bias and ReLU, one with a residual, a pooled one, a convolution
/// with a stride, and a transposed one: the result, and all gradients of the sum of its squares.
fn one_image(n: usize, height: usize, pad: usize, stride: usize, dilation: usize) -> Result<(Case, Vec<NodeId>)> {
    let mut case = Case::default();
    let width = 22;
    let x = case.arg(&[n, height, width, 12], true)?;
    let kernels = [
        case.arg(&[3, 3, 12, 36], false)?,
        case.arg(&[36], false)?,
        case.arg(&[3, 3, 36, 36], false)?,
        case.arg(&[3, 3, 36, 40], false)?,
        case.arg(&[3, 3, 40, 40], false)?,
        case.arg(&[2, 2, 40, 40], false)?,
        case.arg(&[64, 40], false)?,
        case.arg(&[3, 3, 1, 36], false)?,
    ];
    let relu = Expr::build(1, |b| {
        let (x, zero) = (b.input(0), b.constant(0.0));
        b.binary(Binary::Max, x, zero)
    });
    let y = case.conv(x, kernels[0], 1, 1)?;
    let g = &mut case.graph;
    let dims = g.ty(&y).dims;
    let bias = g.emit(Op::Broadcast { dims, axes: vec![0, 1, 2] }, &[kernels[1]])?;
    let y = g.add(&y, &bias)?;
    let first = g.map(relu, DType::F32, &[y])?;
    let y = case.conv(first, kernels[2], 1, 1)?;
    let g = &mut case.graph;
    let y = g.unary(Unary::Tanh, &y)?;
    let y = g.add(&y, &first)?;
    let y = case.conv(y, kernels[3], 1, 1)?;
    let g = &mut case.graph;
    let [_, h, w, c] = g.ty(&y).dims[..] else { unreachable!("an image") };
    let window =
        Window { input: vec![h, w], size: vec![3; 2], stride: vec![2; 2], low: vec![pad; 2], high: vec![1; 2] };
    let index = g.emit(Op::WindowArgMax(window.clone()), &[y])?;
    let y = g.emit(Op::WindowTake(window), &[y, index])?;
    let small = g.unary(Unary::Tanh, &y)?;
    let [_, h, w, _] = g.ty(&small).dims[..] else { unreachable!("an image") };
    let conv = Op::conv(&g.ty(&small), &g.ty(&kernels[4]), &[stride; 2], &[dilation; 2], &[pad; 2], &[pad; 2], 1)?;
    let y = g.emit(conv, &[small, kernels[4]])?;
    let y = g.unary(Unary::Tanh, &y)?;
    let both = g.emit(Op::Concat(3), &[first, x])?;
    let turned = g.emit(Op::Permute(vec![0, 2, 1, 3]), &[both])?;
    let cut = Op::Slice { start: vec![0, 1, 0, 5], stop: vec![n, width, height, 48], step: vec![1, 2, 1, 1] };
    let moved = g.emit(cut, &[turned])?;
    let each = Op::conv(&g.ty(&first), &g.ty(&kernels[7]), &[stride; 2], &[1; 2], &[1; 2], &[1; 2], 36)?;
    let each = g.emit(each, &[first, kernels[7]])?;
    let each = g.unary(Unary::Sin, &each)?;
    let wide =
        Op::conv_transpose(&g.ty(&small), &g.ty(&kernels[5]), &[2 * h, 2 * w], &[2; 2], &[1; 2], &[0; 2], &[0; 2], 1)?;
    let up = g.emit(wide, &[kernels[5], small])?;
    let flat = g.emit(Op::Reshape(vec![n * 4 * h * w, c]), &[up])?;
    let up = g.emit(Op::Product { form: Form::MatMul, solve: Seat::Input }, &[kernels[6], flat])?;
    let up = g.unary(Unary::Sin, &up)?;
    let squares = [y, up, each].into_iter().map(|v| {
        let square = g.mul(&v, &v)?;
        g.emit(Op::Sum((0..g.ty(&square).rank()).collect()), &[square])
    });
    let [a, b, c] = squares.collect::<Result<Vec<_>>>()?[..] else { unreachable!("three") };
    let loss = g.add(&a, &b)?;
    let loss = g.add(&loss, &c)?;
    let mut results = vec![y, up, each, both, turned, moved, loss];
    results.extend(g.grad(loss, &[&kernels[..], &[x]].concat())?.into_iter().flatten());
    Ok((case, results))
}

/// Rows that are no multiple of a band, padding that a band has and another has not, strides and dilations across the
/// seams; two images, which are not cut; and an image too small to share.
#[test]
fn rows_of_one_image() -> Result<()> {
    for (n, height, pad, stride, dilation) in
        [(1, 30, 1, 2, 1), (1, 37, 0, 1, 2), (1, 61, 1, 3, 1), (1, 20, 1, 1, 1), (1, 7, 0, 1, 1), (2, 21, 1, 2, 1)]
    {
        let (case, results) = one_image(n, height, pad, stride, dilation)?;
        case.check(&results, ROUNDING)?;
    }
    Ok(())
}

/// Two arguments replaced by one map in pieces, each result reading both old values.
#[test]
fn updates_in_place_in_pieces() -> Result<()> {
    let _turn = turn();
    let len = 100_003;
    let mut g = Graph::new();
    let [a, b] = [g.arg(0, Type::f32([len]))?, g.arg(1, Type::f32([len]))?];
    let swap = |i: usize| {
        Expr::build(2, |e| {
            let (x, y) = (e.input(i), e.input(1 - i));
            let two = e.constant(2.0);
            let y = e.mul(y, two);
            e.sub(x, y)
        })
    };
    let results = vec![g.map(swap(0), DType::F32, &[a, b])?, g.map(swap(1), DType::F32, &[a, b])?];
    let updates = vec![(0, 0), (1, 1)];
    let request = Request { results, batched: vec![false; 2], updates, fixed: vec![] };
    let mut exe = Executable::new(&g, &request)?;
    for threads in [1, 2, 3, 5] {
        set_num_threads(threads);
        let mut x: Vec<f32> = (0..len as u32).map(|i| i as f32).collect();
        let mut y = vec![1.0f32; len];
        let places: [*mut u8; 2] = [x.as_mut_ptr().cast(), y.as_mut_ptr().cast()];
        // SAFETY: float vectors of the graph's size; the results are the updated arguments.
        unsafe { exe.run(&places.map(<*mut u8>::cast_const), &places, &|| false)? };
        // Whole numbers below 2^24: exact.
        let right = |i: usize| x[i] == i as f32 - 2.0 && y[i] == 1.0 - 2.0 * i as f32;
        assert_eq!((0..len).find(|i| !right(*i)), None, "{threads} threads\n{}", exe.program());
    }
    Ok(())
}
