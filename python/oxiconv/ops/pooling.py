"""Pooling over windows of one to three spatial axes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from oxiconv import _core
from oxiconv.dtype import is_float
from oxiconv.ops import reduction
from oxiconv.ops.convolution import (
    data_format_of,
    from_last,
    paddings,
    to_last,
    tuple_of,
)
from oxiconv.ops.products import matmul
from oxiconv.ops.promotion import real, widened
from oxiconv.symbolic import op
from oxiconv.tensor import ShapeError, Tensor, TensorLike, convert

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray


def _windows(
    x: Tensor, pool_size: int | Sequence[int], strides: int | Sequence[int] | None, padding: str, name: str
) -> tuple[tuple[int, ...], tuple[int, ...], list[int], list[int]]:
    rank = x.ndim - 2
    if not 1 <= rank <= 3:
        raise ShapeError(f"{name}: expected inputs with 3 to 5 axes, got shape {x.shape}")
    size = tuple_of(pool_size, rank, name, "pool_size")
    stride = size if strides is None else tuple_of(strides, rank, name, "strides")
    if padding not in ("valid", "same"):
        raise ValueError(f"{name}: expected padding 'valid' or 'same', got {padding!r}")
    low, high = paddings(padding, x.shape[1:-1], size, stride, (1,) * rank, name)
    return size, stride, low, high


@op
def max_pool(
    inputs: TensorLike,
    pool_size: int | Sequence[int],
    strides: int | Sequence[int] | None = None,
    padding: str = "valid",
    data_format: str | None = None,
) -> Tensor:
    """Largest value of each window; `strides` defaults to `pool_size`.

    >>> max_pool([[[1.0], [3.0], [2.0], [0.0]]], 2).numpy().ravel().tolist()
    [3.0, 2.0]
    """
    data_format = data_format_of(data_format, "max_pool")
    x = to_last(convert(inputs), data_format)
    windows = _windows(x, pool_size, strides, padding, "max_pool")
    if not is_float(x.dtype) and x.dtype not in ("uint8", "int8"):
        size, stride, low, _ = windows
        for a, n in enumerate(x.shape[1:-1]):
            count = -(-n // stride[a]) if padding == "same" else (n - size[a]) // stride[a] + 1
            first = np.arange(count) * stride[a] - low[a]
            x = _largest(x, a + 1, np.maximum(first, 0), np.minimum(first + size[a], n))
        return from_last(x, data_format)
    # The gradient goes to the first largest position, which the argmax names.
    return from_last(_core.window_take(x, _core.window_argmax(x, *windows), *windows), data_format)


@op
@widened
def average_pool(
    inputs: TensorLike,
    pool_size: int | Sequence[int],
    strides: int | Sequence[int] | None = None,
    padding: str = "valid",
    data_format: str | None = None,
) -> Tensor:
    """Mean of each window, over the positions that are not padding; `strides` defaults to `pool_size`.

    >>> average_pool([[[1.0], [3.0], [2.0], [0.0]]], 2).numpy().ravel().tolist()
    [2.0, 1.0]
    """
    data_format = data_format_of(data_format, "average_pool")
    x = to_last(real(inputs), data_format)
    size, stride, low, high = _windows(x, pool_size, strides, padding, "average_pool")
    total = _core.window_sum(x, size, stride, low, high)
    if not any(low) and not any(high):
        return from_last(_core.binary("mul", total, 1.0 / float(np.prod(size))), data_format)
    count = np.ones((1,) * x.ndim, np.float32)
    for a, n in enumerate(x.shape[1:-1]):
        starts = np.arange(total.shape[a + 1]) * stride[a] - low[a]
        there = np.minimum(starts + size[a], n) - np.maximum(starts, 0)
        count = count * there.astype(np.float32).reshape([-1 if b == a + 1 else 1 for b in range(x.ndim)])
    return from_last(_core.binary("div", total, convert(count)), data_format)


def _parts(n: int, count: int, name: str) -> tuple[NDArray[Any], NDArray[Any]]:
    """Where each of `count` parts of an axis of `n` begins and ends: of nearly equal size, overlapping at need."""
    if n == 0:
        raise ShapeError(f"{name}: expected inputs with elements")
    i = np.arange(count)
    return i * n // count, -(-(i + 1) * n // count)


def _adaptive(
    inputs: Any, output_size: int | Sequence[int], data_format: str | None, name: str
) -> tuple[Tensor, str, tuple[int, ...]]:
    data_format = data_format_of(data_format, name)
    x = to_last(convert(inputs), data_format)
    if not 3 <= x.ndim <= 5:
        raise ShapeError(f"{name}: expected inputs with 3 to 5 axes, got shape {x.shape}")
    return x, data_format, tuple_of(output_size, x.ndim - 2, name, "output_size")


@op
def adaptive_average_pool(
    inputs: TensorLike, output_size: int | Sequence[int], data_format: str | None = None
) -> Tensor:
    """Means of as many parts of each spatial axis as `output_size` says, whatever its size.

    Part `i` of `count` reaches from `floor(i * n / count)` to `ceil((i + 1) * n / count)`.

    >>> adaptive_average_pool([[[1.0], [2.0], [3.0], [6.0]]], 2).numpy().ravel().tolist()
    [1.5, 4.5]
    """
    x, data_format, sizes = _adaptive(inputs, output_size, data_format, "adaptive_average_pool")
    x = real(x)
    if all(n and n % count == 0 for n, count in zip(x.shape[1:-1], sizes, strict=True)):
        window = tuple(n // count for n, count in zip(x.shape[1:-1], sizes, strict=True))
        return from_last(average_pool(x, window, data_format="channels_last"), data_format)
    for a, count in enumerate(sizes, 1):
        n = x.shape[a]
        start, stop = _parts(n, count, "adaptive_average_pool")
        inside = (np.arange(n) >= start[:, None]) & (np.arange(n) < stop[:, None])
        weights = convert((inside / inside.sum(1, keepdims=True)).astype(np.float32), x.dtype)
        before, after = int(np.prod(x.shape[:a])), int(np.prod(x.shape[a + 1 :]))
        y = matmul(weights, _core.reshape(x, (before, n, after)))
        x = _core.reshape(y, (*x.shape[:a], count, *x.shape[a + 1 :]))
    return from_last(x, data_format)


@op
def adaptive_max_pool(inputs: TensorLike, output_size: int | Sequence[int], data_format: str | None = None) -> Tensor:
    """Largest values of as many parts of each spatial axis as `output_size` says; see `adaptive_average_pool`.

    >>> adaptive_max_pool([[[1.0], [2.0], [3.0], [6.0]]], 2).numpy().ravel().tolist()
    [2.0, 6.0]
    """
    x, data_format, sizes = _adaptive(inputs, output_size, data_format, "adaptive_max_pool")
    for a, count in enumerate(sizes, 1):
        x = _largest(x, a, *_parts(x.shape[a], count, "adaptive_max_pool"))
    return from_last(x, data_format)


def _largest(x: Tensor, axis: int, start: NDArray[Any], stop: NDArray[Any]) -> Tensor:
    """Largest values of parts along an axis. A shorter part takes its last element again."""
    places = np.minimum(start[:, None] + np.arange((stop - start).max(initial=1)), stop[:, None] - 1)
    return reduction.max(_core.gather(x, convert(places.astype(np.int32)), axis), axis=axis + 1)
