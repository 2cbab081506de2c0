//! Which sums of columns have loops of their own ([`terms`](super::terms)): the values and products that normalizations
//! add up, whose products are summed with the values themselves.

use super::run::Part;
use super::terms::{Centred, Gated, Itself, Plain, Target};
use super::{Group, MAX_SUMS, ReduceKernel};
use crate::kernels::map::Operand;
use crate::simd::Isa;
use oxiconv_ir::expr::{Binary, Id, Node};
use oxiconv_ir::{DType, Expr};

/// A value of each row and column, from inputs by their numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Value {
    Plain(usize),
    /// An input less another, which is the same for all rows.
    Centred(usize, usize),
    /// The second input where the first is positive, else 0: what a ReLU lets through.
    Gated(usize, usize),
}

/// Sums of a value, and of its products with another, that are computed together.
#[derive(Debug, Clone, Copy)]
struct Pass {
    value: Value,
    /// The result that is the sum of the value itself.
    alone: Option<usize>,
    /// The other value, and the result that is the sum of products.
    times: Option<(Value, usize)>,
    centre: Option<Centre>,
}

/// An input that rows share.
#[derive(Debug, Clone, Copy)]
struct Centre {
    input: usize,
    /// Whether each entry of the outermost axes has its own.
    each: bool,
}

/// Sums of columns, as passes over the rows.
#[derive(Debug, Clone)]
pub(super) struct Passes {
    each: Vec<Pass>,
    /// Per input: whether it is bfloat16.
    half: Vec<bool>,
    columns: usize,
}

/// What an input is, within the index space.
#[derive(Clone, Copy, PartialEq)]
enum Role {
    Dense,
    Centre { each: bool },
    Other,
}

impl Role {
    fn of(input: &Operand, dims: &[usize], axes: &[usize]) -> Self {
        // Axes of one element are of any kind, but the first may have more at run time.
        let real = |a: &usize| *a == 0 || dims[*a] > 1;
        let repeat = |a: usize| input.repeat[a];
        let last = axes.iter().copied().filter(real).max().unwrap_or(0);
        let mut outer = (0..last).filter(|a| real(a) && !axes.contains(a));
        let each = outer.clone().next().is_some_and(|a| !repeat(a));
        if matches!(input.dtype, DType::F32 | DType::Bf16) && (0..dims.len()).filter(real).all(|a| !repeat(a)) {
            Self::Dense
        } else if input.dtype != DType::F32 {
            Self::Other
        } else if axes.iter().copied().filter(real).all(repeat)
            && (last + 1..dims.len()).filter(real).all(|a| !repeat(a))
            && outer.all(|a| repeat(a) != each)
        {
            Self::Centre { each }
        } else {
            Self::Other
        }
    }
}

impl Passes {
    /// The passes that sum the results of `expr` over `axes`; none unless all of them are of these kinds.
    pub(super) fn new(
        expr: &Expr,
        inputs: &[Operand],
        dims: &[usize],
        axes: &[usize],
        groups: &[Group],
    ) -> Option<Self> {
        let columns = match groups {
            [Group { vanishes: true, .. }, Group { size, .. }]
            | [_, Group { vanishes: true, .. }, Group { size, .. }] => *size,
            _ => return None,
        };
        let roles: Vec<Role> = inputs.iter().map(|i| Role::of(i, dims, axes)).collect();
        let mut passes: Vec<Pass> = Vec::new();
        let mut alone = Vec::new();
        for (k, &out) in expr.outs().iter().enumerate() {
            match term(expr, &roles, out)? {
                (value, None) => alone.push((value, k)),
                (value, Some(times)) => {
                    passes.push(Pass { value, alone: None, times: Some((times, k)), centre: None });
                }
            }
        }
        for (value, k) in alone {
            // One product's pass takes the sum of its value with it.
            match passes.iter_mut().find(|p| p.value == value && p.alone.is_none()) {
                Some(pass) => pass.alone = Some(k),
                None => passes.push(Pass { value, alone: Some(k), times: None, centre: None }),
            }
        }
        for pass in &mut passes {
            let values = [Some(pass.value), pass.times.map(|t| t.0)];
            pass.centre = values.into_iter().flatten().find_map(|v| match (v, &roles) {
                (Value::Centred(_, m), roles) => match roles[m] {
                    Role::Centre { each } => Some(Centre { input: m, each }),
                    Role::Dense | Role::Other => None,
                },
                _ => None,
            });
        }
        let half = inputs.iter().map(|i| i.dtype == DType::Bf16).collect();
        Some(Self { each: passes, half, columns })
    }

    /// Floats of memory for what rows share.
    pub(super) fn scratch_len(&self) -> usize {
        self.each.len() * ReduceKernel::wide(self.columns)
    }

