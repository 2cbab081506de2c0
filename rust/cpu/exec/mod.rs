//! The executor: a program's steps bound to kernels and memory.

mod bands;
mod bind;
mod combine;
mod epilogue;
mod heavy;
mod indexing;
mod light;
mod quantized;
mod run;

use crate::arena::Buffer;
use crate::float_mode::FlushSubnormals;
use crate::profile::{self, Activity, ProgramFacts, Recorder, StepFacts};
use crate::simd::Isa;
use crate::threads::num_threads;
use bind::{Bound, Packed, bind};
use oxiconv_ir::plan::{Request, plan};
use oxiconv_ir::program::{ALIGN, Place, Program, Step};
use oxiconv_ir::work::Work;
use oxiconv_ir::{Graph, Result};
use run::{Memory, Run};
use std::fmt;
use std::sync::Mutex;
use std::sync::atomic::AtomicBool;

/// A program ready to run: kernels chosen, memory allocated.
pub struct Executable {
    program: Program,
    /// Per stage and step.
    bound: Vec<Vec<Bound>>,
    arena: Buffer,
    /// Packed kernels of all products, and what pieces of whole steps have summed.
    packed: Buffer,
    /// Per worker: the plan's scratch, then the kernels'.
    scratch: Vec<Buffer>,
    scratch_bytes: usize,
    /// Whether results overwrite arguments.
    updates: bool,
    /// Per stage: the steps that pack a kernel when it begins, at each run.
    packs: Vec<Vec<usize>>,
    /// The steps that pack a kernel that is kept.
    kept: Vec<Kept>,
    /// Whether what is kept has been made of the fixed arguments as they are.
    ready: bool,
    /// Per stage: whether waking a second worker costs more than it brings.
    small: Vec<bool>,
    /// What it is, in profiles.
    title: String,
    profiled: profile::Place,
}

/// A step whose packed kernel depends on fixed arguments alone, and is packed once for all runs.
struct Kept {
    stage: usize,
    step: usize,
    /// The step of the prologue that makes the kernel; none for an argument.
    made: Option<usize>,
}

/// What a kernel is given for one call.
pub(crate) struct Call<'a> {
    /// Samples in this call, of how many in the batch. A step of a whole stage has 1 of 1.
    pub(crate) samples: usize,
    pub(crate) of: usize,
    /// The first of them.
    pub(crate) first: usize,
    /// In a whole stage: which of how many pieces of the step this call is; the pointers are the step's.
    pub(crate) piece: (usize, usize),
    /// Where each input starts: at the first sample, if it is sliced.
    pub(crate) inputs: &'a [*const u8],
    /// Where each output starts.
    pub(crate) outputs: &'a [*mut u8],
    /// The packed kernel, if the step has one.
    pub(crate) packed: &'a [f32],
    /// [`Kernel::scratch_len`] floats.
    pub(crate) scratch: &'a mut [f32],
}

impl Call<'_> {
    /// How many of the `d` entries of a batched axis 0 this call has.
    pub(crate) fn rows(&self, d: usize) -> usize {
        d / self.of * self.samples
    }

    /// Which of `len` elements or rows this call's piece has.
    pub(crate) fn piece(&self, len: usize) -> std::ops::Range<usize> {
        let (piece, pieces) = self.piece;
        let each = len.div_ceil(pieces);
        (piece * each).min(len)..((piece + 1) * each).min(len)
    }
}

/// A step bound to its kernel.
pub(crate) trait Kernel: Send + Sync {
    /// Computes the call's samples.
    ///
    /// # Safety
    /// The pointers are valid for the step's types, cut to the call's samples where sliced; outputs overlap inputs
    /// only as the kind of step allows.
    unsafe fn run(&self, call: Call<'_>) -> Result<()>;

    /// Floats of scratch.
    fn scratch_len(&self) -> usize {
        0
    }

    /// Floats of packed kernel, made from an operand before the stage.
    fn packed_len(&self) -> usize {
        0
    }

    /// Packs the operand.
    ///
    /// # Safety
    /// `kernel` is valid for the kernel operand's type.
    unsafe fn pack(&self, _kernel: *const u8, _packed: &mut [f32]) {}

    /// Which operand [`Kernel::pack`] takes.
    fn packed_operand(&self) -> Option<usize> {
        None
    }

    /// For people.
    fn describe(&self) -> String;
}

impl Executable {
    /// Plans and binds the computation that `request` asks of `graph`.
    pub fn new(graph: &Graph, request: &Request) -> Result<Self> {
        let program = plan(graph, request, &bind::Cpu)?;
        let isa = Isa::active();
        let mut packed = Packed::default();
        let mut bound = Vec::with_capacity(program.stages.len());
        let mut index = 0..;
        for stage in &program.stages {
            let mut steps = Vec::with_capacity(stage.steps.len());
            packed.next_stage();
            for (step, index) in stage.steps.iter().zip(&mut index) {
                steps.push(bind(isa, &program, stage, step, index, &mut packed));
            }
            bound.push(steps);
        }
        let kept = keep(&program, request, &mut bound);
        let kernels = bound.iter().flatten().map(|b| b.kernel.scratch_len()).max().unwrap_or(0) * size_of::<f32>();
        let scratch_bytes = program.scratch.next_multiple_of(ALIGN) + kernels;
        Ok(Self {
            arena: Buffer::zeroed(program.arena, "the program's arena")?,
            packed: Buffer::zeroed(packed.len * size_of::<f32>(), "packed kernels")?,
            scratch: Vec::new(),
            scratch_bytes,
            updates: !request.updates.is_empty(),
            small: bound.iter().map(|s| s.iter().map(|b| b.nanoseconds).sum::<usize>() < bind::SMALL).collect(),
            packs: bound.iter().map(|s| (0..s.len()).filter(|&i| s[i].packs && !s[i].late).collect()).collect(),
            kept,
            ready: false,
            bound,
            program,
            title: String::new(),
            profiled: profile::Place::default(),
        })
    }

