"""Symbolic shapes with unknown sizes, against those that real Keras 3.15.1 gives for the same expressions."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import oxiconv
from oxiconv import Input, layers, ops


def image() -> Any:
    return Input((None, None, 3))


def fixed() -> Any:
    return Input((32, 32, 3))


def flat() -> Any:
    return Input((None,))


N = None
# What Keras says, except where the sizes below are narrower: an unknown size that is added to 32 is 32.
SHAPES: list[tuple[Any, tuple[int | None, ...]]] = [
    (lambda: image() + fixed(), (N, 32, 32, 3)),
    (lambda: fixed() < image(), (N, 32, 32, 3)),
    (lambda: layers.add([image(), Input((None, 32, 3))]), (N, N, 32, 3)),
    (lambda: image() * Input((1, 1, 3)), (N, N, N, 3)),
    (lambda: image() + np.ones((1, 32, 1, 3), np.float32), (N, 32, N, 3)),
    (lambda: layers.concatenate([image(), fixed()], axis=1), (N, N, 32, 3)),
    (lambda: layers.concatenate([image(), fixed(), image()]), (N, 32, 32, 9)),
    (lambda: ops.where(image() > 0, fixed(), Input((None, 32, 3))), (N, 32, 32, 3)),
    (lambda: ops.stack([image(), fixed()], axis=1), (N, 2, 32, 32, 3)),
    (lambda: layers.Reshape((7, 7, -1))(flat()), (N, 7, 7, N)),
    (lambda: layers.Reshape((7, 7, 64))(flat()), (N, 7, 7, 64)),
    (lambda: ops.reshape(image(), (-1, 49)), (N, 49)),
    (lambda: layers.Flatten()(image()), (N, N)),
    (lambda: ops.matmul(Input((4, None)), Input((7, 5))), (N, 4, 5)),
    (lambda: Input(batch_shape=(4, None, 3)) + Input((7, 3)), (4, 7, 3)),
    (lambda: ops.einsum("bij,bjk->bik", Input((None, None)), Input((7, 5))), (N, N, 5)),
    (lambda: ops.broadcast_to(Input((1, 1, 3)), (4, 32, 32, 3)), (4, 32, 32, 3)),
    (lambda: layers.Conv2D(4, 3, strides=2, padding="same")(image()), (N, N, N, 4)),
    (lambda: layers.concatenate([layers.UpSampling2D(2)(layers.MaxPooling2D(2)(image())), image()]), (N, N, N, 6)),
    (lambda: image() * layers.Reshape((1, 1, 3))(layers.GlobalAveragePooling2D()(image())), (N, N, N, 3)),
    (lambda: image()[:, :-1, ::2], (N, N, N, 3)),
    (lambda: image()[:, 0], (N, N, 3)),
    (lambda: image()[..., None, 0], (N, N, N, 1)),
    (lambda: image()[:, None], (N, 1, N, N, 3)),
    (lambda: 2.0 ** (1.0 / image()) % 2.0 // 3.0, (N, N, N, 3)),
    (lambda: ~((image() > 0) & (image() <= 1) | (image() != 2.0)), (N, N, N, 3)),
    (lambda: abs(-round(image())), (N, N, N, 3)),
    (lambda: Input((4, None)) @ Input((7, 5)), (N, 4, 5)),
    (lambda: Input((1, 3)).squeeze(1).reshape((-1, 1)), (N, 1)),
]


@pytest.mark.parametrize(("make", "shape"), SHAPES)
def test_shapes(make: Any, shape: tuple[int | None, ...]) -> None:
    assert make().shape == shape


def test_sizes_that_cannot_fit_are_an_error() -> None:
    with pytest.raises(ValueError, match="broadcast together"):
        Input((None, 3)) + Input((None, 4))
    with pytest.raises(ValueError, match="unknown sizes are tried"):
        Input((None, 3)) @ Input((5, 4))


def test_a_fully_convolutional_model_takes_any_size() -> None:
    x = inputs = image()
    skip = x = layers.Conv2D(4, 3, padding="same", activation="relu")(x)
    x = layers.Conv2D(8, 3, strides=2, padding="same")(layers.MaxPooling2D(2)(x))
    x = layers.UpSampling2D(2)(layers.Conv2DTranspose(4, 3, strides=2, padding="same")(x))
    model = oxiconv.Model(inputs, layers.Conv2D(1, 1)(layers.concatenate([x, skip])))
    assert model.output_shape == (N, N, N, 1)
    for size in ((8, 8), (16, 12)):
        pixels = np.random.default_rng(0).random((2, *size, 3), np.float32)
        assert model.predict(pixels, verbose=0).shape == (2, *size, 1)
        np.testing.assert_array_equal(model(pixels), model.predict(pixels, verbose=0))


def test_a_symbolic_tensor_that_was_fixed_to_a_known_size_runs_on_it() -> None:
    a, b = Input((None, 3)), Input((7, 3))
    model = oxiconv.Model([a, b], layers.Flatten()(a * 2.0 + b))
    assert model.output_shape == (N, 21)
    x, y = np.ones((2, 7, 3), np.float32), np.full((2, 7, 3), 3.0, np.float32)
    np.testing.assert_array_equal(model([x, y]), np.full((2, 21), 5.0))
    with pytest.raises(ValueError, match="broadcast together"):
        model([x[:, :5], y])
