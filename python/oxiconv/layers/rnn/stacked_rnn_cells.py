"""Several cells as one, and how a cell of any kind is called."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from typing import Any, Self

from oxiconv import ops, tree
from oxiconv.layers.layer import Layer


def call_cell(cell: Any, inputs: Any, states: Any, training: bool, **kwargs: Any) -> tuple[Any, Any]:
    """The output and the new states, in a list if `states` are."""
    if "training" in inspect.signature(cell.call).parameters:
        kwargs["training"] = training
    output, new = (cell if callable(cell) else cell.call)(inputs, states, **kwargs)
    return output, new if tree.is_nested(new) or not tree.is_nested(states) else [new]


def initial_state_of(cell: Any, batch_size: int, dtype: Any) -> list[Any]:
    """The states that a sequence begins with, as a list: the cell's, or zeros of its `state_size`."""
    make = getattr(cell, "get_initial_state", None)
    if make is None:
        sizes = [cell.state_size] if isinstance(cell.state_size, int) else list(cell.state_size)
        return [ops.zeros((batch_size, size), dtype) for size in sizes]
    states = make(batch_size=batch_size)
    return list(states) if tree.is_nested(states) else [states]


def output_size_of(cell: Any) -> Any:
    """The size of a cell's output: what it says, or its first state's."""
    size = getattr(cell, "output_size", None)
    return tree.flatten(cell.state_size)[0] if size is None else size


class StackedRNNCells(Layer):
    """Cells one after another: each takes the output of the one before, and has states of its own.

    Args:
        cells: the cells.
        **kwargs: those of `Layer`.

    Example:
        >>> import numpy as np
        >>> from oxiconv import layers
        >>> stack = layers.StackedRNNCells([layers.LSTMCell(4), layers.GRUCell(3)])
        >>> layers.RNN(stack)(np.zeros((2, 5, 6))).shape
        (2, 3)
    """

    def __init__(self, cells: Sequence[Any], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.cells = list(cells)
        for cell in self.cells:
            if not callable(getattr(cell, "call", None)) or not hasattr(cell, "state_size"):
                raise ValueError(f"{self._label}: expected cells with call and state_size, got {cell!r}")

    @property
    def state_size(self) -> list[Any]:
        """The state sizes of each cell."""
        return [cell.state_size for cell in self.cells]

    @property
    def output_size(self) -> Any:
        """The size of the last cell's output."""
        return output_size_of(self.cells[-1])

    def get_initial_state(self, batch_size: int | None = None) -> list[Any]:
        """The states of each cell, that a sequence begins with."""
        return [initial_state_of(cell, batch_size or 0, self.compute_dtype) for cell in self.cells]

    def build(self, input_shape: Any) -> None:
        """Builds each cell for the output of the one before."""
        for cell in self.cells:
            if isinstance(cell, Layer) and not cell.built:
                cell.build(input_shape)
            input_shape = (input_shape[0], output_size_of(cell))

    def call(self, inputs: Any, states: Any, training: bool = False, **kwargs: Any) -> tuple[Any, Any]:
        """One step of all cells."""
        new = []
        for cell, held in zip(self.cells, states, strict=True):
            inputs, after = call_cell(cell, inputs, list(held) if tree.is_nested(held) else [held], training, **kwargs)
            new.append(list(after) if tree.is_nested(held) else after[0])
        return inputs, new

    def get_config(self) -> dict[str, Any]:
        """The arguments that make an equal layer."""
        from oxiconv.saving.serialization import serialize_keras_object

        return {**super().get_config(), "cells": [serialize_keras_object(cell) for cell in self.cells]}

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Mapping[str, Any] | None = None) -> Self:
        """Cells of a configuration."""
        from oxiconv.saving.serialization import deserialize_keras_object

        config = dict(config)
        return cls([deserialize_keras_object(cell, custom_objects) for cell in config.pop("cells")], **config)
