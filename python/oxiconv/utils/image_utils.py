"""Single images: from files and back, as arrays and as image objects.

Where Pillow is installed, image objects are Pillow's; otherwise they are `oxiconv.images.Image`, which has their sizes,
modes, `convert`, `resize` and `save`. Files are decoded and resized by oxiconv either way, so the pixels are the same.
"""

from __future__ import annotations

import os
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from oxiconv.config import floatx, image_data_format
from oxiconv.images import Image
from oxiconv.images.image import FILTERS

_MODES = {"grayscale": ("L", "I;16", "I"), "rgb": ("RGB",), "rgba": ("RGBA",)}


def load_img(
    path: Any,
    color_mode: str = "rgb",
    target_size: tuple[int, int] | None = None,
    interpolation: str = "nearest",
    keep_aspect_ratio: bool = False,
) -> Any:
    """Loads an image file: JPEG, PNG, BMP, GIF (its first picture) or WebP.

    Args:
        path: a path, or a file opened for reading bytes.
        color_mode: "grayscale" (16-bit grey stays so), "rgb" or "rgba".
        target_size: `(height, width)` to resize to; by default the image's own.
        interpolation: "nearest", "bilinear", "bicubic", "lanczos", "box" or "hamming", as Pillow resizes.
        keep_aspect_ratio: take the middle part of the target's aspect instead of distorting.

    Returns:
        A `PIL.Image.Image` where Pillow is installed, otherwise an `oxiconv.images.Image`.

    Raises:
        TypeError: `path` is neither.
        OSError: the file cannot be read.
        ValueError: no image, a damaged one, or an unknown mode or interpolation.

    >>> import io
    >>> from oxiconv.utils import array_to_img, load_img
    >>> file = io.BytesIO()
    >>> array_to_img(np.zeros((4, 6, 3))).save(file, format="png")
    >>> load_img(io.BytesIO(file.getvalue()), target_size=(8, 8)).size
    (8, 8)
    """
    if not isinstance(path, str | bytes | os.PathLike) and not hasattr(path, "read"):
        raise TypeError(f"load_img: expected a path or a file of bytes, got {type(path).__name__}.")
    if color_mode not in _MODES:
        raise ValueError(f'load_img: color_mode must be "grayscale", "rgb" or "rgba", got {color_mode!r}.')
    if interpolation not in FILTERS:
        raise ValueError(f"load_img: interpolation must be one of {', '.join(FILTERS)}, got {interpolation!r}.")
    image = Image.open(path)
    if image.mode not in _MODES[color_mode]:
        image = image.convert(_MODES[color_mode][0])
    if target_size is not None and image.size != (target_size[1], target_size[0]):
        height, width = target_size
        box = _middle(image.size, (width, height)) if keep_aspect_ratio else None
        image = image.resize((width, height), interpolation, box)
    return _as_object(image)


