"""Areas under the receiver operating characteristic and the precision-recall curve."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from oxiconv import ops
from oxiconv.losses.loss import divide_no_nan
from oxiconv.metrics.confusion_metrics import ConfusionMetric, as_thresholds

if TYPE_CHECKING:
    from oxiconv._core import Tensor

COUNTS = ("true_positives", "true_negatives", "false_positives", "false_negatives")


class AUC(ConfusionMetric):
    """Area under the curve, from the counts at a number of thresholds.

    Args:
        num_thresholds: how many thresholds, evenly spaced over [0, 1], at least 2.
        curve: 'ROC' or 'PR'.
        summation_method: 'interpolation', 'minoring' or 'majoring': how the curve between two thresholds is taken; for
            PR, 'interpolation' is that of Davis and Goadrich (2006).
        name: name of the metric.
        dtype: None or 'float32'.
        thresholds: thresholds in [0, 1] instead of `num_thresholds`; 0 and 1 are added.
        from_logits: whether predictions are logits.

    Example:
        >>> import oxiconv
        >>> float(oxiconv.metrics.AUC(num_thresholds=3)([0, 0, 1, 1], [0, 0.5, 0.3, 0.9]))
        0.75
    """

    def __init__(
        self,
        num_thresholds: int = 200,
        curve: str = "ROC",
        summation_method: str = "interpolation",
        name: str | None = None,
        dtype: str | None = None,
        thresholds: Sequence[float] | None = None,
        multi_label: bool = False,
        num_labels: int | None = None,
        label_weights: Sequence[float] | None = None,
        from_logits: bool = False,
    ) -> None:
        if curve not in ("ROC", "PR"):
            raise ValueError(f"AUC: curve must be 'ROC' or 'PR', got {curve!r}.")
        if summation_method not in ("interpolation", "minoring", "majoring"):
            raise ValueError(
                f"AUC: summation_method must be 'interpolation', 'minoring' or 'majoring', got {summation_method!r}."
            )
        if multi_label or num_labels is not None or label_weights is not None:
            raise ValueError("AUC: multi_label, num_labels and label_weights are not supported; use an AUC per label.")
        if thresholds is None and num_thresholds < 2:
            raise ValueError(f"AUC: num_thresholds must be at least 2, got {num_thresholds!r}.")
        steps = num_thresholds - 1
        inner = (
            [i / steps for i in range(1, steps)]
            if thresholds is None
            else sorted(as_thresholds("AUC", list(thresholds)))
        )
        # Beyond [0, 1], so that at the ends of the curve all predictions are positive, and all negative.
        super().__init__(COUNTS, [-1e-7, *inner, 1.0 + 1e-7], name=name, dtype=dtype)
        self.num_thresholds = len(self.thresholds)
        self.curve = curve
        self.summation_method = summation_method
        self.from_logits = from_logits
        self._given = None if thresholds is None else list(thresholds)

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Adds a batch; arguments as in `ConfusionMetric`."""
        super().update_state(y_true, ops.sigmoid(y_pred) if self.from_logits else y_pred, sample_weight)

    def result(self) -> Tensor:
        """The area."""
        tp, tn, fp, fn = (self._counts[count].value for count in COUNTS)
        if self.curve == "PR" and self.summation_method == "interpolation":
            return _interpolated_pr(tp, fp, fn)
        recall = divide_no_nan(tp, tp + fn)
        if self.curve == "ROC":
            x, y = divide_no_nan(fp, fp + tn), recall
        else:
            x, y = recall, divide_no_nan(tp, tp + fp)
        if self.summation_method == "interpolation":
            heights = (y[:-1] + y[1:]) * 0.5
        else:
            heights = (ops.minimum if self.summation_method == "minoring" else ops.maximum)(y[:-1], y[1:])
        return ops.sum((x[:-1] - x[1:]) * heights)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {
            "num_thresholds": self.num_thresholds,
            "curve": self.curve,
            "summation_method": self.summation_method,
            "name": self.name,
            "thresholds": self._given,
            "from_logits": self.from_logits,
        }


def _interpolated_pr(tp: Tensor, fp: Tensor, fn: Tensor) -> Tensor:
    """Between two thresholds the true positives are linear in the positives; precision is integrated over recall."""
    positives = tp + fp
    gained = tp[:-1] - tp[1:]
    slope = divide_no_nan(gained, ops.maximum(positives[:-1] - positives[1:], 0.0))
    intercept = tp[1:] - slope * positives[1:]
    both = ops.logical_and(ops.greater(positives[:-1], 0.0), ops.greater(positives[1:], 0.0))
    ratio = ops.where(both, divide_no_nan(positives[:-1], positives[1:]), 1.0)
    increments = slope * (gained + intercept * ops.log(ratio))
    return ops.sum(divide_no_nan(increments, tp[1:] + fn[1:]))
