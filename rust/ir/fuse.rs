//! From nodes to fused steps: `Map∘Map`, `Map→Sum`, `Product→Map→Window`, several `Map`s over the same inputs in one
//! pass, sums of the same values in one pass, and gradients read through a max-pool. Fusing adds no op: a step is an op
//! with expressions around it.

mod merge;

use crate::expr::Arithmetic;
use crate::graph::{Graph, NodeId};
use crate::program::{Epilogue, Kind};
use crate::split::{Class, Split};
use crate::{Conv, DType, Expr, Form, Op, Seat, Type, Window, expr};

/// What the device can fuse. Asked while planning; the answers depend on shapes alone.
pub trait Target {
    /// Whether a convolution can max-pool its result before storing it.
    fn pools(&self, conv: &Conv, window: &Window) -> bool;
    /// Whether this gradient of a max-pooled convolution is better read in compact form.
    fn sparse(&self, conv: &Conv, window: &Window, solve: Seat) -> bool;
    /// Which operand of a step is read in a packed copy alone, made before the step's stage: the operand's own memory
    /// may then serve others.
    fn packs(&self, _kind: &Kind, _operands: &[&Type]) -> Option<usize> {
        None
    }
}

/// What a step reads: the bytes of a node, under a type of its own.
#[derive(Debug, Clone)]
pub struct Read {
    /// The node whose bytes these are; never a view.
    pub node: NodeId,
    /// See [`Operand`](crate::program::Operand).
    pub ty: Type,
    /// See [`Operand`](crate::program::Operand).
    pub repeat: Vec<bool>,
    /// See [`Operand`](crate::program::Operand).
    pub sliced: bool,
}

/// A step before memory is planned.
#[derive(Debug, Clone)]
pub struct Fused {
    /// What it computes.
    pub kind: Kind,
    /// What it reads.
    pub reads: Vec<Read>,
    /// The nodes it makes.
    pub makes: Vec<NodeId>,
    /// When it runs.
    pub time: i32,
    /// Whether its results are terms of a sum over the batch.
    pub term: bool,
    /// See [`Step`](crate::program::Step).
    pub temps: Vec<usize>,
    /// The operand of which the target reads a packed copy alone.
    pub packed: Option<usize>,
    /// Steps of equal time run in ascending order.
    order: usize,
}

/// Largest expression that fusing builds, in nodes; beyond it a kernel's registers spill to memory anyway.
const MAX_NODES: usize = 64;
/// Most inputs of a fused expression (a GPU binds one buffer for each).
const MAX_INPUTS: usize = 12;
/// Most sums of one step: beyond it there is little left to share.
pub const MAX_SUMS: usize = 4;
/// An expression this small is computed again rather than stored for several readers.
const CHEAP_NODES: usize = 5;

/// The steps that compute `roots`, in order.
pub fn fuse(graph: &Graph, split: &Split, roots: &[NodeId], target: &dyn Target) -> Vec<Fused> {
    let count = graph.nodes().len();
    let (marks, uses, mapped) = (vec![false; count], vec![0; count], vec![true; count]);
    let mut fuser = Fuser { graph, split, target, roots: marks, uses, mapped };
    let live = graph.live(roots);
    for id in graph.ids().filter(|id| live[id.index()]) {
        let node = graph.node(id);
        for a in &node.args {
            fuser.uses[a.index()] += 1;
            fuser.mapped[a.index()] &= matches!(node.op, Op::Map { .. });
        }
    }
    for r in roots {
        let base = fuser.base(*r);
        fuser.roots[base.index()] = true;
        fuser.uses[r.index()] += 1;
    }
    let mut steps = fuser.recipes();
    fuser.epilogues(&mut steps);
    fuser.pools(&mut steps);
    let mut steps: Vec<Fused> = steps.into_iter().flatten().collect();
    fuser.merge_maps(&mut steps);
    fuser.merge_sums(&mut steps);
    for s in &mut steps {
        let operands: Vec<&Type> = s.reads.iter().map(|r| &r.ty).collect();
        s.packed = target.packs(&s.kind, &operands);
    }
    steps.sort_by_key(|s| (s.time, s.order));
    steps
}

