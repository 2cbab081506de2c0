//! Trigonometric functions.

use super::{MAX_LANES, polynomial, with_sign};
use crate::simd::Simd;
use std::f32::consts::{FRAC_2_PI, FRAC_PI_2, PI, TAU};

/// Up to here the quotient by π/2 is at most 2^16 and three f32 parts of π/2 suffice.
const LIMIT: f32 = 102_943.0;

/// `a = (4j + q) π/2 + hi + lo` for `a >= 0`: gives `q` (0 to 3), `hi` (at most about π/4), `lo`.
#[inline(always)]
fn reduce<S: Simd>(s: S, a: S::F) -> (S::F, S::F, S::F) {
    // π/2 = 1.5707964 − 4.371139e-8 − 1.7151245e-15 up to 2^-76. The first product and difference are exact, the
    // rounding errors of the second are found exactly and kept in `lo`, so that the sum is good near multiples of π/2.
    const MIDDLE: f32 = 4.371_139e-8;
    const LAST: f32 = 1.715_124_5e-15;
    let n = s.round(s.mul(a, s.splat(FRAC_2_PI)));
    let first = s.fma(n, s.splat(-FRAC_PI_2), a);
    let middle = s.mul(n, s.splat(MIDDLE));
    let hi = s.add(first, middle);
    let added = s.sub(hi, first);
    let lost = s.add(s.sub(first, s.sub(hi, added)), s.sub(middle, added));
    let lost = s.add(lost, s.fma(n, s.splat(MIDDLE), s.xor(middle, s.splat(-0.0))));
    let lo = s.fma(n, s.splat(LAST), lost);
    let q = s.fma(s.floor(s.mul(n, s.splat(0.25))), s.splat(-4.0), n);
    let big = s.lt(s.splat(LIMIT), a);
    if s.reduce_add(s.select(big, s.splat(1.0), s.splat(0.0))) == 0.0 {
        return (q, hi, lo);
    }
    const { assert!(S::LANES <= MAX_LANES) };
    let [mut x, mut quarter, mut high, mut low] = [[0.0; MAX_LANES]; 4];
    // SAFETY: the arrays hold the widest vector.
    unsafe {
        s.store(x.as_mut_ptr(), a);
        s.store(quarter.as_mut_ptr(), q);
        s.store(high.as_mut_ptr(), hi);
        s.store(low.as_mut_ptr(), lo);
        for i in 0..S::LANES {
            if x[i] > LIMIT {
                (quarter[i], high[i], low[i]) = reduce_large(x[i]);
            }
        }
        (s.load(quarter.as_ptr()), s.load(high.as_ptr()), s.load(low.as_ptr()))
    }
}

/// [`reduce`] of one large value (Payne and Hanek): of the product with 2/π only the bits below 4 matter, so the
/// mantissa is multiplied by the 96 bits of 2/π that reach there; 2^-70 is lost.
fn reduce_large(a: f32) -> (f32, f32, f32) {
    if a.is_infinite() {
        return (0.0, f32::NAN, 0.0);
    }
    /// 2/π · 2^256, least significant word first, and a zero to read past the end.
    const TWO_OVER_PI: [u64; 5] =
        [0xfe51_63ab_debb_c561, 0xdb62_9599_3c43_9041, 0xfc27_57d1_f534_ddc0, 0xa2f9_836e_4e44_1529, 0];
    let mantissa = (a.to_bits() & 0x7f_ffff) | 0x80_0000;
    // a = mantissa · 2^e, −7 <= e <= 104: wanted are 2/π · 2^(e + 94) modulo 2^96.
    let e = (a.to_bits() >> 23) as i32 - 150;
    let shift = (162 - e) as usize;
    let (word, bit) = (shift / 64, shift % 64);
    let mut window = (TWO_OVER_PI[word] as u128 | (TWO_OVER_PI[word + 1] as u128) << 64) >> bit;
    if bit > 0 {
        window |= (TWO_OVER_PI[word + 2] as u128) << (128 - bit);
    }
    const MASK: u128 = (1 << 96) - 1;
    let quarters = (mantissa as u128 * (window & MASK)) & MASK;
    let q = (quarters + (1 << 93)) >> 94;
    let rest = quarters as i128 - (q << 94) as i128;
    // 2^-94 exactly.
    let r = rest as f64 * f64::from_bits((1023 - 94) << 52) * std::f64::consts::FRAC_PI_2;
    let hi = r as f32;
    ((q % 4) as f32, hi, (r - hi as f64) as f32)
}

/// Sine and cosine of `hi + lo`, `|hi|` up to about π/4.
#[inline(always)]
fn sin_cos<S: Simd>(s: S, hi: S::F, lo: S::F) -> (S::F, S::F) {
    let z = s.mul(hi, hi);
    // (sin x − x)/x³ in x², error 2^-28 relative to sin.
    let p = polynomial(s, z, [-0.166_666_54, 0.008_332_151, -0.000_195_139_8]);
    let sin = s.add(hi, s.fma(s.mul(hi, z), p, lo));
    // (cos x − 1 + x²/2)/x⁴ in x², error 2^-33.
    let p = polynomial(s, z, [0.041_666_646, -0.001_388_730_4, 2.443_166_9e-5]);
    let cos = s.fma(s.mul(z, z), p, s.fma(z, s.splat(-0.5), s.splat(1.0)));
    (sin, s.fma(s.xor(hi, s.splat(-0.0)), lo, cos))
}

