"""Fashion-MNIST: 70,000 pictures of garments (Xiao, Rasul, Vollgraf 2017, arXiv:1708.07747)."""

from oxiconv.datasets._idx import IdxSet, Split

CLASS_NAMES = (
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
)

_SET = IdxSet(
    folder="fashion-mnist",
    mirrors=(
        "https://storage.googleapis.com/tensorflow/tf-keras-datasets/",
        "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
    ),
    sha256={
        "train-images-idx3-ubyte.gz": "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
        "train-labels-idx1-ubyte.gz": "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
        "t10k-images-idx3-ubyte.gz": "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
        "t10k-labels-idx1-ubyte.gz": "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
    },
)


def load_data() -> tuple[Split, Split]:
    """Loads Fashion-MNIST.

    The four original files, `train-images-idx3-ubyte.gz` and so on, are read from the folder `fashion-mnist` below the
    folder that the environment variable `OXICONV_DATA_DIR` names. Without that variable they are kept in the cache
    folder (`oxiconv.cache.cache_folder`) and downloaded on first use.

    Returns:
        `(x_train, y_train), (x_test, y_test)`: pictures are uint8 `[60000, 28, 28]` and `[10000, 28, 28]`; labels
        are uint8 `[60000]` and `[10000]`, indices into `CLASS_NAMES`.

    Raises:
        FileNotFoundError: a file is absent and cannot be downloaded; says where to place it.
        ValueError: a file is cut short, altered, or another one than its name says.

    >>> from oxiconv.datasets import fashion_mnist
    >>> (x_train, y_train), (x_test, y_test) = fashion_mnist.load_data()  # doctest: +SKIP
    """
    return _SET.load()
