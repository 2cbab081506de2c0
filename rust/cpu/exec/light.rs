//! Everything but products: elementwise work, reductions, pooling, layout, indexing, random numbers.

use super::{Call, Kernel};
use crate::kernels::map::{MapKernel, Operand};
use crate::kernels::reduce::{ReduceKernel, Reduction};
use crate::kernels::{gather, layout, random, window};
use crate::simd::Isa;
use oxiconv_ir::op::Dist;
use oxiconv_ir::{DType, Expr, Op, Result, Type, Window};

/// # Safety
/// `p..p + len` is valid.
unsafe fn read<'a, T>(p: *const u8, len: usize) -> &'a [T] {
    // SAFETY: by contract.
    unsafe { std::slice::from_raw_parts(p.cast(), len) }
}

/// # Safety
/// `p..p + len` is valid and used by nobody else.
unsafe fn write<'a, T>(p: *mut u8, len: usize) -> &'a mut [T] {
    // SAFETY: by contract.
    unsafe { std::slice::from_raw_parts_mut(p.cast(), len) }
}

/// Elements per entry of axis 0.
fn entry(ty: &Type) -> usize {
    ty.dims.iter().skip(1).product()
}

/// Size of axis 0; a scalar is one entry.
fn entries(ty: &Type) -> usize {
    ty.dims.first().copied().unwrap_or(1)
}

/// An elementwise step.
pub(super) struct Map {
    kernel: MapKernel,
    text: String,
    rows: usize,
    /// Bytes per row of each operand and output; 0 where rows share the operand.
    input_row: Vec<usize>,
    output_row: Vec<usize>,
}

impl Map {
    pub(super) fn new(isa: Isa, expr: &Expr, operands: &[Operand], types: &[Type], outs: &[Type], dims: &[usize]) -> Self {
        let dtypes: Vec<DType> = outs.iter().map(|t| t.dtype).collect();
        let row = |t: &Type| entry(t) * t.dtype.size();
        let shared = |o: &Operand| o.repeat.first().copied().unwrap_or(true);
        Self {
            kernel: MapKernel::new(isa, expr, operands, &dtypes, dims),
            text: format!("map {expr}"),
            rows: dims.first().copied().unwrap_or(1),
            input_row: operands.iter().zip(types).map(|(o, t)| if shared(o) { 0 } else { row(t) }).collect(),
            output_row: outs.iter().map(row).collect(),
        }
    }
}

impl Kernel for Map {
    unsafe fn run(&self, call: Call<'_>) -> Result<()> {
        let rows = call.piece(call.rows(self.rows));
        if call.piece == (0, 1) {
            // SAFETY: forwarded.
            unsafe { self.kernel.run(rows.len(), call.inputs, call.outputs, call.scratch) };
            return Ok(());
        }
        let mut inputs = [std::ptr::null::<u8>(); super::MAX_OPERANDS];
        for (to, (from, row)) in inputs.iter_mut().zip(call.inputs.iter().zip(&self.input_row)) {
            *to = from.wrapping_add(rows.start * row);
        }
        let mut outputs = [std::ptr::null_mut::<u8>(); super::MAX_OPERANDS];
        for (to, (from, row)) in outputs.iter_mut().zip(call.outputs.iter().zip(&self.output_row)) {
            *to = from.wrapping_add(rows.start * row);
        }
        let (inputs, outputs) = (&inputs[..call.inputs.len()], &outputs[..call.outputs.len()]);
        // SAFETY: forwarded; pieces have disjoint rows.
        unsafe { self.kernel.run(rows.len(), inputs, outputs, call.scratch) };
        Ok(())
    }

    fn scratch_len(&self) -> usize {
        self.kernel.scratch_len()
    }

    fn describe(&self) -> String {
        self.text.clone()
    }
}

/// A reduction of an expression.
pub(super) struct Reduce {
    kernel: ReduceKernel,
    text: String,
    rows: usize,
}

impl Reduce {
    pub(super) fn new(
        isa: Isa,
        max: bool,
        expr: &Expr,
        operands: &[Operand],
        dims: &[usize],
        axes: &[usize],
        dtype: DType,
    ) -> Self {
        let kind = if max { Reduction::Max } else { Reduction::Sum };
        Self {
            kernel: ReduceKernel::new(isa, kind, expr, operands, dims, axes, dtype),
            text: format!("{} {expr} over {axes:?}", if max { "max" } else { "sum" }),
            rows: dims.first().copied().unwrap_or(1),
        }
    }
}

impl Kernel for Reduce {
    unsafe fn run(&self, call: Call<'_>) -> Result<()> {
        // SAFETY: forwarded.
        unsafe { self.kernel.run(call.rows(self.rows), call.inputs, call.outputs[0], call.scratch) };
        Ok(())
    }

    fn scratch_len(&self) -> usize {
        self.kernel.scratch_len()
    }

    fn describe(&self) -> String {
        self.text.clone()
    }
}

/// Bytes from one place to another.
pub(super) struct Copy {
    pub(super) bytes: usize,
}

impl Kernel for Copy {
    unsafe fn run(&self, call: Call<'_>) -> Result<()> {
        // SAFETY: both are complete tensors, and a result overlaps nothing in the arena.
        unsafe { call.outputs[0].copy_from(call.inputs[0], self.bytes) };
        Ok(())
    }

    fn describe(&self) -> String {
        format!("copy {} bytes", self.bytes)
    }
}

/// Maxima and their positions.
pub(super) struct MaxPool {
    isa: Isa,
    window: Window,
    channels: usize,
    samples: usize,
}

impl MaxPool {
    pub(super) fn new(isa: Isa, window: &Window, x: &Type) -> Self {
        Self { isa, window: window.clone(), channels: x.dims[x.rank() - 1], samples: x.dims[0] }
    }
}
