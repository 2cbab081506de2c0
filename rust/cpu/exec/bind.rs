//! Which kernel runs a step: written rules on kinds and shapes.

use super::combine::Combine;
use super::heavy::{Product, Sparse};
use super::light;
use super::{Kernel, MAX_OPERANDS};
use crate::kernels::map::Operand;
use crate::simd::Isa;
use oxiconv_ir::fuse::Target;
use oxiconv_ir::program::{self, Kind, Program, Step};
use oxiconv_ir::{Conv, Form, Op, Seat, Type, Window};
use std::ops::Range;

/// A step's kernel, and where its packed operand is.
pub(super) struct Bound {
    pub(super) kernel: Box<dyn Kernel>,
    /// In floats, within the packed buffer.
    pub(super) packed: Option<Range<usize>>,
    /// In a whole stage: how many pieces the step is cut into, each run by whichever worker is free.
    pub(super) pieces: usize,
    /// Roughly what it takes on one core.
    pub(super) nanoseconds: usize,
}

/// Nanoseconds of work below which a stage runs on the calling thread alone: what sharing it costs.
pub(super) const SMALL: usize = 15_000;

/// What these kernels can fuse.
pub(super) struct Cpu;

impl Target for Cpu {
    fn pools(&self, _conv: &Conv, window: &Window) -> bool {
        window.volume() <= 256
    }

    fn sparse(&self, conv: &Conv, window: &Window, solve: Seat) -> bool {
        Sparse::new(Isa::active(), &Form::Conv(conv.clone()), window, solve).is_some()
    }
}

/// Elements below which a step of a whole stage is not worth a second worker's attention (about 10 µs of work).
const PIECE: usize = 16 << 10;
/// Most pieces: as many as a batch has tasks.
const MAX_PIECES: usize = 16;

pub(super) fn bind(isa: Isa, program: &Program, sharded: bool, step: &Step, packed: &mut usize) -> Bound {
    assert!(step.inputs.len().max(step.outputs.len()) <= MAX_OPERANDS, "too many operands: {}", step.kind);
    let types: Vec<Type> = step.inputs.iter().map(|o| o.ty.clone()).collect();
    let outs: Vec<Type> = step.outputs.iter().map(|o| program.values[*o].ty.clone()).collect();
    let kernel: Box<dyn Kernel> = match &step.kind {
        Kind::Product { form, solve, epilogue, window } => {
            let others = &step.inputs[2..];
            let rank = match form {
                Form::Conv(c) => c.input.len() + 2,
                Form::MatMul => outs[0].rank(),
            };
            let operands: Vec<Operand> = others.iter().map(|o| operand(o, rank)).collect();
            let epilogue = epilogue.as_ref().map(|e| (&e.expr, &operands[..], &types[2..]));
            Box::new(Product::new(isa, form, *solve, &types[..2], &outs[0], epilogue, window.as_ref()))
        }
        Kind::Combine => Box::new(Combine { ty: outs[0].clone(), tasks: program.sharding.tasks() }),
        Kind::Map { expr, dims } => {
            let operands: Vec<Operand> = step.inputs.iter().map(|o| operand(o, dims.len())).collect();
            Box::new(light::Map::new(isa, expr, &operands, &types, &outs, dims))
        }
        Kind::Reduce { max, expr, dims, axes } => {
            let operands: Vec<Operand> = step.inputs.iter().map(|o| operand(o, dims.len())).collect();
            Box::new(light::Reduce::new(isa, *max, expr, &operands, dims, axes, outs[0].dtype))
        }
        Kind::MaxPool(window) => Box::new(light::MaxPool::new(isa, window, &types[0])),
        Kind::Copy => Box::new(light::Copy { bytes: outs[0].bytes() }),
        Kind::SparseProduct { form, solve, window } => {
            Box::new(Sparse::bind(isa, form, window, *solve, types[1].dims[0]))
        }
        Kind::Op(op) => light::bind_op(isa, op, &types, &outs[0]),
    };
    let len = kernel.packed_len();
    let range = (len > 0).then_some(*packed..*packed + len);
    // Packed kernels start on cache lines.
    *packed += len.next_multiple_of(16);
    let pieces = match &step.kind {
        Kind::Map { dims, .. } if !sharded => pieces(outs[0].len()).min(dims.first().copied().unwrap_or(1)).max(1),
        Kind::Op(Op::GatherEach { .. } | Op::ScatterEach { .. }) if !sharded => {
            pieces(outs[0].len()).min(outs[0].dims[0]).max(1)
        }
        Kind::Combine if !sharded => pieces(outs[0].len()),
        Kind::Op(Op::ArgSort) if !sharded => {
            let rows: usize = outs[0].dims[..outs[0].rank() - 1].iter().product();
            pieces(outs[0].len() * SORT).min(rows).max(1)
        }
        _ => 1,
    };
    Bound { kernel, packed: range, pieces, nanoseconds: nanoseconds(step, &types, &outs) }
}

/// What sorting an element costs, compared with a map: 10 to 40 nanoseconds, with the length of the rows.
const SORT: usize = 32;

/// An estimate for choosing between one worker and several: 50 multiply-adds, or 8 nodes of an expression, or 2 plain
/// elements in a nanosecond.
fn nanoseconds(step: &Step, types: &[Type], outs: &[Type]) -> usize {
    let elements = types.iter().chain(outs).map(Type::len).max().unwrap_or(0);
    match &step.kind {
        Kind::Map { expr, .. } | Kind::Reduce { expr, .. } => elements * expr.nodes().len() / 8,
        Kind::Product { form: Form::Conv(c), solve, .. } | Kind::SparseProduct { form: Form::Conv(c), solve, .. } => {
            types[usize::from(*solve == Seat::Input)].dims[0] * c.macs() / 50
        }
        // Rows times columns times what they share.
        Kind::Product { .. } | Kind::SparseProduct { .. } => {
            let (a, b, y) = (types[0].len(), types[1].len(), outs[0].len());
            (a as f64 * b as f64 * y as f64).sqrt() as usize / 50
        }
        Kind::Op(Op::ArgSort) => elements * SORT / 2,
        Kind::MaxPool(_) | Kind::Combine | Kind::Copy | Kind::Op(_) => elements / 2,
    }
}

fn pieces(elements: usize) -> usize {
    elements.div_ceil(PIECE).clamp(1, MAX_PIECES)
}

fn operand(o: &program::Operand, rank: usize) -> Operand {
    let repeat = if o.repeat.is_empty() { vec![false; rank] } else { o.repeat.clone() };
    Operand { dtype: o.ty.dtype, repeat }
}
