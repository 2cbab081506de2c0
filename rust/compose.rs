//! NumPy's conveniences on top of ops that want equal sizes and exact types: broadcasting, promotion of element types,
//! and Python numbers that adapt to the tensors they meet. Written against [`Emit`], for eager and traced values.

use oxiconv_ir::expr::{Binary, Expr, ExprBuilder, Unary};
use oxiconv_ir::{Compose, DType, Emit, Error, Op, Result};

/// A number without an element type of its own.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Scalar {
    /// A truth value.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// A number.
    Float(f64),
}

/// An argument of an elementwise function.
#[derive(Debug, Clone)]
pub enum Operand<V> {
    /// A tensor.
    Value(V),
    /// A number, the same everywhere.
    Scalar(Scalar),
}

/// Functions of two values: those of expressions, and floor division.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Function2 {
    /// A function that expressions have.
    Plain(Binary),
    /// `floor(a / b)`, Python's `//`.
    FloorDiv,
}

const UNARY: [(&str, Unary); 20] = [
    ("neg", Unary::Neg),
    ("abs", Unary::Abs),
    ("sign", Unary::Sign),
    ("floor", Unary::Floor),
    ("ceil", Unary::Ceil),
    ("round", Unary::Round),
    ("sqrt", Unary::Sqrt),
    ("rsqrt", Unary::Rsqrt),
    ("exp", Unary::Exp),
    ("expm1", Unary::Expm1),
    ("log", Unary::Log),
    ("log1p", Unary::Log1p),
    ("sin", Unary::Sin),
    ("cos", Unary::Cos),
    ("tan", Unary::Tan),
    ("tanh", Unary::Tanh),
    ("sigmoid", Unary::Sigmoid),
    ("erf", Unary::Erf),
    ("not", Unary::Not),
    ("isnan", Unary::IsNan),
];

const BINARY: [(&str, Function2); 18] = [
    ("add", Function2::Plain(Binary::Add)),
    ("sub", Function2::Plain(Binary::Sub)),
    ("mul", Function2::Plain(Binary::Mul)),
    ("div", Function2::Plain(Binary::Div)),
    ("floordiv", Function2::FloorDiv),
    ("pow", Function2::Plain(Binary::Pow)),
    ("min", Function2::Plain(Binary::Min)),
    ("max", Function2::Plain(Binary::Max)),
    ("mod", Function2::Plain(Binary::Mod)),
    ("atan2", Function2::Plain(Binary::Atan2)),
    ("eq", Function2::Plain(Binary::Eq)),
    ("ne", Function2::Plain(Binary::Ne)),
    ("lt", Function2::Plain(Binary::Lt)),
    ("le", Function2::Plain(Binary::Le)),
    ("gt", Function2::Plain(Binary::Gt)),
    ("ge", Function2::Plain(Binary::Ge)),
    ("and", Function2::Plain(Binary::And)),
    ("or", Function2::Plain(Binary::Or)),
];

/// The function of one value with this name.
pub fn unary_named(name: &str) -> Result<Unary> {
    named("unary", &UNARY, name)
}

/// The function of two values with this name.
pub fn binary_named(name: &str) -> Result<Function2> {
    named("binary", &BINARY, name)
}

fn named<F: Copy>(op: &str, table: &[(&str, F)], name: &str) -> Result<F> {
    table.iter().find(|(n, _)| *n == name).map(|(_, f)| *f).ok_or_else(|| {
        let names: Vec<&str> = table.iter().map(|(n, _)| *n).collect();
        Error::value(op, format!("expected one of {}, got {name:?}", names.join(" ")))
    })
}

