"""Quantiles, histograms, correlations."""

from __future__ import annotations

from typing import Any

import numpy as np

from oxiconv import _core
from oxiconv.dtype import is_float
from oxiconv.ops import reduction
from oxiconv.ops.arrangement import take_along_axis
from oxiconv.ops.concrete import values
from oxiconv.ops.ordering import sort
from oxiconv.ops.promotion import real, reals, widened
from oxiconv.ops.reduction import Axis, axes_of
from oxiconv.symbolic import op
from oxiconv.tensor import ShapeError, Tensor, TensorLike, convert

METHODS = ("linear", "lower", "higher", "midpoint", "nearest")


@op
@widened
def quantile(x: TensorLike, q: TensorLike, axis: Axis = None, method: str = "linear", keepdims: bool = False) -> Tensor:
    """Values below which the shares `q` (0 to 1) of the elements along `axis` (default: all) are.

    The axes of `q` come first in the result. Between two elements `method` decides: "linear", "lower", "higher",
    "midpoint" or "nearest". NaN among the elements gives NaN.

    >>> quantile([1.0, 2.0, 3.0, 4.0], [0.25, 0.5]).numpy().tolist()
    [1.75, 2.5]
    """
    return _quantile("quantile", x, q, 1.0, axis, method, keepdims, skip_nan=False)


@op
@widened
def percentile(
    x: TensorLike, q: TensorLike, axis: Axis = None, method: str = "linear", keepdims: bool = False
) -> Tensor:
    """As `quantile`, with shares in percent.

    >>> float(percentile([1.0, 2.0, 3.0], 50))
    2.0
    """
    return _quantile("percentile", x, q, 100.0, axis, method, keepdims, skip_nan=False)


