"""Data sets kept as four gzip-compressed IDX files, the format of MNIST.

A file is a big-endian header, then bytes: 2051, count, rows, columns for pictures; 2049, count for labels
(https://yann.lecun.com/exdb/mnist). Copies of one file may be compressed differently, so the checksum is that of the
uncompressed content.
"""

import gzip
import hashlib
import os
import struct
import tempfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from oxiconv.cache import cache_folder

Pictures = NDArray[np.uint8]
Split = tuple[Pictures, Pictures]

SIZE = 28
COUNTS = {"train": 60000, "t10k": 10000}
_TIMEOUT = 30.0  # seconds without a byte from the server
_LARGEST_GZ = 64 << 20  # bytes; the largest original file has 26 MB


@dataclass(frozen=True)
class IdxSet:
    """A data set: its folder's name, where to download it, and the SHA-256 of each file's uncompressed content."""

    folder: str
    mirrors: tuple[str, ...]
    sha256: Mapping[str, str]

    def load(self) -> tuple[Split, Split]:
        """`(x_train, y_train), (x_test, y_test)`."""
        return self._split("train"), self._split("t10k")

    def _split(self, part: str) -> Split:
        count = COUNTS[part]
        pictures = self._read(f"{part}-images-idx3-ubyte.gz", (count, SIZE, SIZE))
        return pictures, self._read(f"{part}-labels-idx1-ubyte.gz", (count,))

    def _read(self, name: str, dims: tuple[int, ...]) -> NDArray[np.uint8]:
        path = self._path(name)
        if not path.exists():
            self._fetch(path, dims)
        return read_idx(path, dims, self.sha256[name])

    def _path(self, name: str) -> Path:
        """The file's place. Where `OXICONV_DATA_DIR` is set, it decides: nothing is downloaded."""
        if root := os.environ.get("OXICONV_DATA_DIR"):
            path = Path(root).expanduser().absolute() / self.folder / name
            if not path.exists():
                raise FileNotFoundError(
                    f"{self.folder}: there is no file {name} in {path.parent}. OXICONV_DATA_DIR is {root}, so the data "
                    f"set must be in its folder {self.folder}: {', '.join(self.sha256)}."
                )
            return path
        return cache_folder() / "datasets" / self.folder / name

    def _fetch(self, path: Path, dims: tuple[int, ...]) -> None:
        """Downloads a file, checks it, and moves it into place as a whole."""
        from urllib.error import URLError
        from urllib.request import urlopen

        path.parent.mkdir(parents=True, exist_ok=True)
        failures: list[str] = []
        for mirror in self.mirrors:
            url = mirror + path.name
            print(f"Downloading {url}", flush=True)
            try:
                with urlopen(url, timeout=_TIMEOUT) as answer:
                    packed = answer.read(_LARGEST_GZ + 1)
            except (URLError, OSError, ValueError) as error:
                failures.append(f"{url}: {error}")
                continue
            handle, temporary = tempfile.mkstemp(prefix=path.name, suffix=".part", dir=path.parent)
            try:
                with os.fdopen(handle, "wb") as file:
                    file.write(packed)
                read_idx(Path(temporary), dims, self.sha256[path.name])
                Path(temporary).replace(path)
                return
            except ValueError as error:
                failures.append(f"{url}: {error}")
            finally:
                Path(temporary).unlink(missing_ok=True)
        raise FileNotFoundError(
            f"{self.folder}: {path.name} is not in {path.parent} and could not be downloaded. Place the files "
            f"{', '.join(self.sha256)} there, or in a folder {self.folder} below the folder that OXICONV_DATA_DIR "
            f"names. Tried: {'; '.join(failures)}"
        )


def read_idx(path: Path, dims: tuple[int, ...], sha256: str) -> NDArray[np.uint8]:
    """The bytes of a gzip-compressed IDX file as an array.

    Raises:
        ValueError: not gzip, cut short, too long, another header than `dims` asks for, or another checksum.
    """
    header = struct.pack(f">{1 + len(dims)}I", 2048 + len(dims), *dims)
    size = len(header) + int(np.prod(dims))
    try:
        with gzip.open(path) as file:
            # One byte more shows a longer file, and bounds what a hostile one can make us hold.
            content = file.read(size + 1)
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise ValueError(
            f"{path} is not a whole gzip file: {error}. Delete it, or replace it by the original."
        ) from None
    if len(content) >= len(header) and content[: len(header)] != header:
        found = struct.unpack(f">{1 + len(dims)}I", content[: len(header)])
        raise ValueError(
            f"{path} has the IDX header {found}, expected {(2048 + len(dims), *dims)}: "
            "it is another file than its name says."
        )
    if len(content) != size:
        found_size = f"{len(content)} bytes" if len(content) < size else f"more than {size} bytes"
        raise ValueError(f"{path} holds {found_size}, expected {size}. Delete it, or replace it by the original.")
    digest = hashlib.sha256(content).hexdigest()
    if digest != sha256:
        raise ValueError(
            f"{path} has altered content: SHA-256 {digest}, expected {sha256}. "
            "Delete it, or replace it by the original."
        )
    return np.frombuffer(bytearray(content), np.uint8, offset=len(header)).reshape(dims)
