"""Fine-tuning: a network trained on garments learns digits from few examples, with a frozen base first.

The base learns Fashion-MNIST where it is on this machine or can be downloaded (else drawn digits of the first five
classes); a new head then learns from 200 digits, first over the frozen base, then together with it at a low rate.

    python examples/fine_tuning.py
    python examples/fine_tuning.py --quick    # a few pictures, one epoch: only shows that it runs
"""

import argparse

import numpy as np

import oxiconv as keras

layers = keras.layers

parser = argparse.ArgumentParser(description="Trains a base on one data set and fine-tunes it on another.")
parser.add_argument("--quick", action="store_true", help="512 pictures, one epoch")
parser.add_argument("--epochs", type=int, default=4)
options = parser.parse_args()
keras.utils.set_random_seed(15)
epochs = 1 if options.quick else options.epochs
few = 100 if options.quick else 200

try:
    (x_base, y_base), _ = keras.datasets.fashion_mnist.load_data()
    (x_train, y_train), (x_test, y_test) = keras.datasets.mnist.load_data()
except OSError as error:
    print(f"{error}\nUsing drawn digits instead: 0 to 4 for the base, 5 to 9 for the fine-tuning.")
    (x, y), _ = keras.datasets.glyphs.load_data(train=1024 if options.quick else 20000, test=1)
    x_base, y_base = x[y < 5], y[y < 5]
    half = (y >= 5).sum() // 2
    (x_train, x_test), (y_train, y_test) = ((a[y >= 5][:half], a[y >= 5][half:]) for a in (x, y))
if options.quick:
    x_base, y_base, x_test, y_test = x_base[:512], y_base[:512], x_test[:128], y_test[:128]
x_train, y_train = x_train[:few], y_train[:few]
x_base, x_train, x_test = (a[..., None].astype("float32") for a in (x_base, x_train, x_test))


def make_base():
    base = keras.Sequential([keras.Input((28, 28, 1)), layers.Rescaling(1 / 255)], name="base")
    for filters in (32, 64, 64):
        base.add(layers.Conv2D(filters, 3, padding="same", use_bias=False))
        base.add(layers.BatchNormalization(momentum=0.9))
        base.add(layers.ReLU())
        base.add(layers.MaxPooling2D())
    return base


def with_head(base):
    """A classifier over a base, which runs in inference mode whether it is trained or not."""
    inputs = keras.Input((28, 28, 1))
    x = layers.Flatten()(base(inputs, training=False))
    return keras.Model(inputs, layers.Dense(10)(layers.Dropout(0.3)(x)))


def train(model, x, y, epochs, rate):
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(rate), loss, metrics=["accuracy"])
    model.fit(x, y, 64 if len(x) > 1000 else 16, epochs, verbose=0)
    return model.evaluate(x_test, y_test, verbose=0)[1]


base = make_base()
inputs = keras.Input((28, 28, 1))
pretraining = keras.Model(inputs, layers.Dense(10)(layers.Flatten()(base(inputs))))
train(pretraining, x_base, y_base, epochs, 1e-3)

base.trainable = False
model = with_head(base)
before = [np.array(w) for w in base.get_weights()]
frozen = train(model, x_train, y_train, 10 * epochs, 1e-3)
assert all(np.array_equal(a, b) for a, b in zip(before, base.get_weights(), strict=True))
print(f"Frozen base, {len(model.trainable_weights)} trained arrays: {frozen:.4f}")

base.trainable = True
tuned = train(model, x_train, y_train, 10 * epochs, 2e-4)
print(f"Base and head, {len(model.trainable_weights)} trained arrays: {tuned:.4f}")
print(f"From scratch: {train(with_head(make_base()), x_train, y_train, 20 * epochs, 1e-3):.4f}")
print("Test accuracy:", tuned)
