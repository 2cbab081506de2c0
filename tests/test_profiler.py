"""Profiles: their numbers are those of the program, their times add up, and what is profiled computes the same."""

from __future__ import annotations

import itertools
import json
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import oxiconv as keras
from oxiconv import _core, ops
from oxiconv.profiler import Profile, ProgramProfile
from oxiconv.random import global_state

RNG = np.random.default_rng(5)
X = RNG.random((24, 12, 12, 3), dtype=np.float32)
Y = RNG.integers(0, 4, 24)


def convolutional() -> Any:
    keras.utils.set_random_seed(3)
    model = keras.Sequential(
        [
            keras.Input((12, 12, 3)),
            keras.layers.Conv2D(8, 3, padding="same", activation="relu"),
            keras.layers.MaxPooling2D(),
            keras.layers.Conv2D(16, 3, strides=2),
            keras.layers.BatchNormalization(),
            keras.layers.Flatten(),
            keras.layers.Dropout(0.5),
            keras.layers.Dense(4),
        ]
    )
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile("adam", loss, metrics=["accuracy"])
    return model


def weights(model: Any) -> list[Any]:
    return [w.numpy() for w in (*model.variables, *model.optimizer.variables, *model.metrics[0].variables)]


def the(profile: Profile, title: str) -> ProgramProfile:
    [program] = [p for p in profile.programs if p.title.startswith(title)]
    return program


def products(program: ProgramProfile) -> list[int]:
    return [s.flops for s in program.steps if s.operation.startswith(("conv", "matmul"))]


@pytest.mark.parametrize("padding", ["same", "valid"])
def test_operations_of_a_convolution_and_of_a_matrix_product(padding: str) -> None:
    x, kernel, bias = ops.ones((5, 9, 7, 6)), ops.ones((3, 2, 3, 10)), ops.ones((10,))
    model = keras.Sequential([keras.Input((9, 7, 6)), keras.layers.Conv2D(10, (3, 2), padding=padding, groups=2)])
    program = the(model.profile(np.ones((5, 9, 7, 6)), steps=3), "predict step")
    height, width = (9, 7) if padding == "same" else (7, 6)
    outputs = 5 * height * width * 10
    [step] = program.steps
    # A multiply-add for each tap and channel of the group, then the bias.
    assert step.flops == outputs * (2 * 3 * 2 * 3 + 1)
    assert step.bytes == 4 * (x.size + kernel.size + bias.size + outputs)
    with Profile() as profile:
        ops.matmul(ops.ones((2, 7, 5)), ops.ones((2, 5, 3)))
    assert the(profile, "op matmul").flops == 2 * 2 * 7 * 5 * 3


def test_operations_of_gradients_and_through_a_max_pool() -> None:
    """Each gradient of a product has the multiply-adds of the product; behind a max-pool only the maxima count."""
    dense = keras.layers.Dense
    plain = keras.Sequential([keras.Input((11,)), dense(7, use_bias=False), dense(5, use_bias=False)])
    plain.compile("sgd", "mse")
    program = the(plain.profile(np.ones((13, 11)), np.ones((13, 5)), steps=1), "train step")
    first, second = 2 * 13 * 11 * 7, 2 * 13 * 7 * 5
    # Forward, the second with the difference to the targets behind it; kernel gradients; the input gradient.
    assert sorted(products(program)) == sorted([first, second + 13 * 5, first, second, second])
    pooled = keras.Sequential(
        [
            keras.Input((8, 8, 16)),
            keras.layers.Conv2D(16, 3, padding="same", use_bias=False),
            keras.layers.MaxPooling2D(),
            keras.layers.Flatten(),
            keras.layers.Dense(1, use_bias=False),
        ]
    )
    pooled.compile("sgd", "mse")
    program = the(pooled.profile(np.ones((4, 8, 8, 16)), np.ones((4, 1)), steps=1), "train step")
    [sparse] = [s for s in program.steps if "through max-pool" in s.operation]
    assert sparse.flops == 2 * (4 * 4 * 4 * 16) * 9 * 16


