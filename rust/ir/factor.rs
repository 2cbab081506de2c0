//! Signs and repeated factors leave sums: `sum(-a * x)` is `-a * sum(x)` where `a` is the same for all terms.
//!
//! One multiplication takes the place of many, and sums that differed by a factor alone become one: the gradients of a
//! normalization's shift and of its mean are both the sum of what arrives. The error bound stays that of the sum, each
//! term being rounded once less and the result once more. Constants stay where they are: `sum(x / n)` may have been
//! written so because `sum(x)` would overflow.

use crate::graph::{Graph, NodeId};
use crate::{Binary, Compose, DType, Emit, Expr, Op, Result, Unary, expr};

/// The graph that computes `roots` with factors taken out of its sums, and where the roots went.
pub fn factor(graph: &Graph, roots: &[NodeId]) -> Result<(Graph, Vec<NodeId>)> {
    let live = graph.live(roots);
    let mut to = Graph::new();
    let mut moved: Vec<Option<NodeId>> = vec![None; graph.nodes().len()];
    for id in graph.ids().filter(|id| live[id.index()]) {
        let node = graph.node(id);
        let args: Vec<NodeId> = node.args.iter().map(|a| moved[a.index()].expect("arguments precede")).collect();
        let new = match &node.op {
            Op::Sum(axes) => sum(&mut to, axes, args[0])?,
            op => to.emit(op.clone(), &args)?,
        };
        moved[id.index()] = Some(new);
    }
    let roots = roots.iter().map(|r| moved[r.index()].expect("roots are reachable")).collect();
    Ok((to, roots))
}

/// The sum of a node over axes, with what leaves it.
fn sum(to: &mut Graph, axes: &[usize], id: NodeId) -> Result<NodeId> {
    let node = to.node(id).clone();
    let float = node.args.iter().all(|a| to.node(*a).ty.dtype == DType::F32);
    let Op::Map { expr, dtype: DType::F32 } = &node.op else { return to.emit(Op::Sum(axes.to_vec()), &[id]) };
    let Some((rest, negative, factors)) = peel(to, expr, &node.args, axes).filter(|_| float) else {
        return to.emit(Op::Sum(axes.to_vec()), &[id]);
    };
    let (rest, used) = expr.at(rest).compact();
    if used.is_empty() {
        // Constants alone, such as 1 / 3: what is left has no size of its own.
        return to.emit(Op::Sum(axes.to_vec()), &[id]);
    }
    let args: Vec<NodeId> = used.iter().map(|&i| node.args[i]).collect();
    let terms = if rest.is_input(0) { args[0] } else { to.map(rest, DType::F32, &args)? };
    let mut total = sum(to, axes, terms)?;
    for f in factors {
        let Op::Broadcast { dims, axes: repeated } = to.node(f).op.clone() else {
            unreachable!("factors are repeated")
        };
        let kept: Vec<usize> = (0..dims.len()).filter(|a| !axes.contains(a)).collect();
        let dims = kept.iter().map(|&a| dims[a]).collect();
        let repeated = (0..kept.len()).filter(|&a| repeated.contains(&kept[a])).collect();
        let source = to.node(f).args[0];
        let f = to.emit(Op::Broadcast { dims, axes: repeated }, &[source])?;
        total = to.mul(&total, &f)?;
    }
    if negative { to.unary(Unary::Neg, &total) } else { Ok(total) }
}

/// The node of the expression that is left to sum, whether the sum changes sign, and its factors; none if all is left.
fn peel(graph: &Graph, expr: &Expr, args: &[NodeId], axes: &[usize]) -> Option<(expr::Id, bool, Vec<NodeId>)> {
    let nodes = expr.nodes();
    let factor = |id: expr::Id| match nodes[id as usize] {
        expr::Node::In(i) => Some(args[i as usize]).filter(|a| match &graph.node(*a).op {
            Op::Broadcast { axes: repeated, .. } => {
                let constant = matches!(graph.node(graph.node(*a).args[0]).op, Op::Const { .. });
                !constant && axes.iter().all(|a| repeated.contains(a))
            }
            _ => false,
        }),
        _ => None,
    };
    let (top, mut negative, mut factors) = (expr.outs()[0], false, Vec::new());
    let mut left = top;
    loop {
        left = match nodes[left as usize] {
            expr::Node::Unary(Unary::Neg, a) => {
                negative = !negative;
                a
            }
            expr::Node::Binary(Binary::Mul, a, b) => match (factor(a), factor(b)) {
                // Something that varies must be left: the sum of what is repeated is another matter.
                (Some(f), None) => {
                    factors.push(f);
                    b
                }
                (None, Some(f)) => {
                    factors.push(f);
                    a
                }
                _ => break,
            },
            _ => break,
        };
    }
    let varies = !matches!(nodes[left as usize], expr::Node::Const(_)) && factor(left).is_none();
    (left != top && varies).then_some((left, negative, factors))
}
