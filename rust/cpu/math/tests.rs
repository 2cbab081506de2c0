//! Error against f64, over samples of all floats (all of them in the ignored tests), and equality of instruction sets.

use super::*;
use crate::simd::{Isa, Kernel, dispatch};

#[derive(Clone, Copy, PartialEq, Debug)]
enum Function {
    Exp,
    Expm1,
    Log,
    Log1p,
    Sin,
    Cos,
    Tan,
    Tanh,
    Sigmoid,
    Erf,
    Rsqrt,
    Pow,
    Atan2,
    Rem,
}
use Function::*;

const UNARY: [(Function, f64); 11] = [
    (Exp, 2.0),
    (Expm1, 3.0),
    (Log, 2.0),
    (Log1p, 2.0),
    (Sin, 2.0),
    (Cos, 2.0),
    (Tan, 3.0),
    (Tanh, 3.0),
    (Sigmoid, 3.0),
    (Erf, 2.0),
    (Rsqrt, 2.0),
];

struct Apply<'a>(Function, &'a [f32], &'a [f32], &'a mut [f32]);

impl Kernel for Apply<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        for i in (0..self.1.len()).step_by(S::LANES) {
            let n = S::LANES.min(self.1.len() - i);
            let load = |p: &[f32]| {
                if n < S::LANES {
                    // SAFETY: `n` values remain.
                    unsafe { s.load_partial(p[i..].as_ptr(), n) }
                } else {
                    // SAFETY: a whole vector remains.
                    unsafe { s.load(p[i..].as_ptr()) }
                }
            };
            let (a, b) = (load(self.1), load(self.2));
            let y = match self.0 {
                Exp => exp(s, a),
                Expm1 => expm1(s, a),
                Log => log(s, a),
                Log1p => log1p(s, a),
                Sin => sin(s, a),
                Cos => cos(s, a),
                Tan => tan(s, a),
                Tanh => tanh(s, a),
                Sigmoid => sigmoid(s, a),
                Erf => erf(s, a),
                Rsqrt => rsqrt(s, a),
                Pow => pow(s, a, b),
                Atan2 => atan2(s, a, b),
                Rem => rem(s, a, b),
            };
            let p = self.3[i..].as_mut_ptr();
            if n < S::LANES {
                // SAFETY: `n` values remain.
                unsafe { s.store_partial(p, y, n) }
            } else {
                // SAFETY: a whole vector remains.
                unsafe { s.store(p, y) }
            }
        }
    }
}

fn apply(isa: Isa, f: Function, a: &[f32], b: &[f32]) -> Vec<f32> {
    let mut y = vec![0.0; a.len()];
    dispatch(isa, Apply(f, a, b, &mut y));
    y
}

/// All terms are positive, so the sum is as good as its last bits: `2/√π e^{-x²} Σ 2ⁿ x^(2n+1) / (2n+1)!!`.
fn erf_reference(x: f64) -> f64 {
    if x.abs() > 6.0 {
        return 1f64.copysign(x);
    }
    let (mut term, mut sum) = (x, x);
    for n in 1..200 {
        term *= 2.0 * x * x / (2 * n + 1) as f64;
        sum += term;
    }
    sum * (-x * x).exp() * 2.0 / std::f64::consts::PI.sqrt()
}

fn reference(f: Function, a: f32, b: f32) -> f64 {
    let (x, y) = (a as f64, b as f64);
    match f {
        Exp => x.exp(),
        Expm1 => x.exp_m1(),
        Log => x.ln(),
        Log1p => x.ln_1p(),
        Sin => x.sin(),
        Cos => x.cos(),
        Tan => x.tan(),
        Tanh => x.tanh(),
        Sigmoid => 1.0 / (1.0 + (-x).exp()),
        Erf if x.is_nan() => x,
        Erf => erf_reference(x),
        Rsqrt => 1.0 / x.sqrt(),
        Pow => x.powf(y),
        Atan2 => x.atan2(y),
        Rem => {
            let r = x % y;
            if r != 0.0 && (r < 0.0) != (y < 0.0) { r + y } else { r }
        }
    }
}

/// Distance in units of the last place of the wanted value; below the smallest normal, in units of that normal
/// (flushing is allowed).
fn ulps(got: f32, want: f64) -> f64 {
    if want.is_nan() {
        return if got.is_nan() { 0.0 } else { f64::INFINITY };
    }
    // Halfway to the float after the largest: what rounds to infinity.
    if want.abs() >= f32::MAX as f64 + 2f64.powi(103) {
        return if got as f64 == f64::INFINITY.copysign(want) { 0.0 } else { f64::INFINITY };
    }
    if want.abs() < f32::MIN_POSITIVE as f64 {
        return if got.abs() <= f32::MIN_POSITIVE { 0.0 } else { f64::INFINITY };
    }
    let got = if got.is_infinite() { 2f64.powi(128).copysign(got as f64) } else { got as f64 };
    let exponent = ((want.abs().to_bits() >> 52) as i32 - 1023).min(127);
    (got - want).abs() / 2f64.powi(exponent - 23)
}

