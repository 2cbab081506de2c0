"""The best of one rate where another is good enough, over thresholds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from oxiconv import ops
from oxiconv.losses.loss import divide_no_nan
from oxiconv.metrics.confusion_metrics import ConfusionMetric

if TYPE_CHECKING:
    from oxiconv._core import Tensor

COUNTS = ("true_positives", "false_positives", "true_negatives", "false_negatives")
# Each rate is the share of its first count in the sum of both.
_RATES = {
    "precision": ("true_positives", "false_positives"),
    "recall": ("true_positives", "false_negatives"),
    "sensitivity": ("true_positives", "false_negatives"),
    "specificity": ("true_negatives", "false_positives"),
}


class _BestRate(ConfusionMetric):
    """The largest of a rate over the thresholds where another rate is at least `value`; 0 if nowhere.

    Args:
        value: what the other rate must reach, in [0, 1].
        num_thresholds: how many thresholds, evenly spaced over [0, 1]; 1 for 0.5 alone.
        class_id: only this entry of the last axis counts.
        name: name of the metric.
        dtype: a floating type.
    """

    _best: ClassVar[str]
    _required: ClassVar[str]

    def __init__(
        self,
        value: float,
        num_thresholds: int = 200,
        class_id: int | None = None,
        name: str | None = None,
        dtype: Any = None,
    ) -> None:
        who = type(self).__name__
        if not 0 <= value <= 1:
            raise ValueError(f"{who}: {self._required} must be in [0, 1], got {value!r}.")
        if num_thresholds < 1:
            raise ValueError(f"{who}: num_thresholds must be at least 1, got {num_thresholds!r}.")
        steps = num_thresholds - 1
        thresholds = [i / steps for i in range(num_thresholds)] if steps else [0.5]
        super().__init__(COUNTS, thresholds, class_id=class_id, name=name, dtype=dtype)
        self.value = value
        self.num_thresholds = num_thresholds

    def _rate(self, name: str) -> Tensor:
        some, others = _RATES[name]
        return divide_no_nan(self._value(some), self._value(some, others))

    def result(self) -> Tensor:
        """The best rate over all batches since the last reset."""
        enough = ops.greater_equal(self._rate(self._required), self.value)
        return ops.max(ops.where(enough, self._rate(self._best), 0.0))

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        own = {"class_id": self.class_id, "num_thresholds": self.num_thresholds, self._required: self.value}
        return {**super().get_config(), **own}


class SensitivityAtSpecificity(_BestRate):
    """The best sensitivity where the specificity is at least `specificity`. Other arguments: see `PrecisionAtRecall`.

    Example:
        >>> import oxiconv
        >>> float(oxiconv.metrics.SensitivityAtSpecificity(0.5)([0, 0, 0, 1, 1], [0, 0.3, 0.8, 0.3, 0.8]))
        0.5
    """

    _best, _required = "sensitivity", "specificity"

    def __init__(
        self,
        specificity: float,
        num_thresholds: int = 200,
        class_id: int | None = None,
        name: str | None = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(specificity, num_thresholds, class_id, name, dtype)
        self.specificity = specificity


class SpecificityAtSensitivity(_BestRate):
    """The best specificity where the sensitivity is at least `sensitivity`. Others: see `PrecisionAtRecall`."""

    _best, _required = "specificity", "sensitivity"

    def __init__(
        self,
        sensitivity: float,
        num_thresholds: int = 200,
        class_id: int | None = None,
        name: str | None = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(sensitivity, num_thresholds, class_id, name, dtype)
        self.sensitivity = sensitivity


class PrecisionAtRecall(_BestRate):
    """The best precision where the recall is at least `recall`.

    Args:
        recall: what the recall must reach, in [0, 1].
        num_thresholds: how many thresholds, evenly spaced over [0, 1]; 1 for 0.5 alone.
        class_id: only this entry of the last axis counts.
        name: name of the metric.
        dtype: a floating type.

    Example:
        >>> import oxiconv
        >>> float(oxiconv.metrics.PrecisionAtRecall(0.5)([0, 0, 0, 1, 1], [0, 0.3, 0.8, 0.3, 0.8]))
        0.5
    """

    _best, _required = "precision", "recall"

    def __init__(
        self,
        recall: float,
        num_thresholds: int = 200,
        class_id: int | None = None,
        name: str | None = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(recall, num_thresholds, class_id, name, dtype)
        self.recall = recall


class RecallAtPrecision(_BestRate):
    """The best recall where the precision is at least `precision`. Other arguments: see `PrecisionAtRecall`."""

    _best, _required = "recall", "precision"

    def __init__(
        self,
        precision: float,
        num_thresholds: int = 200,
        class_id: int | None = None,
        name: str | None = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(precision, num_thresholds, class_id, name, dtype)
        self.precision = precision
