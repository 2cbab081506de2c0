"""Prediction computes what depends on weights alone once, and never gives what was true of other weights."""

from __future__ import annotations

import copy
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

import oxiconv as keras
from oxiconv import _core, layers

Array = NDArray[np.float32]
U = 2.0**-24


def inputs(n: int = 3, seed: int = 0) -> Array:
    return np.random.default_rng(seed).standard_normal((n, 9, 7, 3), dtype=np.float32)


def body() -> Any:
    """Every kind of product with a batch normalization behind it."""
    x = image = keras.Input((9, 7, 3))
    for product in (
        layers.Conv2D(20, 3, padding="same", use_bias=False),
        layers.DepthwiseConv2D(3, padding="same"),
        layers.Conv2D(16, 1, strides=2),
        layers.Conv2DTranspose(12, 2, strides=2, use_bias=False),
        layers.SeparableConv2D(10, 3),
    ):
        x = layers.ReLU()(layers.BatchNormalization()(product(x)))
    x = layers.BatchNormalization()(layers.Dense(11)(layers.Flatten()(x)))
    return keras.Model(image, layers.Dense(4)(x))


def shake(model: Any, seed: int) -> None:
    """Gives each weight values of its own; variances stay positive."""
    rng = np.random.default_rng(seed)
    for weight in model.weights:
        values = rng.uniform(0.5, 1.5, weight.shape) if "variance" in weight.path else rng.normal(0, 0.3, weight.shape)
        weight.assign(values.astype(np.float32))


def assert_current(model: Any, x: Array) -> None:
    """Prediction in its three forms against the layers run one by one, which fold and keep nothing.

    Weights and activations are of size 1 and sums have at most 500 terms: rounding is below 500 · 2⁻²⁴ per layer and
    2e-4 over seven of them; weights of a moment before give results that differ by tenths.
    """
    want = model(keras.ops.convert_to_tensor(x), training=False).numpy()
    scale = max(float(np.abs(want).max()), 1.0)
    for got in (model.predict_on_batch(x), model.predict(x, verbose=0), model.predict(x, batch_size=2, verbose=0)):
        np.testing.assert_allclose(got, want, rtol=0, atol=2e-4 * scale)


def test_weights_of_a_moment_before_are_told_apart() -> None:
    model = body()
    shake(model, 0)
    before = model.predict_on_batch(inputs())
    shake(model, 1)
    assert np.abs(model.predict_on_batch(inputs()) - before).max() > 0.1


def test_a_batch_normalization_is_part_of_the_kernel(capsys: pytest.CaptureFixture[str]) -> None:
    model = body()
    model.predict_on_batch(inputs())
    model.explain_plan()
    plan = capsys.readouterr().out
    assert "kept while the weights stay" in plan
    steps = plan.split("(sharded)")[1].split("stage 0 step 0:")[0]
    assert "max(in0 + in1, 0)" in steps
    assert "rsqrt" not in steps


CHANGES = ("assign", "set_weights", "load_weights", "fit", "train_on_batch", "other model", "evaluate", "nothing")


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(CHANGES), st.integers(0, 1000)), min_size=1, max_size=8))
def test_no_sequence_of_changes_leaves_anything_stale(tmp_path_factory: Any, changes: list[tuple[str, int]]) -> None:
    model = MODELS["model"]
    shared = MODELS["shared"]
    for change, seed in changes:
        x = inputs(3, seed)
        target = np.ones((3, 4), np.float32)
        if change == "assign":
            weight = model.weights[seed % len(model.weights)]
            weight.assign(np.random.default_rng(seed).uniform(0.5, 1.5, weight.shape).astype(np.float32))
        elif change == "set_weights":
            model.set_weights([w * np.float32(0.9) for w in model.get_weights()])
        elif change == "load_weights":
            file: Path = tmp_path_factory.mktemp("weights") / "model.weights.h5"
            model.save_weights(file)
            shake(model, seed)
            assert_current(model, x)
            model.load_weights(file)
        elif change == "fit":
            model.fit(x, target, epochs=1, verbose=0)
        elif change == "train_on_batch":
            model.train_on_batch(x, target)
        elif change == "other model":
            shared.train_on_batch(x, np.ones_like(shared.predict_on_batch(x)))
        elif change == "evaluate":
            # Also folded, and kept apart from what prediction keeps. Outputs differ as in `assert_current`, by `bound`.
            outputs = model(keras.ops.convert_to_tensor(x)).numpy()
            bound = 2e-4 * max(float(np.abs(outputs).max()), 1.0)
            loss, slope = float(np.mean((outputs - target) ** 2)), float(np.mean(2 * np.abs(outputs - target)))
            assert abs(model.evaluate(x, target, verbose=0) - loss) <= slope * bound + bound**2 + 16 * U * loss
        assert_current(model, x)
        assert_current(shared, x)


def _models() -> dict[str, Any]:
    """A model, and another that ends in one of its layers: they share weights."""
    model = body()
    shake(model, 7)
    model.compile(keras.optimizers.SGD(1e-3), "mse")
    shared = keras.Model(model.inputs, model.layers[6].output)
    shared.compile(keras.optimizers.SGD(1e-3), "mse")
    return {"model": model, "shared": shared}


MODELS = _models()


