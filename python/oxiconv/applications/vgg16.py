"""VGG16 (Simonyan and Zisserman 2015, arXiv:1409.1556)."""

from __future__ import annotations

from typing import Any

from oxiconv import layers
from oxiconv.applications import imagenet_utils
from oxiconv.applications.assembly import Wanted, assemble, pooled, wanted
from oxiconv.applications.blocks import conv
from oxiconv.applications.imagenet_utils import decode_predictions as decode_predictions
from oxiconv.applications.pretrained import Pretrained, tf_kernels
from oxiconv.models import Model


def vgg(stages: tuple[int, ...], pretrained: Pretrained, request: Wanted) -> Model:
    """Stages of 3x3 convolutions, each halved by a maximum; then two wide dense layers."""

    def body(x: Any) -> Any:
        for i, (count, filters) in enumerate(zip(stages, (64, 128, 256, 512, 512), strict=True), 1):
            for j in range(1, count + 1):
                name = f"block{i}_conv{j}"
                x = conv(x, filters, 3, name, bias=True, padding="same", activation="relu")
            x = layers.MaxPooling2D(2, strides=2, name=f"block{i}_pool")(x)
        return x

    return assemble(request, body, _top, pretrained)


def _top(x: Any, request: Wanted) -> Any:
    if not request.include_top:
        return pooled(x, request)
    x = layers.Flatten(name="flatten")(x)
    for name in ("fc1", "fc2"):
        x = layers.Dense(4096, activation="relu", name=name)(x)
    return layers.Dense(request.classes, activation=request.classifier_activation, name="predictions")(x)


def VGG16(
    include_top: bool = True,
    weights: Any = "imagenet",
    input_tensor: Any = None,
    input_shape: Any = None,
    pooling: str | None = None,
    classes: int = 1000,
    classifier_activation: Any = "softmax",
    name: str = "vgg16",
) -> Model:
    """VGG of 16 layers (Simonyan and Zisserman 2015)."""
    return vgg(
        (2, 2, 3, 3, 3),
        tf_kernels("vgg16", "vgg16", ("64373286793e3c8b2b4e3219cbf3544b", "6d6bbae143d832006294945121d1f1fc")),
        wanted(locals()),
    )


def preprocess_input(x: Any, data_format: str | None = None) -> Any:
    """Images of values 0 to 255 as these networks take them: see `imagenet_utils`, mode 'caffe'."""
    return imagenet_utils.preprocess_input(x, data_format, mode="caffe")
