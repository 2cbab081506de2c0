"""Layers against float64 oracles written from their definitions."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest

from oxiconv import GradientTape, Variable, layers, losses, ops
from oxiconv.trace import Trace

Array = Any
# Unit roundoff of float32: a rounded operation is off by at most this factor.
U = 2.0**-24


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def set_random_weights(layer: layers.Layer, shape: tuple[int, ...]) -> list[Array]:
    layer.build((None, *shape[1:]))
    layer.set_weights([rng(i).standard_normal(w.shape) for i, w in enumerate(layer.weights)])
    return [w.astype(np.float64) for w in layer.get_weights()]


def same(size: int, kernel: int, stride: int, dilation: int) -> tuple[int, int]:
    """Padding of "same": the result has ceil(size / stride), the odd unit is at the end."""
    total = max((math.ceil(size / stride) - 1) * stride + (kernel - 1) * dilation + 1 - size, 0)
    return total // 2, total - total // 2


def convolution(x: Array, k: Array, strides: Any, padding: str, dilation: Any, groups: int = 1) -> Array:
    """The sum over kernel taps and channels, position by position."""
    rank = k.ndim - 2
    if padding == "causal":
        pads = [((k.shape[0] - 1) * dilation[0], 0)]
    elif padding == "same":
        pads = [same(x.shape[a + 1], k.shape[a], strides[a], dilation[a]) for a in range(rank)]
    else:
        pads = [(0, 0)] * rank
    x = np.pad(x, [(0, 0), *pads, (0, 0)])
    spans = [(k.shape[a] - 1) * dilation[a] + 1 for a in range(rank)]
    out = [(x.shape[a + 1] - spans[a]) // strides[a] + 1 for a in range(rank)]
    y: Array = np.zeros((x.shape[0], *out, k.shape[-1]))
    per_group, filters = k.shape[-2], k.shape[-1] // groups
    for place in itertools.product(*map(range, out)):
        taps = tuple(slice(p * s, p * s + n, d) for p, s, n, d in zip(place, strides, spans, dilation, strict=True))
        window = x[slice(None), *taps]
        for g in range(groups):
            part = window[..., g * per_group : (g + 1) * per_group]
            kernel = k[..., g * filters : (g + 1) * filters]
            y[slice(None), *place, slice(g * filters, (g + 1) * filters)] = np.tensordot(part, kernel, rank + 1)
    return y


CONVOLUTIONS = [
    (layers.Conv1D, (2, 11, 4), {"kernel_size": 3}),
    (layers.Conv1D, (2, 11, 4), {"kernel_size": 3, "padding": "causal", "dilation_rate": 2}),
    (layers.Conv1D, (2, 11, 4), {"kernel_size": 4, "padding": "same", "strides": 2}),
    (layers.Conv2D, (2, 9, 8, 3), {"kernel_size": (3, 2)}),
    (layers.Conv2D, (2, 9, 8, 3), {"kernel_size": 2, "padding": "same"}),
    (layers.Conv2D, (2, 9, 8, 3), {"kernel_size": 3, "padding": "same", "strides": (2, 3)}),
    (layers.Conv2D, (2, 9, 8, 3), {"kernel_size": 3, "dilation_rate": (2, 3)}),
    (layers.Conv2D, (2, 9, 8, 4), {"kernel_size": 3, "groups": 2}),
    (layers.Conv2D, (2, 9, 8, 3), {"kernel_size": 1, "use_bias": False}),
    (layers.Conv3D, (1, 5, 6, 4, 2), {"kernel_size": 2, "padding": "same", "strides": 2}),
    (layers.Conv3D, (1, 5, 6, 4, 2), {"kernel_size": (1, 3, 2)}),
]


@pytest.mark.parametrize(("cls", "shape", "arguments"), CONVOLUTIONS)
@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
def test_convolution(cls: Any, shape: tuple[int, ...], arguments: dict[str, Any], data_format: str) -> None:
    layer = cls(6, data_format=data_format, **arguments)
    x = rng(9).standard_normal(shape).astype(np.float32)
    given = x if data_format == "channels_last" else np.moveaxis(x, -1, 1)
    kernel, *bias = set_random_weights(layer, given.shape)
    padding, strides, dilation = layer.padding, layer.strides, layer.dilation_rate
    wanted = convolution(x.astype(np.float64), kernel, strides, padding, dilation, layer.groups)
    magnitude = convolution(np.abs(x).astype(np.float64), np.abs(kernel), strides, padding, dilation, layer.groups)
    if bias:
        wanted, magnitude = wanted + bias[0], magnitude + np.abs(bias[0])
    got = layer(given).numpy()
    got = got if data_format == "channels_last" else np.moveaxis(got, 1, -1)
    assert got.shape == wanted.shape
    # A sum of n products in any order is off by at most n roundings of the sum of their magnitudes (Higham 2002, 3.1).
    terms = int(np.prod(kernel.shape[:-1])) + 1
    assert (np.abs(got - wanted) <= terms * U * magnitude).all()


def transposed(y: Array, k: Array, strides: Any, dilation: Any, padding: str) -> Array:
    """Every value spread over its window, then cut to the result's size."""
    rank = k.ndim - 2
    spans = [(k.shape[a] - 1) * dilation[a] + 1 for a in range(rank)]
    full = np.zeros((y.shape[0], *((y.shape[a + 1] - 1) * strides[a] + spans[a] for a in range(rank)), k.shape[-2]))
    for place in itertools.product(*map(range, y.shape[1:-1])):
        taps = tuple(slice(p * s, p * s + n, d) for p, s, n, d in zip(place, strides, spans, dilation, strict=True))
        full[(slice(None), *taps)] += np.einsum("nc,...oc->n...o", y[(slice(None), *place)], k)
    for a in range(rank):
        size = y.shape[a + 1] * strides[a] + (max(spans[a] - strides[a], 0) if padding == "valid" else 0)
        low = max(spans[a] - strides[a], 0) // 2 if padding == "same" else 0
        missing = max(low + size - full.shape[a + 1], 0)
        full = np.pad(full, [(0, missing if b == a + 1 else 0) for b in range(full.ndim)])
        full = np.take(full, range(low, low + size), axis=a + 1)
    return full


