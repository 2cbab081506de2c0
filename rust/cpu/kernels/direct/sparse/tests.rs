use super::super::{ConvPlan, Epilogue};
use super::*;
use oxiconv_ir::Precision;
use proptest::prelude::*;

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

/// Coordinates of a row-major index.
fn digits(mut i: usize, dims: &[usize]) -> Vec<usize> {
    let mut at = vec![0; dims.len()];
    for a in (0..dims.len()).rev() {
        at[a] = i % dims[a];
        i /= dims[a];
    }
    at
}

/// A convolution with its pool, a gradient with a share of zeros, positions that exist, and the `dy` they stand for.
struct Case {
    conv: Conv,
    window: Window,
    n: usize,
    x: Vec<f32>,
    kernel: Vec<f32>,
    g: Vec<f32>,
    index: Vec<u8>,
    dy: Vec<f32>,
}

impl Case {
    fn new(conv: Conv, window: Window, n: usize, dead: f32) -> Self {
        let pooled: usize = window.output().iter().product();
        let len = n * pooled * conv.cout;
        let alive = values(len, 5);
        let g: Vec<f32> =
            values(len, 6).iter().zip(alive).map(|(g, a)| if a < 2.0 * dead - 1.0 { 0.0 } else { *g }).collect();
        let outputs: usize = window.input.iter().product();
        let mut index = vec![0; len];
        let mut dy = vec![0.0; n * outputs * conv.cout];
        for (i, pick) in values(len, 7).into_iter().enumerate() {
            let w = digits(i / conv.cout % pooled, &window.output());
            // Positions of the window that lie inside, by their number in the window and in the output.
            let inside: Vec<(usize, usize)> = (0..window.volume())
                .filter_map(|p| {
                    let mut at = 0;
                    for (a, d) in digits(p, &window.size).into_iter().enumerate() {
                        let q = (w[a] * window.stride[a] + d).checked_sub(window.low[a])?;
                        at = at * window.input[a] + Some(q).filter(|q| *q < window.input[a])?;
                    }
                    Some((p, at))
                })
                .collect();
            let (position, at) = inside[((pick + 1.0) * 1000.0) as usize % inside.len()];
            index[i] = position as u8;
            dy[(i / conv.cout / pooled * outputs + at) * conv.cout + i % conv.cout] = g[i];
        }
        let x = values(conv.dims(Seat::Input, n).iter().product(), 8);
        let kernel = values(conv.dims(Seat::Kernel, n).iter().product(), 9);
        Self { conv, window, n, x, kernel, g, index, dy }
    }

    /// Both gradients of the formed `dy` from the definition, in f64, with `Σ |products|`.
    fn reference(&self, solve: Seat) -> Vec<(f64, f64)> {
        let Self { conv, n, .. } = self;
        let output = conv.output();
        let (outputs, inputs): (usize, usize) = (output.iter().product(), conv.input.iter().product());
        let taps: usize = conv.kernel.iter().product();
        let mut sums = vec![(0.0, 0.0); if solve == Seat::Input { self.x.len() } else { self.kernel.len() }];
        for sample in 0..*n {
            for pixel in 0..outputs {
                let p = digits(pixel, &output);
                for tap in 0..taps {
                    let t = digits(tap, &conv.kernel);
                    let position = (0..p.len()).try_fold(0, |position, a| {
                        let at = (p[a] * conv.stride[a] + t[a] * conv.dilation[a]).checked_sub(conv.low[a])?;
                        (at < conv.input[a]).then_some(position * conv.input[a] + at)
                    });
                    let Some(position) = position else { continue };
                    for oc in 0..conv.cout {
                        let dy = f64::from(self.dy[(sample * outputs + pixel) * conv.cout + oc]);
                        for ic in 0..conv.cin {
                            let x = (sample * inputs + position) * conv.cin + ic;
                            let k = (tap * conv.cin + ic) * conv.cout + oc;
                            let (to, other) = if solve == Seat::Input { (x, self.kernel[k]) } else { (k, self.x[x]) };
                            let v = dy * f64::from(other);
                            sums[to].0 += v;
                            sums[to].1 += v.abs();
                        }
                    }
                }
            }
        }
        sums
    }

    fn run(&self, plan: &SparsePlan, dirt: f32) -> Vec<f32> {
        let input = matches!(plan.method, Method::Input(_));
        let mut packed = vec![dirt; plan.packed_len()];
        if input {
            plan.pack(&self.kernel, &mut packed);
        }
        let mut out = vec![dirt; if input { self.x.len() } else { self.kernel.len() }];
        let mut scratch = vec![dirt; plan.scratch_len()];
        let a = if input { &packed } else { &self.x };
        plan.run(self.n, a, &self.g, &self.index, &mut out, &mut scratch);
        out
    }

