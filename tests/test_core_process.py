"""The compiled core and its process: signals, environment variables, panics."""

import os
import signal
import subprocess
import sys
import threading
import time
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
    return subprocess.run(
        [sys.executable, "-c", code], env=os.environ | variables, capture_output=True, text=True, check=False
    )


def test_environment_variables() -> None:
    assert environment(OXICONV_ISA="scalar", OXICONV_NUM_THREADS="3").stdout.split() == ["scalar", "3"]
    for variables, words in (({"OXICONV_ISA": "mmx"}, "scalar"), ({"OXICONV_NUM_THREADS": "many"}, "many")):
        done = environment(**variables)
        assert done.returncode == 1
        assert "ImportError" in done.stderr
        assert words in done.stderr


def test_a_panic_is_an_internal_error() -> None:
    # The instruction set is decided on at the first op, which then finds that what import had checked is gone.
    code = """
import os, numpy as np
from oxiconv import _core
os.environ["OXICONV_ISA"] = "mmx"
try:
    _core.unary("neg", _core.tensor(np.ones(3, "f4")))
except _core.InternalError as error:
    assert isinstance(error, _core.OxiconvError) and "mmx" in str(error)
    print("caught")
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout == "caught\n", done.stderr
