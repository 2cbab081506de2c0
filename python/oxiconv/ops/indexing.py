"""`x[key]`, and positions of elements."""

from __future__ import annotations

import builtins
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from oxiconv import _core
from oxiconv.ops.concrete import values
from oxiconv.ops.core import static_sizes, wrap
from oxiconv.symbolic import op
from oxiconv.tensor import GraphError, IndexValueError, ShapeError, Tensor, TensorLike, convert


@op
def get_item(x: TensorLike, key: Any) -> Tensor:
    """`x[key]` as in NumPy: integers, slices of any step, `...`, None, and tensors or lists of integers or truths.

    Several index tensors are taken together. A mask of truth values must be known, since the result's size is their
    number.

    >>> import numpy as np
    >>> x = np.arange(6).reshape(2, 3)
    >>> get_item(x, (..., np.s_[::-1])).numpy().tolist(), get_item(x, (0, np.array([2, 0]))).numpy().tolist()
    ([[2, 1, 0], [5, 4, 3]], [2, 0])
    >>> get_item(x, x > 3).numpy().tolist()
    [4, 5]
    """
    x = convert(x)
    keys = [part for k in (key if isinstance(key, tuple) else (key,)) for part in _masks(k)]
    used = sum(k is not None and k is not Ellipsis for k in keys)
    if used > x.ndim:
        raise IndexValueError(f"getitem: expected at most {x.ndim} indices for shape {x.shape}, got {used}")
    if sum(k is Ellipsis for k in keys) > 1:
        raise IndexValueError("getitem: expected one '...' at most")
    if not any(k is Ellipsis for k in keys):
        keys.append(Ellipsis)
    place = next(i for i, k in enumerate(keys) if k is Ellipsis)
    keys[place : place + 1] = [builtins.slice(None)] * (x.ndim - used)
    return _taken(*_sliced(x, keys))


def _is_array(k: Any) -> bool:
    return isinstance(k, (Tensor, np.ndarray, list)) or isinstance(getattr(k, "value", None), Tensor)


def _masks(k: Any) -> list[Any]:
    """A mask as the positions of its truths, one index for each of its axes; other keys as they are."""
    if isinstance(k, (bool, np.bool_)):
        raise IndexValueError(f"getitem: expected an integer, slice, '...' or None, got {k}")
    if not _is_array(k):
        return [k]
    index = convert(np.asarray(k, np.int32) if isinstance(k, list) and not k else k)
    if index.dtype != "bool":
        return [index]
    mask = values(index, "getitem: the result's size is the number of truths in the mask, which")
    return [
        _MaskPart(positions.astype(np.int32), size) for positions, size in zip(mask.nonzero(), mask.shape, strict=True)
    ]


class _MaskPart:
    """Positions along one axis of a mask, and that axis's size."""

    def __init__(self, positions: Any, size: int) -> None:
        self.positions = positions
        self.size = size


