"""Rows of the core's primitives, in the ways that no public function calls them."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from op_table.bounds import EXACT, SELECTION, Elementwise, Linear
from op_table.case import Array, Case, row
from op_table.elementwise import erf
from op_table.inputs import Inputs
from op_table.products import Product, convolution, transposed
from oxiconv import _core

draw = Inputs("primitives")

# Every name that `_core.unary` and `_core.binary` take; the bounds are those of `op_table.elementwise`.
UNARY: dict[str, tuple[Any, float, float, int]] = {
    "neg": (lambda x: -x, -3, 3, 0),
    "abs": (np.abs, 0.1, 3, 0),
    "sign": (np.sign, 0.1, 3, 0),
    "floor": (np.floor, 1.1, 1.9, 0),
    "ceil": (np.ceil, 1.1, 1.9, 0),
    "round": (np.round, 1.6, 2.4, 0),
    "sqrt": (np.sqrt, 0.2, 9, 1),
    "rsqrt": (lambda x: 1 / np.sqrt(x), 0.2, 9, 2),
    "exp": (np.exp, -5, 5, 2),
    "expm1": (np.expm1, -3, 3, 3),
    "log": (np.log, 0.2, 9, 2),
    "log1p": (np.log1p, -0.7, 9, 2),
    "sin": (np.sin, -9, 9, 2),
    "cos": (np.cos, -9, 9, 2),
    "tan": (np.tan, -1.3, 1.3, 3),
    "tanh": (np.tanh, -3, 3, 3),
    "sigmoid": (lambda x: 1 / (1 + np.exp(-x)), -5, 5, 3),
    "erf": (erf, -3, 3, 2),
    "not": (np.logical_not, 0, 1, 0),
    "isnan": (np.isnan, -3, 3, 0),
}
BINARY: dict[str, tuple[Any, int]] = {
    "add": (np.add, 1),
    "sub": (np.subtract, 1),
    "mul": (np.multiply, 1),
    "div": (np.divide, 1),
    "floordiv": (np.floor_divide, 0),
    "pow": (np.power, 1),
    "min": (np.minimum, 0),
    "max": (np.maximum, 0),
    "mod": (np.mod, 1),
    "atan2": (np.arctan2, 3),
    "eq": (np.equal, 0),
    "ne": (np.not_equal, 0),
    "lt": (np.less, 0),
    "le": (np.less_equal, 0),
    "gt": (np.greater, 0),
    "ge": (np.greater_equal, 0),
    "and": (np.logical_and, 0),
    "or": (np.logical_or, 0),
}


def _maps() -> Iterator[Case]:
    for name, (oracle, low, high, ulps) in UNARY.items():
        x = draw.truths(3, 5) if name == "not" else draw.uniform(low, high, 3, 5)
        bound = Elementwise(ulps=ulps, gradient_terms=lambda x: 1.0)
        yield row(_core.unary, oracle, [x], bound, name, lambda x, n=name: _core.unary(n, x))
    for name, (oracle, ulps) in BINARY.items():
        logic = name in ("and", "or")
        # Quotients between 1.1 and 1.9: off the steps of floordiv and mod.
        one, two = (
            (draw.truths(3, 5), draw.truths(5)) if logic else (draw.uniform(2.2, 2.85, 3, 5), draw.uniform(1.5, 2.0, 5))
        )
        bound = Elementwise(ulps=ulps)
        yield row(_core.binary, oracle, [one, two], bound, name, lambda a, b, n=name: _core.binary(n, a, b))
        if not logic:
            yield row(
                _core.binary,
                lambda a, f=oracle: f(a, 1.75),
                [one],
                bound,
                f"{name} number",
                lambda a, n=name: _core.binary(n, a, 1.75),
            )
    yield row(_core.select, np.where, [draw.truths(4, 1), draw.normal(4, 3), draw.normal(3)], Elementwise())
    yield row(
        _core.select,
        lambda c, x: np.where(c, x, 2.5),
        [draw.truths(7), draw.normal(7)],
        Elementwise(),
        "number",
        lambda c, x: _core.select(c, x, 2.5),
    )
    yield row(
        _core.cast,
        lambda x: x.astype(float),
        [draw.integers(-9, 9, 5)],
        EXACT,
        "float32",
        lambda x: _core.cast(x, "float32"),
    )
    yield row(
        _core.cast,
        lambda x: np.trunc(x).astype(np.int32),
        [draw.normal(9) * 9],
        EXACT,
        "int32",
        lambda x: _core.cast(x, "int32"),
    )
    yield row(_core.detach, lambda x: x, [draw.normal(4)], EXACT, differentiable=False)


def _moves() -> Iterator[Case]:
    x = [draw.normal(4, 5, 3)]
    yield row(_core.sum, lambda x: x.sum((0, 2)), x, Linear(), "", lambda x: _core.sum(x, (0, 2)))
    yield row(_core.max, lambda x: x.max(1), [draw.spread(4, 5, 3)], SELECTION, "", lambda x: _core.max(x, (1,)))
    yield row(
        _core.broadcast_to,
        lambda x: np.broadcast_to(x, (2, 4, 5, 3)),
        x,
        Linear(),
        "",
        lambda x: _core.broadcast_to(x, (2, 4, 5, 3)),
    )
    yield row(_core.reshape, lambda x: x.reshape(10, 6), x, EXACT, "", lambda x: _core.reshape(x, (10, 6)))
    yield row(_core.reshape, lambda x: x.reshape(20, 3), x, EXACT, "rows", lambda x: _core.reshape(x, (20, 3)))
    yield row(_core.permute, lambda x: x.transpose(1, 0, 2), x, EXACT, "", lambda x: _core.permute(x, (1, 0, 2)))
    part = lambda x: _core.slice(x, (0, 4, 0), (4, 4, 3), (1, 1, 1))  # noqa: E731
    yield row(_core.slice, lambda x: x[:, 4:4], x, EXACT, "empty", part)
    for start, stop, step in [
        ((1, 0, 0), (4, 5, 2), (1, 1, 1)),
        ((0, 1, 0), (4, 5, 3), (3, 3, 2)),
        ((0, 0, 1), (4, 5, 3), (1, 2, 1)),
    ]:
        yield row(
            _core.slice,
            lambda x, w=(start, stop, step): x[tuple(slice(*v) for v in zip(*w, strict=True))],
            x,
            EXACT,
            f"{start}{stop}{step}".replace(" ", ""),
            lambda x, w=(start, stop, step): _core.slice(x, *w),
        )
    for low, high, interior in [
        ((0, 1, 2), (0, 0, 1), (0, 0, 0)),
        ((1, 0, 0), (2, 1, 0), (1, 2, 0)),
        ((0, 0, 0), (0, 3, 0), (0, 0, 1)),
    ]:

        def padded(x: Array, low: Any = low, high: Any = high, interior: Any = interior) -> Array:
            dims = [a + n + (n - 1) * i + b for n, a, b, i in zip(x.shape, low, high, interior, strict=True)]
            y = np.zeros(dims)
            y[
                tuple(
                    slice(a, a + (n - 1) * (i + 1) + 1, i + 1) for n, a, i in zip(x.shape, low, interior, strict=True)
                )
            ] = x
            return y

        yield row(
            _core.pad,
            padded,
            x,
            EXACT,
            f"{low}{high}{interior}".replace(" ", ""),
            lambda x, w=(low, high, interior): _core.pad(x, *w),
        )
    parts = [draw.normal(2, 1), draw.normal(2, 4), draw.normal(2, 0)]
    yield row(_core.concat, lambda *x: np.concatenate(x, 1), parts, EXACT, "", lambda *x: _core.concat(x, 1))
    for axis, index in [
        (0, draw.integers(0, 4, 7)),
        (1, draw.integers(0, 5, 2, 3)),
        (2, np.array(2, np.int32)),
        (0, draw.integers(0, 4, 0)),
    ]:
        yield row(
            _core.gather,
            lambda x, i, a=axis: np.take(x, i, a),
            [*x, index],
            EXACT,
            f"{axis}",
            lambda x, i, a=axis: _core.gather(x, i, a),
        )

    for axis, index in [(1, draw.integers(0, 5, 4, 3)), (2, draw.integers(0, 3, 4, 2, 3)), (1, draw.integers(0, 5, 4))]:
        yield row(
            _core.gather_each,
            lambda x, i, a=axis: np.stack([np.take(y, j, a - 1) for y, j in zip(x, i, strict=True)]),
            [*x, index],
            EXACT,
            f"{axis}",
            lambda x, i, a=axis: _core.gather_each(x, i, a),
        )

    def scattered(x: Array, i: Array, axis: int, size: int) -> Array:
        y: Array = np.zeros((*x.shape[:axis], size, *x.shape[axis + i.ndim :]))
        lead = (slice(None),) * axis
        for place in np.ndindex(i.shape):
            y[(*lead, int(i[place]))] += x[(*lead, *place)]
        return y

    for axis, index in [(0, draw.integers(0, 3, 4)), (1, draw.integers(0, 6, 5)), (0, draw.integers(0, 6, 4, 5))]:
        yield row(
            _core.scatter_add,
            lambda x, i, a=axis: scattered(x, i, a, 6),
            [*x, index],
            Linear(),
            f"{axis}",
            lambda x, i, a=axis: _core.scatter_add(x, i, a, 6),
        )
    for axis, index in [(1, draw.integers(0, 6, 4, 5)), (2, draw.integers(0, 3, 4, 3))]:
        yield row(
            _core.scatter_each,
            lambda x, i, a=axis: np.stack([scattered(y, j, a - 1, 6) for y, j in zip(x, i, strict=True)]),
            [*x, index],
            Linear(),
            f"{axis}",
            lambda x, i, a=axis: _core.scatter_each(x, i, a, 6),
        )


def _orders() -> Iterator[Case]:
    def order(x: Array) -> Array:
        return np.argsort(x, -1, kind="stable").astype(np.int32)

    ties = np.array([[2, 1, np.nan, 1, -0.0, 0.0], [np.inf, -np.inf, np.nan, 3, np.nan, 3]], np.float32)
    for x in (ties, draw.spread(3, 40), draw.normal(4, 0), draw.normal(7)):
        yield row(_core.argsort, order, [x], EXACT, differentiable=False)
    for x in (draw.integers(-9, 9, 5, 2, 30), draw.integers(0, 9, 3, 9, dtype="uint8"), draw.truths(2, 9)):
        yield row(_core.argsort, order, [x], EXACT, x.dtype.name)

    def added(x: Array, i: Array) -> Array:
        y = np.zeros((4, 3), np.int32)
        np.add.at(y, i, x)
        return y

    whole = [draw.integers(-(2**31), 2**31 - 1, 6, 3), draw.integers(0, 4, 6)]
    yield row(_core.scatter_add, added, whole, EXACT, "int32", lambda x, i: _core.scatter_add(x, i, 0, 4))


def _products() -> Iterator[Case]:
    p = Product.einsum("abmk", "abkn", "abmn", a=2, b=3, m=4, k=5, n=6)
    yield row(_core.matmul, p, [draw.normal(2, 3, 4, 5), draw.normal(2, 3, 5, 6)], p)
    for x, kernel, strides, dilation, low, high, groups in [
        ((2, 6, 5, 3), (3, 2, 3, 4), (1, 1), (1, 1), (2, 0), (0, 1), 1),
        ((2, 6, 7, 4), (3, 3, 2, 6), (2, 1), (1, 2), (1, 3), (2, 0), 2),
        ((3, 5, 6), (4, 2, 9), (1,), (1,), (3,), (3,), 3),
        ((2, 4, 3, 4, 2), (3, 2, 2, 1, 4), (1, 2, 1), (1, 1, 2), (1, 1, 0), (1, 0, 2), 2),
        ((2, 2, 2, 3), (3, 3, 3, 4), (1, 1), (1, 1), (4, 4), (4, 4), 1),
    ]:
        geometry = (strides, dilation, low, high)
        p = convolution(x, kernel, *geometry, groups)
        label = f"s{strides}d{dilation}l{low}h{high}g{groups}".replace(" ", "")
        k = draw.normal(*kernel)
        yield row(
            _core.conv, p, [draw.normal(*x), k], p, label, lambda a, b, s=(*geometry, groups): _core.conv(a, b, *s)
        )
        sizes = x[1:-1]
        yield row(
            _core.conv_transpose,
            q := transposed(p, x),
            [draw.normal(*p.dims), k],
            q,
            label,
            lambda a, b, s=(sizes, *geometry, groups): _core.conv_transpose(a, b, *s),
        )


def _philox(state: Array, count: int) -> Array:
    """Philox 4x32 of ten rounds (Salmon et al. 2011), four words for each of `count` blocks."""
    counter = [
        np.arange(count, dtype=np.uint64),
        *(np.full(count, v, np.uint64) for v in (0, int(state[1]) % 2**32, 0)),
    ]
    key = [int(state[0]) % 2**32, 0]
    low = np.uint64(2**32 - 1)
    for _ in range(10):
        a, b = counter[0] * np.uint64(0xD2511F53), counter[2] * np.uint64(0xCD9E8D57)
        shift = np.uint64(32)
        counter = [
            (b >> shift) ^ counter[1] ^ np.uint64(key[0]),
            b & low,
            (a >> shift) ^ counter[3] ^ np.uint64(key[1]),
            a & low,
        ]
        key = [(key[0] + 0x9E3779B9) % 2**32, (key[1] + 0xBB67AE85) % 2**32]
    return np.stack(counter, 1)


def _uniform(state: Array) -> Array:
    return (_philox(state, 9) >> np.uint64(8)).ravel()[:35].reshape(5, 7) / 2.0**24


def _normal(state: Array) -> Array:
    """Box and Muller's transform of each pair of words."""
    a, b = ((_philox(state, 9) >> np.uint64(8)).reshape(-1, 2).T + np.array([[1.0], [0.0]])) / 2.0**24
    radius = np.sqrt(-2 * np.log(a))
    return np.stack([radius * np.cos(2 * math.pi * b), radius * np.sin(2 * math.pi * b)], 1).ravel()[:35].reshape(5, 7)


def _random() -> Iterator[Case]:
    for state in ([0, 0], [123, 7], [-5, 2**31 - 1]):
        given = [np.array(state, np.int32)]
        yield row(_core.random, _uniform, given, EXACT, "uniform", lambda s: _core.random(s, (5, 7), "uniform"))
        # Each value within 4 ULP, as `rust/cpu/kernels/random.rs` states.
        yield row(
            _core.random, _normal, given, Elementwise(ulps=4), "normal", lambda s: _core.random(s, (5, 7), "normal")
        )


CASES = [*_maps(), *_moves(), *_orders(), *_products(), *_random()]
