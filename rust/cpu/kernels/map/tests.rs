//! Kernels against a walk over single elements, whose every node is computed in f64 and rounded to f32. For the
//! functions used in random expressions that is the correctly rounded f32 result (f64 carries more than twice the
//! bits, so rounding twice is harmless), and equality is of bits. Functions with an error bound have tests in `math`.

use super::*;
use half::{bf16, f16};
use oxiconv_ir::expr::{Binary, ExprBuilder, Node, Unary};
use proptest::prelude::*;

/// A tensor of any element type: values that the type holds exactly.
#[derive(Debug, Clone)]
struct Data {
    dtype: DType,
    bytes: Vec<u8>,
}

impl Data {
    fn new(dtype: DType, values: impl Iterator<Item = f64>) -> Self {
        let mut bytes = Vec::new();
        for v in values {
            match dtype {
                DType::F32 => bytes.extend((v as f32).to_ne_bytes()),
                DType::F16 => bytes.extend(f16::from_f64(v).to_ne_bytes()),
                DType::Bf16 => bytes.extend(bf16::from_f64(v).to_ne_bytes()),
                DType::I64 => bytes.extend((v as i64).to_ne_bytes()),
                DType::I32 => bytes.extend((v as i32).to_ne_bytes()),
                DType::I8 => bytes.extend((v as i8).to_ne_bytes()),
                DType::U8 => bytes.push(v as u8),
                DType::Bool => bytes.push(u8::from(v != 0.0)),
            }
        }
        Self { dtype, bytes }
    }

    fn at(&self, i: usize) -> f64 {
        let word = || self.bytes[4 * i..4 * i + 4].try_into().unwrap();
        let half = || self.bytes[2 * i..2 * i + 2].try_into().unwrap();
        match self.dtype {
            DType::F32 => f32::from_ne_bytes(word()) as f64,
            DType::F16 => f16::from_ne_bytes(half()).to_f64(),
            DType::Bf16 => bf16::from_ne_bytes(half()).to_f64(),
            DType::I64 => i64::from_ne_bytes(self.bytes[8 * i..8 * i + 8].try_into().unwrap()) as f64,
            DType::I32 => i32::from_ne_bytes(word()) as f64,
            DType::U8 | DType::Bool => self.bytes[i] as f64,
            DType::I8 => f64::from(self.bytes[i] as i8),
        }
    }

    /// Aligned memory with the same bytes.
    fn aligned(&self) -> Vec<u64> {
        let mut words = vec![0u64; self.bytes.len().div_ceil(8)];
        for (i, b) in self.bytes.iter().enumerate() {
            words[i / 8] |= (*b as u64) << (8 * (i % 8));
        }
        words
    }
}

fn walk(expr: &Expr, arithmetic: Arithmetic, inputs: &[f64], outputs: &[DType]) -> Vec<f64> {
    if arithmetic == Arithmetic::I32 {
        let words: Vec<i32> = inputs.iter().map(|&x| x as i32).collect();
        return expr.eval_integer(&words).unwrap().into_iter().map(f64::from).collect();
    }
    if arithmetic == Arithmetic::I64 {
        let words: Vec<i64> = inputs.iter().map(|&x| x as i64).collect();
        // Narrow results are cut here: a float64 has no longer the low bits of a large integer.
        let cut = |(x, to): (i64, &DType)| match to {
            DType::I32 => f64::from(x as i32),
            DType::I8 => f64::from(x as i8),
            DType::U8 => f64::from(x as u8),
            _ => x as f64,
        };
        return expr.eval_integer(&words).unwrap().into_iter().zip(outputs).map(cut).collect();
    }
    let round = |x: f64| f64::from(x as f32);
    let mut v: Vec<f64> = Vec::new();
    for node in expr.nodes() {
        let at = |i: u32| v[i as usize];
        v.push(round(match *node {
            Node::In(i) => inputs[i as usize],
            Node::Const(bits) => f64::from_bits(bits),
            Node::Unary(f, a) => f.eval(at(a)),
            Node::Binary(f, a, b) => f.eval(at(a), at(b)),
            Node::Select(c, a, b) => at(if at(c) == 0.0 { b } else { a }),
        }));
    }
    expr.outs().iter().map(|&o| v[o as usize]).collect()
}

