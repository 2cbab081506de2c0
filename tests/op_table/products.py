"""Rows of products: matrices and convolutions, as sums over triples of an element of each seat."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product
from typing import Any

import numpy as np

from op_table.bounds import EXACT, SELECTION, Smooth
from op_table.case import Array, Case, Oracle, U, row
from op_table.inputs import Inputs
from oxiconv import ops

draw = Inputs("products")


class Product:
    """A bilinear function: `result[r] = sum of a[i] b[j]` over triples `(i, j, r)` of flat positions.

    Solving for another seat is the same sum, so the definition holds all gradients, of any order.
    """

    def __init__(self, triples: Sequence[Array], dims: Sequence[int]) -> None:
        self.triples = [np.ravel(t) for t in triples]
        self.dims = tuple(dims)

    @staticmethod
    def einsum(left: str, right: str, result: str, **sizes: int) -> Product:
        """The contraction of two tensors whose axes are named by letters."""
        letters = sorted(sizes)
        grid = np.indices([sizes[c] for c in letters])

        def positions(term: str) -> Array:
            flat = np.zeros(grid.shape[1:], np.int64)
            for c in term:
                flat = flat * sizes[c] + grid[letters.index(c)]
            return flat

        return Product([positions(left), positions(right), positions(result)], [sizes[c] for c in result])

    def solve(self, seat: int, one: Array, other: Array, dims: Sequence[int]) -> Array:
        """The sum in the seat's place, from the other two in order."""
        p, q = (self.triples[s] for s in range(3) if s != seat)
        total = int(np.prod(dims))
        sums = np.bincount(self.triples[seat], np.ravel(one)[p] * np.ravel(other)[q], total)
        return sums.astype(np.float64).reshape(dims)

    def tolerance(self, seat: int, one: Array, other: Array, dims: Sequence[int]) -> Array:
        """`4 U (sqrt(K) + 4)` times the sum of magnitudes, for K terms.

        Terms are added in short blocks in registers, so that errors are a sum of about sqrt(K) independent ones; the 4
        are the rounding of blocks, partial sums and the result.
        """
        terms = np.bincount(self.triples[seat], minlength=int(np.prod(dims))).reshape(dims)
        return 4 * U * (np.sqrt(terms) + 4) * self.solve(seat, np.abs(one), np.abs(other), dims)

    def __call__(self, a: Array, b: Array) -> Array:
        return self.solve(2, a, b, self.dims)

    def forward(self, oracle: Oracle, inputs: Sequence[Array], outputs: Sequence[Array]) -> list[Array]:
        a, b = inputs
        return [self.tolerance(2, a, b, self.dims)]

    def gradients(
        self, oracle: Oracle, inputs: Sequence[Array], cotangents: Sequence[Array]
    ) -> list[tuple[Array, Array]]:
        (a, b), (g,) = inputs, cotangents
        return [
            (self.solve(0, b, g, a.shape), self.tolerance(0, b, g, a.shape)),
            (self.solve(1, a, g, b.shape), self.tolerance(1, a, g, b.shape)),
        ]


def convolution(
    x: Sequence[int],
    kernel: Sequence[int],
    strides: Sequence[int],
    dilation: Sequence[int],
    low: Sequence[int],
    high: Sequence[int],
    groups: int = 1,
) -> Product:
    """`y[n, o, c] = sum over taps t, channels i of x[n, o * stride + t * dilation - low, i] kernel[t, i, c]`.

    Filter `c` of `C` is in group `c // (C / groups)`, which reads the channels of that group alone.
    """
    n, *sizes, channels = x
    *taps, depth, filters = kernel
    assert channels == depth * groups
    out = [
        (s + a + b - (t - 1) * d - 1) // step + 1
        for s, t, step, d, a, b in zip(sizes, taps, strides, dilation, low, high, strict=True)
    ]
    triples: list[list[Array]] = [[], [], []]
    image, i, c = (v.ravel() for v in np.indices([n, depth, filters]))
    channel = c // (filters // groups) * depth + i
    for o in product(*map(range, out)):
        for t in product(*map(range, taps)):
            at = [p * s + q * d - a for p, s, q, d, a in zip(o, strides, t, dilation, low, strict=True)]
            if all(0 <= p < s for p, s in zip(at, sizes, strict=True)):
                place = (int(np.ravel_multi_index(v, dims)) for v, dims in ((at, sizes), (t, taps), (o, out)))
                in_x, in_kernel, in_y = place
                triples[0].append((image * int(np.prod(sizes)) + in_x) * channels + channel)
                triples[1].append((in_kernel * depth + i) * filters + c)
                triples[2].append((image * int(np.prod(out)) + in_y) * filters + c)
    return Product([np.concatenate(t) if t else np.zeros(0, np.int64) for t in triples], [n, *out, filters])


