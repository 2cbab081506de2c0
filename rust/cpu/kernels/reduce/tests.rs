//! Reductions against f64, and against themselves on other instruction sets and unfused.

mod several;

use super::*;
use oxiconv_ir::expr::{Binary, ExprBuilder, Unary};
use proptest::prelude::*;

const U: f64 = 1.0 / (1 << 24) as f64;

fn noise(n: usize, seed: u64) -> Vec<f32> {
    let mut state = seed | 1;
    (0..n)
        .map(|_| {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            (state >> 40) as f32 / 65536.0 - 100.0
        })
        .collect()
}

/// The result's words, from inputs of four bytes each.
fn run<T: Copy>(kernel: &ReduceKernel, n: usize, inputs: &[*const u8], len: usize, fill: T) -> Vec<T> {
    let mut out = vec![fill; len];
    let mut scratch = vec![f32::NAN; kernel.scratch_len()];
    // SAFETY: the caller's inputs have the extents of the operands, the output that of the result.
    unsafe { kernel.run(n, inputs, &[out.as_mut_ptr().cast()], &mut scratch) };
    out
}

/// The values that reduce to each element of the result.
fn buckets(values: &[f64], dims: &[usize], axes: &[usize]) -> Vec<Vec<f64>> {
    let kept = |a: &usize| !axes.contains(a);
    let len = (0..dims.len()).filter(kept).map(|a| dims[a]).product();
    let mut buckets = vec![Vec::new(); len];
    for (i, &v) in values.iter().enumerate() {
        let (mut rest, mut offset, mut stride) = (i, 0, 1);
        for a in (0..dims.len()).rev() {
            if kept(&a) {
                offset += rest % dims[a] * stride;
                stride *= dims[a];
            }
            rest /= dims[a];
        }
        buckets[offset].push(v);
    }
    buckets
}

/// Largest number of additions that a value goes through, rows and columns and trees together.
fn additions(n: usize) -> f64 {
    (16 + 6 + 1 + 2 + 32 + 1 + 6 + 1) as f64 + 2.0 * (n.max(1) as f64).log2()
}

