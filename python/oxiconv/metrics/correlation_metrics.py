"""Correlations of targets and predictions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from oxiconv import ops
from oxiconv.losses.regression import EPSILON, as_pair
from oxiconv.metrics.reduction_metrics import MeanMetricWrapper

if TYPE_CHECKING:
    from oxiconv._core import Tensor


def pearson_correlation(y_true: Any, y_pred: Any, axis: int = -1) -> Tensor:
    """Covariance along `axis` over the product of the deviations: 1 for predictions on a rising line.

    Example:
        >>> import oxiconv
        >>> round(float(oxiconv.metrics.pearson_correlation([0.0, 1.0, 0.5], [1.0, 3.0, 2.0])), 4)
        1.0
    """
    y_true, y_pred = (_centered(y, axis) for y in as_pair("pearson_correlation", y_true, y_pred))
    unit = [y / ops.std(y, axis=axis, keepdims=True) for y in (y_true, y_pred)]
    return ops.mean(unit[0] * unit[1], axis=axis)


def concordance_correlation(y_true: Any, y_pred: Any, axis: int = -1) -> Tensor:
    """Twice the covariance along `axis` over variances plus squared difference of means (Lin, 1989): 1 if equal."""
    y_true, y_pred = as_pair("concordance_correlation", y_true, y_pred)
    true, pred = _centered(y_true, axis), _centered(y_pred, axis)
    apart = ops.square(ops.mean(y_true, axis=axis) - ops.mean(y_pred, axis=axis))
    spread = ops.var(true, axis=axis) + ops.var(pred, axis=axis) + apart
    return ops.mean(true * pred, axis=axis) * 2.0 / (spread + EPSILON)


def _centered(y: Tensor, axis: int) -> Tensor:
    return y - ops.mean(y, axis=axis, keepdims=True)


class PearsonCorrelation(MeanMetricWrapper):
    """Mean of `pearson_correlation`."""

    def __init__(self, name: str = "pearson_correlation", dtype: Any = None, axis: int = -1) -> None:
        super().__init__(pearson_correlation, name, dtype, axis=axis)


class ConcordanceCorrelation(MeanMetricWrapper):
    """Mean of `concordance_correlation`."""

    def __init__(self, name: str = "concordance_correlation", dtype: Any = None, axis: int = -1) -> None:
        super().__init__(concordance_correlation, name, dtype, axis=axis)
