"""MobileNetV2 (Sandler et al. 2018, arXiv:1801.04381)."""

from __future__ import annotations

from typing import Any

from oxiconv import layers
from oxiconv.applications import imagenet_utils
from oxiconv.applications.assembly import assemble, classifier, published_size, usual_size, wanted
from oxiconv.applications.blocks import channels, conv, divisible, norm, pad_for
from oxiconv.applications.imagenet_utils import decode_predictions as decode_predictions
from oxiconv.applications.pretrained import pair
from oxiconv.models import Model

# The blocks after the first convolution: filters and stride.
_BLOCKS = (
    (16, 1), (24, 2), (24, 1), (32, 2), (32, 1), (32, 1), (64, 2), (64, 1), (64, 1), (64, 1), (96, 1), (96, 1), (96, 1),
    (160, 2), (160, 1), (160, 1), (320, 1),
)  # fmt: skip
_SIZES = (96, 128, 160, 192, 224)


def MobileNetV2(
    input_shape: Any = None,
    alpha: float = 1.0,
    include_top: bool = True,
    weights: Any = "imagenet",
    input_tensor: Any = None,
    pooling: str | None = None,
    classes: int = 1000,
    classifier_activation: Any = "softmax",
    name: str | None = None,
) -> Model:
    """MobileNet, second version (Sandler et al. 2018): inverted bottlenecks with shortcuts.

    Beside the arguments of all networks: `input_shape`: of an image; `alpha`: factor on the numbers of channels.
    """
    size = usual_size(input_shape, _SIZES, input_tensor)
    request = wanted({**locals(), "name": name or "mobilenetv2"})
    rows = published_size(request, size, _SIZES)
    if weights == "imagenet" and alpha not in (0.35, 0.5, 0.75, 1.0, 1.3, 1.4):
        raise ValueError(
            f"MobileNetV2: weights='imagenet' exist for alpha 0.35, 0.5, 0.75, 1.0, 1.3 and 1.4, got {alpha}."
        )
    request = request._replace(name=name or f"mobilenetv2_{alpha:0.2f}_{rows}")
    stem = f"mobilenet_v2_weights_tf_dim_ordering_tf_kernels_{float(alpha)}_{rows}"
    files = pair("mobilenet_v2", (f"{stem}.h5", f"{stem}_no_top.h5"))

    def body(x: Any) -> Any:
        x = conv(x, divisible(32 * alpha), 3, "Conv1", strides=2, padding="same")
        x = _norm_relu(x, "bn_Conv1", "Conv1_relu")
        for i, (filters, stride) in enumerate(_BLOCKS):
            x = _block(x, divisible(int(filters * alpha)), stride, i)
        x = conv(x, divisible(1280 * alpha) if alpha > 1 else 1280, 1, "Conv_1")
        return _norm_relu(x, "Conv_1_bn", "out_relu")

    return assemble(request, body, lambda x, request: classifier(x, request, pool=None), files, size)


def _norm(x: Any, name: str) -> Any:
    return norm(x, name, epsilon=1e-3, momentum=0.999)


def _norm_relu(x: Any, norm_name: str, relu_name: str) -> Any:
    return layers.ReLU(6.0, name=relu_name)(_norm(x, norm_name))


def _block(inputs: Any, filters: int, stride: int, index: int) -> Any:
    name = f"block_{index}_" if index else "expanded_conv_"
    before = channels(inputs)
    x = inputs
    if index:
        x = conv(x, 6 * before, 1, f"{name}expand", padding="same")
        x = _norm_relu(x, f"{name}expand_BN", f"{name}expand_relu")
    if stride == 2:
        x = pad_for(x, 3, f"{name}pad")
    padding = "valid" if stride == 2 else "same"
    x = layers.DepthwiseConv2D(3, strides=stride, use_bias=False, padding=padding, name=f"{name}depthwise")(x)
    x = _norm_relu(x, f"{name}depthwise_BN", f"{name}depthwise_relu")
    x = _norm(conv(x, filters, 1, f"{name}project", padding="same"), f"{name}project_BN")
    return layers.Add(name=f"{name}add")([inputs, x]) if before == filters and stride == 1 else x


def preprocess_input(x: Any, data_format: str | None = None) -> Any:
    """Images of values 0 to 255 as these networks take them: see `imagenet_utils`, mode 'tf'."""
    return imagenet_utils.preprocess_input(x, data_format, mode="tf")
