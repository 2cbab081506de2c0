//! Elementwise work: a block interpreter of [`Expr`].
//!
//! Blocks of a few hundred elements stay in L1; every step of the compiled expression is one vector loop over a block,
//! so what interpretation costs is paid once per block. Inputs of the result's own order and the results themselves
//! are read and written in place. What depends on scalars alone is computed once per run, and what repeats with a
//! short period (a bias, batch norm's scale) once per run on a tile of whole periods.
//!
//! Every operation is rounded on its own, products too, so fusing expressions changes no bit.

#![allow(clippy::cast_ptr_alignment, reason = "inputs and outputs are aligned to their types by contract")]

mod pattern;
mod program;
mod step;

pub use pattern::Operand;

use crate::kernels::element::{Word, with_element};
use crate::simd::{Isa, Kernel, Simd, dispatch};
use oxiconv_ir::{DType, Expr};
use program::{Load, Place, Program, Step};
use step::Source;

/// Floats of the widest vector: the size of a uniform slot, and what slots are aligned to.
const VECTOR: usize = crate::math::MAX_LANES;

/// A compiled elementwise expression.
#[derive(Debug, Clone)]
pub struct MapKernel {
    isa: Isa,
    /// Whether arithmetic is that of `i32` rather than `f32`.
    integer: bool,
    program: Program,
    /// Elements per element of axis 0.
    row: usize,
    /// Elements per block, a multiple of the period.
    block: usize,
}

/// Most outputs of one expression.
const MAX_OUTPUTS: usize = 64;

/// Where the slots of a run are.
#[derive(Clone, Copy)]
struct Slots {
    uniform: *mut f32,
    periodic: *mut f32,
    registers: *mut f32,
    results: *mut f32,
    /// Distance between blocks, in floats.
    stride: usize,
}

impl MapKernel {
    /// Compiles `expr` for inputs and outputs (one per result of the expression) of these kinds. Arithmetic is in
    /// wrapping `i32` if all inputs and outputs are integers and the expression has a meaning there, else in `f32`.
    pub fn new(isa: Isa, expr: &Expr, inputs: &[Operand], outputs: &[DType], dims: &[usize]) -> Self {
        assert_eq!(expr.arity(), inputs.len(), "one operand per input of the expression");
        assert_eq!(expr.outs().len(), outputs.len(), "one output per result of the expression");
        let integer =
            expr.is_integral() && inputs.iter().map(|i| i.dtype).chain(outputs.iter().copied()).all(DType::is_integer);
        let program = if integer {
            Program::new::<i32>(expr, inputs, outputs, dims)
        } else {
            Program::new::<f32>(expr, inputs, outputs, dims)
        };
        // 24 KiB of a 32 KiB L1 cache for everything a block touches.
        let slots = program.periodics + program.registers + program.direct + outputs.len();
        let target = (6144 / slots).clamp(128, 1024);
        let block = program.period * (target / program.period).max(1);
        Self { isa, integer, program, row: dims.iter().skip(1).product(), block }
    }

    /// Floats of scratch memory that a run needs.
    pub fn scratch_len(&self) -> usize {
        let p = &self.program;
        p.uniforms * VECTOR + (p.periodics + p.registers + p.results.len()) * self.stride() + VECTOR
    }

    /// Computes rows `0..n` of axis 0 (`n` replaces `dims[0]`; a scalar has `n = 1`).
    ///
    /// # Safety
    /// Pointers are aligned to their element type and valid for their extents; an output may be the same pointer as
    /// an input of equal dtype that is not repeated, and else overlaps nothing.
    pub unsafe fn run(&self, n: usize, inputs: &[*const u8], outputs: &[*mut u8], scratch: &mut [f32]) {
        // SAFETY: passed on.
        unsafe { self.run_range(0, n * self.row, inputs, outputs, scratch) }
    }

    /// Computes elements `start..start + len` of the flattened result into the first `len` places of the outputs.
    ///
    /// # Safety
    /// As [`Self::run`]; inputs are those of the whole result, outputs hold `len` elements.
    pub(crate) unsafe fn run_range(
        &self,
        start: usize,
        len: usize,
        inputs: &[*const u8],
        outputs: &[*mut u8],
        scratch: &mut [f32],
    ) {
        assert!(inputs.len() == self.program.last_read.len() && outputs.len() == self.program.results.len());
        assert!(scratch.len() >= self.scratch_len(), "scratch of {} floats", self.scratch_len());
        if len == 0 {
            return;
        }
        let p = &self.program;
        let base = scratch.as_mut_ptr();
        let uniform = base.wrapping_add(base.align_offset(VECTOR * size_of::<f32>()).min(VECTOR));
        let stride = self.stride();
        let periodic = uniform.wrapping_add(p.uniforms * VECTOR);
        let registers = periodic.wrapping_add(p.periodics * stride);
        let results = registers.wrapping_add(p.registers * stride);
        let slots = Slots { uniform, periodic, registers, results, stride };
        assert!(outputs.len() <= MAX_OUTPUTS, "{} outputs", outputs.len());
        let mut in_place = [false; MAX_OUTPUTS];
        for (k, plan) in p.results.iter().enumerate() {
            // The result's memory may serve as its block unless a later step still reads that memory as an input.
            in_place[k] = plan.dtype == if self.integer { DType::I32 } else { DType::F32 }
                && !inputs.iter().zip(&p.last_read).any(|(&input, &last)| {
                    std::ptr::eq(input, outputs[k]) && last.is_some_and(|last| last > plan.step)
                });
        }
        dispatch(self.isa, Run { kernel: self, start, len, inputs, outputs, slots, in_place: &in_place });
    }