impl Function2 {
    fn name(self) -> &'static str {
        BINARY.iter().find(|(_, f)| *f == self).map_or("binary", |(n, _)| n)
    }

    /// Element type of the result where `common` is that of the operands.
    fn result(self, common: DType) -> DType {
        use Binary as B;
        match self {
            Self::Plain(f) if f.is_predicate() => DType::Bool,
            Self::Plain(B::Div | B::Atan2) if !common.is_half() => DType::F32,
            // Truth values have no differences, quotients or powers of their own.
            Self::FloorDiv | Self::Plain(B::Sub | B::Mod | B::Pow) if common == DType::Bool => DType::I32,
            _ => common,
        }
    }

    /// Builds the function of two values, in float or in integer arithmetic.
    fn build(self, b: &mut ExprBuilder, x: u32, y: u32, float: bool) -> u32 {
        match self {
            Self::Plain(f) => b.binary(f, x, y),
            Self::FloorDiv if !float => b.binary(Binary::Div, x, y),
            // The quotient of what is left without the remainder is whole but for rounding, where floor(x / y) would
            // turn 1 // 0.1 into 10. By zero there is no remainder, and the quotient itself is infinite or NaN.
            Self::FloorDiv => {
                let rest = b.binary(Binary::Mod, x, y);
                let whole = b.sub(x, rest);
                let exact = b.div(whole, y);
                let exact = b.unary(Unary::Round, exact);
                let plain = b.div(x, y);
                let plain = b.unary(Unary::Floor, plain);
                b.select(y, exact, plain)
            }
        }
    }
}

/// A function of one value. Whole numbers stay whole where the function keeps them whole, and become float32 elsewhere;
/// `not` and `isnan` give bool.
pub fn unary<E: Emit>(to: &mut E, f: Unary, x: &E::Value) -> Result<E::Value> {
    let given = to.ty(x).dtype;
    let dtype = match f {
        Unary::Not | Unary::IsNan => DType::Bool,
        Unary::Neg if given == DType::Bool => DType::I32,
        _ if f.is_integral() || given.is_half() => given,
        _ => DType::F32,
    };
    to.map(Expr::unary(f), dtype, std::slice::from_ref(x))
}

/// A function of two values, at least one of them a tensor.
pub fn binary<E: Emit>(to: &mut E, f: Function2, x: &Operand<E::Value>, y: &Operand<E::Value>) -> Result<E::Value> {
    let common = common_dtype(to, &[x, y]);
    let dtype = f.result(common);
    let float = common.is_float() || dtype.is_float();
    elementwise(to, f.name(), dtype, common, &[x, y], |b, v| f.build(b, v[0], v[1], float))
}

/// `x` where the condition is non-zero, else `y`.
pub fn select<E: Emit>(
    to: &mut E,
    condition: &E::Value,
    x: &Operand<E::Value>,
    y: &Operand<E::Value>,
) -> Result<E::Value> {
    let dtype = common_dtype(to, &[x, y]);
    // A float among the arguments would make float arithmetic of it, which cannot hold every int32.
    let condition = match to.ty(condition).dtype {
        DType::F32 | DType::F16 | DType::Bf16 => to.emit(Op::Cast(DType::Bool), std::slice::from_ref(condition))?,
        DType::I64 | DType::I32 | DType::I8 | DType::U8 | DType::Bool => condition.clone(),
    };
    let condition = Operand::Value(condition);
    elementwise(to, "select", dtype, dtype, &[&condition, x, y], |b, v| b.select(v[0], v[1], v[2]))
}

/// One map over operands that are broadcast to common sizes; numbers become constants of its expression.
fn elementwise<E: Emit>(
    to: &mut E,
    op: &str,
    dtype: DType,
    common: DType,
    operands: &[&Operand<E::Value>],
    build: impl FnOnce(&mut ExprBuilder, &[u32]) -> u32,
) -> Result<E::Value> {
    let values: Vec<&E::Value> = operands
        .iter()
        .filter_map(|o| match o {
            Operand::Value(v) => Some(v),
            Operand::Scalar(_) => None,
        })
        .collect();
    if values.is_empty() {
        return Err(Error::value(op, "expected at least one tensor, got numbers only"));
    }
    let dims = common_dims(op, &values.iter().map(|v| to.ty(v).dims).collect::<Vec<_>>())?;
    let mut args = values.iter().map(|v| broadcast_to(to, v, &dims)).collect::<Result<Vec<_>>>()?;
    // A map of whole numbers to whole numbers computes in integers; a float constant in it asks for floats.
    let integers = dtype.is_integer() && args.iter().all(|a| to.ty(a).dtype.is_integer());
    if integers && common.is_float() {
        args[0] = to.emit(Op::Cast(DType::F32), &args[..1])?;
    }
    let mut b = ExprBuilder::new(args.len());
    let mut next = 0;
    let mut inputs = Vec::with_capacity(operands.len());
    for operand in operands {
        inputs.push(match operand {
            Operand::Value(_) => {
                next += 1;
                b.input(next - 1)
            }
            Operand::Scalar(s) => b.constant(s.constant(op, common, dtype, integers && !common.is_float())?),
        });
    }
    let out = build(&mut b, &inputs);
    let expr = b.finish(&[out]);
    to.map(expr, dtype, &args)
}

