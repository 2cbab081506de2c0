//! Sums and maxima over axes, of elementwise expressions of the inputs: several at once, from one read.
//!
//! Every reduction is rows (the last axes vanish) or columns (the first vanish), perhaps within kept axes, perhaps
//! several in one another. Partial sums are combined in a balanced tree whose shape depends on the sizes alone: the
//! bits are the same on every instruction set, whether or not the expression was computed beforehand, and whichever
//! others are computed with it.
//!
//! Error of a sum of `n` values: at most `(d + 1) u Σ|x|`, with `u = 2^-24` and `d` the additions that a value goes
//! through: rows, 16 in a lane, 6 across lanes and `log2(n / 1024) + 1`; columns, 2 in a group of rows, 32 in a
//! chunk, `log2(n / 128) + 1` over chunks, 1 for the rest and 6 across a narrow row's copies.

mod fold;
mod passes;
mod run;
mod terms;
mod wide;

use crate::kernels::element::{Word, with_element, word_of};
use crate::kernels::map::{MapKernel, Operand, Series};
use crate::simd::Isa;
use fold::{Fold, LANES, MaxF32, MaxI32, SumF32, SumI32};
use oxiconv_ir::fuse::MAX_SUMS;
use oxiconv_ir::{Arithmetic, DType, Expr};
use passes::Passes;
use run::Run;

/// What to do with the values along the axes that vanish.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reduction {
    /// Their sum; 0 of none.
    Sum,
    /// The largest; NaN wins; −∞ (the least integer) of none.
    Max,
}

/// Neighbouring axes that all stay or all vanish.
#[derive(Debug, Clone, Copy)]
struct Group {
    /// Elements; of the first group, per element of axis 0.
    size: usize,
    vanishes: bool,
}

/// A compiled reduction.
#[derive(Debug, Clone)]
pub struct ReduceKernel {
    isa: Isa,
    reduction: Reduction,
    arithmetic: Arithmetic,
    dtype: DType,
    /// Alternating, outermost first, at least one.
    groups: Vec<Group>,
    /// Size of axis 0 that scratch memory is for.
    rows: usize,
    /// How many reductions this is.
    results: usize,
    source: Source,
}

/// Where the values to reduce come from.
#[derive(Debug, Clone)]
enum Source {
    /// The memory of an input.
    Input(usize),
    /// Expressions, computed piece by piece.
    Map(Box<MapKernel>),
    /// Expressions of columns that have loops of their own.
    Passes(Box<Passes>),
}

/// Words of a piece of computed values: half of a 32 KiB L1 cache for them and what they are made of.
const PIECE: usize = 2048;

/// Wide rows that are summed one after another before the tree begins.
const CHUNK_ROWS: usize = 128;

/// Most groups of axes: as many as NumPy has axes. Sizes are on the stack, a run allocates nothing.
const MAX_GROUPS: usize = 64;

/// Columns of one strip of a wide array read from memory: sums stay in L1.
const STRIP: usize = 1024;

impl ReduceKernel {
    /// Compiles the reductions over `axes` (ascending) of the results of `prologue`, an expression of sizes `dims`.
    /// For the arithmetic see [`Expr::arithmetic`].
    pub fn new(
        isa: Isa,
        reduction: Reduction,
        prologue: &Expr,
        inputs: &[Operand],
        dims: &[usize],
        axes: &[usize],
        dtype: DType,
    ) -> Self {
        let results = prologue.outs().len();
        assert!((1..=MAX_SUMS).contains(&results), "{results} reductions at once");
        let arithmetic = prologue.arithmetic(inputs.iter().map(|i| i.dtype).chain([dtype]));
        let word = word_of(arithmetic);
        let plain = (0..inputs.len())
            .find(|&i| prologue.is_input(i) && inputs[i].dtype == word && !inputs[i].repeat.contains(&true))
            .filter(|_| results == 1);
        let mut groups: Vec<Group> = Vec::new();
        for (a, &size) in dims.iter().enumerate() {
            // Axis 0 may have another size at run time; others of one element need no loop.
            let (size, vanishes) = (if a == 0 { 1 } else { size }, axes.contains(&a));
            match groups.last_mut() {
                Some(g) if g.vanishes == vanishes => g.size *= size,
                _ if a > 0 && size == 1 => {}
                _ => groups.push(Group { size, vanishes }),
            }
        }
        if groups.is_empty() {
            groups.push(Group { size: 1, vanishes: false });
        }
        assert!(groups.len() <= MAX_GROUPS, "a reduction over {} groups of axes", groups.len());
        let passes = if reduction == Reduction::Sum && arithmetic == Arithmetic::F32 {
            Passes::new(prologue, inputs, dims, axes, &groups)
        } else {
            None
        };
        let source = match (plain, passes) {
            (Some(i), _) => Source::Input(i),
            (None, Some(passes)) => Source::Passes(Box::new(passes)),
            (None, None) => {
                Source::Map(Box::new(MapKernel::new(isa, prologue, inputs, &[word; MAX_SUMS][..results], dims)))
            }
        };
        let rows = dims.first().copied().unwrap_or(1);
        Self { isa, reduction, arithmetic, dtype, groups, rows, results, source }
    }

    /// Floats of scratch memory that a run with `n` up to `dims[0]` needs.
    pub fn scratch_len(&self) -> usize {
        if self.arithmetic == Arithmetic::I64 {
            return self.wide_scratch_len();
        }
        let sizes = self.sizes(self.rows);
        let sizes = &sizes[..self.groups.len()];
        let words = if self.dtype.size() == 4 { 0 } else { self.results * outputs(sizes, &self.groups) };
        self.source_len() + words + self.results * self.piece_len() + self.level_len(sizes, 0)
    }