/// `sin(qπ/2 + hi + lo)`, `q` from 0 to 4.
#[inline(always)]
fn sin_of_quarters<S: Simd>(s: S, q: S::F, hi: S::F, lo: S::F) -> S::F {
    let (sin, cos) = sin_cos(s, hi, lo);
    let half = s.floor(s.mul(q, s.splat(0.5)));
    let odd = s.eq(s.fma(half, s.splat(-2.0), q), s.splat(1.0));
    let flip = s.select(s.eq(half, s.splat(1.0)), s.splat(-0.0), s.splat(0.0));
    s.xor(s.select(odd, cos, sin), flip)
}

/// Sine and cosine of `2π v` for `v` in `[0, 1]`, within 2 ULP: quarter turns come off exactly.
#[inline(always)]
pub(crate) fn sin_cos_of_turns<S: Simd>(s: S, v: S::F) -> (S::F, S::F) {
    let q = s.round(s.mul(v, s.splat(4.0)));
    let t = s.fma(q, s.splat(-0.25), v);
    // 2π = 6.2831855 − 1.7484556e-7.
    let hi = s.mul(t, s.splat(TAU));
    let lo = s.fma(t, s.splat(TAU), s.xor(hi, s.splat(-0.0)));
    let lo = s.fma(t, s.splat(-1.748_455_5e-7), lo);
    let past = s.fma(s.floor(s.mul(q, s.splat(0.25))), s.splat(-4.0), q);
    (sin_of_quarters(s, past, hi, lo), sin_of_quarters(s, s.add(past, s.splat(1.0)), hi, lo))
}

/// Sine, within 2 ULP over all floats.
#[inline(always)]
pub fn sin<S: Simd>(s: S, x: S::F) -> S::F {
    let (q, hi, lo) = reduce(s, s.abs(x));
    s.xor(sin_of_quarters(s, q, hi, lo), s.and(x, s.splat(-0.0)))
}

/// Cosine, within 2 ULP over all floats.
#[inline(always)]
pub fn cos<S: Simd>(s: S, x: S::F) -> S::F {
    let (q, hi, lo) = reduce(s, s.abs(x));
    sin_of_quarters(s, s.add(q, s.splat(1.0)), hi, lo)
}

/// Tangent, within 3 ULP over all floats.
#[inline(always)]
pub fn tan<S: Simd>(s: S, x: S::F) -> S::F {
    let (q, hi, lo) = reduce(s, s.abs(x));
    let (sin, cos) = sin_cos(s, hi, lo);
    let half = s.floor(s.mul(q, s.splat(0.5)));
    let odd = s.eq(s.fma(half, s.splat(-2.0), q), s.splat(1.0));
    // An odd quarter turn: −cot.
    let above = s.select(odd, s.xor(cos, s.splat(-0.0)), sin);
    let below = s.select(odd, sin, cos);
    s.xor(s.div(above, below), s.and(x, s.splat(-0.0)))
}

/// Angle of the point `(x, y)`, within 3 ULP, with the special cases of C's `atan2`.
#[inline(always)]
pub fn atan2<S: Simd>(s: S, y: S::F, x: S::F) -> S::F {
    let (a, b) = (s.abs(y), s.abs(x));
    let (small, large) = (s.min(a, b), s.max(a, b));
    let t = s.div(small, large);
    // 0/0 counts as 0 and ∞/∞ as 1.
    let t = s.select(s.eq(large, s.splat(0.0)), s.splat(0.0), t);
    let t = s.select(s.eq(small, s.splat(f32::INFINITY)), s.splat(1.0), t);
    let z = s.mul(t, t);
    // (atan t − t)/t³ in t² on t <= 1, error 2^-28.5 relative to atan.
    let p = polynomial(
        s,
        z,
        [
            -0.333_333,
            0.199_985_49,
            -0.142_642_42,
            0.109_521_87,
            -0.084_034_55,
            0.057_957_657,
            -0.031_177_903,
            0.010_914_634,
            -0.001_793_627_6,
        ],
    );
    let angle = s.fma(s.mul(t, z), p, t);
    // π/2 and π exceed their floats by −4.37e-8 and −8.74e-8.
    let steep = s.sub(s.splat(FRAC_PI_2), s.add(angle, s.splat(4.371_139e-8)));
    let angle = s.select(s.lt(b, a), steep, angle);
    let back = s.sub(s.splat(PI), s.add(angle, s.splat(8.742_278e-8)));
    let negative = s.lt(s.or(s.and(x, s.splat(-0.0)), s.splat(1.0)), s.splat(0.0));
    let angle = with_sign(s, s.select(negative, back, angle), y);
    s.select(s.eq(y, y), s.select(s.eq(x, x), angle, x), y)
}
