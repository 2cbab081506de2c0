"""Reductions over axes."""

from __future__ import annotations

import builtins
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from oxiconv import _core
from oxiconv.dtype import is_float
from oxiconv.ops.promotion import numbers, real, reals, widened
from oxiconv.symbolic import op
from oxiconv.tensor import ShapeError, Tensor, TensorLike, convert

if TYPE_CHECKING:
    from collections.abc import Sequence

Axis: TypeAlias = "int | Sequence[int] | None"


def axes_of(axis: Any, ndim: int, name: str) -> list[int]:
    """`axis` as an ascending list of non-negative axes; None is all of them."""
    if axis is None:
        return list(range(ndim))
    given = list(axis) if isinstance(axis, (list, tuple, range)) else [axis]
    axes = [int(a) for a in given]
    if builtins.any(not -ndim <= a < ndim for a in axes):
        raise ShapeError(f"{name}: expected an axis within [{-ndim}, {ndim}), got {axis}")
    axes = sorted(a % ndim for a in axes)
    if len(set(axes)) != len(axes):
        raise ShapeError(f"{name}: expected different axes, got {axis}")
    return axes


def restore(x: Tensor, axes: list[int]) -> Tensor:
    """`x` with axes of size 1 put back at `axes`."""
    dims = list(x.shape)
    for a in axes:
        dims.insert(a, 1)
    return _core.reshape(x, dims)


def _sum(x: Tensor, axes: list[int], keepdims: bool) -> Tensor:
    if axes:
        x = _core.sum(x, axes)
    return restore(x, axes) if keepdims and axes else x


def _max(name: str, x: Tensor, axes: list[int], keepdims: bool) -> Tensor:
    if builtins.any(x.shape[a] == 0 for a in axes):
        raise ShapeError(f"{name}: expected at least one element along axes {axes}, got shape {x.shape}")
    if axes:
        # Without elements, all that is left is the shape.
        x = _core.max(x, axes) if x.size else _core.sum(x, axes)
    return restore(x, axes) if keepdims and axes else x


def _reverse(x: Tensor) -> Tensor:
    """Order reversed: the minimum is the reversed maximum. `-1 - x` cannot overflow for integers."""
    return _core.unary("neg", x) if is_float(x.dtype) else _core.binary("sub", -1, x)