    /// Floats that computing values needs.
    fn source_len(&self) -> usize {
        match &self.source {
            Source::Input(_) => 0,
            Source::Map(map) => map.scratch_len(),
            Source::Passes(passes) => passes.scratch_len(),
        }
    }

    /// Computes the reductions of rows `0..n` of axis 0 (`n` replaces `dims[0]`; a scalar has `n = 1`).
    ///
    /// # Safety
    /// Pointers are aligned to their element type and valid for their extents; outputs overlap no input.
    pub unsafe fn run(&self, n: usize, inputs: &[*const u8], outs: &[*mut u8], scratch: &mut [f32]) {
        assert!(n <= self.rows, "compiled for {} rows, run with {n}", self.rows);
        assert!(scratch.len() >= self.scratch_len(), "scratch of {} floats", self.scratch_len());
        assert_eq!(outs.len(), self.results, "one output per reduction");
        // SAFETY: passed on.
        unsafe {
            match (self.arithmetic, self.reduction) {
                (Arithmetic::F32, Reduction::Sum) => self.run_fold::<SumF32>(n, inputs, outs, scratch),
                (Arithmetic::F32, Reduction::Max) => self.run_fold::<MaxF32>(n, inputs, outs, scratch),
                (Arithmetic::I32, Reduction::Sum) => self.run_fold::<SumI32>(n, inputs, outs, scratch),
                (Arithmetic::I32, Reduction::Max) => self.run_fold::<MaxI32>(n, inputs, outs, scratch),
                (Arithmetic::I64, _) => self.run_wide(n, inputs, outs, scratch),
            }
        }
    }

    /// # Safety
    /// As [`Self::run`].
    #[allow(clippy::cast_ptr_alignment, reason = "outputs are aligned to their type by contract")]
    unsafe fn run_fold<F: Fold>(&self, n: usize, inputs: &[*const u8], outs: &[*mut u8], scratch: &mut [f32]) {
        let sizes = self.sizes(n);
        let sizes = &sizes[..self.groups.len()];
        let len = outputs(sizes, &self.groups);
        let (source, rest) = scratch.split_at_mut(self.source_len());
        let (piece, rest) = rest.split_at_mut(self.results * self.piece_len());
        let direct = self.dtype.size() == 4;
        let (words, rest) = rest.split_at_mut(if direct { 0 } else { self.results * len });
        let mut to = [std::ptr::null_mut(); MAX_SUMS];
        for (k, (to, out)) in to.iter_mut().zip(outs).enumerate() {
            *to = if direct { out.cast() } else { words.as_mut_ptr().wrapping_add(k * len).cast() };
        }
        let series = Series::of(sizes.iter().product());
        let mut run = Run::<F> { kernel: self, inputs, sizes, source, piece: piece.as_mut_ptr().cast(), series };
        // SAFETY: passed on; words are as large as the outputs' elements and put there, or have scratch memory of
        // their own.
        unsafe {
            run.level(0, 0, to, rest);
            if self.dtype != F::W::DTYPE {
                for (words, out) in to.into_iter().zip(outs) {
                    with_element!(self.dtype, T => for i in 0..len {
                        let x: T = (*words.add(i)).store();
                        out.cast::<T>().add(i).write(x);
                    });
                }
            }
        }
    }

    /// Sizes of the groups for `n` rows.
    fn sizes(&self, n: usize) -> [usize; MAX_GROUPS] {
        let mut sizes = [1; MAX_GROUPS];
        for (i, (size, g)) in sizes.iter_mut().zip(&self.groups).enumerate() {
            *size = if i == 0 { g.size * n } else { g.size };
        }
        sizes
    }

    /// Columns are read as rows of this many words: a narrow array's several rows at a time, so that vectors are full.
    fn wide(columns: usize) -> usize {
        if columns >= LANES { columns } else { columns * (LANES / columns.max(1)) }
    }

    /// Wide rows in a piece of computed values: a power of two from 4 to a chunk.
    fn piece_rows(wide: usize) -> usize {
        let fitting = (PIECE / wide.max(1)).clamp(4, CHUNK_ROWS);
        1 << fitting.ilog2()
    }

    /// Words that a piece of computed values needs.
    fn piece_len(&self) -> usize {
        match (&self.source, &self.groups[..]) {
            (Source::Input(_) | Source::Passes(_), _) => 0,
            (Source::Map(_), [.., Group { vanishes: true, .. }, Group { size, .. }]) => {
                let wide = Self::wide(*size);
                PIECE.max(Self::piece_rows(wide) * wide)
            }
            _ => PIECE,
        }
    }

    /// Words for partial results, from a group inwards.
    fn level_len(&self, sizes: &[usize], level: usize) -> usize {
        let inner = &self.groups[level + 1..];
        match (self.groups[level].vanishes, inner.len()) {
            (_, 0) | (false, 1) => 0,
            (true, 1) => {
                let wide = Self::wide(sizes[level + 1]);
                let leaves = (sizes[level] * sizes[level + 1]).div_ceil((wide * CHUNK_ROWS).max(1));
                self.results * wide * (1 + tree_depth(leaves))
            }
            (false, _) => self.level_len(sizes, level + 1),
            (true, _) => {
                let width = self.results * outputs(&sizes[level + 1..], inner);
                width * (1 + tree_depth(sizes[level])) + self.level_len(sizes, level + 1)
            }
        }
    }
}

/// Words of the result of these groups.
fn outputs(sizes: &[usize], groups: &[Group]) -> usize {
    sizes.iter().zip(groups).filter(|(_, g)| !g.vanishes).map(|(s, _)| s).product()
}

/// Partial results that a tree over `leaves` holds at once.
fn tree_depth(leaves: usize) -> usize {
    (usize::BITS - leaves.leading_zeros()) as usize
}

#[cfg(test)]
mod tests;
