"""Steps of one's own: traced where they can be, eager with the same numbers where they cannot, and told apart."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import oxiconv as keras
from oxiconv import GradientTape, layers, ops
from small_models import EPS

X = np.random.default_rng(0).normal(size=(20, 3)).astype(np.float32)
Y = X.sum(-1, keepdims=True)


class Counting(keras.Model):
    """A dense layer trained by a step that calls `look` on its loss."""

    def __init__(self, look: Callable[[Any, Any], Any] = lambda model, loss: None) -> None:
        super().__init__()
        self.dense = layers.Dense(1, kernel_initializer="ones")
        self.look = look
        self.runs = 0

    def call(self, inputs: Any, training: bool | None = None, mask: Any = None, **kwargs: Any) -> Any:
        return self.dense(inputs)

    def train_step(self, data: Any) -> dict[str, Any]:
        self.runs += 1
        x, y = data
        with GradientTape() as tape:
            loss = ops.mean(ops.square(self(x, training=True) - y))
        self.look(self, loss)
        self.optimizer.apply(tape.gradient(loss, self.trainable_variables), self.trainable_variables)
        return {"mean": loss}


def looked_at(look: Callable[[Any, Any], Any], **compiled: Any) -> tuple[Counting, list[float]]:
    model = Counting(look)
    model.compile(keras.optimizers.Adam(0.1), **compiled)
    return model, model.fit(X, Y, batch_size=5, epochs=2, shuffle=False, verbose=0).history["mean"]


VALUES: dict[str, Callable[[Any, Any], Any]] = {
    "float": lambda model, loss: float(loss),
    "numpy": lambda model, loss: loss.numpy(),
    "if": lambda model, loss: 1 if loss > 0 else 0,
    "array": lambda model, loss: np.square(loss),
    "format": lambda model, loss: f"{loss:.3f}",
    "index": lambda model, loss: [1, 2, 3][ops.cast(loss * 0, "int32")],
    "range": lambda model, loss: range(ops.cast(loss, "int32")),
    "variable": lambda model, loss: model.dense.kernel.numpy(),
    "rate": lambda model, loss: float(model.optimizer.learning_rate),
    "hidden": lambda model, loss: _hidden(loss),
}


def _hidden(loss: Any) -> None:
    try:
        float(loss)
    except Exception:
        raise ValueError("no number") from None


@pytest.mark.parametrize("name", VALUES)
def test_a_step_that_needs_values_runs_eagerly(name: str) -> None:
    traced, want = looked_at(lambda model, loss: None)
    assert traced.runs == 1
    with pytest.warns(
        UserWarning, match=r"train_step runs eagerly.*test_custom_steps.py:\d+ \(.*\) needs a value"
    ) as told:
        model, got = looked_at(VALUES[name])
    assert len([w for w in told if "eagerly" in str(w.message)]) == 1
    assert model.runs == 1 + 8  # the trace that failed, then each step
    # As in test_compiled_equals_eager, for 8 steps of 0.1.
    assert got == pytest.approx(want, abs=8 * 100 * EPS)
    for a, b in zip(model.get_weights(), traced.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=8 * 100 * EPS)
    # Nothing is left of the trace: the next fit goes on, without another word.
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.fit(X, Y, batch_size=5, verbose=0)
    model.compile("sgd", run_eagerly=True)
    model.fit(X, Y, verbose=0)


def test_compilation_that_is_asked_for_is_an_error_where_it_cannot_be() -> None:
    with pytest.raises(keras.GraphError, match=r"jit_compile=True asks: test_custom_steps.py:\d+ .*run_eagerly=True"):
        looked_at(VALUES["float"], jit_compile=True)
    model, _ = looked_at(VALUES["float"], jit_compile=False)
    assert model.runs == 8
    with pytest.warns(UserWarning, match="no effect beside run_eagerly"):
        looked_at(VALUES["float"], jit_compile=True, run_eagerly=True)


def test_the_models_own_step_falls_back_too() -> None:
    """Code in `call` that needs values; gradients are still made of ops."""

    class Gate(keras.Model):
        def __init__(self) -> None:
            super().__init__()
            self.dense = layers.Dense(1)

        def call(self, inputs: Any, training: bool | None = None, mask: Any = None, **kwargs: Any) -> Any:
            y = self.dense(inputs)
            return y * 2.0 if float(ops.max(inputs)) > 0 else y

    model = Gate()
    model.compile("sgd", "mse")
    with pytest.warns(UserWarning, match="train_step runs eagerly"):
        model.fit(X, Y, verbose=0)
    with pytest.warns(UserWarning, match="predict_step runs eagerly"):
        assert model.predict(X, verbose=0).shape == (20, 1)


def test_numpy_in_a_loss() -> None:
    model = keras.Sequential([keras.Input((3,)), layers.Dense(1)])
    model.compile("sgd", lambda y, p: np.mean((np.asarray(y) - np.asarray(p)) ** 2, axis=-1), jit_compile=True)
    with pytest.raises(keras.GraphError, match="run_eagerly=True"):
        model.fit(X, Y, verbose=0)
    model.compile("sgd", lambda y, p: np.mean((np.asarray(y) - np.asarray(p)) ** 2, axis=-1))
    with pytest.warns(UserWarning, match=r"eagerly.*np\.mean"), pytest.raises(ValueError, match="no gradients"):
        model.fit(X, Y, verbose=0)

    def error(y: Any, p: Any) -> Any:
        return np.abs(y.numpy() - p.numpy()).mean(-1)

    model.compile("sgd", "mse", metrics=[error], run_eagerly=True)
    assert model.fit(X, Y, verbose=0).history["error"][0] > 0


def test_a_leaked_tensor_is_told() -> None:
    kept: list[Any] = []
    model, _ = looked_at(lambda model, loss: kept.append(loss))
    (leaked,) = kept
    for use in (float, np.asarray, lambda t: t.numpy(), bool, lambda t: float(t + 1)):
        with pytest.raises(keras.GraphError, match=r"kept .* from a step that was traced"):
            use(leaked)
    with pytest.raises(keras.GraphError, match=r"assign: .*kept .*has ended"):
        keras.Variable(1.0).assign(leaked)
    assert "traced" in repr(leaked)
    # Also when the next trace meets it.
    model.look = lambda model, loss: model.dense.bias.assign_add(ops.reshape(leaked, (1,)))
    model.compile("sgd")
    with pytest.warns(UserWarning, match="eagerly"), pytest.raises(keras.GraphError, match="kept"):
        model.fit(X, Y, verbose=0)


def test_python_runs_once_per_shape() -> None:
    model, _ = looked_at(lambda model, loss: None)
    model.fit(X, Y, batch_size=8, verbose=0)  # 8, 8, 4
    assert model.runs == 1 + 2


@pytest.mark.parametrize("eagerly", [False, True])
def test_the_metrics_of_compile_in_a_step(eagerly: bool) -> None:
    """The guide's loop: all of `self.metrics`, of which those of `compile` are one."""

    class Custom(keras.Model):
        def train_step(self, data: Any) -> dict[str, Any]:
            x, y = data
            with GradientTape() as tape:
                y_pred = self(x, training=True)
                loss = self.compute_loss(y=y, y_pred=y_pred)
            gradients = tape.gradient(loss, self.trainable_variables)
            self.optimizer.apply_gradients(zip(gradients, self.trainable_variables, strict=True))
            for metric in self.metrics:
                if metric.name == "loss":
                    metric.update_state(loss)
                else:
                    metric.update_state(y, y_pred)
            return {m.name: m.result() for m in self.metrics}

    keras.utils.set_random_seed(1)
    inputs = keras.Input((3,))
    model = Custom(inputs, layers.Dense(1)(inputs))
    model.compile("sgd", "mse", metrics=["mae", "mse"], run_eagerly=eagerly)
    history = model.fit(X, Y, batch_size=10, epochs=2, shuffle=False, verbose=0).history
    assert list(history) == ["mae", "mse", "loss"]
    # The batches are of one size, so the mean of their losses is the mean of the squares.
    assert history["loss"] == pytest.approx(history["mse"], rel=16 * EPS)
    assert [m.name for m in model.metrics] == ["loss", "compile_metrics"]


