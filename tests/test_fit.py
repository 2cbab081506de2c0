"""`fit`, `evaluate` and `predict`: histories, splits, weights, sources of data, and equality of compiled and eager."""

from __future__ import annotations

import hashlib
import math
import os
import signal
import threading
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

import oxiconv as keras
from oxiconv import layers, ops
from oxiconv._core import num_threads, set_num_threads
from oxiconv.trainer.batches import ArrayBatches

EPS = float(np.finfo(np.float32).eps)
N, D, CLASSES = 50, 6, 3


def data(n: int = N) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(n, D)).astype(np.float32)
    return x, (x @ rng.normal(size=(D, CLASSES))).argmax(-1)


X, Y = data()


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


def test_evaluate_is_the_mean_over_samples() -> None:
    x, y = data()
    model = classifier()
    p = probabilities(model, x)
    penalty = 0.01 * (model.get_weights()[0].astype(np.float64) ** 2).sum()
    want = -np.log(p[np.arange(N), y]).mean() + penalty
    loss, accuracy = model.evaluate(x, y, batch_size=16, verbose=0)
    # Sums of at most D products per layer, a softmax and a logarithm, all of order 1.
    assert loss == pytest.approx(want, abs=64 * EPS)
    assert accuracy == pytest.approx((p.argmax(-1) == y).mean(), abs=EPS)
    assert model.evaluate(x, y, verbose=0, return_dict=True) == pytest.approx({"loss": loss, "accuracy": accuracy})


def test_one_step_of_gradient_descent() -> None:
    """Loss mean((w x - y)^2) at w = 0: the gradient is -2 mean(x y)."""
    x, y = np.array([[1.0], [2.0], [3.0]]), np.array([[2.0], [1.0], [0.5]])
    model = linear(optimizer=keras.optimizers.SGD(0.1))
    history = model.fit(x, y, batch_size=3, verbose=0).history
    assert history["loss"][0] == pytest.approx((y**2).mean(), rel=4 * EPS)
    assert model.get_weights()[0].item() == pytest.approx(0.1 * 2 * (x * y).mean(), rel=8 * EPS)


def test_history() -> None:
    x, y = data()
    model = classifier()
    history = model.fit(x, y, epochs=4, initial_epoch=1, batch_size=16, validation_split=0.2, verbose=0)
    assert list(history.history) == ["accuracy", "loss", "val_accuracy", "val_loss"]
    assert history.epoch == [1, 2, 3]
    assert all(len(values) == 3 for values in history.history.values())
    assert all(isinstance(v, float) for values in history.history.values() for v in values)
    assert history.params == {"epochs": 4, "steps": 3, "verbose": 0}
    assert history.history["loss"][-1] < history.history["loss"][0]
    assert model.history is history
    assert [m.name for m in model.metrics] == ["loss", "accuracy"]


def test_validation_split_is_the_last_part_unshuffled() -> None:
    x, y = np.zeros((10, 1)), np.arange(10.0)[:, None]
    history = linear().fit(x, y, validation_split=0.3, batch_size=4, verbose=0).history
    # Predictions are 0: the losses are the mean squares of the targets 0..6 and 7..9.
    assert history["loss"][0] == pytest.approx((np.arange(7.0) ** 2).mean(), rel=8 * EPS)
    assert history["val_loss"][0] == pytest.approx((np.arange(7.0, 10.0) ** 2).mean(), rel=8 * EPS)


def test_the_last_batch_counts_by_its_size() -> None:
    x, y = np.zeros((5, 1)), np.array([[0.0], [0.0], [0.0], [0.0], [10.0]])
    history = linear().fit(x, y, batch_size=4, shuffle=False, verbose=0).history
    assert history["loss"][0] == pytest.approx(20.0, rel=4 * EPS)


def test_validation_frequency() -> None:
    x, y = data()
    kwargs: dict[str, Any] = {"epochs": 5, "validation_data": (x, y), "verbose": 0}
    assert len(classifier().fit(x, y, validation_freq=2, **kwargs).history["val_loss"]) == 2
    assert len(classifier().fit(x, y, validation_freq=[1, 5], **kwargs).history["val_loss"]) == 2


