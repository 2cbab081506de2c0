//! Whole programs against the f64 reference interpreter, and their bits for different numbers of threads.

use half::{bf16, f16};
use oxiconv_cpu::exec::Executable;
use oxiconv_cpu::threads::set_num_threads;
use oxiconv_ir::op::Dist;
use oxiconv_ir::plan::Request;
use oxiconv_ir::reference::{self, Array};
use oxiconv_ir::widen::widen;
use oxiconv_ir::{Binary, Compose, DType, Emit, Expr, Form, Graph, NodeId, Op, Result, Seat, Type, Unary, Window};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The number of threads is one for the process: tests that set it take turns.
fn turn() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A graph with its arguments' values.
struct Case {
    graph: Graph,
    args: Vec<(Type, Vec<f32>)>,
    batched: Vec<bool>,
}

impl Case {
    fn new() -> Self {
        Self { graph: Graph::new(), args: Vec::new(), batched: Vec::new() }
    }

    /// Values in [-1, 1), the same for the same place; whole ones below `limit` for integers.
    fn arg(&mut self, dtype: DType, dims: &[usize], batched: bool, limit: u64) -> Result<NodeId> {
        let ty = Type::new(dtype, dims);
        let mut state = 0x9E37_79B9_7F4A_7C15u64.wrapping_mul(self.args.len() as u64 + 1);
        let values = (0..ty.len())
            .map(|_| {
                state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
                if dtype.is_float() { (state >> 40) as f32 / 8_388_608.0 - 1.0 } else { ((state >> 40) % limit) as f32 }
            })
            .collect();
        self.args.push((ty.clone(), values));
        self.batched.push(batched);
        self.graph.arg(self.args.len() - 1, ty)
    }

    fn f32(&mut self, dims: &[usize], batched: bool) -> Result<NodeId> {
        self.arg(DType::F32, dims, batched, 0)
    }

    fn bytes(&self) -> Vec<Vec<u8>> {
        let convert = |(ty, values): &(Type, Vec<f32>)| match ty.dtype {
            DType::F32 => values.iter().flat_map(|v| v.to_ne_bytes()).collect(),
            DType::F16 => values.iter().flat_map(|v| f16::from_f32(*v).to_ne_bytes()).collect(),
            DType::Bf16 => values.iter().flat_map(|v| bf16::from_f32(*v).to_ne_bytes()).collect(),
            DType::I64 => values.iter().flat_map(|v| (*v as i64).to_ne_bytes()).collect(),
            DType::I32 => values.iter().flat_map(|v| (*v as i32).to_ne_bytes()).collect(),
            DType::I8 => values.iter().map(|v| *v as i8 as u8).collect(),
            DType::U8 | DType::Bool => values.iter().map(|v| *v as u8).collect(),
            DType::I8 => values.iter().flat_map(|v| (*v as i8).to_ne_bytes()).collect(),
        };
        self.args.iter().map(convert).collect()
    }

