//! Winograd convolution against the definition in f64, on every instruction set of this machine.

mod definition;

use definition::{Case, len, pool, products, reference, square, values, window2};
use oxiconv_cpu::kernels::convolution::Convolution;
use oxiconv_cpu::kernels::direct::{Epilogue, Gate, Relu};
use oxiconv_cpu::kernels::winograd::WinogradPlan;
use oxiconv_cpu::simd::Isa;
use oxiconv_ir::{Conv, Precision, Seat};
use proptest::prelude::*;

/// The transforms of the source, of the kernel and of the result.
type Matrices = ([[f64; 6]; 6], [[f64; 3]; 6], [[f64; 6]; 4]);

/// Sizes of the entries of the three transforms at the points 0, ±5/8, ±3/2, ∞: of the source, of the kernel and of the
/// result.
fn matrices() -> Matrices {
    let points = [0.0f64, 0.625, -0.625, 1.5, -1.5];
    let (mut source, mut kernel, mut result) = ([[0.0; 6]; 6], [[0.0; 3]; 6], [[0.0; 6]; 4]);
    for (i, p) in points.iter().enumerate() {
        // Coefficients of the polynomial that vanishes at the other points.
        let mut poly = vec![1.0];
        for q in points.iter().filter(|q| *q != p) {
            let mut next = vec![0.0; poly.len() + 1];
            for (k, c) in poly.iter().enumerate() {
                next[k + 1] += c;
                next[k] -= c * q;
            }
            poly = next;
        }
        let scale: f64 = points.iter().filter(|q| *q != p).map(|q| p - q).product();
        for (k, c) in poly.iter().enumerate() {
            source[i][k] = c.abs();
        }
        for k in 0..4 {
            result[k][i] = p.abs().powi(k as i32);
            if k < 3 {
                kernel[i][k] = (p.powi(k as i32) / scale).abs();
            }
        }
    }
    let (p, q) = (0.625f64.powi(2), 1.5f64.powi(2));
    source[5] = [0.0, p * q, 0.0, p + q, 0.0, 1.0];
    (kernel[5][2], result[3][5]) = (1.0, 1.0);
    (source, kernel, result)
}

/// `left · x · leftᵀ` of a square matrix of values that `x` gives.
fn both<const R: usize, const C: usize>(left: &[[f64; C]; R], x: impl Fn(usize, usize) -> f64) -> [[f64; R]; R] {
    let mut out = [[0.0; R]; R];
    for (i, row) in out.iter_mut().enumerate() {
        for (j, out) in row.iter_mut().enumerate() {
            *out =
                (0..C).flat_map(|a| (0..C).map(move |b| (a, b))).map(|(a, b)| left[i][a] * left[j][b] * x(a, b)).sum();
        }
    }
    out
}

/// The largest result that the transforms would give if nothing cancelled: of sources up to 1, kernels up to 1, for one
/// pair of channels. With `u = 2⁻²⁴`, a result that takes `r` roundings in sequence is off by at most `r·u` of this.
/// They are 4 in the source transform, 6 in the kernel's, 6 in the result's and 1 of the bias, and those of a sum of
/// `terms` products, which grow as their root.
fn bound(amplification: f64, terms: usize) -> f64 {
    0.5f64.powi(24) * (17.0 + (terms as f64).sqrt()) * amplification
}

fn largest(values: &[f32]) -> f64 {
    values.iter().fold(0.0, |m, v| m.max(f64::from(v.abs())))
}

/// As [`bound`] says, for the forward pass or backward data of `channels` source channels.
fn gather_bound(channels: usize, a: &[f32], kernel: &[f32]) -> f64 {
    let (source, weights, result) = matrices();
    let (v, u) = (both(&source, |_, _| 1.0), both(&weights, |_, _| 1.0));
    let y = both(&result, |i, j| u[i][j] * v[i][j]);
    let most = y.iter().flatten().fold(0.0f64, |m, v| m.max(*v));
    bound(most * channels as f64 * largest(a) * largest(kernel), channels)
}

impl Case {
    fn plan(&self, isa: Isa, pools: bool) -> (WinogradPlan, Vec<f32>) {
        let window = pools.then(|| window2(&self.conv, 2, 2, 0));
        let plan = WinogradPlan::new(isa, &self.conv, self.solve, window.as_ref()).expect("3x3 at stride 1");
        // NaN wherever the plan does not write.
        let mut packed = vec![f32::NAN; plan.packed_len()];
        plan.pack(&self.kernel, &mut packed);
        assert!(packed.iter().all(|v| !v.is_nan()), "packed kernels are written completely");
        (plan, packed)
    }

