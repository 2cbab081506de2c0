"""MobileNetV3 (Howard et al. 2019, arXiv:1905.02244)."""

from __future__ import annotations

from typing import Any, NamedTuple

from oxiconv import layers
from oxiconv.applications.assembly import Wanted, assemble, pooled, wanted
from oxiconv.applications.blocks import act, channel_axis, channels, conv, divisible, norm, pad_for
from oxiconv.applications.imagenet_utils import decode_predictions as decode_predictions
from oxiconv.applications.pretrained import pair
from oxiconv.models import Model

# The blocks: expansion, filters, large kernel, stride, squeeze and excitation, hard swish (else ReLU).
_Block = tuple[float, int, bool, int, bool, bool]
_SMALL: tuple[_Block, ...] = (
    (1, 16, False, 2, True, False),
    (72 / 16, 24, False, 2, False, False),
    (88 / 24, 24, False, 1, False, False),
    (4, 40, True, 2, True, True),
    (6, 40, True, 1, True, True),
    (6, 40, True, 1, True, True),
    (3, 48, True, 1, True, True),
    (3, 48, True, 1, True, True),
    (6, 96, True, 2, True, True),
    (6, 96, True, 1, True, True),
    (6, 96, True, 1, True, True),
)
_LARGE: tuple[_Block, ...] = (
    (1, 16, False, 1, False, False),
    (4, 24, False, 2, False, False),
    (3, 24, False, 1, False, False),
    (3, 40, True, 2, True, False),
    (3, 40, True, 1, True, False),
    (3, 40, True, 1, True, False),
    (6, 80, False, 2, False, True),
    (2.5, 80, False, 1, False, True),
    (2.3, 80, False, 1, False, True),
    (2.3, 80, False, 1, False, True),
    (6, 112, False, 1, True, True),
    (6, 112, False, 1, True, True),
    (6, 160, True, 2, True, True),
    (6, 160, True, 1, True, True),
    (6, 160, True, 1, True, True),
)
_CHECKSUMS = {
    "large_224_0.75_float": (
        "765b44a33ad4005b3ac83185abf1d0eb",
        "40af19a13ebea4e2ee0c676887f69a2e",
    ),
    "large_224_1.0_float": (
        "59e551e166be033d707958cf9e29a6a7",
        "07fb09a5933dd0c8eaafa16978110389",
    ),
    "large_minimalistic_224_1.0_float": (
        "675e7b876c45c57e9e63e6d90a36599c",
        "ec5221f64a2f6d1ef965a614bdae7973",
    ),
    "small_224_0.75_float": (
        "cb65d4e5be93758266aa0a7f2c6708b7",
        "ebdb5cc8e0b497cd13a7c275d475c819",
    ),
    "small_224_1.0_float": (
        "8768d4c2e7dee89b9d02b2d03d65d862",
        "d3e8ec802a04aa4fc771ee12a9a9b836",
    ),
    "small_minimalistic_224_1.0_float": (
        "99cd97fb2fcdad2bf028eb838de69e37",
        "cde8136e733e811080d9fcd8a252f7e4",
    ),
}


class _Variant(NamedTuple):
    """The arguments of MobileNetV3 beside the common ones."""

    alpha: float
    minimalistic: bool
    dropout_rate: float
    include_preprocessing: bool


