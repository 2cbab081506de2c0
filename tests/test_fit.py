"""`fit`, `evaluate` and `predict`: histories, splits, weights, and equality of compiled and eager."""

from __future__ import annotations

import copy
import gc
import os
import pickle
import signal
import threading
from typing import Any

import numpy as np
import pytest

import oxiconv as keras
from oxiconv import layers
from oxiconv._core import num_threads, set_num_threads
from small_models import (
    CLASSES,
    EPS,
    D,
    N,
    X,
    Y,
    classifier,
    convolutional,
    data,
    digest,
    iterable,
    linear,
    probabilities,
)


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
    assert model.metrics_names == [m.name for m in model.metrics] == ["loss", "compile_metrics"]


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
        {"optimizer": keras.optimizers.RMSprop(0.01), "weighted_metrics": ["sparse_categorical_crossentropy"]},
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


def test_freezing_between_compile_and_the_first_step_counts() -> None:
    """As in Keras, where the first step of training decides."""
    x, y = data()
    model = classifier()
    model.layers[0].trainable = False
    before = model.get_weights()
    model.fit(x, y, verbose=0)
    assert [bool((a == b).all()) for a, b in zip(before, model.get_weights(), strict=True)] == [
        True,
        True,
        False,
        False,
    ]


def test_a_layer_added_after_training_is_not_left_out_silently() -> None:
    model = linear()
    x = np.ones((4, 1), np.float32)
    model.fit(x, x, verbose=0)
    model.add(layers.Dense(1, name="late"))
    with pytest.warns(UserWarning, match="late/kernel.*became trainable after training began.*compile"):
        model.fit(x, x, verbose=0)


def test_copies_of_a_trained_model_train_on_alike() -> None:
    x, y = data()
    model = classifier()
    model.fit(x, y, verbose=0)
    twins = [copy.deepcopy(model), pickle.loads(pickle.dumps(model))]
    before = digest(model)
    results = []
    for twin in twins:
        assert digest(twin) == before
        twin.fit(x, y, verbose=0, shuffle=False)
        results.append(digest(twin))
        assert digest(model) == before
    model.fit(x, y, verbose=0, shuffle=False)
    assert results == [digest(model)] * 2 != [before] * 2


def test_a_replaced_layer_never_meets_the_step_of_a_dead_one() -> None:
    """Ids of dead layers are used again; there were wrong predictions about every third time."""
    model = keras.Sequential([keras.Input((1,)), layers.Rescaling(1.0)])
    x = np.ones((2, 1), np.float32)
    for factor in range(40):
        model.add(layers.Rescaling(float(factor)))
        assert model.predict(x, verbose=0)[0, 0] == factor
        model.pop()
        gc.collect()


def test_a_replaced_schedule_never_meets_the_step_of_a_dead_one() -> None:
    x, y = data(10)
    model = classifier(optimizer=keras.optimizers.SGD(0.1))
    for rate in [0.1, 0.0] * 30:
        model.optimizer.learning_rate = keras.optimizers.schedules.PiecewiseConstantDecay([10**6], [rate, rate])
        before = digest(model)
        model.fit(x, y, verbose=0)
        assert (digest(model) == before) == (rate == 0.0)


def test_predict() -> None:
    x, y = data()
    model = classifier()
    got = model.predict(x, batch_size=16, verbose=0)
    # As in the first test.
    np.testing.assert_allclose(got, probabilities(model, x), rtol=0, atol=64 * EPS)
    np.testing.assert_array_equal(model.predict_on_batch(x[:16]), got[:16])
    np.testing.assert_array_equal(model.predict(iterable([(x[:16], y[:16])]), verbose=0), got[:16])
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
    assert model.test_on_batch(x, y) == pytest.approx(model.evaluate(x, y, batch_size=N, verbose=0))
    assert 0 <= accuracy <= 1
    assert loss > 0
    model.train_on_batch(x, y)
    wanted = model.evaluate(x[:8], y[:8], verbose=0)
    assert model.train_on_batch(x[:8], y[:8]) == pytest.approx(wanted)


def test_a_source_without_batches_has_no_loss() -> None:
    with pytest.raises(ValueError, match="fit: expected at least one batch"):
        classifier().fit(iter([]), verbose=0)
    with pytest.raises(ValueError, match="evaluate: expected at least one batch"):
        classifier().evaluate(iter([]), verbose=0)
    batch = data()
    with pytest.warns(UserWarning, match="validation_data had no batch left in epoch 2"):
        history = classifier().fit(*batch, validation_data=iter([batch]), epochs=2, verbose=0).history
    assert len(history["val_loss"]) == 1
    with pytest.warns(UserWarning, match="ran out before epoch 2"):
        history = classifier().fit(iter([batch] * 2), steps_per_epoch=2, epochs=3, verbose=0).history
    assert len(history["loss"]) == 1


def test_a_layer_added_after_predicting_takes_part() -> None:
    model = keras.Sequential([keras.Input((1,)), layers.Dense(1, kernel_initializer="ones")])
    x = np.array([[2.0]])
    assert model.predict(x, verbose=0).item() == 2.0
    model.add(layers.Dense(1, kernel_initializer=keras.initializers.Constant(3.0)))
    assert model.predict(x, verbose=0).item() == 6.0


@pytest.mark.parametrize("eagerly", [False, True])
def test_unbuilt_model_is_built_by_fit(eagerly: bool) -> None:
    x, y = data()
    model = keras.Sequential([layers.Dense(4, activation="relu"), layers.Dense(CLASSES, activation="softmax")])
    model.compile("sgd", "sparse_categorical_crossentropy", run_eagerly=eagerly)
    model.fit(x, y, verbose=0)
    assert [w.shape for w in model.get_weights()] == [(D, 4), (4,), (4, CLASSES), (CLASSES,)]
    before = digest(model)
    model.fit(x, y, verbose=0)
    assert digest(model) != before


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


def test_explain_plan() -> None:
    model = classifier()
    with pytest.raises(ValueError, match="no step has been compiled"):
        model.explain_plan()
    model.fit(X, Y, batch_size=40, validation_data=(X, Y), verbose=0)
    printed: list[str] = []
    model.explain_plan(print_fn=printed.append)
    text = "".join(printed)
    assert "train step for batches of float32[40, 6], int64[40]\n" in text
    assert "train step for batches of float32[10, 6], int64[10]\n" in text
    assert "test step for batches of float32[40, 6], int64[40]\n" in text
    assert text.count(" MiB\n") == 4
    # The first layer's product has 40 samples, 6 features and 8 units, and its bias and ReLU behind it.
    assert f"({2 * 40 * 6 * 8 + 2 * 40 * 8} operations, {4 * (40 * 6 + 6 * 8 + 8 + 40 * 8)} bytes)\n" in text


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


def test_many_shapes_keep_few_steps() -> None:
    from oxiconv.trainer.step import CAPACITY

    model = linear()
    for n in range(1, CAPACITY + 5):
        model.train_on_batch(np.zeros((n, 1)), np.zeros((n, 1)))
    state = model._compiled_state
    assert state is not None
    assert len(state.steps) == CAPACITY