def test_outside_memory_is_what_it_was_when_it_was_assigned() -> None:
    """A tensor may share the memory of an array; a weight that it is assigned to does not."""
    model = keras.Sequential([keras.Input((4,)), layers.Dense(3, use_bias=False)])
    kernel = np.ones((4, 3), np.float32)
    shared = _core.tensor(kernel, copy=False)
    x = np.ones((2, 4), np.float32)
    weight = model.layers[0].kernel
    for value in (1.0, 2.0, 3.0):
        kernel[:] = value
        weight.assign(shared)
        for _ in range(2):
            np.testing.assert_array_equal(model.predict_on_batch(x), np.full((2, 3), 4 * value, np.float32))


def test_copies_do_not_share_what_is_kept() -> None:
    model = body()
    shake(model, 3)
    x = inputs()
    model.predict_on_batch(x)
    twin = copy.deepcopy(model)
    shake(twin, 4)
    assert_current(twin, x)
    assert_current(model, x)


def test_layers_that_are_exchanged_are_noticed() -> None:
    class Chain(keras.Model):
        def __init__(self) -> None:
            super().__init__()
            self.parts = [layers.Dense(4), layers.Dense(4)]
            self.by_name = {"last": layers.Dense(2)}

        def call(self, x: Any) -> Any:
            for part in self.parts:
                x = part(x)
            return self.by_name["last"](x)

    model = Chain()
    x = np.random.default_rng(0).standard_normal((3, 4)).astype(np.float32)
    seen = [model.predict_on_batch(x)]
    changes = (
        lambda: model.parts.append(layers.Dense(4)),
        lambda: model.parts.pop(0),
        lambda: model.parts.__setitem__(0, layers.Dense(4)),
        lambda: model.by_name.__setitem__("last", layers.Dense(2)),
    )
    for change in changes:
        change()
        got = model.predict_on_batch(x)
        # Dot products of 4 terms, in at most 5 layers: 4 roundings each, of values below 16.
        np.testing.assert_allclose(got, model(x).numpy(), rtol=0, atol=5 * 4 * 16 * U)
        assert all(np.abs(got - other).max() > 1e-3 for other in seen)
        seen.append(got)


def test_settings_are_noticed_by_the_next_call() -> None:
    calls = []

    class Spy(layers.Layer):
        def call(self, x: Any) -> Any:
            calls.append(1)
            return x * 2.0

    model = keras.Sequential([keras.Input((2,)), Spy()])
    model.compile(loss="mse")
    x = np.ones((1, 2), np.float32)
    model.predict_on_batch(x)
    traced = len(calls)
    model.predict_on_batch(x)
    assert len(calls) == traced
    model.run_eagerly = True
    model.predict_on_batch(x)
    assert len(calls) == traced + 1


@pytest.mark.parametrize("dtype", ["float32", "float64", "int32", "uint8", "bool"])
def test_any_element_type_gives_the_same_from_the_second_call_on(dtype: str) -> None:
    model = keras.Sequential([keras.Input((6,)), layers.Dense(3)])
    x = np.arange(12).reshape(2, 6).astype(dtype)
    first = model.predict_on_batch(x)
    for _ in range(2):
        np.testing.assert_array_equal(model.predict_on_batch(x), first)
    np.testing.assert_array_equal(model.predict_on_batch(np.asfortranarray(x)), first)
    np.testing.assert_array_equal(model.predict_on_batch(x.astype(x.dtype.newbyteorder())), first)


def test_results_are_the_callers_own() -> None:
    model = keras.Sequential([keras.Input((6,)), layers.Dense(3)])
    x = np.ones((2, 6), np.float32)
    first = model.predict_on_batch(x)
    second = model.predict_on_batch(x)
    assert second.flags.owndata
    assert second.flags.writeable
    second[:] = 0.0
    np.testing.assert_array_equal(model.predict_on_batch(x), first)


def test_threads_that_predict_while_weights_change_see_one_state_or_another() -> None:
    model = keras.Sequential([keras.Input((8,)), layers.Dense(8, use_bias=False), layers.Dense(1, use_bias=False)])
    x = np.ones((1, 8), np.float32)
    first, second = (layer.kernel for layer in model.layers)
    first.assign(np.ones((8, 8), np.float32))
    values = [np.full((8, 1), float(k), np.float32) for k in range(1, 4)]
    second.assign(values[0])
    wrong: list[float] = []
    stop = threading.Event()

    def predict() -> None:
        while not stop.is_set():
            got = float(model.predict_on_batch(x)[0, 0])
            if got not in (64.0, 128.0, 192.0):
                wrong.append(got)

    threads = [threading.Thread(target=predict) for _ in range(2)]
    for thread in threads:
        thread.start()
    for k in range(300):
        second.assign(values[k % 3])
        # What this thread has assigned, the next call of this thread sees.
        assert float(model.predict_on_batch(x)[0, 0]) == 64.0 * (k % 3 + 1)
    stop.set()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_a_division_behind_a_bias_folds() -> None:
    """As a temperature behind logits does: what is left of the scale is a number."""
    inputs = keras.Input((5,))
    model = keras.Model(inputs, layers.Dense(4, bias_initializer="ones")(inputs) / 3.0)
    x = np.random.default_rng(0).normal(size=(7, 5)).astype(np.float32)
    want = model(x).numpy()
    # Sums of five products and a bias, in two orders.
    np.testing.assert_allclose(
        model.predict(x, verbose=0), want, atol=8 * np.finfo(np.float32).eps * np.abs(want).max()
    )
