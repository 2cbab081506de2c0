"""What Keras's guides on training, callbacks, custom steps and custom loops ask for, in scripts of our own words."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import oxiconv as keras
from oxiconv import layers, ops
from small_models import EPS

RNG = np.random.default_rng(0)
IMAGES = RNG.random((64, 8, 8, 1), dtype=np.float32)
LABELS = RNG.integers(0, 4, 64)


def network(classes: int = 4, **kwargs: Any) -> keras.Model:
    keras.utils.set_random_seed(1)
    inputs = keras.Input((8, 8, 1), name="digits")
    x = layers.Flatten()(inputs)
    x = layers.Dense(16, activation="relu", name="dense_1")(x)
    outputs = layers.Dense(classes, activation="softmax", name="predictions")(x)
    return keras.Model(inputs, outputs, **kwargs)


# Training and evaluation with the built-in methods.


class WeightedSquares(keras.losses.Loss):
    def __init__(self, factor: float = 0.1, name: str = "weighted_squares") -> None:
        super().__init__(name=name)
        self.factor = factor

    def call(self, y_true: Any, y_pred: Any) -> Any:
        squares = ops.mean(ops.square(y_true - y_pred), axis=-1)
        return squares + self.factor * ops.mean(ops.square(0.5 - y_pred), axis=-1)


class TruePositives(keras.metrics.Metric):
    def __init__(self, name: str = "true_positives", **kwargs: Any) -> None:
        super().__init__(name=name, **kwargs)
        self.count = self.add_variable(shape=(), name="count", initializer="zeros")

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        predicted = ops.reshape(ops.argmax(y_pred, axis=1), (-1, 1))
        hits = ops.cast(ops.cast(y_true, "int32") == ops.cast(predicted, "int32"), "float32")
        if sample_weight is not None:
            hits = ops.multiply(ops.cast(sample_weight, "float32"), hits)
        self.count.assign_add(ops.sum(hits))

    def result(self) -> Any:
        return self.count.value

    def reset_state(self) -> None:
        self.count.assign(0.0)


def test_losses_and_metrics_of_ones_own() -> None:
    model = network()
    model.compile(keras.optimizers.Adam(0.01), WeightedSquares())
    hot = ops.one_hot(LABELS, 4)
    history = model.fit(IMAGES, hot, batch_size=16, epochs=3, verbose=0).history
    assert history["loss"][-1] < history["loss"][0]

    model = network()
    model.compile("rmsprop", "sparse_categorical_crossentropy", metrics=[TruePositives()])
    history = model.fit(IMAGES, LABELS.reshape(-1, 1), batch_size=16, epochs=2, verbose=0).history
    predicted = model.predict(IMAGES, verbose=0).argmax(-1)
    found = model.evaluate(IMAGES, LABELS.reshape(-1, 1), verbose=0, return_dict=True)["true_positives"]
    assert found == (predicted == LABELS).sum()
    assert all(value == int(value) <= 64 for value in history["true_positives"])


def test_losses_that_layers_add() -> None:
    class Activity(layers.Layer):
        def call(self, inputs: Any) -> Any:
            self.add_loss(ops.sum(inputs) * 0.1)
            return inputs

    class Endpoint(layers.Layer):
        """Loss and metric in a layer that is given the targets."""

        def __init__(self, name: str | None = None) -> None:
            super().__init__(name=name)
            self.loss_fn = keras.losses.BinaryCrossentropy(from_logits=True)
            self.seen = keras.metrics.Mean(name="seen")

        def call(self, targets: Any, logits: Any, sample_weights: Any = None) -> Any:
            self.add_loss(self.loss_fn(targets, logits, sample_weights))
            self.seen.update_state(logits)
            return ops.softmax(logits)

    inputs = keras.Input((3,), name="inputs")
    x = Activity()(layers.Dense(4, activation="relu")(inputs))
    model = keras.Model(inputs, layers.Dense(1)(x))
    model.compile("adam", "mse")
    x, y = RNG.normal(size=(8, 3)), np.zeros((8, 1))
    with_activity = model.evaluate(x, y, verbose=0)
    assert with_activity > float(np.mean(model.predict(x, verbose=0) ** 2))

    targets = keras.Input((10,), name="targets")
    logits = layers.Dense(10)(inputs)
    model = keras.Model([inputs, targets], Endpoint(name="predictions")(targets, logits))
    model.compile("adam")
    data = {"inputs": np.random.random((3, 3)), "targets": np.random.randint(0, 2, (3, 10)).astype(np.float32)}
    history = model.fit(data, epochs=2, verbose=0).history
    assert set(history) == {"loss", "seen"}
    assert history["loss"][1] < history["loss"][0]


def test_several_inputs_and_outputs_with_weights() -> None:
    image = keras.Input((16, 16, 3), name="image")
    series = keras.Input((None, 5), name="series")
    a = layers.GlobalMaxPooling2D()(layers.Conv2D(3, 3)(image))
    b = layers.GlobalMaxPooling1D()(layers.Conv1D(3, 3)(series))
    joined = layers.concatenate([a, b])
    score = layers.Dense(1, name="score")(joined)
    kind = layers.Dense(5, name="kind")(joined)
    model = keras.Model([image, series], [score, kind])
    model.compile(
        keras.optimizers.RMSprop(1e-3),
        loss={"score": keras.losses.MeanSquaredError(), "kind": keras.losses.CategoricalCrossentropy(from_logits=True)},
        metrics={
            "score": [keras.metrics.MeanAbsolutePercentageError(), "mae"],
            "kind": [keras.metrics.CategoricalAccuracy()],
        },
        loss_weights={"score": 2.0, "kind": 1.0},
    )
    x = {"image": RNG.random((12, 16, 16, 3)), "series": RNG.random((12, 10, 5))}
    y = {"score": RNG.random((12, 1)), "kind": np.eye(5)[RNG.integers(0, 5, 12)]}
    first = model.fit([x["image"], x["series"]], [y["score"], y["kind"]], batch_size=4, epochs=1, verbose=0).history
    second = model.fit(x, y, batch_size=4, epochs=1, verbose=0).history
    assert (
        set(first)
        == set(second)
        == {
            "loss",
            "score_loss",
            "kind_loss",
            "score_mae",
            "score_mean_absolute_percentage_error",
            "kind_categorical_accuracy",
        }
    )
    assert first["loss"][0] == pytest.approx(2 * first["score_loss"][0] + first["kind_loss"][0], rel=16 * EPS)


def test_a_dataset_by_index_with_a_schedule_and_checkpoints(tmp_path: Path) -> None:
    class Data(keras.utils.PyDataset):
        def __init__(self, x: Any, y: Any, batch_size: int, **kwargs: Any) -> None:
            super().__init__(**kwargs)
            self.x, self.y, self.batch_size = x, y, batch_size

        def __len__(self) -> int:
            return math.ceil(len(self.x) / self.batch_size)

        def __getitem__(self, i: int) -> Any:
            part = slice(i * self.batch_size, (i + 1) * self.batch_size)
            return self.x[part], self.y[part]

    rate = keras.optimizers.schedules.ExponentialDecay(0.1, decay_steps=8, decay_rate=0.5, staircase=True)
    model = network()
    model.compile(keras.optimizers.SGD(rate), "sparse_categorical_crossentropy", metrics=["accuracy"])
    saved = keras.callbacks.ModelCheckpoint(
        tmp_path / "model_{epoch}.weights.h5",
        save_weights_only=True,
        save_best_only=True,
        monitor="val_loss",
        verbose=0,
    )
    stop = keras.callbacks.EarlyStopping(monitor="val_loss", min_delta=1e-2, patience=2)
    data = Data(IMAGES[:48], LABELS[:48], 12, workers=2, max_queue_size=4)
    history = model.fit(
        data,
        epochs=4,
        validation_data=Data(IMAGES[48:], LABELS[48:], 8),
        class_weight={0: 1.0, 1: 2.0},
        verbose=0,
        callbacks=[saved, stop],
    )
    # Four steps an epoch: halved after two epochs.
    assert float(model.optimizer.learning_rate) == pytest.approx(0.1 * 0.5 ** (len(history.epoch) * 4 // 8))
    best = 1 + int(np.argmin(history.history["val_loss"]))
    again = network()
    again.load_weights(tmp_path / f"model_{best}.weights.h5")
    again.compile("sgd", "sparse_categorical_crossentropy")
    assert again.evaluate(IMAGES[48:], LABELS[48:], verbose=0) == pytest.approx(
        min(history.history["val_loss"]), rel=16 * EPS
    )


# Callbacks of one's own.


def test_hooks_know_the_model_and_results() -> None:
    told: list[str] = []

    class Watching(keras.callbacks.Callback):
        def on_train_begin(self, logs: Any = None) -> None:
            told.append(f"train {sorted(logs)} {self.params['epochs']} {self.params['steps']}")

        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            told.append(f"epoch {epoch} {list(logs)}")

        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            assert {type(value) for value in dict(logs).values()} == {float}
            if batch >= 1:
                self.model.stop_training = True

        def on_test_batch_end(self, batch: int, logs: Any = None) -> None:
            told.append(f"test {batch} {logs['loss'] > 0}")

        def on_predict_batch_end(self, batch: int, logs: Any = None) -> None:
            told.append(f"predict {batch} {logs['outputs'].shape}")

    model = network()
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    model.fit(IMAGES, LABELS, batch_size=16, epochs=3, verbose=0, callbacks=[Watching()])
    model.evaluate(IMAGES, LABELS, verbose=0, callbacks=[Watching()])
    model.predict(IMAGES, batch_size=64, verbose=0, callbacks=[Watching()])
    assert told == [
        "train [] 3 4",
        "epoch 0 ['accuracy', 'loss']",
        "test 0 True",
        "test 1 True",
        "predict 0 (64, 4)",
    ]


def test_stopping_at_the_least_loss_and_a_schedule_of_ones_own() -> None:
    class StopAtLeast(keras.callbacks.Callback):
        def __init__(self, patience: int = 0) -> None:
            super().__init__()
            self.patience = patience
            self.best_weights: Any = None

        def on_train_begin(self, logs: Any = None) -> None:
            self.wait, self.stopped_epoch, self.best = 0, 0, np.inf

        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            current = logs.get("loss")
            if np.less(current, self.best):
                self.best, self.wait, self.best_weights = current, 0, self.model.get_weights()
                return
            self.wait += 1
            if self.wait >= self.patience:
                self.stopped_epoch = epoch
                self.model.stop_training = True
                self.model.set_weights(self.best_weights)

    class Rates(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
            held = self.model.optimizer.learning_rate
            rates = {2: 0.05, 4: 50.0}
            self.model.optimizer.learning_rate = rates.get(epoch, float(np.asarray(held)))

    model = network()
    model.compile(keras.optimizers.SGD(0.1), "sparse_categorical_crossentropy")
    stop = StopAtLeast()
    history = model.fit(IMAGES, LABELS, batch_size=16, epochs=20, shuffle=False, verbose=0, callbacks=[Rates(), stop])
    # A rate of 50 ends it.
    assert 4 <= stop.stopped_epoch == len(history.epoch) - 1 < 19
    assert model.evaluate(IMAGES, LABELS, verbose=0) <= min(history.history["loss"][:4])
    for a, b in zip(model.get_weights(), stop.best_weights, strict=True):
        np.testing.assert_array_equal(a, b)


# Custom steps.


def test_a_step_with_sample_weights_and_class_weights() -> None:
    class Custom(keras.Model):
        def train_step(self, data: Any) -> Any:
            if len(data) == 3:
                x, y, sample_weight = data
            else:
                sample_weight = None
                x, y = data
            with keras.GradientTape() as tape:
                y_pred = self(x, training=True)
                loss = self.compute_loss(y=y, y_pred=y_pred, sample_weight=sample_weight)
            self.optimizer.apply(tape.gradient(loss, self.trainable_variables), self.trainable_variables)
            for metric in self.metrics:
                if metric.name == "loss":
                    metric.update_state(loss)
                else:
                    metric.update_state(y, y_pred, sample_weight=sample_weight)
            return {m.name: m.result() for m in self.metrics}

    x, y, w = RNG.random((20, 4)), RNG.random((20, 1)), RNG.random(20)
    results = []
    for cls in (Custom, keras.Model):
        keras.utils.set_random_seed(1)
        inputs = keras.Input((4,))
        model = cls(inputs, layers.Dense(1)(inputs))
        model.compile("adam", "mse", metrics=["mae"], weighted_metrics=["mse"])
        model.fit(x, y, sample_weight=w, batch_size=10, epochs=3, shuffle=False, verbose=0)
        results.append((model.get_weights(), model.evaluate(x, y, sample_weight=w, verbose=0)))
    for a, b in zip(results[0][0], results[1][0], strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=6 * 100 * EPS * 0.001)
    assert results[0][1] == pytest.approx(results[1][1], abs=64 * EPS)


def test_low_level_steps_without_compiled_losses() -> None:
    """Trackers and loss of one's own; the compiled optimizer alone."""

    class Custom(keras.Model):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            self.loss_tracker = keras.metrics.Mean(name="loss")
            self.mae_metric = keras.metrics.MeanAbsoluteError(name="mae")
            self.loss_fn = keras.losses.MeanSquaredError()

        def train_step(self, data: Any) -> Any:
            x, y = data
            with keras.GradientTape() as tape:
                y_pred = self(x, training=True)
                loss = self.loss_fn(y, y_pred)
            self.optimizer.apply(tape.gradient(loss, self.trainable_variables), self.trainable_variables)
            self.loss_tracker.update_state(loss)
            self.mae_metric.update_state(y, y_pred)
            return {"loss": self.loss_tracker.result(), "mae": self.mae_metric.result()}

        @property
        def metrics(self) -> list[Any]:
            return [self.loss_tracker, self.mae_metric]

    inputs = keras.Input((4,))
    model = Custom(inputs, layers.Dense(1)(inputs))
    model.compile(optimizer="adam")
    history = model.fit(RNG.random((40, 4)), RNG.random((40, 1)), epochs=5, verbose=0).history
    assert list(history) == ["loss", "mae"]
    assert history["loss"][-1] < history["loss"][0]


