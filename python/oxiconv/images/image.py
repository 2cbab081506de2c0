"""A picture as a small object, for use where Pillow is not installed."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from oxiconv import _core
from oxiconv.images.files import encode_image, read_image

_CHANNELS: Final = {"L": 1, "LA": 2, "RGB": 3, "RGBA": 4}
_MODES: Final = {channels: mode for mode, channels in _CHANNELS.items()}
FILTERS: Final = ("nearest", "box", "bilinear", "hamming", "bicubic", "lanczos")


class Image:
    """A picture, with the part of `PIL.Image.Image` that Keras's functions and most scripts use.

    Args:
        pixels: uint8 `[height, width]` or `[height, width, channels]` with 1 to 4 channels, uint16 `[height, width]`,
            or int32 `[height, width]`.

    `np.asarray(image)` gives the pixels, grey ones without an axis of channels.

    >>> image = Image(np.zeros((4, 6, 3), np.uint8))
    >>> image.size, image.mode, image.resize((3, 2)).convert("L").size
    ((6, 4), 'RGB', (3, 2))
    """

    def __init__(self, pixels: NDArray[Any]) -> None:
        if pixels.ndim == 3 and pixels.shape[2] == 1:
            pixels = pixels[:, :, 0]
        grey = {"uint8": "L", "uint16": "I;16", "int32": "I"}.get(pixels.dtype.name)
        if pixels.ndim == 2 and grey is not None:
            self.mode = grey
        elif pixels.ndim == 3 and pixels.dtype == np.uint8 and pixels.shape[2] in _MODES:
            self.mode = _MODES[pixels.shape[2]]
        else:
            raise ValueError(f"Image: expected pixels as documented, got {pixels.dtype} {pixels.shape}.")
        self._pixels = pixels

    @classmethod
    def open(cls, source: Any) -> Image:
        """The picture in a file; see `read_image`. Of 16 bits, only grey is kept; else the upper 8 bits are."""
        pixels = read_image(source)
        if pixels.dtype == np.uint16 and pixels.shape[2] > 1:
            pixels = (pixels >> 8).astype(np.uint8)
        return cls(pixels)

    @property
    def size(self) -> tuple[int, int]:
        """Width and height."""
        return self.width, self.height

    @property
    def width(self) -> int:
        """Columns."""
        return int(self._pixels.shape[1])

    @property
    def height(self) -> int:
        """Rows."""
        return int(self._pixels.shape[0])

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        """The pixels."""
        return np.array(self._pixels, dtype, copy=copy)

    def __repr__(self) -> str:
        """Mode and size."""
        return f"<oxiconv.images.Image {self.mode} {self.width}x{self.height}>"

    def convert(self, mode: str) -> Image:
        """The picture in mode "L", "RGB" or "RGBA", as Pillow converts it."""
        if mode == self.mode:
            return self
        if mode not in ("L", "RGB", "RGBA"):
            raise ValueError(f'Image.convert: expected mode "L", "RGB" or "RGBA", got {mode!r}.')
        return Image(_core.convert_image(self._picture(), _CHANNELS[mode]))

    def resize(
        self, size: tuple[int, int], resample: str = "bicubic", box: tuple[int, int, int, int] | None = None
    ) -> Image:
        """The picture, or its part `box` (left, upper, right, lower), with another width and height.

        `resample` is "nearest", "box", "bilinear", "hamming", "bicubic" or "lanczos"; results are Pillow's.
        """
        left, upper, right, lower = box or (0, 0, *self.size)
        part = (upper, left, lower - upper, right - left)
        if not (0 <= left < right <= self.width and 0 <= upper < lower <= self.height):
            raise ValueError(f"Image.resize: expected a box within {self.size}, got {box}.")
        return Image(_core.resample_image(self._picture(), part, (size[1], size[0]), resample))

    def save(self, path: Any, format: str | None = None, quality: int = 75) -> None:
        """Writes the picture as "png", "jpeg", "bmp" or "webp" (lossless); by default what the path ends in.

        `path` may be a file opened for writing bytes, with a `format`.
        """
        to_file = hasattr(path, "write")
        if format is None:
            if to_file:
                raise ValueError("Image.save: a file object needs a format.")
            format = Path(os.fsdecode(path)).suffix[1:]
        content = encode_image(self._picture(), format, quality)
        if to_file:
            path.write(content)
        else:
            Path(os.fsdecode(path)).write_bytes(content)

    def _picture(self) -> NDArray[Any]:
        """Pixels as the core takes them."""
        pixels = self._pixels
        if self.mode == "I":
            if pixels.min() < 0 or pixels.max() > 65535:
                raise ValueError("Image: grey values outside of 0 to 65535 can only be read as an array.")
            pixels = pixels.astype(np.uint16)
        return pixels[..., None] if pixels.ndim == 2 else pixels
