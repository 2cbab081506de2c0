"""The compiled core by itself: tensors and their memory, cells, errors, tapes, graphs, steps, threads, signals, files."""

import gc
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from oxiconv import _core

F32 = NDArray[np.float32]
RNG = np.random.default_rng(7)


def f32(*dims: int) -> F32:
    return RNG.standard_normal(dims).astype(np.float32)


def tensor(values: Any, dtype: Any = np.float32) -> _core.Tensor:
    return _core.tensor(np.array(values, dtype))


# Tensors


@pytest.mark.parametrize("dtype", ["float32", "int32", "uint8", "bool"])
@pytest.mark.parametrize("dims", [(), (0,), (3,), (2, 0, 4), (2, 3, 4)])
def test_values_come_back(dtype: str, dims: tuple[int, ...]) -> None:
    array = RNG.integers(0, 2, dims).astype(dtype)
    t = _core.tensor(array)
    assert (t.shape, t.dtype, t.ndim, t.size, t.traced) == (dims, dtype, len(dims), array.size, False)
    np.testing.assert_array_equal(t.numpy(), array)
    assert t.numpy().dtype == array.dtype


@pytest.mark.parametrize("array", [np.arange(12, dtype="f4").reshape(3, 4).T, np.arange(9, dtype="i4")[::2]])
def test_arrays_of_any_layout_are_read(array: NDArray[Any]) -> None:
    np.testing.assert_array_equal(_core.tensor(array).numpy(), array)
    np.testing.assert_array_equal(_core.tensor(array, copy=False).numpy(), array)


def test_misaligned_arrays_are_read() -> None:
    array = np.frombuffer(b"\0" + np.arange(5, dtype="f4").tobytes(), "f4", offset=1)
    assert not array.flags.aligned
    np.testing.assert_array_equal(_core.tensor(array, copy=False).numpy(), np.arange(5, dtype="f4"))


def test_a_tensor_is_a_copy_unless_asked_to_share() -> None:
    array = f32(5)
    before = array.copy()
    copied, shared = _core.tensor(array), _core.tensor(array, copy=False)
    array += 1
    np.testing.assert_array_equal(copied.numpy(), before)
    np.testing.assert_array_equal(shared.numpy(), array)
    assert np.shares_memory(shared.numpy(), array)


def test_shared_memory_outlives_its_array() -> None:
    array = np.full(1 << 16, 3, np.float32)
    gone = weakref.ref(array)
    shared = _core.tensor(array, copy=False)
    view = shared.numpy()
    del array, shared
    gc.collect()
    assert gone() is not None
    assert view.sum() == 3 * view.size
    del view
    gc.collect()
    assert gone() is None


def test_views_are_read_only_free_of_copies_and_keep_the_memory() -> None:
    t = tensor(f32(1 << 16))
    view = t.numpy()
    expected = view.copy()
    assert np.shares_memory(view, t.numpy())
    assert not view.flags.writeable
    with pytest.raises(ValueError, match="cannot set WRITEABLE"):
        view.flags.writeable = True
    del t
    for _ in range(8):  # would take the memory over, were it free
        _core.unary("neg", tensor(f32(1 << 16)))
    np.testing.assert_array_equal(view, expected)


def test_array_protocol() -> None:
    t = tensor([1.5, -2])
    assert np.shares_memory(np.asarray(t), t.numpy())
    assert not np.shares_memory(np.array(t), t.numpy())
    assert np.array(t).flags.writeable
    assert np.asarray(t, "f8").dtype == np.float64
    np.testing.assert_array_equal(np.asarray(t, "i4"), [1, -2])
    with pytest.raises(ValueError, match="copy is needed"):
        t.__array__("f8", copy=False)


def test_dlpack() -> None:
    t = tensor(f32(3, 4))
    assert t.__dlpack_device__() == (1, 0)
    array = np.from_dlpack(t)
    np.testing.assert_array_equal(array, t.numpy())
    if np.shares_memory(array, t.numpy()):
        assert not array.flags.writeable
    # A consumer that cannot know of read-only memory gets a copy, or is refused when it forbids one.
    assert "dltensor" in repr(t.__dlpack__())
    if np.lib.NumpyVersion(np.__version__) >= "2.1.0":
        assert np.shares_memory(array, t.numpy())
        with pytest.raises(BufferError):
            t.__dlpack__(copy=False)


