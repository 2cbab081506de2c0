//! Convolutions and matrix products of bytes, with what is fused behind them.

use super::{Call, Kernel, MAX_OPERANDS};
use crate::kernels::map::{MapKernel, Operand};
use crate::kernels::quantized::{Coefficient, Dense, Finish, QuantizedPlan, Requantize, Term};
use crate::simd::Isa;
use oxiconv_ir::expr::Node;
use oxiconv_ir::{Binary, DType, Expr, Form, Result, Type, Unary};

/// A product of bytes.
pub(super) struct Quantized {
    plan: QuantizedPlan,
    /// Size of axis 0 of source and result.
    entries: usize,
    /// Bytes of the source, and elements of the result, per entry.
    source: usize,
    result: usize,
    /// Bytes per element of the result.
    size: usize,
    kernel_len: usize,
    tail: Tail,
    /// Bytes per entry of the operands behind the first two; 0 if the entries share them.
    others: Vec<usize>,
}

/// What happens to the sums.
enum Tail {
    /// They are the result.
    Sums,
    /// They are scaled in registers.
    Requantize(Pattern),
    /// Any expression, over as many entries as stay in cache.
    Map(Box<MapKernel>),
}

/// Sums that an expression reads again: half of an L1 cache.
const IN_FLIGHT: usize = 4 << 10;

impl Quantized {
    pub(super) fn new(
        isa: Isa,
        form: &Form,
        types: &[Type],
        out: &Type,
        epilogue: Option<(&Expr, &[Operand])>,
    ) -> Self {
        let [x, kernel, others @ ..] = types else { unreachable!("a product has two operands") };
        let plan = QuantizedPlan::new(isa, form, x, kernel);
        let tail = match epilogue {
            None => Tail::Sums,
            Some((expr, operands)) => Pattern::of(expr, operands, others, out.dtype).map_or_else(
                || {
                    let mut inputs = vec![Operand::dense(DType::I32, out.rank())];
                    inputs.extend(operands.iter().cloned());
                    Tail::Map(Box::new(MapKernel::new(isa, expr, &inputs, &[out.dtype], &out.dims)))
                },
                Tail::Requantize,
            ),
        };
        let entries = out.dims[0];
        let shared = |o: &Operand| o.repeat.first().copied().unwrap_or(false);
        let bytes = |(t, o): (&Type, &Operand)| if shared(o) { 0 } else { t.bytes() / t.dims[0] };
        let others = others.iter().zip(epilogue.map_or(&[][..], |(_, o)| o)).map(bytes).collect();
        let (source, result) = (x.bytes() / entries, out.len() / entries);
        Self { plan, entries, source, result, size: out.dtype.size(), kernel_len: kernel.len(), tail, others }
    }

    /// In how many pieces it can work.
    pub(super) fn pieces(&self) -> usize {
        self.entries * self.parts()
    }

    /// Parts of an entry of axis 0 that can be computed on their own. An expression sees whole entries.
    fn parts(&self) -> usize {
        if matches!(self.tail, Tail::Map(_)) { 1 } else { self.rows() }
    }

    /// Rows of the plan in an entry, which of a stack of matrices has several samples.
    fn rows(&self) -> usize {
        self.source / self.plan.source_len().max(1) * self.plan.rows()
    }

    /// Entries whose sums an expression reads together.
    fn together(&self) -> usize {
        (IN_FLIGHT / self.result.max(1)).clamp(1, self.entries.max(1))
    }

    /// Floats of scratch: sums, what the expression needs, and what the product does.
    fn scratch_parts(&self) -> [usize; 3] {
        let (sums, map) = match &self.tail {
            Tail::Map(map) => (self.together() * self.result, map.scratch_len()),
            Tail::Sums | Tail::Requantize(_) => (0, 0),
        };
        [sums, map, self.plan.scratch_len().div_ceil(size_of::<f32>())]
    }
}

