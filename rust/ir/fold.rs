//! Folding: an affine map per channel right behind a product, as batch normalization is in inference, moves into the
//! product's kernel and one shift per channel.
//!
//! `a · (x * k) + b = x * (a · k) + b`, where `a` and `b` have one value per channel of the result. This pays where
//! `a · k` need not be computed at each run: where the kernel, `a` and `b` depend on *fixed* arguments alone. It is
//! sound where nobody else reads the product.
//!
//! The kernel of a product of bytes has to stay bytes: there all such maps become one, `a · (x * k) + b`.

use crate::expr::{Expr, ExprBuilder, Id, Node};
use crate::graph::{Graph, GraphNode, NodeId};
use crate::{Binary, Compose, DType, Emit, Form, Op, Result, Seat, Type, Unary};

/// Per node: whether it depends on fixed arguments alone. `fixed[i]` is that of argument `i`; those past its end are
/// not.
pub fn fixed_nodes(graph: &Graph, fixed: &[bool]) -> Vec<bool> {
    let mut nodes = vec![false; graph.nodes().len()];
    for id in graph.ids() {
        let node = graph.node(id);
        nodes[id.index()] = match &node.op {
            Op::Arg { index, .. } => fixed.get(*index) == Some(&true),
            _ => node.args.iter().all(|a| nodes[a.index()]),
        };
    }
    nodes
}

/// The graph that computes `roots` with affine maps folded into products, and where the roots went; none if there are
/// no such maps. Argument indices stay; nodes that nobody reads may be left.
pub fn fold(graph: &Graph, roots: &[NodeId], fixed: &[bool]) -> Result<Option<(Graph, Vec<NodeId>)>> {
    let chains = Chains::new(graph, roots, fixed_nodes(graph, fixed));
    let found: Vec<Chain> = graph.ids().filter_map(|id| chains.behind(id)).collect();
    if found.is_empty() {
        return Ok(None);
    }
    let mut to = Graph::new();
    let mut moved: Vec<NodeId> = Vec::with_capacity(graph.nodes().len());
    for id in graph.ids() {
        let chain = found.iter().find(|c| c.maps.last() == Some(&id));
        moved.push(if let Some(chain) = chain {
            chain.emit(graph, &moved, &mut to)?
        } else {
            let node = graph.node(id);
            let args: Vec<NodeId> = node.args.iter().map(|a| moved[a.index()]).collect();
            to.emit(node.op.clone(), &args)?
        });
    }
    let roots = roots.iter().map(|r| moved[r.index()]).collect();
    Ok(Some((to, roots)))
}

/// A product and the affine maps behind it.
struct Chain {
    product: NodeId,
    maps: Vec<NodeId>,
    steps: Vec<Affine>,
}

/// `scale · y + shift`: expressions over values per channel.
struct Affine {
    /// None where it is 1.
    scale: Option<Expr>,
    /// None where it is 0.
    shift: Option<Expr>,
    /// The inputs of both: nodes of one value per channel.
    inputs: Vec<NodeId>,
}

struct Chains<'a> {
    graph: &'a Graph,
    fixed: Vec<bool>,
    /// Per node: its reader, if there is exactly one, and it is not a root.
    reader: Vec<Option<NodeId>>,
}

impl<'a> Chains<'a> {
    fn new(graph: &'a Graph, roots: &[NodeId], fixed: Vec<bool>) -> Self {
        let mut readers: Vec<Vec<NodeId>> = vec![Vec::new(); graph.nodes().len()];
        for id in graph.ids() {
            graph.node(id).args.iter().for_each(|a| readers[a.index()].push(id));
        }
        let alone = |(i, r): (usize, &Vec<NodeId>)| match r[..] {
            [reader] if !roots.iter().any(|root| root.index() == i) => Some(reader),
            _ => None,
        };
        let reader = readers.iter().enumerate().map(alone).collect();
        Self { graph, fixed, reader }
    }

    /// The affine maps right behind a product with a fixed kernel, if there is a scale among them.
    fn behind(&self, product: NodeId) -> Option<Chain> {
        let node = self.graph.node(product);
        let Op::Product { form, solve } = &node.op else { return None };
        let kernel = node.args[Seat::Kernel.position(*solve)?];
        scaled_axis(form, *solve, self.ty(kernel).rank())?;
        if self.fixed[product.index()] || !self.fixed[kernel.index()] {
            return None;
        }
        let mut chain = Chain { product, maps: Vec::new(), steps: Vec::new() };
        let mut end = product;
        while let Some(reader) = self.reader[end.index()]
            && let Some(affine) = self.affine(reader, end)
        {
            end = reader;
            chain.maps.push(reader);
            chain.steps.push(affine);
        }
        chain.steps.iter().any(|s| s.scale.is_some()).then_some(chain)
    }

