"""Reverse-mode gradients of eager or traced computations."""

from __future__ import annotations

import math
import threading
import weakref
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from oxiconv import _core, trace, tree
from oxiconv._core import GraphError, Tensor
from oxiconv.pullback import Custom, add, graph_gradient, pull
from oxiconv.tensor import convert

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType

    from oxiconv.variable import Variable


class _Stack(threading.local):
    def __init__(self) -> None:
        self.tapes: list[GradientTape] = []
        # Variables by the identity of the tensor that their `value` gave last, where they have a `grad`.
        self.shown: dict[int, weakref.ref[Variable]] = {}


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


def show(variable: Variable, held: Tensor) -> Tensor:
    """Notes that `held` is the value of a variable that has a `grad`, so that it is found at the tensor too."""
    _stack.shown.pop(id(variable._shown), None)
    _stack.shown[id(held)] = weakref.ref(variable)
    return held


def gradient_of_value(tensor: Tensor) -> Tensor | None:
    """The `grad` of the variable whose value this is; None for other tensors, and before `backward`."""
    variable = _stack.shown.get(id(tensor), lambda: None)()
    # Another tensor may have the identity of one that is gone.
    return variable.grad if variable is not None and variable._shown is tensor else None


def recording() -> list[GradientTape]:
    """The tapes that record on this thread, outermost first."""
    return list(_stack.tapes)


def record(custom: Custom) -> None:
    """Tells the running trace, or the recording tapes, of something that has a gradient of its own."""
    active = trace.current()
    if active is not None and any(t.traced for t in custom.outputs):
        active.custom.append(custom)
    for tape in _stack.tapes:
        tape._custom.append(custom)
        for output in custom.outputs:
            tape._watch(output)


