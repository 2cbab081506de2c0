//! What a device runs: stages of fused steps over planned memory.
//!
//! A *sharded* stage runs its steps once per shard, a few samples at a time, so that everything between the first and
//! the last step stays in a worker's cache. A *whole* stage runs its steps once, on complete tensors. Stages alternate
//! where a value needs the full batch (a weight gradient, a batch statistic) before somebody can read it.

use crate::{DType, Expr, Form, Op, Seat, Type, Window};
use std::fmt;

/// Index into [`Program::values`].
pub type ValueId = usize;

/// Where the bytes of a value are. Offsets and strides are in bytes, multiples of [`ALIGN`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// The caller's argument.
    Arg(usize),
    /// The caller's result.
    Result(usize),
    /// The arena, which lives as long as the program.
    Arena(usize),
    /// The scratch memory of the worker that runs the shard; holds one shard of the value.
    Scratch(usize),
    /// One term per task in the arena, added up by a [`Kind::Combine`] step.
    Partial {
        /// Where the first task's term is.
        offset: usize,
        /// From one task's term to the next.
        stride: usize,
    },
}

/// Alignment of planned memory: a cache line, and the widest vector.
pub const ALIGN: usize = 64;

/// A tensor that steps read or write.
#[derive(Debug, Clone)]
pub struct Value {
    /// Its type, for the full batch.
    pub ty: Type,
    /// Its memory.
    pub place: Place,
}

/// How a step reads a value.
#[derive(Debug, Clone)]
pub struct Operand {
    /// The value.
    pub value: ValueId,
    /// The type the step sees, for the full batch (a reshape renames axes without a copy).
    pub ty: Type,
    /// Whether a shard reads its own samples only; else it reads everything.
    pub sliced: bool,
    /// For [`Kind::Map`], [`Kind::Reduce`] and epilogues: the axes of the step's index space that the value lacks and
    /// is repeated along. `ty` has the other axes.
    pub repeat: Vec<bool>,
}

/// Bias, activation, residual…: what happens to a product while it is in cache. Input 0 of the expression is the
/// product, the others are the step's operands from index 2 on.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Epilogue {
    /// One result, float32; of a product of bytes also uint8 or int8.
    pub expr: Expr,
}

/// What a step computes.
#[derive(Debug, Clone)]
pub enum Kind {
    /// Elementwise; one result per output.
    Map {
        /// The expression over the operands.
        expr: Expr,
        /// Its index space, for the full batch.
        dims: Vec<usize>,
    },
    /// Sums or maxima of expressions over axes of their index space; one result per output.
    Reduce {
        /// Sum, or maximum.
        max: bool,
        /// The expressions over the operands.
        expr: Expr,
        /// Its index space, for the full batch.
        dims: Vec<usize>,
        /// The axes that vanish.
        axes: Vec<usize>,
    },
    /// Convolution or matrix product.
    Product {
        /// The index set.
        form: Form,
        /// The seat that is the result.
        solve: Seat,
        /// Applied to the result before it is stored.
        epilogue: Option<Epilogue>,
        /// Maximum pooling after the epilogue: the outputs are the maxima and their positions.
        window: Option<Window>,
    },
    /// Input or kernel gradient of a convolution whose output was max-pooled: operands are the other seat, the
    /// cotangent of the maxima and their positions.
    SparseProduct {
        /// The convolution.
        form: Form,
        /// Input or Kernel.
        solve: Seat,
        /// The pooling.
        window: Window,
    },
    /// Maximum pooling: outputs are the maxima and their positions.
    MaxPool(Window),
    /// Sum over the tasks of a [`Place::Partial`] value, in a fixed tree.
    Combine,
    /// Bytes to another place.
    Copy,
    /// Any other primitive.
    Op(Op),
}

/// One fused step.
#[derive(Debug, Clone)]
pub struct Step {
    /// What it computes.
    pub kind: Kind,
    /// What it reads, in the order of the kind.
    pub inputs: Vec<Operand>,
    /// What it writes.
    pub outputs: Vec<ValueId>,
    /// In a sharded stage: the outputs are terms of a sum over the batch.
    pub term: bool,
    /// Scratch offsets, one per output, at which terms wait to be added to those of the task's earlier shards.
    pub temps: Vec<usize>,
}

/// Steps that run together.
#[derive(Debug, Clone)]
pub struct Stage {
    /// Whether the steps run shard by shard.
    pub sharded: bool,
    /// Samples per shard (the last of a task may be smaller) of a sharded stage.
    pub shard: usize,
    /// In order.
    pub steps: Vec<Step>,
}

