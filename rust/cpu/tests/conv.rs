//! Direct convolution against its definition in f64, on every instruction set of this machine.

mod definition;

use definition::{Case, len, pool, reference, square, values, window2};
use oxiconv_cpu::kernels::direct::{ConvPlan, Epilogue, Gate, Relu};
use oxiconv_cpu::simd::Isa;
use oxiconv_ir::{Conv, Precision, Seat, Window};
use proptest::prelude::*;

/// Bound on the f32 error of a sum of `terms` products whose sizes add up to `size`. Rounding errors of a chain of
/// `K` fused multiply-adds grow as u·√K when they are independent; 4 standard deviations and a few constant ones
/// (the bias, the final rounding). 4u(√K + 4) Σ|x||w|, u = 2⁻²⁴.
fn bound(terms: usize, size: f64) -> f64 {
    4.0 * (0.5f64).powi(24) * ((terms as f64).sqrt() + 4.0) * size
}

impl Case {
    fn plan(&self, isa: Isa) -> (ConvPlan, Vec<f32>) {
        let plan = ConvPlan::new(isa, &self.conv, self.solve);
        // NaN wherever the plan does not write.
        let mut packed = vec![f32::NAN; plan.packed_len()];
        plan.pack(&self.kernel, &mut packed);
        assert!(packed.iter().all(|v| !v.is_nan()), "packed weights are written completely");
        (plan, packed)
    }

    /// The result, computed `step` samples at a time.
    fn run(&self, isa: Isa, step: usize, epilogue: &Epilogue) -> Vec<f32> {
        let (plan, packed) = self.plan(isa);
        let mut out = vec![f32::NAN; len(&self.conv.dims(self.solve, self.n))];
        let mut scratch = vec![f32::NAN; plan.scratch_len()];
        let (from, to) = (self.a.len() / self.n, out.len() / self.n);
        for first in (0..self.n).step_by(step) {
            let count = step.min(self.n - first);
            let a = &self.a[first * from..(first + count) * from];
            let range = first * to..(first + count) * to;
            let epilogue = Epilogue {
                added: epilogue.added.map(|v| &v[range.clone()]),
                gate: epilogue.gate.map(|g| Gate { values: &g.values[range.clone()], ..g }),
                ..*epilogue
            };
            plan.run(count, a, &packed, &mut out[range], &epilogue, &mut scratch);
        }
        out
    }

    fn check(&self) {
        let expected = reference(&self.conv, self.solve, self.n, &self.a, &self.kernel);
        let (added, gates) = (values(expected.len(), 6), values(expected.len(), 7));
        for isa in Isa::all_present() {
            let plain = self.run(isa, self.n, &Epilogue::default());
            let full =
                self.run(isa, self.n, &Epilogue { bias: Some(&self.bias), relu: Relu::Yes, ..Epilogue::default() });
            let bounded = self.run(
                isa,
                self.n,
                &Epilogue { bias: Some(&self.bias), relu: Relu::UpTo(0.25), ..Epilogue::default() },
            );
            let gate = |below| Some(Gate { values: &gates, below });
            let bias = Some(&self.bias[..]);
            let gated = [None, Some(0.5)].map(|below| {
                let both = Epilogue { bias, added: Some(&added), relu: Relu::UpTo(0.25), gate: gate(below) };
                (
                    below,
                    self.run(isa, 1, &both),
                    self.run(isa, self.n, &Epilogue { gate: gate(below), ..Epilogue::default() }),
                )
            });
            for (i, &(sum, size, terms)) in expected.iter().enumerate() {
                let case = || format!("{} {:?} {:?} element {i}", isa.name(), self.solve, self.conv);
                let error = (f64::from(plain[i]) - sum).abs();
                assert!(error <= bound(terms, size), "{}: {} for {sum}", case(), plain[i]);
                let bias = f64::from(self.bias[i % self.bias.len()]);
                let error = (f64::from(full[i]) - (sum + bias).max(0.0)).abs();
                assert!(error <= bound(terms + 1, size + bias.abs()), "{}: {} for {sum} + {bias}", case(), full[i]);
                assert_eq!(bounded[i].to_bits(), full[i].min(0.25).to_bits(), "{}: bounded", case());
                let sum = sum + bias + f64::from(added[i]);
                let bound = bound(terms + 2, size + bias.abs() + f64::from(added[i]).abs());
                for (below, both, alone) in &gated {
                    let open = gates[i] > 0.0 && below.is_none_or(|below| gates[i] < below);
                    let alike = if open { plain[i] } else { 0.0 };
                    assert_eq!(alone[i].to_bits(), alike.to_bits(), "{}: gated by {}", case(), gates[i]);
                    let expected = if open { sum.clamp(0.0, 0.25) } else { 0.0 };
                    let error = (f64::from(both[i]) - expected).abs();
                    assert!(error <= if open { bound } else { 0.0 }, "{}: {} for {expected}", case(), both[i]);
                }
            }
            if self.n > 1 {
                let bits = |v: Vec<f32>| v.into_iter().map(f32::to_bits).collect::<Vec<_>>();
                let split = self.run(isa, 1, &Epilogue::default());
                assert_eq!(bits(plain), bits(split), "{} {:?}: bits of split batches", isa.name(), self.conv);
            }
        }
    }
}

