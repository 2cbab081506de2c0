"""Tracing: running Python once to record a graph, with variables read and assigned functionally."""

from __future__ import annotations

import itertools
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Self

from oxiconv._core import Graph, Step, Tensor, detach

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from types import TracebackType

    from oxiconv.pullback import Custom
    from oxiconv.variable import Variable


class _Stack(threading.local):
    def __init__(self) -> None:
        self.traces: list[Trace | None] = []


_stack = _Stack()


_serial = itertools.count()


class Trace:
    """While active on a thread, variables are values of `graph` and assignments are collected in `updates`.

    `symbolic` marks traces made to learn shapes, whose graph is thrown away.

    >>> from oxiconv import Variable
    >>> v = Variable([1.0, 2.0])
    >>> with Trace() as trace:
    ...     x = trace.graph.input((2,), "float32", batched=False)
    ...     v.assign_add(x)
    ...     step = trace.compile([v.value])
    <traced float32 (2,)>
    >>> step.run([v.numpy()])[0].numpy().tolist(), v.numpy().tolist()
    ([2.0, 4.0], [2.0, 4.0])
    """

    def __init__(self, symbolic: bool = False) -> None:
        self.graph = Graph()
        self.updates: dict[Variable, Tensor] = {}
        self.symbolic = symbolic
        # Tells traces apart, also from those that are gone.
        self.serial = next(_serial)
        # What has gradients of its own, in order: the graph knows none for it.
        self.custom: list[Custom] = []

    def __enter__(self) -> Self:
        _stack.traces.append(self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        _stack.traces.pop()

    def read(self, variable: Variable) -> Tensor:
        """The variable's value at this point of the trace."""
        assigned = self.updates.get(variable)
        # As in eager code, no gradient passes through an assignment.
        return self.graph.state(variable.cell) if assigned is None else detach(assigned)

    def write(self, variable: Variable, value: Tensor) -> None:
        """Makes `value` what the variable holds after this point."""
        self.updates[variable] = value

    def compile(self, outputs: Sequence[Tensor], title: str = "") -> Step:
        """The traced computation as a step that returns `outputs` and stores all assignments; profiles show `title`."""
        return self.graph.compile(outputs, [(v.cell, value) for v, value in self.updates.items()], title)


@contextmanager
def suspended() -> Iterator[None]:
    """Within, nothing is traced: for first values of variables that are made during a trace."""
    _stack.traces.append(None)
    try:
        yield
    finally:
        _stack.traces.pop()


def ended(value: Tensor) -> str:
    """What is wrong with a traced tensor that is used where nothing is traced."""
    return (
        f"the tensor {value!r} has no value: it was kept (in an attribute, a list, ..) from a step that was traced, "
        "which has ended. Return it from the step, assign it to a Variable, or use compile(run_eagerly=True)"
    )


def current() -> Trace | None:
    """The innermost active trace of this thread."""
    traces = _stack.traces
    return traces[-1] if traces else None
