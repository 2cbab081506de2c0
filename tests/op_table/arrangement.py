"""Rows of functions that move elements: exact, and their gradients sum what they repeat."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from op_table.bounds import EXACT
from op_table.case import Array, Case, row
from op_table.inputs import Inputs
from oxiconv import ops

draw = Inputs("arrangement")

# Op, definition, sizes of a float input, settings.
MOVES: list[tuple[Any, Callable[[Array], Any], tuple[int, ...], dict[str, Any]]] = [
    (ops.broadcast_to, lambda x: np.broadcast_to(x, (2, 3, 4)), (3, 1), {"shape": (2, 3, 4)}),
    (ops.broadcast_to, lambda x: np.broadcast_to(x, (2, 0)), (), {"shape": (2, 0)}),
    (ops.expand_dims, lambda x: np.expand_dims(x, (0, -1)), (3, 4), {"axis": (0, -1)}),
    (ops.flip, lambda x: np.flip(x), (3, 5), {}),
    (ops.flip, lambda x: np.flip(x, 1), (3, 5, 2), {"axis": 1}),
    (ops.moveaxis, lambda x: np.moveaxis(x, [0, 1], [-1, 0]), (2, 3, 4), {"source": [0, 1], "destination": [-1, 0]}),
    (ops.pad, lambda x: np.pad(x, ((1, 0), (2, 3))), (3, 4), {"pad_width": ((1, 0), (2, 3))}),
    (
        ops.pad,
        lambda x: np.pad(x, 2, constant_values=1.5),
        (2, 3),
        {"pad_width": 2, "constant_values": 1.5},
    ),
    *[
        (
            ops.pad,
            lambda x, m=mode: np.pad(x, ((0, 0), (2, 3)), mode=m),
            (2, 4),
            {"pad_width": ((0, 0), (2, 3)), "mode": mode},
        )
        for mode in ("reflect", "symmetric", "edge")
    ],
    (ops.ravel, np.ravel, (2, 3, 2), {}),
    (ops.repeat, lambda x: np.repeat(x, 3), (2, 3), {"repeats": 3}),
    (ops.repeat, lambda x: np.repeat(x, 2, 1), (2, 3, 2), {"repeats": 2, "axis": 1}),
    (ops.reshape, lambda x: np.reshape(x, (4, -1)), (2, 3, 2), {"newshape": (4, -1)}),
    (ops.reshape, lambda x: np.reshape(x, (0, 5)), (3, 0), {"newshape": (0, 5)}),
    (ops.reshape, lambda x: np.reshape(x, ()), (1, 1), {"newshape": ()}),
    (ops.roll, lambda x: np.roll(x, 2), (3, 5), {"shift": 2}),
    (ops.roll, lambda x: np.roll(x, -7, 1), (3, 5), {"shift": -7, "axis": 1}),
    (ops.split, lambda x: np.split(x, 3), (6, 2), {"indices_or_sections": 3}),
    (ops.split, lambda x: np.split(x, [1, 4], 1), (2, 6), {"indices_or_sections": [1, 4], "axis": 1}),
    (ops.squeeze, np.squeeze, (1, 3, 1), {}),
    (ops.squeeze, lambda x: np.squeeze(x, 2), (1, 3, 1), {"axis": 2}),
    (ops.swapaxes, lambda x: np.swapaxes(x, 0, -1), (2, 3, 4), {"axis1": 0, "axis2": -1}),
    (ops.tile, lambda x: np.tile(x, (2, 1, 3)), (2, 3), {"repeats": (2, 1, 3)}),
    (ops.transpose, np.transpose, (2, 3, 4), {}),
    (ops.transpose, lambda x: np.transpose(x, (0, 2, 1)), (5, 3, 4), {"axes": (0, 2, 1)}),
    (ops.transpose, lambda x: np.transpose(x, (3, 1, 0, 2)), (2, 3, 4, 5), {"axes": (3, 1, 0, 2)}),
    (ops.tril, lambda x: np.tril(x, 1), (2, 4, 3), {"k": 1}),
    (ops.triu, lambda x: np.triu(x, -1), (4, 3), {"k": -1}),
    (ops.unstack, lambda x: [x[:, 0], x[:, 1], x[:, 2]], (2, 3, 2), {"axis": 1}),
    (ops.slice, lambda x: x[1:3, 0:2], (4, 5), {"start_indices": (1, 0), "shape": (2, 2)}),
    (ops.slice, lambda x: x[2:, 1:1], (4, 5), {"start_indices": (2, 1), "shape": (-1, 0)}),
    *[
        (ops.get_item, lambda x, k=key: x[k], (4, 5, 3), {"key": key})
        for key in (
            2,
            -1,
            (slice(None), 1),
            (Ellipsis, slice(0, 3, 2)),
            (slice(3, None, -2), None, slice(1, 4)),
            (0, [3, 0, 3]),
            (slice(1, 1),),
            (2, 3, 1),
        )
    ],
    (ops.full_like, lambda x: np.full(x.shape, 2.5), (2, 3), {"fill_value": 2.5}),
    (ops.zeros_like, np.zeros_like, (2, 3), {}),
    (ops.ones_like, np.ones_like, (2, 3), {}),
    (ops.convert_to_tensor, lambda x: x, (2, 3), {}),
    (ops.array, lambda x: x, (2, 3), {}),
]


def _moves() -> Iterator[Case]:
    for op, oracle, dims, settings in MOVES:
        label = ",".join(f"{k}={v}" for k, v in settings.items()).replace(" ", "")
        yield row(op, oracle, [draw.normal(*dims)], EXACT, label, **settings)
    for op, oracle, dims, settings in MOVES:
        if op not in (ops.full_like, ops.pad):
            yield row(op, oracle, [draw.integers(-99, 99, *dims)], EXACT, "int32", **settings)
    for x in (draw.integers(0, 256, 3, 5, dtype="uint8"), draw.truths(3, 5)):
        yield row(ops.transpose, np.transpose, [x], EXACT, x.dtype.name)
        yield row(ops.pad, lambda x: np.pad(x, 1), [x], EXACT, x.dtype.name, pad_width=1)


def _several() -> Iterator[Case]:
    parts = [draw.normal(2, 3, 2), draw.normal(2, 1, 2), draw.normal(2, 4, 2)]
    yield row(
        ops.concatenate, lambda *x: np.concatenate(x, 1), parts, EXACT, "axis=1", lambda *x: ops.concatenate(x, 1)
    )
    tall = [draw.normal(2, 3), draw.normal(4, 3), draw.normal(0, 3)]
    yield row(ops.concatenate, lambda *x: np.concatenate(x, 0), tall, EXACT, "axis=0", lambda *x: ops.concatenate(x, 0))
    mixed = [draw.integers(0, 9, 3), draw.normal(4)]
    yield row(ops.concatenate, lambda *x: np.concatenate(x), mixed, EXACT, "mixed", lambda *x: ops.concatenate(x, 0))
    same = [draw.normal(3, 4), draw.normal(3, 4)]
    for axis in (0, 1, -1):
        yield row(
            ops.stack,
            lambda *x, a=axis: np.stack(x, a),
            same,
            EXACT,
            f"axis={axis}",
            lambda *x, a=axis: ops.stack(x, a),
        )
    for indexing in ("xy", "ij"):
        yield row(
            ops.meshgrid,
            lambda *x, i=indexing: list(np.meshgrid(*x, indexing=i)),
            [draw.normal(3), draw.normal(4), draw.normal(2)],
            EXACT,
            indexing,
            indexing=indexing,
        )

    def updated(x: Array, part: Array) -> Array:
        y = x.copy()
        y[1:3, 2:4] = part
        return y

    yield row(
        ops.slice_update,
        updated,
        [draw.normal(4, 5), draw.normal(2, 2)],
        EXACT,
        "",
        lambda x, part: ops.slice_update(x, (1, 2), part),
    )


def _indexed() -> Iterator[Case]:
    # Indices that repeat, and count from the end.
    for axis, index in [(0, [2, 0, 2, -1]), (1, [[0, 4], [4, -5]]), (None, [11, 3, -1]), (1, 2)]:
        yield row(
            ops.take,
            lambda x, i, a=axis: np.take(x, i, a),
            [draw.normal(3, 5, 2), np.array(index, np.int32)],
            EXACT,
            f"axis={axis}",
            axis=axis,
        )
    for axis, dims in [(0, (2, 4)), (1, (3, 6)), (1, (1, 2))]:
        x = draw.normal(3, 4)
        index = draw.integers(-x.shape[axis], x.shape[axis], *dims)
        yield row(
            ops.take_along_axis,
            lambda x, i, a=axis: np.take_along_axis(x, np.broadcast_to(i, (3, i.shape[1]) if a else i.shape), a),
            [x, index],
            EXACT,
            f"axis={axis}",
            axis=axis,
        )
    yield row(
        ops.get_item,
        lambda x, i: x[:, i],
        [draw.normal(3, 4, 2), np.array([3, -1, 0], np.int32)],
        EXACT,
        "tensor",
        lambda x, i: ops.get_item(x, (slice(None), i)),
    )

    def scattered(i: Array, v: Array) -> Array:
        y = np.zeros((4, 3, 2))
        for place, value in zip(i, v, strict=True):
            y[tuple(place)] += value
        return y

    place = np.array([[0, 1], [3, 2], [0, 1], [2, 0]], np.int32)
    yield row(ops.scatter, scattered, [place, draw.normal(4, 2)], EXACT, "", lambda i, v: ops.scatter(i, v, (4, 3, 2)))


def _made() -> Iterator[Case]:
    made: list[tuple[Any, Any, Callable[[], Any]]] = [
        (ops.arange, np.arange(7), lambda: ops.arange(7)),
        (ops.arange, np.arange(1.0, 2.0, 0.25), lambda: ops.arange(1.0, 2.0, 0.25)),
        (ops.empty, np.zeros((2, 0)), lambda: ops.empty((2, 0))),
        (ops.eye, np.eye(3, 4, 1), lambda: ops.eye(3, 4, 1)),
        (ops.full, np.full((2, 3), 1.5), lambda: ops.full((2, 3), 1.5)),
        (ops.full, np.full(3, 7.0), lambda: ops.full(3, 7)),
        (ops.identity, np.eye(3), lambda: ops.identity(3)),
        (ops.linspace, np.linspace(0, 3, 7), lambda: ops.linspace(0, 3, 7)),
        (ops.linspace, np.linspace(0, 4, 4, endpoint=False), lambda: ops.linspace(0, 4, 4, endpoint=False)),
        (ops.ones, np.ones((2, 1), bool), lambda: ops.ones((2, 1), "bool")),
        (ops.zeros, np.zeros((3,), np.int32), lambda: ops.zeros(3, "int32")),
        (ops.convert_to_tensor, np.array([[1, 2], [3, 4]]), lambda: ops.convert_to_tensor([[1, 2], [3, 4]])),
    ]
    for i, (op, value, call) in enumerate(made):
        yield row(op, lambda v=value: v, [], EXACT, str(i), call)


CASES = [*_moves(), *_several(), *_indexed(), *_made()]
