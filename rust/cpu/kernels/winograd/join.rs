//! What tiles of results meet on their way to memory, other than a bias: tensors of the result's own sizes.

use crate::kernels::direct::Relu;
use crate::kernels::direct::tile::{Sink, Store, load_channels};
use crate::simd::{Simd, prefetch};

/// Elementwise work on a result before it is stored: `y + add` after the bias and before the ReLU, then zero where `gate`
/// is not positive, as in the gradient of a ReLU that `gate` came out of.
#[derive(Debug, Clone, Copy, Default)]
pub struct Join<'a> {
    /// A value per result element.
    pub add: Option<&'a [f32]>,
    /// A value per result element.
    pub gate: Option<&'a [f32]>,
}

impl Join<'_> {
    /// Stores to `result`, which has as many elements as each of the tensors.
    pub(super) fn sink(&self, result: *mut f32) -> Joined {
        let start = |tensor: Option<&[f32]>| tensor.map(<[f32]>::as_ptr);
        Joined { add: start(self.add), gate: start(self.gate), store: Store { result } }
    }
}

/// Writes every position's channels to a tensor, after work on them.
#[derive(Clone, Copy)]
pub(super) struct Joined {
    add: Option<*const f32>,
    gate: Option<*const f32>,
    store: Store,
}

impl Sink for Joined {
    const UNIT: usize = 1;

    #[inline(always)]
    fn expect(self, at: usize, len: usize) {
        self.store.expect(at, len);
        for tensor in [self.add, self.gate].into_iter().flatten() {
            prefetch(tensor.wrapping_add(at), len);
        }
    }

    #[inline(always)]
    unsafe fn put<S: Simd, const MR: usize, const NV: usize>(
        self,
        s: S,
        mut sums: [[S::F; NV]; MR],
        at: [usize; MR],
        channels: usize,
        relu: Relu,
    ) {
        if let Some(add) = self.add {
            for i in 0..MR {
                for j in 0..NV {
                    // SAFETY: the tensor has the result's elements, of which `channels` begin at each offset.
                    let here = unsafe { load_channels(s, add.add(at[i]), j * S::LANES, channels) };
                    sums[i][j] = s.add(here, sums[i][j]);
                }
            }
        }
        let Some(gate) = self.gate else {
            // SAFETY: by contract.
            return unsafe { self.store.put(s, sums, at, channels, relu) };
        };
        // Zero stays zero under every bound.
        let zero = s.splat(0.0);
        for i in 0..MR {
            for j in 0..NV {
                // SAFETY: as above.
                let here = unsafe { load_channels(s, gate.add(at[i]), j * S::LANES, channels) };
                sums[i][j] = s.select(s.lt(zero, here), sums[i][j], zero);
            }
        }
        // SAFETY: by contract.
        unsafe { self.store.put(s, sums, at, channels, relu) };
    }
}
