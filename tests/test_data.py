"""Streams of batches."""

import gc
import threading
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import oxiconv as keras
from oxiconv.data import AUTOTUNE, INFINITE_CARDINALITY, UNKNOWN_CARDINALITY, Dataset, TensorSpec


def values(dataset: Dataset) -> list[Any]:
    """The elements as plain lists and numbers."""

    def plain(element: Any) -> Any:
        if isinstance(element, tuple):
            return tuple(plain(part) for part in element)
        if isinstance(element, dict):
            return {key: plain(part) for key, part in element.items()}
        return element.numpy().tolist() if isinstance(element, keras.Tensor) else element

    return [plain(element) for element in dataset]


def numbers(n: int) -> Dataset:
    return Dataset.range(n)


def streamed(n: int) -> Dataset:
    """The same elements, but no rows of a table."""
    return Dataset.from_generator(lambda: iter(range(n)))


both = pytest.mark.parametrize("make", [numbers, streamed])


def test_slices_of_structures() -> None:
    pair = Dataset.from_tensor_slices(({"a": [1, 2], "b": np.ones((2, 3))}, [0.5, 1.5]))
    assert values(pair) == [({"a": 1, "b": [1.0] * 3}, 0.5), ({"a": 2, "b": [1.0] * 3}, 1.5)]
    assert pair.element_spec[0]["b"] == TensorSpec((3,), "float32")
    assert values(Dataset.from_tensors((1, [2, 3]))) == [(1, [2, 3])]
    assert values(Dataset.from_tensor_slices(["x", "y"])) == ["x", "y"]
    with pytest.raises(ValueError, match=r"expected parts of one length along a first axis, got lengths \[2, 3\]"):
        Dataset.from_tensor_slices(([1, 2], [1, 2, 3]))
    with pytest.raises(ValueError, match="first axis"):
        Dataset.from_tensor_slices(3)


def test_elements_are_tensors_with_the_types_of_their_arrays() -> None:
    element = next(iter(Dataset.from_tensor_slices((np.zeros((1, 2), np.uint8), [True], [1], [0.5]))))
    assert [part.dtype for part in element] == ["uint8", "bool", "int32", "float32"]
    assert all(isinstance(part, keras.Tensor) for part in element)
    found = next(Dataset.from_tensor_slices(np.arange(3)).as_numpy_iterator())
    assert isinstance(found, np.integer)


@both
def test_order_and_number(make: Any) -> None:
    ten = make(10)
    assert values(ten.take(3)) == [0, 1, 2]
    assert values(ten.take(-1)) == list(range(10))
    assert values(ten.skip(7)) == [7, 8, 9]
    assert values(ten.skip(70)) == []
    assert values(ten.skip(-1)) == []
    assert values(ten.shard(4, 1)) == [1, 5, 9]
    assert values(ten.take(2).repeat(3)) == [0, 1] * 3
    assert values(ten.repeat().take(23)) == [*range(10), *range(10), 0, 1, 2]
    assert values(ten.take(2).concatenate(make(1))) == [0, 1, 0]
    assert values(ten.filter(lambda x: x > 7)) == [8, 9]
    assert values(ten.take(2).enumerate(5)) == [(5, 0), (6, 1)]
    assert values(Dataset.zip((ten, make(2)))) == [(0, 0), (1, 1)]
    assert values(Dataset.zip({"a": ten.skip(8), "b": make(3)})) == [{"a": 8, "b": 0}, {"a": 9, "b": 1}]
    assert values(Dataset.zip(ten.take(1), make(1))) == [(0, 0)]
    assert ten.reduce(0, lambda total, x: total + int(x)) == 45
    assert values(ten.apply(lambda d: d.take(1))) == [0]
    assert values(make(0).repeat()) == []