def adversaries(eagerly: bool) -> dict[str, list[float]]:
    """Two optimizers in `compile`, parts of a model, noise, label noise, and a tape each."""

    class Pair(keras.Model):
        def __init__(self, discriminator: Any, generator: Any, latent: int) -> None:
            super().__init__()
            self.discriminator, self.generator, self.latent = discriminator, generator, latent
            self.d_tracker = keras.metrics.Mean(name="d_loss")
            self.g_tracker = keras.metrics.Mean(name="g_loss")
            self.seeds = keras.random.SeedGenerator(1337)

        def compile(self, d_optimizer: Any, g_optimizer: Any, loss_fn: Any, **kwargs: Any) -> None:  # type: ignore[override]
            super().compile(**kwargs)
            self.d_optimizer, self.g_optimizer, self.loss_fn = d_optimizer, g_optimizer, loss_fn

        @property
        def metrics(self) -> list[Any]:
            return [self.d_tracker, self.g_tracker]

        def train_step(self, real: Any) -> Any:
            if isinstance(real, tuple):
                real = real[0]
            n = ops.shape(real)[0]
            made = self.generator(keras.random.normal(shape=(n, self.latent), seed=self.seeds))
            both = ops.concatenate([made, real], axis=0)
            labels = ops.concatenate([ops.ones((n, 1)), ops.zeros((n, 1))], axis=0)
            labels += 0.05 * keras.random.uniform(ops.shape(labels), seed=self.seeds)
            with keras.GradientTape() as tape:
                d_loss = self.loss_fn(labels, self.discriminator(both))
            grads = tape.gradient(d_loss, self.discriminator.trainable_weights)
            self.d_optimizer.apply(grads, self.discriminator.trainable_weights)
            noise = keras.random.normal(shape=(n, self.latent), seed=self.seeds)
            with keras.GradientTape() as tape:
                g_loss = self.loss_fn(ops.zeros((n, 1)), self.discriminator(self.generator(noise)))
            grads = tape.gradient(g_loss, self.generator.trainable_weights)
            self.g_optimizer.apply(grads, self.generator.trainable_weights)
            self.d_tracker.update_state(d_loss)
            self.g_tracker.update_state(g_loss)
            return {m.name: m.result() for m in self.metrics}

    keras.utils.set_random_seed(1)
    discriminator = keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            layers.Conv2D(4, 3, strides=2, padding="same"),
            layers.LeakyReLU(negative_slope=0.2),
            layers.GlobalMaxPooling2D(),
            layers.Dense(1),
        ]
    )
    generator = keras.Sequential(
        [
            keras.Input((5,)),
            layers.Dense(2 * 2 * 5),
            layers.LeakyReLU(negative_slope=0.2),
            layers.Reshape((2, 2, 5)),
            layers.Conv2DTranspose(4, 4, strides=2, padding="same"),
            layers.Conv2DTranspose(1, 4, strides=2, padding="same", activation="sigmoid"),
        ]
    )
    pair = Pair(discriminator, generator, 5)
    optimizers = keras.optimizers.Adam(3e-4), keras.optimizers.Adam(3e-4)
    pair.compile(*optimizers, loss_fn=keras.losses.BinaryCrossentropy(from_logits=True), run_eagerly=eagerly)
    before = [m.get_weights() for m in (discriminator, generator)]
    history = pair.fit(IMAGES, batch_size=16, epochs=2, shuffle=False, verbose=0).history
    assert list(history) == ["d_loss", "g_loss"]
    assert [int(o.iterations) for o in optimizers] == [8, 8]
    for part, weights in zip((discriminator, generator), before, strict=True):
        assert all((a != b).any() for a, b in zip(part.get_weights(), weights, strict=True))
    return history