fn check(f: Function, bound: f64, a: &[f32], b: &[f32]) -> f64 {
    let first = apply(Isa::Scalar, f, a, b);
    let mut worst = 0f64;
    for i in 0..a.len() {
        let e = ulps(first[i], reference(f, a[i], b[i]));
        assert!(
            e <= bound,
            "{f:?}({:e}, {:e}) = {:e}, want {:e}: {e} ulp",
            a[i],
            b[i],
            first[i],
            reference(f, a[i], b[i])
        );
        worst = worst.max(e);
    }
    for isa in Isa::all_present() {
        let other = apply(isa, f, a, b);
        for i in 0..a.len() {
            assert!(
                other[i].to_bits() == first[i].to_bits() || other[i].is_nan() && first[i].is_nan(),
                "{f:?}({:e}, {:e}): {:e} on {}, {:e} scalar",
                a[i],
                b[i],
                other[i],
                isa.name(),
                first[i]
            );
        }
    }
    worst
}

#[test]
fn unary_bounds_hold_on_samples_of_all_floats() {
    let mut x: Vec<f32> = (0..1 << 32).step_by(20011).map(|b: u64| f32::from_bits(b as u32)).collect();
    // Where the action is: near 0, the exponential's range, multiples of π/2.
    x.extend((-40000..40000).map(|i| i as f32 * 0.0025));
    x.extend((0..65600).map(|i| (i as f64 * std::f64::consts::FRAC_PI_2) as f32));
    x.extend([0.0, -0.0, 1.0, -1.0, f32::MAX, f32::INFINITY, f32::NEG_INFINITY, f32::NAN, 88.72284, -87.33655]);
    for (f, bound) in UNARY {
        check(f, bound, &x, &x);
    }
}

#[test]
fn signs_of_zero_are_kept() {
    for isa in Isa::all_present() {
        for f in [Expm1, Log1p, Sin, Tan, Tanh, Erf] {
            let y = apply(isa, f, &[-0.0, 0.0], &[0.0; 2]);
            assert!(y[0].to_bits() == (-0.0f32).to_bits() && y[1].to_bits() == 0, "{f:?} on {}: {y:?}", isa.name());
        }
    }
}

/// Every special value and a spread of ordinary ones, in pairs.
fn pairs() -> (Vec<f32>, Vec<f32>) {
    let mut v = vec![0.0f32, 1.0, 0.5, 2.0, 3.0, 1e-45, 1e-40, 1.5, 1e10, 1e38, 16777216.0, 16777217.0, f32::INFINITY];
    v.extend((0..400).map(|i| f32::from_bits((i * 0x9e3779b1u64 % 0x7f800000) as u32)));
    v.extend((0..200).map(|i| 0.013 * i as f32));
    let neg: Vec<f32> = v.iter().map(|x| -x).collect();
    v.extend(neg);
    v.push(f32::NAN);
    let n = v.len();
    ((0..n * n).map(|i| v[i / n]).collect(), (0..n * n).map(|i| v[i % n]).collect())
}

#[test]
fn binary_bounds_hold() {
    let (a, b) = pairs();
    check(Pow, 1.0, &a, &b);
    check(Atan2, 3.0, &a, &b);
}

#[test]
fn remainder_is_that_of_the_float_definition() {
    let (a, b) = pairs();
    for isa in Isa::all_present() {
        let y = apply(isa, Rem, &a, &b);
        for i in 0..a.len() {
            let r = a[i] % b[i];
            let want = if r != 0.0 && (r < 0.0) != (b[i] < 0.0) { r + b[i] } else { r };
            assert!(y[i] == want || y[i].is_nan() && want.is_nan(), "{} mod {}: {} not {want}", a[i], b[i], y[i]);
            assert!(y[i] != 0.0 || y[i].is_sign_negative() == b[i].is_sign_negative(), "sign of {} mod {}", a[i], b[i]);
        }
    }
}

#[test]
#[ignore = "all 2^32 floats: minutes per function"]
fn unary_bounds_hold_on_all_floats() {
    for (f, bound) in UNARY {
        let mut worst = 0f64;
        for block in 0..1u32 << 12 {
            let x: Vec<f32> = (0..1u32 << 20).map(|i| f32::from_bits(block << 20 | i)).collect();
            worst = worst.max(check(f, bound, &x, &x));
        }
        eprintln!("{f:?}: {worst:.3} ulp");
    }
}
