"""Running products and sums, differences and integrals along an axis."""

from __future__ import annotations

from typing import Any

from oxiconv import _core
from oxiconv.dtype import is_float
from oxiconv.ops import reduction
from oxiconv.ops.arrangement import _part, cumsum, ravel
from oxiconv.ops.promotion import real, reals, whole_truths, widened
from oxiconv.ops.reduction import axes_of
from oxiconv.symbolic import op
from oxiconv.tensor import ShapeError, Tensor, TensorLike, convert


@op
@widened
def cumprod(x: TensorLike, axis: int | None = None, dtype: Any = None) -> Tensor:
    """Running products along `axis` (default: of the flattened tensor).

    >>> cumprod([1, 2, 3, 4]).numpy().tolist()
    [1, 2, 6, 24]
    """
    x = whole_truths(x) if dtype is None else convert(x, dtype)
    if axis is None:
        x, axis = ravel(x), 0
    (place,) = axes_of(axis, x.ndim, "cumprod")
    n, shift = x.shape[place], 1
    one = convert(1, x.dtype)
    while shift < n:  # after each round an element holds the product of the last 2 * shift
        dims = [shift if a == place else size for a, size in enumerate(x.shape)]
        earlier = _core.concat([_core.broadcast_to(one, dims), _part(x, place, 0, n - shift)], place)
        x = _core.binary("mul", x, earlier)
        shift *= 2
    return x


def without_nan(x: Any, instead: float) -> Tensor:
    """`x` with NaN replaced."""
    x = convert(x)
    return _core.select(_core.unary("isnan", x), float(instead), x) if is_float(x.dtype) else x


@op
@widened
def nancumsum(x: TensorLike, axis: int | None = None, dtype: Any = None) -> Tensor:
    """Running sums along `axis` (default: of the flattened tensor); NaN counts as 0.

    >>> nancumsum([1.0, float("nan"), 2.0]).numpy().tolist()
    [1.0, 1.0, 3.0]
    """
    return cumsum(without_nan(x, 0.0), axis, dtype)


@op
@widened
def nancumprod(x: TensorLike, axis: int | None = None, dtype: Any = None) -> Tensor:
    """Running products along `axis` (default: of the flattened tensor); NaN counts as 1.

    >>> nancumprod([2.0, float("nan"), 3.0]).numpy().tolist()
    [2.0, 2.0, 6.0]
    """
    return cumprod(without_nan(x, 1.0), axis, dtype)


@op
@widened
def diff(a: TensorLike, n: int = 1, axis: int = -1) -> Tensor:
    """Differences of neighbours along `axis`, taken `n` times; of truth values, whether they differ.

    >>> diff([1, 4, 9, 16]).numpy().tolist(), diff([1, 4, 9, 16], n=2).numpy().tolist()
    ([3, 5, 7], [2, 2])
    """
    x = convert(a)
    if n < 0:
        raise ValueError(f"diff: expected n of at least 0, got {n}")
    (place,) = axes_of(axis, x.ndim, "diff")
    for _ in range(n):
        size = x.shape[place]
        after, before = _part(x, place, min(1, size), size), _part(x, place, 0, max(size - 1, 0))
        x = _core.binary("ne" if x.dtype == "bool" else "sub", after, before)
    return x


@op
@widened
def trapezoid(y: TensorLike, x: TensorLike | None = None, dx: float = 1.0, axis: int = -1) -> Tensor:
    """Integral along `axis` by trapezoids, between the points `x` or points `dx` apart.

    >>> float(trapezoid([1.0, 2.0, 3.0])), float(trapezoid([1.0, 2.0, 3.0], x=[4.0, 6.0, 8.0]))
    (4.0, 8.0)
    """
    heights = real(y)
    (place,) = axes_of(axis, heights.ndim, "trapezoid")
    widths: Any = float(dx)
    if x is not None:
        heights, points = reals(heights, x)
        widths = diff(points, axis=-1 if points.ndim == 1 else place)
        if points.ndim == 1:
            widths = _core.reshape(widths, [-1 % (widths.size + 1) if a == place else 1 for a in range(heights.ndim)])
    n = heights.shape[place]
    if n < 1:
        raise ShapeError(f"trapezoid: expected at least one point, got shape {heights.shape}")
    sums = _core.binary("add", _part(heights, place, 1, n), _part(heights, place, 0, n - 1))
    return _core.binary("mul", reduction.sum(_core.binary("mul", sums, widths), axis=place), 0.5)
