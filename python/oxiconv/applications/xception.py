"""Xception (Chollet 2017, arXiv:1610.02357)."""

from __future__ import annotations

from typing import Any

from oxiconv import layers
from oxiconv.applications import imagenet_utils
from oxiconv.applications.assembly import assemble, classifier, wanted
from oxiconv.applications.blocks import act, conv, norm
from oxiconv.applications.imagenet_utils import decode_predictions as decode_predictions
from oxiconv.applications.pretrained import tf_kernels
from oxiconv.models import Model


def _separable(x: Any, filters: int, name: str) -> Any:
    x = layers.SeparableConv2D(filters, 3, padding="same", use_bias=False, name=name)(x)
    return norm(x, f"{name}_bn")


def _body(x: Any) -> Any:
    for j, (filters, stride) in enumerate(((32, 2), (64, 1)), 1):
        name = f"block1_conv{j}"
        x = act(norm(conv(x, filters, 3, name, strides=stride), f"{name}_bn"), f"{name}_act")
    for i, widths in {2: (128, 128), 3: (256, 256), 4: (728, 728)}.items():
        x = _narrower(x, i, widths)
    for i in range(5, 13):
        shortcut = x
        for j in (1, 2, 3):
            x = _separable(act(x, f"block{i}_sepconv{j}_act"), 728, f"block{i}_sepconv{j}")
        x = layers.Add()([x, shortcut])
    x = _narrower(x, 13, (728, 1024))
    for j, filters in enumerate((1536, 2048), 1):
        name = f"block14_sepconv{j}"
        x = act(_separable(x, filters, name), f"{name}_act")
    return x


def _narrower(x: Any, i: int, widths: tuple[int, int]) -> Any:
    """Two separable convolutions and a maximum of stride 2, beside a shortcut of the same stride."""
    shortcut = norm(conv(x, widths[-1], 1, strides=2, padding="same"))
    for j, filters in enumerate(widths, 1):
        if i > 2 or j > 1:  # what the first block takes is activated already
            x = act(x, f"block{i}_sepconv{j}_act")
        x = _separable(x, filters, f"block{i}_sepconv{j}")
    x = layers.MaxPooling2D(3, strides=2, padding="same", name=f"block{i}_pool")(x)
    return layers.Add()([x, shortcut])


def Xception(
    include_top: bool = True,
    weights: Any = "imagenet",
    input_tensor: Any = None,
    input_shape: Any = None,
    pooling: str | None = None,
    classes: int = 1000,
    classifier_activation: Any = "softmax",
    name: str = "xception",
) -> Model:
    """Xception (Chollet 2017)."""
    return assemble(
        wanted(locals()),
        _body,
        classifier,
        tf_kernels("xception", "xception", ("0a58e3b7378bc2990ea3b43d5981f1f6", "b0042744bf5b25fce3cb969f33bebb97")),
        size=299,
        smallest=71,
    )


def preprocess_input(x: Any, data_format: str | None = None) -> Any:
    """Images of values 0 to 255 as these networks take them: see `imagenet_utils`, mode 'tf'."""
    return imagenet_utils.preprocess_input(x, data_format, mode="tf")
