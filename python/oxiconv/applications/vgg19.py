"""VGG19 (Simonyan and Zisserman 2015, arXiv:1409.1556)."""

from __future__ import annotations

from typing import Any

from oxiconv.applications import imagenet_utils
from oxiconv.applications.assembly import wanted
from oxiconv.applications.imagenet_utils import decode_predictions as decode_predictions
from oxiconv.applications.pretrained import tf_kernels
from oxiconv.applications.vgg16 import vgg
from oxiconv.models import Model


def VGG19(
    include_top: bool = True,
    weights: Any = "imagenet",
    input_tensor: Any = None,
    input_shape: Any = None,
    pooling: str | None = None,
    classes: int = 1000,
    classifier_activation: Any = "softmax",
    name: str = "vgg19",
) -> Model:
    """VGG of 19 layers (Simonyan and Zisserman 2015)."""
    return vgg(
        (2, 2, 4, 4, 4),
        tf_kernels("vgg19", "vgg19", ("cbe5617147190e668d6c5d5026f83318", "253f8cb515780f3b799900260a226db6")),
        wanted(locals()),
    )


def preprocess_input(x: Any, data_format: str | None = None) -> Any:
    """Images of values 0 to 255 as these networks take them: see `imagenet_utils`, mode 'caffe'."""
    return imagenet_utils.preprocess_input(x, data_format, mode="caffe")
