"""Resampling along the axes of images: resize, and scale with a translation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from oxiconv import _core
from oxiconv.dtype import is_float
from oxiconv.ops.arrangement import pad, repeat
from oxiconv.ops.core import saturate_cast
from oxiconv.ops.image.kernels import KERNELS, Kernel
from oxiconv.ops.image.layout import Images
from oxiconv.ops.products import matmul
from oxiconv.ops.promotion import widened
from oxiconv.ops.rounding import round as nearest_whole
from oxiconv.symbolic import op
from oxiconv.tensor import Tensor, TensorLike, convert

if TYPE_CHECKING:
    from numpy.typing import NDArray

INTERPOLATIONS = ("nearest", "bilinear", "bicubic", "lanczos3", "lanczos5", "area")
# A product with a matrix of mostly zeros costs more than gathers and a sum for two source pixels a result, and for
# four where its columns, the channels, are few.
_NARROW = 16


class _Axis:
    """How an axis is resampled: for each result the source pixels `[new, taps]` and their weights."""

    def __init__(self, index: NDArray[Any], weights: NDArray[Any], size: int) -> None:
        inside = (index >= 0) & (index < size)
        weights = np.where(inside, weights, 0.0)
        self.size = size
        self.index: NDArray[Any] = np.clip(index, 0, size - 1)
        self.weights: NDArray[Any] = (weights / weights.sum(1, keepdims=True)).astype(np.float32)

    @property
    def matrix(self) -> NDArray[Any]:
        """The weights as a matrix `[new, size]`."""
        dense = np.zeros((len(self.index), self.size), np.float32)
        np.add.at(dense, (np.arange(len(self.index))[:, None], self.index), self.weights)
        return dense

    def __call__(self, x: Tensor, axis: int) -> Tensor:
        """`x`, `[n, h, w, c]`, resampled along axis 1 or 2."""
        taps = self.index.shape[1]
        if taps > (4 if x.shape[3] < _NARROW else 2):
            n, h, w, c = x.shape
            if axis == 2:
                return matmul(convert(self.matrix), x)
            rows = matmul(convert(self.matrix), _core.reshape(x, (n, h, w * c)))
            return _core.reshape(rows, (n, len(self.index), w, c))
        total: Tensor | None = None
        for tap in range(taps):
            part = _core.gather(x, convert(np.ascontiguousarray(self.index[:, tap], np.int32)), axis)
            weights = np.expand_dims(self.weights[:, tap], tuple(range(1, 4 - axis)))
            term = _core.binary("mul", part, convert(weights))
            total = term if total is None else _core.binary("add", total, term)
        assert total is not None
        return total


def _kernel_axis(size: int, new: int, kernel: Kernel, antialias: bool) -> _Axis:
    """Pixels are unit intervals: the centre of result i is at (i + 1/2) size / new - 1/2 of the source."""
    scale = size / new
    width = max(scale, 1.0) if antialias else 1.0
    centres = (np.arange(new) + 0.5) * scale - 0.5
    first = np.floor(centres - kernel.radius * width).astype(np.int64) + 1
    index = first[:, None] + np.arange(int(np.ceil(2 * kernel.radius * width)))
    return _Axis(index, kernel.weights(np.abs(index - centres[:, None]) / width), size)


def _area_axis(size: int, new: int) -> _Axis:
    """Weights are the lengths of the source pixels within a result's interval."""
    scale = size / new
    starts = np.arange(new) * scale
    index = np.floor(starts).astype(np.int64)[:, None] + np.arange(int(np.ceil(scale)) + 1)
    covered = np.minimum(index + 1, (starts + scale)[:, None]) - np.maximum(index, starts[:, None])
    return _Axis(index, np.maximum(covered, 0.0), size)


