"""A layer that gives all images the same number of boxes."""

from __future__ import annotations

from typing import Any, ClassVar

from oxiconv import ops
from oxiconv.layers.preprocessing.image_layer import BaseImagePreprocessingLayer
from oxiconv.tensor import Tensor, TensorLike


class MaxNumBoundingBoxes(BaseImagePreprocessingLayer):
    """The first boxes of each image, filled up to a number; images, labels and masks stay as they are.

    Args:
        max_number: how many boxes.
        fill_value: what boxes and labels are filled up with.
        **kwargs: those of `BaseImagePreprocessingLayer`.
    """

    config_fields: ClassVar[tuple[str, ...]] = ("max_number",)

    def __init__(self, max_number: int, fill_value: float = -1, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if max_number < 1:
            raise ValueError(f"{self._label}: expected max_number of at least 1, got {max_number!r}")
        self.max_number = max_number
        self.fill_value = fill_value

    def transform_images(self, images: TensorLike, transformation: Any = None, training: bool = True) -> Tensor:
        """The images."""
        return ops.convert_to_tensor(images)

    def transform_bounding_boxes(self, bounding_boxes: Any, transformation: Any, training: bool = True) -> Any:
        """As many boxes for each image."""
        result = dict(bounding_boxes)
        for key in ("boxes", "labels"):
            value = result[key][:, : self.max_number]
            missing = self.max_number - value.shape[1]
            margins = ((0, 0), (0, missing), *((0, 0),) * (value.ndim - 2))
            result[key] = ops.pad(value, margins, "constant", constant_values=self.fill_value) if missing else value
        return result