/// The value as an element of the type.
fn convert(x: f64, integer: bool, to: DType) -> f64 {
    match to {
        DType::F32 => x,
        DType::F16 => f16::from_f32(x as f32).to_f64(),
        DType::Bf16 => bf16::from_f32(x as f32).to_f64(),
        DType::I64 => x as i64 as f64,
        DType::I32 if integer => f64::from(x as i64 as i32),
        DType::I32 => f64::from(x as i32),
        DType::I8 if integer => f64::from(x as i64 as i8),
        DType::I8 => f64::from(x as i8),
        DType::U8 if integer => f64::from(x as i64 as u8),
        DType::U8 => f64::from(x as u8),
        DType::Bool => f64::from(x != 0.0),
    }
}

/// Runs `expr` on all instruction sets and checks every element of every result.
fn check(expr: &Expr, operands: &[Operand], outputs: &[DType], dims: &[usize], n: usize, seed: u64) {
    let mut state = seed | 1;
    let mut real = dims.to_vec();
    if let Some(first) = real.first_mut() {
        *first = n;
    }
    let total: usize = real.iter().product();
    let data: Vec<Data> = operands
        .iter()
        .map(|o| {
            let len = real.iter().zip(&o.repeat).filter(|(_, r)| !**r).map(|(d, _)| d).product();
            let values = (0..len).map(|_| {
                state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
                let x = (state >> 40) as f64 / 65536.0 - 128.0;
                match (state >> 20) % 8 {
                    0 => 0.0,
                    1 => x.round(),
                    2 if o.dtype.is_float() => f64::NAN,
                    3 if o.dtype == DType::I32 => x * 1e7,
                    3 if o.dtype == DType::I64 => x * 1e10,
                    _ => x,
                }
            });
            Data::new(o.dtype, values.collect::<Vec<_>>().into_iter())
        })
        .collect();
    let arithmetic = expr.arithmetic(operands.iter().map(|o| o.dtype).chain(outputs.iter().copied()));
    let integer = arithmetic != Arithmetic::F32;
    for isa in Isa::all_present() {
        let kernel = MapKernel::new(isa, expr, operands, outputs, dims);
        let memory: Vec<Vec<u64>> = data.iter().map(Data::aligned).collect();
        let mut results: Vec<Vec<u64>> =
            outputs.iter().map(|d| vec![0xabab_abab_abab_abab; total * d.size() / 8 + 2]).collect();
        let ins: Vec<*const u8> = memory.iter().map(|m| m.as_ptr().cast()).collect();
        let outs: Vec<*mut u8> = results.iter_mut().map(|m| m.as_mut_ptr().cast()).collect();
        let mut scratch = vec![f32::NAN; kernel.scratch_len()];
        // SAFETY: the memory has the extents of the operands and results.
        unsafe { kernel.run(if dims.is_empty() { 1 } else { n }, &ins, &outs, &mut scratch) };
        for i in 0..total {
            let values: Vec<f64> = operands
                .iter()
                .zip(&data)
                .map(|(o, d)| {
                    let (mut rest, mut offset, mut stride) = (i, 0, 1);
                    for a in (0..real.len()).rev() {
                        if !o.repeat[a] {
                            offset += rest % real[a] * stride;
                            stride *= real[a];
                        }
                        rest /= real[a];
                    }
                    d.at(offset)
                })
                .collect();
            let want = walk(expr, arithmetic, &values, outputs);
            for (k, result) in results.iter().enumerate() {
                let bytes = result.iter().flat_map(|w| w.to_ne_bytes()).collect();
                let got = Data { dtype: outputs[k], bytes }.at(i);
                let want = convert(want[k], integer, outputs[k]);
                assert!(
                    got == want || got.is_nan() && want.is_nan(),
                    "{} on {operands:?} {real:?}, result {k} at {i} from {values:?}: {got}, want {want}",
                    isa.name()
                );
            }
        }
        for (k, result) in results.iter().enumerate() {
            let past = result.iter().flat_map(|w| w.to_ne_bytes()).skip(total * outputs[k].size());
            assert!(past.into_iter().all(|b| b == 0xab), "memory past result {k} was written");
        }
    }
}

const UNARY: [Unary; 10] = [
    Unary::Neg,
    Unary::Abs,
    Unary::Sign,
    Unary::Floor,
    Unary::Ceil,
    Unary::Round,
    Unary::Sqrt,
    Unary::Not,
    Unary::IsNan,
    Unary::Bf16,
];

