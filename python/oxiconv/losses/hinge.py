"""Margin losses. Targets are -1 and 1; targets of 0 and 1 are converted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from oxiconv import ops
from oxiconv.losses.loss import LossFunctionWrapper
from oxiconv.losses.regression import as_pair

if TYPE_CHECKING:
    from oxiconv._core import Tensor


def _signed(y_true: Tensor) -> Tensor:
    """Targets of 0 and 1, where all are such, as -1 and 1."""
    zero, one = ops.equal(y_true, 0.0), ops.equal(y_true, 1.0)
    binary = ops.all(ops.logical_or(zero, one))
    return ops.where(binary, ops.subtract(ops.multiply(y_true, 2.0), 1.0), y_true)


def hinge(y_true: Any, y_pred: Any) -> Tensor:
    """Mean over the last axis of `max(1 - t p, 0)`.

    Example:
        >>> import oxiconv
        >>> oxiconv.losses.hinge([[1.0, -1.0]], [[0.5, 0.5]]).numpy().tolist()
        [1.0]
    """
    y_true, y_pred = as_pair("hinge", y_true, y_pred)
    return ops.mean(ops.maximum(ops.subtract(1.0, ops.multiply(_signed(y_true), y_pred)), 0.0), axis=-1)


def squared_hinge(y_true: Any, y_pred: Any) -> Tensor:
    """Mean over the last axis of `max(1 - t p, 0)**2`."""
    y_true, y_pred = as_pair("squared_hinge", y_true, y_pred)
    return ops.mean(ops.square(ops.maximum(ops.subtract(1.0, ops.multiply(_signed(y_true), y_pred)), 0.0)), axis=-1)


def categorical_hinge(y_true: Any, y_pred: Any) -> Tensor:
    """`max(neg - pos + 1, 0)`, pos = sum of `t p`, neg = maximum of `(1 - t) p`, over the last axis."""
    y_true, y_pred = as_pair("categorical_hinge", y_true, y_pred)
    pos = ops.sum(ops.multiply(y_true, y_pred), axis=-1)
    neg = ops.max(ops.multiply(ops.subtract(1.0, y_true), y_pred), axis=-1)
    return ops.maximum(ops.add(ops.subtract(neg, pos), 1.0), 0.0)


class Hinge(LossFunctionWrapper):
    """`hinge`, reduced."""

    def __init__(self, reduction: str | None = "sum_over_batch_size", name: str = "hinge", dtype: Any = None) -> None:
        super().__init__(hinge, reduction, name, dtype)


class SquaredHinge(LossFunctionWrapper):
    """`squared_hinge`, reduced."""

    def __init__(
        self, reduction: str | None = "sum_over_batch_size", name: str = "squared_hinge", dtype: Any = None
    ) -> None:
        super().__init__(squared_hinge, reduction, name, dtype)


class CategoricalHinge(LossFunctionWrapper):
    """`categorical_hinge`, reduced."""

    def __init__(
        self, reduction: str | None = "sum_over_batch_size", name: str = "categorical_hinge", dtype: Any = None
    ) -> None:
        super().__init__(categorical_hinge, reduction, name, dtype)
