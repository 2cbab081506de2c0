//! Building expressions: hash-consing, simplification, and putting expressions into one another.
//!
//! A simplification keeps values, in float and in integer arithmetic, up to the sign of a zero; with one exception,
//! taken by the field at large: `pow(x, 0.5)` becomes `sqrt(x)`, which differs at minus infinity.

use super::{Binary, Expr, Id, Node, Unary};
use rustc_hash::FxHashMap;

/// Builds an [`Expr`]: equal nodes are shared, constants folded (in `f64`), neutral elements dropped.
#[derive(Debug, Clone)]
pub struct ExprBuilder {
    nodes: Vec<Node>,
    ids: FxHashMap<Node, Id>,
    arity: usize,
}

/// What stands in for an input when an expression is rewritten over new inputs; see [`Expr::substitute`].
#[derive(Debug, Clone, Copy)]
pub enum Feed<'a> {
    /// The new input of this index.
    In(usize),
    /// A one-result expression; its inputs are the new inputs listed.
    Expr(&'a Expr, &'a [usize]),
}

impl ExprBuilder {
    /// A builder over `arity` inputs.
    pub fn new(arity: usize) -> Self {
        Self { nodes: vec![], ids: FxHashMap::default(), arity }
    }

    /// Input `i`, below the arity.
    pub fn input(&mut self, i: usize) -> Id {
        assert!(i < self.arity, "expression of {} inputs has no input {i}", self.arity);
        self.push(Node::In(i as u32))
    }

    /// A constant.
    pub fn constant(&mut self, value: f64) -> Id {
        let value = if value.is_nan() { f64::NAN } else { value };
        self.push(Node::Const(value.to_bits()))
    }

    /// The value of a node that is a constant.
    pub fn value(&self, id: Id) -> Option<f64> {
        match self.node(id) {
            Node::Const(bits) => Some(f64::from_bits(bits)),
            Node::In(_) | Node::Unary(..) | Node::Binary(..) | Node::Select(..) => None,
        }
    }

    /// A function of one value.
    pub fn unary(&mut self, op: Unary, a: Id) -> Id {
        if let Some(x) = self.value(a) {
            return self.constant(op.eval(x));
        }
        match (op, self.node(a)) {
            (Unary::Neg, Node::Unary(Unary::Neg, x)) => x,
            (Unary::Abs, Node::Unary(Unary::Neg, x)) => self.unary(Unary::Abs, x),
            (Unary::Abs, Node::Unary(Unary::Abs, _)) | (Unary::Bf16, Node::Unary(Unary::Bf16, _)) => a,
            _ => self.push(Node::Unary(op, a)),
        }
    }

    /// A function of two values.
    pub fn binary(&mut self, op: Binary, a: Id, b: Id) -> Id {
        let (x, y) = (self.value(a), self.value(b));
        if let (Some(x), Some(y)) = (x, y) {
            let value = op.eval(x, y);
            // Whole operands with a broken result (7 / 2) mean something else in integer arithmetic: left as they are.
            if value.fract() == 0.0 || x.fract() != 0.0 || y.fract() != 0.0 {
                return self.constant(value);
            }
        }
        // One order for exchangeable operands, constants last, so that equal values become equal nodes.
        if op.is_commutative() && (x.is_some(), a) > (y.is_some(), b) {
            return self.ordered(op, b, a, x);
        }
        self.ordered(op, a, b, y)
    }

