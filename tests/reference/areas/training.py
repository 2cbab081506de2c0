"""Whole trainings: histories by name and in order, evaluations, and the weights they end with."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from reference.case import Array, Library, case

# A trajectory carries each step's rounding into the next: about ten times what one computation has.
TRAJECTORY = 1e-4


def text(names: Any) -> Array:
    """Names as numbers, which are compared exactly."""
    return np.frombuffer("|".join(names).encode(), np.uint8).astype(np.int32)


def told(k: Library, model: Any, history: Any) -> dict[str, Any]:
    """History, its order, and the final weights."""
    return {
        "names": text(history.history),
        "epochs": np.array(history.epoch, np.int32),
        "history": {name: np.array(values, np.float32) for name, values in history.history.items()},
        "weights": {str(i): k.array(w.value) for i, w in enumerate(model.weights)},
    }


def classifier(k: Library, **compiled: Any) -> Any:
    layers = k.keras.layers
    model = k.keras.Sequential(
        [
            k.keras.Input((6, 6, 1)),
            layers.Conv2D(4, 3, activation="relu", kernel_regularizer=k.keras.regularizers.L2(0.01)),
            layers.MaxPooling2D(2),
            layers.Flatten(),
            layers.Dense(3, activation="softmax"),
        ]
    )
    k.fill(model)
    model.compile(**{"loss": "sparse_categorical_crossentropy", "metrics": ["accuracy"], **compiled})
    return model


def images(k: Library, n: int = 22) -> tuple[Array, Array]:
    return k.normal((n, 6, 6, 1)), k.integers((n,), 3)


@case(
    each={
        "sgd": lambda o: o.SGD(0.1, momentum=0.9),
        "adam": lambda o: o.Adam(0.01),
        "rmsprop": lambda o: o.RMSprop(0.01),
    },
    tolerance=TRAJECTORY,
)
def split_and_regularizer(k: Library, optimizer: Any) -> Mapping[str, Any]:
    x, y = images(k)
    model = classifier(k, optimizer=optimizer(k.keras.optimizers))
    fitted = model.fit(x, y, batch_size=5, epochs=3, validation_split=0.3, shuffle=False, verbose=0)
    return {**told(k, model, fitted), "evaluated": np.array(model.evaluate(x, y, batch_size=8, verbose=0), np.float32)}


@case(tolerance=TRAJECTORY)
def batch_normalization(k: Library) -> Mapping[str, Any]:
    layers = k.keras.layers
    model = k.keras.Sequential(
        [
            k.keras.Input((5, 5, 2)),
            layers.Conv2D(3, 3, use_bias=False),
            layers.BatchNormalization(momentum=0.8),
            layers.ReLU(),
            layers.GlobalAveragePooling2D(),
            layers.Dense(1),
        ]
    )
    k.fill(model)
    model.compile(k.keras.optimizers.SGD(0.05), "mse", metrics=["mae"])
    x, y = k.normal((12, 5, 5, 2)), k.normal((12, 1), seed=1)
    fitted = model.fit(x, y, batch_size=4, epochs=3, validation_data=(x[:6], y[:6]), shuffle=False, verbose=0)
    return told(k, model, fitted)


@case(tolerance=TRAJECTORY)
def class_weights(k: Library) -> Mapping[str, Any]:
    x, y = images(k)
    model = classifier(k, optimizer=k.keras.optimizers.SGD(0.1), weighted_metrics=["accuracy"])
    weight = {0: 2.0, 2: 0.25}
    return told(k, model, model.fit(x, y, batch_size=5, epochs=2, class_weight=weight, shuffle=False, verbose=0))


@case(tolerance=TRAJECTORY)
def sample_weights(k: Library) -> Mapping[str, Any]:
    x, y = images(k)
    w = k.uniform((len(y),), 0.0, 2.0)
    model = classifier(k, optimizer=k.keras.optimizers.Adam(0.01), weighted_metrics=["accuracy", "accuracy"])
    fitted = model.fit(x, y, 5, 2, sample_weight=w, validation_data=(x[:7], y[:7], w[:7]), shuffle=False, verbose=0)
    again = model.evaluate(x, y, sample_weight=w, verbose=0, return_dict=True)
    return {**told(k, model, fitted), "evaluated": again, "names_evaluated": text(again)}


@case(tolerance=TRAJECTORY)
def weights_of_pixels(k: Library) -> Mapping[str, Any]:
    """Segmentation: labels and weights per pixel."""
    model = k.keras.Sequential([k.keras.Input((4, 4, 1)), k.keras.layers.Conv2D(3, 3, padding="same")])
    k.fill(model)
    loss = k.keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(k.keras.optimizers.SGD(0.5), loss, metrics=["accuracy"], weighted_metrics=["accuracy"])
    x, y, w = k.normal((6, 4, 4, 1)), k.integers((6, 4, 4), 3), k.uniform((6, 4, 4), 0, 1)
    return told(k, model, model.fit(x, y, batch_size=4, epochs=2, sample_weight=w, shuffle=False, verbose=0))


def two_headed(k: Library, structure: str) -> Any:
    layers = k.keras.layers
    inputs = k.keras.Input((4,), name="first"), k.keras.Input((2,), name="second")
    joined = layers.Concatenate()(list(inputs))
    kind = layers.Dense(3, activation="softmax", name="kind")(joined)
    size = layers.Dense(1, name="size")(layers.Dense(3, activation="tanh")(joined))
    outputs = [kind, size] if structure == "list" else {"size": size, "kind": kind}
    return k.fill(k.keras.Model(list(inputs), outputs))


SPELLINGS: dict[str, dict[str, Any]] = {
    "list": {
        "loss": ["sparse_categorical_crossentropy", "mse"],
        "loss_weights": [1.0, 0.25],
        "metrics": [["accuracy"], ["mae", "mse"]],
    },
    "names": {
        "loss": {"kind": "sparse_categorical_crossentropy", "size": "mse"},
        "loss_weights": {"size": 0.25, "kind": 1.0},
        "metrics": {"size": ["mae"]},
        "weighted_metrics": {"kind": "accuracy"},
    },
    "dict": {
        "loss": {"size": "mse", "kind": "sparse_categorical_crossentropy"},
        "metrics": {"kind": ["accuracy"], "size": "mae"},
    },
    "one": {"loss": ["sparse_categorical_crossentropy", None], "metrics": [["accuracy"], None]},
}


@case(each=list(SPELLINGS), tolerance=TRAJECTORY)
def two_outputs(k: Library, spelling: str) -> Mapping[str, Any]:
    model = two_headed(k, "dict" if spelling == "dict" else "list")
    model.compile(k.keras.optimizers.SGD(0.1), **SPELLINGS[spelling])
    x = [k.normal((10, 4)), k.normal((10, 2), seed=1)]
    kind, size = k.integers((10,), 3), k.normal((10, 1), seed=2)
    y: Any = [kind, size]
    if spelling == "dict":
        y = {"kind": kind, "size": size}
    w: Any = k.uniform((10,), 0.5, 1.5)
    w = w if spelling == "list" else None
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*(depend on the variables|Gradients do not exist)")
        # Batches of equal sizes: for others Keras's graphs forget the sizes in the means of several losses.
        fitted = model.fit(
            x, y, 5, 2, sample_weight=w, validation_data=(x, y), validation_batch_size=10, shuffle=False, verbose=0
        )
    again = model.evaluate(x, y, verbose=0)
    named = model.evaluate(x, y, verbose=0, return_dict=True)
    return {**told(k, model, fitted), "evaluated": np.array(again, np.float32), "names_evaluated": text(named)}


@case
def names_of_metrics(k: Library) -> Mapping[str, Any]:
    model = two_headed(k, "list")
    model.compile("sgd", ["sparse_categorical_crossentropy", "mse"], metrics=[["acc", "accuracy"], ["mae", "mae"]])
    model.evaluate([k.normal((4, 4)), k.normal((4, 2))], [k.integers((4,), 3), k.normal((4, 1))], verbose=0)
    return {"metrics": text(model.metrics_names), "inner": text(m.name for m in model.metrics[1].metrics)}


@case(
    each={
        "too_many": (5, 4, 2),
        "across": (2, 4, 3),
        "by_steps": (2, None, 2),
        "exact": (3, 4, 2),
    }
)
def steps_per_epoch(k: Library, given: tuple[int, int | None, int]) -> Mapping[str, Any]:
    """Which batches an epoch has: the loss of an untrained model on targets 0 to 9 tells."""
    steps, batch_size, epochs = given
    model = k.keras.Sequential(
        [k.keras.Input((1,)), k.keras.layers.Dense(1, use_bias=False, kernel_initializer="zeros")]
    )
    model.compile(k.keras.optimizers.SGD(0.0), "mse")
    x, y = np.zeros((10, 1), np.float32), np.arange(10, dtype=np.float32)[:, None]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fitted = model.fit(x, y, batch_size, epochs, steps_per_epoch=steps, shuffle=False, verbose=0)
    return told(k, model, fitted)


@case(each=[1, 2, 3])
def batch_hooks(k: Library, steps_per_execution: int) -> Mapping[str, Any]:
    """When hooks of batches run, with which numbers and results."""
    calls: list[int] = []
    losses: list[float] = []

    class Watch(k.keras.callbacks.Callback):  # type: ignore[misc, name-defined]
        def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
            calls.append(batch)

        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            calls.append(100 + batch)
            losses.append(logs["loss"])

        def on_test_batch_end(self, batch: int, logs: Any = None) -> None:
            calls.append(200 + batch)

    x, y = images(k)
    model = classifier(k, optimizer="sgd", steps_per_execution=steps_per_execution)
    model.fit(x, y, batch_size=5, validation_data=(x, y), shuffle=False, verbose=0, callbacks=[Watch()])
    return {"calls": np.array(calls, np.int32), "losses": np.array(losses, np.float32)}


@case(tolerance=TRAJECTORY)
def callbacks(k: Library) -> Mapping[str, Any]:
    """Plateaus, early stopping with the best weights, and a schedule: all change the trajectory."""
    x, y = images(k)
    c = k.keras.callbacks
    stop = c.EarlyStopping(monitor="val_loss", patience=2, min_delta=0.05, restore_best_weights=True)
    plateau = c.ReduceLROnPlateau(monitor="loss", factor=0.5, patience=1, min_delta=0.1, cooldown=1, min_lr=0.01)
    warm = c.LearningRateScheduler(lambda epoch, rate: float(rate) * (2.0 if epoch == 1 else 1.0))
    model = classifier(k, optimizer=k.keras.optimizers.SGD(0.1))
    watched = [warm, plateau, stop]
    fitted = model.fit(x, y, batch_size=6, epochs=12, validation_split=0.3, shuffle=False, verbose=0, callbacks=watched)
    told_of = {"stopped": np.array([stop.stopped_epoch, stop.best_epoch, stop.wait], np.int32)}
    return {**told(k, model, fitted), **told_of, "best": np.array([stop.best, plateau.best], np.float32)}


@case(tolerance=TRAJECTORY)
def ema_at_the_end(k: Library) -> Mapping[str, Any]:
    """`use_ema` writes the averages into the model when training ends."""
    x, y = images(k)
    model = classifier(k, optimizer=k.keras.optimizers.SGD(0.1, use_ema=True, ema_momentum=0.5))
    return told(k, model, model.fit(x, y, batch_size=8, epochs=2, shuffle=False, verbose=0))


@case(tolerance=TRAJECTORY)
def swapped_ema(k: Library) -> Mapping[str, Any]:
    """Validation and epoch ends see the averages."""
    x, y = images(k)
    model = classifier(k, optimizer=k.keras.optimizers.SGD(0.2, use_ema=True, ema_momentum=0.7))
    swap = k.keras.callbacks.SwapEMAWeights(swap_on_epoch=True)
    fitted = model.fit(x, y, batch_size=8, epochs=2, validation_data=(x, y), shuffle=False, verbose=0, callbacks=[swap])
    return told(k, model, fitted)


@case(tolerance=TRAJECTORY)
def on_batches(k: Library) -> Mapping[str, Any]:
    x, y = images(k)
    model = classifier(k, optimizer=k.keras.optimizers.Adam(0.01))
    trained = [model.train_on_batch(x[i : i + 6], y[i : i + 6]) for i in range(0, 18, 6)]
    weighted = model.train_on_batch(x[:6], y[:6], class_weight={1: 3.0}, return_dict=True)
    return {
        "trained": np.array(trained, np.float32),
        "weighted": weighted,
        "tested": np.array(model.test_on_batch(x, y), np.float32),
        "predicted": np.asarray(model.predict_on_batch(x[:3])),
    }


@case(tolerance=TRAJECTORY)
def added_losses(k: Library) -> Mapping[str, Any]:
    """`add_loss`, activity regularizers and weight regularizers are part of the loss and of its gradient."""
    keras = k.keras

    class Endpoint(keras.layers.Layer):  # type: ignore[misc, name-defined]
        def call(self, x: Any) -> Any:
            self.add_loss(0.1 * keras.ops.mean(keras.ops.square(x)))
            return x

    inputs = keras.Input((4,))
    x = keras.layers.Dense(5, activity_regularizer=keras.regularizers.L1(0.01), bias_regularizer="l2")(inputs)
    model = keras.Model(inputs, keras.layers.Dense(1)(Endpoint()(x)))
    k.fill(model)
    model.compile(keras.optimizers.SGD(0.1), "mse")
    fitted = model.fit(k.normal((9, 4)), k.normal((9, 1), seed=1), 4, 3, shuffle=False, verbose=0)
    return told(k, model, fitted)


@case(tolerance=TRAJECTORY)
def a_step_of_ones_own(k: Library) -> Mapping[str, Any]:
    """The guide's overridden steps: a tape, the optimizer, and a loop over `self.metrics`."""
    keras, tape_of = k.keras, k.tape

    class Custom(keras.Model):  # type: ignore[misc, name-defined]
        def train_step(self, data: Any) -> Any:
            x, y = data
            with tape_of() as tape:
                y_pred = self(x, training=True)
                loss = self.compute_loss(y=y, y_pred=y_pred)
            variables = self.trainable_variables
            gradients = tape.gradient(loss, [k.watched(v) for v in variables])
            self.optimizer.apply(gradients, variables)
            for metric in self.metrics:
                if metric.name == "loss":
                    metric.update_state(loss)
                else:
                    metric.update_state(y, y_pred)
            return {m.name: m.result() for m in self.metrics}

        def test_step(self, data: Any) -> Any:
            x, y = data
            y_pred = self(x, training=False)
            loss = self.compute_loss(y=y, y_pred=y_pred)
            for metric in self.metrics:
                if metric.name != "loss":
                    metric.update_state(y, y_pred)
                else:
                    metric.update_state(loss)
            return {m.name: m.result() for m in self.metrics}

    inputs = keras.Input((4,))
    model = Custom(inputs, keras.layers.Dense(1)(keras.layers.Dense(3, activation="tanh")(inputs)))
    k.fill(model)
    model.compile(keras.optimizers.Adam(0.02), "mse", metrics=["mae"])
    x, y = k.normal((10, 4)), k.normal((10, 1), seed=1)
    fitted = model.fit(x, y, 4, 2, validation_data=(x, y), shuffle=False, verbose=0)
    return told(k, model, fitted)


