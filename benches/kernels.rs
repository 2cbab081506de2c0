//! Speed of the convolution kernels, layer by layer, as a share of what the machine's multiply-adds reach in the same
//! run. Prints a Markdown table.
//!
//! `cargo bench --bench kernels [-- FILTER..] [--smoke] [--stream]`: a row runs if its layer, pass and instruction set, as
//! printed, contain all filters. `--smoke` runs each once on one sample. Times are minima over repetitions, on one
//! thread, with the data in cache; with `--stream`, which the Winograd passes have, as in a training step: sources just
//! written, results to memory beyond the caches. Winograd and sparse passes count the operations of the dense convolution.
#![allow(clippy::print_stdout, reason = "a benchmark prints")]

use oxiconv_cpu::kernels::convolution::Convolution;
use oxiconv_cpu::kernels::direct::{ConvPlan, Epilogue, Relu, SparsePlan};
use oxiconv_cpu::kernels::winograd::WinogradPlan;
use oxiconv_cpu::peak::gigaflops;
use oxiconv_cpu::simd::Isa;
use oxiconv_ir::{Conv, Precision, Seat, Window};
use std::ops::{Deref, DerefMut};
use std::time::{Duration, Instant};

/// Multiply-adds of one call, about a millisecond, if that makes at most 64 samples.
const MACS: usize = 50_000_000;

/// Bytes of the tensors with samples, if that makes a sample: those of a step's samples stay in cache.
const BYTES: usize = 768 << 10;

/// Time for one row of the table.
const BUDGET: Duration = Duration::from_millis(60);

struct Layer {
    name: &'static str,
    conv: Conv,
    pool: bool,
}

const fn layer(
    name: &'static str,
    [cin, size, cout, kernel, stride, pad]: [usize; 6],
    pool: bool,
) -> (&'static str, [usize; 6], usize, bool) {
    (name, [cin, size, cout, kernel, stride, pad], 1, pool)
}

fn layers() -> Vec<Layer> {
    // Channels in, size, channels out, kernel, stride, padding; groups; followed by a 2x2 max-pool.
    let table = [
        layer("mnist conv1", [1, 28, 32, 3, 1, 0], true),
        layer("mnist conv2", [32, 13, 64, 3, 1, 0], true),
        layer("lenet conv1", [1, 28, 6, 5, 1, 2], true),
        layer("lenet conv2", [6, 14, 16, 5, 1, 0], true),
        layer("vgg conv1", [3, 32, 32, 3, 1, 1], false),
        layer("vgg conv2", [32, 32, 32, 3, 1, 1], true),
        layer("vgg conv4", [64, 16, 64, 3, 1, 1], true),
        layer("vgg conv6", [128, 8, 128, 3, 1, 1], true),
        layer("resnet20 first", [3, 32, 16, 3, 1, 1], false),
        layer("resnet20 16", [16, 32, 16, 3, 1, 1], false),
        layer("resnet20 32", [32, 16, 32, 3, 1, 1], false),
        layer("resnet20 64", [64, 8, 64, 3, 1, 1], false),
        layer("resnet20 down", [16, 32, 32, 3, 2, 1], false),
        layer("resnet18 first", [3, 224, 64, 7, 2, 3], false),
        layer("resnet18 64", [64, 56, 64, 3, 1, 1], false),
        layer("resnet18 256", [256, 14, 256, 3, 1, 1], false),
        layer("resnet18 512", [512, 7, 512, 3, 1, 1], false),
        layer("pointwise 64-128", [64, 16, 128, 1, 1, 0], false),
        layer("pointwise 64-256", [64, 56, 256, 1, 1, 0], false),
        layer("pointwise 256", [256, 8, 256, 1, 1, 0], false),
        layer("odd 20-50", [20, 24, 50, 5, 1, 0], true),
        ("depthwise 64", [64, 32, 64, 3, 1, 1], 64, false),
        ("depthwise 256", [256, 8, 256, 3, 1, 1], 256, false),
        ("depthwise 96", [96, 14, 96, 5, 1, 2], 96, false),
        ("depthwise 128 down", [128, 16, 128, 3, 2, 1], 128, false),
        // A transposed convolution is the input pass of this one.
        layer("transposed 64-32", [32, 48, 64, 2, 2, 0], false),
    ];
    let two = |v: usize| vec![v; 2];
    table
        .into_iter()
        .map(|(name, [cin, size, cout, kernel, stride, pad], groups, pool)| Layer {
            name,
            conv: Conv {
                input: two(size),
                kernel: two(kernel),
                stride: two(stride),
                dilation: two(1),
                low: two(pad),
                high: two(pad),
                cin,
                cout,
                groups,
                precision: Precision::Fast,
            },
            pool,
        })
        .collect()
}