@pytest.mark.parametrize("padding", ["valid", "same"])
@pytest.mark.parametrize("strides", [1, 2, 3])
@pytest.mark.parametrize(
    ("cls", "shape", "kernel_size"),
    [
        (layers.Conv1DTranspose, (2, 5, 4), 4),
        (layers.Conv2DTranspose, (2, 4, 3, 4), (3, 2)),
        (layers.Conv3DTranspose, (1, 3, 2, 3, 2), 2),
    ],
)
def test_transposed_convolution(cls: Any, shape: tuple[int, ...], kernel_size: Any, strides: int, padding: str) -> None:
    layer = cls(5, kernel_size, strides=strides, padding=padding, use_bias=False)
    x = rng(9).standard_normal(shape).astype(np.float32)
    (kernel,) = set_random_weights(layer, shape)
    arguments = (layer.strides, layer.dilation_rate, padding)
    wanted = transposed(x.astype(np.float64), kernel, *arguments)
    magnitude = transposed(np.abs(x).astype(np.float64), np.abs(kernel), *arguments)
    got = layer(x).numpy()
    assert got.shape == wanted.shape
    assert (np.abs(got - wanted) <= kernel.size * U * magnitude).all()


@pytest.mark.parametrize(
    ("output_padding", "padding", "sizes"),
    [(0, "valid", (9, 9)), (1, "valid", (10, 10)), (0, "same", (7, 7)), (1, "same", (8, 8)), ((1, 0), "same", (8, 7))],
)
def test_output_padding(output_padding: Any, padding: str, sizes: tuple[int, int]) -> None:
    layer = layers.Conv2DTranspose(2, 3, strides=2, padding=padding, output_padding=output_padding)
    assert layer(np.zeros((1, 4, 4, 3))).shape == (1, *sizes, 2)


