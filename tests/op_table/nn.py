"""Rows of activations, normalizations and losses."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from op_table.bounds import EXACT, Elementwise, Smooth
from op_table.case import Array, Case, row
from op_table.elementwise import erf
from op_table.inputs import SPECIAL, Inputs
from oxiconv import activations, ops

draw = Inputs("nn")


def _sigmoid(x: Array) -> Array:
    return 1 / (1 + np.exp(-x))


def _softplus(x: Array) -> Array:
    return np.logaddexp(x, 0)


def _elu(x: Array, alpha: float = 1.0) -> Array:
    return np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0)))


def _selu(x: Array) -> Array:
    return 1.0507009873554805 * _elu(x, 1.6732632423543772)


def _gelu_tanh(x: Array) -> Array:
    return 0.5 * x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)))


def _gelu(x: Array) -> Array:
    return 0.5 * x * (1 + erf(x / np.sqrt(2)))


def _hard_sigmoid(x: Array) -> Array:
    return np.clip(x + 3, 0, 6) / 6


def _size(x: Array) -> Array:
    return 1 + np.abs(x)


def _cube(x: Array) -> Array:
    return 1 + np.abs(x) ** 3


# Each goes through at most three functions of up to 3 ULP (6 U) and six products and sums. All their intermediate
# values, and those of their derivatives, are at most 1 + |x|; with the polynomial of gelu, at most 1 + |x|^3.
SMOOTH = Elementwise(roundings=24, terms=_size, gradient_terms=_size)
CUBIC = Elementwise(roundings=24, terms=_size, gradient_terms=_cube)
# Comparisons, one product and one sum, and the rounded constant.
HARD = Elementwise(roundings=3, terms=_size)

ACTIVATIONS: list[tuple[Any, Callable[[Array], Array], Elementwise, dict[str, Any]]] = [
    (ops.celu, lambda x: np.maximum(x, 0) + 1.5 * np.expm1(np.minimum(x, 0) / 1.5), SMOOTH, {"alpha": 1.5}),
    (ops.elu, _elu, SMOOTH, {}),
    (ops.elu, lambda x: _elu(x, 0.3), SMOOTH, {"alpha": 0.3}),
    (ops.gelu, _gelu_tanh, CUBIC, {}),
    (ops.gelu, _gelu, SMOOTH, {"approximate": False}),
    (activations.gelu, _gelu, SMOOTH, {}),
    (ops.hard_sigmoid, _hard_sigmoid, HARD, {}),
    (ops.hard_silu, lambda x: x * _hard_sigmoid(x), Elementwise(roundings=4, terms=_size, gradient_terms=_size), {}),
    (ops.hard_tanh, lambda x: np.clip(x, -1, 1), HARD, {}),
    (ops.leaky_relu, lambda x: np.where(x > 0, x, 0.2 * x), HARD, {}),
    (ops.leaky_relu, lambda x: np.where(x > 0, x, 0.01 * x), HARD, {"negative_slope": 0.01}),
    (activations.linear, lambda x: x, HARD, {}),
    (ops.log_sigmoid, lambda x: -_softplus(-x), SMOOTH, {}),
    (activations.mish, lambda x: x * np.tanh(_softplus(x)), SMOOTH, {}),
    (ops.relu, lambda x: np.maximum(x, 0), HARD, {}),
    (ops.relu6, lambda x: np.clip(x, 0, 6), HARD, {}),
    (activations.relu, lambda x: np.maximum(x, 0), HARD, {}),
    (
        activations.relu,
        lambda x: np.where(x > 0, np.minimum(x, 1.25), 0.1 * x),
        HARD,
        {"negative_slope": 0.1, "max_value": 1.25},
    ),
    (
        activations.relu,
        lambda x: np.where(x > 0.5, x, 0.1 * (x - 0.5)),
        HARD,
        {"negative_slope": 0.1, "threshold": 0.5},
    ),
    (ops.selu, _selu, SMOOTH, {}),
    (ops.silu, lambda x: x * _sigmoid(x), SMOOTH, {}),
    (ops.softplus, _softplus, SMOOTH, {}),
    (ops.softsign, lambda x: x / (1 + np.abs(x)), SMOOTH, {}),
    (ops.hard_shrink, lambda x: np.where(np.abs(x) > 0.5, x, 0), HARD, {}),
    (ops.soft_shrink, lambda x: np.sign(x) * np.maximum(np.abs(x) - 0.75, 0), HARD, {"threshold": 0.75}),
    (ops.tanh_shrink, lambda x: x - np.tanh(x), SMOOTH, {}),
    (ops.squareplus, lambda x: (x + np.sqrt(x**2 + 3)) / 2, SMOOTH, {"b": 3}),
    (
        ops.sparse_plus,
        lambda x: np.where(x < -1, 0, np.where(x < 1, (x + 1) ** 2 / 4, x)),
        Elementwise(roundings=4, terms=_size, gradient_terms=_size),
        {},
    ),
    (ops.sparse_sigmoid, lambda x: np.clip((x + 1) / 2, 0, 1), HARD, {}),
    (ops.threshold, lambda x: np.where(x > 0.5, x, -2), HARD, {"threshold": 0.5, "default_value": -2.0}),
]


def _activations() -> Iterator[Case]:
    for op, oracle, bound, settings in ACTIVATIONS:
        label = ",".join(f"{k}={v}" for k, v in settings.items())
        for dims in [(3, 37), (), (0, 3), (2, 3, 3, 5)]:
            yield row(op, oracle, [draw.spread(*dims)], bound, label, **settings)
        # Where a carelessly written formula overflows.
        far = np.array([-110, -90, -30, 30, 90, 110], np.float32)
        yield row(op, oracle, [far], bound, f"far{label}", differentiable=op not in (ops.gelu,), **settings)
        if op not in (ops.soft_shrink, ops.hard_shrink):  # of which NaN is within the threshold, as in Keras
            yield row(op, oracle, [SPECIAL[:1]], Elementwise(), f"nan{label}", differentiable=False, **settings)
    yield row(ops.relu, lambda x: np.maximum(x, 0), [draw.integers(-9, 9, 11)], EXACT, "int32")
    halves = [draw.normal(3, 6)]
    yield row(
        ops.glu, lambda x: x[:, :3] * _sigmoid(x[:, 3:]), halves, Smooth(8, lambda x: 1, lambda x: 1 + np.abs(x).max())
    )
    yield row(
        ops.glu,
        lambda x: x[:1] * _sigmoid(x[1:]),
        [draw.normal(2, 3)],
        Smooth(8, lambda x: 1, lambda x: 1 + np.abs(x).max()),
        axis=0,
    )


def _log_softmax(x: Array, axis: Any = -1) -> Array:
    return x - np.log(np.exp(x).sum(axis, keepdims=True))


def _softmaxes() -> Iterator[Case]:
    # A difference from the peak, an exponential (4 U), a sum of at most 12, a quotient. An error of 1 U in the
    # difference, at most 2 |x|, is a relative error of the exponential.
    def size(x: Array) -> float:
        return float(2 * np.abs(x).max(initial=0)) + 3

    for axis, dims in [(-1, (3, 4)), (0, (3, 4)), (None, (3, 4)), ((1, 2), (2, 2, 3)), (-1, (2, 1))]:
        for op, oracle in [
            (ops.softmax, lambda x, a=axis: np.exp(_log_softmax(x, a))),
            (ops.log_softmax, lambda x, a=axis: _log_softmax(x, a)),
        ]:
            yield row(op, oracle, [draw.normal(*dims)], Smooth(24, size, size), f"axis={axis}", axis=axis)
    far = [np.array([[1000, 999, -1000], [-3000, -3001, -3003]], np.float32)]

    def shifted(x: Array) -> Array:
        return _log_softmax(x - x.max(-1, keepdims=True))

    yield row(ops.log_softmax, shifted, far, Smooth(24), "far", differentiable=False)
    yield row(ops.softmax, lambda x: np.exp(shifted(x)), far, Smooth(24), "far", differentiable=False)


def _sparsemax(x: Array) -> Array:
    """The projection onto the simplex, by bisection for the threshold."""
    low, high = x.min() - 1, x.max()
    for _ in range(200):
        middle = (low + high) / 2
        low, high = (middle, high) if np.maximum(x - middle, 0).sum() > 1 else (low, middle)
    return np.maximum(x - low, 0)


def _projections() -> Iterator[Case]:
    # A running sum of at most 5, a difference, a quotient, a difference.
    for axis, dims in [(-1, (3, 5)), (0, (4, 2))]:
        yield row(
            ops.sparsemax,
            lambda x, a=axis: np.apply_along_axis(_sparsemax, a, x),
            [draw.spread(*dims)],
            Smooth(14, lambda x: 4, lambda x: 1),
            f"axis={axis}",
            axis=axis,
        )


def _normalizations() -> Iterator[Case]:
    # Two sums of at most 12 terms, a difference, a square, two quotients.
    bound = Smooth(28)
    for axes, dims in [((0,), (4, 3)), ((0, 1), (2, 2, 3)), ([-1], (2, 5))]:
        yield row(
            ops.moments,
            lambda x, a=tuple(axes): [x.mean(a), x.var(a)],
            [draw.normal(*dims)],
            bound,
            f"{axes}",
            axes=axes,
        )
    yield row(
        ops.moments,
        lambda x: [x.mean(0, keepdims=True), x.var(0, keepdims=True)],
        [draw.normal(4, 3)],
        bound,
        "keepdims",
        axes=0,
        keepdims=True,
    )

    def along(v: Array, axis: int) -> Array:
        return v if axis == -1 else v[:, None]

    # A reciprocal root (4 U), four operations; gradients are sums of at most 12 terms.
    for axis, dims in [(-1, (2, 3, 3)), (1, (2, 3, 2))]:
        n = dims[axis]
        inputs = [draw.normal(*dims), draw.normal(n), draw.uniform(0.5, 2, n), draw.normal(n), draw.uniform(0.5, 2, n)]

        def normalized(
            x: Array, m: Array, v: Array, b: Array | float = 0.0, s: Array | float = 1.0, a: int = axis
        ) -> Array:
            b, s = (along(np.broadcast_to(p, v.shape), a) for p in (b, s))
            return (x - along(m, a)) / np.sqrt(along(v, a) + 1e-3) * s + b

        yield row(
            ops.batch_normalization,
            normalized,
            inputs,
            Smooth(20),
            "",
            lambda x, m, v, b, s, a=axis: ops.batch_normalization(x, m, v, a, b, s),
        )
        yield row(
            ops.batch_normalization,
            normalized,
            inputs[:3],
            Smooth(20),
            "",
            lambda x, m, v, a=axis: ops.batch_normalization(x, m, v, a),
        )

    # As moments, then a reciprocal root (4 U) and four operations. The mean's error, of the size of |x|, is divided by
    # the deviation; a gradient is again a difference from means of the cotangent, divided by it.
    layers: list[tuple[Any, tuple[int, ...]]] = [(-1, (3, 5)), ((1, 2), (2, 2, 3))]
    for over, dims in layers:
        inner = dims[1:]

        def layer(x: Array, gamma: Array | float = 1.0, beta: Array | float = 0.0, a: Any = over) -> Array:
            return (x - x.mean(a, keepdims=True)) / np.sqrt(x.var(a, keepdims=True) + 1e-2) * gamma + beta

        def centred(x: Array, gamma: Array | float = 1.0, beta: Array | float = 0.0, a: Any = over) -> float:
            return float((np.abs(x).max() + 1) / x.std(a).min() * np.abs(gamma).max())

        layered = Smooth(36, centred, centred)
        given = [draw.normal(*dims), draw.normal(*inner), draw.normal(*inner)]
        yield row(ops.layer_normalization, layer, given, layered, f"{over}", axis=over, epsilon=1e-2)
        yield row(ops.layer_normalization, layer, given[:1], layered, f"{over}", axis=over, epsilon=1e-2)
    for order in (1, 2, 3):
        yield row(
            ops.normalize,
            lambda x, o=order: x / (np.abs(x) ** o).sum(1, keepdims=True) ** (1 / o),
            [draw.uniform(0.3, 2, 3, 4)],
            Smooth(24),
            f"order={order}",
            axis=1,
            order=order,
        )
    yield row(ops.normalize, lambda x: x / 1e-7, [np.zeros((2, 3), np.float32)], Smooth(24), "zero")


def _indicators() -> Iterator[Case]:
    yield row(ops.one_hot, lambda i: np.eye(4)[i], [draw.integers(0, 4, 3, 2)], EXACT, num_classes=4)
    yield row(
        ops.one_hot, lambda i: np.moveaxis(np.eye(4)[i], -1, 0), [draw.integers(0, 4, 5)], EXACT, num_classes=4, axis=0
    )
    out = np.array([-1, 2, 4], np.int32)
    yield row(
        ops.one_hot, lambda i: (i[:, None] == np.arange(4)).astype(np.int32), [out], EXACT, num_classes=4, dtype="int32"
    )
    yield row(
        ops.multi_hot,
        lambda i: np.array([[float(c in line) for c in range(5)] for line in i]),
        [draw.integers(0, 5, 3, 2)],
        EXACT,
        num_classes=5,
    )


def _losses() -> Iterator[Case]:
    # A softmax and a logarithm, or a normalized probability and its logarithm; then a product and a sum of few terms.
    def size(t: Array, y: Array) -> float:
        return float(2 * np.abs(y).max() + 4) * float(max(np.abs(t).max(), 1))

    bound = Smooth(40, size, size)
    probabilities, logits = draw.uniform(0.2, 0.8, 3, 4), draw.normal(3, 4)
    soft = draw.uniform(0.1, 0.9, 3, 4)
    for axis in (-1, 0):

        def crossed(t: Array, y: Array, a: int = axis) -> Array:
            return -(t * np.log(y / y.sum(a, keepdims=True))).sum(a)

        def crossed_logits(t: Array, y: Array, a: int = axis) -> Array:
            return -(t * _log_softmax(y, a)).sum(a)

        yield row(ops.categorical_crossentropy, crossed, [soft, probabilities], bound, f"axis={axis}", axis=axis)
        yield row(
            ops.categorical_crossentropy,
            crossed_logits,
            [soft, logits],
            bound,
            f"logits,axis={axis}",
            from_logits=True,
            axis=axis,
        )
    classes = np.array([3, 0, 2], np.int32)

    def hot(t: Array) -> Array:
        return np.eye(4)[t]

    op: Any = ops.sparse_categorical_crossentropy
    yield row(
        op, lambda t, y: -(hot(t) * np.log(y / y.sum(-1, keepdims=True))).sum(-1), [classes, probabilities], bound
    )
    yield row(
        op, lambda t, y: -(hot(t) * _log_softmax(y)).sum(-1), [classes, logits], bound, "logits", from_logits=True
    )
    column = [classes[:, None], logits]
    yield row(op, lambda t, y: -(hot(t[:, 0]) * _log_softmax(y)).sum(-1), column, bound, "column", from_logits=True)

    def binary(t: Array, p: Array) -> Array:
        return -(t * np.log(p) + (1 - t) * np.log(1 - p))

    # log(1 - p) of p that is 1 U off is 1 U / (1 - p) off: at most 10 U here.
    each = Elementwise(roundings=12, terms=lambda t, y: 10 + np.abs(y), gradient_terms=lambda t, y: 10 + np.abs(y))
    yield row(ops.binary_crossentropy, binary, [soft, probabilities], each)
    yield row(
        ops.binary_crossentropy, lambda t, y: binary(t, _sigmoid(y)), [soft, logits], each, "logits", from_logits=True
    )
    sure = [np.array([0, 1, 1, 0], np.float32), np.array([0, 1, 0, 1], np.float32)]
    # Probabilities are kept within [1e-7, 1 - 1e-7], in float32: 1 - 2^-23.
    tiny, last = float(np.float32(1e-7)), float(np.float32(1.0 - 1e-7))
    kept = np.array([-np.log(1 - tiny), -np.log(last), -np.log(tiny), -np.log(1 - last)])
    yield row(
        ops.binary_crossentropy,
        lambda t, y: kept,
        sure,
        Elementwise(ulps=3, roundings=2, terms=lambda t, y: 1.0),
        "sure",
        differentiable=False,
    )
    far = [np.array([0, 1, 0, 1], np.float32), np.array([500, 500, -500, -500], np.float32)]
    yield row(
        ops.binary_crossentropy,
        lambda t, y: np.array([500.0, 0, 0, 500]),
        far,
        each,
        "far",
        differentiable=False,
        from_logits=True,
    )


CASES = [*_activations(), *_projections(), *_softmaxes(), *_normalizations(), *_indicators(), *_losses()]
