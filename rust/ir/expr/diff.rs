//! Derivatives of expressions, with the subgradients the field uses: `relu'(0) = 0`, `abs'(0) = 0`, steps have
//! derivative zero, equal operands of a maximum share its cotangent.

use super::{Binary, Expr, ExprBuilder, Id, Node, Unary};
use std::f64::consts::FRAC_2_SQRT_PI;

impl Expr {
    /// The cotangent of input `i` of a one-result expression: an expression over the inputs, then the result, then
    /// the cotangent of the result (arity + 2 inputs). It reads the result instead of recomputing it, so that often
    /// (`exp`, `sigmoid`, `relu`) the inputs themselves need not be kept. The constant 0 where the derivative
    /// vanishes everywhere.
    ///
    /// ```
    /// use oxiconv_ir::{Expr, Unary};
    /// let (dx, used) = Expr::unary(Unary::Exp).pullback(0).compact();
    /// assert_eq!(dx.to_string(), "in0 * in1");
    /// assert_eq!(used, [1, 2]); // result, cotangent
    /// ```
    #[must_use]
    pub fn pullback(&self, i: usize) -> Self {
        assert_eq!(self.outs.len(), 1, "the pullback is that of one result");
        let mut b = ExprBuilder::new(self.arity + 2);
        let inputs: Vec<Id> = (0..self.arity).map(|i| b.input(i)).collect();
        let (result, seed) = (b.input(self.arity), b.input(self.arity + 1));
        let ids = b.copy(self, &inputs);
        let out = self.outs[0] as usize;
        let mut cotangents: Vec<Option<Id>> = vec![None; self.nodes.len()];
        cotangents[out] = Some(seed);
        let mut found = None;
        for at in (0..=out).rev() {
            let Some(g) = cotangents[at] else { continue };
            let node = self.nodes[at];
            if node == Node::In(i as u32) {
                found = Some(g);
            }
            let terms = terms(&mut b, node.map_operands(|a| ids[a as usize]), ids[at], g);
            for (operand, term) in node.operands().zip(terms) {
                let Some(term) = term else { continue };
                let cotangent = &mut cotangents[operand as usize];
                *cotangent = Some(cotangent.map_or(term, |sum| b.add(sum, term)));
            }
        }
        let d = found.unwrap_or_else(|| b.constant(0.0));
        let whole = b.finish(&[d, ids[out]]);
        whole.reading_result(result as usize)
    }

    /// The first result, with input `result` read in place of the second result's node.
    fn reading_result(&self, input: usize) -> Self {
        let mut b = ExprBuilder::new(self.arity);
        let mut ids: Vec<Id> = Vec::with_capacity(self.nodes.len());
        for (at, &node) in self.nodes.iter().enumerate() {
            let leaf = matches!(node, Node::In(_) | Node::Const(_));
            let id = if at == self.outs[1] as usize && !leaf {
                b.input(input)
            } else {
                b.node_of(node.map_operands(|a| ids[a as usize]))
            };
            ids.push(id);
        }
        b.finish(&[ids[self.outs[0] as usize]])
    }
}

/// Cotangents of a node's operands: `y` is the node's value, `g` its cotangent. None where the derivative is zero.
fn terms(b: &mut ExprBuilder, node: Node, y: Id, g: Id) -> [Option<Id>; 3] {
    match node {
        Node::In(_) | Node::Const(_) => [None; 3],
        Node::Unary(op, x) => [unary(b, op, x, y, g), None, None],
        Node::Binary(op, p, q) => {
            let (dp, dq) = binary(b, op, p, q, y, g);
            // A term for a constant would only be dropped later.
            [dp.filter(|_| b.value(p).is_none()), dq.filter(|_| b.value(q).is_none()), None]
        }
        Node::Select(c, ..) => {
            let zero = b.constant(0.0);
            [None, Some(b.select(c, g, zero)), Some(b.select(c, zero, g))]
        }
    }
}

fn unary(b: &mut ExprBuilder, op: Unary, x: Id, y: Id, g: Id) -> Option<Id> {
    let one = b.constant(1.0);
    let slope = match op {
        Unary::Sign | Unary::Floor | Unary::Ceil | Unary::Round | Unary::Not | Unary::IsNan => return None,
        Unary::Neg => return Some(b.neg(g)),
        // As of a conversion, which is the identity but for rounding.
        Unary::Bf16 => return Some(g),
        Unary::Log => return Some(b.div(g, x)),
        Unary::Log1p => {
            let shifted = b.add(x, one);
            return Some(b.div(g, shifted));
        }
        Unary::Sqrt => {
            let twice = b.add(y, y);
            return Some(b.div(g, twice));
        }
        Unary::Abs => b.unary(Unary::Sign, x),
        Unary::Rsqrt => {
            let (square, minus_half) = (b.mul(y, y), b.constant(-0.5));
            let cube = b.mul(square, y);
            b.mul(cube, minus_half)
        }
        Unary::Exp => y,
        Unary::Expm1 => b.add(y, one),
        Unary::Sin => b.unary(Unary::Cos, x),
        Unary::Cos => {
            let sin = b.unary(Unary::Sin, x);
            b.neg(sin)
        }
        Unary::Tan => {
            let square = b.mul(y, y);
            b.add(square, one)
        }
        Unary::Tanh => {
            let square = b.mul(y, y);
            b.sub(one, square)
        }
        Unary::Sigmoid => {
            let rest = b.sub(one, y);
            b.mul(y, rest)
        }
        Unary::Erf => {
            let (square, factor) = (b.mul(x, x), b.constant(FRAC_2_SQRT_PI));
            let exponent = b.neg(square);
            let bell = b.unary(Unary::Exp, exponent);
            b.mul(bell, factor)
        }
    };
    Some(b.mul(g, slope))
}

