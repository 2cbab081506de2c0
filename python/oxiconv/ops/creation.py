"""Tensors made of sizes and numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from oxiconv import _core
from oxiconv.config import floatx
from oxiconv.dtype import narrow, standardize_dtype
from oxiconv.ops.concrete import values
from oxiconv.ops.core import static_sizes
from oxiconv.symbolic import op
from oxiconv.tensor import Tensor, TensorLike, convert

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray


def _own(array: NDArray[Any], dtype: Any = None) -> Tensor:
    tensor = _core.tensor(np.ascontiguousarray(narrow(array, dtype)).reshape(array.shape), copy=False)
    return _core.cast(tensor, "bfloat16") if dtype is not None and standardize_dtype(dtype) == "bfloat16" else tensor


def _dims(shape: Any, name: str = "creation") -> tuple[int, ...]:
    return static_sizes(shape, name)


def full(shape: int | Sequence[int], fill_value: TensorLike, dtype: Any = None) -> Tensor:
    """A tensor of `shape` filled with `fill_value`, which may broadcast (default: float32).

    >>> full((2,), 3).numpy().tolist()
    [3.0, 3.0]
    """
    return _core.broadcast_to(convert(fill_value, dtype or floatx()), static_sizes(shape, "full"))


def zeros(shape: int | Sequence[int], dtype: Any = None) -> Tensor:
    """Zeros (default: float32).

    >>> zeros((2, 3)).numpy().tolist()
    [[0.0, 0.0, 0.0], [0.0, 0.0, 0.0]]
    """
    return _own(np.zeros(_dims(shape), np.float32), standardize_dtype(dtype))


def ones(shape: int | Sequence[int], dtype: Any = None) -> Tensor:
    """Ones (default: float32).

    >>> ones((2,)).numpy().tolist()
    [1.0, 1.0]
    """
    return _own(np.ones(_dims(shape), np.float32), standardize_dtype(dtype))


@op
def full_like(x: TensorLike, fill_value: TensorLike, dtype: Any = None) -> Tensor:
    """`fill_value` in the shape, and by default the element type, of `x`.

    >>> full_like([1, 2], 7).numpy().tolist()
    [7, 7]
    """
    like = convert(x)
    return _core.broadcast_to(convert(fill_value, dtype or like.dtype), like.shape)


@op
def zeros_like(x: TensorLike, dtype: Any = None) -> Tensor:
    """Zeros in the shape, and by default the element type, of `x`.

    >>> zeros_like([3, 4]).numpy().tolist()
    [0, 0]
    """
    return full_like(x, 0, dtype)


@op
def ones_like(x: TensorLike, dtype: Any = None) -> Tensor:
    """Ones in the shape, and by default the element type, of `x`.

    >>> ones_like([3, 4]).numpy().tolist()
    [1, 1]
    """
    return full_like(x, 1, dtype)


def empty(shape: int | Sequence[int], dtype: Any = None) -> Tensor:
    """A tensor whose content does not matter: zeros.

    >>> empty((2,)).shape
    (2,)
    """
    return zeros(shape, dtype)


@op
def empty_like(x: TensorLike, dtype: Any = None) -> Tensor:
    """A tensor in the shape of `x` whose content does not matter: zeros.

    >>> empty_like([1, 2]).shape
    (2,)
    """
    return zeros_like(x, dtype)


def arange(start: Any, stop: Any = None, step: Any = None, dtype: Any = None) -> Tensor:
    """Numbers from `start` to below `stop` (one argument: from 0), int32 if all are whole.

    The bounds must be known, since the size of the result follows from them.

    Raises:
        ValueError: `step` is 0.

    >>> arange(3).numpy().tolist(), arange(0.0, 1.0, 0.5).numpy().tolist()
    ([0, 1, 2], [0.0, 0.5])
    """
    what = "arange: the size of the result follows from start, stop and step, which"
    known: list[Any] = [None if v is None else values(v, what).item() for v in (start, stop, step)]
    first, last, each = known if stop is not None else (0, known[0], known[2])
    if each == 0:
        raise ValueError(f"arange: expected a step other than 0, got arange({first}, {last}, {each})")
    line = np.arange(first, last, each)
    if dtype is None and line.dtype.kind in "iu":
        dtype = "int32"
    return _own(line, dtype)


def linspace(
    start: TensorLike,
    stop: TensorLike,
    num: int = 50,
    endpoint: bool = True,
    retstep: bool = False,
    dtype: Any = None,
    axis: int = 0,
) -> Any:
    """`num` evenly spaced numbers from `start` to `stop`, along a new `axis` if these are tensors.

    With `retstep` also the distance between neighbours.

    >>> linspace(0.0, 1.0, 3).numpy().tolist()
    [0.0, 0.5, 1.0]
    """
    ends = [values(v, "linspace: start and stop").astype(np.float64) for v in (start, stop)]
    points, step = np.linspace(*ends, num, endpoint=endpoint, retstep=True, axis=axis)  # type: ignore[call-overload]
    line = _own(np.asarray(points), dtype or floatx())
    return (line, _own(np.asarray(step), dtype or floatx())) if retstep else line


def logspace(
    start: TensorLike,
    stop: TensorLike,
    num: int = 50,
    endpoint: bool = True,
    base: TensorLike = 10,
    dtype: Any = None,
    axis: int = 0,
) -> Tensor:
    """Powers of `base` with `num` evenly spaced exponents from `start` to `stop`.

    >>> logspace(0, 2, 3).numpy().tolist()
    [1.0, 10.0, 100.0]
    """
    ends = [values(v, "logspace: start, stop and base").astype(np.float64) for v in (start, stop, base)]
    points = np.logspace(*ends[:2], num, endpoint=endpoint, base=ends[2], axis=axis)  # type: ignore[call-overload]
    return _own(np.asarray(points), dtype or floatx())


def geomspace(
    start: TensorLike, stop: TensorLike, num: int = 50, endpoint: bool = True, dtype: Any = None, axis: int = 0
) -> Tensor:
    """`num` numbers from `start` to `stop` of which each is the same multiple of the one before.

    >>> geomspace(1.0, 8.0, 4).numpy().tolist()
    [1.0, 2.0, 4.0, 8.0]
    """
    ends = [values(v, "geomspace: start and stop").astype(np.float64) for v in (start, stop)]
    points = np.geomspace(*ends, num, endpoint=endpoint, axis=axis)  # type: ignore[call-overload]
    return _own(np.asarray(points), dtype or floatx())


def eye(N: int, M: int | None = None, k: int = 0, dtype: Any = None) -> Tensor:
    """Ones on the k-th diagonal of an N by M matrix (default: square), zeros elsewhere.

    >>> eye(2).numpy().tolist()
    [[1.0, 0.0], [0.0, 1.0]]
    """
    return _own(np.eye(N, M, k), standardize_dtype(dtype))


def identity(n: int, dtype: Any = None) -> Tensor:
    """The n by n identity matrix.

    >>> identity(1).numpy().tolist()
    [[1.0]]
    """
    return eye(n, dtype=dtype)


@op
def array(x: TensorLike, dtype: Any = None) -> Tensor:
    """`x` as a tensor.

    >>> array([1.0, 2.0]).dtype
    'float32'
    """
    return convert(x, dtype)


@op
def copy(x: TensorLike) -> Tensor:
    """`x` as a tensor of its own: tensors never change, so one is its own copy.

    >>> copy([1, 2]).numpy().tolist()
    [1, 2]
    """
    return convert(x)
