//! The register tile: `MR` result positions by `NV` vectors of result channels, summed over source channels and taps.
//!
//! Each step broadcasts one source value per position and multiplies it with `NV` vectors of packed weights. The sum
//! of every result element runs in one fixed order, whatever the tile, so results do not depend on how positions are
//! cut into tiles.

use super::gather::Run;
use super::{Epilogue, Relu};
use crate::simd::{Isa, Kernel, Simd, dispatch, prefetch};

/// What a tile does with its sums.
pub(in crate::kernels) trait Sink: Copy {
    /// Positions that one result needs together, such as those of a pooling window. Tiles hold a multiple of it.
    const UNIT: usize;

    /// Finishes a tile: `at` are the result offsets of its positions, `channels` how many of the `NV` vectors' lanes
    /// exist in the result; all vectors but the last are whole.
    ///
    /// # Safety
    /// `channels` elements from each offset in `at` are writable in the sink's result.
    unsafe fn put<S: Simd, const MR: usize, const NV: usize>(
        self,
        s: S,
        sums: [[S::F; NV]; MR],
        at: [usize; MR],
        channels: usize,
        relu: Relu,
    );

    /// Asks for the cache lines that results of `len` elements from `at` take, some time before they are put.
    #[inline(always)]
    fn expect(self, _at: usize, _len: usize) {}
}

/// Writes every position's channels to a tensor, after what an epilogue does with each of them.
#[derive(Clone, Copy)]
pub(in crate::kernels) struct Store {
    /// First element of the result.
    result: *mut f32,
    /// Null, or the addend of the first element.
    added: *const f32,
    /// Null, or the value that decides whether the first element stays.
    gate: *const f32,
    /// Values from this on are closed; NaN if all above zero are open.
    below: f32,
}

impl Store {
    /// Writes from `result` on.
    pub(in crate::kernels) fn plain(result: *mut f32) -> Self {
        Self { result, added: std::ptr::null(), gate: std::ptr::null(), below: f32::NAN }
    }

    /// Writes from element `at` of `result` on, and reads the epilogue's values from there.
    pub(in crate::kernels) fn new(result: *mut f32, epilogue: &Epilogue, at: usize) -> Self {
        let from = |values: &[f32]| values.as_ptr().wrapping_add(at);
        Self {
            result: result.wrapping_add(at),
            added: epilogue.added.map_or(std::ptr::null(), from),
            gate: epilogue.gate.map_or(std::ptr::null(), |g| from(g.values)),
            below: epilogue.gate.and_then(|g| g.below).unwrap_or(f32::NAN),
        }
    }
}

/// `f(sum, value)` for each sum, with the values of its position at `p`.
///
/// # Safety
/// `channels` values are readable at each offset from `p`.
#[inline(always)]
unsafe fn meet<S: Simd, const MR: usize, const NV: usize>(
    s: S,
    sums: &mut [[S::F; NV]; MR],
    p: *const f32,
    at: &[usize; MR],
    channels: usize,
    f: impl Fn(S::F, S::F) -> S::F,
) {
    let last = (NV - 1) * S::LANES;
    for i in 0..MR {
        for j in 0..NV - 1 {
            // SAFETY: by contract; all vectors but the last are whole.
            sums[i][j] = f(sums[i][j], unsafe { s.load(p.add(at[i] + j * S::LANES)) });
        }
    }
    if channels == NV * S::LANES {
        for i in 0..MR {
            // SAFETY: by contract.
            sums[i][NV - 1] = f(sums[i][NV - 1], unsafe { s.load(p.add(at[i] + last)) });
        }
    } else {
        for i in 0..MR {
            // SAFETY: by contract.
            sums[i][NV - 1] = f(sums[i][NV - 1], unsafe { s.load_partial(p.add(at[i] + last), channels - last) });
        }
    }
}

/// `x` where `value` is above zero and below the bound, zero elsewhere and where `value` is NaN.
#[inline(always)]
pub(in crate::kernels) fn gated<S: Simd>(s: S, x: S::F, value: S::F, below: S::F) -> S::F {
    let zero = s.splat(0.0);
    s.select(s.lt(zero, value), s.select(s.le(below, value), zero, x), zero)
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
    /// Runs of source channels that are summed.
    pub(super) runs: &'a [Run],
    /// Channels per run.
    pub(super) run: usize,
    /// Packed weights of the block: rows of `NV · LANES`.
    pub(super) weights: *const f32,
    /// Start value per channel of the block.
    pub(super) bias: Option<&'a [f32]>,
    /// Whether the results are bounded.
    pub(super) relu: Relu,
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

    /// Source offsets (`SIDE` 0) or result offsets (`SIDE` 1) of `MR` positions from `first`, in whole units. Past the
    /// end they repeat those of the last unit, whose sums are then written more than once.
    ///
    /// # Safety
    /// `first` is less than the count, and both are multiples of `unit`.
    #[inline(always)]
    unsafe fn offsets<const SIDE: usize, const MR: usize>(&self, first: usize, unit: usize) -> [usize; MR] {
        let count = self.count();
        let mut at = [0; MR];
        let p = |i: usize| {
            if first + MR <= count { first + i } else { (first + i - i % unit).min(count - unit) + i % unit }
        };
        match *self {
            Self::Table(table) if first + MR <= count => {
                for i in 0..MR {
                    // SAFETY: less than the count.
                    at[i] = unsafe { table.get_unchecked(first + i) }[SIDE] as usize;
                }
            }
            Self::Table(table) => {
                for i in 0..MR {
                    at[i] = table[p(i)][SIDE] as usize;
                }
            }
            Self::Rows { source, result, .. } => {
                for i in 0..MR {
                    at[i] = p(i) * [source, result][SIDE];
                }
            }
        }
        at
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
        if let Some(bias) = sweep.bias {
            assert_eq!(bias.len(), sweep.channels);
        }
        let mut first = from;
        while first < to {
            // Loaded anew for each tile: kept in registers, it would push sums out of them where there are 16.
            let mut start = [s.splat(0.0); NV];
            if let Some(bias) = sweep.bias {
                for j in 0..NV {
                    // SAFETY: loads stay inside `bias`.
                    start[j] = unsafe { load_channels(s, bias.as_ptr(), j * S::LANES, bias.len()) };
                }
            }
            // SAFETY: offsets and sizes are in range by the contract of `run`, under which alone `Tiles` is made.
            unsafe {
                let at = sweep.positions.offsets::<0, MR>(first, K::UNIT);
                let Sweep { source, runs, run, weights, .. } = sweep;
                let sums = accumulate::<S, MR, NV>(s, source, at, runs, run, weights, start);
                let at = sweep.positions.offsets::<1, MR>(first, K::UNIT);
                sweep.sink.put(s, sums, at, sweep.channels, sweep.relu);
            }
            first += MR;
        }
    }
}

