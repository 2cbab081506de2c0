"""Reductions over groups of elements that share an index."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from oxiconv import _core
from oxiconv.dtype import is_float
from oxiconv.ops.arrangement import concatenate, take
from oxiconv.ops.comparison import equal, isfinite, logical_and, logical_or, not_equal, where
from oxiconv.ops.core import cast, stop_gradient
from oxiconv.ops.elementwise import add, divide, maximum, minimum, multiply, subtract
from oxiconv.ops.indexing import get_item
from oxiconv.ops.ordering import argsort
from oxiconv.symbolic import op
from oxiconv.tensor import GraphError, IndexValueError, ShapeError, Tensor, TensorLike, convert

__all__ = ["segment_max", "segment_min", "segment_prod", "segment_sum"]


def _rows(name: str, data: Any, ids: Any, count: int | None) -> tuple[Tensor, Tensor, int]:
    """The data, the segment of each row (the last, which is dropped, for indices out of range), and how many."""
    x, index = convert(data), convert(ids)
    if is_float(index.dtype) or index.dtype == "bool":
        raise IndexValueError(f"{name}: expected integer segment_ids, got {index.dtype}")
    if index.ndim != 1 or x.shape[:1] != index.shape:
        raise ShapeError(f"{name}: expected segment_ids [n] for data [n, ..], got {index.shape} and {x.shape}")
    if count is None:
        if index.traced:
            raise GraphError(f"{name}: segment_ids are traced, so that their number is not known; give num_segments")
        count = int(index.numpy().max(initial=-1)) + 1
    out = logical_or(_core.binary("lt", index, 0), _core.binary("ge", index, count))
    index = where(out, count, index)
    return x, index, int(count)


def _sums(rows: Tensor, index: Tensor, count: int) -> Tensor:
    return get_item(_core.scatter_add(rows, index, 0, count + 1), slice(0, count))


@op
def segment_sum(
    data: TensorLike, segment_ids: TensorLike, num_segments: int | None = None, sorted: bool = False
) -> Any:
    """The sum of the slices of `data` for each segment.

    Args:
        data: `[n, ..]`.
        segment_ids: `[n]`, the segment of each slice; those below 0 or not below `num_segments` are left out.
        num_segments: number of segments; by default one more than the largest index.
        sorted: accepted for Keras compatibility.

    >>> segment_sum([1, 2, 10, 20], [0, 0, 1, 1]).numpy().tolist()
    [3, 30]
    """
    return _sums(*_rows("segment_sum", data, segment_ids, num_segments))


@op
def segment_max(
    data: TensorLike, segment_ids: TensorLike, num_segments: int | None = None, sorted: bool = False
) -> Any:
    """The maximum of the slices of `data` for each segment; the lowest number of the type for an empty one.

    Arguments: see `segment_sum`. Elements that equal the maximum share its gradient.

    >>> segment_max([1, 2, 10, 20], [0, 0, 1, 1]).numpy().tolist()
    [2, 20]
    """
    return _extreme("segment_max", maximum, "min", data, segment_ids, num_segments)


@op
def segment_min(
    data: TensorLike, segment_ids: TensorLike, num_segments: int | None = None, sorted: bool = False
) -> Any:
    """The minimum of the slices of `data` for each segment; the largest number of the type for an empty one.

    Arguments: see `segment_sum`. Elements that equal the minimum share its gradient.
    """
    return _extreme("segment_min", minimum, "max", data, segment_ids, num_segments)


@op
def segment_prod(
    data: TensorLike, segment_ids: TensorLike, num_segments: int | None = None, sorted: bool = False
) -> Any:
    """The product of the slices of `data` for each segment; 1 for an empty one. Arguments: see `segment_sum`."""
    rows, index, count = _rows("segment_prod", data, segment_ids, num_segments)
    return _scan(rows, index, count, multiply, 1)


def _extreme(
    name: str, better: Callable[..., Tensor], worst: str, data: Any, segment_ids: Any, num_segments: int | None
) -> Tensor:
    rows, index, count = _rows(name, data, segment_ids, num_segments)
    limits = np.finfo(np.float32) if is_float(rows.dtype) else np.iinfo(rows.numpy().dtype if not rows.traced else "i4")
    found = stop_gradient(_scan(stop_gradient(rows), index, count, better, getattr(limits, worst)))
    if not is_float(rows.dtype):
        return found
    # The value is `found`; the gradient goes to the rows that have it, by a term that is 0.
    padded = concatenate([found, get_item(rows, slice(0, 1)) * 0.0], 0)
    wins = logical_and(equal(rows, take(stop_gradient(padded), index, 0)), isfinite(rows))
    counts = _core.scatter_add(cast(wins, rows.dtype), index, 0, count + 1)
    share = divide(subtract(rows, stop_gradient(rows)), maximum(take(counts, index, 0), 1.0))
    return add(found, _sums(where(wins, share, 0.0), index, count))


def _scan(rows: Tensor, index: Tensor, count: int, combine: Callable[..., Tensor], empty: Any) -> Tensor:
    """A reduction that has no sum: rows in order of their segments, then `log2(n)` rounds.

    After each round a row holds what it and twice as many rows of its segment before it make.
    """
    n = index.size
    fill = convert(empty, rows.dtype)
    if n == 0:
        return _core.broadcast_to(fill, (count, *rows.shape[1:]))
    order = argsort(index)
    segment, value = take(index, order, 0), take(rows, order, 0)
    wide = (-1, *[1] * (rows.ndim - 1))
    shift = 1
    while shift < n:
        same = _core.binary("eq", get_item(segment, slice(shift, n)), get_item(segment, slice(0, n - shift)))
        later = get_item(value, slice(shift, n))
        both = combine(get_item(value, slice(0, n - shift)), later)
        joined = where(_core.reshape(same, (n - shift, *wide[1:])), both, later)
        value = concatenate([get_item(value, slice(0, shift)), joined], 0)
        shift *= 2
    last = concatenate([not_equal(get_item(segment, slice(1, n)), get_item(segment, slice(0, n - 1))), [True]], 0)
    sums = _sums(where(_core.reshape(last, (n, *wide[1:])), value, convert(0, rows.dtype)), segment, count)
    present = _sums(cast(last, "int32"), segment, count)
    return where(_core.reshape(_core.binary("gt", present, 0), (count, *wide[1:])), sums, fill)