    /// The results' bytes.
    fn run(&self, results: &[NodeId]) -> Result<Vec<Vec<u8>>> {
        let request =
            Request { results: results.to_vec(), batched: self.batched.clone(), updates: vec![], fixed: vec![] };
        let mut exe = Executable::new(&self.graph, &request)?;
        // Words, so that memory is aligned.
        let aligned = |bytes: &[u8]| {
            let mut words = vec![0u64; bytes.len().div_ceil(8)];
            // SAFETY: the words have at least as many bytes.
            unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), words.as_mut_ptr().cast(), bytes.len()) };
            words
        };
        let args: Vec<Vec<u64>> = self.bytes().iter().map(|b| aligned(b)).collect();
        let sizes: Vec<usize> = results.iter().map(|r| self.graph.node(*r).ty.bytes()).collect();
        let mut outs: Vec<Vec<u64>> = sizes.iter().map(|s| vec![u64::MAX; s.div_ceil(8)]).collect();
        let inputs: Vec<*const u8> = args.iter().map(|a| a.as_ptr().cast()).collect();
        let outputs: Vec<*mut u8> = outs.iter_mut().map(|o| o.as_mut_ptr().cast()).collect();
        // Twice: what the first run left behind must not matter.
        for _ in 0..2 {
            // SAFETY: memory of the arguments' and results' sizes, each its own.
            unsafe { exe.run(&inputs, &outputs, &|| false)? };
        }
        Ok(outs.iter().zip(sizes).map(|(o, s)| o.iter().flat_map(|w| w.to_ne_bytes()).take(s).collect()).collect())
    }

    /// Compares with the reference: `|error| <= tolerance * max|value|` per result, integers exactly; and the bits of
    /// 1, 2 and 3 threads.
    fn check(&self, results: &[NodeId], tolerance: f64) -> Result<()> {
        self.check_against(results, &self.graph, results, tolerance)
    }

    /// [`Self::check`] with the results of another graph of the same arguments as what they should be.
    fn check_against(&self, results: &[NodeId], graph: &Graph, same: &[NodeId], tolerance: f64) -> Result<()> {
        let _turn = turn();
        let arrays: Vec<Array> = self
            .args
            .iter()
            .map(|(ty, v)| Array::new(ty.clone(), v.iter().map(|x| stored(*x, ty.dtype)).collect()))
            .collect::<Result<_>>()?;
        let want = reference::run(graph, &arrays, same)?;
        set_num_threads(1);
        let got = self.run(results)?;
        for threads in [2, 3] {
            set_num_threads(threads);
            assert_eq!(self.run(results)?, got, "bits with {threads} threads");
        }
        for (r, (got, want)) in got.iter().zip(&want).enumerate() {
            let scale = want.data.iter().fold(0.0f64, |m, v| m.max(v.abs()));
            let bound = if want.ty.dtype.is_float() { tolerance * scale } else { 0.0 };
            for (i, want_i) in want.data.iter().enumerate() {
                let word = |i: usize| [got[4 * i], got[4 * i + 1], got[4 * i + 2], got[4 * i + 3]];
                let got_i = match want.ty.dtype {
                    DType::F32 => f64::from(f32::from_ne_bytes(word(i))),
                    DType::F16 => f16::from_ne_bytes([got[2 * i], got[2 * i + 1]]).to_f64(),
                    DType::Bf16 => bf16::from_ne_bytes([got[2 * i], got[2 * i + 1]]).to_f64(),
                    DType::I64 => i64::from_ne_bytes(got[8 * i..8 * i + 8].try_into().expect("8 bytes")) as f64,
                    DType::I32 => f64::from(i32::from_ne_bytes(word(i))),
                    DType::I8 => f64::from(got[i] as i8),
                    DType::U8 | DType::Bool => f64::from(got[i]),
                    DType::I8 => f64::from(got[i] as i8),
                };
                assert!((got_i - want_i).abs() <= bound, "result {r} [{i}]: {got_i}, should be {want_i} ± {bound}");
            }
        }
        Ok(())
    }
}

/// The value that an element type makes of an argument.
fn stored(x: f32, dtype: DType) -> f64 {
    match dtype {
        DType::F16 => f16::from_f32(x).to_f64(),
        DType::Bf16 => bf16::from_f32(x).to_f64(),
        _ => f64::from(x),
    }
}

fn relu() -> Expr {
    Expr::build(1, |b| {
        let (x, zero) = (b.input(0), b.constant(0.0));
        b.binary(Binary::Max, x, zero)
    })
}

fn window(input: &[usize], size: usize, stride: usize) -> Window {
    let n = input.len();
    Window { input: input.to_vec(), size: vec![size; n], stride: vec![stride; n], low: vec![0; n], high: vec![0; n] }
}

fn repeated(g: &mut Graph, v: NodeId, like: NodeId, kept: usize) -> Result<NodeId> {
    let dims = g.ty(&like).dims;
    let axes = (0..dims.len()).filter(|a| *a != kept).collect();
    g.emit(Op::Broadcast { dims, axes }, &[v])
}

