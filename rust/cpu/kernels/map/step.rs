//! One function applied to one block.

use super::program::Function;
use crate::math;
use crate::simd::Simd;
use oxiconv_ir::expr::{Binary, Integer, Unary};

/// Where an operand is: a block of words, or a single vector that is read over and over.
#[derive(Clone, Copy)]
pub(super) struct Source {
    first: *const f32,
    /// 0 for a single vector, else all ones.
    mask: usize,
}

impl Source {
    #[inline(always)]
    pub(super) fn new(first: *const f32, uniform: bool) -> Self {
        Self { first, mask: if uniform { 0 } else { usize::MAX } }
    }

    /// The float for position `i`.
    #[inline(always)]
    fn at(self, i: usize) -> *const f32 {
        self.first.wrapping_add(i & self.mask)
    }
}

/// The loop over a block: `$y` computed from a vector of each operand, `$unroll` vectors at a time, all of their loads
/// before their stores. A macro, because a closure of any size would become a function of its own, without the
/// instruction set.
macro_rules! sweep {
    ($s:ident, $to:ident, $n:ident, $unroll:literal, $($x:ident = $arg:expr),+ => $y:expr) => {{
        let mut i = 0;
        while i + $unroll * S::LANES <= $n {
            let mut out = [$s.splat(0.0); $unroll];
            for u in 0..$unroll {
                $(let $x = $s.load($arg.at(i + u * S::LANES));)+
                out[u] = $y;
            }
            for u in 0..$unroll {
                $s.store($to.add(i + u * S::LANES), out[u]);
            }
            i += $unroll * S::LANES;
        }
        while $unroll > 1 && i + S::LANES <= $n {
            $(let $x = $s.load($arg.at(i));)+
            $s.store($to.add(i), $y);
            i += S::LANES;
        }
        if i < $n {
            $(let $x = $s.load_partial($arg.at(i), $n - i);)+
            $s.store_partial($to.add(i), $y, $n - i);
        }
    }};
}

/// Applies a function of `f32`.
///
/// # Safety
/// Operands hold `n` floats (a vector if uniform), `to` holds `n`; `to` is apart from each operand or the same.
#[inline(always)]
pub(super) unsafe fn run_f32<S: Simd>(s: S, function: Function, [a, b, c]: [Source; 3], to: *mut f32, n: usize) {
    // Few operations: unrolled, so that the loop does not count. Many: code size matters more.
    macro_rules! light {
        (|$x:ident| $y:expr) => {
            sweep!(s, to, n, 4, $x = a => $y)
        };
        (|$x:ident, $y:ident| $z:expr) => {
            sweep!(s, to, n, 4, $x = a, $y = b => $z)
        };
    }
    macro_rules! heavy {
        ($f:ident(x)) => {
            sweep!(s, to, n, 1, x = a => math::$f(s, x))
        };
        ($f:ident(x, y)) => {
            sweep!(s, to, n, 1, x = a, y = b => math::$f(s, x, y))
        };
    }
    let (zero, one, sign) = (s.splat(0.0), s.splat(1.0), s.splat(-0.0));
    let truth = |m: S::M| s.select(m, one, zero);
    let falsehood = |m: S::M| s.select(m, zero, one);
    // SAFETY: positions stay below `n`, and at 0 for uniform operands.
    unsafe {
        match function {
            Function::Copy => light!(|x| x),
            Function::Unary(f) => match f {
                Unary::Neg => light!(|x| s.xor(x, sign)),
                Unary::Abs => light!(|x| s.abs(x)),
                // Zeros and NaN are their own sign.
                Unary::Sign => light!(|x| {
                    let y = s.select(s.lt(zero, x), one, x);
                    s.select(s.lt(x, zero), s.splat(-1.0), y)
                }),
                Unary::Floor => light!(|x| s.floor(x)),
                Unary::Ceil => light!(|x| s.ceil(x)),
                Unary::Round => light!(|x| s.round(x)),
                Unary::Sqrt => light!(|x| s.sqrt(x)),
                Unary::Rsqrt => light!(|x| math::rsqrt(s, x)),
                Unary::Exp => heavy!(exp(x)),
                Unary::Expm1 => heavy!(expm1(x)),
                Unary::Log => heavy!(log(x)),
                Unary::Log1p => heavy!(log1p(x)),
                Unary::Sin => heavy!(sin(x)),
                Unary::Cos => heavy!(cos(x)),
                Unary::Tan => heavy!(tan(x)),
                Unary::Tanh => heavy!(tanh(x)),
                Unary::Sigmoid => heavy!(sigmoid(x)),
                Unary::Erf => heavy!(erf(x)),
                Unary::Not => light!(|x| truth(s.eq(x, zero))),
                Unary::IsNan => light!(|x| falsehood(s.eq(x, x))),
                Unary::Bf16 => light!(|x| s.bf16(x)),
            },
            Function::Binary(f) => match f {
                Binary::Add => light!(|x, y| s.add(x, y)),
                Binary::Sub => light!(|x, y| s.sub(x, y)),
                Binary::Mul => light!(|x, y| s.mul(x, y)),
                Binary::Div => light!(|x, y| s.div(x, y)),
                Binary::Pow => heavy!(pow(x, y)),
                // The instruction gives `y` where either is NaN: right unless only `x` is.
                Binary::Min => light!(|x, y| s.select(s.eq(x, x), s.min(x, y), x)),
                Binary::Max => light!(|x, y| s.select(s.eq(x, x), s.max(x, y), x)),
                Binary::Mod => heavy!(rem(x, y)),
                Binary::Atan2 => heavy!(atan2(x, y)),
                Binary::Eq => light!(|x, y| truth(s.eq(x, y))),
                Binary::Ne => light!(|x, y| falsehood(s.eq(x, y))),
                Binary::Lt => light!(|x, y| truth(s.lt(x, y))),
                Binary::Le => light!(|x, y| truth(s.le(x, y))),
                Binary::Gt => light!(|x, y| truth(s.lt(y, x))),
                Binary::Ge => light!(|x, y| truth(s.le(y, x))),
                Binary::And => light!(|x, y| s.select(s.eq(x, zero), zero, falsehood(s.eq(y, zero)))),
                Binary::Or => light!(|x, y| s.select(s.eq(x, zero), falsehood(s.eq(y, zero)), one)),
            },
            Function::Select => sweep!(s, to, n, 4, q = a, x = b, y = c => s.select(s.eq(q, zero), y, x)),
        }
    }
}

/// Applies a function of integers.
///
/// # Safety
/// As [`run_f32`], with words that are integers.
#[inline(always)]
pub(super) unsafe fn run_integer<I: Integer>(function: Function, args: [Source; 3], to: *mut f32, n: usize) {
    // SAFETY: operand `j` holds `n` words, or at least one.
    let at = |j: usize, i: usize| unsafe { *args[j].first.cast::<I>().wrapping_add(i & args[j].mask) };
    for i in 0..n {
        let y = match function {
            Function::Copy => at(0, i),
            Function::Unary(f) => I::unary(f, at(0, i)).expect("checked when compiled"),
            Function::Binary(f) => I::binary(f, at(0, i), at(1, i)).expect("checked when compiled"),
            Function::Select => at(if at(0, i).is_zero() { 2 } else { 1 }, i),
        };
        // SAFETY: the destination holds `n` words.
        unsafe { to.cast::<I>().add(i).write(y) }
    }
}
