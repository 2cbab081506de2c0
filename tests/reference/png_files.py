"""Writes PNG files of all kinds, by the specification alone (W3C, third edition)."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

GREY, RGB, PALETTE, GREY_ALPHA, RGBA = 0, 2, 3, 4, 6


def png(
    pixels: NDArray[Any],
    colour: int | None = None,
    depth: int = 8,
    palette: Sequence[Sequence[int]] | None = None,
    transparent: bytes | None = None,
) -> bytes:
    """A PNG file with pixels `[height, width]` or `[height, width, channels]`, rows unfiltered."""
    pixels = pixels[..., None] if pixels.ndim == 2 else pixels
    height, width, channels = pixels.shape
    colour = {1: GREY, 2: GREY_ALPHA, 3: RGB, 4: RGBA}[channels] if colour is None else colour
    if depth == 16:
        rows = pixels.astype(">u2").reshape(height, -1).view(np.uint8)
    elif depth == 8:
        rows = pixels.astype(np.uint8).reshape(height, -1)
    else:
        bits = (pixels.reshape(height, -1, 1) >> np.arange(depth - 1, -1, -1)) & 1
        rows = np.packbits(bits.reshape(height, -1).astype(np.uint8), axis=1)
    data = np.concatenate([np.zeros((height, 1), np.uint8), rows], axis=1).tobytes()
    chunks = [(b"IHDR", struct.pack(">2I5B", width, height, depth, colour, 0, 0, 0))]
    if palette is not None:
        chunks.append((b"PLTE", bytes(value for entry in palette for value in entry)))
    if transparent is not None:
        chunks.append((b"tRNS", transparent))
    chunks += [(b"IDAT", zlib.compress(data, 9)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(kind, content) for kind, content in chunks)


def chunk(kind: bytes, content: bytes) -> bytes:
    """One chunk with its checksum."""
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
