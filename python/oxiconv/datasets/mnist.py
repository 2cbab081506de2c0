"""MNIST: 70,000 handwritten digits (LeCun, Cortes, Burges 1998)."""

import os

import numpy as np

from oxiconv.datasets._idx import IdxSet, Split

_SET = IdxSet(
    folder="mnist",
    mirrors=(
        "https://storage.googleapis.com/cvdf-datasets/mnist/",
        "https://ossci-datasets.s3.amazonaws.com/mnist/",
    ),
    sha256={
        "train-images-idx3-ubyte.gz": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
        "train-labels-idx1-ubyte.gz": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
        "t10k-images-idx3-ubyte.gz": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
        "t10k-labels-idx1-ubyte.gz": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
    },
)


def load_data(path: str = "mnist.npz") -> tuple[Split, Split]:
    """Loads MNIST.

    The four original files, `train-images-idx3-ubyte.gz` and so on, are read from the folder `mnist` below the folder
    that the environment variable `OXICONV_DATA_DIR` names. Without that variable they are kept in the cache folder
    (`oxiconv.cache.cache_folder`) and downloaded on first use.

    Args:
        path: an absolute path reads that file, with the arrays `x_train`, `y_train`, `x_test` and `y_test`, as Keras
            keeps it. Another name changes nothing.

    Returns:
        `(x_train, y_train), (x_test, y_test)`: pictures are uint8 `[60000, 28, 28]` and `[10000, 28, 28]`; labels
        are uint8 `[60000]` and `[10000]`, the digits 0 to 9.

    Raises:
        FileNotFoundError: a file is absent and cannot be downloaded; says where to place it.
        ValueError: a file is cut short, altered, or another one than its name says.

    >>> from oxiconv.datasets import mnist
    >>> (x_train, y_train), (x_test, y_test) = mnist.load_data()  # doctest: +SKIP
    """
    if os.path.isabs(path):
        with np.load(path, allow_pickle=False) as file:
            return (file["x_train"], file["y_train"]), (file["x_test"], file["y_test"])
    return _SET.load()
