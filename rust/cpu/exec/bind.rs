//! Which kernel runs a step: written rules on kinds and shapes.

use super::bands::Banded;
use super::combine::{Combine, MAX_TERMS};
use super::heavy::{Choice, Product, Sparse};
use super::light;
use super::quantized::Quantized;
use super::{Kernel, MAX_OPERANDS};
use crate::kernels::map::Operand;
use crate::simd::Isa;
use oxiconv_ir::fuse::Target;
use oxiconv_ir::program::{self, ALIGN, Kind, Place, Program, Stage, Step, ValueId};
use oxiconv_ir::{Conv, DType, Form, Op, Seat, Type, Window};
use std::collections::HashMap;
use std::ops::Range;

/// A step's kernel, and where its operands are.
pub(super) struct Bound {
    /// Which of the program's steps this is.
    pub(super) index: usize,
    pub(super) kernel: Box<dyn Kernel>,
    /// The kernel's scratch, in floats.
    pub(super) scratch: usize,
    pub(super) inputs: Vec<Slot>,
    pub(super) outputs: Vec<Slot>,
    /// In floats, within the packed buffer.
    pub(super) packed: Option<Range<usize>>,
    /// Whether this step packs it; else an earlier step of the stage has.
    pub(super) packs: bool,
    /// Whether what it packs is made in the same whole stage, and so packed just before the step.
    pub(super) late: bool,
    /// In a whole stage: how many pieces the step is cut into, each run by whichever worker is free.
    pub(super) pieces: usize,
    /// Where each piece makes terms of sums: one per output, or none.
    pub(super) sums: Vec<Sum>,
    /// Roughly what it takes on one core.
    pub(super) nanoseconds: usize,
}

/// Terms of a sum, one per piece of a step, in the packed buffer.
pub(super) struct Sum {
    /// The first, and from one to the next, in floats.
    pub(super) at: usize,
    pub(super) stride: usize,
    pub(super) combine: Combine,
    /// Pieces of adding them up.
    pub(super) pieces: usize,
}

/// Where an operand is for the first sample, and the bytes from one sample to the next: 0 if all share it.
pub(super) struct Slot {
    pub(super) place: Place,
    pub(super) step: usize,
}

impl Slot {
    fn new(program: &Program, value: ValueId, sliced: bool) -> Self {
        let v = &program.values[value];
        Self { place: v.place, step: if sliced { program.sample_bytes(&v.ty) } else { 0 } }
    }
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

    /// `bind` asserts that kernels agree.
    fn packs(&self, kind: &Kind, operands: &[&Type]) -> Option<usize> {
        let Kind::Product { form, solve, .. } = kind else { return None };
        // Stacks of matrices are packed as they run.
        let stack = *form == Form::MatMul && operands[0].rank() > 2;
        Seat::Kernel.position(*solve).filter(|_| !stack)
    }
}

/// Elements below which a step of a whole stage is not worth a second worker's attention (about 10 µs of work).
const PIECE: usize = 16 << 10;
/// Multiply-adds in the time that an element of a term costs, which is written, read and added.
const TERM: usize = 64;
/// Most pieces: as many as a batch has tasks.
const MAX_PIECES: usize = MAX_TERMS;

/// What decides how a kernel is packed: the value under its type, and the product that reads it.
type PackedBy = (ValueId, Type, Form, Seat, Option<Window>);

/// The packed kernels of a stage, and how many floats all kernels so far have. Steps of one form share what they have
/// packed of one value: the recurrent kernel of a sequence serves all its steps, from one place in the cache.
#[derive(Default)]
pub(super) struct Packed {
    stage: HashMap<PackedBy, Range<usize>>,
    pub(super) len: usize,
}

impl Packed {
    pub(super) fn next_stage(&mut self) {
        self.stage.clear();
    }

    /// Memory for `terms` terms of a sum.
    fn sum(&mut self, isa: Isa, ty: &Type, terms: usize) -> Sum {
        let (at, stride) = (self.len, ty.bytes().next_multiple_of(ALIGN) / size_of::<f32>());
        self.len += terms * stride;
        Sum { at, stride, combine: Combine { isa, ty: ty.clone(), tasks: terms }, pieces: pieces(ty.len()) }
    }

