"""Models that override a step, the loss or the metrics."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import oxiconv as keras
from oxiconv import layers, ops
from small_models import EPS, D, X


def test_custom_train_step_runs_with_a_tape() -> None:
    class Custom(keras.Model):
        def __init__(self) -> None:
            super().__init__()
            self.dense = layers.Dense(1, use_bias=False, kernel_initializer="zeros")
            self.seen = keras.metrics.Mean(name="seen")

        def call(self, inputs: Any, training: bool | None = None, mask: Any = None, **kwargs: Any) -> Any:
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
    for jit in (False, "auto"):
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
