//! Pooling geometry: windows over the spatial axes of a channels-last tensor.

use crate::{DType, Error, Result};

/// Windows over the spatial axes `1..=rank` of `[n, spatial.., c]`. Padding counts as absent (it never wins a
/// maximum, adds nothing to a sum).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Window {
    /// Spatial sizes of the tensor that windows are taken from.
    pub input: Vec<usize>,
    /// Window size per spatial axis.
    pub size: Vec<usize>,
    /// Step between windows per spatial axis.
    pub stride: Vec<usize>,
    /// Padding before each spatial axis.
    pub low: Vec<usize>,
    /// Padding after each spatial axis.
    pub high: Vec<usize>,
}

impl Window {
    /// Spatial sizes of the result: one entry per window.
    pub fn output(&self) -> Vec<usize> {
        (0..self.input.len())
            .map(|a| (self.input[a] + self.low[a] + self.high[a] - self.size[a]) / self.stride[a] + 1)
            .collect()
    }

    /// Positions in one window.
    pub fn volume(&self) -> usize {
        self.size.iter().product()
    }

    /// Type that holds a position within a window (row-major): one byte where it fits.
    pub fn index_dtype(&self) -> DType {
        if self.volume() <= 256 { DType::U8 } else { DType::I32 }
    }

    /// Whether no input position lies in two windows.
    pub fn is_disjoint(&self) -> bool {
        self.size.iter().zip(&self.stride).all(|(size, stride)| size <= stride)
    }

    /// Whether the sizes make sense: every window holds at least one real position.
    pub fn check(&self, op: &str) -> Result<()> {
        let rank = self.input.len();
        if [&self.size, &self.stride, &self.low, &self.high].iter().any(|v| v.len() != rank) || rank == 0 {
            return Err(Error::shape(
                op,
                format!("window size, stride and padding for {rank} spatial axes"),
                format!("size {:?}, stride {:?}, padding {:?}/{:?}", self.size, self.stride, self.low, self.high),
            ));
        }
        for a in 0..rank {
            if self.size[a] == 0 || self.stride[a] == 0 {
                return Err(Error::shape(
                    op,
                    "window sizes and strides of at least 1",
                    format!("size {:?}, stride {:?}", self.size, self.stride),
                ));
            }
            let padded = self.input[a].checked_add(self.low[a]).and_then(|s| s.checked_add(self.high[a]));
            if self.input[a] == 0 || padded.is_none_or(|padded| padded < self.size[a]) {
                return Err(Error::shape(
                    op,
                    format!("spatial sizes of at least the window {:?}", self.size),
                    format!("{:?} with padding {:?}/{:?}", self.input, self.low, self.high),
                ));
            }
            if self.low[a] >= self.size[a] || self.high[a] >= self.size[a] {
                return Err(Error::shape(
                    op,
                    format!("padding smaller than the window {:?}", self.size),
                    format!("padding {:?}/{:?}", self.low, self.high),
                ));
            }
        }
        let volume = self.size.iter().try_fold(1usize, |n, &s| n.checked_mul(s));
        if volume.is_none_or(|n| n > i32::MAX as usize) {
            return Err(Error::shape(op, "a window of less than 2^31 positions", format!("size {:?}", self.size)));
        }
        Ok(())
    }
}
