//! Values of expressions in `f64` and in wrapping integers: the meaning that kernels are tested against.

use super::{Binary, Expr, Node, Unary};
use crate::DType;
use half::bf16;

/// What an expression is computed in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Arithmetic {
    /// `f32`, each operation rounded on its own.
    F32,
    /// Wrapping `i32`.
    I32,
    /// Wrapping `i64`.
    I64,
}

/// An integer that expressions are computed in.
pub trait Integer: Copy + Ord {
    /// The function in this integer's wrapping arithmetic; none where [`Unary::is_integral`] is false.
    fn unary(op: Unary, x: Self) -> Option<Self>;
    /// The function in this integer's wrapping arithmetic; none where [`Binary::is_integral`] is false.
    fn binary(op: Binary, x: Self, y: Self) -> Option<Self>;
    /// The integer that a constant is, if it is one.
    fn constant(value: f64) -> Option<Self>;
    /// Whether this is 0.
    fn is_zero(self) -> bool;
}

/// By squaring, since the exponent of a wide integer may exceed the `u32` that `wrapping_pow` takes.
macro_rules! wrapping_pow {
    ($t:ident, $x:expr, $n:expr) => {{
        let (mut power, mut square, mut n): ($t, $t, _) = (1, $x, $n);
        while n > 0 {
            if n & 1 == 1 {
                power = power.wrapping_mul(square);
            }
            square = square.wrapping_mul(square);
            n >>= 1;
        }
        power
    }};
}

macro_rules! integer {
    ($t:ident) => {
        impl Integer for $t {
            #[inline(always)]
            fn unary(op: Unary, x: Self) -> Option<Self> {
                Some(match op {
                    Unary::Neg => x.wrapping_neg(),
                    Unary::Abs => x.wrapping_abs(),
                    Unary::Sign => x.signum(),
                    Unary::Floor | Unary::Ceil | Unary::Round => x,
                    Unary::Not => $t::from(x == 0),
                    Unary::IsNan => 0,
                    Unary::Sqrt
                    | Unary::Rsqrt
                    | Unary::Exp
                    | Unary::Expm1
                    | Unary::Log
                    | Unary::Log1p
                    | Unary::Sin
                    | Unary::Cos
                    | Unary::Tan
                    | Unary::Tanh
                    | Unary::Sigmoid
                    | Unary::Erf
                    | Unary::Bf16 => return None,
                })
            }

            #[inline(always)]
            fn binary(op: Binary, x: Self, y: Self) -> Option<Self> {
                // Quotient rounded down, 0 where the divisor is 0.
                let floor_div = |x: $t, y: $t| {
                    if y == 0 {
                        return 0;
                    }
                    let q = x.wrapping_div(y);
                    if x.wrapping_rem(y) != 0 && (x < 0) != (y < 0) { q - 1 } else { q }
                };
                Some(match op {
                    Binary::Add => x.wrapping_add(y),
                    Binary::Sub => x.wrapping_sub(y),
                    Binary::Mul => x.wrapping_mul(y),
                    Binary::Div => floor_div(x, y),
                    Binary::Pow => {
                        let power = wrapping_pow!($t, x, y.unsigned_abs());
                        if y < 0 { floor_div(1, power) } else { power }
                    }
                    Binary::Min => x.min(y),
                    Binary::Max => x.max(y),
                    // Wrapping gives the exact remainder: it is smaller than the divisor.
                    Binary::Mod => x.wrapping_sub(floor_div(x, y).wrapping_mul(y)) * $t::from(y != 0),
                    Binary::Atan2 => return None,
                    Binary::Eq => $t::from(x == y),
                    Binary::Ne => $t::from(x != y),
                    Binary::Lt => $t::from(x < y),
                    Binary::Le => $t::from(x <= y),
                    Binary::Gt => $t::from(x > y),
                    Binary::Ge => $t::from(x >= y),
                    Binary::And => $t::from(x != 0 && y != 0),
                    Binary::Or => $t::from(x != 0 || y != 0),
                })
            }

            #[inline(always)]
            fn constant(value: f64) -> Option<Self> {
                (value as $t as f64 == value).then_some(value as $t)
            }

            #[inline(always)]
            fn is_zero(self) -> bool {
                self == 0
            }
        }
    };
}

integer!(i32);
integer!(i64);

impl Unary {
    /// The function in `f64`.
    pub fn eval(self, x: f64) -> f64 {
        match self {
            Self::Neg => -x,
            Self::Abs => x.abs(),
            Self::Sign if x == 0.0 || x.is_nan() => x,
            Self::Sign => x.signum(),
            Self::Floor => x.floor(),
            Self::Ceil => x.ceil(),
            Self::Round => x.round_ties_even(),
            Self::Sqrt => x.sqrt(),
            Self::Rsqrt => 1.0 / x.sqrt(),
            Self::Exp => x.exp(),
            Self::Expm1 => x.exp_m1(),
            Self::Log => x.ln(),
            Self::Log1p => x.ln_1p(),
            Self::Sin => x.sin(),
            Self::Cos => x.cos(),
            Self::Tan => x.tan(),
            Self::Tanh => x.tanh(),
            Self::Sigmoid => {
                // exp of a negative value only, so that nothing overflows.
                let e = (-x.abs()).exp();
                if x < 0.0 { e / (1.0 + e) } else { 1.0 / (1.0 + e) }
            }
            Self::Erf => erf(x),
            Self::Not => f64::from(x == 0.0),
            Self::IsNan => f64::from(x.is_nan()),
            Self::Bf16 => bf16::from_f64(x).to_f64(),
        }
    }
}

