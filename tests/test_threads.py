"""The same bits whatever the number of threads: of weights, losses and predictions, in one process and in the next."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import oxiconv as keras
from oxiconv import layers
from oxiconv._core import num_threads, set_num_threads

EPS = float(np.finfo(np.float32).eps)


@pytest.fixture(autouse=True)
def _threads() -> Iterator[None]:
    before = num_threads()
    yield
    set_num_threads(before)


def plain() -> list[Any]:
    """What a classifier of small pictures has: sums over the batch in weight gradients and statistics; dropout."""
    return [
        layers.Conv2D(8, 3, activation="relu"),
        layers.BatchNormalization(),
        layers.MaxPooling2D(2),
        layers.Conv2D(16, 3, padding="same", activation="relu"),
        layers.MaxPooling2D(2),
        layers.Flatten(),
        layers.Dropout(0.5),
        layers.Dense(10, activation="softmax"),
    ]


def varied() -> list[Any]:
    """Other kernels: strides, groups, dilation, depthwise, transposed; average pools; smooth activations."""
    return [
        layers.Conv2D(12, 3, strides=2, padding="same", activation="gelu", kernel_regularizer="l2"),
        layers.DepthwiseConv2D(3, padding="same", activation="tanh"),
        layers.LayerNormalization(),
        layers.Conv2D(8, 3, dilation_rate=2, groups=4, padding="same"),
        layers.Conv2DTranspose(6, 3, strides=2, padding="same", activation="silu"),
        layers.AveragePooling2D(3, padding="same"),
        layers.SpatialDropout2D(0.25),
        layers.GlobalAveragePooling2D(),
        layers.Dense(10, activation="softmax"),
    ]


MODELS = {"plain": plain, "varied": varied}


def train(name: str, eagerly: bool = False, epochs: int = 2, optimizer: Any = "adam") -> tuple[keras.Sequential, Any]:
    """A model after two epochs of batches of 48, the last one of 9."""
    keras.utils.set_random_seed(5)
    rng = np.random.default_rng(3)
    x, y = rng.random((105, 14, 13, 2), dtype=np.float32), rng.integers(0, 10, 105)
    model = keras.Sequential([keras.Input((14, 13, 2)), *MODELS[name]()])
    model.compile(optimizer, "sparse_categorical_crossentropy", metrics=["accuracy"], run_eagerly=eagerly)
    history = model.fit(x, y, batch_size=48, epochs=epochs, verbose=0)
    return model, history.history


def fingerprint(name: str) -> str:
    """SHA-256 of all weights, and of losses, metrics and predictions."""
    model, history = train(name)
    digest = hashlib.sha256(repr(history).encode())
    for array in [*model.get_weights(), model.predict(np.ones((5, 14, 13, 2), np.float32), verbose=0)]:
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


@pytest.mark.parametrize("name", MODELS)
def test_the_same_bits_for_any_number_of_threads(name: str) -> None:
    found = {}
    for run in (1, 2):
        for threads in (1, 2, 3):
            set_num_threads(threads)
            found[run, threads] = fingerprint(name)
    assert len(set(found.values())) == 1, found


def test_the_same_bits_in_another_process() -> None:
    code = "import test_threads; print(test_threads.fingerprint('plain'))"
    path = os.pathsep.join([str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")])
    found = {fingerprint("plain")}
    for threads in ("1", "2"):
        environment = os.environ | {"OXICONV_NUM_THREADS": threads, "PYTHONPATH": path}
        done = subprocess.run(
            [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        found.add(done.stdout.strip())
    assert len(found) == 1


@pytest.mark.parametrize("name", MODELS)
def test_eager_training_equals_compiled(name: str) -> None:
    """Plain gradient descent: a weight is off by the learning rate times the error of a sum of gradients.

    A gradient is a sum of products of numbers that went through at most 20 layers and activations of some 10 roundings,
    and through at most 62 in sums: 300 in all, which are independent, so 18 times one of the sum of magnitudes. That is
    below 10 here; there are 6 steps of a rate of 0.01, after each of which the weight itself is rounded.
    """
    rate = 0.01
    results = [train(name, eagerly, optimizer=keras.optimizers.SGD(rate)) for eagerly in (False, True)]
    (compiled, losses), (eager, eager_losses) = results
    bound = 6 * (rate * 18 * 10 + 1) * EPS
    for a, b in zip(compiled.get_weights(), eager.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=bound)
    np.testing.assert_allclose(losses["loss"], eager_losses["loss"], rtol=18 * EPS, atol=bound)
