"""Gradients that central differences cannot see: at kinks and ties, of second order, and where nothing is connected."""

from typing import Any

import numpy as np
import pytest

from op_table.case import U
from op_table.inputs import Inputs
from op_table.products import Product, convolution
from oxiconv import GradientTape, Tensor, _core, activations, ops

draw = Inputs("test_ops_gradients")


def gradient(f: Any, *arrays: Any) -> list[Any]:
    """Gradients of the sum of `f`."""
    tensors = [_core.tensor(np.array(a, np.float32)) for a in arrays]
    with GradientTape() as tape:
        tape.watch(tensors)
        y = f(*tensors)
    return [None if g is None else g.numpy().tolist() for g in tape.gradient(y, tensors)]


# Conventions at kinks


@pytest.mark.parametrize(("function", "at_zero"), [(ops.relu, 0), (ops.relu6, 0), (ops.absolute, 0)])
def test_kinks_at_zero(function: Any, at_zero: float) -> None:
    assert gradient(function, [0.0, -0.0, 1.0])[0][:2] == [at_zero, at_zero]


@pytest.mark.parametrize("value", [-1.0, 1.0])
def test_a_clipped_value_at_its_limit_keeps_at_most_its_gradient(value: float) -> None:
    (g,) = gradient(lambda x: ops.clip(x, -1.0, 1.0), [value])
    assert 0 <= g[0] <= 1


def test_max_pool_gives_ties_to_the_first() -> None:
    x = np.array([[1, 3, 3, 3], [3, 3, 0, 3]], np.float32).reshape(1, 2, 4, 1)
    (g,) = gradient(lambda x: ops.max_pool(x, 2), x)
    np.testing.assert_array_equal(np.reshape(g, (2, 4)), [[0, 1, 1, 0], [0, 0, 0, 0]])


def test_max_pool_gives_nan_its_gradient() -> None:
    x = np.array([5, np.nan, np.nan, 7], np.float32).reshape(1, 4, 1)
    (g,) = gradient(lambda x: ops.max_pool(x, 4), x)
    assert np.ravel(g).tolist() == [0, 1, 0, 0]


@pytest.mark.parametrize("function", [ops.max, ops.min])
def test_a_maximum_shares_its_gradient_among_ties(function: Any) -> None:
    (g,) = gradient(lambda x: function(x, axis=1), [[2.0, 2.0, 2.0, 2.0], [0.0, 1.0, 2.0, 4.0]])
    assert g[0] == [0.25] * 4
    assert sum(g[1]) == 1
    (wide,) = gradient(lambda x: function(x), [[1.0, 1.0], [1.0, 1.0]])
    assert wide == [[0.25, 0.25], [0.25, 0.25]]


@pytest.mark.parametrize("function", [ops.maximum, ops.minimum])
def test_gradients_of_equal_operands_sum_to_the_whole(function: Any) -> None:
    a, b = gradient(function, [1.0, 3.0], [1.0, 2.0])
    assert np.add(a, b).tolist() == [1, 1]


@pytest.mark.parametrize(
    ("function", "x"),
    [
        (lambda x: ops.divide_no_nan(1.0, x), 0.0),
        (lambda x: ops.power(x, 2), 0.0),
        (lambda x: ops.normalize(x), 0.0),
        (ops.softplus, 1000.0),
        (ops.softplus, -1000.0),
        (ops.elu, 1000.0),
        (ops.selu, 1000.0),
        (ops.sigmoid, -1000.0),
        (ops.silu, -1000.0),
        (ops.log_sigmoid, -1000.0),
        (activations.mish, 1000.0),
        (ops.gelu, 1000.0),
        (ops.logsumexp, 1000.0),
        (ops.erfinv, 0.0),
    ],
)
def test_gradients_stay_finite(function: Any, x: float) -> None:
    (g,) = gradient(function, [x, 0.25])
    assert np.all(np.isfinite(g))


# Connections


def test_unconnected_and_stopped() -> None:
    assert gradient(lambda x, y: ops.square(x), [1.0], [2.0])[1] is None
    assert gradient(lambda x: ops.stop_gradient(x) * x, [3.0]) == [[3.0]]
    assert gradient(lambda x: ops.cast(ops.cast(x, "int32"), "float32"), [3.0]) == [None]