/// Two blocks of convolution, bias, ReLU and 2x2 max-pool, a dense layer, dropout, softmax cross-entropy, and the
/// gradients of all weights. Tolerance: sums of up to 128·26·26 terms, of which a shard adds at most 8 images.
fn convnet(n: usize) -> Result<(Case, Vec<NodeId>)> {
    let mut c = Case::new();
    let x = c.f32(&[n, 28, 28, 1], true)?;
    let label = c.arg(DType::I32, &[n], true, 10)?;
    let classes = c.arg(DType::I32, &[10], false, 10)?;
    let state = c.arg(DType::I32, &[2], false, 1000)?;
    let weights: Vec<NodeId> = [&[3, 3, 1, 32][..], &[32], &[3, 3, 32, 64], &[64], &[1600, 10], &[10]]
        .iter()
        .map(|d| c.f32(d, false))
        .collect::<Result<_>>()?;
    let g = &mut c.graph;
    let mut y = x;
    for (k, b, size) in [(0, 1, 26), (2, 3, 11)] {
        let conv = Op::conv(&g.ty(&y), &g.ty(&weights[k]), &[1, 1], &[1, 1], &[0, 0], &[0, 0], 1)?;
        y = g.emit(conv, &[y, weights[k]])?;
        let bias = repeated(g, weights[b], y, 3)?;
        y = g.add(&y, &bias)?;
        y = g.map(relu(), DType::F32, &[y])?;
        let w = window(&[size, size], 2, 2);
        let index = g.emit(Op::WindowArgMax(w.clone()), &[y])?;
        y = g.emit(Op::WindowTake(w), &[y, index])?;
    }
    y = g.emit(Op::Reshape(vec![n, 1600]), &[y])?;
    let noise = g.emit(Op::Random { dist: Dist::Uniform, dims: vec![n, 1600] }, &[state])?;
    let dropout = Expr::build(2, |b| {
        let (x, u, half, zero) = (b.input(0), b.input(1), b.constant(0.5), b.constant(0.0));
        let keep = b.binary(Binary::Ge, u, half);
        let two = b.constant(2.0);
        let scaled = b.mul(x, two);
        b.select(keep, scaled, zero)
    });
    y = g.map(dropout, DType::F32, &[y, noise])?;
    y = g.emit(Op::Product { form: Form::MatMul, solve: Seat::Output }, &[y, weights[4]])?;
    let bias = repeated(g, weights[5], y, 1)?;
    y = g.add(&y, &bias)?;
    // log-softmax at the label
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
    let mut results = vec![loss, y];
    results.extend(g.grad(loss, &weights)?.into_iter().map(|d| d.expect("every weight matters")));
    Ok((c, results))
}

#[test]
fn a_convnet_and_its_gradients() -> Result<()> {
    for n in [1, 5, 37] {
        let (case, results) = convnet(n)?;
        case.check(&results, 2e-5)?;
    }
    Ok(())
}

/// Batch normalization by its definition, with the gradients of input, scale and shift: three barriers each way.
#[test]
fn batch_normalization() -> Result<()> {
    let mut c = Case::new();
    let x = c.f32(&[24, 6, 6, 10], true)?;
    let weight = c.f32(&[24, 6, 6, 10], true)?;
    let (gamma, beta) = (c.f32(&[10], false)?, c.f32(&[10], false)?);
    let g = &mut c.graph;
    let count = g.constant(1.0 / 864.0, DType::F32)?;
    let count = g.emit(Op::Broadcast { dims: vec![10], axes: vec![0] }, &[count])?;
    let mean = g.emit(Op::Sum(vec![0, 1, 2]), &[x])?;
    let mean = g.mul(&mean, &count)?;
    let wide = repeated(g, mean, x, 3)?;
    let centred = g.sub(&x, &wide)?;
    let square = g.mul(&centred, &centred)?;
    let variance = g.emit(Op::Sum(vec![0, 1, 2]), &[square])?;
    let variance = g.mul(&variance, &count)?;
    let epsilon = g.full(1e-3, &Type::f32([10]))?;
    let variance = g.add(&variance, &epsilon)?;
    let inverse = g.unary(Unary::Rsqrt, &variance)?;
    let factor = g.mul(&inverse, &gamma)?;
    let (factor, shift) = (repeated(g, factor, x, 3)?, repeated(g, beta, x, 3)?);
    let y = g.mul(&centred, &factor)?;
    let y = g.add(&y, &shift)?;
    let weighted = g.mul(&y, &weight)?;
    let loss = g.emit(Op::Sum(vec![0, 1, 2, 3]), &[weighted])?;
    let grads = g.grad(loss, &[x, gamma, beta])?;
    let mut results = vec![y, mean, variance];
    results.extend(grads.into_iter().flatten());
    // Sums of 864 terms in f32, at most 64 in a row: (64 + 5) · 2⁻²⁴ relative to the terms' size, times cancellation.
    c.check(&results, 2e-5)
}

