"""What layers that vary images have in common: what they take, their random numbers, their hooks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from oxiconv import ops, random
from oxiconv.bounding_boxes.formats import convert_format, densified
from oxiconv.layers.layer import Layer
from oxiconv.ops.convolution import data_format_of
from oxiconv.random.seed import SeedGenerator
from oxiconv.tensor import ShapeError, Tensor, TensorLike

Factor = float | Sequence[float]


def factor_range(
    factor: Any, bounds: tuple[float, float], label: str, what: str = "factor", *, signed: bool = True
) -> tuple[float, float]:
    """A factor's (lower, upper): two numbers, or one for -factor (0 if not `signed`) to factor, as far as allowed."""
    low, high = bounds
    numbers = factor if isinstance(factor, (tuple, list)) else (factor,)
    plain = all(isinstance(v, (int, float)) and not isinstance(v, bool) for v in numbers)
    if len(numbers) not in (1, 2) or not plain or any(not low <= v <= high for v in numbers):
        raise ValueError(f"{label}: expected {what} as one or two numbers from {low} to {high}, got {factor!r}")
    if len(numbers) == 2:
        return min(numbers), max(numbers)
    size = abs(numbers[0])
    return (max(-size, low) if signed else 0.0), size


def value_range_of(value_range: Any, label: str) -> tuple[float, float]:
    """The smallest and the largest value of images."""
    if not isinstance(value_range, (tuple, list)) or len(value_range) != 2 or value_range[0] == value_range[1]:
        raise ValueError(f"{label}: expected value_range as two different numbers, got {value_range!r}")
    low, high = sorted(value_range)
    return low, high


def rescaled(images: Tensor, source: Sequence[float], target: Sequence[float]) -> Tensor:
    """Images of one range of values in another."""
    if tuple(source) == tuple(target):
        return images
    share = (images - float(source[0])) / float(source[1] - source[0])
    return share * float(target[1] - target[0]) + float(target[0])


