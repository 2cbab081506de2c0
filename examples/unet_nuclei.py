"""Semantic segmentation: a U-Net (Ronneberger et al. 2015, arXiv:1505.04597) that finds cell nuclei.

Uses the 256x256 pictures of the 2018 Data Science Bowl where OXICONV_DATA_DIR has them (folder `nuclei`); elsewhere it
draws pictures of bright blobs on uneven ground. Otsu's threshold is the floor that it is compared with.

    python examples/unet_nuclei.py
    python examples/unet_nuclei.py --quick    # few small pictures, one epoch: only shows that it runs
"""

import argparse
import os
from pathlib import Path

import numpy as np

import oxiconv as keras

layers = keras.layers

parser = argparse.ArgumentParser(description="Trains a U-Net on pictures of cell nuclei.")
parser.add_argument("--quick", action="store_true", help="8 small pictures, one epoch")
parser.add_argument("--epochs", type=int, default=15)
options = parser.parse_args()
keras.utils.set_random_seed(3)
NUCLEI = Path(os.environ.get("OXICONV_DATA_DIR", "")) / "nuclei"


def load(kind, name):
    """A grey picture or a label image."""
    return keras.utils.img_to_array(keras.utils.load_img(NUCLEI / kind / f"{name}.png", color_mode="grayscale"))


def read():
    """Grey pictures and truth per pixel, of the two halves of the data set."""
    rows = [line.split(",") for line in (NUCLEI / "split.csv").read_text().split()]
    for half in ("train", "val"):
        names = [name for name, where in rows if where == half]
        masks = np.stack([load("masks", name) for name in names]) > 0
        yield np.stack([load("images", name) for name in names]), masks.astype("float32")


def draw(count, size, seed):
    """Blobs on a ground that gets brighter to one side, with noise."""
    random, (y, x) = np.random.default_rng(seed), np.mgrid[:size, :size]
    pictures, masks = np.zeros((2, count, size, size, 1), "float32")
    for picture, mask in zip(pictures, masks, strict=True):
        picture[..., 0] = x * random.uniform(0, 0.5) + random.normal(30, 8, (size, size))
        for _ in range(random.integers(4, 12)):
            (cy, cx), (a, b) = random.uniform(0, size, 2), random.uniform(4, 12, 2)
            inside = ((y - cy) / a) ** 2 + ((x - cx) / b) ** 2 < 1
            mask[inside] = 1
            picture[inside] += random.uniform(25, 90)
    return pictures, masks


if options.quick or not NUCLEI.exists():
    if not NUCLEI.exists():
        print("OXICONV_DATA_DIR has no folder nuclei: training on drawn pictures.")
    count, size = (8, 64) if options.quick else (268, 128)
    (x_train, y_train), (x_test, y_test) = draw(count, size, 0), draw(max(count // 4, 4), size, 1)
else:
    (x_train, y_train), (x_test, y_test) = read()


def convolutions(x, filters):
    for _ in range(2):
        x = layers.Conv2D(filters, 3, padding="same", use_bias=False)(x)
        x = layers.BatchNormalization(momentum=0.9)(x)
        x = layers.ReLU()(x)
    return x


inputs = keras.Input((None, None, 1))  # any size that 16 divides
x = inputs
skips = []
for filters in (16, 32, 64, 128):
    skips.append(convolutions(x, filters))
    x = layers.MaxPooling2D()(skips[-1])
x = convolutions(x, 256)
for filters, skip in zip((128, 64, 32, 16), reversed(skips), strict=True):
    x = layers.Conv2DTranspose(filters, 2, strides=2)(x)
    x = convolutions(layers.concatenate([skip, x]), filters)
model = keras.Model(inputs, layers.Conv2D(1, 1, activation="sigmoid")(x))


def loss(y_true, y_pred):
    """Cross-entropy for the pixels, Dice for the areas."""
    return keras.losses.binary_crossentropy(y_true, y_pred) + keras.losses.dice(y_true, y_pred)


class Turned(keras.utils.PyDataset):
    """Batches in random order, each picture turned and mirrored in one of eight ways."""

    def __init__(self, x, y, batch_size):
        super().__init__()
        self.x, self.y, self.batch_size = x, y, batch_size
        self.random = np.random.default_rng(4)
        self.on_epoch_end()

    def __len__(self):
        return -(-len(self.x) // self.batch_size)

    def __getitem__(self, index):
        rows = self.order[index * self.batch_size : (index + 1) * self.batch_size]
        turns, mirrors = self.random.integers(0, 4, len(rows)), self.random.integers(0, 2, len(rows)) * 2 - 1
        turn = lambda a: np.stack([np.rot90(p, k)[:, ::m] for p, k, m in zip(a[rows], turns, mirrors, strict=True)])
        return turn(self.x), turn(self.y)

    def on_epoch_end(self):
        self.order = self.random.permutation(len(self.x))


def mean_iou(truth, found):
    """Mean over pictures of intersection over union of the foreground."""
    both, either = (truth & found).sum((1, 2, 3)), (truth | found).sum((1, 2, 3))
    return float(np.mean(both / np.maximum(either, 1)))


def otsu(picture):
    """The threshold between two classes of brightness of least variance within them (Otsu 1979)."""
    counts = np.bincount(picture.astype(int).ravel(), minlength=256)[:256]
    below, total = np.cumsum(counts, dtype=float), np.cumsum(counts * np.arange(256.0))
    weight = below * (below[-1] - below)
    between = (total[-1] * below - total * below[-1]) ** 2 / np.maximum(weight, 1)
    return np.argmax(between)


def evened(pictures):
    """Each picture with mean 0 and deviation 1: some are ten times as bright as others."""
    return (pictures - pictures.mean((1, 2, 3), keepdims=True)) / (pictures.std((1, 2, 3), keepdims=True) + 1)


dataset = Turned(evened(x_train), y_train, 8)
epochs = 1 if options.quick else options.epochs
model.compile(keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(3e-3, epochs * len(dataset))), loss)
model.fit(dataset, epochs=epochs, verbose=2)
truth = y_test > 0.5
print("Otsu's threshold, mean IoU:", mean_iou(truth, np.stack([p > otsu(p) for p in x_test])))
print("Test mean IoU:", mean_iou(truth, model.predict(evened(x_test), batch_size=8, verbose=0) > 0.5))
