"""ResNet's second version (He et al. 2016, arXiv:1603.05027)."""

from __future__ import annotations

from typing import Any

from oxiconv.applications import imagenet_utils
from oxiconv.applications.assembly import wanted
from oxiconv.applications.imagenet_utils import decode_predictions as decode_predictions
from oxiconv.applications.pretrained import tf_kernels
from oxiconv.applications.resnet import resnet
from oxiconv.models import Model


def ResNet50V2(
    include_top: bool = True,
    weights: Any = "imagenet",
    input_tensor: Any = None,
    input_shape: Any = None,
    pooling: str | None = None,
    classes: int = 1000,
    classifier_activation: Any = "softmax",
    name: str = "resnet50v2",
) -> Model:
    """ResNet of 50 layers, second version (He et al. 2016)."""
    return resnet(
        (3, 4, 6, 3),
        True,
        tf_kernels("resnet", "resnet50v2", ("3ef43a0b657b3be2300d5770ece849e0", "fac2f116257151a9d068a22e544a4917")),
        wanted(locals()),
    )


def ResNet101V2(
    include_top: bool = True,
    weights: Any = "imagenet",
    input_tensor: Any = None,
    input_shape: Any = None,
    pooling: str | None = None,
    classes: int = 1000,
    classifier_activation: Any = "softmax",
    name: str = "resnet101v2",
) -> Model:
    """ResNet of 101 layers, second version (He et al. 2016)."""
    return resnet(
        (3, 4, 23, 3),
        True,
        tf_kernels("resnet", "resnet101v2", ("6343647c601c52e1368623803854d971", "c0ed64b8031c3730f411d2eb4eea35b5")),
        wanted(locals()),
    )


def ResNet152V2(
    include_top: bool = True,
    weights: Any = "imagenet",
    input_tensor: Any = None,
    input_shape: Any = None,
    pooling: str | None = None,
    classes: int = 1000,
    classifier_activation: Any = "softmax",
    name: str = "resnet152v2",
) -> Model:
    """ResNet of 152 layers, second version (He et al. 2016)."""
    return resnet(
        (3, 8, 36, 3),
        True,
        tf_kernels("resnet", "resnet152v2", ("a49b44d1979771252814e80f8ec446f9", "ed17cf2e0169df9d443503ef94b23b33")),
        wanted(locals()),
    )


def preprocess_input(x: Any, data_format: str | None = None) -> Any:
    """Images of values 0 to 255 as these networks take them: see `imagenet_utils`, mode 'tf'."""
    return imagenet_utils.preprocess_input(x, data_format, mode="tf")