def test_a_value_used_twice_gets_both_gradients() -> None:
    assert gradient(lambda x: x * x + x, [3.0]) == [[7.0]]
    assert gradient(lambda x: ops.concatenate([x, x * 2.0]), [3.0]) == [[3.0]]


# Second order: every seat of a product against every other


def near(got: Tensor | None, wanted: Any, tolerance: Any) -> None:
    assert got is not None
    assert np.all(np.abs(got.numpy() - wanted) <= tolerance)


def products() -> list[Any]:
    matrix = Product.einsum("mk", "kn", "mn", m=4, k=7, n=3)
    plain = convolution((2, 6, 5, 3), (3, 2, 3, 4), (1, 1), (1, 1), (0, 0), (0, 0))
    strided = convolution((2, 7, 6, 4), (3, 3, 2, 6), (2, 1), (1, 2), (1, 2), (1, 2), 2)
    return [
        pytest.param(matrix, draw.normal(4, 7), draw.normal(7, 3), ops.matmul, id="matmul"),
        pytest.param(plain, draw.normal(2, 6, 5, 3), draw.normal(3, 2, 3, 4), ops.conv, id="conv"),
        pytest.param(
            strided,
            draw.normal(2, 7, 6, 4),
            draw.normal(3, 3, 2, 6),
            lambda x, k: _core.conv(x, k, (2, 1), (1, 2), (1, 2), (1, 2), 2),
            id="strided, dilated, grouped",
        ),
    ]


@pytest.mark.parametrize(("product", "x", "kernel", "call"), products())
def test_second_order_of_products(product: Product, x: Any, kernel: Any, call: Any) -> None:
    g, v, w = draw.normal(*product.dims), draw.normal(*x.shape), draw.normal(*kernel.shape)
    tx, tk, tg, tv, tw = (_core.tensor(a) for a in (x, kernel, g, v, w))
    with GradientTape(persistent=True) as outer:
        outer.watch([tx, tk, tg])
        with GradientTape() as inner:
            inner.watch([tx, tk])
            value = ops.sum(call(tx, tk) * tg)
        dx, dk = inner.gradient(value, [tx, tk])
        along_x, along_k = ops.sum(dx * tv), ops.sum(dk * tw)
    # d<v, dx> and d<w, dk>, each for the two seats that they depend on.
    for target, source, seat, one, other, dims in [
        (along_x, tk, 1, v, g, kernel.shape),
        (along_x, tg, 2, v, kernel, product.dims),
        (along_k, tx, 0, w, g, x.shape),
        (along_k, tg, 2, x, w, product.dims),
    ]:
        wanted = product.solve(seat, one.astype(np.float64), other.astype(np.float64), dims)
        near(outer.gradient(target, source), wanted, product.tolerance(seat, one, other, dims))
    assert outer.gradient(along_x, tx) is None or not np.any(outer.gradient(along_x, tx).numpy())


def test_second_order_of_tanh() -> None:
    x = draw.uniform(-3, 3, 40)
    t = _core.tensor(x)
    with GradientTape() as outer:
        outer.watch(t)
        with GradientTape() as inner:
            inner.watch(t)
            y = ops.tanh(t)
        first = inner.gradient(y, t)
    y64 = np.tanh(x.astype(np.float64))
    # -2 y (1 - y^2), with y within 3 ULP (6 U) and four operations on values of at most 2.
    near(outer.gradient(first, t), -2 * y64 * (1 - y64**2), (6 * 6 + 4) * 2 * U)


def test_second_order_through_max_pool() -> None:
    x = draw.normal(1, 4, 4, 1)
    t = _core.tensor(x)
    with GradientTape() as outer:
        outer.watch(t)
        with GradientTape() as inner:
            inner.watch(t)
            y = ops.sum(ops.max_pool(t, 2) ** 3)
        first = inner.gradient(y, t)
    blocks = x.reshape(2, 2, 2, 2)
    largest = blocks == blocks.max((1, 3), keepdims=True)
    wanted = np.where(largest, 6 * blocks.astype(np.float64), 0).reshape(x.shape)
    near(outer.gradient(first, t), wanted, 8 * U * np.abs(wanted))