def test_sample_weights_weigh_loss_and_weighted_metrics() -> None:
    x, y, w = np.zeros((4, 1)), np.array([[1.0], [2.0], [3.0], [4.0]]), np.array([1.0, 0.0, 2.0, 0.0])
    model = linear(metrics=["mse"], weighted_metrics=["mse"])
    got = model.evaluate(x, y, sample_weight=w, verbose=0, return_dict=True)
    # Keras: the loss divides by the number of samples, a weighted metric by the sum of the weights.
    assert got == pytest.approx({"loss": 19 / 4, "mse": 30 / 4, "weighted_mse": 19 / 3}, rel=4 * EPS)
    trained = model.fit(x, y, sample_weight=w, validation_data=(x, y, w), verbose=0).history
    assert trained["loss"][0] == trained["val_loss"][0] == pytest.approx(19 / 4, rel=4 * EPS)


def test_class_weights() -> None:
    x, y = data()
    weight = {0: 2.0, 2: 0.5}
    model = classifier(optimizer=keras.optimizers.SGD(0.0))
    by_class = model.fit(x, y, class_weight=weight, verbose=0).history["loss"]
    table = np.array([2.0, 1.0, 0.5])
    by_sample = model.fit(x, y, sample_weight=table[y], verbose=0).history["loss"]
    one_hot = classifier(optimizer=keras.optimizers.SGD(0.0), loss="categorical_crossentropy")
    by_hot = one_hot.fit(x, keras.utils.to_categorical(y), class_weight=weight, verbose=0).history["loss"]
    # Other orders of the same sum of N terms.
    assert by_class == pytest.approx(by_sample, rel=N * EPS)
    assert by_class == pytest.approx(by_hot, rel=N * EPS)


@pytest.mark.parametrize(
    "config",
    [
        {},
        {"optimizer": keras.optimizers.SGD(0.1, momentum=0.9, nesterov=True)},
        {"optimizer": keras.optimizers.AdamW(keras.optimizers.schedules.CosineDecay(0.01, 20), clipnorm=0.5)},
        {"optimizer": keras.optimizers.RMSprop(0.01), "weighted_metrics": ["crossentropy"]},
    ],
    ids=["adam", "sgd", "adamw", "rmsprop"],
)
def test_compiled_equals_eager(config: dict[str, Any]) -> None:
    x, y = data()
    weights = np.linspace(0.5, 1.5, N)
    results = []
    for eagerly in (False, True):
        again = {k: type(v).from_config(v.get_config()) if k == "optimizer" else v for k, v in config.items()}
        model = classifier(run_eagerly=eagerly, **again)
        history = model.fit(x, y, sample_weight=weights, epochs=3, batch_size=16, validation_split=0.2, verbose=0)
        results.append((history.history, model.get_weights()))
    (compiled, w1), (eager, w2) = results
    assert compiled.keys() == eager.keys()
    # 12 steps of one sequence of operations, whose fused form may round less often. A rounding of a gradient passes
    # Adam's division by its root undiminished: an update of size lr = 0.01 carries a relative error of some 100 EPS.
    for a, b in zip(w1, w2, strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=12 * 100 * EPS * 0.1)
    for name in compiled:
        np.testing.assert_allclose(compiled[name], eager[name], rtol=0, atol=12 * 100 * EPS)


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


def test_the_same_bits_for_any_number_of_threads() -> None:
    rng = np.random.default_rng(0)
    x, y = rng.random((150, 12, 12, 1), dtype=np.float32), rng.integers(0, CLASSES, 150)
    before, results = num_threads(), set()
    try:
        for threads in (1, 2, 3, 1):
            set_num_threads(threads)
            model = convolutional()
            history = model.fit(x, y, epochs=2, batch_size=64, verbose=0).history
            results.add((digest(model), str(history), str(model.evaluate(x, y, verbose=0))))
    finally:
        set_num_threads(before)
    assert len(results) == 1


def test_other_seeds_give_other_weights() -> None:
    x, y = data()
    digests = set()
    for seed in (1, 2):
        model = classifier(seed)
        model.fit(x, y, verbose=0)
        digests.add(digest(model))
    assert len(digests) == 2


