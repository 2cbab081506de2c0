//! Elements per nanosecond of elementwise, reduction, pooling and random kernels on data that stays in L2.
#![allow(clippy::print_stdout, reason = "the report is the purpose")]

use oxiconv_cpu::kernels::map::{MapKernel, Operand};
use oxiconv_cpu::kernels::random;
use oxiconv_cpu::kernels::reduce::{ReduceKernel, Reduction};
use oxiconv_cpu::kernels::window;
use oxiconv_cpu::simd::Isa;
use oxiconv_ir::DType;
use oxiconv_ir::Window;
use oxiconv_ir::expr::{Binary, Expr, ExprBuilder, Unary};
use oxiconv_ir::op::Dist;
use std::time::Instant;

/// Best of 20 rounds; of one call with `--smoke`.
fn best(work: usize, mut f: impl FnMut()) -> f64 {
    let smoke = std::env::args().any(|a| a == "--smoke");
    let (rounds, repeat) = if smoke { (1, 1) } else { (20, (4_000_000 / work).max(1)) };
    let round = |f: &mut dyn FnMut()| {
        let start = Instant::now();
        (0..repeat).for_each(|_| f());
        (work * repeat) as f64 / start.elapsed().as_nanos() as f64
    };
    (0..rounds).map(|_| round(&mut f)).fold(0.0, f64::max)
}

fn map(name: &str, isa: Isa, expr: &Expr, operands: &[Operand], dims: &[usize]) {
    let total: usize = dims.iter().product();
    let outs = vec![DType::F32; expr.outs().len()];
    let kernel = MapKernel::new(isa, expr, operands, &outs, dims);
    let inputs = vec![vec![0.5f32; total]; operands.len()];
    let mut outputs = vec![vec![0.0f32; total]; outs.len()];
    let ins: Vec<*const u8> = inputs.iter().map(|x| x.as_ptr().cast()).collect();
    let pointers: Vec<*mut u8> = outputs.iter_mut().map(|y| y.as_mut_ptr().cast()).collect();
    let mut scratch = vec![0.0; kernel.scratch_len()];
    // SAFETY: all arrays have the extent of the result.
    let rate = best(total, || unsafe { kernel.run(dims[0], &ins, &pointers, &mut scratch) });
    // What goes through memory: the operands that are not repeated, and the results.
    let streams = operands.iter().filter(|o| !o.repeat.contains(&true)).count() + outs.len();
    let bytes = rate * (4 * streams) as f64;
    println!("{:8} {name:32} {dims:?}: {rate:.2} elements/ns, {bytes:.1} GB/s", isa.name());
}

