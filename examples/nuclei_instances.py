"""Instance segmentation: which pixels belong to which nucleus, by centre heat map and offsets to the centre.

The network says per pixel whether it is nucleus, how near to a nucleus's centre, and where that centre lies; pixels are
then given to the centre they point at (Panoptic-DeepLab, Cheng et al. 2020, arXiv:1911.10194). Uses the pictures of the
2018 Data Science Bowl where OXICONV_DATA_DIR has them (folder `nuclei`); elsewhere it draws touching blobs.

    python examples/nuclei_instances.py
    python examples/nuclei_instances.py --quick    # few small pictures, one epoch: only shows that it runs
"""

import argparse
import os
from pathlib import Path

import numpy as np

import oxiconv as keras

layers, ops = keras.layers, keras.ops

parser = argparse.ArgumentParser(description="Trains a network that tells cell nuclei apart.")
parser.add_argument("--quick", action="store_true", help="8 small pictures, one epoch")
parser.add_argument("--epochs", type=int, default=25)
options = parser.parse_args()
keras.utils.set_random_seed(11)
NUCLEI = Path(os.environ.get("OXICONV_DATA_DIR", "")) / "nuclei"
REACH = 16  # pixels of offset per unit of the network's output


def read():
    """Grey pictures and label images (0 is ground) of the two halves of the data set."""
    rows = [line.split(",") for line in (NUCLEI / "split.csv").read_text().split()]
    load = lambda kind, name: keras.utils.img_to_array(
        keras.utils.load_img(NUCLEI / kind / f"{name}.png", color_mode="grayscale")
    )
    for half in ("train", "val"):
        names = [name for name, where in rows if where == half]
        yield (
            np.stack([load("images", n) for n in names]),
            np.stack([load("masks", n) for n in names])[..., 0].astype(int),
        )


def draw(count, size, seed):
    """Blobs, some of them touching."""
    random, (y, x) = np.random.default_rng(seed), np.mgrid[:size, :size]
    pictures, labels = np.zeros((count, size, size, 1), "float32"), np.zeros((count, size, size), int)
    for picture, label in zip(pictures, labels, strict=True):
        picture[..., 0] = random.normal(30, 8, (size, size))
        for number in range(1, random.integers(5, 14)):
            (cy, cx), (a, b) = random.uniform(0, size, 2), random.uniform(4, 9, 2)
            away = ((y - cy) / a) ** 2 + ((x - cx) / b) ** 2
            inside = (away < 1) & (label == 0)
            label[inside] = number
            picture[inside, 0] += 60 + 40 * (1 - away[inside])
    return pictures, labels


if options.quick or not NUCLEI.exists():
    if not NUCLEI.exists():
        print("OXICONV_DATA_DIR has no folder nuclei: training on drawn pictures.")
    count, size = (8, 64) if options.quick else (268, 128)
    (x_train, train), (x_test, test) = draw(count, size, 0), draw(max(count // 4, 4), size, 1)
else:
    (x_train, train), (x_test, test) = read()


def targets(label):
    """Per pixel: nucleus or not, nearness to the centre (a Gaussian), offset to the centre."""
    target = np.zeros((*label.shape, 4), "float32")
    rows, columns = np.mgrid[: label.shape[0], : label.shape[1]]
    for number in np.unique(label[label > 0]):
        inside = label == number
        cy, cx = rows[inside].mean(), columns[inside].mean()
        spread = max(np.sqrt(inside.sum()) / 6, 1.5)
        nearness = np.exp(-((rows - cy) ** 2 + (columns - cx) ** 2) / (2 * spread**2))
        target[..., 1] = np.maximum(target[..., 1], nearness)
        target[inside, 0] = 1
        target[inside, 2], target[inside, 3] = (cy - rows[inside]) / REACH, (cx - columns[inside]) / REACH
    return target


def convolutions(x, filters):
    for _ in range(2):
        x = layers.Conv2D(filters, 3, padding="same", use_bias=False)(x)
        x = layers.ReLU()(layers.BatchNormalization(momentum=0.9)(x))
    return x


inputs = keras.Input((None, None, 1))
x = layers.Rescaling(1 / 255)(inputs)
skips = []
for filters in (16, 32, 64):
    skips.append(convolutions(x, filters))
    x = layers.MaxPooling2D()(skips[-1])
x = convolutions(x, 128)
for filters, skip in zip((64, 32, 16), reversed(skips), strict=True):
    x = convolutions(layers.concatenate([skip, layers.UpSampling2D(2, interpolation="bilinear")(x)]), filters)
outputs = {
    "area": layers.Conv2D(1, 1, activation="sigmoid", name="area")(x),
    "centre": layers.Conv2D(1, 1, activation="sigmoid", name="centre")(x),
    "offset": layers.Conv2D(2, 1, name="offset")(x),
}
model = keras.Model(inputs, outputs)


def offset_loss(y_true, y_pred):
    """Mean distance along both axes where there is a nucleus; the last channel of `y_true` says where."""
    return ops.mean(ops.abs(y_true[..., :2] - y_pred), axis=-1) * y_true[..., 2]


model.compile(
    keras.optimizers.Adam(2e-3),
    loss={"area": "binary_crossentropy", "centre": "mse", "offset": offset_loss},
    loss_weights={"area": 1.0, "centre": 20.0, "offset": 2.0},
)
grids = np.stack([targets(label) for label in train])
y_train = {"area": grids[..., :1], "centre": grids[..., 1:2], "offset": grids[..., [2, 3, 0]]}
model.fit(
    x_train,
    y_train,
    batch_size=8,
    epochs=1 if options.quick else options.epochs,
    callbacks=[keras.callbacks.ReduceLROnPlateau("loss", factor=0.3, patience=3)],
    verbose=2,
)


def group(area, centre, offset):
    """The label image of one prediction: peaks of the heat map are centres, pixels go to the one they point at."""
    around = np.pad(centre, 3)
    views = np.lib.stride_tricks.sliding_window_view(around, (7, 7))
    peaks = np.argwhere((centre > 0.25) & (centre == views.max((2, 3))))
    label = np.zeros(area.shape, int)
    rows, columns = np.nonzero(area > 0.5)
    if len(peaks) and len(rows):
        aim = np.stack([rows, columns], 1) + offset[rows, columns] * REACH
        away = ((aim[:, None] - peaks[None]) ** 2).sum(-1)
        label[rows, columns] = away.argmin(1) + 1
    return label


def precision_at_half(found, truth):
    """Matches at IoU above 0.5 over all instances found or missed: the score of the Data Science Bowl at 0.5."""
    table = np.zeros((truth.max() + 1, found.max() + 1))
    np.add.at(table, (truth.ravel(), found.ravel()), 1)
    union = table.sum(1, keepdims=True) + table.sum(0, keepdims=True) - table
    hits = int((table / np.maximum(union, 1) > 0.5)[1:, 1:].sum())
    present = [int((table.sum(axis) > 0)[1:].sum()) for axis in (0, 1)]
    return hits / max(sum(present) - hits, 1)


predicted = model.predict(x_test, batch_size=8, verbose=0)
labels = [
    group(a[..., 0], c[..., 0], o)
    for a, c, o in zip(predicted["area"], predicted["centre"], predicted["offset"], strict=True)
]
print(
    "Test precision at IoU 0.5:", float(np.mean([precision_at_half(f, t) for f, t in zip(labels, test, strict=True)]))
)
