"""Detection: a single-shot detector of blood cells with a loss of its own, judged by mean average precision.

Each cell of a grid says whether an object's centre lies in it, of which class, and how its box lies (as in FCOS and
YOLO). Uses the BCCD photographs where OXICONV_DATA_DIR has them (folder `bccd`); elsewhere it draws discs.

    python examples/blood_cell_detection.py
    python examples/blood_cell_detection.py --quick    # few pictures, one epoch: only shows that it runs
"""

import argparse
import csv
import os
from pathlib import Path

import numpy as np

import oxiconv as keras

layers, ops = keras.layers, keras.ops

parser = argparse.ArgumentParser(description="Trains a detector of blood cells.")
parser.add_argument("--quick", action="store_true", help="8 small pictures, one epoch")
parser.add_argument("--epochs", type=int, default=40)
options = parser.parse_args()
keras.utils.set_random_seed(9)
BCCD = Path(os.environ.get("OXICONV_DATA_DIR", "")) / "bccd"
CLASSES = ["RBC", "WBC", "Platelets"]
STRIDE = 8
HEIGHT, WIDTH = (96, 128) if options.quick else (192, 256)


def read(split):
    """Pictures shrunk to HEIGHT x WIDTH, and per picture its boxes `[n, 4]` (x, y of corners) and classes `[n]`."""
    boxes = {}
    with open(BCCD / "boxes.csv", newline="") as file:
        for row in csv.DictReader(file):
            corners = [int(row[k]) for k in ("xmin", "ymin", "xmax", "ymax")]
            if corners[2] > corners[0] and corners[3] > corners[1]:  # two annotations are empty
                boxes.setdefault(row["file"], []).append((corners, CLASSES.index(row["class"])))
    names = [Path(name).stem + ".jpg" for name in (BCCD / f"{split}.txt").read_text().split()]
    load = lambda name: keras.utils.load_img(
        BCCD / "images" / name, target_size=(HEIGHT, WIDTH), interpolation="bilinear"
    )
    pictures = np.stack([keras.utils.img_to_array(load(name)) for name in names])
    scale = np.array([WIDTH / 640, HEIGHT / 480] * 2)
    return pictures, [(np.array([b for b, _ in boxes[n]]) * scale, np.array([c for _, c in boxes[n]])) for n in names]


def draw(count, seed):
    """Pink rings, large violet discs and small violet dots on a light ground."""
    random, (y, x) = np.random.default_rng(seed), np.mgrid[:HEIGHT, :WIDTH]
    pictures, truth = random.normal(225, 6, (count, HEIGHT, WIDTH, 3)).astype("float32"), []
    for picture in pictures:
        classes = random.choice(3, random.integers(4, 9), p=[0.7, 0.1, 0.2])
        radii = np.array([14, 20, 5])[classes] * random.uniform(0.85, 1.15, len(classes))
        cx, cy = random.uniform(radii, WIDTH - radii), random.uniform(radii, HEIGHT - radii)
        for kind, r, u, v in zip(classes, radii, cx, cy, strict=True):
            away = np.hypot(x - u, y - v)
            picture[(away < r) & (away > (0.4 * r if kind == 0 else 0))] = (
                (220, 150, 160) if kind == 0 else (120, 70, 160)
            )
        truth.append((np.stack([cx - radii, cy - radii, cx + radii, cy + radii], 1), classes))
    return pictures, truth


if BCCD.exists() and not options.quick:
    (x_train, train), (x_test, test) = read("train"), read("test")
else:
    if not BCCD.exists():
        print("OXICONV_DATA_DIR has no folder bccd: training on drawn cells.")
    (x_train, train), (x_test, test) = (draw(8, 0), draw(4, 1)) if options.quick else (draw(200, 0), draw(50, 1))


