"""What scripts rely on: freezing, batch normalization, labels and images as they come, seeds, lists of callbacks."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import oxiconv as keras
from oxiconv import layers
from small_models import EPS, N, X, Y, classifier, data, digest, iterable

IMAGES = np.random.default_rng(0).integers(0, 256, (24, 6, 6, 3)).astype(np.uint8)
KINDS = np.random.default_rng(1).integers(0, 3, 24)


def base() -> keras.Model:
    inputs = keras.Input((6, 6, 3))
    x = layers.Conv2D(4, 3, name="conv")(inputs)
    return keras.Model(inputs, layers.BatchNormalization(name="norm")(x), name="base")


@pytest.mark.parametrize("frozen", [False, True])
@pytest.mark.parametrize("constant", [None, False])
def test_batch_normalization_of_a_base(frozen: bool, constant: bool | None) -> None:
    """Statistics move only where the base is trainable and not called with `training=False`, which wins over fit."""
    keras.utils.set_random_seed(1)
    inner = base()
    inner.trainable = not frozen
    inputs = keras.Input((6, 6, 3))
    x = layers.Rescaling(1 / 255)(inputs)
    x = inner(x) if constant is None else inner(x, training=constant)
    model = keras.Model(inputs, layers.Dense(3)(layers.GlobalAveragePooling2D()(x)))
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(0.01), loss)
    norm: Any = inner.get_layer("norm")
    conv: Any = inner.get_layer("conv")
    mean, kernel = np.array(norm.moving_mean), np.array(conv.kernel)
    model.fit(IMAGES, KINDS, epochs=2, verbose=0)
    assert bool((np.asarray(norm.moving_mean) != mean).any()) == (not frozen and constant is None)
    assert bool((np.asarray(conv.kernel) != kernel).any()) == (not frozen)
    # Iteration and rate, and two slots for each weight that is trained.
    assert len(model.optimizer.variables) == 2 + 2 * len(model.trainable_weights)
    assert len(model.trainable_weights) == (2 if frozen else 6)


def test_freezing_and_compiling_again() -> None:
    x, y = data()
    model = classifier()
    model.fit(x, y, verbose=0)
    model.layers[0].trainable = False
    model.compile("adam", "sparse_categorical_crossentropy")
    before = model.get_weights()
    model.fit(x, y, verbose=0)
    moved = [bool((a != b).any()) for a, b in zip(before, model.get_weights(), strict=True)]
    assert moved == [False, False, True, True]
    assert len(model.optimizer.variables) == 2 + 2 * 2


def test_labels_and_images_as_they_come() -> None:
    """Labels [n] or [n, 1] of any integer type; images of bytes are the same numbers in float32."""
    digests, scores = set(), set()
    for x in (IMAGES, IMAGES.astype(np.float32), IMAGES.astype(np.float64), IMAGES.astype(np.int64)):
        for y in (KINDS, KINDS[:, None], KINDS.astype(np.uint8), KINDS.astype(np.float32)):
            keras.utils.set_random_seed(1)
            model = keras.Sequential(
                [
                    keras.Input((6, 6, 3)),
                    layers.Rescaling(1 / 255),
                    layers.Flatten(),
                    layers.Dense(3, activation="softmax"),
                ]
            )
            model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
            model.fit(x, y, batch_size=7, epochs=2, verbose=0)
            digests.add(digest(model))
            scores.add(tuple(model.evaluate(x, y, verbose=0)))
    assert len(digests) == len(scores) == 1


def test_seeds_repeat_a_training() -> None:
    """`set_random_seed`, and seeds of layers, each by itself: weights, shuffling and dropout."""

    def train(seed: int | None, layer_seed: int | None) -> str:
        if seed is not None:
            keras.utils.set_random_seed(seed)
        kernel = keras.initializers.GlorotUniform(seed=layer_seed)
        model = keras.Sequential(
            [
                keras.Input((6,)),
                layers.Dense(8, activation="relu", kernel_initializer=kernel),
                layers.Dropout(0.5, seed=layer_seed),
                layers.Dense(3, activation="softmax", kernel_initializer=kernel),
            ]
        )
        model.compile("adam", "sparse_categorical_crossentropy")
        model.fit(X, Y, epochs=2, shuffle=seed is not None, verbose=0)
        return digest(model)

    assert train(5, None) == train(5, None) != train(6, None)
    assert train(None, 7) == train(None, 7) != train(None, 8)


def test_mixed_precision_scales_the_loss() -> None:
    for policy, wrapped in (("mixed_float16", True), ("mixed_bfloat16", False), ("float32", False)):
        model = keras.Sequential([keras.Input((6,)), layers.Dense(3, activation="softmax", dtype=policy)], name=None)
        model.dtype_policy = policy
        model.compile(keras.optimizers.SGD(0.1), "sparse_categorical_crossentropy")
        assert isinstance(model.optimizer, keras.optimizers.LossScaleOptimizer) == wrapped
        history = model.fit(X, Y, epochs=3, verbose=0).history
        assert history["loss"][-1] < history["loss"][0]
        model.compile(keras.optimizers.SGD(0.1), "sparse_categorical_crossentropy", auto_scale_loss=False)
        assert type(model.optimizer) is keras.optimizers.SGD


def test_changes_of_wrapped_optimizers_need_a_new_step() -> None:
    """What is fixed in a compiled step is looked for in inner optimizers too."""
    inner = keras.optimizers.SGD(0.0)
    model = classifier(optimizer=keras.optimizers.LossScaleOptimizer(inner))
    model.fit(X, Y, verbose=0)
    before = digest(model)
    inner.weight_decay = 0.5
    inner.learning_rate = 0.5
    model.fit(X, Y, verbose=0)
    assert digest(model) != before
    assert float(np.abs(model.get_weights()[0]).max()) < 1


def test_a_list_of_callbacks_in_a_loop_of_ones_own() -> None:
    calls: list[str] = []

    class Watch(keras.callbacks.Callback):
        def on_batch_end(self, batch: int, logs: Any = None) -> None:
            calls.append(f"batch {batch} {logs}")

        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            calls.append(f"epoch {epoch} {list(logs)}")

    model = classifier()
    watched = keras.callbacks.CallbackList([Watch()], add_history=True, model=model, epochs=1, steps=2, verbose=0)
    watched.on_train_begin()
    watched.on_epoch_begin(0)
    watched.on_batch_begin(0)
    watched.on_batch_end(0, {"loss": 1})
    watched.on_train_batch_end(1, {"loss": 2})
    watched.on_epoch_end(0, {"loss": np.float32(2), "acc": 1})
    watched.on_train_end()
    assert calls == ["batch 0 {'loss': 1}", "batch 1 {'loss': 2}", "epoch 0 ['acc', 'loss']"]
    assert model.history.history == {"acc": [1.0], "loss": [2.0]}
    given = keras.callbacks.CallbackList([Watch()], add_history=True, model=model, epochs=1, steps=1, verbose=0)
    model.fit(X, Y, batch_size=N, verbose=0, callbacks=given)
    assert model.history.epoch == [0]


def test_a_pass_over_data_of_unknown_length_tells_it(capsys: pytest.CaptureFixture[str]) -> None:
    batches = iterable([(X[i : i + 10], Y[i : i + 10]) for i in range(0, 50, 10)])
    classifier().fit(batches, epochs=2, verbose=2)
    lines = [line for line in capsys.readouterr().out.splitlines() if "step" in line]
    assert [line.split(" ")[0] for line in lines] == ["5/5", "5/5"]


def test_results_of_evaluation_are_those_of_validation() -> None:
    model = classifier()
    history = model.fit(
        X, Y, epochs=2, batch_size=7, validation_data=(X, Y), validation_batch_size=50, verbose=0
    ).history
    loss, accuracy = model.evaluate(X, Y, batch_size=50, verbose=0)
    assert (loss, accuracy) == (history["val_loss"][-1], history["val_accuracy"][-1])
    assert model.evaluate(X, Y, batch_size=9, verbose=0) == pytest.approx([loss, accuracy], abs=16 * EPS)
