"""Rows of comparisons, searches and bits: exact."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from op_table.bounds import EXACT, Elementwise
from op_table.case import Array, Case, row
from op_table.inputs import SPECIAL, Inputs
from oxiconv import ops

draw = Inputs("logic")

BITS: list[tuple[Any, Callable[[Array, Array], Array]]] = [
    (ops.bitwise_and, np.bitwise_and),
    (ops.bitwise_or, np.bitwise_or),
    (ops.bitwise_xor, np.bitwise_xor),
]


def _bits() -> Iterator[Case]:
    low, high = -(2**31), 2**31 - 1
    wide = [draw.integers(low, high, 30), draw.integers(low, high, 30)]
    edges = [np.array([low, high, -1, 0, 255], np.int32)[:, None], np.array([low, high, -1, 0, -256], np.int32)]
    small = [draw.integers(0, 256, 9, dtype="uint8"), draw.integers(0, 256, 4, 1, dtype="uint8")]
    truths = [draw.truths(9), draw.truths(9)]
    for op, oracle in BITS:
        for pair in (wide, edges, small, truths):
            yield row(op, oracle, pair, EXACT, pair[0].dtype.name)
    for x in (wide[0], small[0], truths[0]):
        yield row(ops.bitwise_invert, np.invert, [x], EXACT, x.dtype.name)
    count = draw.integers(0, 32, 30)
    yield row(ops.bitwise_left_shift, np.left_shift, [wide[0], count], EXACT)
    yield row(ops.bitwise_right_shift, np.right_shift, [wide[0], count], EXACT)
    bytes_ = [draw.integers(0, 256, 9, dtype="uint8"), draw.integers(0, 8, 9, dtype="uint8")]
    yield row(ops.bitwise_left_shift, np.left_shift, bytes_, EXACT, "uint8")
    yield row(ops.bitwise_right_shift, np.right_shift, bytes_, EXACT, "uint8")


def _questions() -> Iterator[Case]:
    questions: list[tuple[Any, Callable[[Array], Array]]] = [
        (ops.isposinf, np.isposinf),
        (ops.isneginf, np.isneginf),
        (ops.isreal, np.isreal),
        (ops.signbit, np.signbit),
    ]
    for op, oracle in questions:
        yield row(op, oracle, [SPECIAL], EXACT, differentiable=False)
        yield row(op, oracle, [draw.normal(3, 4)], EXACT, differentiable=False)
    yield row(ops.signbit, np.signbit, [draw.integers(-5, 5, 9)], EXACT)
    near = [np.array([1.0, 2.0], np.float32), np.array([1.0, 2.000001], np.float32)]
    for b in (near[1], near[1] + np.float32(0.1)):
        yield row(ops.allclose, lambda x, y: np.asarray(np.allclose(x, y)), [near[0], b], EXACT, differentiable=False)
    for invert in (False, True):
        yield row(
            ops.isin,
            lambda x, y, i=invert: np.isin(x, y, invert=i),
            [draw.integers(0, 9, 3, 4), draw.integers(0, 9, 2, 2)],
            EXACT,
            f"invert={invert}",
            invert=invert,
        )


def _searches() -> Iterator[Case]:
    line = np.array([-1.0, 0.5, 0.5, 2.0], np.float32)
    x = np.array([[-2.0, -1.0, 0.5], [0.7, 2.0, 3.0]], np.float32)
    for side in ("left", "right"):
        yield row(
            ops.searchsorted,
            lambda a, v, s=side: np.searchsorted(a, v, s).astype(np.int32),
            [line, x],
            EXACT,
            side,
            differentiable=False,
            side=side,
        )
    many = np.sort(draw.integers(0, 50, 2, 9), -1)
    yield row(
        ops.searchsorted,
        lambda a, v: np.stack([np.searchsorted(r, w) for r, w in zip(a, v, strict=True)]).astype(np.int32),
        [many, draw.integers(-1, 51, 2, 5)],
        EXACT,
        "rows",
    )
    yield row(
        ops.digitize, lambda v, b: np.digitize(v, b).astype(np.int32), [x, line], Elementwise(), differentiable=False
    )


def _choices() -> Iterator[Case]:
    yield row(
        ops.select,
        lambda c, d, x, y: np.select([c, d], [x, y], 1.5),
        [draw.truths(3, 4), draw.truths(3, 4), draw.normal(3, 4), draw.normal(3, 4)],
        Elementwise(),
        "",
        lambda c, d, x, y: ops.select([c, d], [x, y], 1.5),
    )


CASES = [*_bits(), *_questions(), *_searches(), *_choices()]