struct Fuser<'a> {
    graph: &'a Graph,
    split: &'a Split,
    target: &'a dyn Target,
    /// Per node: whether the caller wants its bytes.
    roots: Vec<bool>,
    /// Per node: how often it is an argument or a root.
    uses: Vec<usize>,
    /// Per node: whether maps alone read it.
    mapped: Vec<bool>,
}

/// Steps by the node they stand at.
type Steps = Vec<Option<Fused>>;

impl Fuser<'_> {
    /// The node that holds the bytes of `id`: reshapes are views.
    fn base(&self, id: NodeId) -> NodeId {
        let node = self.graph.node(id);
        if let Op::Reshape(_) = node.op { self.base(node.args[0]) } else { id }
    }

    fn ty(&self, id: NodeId) -> &Type {
        &self.graph.node(id).ty
    }

    fn class(&self, id: NodeId) -> Class {
        self.split.class[id.index()]
    }

    /// One step for each node that somebody reads.
    fn recipes(&self) -> Steps {
        let mut maps: Vec<Option<(Expr, Vec<Read>)>> = vec![None; self.graph.nodes().len()];
        for id in self.graph.ids() {
            if let Op::Map { expr, .. } = &self.graph.node(id).op {
                maps[id.index()] = Some(self.fuse_map(id, expr, &self.graph.node(id).args, &maps));
            }
        }
        let mut needed = self.roots.clone();
        let mut steps: Steps = vec![None; self.graph.nodes().len()];
        for id in self.graph.ids().rev().filter(|id| !matches!(self.graph.node(*id).op, Op::Arg { .. })) {
            if needed[id.index()] {
                let (kind, reads) = self.recipe(id, &maps);
                for r in &reads {
                    needed[r.node.index()] = true;
                }
                steps[id.index()] = Some(Fused {
                    kind,
                    reads,
                    makes: vec![id],
                    time: self.split.time[id.index()],
                    term: self.class(id) == Class::Sum,
                    temps: vec![],
                    packed: None,
                    order: id.index(),
                });
            }
        }
        steps
    }

    fn recipe(&self, id: NodeId, maps: &[Option<(Expr, Vec<Read>)>]) -> (Kind, Vec<Read>) {
        let node = self.graph.node(id);
        let reads = |me: &Self| (0..node.args.len()).map(|i| me.read(id, i)).collect::<Vec<_>>();
        match &node.op {
            Op::Map { .. } => {
                let (expr, inputs) = maps[id.index()].clone().expect("every map was fused");
                (Kind::Map { expr, dims: node.ty.dims.clone() }, inputs)
            }
            Op::Sum(axes) | Op::Max(axes) => {
                let dims = self.ty(node.args[0]).dims.clone();
                let (expr, inputs) = self.fuse_map(id, &Expr::input(1, 0), &node.args, maps);
                (Kind::Reduce { max: matches!(node.op, Op::Max(_)), expr, dims, axes: axes.clone() }, inputs)
            }
            Op::Product { form, solve } => {
                if let Some((reads, window)) = self.through_put(id, form, *solve) {
                    return (Kind::SparseProduct { form: form.clone(), solve: *solve, window }, reads);
                }
                let kind = Kind::Product { form: form.clone(), solve: *solve, epilogue: None, window: None };
                (kind, reads(self))
            }
            op => (Kind::Op(op.clone()), reads(self)),
        }
    }

    /// Argument `i` of a node, read as it is.
    fn read(&self, id: NodeId, i: usize) -> Read {
        let node = self.graph.node(id);
        let arg = node.args[i];
        let sliced = self.class(id) != Class::Whole && is_sliced(&node.op, i, self.ty(arg).rank());
        Read { node: self.base(arg), ty: self.ty(arg).clone(), repeat: vec![], sliced }
    }

    /// An argument of an expression over `reader`'s index space: a broadcast is read as a repetition.
    fn read_repeated(&self, reader: NodeId, arg: NodeId) -> Read {
        let node = self.graph.node(arg);
        let (source, repeat) = match &node.op {
            Op::Broadcast { dims, axes } => (node.args[0], (0..dims.len()).map(|a| axes.contains(&a)).collect()),
            _ => (arg, vec![]),
        };
        let sliced = self.class(reader) != Class::Whole && !repeat.first().copied().unwrap_or(false);
        Read { node: self.base(source), ty: self.ty(source).clone(), repeat, sliced }
    }

    /// The expression of `reader` with the maps among its arguments substituted where that pays.
    fn fuse_map(
        &self,
        reader: NodeId,
        outer: &Expr,
        args: &[NodeId],
        maps: &[Option<(Expr, Vec<Read>)>],
    ) -> (Expr, Vec<Read>) {
        let mut inputs: Vec<Read> = Vec::new();
        let slot = |read: Read, inputs: &mut Vec<Read>| {
            let same = |r: &Read| r.node == read.node && r.ty == read.ty && r.repeat == read.repeat;
            inputs.iter().position(same).unwrap_or_else(|| {
                inputs.push(read);
                inputs.len() - 1
            })
        };
        // What the composed expression is computed in must be what each of its parts was written for.
        let dtype = self.ty(reader).dtype;
        let mut settled = arithmetic_of(outer, args.iter().map(|a| self.ty(*a).dtype), dtype);
        let mut fed: Vec<(Option<&Expr>, Vec<usize>)> = Vec::new();
        let mut nodes = outer.nodes().len();
        for &arg in args {
            let inner = maps[arg.index()].as_ref().filter(|(e, reads)| {
                let own = arithmetic_of(e, reads.iter().map(|r| r.ty.dtype), self.ty(arg).dtype);
                let fits = nodes + e.nodes().len() <= MAX_NODES
                    && inputs.len() + reads.len() + args.len() <= MAX_INPUTS
                    && (own.is_none() || settled.is_none() || own == settled)
                    && self.may_inline(arg, reader, e, reads, own);
                if fits {
                    settled = settled.or(own);
                }
                fits
            });
            if let Some((e, reads)) = inner {
                nodes += e.nodes().len();
                fed.push((Some(e), reads.iter().map(|r| slot(r.clone(), &mut inputs)).collect()));
            } else {
                fed.push((None, vec![slot(self.read_repeated(reader, arg), &mut inputs)]));
            }
        }
        let feeds: Vec<expr::Feed> = fed
            .iter()
            .map(|(e, slots)| e.map_or_else(|| expr::Feed::In(slots[0]), |e| expr::Feed::Expr(e, slots)))
            .collect();
        (outer.substitute(inputs.len(), &feeds), inputs)
    }

    /// Whether the map `inner`, fused into `e` of `reads`, is computed inside `reader` instead of being stored.
    fn may_inline(&self, inner: NodeId, reader: NodeId, e: &Expr, reads: &[Read], own: Option<Arithmetic>) -> bool {
        // A stored value is converted to its dtype; only where that changes nothing can storing be skipped.
        let exact = match self.ty(inner).dtype {
            DType::F32 => true,
            DType::Bool => is_predicate(e),
            DType::I32 => own == Some(Arithmetic::I32),
            DType::I64 => own == Some(Arithmetic::I64),
            DType::I8 | DType::U8 | DType::F16 | DType::Bf16 => false,
        };
        let together = self.class(inner) == self.class(reader) || self.class(reader) == Class::Sum;
        exact
            && together
            && self.split.time[inner.index()] == self.split.time[reader.index()]
            && (self.uses[inner.index()] == 1
                // Results of a whole stage that build on each other (optimizer slots, then the weight) meet again in
                // `merge_maps`, where what they share is computed once. What a product or another op reads is stored
                // in any case, and read from there.
                || (self.class(reader) == Class::Whole && self.mapped[inner.index()])
                || (e.nodes().len() <= CHEAP_NODES
                    && !e.nodes().iter().any(|n| is_costly(*n))
                    && !reads.iter().any(|r| self.is_epilogue(r.node))))
    }

    /// Whether a node is a product with one reader: that map costs nothing behind it, but much if several readers each
    /// compute it, and keep the product's own values for that.
    fn is_epilogue(&self, id: NodeId) -> bool {
        let op = &self.graph.node(id).op;
        self.uses[id.index()] == 1 && matches!(op, Op::Product { solve: Seat::Output | Seat::Input, .. })
    }

    /// A convolution gradient whose cotangent is a max-pool's, read in compact form if the target can.
    fn through_put(&self, id: NodeId, form: &Form, solve: Seat) -> Option<(Vec<Read>, Window)> {
        let (Form::Conv(conv), Seat::Input | Seat::Kernel) = (form, solve) else { return None };
        let node = self.graph.node(id);
        let put = self.graph.node(node.args[1]);
        let Op::WindowPut(window) = &put.op else { return None };
        if !window.is_disjoint() || !self.target.sparse(conv, window, solve) {
            return None;
        }
        let sliced = self.class(id) != Class::Whole;
        let compact =
            put.args.iter().map(|a| Read { node: self.base(*a), ty: self.ty(*a).clone(), repeat: vec![], sliced });
        Some((std::iter::once(self.read(id, 0)).chain(compact).collect(), window.clone()))
    }

    /// Which steps read each node.
    fn readers(&self, steps: &Steps) -> Vec<Vec<NodeId>> {
        let mut readers = vec![Vec::new(); self.graph.nodes().len()];
        for id in self.graph.ids() {
            for r in steps[id.index()].iter().flat_map(|s| &s.reads) {
                if readers[r.node.index()].last() != Some(&id) {
                    readers[r.node.index()].push(id);
                }
            }
        }
        readers
    }

    /// `Product→Map`: the map moves into the product whose only reader it is.
    fn epilogues(&self, steps: &mut Steps) {
        let readers = self.readers(steps);
        for id in self.graph.ids() {
            let Some(Fused { kind: Kind::Map { expr, dims }, reads, time, .. }) = &steps[id.index()] else { continue };
            // Of several products the last: the others are complete by then.
            let product = reads.iter().enumerate().rev().find(|(_, r)| {
                // Products of bytes are scaled to bytes again before they are stored; others are stored as floats.
                let stored = match self.ty(r.node).dtype {
                    DType::I32 => matches!(self.ty(id).dtype, DType::F32 | DType::U8 | DType::I8),
                    _ => self.ty(id).dtype == DType::F32,
                };
                let fits = stored && r.repeat.is_empty() && r.ty.dims == *dims && self.ty(r.node).dims == *dims;
                let alone = readers[r.node.index()] == [id] && !self.roots[r.node.index()];
                let seat =
                    |k: &Kind| matches!(k, Kind::Product { solve: Seat::Output | Seat::Input, epilogue: None, .. });
                fits && alone && steps[r.node.index()].as_ref().is_some_and(|s| seat(&s.kind) && s.time == *time)
            });
            let Some((slot, read)) = product else { continue };
            let product = read.node;
            // The product becomes input 0, the others follow in order.
            let to: Vec<usize> =
                (0..reads.len()).map(|i| if i == slot { 0 } else { i + usize::from(i < slot) }).collect();
            let epilogue = Epilogue { expr: expr.remap_inputs(reads.len(), &to) };
            let others: Vec<Read> =
                reads.iter().enumerate().filter(|(i, _)| *i != slot).map(|(_, r)| r.clone()).collect();
            let mut step = steps[product.index()].take().expect("found above");
            if let Kind::Product { epilogue: e, .. } = &mut step.kind {
                *e = Some(epilogue);
            }
            step.reads.extend(others);
            step.makes = vec![id];
            step.order = id.index();
            steps[id.index()] = Some(step);
        }
    }

    /// Maxima and their positions in one step, inside the convolution where nobody else reads its result.
    fn pools(&self, steps: &mut Steps) {
        let readers = self.readers(steps);
        for id in self.graph.ids() {
            let node = self.graph.node(id);
            let Op::WindowTake(window) = &node.op else { continue };
            let [x, index] = node.args[..] else { continue };
            if self.graph.node(index).op != Op::WindowArgMax(window.clone()) || self.graph.node(index).args[0] != x {
                continue;
            }
            let Some(mut step) = steps[id.index()].take() else { continue };
            steps[index.index()] = None;
            step.makes = vec![id, index];
            // The positions may be read before the maxima.
            step.order = index.index();
            let source = self.base(x);
            let alone = !self.roots[source.index()] && readers[source.index()].iter().all(|r| *r == id || *r == index);
            let time = step.time;
            let is_bytes = steps[source.index()].as_ref().is_some_and(|s| s.reads[0].ty.dtype != DType::F32);
            let conv = steps[source.index()].as_mut().filter(|s| alone && source == x && s.time == time);
            if let Some(Fused {
                kind: Kind::Product { form: Form::Conv(conv), solve: Seat::Output, window: w, .. },
                ..
            }) = conv
                && self.target.pools(conv, window)
                && !is_bytes
            {
                *w = Some(window.clone());
                let mut step = steps[source.index()].take().expect("found above");
                step.makes = vec![id, index];
                steps[id.index()] = Some(step);
                continue;
            }
            step.kind = Kind::MaxPool(window.clone());
            step.reads.truncate(1);
            steps[id.index()] = Some(step);
        }
    }
}

