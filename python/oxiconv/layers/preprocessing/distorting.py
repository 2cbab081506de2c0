"""Layers that distort images: perspectives, and smooth random distances."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from oxiconv import ops
from oxiconv.bounding_boxes import plane
from oxiconv.bounding_boxes.formats import columns
from oxiconv.layers.preprocessing.image_layer import Factor, factor_range
from oxiconv.layers.preprocessing.warping import WarpLayer
from oxiconv.ops.image.warping import (
    displaced,
    elastic_moves,
    homography,
    projected_points,
)
from oxiconv.tensor import Tensor


class RandomPerspective(WarpLayer):
    """In training, moves the corners of images.

    Args:
        factor: probability of it, or two between which it is drawn.
        scale: how far corners move, as a share of their distance from the first corner, from 0 to 1.
        interpolation: "bilinear" or "nearest".
        fill_value: what is beyond an image.
        seed: integer; None derives one from the global seed.
        data_format: "channels_last" or "channels_first"; None is the configured one.
        **kwargs: those of `BaseImagePreprocessingLayer`.
    """

    factor_bounds = (0.0, 1.0)
    config_fields: ClassVar[tuple[str, ...]] = ("factor", "scale")

    def __init__(
        self,
        factor: Factor = 1.0,
        scale: float = 1.0,
        interpolation: str = "bilinear",
        fill_value: float = 0.0,
        seed: int | None = None,
        data_format: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__("constant", interpolation, seed, fill_value, data_format, factor=factor, **kwargs)
        if not 0.0 <= scale <= 1.0:
            raise ValueError(f"{self._label}: expected scale from 0 to 1, got {scale!r}")
        self.scale = scale

    def get_random_transformation(self, data: Any, training: bool = True, seed: Any = None) -> Any:
        """Which images are seen anew, and where their corners go."""
        if not training:
            return None
        shape, count = ops.shape(self._images(data)), self._count(data)
        height, width = self._size(shape)
        chosen = self._chosen(count, self.factor, seed)
        moves = self._uniform((count, 4, 2), -0.5 * self.scale, 0.5 * self.scale, seed)
        corners = np.array([[0, 0], [width - 1, 0], [0, height - 1], [width - 1, height - 1]], np.float32)
        start = ops.broadcast_to(corners, (count, 4, 2))
        return {
            "apply_perspective": chosen,
            "start_points": start,
            "end_points": start + start * moves,
            "input_shape": shape,
        }

    def _warped(self, images: Tensor, transformation: Any, interpolation: str) -> Tensor:
        seen = ops.image.perspective_transform(
            images,
            transformation["start_points"],
            transformation["end_points"],
            interpolation,
            self.fill_value,
            self.data_format,
        )
        return ops.where(ops.reshape(transformation["apply_perspective"], (-1, 1, 1, 1)), seen, images)

    def transform_bounding_boxes(self, bounding_boxes: Any, transformation: Any, training: bool = True) -> Any:
        """The boxes around the boxes as they are seen."""
        if not training or transformation is None:
            return bounding_boxes
        height, width = self._size(transformation["input_shape"])
        boxes = self._to_corners(bounding_boxes, height, width)
        x1, y1, x2, y2 = columns(boxes["boxes"])
        # Where a place goes: the map of the start points to the end points.
        points = (ops.convert_to_tensor(transformation[key]) for key in ("end_points", "start_points"))
        numbers = homography(*points)
        seen = plane.around([projected_points(numbers, x, y) for x, y in ((x1, y1), (x2, y2), (x1, y2), (x2, y1))])
        chosen = ops.reshape(transformation["apply_perspective"], (-1, 1, 1))
        boxes = {**boxes, "boxes": ops.where(chosen, seen, boxes["boxes"])}
        return self._from_corners(plane.clip_to_image_size(boxes, height, width), height, width)

    def get_config(self) -> dict[str, Any]:
        """The arguments that make an equal layer."""
        config = super().get_config()
        del config["fill_mode"]
        return config


class RandomElasticTransform(WarpLayer):
    """In training, moves pixels by smooth random distances.

    Args:
        factor: probability of it, or two between which it is drawn.
        scale: strength, from 0 to 1, or two between which it is drawn.
        interpolation: "bilinear" or "nearest".
        fill_mode: what is beyond an image: "reflect" (cba|abc|cba), "wrap", "constant" or "nearest".
        fill_value: for fill_mode "constant".
        value_range: the smallest and the largest value of images.
        seed: integer; None derives one from the global seed.
        data_format: "channels_last" or "channels_first"; None is the configured one.
        **kwargs: those of `BaseImagePreprocessingLayer`.
    """

    factor_bounds = (0.0, 1.0)
    config_fields: ClassVar[tuple[str, ...]] = ("factor", "scale", "value_range")

    def __init__(
        self,
        factor: Factor = 1.0,
        scale: Factor = 1.0,
        interpolation: str = "bilinear",
        fill_mode: str = "reflect",
        fill_value: float = 0.0,
        value_range: Sequence[float] = (0, 255),
        seed: int | None = None,
        data_format: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(fill_mode, interpolation, seed, fill_value, data_format, factor=factor, **kwargs)
        self.scale = factor_range(scale, (0.0, 1.0), self._label, "scale")
        self.value_range = value_range

    def get_random_transformation(self, data: Any, training: bool = True, seed: Any = None) -> Any:
        """Which images are moved, and where their pixels come from."""
        if not training or self.scale[1] == 0 or self.factor[1] == 0:
            return None
        height, width = self._size(ops.shape(self._images(data)))
        count = self._count(data)
        chosen = self._chosen(count, self.factor, seed)
        strength = self._uniform((), *self.scale, seed)
        # The window is wide enough for the largest strength; with strength 0, nothing moves.
        alpha, sigma = max(height, width) * 0.1, min(height, width) * 0.05
        moves = elastic_moves(
            count,
            height,
            width,
            strength * alpha,
            strength * sigma + 1e-6,
            6 * int(sigma * self.scale[1]) | 1,
            self.generator if seed is None else seed,
        )
        return {"apply_transform": chosen, "distortion_factor": strength, "moves": moves}

    def _warped(self, images: Tensor, transformation: Any, interpolation: str) -> Tensor:
        moved = displaced(
            images, transformation["moves"], interpolation, self.fill_mode, float(self.fill_value), self.data_format
        )
        chosen = ops.reshape(transformation["apply_transform"], (-1, 1, 1, 1))
        return ops.clip(ops.where(chosen, moved, images), *self.value_range)