impl Kernel for Quantized {
    unsafe fn run(&self, call: Call<'_>) -> Result<()> {
        let entries = call.rows(self.entries);
        let part = call.piece(entries * self.parts());
        let Call { inputs, outputs, packed, scratch, .. } = call;
        let (x, others, out) = (inputs[0], &inputs[2..], outputs[0]);
        let packed = bytemuck::cast_slice(packed);
        let [sums, map_scratch, _] = self.scratch_parts();
        let (sums, scratch) = scratch.split_at_mut(sums);
        let (map_scratch, scratch) = scratch.split_at_mut(map_scratch);
        let scratch = bytemuck::cast_slice_mut(scratch);
        // SAFETY: rows or entries of the source, the result and the operands that have entries; shared ones are whole.
        unsafe {
            match &self.tail {
                Tail::Sums => self.plan.run(part, x, packed, Finish::Sums(out.cast()), scratch),
                Tail::Requantize(pattern) => {
                    let requantize = pattern.resolve(others, out);
                    self.plan.run(part, x, packed, Finish::Requantize(&requantize), scratch);
                }
                Tail::Map(map) => {
                    for i in part.clone().step_by(self.together()) {
                        let count = self.together().min(part.end - i);
                        let place = sums.as_mut_ptr();
                        let rows = 0..count * self.rows();
                        self.plan.run(rows, x.add(i * self.source), packed, Finish::Sums(place.cast()), scratch);
                        let mut operands = [std::ptr::null::<u8>(); MAX_OPERANDS];
                        operands[0] = place.cast();
                        for (k, bytes) in self.others.iter().enumerate() {
                            operands[k + 1] = others[k].wrapping_add(i * bytes);
                        }
                        let out = out.add(i * self.result * self.size);
                        map.run(count, &operands[..=self.others.len()], &[out], map_scratch);
                    }
                }
            }
        }
        Ok(())
    }

    fn scratch_len(&self) -> usize {
        self.scratch_parts().iter().sum()
    }

    fn packed_len(&self) -> usize {
        self.plan.packed_len().div_ceil(size_of::<f32>())
    }

    unsafe fn pack(&self, kernel: *const u8, packed: &mut [f32]) {
        // SAFETY: valid for the kernel's type by the caller's contract.
        let kernel = unsafe { std::slice::from_raw_parts(kernel.cast::<i8>(), self.kernel_len) };
        self.plan.pack(kernel, bytemuck::cast_slice_mut(packed));
    }

    fn packed_operand(&self) -> Option<usize> {
        Some(1)
    }

    fn describe(&self) -> String {
        let tail = match &self.tail {
            Tail::Sums => "",
            Tail::Requantize(p) if p.other.is_some() => " + scale + residual",
            Tail::Requantize(_) => " + scale",
            Tail::Map(_) => " + expression",
        };
        self.plan.describe() + tail
    }
}

/// Where a coefficient comes from: a constant, or an operand behind the first two.
#[derive(Clone, Copy)]
enum Slot {
    None,
    Constant(f32),
    Scalar(usize),
    Channels(usize),
}

/// `scale · y + shift`.
#[derive(Clone, Copy)]
struct Affine {
    scale: Slot,
    shift: Slot,
}

/// An expression that is computed in registers: sums scaled and shifted, another operand likewise, a lower and an upper
/// bound, a factor, rounding.
struct Pattern {
    own: Affine,
    other: Option<(usize, DType, Affine)>,
    low: Option<f32>,
    high: Option<f32>,
    scale: Slot,
    dtype: DType,
}

/// An expression being matched; input 0 is the sums.
struct Matcher<'a> {
    expr: &'a Expr,
    operands: &'a [Operand],
    types: &'a [Type],
}