def test_shuffling_is_new_each_epoch_and_repeats_with_the_seed() -> None:
    orders: list[list[float]] = []

    class Watch(keras.Model):
        def call(self, inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
            return inputs

        def train_step(self, batch: Any) -> dict[str, Any]:
            orders[-1].extend(batch[0].numpy()[:, 0].tolist())
            return {}

    for _ in range(2):
        keras.utils.set_random_seed(3)
        model = Watch()
        model.compile(optimizer=None)
        for _ in range(2):
            orders.append([])
            model.fit(np.arange(20.0)[:, None], np.zeros((20, 1)), batch_size=6, verbose=0)
    first, second, first_again, second_again = orders
    assert first == first_again
    assert second == second_again
    assert first != second
    assert sorted(first) == sorted(second) == list(range(20))


def test_a_changed_learning_rate_needs_no_new_step() -> None:
    x, y = data()
    model = classifier()
    model.fit(x, y, batch_size=25, verbose=0)
    state = model._compiled_state
    assert state is not None
    steps = len(state.steps)
    model.optimizer.learning_rate = 0.0
    before = digest(model)
    model.fit(x, y, batch_size=25, verbose=0)
    assert digest(model) == before
    assert len(state.steps) == steps


def test_frozen_weights_stay_until_the_next_compile() -> None:
    x, y = data()
    model = classifier()
    model.layers[0].trainable = False
    model.compile("sgd", "sparse_categorical_crossentropy")
    frozen = model.layers[0].get_weights()[0].copy()
    free = model.layers[1].get_weights()[0].copy()
    model.fit(x, y, verbose=0)
    assert (model.layers[0].get_weights()[0] == frozen).all()
    assert (model.layers[1].get_weights()[0] != free).any()


def batches(x: Any, y: Any, size: int) -> Iterator[tuple[Any, Any]]:
    for i in range(0, len(x), size):
        yield x[i : i + size], y[i : i + size]


def test_generators_and_iterables_equal_arrays() -> None:
    x, y = data()
    want = classifier()
    want.fit(x, y, batch_size=16, shuffle=False, epochs=2, verbose=0)

    class Dataset:
        def __len__(self) -> int:
            return math.ceil(N / 16)

        def __getitem__(self, i: int) -> tuple[Any, Any]:
            return x[i * 16 : i * 16 + 16], y[i * 16 : i * 16 + 16]

    def endless() -> Iterator[tuple[Any, Any]]:
        while True:
            yield from batches(x, y, 16)

    for source, steps in ((list(batches(x, y, 16)), None), (Dataset(), None), (endless(), 4)):
        model = classifier()
        if isinstance(source, list):
            source = tuple_free(source)
        model.fit(source, epochs=2, steps_per_epoch=steps, verbose=0)
        assert digest(model) == digest(want)
    assert want.evaluate(Dataset(), verbose=0) == want.evaluate(x, y, batch_size=16, verbose=0)


def tuple_free(items: list[Any]) -> Any:
    """An iterable that is no list: a list as x is a structure of arrays."""

    class Items:
        def __iter__(self) -> Iterator[Any]:
            return iter(items)

    return Items()


def test_a_generator_that_runs_out_stops_training() -> None:
    x, y = data()
    model = classifier()
    with pytest.warns(UserWarning, match="ran out in epoch 2 of 3"):
        history = model.fit(batches(x, y, 16), epochs=3, steps_per_epoch=3, verbose=0)
    assert len(history.epoch) == 2
    with pytest.warns(UserWarning, match="ran out in epoch 1 of 2"):
        model.fit(batches(x, y, 16), epochs=2, verbose=0)


def test_predict() -> None:
    x, y = data()
    model = classifier()
    got = model.predict(x, batch_size=16, verbose=0)
    # As in the first test.
    np.testing.assert_allclose(got, probabilities(model, x), rtol=0, atol=64 * EPS)
    np.testing.assert_array_equal(model.predict_on_batch(x[:16]), got[:16])
    np.testing.assert_array_equal(model.predict(tuple_free([(x[:16], y[:16])]), verbose=0), got[:16])
    with pytest.raises(ValueError, match="at least one sample"):
        model.predict(x[:0], verbose=0)


def test_predict_without_compile() -> None:
    model = keras.Sequential([keras.Input((2,)), layers.Dense(1, kernel_initializer="ones")])
    np.testing.assert_array_equal(model.predict(np.array([[1.0, 2.0]]), verbose=0), [[3.0]])


def test_on_batch() -> None:
    x, y = data()
    model, other = classifier(), classifier()
    loss, accuracy = model.train_on_batch(x[:16], y[:16])
    assert model.train_on_batch(x[16:32], y[16:32], return_dict=True).keys() == {"accuracy", "loss"}
    other.fit(x[:32], y[:32], batch_size=16, shuffle=False, verbose=0)
    assert digest(model) == digest(other)
    model.reset_metrics()
    assert model.test_on_batch(x, y) == pytest.approx(model.evaluate(x, y, batch_size=N, verbose=0))
    assert 0 <= accuracy <= 1
    assert loss > 0


def test_bytes_and_wide_types() -> None:
    """uint8 images and float64 arrays train as the same numbers in float32."""
    rng = np.random.default_rng(0)
    x, y = rng.integers(0, 255, (20, D)).astype(np.uint8), rng.integers(0, CLASSES, 20).astype(np.uint8)
    digests = set()
    for kind, labels in ((np.uint8, np.uint8), (np.float64, np.int64), (np.float32, np.int16)):
        model = classifier()
        model.fit(x.astype(kind), y.astype(labels), verbose=0)
        digests.add(digest(model))
    assert len(digests) == 1


def two_headed() -> keras.Model:
    keras.utils.set_random_seed(1)
    inputs = keras.Input((D,))
    a = layers.Dense(CLASSES, activation="softmax", name="kind")(inputs)
    b = layers.Dense(1, name="size")(inputs)
    return keras.Model(inputs, [a, b])


@pytest.mark.parametrize("spelling", ["list", "dict"])
def test_several_outputs(spelling: str) -> None:
    x, y = data()
    size = x[:, :1] * 2
    model = two_headed()
    if spelling == "list":
        model.compile(
            "adam",
            loss=["sparse_categorical_crossentropy", "mse"],
            loss_weights=[1.0, 0.5],
            metrics=[["accuracy"], ["mae"]],
        )
        targets: Any = [y, size]
    else:
        model.compile(
            "adam",
            loss={"kind": "sparse_categorical_crossentropy", "size": "mse"},
            loss_weights={"size": 0.5, "kind": 1.0},
            metrics={"kind": "accuracy", "size": ["mae"]},
        )
        targets = {"kind": y, "size": size}
    history = model.fit(x, targets, epochs=2, validation_data=(x, targets), verbose=0).history
    names = ["kind_accuracy", "kind_loss", "loss", "size_loss", "size_mae"]
    assert list(history) == names + [f"val_{n}" for n in names]
    result = model.evaluate(x, targets, verbose=0, return_dict=True)
    assert result["loss"] == pytest.approx(result["kind_loss"] + 0.5 * result["size_loss"], rel=8 * EPS)
    order = ["loss", "kind_loss", "size_loss", "kind_accuracy", "size_mae"]
    assert model.evaluate(x, targets, verbose=0) == [result[name] for name in order]
    kind, sizes = model.predict(x, verbose=0)
    assert kind.shape == (N, CLASSES)
    assert sizes.shape == (N, 1)


def test_custom_train_step_runs_with_a_tape() -> None:
    class Custom(keras.Model):
        def __init__(self) -> None:
            super().__init__()
            self.dense = layers.Dense(1, use_bias=False, kernel_initializer="zeros")
            self.seen = keras.metrics.Mean(name="seen")

        def call(self, inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
            return self.dense(inputs)

        def train_step(self, batch: Any) -> dict[str, Any]:
            x, y = batch
            with keras.GradientTape() as tape:
                loss = ops.mean(ops.square(self(x, training=True) - y))
            self.optimizer.apply_gradients(
                zip(tape.gradient(loss, self.trainable_variables), self.trainable_variables, strict=True)
            )
            self.seen.update_state(loss)
            return {"seen": self.seen.result()}

    model = Custom()
    model.compile(optimizer=keras.optimizers.SGD(0.1))
    x, y = np.array([[1.0], [2.0], [3.0]]), np.array([[2.0], [1.0], [0.5]])
    history = model.fit(x, y, epochs=2, verbose=0).history
    assert list(history) == ["seen"]
    assert history["seen"][0] == pytest.approx((y**2).mean(), rel=4 * EPS)
    assert history["seen"][1] < history["seen"][0]


class Pair(keras.Model):
    """Two networks with an optimizer each, trained against each other."""

    def __init__(self) -> None:
        super().__init__()
        keras.utils.set_random_seed(1)
        self.maker = keras.Sequential([keras.Input((2,)), layers.Dense(4, activation="tanh"), layers.Dense(D)])
        self.judge = keras.Sequential([keras.Input((D,)), layers.Dense(4, activation="tanh"), layers.Dense(1)])
        self.noise = keras.random.SeedGenerator(1)
        self.optimizers = [keras.optimizers.Adam(0.01), keras.optimizers.RMSprop(0.01)]
        self.judged = keras.metrics.Mean(name="judged")
        self.steps_in_python = 0

    def train_step(self, real: Any) -> dict[str, Any]:
        self.steps_in_python += 1
        bce = keras.losses.BinaryCrossentropy(from_logits=True)
        seeds = keras.random.normal((real.shape[0], 2), seed=self.noise)
        with keras.GradientTape() as tape:
            scores = self.judge(ops.concatenate([real, self.maker(seeds)], axis=0))
            loss = bce(ops.concatenate([ops.ones((real.shape[0], 1)), ops.zeros((real.shape[0], 1))], axis=0), scores)
        weights = self.judge.trainable_weights
        self.optimizers[0].apply(tape.gradient(loss, weights), weights)
        with keras.GradientTape() as tape:
            fooled = bce(ops.ones((real.shape[0], 1)), self.judge(self.maker(seeds)))
        weights = self.maker.trainable_weights
        self.optimizers[1].apply(tape.gradient(fooled, weights), weights)
        self.judged.update_state(loss)
        return {"judged": self.judged.result(), "fooled": fooled}


def test_custom_train_step_compiled_equals_eager() -> None:
    results = []
    for jit in ("auto", True):
        model = Pair()
        model.compile(optimizer=None, jit_compile=jit)
        history = model.fit(X, batch_size=16, epochs=2, verbose=0).history
        results.append((history, model.get_weights(), model.steps_in_python))
    (eager, w1, every), (compiled, w2, once) = results
    assert (every, once) == (8, 2)  # once per batch shape
    assert list(eager) == list(compiled) == ["fooled", "judged"]
    for name in eager:
        # As in test_compiled_equals_eager, for 8 steps.
        np.testing.assert_allclose(compiled[name], eager[name], rtol=0, atol=8 * 100 * EPS)
    for a, b in zip(w1, w2, strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=8 * 100 * EPS * 0.1)


def test_overridden_compute_loss_and_metrics_are_compiled() -> None:
    class Doubled(keras.Sequential):
        # Without `training`, as older code has it.
        def compute_loss(  # type: ignore[override]
            self, x: Any = None, y: Any = None, y_pred: Any = None, sample_weight: Any = None
        ) -> Any:
            return 2.0 * super().compute_loss(x, y, y_pred, sample_weight)

        def compute_metrics(self, x: Any, y: Any, y_pred: Any, sample_weight: Any = None) -> dict[str, Any]:
            return {**super().compute_metrics(x, y, y_pred, sample_weight), "largest": ops.max(ops.abs(y))}

    model = Doubled([keras.Input((1,)), layers.Dense(1, kernel_initializer="zeros")])
    model.compile(keras.optimizers.SGD(0.0), "mse")
    history = model.fit(np.zeros((2, 1)), np.array([[1.0], [3.0]]), verbose=0).history
    assert history == {"largest": [3.0], "loss": [pytest.approx(10.0)]}
    state = model._compiled_state
    assert state is not None
    assert len(state.steps) == 1


def test_a_layer_added_after_predicting_takes_part() -> None:
    model = keras.Sequential([keras.Input((1,)), layers.Dense(1, kernel_initializer="ones")])
    x = np.array([[2.0]])
    assert model.predict(x, verbose=0).item() == 2.0
    model.add(layers.Dense(1, kernel_initializer=keras.initializers.Constant(3.0)))
    assert model.predict(x, verbose=0).item() == 6.0


def test_vectors_as_inputs_of_one_feature() -> None:
    """`[n]` for inputs of shape (1,), as Keras adjusts it."""
    x = np.arange(4.0)
    model = linear(optimizer=keras.optimizers.SGD(0.01))
    model.fit(x, 2 * x, epochs=200, verbose=0)
    # Each epoch, one step, leaves 1 - 0.01 * 2 * mean(x^2) = 0.93 of the weight's error of 2; 6 * 0.93^200 = 3e-6.
    np.testing.assert_allclose(model.predict(x, verbose=0)[:, 0], 2 * x, atol=1e-5)


def test_unbuilt_model_is_built_by_fit() -> None:
    x, y = data()
    model = keras.Sequential([layers.Dense(4, activation="relu"), layers.Dense(CLASSES, activation="softmax")])
    model.compile("sgd", "sparse_categorical_crossentropy")
    model.fit(x, y, verbose=0)
    assert [w.shape for w in model.get_weights()] == [(D, 4), (4,), (4, CLASSES), (CLASSES,)]


@pytest.mark.parametrize(
    ("x", "y", "kwargs", "message"),
    [
        (X, Y[:-1], {}, "x has 50, y has 49"),
        (X, Y, {"sample_weight": np.ones(3)}, "sample_weight has 3"),
        (X, Y + 1, {}, r"labels in \[0, 3\), got 3"),
        (X, Y - 1, {}, r"labels in \[0, 3\), got -1"),
        (X, Y + 0.5, {}, "not whole"),
        (X, np.eye(CLASSES)[Y], {}, "one-hot"),
        (X, None, {}, "y is missing"),
        (X, np.array(["a"] * N), {}, "expected numbers"),
        (X[:0], Y[:0], {}, "at least one sample"),
        (X, Y, {"batch_size": 0}, "batch_size"),
        (X, Y, {"validation_split": 1.5}, "validation_split"),
        (X, Y, {"validation_split": 0.2, "validation_data": (X, Y)}, "got both"),
        (X, Y, {"validation_data": (X,)}, "validation_data"),
        (X, Y, {"shuffle": "often"}, "shuffle"),
        (X, Y, {"class_weight": {"a": 1.0}}, "integers as classes"),
        (X, Y, {"steps_per_epoch": 0}, "number of steps"),
        (X, Y, {"callbacks": [3]}, "expected Callback instances"),
        (iter([]), Y, {}, "must be part of the batches"),
        (3, None, {}, "expected arrays|Expected arrays"),
    ],
)
def test_wrong_arguments(x: Any, y: Any, kwargs: dict[str, Any], message: str) -> None:
    model = classifier()
    before = digest(model)
    with pytest.raises((ValueError, TypeError), match=message):
        model.fit(x, y, verbose=0, **kwargs)
    assert digest(model) == before


def test_labels_of_a_generator_are_checked() -> None:
    model = classifier()
    with pytest.raises(ValueError, match=r"labels in \[0, 3\), got 7"):
        model.fit(batches(X, np.where(Y == 2, 7, Y), 16), verbose=0)


def test_targets_of_another_shape_are_refused() -> None:
    with pytest.raises(ValueError, match=r"mean_squared_error.*\(32, 3\)"):
        classifier(loss="mse").fit(X, Y, verbose=0)


def test_not_compiled() -> None:
    model = keras.Sequential([keras.Input((1,)), layers.Dense(1)])
    with pytest.raises(ValueError, match="has not been compiled"):
        model.fit(np.zeros((1, 1)), np.zeros((1, 1)))


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"loss": "nope"}, "Unknown loss 'nope'"),
        ({"metrics": ["nope"]}, "Unknown metric 'nope'"),
        ({"metrics": "accuracy"}, "expected a list"),
        ({"optimizer": "nope"}, "Unknown optimizer 'nope'"),
        ({"steps_per_execution": 0}, "steps_per_execution"),
        ({"jit_compile": "maybe"}, "jit_compile"),
    ],
)
def test_wrong_compile_arguments(kwargs: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        classifier(**kwargs)


@pytest.mark.parametrize("spelling", ["list", "dict"])
def test_several_inputs(spelling: str) -> None:
    a, b = keras.Input((1,), name="b"), keras.Input((1,), name="a")
    model = keras.Model([a, b] if spelling == "list" else {"b": a, "a": b}, keras.layers.Subtract()([a, b]))
    model.compile("sgd", "mae")
    first, second = np.arange(5.0)[:, None], np.ones((5, 1))
    x: Any = [first, second] if spelling == "list" else {"b": first, "a": second}
    np.testing.assert_array_equal(model.predict(x, verbose=0, batch_size=2), first - second)
    assert model.evaluate(x, np.zeros((5, 1)), verbose=0) == pytest.approx(np.abs(first - second).mean())


def test_explain_plan() -> None:
    model = classifier()
    with pytest.raises(ValueError, match="no step has been compiled"):
        model.explain_plan()
    model.fit(X, Y, batch_size=40, validation_data=(X, Y), verbose=0)
    printed: list[str] = []
    model.explain_plan(print_fn=printed.append)
    text = "".join(printed)
    assert "train step for batches of float32[40, 6], int32[40]\n" in text
    assert "train step for batches of float32[10, 6], int32[10]\n" in text
    assert "test step for batches of float32[40, 6], int32[40]\n" in text
    assert text.count(" MiB\n") == 4


def test_ctrl_c_leaves_the_weights_of_a_whole_step() -> None:
    """After an interrupt at any time the model is where that many whole steps lead."""
    model = convolutional()
    rng = np.random.default_rng(0)
    x, y = rng.random((64, 12, 12, 1), dtype=np.float32), rng.integers(0, CLASSES, 64)
    model.train_on_batch(x, y)
    threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT)).start()
    with pytest.raises(KeyboardInterrupt):
        model.fit(x, y, batch_size=64, epochs=10**6, shuffle=False, verbose=0)
    steps = int(model.optimizer.iterations)
    assert steps > 1
    again = convolutional()
    for _ in range(steps):
        again.train_on_batch(x, y)
    assert digest(again) == digest(model)


