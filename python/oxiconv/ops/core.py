"""Conversion, element types, slices and gradients' flow."""

from __future__ import annotations

import builtins
from typing import TYPE_CHECKING, Any

import numpy as np

from oxiconv import _core
from oxiconv.dtype import is_float
from oxiconv.symbolic import KerasTensor, op
from oxiconv.tensor import (
    GraphError,
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
    """`x` as an array; a tensor's is read-only and shares its memory."""
    return convert(x).numpy() if not isinstance(x, np.ndarray) else x


def is_tensor(x: Any) -> bool:
    """Whether `x` is a tensor, symbolic or not."""
    return isinstance(x, (Tensor, KerasTensor))


def shape(x: Any) -> tuple[Any, ...]:
    """The sizes of the axes; None where a symbolic tensor's are unknown."""
    known = getattr(x, "shape", None)
    return tuple(known) if known is not None else convert(x).shape


def ndim(x: Any) -> int:
    """The number of axes."""
    return len(shape(x))


def size(x: Any) -> int | None:
    """The number of elements; None where unknown."""
    total = 1
    for n in shape(x):
        if n is None:
            return None
        total *= n
    return total


def dtype(x: Any) -> str:
    """The element type's name."""
    return str(x.dtype) if hasattr(x, "dtype") else convert(x).dtype


@op
def cast(x: TensorLike, dtype: Any) -> Tensor:
    """`x` in another element type: floats truncate toward zero and saturate; bool is non-zero."""
    return convert(x, dtype)


def saturate_cast(x: TensorLike, dtype: Any) -> Tensor:
    """`x` in another element type, limited to its range."""
    from oxiconv.dtype import standardize_dtype
    from oxiconv.ops.elementwise import clip

    bounds = {"uint8": (0, 255)}.get(standardize_dtype(dtype))
    return cast(x if bounds is None else clip(x, *bounds), dtype)


@op
def stop_gradient(variable: TensorLike) -> Tensor:
    """The same values, through which no gradient flows."""
    return _core.detach(convert(variable))


@op
def slice(inputs: TensorLike, start_indices: Sequence[int], shape: Sequence[int]) -> Tensor:
    """The part of `inputs` of sizes `shape` that begins at `start_indices`; a size of -1 reaches to the end."""
    x = convert(inputs)
    start = [int(s) for s in start_indices]
    sizes = [int(n) for n in shape]
    if not len(start) == len(sizes) == x.ndim:
        raise ShapeError(f"slice: expected {x.ndim} starts and sizes, got {len(start)} and {len(sizes)}")
    stop = [full if n == -1 else s + n for s, n, full in zip(start, sizes, x.shape, strict=True)]
    if any(not 0 <= s <= e <= n for s, e, n in zip(start, stop, x.shape, strict=True)):
        raise ShapeError(f"slice: expected a part of shape {x.shape}, got start {start} and sizes {sizes}")
    return _core.slice(x, start, stop, [1] * x.ndim)


@op
def slice_update(inputs: TensorLike, start_indices: Sequence[int], updates: TensorLike) -> Tensor:
    """`inputs` with the part that begins at `start_indices` replaced by `updates`."""
    x = convert(inputs)
    part = convert(updates, x.dtype)
    start = [int(s) for s in start_indices]
    if not len(start) == part.ndim == x.ndim or any(
        s < 0 or s + n > full for s, n, full in zip(start, part.shape, x.shape, strict=True)
    ):
        raise ShapeError(f"slice_update: expected a part of shape {x.shape}, got start {start} and sizes {part.shape}")
    high = [full - s - n for s, n, full in zip(start, part.shape, x.shape, strict=True)]
    zeros = [0] * x.ndim
    inside = _core.pad(_core.tensor(np.ones(part.shape, np.bool_)), start, high, zeros)
    return _core.select(inside, _core.pad(part, start, high, zeros), x)


@op
def get_item(x: TensorLike, key: Any) -> Tensor:
    """`x[key]`: integers, slices, `...`, None, and one integer tensor or list along one axis.

    >>> import numpy as np
    >>> x = np.arange(6).reshape(2, 3)
    >>> get_item(x, (..., np.s_[::-1])).numpy().tolist(), get_item(x, (0, np.array([2, 0]))).numpy().tolist()
    ([[2, 1, 0], [5, 4, 3]], [2, 0])
    """
    x = convert(x)
    keys = list(key) if isinstance(key, tuple) else [key]
    used = sum(k is not None and k is not Ellipsis for k in keys)
    if used > x.ndim:
        raise IndexValueError(f"getitem: expected at most {x.ndim} indices for shape {x.shape}, got {used}")
    if sum(k is Ellipsis for k in keys) > 1:
        raise IndexValueError("getitem: expected one '...' at most")
    if not any(k is Ellipsis for k in keys):
        keys.append(Ellipsis)
    place = next(i for i, k in enumerate(keys) if k is Ellipsis)
    keys[place : place + 1] = [builtins.slice(None)] * (x.ndim - used)
    return _index(x, keys)


def _index(x: Tensor, keys: list[Any]) -> Tensor:
    start, stop, step, dims = [], [], [], []
    gathers: list[tuple[int, Tensor]] = []  # axis of the result of the slicing, indices
    axis = 0
    for k in keys:
        if k is None:
            dims.append(1)
            continue
        n = x.shape[axis]
        first, last, stride = 0, n, 1
        if isinstance(k, builtins.slice):
            first, last, stride = k.indices(n)
            if stride < 0:
                gathers.append((len(dims), convert(np.arange(first, last, stride, dtype=np.int32))))
                first, last, stride = 0, n, 1
            last = max(first, last)
            dims.append(-(-(last - first) // stride))
        elif isinstance(k, (Tensor, np.ndarray, list)) or hasattr(k, "value"):
            index = convert(k)
            if index.dtype == "bool":
                raise IndexValueError("getitem: expected integers or slices, got a boolean mask; use ops.where")
            gathers.append((len(dims), index))
            dims.append(n)
        else:
            i = _whole(k, n, axis)
            first, last = i, i + 1
        start.append(first)
        stop.append(last)
        step.append(stride)
        axis += 1
    if (start, stop, step) != ([0] * x.ndim, list(x.shape), [1] * x.ndim):
        x = _core.slice(x, start, stop, step)
    if tuple(dims) != x.shape:
        x = _core.reshape(x, dims)
    if sum(index.ndim > 0 and index.size != 0 for _, index in gathers) > 1 and any(
        isinstance(k, (Tensor, np.ndarray, list)) for k in keys
    ):
        raise IndexValueError("getitem: expected an integer tensor along one axis, got several")
    for place, index in reversed(gathers):
        x = _core.gather(x, wrap(index, x.shape[place], "getitem"), place)
    return x


def _whole(k: Any, n: int, axis: int) -> int:
    try:
        i = k.__index__()
    except (AttributeError, TypeError, GraphError):
        raise IndexValueError(f"getitem: expected an integer, slice, '...' or None, got {type(k).__name__}") from None
    if not -n <= i < n:
        raise IndexValueError(f"getitem: expected an index within [{-n}, {n}) for axis {axis}, got {i}")
    return int(i % n)


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


@op
def unstack(x: TensorLike, num: int | None = None, axis: int = 0) -> list[Tensor]:
    """The slices along `axis`, without it."""
    x = convert(x)
    axis = range(x.ndim)[axis]
    if num is not None and num != x.shape[axis]:
        raise ShapeError(f"unstack: expected {num} slices along axis {axis}, got shape {x.shape}")
    return [get_item(x, (*[builtins.slice(None)] * axis, i)) for i in range(x.shape[axis])]


@op
def scatter(indices: TensorLike, values: TensorLike, shape: Sequence[int]) -> Tensor:
    """Zeros of `shape` with `values` added at `indices` (`[.., k]`, over the first k axes)."""
    index, v = convert(indices, "int32"), convert(values)
    depth = index.shape[-1]
    lead = tuple(shape[:depth])
    flat = _core.tensor(np.zeros((), np.int32))
    for axis, n in enumerate(lead):
        flat = _core.binary("add", _core.binary("mul", flat, n), get_item(index, (..., axis)))
    rows = _core.reshape(v, (flat.size, *shape[depth:]))
    total = int(np.prod(lead))
    return _core.reshape(_core.scatter_add(rows, _core.reshape(flat, (flat.size,)), 0, total), tuple(shape))
