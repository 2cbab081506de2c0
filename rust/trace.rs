//! Values, concrete or traced, and the graphs that tracing builds.

use crate::{Cell, Eager, Step, Tensor};
use oxiconv_ir::{Compose, Emit, Error, Graph, NodeId, Op, Result, Type};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A concrete tensor, or a value of a graph being traced.
#[derive(Clone, Debug)]
pub enum Value {
    /// Data.
    Tensor(Tensor),
    /// A node.
    Traced(Traced),
}

/// A value of a graph being traced.
#[derive(Clone)]
pub struct Traced {
    trace: Trace,
    node: NodeId,
    ty: Type,
}

/// A computation being traced. Ops on its values append to it; concrete tensors that meet them are captured. Clones
/// are the same trace.
#[derive(Clone, Default)]
pub struct Trace(Arc<Mutex<Inner>>);

#[derive(Default)]
struct Inner {
    graph: Graph,
    sources: Vec<Source>,
}

/// Where argument `i` of the graph comes from.
#[derive(Clone, Debug)]
pub(crate) enum Source {
    /// Given to each run; whether axis 0 is the batch.
    Input { ty: Type, batched: bool },
    /// The value of a cell when the step starts.
    State(Cell),
    /// Always this tensor.
    Captured(Tensor),
}

impl Source {
    pub(crate) fn ty(&self) -> &Type {
        match self {
            Self::Input { ty, .. } => ty,
            Self::State(cell) => cell.ty(),
            Self::Captured(tensor) => tensor.ty(),
        }
    }
}

impl Value {
    /// Element type and sizes.
    pub fn ty(&self) -> &Type {
        match self {
            Self::Tensor(t) => t.ty(),
            Self::Traced(t) => &t.ty,
        }
    }

    /// The tensor; an error if traced. `op` is what needs the data.
    pub fn tensor(&self, op: &str) -> Result<&Tensor> {
        match self {
            Self::Tensor(t) => Ok(t),
            Self::Traced(t) => Err(Error::Graph(format!("{op}: {} is traced and has no data", t.ty))),
        }
    }
}

impl From<Tensor> for Value {
    fn from(tensor: Tensor) -> Self {
        Self::Tensor(tensor)
    }
}

impl fmt::Debug for Traced {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Traced(%{}: {})", self.node.0, self.ty)
    }
}

impl Trace {
    /// An empty trace.
    pub fn new() -> Self {
        Self::default()
    }

    /// A value given to each run, in order of creation. `batched`: axis 0 is the batch.
    pub fn input(&self, ty: Type, batched: bool) -> Result<Value> {
        if batched && ty.dims.is_empty() {
            return Err(Error::shape("input", "an axis 0 for the batch", ty.to_string()));
        }
        let mut inner = self.lock();
        let node = inner.argument(Source::Input { ty, batched })?;
        Ok(self.value(&inner, node))
    }

    /// The cell's value when the step starts; the same value for the same cell.
    pub fn state(&self, cell: &Cell) -> Result<Value> {
        let mut inner = self.lock();
        let node = inner.state(cell)?;
        Ok(self.value(&inner, node))
    }

    /// Cotangents of the sum of `target`'s elements; none where it does not depend on the source.
    pub fn grad(&self, target: &Value, sources: &[&Value]) -> Result<Vec<Option<Value>>> {
        self.grad_from(target, sources, None)
    }

    /// [`Self::grad`], with a cotangent of `target` in place of ones.
    pub(crate) fn grad_from(
        &self,
        target: &Value,
        sources: &[&Value],
        seed: Option<&Value>,
    ) -> Result<Vec<Option<Value>>> {
        let mut inner = self.lock();
        let of = self.node_of("gradient target", target)?;
        let seed = match seed {
            Some(seed) => self.node(&mut inner, seed)?,
            None => inner.graph.full(1.0, target.ty())?,
        };
        let sources = sources.iter().map(|s| self.node_of("gradient source", s)).collect::<Result<Vec<_>>>()?;
        let grads = inner.graph.grad_from(&[(of, seed)], &sources)?;
        Ok(grads.into_iter().map(|g| g.map(|g| self.value(&inner, g))).collect())
    }

    /// A program that computes `outputs`, and stores values into cells, all after all reads.
    pub fn compile(&self, outputs: &[&Value], updates: &[(Cell, &Value)]) -> Result<Step> {
        let mut inner = self.lock();
        let outputs = outputs.iter().map(|v| self.node(&mut inner, v)).collect::<Result<Vec<_>>>()?;
        let mut stores: Vec<(Cell, NodeId)> = Vec::with_capacity(updates.len());
        for (cell, value) in updates {
            cell.check(value.ty())?;
            if stores.iter().any(|(c, _)| c == cell) {
                return Err(Error::Graph(format!("compile: two updates of one cell ({})", cell.ty())));
            }
            stores.push((cell.clone(), self.node(&mut inner, value)?));
        }
        Step::new(&inner.graph, inner.sources.clone(), outputs, stores)
    }

