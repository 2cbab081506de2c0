"""Layers that change the size of images: resizing and crops."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from oxiconv import ops
from oxiconv.bounding_boxes import plane
from oxiconv.layers.preprocessing.image_layer import BaseImagePreprocessingLayer
from oxiconv.ops.convolution import positive
from oxiconv.ops.image.resizing import aspect_margins
from oxiconv.ops.image.warping import reordered
from oxiconv.tensor import Tensor, TensorLike


class Resizing(BaseImagePreprocessingLayer):
    """Images of a given size, in training or not.

    Args:
        height: rows of the result.
        width: columns of the result.
        interpolation: "nearest", "bilinear", "bicubic", "lanczos3", "lanczos5" or "area".
        crop_to_aspect_ratio: whether the middle part of the wanted aspect is resized.
        pad_to_aspect_ratio: whether margins give images the wanted aspect before.
        fill_mode: "constant".
        fill_value: value of the margins.
        antialias: whether shrinking averages all pixels that it merges.
        data_format: "channels_last" or "channels_first"; None is the configured one.
        **kwargs: those of `BaseImagePreprocessingLayer`.
    """

    config_fields: ClassVar[tuple[str, ...]] = (
        "height",
        "width",
        "interpolation",
        "crop_to_aspect_ratio",
        "pad_to_aspect_ratio",
        "fill_mode",
        "fill_value",
        "antialias",
    )

    def __init__(
        self,
        height: int,
        width: int,
        interpolation: str = "bilinear",
        crop_to_aspect_ratio: bool = False,
        pad_to_aspect_ratio: bool = False,
        fill_mode: str = "constant",
        fill_value: float = 0.0,
        antialias: bool = False,
        data_format: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(data_format=data_format, **kwargs)
        self.height = positive(height, self._label, "height")
        self.width = positive(width, self._label, "width")
        self.interpolation = interpolation
        self.crop_to_aspect_ratio = crop_to_aspect_ratio
        self.pad_to_aspect_ratio = pad_to_aspect_ratio
        self.fill_mode = fill_mode
        self.fill_value = fill_value
        self.antialias = bool(antialias)

    def get_random_transformation(self, data: Any, training: bool = True, seed: Any = None) -> Any:
        """Height and width of the images."""
        return self._size(ops.shape(self._images(data)))

    def _resized(self, images: Any, interpolation: str) -> Tensor:
        return ops.image.resize(
            images,
            (self.height, self.width),
            interpolation,
            self.antialias,
            self.crop_to_aspect_ratio,
            self.pad_to_aspect_ratio,
            self.fill_mode,
            self.fill_value,
            self.data_format,
        )

    def transform_images(self, images: TensorLike, transformation: Any = None, training: bool = True) -> Tensor:
        """The images, resized; whole numbers stay whole."""
        return self._resized(images, self.interpolation)

    def transform_segmentation_masks(
        self, segmentation_masks: Any, transformation: Any = None, training: bool = True
    ) -> Any:
        """The masks, resized without values between theirs."""
        return self._resized(segmentation_masks, "nearest")

    def transform_bounding_boxes(self, bounding_boxes: Any, transformation: Any, training: bool = True) -> Any:
        """The boxes, resized with their images; those of zeros or of -1 only, which fill batches up, are zeros."""
        height, width = transformation
        given = bounding_boxes["boxes"]
        absent = ops.logical_or(
            ops.all(given == -1.0, axis=-1, keepdims=True), ops.all(given == 0.0, axis=-1, keepdims=True)
        )
        boxes = self._to_corners(bounding_boxes, height, width)
        scale, move = self._map(height, width)
        moved = boxes["boxes"] * np.array(scale * 2, np.float32) + np.array(move * 2, np.float32)
        boxes = plane.clip_to_image_size({**boxes, "boxes": moved}, self.height, self.width)
        boxes["boxes"] = ops.where(absent, 0.0, boxes["boxes"])
        return self._from_corners(boxes, self.height, self.width)

    def _map(self, height: int, width: int) -> tuple[tuple[float, float], tuple[float, float]]:
        """Factor and way of a place, across and down."""
        across, down = self.width / width, self.height / height
        if self.pad_to_aspect_ratio:
            factor = min(across, down)
            return (factor, factor), ((self.width - width * factor) // 2, (self.height - height * factor) // 2)
        if self.crop_to_aspect_ratio:
            factor = max(across, down)
            return (factor, factor), (-((width * factor - self.width) // 2), -((height * factor - self.height) // 2))
        return (across, down), (0.0, 0.0)


class _Crop(BaseImagePreprocessingLayer):
    """What crops have in common: a window of a given size, or where an image is too small, the middle resized."""

    config_fields: ClassVar[tuple[str, ...]] = ("height", "width")

    def __init__(self, height: int, width: int, data_format: str | None = None, **kwargs: Any) -> None:
        super().__init__(data_format=data_format, **kwargs)
        self.height = positive(height, self._label, "height")
        self.width = positive(width, self._label, "width")

    def _middle(self, images: Tensor) -> Tensor:
        """The middle part of the window's size, or of its aspect and resized, where an image is too small."""
        height, width = self._size(images.shape)
        if height >= self.height and width >= self.width:
            top, left = (height - self.height) // 2, (width - self.width) // 2
            return ops.image.crop_images(
                images,
                top,
                left,
                target_height=self.height,
                target_width=self.width,
                data_format=self.data_format,
            )
        size = (self.height, self.width)
        return ops.image.resize(images, size, crop_to_aspect_ratio=True, data_format=self.data_format)

    def _boxes_in_middle(self, boxes: dict[str, Any], height: int, width: int) -> Tensor:
        """Corners within `_middle`."""
        if height >= self.height and width >= self.width:
            top, left = (height - self.height) // 2, (width - self.width) // 2
            return plane.crop(boxes["boxes"], top, left, self.height, self.width)
        top, left, rows, places = aspect_margins(height, width, (self.height, self.width), crops=True)
        inside = plane.crop(boxes["boxes"], top, left, rows, places)
        return inside * np.array([self.width / places, self.height / rows] * 2, np.float32)


