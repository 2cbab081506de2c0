//! The register tile: `MR` result positions by `NV` vectors of result channels, summed over source channels and taps.
//!
//! Each step broadcasts one source value per position and multiplies it with `NV` vectors of packed weights. The sum
//! of every result element runs in one fixed order, whatever the tile, so results do not depend on how positions are
//! cut into tiles.

use crate::simd::{Isa, Kernel, Simd, dispatch};

/// What a tile does with its sums.
pub(super) trait Sink: Copy {
    /// Positions that one result needs together, such as those of a pooling window. Tiles hold a multiple of it.
    const UNIT: usize;

    /// Finishes a tile: `at` are the result offsets of its positions, `channels` how many of the `NV` vectors' lanes
    /// exist in the result.
    ///
    /// # Safety
    /// `channels` elements from each offset in `at` are writable in the sink's result.
    unsafe fn put<S: Simd, const MR: usize, const NV: usize>(
        self,
        s: S,
        sums: [[S::F; NV]; MR],
        at: [usize; MR],
        channels: usize,
        relu: bool,
    );
}

/// Writes every position's channels to a tensor.
#[derive(Clone, Copy)]
pub(super) struct Store {
    /// First element of the result.
    pub(super) result: *mut f32,
}

/// Where positions read and write, as offsets in floats.
#[derive(Clone, Copy)]
pub(super) enum Positions<'a> {
    /// Source and result offset of each.
    Table(&'a [[u32; 2]]),
    /// Rows of a matrix.
    Rows {
        /// How many.
        count: usize,
        /// Floats in a row of the source.
        source: usize,
        /// Floats in a row of the result.
        result: usize,
    },
}

/// Tiles over all positions, for one block of result channels.
#[derive(Clone, Copy)]
pub(super) struct Sweep<'a, K> {
    /// First element of the source.
    pub(super) source: *const f32,
    /// Source offsets of the runs of channels that are summed.
    pub(super) runs: &'a [usize],
    /// Channels per run.
    pub(super) run: usize,
    /// Packed weights of the block: `[runs][run][NV · LANES]`.
    pub(super) weights: *const f32,
    /// Start value per channel of the block.
    pub(super) bias: Option<&'a [f32]>,
    /// Whether negative results become zero.
    pub(super) relu: bool,
    /// Result channels of the block.
    pub(super) channels: usize,
    /// Positions to compute.
    pub(super) positions: Positions<'a>,
    /// Takes the sums.
    pub(super) sink: K,
}

impl Positions<'_> {
    fn count(&self) -> usize {
        match *self {
            Self::Table(table) => table.len(),
            Self::Rows { count, .. } => count,
        }
    }

    /// Source and result offset of position `p`.
    ///
    /// # Safety
    /// `p` is less than the count.
    #[inline(always)]
    unsafe fn get(&self, p: usize) -> [usize; 2] {
        match *self {
            // SAFETY: in range by contract.
            Self::Table(table) => unsafe { table.get_unchecked(p) }.map(|v| v as usize),
            Self::Rows { source, result, .. } => [p * source, p * result],
        }
    }
}

/// The part of a sweep that tiles of one size compute.
struct Tiles<'a, K, const MR: usize, const NV: usize> {
    sweep: Sweep<'a, K>,
    from: usize,
    to: usize,
}

impl<K: Sink, const MR: usize, const NV: usize> Tiles<'_, K, MR, NV> {
    /// Vector registers in use at the peak: sums, weights, and one broadcast.
    const REGISTERS: usize = MR * NV + NV + 1;
}

impl<K: Sink, const MR: usize, const NV: usize> Kernel for Tiles<'_, K, MR, NV> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        // Constant per instance: tiles that do not fit the registers of `S` are never chosen, nor compiled.
        assert!(Self::REGISTERS <= S::REGISTERS && MR.is_multiple_of(K::UNIT));
        let Self { sweep, from, to } = self;
        let mut start = [s.splat(0.0); NV];
        if let Some(bias) = sweep.bias {
            assert_eq!(bias.len(), sweep.channels);
            for j in 0..NV {
                // SAFETY: loads stay inside `bias`.
                start[j] = unsafe { load_channels(s, bias.as_ptr(), j * S::LANES, bias.len()) };
            }
        }
        let last = sweep.positions.count() / K::UNIT - 1;
        let mut first = from;
        while first < to {
            let mut source = [0; MR];
            let mut result = [0; MR];
            for i in 0..MR {
                // Past the end a tile repeats the last unit: the same sums are written there again.
                let p = (first / K::UNIT + i / K::UNIT).min(last) * K::UNIT + i % K::UNIT;
                // SAFETY: `p` is at most the last position.
                [source[i], result[i]] = unsafe { sweep.positions.get(p) };
            }
            // SAFETY: offsets and sizes are in range by the contract of `run`, under which alone `Tiles` is made.
            unsafe {
                let sums = accumulate(s, sweep.source, source, sweep.runs, sweep.run, sweep.weights, start);
                sweep.sink.put(s, sums, result, sweep.channels, sweep.relu);
            }
            first += MR;
        }
    }
}

