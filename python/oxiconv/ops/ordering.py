"""Sorting and ranking."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from oxiconv import _core
from oxiconv.dtype import is_float
from oxiconv.ops import reduction
from oxiconv.ops.arrangement import moveaxis, take_along_axis
from oxiconv.ops.promotion import as_one, real
from oxiconv.ops.reduction import axes_of
from oxiconv.symbolic import op
from oxiconv.tensor import ShapeError, Tensor, TensorLike, convert


class TopK(NamedTuple):
    """The result of `top_k`."""

    values: Tensor
    indices: Tensor


def _line(x: TensorLike, axis: int | None, name: str) -> tuple[Tensor, int]:
    x = convert(x)
    if axis is None:
        x, axis = _core.reshape(x, (x.size,)), -1
    return x, axes_of(axis, x.ndim, name)[0]


@op
def argsort(x: TensorLike, axis: int | None = -1) -> Tensor:
    """Positions (int32) in ascending order along `axis` (None: of the flattened tensor); stable, NaN last.

    >>> argsort([3.0, 1.0, 2.0]).numpy().tolist()
    [1, 2, 0]
    """
    x, place = _line(x, axis, "argsort")
    if place == x.ndim - 1:
        return _core.argsort(x)
    return moveaxis(_core.argsort(moveaxis(x, place, -1)), -1, place)


@op
def sort(x: TensorLike, axis: int | None = -1) -> Tensor:
    """Ascending order along `axis` (None: of the flattened tensor), NaN last.

    >>> sort([3.0, 1.0, 2.0]).numpy().tolist()
    [1.0, 2.0, 3.0]
    """
    x, place = _line(x, axis, "sort")
    return take_along_axis(x, argsort(x, place), place)


@op
def argpartition(x: TensorLike, kth: int, axis: int | None = -1) -> Tensor:
    """Positions along `axis` so that what comes before the `kth` is not above it, and what follows not below: sorted.

    >>> int(argpartition([3.0, 1.0, 2.0], 1)[1])
    2
    """
    x, place = _line(x, axis, "argpartition")
    if not -x.shape[place] <= kth < x.shape[place]:
        raise ShapeError(f"argpartition: expected kth within {x.shape[place]} elements, got {kth}")
    return argsort(x, place)


@op
def top_k(x: TensorLike, k: int, sorted: bool = True) -> TopK:
    """The k largest elements along the last axis, in descending order, and their positions; of equals, the first.

    >>> values, indices = top_k([1.0, 4.0, 2.0], 2)
    >>> values.numpy().tolist(), indices.numpy().tolist()
    ([4.0, 2.0], [1, 2])
    """
    x = convert(x)
    if not x.ndim or not 0 <= k <= x.shape[-1]:
        raise ShapeError(f"top_k: expected k of at most the last size of {x.shape}, got {k}")
    falling = _core.unary("neg", x) if is_float(x.dtype) else _core.binary("sub", -1, convert(x, "int32"))
    order = _core.argsort(falling)
    index = _core.slice(order, [0] * x.ndim, [*x.shape[:-1], k], [1] * x.ndim)
    return TopK(take_along_axis(x, index, -1), index)


@op
def in_top_k(targets: TensorLike, predictions: TensorLike, k: int) -> Tensor:
    """Whether the score of each target class is among the k largest of its row; equal scores are all among them.

    >>> in_top_k([0, 1], [[0.1, 0.9], [0.2, 0.8]], k=1).numpy().tolist()
    [False, True]
    """
    t, p = convert(targets, "int32"), real(predictions)
    if p.ndim != 2 or t.ndim != 1 or t.shape[0] != p.shape[0]:
        raise ShapeError(f"in_top_k: expected targets [n] and predictions [n, classes], got {t.shape} and {p.shape}")
    column = _core.reshape(t, (t.size, 1))
    score = take_along_axis(p, column, 1)
    larger = reduction.sum(_core.binary("gt", p, score), axis=1)
    finite = _core.binary("lt", _core.unary("abs", score), float("inf"))
    return _core.binary("and", _core.binary("lt", larger, k), _core.reshape(finite, (t.size,)))


@op
def digitize(x: TensorLike, bins: TensorLike) -> Tensor:
    """The bin of each element: how many of the ascending `bins` are not above it.

    >>> digitize([0.0, 1.0, 2.5], [1.0, 2.0]).numpy().tolist()
    [0, 1, 2]
    """
    return _places(convert(x), convert(bins), "right", "digitize")


@op
def searchsorted(sorted_sequence: TensorLike, values: TensorLike, side: str = "left") -> Tensor:
    """Where each value belongs in the ascending sequence: before equal elements, or after them with side "right".

    The sequence may have leading axes, which `values` then has too. A comparison of every value with every element.

    >>> searchsorted([1.0, 2.0, 2.0, 3.0], [2.0, 5.0]).numpy().tolist()
    [1, 4]
    """
    return _places(convert(values), convert(sorted_sequence), side, "searchsorted")


def _places(x: Tensor, line: Tensor, side: str, name: str) -> Tensor:
    if side not in ("left", "right"):
        raise ValueError(f"{name}: expected side 'left' or 'right', got {side!r}")
    if line.ndim != 1 and (name == "digitize" or line.shape[:-1] != x.shape[:-1]):
        raise ShapeError(f"{name}: expected one ascending axis, or leading axes {x.shape[:-1]}, got {line.shape}")
    x, line = as_one([x, line])
    if not x.traced and not line.traced and line.ndim == 1:
        found = np.searchsorted(line.numpy(), x.numpy(), side=side)  # type: ignore[call-overload]
        return convert(np.asarray(found, np.int32))
    dims = (1,) * x.ndim + line.shape if line.ndim == 1 else (*line.shape[:-1], 1, line.shape[-1])
    before = _core.binary("lt" if side == "left" else "le", _core.reshape(line, dims), _core.reshape(x, (*x.shape, 1)))
    return reduction.sum(before, axis=-1)
