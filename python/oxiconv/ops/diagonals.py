"""Diagonals of matrices."""

from __future__ import annotations

from typing import Any

import numpy as np

from oxiconv import _core
from oxiconv.dtype import standardize_dtype
from oxiconv.ops import reduction
from oxiconv.ops.arrangement import moveaxis, ravel
from oxiconv.ops.reduction import axes_of
from oxiconv.symbolic import op
from oxiconv.tensor import ShapeError, Tensor, TensorLike, convert


@op
def diagonal(x: TensorLike, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Tensor:
    """The diagonal of each matrix along two axes, as the last axis; `offset` counts to the right.

    >>> diagonal([[1, 2], [3, 4]]).numpy().tolist()
    [1, 4]
    """
    x = convert(x)
    if x.ndim < 2:
        raise ShapeError(f"diagonal: expected at least 2 axes, got shape {x.shape}")
    (first,), (second,) = axes_of(axis1, x.ndim, "diagonal"), axes_of(axis2, x.ndim, "diagonal")
    if first == second:
        raise ShapeError(f"diagonal: expected two different axes, got {axis1} and {axis2}")
    x = moveaxis(x, (first, second), (-2, -1))
    rows, columns = x.shape[-2:]
    count = max(min(rows + min(offset, 0), columns - max(offset, 0)), 0)
    at = (np.arange(count) - min(offset, 0)) * columns + np.arange(count) + max(offset, 0)
    flat = _core.reshape(x, (*x.shape[:-2], rows * columns))
    return _core.gather(flat, convert(at.astype(np.int32)), x.ndim - 2)


@op
def diag(x: TensorLike, k: int = 0) -> Tensor:
    """The k-th diagonal of a matrix, or the matrix with a vector on its k-th diagonal.

    >>> diag([1, 2]).numpy().tolist(), diag([[1, 2], [3, 4]], 1).numpy().tolist()
    ([[1, 0], [0, 2]], [2])
    """
    x = convert(x)
    if x.ndim == 2:
        return diagonal(x, k)
    if x.ndim != 1:
        raise ShapeError(f"diag: expected 1 or 2 axes, got shape {x.shape}")
    n = x.size + abs(k)
    # Rows of n + 1 put each element one column further than the one before.
    spread = _core.pad(_core.reshape(x, (x.size, 1)), [0, 0], [0, n], [0, 0])
    start = k if k >= 0 else -k * n
    line = _core.reshape(spread, (spread.size,))
    length = n * n - start
    line = _core.slice(line, [0], [min(length, line.size)], [1])
    return _core.reshape(_core.pad(line, [start], [length - line.size], [0]), (n, n))


@op
def diagflat(x: TensorLike, k: int = 0) -> Tensor:
    """The matrix with the flattened `x` on its k-th diagonal.

    >>> diagflat([[1, 2]]).numpy().tolist()
    [[1, 0], [0, 2]]
    """
    return diag(ravel(x), k)


@op
def trace(x: TensorLike, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Tensor:
    """The sum of the diagonal.

    >>> int(trace([[1, 2], [3, 4]]))
    5
    """
    return reduction.sum(diagonal(x, offset, axis1, axis2), axis=-1)


def tri(N: int, M: int | None = None, k: int = 0, dtype: Any = None) -> Tensor:
    """Ones on and below the k-th diagonal of an N by M matrix (default: square), zeros above.

    >>> tri(2).numpy().tolist()
    [[1.0, 0.0], [1.0, 1.0]]
    """
    return convert(np.tri(N, M, k, dtype=np.float32), standardize_dtype(dtype))


@op
def vander(x: TensorLike, N: int | None = None, increasing: bool = False) -> Tensor:
    """Powers of a vector's elements as columns, the highest first unless `increasing`.

    >>> vander([1, 2, 3], 3).numpy().tolist()
    [[1, 1, 1], [4, 2, 1], [9, 3, 1]]
    """
    from oxiconv.ops.arrangement import stack
    from oxiconv.ops.creation import ones_like

    x = convert(x)
    if x.ndim != 1:
        raise ShapeError(f"vander: expected 1 axis, got shape {x.shape}")
    count = x.size if N is None else N
    columns = [ones_like(x)]
    for _ in range(1, count):
        columns.append(_core.binary("mul", columns[-1], x))
    columns = columns[:count]
    return (
        stack(columns if increasing else columns[::-1], 1)
        if columns
        else _core.slice(_core.reshape(x, (x.size, 1)), [0, 0], [x.size, 0], [1, 1])
    )
