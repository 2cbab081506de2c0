"""Outputs of batches, gathered into arrays."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from oxiconv import tree


class Predictions:
    """Collects the outputs of batches.

    Args:
        samples: how many there will be; each output is then written once into its final array. None where unknown.
    """

    def __init__(self, samples: int | None) -> None:
        self._samples = samples
        self._structure: Any = None
        self._parts: list[list[NDArray[Any]]] = []
        self._filled = 0

    def add(self, outputs: Any) -> None:
        """Adds the outputs of a batch."""
        arrays = [np.asarray(t) for t in tree.flatten(outputs)]
        if not self._parts:
            self._structure = tree.map_structure(lambda _: None, outputs)
            self._parts = [[] for _ in arrays]
            if self._samples is not None and all(a.ndim for a in arrays):
                self._parts = [[np.empty((self._samples, *a.shape[1:]), a.dtype)] for a in arrays]
            else:
                self._samples = None
        if self._samples is None:
            for part, array in zip(self._parts, arrays, strict=True):
                part.append(array.copy())
            return
        for part, array in zip(self._parts, arrays, strict=True):
            part[0][self._filled : self._filled + len(array)] = array
        self._filled += len(arrays[0])

    def result(self) -> Any:
        """An array per output, in the structure of the outputs.

        Raises:
            ValueError: there was no batch.
        """
        if not self._parts:
            raise ValueError("predict: expected at least one batch, got none.")
        if self._samples is not None:
            # Fewer than expected if prediction was stopped.
            self._parts = [[part[: self._filled] for part in parts] for parts in self._parts]
        return tree.pack_sequence_as(self._structure, [p[0] if len(p) == 1 else np.concatenate(p) for p in self._parts])
