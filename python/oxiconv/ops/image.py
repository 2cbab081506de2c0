"""Functions of images: Keras's `ops.image`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from oxiconv import _core
from oxiconv.ops.convolution import data_format_of, from_last, positive, to_last
from oxiconv.ops.products import matmul
from oxiconv.symbolic import op
from oxiconv.tensor import ShapeError, Tensor, TensorLike, convert

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["resize"]


def _weights(size: int, new: int, interpolation: str, antialias: bool) -> NDArray[Any]:
    """The matrix `[new, size]` that resamples an axis, with pixels as unit intervals: half-pixel centres."""
    scale = size / new
    centres = (np.arange(new) + 0.5) * scale - 0.5
    if interpolation == "nearest":
        nearest = np.minimum(np.floor(centres + 0.5).astype(np.int64), size - 1)
        chosen: NDArray[Any] = np.eye(size, dtype=np.float32)[nearest]
        return chosen
    # Triangles of half-width 1, or wide enough to average all pixels that shrinking merges.
    width = max(scale, 1.0) if antialias else 1.0
    centres = centres if antialias else centres.clip(0, size - 1)
    triangle = np.maximum(0.0, 1.0 - np.abs(np.arange(size) - centres[:, None]) / width)
    weights: NDArray[Any] = (triangle / triangle.sum(1, keepdims=True)).astype(np.float32)
    return weights


@op
def resize(
    images: TensorLike,
    size: Sequence[int],
    interpolation: str = "bilinear",
    antialias: bool = False,
    data_format: str | None = None,
) -> Tensor:
    """Images `[n, h, w, c]` or `[h, w, c]` resampled to `size` = (height, width): one matrix product per axis.

    `interpolation` is "bilinear" or "nearest"; `antialias` averages what shrinking merges.

    Example:
        >>> resize([[[1.0], [3.0]]], (1, 4)).numpy().ravel().tolist()
        [1.0, 1.5, 2.5, 3.0]
    """
    x = given = convert(images, "float32")
    if x.ndim not in (3, 4):
        raise ShapeError(f"resize: expected images with 3 or 4 axes, got shape {x.shape}")
    if len(tuple(size)) != 2:
        raise ValueError(f"resize: expected size (height, width), got {size!r}")
    height, width = (positive(n, "resize", "height and width") for n in size)
    if interpolation not in ("bilinear", "nearest"):
        raise ValueError(f"resize: expected interpolation 'bilinear' or 'nearest', got {interpolation!r}")
    data_format = data_format_of(data_format, "resize")
    x = to_last(_core.reshape(x, (1, *x.shape)) if x.ndim == 3 else x, data_format)
    n, h, w, c = x.shape
    if 0 in (h, w):
        raise ShapeError(f"resize: expected images with pixels, got shape {given.shape}")
    arguments: tuple[Any, ...] = (interpolation, antialias)
    if height != h:
        rows = matmul(convert(_weights(h, height, *arguments)), _core.reshape(x, (n, h, w * c)))
        x = _core.reshape(rows, (n, height, w, c))
    if width != w:
        x = matmul(convert(_weights(w, width, *arguments)), x)
    y = from_last(x, data_format)
    return _core.reshape(y, y.shape[1:]) if given.ndim == 3 else y
