"""Inception-ResNet V2 (Szegedy et al. 2017, arXiv:1602.07261)."""

from __future__ import annotations

from typing import Any, ClassVar

from oxiconv import layers
from oxiconv.applications import imagenet_utils
from oxiconv.applications.assembly import assemble, classifier, wanted
from oxiconv.applications.blocks import act, channels, concat, conv, norm
from oxiconv.applications.imagenet_utils import decode_predictions
from oxiconv.applications.pretrained import tf_kernels
from oxiconv.models import Model

__all__ = [
    "CustomScaleLayer",
    "InceptionResNetV2",
    "decode_predictions",
    "preprocess_input",
]

# By kind of block: its branches, chains of convolutions of filters and size.
_BRANCHES: dict[str, list[list[tuple[int, Any]]]] = {
    "block35": [[(32, 1)], [(32, 1), (32, 3)], [(32, 1), (48, 3), (64, 3)]],
    "block17": [[(192, 1)], [(128, 1), (160, (1, 7)), (192, (7, 1))]],
    "block8": [[(192, 1)], [(192, 1), (224, (1, 3)), (256, (3, 1))]],
}


class CustomScaleLayer(layers.Layer):
    """The first of two inputs, plus the second times a number.

    Args:
        scale: the number.
        **kwargs: those of `Layer`.
    """

    config_fields: ClassVar[tuple[str, ...]] = ("scale",)

    def __init__(self, scale: float, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.scale = scale

    def call(self, inputs: Any) -> Any:
        """The scaled sum."""
        return inputs[0] + inputs[1] * self.scale


def _conv(x: Any, filters: int, size: Any, name: str | None = None, **kwargs: Any) -> Any:
    x = conv(x, filters, size, name, **{"padding": "same", **kwargs})
    x = norm(x, None if name is None else f"{name}_bn", scale=False)
    return act(x, None if name is None else f"{name}_ac")


def _chain(x: Any, branch: list[tuple[int, Any]], narrower: bool = False) -> Any:
    for step in branch[:-1] if narrower else branch:
        x = _conv(x, *step)
    return _conv(x, *branch[-1], strides=2, padding="valid") if narrower else x


def _block(x: Any, kind: str, index: int, scale: float, activation: str | None = "relu") -> Any:
    name = f"{kind}_{index}"
    mixed = concat([_chain(x, branch) for branch in _BRANCHES[kind]], f"{name}_mixed")
    up = conv(mixed, channels(x), 1, f"{name}_conv", bias=True, padding="same")
    x = CustomScaleLayer(scale)([x, up])
    return x if activation is None else act(x, f"{name}_ac", activation)


def _narrower(x: Any, branches: list[list[tuple[int, Any]]], name: str) -> Any:
    parts = [_chain(x, branch, narrower=True) for branch in branches]
    return concat([*parts, layers.MaxPooling2D(3, strides=2)(x)], name)


def _body(x: Any) -> Any:
    x = _conv(x, 32, 3, strides=2, padding="valid")
    x = _conv(_conv(x, 32, 3, padding="valid"), 64, 3)
    x = layers.MaxPooling2D(3, strides=2)(x)
    x = _conv(_conv(x, 80, 1, padding="valid"), 192, 3, padding="valid")
    x = layers.MaxPooling2D(3, strides=2)(x)
    parts = [_chain(x, b) for b in ([(96, 1)], [(48, 1), (64, 5)], [(64, 1), (96, 3), (96, 3)])]
    mean = layers.AveragePooling2D(3, strides=1, padding="same")(x)
    x = concat([*parts, _conv(mean, 64, 1)], "mixed_5b")
    for i in range(1, 11):
        x = _block(x, "block35", i, 0.17)
    x = _narrower(x, [[(384, 3)], [(256, 1), (256, 3), (384, 3)]], "mixed_6a")
    for i in range(1, 21):
        x = _block(x, "block17", i, 0.1)
    x = _narrower(x, [[(256, 1), (384, 3)], [(256, 1), (288, 3)], [(256, 1), (288, 3), (320, 3)]], "mixed_7a")
    for i in range(1, 10):
        x = _block(x, "block8", i, 0.2)
    x = _block(x, "block8", 10, 1.0, activation=None)
    return _conv(x, 1536, 1, "conv_7b")


def InceptionResNetV2(
    include_top: bool = True,
    weights: Any = "imagenet",
    input_tensor: Any = None,
    input_shape: Any = None,
    pooling: str | None = None,
    classes: int = 1000,
    classifier_activation: Any = "softmax",
    name: str = "inception_resnet_v2",
) -> Model:
    """Inception with shortcuts, second version (Szegedy et al. 2017)."""
    return assemble(
        wanted(locals()),
        _body,
        classifier,
        tf_kernels(
            "inception_resnet_v2",
            "inception_resnet_v2",
            ("e693bd0210a403b3192acc6073ad2e96", "d19885ff4a710c122648d3b5c3b684e4"),
        ),
        size=299,
        smallest=75,
    )


def preprocess_input(x: Any, data_format: str | None = None) -> Any:
    """Images of values 0 to 255 as these networks take them: see `imagenet_utils`, mode 'tf'."""
    return imagenet_utils.preprocess_input(x, data_format, mode="tf")