def test_cardinality() -> None:
    ten = numbers(10)
    known = {
        "take": (ten.take(3), 3),
        "take more": (ten.take(30), 10),
        "skip": (ten.skip(3), 7),
        "shard": (ten.shard(4, 1), 3),
        "shard 2": (ten.shard(4, 3), 2),
        "repeat": (ten.repeat(3), 30),
        "endless": (ten.repeat(), INFINITE_CARDINALITY),
        "endless, batched": (ten.repeat().batch(3), INFINITE_CARDINALITY),
        "part of endless": (ten.repeat().take(4), 4),
        "batch": (ten.batch(3), 4),
        "whole batches": (ten.batch(3, drop_remainder=True), 3),
        "rows of batches": (ten.batch(3).unbatch(), UNKNOWN_CARDINALITY),
        "rows of whole batches": (ten.batch(5, drop_remainder=True).unbatch(), 10),
        "map": (ten.map(lambda x: x).prefetch(2).cache(), 10),
        "filter": (ten.filter(lambda x: x > 3), UNKNOWN_CARDINALITY),
        "zip": (Dataset.zip((ten, ten.repeat())), 10),
        "zip unknown": (Dataset.zip((ten, streamed(3))), UNKNOWN_CARDINALITY),
        "concatenate": (ten.concatenate(ten), 20),
        "concatenate endless": (ten.concatenate(streamed(2)).concatenate(ten.repeat()), INFINITE_CARDINALITY),
    }
    for name, (dataset, count) in known.items():
        assert dataset.cardinality() == count, name
        if count >= 0:
            assert len(dataset) == len(list(dataset)) == count, name
    with pytest.raises(TypeError, match="length is unknown"):
        len(streamed(3))
    with pytest.raises(TypeError, match="length is infinite"):
        len(ten.repeat())
    assert ten.repeat(), "a dataset is true, whatever its length"


@both
@pytest.mark.parametrize("buffer", [1, 4, 10, 100])
def test_shuffle(make: Any, buffer: int) -> None:
    shuffled = make(10).shuffle(buffer, seed=1)
    first, second = values(shuffled), values(shuffled)
    assert sorted(first) == sorted(second) == list(range(10))
    # From a buffer of b, item i comes out at place i - b + 1 at the earliest.
    assert all(place >= item - buffer + 1 for place, item in enumerate(first))
    assert (first == list(range(10))) == (buffer == 1)
    assert (first == second) == (buffer == 1)
    assert values(make(10).shuffle(buffer, seed=1)) == first
    still = make(10).shuffle(buffer, seed=1, reshuffle_each_iteration=False)
    assert values(still) == values(still) == first
    # Each round of a repetition has an order of its own.
    rounds = values(make(10).shuffle(buffer, seed=1).repeat(2))
    assert (rounds[:10], rounds[10:]) == (first, second)


def test_shuffle_follows_the_global_seed_and_is_fair() -> None:
    def order() -> list[int]:
        keras.utils.set_random_seed(7)
        return values(numbers(20).shuffle(20))

    assert order() == order()
    dataset = numbers(4).shuffle(4, seed=0)
    firsts = np.bincount([values(dataset)[0] for _ in range(800)], minlength=4)
    # Binomial, n = 800, p = 1/4: mean 200, deviation 12.2; five deviations.
    assert (np.abs(firsts - 200) < 62).all()


@both
def test_batches(make: Any) -> None:
    batched = make(7).batch(3)
    assert values(batched) == [[0, 1, 2], [3, 4, 5], [6]]
    assert values(make(7).batch(3, drop_remainder=True)) == [[0, 1, 2], [3, 4, 5]]
    assert values(batched.unbatch()) == list(range(7))
    assert values(batched.rebatch(2)) == [[0, 1], [2, 3], [4, 5], [6]]
    assert values(make(4).batch(2).batch(2)) == [[[0, 1], [2, 3]]]
    assert batched.element_spec == TensorSpec((None,), "int32")
    assert make(7).batch(3, drop_remainder=True).element_spec == TensorSpec((3,), "int32")
    assert values(make(5).shuffle(5, seed=0).batch(5))[0] == values(make(5).shuffle(5, seed=0))


def test_batches_of_structures_and_what_cannot_be_stacked() -> None:
    made = Dataset.from_generator(lambda: iter([(1, {"a": [1.0, 2.0]}), (2, {"a": [3.0, 4.0]})])).batch(2)
    assert values(made) == [([1, 2], {"a": [[1.0, 2.0], [3.0, 4.0]]})]
    ragged = Dataset.from_generator(lambda: iter([[1], [1, 2]])).batch(2)
    with pytest.raises(ValueError, match=r"batch: expected elements of one shape, got \(1,\) and \(2,\)"):
        list(ragged)


@both
def test_map(make: Any) -> None:
    def both_ways(x: Any) -> dict[str, Any]:
        assert isinstance(x, keras.Tensor)
        return {"twice": keras.ops.multiply(x, 2), "number": float(x) / 2}

    assert values(make(2).map(both_ways, num_parallel_calls=AUTOTUNE)) == [
        {"twice": 0, "number": 0.0},
        {"twice": 2, "number": 0.5},
    ]
    pairs = Dataset.zip((make(2), make(2))).map(lambda x, y: (x + y, None))
    assert values(pairs) == [(0, None), (2, None)]