class GradientTape:
    """Records operations within a `with` block, to differentiate them afterwards.

    Trainable variables read in the block are watched; `watch` adds other tensors. A tape serves one `gradient` or
    `jacobian` call unless `persistent`. Tapes nest, for gradients of gradients.

    In a step that is traced the graph is the record. A tensor as a source is then differentiated through all that the
    target was computed of, also what was computed before the tape began; `ops.stop_gradient` keeps that out.

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
        self._recording = False
        self._clear()

    def _clear(self) -> None:
        self._tape = _core.Tape()
        self._reads: dict[Variable, list[Tensor]] = {}
        self._current: dict[tuple[Variable, trace.Trace | None], Tensor] = {}
        self._custom: list[Custom] = []
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
        self._watch(value)

    def _watch(self, value: Tensor) -> None:
        if not value.traced:
            self._tape.watch(value)

    def watch(self, tensor: Any) -> None:
        """Makes a tensor, a variable, or a structure of these a source of gradients."""
        for x in tree.flatten(tensor):
            if _is_variable(x):
                self._note(x, x._held())
            elif isinstance(x, Tensor):
                self._watch(x)
            else:
                raise TypeError(f"GradientTape.watch: expected a tensor or variable, got {type(x).__name__}")

    def watched_variables(self) -> tuple[Variable, ...]:
        """The variables read or watched, in that order."""
        return tuple(self._reads)

    def stop_recording(self) -> Pause:
        """A context in which operations are not recorded."""
        if not self._recording:
            raise RuntimeError("GradientTape.stop_recording: expected a tape that is recording, got one that is not")
        return Pause([self], "GradientTape.stop_recording")

    def reset(self) -> None:
        """Forgets what was recorded."""
        recording = self._recording
        if recording:
            self._stop()
        self._clear()
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
        self._use("gradient", unconnected_gradients)
        targets = [_value(t) for t in tree.flatten(target)]
        if output_gradients is None:
            seeds: list[Any] = [None] * len(targets)
        else:
            seeds = tree.flatten(output_gradients) if tree.is_nested(target) else [output_gradients]
        if len(seeds) != len(targets):
            raise ValueError(f"GradientTape.gradient: expected {len(targets)} output_gradients, got {len(seeds)}")
        flat = tree.flatten(sources)
        total: list[Tensor | None] = [None] * len(flat)
        for t, seed in zip(targets, seeds, strict=True):
            seed = None if seed is None else convert(seed, t.dtype)
            if seed is not None and seed.shape != t.shape:
                raise ValueError(
                    f"GradientTape.gradient: expected output_gradients of shape {t.shape}, got {seed.shape}"
                )
            total = [add(a, b) for a, b in zip(total, self._by_source(t, flat, seed), strict=True)]
        return tree.pack_sequence_as(
            sources, [_finish(g, s, unconnected_gradients) for g, s in zip(total, flat, strict=True)]
        )

    def jacobian(
        self,
        target: Any,
        sources: Any,
        unconnected_gradients: str = "none",
        parallel_iterations: int | None = None,
        experimental_use_pfor: bool = True,
    ) -> Any:
        """Derivatives of each element of `target` by each of `sources`: `[*target.shape, *source.shape]`.

        It takes one gradient per element of the target; the last two arguments are accepted as TensorFlow has them.
        """
        self._use("jacobian", unconnected_gradients)
        target = _value(target)
        flat = tree.flatten(sources)
        rows = [self._by_source(target, flat, seed) for seed in _one_hot(target.shape)]
        found = [_stack_rows(list(parts), target.shape) for parts in zip(*rows, strict=True)]
        return tree.pack_sequence_as(
            sources, [_finish(g, s, unconnected_gradients, target.shape) for g, s in zip(found, flat, strict=True)]
        )

    def batch_jacobian(
        self,
        target: Any,
        source: Any,
        unconnected_gradients: str = "none",
        parallel_iterations: int | None = None,
        experimental_use_pfor: bool = True,
    ) -> Any:
        """As `jacobian`, for each sample by itself: `[n, *target.shape[1:], *source.shape[1:]]`.

        The samples must not depend on each other, as they do under batch normalization in training.
        """
        self._use("batch_jacobian", unconnected_gradients)
        target = _value(target)
        shape = tuple(source.shape)
        if not target.ndim or not shape or target.shape[0] != shape[0]:
            raise ValueError(
                f"GradientTape.batch_jacobian: expected a target and a source of the same first axis, got shapes "
                f"{target.shape} and {shape}"
            )
        rows = []
        for seed in _one_hot(target.shape[1:]):
            (row,) = self._by_source(
                target, [source], _core.broadcast_to(_core.reshape(seed, (1, *seed.shape)), target.shape)
            )
            rows.append(None if row is None else _core.reshape(row, (shape[0], 1, *shape[1:])))
        if rows and rows[0] is not None:
            joined = _core.concat([row for row in rows if row is not None], 1)
            return _core.reshape(joined, (shape[0], *target.shape[1:], *shape[1:]))
        return _finish(None, source, unconnected_gradients, (), (*target.shape, *shape[1:]))

    def _use(self, what: str, unconnected: str) -> None:
        if unconnected not in ("none", "zero"):
            raise ValueError(f"GradientTape.{what}: expected 'none' or 'zero', got {unconnected!r}")
        if self._spent and not self._persistent:
            raise RuntimeError(f"GradientTape.{what}: a tape that is not persistent gives gradients only once")
        if self._recording and not self._persistent:
            self._stop()
        self._spent = True

    def _by_source(self, target: Tensor, sources: Sequence[Any], seed: Tensor | None) -> list[Tensor | None]:
        """The gradient of each source: of a variable, the sum over the values that were read."""
        groups = [self._reads.get(s, []) if _is_variable(s) else [_source(s)] for s in sources]
        every = [leaf for group in groups for leaf in group]
        if target.traced:
            active = trace.current()
            if active is None:
                raise GraphError("GradientTape.gradient: the target belongs to a trace that has ended")
            found = graph_gradient(active, target, every, seed)
        else:
            found = pull(self._pullback, self._custom, target, every, seed)
        parts = iter(found)
        return [_sum([next(parts) for _ in group]) for group in groups]

    def _pullback(self, target: Tensor, sources: Sequence[Tensor], seed: Tensor | None) -> list[Tensor | None]:
        known = [s for s in sources if not s.traced]
        found = iter(self._tape.gradient(target, known, seed))
        return [None if s.traced else next(found) for s in sources]


class Pause:
    """A context in which tapes do not record.

    While a step is traced there is none: the graph records all there is, so that code is left to run eagerly.
    """

    def __init__(self, tapes: Sequence[GradientTape], what: str) -> None:
        self._paused = list(tapes)
        active = trace.current()
        if tapes and active is not None and not active.symbolic:
            raise GraphError(
                f"{what}: a step that is traced cannot pause recording; use ops.stop_gradient, or run it eagerly"
            )

    def __enter__(self) -> None:
        for tape in self._paused:
            tape._stop()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for tape in self._paused:
            tape._start()


def _is_variable(x: Any) -> bool:
    from oxiconv.variable import Variable

    return isinstance(x, Variable)


def _source(x: Any) -> Tensor:
    if not isinstance(x, Tensor):
        raise TypeError(f"GradientTape.gradient: expected tensors or variables as sources, got {type(x).__name__}")
    return x


def _value(x: Any) -> Tensor:
    if _is_variable(x):
        return x.value  # type: ignore[no-any-return]
    if not isinstance(x, Tensor):
        raise TypeError(f"GradientTape.gradient: expected a tensor as target, got {type(x).__name__}")
    return x


def _sum(parts: Sequence[Tensor | None]) -> Tensor | None:
    total: Tensor | None = None
    for part in parts:
        total = add(total, part)
    return total


def _finish(
    found: Tensor | None,
    source: Any,
    unconnected: str,
    lead: tuple[int, ...] = (),
    shape: tuple[int, ...] | None = None,
) -> Tensor | None:
    if found is None and unconnected == "zero":
        return convert(np.zeros((*lead, *source.shape) if shape is None else shape, np.float32))
    return found


def _one_hot(shape: tuple[int, ...]) -> list[Tensor]:
    size = math.prod(shape)
    rows = np.eye(size, dtype=np.float32).reshape(size, *shape)
    return [convert(row.reshape(shape)) for row in rows]


def _stack_rows(rows: list[Tensor | None], lead: tuple[int, ...]) -> Tensor | None:
    known = [_core.reshape(row, (1, *row.shape)) for row in rows if row is not None]
    if not known:
        return None
    return _core.reshape(_core.concat(known, 0), (*lead, *known[0].shape[1:]))
