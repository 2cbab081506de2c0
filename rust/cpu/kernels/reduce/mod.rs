//! Sums and maxima over axes, of an elementwise expression of the inputs.
//!
//! Every reduction is rows (the last axes vanish) or columns (the first vanish), perhaps within kept axes, perhaps
//! several in one another. Partial sums are combined in a balanced tree whose shape depends on the sizes alone: the
//! bits are the same on every instruction set, and whether or not the expression was computed beforehand.
//!
//! Error of a sum of `n` values: at most `(d + 1) u Σ|x|`, with `u = 2^-24` and `d` the additions that a value goes
//! through: rows, 16 in a lane, 6 across lanes and `log2(n / 1024) + 1`; columns, 2 in a group of rows, 32 in a
//! chunk, `log2(n / 128) + 1` over chunks, 1 for the rest and 6 across a narrow row's copies.

mod fold;
mod wide;

use crate::kernels::element::{Word, with_element, word_of};
use crate::kernels::map::{MapKernel, Operand, Series};
use crate::simd::{Isa, dispatch};
use fold::{CHUNK, Columns, Fold, LANES, MaxF32, MaxI32, Rows, SumF32, SumI32};
use oxiconv_ir::{Arithmetic, DType, Expr};

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
    source: Source,
}

/// Where the values to reduce come from.
#[derive(Debug, Clone)]
enum Source {
    /// The memory of an input.
    Input(usize),
    /// An expression, computed piece by piece.
    Map(Box<MapKernel>),
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
    /// Compiles the reduction over `axes` (ascending) of `prologue`, an expression with one result of sizes `dims`.
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
        let arithmetic = prologue.arithmetic(inputs.iter().map(|i| i.dtype).chain([dtype]));
        let word = word_of(arithmetic);
        let plain = (0..inputs.len())
            .find(|&i| prologue.is_input(i) && inputs[i].dtype == word && !inputs[i].repeat.contains(&true));
        let source = match plain {
            Some(i) => Source::Input(i),
            None => Source::Map(Box::new(MapKernel::new(isa, prologue, inputs, &[word], dims))),
        };
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
        let rows = dims.first().copied().unwrap_or(1);
        Self { isa, reduction, arithmetic, dtype, groups, rows, source }
    }

    /// Floats of scratch memory that a run with `n` up to `dims[0]` needs.
    pub fn scratch_len(&self) -> usize {
        if self.arithmetic == Arithmetic::I64 {
            return self.wide_scratch_len();
        }
        let sizes = self.sizes(self.rows);
        let sizes = &sizes[..self.groups.len()];
        let map = if let Source::Map(m) = &self.source { m.scratch_len() } else { 0 };
        let words = if self.dtype.size() == 4 { 0 } else { outputs(sizes, &self.groups) };
        map + words + self.piece_len() + self.level_len(sizes, 0)
    }

    /// Computes the reduction of rows `0..n` of axis 0 (`n` replaces `dims[0]`; a scalar has `n = 1`).
    ///
    /// # Safety
    /// Pointers are aligned to their element type and valid for their extents; the output overlaps no input.
    pub unsafe fn run(&self, n: usize, inputs: &[*const u8], out: *mut u8, scratch: &mut [f32]) {
        assert!(n <= self.rows, "compiled for {} rows, run with {n}", self.rows);
        assert!(scratch.len() >= self.scratch_len(), "scratch of {} floats", self.scratch_len());
        // SAFETY: passed on.
        unsafe {
            match (self.arithmetic, self.reduction) {
                (Arithmetic::F32, Reduction::Sum) => self.run_fold::<SumF32>(n, inputs, out, scratch),
                (Arithmetic::F32, Reduction::Max) => self.run_fold::<MaxF32>(n, inputs, out, scratch),
                (Arithmetic::I32, Reduction::Sum) => self.run_fold::<SumI32>(n, inputs, out, scratch),
                (Arithmetic::I32, Reduction::Max) => self.run_fold::<MaxI32>(n, inputs, out, scratch),
                (Arithmetic::I64, _) => self.run_wide(n, inputs, out, scratch),
            }
        }
    }

    /// # Safety
    /// As [`Self::run`].
    #[allow(clippy::cast_ptr_alignment, reason = "the output is aligned to its type by contract")]
    unsafe fn run_fold<F: Fold>(&self, n: usize, inputs: &[*const u8], out: *mut u8, scratch: &mut [f32]) {
        let sizes = self.sizes(n);
        let sizes = &sizes[..self.groups.len()];
        let len = outputs(sizes, &self.groups);
        let map = if let Source::Map(m) = &self.source { m.scratch_len() } else { 0 };
        let (map, rest) = scratch.split_at_mut(map);
        let (piece, rest) = rest.split_at_mut(self.piece_len());
        let series = Series::of(sizes.iter().product());
        let mut run = Run::<F> { kernel: self, inputs, sizes, map, piece: piece.as_mut_ptr().cast(), series };
        if self.dtype == F::W::DTYPE {
            // SAFETY: passed on; the output is of words.
            unsafe { run.level(0, 0, out.cast(), rest) };
            return;
        }
        let (words, rest) = rest.split_at_mut(if self.dtype.size() == 4 { 0 } else { len });
        let words: *mut F::W = if self.dtype.size() == 4 { out.cast() } else { words.as_mut_ptr().cast() };
        // SAFETY: words are as large as the output's elements and put there, or have scratch memory of their own.
        unsafe {
            run.level(0, 0, words, rest);
            with_element!(self.dtype, T => for i in 0..len {
                let x: T = (*words.add(i)).store();
                out.cast::<T>().add(i).write(x);
            });
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
            (Source::Input(_), _) => 0,
            (_, [.., Group { vanishes: true, .. }, Group { size, .. }]) => {
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
                wide * (1 + tree_depth((sizes[level] * sizes[level + 1]).div_ceil((wide * CHUNK_ROWS).max(1))))
            }
            (false, _) => self.level_len(sizes, level + 1),
            (true, _) => {
                let width = outputs(&sizes[level + 1..], inner);
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

/// Combines leaves of `width` words in a balanced tree, holding one partial result per set bit of their count.
struct Tree<F: Fold> {
    partial: *mut F::W,
    width: usize,
    count: usize,
}

impl<F: Fold> Tree<F> {
    /// Takes the next leaf; `leaf` is overwritten.
    ///
    /// # Safety
    /// `leaf` and all partial results (as many as [`tree_depth`] of the leaves) have `width` words.
    unsafe fn push(&mut self, leaf: *mut F::W) {
        let full = self.count.trailing_ones() as usize;
        // SAFETY: by contract; levels below `full` hold partial results.
        unsafe {
            for level in 0..full {
                self.combine(level, leaf);
            }
            std::ptr::copy_nonoverlapping(leaf, self.partial.add(full * self.width), self.width);
        }
        self.count += 1;
    }

    /// The result of all leaves.
    ///
    /// # Safety
    /// As [`Self::push`].
    unsafe fn finish(&self, out: *mut F::W) {
        // SAFETY: by contract; the levels of the set bits hold partial results.
        unsafe {
            for i in 0..self.width {
                out.add(i).write(F::IDENTITY);
            }
            for level in (0..usize::BITS as usize).filter(|l| self.count >> l & 1 == 1) {
                self.combine(level, out);
            }
        }
    }

    /// # Safety
    /// The level holds a partial result, `to` has `width` words.
    unsafe fn combine(&self, level: usize, to: *mut F::W) {
        // SAFETY: by contract.
        unsafe {
            let from = self.partial.add(level * self.width);
            for i in 0..self.width {
                *to.add(i) = F::combine(*from.add(i), *to.add(i));
            }
        }
    }
}

/// One run.
struct Run<'a, F: Fold> {
    kernel: &'a ReduceKernel,
    inputs: &'a [*const u8],
    sizes: &'a [usize],
    map: &'a mut [f32],
    piece: *mut F::W,
    /// The pieces.
    series: Series,
}

impl<F: Fold> Run<'_, F> {
    /// Reduces the groups from `level` inwards, of the values from `start` on.
    ///
    /// # Safety
    /// As [`ReduceKernel::run`]; `out` has room for the result.
    unsafe fn level(&mut self, level: usize, start: usize, out: *mut F::W, scratch: &mut [f32]) {
        let size = self.sizes[level];
        let inner: usize = self.sizes[level + 1..].iter().product();
        let depth = self.sizes.len() - level;
        // SAFETY: passed on; offsets follow the groups.
        unsafe {
            match (self.kernel.groups[level].vanishes, depth) {
                (false, 1) => self.copy(start, size, out),
                (true, 1) => self.rows(start, 1, size, out),
                (false, 2) => self.rows(start, size, inner, out),
                (true, 2) => self.columns(start, size, inner, out, scratch),
                (false, _) => {
                    let width = outputs(&self.sizes[level + 1..], &self.kernel.groups[level + 1..]);
                    for i in 0..size {
                        self.level(level + 1, start + i * inner, out.add(i * width), scratch);
                    }
                }
                (true, _) => {
                    let width = outputs(&self.sizes[level + 1..], &self.kernel.groups[level + 1..]);
                    let (leaf, rest) = scratch.split_at_mut(width);
                    let (partial, rest) = rest.split_at_mut(width * tree_depth(size));
                    let leaf = leaf.as_mut_ptr().cast();
                    let mut tree = Tree::<F> { partial: partial.as_mut_ptr().cast(), width, count: 0 };
                    for i in 0..size {
                        self.level(level + 1, start + i * inner, leaf, rest);
                        tree.push(leaf);
                    }
                    tree.finish(out);
                }
            }
        }
    }

    /// The values `start..start + len`, where they are or computed into the piece.
    ///
    /// # Safety
    /// As [`ReduceKernel::run`]; a piece holds `len` words unless the source is an input.
    #[allow(clippy::cast_ptr_alignment, reason = "inputs are aligned to their types by contract")]
    unsafe fn values(&mut self, start: usize, len: usize) -> *const F::W {
        match &self.kernel.source {
            Source::Input(i) => self.inputs[*i].cast::<F::W>().wrapping_add(start),
            Source::Map(map) => {
                // SAFETY: passed on.
                unsafe { map.run_range(start, len, self.inputs, &[self.piece.cast()], self.map, &mut self.series) };
                self.piece
            }
        }
    }

    /// # Safety
    /// As [`Self::level`].
    unsafe fn copy(&mut self, start: usize, len: usize, out: *mut F::W) {
        for done in (0..len).step_by(PIECE) {
            let n = PIECE.min(len - done);
            // SAFETY: passed on.
            unsafe { std::ptr::copy_nonoverlapping(self.values(start + done, n), out.add(done), n) };
        }
    }

    /// Reduces `rows` rows of `len` values.
    ///
    /// # Safety
    /// As [`Self::level`].
    unsafe fn rows(&mut self, start: usize, rows: usize, len: usize, out: *mut F::W) {
        let isa = self.kernel.isa;
        if len <= CHUNK {
            let together = match self.kernel.source {
                Source::Input(_) => rows,
                Source::Map(_) => PIECE / len.max(1),
            };
            let mut done = 0;
            while done < rows {
                let n = together.min(rows - done);
                // SAFETY: passed on; the piece holds `n` rows.
                unsafe {
                    let p = self.values(start + done * len, n * len);
                    dispatch(isa, Rows::<F> { p, len, count: n, out: out.add(done) });
                }
                done += n;
            }
            return;
        }
        for r in 0..rows {
            let mut partial = [F::IDENTITY; usize::BITS as usize];
            let mut tree = Tree::<F> { partial: partial.as_mut_ptr(), width: 1, count: 0 };
            for done in (0..len).step_by(CHUNK) {
                let n = CHUNK.min(len - done);
                let mut leaf = F::IDENTITY;
                // SAFETY: passed on; the tree has a partial result per bit of any count.
                unsafe {
                    let p = self.values(start + r * len + done, n);
                    dispatch(isa, Rows::<F> { p, len: n, count: 1, out: &raw mut leaf });
                    tree.push(&raw mut leaf);
                }
            }
            // SAFETY: one word is written.
            unsafe { tree.finish(out.add(r)) };
        }
    }

    /// Reduces `columns` columns of `rows` values.
    ///
    /// # Safety
    /// As [`Self::level`].
    unsafe fn columns(&mut self, start: usize, rows: usize, columns: usize, out: *mut F::W, scratch: &mut [f32]) {
        let wide = ReduceKernel::wide(columns);
        if columns == 0 {
            return;
        }
        let (wide_rows, rest) = (rows * columns / wide, rows * columns % wide);
        let (strip, piece_rows) = match self.kernel.source {
            Source::Input(_) => (STRIP.max(LANES), CHUNK_ROWS),
            Source::Map(_) => (wide, ReduceKernel::piece_rows(wide)),
        };
        let isa = self.kernel.isa;
        for first in (0..wide).step_by(strip) {
            let width = strip.min(wide - first);
            let (sums, partial) = scratch.split_at_mut(wide);
            let sums: *mut F::W = sums.as_mut_ptr().cast();
            let mut tree = Tree::<F> { partial: partial.as_mut_ptr().cast(), width, count: 0 };
            for chunk in (0..wide_rows).step_by(CHUNK_ROWS) {
                let end = wide_rows.min(chunk + CHUNK_ROWS);
                // SAFETY: passed on: sums and partial results have `width <= wide` words, pieces hold their rows.
                unsafe {
                    for i in 0..width {
                        sums.add(i).write(F::IDENTITY);
                    }
                    for row in (chunk..end).step_by(piece_rows) {
                        let rows = piece_rows.min(end - row);
                        let p = self.values(start + row * wide, rows * wide).wrapping_add(first);
                        dispatch(isa, Columns::<F> { sums, p, stride: wide, width, rows });
                    }
                    tree.push(sums);
                }
            }
            // SAFETY: as above; the rest is less than a wide row, and only where one strip has it all.
            unsafe {
                tree.finish(sums);
                if rest > 0 {
                    let p = self.values(start + wide_rows * wide, rest);
                    dispatch(isa, Columns::<F> { sums, p, stride: wide, width: rest, rows: 1 });
                }
                // The copies of a narrow row: the upper half onto the lower until one is left.
                let mut copies = wide / columns;
                while copies > 1 {
                    let half = copies / 2;
                    copies -= half;
                    for i in 0..half * columns {
                        *sums.add(i) = F::combine(*sums.add(i), *sums.add(copies * columns + i));
                    }
                }
                std::ptr::copy_nonoverlapping(sums, out.add(first), width.min(columns));
            }
        }
    }
}

#[cfg(test)]
mod tests;