/// Functions that are rounded correctly; `Mod` is exact up to one addition.
const BINARY: [Binary; 15] = [
    Binary::Add,
    Binary::Sub,
    Binary::Mul,
    Binary::Div,
    Binary::Min,
    Binary::Max,
    Binary::Mod,
    Binary::Eq,
    Binary::Ne,
    Binary::Lt,
    Binary::Le,
    Binary::Gt,
    Binary::Ge,
    Binary::And,
    Binary::Or,
];

/// An expression from a list of choices; with only functions of integers if asked.
fn expression(arity: usize, results: usize, integral: bool, choices: &[(u8, u8, u8, u8)]) -> Expr {
    let mut b = ExprBuilder::new(arity);
    let mut ids: Vec<u32> = (0..arity).map(|i| b.input(i)).collect();
    for &(kind, x, y, z) in choices {
        let pick = |i: u8| ids[i as usize % ids.len()];
        let id = match kind % 8 {
            0 => b.constant(f64::from(x) - 100.0),
            1 | 2 => {
                let f = UNARY[x as usize % UNARY.len()];
                b.unary(if integral && !f.is_integral() { Unary::Neg } else { f }, pick(y))
            }
            3 => b.select(pick(x), pick(y), pick(z)),
            _ => b.binary(BINARY[x as usize % BINARY.len()], pick(y), pick(z)),
        };
        ids.push(id);
    }
    let outs: Vec<u32> = (0..results).map(|k| ids[ids.len() - 1 - k % ids.len()]).collect();
    b.finish(&outs)
}

fn dtype() -> impl Strategy<Value = DType> {
    use DType as D;
    prop::sample::select(vec![D::F32, D::F32, D::F16, D::Bf16, D::I64, D::I32, D::U8, D::Bool])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]
    #[test]
    fn random_expressions_and_patterns(
        dims in prop::collection::vec(prop::sample::select(vec![0usize, 1, 1, 2, 3, 5, 7, 16, 33]), 0..4),
        inputs in prop::collection::vec((dtype(), any::<[bool; 4]>()), 1..4),
        outputs in prop::collection::vec(dtype(), 1..4),
        choices in prop::collection::vec(any::<(u8, u8, u8, u8)>(), 0..12),
        n in 0usize..6,
        seed in any::<u64>(),
    ) {
        let operands: Vec<Operand> = inputs
            .into_iter()
            .map(|(dtype, r)| Operand { dtype, repeat: r[..dims.len()].to_vec() })
            .collect();
        let expr = expression(operands.len(), outputs.len(), false, &choices);
        check(&expr, &operands, &outputs, &dims, n, seed);
    }

    #[test]
    fn random_integer_expressions(
        len in 0usize..50,
        inputs in prop::collection::vec((prop::sample::select(vec![DType::I32, DType::I8, DType::U8, DType::Bool]), any::<bool>()), 1..4),
        output in prop::sample::select(vec![DType::I32, DType::I8, DType::U8, DType::Bool]),
        choices in prop::collection::vec(any::<(u8, u8, u8, u8)>(), 0..12),
        seed in any::<u64>(),
    ) {
        let operands: Vec<Operand> =
            inputs.into_iter().map(|(dtype, r)| Operand { dtype, repeat: vec![r] }).collect();
        let expr = expression(operands.len(), 1, true, &choices);
        check(&expr, &operands, &[output], &[len], len, seed);
    }

    #[test]
    fn random_wide_integer_expressions(
        len in 0usize..2000,
        inputs in prop::collection::vec((prop::sample::select(vec![DType::I64, DType::I32, DType::U8]), any::<bool>()), 0..3),
        output in prop::sample::select(vec![DType::I64, DType::Bool]),
        choices in prop::collection::vec(any::<(u8, u8, u8, u8)>(), 0..12),
        seed in any::<u64>(),
    ) {
        let operands: Vec<Operand> = [(DType::I64, false)]
            .into_iter()
            .chain(inputs)
            .map(|(dtype, r)| Operand { dtype, repeat: vec![r] })
            .collect();
        let expr = expression(operands.len(), 1, true, &choices);
        check(&expr, &operands, &[output], &[len], len, seed);
    }
}