class BaseImagePreprocessingLayer(Layer):
    """A layer that takes images, or a dict of "images", "labels", "bounding_boxes" and "segmentation_masks".

    A call draws a transformation and applies it to all that it is given. Subclasses define `get_random_transformation`
    and the `transform_...` methods, which take batches; one image, or one image's boxes, is a batch of one to them.

    Args:
        factor: strength, for layers that have one.
        bounding_box_format: of boxes, see `utils.bounding_boxes.convert_format`.
        data_format: "channels_last" or "channels_first"; None is the configured one.
        seed: of the transformations; None derives one from the global seed.
        **kwargs: those of `Layer`.
    """

    # Within which a factor must be; None if the layer has none.
    factor_bounds: ClassVar[tuple[float, float] | None] = None
    config_fields: ClassVar[tuple[str, ...]] = ("data_format",)

    def __init__(
        self,
        factor: Any = None,
        bounding_box_format: str | None = None,
        data_format: str | None = None,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.bounding_box_format = bounding_box_format
        self.data_format = data_format_of(data_format, self._label)
        if self.factor_bounds is not None:
            self.factor: Any = factor_range(factor, self.factor_bounds, self._label)
        elif factor is not None:
            raise ValueError(f"{self._label}: expected no factor, got {factor!r}")
        self.seed = seed
        self.generator = SeedGenerator(seed)

    # The hooks.

    def get_random_transformation(self, data: Any, training: bool = True, seed: Any = None) -> Any:
        """What `transform_...` need to treat images, labels, boxes and masks alike; None for nothing."""
        return None

    def transform_images(self, images: TensorLike, transformation: Any, training: bool = True) -> Tensor:
        """A batch of images, transformed."""
        raise NotImplementedError(f"{self._label}: expected a class that defines transform_images")

    def transform_labels(self, labels: Any, transformation: Any, training: bool = True) -> Any:
        """Labels of a batch, transformed: the same, where a class does not say otherwise."""
        return labels

    def transform_bounding_boxes(self, bounding_boxes: Any, transformation: Any, training: bool = True) -> Any:
        """Boxes of a batch, transformed: the same, where a class does not say otherwise."""
        return bounding_boxes

    def transform_segmentation_masks(self, segmentation_masks: Any, transformation: Any, training: bool = True) -> Any:
        """Masks of a batch, transformed: the same, where a class does not say otherwise."""
        return segmentation_masks

    def transform_single_image(self, image: Any, transformation: Any, training: bool = True) -> Tensor:
        """One image, transformed."""
        return ops.squeeze(self.transform_images(ops.expand_dims(image, 0), transformation, training), 0)

    def transform_single_label(self, label: Any, transformation: Any, training: bool = True) -> Any:
        """One image's label, transformed."""
        return ops.squeeze(self.transform_labels(ops.expand_dims(label, 0), transformation, training), 0)

    def transform_single_bounding_box(self, bounding_box: Any, transformation: Any, training: bool = True) -> Any:
        """One image's boxes, transformed."""
        batch = {key: ops.expand_dims(bounding_box[key], 0) for key in ("boxes", "labels")}
        result = self.transform_bounding_boxes({**bounding_box, **batch}, transformation, training)
        return {**result, **{key: ops.squeeze(result[key], 0) for key in ("boxes", "labels")}}

    def transform_single_segmentation_mask(self, mask: Any, transformation: Any, training: bool = True) -> Any:
        """One image's mask, transformed."""
        masks = self.transform_segmentation_masks(ops.expand_dims(mask, 0), transformation, training)
        return ops.squeeze(masks, 0)

    # The call.

    def call(self, data: Any, training: bool = True) -> Any:
        """The data, transformed in training."""
        single = self._is_single(self._images(data))
        transformation = self.get_random_transformation(data, training=training)
        if not isinstance(data, Mapping):
            transform = self.transform_single_image if single else self.transform_images
            return transform(ops.convert_to_tensor(data), transformation, training=training)
        result = dict(data)
        if "bounding_boxes" in data:
            if not self.bounding_box_format:
                raise ValueError(f"{self._label}: expected a bounding_box_format for 'bounding_boxes', got none")
            result["bounding_boxes"] = densified(data["bounding_boxes"])
        for key, batch, one in (
            ("images", self.transform_images, self.transform_single_image),
            ("bounding_boxes", self.transform_bounding_boxes, self.transform_single_bounding_box),
            ("labels", self.transform_labels, self.transform_single_label),
            ("segmentation_masks", self.transform_segmentation_masks, self.transform_single_segmentation_mask),
        ):
            if key in data:
                value = result[key] if key == "bounding_boxes" else ops.convert_to_tensor(result[key])
                result[key] = (one if single else batch)(value, transformation, training=training)
        return result

    # For subclasses.

    def _is_single(self, images: Any) -> bool:
        rank = len(ops.shape(images))
        if rank not in (3, 4):
            raise ShapeError(f"{self._label}: expected images with 3 or 4 axes, got shape {ops.shape(images)}")
        return rank == 3

    def _images(self, data: Any) -> Any:
        """The images of what a call is given."""
        if isinstance(data, Mapping) and "images" not in data:
            raise ValueError(f"{self._label}: expected a dict with 'images', got keys {sorted(data)}")
        images = data["images"] if isinstance(data, Mapping) else data
        self._is_single(images)
        return images

    def _count(self, data: Any) -> int:
        """How many images there are."""
        shape = ops.shape(self._images(data))
        return 1 if len(shape) == 3 else int(shape[0])

    def _size(self, shape: Sequence[Any]) -> tuple[int, int]:
        """Height and width of images of a shape."""
        height, width = shape[-3:-1] if self.data_format == "channels_last" else shape[-2:]
        return height, width

    def _axes(self) -> tuple[int, int]:
        """The axes of rows and columns of a batch."""
        return (1, 2) if self.data_format == "channels_last" else (2, 3)

    def _uniform(self, shape: Sequence[int], low: float, high: float, seed: Any) -> Tensor:
        """Random numbers of the layer's stream, or of `seed`."""
        return random.uniform(shape, low, high, seed=self.generator if seed is None else seed)

    def _factors(self, count: int, seed: Any) -> Tensor:
        """A number within the factor's range for each of so many images."""
        low, high = self.factor
        return self._uniform((count,), low, high, seed)

    def _chosen(self, count: int, probability: tuple[float, float], seed: Any) -> Tensor:
        """For each image whether something with a probability drawn from a range happens."""
        chance = self._uniform((count,), *probability, seed)
        return self._uniform((count,), 0.0, 1.0, seed) < chance

    def _to_corners(self, boxes: Any, height: Any, width: Any, target: str = "xyxy") -> dict[str, Any]:
        converted: dict[str, Any] = convert_format(boxes, self.bounding_box_format or "xyxy", target, height, width)
        return converted

    def _from_corners(self, boxes: Any, height: Any, width: Any, source: str = "xyxy") -> dict[str, Any]:
        converted: dict[str, Any] = convert_format(boxes, source, self.bounding_box_format or "xyxy", height, width)
        return converted

    def get_config(self) -> dict[str, Any]:
        """The arguments that make an equal layer."""
        config = super().get_config()
        if self.bounding_box_format is not None:
            config["bounding_box_format"] = self.bounding_box_format
        return config


def per_image(values: Any) -> Tensor:
    """One number for each image `[n]`, as what multiplies images."""
    return ops.reshape(values, (-1, 1, 1, 1))
