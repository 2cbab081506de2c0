//! Register tiles of the matrix products at each point.

use crate::simd::Simd;

/// Most rows of a register tile.
pub(super) const HEIGHT: usize = 8;

/// A matrix that is read element by element.
#[derive(Clone, Copy)]
pub(super) struct Left {
    pub(super) from: *const f32,
    /// Floats from one of the result's rows to the next, and from one term of the sum to the next.
    pub(super) row: usize,
    pub(super) term: usize,
}

/// A matrix that is read by vectors, and where each product goes.
#[derive(Clone, Copy)]
pub(super) struct Right {
    pub(super) from: *const f32,
    /// Floats from one term of the sum to the next.
    pub(super) term: usize,
}

/// The height of the register tile for what is left of the rows: on 16 registers, with two vectors, 13 or 15.
#[inline(always)]
pub(super) fn height<S: Simd>(rows: usize) -> usize {
    match rows {
        1 | 2 | 4 => rows,
        3 => 4,
        _ if S::REGISTERS >= 32 => 8,
        _ => 6,
    }
}

/// `height` rows of `to` by `vectors` (1 or 2) are the sums over `terms` of `left · right`.
///
/// # Safety
/// `left` is readable for `height` rows and `right` for `vectors`, at all terms; `to` is writable.
#[inline(always)]
pub(super) unsafe fn product<S: Simd>(
    s: S,
    [height, vectors]: [usize; 2],
    terms: usize,
    left: Left,
    right: Right,
    to: *mut f32,
    to_row: usize,
) {
    macro_rules! instances {
        ($($height:literal),+) => {
            match (height, vectors) {
                $(
                    // SAFETY: by contract.
                    ($height, 2) => unsafe { tile::<S, $height, 2>(s, terms, left, right, to, to_row) },
                    // SAFETY: by contract.
                    ($height, 1) => unsafe { tile::<S, $height, 1>(s, terms, left, right, to, to_row) },
                )+
                _ => unreachable!("no tile {height}x{vectors}"),
            }
        };
    }
    if S::REGISTERS >= 32 {
        instances!(1, 2, 4, 8);
    } else {
        instances!(1, 2, 4, 6);
    }
}

/// # Safety
/// As for [`product`].
#[inline(always)]
unsafe fn tile<S: Simd, const MR: usize, const NV: usize>(
    s: S,
    terms: usize,
    left: Left,
    right: Right,
    to: *mut f32,
    to_row: usize,
) {
    let mut sums = [[s.splat(0.0); NV]; MR];
    for t in 0..terms {
        let mut w = [s.splat(0.0); NV];
        // SAFETY: by contract.
        unsafe {
            for j in 0..NV {
                w[j] = s.load(right.from.add(t * right.term + j * S::LANES));
            }
            let left_term = left.from.add(t * left.term);
            for i in 0..MR {
                let x = s.splat(*left_term.add(i * left.row));
                for j in 0..NV {
                    sums[i][j] = s.fma(x, w[j], sums[i][j]);
                }
            }
        }
    }
    for i in 0..MR {
        for j in 0..NV {
            // SAFETY: by contract.
            unsafe { s.store(to.add(i * to_row + j * S::LANES), sums[i][j]) };
        }
    }
}