def test_layers_work_in_map() -> None:
    layer = keras.layers.Rescaling(1 / 255.0)
    images = np.full((4, 2, 2, 3), 51, np.uint8)
    found = next(iter(Dataset.from_tensor_slices(images).batch(2).map(lambda x: layer(x)).prefetch(AUTOTUNE)))
    np.testing.assert_allclose(found.numpy(), 0.2, rtol=1e-6)  # two roundings


def test_cache_keeps_whole_passes() -> None:
    made = 0

    def source() -> Iterator[int]:
        nonlocal made
        made += 1
        yield from range(3)

    cached = Dataset.from_generator(source).cache()
    assert values(cached.take(2)) == [0, 1]
    assert (values(cached), values(cached), values(cached)) == ([0, 1, 2],) * 3
    assert made == 2
    with pytest.raises(ValueError, match="only memory is supported"):
        cached.cache("file")


@pytest.mark.parametrize("keep", ["batch", "prefetch", "cache"])
def test_a_generator_may_use_one_buffer_again(keep: str) -> None:
    def source() -> Iterator[Any]:
        buffer = np.zeros(2, np.float32)
        for i in range(4):
            buffer[:] = i
            yield buffer

    made = Dataset.from_generator(source)
    kept = {"batch": made.batch(4).unbatch(), "prefetch": made.prefetch(3), "cache": made.cache()}[keep]
    list(kept)
    assert values(kept) == [[float(i)] * 2 for i in range(4)]


def threads() -> list[str]:
    return [t.name for t in threading.enumerate() if t.name.startswith("oxiconv-prefetch")]


def test_prefetch_is_ahead_keeps_order_and_ends_its_thread() -> None:
    made: list[int] = []

    def source() -> Iterator[int]:
        for i in range(100):
            made.append(i)
            yield i

    dataset = Dataset.from_generator(source).prefetch(3)
    stream = iter(dataset)
    assert int(next(stream)) == 0
    deadline = time.monotonic() + 5
    while len(made) < 4 and time.monotonic() < deadline:
        time.sleep(0.001)
    time.sleep(0.02)
    assert len(made) == 4  # the one in use, and three ahead
    del stream
    gc.collect()
    deadline = time.monotonic() + 5
    while threads() and time.monotonic() < deadline:
        time.sleep(0.001)
    assert threads() == []
    made.clear()
    assert values(dataset) == list(range(100))


def test_prefetch_hands_errors_on() -> None:
    def source() -> Iterator[int]:
        yield 1
        raise KeyError("lost")

    stream = iter(Dataset.from_generator(source).prefetch(2))
    assert int(next(stream)) == 1
    with pytest.raises(KeyError, match="lost"):
        next(stream)


@pytest.mark.parametrize(
    "wrong",
    [
        lambda d: d.batch(0),
        lambda d: d.batch(2.5),
        lambda d: d.shuffle(0),
        lambda d: d.shard(3, 3),
        lambda d: d.prefetch(-7),
    ],
)
def test_bad_arguments(wrong: Any) -> None:
    with pytest.raises(ValueError, match="expected"):
        wrong(numbers(3))


def test_models_fit_evaluate_and_predict_on_datasets() -> None:
    keras.utils.set_random_seed(0)
    rng = np.random.default_rng(0)
    x = rng.standard_normal((50, 4)).astype(np.float32)
    y = (x.sum(1, keepdims=True) > 0).astype(np.float32)
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1, activation="sigmoid")])
    model.compile(optimizer=keras.optimizers.SGD(0.5), loss="binary_crossentropy")
    ordered = Dataset.from_tensor_slices((x, y)).batch(16)
    weights = model.get_weights()
    history = model.fit(ordered, epochs=2, validation_data=ordered.take(2), verbose=0)
    assert len(history.history["val_loss"]) == 2
    found = model.get_weights()
    model.set_weights(weights)
    model.compile(optimizer=keras.optimizers.SGD(0.5), loss="binary_crossentropy")
    model.fit(x, y, batch_size=16, epochs=2, shuffle=False, verbose=0)
    # The same batches: the same bits.
    for ours, theirs in zip(found, model.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert model.evaluate(ordered, verbose=0) == pytest.approx(model.evaluate(x, y, batch_size=16, verbose=0))
    np.testing.assert_array_equal(model.predict(ordered, verbose=0), model.predict(x, batch_size=16, verbose=0))
    endless = ordered.shuffle(4).repeat().prefetch(AUTOTUNE)
    assert len(model.fit(endless, epochs=2, steps_per_epoch=3, verbose=0).history["loss"]) == 2
