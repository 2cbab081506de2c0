//! Logarithms, and powers.

use super::{by_lane, polynomial, with_sign};
use crate::simd::Simd;

/// `log(u) + c` for positive normal finite `u`, with `c` added before the last roundings.
#[inline(always)]
fn log_core<S: Simd>(s: S, u: S::F, shift: S::F, c: S::F) -> S::F {
    let (e, m) = s.frexp(u);
    let e = s.add(e, shift);
    let f = s.sub(m, s.splat(1.0));
    let z = s.mul(f, f);
    // (log(1 + f) − f + f²/2) / f³ on √½ − 1 <= f <= √2 − 1, error 2^-27.4 relative to log(1 + f).
    let p = polynomial(
        s,
        f,
        [
            0.333_333_3,
            -0.250_008_2,
            0.200_012_28,
            -0.166_233_58,
            0.142_017_41,
            -0.131_601_53,
            0.127_616_7,
            -0.076_346_74,
        ],
    );
    // ln 2 in two parts; the first has 15 bits, so its product with an exponent is exact.
    let y = s.fma(e, s.splat(1.428_606_8e-6), c);
    let y = s.fma(s.mul(f, z), p, y);
    let y = s.fma(z, s.splat(-0.5), y);
    s.fma(e, s.splat(0.693_145_75), s.add(f, y))
}

/// `y` where `0 < x < ∞` by `x`'s meaning; `−∞` at 0, NaN below, `x` itself for `∞` and NaN.
#[inline(always)]
fn at_edges<S: Simd>(s: S, x: S::F, y: S::F) -> S::F {
    let zero = s.splat(0.0);
    let below = s.select(s.eq(x, zero), s.splat(f32::NEG_INFINITY), s.splat(f32::NAN));
    let above = s.select(s.lt(x, s.splat(f32::INFINITY)), y, x);
    s.select(s.lt(zero, x), above, below)
}

/// Natural logarithm, within 2 ULP, of denormals too.
#[inline(always)]
pub fn log<S: Simd>(s: S, x: S::F) -> S::F {
    let tiny = s.lt(x, s.splat(f32::MIN_POSITIVE));
    let u = s.select(tiny, s.mul(x, s.splat(8_388_608.0)), x);
    let shift = s.select(tiny, s.splat(-23.0), s.splat(0.0));
    at_edges(s, x, log_core(s, u, shift, s.splat(0.0)))
}

/// `log(1 + x)`, within 2 ULP: the rounding error of `1 + x`, found exactly, goes in as a first-order correction.
#[inline(always)]
pub fn log1p<S: Simd>(s: S, x: S::F) -> S::F {
    let one = s.splat(1.0);
    let u = s.add(one, x);
    let rounded = s.sub(u, one);
    let lost = s.add(s.sub(one, s.sub(u, rounded)), s.sub(x, rounded));
    let y = log_core(s, u, s.splat(0.0), s.div(lost, u));
    // The result has the sign of x; NaN does not care.
    with_sign(s, at_edges(s, u, y), x)
}

/// `x^y`, within 1 ULP, with the special cases of C's `pow`. Computed in f64 by the same steps on every machine.
#[inline(always)]
pub fn pow<S: Simd>(s: S, x: S::F, y: S::F) -> S::F {
    by_lane(s, x, y, pow_lane)
}

#[inline(always)]
fn pow_lane(x: f32, y: f32) -> f32 {
    if y == 0.0 || x == 1.0 {
        return 1.0;
    }
    let a = x.abs();
    let magnitude =
        if a == 1.0 { if y.is_nan() { y } else { 1.0 } } else { exp2_wide(y as f64 * log2_wide(a as f64)) as f32 };
    if x.is_sign_positive() || x.is_nan() {
        return magnitude;
    }
    let whole = y.trunc() == y;
    // From 2^24 on every float is even.
    let odd = whole && y.abs() < 16_777_216.0 && (y as i32) & 1 == 1;
    if odd {
        -magnitude
    } else if whole || x == 0.0 || x == f32::NEG_INFINITY {
        magnitude
    } else {
        f32::NAN
    }
}

/// `log2` of a non-negative f32 given as f64 (so never denormal), error 2^-45 relative: `2 atanh(s) / ln 2` with
/// `s = (m − 1)/(m + 1)` for the mantissa `m` in `[√½, √2)`.
#[inline(always)]
fn log2_wide(a: f64) -> f64 {
    if a == 0.0 {
        return f64::NEG_INFINITY;
    }
    if !a.is_finite() {
        return a;
    }
    const SQRT_HALF: i64 = 0x3fe6_a09e_667f_3bcd;
    let bits = a.to_bits() as i64;
    let e = (bits - SQRT_HALF) >> 52;
    let m = f64::from_bits((bits - (e << 52)) as u64);
    let t = (m - 1.0) / (m + 1.0);
    let z = t * t;
    // 2 atanh(t) / (t ln 2), error 2^-45.
    let mut p = 0.282_899_282_703_705_3;
    for c in [
        0.319_905_755_250_482_04,
        0.412_209_251_041_965_76,
        0.577_077_942_377_030_1,
        0.961_796_694_113_305_3,
        2.885_390_081_777_85,
    ] {
        p = p * z + c;
    }
    e as f64 + t * p
}

/// `2^x` as f64 for use as f32: beyond ±200 the exponent stops growing, for f32 has long over- or underflown.
#[inline(always)]
fn exp2_wide(x: f64) -> f64 {
    // NaN passes through `clamp`.
    let x = x.clamp(-200.0, 200.0);
    let k = x.round_ties_even();
    let r = x - k;
    // 2^r on |r| <= 1/2, error 2^-34.5.
    let mut p = 1.520_191_984_411_938_4e-5;
    for c in [
        0.000_154_692_911_666_482_95,
        0.001_333_392_257_056_871,
        0.009_618_027_253_877_472,
        0.055_504_103_534_401_43,
        0.240_226_511_981_511_7,
        0.693_147_180_728_452_6,
        0.999_999_999_961_684_8,
    ] {
        p = p * r + c;
    }
    p * f64::from_bits(((k as i64 + 1023) << 52) as u64)
}