#[test]
fn every_channel_count_in_both_directions() {
    for cin in [1, 2, 3, 4, 8, 10, 16, 17, 33, 48] {
        for cout in [1, 3, 8, 10, 16, 17, 24, 32, 40, 48, 64, 80, 96, 113] {
            for solve in [Seat::Output, Seat::Input] {
                Case::new(&square(5, 3, 1, 1, cin, cout), solve, 2).check();
                Case::new(&square(4, 1, 1, 0, cin, cout), solve, 3).check();
            }
        }
    }
}

#[test]
fn strides_kernels_and_paddings_in_both_directions() {
    for (kernel, stride, pad) in
        [(1, 2, 0), (2, 2, 0), (3, 2, 1), (3, 3, 0), (5, 1, 2), (7, 2, 3), (2, 5, 1), (4, 3, 3)]
    {
        for size in [5, 8, 11] {
            if size + 2 * pad >= kernel {
                for solve in [Seat::Output, Seat::Input] {
                    Case::new(&square(size, kernel, stride, pad, 3, 18), solve, 2).check();
                }
            }
        }
    }
}

/// Rows of one vector and several, whole and overlapping, of every number of channels; strides, dilations and paddings;
/// one axis to three; the bits of tiles, which pool.
#[test]
fn few_channels_across_positions() {
    for channels in 1..=8 {
        for (height, width) in [(3, 16), (5, 17), (2, 28), (4, 9), (3, 33)] {
            for (kernel, stride, dilation, pad) in [(5, 1, 1, 2), (3, 1, 1, 1), (2, 2, 1, 0), (3, 1, 2, 2)] {
                let conv = Conv {
                    input: vec![height * stride + pad, width],
                    kernel: vec![kernel, 3],
                    stride: vec![stride, 1],
                    dilation: vec![dilation, dilation],
                    low: vec![pad, dilation],
                    high: vec![pad, dilation],
                    cin: 1,
                    cout: channels,
                    groups: 1,
                    precision: Precision::Fast,
                };
                for isa in Isa::all_present() {
                    let plan = ConvPlan::new(isa, &conv, Seat::Output).describe();
                    let lanes = if isa == Isa::Avx512 { 8 } else { isa.lanes() };
                    assert_eq!(plan.contains("across"), channels < 8 && width >= lanes, "{plan}: {conv:?}");
                }
                Case::new(&conv, Seat::Output, 2).check();
                check_pooled(&Case::new(&conv, Seat::Output, 2), &window2(&conv, 2, 2, 0));
            }
        }
        Case::new(&Conv { cin: channels, cout: 1, ..square(18, 3, 1, 1, 1, 1) }, Seat::Input, 2).check();
        let line = Conv {
            input: vec![40],
            kernel: vec![7],
            stride: vec![1],
            dilation: vec![1],
            low: vec![3],
            high: vec![3],
            ..square(1, 1, 1, 0, 1, channels)
        };
        Case::new(&line, Seat::Output, 3).check();
        let three = |v: usize| vec![v; 3];
        let block = Conv {
            input: vec![3, 4, 20],
            kernel: three(3),
            stride: vec![2, 1, 1],
            dilation: three(1),
            low: three(1),
            high: three(1),
            ..line
        };
        Case::new(&block, Seat::Output, 2).check();
    }
}

