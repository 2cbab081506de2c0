"""Functions of neural networks: Keras's `ops.nn`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from oxiconv import _core
from oxiconv.config import epsilon as default_epsilon
from oxiconv.dtype import is_float
from oxiconv.ops import reduction
from oxiconv.ops.activation import (
    celu,
    elu,
    gelu,
    glu,
    hard_sigmoid,
    hard_silu,
    hard_swish,
    hard_tanh,
    leaky_relu,
    log_sigmoid,
    log_softmax,
    mish,
    relu,
    relu6,
    selu,
    sigmoid,
    silu,
    softmax,
    softplus,
    softsign,
    swish,
    threshold,
)
from oxiconv.ops.attention import dot_product_attention
from oxiconv.ops.convolution import conv, conv_transpose, depthwise_conv, separable_conv
from oxiconv.ops.elementwise import clip
from oxiconv.ops.pooling import average_pool, max_pool
from oxiconv.ops.reduction import axes_of
from oxiconv.symbolic import op
from oxiconv.tensor import DTypeError, ShapeError, Tensor, TensorLike, convert

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = [
    "average_pool",
    "batch_normalization",
    "binary_crossentropy",
    "categorical_crossentropy",
    "celu",
    "conv",
    "conv_transpose",
    "depthwise_conv",
    "dot_product_attention",
    "elu",
    "gelu",
    "glu",
    "hard_sigmoid",
    "hard_silu",
    "hard_swish",
    "hard_tanh",
    "layer_normalization",
    "leaky_relu",
    "log_sigmoid",
    "log_softmax",
    "max_pool",
    "mish",
    "moments",
    "multi_hot",
    "normalize",
    "one_hot",
    "relu",
    "relu6",
    "selu",
    "separable_conv",
    "sigmoid",
    "silu",
    "softmax",
    "softplus",
    "softsign",
    "sparse_categorical_crossentropy",
    "swish",
    "threshold",
]


@op
def one_hot(x: TensorLike, num_classes: int, axis: int = -1, dtype: Any = None, sparse: bool = False) -> Tensor:
    """A new axis of `num_classes` that is 1 at the index and 0 elsewhere; all 0 for an index out of range.

    >>> one_hot([0, 2], 3).numpy().tolist()
    [[1.0, 0.0, 0.0], [0.0, 0.0, 1.0]]
    """
    if sparse:
        raise ValueError("one_hot: expected sparse=False; sparse tensors are not supported")
    index = convert(x)
    if is_float(index.dtype):
        raise DTypeError("one_hot: expected integer indices, got float32")
    (place,) = axes_of(axis, index.ndim + 1, "one_hot")
    classes = np.arange(num_classes, dtype=np.int32).reshape([-1 if a == place else 1 for a in range(index.ndim + 1)])
    hit = _core.binary("eq", reduction.restore(index, [place]), convert(classes))
    return convert(hit, dtype or "float32")


@op
def multi_hot(inputs: TensorLike, num_classes: int, axis: int = -1, dtype: Any = None, sparse: bool = False) -> Tensor:
    """1 at every index found along `axis`, which `num_classes` replaces."""
    index = convert(inputs)
    (place,) = axes_of(axis, index.ndim, "multi_hot")
    return convert(reduction.max(one_hot(index, num_classes, -1, "float32", sparse), axis=place), dtype or "float32")


@op
def moments(x: TensorLike, axes: Any, keepdims: bool = False, synchronized: bool = False) -> tuple[Tensor, Tensor]:
    """Mean and biased variance over `axes`."""
    x = convert(x, "float32")
    mean = reduction.mean(x, axes, keepdims=True)
    centred = _core.binary("sub", x, mean)
    variance = reduction.mean(_core.binary("mul", centred, centred), axes, keepdims=keepdims)
    return (mean if keepdims else _core.reshape(mean, variance.shape)), variance


@op
def batch_normalization(
    x: TensorLike,
    mean: TensorLike,
    variance: TensorLike,
    axis: int,
    offset: TensorLike | None = None,
    scale: TensorLike | None = None,
    epsilon: float = 1e-3,
) -> Tensor:
    """`(x - mean) / sqrt(variance + epsilon) * scale + offset`, with statistics and parameters along `axis`."""
    x = convert(x, "float32")
    (place,) = axes_of(axis, x.ndim, "batch_normalization")
    dims = [n if a == place else 1 for a, n in enumerate(x.shape)]

    def along(v: Any) -> Tensor:
        v = convert(v, "float32")
        if v.shape != (x.shape[place],):
            raise ShapeError(f"batch_normalization: expected parameters of shape ({x.shape[place]},), got {v.shape}")
        return _core.reshape(v, dims)

    factor = _core.unary("rsqrt", _core.binary("add", along(variance), float(epsilon)))
    if scale is not None:
        factor = _core.binary("mul", factor, along(scale))
    y = _core.binary("mul", _core.binary("sub", x, along(mean)), factor)
    return y if offset is None else _core.binary("add", y, along(offset))


@op
def layer_normalization(
    x: TensorLike,
    gamma: TensorLike | None = None,
    beta: TensorLike | None = None,
    axis: int | Sequence[int] = -1,
    epsilon: float | None = None,
) -> Tensor:
    """Mean 0 and variance 1 over `axis`, then scaled by `gamma` and shifted by `beta`."""
    x = convert(x, "float32")
    axes = axes_of(axis, x.ndim, "layer_normalization")
    mean, variance = moments(x, axes, keepdims=True)
    small = default_epsilon() if epsilon is None else float(epsilon)
    y = _core.binary("mul", _core.binary("sub", x, mean), _core.unary("rsqrt", _core.binary("add", variance, small)))
    dims = [n if a in axes else 1 for a, n in enumerate(x.shape)]
    for name, value in (("mul", gamma), ("add", beta)):
        if value is not None:
            y = _core.binary(name, y, _core.reshape(convert(value, "float32"), dims))
    return y


@op
def normalize(x: TensorLike, axis: int = -1, order: int = 2, epsilon: float | None = None) -> Tensor:
    """`x` divided by its norm along `axis`, which counts as at least `epsilon`."""
    from oxiconv.ops.products import norm

    x = convert(x, "float32")
    small = default_epsilon() if epsilon is None else float(epsilon)
    if order == 2:
        # The square root of a maximum has a gradient where the norm is 0.
        total = reduction.sum(_core.binary("mul", x, x), axis, keepdims=True)
        return _core.binary("mul", x, _core.unary("rsqrt", _core.binary("max", total, small * small)))
    return _core.binary("div", x, _core.binary("max", norm(x, order, axis, keepdims=True), small))


def _matching(name: str, target: Any, output: Any) -> tuple[Tensor, Tensor]:
    t, y = convert(target, "float32"), convert(output, "float32")
    if t.shape != y.shape:
        raise ShapeError(f"{name}: expected target and output of one shape, got {t.shape} and {y.shape}")
    return t, y


def _log_probabilities(y: Tensor, axis: int) -> Tensor:
    """Logarithm of probabilities, first scaled to sum to 1 along `axis` and kept from 0."""
    y = _core.binary("div", y, reduction.sum(y, axis, keepdims=True))
    small = default_epsilon()
    return _core.unary("log", clip(y, small, 1.0 - small))


@op
def categorical_crossentropy(
    target: TensorLike, output: TensorLike, from_logits: bool = False, axis: int = -1
) -> Tensor:
    """`-sum(target * log(output))` along `axis`; `output` are probabilities, or logits with `from_logits`."""
    t, y = _matching("categorical_crossentropy", target, output)
    if not y.ndim:
        raise ShapeError("categorical_crossentropy: expected at least one axis, got scalars")
    log_p = log_softmax(y, axis) if from_logits else _log_probabilities(y, axis)
    return _core.unary("neg", reduction.sum(_core.binary("mul", t, log_p), axis))


@op
def sparse_categorical_crossentropy(
    target: TensorLike, output: TensorLike, from_logits: bool = False, axis: int = -1
) -> Tensor:
    """`-log(output[target])` along `axis`, for integer targets of the output's shape without `axis` (or 1 there)."""
    t, y = convert(target, "int32"), convert(output, "float32")
    if not y.ndim:
        raise ShapeError("sparse_categorical_crossentropy: expected at least one axis of output, got a scalar")
    (place,) = axes_of(axis, y.ndim, "sparse_categorical_crossentropy")
    dims = tuple(n for a, n in enumerate(y.shape) if a != place)
    if t.ndim == y.ndim and t.shape[place] == 1:
        t = _core.reshape(t, [n for a, n in enumerate(t.shape) if a != place])
    if t.shape != dims:
        raise ShapeError(
            f"sparse_categorical_crossentropy: expected target of shape {dims} for output {y.shape}, got {t.shape}"
        )
    log_p = log_softmax(y, place) if from_logits else _log_probabilities(y, place)
    chosen = _core.select(one_hot(t, y.shape[place], place, "bool"), log_p, 0.0)
    return _core.unary("neg", reduction.sum(chosen, place))


@op
def binary_crossentropy(target: TensorLike, output: TensorLike, from_logits: bool = False) -> Tensor:
    """`-target * log(output) - (1 - target) * log(1 - output)`, elementwise."""
    t, y = _matching("binary_crossentropy", target, output)
    if from_logits:
        # softplus(y) - y * t = -t log(sigmoid(y)) - (1 - t) log(1 - sigmoid(y)): no term overflows.
        return _core.binary("sub", softplus(y), _core.binary("mul", y, t))
    small = default_epsilon()
    p = clip(y, small, 1.0 - small)
    positive = _core.binary("mul", t, _core.unary("log", p))
    negative = _core.binary("mul", _core.binary("sub", 1.0, t), _core.unary("log", _core.binary("sub", 1.0, p)))
    return _core.unary("neg", _core.binary("add", positive, negative))
