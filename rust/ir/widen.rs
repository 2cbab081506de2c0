//! bfloat16 in a graph becomes float32 with its roundings written out.
//!
//! A bfloat16 is a float32 whose lower half is zero. What a graph says of bfloat16 is when values are rounded; whether
//! a rounded value takes two bytes or four is a question of memory, which [`narrow`](crate::narrow) answers once the
//! stages are known. Between the two, conversions are gone: elementwise work fuses across them, and products read what
//! elementwise work makes. Values are the same bits as in the graph that was traced.

use crate::graph::{Graph, GraphNode, NodeId};
use crate::{DType, Emit, Expr, Op, Result, Unary, expr};
use half::bf16;

/// The graph with float32 for every bfloat16 that is computed, and where the roots went; None if it has no bfloat16.
/// Arguments and roots keep their types, and so does what moves elements of arguments without computing.
pub fn widen(graph: &Graph, roots: &[NodeId]) -> Result<Option<(Graph, Vec<NodeId>)>> {
    if graph.nodes().iter().all(|n| n.ty.dtype != DType::Bf16) {
        return Ok(None);
    }
    let live = graph.live(roots);
    let mut uses = vec![0; graph.nodes().len()];
    let read = graph.ids().filter(|id| live[id.index()]).flat_map(|id| &graph.node(id).args);
    read.chain(roots).for_each(|a| uses[a.index()] += 1);
    let mut to = Widener { graph: Graph::new(), exact: Vec::new() };
    let mut moved: Vec<Option<NodeId>> = vec![None; graph.nodes().len()];
    for id in graph.ids().filter(|id| live[id.index()]) {
        let node = graph.node(id);
        let args: Vec<NodeId> = node.args.iter().map(|a| moved[a.index()].expect("arguments precede")).collect();
        let alone: Vec<bool> = node.args.iter().map(|a| uses[a.index()] == 1).collect();
        moved[id.index()] = Some(to.node(node, &args, &alone)?);
    }
    let mut ends = Vec::with_capacity(roots.len());
    for r in roots {
        let end = moved[r.index()].expect("roots are reachable");
        ends.push(if graph.node(*r).ty.dtype == DType::Bf16 { to.convert(end, DType::Bf16)? } else { end });
    }
    Ok(Some((to.graph, ends)))
}

struct Widener {
    graph: Graph,
    /// See [`exact`], for the nodes so far.
    exact: Vec<bool>,
}

impl Widener {
    /// A node of these arguments, some of which nothing else reads.
    fn node(&mut self, node: &GraphNode, args: &[NodeId], alone: &[bool]) -> Result<NodeId> {
        match &node.op {
            Op::Const { dtype: DType::Bf16, bits } => {
                let value = bf16::from_f32(f64::from_bits(*bits) as f32).to_f64();
                self.graph.emit(Op::Const { dtype: DType::F32, bits: value.to_bits() }, &[])
            }
            Op::Cast(DType::Bf16) => {
                let x = self.wide(args[0])?;
                self.rounded(&Expr::input(1, 0), &[x])
            }
            Op::Map { expr, dtype } => {
                let mut args = args.iter().map(|a| self.wide(*a)).collect::<Result<Vec<_>>>()?;
                if *dtype != DType::Bf16 {
                    return self.graph.emit(node.op.clone(), &args);
                }
                for (a, _) in args.iter_mut().zip(alone).filter(|(_, alone)| **alone) {
                    *a = self.unrounded(*a)?;
                }
                self.rounded(expr, &args)
            }
            // What only moves elements does so in their own type, unless they have been computed.
            op => {
                let half =
                    node.ty.dtype == DType::Bf16 && args.iter().all(|a| self.graph.node(*a).ty.dtype != DType::F32);
                let args = if half || args.is_empty() {
                    args.to_vec()
                } else {
                    args.iter().map(|a| self.wide(*a)).collect::<Result<Vec<_>>>()?
                };
                self.graph.emit(op.clone(), &args)
            }
        }
    }

    /// A value, as float32 if it is bfloat16.
    fn wide(&mut self, id: NodeId) -> Result<NodeId> {
        if self.graph.node(id).ty.dtype == DType::Bf16 { self.convert(id, DType::F32) } else { Ok(id) }
    }

    fn convert(&mut self, id: NodeId, dtype: DType) -> Result<NodeId> {
        if self.graph.node(id).ty.dtype == dtype {
            return Ok(id);
        }
        self.graph.emit(Op::Map { expr: Expr::input(1, 0), dtype }, &[id])
    }

