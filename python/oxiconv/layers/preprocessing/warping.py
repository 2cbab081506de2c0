"""Layers that move the pixels of images by affine maps: rotations, zooms, translations, shears."""

from __future__ import annotations

import math
from typing import Any, ClassVar

import numpy as np

from oxiconv import ops
from oxiconv.bounding_boxes import plane
from oxiconv.bounding_boxes.formats import columns, joined
from oxiconv.layers.preprocessing.image_layer import BaseImagePreprocessingLayer, Factor, factor_range
from oxiconv.ops.image.sampling import FILL_MODES
from oxiconv.ops.image.warping import (
    stretched,
)
from oxiconv.tensor import Tensor, TensorLike


class WarpLayer(BaseImagePreprocessingLayer):
    """What layers that look at images through a map of the plane have in common."""

    config_fields: ClassVar[tuple[str, ...]] = ("fill_mode", "interpolation", "seed", "fill_value")

    def __init__(
        self,
        fill_mode: str,
        interpolation: str,
        seed: int | None,
        fill_value: float,
        data_format: str | None,
        factor: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(factor=factor, data_format=data_format, seed=seed, **kwargs)
        if fill_mode not in FILL_MODES:
            raise NotImplementedError(f"{self._label}: expected fill_mode {', '.join(FILL_MODES)}, got {fill_mode!r}")
        if interpolation not in ("nearest", "bilinear"):
            raise NotImplementedError(
                f"{self._label}: expected interpolation 'nearest' or 'bilinear', got {interpolation!r}"
            )
        self.fill_mode = fill_mode
        self.interpolation = interpolation
        self.fill_value = fill_value

    def _warped(self, images: Tensor, transformation: Any, interpolation: str) -> Tensor:
        raise NotImplementedError(f"{self._label}: expected a class that defines _warped")

    def transform_images(self, images: TensorLike, transformation: Any, training: bool = True) -> Tensor:
        """The images, warped."""
        images = ops.cast(images, self.compute_dtype)
        if not training or transformation is None:
            return images
        return self._warped(images, transformation, self.interpolation)

    def transform_segmentation_masks(self, segmentation_masks: Any, transformation: Any, training: bool = True) -> Any:
        """The masks, warped as their images, without values between theirs."""
        if not training or transformation is None:
            return segmentation_masks
        return self._warped(segmentation_masks, transformation, "nearest")

    def _affine(self, images: Tensor, matrix: Tensor, interpolation: str) -> Tensor:
        return ops.image.affine_transform(
            images, matrix, interpolation, self.fill_mode, self.fill_value, self.data_format
        )

    def _stretched(self, images: Tensor, scale: Any, offset: Any, interpolation: str) -> Tensor:
        return stretched(images, scale, offset, interpolation, self.fill_mode, float(self.fill_value), self.data_format)


class RandomRotation(WarpLayer):
    """In training, rotates images around their middle.

    Args:
        factor: the largest angle as a share of a full turn, in both directions, or two such numbers, from -1 to 1.
        fill_mode: what is beyond an image: "reflect" (cba|abc|cba), "wrap", "constant" or "nearest".
        interpolation: "bilinear" or "nearest".
        seed: integer; None derives one from the global seed.
        fill_value: for fill_mode "constant".
        data_format: "channels_last" or "channels_first"; None is the configured one.
        **kwargs: those of `BaseImagePreprocessingLayer`.
    """

    factor_bounds = (-1.0, 1.0)
    config_fields: ClassVar[tuple[str, ...]] = ("factor",)

    def __init__(
        self,
        factor: Factor,
        fill_mode: str = "reflect",
        interpolation: str = "bilinear",
        seed: int | None = None,
        fill_value: float = 0.0,
        data_format: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(fill_mode, interpolation, seed, fill_value, data_format, factor=factor, **kwargs)

    def get_random_transformation(self, data: Any, training: bool = True, seed: Any = None) -> Any:
        """The angles in degrees, and the maps they are."""
        if not training:
            return None
        images = self._images(data)
        height, width = self._size(ops.shape(images))
        count = self._count(data)
        angle = self._uniform((count,), self.factor[0] * 360.0, self.factor[1] * 360.0, seed)
        turn = angle * (math.pi / 180.0)
        cos, sin = ops.cos(turn), ops.sin(turn)
        across, down = 0.5 * (width - 1), 0.5 * (height - 1)
        zero = cos * 0.0
        rows = [cos, -sin, across - across * cos + down * sin, sin, cos, down - across * sin - down * cos, zero, zero]
        matrix = ops.stack(rows, axis=1)
        return {
            "angle": angle,
            "rotation_matrix": ops.squeeze(matrix, 0) if self._is_single(images) else matrix,
            "image_height": height,
            "image_width": width,
            "batch_size": count,
        }

    def _warped(self, images: Tensor, transformation: Any, interpolation: str) -> Tensor:
        # The last two of the 8 numbers are 0.
        return self._affine(images, ops.convert_to_tensor(transformation["rotation_matrix"])[..., :6], interpolation)

    def transform_bounding_boxes(self, bounding_boxes: Any, transformation: Any, training: bool = True) -> Any:
        """The boxes around the rotated boxes."""
        if not training or transformation is None:
            return bounding_boxes
        height, width = transformation["image_height"], transformation["image_width"]
        boxes = self._to_corners(bounding_boxes, height, width)
        angle = ops.convert_to_tensor(transformation["angle"])
        zero = angle * 0.0
        turned = plane.affine_transform(boxes["boxes"], angle, zero, zero, zero + 1.0, zero, zero, height, width)
        boxes = plane.clip_to_image_size({**boxes, "boxes": turned}, height, width)
        return self._from_corners(boxes, height, width)


class RandomTranslation(WarpLayer):
    """In training, moves images.

    Args:
        height_factor: the largest way as a share of the height, up and down, or two such numbers, from -1 to 1.
        width_factor: the same for the width.
        fill_mode: what is beyond an image: "reflect" (cba|abc|cba), "wrap", "constant" or "nearest".
        interpolation: "bilinear" or "nearest".
        seed: integer; None derives one from the global seed.
        fill_value: for fill_mode "constant".
        data_format: "channels_last" or "channels_first"; None is the configured one.
        **kwargs: those of `BaseImagePreprocessingLayer`.
    """

    config_fields: ClassVar[tuple[str, ...]] = ("height_factor", "width_factor")

    def __init__(
        self,
        height_factor: Factor,
        width_factor: Factor,
        fill_mode: str = "reflect",
        interpolation: str = "bilinear",
        seed: int | None = None,
        fill_value: float = 0.0,
        data_format: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(fill_mode, interpolation, seed, fill_value, data_format, **kwargs)
        self.height_factor = height_factor
        self.width_factor = width_factor
        self._ranges = [
            factor_range(f, (-1.0, 1.0), self._label, what)
            for f, what in ((height_factor, "height_factor"), (width_factor, "width_factor"))
        ]

    def get_random_transformation(self, data: Any, training: bool = True, seed: Any = None) -> Any:
        """How many pixels images move across and down."""
        if not training:
            return None
        shape, count = ops.shape(self._images(data)), self._count(data)
        down, across = (
            self._uniform((count, 1), *bounds, seed) * float(size)
            for bounds, size in zip(self._ranges, self._size(shape), strict=True)
        )
        return {"translations": ops.concatenate([across, down], axis=1), "input_shape": shape}

    def _warped(self, images: Tensor, transformation: Any, interpolation: str) -> Tensor:
        moves = ops.convert_to_tensor(transformation["translations"])
        return self._stretched(images, moves * 0.0 + 1.0, -moves, interpolation)

    def transform_bounding_boxes(self, bounding_boxes: Any, transformation: Any, training: bool = True) -> Any:
        """The boxes, moved with their images."""
        if not training or transformation is None:
            return bounding_boxes
        height, width = self._size(transformation["input_shape"])
        boxes = self._to_corners(bounding_boxes, height, width)
        moves = ops.reshape(transformation["translations"], (-1, 1, 2))
        moved = boxes["boxes"] + ops.concatenate([moves, moves], axis=-1)
        boxes = plane.clip_to_image_size({**boxes, "boxes": moved}, height, width)
        return self._from_corners(boxes, height, width)


class RandomZoom(WarpLayer):
    """In training, zooms images: out by a positive factor, in by a negative one.

    Args:
        height_factor: the largest change of the height that is seen, both ways, or two such numbers, above -1 to 1.
        width_factor: the same for the width; None keeps the aspect.
        fill_mode: what is beyond an image: "reflect" (cba|abc|cba), "wrap", "constant" or "nearest".
        interpolation: "bilinear" or "nearest".
        seed: integer; None derives one from the global seed.
        fill_value: for fill_mode "constant".
        data_format: "channels_last" or "channels_first"; None is the configured one.
        **kwargs: those of `BaseImagePreprocessingLayer`.
    """

    config_fields: ClassVar[tuple[str, ...]] = ("height_factor", "width_factor")

    def __init__(
        self,
        height_factor: Factor,
        width_factor: Factor | None = None,
        fill_mode: str = "reflect",
        interpolation: str = "bilinear",
        seed: int | None = None,
        fill_value: float = 0.0,
        data_format: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(fill_mode, interpolation, seed, fill_value, data_format, **kwargs)
        self.height_factor = height_factor
        self.width_factor = width_factor
        given = [(height_factor, "height_factor"), (width_factor, "width_factor")]
        self._ranges = [factor_range(f, (-1.0, 1.0), self._label, what) for f, what in given if f is not None]
        if any(low <= -1.0 for low, _ in self._ranges):
            raise ValueError(f"{self._label}: expected factors above -1, got {height_factor!r} and {width_factor!r}")

    def get_random_transformation(self, data: Any, training: bool = True, seed: Any = None) -> Any:
        """How much of the height and the width is seen."""
        if not training:
            return None
        count = self._count(data)
        zooms = [self._uniform((count, 1), 1.0 + low, 1.0 + high, seed) for low, high in self._ranges]
        return {
            "height_zoom": zooms[0],
            "width_zoom": zooms[-1],
            "input_shape": ops.shape(self._images(data)),
        }

    def _map(self, transformation: Any, height: int, width: int) -> tuple[Tensor, Tensor]:
        """Scale and offset, each across and down, of where a pixel comes from."""
        scale = ops.concatenate([transformation["width_zoom"], transformation["height_zoom"]], axis=1)
        middle = np.array([[(width - 1) / 2.0, (height - 1) / 2.0]], np.float32)
        return scale, ops.multiply(middle, 1.0 - scale)

    def _warped(self, images: Tensor, transformation: Any, interpolation: str) -> Tensor:
        scale, offset = self._map(transformation, *self._size(images.shape))
        return self._stretched(images, scale, offset, interpolation)

    def transform_bounding_boxes(self, bounding_boxes: Any, transformation: Any, training: bool = True) -> Any:
        """The boxes, zoomed with their images."""
        if not training or transformation is None:
            return bounding_boxes
        height, width = self._size(transformation["input_shape"])
        boxes = self._to_corners(bounding_boxes, height, width)
        scale, offset = (ops.expand_dims(v, 1) for v in self._map(transformation, height, width))
        size = np.array([[[width, height]]], np.float32)
        seen = ops.multiply(size, scale)
        corners = boxes["boxes"]
        # Within what is seen, as shares of it.
        ends = [(ops.clip(corners[..., i : i + 2], offset, offset + seen) - offset) / seen for i in (0, 2)]
        boxes = plane.clip_to_image_size({**boxes, "boxes": joined(*ends)}, bounding_box_format="rel_xyxy")
        return self._from_corners(boxes, height, width, "rel_xyxy")


class RandomShear(WarpLayer):
    """In training, shears images.

    Args:
        x_factor: the largest shift of a row in pixels per row below, both ways, or two such numbers, from -1 to 1.
        y_factor: the largest shift of a column in pixels per column, likewise.
        interpolation: "bilinear" or "nearest".
        fill_mode: what is beyond an image: "reflect" (cba|abc|cba), "wrap", "constant" or "nearest".
        fill_value: for fill_mode "constant".
        data_format: "channels_last" or "channels_first"; None is the configured one.
        seed: integer; None derives one from the global seed.
        **kwargs: those of `BaseImagePreprocessingLayer`.
    """

    config_fields: ClassVar[tuple[str, ...]] = ("x_factor", "y_factor")

    def __init__(
        self,
        x_factor: Factor = 0.0,
        y_factor: Factor = 0.0,
        interpolation: str = "bilinear",
        fill_mode: str = "reflect",
        fill_value: float = 0.0,
        data_format: str | None = None,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(fill_mode, interpolation, seed, fill_value, data_format, **kwargs)
        self.x_factor = factor_range(x_factor, (-1.0, 1.0), self._label, "x_factor")
        self.y_factor = factor_range(y_factor, (-1.0, 1.0), self._label, "y_factor")

    def get_random_transformation(self, data: Any, training: bool = True, seed: Any = None) -> Any:
        """The shears across and down."""
        if not training:
            return None
        count = self._count(data)
        sign = ops.where(self._uniform((count, 1), 0.0, 1.0, seed) > 0.5, -1.0, 1.0)
        down = self._uniform((count, 1), *self.y_factor, seed)
        across = self._uniform((count, 1), *self.x_factor, seed)
        return {
            "shear_factor": ops.concatenate([across, down], axis=1) * sign,
            "input_shape": ops.shape(self._images(data)),
        }

    def _warped(self, images: Tensor, transformation: Any, interpolation: str) -> Tensor:
        shears = ops.convert_to_tensor(transformation["shear_factor"])
        across, down = shears[:, 0], shears[:, 1]
        zero = across * 0.0
        matrix = ops.stack([zero + 1.0, across, zero, down, zero + 1.0, zero], axis=1)
        return self._affine(images, matrix, interpolation)

    def transform_bounding_boxes(self, bounding_boxes: Any, transformation: Any, training: bool = True) -> Any:
        """The boxes, sheared as Keras does it: one direction after the other, in shares of the image."""
        if not training or transformation is None:
            return bounding_boxes
        height, width = self._size(transformation["input_shape"])
        boxes = self._to_corners(bounding_boxes, height, width, "rel_xyxy")
        shears = ops.reshape(transformation["shear_factor"], (-1, 1, 2))
        across, down = shears[..., 0:1], shears[..., 1:2]
        x1, y1, x2, y2 = columns(boxes["boxes"])
        x1, x2 = (
            x1 - across * ops.where(across < 0.0, y1, y2),
            x2 - across * ops.where(across < 0.0, y2, y1),
        )
        y1, y2 = (
            y1 - down * ops.where(down > 0.0, x2, x1),
            y2 - down * ops.where(down > 0.0, x1, x2),
        )
        sheared = {**boxes, "boxes": joined(x1, y1, x2, y2)}
        clipped = plane.clip_to_image_size(sheared, height, width, "rel_xyxy")
        return self._from_corners(clipped, height, width, "rel_xyxy")
