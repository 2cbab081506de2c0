"""Classification of an image folder, with augmentation inside the model and separable convolutions.

Makes a folder with a subfolder of PNG files per class — pictures of CIFAR-10 where it is at hand, else drawn shapes —
and reads it back with `image_dataset_from_directory`, as one would read one's own photographs.

    python examples/image_folder.py
    python examples/image_folder.py --quick      # few pictures, one epoch: only shows that it runs
    python examples/image_folder.py --folder X   # a folder of your own, one subfolder per class
"""

import argparse
import tempfile
from pathlib import Path

import numpy as np

import oxiconv as keras

layers = keras.layers

parser = argparse.ArgumentParser(description="Trains a small Xception-like network on an image folder.")
parser.add_argument("--quick", action="store_true", help="60 pictures, one epoch")
parser.add_argument("--folder", type=Path, help="a folder with one subfolder of pictures per class")
options = parser.parse_args()
keras.utils.set_random_seed(2)
SIZE = 64


def pictures_of_cifar10(count):
    """`count` pictures of each of four animals."""
    (x, y), _ = keras.datasets.cifar10.load_data()
    return {name: x[y[:, 0] == label][:count] for name, label in [("bird", 2), ("cat", 3), ("frog", 6), ("horse", 7)]}


def drawn(count):
    """`count` noisy pictures each of discs, squares and crosses of any size, place and colours."""
    random, (y, x) = np.random.default_rng(0), np.mgrid[:SIZE, :SIZE]
    shapes = {
        "cross": lambda u, v, r: (abs(u) < r / 4) & (abs(v) < r) | (abs(v) < r / 4) & (abs(u) < r),
        "disc": lambda u, v, r: u**2 + v**2 < r**2,
        "square": lambda u, v, r: (abs(u) < r) & (abs(v) < r),
    }

    def picture(inside):
        cy, cx, radius = random.uniform(20, 44), random.uniform(20, 44), random.uniform(8, 18)
        ground, colour = random.uniform(0, 255, 3), random.uniform(0, 255, 3)
        mask = inside(y - cy, x - cx, radius)[..., None]
        return np.clip(np.where(mask, colour, ground) + random.normal(0, 15, (SIZE, SIZE, 3)), 0, 255).astype("uint8")

    return {name: [picture(inside) for _ in range(count)] for name, inside in shapes.items()}


def write(folder, count):
    try:
        classes = pictures_of_cifar10(count)
    except OSError as error:
        print(f"{error}\nDrawing shapes instead.")
        classes = drawn(count)
    for name, pictures in classes.items():
        (folder / name).mkdir()
        for i, picture in enumerate(pictures):
            keras.utils.save_img(folder / name / f"{i:04}.png", picture)


temporary = tempfile.TemporaryDirectory()
folder = options.folder or Path(temporary.name)
if not options.folder:
    write(folder, 20 if options.quick else 1500)

training, validation = keras.utils.image_dataset_from_directory(
    folder, validation_split=0.2, subset="both", seed=3, image_size=(SIZE, SIZE), batch_size=32
)
classes = training.class_names

inputs = keras.Input((SIZE, SIZE, 3))
x = layers.RandomFlip("horizontal")(inputs)
x = layers.RandomRotation(0.05)(x)
x = layers.RandomZoom(0.1)(x)
x = layers.Rescaling(1 / 255)(x)
x = layers.Conv2D(32, 3, strides=2, padding="same", activation="relu")(x)
for filters in (64, 128):
    shortcut = layers.Conv2D(filters, 1, strides=2, padding="same")(x)
    for _ in range(2):
        x = layers.Activation("relu")(x)
        x = layers.SeparableConv2D(filters, 3, padding="same")(x)
        x = layers.BatchNormalization()(x)
    x = layers.MaxPooling2D(3, strides=2, padding="same")(x)
    x = layers.add([x, shortcut])
x = layers.GlobalAveragePooling2D()(x)
x = layers.Dropout(0.25)(x)
model = keras.Model(inputs, layers.Dense(len(classes), activation="softmax")(x))

model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
callbacks = [keras.callbacks.ReduceLROnPlateau(patience=2, factor=0.3)]
model.fit(
    training.prefetch(2),
    epochs=1 if options.quick else 15,
    validation_data=validation.prefetch(2),
    callbacks=callbacks,
    verbose=2,
)
loss, accuracy = model.evaluate(validation, verbose=0)
print("Test accuracy:", accuracy)

first = next(iter(sorted((folder / classes[0]).iterdir())))
picture = keras.utils.img_to_array(keras.utils.load_img(first, target_size=(SIZE, SIZE)))
scores = model.predict(picture[None], verbose=0)[0]
print(
    f"{first.name} of {classes[0]}:",
    {name: round(float(score), 3) for name, score in zip(classes, scores, strict=True)},
)
temporary.cleanup()
