//! The speed that no kernel can exceed: multiply-adds that touch no memory.

use crate::simd::{Isa, Kernel, Simd, dispatch};
use std::hint::black_box;
use std::time::Instant;

/// Independent multiply-adds: enough chains for the latency of two units, few enough for 16 registers.
const CHAINS: usize = 12;
/// Of each chain in a repetition: a fraction of a millisecond.
const ROUNDS: usize = 100_000;
/// The first ones see a slower clock, others a neighbour; the fastest counts.
const REPETITIONS: usize = 40;

struct Peak;

impl Kernel for Peak {
    type Output = f32;

    #[inline(always)]
    fn run<S: Simd>(self, s: S) -> f32 {
        let (factor, term) = (s.splat(black_box(0.5)), s.splat(black_box(0.1)));
        let mut sums = [s.splat(0.0); CHAINS];
        for _ in 0..ROUNDS {
            for sum in &mut sums {
                *sum = s.fma(*sum, factor, term);
            }
        }
        sums.into_iter().map(|sum| s.reduce_add(sum)).sum()
    }
}

/// GFLOP/s that multiply-adds in registers reach on one core with an instruction set. Measured anew by each call, in
/// about ten milliseconds.
pub fn gigaflops(isa: Isa) -> f64 {
    let flops = 2 * CHAINS * ROUNDS * isa.lanes();
    let seconds = (0..REPETITIONS).map(|_| {
        let start = Instant::now();
        black_box(dispatch(isa, Peak));
        start.elapsed().as_secs_f64()
    });
    flops as f64 / seconds.fold(f64::INFINITY, f64::min) / 1e9
}