    /// Says what it is, for profiles.
    #[must_use]
    pub fn titled(self, title: impl Into<String>) -> Self {
        Self { title: title.into(), ..self }
    }

    /// Bytes of planned memory: arena, packed kernels, and scratch for the current number of threads.
    pub fn memory(&self) -> usize {
        self.arena.len() + self.packed.len() + self.scratch_bytes * num_threads().max(self.scratch.len())
    }

    /// The plan.
    pub fn program(&self) -> &Program {
        &self.program
    }

    /// Says that fixed arguments have changed: the next run makes again what is kept of them.
    pub fn forget(&mut self) {
        self.ready = false;
    }

    /// Runs once. `args[i]` has the bytes of argument `i`, `results[r]` takes those of result `r`; for an update
    /// `(r, a)` of the request they are the same memory. `interrupt` is asked now and then on the calling thread: if
    /// it says true the run stops with [`Error::Interrupted`]. After an error no update has been written.
    ///
    /// # Safety
    /// Every pointer is valid for its type and aligned to it; results overlap nothing but their update's argument. Since
    /// the last run, [`Self::forget`] was called if a fixed argument has changed.
    pub unsafe fn run(
        &mut self,
        args: &[*const u8],
        results: &[*mut u8],
        interrupt: &(dyn Fn() -> bool + Sync),
    ) -> Result<()> {
        // On this thread too, also where the pool is not used: the same values whatever runs where.
        let _mode = FlushSubnormals::new();
        // The number may be changed meanwhile; there is scratch for this many.
        let threads = num_threads();
        while self.scratch.len() < threads {
            self.scratch.push(Buffer::zeroed(self.scratch_bytes, "a worker's scratch")?);
        }
        let recorder = if profile::is_open() { self.recorder() } else { None };
        let _run = recorder.as_ref().map(|r| r.span(Activity::Run, 0, 0));
        let recorder = recorder.as_ref();
        let memory = Memory {
            program: &self.program,
            args,
            results,
            arena: self.arena.as_mut_ptr(),
            packed: self.packed.as_mut_ptr().cast(),
            scratch: &self.scratch[..threads],
        };
        let (bound, packs, small, updates) = (&self.bound, &self.packs, &self.small, self.updates);
        let (stop, error) = (AtomicBool::new(false), Mutex::new(None));
        let run = Run { memory, bound, packs, small, updates, stop, error, interrupt, recorder };
        if !self.ready {
            // SAFETY: as below.
            unsafe { run.prologue(&self.kept)? };
            self.ready = true;
        }
        for stage in usize::from(self.program.prologue)..self.program.stages.len() {
            // SAFETY: pointers are valid by this function's contract, the rest is the planner's promise.
            unsafe { run.stage(stage)? };
        }
        Ok(())
    }

    fn recorder(&mut self) -> Option<Recorder> {
        let (program, bound, title) = (&self.program, &self.bound, &self.title);
        self.profiled.recorder(|| {
            let facts = |(stage, step, b): (usize, &Step, &Bound)| StepFacts {
                stage,
                sharded: program.stages[stage].sharded,
                operation: step.kind.to_string(),
                kernel: b.kernel.describe(),
                work: program.work(step),
            };
            let sharding = program.sharding;
            let (samples, tasks) = (sharding.samples, sharding.tasks());
            ProgramFacts { title: title.clone(), samples, tasks, steps: steps(program, bound).map(facts).collect() }
        })
    }
}

/// Every step with its stage and its kernel, in the order of [`Bound::index`].
fn steps<'a>(program: &'a Program, bound: &'a [Vec<Bound>]) -> impl Iterator<Item = (usize, &'a Step, &'a Bound)> {
    program
        .stages
        .iter()
        .zip(bound)
        .enumerate()
        .flat_map(|(i, (stage, b))| stage.steps.iter().zip(b).map(move |(s, b)| (i, s, b)))
}

/// Takes the packing of kernels that depend on fixed arguments alone out of the stages; gives the steps.
fn keep(program: &Program, request: &Request, bound: &mut [Vec<Bound>]) -> Vec<Kept> {
    let prologue = if program.prologue { &program.stages[0].steps[..] } else { &[] };
    let mut kept = Vec::new();
    for (stage, steps) in bound.iter_mut().enumerate() {
        for (i, b) in steps.iter_mut().enumerate().filter(|(_, b)| b.packs) {
            let Some(operand) = b.kernel.packed_operand() else { continue };
            let value = program.stages[stage].steps[i].inputs[operand].value;
            let made = prologue.iter().position(|s| s.outputs.contains(&value));
            let fixed = matches!(program.values[value].place, Place::Arg(a) if request.fixed.get(a) == Some(&true));
            if made.is_some() || fixed {
                b.packs = false;
                kept.push(Kept { stage, step: i, made });
            }
        }
    }
    kept
}

/// Most inputs, and most outputs, of a step. Fusing stays far below; a concatenation of more tensors is split by the
/// front end.
pub const MAX_OPERANDS: usize = 64;

impl fmt::Display for Executable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.program)?;
        for (stage, bound) in self.bound.iter().enumerate() {
            for (i, (step, b)) in self.program.stages[stage].steps.iter().zip(bound).enumerate() {
                let Work { flops, bytes } = self.program.work(step);
                writeln!(f, "stage {stage} step {i}: {} ({flops} operations, {bytes} bytes)", b.kernel.describe())?;
            }
        }
        Ok(())
    }
}
