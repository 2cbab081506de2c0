"""Restoration: pictures made twice as large by sub-pixel convolution (Shi et al. 2016, arXiv:1609.05158).

Learns on CIFAR-10 where it is at hand, elsewhere on drawn polygons; compared with bicubic enlargement.

    python examples/super_resolution.py
    python examples/super_resolution.py --quick    # few pictures, one epoch: only shows that it runs
"""

import argparse

import numpy as np

import oxiconv as keras

layers, ops = keras.layers, keras.ops

parser = argparse.ArgumentParser(description="Trains a network that doubles the size of pictures.")
parser.add_argument("--quick", action="store_true", help="64 pictures, one epoch")
parser.add_argument("--epochs", type=int, default=10)
options = parser.parse_args()
keras.utils.set_random_seed(8)
FACTOR = 2


def draw(count, seed):
    """Three random half-planes of random colours, one over another."""
    random, (y, x) = np.random.default_rng(seed), np.mgrid[:32, :32]
    pictures = np.full((count, 32, 32, 3), 128.0)
    for _ in range(3):
        angle, shift = random.uniform(0, 6.3, (count, 1, 1)), random.uniform(-12, 12, (count, 1, 1))
        edge = 1 / (1 + np.exp(-2 * (np.cos(angle) * (x - 16) + np.sin(angle) * (y - 16) - shift)))
        pictures += edge[..., None] * (random.uniform(0, 255, (count, 1, 1, 3)) - pictures)
    return pictures.astype("uint8")


try:
    (train, _), (test, _) = keras.datasets.cifar10.load_data()
except OSError as error:
    print(f"{error}\nTraining on drawn polygons instead.")
    train, test = draw(64 if options.quick else 5000, 0), draw(64 if options.quick else 1000, 1)
count = 64 if options.quick else 10000
large_train, large_test = train[:count].astype("float32") / 255, test[: count // 5].astype("float32") / 255


def smaller(pictures):
    """The means of blocks of FACTOR by FACTOR pixels."""
    n, h, w, c = pictures.shape
    return pictures.reshape(n, h // FACTOR, FACTOR, w // FACTOR, FACTOR, c).mean((2, 4))


small_train, small_test = smaller(large_train), smaller(large_test)


class DepthToSpace(layers.Layer):
    """`[n, h, w, f * f * c]` to `[n, f * h, f * w, c]`."""

    def __init__(self, factor, **kwargs):
        super().__init__(**kwargs)
        self.factor = factor

    def call(self, x):
        n, h, w, c = ops.shape(x)
        f, c = self.factor, c // self.factor**2
        x = ops.transpose(ops.reshape(x, (n, h, w, f, f, c)), (0, 1, 3, 2, 4, 5))
        return ops.reshape(x, (n, h * f, w * f, c))

    def get_config(self):
        return {**super().get_config(), "factor": self.factor}


convolution = {"padding": "same", "activation": "relu", "kernel_initializer": "orthogonal"}
inputs = keras.Input((16, 16, 3))
x = layers.Conv2D(64, 5, **convolution)(inputs)
x = layers.Conv2D(64, 3, **convolution)(x)
x = layers.Conv2D(32, 3, **convolution)(x)
x = layers.Conv2D(3 * FACTOR**2, 3, padding="same", kernel_initializer="zeros")(x)
larger = layers.UpSampling2D(FACTOR, interpolation="bilinear")(inputs)
model = keras.Model(inputs, layers.add([larger, DepthToSpace(FACTOR)(x)]))


class Decibels(keras.callbacks.Callback):
    """Shows the mean PSNR of the validation batches."""

    def on_epoch_begin(self, epoch, logs=None):
        self.found = []

    def on_test_batch_end(self, batch, logs=None):
        self.found.append(10 * np.log10(1 / logs["loss"]))

    def on_epoch_end(self, epoch, logs=None):
        print(f"Epoch {epoch + 1}: {np.mean(self.found):.2f} dB")


def psnr(found):
    return 10 * np.log10(1 / np.mean((np.clip(found, 0, 1) - large_test) ** 2))


model.compile(keras.optimizers.Adam(1e-3), "mse")
model.fit(
    small_train,
    large_train,
    batch_size=32,
    epochs=1 if options.quick else options.epochs,
    validation_data=(small_test, large_test),
    callbacks=[Decibels()],
    verbose=0,
)
bicubic = ops.convert_to_numpy(ops.image.resize(small_test, (32, 32), interpolation="bicubic"))
print(f"Bicubic: {psnr(bicubic):.2f} dB")
print(f"Test PSNR: {psnr(model.predict(small_test, verbose=0)):.2f}")