/// Batch normalization's maps, with their activations, residual sums and gradients, in L2 and in memory.
fn batch_norm(isa: Isa) {
    let [dense, channel] = [Operand::dense(DType::F32, 2), Operand { dtype: DType::F32, repeat: vec![true, false] }];
    let with = |streams: usize, channels: usize| -> Vec<Operand> {
        std::iter::repeat_n(dense.clone(), streams).chain(std::iter::repeat_n(channel.clone(), channels)).collect()
    };
    // `x` normalized by the channel's values from input `c` on.
    let normalized = |b: &mut ExprBuilder, x: usize, c: usize| {
        let [x, mean, scale, shift] = [x, c, c + 1, c + 2].map(|i| b.input(i));
        let centred = b.sub(x, mean);
        let scaled = b.mul(centred, scale);
        b.add(shift, scaled)
    };
    let relu = |b: &mut ExprBuilder, x| {
        let zero = b.constant(0.0);
        b.binary(Binary::Max, x, zero)
    };
    let plain = Expr::build(4, |b| {
        let x = normalized(b, 0, 1);
        relu(b, x)
    });
    let relu6 = Expr::build(4, |b| {
        let (x, six) = (normalized(b, 0, 1), b.constant(6.0));
        let x = relu(b, x);
        b.binary(Binary::Min, x, six)
    });
    let residual = Expr::build(5, |b| {
        let (x, y) = (normalized(b, 0, 2), b.input(1));
        let sum = b.add(y, x);
        relu(b, sum)
    });
    let both = Expr::build(8, |b| {
        let (x, y) = (normalized(b, 0, 2), normalized(b, 1, 5));
        let x = relu(b, x);
        let sum = b.add(x, y);
        relu(b, sum)
    });
    let backward = Expr::build(6, |b| {
        let [gradient, x, scale, mean, slope, shift] = std::array::from_fn(|i| b.input(i));
        let (centred, two) = (b.sub(x, mean), b.constant(2.0));
        let sloped = b.mul(slope, centred);
        let sloped = b.mul(sloped, two);
        let sloped = b.add(shift, sloped);
        let scaled = b.mul(gradient, scale);
        b.add(scaled, sloped)
    });
    let gated = Expr::build(2, |b| {
        let (x, y, zero) = (b.input(0), b.input(1), b.constant(0.0));
        let positive = b.binary(Binary::Gt, x, zero);
        b.select(positive, y, zero)
    });
    for elements in [1 << 15, 1 << 17, 1 << 23] {
        for channels in [16, 24, 96] {
            let dims = [elements / channels, channels];
            map("norm relu", isa, &plain, &with(1, 3), &dims);
            map("norm relu6", isa, &relu6, &with(1, 3), &dims);
            map("norm add relu", isa, &residual, &with(2, 3), &dims);
            map("norm relu, norm, add, relu", isa, &both, &with(2, 6), &dims);
            map("norm gradient", isa, &backward, &with(2, 4), &dims);
            map("gate", isa, &gated, &with(2, 0), &dims);
        }
    }
}

fn reduce(isa: Isa, reduction: Reduction, expr: &Expr, dims: &[usize], axes: &[usize]) {
    let total: usize = dims.iter().product();
    let x = vec![0.5f32; total];
    let operands = [Operand::dense(DType::F32, dims.len())];
    let kernel = ReduceKernel::new(isa, reduction, expr, &operands, dims, axes, DType::F32);
    let mut out = vec![0.0f32; total];
    let mut scratch = vec![0.0; kernel.scratch_len()];
    let (ins, pointer) = ([x.as_ptr().cast()], out.as_mut_ptr().cast());
    // SAFETY: the arrays have room for input and result.
    let rate = best(total, || unsafe { kernel.run(dims[0], &ins, &[pointer], &mut scratch) });
    println!("{:8} {reduction:?} {expr} {dims:?} over {axes:?}: {rate:.2} elements/ns", isa.name());
}

/// Input elements per nanosecond of 2x2 pooling.
fn pool(isa: Isa, channels: usize) {
    let w = Window { input: vec![26, 26], size: vec![2, 2], stride: vec![2, 2], low: vec![0, 0], high: vec![0, 0] };
    let (ins, outs) = (26 * 26 * channels, 13 * 13 * channels);
    let (x, mut y, mut back) = (vec![0.5; ins], vec![0.0; outs], vec![0.0; ins]);
    let mut index = vec![0u8; outs];
    let at = index.as_mut_ptr();
    // SAFETY: a byte per result.
    let max = best(ins, || unsafe { window::max_pool(isa, &w, channels, 1, &x, &mut y, at) });
    // SAFETY: as above.
    let put = best(ins, || unsafe { window::put(isa, &w, channels, 1, &y, at, &mut back) });
    // SAFETY: as above.
    let take = best(ins, || unsafe { window::take(isa, &w, channels, 1, &x, at, &mut y) });
    let sum = best(ins, || window::sum(isa, &w, channels, 1, &x, &mut y));
    let spread = best(ins, || window::spread(isa, &w, channels, 1, &y, &mut back));
    let name = isa.name();
    println!("{name:8} pool {channels}: max {max:.2}, put {put:.2}, take {take:.2}, sum {sum:.2}, spread {spread:.2}");
}

