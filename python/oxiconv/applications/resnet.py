"""ResNet (He et al. 2016, arXiv:1512.03385), and the blocks of its second version."""

from __future__ import annotations

from typing import Any

from oxiconv import layers
from oxiconv.applications import imagenet_utils
from oxiconv.applications.assembly import Wanted, assemble, classifier, wanted
from oxiconv.applications.blocks import act, conv, norm
from oxiconv.applications.imagenet_utils import decode_predictions as decode_predictions
from oxiconv.applications.pretrained import Pretrained, tf_kernels
from oxiconv.models import Model

_EPSILON = 1.001e-5


def resnet(depths: tuple[int, ...], preactivated: bool, pretrained: Pretrained, request: Wanted) -> Model:
    """Four stages of bottleneck blocks with shortcuts; the second version normalizes before it convolves."""

    def body(x: Any) -> Any:
        x = layers.ZeroPadding2D(3, name="conv1_pad")(x)
        x = conv(x, 64, 7, "conv1_conv", bias=True, strides=2)
        if not preactivated:
            x = _norm_relu(x, "conv1")
        x = layers.ZeroPadding2D(1, name="pool1_pad")(x)
        x = layers.MaxPooling2D(3, strides=2, name="pool1_pool")(x)
        for i, depth in enumerate(depths):
            for j in range(1, depth + 1):
                name, filters = f"conv{i + 2}_block{j}", 64 * 2**i
                if preactivated:  # a stage's last block makes its images smaller, but for the last stage
                    x = _block_v2(x, filters, 2 if j == depth and i < 3 else 1, j == 1, name)
                else:
                    x = _block_v1(x, filters, 2 if j == 1 and i > 0 else 1, j == 1, name)
        return _norm_relu(x, "post") if preactivated else x

    return assemble(request, body, lambda x, request: classifier(x, request, named=True), pretrained)


def _norm_relu(x: Any, name: str) -> Any:
    return act(norm(x, f"{name}_bn", epsilon=_EPSILON), f"{name}_relu")


def _block_v1(x: Any, filters: int, stride: int, project: bool, name: str) -> Any:
    shortcut = x
    if project:
        shortcut = conv(x, 4 * filters, 1, f"{name}_0_conv", bias=True, strides=stride)
        shortcut = norm(shortcut, f"{name}_0_bn", epsilon=_EPSILON)
    x = _norm_relu(conv(x, filters, 1, f"{name}_1_conv", bias=True, strides=stride), f"{name}_1")
    x = _norm_relu(conv(x, filters, 3, f"{name}_2_conv", bias=True, padding="same"), f"{name}_2")
    x = norm(conv(x, 4 * filters, 1, f"{name}_3_conv", bias=True), f"{name}_3_bn", epsilon=_EPSILON)
    return act(layers.Add(name=f"{name}_add")([shortcut, x]), f"{name}_out")


def _block_v2(x: Any, filters: int, stride: int, project: bool, name: str) -> Any:
    before = _norm_relu(x, f"{name}_preact")
    if project:
        shortcut = conv(before, 4 * filters, 1, f"{name}_0_conv", bias=True, strides=stride)
    else:
        shortcut = layers.MaxPooling2D(1, strides=stride)(x) if stride > 1 else x
    x = _norm_relu(conv(before, filters, 1, f"{name}_1_conv"), f"{name}_1")
    x = layers.ZeroPadding2D(1, name=f"{name}_2_pad")(x)
    x = _norm_relu(conv(x, filters, 3, f"{name}_2_conv", strides=stride), f"{name}_2")
    x = conv(x, 4 * filters, 1, f"{name}_3_conv", bias=True)
    return layers.Add(name=f"{name}_out")([shortcut, x])


def ResNet50(
    include_top: bool = True,
    weights: Any = "imagenet",
    input_tensor: Any = None,
    input_shape: Any = None,
    pooling: str | None = None,
    classes: int = 1000,
    classifier_activation: Any = "softmax",
    name: str = "resnet50",
) -> Model:
    """ResNet of 50 layers (He et al. 2016)."""
    return resnet(
        (3, 4, 6, 3),
        False,
        tf_kernels("resnet", "resnet50", ("2cb95161c43110f7111970584f804107", "4d473c1dd8becc155b73f8504c6f6626")),
        wanted(locals()),
    )


def ResNet101(
    include_top: bool = True,
    weights: Any = "imagenet",
    input_tensor: Any = None,
    input_shape: Any = None,
    pooling: str | None = None,
    classes: int = 1000,
    classifier_activation: Any = "softmax",
    name: str = "resnet101",
) -> Model:
    """ResNet of 101 layers (He et al. 2016)."""
    return resnet(
        (3, 4, 23, 3),
        False,
        tf_kernels("resnet", "resnet101", ("f1aeb4b969a6efcfb50fad2f0c20cfc5", "88cf7a10940856eca736dc7b7e228a21")),
        wanted(locals()),
    )


def ResNet152(
    include_top: bool = True,
    weights: Any = "imagenet",
    input_tensor: Any = None,
    input_shape: Any = None,
    pooling: str | None = None,
    classes: int = 1000,
    classifier_activation: Any = "softmax",
    name: str = "resnet152",
) -> Model:
    """ResNet of 152 layers (He et al. 2016)."""
    return resnet(
        (3, 8, 36, 3),
        False,
        tf_kernels("resnet", "resnet152", ("100835be76be38e30d865e96f2aaae62", "ee4c566cf9a93f14d82f913c2dc6dd0c")),
        wanted(locals()),
    )


def preprocess_input(x: Any, data_format: str | None = None) -> Any:
    """Images of values 0 to 255 as these networks take them: see `imagenet_utils`, mode 'caffe'."""
    return imagenet_utils.preprocess_input(x, data_format, mode="caffe")
