"""What `oxiconv demo` does: train, evaluate, save, load, compare, draw."""

import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import oxiconv as keras
from oxiconv.contact_sheet import contact_sheet
from oxiconv.datasets import fashion_mnist, glyphs, mnist
from oxiconv.images import write_image

MODEL_SUFFIX = ".safetensors"
DIGITS = tuple("0123456789")
_COLUMNS = 12
_SHOWN = 4 * _COLUMNS  # test pictures on the sheet, and a row of wrong ones below


def run(
    data: str = "glyphs",
    epochs: int | None = None,
    samples: int | None = None,
    seed: int = 0,
    threads: int | None = None,
    folder: Path = Path("oxiconv-demo"),
) -> float:
    """Runs the demonstration and returns the accuracy on the test set.

    Args:
        data: "glyphs", "mnist" or "fashion_mnist".
        epochs: passes over the training set; 8 for glyphs, 3 for a real set.
        samples: training pictures; 10000 for glyphs, all 60000 for a real set. There are a fifth as many test glyphs;
            the real sets have 10000 test pictures.
        seed: of the drawn data, the weights, dropout and the order of training.
        threads: of the pool; one per core.
        folder: where the model and the sheet are written; made if absent.

    Raises:
        ValueError: `samples` exceeds a real set, or a file of it is damaged.
        FileNotFoundError: a real set is absent and cannot be downloaded.
        OSError: the folder cannot be written.
        RuntimeError: the loaded model predicts otherwise than the saved one.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if threads is not None:
        keras.config.set_num_threads(threads)
    keras.utils.set_random_seed(seed)

    start = time.perf_counter()
    (x_train, y_train), (x_test, y_test), names = _load(data, samples, seed)
    print(
        f"{data}: {len(x_train)} training and {len(x_test)} test pictures ({time.perf_counter() - start:.1f} s)",
        flush=True,
    )

    model = mnist_convnet()
    model.summary()
    model.compile(loss="sparse_categorical_crossentropy", optimizer="adam", metrics=["accuracy"])
    start = time.perf_counter()
    model.fit(_scaled(x_train), y_train, batch_size=128, epochs=epochs or (8 if data == "glyphs" else 3))
    print(f"trained in {time.perf_counter() - start:.1f} s")

    x = _scaled(x_test)
    _, accuracy = model.evaluate(x, y_test, verbose=0)
    print(f"test accuracy: {accuracy:.2%}")

    path = folder / f"{data}{MODEL_SUFFIX}"
    model.save(path)
    chances = model.predict(x, verbose=0)
    if not np.array_equal(keras.models.load_model(path).predict(x, verbose=0), chances):
        raise RuntimeError(f"the model loaded from {path} predicts otherwise than the one that was saved")
    print(f"saved, loaded and compared: {path}")

    predicted = np.argmax(chances, axis=1)
    wrong = np.flatnonzero(predicted != y_test)
    shown = np.concatenate([np.arange(min(_SHOWN, len(x_test))), wrong[wrong >= _SHOWN][:_COLUMNS]])
    sheet = contact_sheet(x_test[shown], y_test[shown].tolist(), predicted[shown].tolist(), names, _COLUMNS)
    write_image(folder / f"{data}.png", sheet)
    print(f"predictions: {folder / f'{data}.png'}")
    return float(accuracy)


def mnist_convnet() -> Any:
    """The network of Keras's example "Simple MNIST convnet", https://keras.io/examples/vision/mnist_convnet."""
    layers = keras.layers
    return keras.Sequential(
        [
            keras.Input(shape=(28, 28, 1)),
            layers.Conv2D(32, kernel_size=(3, 3), activation="relu"),
            layers.MaxPooling2D(pool_size=(2, 2)),
            layers.Conv2D(64, kernel_size=(3, 3), activation="relu"),
            layers.MaxPooling2D(pool_size=(2, 2)),
            layers.Flatten(),
            layers.Dropout(0.5),
            layers.Dense(10, activation="softmax"),
        ]
    )


def _load(data: str, samples: int | None, seed: int) -> tuple[glyphs.Split, glyphs.Split, tuple[str, ...]]:
    if data == "glyphs":
        train = 10000 if samples is None else samples
        return *glyphs.load_data(train=train, test=max(train // 5, 1), seed=seed), DIGITS
    if data not in ("mnist", "fashion_mnist"):
        raise ValueError(f"demo: data must be 'glyphs', 'mnist' or 'fashion_mnist', got {data!r}")
    (x_train, y_train), test = (mnist if data == "mnist" else fashion_mnist).load_data()
    if samples is not None and samples > len(x_train):
        raise ValueError(f"demo: {data} has {len(x_train)} training pictures, {samples} were asked for")
    names = DIGITS if data == "mnist" else fashion_mnist.CLASS_NAMES
    return (x_train[:samples], y_train[:samples]), test, names


def _scaled(pictures: NDArray[np.uint8]) -> NDArray[np.float32]:
    return pictures[..., None].astype(np.float32) / np.float32(255)
