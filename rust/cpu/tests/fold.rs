//! Affine maps per channel folded into products: the values of the unfolded graph, and only where that is sound.

use oxiconv_cpu::exec::Executable;
use oxiconv_ir::plan::Request;
use oxiconv_ir::program::{Kind, Step};
use oxiconv_ir::reference::{self, Array};
use oxiconv_ir::{Binary, Compose, DType, Emit, Expr, Form, Graph, NodeId, Op, Result, Seat, Type, Unary, Window};

/// A product `[n, .., channels]` of argument 0 with the fixed argument 1, of so many terms per element.
struct Case {
    graph: Graph,
    types: Vec<Type>,
    product: NodeId,
    terms: usize,
}

/// A way to apply a kernel to arguments.
type Apply = fn(&mut Graph, &Type, &Type, NodeId, NodeId) -> Result<NodeId>;

fn conv(g: &mut Graph, x: &Type, k: &Type, a: NodeId, b: NodeId) -> Result<NodeId> {
    g.emit(Op::conv(x, k, &[1, 1], &[1, 1], &[1, 1], &[1, 1], 1)?, &[a, b])
}

fn strided(g: &mut Graph, x: &Type, k: &Type, a: NodeId, b: NodeId) -> Result<NodeId> {
    g.emit(Op::conv(x, k, &[2, 2], &[1, 1], &[0, 0], &[0, 0], 1)?, &[a, b])
}

fn depthwise(g: &mut Graph, x: &Type, k: &Type, a: NodeId, b: NodeId) -> Result<NodeId> {
    g.emit(Op::conv(x, k, &[1, 1], &[1, 1], &[1, 1], &[1, 1], x.dims[3])?, &[a, b])
}

fn transposed(g: &mut Graph, x: &Type, k: &Type, a: NodeId, b: NodeId) -> Result<NodeId> {
    let input = [x.dims[1] * 2, x.dims[2] * 2];
    g.emit(Op::conv_transpose(x, k, &input, &[2, 2], &[1, 1], &[0, 0], &[0, 0], 1)?, &[b, a])
}

fn matmul(g: &mut Graph, _: &Type, _: &Type, a: NodeId, b: NodeId) -> Result<NodeId> {
    g.emit(Op::Product { form: Form::MatMul, solve: Seat::Output }, &[a, b])
}

fn matmul_transposed(g: &mut Graph, _: &Type, _: &Type, a: NodeId, b: NodeId) -> Result<NodeId> {
    g.emit(Op::Product { form: Form::MatMul, solve: Seat::Input }, &[b, a])
}

fn cases() -> Result<Vec<Case>> {
    let list: [(Apply, &[usize], &[usize], usize); 8] = [
        (conv, &[3, 7, 9, 5], &[3, 3, 5, 19], 45),
        (conv, &[1, 6, 6, 16], &[3, 3, 16, 32], 144),
        (strided, &[2, 9, 9, 3], &[3, 3, 3, 20], 27),
        (depthwise, &[2, 7, 7, 24], &[3, 3, 1, 24], 9),
        (depthwise, &[2, 7, 7, 3], &[3, 3, 1, 3], 9),
        (transposed, &[2, 4, 5, 12], &[2, 2, 7, 12], 12),
        (matmul, &[4, 33], &[33, 21], 33),
        (matmul_transposed, &[4, 21], &[33, 21], 21),
    ];
    list.iter()
        .map(|&(apply, x, k, terms)| {
            let mut graph = Graph::new();
            let mut types = vec![Type::f32(x), Type::f32(k)];
            let (a, b) = (graph.arg(0, types[0].clone())?, graph.arg(1, types[1].clone())?);
            let product = apply(&mut graph, &types[0], &types[1], a, b)?;
            let channels = *graph.ty(&product).dims.last().expect("products have axes");
            // Mean, variance, gamma, beta.
            types.extend((0..4).map(|_| Type::f32([channels])));
            Ok(Case { graph, types, product, terms })
        })
        .collect()
}

