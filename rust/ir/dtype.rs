//! Element types and tensor types.

use std::fmt;

/// Element type of a tensor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum DType {
    /// 32-bit IEEE float: weights, activations, gradients.
    F32,
    /// 16-bit IEEE float: 11 significant bits, up to 65504. A storage type: arithmetic on it is rounded float32's.
    F16,
    /// The upper half of a float32: 8 significant bits. A storage type, as `F16`; see [`widen`](crate::widen).
    Bf16,
    /// 32-bit signed integer: labels, indices, counters.
    I32,
    /// 64-bit signed integer.
    I64,
    /// Signed byte: weights and activations of quantized layers.
    I8,
    /// Byte: images, argmax positions, activations of quantized layers.
    U8,
    /// Truth value, stored as one byte, 0 or 1.
    Bool,
}

impl DType {
    /// Every element type.
    pub const ALL: [Self; 8] = [Self::F32, Self::F16, Self::Bf16, Self::I64, Self::I32, Self::I8, Self::U8, Self::Bool];

    /// Bytes per element.
    pub const fn size(self) -> usize {
        match self {
            Self::I64 => 8,
            Self::F32 | Self::I32 => 4,
            Self::F16 | Self::Bf16 => 2,
            Self::I8 | Self::U8 | Self::Bool => 1,
        }
    }

    /// Keras's name of the type.
    pub const fn name(self) -> &'static str {
        match self {
            Self::F32 => "float32",
            Self::F16 => "float16",
            Self::Bf16 => "bfloat16",
            Self::I64 => "int64",
            Self::I32 => "int32",
            Self::I8 => "int8",
            Self::U8 => "uint8",
            Self::Bool => "bool",
        }
    }

    /// The type with this name, if there is one.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|d| d.name() == name)
    }

    /// Whether values are whole numbers (truth values count as 0 and 1).
    pub const fn is_integer(self) -> bool {
        !self.is_float()
    }

    /// Whether values are real numbers, which gradients pass through.
    pub const fn is_float(self) -> bool {
        matches!(self, Self::F32) || self.is_half()
    }

    /// Whether values are stored in 16 bits and computed with in float32.
    pub const fn is_half(self) -> bool {
        matches!(self, Self::F16 | Self::Bf16)
    }
}

impl fmt::Display for DType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Element type and sizes of a tensor; row-major, channels last.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Type {
    /// Element type.
    pub dtype: DType,
    /// Size of each axis; empty for a scalar.
    pub dims: Vec<usize>,
}

impl Type {
    /// A type from its parts.
    pub fn new(dtype: DType, dims: impl Into<Vec<usize>>) -> Self {
        Self { dtype, dims: dims.into() }
    }

    /// A float32 tensor type.
    pub fn f32(dims: impl Into<Vec<usize>>) -> Self {
        Self::new(DType::F32, dims)
    }

    /// Number of axes.
    pub fn rank(&self) -> usize {
        self.dims.len()
    }

    /// Number of elements.
    pub fn len(&self) -> usize {
        self.dims.iter().product()
    }

    /// Whether there are no elements.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes of all elements.
    pub fn bytes(&self) -> usize {
        self.len() * self.dtype.size()
    }
}

impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{:?}", self.dtype, self.dims)
    }
}