def test_depthwise_and_separable() -> None:
    x = rng(9).standard_normal((2, 6, 5, 3)).astype(np.float32)
    depthwise = layers.DepthwiseConv2D(3, depth_multiplier=2, padding="same")
    kernel, bias = set_random_weights(depthwise, x.shape)
    assert kernel.shape == (3, 3, 3, 2)
    parts = [
        convolution(x[..., c : c + 1].astype(np.float64), kernel[:, :, c : c + 1], (1, 1), "same", (1, 1))
        for c in range(3)
    ]
    wanted = np.concatenate(parts, -1)
    # 9 products and a bias, each below 4 * 4 for these normal draws.
    np.testing.assert_allclose(depthwise(x).numpy(), wanted + bias, atol=10 * 10 * 16 * U)
    separable = layers.SeparableConv2D(4, 3, depth_multiplier=2, padding="same")
    deep, point, bias = set_random_weights(separable, x.shape)
    assert [w.name for w in separable.weights] == ["depthwise_kernel", "pointwise_kernel", "bias"]
    depthwise.set_weights([deep, np.zeros(6)])
    wanted = depthwise(x).numpy().astype(np.float64) @ point[0, 0] + bias
    # 6 products more, of values below 60.
    np.testing.assert_allclose(separable(x).numpy(), wanted, atol=7 * 7 * 60 * 4 * U)