def test_attributes_can_be_added_to_the_class() -> None:
    name = "__matmul__"
    assert not hasattr(_core.Tensor, name) or callable(getattr(_core.Tensor, name))
    former = getattr(_core.Tensor, name, None)
    try:
        setattr(_core.Tensor, name, lambda a, b: (a, b))
        a, b = tensor(1), tensor(2)
        operate: Callable[[Any, Any], Any] = lambda x, y: x @ y  # noqa: E731
        assert operate(a, b) == (a, b)
    finally:
        if former is None:
            delattr(_core.Tensor, name)
        else:
            setattr(_core.Tensor, name, former)


# Elementwise: broadcasting and element types


@pytest.mark.parametrize(
    ("a", "b"),
    [((2, 3), (2, 3)), ((2, 3), (3,)), ((2, 1), (1, 3)), ((), (2, 3)), ((4, 1, 3), (2, 1)), ((0, 3), (1, 3)), ((1,), (0,))],
)
def test_broadcasting(a: tuple[int, ...], b: tuple[int, ...]) -> None:
    x, y = f32(*a), f32(*b)
    # One rounding on both sides: equal.
    np.testing.assert_array_equal(_core.binary("sub", tensor(x), tensor(y)).numpy(), x - y)
    chosen = _core.select(tensor(x > 0, bool), tensor(x), tensor(y)).numpy()
    np.testing.assert_array_equal(chosen, np.where(x > 0, x, y))


@pytest.mark.parametrize(
    ("name", "a", "b", "dtype"),
    [
        ("add", "bool", "uint8", "uint8"),
        ("add", "uint8", "int32", "int32"),
        ("add", "int32", "float32", "float32"),
        ("add", "bool", "bool", "bool"),
        ("sub", "bool", "bool", "int32"),
        ("div", "int32", "int32", "float32"),
        ("atan2", "uint8", "uint8", "float32"),
        ("lt", "int32", "uint8", "bool"),
        ("and", "float32", "bool", "bool"),
        ("max", "uint8", "uint8", "uint8"),
        ("add", "int32", 2, "int32"),
        ("add", "int32", 2.0, "float32"),
        ("add", "uint8", True, "uint8"),
        ("add", "bool", 2, "int32"),
        ("add", "float32", 2, "float32"),
        ("mul", 2, "uint8", "uint8"),
        ("gt", "int32", 0.5, "bool"),
        ("pow", "int32", 0.5, "float32"),
    ],
)
def test_promotion(name: str, a: Any, b: Any, dtype: str) -> None:
    operands = [_core.tensor(np.array([1, 0, 1], o)) if isinstance(o, str) else o for o in (a, b)]
    assert _core.binary(name, *operands).dtype == dtype