/// Seconds of the fastest call.
fn fastest(smoke: bool, mut call: impl FnMut()) -> f64 {
    let start = Instant::now();
    let mut best = f64::INFINITY;
    let mut calls = 0;
    while calls == 0 || (!smoke && (calls < 5 || start.elapsed() < BUDGET)) {
        let start = Instant::now();
        call();
        best = best.min(start.elapsed().as_secs_f64());
        calls += 1;
    }
    best
}

/// Memory aligned to cache lines, as that of programs is.
struct Aligned<T> {
    memory: Vec<T>,
    first: usize,
    len: usize,
}

impl<T: Copy> Aligned<T> {
    fn new(len: usize, value: T) -> Self {
        let memory = vec![value; len + 64];
        let first = memory.as_ptr().align_offset(64);
        Self { memory, first, len }
    }
}

impl<T> Deref for Aligned<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        &self.memory[self.first..][..self.len]
    }
}

impl<T> DerefMut for Aligned<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        &mut self.memory[self.first..][..self.len]
    }
}

/// Values in [-1, 1) that depend on `seed` alone.
fn values(len: usize, seed: u32) -> Aligned<f32> {
    let mut s = seed.wrapping_mul(2654435761) | 1;
    let mut values = Aligned::new(len, 0.0);
    for v in values.iter_mut() {
        s ^= s << 13;
        s ^= s >> 17;
        s ^= s << 5;
        *v = s as f32 / 2147483648.0 - 1.0;
    }
    values
}

#[derive(Clone, Copy, PartialEq)]
enum Pass {
    Output,
    Input,
    Kernel,
    Pooled,
    /// With half of the gradient zero where the flag is set, as after a ReLU.
    Sparse(Seat, bool),
}

impl Pass {
    const ALL: [Self; 8] = [
        Self::Output,
        Self::Input,
        Self::Kernel,
        Self::Pooled,
        Self::Sparse(Seat::Input, false),
        Self::Sparse(Seat::Input, true),
        Self::Sparse(Seat::Kernel, false),
        Self::Sparse(Seat::Kernel, true),
    ];

    fn name(self) -> &'static str {
        match self {
            Self::Output => "output",
            Self::Input => "input",
            Self::Kernel => "kernel",
            Self::Pooled => "pooled",
            Self::Sparse(Seat::Input, false) => "sparse input",
            Self::Sparse(Seat::Input, true) => "sparse input, half dead",
            Self::Sparse(_, false) => "sparse kernel",
            Self::Sparse(_, true) => "sparse kernel, half dead",
        }
    }
}

