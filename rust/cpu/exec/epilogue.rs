//! Expressions behind a product that its kernel computes in registers: sums, bounds and gates.

use crate::kernels::direct::Relu;
use crate::kernels::map::Operand;
use oxiconv_ir::expr::{Id, Node};
use oxiconv_ir::{Binary, DType, Expr, Type, Unary};

/// `gate(relu(product + bias + added))`, or parts of it. Operands are numbers of the expression's inputs; the product
/// is input 0.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Simple {
    /// One value per channel.
    pub(super) bias: Option<usize>,
    /// One value per result.
    pub(super) added: Option<usize>,
    pub(super) relu: Relu,
    pub(super) gate: Option<Gate>,
    /// Results are rounded to bfloat16. Wherever that is behind the sum, at the end it makes the same: zero and the bound
    /// are no further digits.
    pub(super) rounds: bool,
}

/// Results stay where this operand is above zero, and below a bound if there is one.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Gate {
    pub(super) input: usize,
    pub(super) below: Option<f32>,
}

impl Simple {
    /// Reads an expression whose inputs after the first are `others`.
    pub(super) fn of(expr: &Expr, others: &[Operand], types: &[Type]) -> Option<Self> {
        let reader = Reader { expr, others, types };
        let (at, gate) = reader.gate(expr.outs()[0])?;
        let (at, relu) = reader.relu(at);
        let rounds = expr.nodes().iter().any(|n| matches!(n, Node::Unary(Unary::Bf16, _)));
        let mut found = Self { relu, gate, rounds, ..Self::default() };
        let exact = |most: f32| !rounds || Unary::Bf16.eval(f64::from(most)) == f64::from(most);
        if matches!(relu, Relu::UpTo(most) if !exact(most)) {
            return None;
        }
        // A rounded operand of the sum is another matter.
        let at = if let Node::Unary(Unary::Bf16, sum) = reader.node(at) { sum } else { at };
        (reader.sum(at, &mut found)? == 1).then_some(found)
    }

    /// Whether each result meets values of its own.
    pub(super) fn is_elementwise(&self) -> bool {
        self.added.is_some() || self.gate.is_some()
    }

    /// The inputs that have a value for each result.
    pub(super) fn elementwise(&self) -> impl Iterator<Item = usize> {
        self.added.into_iter().chain(self.gate.map(|g| g.input))
    }

    /// For people.
    pub(super) fn describe(&self) -> String {
        let bias = if self.bias.is_some() { " + bias" } else { "" };
        let added = if self.added.is_some() { " + sum" } else { "" };
        let relu = match self.relu {
            Relu::No => String::new(),
            Relu::Yes => " + relu".to_owned(),
            Relu::UpTo(most) => format!(" + relu up to {most}"),
        };
        let gate = match self.gate {
            None => String::new(),
            Some(Gate { below: None, .. }) => " + gate".to_owned(),
            Some(Gate { below: Some(below), .. }) => format!(" + gate up to {below}"),
        };
        format!("{bias}{added}{relu}{gate}")
    }
}

struct Reader<'a> {
    expr: &'a Expr,
    others: &'a [Operand],
    types: &'a [Type],
}

