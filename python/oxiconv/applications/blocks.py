"""Layers as the networks of this package use them, along the channel axis of the configured image format."""

from __future__ import annotations

from typing import Any

from oxiconv import layers
from oxiconv.config import image_data_format


def channel_axis() -> int:
    """The axis of channels in batches of images."""
    return 3 if image_data_format() == "channels_last" else 1


def channels(x: Any) -> int:
    """How many channels images have."""
    return int(x.shape[channel_axis()])


def conv(x: Any, filters: int, size: Any, name: str | None = None, bias: bool = False, **kwargs: Any) -> Any:
    """A convolution, by default without bias."""
    return layers.Conv2D(filters, size, use_bias=bias, name=name, **kwargs)(x)


def norm(x: Any, name: str | None = None, **kwargs: Any) -> Any:
    """A batch normalization."""
    return layers.BatchNormalization(axis=channel_axis(), name=name, **kwargs)(x)


def act(x: Any, name: str | None = None, kind: Any = "relu") -> Any:
    """An activation."""
    return layers.Activation(kind, name=name)(x)


def concat(parts: list[Any], name: str | None = None) -> Any:
    """Images one after another along the channels."""
    return layers.Concatenate(axis=channel_axis(), name=name)(parts)


def pad_for(x: Any, size: int, name: str | None = None) -> Any:
    """Padding with which a convolution of stride 2 without padding covers all pixels, the odd one at the end."""
    first = 2 if image_data_format() == "channels_first" else 1
    odd = [1 if n is None else 1 - n % 2 for n in x.shape[first : first + 2]]
    padding = tuple((size // 2 - n, size // 2) for n in odd)
    return layers.ZeroPadding2D(padding, name=name)(x)


def divisible(value: float, divisor: int = 8) -> int:
    """The nearest multiple, at least one and not below 0.9 of the value."""
    rounded = max(divisor, int(value + divisor / 2) // divisor * divisor)
    return rounded + divisor if rounded < 0.9 * value else rounded


def squeeze_excite(x: Any, reduced: int, activation: Any, name: str, **kwargs: Any) -> Any:
    """Channels weighted by what is in all of the image (Hu et al. 2018), as the EfficientNets have it."""
    filters = channels(x)
    shape = (1, 1, filters) if channel_axis() == 3 else (filters, 1, 1)
    scale = layers.GlobalAveragePooling2D(name=f"{name}se_squeeze")(x)
    scale = layers.Reshape(shape, name=f"{name}se_reshape")(scale)
    for part, width, kind in (("reduce", reduced, activation), ("expand", filters, "sigmoid")):
        scale = conv(scale, width, 1, f"{name}se_{part}", bias=True, padding="same", activation=kind, **kwargs)
    return layers.Multiply(name=f"{name}se_excite")([x, scale])