impl Scalar {
    /// The value as a constant of an expression of operands that promote to `common`, with results of `dtype`.
    fn constant(self, op: &str, common: DType, dtype: DType, integers: bool) -> Result<f64> {
        let value = match self {
            Self::Bool(b) => f64::from(u8::from(b)),
            Self::Int(i) => i as f64,
            Self::Float(f) => f,
        };
        let (low, high) = match dtype {
            DType::U8 => (0.0, f64::from(u8::MAX)),
            DType::I8 => (f64::from(i8::MIN), f64::from(i8::MAX)),
            // Beyond, the constants of expressions, which are doubles, do not have every integer.
            _ if common == DType::I64 => (-(2f64.powi(53)), 2f64.powi(53)),
            _ => (f64::from(i32::MIN), f64::from(i32::MAX)),
        };
        if integers && !(low..=high).contains(&value) {
            return Err(Error::value(op, format!("expected a number from {low} to {high} ({dtype}), got {value}")));
        }
        Ok(value)
    }

    /// Element type beside tensors of type `beside`, or alone.
    fn dtype(self, beside: Option<DType>) -> DType {
        match self {
            Self::Bool(_) => beside.unwrap_or(DType::Bool),
            Self::Int(_) => beside.filter(|d| *d != DType::Bool).unwrap_or(DType::I32),
            Self::Float(_) => beside.filter(|d| d.is_half()).unwrap_or(DType::F32),
        }
    }
}

/// bool < uint8, int8 < int32 < int64 < float16, bfloat16 < float32; the two halves together are float32, the two bytes
/// int32.
fn promote(a: DType, b: DType) -> DType {
    use DType as D;
    if a.is_half() && b.is_half() && a != b {
        return D::F32;
    }
    if matches!((a, b), (D::I8, D::U8) | (D::U8, D::I8)) {
        return D::I32;
    }
    [D::F32, D::F16, D::Bf16, D::I64, D::I32, D::I8, D::U8].into_iter().find(|d| [a, b].contains(d)).unwrap_or(D::Bool)
}

fn common_dtype<E: Emit>(to: &E, operands: &[&Operand<E::Value>]) -> DType {
    let tensors = operands.iter().filter_map(|o| match o {
        Operand::Value(v) => Some(to.ty(v).dtype),
        Operand::Scalar(_) => None,
    });
    let tensors = tensors.reduce(promote);
    let scalars = operands.iter().filter_map(|o| match o {
        Operand::Value(_) => None,
        Operand::Scalar(s) => Some(s.dtype(tensors)),
    });
    scalars.chain(tensors).reduce(promote).unwrap_or(DType::F32)
}

/// NumPy's rule: sizes are aligned at the last axis; equal, or 1, or missing.
fn common_dims(op: &str, all: &[Vec<usize>]) -> Result<Vec<usize>> {
    let rank = all.iter().map(Vec::len).max().unwrap_or(0);
    let mut common = vec![1; rank];
    for dims in all {
        for (c, &d) in common[rank - dims.len()..].iter_mut().zip(dims) {
            if *c == 1 {
                *c = d;
            } else if d != 1 && d != *c {
                let given: Vec<String> = all.iter().map(|d| format!("{d:?}")).collect();
                return Err(Error::shape(op, "sizes that broadcast together", given.join(" and ")));
            }
        }
    }
    Ok(common)
}

