"""Pooling over windows of one to three spatial axes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from oxiconv import _core
from oxiconv.ops.convolution import (
    data_format_of,
    from_last,
    paddings,
    to_last,
    tuple_of,
)
from oxiconv.symbolic import op
from oxiconv.tensor import ShapeError, Tensor, TensorLike, convert

if TYPE_CHECKING:
    from collections.abc import Sequence


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
    # The gradient goes to the first largest position, which the argmax names.
    return from_last(_core.window_take(x, _core.window_argmax(x, *windows), *windows), data_format)


@op
def average_pool(
    inputs: TensorLike,
    pool_size: int | Sequence[int],
    strides: int | Sequence[int] | None = None,
    padding: str = "valid",
    data_format: str | None = None,
) -> Tensor:
    """Mean of each window, over the positions that are not padding; `strides` defaults to `pool_size`."""
    data_format = data_format_of(data_format, "average_pool")
    x = to_last(convert(inputs, "float32"), data_format)
    size, stride, low, high = _windows(x, pool_size, strides, padding, "average_pool")
    total = _core.window_sum(x, size, stride, low, high)
    if not any(low) and not any(high):
        return from_last(_core.binary("mul", total, 1.0 / float(np.prod(size))), data_format)
    count = np.ones((1,) * x.ndim, np.float32)
    for a, n in enumerate(x.shape[1:-1]):
        starts = np.arange(total.shape[a + 1]) * stride[a] - low[a]
        real = np.minimum(starts + size[a], n) - np.maximum(starts, 0)
        count = count * real.astype(np.float32).reshape([-1 if b == a + 1 else 1 for b in range(x.ndim)])
    return from_last(_core.binary("div", total, convert(count)), data_format)
