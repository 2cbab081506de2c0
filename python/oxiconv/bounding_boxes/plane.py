"""Boxes under what is done to their images: limits, margins, crops, affine maps."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from oxiconv import ops
from oxiconv.bounding_boxes.formats import columns, joined
from oxiconv.tensor import ShapeError, Tensor


def clip_to_image_size(
    bounding_boxes: Mapping[str, Any], height: Any = None, width: Any = None, bounding_box_format: str = "xyxy"
) -> dict[str, Any]:
    """Boxes limited to the image; the labels of those without area become -1.

    Args:
        bounding_boxes: a dict of "boxes" and, if there are any, "labels".
        height: of the image, for "xyxy".
        width: of the image, for "xyxy".
        bounding_box_format: "xyxy" or "rel_xyxy".

    Example:
        >>> import numpy as np
        >>> boxes = {"boxes": np.array([[-2.0, 1.0, 3.0, 9.0], [8.0, 0.0, 9.0, 1.0]]), "labels": np.array([4, 5])}
        >>> clipped = clip_to_image_size(boxes, height=5, width=6)
        >>> clipped["boxes"].numpy().tolist(), clipped["labels"].numpy().tolist()
        ([[0.0, 1.0, 3.0, 5.0], [6.0, 0.0, 6.0, 1.0]], [4, -1])
    """
    if bounding_box_format not in ("xyxy", "rel_xyxy"):
        raise NotImplementedError(
            f"clip_to_image_size: expected format 'xyxy' or 'rel_xyxy', got {bounding_box_format!r}; use convert_format"
        )
    if bounding_box_format == "xyxy" and (height is None or width is None):
        raise ValueError("clip_to_image_size: expected height and width for format 'xyxy', got none")
    if bounding_box_format == "rel_xyxy":
        height = width = 1.0
    x1, y1, x2, y2 = columns(ops.cast(bounding_boxes["boxes"], "float32"))
    x1, x2 = ops.clip(x1, 0.0, width), ops.clip(x2, 0.0, width)
    y1, y2 = ops.clip(y1, 0.0, height), ops.clip(y2, 0.0, height)
    result = {**bounding_boxes, "boxes": joined(x1, y1, x2, y2)}
    if bounding_boxes.get("labels") is not None:
        areas = ops.squeeze((x2 - x1) * (y2 - y1), -1)
        result["labels"] = ops.where(areas > 0.0, bounding_boxes["labels"], -1)
    return result


def _only_corners(name: str, bounding_box_format: str) -> None:
    if bounding_box_format != "xyxy":
        raise NotImplementedError(f"{name}: expected format 'xyxy', got {bounding_box_format!r}; use convert_format")


def affine_transform(
    boxes: Any,
    angle: Any,
    translate_x: Any,
    translate_y: Any,
    scale: Any,
    shear_x: Any,
    shear_y: Any,
    height: Any,
    width: Any,
    center_x: Any = None,
    center_y: Any = None,
    bounding_box_format: str = "xyxy",
) -> Tensor:
    """The boxes around what boxes become under a rotation, shear, scale and translation of their images.

    Args:
        boxes: `[n, k, 4]` in "xyxy".
        angle: degrees, `[n]` as all of these.
        translate_x: share of the width less 1.
        translate_y: share of the height less 1.
        scale: factor.
        shear_x: degrees.
        shear_y: degrees.
        height: of the images.
        width: of the images.
        center_x: share of the width that stays in place; None is the middle.
        center_y: share of the height that stays in place; None is the middle.
        bounding_box_format: "xyxy".
    """
    _only_corners("affine_transform", bounding_box_format)
    boxes = ops.cast(boxes, "float32")
    if len(boxes.shape) != 3:
        raise ShapeError(f"affine_transform: expected boxes [n, k, 4], got shape {boxes.shape}")
    radians = math.pi / 180.0
    across = (0.5 if center_x is None else center_x) * (width - 1)
    down = (0.5 if center_y is None else center_y) * (height - 1)
    turn, lean_x, lean_y = -angle * radians, -shear_x * radians, -shear_y * radians
    # The rows of the inverse of what is done to the image: RSS in torchvision's terms, T·C·RSS·C⁻¹ inverted.
    a = ops.cos(turn - lean_y) / ops.cos(lean_y)
    b = a * ops.tan(lean_x) + ops.sin(turn)
    c = -ops.sin(turn - lean_y) / ops.cos(lean_y)
    d = ops.cos(turn) - c * ops.tan(lean_x)
    moved_x, moved_y = across - translate_x * (width - 1), down - translate_y * (height - 1)
    a0, a1, b0, b1 = d * scale, -b * scale, -c * scale, a * scale
    a2, b2 = across - a0 * moved_x - a1 * moved_y, down - b0 * moved_x - b1 * moved_y
    a0, a1, a2, b0, b1, b2 = (ops.reshape(v, (-1, 1, 1)) for v in (a0, a1, a2, b0, b1, b2))
    x1, y1, x2, y2 = columns(boxes)
    corners = ((x1, y1), (x2, y1), (x2, y2), (x1, y2))
    return around([(a0 * x + a1 * y + a2, b0 * x + b1 * y + b2) for x, y in corners])


def around(corners: list[tuple[Tensor, Tensor]]) -> Tensor:
    """The smallest boxes, in "xyxy", around points (x, y)."""
    xs, ys = (ops.concatenate(list(values), axis=-1) for values in zip(*corners, strict=True))
    ends = [f(v, axis=-1, keepdims=True) for f in (ops.min, ops.max) for v in (xs, ys)]
    return joined(*ends)


def crop(boxes: Any, top: Any, left: Any, height: Any, width: Any, bounding_box_format: str = "xyxy") -> Tensor:
    """Boxes in the part of their image that begins at `top`, `left` and has `height` and `width`.

    >>> crop([[2.0, 2.0, 8.0, 8.0]], top=1, left=4, height=3, width=10).numpy().tolist()
    [[0.0, 1.0, 4.0, 3.0]]
    """
    _only_corners("crop", bounding_box_format)
    x1, y1, x2, y2 = columns(ops.cast(boxes, "float32"))
    x1, x2 = (ops.clip(x - left, 0.0, width) for x in (x1, x2))
    y1, y2 = (ops.clip(y - top, 0.0, height) for y in (y1, y2))
    return joined(x1, y1, x2, y2)


def pad(
    boxes: Any, top: Any, left: Any, height: Any = None, width: Any = None, bounding_box_format: str = "xyxy"
) -> Tensor:
    """Boxes of an image that got `top` rows and `left` columns before it. The sizes do not matter to them.

    >>> pad([[2.0, 2.0, 8.0, 8.0]], top=1, left=4).numpy().tolist()
    [[6.0, 3.0, 12.0, 9.0]]
    """
    _only_corners("pad", bounding_box_format)
    x1, y1, x2, y2 = columns(ops.cast(boxes, "float32"))
    return joined(x1 + left, y1 + top, x2 + left, y2 + top)
