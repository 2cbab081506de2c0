//! Element types as Rust types, and conversions between them.

use crate::simd::{Isa, Kernel, Simd, dispatch, round_bf16};
use half::{bf16, f16};
use oxiconv_ir::{Arithmetic, DType};

/// An element of a tensor: a number, or [`Truth`].
pub(crate) trait Element: Copy + PartialEq + Send + Sync + 'static {
    /// As a float, rounded.
    fn to_f32(self) -> f32;
    /// As an integer: floats truncate toward zero and saturate, NaN is 0.
    fn to_i64(self) -> i64;
    /// As a narrow integer: floats truncate toward zero and saturate, NaN is 0; wider integers wrap.
    fn to_i32(self) -> i32;
    /// From a float: truncates toward zero and saturates, NaN is 0; truth is "not zero".
    fn from_f32(x: f32) -> Self;
    /// From an integer: narrower ones wrap; truth is "not zero".
    fn from_i64(x: i64) -> Self;
    /// From a narrow integer, as [`Self::from_i64`].
    #[inline(always)]
    fn from_i32(x: i32) -> Self {
        Self::from_i64(i64::from(x))
    }
}

/// Rounds values in place to those that a bfloat16 has; see [`Simd::bf16`].
pub(crate) fn round_to_bf16(isa: Isa, values: &mut [f32]) {
    struct Round<'a>(&'a mut [f32]);
    impl Kernel for Round<'_> {
        type Output = ();
        #[inline(always)]
        fn run<S: Simd>(self, s: S) {
            let mut vectors = self.0.chunks_exact_mut(S::LANES);
            for v in &mut vectors {
                let p = v.as_mut_ptr();
                // SAFETY: the chunk is one vector.
                unsafe { s.store(p, s.bf16(s.load(p))) }
            }
            for x in vectors.into_remainder() {
                *x = round_bf16(*x);
            }
        }
    }
    dispatch(isa, Round(values));
}

/// A truth value: a byte, 0 or 1.
#[derive(Clone, Copy, PartialEq)]
#[repr(transparent)]
pub(crate) struct Truth(u8);

/// Numbers that Rust converts by `as`.
macro_rules! plain_elements {
    ($($t:ident)+) => {$(
        impl Element for $t {
            #[inline(always)]
            fn to_f32(self) -> f32 {
                self as f32
            }
            #[inline(always)]
            fn to_i64(self) -> i64 {
                self as i64
            }
            #[inline(always)]
            fn to_i32(self) -> i32 {
                self as i32
            }
            #[inline(always)]
            fn from_f32(x: f32) -> $t {
                x as $t
            }
            #[inline(always)]
            fn from_i64(x: i64) -> $t {
                x as $t
            }
            #[inline(always)]
            fn from_i32(x: i32) -> $t {
                x as $t
            }
        }
    )+};
}
plain_elements!(f32 i64 i32 i8 u8);

/// Halves go through float32: from wide integers they round twice, as a float32 tensor in between would.
macro_rules! half_elements {
    ($($t:ident $wide:expr, $narrow:expr;)+) => {$(
        impl Element for $t {
            #[inline(always)]
            fn to_f32(self) -> f32 {
                $wide(self)
            }
            #[inline(always)]
            fn to_i64(self) -> i64 {
                $wide(self) as i64
            }
            #[inline(always)]
            fn to_i32(self) -> i32 {
                $wide(self) as i32
            }
            #[inline(always)]
            fn from_f32(x: f32) -> Self {
                $narrow(x)
            }
            #[inline(always)]
            fn from_i64(x: i64) -> Self {
                $narrow(x as f32)
            }
        }
    )+};
}
// Without branches, so that loops over bfloat16 become vectors of whatever instruction set they are compiled for.
half_elements! {
    f16 f16::to_f32, f16::from_f32;
    bf16 |x: bf16| f32::from_bits(u32::from(x.to_bits()) << 16), |x| bf16::from_bits((round_bf16(x).to_bits() >> 16) as u16);
}

impl Element for Truth {
    #[inline(always)]
    fn to_f32(self) -> f32 {
        self.0 as f32
    }
    #[inline(always)]
    fn to_i64(self) -> i64 {
        self.0 as i64
    }
    #[inline(always)]
    fn to_i32(self) -> i32 {
        self.0 as i32
    }
    #[inline(always)]
    fn from_f32(x: f32) -> Self {
        Self((x != 0.0) as u8)
    }
    #[inline(always)]
    fn from_i64(x: i64) -> Self {
        Self((x != 0) as u8)
    }
}

