"""MobileNet (Howard et al. 2017, arXiv:1704.04861)."""

from __future__ import annotations

from typing import Any

from oxiconv import layers
from oxiconv.applications import imagenet_utils
from oxiconv.applications.assembly import Wanted, assemble, pooled, published_size, usual_size, wanted
from oxiconv.applications.blocks import act, conv, norm
from oxiconv.applications.imagenet_utils import decode_predictions as decode_predictions
from oxiconv.applications.pretrained import pair
from oxiconv.models import Model

# The blocks after the first convolution: filters and stride.
_BLOCKS = (
    (64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), (512, 1), (512, 1), (512, 1), (512, 1), (512, 1),
    (1024, 2), (1024, 1),
)  # fmt: skip
_SIZES = (128, 160, 192, 224)


def MobileNet(
    input_shape: Any = None,
    alpha: float = 1.0,
    depth_multiplier: int = 1,
    dropout: float = 1e-3,
    include_top: bool = True,
    weights: Any = "imagenet",
    input_tensor: Any = None,
    pooling: str | None = None,
    classes: int = 1000,
    classifier_activation: Any = "softmax",
    name: str | None = None,
) -> Model:
    """MobileNet (Howard et al. 2017): convolutions in two steps, by channel and by pixel.

    Beside the arguments of all networks: `input_shape`: of an image; `alpha`: factor on the numbers of channels;
    `depth_multiplier`: outputs per channel of the convolutions by channel; `dropout`: rate before the classifier.
    """
    size = usual_size(input_shape, _SIZES)
    request = wanted({**locals(), "name": name or "mobilenet"})
    rows = published_size(request, size, _SIZES)
    if weights == "imagenet" and (depth_multiplier != 1 or alpha not in (0.25, 0.5, 0.75, 1.0)):
        raise ValueError(
            "MobileNet: weights='imagenet' exist for depth_multiplier=1 and alpha 0.25, 0.5, 0.75 or 1.0, got "
            f"{depth_multiplier} and {alpha}."
        )
    request = request._replace(name=name or f"mobilenet_{alpha:0.2f}_{rows}")
    text = {0.25: "2_5", 0.5: "5_0", 0.75: "7_5"}.get(alpha, "1_0")
    files = pair("mobilenet", (f"mobilenet_{text}_{rows}_tf.h5", f"mobilenet_{text}_{rows}_tf_no_top.h5"))

    def body(x: Any) -> Any:
        x = _norm_relu(conv(x, int(32 * alpha), 3, "conv1", padding="same", strides=2), "conv1")
        for i, (filters, stride) in enumerate(_BLOCKS, 1):
            if stride == 2:
                x = layers.ZeroPadding2D(((0, 1), (0, 1)), name=f"conv_pad_{i}")(x)
            x = layers.DepthwiseConv2D(
                3,
                padding="valid" if stride == 2 else "same",
                depth_multiplier=depth_multiplier,
                strides=stride,
                use_bias=False,
                name=f"conv_dw_{i}",
            )(x)
            x = _norm_relu(x, f"conv_dw_{i}")
            x = _norm_relu(conv(x, int(filters * alpha), 1, f"conv_pw_{i}", padding="same"), f"conv_pw_{i}")
        return x

    def top(x: Any, request: Wanted) -> Any:
        if not include_top:
            return pooled(x, request)
        x = layers.GlobalAveragePooling2D(keepdims=True)(x)
        x = layers.Dropout(dropout, name="dropout")(x)
        x = conv(x, classes, 1, "conv_preds", bias=True, padding="same")
        return act(layers.Reshape((classes,), name="reshape_2")(x), "predictions", classifier_activation)

    return assemble(request, body, top, files, size)


def _norm_relu(x: Any, name: str) -> Any:
    return layers.ReLU(6.0, name=f"{name}_relu")(norm(x, f"{name}_bn"))


def preprocess_input(x: Any, data_format: str | None = None) -> Any:
    """Images of values 0 to 255 as these networks take them: see `imagenet_utils`, mode 'tf'."""
    return imagenet_utils.preprocess_input(x, data_format, mode="tf")
