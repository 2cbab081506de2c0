//! One run of a program on the pool.
//!
//! All memory accesses go through [`Memory`], which turns the plan's places into pointers. That they do not collide is the
//! planner's promise (tested there): values alive together have disjoint memory, shards write disjoint slices, tasks have
//! partial sums and workers have scratch of their own.

use super::bind::{Bound, Slot, Sum};
use super::{Call, Kept, Kernel, MAX_OPERANDS, bind, combine};
use crate::arena::Buffer;
use crate::pool::Pool;
use crate::profile::{Activity, Recorder};
use oxiconv_ir::program::{ALIGN, Place, Program, Step};
use oxiconv_ir::{Error, Result};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

/// Turns places into pointers.
pub(super) struct Memory<'a> {
    pub(super) program: &'a Program,
    pub(super) args: &'a [*const u8],
    pub(super) results: &'a [*mut u8],
    pub(super) arena: *mut u8,
    pub(super) packed: *mut f32,
    pub(super) scratch: &'a [Buffer],
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

/// One run of a program: its stages one after the other, their tasks and pieces shared by the pool.
pub(super) struct Run<'a> {
    pub(super) memory: Memory<'a>,
    pub(super) bound: &'a [Vec<Bound>],
    pub(super) packs: &'a [Vec<usize>],
    pub(super) small: &'a [bool],
    /// Whether the program updates arguments.
    pub(super) updates: bool,
    pub(super) stop: AtomicBool,
    pub(super) error: Mutex<Option<Error>>,
    pub(super) interrupt: &'a (dyn Fn() -> bool + Sync),
    /// Takes the times, while a profile is made.
    pub(super) recorder: Option<&'a Recorder>,
}

// SAFETY: the pointers in `memory` are used by several threads, each for the pieces the plan gives it: see the module.
unsafe impl Sync for Run<'_> {}

impl Run<'_> {
    pub(super) unsafe fn stage(&self, stage: usize) -> Result<()> {
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
    pub(super) unsafe fn prologue(&self, kept: &[Kept]) -> Result<()> {
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
        for (k, sum) in bound.sums.iter().enumerate() {
            Pool::global().run_with(threads, sum.pieces, &|piece, _| {
                // SAFETY: forwarded; pieces write disjoint parts.
                self.note(unsafe { self.add_up(sum, &bound.outputs[k], (piece, sum.pieces)) });
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
        // The first shard of a task writes its terms, the others add theirs.
        let adds = step.term && place.first != place.task * m.program.sharding.task;
        let terms = outputs;
        if adds {
            assert_eq!(step.temps.len(), step.outputs.len(), "planned for tasks of several shards");
            for (p, temp) in outputs.iter_mut().zip(&step.temps) {
                *p = scratch.wrapping_add(*temp);
            }
        }
        for (p, sum) in outputs.iter_mut().zip(&bound.sums) {
            *p = m.packed.wrapping_add(sum.at + place.piece.0 * sum.stride).cast();
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
            for (k, &out) in step.outputs.iter().enumerate() {
                // SAFETY: both are valid for the type, and apart: the term is in the arena, the copy in scratch.
                unsafe { combine::add_assign(&m.program.values[out].ty, terms[k], outputs[k]) };
            }
        }
        Ok(())
    }

    /// Adds up what the pieces of a step have made.
    unsafe fn add_up(&self, sum: &Sum, output: &Slot, piece: (usize, usize)) -> Result<()> {
        let m = &self.memory;
        let call = Call {
            samples: 1,
            of: 1,
            first: 0,
            piece,
            inputs: &[m.packed.wrapping_add(sum.at).cast_const().cast()],
            outputs: &[m.at(output, Where::WHOLE)],
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
