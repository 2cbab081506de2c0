"""Tapes, custom gradients, gradients of functions, and losses that go backward: eager, traced, and what they refuse."""

from __future__ import annotations

import gc
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import oxiconv as keras
from oxiconv import GradientTape, Variable, layers, ops
from small_models import EPS


def tensor(*shape: int, seed: int = 0) -> Any:
    return ops.convert_to_tensor(np.random.default_rng(seed).normal(size=shape).astype(np.float32))


def normalized(name: str) -> list[Any]:
    kinds = {
        "batch": [layers.Conv2D(3, 3), layers.BatchNormalization(), layers.Activation("softplus")],
        "layer": [layers.Conv2D(8, 3), layers.LayerNormalization(), layers.Activation("swish")],
        "dense": [layers.Flatten(), layers.Dense(5), layers.BatchNormalization(), layers.Activation("tanh")],
    }
    return kinds[name]


@pytest.mark.parametrize("name", ["batch", "layer", "dense"])
def test_gradient_penalty_through_normalization(name: str) -> None:
    """The second order against differences of the first, which is compared with Keras elsewhere."""
    keras.utils.set_random_seed(1)
    model = keras.Sequential([keras.Input((6, 6, 2)), *normalized(name), layers.Flatten(), layers.Dense(1)])
    x = tensor(16, 6, 6, 2)

    def penalty() -> Any:
        with GradientTape() as inner:
            inner.watch(x)
            score = model(x, training=True)
        slope = inner.gradient(score, x)
        return ops.mean(ops.square(ops.sqrt(ops.sum(ops.square(slope), axis=(1, 2, 3)) + 1e-6) - 1.0))

    with GradientTape() as outer:
        value = penalty()
    gradients = outer.gradient(value, model.trainable_variables, unconnected_gradients="zero")
    step = 1e-2
    for variable, gradient in zip(model.trainable_variables, gradients, strict=True):
        held = np.array(variable)
        direction = np.random.default_rng(2).normal(size=held.shape).astype(np.float32)
        direction /= np.linalg.norm(direction)
        ends = []
        for way in (1, -1, 2, -2):
            variable.assign(held + way * step * direction)
            ends.append(float(penalty()))
        variable.assign(held)
        # A difference of the fourth order: its error is the fifth derivative times step^4 / 30, about 1e-8 times what
        # curvature there is, and rounding, some 10 EPS of a value of order 1, over the step.
        want = (8 * (ends[0] - ends[1]) - (ends[2] - ends[3])) / (12 * step)
        assert float(ops.sum(gradient * direction)) == pytest.approx(want, abs=20 * EPS / step, rel=2e-3)


def test_sources_of_all_kinds_in_their_structure() -> None:
    v, x = Variable([1.0, 2.0]), tensor(2)
    with GradientTape() as tape:
        tape.watch(x)
        y = v * x
        z = ops.sum(ops.square(y))
    found = tape.gradient(z, {"v": v, "rest": (x, [y])})
    product = v.numpy() * x.numpy()
    np.testing.assert_allclose(found["rest"][1][0], 2 * product, rtol=4 * EPS)
    np.testing.assert_allclose(found["v"], 2 * product * x.numpy(), rtol=8 * EPS)
    np.testing.assert_allclose(found["rest"][0], 2 * product * v.numpy(), rtol=8 * EPS)
    assert tape.watched_variables() == (v,)


def test_what_a_tape_refuses() -> None:
    x = tensor(3)
    with GradientTape() as tape:
        tape.watch(x)
        y = ops.square(x)
    with pytest.raises(ValueError, match="'none' or 'zero'"):
        tape.gradient(y, x, unconnected_gradients="nothing")
    with pytest.raises(TypeError, match="tensors or variables as sources, got NoneType"):
        tape.gradient(y, None)
    tape.reset()
    with tape:
        tape.watch(x)
        y = ops.square(x)
    with pytest.raises(ValueError, match=r"output_gradients of shape \(3,\), got \(2,\)"):
        tape.gradient(y, x, output_gradients=tensor(2))
    with pytest.raises(RuntimeError, match="only once"):
        tape.gradient(y, x)
    with pytest.raises(RuntimeError, match="tape that is recording"):
        tape.stop_recording()
    with pytest.raises(TypeError, match="expected a tensor as target"):
        GradientTape().gradient(3.0, x)
    with pytest.raises(TypeError, match="watch"):
        GradientTape().watch("x")