/// Checks `Σ` and `max` of `x·y + 1` with `y` of some repeated axes, and of `x` alone.
fn check(dims: &[usize], n: usize, axes: &[usize], repeat: &[bool]) {
    let mut real = dims.to_vec();
    if let Some(first) = real.first_mut() {
        *first = n;
    }
    let total: usize = real.iter().product();
    let x = noise(total, 3);
    let y = noise(real.iter().zip(repeat).filter(|(_, r)| !**r).map(|(d, _)| d).product(), 5);
    let mut b = ExprBuilder::new(2);
    let (p, q, one) = (b.input(0), b.input(1), b.constant(1.0));
    let product = b.mul(p, q);
    let sum = b.add(product, one);
    let fused = b.finish(&[sum]);
    let operands = [Operand::dense(DType::F32, dims.len()), Operand { dtype: DType::F32, repeat: repeat.to_vec() }];
    let n = if dims.is_empty() { 1 } else { n };
    // What the expression is before the reduction, by the elementwise kernel.
    let map = MapKernel::new(Isa::Scalar, &fused, &operands, &[DType::F32], dims);
    let mut values = vec![0.0f32; total];
    let ins = [x.as_ptr().cast(), y.as_ptr().cast()];
    // SAFETY: the arrays have the extents of the operands and the result.
    unsafe { map.run(n, &ins, &[values.as_mut_ptr().cast()], &mut vec![0.0; map.scratch_len()]) };
    let wide: Vec<f64> = values.iter().map(|&v| v as f64).collect();
    let buckets = buckets(&wide, &real, axes);
    for reduction in [Reduction::Sum, Reduction::Max] {
        let identity = Expr::input(1, 0);
        let kernel = |isa, e, operands| ReduceKernel::new(isa, reduction, e, operands, dims, axes, DType::F32);
        let plain = kernel(Isa::Scalar, &identity, &operands[..1]);
        let first: Vec<f32> = run(&plain, n, &[values.as_ptr().cast()], buckets.len(), f32::NAN);
        for (got, bucket) in first.iter().zip(&buckets) {
            match reduction {
                Reduction::Sum => {
                    let bound = additions(bucket.len()) * U * bucket.iter().map(|v| v.abs()).sum::<f64>();
                    let want: f64 = bucket.iter().sum();
                    assert!(
                        (*got as f64 - want).abs() <= bound,
                        "{real:?} over {axes:?}: {got}, want {want} ± {bound}"
                    );
                }
                Reduction::Max => {
                    assert_eq!(*got as f64, bucket.iter().fold(f64::NEG_INFINITY, |m, &v| m.max(v)));
                }
            }
        }
        let bits = |v: &[f32]| v.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
        for isa in Isa::all_present() {
            let plain =
                run(&kernel(isa, &identity, &operands[..1]), n, &[values.as_ptr().cast()], buckets.len(), 0.0f32);
            let together = run(&kernel(isa, &fused, &operands), n, &ins, buckets.len(), 0.0f32);
            assert_eq!(bits(&plain), bits(&first), "{real:?} over {axes:?} on {}", isa.name());
            assert_eq!(bits(&together), bits(&first), "{real:?} over {axes:?}, fused, on {}", isa.name());
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]
    #[test]
    fn any_axes(
        axes in prop::collection::vec(
            (prop::sample::select(vec![0usize, 1, 1, 2, 3, 5, 17, 33]), any::<bool>(), any::<bool>()), 0..5),
        n in 0usize..6,
    ) {
        let dims: Vec<usize> = axes.iter().enumerate().map(|(a, d)| if a == 0 { d.0.max(n) } else { d.0 }).collect();
        let reduced: Vec<usize> = (0..dims.len()).filter(|&a| axes[a].1).collect();
        let repeat: Vec<bool> = axes.iter().map(|d| d.2).collect();
        check(&dims, n, &reduced, &repeat);
    }
}

#[test]
fn sizes_across_chunks_pieces_and_strips() {
    for (rows, columns) in
        [(1, 5000), (7, 1025), (3000, 1), (300, 3), (5000, 10), (700, 64), (130, 65), (600, 130), (9, 2500), (517, 31)]
    {
        for axes in [vec![0], vec![1], vec![0, 1], vec![]] {
            check(&[rows, columns], rows, &axes, &[true, false]);
        }
    }
    check(&[40, 7, 3, 50], 40, &[0, 2], &[false, true, true, false]);
    check(&[4, 33, 40, 5], 4, &[1, 3], &[false, true, true, false]);
    check(&[4, 70, 40], 3, &[1], &[true, false, false]);
    // Values of each row's own in long rows, which pieces begin and end within.
    for repeat in [[false, true, false], [false, true, true], [false, false, true]] {
        for axes in [vec![1], vec![0, 1], vec![2], vec![0, 1, 2], vec![0]] {
            check(&[5, 97, 50], 4, &axes, &repeat);
        }
    }
}

/// A sum one after another would be wrong by a percent here.
#[test]
fn errors_grow_with_the_logarithm() {
    let n = 1_000_000;
    let x = vec![0.1f32; n];
    let want = 0.1f32 as f64 * n as f64;
    for (dims, axes, additions) in [
        // Lanes, across them, and a tree of 977 chunks.
        (vec![n], vec![0], 16 + 6 + 10 + 1),
        // Groups of rows, chunks, a tree of 123 chunks, the rest, 6 steps of copies.
        (vec![n / 4, 4], vec![0], 2 + 32 + 8 + 1 + 6),
    ] {
        let identity = Expr::input(1, 0);
        let operands = [Operand::dense(DType::F32, dims.len())];
        let kernel = ReduceKernel::new(Isa::active(), Reduction::Sum, &identity, &operands, &dims, &axes, DType::F32);
        let columns = n / dims[0];
        for got in run(&kernel, dims[0], &[x.as_ptr().cast()], columns, 0.0f32) {
            let want = want / columns as f64;
            assert!((got as f64 - want).abs() <= f64::from(additions) * U * want, "{dims:?}: {got}, want {want}");
        }
    }
}

#[test]
fn nan_wins_everywhere() {
    for isa in Isa::all_present() {
        for (rows, columns) in [(3, 5), (70, 3), (5, 200), (2, 1300)] {
            for at in (0..rows * columns).step_by(7) {
                let mut x = noise(rows * columns, 9);
                x[at] = f32::NAN;
                for axis in 0..2 {
                    let kernel = ReduceKernel::new(
                        isa,
                        Reduction::Max,
                        &Expr::input(1, 0),
                        &[Operand::dense(DType::F32, 2)],
                        &[rows, columns],
                        &[axis],
                        DType::F32,
                    );
                    let (hit, len) = if axis == 0 { (at % columns, columns) } else { (at / columns, rows) };
                    let y = run(&kernel, rows, &[x.as_ptr().cast()], len, 0.0f32);
                    for (i, v) in y.iter().enumerate() {
                        assert_eq!(v.is_nan(), i == hit, "{rows}x{columns}, NaN at {at}, axis {axis}, result {i}");
                    }
                }
            }
        }
    }
}

#[test]
fn integers_are_exact_and_wrap() {
    let x: Vec<i32> = (0..2100i32).map(|i| i.wrapping_mul(1_234_567_891)).collect();
    let byte: Vec<u8> = (0..2100).map(|i| (i * 31 % 256) as u8).collect();
    for isa in Isa::all_present() {
        for (axes, len) in [(vec![0], 3), (vec![1], 700), (vec![0, 1], 1)] {
            for reduction in [Reduction::Sum, Reduction::Max] {
                let kernel = |dtype, out| {
                    ReduceKernel::new(
                        isa,
                        reduction,
                        &Expr::input(1, 0),
                        &[Operand::dense(dtype, 2)],
                        &[700, 3],
                        &axes,
                        out,
                    )
                };
                let fold = |values: &mut dyn Iterator<Item = i32>| match reduction {
                    Reduction::Sum => values.fold(0i32, i32::wrapping_add),
                    Reduction::Max => values.fold(i32::MIN, i32::max),
                };
                let place = |i: usize| if len == 3 { i % 3 } else { i / 3 * len / 700 };
                let got = run(&kernel(DType::I32, DType::I32), 700, &[x.as_ptr().cast()], len, 0i32);
                let bytes = run(&kernel(DType::U8, DType::U8), 700, &[byte.as_ptr()], len, 0u8);
                for k in 0..len {
                    assert_eq!(got[k], fold(&mut (0..2100).filter(|&i| place(i) == k).map(|i| x[i])));
                    let want = fold(&mut (0..2100).filter(|&i| place(i) == k).map(|i| byte[i] as i32));
                    assert_eq!(bytes[k], want as u8, "bytes wrap");
                }
            }
        }
    }
}

/// A count of matches, as accuracy needs it: integers in, a float out, and the other way round.
#[test]
fn types_of_inputs_and_result_may_differ() {
    let (a, b): (Vec<i32>, Vec<u8>) = ((0..500).map(|i| i % 7).collect(), (0..500).map(|i| (i % 5) as u8).collect());
    let want = (0..500).filter(|i| i % 7 == i % 5).count();
    let operands = [Operand::dense(DType::I32, 1), Operand::dense(DType::U8, 1)];
    for isa in Isa::all_present() {
        let kernel =
            |out| ReduceKernel::new(isa, Reduction::Sum, &Expr::binary(Binary::Eq), &operands, &[500], &[0], out);
        let ins = [a.as_ptr().cast(), b.as_ptr()];
        assert_eq!(run(&kernel(DType::F32), 500, &ins, 1, 0.0f32), [want as f32]);
        assert_eq!(run(&kernel(DType::I32), 500, &ins, 1, 0i32), [want as i32]);
        // exp has no meaning in integers: floats inside, truncated at the end.
        let exp = Expr::unary(Unary::Exp);
        let kernel = ReduceKernel::new(isa, Reduction::Sum, &exp, &operands[..1], &[500], &[0], DType::I32);
        let sum: f64 = a.iter().map(|&v| (v as f64).exp()).sum();
        let got = run(&kernel, 500, &ins[..1], 1, 0i32)[0] as f64;
        // Each exponential within 2 ULP, 23 additions.
        assert!((got - sum).abs() <= 1.0 + 27.0 * U * sum, "{got}, want {sum}");
    }
}
