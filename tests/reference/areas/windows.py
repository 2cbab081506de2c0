"""Layers with windows, convolutions and poolings, in their options: outputs and gradients of inputs and weights.

In channels_last, since TensorFlow convolves and pools channels_first on GPUs alone.
"""

from collections.abc import Mapping
from typing import Any

from reference.case import Array, Library, case

FIRST = {"data_format": "channels_first"}
Setup = tuple[str, tuple[int, ...], dict[str, Any]]

CONVOLUTIONS: dict[str, Setup] = {
    "conv1d_causal": ("Conv1D", (2, 7, 3), {"filters": 4, "kernel_size": 3, "padding": "causal"}),
    "conv1d_causal_dilated": (
        "Conv1D",
        (2, 9, 2),
        {"filters": 3, "kernel_size": 2, "padding": "causal", "dilation_rate": 3},
    ),
    "conv1d_strided": ("Conv1D", (2, 8, 2), {"filters": 3, "kernel_size": 4, "strides": 3, "padding": "same"}),
    "conv2d_dilated": ("Conv2D", (1, 8, 7, 2), {"filters": 3, "kernel_size": 3, "dilation_rate": (2, 1)}),
    "conv2d_dilated_same": (
        "Conv2D",
        (1, 6, 7, 2),
        {"filters": 3, "kernel_size": 3, "dilation_rate": 2, "padding": "same", "use_bias": False},
    ),
    "conv2d_strides": ("Conv2D", (1, 9, 8, 2), {"filters": 2, "kernel_size": (1, 4), "strides": (3, 2)}),
    "conv2d_even_kernel": ("Conv2D", (1, 5, 6, 2), {"filters": 2, "kernel_size": 2, "padding": "same"}),
    "conv3d": ("Conv3D", (1, 4, 5, 4, 2), {"filters": 2, "kernel_size": 2, "strides": 2, "padding": "same"}),
    "conv3d_valid": ("Conv3D", (1, 4, 4, 3, 2), {"filters": 2, "kernel_size": (2, 3, 1), "activation": "relu"}),
    "transposed1d": ("Conv1DTranspose", (2, 4, 3), {"filters": 2, "kernel_size": 3, "strides": 2}),
    "transposed1d_same": (
        "Conv1DTranspose",
        (2, 4, 3),
        {"filters": 2, "kernel_size": 4, "strides": 3, "padding": "same"},
    ),
    "transposed1d_output": (
        "Conv1DTranspose",
        (2, 4, 2),
        {"filters": 2, "kernel_size": 3, "strides": 2, "padding": "same", "output_padding": 1},
    ),
    "transposed2d_small_kernel": ("Conv2DTranspose", (1, 3, 4, 2), {"filters": 2, "kernel_size": 2, "strides": 3}),
    "transposed2d_output": (
        "Conv2DTranspose",
        (1, 3, 4, 2),
        {"filters": 2, "kernel_size": 3, "strides": 2, "output_padding": (0, 1)},
    ),
    "transposed2d_output_same": (
        "Conv2DTranspose",
        (1, 3, 4, 2),
        {"filters": 2, "kernel_size": 3, "strides": 2, "output_padding": 0, "padding": "same"},
    ),
    "transposed3d": ("Conv3DTranspose", (1, 2, 3, 2, 2), {"filters": 2, "kernel_size": 3, "strides": 2}),
    "transposed3d_same": (
        "Conv3DTranspose",
        (1, 2, 3, 2, 2),
        {"filters": 2, "kernel_size": 2, "strides": 2, "padding": "same"},
    ),
    "depthwise1d": ("DepthwiseConv1D", (2, 7, 3), {"kernel_size": 3, "depth_multiplier": 2}),
    "depthwise1d_same": ("DepthwiseConv1D", (2, 7, 3), {"kernel_size": 2, "strides": 2, "padding": "same"}),
    "depthwise2d": ("DepthwiseConv2D", (1, 6, 7, 2), {"kernel_size": 3, "depth_multiplier": 3, "strides": 2}),
    "depthwise2d_dilated": (
        "DepthwiseConv2D",
        (1, 6, 6, 2),
        {"kernel_size": 3, "dilation_rate": 2, "padding": "same", "activation": "tanh"},
    ),
    "separable1d": ("SeparableConv1D", (2, 7, 3), {"filters": 2, "kernel_size": 3, "depth_multiplier": 2}),
    "separable1d_same": (
        "SeparableConv1D",
        (2, 7, 3),
        {"filters": 2, "kernel_size": 3, "strides": 2, "padding": "same"},
    ),
    "separable2d": (
        "SeparableConv2D",
        (1, 6, 6, 2),
        {"filters": 3, "kernel_size": 3, "strides": 2, "use_bias": False, "activation": "relu"},
    ),
    "separable2d_dilated": ("SeparableConv2D", (1, 6, 6, 2), {"filters": 3, "kernel_size": 2, "dilation_rate": 2}),
    "dense": ("Dense", (2, 3, 4), {"units": 5, "activation": "gelu"}),
    "dense_plain": ("Dense", (3, 4), {"units": 2, "use_bias": False}),
}


