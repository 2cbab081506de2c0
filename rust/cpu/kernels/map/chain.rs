//! Chains: functions of few instructions applied one after another to vectors that stay in registers.
//!
//! A pass over L1 for each function would be bound by loads and stores. A chain keeps a *group* of vectors and changes it
//! in place; the other operands come from memory, where it also puts what is needed again. Choosing the function costs a
//! jump per group, as much as loading two of its vectors.

use super::program::Place;
use super::step::Source;
use crate::math;
use crate::simd::Simd;
use oxiconv_ir::expr::{Binary, Unary};

/// Vectors of a group.
pub(super) const GROUP: usize = 8;

/// Most operations of a chain.
pub(super) const LONGEST: usize = 24;

/// What an operation does with the group `x` and its operands in memory, `y` and `z`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Code {
    /// `x = y`.
    Load,
    /// `y = x`.
    Store,
    /// `x = x * x`.
    Square,
    Neg,
    Abs,
    Sign,
    Floor,
    Ceil,
    Round,
    Sqrt,
    Rsqrt,
    Bf16,
    Not,
    IsNan,
    Add,
    Sub,
    /// `x = y - x`.
    SubFrom,
    Mul,
    Div,
    /// `x = y / x`.
    DivInto,
    Min,
    Max,
    /// As `Min`, with operands exchanged: that shows in the sign of a zero.
    MinOf,
    /// As `Max`, with operands exchanged.
    MaxOf,
    Eq,
    Ne,
    Lt,
    Le,
    Gt,
    Ge,
    And,
    Or,
    /// `y` where `x` is true, else `z`.
    Choose,
    /// `x` where `y` is true, else `z`.
    Keep,
    /// `z` where `y` is true, else `x`.
    Replace,
}

/// One operation of a chain.
#[derive(Debug, Clone, Copy)]
pub(super) struct Operation<P> {
    pub(super) code: Code,
    pub(super) y: P,
    pub(super) z: P,
}

impl Operation<Place> {
    /// An operation without operands in memory.
    pub(super) fn alone(code: Code) -> Self {
        Self::with(code, Place::Uniform(0))
    }

    /// An operation with one.
    pub(super) fn with(code: Code, y: Place) -> Self {
        Self { code, y, z: y }
    }
}

impl Code {
    /// The code of a function, unless it takes too many instructions.
    pub(super) fn unary(f: Unary) -> Option<Self> {
        Some(match f {
            Unary::Neg => Self::Neg,
            Unary::Abs => Self::Abs,
            Unary::Sign => Self::Sign,
            Unary::Floor => Self::Floor,
            Unary::Ceil => Self::Ceil,
            Unary::Round => Self::Round,
            Unary::Sqrt => Self::Sqrt,
            Unary::Rsqrt => Self::Rsqrt,
            Unary::Bf16 => Self::Bf16,
            Unary::Not => Self::Not,
            Unary::IsNan => Self::IsNan,
            Unary::Exp
            | Unary::Expm1
            | Unary::Log
            | Unary::Log1p
            | Unary::Sin
            | Unary::Cos
            | Unary::Tan
            | Unary::Tanh
            | Unary::Sigmoid
            | Unary::Erf => return None,
        })
    }

    /// The code of a function of the group and memory, in this order, or of memory and the group.
    pub(super) fn binary(f: Binary, exchanged: bool) -> Option<Self> {
        Some(match (f, exchanged) {
            (Binary::Add, _) => Self::Add,
            (Binary::Mul, _) => Self::Mul,
            (Binary::Sub, false) => Self::Sub,
            (Binary::Sub, true) => Self::SubFrom,
            (Binary::Div, false) => Self::Div,
            (Binary::Div, true) => Self::DivInto,
            (Binary::Min, false) => Self::Min,
            (Binary::Min, true) => Self::MinOf,
            (Binary::Max, false) => Self::Max,
            (Binary::Max, true) => Self::MaxOf,
            (Binary::Eq, _) => Self::Eq,
            (Binary::Ne, _) => Self::Ne,
            (Binary::Lt, false) | (Binary::Gt, true) => Self::Lt,
            (Binary::Le, false) | (Binary::Ge, true) => Self::Le,
            (Binary::Gt, false) | (Binary::Lt, true) => Self::Gt,
            (Binary::Ge, false) | (Binary::Le, true) => Self::Ge,
            (Binary::And, _) => Self::And,
            (Binary::Or, _) => Self::Or,
            (Binary::Pow | Binary::Mod | Binary::Atan2, _) => return None,
        })
    }
}

/// Runs a chain on `n` elements.
///
/// # Safety
/// Operands hold `n` floats (a vector if uniform); of those with the same elements, each is apart from the destination of
/// a `Store` or begins where it does.
#[inline(always)]
pub(super) unsafe fn run<S: Simd>(s: S, chain: &[Operation<Source>], n: usize) {
    let mut i = 0;
    // SAFETY: `i` and what follows stay below `n`.
    unsafe {
        while i + GROUP * S::LANES <= n {
            group::<S, GROUP, false>(s, chain, i, 0);
            i += GROUP * S::LANES;
        }
        while i + S::LANES <= n {
            group::<S, 1, false>(s, chain, i, 0);
            i += S::LANES;
        }
        if i < n {
            group::<S, 1, true>(s, chain, i, n - i);
        }
    }
}