    /// Where `len` floats of the step's packed kernel are, and whether the step is the first to need them.
    fn place(&mut self, step: &Step, operand: Option<usize>, len: usize) -> (Option<Range<usize>>, bool) {
        if len == 0 {
            return (None, false);
        }
        // Packed kernels start on cache lines.
        let new = self.len..self.len + len;
        let mut first = true;
        let place = match (&step.kind, operand) {
            (Kind::Product { form, solve, window, .. }, Some(operand)) => {
                let o = &step.inputs[operand];
                let key = (o.value, o.ty.clone(), form.clone(), *solve, window.clone());
                let held = self.stage.entry(key).or_insert_with(|| new.clone()).clone();
                first = held == new;
                held
            }
            _ => new,
        };
        if first {
            self.len += len.next_multiple_of(16);
        }
        (Some(place), first)
    }
}

pub(super) fn bind(
    isa: Isa,
    program: &Program,
    stage: &Stage,
    step: &Step,
    index: usize,
    packed: &mut Packed,
) -> Bound {
    assert!(step.inputs.len().max(step.outputs.len()) <= MAX_OPERANDS, "too many operands: {}", step.kind);
    let types: Vec<Type> = step.inputs.iter().map(|o| o.ty.clone()).collect();
    let outs: Vec<Type> = step.outputs.iter().map(|o| program.values[*o].ty.clone()).collect();
    let nanoseconds = nanoseconds(step, &types, &outs);
    // How many pieces a step of a whole stage is worth: each takes some 15 microseconds.
    let worth = if stage.sharded { 1 } else { (nanoseconds / SMALL).clamp(1, MAX_PIECES) };
    // In how many pieces the kernel can work, and whether these make terms of a sum.
    let (mut pieces_of, mut sums) = (1, false);
    let kernel: Box<dyn Kernel> = match &step.kind {
        Kind::Product { form, epilogue, .. } if types[0].dtype != DType::F32 => {
            let operands: Vec<Operand> = step.inputs[2..].iter().map(|o| operand(o, outs[0].rank())).collect();
            let tail = epilogue.as_ref().map(|e| (&e.expr, &operands[..]));
            let product = Quantized::new(isa, form, &types, &outs[0], tail);
            pieces_of = worth.min(product.pieces());
            Box::new(product)
        }
        Kind::Product { form, solve, epilogue, window } => {
            let others = &step.inputs[2..];
            let rank = match form {
                Form::Conv(c) => c.input.len() + 2,
                Form::MatMul => outs[0].rank(),
            };
            let operands: Vec<Operand> = others.iter().map(|o| operand(o, rank)).collect();
            let tail = epilogue.as_ref().map(|e| (&e.expr, &operands[..]));
            let entries = types[usize::from(*solve == Seat::Input)].dims[0];
            let samples = if stage.sharded { program.sharding.shard } else { entries.div_ceil(worth) };
            let product = Product::new(
                isa,
                form,
                *solve,
                &types[..2],
                &outs[0],
                tail.map(|(e, o)| (e, o, &types[2..])),
                window.as_ref(),
                Choice::BySize { samples },
            );
            let product = product.expect("chosen for its sizes");
            sums = product.sums();
            // Writing and adding a term takes as long as this many multiply-adds for each of its elements.
            let terms = form.macs(*solve, &types[..2], &outs[0]) / (TERM * outs[0].len()).max(1);
            let worth = if sums { worth.min(terms).max(1) } else { worth };
            let banded = match form {
                Form::Conv(conv) if product.pieces() < worth => {
                    Banded::new(isa, conv, *solve, (&types, &outs), tail, window.as_ref(), &product, worth)
                }
                _ => None,
            };
            if let Some(banded) = banded {
                pieces_of = banded.pieces();
                Box::new(banded)
            } else {
                pieces_of = worth.min(product.pieces());
                Box::new(product)
            }
        }
        Kind::Combine => Box::new(Combine { isa, ty: outs[0].clone(), tasks: program.sharding.tasks() }),
        Kind::Map { expr, dims } => {
            let operands: Vec<Operand> = step.inputs.iter().map(|o| operand(o, dims.len())).collect();
            Box::new(light::Map::new(isa, expr, &operands, &outs, dims))
        }
        Kind::Reduce { max, expr, dims, axes } => {
            let operands: Vec<Operand> = step.inputs.iter().map(|o| operand(o, dims.len())).collect();
            let reduce = light::Reduce::new(isa, *max, expr, (&operands, &types), dims, axes, &outs[0]);
            sums = reduce.sums();
            // Some rows for each piece, and more of them than terms.
            let each = if sums { dims.iter().product::<usize>() / (16 * outs[0].len().max(1)) } else { MAX_PIECES };
            pieces_of = if sums && *max { 1 } else { worth.min(reduce.rows()).min(each) };
            Box::new(reduce)
        }
        Kind::MaxPool(window) => Box::new(light::MaxPool::new(isa, window, &types[0])),
        Kind::Copy => Box::new(light::Copy { bytes: outs[0].bytes() }),
        Kind::SparseProduct { form, solve, window } => {
            Box::new(Sparse::bind(isa, form, window, *solve, types[1].dims[0]))
        }
        Kind::Op(op) => light::bind_op(isa, op, &types, &outs[0]),
    };
    let promised = Cpu.packs(&step.kind, &types.iter().collect::<Vec<_>>());
    assert!(
        promised.is_none() || promised == kernel.packed_operand(),
        "planned to read a packed copy of operand {promised:?}: {}",
        step.kind
    );
    let (range, packs) = packed.place(step, kernel.packed_operand(), kernel.packed_len());
    let pieces = match &step.kind {
        _ if stage.sharded => 1,
        Kind::Product { .. } | Kind::Reduce { .. } => pieces_of.max(1),
        // A padded tensor starts as zeros, all of it.
        Kind::Op(Op::Broadcast { .. } | Op::Permute(_) | Op::Slice { .. } | Op::Concat(_))
        | Kind::Map { .. }
        | Kind::Combine => pieces(outs[0].len()),
        Kind::Op(Op::GatherEach { .. } | Op::ScatterEach { .. }) => pieces(outs[0].len()).min(outs[0].dims[0]).max(1),
        Kind::Op(Op::ArgSort) => {
            let rows: usize = outs[0].dims[..outs[0].rank() - 1].iter().product();
            pieces(outs[0].len() * SORT).min(rows).max(1)
        }
        _ => 1,
    };
    let sums = outs.iter().filter(|_| sums && pieces > 1).map(|ty| packed.sum(isa, ty, pieces)).collect();
    let inputs = step.inputs.iter().map(|o| Slot::new(program, o.value, o.sliced)).collect();
    let outputs = step.outputs.iter().map(|&o| Slot::new(program, o, !step.term)).collect();
    let late = kernel
        .packed_operand()
        .is_some_and(|operand| stage.steps.iter().any(|s| s.outputs.contains(&step.inputs[operand].value)));
    let scratch = kernel.scratch_len();
    Bound { index, scratch, kernel, inputs, outputs, packed: range, packs, late, pieces, sums, nanoseconds }
}