def _mobilenet_v3(kind: str, blocks: tuple[_Block, ...], last: int, arguments: dict[str, Any]) -> Model:
    request, variant = wanted(arguments), _Variant(**{field: arguments[field] for field in _Variant._fields})
    alpha, minimalistic = variant.alpha, variant.minimalistic
    if request.weights == "imagenet" and alpha not in ((1.0,) if minimalistic else (0.75, 1.0)):
        raise ValueError(
            f"{request.name}: weights='imagenet' exist for alpha 1.0, and 0.75 if not minimalistic, got {alpha}."
        )
    key = f"{kind}{'_minimalistic' if minimalistic else ''}_224_{alpha}_float"
    names = (f"weights_mobilenet_v3_{key}.h5", f"weights_mobilenet_v3_{key}_no_top_v2.h5")
    files = pair("mobilenet_v3", names, _CHECKSUMS.get(key, (None, None)))

    def activated(x: Any, swish: bool = True) -> Any:
        return act(x, None, "hard_swish") if swish and not minimalistic else layers.ReLU()(x)

    def block(x: Any, index: int, settings: _Block) -> Any:
        expansion, filters, large, stride, squeeze, swish = settings
        filters, kernel = divisible(filters * alpha), 5 if large and not minimalistic else 3
        name = f"expanded_conv_{index}_" if index else "expanded_conv_"
        shortcut, before = x, channels(x)
        if index:
            x = conv(x, divisible(before * expansion), 1, f"{name}expand", padding="same")
            x = activated(_norm(x, f"{name}expand_bn"), swish)
        if stride == 2:
            x = pad_for(x, kernel, f"{name}depthwise_pad")
        padding = "valid" if stride == 2 else "same"
        x = layers.DepthwiseConv2D(kernel, strides=stride, padding=padding, use_bias=False, name=f"{name}depthwise")(x)
        x = activated(_norm(x, f"{name}depthwise_bn"), swish)
        if squeeze and not minimalistic:
            x = _squeeze_excite(x, divisible(before * expansion), f"{name}squeeze_excite")
        x = _norm(conv(x, filters, 1, f"{name}project", padding="same"), f"{name}project_bn")
        return layers.Add(name=f"{name}add")([shortcut, x]) if stride == 1 and before == filters else x

    def body(x: Any) -> Any:
        if variant.include_preprocessing:
            x = layers.Rescaling(1 / 127.5, offset=-1.0)(x)
        x = activated(_norm(conv(x, 16, 3, "conv", strides=2, padding="same"), "conv_bn"))
        for index, settings in enumerate(blocks):
            x = block(x, index, settings)
        x = conv(x, divisible(channels(x) * 6), 1, "conv_1", padding="same")
        return activated(_norm(x, "conv_1_bn"))

    def top(x: Any, request: Wanted) -> Any:
        if not request.include_top:
            return pooled(x, request, named=True)
        x = layers.GlobalAveragePooling2D(keepdims=True)(x)
        width = divisible(last * alpha) if alpha > 1 else last
        x = activated(conv(x, width, 1, "conv_2", bias=True, padding="same"))
        if variant.dropout_rate > 0:
            x = layers.Dropout(variant.dropout_rate)(x)
        x = conv(x, request.classes, 1, "logits", bias=True, padding="same")
        return act(layers.Flatten()(x), "predictions", request.classifier_activation)

    if request.input_shape is None:  # its top takes images of any size
        request = request._replace(input_shape=_any_size(request))
    return assemble(request, body, top, files, fixed=False)


def _any_size(request: Wanted) -> tuple[int | None, ...]:
    given = request.input_tensor
    if given is not None:
        return tuple(given.shape[1:])
    return (None, None, 3) if channel_axis() == 3 else (3, None, None)


def _norm(x: Any, name: str) -> Any:
    return norm(x, name, epsilon=1e-3, momentum=0.999)


def _squeeze_excite(x: Any, filters: int, name: str) -> Any:
    scale = layers.GlobalAveragePooling2D(keepdims=True, name=f"{name}_avg_pool")(x)
    scale = conv(scale, divisible(filters * 0.25), 1, f"{name}_conv", bias=True, padding="same")
    scale = layers.ReLU(name=f"{name}_relu")(scale)
    scale = conv(scale, filters, 1, f"{name}_conv_1", bias=True, padding="same")
    scale = layers.ReLU(6.0)(scale + 3.0) * (1 / 6)  # a hard sigmoid
    return layers.Multiply(name=f"{name}_mul")([x, scale])


def MobileNetV3Small(
    input_shape: Any = None,
    alpha: float = 1.0,
    minimalistic: bool = False,
    include_top: bool = True,
    weights: Any = "imagenet",
    input_tensor: Any = None,
    classes: int = 1000,
    pooling: str | None = None,
    dropout_rate: float = 0.2,
    classifier_activation: Any = "softmax",
    include_preprocessing: bool = True,
    name: str = "MobileNetV3Small",
) -> Model:
    """MobileNet, third version, small (Howard et al. 2019), which takes values from 0 to 255.

    Beside the arguments of all networks: `input_shape`: of an image; `alpha`: factor on the numbers of channels;
    `minimalistic`: without squeeze and excitation, hard swish and kernels of 5x5; `dropout_rate`: before the
    classifier; `include_preprocessing`: False for images that have values from -1 to 1 already.
    """
    return _mobilenet_v3("small", _SMALL, 1024, locals())


def MobileNetV3Large(
    input_shape: Any = None,
    alpha: float = 1.0,
    minimalistic: bool = False,
    include_top: bool = True,
    weights: Any = "imagenet",
    input_tensor: Any = None,
    classes: int = 1000,
    pooling: str | None = None,
    dropout_rate: float = 0.2,
    classifier_activation: Any = "softmax",
    include_preprocessing: bool = True,
    name: str = "MobileNetV3Large",
) -> Model:
    """MobileNet, third version, large (Howard et al. 2019), which takes values from 0 to 255.

    Beside the arguments of all networks: `input_shape`: of an image; `alpha`: factor on the numbers of channels;
    `minimalistic`: without squeeze and excitation, hard swish and kernels of 5x5; `dropout_rate`: before the
    classifier; `include_preprocessing`: False for images that have values from -1 to 1 already.
    """
    return _mobilenet_v3("large", _LARGE, 1280, locals())


def preprocess_input(x: Any, data_format: str | None = None) -> Any:
    """Images as they are: the network itself scales values from 0 to 255."""
    return x
