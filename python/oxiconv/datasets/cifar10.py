"""CIFAR-10: 60,000 colour pictures of ten kinds of things (Krizhevsky 2009)."""

from pathlib import Path

import numpy as np

from oxiconv.config import image_data_format
from oxiconv.datasets import _cifar
from oxiconv.datasets._cifar import Split
from oxiconv.utils.file_utils import get_file

_COUNT = 10000  # pictures of a batch
# Checksums of the batches in the binary version.
_SHA256 = {
    "data_batch_1": "cee916563c9f80d84e3cc88e17fdc0941787f1244f00a67874d45b261883ada5",
    "data_batch_2": "a591ca11fa1708a91ee40f54b3da4784ccd871ecf2137de63f51ada8b3fa57ed",
    "data_batch_3": "bbe8596564c0f86427f876058170b84dac6670ddf06d79402899d93ceea26f67",
    "data_batch_4": "014e562d6e23c72197cc727519169a60359f5eccd8945ad5a09d710285ff4e48",
    "data_batch_5": "755304fc0b379caeae8c14f0dac912fbc7d6cd469eb67a1029a08a39453a9add",
    "test_batch": "8e2eb146ae340b09e24670f29cabc6326dba54da8789dab6768acf480273f65b",
}
_ARCHIVE = "https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz"
_ARCHIVE_SHA256 = "6d958be074577803d12ecdefd02955f39262c83c16fe9348329d7fe0b5c001ce"


def load_data() -> tuple[Split, Split]:
    """Loads CIFAR-10: airplane, automobile, bird, cat, deer, dog, frog, horse, ship, truck.

    Where the environment variable `OXICONV_DATA_DIR` is set, the six batches are read from the folder `cifar10` below
    the folder it names, in one of three forms: `data_batch_1.bin` and so on (the binary version), `data_batch_1` (the
    version for Python), or `data_batch_1.webp` with `data_batch_1.csv` (one lossless sheet of pictures, row by row, and
    lines `label,name`). Otherwise the version for Python is kept in the cache, in the folders that Keras uses, and
    downloaded on first use; see `utils.get_file`.

    Returns:
        `(x_train, y_train), (x_test, y_test)`: pictures uint8 `[50000, 32, 32, 3]` and `[10000, 32, 32, 3]`
        (`[n, 3, 32, 32]` where `config.image_data_format()` is "channels_first"), labels uint8 `[50000, 1]` and
        `[10000, 1]`.

    Raises:
        FileNotFoundError: a file is absent.
        OSError: it cannot be downloaded.
        ValueError: a file is cut short, altered, or another one than its name says.

    >>> from oxiconv.datasets import cifar10
    >>> (x_train, y_train), (x_test, y_test) = cifar10.load_data()  # doctest: +SKIP
    """
    folder = _cifar.data_folder("cifar10")
    if folder is None:
        fetched = get_file("cifar-10-batches-py-target", _ARCHIVE, extract=True, file_hash=_ARCHIVE_SHA256)
        folder = Path(fetched) / "cifar-10-batches-py"
    parts = [_batch(folder, name) for name in _SHA256]
    form = image_data_format()
    pixels, labels = (np.concatenate([part[i] for part in parts[:-1]]) for i in (0, 1))
    test = parts[-1]
    return (_cifar.pictures(pixels, form), labels), (_cifar.pictures(test[0], form), test[1].copy())


def _batch(folder: Path, name: str) -> Split:
    if (path := folder / f"{name}.bin").exists():
        pixels, labels = _cifar.from_binary(path, _COUNT, 1)
    elif (path := folder / f"{name}.webp").exists():
        pixels, labels = _cifar.from_sheet(path, _COUNT)
    elif (path := folder / name).exists():
        pixels, labels = _cifar.from_python(path, ("labels",))
    else:
        raise FileNotFoundError(f"cifar10: there is no file {name}.bin, {name}.webp or {name} in {folder}.")
    _cifar.check(path, pixels, labels, _SHA256[name])
    return pixels, labels