/// What sorting an element costs, compared with a map: 10 to 40 nanoseconds, with the length of the rows.
const SORT: usize = 32;

/// An estimate for choosing between one worker and several: 50 multiply-adds, or 8 nodes of an expression, or 2 plain
/// elements in a nanosecond, or 16 that a depthwise convolution moves.
fn nanoseconds(step: &Step, types: &[Type], outs: &[Type]) -> usize {
    let elements = types.iter().chain(outs).map(Type::len).max().unwrap_or(0);
    match &step.kind {
        Kind::Map { expr, .. } | Kind::Reduce { expr, .. } => elements * expr.nodes().len() / 8,
        Kind::Product { form, solve, .. } => {
            let macs = form.macs(*solve, &types[..2], &outs[0]) / 50;
            // Moving its elements takes a depthwise convolution as long as its few products.
            let moves = matches!(form, Form::Conv(c) if c.groups == c.cin && c.groups > 1);
            macs + if moves { types.iter().chain(outs).map(Type::len).sum::<usize>() / 16 } else { 0 }
        }
        // Its last operand has positions of the maxima; the batch is in axis 0 of both.
        Kind::SparseProduct { form: Form::Conv(c), .. } => types[1].dims[0] * c.macs() / 50,
        Kind::SparseProduct { form: Form::MatMul, .. } => unreachable!("a matrix product is not pooled"),
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