/// Runs a chain on `U` vectors from element `i` on, or on the first `rest` lanes of one.
///
/// # Safety
/// As [`run`], with the elements in range.
#[inline(always)]
unsafe fn group<S: Simd, const U: usize, const PART: bool>(s: S, chain: &[Operation<Source>], i: usize, rest: usize) {
    let (zero, one, sign) = (s.splat(0.0), s.splat(1.0), s.splat(-0.0));
    let mut x = [zero; U];
    for operation in chain {
        let (y, z) = (operation.y, operation.z);
        // SAFETY: in range by contract.
        let load = |from: Source, u: usize| unsafe {
            if PART { s.load_partial(from.at(i), rest) } else { s.load(from.vector::<S>(i, u)) }
        };
        // Macros, because closures around code of any size become functions without the instruction set.
        macro_rules! each {
            ($u:ident: $value:expr) => {
                for $u in 0..U {
                    x[$u] = $value;
                }
            };
        }
        macro_rules! truth {
            ($u:ident: $mask:expr) => {
                each!($u: s.select($mask, one, zero))
            };
        }
        macro_rules! falsehood {
            ($u:ident: $mask:expr) => {
                each!($u: s.select($mask, zero, one))
            };
        }
        // The instruction gives its second operand where either is NaN: right unless only the first is.
        macro_rules! nan_or {
            ($instruction:ident, $a:expr, $b:expr) => {{
                let (a, b) = ($a, $b);
                s.select(s.eq(a, a), s.$instruction(a, b), a)
            }};
        }
        match operation.code {
            Code::Load => each!(u: load(y, u)),
            Code::Store => {
                for u in 0..U {
                    // SAFETY: as above.
                    unsafe {
                        if PART {
                            s.store_partial(y.at(i).cast_mut(), x[u], rest);
                        } else {
                            s.store(y.vector::<S>(i, u).cast_mut(), x[u]);
                        }
                    }
                }
            }
            Code::Square => each!(u: s.mul(x[u], x[u])),
            Code::Neg => each!(u: s.xor(x[u], sign)),
            Code::Abs => each!(u: s.abs(x[u])),
            // Zeros and NaN are their own sign.
            Code::Sign => each!(u: {
                let positive = s.select(s.lt(zero, x[u]), one, x[u]);
                s.select(s.lt(x[u], zero), s.splat(-1.0), positive)
            }),
            Code::Floor => each!(u: s.floor(x[u])),
            Code::Ceil => each!(u: s.ceil(x[u])),
            Code::Round => each!(u: s.round(x[u])),
            Code::Sqrt => each!(u: s.sqrt(x[u])),
            Code::Rsqrt => each!(u: math::rsqrt(s, x[u])),
            Code::Bf16 => each!(u: s.bf16(x[u])),
            Code::Not => truth!(u: s.eq(x[u], zero)),
            Code::IsNan => falsehood!(u: s.eq(x[u], x[u])),
            Code::Add => each!(u: s.add(x[u], load(y, u))),
            Code::Sub => each!(u: s.sub(x[u], load(y, u))),
            Code::SubFrom => each!(u: s.sub(load(y, u), x[u])),
            Code::Mul => each!(u: s.mul(x[u], load(y, u))),
            Code::Div => each!(u: s.div(x[u], load(y, u))),
            Code::DivInto => each!(u: s.div(load(y, u), x[u])),
            Code::Min => each!(u: nan_or!(min, x[u], load(y, u))),
            Code::Max => each!(u: nan_or!(max, x[u], load(y, u))),
            Code::MinOf => each!(u: nan_or!(min, load(y, u), x[u])),
            Code::MaxOf => each!(u: nan_or!(max, load(y, u), x[u])),
            Code::Eq => truth!(u: s.eq(x[u], load(y, u))),
            Code::Ne => falsehood!(u: s.eq(x[u], load(y, u))),
            Code::Lt => truth!(u: s.lt(x[u], load(y, u))),
            Code::Le => truth!(u: s.le(x[u], load(y, u))),
            Code::Gt => truth!(u: s.lt(load(y, u), x[u])),
            Code::Ge => truth!(u: s.le(load(y, u), x[u])),
            Code::And => each!(u: {
                let other = s.select(s.eq(load(y, u), zero), zero, one);
                s.select(s.eq(x[u], zero), zero, other)
            }),
            Code::Or => each!(u: {
                let other = s.select(s.eq(load(y, u), zero), zero, one);
                s.select(s.eq(x[u], zero), other, one)
            }),
            Code::Choose => each!(u: s.select(s.eq(x[u], zero), load(z, u), load(y, u))),
            Code::Keep => each!(u: s.select(s.eq(load(y, u), zero), load(z, u), x[u])),
            Code::Replace => each!(u: s.select(s.eq(load(y, u), zero), x[u], load(z, u))),
        }
    }
}
