"""Writing PNG files, with the standard library alone."""

import struct
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

_GREY, _RGB = 0, 2  # colour types of the PNG specification


def write_png(path: str | Path, pixels: NDArray[np.uint8]) -> None:
    """Writes an 8-bit PNG file (W3C PNG specification, third edition).

    Args:
        path: the file; an older one is replaced.
        pixels: uint8, `[height, width]` for grey or `[height, width, 3]` for red, green and blue.

    Raises:
        TypeError: `pixels` is not uint8.
        ValueError: `pixels` has another shape, or no pixel.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_png(Path(folder) / "grey.png", np.zeros((2, 3), np.uint8))
    ...     (Path(folder) / "grey.png").read_bytes()[1:4]
    b'PNG'
    """
    if pixels.dtype != np.uint8:
        raise TypeError(f"write_png: pixels must be uint8, got {pixels.dtype}")
    if pixels.ndim not in (2, 3) or (pixels.ndim == 3 and pixels.shape[2] != 3) or pixels.size == 0:
        raise ValueError(f"write_png: pixels must be [height, width] or [height, width, 3], got {pixels.shape}")
    height, width = pixels.shape[:2]
    rows = pixels.reshape(height, -1)
    # Each row begins with its filter; 0 is "none".
    filtered = np.concatenate([np.zeros((height, 1), np.uint8), rows], axis=1)
    header = struct.pack(">2I5B", width, height, 8, _GREY if pixels.ndim == 2 else _RGB, 0, 0, 0)
    data = zlib.compress(filtered.tobytes(), level=9)
    chunks = _chunk(b"IHDR", header) + _chunk(b"IDAT", data) + _chunk(b"IEND", b"")
    Path(path).write_bytes(b"\x89PNG\r\n\x1a\n" + chunks)


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