@pytest.mark.parametrize("padding", ["valid", "same"])
@pytest.mark.parametrize("strides", [None, 1, 2, 4])
@pytest.mark.parametrize(("rank", "shape"), [(1, (2, 10, 3)), (2, (2, 9, 7, 3)), (3, (1, 5, 6, 4, 2))])
def test_pooling(rank: int, shape: tuple[int, ...], strides: int | None, padding: str) -> None:
    x = rng().standard_normal(shape).astype(np.float32)
    size, step = 3, strides or 3
    pads = [same(n, size, step, 1) if padding == "same" else (0, 0) for n in shape[1:-1]]
    padded: Array = np.pad(x.astype(np.float64), [(0, 0), *pads, (0, 0)], constant_values=np.nan)
    out = [(n - size) // step + 1 for n in padded.shape[1:-1]]
    largest: Array = np.zeros((shape[0], *out, shape[-1]))
    mean: Array = np.zeros_like(largest)
    for place in itertools.product(*map(range, out)):
        window = padded[(slice(None), *(slice(p * step, p * step + size) for p in place))]
        axes = tuple(range(1, rank + 1))
        largest[(slice(None), *place)] = np.nanmax(window, axes)
        mean[(slice(None), *place)] = np.nanmean(window, axes)
    arguments: dict[str, Any] = {"strides": strides, "padding": padding}
    top = getattr(layers, f"MaxPooling{rank}D")(size, **arguments)(x).numpy()
    np.testing.assert_array_equal(top, largest.astype(np.float32))
    average = getattr(layers, f"AveragePooling{rank}D")(size, **arguments)(x).numpy()
    # A sum of up to size**rank values below 4, and one rounding of the factor.
    np.testing.assert_allclose(average, mean, atol=(size**rank + 2) * 4 * U)


def test_global_pooling() -> None:
    x = rng().standard_normal((2, 4, 5, 3)).astype(np.float32)
    np.testing.assert_array_equal(layers.GlobalMaxPooling2D()(x).numpy(), x.max((1, 2)))
    mean = layers.GlobalAveragePooling2D(keepdims=True)(x)
    assert mean.shape == (2, 1, 1, 3)
    np.testing.assert_allclose(mean.numpy()[:, 0, 0], x.astype(np.float64).mean((1, 2)), atol=22 * 4 * U)
    first = layers.GlobalMaxPooling2D("channels_first")(np.moveaxis(x, -1, 1))
    np.testing.assert_array_equal(first.numpy(), x.max((1, 2)))


@pytest.mark.parametrize("axis", [-1, 1])
def test_batch_normalization_in_training(axis: int) -> None:
    layer = layers.BatchNormalization(axis=axis, momentum=0.75, epsilon=0.01)
    x = (rng().standard_normal((4, 3, 2, 3)) * 2 + 1).astype(np.float32)
    gamma, beta, mean, variance = rng(1).uniform(0.5, 1.5, (4, 3))
    layer.build(x.shape)
    layer.set_weights([gamma, beta, mean, variance])
    assert [w.name for w in layer.weights] == ["gamma", "beta", "moving_mean", "moving_variance"]
    assert [w.name for w in layer.trainable_weights] == ["gamma", "beta"]
    axes = tuple(a for a in range(4) if a != axis % 4)
    shape = [3 if a == axis % 4 else 1 for a in range(4)]
    wide = x.astype(np.float64)
    batch_mean, batch_variance = wide.mean(axes), wide.var(axes)
    scaled = (wide - batch_mean.reshape(shape)) / np.sqrt(batch_variance.reshape(shape) + 0.01)
    wanted = scaled * gamma.reshape(shape) + beta.reshape(shape)
    # Mean and variance are sums of 24 values below 100; their errors reach the result at a factor of about 1.
    bound = 24 * 100 * U
    np.testing.assert_allclose(layer(x, training=True).numpy(), wanted, atol=bound)
    np.testing.assert_allclose(layer.moving_mean.numpy(), mean * 0.75 + batch_mean * 0.25, atol=bound)
    np.testing.assert_allclose(layer.moving_variance.numpy(), variance * 0.75 + batch_variance * 0.25, atol=bound)


def test_batch_normalization_at_inference_and_frozen() -> None:
    layer = layers.BatchNormalization()
    x = rng().standard_normal((4, 3)).astype(np.float32)
    layer.build(x.shape)
    gamma, beta, mean, variance = (w.astype(np.float64) for w in rng(1).uniform(0.5, 1.5, (4, 3)).astype(np.float32))
    layer.set_weights([gamma, beta, mean, variance])
    wanted = (x - mean) / np.sqrt(variance + 1e-3) * gamma + beta
    bound = 8 * 10 * U  # about eight roundings of values below 10
    np.testing.assert_allclose(layer(x).numpy(), wanted, atol=bound)
    layer.trainable = False
    np.testing.assert_allclose(layer(x, training=True).numpy(), wanted, atol=bound)
    np.testing.assert_array_equal(layer.moving_mean.numpy(), mean.astype(np.float32))
    assert len(layer.non_trainable_weights) == 4


@pytest.mark.parametrize("axis", [-1, [1, 2]])
def test_layer_normalization(axis: Any) -> None:
    layer = layers.LayerNormalization(axis=axis)
    x = (rng().standard_normal((3, 4, 5)) + 1).astype(np.float32)
    gamma, beta = set_random_weights(layer, x.shape)
    wide, axes = x.astype(np.float64), (2,) if axis == -1 else (1, 2)
    wanted = (wide - wide.mean(axes, keepdims=True)) / np.sqrt(wide.var(axes, keepdims=True) + 1e-3) * gamma + beta
    # Sums of 20 values below 16, then values below 16.
    np.testing.assert_allclose(layer(x).numpy(), wanted, atol=20 * 16 * 4 * U)


def test_dropout() -> None:
    x = np.ones((64, 512), np.float32)
    layer = layers.Dropout(0.25, seed=3)
    np.testing.assert_array_equal(layer(x).numpy(), x)
    first, second = layer(x, training=True).numpy(), layer(x, training=True).numpy()
    assert set(np.unique(first)) == {np.float32(0), np.float32(1) / np.float32(0.75)}
    assert (first != second).any()
    # The share of zeros has deviation sqrt(p (1 - p) / n) = 0.0024; five of them.
    assert abs((first == 0).mean() - 0.25) < 5 * math.sqrt(0.25 * 0.75 / x.size)
    again = layers.Dropout(0.25, seed=3)
    np.testing.assert_array_equal(again(x, training=True).numpy(), first)
    np.testing.assert_array_equal(layers.Dropout(1.0)(x, training=True).numpy(), 0 * x)
    rows = layers.Dropout(0.5, noise_shape=(None, 1), seed=1)(x, training=True).numpy()
    assert (rows == rows[:, :1]).all()
    assert len(np.unique(rows)) == 2


def test_dropout_draws_the_same_bits_compiled() -> None:
    x = np.ones((8, 16), np.float32)
    eager, compiled = layers.Dropout(0.5, seed=7), layers.Dropout(0.5, seed=7)
    with Trace() as trace:
        step = trace.compile([compiled(trace.graph.input(x.shape, "float32"), training=True)])
    for _ in range(3):
        np.testing.assert_array_equal(step.run([x])[0].numpy(), eager(x, training=True).numpy())


ACTIVATIONS: dict[str, Any] = {
    "relu": lambda x: np.maximum(x, 0),
    "relu6": lambda x: np.clip(x, 0, 6),
    "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "log_sigmoid": lambda x: -np.log1p(np.exp(-x)),
    "tanh": np.tanh,
    "softplus": lambda x: np.log1p(np.exp(x)),
    "softsign": lambda x: x / (1 + abs(x)),
    "elu": lambda x: np.where(x > 0, x, np.expm1(x)),
    "celu": lambda x: np.where(x > 0, x, np.expm1(x)),
    "selu": lambda x: 1.0507009873554805 * np.where(x > 0, x, 1.6732632423543772 * np.expm1(x)),
    "silu": lambda x: x / (1 + np.exp(-x)),
    "gelu": lambda x: x * np.vectorize(math.erfc)(-x / math.sqrt(2)) / 2,
    "leaky_relu": lambda x: np.where(x > 0, x, 0.2 * x),
    "exponential": np.exp,
    "hard_sigmoid": lambda x: np.clip(x + 3, 0, 6) / 6,
    "hard_silu": lambda x: x * np.clip(x + 3, 0, 6) / 6,
    "hard_tanh": lambda x: np.clip(x, -1, 1),
    "mish": lambda x: x * np.tanh(np.log1p(np.exp(x))),
    "linear": lambda x: x,
    "softmax": lambda x: np.exp(x) / np.exp(x).sum(-1, keepdims=True),
    "log_softmax": lambda x: x - np.log(np.exp(x).sum(-1, keepdims=True)),
}


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activation(name: str) -> None:
    x = np.linspace(-6, 6, 48, dtype=np.float32).reshape(3, 16)
    got = layers.Activation(name)(x).numpy()
    wanted = ACTIVATIONS[name](x.astype(np.float64))
    # Elementary functions within 4 ULP, up to eight operations on values of at most 8 (exp: relative).
    np.testing.assert_allclose(got, wanted, rtol=32 * U, atol=64 * U)


SLOPES_AT_ZERO = {
    "relu": 0.0,
    "relu6": 0.0,
    "leaky_relu": 0.2,
    "elu": 1.0,
    "celu": 1.0,
    "selu": 1.0507009873554805,
    "softplus": 0.5,
    "log_sigmoid": 0.5,
    "mish": 0.6,  # tanh(log 2)
    "silu": 0.5,
    "gelu": 0.5,
    "softsign": 1.0,
    "hard_tanh": 1.0,
}


@pytest.mark.parametrize("name", SLOPES_AT_ZERO)
def test_gradient_at_zero(name: str) -> None:
    """Where the pieces of a formula meet: biases begin at 0, so this is where networks begin."""
    x = ops.zeros((3,))
    with GradientTape() as tape:
        tape.watch(x)
        y = layers.Activation(name)(x)
    np.testing.assert_allclose(tape.gradient(y, x).numpy(), SLOPES_AT_ZERO[name], rtol=8 * U)


def test_gradients_at_ties() -> None:
    y, t = ops.zeros((2,)), np.array([0.0, 1.0])
    with GradientTape(persistent=True) as tape:
        tape.watch(y)
        loss = ops.binary_crossentropy(t, y, from_logits=True)
        total = ops.logaddexp(y, y * 2.0)
    np.testing.assert_allclose(tape.gradient(loss, y).numpy(), 0.5 - t, rtol=4 * U)
    np.testing.assert_allclose(tape.gradient(total, y).numpy(), 0.5 * 1 + 0.5 * 2, rtol=4 * U)
    trained = losses.BinaryCrossentropy(from_logits=True)
    with GradientTape() as tape:
        tape.watch(y)
        loss = trained(t, y)
    np.testing.assert_allclose(tape.gradient(loss, y).numpy(), (0.5 - t) / 2, rtol=4 * U)


@pytest.mark.parametrize(("x", "wanted"), [(-2.0, -0.5), (0.4, -0.02), (0.5, 0.0), (0.75, 0.75), (2.0, 1.0)])
def test_relu_with_all_arguments(x: float, wanted: float) -> None:
    """0.2 * (x - threshold) below the threshold, x above, at most the maximum."""
    layer = layers.ReLU(max_value=1.0, negative_slope=0.2, threshold=0.5)
    assert float(layer(np.array([x]))[0]) == pytest.approx(wanted, abs=4 * U)


def test_prelu_learns_one_slope_per_channel() -> None:
    layer = layers.PReLU(shared_axes=[1])
    layer.build((None, 2, 3))
    layer.set_weights([np.array([[0.5, 0.25, 0.0]])])
    got = layer(np.array([[[-1, -1, -1], [1, 2, 3]]], np.float32)).numpy()
    np.testing.assert_array_equal(got, [[[-0.5, -0.25, 0.0], [1, 2, 3]]])


def test_shapes_and_order_of_elements() -> None:
    x = rng().standard_normal((2, 4, 6, 3)).astype(np.float32)
    same_elements = {
        layers.Flatten(): x.reshape(2, -1),
        layers.Flatten("channels_first"): np.moveaxis(x, 1, -1).reshape(2, -1),
        layers.Reshape((8, -1)): x.reshape(2, 8, 9),
        layers.Permute((3, 1, 2)): x.transpose(0, 3, 1, 2),
        layers.ZeroPadding2D(((1, 0), (2, 3))): np.pad(x, ((0, 0), (1, 0), (2, 3), (0, 0))),
        layers.ZeroPadding2D(1, "channels_first"): np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1))),
        layers.Cropping2D(((1, 0), (2, 3))): x[:, 1:, 2:-3],
        layers.UpSampling2D((2, 3)): x.repeat(2, 1).repeat(3, 2),
        layers.Identity(): x,
    }
    for layer, wanted in same_elements.items():
        np.testing.assert_array_equal(layer(x).numpy(), wanted, err_msg=repr(layer))
        assert layer.compute_output_shape((None, *x.shape[1:])) == (None, *wanted.shape[1:])


