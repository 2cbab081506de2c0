"""How much boxes overlap."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from oxiconv import ops
from oxiconv.bounding_boxes.formats import columns, convert_format
from oxiconv.config import epsilon
from oxiconv.tensor import ShapeError, Tensor


def _corners(
    boxes1: Any, boxes2: Any, bounding_box_format: str, image_shape: Sequence[int] | None, name: str
) -> tuple[Tensor, Tensor]:
    if "rel" in bounding_box_format and image_shape is None:
        raise ValueError(f"{name}: expected image_shape for format {bounding_box_format!r}, got none")
    height, width = (None, None) if image_shape is None else tuple(image_shape)[:2]
    first, second = (convert_format(b, bounding_box_format, "xyxy", height, width) for b in (boxes1, boxes2))
    return first, second


def compute_iou(
    boxes1: Any,
    boxes2: Any,
    bounding_box_format: str,
    use_masking: bool = False,
    mask_val: float = -1,
    image_shape: Sequence[int] | None = None,
) -> Tensor:
    """Intersection over union of each box with each other one: `[m, 4]`, `[k, 4]` to `[m, k]`.

    Args:
        boxes1: `[m, 4]` or `[n, m, 4]`.
        boxes2: `[k, 4]` or `[n, k, 4]`.
        bounding_box_format: of both, see `convert_format`.
        use_masking: whether pairs with a box of negative numbers only give `mask_val`.
        mask_val: see there.
        image_shape: (height, width, channels), for relative formats.

    Example:
        >>> compute_iou([[0.0, 0.0, 2.0, 2.0]], [[0.0, 0.0, 2.0, 2.0], [1.0, 0.0, 3.0, 2.0]], "xyxy").numpy().round(3)
        array([[1.   , 0.333]], dtype=float32)
    """
    ranks = len(ops.shape(boxes1)), len(ops.shape(boxes2))
    if not set(ranks) <= {2, 3}:
        raise ShapeError(f"compute_iou: expected boxes with 2 or 3 axes, got {ops.shape(boxes1)}, {ops.shape(boxes2)}")
    first, second = _corners(boxes1, boxes2, bounding_box_format, image_shape, "compute_iou")
    x1, y1, x2, y2 = columns(first)
    u1, v1, u2, v2 = (ops.swapaxes(c, -1, -2) for c in columns(second))
    across = ops.maximum(ops.minimum(x2, u2) - ops.maximum(x1, u1), 0.0)
    down = ops.maximum(ops.minimum(y2, v2) - ops.maximum(y1, v1), 0.0)
    shared = across * down
    iou = shared / ((x2 - x1) * (y2 - y1) + (u2 - u1) * (v2 - v1) - shared + epsilon())
    if not use_masking:
        return iou
    absent1 = ops.max(first, axis=-1, keepdims=True) < 0.0
    absent2 = ops.swapaxes(ops.max(second, axis=-1, keepdims=True) < 0.0, -1, -2)
    return ops.where(ops.logical_or(absent1, absent2), float(mask_val), iou)


def compute_ciou(
    boxes1: Any, boxes2: Any, bounding_box_format: str, image_shape: Sequence[int] | None = None
) -> Tensor:
    """Complete IoU of each box with the one at its place: IoU less the distance of centres and of aspects.

    Zheng, Wang, Liu, Li, Ye, Ren, Distance-IoU Loss (2020).

    Args:
        boxes1: `[.., 4]`.
        boxes2: the same shape.
        bounding_box_format: of both, see `convert_format`.
        image_shape: (height, width, channels), for relative formats.
    """
    first, second = _corners(boxes1, boxes2, bounding_box_format, image_shape, "compute_ciou")
    small = epsilon()
    x1, y1, x2, y2 = columns(first)
    u1, v1, u2, v2 = columns(second)
    width1, height1, width2, height2 = x2 - x1, y2 - y1 + small, u2 - u1, v2 - v1 + small
    across = ops.maximum(ops.minimum(x2, u2) - ops.maximum(x1, u1), 0.0)
    down = ops.maximum(ops.minimum(y2, v2) - ops.maximum(y1, v1), 0.0)
    union = width1 * height1 + width2 * height2 - across * down + small
    iou = across * down / (union + small)
    hull = ops.square(ops.maximum(x2, u2) - ops.minimum(x1, u1)) + ops.square(ops.maximum(y2, v2) - ops.minimum(y1, v1))
    apart = ops.square((x1 + x2) / 2.0 - (u1 + u2) / 2.0) + ops.square((y1 + y2) / 2.0 - (v1 + v2) / 2.0)
    aspect = (4.0 / math.pi**2) * ops.square(ops.arctan(width2 / height2) - ops.arctan(width1 / height1))
    weight = aspect / (aspect - iou + (1.0 + small))
    return ops.squeeze(iou - (apart / (hull + small) + aspect * weight), -1)
