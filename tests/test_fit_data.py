"""Where batches come from: arrays, structures of them, generators, data sets; and data that does not fit."""

from __future__ import annotations

import math
import tracemalloc
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import oxiconv as keras
from oxiconv import layers
from oxiconv.trainer.batches import ArrayBatches
from small_models import CLASSES, EPS, D, N, X, Y, classifier, data, digest, iterable, linear


def test_shuffling_is_new_each_epoch_and_repeats_with_the_seed() -> None:
    orders: list[list[float]] = []

    class Watch(keras.Model):
        def call(self, inputs: Any, training: bool | None = None, mask: Any = None, **kwargs: Any) -> Any:
            return inputs

        def train_step(self, batch: Any) -> dict[str, Any]:
            orders[-1].extend(batch[0].numpy()[:, 0].tolist())
            return {}

    for _ in range(2):
        keras.utils.set_random_seed(3)
        model = Watch()
        model.compile(optimizer=None, run_eagerly=True)
        for _ in range(2):
            orders.append([])
            model.fit(np.arange(20.0)[:, None], np.zeros((20, 1)), batch_size=6, verbose=0)
    first, second, first_again, second_again = orders
    assert first == first_again
    assert second == second_again
    assert first != second
    assert sorted(first) == sorted(second) == list(range(20))


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
            source = iterable(source)
        model.fit(source, epochs=2, steps_per_epoch=steps, verbose=0)
        assert digest(model) == digest(want)
    assert want.evaluate(Dataset(), verbose=0) == want.evaluate(x, y, batch_size=16, verbose=0)


def test_a_generator_that_runs_out_stops_training() -> None:
    x, y = data()
    model = classifier()
    with pytest.warns(UserWarning, match="ran out in epoch 2 of 3"):
        history = model.fit(batches(x, y, 16), epochs=3, steps_per_epoch=3, verbose=0)
    assert len(history.epoch) == 2
    with pytest.warns(UserWarning, match="ran out in epoch 1 of 2"):
        model.fit(batches(x, y, 16), epochs=2, verbose=0)


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


def test_vectors_as_inputs_of_one_feature() -> None:
    """`[n]` for inputs of shape (1,), as Keras adjusts it."""
    x = np.arange(4.0)
    model = linear(optimizer=keras.optimizers.SGD(0.01))
    model.fit(x, 2 * x, epochs=200, verbose=0)
    # Each epoch, one step, leaves 1 - 0.01 * 2 * mean(x^2) = 0.93 of the weight's error of 2; 6 * 0.93^200 = 3e-6.
    np.testing.assert_allclose(model.predict(x, verbose=0)[:, 0], 2 * x, atol=1e-5)


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
        (X, Y, {"class_weight": [1.0, 2.0, 1.0]}, "class_weight: expected a dict"),
        (X, Y, {"class_weight": {0: 2.0}, "sample_weight": np.ones(N)}, "cannot be given at the same time"),
        (iter([(X, Y, np.ones(N))]), None, {"class_weight": {0: 2.0}}, "cannot be given at the same time"),
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


def test_endless_datasets_need_a_number_of_steps() -> None:
    model, endless = classifier(), keras.data.Dataset.from_tensor_slices((X, Y)).batch(16).repeat()
    for run in (model.fit, model.evaluate, model.predict):
        with pytest.raises(ValueError, match="endless: expected a number of steps"):
            run(endless, verbose=0)
    with pytest.raises(ValueError, match="validation_steps"):
        model.fit(X, Y, validation_data=endless, verbose=0)
    model.fit(endless, steps_per_epoch=5, validation_data=endless, validation_steps=2, verbose=0)
    assert int(model.optimizer.iterations) == 5


def test_an_unknown_verbosity_is_refused() -> None:
    with pytest.raises(ValueError, match="verbose: expected 'auto', 0, 1 or 2, got 'loud'"):
        classifier().predict(X, verbose="loud")


def test_labels_of_a_generator_are_checked() -> None:
    model = classifier()
    with pytest.raises(ValueError, match=r"labels in \[0, 3\), got 7"):
        model.fit(batches(X, np.where(Y == 2, 7, Y), 16), verbose=0)