def test_integers_are_exact_and_floats_compare_as_floats() -> None:
    big = np.array([2**24 + 1, -7, 7, 2**31 - 1], np.int32)
    t = _core.tensor(big)
    np.testing.assert_array_equal(_core.binary("add", t, -1).numpy(), big - 1)
    np.testing.assert_array_equal(_core.binary("floordiv", t, 2).numpy(), big // 2)
    np.testing.assert_array_equal(_core.binary("mod", t, -3).numpy(), big % -3)
    np.testing.assert_array_equal(_core.binary("lt", t, 6.5).numpy(), big < 6.5)
    np.testing.assert_array_equal(_core.select(tensor([1, 0, 1, 0]), t, 5).numpy(), [big[0], 5, big[2], 5])
    np.testing.assert_array_equal(_core.binary("div", t, 2).numpy(), (big / 2).astype("f4"))


def test_floor_division_and_remainder_are_pythons() -> None:
    # Multiples of 1/8, so that quotient and remainder are exact in float32; and 1 // 0.1, where floor(1 / 0.1) is wrong.
    x = np.append(RNG.integers(-80, 80, 50) / 8, 1).astype(np.float32)
    y = np.append(RNG.integers(1, 40, 50) / 8 * RNG.choice([-1, 1], 50), 0.1).astype(np.float32)
    np.testing.assert_array_equal(_core.binary("floordiv", tensor(x), tensor(y)).numpy(), x // y)
    np.testing.assert_allclose(_core.binary("mod", tensor(x), tensor(y)).numpy(), x % y, rtol=0, atol=1e-8)


def test_sums_of_truth_values_count() -> None:
    t = tensor(np.ones((300, 3)), np.bool_)
    np.testing.assert_array_equal(_core.sum(t, [0]).numpy(), [300, 300, 300])
    assert _core.sum(t, [1, 0]).numpy() == 900


def test_numpy_scalars_are_numbers() -> None:
    assert _core.binary("add", tensor([1]), np.float32(2)).numpy() == 3
    assert _core.binary("add", tensor([1], np.int32), np.int64(2)).dtype == "int32"
    assert _core.binary("and", tensor([1]), np.bool_(True)).numpy()


def test_reshaping_shares_the_memory() -> None:
    t = tensor(f32(6))
    assert np.shares_memory(_core.reshape(t, [2, 3]).numpy(), t.numpy())
    assert np.shares_memory(_core.detach(t).numpy(), t.numpy())


# Errors


@pytest.mark.parametrize(
    ("call", "error", "builtin", "words"),
    [
        (lambda: _core.binary("add", tensor([1, 2]), tensor([1, 2, 3])), "ShapeError", ValueError, "add.*[2].*[3]"),
        (lambda: _core.matmul(tensor(f32(2, 3)), tensor(f32(2, 3))), "ShapeError", ValueError, "matmul"),
        (lambda: _core.reshape(tensor([1, 2]), [3]), "ShapeError", ValueError, "reshape"),
        (lambda: _core.reshape(tensor([1, 2]), [-1]), "ShapeError", ValueError, r"\[-1\]"),
        (lambda: _core.broadcast_to(tensor([1, 2]), [3]), "ShapeError", ValueError, "broadcast_to"),
        (lambda: _core.broadcast_to(tensor([1]), [2**40, 2**40]), "ShapeError", ValueError, "addressed"),
        (lambda: _core.window_sum(tensor([1]), [2], [2], [0], [0]), "ShapeError", ValueError, "window_sum.*spatial"),
        (lambda: _core.sum(tensor([1]), [1]), "ShapeError", ValueError, "sum.*axes"),
        (lambda: _core.tensor(np.zeros(2)), "DTypeError", TypeError, "tensor.*float32.*float64"),
        (lambda: _core.tensor(np.zeros(2, ">f4")), "DTypeError", TypeError, "tensor.*>f4"),
        (lambda: _core.tensor([1.0]), "DTypeError", TypeError, "NumPy array.*list"),  # type: ignore[arg-type]
        (lambda: _core.binary("add", tensor([1]), "x"), "DTypeError", TypeError, "add.*str"),  # type: ignore[arg-type]
        (lambda: _core.cast(tensor([1]), "float64"), "DTypeError", TypeError, "cast.*float64"),  # type: ignore[arg-type]
        (lambda: _core.gather(tensor([1]), tensor([0]), 0), "DTypeError", TypeError, "gather.*int32"),
        (lambda: _core.unary("relu6", tensor([1])), "IndexValueError", ValueError, "relu6"),
        (lambda: _core.binary("add", 1, 2), "IndexValueError", ValueError, "add.*tensor"),
        (lambda: _core.binary("add", tensor([1], np.uint8), 300), "IndexValueError", ValueError, "add.*255.*300"),
        (lambda: _core.gather(tensor([1]), tensor([1], np.int32), 0), "IndexValueError", ValueError, "gather"),
        (lambda: _core.Cell(tensor([1])).set(tensor([1, 2])), "ShapeError", ValueError, "cell"),
        (lambda: _core.Graph().input([2], "float32").numpy(), "GraphError", RuntimeError, "numpy.*traced"),
        (lambda: _core.Tape().stop(), "GraphError", RuntimeError, "tape"),
        (lambda: _core.set_num_threads(0), "IndexValueError", ValueError, "set_num_threads"),
        (lambda: _core.Graph().input([], "float32"), "ShapeError", ValueError, "input.*batch"),
    ],
)
def test_errors(call: Callable[[], object], error: str, builtin: type[Exception], words: str) -> None:
    with pytest.raises(builtin, match=words) as raised:
        call()
    assert type(raised.value) is getattr(_core, error)
    assert isinstance(raised.value, _core.OxiconvError)


def test_values_of_two_graphs_do_not_mix() -> None:
    a, b = (_core.Graph().input([2], "float32") for _ in range(2))
    with pytest.raises(_core.GraphError, match="two graphs"):
        _core.binary("add", a, b)
    graph = _core.Graph()
    x = graph.input([2], "float32")
    with pytest.raises(_core.GraphError, match="another graph"):
        graph.grad(x, [a])
    with pytest.raises(_core.GraphError, match="not a value of this graph"):
        graph.grad(x, [tensor([1])])
    with pytest.raises(_core.GraphError, match="another graph"):
        graph.compile([a], [])


def test_memory_that_cannot_be_had() -> None:
    with pytest.raises(MemoryError, match="bytes"):
        _core.broadcast_to(tensor([1]), [2**58])


# Cells


def test_a_tensor_taken_from_a_cell_never_changes() -> None:
    cell = _core.Cell(tensor([1, 2]))
    first = cell.get()
    view = first.numpy()
    graph = _core.Graph()
    step = graph.compile([], [(cell, _core.binary("add", graph.state(cell), 1))])
    step.run([])
    np.testing.assert_array_equal(view, [1, 2])
    np.testing.assert_array_equal(cell.get().numpy(), [2, 3])
    del first, view
    step.run([])
    np.testing.assert_array_equal(cell.get().numpy(), [3, 4])


def test_an_unshared_cell_is_updated_in_place() -> None:
    cell = _core.Cell(tensor(f32(1 << 16)))
    graph = _core.Graph()
    step = graph.compile([], [(cell, _core.binary("mul", graph.state(cell), 2))])
    address = cell.get().numpy().__array_interface__["data"][0]
    gc.collect()
    step.run([])
    assert cell.get().numpy().__array_interface__["data"][0] == address


def test_a_cell_of_foreign_memory_leaves_the_array_alone() -> None:
    array = f32(3)
    before = array.copy()
    cell = _core.Cell(_core.tensor(array, copy=False))
    graph = _core.Graph()
    graph.compile([], [(cell, _core.binary("add", graph.state(cell), 1))]).run([])
    np.testing.assert_array_equal(array, before)
    np.testing.assert_array_equal(cell.get().numpy(), before + 1)


def test_all_updates_come_after_all_reads() -> None:
    a, b, c = (_core.Cell(tensor([v])) for v in (1, 2, 3))
    graph = _core.Graph()
    x, y = graph.state(a), graph.state(b)
    step = graph.compile([x, _core.binary("add", x, y)], [(a, y), (b, x), (c, _core.binary("add", x, y))])
    outputs = step.run([])
    assert [float(o.numpy()[0]) for o in outputs] == [1, 3]
    assert [float(cell.get().numpy()[0]) for cell in (a, b, c)] == [2, 1, 3]
    assert [float(o.numpy()[0]) for o in step.run([])] == [2, 3]
    assert [float(o.numpy()[0]) for o in outputs] == [1, 3]


def test_one_value_for_two_cells_and_an_output() -> None:
    a, b = _core.Cell(tensor([1])), _core.Cell(tensor([5]))
    graph = _core.Graph()
    new = _core.binary("mul", _core.binary("add", graph.state(a), graph.state(b)), 2)
    step = graph.compile([new], [(a, new), (b, new)])
    for expected in (12, 48, 192):
        (out,) = step.run([])
        assert [float(v.numpy()[0]) for v in (out, a.get(), b.get())] == [expected] * 3


def test_a_cell_can_be_updated_once() -> None:
    cell = _core.Cell(tensor([1]))
    graph = _core.Graph()
    x = graph.state(cell)
    with pytest.raises(_core.GraphError, match="two updates"):
        graph.compile([], [(cell, x), (cell, x)])
    with pytest.raises(_core.ShapeError, match="cell"):
        graph.compile([], [(cell, _core.broadcast_to(x, [2]))])


# Tapes


def close(a: _core.Tensor | None, b: Any) -> None:
    assert a is not None
    # Values near 1 out of a handful of float32 operations: 8 roundings of 2^-24.
    np.testing.assert_allclose(a.numpy(), b, rtol=8 * 2.0**-24)


def test_gradients_to_the_third_order() -> None:
    x = tensor(1.5)
    tapes = [_core.Tape() for _ in range(3)]
    for tape in tapes:
        tape.start()
        tape.watch(x)
    y = _core.binary("mul", _core.unary("sin", x), x)
    gradients = []
    for tape in reversed(tapes):
        tape.stop()
        (y,) = tape.gradient(y, [x])  # type: ignore[assignment]
        gradients.append(y)
    sin, cos = np.sin(1.5), np.cos(1.5)
    close(gradients[0], 1.5 * cos + sin)
    close(gradients[1], 2 * cos - 1.5 * sin)
    close(gradients[2], -3 * sin - 1.5 * cos)


def test_gradient_of_a_layer_with_seed() -> None:
    x, w, g = f32(5, 4), f32(4, 3), f32(5, 3)
    tape = _core.Tape()
    tape.start()
    tx, tw = tensor(x), tensor(w)
    tape.watch(tx)
    tape.watch(tw)
    y = _core.matmul(tx, tw)
    tape.stop()
    dx, dw = tape.gradient(y, [tx, tw], tensor(g))
    assert dx is not None
    assert dw is not None
    # Sums of 3 and 5 products: (n + 1) roundings of the sum of magnitudes.
    for got, a, b in ((dx, g, w.T), (dw, x.T, g)):
        bound = 6 * 2.0**-24 * (abs(a.astype("f8")) @ abs(b.astype("f8")))
        assert (abs(got.numpy() - a.astype("f8") @ b.astype("f8")) <= bound).all()


def test_what_a_tape_does_not_see() -> None:
    x, other = tensor([1.0, 2.0]), tensor([3.0, 4.0])
    tape = _core.Tape()
    before = _core.binary("mul", x, x)
    tape.start()
    tape.watch(x)
    y = _core.binary("mul", _core.detach(x), other)
    step = _core.unary("floor", x)
    tape.stop()
    after = _core.binary("mul", x, x)
    assert tape.gradient(before, [x]) == [None]
    assert tape.gradient(after, [x]) == [None]
    assert tape.gradient(y, [x, other]) == [None, None]
    assert tape.gradient(step, [x]) == [None]
    close(tape.gradient(x, [x])[0], [1, 1])


def test_a_tape_belongs_to_its_thread() -> None:
    tape, x = _core.Tape(), tensor(2.0)
    tape.watch(x)
    tape.start()
    results: list[_core.Tensor] = []
    thread = threading.Thread(target=lambda: results.append(_core.binary("mul", x, x)))
    thread.start()
    thread.join()
    with pytest.raises(_core.GraphError, match="twice"):
        tape.start()
    tape.stop()
    assert tape.gradient(results[0], [x]) == [None]


def test_tape_over_traced_values_is_the_gradient_of_the_graph() -> None:
    graph, tape = _core.Graph(), _core.Tape()
    x = graph.input([3], "float32")
    tape.watch(x)
    y = _core.binary("mul", x, x)
    (dx,) = tape.gradient(y, [x], tensor([1, 2, 3]))
    assert dx is not None
    (out,) = graph.compile([dx], []).run([np.array([4, 5, 6], "f4")])
    np.testing.assert_array_equal(out.numpy(), [8, 20, 36])


# Graphs and steps


def train_step(cells: tuple[_core.Cell, _core.Cell], n: int) -> _core.Step:
    graph = _core.Graph()
    x, y = graph.input([n, 12, 12, 3], "float32"), graph.input([n, 10], "float32")
    kernel, dense = (graph.state(c) for c in cells)
    h = _core.conv(x, kernel, [1, 1], [1, 1], [1, 1], [1, 1], 1)
    h = _core.binary("max", h, 0)
    h = _core.matmul(_core.reshape(h, [n, 12 * 12 * 8]), dense)
    error = _core.binary("sub", h, y)
    loss = _core.sum(_core.binary("mul", error, error), [0, 1])
    grads = graph.grad(loss, [kernel, dense])
    updates = [(c, _core.binary("sub", graph.state(c), _core.binary("mul", g, 1e-4))) for c, g in zip(cells, grads, strict=True) if g is not None]
    return graph.compile([loss], updates)


def train_cells() -> tuple[_core.Cell, _core.Cell]:
    rng = np.random.default_rng(1)
    draw = lambda *dims: _core.tensor((rng.standard_normal(dims) / 10).astype("f4"))  # noqa: E731
    return _core.Cell(draw(3, 3, 3, 8)), _core.Cell(draw(12 * 12 * 8, 10))


def train(threads: int, steps: int = 4, n: int = 32) -> list[bytes]:
    before = _core.num_threads()
    _core.set_num_threads(threads)
    try:
        cells, rng = train_cells(), np.random.default_rng(2)
        step = train_step(cells, n)
        losses = []
        for _ in range(steps):
            x, y = rng.standard_normal((n, 12, 12, 3)).astype("f4"), rng.standard_normal((n, 10)).astype("f4")
            losses.append(step.run([x, y])[0])
        return [t.numpy().tobytes() for t in (*losses, *(c.get() for c in cells))]
    finally:
        _core.set_num_threads(before)


def test_a_step_learns() -> None:
    cells, x, y = train_cells(), f32(32, 12, 12, 3), f32(32, 10)
    step = train_step(cells, 32)
    losses = [float(step.run([x, y])[0].numpy()) for _ in range(20)]
    assert losses[-1] < 0.8 * losses[0]
    assert step.memory > 0
    assert "conv" in str(step)


def test_any_number_of_threads_gives_the_same_bits() -> None:
    expected = train(1)
    for threads in (2, 3, 5):
        assert train(threads) == expected


def test_eager_and_compiled_agree() -> None:
    x, kernel = f32(4, 9, 9, 3), f32(3, 3, 3, 8)
    where = ([1, 1], [1, 1], [1, 1], [1, 1], 1)
    eager = _core.unary("tanh", _core.conv(tensor(x), tensor(kernel), *where))
    graph = _core.Graph()
    step = graph.compile([_core.unary("tanh", _core.conv(graph.input(x.shape, "float32"), tensor(kernel), *where))], [])
    # Both run the same kernels on the same sums; the slope of tanh is at most 1. 28 roundings of sums of size ~5.
    np.testing.assert_allclose(step.run([x])[0].numpy(), eager.numpy(), rtol=0, atol=28 * 5 * 2.0**-24)


def test_inputs_of_a_step_are_checked() -> None:
    graph = _core.Graph()
    step = graph.compile([_core.unary("neg", graph.input([2, 3], "float32"))], [])
    x = f32(2, 3)
    np.testing.assert_array_equal(step.run([x])[0].numpy(), -x)
    np.testing.assert_array_equal(step.run([tensor(x)])[0].numpy(), -x)
    np.testing.assert_array_equal(step.run([np.asfortranarray(x)])[0].numpy(), -x)
    with pytest.raises(_core.ShapeError, match=r"step.*1 inputs.*0"):
        step.run([])
    with pytest.raises(_core.ShapeError, match=r"step input 0.*\[2, 3\].*\[3, 2\]"):
        step.run([x.T])
    with pytest.raises(_core.DTypeError, match=r"step input 0.*float32.*int32"):
        step.run([x.astype("i4")])
    with pytest.raises(_core.DTypeError, match=r"step input 0.*float64"):
        step.run([x.astype("f8")])
    with pytest.raises(_core.GraphError, match="traced"):
        step.run([_core.Graph().input([2, 3], "float32")])


def test_inputs_and_captured_tensors_can_be_outputs() -> None:
    graph, captured = _core.Graph(), tensor([1, 2])
    x = graph.input([2], "float32")
    cell = _core.Cell(tensor([0, 0]))
    step = graph.compile([x, captured, _core.binary("add", x, captured)], [(cell, x)])
    given = f32(2)
    outputs = step.run([given])
    expected = given.copy()
    given += 1
    for out, values in zip(outputs, (expected, [1, 2], expected + np.float32([1, 2])), strict=True):
        np.testing.assert_array_equal(out.numpy(), values)
    np.testing.assert_array_equal(cell.get().numpy(), expected)


def test_outputs_of_earlier_runs_stay() -> None:
    graph = _core.Graph()
    step = graph.compile([_core.unary("neg", graph.input([1 << 15], "float32"))], [])
    kept = [step.run([np.full(1 << 15, i, "f4")])[0] for i in range(20)]
    assert [float(k.numpy()[7]) for k in kept] == [-i for i in range(20)]


def test_random_numbers_are_the_same_eager_and_compiled() -> None:
    state = tensor([3, 9], np.int32)
    eager = _core.random(state, [1000], "normal").numpy()
    graph = _core.Graph()
    compiled = graph.compile([_core.random(graph.input([2], "int32", batched=False), [1000], "normal")], []).run([state])
    np.testing.assert_array_equal(compiled[0].numpy(), eager)


def test_steps_on_shared_cells_from_many_threads() -> None:
    cells = [_core.Cell(tensor(np.zeros(100))) for _ in range(3)]
    steps = []
    for order in ((0, 1, 2), (2, 1, 0), (1, 2, 0)):
        graph = _core.Graph()
        steps.append(graph.compile([], [(cells[i], _core.binary("add", graph.state(cells[i]), 1)) for i in order]))

    def work(step: _core.Step) -> None:
        for _ in range(200):
            step.run([])
            cells[0].get()

    threads = [threading.Thread(target=work, args=(s,)) for s in steps]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    for cell in cells:
        np.testing.assert_array_equal(cell.get().numpy(), 600)


# Processes, signals


needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")


@needs_fork
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_child_computes() -> None:
    expected = train(2)
    child = os.fork()
    if child == 0:
        signal.alarm(60)
        os._exit(0 if train(2) == expected else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert train(2) == expected


def in_child(_: int) -> list[bytes]:
    return train(2)


@needs_fork
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_multiprocessing_by_fork() -> None:
    expected = train(2)
    with multiprocessing.get_context("fork").Pool(2) as pool:
        assert pool.map_async(in_child, range(2)).get(60) == [expected] * 2


def long_step(cell: _core.Cell) -> _core.Step:
    """Seconds of work in one step, which updates a cell at the end."""
    graph = _core.Graph()
    x = graph.input([256, 64, 64, 32], "float32", batched=True)
    kernel = graph.state(cell)
    for _ in range(12):
        x = _core.unary("tanh", _core.conv(x, kernel, [1, 1], [1, 1], [1, 1], [1, 1], 1))
    return graph.compile([], [(cell, _core.binary("add", kernel, _core.sum(x, [0, 1, 2, 3])))])


@pytest.mark.skipif(sys.platform == "win32", reason="signals are sent otherwise there")
def test_ctrl_c_ends_a_step_and_changes_nothing() -> None:
    value = (f32(3, 3, 32, 32) / 10).astype("f4")
    cell = _core.Cell(_core.tensor(value))
    step = long_step(cell)
    x = np.ones((256, 64, 64, 32), "f4")
    sent: list[float] = []

    def send() -> None:
        time.sleep(0.3)
        sent.append(time.monotonic())
        os.kill(os.getpid(), signal.SIGINT)

    sender = threading.Thread(target=send)
    sender.start()
    with pytest.raises(KeyboardInterrupt):
        step.run([x])
    late = time.monotonic() - sent[0]
    sender.join()
    np.testing.assert_array_equal(cell.get().numpy(), value)
    # Asked every 50 ms and between shards of some tens of ms; twice as much on a busy machine.
    assert late < 0.4


@pytest.mark.skipif(sys.platform == "win32", reason="signals are sent otherwise there")
def test_a_signal_handler_reads_and_computes_during_a_step() -> None:
    cell = _core.Cell(tensor(f32(3, 3, 32, 32) / 10))
    before = cell.get().numpy().copy()
    step = long_step(cell)
    seen: list[Any] = []

    def handle(*_: object) -> None:
        seen.append(cell.get().numpy())
        seen.append(_core.binary("add", tensor([1]), 1).numpy())
        for forbidden in (lambda: step.run([x]), lambda: cell.set(cell.get())):
            with pytest.raises(_core.GraphError, match="in use"):
                forbidden()
        raise InterruptedError("enough")

    x = np.ones((256, 64, 64, 32), "f4")
    former = signal.signal(signal.SIGALRM, handle)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.2)
        with pytest.raises(InterruptedError, match="enough"):
            step.run([x])
    finally:
        signal.signal(signal.SIGALRM, former)
    np.testing.assert_array_equal(seen[0], before)
    np.testing.assert_array_equal(seen[1], [2])
    np.testing.assert_array_equal(cell.get().numpy(), before)


def environment(**variables: str) -> subprocess.CompletedProcess[str]:
    code = "from oxiconv import _core; print(_core.isa(), _core.num_threads())"
    return subprocess.run([sys.executable, "-c", code], env=os.environ | variables, capture_output=True, text=True, check=False)


def test_environment_variables() -> None:
    assert environment(OXICONV_ISA="scalar", OXICONV_NUM_THREADS="3").stdout.split() == ["scalar", "3"]
    for variables, words in (({"OXICONV_ISA": "mmx"}, "scalar"), ({"OXICONV_NUM_THREADS": "many"}, "many")):
        done = environment(**variables)
        assert done.returncode == 1
        assert "ImportError" in done.stderr
        assert words in done.stderr


# Files


def test_safetensors_round_trip(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    arrays = {
        "a/kernel": f32(3, 4),
        "b": np.array(7, "i4"),
        "c": np.arange(5, dtype="u1"),
        "d": np.array([[True], [False]]),
        "none": np.zeros((0, 3), "f4"),
        "t": f32(4, 3).T,
    }
    _core.save_safetensors(str(path), arrays, {"format": "x", "ключ": "ü"})
    loaded, metadata = _core.load_safetensors(str(path))
    assert metadata == {"format": "x", "ключ": "ü"}
    assert loaded.keys() == arrays.keys()
    for name, array in arrays.items():
        np.testing.assert_array_equal(loaded[name], array)
        assert loaded[name].dtype == array.dtype
        assert loaded[name].flags.writeable
    assert os.listdir(tmp_path) == ["w.safetensors"]


def test_a_failed_save_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    _core.save_safetensors(str(path), {"a": f32(2)}, {})
    before = path.read_bytes()
    with pytest.raises(_core.DTypeError, match=r"save \"b\".*float64"):
        _core.save_safetensors(str(path), {"a": f32(2), "b": np.zeros(2)}, {})
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["w.safetensors"]
    with pytest.raises(FileNotFoundError):
        _core.save_safetensors(str(tmp_path / "no" / "w.safetensors"), {}, {})


@pytest.mark.parametrize("content", [b"", b"1234567", b"\xff" * 8, b"\x02\0\0\0\0\0\0\0{]", b"\xff\0\0\0\0\0\0\0{}"])
def test_files_that_are_not_safetensors(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "bad"
    path.write_bytes(content)
    with pytest.raises(_core.FileFormatError, match="bad: not a safetensors file"):
        _core.load_safetensors(str(path))


@pytest.mark.parametrize(
    ("header", "size", "words"),
    [
        ('{"w":{"dtype":"F64","shape":[1],"data_offsets":[0,8]}}', 8, '"w".*F32.*F64'),
        ('{"w":{"dtype":"I64","shape":[1],"data_offsets":[0,8]}}', 8, '"w".*I64'),
        ('{"w":{"dtype":"BOOL","shape":[1],"data_offsets":[0,1]}}', 1, '"w".*truth'),
        ('{"w":{"dtype":"F32","shape":[3],"data_offsets":[0,8]}}', 8, "not a safetensors file"),
        ('{"w":{"dtype":"F32","shape":[4611686018427387904,4],"data_offsets":[0,8]}}', 8, "not a safetensors file"),
    ],
)
def test_bad_entries_of_a_file(header: str, size: int, words: str, tmp_path: Path) -> None:
    path = tmp_path / "bad"
    path.write_bytes(len(header).to_bytes(8, "little") + header.encode() + b"\x07" * size)
    with pytest.raises(_core.FileFormatError, match=words):
        _core.load_safetensors(str(path))
