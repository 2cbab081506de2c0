"""The formats of boxes, and what boxes may be given as."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from oxiconv import ops
from oxiconv.tensor import ShapeError, Tensor, TensorLike

FORMATS = (
    "xyxy",
    "yxyx",
    "xywh",
    "center_xywh",
    "center_yxhw",
    "rel_xyxy",
    "rel_yxyx",
    "rel_xywh",
    "rel_center_xywh",
)


def columns(boxes: Tensor) -> list[Tensor]:
    """The four numbers of the boxes, each with a last axis of 1."""
    return [boxes[..., i : i + 1] for i in range(4)]


def joined(*parts: TensorLike) -> Tensor:
    """Boxes of their four numbers."""
    return ops.concatenate(parts, axis=-1)


def convert_format(
    boxes: Any, source: str, target: str, height: Any = None, width: Any = None, dtype: Any = "float32"
) -> Any:
    """Boxes in another format.

    Args:
        boxes: `[.., 4]`, or a dict with such "boxes".
        source: "xyxy", "yxyx", "xywh", "center_xywh", "center_yxhw", or with sizes as shares of the image's "rel_xyxy",
            "rel_yxyx", "rel_xywh", "rel_center_xywh".
        target: the wanted format.
        height: of the image, where one format is relative and the other is not.
        width: of the image.
        dtype: of the result.

    Example:
        >>> convert_format([[10.0, 20.0, 30.0, 60.0]], "xyxy", "center_xywh").numpy().tolist()
        [[20.0, 40.0, 20.0, 40.0]]
    """
    if isinstance(boxes, Mapping):
        return {**boxes, "boxes": convert_format(boxes["boxes"], source, target, height, width, dtype)}
    source, target = str(source).lower(), str(target).lower()
    if source not in FORMATS or target not in FORMATS:
        raise ValueError(f"convert_format: expected formats {', '.join(FORMATS)}, got {source!r} and {target!r}")
    if ops.shape(boxes)[-1] != 4:
        raise ShapeError(f"convert_format: expected boxes [.., 4], got shape {ops.shape(boxes)}")
    relative = source.startswith("rel_"), target.startswith("rel_")
    if any(relative) and (height is None or width is None):
        raise ValueError(f"convert_format: expected height and width for {source!r} to {target!r}, got none")
    boxes = ops.cast(boxes, dtype)
    if source == target:
        return boxes
    x1, y1, x2, y2 = _to_corners(columns(boxes), source.removeprefix("rel_"))
    if relative == (True, False):
        x1, y1, x2, y2 = x1 * width, y1 * height, x2 * width, y2 * height
    elif relative == (False, True):
        x1, y1, x2, y2 = x1 / width, y1 / height, x2 / width, y2 / height
    return joined(*_from_corners(x1, y1, x2, y2, target.removeprefix("rel_")))


def _to_corners(numbers: list[Tensor], source: str) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    if source in ("yxyx", "center_yxhw"):
        numbers = [numbers[i] for i in (1, 0, 3, 2)]
    a, b, c, d = numbers
    if source.startswith("center"):
        return a - c / 2.0, b - d / 2.0, a + c / 2.0, b + d / 2.0
    return (a, b, a + c, b + d) if source == "xywh" else (a, b, c, d)


def _from_corners(x1: Tensor, y1: Tensor, x2: Tensor, y2: Tensor, target: str) -> list[Tensor]:
    width, height = x2 - x1, y2 - y1
    if target.startswith("center"):
        numbers = [x1 + width / 2.0, y1 + height / 2.0, width, height]
    else:
        numbers = [x1, y1, width, height] if target == "xywh" else [x1, y1, x2, y2]
    return [numbers[i] for i in (1, 0, 3, 2)] if target in ("yxyx", "center_yxhw") else numbers


def densified(boxes: Any) -> dict[str, Any]:
    """A dict of "boxes" `[.., k, 4]` and "labels" `[.., k]` as tensors.

    Lists of images with different numbers of boxes are filled up to the longest with boxes of zeros and labels of -1.
    """
    if not isinstance(boxes, Mapping) or not {"boxes", "labels"} <= boxes.keys():
        raise ValueError(f"bounding_boxes: expected a dict with 'boxes' and 'labels', got {type(boxes).__name__}")
    places, labels = boxes["boxes"], boxes["labels"]
    if isinstance(places, (list, tuple)):
        if not isinstance(labels, (list, tuple)) or len(places) != len(labels):
            raise ValueError("bounding_boxes: expected lists of boxes and labels of one length")
        if len({len(p) for p in places if isinstance(p, Sequence)} - {4}) > 0 or _depth(places) == 3:
            places, labels = _filled(places, labels)
    given = {**boxes, "boxes": ops.cast(ops.convert_to_tensor(places), "float32")}
    given["labels"] = ops.convert_to_tensor(labels)
    ranks = len(given["boxes"].shape), len(given["labels"].shape)
    if ranks[0] not in (2, 3) or given["boxes"].shape[-1] != 4 or ranks[1] not in (ranks[0] - 1, ranks[0]):
        raise ShapeError(
            "bounding_boxes: expected boxes [k, 4] or [n, k, 4] and labels without the last axis, "
            f"got {given['boxes'].shape} and {given['labels'].shape}"
        )
    return given


def _depth(x: Any) -> int:
    return 1 + _depth(x[0]) if isinstance(x, (list, tuple)) and len(x) else int(isinstance(x, (list, tuple)))


def _filled(places: Sequence[Any], labels: Sequence[Any]) -> tuple[Any, Any]:
    most = max(len(image) for image in places)
    dense = np.zeros((len(places), most, 4), np.float32)
    names = np.full((len(places), most), -1, np.int32)
    for row, (image, marks) in enumerate(zip(places, labels, strict=True)):
        if len(image) != len(marks):
            raise ValueError(f"bounding_boxes: image {row} has {len(image)} boxes and {len(marks)} labels")
        if len(image):
            dense[row, : len(image)] = np.asarray(image, np.float32)
            names[row, : len(marks)] = np.asarray(marks, np.int32)
    return dense, names