    /// Floats from one block slot to the next.
    fn stride(&self) -> usize {
        self.block.next_multiple_of(VECTOR)
    }
}

/// One run, ready for an instruction set. Made only by [`MapKernel::run_range`], whose contract it carries.
struct Run<'a> {
    kernel: &'a MapKernel,
    start: usize,
    len: usize,
    inputs: &'a [*const u8],
    outputs: &'a [*mut u8],
    slots: Slots,
    in_place: &'a [bool],
}

/// A block: elements `start..start + len` of the result, `first..` of the run, `phase..` of a tile.
#[derive(Clone, Copy, Default)]
struct Block {
    start: usize,
    first: usize,
    phase: usize,
    len: usize,
}

impl Kernel for Run<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        if self.kernel.integer { self.run_words::<S, i32>(s) } else { self.run_words::<S, f32>(s) }
    }
}

impl Run<'_> {
    #[inline(always)]
    fn run_words<S: Simd, W: Word>(&self, s: S) {
        let (p, end) = (&self.kernel.program, self.start + self.len);
        for &(slot, value) in &p.constants {
            let to = self.slots.uniform.wrapping_add(slot * VECTOR).cast::<W>();
            let value = if self.kernel.integer { W::from_i32(value as i32) } else { W::from_f32(value as f32) };
            for i in 0..VECTOR {
                // SAFETY: a uniform slot has VECTOR words.
                unsafe { to.add(i).write(value) }
            }
        }
        // A short run needs only as many periods as it reaches into.
        let tile = self.kernel.block.min((self.start % p.period + self.len).next_multiple_of(p.period));
        // Uniform values, then tiles, then block after block: one loop, so that the steps' code exists once.
        let mut block = Block::default();
        for stage in 0.. {
            let steps: &[Step] = match stage {
                0 => {
                    block.len = VECTOR;
                    &p.uniform
                }
                1 => {
                    block.len = tile;
                    &p.periodic
                }
                _ => {
                    let start = if stage == 2 { self.start } else { block.start + block.len };
                    if start == end {
                        return;
                    }
                    let phase = start % p.period;
                    let wraps = p.wrapped.iter().map(|&(_, period)| period - start % period).min();
                    let len = (self.kernel.block - phase).min(end - start).min(wraps.unwrap_or(usize::MAX));
                    block = Block { start, first: start - self.start, phase, len };
                    &p.body
                }
            };
            let loads = if stage == 0 { &p.once_loads } else { &p.loads };
            if stage != 1 {
                for load in loads {
                    // SAFETY: as `load` requires.
                    unsafe { self.load::<W>(load, block, tile) }
                }
            }
            for step in steps {
                let args = step.args.map(|a| Source::new(self.place(a, block), matches!(a, Place::Uniform(_))));
                // SAFETY: operands and destination are slots of the scratch memory, which hold a block each (a vector
                // each where uniform), or memory of inputs and outputs at this block's elements.
                unsafe {
                    if self.kernel.integer {
                        step::run_i32(step.function, args, self.place(step.to, block), block.len);
                    } else {
                        step::run_f32(s, step.function, args, self.place(step.to, block), block.len);
                    }
                }
            }
            if stage > 1 {
                for k in 0..self.outputs.len() {
                    if !self.in_place[k] {
                        // SAFETY: the output holds the run's elements; its block has been computed.
                        unsafe { self.store::<W>(k, block) }
                    }
                }
            }
        }
    }

    /// The first word of a place in this block.
    #[inline(always)]
    fn place(&self, place: Place, block: Block) -> *mut f32 {
        let slots = &self.slots;
        match place {
            Place::Uniform(i) => slots.uniform.wrapping_add(i * VECTOR),
            Place::Periodic(i) => slots.periodic.wrapping_add(i * slots.stride + block.phase),
            Place::Register(i) => slots.registers.wrapping_add(i * slots.stride),
            Place::Direct(i) => self.inputs[i].cast::<f32>().cast_mut().wrapping_add(block.start),
            Place::Wrapped(i) => {
                let period = self.kernel.program.wrapped.iter().find(|w| w.0 == i).map_or(1, |w| w.1);
                self.inputs[i].cast::<f32>().cast_mut().wrapping_add(block.start % period)
            }
            Place::Result(k) if self.in_place[k] => self.outputs[k].cast::<f32>().wrapping_add(block.first),
            Place::Result(k) => slots.results.wrapping_add(k * slots.stride),
        }
    }

    /// # Safety
    /// The input is readable where the block (or tile) needs it.
    #[inline(always)]
    unsafe fn load<W: Word>(&self, load: &Load, block: Block, tile: usize) {
        let (start, len) = match load.to {
            Place::Uniform(_) => (0, VECTOR),
            Place::Periodic(_) => (0, tile),
            _ => (block.start, block.len),
        };
        let from = self.inputs[load.input];
        let to = self.place(load.to, block).cast::<W>();
        // SAFETY: the slot holds `len` words and is apart from all inputs; reading is the caller's promise.
        unsafe {
            with_element!(load.dtype, T => load.pattern.expand::<T, W>(from.cast(), start, len, to));
        }
    }

    /// # Safety
    /// Output `k` is writable at the block's elements.
    #[inline(always)]
    unsafe fn store<W: Word>(&self, k: usize, block: Block) {
        let from = self.place(Place::Result(k), block).cast::<W>();
        with_element!(self.kernel.program.results[k].dtype, T => {
            let to = self.outputs[k].cast::<T>().wrapping_add(block.first);
            for i in 0..block.len {
                // SAFETY: the slot holds the block; writing is the caller's promise.
                unsafe { to.add(i).write((*from.add(i)).store()) }
            }
        });
    }
}

#[cfg(test)]
mod tests;
