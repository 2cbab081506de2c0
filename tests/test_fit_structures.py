"""Several outputs, partial targets, odd sources of data, and what does not fit together."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import oxiconv as keras
from oxiconv import layers
from small_models import CLASSES, EPS, D, X, Y, classifier, data, digest, iterable, linear

SIZE = X[:, :1] * 2


def headed(structure: str = "list") -> keras.Model:
    keras.utils.set_random_seed(1)
    inputs = keras.Input((D,))
    kind = layers.Dense(CLASSES, activation="softmax", name="kind")(inputs)
    size = layers.Dense(1, name="size")(inputs)
    outputs: Any = {
        "list": [kind, size],
        "dict": {"kind": kind, "size": size},
        "nested": {"heads": [kind, {"s": size}], "again": kind * 1.0},
    }[structure]
    return keras.Model(inputs, outputs)


def losses(model: keras.Model, y: Any, **kwargs: Any) -> dict[str, float]:
    found: dict[str, float] = model.evaluate(X, y, verbose=0, return_dict=True, **kwargs)
    return found


def test_targets_for_outputs_with_a_loss_alone() -> None:
    """A loss of None needs no target."""
    results = []
    for loss, y in (
        (["sparse_categorical_crossentropy", None], [Y, None]),
        (["sparse_categorical_crossentropy", None], [Y]),
        (["sparse_categorical_crossentropy", None], Y),
        ({"kind": "sparse_categorical_crossentropy", "size": None}, {"kind": Y}),
        ({"kind": "sparse_categorical_crossentropy", "size": None}, [Y, SIZE]),
    ):
        model = headed()
        model.compile(keras.optimizers.SGD(0.1), loss)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="The loss does not depend")
            model.fit(X, y, shuffle=False, verbose=0)
        results.append((losses(model, y), digest(model)))
    assert all(one == results[0] for one in results)
    assert list(results[0][0]) == ["loss"]


def test_a_dict_of_outputs_may_have_losses_for_some() -> None:
    """Where the model returns a dict, an output that the dict of losses leaves out has none."""
    results = []
    for loss, y in (
        ({"kind": "sparse_categorical_crossentropy"}, {"kind": Y}),
        ({"kind": "sparse_categorical_crossentropy", "size": None}, {"kind": Y, "size": SIZE}),
    ):
        model = headed("dict")
        model.compile(keras.optimizers.SGD(0.1), loss)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="The loss does not depend")
            model.fit(X, y, shuffle=False, verbose=0)
        results.append((losses(model, y), digest(model)))
    assert results[0] == results[1]


def test_metrics_of_one_output_under_any_name() -> None:
    y = np.eye(CLASSES)[Y]
    found = []
    for metrics in (["accuracy", "mae"], {"any": ["accuracy"], "thing": "mae"}):
        model = classifier()
        model.compile("sgd", "categorical_crossentropy", metrics=metrics)
        found.append(losses(model, y))
    assert found[0] == found[1]
    assert sorted(found[0]) == ["accuracy", "loss", "mae"]


def test_nested_outputs() -> None:
    model = headed("nested")
    model.compile("sgd", {"heads": ["sparse_categorical_crossentropy", {"s": "mse"}], "again": None})
    y = {"heads": [Y, {"s": SIZE}], "again": Y}
    history = model.fit(X, y, verbose=0).history
    assert sorted(history) == ["heads/0_loss", "heads/1/s_loss", "loss"]
    assert history["loss"][0] == pytest.approx(history["heads/0_loss"][0] + history["heads/1/s_loss"][0], rel=8 * EPS)


def test_one_loss_for_all_outputs_and_weights_for_each() -> None:
    inputs = keras.Input((1,))
    outputs = [layers.Dense(1, kernel_initializer="zeros", name=name)(inputs) for name in ("a", "b")]
    model = keras.Model(inputs, outputs)
    model.compile(keras.optimizers.SGD(0.0), "mse", loss_weights=[1.0, 10.0], weighted_metrics=["mae", "mae"])
    x, y = np.zeros((4, 1)), np.arange(4.0)[:, None]
    w = np.array([1.0, 0.0, 0.0, 1.0])
    squares = float((y**2).mean())
    plain = model.evaluate(x, [y, y + 1], verbose=0, return_dict=True)
    assert plain["a_loss"] == squares
    assert plain["loss"] == pytest.approx(squares + 10 * ((y + 1) ** 2).mean(), rel=4 * EPS)
    both = model.evaluate(x, [y, y], sample_weight=w, verbose=0, return_dict=True)
    assert (both["a_loss"], both["b_loss"]) == (9 / 4, 9 / 4)
    one = model.evaluate(x, [y, y], sample_weight={"b": w}, verbose=0, return_dict=True)
    assert (one["a_loss"], one["b_loss"], one["a_mae"], one["b_mae"]) == (squares, 9 / 4, 1.5, 1.5)
    again = model.evaluate(x, [y, y], sample_weight=[None, w], verbose=0, return_dict=True)
    assert again == one


@pytest.mark.filterwarnings("ignore:The loss does not depend")
@pytest.mark.parametrize(
    ("compiled", "fitted", "message"),
    [
        ({"loss": ["mse"]}, {}, r"loss: expected 2 entries for the outputs \['kind', 'size'\], got 1"),
        ({"loss": {"nope": "mse"}}, {}, r"loss: the model has no outputs \['nope'\]; its outputs are"),
        ({"loss": ["mse"] * 3}, {}, r"loss: expected 2 entries for the outputs \['kind', 'size'\], got 3"),
        (
            {"loss": {"size": "mse"}},
            {},
            r"each of the outputs \['kind', 'size'\], got none for \['kind'\]; None is for",
        ),
        ({"loss": {"size": "mse"}}, {"y": {"size": SIZE}}, "got none for"),
        ({"loss": "mse", "metrics": [["crossentropy"], []]}, {}, "crossentropy"),
        ({"loss": "mse", "weighted_metrics": [[], ["ce"]]}, {}, "'ce'"),
        ({"loss": "mse", "loss_weights": [1.0]}, {}, "loss_weights: expected 2 entries"),
        ({"loss": "mse", "loss_weights": "two"}, {}, "loss_weights: expected a number"),
        ({"loss": "mse", "metrics": {"nope": "mae"}}, {}, r"metrics: the model has no outputs \['nope'\]"),
        ({"loss": "mse", "metrics": ["mae"]}, {}, "metrics: expected 2 entries"),
        ({"loss": "mse"}, {"y": SIZE}, "y: expected a list or dict for the outputs"),
        ({"loss": "mse"}, {"y": [SIZE]}, "y: expected 2 entries"),
        ({"loss": "mse"}, {"y": {"size": SIZE}}, "Output 'kind' has the loss .* no targets"),
        (
            {"loss": {"size": "mse", "kind": None}, "metrics": {"kind": ["mae"]}},
            {"y": {"size": SIZE}},
            "'kind' has metrics, but no t",
        ),
        ({"loss": "mse"}, {"sample_weight": np.ones((50, 2))}, "one weight per sample, got shape"),
        ({"loss": "mse"}, {"class_weight": {0: 1.0}}, "one output"),
    ],
)
def test_structures_that_do_not_fit(compiled: dict[str, Any], fitted: dict[str, Any], message: str) -> None:
    def run() -> None:
        model = headed()
        model.compile("sgd", **compiled)
        model.fit(X, **{"y": [np.eye(CLASSES)[Y], SIZE], "verbose": 0, **fitted})

    with pytest.raises(ValueError, match=message):
        run()


@pytest.mark.parametrize(
    ("weight", "message"),
    [(np.ones((50, 3)), r"sample_weight: .*got shape \(32, 3\)"), (np.ones((50, 1, 1)), "sample_weight")],
)
def test_sample_weights_of_other_shapes(weight: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        classifier().fit(X, Y, sample_weight=weight, verbose=0)


def test_no_loss_and_nothing_to_train() -> None:
    model = classifier(loss=None)
    model.layers[0].kernel.regularizer = None
    with pytest.raises(ValueError, match=r"There is no loss: pass `loss` to compile\(\)"):
        model.fit(X, Y, verbose=0)
    frozen = linear()
    frozen.trainable = False
    frozen.compile("sgd", "mse")
    with pytest.warns(UserWarning, match="no trainable weights"):
        frozen.fit(np.ones((2, 1)), np.ones((2, 1)), verbose=0)
    with pytest.raises(ValueError, match="optimizer=None"):
        linear(optimizer=None).fit(np.ones((2, 1)), np.ones((2, 1)), verbose=0)


class Foreign:
    """A tensor of another library: an array behind `.numpy()` or `.detach().cpu()`."""

    def __init__(self, array: Any) -> None:
        self._array = array
        self.shape = array.shape

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Any:
        return np.asarray(self._array, dtype)


class Torchlike(Foreign):
    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Any:
        raise TypeError("detach first")

    def detach(self) -> Any:
        return self

    def cpu(self) -> Any:
        return self._array


@pytest.mark.parametrize("kind", [Foreign, Torchlike])
def test_loaders_of_other_libraries(kind: Any) -> None:
    """torch's DataLoader gives lists and has a length; tf.data's may have none."""

    class Loader:
        def __iter__(self) -> Iterator[Any]:
            for i in range(0, 50, 16):
                yield [kind(X[i : i + 16]), kind(Y[i : i + 16])]

        def __len__(self) -> int:
            return 4

    class Unsized(Loader):
        def __len__(self) -> int:
            raise TypeError("unknown")

    want = classifier()
    want.fit(X, Y, batch_size=16, shuffle=False, epochs=2, validation_data=(X, Y), verbose=0)
    for loader in (Loader(), Unsized()):
        model = classifier()
        history = model.fit(loader, epochs=2, validation_data=loader, verbose=0)
        assert digest(model) == digest(want)
        assert history.params["steps"] == (4 if type(loader) is Loader else None)
        assert model.evaluate(loader, verbose=0) == pytest.approx(want.evaluate(X, Y, batch_size=16, verbose=0))
        np.testing.assert_array_equal(model.predict(loader, verbose=0), want.predict(X, batch_size=16, verbose=0))
    whole = classifier()
    whole.fit(kind(X), kind(Y), batch_size=16, shuffle=False, epochs=2, verbose=0)
    assert digest(whole) == digest(want)


def test_validation_of_an_iterable_starts_over() -> None:
    x, y = np.zeros((6, 1)), np.arange(6.0)[:, None]
    source = iterable([(x[i : i + 2], y[i : i + 2]) for i in (0, 2, 4)])
    history = linear().fit(x, y, epochs=3, validation_data=source, validation_steps=2, verbose=0).history
    assert history["val_loss"] == [pytest.approx((y[:4] ** 2).mean(), rel=4 * EPS)] * 3
    endless = (batch for _ in range(9) for batch in [(x[:2], y[:2]), (x[2:4], y[2:4])])
    history = linear().fit(x, y, epochs=2, validation_data=endless, validation_steps=1, verbose=0).history
    assert history["val_loss"] == [pytest.approx(0.5), pytest.approx(6.5)]  # a generator goes on


def test_dicts_and_single_tuples_of_batches() -> None:
    a, b = keras.Input((1,), name="a"), keras.Input((1,), name="b")
    model = keras.Model({"a": a, "b": b}, layers.Add()([a, b]))
    batches = iterable([({"a": X[:4, :1], "b": X[:4, 1:2]},), {"a": X[4:6, :1], "b": X[4:6, 1:2]}])
    np.testing.assert_array_equal(model.predict(batches, verbose=0), X[:6, :1] + X[:6, 1:2])


def test_stopping_evaluation_and_prediction() -> None:
    model = classifier()
    seen: list[str] = []

    class Stop(keras.callbacks.Callback):
        def on_test_batch_end(self, batch: int, logs: Any = None) -> None:
            seen.append("test")
            self.model.stop_evaluating = batch == 1

        def on_predict_batch_end(self, batch: int, logs: Any = None) -> None:
            seen.append("predict")
            self.model.stop_predicting = batch == 2

    model.evaluate(X, Y, batch_size=10, verbose=0, callbacks=[Stop()])
    found = model.predict(X, batch_size=10, verbose=0, callbacks=[Stop()])
    np.testing.assert_array_equal(found, model.predict(X, batch_size=10, verbose=0)[:30])
    assert seen == ["test"] * 2 + ["predict"] * 3


def test_an_error_in_a_callback_leaves_a_model_that_can_be_used() -> None:
    model, other = classifier(), classifier()

    def fail(batch: int, logs: Any) -> None:
        if batch == 1:
            raise OSError("disk full")

    watched = keras.callbacks.LambdaCallback(on_train_batch_end=fail)
    with pytest.raises(OSError, match="disk full"):
        model.fit(X, Y, batch_size=10, shuffle=False, verbose=0, callbacks=[watched])
    other.fit(X[:20], Y[:20], batch_size=10, shuffle=False, verbose=0)
    assert digest(model) == digest(other)
    assert model.evaluate(X, Y, verbose=0) == other.evaluate(X, Y, verbose=0)
    for one in (model, other):
        one.fit(X, Y, shuffle=False, verbose=0)
    assert digest(model) == digest(other)


def test_nan_is_reported_as_it_is() -> None:
    x, _ = data()
    history = linear().fit(np.ones((4, 1)), np.array([[1.0], [np.nan], [1.0], [1.0]]), verbose=0).history
    assert np.isnan(history["loss"][0])
    assert len(x) == 50


def test_attributes_that_change_after_compile() -> None:
    """As in Keras: what is Python in a layer is read when a step is traced, so compile again; rates change at once."""
    model = classifier(optimizer=keras.optimizers.SGD(0.0))
    before = digest(model)
    model.fit(X, Y, verbose=0)
    assert digest(model) == before
    model.optimizer.learning_rate = 0.5
    model.fit(X, Y, verbose=0)
    assert digest(model) != before
    scores = model.predict(X, verbose=0)
    model.layers[-1].activation = None  # type: ignore[attr-defined]
    model.compile("sgd", "mse")
    raw = model.predict(X, verbose=0)
    e = np.exp(raw - raw.max(-1, keepdims=True))
    # A softmax of values of order 1.
    np.testing.assert_allclose(scores, e / e.sum(-1, keepdims=True), atol=16 * EPS)


def test_a_folder_of_images_equals_its_arrays(tmp_path: Path) -> None:
    """`image_dataset_from_directory`, mapped and prefetched, in fit, evaluate and predict."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (10, 8, 8, 3)).astype(np.uint8)
    for i, image in enumerate(images):
        (tmp_path / "ab"[i % 2]).mkdir(exist_ok=True)
        keras.utils.save_img(tmp_path / "ab"[i % 2] / f"{i}.png", image, scale=False)
    folder = keras.utils.image_dataset_from_directory(
        tmp_path, image_size=(8, 8), batch_size=4, shuffle=False, verbose=False
    )
    batches = folder.map(lambda x, y: (x / 255.0, y)).prefetch(2)
    order = [*range(0, 10, 2), *range(1, 10, 2)]
    x, y = images[order].astype(np.float32) / 255.0, np.repeat([0, 1], 5).astype(np.int32)

    def trained(x: Any, y: Any = None, batch_size: int | None = None) -> tuple[str, Any, Any]:
        keras.utils.set_random_seed(1)
        model = keras.Sequential([keras.Input((8, 8, 3)), layers.Flatten(), layers.Dense(2, activation="softmax")])
        model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
        model.fit(x, y, batch_size, epochs=2, shuffle=False, verbose=0)
        return digest(model), model.evaluate(x, y, batch_size, verbose=0), model.predict(x, batch_size, verbose=0)

    from_folder, from_arrays = trained(batches), trained(x, y, 4)
    assert from_folder[:2] == from_arrays[:2]
    np.testing.assert_array_equal(from_folder[2], from_arrays[2])
