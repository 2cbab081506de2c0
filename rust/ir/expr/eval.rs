//! Values of expressions in `f64` and in wrapping `i32`: the meaning that kernels are tested against.

use super::{Binary, Expr, Node, Unary};

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
        }
    }

    /// The function in wrapping `i32`; none where [`Self::is_integral`] is false.
    pub fn eval_i32(self, x: i32) -> Option<i32> {
        Some(match self {
            Self::Neg => x.wrapping_neg(),
            Self::Abs => x.wrapping_abs(),
            Self::Sign => x.signum(),
            Self::Floor | Self::Ceil | Self::Round => x,
            Self::Not => i32::from(x == 0),
            Self::IsNan => 0,
            Self::Sqrt
            | Self::Rsqrt
            | Self::Exp
            | Self::Expm1
            | Self::Log
            | Self::Log1p
            | Self::Sin
            | Self::Cos
            | Self::Tan
            | Self::Tanh
            | Self::Sigmoid
            | Self::Erf => return None,
        })
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
                if r != 0.0 && (r < 0.0) != (y < 0.0) { r + y } else { r }
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

    /// The function in wrapping `i32`; none where [`Self::is_integral`] is false.
    pub fn eval_i32(self, x: i32, y: i32) -> Option<i32> {
        Some(match self {
            Self::Add => x.wrapping_add(y),
            Self::Sub => x.wrapping_sub(y),
            Self::Mul => x.wrapping_mul(y),
            Self::Div => floor_div(x, y),
            Self::Pow => {
                let power = x.wrapping_pow(y.unsigned_abs());
                if y < 0 { floor_div(1, power) } else { power }
            }
            Self::Min => x.min(y),
            Self::Max => x.max(y),
            // Wrapping gives the exact remainder: it is smaller than the divisor.
            Self::Mod => x.wrapping_sub(floor_div(x, y).wrapping_mul(y)) * i32::from(y != 0),
            Self::Atan2 => return None,
            Self::Eq => i32::from(x == y),
            Self::Ne => i32::from(x != y),
            Self::Lt => i32::from(x < y),
            Self::Le => i32::from(x <= y),
            Self::Gt => i32::from(x > y),
            Self::Ge => i32::from(x >= y),
            Self::And => i32::from(x != 0 && y != 0),
            Self::Or => i32::from(x != 0 || y != 0),
        })
    }
}

/// Quotient rounded down, 0 where the divisor is 0.
fn floor_div(x: i32, y: i32) -> i32 {
    if y == 0 {
        return 0;
    }
    let q = x.wrapping_div(y);
    if x.wrapping_rem(y) != 0 && (x < 0) != (y < 0) { q - 1 } else { q }
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

    /// Whether the expression has a meaning in integer arithmetic: functions that keep integers, `int32` constants.
    pub fn is_integral(&self) -> bool {
        self.nodes.iter().all(|node| match *node {
            Node::In(_) | Node::Select(..) => true,
            Node::Const(bits) => f64::from(f64::from_bits(bits) as i32) == f64::from_bits(bits),
            Node::Unary(op, _) => op.is_integral(),
            Node::Binary(op, ..) => op.is_integral(),
        })
    }

    /// The results in wrapping `i32`, for one value per input; none unless [`Self::is_integral`].
    pub fn eval_i32(&self, inputs: &[i32]) -> Option<Vec<i32>> {
        assert_eq!(inputs.len(), self.arity, "expression of {} inputs, given {}", self.arity, inputs.len());
        if !self.is_integral() {
            return None;
        }
        let mut values: Vec<i32> = Vec::with_capacity(self.nodes.len());
        for node in &self.nodes {
            let at = |id: u32| values[id as usize];
            let value = match *node {
                Node::In(i) => inputs[i as usize],
                Node::Const(bits) => f64::from_bits(bits) as i32,
                Node::Unary(op, a) => op.eval_i32(at(a))?,
                Node::Binary(op, a, b) => op.eval_i32(at(a), at(b))?,
                Node::Select(c, a, b) => at(if at(c) == 0 { b } else { a }),
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