/// The hot loop.
///
/// # Safety
/// `run` floats are readable from `source` at every sum of one of `at` and one of `runs`;
/// `weights` holds `NV` vectors for each of the runs' rows.
#[inline(always)]
unsafe fn accumulate<S: Simd, const MR: usize, const NV: usize>(
    s: S,
    source: *const f32,
    at: [usize; MR],
    runs: &[Run],
    run: usize,
    weights: *const f32,
    start: [S::F; NV],
) -> [[S::F; NV]; MR] {
    let mut sums = [start; MR];
    for &Run { source: offset, row } in runs {
        // Position and run offsets are inside the source together, not each alone.
        let source = source.wrapping_offset(offset);
        // SAFETY: a row of the weights, by contract.
        let mut weights = unsafe { weights.add(row * NV * S::LANES) };
        for c in 0..run {
            // SAFETY: within a run and within the weights, by contract.
            unsafe {
                let x = source.wrapping_add(c);
                let mut w = start;
                for j in 0..NV {
                    w[j] = s.load(weights.add(j * S::LANES));
                }
                for i in 0..MR {
                    let x = x.wrapping_add(at[i]);
                    let all = s.splat(*x);
                    for j in 0..NV {
                        sums[i][j] = s.fma(all, w[j], sums[i][j]);
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
pub(in crate::kernels) unsafe fn load_channels<S: Simd>(s: S, p: *const f32, from: usize, len: usize) -> S::F {
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
pub(in crate::kernels) unsafe fn store_channels<S: Simd>(s: S, p: *mut f32, x: S::F, from: usize, len: usize) {
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
    fn expect(self, at: usize, len: usize) {
        prefetch(self.result.wrapping_add(at), len);
        for values in [self.added, self.gate] {
            if !values.is_null() {
                prefetch(values.wrapping_add(at), len);
            }
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
        // Loops with small bodies, which the compiler unrolls: the sums then never leave the registers.
        if !self.added.is_null() {
            // SAFETY: an addend for each element of the result.
            unsafe { meet(s, &mut sums, self.added, &at, channels, |sum, v| s.add(sum, v)) };
        }
        // Of a NaN and a bound the second operand stays, which is the NaN.
        if relu != Relu::No {
            for i in 0..MR {
                for j in 0..NV {
                    sums[i][j] = s.max(s.splat(0.0), sums[i][j]);
                }
            }
        }
        if let Relu::UpTo(most) = relu {
            for i in 0..MR {
                for j in 0..NV {
                    sums[i][j] = s.min(s.splat(most), sums[i][j]);
                }
            }
        }
        if !self.gate.is_null() {
            let below = s.splat(self.below);
            // SAFETY: a value for each element of the result.
            unsafe { meet(s, &mut sums, self.gate, &at, channels, |sum, v| gated(s, sum, v, below)) };
        }
        for i in 0..MR {
            // SAFETY: in range by contract.
            unsafe {
                let p = self.result.add(at[i]);
                for j in 0..NV - 1 {
                    s.store(p.add(j * S::LANES), sums[i][j]);
                }
            }
        }
        // Only the last vector can be partial.
        if channels == NV * S::LANES {
            for i in 0..MR {
                // SAFETY: in range by contract.
                unsafe { s.store(self.result.add(at[i] + (NV - 1) * S::LANES), sums[i][NV - 1]) };
            }
        } else {
            for i in 0..MR {
                let from = (NV - 1) * S::LANES;
                // SAFETY: in range by contract.
                unsafe { s.store_partial(self.result.add(at[i] + from), sums[i][NV - 1], channels - from) };
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

/// The smallest height of at most `mr`, a multiple of `unit`, that holds the `rest` positions after whole tiles.
pub(super) fn finish(mr: usize, nv: usize, rest: usize, unit: usize) -> usize {
    let fits = |h: &&usize| **h >= rest && **h <= mr && h.is_multiple_of(unit);
    heights(nv).iter().rev().find(fits).copied().unwrap_or(mr)
}

/// Computes all positions of `sweep` in tiles of `mr` positions by `nv` vectors, and the rest in the smallest that
/// holds it.
///
/// # Safety
/// Every position's source offset plus any of the runs' offsets leaves `run` readable floats in the source;
/// `weights` holds `nv` vectors for each of the runs' rows; every result offset leaves `channels` writable elements in the
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
        let height = finish(mr, nv, rest, K::UNIT);
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