/// Every op that is a step of its own, on batched and unbatched arguments.
#[test]
fn layout_indexing_and_pooling() -> Result<()> {
    let mut c = Case::new();
    let x = c.f32(&[6, 5, 7, 3], true)?;
    let table = c.f32(&[11, 4], false)?;
    let rows = c.arg(DType::I32, &[6, 2], true, 11)?;
    let columns = c.arg(DType::I32, &[4], false, 7)?;
    let places = c.arg(DType::I32, &[6, 3], true, 7)?;
    let state = c.arg(DType::I32, &[2], false, 99)?;
    let g = &mut c.graph;
    let permuted = g.emit(Op::Permute(vec![0, 3, 1, 2]), &[x])?;
    let turned = g.emit(Op::Permute(vec![3, 0, 1, 2]), &[x])?;
    let sliced = g.emit(Op::Slice { start: vec![0, 1, 0, 0], stop: vec![6, 5, 7, 2], step: vec![1, 2, 3, 1] }, &[x])?;
    let some = g.emit(Op::Slice { start: vec![1, 0, 0, 0], stop: vec![6, 5, 7, 3], step: vec![2, 1, 1, 1] }, &[x])?;
    let padded = g.emit(Op::Pad { low: vec![0, 1, 0, 2], high: vec![0, 0, 3, 0], interior: vec![0, 1, 0, 2] }, &[x])?;
    let joined = g.emit(Op::Concat(3), &[x, x])?;
    let stacked = g.emit(Op::Concat(0), &[x, some])?;
    let looked_up = g.emit(Op::Gather { axis: 0 }, &[table, rows])?;
    let picked = g.emit(Op::Gather { axis: 2 }, &[x, columns])?;
    let added = g.emit(Op::ScatterAdd { axis: 0, size: 11 }, &[looked_up, rows])?;
    let put_back = g.emit(Op::ScatterAdd { axis: 2, size: 7 }, &[picked, columns])?;
    let own = g.emit(Op::GatherEach { axis: 2 }, &[x, places])?;
    let own_back = g.emit(Op::ScatterEach { axis: 2, size: 7 }, &[own, places])?;
    let w = window(&[5, 7], 3, 2);
    let pooled = g.emit(Op::WindowSum(w.clone()), &[x])?;
    let spread = g.emit(Op::WindowSpread(w.clone()), &[pooled])?;
    let index = g.emit(Op::WindowArgMax(w.clone()), &[x])?;
    let best = g.emit(Op::WindowTake(w.clone()), &[x, index])?;
    let back = g.emit(Op::WindowPut(w), &[best, index])?;
    let order = g.emit(Op::ArgSort, &[x])?;
    let counted = g.emit(Op::ScatterAdd { axis: 0, size: 11 }, &[rows, rows])?;
    let noise = g.emit(Op::Random { dist: Dist::Normal, dims: vec![6, 5, 7, 3] }, &[state])?;
    let noisy = g.add(&x, &noise)?;
    let tallest = g.emit(Op::Max(vec![0, 2]), &[x])?;
    let widest = g.emit(Op::Max(vec![3]), &[x])?;
    let shape = g.emit(Op::Reshape(vec![30, 21]), &[x])?;
    let results = [
        permuted, turned, sliced, some, padded, joined, stacked, looked_up, picked, added, put_back, own, own_back,
        pooled, spread, index, best, back, order, counted, noisy, tallest, widest, shape,
    ];
    c.check(&results, 1e-6)
}

/// Integer arithmetic keeps its meaning beside float arithmetic that its truth values select.
#[test]
fn integers_decide_what_floats_are() -> Result<()> {
    let mut c = Case::new();
    let (x, y) = (c.f32(&[6, 5], true)?, c.f32(&[6, 5], true)?);
    let (v, w) = (c.arg(DType::I32, &[6, 5], true, 9)?, c.arg(DType::I32, &[6, 5], true, 3)?);
    let g = &mut c.graph;
    let large = g.full(2f64.powi(24), &g.ty(&v))?;
    let three = g.full(3.0, &g.ty(&v))?;
    let zero = g.zeros(&g.ty(&v))?;
    let third = g.div(&v, &three)?;
    let none = g.binary(Binary::Eq, &third, &zero)?;
    let picked = g.map(Expr::select(), DType::F32, &[none, x, y])?;
    // Floats cannot tell 2^24 and 2^24 + 1 apart.
    let (high, higher) = (g.add(&large, &v)?, g.add(&large, &w)?);
    let same = g.binary(Binary::Eq, &high, &higher)?;
    let below = g.binary(Binary::Lt, &x, &y)?;
    let either = g.binary(Binary::Or, &same, &below)?;
    let both = g.binary(Binary::And, &below, &same)?;
    let flag = g.emit(Op::Cast(DType::F32), &[either])?;
    let chosen = g.map(Expr::select(), DType::I32, &[below, high, higher])?;
    let negated = g.unary(Unary::Not, &both)?;
    let counted = g.emit(Op::Cast(DType::I32), &[negated])?;
    c.check(&[picked, flag, chosen, counted], 1e-7)
}

