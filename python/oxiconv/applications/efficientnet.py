"""EfficientNet (Tan and Le 2019, arXiv:1905.11946)."""

from __future__ import annotations

import math
from typing import Any

from oxiconv import layers
from oxiconv.applications.assembly import Wanted, assemble, classifier, wanted
from oxiconv.applications.blocks import act, channel_axis, channels, conv, divisible, norm, pad_for, squeeze_excite
from oxiconv.applications.imagenet_utils import decode_predictions as decode_predictions
from oxiconv.applications.pretrained import Pretrained, Remote
from oxiconv.initializers import VarianceScaling
from oxiconv.models import Model

# He et al. 2015 over outputs, and a uniform distribution for the classifier.
CONV_INITIALIZER = VarianceScaling(2.0, "fan_out", "truncated_normal")
DENSE_INITIALIZER = VarianceScaling(1 / 3, "fan_out", "uniform")

# The stages of B0: kernel size, blocks, filters, expansion, stride.
_STAGES = (
    (3, 1, 16, 1, 1),
    (3, 2, 24, 6, 2),
    (5, 2, 40, 6, 2),
    (3, 3, 80, 6, 2),
    (5, 3, 112, 6, 1),
    (5, 4, 192, 6, 2),
    (3, 1, 320, 6, 1),
)


# Factors of width and depth, size of images, dropout, and the checksums of the files with and without top.
_VARIANTS = {
    "b0": (1.0, 1.0, 224, 0.2, "902e53a9f72be733fc0bcb005b3ebbac", "50bc09e76180e00e4465e1a485ddc09d"),
    "b1": (1.0, 1.1, 240, 0.2, "1d254153d4ab51201f1646940f018540", "74c4e6b3e1f6a1eea24c589628592432"),
    "b2": (1.1, 1.2, 260, 0.3, "b15cce36ff4dcbd00b6dd88e7857a6ad", "111f8e2ac8aa800a7a99e3239f7bfb39"),
    "b3": (1.2, 1.4, 300, 0.3, "ffd1fdc53d0ce67064dc6a9c7960ede0", "af6d107764bb5b1abb91932881670226"),
    "b4": (1.4, 1.8, 380, 0.4, "18c95ad55216b8f92d7e70b3a046e2fc", "ebc24e6d6c33eaebbd558eafbeedf1ba"),
    "b5": (1.6, 2.2, 456, 0.4, "ace28f2a6363774853a83a0b21b9421a", "38879255a25d3c92d5e44e04ae6cec6f"),
    "b6": (1.8, 2.6, 528, 0.5, "165f6e37dce68623721b423839de8be5", "9ecce42647a20130c1f39a5d4cb75743"),
    "b7": (2.0, 3.1, 600, 0.5, "8c03f828fec3ef71311cd463b6759d99", "cbcfe4450ddf6f3ad90b1b398090fe4a"),
}


def _efficientnet(variant: str, request: Wanted) -> Model:
    """Stages of inverted bottlenecks with squeeze and excitation, wider and deeper by two factors."""
    width, depth, size, dropout, *checksums = _VARIANTS[variant]
    file = f"efficientnet{variant}"
    first, second = (
        Remote(f"{file}{end}", f"https://storage.googleapis.com/keras-applications/{file}{end}", checksum)
        for end, checksum in zip((".h5", "_notop.h5"), checksums, strict=True)
    )

    def body(x: Any) -> Any:
        x = layers.Rescaling(1 / 255)(x)
        x = layers.Normalization(axis=channel_axis())(x)
        if request.weights == "imagenet":  # these weights were trained with the root of the deviation
            x = layers.Rescaling([1 / math.sqrt(s) for s in (0.229, 0.224, 0.225)])(x)
        x = pad_for(x, 3, "stem_conv_pad")
        x = conv(x, divisible(32 * width), 3, "stem_conv", strides=2, kernel_initializer=CONV_INITIALIZER)
        x = _norm_swish(x, "stem_")
        blocks = [(i, j, stage) for i, stage in enumerate(_STAGES) for j in range(math.ceil(depth * stage[1]))]
        for number, (i, j, (kernel, _, filters, expansion, stride)) in enumerate(blocks):
            rate = 0.2 * number / len(blocks)
            name = f"block{i + 1}{chr(ord('a') + j)}_"
            x = _block(x, divisible(filters * width), kernel, 1 if j else stride, expansion, rate, name)
        x = conv(x, divisible(1280 * width), 1, "top_conv", padding="same", kernel_initializer=CONV_INITIALIZER)
        return _norm_swish(x, "top_")

    def top(x: Any, request: Wanted) -> Any:
        return classifier(x, request, named=True, dropout=dropout, kernel_initializer=DENSE_INITIALIZER)

    return assemble(request, body, top, Pretrained(first, second), size)


def _norm_swish(x: Any, name: str) -> Any:
    return act(norm(x, f"{name}bn"), f"{name}activation", "swish")


