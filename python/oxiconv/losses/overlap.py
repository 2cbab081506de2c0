"""Losses of predicted regions by how they overlap the labelled ones."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from oxiconv import ops
from oxiconv.losses.loss import LossFunctionWrapper
from oxiconv.losses.regression import EPSILON, as_pair

if TYPE_CHECKING:
    from oxiconv._core import Tensor

Axes = int | Sequence[int] | None


def dice(y_true: Any, y_pred: Any, axis: Axes = None) -> Tensor:
    """`1 - 2 sum(t p) / (sum(t) + sum(p) + 1e-7)`, sums over `axis`: None for all, with the batch.

    Example:
        >>> import oxiconv
        >>> float(oxiconv.losses.dice([[1.0, 0.0]], [[0.5, 0.5]]))
        0.5
    """
    y_true, y_pred = as_pair("dice", y_true, y_pred)
    both = ops.sum(y_true * y_pred, axis=axis)
    return 1.0 - both * 2.0 / (ops.sum(y_true, axis=axis) + ops.sum(y_pred, axis=axis) + EPSILON)


def tversky(y_true: Any, y_pred: Any, alpha: float = 0.5, beta: float = 0.5, axis: Axes = None) -> Tensor:
    """`1 - both / (both + alpha * missed + beta * wrong + 1e-7)`: of what is labelled or predicted, and only that.

    `both = sum(t p)`, `missed = sum(t (1 - p))`, `wrong = sum((1 - t) p)` over `axis`, None for all, with the batch
    (Salehi et al., 2017).
    """
    y_true, y_pred = as_pair("tversky", y_true, y_pred)
    both = ops.sum(y_true * y_pred, axis=axis)
    missed = ops.sum((1.0 - y_pred) * y_true, axis=axis)
    wrong = ops.sum((1.0 - y_true) * y_pred, axis=axis)
    return 1.0 - both / (both + missed * alpha + wrong * beta + EPSILON)


class Dice(LossFunctionWrapper):
    """`dice`, reduced."""

    def __init__(
        self,
        reduction: str | None = "sum_over_batch_size",
        name: str = "dice",
        axis: Axes = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(dice, reduction, name, dtype, axis=axis)


class Tversky(LossFunctionWrapper):
    """`tversky`, reduced."""

    def __init__(
        self,
        alpha: float = 0.5,
        beta: float = 0.5,
        reduction: str | None = "sum_over_batch_size",
        name: str = "tversky",
        axis: Axes = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(tversky, reduction, name, dtype, alpha=alpha, beta=beta, axis=axis)
