"""Rows of pooling, over windows written out one by one."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import product
from typing import Any

import numpy as np

from op_table.bounds import EXACT, SELECTION, Linear
from op_table.case import Array, Case, row
from op_table.inputs import Inputs
from op_table.products import same
from oxiconv import _core, ops

draw = Inputs("pooling")

Windows = list[tuple[tuple[int, ...], list[tuple[int, tuple[int, ...]]]]]


def windows(
    sizes: Sequence[int], size: Sequence[int], stride: Sequence[int], low: Sequence[int], high: Sequence[int]
) -> tuple[tuple[int, ...], Windows]:
    """Result sizes, and for each result its place and the (number in the window, place) of what it covers."""
    out = tuple((n + a + b - k) // s + 1 for n, k, s, a, b in zip(sizes, size, stride, low, high, strict=True))
    every: Windows = []
    for o in product(*map(range, out)):
        covered = []
        for number, t in enumerate(product(*map(range, size))):
            at = tuple(p * s + q - a for p, s, q, a in zip(o, stride, t, low, strict=True))
            if all(0 <= p < n for p, n in zip(at, sizes, strict=True)):
                covered.append((number, at))
        every.append((o, covered))
    return out, every


Geometry = tuple[Sequence[int], Sequence[int], Sequence[int], Sequence[int]]


def pooled(reduce: Callable[[list[Array]], Array], x: Array, *geometry: Sequence[int], dtype: Any = None) -> Array:
    """`reduce` of what each window covers."""
    out, every = windows(x.shape[1:-1], *geometry)
    y: Array = np.zeros((x.shape[0], *out, x.shape[-1]), dtype or x.dtype)
    for o, covered in every:
        y[(slice(None), *o)] = reduce([x[(slice(None), *at)] for _, at in covered])
    return y


def _largest(values: list[Array]) -> Array:
    return np.max(values, 0)


def _mean(values: list[Array]) -> Array:
    return np.mean(values, 0)


def _sum(values: list[Array]) -> Array:
    return np.sum(values, 0)


def argmax(x: Array, *geometry: Sequence[int]) -> Array:
    """The number in the window of the first largest element; NaN is larger than all."""
    out, every = windows(x.shape[1:-1], *geometry)
    y: Array = np.zeros((x.shape[0], *out, x.shape[-1]), np.uint8)
    for o, covered in every:
        best = np.argmax([x[(slice(None), *at)] for _, at in covered], 0)
        y[(slice(None), *o)] = np.array([number for number, _ in covered])[best]
    return y


def take(x: Array, index: Array, *geometry: Sequence[int]) -> Array:
    """The element of each window that the index names."""
    out, every = windows(x.shape[1:-1], *geometry)
    y: Array = np.zeros((x.shape[0], *out, x.shape[-1]))
    for o, covered in every:
        for number, at in covered:
            y[(slice(None), *o)] += np.where(index[(slice(None), *o)] == number, x[(slice(None), *at)], 0)
    return y


def put(g: Array, index: Array, *geometry: Sequence[int]) -> Array:
    """Each element of `g` added at the place in its window that the index names."""
    *window, sizes = geometry
    _, every = windows(sizes, *window)
    x: Array = np.zeros((g.shape[0], *sizes, g.shape[-1]))
    for o, covered in every:
        for number, at in covered:
            x[(slice(None), *at)] += np.where(index[(slice(None), *o)] == number, g[(slice(None), *o)], 0)
    return x


def put_all(g: Array, *geometry: Sequence[int]) -> Array:
    """Each element of `g` added at all places of its window."""
    *window, sizes = geometry
    _, every = windows(sizes, *window)
    x: Array = np.zeros((g.shape[0], *sizes, g.shape[-1]))
    for o, covered in every:
        for _, at in covered:
            x[(slice(None), *at)] += g[(slice(None), *o)]
    return x


# Input, size, strides, padding.
POOLS: list[tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...], str]] = [
    ((2, 8, 3), (2,), (2,), "valid"),
    ((2, 7, 2), (3,), (1,), "same"),
    ((2, 4, 6, 3), (2, 2), (2, 2), "valid"),
    ((3, 5, 5, 2), (2, 2), (2, 2), "same"),
    ((2, 5, 4, 17), (2, 2), (2, 2), "valid"),
    ((1, 6, 5, 2), (3, 2), (2, 1), "same"),
    ((2, 5, 7, 1), (3, 3), (2, 2), "valid"),
    ((1, 3, 3, 2), (3, 3), (1, 1), "same"),
    ((1, 7, 7, 1), (2, 2), (3, 3), "same"),
    ((2, 1, 1, 3), (1, 1), (1, 1), "valid"),
    ((1, 3, 4, 3, 2), (2, 2, 2), (2, 2, 1), "same"),
    ((1, 4, 4, 4, 1), (2, 2, 2), (2, 2, 2), "valid"),
]


def _public() -> Iterator[Case]:
    for dims, size, strides, padding in POOLS:
        ones = (1,) * len(size)
        low, high = same(dims[1:-1], size, strides, ones) if padding == "same" else ([0] * len(size), [0] * len(size))
        geometry = (size, strides, low, high)
        settings: dict[str, Any] = {"pool_size": size, "strides": strides, "padding": padding}
        label = f"{size},{strides},{padding}".replace(" ", "")
        yield row(
            ops.max_pool,
            lambda x, w=geometry: pooled(_largest, x, *w),
            [draw.spread(*dims)],
            SELECTION,
            label,
            **settings,
        )
        mean = lambda x, w=geometry: pooled(_mean, x, *w)  # noqa: E731
        # The number of elements, or its rounded reciprocal, scales each sum.
        yield row(ops.average_pool, mean, [draw.normal(*dims)], Linear(roundings=2), label, **settings)
    for first, op, reduce, bound in [
        (draw.spread(2, 3, 4, 5), ops.max_pool, _largest, SELECTION),
        (draw.normal(2, 3, 4, 5), ops.average_pool, _mean, Linear(roundings=2)),
    ]:
        yield row(
            op,
            lambda x, r=reduce: np.moveaxis(pooled(r, np.moveaxis(x, 1, -1), (2, 2), (2, 2), (0, 0), (0, 0)), -1, 1),
            [first],
            bound,
            "channels_first",
            pool_size=2,
            data_format="channels_first",
        )
    special = np.array([[1, np.nan, 3, 2, -np.inf, -np.inf, np.inf, 0, np.nan, np.nan]], np.float32)[..., None]
    yield row(
        ops.max_pool,
        lambda x: pooled(_largest, x, (2,), (2,), (0,), (0,)),
        [special],
        EXACT,
        "special",
        differentiable=False,
        pool_size=2,
    )


def _primitives() -> Iterator[Case]:
    for dims, size, strides, padding in POOLS:
        ones = (1,) * len(size)
        low, high = same(dims[1:-1], size, strides, ones) if padding == "same" else ([0] * len(size), [0] * len(size))
        window = (size, strides, low, high)
        x = draw.normal(*dims)
        label = f"{size},{strides},{padding}".replace(" ", "")
        yield row(
            _core.window_sum,
            lambda x, w=window: pooled(_sum, x, *w),
            [x],
            Linear(),
            label,
            _call(_core.window_sum, window),
        )
        ties = np.round(x)
        yield row(
            _core.window_argmax,
            lambda x, w=window: argmax(x, *w),
            [ties],
            EXACT,
            label,
            _call(_core.window_argmax, window),
            differentiable=False,
        )
        index = argmax(x, *window)
        yield row(
            _core.window_take,
            lambda x, i, w=window: take(x, i, *w),
            [x, index],
            EXACT,
            label,
            _call(_core.window_take, window),
        )
        g = draw.normal(*index.shape)
        whole = (*window, dims[1:-1])
        yield row(
            _core.window_put,
            lambda g, i, w=whole: put(g, i, *w),
            [g, index],
            Linear(),
            label,
            _call(_core.window_put, whole),
        )
        yield row(
            _core.window_spread,
            lambda g, w=whole: put_all(g, *w),
            [g],
            Linear(),
            label,
            _call(_core.window_spread, whole),
        )


def _call(op: Any, geometry: Any) -> Callable[..., Any]:
    return lambda *tensors: op(*tensors, *geometry)


CASES = [*_public(), *_primitives()]
