"""Weights trained on ImageNet, as Keras publishes them: in Keras's cache, or from the network."""

from __future__ import annotations

import hashlib
import os
from typing import NamedTuple

_STORAGE = "https://storage.googleapis.com"
BASE = f"{_STORAGE}/tensorflow/keras-applications"


class Remote(NamedTuple):
    """A file: its name in the cache, its URL, and its MD5 or SHA-256 if it is published."""

    name: str
    url: str
    checksum: str | None = None


class Pretrained(NamedTuple):
    """The weights of a network with and without its top."""

    with_top: Remote
    without_top: Remote

    def find(self, include_top: bool) -> str:
        """The path of the file that is asked for."""
        return fetch(self.with_top if include_top else self.without_top)


def pair(folder: str, names: tuple[str, str], checksums: tuple[str | None, str | None] = (None, None)) -> Pretrained:
    """The two files of a network in a folder of the server, named the same in the cache."""
    base = f"{BASE}/{folder}"
    first, second = (Remote(name, f"{base}/{name}", c) for name, c in zip(names, checksums, strict=True))
    return Pretrained(first, second)


def tf_kernels(folder: str, name: str, checksums: tuple[str | None, str | None]) -> Pretrained:
    """The two files of a network, named as most are."""
    stem = f"{name}_weights_tf_dim_ordering_tf_kernels"
    return pair(folder, (f"{stem}.h5", f"{stem}_notop.h5"), checksums)


def fetch(file: Remote) -> str:
    """The path of a published file: in the folder `models` of Keras's cache, or downloaded to there.

    The cache is what the environment variable KERAS_HOME names, or `~/.keras`.

    Raises:
        FileNotFoundError: it is not there and cannot be downloaded; names the file and its URL.
        ValueError: what is there has another checksum.
    """
    cache = os.environ.get("KERAS_HOME") or os.path.join(os.path.expanduser("~"), ".keras")
    path = os.path.join(cache, "models", file.name)
    if os.path.exists(path):
        if file.checksum is not None and _checksum(path, len(file.checksum)) != file.checksum:
            raise ValueError(
                f"{path}: expected the checksum {file.checksum}. Delete it, or get it anew from {file.url}"
            )
        return path
    try:
        from oxiconv.utils.file_utils import get_file

        return str(get_file(file.name, file.url, cache_subdir="models", file_hash=file.checksum, cache_dir=cache))
    except Exception as error:  # no network, no such file, a broken download
        raise FileNotFoundError(
            f"There is no file {path!r}, and it could not be downloaded ({error}). Get it from {file.url}, or pass "
            "weights=None, or the path of a weights file."
        ) from error


def _checksum(path: str, digits: int) -> str:
    digest = hashlib.sha256() if digits == 64 else hashlib.md5(usedforsecurity=False)
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
