"""Interpretability: Grad-CAM (Selvaraju et al. 2017, arXiv:1610.02391) shows where a classifier looks.

Digits are put anywhere into a larger noisy picture; the heat map of the predicted class should lie on it, though
the network was told the class alone.

    python examples/grad_cam.py              # and writes pictures beside their heat maps to grad_cam.png
    python examples/grad_cam.py --quick      # a few pictures, one epoch, no picture: only shows that it runs
"""

import argparse

import numpy as np

import oxiconv as keras

layers, ops = keras.layers, keras.ops

parser = argparse.ArgumentParser(description="Trains a classifier and shows where it looks.")
parser.add_argument("--quick", action="store_true", help="256 pictures, one epoch")
parser.add_argument("--epochs", type=int, default=5)
options = parser.parse_args()
keras.utils.set_random_seed(12)
SIZE = 56

try:
    (digits, labels), _ = keras.datasets.mnist.load_data()
except OSError as error:
    print(f"{error}\nUsing drawn digits instead.")
    (digits, labels), _ = keras.datasets.glyphs.load_data(train=256 if options.quick else 10000, test=1)
count = 256 if options.quick else 10000
random = np.random.default_rng(13)
places = random.integers(0, SIZE - 28, (count, 2))
pictures = np.abs(random.normal(0, 0.15, (count, SIZE, SIZE, 1))).astype("float32")
for picture, digit, (row, column) in zip(pictures, digits, places, strict=False):
    picture[row : row + 28, column : column + 28, 0] += digit / 255
labels = labels[:count]
held = count // 10

inputs = keras.Input((SIZE, SIZE, 1))
x = inputs
for filters in (32, 64, 64):
    x = layers.Conv2D(filters, 3, padding="same", activation="relu")(x)
    x = layers.MaxPooling2D()(x)
x = layers.Conv2D(64, 3, padding="same", activation="relu", name="last_convolution")(x)
x = layers.GlobalAveragePooling2D()(x)
model = keras.Model(inputs, layers.Dense(10, activation="softmax", name="scores")(x))
model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
model.fit(pictures[held:], labels[held:], 64, 1 if options.quick else options.epochs, verbose=2)
print("Test accuracy:", model.evaluate(pictures[:held], labels[:held], verbose=0)[1])

# From here on the scores before the softmax: their gradients do not saturate.
model.get_layer("scores").activation = None
both = keras.Model(inputs, [model.get_layer("last_convolution").output, model.output])


def heat_map(batch):
    """Where the activations speak for the predicted class, from 0 to 1 per picture, in the pictures' size."""
    with keras.GradientTape() as tape:
        activations, scores = both(batch)
        best = ops.argmax(scores, axis=-1)
        score = ops.sum(scores * ops.one_hot(best, 10))
    gradients = tape.gradient(score, activations)
    weights = ops.mean(gradients, axis=(1, 2), keepdims=True)
    heat = ops.relu(ops.sum(activations * weights, axis=-1, keepdims=True))
    heat = ops.convert_to_numpy(ops.image.resize(heat, (SIZE, SIZE), interpolation="bilinear"))
    return heat / np.maximum(heat.max((1, 2, 3), keepdims=True), 1e-6)


heat = heat_map(ops.convert_to_tensor(pictures[:held]))
rows, columns = np.mgrid[:SIZE, :SIZE]
inside = [(abs(rows - r - 14) <= 14) & (abs(columns - c - 14) <= 14) for r, c in places[:held]]
share = [h[i].sum() / max(h.sum(), 1e-6) for h, i in zip(heat[..., 0], inside, strict=True)]
print(f"Share of the heat on the digit: {np.mean(share):.3f} (its share of the area: {np.mean(inside):.3f})")
if not options.quick:
    strip = np.concatenate([np.concatenate([np.clip(pictures[i], 0, 1), heat[i]], axis=1) for i in range(6)])
    keras.utils.save_img("grad_cam.png", strip)
