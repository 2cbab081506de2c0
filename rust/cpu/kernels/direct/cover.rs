//! Rows of a kernel, in the order of its memory, cut into register tiles.
//!
//! Rows come in *lines*: stretches whose inputs lie next to each other in memory, because taps along the last axis do
//! (or just the channels of one tap). A tile takes a piece of one line, or the same piece of several.

use crate::simd::{Isa, Kernel, Simd, dispatch};

/// Where a tile starts: its first line, and the first element within the line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct At {
    pub(super) line: usize,
    pub(super) c: usize,
}

/// Tiles of one shape: `lines` lines by `c` elements.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pass {
    pub(super) lines: usize,
    pub(super) c: usize,
    pub(super) tiles: Vec<At>,
}

/// Lines of taps at these input offsets, in row-major order of the kernel, with `cin` channels each: where each line
/// starts, and how long all are.
pub(super) fn lines(taps: &[usize], cin: usize) -> (Vec<usize>, usize) {
    // Taps are a grid, so all runs of neighbours are as long as the first.
    let run = 1 + taps.windows(2).take_while(|t| t[1] - t[0] == cin).count();
    (taps.iter().copied().step_by(run).collect(), run * cin)
}

struct Registers;

impl Kernel for Registers {
    type Output = usize;

    #[inline(always)]
    fn run<S: Simd>(self, _: S) -> usize {
        S::REGISTERS
    }
}

/// Vector registers of an instruction set.
pub(super) fn registers(isa: Isa) -> usize {
    dispatch(isa, Registers)
}

/// The cheapest way to cover `lines` lines of `len` elements, and what it costs, where `cost(lines, c)` is the cost of
/// a tile, or none if there is no such tile.
pub(super) fn cover(
    lines: usize,
    len: usize,
    cost: impl Fn(usize, usize) -> Option<usize>,
) -> Option<(usize, Vec<Pass>)> {
    let mut best: Option<(usize, Vec<Pass>)> = None;
    for abreast in 1..=lines.min(MOST_LINES) {
        for pieces in 1..=len {
            let Some((total, passes)) = cut(lines, len, abreast, pieces, &cost) else { continue };
            if best.as_ref().is_none_or(|b| total < b.0) {
                best = Some((total, passes));
            }
            // Smaller pieces of the same lines cost more.
            break;
        }
    }
    best
}

/// Lines that any tile takes abreast.
const MOST_LINES: usize = 9;

/// Each line cut into `pieces` as equal as can be, `abreast` lines at a time and the rest one by one.
fn cut(
    lines: usize,
    len: usize,
    abreast: usize,
    pieces: usize,
    cost: impl Fn(usize, usize) -> Option<usize>,
) -> Option<(usize, Vec<Pass>)> {
    let (short, longer) = (len / pieces, len % pieces);
    let rest = lines % abreast;
    let (mut total, mut passes) = (0, Vec::new());
    for (c, count, start) in [(short + 1, longer, 0), (short, pieces - longer, longer * (short + 1))] {
        for (together, from, to) in [(abreast, 0, lines - rest), (1, lines - rest, lines)] {
            if count == 0 || from == to {
                continue;
            }
            let cost = cost(together, c)?;
            let tiles: Vec<At> = (from..to)
                .step_by(together)
                .flat_map(|line| (0..count).map(move |i| At { line, c: start + i * c }))
                .collect();
            total += tiles.len() * cost;
            passes.push(Pass { lines: together, c, tiles });
        }
    }
    Some((total, passes))
}