def test_an_adversarial_pair() -> None:
    eager, compiled = adversaries(True), adversaries(False)
    for name, values in eager.items():
        # 8 steps of Adam, as in test_compiled_equals_eager.
        assert compiled[name] == pytest.approx(values, abs=8 * 100 * EPS)


# A loop of one's own.


def test_a_training_loop_from_scratch() -> None:
    model = network()
    optimizer = keras.optimizers.SGD(0.1)
    loss_fn = keras.losses.SparseCategoricalCrossentropy()
    accuracy = keras.metrics.SparseCategoricalAccuracy()
    epochs = []
    for _ in range(3):
        losses = []
        for i in range(0, 64, 16):
            x, y = IMAGES[i : i + 16], LABELS[i : i + 16]
            with keras.GradientTape() as tape:
                probabilities = model(x, training=True)
                loss = loss_fn(y, probabilities)
                loss += sum(model.losses)
            optimizer.apply(tape.gradient(loss, model.trainable_weights), model.trainable_weights)
            accuracy.update_state(y, probabilities)
            losses.append(float(loss))
        epochs.append((np.mean(losses), float(accuracy.result())))
        accuracy.reset_state()
    want = network()
    want.compile(keras.optimizers.SGD(0.1), "sparse_categorical_crossentropy", metrics=["accuracy"])
    history = want.fit(IMAGES, LABELS, batch_size=16, epochs=3, shuffle=False, verbose=0).history
    # 12 eager steps against compiled ones.
    assert [loss for loss, _ in epochs] == pytest.approx(history["loss"], abs=12 * 16 * EPS)
    assert [right for _, right in epochs] == history["accuracy"]
    for a, b in zip(model.get_weights(), want.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=12 * 16 * EPS)
