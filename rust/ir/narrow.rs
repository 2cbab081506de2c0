//! Values that outlive a sharded stage are kept as bfloat16 where that loses nothing.
//!
//! A float32 that has been rounded to bfloat16 ([`widen`](crate::widen)) has a lower half of zeros. While a shard is in
//! cache it stays float32, as products want it. What a later stage reads (what crosses a barrier, what waits for the
//! backward pass) is stored in half the bytes and is float32 again where it is read: maps and sums convert what they
//! load, a product reads a copy of its shard in scratch memory.

use crate::graph::{Graph, GraphNode, NodeId};
use crate::split::{Class, Split};
use crate::widen::exact;
use crate::{DType, Expr, Op, Type, Unary, expr};
use rustc_hash::FxHashMap;

/// The graph and its cut with rounded values of sharded stages stored as bfloat16 for later stages, and where the roots
/// went.
pub fn narrow(graph: &Graph, split: &Split, roots: &[NodeId]) -> (Graph, Split, Vec<NodeId>) {
    let count = graph.nodes().len();
    let mut readers = vec![Vec::new(); count];
    let live = graph.live(roots);
    for id in graph.ids().filter(|id| live[id.index()]) {
        graph.node(id).args.iter().for_each(|a| readers[a.index()].push(id));
    }
    let cut = Split { samples: split.samples, class: Vec::new(), time: Vec::new() };
    let (stored, moved, copies) = (vec![Stored::Wide; count], Vec::with_capacity(count), FxHashMap::default());
    let mut narrower = Narrower { graph, split, readers, stored, to: Graph::new(), cut, moved, copies };
    narrower.choose(roots);
    for id in graph.ids() {
        let moved = narrower.node(id);
        narrower.moved.push(moved);
    }
    let roots = roots.iter().map(|r| narrower.moved[r.index()]).collect();
    (narrower.to, narrower.cut, roots)
}

/// How a value is there.
#[derive(Clone, Copy, PartialEq)]
enum Stored {
    /// As it is.
    Wide,
    /// As bfloat16 alone.
    Half,
    /// As it is for the shard that makes it, as bfloat16 for later stages.
    Both,
    /// As the view of its argument: there however that is.
    View,
}

struct Narrower<'a> {
    graph: &'a Graph,
    split: &'a Split,
    /// Per node: what it is an argument of.
    readers: Vec<Vec<NodeId>>,
    /// Per node.
    stored: Vec<Stored>,
    to: Graph,
    cut: Split,
    /// Per node: itself in the new graph; of what is there as bfloat16 alone, that.
    moved: Vec<NodeId>,
    /// Per node and time: what is read there, by element type.
    copies: FxHashMap<(NodeId, i32, DType), NodeId>,
}

