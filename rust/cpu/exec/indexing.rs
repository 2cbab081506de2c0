//! Elements found by index: gathers, scatters, sorting.

use super::light::{entries, entry, read, write};
use super::{Call, Kernel};
use crate::kernels::{gather, sort};
use oxiconv_ir::{DType, Result, Type};

/// Sizes before, along and after an axis, where axis 0 has `rows`.
fn indexed(dims: &[usize], axis: usize, rows: usize) -> gather::Indexed {
    let product = |d: &[usize]| d.iter().product::<usize>();
    let (outer, along) = if axis == 0 { (1, rows) } else { (rows * product(&dims[1..axis]), dims[axis]) };
    gather::Indexed { outer, axis: along, inner: product(&dims[axis + 1..]) }
}

/// Slices at indices.
pub(super) struct Gather {
    pub(super) axis: usize,
    pub(super) x: Type,
    pub(super) index: Type,
}

impl Kernel for Gather {
    unsafe fn run(&self, call: Call<'_>) -> Result<()> {
        // Along axis 0 the batch is the index's, elsewhere it is that of `x`.
        let rows = if self.axis == 0 { self.x.dims[0] } else { call.rows(self.x.dims[0]) };
        let count =
            if self.axis == 0 { call.rows(entries(&self.index)) * entry(&self.index) } else { self.index.len() };
        let sizes = indexed(&self.x.dims, self.axis, rows);
        let (from, to) = (sizes.outer * sizes.axis * sizes.inner, sizes.outer * count * sizes.inner);
        // SAFETY: lengths are those of the call's entries.
        unsafe {
            let index = read::<i32>(call.inputs[1], count);
            let (x, out) = (call.inputs[0], call.outputs[0]);
            match self.x.dtype.size() {
                8 => gather::gather(sizes, read::<u64>(x, from), index, write(out, to)),
                4 => gather::gather(sizes, read::<u32>(x, from), index, write(out, to)),
                2 => gather::gather(sizes, read::<u16>(x, from), index, write(out, to)),
                _ => gather::gather(sizes, read::<u8>(x, from), index, write(out, to)),
            }
        }
    }

    fn describe(&self) -> String {
        "gather".to_owned()
    }
}

/// Slices at indices, or added at them, of each entry of axis 0 for itself.
pub(super) struct Each {
    pub(super) gathers: bool,
    pub(super) axis: usize,
    pub(super) whole: Type,
    pub(super) index: Type,
}

impl Each {
    /// The entries of the call.
    ///
    /// # Safety
    /// As [`Kernel::run`], for values of type `T`.
    unsafe fn each<T>(
        &self,
        call: &Call<'_>,
        run: impl Fn(gather::Indexed, &[T], &[i32], &mut [T]) -> Result<()>,
    ) -> Result<()> {
        let sizes = indexed(&[&[1], &self.whole.dims[1..]].concat(), self.axis, 1);
        let count = entry(&self.index);
        let (whole, taken) = (sizes.outer * sizes.axis * sizes.inner, sizes.outer * count * sizes.inner);
        let (from, to) = if self.gathers { (whole, taken) } else { (taken, whole) };
        for i in call.piece(call.rows(self.whole.dims[0])) {
            // SAFETY: lengths are those of an entry, and the call has entry `i`, which no other call has.
            unsafe {
                let x = read(call.inputs[0].cast::<T>().add(i * from).cast(), from);
                let index = read(call.inputs[1].cast::<i32>().add(i * count).cast(), count);
                run(sizes, x, index, write(call.outputs[0].cast::<T>().add(i * to).cast(), to))?;
            }
        }
        Ok(())
    }
}

impl Kernel for Each {
    unsafe fn run(&self, call: Call<'_>) -> Result<()> {
        // SAFETY: forwarded; gathers move values of the same size.
        unsafe {
            match (self.gathers, self.whole.dtype) {
                (true, dtype) if dtype.size() == 8 => self.each::<u64>(&call, gather::gather),
                (true, dtype) if dtype.size() == 4 => self.each::<u32>(&call, gather::gather),
                (true, dtype) if dtype.size() == 2 => self.each::<u16>(&call, gather::gather),
                (true, _) => self.each::<u8>(&call, gather::gather),
                (false, DType::F32) => self.each::<f32>(&call, gather::scatter_add),
                (false, DType::I64) => self.each::<i64>(&call, gather::scatter_add),
                (false, _) => self.each::<i32>(&call, gather::scatter_add),
            }
        }
    }

