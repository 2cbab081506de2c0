//! Rewrites of a traced graph that need no knowledge of batches or devices: dead and trivial nodes vanish, scalars
//! fold into expressions, and the gradient of max-pooling is kept in its compact form as long as possible.

use crate::expr::Arithmetic;
use crate::graph::{Graph, GraphNode, NodeId};
use crate::{Binary, Compose, DType, Emit, Expr, Op, Result, Unary, expr};
use half::{bf16, f16};
use std::collections::HashMap;

/// The graph that computes `roots`, rewritten, and where the roots went. Argument indices stay.
pub fn rewrite(graph: &Graph, roots: &[NodeId]) -> Result<(Graph, Vec<NodeId>)> {
    let live = graph.live(roots);
    let mut to = Rewriter { graph: Graph::new(), minima: HashMap::new() };
    let mut moved: Vec<Option<NodeId>> = vec![None; graph.nodes().len()];
    for id in graph.ids().filter(|id| live[id.index()]) {
        let node = graph.node(id);
        let args: Vec<NodeId> = node.args.iter().map(|a| moved[a.index()].expect("arguments precede")).collect();
        moved[id.index()] = Some(to.rewrite(node, &args)?);
    }
    let roots = roots.iter().map(|r| moved[r.index()].expect("roots are reachable")).collect();
    Ok((to.graph, roots))
}

struct Rewriter {
    graph: Graph,
    /// Of a node, its minimum with a constant, and the constant.
    minima: HashMap<NodeId, (NodeId, f64)>,
}

impl Rewriter {
    fn op(&self, id: NodeId) -> &Op {
        &self.graph.node(id).op
    }

    fn rewrite(&mut self, node: &GraphNode, args: &[NodeId]) -> Result<NodeId> {
        match &node.op {
            // Kernels need not know of sums without terms.
            Op::Product { .. } if args.iter().any(|a| self.graph.node(*a).ty.is_empty()) => self.graph.zeros(&node.ty),
            Op::Detach => Ok(args[0]),
            // A conversion is an elementwise identity: it then fuses with its neighbours.
            Op::Cast(dtype) => self.graph.emit(Op::Map { expr: Expr::input(1, 0), dtype: *dtype }, args),
            Op::Reshape(dims) => {
                let source =
                    if matches!(self.op(args[0]), Op::Reshape(_)) { self.graph.node(args[0]).args[0] } else { args[0] };
                self.graph.emit(Op::Reshape(dims.clone()), &[source])
            }
            Op::Broadcast { dims, axes } => {
                let Op::Broadcast { axes: inner, .. } = self.op(args[0]) else {
                    return self.graph.emit(node.op.clone(), args);
                };
                // Axes that the inner repetition made, by their place in the outer result.
                let kept: Vec<usize> = (0..dims.len()).filter(|a| !axes.contains(a)).collect();
                let mut all: Vec<usize> = axes.iter().copied().chain(inner.iter().map(|&a| kept[a])).collect();
                all.sort_unstable();
                let source = self.graph.node(args[0]).args[0];
                self.graph.emit(Op::Broadcast { dims: dims.clone(), axes: all }, &[source])
            }
            Op::Map { expr, dtype } => self.map(expr, *dtype, args, &node.ty.dims),
            // The zeros between the maxima add nothing.
            Op::Sum(axes) => {
                if let Op::WindowPut(w) = self.op(args[0])
                    && (1..=w.input.len()).all(|a| axes.contains(&a))
                {
                    let g = self.graph.node(args[0]).args[0];
                    return self.graph.emit(node.op.clone(), &[g]);
                }
                self.graph.emit(node.op.clone(), args)
            }
            _ => self.graph.emit(node.op.clone(), args),
        }
    }

    /// The scalar that this node repeats, if it does.
    fn scalar(&self, id: NodeId) -> Option<f64> {
        match self.op(id) {
            Op::Const { bits, .. } => Some(f64::from_bits(*bits)),
            Op::Broadcast { .. } => self.scalar(self.graph.node(id).args[0]),
            _ => None,
        }
    }

