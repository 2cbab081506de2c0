"""The compiled core: cells, tapes, graphs and steps, on any number of threads and in forked children."""

import gc
import multiprocessing
import os
import signal
import threading
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
    updates = [
        (c, _core.binary("sub", graph.state(c), _core.binary("mul", g, 1e-4)))
        for c, g in zip(cells, grads, strict=True)
        if g is not None
    ]
    return graph.compile([loss], updates)


def train_cells() -> tuple[_core.Cell, _core.Cell]:
    rng = np.random.default_rng(1)
    kernel, dense = rng.standard_normal((3, 3, 3, 8)) / 10, rng.standard_normal((12 * 12 * 8, 10)) / 10
    return _core.Cell(tensor(kernel)), _core.Cell(tensor(dense))


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
    for out, values in zip(outputs, (expected, [1, 2], expected + np.array([1, 2], "f4")), strict=True):
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
    drawn = _core.random(graph.input([2], "int32", batched=False), [1000], "normal")
    compiled = graph.compile([drawn], []).run([state])
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


def test_ops_on_many_threads_while_the_number_of_workers_changes() -> None:
    x, kernel = tensor(f32(64, 16, 16, 8)), tensor(f32(3, 3, 8, 8))

    def convolved() -> bytes:
        return _core.conv(x, kernel, [1, 1], [1, 1], [1, 1], [1, 1], 1).numpy().tobytes()

    expected, before = convolved(), _core.num_threads()
    results: list[bytes] = []
    threads = [threading.Thread(target=lambda: results.extend(convolved() for _ in range(20))) for _ in range(4)]
    for thread in threads:
        thread.start()
    try:
        while any(thread.is_alive() for thread in threads):
            for n in (1, 5, 2):
                _core.set_num_threads(n)
    finally:
        _core.set_num_threads(before)
    assert len(results) == 80
    assert set(results) == {expected}


# Forked children


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