def test_jacobian_of_a_variable_and_where_unconnected() -> None:
    v, other = Variable([[1.0, -2.0], [0.5, 3.0]]), Variable([1.0])
    with GradientTape(persistent=True) as tape:
        y = ops.square(v)[0]
    jacobian, missing = tape.jacobian(y, [v, other])
    want = np.zeros((2, 2, 2), np.float32)
    want[0, 0, 0], want[1, 0, 1] = 2.0, -4.0
    np.testing.assert_array_equal(jacobian, want)
    assert missing is None
    assert tape.jacobian(y, other, unconnected_gradients="zero").shape == (2, 1)
    with pytest.raises(ValueError, match="same first axis"):
        tape.batch_jacobian(y, tensor(3, 2))


def test_traced_tapes_equal_eager_ones() -> None:
    """A step with nested tapes, intermediates, a jacobian and custom gradients, compiled and not."""

    @ops.custom_gradient
    def clipped(x: Any) -> Any:
        return x, lambda upstream: ops.clip(upstream, -0.1, 0.1)

    class Model(keras.Model):
        def __init__(self) -> None:
            super().__init__()
            self.dense = layers.Dense(3, activation="tanh", kernel_initializer="ones", name="dense")

        def train_step(self, x: Any) -> dict[str, Any]:
            with GradientTape(persistent=True) as outer:
                with GradientTape() as inner:
                    inner.watch(x)
                    h = self.dense(x)
                    y = clipped(ops.square(h)) * 3.0
                slope = inner.gradient(y, x)
                total = ops.sum(ops.square(slope)) + ops.sum(y)
            kernel = self.dense.kernel
            return {
                "kernel": ops.sum(ops.abs(outer.gradient(total, kernel))),
                "inner": ops.sum(ops.square(outer.gradient(total, h))),
                "rows": ops.sum(ops.abs(outer.batch_jacobian(h, x))),
                "value": ops.sum(outer.gradient(y, kernel.value)),
            }

    x = np.linspace(-1, 1, 8).reshape(4, 2).astype(np.float32)
    results = []
    for eagerly in (False, True):
        model = Model()
        model.compile(run_eagerly=eagerly)
        history = model.fit(x, verbose=0, shuffle=False).history
        results.append({name: values[0] for name, values in history.items()})
        assert all(value != 0 for value in results[-1].values())
    # Sums of a dozen terms in another order.
    assert results[0] == pytest.approx(results[1], rel=64 * EPS)


def test_custom_gradient_in_a_model_and_in_fit() -> None:
    """Reversal of gradients, as domain adaptation uses it: on symbolic tensors, then trained."""

    @ops.custom_gradient
    def reversal(x: Any) -> Any:
        return ops.multiply(x, 1.0), lambda upstream: -upstream

    def built(reverse: bool) -> keras.Model:
        inputs = keras.Input((2,))
        h = layers.Dense(3, kernel_initializer="ones", name="h")(inputs)
        h = reversal(h) if reverse else h
        model = keras.Model(inputs, layers.Dense(1, kernel_initializer="ones", name="y")(h))
        model.compile(keras.optimizers.SGD(0.1), "mse")
        return model

    x, y = np.array([[1.0, 2.0], [0.5, -1.0]]), np.array([[1.0], [2.0]])
    plain, reversed_ = built(False), built(True)
    start = [np.array(w) for w in plain.weights]
    for model in (plain, reversed_):
        model.fit(x, y, verbose=0)
    for before, a, b in zip(start[:2], plain.weights[:2], reversed_.weights[:2], strict=True):
        np.testing.assert_allclose(np.asarray(b) - before, before - np.asarray(a), atol=8 * EPS)
        assert (np.asarray(a) != before).any()
    for a, b in zip(plain.weights[2:], reversed_.weights[2:], strict=True):
        np.testing.assert_array_equal(a, b)


