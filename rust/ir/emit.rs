//! Where ops go: run at once, or traced into a graph. Whatever composes ops is written once, against [`Emit`].

use crate::{Binary, DType, Expr, Op, Result, Type, Unary};

/// Most operands of one concatenation: a step reads at most 64.
const MAX_PARTS: usize = 32;

/// Something that ops can be given to: a [`Graph`](crate::Graph) that records them, or a device that runs them.
pub trait Emit {
    /// A handle on a tensor, traced or real.
    type Value: Clone;

    /// Applies an op.
    fn emit(&mut self, op: Op, args: &[Self::Value]) -> Result<Self::Value>;

    /// Type of a value.
    fn ty(&self, value: &Self::Value) -> Type;

    /// A number that two handles share exactly if they are the same value.
    fn id(&self, value: &Self::Value) -> u64;
}

/// Compositions that need nothing but [`Emit`].
pub trait Compose: Emit {
    /// A scalar of rank 0.
    fn constant(&mut self, value: f64, dtype: DType) -> Result<Self::Value> {
        self.emit(Op::Const { dtype, bits: value.to_bits() }, &[])
    }

    /// A tensor of this type, every element `value`.
    fn full(&mut self, value: f64, ty: &Type) -> Result<Self::Value> {
        let scalar = self.constant(value, ty.dtype)?;
        self.emit(Op::Broadcast { dims: ty.dims.clone(), axes: (0..ty.rank()).collect() }, &[scalar])
    }

    /// A tensor of zeros.
    fn zeros(&mut self, ty: &Type) -> Result<Self::Value> {
        self.full(0.0, ty)
    }

    /// An elementwise expression with a result of this element type.
    fn map(&mut self, expr: Expr, dtype: DType, args: &[Self::Value]) -> Result<Self::Value> {
        self.emit(Op::Map { expr, dtype }, args)
    }

    /// Values one after another along an axis: in rounds, if they are more than one step reads.
    fn concat(&mut self, parts: &[Self::Value], axis: usize) -> Result<Self::Value> {
        if parts.len() <= MAX_PARTS {
            return self.emit(Op::Concat(axis), parts);
        }
        let rounds: Result<Vec<Self::Value>> =
            parts.chunks(MAX_PARTS).map(|part| self.emit(Op::Concat(axis), part)).collect();
        self.concat(&rounds?, axis)
    }

    /// A function of one value; the element type stays, but tests (`Not`, `IsNan`) give bool.
    fn unary(&mut self, op: Unary, x: &Self::Value) -> Result<Self::Value> {
        let test = matches!(op, Unary::Not | Unary::IsNan);
        let dtype = if test { DType::Bool } else { self.ty(x).dtype };
        self.map(Expr::unary(op), dtype, std::slice::from_ref(x))
    }

    /// A function of two values of equal dims. Predicates give bool; else the first of float32, int64 and
    /// int32 that either is, and otherwise the first one's element type.
    fn binary(&mut self, op: Binary, x: &Self::Value, y: &Self::Value) -> Result<Self::Value> {
        let types = [self.ty(x).dtype, self.ty(y).dtype];
        let dtype = if op.is_predicate() {
            DType::Bool
        } else {
            [DType::F32, DType::I64, DType::I32].into_iter().find(|d| types.contains(d)).unwrap_or(types[0])
        };
        self.map(Expr::binary(op), dtype, &[x.clone(), y.clone()])
    }

    /// `x + y`, equal dims.
    fn add(&mut self, x: &Self::Value, y: &Self::Value) -> Result<Self::Value> {
        self.binary(Binary::Add, x, y)
    }

    /// `x - y`, equal dims.
    fn sub(&mut self, x: &Self::Value, y: &Self::Value) -> Result<Self::Value> {
        self.binary(Binary::Sub, x, y)
    }

    /// `x · y`, equal dims.
    fn mul(&mut self, x: &Self::Value, y: &Self::Value) -> Result<Self::Value> {
        self.binary(Binary::Mul, x, y)
    }

    /// `x / y`, equal dims.
    fn div(&mut self, x: &Self::Value, y: &Self::Value) -> Result<Self::Value> {
        self.binary(Binary::Div, x, y)
    }
}

impl<E: Emit + ?Sized> Compose for E {}
