//! Reverse-mode differentiation: the rule of every op, written once against [`Emit`], and the walk that applies the
//! rules in reverse. The walk serves a traced graph and an eager tape alike; since rules emit ordinary ops, gradients
//! can be differentiated again.
#![deny(clippy::wildcard_enum_match_arm)]

use crate::{Binary, Compose, DType, Emit, Error, Expr, Graph, NodeId, Op, Result, Seat, Type};
use rustc_hash::{FxHashMap, FxHashSet};

/// An op that was applied: what the walk goes back over.
#[derive(Debug, Clone)]
pub struct Record<V> {
    /// The op.
    pub op: Op,
    /// Its arguments.
    pub args: Vec<V>,
    /// Its result.
    pub out: V,
}

impl Op {
    /// Whether cotangents can pass from a result of the op to some argument (float values on both sides assumed).
    pub fn is_differentiable(&self) -> bool {
        match self {
            Self::Arg { .. }
            | Self::Const { .. }
            | Self::Random { .. }
            | Self::Detach
            | Self::ArgSort
            | Self::WindowArgMax(_) => false,
            Self::Cast(dtype) | Self::Map { dtype, .. } => dtype.is_float(),
            Self::Product { .. }
            | Self::Sum(_)
            | Self::Max(_)
            | Self::Broadcast { .. }
            | Self::Reshape(_)
            | Self::Permute(_)
            | Self::Slice { .. }
            | Self::Pad { .. }
            | Self::Concat(_)
            | Self::WindowSum(_)
            | Self::WindowSpread(_)
            | Self::WindowTake(_)
            | Self::WindowPut(_)
            | Self::Gather { .. }
            | Self::ScatterAdd { .. }
            | Self::GatherEach { .. }
            | Self::ScatterEach { .. } => true,
        }
    }
}

/// Cotangents of an op's arguments, from the cotangent `g` of its result `out`: for each argument that `wants` asks
/// for (floating ones only), the term this use of it adds, or none where it is zero everywhere. Terms are of the
/// argument's type; adding them up is the caller's part.
pub fn vjp<E: Emit>(
    to: &mut E,
    op: &Op,
    args: &[E::Value],
    out: &E::Value,
    g: &E::Value,
    wants: &[bool],
) -> Result<Vec<Option<E::Value>>> {
    let dims = |to: &E, i: usize| to.ty(&args[i]).dims;
    // The one cotangent of an op with one float argument (an index may follow it).
    let inverse = match op {
        Op::Arg { .. } | Op::Const { .. } | Op::Random { .. } | Op::Detach | Op::ArgSort | Op::WindowArgMax(_) => {
            return Ok(vec![None; args.len()]);
        }
        Op::Map { expr, dtype } if dtype.is_float() => return map(to, expr, args, out, g, wants),
        Op::Map { .. } => return Ok(vec![None; args.len()]),
        // Put the cotangent in the result's seat, solve for each other seat.
        Op::Product { form, solve } => {
            let [first, second] = solve.others();
            let mut solve_for = |seat: Seat, i: usize| -> Result<Option<E::Value>> {
                if !wants[i] {
                    return Ok(None);
                }
                let filled = seat.others().map(|s| s.position(*solve).map_or_else(|| g.clone(), |p| args[p].clone()));
                to.emit(Op::Product { form: form.clone(), solve: seat }, &filled).map(Some)
            };
            return Ok(vec![solve_for(first, 0)?, solve_for(second, 1)?]);
        }
        Op::Max(axes) if wants[0] => return Ok(vec![Some(max(to, axes, &args[0], out, g)?)]),
        Op::Max(_) => return Ok(vec![None]),
        Op::Concat(axis) => return concat(to, *axis, args, g, wants),
        Op::Cast(_) => Op::Cast(to.ty(&args[0]).dtype),
        Op::Sum(axes) => Op::Broadcast { dims: dims(to, 0), axes: axes.clone() },
        Op::Broadcast { axes, .. } => Op::Sum(axes.clone()),
        Op::Reshape(_) => Op::Reshape(dims(to, 0)),
        Op::Permute(perm) => {
            let mut back = vec![0; perm.len()];
            for (i, &p) in perm.iter().enumerate() {
                back[p] = i;
            }
            Op::Permute(back)
        }
        Op::Slice { start, step, .. } => unslice(start, step, &dims(to, 0), &to.ty(g).dims),
        Op::Pad { low, interior, .. } => unpad(low, interior, &dims(to, 0)),
        Op::WindowSum(w) => Op::WindowSpread(w.clone()),
        Op::WindowSpread(w) => Op::WindowSum(w.clone()),
        Op::WindowTake(w) => Op::WindowPut(w.clone()),
        Op::WindowPut(w) => Op::WindowTake(w.clone()),
        Op::Gather { axis } => Op::ScatterAdd { axis: *axis, size: dims(to, 0)[*axis] },
        Op::ScatterAdd { axis, .. } => Op::Gather { axis: *axis },
        Op::GatherEach { axis } => Op::ScatterEach { axis: *axis, size: dims(to, 0)[*axis] },
        Op::ScatterEach { axis, .. } => Op::GatherEach { axis: *axis },
    };
    let index = args.get(1).cloned();
    let mut terms = vec![None; args.len()];
    if wants[0] {
        terms[0] = Some(in_float32(to, inverse, &[Some(g.clone()), index].into_iter().flatten().collect::<Vec<_>>())?);
    }
    Ok(terms)
}

