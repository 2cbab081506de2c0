"""Filters of images: blur, edges, and the structural similarity made of blurs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from oxiconv import _core
from oxiconv.ops.arrangement import pad
from oxiconv.ops.convolution import data_format_of, same_padding
from oxiconv.ops.exponential import exp
from oxiconv.ops.image.layout import Images
from oxiconv.ops.reduction import mean
from oxiconv.ops.reduction import sum as total
from oxiconv.symbolic import op
from oxiconv.tensor import ShapeError, Tensor, TensorLike, convert


def _bell(size: int, sigma: Any) -> Tensor:
    """`size` samples of a normal density of deviation `sigma` around their middle, with sum 1."""
    offsets = convert(np.arange(size, dtype=np.float32) - np.float32((size - 1) / 2))
    scaled = offsets / convert(sigma, "float32")
    heights = exp(scaled * scaled * -0.5)
    return heights / total(heights)


def _filtered(x: Tensor, line: Tensor, axis: int, padding: str) -> Tensor:
    """`x`, `[n, h, w, c]`, with `line` moved along axis 1 or 2 over each channel."""
    size, channels = line.shape[0], x.shape[3]
    dims = (size, 1) if axis == 1 else (1, size)
    kernel = _core.broadcast_to(_core.reshape(line, (*dims, 1, 1)), (*dims, 1, channels))
    low, high = same_padding(x.shape[axis], size, 1) if padding == "same" else (0, 0)
    margins = [(low if a == axis else 0, high if a == axis else 0) for a in (1, 2)]
    return _core.conv(x, kernel, [1, 1], [1, 1], [m[0] for m in margins], [m[1] for m in margins], channels)


@op
def gaussian_blur(
    images: TensorLike,
    kernel_size: Sequence[int] = (3, 3),
    sigma: Any = (1.0, 1.0),
    data_format: str | None = None,
) -> Tensor:
    """Images blurred by a normal density, with zeros around them: one pass along each axis.

    Args:
        images: one image or a batch, real.
        kernel_size: rows and columns of the window.
        sigma: deviations across (x) and down (y), which may be traced values.
        data_format: "channels_last" or "channels_first"; None is the configured one.

    Example:
        >>> gaussian_blur([[[0.0], [1.0], [0.0]]], (1, 3), (1.0, 1.0)).numpy().round(3).ravel()
        array([0.274, 0.452, 0.274], dtype=float32)
    """
    given = Images(images, "gaussian_blur", data_format, real=True)
    sizes: tuple[Any, ...] = tuple(kernel_size)
    if len(sizes) != 2 or any(not isinstance(n, int | np.integer) or n < 1 for n in sizes):
        raise ValueError(f"gaussian_blur: expected kernel_size = (rows, columns) of at least 1, got {kernel_size!r}")
    x = given.batch
    for axis in (1, 2):
        x = _filtered(x, _bell(int(sizes[axis - 1]), sigma[2 - axis]), axis, "same")
    return given.restored(x)


@op
def sobel_edges(images: TensorLike, data_format: str | None = None) -> Tensor:
    """Sobel's estimate of the slopes down and across each channel, with images mirrored at their edges.

    Args:
        images: one image or a batch, real.
        data_format: "channels_last" or "channels_first"; None is the configured one.

    Returns:
        The images' shape and an axis of 2: down, across.
    """
    given = Images(images, "sobel_edges", data_format, real=True)
    if min(given.size) < 2:
        raise ShapeError(f"sobel_edges: expected at least 2 rows and columns, got {given.size}")
    x = pad(given.batch, ((0, 0), (1, 1), (1, 1), (0, 0)), "reflect")
    rise, weigh = convert(np.array([-1, 0, 1], np.float32)), convert(np.array([1, 2, 1], np.float32))
    down = _filtered(_filtered(x, rise, 1, "valid"), weigh, 2, "valid")
    across = _filtered(_filtered(x, rise, 2, "valid"), weigh, 1, "valid")
    parts = [given.restored(part) for part in (down, across)]
    return _core.concat([_core.reshape(part, (*part.shape, 1)) for part in parts], parts[0].ndim)


@op
def ssim(
    image1: TensorLike,
    image2: TensorLike,
    max_val: float = 1.0,
    filter_size: int = 11,
    filter_sigma: float = 1.5,
    k1: float = 0.01,
    k2: float = 0.03,
    data_format: str | None = None,
) -> Tensor:
    """Structural similarity of images: 1 for equal ones.

    Wang, Bovik, Sheikh, Simoncelli, Image Quality Assessment: From Error Visibility to Structural Similarity (2004).

    Args:
        image1: one image or a batch.
        image2: the same shape.
        max_val: the largest value that images can have.
        filter_size: rows and columns of the window, at most those of the images.
        filter_sigma: deviation of the window.
        k1: steadies the comparison of means.
        k2: steadies the comparison of deviations.
        data_format: "channels_last" or "channels_first"; None is the configured one.

    Returns:
        The mean over pixels and channels: `[n]`, or a scalar for one image.
    """
    a, b = convert(image1), convert(image2)
    dtype = a.dtype
    if a.shape != b.shape:
        raise ShapeError(f"ssim: expected images of one shape, got {a.shape} and {b.shape}")
    data_format_of(data_format, "ssim")
    first = Images(convert(a, "float32"), "ssim", data_format)
    x, y = first.batch, Images(convert(b, "float32"), "ssim", data_format).batch
    if min(first.size) < filter_size:
        raise ShapeError(f"ssim: expected images of at least {filter_size} rows and columns, got {first.size}")
    line = _bell(filter_size, filter_sigma)

    def blurred(z: Tensor) -> Tensor:
        return _filtered(_filtered(z, line, 1, "valid"), line, 2, "valid")

    c1, c2 = (k1 * max_val) ** 2, (k2 * max_val) ** 2
    mean_x, mean_y = blurred(x), blurred(y)
    both, squares = mean_x * mean_y, mean_x * mean_x + mean_y * mean_y
    shared = blurred(x * y) - both
    spread = blurred(x * x + y * y) - squares
    similar = (2.0 * both + c1) * (2.0 * shared + c2) / ((squares + c1) * (spread + c2))
    result = mean(similar, axis=(1, 2, 3))
    return convert(_core.reshape(result, ()) if first.single else result, dtype)
