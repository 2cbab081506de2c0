use super::super::{ConvPlan, Epilogue};
use super::*;
use oxiconv_ir::{Conv, Precision, Seat};
use proptest::prelude::*;

/// `dk` and `Σ |x| |dy|` in f64 from the definition, and products per element.
fn reference(conv: &Conv, n: usize, x: &[f32], y: &[f32]) -> (Vec<f64>, Vec<f64>, usize) {
    let rank = conv.input.len();
    let output = conv.output();
    let (cin, cout) = (conv.cin / conv.groups, conv.cout / conv.groups);
    let taps: usize = conv.kernel.iter().product();
    let (inputs, outputs): (usize, usize) = (conv.input.iter().product(), output.iter().product());
    let mut sum = vec![0.0; taps * cin * conv.cout];
    let mut magnitude = sum.clone();
    let digits = |mut i: usize, dims: &[usize]| {
        let mut at = vec![0; rank];
        for a in (0..rank).rev() {
            at[a] = i % dims[a];
            i /= dims[a];
        }
        at
    };
    for tap in 0..taps {
        let t = digits(tap, &conv.kernel);
        for pixel in 0..outputs {
            let p = digits(pixel, &output);
            let mut position = Some(0);
            for a in 0..rank {
                let at = (p[a] * conv.stride[a] + t[a] * conv.dilation[a]).checked_sub(conv.low[a]);
                position = position
                    .zip(at.filter(|at| *at < conv.input[a]))
                    .map(|(position, at)| position * conv.input[a] + at);
            }
            let Some(position) = position else { continue };
            for sample in 0..n {
                for oc in 0..conv.cout {
                    let dy = f64::from(y[(sample * outputs + pixel) * conv.cout + oc]);
                    for ic in 0..cin {
                        let v = f64::from(x[(sample * inputs + position) * conv.cin + oc / cout * cin + ic]);
                        sum[(tap * cin + ic) * conv.cout + oc] += v * dy;
                        magnitude[(tap * cin + ic) * conv.cout + oc] += (v * dy).abs();
                    }
                }
            }
        }
    }
    (sum, magnitude, n * outputs)
}

/// Values in [-1, 1) that depend on `seed` alone.
fn values(len: usize, seed: u32) -> Vec<f32> {
    let mut s = seed.wrapping_mul(2654435761) | 1;
    (0..len)
        .map(|_| {
            s ^= s << 13;
            s ^= s >> 17;
            s ^= s << 5;
            s as f32 / 2147483648.0 - 1.0
        })
        .collect()
}

/// The bound of a sum of `terms` products in f32: rounding errors of random sign grow with the square root of their
/// number; the constant covers short sums. `u` is half an ulp.
fn bound(terms: usize, magnitude: f64) -> f64 {
    let u = f64::from(f32::EPSILON) / 2.0;
    4.0 * u * ((terms as f64).sqrt() + 4.0) * magnitude
}

fn check(conv: &Conv, n: usize) {
    let x = values(conv.dims(Seat::Input, n).iter().product(), 1);
    let y = values(conv.dims(Seat::Output, n).iter().product(), 2);
    let (sum, magnitude, terms) = reference(conv, n, &x, &y);
    for isa in Isa::all_present() {
        let plan = ConvPlan::new(isa, conv, Seat::Kernel);
        run_and_compare(&plan, n, &x, &y, &sum, &magnitude, terms, &format!("{conv:?}"));
    }
}

fn run_and_compare(
    plan: &ConvPlan,
    n: usize,
    x: &[f32],
    y: &[f32],
    sum: &[f64],
    magnitude: &[f64],
    terms: usize,
    what: &str,
) {
    let mut bits: Option<Vec<u32>> = None;
    // What scratch and result hold beforehand must not matter.
    for dirt in [f32::NAN, 7.0] {
        let mut scratch = vec![dirt; plan.scratch_len()];
        let mut out = vec![dirt; sum.len()];
        plan.run(n, x, y, &mut out, &Epilogue::default(), &mut scratch);
        for (i, v) in out.iter().enumerate() {
            let error = (f64::from(*v) - sum[i]).abs();
            assert!(
                error <= bound(terms, magnitude[i]),
                "{what}: {}: element {i} is {v}, expected {}",
                plan.describe(),
                sum[i]
            );
        }
        let now: Vec<u32> = out.iter().map(|v| v.to_bits()).collect();
        assert!(bits.is_none_or(|b| b == now), "{what}: {}: bits differ between runs", plan.describe());
        bits = Some(now);
    }
}