/// Applies an op that exists for float32 alone, or for every type: half arguments are widened and the result is
/// rounded back, where the op needs it.
fn in_float32<E: Emit>(to: &mut E, op: Op, args: &[E::Value]) -> Result<E::Value> {
    let half = to.ty(&args[0]).dtype;
    if !half.is_half() || !op.needs_float32() {
        return to.emit(op, args);
    }
    let mut args = args.to_vec();
    args[0] = to.emit(Op::Cast(DType::F32), &args[..1])?;
    let out = to.emit(op, &args)?;
    to.emit(Op::Cast(half), &[out])
}

fn map<E: Emit>(
    to: &mut E,
    expr: &Expr,
    args: &[E::Value],
    out: &E::Value,
    g: &E::Value,
    wants: &[bool],
) -> Result<Vec<Option<E::Value>>> {
    let values = [args, &[out.clone(), g.clone()]].concat();
    let mut term = |i: usize| {
        let (slope, used) = expr.pullback(i).compact();
        if slope.is_zero() {
            return Ok(None);
        }
        let inputs: Vec<E::Value> = used.into_iter().map(|i| values[i].clone()).collect();
        let dtype = to.ty(&args[i]).dtype;
        to.map(slope, dtype, &inputs).map(Some)
    };
    (0..args.len()).map(|i| if wants[i] { term(i) } else { Ok(None) }).collect()
}

/// The elements that equal the maximum share its cotangent equally, so that the cotangent does not depend on their
/// order. (Max-pooling, by contrast, gives it to the first: see [`Op::WindowArgMax`].)
fn max<E: Emit>(to: &mut E, axes: &[usize], x: &E::Value, out: &E::Value, g: &E::Value) -> Result<E::Value> {
    let over_x = Op::Broadcast { dims: to.ty(x).dims, axes: axes.to_vec() };
    let winner = to.emit(over_x.clone(), std::slice::from_ref(out))?;
    let wins = to.map(Expr::binary(Binary::Eq), DType::F32, &[x.clone(), winner])?;
    let count = to.emit(Op::Sum(axes.to_vec()), std::slice::from_ref(&wins))?;
    let dtype = to.ty(x).dtype;
    let share = to.map(Expr::binary(Binary::Div), dtype, &[g.clone(), count])?;
    let share = to.emit(over_x, &[share])?;
    to.map(Expr::binary(Binary::Mul), dtype, &[share, wins])
}

fn concat<E: Emit>(
    to: &mut E,
    axis: usize,
    args: &[E::Value],
    g: &E::Value,
    wants: &[bool],
) -> Result<Vec<Option<E::Value>>> {
    let whole = to.ty(g).dims;
    let mut end = 0;
    let mut terms = Vec::with_capacity(args.len());
    for (arg, &wanted) in args.iter().zip(wants) {
        let (mut start, mut stop) = (vec![0; whole.len()], whole.clone());
        start[axis] = end;
        end += to.ty(arg).dims[axis];
        stop[axis] = end;
        let slice = Op::Slice { start, stop, step: vec![1; whole.len()] };
        terms.push(if wanted { Some(to.emit(slice, std::slice::from_ref(g))?) } else { None });
    }
    Ok(terms)
}

/// The padding that puts a slice of `taken` sizes back where it was in zeros of `from` sizes.
fn unslice(start: &[usize], step: &[usize], from: &[usize], taken: &[usize]) -> Op {
    let interior: Vec<usize> = step.iter().map(|s| s - 1).collect();
    // Up to the last element taken; what remains above it the steps never reached.
    let reached = |a: usize| start[a] + taken[a].saturating_sub(1) * step[a] + usize::from(taken[a] > 0);
    let high = (0..from.len()).map(|a| from[a] - reached(a)).collect();
    Op::Pad { low: start.to_vec(), high, interior }
}