    /// Against the definition in f64, and the same bits from any scratch.
    fn check(&self, plan: &SparsePlan, sums: &[(f64, f64)], terms: usize) {
        let out = self.run(plan, f32::NAN);
        // Rounding errors of random sign grow with the square root of their number; the constant covers short sums.
        let u = f64::from(f32::EPSILON) / 2.0;
        let bound = 4.0 * u * ((terms as f64).sqrt() + 4.0);
        for (i, (v, (sum, magnitude))) in out.iter().zip(sums).enumerate() {
            assert!(
                (f64::from(*v) - sum).abs() <= bound * magnitude,
                "{} {:?} {:?}: element {i} is {v}, expected {sum}",
                plan.describe(),
                self.conv,
                self.window
            );
        }
        let again: Vec<u32> = self.run(plan, 7.0).iter().map(|v| v.to_bits()).collect();
        assert_eq!(out.iter().map(|v| v.to_bits()).collect::<Vec<_>>(), again, "{}", plan.describe());
    }

    /// All methods that exist for the case, chosen or not.
    fn check_all(&self) {
        let taps: usize = self.conv.kernel.iter().product();
        let pooled: usize = self.window.output().iter().product();
        let (dx, dk) = (self.reference(Seat::Input), self.reference(Seat::Kernel));
        for isa in Isa::all_present() {
            let plan = |method: fn(Isa, &Layout) -> Option<Method>| {
                let layout = Layout::new(&self.conv, &self.window)?;
                Some(SparsePlan { isa, method: method(isa, &layout)?, layout })
            };
            if let Some(plan) = plan(|isa, layout| Some(Method::Input(InputGrad::new(isa, layout)?.1))) {
                self.check(&plan, &dx, taps * self.conv.cout);
            }
            if let Some(plan) = plan(|isa, layout| Some(Method::Kernel(KernelGrad::new(isa, layout)?.1))) {
                self.check(&plan, &dk, self.n * pooled);
            }
            let lookup = plan(|isa, layout| Some(Method::Lookup(Lookup::new(isa, layout)?.1)));
            assert_eq!(lookup.is_some(), self.window.volume() <= 4);
            if let Some(plan) = lookup {
                self.check(&plan, &dk, self.n * pooled);
            }
        }
    }
}

fn window(input: Vec<usize>, size: Vec<usize>, stride: Vec<usize>) -> Window {
    let none = vec![0; input.len()];
    Window { input, size, stride, low: none.clone(), high: none }
}

fn plane(size: usize, kernel: usize, stride: usize, pad: usize, cin: usize, cout: usize) -> Conv {
    let two = |v| vec![v; 2];
    Conv {
        input: two(size),
        kernel: two(kernel),
        stride: two(stride),
        dilation: two(1),
        low: two(pad),
        high: two(pad),
        cin,
        cout,
        groups: 1,
        precision: Precision::Fast,
    }
}

fn pooled(conv: Conv, size: usize, n: usize, dead: f32) -> Case {
    let window = window(conv.output(), vec![size; 2], vec![size; 2]);
    Case::new(conv, window, n, dead)
}

prop_compose! {
    /// Input, kernel, stride, dilation and padding of a convolution's axis; size, extra stride and padding of the
    /// window's.
    fn axis()(
        conv in (1usize..12, 1usize..4, 1usize..3, 1usize..3, 0usize..3, 0usize..3),
        window in (1usize..4, 0usize..2, 0usize..3, 0usize..3),
    ) -> [usize; 10] {
        [conv.0, conv.1, conv.2, conv.3, conv.4, conv.5, window.0, window.1, window.2, window.3]
    }
}

prop_compose! {
    fn cases()(
        axes in prop::collection::vec(axis(), 1..4),
        cin in 1usize..24,
        cout in 1usize..40,
        n in 1usize..4,
        dead in prop::sample::select(vec![0.0f32, 0.5, 1.0]),
    ) -> Case {
        let pick = |i: usize| axes.iter().map(|a| a[i]).collect::<Vec<_>>();
        let (cin, cout, most) = if axes.len() == 3 { (cin.min(6), cout.min(18), 5) } else { (cin, cout, 12) };
        let mut conv = Conv {
            input: pick(0),
            kernel: pick(1),
            stride: pick(2),
            dilation: pick(3),
            low: pick(4),
            high: pick(5),
            cin,
            cout,
            groups: 1, precision: Precision::Fast };
        for a in 0..axes.len() {
            let padding = conv.low[a] + conv.high[a];
            conv.input[a] = conv.input[a].min(most).max(conv.span(a).saturating_sub(padding)).max(1);
        }
        let output = conv.output();
        let size: Vec<_> = (0..axes.len()).map(|a| axes[a][6].min(output[a])).collect();
        let stride = (0..axes.len()).map(|a| size[a] + axes[a][7]).collect();
        let pad = |i: usize| (0..axes.len()).map(|a| axes[a][i].min(size[a] - 1)).collect::<Vec<_>>();
        let window = Window { input: output, stride, low: pad(8), high: pad(9), size };
        Case::new(conv, window, n, dead)
    }
}

