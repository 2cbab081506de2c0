//! Runs programs on the CPU: SIMD kernels, worker pool, arena.

pub mod arena;
pub mod exec;
pub mod float_mode;
pub mod kernels;
pub mod math;
pub mod peak;
pub mod pool;
pub mod profile;
pub mod simd;
pub mod threads;
