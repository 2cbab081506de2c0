"""Convolution layers in their main options."""

from collections.abc import Mapping

from reference.case import Array, Library, case


@case(each=["valid", "same"])
def conv2d(k: Library, padding: str) -> Mapping[str, Array]:
    layer = k.keras.layers.Conv2D(3, (3, 2), strides=(2, 1), padding=padding, activation="tanh")
    return k.layer(layer, k.normal((2, 7, 6, 2)))


@case(each=["valid", "same"])
def conv2d_transpose(k: Library, padding: str) -> Mapping[str, Array]:
    return k.layer(k.keras.layers.Conv2DTranspose(3, 3, strides=2, padding=padding), k.normal((2, 4, 5, 2)))


@case
def depthwise_separable(k: Library) -> Mapping[str, Array]:
    return k.layer(k.keras.layers.SeparableConv2D(4, 3, depth_multiplier=2, padding="same"), k.normal((2, 5, 5, 3)))


@case
def batch_normalization(k: Library) -> Mapping[str, Array]:
    return k.layer(k.keras.layers.BatchNormalization(), k.normal((4, 3, 3, 2), scale=2.0), training=True)