def transposed(y: Product, x: Sequence[int]) -> Product:
    """The convolution solved for its input."""
    a, b, c = y.triples
    return Product([c, b, a], x)


def _matrices() -> Iterator[Case]:
    for m, k, n in [(3, 4, 5), (1, 1, 1), (37, 70, 19), (5, 300, 1), (1, 9, 40), (64, 16, 33)]:
        yield row(
            ops.matmul, p := Product.einsum("mk", "kn", "mn", m=m, k=k, n=n), [draw.normal(m, k), draw.normal(k, n)], p
        )
    yield row(
        ops.matmul,
        p := Product.einsum("bmk", "bkn", "bmn", b=3, m=4, k=5, n=2),
        [draw.normal(3, 4, 5), draw.normal(3, 5, 2)],
        p,
    )
    yield row(
        ops.matmul,
        p := Product.einsum("abk", "kn", "abn", a=3, b=4, k=5, n=6),
        [draw.normal(3, 4, 5), draw.normal(5, 6)],
        p,
    )
    broadcast = [draw.normal(2, 1, 3, 4), draw.normal(5, 4, 2)]
    yield row(ops.matmul, p := Product.einsum("amk", "bkn", "abmn", a=2, b=5, m=3, k=4, n=2), broadcast, p)
    yield row(ops.matmul, p := Product.einsum("k", "kn", "n", k=7, n=3), [draw.normal(7), draw.normal(7, 3)], p)
    yield row(ops.matmul, p := Product.einsum("mk", "k", "m", k=7, m=3), [draw.normal(3, 7), draw.normal(7)], p)
    yield row(ops.matmul, p := Product.einsum("k", "k", "", k=20), [draw.normal(20), draw.normal(20)], p)
    for empty in (
        [draw.normal(0, 3), draw.normal(3, 2)],
        [draw.normal(2, 0), draw.normal(0, 3)],
        [draw.normal(2, 3), draw.normal(3, 0)],
    ):
        (m, k), n = empty[0].shape, empty[1].shape[1]
        yield row(ops.matmul, p := Product.einsum("mk", "kn", "mn", m=m, k=k, n=n), empty, p)
    whole = [draw.integers(-99999, 99999, 3, 4), draw.integers(-99, 99, 4, 2)]
    yield row(ops.matmul, np.matmul, whole, EXACT)
    yield row(
        ops.dot,
        p := Product.einsum("abk", "ckn", "abcn", a=2, b=3, k=4, c=2, n=5),
        [draw.normal(2, 3, 4), draw.normal(2, 4, 5)],
        p,
    )
    yield row(ops.dot, p := Product.einsum("k", "k", "", k=5), [draw.normal(5), draw.normal(5)], p)
    yield row(ops.outer, p := Product.einsum("i", "j", "ij", i=4, j=6), [draw.normal(4), draw.normal(6)], p)
    pair = [draw.normal(3, 4, 5), draw.normal(4, 5, 2)]
    yield row(ops.tensordot, p := Product.einsum("akl", "kln", "an", a=3, k=4, l=5, n=2), pair, p)
    swapped = [draw.normal(4, 3, 5), draw.normal(2, 5, 4)]
    p = Product.einsum("kal", "nlk", "an", a=3, k=4, l=5, n=2)
    yield row(ops.tensordot, p, swapped, p, "", lambda a, b: ops.tensordot(a, b, [[0, 2], [2, 1]]))
    for left, right, result in [
        ("ij", "kj", "ik"),
        ("bij", "bjk", "bki"),
        ("ij", "jk", ""),
        ("ij", "ij", "j"),
        ("i", "jk", "kij"),
    ]:
        sizes = {c: n for c, n in zip("bijk", (2, 3, 4, 5), strict=True) if c in left + right}
        p = Product.einsum(left, right, result, **sizes)
        tensors = [draw.normal(*(sizes[c] for c in term)) for term in (left, right)]
        text = f"{left},{right}->{result}"
        yield row(ops.einsum, p, tensors, p, text, lambda a, b, t=text: ops.einsum(t, a, b))
    three = [draw.uniform(0.2, 1, 2, 3), draw.uniform(0.2, 1, 3, 2), draw.uniform(0.2, 1, 2)]
    text = "ij,jk,k->i"
    # Two contractions of at most six terms each, of numbers of one sign.
    yield row(ops.einsum, lambda *x: np.einsum(text, *x), three, Smooth(14), text, lambda *x: ops.einsum(text, *x))


