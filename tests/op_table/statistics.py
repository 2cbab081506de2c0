"""Rows of quantiles, running results, and reductions of what is not NaN."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from op_table.bounds import EXACT, SELECTION, Linear, Smooth
from op_table.case import Array, Case, U, row
from op_table.inputs import Inputs
from oxiconv import ops

draw = Inputs("statistics")


def _holed(*dims: int) -> Array:
    """Different numbers with some NaN, one of the rows entirely."""
    x = draw.spread(*dims)
    x[0] = np.nan
    x[1, 1] = np.nan
    return x


def _quiet(function: Callable[..., Any]) -> Callable[..., Any]:
    """NumPy warns of rows without a number."""

    def call(*args: Any, **kwargs: Any) -> Any:
        import warnings

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return function(*args, **kwargs)

    return call


class _Near:
    """An absolute tolerance, for values where derivatives do not exist."""

    def __init__(self, size: float) -> None:
        self.size = size

    def forward(self, oracle: Any, inputs: Any, outputs: Any) -> list[Array]:
        return [np.full(y.shape, self.size) for y in outputs]

    def gradients(self, oracle: Any, inputs: Any, cotangents: Any) -> list[tuple[Array, Array]]:
        raise NotImplementedError


def _quantiles() -> Iterator[Case]:
    q = [0.0, 0.3125, 0.5, 1.0]  # as float32 holds them
    # Interpolation: two products, a sum, and weights that are rounded, as is what they are made of.
    blend = Linear(roundings=6, local=True)
    # The same without derivatives, of numbers below 2.
    near = _Near(6 * 2 * U)
    for method in ("linear", "lower", "higher", "midpoint", "nearest"):
        for settings in ({}, {"axis": 1}, {"axis": (0, 2), "keepdims": True}):
            yield row(
                ops.quantile,
                lambda x, m=method, s=settings: np.quantile(x, q, method=m, **s),
                [draw.spread(2, 5, 3)],
                blend,
                f"{method},{settings}",
                q=q,
                method=method,
                **settings,
            )
        yield row(
            ops.nanquantile,
            _quiet(lambda x, m=method: np.nanquantile(x, q, axis=-1, method=m)),
            [_holed(3, 6)],
            near,
            method,
            differentiable=False,
            q=q,
            axis=-1,
            method=method,
        )
    yield row(ops.percentile, lambda x: np.percentile(x, 40, 0), [draw.spread(6, 3)], blend, q=40, axis=0)
    yield row(
        ops.nanpercentile,
        _quiet(lambda x: np.nanpercentile(x, 40, 1)),
        [_holed(3, 6)],
        near,
        differentiable=False,
        q=40,
        axis=1,
    )
    for settings in ({}, {"axis": 1}, {"axis": (0, 1), "keepdims": True}):
        yield row(
            ops.median, lambda x, s=settings: np.median(x, **s), [draw.spread(4, 5)], blend, f"{settings}", **settings
        )
    yield row(ops.median, lambda x: np.median(x, 1), [_holed(3, 6)], near, "nan", differentiable=False, axis=1)
    yield row(ops.nanmedian, _quiet(lambda x: np.nanmedian(x, 1)), [_holed(3, 6)], near, differentiable=False, axis=1)


def _without_nan() -> Iterator[Case]:
    reductions: list[tuple[Any, Any, Any]] = [
        (ops.nansum, np.nansum, Linear()),
        (ops.nanprod, np.nanprod, Smooth(8)),
        (ops.nanmean, np.nanmean, Linear(roundings=1)),
        (ops.nanvar, np.nanvar, Smooth(24)),
        (ops.nanstd, np.nanstd, Smooth(30)),
        (ops.nanmax, np.nanmax, SELECTION),
        (ops.nanmin, np.nanmin, SELECTION),
    ]
    for op, oracle, bound in reductions:
        for settings in ({}, {"axis": 1}, {"axis": (0, -1), "keepdims": True}):
            whole = row(
                op, lambda x, f=oracle, s=settings: f(x, **s), [draw.spread(3, 4)], bound, f"{settings}", **settings
            )
            yield whole
        holed = _holed(3, 5)

        def wanted(x: Array, f: Any = oracle) -> Array:
            y: Array = _quiet(f)(x, axis=1)
            return y

        # Some 20 roundings of numbers below 1.
        yield row(op, wanted, [holed], _Near(20 * U), "holes", differentiable=False, axis=1)
    for op, oracle in [(ops.nanargmax, np.nanargmax), (ops.nanargmin, np.nanargmin)]:
        holed = _holed(3, 5)

        def places(x: Array, f: Any = oracle) -> Array:
            return np.array([-1 if np.isnan(r).all() else f(r) for r in x], np.int32)

        yield row(op, places, [holed], EXACT, "holes", differentiable=False, axis=1)
        yield row(op, lambda x, f=oracle: f(x).astype(np.int32), [draw.spread(3, 4)], EXACT, differentiable=False)
    yield row(ops.ptp, lambda x: np.ptp(x, 1), [draw.spread(3, 5)], Linear(roundings=1, local=True), axis=1)
    yield row(ops.ptp, lambda x: np.ptp(x), [draw.integers(-9, 9, 3, 5)], EXACT)


def _running() -> Iterator[Case]:
    for axis in (None, 1):
        yield row(
            ops.cumprod,
            lambda x, a=axis: np.cumprod(x, a),
            [draw.uniform(0.5, 1.5, 2, 5)],
            Smooth(12),
            f"axis={axis}",
            axis=axis,
        )
    yield row(ops.cumprod, lambda x: np.cumprod(x, 0, np.int32), [draw.integers(-3, 4, 7)], EXACT, axis=0)
    holes = np.array([[1.0, np.nan, 2.0, 0.5], [np.nan, 3.0, 1.0, np.nan]], np.float32)
    running: list[tuple[Any, Any]] = [(ops.nancumsum, np.nancumsum), (ops.nancumprod, np.nancumprod)]
    for op, oracle in running:
        yield row(op, lambda x, f=oracle: f(x, 1), [holes], EXACT, "holes", differentiable=False, axis=1)
        yield row(op, lambda x, f=oracle: f(x, 0), [draw.uniform(0.5, 1.5, 4, 3)], Smooth(12), axis=0)
    points = np.array([0.0, 0.5, 2.0, 2.5], np.float32)
    yield row(ops.trapezoid, lambda y: np.trapezoid(y, dx=0.5), [draw.normal(3, 5)], Linear(roundings=2), dx=0.5)
    yield row(
        ops.trapezoid,
        lambda y, x: np.trapezoid(y, x, axis=0),
        [draw.normal(4, 3), points],
        Smooth(12),
        "",
        lambda y, x: ops.trapezoid(y, x, axis=0),
    )


def _pairs() -> Iterator[Case]:
    # Means, products of at most 5 terms, two roots and a quotient.
    yield row(ops.corrcoef, np.corrcoef, [draw.normal(3, 5)], Smooth(30, lambda x: 1, lambda x: 1))
    for mode in ("valid", "same", "full"):
        for n, m in [(6, 3), (6, 4), (5, 5)]:
            yield row(
                ops.correlate,
                lambda a, b, k=mode: np.correlate(a, b, k),
                [draw.normal(n), draw.normal(m)],
                Smooth(12, lambda a, b: np.abs(a).sum()),
                mode,
                mode=mode,
            )


def _histograms() -> Iterator[Case]:
    x = draw.spread(36)

    def counted(x: Array, **settings: Any) -> list[Array]:
        counts, edges = np.histogram(x, **settings)
        return [counts.astype(np.float64), edges]

    # Edges within some roundings of numbers below 2.
    near = _Near(8 * 2 * U)
    yield row(ops.histogram, counted, [x], near, differentiable=False)
    given: dict[str, Any] = {"bins": 4, "range": (-0.55, 0.6)}
    yield row(ops.histogram, lambda x: counted(x, **given), [x], near, "range", differentiable=False, **given)


CASES = [*_quantiles(), *_without_nan(), *_running(), *_pairs(), *_histograms()]