@op
def sum(x: TensorLike, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """Sum over `axis` (default: all); truth values and bytes count as int32.

    >>> sum([[1, 2], [3, 4]], axis=1).numpy().tolist()
    [3, 7]
    """
    x = numbers(x)
    return _sum(x, axes_of(axis, x.ndim, "sum"), keepdims)


@op
@widened
def mean(x: TensorLike, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """Mean over `axis` (default: all), in float32.

    >>> mean([[1.0, 3.0], [5.0, 7.0]], axis=1).numpy().tolist()
    [2.0, 6.0]
    """
    x = real(x)
    axes = axes_of(axis, x.ndim, "mean")
    return _core.binary("div", _sum(x, axes, keepdims), float(_count(x, axes)))


def _count(x: Tensor, axes: list[int]) -> int:
    return int(np.prod([x.shape[a] for a in axes], dtype=np.int64))


@op
@widened
def var(x: TensorLike, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """Variance over `axis` (default: all), biased: the mean squared distance from the mean.

    >>> float(var([1.0, 5.0]))
    4.0
    """
    x = real(x)
    axes = axes_of(axis, x.ndim, "var")
    count = float(_count(x, axes))
    centred = _core.binary("sub", x, _core.binary("div", _sum(x, axes, True), count))
    return _core.binary("div", _sum(_core.binary("mul", centred, centred), axes, keepdims), count)


@op
@widened
def std(x: TensorLike, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """Square root of the biased variance over `axis` (default: all).

    >>> float(std([1.0, 3.0]))
    1.0
    """
    return _core.unary("sqrt", var(x, axis, keepdims))


@op
def max(x: TensorLike, axis: Axis = None, keepdims: bool = False, initial: float | None = None) -> Tensor:
    """Largest element over `axis` (default: all), not below `initial`; NaN wins.

    >>> max([[1, 5], [7, 3]], axis=0).numpy().tolist()
    [7, 5]
    """
    return _extreme("max", x, axis, keepdims, initial)


@op
def min(x: TensorLike, axis: Axis = None, keepdims: bool = False, initial: float | None = None) -> Tensor:
    """Smallest element over `axis` (default: all), not above `initial`; NaN wins.

    >>> min([[1, 5], [7, 3]], axis=0).numpy().tolist()
    [1, 3]
    """
    return _extreme("min", x, axis, keepdims, initial)


def _extreme(name: str, x: Any, axis: Axis, keepdims: bool, initial: float | None) -> Tensor:
    given = convert(x)
    x = numbers(given)
    axes = axes_of(axis, x.ndim, name)
    if initial is not None and builtins.any(x.shape[a] == 0 for a in axes):
        dims = [1 if a in axes else n for a, n in enumerate(x.shape) if keepdims or a not in axes]
        return _core.broadcast_to(convert(initial, given.dtype), dims)
    low = name in ("min", "amin")
    best = _max(name, _reverse(x) if low else x, axes, keepdims)
    best = _reverse(best) if low else best
    if initial is not None:
        best = _core.binary(name, best, convert(initial, best.dtype))
    return _core.cast(best, given.dtype) if best.dtype != given.dtype else best


@op
def amax(x: TensorLike, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """Largest element over `axis` (default: all); NaN wins.

    >>> int(amax([1, 3, 2]))
    3
    """
    return _extreme("amax", x, axis, keepdims, None)


@op
def amin(x: TensorLike, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """Smallest element over `axis` (default: all); NaN wins.

    >>> int(amin([1, 3, 2]))
    1
    """
    return _extreme("amin", x, axis, keepdims, None)


@op
def prod(x: TensorLike, axis: Axis = None, keepdims: bool = False, dtype: Any = None) -> Tensor:
    """Product over `axis` (default: all).

    >>> int(prod([2, 3, 4]))
    24
    """
    x = numbers(x) if dtype is None else convert(x, dtype)
    axes = axes_of(axis, x.ndim, "prod")
    rest = [a for a in range(x.ndim) if a not in axes]
    kept = [x.shape[a] for a in rest]
    rows = _core.reshape(_core.permute(x, [*axes, *rest]), (_count(x, axes), *kept))
    one = convert(1, x.dtype)
    while (n := rows.shape[0]) != 1:
        if n == 0:
            rows = _core.broadcast_to(one, (1, *kept))
            break
        if n % 2:
            rows = _core.concat([rows, _core.broadcast_to(one, (1, *kept))], 0)
        ones = [1] * rows.ndim
        half = rows.shape[0] // 2
        first = _core.slice(rows, [0] * rows.ndim, [half, *kept], ones)
        second = _core.slice(rows, [half, *[0] * len(kept)], rows.shape, ones)
        rows = _core.binary("mul", first, second)
    result = _core.reshape(rows, kept)
    return restore(result, axes) if keepdims else result


@op
def any(x: TensorLike, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """Whether an element is non-zero.

    >>> bool(any([True, False]))
    True
    """
    flags = _core.cast(convert(x, "bool"), "int32")
    return _core.binary("ne", _sum(flags, axes_of(axis, flags.ndim, "any"), keepdims), 0)


@op
def all(x: TensorLike, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """Whether every element is non-zero.

    >>> bool(all([True, False]))
    False
    """
    flags = _core.cast(_core.unary("not", convert(x, "bool")), "int32")
    return _core.binary("eq", _sum(flags, axes_of(axis, flags.ndim, "all"), keepdims), 0)


@op
def count_nonzero(x: TensorLike, axis: Axis = None) -> Tensor:
    """How many elements are non-zero.

    >>> int(count_nonzero([0, 1, 2]))
    2
    """
    flags = _core.cast(convert(x, "bool"), "int32")
    return _sum(flags, axes_of(axis, flags.ndim, "count_nonzero"), False)


@op
def argmax(x: TensorLike, axis: int | None = None, keepdims: bool = False) -> Tensor:
    """Index of the first largest element along `axis` (default: of the flattened tensor); NaN wins.

    >>> argmax([[1.0, 3.0, 3.0], [5.0, 4.0, 0.0]], axis=1).numpy().tolist()
    [1, 0]
    """
    return _arg("argmax", x, axis, keepdims)


@op
def argmin(x: TensorLike, axis: int | None = None, keepdims: bool = False) -> Tensor:
    """Index of the first smallest element along `axis` (default: of the flattened tensor); NaN wins.

    >>> int(argmin([3, 1, 2]))
    1
    """
    return _arg("argmin", x, axis, keepdims)


def _arg(name: str, x: Any, axis: int | None, keepdims: bool) -> Tensor:
    x = numbers(x)
    rank = x.ndim
    if axis is None:
        x = _core.reshape(x, (x.size,))
    place = axes_of(0 if axis is None else axis, x.ndim, name)
    x = _core.detach(_reverse(x) if name == "argmin" else x)
    hit = _core.binary("eq", x, _max(name, x, place, True))
    if is_float(x.dtype):
        hit = _core.binary("or", hit, _core.unary("isnan", x))
    n = x.shape[place[0]]
    # Counting down makes the first hit the largest number.
    falling = np.arange(n, 0, -1, dtype=np.int32).reshape([n if a in place else 1 for a in range(x.ndim)])
    best = _max(name, _core.select(hit, convert(falling), 0), place, False)
    index = _core.binary("sub", n, best)
    if keepdims:
        return _core.reshape(index, [1] * rank) if axis is None else restore(index, place)
    return index


@op
@widened
def average(x: TensorLike, axis: Axis = None, weights: TensorLike | None = None) -> Tensor:
    """Weighted mean over `axis`; `weights` has the shape of `x`, or of its one axis.

    >>> float(average([1.0, 3.0], weights=[3.0, 1.0]))
    1.5
    """
    x = real(x)
    if weights is None:
        return mean(x, axis)
    x, w = reals(x, weights)
    axes = axes_of(axis, x.ndim, "average")
    if w.shape != x.shape:
        if w.ndim != 1 or len(axes) != 1 or w.size != x.shape[axes[0]]:
            raise ShapeError(f"average: expected weights of shape {x.shape} or of one axis, got {w.shape}")
        w = _core.reshape(w, [w.size if a in axes else 1 for a in range(x.ndim)])
    total = _sum(_core.broadcast_to(w, x.shape), axes, False)
    return _core.binary("div", _sum(_core.binary("mul", x, w), axes, False), total)


@op
@widened
def logsumexp(x: TensorLike, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """`log(sum(exp(x)))` over `axis`, without overflow.

    >>> round(float(logsumexp([0.0, 0.0])), 4)
    0.6931
    """
    x = real(x)
    axes = axes_of(axis, x.ndim, "logsumexp")
    peak = _core.detach(_max("logsumexp", x, axes, True))
    peak = _core.select(_core.binary("lt", _core.unary("abs", peak), float("inf")), peak, 0.0)
    total = _sum(_core.unary("exp", _core.binary("sub", x, peak)), axes, True)
    result = _core.binary("add", _core.unary("log", total), peak)
    return result if keepdims else _core.reshape(result, [n for a, n in enumerate(x.shape) if a not in axes])