def test_merging() -> None:
    a, b, c = (rng(i).integers(-9, 9, (2, 3)).astype(np.float32) for i in range(3))
    wanted = {
        "add": a + b + c,
        "multiply": a * b * c,
        "maximum": np.maximum(a, np.maximum(b, c)),
        "minimum": np.minimum(a, np.minimum(b, c)),
        "concatenate": np.concatenate([a, b, c], -1),
    }
    for name, value in wanted.items():
        np.testing.assert_array_equal(getattr(layers, name)([a, b, c]).numpy(), value)
    np.testing.assert_array_equal(layers.subtract([a, b]).numpy(), a - b)
    np.testing.assert_allclose(layers.average([a, b, c]).numpy(), (a + b + c) / 3, rtol=2 * U)
    # Fewer axes: the missing ones follow the batch.
    np.testing.assert_array_equal(
        layers.add([a, np.ones((2, 4, 3), np.float32)]).numpy(), a[:, None] + np.ones((2, 4, 3))
    )


def test_rescaling_takes_bytes() -> None:
    x = np.arange(256, dtype=np.uint8).reshape(1, 256)
    got = layers.Rescaling(1 / 127.5, offset=-1)(x).numpy()
    np.testing.assert_allclose(got, x / 127.5 - 1, atol=3 * U)