impl Case {
    fn channel(&mut self, values: NodeId) -> Result<NodeId> {
        let dims = self.graph.ty(&self.product).dims;
        // A batch of one repeats nothing along axis 0.
        let (first, source) =
            if dims[0] == 1 { (1, vec![1, dims[dims.len() - 1]]) } else { (0, vec![dims[dims.len() - 1]]) };
        let values = self.graph.emit(Op::Reshape(source), &[values])?;
        let axes = (first..dims.len() - 1).collect();
        self.graph.emit(Op::Broadcast { dims, axes }, &[values])
    }

    fn arg(&mut self, index: usize) -> Result<NodeId> {
        self.graph.arg(index, self.types[index].clone())
    }

    /// `(y - mean) · rsqrt(variance + 1) · gamma + beta`, in the small maps that a layer makes.
    fn normalized(&mut self) -> Result<NodeId> {
        let [mean, variance, gamma, beta] = [self.arg(2)?, self.arg(3)?, self.arg(4)?, self.arg(5)?];
        let scale = Expr::build(2, |b| {
            let (variance, gamma, one) = (b.input(0), b.input(1), b.constant(1.0));
            let sum = b.add(variance, one);
            let inverse = b.unary(Unary::Rsqrt, sum);
            b.mul(inverse, gamma)
        });
        let scale = self.graph.map(scale, DType::F32, &[variance, gamma])?;
        let [mean, scale, beta] = [self.channel(mean)?, self.channel(scale)?, self.channel(beta)?];
        let y = self.graph.sub(&self.product, &mean)?;
        let y = self.graph.mul(&y, &scale)?;
        self.graph.add(&y, &beta)
    }

    fn values(&self) -> Vec<Vec<f32>> {
        let value = |i: usize, k: usize| (((k * 7919 + i * 104_729 + 13) % 1009) as f32 / 504.5) - 1.0;
        let all = |(i, t): (usize, &Type)| {
            // Variances are positive.
            (0..t.len()).map(|k| if i == 3 { value(i, k).abs() } else { value(i, k) }).collect()
        };
        self.types.iter().enumerate().map(all).collect()
    }

    fn request(&self, results: &[NodeId], fixed: &[bool]) -> Request {
        let batched = (0..self.types.len()).map(|i| i == 0).collect();
        Request { results: results.to_vec(), batched, updates: vec![], fixed: fixed.to_vec() }
    }

    /// Runs, and compares with the unfolded graph in f64.
    fn check(&self, results: &[NodeId], fixed: &[bool]) -> Result<()> {
        let values = self.values();
        let mut exe = Executable::new(&self.graph, &self.request(results, fixed))?;
        let mut outs: Vec<Vec<f32>> = results.iter().map(|r| vec![f32::NAN; self.graph.node(*r).ty.len()]).collect();
        let inputs: Vec<*const u8> = values.iter().map(|a| a.as_ptr().cast()).collect();
        let outputs: Vec<*mut u8> = outs.iter_mut().map(|o| o.as_mut_ptr().cast()).collect();
        let wide = |v: &Vec<f32>| v.iter().map(|x| f64::from(*x)).collect();
        let arrays = self.types.iter().zip(&values).map(|(t, v)| Array::new(t.clone(), wide(v)));
        let want = reference::run(&self.graph, &arrays.collect::<Result<Vec<_>>>()?, results)?;
        // All arguments are within [-1, 1] and the scale too. Folded weights have 3 roundings (rsqrt to 2 ulp, two
        // products), the sum one per term, the shift 4 of values up to 3: (terms · (terms + 4) + 12) · 2⁻²⁴ in all, and
        // as much again for what is not folded.
        let terms = self.terms as f64;
        let bound = 2.0 * (terms * (terms + 4.0) + 12.0) * f64::from(f32::EPSILON) / 2.0;
        // Twice: the second run reads what the first has kept.
        for _ in 0..2 {
            for out in &mut outs {
                out.fill(f32::NAN);
            }
            // SAFETY: float tensors of the graph's sizes, each with memory of its own; the arguments stay.
            unsafe { exe.run(&inputs, &outputs, &|| false)? };
            for (got, want) in outs.iter().zip(&want) {
                for (g, w) in got.iter().zip(&want.data) {
                    assert!((f64::from(*g) - w).abs() <= bound, "{g} should be {w} ± {bound}\n{exe}");
                }
            }
        }
        Ok(())
    }

