//! The executor: a program's steps bound to kernels and memory.
//!
//! All memory accesses of a run go through [`Memory`], which turns the plan's places into pointers. That they do not
//! collide is the planner's promise (tested there): values alive together have disjoint memory, shards write disjoint
//! slices, tasks have partial sums and workers have scratch of their own.

mod bands;
mod bind;
mod combine;
mod heavy;
mod indexing;
mod light;

use crate::arena::Buffer;
use crate::float_mode::FlushSubnormals;
use crate::pool::Pool;
use crate::profile::{self, Activity, ProgramFacts, Recorder, StepFacts};
use crate::simd::Isa;
use crate::threads::num_threads;
use bind::{Bound, Packed, Slot, Sum, bind};
use oxiconv_ir::plan::{Request, plan};
use oxiconv_ir::program::{ALIGN, Place, Program, Step};
use oxiconv_ir::work::Work;
use oxiconv_ir::{Error, Graph, Result};
use std::fmt;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

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

/// Turns places into pointers.
struct Memory<'a> {
    program: &'a Program,
    args: &'a [*const u8],
    results: &'a [*mut u8],
    arena: *mut u8,
    packed: *mut f32,
    scratch: &'a [Buffer],
}

/// Where a step runs: which samples, by which worker.
#[derive(Clone, Copy)]
struct Where {
    /// Of a whole stage: 0 of 1 sample.
    first: usize,
    samples: usize,
    of: usize,
    task: usize,
    worker: usize,
    piece: (usize, usize),
}

impl Where {
    /// All of a tensor.
    const WHOLE: Self = Self { first: 0, samples: 1, of: 1, task: 0, worker: 0, piece: (0, 1) };
}

impl Memory<'_> {
    /// Where an operand is, for the samples at hand.
    fn at(&self, slot: &Slot, place: Where) -> *mut u8 {
        let skip = slot.step * place.first;
        // `wrapping_add`: an empty tensor has no memory to stay within.
        match slot.place {
            Place::Arg(i) => self.args[i].cast_mut().wrapping_add(skip),
            Place::Result(r) => self.results[r].wrapping_add(skip),
            Place::Arena(offset) => self.arena.wrapping_add(offset + skip),
            Place::Scratch(offset) => self.scratch(place.worker).wrapping_add(offset),
            Place::Partial { offset, stride } => self.arena.wrapping_add(offset + stride * place.task),
        }
    }

    /// The memory that only this worker writes.
    fn scratch(&self, worker: usize) -> *mut u8 {
        self.scratch[worker].as_ptr().cast_mut()
    }
}

struct Run<'a> {
    memory: Memory<'a>,
    bound: &'a [Vec<Bound>],
    packs: &'a [Vec<usize>],
    small: &'a [bool],
    /// Whether the program updates arguments.
    updates: bool,
    stop: AtomicBool,
    error: Mutex<Option<Error>>,
    interrupt: &'a (dyn Fn() -> bool + Sync),
    /// Takes the times, while a profile is made.
    recorder: Option<&'a Recorder>,
}

// SAFETY: the pointers in `memory` are used by several threads, each for the pieces the plan gives it: see the module.
unsafe impl Sync for Run<'_> {}

