"""Cross-entropies, and the peak signal-to-noise ratio."""

from __future__ import annotations

import math
from typing import Any

from oxiconv import _core
from oxiconv.config import epsilon as default_epsilon
from oxiconv.ops import reduction
from oxiconv.ops.activation import log_softmax, softplus
from oxiconv.ops.elementwise import clip
from oxiconv.ops.indicators import one_hot
from oxiconv.ops.promotion import real, reals, widened
from oxiconv.ops.reduction import axes_of
from oxiconv.symbolic import op
from oxiconv.tensor import ShapeError, Tensor, TensorLike, convert


def _matching(name: str, target: Any, output: Any) -> tuple[Tensor, Tensor]:
    t, y = reals(target, output)
    if t.shape != y.shape:
        raise ShapeError(f"{name}: expected target and output of one shape, got {t.shape} and {y.shape}")
    return t, y


def _log_probabilities(y: Tensor, axis: int) -> Tensor:
    """Logarithm of probabilities, first scaled to sum to 1 along `axis` and kept from 0."""
    y = _core.binary("div", y, reduction.sum(y, axis, keepdims=True))
    small = default_epsilon()
    return _core.unary("log", clip(y, small, 1.0 - small))


@op
@widened
def categorical_crossentropy(
    target: TensorLike, output: TensorLike, from_logits: bool = False, axis: int = -1
) -> Tensor:
    """`-sum(target * log(output))` along `axis`; `output` are probabilities, or logits with `from_logits`.

    >>> round(float(categorical_crossentropy([0.0, 1.0], [0.5, 0.5])), 4)
    0.6931
    """
    t, y = _matching("categorical_crossentropy", target, output)
    if not y.ndim:
        raise ShapeError("categorical_crossentropy: expected at least one axis, got scalars")
    log_p = log_softmax(y, axis) if from_logits else _log_probabilities(y, axis)
    return _core.unary("neg", reduction.sum(_core.binary("mul", t, log_p), axis))


@op
@widened
def sparse_categorical_crossentropy(
    target: TensorLike, output: TensorLike, from_logits: bool = False, axis: int = -1
) -> Tensor:
    """`-log(output[target])` along `axis`, for integer targets of the output's shape without `axis` (or 1 there).

    >>> sparse_categorical_crossentropy([1], [[0.5, 0.5]]).numpy().astype("float64").round(4).tolist()
    [0.6931]
    """
    t, y = convert(target, "int32"), real(output)
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
@widened
def binary_crossentropy(target: TensorLike, output: TensorLike, from_logits: bool = False) -> Tensor:
    """`-target * log(output) - (1 - target) * log(1 - output)`, elementwise.

    >>> binary_crossentropy([1.0], [0.5]).numpy().astype("float64").round(4).tolist()
    [0.6931]
    """
    t, y = _matching("binary_crossentropy", target, output)
    if from_logits:
        # softplus(y) - y * t = -t log(sigmoid(y)) - (1 - t) log(1 - sigmoid(y)): no term overflows.
        return _core.binary("sub", softplus(y), _core.binary("mul", y, t))
    small = default_epsilon()
    p = clip(y, small, 1.0 - small)
    positive = _core.binary("mul", t, _core.unary("log", p))
    negative = _core.binary("mul", _core.binary("sub", 1.0, t), _core.unary("log", _core.binary("sub", 1.0, p)))
    return _core.unary("neg", _core.binary("add", positive, negative))


@op
@widened
def psnr(x1: TensorLike, x2: TensorLike, max_val: float) -> Tensor:
    """Peak signal-to-noise ratio in decibels of two images, or batches, with values up to `max_val`.

    >>> round(float(psnr([0.0, 1.0], [0.0, 0.9], 1.0)), 3)
    23.01
    """
    a, b = reals(x1, x2)
    if a.shape != b.shape:
        raise ShapeError(f"psnr: expected two tensors of one shape, got {a.shape} and {b.shape}")
    gap = _core.binary("sub", a, b)
    error = reduction.mean(_core.binary("mul", gap, gap))
    decibels = _core.binary("mul", _core.unary("log", error), 10.0 / math.log(10.0))
    return _core.binary("sub", 20.0 * math.log10(float(max_val)), decibels)
