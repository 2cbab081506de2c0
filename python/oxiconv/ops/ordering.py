"""Sorting and ranking."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from oxiconv import _core
from oxiconv.dtype import is_float
from oxiconv.ops import reduction
from oxiconv.ops.arrangement import moveaxis, take_along_axis
from oxiconv.ops.reduction import axes_of
from oxiconv.symbolic import op
from oxiconv.tensor import ShapeError, Tensor, TensorLike, convert


class TopK(NamedTuple):
    """The result of `top_k`."""

    values: Tensor
    indices: Tensor


@op
def argsort(x: TensorLike, axis: int | None = -1) -> Tensor:
    """Indices that sort along `axis` (None: the flattened tensor), stable, NaN as infinity."""
    x = convert(x)
    if axis is None:
        x, axis = _core.reshape(x, (x.size,)), -1
    (place,) = axes_of(axis, x.ndim, "argsort")
    if is_float(x.dtype):
        x = _core.select(_core.unary("isnan", x), float("inf"), x)
    if not x.traced:
        return convert(np.argsort(x.numpy(), axis=place, kind="stable"), "int32")
    return moveaxis(_argsort_last(moveaxis(x, place, -1)), -1, place)


def _argsort_last(x: Tensor) -> Tensor:
    """By counting: an element's place is how many come before it. O(n²), but a fused composition of primitives."""
    n = x.shape[-1]
    x = _core.detach(x)
    mine, other = _core.reshape(x, (*x.shape, 1)), _core.reshape(x, (*x.shape[:-1], 1, n))
    earlier = convert(np.tri(n, k=-1, dtype=np.bool_))
    before = _core.binary(
        "or", _core.binary("lt", other, mine), _core.binary("and", _core.binary("eq", other, mine), earlier)
    )
    place = reduction.sum(before, axis=-1, keepdims=True)
    hit = _core.binary("eq", place, convert(np.arange(n, dtype=np.int32)))
    index = convert(np.arange(n, dtype=np.int32).reshape(n, 1))
    return reduction.sum(_core.select(hit, index, 0), axis=-2)


@op
def sort(x: TensorLike, axis: int | None = -1) -> Tensor:
    """Ascending order along `axis` (None: the flattened tensor), NaN as infinity."""
    x = convert(x)
    if axis is None:
        x, axis = _core.reshape(x, (x.size,)), -1
    return take_along_axis(x, argsort(x, axis), axis)


@op
def top_k(x: TensorLike, k: int, sorted: bool = True) -> TopK:
    """The k largest elements along the last axis, in descending order, and their indices.

    >>> values, indices = top_k([1.0, 4.0, 2.0], 2)
    >>> values.numpy().tolist(), indices.numpy().tolist()
    ([4.0, 2.0], [1, 2])
    """
    x = convert(x)
    if not x.ndim or not 0 <= k <= x.shape[-1]:
        raise ShapeError(f"top_k: expected k of at most the last size of {x.shape}, got {k}")
    falling = _core.unary("neg", x) if is_float(x.dtype) else _core.binary("sub", -1, convert(x, "int32"))
    order = argsort(falling, -1)
    index = _core.slice(order, [0] * x.ndim, [*x.shape[:-1], k], [1] * x.ndim)
    return TopK(take_along_axis(x, index, -1), index)


@op
def in_top_k(targets: TensorLike, predictions: TensorLike, k: int) -> Tensor:
    """Whether the score of each target class is among the k largest of its row."""
    t, p = convert(targets, "int32"), convert(predictions, "float32")
    if p.ndim != 2 or t.ndim != 1 or t.shape[0] != p.shape[0]:
        raise ShapeError(f"in_top_k: expected targets [n] and predictions [n, classes], got {t.shape} and {p.shape}")
    column = _core.reshape(t, (t.size, 1))
    score = take_along_axis(p, column, 1)
    larger = reduction.sum(_core.binary("gt", p, score), axis=1)
    finite = _core.binary("lt", _core.unary("abs", score), float("inf"))
    return _core.binary("and", _core.binary("lt", larger, k), _core.reshape(finite, (t.size,)))


@op
def median(x: TensorLike, axis: int | None = None, keepdims: bool = False) -> Tensor:
    """The middle of the sorted elements along `axis` (None: all), or the mean of the two middle ones."""
    x = convert(x, "float32")
    rank = x.ndim
    if axis is None:
        x = _core.reshape(x, (x.size,))
    place = 0 if axis is None else axes_of(axis, x.ndim, "median")[0]
    n = x.shape[place]
    middle = convert(np.array([(n - 1) // 2, n // 2], np.int32))
    result = reduction.mean(_core.gather(sort(x, place), middle, place), axis=place, keepdims=keepdims)
    return _core.reshape(result, [1] * rank) if axis is None and keepdims else result