fn axis() -> impl Strategy<Value = [usize; 6]> {
    (1usize..9, 1usize..4, 1usize..4, 1usize..3, 0usize..3, 0usize..3).prop_map(|(i, k, s, d, l, h)| [i, k, s, d, l, h])
}

prop_compose! {
    fn convs()(
        axes in prop::collection::vec(axis(), 1..4),
        groups in prop::sample::select(vec![1usize, 1, 1, 2, 3]),
        cin in 1usize..20,
        cout in 1usize..40,
    ) -> Conv {
        // Three axes of full length would take the scalar reference too long.
        let shrink = axes.len() == 3;
        let pick = |i: usize| axes.iter().map(|a| a[i]).collect::<Vec<_>>();
        let (kernel, dilation, low, high) = (pick(1), pick(3), pick(4), pick(5));
        // Large enough for one output position.
        let input = (0..axes.len())
            .map(|a| {
                let span = (kernel[a] - 1) * dilation[a] + 1;
                let size = if shrink { axes[a][0].min(4) } else { axes[a][0] };
                size.max(span.saturating_sub(low[a] + high[a])).max(1)
            })
            .collect();
        let (cin, cout) = if shrink { (cin.min(5), cout.min(18)) } else { (cin, cout) };
        Conv { input, kernel, stride: pick(2), dilation, low, high, cin: cin * groups, cout: cout * groups, groups, precision: Precision::Fast }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_convolution(conv in convs(), n in 1usize..4) {
        check(&conv, n);
    }

    #[test]
    fn any_matmul(m in 1usize..40, k in 1usize..70, n in 1usize..70) {
        let (x, y) = (values(m * k, 3), values(m * n, 4));
        let mut sum = vec![0.0; k * n];
        let mut magnitude = sum.clone();
        for r in 0..m {
            for i in 0..k {
                for j in 0..n {
                    let v = f64::from(x[r * k + i]) * f64::from(y[r * n + j]);
                    sum[i * n + j] += v;
                    magnitude[i * n + j] += v.abs();
                }
            }
        }
        for isa in Isa::all_present() {
            let plan = ConvPlan::matmul(isa, k, n, Seat::Kernel);
            run_and_compare(&plan, m, &x, &y, &sum, &magnitude, m, &format!("{k}x{m} times {m}x{n}"));
        }
    }
}

fn plane(size: usize, kernel: usize, stride: usize, pad: usize, cin: usize, cout: usize) -> Conv {
    Conv {
        input: vec![size; 2],
        kernel: vec![kernel; 2],
        stride: vec![stride; 2],
        dilation: vec![1; 2],
        low: vec![pad; 2],
        high: vec![pad; 2],
        cin,
        cout,
        groups: 1,
        precision: Precision::Fast,
    }
}

/// One channel per group, below and from the number of channels that have kernels of their own: whole vectors and
/// some left over, all tap counts with tiles and without, strides, dilation, several bands.
#[test]
fn depthwise() {
    for channels in [2, 7, 8, 13, 16, 37] {
        for kernel in 1..=8 {
            for stride in 1..=3 {
                let conv = Conv { groups: channels, ..plane(13, kernel, stride, kernel / 2, channels, channels) };
                check(&conv, 3);
            }
        }
        check(&Conv { groups: channels, dilation: vec![2, 3], ..plane(15, 3, 2, 2, channels, channels) }, 1);
        check(&Conv { groups: channels, ..plane(3, 3, 1, 1, channels, channels) }, 70);
        check(&Conv { groups: channels, ..plane(1, 3, 1, 4, channels, channels) }, 2);
    }
}

/// Shapes whose samples exceed a band: by rows, by pixels of one row, several samples to a band.
#[test]
fn bands() {
    let long = Conv {
        input: vec![9000],
        kernel: vec![3],
        stride: vec![1],
        dilation: vec![1],
        low: vec![1],
        high: vec![1],
        cin: 3,
        cout: 9,
        groups: 1,
        precision: Precision::Fast,
    };
    let pointwise = plane(70, 1, 1, 0, 7, 17);
    let rows = plane(80, 3, 1, 1, 8, 12);
    let spread = [plane(40, 1, 1, 0, 64, 33), plane(30, 3, 1, 1, 64, 40), plane(66, 2, 2, 0, 128, 32)];
    for conv in spread.iter().chain([&long, &pointwise, &rows]) {
        let plan = Weights::new(Isa::Scalar, &Geometry::new(conv, Seat::Output));
        assert!(plan.bands(2).count() > 2, "{conv:?}");
        check(conv, 2);
    }
    let small = plane(6, 3, 1, 1, 5, 7);
    assert_eq!(Weights::new(Isa::Scalar, &Geometry::new(&small, Seat::Output)).bands(5).count(), 1);
    check(&small, 5);
}

#[test]
fn no_samples_give_zero() {
    let plan = ConvPlan::new(Isa::Scalar, &plane(4, 3, 1, 0, 2, 3), Seat::Kernel);
    let mut out = vec![1.0; 9 * 2 * 3];
    plan.run(0, &[], &[], &mut out, &Epilogue::default(), &mut vec![0.0; plan.scratch_len()]);
    assert!(out.iter().all(|v| *v == 0.0));
}

/// Every element of every line is in exactly one tile, for every instruction set and vector count.
#[test]
fn tiles_partition_the_rows() {
    for isa in Isa::all_present() {
        for (lines, len) in [(1, 1), (3, 3), (9, 1), (5, 5), (25, 1), (7, 21), (3, 9), (4, 100), (27, 2), (1, 1600)] {
            for vectors in 1..10 {
                let columns = tile::choose(isa, lines, len, vectors);
                let covered: usize = columns.iter().map(|c| c.blocks * c.nv).sum();
                assert_eq!(covered, vectors);
                for columns in columns {
                    let mut seen = vec![0; lines * len];
                    for pass in &columns.passes {
                        for at in &pass.tiles {
                            for l in 0..pass.lines {
                                for c in 0..pass.c {
                                    assert!(at.c + c < len);
                                    seen[(at.line + l) * len + at.c + c] += 1;
                                }
                            }
                        }
                    }
                    assert!(seen.iter().all(|s| *s == 1), "{isa:?} {lines} x {len} x {vectors}");
                }
            }
        }
    }
}

/// Pieces of a matrix's gradient write all of it, each its rows, with the bits of the whole.
#[test]
fn pieces_are_rows() {
    for (rows, k, n) in [(5, 40, 10), (32, 400, 120), (7, 33, 17), (3, 2, 5)] {
        let (x, y) = (values(rows * k, 1), values(rows * n, 2));
        for isa in Isa::all_present() {
            let plan = ConvPlan::matmul(isa, k, n, Seat::Kernel);
            let mut scratch = vec![f32::NAN; plan.scratch_len()];
            let mut whole = vec![f32::NAN; k * n];
            plan.run(rows, &x, &y, &mut whole, &Epilogue::default(), &mut scratch);
            for pieces in [1, 2, 3, 16] {
                let mut out = vec![f32::NAN; k * n];
                for piece in 0..pieces {
                    let before = out.clone();
                    // SAFETY: the result is this test's own.
                    unsafe { plan.run_piece(rows, &x, &y, out.as_mut_ptr(), &mut scratch, (piece, pieces)) };
                    let written = |i: &usize| out[*i].to_bits() != before[*i].to_bits();
                    assert!((0..k * n).filter(written).all(|i| before[i].is_nan()), "rows of two pieces");
                }
                assert!(out.iter().zip(&whole).all(|(a, b)| a.to_bits() == b.to_bits()), "{} {pieces}", isa.name());
            }
        }
    }
}
