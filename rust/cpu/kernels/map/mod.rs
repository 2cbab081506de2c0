//! Elementwise work: a block interpreter of [`Expr`].
//!
//! Blocks of up to a thousand elements stay in L1; a step of the compiled expression is one vector loop over a block, so
//! what interpretation costs is paid once per block. A step is one function of many instructions, or a *chain* of
//! functions of few: between those, values stay in registers ([`chain`]). Inputs of the result's own order and the results
//! themselves are read and written in place. What depends on scalars alone is computed once per run, and what repeats with
//! a short period (a bias, batch norm's scale) once per run on a tile of whole periods.
//!
//! Every operation is rounded on its own, products too, so neither fusing expressions nor the choice of chains changes a
//! bit.

#![allow(clippy::cast_ptr_alignment, reason = "inputs and outputs are aligned to their types by contract")]

mod chain;
mod pattern;
mod program;
mod step;

pub use pattern::Operand;

use crate::kernels::element::{Word, with_element, word_of};
use crate::simd::{Isa, Kernel, Simd, dispatch};
use chain::{Code, LONGEST, Operation};
use oxiconv_ir::{Arithmetic, DType, Expr};
use pattern::Kind;
use program::{Load, Place, Program, Step};
use step::Source;

/// Floats of the widest vector: the words of a uniform slot, and what slots are aligned to.
const VECTOR: usize = crate::math::MAX_LANES;

/// A compiled elementwise expression.
#[derive(Debug, Clone)]
pub struct MapKernel {
    isa: Isa,
    arithmetic: Arithmetic,
    program: Program,
    /// Elements per element of axis 0.
    row: usize,
    /// Elements per block, a multiple of the period.
    block: usize,
    /// If rows are run one by one: bytes from one row to the next, of each input and output.
    by_row: Option<(Vec<usize>, Vec<usize>)>,
}

/// Elements of a row from which on rows are run one by one where that turns values that repeat within a row into tiles:
/// those are then made anew for each row.
const LONG_ROW: usize = 4096;

