//! One function applied to one block.

use super::program::Function;
use crate::math;
use crate::simd::Simd;
use oxiconv_ir::expr::{Binary, Unary};

/// The first word of an operand, and whether it is a single vector read over and over.
type Operand = (*const f32, bool);

/// Applies `f` to vectors of `N` operands, `UNROLL` vectors at a time.
///
/// # Safety
/// Operands hold `n` floats (a vector if uniform), `to` holds `n`; `to` is apart from each operand or the same.
#[inline(always)]
unsafe fn sweep<S: Simd, const N: usize, const UNROLL: usize>(
    s: S,
    args: [Operand; 3],
    to: *mut f32,
    n: usize,
    f: impl Fn([S::F; N]) -> S::F,
) {
    // A uniform operand is read at its start whatever the position.
    let masks = args.map(|(_, uniform)| if uniform { 0 } else { usize::MAX });
    let mut i = 0;
    // SAFETY: positions stay below `n`, and at 0 for uniform operands. All of a group's loads precede its stores.
    unsafe {
        let load = |i: usize| std::array::from_fn::<_, N, _>(|j| s.load(args[j].0.add(i & masks[j])));
        while i + UNROLL * S::LANES <= n {
            let y: [S::F; UNROLL] = std::array::from_fn(|u| f(load(i + u * S::LANES)));
            for u in 0..UNROLL {
                s.store(to.add(i + u * S::LANES), y[u]);
            }
            i += UNROLL * S::LANES;
        }
        while i + S::LANES <= n {
            s.store(to.add(i), f(load(i)));
            i += S::LANES;
        }
        if i < n {
            let rest = std::array::from_fn::<_, N, _>(|j| s.load_partial(args[j].0.add(i & masks[j]), n - i));
            s.store_partial(to.add(i), f(rest), n - i);
        }
    }
}

/// # Safety
/// As [`sweep`].
#[inline(always)]
pub(super) unsafe fn run_f32<S: Simd>(s: S, function: Function, args: [Operand; 3], to: *mut f32, n: usize) {
    // Few operations: unrolled, so that the loop does not count. Many: code size matters more.
    macro_rules! light {
        (|$x:ident| $y:expr) => {
            sweep::<S, 1, 4>(s, args, to, n, |[$x]| $y)
        };
        (|$x:ident, $y:ident| $z:expr) => {
            sweep::<S, 2, 4>(s, args, to, n, |[$x, $y]| $z)
        };
    }
    macro_rules! heavy {
        ($f:ident($x:ident)) => {
            sweep::<S, 1, 1>(s, args, to, n, |[$x]| math::$f(s, $x))
        };
        ($f:ident($x:ident, $y:ident)) => {
            sweep::<S, 2, 1>(s, args, to, n, |[$x, $y]| math::$f(s, $x, $y))
        };
    }
    let (zero, one, sign) = (s.splat(0.0), s.splat(1.0), s.splat(-0.0));
    let truth = |m: S::M| s.select(m, one, zero);
    let falsehood = |m: S::M| s.select(m, zero, one);
    // SAFETY: the caller's promise is that of `sweep`.
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
            Function::Select => sweep::<S, 3, 4>(s, args, to, n, |[c, x, y]| s.select(s.eq(c, zero), y, x)),
        }
    }
}

/// # Safety
/// As [`sweep`], with the words taken as `i32`.
#[inline(always)]
pub(super) unsafe fn run_i32(function: Function, args: [Operand; 3], to: *mut f32, n: usize) {
    let at = |j: usize, i: usize| {
        let (p, uniform) = args[j];
        // SAFETY: operand `j` holds `n` words, or at least one.
        unsafe { *p.cast::<i32>().add(if uniform { 0 } else { i }) }
    };
    for i in 0..n {
        let y = match function {
            Function::Copy => at(0, i),
            Function::Unary(f) => f.eval_i32(at(0, i)).expect("checked when compiled"),
            Function::Binary(f) => f.eval_i32(at(0, i), at(1, i)).expect("checked when compiled"),
            Function::Select => at(if at(0, i) == 0 { 2 } else { 1 }, i),
        };
        // SAFETY: the destination holds `n` words.
        unsafe { to.cast::<i32>().add(i).write(y) }
    }
}