def _middle(size: tuple[int, int], target: tuple[int, int]) -> tuple[int, int, int, int]:
    """The largest box in the middle of `size` with the aspect of `target`, all as `(width, height)`."""
    width, height = size
    wide = max(1, min(width, height * target[0] // target[1]))
    high = max(1, min(height, width * target[1] // target[0]))
    left, upper = (width - wide) // 2, (height - high) // 2
    return left, upper, left + wide, upper + high


def _as_object(image: Image) -> Any:
    try:
        from PIL import Image as pillow
    except ImportError:
        return image
    return pillow.fromarray(np.asarray(image))


def img_to_array(img: Any, data_format: str | None = None, dtype: Any = None) -> NDArray[Any]:
    """The pixels of an image object.

    Args:
        img: an image object, Pillow's or of `oxiconv.images`, or an array of two or three axes.
        data_format: "channels_last" or "channels_first"; by default that of `config.image_data_format()`.
        dtype: of the result; by default `config.floatx()`.

    Returns:
        `[height, width, channels]`, or `[channels, height, width]`.

    Raises:
        ValueError: another number of axes.

    >>> from oxiconv.images import Image
    >>> img_to_array(Image(np.full((2, 3), 9, np.uint8))).shape
    (2, 3, 1)
    """
    pixels = np.asarray(img, dtype=dtype or floatx())
    if pixels.ndim not in (2, 3):
        raise ValueError(f"img_to_array: expected two or three axes, got shape {pixels.shape}.")
    pixels = pixels[..., None] if pixels.ndim == 2 else pixels
    return pixels.transpose(2, 0, 1) if _channels_first(data_format) else pixels


def array_to_img(x: Any, data_format: str | None = None, scale: bool = True, dtype: Any = None) -> Any:
    """An image object of an array.

    Args:
        x: `[height, width, channels]`, or `[channels, height, width]`; 1, 3 or 4 channels.
        data_format: "channels_last" or "channels_first"; by default that of `config.image_data_format()`.
        scale: stretch the values so that the smallest is 0 and the largest 255.
        dtype: to compute in; by default `config.floatx()`.

    Returns:
        A `PIL.Image.Image` where Pillow is installed, otherwise an `oxiconv.images.Image`, of mode "L", "RGB" or
        "RGBA"; "I" for grey values above 255. Fractions are cut off.

    Raises:
        ValueError: other shapes.

    >>> np.asarray(array_to_img(np.array([[[0.0], [0.5], [1.0]]]))).tolist()
    [[0, 127, 255]]
    """
    array = np.asarray(x, dtype=dtype or floatx())
    if array.ndim != 3:
        raise ValueError(f"array_to_img: expected one image, an array of three axes, got shape {array.shape}.")
    if _channels_first(data_format):
        array = array.transpose(1, 2, 0)
    if array.shape[2] not in (1, 3, 4) or not array.size:
        raise ValueError(f"array_to_img: expected 1, 3 or 4 channels and a pixel, got shape {array.shape}.")
    if scale:
        array = array - array.min()
        largest = array.max()
        array = array / (largest if largest != 0 else 1) * 255
    wide = array.shape[2] == 1 and array.max() > 255
    return _as_object(Image(array.astype(np.int32 if wide else np.uint8)))


def save_img(
    path: Any,
    x: Any,
    data_format: str | None = None,
    file_format: str | None = None,
    scale: bool = True,
    **kwargs: Any,
) -> None:
    """Writes an array as an image file.

    Args:
        path: a path, or a file opened for writing bytes.
        x: as for `array_to_img`.
        data_format: as for `array_to_img`.
        file_format: "png", "jpeg", "bmp" or "webp", and with Pillow what it writes; by default what the path ends in.
        scale: as for `array_to_img`.
        **kwargs: for `save` of the image object, such as `quality` (of JPEG).

    Raises:
        ValueError: other shapes or formats.

    >>> import tempfile
    >>> from oxiconv.utils import load_img
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save_img(f"{folder}/a.png", np.zeros((4, 6, 3)))
    ...     load_img(f"{folder}/a.png").size
    (6, 4)
    """
    if file_format is None and isinstance(path, str | os.PathLike):
        file_format = Path(path).suffix[1:].lower()
    if file_format is not None and file_format.lower() == "jpg":
        file_format = "jpeg"
    image = array_to_img(x, data_format=data_format, scale=scale)
    if image.mode == "RGBA" and file_format == "jpeg":
        warnings.warn("The JPEG format does not support RGBA images, converting to RGB.", stacklevel=2)
        image = image.convert("RGB")
    image.save(path, format=file_format, **kwargs)


def smart_resize(
    x: Any, size: tuple[int, int], interpolation: str = "bilinear", data_format: str = "channels_last"
) -> Any:
    """Resizes images without distortion: the largest part in the middle that has the target's aspect is resized.

    Args:
        x: `[height, width, channels]` or `[n, height, width, channels]`; an array or a tensor.
        size: `(height, width)`.
        interpolation: see `ops.image.resize`.
        data_format: "channels_last" or "channels_first".

    Returns:
        An array for an array, otherwise a tensor.

    Raises:
        ValueError: other shapes, sizes or interpolations.

    >>> smart_resize(np.ones((34, 50, 3), np.float32), (20, 20)).shape
    (20, 20, 3)
    """
    from oxiconv.ops import image

    if len(size) != 2:
        raise ValueError(f"smart_resize: expected size as (height, width), got {size!r}.")
    x = np.asarray(x) if isinstance(x, list | tuple) else x
    if len(x.shape) not in (3, 4):
        raise ValueError(f"smart_resize: expected an image or a batch of images, got shape {tuple(x.shape)}.")
    rows, columns = (-2, -1) if _channels_first(data_format) else (-3, -2)
    left, upper, right, lower = _middle((x.shape[columns], x.shape[rows]), (size[1], size[0]))
    part = [slice(None)] * len(x.shape)
    part[rows], part[columns] = slice(upper, lower), slice(left, right)
    resized = image.resize(x[tuple(part)], tuple(size), interpolation=interpolation, data_format=data_format)
    return np.array(resized) if isinstance(x, np.ndarray) else resized


def _channels_first(data_format: str | None) -> bool:
    if data_format is None:
        data_format = image_data_format()
    if data_format not in ("channels_last", "channels_first"):
        raise ValueError(f'data_format: expected "channels_last" or "channels_first", got {data_format!r}.')
    return data_format == "channels_first"
