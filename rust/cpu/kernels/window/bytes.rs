//! Maxima of bytes: plain loops over channels, which the compiler makes vectors of.

use super::{Each, Index, Walk, at, at_mut, check, samples};
use crate::simd::{Isa, dispatch};
use oxiconv_ir::{DType, Window};

/// Maxima of bytes, or of signed ones, and their positions: the first of equals.
///
/// # Safety
/// As [`super::max_pool`].
pub unsafe fn max_pool_bytes<T: Ord + Copy>(
    isa: Isa,
    w: &Window,
    c: usize,
    n: usize,
    x: &[T],
    values: &mut [T],
    index: *mut u8,
) {
    // SAFETY: by contract.
    unsafe {
        match w.index_dtype() {
            DType::U8 => maxima(isa, w, c, n, x, values, std::slice::from_raw_parts_mut(index, values.len())),
            _ => maxima(isa, w, c, n, x, values, std::slice::from_raw_parts_mut(index.cast::<i32>(), values.len())),
        }
    }
}

fn maxima<T: Ord + Copy, I: Index>(
    isa: Isa,
    w: &Window,
    c: usize,
    n: usize,
    x: &[T],
    values: &mut [T],
    index: &mut [I],
) {
    let walk = Walk::new(w);
    check(&walk, c, n, x.len(), values.len());
    let outputs = (walk.outputs() * c).max(1);
    for ((x, values), index) in samples(&walk, c, x, values).zip(index.chunks_exact_mut(outputs)) {
        // The window whose first position has been seen.
        let mut seen = usize::MAX;
        dispatch(
            isa,
            Each(
                #[inline(always)]
                || {
                    walk.visit(
                        #[inline(always)]
                        |o, i, k| {
                            let (best, place, x) = (at_mut(values, o, c), at_mut(index, o, c), at(x, i, c));
                            if seen != o {
                                seen = o;
                                best.copy_from_slice(x);
                                place.fill(I::new(k));
                                return;
                            }
                            for ((best, place), &x) in best.iter_mut().zip(place).zip(x) {
                                *place = if x > *best { I::new(k) } else { *place };
                                *best = x.max(*best);
                            }
                        },
                    );
                },
            ),
        );
    }
}