/// Halves are stored and moved as such and computed with in float32; wide integers are exact. Sums over the batch too.
#[test]
fn halves_and_wide_integers() -> Result<()> {
    for (half, rounding) in [(DType::F16, 2f64.powi(-11)), (DType::Bf16, 2f64.powi(-8))] {
        let mut c = Case::new();
        let (x, y) = (c.arg(half, &[6, 5, 4], true, 0)?, c.arg(half, &[6, 5, 4], true, 0)?);
        let g = &mut c.graph;
        let product = g.mul(&x, &y)?;
        let wave = g.unary(Unary::Sin, &product)?;
        let turned = g.emit(Op::Permute(vec![0, 2, 1]), &[wave])?;
        let padded = g.emit(Op::Pad { low: vec![0, 1, 0], high: vec![0, 0, 2], interior: vec![0, 0, 1] }, &[turned])?;
        let tallest = g.emit(Op::Max(vec![0, 1]), &[wave])?;
        let wide = g.emit(Op::Cast(DType::F32), &[turned])?;
        let total = g.emit(Op::Sum(vec![0, 1, 2]), &[wide])?;
        let gradients = g.grad(total, &[x, y])?.into_iter().flatten();
        let results = [product, wave, padded, tallest, total].into_iter().chain(gradients).collect::<Vec<_>>();
        // Three roundings to half one after another, where the reference may round to the neighbour.
        c.check(&results, 3.0 * rounding)?;
    }
    let mut c = Case::new();
    let (x, y) = (c.arg(DType::I64, &[40, 5, 3], true, 1000)?, c.arg(DType::I32, &[40, 5, 3], true, 1000)?);
    let rows = c.arg(DType::I32, &[40], true, 7)?;
    let g = &mut c.graph;
    let large = g.constant(1e9, DType::I64)?;
    let large = g.emit(Op::Broadcast { dims: vec![40, 5, 3], axes: vec![0, 1, 2] }, &[large])?;
    let scaled = g.mul(&x, &large)?;
    let sum = g.add(&scaled, &y)?;
    let per_column = g.emit(Op::Sum(vec![0, 1]), &[sum])?;
    let per_row = g.emit(Op::Sum(vec![2]), &[sum])?;
    let largest = g.emit(Op::Max(vec![1]), &[sum])?;
    let order = g.emit(Op::ArgSort, &[sum])?;
    let turned = g.emit(Op::Permute(vec![0, 2, 1]), &[sum])?;
    let added = g.emit(Op::ScatterAdd { axis: 0, size: 7 }, &[sum, rows])?;
    let positive = g.emit(Op::Cast(DType::Bool), &[sum])?;
    c.check(&[sum, per_column, per_row, largest, order, turned, added, positive], 0.0)
}

/// Stacks of matrices in all three seats, convolution epilogues that are no plain bias and ReLU, residual sums.
/// A value as a mixed-precision policy makes it: computed in float32, rounded to bfloat16.
fn rounded(g: &mut Graph, x: NodeId) -> Result<NodeId> {
    g.emit(Op::Cast(DType::Bf16), &[x])
}

