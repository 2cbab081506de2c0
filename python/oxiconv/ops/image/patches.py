"""Parts of images: patches, crops and margins."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from oxiconv import _core
from oxiconv.ops.convolution import data_format_of, from_last, paddings, to_last, tuple_of
from oxiconv.ops.image.layout import Images
from oxiconv.symbolic import op
from oxiconv.tensor import ShapeError, Tensor, TensorLike, convert

Sizes = int | Sequence[int]


@op
def extract_patches(
    images: TensorLike,
    size: Sizes,
    strides: Sizes | None = None,
    dilation_rate: Sizes = 1,
    padding: str = "valid",
    data_format: str | None = None,
) -> Tensor:
    """Patches of images, each laid out along the channels: (row, column, channel), the last fastest.

    Args:
        images: one image or a batch; with three sizes, volumes as `extract_patches_3d` takes them.
        size: rows and columns of a patch, or one number for both.
        strides: from one patch to the next; None is `size`.
        dilation_rate: from one pixel of a patch to the next.
        padding: "valid", or "same" for zeros around the images.
        data_format: "channels_last" or "channels_first"; None is the configured one.

    Example:
        >>> extract_patches([[[1.0], [2.0], [3.0], [4.0]]], (1, 2)).numpy().tolist()
        [[[1.0, 2.0], [3.0, 4.0]]]
    """
    if not isinstance(size, int) and len(tuple(size)) == 3:
        return extract_patches_3d(images, size, strides, dilation_rate, padding, data_format)
    return _patches(images, size, strides, dilation_rate, padding, data_format, "extract_patches", 2)


@op
def extract_patches_3d(
    volumes: TensorLike,
    size: Sizes,
    strides: Sizes | None = None,
    dilation_rate: Sizes = 1,
    padding: str = "valid",
    data_format: str | None = None,
) -> Tensor:
    """Patches of volumes `[n, d, h, w, c]` or `[d, h, w, c]`. Arguments: see `extract_patches`."""
    return _patches(volumes, size, strides, dilation_rate, padding, data_format, "extract_patches_3d", 3)


def _patches(
    images: TensorLike,
    size: Sizes,
    strides: Sizes | None,
    dilation_rate: Sizes,
    padding: str,
    data_format: str | None,
    name: str,
    rank: int,
) -> Tensor:
    given = convert(images)
    if given.ndim not in (rank + 1, rank + 2):
        raise ShapeError(f"{name}: expected images with {rank + 1} or {rank + 2} axes, got shape {given.shape}")
    data_format = data_format_of(data_format, name)
    single = given.ndim == rank + 1
    x = to_last(_core.reshape(given, (1, *given.shape)) if single else given, data_format)
    sizes = tuple_of(size, rank, name, "size")
    steps = tuple_of(size if strides is None else strides, rank, name, "strides")
    dilation = tuple_of(dilation_rate, rank, name, "dilation_rate")
    low, high = paddings(padding, x.shape[1:-1], sizes, steps, dilation, name)
    x = _core.pad(x, [0, *low, 0], [0, *high, 0], [0] * x.ndim)
    reach = [(k - 1) * d + 1 for k, d in zip(sizes, dilation, strict=True)]
    if any(n < r for n, r in zip(x.shape[1:-1], reach, strict=True)):
        raise ShapeError(f"{name}: expected images of at least {tuple(reach)} pixels, got shape {given.shape}")
    counts = [(n - r) // s + 1 for n, r, s in zip(x.shape[1:-1], reach, steps, strict=True)]
    parts = []
    for at in np.ndindex(*sizes):
        start = [i * d for i, d in zip(at, dilation, strict=True)]
        stop = [a + (m - 1) * s + 1 for a, m, s in zip(start, counts, steps, strict=True)]
        parts.append(_core.slice(x, [0, *start, 0], [x.shape[0], *stop, x.shape[-1]], [1, *steps, 1]))
    y = from_last(_core.concat(parts, x.ndim - 1), data_format)
    return _core.reshape(y, y.shape[1:]) if single else y


def _margins(
    name: str, what: str, size: int, before: int | None, after: int | None, target: int | None, grows: bool
) -> tuple[int, int]:
    """Pixels before and after along an axis, of which exactly one, or the target size, is not given."""
    if [before, after, target].count(None) != 1:
        raise ValueError(f"{name}: expected exactly two of {what}, got {before}, {after} and {target}")
    if any(v is not None and v < 0 for v in (before, after, target)):
        raise ValueError(f"{name}: expected {what} of at least 0, got {before}, {after} and {target}")
    if target is not None:
        room = target - size if grows else size - target
        before = room - (after or 0) if before is None else before
        after = room - before if after is None else after
    assert before is not None
    assert after is not None
    if before < 0 or after < 0 or (not grows and before + after > size):
        raise ValueError(f"{name}: expected {what} that fit a size of {size}, got {before}, {after} and {target}")
    return before, after


@op
def pad_images(
    images: TensorLike,
    top_padding: int | None = None,
    left_padding: int | None = None,
    bottom_padding: int | None = None,
    right_padding: int | None = None,
    target_height: int | None = None,
    target_width: int | None = None,
    data_format: str | None = None,
) -> Tensor:
    """Images with zeros around them: two of top, bottom and target height, two of left, right and target width.

    >>> pad_images([[[1.0]]], 0, 1, target_height=1, target_width=3).numpy().ravel().tolist()
    [0.0, 1.0, 0.0]
    """
    given = Images(images, "pad_images", data_format)
    height, width = given.size
    down = _margins(
        "pad_images", "top_padding, bottom_padding and target_height", height, top_padding, bottom_padding,
        target_height, grows=True,
    )  # fmt: skip
    across = _margins(
        "pad_images", "left_padding, right_padding and target_width", width, left_padding, right_padding,
        target_width, grows=True,
    )  # fmt: skip
    low, high = zip(down, across, strict=True)
    return given.map(lambda x: _core.pad(x, [0, *low, 0], [0, *high, 0], [0] * 4))


@op
def crop_images(
    images: TensorLike,
    top_cropping: int | None = None,
    left_cropping: int | None = None,
    bottom_cropping: int | None = None,
    right_cropping: int | None = None,
    target_height: int | None = None,
    target_width: int | None = None,
    data_format: str | None = None,
) -> Tensor:
    """Parts of images: two of top, bottom and target height, two of left, right and target width.

    >>> crop_images([[[1.0], [2.0], [3.0]]], 0, 1, target_height=1, target_width=2).numpy().ravel().tolist()
    [2.0, 3.0]
    """
    given = Images(images, "crop_images", data_format)
    height, width = given.size
    top, bottom = _margins(
        "crop_images", "top_cropping, bottom_cropping and target_height", height, top_cropping, bottom_cropping,
        target_height, grows=False,
    )  # fmt: skip
    left, right = _margins(
        "crop_images", "left_cropping, right_cropping and target_width", width, left_cropping, right_cropping,
        target_width, grows=False,
    )  # fmt: skip
    return given.map(lambda x: x[:, top : height - bottom, left : width - right])
