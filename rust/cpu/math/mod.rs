//! Vector functions over [`Simd`]: the same bits on every instruction set, since each operation is IEEE and products
//! are fused everywhere. Polynomials are minimax fits (Remez exchange at 120 bits, coefficients then rounded); the
//! error of a fit stands beside it. NaN gives NaN; results below the smallest normal may flush to zero.
//!
//! | function | error bound (ULP) |
//! |---|---|
//! | `pow` | 1 |
//! | `exp`, `log`, `log1p`, `sin`, `cos`, `erf`, `rsqrt` | 2 |
//! | `expm1`, `sigmoid`, `tan`, `tanh`, `atan2` | 3 |

mod exp;
mod log;
mod trig;

pub use exp::{erf, exp, expm1, sigmoid, tanh};
pub use log::{log, log1p, pow};
pub(crate) use trig::sin_cos_of_turns;
pub use trig::{atan2, cos, sin, tan};

use crate::simd::Simd;

/// Widest vector of any instruction set, for functions that work lane by lane.
pub(crate) const MAX_LANES: usize = 16;

/// `c[0] + c[1] x + c[2] x² + ..`, Horner's rule.
#[inline(always)]
fn polynomial<S: Simd, const N: usize>(s: S, x: S::F, c: [f32; N]) -> S::F {
    let mut sum = s.splat(c[N - 1]);
    for i in (0..N - 1).rev() {
        sum = s.fma(sum, x, s.splat(c[i]));
    }
    sum
}

/// The sign bit of `from` put on `x`, whose own sign bit is clear or equal.
#[inline(always)]
fn with_sign<S: Simd>(s: S, x: S::F, from: S::F) -> S::F {
    s.or(x, s.and(from, s.splat(-0.0)))
}

/// A function of lanes that has no vector form worth its length.
#[inline(always)]
fn by_lane<S: Simd>(s: S, a: S::F, b: S::F, f: impl Fn(f32, f32) -> f32) -> S::F {
    const { assert!(S::LANES <= MAX_LANES) };
    let (mut x, mut y) = ([0.0; MAX_LANES], [0.0; MAX_LANES]);
    // SAFETY: the arrays hold the widest vector.
    unsafe {
        s.store(x.as_mut_ptr(), a);
        s.store(y.as_mut_ptr(), b);
        for i in 0..S::LANES {
            x[i] = f(x[i], y[i]);
        }
        s.load(x.as_ptr())
    }
}

/// `1 / √x`, within 2 ULP: two correctly rounded operations.
#[inline(always)]
pub fn rsqrt<S: Simd>(s: S, x: S::F) -> S::F {
    s.div(s.splat(1.0), s.sqrt(x))
}

/// Remainder with the sign of the divisor, exact but for the final addition of the divisor.
#[inline(always)]
pub fn rem<S: Simd>(s: S, a: S::F, b: S::F) -> S::F {
    by_lane(s, a, b, |a, b| {
        let r = a % b;
        if r == 0.0 {
            0.0f32.copysign(b)
        } else if (r < 0.0) != (b < 0.0) {
            r + b
        } else {
            r
        }
    })
}

#[cfg(test)]
mod tests;
