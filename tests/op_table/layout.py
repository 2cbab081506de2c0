"""Rows of functions that join, part, turn and reorder elements, and that make constant tensors: exact."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from op_table.bounds import EXACT, Elementwise, Linear, Smooth
from op_table.case import Array, Case, row
from op_table.inputs import Inputs
from oxiconv import ops

draw = Inputs("layout")

MOVES: list[tuple[Any, Callable[[Array], Any], tuple[int, ...], dict[str, Any]]] = [
    (ops.array_split, lambda x: np.array_split(x, 3), (7, 2), {"indices_or_sections": 3}),
    (ops.array_split, lambda x: np.array_split(x, [1, 4], 1), (2, 6), {"indices_or_sections": [1, 4], "axis": 1}),
    (ops.hsplit, lambda x: np.hsplit(x, 2), (3, 4), {"indices_or_sections": 2}),
    (ops.hsplit, lambda x: np.hsplit(x, [1]), (4,), {"indices_or_sections": [1]}),
    (ops.vsplit, lambda x: np.vsplit(x, 2), (4, 3), {"indices_or_sections": 2}),
    (ops.dsplit, lambda x: np.dsplit(x, 2), (2, 3, 4), {"indices_or_sections": 2}),
    (ops.fliplr, np.fliplr, (3, 4), {}),
    (ops.flipud, np.flipud, (3, 4), {}),
    *[(ops.rot90, lambda x, k=k: np.rot90(x, k), (3, 4), {"k": k}) for k in (-1, 0, 1, 2, 3, 5)],
    (ops.rot90, lambda x: np.rot90(x, 1, (2, 0)), (2, 3, 4), {"k": 1, "axes": (2, 0)}),
    (ops.diag, np.diag, (4,), {}),
    (ops.diag, lambda x: np.diag(x, 2), (3,), {"k": 2}),
    (ops.diag, lambda x: np.diag(x, -1), (3,), {"k": -1}),
    (ops.diag, lambda x: np.diag(x, 1), (3, 5), {"k": 1}),
    (ops.diagflat, lambda x: np.diagflat(x, -2), (2, 2), {"k": -2}),
    (ops.diagonal, lambda x: np.diagonal(x), (3, 4), {}),
    (ops.diagonal, lambda x: np.diagonal(x, -1, 2, 0), (3, 2, 5), {"offset": -1, "axis1": 2, "axis2": 0}),
    (ops.diagonal, lambda x: np.diagonal(x, 7), (3, 4), {"offset": 7}),
    (ops.diff, lambda x: np.diff(x, 1), (3, 5), {}),
    (ops.diff, lambda x: np.diff(x, 2, 0), (4, 3), {"n": 2, "axis": 0}),
    (
        ops.extract_sequences,
        lambda x: np.stack([x[..., 0:3], x[..., 2:5], x[..., 4:7]], -2),
        (2, 8),
        {"sequence_length": 3, "sequence_stride": 2},
    ),
    (ops.empty_like, np.zeros_like, (2, 3), {}),
    (ops.unstack, lambda x: [x[:, i] for i in range(2)], (3, 2, 2), {"num": 2, "axis": 1}),
]


def _rearranged() -> Iterator[Case]:
    patterns: list[tuple[str, Callable[[Array], Array], dict[str, int]]] = [
        ("b h w c -> b c h w", lambda x: x.transpose(0, 3, 1, 2), {}),
        ("b h w c -> (b h) (c w)", lambda x: x.transpose(0, 1, 3, 2).reshape(8, 18), {}),
        (
            "b (h p) w c -> b h w (p c)",
            lambda x: x.reshape(2, 2, 2, 6, 3).transpose(0, 1, 3, 2, 4).reshape(2, 2, 6, 6),
            {"p": 2},
        ),
    ]
    for pattern, oracle, sizes in patterns:
        settings: dict[str, Any] = {"pattern": pattern, **sizes}
        yield row(ops.rearrange, oracle, [draw.normal(2, 4, 6, 3)], EXACT, pattern, **settings)


def _moves() -> Iterator[Case]:
    for op, oracle, dims, settings in MOVES:
        label = ",".join(f"{k}={v}" for k, v in settings.items()).replace(" ", "")
        yield row(op, oracle, [draw.normal(*dims)], Linear(), label, **settings)
        yield row(op, oracle, [draw.integers(-99, 99, *dims)], EXACT, "int32", **settings)
    yield row(ops.diff, np.diff, [draw.truths(9)], EXACT, "bool")
    yield row(ops.trace, np.trace, [draw.normal(3, 4)], Linear())
    yield row(ops.trace, lambda x: np.trace(x, 1, 1, 2), [draw.normal(3, 4, 3)], Linear(), offset=1, axis1=1, axis2=2)
    powers = Smooth(4)
    yield row(ops.vander, lambda x: np.vander(x, 4), [draw.normal(3)], powers, N=4)
    yield row(ops.vander, lambda x: np.vander(x, increasing=True), [draw.normal(3)], powers, increasing=True)
    yield row(ops.vander, lambda x: np.vander(x, 0), [draw.normal(3)], EXACT, differentiable=False, N=0)


def _joined() -> Iterator[Case]:
    stacks: list[tuple[Any, Callable[..., Array]]] = [
        (ops.hstack, np.hstack),
        (ops.vstack, np.vstack),
        (ops.dstack, np.dstack),
    ]
    for op, oracle in stacks:
        for dims in [(3,), (2, 3), (2, 3, 2), ()]:
            pair = [draw.normal(*dims), draw.normal(*dims)]
            yield row(op, lambda *x, f=oracle: f(x), pair, EXACT, "", lambda *x, f=op: f(x))
    for axis in (None, 0, 1):
        pair = [draw.normal(2, 3), draw.normal(2, 3)]
        yield row(ops.append, lambda a, b, x=axis: np.append(a, b, x), pair, EXACT, f"axis={axis}", axis=axis)


def _positions() -> Iterator[Case]:
    given = [draw.integers(-24, 24, 3, 2)]
    yield row(
        ops.unravel_index,
        lambda i: [p.astype(np.int32) for p in np.unravel_index(i % 24, (2, 3, 4))],
        given,
        EXACT,
        shape=(2, 3, 4),
    )
    x = draw.spread(3, 8)
    sort_cases: list[tuple[Any, Callable[..., Array]]] = [
        (ops.argpartition, lambda x: np.argsort(x, -1, kind="stable").astype(np.int32)),
    ]
    for op, oracle in sort_cases:
        yield row(op, oracle, [x], EXACT, differentiable=False, kth=2)


def _indexed() -> Iterator[Case]:
    i, j = np.array([0, 2, -1], np.int32), np.array([[1], [0]], np.int32)
    keys: list[tuple[str, Callable[[Array, Array, Array], Any]]] = [
        ("together", lambda x, i, j: x[i, j]),
        ("inner", lambda x, i, j: x[:, i, j]),
        ("apart", lambda x, i, j: x[i, :, j]),
        ("integer", lambda x, i, j: x[:, i, 1]),
        ("front", lambda x, i, j: x[0, :, i]),
        ("none", lambda x, i, j: x[None, i, j, ::-1]),
        ("deep", lambda x, i, j: x[..., j]),
    ]
    for label, key in keys:
        yield row(ops.get_item, key, [draw.normal(3, 4, 3), i, j], EXACT, label, key)
    mask = draw.truths(3, 4)
    yield row(ops.get_item, lambda x: x[mask], [draw.normal(3, 4, 2)], EXACT, "mask", lambda x: x[mask])
    rows = np.array([True, False, True])
    yield row(ops.get_item, lambda x: x[rows, 1:], [draw.normal(3, 4)], EXACT, "rows", lambda x: x[rows, 1:])


def _made() -> Iterator[Case]:
    made: list[tuple[Any, Array, Callable[[], Any]]] = [
        (ops.bartlett, np.bartlett(7), lambda: ops.bartlett(7)),
        (ops.blackman, np.blackman(7), lambda: ops.blackman(7)),
        (ops.hamming, np.hamming(6), lambda: ops.hamming(6)),
        (ops.hanning, np.hanning(6), lambda: ops.hanning(6)),
        (ops.kaiser, np.kaiser(7, 5.0), lambda: ops.kaiser(7, 5.0)),
        (ops.tri, np.tri(3, 4, 1), lambda: ops.tri(3, 4, 1)),
        (ops.tri, np.tri(2, dtype=np.int32), lambda: ops.tri(2, dtype="int32")),
        (ops.logspace, np.logspace(0, 2, 5, base=3.0), lambda: ops.logspace(0, 2, 5, base=3.0)),
        (ops.geomspace, np.geomspace(1, 81, 5), lambda: ops.geomspace(1.0, 81.0, 5)),
        (ops.linspace, np.linspace([0, 1], [2, 5], 3, axis=1), lambda: ops.linspace([0, 1], [2, 5], 3, axis=1)),
        (ops.arange, np.arange(5, 1, -2).astype(np.int32), lambda: ops.arange(5, 1, -2)),
    ]
    for i, (op, value, call) in enumerate(made):
        # Computed in float64 and rounded once.
        yield row(op, lambda v=value: v, [], Elementwise(ulps=1), str(i), call)


CASES = [*_rearranged(), *_moves(), *_joined(), *_positions(), *_indexed(), *_made()]
