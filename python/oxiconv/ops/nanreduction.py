"""Reductions of what is not NaN."""

from __future__ import annotations

from typing import Any

from oxiconv import _core
from oxiconv.dtype import is_float
from oxiconv.ops import reduction
from oxiconv.ops.promotion import widened
from oxiconv.ops.reduction import Axis, axes_of
from oxiconv.ops.scanning import without_nan
from oxiconv.symbolic import op
from oxiconv.tensor import Tensor, TensorLike, convert


@op
@widened
def nansum(x: TensorLike, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """Sum over `axis` (default: all); NaN counts as 0.

    >>> float(nansum([1.0, float("nan"), 2.0]))
    3.0
    """
    return reduction.sum(without_nan(x, 0.0), axis, keepdims)


@op
@widened
def nanprod(x: TensorLike, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """Product over `axis` (default: all); NaN counts as 1.

    >>> float(nanprod([2.0, float("nan"), 3.0]))
    6.0
    """
    return reduction.prod(without_nan(x, 1.0), axis, keepdims)


def _present(x: Tensor, axis: Axis, keepdims: bool) -> Tensor:
    return reduction.sum(_core.unary("not", _core.unary("isnan", x)), axis, keepdims)


@op
@widened
def nanmean(x: TensorLike, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """Mean of what is not NaN over `axis` (default: all); NaN where nothing is.

    >>> float(nanmean([1.0, float("nan"), 3.0]))
    2.0
    """
    x = convert(x)
    if not is_float(x.dtype):
        return reduction.mean(x, axis, keepdims)
    total = nansum(x, axis, keepdims)
    return _core.binary("div", total, _core.cast(_present(x, axis, keepdims), total.dtype))


@op
@widened
def nanvar(x: TensorLike, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """Biased variance of what is not NaN over `axis` (default: all); NaN where nothing is.

    >>> float(nanvar([1.0, float("nan"), 3.0]))
    1.0
    """
    x = convert(x)
    if not is_float(x.dtype):
        return reduction.var(x, axis, keepdims)
    centred = _core.binary("sub", x, nanmean(x, axis, keepdims=True))
    return nanmean(_core.binary("mul", centred, centred), axis, keepdims)


@op
@widened
def nanstd(x: TensorLike, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """Square root of `nanvar`.

    >>> float(nanstd([1.0, float("nan"), 3.0]))
    1.0
    """
    return _core.unary("sqrt", nanvar(x, axis, keepdims))


def _extreme(name: str, x: Any, axis: Axis, keepdims: bool) -> Tensor:
    x = convert(x)
    reduce = reduction.max if name == "nanmax" else reduction.min
    if not is_float(x.dtype):
        return reduce(x, axis, keepdims)
    best = reduce(without_nan(x, float("-inf" if name == "nanmax" else "inf")), axis, keepdims)
    return _core.select(_core.binary("eq", _present(x, axis, keepdims), 0), float("nan"), best)


@op
@widened
def nanmax(x: TensorLike, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """Largest of what is not NaN over `axis` (default: all); NaN where nothing is.

    >>> float(nanmax([1.0, float("nan")]))
    1.0
    """
    return _extreme("nanmax", x, axis, keepdims)


@op
@widened
def nanmin(x: TensorLike, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """Smallest of what is not NaN over `axis` (default: all); NaN where nothing is.

    >>> float(nanmin([1.0, float("nan")]))
    1.0
    """
    return _extreme("nanmin", x, axis, keepdims)


def _place(name: str, x: Any, axis: int | None, keepdims: bool) -> Tensor:
    x = convert(x)
    largest = name == "nanargmax"
    find = reduction.argmax if largest else reduction.argmin
    if not is_float(x.dtype):
        return find(x, axis, keepdims)
    best = find(without_nan(x, float("-inf" if largest else "inf")), axis, keepdims)
    axes = axes_of(axis, x.ndim, name)
    nothing = _core.binary("eq", _present(x, axes, keepdims), 0)
    return _core.select(nothing, convert(-1, "int32"), best)


@op
def nanargmax(x: TensorLike, axis: int | None = None, keepdims: bool = False) -> Tensor:
    """Index of the first largest element that is not NaN along `axis` (default: flattened); -1 where nothing is.

    >>> int(nanargmax([1.0, float("nan"), 3.0]))
    2
    """
    return _place("nanargmax", x, axis, keepdims)


@op
def nanargmin(x: TensorLike, axis: int | None = None, keepdims: bool = False) -> Tensor:
    """Index of the first smallest element that is not NaN along `axis` (default: flattened); -1 where nothing is.

    >>> int(nanargmin([1.0, float("nan"), 3.0]))
    0
    """
    return _place("nanargmin", x, axis, keepdims)


@op
@widened
def ptp(x: TensorLike, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """Largest minus smallest element over `axis` (default: all).

    >>> int(ptp([3, 1, 7]))
    6
    """
    x = convert(x)
    return _core.binary("sub", reduction.max(x, axis, keepdims), reduction.min(x, axis, keepdims))