    /// The result, computed `step` samples at a time.
    fn run(&self, isa: Isa, step: usize, epilogue: &Epilogue) -> Vec<f32> {
        let (plan, packed) = self.plan(isa, false);
        let mut out = vec![f32::NAN; len(&self.conv.dims(self.solve, self.n))];
        let mut scratch = vec![f32::NAN; plan.scratch_len()];
        let (from, to) = (self.a.len() / self.n, out.len() / self.n);
        for first in (0..self.n).step_by(step) {
            let count = step.min(self.n - first);
            let a = &self.a[first * from..(first + count) * from];
            let range = first * to..(first + count) * to;
            let part = Epilogue {
                added: epilogue.added.map(|added| &added[range.clone()]),
                gate: epilogue.gate.map(|g| Gate { values: &g.values[range.clone()], ..g }),
                ..*epilogue
            };
            plan.run(count, a, &packed, &mut out[range], &part, &mut scratch);
        }
        out
    }

    fn check(&self) {
        let expected = reference(&self.conv, self.solve, self.n, &self.a, &self.kernel);
        let channels = if self.solve == Seat::Output { self.conv.cin } else { self.conv.cout };
        let bound = gather_bound(channels, &self.a, &self.kernel);
        for isa in Isa::all_present() {
            let plain = self.run(isa, self.n, &Epilogue::default());
            let full =
                self.run(isa, self.n, &Epilogue { bias: Some(&self.bias), relu: Relu::Yes, ..Epilogue::default() });
            let bounded = self.run(
                isa,
                self.n,
                &Epilogue { bias: Some(&self.bias), relu: Relu::UpTo(0.25), ..Epilogue::default() },
            );
            for (i, &(sum, ..)) in expected.iter().enumerate() {
                let case = || format!("{} {:?} {:?} element {i}", isa.name(), self.solve, self.conv);
                assert!((f64::from(plain[i]) - sum).abs() <= bound, "{}: {} for {sum}", case(), plain[i]);
                let biased = (sum + f64::from(self.bias[i % self.bias.len()])).max(0.0);
                assert!((f64::from(full[i]) - biased).abs() <= bound, "{}: {} for {biased}", case(), full[i]);
                assert_eq!(bounded[i].to_bits(), full[i].min(0.25).to_bits(), "{}: bounded", case());
            }
            let split = self.run(isa, 1, &Epilogue::default());
            assert_eq!(bits(&plain), bits(&split), "{} {:?}: bits of split batches", isa.name(), self.conv);
            self.check_elementwise(isa);
            if self.solve == Seat::Output && self.conv.output().iter().all(|s| *s > 1) {
                self.check_pooled(isa, &full);
            }
        }
    }

    /// What results meet in registers has the bits of the same work on a result in memory.
    fn check_elementwise(&self, isa: Isa) {
        let epilogue = Epilogue { bias: Some(&self.bias), ..Epilogue::default() };
        let biased = self.run(isa, self.n, &epilogue);
        let (added, mut gates) = (values(biased.len(), 8), values(biased.len(), 9));
        // Neither is open.
        gates.iter_mut().step_by(7).for_each(|g| *g = 0.0);
        gates.iter_mut().step_by(11).for_each(|g| *g = f32::NAN);
        let gate = Some(Gate { values: &gates, below: None });
        for (added, gate) in [(Some(&added), None), (None, gate), (Some(&added), gate)] {
            for relu in [Relu::No, Relu::Yes] {
                let expected = biased.iter().enumerate().map(|(i, y)| {
                    let sum = added.map_or(*y, |added| y + added[i]);
                    let opens = gate.is_none_or(|gate| gate.values[i] > 0.0);
                    if opens && !(relu == Relu::Yes && sum <= 0.0) { sum } else { 0.0 }
                });
                let epilogue = Epilogue { added: added.map(|v| &v[..]), relu, gate, ..epilogue };
                let got = self.run(isa, 1, &epilogue);
                assert_eq!(bits(&got), bits(&expected.collect::<Vec<_>>()), "{} {:?}", isa.name(), self.conv);
            }
        }
    }

    /// Pooling in registers gives the bits of pooling the result `y`.
    fn check_pooled(&self, isa: Isa, y: &[f32]) {
        let (values, index) = pool(y, self.n, self.conv.cout, &window2(&self.conv, 2, 2, 0));
        let (plan, packed) = self.plan(isa, true);
        let mut scratch = vec![f32::NAN; plan.scratch_len()];
        let (mut got, mut at) = (vec![7.0; values.len()], vec![255; index.len()]);
        let epilogue = Epilogue { bias: Some(&self.bias), relu: Relu::Yes, ..Epilogue::default() };
        plan.run_pooled(self.n, &self.a, &packed, &mut got, &mut at, &epilogue, &mut scratch);
        assert_eq!(at, index, "{} {:?}", plan.describe(), self.conv);
        assert_eq!(bits(&got), bits(&values), "{} {:?}", plan.describe(), self.conv);
    }
}