impl Reader<'_> {
    fn node(&self, id: Id) -> Node {
        self.expr.nodes()[id as usize]
    }

    /// The node, or what it rounds.
    fn rounded(&self, id: Id) -> Node {
        if let Node::Unary(Unary::Bf16, a) = self.node(id) { self.node(a) } else { self.node(id) }
    }

    fn constant(&self, id: Id) -> Option<f64> {
        if let Node::Const(bits) = self.node(id) { Some(f64::from_bits(bits)) } else { None }
    }

    /// An operand of float32 that is not the product.
    fn other(&self, id: Id) -> Option<(usize, &Operand)> {
        let Node::In(i) = self.node(id) else { return None };
        let at = (i as usize).checked_sub(1)?;
        (self.types[at].dtype == DType::F32).then_some((i as usize, &self.others[at]))
    }

    /// An operand with one value for each result.
    fn elementwise(&self, id: Id) -> Option<usize> {
        self.other(id).filter(|(_, o)| !o.repeat.contains(&true)).map(|(i, _)| i)
    }

    /// `select(condition, inner, 0)` where the condition is that an operand is above zero (no bound), or below a bound.
    fn condition(&self, id: Id) -> Option<(usize, Option<f32>, Id)> {
        let Node::Select(condition, inner, zero) = self.rounded(id) else { return None };
        let Node::Binary(op, a, b) = self.node(condition) else { return None };
        let (input, bound) = (self.elementwise(a)?, self.constant(b)?);
        let bound = match op {
            Binary::Gt if bound == 0.0 => None,
            Binary::Lt if bound > 0.0 => Some(bound as f32),
            _ => return None,
        };
        (self.constant(zero) == Some(0.0)).then_some((input, bound, inner))
    }

    /// The gate that ends an expression, if there is one, and what it lets through. None if it is no gate of a kernel.
    fn gate(&self, mut id: Id) -> Option<(Id, Option<Gate>)> {
        let (mut gate, mut positive): (Option<Gate>, bool) = (None, false);
        while let Some((input, bound, inner)) = self.condition(id) {
            let known = gate.get_or_insert(Gate { input, below: None });
            let again = if bound.is_some() { known.below.is_some() } else { positive };
            if known.input != input || again {
                return None;
            }
            positive |= bound.is_none();
            known.below = known.below.or(bound);
            id = inner;
        }
        (gate.is_none() || positive).then_some((id, gate))
    }

    /// The bounds that end an expression, and what they bound.
    fn relu(&self, id: Id) -> (Id, Relu) {
        // Constants are last among exchangeable operands.
        let positive = |id: Id| match self.rounded(id) {
            Node::Binary(Binary::Max, a, b) if self.constant(b) == Some(0.0) => Some(a),
            _ => None,
        };
        if let Node::Binary(Binary::Min, a, b) = self.rounded(id)
            && let Some(most) = self.constant(b).filter(|most| *most >= 0.0)
            && let Some(inner) = positive(a)
        {
            return (inner, Relu::UpTo(most as f32));
        }
        positive(id).map_or((id, Relu::No), |inner| (inner, Relu::Yes))
    }

    /// Reads a sum into `found`, and returns how often the product is in it.
    fn sum(&self, id: Id, found: &mut Simple) -> Option<usize> {
        if let Node::Binary(Binary::Add, a, b) = self.node(id) {
            return Some(self.sum(a, found)? + self.sum(b, found)?);
        }
        if self.node(id) == Node::In(0) {
            return Some(1);
        }
        let (input, operand) = self.other(id)?;
        let per_channel = operand.repeat.split_last().is_some_and(|(last, rest)| !last && rest.iter().all(|r| *r));
        let place = if per_channel && operand.repeat.len() > 1 {
            &mut found.bias
        } else if !operand.repeat.contains(&true) {
            &mut found.added
        } else {
            return None;
        };
        place.replace(input).is_none().then_some(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use oxiconv_ir::expr::ExprBuilder;

    /// An expression over the product, a bias, and two tensors like the result.
    fn read(build: impl Fn(&mut ExprBuilder, [Id; 4]) -> Id) -> Option<Simple> {
        let mut b = ExprBuilder::new(4);
        let inputs = [0, 1, 2, 3].map(|i| b.input(i));
        let out = build(&mut b, inputs);
        let operand = |repeat: [bool; 2]| Operand { dtype: DType::F32, repeat: repeat.to_vec() };
        let others = [operand([true, false]), operand([false; 2]), operand([false; 2])];
        let types = [vec![8], vec![4, 8], vec![4, 8]].map(|dims| Type::new(DType::F32, dims));
        Simple::of(&b.finish(&[out]), &others, &types)
    }

    fn clipped(b: &mut ExprBuilder, x: Id, most: f64) -> Id {
        let (zero, most) = (b.constant(0.0), b.constant(most));
        let positive = b.binary(Binary::Max, x, zero);
        b.binary(Binary::Min, positive, most)
    }

    fn gated(b: &mut ExprBuilder, by: Id, op: Binary, bound: f64, x: Id) -> Id {
        let (zero, bound) = (b.constant(0.0), b.constant(bound));
        let open = b.binary(op, by, bound);
        b.select(open, x, zero)
    }

    #[test]
    fn sums_bounds_and_gates_are_read() {
        let none = Simple::default();
        assert_eq!(read(|_, i| i[0]), Some(none));
        assert_eq!(read(|b, i| b.add(i[1], i[0])), Some(Simple { bias: Some(1), ..none }));
        let residual = |b: &mut ExprBuilder, i: [Id; 4]| {
            let sum = b.add(i[0], i[1]);
            let sum = b.add(i[2], sum);
            clipped(b, sum, 6.0)
        };
        let expected = Simple { bias: Some(1), added: Some(2), relu: Relu::UpTo(6.0), ..none };
        assert_eq!(read(residual), Some(expected));
        let gate = |below| Some(Gate { input: 3, below });
        assert_eq!(read(|b, i| gated(b, i[3], Binary::Gt, 0.0, i[0])), Some(Simple { gate: gate(None), ..none }));
        for order in [[0, 1], [1, 0]] {
            let both = |b: &mut ExprBuilder, i: [Id; 4]| {
                order.iter().fold(i[0], |x, k| {
                    let (op, bound) = [(Binary::Gt, 0.0), (Binary::Lt, 6.0)][*k];
                    gated(b, i[3], op, bound, x)
                })
            };
            assert_eq!(read(both), Some(Simple { gate: gate(Some(6.0)), ..none }));
        }
    }

    #[test]
    fn what_kernels_do_not_compute_is_left() {
        // No lower bound; another bound than zero; two operands; a bias as a gate; the product twice, or not at all.
        assert_eq!(read(|b, i| gated(b, i[3], Binary::Lt, 6.0, i[0])), None);
        assert_eq!(read(|b, i| gated(b, i[3], Binary::Gt, 1.0, i[0])), None);
        assert_eq!(read(|b, i| gated(b, i[1], Binary::Gt, 0.0, i[0])), None);
        let two = |b: &mut ExprBuilder, i: [Id; 4]| {
            let x = gated(b, i[3], Binary::Gt, 0.0, i[0]);
            gated(b, i[2], Binary::Lt, 6.0, x)
        };
        assert_eq!(read(two), None);
        assert_eq!(read(|b, i| b.add(i[2], i[3])), None);
        assert_eq!(read(|b, i| b.mul(i[0], i[3])), None);
        let thrice = |b: &mut ExprBuilder, i: [Id; 4]| {
            let sum = b.add(i[0], i[2]);
            b.add(sum, i[3])
        };
        assert_eq!(read(thrice), None);
    }
}
