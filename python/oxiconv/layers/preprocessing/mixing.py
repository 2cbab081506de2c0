"""Layers that mix the images of a batch, or replace parts of images."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from oxiconv import ops, random
from oxiconv.layers.preprocessing.image_layer import (
    BaseImagePreprocessingLayer,
    Factor,
    factor_range,
    per_image,
    value_range_of,
)
from oxiconv.tensor import Tensor, TensorLike


class _Mixing(BaseImagePreprocessingLayer):
    """What layers that mix images with others of the batch, or with a rectangle, have in common."""

    def _partners(self, count: int, seed: Any) -> Tensor:
        order: Tensor = random.shuffle(np.arange(count, dtype=np.int32), seed=self.generator if seed is None else seed)
        return order

    def _span(self, size: int, share: Tensor, seed: Any) -> tuple[Tensor, Tensor]:
        """Where a part with a share of an axis begins and ends, `[n, 1, 1, 1]` each."""
        length = share * float(size)
        start = self._uniform(share.shape, 0.0, 1.0, seed) * (float(size) - length)
        return per_image(start), per_image(start + length)

    def _rectangles(self, shape: Sequence[int], across: Any, down: Any) -> Tensor:
        """Which pixels are within the rectangles: `[n, h, w, 1]`, or with channels first `[n, 1, h, w]`."""
        height, width = self._size(shape)
        last = self.data_format == "channels_last"
        rows = np.arange(height, dtype=np.float32).reshape((1, -1, 1, 1) if last else (1, 1, -1, 1))
        columns = np.arange(width, dtype=np.float32).reshape((1, 1, -1, 1) if last else (1, 1, 1, -1))
        within = [
            ops.logical_and(ops.greater_equal(line, start), ops.less(line, end))
            for line, (start, end) in ((columns, across), (rows, down))
        ]
        return ops.logical_and(*within)


def _mixed(values: Any, transformation: Any, rank: int) -> Tensor:
    own = ops.cast(values, "float32")
    weight = ops.reshape(transformation["mix_weight"], (-1, *[1] * (rank - 1)))
    others = ops.take(own, transformation["permutation_order"], axis=0)
    return weight * own + (1.0 - weight) * others


class MixUp(_Mixing):
    """In training, replaces each image and label by a weighted mean of it and another one of the batch.

    Zhang, Cisse, Dauphin, Lopez-Paz, mixup: Beyond Empirical Risk Minimization (2018). Weights are beta numbers.

    Args:
        alpha: both parameters of the beta distribution; small ones mix little.
        data_format: "channels_last" or "channels_first"; None is the configured one.
        seed: integer; None derives one from the global seed.
        **kwargs: those of `BaseImagePreprocessingLayer`.
    """

    config_fields: ClassVar[tuple[str, ...]] = ("alpha", "seed")

    def __init__(
        self, alpha: float = 0.2, data_format: str | None = None, seed: int | None = None, **kwargs: Any
    ) -> None:
        super().__init__(data_format=data_format, seed=seed, **kwargs)
        if not alpha > 0:
            raise ValueError(f"{self._label}: expected alpha above 0, got {alpha!r}")
        self.alpha = alpha

    def get_random_transformation(self, data: Any, training: bool = True, seed: Any = None) -> Any:
        """The weights, and which image each is mixed with."""
        if not training:
            return None
        count = self._count(data)
        order = self._partners(count, seed)
        weight = random.beta((count,), self.alpha, self.alpha, seed=self.generator if seed is None else seed)
        return {"mix_weight": weight, "permutation_order": order}

    def transform_images(self, images: TensorLike, transformation: Any = None, training: bool = True) -> Tensor:
        """The mixed images."""
        images = ops.cast(images, self.compute_dtype)
        return _mixed(images, transformation, 4) if training and transformation is not None else images

    def transform_labels(self, labels: Any, transformation: Any, training: bool = True) -> Any:
        """The mixed labels: shares of classes, so they should be one-hot."""
        return _mixed(labels, transformation, len(ops.shape(labels))) if training else labels

    def transform_segmentation_masks(self, segmentation_masks: Any, transformation: Any, training: bool = True) -> Any:
        """The mixed masks."""
        return _mixed(segmentation_masks, transformation, 4) if training else segmentation_masks

    def transform_bounding_boxes(self, bounding_boxes: Any, transformation: Any, training: bool = True) -> Any:
        """The boxes of both images."""
        if not training:
            return bounding_boxes
        order = transformation["permutation_order"]
        both = {
            key: ops.concatenate([bounding_boxes[key], ops.take(bounding_boxes[key], order, axis=0)], axis=1)
            for key in ("boxes", "labels")
        }
        return {**bounding_boxes, **both}


class CutMix(_Mixing):
    """In training, replaces a rectangle of each image by that of another one, and mixes the labels by its area.

    Yun, Han, Oh, Chun, Choe, Yoo, CutMix: Regularization Strategy to Train Strong Classifiers (2019).

    Args:
        factor: the largest parameter of the beta distribution of the areas, or two between which it is drawn, from
            0 to 1.
        seed: integer; None derives one from the global seed.
        data_format: "channels_last" or "channels_first"; None is the configured one.
        **kwargs: those of `BaseImagePreprocessingLayer`.
    """

    factor_bounds = (0.0, 1.0)
    config_fields: ClassVar[tuple[str, ...]] = ("factor", "seed")

    def __init__(
        self, factor: Factor = 1.0, seed: int | None = None, data_format: str | None = None, **kwargs: Any
    ) -> None:
        super().__init__(factor=factor, data_format=data_format, seed=seed, **kwargs)

    def get_random_transformation(self, data: Any, training: bool = True, seed: Any = None) -> Any:
        """The rectangles, the shares that are left, and which image each is mixed with."""
        images = self._images(data)
        if not training or self._is_single(images):
            return None
        shape, source = ops.shape(images), self.generator if seed is None else seed
        (height, width), count = self._size(shape), self._count(data)
        alpha = self._factors(1, source) + 1e-6
        side = ops.sqrt(1.0 - random.beta((count,), alpha, alpha, seed=source))
        across, down = self._span(width, side, source), self._span(height, side, source)
        share = (across[1] - across[0]) * (down[1] - down[0]) / float(width * height)
        return {
            "permutation_order": self._partners(count, source),
            "batch_masks": self._rectangles(shape, across, down),
            "mix_weight": 1.0 - share,
        }

    def transform_images(self, images: TensorLike, transformation: Any = None, training: bool = True) -> Tensor:
        """The images with foreign rectangles."""
        images = ops.cast(images, self.compute_dtype)
        if not training or transformation is None:
            return images
        others = ops.take(images, transformation["permutation_order"], axis=0)
        return ops.where(transformation["batch_masks"], others, images)

    def transform_labels(self, labels: Any, transformation: Any, training: bool = True) -> Any:
        """The mixed labels: shares of classes, so they should be one-hot."""
        if not training or transformation is None:
            return labels
        return _mixed(labels, transformation, len(ops.shape(labels)))

    def transform_segmentation_masks(self, segmentation_masks: Any, transformation: Any, training: bool = True) -> Any:
        """The masks with foreign rectangles."""
        return self.transform_images(segmentation_masks, transformation, training)

    def transform_bounding_boxes(self, bounding_boxes: Any, transformation: Any, training: bool = True) -> Any:
        """Boxes cannot be mixed so."""
        raise NotImplementedError(f"{self._label}: expected no bounding_boxes, which CutMix cannot mix; use MixUp")


class RandomErasing(_Mixing):
    """In training, replaces a rectangle of images by noise or a colour.

    Zhong, Zheng, Kang, Li, Yang, Random Erasing Data Augmentation (2017).

    Args:
        factor: probability, or two between which it is drawn, from 0 to 1.
        scale: the squares of the rectangle's height and width as shares of the image's are drawn from this range.
        fill_value: a number, three for the channels, or None for normal noise.
        value_range: the smallest and the largest value of images.
        seed: integer; None derives one from the global seed.
        data_format: "channels_last" or "channels_first"; None is the configured one.
        **kwargs: those of `BaseImagePreprocessingLayer`.
    """

    factor_bounds = (0.0, 1.0)
    config_fields: ClassVar[tuple[str, ...]] = ("factor", "scale", "fill_value", "value_range", "seed")

    def __init__(
        self,
        factor: Factor = 1.0,
        scale: Factor = (0.02, 0.33),
        fill_value: float | Sequence[float] | None = None,
        value_range: Sequence[float] = (0, 255),
        seed: int | None = None,
        data_format: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(factor=factor, data_format=data_format, seed=seed, **kwargs)
        self.scale = factor_range(scale, (0.0, 1.0), self._label, "scale")
        self.value_range = value_range_of(value_range, self._label)
        if isinstance(fill_value, (tuple, list)) and len(fill_value) != 3:
            raise ValueError(f"{self._label}: expected fill_value as one or three numbers, got {fill_value!r}")
        self.fill_value = fill_value

    def get_random_transformation(self, data: Any, training: bool = True, seed: Any = None) -> Any:
        """Which images get a rectangle, where, and what of."""
        if not training:
            return None
        shape, count = ops.shape(self._images(data)), self._count(data)
        height, width = self._size(shape)
        sides = ops.sqrt(self._uniform((count, 2), *self.scale, seed))
        across, down = self._span(width, sides[:, 0], seed), self._span(height, sides[:, 1], seed)
        return {
            "apply_erasing": self._chosen(count, self.factor, seed),
            "batch_masks": self._rectangles(shape, across, down),
            "fill_value": self._filling(shape if len(shape) == 4 else (1, *shape), seed),
        }

    def _filling(self, shape: Sequence[int], seed: Any) -> Tensor:
        if self.fill_value is None:
            noise = random.normal(shape, seed=self.generator if seed is None else seed)
            filling: Any = noise * float(self.value_range[1])
        else:
            filling = np.asarray(self.fill_value, np.float32)
            if filling.ndim and self.data_format == "channels_first":
                filling = filling.reshape(-1, 1, 1)
        return ops.clip(filling, *map(float, self.value_range))

    def transform_images(self, images: TensorLike, transformation: Any = None, training: bool = True) -> Tensor:
        """The images, with or without rectangles."""
        images = ops.cast(images, self.compute_dtype)
        if not training or transformation is None:
            return images
        where = ops.logical_and(transformation["batch_masks"], per_image(transformation["apply_erasing"]))
        return ops.where(where, transformation["fill_value"], images)