    /// [`Self::binary`] after ordering; `c` is the value of `b` where that is a constant.
    fn ordered(&mut self, op: Binary, a: Id, b: Id, c: Option<f64>) -> Id {
        let negated = |node| if let Node::Unary(Unary::Neg, x) = node { Some(x) } else { None };
        let (na, nb) = (negated(self.node(a)), negated(self.node(b)));
        match (op, c, na, nb) {
            (Binary::Add | Binary::Sub, Some(0.0), ..) | (Binary::Mul | Binary::Div | Binary::Pow, Some(1.0), ..) => a,
            (Binary::Mul | Binary::Div, Some(-1.0), ..) => self.unary(Unary::Neg, a),
            (Binary::Pow, Some(0.0), ..) => self.constant(1.0),
            (Binary::Pow, Some(2.0), ..) => self.mul(a, a),
            (Binary::Pow, Some(3.0), ..) => {
                let square = self.mul(a, a);
                self.mul(square, a)
            }
            (Binary::Pow, Some(-1.0), ..) => {
                let one = self.constant(1.0);
                self.div(one, a)
            }
            (Binary::Pow, Some(0.5), ..) => self.unary(Unary::Sqrt, a),
            (Binary::Add, _, _, Some(y)) => self.sub(a, y),
            (Binary::Add, _, Some(x), _) => self.sub(b, x),
            (Binary::Sub, _, _, Some(y)) => self.add(a, y),
            (Binary::Mul, Some(c), Some(x), _) => {
                let c = self.constant(-c);
                self.mul(x, c)
            }
            (Binary::Mul, _, Some(x), Some(y)) => self.mul(x, y),
            (Binary::Mul, _, Some(x), None) => {
                let p = self.mul(x, b);
                self.neg(p)
            }
            (Binary::Mul, _, None, Some(y)) => {
                let p = self.mul(a, y);
                self.neg(p)
            }
            (Binary::Add, ..) if a == b => {
                let two = self.constant(2.0);
                self.mul(a, two)
            }
            (Binary::Min | Binary::Max, ..) if a == b => a,
            _ => self.push(Node::Binary(op, a, b)),
        }
    }

    /// `a` where `c` is non-zero, else `b`.
    pub fn select(&mut self, c: Id, a: Id, b: Id) -> Id {
        if let Some(c) = self.value(c) {
            return if c == 0.0 { b } else { a };
        }
        match self.node(c) {
            _ if a == b => a,
            Node::Unary(Unary::Not, c) => self.select(c, b, a),
            _ => self.push(Node::Select(c, a, b)),
        }
    }

    /// `-a`.
    pub fn neg(&mut self, a: Id) -> Id {
        self.unary(Unary::Neg, a)
    }

    /// `a + b`.
    pub fn add(&mut self, a: Id, b: Id) -> Id {
        self.binary(Binary::Add, a, b)
    }

    /// `a - b`.
    pub fn sub(&mut self, a: Id, b: Id) -> Id {
        self.binary(Binary::Sub, a, b)
    }

    /// `a · b`.
    pub fn mul(&mut self, a: Id, b: Id) -> Id {
        self.binary(Binary::Mul, a, b)
    }

    /// `a / b`.
    pub fn div(&mut self, a: Id, b: Id) -> Id {
        self.binary(Binary::Div, a, b)
    }

    /// Copies an expression in, with the given values for its inputs; gives its results.
    pub fn include(&mut self, expr: &Expr, inputs: &[Id]) -> Vec<Id> {
        let ids = self.copy(expr, inputs);
        expr.outs.iter().map(|&o| ids[o as usize]).collect()
    }

    /// [`Self::include`], giving the copy of every node.
    pub(super) fn copy(&mut self, expr: &Expr, inputs: &[Id]) -> Vec<Id> {
        assert_eq!(inputs.len(), expr.arity, "expression of {} inputs, given {}", expr.arity, inputs.len());
        let mut ids: Vec<Id> = Vec::with_capacity(expr.nodes.len());
        for &node in &expr.nodes {
            let id = match node {
                Node::In(i) => inputs[i as usize],
                _ => self.node_of(node.map_operands(|a| ids[a as usize])),
            };
            ids.push(id);
        }
        ids
    }

    /// A node over this builder's ids, simplified.
    pub(super) fn node_of(&mut self, node: Node) -> Id {
        match node {
            Node::In(i) => self.input(i as usize),
            Node::Const(bits) => self.constant(f64::from_bits(bits)),
            Node::Unary(op, a) => self.unary(op, a),
            Node::Binary(op, a, b) => self.binary(op, a, b),
            Node::Select(c, a, b) => self.select(c, a, b),
        }
    }

    /// The expression whose results are `outs`; nodes that no result needs are dropped.
    pub fn finish(self, outs: &[Id]) -> Expr {
        let mut live = vec![false; self.nodes.len()];
        for &o in outs {
            live[o as usize] = true;
        }
        for i in (0..self.nodes.len()).rev() {
            if live[i] {
                self.nodes[i].operands().for_each(|a| live[a as usize] = true);
            }
        }
        let mut moved = vec![Id::MAX; self.nodes.len()];
        let mut nodes = Vec::new();
        for (i, node) in self.nodes.iter().enumerate().filter(|&(i, _)| live[i]) {
            moved[i] = nodes.len() as Id;
            nodes.push(node.map_operands(|a| moved[a as usize]));
        }
        Expr { nodes, outs: outs.iter().map(|&o| moved[o as usize]).collect(), arity: self.arity }
    }

