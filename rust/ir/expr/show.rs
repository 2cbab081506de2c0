//! Expressions as text: `max(in0 + in1, 0)`; a value used more than once is named first, `t2 = exp(in0); t2 * t2`.

use super::{Binary, Expr, Id, Node, Unary};
use std::fmt;

impl Unary {
    /// Lower-case name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Neg => "neg",
            Self::Abs => "abs",
            Self::Sign => "sign",
            Self::Floor => "floor",
            Self::Ceil => "ceil",
            Self::Round => "round",
            Self::Sqrt => "sqrt",
            Self::Rsqrt => "rsqrt",
            Self::Exp => "exp",
            Self::Expm1 => "expm1",
            Self::Log => "log",
            Self::Log1p => "log1p",
            Self::Sin => "sin",
            Self::Cos => "cos",
            Self::Tan => "tan",
            Self::Tanh => "tanh",
            Self::Sigmoid => "sigmoid",
            Self::Erf => "erf",
            Self::Not => "not",
            Self::IsNan => "isnan",
            Self::Bf16 => "bfloat16",
        }
    }
}

impl Binary {
    /// Lower-case name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Add => "add",
            Self::Sub => "sub",
            Self::Mul => "mul",
            Self::Div => "div",
            Self::Pow => "pow",
            Self::Min => "min",
            Self::Max => "max",
            Self::Mod => "mod",
            Self::Atan2 => "atan2",
            Self::Eq => "eq",
            Self::Ne => "ne",
            Self::Lt => "lt",
            Self::Le => "le",
            Self::Gt => "gt",
            Self::Ge => "ge",
            Self::And => "and",
            Self::Or => "or",
        }
    }

    /// Sign and binding strength (as in Python) where the function has an infix sign.
    const fn infix(self) -> Option<(&'static str, u8)> {
        Some(match self {
            Self::Or => ("|", 1),
            Self::And => ("&", 2),
            Self::Eq => ("==", 3),
            Self::Ne => ("!=", 3),
            Self::Lt => ("<", 3),
            Self::Le => ("<=", 3),
            Self::Gt => (">", 3),
            Self::Ge => (">=", 3),
            Self::Add => ("+", 4),
            Self::Sub => ("-", 4),
            Self::Mul => ("*", 5),
            Self::Div => ("/", 5),
            Self::Mod => ("%", 5),
            Self::Pow | Self::Min | Self::Max | Self::Atan2 => return None,
        })
    }
}

/// A node's text, and how strongly its outermost sign binds.
type Text = (String, u8);

/// Binds tighter than any sign.
const ATOM: u8 = 7;

impl fmt::Display for Expr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut uses = vec![0; self.nodes.len()];
        self.nodes.iter().flat_map(|n| n.operands()).for_each(|a| uses[a as usize] += 1);
        let mut texts: Vec<Text> = Vec::with_capacity(self.nodes.len());
        for (i, &node) in self.nodes.iter().enumerate() {
            let text = text(node, &texts);
            let leaf = matches!(node, Node::In(_) | Node::Const(_));
            texts.push(if uses[i] > 1 && !leaf {
                write!(f, "t{i} = {}; ", text.0)?;
                (format!("t{i}"), ATOM)
            } else {
                text
            });
        }
        let outs: Vec<&str> = self.outs.iter().map(|&o| texts[o as usize].0.as_str()).collect();
        f.write_str(&outs.join(", "))
    }
}

fn text(node: Node, texts: &[Text]) -> Text {
    let plain = |id: Id| texts[id as usize].0.as_str();
    let within = |id: Id, strength: u8| {
        let (text, own) = &texts[id as usize];
        if *own < strength { format!("({text})") } else { text.clone() }
    };
    match node {
        Node::In(i) => (format!("in{i}"), ATOM),
        Node::Const(bits) => {
            let value = f64::from_bits(bits);
            (value.to_string(), if value.is_sign_negative() { 6 } else { ATOM })
        }
        Node::Unary(Unary::Neg, a) => (format!("-{}", within(a, 6)), 6),
        Node::Unary(op, a) => (format!("{}({})", op.name(), plain(a)), ATOM),
        Node::Binary(op, a, b) => match op.infix() {
            Some((sign, strength)) => (format!("{} {sign} {}", within(a, strength), within(b, strength + 1)), strength),
            None => (format!("{}({}, {})", op.name(), plain(a), plain(b)), ATOM),
        },
        Node::Select(c, a, b) => (format!("select({}, {}, {})", plain(c), plain(a), plain(b)), ATOM),
    }
}