def test_convolution_of_bytes_and_of_a_variable() -> None:
    layer = layers.Conv2D(2, 2)
    x = rng().integers(0, 255, (1, 4, 4, 1))
    byte = layer(x.astype(np.uint8)).numpy()
    np.testing.assert_array_equal(byte, layer(x.astype(np.float32)).numpy())
    np.testing.assert_array_equal(byte, layer(Variable(x.astype(np.float32))).numpy())
    np.testing.assert_array_equal(byte, layer(ops.convert_to_tensor(x)).numpy())


def resampled(x: Array, new: int, interpolation: str, antialias: bool) -> Array:
    """The first axis resampled, pixel by pixel, with half-pixel centres; the edge is repeated outside."""
    size = len(x)
    y = np.zeros((new, *x.shape[1:]))
    for i in range(new):
        centre = (i + 0.5) * size / new - 0.5
        if interpolation == "nearest":
            y[i] = x[min(math.floor(centre + 0.5), size - 1)]
        elif antialias:
            width = max(size / new, 1)
            weights = [max(0.0, 1 - abs(j - centre) / width) for j in range(size)]
            y[i] = sum(w * x[j] for j, w in enumerate(weights)) / sum(weights)
        else:
            low = math.floor(centre)
            left, right = (x[min(max(j, 0), size - 1)] for j in (low, low + 1))
            y[i] = left + (right - left) * (centre - low)
    return y


