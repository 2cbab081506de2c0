"""Layers of several inputs, elementwise with broadcasting or one after another."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

from oxiconv import masks, ops
from oxiconv.layers.layer import Layer
from oxiconv.ops.reduction import axes_of
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

    def _fold_masked(self, function: Callable[[Any, Any], Tensor], inputs: Any) -> Tensor:
        """As `_fold`, but where one of a pair is masked the other stands for both."""
        first, *rest = self._inputs(inputs)
        valid, *others = (masks.get_keras_mask(x) for x in inputs)
        for x, mask in zip(rest, others, strict=True):
            x = x if mask is None else ops.where(ops.expand_dims(mask, -1), x, first)
            first = first if valid is None else ops.where(ops.expand_dims(valid, -1), first, x)
            valid = None if mask is None or valid is None else ops.logical_or(valid, mask)
            first = function(first, x)
        return first

    def compute_mask(self, inputs: Any, previous_mask: Any) -> Any:
        """Where any of the inputs counts; None if one has no mask."""
        if previous_mask is None or any(mask is None for mask in previous_mask):
            return None
        first, *rest = previous_mask
        for mask in rest:
            first = ops.logical_or(first, mask)
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
        tensors = self._inputs(inputs)
        found = [masks.get_keras_mask(x) for x in inputs]
        # What is masked is left out; where all inputs are, the product is 0.
        for i, mask in enumerate(found):
            if mask is not None:
                tensors[i] = ops.where(ops.expand_dims(mask, -1), tensors[i], 1.0)
        product = self._fold(ops.multiply, tensors)
        any_left = self.compute_mask(inputs, found)
        return product if any_left is None else ops.where(ops.expand_dims(any_left, -1), product, 0.0)


class Average(Merge):
    """The mean of the inputs."""

    def call(self, inputs: Sequence[Tensor]) -> Tensor:
        """The mean."""
        return self._fold(ops.add, inputs) / float(len(inputs))


class Maximum(Merge):
    """The elementwise maximum of the inputs."""

    def call(self, inputs: Sequence[Tensor]) -> Tensor:
        """The maximum."""
        return self._fold_masked(ops.maximum, inputs)


class Minimum(Merge):
    """The elementwise minimum of the inputs."""

    def call(self, inputs: Sequence[Tensor]) -> Tensor:
        """The minimum."""
        return self._fold_masked(ops.minimum, inputs)


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

    def compute_mask(self, inputs: Any, previous_mask: Any) -> Any:
        """The masks one after another; inputs without one count everywhere."""
        if previous_mask is None or all(mask is None for mask in previous_mask):
            return None
        parts = []
        for x, mask in zip(inputs, previous_mask, strict=True):
            if mask is None:
                parts.append(ops.ones(x.shape, "bool"))
            else:
                parts.append(ops.broadcast_to(ops.expand_dims(mask, -1), x.shape) if mask.ndim < x.ndim else mask)
        return ops.any(ops.concatenate(parts, self.axis), axis=-1)


class Dot(Merge):
    """Sums of products of two inputs along an axis of each, for each sample.

    Args:
        axes: one axis of both, or one of each; not 0, the batch.
        normalize: whether the inputs are first divided by their lengths along the axes: then these are cosines.
        **kwargs: those of `Layer`.

    Example:
        >>> import numpy as np
        >>> Dot(axes=1)([np.ones((2, 3)), np.ones((2, 3))]).numpy().tolist()
        [[3.0], [3.0]]
    """

    config_fields: ClassVar[tuple[str, ...]] = ("axes", "normalize")

    def __init__(self, axes: int | Sequence[int], normalize: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        given = [axes, axes] if isinstance(axes, int) else axes
        if not isinstance(given, (list, tuple)):
            raise TypeError(f"{self._label}: expected an axis or two, got {axes!r}")
        if len(given) != 2 or any(isinstance(a, bool) or not isinstance(a, int) or a == 0 for a in given):
            raise ValueError(f"{self._label}: expected an axis or two, each not 0, got {axes!r}")
        self.axes = axes
        self.normalize = normalize

    def call(self, inputs: Sequence[Tensor]) -> Tensor:
        """The sums: the axes of the first input that are left, then those of the second."""
        if not isinstance(inputs, (list, tuple)) or len(inputs) != 2:
            raise ShapeError(f"merge: expected a list of 2 tensors, got {inputs!r}")
        given = (self.axes, self.axes) if isinstance(self.axes, int) else self.axes
        rows = []
        for x, axis in zip(inputs, given, strict=True):
            (place,) = axes_of(axis, x.ndim, "merge")
            if place == 0 or x.ndim < 2:
                raise ShapeError(f"merge: expected axis {axis} to be one after the batch, got shape {x.shape}")
            x = ops.normalize(x, axis=place) if self.normalize else x
            rows.append(ops.moveaxis(x, place, -1))
        a, b = rows
        if a.shape[0] != b.shape[0] or a.shape[-1] != b.shape[-1]:
            raise ShapeError(
                f"merge: expected equal sizes of the batch and of axes {list(given)}, got shapes {inputs[0].shape} and "
                f"{inputs[1].shape}"
            )
        n, size = a.shape[0], a.shape[-1]
        product = ops.matmul(
            ops.reshape(a, (n, math.prod(a.shape[1:-1]), size)),
            ops.moveaxis(ops.reshape(b, (n, math.prod(b.shape[1:-1]), size)), 1, 2),
        )
        left = (*a.shape[1:-1], *b.shape[1:-1])
        return ops.reshape(product, (n, *(left or (1,))))

    def compute_mask(self, inputs: Any, previous_mask: Any) -> None:
        """None: the steps are summed or paired."""


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


def dot(inputs: Sequence[Any], axes: int | Sequence[int] = -1, **kwargs: Any) -> Tensor:
    """`Dot` of the inputs."""
    return Dot(axes, **kwargs)(inputs)  # type: ignore[no-any-return]