@case(each=CONVOLUTIONS)
def convolutions(k: Library, setup: Setup) -> Mapping[str, Array]:
    cls, shape, arguments = setup
    return k.layer(getattr(k.keras.layers, cls)(**arguments), k.normal(shape))


POOLINGS: dict[str, Setup] = {
    "max1d": ("MaxPooling1D", (2, 7, 3), {"pool_size": 3, "strides": 2, "padding": "same"}),
    "max2d": ("MaxPooling2D", (1, 7, 6, 2), {"pool_size": (3, 2), "strides": (1, 2)}),
    "max2d_same": ("MaxPooling2D", (1, 5, 6, 2), {"pool_size": 3, "strides": 2, "padding": "same"}),
    "max3d": ("MaxPooling3D", (1, 4, 5, 4, 2), {"padding": "same"}),
    "average1d": ("AveragePooling1D", (2, 7, 3), {"pool_size": 3, "strides": 2, "padding": "same"}),
    "average2d": ("AveragePooling2D", (1, 7, 6, 2), {"pool_size": (3, 2), "strides": (1, 2)}),
    "average2d_same": ("AveragePooling2D", (1, 5, 6, 2), {"pool_size": 3, "strides": 2, "padding": "same"}),
    "average3d": ("AveragePooling3D", (1, 4, 5, 4, 2), {"pool_size": 2, "padding": "same"}),
    "global_average1d": ("GlobalAveragePooling1D", (2, 5, 3), {}),
    "global_average2d": ("GlobalAveragePooling2D", (2, 3, 4, 3), {"keepdims": True}),
    "global_average2d_first": ("GlobalAveragePooling2D", (2, 3, 4, 3), FIRST),
    "global_average3d": ("GlobalAveragePooling3D", (2, 2, 3, 2, 3), {}),
    "global_max1d": ("GlobalMaxPooling1D", (2, 5, 3), {"keepdims": True}),
    "global_max2d_first": ("GlobalMaxPooling2D", (2, 3, 4, 3), FIRST),
    "global_max3d": ("GlobalMaxPooling3D", (2, 2, 3, 2, 3), {}),
}


@case(each=POOLINGS)
def poolings(k: Library, setup: Setup) -> Mapping[str, Array]:
    cls, shape, arguments = setup
    return k.layer(getattr(k.keras.layers, cls)(**arguments), k.normal(shape))


ADAPTIVE: dict[str, Setup] = {
    f"{kind}{rank}d{suffix}": (f"Adaptive{kind.title()}Pooling{rank}D", shape, {"output_size": size, **options})
    for kind in ("average", "max")
    for rank, suffix, shape, size, options in (
        (1, "", (2, 7, 3), 4, {}),
        (1, "_up", (2, 3, 2), 5, {}),
        (2, "", (1, 7, 5, 2), (3, 2), {}),
        (2, "_first", (1, 2, 7, 5), 2, FIRST),
        (3, "", (1, 4, 5, 3, 2), (2, 3, 2), {}),
    )
}


@case(each=ADAPTIVE)
def adaptive_poolings(k: Library, setup: Setup) -> Mapping[str, Array]:
    cls, shape, arguments = setup
    return k.layer(getattr(k.keras.layers, cls)(**arguments), k.normal(shape))
