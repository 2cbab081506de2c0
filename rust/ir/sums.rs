//! Sums of many terms that are one op on joined arguments: what reverse-mode differentiation makes of a value that is
//! read piece by piece (a sequence, step by step) or of a weight that is used many times (at each step).
//!
//! - Slices put back into zeros, side by side: a concatenation. The sum would pass over the whole for each piece.
//! - Kernel gradients of one form: the gradient for all rows at once, and likewise sums over rows. Each term would
//!   write, and add up over the tasks of a batch, a tensor as large as the kernel.

use crate::graph::{Graph, NodeId};
use crate::{Binary, Compose, DType, Emit, Expr, Form, Op, Result, Seat, Type};

/// Fewest products or sums worth joining: joining copies the arguments.
const MIN_TERMS: usize = 3;
/// Arguments may be this many times as large as the result: as many terms as a batch has tasks.
const MAX_RATIO: usize = 16;

/// Sums over more rows than this read more than joining saves.
const MAX_ROWS: usize = 512;

/// The graph that computes `roots` with such sums joined, and where the roots went. Argument indices stay.
pub fn join(graph: &Graph, roots: &[NodeId]) -> Result<(Graph, Vec<NodeId>)> {
    let live = graph.live(roots);
    let mut uses = vec![0_u32; graph.nodes().len()];
    let mut within = vec![false; graph.nodes().len()];
    for id in graph.ids().filter(|id| live[id.index()]) {
        let add = is_add(&graph.node(id).op);
        for a in &graph.node(id).args {
            uses[a.index()] += 1;
            within[a.index()] = add && is_add(&graph.node(*a).op);
        }
    }
    for r in roots {
        uses[r.index()] += 2;
    }
    let inner = |id: NodeId| within[id.index()] && uses[id.index()] == 1;
    let mut to = Graph::new();
    let mut moved: Vec<Option<NodeId>> = vec![None; graph.nodes().len()];
    for id in graph.ids().filter(|id| live[id.index()]) {
        let node = graph.node(id);
        let at = |a: NodeId| moved[a.index()].expect("arguments precede");
        let joined = if is_add(&node.op) && !inner(id) {
            let (mut terms, mut stack) = (Vec::new(), vec![id]);
            while let Some(next) = stack.pop() {
                if next == id || inner(next) {
                    stack.extend(graph.node(next).args.iter().rev());
                } else {
                    terms.push((at(next), uses[next.index()] == 1));
                }
            }
            join_terms(&mut to, &terms)?
        } else {
            None
        };
        moved[id.index()] = Some(match joined {
            Some(sum) => sum,
            None => to.emit(node.op.clone(), &node.args.iter().map(|a| at(*a)).collect::<Vec<_>>())?,
        });
    }
    Ok((to, roots.iter().map(|r| moved[r.index()].expect("roots are reachable")).collect()))
}

fn is_add(op: &Op) -> bool {
    matches!(op, Op::Map { expr, dtype: DType::F32 } if *expr == Expr::binary(Binary::Add))
}

/// What terms must share to be joined.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Kin {
    /// Padding along this axis alone.
    Pad(usize),
    /// Kernel gradients of a form, for arguments of these types.
    Kernel(Form, Vec<Type>),
    /// Sums over axes of a type.
    Sum(Vec<usize>, Type),
}

/// The sum of the terms (each with whether it is used here alone) with those of one kin joined; none if there are no
/// such.
fn join_terms(graph: &mut Graph, terms: &[(NodeId, bool)]) -> Result<Option<NodeId>> {
    let mut groups: Vec<(Option<Kin>, Vec<NodeId>)> = Vec::new();
    for &(term, alone) in terms {
        let kin = if alone { kin(graph, term) } else { None };
        match groups.iter_mut().find(|(k, _)| kin.is_some() && *k == kin) {
            Some((_, group)) => group.push(term),
            None => groups.push((kin, vec![term])),
        }
    }
    if groups.len() == terms.len() {
        return Ok(None);
    }
    let (mut sum, mut any) = (None, false);
    for (kin, group) in groups {
        let joined = match kin {
            Some(Kin::Pad(axis)) if group.len() > 1 => side_by_side(graph, axis, &group)?,
            Some(Kin::Kernel(..) | Kin::Sum(..)) if group.len() >= MIN_TERMS => Some(over_rows(graph, &group)?),
            _ => None,
        };
        any |= joined.is_some();
        for term in joined.map_or(group, |j| vec![j]) {
            sum = Some(match sum {
                Some(sum) => graph.add(&sum, &term)?,
                None => term,
            });
        }
    }
    Ok(sum.filter(|_| any))
}