def _norms() -> Iterator[Case]:
    for order, axis in [(None, None), ("fro", (0, 1)), (2, 1), (1, 0), (3, 1)]:
        # Twelve terms, powers and a root.
        yield row(
            ops.norm,
            lambda x, o=order, a=axis: np.linalg.norm(np.ravel(x) if a is None else x, o if a is not None else None, a),
            [draw.uniform(0.3, 2, 3, 4) * np.float32(-1)],
            Smooth(20),
            f"{order},{axis}",
            ord=order,
            axis=axis,
        )
    for limit in (np.inf, -np.inf):
        yield row(
            ops.norm,
            lambda x, o=limit: np.linalg.norm(x, o, 1),
            [draw.spread(3, 5) + np.float32(2)],
            SELECTION,
            f"{limit}",
            ord=limit,
            axis=1,
        )
    counted = [np.array([[0, 1, 2], [0, 0, 3]], np.float32)]
    yield row(
        ops.norm,
        lambda x: (x != 0).sum(0).astype(float),
        counted,
        EXACT,
        "0",
        differentiable=False,
        ord=0,
        axis=0,
    )


def same(sizes: Sequence[int], taps: Sequence[int], strides: Sequence[int], dilation: Sequence[int]) -> tuple[Any, Any]:
    """Padding for `ceil(size / stride)` results, the odd unit at the end."""
    low, high = [], []
    for s, t, step, d in zip(sizes, taps, strides, dilation, strict=True):
        total = max((-(-s // step) - 1) * step + (t - 1) * d + 1 - s, 0)
        low.append(total // 2)
        high.append(total - total // 2)
    return low, high


# Input, kernel, strides, dilation, padding; groups follow from the channels.
CONVOLUTIONS: list[tuple[tuple[int, ...], tuple[int, ...], Any, Any, str]] = [
    ((2, 9, 3), (3, 3, 4), (1,), (1,), "valid"),
    ((2, 10, 3), (4, 3, 5), (3,), (1,), "same"),
    ((2, 9, 2), (3, 2, 4), (1,), (2,), "causal"),
    ((1, 1, 1), (1, 1, 1), (1,), (1,), "valid"),
    ((3, 7, 6, 1), (3, 3, 1, 8), (1, 1), (1, 1), "valid"),
    ((2, 8, 9, 4), (3, 3, 4, 17), (1, 1), (1, 1), "same"),
    ((2, 9, 7, 16), (3, 3, 16, 16), (1, 1), (1, 1), "same"),
    ((2, 9, 8, 3), (3, 2, 3, 5), (2, 3), (1, 1), "same"),
    ((2, 9, 9, 3), (3, 3, 3, 4), (1, 1), (2, 3), "same"),
    ((2, 11, 9, 3), (3, 2, 3, 4), (2, 1), (2, 1), "valid"),
    ((3, 5, 4, 6), (1, 1, 6, 9), (1, 1), (1, 1), "valid"),
    ((2, 5, 6, 7), (1, 1, 7, 3), (2, 2), (1, 1), "valid"),
    ((2, 5, 5, 4), (5, 5, 4, 33), (1, 1), (1, 1), "valid"),
    ((2, 6, 5, 6), (3, 3, 2, 9), (1, 1), (1, 1), "same"),
    ((2, 6, 5, 8), (3, 3, 1, 8), (2, 2), (1, 1), "same"),
    ((1, 9, 20, 2), (7, 5, 2, 3), (2, 2), (1, 1), "same"),
    ((17, 4, 4, 2), (3, 3, 2, 3), (1, 1), (1, 1), "same"),
    ((0, 5, 5, 2), (3, 3, 2, 3), (1, 1), (1, 1), "valid"),
    ((2, 4, 5, 3, 2), (2, 3, 2, 2, 3), (1, 1, 1), (1, 1, 1), "valid"),
    ((2, 5, 4, 4, 4), (3, 3, 3, 2, 4), (2, 1, 2), (1, 1, 1), "same"),
    ((1, 6, 5, 5, 1), (2, 2, 2, 1, 2), (1, 1, 1), (2, 1, 2), "valid"),
]


def _convolutions() -> Iterator[Case]:
    for x, kernel, strides, dilation, padding in CONVOLUTIONS:
        taps = kernel[:-2]
        low, high = [0] * len(taps), [0] * len(taps)
        if padding == "same":
            low, high = same(x[1:-1], taps, strides, dilation)
        elif padding == "causal":
            low = [(taps[0] - 1) * dilation[0]]
        p = convolution(x, kernel, strides, dilation, low, high, x[-1] // kernel[-2])
        settings: dict[str, Any] = {"strides": strides, "padding": padding, "dilation_rate": dilation}
        label = f"{padding},s{strides},d{dilation}".replace(" ", "")
        yield row(ops.conv, p, [draw.normal(*x), draw.normal(*kernel)], p, label, **settings)
    p = convolution((2, 5, 4, 3), (3, 2, 3, 4), (1, 1), (1, 1), (0, 0), (0, 0))
    first = Product([_first(p.triples[0], (2, 5, 4, 3)), p.triples[1], _first(p.triples[2], p.dims)], (2, 4, 3, 3))
    yield row(
        ops.conv,
        first,
        [draw.normal(2, 3, 5, 4), draw.normal(3, 2, 3, 4)],
        first,
        "channels_first",
        data_format="channels_first",
    )


def _first(flat: Array, dims: Sequence[int]) -> Array:
    """Positions in a tensor of sizes `dims`, as positions in the same with its channels moved to axis 1."""
    at = np.unravel_index(flat, dims)
    return np.ravel_multi_index((at[0], at[-1], *at[1:-1]), (dims[0], dims[-1], *dims[1:-1]))


def _depthwise() -> Iterator[Case]:
    for x, kernel, strides, dilation, padding in [
        ((2, 7, 6, 5), (3, 3, 5, 1), (1, 1), (1, 1), "same"),
        ((2, 7, 6, 16), (3, 3, 16, 1), (1, 1), (1, 1), "valid"),
        ((2, 7, 6, 3), (3, 2, 3, 2), (2, 2), (1, 1), "same"),
        ((2, 9, 6, 2), (3, 3, 2, 3), (1, 1), (2, 1), "valid"),
        ((2, 9, 4), (3, 4, 2), (1,), (1,), "same"),
    ]:
        *taps, channels, multiplier = kernel
        low, high = same(x[1:-1], taps, strides, dilation) if padding == "same" else ([0] * len(taps), [0] * len(taps))
        p = convolution(x, (*taps, 1, channels * multiplier), strides, dilation, low, high, channels)
        settings: dict[str, Any] = {"strides": strides, "padding": padding, "dilation_rate": dilation}
        yield row(ops.depthwise_conv, p, [draw.normal(*x), draw.normal(*kernel)], p, padding, **settings)
    depthwise = convolution((1, 3, 3, 2), (2, 2, 1, 2), (1, 1), (1, 1), (0, 0), (0, 0), 2)
    pointwise = convolution((1, 2, 2, 2), (1, 1, 2, 2), (1, 1), (1, 1), (0, 0), (0, 0))
    # Sums of four and of two products of numbers of one sign.
    yield row(
        ops.separable_conv,
        lambda x, a, b: pointwise(depthwise(x, a), b),
        [draw.uniform(0.2, 1, 1, 3, 3, 2), draw.uniform(0.2, 1, 2, 2, 2, 1), draw.uniform(0.2, 1, 1, 1, 2, 2)],
        Smooth(8),
    )


def _transposed() -> Iterator[Case]:
    # Input, kernel [.., filters, channels], strides, dilation, padding, output padding; sizes and padding by Keras.
    for y, kernel, strides, dilation, padding, extra, sizes, low in [
        ((2, 4, 3), (3, 2, 3), (1,), (1,), "valid", None, (6,), (0,)),
        ((2, 4, 3), (3, 2, 3), (2,), (1,), "same", None, (8,), (0,)),
        ((2, 3, 4, 3), (3, 3, 5, 3), (2, 2), (1, 1), "valid", None, (7, 9), (0, 0)),
        ((2, 3, 4, 16), (3, 3, 16, 16), (2, 2), (1, 1), "same", None, (6, 8), (0, 0)),
        ((2, 3, 4, 2), (4, 4, 3, 2), (2, 2), (1, 1), "same", None, (6, 8), (1, 1)),
        ((2, 3, 4, 2), (2, 2, 3, 2), (3, 3), (1, 1), "valid", None, (9, 12), (0, 0)),
        ((2, 3, 4, 2), (3, 3, 3, 2), (2, 2), (1, 1), "valid", 1, (8, 10), (0, 0)),
        ((2, 3, 4, 2), (3, 3, 3, 2), (1, 1), (2, 2), "same", None, (3, 4), (2, 2)),
        ((1, 2, 3, 2, 2), (2, 2, 3, 3, 2), (2, 1, 2), (1, 1, 1), "valid", None, (4, 4, 5), (0, 0, 0)),
    ]:
        taps = kernel[:-2]
        high = [
            (n - 1) * s + (t - 1) * d + 1 - size - a
            for n, s, t, d, size, a in zip(y[1:-1], strides, taps, dilation, sizes, low, strict=True)
        ]
        x = (y[0], *sizes, kernel[-2])
        forward = convolution(x, kernel, strides, dilation, low, high)
        p = transposed(forward, x)
        settings: dict[str, Any] = {
            "strides": strides,
            "padding": padding,
            "dilation_rate": dilation,
            "output_padding": extra,
        }
        yield row(ops.conv_transpose, p, [draw.normal(*y), draw.normal(*kernel)], p, f"{padding},{extra}", **settings)


CASES = [*_matrices(), *_norms(), *_convolutions(), *_depthwise(), *_transposed()]
