"""Pictures of boxes, masks and galleries."""

from __future__ import annotations

import builtins
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from oxiconv import visualization

X = np.random.default_rng(3).integers(0, 200, (2, 30, 40, 3)).astype(np.uint8)
BOXES = {"boxes": np.array([[[5.0, 12.0, 30.0, 25.0]], [[0.0, 0.0, 39.0, 29.0]]]), "labels": np.array([[1], [-1]])}


def test_boxes_are_outlined() -> None:
    color = (255, 254, 253)
    drawn = visualization.draw_bounding_boxes(X, BOXES, "xyxy", color=color, line_thickness=1)
    wanted = X.copy()
    for rows, columns in (
        (12, np.s_[5:31]),
        (25, np.s_[5:31]),
        (np.s_[12:26], 5),
        (np.s_[12:26], 30),
    ):
        wanted[0, rows, columns] = color
    np.testing.assert_array_equal(drawn, wanted)  # the label -1 is not drawn, and the images are not changed
    assert not np.array_equal(X, drawn)
    thick = visualization.draw_bounding_boxes(X, BOXES, "xyxy", color=color, line_thickness=3)
    assert (thick[0, 11:14, 4:32] == color).all()
    assert (thick[0, 14:24, 7:29] == X[0, 14:24, 7:29]).all()


def test_formats_scales_and_names() -> None:
    relative = {**BOXES, "boxes": BOXES["boxes"] / np.array([40, 30, 40, 30])}
    # A hair beyond, so that what is cut to whole pixels is the same.
    relative["boxes"] += 1e-6
    plain = visualization.draw_bounding_boxes(X, BOXES, "xyxy")
    np.testing.assert_array_equal(visualization.draw_bounding_boxes(X, relative, "rel_xyxy"), plain)
    first = visualization.draw_bounding_boxes(X.transpose(0, 3, 1, 2), BOXES, "xyxy", data_format="channels_first")
    np.testing.assert_array_equal(first, plain)
    shares = visualization.draw_bounding_boxes((X / 255).astype(np.float32), BOXES, "xyxy")
    assert np.abs(shares.astype(int) - plain).max() <= 1
    sure = {**BOXES, "confidences": np.array([[0.5], [0.5]])}
    named = [
        visualization.draw_bounding_boxes(X, boxes, "xyxy", {1: "CAT"}, color=(255, 255, 255))
        for boxes in (BOXES, sure)
    ]
    inks = [(n[0] == 255).all(-1).sum() for n in (plain, *named)]
    assert inks[0] < inks[1] < inks[2]


def test_masks_are_blended() -> None:
    masks = np.zeros((2, 30, 40, 1), np.int32)
    masks[:, :10] = 1
    masks[:, 10:20] = -1
    mapping = {0: (10, 20, 30), 1: (100, 0, 250)}
    drawn = visualization.draw_segmentation_masks(X, masks, 2, mapping, alpha=0.5)
    for rows, color in ((np.s_[:10], mapping[1]), (np.s_[20:], mapping[0])):
        wanted = (X[:, rows] * 0.5 + np.array(color) * 0.5).astype(np.uint8)
        np.testing.assert_array_equal(drawn[:, rows], wanted)
    np.testing.assert_array_equal(drawn[:, 10:20], X[:, 10:20])
    with pytest.raises(TypeError, match="whole numbers"):
        visualization.draw_segmentation_masks(X, masks * 1.0)
    with pytest.raises(ValueError, match="expected masks"):
        visualization.draw_segmentation_masks(X, masks[:, 1:])


def read_png(path: Path) -> Any:
    data = path.read_bytes()
    width, height = struct.unpack(">2I", data[16:24])
    length = struct.unpack(">I", data[33:37])[0]
    rows = np.frombuffer(zlib.decompress(data[41 : 41 + length]), np.uint8).reshape(height, -1)
    assert (rows[:, 0] == 0).all()
    return rows[:, 1:].reshape(height, width, 3)


def test_gallery_has_its_images_and_is_written(tmp_path: Path) -> None:
    path = tmp_path / "gallery.png"
    sheet = visualization.plot_image_gallery(X, rows=1, cols=2, scale=1, dpi=40, path=path)
    np.testing.assert_array_equal(read_png(path), sheet)
    np.testing.assert_array_equal(sheet[2:32, 2:42], X[0])
    np.testing.assert_array_equal(sheet[2:32, 44:84], X[1])
    enlarged = visualization.plot_image_gallery(
        X / 255, rows=1, cols=2, scale=2, dpi=40, value_range=(0, 1), show=False
    )
    assert np.abs(enlarged[2:62:2, 2:82:2].astype(int) - X[0]).max() <= 1
    titled = visualization.plot_image_gallery(
        X, [0, 1], [1, 1], {0: "no", 1: "yes"}, rows=1, cols=2, scale=1, dpi=40, show=False
    )
    assert titled.shape[0] == sheet.shape[0] + 11
    assert (titled[3:10, 2:42] < 100).any()
    with pytest.raises(ValueError, match="label_map"):
        visualization.plot_image_gallery(X, [0, 1], show=False)
    with pytest.raises(ValueError, match="path or show"):
        visualization.plot_image_gallery(X, path=path, show=True)


def test_galleries_of_boxes_and_masks() -> None:
    both = visualization.plot_bounding_box_gallery(
        X, "xyxy", BOXES, BOXES, class_mapping={1: "cat"}, legend=True, rows=1, scale=1, dpi=40, show=False
    )
    assert both.shape == (30 + 2 * 2 + 2 * 11, 2 * 42 + 2, 3)
    assert (both == (255, 235, 59)).all(-1).any()
    masks = np.ones((2, 30, 40, 1), np.int32)
    sheet = visualization.plot_segmentation_mask_gallery(X, 2, y_true=masks, y_pred=masks, scale=1, dpi=40, show=False)
    assert sheet.shape == (2 * 32 + 2, 3 * 42 + 2, 3)
    np.testing.assert_array_equal(sheet[34:64, 44:84], visualization.draw_segmentation_masks(X, masks, 2)[1])


def test_showing_needs_matplotlib(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, *args: Any, **kwargs: Any) -> Any:
        if name.startswith("matplotlib"):
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    assert visualization.plot_image_gallery(X).dtype == np.uint8
    with pytest.raises(ImportError, match="needs matplotlib"):
        visualization.plot_image_gallery(X, show=True)