/// Whether a sharded op reads only the shard's samples of argument `i`.
fn is_sliced(op: &Op, i: usize, rank: usize) -> bool {
    match op {
        // With leading axes both matrices have the batch.
        Op::Product { form: Form::MatMul, .. } if rank > 2 => true,
        Op::Product { solve, .. } => solve.others()[i] != Seat::Kernel,
        Op::Gather { axis: 0 } => i == 1,
        Op::Gather { .. } => i == 0,
        Op::ScatterAdd { axis, .. } => i == 0 || *axis == 0,
        Op::Broadcast { axes, .. } => !axes.contains(&0),
        Op::Random { .. } => false,
        _ => true,
    }
}

/// What an expression of inputs of these types is computed in; none if it gives the same in any: comparisons and logic
/// of truth values and bytes.
fn arithmetic_of(e: &Expr, inputs: impl Iterator<Item = DType> + Clone, dtype: DType) -> Option<Arithmetic> {
    let bytes = inputs.clone().chain([dtype]).all(|d| matches!(d, DType::Bool | DType::I8 | DType::U8));
    let logic = |n: &expr::Node| match *n {
        expr::Node::In(_) | expr::Node::Const(_) | expr::Node::Select(..) => true,
        expr::Node::Binary(op, ..) => op.is_predicate(),
        expr::Node::Unary(op, _) => matches!(op, crate::Unary::Not | crate::Unary::IsNan),
    };
    (!(bytes && e.nodes().iter().all(logic))).then(|| e.arithmetic(inputs.chain([dtype])))
}

fn is_predicate(e: &Expr) -> bool {
    let out = e.nodes()[e.outs()[0] as usize];
    match out {
        expr::Node::Binary(op, ..) => op.is_predicate(),
        expr::Node::Unary(op, _) => matches!(op, crate::Unary::Not | crate::Unary::IsNan),
        _ => false,
    }
}

/// Whether a function takes many times as long as an addition.
pub(crate) fn is_costly(n: expr::Node) -> bool {
    use crate::Unary as U;
    match n {
        expr::Node::Unary(op, _) => !matches!(op, U::Neg | U::Abs | U::Not | U::IsNan | U::Sign | U::Bf16),
        expr::Node::Binary(op, ..) => matches!(op, crate::Binary::Pow | crate::Binary::Atan2 | crate::Binary::Mod),
        _ => false,
    }
}
