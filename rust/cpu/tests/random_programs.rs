//! Random graphs: whatever rewriting, splitting, fusing and planning do to them, the results are those of the f64
//! reference interpreter, and their bits those of one thread. What is kept of fixed arguments is what they are.

use oxiconv_cpu::exec::Executable;
use oxiconv_cpu::threads::set_num_threads;
use oxiconv_ir::plan::Request;
use oxiconv_ir::reference::{self, Array};
use oxiconv_ir::{Binary, Compose, DType, Emit, Expr, Form, Graph, NodeId, Op, Result, Seat, Type, Unary, Window};
use proptest::prelude::*;

/// A source of choices.
struct Dice(u64);

impl Dice {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        ((self.0 >> 33) % n.max(1) as u64) as usize
    }

    fn pick<T: Clone>(&mut self, list: &[T]) -> T {
        list[self.below(list.len())].clone()
    }
}

/// A graph, the types of its arguments, and what to compute.
struct Case {
    graph: Graph,
    types: Vec<Type>,
    request: Request,
}

/// Batched `[n, 6, 6, 4]` inputs, an unbatched tensor of the same sizes, kernels, and `steps` random ops on them. All
/// functions are continuous and bounded in growth, so that rounding is the only difference.
fn build(dice: &mut Dice, n: usize, steps: usize) -> Result<Case> {
    let mut g = Graph::new();
    let image = Type::f32([n, 6, 6, 4]);
    let types = vec![
        image.clone(),
        image.clone(),
        image.clone(),
        Type::f32([3, 3, 4, 4]),
        Type::f32([1, 1, 4, 4]),
        Type::f32([4, 4]),
        Type::f32([4]),
    ];
    let batched = vec![true, true, false, false, false, false, false];
    let args: Vec<NodeId> = types.iter().enumerate().map(|(i, t)| g.arg(i, t.clone())).collect::<Result<_>>()?;
    let mut images = args[..3].to_vec();
    // Sums over batch and space, of size 4; values of other sizes, as results only.
    let mut vectors = vec![args[6]];
    let mut others: Vec<NodeId> = Vec::new();
    for _ in 0..steps {
        let x = dice.pick(&images);
        let y = dice.pick(&images);
        match dice.below(18) {
            0 => images.push(g.unary(dice.pick(&[Unary::Tanh, Unary::Sin, Unary::Sigmoid, Unary::Neg]), &x)?),
            1 => images.push(g.binary(dice.pick(&[Binary::Add, Binary::Sub, Binary::Max]), &x, &y)?),
            2 => {
                let product = Expr::build(2, |b| {
                    let (x, y) = (b.input(0), b.input(1));
                    let (x, y) = (b.unary(Unary::Tanh, x), b.unary(Unary::Cos, y));
                    b.mul(x, y)
                });
                images.push(g.map(product, DType::F32, &[x, y])?);
            }
            3 | 4 => {
                let (kernel, pad) = dice.pick(&[(args[3], 1), (args[4], 0)]);
                let conv = Op::conv(&image, &g.ty(&kernel), &[1, 1], &[1, 1], &[pad, pad], &[pad, pad], 1)?;
                images.push(g.emit(conv, &[x, kernel])?);
            }
            5 => {
                let (kernel, pad) = (args[3], 1);
                let conv =
                    Op::conv_transpose(&image, &g.ty(&kernel), &[6, 6], &[1, 1], &[1, 1], &[pad, pad], &[pad, pad], 1)?;
                images.push(g.emit(conv, &[kernel, x])?);
            }
            6 | 7 => {
                let v = dice.pick(&vectors);
                let v = g.emit(Op::Broadcast { dims: image.dims.clone(), axes: vec![0, 1, 2] }, &[v])?;
                let op = dice.pick(&[Binary::Add, Binary::Sub, Binary::Mul]);
                let sides = dice.pick(&[(x, v), (v, x)]);
                images.push(g.binary(op, &sides.0, &sides.1)?);
            }
            8 => {
                let v = g.emit(Op::Sum(vec![0, 1, 2]), &[x])?;
                vectors.push(g.unary(Unary::Tanh, &v)?);
            }
            9 => {
                let rows = g.emit(Op::Reshape(vec![n * 36, 4]), &[x])?;
                let y = g.emit(Op::Product { form: Form::MatMul, solve: Seat::Output }, &[rows, args[5]])?;
                images.push(g.emit(Op::Reshape(image.dims.clone()), &[y])?);
            }
            10 => {
                let turned = g.emit(Op::Permute(vec![0, 2, 1, 3]), &[x])?;
                images.push(turned);
            }
            11 => {
                let top = g.emit(Op::Max(vec![3]), &[x])?;
                let top = g.emit(Op::Broadcast { dims: image.dims.clone(), axes: vec![3] }, &[top])?;
                images.push(g.sub(&x, &top)?);
            }
            12 => {
                let size = vec![2, 2];
                let w =
                    Window { input: vec![6, 6], size: size.clone(), stride: size, low: vec![0, 0], high: vec![0, 0] };
                let pooled = g.emit(Op::WindowSum(w.clone()), &[x])?;
                others.push(pooled);
                images.push(g.emit(Op::WindowSpread(w), &[pooled])?);
            }
            13 => {
                let inner = Op::Slice { start: vec![0, 1, 1, 0], stop: vec![n, 5, 6, 4], step: vec![1, 1, 1, 1] };
                let inner = g.emit(inner, &[x])?;
                let pad = Op::Pad { low: vec![0, 1, 1, 0], high: vec![0, 1, 0, 0], interior: vec![0; 4] };
                images.push(g.emit(pad, &[inner])?);
            }
            // Several sums of the same values, over each sample or over the batch.
            15 | 16 => {
                let axes = dice.pick(&[vec![1, 2], vec![0, 1, 2]]);
                let spread = |g: &mut Graph, v: NodeId| {
                    g.emit(Op::Broadcast { dims: image.dims.clone(), axes: axes.clone() }, &[v])
                };
                let count = g.full(1.0 / (if axes.len() == 2 { 36 } else { 36 * n }) as f64, &image)?;
                let shares = g.mul(&x, &count)?;
                let mean = g.emit(Op::Sum(axes.clone()), &[shares])?;
                let mean = spread(&mut g, mean)?;
                let apart = g.sub(&x, &mean)?;
                let terms = [g.mul(&apart, &apart)?, apart, g.mul(&apart, &y)?];
                for term in terms {
                    let share = g.mul(&term, &count)?;
                    let sum = g.emit(Op::Sum(axes.clone()), &[term])?;
                    let sum = spread(&mut g, sum)?;
                    let sum = g.mul(&sum, &count)?;
                    images.push(g.add(&sum, &share)?);
                }
            }
            14 => {
                let joined = g.emit(Op::Concat(3), &[x, y])?;
                let part = Op::Slice { start: vec![0, 0, 0, 2], stop: vec![n, 6, 6, 6], step: vec![1, 1, 1, 1] };
                images.push(g.emit(part, &[joined])?);
            }
            _ => {
                let half = g.full(0.5, &image)?;
                images.push(g.mul(&x, &half)?);
            }
        }
    }
    let last = *images.last().expect("there are images");
    let bounded = g.unary(Unary::Tanh, &last)?;
    let loss = g.emit(Op::Sum(vec![0, 1, 2, 3]), &[bounded])?;
    let mut results = vec![bounded, loss, dice.pick(&images), dice.pick(&vectors)];
    results.extend(others.last());
    results.extend(g.grad(loss, &args)?.into_iter().flatten());
    let fixed = (0..args.len()).map(|i| i > 2 && dice.below(2) == 0).collect();
    Ok(Case { graph: g, types, request: Request { results, batched, updates: vec![], fixed } })
}

