"""Classification: a residual network of 20 layers (He et al. 2015, arXiv:1512.03385, section 4.2) on CIFAR-10.

Pictures are flipped and shifted by up to four pixels inside the model while it trains; the learning rate rises and
falls once ("one cycle", Smith and Topin 2017, arXiv:1708.07120). Where CIFAR-10 is neither on this machine nor to be
downloaded, it learns to tell ten drawn textures apart.

    python examples/cifar10_resnet.py            # 40 epochs
    python examples/cifar10_resnet.py --quick    # a few pictures, one epoch: only shows that it runs
"""

import argparse

import numpy as np

import oxiconv as keras

layers = keras.layers

parser = argparse.ArgumentParser(description="Trains ResNet-20 on CIFAR-10.")
parser.add_argument("--quick", action="store_true", help="256 pictures, one epoch")
parser.add_argument("--epochs", type=int, default=40)
parser.add_argument("--seed", type=int, default=1)
options = parser.parse_args()
keras.utils.set_random_seed(options.seed)


def draw(count, seed):
    """Gratings of ten directions and wavelengths in random colours."""
    random = np.random.default_rng(seed)
    labels = random.integers(0, 10, (count, 1))
    y, x = np.mgrid[:32, :32]
    angle, wave = labels * np.pi / 10, 3 + labels % 5
    along = np.cos(angle)[..., None] * x + np.sin(angle)[..., None] * y
    grating = np.sin(2 * np.pi * along / wave[..., None] + random.uniform(0, 6.3, (count, 1, 1)))
    colours = random.uniform(30, 110, (count, 1, 1, 3))
    pictures = 128 + grating[..., None] * colours + random.normal(0, 20, (count, 32, 32, 3))
    return np.clip(pictures, 0, 255).astype("uint8"), labels


try:
    (x_train, y_train), (x_test, y_test) = keras.datasets.cifar10.load_data()
except OSError as error:
    print(f"{error}\nTraining on drawn textures instead.")
    count = 256 if options.quick else 10000
    (x_train, y_train), (x_test, y_test) = draw(count, 0), draw(count // 5, 1)
if options.quick:
    x_train, y_train, x_test, y_test = x_train[:256], y_train[:256], x_test[:128], y_test[:128]

mean, deviation = x_train.mean((0, 1, 2)) / 255, x_train.std((0, 1, 2)) / 255


def convolution(x, filters, stride=1):
    x = layers.Conv2D(
        filters,
        3,
        stride,
        "same",
        use_bias=False,
        kernel_initializer="he_normal",
        kernel_regularizer=keras.regularizers.L2(2.5e-4),
    )(x)
    return layers.BatchNormalization(momentum=0.9)(x)


def block(x, filters, stride):
    y = layers.ReLU()(convolution(x, filters, stride))
    y = convolution(y, filters)
    if stride > 1:
        x = layers.Conv2D(filters, 1, stride, use_bias=False, kernel_initializer="he_normal")(x)
    return layers.ReLU()(layers.add([x, y]))


inputs = keras.Input((32, 32, 3))
x = layers.Rescaling(1 / 255)(inputs)
x = layers.Normalization(mean=mean, variance=deviation**2)(x)
x = layers.RandomFlip("horizontal")(x)
x = layers.RandomTranslation(0.125, 0.125, fill_mode="constant", interpolation="nearest")(x)
x = layers.ReLU()(convolution(x, 16))
for filters, stride in [(16, 1), (32, 2), (64, 2)]:
    for repeat in range(3):
        x = block(x, filters, stride if repeat == 0 else 1)
x = layers.GlobalAveragePooling2D()(x)
model = keras.Model(inputs, layers.Dense(10)(x))
print(f"{model.count_params()} parameters")

batch_size, epochs = 128, 1 if options.quick else options.epochs
steps = -(-len(x_train) // batch_size) * epochs
rate = keras.optimizers.schedules.CosineDecay(0.02, steps, warmup_target=0.2, warmup_steps=max(steps // 10, 1))
model.compile(
    optimizer=keras.optimizers.SGD(rate, momentum=0.9, nesterov=True),
    loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    metrics=["accuracy"],
)
model.fit(x_train, y_train, batch_size, epochs, validation_data=(x_test, y_test), verbose=2)
print("Test accuracy:", model.evaluate(x_test, y_test, verbose=0)[1])
