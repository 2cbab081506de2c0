//! Expressions against their meaning: values before and after simplification, derivatives against differences.

use super::*;

/// Uniform numbers in `[low, high)` (SplitMix64).
struct Numbers(u64);

impl Numbers {
    fn word(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    fn within(&mut self, low: f64, high: f64) -> f64 {
        low + (self.word() >> 11) as f64 / (1u64 << 53) as f64 * (high - low)
    }

    fn below(&mut self, n: usize) -> usize {
        (self.word() % n as u64) as usize
    }
}

/// Cotangent of input `i` at a point, for cotangent `g` of the result.
fn slope(e: &Expr, i: usize, at: &[f64], g: f64) -> f64 {
    e.pullback(i).eval(&[at, &[e.eval(at)[0], g]].concat())[0]
}

/// Central difference of order 4: error about `h⁴ f⁽⁵⁾ / 30 + ε |f| / h`, near 1e-11 for the functions and points here
/// (values and fifth derivatives up to about 1e3).
fn difference(e: &Expr, i: usize, at: &[f64]) -> f64 {
    let h = 1e-4;
    let f = |k: f64| {
        let mut x = at.to_vec();
        x[i] += k * h;
        e.eval(&x)[0]
    };
    (8.0 * (f(1.0) - f(-1.0)) - (f(2.0) - f(-2.0))) / (12.0 * h)
}

fn assert_slope(e: &Expr, i: usize, at: &[f64]) {
    let (given, expected) = (slope(e, i, at, 1.7), 1.7 * difference(e, i, at));
    // 1e-8 leaves three digits to the differences above.
    let bound = 1e-8 * (1.0 + expected.abs() + e.eval(at)[0].abs());
    assert!((given - expected).abs() < bound, "d/din{i} of {e} at {at:?}: {given}, differences give {expected}");
}

#[test]
fn derivatives_of_unary_functions() {
    let mut numbers = Numbers(1);
    // Rounding is a staircase, but has the derivative of the conversion that it is.
    assert_eq!(slope(&Expr::unary(Unary::Bf16), 0, &[0.3], 1.7), 1.7);
    for op in Unary::ALL.into_iter().filter(|op| *op != Unary::Bf16) {
        let positive = matches!(op, Unary::Sqrt | Unary::Rsqrt | Unary::Log | Unary::Log1p);
        for _ in 0..50 {
            let x = if positive { numbers.within(0.3, 4.0) } else { numbers.within(-1.4, 1.4) };
            // The points where steps and kinks lie are exact numbers; differences are taken away from them.
            if (2.0 * x - (2.0 * x).round()).abs() > 0.01 {
                assert_slope(&Expr::unary(op), 0, &[x]);
            }
        }
    }
}

#[test]
fn derivatives_of_binary_functions() {
    let mut numbers = Numbers(2);
    for op in Binary::ALL {
        for _ in 0..50 {
            let low = if op == Binary::Pow { 0.3 } else { -3.0 };
            let (x, y) = (numbers.within(low, 3.0), numbers.within(-3.0, 3.0));
            let ratio: f64 = x / y;
            if (x - y).abs() > 0.01 && x.abs() > 0.1 && y.abs() > 0.3 && (ratio - ratio.round()).abs() > 0.01 {
                assert_slope(&Expr::binary(op), 0, &[x, y]);
                assert_slope(&Expr::binary(op), 1, &[x, y]);
            }
        }
    }
    for i in 0..3 {
        assert_slope(&Expr::select(), i, &[1.0, 0.4, 0.7]);
        assert_slope(&Expr::select(), i, &[0.0, 0.4, 0.7]);
    }
}

/// An expression of three inputs, with the constants that simplification looks for among its leaves.
fn random_expr(numbers: &mut Numbers) -> Expr {
    const UNARY: [Unary; 9] = [
        Unary::Neg,
        Unary::Abs,
        Unary::Sigmoid,
        Unary::Tanh,
        Unary::Sin,
        Unary::Not,
        Unary::Erf,
        Unary::Floor,
        Unary::Sign,
    ];
    const BINARY: [Binary; 10] = [
        Binary::Add,
        Binary::Sub,
        Binary::Mul,
        Binary::Min,
        Binary::Max,
        Binary::Lt,
        Binary::And,
        Binary::Eq,
        Binary::Div,
        Binary::Mod,
    ];
    let mut nodes = vec![Node::In(0), Node::In(1), Node::In(2)];
    for c in [0.0, 1.0, -1.0, 2.0, 7.0, 0.5] {
        nodes.push(Node::Const(f64::to_bits(c)));
    }
    for _ in 0..12 {
        let [a, b, c] = [(); 3].map(|()| numbers.below(nodes.len()) as Id);
        let node = match numbers.below(8) {
            0..2 => Node::Unary(UNARY[numbers.below(UNARY.len())], a),
            2 => Node::Select(a, b, c),
            3 => {
                let exponent = numbers.below(3) as f64 + 1.0;
                nodes.push(Node::Const(exponent.to_bits()));
                Node::Binary(Binary::Pow, a, nodes.len() as Id - 1)
            }
            _ => Node::Binary(BINARY[numbers.below(BINARY.len())], a, b),
        };
        nodes.push(node);
    }
    Expr { outs: vec![nodes.len() as Id - 1], nodes, arity: 3 }
}

#[test]
fn simplification_keeps_values_and_integers() {
    let mut numbers = Numbers(3);
    let mut shorter = 0;
    for _ in 0..3000 {
        let plain = random_expr(&mut numbers);
        let expr = Expr::merge(3, &[&plain]);
        let live = plain.live();
        shorter += usize::from(expr.nodes.len() < live);
        let at = [(); 3].map(|()| numbers.within(-4.0, 4.0));
        let (a, b) = (plain.eval(&at)[0], expr.eval(&at)[0]);
        // Rewrites of powers to products are the only inexact ones: an ulp or two, which later nodes may amplify;
        // steps (floor, comparisons) could jump, but not at these random points.
        assert!(a == b || (a.is_nan() && b.is_nan()) || (a - b).abs() <= 1e-9 * a.abs(), "{plain} -> {expr}: {a} {b}");
        let at = [(); 3].map(|()| numbers.within(-9.0, 9.0) as i32);
        if let Some(a) = plain.eval_integer::<i32>(&at) {
            assert_eq!(Some(a), expr.eval_integer::<i32>(&at), "{plain} -> {expr} at {at:?}");
        }
    }
    assert!(shorter > 500, "only {shorter} of 3000 expressions became shorter");
}

impl Expr {
    /// Number of nodes that the results need.
    fn live(&self) -> usize {
        let mut live = vec![false; self.nodes.len()];
        live[self.outs[0] as usize] = true;
        for i in (0..self.nodes.len()).rev() {
            if live[i] {
                for a in self.nodes[i].operands() {
                    live[a as usize] = true;
                }
            }
        }
        live.into_iter().filter(|&l| l).count()
    }
}

/// The expression over input 0 that `f` builds.
fn of(f: impl FnOnce(&mut ExprBuilder, Id) -> Id) -> Expr {
    Expr::build(1, |b| {
        let x = b.input(0);
        f(b, x)
    })
}

fn with(op: Binary, c: f64) -> Expr {
    of(|b, x| {
        let c = b.constant(c);
        b.binary(op, x, c)
    })
}

#[test]
fn rewrites() {
    for (e, text) in [
        (with(Binary::Add, 0.0), "in0"),
        (with(Binary::Mul, 1.0), "in0"),
        (with(Binary::Mul, -1.0), "-in0"),
        (with(Binary::Div, 1.0), "in0"),
        (with(Binary::Pow, 0.0), "1"),
        (with(Binary::Pow, 1.0), "in0"),
        (with(Binary::Pow, 2.0), "in0 * in0"),
        (with(Binary::Pow, 0.5), "sqrt(in0)"),
        (with(Binary::Mul, 0.0), "in0 * 0"),
        (of(|b, x| b.sub(x, x)), "in0 - in0"),
        (of(|b, x| b.add(x, x)), "in0 * 2"),
        (
            of(|b, x| {
                let y = b.neg(x);
                b.neg(y)
            }),
            "in0",
        ),
        (
            of(|b, _| {
                let (p, q) = (b.constant(7.0), b.constant(2.0));
                b.div(p, q)
            }),
            "7 / 2",
        ),
        (
            of(|b, x| {
                let e = b.unary(Unary::Exp, x);
                let f = b.unary(Unary::Exp, x);
                let s = b.sub(e, x);
                b.mul(s, f)
            }),
            "t1 = exp(in0); t1 * (t1 - in0)",
        ),
    ] {
        assert_eq!(e.to_string(), text);
    }
}

#[test]
fn subgradients() {
    let relu = with(Binary::Max, 0.0);
    assert_eq!([-1.0, 0.0, 2.0].map(|x| slope(&relu, 0, &[x], 3.0)), [0.0, 0.0, 3.0]);
    // The gradient of relu reads its result, not its input.
    assert_eq!(relu.pullback(0).used_inputs(), [1, 2]);
    assert_eq!(slope(&Expr::unary(Unary::Abs), 0, &[0.0], 3.0), 0.0);
    assert_eq!([0, 1].map(|i| slope(&Expr::binary(Binary::Max), i, &[2.0, 2.0], 3.0)), [1.5, 1.5]);
    for op in Unary::ALL.into_iter().filter(|o| o.is_integral() && !matches!(o, Unary::Neg | Unary::Abs)) {
        assert!(Expr::unary(op).pullback(0).is_zero(), "{op:?}");
    }
    for op in Binary::ALL.into_iter().filter(|o| o.is_predicate()) {
        assert!(Expr::binary(op).pullback(1).is_zero(), "{op:?}");
    }
}

#[test]
fn powers_at_zero() {
    for (exponent, expected) in [(0.0, 0.0), (1.0, 1.0), (2.0, 0.0), (3.0, 0.0), (2.5, 0.0)] {
        assert_eq!(slope(&with(Binary::Pow, exponent), 0, &[0.0], 1.0), expected, "x^{exponent} at 0");
        assert_eq!(slope(&Expr::binary(Binary::Pow), 0, &[0.0, exponent], 1.0), expected, "x^y at 0, {exponent}");
        assert_eq!(slope(&Expr::binary(Binary::Pow), 1, &[0.0, exponent], 1.0), 0.0, "d/dy x^y at 0, {exponent}");
    }
}

#[test]
fn erf_values() {
    // Abramowitz & Stegun table 7.1; digits beyond the table from the C library's erf.
    for (x, expected) in [
        (0.0, 0.0),
        (0.1, 0.1124629160182849),
        (0.5, 0.5204998778130465),
        (1.0, 0.8427007929497149),
        (1.9, 0.9927904292352575),
        (2.1, 0.997020533343667),
        (3.0, 0.9999779095030014),
        (-1.0, -0.8427007929497149),
        (7.0, 1.0),
    ] {
        assert!((erf(x) - expected).abs() <= 1e-15 * expected.abs(), "erf({x}) = {}", erf(x));
    }
    // Both formulas meet at 2.
    assert!((erf(2.0f64.next_down()) - erf(2.0)).abs() < 1e-15);
}

#[test]
fn substitution_and_merging() {
    let square = with(Binary::Pow, 2.0);
    let both = Expr::binary(Binary::Sub).substitute(3, &[Feed::Expr(&square, &[2]), Feed::In(1)]);
    assert_eq!(both.to_string(), "in2 * in2 - in1");
    let (small, used) = both.compact();
    assert_eq!((small.to_string().as_str(), used), ("in1 * in1 - in0", vec![1, 2]));
    let two = Expr::merge(3, &[&both, &Expr::input(3, 1), &both]);
    assert_eq!(two.eval(&[0.0, 5.0, 3.0]), [4.0, 5.0, 4.0]);
    assert_eq!(two.nodes().len(), both.nodes().len());
    assert_eq!(two.result(1).to_string(), "in1");
}

#[test]
fn integer_arithmetic() {
    let div = Expr::binary(Binary::Div);
    assert_eq!(
        [(7, 2), (-7, 2), (7, -2), (i32::MIN, -1), (3, 0)].map(|(a, b)| div.eval_integer::<i32>(&[a, b]).unwrap()[0]),
        [3, -4, -4, i32::MIN, 0]
    );
    let rem = Expr::binary(Binary::Mod);
    assert_eq!(
        [(7, 3), (-7, 3), (7, -3), (i32::MIN, -1), (3, 0)].map(|(a, b)| rem.eval_integer::<i32>(&[a, b]).unwrap()[0]),
        [1, 2, -2, 0, 0]
    );
    assert_eq!(Expr::unary(Unary::Exp).eval_integer::<i32>(&[1]), None);
    assert_eq!(with(Binary::Mul, 0.3).eval_integer::<i32>(&[1]), None);
}
