"""The CIFAR sets (Krizhevsky 2009): batches of 32 x 32 colour pictures, in the forms in which they are kept.

A batch is the bytes of the binary version: for each picture its labels, then the planes of red, green and blue. The
version for Python is a pickle; it is read by an unpickler that knows arrays and nothing else.
"""

import hashlib
import os
import pickle
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from oxiconv.images import read_image

Split = tuple[NDArray[np.uint8], NDArray[np.uint8]]

SIDE = 32
_PIXELS = 3 * SIDE * SIDE
# What reading a damaged pickle, or one of another kind, may raise.
_DAMAGE = (pickle.UnpicklingError, EOFError, LookupError, OverflowError, TypeError, ValueError, AttributeError)


class _Arrays(pickle.Unpickler):
    """Reads arrays, lists, numbers and text; anything else that a file names is refused."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("_codecs", "encode"):  # how bytes are kept by pickles of the time
            return lambda text, _: text.encode("latin-1")
        if module.split(".")[0] == "numpy" and name in ("_reconstruct", "dtype", "ndarray"):
            return np.empty(0).__reduce__()[0] if name == "_reconstruct" else getattr(np, name)
        raise pickle.UnpicklingError(f"it names {module}.{name}")


def from_python(path: Path, labels: tuple[str, ...]) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Pictures `[n, 3072]` and labels `[n, len(labels)]` of a batch in the version for Python.

    Raises:
        ValueError: another file, or one that holds something else than arrays.
    """
    try:
        with path.open("rb") as file:
            batch = _Arrays(file, encoding="bytes").load()
        columns = [np.asarray(batch[name.encode()], np.uint8) for name in labels]
        pixels = np.asarray(batch[b"data"], np.uint8)
    except _DAMAGE as error:
        raise ValueError(f"{path} is no batch of CIFAR: {error}") from None
    if pixels.ndim != 2 or pixels.shape[1] != _PIXELS or any(column.shape != pixels.shape[:1] for column in columns):
        raise ValueError(f"{path} is no batch of CIFAR: pictures {pixels.shape}, labels {[c.shape for c in columns]}.")
    return pixels, np.stack(columns, axis=1)


def from_binary(path: Path, count: int, labels: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Pictures and labels of a batch in the binary version."""
    size = labels + _PIXELS
    found = path.stat().st_size
    if found != count * size:
        raise ValueError(f"{path} holds {found} bytes, expected {count * size}. Replace it by the original.")
    records = np.fromfile(path, np.uint8).reshape(count, size)
    return records[:, labels:], records[:, :labels]


def from_sheet(path: Path, count: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Pictures and labels of a batch kept as one lossless picture, row by row, beside a list `label,name`."""
    lines = path.with_suffix(".csv").read_text(encoding="utf-8").split()
    labels = np.array([int(line.split(",")[0]) for line in lines if line[:1].isdigit()], np.uint8)
    sheet = read_image(path)
    rows, columns = sheet.shape[0] // SIDE, sheet.shape[1] // SIDE
    if sheet.shape != (rows * SIDE, columns * SIDE, 3) or rows * columns != count or len(labels) != count:
        raise ValueError(
            f"{path}: expected {count} pictures and labels, got {sheet.shape} pixels, {len(labels)} labels."
        )
    pixels = sheet.reshape(rows, SIDE, columns, SIDE, 3).transpose(0, 2, 4, 1, 3).reshape(count, _PIXELS)
    return pixels, labels[:, None]


def check(path: Path, pixels: NDArray[np.uint8], labels: NDArray[np.uint8], sha256: str) -> None:
    """Raises ValueError unless the batch, in its binary form, has this checksum."""
    digest = hashlib.sha256(np.concatenate([labels, pixels], axis=1).data).hexdigest()
    if digest != sha256:
        raise ValueError(
            f"{path} has altered content: SHA-256 {digest}, expected {sha256}. Replace it by the original."
        )


def pictures(pixels: NDArray[np.uint8], data_format: str) -> NDArray[np.uint8]:
    """Planes `[n, 3072]` as pictures `[n, 32, 32, 3]`, or `[n, 3, 32, 32]`."""
    planes = pixels.reshape(-1, 3, SIDE, SIDE)
    return planes if data_format == "channels_first" else np.ascontiguousarray(planes.transpose(0, 2, 3, 1))


def data_folder(name: str) -> Path | None:
    """The set's folder below that of `OXICONV_DATA_DIR`; where that variable is set, nothing is downloaded."""
    root = os.environ.get("OXICONV_DATA_DIR")
    return Path(root).expanduser().absolute() / name if root else None
