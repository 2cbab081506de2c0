"""Layers that change the values of images pixel by pixel, or blur and sharpen them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from oxiconv import ops
from oxiconv.layers.preprocessing.coloring import ColorLayer, DrawnColorLayer, Range, channel_axis
from oxiconv.layers.preprocessing.image_layer import (
    Factor,
    factor_range,
    per_image,
    rescaled,
)
from oxiconv.tensor import Tensor, TensorLike


class RandomPosterization(ColorLayer):
    """In training, keeps some of the eight highest bits of images.

    Args:
        factor: the largest number of bits plus 1, or the least number and the largest plus 1, from 1 to 8.
        value_range: the smallest and the largest value of images.
        data_format: "channels_last" or "channels_first"; None is the configured one.
        seed: integer; None derives one from the global seed.
        **kwargs: those of `BaseImagePreprocessingLayer`.
    """

    factor_bounds = (1, 8)
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
        """How many bits are lost."""
        if not training:
            return None
        low, high = (int(v) for v in self.factor)
        # As in Keras, the upper end is drawn only if it is the lower one too.
        kept = ops.floor(self._uniform((self._count(data),), float(low), float(max(high, low + 1)), seed))
        return {"shift_factor": ops.cast(8.0 - ops.clip(kept, low, max(high - 1, low)), "uint8")}

    def _colored(self, images: Tensor, transformation: Any) -> Tensor:
        whole = ops.floor(ops.clip(rescaled(images, self.value_range, (0, 255)), 0.0, 255.0))
        shift = per_image(ops.cast(transformation["shift_factor"], "float32"))
        step = ops.round(ops.exp(shift * float(np.log(2.0))))  # a power of 2, which the exponential is near
        return rescaled(ops.floor(whole / step) * step, (0, 255), self.value_range)


class RandomInvert(ColorLayer):
    """In training, turns some images into their negatives.

    Args:
        factor: probability, or two between which it is drawn, from 0 to 1.
        value_range: the smallest and the largest value of images.
        seed: integer; None derives one from the global seed.
        data_format: "channels_last" or "channels_first"; None is the configured one.
        **kwargs: those of `BaseImagePreprocessingLayer`.
    """

    factor_bounds = (0.0, 1.0)
    config_fields: ClassVar[tuple[str, ...]] = ("factor", "seed")

    def __init__(
        self,
        factor: Factor = 1.0,
        value_range: Range = (0, 255),
        seed: int | None = None,
        data_format: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(value_range, factor=factor, data_format=data_format, seed=seed, **kwargs)

    def get_random_transformation(self, data: Any, training: bool = True, seed: Any = None) -> Any:
        """Which images are turned."""
        return {"apply_inversion": self._chosen(self._count(data), self.factor, seed)} if training else None

    def _colored(self, images: Tensor, transformation: Any) -> Tensor:
        return ops.where(per_image(transformation["apply_inversion"]), self.value_range[1] - images, images)


class Solarization(ColorLayer):
    """In training, adds a number to images, and turns the values from a threshold on into their negatives.

    Args:
        addition_factor: the largest number as a share of the range of values, or two between which it is drawn,
            from 0 to 1.
        threshold_factor: the same for the threshold.
        value_range: the smallest and the largest value of images.
        seed: integer; None derives one from the global seed.
        **kwargs: those of `BaseImagePreprocessingLayer`.
    """

    config_fields: ClassVar[tuple[str, ...]] = ("addition_factor", "threshold_factor", "seed")

    def __init__(
        self,
        addition_factor: Factor = 0.0,
        threshold_factor: Factor = 0.0,
        value_range: Range = (0, 255),
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(value_range, seed=seed, **kwargs)
        bounds = (0.0, 1.0)
        self.addition_factor = factor_range(addition_factor, bounds, self._label, "addition_factor", signed=False)
        self.threshold_factor = factor_range(threshold_factor, bounds, self._label, "threshold_factor", signed=False)

    def get_random_transformation(self, data: Any, training: bool = True, seed: Any = None) -> Any:
        """The numbers and thresholds, of 0 to 255."""
        if not training:
            return None
        count = self._count(data)
        additions, thresholds = (
            per_image(self._uniform((count,), low * 255.0, high * 255.0, seed))
            for low, high in (self.addition_factor, self.threshold_factor)
        )
        return {"additions": additions, "thresholds": thresholds}

    def _colored(self, images: Tensor, transformation: Any) -> Tensor:
        x = rescaled(images, self.value_range, (0, 255)) + per_image(transformation["additions"])
        x = ops.clip(x, 0.0, 255.0)
        x = ops.where(x < per_image(transformation["thresholds"]), x, 255.0 - x)
        return rescaled(x, (0, 255), self.value_range)


class AutoContrast(ColorLayer):
    """Spreads the values of each image over the whole range, in training or not.

    Args:
        value_range: the smallest and the largest value of images.
        **kwargs: those of `BaseImagePreprocessingLayer`.
    """

    def __init__(self, value_range: Range = (0, 255), **kwargs: Any) -> None:
        super().__init__(value_range, **kwargs)

    def transform_images(self, images: TensorLike, transformation: Any = None, training: bool = True) -> Tensor:
        """The images; constant channels stay as they are."""
        given = ops.cast(images, self.compute_dtype)
        x = rescaled(given, self.value_range, (0, 255))
        low = ops.min(x, axis=self._axes(), keepdims=True)
        span = ops.max(x, axis=self._axes(), keepdims=True) - low
        flat = span == 0.0
        scale = 255.0 / ops.where(flat, 1.0, span)
        spread = ops.clip(x * scale - low * scale, 0.0, 255.0)
        return ops.where(flat, given, rescaled(spread, (0, 255), self.value_range))


class RandomSharpness(DrawnColorLayer):
    """In training, blurs images by factors below 1/2 and sharpens them by factors above.

    Args:
        factor: drawn from 0 to this number, or from a range, within 0 to 1.
        value_range: the smallest and the largest value of images.
        data_format: "channels_last" or "channels_first"; None is the configured one.
        seed: integer; None derives one from the global seed.
        **kwargs: those of `BaseImagePreprocessingLayer`.
    """

    def _colored(self, images: Tensor, transformation: Any) -> Tensor:
        channels = images.shape[channel_axis(self.data_format)]
        line = np.full((3, 3, channels, 1), 1.0 / 13.0, np.float32)
        line[1, 1] = 5.0 / 13.0
        smooth = ops.depthwise_conv(images, line, 1, "same", self.data_format)
        share = 1.0 - 2.0 * per_image(transformation["factor"])
        return self._limited(images + share * (smooth - images))


class RandomGaussianBlur(ColorLayer):
    """In training, blurs some images.

    Args:
        factor: probability, or two between which it is drawn, from 0 to 1.
        kernel_size: odd size of the window, or two for rows and columns.
        sigma: the largest deviation in pixels, or two between which it is drawn, from 0 to 1.
        value_range: the smallest and the largest value of images.
        data_format: "channels_last" or "channels_first"; None is the configured one.
        seed: integer; None derives one from the global seed.
        **kwargs: those of `BaseImagePreprocessingLayer`.
    """

    factor_bounds = (0.0, 1.0)
    config_fields: ClassVar[tuple[str, ...]] = ("factor", "kernel_size", "sigma", "seed")

    def __init__(
        self,
        factor: Factor = 1.0,
        kernel_size: int | Sequence[int] = 3,
        sigma: Factor = 1.0,
        value_range: Range = (0, 255),
        data_format: str | None = None,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(value_range, factor=factor, data_format=data_format, seed=seed, **kwargs)
        sizes: tuple[Any, ...] = (kernel_size, kernel_size) if isinstance(kernel_size, int) else tuple(kernel_size)
        if len(sizes) != 2 or any(not isinstance(n, int) or n < 1 or n % 2 == 0 for n in sizes):
            raise ValueError(f"{self._label}: expected kernel_size as one or two odd numbers, got {kernel_size!r}")
        self.kernel_size = sizes
        self.sigma = factor_range(sigma, (0.0, 1.0), self._label, "sigma")

    def get_random_transformation(self, data: Any, training: bool = True, seed: Any = None) -> Any:
        """Which images are blurred, and the deviations across and down for all of them."""
        if not training:
            return None
        return {
            "should_apply_blur": self._chosen(self._count(data), self.factor, seed),
            "blur_factor": self._uniform((2,), *self.sigma, seed) + 1e-6,
        }

    def _colored(self, images: Tensor, transformation: Any) -> Tensor:
        sigma = ops.convert_to_tensor(transformation["blur_factor"])
        blurred = ops.image.gaussian_blur(images, self.kernel_size, sigma, self.data_format)
        return self._limited(ops.where(per_image(transformation["should_apply_blur"]), blurred, images))