fn bits(v: &[f32]) -> Vec<u32> {
    v.iter().map(|v| if v.is_nan() { f32::NAN.to_bits() } else { v.to_bits() }).collect()
}

#[test]
fn every_channel_count_in_both_directions() {
    for cin in [1, 3, 4, 8, 16, 17, 40] {
        for cout in [1, 3, 8, 10, 16, 24, 33, 48] {
            for solve in [Seat::Output, Seat::Input] {
                Case::new(&square(6, 3, 1, 1, cin, cout), solve, 2).check();
            }
        }
    }
}

#[test]
fn every_size_padding_and_number_of_tiles() {
    for size in 1..14 {
        for pad in 0..4 {
            if size + 2 * pad < 3 {
                continue;
            }
            for n in [1, 3] {
                Case::new(&square(size, 3, 1, pad, 5, 9), Seat::Output, n).check();
                if pad < 3 {
                    Case::new(&square(size, 3, 1, pad, 5, 9), Seat::Input, n).check();
                }
            }
        }
    }
}

#[test]
fn uneven_padding_and_pictures_that_are_not_square() {
    let conv = Conv { input: vec![5, 11], low: vec![0, 2], high: vec![1, 0], ..square(5, 3, 1, 0, 7, 20) };
    Case::new(&conv, Seat::Output, 3).check();
    Case::new(&conv, Seat::Input, 3).check();
}

#[test]
fn blocks_of_many_tiles_and_many_channels() {
    Case::new(&square(16, 3, 1, 1, 48, 40), Seat::Output, 3).check();
    Case::new(&square(9, 3, 1, 1, 130, 70), Seat::Input, 2).check();
}

/// Activations after a ReLU: the largest error is at most five times that of a plain float32 sum over channels and taps
/// (twice in the mean; at the points 0, ±1, ±2, ∞ five to ten times).
#[test]
fn the_error_is_near_that_of_a_plain_sum() {
    for channels in [16, 64, 256] {
        let mut case = Case::new(&square(10, 3, 1, 1, channels, 16), Seat::Output, 2);
        case.a.iter_mut().for_each(|v| *v = v.max(0.0));
        let expected = reference(&case.conv, case.solve, case.n, &case.a, &case.kernel);
        let mut sums = vec![0.0f32; expected.len()];
        products(&case.conv, case.n, |x, k, y| sums[y] = case.a[x].mul_add(case.kernel[k], sums[y]));
        let error = |got: &[f32]| {
            got.iter().zip(&expected).fold(0.0f64, |most, (got, (sum, ..))| most.max((f64::from(*got) - sum).abs()))
        };
        let plain = error(&sums);
        for isa in Isa::all_present() {
            let tiles = error(&case.run(isa, case.n, &Epilogue::default()));
            assert!(tiles <= 5.0 * plain, "{} {channels} channels: {tiles:.1e}, plain {plain:.1e}", isa.name());
        }
    }
}

/// The gradient of the kernel, against a bound derived as for the other seats: roundings of the transforms are 4, 4 and
/// 6, and the sum over tiles is at most a chain of all of them.
#[test]
fn gradients_of_kernels() {
    for (size, pad, cin, cout, n) in
        [(6, 1, 1, 1, 1), (7, 0, 3, 10, 2), (9, 1, 16, 33, 3), (5, 2, 17, 8, 4), (13, 1, 20, 24, 9), (4, 1, 40, 64, 20)]
    {
        let conv = square(size, 3, 1, pad, cin, cout);
        let (x, dy) = (values(len(&conv.dims(Seat::Input, n)), 1), values(len(&conv.dims(Seat::Output, n)), 2));
        let expected = reference(&conv, Seat::Kernel, n, &x, &dy);
        let (source, weights, result) = matrices();
        let transposed: [[f64; 4]; 6] = std::array::from_fn(|i| std::array::from_fn(|j| result[j][i]));
        let (v, y) = (both(&source, |_, _| 1.0), both(&transposed, |_, _| 1.0));
        let back: [[f64; 6]; 3] = std::array::from_fn(|i| std::array::from_fn(|j| weights[j][i]));
        let taps = both(&back, |i, j| v[i][j] * y[i][j]);
        let tiles = n * len(&conv.output().iter().map(|o| o.div_ceil(4)).collect::<Vec<_>>());
        let most = taps.iter().flatten().fold(0.0f64, |m, t| m.max(*t));
        let bound = bound(most * tiles as f64 * largest(&x) * largest(&dy), tiles);
        for isa in Isa::all_present() {
            let plan = WinogradPlan::new(isa, &conv, Seat::Kernel, None).expect("3x3 at stride 1");
            let (mut out, mut scratch) = (vec![f32::NAN; expected.len()], vec![f32::NAN; plan.scratch_len()]);
            plan.run(n, &x, &dy, &mut out, &Epilogue::default(), &mut scratch);
            for (got, (sum, ..)) in out.iter().zip(&expected) {
                assert!((f64::from(*got) - sum).abs() <= bound, "{} {conv:?}: {got} for {sum}", isa.name());
            }
        }
    }
}

