//! Several sums in one read: the bits of each alone, computed beforehand on the plainest instruction set.

use super::*;

/// Sums that normalizations take, and some that have no loop of their own, of three dense inputs and one that the axes
/// that vanish share.
fn families() -> Vec<Expr> {
    let family = |f: &dyn Fn(&mut ExprBuilder, [u32; 4]) -> Vec<u32>| {
        let mut b = ExprBuilder::new(4);
        let inputs = std::array::from_fn(|i| b.input(i));
        let outs = f(&mut b, inputs);
        b.finish(&outs)
    };
    let gated = |b: &mut ExprBuilder, z: u32, g: u32| {
        let zero = b.constant(0.0);
        let open = b.binary(Binary::Gt, z, zero);
        b.select(open, g, zero)
    };
    vec![
        family(&|b, [x, .., m]| {
            let c = b.sub(x, m);
            vec![c, b.mul(c, c)]
        }),
        family(&|b, [x, g, _, m]| {
            let c = b.sub(x, m);
            vec![b.mul(c, g), g]
        }),
        family(&|b, [x, g, z, m]| {
            let (c, o) = (b.sub(x, m), gated(b, z, g));
            vec![o, b.mul(o, c)]
        }),
        // One value, two products.
        family(&|b, [x, g, z, m]| {
            let (c, d) = (b.sub(x, m), b.sub(z, m));
            vec![b.mul(g, c), g, b.mul(g, d)]
        }),
        family(&|b, [x, g, ..]| vec![b.mul(x, x), x, b.mul(x, g), g]),
        family(&|b, [x, .., m]| vec![b.sub(x, m)]),
        family(&|b, [_, g, z, _]| vec![gated(b, z, g)]),
        family(&|b, [x, g, _, m]| {
            let c = b.sub(x, m);
            vec![b.mul(g, c)]
        }),
        // Not of columns with loops of their own.
        family(&|b, [x, g, _, m]| {
            let c = b.sub(x, m);
            vec![b.unary(Unary::Abs, c), g, b.sub(m, x)]
        }),
    ]
}

/// `each`: whether outer axes that stay have values of their own in the shared input.
fn check_several(dims: &[usize], n: usize, axes: &[usize], each: bool) {
    let mut real = dims.to_vec();
    real[0] = n;
    let total: usize = real.iter().product();
    let last = axes.iter().copied().max().unwrap_or(0);
    let repeat: Vec<bool> = (0..dims.len()).map(|a| axes.contains(&a) || (!each && a < last)).collect();
    let shared: usize = real.iter().zip(&repeat).filter(|(_, r)| !**r).map(|(d, _)| d).product();
    let arrays = [noise(total, 3), noise(total, 5), noise(total, 7), noise(shared, 9)];
    let ins: Vec<*const u8> = arrays.iter().map(|a| a.as_ptr().cast()).collect();
    let mut operands = vec![Operand::dense(DType::F32, dims.len()); 3];
    operands.push(Operand { dtype: DType::F32, repeat });
    for (f, family) in families().iter().enumerate() {
        let k = family.outs().len();
        let map = MapKernel::new(Isa::Scalar, family, &operands, &[DType::F32; 4][..k], dims);
        let mut values = vec![vec![0.0f32; total]; k];
        let to: Vec<*mut u8> = values.iter_mut().map(|v| v.as_mut_ptr().cast()).collect();
        // SAFETY: the arrays have the extents of the operands and the results.
        unsafe { map.run(n, &ins, &to, &mut vec![0.0; map.scratch_len()]) };
        let plain =
            ReduceKernel::new(Isa::Scalar, Reduction::Sum, &Expr::input(1, 0), &operands[..1], dims, axes, DType::F32);
        let len = (0..dims.len()).filter(|a| !axes.contains(a)).map(|a| real[a]).product();
        let mut wanted: Vec<Vec<f32>> = Vec::new();
        for v in &values {
            let want = run(&plain, n, &[v.as_ptr().cast()], len, f32::NAN);
            let exact: Vec<f64> = v.iter().map(|x| *x as f64).collect();
            for (got, bucket) in want.iter().zip(buckets(&exact, &real, axes)) {
                let bound = additions(bucket.len()) * U * bucket.iter().map(|v| v.abs()).sum::<f64>();
                assert!((*got as f64 - bucket.iter().sum::<f64>()).abs() <= bound, "{real:?} over {axes:?}: {got}");
            }
            wanted.push(want);
        }
        for isa in Isa::all_present() {
            let kernel = ReduceKernel::new(isa, Reduction::Sum, family, &operands, dims, axes, DType::F32);
            let mut outs = vec![vec![f32::NAN; len]; k];
            let to: Vec<*mut u8> = outs.iter_mut().map(|v| v.as_mut_ptr().cast()).collect();
            // SAFETY: as above.
            unsafe { kernel.run(n, &ins, &to, &mut vec![f32::NAN; kernel.scratch_len()]) };
            for (got, want) in outs.iter().zip(&wanted) {
                for (i, (g, w)) in got.iter().zip(want).enumerate() {
                    let name = isa.name();
                    assert_eq!(g.to_bits(), w.to_bits(), "family {f}, {real:?} over {axes:?}, {name}, {i}: {g} {w}");
                }
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]
    #[test]
    fn any_axes_together(
        axes in prop::collection::vec((prop::sample::select(vec![0usize, 1, 2, 3, 5, 17, 33]), any::<bool>()), 1..5),
        n in 0usize..6,
        each in any::<bool>(),
    ) {
        let dims: Vec<usize> = axes.iter().enumerate().map(|(a, d)| if a == 0 { d.0.max(n) } else { d.0 }).collect();
        let reduced: Vec<usize> = (0..dims.len()).filter(|&a| axes[a].1).collect();
        check_several(&dims, n, &reduced, each);
    }
}

/// Channels-last images: channels that fill vectors and others, rows across groups of four, chunks and strips.
#[test]
fn images() {
    for (dims, n) in [
        ([3, 9, 7, 16], 2),
        ([2, 32, 17, 16], 2),
        ([2, 5, 5, 64], 2),
        ([3, 12, 13, 10], 3),
        ([2, 6, 3, 100], 1),
        ([2, 3, 5, 1030], 2),
        ([1, 40, 40, 3], 1),
        ([2, 4, 4, 1], 2),
    ] {
        for axes in [vec![1, 2], vec![0, 1, 2], vec![0], vec![2], vec![1, 2, 3]] {
            for each in [false, true] {
                check_several(&dims, n, &axes, each);
            }
        }
    }
}

/// What the loops are for must not fall back to computing pieces: shapes and expressions of batch normalization.
#[test]
fn normalizations_have_loops() {
    for axes in [vec![1, 2], vec![0, 1, 2]] {
        for (f, family) in families().iter().enumerate() {
            let mut operands = vec![Operand::dense(DType::F32, 4); 3];
            let repeat = (0..4).map(|a| axes.contains(&a)).collect();
            operands.push(Operand { dtype: DType::F32, repeat });
            let kernel =
                ReduceKernel::new(Isa::active(), Reduction::Sum, family, &operands, &[8, 6, 5, 10], &axes, DType::F32);
            assert_eq!(matches!(kernel.source, Source::Passes(_)), f + 1 < families().len(), "family {f}");
        }
    }
}
