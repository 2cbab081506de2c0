"""Conversion, element types, slices and gradients' flow."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from oxiconv import _core
from oxiconv.dtype import is_float
from oxiconv.symbolic import KerasTensor, op
from oxiconv.tensor import (
    IndexValueError,
    ShapeError,
    Tensor,
    TensorLike,
    convert,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray


def convert_to_tensor(x: Any, dtype: Any = None, sparse: bool | None = None, ragged: bool | None = None) -> Tensor:
    """`x` as a tensor; 64-bit numbers become 32-bit ones, and integers that do not fit are an error.

    >>> convert_to_tensor([1, 2]).dtype, convert_to_tensor(0.5).dtype
    ('int32', 'float32')
    """
    if sparse or ragged:
        raise ValueError("convert_to_tensor: expected a dense tensor; sparse and ragged ones are not supported")
    if isinstance(x, KerasTensor):
        return cast(x, x.dtype if dtype is None else dtype)
    return convert(x, dtype)


def convert_to_numpy(x: Any) -> NDArray[Any]:
    """`x` as an array; a tensor's is read-only and shares its memory.

    >>> convert_to_numpy(convert_to_tensor([1, 2])).tolist()
    [1, 2]
    """
    return convert(x).numpy() if not isinstance(x, np.ndarray) else x


def is_tensor(x: Any) -> bool:
    """Whether `x` is a tensor, symbolic or not.

    >>> is_tensor(convert_to_tensor(1)), is_tensor(1)
    (True, False)
    """
    return isinstance(x, (Tensor, KerasTensor))


def shape(x: Any) -> tuple[Any, ...]:
    """The sizes of the axes; None where a symbolic tensor's are unknown.

    >>> shape([[1, 2, 3]])
    (1, 3)
    """
    known = getattr(x, "shape", None)
    return tuple(known) if known is not None else convert(x).shape


def ndim(x: Any) -> int:
    """The number of axes.

    >>> ndim([[1, 2, 3]])
    2
    """
    return len(shape(x))


def size(x: Any) -> int | None:
    """The number of elements; None where unknown.

    >>> size([[1, 2, 3]])
    3
    """
    total = 1
    for n in shape(x):
        if n is None:
            return None
        total *= n
    return total


def dtype(x: Any) -> str:
    """The element type's name.

    >>> dtype([1, 2])
    'int32'
    """
    return str(x.dtype) if hasattr(x, "dtype") else convert(x).dtype


@op
def cast(x: TensorLike, dtype: Any) -> Tensor:
    """`x` in another element type: floats truncate toward zero and saturate; bool is non-zero.

    >>> cast([1.7, -1.7], "int32").numpy().tolist()
    [1, -1]
    """
    return convert(x, dtype)


def saturate_cast(x: TensorLike, dtype: Any) -> Tensor:
    """`x` in another element type, limited to its range.

    >>> saturate_cast([-5, 300], "uint8").numpy().tolist()
    [0, 255]
    """
    from oxiconv.dtype import standardize_dtype
    from oxiconv.ops.elementwise import clip

    bounds = {"uint8": (0, 255), "int8": (-128, 127)}.get(standardize_dtype(dtype))
    return cast(x if bounds is None else clip(x, *bounds), dtype)


@op
def stop_gradient(variable: TensorLike) -> Tensor:
    """The same values, through which no gradient flows.

    >>> stop_gradient([1.0]).numpy().tolist()
    [1.0]
    """
    return _core.detach(convert(variable))


def static_sizes(shape: Any, name: str) -> tuple[int, ...]:
    """Sizes as whole numbers, of a sequence or of a known tensor."""
    if isinstance(shape, Tensor):
        from oxiconv.ops.concrete import values

        shape = values(shape, f"{name}: the sizes").tolist()
    dims = tuple(n.__index__() for n in ([shape] if hasattr(shape, "__index__") else shape))
    if any(n < 0 for n in dims):
        raise ShapeError(f"{name}: expected sizes of at least 0, got {dims}")
    return dims


def starts(start_indices: Any, ndim: int, name: str) -> list[int] | Tensor:
    """Where a part begins: numbers, or an int32 vector if they are traced."""
    given = start_indices if isinstance(start_indices, (list, tuple)) else convert(start_indices)
    count = len(given) if isinstance(given, (list, tuple)) else given.size
    if count != ndim:
        raise ShapeError(f"{name}: expected {ndim} starts, got {count}")
    parts = given if isinstance(given, (list, tuple)) else [given]
    if any(isinstance(s, Tensor) and s.traced for s in parts):
        return _core.reshape(convert(given, "int32"), (ndim,))
    return [int(s) for s in (given if isinstance(given, (list, tuple)) else given.numpy().ravel())]


@op
def slice(inputs: TensorLike, start_indices: Sequence[int], shape: Sequence[int]) -> Tensor:
    """The part of `inputs` of sizes `shape` that begins at `start_indices`; a size of -1 reaches to the end.

    Starts may be traced: then a part that would reach beyond the end is moved back.

    >>> slice([1, 2, 3, 4], [1], [2]).numpy().tolist()
    [2, 3]
    """
    x = convert(inputs)
    start = starts(start_indices, x.ndim, "slice")
    sizes = [int(n) for n in shape]
    if len(sizes) != x.ndim:
        raise ShapeError(f"slice: expected {x.ndim} sizes, got {len(sizes)}")
    if isinstance(start, Tensor):
        return _moved_slice(x, start, sizes)
    stop = [full if n == -1 else s + n for s, n, full in zip(start, sizes, x.shape, strict=True)]
    if any(not 0 <= s <= e <= n for s, e, n in zip(start, stop, x.shape, strict=True)):
        raise ShapeError(f"slice: expected a part of shape {x.shape}, got start {start} and sizes {sizes}")
    return _core.slice(x, start, stop, [1] * x.ndim)


def _moved_slice(x: Tensor, start: Tensor, sizes: list[int]) -> Tensor:
    for axis, (n, full) in enumerate(zip(sizes, x.shape, strict=True)):
        if not 0 <= n <= full:
            raise ShapeError(f"slice: expected a part of shape {x.shape}, got sizes {sizes} from traced starts")
        first = _core.reshape(_core.slice(start, [axis], [axis + 1], [1]), ())
        first = _core.binary("max", _core.binary("min", first, full - n), 0)
        x = _core.gather(x, _core.binary("add", convert(np.arange(n, dtype=np.int32)), first), axis)
    return x


def check_flat(size: int, name: str) -> None:
    """An error for more elements than positions of int32 tell apart."""
    if size > 2**31:
        raise ShapeError(f"{name}: expected at most 2**31 elements, got {size}")


def wrap(index: Tensor, n: int, name: str) -> Tensor:
    """Indices along an axis of `n` elements with negative ones counted from the end; concrete ones are checked."""
    if is_float(index.dtype):
        raise IndexValueError(f"{name}: expected integer indices, got {index.dtype}")
    index = convert(index, "int32")
    if index.traced:
        return _core.select(_core.binary("lt", index, 0), _core.binary("add", index, n), index)
    array = index.numpy()
    if array.size and not (-n <= array.min() and array.max() < n):
        raise IndexValueError(f"{name}: expected indices within [{-n}, {n}), got {array.min()} to {array.max()}")
    return convert(np.where(array < 0, array + n, array)) if array.size and array.min() < 0 else index