@op
@widened
def median(x: TensorLike, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """The middle of the sorted elements along `axis` (default: all), or the mean of the two middle ones.

    >>> float(median([5.0, 1.0, 2.0])), float(median([4.0, 1.0]))
    (2.0, 2.5)
    """
    return _quantile("median", x, 0.5, 1.0, axis, "midpoint", keepdims, skip_nan=False)


@op
@widened
def nanquantile(
    x: TensorLike, q: TensorLike, axis: Axis = None, method: str = "linear", keepdims: bool = False
) -> Tensor:
    """As `quantile`, of the elements that are not NaN.

    >>> float(nanquantile([1.0, float("nan"), 3.0], 0.5))
    2.0
    """
    return _quantile("nanquantile", x, q, 1.0, axis, method, keepdims, skip_nan=True)


@op
@widened
def nanpercentile(
    x: TensorLike, q: TensorLike, axis: Axis = None, method: str = "linear", keepdims: bool = False
) -> Tensor:
    """As `percentile`, of the elements that are not NaN.

    >>> float(nanpercentile([1.0, float("nan"), 3.0], 100))
    3.0
    """
    return _quantile("nanpercentile", x, q, 100.0, axis, method, keepdims, skip_nan=True)


@op
@widened
def nanmedian(x: TensorLike, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """As `median`, of the elements that are not NaN.

    >>> float(nanmedian([1.0, float("nan"), 3.0]))
    2.0
    """
    return _quantile("nanmedian", x, 0.5, 1.0, axis, "midpoint", keepdims, skip_nan=True)


def _quantile(
    name: str, x: Any, q: Any, whole: float, axis: Axis, method: str, keepdims: bool, skip_nan: bool
) -> Tensor:
    if method not in METHODS:
        raise ValueError(f"{name}: expected a method of {', '.join(METHODS)}, got {method!r}")
    shares = np.asarray(values(q, f"{name}: the shares q"), np.float64) / whole
    if shares.ndim > 1 or np.any((shares < 0) | (shares > 1)):
        raise ValueError(f"{name}: expected q from 0 to {whole:g} with at most one axis, got {shares * whole}")
    x = real(x)
    axes = axes_of(axis, x.ndim, name)
    rest = [a for a in range(x.ndim) if a not in axes]
    kept = [x.shape[a] for a in rest]
    n = int(np.prod([x.shape[a] for a in axes], dtype=np.int64))
    if n == 0:
        raise ShapeError(f"{name}: expected at least one element along axes {axes}, got shape {x.shape}")
    line = sort(_core.reshape(_core.permute(x, [*rest, *axes]), (*kept, n)), -1)
    nans = reduction.sum(_core.unary("isnan", line), axis=-1, keepdims=True)
    picked = _skipping(line, nans, shares, method) if skip_nan else _picked(line, shares, method)
    lost = _core.binary("eq" if skip_nan else "gt", nans, n if skip_nan else 0)
    picked = _core.select(lost, float("nan"), picked)  # [*kept, shares]
    front = _core.permute(picked, [len(kept), *range(len(kept))])
    dims = [1 if a in axes else m for a, m in enumerate(x.shape)] if keepdims else kept
    return _core.reshape(front, [*shares.shape, *dims])


def _picked(line: Tensor, shares: Any, method: str) -> Tensor:
    """Elements of the sorted last axis at the shares, whose places are known."""
    n = line.shape[-1]
    exact = np.atleast_1d(shares * (n - 1))  # in float64: a float32 would miss the places of large n
    low, high = np.floor(exact), np.ceil(exact)
    if method == "linear":
        low = np.maximum(high - 1, 0)

    def at(places: Any) -> Tensor:
        return _core.gather(line, convert(places.astype(np.int32)), line.ndim - 1)

    if method in ("lower", "higher", "nearest"):
        return at({"lower": low, "higher": high, "nearest": np.round(exact)}[method])
    weights = np.full_like(exact, 0.5) if method == "midpoint" else high - exact
    # Both rounded from float64: the difference of a rounded weight from 1 would be off by more than itself.
    below, above = (convert(w.astype(np.float32), line.dtype) for w in (weights, 1 - weights))
    return _core.binary("add", _core.binary("mul", at(high), above), _core.binary("mul", at(low), below))


def _skipping(line: Tensor, nans: Tensor, shares: Any, method: str) -> Tensor:
    """The same among the elements before the NaNs, whose number differs from row to row."""
    last = _core.binary("max", _core.binary("sub", line.shape[-1] - 1, nans), 0)
    exact = _core.binary("mul", _core.cast(last, "float32"), convert(np.atleast_1d(shares).astype(np.float32)))
    low, high = _core.unary("floor", exact), _core.unary("ceil", exact)

    def at(places: Tensor) -> Tensor:
        # The NaNs behind must not reach the gradient either.
        clean = _core.select(_core.unary("isnan", line), 0.0, line)
        return take_along_axis(clean, _core.cast(places, "int32"), -1)

    if method in ("lower", "higher", "nearest"):
        return at({"lower": low, "higher": high, "nearest": _core.unary("round", exact)}[method])
    above: Any = 0.5 if method == "midpoint" else _core.binary("sub", exact, low)
    below: Any = 0.5 if method == "midpoint" else _core.binary("sub", 1.0, above)
    return _core.binary("add", _core.binary("mul", at(high), above), _core.binary("mul", at(low), below))


@op
def histogram(x: TensorLike, bins: int = 10, range: tuple[float, float] | None = None) -> tuple[Tensor, Tensor]:
    """How many elements are in each of `bins` equal parts of `range` (default: smallest to largest), and its edges.

    A part includes its lower edge, the last one both. Both results have the type of `x`, as in Keras.

    >>> counts, edges = histogram([1.0, 2.0, 2.5, 5.0], bins=2)
    >>> counts.numpy().tolist(), edges.numpy().tolist()
    ([3.0, 1.0], [1.0, 3.0, 5.0])
    """
    from oxiconv.ops.ordering import searchsorted

    if bins < 1 or bins != int(bins):
        raise ValueError(f"histogram: expected a whole number of at least 1 bins, got {bins!r}")
    if range is not None and range[0] > range[1]:
        raise ValueError(f"histogram: expected range (low, high), got {range!r}")
    given = convert(x)
    if given.ndim != 1 or not (given.size or range is not None):
        raise ShapeError(f"histogram: expected one axis, with elements or a range, got shape {given.shape}")
    line = real(given)
    low, high = (reduction.min(line), reduction.max(line)) if range is None else (real(r) for r in range)
    steps = convert(np.arange(bins + 1, dtype=np.float32) / np.float32(bins))
    edges = _core.binary("add", low, _core.binary("mul", _core.binary("sub", high, low), steps))
    # The last edge is the end itself, whatever rounding makes of it.
    edges = _core.concat([_core.slice(edges, [0], [bins], [1]), _core.reshape(high, (1,))], 0)
    place = searchsorted(_core.slice(edges, [1], [bins], [1]), line, "right")
    inside = _core.binary("and", _core.binary("ge", line, low), _core.binary("le", line, high))
    ones = _core.cast(inside, "int32")
    counts = _core.scatter_add(ones, place, 0, bins)
    return convert(counts, given.dtype), convert(edges, given.dtype)


@op
def bincount(x: TensorLike, weights: TensorLike | None = None, minlength: int = 0, sparse: bool = False) -> Tensor:
    """How often each whole number from 0 occurs in `x` (`[n]`, or `[rows, n]` for each row), or their weights' sums.

    The length of the result follows from the largest number, so `x` must be known; `weights` need not be.

    >>> bincount([1, 1, 3]).numpy().tolist(), bincount([0, 1, 0], weights=[1.0, 2.0, 3.0]).numpy().tolist()
    ([0, 2, 0, 1], [4.0, 2.0])
    """
    if sparse:
        raise ValueError("bincount: expected sparse=False; sparse tensors are not supported")
    index = values(x, "bincount: the length of the result follows from x, which")
    if index.dtype.kind not in "biu" or index.ndim not in (1, 2) or (index.size and index.min() < 0):
        raise ShapeError(
            f"bincount: expected whole numbers from 0 in [n] or [rows, n], got {index.dtype} {index.shape}"
        )
    length = max(int(index.max()) + 1 if index.size else 0, int(minlength))
    rows = index.shape[0] if index.ndim == 2 else 1
    flat = (index.reshape(rows, -1).astype(np.int64) + np.arange(rows)[:, None] * length).astype(np.int32).ravel()
    terms = convert(np.ones(flat.size, np.int32))
    if weights is not None:
        given = convert(weights)
        if given.shape != index.shape:
            raise ShapeError(f"bincount: expected weights of shape {index.shape}, got {given.shape}")
        given = given if is_float(given.dtype) else _core.cast(given, "int32")
        terms = _core.reshape(given, (given.size,))
    counts = _core.scatter_add(terms, convert(flat), 0, rows * length)
    return _core.reshape(counts, (rows, length) if index.ndim == 2 else (length,))


@op
@widened
def corrcoef(x: TensorLike) -> Tensor:
    """Correlation of each pair of rows of `[variables, observations]`.

    >>> corrcoef([[1.0, 2.0, 3.0], [6.0, 4.0, 2.0]]).numpy().round(3).tolist()
    [[1.0, -1.0], [-1.0, 1.0]]
    """
    from oxiconv.ops.diagonals import diagonal
    from oxiconv.ops.elementwise import clip
    from oxiconv.ops.products import matmul

    x = real(x)
    if x.ndim not in (1, 2):
        raise ShapeError(f"corrcoef: expected [variables, observations] or [observations], got shape {x.shape}")
    rows = _core.reshape(x, (1, x.size)) if x.ndim == 1 else x
    centred = _core.binary("sub", rows, reduction.mean(rows, -1, keepdims=True))
    products = matmul(centred, _core.permute(centred, [1, 0]))
    size = _core.unary("sqrt", diagonal(products))
    norms = _core.binary("mul", _core.reshape(size, (size.size, 1)), size)
    result = clip(_core.binary("div", products, norms), -1.0, 1.0)
    return _core.reshape(result, ()) if x.ndim == 1 else result


@op
@widened
def correlate(x1: TensorLike, x2: TensorLike, mode: str = "valid") -> Tensor:
    """Cross-correlation of two vectors: products summed for each shift of the second along the first.

    `mode` "valid" gives the shifts at which one lies within the other, "same" as many as the longer has elements,
    "full" all.

    >>> correlate([1.0, 2.0, 3.0], [0.0, 1.0]).numpy().tolist()
    [2.0, 3.0]
    """
    a, b = reals(x1, x2)
    if a.ndim != 1 or b.ndim != 1 or not a.size or not b.size:
        raise ShapeError(f"correlate: expected two vectors with elements, got shapes {a.shape} and {b.shape}")
    if mode not in ("valid", "same", "full"):
        raise ValueError(f"correlate: expected mode 'valid', 'same' or 'full', got {mode!r}")
    n, m = a.size, b.size
    edge = [m - 1]
    image, kernel = _core.reshape(a, (1, n, 1)), _core.reshape(b, (m, 1, 1))
    full = _core.reshape(_core.conv(image, kernel, [1], [1], edge, edge, 1), (n + m - 1,))
    length = {"valid": max(n, m) - min(n, m) + 1, "same": max(n, m), "full": n + m - 1}[mode]
    start = (n + m - 1 - length) // 2
    return _core.slice(full, [start], [start + length], [1])