def test_what_custom_gradient_refuses() -> None:
    v, x = Variable(2.0), tensor(3)

    def under_tape(f: Callable[..., Any]) -> Any:
        with GradientTape() as tape:
            tape.watch(x)
            y = ops.custom_gradient(f)(x)
        return tape.gradient(y, x)

    with pytest.raises(TypeError, match="reads the variable"):
        under_tape(lambda x: (x * v, lambda upstream: upstream))
    with pytest.raises(TypeError, match="a result and a gradient function"):
        under_tape(lambda x: x * 2.0)
    with pytest.raises(ValueError, match="expected 1 gradients"):
        under_tape(lambda x: (x * 2.0, lambda upstream: (upstream, upstream)))
    with pytest.raises(ValueError, match=r"of shape \(3,\), got \(\)"):
        under_tape(lambda x: (x * 2.0, lambda upstream: ops.sum(upstream)))
    assert under_tape(lambda x: (x * 2.0, lambda upstream: None)) is None

    @ops.custom_gradient
    def scaled(x: Any, by: Any) -> Any:
        return x * by, lambda upstream: (upstream * 100.0, None)

    with GradientTape() as tape:
        y = scaled(v, 3.0)
    assert float(tape.gradient(y, v)) == 100.0


def test_gradients_of_functions() -> None:
    x = np.array([1.0, 2.0], np.float32)
    value, gradient = keras.value_and_grad(lambda x, k: ops.sum(x**3) * k)(x, 2.0)
    assert float(value) == 18.0
    np.testing.assert_array_equal(gradient, [6.0, 24.0])
    np.testing.assert_array_equal(keras.grad(lambda k, x: ops.sum(x**3) * k, argnums=1)(2.0, x), [6.0, 24.0])
    a, b = keras.grad(lambda a, b: ops.sum(a * b), argnums=(0, 1))(x, x + 1)
    np.testing.assert_array_equal([a, b], [x + 1, x])
    (value, aux), gradient = keras.value_and_grad(lambda p: (p["w"] * p["b"], "told"), has_aux=True)(
        {"w": 2.0, "b": 5.0, "free": 1.0}
    )
    assert (float(value), aux) == (10.0, "told")
    assert {name: float(g) for name, g in gradient.items()} == {"w": 5.0, "b": 2.0, "free": 0.0}
    v = Variable([3.0])
    assert keras.grad(lambda vs: ops.sum(vs[0] * v))([v])[0].numpy().tolist() == [6.0]
    with pytest.raises(ValueError, match=r"scalar result, got shape \(2,\)"):
        keras.grad(lambda x: x)(x)


def torch_style(jit_compile: Any) -> tuple[list[float], list[Any], Any]:
    """The PyTorch guide's own train_step."""

    class Custom(keras.Model):
        def train_step(self, data: Any) -> dict[str, Any]:
            x, y = data
            self.zero_grad()
            loss = self.compute_loss(y=y, y_pred=self(x, training=True))
            loss.backward()
            weights = list(self.trainable_weights)
            gradients = [v.value.grad for v in weights]
            with keras.no_grad():
                self.optimizer.apply(gradients, weights)
            for metric in self.metrics:
                if metric.name == "loss":
                    metric.update_state(loss)
            return {"loss": self.metrics[0].result()}

    keras.utils.set_random_seed(1)
    inputs = keras.Input((3,))
    model = Custom(inputs, layers.Dense(1)(layers.Dense(4, activation="tanh")(inputs)))
    model.compile(keras.optimizers.Adam(0.1), "mse", jit_compile=jit_compile)
    rng = np.random.default_rng(0)
    history = model.fit(
        rng.normal(size=(12, 3)), rng.normal(size=(12, 1)), batch_size=4, epochs=2, shuffle=False, verbose=0
    )
    return history.history["loss"], model.get_weights(), model


def test_backward_in_a_step_equals_fit() -> None:
    eager, compiled = torch_style(False), torch_style(True)
    inputs = keras.Input((3,))
    keras.utils.set_random_seed(1)
    model = keras.Model(inputs, layers.Dense(1)(layers.Dense(4, activation="tanh")(inputs)))
    model.compile(keras.optimizers.Adam(0.1), "mse")
    rng = np.random.default_rng(0)
    history = model.fit(
        rng.normal(size=(12, 3)), rng.normal(size=(12, 1)), batch_size=4, epochs=2, shuffle=False, verbose=0
    )
    for losses, weights, _ in (eager, compiled):
        # As in test_compiled_equals_eager, for 6 steps of 0.1.
        assert losses == pytest.approx(history.history["loss"], abs=6 * 100 * EPS)
        for a, b in zip(weights, model.get_weights(), strict=True):
            np.testing.assert_allclose(a, b, rtol=0, atol=6 * 100 * EPS)
    # Eagerly the gradients stay, as in PyTorch; those of a trace have no values.
    assert all(w.grad is not None for w in eager[2].trainable_weights)
    assert all(w.grad is None and w.value.grad is None for w in compiled[2].trainable_weights)


