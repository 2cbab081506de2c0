"""EfficientNetV2 (Tan and Le 2021, arXiv:2104.00298)."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from oxiconv import layers
from oxiconv.applications.assembly import Wanted, assemble, classifier, wanted
from oxiconv.applications.blocks import act, channel_axis, channels, conv, norm, squeeze_excite
from oxiconv.applications.efficientnet import CONV_INITIALIZER, DENSE_INITIALIZER
from oxiconv.applications.imagenet_utils import decode_predictions as decode_predictions
from oxiconv.applications.pretrained import pair
from oxiconv.models import Model

# The stages: blocks, filters, expansion, stride, fused; all kernels are 3x3.
_Stage = tuple[int, int, int, int, bool]
_B: tuple[_Stage, ...] = (
    (1, 16, 1, 1, True),
    (2, 32, 4, 2, True),
    (2, 48, 4, 2, True),
    (3, 96, 4, 2, False),
    (5, 112, 6, 1, False),
    (8, 192, 6, 2, False),
)
_S: tuple[_Stage, ...] = (
    (2, 24, 1, 1, True),
    (4, 48, 4, 2, True),
    (4, 64, 4, 2, True),
    (6, 128, 4, 2, False),
    (9, 160, 6, 1, False),
    (15, 256, 6, 2, False),
)
_M: tuple[_Stage, ...] = (
    (3, 24, 1, 1, True),
    (5, 48, 4, 2, True),
    (5, 80, 4, 2, True),
    (7, 160, 4, 2, False),
    (14, 176, 6, 1, False),
    (18, 304, 6, 2, False),
    (5, 512, 6, 1, False),
)
_L: tuple[_Stage, ...] = (
    (4, 32, 1, 1, True),
    (7, 64, 4, 2, True),
    (7, 96, 4, 2, True),
    (10, 192, 4, 2, False),
    (19, 224, 6, 1, False),
    (25, 384, 6, 2, False),
    (7, 640, 6, 1, False),
)
_MEAN, _DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class _Variant(NamedTuple):
    """Stages, filters of the first convolution, two factors, the size of images, and the checksums of two files."""

    stages: tuple[_Stage, ...]
    stem: int
    width: float
    depth: float
    size: int
    whole: str
    without_top: str


_VARIANTS = {
    "b0": _Variant(_B, 32, 1.0, 1.0, 224, "21ecbf6da12460d5c40bb2f29ceb2188", "893217f2bb855e2983157299931e43ff"),
    "b1": _Variant(_B, 32, 1.0, 1.1, 240, "069f0534ff22adf035c89e2d9547a9dc", "0e80663031ca32d657f9caa404b6ec37"),
    "b2": _Variant(_B, 32, 1.1, 1.2, 260, "424e49f28180edbde1e94797771950a7", "1dfe2e7a5d45b6632553a8961ea609eb"),
    "b3": _Variant(_B, 32, 1.2, 1.4, 300, "1f1fc43bd98a6e4fd8fdfd551e02c7a0", "f6abf7b5849ac99a89b50dd3fd532856"),
    "s": _Variant(_S, 24, 1.0, 1.0, 384, "e1d88a8495beba45748fedd0cecbe016", "af0682fb74e8c54910f2d4393339c070"),
    "m": _Variant(_M, 24, 1.0, 1.0, 480, "a3bf6aa3276309f4fc6a34aa114c95cd", "1b8dc055df72dde80d614482840fe342"),
    "l": _Variant(_L, 32, 1.0, 1.0, 480, "27e6d408b53c7ebc868fefa357689935", "b0b66b5c863aef5b46e8608fe1711615"),
}


def _efficientnet_v2(size: str, arguments: dict[str, Any]) -> Model:
    variant, file = _VARIANTS[size], f"efficientnetv2-{size}"
    request, width = wanted(arguments), variant.width
    files = pair("efficientnet_v2", (f"{file}.h5", f"{file}_notop.h5"), (variant.whole, variant.without_top))

    def rounded(filters: int) -> int:
        """The nearest multiple of 8; unlike in the first version it may be below 0.9 of the value."""
        return max(8, int(filters * width + 4) // 8 * 8)

    def body(x: Any) -> Any:
        if arguments["include_preprocessing"]:
            x = _scaled(x, variant)
        x = conv(
            x, rounded(variant.stem), 3, "stem_conv", strides=2, padding="same", kernel_initializer=CONV_INITIALIZER
        )
        x = _norm_swish(x, "stem_")
        number, total = 0, sum(stage[0] for stage in variant.stages)
        for i, (repeats, filters, expansion, stride, fused) in enumerate(variant.stages, 1):
            for j in range(math.ceil(variant.depth * repeats)):
                block = _fused_block if fused else _block
                name, rate = f"block{i}{chr(ord('a') + j)}_", 0.2 * number / total
                x = block(x, rounded(filters), expansion, 1 if j else stride, rate, name)
                number += 1
        x = conv(x, rounded(1280), 1, "top_conv", padding="same", kernel_initializer=CONV_INITIALIZER)
        return _norm_swish(x, "top_")

    def top(x: Any, request: Wanted) -> Any:
        return classifier(x, request, named=True, dropout=0.2, kernel_initializer=DENSE_INITIALIZER)

    return assemble(request, body, top, files, variant.size)


def _scaled(x: Any, variant: _Variant) -> Any:
    if variant.stages is _B and channels(x) == 3:
        x = layers.Rescaling(1 / 255)(x)
        return layers.Normalization(mean=_MEAN, variance=[d**2 for d in _DEVIATION], axis=channel_axis())(x)
    return layers.Rescaling(1 / 128, offset=-1)(x)


def _norm(x: Any, name: str) -> Any:
    return norm(x, name, momentum=0.9)


def _norm_swish(x: Any, name: str) -> Any:
    return act(_norm(x, f"{name}bn"), f"{name}activation", "swish")


def _block(inputs: Any, filters: int, expansion: int, stride: int, rate: float, name: str) -> Any:
    """An inverted bottleneck with squeeze and excitation."""
    before = channels(inputs)
    x = conv(inputs, before * expansion, 1, f"{name}expand_conv", padding="same", kernel_initializer=CONV_INITIALIZER)
    x = _norm_swish(x, f"{name}expand_")
    x = layers.DepthwiseConv2D(
        3,
        strides=stride,
        padding="same",
        use_bias=False,
        depthwise_initializer=CONV_INITIALIZER,
        name=f"{name}dwconv2",
    )(x)
    x = _norm_swish(x, name)
    x = squeeze_excite(x, max(1, before // 4), "swish", name, kernel_initializer=CONV_INITIALIZER)
    x = conv(x, filters, 1, f"{name}project_conv", padding="same", kernel_initializer=CONV_INITIALIZER)
    return _with_shortcut(inputs, _norm(x, f"{name}project_bn"), stride, rate, name)


def _fused_block(inputs: Any, filters: int, expansion: int, stride: int, rate: float, name: str) -> Any:
    """One full convolution instead of the first two of a block; without expansion it is the only one."""
    x = inputs
    same: dict[str, Any] = {"padding": "same", "kernel_initializer": CONV_INITIALIZER}
    if expansion != 1:
        x = conv(x, channels(x) * expansion, 3, f"{name}expand_conv", strides=stride, **same)
        x = _norm_swish(x, f"{name}expand_")
        x = _norm(conv(x, filters, 1, f"{name}project_conv", **same), f"{name}project_bn")
    else:
        x = _norm_swish(conv(x, filters, 3, f"{name}project_conv", strides=stride, **same), f"{name}project_")
    return _with_shortcut(inputs, x, stride, rate, name)


def _with_shortcut(inputs: Any, x: Any, stride: int, rate: float, name: str) -> Any:
    if stride != 1 or channels(inputs) != channels(x):
        return x
    if rate > 0:  # whole samples lose the block (Huang et al. 2016)
        x = layers.Dropout(rate, noise_shape=(None, 1, 1, 1), name=f"{name}drop")(x)
    return layers.Add(name=f"{name}add")([x, inputs])


def EfficientNetV2B0(
    include_top: bool = True,
    weights: Any = "imagenet",
    input_tensor: Any = None,
    input_shape: Any = None,
    pooling: str | None = None,
    classes: int = 1000,
    classifier_activation: Any = "softmax",
    include_preprocessing: bool = True,
    name: str = "efficientnetv2-b0",
) -> Model:
    """EfficientNetV2 B0 (Tan and Le 2021), which takes values from 0 to 255."""
    return _efficientnet_v2("b0", locals())


def EfficientNetV2B1(
    include_top: bool = True,
    weights: Any = "imagenet",
    input_tensor: Any = None,
    input_shape: Any = None,
    pooling: str | None = None,
    classes: int = 1000,
    classifier_activation: Any = "softmax",
    include_preprocessing: bool = True,
    name: str = "efficientnetv2-b1",
) -> Model:
    """EfficientNetV2 B1 (Tan and Le 2021), which takes values from 0 to 255."""
    return _efficientnet_v2("b1", locals())


def EfficientNetV2B2(
    include_top: bool = True,
    weights: Any = "imagenet",
    input_tensor: Any = None,
    input_shape: Any = None,
    pooling: str | None = None,
    classes: int = 1000,
    classifier_activation: Any = "softmax",
    include_preprocessing: bool = True,
    name: str = "efficientnetv2-b2",
) -> Model:
    """EfficientNetV2 B2 (Tan and Le 2021), which takes values from 0 to 255."""
    return _efficientnet_v2("b2", locals())


def EfficientNetV2B3(
    include_top: bool = True,
    weights: Any = "imagenet",
    input_tensor: Any = None,
    input_shape: Any = None,
    pooling: str | None = None,
    classes: int = 1000,
    classifier_activation: Any = "softmax",
    include_preprocessing: bool = True,
    name: str = "efficientnetv2-b3",
) -> Model:
    """EfficientNetV2 B3 (Tan and Le 2021), which takes values from 0 to 255."""
    return _efficientnet_v2("b3", locals())


def EfficientNetV2S(
    include_top: bool = True,
    weights: Any = "imagenet",
    input_tensor: Any = None,
    input_shape: Any = None,
    pooling: str | None = None,
    classes: int = 1000,
    classifier_activation: Any = "softmax",
    include_preprocessing: bool = True,
    name: str = "efficientnetv2-s",
) -> Model:
    """EfficientNetV2 S (Tan and Le 2021), which takes values from 0 to 255."""
    return _efficientnet_v2("s", locals())


def EfficientNetV2M(
    include_top: bool = True,
    weights: Any = "imagenet",
    input_tensor: Any = None,
    input_shape: Any = None,
    pooling: str | None = None,
    classes: int = 1000,
    classifier_activation: Any = "softmax",
    include_preprocessing: bool = True,
    name: str = "efficientnetv2-m",
) -> Model:
    """EfficientNetV2 M (Tan and Le 2021), which takes values from 0 to 255."""
    return _efficientnet_v2("m", locals())


def EfficientNetV2L(
    include_top: bool = True,
    weights: Any = "imagenet",
    input_tensor: Any = None,
    input_shape: Any = None,
    pooling: str | None = None,
    classes: int = 1000,
    classifier_activation: Any = "softmax",
    include_preprocessing: bool = True,
    name: str = "efficientnetv2-l",
) -> Model:
    """EfficientNetV2 L (Tan and Le 2021), which takes values from 0 to 255."""
    return _efficientnet_v2("l", locals())


def preprocess_input(x: Any, data_format: str | None = None) -> Any:
    """Images as they are: the network itself scales values from 0 to 255."""
    return x
