//! The processor: its instruction set and how many of its cores to use.

use oxiconv_cpu::simd::Isa;
pub use oxiconv_cpu::threads::{num_threads, set_num_threads};
use std::sync::OnceLock;

/// Decides on the instruction set and the number of threads, or says what is wrong with `OXICONV_ISA` or
/// `OXICONV_NUM_THREADS`. Nothing is started.
pub fn check_environment() -> Result<(), String> {
    Isa::from_env()?;
    oxiconv_cpu::threads::threads_from_env()?;
    Ok(())
}

/// Name of the instruction set in use.
///
/// # Panics
/// If `OXICONV_ISA` names one that is unknown or absent; see [`check_environment`].
pub fn isa() -> &'static str {
    Isa::active().name()
}

/// GFLOP/s that multiply-adds in registers reach on one core: what a kernel's speed is a share of. Measured by the first
/// call, in about ten milliseconds.
pub fn peak_gigaflops() -> f64 {
    static PEAK: OnceLock<f64> = OnceLock::new();
    *PEAK.get_or_init(|| oxiconv_cpu::peak::gigaflops(Isa::active()))
}
