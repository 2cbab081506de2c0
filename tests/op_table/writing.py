"""Rows of functions that write into tensors at indices."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from op_table.bounds import EXACT, SELECTION, Linear, Smooth
from op_table.case import Array, Case, row
from op_table.inputs import Inputs
from oxiconv import ops

draw = Inputs("writing")


def _updated(reduction: str | None) -> Callable[[Array, Array, Array], Array]:
    combine: dict[str | None, Callable[[Array, Array], Array]] = {
        None: lambda old, new: new,
        "add": np.add,
        "max": np.maximum,
        "min": np.minimum,
        "mul": np.multiply,
    }

    def oracle(x: Array, i: Array, v: Array) -> Array:
        y = x.copy()
        for place, value in zip(i.reshape(-1, i.shape[-1]), v.reshape(-1, *x.shape[i.shape[-1] :]), strict=True):
            y[tuple(place)] = combine[reduction](y[tuple(place)], value)
        return y

    return oracle


def _updates() -> Iterator[Case]:
    pairs = np.array([[0, 1], [3, 2], [0, 1], [2, 0], [0, 1]], np.int32)
    single = np.array([[4], [0], [4], [4]], np.int32)
    bounds: dict[str | None, Any] = {None: EXACT, "add": Linear(), "max": SELECTION, "min": SELECTION, "mul": Smooth(8)}
    for reduction, bound in bounds.items():
        oracle = _updated(reduction)
        for x, i, v in [
            (draw.spread(4, 3), pairs, draw.spread(5) + np.float32(0.015)),
            (draw.spread(5, 2, 2), single, draw.spread(4, 2, 2) + np.float32(0.015)),
        ]:
            yield row(ops.scatter_update, oracle, [x, i, v], bound, f"{reduction}", reduction=reduction)
        whole = [draw.integers(-9, 9, 4, 3), pairs, draw.integers(-9, 9, 5)]
        yield row(ops.scatter_update, oracle, whole, EXACT, f"{reduction}", reduction=reduction)
    deep = pairs[:4].reshape(2, 2, 2)
    yield row(ops.scatter_update, _updated(None), [draw.spread(4, 3), deep, draw.spread(2, 2)], EXACT, "deep")

    def scattered(i: Array, v: Array) -> Array:
        y = np.zeros((4, 3), np.int32)
        np.add.at(y, tuple(i.T), v)
        return y

    yield row(
        ops.scatter, scattered, [pairs, draw.integers(-9, 9, 5)], EXACT, "int32", lambda i, v: ops.scatter(i, v, (4, 3))
    )


def _places() -> Iterator[Case]:
    """Starts that are tensors: known only when the compiled step runs."""
    x, part = draw.normal(4, 5), draw.normal(2, 3)

    def written(x: Array, i: Array, part: Array) -> Array:
        y = x.copy()
        y[i[0] : i[0] + 2, i[1] : i[1] + 3] = part
        return y

    for start in ([1, 2], [0, 0], [2, 2]):
        at = np.array(start, np.int32)
        yield row(ops.slice_update, written, [x, at, part], EXACT, f"{start}")
        yield row(ops.slice, lambda x, i: x[i[0] : i[0] + 2, i[1] : i[1] + 3], [x, at], EXACT, f"{start}", shape=(2, 3))


CASES = [*_updates(), *_places()]