@pytest.mark.parametrize("size", [(10, 14), (3, 4), (5, 9), (13, 2), (1, 1)])
@pytest.mark.parametrize(("interpolation", "antialias"), [("nearest", False), ("bilinear", False), ("bilinear", True)])
def test_resize(size: tuple[int, int], interpolation: str, antialias: bool) -> None:
    x = rng().standard_normal((2, 5, 7, 3)).astype(np.float32)
    wanted = np.moveaxis(x.astype(np.float64), 1, 0)
    wanted = np.moveaxis(resampled(wanted, size[0], interpolation, antialias), 0, 1)
    wanted = np.moveaxis(resampled(np.moveaxis(wanted, 2, 0), size[1], interpolation, antialias), 0, 2)
    # Two sums of at most 7 products of values below 4, with rounded weights.
    bound = 2 * 2 * 7 * 4 * U
    got = ops.image.resize(x, size, interpolation, antialias)
    np.testing.assert_allclose(got.numpy(), wanted, atol=bound)
    first = ops.image.resize(np.moveaxis(x, -1, 1), size, interpolation, antialias, data_format="channels_first")
    np.testing.assert_allclose(np.moveaxis(first.numpy(), 1, -1), wanted, atol=bound)
    np.testing.assert_array_equal(ops.image.resize(x[0], size, interpolation, antialias).numpy(), got.numpy()[0])


def test_bilinear_upsampling() -> None:
    x = rng().standard_normal((1, 3, 4, 2)).astype(np.float32)
    layer = layers.UpSampling2D((2, 3), interpolation="bilinear")
    np.testing.assert_array_equal(layer(x).numpy(), ops.image.resize(x, (6, 12)).numpy())
    with pytest.raises(ValueError, match="resize: expected interpolation"):
        ops.image.resize(x, (2, 2), "cubic")
    with pytest.raises(ValueError, match="images with 3 or 4 axes"):
        ops.image.resize(x[0, 0], (2, 2))


@pytest.mark.parametrize("axes", [[0, 1, 2], [0, 2, 3], [0, 1, 2, 3], [1, 2], [0]])
@pytest.mark.parametrize("level", [0.0, 1e4])
def test_moments_of_values_far_from_zero(axes: list[int], level: float) -> None:
    """The variance is as good where the mean is 10^4 deviations away.

    Each of at most 40 additions that a value goes through rounds by `U`; centred values are off by the rounding of the
    mean alone, relative to the deviation `r = 40 * U * level`, of which the square enters the variance.
    """
    x = (rng().normal(size=(6, 5, 7, 4)) + level).astype(np.float32)
    mean, variance = (np.asarray(part, np.float64) for part in ops.moments(x, axes))
    wide = x.astype(np.float64)
    np.testing.assert_allclose(mean, wide.mean(tuple(axes)), rtol=0, atol=40 * U * (level + 4))
    np.testing.assert_allclose(variance, wide.var(tuple(axes)), rtol=80 * U + (40 * U * level) ** 2)


def test_gradients_of_moments_are_those_of_their_definition() -> None:
    """Of first and second order, though the moments come from those of each sample.

    Both ways are float32: a term passes 60 additions and some 20 other roundings in each of the two nested gradients,
    and sums of deviations from a mean cancel to not less than a tenth: 2 * 80 * 10 U of the largest element.
    """
    x = ops.convert_to_tensor(rng().normal(size=(4, 3, 5, 2)).astype(np.float32))

    def defined(x: Any) -> Any:
        mean = ops.mean(x, (0, 1, 2))
        return mean, ops.mean(ops.square(x - mean), (0, 1, 2))

    found = []
    for moments in (lambda x: ops.moments(x, (0, 1, 2)), defined):
        with GradientTape() as outer:
            outer.watch(x)
            with GradientTape() as tape:
                tape.watch(x)
                mean, variance = moments(x)
                y = ops.sum(ops.sin(mean) * variance + ops.square(variance))
            first = tape.gradient(y, x)
            z = ops.sum(ops.square(first)) * 1e3
        found.append((first.numpy(), outer.gradient(z, x).numpy()))
    for a, b in zip(*found, strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=2 * 80 * 10 * U * np.abs(b).max())
