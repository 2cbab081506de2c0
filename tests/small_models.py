"""Small data and models that the tests of training share."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

import oxiconv as keras
from oxiconv import layers

EPS = float(np.finfo(np.float32).eps)
N, D, CLASSES = 50, 6, 3


def data(n: int = N) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(n, D)).astype(np.float32)
    return x, (x @ rng.normal(size=(D, CLASSES))).argmax(-1)


def classifier(seed: int = 1, **kwargs: Any) -> keras.Sequential:
    keras.utils.set_random_seed(seed)
    model = keras.Sequential(
        [
            keras.Input((D,)),
            layers.Dense(8, activation="relu", kernel_regularizer=keras.regularizers.L2(0.01)),
            layers.Dense(CLASSES, activation="softmax"),
        ]
    )
    model.compile(**{"optimizer": "adam", "loss": "sparse_categorical_crossentropy", "metrics": ["accuracy"], **kwargs})
    return model


def linear(**kwargs: Any) -> keras.Sequential:
    """One weight, starting at 0: predicts 0, whatever x."""
    model = keras.Sequential(
        [keras.Input((1,)), layers.Dense(1, use_bias=False, kernel_initializer="zeros")],
    )
    model.compile(**{"optimizer": keras.optimizers.SGD(0.0), "loss": "mse", **kwargs})
    return model


def digest(model: Any) -> str:
    return hashlib.sha256(b"".join(np.ascontiguousarray(w).tobytes() for w in model.get_weights())).hexdigest()


def probabilities(model: Any, x: NDArray[np.float32]) -> NDArray[np.float64]:
    """The classifier in float64."""
    w1, b1, w2, b2 = (w.astype(np.float64) for w in model.get_weights())
    z = np.maximum(x.astype(np.float64) @ w1 + b1, 0) @ w2 + b2
    e = np.exp(z - z.max(-1, keepdims=True))
    return np.asarray(e / e.sum(-1, keepdims=True))


def convolutional() -> keras.Sequential:
    """Sums over the batch (weight gradients, batch statistics) and random numbers, split among threads."""
    keras.utils.set_random_seed(1)
    model = keras.Sequential(
        [
            keras.Input((12, 12, 1)),
            layers.Conv2D(8, 3, activation="relu"),
            layers.BatchNormalization(),
            layers.MaxPooling2D(2),
            layers.Conv2D(16, 3, activation="relu"),
            layers.Flatten(),
            layers.Dropout(0.5),
            layers.Dense(CLASSES, activation="softmax"),
        ]
    )
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def iterable(items: list[Any]) -> Any:
    """An iterable that is no list: a list as x would be a structure of arrays."""

    class Items:
        def __iter__(self) -> Iterator[Any]:
            return iter(items)

    return Items()


X, Y = data()
