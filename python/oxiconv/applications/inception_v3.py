"""Inception V3 (Szegedy et al. 2016, arXiv:1512.00567)."""

from __future__ import annotations

from typing import Any

from oxiconv import layers
from oxiconv.applications import imagenet_utils
from oxiconv.applications.assembly import assemble, classifier, wanted
from oxiconv.applications.blocks import act, concat, conv, norm
from oxiconv.applications.imagenet_utils import decode_predictions as decode_predictions
from oxiconv.applications.pretrained import tf_kernels
from oxiconv.models import Model

# A branch is a chain of convolutions: filters, rows, columns.
Branch = list[tuple[int, int, int]]


def _conv(x: Any, filters: int, rows: int, columns: int, **kwargs: Any) -> Any:
    x = conv(x, filters, (rows, columns), **{"padding": "same", **kwargs})
    return act(norm(x, scale=False))


def _chain(x: Any, branch: Branch, narrower: bool = False) -> Any:
    """The convolutions of a branch; the last one of stride 2 if the images are to become smaller."""
    for step in branch[:-1] if narrower else branch:
        x = _conv(x, *step)
    return _conv(x, *branch[-1], strides=2, padding="valid") if narrower else x


def _mixed(x: Any, branches: list[Branch], pool: int, name: str) -> Any:
    parts = [_chain(x, branch) for branch in branches]
    mean = layers.AveragePooling2D(3, strides=1, padding="same")(x)
    return concat([*parts, _conv(mean, pool, 1, 1)], name)


def _narrower(x: Any, branches: list[Branch], name: str) -> Any:
    parts = [_chain(x, branch, narrower=True) for branch in branches]
    return concat([*parts, layers.MaxPooling2D(3, strides=2)(x)], name)


def _body(x: Any) -> Any:
    x = _conv(x, 32, 3, 3, strides=2, padding="valid")
    x = _conv(_conv(x, 32, 3, 3, padding="valid"), 64, 3, 3)
    x = layers.MaxPooling2D(3, strides=2)(x)
    x = _conv(_conv(x, 80, 1, 1, padding="valid"), 192, 3, 3, padding="valid")
    x = layers.MaxPooling2D(3, strides=2)(x)
    double: Branch = [(64, 1, 1), (96, 3, 3), (96, 3, 3)]
    for i, pool in enumerate((32, 64, 64)):
        x = _mixed(x, [[(64, 1, 1)], [(48, 1, 1), (64, 5, 5)], double], pool, f"mixed{i}")
    x = _narrower(x, [[(384, 3, 3)], double], "mixed3")
    for i, n in enumerate((128, 160, 160, 192), 4):
        once: Branch = [(n, 1, 1), (n, 1, 7), (192, 7, 1)]
        twice: Branch = [(n, 1, 1), (n, 7, 1), (n, 1, 7), (n, 7, 1), (192, 1, 7)]
        x = _mixed(x, [[(192, 1, 1)], once, twice], 192, f"mixed{i}")
    x = _narrower(x, [[(192, 1, 1), (320, 3, 3)], [(192, 1, 1), (192, 1, 7), (192, 7, 1), (192, 3, 3)]], "mixed8")
    for i in range(2):
        single = _conv(x, 320, 1, 1)
        short = _fork(_conv(x, 384, 1, 1), f"mixed9_{i}")
        long = _fork(_chain(x, [(448, 1, 1), (384, 3, 3)]), None)
        mean = layers.AveragePooling2D(3, strides=1, padding="same")(x)
        x = concat([single, short, long, _conv(mean, 192, 1, 1)], f"mixed{9 + i}")
    return x


def _fork(x: Any, name: str | None) -> Any:
    return concat([_conv(x, 384, 1, 3), _conv(x, 384, 3, 1)], name)


def InceptionV3(
    include_top: bool = True,
    weights: Any = "imagenet",
    input_tensor: Any = None,
    input_shape: Any = None,
    pooling: str | None = None,
    classes: int = 1000,
    classifier_activation: Any = "softmax",
    name: str = "inception_v3",
) -> Model:
    """Inception, third version (Szegedy et al. 2016)."""
    return assemble(
        wanted(locals()),
        _body,
        classifier,
        tf_kernels(
            "inception_v3", "inception_v3", ("9a0d58056eeedaa3f26cb7ebd46da564", "bcbd6486424b2319ff4ef7d526e38f63")
        ),
        size=299,
        smallest=75,
    )


def preprocess_input(x: Any, data_format: str | None = None) -> Any:
    """Images of values 0 to 255 as these networks take them: see `imagenet_utils`, mode 'tf'."""
    return imagenet_utils.preprocess_input(x, data_format, mode="tf")