def test_own_metrics_are_reset_and_batches_have_results_of_their_own() -> None:
    class Own(keras.Model):
        def __init__(self) -> None:
            super().__init__()
            self.seen = keras.metrics.Sum(name="seen")
            self.hidden = keras.metrics.Sum(name="hidden")

        @property
        def metrics(self) -> list[Any]:
            return [self.seen]

        def train_step(self, x: Any) -> dict[str, Any]:
            self.seen.update_state(ops.ones((x.shape[0],)))
            self.hidden.update_state(1.0)
            return {"seen": self.seen.result(), "batch": ops.sum(x), "constant": 7}

        def test_step(self, data: Any) -> dict[str, Any]:
            return self.train_step(data)

    model = Own()
    model.compile()
    batches: list[float] = []
    watch = keras.callbacks.LambdaCallback(on_train_batch_end=lambda batch, logs: batches.append(logs["batch"]))
    history = model.fit(np.ones((10, 1)), batch_size=4, epochs=2, verbose=0, callbacks=[watch]).history
    assert history == {"batch": [2.0, 2.0], "constant": [7.0, 7.0], "seen": [10.0, 10.0]}
    assert batches == [4.0, 4.0, 2.0] * 2
    assert float(model.hidden.result()) == 6.0  # not among the metrics, so never reset
    assert model.evaluate(np.ones((3, 1)), verbose=0, return_dict=True)["seen"] == 3.0