def _block(inputs: Any, filters: int, kernel: int, stride: int, expansion: int, rate: float, name: str) -> Any:
    before = channels(inputs)
    x = inputs
    if expansion != 1:
        x = conv(x, before * expansion, 1, f"{name}expand_conv", padding="same", kernel_initializer=CONV_INITIALIZER)
        x = _norm_swish(x, f"{name}expand_")
    if stride == 2:
        x = pad_for(x, kernel, f"{name}dwconv_pad")
    x = layers.DepthwiseConv2D(
        kernel,
        strides=stride,
        padding="valid" if stride == 2 else "same",
        use_bias=False,
        depthwise_initializer=CONV_INITIALIZER,
        name=f"{name}dwconv",
    )(x)
    x = _norm_swish(x, name)
    x = squeeze_excite(x, max(1, before // 4), "swish", name, kernel_initializer=CONV_INITIALIZER)
    x = conv(x, filters, 1, f"{name}project_conv", padding="same", kernel_initializer=CONV_INITIALIZER)
    x = norm(x, f"{name}project_bn")
    if stride != 1 or before != filters:
        return x
    if rate > 0:  # whole samples lose the block (Huang et al. 2016)
        x = layers.Dropout(rate, noise_shape=(None, 1, 1, 1), name=f"{name}drop")(x)
    return layers.Add(name=f"{name}add")([x, inputs])


def EfficientNetB0(
    include_top: bool = True,
    weights: Any = "imagenet",
    input_tensor: Any = None,
    input_shape: Any = None,
    pooling: str | None = None,
    classes: int = 1000,
    classifier_activation: Any = "softmax",
    name: str = "efficientnetb0",
) -> Model:
    """EfficientNet B0 (Tan and Le 2019), which takes values from 0 to 255."""
    return _efficientnet("b0", wanted(locals()))


def EfficientNetB1(
    include_top: bool = True,
    weights: Any = "imagenet",
    input_tensor: Any = None,
    input_shape: Any = None,
    pooling: str | None = None,
    classes: int = 1000,
    classifier_activation: Any = "softmax",
    name: str = "efficientnetb1",
) -> Model:
    """EfficientNet B1 (Tan and Le 2019), which takes values from 0 to 255."""
    return _efficientnet("b1", wanted(locals()))


def EfficientNetB2(
    include_top: bool = True,
    weights: Any = "imagenet",
    input_tensor: Any = None,
    input_shape: Any = None,
    pooling: str | None = None,
    classes: int = 1000,
    classifier_activation: Any = "softmax",
    name: str = "efficientnetb2",
) -> Model:
    """EfficientNet B2 (Tan and Le 2019), which takes values from 0 to 255."""
    return _efficientnet("b2", wanted(locals()))


def EfficientNetB3(
    include_top: bool = True,
    weights: Any = "imagenet",
    input_tensor: Any = None,
    input_shape: Any = None,
    pooling: str | None = None,
    classes: int = 1000,
    classifier_activation: Any = "softmax",
    name: str = "efficientnetb3",
) -> Model:
    """EfficientNet B3 (Tan and Le 2019), which takes values from 0 to 255."""
    return _efficientnet("b3", wanted(locals()))


def EfficientNetB4(
    include_top: bool = True,
    weights: Any = "imagenet",
    input_tensor: Any = None,
    input_shape: Any = None,
    pooling: str | None = None,
    classes: int = 1000,
    classifier_activation: Any = "softmax",
    name: str = "efficientnetb4",
) -> Model:
    """EfficientNet B4 (Tan and Le 2019), which takes values from 0 to 255."""
    return _efficientnet("b4", wanted(locals()))


def EfficientNetB5(
    include_top: bool = True,
    weights: Any = "imagenet",
    input_tensor: Any = None,
    input_shape: Any = None,
    pooling: str | None = None,
    classes: int = 1000,
    classifier_activation: Any = "softmax",
    name: str = "efficientnetb5",
) -> Model:
    """EfficientNet B5 (Tan and Le 2019), which takes values from 0 to 255."""
    return _efficientnet("b5", wanted(locals()))


def EfficientNetB6(
    include_top: bool = True,
    weights: Any = "imagenet",
    input_tensor: Any = None,
    input_shape: Any = None,
    pooling: str | None = None,
    classes: int = 1000,
    classifier_activation: Any = "softmax",
    name: str = "efficientnetb6",
) -> Model:
    """EfficientNet B6 (Tan and Le 2019), which takes values from 0 to 255."""
    return _efficientnet("b6", wanted(locals()))


def EfficientNetB7(
    include_top: bool = True,
    weights: Any = "imagenet",
    input_tensor: Any = None,
    input_shape: Any = None,
    pooling: str | None = None,
    classes: int = 1000,
    classifier_activation: Any = "softmax",
    name: str = "efficientnetb7",
) -> Model:
    """EfficientNet B7 (Tan and Le 2019), which takes values from 0 to 255."""
    return _efficientnet("b7", wanted(locals()))


def preprocess_input(x: Any, data_format: str | None = None) -> Any:
    """Images as they are: the network itself scales values from 0 to 255."""
    return x
