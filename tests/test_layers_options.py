"""Layers beyond their numbers: chance in training, both data formats, old arguments, state under a tape."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from oxiconv import GradientTape, Sequential, Variable, initializers, layers, ops
from oxiconv.trace import Trace
from reference.areas.layers import NORMALIZATIONS, SHAPES
from reference.areas.windows import ADAPTIVE, CONVOLUTIONS, POOLINGS

EPS = float(np.finfo(np.float32).eps)


def draw(*shape: int, seed: int = 0) -> Any:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def first(x: Any) -> Any:
    """Channels after the batch instead of last."""
    return np.moveaxis(x, -1, 1)


WINDOWS: dict[str, tuple[Any, dict[str, Any], tuple[int, ...]]] = {
    "conv1d": (layers.Conv1D, {"filters": 3, "kernel_size": 3, "padding": "causal"}, (2, 7, 2)),
    "conv2d": (layers.Conv2D, {"filters": 4, "kernel_size": 3, "strides": 2, "groups": 2}, (2, 7, 6, 2)),
    "conv3d": (layers.Conv3D, {"filters": 2, "kernel_size": 2, "padding": "same"}, (1, 3, 4, 3, 2)),
    "transposed": (layers.Conv2DTranspose, {"filters": 3, "kernel_size": 3, "strides": 2}, (1, 3, 4, 2)),
    "depthwise": (layers.DepthwiseConv2D, {"kernel_size": 2, "depth_multiplier": 2}, (1, 5, 4, 3)),
    "separable": (layers.SeparableConv1D, {"filters": 3, "kernel_size": 2}, (1, 5, 2)),
    "max": (layers.MaxPooling2D, {"pool_size": 2, "padding": "same"}, (1, 5, 4, 3)),
    "average": (layers.AveragePooling1D, {"pool_size": 2, "padding": "same"}, (1, 5, 3)),
    "padding": (layers.ZeroPadding3D, {"padding": (1, 0, 2)}, (1, 2, 3, 2, 3)),
    "upsampling": (layers.UpSampling2D, {"interpolation": "bilinear"}, (1, 3, 2, 3)),
}


@pytest.mark.parametrize("name", WINDOWS)
def test_channels_first_is_channels_last_with_other_axes(name: str) -> None:
    cls, arguments, shape = WINDOWS[name]
    x = draw(*shape)
    last, other = cls(**arguments), cls(**arguments, data_format="channels_first")
    last(x)
    other(first(x))
    other.set_weights(last.get_weights())
    # The same sums of at most 54 terms of size about 1, in another order.
    np.testing.assert_allclose(other(first(x)).numpy(), first(last(x).numpy()), rtol=0, atol=54 * EPS * 4)


SHARE = 0.3
COUNT = 40000


def deviations(x: Any) -> Any:
    """Mean of samples and its deviation by chance."""
    return x.mean(), x.std() / np.sqrt(x.size)


@pytest.mark.parametrize("traced", [False, True])
def test_gaussian_dropout_has_the_moments_of_dropout(traced: bool) -> None:
    y = run(layers.GaussianDropout(SHARE, seed=1), np.ones((4, COUNT // 4), np.float32), traced)
    # The mean of normal numbers within six deviations; so is their variance, whose own is twice its square.
    variance = SHARE / (1 - SHARE)
    assert abs(y.mean() - 1) < 6 * np.sqrt(variance / COUNT)
    assert abs(y.var() / variance - 1) < 6 * np.sqrt(2 / COUNT)


@pytest.mark.parametrize("traced", [False, True])
def test_alpha_dropout_keeps_mean_and_variance(traced: bool) -> None:
    x = draw(4, COUNT // 4)
    y = run(layers.AlphaDropout(SHARE, seed=1), x, traced)
    assert abs(y.mean()) < 6 / np.sqrt(COUNT)
    # Variance 1; the fourth moment of the mixture is below 10, so a sample variance is off by less than 3 / sqrt(n).
    assert abs(y.var() - 1) < 6 * 3 / np.sqrt(COUNT)
    # What is kept is scaled and shifted, as is the limit of selu in place of what is not.
    limit = -1.0507009873554805 * 1.6732632423543772
    a = ((1 - SHARE) * (1 + SHARE * limit**2)) ** -0.5
    dropped = np.abs(y - (a * limit - a * limit * SHARE)) < 8 * EPS
    assert abs(dropped.mean() - SHARE) < 6 * np.sqrt(SHARE * (1 - SHARE) / COUNT)
    np.testing.assert_allclose(y[~dropped], a * x[~dropped] - a * limit * SHARE, atol=8 * 8 * EPS)


def run(layer: Any, x: Any, traced: bool) -> Any:
    if not traced:
        return layer(x, training=True).numpy().astype(np.float64)
    with Trace() as trace:
        step = trace.compile([layer(trace.graph.input(x.shape, "float32"), training=True)])
    return step.run([x])[0].numpy().astype(np.float64)


@pytest.mark.parametrize("cls", [layers.SpatialDropout1D, layers.AlphaDropout])
def test_noise_of_whole_channels(cls: Any) -> None:
    layer = cls(0.5, seed=3) if cls is layers.SpatialDropout1D else cls(0.5, noise_shape=(None, 1, None), seed=3)
    y = layer(np.ones((8, 5, 4), np.float32), training=True).numpy()
    assert (y == y[:, :1]).all()
    assert len(np.unique(y[:, 0])) == 2


def test_no_gradient_passes_through_an_assignment() -> None:
    v = Variable(2.0)
    with GradientTape() as tape:
        v.assign(v * v)
        y = v * 3.0
    gradient = tape.gradient(y, v)
    assert gradient is not None
    assert (float(y), float(gradient)) == (12.0, 3.0)


def test_spectral_normalization_trains_the_layer_within() -> None:
    layer = layers.SpectralNormalization(layers.Dense(3))
    x = draw(5, 4)
    layer(x)
    layer.layer.kernel.assign(np.zeros((4, 3)))
    u = layer.vector_u.numpy()
    layer(x, training=True)  # a kernel of zeros stays
    np.testing.assert_array_equal(layer.layer.kernel.numpy(), np.zeros((4, 3)))
    np.testing.assert_array_equal(layer.vector_u.numpy(), u)
    layer.layer.kernel.assign(draw(4, 3, seed=1))
    with GradientTape() as tape:
        y = layer(x, training=True)
        loss = ops.sum(ops.square(y))
    assert [w.name for w in layer.weights] == ["kernel", "vector_u", "bias"]
    # The gradient at the normalized kernel, which is what the optimizer then changes. Sums of 15 terms of size 10.
    np.testing.assert_allclose(
        tape.gradient(loss, layer.layer.kernel).numpy(), 2 * x.T @ y.numpy(), atol=15 * 10 * 4 * EPS
    )


def test_old_arguments() -> None:
    with pytest.warns(DeprecationWarning, match="negative_slope"):
        assert layers.LeakyReLU(alpha=0.1).negative_slope == 0.1
    with pytest.warns(DeprecationWarning, match="use RMSNormalization"):
        layer = layers.LayerNormalization(rms_scaling=True)
    x = draw(3, 4)
    want = x / np.sqrt(x.var(axis=1, keepdims=True) + 1e-3)
    np.testing.assert_allclose(layer(x).numpy(), want, rtol=32 * EPS)
    assert [w.name for w in layer.weights] == ["gamma"]


def test_functions_with_masks_as_layers() -> None:
    def kept(x: Any, mask: Any = None) -> Any:
        return x if mask is None else ops.where(ops.expand_dims(mask, -1), x, 0.0)

    layer = layers.Lambda(kept, mask=lambda inputs, mask: mask)
    x, mask = ops.ones((1, 2, 3)), ops.convert_to_tensor([[True, False]])
    y = layer(x, mask=mask)
    assert y.numpy().sum() == 3.0
    assert y._keras_mask is mask


def test_renormalization_begins_as_normalization_by_the_first_statistics() -> None:
    """With statistics of 0 and 1 the ratio and the distance undo the normalization: the outputs are the inputs."""
    layer = layers.BatchNormalization(renorm=True, epsilon=1e-6, moving_variance_initializer=initializers.Ones())
    x = draw(64, 3) * 2 + 1
    # By way of a division by the deviation and a product with it: a few roundings of values up to 8.
    np.testing.assert_allclose(layer(x, training=True).numpy(), x, atol=16 * 8 * EPS)
    names = ["gamma", "beta", "moving_mean", "moving_variance", "moving_stddev", "renorm_mean", "renorm_stddev"]
    assert [w.name for w in layer.weights] == names


@pytest.mark.parametrize("policy", ["mixed_float16", "float16", "bfloat16"])
@pytest.mark.parametrize("name", [*CONVOLUTIONS, *POOLINGS, *ADAPTIVE, *NORMALIZATIONS, *SHAPES])
def test_half_types(name: str, policy: str) -> None:
    """Outputs in the type of the computation, near those in float32; gradients in the types of the weights."""
    cls, shape, arguments = {**CONVOLUTIONS, **POOLINGS, **ADAPTIVE, **NORMALIZATIONS, **SHAPES}[name]
    x = draw(*shape)
    wide, half = getattr(layers, cls)(**arguments), getattr(layers, cls)(**arguments, dtype=policy)
    wide(x)
    half(x)
    half.set_weights(wide.get_weights())
    with GradientTape() as tape:
        y = half(x)
        loss = ops.sum(ops.cast(y, "float32"))
    assert y.dtype == policy.removeprefix("mixed_")
    for gradient, weight in zip(tape.gradient(loss, half.trainable_weights), half.trainable_weights, strict=True):
        assert gradient.dtype == weight.dtype
    # Inputs and weights are rounded to 8 or 11 bits; at most 27 terms, normalized by statistics of rounded inputs.
    want = wide(x).numpy()
    bits = 8 if "bfloat16" in policy else 11
    np.testing.assert_allclose(y.numpy().astype(np.float32), want, rtol=0, atol=27 * 2.0**-bits * np.abs(want).max())


def test_spectral_normalization_in_compiled_training() -> None:
    """The step is compiled, and changes the kernel from where the normalization put it, as eager training does."""
    x, y = draw(8, 4), draw(8, 1, seed=1)
    results = []
    for eagerly in (False, True):
        model = Sequential([layers.SpectralNormalization(layers.Dense(3)), layers.Dense(1)])
        model.build((None, 4))
        model.set_weights([draw(*w.shape, seed=i) for i, w in enumerate(model.weights)])
        model.compile("sgd", "mse", run_eagerly=eagerly)
        for _ in range(3):
            model.train_on_batch(x, y)
        results.append(model.get_weights())
    # Three steps of sums of 32 terms of size up to 10, divided by a singular value near 1.
    for compiled, eager in zip(*results, strict=True):
        np.testing.assert_allclose(compiled, eager, rtol=0, atol=3 * 32 * 10 * EPS)
    assert np.linalg.norm(results[0][0] - draw(4, 3, seed=0)) > 0.1
