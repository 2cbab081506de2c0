"""Colour spaces."""

from __future__ import annotations

import numpy as np

from oxiconv.ops.comparison import where
from oxiconv.ops.elementwise import absolute, clip
from oxiconv.ops.image.layout import Images
from oxiconv.ops.reduction import max as largest
from oxiconv.ops.reduction import min as smallest
from oxiconv.ops.reduction import sum as total
from oxiconv.symbolic import op
from oxiconv.tensor import ShapeError, Tensor, TensorLike, convert


def _channels(given: Images, allowed: tuple[int, ...], name: str) -> None:
    if given.batch.shape[3] not in allowed:
        raise ShapeError(f"{name}: expected {' or '.join(map(str, allowed))} channels, got {given.batch.shape[3]}")


@op
def rgb_to_grayscale(images: TensorLike, data_format: str | None = None) -> Tensor:
    """Luminance with one channel: 0.2989 R + 0.587 G + 0.114 B. Grey images stay as they are.

    >>> rgb_to_grayscale([[[100, 100, 100]]]).numpy().tolist()
    [[[99]]]
    """
    given = Images(images, "rgb_to_grayscale", data_format)
    _channels(given, (1, 3), "rgb_to_grayscale")
    if given.batch.shape[3] == 1:
        return convert(images)
    shares = convert(np.array([0.2989, 0.5870, 0.1140], np.float32))
    grey = total(convert(given.batch, "float32") * shares, axis=-1, keepdims=True)
    return given.restored(convert(grey, given.dtype))


@op
def rgb_to_hsv(images: TensorLike, data_format: str | None = None) -> Tensor:
    """Hue, saturation and value, all from 0 to 1, of real RGB images from 0 to 1."""
    given = Images(images, "rgb_to_hsv", data_format, real=True)
    _channels(given, (3,), "rgb_to_hsv")
    x = given.batch
    red, green, blue = (x[..., i : i + 1] for i in range(3))
    value = largest(x, axis=-1, keepdims=True)
    span = value - smallest(x, axis=-1, keepdims=True)
    sixth = 1.0 / (6.0 * where(span > 0.0, span, 1.0))
    from_green = where(green == value, sixth * (blue - red) + 2.0 / 6.0, sixth * (red - green) + 4.0 / 6.0)
    hue = where(span > 0.0, where(red == value, sixth * (green - blue), from_green), 0.0)
    hue = where(hue < 0.0, hue + 1.0, hue)
    saturation = where(value > 0.0, span / where(value > 0.0, value, 1.0), 0.0)
    return given.restored(_joined(hue, saturation, value))


@op
def hsv_to_rgb(images: TensorLike, data_format: str | None = None) -> Tensor:
    """RGB images from 0 to 1 of hue, saturation and value: the inverse of `rgb_to_hsv`."""
    given = Images(images, "hsv_to_rgb", data_format, real=True)
    _channels(given, (3,), "hsv_to_rgb")
    hue, saturation, value = (given.batch[..., i : i + 1] for i in range(3))
    turn = hue * 6.0
    ramps = absolute(turn - 3.0) - 1.0, 2.0 - absolute(turn - 2.0), 2.0 - absolute(turn - 4.0)
    return given.restored(_joined(*((1.0 - saturation + saturation * clip(ramp, 0.0, 1.0)) * value for ramp in ramps)))


def _joined(*channels: Tensor) -> Tensor:
    from oxiconv.ops.arrangement import concatenate

    return concatenate(channels, axis=-1)
