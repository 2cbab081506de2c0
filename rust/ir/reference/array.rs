//! Arrays of the reference: any element type, held as `f64`.

use crate::{DType, Error, Result, Type};
use half::{bf16, f16};

/// A tensor; every element type holds its values as `f64` (truth values as 0 and 1).
#[derive(Debug, Clone, PartialEq)]
pub struct Array {
    /// Element type and sizes.
    pub ty: Type,
    /// Elements, row-major.
    pub data: Vec<f64>,
}

impl Array {
    /// An array of these elements, as many as the sizes say.
    pub fn new(ty: Type, data: Vec<f64>) -> Result<Self> {
        if data.len() == ty.len() {
            Ok(Self { ty, data })
        } else {
            Err(Error::shape("array", format!("{} elements for {ty}", ty.len()), data.len().to_string()))
        }
    }

    /// Zeros.
    pub fn zeros(ty: Type) -> Self {
        let data = vec![0.0; ty.len()];
        Self { ty, data }
    }

    /// The element at a position.
    pub fn get(&self, at: &[usize]) -> f64 {
        self.data[offset(&self.ty.dims, at)]
    }

    /// Writes the element at a position.
    pub fn set(&mut self, at: &[usize], value: f64) {
        self.data[offset(&self.ty.dims, at)] = value;
    }

    /// Adds to the element at a position.
    pub fn add(&mut self, at: &[usize], value: f64) {
        self.data[offset(&self.ty.dims, at)] += value;
    }
}

/// Row-major offset of a position.
pub(super) fn offset(dims: &[usize], at: &[usize]) -> usize {
    assert_eq!(dims.len(), at.len());
    dims.iter().zip(at).fold(0, |o, (&d, &i)| o * d + i)
}

/// All positions, row-major.
pub(super) fn coords(dims: &[usize]) -> impl Iterator<Item = Vec<usize>> + use<> {
    let dims = dims.to_vec();
    (0..dims.iter().product()).map(move |mut i: usize| {
        let mut at = vec![0; dims.len()];
        for a in (0..dims.len()).rev() {
            at[a] = i % dims[a];
            i /= dims[a];
        }
        at
    })
}

/// A value of one element type as another: floats truncate and saturate, integers wrap, anything but 0 is true.
pub(super) fn convert(value: f64, from: DType, to: DType) -> f64 {
    match (from, to) {
        (_, DType::Bool) => f64::from(value != 0.0),
        (_, DType::F32) => value,
        (_, DType::F16) => f16::from_f64(value).to_f64(),
        (_, DType::Bf16) => bf16::from_f64(value).to_f64(),
        (_, DType::I64) => value as i64 as f64,
        (from, DType::I32) if from.is_float() => f64::from(value as i32),
        (from, DType::I8) if from.is_float() => f64::from(value as i8),
        (from, DType::U8) if from.is_float() => f64::from(value as u8),
        (_, DType::I32) => f64::from(value as i64 as i32),
        (_, DType::I8) => f64::from(value as i64 as i8),
        (_, DType::U8) => f64::from(value as i64 as u8),
    }
}