/// Most inputs, and most outputs, of one expression.
const MAX_OPERANDS: usize = 64;

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
    /// Compiles `expr` for inputs and outputs (one per result of the expression) of these kinds. For the
    /// arithmetic see [`Expr::arithmetic`].
    pub fn new(isa: Isa, expr: &Expr, inputs: &[Operand], outputs: &[DType], dims: &[usize]) -> Self {
        assert_eq!(expr.arity(), inputs.len(), "one operand per input of the expression");
        assert_eq!(expr.outs().len(), outputs.len(), "one output per result of the expression");
        assert!(inputs.len().max(outputs.len()) <= MAX_OPERANDS, "{} inputs, {} outputs", inputs.len(), outputs.len());
        let arithmetic = expr.arithmetic(inputs.iter().map(|i| i.dtype).chain(outputs.iter().copied()));
        let row: usize = dims.iter().skip(1).product();
        // An input with values of each row's own, repeated along the row.
        let repeats = |o: &Operand| o.repeat.len() > 1 && !o.repeat[0] && o.repeat[1..].contains(&true);
        let by_row = (row >= LONG_ROW && inputs.iter().any(repeats)).then(|| {
            let entry = |o: &Operand| -> usize {
                let kept = dims.iter().zip(&o.repeat).skip(1).filter(|(_, r)| !**r).map(|(d, _)| d).product::<usize>();
                if o.repeat[0] { 0 } else { kept * o.dtype.size() }
            };
            (inputs.iter().map(entry).collect(), outputs.iter().map(|o| row * o.size()).collect())
        });
        let within: Vec<Operand>;
        let (inputs, dims) = if by_row.is_some() {
            within = inputs.iter().map(|o| Operand { dtype: o.dtype, repeat: o.repeat[1..].to_vec() }).collect();
            (&within[..], &dims[1..])
        } else {
            (inputs, dims)
        };
        let program = match arithmetic {
            Arithmetic::F32 => Program::new::<f32>(expr, inputs, outputs, dims),
            Arithmetic::I32 => Program::new::<i32>(expr, inputs, outputs, dims),
            Arithmetic::I64 => Program::new::<i64>(expr, inputs, outputs, dims),
        };
        // 24 KiB of a 32 KiB L1 cache for everything a block touches.
        let slots = program.periodics + program.registers + program.direct + outputs.len();
        let target = (6144 / slots).clamp(128, 1024);
        // Whole groups of vectors, where whole periods can be.
        let group = chain::GROUP * isa.lanes();
        let unit = program.period * (group >> program.period.trailing_zeros().min(group.ilog2()));
        let unit = if unit <= target { unit } else { program.period };
        let block = unit * (target / unit).max(1);
        Self { isa, arithmetic, program, row, block, by_row }
    }

    /// Floats of scratch memory that a run needs.
    pub fn scratch_len(&self) -> usize {
        let p = &self.program;
        p.uniforms * self.vector() + (p.periodics + p.registers + p.results.len()) * self.stride() + VECTOR
    }

    /// Computes rows `0..n` of axis 0 (`n` replaces `dims[0]`; a scalar has `n = 1`).
    ///
    /// # Safety
    /// Pointers are aligned to their element type and valid for their extents; an output may be the same pointer as
    /// an input of equal dtype that is not repeated, and else overlaps nothing.
    pub unsafe fn run(&self, n: usize, inputs: &[*const u8], outputs: &[*mut u8], scratch: &mut [f32]) {
        // SAFETY: passed on.
        unsafe { self.run_part(0, n * self.row, inputs, outputs, scratch) }
    }

    /// Computes elements `start..start + len` of the flattened result, in their places.
    ///
    /// # Safety
    /// As [`Self::run`].
    pub unsafe fn run_part(
        &self,
        start: usize,
        len: usize,
        inputs: &[*const u8],
        outputs: &[*mut u8],
        scratch: &mut [f32],
    ) {
        let mut places = [std::ptr::null_mut(); MAX_OPERANDS];
        for (place, (output, plan)) in places.iter_mut().zip(outputs.iter().zip(&self.program.results)) {
            *place = output.wrapping_add(start * plan.dtype.size());
        }
        // SAFETY: passed on.
        unsafe { self.run_range(start, len, inputs, &places[..outputs.len()], scratch, &mut Series::of(len)) }
    }

    /// Computes elements `start..start + len` of the flattened result into the first `len` places of the outputs.
    ///
    /// # Safety
    /// As [`Self::run`]; inputs are those of the whole result, outputs hold `len` elements. Calls of a series have the
    /// same inputs and scratch memory, which nobody else writes meanwhile.
    pub(crate) unsafe fn run_range(
        &self,
        start: usize,
        len: usize,
        inputs: &[*const u8],
        outputs: &[*mut u8],
        scratch: &mut [f32],
        series: &mut Series,
    ) {
        debug_assert!(len <= series.reach, "a call of {len} elements in a series of {}", series.reach);
        let Some((input_row, output_row)) = &self.by_row else {
            // SAFETY: passed on.
            unsafe { self.run_flat(start, len, inputs, outputs, scratch, series) };
            return;
        };
        let (mut from, mut to) = ([std::ptr::null(); MAX_OPERANDS], [std::ptr::null_mut(); MAX_OPERANDS]);
        let mut done = 0;
        while done < len {
            let (row, at) = ((start + done) / self.row, (start + done) % self.row);
            let n = (self.row - at).min(len - done);
            for (i, (p, bytes)) in inputs.iter().zip(input_row).enumerate() {
                from[i] = p.wrapping_add(row * bytes);
            }
            for (k, (p, bytes)) in outputs.iter().zip(output_row).enumerate() {
                to[k] = p.wrapping_add(done * (bytes / self.row));
            }
            series.made &= series.row == row;
            series.row = row;
            // SAFETY: passed on, for one row: inputs start at the row, outputs where the ones before have ended.
            unsafe { self.run_flat(at, n, &from[..inputs.len()], &to[..outputs.len()], scratch, series) };
            done += n;
        }
    }

    /// # Safety
    /// As [`Self::run_range`], with all rows in one, or within one row.
    unsafe fn run_flat(
        &self,
        start: usize,
        len: usize,
        inputs: &[*const u8],
        outputs: &[*mut u8],
        scratch: &mut [f32],
        series: &mut Series,
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
        let periodic = uniform.wrapping_add(p.uniforms * self.vector());
        let registers = periodic.wrapping_add(p.periodics * stride);
        let results = registers.wrapping_add(p.registers * stride);
        let slots = Slots { uniform, periodic, registers, results, stride };
        let mut in_place = [false; MAX_OPERANDS];
        for (k, plan) in p.results.iter().enumerate() {
            // The result's memory may serve as its block unless a later step still reads that memory as an input, from
            // where the two begin.
            let origin = outputs[k].wrapping_sub(start * plan.dtype.size());
            in_place[k] = plan.dtype == word_of(self.arithmetic)
                && !inputs
                    .iter()
                    .zip(&p.last_read)
                    .any(|(&input, &last)| std::ptr::eq(input, origin) && last.is_some_and(|last| last > plan.written));
        }
        // A short series needs only as many periods as it reaches into, from any phase.
        let tile = self.block.min((p.period - 1 + series.reach).next_multiple_of(p.period));
        let tile = (!std::mem::replace(&mut series.made, true)).then_some(tile);
        dispatch(self.isa, Run { kernel: self, start, len, inputs, outputs, slots, in_place: &in_place, tile });
    }

    /// Floats from one block slot to the next.
    fn stride(&self) -> usize {
        // Two lines apart from a multiple of the page: what is loaded at a distance of pages from a store in flight waits.
        self.block.next_multiple_of(VECTOR) * self.width() + 2 * VECTOR
    }

    /// Floats of a uniform slot, which has [`VECTOR`] words.
    fn vector(&self) -> usize {
        VECTOR * self.width()
    }

    /// Floats per word.
    fn width(&self) -> usize {
        word_of(self.arithmetic).size() / size_of::<f32>()
    }
}

