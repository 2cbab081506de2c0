"""Rows of elementary and special functions that compose those of the core."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from op_table.bounds import EXACT, Elementwise
from op_table.case import Array, Case, row
from op_table.inputs import SPECIAL, Inputs
from oxiconv import ops

draw = Inputs("elementary")


def _one(*x: Array) -> float:
    return 1.0


def _sizes(*x: Array) -> Any:
    return 1 + sum(np.abs(v) for v in x)


def _i0(x: Array) -> Array:
    """The mean of exp(x cos t) over a circle: with 200 points exact to rounding for |x| below 50."""
    t = np.arange(200) * (2 * math.pi / 200)
    return np.exp(np.multiply.outer(x, np.cos(t))).mean(-1)


_erfc = np.vectorize(math.erfc, otypes=[np.float64])

# Function, definition, range, bound. Roundings count the operations, a function of the core of n ULP as 2 n; `terms`
# and `gradient_terms` are what cancels.
UNARY: list[tuple[Any, Callable[[Array], Array], float, float, Elementwise]] = [
    (ops.exp2, np.exp2, -8, 8, Elementwise(ulps=2)),
    # The root's error is what the Newton step leaves: a few roundings of the quotient.
    (ops.cbrt, np.cbrt, 0.2, 9, Elementwise(ulps=3)),
    (ops.cbrt, np.cbrt, -9, -0.2, Elementwise(ulps=3)),
    (ops.sinh, np.sinh, -4, 4, Elementwise(ulps=4, gradient_terms=np.cosh)),
    (ops.cosh, np.cosh, -4, 4, Elementwise(ulps=6, gradient_terms=np.cosh)),
    (ops.arcsinh, np.arcsinh, -9, 9, Elementwise(roundings=14, gradient_terms=_one)),
    (ops.arccosh, np.arccosh, 1.2, 9, Elementwise(roundings=14, gradient_terms=_one)),
    (ops.arctanh, np.arctanh, -0.8, 0.8, Elementwise(roundings=10, gradient_terms=_one)),
    (ops.arcsin, np.arcsin, -0.9, 0.9, Elementwise(roundings=12, gradient_terms=_one)),
    (ops.arccos, np.arccos, -0.9, 0.9, Elementwise(roundings=12, gradient_terms=_one)),
    (ops.sinc, np.sinc, 0.2, 3, Elementwise(roundings=12, terms=_one, gradient_terms=lambda x: 3 / x)),
    (ops.deg2rad, np.deg2rad, -200, 200, Elementwise(ulps=2)),
    (ops.rad2deg, np.rad2deg, -4, 4, Elementwise(ulps=2)),
    (ops.erfc, _erfc, -3, 5, Elementwise(roundings=24, gradient_terms=_one)),
    # The polynomials are off by 2e-7, 4 U; their derivatives by that times their degree.
    (ops.i0, _i0, 0.1, 9, Elementwise(roundings=40, gradient_terms=_i0)),
    (ops.fabs, np.fabs, 0.1, 3, Elementwise()),
    (ops.trunc, np.trunc, 0.1, 0.9, Elementwise()),
    (ops.angle, lambda x: np.where(x < 0, math.pi, 0.0), -3, -0.1, Elementwise(ulps=1)),
    (ops.real, lambda x: x, -3, 3, Elementwise()),
    (ops.imag, lambda x: 0 * x, -3, 3, Elementwise()),
    (ops.conj, lambda x: x, -3, 3, Elementwise()),
    (ops.copy, lambda x: x, -3, 3, Elementwise()),
]

BINARY: list[tuple[Any, Callable[[Array, Array], Array], Elementwise]] = [
    (ops.hypot, np.hypot, Elementwise(roundings=10, gradient_terms=_one)),
    (ops.logaddexp2, np.logaddexp2, Elementwise(roundings=18, terms=_sizes, gradient_terms=_one)),
    (ops.fmax, np.fmax, Elementwise()),
    (ops.fmin, np.fmin, Elementwise()),
    (ops.heaviside, np.heaviside, Elementwise()),
]


def _unary() -> Iterator[Case]:
    for op, oracle, low, high, bound in UNARY:
        for dims in [(2, 35), (), (0, 3)]:
            yield row(op, oracle, [draw.uniform(low, high, *dims)], bound, f"from{low}")
        if op not in (ops.i0, ops.sinc, ops.imag, ops.angle):
            rough = Elementwise(ulps=bound.ulps + bound.roundings)
            yield row(op, oracle, [SPECIAL], rough, f"special{low}", differentiable=False)
    # Where a carelessly written formula overflows, cancels, or has no gradient.
    edges: list[tuple[Any, Callable[[Array], Array], list[float]]] = [
        (ops.sinh, np.sinh, [-89.0, -20.0, 0.0, 1e-6, 25.0, 89.0]),
        (ops.cosh, np.cosh, [-89.0, 0.0, 89.0]),
        (ops.arcsinh, np.arcsinh, [-1e30, -1e10, -1e-4, 0.0, 1e-6, 1e30]),
        (ops.arctanh, np.arctanh, [-1e-5, 0.0, 1e-6]),
        (ops.arcsin, np.arcsin, [0.0, 1e-6]),
        (ops.erfc, _erfc, [0.0, 8.5]),
    ]
    for op, oracle, points in edges:
        x = np.array(points, np.float32)
        bound = Elementwise(ulps=16)
        yield row(op, oracle, [x], bound, "edges", differentiable=False)
    for op in (ops.sinh, ops.arcsinh, ops.arctanh, ops.arcsin):
        yield row(op, lambda x: x, [np.zeros(2, np.float32)], Elementwise(), "slope")
    far = np.array([1.5, 1e10, 1e30], np.float32)
    yield row(ops.arccosh, np.arccosh, [far], Elementwise(ulps=6), "far", differentiable=False)
    yield row(ops.sinc, np.sinc, [np.zeros(2, np.float32)], Elementwise(ulps=1), "zero", differentiable=False)
    yield row(
        ops.i0, _i0, [np.array([0, 3.75, -3.7, 30], np.float32)], Elementwise(ulps=12), "ends", differentiable=False
    )


def _binary() -> Iterator[Case]:
    for op, oracle, bound in BINARY:
        for a, b in [((2, 35), (2, 35)), ((4, 1, 5), (3, 1)), ((), (7,))]:
            # A distance has a kink where both are 0.
            away = np.float32(3 if op is ops.hypot else 0.015)
            yield row(op, oracle, [draw.spread(*a), draw.spread(*b) + away], bound)
        nan = np.array([np.nan, 1, np.nan, np.inf, -np.inf, 3], np.float32)
        if op not in (ops.hypot,):
            yield row(op, oracle, [nan, nan[::-1].copy()], Elementwise(ulps=20), "special", differentiable=False)
    large = [np.array([3e30, 0.0, 3e-30], np.float32), np.array([4e30, 0.0, 4e-30], np.float32)]
    yield row(ops.hypot, np.hypot, large, Elementwise(ulps=3), "large", differentiable=False)
    zeros = [np.zeros(2, np.float32), np.zeros(2, np.float32)]
    yield row(ops.hypot, lambda a, b: 0 * (a + b), zeros, Elementwise(), "zero")
    yield row(
        ops.ldexp,
        lambda x, e: x * 2.0**e,
        [draw.normal(9), np.array([0, 1, -1, 5, -20, 30, 100, -100, 3], np.int32)],
        Elementwise(ulps=1),
    )
    extreme = [np.array([2.0**-100, 2.0**100], np.float32), np.array([150, -150], np.int32)]
    yield row(ops.ldexp, lambda x, e: x * 2.0**e, extreme, Elementwise(ulps=2), "extreme", differentiable=False)


def _integers() -> Iterator[Case]:
    a, b = draw.integers(-90, 90, 40), draw.integers(1, 40, 40)
    # C's remainder: of the quotient that is rounded towards 0.
    yield row(ops.fmod, np.fmod, [a, b], EXACT)
    far = [(draw.integers(-4, 5, 20) + draw.uniform(0.2, 0.8, 20)) * 2.5, np.full(20, 2.5, np.float32)]
    yield row(ops.fmod, np.fmod, [far[0].astype(np.float32), far[1]], Elementwise(ulps=1))
    fibonacci = [np.array([1836311903, 0, -12, 2**30], np.int32), np.array([1134903170, 7, 18, 2**20], np.int32)]
    for op, oracle in [(ops.gcd, np.gcd), (ops.lcm, np.lcm)]:
        yield row(op, oracle, [a, b], EXACT)
        yield row(op, oracle, [a[:5, None], b[:4]], EXACT)
    yield row(ops.gcd, np.gcd, fibonacci, EXACT, "long")
    yield row(
        ops.gcd, np.gcd, [draw.integers(0, 256, 9, dtype="uint8"), draw.integers(0, 256, 9, dtype="uint8")], EXACT
    )
    yield row(ops.fabs, lambda x: np.fabs(x), [a], EXACT, "int32")
    yield row(ops.trunc, lambda x: x, [a], EXACT, "int32")


CASES = [*_unary(), *_binary(), *_integers()]
