//! Which expressions behind a product are computed on its sums while they are in registers.

use crate::kernels::direct::Relu;
use crate::kernels::map::Operand;
use oxiconv_ir::expr::Node;
use oxiconv_ir::{Binary, DType, Expr, Type, Unary};

/// The work on a sum `y`: `relu(y + bias + add)`, zero where `gate` is not positive, rounded or not. Tensors are numbers among the
/// epilogue's other operands.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Finish {
    /// One value per channel.
    pub(super) bias: Option<usize>,
    /// Of the result's own sizes.
    pub(super) add: Option<usize>,
    /// Of the result's own sizes.
    pub(super) gate: Option<usize>,
    pub(super) relu: Relu,
    /// Whether the result is rounded to bfloat16.
    pub(super) rounds: bool,
}

impl Finish {
    /// What an expression asks for, if it is of this form. `others` and `types` are its operands but the sum.
    pub(super) fn new(expr: &Expr, others: &[Operand], types: &[Type]) -> Option<Self> {
        let nodes = expr.nodes();
        let rounds = nodes.iter().any(|n| matches!(n, Node::Unary(Unary::Bf16, _)));
        let exact = |id: u32| nodes[id as usize];
        // Wherever the rounding is, behind the rest it makes the same: zero and the bound are no further digits. Rounded
        // operands of the sum, and rounded gates, are another matter.
        let node = |id: u32| match exact(id) {
            Node::Unary(Unary::Bf16, a) => exact(a),
            n => n,
        };
        // Constants are last among exchangeable operands.
        let constant = |id: u32| if let Node::Const(bits) = node(id) { Some(f64::from_bits(bits)) } else { None };
        let dense = |i: usize| types[i].dtype == DType::F32 && others[i].repeat.iter().all(|r| !r);
        let per_channel = |i: usize| {
            let repeat = others[i].repeat.split_last();
            types[i].rank() == 1
                && types[i].dtype == DType::F32
                && repeat.is_some_and(|(last, rest)| !last && rest.iter().all(|r| *r))
        };
        let other = |n: Node| if let Node::In(i) = n { (i as usize).checked_sub(1) } else { None };

        let (gate, ungated) = match node(expr.outs()[0]) {
            Node::Select(condition, value, zero) if constant(zero) == Some(0.0) => match exact(condition) {
                Node::Binary(Binary::Gt, gate, bound) if constant(bound) == Some(0.0) => {
                    (Some(other(exact(gate)).filter(|i| dense(*i))?), node(value))
                }
                _ => return None,
            },
            out => (None, out),
        };
        let positive = |n: Node| match n {
            Node::Binary(Binary::Max, a, b) if constant(b) == Some(0.0) => Some(node(a)),
            _ => None,
        };
        let (inner, most) = match ungated {
            Node::Binary(Binary::Min, a, b) => {
                (node(a), constant(b).filter(|most| *most >= 0.0 && (!rounds || Unary::Bf16.eval(*most) == *most)))
            }
            _ => (ungated, None),
        };
        let (sum, relu) = match (positive(inner), positive(ungated), most) {
            (Some(sum), _, Some(most)) => (sum, Relu::UpTo(most as f32)),
            (_, Some(sum), _) => (sum, Relu::Yes),
            _ => (ungated, Relu::No),
        };
        let mut finish = Self { gate, relu, rounds, ..Self::default() };
        let (mut products, mut terms) = (0, vec![sum]);
        while let Some(term) = terms.pop() {
            match term {
                Node::In(0) => products += 1,
                Node::Binary(Binary::Add, a, b) => terms.extend([exact(a), exact(b)]),
                _ => {
                    let i = other(term)?;
                    let place = if per_channel(i) { &mut finish.bias } else { &mut finish.add };
                    if place.replace(i).is_some() || !(per_channel(i) || dense(i)) {
                        return None;
                    }
                }
            }
        }
        (products == 1).then_some(finish)
    }

    /// Whether there is more than a bias and a ReLU.
    pub(super) fn joins(&self) -> bool {
        self.add.is_some() || self.gate.is_some()
    }

    /// As programs print it.
    pub(super) fn describe(&self) -> String {
        let relu = match self.relu {
            Relu::No => String::new(),
            Relu::Yes => " + relu".to_owned(),
            Relu::UpTo(most) => format!(" + relu up to {most}"),
        };
        let part = |tensor: Option<usize>, name| if tensor.is_some() { name } else { "" };
        let rounds = if self.rounds { " + bfloat16" } else { "" };
        let [bias, add] = [part(self.bias, " + bias"), part(self.add, " + tensor")];
        format!("{bias}{add}{relu}{}{rounds}", part(self.gate, " + gate"))
    }
}

