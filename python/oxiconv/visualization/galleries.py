"""Sheets of images. They are arrays, written as PNG files; matplotlib is used to show them, if it is installed."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from oxiconv import ops
from oxiconv.contact_sheet import write
from oxiconv.images import write_image
from oxiconv.visualization.drawing import Color, channels_last, draw_bounding_boxes, draw_segmentation_masks

_GAP = 2
_LINE = 11
_INK = np.array([30, 30, 30], np.uint8)


def plot_image_gallery(
    images: Any,
    y_true: Any = None,
    y_pred: Any = None,
    label_map: Mapping[Any, str] | None = None,
    rows: int | None = None,
    cols: int | None = None,
    value_range: Sequence[float] = (0, 255),
    scale: float = 2,
    path: str | Path | None = None,
    show: bool | None = None,
    transparent: bool = True,
    dpi: int = 60,
    legend_handles: Sequence[tuple[str, Color]] | None = None,
    data_format: str | None = None,
) -> NDArray[np.uint8]:
    """Images in rows and columns.

    Args:
        images: a batch.
        y_true: labels written above the images, with `label_map`.
        y_pred: predicted labels, likewise.
        label_map: names of labels.
        rows: how many; None makes about as many as columns.
        cols: how many.
        value_range: the smallest and the largest value of images.
        scale: size of an image in inches of `dpi` pixels; images are enlarged by whole factors up to it.
        path: a PNG file to write.
        show: whether to open a window, which needs matplotlib; None does so if it is installed and there is no path.
        transparent: accepted for Keras compatibility: the sheet is white.
        dpi: pixels of an inch.
        legend_handles: names and colours written below.
        data_format: "channels_last" or "channels_first"; None is the configured one.

    Returns:
        The sheet, uint8 `[height, width, 3]`. Keras returns None.

    Raises:
        ImportError: `show` is True and matplotlib is not installed.

    Example:
        >>> plot_image_gallery(np.zeros((4, 8, 8, 3)), show=False, scale=1, dpi=16).shape
        (38, 38, 3)
    """
    if path is not None and show:
        raise ValueError("plot_image_gallery: expected path or show, got both")
    if (y_true is not None or y_pred is not None) and label_map is None:
        raise ValueError("plot_image_gallery: expected label_map with y_true or y_pred, got none")
    pixels = channels_last(images, data_format, "plot_image_gallery")
    count = len(pixels)
    if not count:
        raise ValueError("plot_image_gallery: expected at least one image, got none")
    rows = rows or math.ceil(math.sqrt(count))
    cols = cols or math.ceil(count / rows)
    low, high = (float(v) for v in value_range)
    levels = ((pixels.astype(np.float32) - low) / (high - low) * 255).clip(0, 255).astype(np.uint8)
    if levels.shape[3] not in (1, 3):
        raise ValueError(f"plot_image_gallery: expected 1 or 3 channels, got {levels.shape[3]}")
    colored = np.broadcast_to(levels, (*levels.shape[:3], 3))
    times = max(1, int(scale * dpi) // max(levels.shape[1:3]))
    large = colored.repeat(times, 1).repeat(times, 2)
    titles = [_title(n, y_true, y_pred, label_map or {}) for n in range(count)]
    sheet = _sheet(large, titles, rows, cols, legend_handles or ())
    if path is not None:
        write_image(path, sheet)
    elif show is not False:
        _show(sheet, asked=bool(show))
    return sheet


def _title(index: int, y_true: Any, y_pred: Any, names: Mapping[Any, str]) -> str:
    parts = []
    for word, labels in (("Label", y_true), ("Pred", y_pred)):
        if labels is not None and index < len(labels):
            label = np.asarray(ops.convert_to_numpy(labels))[index].item()
            parts.append(f"{word}: {names.get(label, 'Unknown')}")
    return "  ".join(parts)


def _sheet(
    tiles: NDArray[np.uint8], titles: Sequence[str], rows: int, cols: int, legend: Sequence[tuple[str, Color]]
) -> NDArray[np.uint8]:
    _, height, width, _ = tiles.shape
    line = _LINE if any(titles) else 0
    tall, wide = height + line + _GAP, width + _GAP
    foot = _LINE * len(legend)
    sheet: NDArray[np.uint8] = np.full((rows * tall + _GAP + foot, cols * wide + _GAP, 3), 255, np.uint8)
    for index, tile in enumerate(tiles[: rows * cols]):
        top, left = (index // cols) * tall + _GAP, (index % cols) * wide + _GAP
        if titles[index]:
            write(sheet[:, : left + width], top + 1, left, titles[index], _INK)
        sheet[top + line : top + line + height, left : left + width] = tile
    for place, (name, color) in enumerate(legend):
        top = rows * tall + _GAP + place * _LINE
        sheet[top : top + 7, _GAP : _GAP + 7] = np.asarray(color, np.uint8)
        write(sheet, top, _GAP + 10, name, _INK)
    return sheet


def _show(sheet: NDArray[np.uint8], asked: bool) -> None:
    try:
        import matplotlib.pyplot as plt
    except ImportError:
        if asked:
            raise ImportError("plot_image_gallery: show=True needs matplotlib; give a path instead") from None
        return
    plt.imshow(sheet)
    plt.axis("off")
    plt.show()
    plt.close()


def plot_bounding_box_gallery(
    images: Any,
    bounding_box_format: str,
    y_true: Mapping[str, Any] | None = None,
    y_pred: Mapping[str, Any] | None = None,
    value_range: Sequence[float] = (0, 255),
    true_color: Color = (0, 188, 212),
    pred_color: Color = (255, 235, 59),
    line_thickness: int = 2,
    font_scale: float = 1.0,
    text_thickness: int | None = None,
    class_mapping: Mapping[int, str] | None = None,
    ground_truth_mapping: Mapping[int, str] | None = None,
    prediction_mapping: Mapping[int, str] | None = None,
    legend: bool = False,
    legend_handles: Sequence[tuple[str, Color]] | None = None,
    rows: int | None = None,
    cols: int | None = None,
    data_format: str | None = None,
    **kwargs: Any,
) -> NDArray[np.uint8]:
    """Images in rows and columns, with true and predicted boxes.

    Args:
        images: a batch.
        bounding_box_format: see `utils.bounding_boxes.convert_format`.
        y_true: boxes as `draw_bounding_boxes` takes them.
        y_pred: predicted boxes.
        value_range: the smallest and the largest value of images.
        true_color: of the true boxes.
        pred_color: of the predicted boxes.
        line_thickness: in pixels.
        font_scale: see `draw_bounding_boxes`.
        text_thickness: see `draw_bounding_boxes`.
        class_mapping: names of labels.
        ground_truth_mapping: names of true labels, if others.
        prediction_mapping: names of predicted labels, if others.
        legend: whether the colours are explained below.
        legend_handles: other explanations.
        rows: see `plot_image_gallery`.
        cols: see `plot_image_gallery`.
        data_format: "channels_last" or "channels_first"; None is the configured one.
        **kwargs: those of `plot_image_gallery`.

    Returns:
        The sheet, uint8 `[height, width, 3]`. Keras returns None.
    """
    if legend and legend_handles:
        raise ValueError("plot_bounding_box_gallery: expected legend or legend_handles, got both")
    pixels = channels_last(images, data_format, "plot_bounding_box_gallery").astype(np.float32)
    low, high = (float(v) for v in value_range)
    drawn: NDArray[Any] = ((pixels - low) / (high - low) * 255).clip(0, 255).astype(np.uint8)
    drawn = np.array(np.broadcast_to(drawn, (*drawn.shape[:3], 3)))
    for boxes, color, names in (
        (y_true, true_color, ground_truth_mapping or class_mapping),
        (y_pred, pred_color, prediction_mapping or class_mapping),
    ):
        if boxes is not None:
            drawn = draw_bounding_boxes(
                drawn,
                boxes,
                bounding_box_format,
                names,
                color,
                line_thickness,
                text_thickness or line_thickness,
                font_scale,
                "channels_last",
            )
    if legend:
        legend_handles = [("Ground Truth", true_color), ("Prediction", pred_color)]
    return plot_image_gallery(
        drawn, rows=rows, cols=cols, legend_handles=legend_handles, data_format="channels_last", **kwargs
    )


def plot_segmentation_mask_gallery(
    images: Any,
    num_classes: int,
    value_range: Sequence[float] = (0, 255),
    y_true: Any = None,
    y_pred: Any = None,
    color_mapping: Mapping[int, Color] | None = None,
    blend: bool = True,
    alpha: float = 0.8,
    ignore_index: int = -1,
    data_format: str | None = None,
    **kwargs: Any,
) -> NDArray[np.uint8]:
    """Rows of an image, its true mask and its predicted mask.

    Args:
        images: a batch.
        num_classes: see `draw_segmentation_masks`.
        value_range: the smallest and the largest value of images.
        y_true: masks.
        y_pred: predicted masks.
        color_mapping: see `draw_segmentation_masks`.
        blend: whether images show through.
        alpha: share of the colours.
        ignore_index: see `draw_segmentation_masks`.
        data_format: "channels_last" or "channels_first"; None is the configured one.
        **kwargs: those of `plot_image_gallery`.

    Returns:
        The sheet, uint8 `[height, width, 3]`. Keras returns None.
    """
    name = "plot_segmentation_mask_gallery"
    pixels = channels_last(images, data_format, name)
    columns = [pixels]
    for masks in (y_true, y_pred):
        if masks is not None:
            whole = channels_last(masks, data_format, name).astype(np.int32)
            columns.append(
                draw_segmentation_masks(
                    pixels, whole, num_classes, color_mapping, alpha, blend, ignore_index, "channels_last"
                )
            )
    tiles = np.stack(columns, axis=1).reshape(-1, *pixels.shape[1:])
    return plot_image_gallery(
        tiles, value_range=value_range, rows=len(pixels), cols=len(columns), data_format="channels_last", **kwargs
    )