fn binary(b: &mut ExprBuilder, op: Binary, p: Id, q: Id, y: Id, g: Id) -> (Option<Id>, Option<Id>) {
    match op {
        Binary::Eq | Binary::Ne | Binary::Lt | Binary::Le | Binary::Gt | Binary::Ge | Binary::And | Binary::Or => {
            (None, None)
        }
        Binary::Add => (Some(g), Some(g)),
        Binary::Sub => (Some(g), Some(b.neg(g))),
        Binary::Mul => (scale(b, g, q), scale(b, g, p)),
        Binary::Div => {
            let dp = b.div(g, q);
            let dq = b.mul(dp, y);
            (Some(dp), Some(b.neg(dq)))
        }
        Binary::Mod => {
            let ratio = b.div(p, q);
            let whole = b.unary(Unary::Floor, ratio);
            let dq = b.mul(g, whole);
            (Some(g), Some(b.neg(dq)))
        }
        Binary::Atan2 => {
            let (pp, qq) = (b.mul(p, p), b.mul(q, q));
            let norm = b.add(pp, qq);
            let scaled = b.div(g, norm);
            let dq = b.mul(scaled, p);
            (Some(b.mul(scaled, q)), Some(b.neg(dq)))
        }
        Binary::Pow => (power_base(b, p, q, g), Some(power_exponent(b, p, q, y, g))),
        Binary::Max => (Some(winner(b, Binary::Gt, p, q, y, g)), Some(winner(b, Binary::Gt, q, p, y, g))),
        Binary::Min => (Some(winner(b, Binary::Lt, p, q, y, g)), Some(winner(b, Binary::Lt, q, p, y, g))),
    }
}

/// `g · factor`, none where the factor is the constant 0.
fn scale(b: &mut ExprBuilder, g: Id, factor: Id) -> Option<Id> {
    (b.value(factor) != Some(0.0)).then(|| b.mul(g, factor))
}

/// Cotangent of `p` in `pow(p, q)`: `g · q · pow(p, q - 1)`, and 0 where `q` is 0, also for `p = 0`.
fn power_base(b: &mut ExprBuilder, p: Id, q: Id, g: Id) -> Option<Id> {
    let one = b.constant(1.0);
    let less = b.sub(q, one);
    let power = b.binary(Binary::Pow, p, less);
    let slope = b.mul(power, q);
    let d = scale(b, g, q).map(|_| b.mul(g, slope))?;
    if b.value(q).is_some() {
        return Some(d);
    }
    let zero = b.constant(0.0);
    let flat = b.binary(Binary::Eq, q, zero);
    Some(b.select(flat, zero, d))
}

/// Cotangent of `q` in `y = pow(p, q)`: `g · y · log(p)`, and 0 where `p` is 0 and `q` is not negative.
fn power_exponent(b: &mut ExprBuilder, p: Id, q: Id, y: Id, g: Id) -> Id {
    let log = b.unary(Unary::Log, p);
    let slope = b.mul(y, log);
    let d = b.mul(g, slope);
    let zero = b.constant(0.0);
    let (at_zero, up) = (b.binary(Binary::Eq, p, zero), b.binary(Binary::Ge, q, zero));
    let flat = b.binary(Binary::And, at_zero, up);
    b.select(flat, zero, d)
}

/// Cotangent of `p` in `y = max(p, q)` (`beats` is `>`) or `min` (`<`). Against a constant, ties give 0, and the
/// test reads `y`; between two values, ties share equally.
fn winner(b: &mut ExprBuilder, beats: Binary, p: Id, q: Id, y: Id, g: Id) -> Id {
    let zero = b.constant(0.0);
    if b.value(q).is_some() {
        let wins = b.binary(beats, y, q);
        return b.select(wins, g, zero);
    }
    let (wins, ties, half) = (b.binary(beats, p, q), b.binary(Binary::Eq, p, q), b.constant(0.5));
    let share = b.mul(g, half);
    let tied = b.select(ties, share, zero);
    b.select(wins, g, tied)
}
