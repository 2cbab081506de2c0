"""Writing into tensors: at index tuples, and at a place."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from oxiconv import _core
from oxiconv.ops.core import check_flat, static_sizes
from oxiconv.symbolic import op
from oxiconv.tensor import IndexValueError, ShapeError, Tensor, TensorLike, convert

REDUCTIONS = (None, "add", "max", "min", "mul")


def _places(name: str, indices: Any, shape: Sequence[int]) -> tuple[Tensor, int, int]:
    """Index tuples `[.., k]` as places in the flattened first k axes; their number and k."""
    index = convert(indices)
    if index.dtype not in ("int32", "uint8", "int64") and index.size:
        raise IndexValueError(f"{name}: expected integer indices, got {index.dtype}")
    index = convert(index, "int32")
    if not index.ndim or index.shape[-1] > len(shape):
        raise ShapeError(f"{name}: expected index tuples of at most {len(shape)}, got indices of shape {index.shape}")
    depth = index.shape[-1]
    lead = [int(n) for n in shape[:depth]]
    count = math.prod(index.shape[:-1])
    check_flat(math.prod(lead), name)
    rows = _core.reshape(index, (count, depth))
    if not rows.traced and count:
        given = rows.numpy()
        if np.any((given < 0) | (given >= np.array(lead, np.int64))):
            raise IndexValueError(
                f"{name}: expected indices from 0 to below {lead}, got {given.min(0)} to {given.max(0)}"
            )
    strides = [math.prod(lead[a + 1 :]) for a in range(depth)]
    weighted = _core.binary("mul", rows, convert(np.array(strides, np.int32)))
    return _core.sum(weighted, [1]), count, depth


def _check(name: str, values: Tensor, indices: Any, shape: Sequence[int], depth: int) -> None:
    expected = (*convert(indices).shape[:-1], *shape[depth:])
    if values.shape != expected:
        raise ShapeError(f"{name}: expected values of shape {expected}, got {values.shape}")


@op
def scatter(indices: TensorLike, values: TensorLike, shape: Sequence[int]) -> Tensor:
    """Zeros of `shape` with `values` added at `indices` (`[.., k]`, over the first k axes).

    >>> scatter([[1], [3], [1]], [1.0, 2.0, 4.0], (4,)).numpy().tolist()
    [0.0, 5.0, 0.0, 2.0]
    """
    dims = static_sizes(shape, "scatter")
    place, count, depth = _places("scatter", indices, dims)
    v = convert(values)
    _check("scatter", v, indices, dims, depth)
    summed = v if v.dtype not in ("bool", "uint8") else _core.cast(v, "int32")
    rows = _core.reshape(summed, (count, *dims[depth:]))
    result = _core.reshape(_core.scatter_add(rows, place, 0, math.prod(dims[:depth])), dims)
    return result if result.dtype == v.dtype else _core.cast(result, v.dtype)


@op
def scatter_update(
    inputs: TensorLike, indices: TensorLike, updates: TensorLike, reduction: str | None = None
) -> Tensor:
    """`inputs` with `updates` written at `indices` (`[.., k]`, over the first k axes).

    `reduction` None replaces what was there, by the last of several updates of one place; "add", "max", "min" and
    "mul" combine all of them with it.

    >>> scatter_update([1.0, 2.0, 3.0], [[0], [2]], [7.0, 9.0]).numpy().tolist()
    [7.0, 2.0, 9.0]
    >>> scatter_update([1.0, 2.0, 3.0], [[0], [0]], [7.0, 9.0], reduction="add").numpy().tolist()
    [17.0, 2.0, 3.0]
    """
    if reduction not in REDUCTIONS:
        raise ValueError(f"scatter_update: expected reduction None, 'add', 'max', 'min' or 'mul', got {reduction!r}")
    given = convert(inputs)
    place, count, depth = _places("scatter_update", indices, given.shape)
    updates = convert(updates)
    _check("scatter_update", updates, indices, given.shape, depth)
    x = given if given.dtype not in ("bool", "uint8") else _core.cast(given, "int32")
    new = updates if updates.dtype == x.dtype else _core.cast(updates, x.dtype)
    size = math.prod(given.shape[:depth])
    inner = math.prod(given.shape[depth:])
    x, new = _core.reshape(x, (size, inner)), _core.reshape(new, (count, inner))
    if count == 0:
        return given
    if reduction == "add":
        y = _core.binary("add", x, _core.scatter_add(new, place, 0, size))
    elif reduction is None:
        y = _replaced(x, place, new)
    else:
        y = _combined(x, place, new, reduction)
    y = _core.reshape(y, given.shape)
    return y if y.dtype == given.dtype else _core.cast(y, given.dtype)


def _replaced(x: Tensor, place: Tensor, new: Tensor) -> Tensor:
    """The last of several updates of one place wins: in the stable order of places, the one before another place."""
    order = _core.argsort(place)
    wins = _last_of_groups(_core.gather(place, order, 0))
    row = _core.gather(new, order, 0)
    at = _core.gather(place, order, 0)
    kept = _core.select(_core.reshape(wins, (at.size, 1)), row, convert(0, x.dtype))
    written = _core.scatter_add(_core.cast(wins, "int32"), at, 0, x.shape[0])
    value = _core.scatter_add(kept, at, 0, x.shape[0])
    return _core.select(_core.reshape(_core.binary("gt", written, 0), (x.shape[0], 1)), value, x)


def _last_of_groups(sorted_places: Tensor) -> Tensor:
    n = sorted_places.size
    after = _core.slice(sorted_places, [1], [n], [1])
    ends = _core.binary("ne", after, _core.slice(sorted_places, [0], [n - 1], [1]))
    return _core.concat([ends, convert(np.ones(1, np.bool_))], 0)


def _combined(x: Tensor, place: Tensor, new: Tensor, reduction: str) -> Tensor:
    """Updates in the order of places; running over each group by doubling leaves its total at its last row."""
    order = _core.argsort(place)
    at, row = _core.gather(place, order, 0), _core.gather(new, order, 0)
    n, shift = at.size, 1
    while shift < n:
        same = _core.binary("eq", _core.slice(at, [shift], [n], [1]), _core.slice(at, [0], [n - shift], [1]))
        late = _core.slice(row, [shift, 0], [n, row.shape[1]], [1, 1])
        early = _core.slice(row, [0, 0], [n - shift, row.shape[1]], [1, 1])
        merged = _core.select(_core.reshape(same, (n - shift, 1)), _core.binary(reduction, late, early), late)
        row = _core.concat([_core.slice(row, [0, 0], [shift, row.shape[1]], [1, 1]), merged], 0)
        shift *= 2
    total = _core.binary(reduction, _core.gather(x, at, 0), row)
    return _replaced(x, at, total)


@op
def slice_update(inputs: TensorLike, start_indices: Sequence[int], updates: TensorLike) -> Tensor:
    """`inputs` with the part that begins at `start_indices` replaced by `updates`. Starts may be traced.

    >>> slice_update([1, 2, 3, 4], [1], [8, 9]).numpy().tolist()
    [1, 8, 9, 4]
    """
    from oxiconv.ops.core import starts

    x = convert(inputs)
    part = convert(updates, x.dtype)
    if part.ndim != x.ndim or any(n > full for n, full in zip(part.shape, x.shape, strict=True)):
        raise ShapeError(f"slice_update: expected a part of shape {x.shape}, got updates of {part.shape}")
    start = starts(start_indices, x.ndim, "slice_update")
    if isinstance(start, Tensor):
        return _moved_update(x, start, part)
    if any(s < 0 or s + n > full for s, n, full in zip(start, part.shape, x.shape, strict=True)):
        raise ShapeError(f"slice_update: expected a part of shape {x.shape}, got start {start} and sizes {part.shape}")
    high = [full - s - n for s, n, full in zip(start, part.shape, x.shape, strict=True)]
    zeros = [0] * x.ndim
    inside = _core.pad(convert(np.ones(part.shape, np.bool_)), start, high, zeros)
    return _core.select(inside, _core.pad(part, start, high, zeros), x)


def _moved_update(x: Tensor, start: Tensor, part: Tensor) -> Tensor:
    """A start that is known only when the step runs: each element of the result looks where it comes from."""
    inside = convert(True)
    for axis, (n, full) in enumerate(zip(part.shape, x.shape, strict=True)):
        first = _core.reshape(_core.slice(start, [axis], [axis + 1], [1]), ())
        # As in Keras, a part that would reach beyond the end is moved back.
        first = _core.binary("max", _core.binary("min", first, full - n), 0)
        offset = _core.binary("sub", convert(np.arange(full, dtype=np.int32)), first)
        hit = _core.binary("and", _core.binary("ge", offset, 0), _core.binary("lt", offset, n))
        part = _core.gather(part, _core.binary("max", _core.binary("min", offset, n - 1), 0), axis)
        inside = _core.binary("and", inside, _core.reshape(hit, [full if a == axis else 1 for a in range(x.ndim)]))
    return _core.select(inside, part, x)