def encode(truth):
    """The grid that the network is to give: objectness, class, distances from the cell's centre to the box's sides."""
    grid = np.zeros((HEIGHT // STRIDE, WIDTH // STRIDE, 1 + len(CLASSES) + 4), "float32")
    boxes, classes = truth
    area = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    for i in np.argsort(-area):  # smaller boxes last: they win where two centres share a cell
        cx, cy = (boxes[i, :2] + boxes[i, 2:]) / 2
        row, column = min(int(cy / STRIDE), grid.shape[0] - 1), min(int(cx / STRIDE), grid.shape[1] - 1)
        here = np.array([column + 0.5, row + 0.5] * 2) * STRIDE
        grid[row, column] = 0
        grid[row, column, [0, 1 + classes[i]]] = 1
        grid[row, column, 4:] = (boxes[i] - here) * [-1, -1, 1, 1] / STRIDE
    return grid


class Flipped(keras.utils.PyDataset):
    """Batches in random order, each picture mirrored in one of four ways with its boxes, and brighter or darker."""

    def __init__(self, x, truth, batch_size):
        super().__init__()
        self.x, self.truth, self.batch_size = x, truth, batch_size
        self.random = np.random.default_rng(10)
        self.on_epoch_end()

    def __len__(self):
        return -(-len(self.x) // self.batch_size)

    def __getitem__(self, index):
        pictures, grids = [], []
        for row in self.order[index * self.batch_size : (index + 1) * self.batch_size]:
            picture, (boxes, classes) = self.x[row], self.truth[row]
            if self.random.integers(2):
                picture, boxes = (
                    picture[:, ::-1],
                    np.array([WIDTH, 0, WIDTH, 0]) + boxes[:, [2, 1, 0, 3]] * [-1, 1, -1, 1],
                )
            if self.random.integers(2):
                picture, boxes = (
                    picture[::-1],
                    np.array([0, HEIGHT, 0, HEIGHT]) + boxes[:, [0, 3, 2, 1]] * [1, -1, 1, -1],
                )
            pictures.append(np.clip(picture * self.random.uniform(0.85, 1.15), 0, 255))
            grids.append(encode((boxes, classes)))
        return np.stack(pictures).astype("float32"), np.stack(grids)

    def on_epoch_end(self):
        self.order = self.random.permutation(len(self.x))


def convolution(x, filters, stride=1):
    x = layers.Conv2D(filters, 3, stride, "same", use_bias=False)(x)
    return layers.ReLU()(layers.BatchNormalization(momentum=0.9)(x))


inputs = keras.Input((HEIGHT, WIDTH, 3))
x = layers.Rescaling(1 / 127.5, offset=-1)(inputs)
x = convolution(x, 16, 2)
x = convolution(convolution(x, 32, 2), 32)
fine = convolution(convolution(x, 64, 2), 64)
coarse = convolution(convolution(fine, 128, 2), 128)
x = layers.concatenate([fine, layers.UpSampling2D(2)(coarse)])
x = convolution(convolution(x, 64), 64)
rare = keras.initializers.Constant(-4.0)  # few cells hold an object: begin with a small probability
model = keras.Model(
    inputs,
    layers.concatenate(
        [
            layers.Conv2D(1, 1, bias_initializer=rare)(x),
            layers.Conv2D(len(CLASSES), 1)(x),
            layers.Conv2D(4, 1, activation="softplus", bias_initializer="ones")(x),
        ]
    ),
)


class DetectionLoss(keras.losses.Loss):
    """Focal objectness everywhere; class and one minus the boxes' IoU in cells with an object; per object."""

    def call(self, y_true, y_pred):
        object_, classes, sides = y_true[..., 0], y_true[..., 1:4], y_true[..., 4:]
        probability = ops.sigmoid(y_pred[..., 0])
        right = ops.where(object_ > 0, probability, 1 - probability)
        focal = ops.where(object_ > 0, 0.75, 0.25) * ops.square(1 - right) * -ops.log(ops.maximum(right, 1e-6))
        kind = ops.categorical_crossentropy(classes, y_pred[..., 1:4], from_logits=True)
        found = y_pred[..., 4:]
        # Both boxes contain the cell's centre or nearly so: their sides meet at the smaller distances.
        shared = ops.maximum(ops.minimum(sides, found), 0.0)
        both = (shared[..., 0] + shared[..., 2]) * (shared[..., 1] + shared[..., 3])
        area = lambda s: (s[..., 0] + s[..., 2]) * (s[..., 1] + s[..., 3])
        iou = both / ops.maximum(area(sides) + area(found) - both, 1e-6)
        losses = 4.0 * focal + object_ * (kind + 2.0 * (1 - iou))
        return ops.sum(losses, axis=(1, 2)) / ops.maximum(ops.sum(object_, axis=(1, 2)), 1.0)


def iou(box, others):
    """Intersection over union of a box with each of `[n, 4]`."""
    low, high = np.maximum(box[:2], others[:, :2]), np.minimum(box[2:], others[:, 2:])
    both = np.prod(np.maximum(high - low, 0), axis=1)
    area = lambda b: (b[..., 2] - b[..., 0]) * (b[..., 3] - b[..., 1])
    return both / np.maximum(area(box) + area(others) - both, 1e-6)


def decode(grid, least=0.05):
    """Boxes, classes and scores of one picture, without those that a better one of the same class covers by half."""
    score = 1 / (1 + np.exp(-grid[..., 0]))
    rows, columns = np.nonzero(score > least)
    centres = np.stack([columns + 0.5, rows + 0.5] * 2, 1)
    boxes = (centres + grid[rows, columns, 4:] * [-1, -1, 1, 1]) * STRIDE
    classes, scores = grid[rows, columns, 1:4].argmax(1), score[rows, columns]
    kept = []
    for i in np.argsort(-scores):
        rivals = [k for k in kept if classes[k] == classes[i]]
        if not rivals or iou(boxes[i], boxes[rivals]).max() < 0.5:
            kept.append(i)
    return boxes[kept], classes[kept], scores[kept]


def average_precision(found, truth, kind):
    """Area under the precision envelope over recall at IoU 0.5, all points (PASCAL VOC 2010)."""
    hits, taken = [], [np.zeros(len(c), bool) for _, c in truth]
    candidates = [
        (score, picture, box)
        for picture, (boxes, classes, scores) in enumerate(found)
        for box, score in zip(boxes[classes == kind], scores[classes == kind], strict=True)
    ]
    for _, picture, box in sorted(candidates, key=lambda c: -c[0]):
        boxes, classes = truth[picture]
        overlap = np.where((classes == kind) & ~taken[picture], iou(box, boxes), 0) if len(boxes) else np.zeros(1)
        best = overlap.argmax()
        hits.append(overlap[best] >= 0.5)
        if hits[-1]:
            taken[picture][best] = True
    total = sum((c == kind).sum() for _, c in truth)
    if not hits or not total:
        return 0.0
    recall = np.cumsum(hits) / total
    precision = np.maximum.accumulate((np.cumsum(hits) / np.arange(1, len(hits) + 1))[::-1])[::-1]
    return float(np.sum(np.diff(recall, prepend=0) * precision))


epochs = 1 if options.quick else options.epochs
dataset = Flipped(x_train, train, 8)
rate = keras.optimizers.schedules.CosineDecay(2e-3, len(dataset) * epochs)
model.compile(keras.optimizers.Adam(rate), DetectionLoss())
model.fit(dataset, epochs=epochs, verbose=2)
found = [decode(grid) for grid in model.predict(x_test, batch_size=8, verbose=0)]
precisions = [average_precision(found, test, kind) for kind in range(len(CLASSES))]
print("Average precision:", {name: round(p, 3) for name, p in zip(CLASSES, precisions, strict=True)})
print("Test mAP:", float(np.mean(precisions)))
