"""Keras's example "Simple MNIST convnet" (keras.io/examples/vision/mnist_convnet), with one import line changed.

Where the MNIST files are neither on this machine nor to be downloaded, it trains on drawn digits.

    python examples/mnist_convnet.py            # 12 epochs, as in Keras's example
    python examples/mnist_convnet.py --quick    # a few pictures, one epoch: only shows that it runs
"""

import argparse

import numpy as np

import oxiconv as keras

parser = argparse.ArgumentParser(description="Trains a small convolutional network on MNIST.")
parser.add_argument("--quick", action="store_true", help="512 pictures, one epoch")
quick = parser.parse_args().quick

layers = keras.layers
num_classes = 10
input_shape = (28, 28, 1)

try:
    (x_train, y_train), (x_test, y_test) = keras.datasets.mnist.load_data()
except FileNotFoundError as error:
    print(f"{error}\nTraining on drawn digits instead.")
    count = 512 if quick else 60000
    (x_train, y_train), (x_test, y_test) = keras.datasets.glyphs.load_data(train=count, test=count // 6)
if quick:
    x_train, y_train, x_test, y_test = x_train[:512], y_train[:512], x_test[:256], y_test[:256]

x_train = np.expand_dims(x_train.astype("float32") / 255, -1)
x_test = np.expand_dims(x_test.astype("float32") / 255, -1)
print("x_train shape:", x_train.shape)

y_train = keras.utils.to_categorical(y_train, num_classes)
y_test = keras.utils.to_categorical(y_test, num_classes)

model = keras.Sequential(
    [
        keras.Input(shape=input_shape),
        layers.Conv2D(32, kernel_size=(3, 3), activation="relu"),
        layers.MaxPooling2D(pool_size=(2, 2)),
        layers.Conv2D(64, kernel_size=(3, 3), activation="relu"),
        layers.MaxPooling2D(pool_size=(2, 2)),
        layers.Flatten(),
        layers.Dropout(0.5),
        layers.Dense(num_classes, activation="softmax"),
    ]
)
model.summary()

model.compile(loss="categorical_crossentropy", optimizer="adam", metrics=["accuracy"])
model.fit(x_train, y_train, batch_size=128, epochs=1 if quick else 12, validation_split=0.1)

score = model.evaluate(x_test, y_test, verbose=0)
print("Test loss:", score[0])
print("Test accuracy:", score[1])
