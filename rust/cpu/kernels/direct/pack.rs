//! Packed weights: per pass, group and block of result channels, `[tap][source channel][vectors · LANES]`, in the
//! order in which tiles read them. Lanes past the last channel are zero.

use crate::simd::Isa;
use oxiconv_ir::{Conv, Seat};

/// Result channels that tiles compute together: a width in vectors, and the height that suits it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Block {
    /// Instruction set of its tiles.
    pub(super) isa: Isa,
    /// Positions per tile.
    pub(super) mr: usize,
    /// Vectors per position.
    pub(super) nv: usize,
    /// First channel within the group.
    pub(super) first: usize,
    /// Channels; the rest of the vectors is padding.
    pub(super) channels: usize,
}

impl Block {
    /// Channels with padding.
    pub(super) fn width(&self) -> usize {
        self.nv * self.isa.lanes()
    }
}

/// Cuts `channels` into blocks, for passes of about `positions` positions.
///
/// Widths follow from what fits the registers and keeps the FMA units busy, as measured: with 32 registers 8x2, with
/// four vectors and more 6x4 or 5x4; with 16 registers 6x2. `unit` positions stay together.
pub(super) fn blocks(isa: Isa, channels: usize, positions: usize, unit: usize) -> Vec<Block> {
    let mut found = Vec::new();
    let mut first = 0;
    while first < channels {
        let left = channels - first;
        let lanes = isa.lanes();
        // Half a vector left over: half vectors compute it at no more cost, and at half on CPUs whose units are that
        // wide.
        let half = (1..=lanes / 2).contains(&(left % lanes));
        let (isa, nv) = match left.div_ceil(lanes) {
            1 if isa == Isa::Avx512 && half => (Isa::Avx2, 1),
            // The half vector is better a block of its own.
            n @ 2..=4 if isa == Isa::Avx512 && half => (isa, n - 1),
            n => (isa, width(isa, n, unit)),
        };
        let used = (nv * isa.lanes()).min(left);
        found.push(Block { isa, mr: height(isa, nv, positions, unit), nv, first, channels: used });
        first += used;
    }
    found
}

/// Vectors of the next block when `left` remain.
fn width(isa: Isa, left: usize, unit: usize) -> usize {
    match isa {
        Isa::Scalar | Isa::Avx2 => left.min(2),
        Isa::Neon | Isa::Avx512 => match left {
            1..=3 => left,
            // No lone vector at the end: 5 = 3 + 2.
            5 => 3,
            6 if unit == 1 => 3,
            _ => 4,
        },
    }
}

/// Positions per tile for a width: the largest that fits the registers, or a smaller one that leaves less over.
fn height(isa: Isa, nv: usize, positions: usize, unit: usize) -> usize {
    let candidates: &[usize] = match (isa, nv, unit) {
        (Isa::Avx2, 1, _) => &[12],
        (Isa::Avx2, _, 1) => &[6],
        (Isa::Avx2 | Isa::Scalar, _, _) => &[4],
        (_, 1, _) => &[16],
        (_, 2 | 3, _) => &[8],
        (_, _, 1) => &[6, 5],
        (_, _, _) => &[4],
    };
    let waste = |mr: &&usize| positions.next_multiple_of(**mr) - positions;
    *candidates.iter().min_by_key(waste).expect("at least one height")
}

/// Packs the weights of one pass, its taps in the order given. `kernel` is `[taps.., cin / groups, cout]`.
pub(super) fn pack(conv: &Conv, solve: Seat, blocks: &[Block], taps: &[usize], kernel: &[f32], out: &mut [f32]) {
    let (cin, cout) = (conv.cin / conv.groups, conv.cout / conv.groups);
    let mut start = 0;
    for group in 0..conv.groups {
        for block in blocks {
            let width = block.width();
            for &tap in taps {
                let tap = &kernel[tap * cin * conv.cout..][..cin * conv.cout];
                // Rows of `out`: one per source channel.
                let (sources, of_source) = if solve == Seat::Output { (cin, conv.cout) } else { (cout, 1) };
                let rows = &mut out[start..start + sources * width];
                start += rows.len();
                if solve == Seat::Output {
                    for (c, row) in rows.chunks_exact_mut(width).enumerate() {
                        let from = c * of_source + group * cout + block.first;
                        row[..block.channels].copy_from_slice(&tap[from..from + block.channels]);
                        row[block.channels..].fill(0.0);
                    }
                } else {
                    transpose(&tap[block.first * conv.cout + group * cout..], conv.cout, block.channels, rows, width);
                }
            }
        }
    }
}

/// The first `channels` rows of `matrix`, which start `stride` apart, as columns of `rows`, whose other columns become
/// zero.
fn transpose(matrix: &[f32], stride: usize, channels: usize, rows: &mut [f32], width: usize) {
    let whole = channels / 4 * 4;
    // Four columns at a time: a row's are written together.
    for at in (0..whole).step_by(4) {
        let [a, b, c, d] = [0, 1, 2, 3].map(|i| matrix[(at + i) * stride..].iter());
        for ((((row, a), b), c), d) in rows.chunks_exact_mut(width).zip(a).zip(b).zip(c).zip(d) {
            row[at..at + 4].copy_from_slice(&[*a, *b, *c, *d]);
        }
    }
    for (i, row) in rows.chunks_exact_mut(width).enumerate() {
        for c in whole..channels {
            row[c] = matrix[c * stride + i];
        }
        row[channels..].fill(0.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_cover_all_channels_once() {
        for isa in [Isa::Scalar, Isa::Neon, Isa::Avx2, Isa::Avx512] {
            for channels in 1..200 {
                for (positions, unit) in [(1, 1), (121, 1), (100, 1), (100, 4)] {
                    let mut next = 0;
                    for b in blocks(isa, channels, positions, unit) {
                        assert_eq!(b.first, next);
                        assert!(b.channels > (b.nv - 1) * b.isa.lanes() && b.channels <= b.width());
                        assert!(b.mr.is_multiple_of(unit));
                        next += b.channels;
                    }
                    assert_eq!(next, channels);
                }
            }
        }
    }
}
