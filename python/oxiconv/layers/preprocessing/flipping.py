"""A layer that mirrors images."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from oxiconv import ops
from oxiconv.bounding_boxes import plane
from oxiconv.bounding_boxes.formats import columns, joined
from oxiconv.layers.preprocessing.image_layer import BaseImagePreprocessingLayer
from oxiconv.ops.image.warping import (
    reordered,
)
from oxiconv.tensor import Tensor, TensorLike

_MODES = ("horizontal", "vertical", "horizontal_and_vertical")


class RandomFlip(BaseImagePreprocessingLayer):
    """In training, mirrors half of the images.

    Args:
        mode: "horizontal", "vertical", or "horizontal_and_vertical", which mirrors an image in both ways or not at all.
        seed: integer; None derives one from the global seed.
        data_format: "channels_last" or "channels_first"; None is the configured one.
        **kwargs: those of `BaseImagePreprocessingLayer`.

    Example:
        >>> layer = RandomFlip("horizontal", seed=1)
        >>> sorted({tuple(layer([[[1.0], [2.0]]]).numpy().ravel().tolist()) for _ in range(9)})
        [(1.0, 2.0), (2.0, 1.0)]
    """

    config_fields: ClassVar[tuple[str, ...]] = ("seed", "mode")

    def __init__(
        self,
        mode: str = "horizontal_and_vertical",
        seed: int | None = None,
        data_format: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(data_format=data_format, seed=seed, **kwargs)
        if mode not in _MODES:
            raise ValueError(f"{self._label}: expected mode {', '.join(_MODES)}, got {mode!r}")
        self.mode = mode

    def get_random_transformation(self, data: Any, training: bool = True, seed: Any = None) -> Any:
        """Which images are mirrored."""
        if not training:
            return None
        shape = ops.shape(self._images(data))
        draws = (1, 1, 1) if self._is_single(self._images(data)) else (shape[0], 1, 1, 1)
        return {"flips": self._uniform(draws, 0.0, 1.0, seed) <= 0.5, "input_shape": shape}

    def transform_images(self, images: TensorLike, transformation: Any, training: bool = True) -> Tensor:
        """The images, mirrored or not."""
        images = ops.cast(images, self.compute_dtype)
        if not training or transformation is None:
            return images
        flips = ops.reshape(transformation["flips"], (-1, 1))
        for axis, word in zip(self._axes(), ("vertical", "horizontal"), strict=True):
            if word in self.mode:
                line = np.arange(images.shape[axis], dtype=np.int32)
                images = reordered(images, ops.where(flips, line[None, ::-1], line[None]), axis)
        return images

    def transform_segmentation_masks(self, segmentation_masks: Any, transformation: Any, training: bool = True) -> Any:
        """The masks, mirrored as their images."""
        return self.transform_images(segmentation_masks, transformation, training)

    def transform_bounding_boxes(self, bounding_boxes: Any, transformation: Any, training: bool = True) -> Any:
        """The boxes, mirrored as their images."""
        if not training or transformation is None:
            return bounding_boxes
        height, width = self._size(transformation["input_shape"])
        boxes = self._to_corners(bounding_boxes, height, width, "rel_xyxy")
        flips = ops.reshape(transformation["flips"], (-1, 1, 1))
        x1, y1, x2, y2 = columns(boxes["boxes"])
        if "horizontal" in self.mode:
            x1, x2 = ops.where(flips, 1.0 - x2, x1), ops.where(flips, 1.0 - x1, x2)
        if "vertical" in self.mode:
            y1, y2 = ops.where(flips, 1.0 - y2, y1), ops.where(flips, 1.0 - y1, y2)
        boxes = plane.clip_to_image_size({**boxes, "boxes": joined(x1, y1, x2, y2)}, height, width, "xyxy")
        return self._from_corners(boxes, height, width, "rel_xyxy")