/// Seconds for `n` samples, and how they were computed; none if there is no such plan.
fn measure(layer: &Layer, pass: Pass, winograd: bool, isa: Isa, n: usize, smoke: bool) -> Option<(f64, String)> {
    let conv = &layer.conv;
    let len = |seat| conv.dims(seat, n).iter().product::<usize>();
    let (x, kernel, y) = (values(len(Seat::Input), 1), values(len(Seat::Kernel), 2), values(len(Seat::Output), 3));
    let output = conv.output();
    let none = vec![0; output.len()];
    let window = Window {
        size: vec![2; output.len()],
        stride: vec![2; output.len()],
        input: output,
        low: none.clone(),
        high: none,
    };
    let pooled = n * window.output().iter().product::<usize>() * conv.cout;
    let plan = |solve, window: Option<&Window>| match (winograd, window) {
        (true, window) => WinogradPlan::new(isa, conv, solve, window).map(Convolution::Winograd),
        (false, Some(window)) => Some(Convolution::Direct(Box::new(ConvPlan::pooled(isa, conv, window)))),
        (false, None) => Some(Convolution::Direct(Box::new(ConvPlan::new(isa, conv, solve)))),
    };
    match pass {
        Pass::Output | Pass::Input | Pass::Kernel => {
            let (solve, a, out) = match pass {
                Pass::Output => (Seat::Output, &x, y.len()),
                Pass::Input => (Seat::Input, &y, x.len()),
                _ => (Seat::Kernel, &x, kernel.len()),
            };
            let plan = plan(solve, None)?;
            let mut packed = Aligned::new(plan.packed_len(), 0.0);
            let b = if pass == Pass::Kernel {
                &y
            } else {
                plan.pack(&kernel, &mut packed);
                &packed
            };
            let (mut out, mut scratch) = (Aligned::new(out, 0.0), Aligned::new(plan.scratch_len(), 0.0));
            let seconds = fastest(smoke, || plan.run(n, a, b, &mut out, &Epilogue::default(), &mut scratch));
            Some((seconds, plan.describe()))
        }
        Pass::Pooled => {
            let plan = plan(Seat::Output, Some(&window))?;
            let mut packed = Aligned::new(plan.packed_len(), 0.0);
            plan.pack(&kernel, &mut packed);
            let bias = values(conv.cout, 4);
            let epilogue = Epilogue { bias: Some(&bias), relu: Relu::Yes, ..Epilogue::default() };
            let (mut out, mut index) = (Aligned::new(pooled, 0.0), Aligned::new(pooled, 0));
            let mut scratch = Aligned::new(plan.scratch_len(), 0.0);
            let seconds =
                fastest(smoke, || plan.run_pooled(n, &x, &packed, &mut out, &mut index, &epilogue, &mut scratch));
            Some((seconds, plan.describe()))
        }
        Pass::Sparse(..) if winograd => None,
        Pass::Sparse(solve, half) => {
            let plan = SparsePlan::new(isa, conv, &window, solve)?;
            let alive = values(pooled, 5);
            let (mut g, mut index) = (values(pooled, 6), Aligned::new(pooled, 0));
            g.iter_mut().zip(alive.iter()).filter(|(_, a)| half && **a < 0.0).for_each(|(g, _)| *g = 0.0);
            index.iter_mut().zip(values(pooled, 7).iter()).for_each(|(i, v)| *i = ((v + 1.0) * 2.0) as u8 % 4);
            let mut packed = Aligned::new(plan.packed_len(), 0.0);
            let (a, out) = if solve == Seat::Input {
                plan.pack(&kernel, &mut packed);
                (&packed, x.len())
            } else {
                (&x, kernel.len())
            };
            let (mut out, mut scratch) = (Aligned::new(out, 0.0), Aligned::new(plan.scratch_len(), 0.0));
            let seconds = fastest(smoke, || plan.run(n, a, &g, &index, &mut out, &mut scratch));
            Some((seconds, plan.describe()))
        }
    }
}

