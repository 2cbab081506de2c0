"""Reverse-mode gradients of eager or traced computations."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from oxiconv import _core, trace, tree
from oxiconv._core import Tensor
from oxiconv.tensor import convert

if TYPE_CHECKING:
    from types import TracebackType

    from oxiconv.variable import Variable


class _Stack(threading.local):
    def __init__(self) -> None:
        self.tapes: list[GradientTape] = []


_stack = _Stack()


def observe(variable: Variable, held: Tensor) -> Tensor:
    """Tells the recording tapes of this thread that `variable` was read; returns the value to compute with."""
    tapes = [t for t in _stack.tapes if t._watches_variables]
    active = trace.current()
    if not tapes or (active is not None and active.symbolic):
        return held
    known = (t._current.get((variable, active)) for t in tapes)
    value = next((v for v in known if v is not None), None)
    if value is None:
        # When traced, a node of its own, so that uses of the variable outside the tape do not count.
        value = _core.reshape(held, held.shape) if held.traced else held
    for recording in tapes:
        recording._note(variable, value)
    return value


def forget(variable: Variable) -> None:
    """Tells the recording tapes of this thread that `variable` was assigned: its next read is another source."""
    for recording in _stack.tapes:
        recording._current.pop((variable, trace.current()), None)


class GradientTape:
    """Records operations within a `with` block, to differentiate them afterwards.

    Trainable variables read in the block are watched; `watch` adds other tensors. A tape serves one `gradient` call
    unless `persistent`. Tapes nest, for gradients of gradients.

    >>> from oxiconv import Variable, ops
    >>> v = Variable(3.0)
    >>> with GradientTape() as tape:
    ...     y = ops.square(v) + 2.0 * v
    >>> float(tape.gradient(y, v))
    8.0
    """

    def __init__(self, persistent: bool = False, watch_accessed_variables: bool = True) -> None:
        self._persistent = persistent
        self._watches_variables = watch_accessed_variables
        self._tape = _core.Tape()
        self._reads: dict[Variable, list[Tensor]] = {}
        self._current: dict[tuple[Variable, trace.Trace | None], Tensor] = {}
        self._recording = False
        self._spent = False

    def __enter__(self) -> Self:
        if self._recording:
            raise RuntimeError("GradientTape: expected a tape that is not recording, got one that is")
        self._start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._recording:
            self._stop()

    def _start(self) -> None:
        self._recording = True
        self._tape.start()
        _stack.tapes.append(self)

    def _stop(self) -> None:
        self._recording = False
        self._tape.stop()
        _stack.tapes.remove(self)

    def _note(self, variable: Variable, value: Tensor) -> None:
        key = (variable, trace.current())
        if self._current.get(key) is value:
            return
        self._current[key] = value
        self._reads.setdefault(variable, []).append(value)
        if not value.traced:
            self._tape.watch(value)

    def watch(self, tensor: Any) -> None:
        """Makes a tensor, a variable, or a structure of these a source of gradients."""
        from oxiconv.variable import Variable

        for x in tree.flatten(tensor):
            if isinstance(x, Variable):
                self._note(x, x._held())
            elif isinstance(x, Tensor):
                if not x.traced:
                    self._tape.watch(x)
            else:
                raise TypeError(f"GradientTape.watch: expected a tensor or variable, got {type(x).__name__}")

    def stop_recording(self) -> _Pause:
        """A context in which operations are not recorded."""
        return _Pause(self)

    def reset(self) -> None:
        """Forgets what was recorded."""
        recording = self._recording
        if recording:
            self._stop()
        self._tape = _core.Tape()
        self._reads.clear()
        self._current.clear()
        self._spent = False
        if recording:
            self._start()

    def gradient(
        self,
        target: Any,
        sources: Any,
        output_gradients: Any = None,
        unconnected_gradients: str = "none",
    ) -> Any:
        """Gradients of the sum of `target` with respect to each of `sources`, in the structure of `sources`.

        Sources are variables, watched tensors, or tensors computed within the tape. A source that the target does not
        depend on gives None, or zeros with `unconnected_gradients="zero"`. `output_gradients` weighs the target's
        elements.
        """
        if unconnected_gradients not in ("none", "zero"):
            raise ValueError(f"GradientTape.gradient: expected 'none' or 'zero', got {unconnected_gradients!r}")
        if self._spent and not self._persistent:
            raise RuntimeError("GradientTape.gradient: a tape that is not persistent gives gradients only once")
        if self._recording and not self._persistent:
            self._stop()
        self._spent = True
        targets = [_value(t) for t in tree.flatten(target)]
        if output_gradients is None:
            seeds: list[Any] = [None] * len(targets)
        else:
            seeds = tree.flatten(output_gradients) if tree.is_nested(target) else [output_gradients]
        if len(seeds) != len(targets):
            raise ValueError(f"GradientTape.gradient: expected {len(targets)} output_gradients, got {len(seeds)}")
        flat = tree.flatten(sources)
        leaves = [self._reads.get(s, []) if _is_variable(s) else [s] for s in flat]
        every = [leaf for group in leaves for leaf in group]
        total: list[Tensor | None] = [None] * len(every)
        for t, seed in zip(targets, seeds, strict=True):
            total = [_add(a, b) for a, b in zip(total, self._differentiate(t, every, seed), strict=True)]
        parts = iter(total)
        result = [
            _finish([next(parts) for _ in group], s, unconnected_gradients)
            for group, s in zip(leaves, flat, strict=True)
        ]
        return tree.pack_sequence_as(sources, result)

    def _differentiate(self, target: Tensor, sources: list[Tensor], seed: Any) -> list[Tensor | None]:
        weights = None if seed is None else _core.detach(convert(seed, "float32"))
        # A value with data does not depend on one that is being traced, nor is it a source of the trace.
        known = [s for s in sources if s.traced == target.traced]
        if not target.traced:
            found = self._tape.gradient(target, known, weights)
        else:
            active = trace.current()
            if active is None:
                raise _core.GraphError("GradientTape.gradient: the target belongs to a trace that has ended")
            found = active.graph.grad(target if weights is None else _core.binary("mul", target, weights), known)
        gradients = iter(found)
        return [next(gradients) if s.traced == target.traced else None for s in sources]


class _Pause:
    def __init__(self, tape: GradientTape) -> None:
        self._paused = tape

    def __enter__(self) -> None:
        self._paused._stop()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._paused._start()


def _is_variable(x: Any) -> bool:
    from oxiconv.variable import Variable

    return isinstance(x, Variable)


def _value(x: Any) -> Tensor:
    if _is_variable(x):
        return x.value  # type: ignore[no-any-return]
    if not isinstance(x, Tensor):
        raise TypeError(f"GradientTape.gradient: expected a tensor as target, got {type(x).__name__}")
    return x


def _add(a: Tensor | None, b: Tensor | None) -> Tensor | None:
    if a is None or b is None:
        return a if b is None else b
    return _core.binary("add", a, b)


def _finish(parts: list[Tensor | None], source: Any, unconnected: str) -> Tensor | None:
    total: Tensor | None = None
    for part in parts:
        total = _add(total, part)
    if total is None and unconnected == "zero":
        return convert(np.zeros(source.shape, np.float32))
    return total


def recording() -> bool:
    """Whether a tape of this thread is recording."""
    return bool(_stack.tapes)
