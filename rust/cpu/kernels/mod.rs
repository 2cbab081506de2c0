//! Kernels: one family per module, each generic over the instruction set.

pub mod convolution;
mod depthwise;
pub mod direct;
pub(crate) mod element;
pub mod gather;
pub mod layout;
pub mod map;
pub mod quantized;
pub mod random;
pub mod reduce;
pub mod sort;
pub mod window;
pub mod winograd;