    /// A map as an affine function of its argument `y` with fixed coefficients per channel.
    fn affine(&self, map: NodeId, y: NodeId) -> Option<Affine> {
        let node = self.graph.node(map);
        let Op::Map { expr, dtype: DType::F32 } = &node.op else { return None };
        let inputs = node.args.iter().map(|&a| if a == y { Some(y) } else { self.per_channel(a) });
        let inputs = inputs.collect::<Option<Vec<_>>>()?;
        let at = inputs.iter().position(|&a| a == y)?;
        let (scale, shift) = affine_in(expr, at)?;
        Some(Affine { scale, shift, inputs })
    }

    /// The fixed values, one per channel of the last axis, that a node has or repeats.
    fn per_channel(&self, id: NodeId) -> Option<NodeId> {
        let node = self.graph.node(id);
        let channels = *node.ty.dims.last()?;
        let source = match &node.op {
            Op::Broadcast { axes, .. } if axes.contains(&(node.ty.rank() - 1)) => return None,
            Op::Broadcast { .. } => node.args[0],
            _ => id,
        };
        // Further axes that the source has are of size 1.
        let fits = self.ty(source).dims.last() == Some(&channels) && self.ty(source).len() == channels;
        (fits && self.fixed[source.index()] && self.ty(source).dtype == DType::F32).then_some(source)
    }

    fn ty(&self, id: NodeId) -> &Type {
        &self.graph.node(id).ty
    }
}

impl Chain {
    /// The folded product and the shift behind it.
    fn emit(&self, graph: &Graph, moved: &[NodeId], to: &mut Graph) -> Result<NodeId> {
        let GraphNode { op, args, ty } = graph.node(self.product);
        let Op::Product { form, solve } = op else { unreachable!("chains start at products") };
        let channel = Type::f32([ty.dims[ty.rank() - 1]]);
        let (mut scale, mut shift) = (None, None);
        for step in &self.steps {
            let inputs: Vec<NodeId> = step.inputs.iter().map(|i| moved[i.index()]).collect();
            let a = step.scale.as_ref().map(|e| values(to, e, &inputs, &channel)).transpose()?;
            let b = step.shift.as_ref().map(|e| values(to, e, &inputs, &channel)).transpose()?;
            if let Some(a) = a {
                scale = Some(scale.map_or(Ok(a), |s| to.mul(&s, &a))?);
                shift = shift.map(|s| to.mul(&s, &a)).transpose()?;
            }
            if let Some(b) = b {
                shift = Some(shift.map_or(Ok(b), |s| to.add(&s, &b))?);
            }
        }
        let mut args: Vec<NodeId> = args.iter().map(|a| moved[a.index()]).collect();
        if ty.dtype == DType::I32 {
            let y = to.emit(op.clone(), &args)?;
            return scaled_bytes(to, y, scale, shift);
        }
        let seat = Seat::Kernel.position(*solve).expect("chains start at products that read a kernel");
        if let Some(scale) = scale {
            let kernel = to.node(args[seat]).ty.clone();
            let axis = scaled_axis(form, *solve, kernel.rank()).expect("checked when the chain was found");
            let axes = (0..kernel.rank()).filter(|a| *a != axis).collect();
            let scale = to.emit(Op::Broadcast { dims: kernel.dims, axes }, &[scale])?;
            args[seat] = to.mul(&args[seat], &scale)?;
        }
        let y = to.emit(op.clone(), &args)?;
        let Some(shift) = shift else { return Ok(y) };
        let axes = (0..ty.rank() - 1).collect();
        let shift = to.emit(Op::Broadcast { dims: ty.dims.clone(), axes }, &[shift])?;
        to.add(&y, &shift)
    }
}

/// `scale · y + shift` of a product of bytes.
fn scaled_bytes(to: &mut Graph, y: NodeId, scale: Option<NodeId>, shift: Option<NodeId>) -> Result<NodeId> {
    let dims = to.node(y).ty.dims.clone();
    let parts = [(Binary::Mul, scale), (Binary::Add, shift)];
    let parts: Vec<(Binary, NodeId)> = parts.into_iter().filter_map(|(op, v)| Some((op, v?))).collect();
    let mut args = vec![y];
    for (_, values) in &parts {
        let axes = (0..dims.len() - 1).collect();
        args.push(to.emit(Op::Broadcast { dims: dims.clone(), axes }, &[*values])?);
    }
    let expr = Expr::build(args.len(), |b| {
        (1..args.len()).fold(b.input(0), |y, i| {
            let coefficient = b.input(i);
            b.binary(parts[i - 1].0, y, coefficient)
        })
    });
    to.map(expr, DType::F32, &args)
}

