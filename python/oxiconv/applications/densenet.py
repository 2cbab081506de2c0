"""DenseNet (Huang et al. 2017, arXiv:1608.06993)."""

from __future__ import annotations

from typing import Any

from oxiconv import layers
from oxiconv.applications import imagenet_utils
from oxiconv.applications.assembly import Wanted, assemble, classifier, wanted
from oxiconv.applications.blocks import act, channels, concat, conv, norm
from oxiconv.applications.imagenet_utils import decode_predictions as decode_predictions
from oxiconv.applications.pretrained import Pretrained, tf_kernels
from oxiconv.models import Model

_EPSILON = 1.001e-5


def densenet(depths: tuple[int, ...], pretrained: Pretrained, request: Wanted) -> Model:
    """Four stages, in which each block adds 32 channels to all before it; between stages half the channels go."""

    def body(x: Any) -> Any:
        x = layers.ZeroPadding2D(3)(x)
        x = _norm_relu(conv(x, 64, 7, "conv1_conv", strides=2), "conv1_bn", "conv1_relu")
        x = layers.MaxPooling2D(3, strides=2, name="pool1")(layers.ZeroPadding2D(1)(x))
        for i, depth in enumerate(depths, 2):
            for j in range(1, depth + 1):
                x = _block(x, f"conv{i}_block{j}")
            if i < 5:
                x = _norm_relu(x, f"pool{i}_bn", f"pool{i}_relu")
                x = conv(x, channels(x) // 2, 1, f"pool{i}_conv")
                x = layers.AveragePooling2D(2, strides=2, name=f"pool{i}_pool")(x)
        return _norm_relu(x, "bn", "relu")

    return assemble(request, body, lambda x, request: classifier(x, request, named=True), pretrained)


def _norm_relu(x: Any, norm_name: str, relu_name: str) -> Any:
    return act(norm(x, norm_name, epsilon=_EPSILON), relu_name)


def _block(x: Any, name: str) -> Any:
    new = conv(_norm_relu(x, f"{name}_0_bn", f"{name}_0_relu"), 128, 1, f"{name}_1_conv")
    new = conv(_norm_relu(new, f"{name}_1_bn", f"{name}_1_relu"), 32, 3, f"{name}_2_conv", padding="same")
    return concat([x, new], f"{name}_concat")


def DenseNet121(
    include_top: bool = True,
    weights: Any = "imagenet",
    input_tensor: Any = None,
    input_shape: Any = None,
    pooling: str | None = None,
    classes: int = 1000,
    classifier_activation: Any = "softmax",
    name: str = "densenet121",
) -> Model:
    """DenseNet of 121 layers (Huang et al. 2017)."""
    return densenet(
        (6, 12, 24, 16),
        tf_kernels("densenet", "densenet121", ("9d60b8095a5708f2dcce2bca79d332c7", "30ee3e1110167f948a6b9946edeeb738")),
        wanted(locals()),
    )


def DenseNet169(
    include_top: bool = True,
    weights: Any = "imagenet",
    input_tensor: Any = None,
    input_shape: Any = None,
    pooling: str | None = None,
    classes: int = 1000,
    classifier_activation: Any = "softmax",
    name: str = "densenet169",
) -> Model:
    """DenseNet of 169 layers (Huang et al. 2017)."""
    return densenet(
        (6, 12, 32, 32),
        tf_kernels("densenet", "densenet169", ("d699b8f76981ab1b30698df4c175e90b", "b8c4d4c20dd625c148057b9ff1c1176b")),
        wanted(locals()),
    )


def DenseNet201(
    include_top: bool = True,
    weights: Any = "imagenet",
    input_tensor: Any = None,
    input_shape: Any = None,
    pooling: str | None = None,
    classes: int = 1000,
    classifier_activation: Any = "softmax",
    name: str = "densenet201",
) -> Model:
    """DenseNet of 201 layers (Huang et al. 2017)."""
    return densenet(
        (6, 12, 48, 32),
        tf_kernels("densenet", "densenet201", ("1ceb130c1ea1b78c3bf6114dbdfd8807", "c13680b51ded0fb44dff2d8f86ac8bb1")),
        wanted(locals()),
    )


def preprocess_input(x: Any, data_format: str | None = None) -> Any:
    """Images of values 0 to 255 as these networks take them: see `imagenet_utils`, mode 'torch'."""
    return imagenet_utils.preprocess_input(x, data_format, mode="torch")