/// Three results of parameter, two moments and gradient; inputs 4 to 6 are scalars.
fn adam() -> Expr {
    let mut b = ExprBuilder::new(6);
    let [p, m, v, g, rate, root] = std::array::from_fn(|i| b.input(i));
    let [beta1, beta2, eps] = [0.9, 0.999, 1e-7].map(|x| b.constant(x));
    let [rest1, rest2] = [0.1, 0.001].map(|x| b.constant(x));
    let (x, y) = (b.mul(m, beta1), b.mul(g, rest1));
    let m1 = b.add(x, y);
    let square = b.mul(g, g);
    let (x, y) = (b.mul(v, beta2), b.mul(square, rest2));
    let v1 = b.add(x, y);
    let (deviation, step) = (b.unary(Unary::Sqrt, v1), b.mul(m1, rate));
    let scaled = b.mul(deviation, root);
    let bottom = b.add(scaled, eps);
    let change = b.div(step, bottom);
    let p1 = b.sub(p, change);
    b.finish(&[p1, m1, v1])
}

fn main() {
    let mut b = ExprBuilder::new(2);
    let (x, bias, zero) = (b.input(0), b.input(1), b.constant(0.0));
    let sum = b.add(x, bias);
    let relu = b.binary(Binary::Max, sum, zero);
    let bias_relu = b.finish(&[relu]);
    // Instruction sets may be named: `-- avx2`.
    let named: Vec<String> = std::env::args().skip(1).filter(|a| !a.starts_with('-')).collect();
    for isa in Isa::all_present() {
        if !named.is_empty() && !named.iter().any(|n| n == isa.name()) {
            continue;
        }
        batch_norm(isa);
        for channels in [3, 10, 32, 256, 1000] {
            let dims = [65536 / channels, channels];
            let bias = Operand { dtype: DType::F32, repeat: vec![true, false] };
            map("max(x + b[c], 0)", isa, &bias_relu, &[Operand::dense(DType::F32, 2), bias], &dims);
        }
        let column = Operand { dtype: DType::F32, repeat: vec![false, true] };
        map("max(x + b[n], 0)", isa, &bias_relu, &[Operand::dense(DType::F32, 2), column], &[6553, 10]);
        let mut operands = vec![Operand::dense(DType::F32, 1); 4];
        operands.extend(vec![Operand::scalar(DType::F32, 1); 2]);
        map("adam", isa, &adam(), &operands, &[16384]);
        for f in [Unary::Exp, Unary::Tanh, Unary::Sigmoid, Unary::Log, Unary::Erf, Unary::Sin] {
            map(&format!("{f:?}"), isa, &Expr::unary(f), &[Operand::dense(DType::F32, 1)], &[65536]);
        }
        let (x, exp) = (Expr::input(1, 0), Expr::unary(Unary::Exp));
        for (dims, axes) in [
            (vec![65536], vec![0]),
            (vec![6553, 10], vec![1]),
            (vec![65, 1000], vec![1]),
            (vec![6553, 10], vec![0]),
            (vec![2048, 32], vec![0]),
            (vec![256, 256], vec![0]),
            (vec![4, 4096, 4], vec![0, 1]),
            (vec![8, 128, 64], vec![1]),
        ] {
            reduce(isa, Reduction::Sum, &x, &dims, &axes);
            reduce(isa, Reduction::Max, &x, &dims, &axes);
            reduce(isa, Reduction::Sum, &exp, &dims, &axes);
        }
        for channels in [3, 16, 32, 64] {
            pool(isa, channels);
        }
        for dist in [Dist::Uniform, Dist::Normal] {
            let mut y = vec![0.0; 65536];
            let rate = best(y.len(), || random::fill(isa, dist, [1, 2], 0, &mut y));
            println!("{:8} {dist:?}: {rate:.2} elements/ns", isa.name());
        }
        let pow = Expr::binary(Binary::Pow);
        map("Pow", isa, &pow, &[Operand::dense(DType::F32, 1), Operand::dense(DType::F32, 1)], &[32768]);
    }
}