/// Convolutions with bias and ReLU (bounded or not) behind them, statistics of the batch between, and all
/// gradients, with every layer's result a bfloat16: by Winograd's and by direct kernels, with channels that fill vectors
/// and that do not. Against the same roundings in f64: of ten thousand values one is so close to the middle between two
/// bfloat16 that float32 has it on the other side, up to 2⁻⁷ of it away. Results from which the mean is taken may be half
/// of what was rounded; sums have the other terms beside such a one.
#[test]
fn layers_of_bfloat16() -> Result<()> {
    for (n, channels, stride, most) in [(6, 16, 1, None), (5, 12, 2, Some(6.0)), (1, 7, 1, None), (9, 33, 1, Some(1.0))]
    {
        let mut c = Case::new();
        let x = c.arg(DType::U8, &[n, 12, 12, 3], true, 256)?;
        let kernels = [c.f32(&[3, 3, 3, channels], false)?, c.f32(&[3, 3, channels, channels], false)?];
        let biases = [c.f32(&[channels], false)?, c.f32(&[channels], false)?];
        let g = &mut c.graph;
        let pixels = g.emit(Op::Cast(DType::F32), &[x])?;
        let scale = g.full(1.0 / 255.0, &Type::f32([n, 12, 12, 3]))?;
        let mut y = g.mul(&pixels, &scale)?;
        y = rounded(g, y)?;
        for layer in 0..2 {
            let k = rounded(g, kernels[layer])?;
            let (wide, k) = (g.emit(Op::Cast(DType::F32), &[y])?, g.emit(Op::Cast(DType::F32), &[k])?);
            let conv = Op::conv(&g.ty(&wide), &g.ty(&k), &[stride; 2], &[1, 1], &[1, 1], &[1, 1], 1)?;
            y = g.emit(conv, &[wide, k])?;
            y = rounded(g, y)?;
            let bias = rounded(g, biases[layer])?;
            let bias = repeated(g, bias, y, 3)?;
            y = g.map(Expr::binary(Binary::Add), DType::Bf16, &[y, bias])?;
            let relu = Expr::build(1, |b| {
                let (x, zero) = (b.input(0), b.constant(0.0));
                let y = b.binary(Binary::Max, x, zero);
                let bound = most.map(|m| b.constant(m));
                bound.map_or(y, |bound| b.binary(Binary::Min, y, bound))
            });
            y = g.map(relu, DType::Bf16, &[y])?;
            let wide = g.emit(Op::Cast(DType::F32), &[y])?;
            let mean = g.emit(Op::Sum(vec![0, 1, 2]), &[wide])?;
            let positions = g.ty(&wide).len() / channels;
            let scale = g.full(1.0 / positions as f64, &Type::f32([channels]))?;
            let mean = g.mul(&mean, &scale)?;
            let mean = repeated(g, mean, wide, 3)?;
            let centred = g.sub(&wide, &mean)?;
            y = rounded(g, centred)?;
        }
        let wide = g.emit(Op::Cast(DType::F32), &[y])?;
        let square = g.mul(&wide, &wide)?;
        let loss = g.emit(Op::Sum(vec![0, 1, 2, 3]), &[square])?;
        let grads = g.grad(loss, &[kernels[0], kernels[1], biases[0], biases[1]])?;
        let mut results = vec![y, loss];
        results.extend(grads.into_iter().flatten());
        let (wide, same) = widen(&c.graph, &results)?.expect("there is bfloat16");
        c.check_against(&results, &wide, &same, 1.0 / 64.0)?;
    }
    Ok(())
}

/// A product, bias and ReLU that end in bfloat16 and are pooled: the pooled values are bfloat16, whichever kernel pools.
#[test]
fn pooled_layers_of_bfloat16() -> Result<()> {
    for channels in [16, 5] {
        let mut c = Case::new();
        let x = c.f32(&[6, 10, 10, 4], true)?;
        let (kernel, bias) = (c.f32(&[3, 3, 4, channels], false)?, c.f32(&[channels], false)?);
        let g = &mut c.graph;
        let conv = Op::conv(&g.ty(&x), &g.ty(&kernel), &[1, 1], &[1, 1], &[0, 0], &[0, 0], 1)?;
        let y = g.emit(conv, &[x, kernel])?;
        let y = rounded(g, y)?;
        let bias = rounded(g, bias)?;
        let bias = repeated(g, bias, y, 3)?;
        let y = g.map(Expr::binary(Binary::Add), DType::Bf16, &[y, bias])?;
        let y = g.map(relu(), DType::Bf16, &[y])?;
        let wide = g.emit(Op::Cast(DType::F32), &[y])?;
        let w = window(&[8, 8], 2, 2);
        let index = g.emit(Op::WindowArgMax(w.clone()), &[wide])?;
        let pooled = g.emit(Op::WindowTake(w), &[wide, index])?;
        c.check(&[pooled], 1.0 / 128.0)?;
        let bytes = c.run(&[pooled])?;
        assert!(bytes[0].chunks_exact(4).all(|v| v[..2] == [0, 0]), "float32 that bfloat16 does not hold");
    }
    Ok(())
}

