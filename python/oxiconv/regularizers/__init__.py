"""Regularizers: penalties on weights or activations, added to the loss."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

from oxiconv import ops
from oxiconv.identifier import resolve
from oxiconv.tensor import Tensor, TensorLike

__all__ = [
    "L1",
    "L1L2",
    "L2",
    "OrthogonalRegularizer",
    "Regularizer",
    "deserialize",
    "get",
    "l1",
    "l1_l2",
    "l2",
    "orthogonal_regularizer",
    "serialize",
]


class Regularizer:
    """A function of a tensor that gives a scalar penalty. Subclasses define `__call__` and `get_config`."""

    def __call__(self, x: TensorLike) -> Tensor:
        """The penalty of `x`."""
        raise NotImplementedError(f"{type(self).__name__}: expected a subclass that defines __call__")

    def get_config(self) -> dict[str, Any]:
        """The arguments that make an equal regularizer."""
        return {}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        """A regularizer of a configuration."""
        return cls(**config)


class L1L2(Regularizer):
    """`l1 * sum(|x|) + l2 * sum(x**2)`.

    Example:
        >>> float(L1L2(l1=0.5, l2=1.0)([1.0, -2.0]))
        6.5
    """

    def __init__(self, l1: float = 0.0, l2: float = 0.0) -> None:
        self.l1, self.l2 = _factor("L1L2", "l1", l1, 0.0), _factor("L1L2", "l2", l2, 0.0)

    def __call__(self, x: TensorLike) -> Tensor:
        """The penalty of `x`."""
        total = ops.zeros(())
        if self.l1:
            total = total + self.l1 * ops.sum(ops.absolute(x))
        if self.l2:
            total = total + self.l2 * ops.sum(ops.square(x))
        return total

    def get_config(self) -> dict[str, Any]:
        """The arguments that make an equal regularizer."""
        return {"l1": self.l1, "l2": self.l2}


class L1(Regularizer):
    """`l1 * sum(|x|)`."""

    def __init__(self, l1: float = 0.01) -> None:
        self.l1 = _factor("L1", "l1", l1, 0.01)

    def __call__(self, x: TensorLike) -> Tensor:
        """The penalty of `x`."""
        return self.l1 * ops.sum(ops.absolute(x))

    def get_config(self) -> dict[str, Any]:
        """The arguments that make an equal regularizer."""
        return {"l1": self.l1}


class L2(Regularizer):
    """`l2 * sum(x**2)`."""

    def __init__(self, l2: float = 0.01) -> None:
        self.l2 = _factor("L2", "l2", l2, 0.01)

    def __call__(self, x: TensorLike) -> Tensor:
        """The penalty of `x`."""
        return self.l2 * ops.sum(ops.square(x))

    def get_config(self) -> dict[str, Any]:
        """The arguments that make an equal regularizer."""
        return {"l2": self.l2}


class OrthogonalRegularizer(Regularizer):
    """`factor` times the mean absolute cosine between the rows of a matrix, or its columns.

    Args:
        factor: at least 0.
        mode: "rows" or "columns".

    Example:
        >>> round(float(OrthogonalRegularizer(1.0)([[1.0, 0.0], [1.0, 1.0]])), 4)
        0.7071
    """

    def __init__(self, factor: float = 0.01, mode: str = "rows") -> None:
        self.factor = _factor("OrthogonalRegularizer", "factor", factor, 0.01)
        if mode not in ("rows", "columns"):
            raise ValueError(f"OrthogonalRegularizer: expected mode 'rows' or 'columns', got {mode!r}")
        self.mode = mode

    def __call__(self, x: TensorLike) -> Tensor:
        """The penalty of `x`."""
        x = ops.convert_to_tensor(x, dtype="float32")
        if x.ndim != 2:
            raise ValueError(f"OrthogonalRegularizer: expected 2 axes, got shape {tuple(x.shape)}")
        rows = ops.normalize(x if self.mode == "rows" else ops.transpose(x), axis=1)
        count = rows.shape[0]
        cosines = ops.matmul(rows, ops.transpose(rows)) * (1.0 - ops.eye(count))
        return ops.sum(ops.absolute(cosines)) * (self.factor / (count * (count - 1.0)))

    def get_config(self) -> dict[str, Any]:
        """The arguments that make an equal regularizer."""
        return {"factor": self.factor, "mode": self.mode}


def _factor(cls: str, name: str, value: Any, default: float) -> float:
    if value is None:
        return default
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value < float("inf"):
        raise ValueError(f"{cls}: expected a finite {name} of at least 0, got {value!r}")
    return float(value)


l1, l2, l1_l2, orthogonal_regularizer = L1, L2, L1L2, OrthogonalRegularizer

_KNOWN: dict[str, Any] = {
    "L1": L1,
    "L2": L2,
    "L1L2": L1L2,
    "OrthogonalRegularizer": OrthogonalRegularizer,
    "l1": L1,
    "l2": L2,
    "l1_l2": L1L2,
    "l1l2": L1L2,
    "orthogonal_regularizer": OrthogonalRegularizer,
}


def get(identifier: Any) -> Any:
    """The regularizer that a name, class, configuration or callable stands for."""
    return resolve("regularizer", identifier, _KNOWN)


def serialize(regularizer: Any) -> Any:
    """The configuration of a regularizer."""
    from oxiconv.saving.serialization import serialize_keras_object

    return serialize_keras_object(regularizer)


def deserialize(config: Any, custom_objects: Mapping[str, Any] | None = None) -> Any:
    """The regularizer of a configuration."""
    from oxiconv.saving.serialization import deserialize_keras_object

    return deserialize_keras_object(config, custom_objects)