/// Lengths around the block, periods short, long and past the tile limit, on `a·b + c` and its parts.
#[test]
fn long_runs_cross_blocks_and_periods() {
    let mut b = ExprBuilder::new(3);
    let (x, y, z) = (b.input(0), b.input(1), b.input(2));
    let hoisted = b.unary(Unary::Floor, y);
    let product = b.mul(x, hoisted);
    let sum = b.add(product, z);
    let expr = b.finish(&[sum, product]);
    for (rows, channels) in [(700, 3), (301, 10), (40, 130), (5, 511), (5, 513), (4, 1500), (2000, 1), (1, 2500)] {
        for middle in [vec![], vec![3]] {
            let dims: Vec<usize> = [vec![rows], middle, vec![channels]].concat();
            let rank = dims.len();
            let mut period = vec![true; rank];
            period[rank - 1] = false;
            let mut per_row = vec![true; rank];
            per_row[0] = false;
            let mut rest = vec![false; rank];
            rest[0] = true;
            for (second, third) in
                [(&period, &per_row), (&rest, &period), (&per_row, &rest), (&vec![true; rank], &period)]
            {
                let operands = [
                    Operand::dense(DType::F32, rank),
                    Operand { dtype: DType::F32, repeat: second.clone() },
                    Operand { dtype: DType::U8, repeat: third.clone() },
                ];
                check(&expr, &operands, &[DType::F32, DType::F32], &dims, rows, 7);
            }
        }
    }
}

/// Every function behind another and before one, of what that computed, of a block, a tile and a scalar, on either side: on
/// groups of vectors, single ones and parts.
#[test]
fn chains_apply_every_function_to_every_operand() {
    let operands = [
        Operand::dense(DType::F32, 2),
        Operand::dense(DType::F32, 2),
        Operand { dtype: DType::F32, repeat: vec![true, false] },
        Operand::scalar(DType::F32, 2),
    ];
    let mut exprs = Vec::new();
    let mut add = |f: &dyn Fn(&mut ExprBuilder, [u32; 4], u32) -> u32| {
        exprs.push(Expr::build(4, |b| {
            let inputs = std::array::from_fn(|i| b.input(i));
            let held = b.add(inputs[0], inputs[1]);
            let middle = f(b, inputs, held);
            b.binary(Binary::Sub, middle, inputs[2])
        }));
    };
    for f in UNARY.into_iter().chain([Unary::Bf16]) {
        add(&|b, _, held| b.unary(f, held));
    }
    for f in BINARY {
        for i in 0..4 {
            add(&|b, inputs, held| b.binary(f, held, inputs[i]));
            add(&|b, inputs, held| b.binary(f, inputs[i], held));
        }
        add(&|b, _, held| b.binary(f, held, held));
        // Two sums: one is held while the other waits.
        add(&|b, inputs, held| {
            let other = b.binary(Binary::Sub, inputs[1], inputs[3]);
            b.binary(f, held, other)
        });
    }
    for i in 0..4 {
        let j = (i + 1) % 4;
        add(&|b, inputs, held| b.select(held, inputs[i], inputs[j]));
        add(&|b, inputs, held| b.select(inputs[i], held, inputs[j]));
        add(&|b, inputs, held| b.select(inputs[i], inputs[j], held));
        add(&|b, inputs, held| b.select(held, held, inputs[i]));
    }
    for (k, expr) in exprs.iter().enumerate() {
        let dims = [[3, 67], [11, 91], [70, 24]][k % 3];
        check(expr, &operands, &[DType::F32], &dims, dims[0], k as u64);
    }
}

/// A chain longer than any, of values that are results as well and read again later.
#[test]
fn chains_end_and_fork() {
    let operands = [Operand::dense(DType::F32, 2), Operand { dtype: DType::F32, repeat: vec![true, false] }];
    let mut b = ExprBuilder::new(2);
    let (x, y, half) = (b.input(0), b.input(1), b.constant(0.5));
    let (mut sum, mut outs) = (x, vec![]);
    for step in 0..40 {
        let halved = b.mul(sum, half);
        sum = b.add(halved, y);
        if step % 13 == 0 {
            outs.push(sum);
            let forked = b.mul(sum, x);
            sum = b.sub(forked, sum);
        }
    }
    outs.push(sum);
    let expr = b.finish(&outs);
    for (rows, channels) in [(9, 129), (300, 7)] {
        check(&expr, &operands, &vec![DType::F32; outs.len()], &[rows, channels], rows, 3);
    }
}

