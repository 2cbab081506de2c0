"""NASNet (Zoph et al. 2018, arXiv:1707.07012)."""

from __future__ import annotations

from typing import Any, NamedTuple

from oxiconv import layers
from oxiconv.applications import imagenet_utils
from oxiconv.applications.assembly import Wanted, assemble, classifier, wanted
from oxiconv.applications.blocks import act, channel_axis, channels, concat, conv, norm, pad_for
from oxiconv.applications.imagenet_utils import decode_predictions as decode_predictions
from oxiconv.applications.pretrained import BASE, Pretrained, Remote
from oxiconv.models import Model

_EPSILON, _MOMENTUM = 1e-3, 0.9997


class _Plan(NamedTuple):
    """A network: its file, filters before the classifier, cells per stage, filters of the stem, and size of images."""

    file: str
    last: int
    cells: int
    stem: int
    skip: bool
    size: int
    checksums: tuple[str, str]


def _nasnet(plan: _Plan, request: Wanted) -> Model:
    """Cells that a search has found, in three stages with reductions before each."""
    if channel_axis() == 1:
        raise ValueError(f"{request.name}: expected images of the format 'channels_last', the only one supported.")
    remote = [f"{BASE}/nasnet/NASNet-{plan.file}{end}.h5" for end in ("", "-no-top")]
    names = [f"nasnet_{plan.file}{end}.h5" for end in ("", "_no_top")]
    files = Pretrained(*(Remote(*row) for row in zip(names, remote, plan.checksums, strict=True)))

    def body(x: Any) -> Any:
        filters = plan.last // 24
        x = _norm(_conv(x, plan.stem, "stem_conv1", size=3, strides=2, padding="valid"), "stem_bn1")
        before = None
        for i, width in enumerate((filters // 4, filters // 2), 1):
            x, before = _reduction(x, before, width, f"stem_{i}"), x
        for stage in range(3):
            if stage:
                reduced, last = _reduction(x, before, filters * 2**stage, f"reduce_{stage * plan.cells}"), x
                x, before = reduced, before if plan.skip else last
            for i in range(plan.cells):
                number = stage * plan.cells + i + (stage > 0)
                x, before = _normal(x, before, filters * 2**stage, str(number)), x
        return act(x)

    return assemble(request, body, lambda x, request: classifier(x, request, pool=None), files, plan.size)


def _norm(x: Any, name: str) -> Any:
    return norm(x, name, momentum=_MOMENTUM, epsilon=_EPSILON)


def _conv(x: Any, filters: int, name: str, size: int = 1, **kwargs: Any) -> Any:
    return conv(x, filters, size, name, **{"padding": "same", "kernel_initializer": "he_normal", **kwargs})


def _separable(x: Any, filters: int, size: int, name: str, stride: int = 1) -> Any:
    """Two separable convolutions, the first of a stride."""
    x = act(x)
    if stride == 2:
        x = pad_for(x, size, f"separable_conv_1_pad_{name}")
    padding = "valid" if stride == 2 else "same"
    x = layers.SeparableConv2D(
        filters, size, strides=stride, padding=padding, use_bias=False, name=f"separable_conv_1_{name}"
    )(x)
    x = act(_norm(x, f"separable_conv_1_bn_{name}"))
    x = layers.SeparableConv2D(filters, size, padding="same", use_bias=False, name=f"separable_conv_2_{name}")(x)
    return _norm(x, f"separable_conv_2_bn_{name}")


def _adjusted(before: Any, x: Any, filters: int, name: str) -> Any:
    """The result before the last, in the size of the last and with the filters of the cell."""
    if before is None:
        return x
    if before.shape[2] != x.shape[2]:
        before = act(before, f"adjust_relu_1_{name}")
        shifted = layers.Cropping2D(((1, 0), (1, 0)))(layers.ZeroPadding2D(((0, 1), (0, 1)))(before))
        halves = []
        for i, half in enumerate((before, shifted), 1):
            half = layers.AveragePooling2D(1, strides=2, name=f"adjust_avg_pool_{i}_{name}")(half)
            halves.append(_conv(half, filters // 2, f"adjust_conv_{i}_{name}"))
        return _norm(concat(halves), f"adjust_bn_{name}")
    if channels(before) != filters:
        return _norm(_conv(act(before), filters, f"adjust_conv_projection_{name}"), f"adjust_bn_{name}")
    return before


def _normal(x: Any, before: Any, filters: int, name: str) -> Any:
    p = _adjusted(before, x, filters, name)
    h = _norm(_conv(act(x), filters, f"normal_conv_1_{name}"), f"normal_bn_1_{name}")

    def mean(value: Any, side: str) -> Any:
        return layers.AveragePooling2D(3, strides=1, padding="same", name=f"normal_{side}_{name}")(value)

    def separable(value: Any, size: int, side: str) -> Any:
        return _separable(value, filters, size, f"normal_{side}_{name}")

    def add(i: int, first: Any, second: Any) -> Any:
        return layers.Add(name=f"normal_add_{i}_{name}")([first, second])

    parts = [
        add(1, separable(h, 5, "left1"), separable(p, 3, "right1")),
        add(2, separable(p, 5, "left2"), separable(p, 3, "right2")),
        add(3, mean(h, "left3"), p),
        add(4, mean(p, "left4"), mean(p, "right4")),
        add(5, separable(h, 3, "left5"), h),
    ]
    return concat([p, *parts], f"normal_concat_{name}")


def _reduction(x: Any, before: Any, filters: int, name: str) -> Any:
    p = _adjusted(before, x, filters, name)
    h = _norm(_conv(act(x), filters, f"reduction_conv_1_{name}"), f"reduction_bn_1_{name}")
    padded = pad_for(h, 3, f"reduction_pad_1_{name}")

    def separable(value: Any, size: int, side: str) -> Any:
        return _separable(value, filters, size, f"reduction_{side}_{name}", stride=2)

    def add(first: Any, second: Any, part: str | None) -> Any:
        return layers.Add(name=None if part is None else f"reduction_{part}_{name}")([first, second])

    first = add(separable(h, 5, "left1"), separable(p, 7, "right1"), "add_1")
    largest = layers.MaxPooling2D(3, strides=2, name=f"reduction_left2_{name}")(padded)
    second = add(largest, separable(p, 7, "right2"), "add_2")
    mean = layers.AveragePooling2D(3, strides=2, name=f"reduction_left3_{name}")(padded)
    third = add(mean, separable(p, 5, "right3"), "add3")
    smooth = layers.AveragePooling2D(3, strides=1, padding="same", name=f"reduction_left4_{name}")(first)
    fourth = add(second, smooth, None)
    again = _separable(first, filters, 3, f"reduction_left4_{name}")
    fifth = add(again, layers.MaxPooling2D(3, strides=2, name=f"reduction_right5_{name}")(padded), "add4")
    return concat([second, third, fourth, fifth], f"reduction_concat_{name}")


def NASNetMobile(
    input_shape: Any = None,
    include_top: bool = True,
    weights: Any = "imagenet",
    input_tensor: Any = None,
    pooling: str | None = None,
    classes: int = 1000,
    classifier_activation: Any = "softmax",
    name: str = "nasnet_mobile",
) -> Model:
    """NASNet for small images (Zoph et al. 2018)."""
    if not include_top and input_shape is None:
        input_shape = (224, 224, 3)
    return _nasnet(
        _Plan(
            "mobile", 1056, 4, 32, False, 224, ("020fb642bf7360b370c678b08e0adf61", "1ed92395b5b598bdda52abe5c0dbfd63")
        ),
        wanted(locals()),
    )


def NASNetLarge(
    input_shape: Any = None,
    include_top: bool = True,
    weights: Any = "imagenet",
    input_tensor: Any = None,
    pooling: str | None = None,
    classes: int = 1000,
    classifier_activation: Any = "softmax",
    name: str = "nasnet_large",
) -> Model:
    """NASNet for large images (Zoph et al. 2018)."""
    return _nasnet(
        _Plan(
            "large", 4032, 6, 96, True, 331, ("11577c9a518f0070763c2b964a382f17", "d81d89dc07e6e56530c4e77faddd61b5")
        ),
        wanted(locals()),
    )


def preprocess_input(x: Any, data_format: str | None = None) -> Any:
    """Images of values 0 to 255 as these networks take them: see `imagenet_utils`, mode 'tf'."""
    return imagenet_utils.preprocess_input(x, data_format, mode="tf")