impl Narrower<'_> {
    fn choose(&mut self, roots: &[NodeId]) {
        let exact = exact(self.graph);
        for id in self.graph.ids() {
            let op = &self.graph.node(id).op;
            self.stored[id.index()] = match op {
                Op::Reshape(_) | Op::Broadcast { .. } => {
                    // Follows a value that is stored as bfloat16.
                    let source = self.graph.node(id).args[0].index();
                    if self.stored[source] == Stored::Wide { Stored::Wide } else { Stored::View }
                }
                Op::Arg { .. } | Op::Const { .. } | Op::Random { .. } | Op::WindowPut(_) => Stored::Wide,
                _ => {
                    let (mut later, mut dense) = (false, false);
                    self.uses(id, self.split.time[id.index()], &mut later, &mut dense);
                    let rooted = self.holds_root(id, roots);
                    match op {
                        _ if !exact[id.index()] || !self.split.is_batched(id) || !later || rooted => Stored::Wide,
                        Op::Map { .. } if !dense => Stored::Half,
                        _ => Stored::Both,
                    }
                }
            };
        }
    }

    /// How a value, or a view of it, is read: whether after `time`, whether then by what needs it in memory as float32.
    fn uses(&self, id: NodeId, time: i32, later: &mut bool, dense: &mut bool) {
        for &r in &self.readers[id.index()] {
            match &self.graph.node(r).op {
                Op::Reshape(_) | Op::Broadcast { .. } => self.uses(r, time, later, dense),
                op if self.split.time[r.index()] == time => {
                    *dense |= !matches!(op, Op::Map { .. } | Op::Sum(_) | Op::Max(_));
                }
                _ => *later = true,
            }
        }
    }

    /// Whether the caller wants the bytes of a value.
    fn holds_root(&self, id: NodeId, roots: &[NodeId]) -> bool {
        roots.contains(&id)
            || self.readers[id.index()]
                .iter()
                .any(|&r| matches!(self.graph.node(r).op, Op::Reshape(_)) && self.holds_root(r, roots))
    }

    fn node(&mut self, id: NodeId) -> NodeId {
        let (node, time, class) = (self.graph.node(id), self.split.time[id.index()], self.split.class[id.index()]);
        let args: Vec<NodeId> = node.args.iter().map(|&a| self.read(a, time)).collect();
        match (self.stored[id.index()], &node.op) {
            (Stored::Half, Op::Map { expr, .. }) => {
                let op = Op::Map { expr: unrounded(expr), dtype: DType::Bf16 };
                self.push(op, args, Type::new(DType::Bf16, node.ty.dims.clone()), time, class)
            }
            (Stored::Both, _) => {
                let wide = self.push(node.op.clone(), args, node.ty.clone(), time, class);
                let half = self.convert(wide, DType::Bf16, time);
                self.copies.insert((id, time, DType::Bf16), half);
                wide
            }
            _ => self.push(node.op.clone(), args, node.ty.clone(), time, class),
        }
    }

    /// What a node at `time` reads for `id`.
    fn read(&mut self, id: NodeId, time: i32) -> NodeId {
        let base = self.base(id);
        let here = self.split.time[base.index()] == time;
        match self.stored[base.index()] {
            Stored::Wide | Stored::View => return self.moved[id.index()],
            Stored::Both if here => return self.moved[id.index()],
            Stored::Both | Stored::Half => {}
        }
        if let Some(&copy) = self.copies.get(&(id, time, DType::F32)) {
            return copy;
        }
        let half = self.half(id, time);
        let wide = self.convert(half, DType::F32, time);
        self.copies.insert((id, time, DType::F32), wide);
        wide
    }

    /// A value as it is stored, or the view of one, at `time`.
    fn half(&mut self, id: NodeId, time: i32) -> NodeId {
        let own = self.split.time[id.index()];
        match self.stored[id.index()] {
            Stored::Half => return self.moved[id.index()],
            Stored::Both => return self.copies[&(id, own, DType::Bf16)],
            Stored::View | Stored::Wide => {}
        }
        if let Some(&copy) = self.copies.get(&(id, time, DType::Bf16)) {
            return copy;
        }
        let node = self.graph.node(id);
        let source = self.half(node.args[0], time);
        let ty = Type::new(DType::Bf16, node.ty.dims.clone());
        let view = self.push(node.op.clone(), vec![source], ty, time, class_at(time));
        self.copies.insert((id, time, DType::Bf16), view);
        view
    }

    /// The value that a view is of.
    fn base(&self, id: NodeId) -> NodeId {
        if self.stored[id.index()] == Stored::View { self.base(self.graph.node(id).args[0]) } else { id }
    }

    fn convert(&mut self, id: NodeId, dtype: DType, time: i32) -> NodeId {
        let ty = Type::new(dtype, self.to.node(id).ty.dims.clone());
        self.push(Op::Map { expr: Expr::input(1, 0), dtype }, vec![id], ty, time, class_at(time))
    }

    fn push(&mut self, op: Op, args: Vec<NodeId>, ty: Type, time: i32, class: Class) -> NodeId {
        self.cut.class.push(class);
        self.cut.time.push(time);
        self.to.push(GraphNode { op, args, ty })
    }
}

/// Sharded stages have even times, whole ones odd.
fn class_at(time: i32) -> Class {
    if time.rem_euclid(2) == 0 { Class::Shard } else { Class::Whole }
}

/// An expression without the rounding of its result, which storing does.
fn unrounded(expr: &Expr) -> Expr {
    match expr.nodes()[expr.outs()[0] as usize] {
        expr::Node::Unary(Unary::Bf16, a) => expr.at(a),
        _ => expr.clone(),
    }
}
