"""Boxes and masks drawn into images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from oxiconv import ops
from oxiconv.bounding_boxes.formats import convert_format
from oxiconv.contact_sheet import write
from oxiconv.ops.convolution import data_format_of

Color = Sequence[int]
_LETTER_HEIGHT = 7


def channels_last(images: Any, data_format: str | None, name: str) -> NDArray[Any]:
    """A batch of images as an array `[n, h, w, c]`."""
    array = np.asarray(ops.convert_to_numpy(images))
    if array.ndim != 4:
        raise ValueError(f"{name}: expected a batch of images with 4 axes, got shape {array.shape}")
    return array if data_format_of(data_format, name) == "channels_last" else array.transpose(0, 2, 3, 1)


def _bytes(images: NDArray[Any]) -> NDArray[np.uint8]:
    """Images from 0 to 255; real ones up to 1 are taken as from 0 to 1."""
    if images.dtype.kind == "f" and images.size:
        images = np.clip(images, 0, 1) * 255 if images.max() <= 1.0 else np.clip(images, 0, 255)
    return np.array(images, np.uint8)


def draw_bounding_boxes(
    images: Any,
    bounding_boxes: Any,
    bounding_box_format: str,
    class_mapping: Mapping[int, str] | None = None,
    color: Color = (128, 128, 128),
    line_thickness: int = 2,
    text_thickness: int = 1,
    font_scale: float = 1.0,
    data_format: str | None = None,
) -> NDArray[np.uint8]:
    """Images with the outlines of boxes, and names where there are any.

    Args:
        images: a batch; real ones up to 1 are taken as from 0 to 1.
        bounding_boxes: a dict of "boxes" `[n, k, 4]`, "labels" `[n, k]` (-1 for none), and maybe "confidences".
        bounding_box_format: see `utils.bounding_boxes.convert_format`.
        class_mapping: names of labels; other labels are not written.
        color: of the outlines, one number for each channel.
        line_thickness: in pixels, half of it outside of the box.
        text_thickness: accepted for Keras compatibility: the letters have one.
        font_scale: whole times the size of letters, which are 7 pixels high; below 2 is 1.
        data_format: "channels_last" or "channels_first"; None is the configured one.

    Returns:
        uint8, `[n, h, w, c]`.

    Example:
        >>> boxes = {"boxes": np.array([[[1, 1, 4, 3]]]), "labels": np.array([[0]])}
        >>> y = draw_bounding_boxes(np.zeros((1, 5, 6, 1)), boxes, "xyxy", color=(9,), line_thickness=1)
        >>> y[0, :, :, 0].tolist()[1:4]
        [[0, 9, 9, 9, 9, 0], [0, 9, 0, 0, 9, 0], [0, 9, 9, 9, 9, 0]]
    """
    pixels = _bytes(channels_last(images, data_format, "draw_bounding_boxes"))
    if not isinstance(bounding_boxes, Mapping) or not {"boxes", "labels"} <= bounding_boxes.keys():
        raise ValueError("draw_bounding_boxes: expected bounding_boxes as a dict with 'boxes' and 'labels'")
    if len(tuple(color)) < pixels.shape[3]:
        raise ValueError(f"draw_bounding_boxes: expected a color of {pixels.shape[3]} numbers, got {color!r}")
    height, width = pixels.shape[1:3]
    converted = convert_format(bounding_boxes["boxes"], bounding_box_format, "xyxy", height, width)
    corners = np.asarray(ops.convert_to_numpy(converted)).astype(np.int32)
    labels = np.asarray(ops.convert_to_numpy(bounding_boxes["labels"])).astype(np.int32)
    sure = bounding_boxes.get("confidences")
    sure = None if sure is None else np.asarray(ops.convert_to_numpy(sure))
    ink = np.asarray(tuple(color)[: pixels.shape[3]], np.uint8)
    for n, k in np.ndindex(*labels.shape[:2]):
        label = int(labels[n, k].reshape(-1)[0])
        if label == -1:
            continue
        x1, y1, x2, y2 = (int(v) for v in corners[n, k])
        _outline(pixels[n], x1, y1, x2, y2, ink, max(1, int(line_thickness)))
        if class_mapping and label in class_mapping:
            name = class_mapping[label] if sure is None else f"{class_mapping[label]} | {sure[n, k]:.2f}"
            _name(pixels[n], x1, y1, name, ink, max(1, int(font_scale)))
    return pixels


def _outline(image: NDArray[np.uint8], x1: int, y1: int, x2: int, y2: int, ink: Any, thickness: int) -> None:
    before, after = thickness // 2, (thickness + 1) // 2
    rows, columns = slice(max(y1 - before, 0), max(y2 + after, 0)), slice(max(x1 - before, 0), max(x2 + after, 0))
    for y in (y1, y2):
        image[max(y - before, 0) : max(y + after, 0), columns] = ink
    for x in (x1, x2):
        image[rows, max(x - before, 0) : max(x + after, 0)] = ink


def _name(image: NDArray[np.uint8], x: int, y: int, name: str, ink: Any, scale: int) -> None:
    """The name above the corner, or below it where there is no room."""
    tall = _LETTER_HEIGHT * scale
    top = y - tall - 2 if y - tall - 2 >= 0 else y + 3
    line: NDArray[np.uint8] = np.zeros((_LETTER_HEIGHT, 6 * len(name) + 6, 1), np.uint8)
    write(line, 0, 0, name, np.array([1], np.uint8))
    marks = np.kron(line[..., 0], np.ones((scale, scale), np.uint8)).astype(bool)
    left, first = max(x, 0), max(top, 0)
    part = image[first : first + marks.shape[0], left : left + marks.shape[1]]
    part[marks[: part.shape[0], : part.shape[1]]] = ink


def draw_segmentation_masks(
    images: Any,
    segmentation_masks: Any,
    num_classes: int | None = None,
    color_mapping: Mapping[int, Color] | None = None,
    alpha: float = 0.8,
    blend: bool = True,
    ignore_index: int = -1,
    data_format: str | None = None,
) -> NDArray[Any]:
    """Images with the classes of their pixels in colours.

    Args:
        images: a batch, from 0 to 255.
        segmentation_masks: whole numbers, `[n, h, w, 1]`, or with channels first `[n, 1, h, w]`.
        num_classes: classes from this number on are not coloured; None takes the largest class, as Keras does.
        color_mapping: the colours of the classes; None makes some.
        alpha: share of the colours.
        blend: whether images show through; otherwise the result is float32 and only the colours are put in.
        ignore_index: the class of pixels that are left alone.
        data_format: "channels_last" or "channels_first"; None is the configured one.
    """
    pixels = channels_last(images, data_format, "draw_segmentation_masks").astype(np.float32)
    masks = channels_last(segmentation_masks, data_format, "draw_segmentation_masks")
    if masks.dtype.kind not in "iu":
        raise TypeError(f"draw_segmentation_masks: expected masks of whole numbers, got {masks.dtype}")
    if masks.shape != (*pixels.shape[:3], 1):
        raise ValueError(f"draw_segmentation_masks: expected masks {(*pixels.shape[:3], 1)}, got {masks.shape}")
    masks = masks[..., 0].astype(np.int64)
    count = int(masks.max()) if num_classes is None else num_classes
    drawn = pixels.copy()
    for index in range(count):
        color = _palette(index) if color_mapping is None else color_mapping[index]
        drawn[masks == index] = np.asarray(color, np.float32)
    if not blend:
        return drawn
    mixed = np.where((masks != ignore_index)[..., None], pixels * (1 - alpha) + drawn * alpha, pixels)
    return mixed.astype(np.uint8)


def _palette(index: int) -> tuple[int, ...]:
    """Colours that are far from one another, and black for 0: those that Keras makes."""
    return tuple(index * factor % 255 for factor in (2**25 - 1, 2**15 - 1, 2**21 - 1))