fn kin(graph: &Graph, term: NodeId) -> Option<Kin> {
    let node = graph.node(term);
    let types: Vec<Type> = node.args.iter().map(|a| graph.node(*a).ty.clone()).collect();
    let small = types.iter().map(Type::len).sum::<usize>() <= MAX_RATIO * node.ty.len();
    match &node.op {
        Op::Pad { low, high, interior } if interior.iter().all(|i| *i == 0) => {
            let mut axes = (0..low.len()).filter(|&a| low[a] + high[a] > 0);
            axes.next().filter(|_| axes.next().is_none()).map(Kin::Pad)
        }
        Op::Product { form, solve: Seat::Kernel } if small => {
            // Matrices with leading axes are products of their own.
            let rows = !matches!(form, Form::MatMul) || types[0].rank() == 2;
            rows.then(|| Kin::Kernel(form.clone(), types))
        }
        Op::Sum(axes) if axes.first() == Some(&0) && types[0].dims[0] <= MAX_ROWS => {
            let rest = types[0].len() / types[0].dims[0].max(1);
            (rest <= MAX_RATIO * node.ty.len()).then(|| Kin::Sum(axes.clone(), types[0].clone()))
        }
        _ => None,
    }
}

/// Padded pieces as a concatenation; none if they overlap.
fn side_by_side(graph: &mut Graph, axis: usize, group: &[NodeId]) -> Result<Option<NodeId>> {
    let whole = graph.ty(&group[0]);
    let mut pieces: Vec<(usize, NodeId)> = Vec::with_capacity(group.len());
    for &g in group {
        let node = graph.node(g);
        let Op::Pad { low, .. } = &node.op else { return Ok(None) };
        pieces.push((low[axis], node.args[0]));
    }
    pieces.sort_unstable();
    let mut parts = Vec::with_capacity(pieces.len());
    let mut end = 0;
    let gap = |graph: &mut Graph, from: usize, to: usize| {
        let mut ty = whole.clone();
        ty.dims[axis] = to - from;
        graph.zeros(&ty)
    };
    for (start, piece) in pieces {
        if start < end {
            return Ok(None);
        }
        if start > end {
            parts.push(gap(graph, end, start)?);
        }
        parts.push(piece);
        end = start + graph.node(piece).ty.dims[axis];
    }
    if end < whole.dims[axis] {
        parts.push(gap(graph, end, whole.dims[axis])?);
    }
    graph.concat(&parts, axis).map(Some)
}

/// Kernel gradients, or sums over rows, as one of all rows. Each row of one keeps beside it that row of the others, so
/// that samples stay together.
fn over_rows(graph: &mut Graph, group: &[NodeId]) -> Result<NodeId> {
    let op = graph.node(group[0]).op.clone();
    let mut args = Vec::new();
    for i in 0..graph.node(group[0]).args.len() {
        let mut parts = Vec::with_capacity(group.len());
        for g in group {
            let part = graph.node(*g).args[i];
            let mut dims = graph.ty(&part).dims;
            dims.insert(1, 1);
            parts.push(graph.emit(Op::Reshape(dims), &[part])?);
        }
        let joined = graph.concat(&parts, 1)?;
        let mut dims = graph.ty(&joined).dims;
        let beside = dims.remove(1);
        dims[0] *= beside;
        args.push(graph.emit(Op::Reshape(dims), &[joined])?);
    }
    graph.emit(op, &args)
}
