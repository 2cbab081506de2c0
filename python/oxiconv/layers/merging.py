"""Layers of several inputs, elementwise with broadcasting or one after another."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar

from oxiconv import ops
from oxiconv.layers.layer import Layer
from oxiconv.tensor import ShapeError, Tensor


class Merge(Layer):
    """Base of the layers that combine a list of tensors."""

    supports_masking = True

    def _inputs(self, inputs: Any, least: int = 1) -> list[Tensor]:
        if not isinstance(inputs, (list, tuple)) or len(inputs) < least:
            given = len(inputs) if isinstance(inputs, (list, tuple)) else type(inputs).__name__
            raise ShapeError(f"merge: expected a list of at least {least} tensors, got {given}")
        tensors = [ops.convert_to_tensor(x) for x in inputs]
        rank = max(t.ndim for t in tensors)
        # Fewer axes: the missing ones follow the batch.
        return [
            ops.reshape(t, (*t.shape[:1], *(1,) * (rank - t.ndim), *t.shape[1:])) if t.ndim < rank else t
            for t in tensors
        ]

    def _fold(self, function: Callable[[Any, Any], Tensor], inputs: Any) -> Tensor:
        first, *rest = self._inputs(inputs)
        for x in rest:
            first = function(first, x)
        return first


class Add(Merge):
    """The sum of the inputs.

    Example:
        >>> import numpy as np
        >>> Add()([np.ones((1, 2)), np.ones((1, 2))]).numpy().tolist()
        [[2.0, 2.0]]
    """

    def call(self, inputs: Sequence[Tensor]) -> Tensor:
        """The sum."""
        return self._fold(ops.add, inputs)


class Subtract(Merge):
    """The first of two inputs minus the second."""

    def call(self, inputs: Sequence[Tensor]) -> Tensor:
        """The difference."""
        tensors = self._inputs(inputs, 2)
        if len(tensors) != 2:
            raise ShapeError(f"merge: expected 2 tensors, got {len(tensors)}")
        return ops.subtract(*tensors)


class Multiply(Merge):
    """The product of the inputs."""

    def call(self, inputs: Sequence[Tensor]) -> Tensor:
        """The product."""
        return self._fold(ops.multiply, inputs)


class Average(Merge):
    """The mean of the inputs."""

    def call(self, inputs: Sequence[Tensor]) -> Tensor:
        """The mean."""
        return self._fold(ops.add, inputs) / float(len(inputs))


class Maximum(Merge):
    """The elementwise maximum of the inputs."""

    def call(self, inputs: Sequence[Tensor]) -> Tensor:
        """The maximum."""
        return self._fold(ops.maximum, inputs)


class Minimum(Merge):
    """The elementwise minimum of the inputs."""

    def call(self, inputs: Sequence[Tensor]) -> Tensor:
        """The minimum."""
        return self._fold(ops.minimum, inputs)


class Concatenate(Merge):
    """The inputs one after another along `axis`.

    Args:
        axis: of the concatenation.
        **kwargs: those of `Layer`.
    """

    config_fields: ClassVar[tuple[str, ...]] = ("axis",)

    def __init__(self, axis: int = -1, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.axis = axis

    def call(self, inputs: Sequence[Tensor]) -> Tensor:
        """The concatenation."""
        if not isinstance(inputs, (list, tuple)) or not inputs:
            raise ShapeError(f"merge: expected a list of tensors, got {type(inputs).__name__}")
        return ops.concatenate(inputs, self.axis)


def add(inputs: Sequence[Any], **kwargs: Any) -> Tensor:
    """`Add` of the inputs."""
    return Add(**kwargs)(inputs)  # type: ignore[no-any-return]


def subtract(inputs: Sequence[Any], **kwargs: Any) -> Tensor:
    """`Subtract` of the inputs."""
    return Subtract(**kwargs)(inputs)  # type: ignore[no-any-return]


def multiply(inputs: Sequence[Any], **kwargs: Any) -> Tensor:
    """`Multiply` of the inputs."""
    return Multiply(**kwargs)(inputs)  # type: ignore[no-any-return]


def average(inputs: Sequence[Any], **kwargs: Any) -> Tensor:
    """`Average` of the inputs."""
    return Average(**kwargs)(inputs)  # type: ignore[no-any-return]


def maximum(inputs: Sequence[Any], **kwargs: Any) -> Tensor:
    """`Maximum` of the inputs."""
    return Maximum(**kwargs)(inputs)  # type: ignore[no-any-return]


def minimum(inputs: Sequence[Any], **kwargs: Any) -> Tensor:
    """`Minimum` of the inputs."""
    return Minimum(**kwargs)(inputs)  # type: ignore[no-any-return]


def concatenate(inputs: Sequence[Any], axis: int = -1, **kwargs: Any) -> Tensor:
    """`Concatenate` of the inputs."""
    return Concatenate(axis, **kwargs)(inputs)  # type: ignore[no-any-return]