impl std::fmt::Debug for Case {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} of {:?} {:?}", self.n, self.conv, self.window)
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_disjoint_pool(case in cases()) {
        case.check_all();
    }
}

/// The usual shapes: whole vectors, partial ones, several bands.
#[test]
fn usual_shapes() {
    pooled(plane(9, 3, 1, 0, 32, 64), 2, 2, 0.3).check_all();
    pooled(plane(9, 3, 1, 1, 20, 50), 3, 2, 0.3).check_all();
    pooled(plane(28, 3, 1, 0, 1, 32), 2, 2, 0.3).check_all();
    pooled(plane(14, 5, 1, 2, 6, 16), 2, 2, 0.3).check_all();
    pooled(plane(100, 3, 1, 1, 1, 9), 2, 1, 0.3).check_all();
    pooled(plane(36, 2, 1, 0, 16, 17), 16, 1, 0.3).check_all();
}

/// The dense kernels on the formed `dy` agree within the sum of both bounds.
#[test]
fn equals_dense() {
    let case = pooled(plane(13, 3, 1, 0, 32, 64), 2, 3, 0.5);
    for isa in Isa::all_present() {
        for solve in [Seat::Input, Seat::Kernel] {
            let dense = ConvPlan::new(isa, &case.conv, solve);
            let mut packed = vec![0.0; dense.packed_len()];
            let mut scratch = vec![0.0; dense.scratch_len()];
            let mut out = vec![0.0; if solve == Seat::Input { case.x.len() } else { case.kernel.len() }];
            let (a, b) = if solve == Seat::Input {
                dense.pack(&case.kernel, &mut packed);
                (&case.dy, &packed)
            } else {
                (&case.x, &case.dy)
            };
            dense.run(case.n, a, b, &mut out, &Epilogue::default(), &mut scratch);
            let plan = SparsePlan::new(isa, &case.conv, &case.window, solve).expect("sparse is faster");
            let sparse = case.run(&plan, f32::NAN);
            let terms = if solve == Seat::Input { 9 * 64 } else { 3 * 121 };
            let bound = 8.0 * f64::from(f32::EPSILON) / 2.0 * (f64::from(terms).sqrt() + 4.0);
            for (i, (_, magnitude)) in case.reference(solve).iter().enumerate() {
                assert!(f64::from((out[i] - sparse[i]).abs()) <= bound * magnitude, "{} at {i}", plan.describe());
            }
        }
    }
}

/// A gradient that is not a number is not skipped, and reaches nothing but what it meets.
#[test]
fn nan_reaches_what_it_meets() {
    let mut case = pooled(plane(7, 3, 1, 0, 20, 18), 2, 1, 0.0);
    case.g.fill(0.0);
    case.g[5] = f32::NAN;
    case.index[5] = 3;
    for isa in Isa::all_present() {
        for solve in [Seat::Input, Seat::Kernel] {
            let plan = SparsePlan::new(isa, &case.conv, &case.window, solve).expect("sparse is faster");
            let out = case.run(&plan, 0.0);
            for (i, v) in out.iter().enumerate() {
                let meets = if solve == Seat::Input {
                    let at = digits(i / 20, &[7, 7]);
                    (1..4).contains(&at[0]) && (1..4).contains(&at[1])
                } else {
                    i % 18 == 5
                };
                assert_eq!(v.is_nan(), meets, "{} at {i}: {v}", plan.describe());
            }
        }
    }
}

#[test]
fn what_is_not_covered() {
    let conv = plane(11, 3, 1, 0, 16, 16);
    let overlapping = window(conv.output(), vec![3; 2], vec![2; 2]);
    let mut grouped = conv.clone();
    grouped.groups = 2;
    let disjoint = window(conv.output(), vec![2; 2], vec![2; 2]);
    let wide = plane(40, 3, 1, 0, 16, 16);
    let large = window(wide.output(), vec![17; 2], vec![17; 2]);
    for solve in [Seat::Input, Seat::Kernel] {
        assert!(SparsePlan::new(Isa::Scalar, &conv, &overlapping, solve).is_none());
        assert!(SparsePlan::new(Isa::Scalar, &grouped, &disjoint, solve).is_none());
        assert!(SparsePlan::new(Isa::Scalar, &wide, &large, solve).is_none());
        assert!(SparsePlan::new(Isa::Scalar, &conv, &disjoint, solve).is_some());
    }
}