    fn describe(&self) -> String {
        let name = if self.gathers { "gather" } else { "scatter-add" };
        format!("{name} {} indices of each entry", entry(&self.index))
    }
}

/// Slices added at indices.
pub(super) struct Scatter {
    pub(super) axis: usize,
    pub(super) g: Type,
    pub(super) index: Type,
    pub(super) out: Type,
}

impl Kernel for Scatter {
    unsafe fn run(&self, call: Call<'_>) -> Result<()> {
        // Along axis 0 slices of the batch add up in a result of its own size.
        let rows = if self.axis == 0 { self.out.dims[0] } else { call.rows(self.out.dims[0]) };
        let batched = self.axis == 0 && self.index.rank() > 0;
        let count = if batched { call.rows(entries(&self.index)) * entry(&self.index) } else { self.index.len() };
        let sizes = indexed(&self.out.dims, self.axis, rows);
        // SAFETY: lengths are those of the call's entries.
        unsafe {
            let index = read::<i32>(call.inputs[1], count);
            let (from, to) = (sizes.outer * count * sizes.inner, sizes.outer * sizes.axis * sizes.inner);
            let (g, out) = (call.inputs[0], call.outputs[0]);
            match self.g.dtype {
                DType::F32 => gather::scatter_add::<f32>(sizes, read(g, from), index, write(out, to)),
                DType::I64 => gather::scatter_add::<i64>(sizes, read(g, from), index, write(out, to)),
                _ => gather::scatter_add::<i32>(sizes, read(g, from), index, write(out, to)),
            }
        }
    }

    fn describe(&self) -> String {
        format!("scatter-add {} indices", self.index.len().min(self.g.len()))
    }
}

/// Positions in order of value, row by row.
pub(super) struct ArgSort {
    pub(super) x: Type,
}

impl ArgSort {
    fn row(&self) -> usize {
        self.x.dims[self.x.rank() - 1]
    }

    /// # Safety
    /// As for [`Kernel::run`]; the elements are of type `T`.
    unsafe fn sort<T: sort::Ranked>(&self, call: &mut Call<'_>) {
        let n = self.row();
        // A tensor with one axis is one row, and never cut.
        let rows = if self.x.rank() == 1 { 1 } else { call.rows(self.x.dims[0]) * entry(&self.x) / n.max(1) };
        let mine = call.piece(rows);
        let (start, len) = (mine.start * n, mine.len() * n);
        // SAFETY: the call's rows; pieces have disjoint ones, and scratch, aligned as buffers are, holds a row's keys.
        unsafe {
            let x = read::<T>(call.inputs[0].cast::<T>().wrapping_add(start).cast(), len);
            let out = write::<i32>(call.outputs[0].wrapping_add(start * size_of::<i32>()), len);
            sort::argsort(n, x, write(call.scratch.as_mut_ptr().cast(), n), out);
        }
    }
}

impl Kernel for ArgSort {
    unsafe fn run(&self, mut call: Call<'_>) -> Result<()> {
        // SAFETY: forwarded.
        unsafe {
            match self.x.dtype {
                DType::F32 => self.sort::<f32>(&mut call),
                DType::I64 => self.sort::<i64>(&mut call),
                DType::I32 => self.sort::<i32>(&mut call),
                DType::I8 => self.sort::<i8>(&mut call),
                DType::U8 | DType::Bool => self.sort::<u8>(&mut call),
                DType::F16 | DType::Bf16 => unreachable!("halves are widened before they are sorted"),
            }
        }
        Ok(())
    }

    fn scratch_len(&self) -> usize {
        let key = if self.x.dtype == DType::I64 { size_of::<u128>() } else { size_of::<u64>() };
        self.row() * (key / size_of::<f32>())
    }

    fn describe(&self) -> String {
        format!("sort rows of {}", self.row())
    }
}