@case(tolerance=TRAJECTORY)
def a_loss_of_ones_own(k: Library) -> Mapping[str, Any]:
    """`compute_loss` and `compute_metrics` overridden, with a tracker as an attribute."""
    keras = k.keras

    class Custom(keras.Model):  # type: ignore[misc, name-defined]
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            self.largest = keras.metrics.Mean(name="largest")

        def compute_loss(
            self, x: Any = None, y: Any = None, y_pred: Any = None, sample_weight: Any = None, training: bool = True
        ) -> Any:
            return keras.ops.mean(keras.ops.abs(y_pred - y)) + keras.ops.sum(self.losses)

        def compute_metrics(self, x: Any, y: Any, y_pred: Any, sample_weight: Any = None) -> Any:
            results = super().compute_metrics(x, y, y_pred, sample_weight)
            self.largest.update_state(keras.ops.max(y_pred))
            results["largest"] = self.largest.result()
            return results

    inputs = keras.Input((4,))
    model = Custom(inputs, keras.layers.Dense(1, kernel_regularizer="l2")(inputs))
    k.fill(model)
    model.compile(keras.optimizers.SGD(0.1), metrics=["mse"])
    return told(k, model, model.fit(k.normal((8, 4)), k.normal((8, 1), seed=1), 4, 2, shuffle=False, verbose=0))


@case(tolerance=TRAJECTORY)
def from_a_generator(k: Library) -> Mapping[str, Any]:
    x, y = images(k)

    def batches() -> Iterator[tuple[Array, Array, Array]]:
        while True:
            for i in range(0, 20, 5):
                yield x[i : i + 5], y[i : i + 5], np.ones(5, np.float32) + i / 10

    model = classifier(k, optimizer=k.keras.optimizers.SGD(0.1))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fitted = model.fit(batches(), epochs=3, steps_per_epoch=3, validation_data=(x, y), verbose=0)
    return told(k, model, fitted)
