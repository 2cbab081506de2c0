"""float32 and mixed_bfloat16 side by side: accuracy, time and memory of the same network, from the same weights.

Under "mixed_bfloat16" activations and their gradients are kept in 16 bits where they leave the cache; arithmetic,
weights and the optimizer are float32. Pictures stay bytes until the first layer reads them. Where the data is neither
on this machine nor to be downloaded, it trains on drawn digits.

    python examples/mixed_precision.py                      # a ResNet of 8 layers on CIFAR-10, 5 epochs
    python examples/mixed_precision.py --network convnet    # Keras's MNIST convnet, 3 epochs
    python examples/mixed_precision.py --quick              # a few pictures, one epoch: only shows that it runs
"""

import argparse
import mmap
import pathlib
import subprocess
import sys
import time

import oxiconv as keras

layers = keras.layers

parser = argparse.ArgumentParser(description="Trains a network under two dtype policies.")
parser.add_argument("--network", choices=["resnet", "convnet"], default="resnet")
parser.add_argument("--policy", choices=["both", "float32", "mixed_bfloat16"], default="both")
parser.add_argument("--epochs", type=int)
parser.add_argument("--quick", action="store_true", help="512 pictures, one epoch")
options = parser.parse_args()

if options.policy == "both":
    # A process each, so that the memory of one is not that of the other.
    for policy in ("float32", "mixed_bfloat16"):
        subprocess.run([sys.executable, *sys.argv, "--policy", policy], check=True)
    sys.exit()


def memory():
    """Resident memory of this process in MiB, where the system tells."""
    try:
        pages = int(pathlib.Path("/proc/self/statm").read_text().split()[1])
    except OSError:
        return float("nan")
    return pages * mmap.PAGESIZE / 2**20


keras.utils.set_random_seed(1)
keras.config.set_dtype_policy(options.policy)

data = keras.datasets.cifar10 if options.network == "resnet" else keras.datasets.mnist
try:
    (x_train, y_train), (x_test, y_test) = data.load_data()
except OSError as error:
    print(f"{error}\nTraining on drawn digits instead.")
    count = 512 if options.quick else 20000
    (x_train, y_train), (x_test, y_test) = keras.datasets.glyphs.load_data(train=count, test=count // 4)
if options.quick:
    x_train, y_train, x_test, y_test = x_train[:512], y_train[:512], x_test[:256], y_test[:256]
shape = x_train.shape[1:] if x_train.ndim == 4 else (*x_train.shape[1:], 1)
x_train, x_test = x_train.reshape(-1, *shape), x_test.reshape(-1, *shape)


def convolution(x, filters, stride=1):
    x = layers.Conv2D(filters, 3, stride, "same", use_bias=False, kernel_initializer="he_normal")(x)
    return layers.BatchNormalization(momentum=0.9)(x)


def resnet(x):
    x = layers.ReLU()(convolution(x, 16))
    for filters, stride in [(16, 1), (32, 2), (64, 2)]:
        y = layers.ReLU()(convolution(x, filters, stride))
        y = convolution(y, filters)
        if stride > 1:
            x = layers.Conv2D(filters, 1, stride, use_bias=False, kernel_initializer="he_normal")(x)
        x = layers.ReLU()(layers.add([x, y]))
    return layers.GlobalAveragePooling2D()(x)


def convnet(x):
    for filters in (32, 64):
        x = layers.MaxPooling2D(2)(layers.Conv2D(filters, 3, activation="relu")(x))
    return layers.Dropout(0.5)(layers.Flatten()(x))


inputs = keras.Input(shape)
x = layers.Rescaling(1 / 127.5, -1)(inputs)
x = resnet(x) if options.network == "resnet" else convnet(x)
# The loss reads float32: an exponential of 8 significant bits would be a poor one.
model = keras.Model(inputs, layers.Dense(10, dtype="float32")(x))

epochs = 1 if options.quick else options.epochs or (5 if options.network == "resnet" else 3)
steps = -(-len(x_train) // 128) * epochs
model.compile(
    keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(2e-3, steps)),
    keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    metrics=["accuracy"],
)
before, start = memory(), time.perf_counter()
model.fit(x_train, y_train, 128, epochs, verbose=2)
seconds, taken = time.perf_counter() - start, memory() - before
accuracy = model.evaluate(x_test, y_test, verbose=0)[1]
print(f"{options.policy}: {seconds / epochs:.1f} s an epoch; training took {taken:.0f} MiB")
print(f"Test accuracy under {options.policy}: {accuracy}")
