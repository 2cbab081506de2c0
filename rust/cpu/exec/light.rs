//! Elementwise work, reductions, pooling, layout, random numbers.

use super::indexing::{ArgSort, Each, Gather, Scatter};
use super::{Call, Kernel};
use crate::kernels::map::{MapKernel, Operand};
use crate::kernels::reduce::{ReduceKernel, Reduction};
use crate::kernels::{layout, random, window};
use crate::simd::Isa;
use half::{bf16, f16};
use oxiconv_ir::op::Dist;
use oxiconv_ir::{DType, Expr, Op, Result, Type, Window};

/// # Safety
/// `p..p + len` is valid.
pub(super) unsafe fn read<'a, T>(p: *const u8, len: usize) -> &'a [T] {
    // SAFETY: by contract.
    unsafe { std::slice::from_raw_parts(p.cast(), len) }
}

/// # Safety
/// `p..p + len` is valid and used by nobody else.
pub(super) unsafe fn write<'a, T>(p: *mut u8, len: usize) -> &'a mut [T] {
    // SAFETY: by contract.
    unsafe { std::slice::from_raw_parts_mut(p.cast(), len) }
}

/// Elements per entry of axis 0.
pub(super) fn entry(ty: &Type) -> usize {
    ty.dims.iter().skip(1).product()
}

/// Size of axis 0; a scalar is one entry.
pub(super) fn entries(ty: &Type) -> usize {
    ty.dims.first().copied().unwrap_or(1)
}

/// An elementwise step.
pub(super) struct Map {
    kernel: MapKernel,
    text: String,
    rows: usize,
    /// Elements per row.
    row: usize,
}

/// Elements that pieces of a map are made of: whole cache lines of every element type.
const LINE: usize = 64;

impl Map {
    pub(super) fn new(isa: Isa, expr: &Expr, operands: &[Operand], outs: &[Type], dims: &[usize]) -> Self {
        let dtypes: Vec<DType> = outs.iter().map(|t| t.dtype).collect();
        Self {
            kernel: MapKernel::new(isa, expr, operands, &dtypes, dims),
            text: format!("map {expr}"),
            rows: dims.first().copied().unwrap_or(1),
            row: dims.iter().skip(1).product(),
        }
    }
}

impl Kernel for Map {
    unsafe fn run(&self, call: Call<'_>) -> Result<()> {
        let len = call.rows(self.rows) * self.row;
        let lines = call.piece(len.div_ceil(LINE));
        let (start, end) = ((lines.start * LINE).min(len), (lines.end * LINE).min(len));
        // SAFETY: forwarded; pieces have disjoint elements.
        unsafe { self.kernel.run_part(start, end - start, call.inputs, call.outputs, call.scratch) };
        Ok(())
    }

    fn scratch_len(&self) -> usize {
        self.kernel.scratch_len()
    }

    fn describe(&self) -> String {
        self.text.clone()
    }
}

/// Reductions of expressions.
pub(super) struct Reduce {
    kernel: ReduceKernel,
    text: String,
    /// Of the first axis of more than one element.
    rows: usize,
    /// Whether that axis vanishes: pieces then make terms of the result.
    vanishes: bool,
    /// Bytes per row of each operand, and of a result; 0 where rows share it.
    input_row: Vec<usize>,
    output_row: usize,
}

impl Reduce {
    pub(super) fn new(
        isa: Isa,
        max: bool,
        expr: &Expr,
        (operands, types): (&[Operand], &[Type]),
        dims: &[usize],
        axes: &[usize],
        out: &Type,
    ) -> Self {
        let kind = if max { Reduction::Max } else { Reduction::Sum };
        // Axes of one element before others are none.
        let skip = dims.iter().take(dims.len().saturating_sub(1)).take_while(|d| **d == 1).count();
        let dims = &dims[skip..];
        let kept: Vec<Operand> =
            operands.iter().map(|o| Operand { dtype: o.dtype, repeat: o.repeat[skip..].to_vec() }).collect();
        let axes: Vec<usize> = axes.iter().filter_map(|a| a.checked_sub(skip)).collect();
        let rows = dims.first().copied().unwrap_or(1);
        let shared = |o: &Operand| o.repeat.first().copied().unwrap_or(true);
        let row = |ty: &Type| ty.bytes() / rows.max(1);
        let vanishes = axes.first() == Some(&0);
        Self {
            kernel: ReduceKernel::new(isa, kind, expr, &kept, dims, &axes, out.dtype),
            text: format!("{} {expr} over {axes:?}", if max { "max" } else { "sum" }),
            rows,
            vanishes,
            input_row: kept.iter().zip(types).map(|(o, t)| if shared(o) { 0 } else { row(t) }).collect(),
            output_row: if vanishes { 0 } else { row(out) },
        }
    }

