"""Products, pools, reductions and moves of any geometry, on small whole numbers.

Float32 holds all of their sums exactly, so whatever the kernel, the fusion, the order and the cut of the batch, results
and gradients equal the definition, ties included.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from hypothesis import example, given, settings
from hypothesis import strategies as st

from op_table.case import Array
from op_table.execution import MODES, execute
from op_table.pooling import argmax, pooled, put, put_all, take
from op_table.products import Product, convolution
from oxiconv import _core, ops

SEEDS = st.integers(0, 2**32 - 1)


def whole(rng: np.random.Generator, dims: Sequence[int], high: int = 4) -> Array:
    """Numbers between `-high` and `high`."""
    return rng.integers(-high, high + 1, dims).astype(np.float32)


def check(
    call: Callable[..., Any], inputs: Sequence[Array], wanted: Array, g: Array, gradients: Sequence[Array]
) -> None:
    """That `call` and its gradients for the cotangent `g` are what is wanted, in every mode."""
    for mode in MODES:
        (got,), found = execute(call, inputs, [g], mode)
        np.testing.assert_array_equal(got, wanted, f"{mode}: result")
        for place, (gradient, expected) in enumerate(zip(found, gradients, strict=True)):
            gradient = np.zeros(expected.shape) if gradient is None else gradient
            np.testing.assert_array_equal(gradient, expected, f"{mode}: gradient {place}")


@st.composite
def geometries(draw: st.DrawFn) -> dict[str, Any]:
    """A convolution of any kind whose result has at least one element per image."""
    rank = draw(st.sampled_from([1, 2, 2, 2, 3]))
    groups = draw(st.sampled_from([1, 1, 1, 2, 3]))
    # Around the widths of vectors and tiles.
    depth = draw(st.sampled_from([1, 2, 3, 4, 5, 8, 16, 17]))
    filters = draw(st.sampled_from([n for n in (1, 2, 3, 5, 8, 9, 15, 16, 17, 32, 33, 48, 64) if n * depth <= 160]))
    taps, strides, dilation, low, high, sizes = [], [], [], [], [], []
    for _ in range(rank):
        tap, d = draw(st.integers(1, 4)), draw(st.integers(1, 2))
        a, b = draw(st.integers(0, 3)), draw(st.integers(0, 3))
        span = (tap - 1) * d + 1
        sizes.append(draw(st.integers(max(span - a - b, 1), max(span - a - b, 1) + (9 if rank < 3 else 3))))
        taps.append(tap)
        dilation.append(d)
        strides.append(draw(st.integers(1, 3)))
        low.append(a)
        high.append(b)
    n = draw(st.integers(1, 40 if depth * filters <= 16 and rank < 3 else 4))
    return {
        "x": (n, *sizes, depth * groups),
        "kernel": (*taps, depth, filters * groups),
        "strides": strides,
        "dilation": dilation,
        "low": low,
        "high": high,
        "groups": groups,
    }


@settings(max_examples=120)
@given(geometries(), SEEDS)
def test_convolution(geometry: dict[str, Any], seed: int) -> None:
    rng = np.random.default_rng(seed)
    p = convolution(**geometry)
    x, kernel, g = whole(rng, geometry["x"]), whole(rng, geometry["kernel"]), whole(rng, p.dims)
    rest = [geometry[k] for k in ("strides", "dilation", "low", "high", "groups")]
    gradients = [p.solve(0, kernel, g, x.shape), p.solve(1, x, g, kernel.shape)]
    check(lambda x, k: _core.conv(x, k, *rest), [x, kernel], p(x, kernel), g, gradients)

    # Solved for its input, it is the transposed convolution.
    y = whole(rng, p.dims)
    back = [p.solve(2, g := whole(rng, x.shape), kernel, p.dims), p.solve(1, g, y, kernel.shape)]
    sizes = geometry["x"][1:-1]
    check(
        lambda y, k: _core.conv_transpose(y, k, sizes, *rest),
        [y, kernel],
        p.solve(0, kernel, y, x.shape),
        g,
        back,
    )


@settings(max_examples=40)
@given(st.integers(1, 40), st.integers(1, 40), st.integers(1, 40), st.booleans(), SEEDS)
def test_matrix_product(m: int, k: int, n: int, leading: bool, seed: int) -> None:
    rng = np.random.default_rng(seed)
    p = (
        Product.einsum("bmk", "bkn", "bmn", b=3, m=m, k=k, n=n)
        if leading
        else Product.einsum("mk", "kn", "mn", m=m, k=k, n=n)
    )
    lead = (3,) if leading else ()
    a, b, g = whole(rng, (*lead, m, k)), whole(rng, (*lead, k, n)), whole(rng, p.dims)
    check(_core.matmul, [a, b], p(a, b), g, [p.solve(0, b, g, a.shape), p.solve(1, a, g, b.shape)])


@st.composite
def pools(draw: st.DrawFn) -> tuple[tuple[int, ...], tuple[list[int], list[int], list[int], list[int]]]:
    """Sizes of an input, and the windows over it; each covers at least one element."""
    rank = draw(st.integers(1, 3))
    size = [draw(st.integers(1, 4)) for _ in range(rank)]
    low = [draw(st.integers(0, s - 1)) for s in size]
    high = [draw(st.integers(0, s - 1)) for s in size]
    stride = [draw(st.integers(1, 4)) for _ in range(rank)]
    sizes = [draw(st.integers(s, s + 5)) for s in size]
    return (draw(st.integers(1, 20)), *sizes, draw(st.integers(1, 9))), (size, stride, low, high)


@settings(max_examples=40)
@given(pools(), SEEDS)
def test_pools(pool: Any, seed: int) -> None:
    dims, window = pool
    rng = np.random.default_rng(seed)
    x = whole(rng, dims)
    index = argmax(x, *window)
    g = whole(rng, index.shape)

    def largest(x: Any) -> Any:
        return _core.window_take(x, _core.window_argmax(x, *window), *window)

    check(largest, [x], take(x, index, *window), g, [put(g, index, *window, dims[1:-1])])
    total = pooled(lambda values: np.sum(values, 0), x, *window)
    check(lambda x: _core.window_sum(x, *window), [x], total, g, [put_all(g, *window, dims[1:-1])])


# All windows that the pool keeps lie in the padding.
IN_PADDING: dict[str, Any] = {
    "x": (1, 4, 1, 4),
    "kernel": (1, 1, 4, 2),
    "strides": [1, 1],
    "dilation": [1, 1],
    "low": [0, 2],
    "high": [0, 0],
    "groups": 1,
}


@settings(max_examples=120)
@example(IN_PADDING, 1, 3, False, 0)
@example({**IN_PADDING, "x": (2, 3, 2, 16), "kernel": (2, 1, 16, 16)}, 1, 3, True, 0)
@given(geometries(), st.integers(1, 3), st.integers(1, 3), st.booleans(), SEEDS)
def test_convolution_with_bias_relu_and_pool(
    geometry: dict[str, Any], size: int, stride: int, first: bool, seed: int
) -> None:
    """The chain that is computed in one step, and whose gradient keeps the zeros of pool and ReLU implicit."""
    rng = np.random.default_rng(seed)
    p = convolution(**geometry)
    rank = len(p.dims) - 2
    size = min(size, *p.dims[1:-1])
    window = ([size] * rank, [stride] * rank, [0] * rank, [0] * rank)
    x, kernel, bias = whole(rng, geometry["x"]), whole(rng, geometry["kernel"]), whole(rng, p.dims[-1:], 9)
    rest = [geometry[k] for k in ("strides", "dilation", "low", "high", "groups")]

    def chain(x: Any, kernel: Any, bias: Any) -> Any:
        y = ops.add(_core.conv(x, kernel, *rest), bias)
        if first:
            return ops.max_pool(ops.relu(y), size, stride)
        return ops.relu(ops.max_pool(y, size, stride))

    y = p(x, kernel) + bias
    shown = np.maximum(y, 0) if first else y
    index = argmax(shown, *window)
    wanted = np.maximum(take(shown, index, *window), 0)
    g = whole(rng, wanted.shape)
    dy = put(g if first else np.where(wanted > 0, g, 0), index, *window, p.dims[1:-1])
    dy = np.where(y > 0, dy, 0)
    gradients = [p.solve(0, kernel, dy, x.shape), p.solve(1, x, dy, kernel.shape), dy.sum(tuple(range(dy.ndim - 1)))]
    check(chain, [x, kernel, bias], wanted, g, gradients)


shapes = st.lists(st.integers(1, 6), min_size=1, max_size=4)


@settings(max_examples=60)
@given(shapes, st.data(), SEEDS)
def test_sum_over_any_axes(dims: list[int], data: st.DataObject, seed: int) -> None:
    axes = sorted(data.draw(st.sets(st.integers(0, len(dims) - 1), min_size=1)))
    rng = np.random.default_rng(seed)
    scale = data.draw(st.sampled_from([1, 7, 40]))  # short and long rows
    dims[data.draw(st.integers(0, len(dims) - 1))] *= scale
    x = whole(rng, dims)
    wanted = x.sum(tuple(axes))
    g = whole(rng, wanted.shape)
    spread = np.broadcast_to(np.expand_dims(g, axes), dims)
    check(lambda x: _core.sum(x, axes), [x], wanted, g, [spread])
    # With what is computed on the way in.
    check(lambda x: _core.sum(ops.square(x) - x, axes), [x], (x * x - x).sum(tuple(axes)), g, [spread * (2 * x - 1)])
    largest = ops.max(_core.tensor(x), axes).numpy()
    np.testing.assert_array_equal(largest, x.max(tuple(axes)))


def unbroadcast(x: Array, dims: Sequence[int]) -> Array:
    x = x.sum(tuple(range(x.ndim - len(dims))))
    return x.sum(tuple(a for a, n in enumerate(dims) if n == 1), keepdims=True)


@settings(max_examples=60)
@given(shapes, st.data(), SEEDS)
def test_operands_that_broadcast(dims: list[int], data: st.DataObject, seed: int) -> None:
    def part() -> list[int]:
        kept = [n if data.draw(st.booleans()) else 1 for n in dims]
        return kept[data.draw(st.integers(0, len(kept))) :]

    rng = np.random.default_rng(seed)
    a, b = whole(rng, dims), whole(rng, part())
    c = whole(rng, part())
    g = whole(rng, dims)
    gradients = [g * b, unbroadcast(g * a, b.shape), unbroadcast(g, c.shape)]
    check(lambda a, b, c: a * b + c, [a, b, c], a * b + c, g, gradients)
    check(
        lambda a, b: ops.negative(b) * ops.negative(a) + b,
        [a, b],
        a * b + b,
        g,
        [g * b, unbroadcast(g * a + g, b.shape)],
    )


@settings(max_examples=80)
@given(shapes, st.data(), SEEDS)
def test_chains_of_moves(dims: list[int], data: st.DataObject, seed: int) -> None:
    """Slices, padding, permutations, reshapes, copies: on the numbers of the elements, which tell where each went."""
    moves: list[Callable[..., Any]] = []
    rng = np.random.default_rng(seed)
    x = whole(rng, dims, 99)
    origin = np.arange(1, x.size + 1, dtype=np.float32).reshape(dims)  # 0 is padding
    for _ in range(data.draw(st.integers(1, 4))):
        rank, now = origin.ndim, origin.shape
        kind = data.draw(st.sampled_from(["slice", "pad", "permute", "reshape", "gather", "concat", "double"]))
        axis = data.draw(st.integers(0, rank - 1))
        if kind == "slice":
            start = [data.draw(st.integers(0, n)) for n in now]
            stop = [data.draw(st.integers(a, n)) for a, n in zip(start, now, strict=True)]
            step = [data.draw(st.integers(1, 3)) for _ in now]
            cut = tuple(slice(*v) for v in zip(start, stop, step, strict=True))
            moves.append(lambda t, w=(start, stop, step): _core.slice(t, *w))
            origin = origin[cut]
        elif kind == "pad":
            low, high = ([data.draw(st.integers(0, 2)) for _ in now] for _ in range(2))
            moves.append(lambda t, w=(low, high, [0] * rank): _core.pad(t, *w))
            origin = np.pad(origin, list(zip(low, high, strict=True)))
        elif kind == "permute":
            order = data.draw(st.permutations(range(rank)))
            moves.append(lambda t, o=order: _core.permute(t, o))
            origin = origin.transpose(order)
        elif kind == "reshape":
            moves.append(lambda t, n=now, a=axis: _core.reshape(t, (*n[:a], 1, *n[a:])))
            origin = np.expand_dims(origin, axis)
            if axis + 2 <= rank:
                merged = (*now[:axis], now[axis] * now[axis + 1], *now[axis + 2 :])
                moves.append(lambda t, m=merged: _core.reshape(t, m))
                origin = origin.reshape(merged)
        elif kind == "gather" and now[axis]:
            index = rng.integers(0, now[axis], data.draw(st.integers(0, 5))).astype(np.int32)
            moves.append(lambda t, i=index, a=axis: _core.gather(t, _core.tensor(i), a))
            origin = np.take(origin, index, axis)
        elif kind == "concat":
            moves.append(lambda t, a=axis: _core.concat([t, _core.unary("neg", t)], a))
            origin = np.concatenate([origin, -origin], axis)
        elif kind == "double":
            moves.append(lambda t: _core.binary("mul", t, 2.0))
            moves.append(lambda t: _core.binary("mul", t, 0.5))

    def chain(t: Any) -> Any:
        for move in moves:
            t = move(t)
        return t

    values = np.concatenate([[0], x.ravel()])
    place = np.abs(origin).astype(int)
    g = whole(rng, origin.shape, 9)
    gradient = np.bincount(place.ravel(), (np.sign(origin) * g).ravel(), values.size)[1:].reshape(dims)
    if moves:
        check(chain, [x], np.sign(origin) * values[place], g, [gradient])