fn values(ty: &Type, seed: u64) -> Vec<f32> {
    let mut dice = Dice(seed);
    (0..ty.len()).map(|_| dice.below(2001) as f32 / 1000.0 - 1.0).collect()
}

fn run(graph: &Graph, request: &Request, args: &[Vec<f32>]) -> Result<Vec<Vec<f32>>> {
    run_again(&mut Executable::new(graph, request)?, graph, request, args)
}

fn run_again(exe: &mut Executable, graph: &Graph, request: &Request, args: &[Vec<f32>]) -> Result<Vec<Vec<f32>>> {
    let mut outs: Vec<Vec<f32>> = request.results.iter().map(|r| vec![f32::NAN; graph.node(*r).ty.len()]).collect();
    let inputs: Vec<*const u8> = args.iter().map(|a| a.as_ptr().cast()).collect();
    let outputs: Vec<*mut u8> = outs.iter_mut().map(|o| o.as_mut_ptr().cast()).collect();
    // SAFETY: float tensors of the graph's sizes, each with memory of its own.
    unsafe { exe.run(&inputs, &outputs, &|| false)? };
    Ok(outs)
}

fn bits(v: &[f32]) -> Vec<u32> {
    v.iter().map(|x| x.to_bits()).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn programs_compute_their_graphs(seed: u64, n in 1usize..20, steps in 1usize..14) {
        let mut dice = Dice(seed);
        let Case { graph, types, request } = build(&mut dice, n, steps).unwrap();
        let args: Vec<Vec<f32>> = types.iter().enumerate().map(|(i, t)| values(t, seed ^ (i as u64 * 77))).collect();
        let wide = |v: &Vec<f32>| v.iter().map(|x| f64::from(*x)).collect();
        let arrays: Vec<Array> =
            types.iter().zip(&args).map(|(t, v)| Array::new(t.clone(), wide(v)).unwrap()).collect();
        let want = reference::run(&graph, &arrays, &request.results).unwrap();
        set_num_threads(1);
        let got = run(&graph, &request, &args).unwrap();
        set_num_threads(2);
        let again = run(&graph, &request, &args).unwrap();
        for (r, (got, want)) in got.iter().zip(&want).enumerate() {
            let scale = want.data.iter().fold(1.0f64, |m, v| m.max(v.abs()));
            for (g, w) in got.iter().zip(&want.data) {
                // Up to 14 ops deep, each with sums of at most 720 terms of size up to `scale`: far below 1e-3 of it,
                // far above the effect of any wrong element.
                prop_assert!((f64::from(*g) - w).abs() <= 1e-3 * scale, "result {r}: {g} should be {w}\n{graph}");
            }
            prop_assert_eq!(bits(got), bits(&again[r]));
        }
    }

    #[test]
    fn what_is_kept_is_that_of_the_fixed_arguments(seed: u64, n in 1usize..20, steps in 1usize..14) {
        let mut dice = Dice(seed);
        let Case { graph, types, request } = build(&mut dice, n, steps).unwrap();
        set_num_threads(2);
        let mut exe = Executable::new(&graph, &request).unwrap();
        let mut args: Vec<Vec<f32>> = types.iter().enumerate().map(|(i, t)| values(t, seed ^ (i as u64 * 77))).collect();
        for round in 0..6 {
            // New inputs at each run; new fixed arguments now and then.
            let changed = round > 0 && dice.below(2) == 0;
            for (i, arg) in args.iter_mut().enumerate() {
                if changed || request.fixed.get(i) != Some(&true) {
                    *arg = values(&types[i], seed ^ (i as u64 * 77) ^ (round << 32));
                }
            }
            if changed {
                exe.forget();
            }
            let got = run_again(&mut exe, &graph, &request, &args).unwrap();
            let fresh = run(&graph, &request, &args).unwrap();
            for (got, fresh) in got.iter().zip(&fresh) {
                prop_assert_eq!(bits(got), bits(fresh), "round {}\n{}", round, graph);
            }
        }
    }
}
