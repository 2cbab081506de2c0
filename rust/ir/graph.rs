//! Traced computations: a list of nodes, each an op on earlier nodes.

use crate::{Emit, Error, Op, Result, Type};
use rustc_hash::FxHashMap;
use std::fmt;

/// Index of a node in its [`Graph`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NodeId(pub u32);

impl NodeId {
    /// Position among the nodes.
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

/// An op, what it is applied to, and the type of its result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GraphNode {
    /// The op.
    pub op: Op,
    /// Its arguments; they precede it.
    pub args: Vec<NodeId>,
    /// Type of its result.
    pub ty: Type,
}

/// A traced computation. Emitting the op and arguments of a node that exists gives that node (every op is a pure
/// function, [`Op::Random`] too), and an op that changes nothing gives its argument.
///
/// ```
/// use oxiconv_ir::{Compose, Emit, Graph, Op, Type, Unary};
/// let mut graph = Graph::new();
/// let x = graph.emit(Op::Arg { index: 0, ty: Type::f32([8, 4]) }, &[])?;
/// let y = graph.unary(Unary::Exp, &x)?;
/// let s = graph.emit(Op::Sum(vec![1]), &[y])?;
/// assert_eq!(graph.ty(&s), Type::f32([8]));
/// assert_eq!(
///     graph.to_string(),
///     "%0: float32[8, 4] = arg 0\n%1: float32[8, 4] = map `exp(in0)` %0\n%2: float32[8] = sum axes [1] %1\n"
/// );
/// # Ok::<(), oxiconv_ir::Error>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct Graph {
    nodes: Vec<GraphNode>,
    ids: FxHashMap<(Op, Vec<NodeId>), NodeId>,
}

impl Graph {
    /// An empty graph.
    pub fn new() -> Self {
        Self::default()
    }

    /// The nodes; arguments precede their uses.
    pub fn nodes(&self) -> &[GraphNode] {
        &self.nodes
    }

    /// A node.
    pub fn node(&self, id: NodeId) -> &GraphNode {
        &self.nodes[id.index()]
    }

    /// Every node's id, in order.
    pub fn ids(&self) -> impl DoubleEndedIterator<Item = NodeId> + use<> {
        (0..self.nodes.len() as u32).map(NodeId)
    }

    /// Argument `index` of the graph.
    pub fn arg(&mut self, index: usize, ty: Type) -> Result<NodeId> {
        self.emit(Op::Arg { index, ty }, &[])
    }

    /// The node that applies this op to these arguments, if there is one.
    pub fn find(&self, op: &Op, args: &[NodeId]) -> Option<NodeId> {
        self.ids.get(&(op.clone(), args.to_vec())).copied()
    }

    /// Adds a node as it is, even if there is one like it.
    pub(crate) fn push(&mut self, node: GraphNode) -> NodeId {
        self.nodes.push(node);
        NodeId(self.nodes.len() as u32 - 1)
    }

    /// For each node, whether one of `outs` depends on it.
    pub fn live(&self, outs: &[NodeId]) -> Vec<bool> {
        let mut live = vec![false; self.nodes.len()];
        for o in outs {
            live[o.index()] = true;
        }
        for (i, node) in self.nodes.iter().enumerate().rev() {
            if live[i] {
                for a in &node.args {
                    live[a.index()] = true;
                }
            }
        }
        live
    }
}

impl Emit for Graph {
    type Value = NodeId;

    fn emit(&mut self, op: Op, args: &[NodeId]) -> Result<NodeId> {
        if let Some(foreign) = args.iter().find(|a| a.index() >= self.nodes.len()) {
            let (name, len) = (op.name(), self.nodes.len());
            return Err(Error::Graph(format!("{name}: value %{} is not of this graph of {len} nodes", foreign.0)));
        }
        let types: Vec<Type> = args.iter().map(|a| self.node(*a).ty.clone()).collect();
        let ty = op.infer(&types)?;
        if op.is_identity(&types) {
            return Ok(args[0]);
        }
        let key = (op, args.to_vec());
        if let Some(&id) = self.ids.get(&key) {
            return Ok(id);
        }
        let id = u32::try_from(self.nodes.len()).map_err(|_| Error::Graph("more than 2^32 nodes".into()))?;
        self.nodes.push(GraphNode { op: key.0.clone(), args: key.1.clone(), ty });
        self.ids.insert(key, NodeId(id));
        Ok(NodeId(id))
    }

    fn ty(&self, value: &NodeId) -> Type {
        self.node(*value).ty.clone()
    }

    fn id(&self, value: &NodeId) -> u64 {
        u64::from(value.0)
    }
}

impl fmt::Display for Graph {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, node) in self.nodes.iter().enumerate() {
            write!(f, "%{i}: {} = {}", node.ty, node.op)?;
            node.args.iter().try_for_each(|a| write!(f, " %{}", a.0))?;
            writeln!(f)?;
        }
        Ok(())
    }
}