def test_steps_must_return_dicts() -> None:
    class Silent(keras.Model):
        def train_step(self, data: Any) -> Any:
            return None

    model = Silent()
    model.compile()
    with pytest.raises(ValueError, match="train_step: expected a dict of results by name, got NoneType"):
        model.fit(X, verbose=0)


def test_any_tuple_reaches_a_step_of_ones_own() -> None:
    shapes: list[Any] = []

    class Free(keras.Model):
        def train_step(self, data: Any) -> dict[str, Any]:
            shapes.append([tuple(part.shape) for part in data])
            return {"sum": sum(ops.sum(part) for part in data)}

    def batches() -> Any:
        for _ in range(2):
            yield np.ones((4, 2)), np.ones((4,)), np.ones((3, 3)), np.float32(5.0)

    model = Free()
    model.compile()
    assert model.fit(batches(), verbose=0).history["sum"] == [8 + 4 + 9 + 5]
    assert shapes == [[(4, 2), (4,), (3, 3), ()]]
    other = Counting()
    other.compile("sgd", "mse")
    with pytest.raises(ValueError, match="got a tuple of 4"):
        other.evaluate(batches(), verbose=0)


def test_test_and_predict_steps() -> None:
    class Custom(keras.Model):
        def __init__(self) -> None:
            super().__init__()
            self.runs: list[str] = []

        def call(self, inputs: Any, training: bool | None = None, mask: Any = None, **kwargs: Any) -> Any:
            return inputs * 2.0

        def test_step(self, data: Any) -> dict[str, Any]:
            self.runs.append("test")
            x, y = data
            return {"gap": ops.max(ops.abs(self(x, training=False) - y))}

        def predict_step(self, data: Any) -> Any:
            self.runs.append("predict")
            return {"twice": self(data, training=False), "half": data / 2.0}

    model = Custom()
    model.compile()
    assert model.evaluate(X, 2 * X + 3, batch_size=10, verbose=0) == pytest.approx(3.0, abs=8 * EPS)
    found = model.predict(X, batch_size=10, verbose=0)
    np.testing.assert_array_equal(found["twice"], 2 * X)
    np.testing.assert_array_equal(found["half"], X / 2)
    assert model.runs == ["test", "predict"]