/// What arithmetic is done in: `f32`, `i32` or `i64`.
pub(crate) trait Word: Element {
    /// The element type of the word.
    const DTYPE: DType;
    /// Size in floats.
    const WIDTH: usize = size_of::<Self>() / size_of::<f32>();
    /// From any element.
    fn load<T: Element>(x: T) -> Self;
    /// To any element.
    fn store<T: Element>(self) -> T;
    /// A constant of an expression, which is whole if the word is.
    fn constant(value: f64) -> Self;
}

macro_rules! words {
    ($($t:ident $dtype:ident $to:ident $from:ident)+) => {$(
        impl Word for $t {
            const DTYPE: DType = DType::$dtype;
            #[inline(always)]
            fn load<T: Element>(x: T) -> $t {
                x.$to()
            }
            #[inline(always)]
            fn store<T: Element>(self) -> T {
                T::$from(self)
            }
            #[inline(always)]
            fn constant(value: f64) -> $t {
                value as $t
            }
        }
    )+};
}
words!(f32 F32 to_f32 from_f32 i32 I32 to_i32 from_i32 i64 I64 to_i64 from_i64);

/// The element type of the words of an arithmetic.
pub(crate) fn word_of(arithmetic: Arithmetic) -> DType {
    match arithmetic {
        Arithmetic::F32 => DType::F32,
        Arithmetic::I32 => DType::I32,
        Arithmetic::I64 => DType::I64,
    }
}

/// Runs an expression with `$t` as the Rust type of a [`DType`].
macro_rules! with_element {
    ($dtype:expr, $t:ident => $body:expr) => {
        match $dtype {
            oxiconv_ir::DType::F32 => {
                type $t = f32;
                $body
            }
            oxiconv_ir::DType::F16 => {
                type $t = half::f16;
                $body
            }
            oxiconv_ir::DType::Bf16 => {
                type $t = half::bf16;
                $body
            }
            oxiconv_ir::DType::I32 => {
                type $t = i32;
                $body
            }
            oxiconv_ir::DType::I64 => {
                type $t = i64;
                $body
            }
            oxiconv_ir::DType::I8 => {
                type $t = i8;
                $body
            }
            oxiconv_ir::DType::U8 => {
                type $t = u8;
                $body
            }
            oxiconv_ir::DType::Bool => {
                type $t = $crate::kernels::element::Truth;
                $body
            }
        }
    };
}
pub(crate) use with_element;

#[cfg(test)]
mod tests {
    use super::*;

    /// Patterns of bits that reach every exponent, both sides of each tie, and NaNs with any part of their payload.
    fn patterns() -> Vec<u32> {
        let low = [0, 1, 0x7fff, 0x8000, 0x8001, 0xffff];
        let mut all: Vec<u32> = (0..=0xffffu32).step_by(3).flat_map(|high| low.map(|low| high << 16 | low)).collect();
        let edges =
            [0x7f7f, 0x7f80, 0x7f81, 0x7fbf, 0x7fc0, 0x7fff, 0xff7f, 0xff80, 0xff81, 0xffff, 0x0000, 0x0001, 0x007f];
        all.extend(edges.iter().flat_map(|high| low.map(|low| high << 16 | low)));
        all
    }

    #[test]
    fn rounding_to_bfloat16_has_the_same_bits_on_every_instruction_set() {
        for isa in Isa::all_present() {
            for len in [0, 1, 15, 16, 17, patterns().len()] {
                let mut values: Vec<f32> = patterns()[..len].iter().map(|b| f32::from_bits(*b)).collect();
                round_to_bf16(isa, &mut values);
                for (value, from) in values.iter().zip(patterns()) {
                    // The rounding of a crate of its own.
                    let want = u32::from(bf16::from_f32(f32::from_bits(from)).to_bits()) << 16;
                    assert_eq!(value.to_bits(), want, "{from:#x} on {}", isa.name());
                }
            }
        }
    }

    #[test]
    fn elements_of_bfloat16_are_the_upper_halves() {
        for from in patterns() {
            let x = f32::from_bits(from);
            let stored = <bf16 as Element>::from_f32(x);
            assert_eq!(stored.to_bits(), bf16::from_f32(x).to_bits(), "{from:#x}");
            assert_eq!(Element::to_f32(stored).to_bits(), u32::from(stored.to_bits()) << 16);
            let half = bf16::from_bits((from >> 16) as u16);
            assert_eq!(Element::to_f32(half).to_bits(), from & 0xffff_0000);
        }
    }
}