/// The values per channel of an expression over such values.
fn values(to: &mut Graph, expr: &Expr, inputs: &[NodeId], channel: &Type) -> Result<NodeId> {
    if let Some(constant) = expr.as_constant() {
        return to.full(constant, channel);
    }
    let (expr, used) = expr.compact();
    if used.is_empty() {
        // Constants alone, such as 1 / 3, and nothing to read the size from.
        let like = to.full(0.0, channel)?;
        return to.map(expr.remap_inputs(1, &[]), DType::F32, &[like]);
    }
    let flat = used.iter().map(|&i| to.emit(Op::Reshape(channel.dims.clone()), &[inputs[i]]));
    let used = flat.collect::<Result<Vec<_>>>()?;
    to.map(expr, DType::F32, &used)
}

/// The axis of a kernel that the result's channels are; none where they are no one axis.
fn scaled_axis(form: &Form, solve: Seat, rank: usize) -> Option<usize> {
    match (form, solve) {
        (Form::Conv(_), Seat::Output) => Some(rank - 1),
        (Form::Conv(c), Seat::Input) if c.groups == 1 => Some(rank - 2),
        (Form::MatMul, Seat::Output) if rank == 2 => Some(1),
        (Form::MatMul, Seat::Input) if rank == 2 => Some(0),
        _ => None,
    }
}

/// A one-result expression as `scale · in + shift` in input `at`, neither depending on it: (scale if not 1, shift if
/// not 0). None if it is no such function.
fn affine_in(expr: &Expr, at: usize) -> Option<(Option<Expr>, Option<Expr>)> {
    let mut b = ExprBuilder::new(expr.arity());
    // Per node: its scale, none where it does not depend on the input, and its shift.
    let mut parts: Vec<(Option<Id>, Id)> = Vec::with_capacity(expr.nodes().len());
    for node in expr.nodes() {
        let part = |id: Id| parts[id as usize];
        parts.push(match *node {
            Node::In(i) if i as usize == at => (Some(b.constant(1.0)), b.constant(0.0)),
            Node::In(i) => (None, b.input(i as usize)),
            Node::Const(bits) => (None, b.constant(f64::from_bits(bits))),
            Node::Unary(op, x) => match (op, part(x)) {
                (_, (None, x)) => (None, b.unary(op, x)),
                (Unary::Neg, (Some(a), c)) => (Some(b.neg(a)), b.neg(c)),
                _ => return None,
            },
            Node::Binary(op, x, y) => match (op, part(x), part(y)) {
                (_, (None, x), (None, y)) => (None, b.binary(op, x, y)),
                (Binary::Add | Binary::Sub, (a, x), (c, y)) => {
                    let scale = match (a, c) {
                        (Some(a), Some(c)) => b.binary(op, a, c),
                        (Some(a), None) => a,
                        (None, Some(c)) if op == Binary::Sub => b.neg(c),
                        (None, c) => c?,
                    };
                    (Some(scale), b.binary(op, x, y))
                }
                (Binary::Mul, (Some(a), x), (None, y)) | (Binary::Mul, (None, y), (Some(a), x)) => {
                    (Some(b.mul(a, y)), scaled(&mut b, Binary::Mul, x, y))
                }
                (Binary::Div, (Some(a), x), (None, y)) => (Some(b.div(a, y)), scaled(&mut b, Binary::Div, x, y)),
                _ => return None,
            },
            Node::Select(..) => return None,
        });
    }
    let [out] = expr.outs() else { return None };
    let (scale, shift) = parts[*out as usize];
    let scale = scale?;
    let unless = |id: Id, neutral: f64, b: &ExprBuilder| (b.value(id) != Some(neutral)).then_some(id);
    let (scale, shift) = (unless(scale, 1.0, &b), unless(shift, 0.0, &b));
    Some((scale.map(|s| b.clone().finish(&[s])), shift.map(|s| b.clone().finish(&[s]))))
}

/// A shift times or over `y`; none stays none, whatever `y` is.
fn scaled(b: &mut ExprBuilder, op: Binary, shift: Id, y: Id) -> Id {
    if b.value(shift) == Some(0.0) { shift } else { b.binary(op, shift, y) }
}
