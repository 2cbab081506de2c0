"""Rows of reductions, sorting and ranking."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from op_table.bounds import EXACT, SELECTION, Linear, Smooth
from op_table.case import Array, Case, row
from op_table.inputs import SPECIAL, Inputs
from oxiconv import ops

draw = Inputs("reduction")

AXES: list[dict[str, Any]] = [
    {},
    {"axis": 0},
    {"axis": -1, "keepdims": True},
    {"axis": (0, 2)},
    {"axis": (-1, 1), "keepdims": True},
]


def _label(settings: dict[str, Any]) -> str:
    return ",".join(f"{k}={v}" for k, v in settings.items()).replace(" ", "")


def _sums() -> Iterator[Case]:
    for op, oracle, bound in [(ops.sum, np.sum, Linear()), (ops.mean, np.mean, Linear(roundings=1))]:
        for s in AXES:
            yield row(op, lambda x, f=oracle, s=s: f(x, **s), [draw.normal(3, 4, 5)], bound, _label(s), **s)
        # Long rows, many rows, and shapes that leave rests on all sides.
        for dims, axis in [((3, 1300), 1), ((1300, 3), 0), ((2, 37, 5), 1), ((33, 2, 17), (0, 2)), ((1, 1), 0)]:
            s = {"axis": axis}
            yield row(op, lambda x, f=oracle, s=s: f(x, **s), [draw.normal(*dims)], bound, _label(s), **s)
    yield row(ops.sum, lambda x: x.sum(0), [draw.normal(0, 3)], Linear(), axis=0)
    yield row(ops.sum, lambda x: x.sum(1), [draw.normal(0, 3)], Linear(), axis=1)
    for x in (draw.integers(-99, 99, 4, 5), draw.integers(0, 256, 4, 5, dtype="uint8"), draw.truths(4, 5)):
        yield row(ops.sum, lambda x: x.astype(np.int32).sum(0), [x], EXACT, x.dtype.name, axis=0)
    for axis in (None, 1):
        yield row(
            ops.cumsum, lambda x, a=axis: np.cumsum(x, a), [draw.normal(3, 11)], Linear(), f"axis={axis}", axis=axis
        )
    yield row(ops.cumsum, lambda x: np.cumsum(x, 0, np.int32), [draw.integers(-9, 9, 7)], EXACT, axis=0)


def _extremes() -> Iterator[Case]:
    extremes: list[tuple[Any, Any]] = [(ops.max, np.max), (ops.min, np.min)]
    for op, oracle in [(ops.amax, np.max), (ops.amin, np.min)]:
        yield row(op, lambda x, f=oracle: f(x, 1), [draw.spread(3, 5)], SELECTION, axis=1)
    for op, oracle in extremes:
        for s in AXES:
            yield row(op, lambda x, f=oracle, s=s: f(x, **s), [draw.spread(3, 4, 5)], SELECTION, _label(s), **s)
        yield row(op, lambda x, f=oracle: f(x, 1), [draw.spread(2, 90, 3)], SELECTION, axis=1)
        yield row(op, lambda x, f=oracle: f(x, 1, initial=0.5), [draw.spread(4, 3)], SELECTION, axis=1, initial=0.5)
        for x in (draw.integers(-99, 99, 4, 5), draw.integers(0, 256, 4, 5, dtype="uint8"), draw.truths(4, 3)):
            yield row(op, lambda x, f=oracle: f(x, 1), [x], EXACT, x.dtype.name, axis=1)
        special = [np.stack([SPECIAL, np.roll(SPECIAL, 3), np.ones_like(SPECIAL)])]
        yield row(op, lambda x, f=oracle: f(x, 0), special, EXACT, "special", differentiable=False, axis=0)
    edges = [np.array([[-(2**31), 5], [2**31 - 1, -5]], np.int32)]
    yield row(ops.min, lambda x: x.min(0), edges, EXACT, "range", axis=0)
    places: list[tuple[Any, Any]] = [(ops.argmax, np.argmax), (ops.argmin, np.argmin)]
    for op, oracle in places:
        for s in AXES[:3]:
            ties = np.round(draw.normal(3, 4, 5))
            yield row(op, lambda x, f=oracle, s=s: f(x, **s), [ties], EXACT, _label(s), differentiable=False, **s)
        special = [np.stack([np.roll(SPECIAL, k) for k in range(4)])]
        yield row(op, lambda x, f=oracle: f(x, 1), special, EXACT, "special", differentiable=False, axis=1)
        yield row(op, lambda x, f=oracle: f(x, 0), [draw.integers(-3, 3, 6, 4)], EXACT, axis=0)


def _others() -> Iterator[Case]:
    for s in AXES[:3]:
        # Two sums of at most 12 terms, differences, squares, quotients, a root.
        for op, oracle in [(ops.var, np.var), (ops.std, np.std)]:
            yield row(op, lambda x, f=oracle, s=s: f(x, **s), [draw.normal(3, 4)], Smooth(30), _label(s), **s)
        yield row(ops.prod, lambda x, s=s: np.prod(x, **s), [draw.uniform(0.5, 2, 3, 4)], Smooth(12), _label(s), **s)
        # A sum of exponentials (2 ULP) of differences, its logarithm, and the peak added; |x| are the numbers that
        # cancel.
        yield row(
            ops.logsumexp,
            lambda x, s=s: np.log(np.sum(np.exp(x), **s)),
            [draw.normal(3, 4)],
            Smooth(24, lambda x: np.abs(x).max() + 3, lambda x: 1),
            _label(s),
            **s,
        )
    for n in (5, 8):
        yield row(ops.prod, lambda x: np.prod(x, 0), [draw.integers(-4, 5, n, 3)], EXACT, axis=0)
    yield row(ops.prod, lambda x: np.prod(x, 0), [draw.normal(0, 3)], EXACT, differentiable=False, axis=0)
    wide = np.array([[1e4, 1e4 + 1], [-1e4, -2e4]], np.float32)
    yield row(ops.logsumexp, lambda x: np.logaddexp(x[:, 0], x[:, 1]), [wide], Smooth(24), axis=1)
    none = [np.full((2, 3), -np.inf, np.float32)]
    yield row(ops.logsumexp, lambda x: np.full(2, -np.inf), none, EXACT, "nothing", differentiable=False, axis=1)
    weights = draw.uniform(0.2, 1.0, 4)
    for inputs in ([draw.normal(3, 4), weights], [draw.normal(3, 4), draw.uniform(0.2, 1.0, 3, 4)]):
        yield row(
            ops.average,
            lambda x, w: np.average(x, 1, w),
            inputs,
            Smooth(12, lambda x, w: np.abs(x).max(), lambda x, w: np.abs(x).max() / w.sum(-1).min()),
            call=lambda x, w: ops.average(x, 1, w),
        )
    yield row(ops.average, lambda x: np.average(x), [draw.normal(3, 4)], Linear(roundings=1))
    counts: list[tuple[Any, Any]] = [(ops.any, np.any), (ops.all, np.all), (ops.count_nonzero, np.count_nonzero)]
    for op, oracle in counts:
        for axis in (None, 0, (0, 1)):
            for x in (draw.integers(0, 2, 3, 4), draw.truths(3, 4), np.round(draw.normal(3, 4))):
                settings: dict[str, Any] = {"axis": axis}
                yield row(
                    op,
                    lambda x, f=oracle, s=settings: f(x, **s),
                    [x],
                    EXACT,
                    x.dtype.name + _label(settings),
                    **settings,
                )


def _ordering() -> Iterator[Case]:
    for axis in (0, -1, None):
        yield row(ops.sort, lambda x, a=axis: np.sort(x, a), [draw.spread(4, 5)], SELECTION, f"axis={axis}", axis=axis)
        ties = np.round(draw.normal(4, 5))
        yield row(
            ops.argsort,
            lambda x, a=axis: np.argsort(x, a, kind="stable"),
            [ties],
            EXACT,
            f"axis={axis}",
            differentiable=False,
            axis=axis,
        )
    yield row(ops.sort, lambda x: np.sort(x), [draw.integers(-9, 9, 3, 7)], EXACT)

    def largest(x: Array) -> list[Array]:
        order = np.argsort(-x, -1, kind="stable")[..., :3]
        return [np.take_along_axis(x, order, -1), order]

    yield row(ops.top_k, largest, [draw.spread(4, 6)], SELECTION, k=3)
    yield row(ops.top_k, lambda x: largest(x.astype(np.int64)), [draw.integers(-9, 9, 2, 6)], EXACT, k=3)

    def among(t: Array, p: Array) -> Array:
        return np.array([np.count_nonzero(row > row[i]) < 2 for i, row in zip(t, p, strict=True)])

    yield row(
        ops.in_top_k, among, [draw.integers(0, 5, 8), np.round(draw.normal(8, 5))], EXACT, differentiable=False, k=2
    )
    for axis in (None, 0, 1):
        yield row(
            ops.median,
            lambda x, a=axis: np.median(x, a),
            [draw.spread(5, 4)],
            Linear(roundings=1, local=True),
            f"axis={axis}",
            axis=axis,
        )


CASES = [*_sums(), *_extremes(), *_others(), *_ordering()]
