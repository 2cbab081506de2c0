"""Layers that spread the values of images by their histograms."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from oxiconv import ops
from oxiconv.layers.preprocessing.image_layer import BaseImagePreprocessingLayer, rescaled, value_range_of
from oxiconv.tensor import Tensor, TensorLike


def _counts(bins: Tensor, number: int) -> Tensor:
    """How often each of the numbers below `number` is in the last axis: float32."""
    lines = ops.reshape(bins, (-(-bins.size // bins.shape[-1]), bins.shape[-1]))
    places = ops.add(ops.multiply(np.arange(lines.shape[0], dtype=np.int32)[:, None], number), lines)
    ones = np.ones(lines.shape, np.float32)
    flat = ops.scatter(ops.reshape(places, (-1, 1)), ones.reshape(-1), (lines.shape[0] * number,))
    return ops.reshape(flat, (*bins.shape[:-1], number))


class Equalization(BaseImagePreprocessingLayer):
    """In training, makes all values of each channel about as frequent, over the whole batch together.

    Args:
        value_range: the smallest and the largest value of images.
        bins: how many values are told apart.
        data_format: "channels_last" or "channels_first"; None is the configured one.
        **kwargs: those of `BaseImagePreprocessingLayer`.
    """

    config_fields: ClassVar[tuple[str, ...]] = ("bins", "value_range")

    def __init__(
        self,
        value_range: Sequence[float] = (0, 255),
        bins: int = 256,
        data_format: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(data_format=data_format, **kwargs)
        if bins < 2:
            raise ValueError(f"{self._label}: expected at least 2 bins, got {bins!r}")
        self.bins = bins
        self.value_range = value_range_of(value_range, self._label)

    def transform_images(self, images: TensorLike, transformation: Any = None, training: bool = True) -> Tensor:
        """The images with equalized channels."""
        images = ops.cast(images, self.compute_dtype)
        if not training:
            return images
        axis = images.ndim - 1 if self.data_format == "channels_last" else images.ndim - 3
        x = ops.moveaxis(rescaled(images, self.value_range, (0, 255)), axis, 0)
        lines = ops.reshape(x, (x.shape[0], -1))
        index = ops.clip(ops.cast(lines * ((self.bins - 1) / 255.0), "int32"), 0, self.bins - 1)
        histogram = _counts(index, self.bins)
        running = ops.cumsum(histogram, axis=-1)
        # The count of the first value that is there at all.
        least = ops.min(ops.where(running > 0.0, running, float(lines.shape[1])), axis=-1, keepdims=True)
        rest = running[:, -1:] - least
        table = ops.clip(ops.round((running - least) * 255.0 / ops.where(rest == 0.0, 1.0, rest)), 0.0, 255.0)
        equal = ops.take_along_axis(table, index, axis=-1)
        constant = ops.sum(ops.cast(histogram > 0.0, "float32"), axis=-1, keepdims=True) <= 1.0
        y = ops.reshape(ops.where(constant, lines, equal), x.shape)
        return ops.moveaxis(rescaled(y, (0, 255), self.value_range), 0, axis)


class ContrastLimitedAdaptiveHistogramEqualization(BaseImagePreprocessingLayer):
    """Equalizes images tile by tile, with limited slopes, and blends the tiles: CLAHE. In training or not.

    Zuiderveld, Contrast Limited Adaptive Histogram Equalization (1994).

    Args:
        value_range: the smallest and the largest value of images.
        clip_limit: how much more frequent than on average a value may count; 0 does not limit.
        tile_grid_size: tiles down and across.
        data_format: "channels_last" or "channels_first"; None is the configured one.
        **kwargs: those of `BaseImagePreprocessingLayer`.
    """

    config_fields: ClassVar[tuple[str, ...]] = ("value_range", "clip_limit", "tile_grid_size")

    def __init__(
        self,
        value_range: Sequence[float] = (0, 255),
        clip_limit: float = 4.0,
        tile_grid_size: Sequence[int] = (8, 8),
        data_format: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(data_format=data_format, **kwargs)
        self.value_range = value_range_of(value_range, self._label)
        self.clip_limit = clip_limit
        grid: tuple[Any, ...] = tuple(tile_grid_size)
        if len(grid) != 2 or any(not isinstance(n, int) or n < 1 for n in grid):
            raise ValueError(f"{self._label}: expected tile_grid_size as two whole numbers, got {tile_grid_size!r}")
        self.tile_grid_size = grid

    def transform_images(self, images: TensorLike, transformation: Any = None, training: bool = True) -> Tensor:
        """The images, equalized."""
        given = ops.convert_to_tensor(images)
        x = rescaled(ops.cast(given, "float32"), self.value_range, (0, 255))
        first = self.data_format == "channels_first"
        y = self._equalized(ops.transpose(x, (0, 2, 3, 1)) if first else x)
        y = rescaled(ops.transpose(y, (0, 3, 1, 2)) if first else y, (0, 255), self.value_range)
        return ops.cast(y, given.dtype)

    def _equalized(self, x: Tensor) -> Tensor:
        n, height, width, channels = x.shape
        down, across = self.tile_grid_size
        rows, columns = -(-height // down), -(-width // across)
        margins = ((0, 0), (0, rows * down - height), (0, columns * across - width), (0, 0))
        levels = ops.clip(ops.cast(ops.pad(x, margins, "symmetric"), "int32"), 0, 255)
        tiles = ops.reshape(levels, (n, down, rows, across, columns, channels))
        tiles = ops.reshape(ops.transpose(tiles, (0, 1, 3, 5, 2, 4)), (n, down, across, channels, rows * columns))
        table = self._table(_counts(tiles, 256), float(rows * columns))
        # Half a tile beyond the outer tiles' middles, those count alone.
        table = ops.pad(table, ((0, 0), (1, 1), (1, 1), (0, 0), (0, 0)), "edge")
        result: Any = 0.0
        lines = ops.reshape(table, (n, (down + 2) * (across + 2) * channels * 256))
        for tile_y, weight_y in _neighbours(rows, down):
            for tile_x, weight_x in _neighbours(columns, across):
                tile = (tile_y[:, None, None] * (across + 2) + tile_x[None, :, None]) * channels
                place = (tile + np.arange(channels)) * 256
                index = ops.reshape(ops.add(place[None].astype(np.int32), levels), (n, -1))
                value = ops.reshape(ops.take_along_axis(lines, index, axis=1), levels.shape)
                result = result + value * (weight_y[:, None, None] * weight_x[None, :, None])[None]
        cut: Tensor = result[:, :height, :width]
        return cut

    def _table(self, histogram: Tensor, pixels: float) -> Tensor:
        """What each value becomes in each tile: `[.., 256]`."""
        if self.clip_limit > 0:
            limited = ops.minimum(histogram, self.clip_limit * pixels / 256.0)
            histogram = limited + ops.sum(histogram - limited, axis=-1, keepdims=True) / 256.0
        running = ops.cumsum(histogram, axis=-1)
        least = ops.min(running, axis=-1, keepdims=True)
        rest = pixels - least
        return ops.clip((running - least) * 255.0 / ops.where(rest == 0.0, 1.0, rest), 0.0, 255.0)


def _neighbours(size: int, tiles: int) -> list[tuple[Any, Any]]:
    """For each pixel along an axis the tiles before and after, counted with one more at each end, and their weights."""
    place = (np.arange(size * tiles) - size / 2.0) / size + 1.0
    before = np.floor(place).astype(np.int64)
    after = (place - before).astype(np.float32)
    ends = (0, tiles + 1)
    return [(before.clip(*ends), 1.0 - after), ((before + 1).clip(*ends), after)]
