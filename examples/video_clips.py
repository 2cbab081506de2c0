"""Video: three-dimensional convolutions tell which way a shape moves in a clip.

The clips are drawn: a disc or a square that moves left, right, up or down, or turns on a circle either way, over noise.
No single frame gives the class away.

    python examples/video_clips.py
    python examples/video_clips.py --quick    # few clips, one epoch: only shows that it runs
"""

import argparse

import numpy as np

import oxiconv as keras

layers = keras.layers

parser = argparse.ArgumentParser(description="Trains a 3-D convolutional network on drawn clips.")
parser.add_argument("--quick", action="store_true", help="32 clips, one epoch")
parser.add_argument("--epochs", type=int, default=10)
options = parser.parse_args()
keras.utils.set_random_seed(7)
FRAMES, SIZE = 12, 32


def draw(count, seed):
    """Clips `[count, frames, height, width, 1]` and their six classes."""
    random = np.random.default_rng(seed)
    labels = random.integers(0, 6, count)
    t = np.arange(FRAMES) - FRAMES / 2
    y, x = np.mgrid[:SIZE, :SIZE]
    clips = random.normal(0, 0.2, (count, FRAMES, SIZE, SIZE, 1)).astype("float32")
    for clip, label in zip(clips, labels, strict=True):
        (cy, cx), speed, phase = random.uniform(12, 20, 2), random.uniform(0.6, 1.3), random.uniform(0, 6.3)
        turn = speed * t / 5 * (1 if label == 4 else -1) + phase
        ways = [(0 * t, -t), (0 * t, t), (-t, 0 * t), (t, 0 * t), *[(8 * np.sin(turn), 8 * np.cos(turn))] * 2]
        dy, dx = ways[label]
        step = speed if label < 4 else 1
        radius, square = random.uniform(3, 5), random.integers(2)
        for frame, v, u in zip(clip, cy + step * dy, cx + step * dx, strict=True):
            inside = np.maximum(abs(y - v), abs(x - u)) < radius if square else np.hypot(y - v, x - u) < radius
            frame[inside] += 1
    return clips, labels


count = 32 if options.quick else 2000
(x_train, y_train), (x_test, y_test) = draw(count, 0), draw(count // 4, 1)

model = keras.Sequential([keras.Input((FRAMES, SIZE, SIZE, 1))])
for filters in (16, 32, 64):
    model.add(layers.Conv3D(filters, 3, padding="same", use_bias=False))
    model.add(layers.BatchNormalization(momentum=0.9))
    model.add(layers.ReLU())
    model.add(layers.MaxPooling3D((1, 2, 2) if filters == 16 else 2))
model.add(layers.GlobalAveragePooling3D())
model.add(layers.Dropout(0.3))
model.add(layers.Dense(6, activation="softmax"))
model.compile(keras.optimizers.Adam(2e-3), "sparse_categorical_crossentropy", metrics=["acc"])
model.fit(
    x_train,
    y_train,
    batch_size=16,
    epochs=1 if options.quick else options.epochs,
    validation_data=(x_test, y_test),
    callbacks=[keras.callbacks.EarlyStopping("val_acc", patience=4, restore_best_weights=True)],
    verbose=2,
)
print("Test accuracy:", model.evaluate(x_test, y_test, verbose=0)[1])
