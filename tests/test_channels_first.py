"""`set_image_data_format("channels_first")`: every layer of images gives what it gives for the same data, moved."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import oxiconv
from oxiconv import GradientTape, config, layers, ops

# Arguments and the number of spatial axes, by class.
LAYERS: dict[str, tuple[str, int]] = {
    "Conv1D": ("4, 3, padding='same'", 1),
    "Conv2D": ("4, 3, padding='same', strides=2, activation='relu'", 2),
    "Conv3D": ("2, 2", 3),
    "Conv1DTranspose": ("4, 3", 1),
    "Conv2DTranspose": ("3, 3, strides=2, padding='same'", 2),
    "Conv3DTranspose": ("2, 2", 3),
    "DepthwiseConv1D": ("2, depth_multiplier=2", 1),
    "DepthwiseConv2D": ("3", 2),
    "SeparableConv1D": ("4, 3", 1),
    "SeparableConv2D": ("4, 3", 2),
    "MaxPooling1D": ("2", 1),
    "MaxPooling2D": ("2, padding='same'", 2),
    "MaxPooling3D": ("2", 3),
    "AveragePooling1D": ("2", 1),
    "AveragePooling2D": ("3, padding='same'", 2),
    "AveragePooling3D": ("2", 3),
    "GlobalAveragePooling1D": ("", 1),
    "GlobalAveragePooling2D": ("keepdims=True", 2),
    "GlobalAveragePooling3D": ("", 3),
    "GlobalMaxPooling1D": ("keepdims=True", 1),
    "GlobalMaxPooling2D": ("", 2),
    "GlobalMaxPooling3D": ("", 3),
    "AdaptiveAveragePooling1D": ("3", 1),
    "AdaptiveAveragePooling2D": ("(2, 3)", 2),
    "AdaptiveAveragePooling3D": ("2", 3),
    "AdaptiveMaxPooling1D": ("3", 1),
    "AdaptiveMaxPooling2D": ("2", 2),
    "AdaptiveMaxPooling3D": ("2", 3),
    "UpSampling2D": ("2, interpolation='bilinear'", 2),
    "UpSampling3D": ("2", 3),
    "ZeroPadding2D": ("((1, 0), (2, 1))", 2),
    "ZeroPadding3D": ("1", 3),
    "Cropping2D": ("((1, 0), (0, 1))", 2),
    "Cropping3D": ("1", 3),
    "Flatten": ("", 2),
    "SpatialDropout2D": ("0.5", 2),
    "SpatialDropout3D": ("0.5", 3),
    "Resizing": ("4, 7", 2),
    "CenterCrop": ("3, 2", 2),
    "RandomFlip": ("seed=1", 2),
    "RandomRotation": ("0.1, seed=1", 2),
    "RandomZoom": ("0.2, seed=1", 2),
    "RandomTranslation": ("0.2, 0.1, seed=1", 2),
    "RandomContrast": ("0.2, seed=1", 2),
    "RandomCrop": ("3, 2, seed=1", 2),
}
# These take their random numbers in an order that depends on the layout, or have no gradient: outputs without training.
INFERENCE = ("SpatialDropout", "Random", "Center")
SIZES = (5, 6, 4)


@pytest.fixture(autouse=True)
def _channels_last_afterwards() -> Iterator[None]:
    yield
    config.set_image_data_format("channels_last")


def make(name: str, data_format: str) -> Any:
    config.set_image_data_format(data_format)
    return eval(f"layers.{name}({LAYERS[name][0]})", {"layers": layers})


def run(layer: Any, x: Any) -> tuple[Any, Any]:
    source = ops.convert_to_tensor(x)
    with GradientTape() as tape:
        tape.watch(source)
        y = layer(source, training=False)
        loss = ops.sum(ops.square(y) * 0.5)
    return np.asarray(y), tape.gradient(loss, [source, *layer.trainable_weights])


@pytest.mark.parametrize("name", LAYERS)
def test_layers(name: str) -> None:
    rank = LAYERS[name][1]
    x = np.random.default_rng(0).random((2, *SIZES[:rank], 3), np.float32)
    last, first = make(name, "channels_last"), make(name, "channels_first")
    assert (last.data_format, first.data_format) == ("channels_last", "channels_first")
    y, gradients = run(last, x)
    moved = np.moveaxis(x, -1, 1)
    first(moved)
    first.set_weights(last.get_weights())
    z, moved_gradients = run(first, moved)
    # The same sums in another order, of at most some hundred terms below 1.
    close: dict[str, Any] = {"rtol": 1e-4, "atol": 1e-5}
    np.testing.assert_allclose(np.moveaxis(z, 1, -1) if z.ndim == y.ndim > 2 else z, y, **close)
    if not name.startswith(INFERENCE):
        for place, (a, b) in enumerate(zip(gradients, moved_gradients, strict=True)):
            np.testing.assert_allclose(np.moveaxis(b.numpy(), 1, -1) if place == 0 else b, a, **close)
    symbolic = first(oxiconv.Input(moved.shape[1:]))
    assert symbolic.shape == (None, *z.shape[1:])
    assert first.get_config().get("data_format", "channels_first") == "channels_first"


@pytest.mark.parametrize("name", [name for name in LAYERS if name.startswith("Random") and name != "RandomCrop"])
def test_augmentation(name: str) -> None:
    """With the same seed, the same change of the same pictures."""
    x = np.random.default_rng(0).random((2, 6, 5, 3), np.float32) * 255
    y = make(name, "channels_last")(x, training=True)
    z = make(name, "channels_first")(np.moveaxis(x, -1, 1), training=True)
    np.testing.assert_allclose(np.moveaxis(z.numpy(), 1, -1), y, rtol=1e-4, atol=1e-2)


def test_a_model() -> None:
    config.set_image_data_format("channels_first")
    inputs = oxiconv.Input((3, 8, 8))
    x = layers.MaxPooling2D()(layers.BatchNormalization(axis=1)(layers.Conv2D(4, 3, padding="same")(inputs)))
    model = oxiconv.Model(inputs, layers.Dense(2)(layers.Flatten()(x)))
    assert x.shape == (None, 4, 4, 4)
    model.compile("sgd", "mse")
    data = np.random.default_rng(0).random((4, 3, 8, 8), np.float32)
    model.fit(data, np.zeros((4, 2)), verbose=0)
    assert model.predict(data, verbose=0).shape == (4, 2)