    /// What a map makes before it rounds: elementwise work that feeds one other such work is rounded with that.
    fn unrounded(&mut self, id: NodeId) -> Result<NodeId> {
        let GraphNode { op: Op::Map { expr, dtype }, args, .. } = self.graph.node(id).clone() else { return Ok(id) };
        let plain = expr.unrounded();
        if plain == expr { Ok(id) } else { self.graph.emit(Op::Map { expr: plain, dtype }, &args) }
    }

    /// The map of float32 whose results a bfloat16 can hold.
    fn rounded(&mut self, expr: &Expr, args: &[NodeId]) -> Result<NodeId> {
        for i in self.exact.len()..self.graph.nodes().len() {
            let known = is_exact(&self.graph, &self.exact, &self.graph.nodes()[i]);
            self.exact.push(known);
        }
        let inputs: Vec<bool> =
            args.iter().map(|a| holds(self.graph.node(*a).ty.dtype, self.exact[a.index()])).collect();
        let expr = if keeps(expr, &inputs) {
            expr.clone()
        } else {
            Expr::unary(Unary::Bf16)
                .substitute(expr.arity(), &[expr::Feed::Expr(expr, &(0..expr.arity()).collect::<Vec<_>>())])
        };
        self.graph.emit(Op::Map { expr, dtype: DType::F32 }, args)
    }
}

/// Per node: whether it is float32 of which a bfloat16 holds every value.
pub fn exact(graph: &Graph) -> Vec<bool> {
    let mut known = Vec::with_capacity(graph.nodes().len());
    for node in graph.nodes() {
        let exact = is_exact(graph, &known, node);
        known.push(exact);
    }
    known
}

/// [`exact`] of one node, given that of the nodes before it.
fn is_exact(graph: &Graph, known: &[bool], node: &GraphNode) -> bool {
    let held = |a: &NodeId| holds(graph.node(*a).ty.dtype, known[a.index()]);
    node.ty.dtype == DType::F32
        && match &node.op {
            Op::Map { expr, .. } => keeps(expr, &node.args.iter().map(held).collect::<Vec<_>>()),
            Op::Const { bits, .. } => is_bf16(f64::from_bits(*bits)),
            Op::Reshape(_)
            | Op::Permute(_)
            | Op::Slice { .. }
            | Op::Pad { .. }
            | Op::Concat(_)
            | Op::Broadcast { .. }
            | Op::Max(_) => node.args.iter().all(held),
            // The second argument is an index. Windows that meet would add values up.
            Op::WindowTake(_) | Op::Gather { .. } | Op::GatherEach { .. } => held(&node.args[0]),
            Op::WindowPut(w) => w.is_disjoint() && held(&node.args[0]),
            Op::Arg { .. }
            | Op::Random { .. }
            | Op::Cast(_)
            | Op::Detach
            | Op::Product { .. }
            | Op::Sum(_)
            | Op::ArgSort
            | Op::WindowSum(_)
            | Op::WindowSpread(_)
            | Op::WindowArgMax(_)
            | Op::ScatterAdd { .. }
            | Op::ScatterEach { .. } => false,
        }
}

/// Whether a bfloat16 holds the values of an argument of this type. Its 8 significant bits hold bytes.
fn holds(dtype: DType, exact: bool) -> bool {
    match dtype {
        DType::F32 => exact,
        DType::Bf16 | DType::I8 | DType::U8 | DType::Bool => true,
        DType::F16 | DType::I32 | DType::I64 => false,
    }
}

fn is_bf16(value: f64) -> bool {
    value.is_nan() || bf16::from_f64(value).to_f64() == value
}

/// Whether a bfloat16 holds what an expression of one result computes in float32, given that for its inputs.
fn keeps(expr: &Expr, inputs: &[bool]) -> bool {
    use crate::Binary as B;
    let mut held: Vec<bool> = Vec::with_capacity(expr.nodes().len());
    for node in expr.nodes() {
        let at = |id: expr::Id| held[id as usize];
        let known = match *node {
            expr::Node::In(i) => inputs[i as usize],
            expr::Node::Const(bits) => is_bf16(f64::from_bits(bits)),
            expr::Node::Unary(Unary::Bf16 | Unary::Sign | Unary::Not | Unary::IsNan, _) => true,
            expr::Node::Unary(Unary::Neg | Unary::Abs, a) => at(a),
            expr::Node::Unary(..) => false,
            expr::Node::Binary(B::Min | B::Max, a, b) | expr::Node::Select(_, a, b) => at(a) && at(b),
            expr::Node::Binary(op, ..) => op.is_predicate(),
        };
        held.push(known);
    }
    held[expr.outs()[0] as usize]
}
