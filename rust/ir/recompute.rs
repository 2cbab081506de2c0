//! What a later stage computes again rather than reads.
//!
//! A value that one sharded stage makes and a later one reads goes through memory twice. Elementwise work on one value
//! that is in memory anyway (batch normalization and its activation, on a convolution's result) is cheaper to do again
//! where the shard is read: one write and, as long as the later stage reads that value too, one read are saved. It
//! takes no more memory, since the value read is no larger than what it replaces.

use crate::fuse::is_costly;
use crate::graph::{Graph, GraphNode, NodeId};
use crate::split::{Class, Split};
use crate::{Expr, Op};
use rustc_hash::FxHashMap;

/// Largest elementwise work that is done again, in nodes of its expressions: a few loops over a block in L1, about what
/// a vector costs that comes from memory.
const MAX_NODES: usize = 24;
/// How many times a repeated value is read for its cost not to count.
const SMALL: usize = 8;

/// The graph and its cut with elementwise work repeated in the stages that read it, and where the roots went.
pub fn recompute(graph: &Graph, split: &Split, roots: &[NodeId]) -> (Graph, Split, Vec<NodeId>) {
    let cut = Split { samples: split.samples, class: Vec::new(), time: Vec::new() };
    let mut readers = vec![Vec::new(); graph.nodes().len()];
    for id in graph.ids() {
        graph.node(id).args.iter().for_each(|a| readers[a.index()].push(id));
    }
    let again = FxHashMap::default();
    let mut copier = Copier { graph, split, roots, readers, to: Graph::new(), cut, moved: Vec::new(), again };
    for id in graph.ids() {
        let (class, time) = (split.class[id.index()], split.time[id.index()]);
        let args = graph.node(id).args.iter();
        let args = args.map(|&a| if class == Class::Whole { copier.moved[a.index()] } else { copier.read(a, time) });
        let args = args.collect();
        let moved = copier.push(id, args, class, time);
        copier.moved.push(moved);
    }
    let roots = roots.iter().map(|r| copier.moved[r.index()]).collect();
    (copier.to, copier.cut, roots)
}

struct Copier<'a> {
    graph: &'a Graph,
    split: &'a Split,
    roots: &'a [NodeId],
    /// Per node: what it is an argument of.
    readers: Vec<Vec<NodeId>>,
    to: Graph,
    cut: Split,
    /// Per node: itself in the new graph.
    moved: Vec<NodeId>,
    /// Nodes that a later time computes again.
    again: FxHashMap<(NodeId, i32), NodeId>,
}

impl Copier<'_> {
    /// What a sharded node at `time` reads for `id`.
    fn read(&mut self, id: NodeId, time: i32) -> NodeId {
        let own = self.split.time[id.index()];
        if let Some(&copy) = self.again.get(&(id, time)) {
            return copy;
        }
        let elementwise = matches!(self.graph.node(id).op, Op::Map { .. });
        if own >= time || !elementwise || !self.is_worthwhile(id) {
            return self.moved[id.index()];
        }
        self.copy(id, own, time)
    }

    /// A node of time `own`, and the maps of that time that it is made of, at `time`.
    fn copy(&mut self, id: NodeId, own: i32, time: i32) -> NodeId {
        if let Some(&copy) = self.again.get(&(id, time)) {
            return copy;
        }
        let args: Vec<NodeId> = self.graph.node(id).args.clone();
        let args = args
            .into_iter()
            .map(|a| {
                if self.is_part(a, own) && !self.is_epilogue(a) { self.copy(a, own, time) } else { self.read(a, time) }
            })
            .collect();
        let copy = self.push(id, args, Class::Shard, time);
        self.again.insert((id, time), copy);
        copy
    }

    fn push(&mut self, id: NodeId, args: Vec<NodeId>, class: Class, time: i32) -> NodeId {
        self.cut.class.push(class);
        self.cut.time.push(time);
        let node = self.graph.node(id);
        self.to.push(GraphNode { op: node.op.clone(), args, ty: node.ty.clone() })
    }

    /// Whether a node is elementwise work of the shards at this time.
    fn is_part(&self, id: NodeId, time: i32) -> bool {
        self.split.time[id.index()] == time
            && self.split.is_batched(id)
            && matches!(self.graph.node(id).op, Op::Map { .. })
    }

    /// Whether a map of the shards is cheap work on one value that is in memory anyway, and on what is repeated.
    fn is_worthwhile(&self, id: NodeId) -> bool {
        if !self.split.is_batched(id) || self.roots.contains(&id) {
            return false;
        }
        let (own, bytes) = (self.split.time[id.index()], self.graph.node(id).ty.bytes());
        let (mut nodes, mut dense, mut seen, mut open) = (0, None, vec![], vec![id]);
        while let Some(part) = open.pop() {
            let node = self.graph.node(part);
            if seen.contains(&part) {
                continue;
            }
            seen.push(part);
            match &node.op {
                Op::Map { expr, .. } if self.is_part(part, own) && (part == id || !self.is_epilogue(part)) => {
                    nodes += expr.nodes().len();
                    if nodes > MAX_NODES || !is_cheap(expr) {
                        return false;
                    }
                    open.extend(&node.args);
                }
                Op::Broadcast { .. } if self.graph.node(node.args[0]).ty.bytes() * SMALL <= bytes => {}
                _ if dense.is_none() => dense = Some(part),
                _ => return false,
            }
        }
        let Some(dense) = dense.filter(|d| self.graph.node(*d).ty.bytes() <= bytes) else { return false };
        // Made in the same stage it is stored instead of the map's result: no gain if that is made too.
        self.split.time[dense.index()] < own || (self.is_made_anyway(dense) && !self.is_needed(id))
    }

    /// Whether a value is made as a step of its own, whoever reads it: all but maps, which move into their readers, and
    /// products that take their only reader as an epilogue.
    fn is_made_anyway(&self, id: NodeId) -> bool {
        match self.graph.node(id).op {
            Op::Map { .. } => self.is_epilogue(id),
            Op::Product { .. } => self.readers[id.index()].len() > 1,
            _ => self.split.is_batched(id),
        }
    }

    /// Whether a map of several readers is the epilogue of a product.
    fn is_epilogue(&self, id: NodeId) -> bool {
        self.readers[id.index()].len() > 1 && self.follows(id)
    }

    /// Whether a map has a product of one reader among its arguments, directly or through maps of one reader.
    fn follows(&self, id: NodeId) -> bool {
        let time = self.split.time[id.index()];
        self.graph.node(id).args.iter().any(|&a| {
            let alone = self.readers[a.index()].len() == 1 && self.split.time[a.index()] == time;
            alone && (matches!(self.graph.node(a).op, Op::Product { .. }) || (self.is_part(a, time) && self.follows(a)))
        })
    }

    /// Whether the stage that makes a map reads it other than in maps and sums.
    fn is_needed(&self, id: NodeId) -> bool {
        let time = self.split.time[id.index()];
        self.readers[id.index()].iter().any(|&r| {
            let inlines = matches!(self.graph.node(r).op, Op::Map { .. } | Op::Sum(_) | Op::Max(_));
            self.split.time[r.index()] == time && !inlines
        })
    }
}

fn is_cheap(expr: &Expr) -> bool {
    !expr.nodes().iter().any(|n| is_costly(*n))
}