def _sliced(x: Tensor, keys: list[Any]) -> tuple[Tensor, list[tuple[int, Tensor]], bool]:
    """`x` with all slices and integers applied; axes of the result that index tensors take from, and these.

    An integer beside index tensors is one of them. The truth value says whether they stand side by side.
    """
    advanced = any(isinstance(k, _MaskPart) or (_is_array(k) and convert(k).ndim) for k in keys)
    start, stop, step, dims = [], [], [], []
    taken: list[tuple[int, Tensor]] = []
    flips: list[tuple[int, Any]] = []
    runs, inside = 0, False
    axis = 0
    for k in keys:
        if k is None:
            dims.append(1)
            inside = False
            continue
        n = x.shape[axis]
        first, last, stride = 0, n, 1
        if isinstance(k, builtins.slice):
            inside = False
            first, last, stride = _bounds(k, n)
            if stride < 0:
                flips.append((len(dims), np.arange(first, last, stride, dtype=np.int32)))
                first, last, stride = 0, n, 1
            last = max(first, last)
            dims.append(-(-(last - first) // stride))
        else:
            whole = None if isinstance(k, _MaskPart) else _integer(k)
            if whole is not None and not advanced:
                i = _checked(whole, n, axis)
                first, last = i, i + 1
            else:
                runs, inside = runs + (not inside), True
                taken.append((len(dims), _positions(k, n, axis)))
                dims.append(n)
        start.append(first)
        stop.append(last)
        step.append(stride)
        axis += 1
    if (start, stop, step) != ([0] * x.ndim, list(x.shape), [1] * x.ndim):
        x = _core.slice(x, start, stop, step)
    if tuple(dims) != x.shape:
        x = _core.reshape(x, dims)
    for place, order in flips:
        x = _core.gather(x, convert(order), place)
    return x, taken, runs <= 1


def _bounds(k: builtins.slice, n: int) -> tuple[int, int, int]:
    try:
        return k.indices(n)
    except (TypeError, GraphError):
        raise IndexValueError(
            f"getitem: expected whole numbers in a slice, got {k}; for a start that is traced use ops.slice"
        ) from None


def _integer(k: Any) -> int | None:
    """The number that a key is; None for a tensor that is traced or has axes."""
    if _is_array(k) and (convert(k).ndim or convert(k).traced):
        return None
    try:
        return int(k.__index__())
    except (AttributeError, TypeError):
        raise IndexValueError(f"getitem: expected an integer, slice, '...' or None, got {type(k).__name__}") from None


def _checked(i: int, n: int, axis: int) -> int:
    if not -n <= i < n:
        raise IndexValueError(f"getitem: expected an index within [{-n}, {n}) for axis {axis}, got {i}")
    return i % n


def _positions(k: Any, n: int, axis: int) -> Tensor:
    if isinstance(k, _MaskPart):
        if k.size != n:
            raise IndexValueError(f"getitem: expected a mask of size {n} along axis {axis}, got {k.size}")
        return convert(k.positions)
    return wrap(convert(k), n, "getitem")


def _taken(x: Tensor, taken: list[tuple[int, Tensor]], together: bool) -> Tensor:
    """Elements at index tensors. Several are taken together: broadcast, and as one position in their axes."""
    if not taken:
        return x
    if len(taken) == 1:
        ((place, index),) = taken
        return _core.gather(x, index, place)
    try:
        dims = np.broadcast_shapes(*(index.shape for _, index in taken))
    except ValueError:
        shapes = [index.shape for _, index in taken]
        raise IndexValueError(f"getitem: expected index tensors that broadcast, got shapes {shapes}") from None
    axes = [place for place, _ in taken]
    # Side by side, the result has their axes in their place; apart, at the front, as in NumPy.
    front = axes[0] if together else 0
    rest = [a for a in range(x.ndim) if a not in axes]
    order = [*rest[:front], *axes, *rest[front:]]
    x = x if order == sorted(order) else _core.permute(x, order)
    sizes = x.shape[front : front + len(axes)]
    flat = convert(np.zeros((), np.int32))
    for (_, index), n in zip(taken, sizes, strict=True):
        flat = _core.binary("add", _core.binary("mul", flat, n), index)
    x = _core.reshape(x, (*x.shape[:front], math.prod(sizes), *x.shape[front + len(axes) :]))
    return _core.gather(x, _core.broadcast_to(flat, dims), front)


def nonzero(x: TensorLike) -> tuple[Tensor, ...]:
    """The positions of the elements that are not 0, one tensor for each axis. Their number follows from the values.

    >>> [positions.numpy().tolist() for positions in nonzero([[1, 0], [0, 2]])]
    [[0, 1], [0, 1]]
    """
    found = values(x, "nonzero: the number of positions follows from the values of x, which").nonzero()
    return tuple(convert(positions.astype(np.int32)) for positions in found)


def unique(
    x: TensorLike,
    sorted: bool = True,
    return_index: bool = False,
    return_inverse: bool = False,
    return_counts: bool = False,
    axis: int | None = None,
    size: int | None = None,
    fill_value: float | None = None,
) -> Any:
    """The different elements of the flattened `x`, or its different slices along `axis`.

    Args:
        x: a tensor whose values are known.
        sorted: in ascending order; else in the order of their first occurrence.
        return_index: also the position of each one's first occurrence.
        return_inverse: also which of them each element is.
        return_counts: also how often each occurs.
        axis: whose slices are compared; None compares elements.
        size: how many to give: the rest is cut off, what lacks is filled with `fill_value` (default: 0).
        fill_value: see `size`.

    >>> unique([3, 1, 2, 1]).numpy().tolist()
    [1, 2, 3]
    >>> [part.numpy().tolist() for part in unique([3, 1, 3], return_index=True, return_counts=True)]
    [[1, 3], [1, 0], [1, 2]]
    """
    array = values(x, "unique: the number of different elements follows from the values of x, which")
    if axis is not None and not -array.ndim <= axis < array.ndim:
        raise ShapeError(f"unique: expected an axis within [{-array.ndim}, {array.ndim}), got {axis}")
    found, first, inverse, counts = np.unique(
        array, return_index=True, return_inverse=True, return_counts=True, axis=axis
    )
    place = 0 if axis is None else axis % array.ndim
    inverse = inverse.reshape(array.shape if axis is None else -1)
    if not sorted:
        order = np.argsort(first)
        found, first, counts = np.take(found, order, place), first[order], counts[order]
        inverse = np.argsort(order)[inverse]
    if size is not None:
        found = _sized(found, size, 0 if fill_value is None else fill_value, place)
        first, counts = _sized(first, size, 0, 0), _sized(counts, size, 0, 0)
    extra = [(return_index, first), (return_inverse, inverse), (return_counts, counts)]
    parts = [convert(found), *(convert(a.astype(np.int32)) for wanted, a in extra if wanted)]
    return tuple(parts) if len(parts) > 1 else parts[0]


def _sized(array: Any, size: int, fill: Any, axis: int) -> Any:
    array = np.take(array, range(min(size, array.shape[axis])), axis)
    widths = [(0, size - n if a == axis else 0) for a, n in enumerate(array.shape)]
    return np.pad(array, widths, constant_values=fill)


@op
def unravel_index(indices: TensorLike, shape: Sequence[int]) -> tuple[Tensor, ...]:
    """Positions in a flattened tensor of `shape` as positions along each axis.

    >>> [part.numpy().tolist() for part in unravel_index([5, 2], (2, 3))]
    [[1, 0], [2, 2]]
    """
    index = convert(indices)
    if index.dtype not in ("int32", "int64", "uint8"):
        raise IndexValueError(f"unravel_index: expected integer indices, got {index.dtype}")
    rest = wrap(index, math.prod(static_sizes(shape, "unravel_index")), "unravel_index")
    parts = []
    for n in reversed(static_sizes(shape, "unravel_index")):
        parts.append(_core.binary("mod", rest, n))
        rest = _core.binary("floordiv", rest, n)
    return tuple(reversed(parts))