impl Binary {
    /// The function in `f64`.
    pub fn eval(self, x: f64, y: f64) -> f64 {
        match self {
            Self::Add => x + y,
            Self::Sub => x - y,
            Self::Mul => x * y,
            Self::Div => x / y,
            Self::Pow => x.powf(y),
            Self::Min | Self::Max if x.is_nan() || y.is_nan() => f64::NAN,
            Self::Min => x.min(y),
            Self::Max => x.max(y),
            Self::Mod => {
                let r = x % y;
                if r == 0.0 {
                    r.copysign(y)
                } else if (r < 0.0) != (y < 0.0) {
                    r + y
                } else {
                    r
                }
            }
            Self::Atan2 => x.atan2(y),
            Self::Eq => f64::from(x == y),
            Self::Ne => f64::from(x != y),
            Self::Lt => f64::from(x < y),
            Self::Le => f64::from(x <= y),
            Self::Gt => f64::from(x > y),
            Self::Ge => f64::from(x >= y),
            Self::And => f64::from(x != 0.0 && y != 0.0),
            Self::Or => f64::from(x != 0.0 || y != 0.0),
        }
    }
}

impl Expr {
    /// The results in `f64`, for one value per input.
    pub fn eval(&self, inputs: &[f64]) -> Vec<f64> {
        assert_eq!(inputs.len(), self.arity, "expression of {} inputs, given {}", self.arity, inputs.len());
        let mut values: Vec<f64> = Vec::with_capacity(self.nodes.len());
        for node in &self.nodes {
            let at = |id: u32| values[id as usize];
            let value = match *node {
                Node::In(i) => inputs[i as usize],
                Node::Const(bits) => f64::from_bits(bits),
                Node::Unary(op, a) => op.eval(at(a)),
                Node::Binary(op, a, b) => op.eval(at(a), at(b)),
                Node::Select(c, a, b) => at(if at(c) == 0.0 { b } else { a }),
            };
            values.push(value);
        }
        self.outs.iter().map(|&o| values[o as usize]).collect()
    }

    /// What the expression is computed in for inputs and results of these types: integers if all of them are and the
    /// expression has a meaning there, wide ones if any of them is; else `f32`.
    pub fn arithmetic(&self, types: impl IntoIterator<Item = DType>) -> Arithmetic {
        let mut wide = false;
        for dtype in types {
            if dtype.is_float() {
                return Arithmetic::F32;
            }
            wide |= dtype == DType::I64;
        }
        let whole = |v: f64| if wide { i64::constant(v).is_some() } else { i32::constant(v).is_some() };
        let integral = self.nodes.iter().all(|node| match *node {
            Node::In(_) | Node::Select(..) => true,
            Node::Const(bits) => whole(f64::from_bits(bits)),
            Node::Unary(op, _) => op.is_integral(),
            Node::Binary(op, ..) => op.is_integral(),
        });
        match (integral, wide) {
            (false, _) => Arithmetic::F32,
            (true, false) => Arithmetic::I32,
            (true, true) => Arithmetic::I64,
        }
    }

    /// The results in wrapping integers, for one value per input; none where a function has no meaning there.
    pub fn eval_integer<I: Integer>(&self, inputs: &[I]) -> Option<Vec<I>> {
        assert_eq!(inputs.len(), self.arity, "expression of {} inputs, given {}", self.arity, inputs.len());
        let mut values: Vec<I> = Vec::with_capacity(self.nodes.len());
        for node in &self.nodes {
            let at = |id: u32| values[id as usize];
            let value = match *node {
                Node::In(i) => inputs[i as usize],
                Node::Const(bits) => I::constant(f64::from_bits(bits))?,
                Node::Unary(op, a) => I::unary(op, at(a))?,
                Node::Binary(op, a, b) => I::binary(op, at(a), at(b))?,
                Node::Select(c, a, b) => at(if at(c).is_zero() { b } else { a }),
            };
            values.push(value);
        }
        Some(self.outs.iter().map(|&o| values[o as usize]).collect())
    }
}

/// The error function to about 1e-15 relative. Below 2 the series `2/√π · exp(-x²) · Σ 2ⁿ x²ⁿ⁺¹ / (2n+1)!!`
/// (DLMF 7.6.2), whose terms are all of one sign; above, one minus the continued fraction of erfc (DLMF 7.9.1).
pub fn erf(x: f64) -> f64 {
    use std::f64::consts::{FRAC_2_SQRT_PI, PI};
    let a = x.abs();
    if a < 2.0 {
        let (mut sum, mut term, mut n) = (x, x, 1.0);
        while term.abs() > sum.abs() * 1e-17 {
            n += 2.0;
            term *= 2.0 * x * x / n;
            sum += term;
        }
        FRAC_2_SQRT_PI * (-x * x).exp() * sum
    } else if a < 6.0 {
        // erfc(a) = exp(-a²)/√π · 1/(a + (1/2)/(a + 1/(a + (3/2)/(a + …)))); 60 levels reach 1e-16 from a = 2 on.
        let tail = (1..=60).rev().fold(a, |t, k| a + f64::from(k) / 2.0 / t);
        (1.0 - (-a * a).exp() / (PI.sqrt() * tail)).copysign(x)
    } else if x.is_nan() {
        x
    } else {
        1f64.copysign(x)
    }
}
