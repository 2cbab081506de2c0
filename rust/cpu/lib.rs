//! Runs programs on the CPU: SIMD kernels, worker pool, arena.

pub mod kernels;
pub mod simd;
