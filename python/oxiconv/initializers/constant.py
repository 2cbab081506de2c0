"""Initializers without chance."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from oxiconv import ops
from oxiconv.initializers.initializer import Initializer
from oxiconv.tensor import ShapeError, Tensor


class Constant(Initializer):
    """`value` everywhere; an array broadcasts.

    Example:
        >>> Constant(2.0)((2,)).numpy().tolist()
        [2.0, 2.0]
    """

    def __init__(self, value: Any = 0.0) -> None:
        self.value = value

    def __call__(self, shape: Sequence[int], dtype: Any = None) -> Tensor:
        """A tensor of `shape`."""
        return ops.broadcast_to(ops.convert_to_tensor(self.value, dtype or "float32"), shape)

    def get_config(self) -> dict[str, Any]:
        """The arguments that make an equal initializer."""
        value = self.value
        return {"value": value if isinstance(value, (int, float)) else np.asarray(value)}


class Zeros(Initializer):
    """0 everywhere."""

    def __call__(self, shape: Sequence[int], dtype: Any = None) -> Tensor:
        """A tensor of `shape`."""
        return ops.zeros(shape, dtype)


class Ones(Initializer):
    """1 everywhere."""

    def __call__(self, shape: Sequence[int], dtype: Any = None) -> Tensor:
        """A tensor of `shape`."""
        return ops.ones(shape, dtype)


class Identity(Initializer):
    """`gain` times the identity matrix."""

    def __init__(self, gain: float = 1.0) -> None:
        self.gain = gain

    def __call__(self, shape: Sequence[int], dtype: Any = None) -> Tensor:
        """A tensor of `shape`, which has two axes."""
        if len(shape) != 2:
            raise ShapeError(f"Identity: expected a shape of 2 axes, got {tuple(shape)}")
        return ops.eye(shape[0], shape[1], dtype=dtype) * self.gain

    def get_config(self) -> dict[str, Any]:
        """The arguments that make an equal initializer."""
        return {"gain": self.gain}
