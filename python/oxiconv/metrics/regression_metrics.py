"""Errors of real-valued predictions."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

from oxiconv import ops
from oxiconv.losses.loss import align_weight, check_weight
from oxiconv.losses.regression import (
    as_pair,
    cosine_similarity,
    log_cosh,
    mean_absolute_error,
    mean_absolute_percentage_error,
    mean_squared_error,
    mean_squared_logarithmic_error,
)
from oxiconv.metrics.metric import Accumulator, Metric
from oxiconv.metrics.reduction_metrics import Mean, MeanMetricWrapper

if TYPE_CHECKING:
    from oxiconv._core import Tensor


class MeanSquaredError(MeanMetricWrapper):
    """Mean of `losses.mean_squared_error`.

    Example:
        >>> import oxiconv
        >>> float(oxiconv.metrics.MeanSquaredError()([[0.0], [0.0]], [[1.0], [3.0]]))
        5.0
    """

    def __init__(self, name: str = "mean_squared_error", dtype: Any = None) -> None:
        super().__init__(mean_squared_error, name, dtype)


class MeanAbsoluteError(MeanMetricWrapper):
    """Mean of `losses.mean_absolute_error`."""

    def __init__(self, name: str = "mean_absolute_error", dtype: Any = None) -> None:
        super().__init__(mean_absolute_error, name, dtype)


class MeanAbsolutePercentageError(MeanMetricWrapper):
    """Mean of `losses.mean_absolute_percentage_error`."""

    def __init__(self, name: str = "mean_absolute_percentage_error", dtype: Any = None) -> None:
        super().__init__(mean_absolute_percentage_error, name, dtype)


class MeanSquaredLogarithmicError(MeanMetricWrapper):
    """Mean of `losses.mean_squared_logarithmic_error`."""

    def __init__(self, name: str = "mean_squared_logarithmic_error", dtype: Any = None) -> None:
        super().__init__(mean_squared_logarithmic_error, name, dtype)


class LogCoshError(MeanMetricWrapper):
    """Mean of `losses.log_cosh`."""

    def __init__(self, name: str = "logcosh", dtype: Any = None) -> None:
        super().__init__(log_cosh, name, dtype)


class CosineSimilarity(MeanMetricWrapper):
    """Mean cosine of the angle between targets and predictions: minus the loss of that name."""

    def __init__(self, name: str = "cosine_similarity", dtype: Any = None, axis: int = -1) -> None:
        super().__init__(_cosine, name, dtype, axis=axis)


def _cosine(y_true: Any, y_pred: Any, axis: int) -> Tensor:
    return ops.negative(cosine_similarity(y_true, y_pred, axis))


class RootMeanSquaredError(Mean):
    """Square root of the mean squared error over all elements.

    Example:
        >>> import oxiconv
        >>> float(oxiconv.metrics.RootMeanSquaredError()([[0.0], [0.0]], [[4.0], [4.0]]))
        4.0
    """

    def __init__(self, name: str = "root_mean_squared_error", dtype: Any = None) -> None:
        super().__init__(name, dtype)

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:  # type: ignore[override]
        """Adds a batch."""
        y_true, y_pred = as_pair("root_mean_squared_error", y_true, y_pred)
        super().update_state(ops.square(ops.subtract(y_true, y_pred)), sample_weight)

    def result(self) -> Tensor:
        """The value over all batches since the last reset."""
        return ops.sqrt(super().result())


class R2Score(Metric):
    """Coefficient of determination: 1 minus the squared error over the squared deviation of the targets.

    Args:
        class_aggregation: 'uniform_average' of the outputs, 'variance_weighted_average', or None for a value each.
        num_regressors: number of independent regressors, for the adjusted score; 0 for the plain one.
        name: name of the metric.
        dtype: a floating type.

    Example:
        >>> import oxiconv
        >>> round(float(oxiconv.metrics.R2Score()([[1.0], [4.0], [3.0]], [[2.0], [4.0], [4.0]])), 4)
        0.5714
    """

    def __init__(
        self,
        class_aggregation: str | None = "uniform_average",
        num_regressors: int = 0,
        name: str = "r2_score",
        dtype: Any = None,
    ) -> None:
        super().__init__(dtype, name)
        allowed = (None, "uniform_average", "variance_weighted_average")
        if class_aggregation not in allowed:
            raise ValueError(f"R2Score: class_aggregation must be one of {allowed}, got {class_aggregation!r}.")
        if num_regressors < 0:
            raise ValueError(f"R2Score: num_regressors must be at least 0, got {num_regressors!r}.")
        self.class_aggregation = class_aggregation
        self.num_regressors = num_regressors
        self._sums = {"num_samples": Accumulator(self, "num_samples")}

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Adds a batch of targets and predictions `[batch, outputs]`."""
        y_true, y_pred = as_pair("R2Score", y_true, y_pred, broadcast=False)
        if len(y_true.shape) != 2:
            raise ValueError(f"R2Score: expected targets and predictions of 2 axes, got shape {tuple(y_true.shape)}.")
        if len(self._sums) == 1:
            names = ("squared_sum", "sum", "residual", "count")
            self._sums |= {name: Accumulator(self, name, y_true.shape[1:]) for name in names}
        weight = ops.ones(y_true.shape)
        if sample_weight is not None:
            given = ops.convert_to_tensor(sample_weight, dtype="float32")
            check_weight(y_true, given)
            weight = ops.multiply(weight, align_weight(y_true, given))
        self._sums["sum"].add(ops.sum(y_true * weight, axis=0))
        self._sums["squared_sum"].add(ops.sum(y_true * (y_true * weight), axis=0))
        self._sums["residual"].add(ops.sum(ops.square(y_true - y_pred) * weight, axis=0))
        self._sums["count"].add(ops.sum(weight, axis=0))
        self._sums["num_samples"].add(ops.convert_to_tensor(float(y_true.size)))

    def result(self) -> Tensor:
        """The score over all batches since the last reset."""
        if len(self._sums) == 1:
            return ops.convert_to_tensor(0.0)
        sums = {name: accumulator.value for name, accumulator in self._sums.items()}
        total = sums["squared_sum"] - sums["sum"] * (sums["sum"] / sums["count"])
        scores = 1.0 - sums["residual"] / total
        scores = ops.where(ops.isinf(scores), 0.0, scores)
        if self.class_aggregation == "uniform_average":
            scores = ops.mean(scores)
        elif self.class_aggregation == "variance_weighted_average":
            scores = ops.sum(total * scores) / ops.sum(total)
        return self._adjusted(scores, sums["num_samples"]) if self.num_regressors else scores

    def _adjusted(self, scores: Tensor, samples: Tensor) -> Tensor:
        free = samples - 1.0 - float(self.num_regressors)
        enough = ops.greater(free, 0.0)
        if not enough.traced and not bool(enough):
            warnings.warn("R2Score: too few samples for an adjusted score; this is the plain one.", stacklevel=3)
        return ops.where(enough, 1.0 - (1.0 - scores) * (samples - 1.0) / ops.where(enough, free, 1.0), scores)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        given = {"class_aggregation": self.class_aggregation, "num_regressors": self.num_regressors}
        return {**super().get_config(), **given}
