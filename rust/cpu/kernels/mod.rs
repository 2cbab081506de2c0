//! Kernels: one family per module, each generic over the instruction set.

pub mod direct;
mod element;
pub mod map;
