"""Operations of images: patches, pools, normalizations, convolutions; with gradients."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from reference.case import Array, Library, case
from reference.inputs import spread

# Functions of an image `[2, 6, 4, 4]`, with gradients.
IMAGES: dict[str, Callable[[Any, Any], Any]] = {
    "depth_to_space": lambda o, x: o.depth_to_space(x, 2),
    "depth_to_space_first": lambda o, x: o.depth_to_space(x[:, :4], 2, data_format="channels_first"),
    "space_to_depth": lambda o, x: o.space_to_depth(x, 2),
    "space_to_depth_first": lambda o, x: o.space_to_depth(x, 2, data_format="channels_first"),
    "unfold": lambda o, x: o.unfold(x, (2, 3), dilation=(2, 1), padding=1, stride=(1, 2)),
    "fold": lambda o, x: o.fold(o.unfold(x, 3, padding=1), (4, 4), 3, padding=1),
    "adaptive_average_pool": lambda o, x: o.adaptive_average_pool(x, (4, 3)),
    "adaptive_average_pool_even": lambda o, x: o.adaptive_average_pool(x, (3, 2)),
    "adaptive_max_pool": lambda o, x: o.adaptive_max_pool(x, (4, 3)),
    "adaptive_max_pool_first": lambda o, x: o.adaptive_max_pool(x, 3, data_format="channels_first"),
    "max_pool": lambda o, x: o.max_pool(x, (3, 2), strides=(2, 1), padding="same"),
    "average_pool": lambda o, x: o.average_pool(x, (3, 2), strides=(2, 1), padding="same"),
    "average_pool_valid": lambda o, x: o.average_pool(x, 2),
    "psnr": lambda o, x: o.psnr(x, x[::-1], max_val=2.0),
    "batch_normalization": lambda o, x: o.batch_normalization(
        x, x[0, 0, 0], o.square(x[0, 0, 1]), axis=-1, offset=x[0, 1, 0], scale=x[1, 0, 0], epsilon=0.01
    ),
    "batch_normalization_first": lambda o, x: o.batch_normalization(x, x[0, :, 0, 0], o.square(x[0, :, 1, 0]), axis=1),
    "layer_normalization": lambda o, x: o.layer_normalization(x, x[0, 0, 0], x[0, 0, 1], axis=-1),
    "layer_normalization_axes": lambda o, x: o.layer_normalization(x, axis=[1, 2, 3], epsilon=0.1),
    "rms_normalization": lambda o, x: o.rms_normalization(x, x[0, 0, 0]),
    "moments": lambda o, x: o.moments(x, axes=(0, 1, 2)),
}


@case(each=IMAGES)
def images(k: Library, function: Callable[[Any, Any], Any]) -> Mapping[str, Array]:
    return k.gradients(lambda x: function(k.keras.ops, x), spread(k, (2, 6, 4, 4)) * np.float32(0.1))


# Convolutions of `x [2, 7, 6, 4]` and a kernel; what TensorFlow runs on a CPU without its XLA compiler.
@case(
    each={
        f"{padding},s{strides},d{dilation},g{groups}": (padding, strides, dilation, groups)
        for padding in ("valid", "same")
        for strides, dilation, groups in [(1, 1, 1), ((2, 3), 1, 1), (1, (2, 1), 1), (1, 1, 2)]
    }
)
def conv(k: Library, setting: tuple[Any, ...]) -> Mapping[str, Array]:
    padding, strides, dilation, groups = setting
    inputs = [k.normal((2, 7, 6, 4), 1), k.normal((3, 2, 4 // groups, 4), 2)]
    return k.gradients(lambda x, w: k.keras.ops.conv(x, w, strides, padding, "channels_last", dilation), *inputs)


@case(each=["valid", "same"])
def conv1d(k: Library, padding: str) -> Mapping[str, Array]:
    inputs = [k.normal((2, 7, 2), 1), k.normal((3, 2, 3), 2)]
    return k.gradients(lambda x, w: k.keras.ops.conv(x, w, 2, padding, "channels_last"), *inputs)


@case(each=["valid", "same"])
def conv3d(k: Library, padding: str) -> Mapping[str, Array]:
    inputs = [k.normal((1, 4, 3, 4, 2), 1), k.normal((2, 2, 3, 2, 2), 2)]
    return k.gradients(lambda x, w: k.keras.ops.conv(x, w, (2, 1, 1), padding, "channels_last"), *inputs)


@case(
    each={
        f"{padding},s{strides},k{size},p{extra}": (padding, strides, size, extra)
        for padding in ("valid", "same")
        for strides, size, extra in [(1, 3, None), (2, 3, None), ((2, 3), (4, 2), None), (2, 3, 1), (3, 3, (0, 2))]
    }
)
def conv_transpose(k: Library, setting: tuple[Any, ...]) -> Mapping[str, Array]:
    padding, strides, size, extra = setting
    height, width = (size, size) if isinstance(size, int) else size
    inputs = [k.normal((2, 3, 4, 2), 1), k.normal((height, width, 3, 2), 2)]
    return k.gradients(lambda x, w: k.keras.ops.conv_transpose(x, w, strides, padding, extra, "channels_last"), *inputs)


@case(each=["valid", "same"])
def depthwise_conv(k: Library, padding: str) -> Mapping[str, Array]:
    inputs = [k.normal((2, 6, 7, 3), 1), k.normal((3, 2, 3, 2), 2)]
    return k.gradients(lambda x, w: k.keras.ops.depthwise_conv(x, w, 2, padding, "channels_last"), *inputs)


@case(each=["valid", "same"])
def separable_conv(k: Library, padding: str) -> Mapping[str, Array]:
    inputs = [k.normal((2, 6, 7, 3), 1), k.normal((3, 2, 3, 2), 2), k.normal((1, 1, 6, 4), 3)]
    return k.gradients(lambda x, d, p: k.keras.ops.separable_conv(x, d, p, 2, padding, "channels_last"), *inputs)
