"""Rows of patches, sub-pixel shuffles, pools of any size, and further normalizations and scores."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np

from op_table.bounds import EXACT, SELECTION, Linear, Smooth
from op_table.case import Array, Case, row
from op_table.inputs import Inputs
from oxiconv import ops

draw = Inputs("spatial")


def _shuffled(x: Array, b: int, first: bool) -> Array:
    """Pixel (y, x) of the result is channel block (y % b, x % b) of pixel (y // b, x // b)."""
    x = np.moveaxis(x, 1, -1) if first else x
    n, h, w, c = x.shape
    y = np.zeros((n, h * b, w * b, c // b**2))
    for i, j, p, q in itertools.product(range(h), range(w), range(b), range(b)):
        block = (p * b + q) * (c // b**2)
        y[:, i * b + p, j * b + q] = x[:, i, j, block : block + c // b**2]
    return np.moveaxis(y, -1, 1) if first else y


def _unshuffled(y: Array, b: int, first: bool) -> Array:
    y = np.moveaxis(y, 1, -1) if first else y
    n, h, w, c = y.shape
    x = np.zeros((n, h // b, w // b, c * b**2))
    for i, j, p, q in itertools.product(range(h // b), range(w // b), range(b), range(b)):
        x[:, i, j, (p * b + q) * c : (p * b + q + 1) * c] = y[:, i * b + p, j * b + q]
    return np.moveaxis(x, -1, 1) if first else x


def _shuffles() -> Iterator[Case]:
    for b, c in [(2, 8), (3, 9), (1, 2)]:
        for data_format in ("channels_last", "channels_first"):
            first = data_format == "channels_first"
            deep, wide = (2, 2, 3, c), (2, 2 * b, 3 * b, c // b**2)
            if first:
                deep, wide = (2, c, 2, 3), (2, c // b**2, 2 * b, 3 * b)
            settings: dict[str, Any] = {"block_size": b, "data_format": data_format}
            label = f"{b},{data_format}"
            yield row(
                ops.depth_to_space,
                lambda x, b=b, f=first: _shuffled(x, b, f),
                [draw.normal(*deep)],
                EXACT,
                label,
                **settings,
            )
            yield row(
                ops.space_to_depth,
                lambda x, b=b, f=first: _unshuffled(x, b, f),
                [draw.normal(*wide)],
                EXACT,
                label,
                **settings,
            )


def _taken(x: Array, k: Any, d: Any, p: Any, s: Any) -> Array:
    x = np.pad(x, ((0, 0), (0, 0), (p[0], p[0]), (p[1], p[1])))
    n, c, h, w = x.shape
    out = [(size - d[a] * (k[a] - 1) - 1) // s[a] + 1 for a, size in enumerate((h, w))]
    columns = []
    for i, j in itertools.product(range(out[0]), range(out[1])):
        top, left = i * s[0], j * s[1]
        patch = x[:, :, top : top + d[0] * k[0] : d[0], left : left + d[1] * k[1] : d[1]][:, :, : k[0], : k[1]]
        columns.append(patch.reshape(n, c * k[0] * k[1]))
    return np.stack(columns, -1)


def _patches() -> Iterator[Case]:
    for k, d, p, s in [
        ((2, 2), (1, 1), (0, 0), (2, 2)),
        ((3, 2), (1, 2), (1, 0), (2, 1)),
        ((2, 3), (2, 1), (2, 1), (1, 2)),
    ]:
        settings: dict[str, Any] = {"kernel_size": k, "dilation": d, "padding": p, "stride": s}
        dims = (2, 3, 6, 5)
        patches = _taken(np.zeros(dims), k, d, p, s).shape
        yield row(
            ops.unfold, lambda x, a=(k, d, p, s): _taken(x, *a), [draw.normal(*dims)], EXACT, f"{settings}", **settings
        )

        def folded(x: Array, a: Any = (k, d, p, s), dims: Any = dims) -> Array:
            # The transpose: what each element of an image contributes to is what contributes to it.
            eye = np.eye(int(np.prod(dims[2:]))).reshape(-1, 1, *dims[2:])
            taps = a[0][0] * a[0][1]
            columns = _taken(eye, *a).reshape(len(eye), taps, -1)
            x = x.reshape(dims[0], dims[1], taps, -1)
            return np.einsum("ncts,pts->ncp", x, columns).reshape(dims)

        yield row(ops.fold, folded, [draw.normal(*patches)], Linear(), f"{settings}", output_size=dims[2:], **settings)


def _parts(x: Array, axis: int, count: int, reduce: Any) -> Array:
    n = x.shape[axis]
    parts = [(i * n // count, -(-(i + 1) * n // count)) for i in range(count)]
    return np.stack([reduce(np.take(x, range(a, b), axis), axis) for a, b in parts], axis)


def _pools() -> Iterator[Case]:
    for dims, sizes in [
        ((2, 7, 2), (3,)),
        ((2, 6, 5, 3), (4, 2)),
        ((2, 6, 4, 2), (3, 2)),
        ((1, 5, 4, 3, 2), (2, 3, 2)),
        ((1, 3, 2), (5,)),
    ]:
        for op, reduce, bound in [
            (ops.adaptive_average_pool, np.mean, Linear(roundings=4)),
            (ops.adaptive_max_pool, np.max, SELECTION),
        ]:

            def pooled(x: Array, sizes: Any = sizes, reduce: Any = reduce) -> Array:
                for a, count in enumerate(sizes, 1):
                    x = _parts(x, a, count, reduce)
                return x

            yield row(op, pooled, [draw.spread(*dims)], bound, f"{sizes}", output_size=sizes)
            yield row(
                op,
                lambda x, f=pooled: np.moveaxis(f(np.moveaxis(x, 1, -1)), -1, 1),
                [np.moveaxis(draw.spread(*dims), -1, 1).copy()],
                bound,
                f"first{sizes}",
                output_size=sizes,
                data_format="channels_first",
            )
    whole = draw.integers(-99, 99, 2, 7, 5, 2)

    def largest(x: Array) -> Array:
        x = np.pad(x, ((0, 0), (0, 1), (0, 1), (0, 0)), constant_values=-1000)
        blocks = [x[:, i : i + 8 : 2, j : j + 6 : 2] for i in range(2) for j in range(2)]
        return np.max([b[:, :4, :3] for b in blocks], 0)

    yield row(ops.max_pool, largest, [whole], EXACT, "int32", pool_size=2, padding="same")


def _normalizations() -> Iterator[Case]:
    for axis, dims, at in [(-1, (3, 4), (4,)), ((1, 2), (2, 2, 3), (2, 3)), (1, (2, 3, 2), (3,))]:
        axes = (axis,) if isinstance(axis, int) else axis

        def rooted(x: Array, s: Array, axes: Any = axes) -> Array:
            lined = s.reshape([n if a in [b % x.ndim for b in axes] else 1 for a, n in enumerate(x.shape)])
            return x / np.sqrt((x**2).mean(axes, keepdims=True) + 1e-7) * lined

        # A sum of at most 6 squares, a root, products.
        yield row(
            ops.rms_normalization,
            rooted,
            [draw.normal(*dims), draw.uniform(0.5, 2, *at)],
            Smooth(20),
            f"{axis}",
            lambda x, s, a=axis: ops.rms_normalization(x, s, a),
        )


def _scores() -> Iterator[Case]:
    # A difference, squares, a mean of 12 and a logarithm, of an error that is known to 12 U or so.
    yield row(
        ops.psnr,
        lambda a, b: 10 * np.log10(4 / ((a - b) ** 2).mean()),
        [draw.normal(3, 4), draw.normal(3, 4)],
        Smooth(30, lambda a, b: 10, lambda a, b: 10),
        max_val=2.0,
    )
    yield row(
        ops.multi_hot,
        lambda i: np.array([[[int(c in i[b, :, t]) for c in range(5)] for t in range(3)] for b in range(2)], np.int32),
        [draw.integers(0, 5, 2, 4, 3)],
        EXACT,
        "deep",
        num_classes=5,
        dtype="int32",
    )
    yield row(
        ops.multi_hot,
        lambda i: np.array([[float(c == i[0, t]) for t in range(4)] for c in range(5)]),
        [draw.integers(0, 5, 1, 4)],
        EXACT,
        "axis",
        num_classes=5,
        axis=0,
    )


CASES = [*_shuffles(), *_patches(), *_pools(), *_normalizations(), *_scores()]