/// The hot loop.
///
/// # Safety
/// `run` floats are readable from `source` at every sum of one of `at` and one of `runs`; `weights` holds
/// `runs.len() · run · NV` vectors.
#[inline(always)]
unsafe fn accumulate<S: Simd, const MR: usize, const NV: usize>(
    s: S,
    source: *const f32,
    at: [usize; MR],
    runs: &[usize],
    run: usize,
    mut weights: *const f32,
    start: [S::F; NV],
) -> [[S::F; NV]; MR] {
    let mut sums = [start; MR];
    for &offset in runs {
        for c in 0..run {
            // SAFETY: within a run and within the weights, by contract.
            unsafe {
                let x = source.add(offset + c);
                let mut w = start;
                for j in 0..NV {
                    w[j] = s.load(weights.add(j * S::LANES));
                }
                for i in 0..MR {
                    let x = s.splat(*x.add(at[i]));
                    for j in 0..NV {
                        sums[i][j] = s.fma(x, w[j], sums[i][j]);
                    }
                }
                weights = weights.add(NV * S::LANES);
            }
        }
    }
    sums
}

/// The vector at `p + from`; lanes at `len` and beyond are zero and not read.
///
/// # Safety
/// `p..p+len` is readable.
#[inline(always)]
pub(super) unsafe fn load_channels<S: Simd>(s: S, p: *const f32, from: usize, len: usize) -> S::F {
    // SAFETY: reads end at `len`.
    unsafe {
        if from + S::LANES <= len {
            s.load(p.add(from))
        } else if from < len {
            s.load_partial(p.add(from), len - from)
        } else {
            s.splat(0.0)
        }
    }
}

/// Writes a vector to `p + from`, but nothing at `len` and beyond.
///
/// # Safety
/// `p..p+len` is writable.
#[inline(always)]
pub(super) unsafe fn store_channels<S: Simd>(s: S, p: *mut f32, x: S::F, from: usize, len: usize) {
    // SAFETY: writes end at `len`.
    unsafe {
        if from + S::LANES <= len {
            s.store(p.add(from), x);
        } else if from < len {
            s.store_partial(p.add(from), x, len - from);
        }
    }
}

impl Sink for Store {
    const UNIT: usize = 1;

    #[inline(always)]
    unsafe fn put<S: Simd, const MR: usize, const NV: usize>(
        self,
        s: S,
        sums: [[S::F; NV]; MR],
        at: [usize; MR],
        channels: usize,
        relu: bool,
    ) {
        // Below zero or not: −∞ leaves every value, NaN included, as it is.
        let floor = s.splat(if relu { 0.0 } else { f32::NEG_INFINITY });
        for i in 0..MR {
            for j in 0..NV {
                // SAFETY: in range by contract.
                unsafe {
                    let p = self.result.add(at[i]);
                    store_channels(s, p, s.max(floor, sums[i][j]), j * S::LANES, channels);
                }
            }
        }
    }
}

/// Tile heights for a width of `nv` vectors, largest first; the smaller ones finish what the chosen one leaves.
const fn heights(nv: usize) -> &'static [usize] {
    match nv {
        1 => &[16, 12, 8, 4, 2, 1],
        2 => &[8, 6, 4, 2, 1],
        3 => &[8, 4, 2, 1],
        _ => &[6, 5, 4, 2, 1],
    }
}

/// Computes all positions of `sweep` in tiles of `mr` positions by `nv` vectors, and the rest in the smallest that
/// holds it.
///
/// # Safety
/// Every position's source offset plus any of the runs' offsets leaves `run` readable floats in the source;
/// `weights` holds `runs.len() · run · nv` vectors; every result offset leaves `channels` writable elements in the
/// sink's result.
pub(super) unsafe fn sweep<K: Sink>(isa: Isa, mr: usize, nv: usize, sweep: Sweep<'_, K>) {
    let count = sweep.positions.count();
    let whole = count / mr * mr;
    let rest = count - whole;
    if whole > 0 {
        // SAFETY: the contract is the same.
        unsafe { tiles(isa, mr, nv, sweep, 0, whole) };
    }
    if rest > 0 {
        let fits = |h: &&usize| **h >= rest && **h <= mr && h.is_multiple_of(K::UNIT);
        let height = heights(nv).iter().rev().find(fits).copied().unwrap_or(mr);
        // SAFETY: the contract is the same.
        unsafe { tiles(isa, height, nv, sweep, whole, count) };
    }
}

/// The instance for a tile size.
///
/// # Safety
/// As for [`sweep`].
unsafe fn tiles<K: Sink>(isa: Isa, mr: usize, nv: usize, sweep: Sweep<'_, K>, from: usize, to: usize) {
    macro_rules! instances {
        ($($mr:literal x $nv:literal),+) => {
            match (mr, nv) {
                $(($mr, $nv) => dispatch(isa, Tiles::<K, $mr, $nv> { sweep, from, to }),)+
                _ => unreachable!("no tile {mr}x{nv}"),
            }
        };
    }
    instances!(
        16 x 1, 12 x 1, 8 x 1, 4 x 1, 2 x 1, 1 x 1, 8 x 2, 6 x 2, 4 x 2, 2 x 2, 1 x 2, 8 x 3, 4 x 3, 2 x 3, 1 x 3,
        6 x 4, 5 x 4, 4 x 4, 2 x 4, 1 x 4
    );
}
