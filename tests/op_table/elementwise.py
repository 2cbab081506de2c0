"""Rows of elementwise functions."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from statistics import NormalDist
from typing import Any

import numpy as np

from op_table.bounds import EXACT, Elementwise
from op_table.case import Array, Case, row
from op_table.inputs import SPECIAL, Inputs
from oxiconv import ops

draw = Inputs("elementwise")

erf = np.vectorize(math.erf, otypes=[np.float64])


def _erfinv(x: Array) -> Array:
    edges = {1.0: math.inf, -1.0: -math.inf}
    inside = NormalDist().inv_cdf

    def one(v: float) -> float:
        return edges[v] if v in edges else inside((v + 1) / 2) / math.sqrt(2) if abs(v) < 1 else math.nan

    return np.vectorize(one, otypes=[np.float64])(x)


def _one(*x: Array) -> float:
    return 1.0


# Function, definition, range of inputs, bound. ULPs are those of `rust/cpu/math`; sqrt is correctly rounded. The
# derivatives of expm1 (y + 1) and tanh (1 - y^2) subtract numbers of size 1.
UNARY: list[tuple[Any, Callable[[Array], Array], float, float, Elementwise]] = [
    (ops.negative, lambda x: -x, -3, 3, Elementwise()),
    (ops.square, lambda x: x * x, -3, 3, Elementwise(ulps=1)),
    (ops.reciprocal, lambda x: 1 / x, 0.3, 4, Elementwise(ulps=1)),
    (ops.sqrt, np.sqrt, 0.2, 9, Elementwise(ulps=1)),
    (ops.rsqrt, lambda x: 1 / np.sqrt(x), 0.2, 9, Elementwise(ulps=2)),
    (ops.exp, np.exp, -8, 8, Elementwise(ulps=2)),
    (ops.expm1, np.expm1, -4, 4, Elementwise(ulps=3, gradient_terms=_one)),
    (ops.log, np.log, 0.2, 9, Elementwise(ulps=2)),
    (ops.log1p, np.log1p, -0.8, 9, Elementwise(ulps=2)),
    # A logarithm of 2 ULP and a quotient.
    (ops.log2, np.log2, 0.2, 9, Elementwise(ulps=3)),
    (ops.log10, np.log10, 0.2, 9, Elementwise(ulps=3)),
    (ops.sin, np.sin, -9, 9, Elementwise(ulps=2)),
    (ops.cos, np.cos, -9, 9, Elementwise(ulps=2)),
    (ops.tan, np.tan, -1.3, 1.3, Elementwise(ulps=3)),
    (ops.tanh, np.tanh, -4, 4, Elementwise(ulps=3, gradient_terms=_one)),
    (ops.sigmoid, lambda x: 1 / (1 + np.exp(-x)), -9, 9, Elementwise(ulps=3, gradient_terms=_one)),
    (ops.arctan, np.arctan, -4, 4, Elementwise(ulps=3)),
    (ops.erf, erf, -3, 3, Elementwise(ulps=2)),
    # The polynomials of degree 8 in a logarithm that is 0.4 U off at best: 2 * 9 operations.
    (ops.erfinv, _erfinv, -0.9, 0.9, Elementwise(roundings=18, gradient_terms=_one)),
]

# Piecewise linear or constant, exact, and without a derivative at steps: these take inputs that keep off them.
STEPS: list[tuple[Any, Callable[[Array], Array]]] = [
    (ops.absolute, np.abs),
    (ops.sign, np.sign),
    (ops.floor, np.floor),
    (ops.ceil, np.ceil),
    (ops.round, np.round),
    (ops.isnan, np.isnan),
    (ops.isinf, np.isinf),
    (ops.isfinite, np.isfinite),
    (ops.logical_not, lambda x: x == 0),
    (ops.stop_gradient, lambda x: x),
]

BINARY: list[tuple[Any, Callable[[Array, Array], Array], tuple[float, float], tuple[float, float], Elementwise]] = [
    (ops.add, lambda a, b: a + b, (-3, 3), (-3, 3), Elementwise(ulps=1)),
    (ops.subtract, lambda a, b: a - b, (-3, 3), (-3, 3), Elementwise(ulps=1)),
    (ops.multiply, lambda a, b: a * b, (-3, 3), (-3, 3), Elementwise(ulps=1)),
    (ops.true_divide, lambda a, b: a / b, (-3, 3), (0.4, 3), Elementwise(ulps=1)),
    (ops.divide_no_nan, lambda a, b: a / b, (-3, 3), (0.4, 3), Elementwise(ulps=1)),
    (ops.power, lambda a, b: a**b, (0.3, 3), (-2, 2), Elementwise(ulps=1)),
    (ops.arctan2, np.arctan2, (0.3, 3), (0.3, 3), Elementwise(ulps=3)),
    # log1p(exp(-|a - b|)) + max(a, b): five operations, on terms no larger than |a| + |b| + 1.
    (
        ops.logaddexp,
        np.logaddexp,
        (-3, 0),
        (0.1, 3),
        Elementwise(roundings=12, terms=lambda a, b: np.abs(a) + np.abs(b) + 1, gradient_terms=_one),
    ),
]

COMPARISONS: list[tuple[Any, Callable[[Array, Array], Array]]] = [
    (ops.equal, np.equal),
    (ops.not_equal, np.not_equal),
    (ops.less, np.less),
    (ops.less_equal, np.less_equal),
    (ops.greater, np.greater),
    (ops.greater_equal, np.greater_equal),
    (ops.logical_and, np.logical_and),
    (ops.logical_or, np.logical_or),
    (ops.logical_xor, np.logical_xor),
]


def _unary() -> Iterator[Case]:
    shapes: list[tuple[int, ...]] = [(2, 35), (), (0, 3), (1, 1)]
    for op, oracle, low, high, bound in UNARY:
        for dims in shapes:
            yield row(op, oracle, [draw.uniform(low, high, *dims)], bound)
        yield row(
            op, oracle, [SPECIAL], Elementwise(ulps=bound.ulps + bound.roundings), "special", differentiable=False
        )
    for op, oracle in STEPS:
        constant = op in (ops.stop_gradient,)
        for dims in shapes:
            yield row(
                op, oracle, [draw.spread(*dims)], EXACT if constant else Elementwise(), differentiable=not constant
            )
        yield row(op, oracle, [SPECIAL], Elementwise(), "special", differentiable=False)


def _binary() -> Iterator[Case]:
    pairs: list[tuple[tuple[int, ...], tuple[int, ...]]] = [
        ((2, 35), (2, 35)),
        ((4, 1, 5), (3, 1)),
        ((), (7,)),
        ((3, 1), (1, 0)),
    ]
    for op, oracle, one, two, bound in BINARY:
        for a, b in pairs:
            yield row(op, oracle, [draw.uniform(*one, *a), draw.uniform(*two, *b)], bound)
    special = [SPECIAL[:, None], SPECIAL]
    for op, oracle, *_, bound in BINARY:
        if op not in (ops.divide_no_nan, ops.logaddexp):
            yield row(op, oracle, special, Elementwise(ulps=bound.ulps), "special", differentiable=False)
    for op, oracle in [(ops.maximum, np.maximum), (ops.minimum, np.minimum)]:
        yield row(op, oracle, [draw.spread(3, 7), draw.spread(3, 7) + np.float32(0.015)], Elementwise())
        yield row(op, oracle, [draw.spread(3, 1), draw.spread(4) + np.float32(0.015)], Elementwise())
        yield row(op, oracle, special, Elementwise(), "special", differentiable=False)
        yield row(op, oracle, [draw.integers(-9, 9, 5, 1), draw.integers(-9, 9, 4)], EXACT)
    for op, oracle in COMPARISONS:
        coarse = [np.round(draw.normal(3, 1, 8)), np.round(draw.normal(5, 1))]
        yield row(op, oracle, coarse, Elementwise(), differentiable=False)
        yield row(op, oracle, special, Elementwise(), "special", differentiable=False)
        yield row(op, oracle, [draw.integers(0, 3, 4, 5), draw.integers(0, 3, 5)], EXACT)
        yield row(op, oracle, [draw.truths(4, 5), draw.truths(4, 1)], EXACT)


def _division() -> Iterator[Case]:
    divisor = np.array([2.5, -3.5, 0.75, 4.0, -1.25], np.float32)
    far = [
        (draw.integers(-4, 5, 4, 5) + draw.uniform(0.2, 0.8, 4, 5)) * divisor,
        divisor,
    ]  # quotients off the whole numbers
    far = [a.astype(np.float32) for a in far]
    # A remainder is a - b * floor(a / b), exact but for one rounding when signs differ.
    yield row(ops.mod, np.mod, far, Elementwise(ulps=1))
    yield row(ops.floor_divide, np.floor_divide, far, Elementwise())
    for op, oracle in [(ops.mod, np.mod), (ops.floor_divide, np.floor_divide)]:
        yield row(op, oracle, [draw.integers(-20, 20, 6, 1), np.array([3, -4, 7, 1, -1], np.int32)], EXACT)
        yield row(op, oracle, [draw.integers(0, 255, 6, dtype="uint8"), np.array([3], np.uint8)], EXACT)
    zeros = [np.array([1.0, -2.0, 0.0], np.float32), np.zeros(3, np.float32)]
    yield row(ops.divide_no_nan, lambda a, b: np.zeros(3), zeros, EXACT)


def _integers() -> Iterator[Case]:
    a, b = draw.integers(-50, 50, 4, 1), draw.integers(-50, 50, 3)
    for op, oracle in [(ops.add, np.add), (ops.subtract, np.subtract), (ops.multiply, np.multiply)]:
        yield row(op, oracle, [a, b], EXACT)
        # Numbers wrap around, in int32 as in uint8.
        large = np.array([2**31 - 1, -(2**31), 2**30], np.int32)
        yield row(op, lambda a, b, f=oracle: f(a, b), [large, large[::-1].copy()], EXACT, "wrap")
        small = [draw.integers(0, 256, 9, dtype="uint8"), draw.integers(0, 256, 9, dtype="uint8")]
        yield row(op, oracle, small, EXACT, "wrap")
        # Promotion: to the wider of the two, bool to int32.
        yield row(op, lambda a, b, f=oracle: f(a.astype(np.int32), b), [draw.truths(5), draw.integers(0, 9, 5)], EXACT)
        yield row(
            op,
            lambda a, b, f=oracle: f(a.astype(float), b),
            [draw.integers(0, 9, 5), draw.normal(5)],
            Elementwise(ulps=1),
        )
    yield row(ops.true_divide, np.true_divide, [a, np.array([1, 3, -7], np.int32)], Elementwise(ulps=1))
    signed: list[tuple[Any, Any]] = [
        (ops.negative, np.negative),
        (ops.absolute, np.abs),
        (ops.sign, np.sign),
        (ops.square, np.square),
    ]
    for op, oracle in signed:
        yield row(op, oracle, [draw.integers(-99, 99, 11)], EXACT)
    yield row(ops.power, lambda a: a**3, [draw.integers(-9, 9, 7)], EXACT, call=lambda a: ops.power(a, 3))


def _selection() -> Iterator[Case]:
    yield row(ops.where, np.where, [draw.truths(3, 4), draw.normal(3, 1), draw.normal(4)], Elementwise())
    yield row(ops.where, np.where, [draw.truths(3, 1), draw.integers(-9, 9, 4), draw.integers(-9, 9, 3, 4)], EXACT)
    yield row(ops.clip, lambda x: np.clip(x, -0.5, 0.75), [draw.spread(4, 9)], Elementwise(), x_min=-0.5, x_max=0.75)
    yield row(ops.clip, np.clip, [draw.integers(-9, 9, 12), np.int32(-3), np.int32(4)], EXACT)
    for exponent in (0.5, 1.0, 2, 3.0, 7, 16, -1.5, 2.25):
        # Repeated squaring takes up to 8 products.
        yield row(
            ops.power,
            lambda x, e=exponent: x**e,
            [draw.uniform(0.3, 1.7, 9)],
            Elementwise(ulps=1, roundings=8),
            f"{exponent}",
            call=lambda x, e=exponent: ops.power(x, e),
        )
    yield row(
        ops.power, lambda x: x**2, [np.zeros(2, np.float32)], Elementwise(ulps=1), "zero", lambda x: ops.power(x, 2)
    )
    for decimals in (1, -1):
        # A product, a rounding and a quotient.
        near = (draw.integers(-20, 20, 40) + draw.uniform(-0.3, 0.3, 40)) * 10.0**-decimals
        yield row(
            ops.round,
            lambda x, d=decimals: np.round(x, d),
            [near.astype(np.float32)],
            Elementwise(ulps=2),
            decimals=decimals,
        )
    large = float(np.finfo(np.float32).max)
    yield row(
        ops.nan_to_num, lambda x: np.nan_to_num(x, posinf=large, neginf=-large), [SPECIAL], EXACT, differentiable=False
    )
    yield row(
        ops.nan_to_num,
        lambda x: np.nan_to_num(x, nan=2, posinf=3, neginf=-4),
        [SPECIAL],
        EXACT,
        differentiable=False,
        nan=2.0,
        posinf=3.0,
        neginf=-4.0,
    )
    near = [
        np.array([1, 1, 1, np.nan, np.inf, np.inf], np.float32),
        np.array([1, 1.00002, 1.000005, np.nan, np.inf, 1], np.float32),
    ]
    for equal in (False, True):
        yield row(
            ops.isclose,
            lambda a, b, e=equal: np.isclose(a, b, equal_nan=e),
            near,
            EXACT,
            differentiable=False,
            equal_nan=equal,
        )


def _casts() -> Iterator[Case]:
    values = np.array([-1e10, -300.5, -1.9, -0.0, 0.4, 2.7, 255.5, 1e10, np.inf, -np.inf], np.float32)
    for dtype, low, high in [("int32", -(2**31), 2**31 - 1), ("uint8", 0, 255)]:
        yield row(
            ops.cast,
            lambda x, t=dtype, a=low, b=high: np.trunc(np.clip(x, a, b)).astype(t),
            [values],
            EXACT,
            dtype,
            differentiable=False,
            dtype=dtype,
        )
    yield row(ops.cast, lambda x: x != 0, [values], EXACT, "bool", differentiable=False, dtype="bool")
    for source in (draw.integers(-9, 9, 2, 3), draw.truths(4), draw.integers(0, 256, 5, dtype="uint8")):
        yield row(ops.cast, lambda x: x.astype(float), [source], EXACT, "float32", dtype="float32")
    yield row(ops.cast, lambda x: x, [draw.normal(3, 5)], EXACT, "float32", dtype="float32")
    yield row(
        ops.saturate_cast,
        lambda x: np.clip(x, 0, 255).astype(np.uint8),
        [draw.integers(-300, 600, 20)],
        EXACT,
        "uint8",
        dtype="uint8",
    )


CASES = [*_unary(), *_binary(), *_division(), *_integers(), *_selection(), *_casts()]
