//! The exponential and what follows from it.

use super::{polynomial, with_sign};
use crate::simd::Simd;

/// `x = k ln 2 + r`, `|r| <= ln 2 / 2`: gives `e^r − 1`, `2^min(k, 127)`, and what is left of `k` (0 or 1).
///
/// `x` must lie in −88..=89, where the exponent of the power fits after the split; below −87.7 the power is zero.
#[inline(always)]
fn reduce<S: Simd>(s: S, x: S::F) -> (S::F, S::F, S::F) {
    let k = s.round(s.mul(x, s.splat(std::f32::consts::LOG2_E)));
    // The first product and difference are exact: `r` is a multiple of 2^-25 below 1/2.
    let r = s.fma(k, s.splat(-std::f32::consts::LN_2), x);
    let r = s.fma(k, s.splat(1.904_654_2e-9), r);
    // (e^r − 1 − r) / r², error 2^-26.2 relative to e^r − 1.
    let p = polynomial(s, r, [0.499_999_97, 0.166_665_43, 0.041_667_2, 0.008_366_514, 0.001_388_252_4]);
    let low = s.min(k, s.splat(127.0));
    (s.fma(s.mul(r, r), p, r), s.exp2i(low), s.sub(k, low))
}

/// Keeps NaN: minimum and maximum give their second operand then.
#[inline(always)]
fn clamp<S: Simd>(s: S, x: S::F, low: f32, high: f32) -> S::F {
    s.min(s.splat(high), s.max(s.splat(low), x))
}

/// `e^x`, within 2 ULP; zero where the result would be below the smallest normal.
#[inline(always)]
pub fn exp<S: Simd>(s: S, x: S::F) -> S::F {
    let (q, power, rest) = reduce(s, clamp(s, x, -88.0, 89.0));
    let y = s.add(q, s.splat(1.0));
    // `rest` is 1 only for the topmost binade and beyond: doubling is exact, then overflows where it should.
    s.mul(s.fma(y, rest, y), power)
}

/// `e^x − 1`, within 3 ULP.
#[inline(always)]
pub fn expm1<S: Simd>(s: S, x: S::F) -> S::F {
    let (q, power, rest) = reduce(s, clamp(s, x, -88.0, 89.0));
    let y = s.fma(q, power, s.sub(power, s.splat(1.0)));
    with_sign(s, s.fma(y, rest, y), x)
}

/// Hyperbolic tangent, within 3 ULP: `t / (t + 2)` with `t = e^(2|x|) − 1`.
#[inline(always)]
pub fn tanh<S: Simd>(s: S, x: S::F) -> S::F {
    // tanh rounds to 1 from 9.02 on.
    let a = s.min(s.splat(10.0), s.abs(x));
    let (q, power, _) = reduce(s, s.add(a, a));
    let t = s.fma(q, power, s.sub(power, s.splat(1.0)));
    with_sign(s, s.div(t, s.add(t, s.splat(2.0))), x)
}

/// `1 / (1 + e^-x)`, within 3 ULP.
#[inline(always)]
pub fn sigmoid<S: Simd>(s: S, x: S::F) -> S::F {
    let one = s.splat(1.0);
    s.div(one, s.add(one, exp(s, s.xor(x, s.splat(-0.0)))))
}

/// Error function, within 2 ULP.
#[inline(always)]
pub fn erf<S: Simd>(s: S, x: S::F) -> S::F {
    let a = s.abs(x);
    let z = s.mul(a, a);
    // erf(a)/a − 1 on a <= 1, error 2^-29.6.
    let p = polynomial(
        s,
        z,
        [0.128_379_17, -0.376_126_26, 0.112_835_854, -0.026_853_813, 0.005_188_327_7, -0.000_801_019_4, 7.853_864e-5],
    );
    let near = s.fma(a, p, a);
    // −log(1 − erf(t))/t on 1 <= t <= 3.95, error 2^-28.6 relative to erf. From 3.95 on erf rounds to 1.
    let t = s.min(s.splat(3.95), a);
    let q =
        polynomial(s, t, [1.128_480_1, 0.635_831_5, 0.105_116_11, -0.022_798_44, 0.003_186_939_5, -0.000_210_642_33]);
    let far = s.sub(s.splat(1.0), exp(s, s.mul(t, s.xor(q, s.splat(-0.0)))));
    // NaN fails the comparison; `t` carried it through `far`.
    with_sign(s, s.select(s.le(a, s.splat(1.0)), near, far), x)
}