@pytest.mark.parametrize("threads", [1, 2])
def test_times_add_up(threads: int) -> None:
    before = _core.num_threads()
    _core.set_num_threads(threads)
    try:
        profile = convolutional().profile(X, Y, batch_size=24, steps=4)
    finally:
        _core.set_num_threads(before)
    program = the(profile, "train step for batches of float32[24, 12, 12, 3]")
    assert (program.runs, program.threads, program.samples) == (4, threads, 24)
    assert sum(s.share for s in program.steps) + program.packing_seconds / program.busy_seconds == pytest.approx(1)
    assert 0 < program.busy_seconds <= program.seconds * threads
    assert program.total_seconds == pytest.approx(4 * program.seconds)
    assert all(s.least_seconds is not None and 0 < s.least_seconds <= s.seconds for s in program.steps)
    # Calls of four runs, one for each event, of the same length to the nanosecond.
    slices = [e for e in json.loads(profile.trace())["traceEvents"] if e["ph"] == "X"]
    for step in program.steps:
        own = [
            e["dur"] for e in slices if e["cat"] == "kernel" and (e["args"]["stage"], e["args"]["step"]) == step.index
        ]
        assert len(own) == 4 * step.calls
        assert sum(own) / 1e6 == pytest.approx(4 * step.seconds, rel=1e-9)
    runs = [e["dur"] for e in slices if e["cat"] == "run"]
    assert sum(runs) / 1e6 == pytest.approx(program.total_seconds, rel=1e-9)


def test_slices_of_a_thread_do_not_overlap(tmp_path: Path) -> None:
    model = convolutional()
    with Profile() as profile:
        model.fit(X, Y, batch_size=8, epochs=2, verbose=0)
        model.predict(X, verbose=0)
    text = profile.trace(tmp_path / "trace.json")
    assert (tmp_path / "trace.json").read_text(encoding="utf-8") == text
    events = json.loads(text)["traceEvents"]
    named = {(e["pid"], e["tid"]) for e in events if e["name"] == "thread_name"}
    for track in named:
        slices = sorted(
            (e["ts"], e["ts"] + e["dur"]) for e in events if e["ph"] == "X" and (e["pid"], e["tid"]) == track
        )
        # Times are whole nanoseconds, in microseconds: closer than half of one is the rounding of a float.
        assert all(second[0] - first[1] > -5e-4 for first, second in itertools.pairwise(slices))
    assert {(e["pid"], e["tid"]) for e in events if e["ph"] == "X"} <= named
    titles = {e["name"] for e in events if e.get("cat") == "run"}
    assert {"train step", "predict step"} <= {" ".join(title.split()[:2]) for title in titles}


def test_a_profiled_model_computes_the_same_bits() -> None:
    plain, profiled = convolutional(), convolutional()
    keras.utils.set_random_seed(7)
    expected = plain.fit(X, Y, batch_size=10, epochs=2, verbose=0)
    keras.utils.set_random_seed(7)
    with Profile():
        found = profiled.fit(X, Y, batch_size=10, epochs=2, verbose=0)
    assert found.history == expected.history
    assert all(np.array_equal(a, b) for a, b in zip(weights(plain), weights(profiled), strict=True))


@pytest.mark.parametrize("mode", ["train", "test", "predict"])
def test_profiling_leaves_the_model_as_it_was(mode: str) -> None:
    model, other = convolutional(), convolutional()
    for m in (model, other):
        keras.utils.set_random_seed(9)
        m.fit(X, Y, batch_size=10, verbose=0)
    before, numbers = weights(model), global_state()
    profile = model.profile(X, Y, batch_size=10, steps=2, mode=mode)
    assert the(profile, f"{mode} step").runs == 2
    assert all(np.array_equal(a, b) for a, b in zip(before, weights(model), strict=True))
    # Random numbers, too, go on where they were: those of new layers, and those of the model's dropout.
    assert global_state() == numbers
    again = [m.fit(X, Y, batch_size=10, verbose=0, shuffle=False).history for m in (model, other)]
    assert again[0] == again[1]


