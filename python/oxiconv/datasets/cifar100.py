"""CIFAR-100: 60,000 colour pictures of a hundred kinds of things in twenty groups (Krizhevsky 2009)."""

from pathlib import Path

from oxiconv.config import image_data_format
from oxiconv.datasets import _cifar
from oxiconv.datasets._cifar import Split
from oxiconv.utils.file_utils import get_file

_COUNTS = {"train": 50000, "test": 10000}
_LABELS = ("coarse_labels", "fine_labels")  # in the order of the binary version
_ARCHIVE = "https://www.cs.toronto.edu/~kriz/cifar-100-python.tar.gz"
_ARCHIVE_SHA256 = "85cd44d02ba6437773c5bbd22e183051d648de2e7d6b014e1ef29b855ba677a7"


def load_data(label_mode: str = "fine") -> tuple[Split, Split]:
    """Loads CIFAR-100.

    Where the environment variable `OXICONV_DATA_DIR` is set, `train.bin` and `test.bin` (the binary version) or `train`
    and `test` (the version for Python) are read from the folder `cifar100` below the folder it names. Otherwise the
    version for Python is kept in the cache, in the folders that Keras uses, and downloaded on first use; see
    `utils.get_file`.

    Args:
        label_mode: "fine" for the hundred kinds, "coarse" for the twenty groups.

    Returns:
        `(x_train, y_train), (x_test, y_test)`: pictures uint8 `[50000, 32, 32, 3]` and `[10000, 32, 32, 3]`
        (`[n, 3, 32, 32]` where `config.image_data_format()` is "channels_first"), labels uint8 `[50000, 1]` and
        `[10000, 1]`.

    Raises:
        FileNotFoundError: a file is absent.
        OSError: it cannot be downloaded.
        ValueError: an unknown `label_mode`, or a file is cut short or another one than its name says.

    >>> from oxiconv.datasets import cifar100
    >>> (x_train, y_train), (x_test, y_test) = cifar100.load_data("coarse")  # doctest: +SKIP
    """
    if label_mode not in ("fine", "coarse"):
        raise ValueError(f'cifar100: label_mode must be "fine" or "coarse", got {label_mode!r}.')
    folder = _cifar.data_folder("cifar100")
    if folder is None:
        fetched = get_file("cifar-100-python-target", _ARCHIVE, extract=True, file_hash=_ARCHIVE_SHA256)
        folder = Path(fetched) / "cifar-100-python"
    return _part(folder, "train", label_mode), _part(folder, "test", label_mode)


def _part(folder: Path, name: str, label_mode: str) -> Split:
    count = _COUNTS[name]
    if (path := folder / f"{name}.bin").exists():
        pixels, labels = _cifar.from_binary(path, count, len(_LABELS))
    elif (path := folder / name).exists():
        pixels, labels = _cifar.from_python(path, _LABELS)
    else:
        raise FileNotFoundError(f"cifar100: there is no file {name}.bin or {name} in {folder}.")
    if len(pixels) != count:
        raise ValueError(f"{path} holds {len(pixels)} pictures, expected {count}.")
    column = _LABELS.index(f"{label_mode}_labels")
    return _cifar.pictures(pixels, image_data_format()), labels[:, column : column + 1].copy()