    fn node(&self, id: Id) -> Node {
        self.nodes[id as usize]
    }

    fn push(&mut self, node: Node) -> Id {
        *self.ids.entry(node).or_insert_with(|| {
            self.nodes.push(node);
            self.nodes.len() as Id - 1
        })
    }
}

impl Expr {
    /// This expression over `arity` new inputs: `feeds[i]` stands in for input `i`.
    ///
    /// ```
    /// use oxiconv_ir::{Binary, Expr, expr::Feed};
    /// // in0 * in1 takes the place of the first input of in0 - in1, whose second becomes in0.
    /// let inner = Expr::binary(Binary::Mul);
    /// let outer = Expr::binary(Binary::Sub);
    /// let both = outer.substitute(2, &[Feed::Expr(&inner, &[0, 1]), Feed::In(0)]);
    /// assert_eq!(both.to_string(), "in0 * in1 - in0");
    /// ```
    #[must_use]
    pub fn substitute(&self, arity: usize, feeds: &[Feed]) -> Self {
        let mut b = ExprBuilder::new(arity);
        let inputs: Vec<Id> = feeds
            .iter()
            .map(|feed| match *feed {
                Feed::In(i) => b.input(i),
                Feed::Expr(inner, list) => {
                    assert_eq!(inner.outs.len(), 1, "only a one-result expression can stand in for an input");
                    let inputs: Vec<Id> = list.iter().map(|&i| b.input(i)).collect();
                    b.include(inner, &inputs)[0]
                }
            })
            .collect();
        let outs = b.include(self, &inputs);
        b.finish(&outs)
    }

    /// This expression over `arity` inputs, where input `i` is now input `to[i]`.
    #[must_use]
    pub fn remap_inputs(&self, arity: usize, to: &[usize]) -> Self {
        let mut b = ExprBuilder::new(arity);
        let unused = b.constant(0.0);
        let used = self.used_inputs();
        let inputs: Vec<Id> =
            (0..self.arity).map(|i| if used.binary_search(&i).is_ok() { b.input(to[i]) } else { unused }).collect();
        let outs = b.include(self, &inputs);
        b.finish(&outs)
    }

    /// This expression over its used inputs alone, and which of the old inputs those are.
    #[must_use]
    pub fn compact(&self) -> (Self, Vec<usize>) {
        let used = self.used_inputs();
        let mut to = vec![0; self.arity];
        used.iter().enumerate().for_each(|(new, &old)| to[old] = new);
        (self.remap_inputs(used.len(), &to), used)
    }

    /// All results of several expressions over the same inputs, in order, with common parts shared.
    #[must_use]
    pub fn merge(arity: usize, exprs: &[&Self]) -> Self {
        let mut b = ExprBuilder::new(arity);
        let inputs: Vec<Id> = (0..arity).map(|i| b.input(i)).collect();
        let outs: Vec<Id> = exprs.iter().flat_map(|e| b.include(e, &inputs)).collect();
        b.finish(&outs)
    }

    /// The expression whose one result is this node.
    #[must_use]
    pub fn at(&self, node: Id) -> Self {
        Self { nodes: self.nodes.clone(), outs: vec![node], arity: self.arity }.result(0)
    }

    /// This expression of one result without the rounding to bfloat16 that comes last, if one does: what it is where
    /// the result is rounded when it is stored, or later.
    #[must_use]
    pub fn unrounded(&self) -> Self {
        match self.nodes[self.outs[0] as usize] {
            Node::Unary(Unary::Bf16, a) => self.at(a),
            _ => self.clone(),
        }
    }

    /// Result `k` alone.
    #[must_use]
    pub fn result(&self, k: usize) -> Self {
        let mut b = ExprBuilder::new(self.arity);
        let inputs: Vec<Id> = (0..self.arity).map(|i| b.input(i)).collect();
        let out = b.include(self, &inputs)[k];
        b.finish(&[out])
    }
}