def test_backward_in_a_loop_of_ones_own() -> None:
    v, w = Variable([1.0, 2.0]), Variable(3.0)
    with pytest.raises(RuntimeError, match="nothing was recorded"):
        (v * v)[0].backward()
    with keras.enable_grad():
        loss = ops.sum(v * v) * w
        loss.backward()
        assert (v.grad.numpy().tolist(), float(w.grad)) == ([6.0, 12.0], 5.0)  # type: ignore[union-attr, arg-type]
        ops.sum(v).backward()  # adds
        with keras.no_grad():
            hidden = ops.square(w)
        (hidden * v)[0].backward()
    assert v.grad.numpy().tolist() == [16.0, 13.0]  # type: ignore[union-attr]
    assert float(w.grad) == 5.0  # type: ignore[arg-type]
    assert v.value.grad is v.grad
    v.grad = None
    assert v.value.grad is None
    with keras.enable_grad(), pytest.raises(ValueError, match="a scalar"):
        (v * 1.0).backward()
    with keras.enable_grad():
        (v * 2.0).backward(gradient=[1.0, 10.0])
    assert v.grad.numpy().tolist() == [2.0, 20.0]  # type: ignore[attr-defined]
    gc.collect()


def test_zero_grad_begins_and_backward_ends_recording() -> None:
    from oxiconv import tape

    model = keras.Sequential([keras.Input((2,)), layers.Dense(1)])
    for _ in range(3):
        model.zero_grad()
        ops.sum(model(tensor(4, 2))).backward()
        assert tape.recording() == []
    kernel = model.trainable_weights[0]
    np.testing.assert_allclose(kernel.grad[:, 0], ops.sum(tensor(4, 2), axis=0), rtol=8 * EPS)  # type: ignore[index]
    model.zero_grad()
    assert kernel.grad is None
    loss = ops.sum(model(tensor(4, 2)))
    loss.backward(retain_graph=True)
    loss.backward()
    np.testing.assert_allclose(kernel.grad[:, 0], 2 * ops.sum(tensor(4, 2), axis=0), rtol=8 * EPS)  # type: ignore[index]


def test_a_training_without_state() -> None:
    """JAX's way: losses and updates are functions of the values of variables."""

    def build() -> tuple[keras.Model, Any]:
        keras.utils.set_random_seed(1)
        model = keras.Sequential(
            [keras.Input((3,)), layers.Dense(4, activation="relu"), layers.BatchNormalization(), layers.Dense(1)]
        )
        model.compile(keras.optimizers.Adam(0.1), "mse")
        return model, model.optimizer

    x = np.random.default_rng(0).normal(size=(16, 3)).astype(np.float32)
    y = x.sum(-1, keepdims=True)
    model, optimizer = build()
    optimizer.build(model.trainable_variables)

    def loss_and_updates(trainable: Any, rest: Any) -> Any:
        y_pred, rest = model.stateless_call(trainable, rest, x, training=True)
        return keras.losses.MeanSquaredError()(y, y_pred), rest

    trainable = [v.value for v in model.trainable_variables]
    rest = [v.value for v in model.non_trainable_variables]
    slots = [v.value for v in optimizer.variables]
    before, losses = model.get_weights(), []
    for _ in range(3):
        (loss, rest), gradients = keras.value_and_grad(loss_and_updates, has_aux=True)(trainable, rest)
        trainable, slots = optimizer.stateless_apply(slots, gradients, trainable)
        losses.append(float(loss))
    for a, b in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(a, b)
    other, _ = build()
    history = other.fit(x, y, batch_size=16, epochs=3, shuffle=False, verbose=0).history
    # As in test_compiled_equals_eager, for 3 steps of 0.1.
    assert losses == pytest.approx(history["loss"], abs=3 * 100 * EPS)
    for value, variable in zip(trainable, other.trainable_variables, strict=True):
        np.testing.assert_allclose(value, variable, rtol=0, atol=3 * 100 * EPS)