@given(
    samples=st.integers(1, 40),
    size=st.integers(1, 50),
    shuffle=st.sampled_from([True, False, "batch"]),
    structured=st.booleans(),
)
def test_a_pass_gives_each_sample_once(samples: int, size: int, shuffle: bool | str, structured: bool) -> None:
    x = np.arange(samples, dtype=np.int32)
    inputs = {"b": x, "a": x * 10} if structured else x
    source = ArrayBatches((inputs, x * 100, None), size, shuffle, np.random.default_rng(0).permutation)
    seen: list[int] = []
    sizes = []
    for got, y, weight in source:
        first = got["b"] if structured else got
        np.testing.assert_array_equal(y, first * 100)
        if structured:
            np.testing.assert_array_equal(got["a"], first * 10)
        assert weight is None
        seen += first.tolist()
        sizes.append(len(first))
    assert sorted(seen) == list(range(samples))
    assert seen == sorted(seen) or shuffle
    assert len(sizes) == source.steps
    assert sorted(sizes, reverse=True)[:-1] == [min(size, samples)] * (len(sizes) - 1)


def test_many_shapes_keep_few_steps() -> None:
    from oxiconv.trainer.step import CAPACITY

    model = linear()
    for n in range(1, CAPACITY + 5):
        model.train_on_batch(np.zeros((n, 1)), np.zeros((n, 1)))
    state = model._compiled_state
    assert state is not None
    assert len(state.steps) == CAPACITY