/// Windows that overlap in every way: at strides, dilations and paddings of the last axis, over several bands of rows, from
/// one axis to three, behind a pool.
#[test]
fn few_channels_in_overlapping_windows() {
    let check = |axes: &[[usize; 6]], [few, many]: [usize; 2]| {
        let pick = |i: usize| axes.iter().map(|a| a[i]).collect::<Vec<_>>();
        let conv = |cin, cout| Conv {
            input: pick(0),
            kernel: pick(1),
            stride: pick(2),
            dilation: pick(3),
            low: pick(4),
            high: pick(5),
            cin,
            cout,
            groups: 1,
            precision: Precision::Fast,
        };
        for (conv, solve) in [(conv(few, many), Seat::Input), (conv(many, few), Seat::Output)] {
            for isa in Isa::all_present().into_iter().filter(|isa| isa.lanes() >= 8) {
                let plan = ConvPlan::new(isa, &conv, solve).describe();
                // With more channels that depends on the sizes; forward never at a stride.
                let forward = solve == Seat::Output && axes[axes.len() - 1][2] == 1;
                if few <= 3 {
                    assert_eq!(plan.contains("overlapping"), solve == Seat::Input || forward, "{plan}: {conv:?}");
                }
            }
            Case::new(&conv, solve, 2).check();
            if axes.len() == 2 && solve == Seat::Output {
                check_pooled(&Case::new(&conv, solve, 2), &window2(&conv, 2, 2, 0));
            }
        }
    };
    // Size, kernel, stride, dilation, padding before and after.
    for channels in [[1, 20], [2, 17], [3, 33], [6, 16], [7, 40]] {
        check(&[[14, 5, 1, 1, 0, 0], [14, 5, 1, 1, 0, 0]], channels);
        check(&[[9, 5, 1, 1, 2, 2], [11, 5, 1, 1, 4, 1]], channels);
        check(&[[40, 4, 2, 1, 1, 1], [50, 7, 1, 1, 3, 3]], channels);
        check(&[[7, 3, 3, 2, 0, 1], [21, 5, 1, 2, 4, 3]], channels);
        check(&[[37, 6, 1, 1, 2, 2]], channels);
        check(&[[4, 2, 1, 1, 1, 0], [3, 3, 2, 1, 1, 1], [19, 5, 1, 1, 2, 0]], channels);
    }
    // Columns and rows that no tap reaches.
    check(&[[9, 3, 4, 1, 0, 2], [17, 4, 5, 1, 0, 3]], [3, 64]);
}

#[test]
fn depthwise_and_other_groups_in_both_directions() {
    // One channel in and out per group (from 8 groups on: vectors across groups), and several.
    for (groups, cin, cout) in
        [(7, 1, 1), (8, 1, 1), (11, 1, 1), (16, 1, 1), (20, 1, 1), (37, 1, 1), (9, 1, 2), (9, 2, 1)]
    {
        for (size, kernel, stride, pad) in [(6, 3, 1, 1), (7, 3, 2, 1), (5, 1, 1, 0), (5, 2, 3, 0)] {
            let conv = Conv { groups, ..square(size, kernel, stride, pad, groups * cin, groups * cout) };
            Case::new(&conv, Seat::Output, 2).check();
            Case::new(&conv, Seat::Input, 2).check();
            if kernel == 3 {
                check_pooled(&Case::new(&conv, Seat::Output, 2), &window2(&conv, 2, 2, 0));
                check_pooled(&Case::new(&conv, Seat::Output, 2), &window2(&conv, 3, 2, 1));
            }
        }
    }
}

/// Rows of taps with tiles of their own (2, 3, 5, 7 at stride 1 and 2) and without, rows shorter than a tile, all
/// padding, dilation; one, two and three axes; channels in whole vectors, with some left over, and below a vector.
#[test]
fn depthwise_in_every_shape() {
    let check = |axes: &[[usize; 6]], channels: usize| {
        let pick = |i: usize| axes.iter().map(|a| a[i]).collect::<Vec<_>>();
        let conv = Conv {
            input: pick(0),
            kernel: pick(1),
            stride: pick(2),
            dilation: pick(3),
            low: pick(4),
            high: pick(5),
            cin: channels,
            cout: channels,
            groups: channels,
            precision: Precision::Fast,
        };
        Case::new(&conv, Seat::Output, 2).check();
        Case::new(&conv, Seat::Input, 2).check();
    };
    for channels in [8, 13, 16, 40, 67] {
        for kernel in 1..=8 {
            for stride in 1..=3 {
                let (low, high) = (kernel / 2, (kernel - 1) / 2);
                check(&[[11, kernel, stride, 1, low, high], [19, kernel, stride, 1, low, high]], channels);
                check(&[[8, 3, stride, 1, 1, 0], [8 + kernel, kernel, stride, 1, 0, 0]], channels);
            }
        }
        check(&[[9, 3, 1, 2, 2, 2], [17, 3, 1, 2, 2, 2]], channels);
        check(&[[9, 3, 2, 3, 3, 3], [17, 5, 2, 2, 4, 1]], channels);
        check(&[[37, 3, 1, 1, 1, 1]], channels);
        check(&[[5, 3, 1, 1, 2, 2], [1, 3, 1, 1, 5, 5]], channels);
        check(&[[4, 3, 2, 1, 1, 1], [5, 3, 1, 1, 1, 1], [9, 3, 1, 1, 1, 1]], channels);
    }
}

