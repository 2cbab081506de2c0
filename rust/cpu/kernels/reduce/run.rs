//! One run of a reduction: from the outermost axes inwards, and trees of partial results.

use super::fold::{CHUNK, Columns, Fold, LANES, Rows};
use super::{CHUNK_ROWS, MAX_SUMS, PIECE, ReduceKernel, STRIP, Source, outputs, tree_depth};
use crate::kernels::map::Series;
use crate::simd::dispatch;

/// Where each result goes.
pub(super) type Outs<W> = [*mut W; MAX_SUMS];

/// The places `by` words further on.
fn further<W>(outs: Outs<W>, by: usize) -> Outs<W> {
    outs.map(|out| out.wrapping_add(by))
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
pub(super) struct Run<'a, F: Fold> {
    pub(super) kernel: &'a ReduceKernel,
    pub(super) inputs: &'a [*const u8],
    pub(super) sizes: &'a [usize],
    /// Memory of the source.
    pub(super) source: &'a mut [f32],
    /// Computed values, those of each expression after another.
    pub(super) piece: *mut F::W,
    /// The pieces.
    pub(super) series: Series,
}

impl<F: Fold> Run<'_, F> {
    /// Reduces the groups from `level` inwards, of the values from `start` on.
    ///
    /// # Safety
    /// As [`ReduceKernel::run`]; `outs` have room for the results.
    pub(super) unsafe fn level(&mut self, level: usize, start: usize, outs: Outs<F::W>, scratch: &mut [f32]) {
        let size = self.sizes[level];
        let inner: usize = self.sizes[level + 1..].iter().product();
        let depth = self.sizes.len() - level;
        let results = self.kernel.results;
        // SAFETY: passed on; offsets follow the groups.
        unsafe {
            match (self.kernel.groups[level].vanishes, depth) {
                (false, 1) => self.copy(start, size, outs),
                (true, 1) => self.rows(start, 1, size, outs),
                (false, 2) => self.rows(start, size, inner, outs),
                (true, 2) => self.columns(start, size, inner, outs, scratch),
                (false, _) => {
                    let width = outputs(&self.sizes[level + 1..], &self.kernel.groups[level + 1..]);
                    for i in 0..size {
                        self.level(level + 1, start + i * inner, further(outs, i * width), scratch);
                    }
                }
                (true, _) => {
                    let width = outputs(&self.sizes[level + 1..], &self.kernel.groups[level + 1..]);
                    let (leaf, rest) = scratch.split_at_mut(results * width);
                    let (partial, rest) = rest.split_at_mut(results * width * tree_depth(size));
                    let leaf: *mut F::W = leaf.as_mut_ptr().cast();
                    let leaves = std::array::from_fn(|k| leaf.wrapping_add(k * width));
                    let mut tree = Tree::<F> { partial: partial.as_mut_ptr().cast(), width: results * width, count: 0 };
                    for i in 0..size {
                        self.level(level + 1, start + i * inner, leaves, rest);
                        tree.push(leaf);
                    }
                    tree.finish(leaf);
                    for k in 0..results {
                        std::ptr::copy_nonoverlapping(leaves[k], outs[k], width);
                    }
                }
            }
        }
    }

    /// The values `start..start + len` of the first expression, where they are or computed into the piece, and the
    /// distance to those of the next.
    ///
    /// # Safety
    /// As [`ReduceKernel::run`]; a piece holds `len` words unless the source is an input.
    #[allow(clippy::cast_ptr_alignment, reason = "inputs are aligned to their types by contract")]
    unsafe fn values(&mut self, start: usize, len: usize) -> (*const F::W, usize) {
        match &self.kernel.source {
            Source::Input(i) => (self.inputs[*i].cast::<F::W>().wrapping_add(start), 0),
            Source::Map(map) => {
                let apart = self.kernel.piece_len();
                let to: [*mut u8; MAX_SUMS] = std::array::from_fn(|k| self.piece.wrapping_add(k * apart).cast());
                let to = &to[..self.kernel.results];
                // SAFETY: passed on.
                unsafe { map.run_range(start, len, self.inputs, to, self.source, &mut self.series) };
                (self.piece, apart)
            }
            Source::Passes(_) => unreachable!("these sums are of columns, and computed as they are added"),
        }
    }

    /// # Safety
    /// As [`Self::level`].
    unsafe fn copy(&mut self, start: usize, len: usize, outs: Outs<F::W>) {
        for done in (0..len).step_by(PIECE) {
            let n = PIECE.min(len - done);
            // SAFETY: passed on.
            unsafe {
                let (p, apart) = self.values(start + done, n);
                for k in 0..self.kernel.results {
                    std::ptr::copy_nonoverlapping(p.wrapping_add(k * apart), outs[k].add(done), n);
                }
            }
        }
    }

    /// Reduces `rows` rows of `len` values.
    ///
    /// # Safety
    /// As [`Self::level`].
    unsafe fn rows(&mut self, start: usize, rows: usize, len: usize, outs: Outs<F::W>) {
        let (isa, results) = (self.kernel.isa, self.kernel.results);
        if len <= CHUNK {
            let together = match self.kernel.source {
                Source::Map(_) => PIECE / len.max(1),
                Source::Input(_) | Source::Passes(_) => rows,
            };
            let mut done = 0;
            while done < rows {
                let n = together.min(rows - done);
                // SAFETY: passed on; the piece holds `n` rows.
                unsafe {
                    let (p, apart) = self.values(start + done * len, n * len);
                    for k in 0..results {
                        let (p, out) = (p.wrapping_add(k * apart), outs[k].add(done));
                        dispatch(isa, Rows::<F> { p, len, count: n, out });
                    }
                }
                done += n;
            }
            return;
        }
        for r in 0..rows {
            let mut partial = [[F::IDENTITY; MAX_SUMS]; usize::BITS as usize];
            let mut tree = Tree::<F> { partial: partial.as_mut_ptr().cast(), width: MAX_SUMS, count: 0 };
            for done in (0..len).step_by(CHUNK) {
                let n = CHUNK.min(len - done);
                let mut leaf = [F::IDENTITY; MAX_SUMS];
                // SAFETY: passed on; the tree has a partial result per bit of any count.
                unsafe {
                    let (p, apart) = self.values(start + r * len + done, n);
                    for k in 0..results {
                        let (p, out) = (p.wrapping_add(k * apart), &raw mut leaf[k]);
                        dispatch(isa, Rows::<F> { p, len: n, count: 1, out });
                    }
                    tree.push(leaf.as_mut_ptr());
                }
            }
            let mut total = [F::IDENTITY; MAX_SUMS];
            // SAFETY: the total has a word per column of the tree, each output one for each row.
            unsafe {
                tree.finish(total.as_mut_ptr());
                for k in 0..results {
                    outs[k].add(r).write(total[k]);
                }
            }
        }
    }

    /// Reduces `columns` columns of `rows` values.
    ///
    /// # Safety
    /// As [`Self::level`].
    unsafe fn columns(&mut self, start: usize, rows: usize, columns: usize, outs: Outs<F::W>, scratch: &mut [f32]) {
        let wide = ReduceKernel::wide(columns);
        if columns == 0 {
            return;
        }
        let (wide_rows, rest) = (rows * columns / wide, rows * columns % wide);
        let (strip, piece_rows) = match self.kernel.source {
            Source::Input(_) | Source::Passes(_) => (STRIP.max(LANES), CHUNK_ROWS),
            Source::Map(_) => (wide, ReduceKernel::piece_rows(wide)),
        };
        let results = self.kernel.results;
        if let Source::Passes(passes) = &self.kernel.source {
            // SAFETY: passed on.
            unsafe { passes.repeat(self.inputs, start / (rows * columns).max(1), self.source) };
        }
        for first in (0..wide).step_by(strip) {
            let width = strip.min(wide - first);
            // The sums of all results side by side.
            let (sums, partial) = scratch.split_at_mut(results * wide);
            let sums: *mut F::W = sums.as_mut_ptr().cast();
            let mut tree = Tree::<F> { partial: partial.as_mut_ptr().cast(), width: results * width, count: 0 };
            for chunk in (0..wide_rows).step_by(CHUNK_ROWS) {
                let end = wide_rows.min(chunk + CHUNK_ROWS);
                // SAFETY: passed on: sums and partial results have `width <= wide` words per result, pieces hold their
                // rows.
                unsafe {
                    for i in 0..results * width {
                        sums.add(i).write(F::IDENTITY);
                    }
                    for row in (chunk..end).step_by(piece_rows) {
                        let rows = piece_rows.min(end - row);
                        self.add_rows(start + row * wide, Part { first, stride: wide, width, rows }, sums, width);
                    }
                    tree.push(sums);
                }
            }
            // SAFETY: as above; the rest is less than a wide row, and only where one strip has it all.
            unsafe {
                tree.finish(sums);
                if rest > 0 {
                    let part = Part { first: 0, stride: rest, width: rest, rows: 1 };
                    self.add_rows(start + wide_rows * wide, part, sums, width);
                }
                for k in 0..results {
                    let sums = sums.add(k * width);
                    // The copies of a narrow row: the upper half onto the lower until one is left.
                    let mut copies = wide / columns;
                    while copies > 1 {
                        let half = copies / 2;
                        copies -= half;
                        for i in 0..half * columns {
                            *sums.add(i) = F::combine(*sums.add(i), *sums.add(copies * columns + i));
                        }
                    }
                    std::ptr::copy_nonoverlapping(sums, outs[k].add(first), width.min(columns));
                }
            }
        }
    }

    /// Adds a part of rows from value `start` on to the sums, those of each result `apart`.
    ///
    /// # Safety
    /// As [`Self::columns`]; sums have the part's width, a piece holds its rows.
    unsafe fn add_rows(&mut self, start: usize, part: Part, sums: *mut F::W, apart: usize) {
        let isa = self.kernel.isa;
        let Part { first, stride, width, rows } = part;
        // SAFETY: passed on.
        unsafe {
            if let Source::Passes(passes) = &self.kernel.source {
                let sums = std::array::from_fn(|k| sums.wrapping_add(k * apart).cast());
                passes.run(isa, self.inputs, self.source, start, part, sums);
                return;
            }
            let (p, each) = self.values(start, rows * stride);
            for k in 0..self.kernel.results {
                let (p, sums) = (p.wrapping_add(k * each + first), sums.add(k * apart));
                dispatch(isa, Columns::<F> { sums, p, stride, width, rows });
            }
        }
    }
}

/// Columns `first..first + width` of some rows, which are `stride` apart.
#[derive(Clone, Copy)]
pub(super) struct Part {
    pub(super) first: usize,
    pub(super) stride: usize,
    pub(super) width: usize,
    pub(super) rows: usize,
}