impl Pattern {
    /// The pattern that an expression is, if it is one.
    fn of(expr: &Expr, operands: &[Operand], types: &[Type], dtype: DType) -> Option<Self> {
        let m = Matcher { expr, operands, types };
        let mut at = *expr.outs().first()?;
        match (dtype, m.node(at)) {
            (DType::F32, _) => {}
            (DType::U8 | DType::I8, Node::Unary(Unary::Round, x)) => at = x,
            _ => return None,
        }
        let mut scale = Slot::None;
        if let Some((x, factor)) = m.with_coefficient(Binary::Mul, at)
            && m.affine(at).is_none()
        {
            (at, scale) = (x, factor);
        }
        let (mut low, mut high) = (None, None);
        if let Some((x, bound)) = m.bound(Binary::Min, at) {
            (at, high) = (x, Some(bound));
        }
        if let Some((x, bound)) = m.bound(Binary::Max, at) {
            (at, low) = (x, Some(bound));
        }
        if let (Some(low), Some(high)) = (low, high)
            && low > high
        {
            return None;
        }
        let (own, other) = match (m.affine(at), m.node(at)) {
            (Some((0, own)), _) => (own, None),
            (None, Node::Binary(Binary::Add, a, b)) => match (m.affine(a)?, m.affine(b)?) {
                ((0, own), (i, other)) | ((i, other), (0, own)) if i > 0 => (own, Some((i, other))),
                _ => return None,
            },
            _ => return None,
        };
        let other = other.map(|(i, affine)| (i - 1, types[i - 1].dtype, affine));
        Some(Self { own, other, low, high, scale, dtype })
    }

    /// The pattern with the memory of a call.
    ///
    /// # Safety
    /// Scalars are readable.
    unsafe fn resolve(&self, others: &[*const u8], out: *mut u8) -> Requantize {
        let coefficient = |slot: Slot| match slot {
            Slot::None => Coefficient::None,
            Slot::Constant(x) => Coefficient::Scalar(x),
            // SAFETY: by contract.
            Slot::Scalar(i) => Coefficient::Scalar(unsafe { others[i].cast::<f32>().read() }),
            Slot::Channels(i) => Coefficient::Channels(others[i].cast()),
        };
        let term = |a: Affine| Term { scale: coefficient(a.scale), shift: coefficient(a.shift) };
        Requantize {
            own: term(self.own),
            other: self.other.map(|(i, dtype, a)| (Dense { dtype, first: others[i] }, term(a))),
            low: self.low,
            high: self.high,
            scale: coefficient(self.scale),
            dtype: self.dtype,
            out,
        }
    }
}

impl Matcher<'_> {
    fn node(&self, id: u32) -> Node {
        self.expr.nodes()[id as usize]
    }

    /// A constant, or an operand with one value for all or for each channel.
    fn coefficient(&self, id: u32) -> Option<Slot> {
        let i = match self.node(id) {
            Node::Const(bits) => return Some(Slot::Constant(f64::from_bits(bits) as f32)),
            Node::In(i) => (i as usize).checked_sub(1)?,
            _ => return None,
        };
        let (last, rest) = self.operands[i].repeat.split_last()?;
        if self.types[i].dtype != DType::F32 || !rest.iter().all(|r| *r) {
            return None;
        }
        Some(if *last { Slot::Scalar(i) } else { Slot::Channels(i) })
    }

    /// The other operand of an exchangeable operation with a coefficient.
    fn with_coefficient(&self, op: Binary, id: u32) -> Option<(u32, Slot)> {
        let Node::Binary(found, a, b) = self.node(id) else { return None };
        if found != op {
            return None;
        }
        self.coefficient(b).map(|c| (a, c)).or_else(|| self.coefficient(a).map(|c| (b, c)))
    }

    fn bound(&self, op: Binary, id: u32) -> Option<(u32, f32)> {
        let (x, slot) = self.with_coefficient(op, id)?;
        if let Slot::Constant(bound) = slot { Some((x, bound)) } else { None }
    }

    /// A number for each element: the sums, or another operand.
    fn dense(&self, id: u32) -> Option<usize> {
        let Node::In(i) = self.node(id) else { return None };
        let i = i as usize;
        let is_dense = i == 0
            || (self.operands[i - 1].repeat.iter().all(|r| !r)
                && matches!(self.types[i - 1].dtype, DType::F32 | DType::I32 | DType::U8 | DType::I8));
        is_dense.then_some(i)
    }

    /// Which number for each element, and how it is scaled and shifted.
    fn affine(&self, id: u32) -> Option<(usize, Affine)> {
        let (scaled, shift) = self.with_coefficient(Binary::Add, id).unwrap_or((id, Slot::None));
        let (plain, scale) = self.with_coefficient(Binary::Mul, scaled).unwrap_or((scaled, Slot::None));
        self.dense(plain).map(|i| (i, Affine { scale, shift }))
    }
}