/// How the batch is cut. A pure function of the program and the batch size, never of the machine's threads: results
/// are the same bits on any number of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sharding {
    /// Samples in the batch.
    pub samples: usize,
    /// Most samples per shard of any stage.
    pub shard: usize,
    /// Samples per task: a run of shards that one worker takes in order, with one set of partial sums.
    pub task: usize,
}

impl Sharding {
    /// Number of tasks.
    pub const fn tasks(&self) -> usize {
        self.samples.div_ceil(self.task)
    }
}

/// A planned computation.
#[derive(Debug, Clone)]
pub struct Program {
    /// All tensors.
    pub values: Vec<Value>,
    /// In order.
    pub stages: Vec<Stage>,
    /// Whether the first stage depends on fixed arguments alone: it runs when one of them has changed, and its values
    /// are kept. Kernels that are packed and that it makes are packed right after the step that makes them.
    pub prologue: bool,
    /// How sharded stages cut the batch.
    pub sharding: Sharding,
    /// Bytes of arena.
    pub arena: usize,
    /// Bytes of scratch per worker.
    pub scratch: usize,
}

impl Program {
    /// Bytes of a value that belong to one sample, where it is sliced.
    pub fn sample_bytes(&self, ty: &Type) -> usize {
        ty.bytes() / self.sharding.samples.max(1)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Map { expr, .. } => write!(f, "map {expr}"),
            Self::Reduce { max, expr, dims, axes } => {
                write!(f, "{} {expr} over axes {axes:?} of {dims:?}", if *max { "max" } else { "sum" })
            }
            Self::Product { form, solve, epilogue, window } => {
                product(f, form, *solve)?;
                if let Some(e) = epilogue {
                    write!(f, " → {}", e.expr)?;
                }
                if let Some(w) = window {
                    write!(f, " → max-pool {:?}/{:?}", w.size, w.stride)?;
                }
                Ok(())
            }
            Self::SparseProduct { form, solve, window } => {
                product(f, form, *solve)?;
                write!(f, " through max-pool {:?}/{:?}", window.size, window.stride)
            }
            Self::MaxPool(w) => write!(f, "max-pool {:?}/{:?}", w.size, w.stride),
            Self::Combine => f.write_str("combine"),
            Self::Copy => f.write_str("copy"),
            Self::Op(op) => f.write_str(op.name()),
        }
    }
}

fn product(f: &mut fmt::Formatter<'_>, form: &Form, solve: Seat) -> fmt::Result {
    let seat = match solve {
        Seat::Output => "output",
        Seat::Input => "input",
        Seat::Kernel => "kernel",
    };
    match form {
        Form::MatMul => write!(f, "matmul {seat}"),
        Form::Conv(c) => {
            write!(f, "conv {:?} stride {:?} {}→{} {seat}", c.kernel, c.stride, c.cin, c.cout)?;
            f.write_str(c.precision.suffix())
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Arg(i) => write!(f, "arg {i}"),
            Self::Result(i) => write!(f, "result {i}"),
            Self::Arena(o) => write!(f, "arena {o:#x}"),
            Self::Scratch(o) => write!(f, "scratch {o:#x}"),
            Self::Partial { offset, .. } => write!(f, "partial {offset:#x}"),
        }
    }
}

impl fmt::Display for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let s = self.sharding;
        writeln!(
            f,
            "program: {} samples in {} tasks, shards of up to {}; arena {} bytes, scratch {} bytes per worker",
            s.samples,
            s.tasks(),
            s.shard,
            self.arena,
            self.scratch
        )?;
        for (i, stage) in self.stages.iter().enumerate() {
            let kind = match (stage.sharded, self.prologue && i == 0) {
                (true, _) => "sharded",
                (false, true) => "kept while the weights stay",
                (false, false) => "whole",
            };
            write!(f, "stage {i} ({kind})")?;
            if stage.sharded {
                write!(f, ", {} at a time", stage.shard)?;
            }
            writeln!(f)?;
            for step in &stage.steps {
                for (n, out) in step.outputs.iter().enumerate() {
                    let value = &self.values[*out];
                    write!(f, "{}%{out}: {} in {}", if n == 0 { "  " } else { ", " }, value.ty, value.place)?;
                }
                write!(f, " = {}", step.kind)?;
                for input in &step.inputs {
                    write!(f, " %{}", input.value)?;
                    if input.repeat.contains(&true) {
                        write!(f, "*")?;
                    }
                }
                writeln!(f)?;
            }
        }
        Ok(())
    }
}

/// The dtype of every output of a map or reduce step is that of its value.
pub fn output_dtypes(program: &Program, step: &Step) -> Vec<DType> {
    step.outputs.iter().map(|o| program.values[*o].ty.dtype).collect()
}