#[test]
fn pooling_decides_ties_and_nan_as_defined() {
    let mut case = Case::new(&square(9, 3, 1, 0, 2, 35), Seat::Output, 2);
    case.a.iter_mut().for_each(|v| *v = 0.0);
    case.bias.iter_mut().for_each(|v| *v = v.round());
    case.a[7] = f32::NAN;
    for isa in Isa::all_present() {
        let y = case.run(isa, case.n, &Epilogue { bias: Some(&case.bias), relu: Relu::Yes, ..Epilogue::default() });
        assert!(y.iter().any(|v| v.is_nan()) && y.contains(&1.0), "both are there to be decided");
        case.check_pooled(isa, &y);
    }
}

#[test]
fn other_convolutions_are_refused() {
    let conv = square(8, 3, 1, 1, 16, 16);
    let refused = |conv: &Conv, solve| WinogradPlan::new(Isa::Scalar, conv, solve, None).is_none();
    assert!(refused(&square(8, 5, 1, 1, 16, 16), Seat::Output));
    assert!(refused(&square(8, 3, 2, 1, 16, 16), Seat::Output));
    assert!(refused(&Conv { dilation: vec![2, 1], ..conv.clone() }, Seat::Output));
    assert!(refused(&Conv { groups: 2, ..conv.clone() }, Seat::Output));
    assert!(refused(&square(8, 3, 1, 3, 16, 16), Seat::Input));
    let overlapping = window2(&conv, 3, 2, 0);
    assert!(WinogradPlan::new(Isa::Scalar, &conv, Seat::Output, Some(&overlapping)).is_none());
}

#[test]
fn exact_convolutions_are_plain_sums() {
    let fast = square(16, 3, 1, 1, 32, 32);
    let exact = Conv { precision: Precision::Exact, ..fast.clone() };
    let window = window2(&fast, 2, 2, 0);
    for isa in Isa::all_present() {
        for (solve, window) in
            [(Seat::Output, None), (Seat::Output, Some(&window)), (Seat::Input, None), (Seat::Kernel, None)]
        {
            let kernel = |conv| Convolution::new(isa, conv, solve, window, 4).describe();
            assert!(kernel(&fast).starts_with("winograd"), "{}", kernel(&fast));
            assert!(kernel(&exact).starts_with("direct"), "{}", kernel(&exact));
        }
    }
}

/// Few channels, few results in a tile, kernels beyond the cache.
#[test]
fn where_tiles_do_not_pay_sums_stay_plain() {
    for conv in [square(16, 3, 1, 1, 3, 32), square(5, 3, 1, 1, 32, 32), square(7, 3, 1, 1, 512, 512)] {
        for solve in [Seat::Output, Seat::Input, Seat::Kernel] {
            let kernel = Convolution::new(Isa::Scalar, &conv, solve, None, 4).describe();
            assert!(kernel.starts_with("direct"), "{conv:?} {solve:?}: {kernel}");
        }
    }
    let one_sample = Convolution::new(Isa::Scalar, &square(6, 3, 1, 1, 64, 64), Seat::Kernel, None, 1).describe();
    assert!(one_sample.starts_with("direct"), "the last transform costs more than the products: {one_sample}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, ..ProptestConfig::default() })]

    #[test]
    fn any_plane(
        height in 1usize..12, width in 1usize..12, cin in 1usize..20, cout in 1usize..20, n in 1usize..4,
        low in (0usize..3, 0usize..3), high in (0usize..3, 0usize..3), backward in any::<bool>(),
    ) {
        let conv = Conv {
            input: vec![height, width],
            low: vec![low.0, low.1],
            high: vec![high.0, high.1],
            ..square(1, 3, 1, 0, cin, cout)
        };
        if height + low.0 + high.0 >= 3 && width + low.1 + high.1 >= 3 {
            Case::new(&conv, if backward { Seat::Input } else { Seat::Output }, n).check();
        }
    }
}
