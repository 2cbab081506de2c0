"""Tensors made of sizes and numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from oxiconv import _core
from oxiconv.dtype import narrow, standardize_dtype
from oxiconv.symbolic import op
from oxiconv.tensor import Tensor, TensorLike, convert

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray


def _own(array: NDArray[Any], dtype: Any = None) -> Tensor:
    tensor = _core.tensor(np.ascontiguousarray(narrow(array, dtype)).reshape(array.shape), copy=False)
    return _core.cast(tensor, "bfloat16") if dtype is not None and standardize_dtype(dtype) == "bfloat16" else tensor


def _dims(shape: int | Sequence[int]) -> tuple[int, ...]:
    return (int(shape),) if isinstance(shape, int) else tuple(int(n) for n in shape)


def full(shape: int | Sequence[int], fill_value: TensorLike, dtype: Any = None) -> Tensor:
    """A tensor of `shape` filled with `fill_value`, which may broadcast."""
    return _core.broadcast_to(convert(fill_value, dtype), _dims(shape))


def zeros(shape: int | Sequence[int], dtype: Any = None) -> Tensor:
    """Zeros (default: float32).

    >>> zeros((2, 3)).numpy().tolist()
    [[0.0, 0.0, 0.0], [0.0, 0.0, 0.0]]
    """
    return _own(np.zeros(_dims(shape), np.float32), standardize_dtype(dtype))


def ones(shape: int | Sequence[int], dtype: Any = None) -> Tensor:
    """Ones (default: float32)."""
    return _own(np.ones(_dims(shape), np.float32), standardize_dtype(dtype))


@op
def full_like(x: TensorLike, fill_value: TensorLike, dtype: Any = None) -> Tensor:
    """`fill_value` in the shape, and by default the element type, of `x`."""
    like = convert(x)
    return _core.broadcast_to(convert(fill_value, dtype or like.dtype), like.shape)


@op
def zeros_like(x: TensorLike, dtype: Any = None) -> Tensor:
    """Zeros in the shape, and by default the element type, of `x`."""
    return full_like(x, 0, dtype)


@op
def ones_like(x: TensorLike, dtype: Any = None) -> Tensor:
    """Ones in the shape, and by default the element type, of `x`."""
    return full_like(x, 1, dtype)


def empty(shape: int | Sequence[int], dtype: Any = None) -> Tensor:
    """A tensor whose content does not matter: zeros."""
    return zeros(shape, dtype)


def arange(start: float, stop: float | None = None, step: float = 1, dtype: Any = None) -> Tensor:
    """Numbers from `start` to below `stop` (one argument: from 0), int32 if all are whole."""
    first, last = (0, start) if stop is None else (start, stop)
    numbers = np.arange(first, last, step)
    return _own(numbers, dtype or ("int32" if numbers.dtype.kind == "i" else "float32"))


def linspace(
    start: float,
    stop: float,
    num: int = 50,
    endpoint: bool = True,
    retstep: bool = False,
    dtype: Any = None,
    axis: int = 0,
) -> Any:
    """`num` evenly spaced numbers from `start` to `stop`."""
    points, step = np.linspace(start, stop, num, endpoint=endpoint, retstep=True, axis=axis)
    line = _own(np.asarray(points), dtype or "float32")
    return (line, step) if retstep else line


def eye(N: int, M: int | None = None, k: int = 0, dtype: Any = None) -> Tensor:
    """Ones on the k-th diagonal of an N by M matrix (default: square), zeros elsewhere."""
    return _own(np.eye(N, M, k), standardize_dtype(dtype))


def identity(n: int, dtype: Any = None) -> Tensor:
    """The n by n identity matrix."""
    return eye(n, dtype=dtype)


def array(x: TensorLike, dtype: Any = None) -> Tensor:
    """`x` as a tensor."""
    return convert(x, dtype)