    /// The products of the program, with what is fused behind them.
    fn products(&self, results: &[NodeId], fixed: &[bool]) -> Result<Vec<(String, usize)>> {
        let exe = Executable::new(&self.graph, &self.request(results, fixed))?;
        let epilogue = |s: &Step| match &s.kind {
            Kind::Product { epilogue, .. } => {
                Some((epilogue.as_ref().map_or(String::new(), |e| e.expr.to_string()), s.inputs.len()))
            }
            _ => None,
        };
        Ok(exe.program().stages.iter().flat_map(|s| &s.steps).filter_map(epilogue).collect())
    }
}

const FIXED: [bool; 6] = [false, true, true, true, true, true];

#[test]
fn normalization_behind_a_product_becomes_its_kernel_and_a_bias() -> Result<()> {
    for mut case in cases()? {
        let y = case.normalized()?;
        let y = case.graph.unary(Unary::Tanh, &y)?;
        assert_eq!(case.products(&[y], &FIXED)?, [("tanh(in0 + in1)".to_owned(), 3)]);
        case.check(&[y], &FIXED)?;
        // Not fixed, not folded: the same values.
        assert_ne!(case.products(&[y], &[])?, [("tanh(in0 + in1)".to_owned(), 3)]);
        case.check(&[y], &[])?;
    }
    Ok(())
}

#[test]
fn a_bounded_relu_is_part_of_the_kernel_and_pooled_as_it_is() -> Result<()> {
    for mut case in cases()? {
        let y = case.normalized()?;
        let bounded = Expr::build(1, |b| {
            let (x, zero, most) = (b.input(0), b.constant(0.0), b.constant(0.125));
            let positive = b.binary(Binary::Max, x, zero);
            b.binary(Binary::Min, positive, most)
        });
        let y = case.graph.map(bounded, DType::F32, &[y])?;
        let exe = Executable::new(&case.graph, &case.request(&[y], &FIXED))?;
        assert!(exe.to_string().contains("+ bias + relu up to 0.125"), "{exe}");
        case.check(&[y], &FIXED)?;
        let dims = case.graph.ty(&y).dims;
        if let [_, height, width, _] = dims[..] {
            let two = || vec![2, 2];
            let window =
                Window { input: vec![height, width], size: two(), stride: two(), low: vec![0; 2], high: vec![0; 2] };
            let index = case.graph.emit(Op::WindowArgMax(window.clone()), &[y])?;
            // Many windows have several values at the bound: the first of them is the maximum.
            let pooled = case.graph.emit(Op::WindowTake(window), &[y, index])?;
            case.check(&[pooled], &FIXED)?;
        }
    }
    Ok(())
}

#[test]
fn normalization_by_values_that_change_stays() -> Result<()> {
    for mut case in cases()? {
        let y = case.normalized()?;
        for changing in 1..5 {
            let fixed: Vec<bool> = (0..6).map(|i| i > 0 && i != changing).collect();
            // What is in front of it may be folded still.
            let [(epilogue, inputs)] = &case.products(&[y], &fixed)?[..] else { panic!("one product") };
            assert!(*inputs > 3, "argument {changing} changes, but became part of {epilogue}");
            case.check(&[y], &fixed)?;
        }
    }
    Ok(())
}

#[test]
fn a_product_that_others_read_stays() -> Result<()> {
    for mut case in cases()? {
        let y = case.normalized()?;
        let other = case.graph.unary(Unary::Cos, &case.product)?;
        for results in [vec![y, case.product], vec![y, other]] {
            let products = case.products(&results, &FIXED)?;
            assert!(products.iter().all(|(e, _)| e.is_empty()), "{products:?}");
            case.check(&results, &FIXED)?;
        }
    }
    Ok(())
}

#[test]
fn a_map_that_is_not_affine_ends_what_is_folded() -> Result<()> {
    for mut case in cases()? {
        let beta = case.arg(5)?;
        let beta = case.channel(beta)?;
        let gamma = case.arg(4)?;
        let gamma = case.channel(gamma)?;
        let y = case.graph.mul(&case.product, &gamma)?;
        let square = case.graph.mul(&y, &y)?;
        let y = case.graph.mul(&square, &beta)?;
        case.check(&[y], &FIXED)?;
        let products = case.products(&[y], &FIXED)?;
        assert!(products.len() == 1 && !products[0].0.contains("in2"), "{products:?}");
    }
    Ok(())
}
