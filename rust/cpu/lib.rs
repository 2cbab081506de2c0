//! Runs programs on the CPU: SIMD kernels, worker pool, arena.

pub mod math;
pub mod simd;