/// Repeats along missing leading axes and axes of size 1.
pub fn broadcast_to<E: Emit>(to: &mut E, x: &E::Value, dims: &[usize]) -> Result<E::Value> {
    let from = to.ty(x).dims;
    let fail = || Error::shape("broadcast_to", format!("sizes that broadcast to {dims:?}"), format!("{from:?}"));
    let missing = dims.len().checked_sub(from.len()).ok_or_else(fail)?;
    let mut axes: Vec<usize> = (0..missing).collect();
    let mut kept = Vec::new();
    for (i, &d) in from.iter().enumerate() {
        match dims[missing + i] {
            to if to == d => kept.push(d),
            _ if d == 1 => axes.push(missing + i),
            _ => return Err(fail()),
        }
    }
    let narrow = to.emit(Op::Reshape(kept), std::slice::from_ref(x))?;
    to.emit(Op::Broadcast { dims: dims.to_vec(), axes }, &[narrow])
}

/// Applies a primitive. Indices may be int64. Ops that do not exist for halves are computed in float32, and rounded to the type that the
/// floating arguments promote to.
pub fn apply<E: Emit>(to: &mut E, op: Op, args: &[E::Value]) -> Result<E::Value> {
    if let (Op::Gather { .. } | Op::ScatterAdd { .. }, [x, index]) = (&op, args)
        && to.ty(index).dtype == DType::I64
    {
        let index = narrow_index(to, index)?;
        return apply(to, op, &[x.clone(), index]);
    }
    let floats = args.iter().map(|a| to.ty(a).dtype).filter(|d| d.is_float());
    let half = floats.reduce(promote).filter(|_| op.needs_float32());
    let Some(common) = half.filter(|_| args.iter().any(|a| to.ty(a).dtype.is_half())) else {
        return to.emit(op, args);
    };
    let widened = args.iter().map(|a| {
        if to.ty(a).dtype.is_half() { to.emit(Op::Cast(DType::F32), std::slice::from_ref(a)) } else { Ok(a.clone()) }
    });
    let widened = widened.collect::<Result<Vec<_>>>()?;
    let out = to.emit(op, &widened)?;
    if common.is_half() && to.ty(&out).dtype == DType::F32 { to.emit(Op::Cast(common), &[out]) } else { Ok(out) }
}

/// An int64 index in int32: clamped, so that what is out of range stays out of range.
fn narrow_index<E: Emit>(to: &mut E, index: &E::Value) -> Result<E::Value> {
    let clamp = Expr::build(1, |b| {
        let (x, low, high) = (b.input(0), b.constant(-1.0), b.constant(f64::from(i32::MAX)));
        let x = b.binary(Binary::Max, x, low);
        b.binary(Binary::Min, x, high)
    });
    let clamped = to.map(clamp, DType::I64, std::slice::from_ref(index))?;
    to.emit(Op::Cast(DType::I32), &[clamped])
}

/// Sum over axes, in any order; truth values and bytes are counted in int32.
pub fn sum<E: Emit>(to: &mut E, x: &E::Value, axes: &[usize]) -> Result<E::Value> {
    let x = match to.ty(x).dtype {
        DType::Bool | DType::I8 | DType::U8 => to.emit(Op::Cast(DType::I32), std::slice::from_ref(x))?,
        DType::I64 | DType::I32 | DType::F32 | DType::F16 | DType::Bf16 => x.clone(),
    };
    apply(to, Op::Sum(ascending(axes)), &[x])
}

/// Maximum over axes, in any order.
pub fn max<E: Emit>(to: &mut E, x: &E::Value, axes: &[usize]) -> Result<E::Value> {
    to.emit(Op::Max(ascending(axes)), std::slice::from_ref(x))
}

fn ascending(axes: &[usize]) -> Vec<usize> {
    let mut axes = axes.to_vec();
    axes.sort_unstable();
    axes
}