/// The slice that takes a tensor of `inner` sizes out of its padding.
fn unpad(low: &[usize], interior: &[usize], inner: &[usize]) -> Op {
    let step: Vec<usize> = interior.iter().map(|i| i + 1).collect();
    let reached = |a: usize| low[a] + inner[a].saturating_sub(1) * step[a] + usize::from(inner[a] > 0);
    Op::Slice { start: low.to_vec(), stop: (0..inner.len()).map(reached).collect(), step }
}

/// Cotangents of `sources`, from `seeds`: pairs of a value and its cotangent. `records` are in order of application;
/// only those on a path from a source to a seed are gone over. None for a source that no seed depends on (through
/// float values, and not through [`Op::Detach`] or steps alone).
pub fn pullback<E: Emit>(
    to: &mut E,
    records: &[Record<E::Value>],
    seeds: &[(E::Value, E::Value)],
    sources: &[E::Value],
) -> Result<Vec<Option<E::Value>>> {
    let kept: FxHashSet<u64> = sources.iter().map(|s| to.id(s)).collect();
    // What depends on a source.
    let is_float = |to: &E, v: &E::Value| to.ty(v).dtype.is_float();
    let mut reached: FxHashSet<u64> = sources.iter().filter(|s| is_float(to, s)).map(|s| to.id(s)).collect();
    for r in records.iter().filter(|r| r.op.is_differentiable()) {
        if r.args.iter().any(|a| reached.contains(&to.id(a))) && is_float(to, &r.out) {
            reached.insert(to.id(&r.out));
        }
    }
    let mut cotangents: FxHashMap<u64, E::Value> = FxHashMap::default();
    for (value, cotangent) in seeds {
        let (expected, given) = (to.ty(value), to.ty(cotangent));
        check_seed(&expected, &given)?;
        accumulate(to, &mut cotangents, value, cotangent.clone())?;
    }
    for r in records.iter().rev().filter(|r| r.op.is_differentiable()) {
        let id = to.id(&r.out);
        // A cotangent has no further use once passed on, unless it is asked for.
        let taken = if kept.contains(&id) { cotangents.get(&id).cloned() } else { cotangents.remove(&id) };
        let wants: Vec<bool> = r.args.iter().map(|a| reached.contains(&to.id(a))).collect();
        let Some(g) = taken.filter(|_| wants.contains(&true)) else { continue };
        for (arg, term) in r.args.iter().zip(vjp(to, &r.op, &r.args, &r.out, &g, &wants)?) {
            if let Some(term) = term {
                accumulate(to, &mut cotangents, arg, term)?;
            }
        }
    }
    Ok(sources.iter().map(|s| cotangents.get(&to.id(s)).cloned()).collect())
}

fn check_seed(value: &Type, cotangent: &Type) -> Result<()> {
    let (expected, given) = (format!("a cotangent of type {value}"), cotangent.to_string());
    if !value.dtype.is_float() {
        Err(Error::dtype("gradient", "a floating target", value.to_string()))
    } else if cotangent.dtype != value.dtype {
        Err(Error::dtype("gradient", expected, given))
    } else if cotangent.dims != value.dims {
        Err(Error::shape("gradient", expected, given))
    } else {
        Ok(())
    }
}

fn accumulate<E: Emit>(
    to: &mut E,
    cotangents: &mut FxHashMap<u64, E::Value>,
    value: &E::Value,
    term: E::Value,
) -> Result<()> {
    let id = to.id(value);
    let sum = match cotangents.get(&id) {
        Some(sum) => to.add(sum, &term)?,
        None => term,
    };
    cotangents.insert(id, sum);
    Ok(())
}

impl Graph {
    /// Gradients of the sum of `target`'s elements with respect to `sources`; see [`pullback`].
    pub fn grad(&mut self, target: NodeId, sources: &[NodeId]) -> Result<Vec<Option<NodeId>>> {
        let ones = self.full(1.0, &self.ty(&target))?;
        self.grad_from(&[(target, ones)], sources)
    }

    /// Cotangents of `sources`, given those of some nodes; see [`pullback`].
    pub fn grad_from(&mut self, seeds: &[(NodeId, NodeId)], sources: &[NodeId]) -> Result<Vec<Option<NodeId>>> {
        let targets: Vec<NodeId> = seeds.iter().map(|s| s.0).collect();
        let live = self.live(&targets);
        let records: Vec<Record<NodeId>> = self
            .ids()
            .filter(|id| live[id.index()])
            .map(|out| Record { op: self.node(out).op.clone(), args: self.node(out).args.clone(), out })
            .collect();
        pullback(self, &records, seeds, sources)
    }
}