    fn map(&mut self, expr: &Expr, dtype: DType, args: &[NodeId], dims: &[usize]) -> Result<NodeId> {
        // The gradient of a ReLU with an upper bound then reads its result alone.
        let args: Vec<NodeId> = (args.iter().enumerate())
            .map(|(i, a)| self.minima.get(a).filter(|(_, most)| is_compared_below(expr, i, *most)).map_or(*a, |m| m.0))
            .collect();
        let types = args.iter().map(|a| self.graph.node(*a).ty.dtype).chain([dtype]);
        let integers = expr.arithmetic(types) != Arithmetic::F32;
        // Scalars become constants, equal arguments one input.
        let mut inputs: Vec<NodeId> = Vec::new();
        let mut constants: Vec<Option<Expr>> = Vec::new();
        let mut slots: Vec<usize> = Vec::new();
        for &a in &args {
            let scalar = self.scalar(a);
            slots.push(match inputs.iter().position(|&i| i == a) {
                _ if scalar.is_some() => 0,
                Some(i) => i,
                None => {
                    inputs.push(a);
                    inputs.len() - 1
                }
            });
            constants.push(scalar.map(|v| Expr::constant(0, v)));
        }
        let feeds: Vec<expr::Feed> = slots
            .iter()
            .zip(&constants)
            .map(|(&slot, c)| c.as_ref().map_or(expr::Feed::In(slot), |c| expr::Feed::Expr(c, &[])))
            .collect();
        let (expr, used) = expr.substitute(inputs.len(), &feeds).compact();
        let mut inputs: Vec<NodeId> = used.iter().map(|&i| inputs[i]).collect();
        let mut expr = expr;
        if inputs.is_empty()
            && !integers
            && let Some(value) = expr.as_constant()
        {
            let scalar = self.graph.emit(Op::Const { dtype, bits: convert(value, dtype).to_bits() }, &[])?;
            let axes = (0..dims.len()).collect();
            return if dims.is_empty() {
                Ok(scalar)
            } else {
                self.graph.emit(Op::Broadcast { dims: dims.to_vec(), axes }, &[scalar])
            };
        }
        if inputs.is_empty() {
            // Nothing is left to read the sizes from: keep one argument.
            inputs.push(args[0]);
            expr = expr.remap_inputs(1, &[]);
        }
        if expr.is_input(0) && inputs.len() == 1 && self.graph.node(inputs[0]).ty.dtype == dtype {
            return Ok(inputs[0]);
        }
        if dtype == DType::F32
            && let Some(put) = self.map_behind_put(&expr, &inputs)?
        {
            return Ok(put);
        }
        let most = minimum(&expr).filter(|_| dtype == DType::F32);
        let id = self.graph.emit(Op::Map { expr, dtype }, &inputs)?;
        if let Some(most) = most {
            self.minima.insert(inputs[0], (id, most));
        }
        Ok(id)
    }

    /// `f(put(g, index), a, ..)` where `f` is zero for `g` zero: `put(f(g, take(a, index), ..), index)`, so that the
    /// work is done on the maxima alone and zeros stay implicit. Only where `take(a, index)` is known already (it is
    /// the pooled value) and no two windows meet.
    fn map_behind_put(&mut self, expr: &Expr, inputs: &[NodeId]) -> Result<Option<NodeId>> {
        for (i, &put) in inputs.iter().enumerate() {
            let Op::WindowPut(window) = self.op(put).clone() else { continue };
            if !window.is_disjoint() || !is_zero_at(expr, i) {
                continue;
            }
            let [g, index] = self.graph.node(put).args[..] else { continue };
            let mut compact = Vec::with_capacity(inputs.len());
            for (k, &a) in inputs.iter().enumerate() {
                if k == i {
                    compact.push(g);
                } else if let Some(taken) = self.graph.find(&Op::WindowTake(window.clone()), &[a, index]) {
                    compact.push(taken);
                } else {
                    break;
                }
            }
            if compact.len() == inputs.len() {
                let mapped = self.graph.emit(Op::Map { expr: expr.clone(), dtype: DType::F32 }, &compact)?;
                return self.graph.emit(Op::WindowPut(window), &[mapped, index]).map(Some);
            }
        }
        Ok(None)
    }
}

/// What a constant becomes when it is stored as a `dtype`.
fn convert(value: f64, dtype: DType) -> f64 {
    match dtype {
        DType::F32 => f64::from(value as f32),
        DType::F16 => f16::from_f32(value as f32).to_f64(),
        DType::Bf16 => bf16::from_f32(value as f32).to_f64(),
        DType::I64 => value as i64 as f64,
        DType::I32 => f64::from(value as i32),
        DType::I8 => f64::from(value as i8),
        DType::U8 => f64::from(value as u8),
        DType::Bool => f64::from(u8::from(value != 0.0)),
    }
}

