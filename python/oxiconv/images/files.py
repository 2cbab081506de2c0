"""Reading and writing image files, one or many at a time."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from oxiconv import _core

_FORMATS = {"png": "png", "jpg": "jpeg", "jpeg": "jpeg", "bmp": "bmp", "webp": "webp"}


def read_image(source: Any) -> NDArray[Any]:
    """The picture in a JPEG, PNG, GIF (its first picture), BMP or WebP file, told apart by content.

    An orientation noted by a camera is ignored. Damaged and truncated files are errors, and so are files that claim far
    more pixels than their size can hold.

    Args:
        source: a path, or a file opened for reading bytes.

    Returns:
        `[height, width, channels]` as stored: uint8, or uint16 for 16-bit PNG; 1 channel for grey, 2 with alpha, 3 for
        colours, also those of a palette, 4 with alpha.

    Raises:
        OSError: the file cannot be read.
        FileFormatError: it is no picture, or a damaged one.

    >>> import io
    >>> read_image(io.BytesIO(encode_image(np.full((2, 3, 1), 7, np.uint8), "png")))[..., 0].tolist()
    [[7, 7, 7], [7, 7, 7]]
    """
    if hasattr(source, "read"):
        return _core.decode_image(bytes(source.read()), str(getattr(source, "name", "image")))
    path = os.fsdecode(source)
    return _core.decode_image(Path(path).read_bytes(), path)


def write_image(path: str | os.PathLike[str], pixels: NDArray[Any], format: str | None = None) -> None:
    """Writes an image file.

    Args:
        path: the file; an older one is replaced.
        pixels: uint8 `[height, width]` for grey or `[height, width, channels]` with 1 to 4 channels (grey, grey and
            alpha, colours, colours and alpha); uint16 for PNG.
        format: "png", "jpeg", "bmp" or "webp" (lossless); by default what the path ends in.

    Raises:
        ValueError: other pixels, an unknown format, or a format that has no such pixels.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_image(Path(folder) / "grey.png", np.zeros((2, 3), np.uint8))
    ...     read_image(Path(folder) / "grey.png").shape
    (2, 3, 1)
    """
    content = encode_image(pixels, format or Path(path).suffix[1:])
    Path(path).write_bytes(content)


def encode_image(pixels: NDArray[Any], format: str, quality: int = 75) -> bytes:
    """The content of an image file; see `write_image`. `quality` is JPEG's, 1 to 100."""
    if format.lower() not in _FORMATS:
        raise ValueError(f"Image format: expected one of {', '.join(_FORMATS)}, got {format!r}.")
    if not 1 <= quality <= 100:
        raise ValueError(f"JPEG quality: expected 1 to 100, got {quality!r}.")
    return _core.encode_image(pixels[..., None] if pixels.ndim == 2 else pixels, _FORMATS[format.lower()], quality)


def load_batch(
    paths: Sequence[str],
    size: tuple[int, int],
    channels: int = 3,
    interpolation: str = "bilinear",
    fit: str = "stretch",
    channels_first: bool = False,
) -> NDArray[np.float32]:
    """Decodes and resizes files on as many threads as `config.num_threads()`, without holding the interpreter.

    The pixels are those of `tf.image.decode_image` and `tf.image.resize` without antialiasing, to float32 accuracy, but
    for JPEG, whose decoders differ: this one is as exact as libjpeg's accurate transform, where TensorFlow uses the
    fast one.

    Args:
        paths: the files.
        size: height and width of the results.
        channels: 1, 3 or 4.
        interpolation: "bilinear", "nearest", "bicubic", "area", "lanczos3", "lanczos5", "gaussian", "mitchellcubic".
        fit: "stretch", "crop" or "pad" where the aspect is another.
        channels_first: `[n, channels, height, width]` instead of `[n, height, width, channels]`.

    Raises:
        OSError: a file cannot be read; FileFormatError: it is no picture or a damaged one. Both name the file.
        ValueError: other arguments.
    """
    if channels not in (1, 3, 4) or min(size) < 1:
        raise ValueError(
            f"load_batch: expected a size of at least (1, 1) and 1, 3 or 4 channels, got {size}, {channels}."
        )
    # Uninitialized: every value is written.
    out = np.empty((len(paths), channels, *size) if channels_first else (len(paths), *size, channels), np.float32)
    _core.load_images(paths, out, interpolation, fit, channels_first)
    return out