def _nearest(x: Tensor, new: int, axis: int) -> Tensor:
    size = x.shape[axis]
    if new % size == 0:
        return repeat(x, new // size, axis)
    if size % new == 0:
        step = size // new
        start = [step // 2 if a == axis else 0 for a in range(4)]
        return _core.slice(x, start, x.shape, [step if a == axis else 1 for a in range(4)])
    # In float32, where halves that are exact only on paper fall to the side that Keras has them on.
    places = np.floor((np.arange(new, dtype=np.float32) + np.float32(0.5)) * (np.float32(size) / np.float32(new)))
    return _core.gather(x, convert(np.minimum(places, size - 1).astype(np.int32)), axis)


def _resampled(x: Tensor, size: tuple[int, int], interpolation: str, antialias: bool) -> Tensor:
    # The axis that shrinks most goes first: the other then has less to do.
    for axis in sorted((1, 2), key=lambda a: size[a - 1] / x.shape[a]):
        old, new = x.shape[axis], size[axis - 1]
        if old == new:
            continue
        if interpolation == "nearest":
            x = _nearest(x, new, axis)
        elif interpolation == "area":
            x = _area_axis(old, new)(x, axis)
        else:
            x = _kernel_axis(old, new, KERNELS[interpolation], antialias)(x, axis)
    return x


def aspect_margins(height: int, width: int, target: tuple[int, int], crops: bool) -> tuple[int, int, int, int]:
    """The part (`crops`) or frame of an image that has the aspect of `target`: first row and column, then the size."""
    choose = min if crops else max
    # As float32 has it, which the sizes come from in Keras.
    rows = max(choose(height, int(np.float32(width * target[0]) / np.float32(target[1]))), 1)
    columns = max(choose(width, int(np.float32(height * target[1]) / np.float32(target[0]))), 1)
    return abs(height - rows) // 2, abs(width - columns) // 2, rows, columns


@op
@widened
def resize(
    images: TensorLike,
    size: Sequence[int],
    interpolation: str = "bilinear",
    antialias: bool = False,
    crop_to_aspect_ratio: bool = False,
    pad_to_aspect_ratio: bool = False,
    fill_mode: str = "constant",
    fill_value: float = 0.0,
    data_format: str | None = None,
) -> Tensor:
    """Images `[n, h, w, c]` or `[h, w, c]` resampled to `size` = (height, width), one axis after the other.

    Args:
        images: one image or a batch. Whole numbers are rounded and limited to their type's range.
        size: height and width of the result.
        interpolation: "nearest", "bilinear", "bicubic" (Keys, a = -1/2), "lanczos3", "lanczos5" or "area".
        antialias: whether shrinking averages all pixels that it merges; for kernels from bilinear on.
        crop_to_aspect_ratio: whether the middle part of the aspect of `size` is resized.
        pad_to_aspect_ratio: whether margins of `fill_value` give the images the aspect of `size` before.
        fill_mode: "constant", the one way to fill margins.
        fill_value: value of the margins.
        data_format: "channels_last" or "channels_first"; None is the configured one.

    Example:
        >>> resize([[[1.0], [3.0]]], (1, 4)).numpy().ravel().tolist()
        [1.0, 1.5, 2.5, 3.0]
    """
    target = _size(size)
    if interpolation not in INTERPOLATIONS:
        raise ValueError(f"resize: expected interpolation {', '.join(INTERPOLATIONS)}, got {interpolation!r}")
    if fill_mode != "constant":
        raise ValueError(f"resize: expected fill_mode 'constant', got {fill_mode!r}")
    if crop_to_aspect_ratio and pad_to_aspect_ratio:
        raise ValueError("resize: expected one of crop_to_aspect_ratio and pad_to_aspect_ratio at most, got both")
    given = Images(images, "resize", data_format)
    x, (height, width) = given.batch, given.size
    if crop_to_aspect_ratio:
        top, left, rows, columns = aspect_margins(height, width, target, crops=True)
        x = x[:, top : top + rows, left : left + columns]
    elif pad_to_aspect_ratio:
        # As in Keras, both margins have the width that the first one has, so an odd row or column is left out.
        top, left, _, _ = aspect_margins(height, width, target, crops=False)
        x = pad(x, ((0, 0), (top, top), (left, left), (0, 0)), "constant", constant_values=fill_value)
    whole = not is_float(given.dtype) and interpolation != "nearest"
    y = _resampled(convert(x, "float32") if whole else x, target, interpolation, antialias)
    return given.restored(saturate_cast(nearest_whole(y), given.dtype) if whole else y)


def _size(size: Sequence[int]) -> tuple[int, int]:
    sizes: tuple[Any, ...] = tuple(size)
    if len(sizes) != 2 or any(isinstance(n, bool) or not isinstance(n, int | np.integer) or n < 1 for n in sizes):
        raise ValueError(f"resize: expected size = (height, width), whole numbers of at least 1, got {size!r}")
    return int(sizes[0]), int(sizes[1])


@op
def scale_and_translate(
    images: TensorLike,
    output_shape: Sequence[int],
    scale: TensorLike,
    translation: TensorLike,
    spatial_dims: Sequence[int],
    method: str,
    antialias: bool = True,
) -> Tensor:
    """Images scaled, then moved, along the axes `spatial_dims`: a matrix product per axis.

    Args:
        images: any number of axes. Whole numbers are rounded and limited to the images' range.
        output_shape: sizes of the result.
        scale: a factor per axis of `spatial_dims`.
        translation: pixels of the result that each of the axes is moved by.
        spatial_dims: the axes.
        method: "linear", "bilinear", "trilinear", "cubic", "bicubic", "tricubic", "lanczos3" or "lanczos5".
        antialias: whether shrinking averages all pixels that it merges.

    Example:
        >>> x = [[[1.0], [3.0]]]
        >>> scale_and_translate(x, (1, 4, 1), [2.0], [0.0], (1,), "linear").numpy().ravel().tolist()
        [1.0, 1.5, 2.5, 3.0]
    """
    names = {"lanczos3": "lanczos3", "lanczos5": "lanczos5"}
    names |= dict.fromkeys(("linear", "bilinear", "trilinear", "triangle"), "bilinear")
    names |= dict.fromkeys(("cubic", "bicubic", "tricubic"), "bicubic")
    if method not in names:
        raise ValueError(f"scale_and_translate: expected method {', '.join(names)}, got {method!r}")
    x = given = convert(images)
    if len(tuple(output_shape)) != x.ndim:
        raise ValueError(f"scale_and_translate: expected {x.ndim} sizes as output_shape, got {output_shape!r}")
    x = convert(x, "float32")
    scales, moves = convert(scale, "float32"), convert(translation, "float32")
    for place, dim in enumerate(spatial_dims):
        axis = range(x.ndim)[dim]
        weights = _traced_weights(
            x.shape[axis], int(output_shape[axis]), scales[place], moves[place], KERNELS[names[method]], antialias
        )
        lines = _core.permute(x, [a for a in range(x.ndim) if a != axis] + [axis])
        y = matmul(_core.reshape(lines, (-(-x.size // x.shape[axis]), x.shape[axis])), weights)
        y = _core.reshape(y, (*lines.shape[:-1], int(output_shape[axis])))
        order = list(range(x.ndim - 1))
        order.insert(axis, x.ndim - 1)
        x = _core.permute(y, order)
    if is_float(given.dtype):
        return x
    from oxiconv.ops.elementwise import clip
    from oxiconv.ops.reduction import max as largest
    from oxiconv.ops.reduction import min as smallest

    return convert(clip(nearest_whole(x), smallest(given), largest(given)), given.dtype)


def _traced_weights(size: int, new: int, scale: Tensor, move: Tensor, kernel: Kernel, antialias: bool) -> Tensor:
    """The matrix `[size, new]` for a scale and a translation that may be values of a traced step."""
    from oxiconv.ops.comparison import where
    from oxiconv.ops.elementwise import absolute, maximum
    from oxiconv.ops.reduction import sum as total

    width: Any = maximum(1.0 / scale, 1.0) if antialias else 1.0
    centres = (convert(np.arange(new, dtype=np.float32) + 0.5) - move) / scale - 0.5
    weights = kernel.traced(absolute(centres - convert(np.arange(size, dtype=np.float32)[:, None])) / width)
    sums = total(weights, axis=0, keepdims=True)
    enough = absolute(sums) > 1000.0 * float(np.finfo(np.float32).eps)
    weights = where(enough, weights / where(sums == 0.0, 1.0, sums), 0.0)
    return where((centres >= -0.5) & (centres <= size - 0.5), weights, 0.0)