#[test]
fn weights_larger_than_the_caches_are_shared_by_a_round_of_samples() {
    // 9·128·96 weights: several samples per round, the last one short.
    for pad in [0, 1] {
        for solve in [Seat::Output, Seat::Input] {
            Case::new(&square(4, 3, 1, pad, 128, 96), solve, 5).check();
        }
    }
}

#[test]
fn many_rows_of_a_matrix_take_several_rounds() {
    // 64 Ki floats per round: 2100 columns leave 48 rows.
    Case::new(&square(7, 1, 1, 0, 2100, 5), Seat::Output, 3).check();
}

#[test]
fn matrix_products() {
    for (rows, k, n) in [(1, 1, 1), (1, 300, 10), (128, 57, 10), (37, 16, 64), (50, 64, 100)] {
        for solve in [Seat::Output, Seat::Input] {
            let (from, to) = if solve == Seat::Output { (k, n) } else { (n, k) };
            let (a, kernel) = (values(rows * from, 4), values(k * n, 5));
            for isa in Isa::all_present() {
                let plan = ConvPlan::matmul(isa, k, n, solve);
                let mut packed = vec![f32::NAN; plan.packed_len()];
                plan.pack(&kernel, &mut packed);
                let mut out = vec![f32::NAN; rows * to];
                plan.run(rows, &a, &packed, &mut out, &Epilogue::default(), &mut vec![0.0; plan.scratch_len()]);
                for r in 0..rows {
                    for c in 0..to {
                        let weight =
                            |i: usize| if solve == Seat::Output { kernel[i * n + c] } else { kernel[c * n + i] };
                        let terms = (0..from).map(|i| f64::from(a[r * from + i]) * f64::from(weight(i)));
                        let (sum, size) = terms.fold((0.0, 0.0), |s, t| (s.0 + t, s.1 + t.abs()));
                        let error = (f64::from(out[r * to + c]) - sum).abs();
                        assert!(error <= bound(from, size), "{} {rows}x{k}x{n} {solve:?}", isa.name());
                    }
                }
            }
        }
    }
}

/// Any convolution that keeps the f64 reference quick.
fn any_conv() -> impl Strategy<Value = Conv> {
    let axis = (1usize..9, 1usize..4, 1usize..4, 1usize..3, 0usize..4, 0usize..4);
    (proptest::collection::vec(axis, 1..=3), 1usize..4, 1usize..8, 1usize..20).prop_map(|(axes, groups, cin, cout)| {
        let mut conv = Conv {
            input: vec![],
            kernel: vec![],
            stride: vec![],
            dilation: vec![],
            low: vec![],
            high: vec![],
            cin: cin * groups,
            cout: cout * groups,
            groups,
            precision: Precision::Fast,
        };
        for (input, kernel, stride, dilation, low, high) in axes {
            let span = (kernel - 1) * dilation + 1;
            conv.input.push(input);
            conv.kernel.push(kernel);
            conv.stride.push(stride);
            conv.dilation.push(dilation);
            conv.low.push(low);
            conv.high.push(high.max(span.saturating_sub(input + low)));
        }
        conv
    })
}

/// A window that fits each axis of a convolution's output.
fn any_window(conv: &Conv) -> impl Strategy<Value = Window> + use<> {
    let axes: Vec<_> = conv
        .output()
        .into_iter()
        .map(|input| {
            (Just(input), 1..=input.min(3), 1usize..4)
                .prop_flat_map(|(input, size, stride)| (Just(input), Just(size), Just(stride), 0..size, 0..size))
        })
        .collect();
    axes.prop_map(|axes| {
        let mut w = Window { input: vec![], size: vec![], stride: vec![], low: vec![], high: vec![] };
        for (input, size, stride, low, high) in axes {
            w.input.push(input);
            w.size.push(size);
            w.stride.push(stride);
            w.low.push(low);
            w.high.push(high);
        }
        w
    })
}