/// Seconds for `batch` samples as a training step computes them, `n` at a time: sources have just been written, and
/// results go to memory that is in no cache. None if there is no such plan.
fn stream(
    layer: &Layer,
    pass: Pass,
    winograd: bool,
    isa: Isa,
    n: usize,
    batch: usize,
    smoke: bool,
) -> Option<(f64, String)> {
    if !winograd {
        return None;
    }
    let conv = &layer.conv;
    let len = |seat, n| conv.dims(seat, n).iter().product::<usize>();
    let solve = match pass {
        Pass::Output => Seat::Output,
        Pass::Input => Seat::Input,
        Pass::Kernel => Seat::Kernel,
        Pass::Pooled | Pass::Sparse(..) => return None,
    };
    let plan = Convolution::Winograd(WinogradPlan::new(isa, conv, solve, None)?);
    let [from, to] = match solve {
        Seat::Input => [Seat::Output, Seat::Input],
        _ => [Seat::Input, Seat::Output],
    }
    .map(|seat| len(seat, 1));
    let (kernel, fresh) = (values(len(Seat::Kernel, 1), 2), [values(n * from, 1), values(n * to, 3)]);
    let mut packed = Aligned::new(plan.packed_len(), 0.0);
    if solve != Seat::Kernel {
        plan.pack(&kernel, &mut packed);
    }
    let (mut a, mut b) = (Aligned::new(n * from, 0.0), Aligned::new(n * to, 0.0));
    // More than any cache.
    let mut far = Aligned::new(if smoke { batch * to } else { (batch * to).max(16 << 20) }, 0.0);
    let (mut gradient, mut scratch) = (Aligned::new(kernel.len(), 0.0), Aligned::new(plan.scratch_len(), 0.0));
    let (start, mut best, mut calls, mut at) = (Instant::now(), f64::INFINITY, 0, 0);
    while calls == 0 || (!smoke && (calls < 5 || start.elapsed() < 5 * BUDGET)) {
        let mut seconds = 0.0;
        for _ in (0..batch).step_by(n) {
            a.copy_from_slice(&fresh[0]);
            if solve == Seat::Kernel {
                b.copy_from_slice(&fresh[1]);
            }
            at = if at + n * to > far.len() { 0 } else { at };
            let start = Instant::now();
            if solve == Seat::Kernel {
                plan.run(n, &a, &b, &mut gradient, &Epilogue::default(), &mut scratch);
            } else {
                plan.run(n, &a, &packed, &mut far[at..at + n * to], &Epilogue::default(), &mut scratch);
            }
            seconds += start.elapsed().as_secs_f64();
            at += n * to;
        }
        best = best.min(seconds);
        calls += 1;
    }
    Some((best, plan.describe()))
}

fn main() {
    // Cargo passes `--bench`; any other flag is for test harnesses.
    let (flags, filters): (Vec<String>, Vec<String>) = std::env::args().skip(1).partition(|a| a.starts_with("--"));
    let smoke = flags.iter().any(|f| f == "--smoke") || std::env::var_os("OXICONV_BENCH_SMOKE").is_some();
    let mut isas = Isa::all_present();
    // Scalar is for machines without anything else.
    if isas.len() > 1 && !smoke {
        isas.retain(|i| *i != Isa::Scalar);
    }
    let peaks: Vec<f64> = isas.iter().map(|isa| gigaflops(*isa)).collect();
    for (isa, peak) in isas.iter().zip(&peaks) {
        println!("Multiply-adds in registers, {}: {peak:.1} GFLOP/s", isa.name());
    }
    println!("\n| layer | shape | pass | isa | GFLOP/s | of peak | plan |\n|---|---|---|---|--:|--:|---|");
    for layer in layers() {
        let Conv { cin, cout, input, kernel, stride, groups, .. } = &layer.conv;
        let shape = format!("{cin}->{cout} {}x{} k{} s{} g{groups}", input[0], input[1], kernel[0], stride[0]);
        for pass in Pass::ALL {
            if !layer.pool && matches!(pass, Pass::Pooled | Pass::Sparse(..)) {
                continue;
            }
            for (winograd, (isa, peak)) in
                [false, true].into_iter().flat_map(|w| isas.iter().zip(&peaks).map(move |i| (w, i)))
            {
                let method = if winograd { ", winograd" } else { "" };
                let row = format!("| {} | {shape} | {}{method} | {} |", layer.name, pass.name(), isa.name());
                if !filters.iter().all(|f| row.contains(f.as_str())) {
                    continue;
                }
                let macs = layer.conv.macs();
                let len = |seat| layer.conv.dims(seat, 1).iter().product::<usize>();
                let bytes = (len(Seat::Input) + len(Seat::Output)) * size_of::<f32>();
                let n = if smoke { 1 } else { (MACS / macs).min(BYTES / bytes).clamp(1, 64) };
                let (samples, measured) = if flags.iter().any(|f| f == "--stream") {
                    let batch = 32usize.next_multiple_of(n);
                    (batch, stream(&layer, pass, winograd, *isa, n, batch, smoke))
                } else {
                    (n, measure(&layer, pass, winograd, *isa, n, smoke))
                };
                if let Some((seconds, plan)) = measured {
                    let speed = 2.0 * (macs * samples) as f64 / seconds / 1e9;
                    println!("{row} {speed:.1} | {:.0} % | {plan} |", 100.0 * speed / peak);
                }
            }
        }
    }
}
