//! Values that leave the cache before they are read again are kept as bfloat16 where that loses nothing.
//!
//! A float32 that has been rounded to bfloat16 ([`widen`](crate::widen)) has a lower half of zeros. While a shard is in
//! cache it stays float32, as products want it. What is read later (across a barrier, or in the backward pass of a
//! stage that makes more than a cache holds) is stored in half the bytes and is float32 again where it is read: maps
//! and sums convert what they load, a product reads a copy of its shard in scratch memory.

use crate::graph::{Graph, GraphNode, NodeId};
use crate::split::{Class, Split};
use crate::widen::exact;
use crate::{DType, Expr, Op, Type};
use rustc_hash::FxHashMap;

/// Bytes that a sample's activations may take between two uses of a value for it to be in cache still.
const NEAR: usize = 768 << 10;

/// The graph and its cut with rounded values of sharded stages stored as bfloat16 for later readers, and where the
/// roots went.
pub fn narrow(graph: &Graph, split: &Split, roots: &[NodeId]) -> (Graph, Split, Vec<NodeId>) {
    let count = graph.nodes().len();
    let (mut readers, mut made) = (vec![Vec::new(); count], Vec::with_capacity(count));
    let live = graph.live(roots);
    let mut bytes = 0;
    for id in graph.ids() {
        let node = graph.node(id);
        if live[id.index()] {
            node.args.iter().for_each(|a| readers[a.index()].push(id));
            // Maps are most often part of another step, views always.
            let apart = !matches!(node.op, Op::Map { .. }) && !is_view(&node.op);
            bytes += if apart && split.is_batched(id) { node.ty.bytes() / split.samples } else { 0 };
        }
        made.push(bytes);
    }
    let cut = Split { samples: split.samples, class: Vec::new(), time: Vec::new() };
    let stored = vec![Stored::Wide; count];
    let (moved, copies) = (Vec::with_capacity(count), FxHashMap::default());
    let mut narrower = Narrower { graph, split, readers, made, stored, to: Graph::new(), cut, moved, copies };
    narrower.choose(roots);
    for id in graph.ids() {
        let moved = narrower.node(id);
        narrower.moved.push(moved);
    }
    let roots = roots.iter().map(|r| narrower.moved[r.index()]).collect();
    (narrower.to, narrower.cut, roots)
}

fn is_view(op: &Op) -> bool {
    matches!(op, Op::Reshape(_) | Op::Broadcast { .. })
}

/// How a value is there.
#[derive(Clone, Copy, PartialEq)]
enum Stored {
    /// As it is.
    Wide,
    /// As bfloat16 alone.
    Half,
    /// As it is for the shard that makes it, as bfloat16 for later readers.
    Both,
    /// As the view of its argument: there however that is.
    View,
}

/// Where a reader stands.
#[derive(Clone, Copy)]
struct Moment {
    time: i32,
    /// Bytes that each sample has made by then.
    made: usize,
}

impl Moment {
    /// Whether a value of this moment is in cache at another, not earlier one.
    fn is_near(self, later: Self) -> bool {
        self.time == later.time && later.made - self.made <= NEAR
    }
}

struct Narrower<'a> {
    graph: &'a Graph,
    split: &'a Split,
    /// Per node: what it is an argument of.
    readers: Vec<Vec<NodeId>>,
    /// Per node: bytes that each sample has made up to and with it.
    made: Vec<usize>,
    /// Per node.
    stored: Vec<Stored>,
    to: Graph,
    cut: Split,
    /// Per node: itself in the new graph; of what is there as bfloat16 alone, that.
    moved: Vec<NodeId>,
    /// Per node: its last copy of an element type, and when that was made.
    copies: FxHashMap<(NodeId, DType), (NodeId, Moment)>,
}