    /// Whether both are the same trace.
    fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// The node of a value that must be traced here.
    fn node_of(&self, what: &str, value: &Value) -> Result<NodeId> {
        match value {
            Value::Traced(t) if self.is(&t.trace) => Ok(t.node),
            Value::Traced(t) => Err(Error::Graph(format!("{what} {}: a value of another graph", t.ty))),
            Value::Tensor(t) => Err(Error::Graph(format!("{what} {}: not a value of this graph", t.ty()))),
        }
    }

    /// The node of a value; a concrete one is captured.
    fn node(&self, inner: &mut Inner, value: &Value) -> Result<NodeId> {
        match value {
            Value::Traced(_) => self.node_of("value", value),
            Value::Tensor(t) => inner.capture(t),
        }
    }

    fn emit(&self, op: Op, args: &[Value]) -> Result<Value> {
        let mut inner = self.lock();
        let args = args.iter().map(|a| self.node(&mut inner, a)).collect::<Result<Vec<_>>>()?;
        let node = inner.graph.emit(op, &args)?;
        Ok(self.value(&inner, node))
    }

    fn value(&self, inner: &Inner, node: NodeId) -> Value {
        Value::Traced(Traced { trace: self.clone(), node, ty: inner.graph.node(node).ty.clone() })
    }

    /// A failed emit appends nothing, so a panic in one leaves the graph whole.
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Display for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.lock().graph.fmt(f)
    }
}

impl Inner {
    fn argument(&mut self, source: Source) -> Result<NodeId> {
        let node = self.graph.arg(self.sources.len(), source.ty().clone())?;
        self.sources.push(source);
        Ok(node)
    }

    /// The node of the source that `found` accepts.
    fn find(&mut self, found: impl Fn(&Source) -> bool) -> Result<Option<NodeId>> {
        let Some(index) = self.sources.iter().position(found) else { return Ok(None) };
        // Emitting an op that exists gives its node.
        self.graph.arg(index, self.sources[index].ty().clone()).map(Some)
    }

    fn state(&mut self, cell: &Cell) -> Result<NodeId> {
        match self.find(|s| matches!(s, Source::State(c) if c == cell))? {
            Some(node) => Ok(node),
            None => self.argument(Source::State(cell.clone())),
        }
    }

    fn capture(&mut self, tensor: &Tensor) -> Result<NodeId> {
        if tensor.ty().dims.is_empty() {
            // As a constant it can be folded into expressions.
            return self.graph.constant(tensor.to_scalar()?, tensor.ty().dtype);
        }
        match self.find(|s| matches!(s, Source::Captured(t) if t.id() == tensor.id()))? {
            Some(node) => Ok(node),
            None => self.argument(Source::Captured(tensor.clone())),
        }
    }
}

/// Where ops on a group of values go: any traced one takes all into its graph, else they run at once.
pub(crate) enum Emitter {
    Eager(Eager),
    Trace(Trace),
}

impl Emitter {
    pub(crate) fn of<'a>(values: impl IntoIterator<Item = &'a Value>) -> Result<Self> {
        let mut found: Option<&Trace> = None;
        for value in values {
            let Value::Traced(t) = value else { continue };
            match found {
                Some(trace) if !trace.is(&t.trace) => {
                    return Err(Error::Graph("values of two graphs in one op".into()));
                }
                _ => found = Some(&t.trace),
            }
        }
        Ok(found.map_or(Self::Eager(Eager), |trace| Self::Trace(trace.clone())))
    }
}

impl Emit for Emitter {
    type Value = Value;

    fn emit(&mut self, op: Op, args: &[Value]) -> Result<Value> {
        match self {
            Self::Trace(trace) => trace.emit(op, args),
            Self::Eager(eager) => {
                let tensors = args.iter().map(|a| a.tensor(op.name()).cloned()).collect::<Result<Vec<_>>>()?;
                eager.emit(op, &tensors).map(Value::Tensor)
            }
        }
    }

    fn ty(&self, value: &Value) -> Type {
        value.ty().clone()
    }

    fn id(&self, value: &Value) -> u64 {
        match value {
            Value::Tensor(t) => t.id(),
            Value::Traced(t) => u64::from(t.node.0),
        }
    }
}

impl Traced {
    /// The trace it belongs to.
    pub fn trace(&self) -> &Trace {
        &self.trace
    }
}
