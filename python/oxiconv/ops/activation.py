"""Activation functions."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from oxiconv import _core
from oxiconv.dtype import is_float
from oxiconv.ops import reduction
from oxiconv.ops.elementwise import clip
from oxiconv.ops.promotion import real, widened
from oxiconv.ops.reduction import axes_of
from oxiconv.symbolic import op
from oxiconv.tensor import ShapeError, Tensor, TensorLike, convert

# The fixed point of self-normalization (Klambauer et al. 2017, eq. 14): its scale and alpha.
SELU_SCALE = 1.0507009873554805
SELU_ALPHA = 1.6732632423543772


def _mul(a: Any, b: Any) -> Tensor:
    return _core.binary("mul", a, b)


def _add(a: Any, b: Any) -> Tensor:
    return _core.binary("add", a, b)


@op
def relu(x: TensorLike) -> Tensor:
    """`max(x, 0)`.

    >>> relu([-1.0, 2.0]).numpy().tolist()
    [0.0, 2.0]
    """
    # The gradient at 0 is 0.
    x = convert(x)
    return _core.select(_core.binary("gt", x, 0), x, convert(0, x.dtype)) if not is_float(x.dtype) else _relu(x)


def _relu(x: Tensor) -> Tensor:
    return _core.binary("max", x, 0.0)


@op
def relu6(x: TensorLike) -> Tensor:
    """`min(max(x, 0), 6)`.

    >>> relu6([-1.0, 3.0, 9.0]).numpy().tolist()
    [0.0, 3.0, 6.0]
    """
    return clip(real(x), 0.0, 6.0)


@op
def leaky_relu(x: TensorLike, negative_slope: float = 0.2) -> Tensor:
    """`x`, times `negative_slope` where negative.

    >>> leaky_relu([-2.0, 2.0], negative_slope=0.5).numpy().tolist()
    [-1.0, 2.0]
    """
    x = real(x)
    return _core.select(_core.binary("gt", x, 0.0), x, _mul(x, float(negative_slope)))


@op
def sigmoid(x: TensorLike) -> Tensor:
    """`1 / (1 + exp(-x))`.

    >>> float(sigmoid(0.0))
    0.5
    """
    return _core.unary("sigmoid", real(x))


@op
@widened
def log_sigmoid(x: TensorLike) -> Tensor:
    """`log(sigmoid(x))` without overflow.

    >>> round(float(log_sigmoid(0.0)), 4)
    -0.6931
    """
    return _core.unary("neg", _softplus(_core.unary("neg", real(x))))


def _softplus(x: Tensor) -> Tensor:
    # Choices instead of a maximum and an absolute value, whose gradients at 0 would add up to 0, not to 1/2.
    positive = _core.binary("gt", x, 0.0)
    tail = _core.unary("log1p", _core.unary("exp", _core.select(positive, _core.unary("neg", x), x)))
    return _add(_core.select(positive, x, 0.0), tail)


@op
@widened
def softplus(x: TensorLike) -> Tensor:
    """`log(1 + exp(x))` without overflow.

    >>> round(float(softplus(0.0)), 4)
    0.6931
    """
    return _softplus(real(x))


@op
@widened
def softsign(x: TensorLike) -> Tensor:
    """`x / (1 + |x|)`.

    >>> float(softsign(1.0))
    0.5
    """
    x = real(x)
    return _core.binary("div", x, _add(_core.unary("abs", x), 1.0))


@op
@widened
def silu(x: TensorLike) -> Tensor:
    """`x * sigmoid(x)`.

    >>> float(silu(0.0))
    0.0
    """
    x = real(x)
    return _mul(x, _core.unary("sigmoid", x))


swish = silu


@op
@widened
def elu(x: TensorLike, alpha: float = 1.0) -> Tensor:
    """`x` where positive, else `alpha * (exp(x) - 1)`.

    >>> elu([0.0, 2.0]).numpy().tolist()
    [0.0, 2.0]
    """
    x = real(x)
    # The minimum keeps the branch that is not chosen finite, and with it the gradient.
    below = _mul(_core.unary("expm1", _core.binary("min", x, 0.0)), float(alpha))
    return _core.select(_core.binary("ge", x, 0.0), x, below)


@op
@widened
def celu(x: TensorLike, alpha: float = 1.0) -> Tensor:
    """`max(x, 0) + alpha * (exp(min(x, 0) / alpha) - 1)`.

    >>> celu([0.0, 2.0]).numpy().tolist()
    [0.0, 2.0]
    """
    x = real(x)
    below = _mul(_core.unary("expm1", _mul(_core.binary("min", x, 0.0), 1.0 / alpha)), float(alpha))
    return _core.select(_core.binary("ge", x, 0.0), x, below)


@op
@widened
def selu(x: TensorLike) -> Tensor:
    """Scaled `elu` that keeps mean 0 and variance 1.

    >>> float(selu(0.0))
    0.0
    """
    return _mul(elu(x, SELU_ALPHA), SELU_SCALE)


@op
@widened
def gelu(x: TensorLike, approximate: bool = True) -> Tensor:
    """`x` times the normal distribution function of `x`, or its tanh approximation.

    >>> float(gelu(0.0))
    0.0
    """
    x = real(x)
    if approximate:
        inner = _mul(_add(x, _mul(_mul(_mul(x, x), x), 0.044715)), math.sqrt(2.0 / math.pi))
        return _mul(_mul(x, 0.5), _add(_core.unary("tanh", inner), 1.0))
    return _mul(_mul(x, 0.5), _add(_core.unary("erf", _mul(x, math.sqrt(0.5))), 1.0))


@op
@widened
def hard_sigmoid(x: TensorLike) -> Tensor:
    """`relu6(x + 3) / 6`.

    >>> hard_sigmoid([-4.0, 0.0, 4.0]).numpy().tolist()
    [0.0, 0.5, 1.0]
    """
    return _mul(clip(_add(real(x), 3.0), 0.0, 6.0), 1.0 / 6.0)


@op
@widened
def hard_silu(x: TensorLike) -> Tensor:
    """`x * hard_sigmoid(x)`.

    >>> hard_silu([-4.0, 0.0, 4.0]).numpy().tolist()
    [-0.0, 0.0, 4.0]
    """
    x = real(x)
    return _mul(x, hard_sigmoid(x))


hard_swish = hard_silu


@op
def hard_tanh(x: TensorLike) -> Tensor:
    """`x` limited to [-1, 1].

    >>> hard_tanh([-4.0, 0.5]).numpy().tolist()
    [-1.0, 0.5]
    """
    return clip(real(x), -1.0, 1.0)


@op
@widened
def mish(x: TensorLike) -> Tensor:
    """`x * tanh(softplus(x))`.

    >>> float(mish(0.0))
    0.0
    """
    x = real(x)
    return _mul(x, _core.unary("tanh", _softplus(x)))


@op
@widened
def glu(x: TensorLike, axis: int = -1) -> Tensor:
    """The first half along `axis` times the sigmoid of the second.

    >>> glu([2.0, 0.0]).numpy().tolist()
    [1.0]
    """
    from oxiconv.ops.arrangement import split

    x = real(x)
    (place,) = axes_of(axis, x.ndim, "glu")
    if x.shape[place] % 2:
        raise ShapeError(f"glu: expected an even size along axis {axis}, got shape {x.shape}")
    a, b = split(x, 2, place)
    return _mul(a, _core.unary("sigmoid", b))


def _centre(x: Tensor, axes: list[int]) -> Tensor:
    return _core.binary("sub", x, _core.detach(reduction.max(x, axes, keepdims=True)))


@op
@widened
def softmax(x: TensorLike, axis: Any = -1) -> Tensor:
    """Exponentials that sum to 1 along `axis` (an axis, several, or None for all).

    >>> softmax([0.0, 0.0]).numpy().tolist()
    [0.5, 0.5]
    """
    x = real(x)
    axes = axes_of(axis, x.ndim, "softmax")
    e = _core.unary("exp", _centre(x, axes))
    return _core.binary("div", e, reduction.sum(e, axes, keepdims=True))


@op
@widened
def log_softmax(x: TensorLike, axis: Any = -1) -> Tensor:
    """Logarithm of `softmax` without underflow.

    >>> log_softmax([1.0, 1.0]).numpy().round(4)
    array([-0.6931, -0.6931], dtype=float32)
    """
    x = real(x)
    axes = axes_of(axis, x.ndim, "log_softmax")
    centred = _centre(x, axes)
    return _core.binary(
        "sub", centred, _core.unary("log", reduction.sum(_core.unary("exp", centred), axes, keepdims=True))
    )


@op
def threshold(x: TensorLike, threshold: float, default_value: float) -> Tensor:
    """`x` where above `threshold`, else `default_value`.

    >>> threshold([0.2, 2.0], 0.5, -1.0).numpy().tolist()
    [-1.0, 2.0]
    """
    x = real(x)
    return _core.select(_core.binary("gt", x, float(threshold)), x, float(default_value))


@op
def hard_shrink(x: TensorLike, threshold: float = 0.5) -> Tensor:
    """`x` where its magnitude is above `threshold`, else 0.

    >>> hard_shrink([-1.0, 0.2, 2.0]).numpy().tolist()
    [-1.0, 0.0, 2.0]
    """
    x = real(x)
    return _core.select(_core.binary("gt", _core.unary("abs", x), float(threshold)), x, 0.0)


@op
@widened
def soft_shrink(x: TensorLike, threshold: float = 0.5) -> Tensor:
    """`x` moved towards 0 by `threshold`, and 0 within it.

    >>> soft_shrink([-1.0, 0.2, 2.0]).numpy().tolist()
    [-0.5, 0.0, 1.5]
    """
    x, t = real(x), float(threshold)
    above, below = _core.binary("gt", x, t), _core.binary("lt", x, -t)
    return _core.select(above, _core.binary("sub", x, t), _core.select(below, _add(x, t), 0.0))


@op
@widened
def tanh_shrink(x: TensorLike) -> Tensor:
    """`x - tanh(x)`.

    >>> float(tanh_shrink(0.0))
    0.0
    """
    x = real(x)
    return _core.binary("sub", x, _core.unary("tanh", x))


@op
@widened
def squareplus(x: TensorLike, b: float = 4) -> Tensor:
    """`(x + sqrt(x² + b)) / 2`.

    >>> float(squareplus(0.0))
    1.0
    """
    x = real(x)
    return _mul(_add(x, _core.unary("sqrt", _add(_mul(x, x), float(b)))), 0.5)


@op
@widened
def sparse_plus(x: TensorLike) -> Tensor:
    """0 up to -1, `(x + 1)² / 4` to 1, then `x`.

    >>> sparse_plus([-2.0, 0.0, 3.0]).numpy().tolist()
    [0.0, 0.25, 3.0]
    """
    x = real(x)
    near = _add(x, 1.0)
    curve = _mul(_mul(near, near), 0.25)
    return _core.select(_core.binary("le", x, -1.0), 0.0, _core.select(_core.binary("lt", x, 1.0), curve, x))


@op
@widened
def sparse_sigmoid(x: TensorLike) -> Tensor:
    """0 up to -1, `(x + 1) / 2` to 1, then 1.

    >>> sparse_sigmoid([-2.0, 0.0, 3.0]).numpy().tolist()
    [0.0, 0.5, 1.0]
    """
    x = real(x)
    line = _mul(_add(x, 1.0), 0.5)
    return _core.select(_core.binary("le", x, -1.0), 0.0, _core.select(_core.binary("ge", x, 1.0), 1.0, line))


@op
@widened
def sparsemax(x: TensorLike, axis: int = -1) -> Tensor:
    """The nearest point at which all are at least 0 and sum to 1 along `axis` (Martins and Astudillo 2016).

    >>> sparsemax([0.0, 3.0, 2.5]).numpy().tolist()
    [0.0, 0.75, 0.25]
    """
    from oxiconv.ops.arrangement import cumsum, moveaxis
    from oxiconv.ops.ordering import top_k

    x = real(x)
    (place,) = axes_of(axis, x.ndim, "sparsemax")
    last = moveaxis(x, place, -1)
    n = last.shape[-1]
    falling, _ = top_k(last, n)
    sums = cumsum(falling, -1)
    count = convert(np.arange(1, n + 1, dtype=np.float32), x.dtype)
    inside = _core.binary("gt", _mul(falling, count), _core.binary("sub", sums, 1.0))
    # The elements inside are the first ones: the last of their running sums is their sum.
    size = _core.cast(reduction.sum(inside, -1, keepdims=True), x.dtype)
    total = reduction.sum(_core.select(inside, falling, 0.0), -1, keepdims=True)
    limit = _core.binary("div", _core.binary("sub", total, 1.0), size)
    return moveaxis(_core.binary("max", _core.binary("sub", last, limit), 0.0), -1, place)
