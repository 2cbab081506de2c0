"""Variables, traces, tapes, and random numbers."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from oxiconv import (
    DTypeError,
    GradientTape,
    GraphError,
    IndexValueError,
    ShapeError,
    Tensor,
    Variable,
    layers,
    ops,
    random,
    tree,
)
from oxiconv.trace import Trace


def test_variable() -> None:
    v = Variable([[1.0, 2.0]], name="w")
    assert (v.shape, v.dtype, v.name, v.path, v.trainable, v.ndim, v.size) == ((1, 2), "float32", "w", "w", True, 2, 2)
    v.assign([[3, 4]])
    np.testing.assert_array_equal(v.assign_add(1.0).numpy(), [[4, 5]])
    v.assign_sub([[1, 0]])
    np.testing.assert_array_equal(np.asarray(v), [[3, 5]])
    np.testing.assert_array_equal((2 * v + np.ones(2) - v[:, ::-1] / 2).numpy(), [[4.5, 9.5]])
    assert (v == v).numpy().all()
    assert [float(x) for x in v[0]] == [3, 5]
    held = v.value
    v.assign([[0, 0]])
    np.testing.assert_array_equal(held.numpy(), [[3, 5]])
    made = Variable(lambda shape, dtype: np.full(shape, 7), shape=(2,), dtype="int32")
    assert (made.dtype, made.numpy().tolist()) == ("int32", [7, 7])
    assert {v: 1}[v] == 1
    with pytest.raises(ShapeError, match=r"Variable 'w': assign: expected shape \(1, 2\), got \(3,\)"):
        v.assign([1, 2, 3])
    with pytest.raises(ValueError, match="expected a shape beside an initializer"):
        Variable("zeros")
    with pytest.raises(ShapeError, match=r"expected known sizes"):
        Variable("zeros", shape=(None, 2))  # type: ignore[arg-type]


def test_trace_reads_what_was_assigned() -> None:
    v, w = Variable(2.0), Variable(10.0)
    with Trace() as trace:
        x = trace.graph.input((), "float32", batched=False)
        before = v.value * 1.0
        v.assign(v + x)
        w.assign_sub(v)
        step = trace.compile([before, v.value])
    assert (float(v), float(w)) == (2, 10)
    got = step.run([np.array(3, np.float32)])
    assert [float(t) for t in got] == [2, 5]
    assert (float(v), float(w)) == (5, 5)


def test_values_in_a_trace_have_no_data() -> None:
    with Trace() as trace:
        x = trace.graph.input((2,), "float32")
        for look in (lambda: bool(x[0] > 0), lambda: float(x[0]), lambda: int(x[0]), lambda: x.numpy()):
            with pytest.raises(GraphError, match=r"trac|graph"):
                look()
        with pytest.raises(GraphError, match="expected a value with data"):
            Variable(x)
        assert "traced" in repr(x)


def test_gradient_of_variables_intermediates_and_inputs() -> None:
    v, w, frozen = Variable(3.0), Variable(5.0), Variable(1.0, trainable=False)
    x = ops.convert_to_tensor(2.0)
    with GradientTape() as tape:
        tape.watch(x)
        y = v * v * x
        z = y + w * 0.0 + frozen
    got = tape.gradient(z, {"v": v, "list": [y, x], "unused": frozen})
    assert float(got["v"]) == 12
    assert [float(g) for g in got["list"]] == [1, 9]
    assert got["unused"] is None
    with pytest.raises(RuntimeError, match="only once"):
        tape.gradient(z, v)


def test_gradient_arguments() -> None:
    v, other = Variable([1.0, 2.0]), Variable([1.0, 1.0])
    with GradientTape(persistent=True) as tape:
        y = v * v
        z = ops.stop_gradient(y) * v
    np.testing.assert_array_equal(tape.gradient(y, v).numpy(), [2, 4])
    np.testing.assert_array_equal(tape.gradient(y, v, output_gradients=[1.0, 10.0]).numpy(), [2, 40])
    np.testing.assert_array_equal(tape.gradient(z, v).numpy(), [1, 4])
    np.testing.assert_array_equal(tape.gradient([y, z], v).numpy(), [3, 8])
    assert tape.gradient(y, other) is None
    np.testing.assert_array_equal(tape.gradient(y, other, unconnected_gradients="zero").numpy(), [0, 0])
    with pytest.raises(ValueError, match="expected 'none' or 'zero'"):
        tape.gradient(y, v, unconnected_gradients="no")
    with pytest.raises(ValueError, match="expected 1 output_gradients, got 2"):
        tape.gradient([y], v, output_gradients=[y, y])
    with pytest.raises(TypeError, match="expected a tensor as target"):
        tape.gradient(3.0, v)


def test_tape_after_an_assignment() -> None:
    """Both values count as the variable."""
    v = Variable(3.0)
    with GradientTape() as tape:
        y = v * 2.0
        v.assign(5.0)
        y = y + v * v
    assert float(tape.gradient(y, v)) == 2 + 10


def test_tape_pauses_and_resets() -> None:
    v = Variable(3.0)
    with GradientTape(persistent=True) as tape:
        y = v * 2.0
        with tape.stop_recording():
            z = y * 5.0
        assert tape.gradient(z, v) is None
        assert float(tape.gradient(y, v)) == 2
        tape.reset()
        y = v * 7.0
    assert float(tape.gradient(y, v)) == 7


def test_second_derivative() -> None:
    v = Variable(2.0)
    with GradientTape() as outer:
        with GradientTape() as inner:
            y = v * v * v
        first = inner.gradient(y, v)
    assert float(first) == 12
    assert float(outer.gradient(first, v)) == 12


def test_only_watched() -> None:
    v = Variable(2.0)
    with GradientTape(watch_accessed_variables=False) as tape:
        y = v * 3.0
    assert tape.gradient(y, v) is None
    with GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(v)
        y = ops.convert_to_tensor(v) * 3.0
    with pytest.raises(TypeError, match=r"watch: expected a tensor or variable, got int"):
        tape.watch(3)


def test_tape_in_a_trace() -> None:
    layer = layers.Dense(2, activation="tanh")
    layer.build((None, 3))
    x = np.random.default_rng(0).standard_normal((4, 3)).astype(np.float32)
    with Trace() as trace:
        inputs = trace.graph.input(x.shape, "float32")
        with GradientTape() as tape:
            loss = ops.sum(layer(inputs) ** 2)
        step = trace.compile(tape.gradient(loss, layer.trainable_weights))
    with GradientTape() as tape:
        loss = ops.sum(layer(x) ** 2)
    for got, wanted in zip(step.run([x]), tape.gradient(loss, layer.trainable_weights), strict=True):
        # The same operations; sums of 4 products may be taken in another order.
        np.testing.assert_allclose(got.numpy(), wanted.numpy(), atol=4 * 16 * 2.0**-24)


def test_building_under_a_tape() -> None:
    """Shape inference, which traces, does not disturb recording."""
    layer = layers.Dense(1, kernel_initializer="ones")
    with GradientTape() as tape:
        y = layer(np.ones((1, 3)))
        assert layer.compute_output_shape((None, 3)) == (None, 1)
    kernel, bias = tape.gradient(y, layer.trainable_weights)
    np.testing.assert_array_equal(kernel.numpy(), np.ones((3, 1)))
    np.testing.assert_array_equal(bias.numpy(), [1])


def test_conversion() -> None:
    for given, dtype in [(1, "int32"), (1.5, "float32"), (True, "bool"), ([1, 2.5], "float32"), ([], "float32")]:
        assert ops.convert_to_tensor(given).dtype == dtype
    for name, dtype in [
        ("int64", "int64"),
        ("float64", "float32"),
        ("int8", "int8"),
        ("int16", "int32"),
        ("float16", "float16"),
    ]:
        assert ops.convert_to_tensor(np.ones(2, name)).dtype == dtype
    parts = [ops.convert_to_tensor(1), 2.5, Variable(3.0)]
    np.testing.assert_array_equal(ops.convert_to_tensor(parts).numpy(), [1, 2.5, 3])
    np.testing.assert_array_equal(ops.convert_to_tensor([300.7, -1.0, math.nan], "uint8").numpy(), [255, 0, 0])
    with pytest.raises(IndexValueError, match=r"within \[-2147483648, 2147483647\] for int32, got int64"):
        ops.convert_to_tensor(2**31, "int32")
    assert ops.convert_to_tensor(2**31).dtype == "int64"
    assert ops.convert_to_tensor([1, 2.5], "bfloat16").dtype == "bfloat16"
    with pytest.raises(DTypeError, match="numbers or truth values"):
        ops.convert_to_tensor(["a"])
    with pytest.raises(ShapeError, match="rectangular"):
        ops.convert_to_tensor([[1], [1, 2]])
    with pytest.raises(DTypeError, match="got None"):
        ops.convert_to_tensor(None)


def test_operators_of_tensors() -> None:
    x = ops.convert_to_tensor(np.arange(12, dtype=np.float32).reshape(3, 4))
    a = x.numpy()
    pairs: list[tuple[Any, Any]] = [
        (np.ones(4) - x, 1 - a),
        (np.float32(2) * x, 2 * a),
        (x // 2.0, a // 2),
        (x % 5, a % 5),
        (2.0**x, 2**a),
        (x**3, a**3),
        (x @ ops.transpose(x), a @ a.T),
        (-x, -a),
        (abs(-x), a),
        ((x > 3) & (x <= 7), (a > 3) & (a <= 7)),
        (~(x > 3), a <= 3),
        (x[1], a[1]),
        (x[-1, 1:3], a[-1, 1:3]),
        (x[::2, ::-1], a[::2, ::-1]),
        (x[..., 0], a[..., 0]),
        (x[:, None, 3:0:-2], a[:, None, 3:0:-2]),
        (x[[2, 0, -1]], a[[2, 0, -1]]),
        (x[:, np.array([[1, 2], [0, 3]])], a[:, np.array([[1, 2], [0, 3]])]),
        (x[5:2], a[5:2]),
    ]
    for got, wanted in pairs:
        assert isinstance(got, Tensor)
        np.testing.assert_array_equal(got.numpy(), wanted)
    assert (len(x), float(x[0, 1]), int(x[0, 2]), bool(x[0, 0]), f"{x[0, 1]:.2f}") == (3, 1.0, 2, False, "1.00")
    assert [row.shape for row in x] == [(4,)] * 3
    assert list(range(5))[ops.convert_to_tensor(3)] == 3
    for key, message in [
        ((0, 0, 0), "at most 2 indices"),
        (3, r"index within \[-3, 3\) for axis 0, got 3"),
        ("a", "integer, slice"),
        (np.array([3]), r"indices within \[-3, 3\)"),
        (x[:2] > 3, "mask of size 3"),
        ((..., ...), "one '...'"),
    ]:
        with pytest.raises(IndexValueError, match=message):
            x[key]
    with pytest.raises(DTypeError, match="bitwise"):
        x & x
    with pytest.raises(ValueError, match="expected one element"):
        bool(x)
    with pytest.raises(TypeError, match="integer tensor"):
        range(5)[x[0, 0]]


N = 1 << 16


def test_random_distributions() -> None:
    uniform = random.uniform((N,), -1.0, 3.0, seed=1).numpy().astype(np.float64)
    assert uniform.min() >= -1
    assert uniform.max() <= 3
    # Deviations of the mean and of the variance of n samples; six of them.
    assert abs(uniform.mean() - 1) < 6 * math.sqrt(16 / 12 / N)
    assert abs(uniform.var() / (16 / 12) - 1) < 6 * math.sqrt(0.8 / N)
    normal = random.normal((N,), 2.0, 3.0, seed=1).numpy().astype(np.float64)
    assert abs(normal.mean() - 2) < 6 * 3 / math.sqrt(N)
    assert abs(normal.var() / 9 - 1) < 6 * math.sqrt(2 / N)
    cut = random.truncated_normal((N,), 1.0, 0.5, seed=1).numpy().astype(np.float64)
    assert np.abs(cut - 1).max() <= 1
    variance = 1 - 4 * math.exp(-2) / math.sqrt(2 * math.pi) / math.erf(math.sqrt(2))
    assert abs(cut.var() / (0.25 * variance) - 1) < 6 * math.sqrt(2 / N)
    whole = random.randint((N,), -2, 3, seed=1).numpy()
    counts = np.bincount(whole + 2, minlength=5)
    assert np.abs(counts - N / 5).max() < 6 * math.sqrt(N * 0.2 * 0.8)


def test_random_draws() -> None:
    x = np.arange(50)
    shuffled = random.shuffle(x, seed=1).numpy()
    assert (np.sort(shuffled) == x).all()
    assert (shuffled != x).any()
    logits = np.log(np.array([[0.5, 0.25, 0.25], [1e-30, 1.0, 1e-30]]))
    drawn = random.categorical(logits, N, seed=1).numpy()
    assert drawn.shape == (2, N)
    assert abs((drawn[0] == 0).mean() - 0.5) < 6 * 0.5 / math.sqrt(N)
    assert (drawn[1] == 1).all()


def test_seeds() -> None:
    def draw(seed: Any) -> list[float]:
        return [round(float(v), 6) for v in random.uniform((3,), seed=seed)]

    assert draw(5) == draw(5) != draw(6)
    generator = random.SeedGenerator(5)
    first, second = draw(generator), draw(generator)
    assert first == draw(5)
    assert second != first
    assert draw(random.SeedGenerator.from_config(generator.get_config())) == first
    random.set_global_seed(1)
    a = draw(None), draw(None)
    random.set_global_seed(1)
    assert (draw(None), draw(None)) == a
    assert a[0] != a[1]
    for bad in (1.5, "a", True):
        with pytest.raises(ValueError, match="seed"):
            draw(bad)
    with pytest.raises(ValueError, match=r"randint: expected a range"):
        random.randint((2,), 3, 3)
    with pytest.raises(ValueError, match="rate from 0 to 1"):
        random.dropout(np.ones(3), 2.0)


def test_inverse_error_function() -> None:
    x = np.linspace(-0.999, 0.999, 501, dtype=np.float32)
    back = np.vectorize(math.erf)(ops.erfinv(x).numpy().astype(np.float64))
    # The error of erfinv, 4 ULP of its result, reaches back at the slope of erf.
    y = ops.erfinv(x).numpy().astype(np.float64)
    slope = 2 / math.sqrt(math.pi) * np.exp(-(y**2))
    assert (np.abs(back - x) <= 4 * 2.0**-23 * np.abs(y) * slope + 2.0**-25).all()
    np.testing.assert_array_equal(ops.erfinv([-1.0, 1.0, 2.0]).numpy(), [-np.inf, np.inf, np.nan])


def test_tree() -> None:
    structure = {"b": [1, (2,)], "a": 3}
    assert tree.flatten(structure) == [3, 1, 2]
    assert tree.pack_sequence_as(structure, [30, 10, 20]) == {"b": [10, (20,)], "a": 30}
    for flat in ([1], [1, 2, 3, 4]):
        with pytest.raises(ValueError, match="leaves"):
            tree.pack_sequence_as(structure, flat)
    with pytest.raises(ValueError, match="sequence of 2"):
        tree.map_structure(lambda a, b: a, [1, 2], [1])