/// The constant, if the expression is the minimum of its input and a constant.
fn minimum(expr: &Expr) -> Option<f64> {
    let node = |id: expr::Id| expr.nodes()[id as usize];
    match (expr.outs(), expr.arity()) {
        (&[out], 1) => match node(out) {
            expr::Node::Binary(Binary::Min, a, b) if node(a) == expr::Node::In(0) => match node(b) {
                expr::Node::Const(bits) => Some(f64::from_bits(bits)),
                _ => None,
            },
            _ => None,
        },
        _ => None,
    }
}

/// Whether all that an expression asks of input `i` is if it is above constants below `most`: the minimum of the input
/// and `most` gives the same answers, also where it is NaN.
fn is_compared_below(expr: &Expr, i: usize, most: f64) -> bool {
    let node = |id: expr::Id| expr.nodes()[id as usize];
    let is_input = |id: expr::Id| node(id) == expr::Node::In(i as u32);
    let below = |id: expr::Id| matches!(node(id), expr::Node::Const(bits) if f64::from_bits(bits) < most);
    let asked = |n: &expr::Node| match *n {
        expr::Node::Binary(Binary::Gt, a, b) if is_input(a) => below(b),
        n => !n.operands().any(is_input),
    };
    !expr.outs().iter().any(|o| is_input(*o)) && expr.nodes().iter().all(asked)
}

/// Whether the expression is zero wherever input `i` is, whatever the (finite) others are: input `i` is a factor.
fn is_zero_at(expr: &Expr, i: usize) -> bool {
    let nodes = expr.nodes();
    let mut zero = vec![false; nodes.len()];
    for (k, n) in nodes.iter().enumerate() {
        let z = |id: expr::Id| zero[id as usize];
        zero[k] = match *n {
            expr::Node::In(j) => j as usize == i,
            expr::Node::Const(bits) => f64::from_bits(bits) == 0.0,
            expr::Node::Unary(Unary::Neg | Unary::Abs, a) | expr::Node::Binary(Binary::Div, a, _) => z(a),
            expr::Node::Binary(Binary::Mul, a, b) => z(a) || z(b),
            expr::Node::Binary(Binary::Add | Binary::Sub, a, b) | expr::Node::Select(_, a, b) => z(a) && z(b),
            expr::Node::Unary(..) | expr::Node::Binary(..) => false,
        };
    }
    expr.outs().iter().all(|&o| zero[o as usize])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Type, expr::ExprBuilder};

    fn map(expr: Expr) -> Op {
        Op::Map { expr, dtype: DType::F32 }
    }

    fn of_constant(op: Binary, c: f64) -> Op {
        let mut b = ExprBuilder::new(1);
        let (x, c) = (b.input(0), b.constant(c));
        let out = b.binary(op, x, c);
        map(b.finish(&[out]))
    }

    /// `select(in0 > bound, in1, 0)`
    fn above(bound: f64) -> Op {
        let mut b = ExprBuilder::new(2);
        let (x, g, bound, zero) = (b.input(0), b.input(1), b.constant(bound), b.constant(0.0));
        let open = b.binary(Binary::Gt, x, bound);
        let out = b.select(open, g, zero);
        map(b.finish(&[out]))
    }

    #[test]
    fn a_comparison_reads_the_bounded_value() {
        for (bound, same) in [(0.0, true), (6.0, false)] {
            let mut graph = Graph::new();
            let mut arg = |index| graph.emit(Op::Arg { index, ty: Type::new(DType::F32, vec![4]) }, &[]).unwrap();
            let (x, g) = (arg(0), arg(1));
            let positive = graph.emit(of_constant(Binary::Max, 0.0), &[x]).unwrap();
            let bounded = graph.emit(of_constant(Binary::Min, 6.0), &[positive]).unwrap();
            let gradient = graph.emit(above(bound), &[positive, g]).unwrap();
            let (graph, roots) = rewrite(&graph, &[bounded, gradient]).unwrap();
            assert_eq!(graph.node(roots[1]).args.contains(&roots[0]), same, "above {bound}");
        }
    }
}