/// Adam's update, each result written over its own input, and a swap, which no order of writing in place gets right.
#[test]
fn results_over_inputs() {
    let n = 3000;
    let (mut b, data) = (ExprBuilder::new(3), [1.5f32, -2.25, 3.125]);
    let (x, y, z) = (b.input(0), b.input(1), b.input(2));
    let sum = b.add(x, y);
    let late = b.mul(sum, z);
    let all = b.sub(late, x);
    let expr = b.finish(&[sum, y, all]);
    let swap = {
        let mut b = ExprBuilder::new(3);
        let (x, y, z) = (b.input(0), b.input(1), b.input(2));
        b.finish(&[y, z, x])
    };
    for isa in Isa::all_present() {
        for (e, want) in [(&expr, [-0.75f32, -2.25, -0.75 * 3.125 - 1.5]), (&swap, [-2.25, 3.125, 1.5])] {
            let kernel = MapKernel::new(
                isa,
                e,
                &[const { DType::F32 }; 3].map(|d| Operand::dense(d, 1)),
                &[DType::F32; 3],
                &[n],
            );
            let mut memory = data.map(|v| vec![v; n]);
            let pointers: Vec<*mut u8> = memory.iter_mut().map(|m| m.as_mut_ptr().cast()).collect();
            let ins: Vec<*const u8> = pointers.iter().map(|p| p.cast_const()).collect();
            let mut scratch = vec![0.0; kernel.scratch_len()];
            // SAFETY: three arrays of n floats, each input and output at once.
            unsafe { kernel.run(n, &ins, &pointers, &mut scratch) };
            for (k, m) in memory.iter().enumerate() {
                assert!(m.iter().all(|&v| v == want[k]), "result {k} on {}: {:?}", isa.name(), &m[..4]);
            }
        }
    }
}

/// That each function with an error bound is the one its name says.
#[test]
fn functions_are_what_they_are_called() {
    let x: Vec<f32> = (1..400).map(|i| 0.01 * i as f32).collect();
    let run = |isa: Isa, expr: &Expr| {
        let operands = vec![Operand::dense(DType::F32, 1); expr.arity()];
        let kernel = MapKernel::new(isa, expr, &operands, &[DType::F32], &[x.len()]);
        let mut y = vec![0.0f32; x.len()];
        let ins = vec![x.as_ptr().cast(); expr.arity()];
        // SAFETY: all arrays have the kernel's length.
        unsafe { kernel.run(x.len(), &ins, &[y.as_mut_ptr().cast()], &mut vec![0.0; kernel.scratch_len()]) };
        y
    };
    let exprs = Unary::ALL.map(Expr::unary).into_iter().chain(Binary::ALL.map(Expr::binary));
    for expr in exprs {
        for isa in Isa::all_present() {
            for (&x, &y) in x.iter().zip(&run(isa, &expr)) {
                let want = expr.eval(&vec![x as f64; expr.arity()])[0];
                // Four units in the last place, where `math` promises three.
                assert!((y as f64 - want).abs() <= 4.0 * 2f64.powi(-23) * want.abs(), "{expr}({x}) = {y}, want {want}");
            }
        }
    }
}

/// Long rows with values of each row's own: rows are run one by one, also fewer than compiled for.
#[test]
fn rows_with_values_of_their_own() {
    let expr = Expr::build(5, |b| {
        let x: Vec<u32> = (0..5).map(|i| b.input(i)).collect();
        let (scaled, sum) = (b.mul(x[0], x[1]), b.add(x[2], x[3]));
        let both = b.sub(scaled, sum);
        b.select(x[4], both, x[1])
    });
    let operand = |dtype, repeat: [bool; 3]| Operand { dtype, repeat: repeat.to_vec() };
    let operands = [
        operand(DType::F32, [false, false, false]),
        operand(DType::F32, [false, true, false]),
        operand(DType::F16, [false, true, true]),
        operand(DType::F32, [true, true, false]),
        operand(DType::U8, [true, false, true]),
    ];
    for (dims, n) in [([5, 97, 50], 3), ([4, 128, 32], 4), ([3, 5, 1000], 2)] {
        check(&expr, &operands, &[DType::F32], &dims, n, 7);
        check(&expr, &operands, &[DType::U8], &dims, n, 9);
    }
}