/// Pooling in the kernel gives the bits of pooling the convolution's output.
fn check_pooled(case: &Case, window: &Window) {
    for isa in Isa::all_present() {
        for relu in [Relu::No, Relu::Yes] {
            let epilogue = Epilogue { bias: Some(&case.bias), relu, ..Epilogue::default() };
            let y = case.run(isa, case.n, &epilogue);
            let (values, index) = pool(&y, case.n, case.conv.cout, window);
            let plan = ConvPlan::pooled(isa, &case.conv, window);
            let mut packed = vec![f32::NAN; plan.packed_len()];
            plan.pack(&case.kernel, &mut packed);
            let mut scratch = vec![f32::NAN; plan.scratch_len()];
            for step in [case.n, 1] {
                let (mut got, mut at) = (vec![7.0; values.len()], vec![255; index.len()]);
                let (from, to) = (case.a.len() / case.n, got.len() / case.n);
                for first in (0..case.n).step_by(step) {
                    plan.run_pooled(
                        step,
                        &case.a[first * from..(first + step) * from],
                        &packed,
                        &mut got[first * to..(first + step) * to],
                        &mut at[first * to..(first + step) * to],
                        &epilogue,
                        &mut scratch,
                    );
                }
                let context = || format!("{} {relu:?} {:?} {window:?}", plan.describe(), case.conv);
                assert_eq!(at, index, "{}", context());
                for (g, v) in got.iter().zip(&values) {
                    assert!(g == v || (g.is_nan() && v.is_nan()), "{}: {g} for {v}", context());
                }
            }
        }
    }
}

#[test]
fn pooling_with_all_common_windows() {
    for (cin, cout) in [(1, 32), (3, 17), (8, 3), (4, 64), (2, 80), (2, 48)] {
        for (size, stride, pad) in [(2, 2, 0), (3, 2, 1), (3, 2, 0), (2, 3, 0), (2, 1, 0), (3, 3, 1)] {
            for input in [6, 9] {
                let conv = square(input, 3, 1, 1, cin, cout);
                check_pooled(&Case::new(&conv, Seat::Output, 2), &window2(&conv, size, stride, pad));
            }
        }
    }
}

#[test]
fn pooling_decides_ties_and_nan_as_defined() {
    let conv = square(9, 3, 1, 0, 2, 35);
    for (size, stride) in [(2, 2), (3, 2)] {
        let window = window2(&conv, size, stride, 0);
        let mut case = Case::new(&conv, Seat::Output, 2);
        // Few distinct values: most windows hold equal maxima; with relu many are zero.
        case.a.iter_mut().for_each(|v| *v = v.round());
        case.kernel.iter_mut().for_each(|v| *v = v.round());
        case.bias.fill(-1.0);
        check_pooled(&case, &window);
        // Some windows with one or more NaN, some with infinities of both signs.
        for (i, special) in [(7, f32::NAN), (100, f32::NAN), (101, f32::INFINITY), (160, f32::NEG_INFINITY)] {
            case.a[i] = special;
        }
        check_pooled(&case, &window);
    }
}

#[test]
fn plans_say_what_they_are() {
    let conv = square(8, 3, 2, 1, 16, 16);
    assert_eq!(ConvPlan::new(Isa::Avx512, &conv, Seat::Output).describe(), "direct 16x1 avx512");
    assert_eq!(ConvPlan::new(Isa::Avx512, &conv, Seat::Input).describe(), "direct 16x1 avx512 in 4 phases");
    assert_eq!(ConvPlan::matmul(Isa::Avx2, 64, 64, Seat::Output).describe(), "pointwise 6x2 avx2");
    let conv = Conv { groups: 16, ..conv };
    assert_eq!(ConvPlan::new(Isa::Avx512, &conv, Seat::Input).describe(), "depthwise avx512");
    let conv = Conv { stride: vec![3, 3], ..conv };
    assert_eq!(ConvPlan::new(Isa::Avx512, &conv, Seat::Input).describe(), "depthwise avx512 in 9 phases");
}

#[test]
#[should_panic(expected = "result of")]
fn a_result_of_the_wrong_length_is_refused() {
    let plan = ConvPlan::matmul(Isa::Scalar, 2, 2, Seat::Output);
    plan.run(1, &[0.0; 2], &vec![0.0; plan.packed_len()], &mut [0.0; 3], &Epilogue::default(), &mut []);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn any_convolution_in_both_directions(conv in any_conv(), n in 1usize..4) {
        Case::new(&conv, Seat::Output, n).check();
        Case::new(&conv, Seat::Input, n).check();
    }

    #[test]
    fn any_depthwise_convolution(conv in any_conv(), channels in 8usize..40, n in 1usize..4) {
        let conv = Conv { cin: channels, cout: channels, groups: channels, ..conv };
        Case::new(&conv, Seat::Output, n).check();
        Case::new(&conv, Seat::Input, n).check();
    }

    #[test]
    fn any_convolution_and_window(
        (conv, window) in any_conv().prop_flat_map(|c| { let w = any_window(&c); (Just(c), w) }),
        n in 1usize..3,
    ) {
        check_pooled(&Case::new(&conv, Seat::Output, n), &window);
    }
}
