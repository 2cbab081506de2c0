//! One function applied to one block: of integers, or of many instructions.

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
    pub(super) fn at(self, i: usize) -> *const f32 {
        self.first.wrapping_add(i & self.mask)
    }

    /// The first float of the `u`-th vector from position `i` on.
    #[inline(always)]
    pub(super) fn vector<S: Simd>(self, i: usize, u: usize) -> *const f32 {
        self.at(i).wrapping_add(u * (S::LANES & self.mask))
    }
}

/// Applies a function of `f32` that has no place in a chain, for the instructions it takes.
///
/// # Safety
/// Operands hold `n` floats (a vector if uniform), `to` holds `n`; `to` is apart from each operand or the same.
#[inline(always)]
pub(super) unsafe fn run_f32<S: Simd>(s: S, function: Function, [a, b, _]: [Source; 3], to: *mut f32, n: usize) {
    // A macro, because a closure of any size would become a function of its own, without the instruction set.
    macro_rules! sweep {
        ($f:ident($($x:ident = $arg:ident),+)) => {{
            let mut i = 0;
            while i + S::LANES <= n {
                $(let $x = s.load($arg.at(i));)+
                s.store(to.add(i), math::$f(s, $($x),+));
                i += S::LANES;
            }
            if i < n {
                $(let $x = s.load_partial($arg.at(i), n - i);)+
                s.store_partial(to.add(i), math::$f(s, $($x),+), n - i);
            }
        }};
    }
    // SAFETY: positions stay below `n`, and at 0 for uniform operands.
    unsafe {
        match function {
            Function::Unary(Unary::Exp) => sweep!(exp(x = a)),
            Function::Unary(Unary::Expm1) => sweep!(expm1(x = a)),
            Function::Unary(Unary::Log) => sweep!(log(x = a)),
            Function::Unary(Unary::Log1p) => sweep!(log1p(x = a)),
            Function::Unary(Unary::Sin) => sweep!(sin(x = a)),
            Function::Unary(Unary::Cos) => sweep!(cos(x = a)),
            Function::Unary(Unary::Tan) => sweep!(tan(x = a)),
            Function::Unary(Unary::Tanh) => sweep!(tanh(x = a)),
            Function::Unary(Unary::Sigmoid) => sweep!(sigmoid(x = a)),
            Function::Unary(Unary::Erf) => sweep!(erf(x = a)),
            Function::Binary(Binary::Pow) => sweep!(pow(x = a, y = b)),
            Function::Binary(Binary::Mod) => sweep!(rem(x = a, y = b)),
            Function::Binary(Binary::Atan2) => sweep!(atan2(x = a, y = b)),
            Function::Copy | Function::Unary(_) | Function::Binary(_) | Function::Select => {
                unreachable!("{function:?} is part of a chain")
            }
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