def test_changes_in_a_step_of_optimizers_state_and_generators() -> None:
    """Random numbers, moving averages and variables go on from step to step as in Python."""

    class Custom(keras.Model):
        def __init__(self) -> None:
            super().__init__()
            self.norm = layers.BatchNormalization(momentum=0.5)
            self.drop = layers.Dropout(0.5, seed=3)
            self.noise = keras.random.SeedGenerator(7)
            self.steps = keras.Variable(0, dtype="int32", trainable=False)
            self.average = keras.Variable(np.zeros(3, np.float32), trainable=False)

        def train_step(self, x: Any) -> dict[str, Any]:
            self.steps.assign_add(1)
            noisy = x + keras.random.normal((5, 3), seed=self.noise)
            y = self.drop(self.norm(noisy, training=True), training=True)
            self.average.assign(0.9 * self.average + 0.1 * ops.mean(y, axis=0))
            return {"y": ops.sum(y), "step": self.steps.value}

    results = []
    for eagerly in (False, True):
        model = Custom()
        model.compile(run_eagerly=eagerly)
        history = model.fit(X, batch_size=5, epochs=2, shuffle=False, verbose=0).history
        results.append((history, [np.asarray(v) for v in model.variables], np.asarray(model.average)))
    (h1, v1, a1), (h2, v2, a2) = results
    assert h1["step"] == h2["step"] == [4.0, 8.0]
    # Sums of 15 normalized values of order 1, in another order.
    assert h1["y"] == pytest.approx(h2["y"], abs=64 * EPS)
    np.testing.assert_allclose(a1, a2, atol=8 * EPS)
    for a, b in zip(v1, v2, strict=True):
        np.testing.assert_allclose(a, b, rtol=8 * EPS, atol=8 * EPS)


class Critic(keras.Model):
    """A critic with a gradient penalty: the gradient of a gradient, at random points between real and made images."""

    def __init__(self) -> None:
        super().__init__()
        keras.utils.set_random_seed(1)
        self.score = keras.Sequential(
            [
                keras.Input((8, 8, 1)),
                layers.Conv2D(6, 3, strides=2, padding="same"),
                layers.LayerNormalization(),
                layers.LeakyReLU(negative_slope=0.2),
                layers.Flatten(),
                layers.Dense(1),
            ]
        )
        self.seeds = keras.random.SeedGenerator(3)

    def train_step(self, data: Any) -> dict[str, Any]:
        real, made = data
        with GradientTape() as tape:
            alpha = keras.random.uniform((real.shape[0], 1, 1, 1), seed=self.seeds)
            between = real + alpha * (made - real)
            with GradientTape() as inner:
                inner.watch(between)
                scores = self.score(between, training=True)
            slope = inner.gradient(scores, [between])[0]
            norm = ops.sqrt(ops.sum(ops.square(slope), axis=[1, 2, 3]))
            penalty = ops.mean((norm - 1.0) ** 2)
            cost = ops.mean(self.score(made, training=True)) - ops.mean(self.score(real, training=True))
            loss = cost + 10.0 * penalty
        weights = self.score.trainable_variables
        self.optimizer.apply_gradients(zip(tape.gradient(loss, weights), weights, strict=True))
        return {"cost": cost, "penalty": penalty}


def test_a_gradient_penalty_in_a_compiled_step() -> None:
    rng = np.random.default_rng(0)
    real, made = (rng.random((16, 8, 8, 1), dtype=np.float32) for _ in range(2))
    results = []
    for eagerly in (False, True):
        model = Critic()
        model.compile(keras.optimizers.SGD(0.01), run_eagerly=eagerly, jit_compile=not eagerly)
        results.append(model.fit(real, made, batch_size=8, epochs=3, shuffle=False, verbose=0).history)
    for name, values in results[0].items():
        # Six steps of SGD; norms are roots of sums of 64 squares.
        np.testing.assert_allclose(values, results[1][name], rtol=0, atol=6 * 64 * EPS)
    assert results[0]["penalty"][-1] < results[0]["penalty"][0]
