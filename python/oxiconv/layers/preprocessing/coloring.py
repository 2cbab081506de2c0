"""Layers that change the colours of images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from oxiconv import ops
from oxiconv.config import epsilon
from oxiconv.layers.preprocessing.image_layer import (
    BaseImagePreprocessingLayer,
    Factor,
    per_image,
    rescaled,
    value_range_of,
)
from oxiconv.tensor import Tensor, TensorLike

Range = Sequence[float]


class ColorLayer(BaseImagePreprocessingLayer):
    """What layers that change colours have in common: a range of values, and labels, boxes and masks left alone."""

    config_fields: ClassVar[tuple[str, ...]] = ("value_range",)

    def __init__(self, value_range: Range = (0, 255), **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.value_range = value_range_of(value_range, self._label)

    def _colored(self, images: Tensor, transformation: Any) -> Tensor:
        raise NotImplementedError(f"{self._label}: expected a class that defines _colored")

    def transform_images(self, images: TensorLike, transformation: Any = None, training: bool = True) -> Tensor:
        """The images, changed in training."""
        images = ops.cast(images, self.compute_dtype)
        return self._colored(images, transformation) if training and transformation is not None else images

    def _limited(self, images: Tensor) -> Tensor:
        return ops.clip(images, *map(float, self.value_range))


class DrawnColorLayer(ColorLayer):
    """A colour layer whose transformation is one number for each image, drawn from the range of the factor."""

    factor_bounds: ClassVar[tuple[float, float] | None] = (0.0, 1.0)
    config_fields: ClassVar[tuple[str, ...]] = ("factor", "seed")

    def __init__(
        self,
        factor: Factor,
        value_range: Range = (0, 255),
        data_format: str | None = None,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(value_range, factor=factor, data_format=data_format, seed=seed, **kwargs)

    def get_random_transformation(self, data: Any, training: bool = True, seed: Any = None) -> Any:
        """A number for each image."""
        return {"factor": self._factors(self._count(data), seed)} if training else None


class RandomBrightness(ColorLayer):
    """In training, adds a number to each image.

    Args:
        factor: the largest number as a share of the range of values, both ways, or two such numbers, from -1 to 1.
        value_range: the smallest and the largest value of images.
        seed: integer; None derives one from the global seed.
        **kwargs: those of `BaseImagePreprocessingLayer`.

    Example:
        >>> float(RandomBrightness((0.2, 0.2), value_range=(0, 1))([[[0.5]]])[0, 0, 0])
        0.699999988079071
    """

    factor_bounds = (-1.0, 1.0)
    config_fields: ClassVar[tuple[str, ...]] = ("factor", "seed")

    def __init__(self, factor: Factor, value_range: Range = (0, 255), seed: int | None = None, **kwargs: Any) -> None:
        super().__init__(value_range, factor=factor, seed=seed, **kwargs)

    def get_random_transformation(self, data: Any, training: bool = True, seed: Any = None) -> Any:
        """What is added to each image."""
        if not training:
            return None
        span = float(self.value_range[1] - self.value_range[0])
        return {"rgb_delta": per_image(self._factors(self._count(data), seed)) * span}

    def _colored(self, images: Tensor, transformation: Any) -> Tensor:
        return self._limited(images + per_image(transformation["rgb_delta"]))


class RandomContrast(ColorLayer):
    """In training, multiplies the distance of each channel from its mean.

    Args:
        factor: the largest change of 1, down and up, or (down, up), from 0 to 1.
        value_range: the smallest and the largest value of images.
        seed: integer; None derives one from the global seed.
        **kwargs: those of `BaseImagePreprocessingLayer`.
    """

    factor_bounds = (0.0, 1.0)
    config_fields: ClassVar[tuple[str, ...]] = ("factor", "seed")

    def __init__(self, factor: Factor, value_range: Range = (0, 255), seed: int | None = None, **kwargs: Any) -> None:
        super().__init__(value_range, factor=factor, seed=seed, **kwargs)

    def get_random_transformation(self, data: Any, training: bool = True, seed: Any = None) -> Any:
        """The factors."""
        if not training:
            return None
        low, high = self.factor
        return {"contrast_factor": per_image(self._uniform((self._count(data),), 1.0 - low, 1.0 + high, seed))}

    def _colored(self, images: Tensor, transformation: Any) -> Tensor:
        mean = ops.mean(images, axis=self._axes(), keepdims=True)
        return self._limited((images - mean) * per_image(transformation["contrast_factor"]) + mean)


class RandomHue(DrawnColorLayer):
    """In training, turns the hues of RGB images.

    Args:
        factor: the largest turn as a share of a half turn, both ways, or two such numbers, from 0 to 1.
        value_range: the smallest and the largest value of images.
        data_format: "channels_last" or "channels_first"; None is the configured one.
        seed: integer; None derives one from the global seed.
        **kwargs: those of `BaseImagePreprocessingLayer`.
    """

    def get_random_transformation(self, data: Any, training: bool = True, seed: Any = None) -> Any:
        """The turns, as shares of a full one."""
        if not training:
            return None
        count = self._count(data)
        sign = ops.where(self._uniform((count,), 0.0, 1.0, seed) > 0.5, -1.0, 1.0)
        return {"factor": sign * self._factors(count, seed) * 0.5}

    def _colored(self, images: Tensor, transformation: Any) -> Tensor:
        channel = channel_axis(self.data_format)
        hsv = ops.image.rgb_to_hsv(rescaled(images, self.value_range, (0, 1)), self.data_format)
        hue, saturation, value = ops.split(hsv, 3, channel)
        hue = hue + per_image(transformation["factor"])
        hue = ops.where(hue > 1.0, hue - 1.0, hue)
        hue = ops.where(hue < 0.0, hue + 1.0, hue)
        rgb = ops.image.hsv_to_rgb(ops.concatenate([hue, saturation, value], channel), self.data_format)
        return rescaled(ops.clip(rgb, 0.0, 1.0), (0, 1), self.value_range)


def channel_axis(data_format: str) -> int:
    """The axis of the channels of a batch."""
    return -1 if data_format == "channels_last" else 1


class RandomSaturation(DrawnColorLayer):
    """In training, multiplies the saturation of RGB images by f / (1 - f) for a random f.

    Args:
        factor: f is drawn from -factor to factor, or from a range, within -1 to 1; 1/2 changes nothing, and what is
            below 0 gives grey.
        value_range: the smallest and the largest value of images.
        data_format: "channels_last" or "channels_first"; None is the configured one.
        seed: integer; None derives one from the global seed.
        **kwargs: those of `BaseImagePreprocessingLayer`.
    """

    factor_bounds = (-1.0, 1.0)

    def get_random_transformation(self, data: Any, training: bool = True, seed: Any = None) -> Any:
        """The factors of the saturations."""
        if not training:
            return None
        share = self._factors(self._count(data), seed)
        return {"factor": share / (1.0 - share + epsilon())}

    def _colored(self, images: Tensor, transformation: Any) -> Tensor:
        channel = channel_axis(self.data_format)
        hue, saturation, value = ops.split(ops.image.rgb_to_hsv(images, self.data_format), 3, channel)
        # Saturations are shares, whatever the values are: a limit above 1, as of (0, 255), does not limit them.
        saturation = self._limited(saturation * per_image(transformation["factor"]))
        return ops.image.hsv_to_rgb(ops.concatenate([hue, saturation, value], channel), self.data_format)


class RandomColorDegeneration(DrawnColorLayer):
    """In training, mixes RGB images with their grey versions.

    Args:
        factor: the largest share of grey, which is drawn from -factor to factor, or from a range, within -1 to 1; a
            negative share makes colours stronger.
        value_range: the smallest and the largest value of images.
        data_format: "channels_last" or "channels_first"; None is the configured one.
        seed: integer; None derives one from the global seed.
        **kwargs: those of `BaseImagePreprocessingLayer`.
    """

    factor_bounds = (-1.0, 1.0)

    def _colored(self, images: Tensor, transformation: Any) -> Tensor:
        grey = ops.image.rgb_to_grayscale(images, self.data_format)
        return self._limited(images + per_image(transformation["factor"]) * (grey - images))


class RandomGrayscale(BaseImagePreprocessingLayer):
    """In training, turns some RGB images grey.

    Args:
        factor: probability, from 0 to 1.
        data_format: "channels_last" or "channels_first"; None is the configured one.
        seed: integer; None derives one from the global seed.
        **kwargs: those of `BaseImagePreprocessingLayer`.
    """

    config_fields: ClassVar[tuple[str, ...]] = ("factor",)

    def __init__(
        self, factor: float = 0.5, data_format: str | None = None, seed: int | None = None, **kwargs: Any
    ) -> None:
        super().__init__(data_format=data_format, seed=seed, **kwargs)
        if not 0 <= factor <= 1:
            raise ValueError(f"{self._label}: expected factor from 0 to 1, got {factor!r}")
        self.factor = factor

    def get_random_transformation(self, data: Any, training: bool = True, seed: Any = None) -> Any:
        """Which images turn grey."""
        if not training:
            return None
        return per_image(self._uniform((self._count(data),), 0.0, 1.0, seed)) < self.factor

    def transform_images(self, images: TensorLike, transformation: Any, training: bool = True) -> Tensor:
        """The images, grey or not."""
        images = ops.cast(images, self.compute_dtype)
        if not training or transformation is None:
            return images
        return ops.where(transformation, ops.image.rgb_to_grayscale(images, self.data_format), images)


class RandomColorJitter(BaseImagePreprocessingLayer):
    """In training, changes brightness, contrast, saturation and hue, in this order.

    Args:
        value_range: the smallest and the largest value of images.
        brightness_factor: of `RandomBrightness`; None leaves it alone.
        contrast_factor: of `RandomContrast`; None leaves it alone.
        saturation_factor: of `RandomSaturation`; None leaves it alone.
        hue_factor: of `RandomHue`; None leaves it alone.
        seed: integer; None derives one from the global seed.
        data_format: "channels_last" or "channels_first"; None is the configured one.
        **kwargs: those of `BaseImagePreprocessingLayer`.
    """

    config_fields: ClassVar[tuple[str, ...]] = (
        "value_range",
        "brightness_factor",
        "contrast_factor",
        "saturation_factor",
        "hue_factor",
        "seed",
    )

    def __init__(
        self,
        value_range: Range = (0, 255),
        brightness_factor: Factor | None = None,
        contrast_factor: Factor | None = None,
        saturation_factor: Factor | None = None,
        hue_factor: Factor | None = None,
        seed: int | None = None,
        data_format: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(data_format=data_format, seed=seed, **kwargs)
        self.value_range = value_range
        self.brightness_factor = brightness_factor
        self.contrast_factor = contrast_factor
        self.saturation_factor = saturation_factor
        self.hue_factor = hue_factor
        options: dict[str, Any] = {"value_range": value_range, "seed": seed, "data_format": self.data_format}
        parts: tuple[tuple[str, type[BaseImagePreprocessingLayer], Any], ...] = (
            ("brightness", RandomBrightness, brightness_factor),
            ("contrast", RandomContrast, contrast_factor),
            ("saturation", RandomSaturation, saturation_factor),
            ("hue", RandomHue, hue_factor),
        )
        self._parts = {key: made(factor, **options) for key, made, factor in parts if factor is not None}

    def get_random_transformation(self, data: Any, training: bool = True, seed: Any = None) -> Any:
        """The transformations of the parts."""
        if not training:
            return None
        source = self.generator if seed is None else seed
        return {key: part.get_random_transformation(data, training, source) for key, part in self._parts.items()}

    def transform_images(self, images: TensorLike, transformation: Any, training: bool = True) -> Tensor:
        """The images, changed by one part after the other."""
        images = ops.cast(images, self.compute_dtype)
        if training and isinstance(transformation, Mapping):
            for key, part in self._parts.items():
                images = part.transform_images(images, transformation[key])
        return images
