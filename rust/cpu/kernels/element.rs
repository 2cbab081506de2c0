//! Element types as Rust types, and conversions between them.

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
    ($($t:ident)+) => {$(
        impl Element for $t {
            #[inline(always)]
            fn to_f32(self) -> f32 {
                self.to_f32()
            }
            #[inline(always)]
            fn to_i64(self) -> i64 {
                self.to_f32() as i64
            }
            #[inline(always)]
            fn to_i32(self) -> i32 {
                self.to_f32() as i32
            }
            #[inline(always)]
            fn from_f32(x: f32) -> Self {
                $t::from_f32(x)
            }
            #[inline(always)]
            fn from_i64(x: i64) -> Self {
                $t::from_f32(x as f32)
            }
        }
    )+};
}
half_elements!(f16 bf16);

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
