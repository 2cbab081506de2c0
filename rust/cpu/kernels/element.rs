//! Element types as Rust types, and conversions between them.

use oxiconv_ir::DType;

/// An element of a tensor: `f32`, `i32`, `u8`, or [`Truth`].
pub(crate) trait Element: Copy + PartialEq + Send + Sync + 'static {
    /// As a float, rounded.
    fn to_f32(self) -> f32;
    /// As an integer: floats truncate toward zero and saturate, NaN is 0.
    fn to_i32(self) -> i32;
    /// From a float: truncates toward zero and saturates, NaN is 0; truth is "not zero".
    fn from_f32(x: f32) -> Self;
    /// From an integer: bytes wrap; truth is "not zero".
    fn from_i32(x: i32) -> Self;
}

/// A truth value: a byte, 0 or 1.
#[derive(Clone, Copy, PartialEq)]
#[repr(transparent)]
pub(crate) struct Truth(u8);

impl Element for f32 {
    #[inline(always)]
    fn to_f32(self) -> f32 {
        self
    }
    #[inline(always)]
    fn to_i32(self) -> i32 {
        self as i32
    }
    #[inline(always)]
    fn from_f32(x: f32) -> f32 {
        x
    }
    #[inline(always)]
    fn from_i32(x: i32) -> f32 {
        x as f32
    }
}

impl Element for i32 {
    #[inline(always)]
    fn to_f32(self) -> f32 {
        self as f32
    }
    #[inline(always)]
    fn to_i32(self) -> i32 {
        self
    }
    #[inline(always)]
    fn from_f32(x: f32) -> i32 {
        x as i32
    }
    #[inline(always)]
    fn from_i32(x: i32) -> i32 {
        x
    }
}

impl Element for u8 {
    #[inline(always)]
    fn to_f32(self) -> f32 {
        self as f32
    }
    #[inline(always)]
    fn to_i32(self) -> i32 {
        self as i32
    }
    #[inline(always)]
    fn from_f32(x: f32) -> u8 {
        x as u8
    }
    #[inline(always)]
    fn from_i32(x: i32) -> u8 {
        x as u8
    }
}

impl Element for Truth {
    #[inline(always)]
    fn to_f32(self) -> f32 {
        self.0 as f32
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
    fn from_i32(x: i32) -> Self {
        Self((x != 0) as u8)
    }
}

/// What arithmetic is done in: `f32` or `i32`, both of four bytes.
pub(crate) trait Word: Element {
    /// The element type of the word.
    const DTYPE: DType;
    /// From any element.
    fn load<T: Element>(x: T) -> Self;
    /// To any element.
    fn store<T: Element>(self) -> T;
}

impl Word for f32 {
    const DTYPE: DType = DType::F32;
    #[inline(always)]
    fn load<T: Element>(x: T) -> f32 {
        x.to_f32()
    }
    #[inline(always)]
    fn store<T: Element>(self) -> T {
        T::from_f32(self)
    }
}

impl Word for i32 {
    const DTYPE: DType = DType::I32;
    #[inline(always)]
    fn load<T: Element>(x: T) -> i32 {
        x.to_i32()
    }
    #[inline(always)]
    fn store<T: Element>(self) -> T {
        T::from_i32(self)
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
            oxiconv_ir::DType::I32 => {
                type $t = i32;
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
