//! How much a step does: operations and bytes, counted from the program alone.
//!
//! The count is that of the mathematics, not of a kernel: a product is two operations for each multiply-add of its
//! direct form (zeros of the padding included), whatever algorithm computes it; a gradient through a max-pool counts
//! the maxima alone, since the zeros between them are implicit. A sum or a maximum of `n` values is `n` operations, an
//! elementwise function one for each element. Moving elements is none.

use crate::expr::Node;
use crate::program::{Kind, Place, Program, Step, ValueId};
use crate::{Expr, Form, Op, Seat, Type};

/// What one run of a step on the whole batch takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Work {
    /// Arithmetic operations.
    pub flops: u64,
    /// Bytes of all operands and results, each counted once (partial sums once for each task), wherever they are: a
    /// lower bound of what passes between the kernel and the caches or memory.
    pub bytes: u64,
}

impl Program {
    /// What one run of a step of this program takes.
    pub fn work(&self, step: &Step) -> Work {
        let times = |value: ValueId| match self.values[value].place {
            Place::Partial { .. } => self.sharding.tasks(),
            Place::Arg(_) | Place::Result(_) | Place::Arena(_) | Place::Scratch(_) => 1,
        };
        let read: usize = step.inputs.iter().map(|o| times(o.value) * o.ty.bytes()).sum();
        let written: usize = step.outputs.iter().map(|&o| times(o) * self.values[o].ty.bytes()).sum();
        Work { flops: self.flops(step) as u64, bytes: (read + written) as u64 }
    }

    fn flops(&self, step: &Step) -> usize {
        let read = |i: usize| &step.inputs[i].ty;
        let made = &self.values[step.outputs[0]].ty;
        match &step.kind {
            Kind::Map { expr, dims } => operations(expr) * dims.iter().product::<usize>(),
            Kind::Reduce { expr, dims, .. } => (operations(expr) + expr.outs().len()) * dims.iter().product::<usize>(),
            Kind::Product { form, solve, epilogue, window } => {
                let product = form.infer(*solve, [read(0), read(1)]).expect("a planned product has the types it needs");
                let tail = epilogue.as_ref().map_or(0, |e| operations(&e.expr)) * product.len();
                let pooled = window.as_ref().map_or(0, |w| w.volume() * made.len());
                multiply_adds(form, *solve, [read(0), read(1)], &product) * 2 + tail + pooled
            }
            // Each maximum meets the taps and the input channels of one position.
            Kind::SparseProduct { form: Form::Conv(conv), .. } => {
                2 * read(1).len() * conv.kernel.iter().product::<usize>() * (conv.cin / conv.groups)
            }
            Kind::SparseProduct { form: Form::MatMul, .. } => unreachable!("only convolutions are pooled"),
            Kind::MaxPool(w) => w.volume() * made.len(),
            Kind::Combine => self.sharding.tasks() * made.len(),
            Kind::Copy => 0,
            Kind::Op(op) => match op {
                Op::WindowSum(w) | Op::WindowArgMax(w) => w.volume() * made.len(),
                Op::WindowSpread(w) => w.volume() * read(0).len(),
                Op::Sum(_) | Op::Max(_) | Op::WindowPut(_) | Op::ScatterAdd { .. } | Op::ScatterEach { .. } => {
                    read(0).len()
                }
                Op::Map { expr, .. } => operations(expr) * made.len(),
                Op::Product { form, solve } => 2 * multiply_adds(form, *solve, [read(0), read(1)], made),
                Op::Arg { .. }
                | Op::Const { .. }
                | Op::Random { .. }
                | Op::Cast(_)
                | Op::Detach
                | Op::ArgSort
                | Op::Broadcast { .. }
                | Op::Reshape(_)
                | Op::Permute(_)
                | Op::Slice { .. }
                | Op::Pad { .. }
                | Op::Concat(_)
                | Op::WindowTake(_)
                | Op::Gather { .. }
                | Op::GatherEach { .. } => 0,
            },
        }
    }
}

/// Functions that an expression applies to each element.
fn operations(expr: &Expr) -> usize {
    expr.nodes().iter().filter(|n| !matches!(n, Node::In(_) | Node::Const(_))).count()
}

/// Of a product with these operands, in the order of its seats, and this result.
fn multiply_adds(form: &Form, solve: Seat, operands: [&Type; 2], result: &Type) -> usize {
    let of = |seat: Seat| seat.position(solve).map_or(result, |i| operands[i]);
    match form {
        Form::Conv(conv) => of(Seat::Output).dims[0] * conv.macs(),
        // Every element of x meets a row of the kernel, which has the columns of y.
        Form::MatMul => of(Seat::Input).len() * of(Seat::Output).dims.last().copied().unwrap_or(0),
    }
}
