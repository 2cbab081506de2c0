"""Images as patches, and channels as space."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from oxiconv import _core
from oxiconv.ops.convolution import data_format_of, positive, to_last, tuple_of
from oxiconv.ops.promotion import numbers
from oxiconv.symbolic import op
from oxiconv.tensor import ShapeError, Tensor, TensorLike, convert

Pair = int | Sequence[int]


@op
def depth_to_space(x: TensorLike, block_size: int, data_format: str | None = "channels_last") -> Tensor:
    """Each group of `block_size²` channels as a block of pixels: sub-pixel shuffling.

    `[n, h, w, c * b * b]` to `[n, h * b, w * b, c]`; with "channels_first", `[n, c * b * b, h, w]`.

    >>> depth_to_space([[[[1, 2, 3, 4]]]], 2).numpy().tolist()
    [[[[1], [2]], [[3], [4]]]]
    """
    x, data_format, b = _image(x, block_size, data_format, "depth_to_space")
    n, h, w, c = to_last(x, data_format).shape
    if c % (b * b):
        raise ShapeError(f"depth_to_space: expected a multiple of {b * b} channels, got {c}")
    depth = c // (b * b)
    if data_format == "channels_last":
        blocks = _core.permute(_core.reshape(x, (n, h, w, b, b, depth)), [0, 1, 3, 2, 4, 5])
        return _core.reshape(blocks, (n, h * b, w * b, depth))
    blocks = _core.permute(_core.reshape(x, (n, b, b, depth, h, w)), [0, 3, 4, 1, 5, 2])
    return _core.reshape(blocks, (n, depth, h * b, w * b))


@op
def space_to_depth(x: TensorLike, block_size: int, data_format: str | None = "channels_last") -> Tensor:
    """Each block of pixels as `block_size²` groups of channels: undoes `depth_to_space`.

    >>> space_to_depth([[[[1], [2]], [[3], [4]]]], 2).numpy().tolist()
    [[[[1, 2, 3, 4]]]]
    """
    x, data_format, b = _image(x, block_size, data_format, "space_to_depth")
    n, h, w, c = to_last(x, data_format).shape
    if h % b or w % b:
        raise ShapeError(f"space_to_depth: expected height and width that {b} divides, got {h} and {w}")
    if data_format == "channels_last":
        blocks = _core.permute(_core.reshape(x, (n, h // b, b, w // b, b, c)), [0, 1, 3, 2, 4, 5])
        return _core.reshape(blocks, (n, h // b, w // b, b * b * c))
    blocks = _core.permute(_core.reshape(x, (n, c, h // b, b, w // b, b)), [0, 3, 5, 1, 2, 4])
    return _core.reshape(blocks, (n, b * b * c, h // b, w // b))


def _image(x: Any, block_size: Any, data_format: str | None, name: str) -> tuple[Tensor, str, int]:
    x = convert(x)
    if x.ndim != 4:
        raise ShapeError(f"{name}: expected images with 4 axes, got shape {x.shape}")
    return x, data_format_of(data_format, name), positive(block_size, name, "block_size")


def _patches(
    name: str, size: Sequence[int], kernel: Pair, dilation: Pair, padding: Pair, stride: Pair
) -> tuple[Tensor, tuple[int, int], tuple[int, int]]:
    """Places in the flattened padded image of `[taps, patches]`; its sizes and the padding."""
    k, d = tuple_of(kernel, 2, name, "kernel_size"), tuple_of(dilation, 2, name, "dilation")
    p, s = tuple_of(padding, 2, name, "padding", 0), tuple_of(stride, 2, name, "stride")
    padded = (size[0] + 2 * p[0], size[1] + 2 * p[1])
    counts = [(padded[a] - d[a] * (k[a] - 1) - 1) // s[a] + 1 for a in range(2)]
    if min(counts) < 1:
        raise ShapeError(f"{name}: expected an image of at least the kernel {k}, got {tuple(size)} with padding {p}")
    rows, columns = (
        np.arange(k[a], dtype=np.int32)[:, None] * d[a] + np.arange(counts[a], dtype=np.int32) * s[a] for a in range(2)
    )
    places = rows[:, None, :, None] * padded[1] + columns[None, :, None, :]
    return convert(places.reshape(k[0] * k[1], counts[0] * counts[1])), padded, (p[0], p[1])


@op
def unfold(x: TensorLike, kernel_size: Pair, dilation: Pair = 1, padding: Pair = 0, stride: Pair = 1) -> Tensor:
    """Patches of images as columns: `[n, c, h, w]` to `[n, c * kernel height * kernel width, patches]`.

    >>> unfold([[[[1, 2], [3, 4]]]], (1, 2)).numpy().tolist()
    [[[1, 3], [2, 4]]]
    """
    x = convert(x)
    if x.ndim != 4:
        raise ShapeError(f"unfold: expected images [n, c, h, w], got shape {x.shape}")
    n, c, h, w = x.shape
    places, (tall, wide), (top, left) = _patches("unfold", (h, w), kernel_size, dilation, padding, stride)
    if top or left:
        x = _core.pad(x, [0, 0, top, left], [0, 0, top, left], [0] * 4)
    taken = _core.gather(_core.reshape(x, (n, c, tall * wide)), places, 2)
    return _core.reshape(taken, (n, c * places.shape[0], places.shape[1]))


@op
def fold(
    x: TensorLike, output_size: Pair, kernel_size: Pair, dilation: Pair = 1, padding: Pair = 0, stride: Pair = 1
) -> Tensor:
    """Images as sums of patches: `[n, c * kernel height * kernel width, patches]` to `[n, c, *output_size]`.

    The transpose of `unfold`: where patches overlap, they add up.

    >>> fold([[[1, 3], [2, 4]]], (2, 2), (1, 2)).numpy().tolist()
    [[[[1, 2], [3, 4]]]]
    """
    x = numbers(x)
    if x.ndim != 3:
        raise ShapeError(f"fold: expected patches [n, c * taps, patches], got shape {x.shape}")
    h, w = tuple_of(output_size, 2, "fold", "output_size")
    places, (tall, wide), (top, left) = _patches("fold", (h, w), kernel_size, dilation, padding, stride)
    taps, count = places.shape
    n, depth, given = x.shape
    if depth % taps or given != count:
        raise ShapeError(f"fold: expected [n, a multiple of {taps}, {count}], got shape {x.shape}")
    c = depth // taps
    image = _core.scatter_add(_core.reshape(x, (n, c, taps, count)), places, 2, tall * wide)
    image = _core.reshape(image, (n, c, tall, wide))
    return _core.slice(image, [0, 0, top, left], [n, c, top + h, left + w], [1] * 4)