#[cfg(test)]
mod tests {
    use super::Finish;
    use crate::kernels::direct::Relu;
    use crate::kernels::map::Operand;
    use oxiconv_ir::expr::ExprBuilder;
    use oxiconv_ir::{Binary, DType, Type, Unary};

    /// Operands: the sum, a bias, two tensors, a scalar. `build` makes the result of their nodes.
    fn finish(build: impl Fn(&mut ExprBuilder, [u32; 5]) -> u32) -> Option<Finish> {
        let mut b = ExprBuilder::new(5);
        let inputs = std::array::from_fn(|i| b.input(i));
        let out = build(&mut b, inputs);
        let expr = b.finish(&[out]);
        let bias = Operand { dtype: DType::F32, repeat: vec![true, true, false] };
        let (dense, scalar) = (Operand::dense(DType::F32, 3), Operand::scalar(DType::F32, 3));
        let types = [vec![4], vec![2, 3, 4], vec![2, 3, 4], vec![]].map(|dims| Type { dtype: DType::F32, dims });
        Finish::new(&expr, &[bias, dense.clone(), dense, scalar], &types)
    }

    #[test]
    fn biases_tensors_bounds_and_gates() {
        let plain = finish(|_, [y, ..]| y);
        assert_eq!(plain, Some(Finish::default()));
        let residual = finish(|b, [y, bias, add, ..]| {
            let (sum, zero) = (b.binary(Binary::Add, y, bias), b.constant(0.0));
            let sum = b.binary(Binary::Add, add, sum);
            b.binary(Binary::Max, sum, zero)
        });
        assert_eq!(residual, Some(Finish { bias: Some(0), add: Some(1), relu: Relu::Yes, ..Finish::default() }));
        let gradient = finish(|b, [y, _, add, gate, _]| {
            let (sum, zero) = (b.binary(Binary::Add, y, add), b.constant(0.0));
            let positive = b.binary(Binary::Gt, gate, zero);
            b.select(positive, sum, zero)
        });
        assert_eq!(gradient, Some(Finish { add: Some(1), gate: Some(2), ..Finish::default() }));
    }

    #[test]
    fn rounding_follows_everything_but_the_operands() {
        let relu = finish(|b, [y, bias, ..]| {
            let (sum, zero) = (b.binary(Binary::Add, y, bias), b.constant(0.0));
            let rounded = b.unary(Unary::Bf16, sum);
            b.binary(Binary::Max, rounded, zero)
        });
        assert_eq!(relu, Some(Finish { bias: Some(0), relu: Relu::Yes, rounds: true, ..Finish::default() }));
        let gated = |rounds_gate: bool| {
            finish(move |b, [y, _, _, gate, _]| {
                let (sum, zero) = (b.unary(Unary::Bf16, y), b.constant(0.0));
                let gate = if rounds_gate { b.unary(Unary::Bf16, gate) } else { gate };
                let positive = b.binary(Binary::Gt, gate, zero);
                b.select(positive, sum, zero)
            })
        };
        assert_eq!(gated(false), Some(Finish { gate: Some(2), rounds: true, ..Finish::default() }));
        let term = finish(|b, [y, _, add, ..]| {
            let rounded = b.unary(Unary::Bf16, y);
            b.binary(Binary::Add, rounded, add)
        });
        assert_eq!([gated(true), term], [None; 2], "rounding may make zero of a gate, and something else of a sum");
    }

    #[test]
    fn everything_else_is_an_expression() {
        let scalar = finish(|b, [y, .., scalar]| b.binary(Binary::Add, y, scalar));
        let twice = finish(|b, [_, bias, add, ..]| b.binary(Binary::Add, bias, add));
        let two = finish(|b, [y, _, add, gate, _]| {
            let sum = b.binary(Binary::Add, y, add);
            b.binary(Binary::Add, sum, gate)
        });
        let by_bias = finish(|b, [y, bias, ..]| {
            let zero = b.constant(0.0);
            let positive = b.binary(Binary::Gt, bias, zero);
            b.select(positive, y, zero)
        });
        let else_one = finish(|b, [y, _, _, gate, _]| {
            let (zero, one) = (b.constant(0.0), b.constant(1.0));
            let positive = b.binary(Binary::Gt, gate, zero);
            b.select(positive, y, one)
        });
        assert_eq!([scalar, twice, two, by_bias, else_one], [None; 5]);
    }
}