class CenterCrop(_Crop):
    """The middle part of images, in training or not; where it would be larger than an image, that is resized.

    Args:
        height: rows of the result.
        width: columns of the result.
        data_format: "channels_last" or "channels_first"; None is the configured one.
        **kwargs: those of `BaseImagePreprocessingLayer`.

    Example:
        >>> CenterCrop(1, 2)([[[1.0], [2.0], [3.0], [4.0]]]).numpy().ravel().tolist()
        [2.0, 3.0]
    """

    def get_random_transformation(self, data: Any, training: bool = True, seed: Any = None) -> Any:
        """The shape of the images."""
        return {"input_shape": ops.shape(self._images(data))}

    def transform_images(self, images: TensorLike, transformation: Any = None, training: bool = True) -> Tensor:
        """The middle of the images."""
        return self._middle(ops.cast(images, self.compute_dtype))

    def transform_segmentation_masks(self, segmentation_masks: Any, transformation: Any, training: bool = True) -> Any:
        """The middle of the masks."""
        return self.transform_images(segmentation_masks, transformation, training)

    def transform_bounding_boxes(self, bounding_boxes: Any, transformation: Any, training: bool = True) -> Any:
        """The boxes, within the middle."""
        height, width = self._size(transformation["input_shape"])
        boxes = self._to_corners(bounding_boxes, height, width)
        inside = {**boxes, "boxes": self._boxes_in_middle(boxes, height, width)}
        return self._from_corners(plane.clip_to_image_size(inside, self.height, self.width), self.height, self.width)


class RandomCrop(_Crop):
    """In training, a part of the images at a random place, the same for all of a batch; otherwise the middle.

    Where an image is smaller than the part, its middle of the same aspect is resized.

    Args:
        height: rows of the result.
        width: columns of the result.
        seed: integer; None derives one from the global seed.
        data_format: "channels_last" or "channels_first"; None is the configured one.
        name: see `Layer`.
        **kwargs: those of `BaseImagePreprocessingLayer`.
    """

    config_fields: ClassVar[tuple[str, ...]] = ("seed",)

    def __init__(
        self,
        height: int,
        width: int,
        seed: int | None = None,
        data_format: str | None = None,
        name: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(height, width, data_format, seed=seed, name=name, **kwargs)

    def get_random_transformation(self, data: Any, training: bool = True, seed: Any = None) -> Any:
        """The first row and column, or None and None for the middle; then height and width of the images."""
        height, width = self._size(ops.shape(self._images(data)))
        if not (training and height > self.height and width > self.width):
            return None, None, height, width
        rooms = height - self.height + 1, width - self.width + 1
        top, left = (
            ops.minimum(ops.cast(self._uniform((), 0.0, float(room), seed), "int32"), room - 1) for room in rooms
        )
        return top, left, height, width

    def transform_images(self, images: TensorLike, transformation: Any, training: bool = True) -> Tensor:
        """The part of the images."""
        images = ops.cast(images, self.compute_dtype)
        starts = tuple(transformation)[:2]
        if starts[0] is None:
            return self._middle(images)
        for axis, start, size in zip(self._axes(), starts, (self.height, self.width), strict=True):
            index = ops.add(np.arange(size, dtype=np.int32), start)
            images = reordered(images, ops.broadcast_to(index, (images.shape[0], size)), axis)
        return images

    def transform_segmentation_masks(self, segmentation_masks: Any, transformation: Any, training: bool = True) -> Any:
        """The same part of the masks."""
        return self.transform_images(segmentation_masks, transformation, training)

    def transform_bounding_boxes(self, bounding_boxes: Any, transformation: Any, training: bool = True) -> Any:
        """The boxes, within the part."""
        top, left, height, width = transformation
        boxes = self._to_corners(bounding_boxes, height, width)
        if top is None:
            inside = self._boxes_in_middle(boxes, height, width)
        else:
            inside = plane.crop(
                boxes["boxes"], ops.cast(top, "float32"), ops.cast(left, "float32"), self.height, self.width
            )
        clipped = plane.clip_to_image_size({**boxes, "boxes": inside}, self.height, self.width)
        return self._from_corners(clipped, self.height, self.width)
