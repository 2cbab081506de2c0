//! Scalar expressions: all elementwise work. One `Expr` maps the values of `arity` inputs at one position to one or
//! more results. A CPU kernel interprets it block by block; a GPU shader prints it.

use std::fmt;

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

/// A scalar expression: nodes in evaluation order without duplicates, and which of them are the results.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Expr {
    nodes: Vec<Node>,
    outs: Vec<Id>,
    arity: usize,
}
