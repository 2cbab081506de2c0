"""Compiled steps: one traced program per kind of step, batch shape and configuration."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import TYPE_CHECKING, Any

import numpy as np

from oxiconv import tree
from oxiconv.tensor import Tensor
from oxiconv.trace import Trace
from oxiconv.trainer.arrays import Batch, leaves
from oxiconv.trainer.recent import Recent

if TYPE_CHECKING:
    from oxiconv._core import Step

# Shapes seen last; a model trained on batches of ever new shapes would otherwise keep a program for each.
CAPACITY = 16

_FILLED = object()


class CompiledStep:
    """A function of a batch, traced once and compiled: variables it assigns are updated by each call."""

    def __init__(self, kind: str, function: Callable[..., Any], batch: Batch) -> None:
        arrays = ", ".join(f"{a.dtype}{list(a.shape)}" for a in leaves(batch))
        self.title = f"{kind} step for batches of {arrays}"
        samples = next((a.shape[0] for a in leaves(batch) if a.ndim), 0)
        with Trace() as trace:
            inputs = [
                None if a is None else trace.graph.input(a.shape, a.dtype.name, a.shape[:1] == (samples,))
                for a in tree.flatten(batch)
            ]
            results = function(*tree.pack_sequence_as(batch, inputs))
            flat = tree.flatten(results)
            self.step: Step = trace.compile([r for r in flat if _traced(r)], self.title)
        # Results that have no data in a trace are filled in at each run; others, such as None, stay.
        self._flat = [_FILLED if _traced(r) else r for r in flat]
        self._structure = tree.pack_sequence_as(results, self._flat)

    def __call__(self, batch: Batch) -> Any:
        """Runs on a batch of the traced shapes; returns what the function did, with values."""
        return self._filled(self.step.run(leaves(batch)))

    def arrays(self, inputs: list[Any]) -> Any:
        """Runs on the arrays of a batch; returns what the function did, with arrays of their own as values."""
        return self._filled(self.step.run_to_arrays(inputs))

    def _filled(self, outputs: list[Any]) -> Any:
        if self._structure is _FILLED:
            return outputs[0]
        if self._structure is None:
            return None
        values = iter(outputs)
        return tree.pack_sequence_as(self._structure, [next(values) if r is _FILLED else r for r in self._flat])


def _traced(result: Any) -> bool:
    return isinstance(result, Tensor) and result.traced


class Same:
    """An object as part of a key, by identity. It is kept alive: the id of a dead object may be that of another."""

    def __init__(self, value: object) -> None:
        self.value = value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Same) and self.value is other.value

    def __hash__(self) -> int:
        return id(self.value)


class StepCache:
    """The compiled steps of a model, least recently used out first."""

    def __init__(self) -> None:
        self._steps: OrderedDict[Hashable, CompiledStep] = OrderedDict()
        # Kinds of step that could not be traced, and so run eagerly.
        self.eager: set[str] = set()
        self.recent: Recent | None = None

    def __getstate__(self) -> dict[str, Any]:
        """For copies and pickles: steps belong to the variables they were compiled for, so a copy compiles its own."""
        return {"_steps": OrderedDict(), "eager": set(self.eager), "recent": None}

    def __len__(self) -> int:
        return len(self._steps)

    def __str__(self) -> str:
        """For each step its kind, the shapes of its batches, its memory, and its program."""
        return "\n".join(
            f"{step.title}\n{step.step.memory / 2**20:.1f} MiB\n{step.step}" for step in self._steps.values()
        )

    def get(self, key: Hashable, make: Callable[[], CompiledStep]) -> CompiledStep:
        """The step of a configuration and a signature of batches."""
        step = self._steps.get(key)
        if step is None:
            step = self._steps[key] = make()
            if len(self._steps) > CAPACITY:
                self._steps.popitem(last=False)
                # It may have that step too.
                self.recent = None
        else:
            self._steps.move_to_end(key)
        return step


def signature(batch: Batch) -> Hashable:
    """Structure, shapes and element types of a batch."""
    return tuple(_signature(part) for part in batch)


def _signature(part: Any) -> Hashable:
    if isinstance(part, np.ndarray):
        return part.shape, part.dtype.num
    if isinstance(part, dict):
        return tuple((key, _signature(part[key])) for key in sorted(part))
    if isinstance(part, list | tuple):
        return tuple(_signature(item) for item in part)
    return None