    /// Rows, which pieces are made of.
    pub(super) fn rows(&self) -> usize {
        self.rows
    }

    /// Whether pieces make terms of the result.
    pub(super) fn sums(&self) -> bool {
        self.vanishes
    }
}

impl Kernel for Reduce {
    unsafe fn run(&self, call: Call<'_>) -> Result<()> {
        let rows = call.piece(call.rows(self.rows));
        let mut inputs = [std::ptr::null::<u8>(); super::MAX_OPERANDS];
        for (to, (from, row)) in inputs.iter_mut().zip(call.inputs.iter().zip(&self.input_row)) {
            *to = from.wrapping_add(rows.start * row);
        }
        let mut outputs = [std::ptr::null_mut::<u8>(); super::MAX_OPERANDS];
        for (to, from) in outputs.iter_mut().zip(call.outputs) {
            *to = from.wrapping_add(rows.start * self.output_row);
        }
        let (inputs, outputs) = (&inputs[..call.inputs.len()], &outputs[..call.outputs.len()]);
        // SAFETY: forwarded; pieces have disjoint rows, or terms of their own.
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

/// Elements per sample before and after pooling.
fn elements(w: &Window, channels: usize) -> (usize, usize) {
    (w.input.iter().product::<usize>() * channels, w.output().iter().product::<usize>() * channels)
}

/// Maxima and their positions.
pub(super) struct MaxPool {
    isa: Isa,
    window: Window,
    channels: usize,
    dtype: DType,
    samples: usize,
    /// Elements per sample, before and after pooling.
    inside: usize,
    outside: usize,
}

impl MaxPool {
    pub(super) fn new(isa: Isa, window: &Window, x: &Type) -> Self {
        let channels = x.dims[x.rank() - 1];
        let (inside, outside) = elements(window, channels);
        Self { isa, window: window.clone(), channels, dtype: x.dtype, samples: x.dims[0], inside, outside }
    }
}

impl Kernel for MaxPool {
    unsafe fn run(&self, call: Call<'_>) -> Result<()> {
        let n = call.rows(self.samples);
        // SAFETY: `n` samples of both.
        unsafe {
            let (x, y, index) = (call.inputs[0], call.outputs[0], call.outputs[1]);
            let (isa, w, c, inside, outside) =
                (self.isa, &self.window, self.channels, n * self.inside, n * self.outside);
            match self.dtype {
                DType::U8 => window::max_pool_bytes(isa, w, c, n, read::<u8>(x, inside), write(y, outside), index),
                DType::I8 => window::max_pool_bytes(isa, w, c, n, read::<i8>(x, inside), write(y, outside), index),
                _ => window::max_pool(isa, w, c, n, read(x, inside), write(y, outside), index),
            }
        }
        Ok(())
    }

    fn describe(&self) -> String {
        "max-pool".to_owned()
    }
}

/// The kernel of a primitive that nothing is fused with.
pub(super) fn bind_op(isa: Isa, op: &Op, types: &[Type], out: &Type) -> Box<dyn Kernel> {
    match op {
        Op::Const { dtype, bits } => Box::new(Constant { dtype: *dtype, value: f64::from_bits(*bits) }),
        Op::Random { dist, .. } => Box::new(Random { isa, dist: *dist, out: out.clone() }),
        Op::Broadcast { .. } | Op::Permute(_) | Op::Slice { .. } | Op::Pad { .. } | Op::Concat(_) => {
            Box::new(Layout::new(op, types, out))
        }
        Op::Gather { axis } => Box::new(Gather { axis: *axis, x: types[0].clone(), index: types[1].clone() }),
        Op::ScatterAdd { axis, .. } => {
            Box::new(Scatter { axis: *axis, g: types[0].clone(), index: types[1].clone(), out: out.clone() })
        }
        Op::GatherEach { axis } | Op::ScatterEach { axis, .. } => {
            let gathers = matches!(op, Op::GatherEach { .. });
            let whole = if gathers { &types[0] } else { out };
            Box::new(Each { gathers, axis: *axis, whole: whole.clone(), index: types[1].clone() })
        }
        Op::ArgSort => Box::new(ArgSort { x: types[0].clone() }),
        Op::WindowSum(w) | Op::WindowSpread(w) | Op::WindowArgMax(w) | Op::WindowTake(w) | Op::WindowPut(w) => {
            let (channels, samples) = (types[0].dims[types[0].rank() - 1], types[0].dims[0]);
            let (inside, outside) = elements(w, channels);
            let (window, dtype) = (w.clone(), types[0].dtype);
            Box::new(Pool { isa, op: op.clone(), window, channels, dtype, samples, inside, outside })
        }
        Op::Arg { .. }
        | Op::Cast(_)
        | Op::Detach
        | Op::Map { .. }
        | Op::Product { .. }
        | Op::Sum(_)
        | Op::Max(_)
        | Op::Reshape(_) => {
            unreachable!("{} is never a step of its own", op.name())
        }
    }
}

/// A scalar.
struct Constant {
    dtype: DType,
    value: f64,
}

impl Kernel for Constant {
    unsafe fn run(&self, call: Call<'_>) -> Result<()> {
        let out = call.outputs[0];
        // SAFETY: room for one element.
        unsafe {
            match self.dtype {
                DType::F32 => write(out, 1)[0] = self.value as f32,
                DType::F16 => write(out, 1)[0] = f16::from_f32(self.value as f32),
                DType::Bf16 => write(out, 1)[0] = bf16::from_f32(self.value as f32),
                DType::I64 => write(out, 1)[0] = self.value as i64,
                DType::I32 => write(out, 1)[0] = self.value as i32,
                DType::I8 => write(out, 1)[0] = self.value as i8,
                DType::U8 => write(out, 1)[0] = self.value as u8,
                DType::Bool => write(out, 1)[0] = u8::from(self.value != 0.0),
            }
        }
        Ok(())
    }

    fn describe(&self) -> String {
        format!("constant {}", self.value)
    }
}

/// Random numbers; a sample's place in the stream is its place in the batch.
struct Random {
    isa: Isa,
    dist: Dist,
    out: Type,
}

impl Kernel for Random {
    unsafe fn run(&self, call: Call<'_>) -> Result<()> {
        let len = call.rows(entries(&self.out)) * entry(&self.out);
        let first = entries(&self.out) / call.of * call.first * entry(&self.out);
        // SAFETY: the state has two elements, the result `len`.
        let (state, out) = unsafe { (read::<i32>(call.inputs[0], 2), write(call.outputs[0], len)) };
        random::fill(self.isa, self.dist, [state[0], state[1]], first as u64, out);
        Ok(())
    }

    fn describe(&self) -> String {
        format!("philox {:?}", self.dist)
    }
}

/// Copies between strided views.
struct Layout {
    /// One per input.
    parts: Vec<Part>,
    /// Bytes per entry of axis 0 of a result that starts as zeros.
    zeros: Option<usize>,
    out_entries: usize,
    name: &'static str,
}

struct Part {
    plan: layout::CopyPlan,
    /// Size of the first axis of the index space that has more than one entry, and the bytes from one to the next.
    entries: usize,
    step: (usize, usize),
    /// Where the views start, in bytes.
    from: usize,
    to: usize,
}

impl Layout {
    fn new(op: &Op, types: &[Type], out: &Type) -> Self {
        let size = out.dtype.size();
        let (source, result) = (layout::row_major(&types[0].dims), layout::row_major(&out.dims));
        let dot = |a: &[usize], b: &[usize]| a.iter().zip(b).map(|(a, b)| a * b).sum::<usize>();
        let times = |a: &[usize], b: &[usize]| a.iter().zip(b).map(|(a, b)| a * b).collect::<Vec<_>>();
        let part = |dims: &[usize], from: &[usize], to: &[usize], start: usize, at: usize| {
            let skip = dims.iter().take(dims.len().saturating_sub(1)).take_while(|d| **d == 1).count();
            let (dims, from, to) = (&dims[skip..], &from[skip..], &to[skip..]);
            let step = |strides: &[usize]| strides.first().map_or(0, |s| s * size);
            Part {
                plan: layout::CopyPlan::new(size, dims, from, to),
                entries: dims.first().copied().unwrap_or(1),
                step: (step(from), step(to)),
                from: start * size,
                to: at * size,
            }
        };
        let mut zeros = None;
        let parts = match op {
            Op::Broadcast { axes, .. } => {
                let mut kept = source.iter();
                let from: Vec<usize> = (0..out.rank())
                    .map(|a| if axes.contains(&a) { 0 } else { *kept.next().expect("one per kept axis") })
                    .collect();
                vec![part(&out.dims, &from, &result, 0, 0)]
            }
            Op::Permute(perm) => {
                let from: Vec<usize> = perm.iter().map(|&a| source[a]).collect();
                vec![part(&out.dims, &from, &result, 0, 0)]
            }
            Op::Slice { start, step, .. } => {
                vec![part(&out.dims, &times(&source, step), &result, dot(start, &source), 0)]
            }
            Op::Pad { low, interior, .. } => {
                zeros = Some(entry(out) * size);
                let step: Vec<usize> = interior.iter().map(|i| i + 1).collect();
                vec![part(&types[0].dims, &source, &times(&result, &step), 0, dot(low, &result))]
            }
            Op::Concat(axis) => {
                let mut at = 0;
                types
                    .iter()
                    .map(|t| {
                        let start = at * result[*axis];
                        at += t.dims[*axis];
                        part(&t.dims, &layout::row_major(&t.dims), &result, 0, start)
                    })
                    .collect()
            }
            _ => unreachable!("{} is no layout op", op.name()),
        };
        Self { parts, zeros, out_entries: entries(out), name: op.name() }
    }
}

impl Kernel for Layout {
    unsafe fn run(&self, call: Call<'_>) -> Result<()> {
        // SAFETY: the views lie within the tensors, cut to the call's entries of axis 0.
        unsafe {
            if let Some(bytes) = self.zeros {
                call.outputs[0].write_bytes(0, call.rows(self.out_entries) * bytes);
            }
            for (part, &input) in self.parts.iter().zip(call.inputs) {
                let rows = call.piece(call.rows(part.entries));
                let from = input.wrapping_add(part.from + rows.start * part.step.0);
                let to = call.outputs[0].wrapping_add(part.to + rows.start * part.step.1);
                part.plan.run(rows.len(), from, to);
            }
        }
        Ok(())
    }

    fn describe(&self) -> String {
        self.name.to_owned()
    }
}

/// Pooling ops other than maximum pooling as a whole.
struct Pool {
    isa: Isa,
    op: Op,
    window: Window,
    channels: usize,
    dtype: DType,
    samples: usize,
    /// Elements per sample, before and after pooling.
    inside: usize,
    outside: usize,
}

impl Kernel for Pool {
    unsafe fn run(&self, call: Call<'_>) -> Result<()> {
        let (isa, w, c, n) = (self.isa, &self.window, self.channels, call.rows(self.samples));
        let (inside, outside) = (n * self.inside, n * self.outside);
        let (a, out) = (call.inputs[0], call.outputs[0]);
        // SAFETY: `n` samples of each operand.
        unsafe {
            match &self.op {
                Op::WindowSum(_) => window::sum(isa, w, c, n, read(a, inside), write(out, outside)),
                Op::WindowSpread(_) => window::spread(isa, w, c, n, read(a, outside), write(out, inside)),
                // Bytes are copied, whether they have a sign or not.
                Op::WindowTake(_) if self.dtype != DType::F32 => {
                    window::take::<u8>(isa, w, c, n, read(a, inside), call.inputs[1], write(out, outside));
                }
                Op::WindowTake(_) => {
                    window::take::<f32>(isa, w, c, n, read(a, inside), call.inputs[1], write(out, outside));
                }
                Op::WindowPut(_) => window::put(isa, w, c, n, read(a, outside), call.inputs[1], write(out, inside)),
                Op::WindowArgMax(_) => {
                    // The maxima themselves are not wanted: scratch for one sample's is enough.
                    let (inside, outside) = (self.inside, self.outside);
                    for i in 0..n {
                        let x = a.add(i * inside * self.dtype.size());
                        let index = out.add(i * outside * w.index_dtype().size());
                        let best = call.scratch.as_mut_ptr().cast::<u8>();
                        match self.dtype {
                            DType::U8 => {
                                window::max_pool_bytes(
                                    isa,
                                    w,
                                    c,
                                    1,
                                    read::<u8>(x, inside),
                                    write(best, outside),
                                    index,
                                );
                            }
                            DType::I8 => {
                                window::max_pool_bytes(
                                    isa,
                                    w,
                                    c,
                                    1,
                                    read::<i8>(x, inside),
                                    write(best, outside),
                                    index,
                                );
                            }
                            _ => window::max_pool(isa, w, c, 1, read(x, inside), write(best, outside), index),
                        }
                    }
                }
                op => unreachable!("{} is no pooling op", op.name()),
            }
        }
        Ok(())
    }

    fn scratch_len(&self) -> usize {
        match self.op {
            Op::WindowArgMax(_) => self.outside,
            _ => 0,
        }
    }

    fn describe(&self) -> String {
        self.op.name().to_owned()
    }
}
