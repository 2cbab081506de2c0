"""Restoration: a convolutional autoencoder takes the noise out of handwritten digits.

Where MNIST is neither on this machine nor to be downloaded, it cleans drawn strokes.

    python examples/autoencoder.py
    python examples/autoencoder.py --quick    # a few pictures, one epoch: only shows that it runs
"""

import argparse

import numpy as np

import oxiconv as keras

layers = keras.layers

parser = argparse.ArgumentParser(description="Trains an autoencoder to denoise digits.")
parser.add_argument("--quick", action="store_true", help="256 pictures, one epoch")
parser.add_argument("--epochs", type=int, default=10)
options = parser.parse_args()
keras.utils.set_random_seed(4)


def draw(count, seed):
    """Three thick random strokes per picture."""
    random, (y, x) = np.random.default_rng(seed), np.mgrid[:28, :28]
    ends = random.uniform(5, 23, (count, 3, 4, 1, 1))
    t = np.linspace(0, 1, 12).reshape(12, 1, 1, 1, 1)
    away = (x - ends[:, :, 0] * t - ends[:, :, 2] * (1 - t)) ** 2 + (
        y - ends[:, :, 1] * t - ends[:, :, 3] * (1 - t)
    ) ** 2
    return (255 * np.exp(-away.min((0, 2)) / 2)).astype("uint8")


try:
    (train, _), (test, _) = keras.datasets.mnist.load_data()
except OSError as error:
    print(f"{error}\nTraining on drawn strokes instead.")
    train, test = draw(256 if options.quick else 10000, 0), draw(256 if options.quick else 2000, 1)
if options.quick:
    train, test = train[:256], test[:128]
clean_train, clean_test = (x[..., None].astype("float32") / 255 for x in (train, test))
random = np.random.default_rng(5)
noisy_train, noisy_test = (
    np.clip(x + 0.4 * random.standard_normal(x.shape, "float32"), 0, 1) for x in (clean_train, clean_test)
)

model = keras.Sequential(
    [
        keras.Input((28, 28, 1)),
        layers.Conv2D(32, 3, activation="relu", padding="same"),
        layers.MaxPooling2D(2, padding="same"),
        layers.Conv2D(32, 3, activation="relu", padding="same"),
        layers.MaxPooling2D(2, padding="same"),
        layers.Conv2DTranspose(32, 3, strides=2, activation="relu", padding="same"),
        layers.Conv2DTranspose(32, 3, strides=2, activation="relu", padding="same"),
        layers.Conv2D(1, 3, activation="sigmoid", padding="same"),
    ]
)
model.compile("adam", "binary_crossentropy")
model.fit(
    noisy_train,
    clean_train,
    128,
    1 if options.quick else options.epochs,
    validation_data=(noisy_test, clean_test),
    verbose=2,
)


def psnr(restored):
    """Decibels of the peak over the mean squared error."""
    return 10 * np.log10(1 / np.mean((restored - clean_test) ** 2))


print(f"Noisy: {psnr(noisy_test):.2f} dB")
print(f"Test PSNR: {psnr(model.predict(noisy_test, verbose=0)):.2f}")