def test_targets_of_another_shape_are_refused() -> None:
    with pytest.raises(ValueError, match=r"mean_squared_error.*\(32, 3\)"):
        classifier(loss="mse").fit(X, Y, verbose=0)


@pytest.mark.parametrize("spelling", ["list", "dict"])
def test_several_inputs(spelling: str) -> None:
    a, b = keras.Input((1,), name="b"), keras.Input((1,), name="a")
    model = keras.Model([a, b] if spelling == "list" else {"b": a, "a": b}, keras.layers.Subtract()([a, b]))
    model.compile("sgd", "mae")
    first, second = np.arange(5.0)[:, None], np.ones((5, 1))
    x: Any = [first, second] if spelling == "list" else {"b": first, "a": second}
    np.testing.assert_array_equal(model.predict(x, verbose=0, batch_size=2), first - second)
    assert model.evaluate(x, np.zeros((5, 1)), verbose=0) == pytest.approx(np.abs(first - second).mean())


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
    for got, y, weight in source.run():
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


class Batched(keras.utils.PyDataset):
    """The data in batches of 16, with the hooks of its epochs."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.hooks: list[str] = []

    def __len__(self) -> int:
        return math.ceil(N / 16)

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        return X[index * 16 : index * 16 + 16], Y[index * 16 : index * 16 + 16]

    def on_epoch_begin(self) -> None:
        self.hooks.append("begin")

    def on_epoch_end(self) -> None:
        self.hooks.append("end")


def test_shuffled_batches_of_a_view_do_not_copy_all_of_it() -> None:
    parts = np.arange(1024 * 4096 * 2, dtype="float32").reshape(1024, 4096, 2)
    view = parts[..., 1]
    batches = ArrayBatches((view, None, None), 8, True, lambda n: np.arange(n)[::-1])
    tracemalloc.start()
    try:
        for i, (x, _, _) in enumerate(batches.run()):
            assert np.array_equal(x, view[::-1][8 * i : 8 * i + 8])
        assert tracemalloc.get_traced_memory()[1] < view.nbytes / 2
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    "kwargs", [{}, {"workers": 3}, {"workers": 2, "max_queue_size": 1}, {"workers": 2, "use_multiprocessing": True}]
)
def test_py_dataset(kwargs: dict[str, Any]) -> None:
    want, model, source = classifier(), classifier(), Batched(**kwargs)
    want.fit(X, Y, batch_size=16, shuffle=False, epochs=2, verbose=0)
    model.fit(source, epochs=2, shuffle=False, verbose=0)
    assert digest(model) == digest(want)
    assert source.hooks == ["begin", "end"] * 2


def test_py_dataset_is_shuffled_by_batches() -> None:
    """As in Keras: `shuffle` draws the indices, unless the dataset is endless."""
    drawn: list[int] = []

    class Watched(Batched):
        def __getitem__(self, index: int) -> tuple[Any, Any]:
            drawn.append(index)
            return super().__getitem__(index % 4)

    model = classifier()
    model.fit(Watched(), epochs=8, verbose=0)
    passes = [drawn[i : i + 4] for i in range(0, 32, 4)]
    assert all(sorted(p) == [0, 1, 2, 3] for p in passes)
    assert len({tuple(p) for p in passes}) > 1

    class Endless(Watched):
        num_batches = None

    drawn.clear()
    model.fit(Endless(), epochs=2, steps_per_epoch=3, verbose=0)
    assert drawn == [0, 1, 2, 3, 4, 5]


def test_an_error_in_a_worker_is_raised() -> None:
    class Broken(Batched):
        def __getitem__(self, index: int) -> tuple[Any, Any]:
            if index == 2:
                raise OSError("no such image")
            return super().__getitem__(index)

    with pytest.raises(OSError, match="no such image"):
        classifier().fit(Broken(workers=2), verbose=0)
    with pytest.raises(ValueError, match="workers"):
        Batched(workers=0)
