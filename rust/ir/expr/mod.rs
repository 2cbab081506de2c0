//! Scalar expressions: all elementwise work. One `Expr` maps the values of `arity` inputs at one position to one or
//! more results. A CPU kernel interprets it block by block; a GPU shader prints it.

mod build;
mod diff;
mod eval;
mod show;

pub use build::{ExprBuilder, Feed};
pub use eval::{Arithmetic, Integer, erf};

/// Functions of one value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[allow(missing_docs, reason = "the names are the functions")]
pub enum Unary {
    Neg,
    Abs,
    /// −1, 0 or 1; NaN stays NaN.
    Sign,
    Floor,
    Ceil,
    /// To nearest, ties to even.
    Round,
    Sqrt,
    Rsqrt,
    Exp,
    Expm1,
    Log,
    Log1p,
    Sin,
    Cos,
    Tan,
    Tanh,
    /// `1 / (1 + exp(-x))`.
    Sigmoid,
    Erf,
    /// 1 where the value is 0, else 0.
    Not,
    /// 1 where the value is NaN, else 0.
    IsNan,
    /// The nearest bfloat16, ties to even, as a float: what storing as one and reading again makes of a value.
    Bf16,
}

/// Functions of two values. Comparisons give 1 or 0; `And`/`Or` take any non-zero value as true.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[allow(missing_docs, reason = "the names are the functions")]
pub enum Binary {
    Add,
    Sub,
    Mul,
    /// IEEE division; floor division by a non-zero divisor in integer arithmetic (0 by zero).
    Div,
    /// In integer arithmetic a negative exponent means floor division of 1 by the positive power.
    Pow,
    /// NaN if either is NaN.
    Min,
    /// NaN if either is NaN.
    Max,
    /// Remainder with the sign of the divisor (Python's `%`).
    Mod,
    Atan2,
    Eq,
    Ne,
    Lt,
    Le,
    Gt,
    Ge,
    And,
    Or,
}

/// Index of a node within its expression.
pub type Id = u32;

/// One operation of an expression; operands precede it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Node {
    /// The value of an input.
    In(u32),
    /// A constant, as the bits of an `f64` so that expressions compare and hash.
    Const(u64),
    /// A function of one value.
    Unary(Unary, Id),
    /// A function of two values.
    Binary(Binary, Id, Id),
    /// The second value where the first is non-zero, else the third.
    Select(Id, Id, Id),
}

/// A scalar expression: nodes in evaluation order without duplicates, and which of them are the results. Built by
/// [`ExprBuilder`], which simplifies; equal expressions built in the same order are equal values.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Expr {
    nodes: Vec<Node>,
    outs: Vec<Id>,
    arity: usize,
}

impl Unary {
    /// Every function of one value.
    pub const ALL: [Self; 21] = [
        Self::Neg,
        Self::Abs,
        Self::Sign,
        Self::Floor,
        Self::Ceil,
        Self::Round,
        Self::Sqrt,
        Self::Rsqrt,
        Self::Exp,
        Self::Expm1,
        Self::Log,
        Self::Log1p,
        Self::Sin,
        Self::Cos,
        Self::Tan,
        Self::Tanh,
        Self::Sigmoid,
        Self::Erf,
        Self::Not,
        Self::IsNan,
        Self::Bf16,
    ];

    /// Whether integers map to integers, so that the function exists in integer arithmetic.
    pub const fn is_integral(self) -> bool {
        use Unary as U;
        matches!(self, U::Neg | U::Abs | U::Sign | U::Floor | U::Ceil | U::Round | U::Not | U::IsNan)
    }
}

impl Binary {
    /// Every function of two values.
    pub const ALL: [Self; 17] = [
        Self::Add,
        Self::Sub,
        Self::Mul,
        Self::Div,
        Self::Pow,
        Self::Min,
        Self::Max,
        Self::Mod,
        Self::Atan2,
        Self::Eq,
        Self::Ne,
        Self::Lt,
        Self::Le,
        Self::Gt,
        Self::Ge,
        Self::And,
        Self::Or,
    ];

    /// Whether the operands may be exchanged.
    pub const fn is_commutative(self) -> bool {
        use Binary as B;
        matches!(self, B::Add | B::Mul | B::Min | B::Max | B::Eq | B::Ne | B::And | B::Or)
    }

