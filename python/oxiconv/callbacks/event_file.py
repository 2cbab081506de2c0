"""TensorBoard's event files: records of protocol buffers, written by hand.

A record is its length, the masked CRC-32C of the length, its bytes, and their masked CRC-32C. Field numbers are those
of TensorFlow's `event.proto`, `summary.proto` and `tensor.proto`.
"""

from __future__ import annotations

import itertools
import os
import socket
import struct
import time
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

_serial = itertools.count()


class EventFile:
    """Writes events to a new file in a folder.

    Args:
        folder: is made if it is not there.
    """

    def __init__(self, folder: str) -> None:
        os.makedirs(folder, exist_ok=True)
        name = f"events.out.tfevents.{int(time.time())}.{socket.gethostname()}.{os.getpid()}.{next(_serial)}.v2"
        self._file = open(os.path.join(folder, name), "wb")  # noqa: SIM115 - closed by close()
        self._event(0, _bytes(3, b"brain.Event:2"))

    def scalar(self, tag: str, value: float, step: int) -> None:
        """A number."""
        self._summary(tag, step, b"\x15" + struct.pack("<f", value))

    def histogram(self, tag: str, values: NDArray[Any], step: int, buckets: int = 30) -> None:
        """How values are distributed."""
        flat = np.asarray(values, np.float64).ravel()
        counts, edges = np.histogram(flat, buckets)
        sums = (flat.min(), flat.max(), flat.size, flat.sum(), (flat * flat).sum())
        message = b"".join(_double(i + 1, value) for i, value in enumerate(sums))
        self._summary(tag, step, _bytes(5, message + _doubles(6, edges[1:]) + _doubles(7, counts)))

    def text(self, tag: str, text: str, plugin: str, step: int) -> None:
        """A string for a plugin of TensorBoard."""
        metadata = _bytes(1, _bytes(1, plugin.encode()) + _bytes(2, b"1"))
        # A tensor of type DT_STRING, 7, without axes.
        tensor = _integer(1, 7) + _bytes(2, b"") + _bytes(8, text.encode())
        self._summary(tag, step, _bytes(9, metadata) + _bytes(8, tensor))

    def flush(self) -> None:
        """Lets readers see what was written."""
        self._file.flush()

    def close(self) -> None:
        """Ends the file."""
        self._file.close()

    def _summary(self, tag: str, step: int, value: bytes) -> None:
        self._event(step, _bytes(5, _bytes(1, _bytes(1, tag.encode()) + value)))

    def _event(self, step: int, what: bytes) -> None:
        data = _double(1, time.time()) + _integer(2, step) + what
        length = struct.pack("<Q", len(data))
        self._file.write(length + _masked(length) + data + _masked(data))


def _varint(n: int) -> bytes:
    out = bytearray()
    while n > 0x7F:
        out.append(n & 0x7F | 0x80)
        n >>= 7
    return bytes([*out, n])


def _integer(field: int, n: int) -> bytes:
    return _varint(field << 3) + _varint(n)


def _double(field: int, x: float) -> bytes:
    return _varint(field << 3 | 1) + struct.pack("<d", x)


def _doubles(field: int, xs: Sequence[float] | NDArray[Any]) -> bytes:
    return _bytes(field, np.asarray(xs, "<f8").tobytes())


def _bytes(field: int, data: bytes) -> bytes:
    return _varint(field << 3 | 2) + _varint(len(data)) + data


def _table() -> list[int]:
    # CRC-32C, the polynomial of Castagnoli, bit-reversed.
    table = []
    for byte in range(256):
        crc = byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
        table.append(crc)
    return table


_TABLE = _table()


def crc32c(data: bytes) -> int:
    """The CRC-32C of bytes.

    >>> hex(crc32c(b"123456789"))
    '0xe3069283'
    """
    crc = 0xFFFFFFFF
    for byte in data:
        crc = crc >> 8 ^ _TABLE[(crc ^ byte) & 0xFF]
    return crc ^ 0xFFFFFFFF


def _masked(data: bytes) -> bytes:
    crc = crc32c(data)
    return struct.pack("<I", ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF)