impl Run<'_> {
    unsafe fn stage(&self, stage: usize) -> Result<()> {
        let program = self.memory.program;
        let pool = Pool::global();
        let threads = if self.small[stage] { 1 } else { self.memory.scratch.len() };
        let packs = &self.packs[stage];
        pool.run_with(threads, packs.len(), &|i, _| {
            // SAFETY: each step's packed kernel has memory of its own.
            unsafe { self.pack(&self.bound[stage][packs[i]]) };
        });
        if !program.stages[stage].sharded {
            // The last stage may be writing updates, and then runs through.
            let stops = !self.updates || stage + 1 < program.stages.len();
            for (i, (step, bound)) in program.stages[stage].steps.iter().zip(&self.bound[stage]).enumerate() {
                let asks = i % STEPS_UNASKED == 0 || bound.nanoseconds > bind::SMALL;
                if stops && asks && (self.interrupt)() {
                    return Err(Error::Interrupted);
                }
                // SAFETY: forwarded.
                unsafe {
                    if bound.packs && bound.late {
                        self.pack(bound);
                    }
                    self.whole(step, bound, threads)?;
                }
            }
            return self.outcome();
        }
        pool.run_with(threads, program.sharding.tasks(), &|task, worker| {
            // SAFETY: forwarded; tasks have disjoint samples.
            self.note(unsafe { self.task(stage, task, worker) });
        });
        self.outcome()
    }

    /// What depends on fixed arguments alone: the first stage, if it is that, and packed kernels, of which those that it
    /// makes are gone after their packing.
    unsafe fn prologue(&self, kept: &[Kept]) -> Result<()> {
        let program = self.memory.program;
        let threads = self.memory.scratch.len();
        let pack = |made: Option<usize>| {
            for k in kept.iter().filter(|k| k.made == made) {
                if (self.interrupt)() {
                    return Err(Error::Interrupted);
                }
                // SAFETY: the kernel is an argument, or has just been made; forwarded.
                unsafe { self.pack(&self.bound[k.stage][k.step]) };
            }
            Ok(())
        };
        pack(None)?;
        if program.prologue {
            for (i, (step, bound)) in program.stages[0].steps.iter().zip(&self.bound[0]).enumerate() {
                // SAFETY: forwarded.
                unsafe {
                    if bound.packs {
                        self.pack(bound);
                    }
                    self.whole(step, bound, threads)?;
                }
                self.outcome()?;
                pack(Some(i))?;
            }
        }
        Ok(())
    }

    /// A step on complete tensors, in pieces.
    unsafe fn whole(&self, step: &Step, bound: &Bound, threads: usize) -> Result<()> {
        match bound.pieces {
            // SAFETY: forwarded.
            1 => unsafe { self.step(step, bound, Where::WHOLE)? },
            pieces => Pool::global().run_with(threads, pieces, &|piece, worker| {
                // SAFETY: forwarded; pieces write disjoint parts.
                self.note(unsafe { self.step(step, bound, Where { worker, piece: (piece, pieces), ..Where::WHOLE }) });
            }),
        }
        if let Some(sum) = &bound.sum {
            Pool::global().run_with(threads, sum.pieces, &|piece, _| {
                // SAFETY: forwarded; pieces write disjoint parts.
                self.note(unsafe { self.add_up(bound, sum, (piece, sum.pieces)) });
            });
        }
        Ok(())
    }

    /// All shards of a task, in order.
    unsafe fn task(&self, stage: usize, task: usize, worker: usize) -> Result<()> {
        let program = self.memory.program;
        let cut = program.sharding;
        let shard = program.stages[stage].shard;
        let end = ((task + 1) * cut.task).min(cut.samples);
        for first in (task * cut.task..end).step_by(shard) {
            let samples = shard.min(end - first);
            let place = Where { first, samples, of: cut.samples, task, worker, piece: (0, 1) };
            for (i, (step, bound)) in program.stages[stage].steps.iter().zip(&self.bound[stage]).enumerate() {
                if worker == 0 && i % STEPS_UNASKED == 0 && (self.interrupt)() {
                    return Err(Error::Interrupted);
                }
                if self.stop.load(Ordering::Relaxed) {
                    return Ok(());
                }
                // SAFETY: forwarded.
                unsafe { self.step(step, bound, place)? };
            }
        }
        Ok(())
    }

    unsafe fn step(&self, step: &Step, bound: &Bound, place: Where) -> Result<()> {
        let _call = self.recorder.map(|r| r.span(Activity::Call, bound.index, place.task.max(place.piece.0)));
        let m = &self.memory;
        let mut inputs = [std::ptr::null(); MAX_OPERANDS];
        for (p, slot) in inputs.iter_mut().zip(&bound.inputs) {
            *p = m.at(slot, place);
        }
        let mut outputs = [std::ptr::null_mut(); MAX_OPERANDS];
        for (p, slot) in outputs.iter_mut().zip(&bound.outputs) {
            *p = m.at(slot, place);
        }
        let scratch = m.scratch(place.worker);
        // The first shard of a task writes its term, the others add theirs.
        let adds = step.term && place.first != place.task * m.program.sharding.task;
        let term = outputs[0];
        if adds {
            outputs[0] = scratch.wrapping_add(step.temp.expect("planned for tasks of several shards"));
        }
        if let Some(sum) = &bound.sum {
            outputs[0] = m.packed.wrapping_add(sum.at + place.piece.0 * sum.stride).cast();
        }
        let packed = bound.packed.clone().unwrap_or(0..0);
        let call = Call {
            samples: place.samples,
            of: place.of,
            first: place.first,
            piece: place.piece,
            inputs: &inputs[..step.inputs.len()],
            outputs: &outputs[..step.outputs.len()],
            // SAFETY: the range lies in the packed buffer and is written only before the stage's tasks.
            packed: unsafe { std::slice::from_raw_parts(m.packed.add(packed.start), packed.len()) },
            // SAFETY: a worker's scratch is its own; the kernels' part starts after the plan's.
            scratch: unsafe {
                let kernels = scratch.add(m.program.scratch.next_multiple_of(ALIGN)).cast();
                std::slice::from_raw_parts_mut(kernels, bound.scratch)
            },
        };
        // SAFETY: forwarded.
        unsafe { bound.kernel.run(call)? };
        if adds {
            let ty = &m.program.values[step.outputs[0]].ty;
            // SAFETY: both are valid for the type, and apart: the term is in the arena, the copy in scratch.
            unsafe { combine::add_assign(ty, term, outputs[0]) };
        }
        Ok(())
    }

    /// Adds up what the pieces of a step have made.
    unsafe fn add_up(&self, bound: &Bound, sum: &Sum, piece: (usize, usize)) -> Result<()> {
        let m = &self.memory;
        let call = Call {
            samples: 1,
            of: 1,
            first: 0,
            piece,
            inputs: &[m.packed.wrapping_add(sum.at).cast_const().cast()],
            outputs: &[m.at(&bound.outputs[0], Where::WHOLE)],
            packed: &[],
            scratch: &mut [],
        };
        // SAFETY: the terms lie in the packed buffer one after another and are complete; pieces are disjoint.
        unsafe { sum.combine.run(call) }
    }

    /// Packs a step's kernel.
    unsafe fn pack(&self, bound: &Bound) {
        if let (Some(range), Some(operand)) = (&bound.packed, bound.kernel.packed_operand()) {
            let _pack = self.recorder.map(|r| r.span(Activity::Pack, bound.index, 0));
            // SAFETY: the range lies in the packed buffer and belongs to this step.
            let packed = unsafe { std::slice::from_raw_parts_mut(self.memory.packed.add(range.start), range.len()) };
            // SAFETY: the operand is complete before the stage, and valid for its type.
            unsafe { bound.kernel.pack(self.memory.at(&bound.inputs[operand], Where::WHOLE), packed) };
        }
    }

    /// Keeps the first error and tells the others to stop.
    fn note(&self, outcome: Result<()>) {
        if let Err(error) = outcome {
            self.stop.store(true, Ordering::Relaxed);
            self.error.lock().expect("never poisoned").get_or_insert(error);
        }
    }

    fn outcome(&self) -> Result<()> {
        self.error.lock().expect("never poisoned").take().map_or(Ok(()), Err)
    }
}

/// After how many steps of a shard the caller is asked whether to go on: many are shorter than the question.
const STEPS_UNASKED: usize = 16;

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