    /// Whether the result is a truth value: 0 or 1, derivative zero.
    pub const fn is_predicate(self) -> bool {
        use Binary as B;
        matches!(self, B::Eq | B::Ne | B::Lt | B::Le | B::Gt | B::Ge | B::And | B::Or)
    }

    /// Whether integers map to integers, so that the function exists in integer arithmetic.
    pub const fn is_integral(self) -> bool {
        !matches!(self, Self::Atan2)
    }
}

impl Node {
    /// The node with every operand replaced.
    #[must_use]
    pub fn map_operands(self, mut f: impl FnMut(Id) -> Id) -> Self {
        match self {
            Self::In(_) | Self::Const(_) => self,
            Self::Unary(op, a) => Self::Unary(op, f(a)),
            Self::Binary(op, a, b) => Self::Binary(op, f(a), f(b)),
            Self::Select(c, a, b) => Self::Select(f(c), f(a), f(b)),
        }
    }

    /// The operands, in order.
    pub fn operands(self) -> impl Iterator<Item = Id> {
        let (list, n) = match self {
            Self::In(_) | Self::Const(_) => ([0; 3], 0),
            Self::Unary(_, a) => ([a, 0, 0], 1),
            Self::Binary(_, a, b) => ([a, b, 0], 2),
            Self::Select(c, a, b) => ([c, a, b], 3),
        };
        list.into_iter().take(n)
    }
}

impl Expr {
    /// The one-result expression that `f` builds over `arity` inputs.
    ///
    /// ```
    /// use oxiconv_ir::{Binary, Expr};
    /// let relu = Expr::build(1, |b| {
    ///     let (x, zero) = (b.input(0), b.constant(0.0));
    ///     b.binary(Binary::Max, x, zero)
    /// });
    /// assert_eq!(relu.to_string(), "max(in0, 0)");
    /// assert_eq!(relu.eval(&[-2.0]), [0.0]);
    /// ```
    pub fn build(arity: usize, f: impl FnOnce(&mut ExprBuilder) -> Id) -> Self {
        let mut b = ExprBuilder::new(arity);
        let out = f(&mut b);
        b.finish(&[out])
    }

    /// Input `i` of `arity`.
    pub fn input(arity: usize, i: usize) -> Self {
        Self::build(arity, |b| b.input(i))
    }

    /// A constant, over `arity` inputs that it ignores.
    pub fn constant(arity: usize, value: f64) -> Self {
        Self::build(arity, |b| b.constant(value))
    }

    /// A function of the one input.
    pub fn unary(op: Unary) -> Self {
        Self::build(1, |b| {
            let x = b.input(0);
            b.unary(op, x)
        })
    }

    /// A function of the two inputs.
    pub fn binary(op: Binary) -> Self {
        Self::build(2, |b| {
            let (x, y) = (b.input(0), b.input(1));
            b.binary(op, x, y)
        })
    }

    /// The second input where the first is non-zero, else the third.
    pub fn select() -> Self {
        Self::build(3, |b| {
            let (c, x, y) = (b.input(0), b.input(1), b.input(2));
            b.select(c, x, y)
        })
    }

    /// Nodes in evaluation order; each is needed for a result.
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// The nodes that are the results.
    pub fn outs(&self) -> &[Id] {
        &self.outs
    }

    /// Number of inputs, used or not.
    pub fn arity(&self) -> usize {
        self.arity
    }

    /// The inputs that the results depend on, ascending.
    pub fn used_inputs(&self) -> Vec<usize> {
        let mut used: Vec<usize> =
            self.nodes.iter().filter_map(|n| if let Node::In(i) = n { Some(*i as usize) } else { None }).collect();
        used.sort_unstable();
        used
    }

    /// The constant that a one-result expression is, if it is one.
    pub fn as_constant(&self) -> Option<f64> {
        match self.nodes[..] {
            [Node::Const(bits)] => Some(f64::from_bits(bits)),
            _ => None,
        }
    }

    /// Whether this is the constant 0, as the derivative of a step function is.
    pub fn is_zero(&self) -> bool {
        self.as_constant() == Some(0.0)
    }

    /// Whether the one result is input `i` unchanged.
    pub fn is_input(&self, i: usize) -> bool {
        self.outs.len() == 1 && self.nodes == [Node::In(i as u32)]
    }
}

#[cfg(test)]
mod tests;
