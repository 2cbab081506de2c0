"""Boxes relative to anchors, as detectors predict them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from oxiconv import ops
from oxiconv.bounding_boxes.formats import convert_format
from oxiconv.config import epsilon
from oxiconv.tensor import ShapeError, Tensor


def _checked(encoding: str, what: str, variance: Any, image_shape: Sequence[int] | None) -> tuple[Any, tuple[Any, Any]]:
    if encoding not in ("center_xywh", "center_yxhw"):
        raise ValueError(f"{what}: expected 'center_xywh' or 'center_yxhw', got {encoding!r}")
    if variance is not None:
        variance = ops.cast(ops.convert_to_tensor(variance), "float32")
        if variance.shape[-1:] != (4,):
            raise ShapeError(f"variance: expected 4 numbers, got shape {variance.shape}")
    return variance, (None, None) if image_shape is None else (image_shape[0], image_shape[1])


def encode_box_to_deltas(
    anchors: Any,
    boxes: Any,
    anchor_format: str,
    box_format: str,
    encoding_format: str = "center_yxhw",
    variance: Any = None,
    image_shape: Sequence[int] | None = None,
) -> Tensor:
    """Boxes as offsets of centres in anchor sizes and logarithms of ratios of sizes.

    Args:
        anchors: `[.., 4]`.
        boxes: the same shape.
        anchor_format: see `convert_format`.
        box_format: see `convert_format`.
        encoding_format: "center_yxhw" or "center_xywh", the order of the deltas.
        variance: four numbers that the deltas are divided by.
        image_shape: (height, width, channels), for relative formats.

    Example:
        >>> anchor, box = [[0.0, 0.0, 4.0, 2.0]], [[1.0, 0.0, 5.0, 2.0]]
        >>> encode_box_to_deltas(anchor, box, "xyxy", "xyxy", "center_xywh").numpy().tolist()
        [[0.25, 0.0, 0.0, 0.0]]
    """
    variance, (height, width) = _checked(encoding_format, "encoding_format", variance, image_shape)
    anchors = convert_format(anchors, anchor_format, encoding_format, height, width)
    boxes = convert_format(boxes, box_format, encoding_format, height, width)
    sizes = ops.maximum(anchors[..., 2:], epsilon())
    ratios = ops.maximum(boxes[..., 2:], epsilon()) / sizes
    deltas = ops.concatenate([(boxes[..., :2] - anchors[..., :2]) / sizes, ops.log(ratios)], axis=-1)
    return deltas if variance is None else deltas / variance


def decode_deltas_to_boxes(
    anchors: Any,
    boxes_delta: Any,
    anchor_format: str,
    box_format: str,
    encoded_format: str = "center_yxhw",
    variance: Any = None,
    image_shape: Sequence[int] | None = None,
) -> Any:
    """The boxes of deltas: the inverse of `encode_box_to_deltas`. With dicts of levels, a dict."""
    variance, (height, width) = _checked(encoded_format, "encoded_format", variance, image_shape)

    def decoded(anchor: Any, delta: Any) -> Tensor:
        anchor = convert_format(anchor, anchor_format, encoded_format, height, width)
        delta = ops.cast(delta, "float32")
        delta = delta if variance is None else delta * variance
        sizes = anchor[..., 2:]
        box = ops.concatenate([delta[..., :2] * sizes + anchor[..., :2], ops.exp(delta[..., 2:]) * sizes], axis=-1)
        converted: Tensor = convert_format(box, encoded_format, box_format, height, width)
        return converted

    if isinstance(anchors, Mapping) and isinstance(boxes_delta, Mapping):
        return {level: decoded(anchor, boxes_delta[level]) for level, anchor in anchors.items()}
    return decoded(anchors, boxes_delta)