#[test]
fn products() -> Result<()> {
    let mut c = Case::new();
    let (a, b) = (c.f32(&[6, 3, 5, 7], true)?, c.f32(&[6, 3, 7, 4], true)?);
    let x = c.f32(&[6, 9, 9, 5], true)?;
    let (k, pointwise) = (c.f32(&[3, 3, 5, 5], false)?, c.f32(&[1, 1, 5, 6], false)?);
    let g = &mut c.graph;
    let product = g.emit(Op::Product { form: Form::MatMul, solve: Seat::Output }, &[a, b])?;
    let conv = Op::conv(&g.ty(&x), &g.ty(&k), &[1, 1], &[1, 1], &[1, 1], &[1, 1], 1)?;
    let y = g.emit(conv, &[x, k])?;
    let y = g.unary(Unary::Tanh, &y)?;
    let y = g.add(&y, &x)?;
    let w = window(&[9, 9], 3, 2);
    let conv = Op::conv(&g.ty(&y), &g.ty(&pointwise), &[1, 1], &[1, 1], &[0, 0], &[0, 0], 1)?;
    let z = g.emit(conv, &[y, pointwise])?;
    let z = g.unary(Unary::Sigmoid, &z)?;
    let index = g.emit(Op::WindowArgMax(w.clone()), &[z])?;
    let z = g.emit(Op::WindowTake(w), &[z, index])?;
    let (one, two) = (g.unary(Unary::Sin, &product)?, g.unary(Unary::Cos, &z)?);
    let (one, two) = (g.emit(Op::Sum(vec![0, 1, 2, 3]), &[one])?, g.emit(Op::Sum(vec![0, 1, 2, 3]), &[two])?);
    let loss = g.add(&one, &two)?;
    let mut results = vec![product, y, z];
    results.extend(g.grad(loss, &[a, b, x, k, pointwise])?.into_iter().flatten());
    c.check(&results, 1e-5)
}

/// Products of whole stages are shared among workers by entries of axis 0: plain, with an expression, pooled both ways.
#[test]
fn products_of_whole_stages_in_pieces() -> Result<()> {
    let mut c = Case::new();
    let (x, k, b) = (c.f32(&[13, 12, 12, 8], false)?, c.f32(&[3, 3, 8, 16], false)?, c.f32(&[16], false)?);
    let (a, m) = (c.f32(&[130, 64], false)?, c.f32(&[64, 96], false)?);
    let g = &mut c.graph;
    let conv = Op::conv(&g.ty(&x), &g.ty(&k), &[1, 1], &[1, 1], &[1, 1], &[1, 1], 1)?;
    let y = g.emit(conv, &[x, k])?;
    let bias = g.emit(Op::Broadcast { dims: vec![13, 12, 12, 16], axes: vec![0, 1, 2] }, &[b])?;
    let shifted = g.add(&y, &bias)?;
    let positive = g.map(relu(), DType::F32, &[shifted])?;
    let w = window(&[12, 12], 2, 2);
    let index = g.emit(Op::WindowArgMax(w.clone()), &[positive])?;
    let best = g.emit(Op::WindowTake(w.clone()), &[positive, index])?;
    let curved = g.unary(Unary::Tanh, &shifted)?;
    let curved_index = g.emit(Op::WindowArgMax(w.clone()), &[curved])?;
    let curved_best = g.emit(Op::WindowTake(w), &[curved, curved_index])?;
    let product = g.emit(Op::Product { form: Form::MatMul, solve: Seat::Output }, &[a, m])?;
    let wave = g.unary(Unary::Sin, &product)?;
    let totals = [best, curved_best, wave].map(|v| g.emit(Op::Sum((0..g.ty(&v).rank()).collect()), &[v]));
    let mut results = vec![best, curved_best, wave];
    for total in totals {
        results.extend(g.grad(total?, &[x, k, a, m])?.into_iter().flatten());
    }
    c.check(&results, 1e-5)
}

/// An index past the end stops the run with an error that names it.
#[test]
fn a_bad_index_is_an_error() -> Result<()> {
    let mut c = Case::new();
    let table = c.f32(&[3, 4], false)?;
    let rows = c.arg(DType::I32, &[64], true, 100)?;
    let y = c.graph.emit(Op::Gather { axis: 0 }, &[table, rows])?;
    let error = c.run(&[y]).expect_err("indices go up to 99");
    assert!(error.to_string().contains("out of range for an axis of size 3"), "{error}");
    Ok(())
}