/// Calls of [`MapKernel::run_range`] that share what does not change from block to block: it is computed by the first.
#[derive(Debug)]
pub(crate) struct Series {
    /// Elements of all calls together, at least.
    reach: usize,
    /// Whether the scratch memory holds the values of scalars and tiles, for this row if rows are run one by one.
    made: bool,
    row: usize,
}

impl Series {
    /// A series over at most this many elements.
    pub(crate) fn of(reach: usize) -> Self {
        Self { reach, made: false, row: 0 }
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
    /// The length of tiles, if they are to be made.
    tile: Option<usize>,
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
        match self.kernel.arithmetic {
            Arithmetic::F32 => self.run_words::<S, f32>(s),
            Arithmetic::I32 => self.run_words::<S, i32>(s),
            Arithmetic::I64 => self.run_words::<S, i64>(s),
        }
    }
}

impl Run<'_> {
    #[inline(always)]
    fn run_words<S: Simd, W: Word>(&self, s: S) {
        let (p, end) = (&self.kernel.program, self.start + self.len);
        let mut block = Block::default();
        if self.tile.is_some() {
            for &(slot, value) in &p.constants {
                let to = self.place::<W>(Place::Uniform(slot), block).cast::<W>();
                let value = W::constant(value);
                for i in 0..VECTOR {
                    // SAFETY: a uniform slot has VECTOR words.
                    unsafe { to.add(i).write(value) }
                }
            }
        }
        // A series has made the values of scalars and tiles before.
        let (tile, first_stage) = self.tile.map_or((0, 2), |tile| (tile, 0));
        // Uniform values, then tiles, then block after block: one loop, so that the steps' code exists once.
        for stage in first_stage.. {
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
                // SAFETY: operands and destinations are slots of the scratch memory, which hold a block each (a vector
                // each where uniform), or memory of inputs and outputs at this block's elements.
                unsafe {
                    match step {
                        Step::Apply { function, args, to } => {
                            let source = [
                                self.source::<W>(args[0], block, stage),
                                self.source::<W>(args[1], block, stage),
                                self.source::<W>(args[2], block, stage),
                            ];
                            let to = self.place::<W>(*to, block);
                            match W::DTYPE {
                                DType::I32 => step::run_integer::<i32>(*function, source, to, block.len),
                                DType::I64 => step::run_integer::<i64>(*function, source, to, block.len),
                                _ => step::run_f32(s, *function, source, to, block.len),
                            }
                        }
                        Step::Chain(operations) => {
                            let nothing = Source::new(std::ptr::null(), true);
                            let mut chain = [Operation { code: Code::Load, y: nothing, z: nothing }; LONGEST];
                            for (i, operation) in operations.iter().enumerate() {
                                chain[i].code = operation.code;
                                chain[i].y = self.source::<W>(operation.y, block, stage);
                                if matches!(operation.code, Code::Choose | Code::Keep | Code::Replace) {
                                    chain[i].z = self.source::<W>(operation.z, block, stage);
                                }
                            }
                            chain::run(s, &chain[..operations.len()], block.len);
                        }
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

    /// An operand in this block. Where uniform values are made, all lanes of theirs are.
    #[inline(always)]
    fn source<W: Word>(&self, place: Place, block: Block, stage: usize) -> Source {
        Source::new(self.place::<W>(place, block), stage > 0 && matches!(place, Place::Uniform(_)))
    }

    /// The first word of a place in this block.
    #[inline(always)]
    fn place<W: Word>(&self, place: Place, block: Block) -> *mut f32 {
        let slots = &self.slots;
        match place {
            Place::Uniform(i) => slots.uniform.wrapping_add(i * VECTOR * W::WIDTH),
            Place::Periodic(i) => slots.periodic.wrapping_add(i * slots.stride + block.phase * W::WIDTH),
            Place::Register(i) => slots.registers.wrapping_add(i * slots.stride),
            Place::Direct(i) => self.inputs[i].cast::<f32>().cast_mut().wrapping_add(block.start * W::WIDTH),
            Place::Wrapped(i) => {
                let period = self.kernel.program.wrapped.iter().find(|w| w.0 == i).map_or(1, |w| w.1);
                self.inputs[i].cast::<f32>().cast_mut().wrapping_add(block.start % period * W::WIDTH)
            }
            Place::Result(k) if self.in_place[k] => self.outputs[k].cast::<f32>().wrapping_add(block.first * W::WIDTH),
            Place::Result(k) => slots.results.wrapping_add(k * slots.stride),
        }
    }

    /// # Safety
    /// The input is readable where the block (or tile) needs it.
    #[inline(always)]
    unsafe fn load<W: Word>(&self, load: &Load, block: Block, tile: usize) {
        let (start, len) = match load.to {
            Place::Uniform(_) => (0, VECTOR),
            Place::Periodic(_) => match load.pattern.kind() {
                // The first period; the others are copies.
                Kind::Periodic(period) => (0, period),
                _ => (0, tile),
            },
            _ => (block.start, block.len),
        };
        let from = self.inputs[load.input];
        let to = self.place::<W>(load.to, block).cast::<W>();
        // SAFETY: the slot holds `len` words and is apart from all inputs; reading is the caller's promise.
        unsafe {
            with_element!(load.dtype, T => load.pattern.expand::<T, W>(from.cast(), start, len, to));
            if let Place::Periodic(_) = load.to {
                let mut done = len;
                while done < tile {
                    let n = done.min(tile - done);
                    std::ptr::copy_nonoverlapping(to, to.add(done), n);
                    done += n;
                }
            }
        }
    }

    /// # Safety
    /// Output `k` is writable at the block's elements.
    #[inline(always)]
    unsafe fn store<W: Word>(&self, k: usize, block: Block) {
        let from = self.place::<W>(Place::Result(k), block).cast::<W>();
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
