"""Images as a batch with channels last, whatever they are given as."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from oxiconv import _core
from oxiconv.dtype import is_float
from oxiconv.ops.convolution import data_format_of, from_last, to_last
from oxiconv.tensor import DTypeError, ShapeError, Tensor, convert

if TYPE_CHECKING:
    from collections.abc import Callable


class Images:
    """Images `[n, h, w, c]` of one image or a batch in some data format, and the way back.

    >>> images = Images([[[1], [2]]], "resize", "channels_last")
    >>> images.batch.shape, images.restored(images.batch).shape
    ((1, 1, 2, 1), (1, 2, 1))
    """

    def __init__(self, images: Any, name: str, data_format: str | None, real: bool = False) -> None:
        given = convert(images)
        if given.ndim not in (3, 4):
            raise ShapeError(f"{name}: expected images with 3 or 4 axes, got shape {given.shape}")
        if real and not is_float(given.dtype):
            raise DTypeError(f"{name}: expected images of a real dtype, got {given.dtype}")
        self.data_format = data_format_of(data_format, name)
        self.dtype = given.dtype
        self.single = given.ndim == 3
        batch = _core.reshape(given, (1, *given.shape)) if self.single else given
        self.batch = to_last(batch, self.data_format)
        if 0 in self.batch.shape[1:3]:
            raise ShapeError(f"{name}: expected images with pixels, got shape {given.shape}")

    @property
    def size(self) -> tuple[int, int]:
        """Height and width."""
        return self.batch.shape[1], self.batch.shape[2]

    def restored(self, batch: Tensor) -> Tensor:
        """`batch`, which is `[n, h, w, c]`, in the form the images had."""
        y = from_last(batch, self.data_format)
        return _core.reshape(y, y.shape[1:]) if self.single else y

    def map(self, function: Callable[[Tensor], Tensor]) -> Tensor:
        """`function` of the images, in the form they had."""
        return self.restored(function(self.batch))