impl Narrower<'_> {
    fn moment(&self, id: NodeId) -> Moment {
        Moment { time: self.split.time[id.index()], made: self.made[id.index()] }
    }

    fn choose(&mut self, roots: &[NodeId]) {
        let exact = exact(self.graph);
        for id in self.graph.ids() {
            let op = &self.graph.node(id).op;
            self.stored[id.index()] = match op {
                // Follows a value that is stored as bfloat16.
                op if is_view(op) => match self.stored[self.graph.node(id).args[0].index()] {
                    Stored::Wide => Stored::Wide,
                    Stored::Half | Stored::Both | Stored::View => Stored::View,
                },
                // The gradients of a pooled convolution read its maxima, at any time, and not its zeros.
                Op::Arg { .. } | Op::Const { .. } | Op::Random { .. } | Op::WindowPut(_) => Stored::Wide,
                _ if !exact[id.index()] || !self.split.is_batched(id) || self.is_root(id, roots) => Stored::Wide,
                _ => {
                    let (later, dense) = self.uses(id, self.moment(id));
                    match op {
                        _ if !later => Stored::Wide,
                        Op::Map { .. } if !dense => Stored::Half,
                        _ => Stored::Both,
                    }
                }
            };
        }
    }

    /// How a value, or a view of it, is read: whether it is when the cache has it no more, and whether before that by
    /// what needs it in memory as float32.
    fn uses(&self, id: NodeId, made: Moment) -> (bool, bool) {
        let (mut later, mut dense) = (false, false);
        for &r in &self.readers[id.index()] {
            let op = &self.graph.node(r).op;
            let (l, d) = match op {
                op if is_view(op) => self.uses(r, made),
                _ if !made.is_near(self.moment(r)) => (true, false),
                _ => (false, !matches!(op, Op::Map { .. } | Op::Sum(_) | Op::Max(_))),
            };
            (later, dense) = (later | l, dense | d);
        }
        (later, dense)
    }

    /// Whether the caller wants the bytes of a value.
    fn is_root(&self, id: NodeId, roots: &[NodeId]) -> bool {
        let mut views = self.readers[id.index()].iter().filter(|r| matches!(self.graph.node(**r).op, Op::Reshape(_)));
        roots.contains(&id) || views.any(|&r| self.is_root(r, roots))
    }

    fn node(&mut self, id: NodeId) -> NodeId {
        let (node, now, class) = (self.graph.node(id), self.moment(id), self.split.class[id.index()]);
        let args: Vec<NodeId> = node.args.iter().map(|&a| self.read(a, now)).collect();
        match (self.stored[id.index()], &node.op) {
            (Stored::Half, Op::Map { expr, .. }) => {
                let op = Op::Map { expr: expr.unrounded(), dtype: DType::Bf16 };
                self.push(op, args, Type::new(DType::Bf16, node.ty.dims.clone()), now, class)
            }
            (Stored::Both, _) => {
                let wide = self.push(node.op.clone(), args, node.ty.clone(), now, class);
                let half = self.convert(wide, DType::Bf16, now);
                self.copies.insert((id, DType::Bf16), (half, now));
                wide
            }
            _ => self.push(node.op.clone(), args, node.ty.clone(), now, class),
        }
    }

    /// What a node reads for `id`.
    fn read(&mut self, id: NodeId, now: Moment) -> NodeId {
        let base = self.base(id);
        match self.stored[base.index()] {
            Stored::Wide | Stored::View => return self.moved[id.index()],
            Stored::Both if self.moment(base).is_near(now) => return self.moved[id.index()],
            Stored::Both | Stored::Half => {}
        }
        match self.copies.get(&(id, DType::F32)) {
            Some(&(copy, made)) if made.is_near(now) => copy,
            _ => {
                let half = self.half(id, now);
                let wide = self.convert(half, DType::F32, now);
                self.copies.insert((id, DType::F32), (wide, now));
                wide
            }
        }
    }

    /// A value as it is stored, or the view of one.
    fn half(&mut self, id: NodeId, now: Moment) -> NodeId {
        let copy = self.copies.get(&(id, DType::Bf16)).copied();
        match (self.stored[id.index()], copy) {
            (Stored::Half, _) => self.moved[id.index()],
            (Stored::Both, Some((copy, _))) => copy,
            (_, Some((copy, made))) if made.time == now.time => copy,
            _ => {
                let node = self.graph.node(id);
                let source = self.half(node.args[0], now);
                let ty = Type::new(DType::Bf16, node.ty.dims.clone());
                let view = self.push(node.op.clone(), vec![source], ty, now, class_at(now.time));
                self.copies.insert((id, DType::Bf16), (view, now));
                view
            }
        }
    }

    /// The value that a view is of.
    fn base(&self, id: NodeId) -> NodeId {
        if self.stored[id.index()] == Stored::View { self.base(self.graph.node(id).args[0]) } else { id }
    }

    fn convert(&mut self, id: NodeId, dtype: DType, now: Moment) -> NodeId {
        let ty = Type::new(dtype, self.to.node(id).ty.dims.clone());
        self.push(Op::Map { expr: Expr::input(1, 0), dtype }, vec![id], ty, now, class_at(now.time))
    }

    fn push(&mut self, op: Op, args: Vec<NodeId>, ty: Type, now: Moment, class: Class) -> NodeId {
        self.cut.class.push(class);
        self.cut.time.push(now.time);
        self.to.push(GraphNode { op, args, ty })
    }
}

/// Sharded stages have even times, whole ones odd.
fn class_at(time: i32) -> Class {
    if time.rem_euclid(2) == 0 { Class::Shard } else { Class::Whole }
}
