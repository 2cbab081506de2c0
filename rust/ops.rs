//! The ops on values: run at once on tensors, appended to the graph if any argument is traced.

use crate::compose::{self, Function2, Operand};
use crate::trace::{Emitter, Value};
use oxiconv_ir::expr::Unary;
use oxiconv_ir::op::Dist;
use oxiconv_ir::{Compose, DType, Error, Form, Op, Precision, Result, Seat, Window};

/// Applies a primitive; see [`compose::apply`].
pub fn apply(op: Op, args: &[&Value]) -> Result<Value> {
    let args: Vec<Value> = args.iter().map(|a| (*a).clone()).collect();
    compose::apply(&mut Emitter::of(&args)?, op, &args)
}

/// A function of one value; see [`compose::unary`].
pub fn unary(f: Unary, x: &Value) -> Result<Value> {
    compose::unary(&mut Emitter::of([x])?, f, x)
}

/// A function of two values; see [`compose::binary`].
pub fn binary(f: Function2, x: &Operand<Value>, y: &Operand<Value>) -> Result<Value> {
    compose::binary(&mut Emitter::of(values(&[x, y]))?, f, x, y)
}

/// `x` where the condition is non-zero, else `y`; see [`compose::select`].
pub fn select(condition: &Value, x: &Operand<Value>, y: &Operand<Value>) -> Result<Value> {
    let all = values(&[x, y]).into_iter().chain([condition]);
    compose::select(&mut Emitter::of(all)?, condition, x, y)
}

fn values<'a>(operands: &[&'a Operand<Value>]) -> Vec<&'a Value> {
    operands
        .iter()
        .filter_map(|o| match o {
            Operand::Value(v) => Some(v),
            Operand::Scalar(_) => None,
        })
        .collect()
}

/// Sum over axes; see [`compose::sum`].
pub fn sum(x: &Value, axes: &[usize]) -> Result<Value> {
    compose::sum(&mut Emitter::of([x])?, x, axes)
}

/// Maximum over axes; see [`compose::max`].
pub fn max(x: &Value, axes: &[usize]) -> Result<Value> {
    compose::max(&mut Emitter::of([x])?, x, axes)
}

/// NumPy's `broadcast_to`; see [`compose::broadcast_to`].
pub fn broadcast_to(x: &Value, dims: &[usize]) -> Result<Value> {
    compose::broadcast_to(&mut Emitter::of([x])?, x, dims)
}

/// Values one after another along an axis.
pub fn concat(parts: &[&Value], axis: usize) -> Result<Value> {
    let parts: Vec<Value> = parts.iter().map(|p| (*p).clone()).collect();
    Emitter::of(&parts)?.concat(&parts, axis)
}

/// Another element type.
pub fn cast(x: &Value, dtype: DType) -> Result<Value> {
    apply(Op::Cast(dtype), &[x])
}

/// `[.., m, k] @ [.., k, n]`, equal leading axes.
pub fn matmul(a: &Value, b: &Value) -> Result<Value> {
    apply(Op::Product { form: Form::MatMul, solve: Seat::Output }, &[a, b])
}

/// Convolution; see [`Op::conv`].
pub fn conv(
    x: &Value,
    kernel: &Value,
    strides: &[usize],
    dilation: &[usize],
    low: &[usize],
    high: &[usize],
    groups: usize,
    precision: Precision,
) -> Result<Value> {
    let op = Op::conv(x.ty(), kernel.ty(), strides, dilation, low, high, groups)?;
    apply(op.with_precision(precision), &[x, kernel])
}

/// Transposed convolution; see [`Op::conv_transpose`].
pub fn conv_transpose(
    y: &Value,
    kernel: &Value,
    output: &[usize],
    strides: &[usize],
    dilation: &[usize],
    low: &[usize],
    high: &[usize],
    groups: usize,
    precision: Precision,
) -> Result<Value> {
    let op = Op::conv_transpose(y.ty(), kernel.ty(), output, strides, dilation, low, high, groups)?;
    apply(op.with_precision(precision), &[kernel, y])
}

/// Random numbers from the state `int32[2]` = (seed, counter).
pub fn random(state: &Value, dims: &[usize], distribution: &str) -> Result<Value> {
    let dist = match distribution {
        "uniform" => Dist::Uniform,
        "normal" => Dist::Normal,
        other => return Err(Error::value("random", format!("expected uniform or normal, got {other:?}"))),
    };
    apply(Op::Random { dist, dims: dims.to_vec() }, &[state])
}

/// The windows over the spatial axes of `x: [n, spatial.., c]`.
pub fn window_of(
    op: &str,
    x: &Value,
    size: &[usize],
    stride: &[usize],
    low: &[usize],
    high: &[usize],
) -> Result<Window> {
    let dims = &x.ty().dims;
    if dims.len() < 3 {
        return Err(Error::shape(op, "[batch, spatial.., channels]", format!("{dims:?}")));
    }
    Ok(window(&dims[1..dims.len() - 1], size, stride, low, high))
}

/// Windows over these spatial sizes; checked by the op that takes them.
pub fn window(input: &[usize], size: &[usize], stride: &[usize], low: &[usize], high: &[usize]) -> Window {
    Window {
        input: input.to_vec(),
        size: size.to_vec(),
        stride: stride.to_vec(),
        low: low.to_vec(),
        high: high.to_vec(),
    }
}