    /// Repeats what rows share over wide rows, for entry `entry` of the outermost axes.
    ///
    /// # Safety
    /// As [`ReduceKernel::run`]; `memory` has [`Self::scratch_len`] floats.
    pub(super) unsafe fn repeat(&self, inputs: &[*const u8], entry: usize, memory: &mut [f32]) {
        let wide = ReduceKernel::wide(self.columns);
        for (pass, tile) in self.each.iter().zip(memory.chunks_exact_mut(wide.max(1))) {
            let Some(Centre { input, each }) = pass.centre else { continue };
            let from = inputs[input].cast::<f32>().wrapping_add(if each { entry * self.columns } else { 0 });
            // SAFETY: the input has a float per column, for each entry if it has entries.
            let from = unsafe { std::slice::from_raw_parts(from, self.columns) };
            tile.chunks_exact_mut(self.columns).for_each(|copy| copy.copy_from_slice(from));
        }
    }

    /// Adds part of the rows from element `start` on to the sums, those of each result `apart`.
    ///
    /// # Safety
    /// As [`ReduceKernel::run`]; `memory` is as [`Self::repeat`] has left it, sums have the part's width.
    pub(super) unsafe fn run(
        &self,
        isa: Isa,
        inputs: &[*const u8],
        memory: &[f32],
        start: usize,
        part: Part,
        sums: [*mut f32; MAX_SUMS],
    ) {
        let wide = ReduceKernel::wide(self.columns);
        for (pass, tile) in self.each.iter().zip(memory.chunks_exact(wide.max(1))) {
            let dense = |i: usize| {
                let (half, at) = (self.half[i], start + part.first);
                Plain { first: inputs[i].wrapping_add(at * if half { 2 } else { 4 }), half }
            };
            let centred = |i: usize| Centred { x: dense(i), centre: tile.as_ptr().wrapping_add(part.first) };
            let gated = |gate: usize, x: usize| Gated { gate: dense(gate), x: dense(x) };
            let to = Target { isa, part, alone: pass.alone.map(|k| sums[k]) };
            let product = |k: usize| sums[k];
            use Value as V;
            // SAFETY: dense inputs have all elements of the part, tiles those of a wide row.
            unsafe {
                match (pass.value, pass.times) {
                    (V::Plain(x), None) => to.sum(dense(x)),
                    (V::Centred(x, _), None) => to.sum(centred(x)),
                    (V::Gated(z, x), None) => to.sum(gated(z, x)),
                    (V::Plain(x), Some((V::Plain(y), k))) if x == y => to.sums(dense(x), Itself, product(k)),
                    (V::Plain(x), Some((V::Plain(y), k))) => to.sums(dense(x), dense(y), product(k)),
                    (V::Plain(x), Some((V::Centred(y, _), k))) => to.sums(dense(x), centred(y), product(k)),
                    (V::Centred(x, _), Some((_, k))) => to.sums(centred(x), Itself, product(k)),
                    (V::Gated(z, x), Some((V::Centred(y, _), k))) => to.sums(gated(z, x), centred(y), product(k)),
                    _ => unreachable!("no such pass is made"),
                }
            }
        }
    }
}

/// A node as a value, or as the product of two for which there is a loop.
fn term(expr: &Expr, roles: &[Role], id: Id) -> Option<(Value, Option<Value>)> {
    if let Some(v) = value(expr, roles, id) {
        return Some((v, None));
    }
    let Node::Binary(Binary::Mul, a, b) = expr.nodes()[id as usize] else { return None };
    let (a, b) = (value(expr, roles, a)?, value(expr, roles, b)?);
    match (a, b) {
        (Value::Plain(_), Value::Plain(_) | Value::Centred(..)) | (Value::Gated(..), Value::Centred(..)) => {
            Some((a, Some(b)))
        }
        (Value::Centred(..), Value::Plain(_) | Value::Gated(..)) => Some((b, Some(a))),
        (Value::Centred(..), Value::Centred(..)) if a == b => Some((a, Some(b))),
        _ => None,
    }
}

fn value(expr: &Expr, roles: &[Role], id: Id) -> Option<Value> {
    let input = |id: Id| match expr.nodes()[id as usize] {
        Node::In(i) => Some(i as usize),
        _ => None,
    };
    let dense = |id: Id| input(id).filter(|&i| roles[i] == Role::Dense);
    let zero = |id: Id| matches!(expr.nodes()[id as usize], Node::Const(bits) if bits == 0.0f64.to_bits());
    match expr.nodes()[id as usize] {
        Node::In(_) => dense(id).map(Value::Plain),
        Node::Binary(Binary::Sub, x, m) => {
            let centre = input(m).filter(|&i| matches!(roles[i], Role::Centre { .. }))?;
            Some(Value::Centred(dense(x)?, centre))
        }
        Node::Select(condition, x, other) if zero(other) => match expr.nodes()[condition as usize] {
            Node::Binary(Binary::Gt, gate, bound) if zero(bound) => Some(Value::Gated(dense(gate)?, dense(x)?)),
            _ => None,
        },
        _ => None,
    }
}
