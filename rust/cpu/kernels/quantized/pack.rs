//! Weights in the order in which tiles read them.
//!
//! Blocks of as many vectors of result channels as a tile has (the last may have fewer); in each, group after group of
//! each run, and for each of them, vector after vector, the four weights of each lane. Behind all blocks, what the sums
//! start at, a channel each. Channels beyond the last, and weights beyond a run's end, are zero.

use super::QuantizedPlan;
use crate::simd::dot::DotIsa;

impl QuantizedPlan {
    /// Bytes of the packed kernel.
    pub fn packed_len(&self) -> usize {
        self.weights_len() + 4 * self.channels()
    }

    /// Bytes of packed weights.
    pub(super) fn weights_len(&self) -> usize {
        self.runs.len() * self.groups * 4 * self.channels()
    }

    /// Channels of the result in whole vectors.
    pub(super) fn channels(&self) -> usize {
        self.cout.next_multiple_of(DotIsa::of(self.isa).lanes())
    }

    /// Packs a kernel `[taps.., cin, cout]`.
    pub fn pack(&self, kernel: &[i8], packed: &mut [u8]) {
        let kind = DotIsa::of(self.isa);
        let (lanes, block) = (kind.lanes(), kind.tile().1 * kind.lanes());
        let (weights, starts) = packed[..self.packed_len()].split_at_mut(self.weights_len());
        let mut at = 0;
        for first in (0..self.channels()).step_by(block) {
            let vectors = block.min(self.channels() - first) / lanes;
            for run in 0..self.runs.len() {
                for group in 0..self.groups {
                    for channel in first..first + vectors * lanes {
                        for byte in 4 * group..4 * group + 4 {
                            let is_there = channel < self.cout && byte < self.run;
                            let w = if is_there { kernel[(run * self.run + byte) * self.cout + channel] } else { 0 };
                            weights[at] = w as u8;
                            at += 1;
                        }
                    }
                }
            }
        }
        for (channel, start) in starts.chunks_exact_mut(4).enumerate() {
            let sum: i32 = kernel.iter().skip(channel).step_by(self.cout).map(|w| i32::from(*w)).sum();
            let value = if self.signed && channel < self.cout { sum.wrapping_mul(-128) } else { 0 };
            start.copy_from_slice(&value.to_ne_bytes());
        }
    }
}