def test_the_table_and_the_json(tmp_path: Path) -> None:
    profile = convolutional().profile(X, Y, batch_size=8, steps=2)
    lines = profile.table().splitlines()
    assert lines[0].startswith("train step for batches of float32[8, 12, 12, 3], int")
    times = [float(line.split()[0]) for line in lines[2:] if "packing of" not in line]
    assert times == sorted(times, reverse=True)
    assert len(times) == len(profile.programs[0].steps)
    least = [float(line.split()[1]) for line in profile.table("least").splitlines()[2:] if "packing of" not in line]
    assert least == sorted(least, reverse=True)
    in_order = [line.split() for line in profile.table("program").splitlines()[2:]]
    places = ["{}.{}".format(*s.index) for s in profile.programs[0].steps]
    assert all(place in line for place, line in zip(places, in_order, strict=False))
    assert "more steps" in profile.table(limit=3)
    assert str(profile) == profile.table()
    read = json.loads(profile.to_json(tmp_path / "profile.json"))
    assert json.loads((tmp_path / "profile.json").read_text(encoding="utf-8")) == read
    assert read == json.loads(json.dumps(profile.to_dict()))
    step = read["programs"][0]["steps"][-1]
    assert step["flops_per_second"] == pytest.approx(step["flops"] / step["least_seconds"])
    assert step["peak_share"] == pytest.approx(step["flops_per_second"] / step["peak"])


def test_events_beyond_the_room_are_counted_and_still_summed_up() -> None:
    a = ops.ones((8, 8))
    with Profile(events=10) as profile:
        for _ in range(20):
            ops.matmul(a, a)
    program = the(profile, "op matmul")
    assert program.runs == 20
    calls = program.steps[0].calls
    assert program.steps[0].least_seconds is None
    kept = [e for e in json.loads(profile.trace())["traceEvents"] if e["ph"] == "X"]
    assert len(kept) == 10
    # The runs, their calls, and the packing of a kernel in each.
    assert profile.dropped == 20 * (1 + calls + 1) - 10


def test_an_error_within_the_block_ends_the_profile() -> None:
    profile = Profile()
    with pytest.raises(keras.ShapeError), profile:
        ops.matmul(ops.ones((2, 3)), ops.ones((2, 3)))
    assert [p.title for p in profile.programs if "matmul" in p.title] == []
    with Profile() as empty:
        pass
    assert empty.table() == "Nothing was run."


def test_programs_of_several_threads() -> None:
    model = convolutional()
    model.predict(X, verbose=0)
    with Profile() as profile:
        threads = [threading.Thread(target=lambda: model.predict(X, verbose=0)) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert the(profile, "predict step").runs == 3


def test_wrong_arguments() -> None:
    model = convolutional()
    for steps in (0, -1, 1.5, True, "3"):
        with pytest.raises(ValueError, match="profile: steps must be a positive integer, got"):
            model.profile(X, Y, steps=steps)
    with pytest.raises(ValueError, match="batch_size: expected a positive integer, got 0"):
        model.profile(X, Y, batch_size=0)
    with pytest.raises(ValueError, match="profile: mode must be 'train', 'test' or 'predict', got 'fit'"):
        model.profile(X, Y, mode="fit")
    with pytest.raises(ValueError, match="profile: expected x, got None"):
        model.profile(None)
    with pytest.raises(ValueError, match="profile: the model has not been compiled"):
        keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)]).profile(np.ones((2, 2)), np.ones((2, 1)))
    for events in (-1, 2.5, None, True):
        with pytest.raises(ValueError, match="Profile: events must be a number of at least 0, got"):
            Profile(events=events)  # type: ignore[arg-type]
    with Profile() as profile:
        with pytest.raises(ValueError, match="the profiler is already running"), Profile():
            pass
        with pytest.raises(RuntimeError, match="no results before the end"):
            profile.table()
    with pytest.raises(RuntimeError, match="a profile is of one block"), profile:
        pass
    with pytest.raises(ValueError, match="table: sort must be"):
        profile.table(sort="name")
    with pytest.raises(ValueError, match="table: limit must be"):
        profile.table(limit=0)
    with pytest.raises(ValueError, match="the profiler is not running"):
        _core.profile_stop()
