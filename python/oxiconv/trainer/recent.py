"""The prediction steps that ran last, found again in a few microseconds."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain
from operator import is_
from typing import TYPE_CHECKING, Any

import numpy as np

from oxiconv.config import precision

if TYPE_CHECKING:
    from oxiconv.layers.state import State
    from oxiconv.trainer.step import CompiledStep


class Recent:
    """Compiled steps by shape and element type of their one array, valid while the model's layers are the same.

    Args:
        model: the model that predicts.
    """

    def __init__(self, model: State) -> None:
        self._layers = Snapshot(model._flatten_layers())
        self._steps: dict[Any, CompiledStep] = {}

    def holds(self) -> bool:
        """Whether the model's layers are those of the steps."""
        return self._layers.holds()

    def add(self, array: Any, step: CompiledStep) -> None:
        """Keeps the step for batches like the array."""
        if isinstance(array, np.ndarray):
            self._steps[array.shape, array.dtype, precision()] = step

    def find(self, array: Any) -> CompiledStep | None:
        """The step for batches like the array, if there is one."""
        if type(array) is not np.ndarray:
            return None
        step = self._steps.get((array.shape, array.dtype, precision()))
        return step if step is not None and self.holds() else None


class Snapshot:
    """The attributes of layers, and what is in the lists and dicts among them, to see whether they are still the same.

    Identity of all of them is more than a compiled step asks for, which the same layers would do, but is compared in a
    tenth of the time that collecting the layers takes.
    """

    def __init__(self, layers: Iterable[State]) -> None:
        self._dicts: list[dict[Any, Any]] = []
        self._lists: list[list[Any]] = []
        seen: set[int] = set()
        stack: list[Any] = [vars(layer) for layer in layers]
        while stack:
            value = stack.pop()
            if isinstance(value, tuple):
                stack.extend(value)
            elif isinstance(value, dict) and id(value) not in seen:
                seen.add(id(value))
                self._dicts.append(value)
                stack.extend(value.values())
            elif isinstance(value, list) and id(value) not in seen:
                seen.add(id(value))
                self._lists.append(value)
                stack.extend(value)
        # What is compared is kept: no other object can have its place in memory meanwhile.
        self._sizes = self._count()
        self._items = list(self._all())

    def holds(self) -> bool:
        """Whether nothing has been added, replaced or removed."""
        return self._count() == self._sizes and all(map(is_, self._all(), self._items))

    def _count(self) -> list[int]:
        return [*map(len, self._dicts), *map(len, self._lists)]

    def _all(self) -> Iterator[Any]:
        return chain(chain.from_iterable(map(dict.values, self._dicts)), chain.from_iterable(self._lists))
