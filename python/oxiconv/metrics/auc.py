"""Areas under the receiver operating characteristic, the precision-recall and the precision-recall-gain curve."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from oxiconv import ops
from oxiconv.losses.loss import align_weight, check_weight, divide_no_nan
from oxiconv.losses.regression import EPSILON, as_pair
from oxiconv.metrics.confusion_metrics import ConfusionMetric, as_thresholds
from oxiconv.metrics.threshold_metrics import COUNTS

if TYPE_CHECKING:
    from oxiconv._core import Tensor


class AUC(ConfusionMetric):
    """Area under the curve, from the counts at a number of thresholds.

    Args:
        num_thresholds: how many thresholds, evenly spaced over [0, 1], at least 2.
        curve: 'ROC', 'PR' or 'PRGAIN'.
        summation_method: 'interpolation', 'minoring' or 'majoring': how the curve between two thresholds is taken; for
            PR, 'interpolation' is that of Davis and Goadrich (2006).
        name: name of the metric.
        dtype: a floating type.
        thresholds: thresholds in [0, 1] instead of `num_thresholds`; 0 and 1 are added.
        multi_label: whether each entry of the last axis is a label with an area of its own, of which the mean is taken.
        num_labels: the number of labels, with `multi_label`; by default that of the first predictions.
        label_weights: weights of the labels: in their mean, or without `multi_label` of their counts.
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
        dtype: Any = None,
        thresholds: Sequence[float] | None = None,
        multi_label: bool = False,
        num_labels: int | None = None,
        label_weights: Sequence[float] | None = None,
        from_logits: bool = False,
    ) -> None:
        self.curve = str(curve).upper()
        self.summation_method = str(summation_method).lower()
        if self.curve not in ("ROC", "PR", "PRGAIN"):
            raise ValueError(f"AUC: curve must be 'ROC', 'PR' or 'PRGAIN', got {curve!r}.")
        if self.summation_method not in ("interpolation", "minoring", "majoring"):
            raise ValueError(
                f"AUC: summation_method must be 'interpolation', 'minoring' or 'majoring', got {summation_method!r}."
            )
        if num_labels is not None and not multi_label:
            raise ValueError("AUC: num_labels is for multi_label=True only.")
        if thresholds is None and num_thresholds < 2:
            raise ValueError(f"AUC: num_thresholds must be at least 2, got {num_thresholds!r}.")
        steps = num_thresholds - 1
        inner = (
            [i / steps for i in range(1, steps)]
            if thresholds is None
            else sorted(as_thresholds("AUC", list(thresholds)))
        )
        self.multi_label = multi_label
        self.num_labels = num_labels
        self.label_weights: Tensor | None = (
            None if label_weights is None else ops.convert_to_tensor(label_weights, dtype="float32")
        )
        # Beyond [0, 1], so that at the ends of the curve all predictions are positive, and all negative.
        super().__init__(COUNTS, [-EPSILON, *inner, 1.0 + EPSILON], name=name, dtype=dtype)
        self.num_thresholds = len(self.thresholds)
        self.from_logits = from_logits
        self._own_thresholds = None if thresholds is None else inner

    def _make(self, shape: tuple[int, ...]) -> None:
        if not self.multi_label:
            super()._make(shape)
        elif self.num_labels:
            super()._make((*shape, self.num_labels))

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Adds a batch of targets and predictions of one shape, and weights of their leading axes."""
        y_true, y_pred = as_pair("AUC", y_true, y_pred, broadcast=False)
        if self.multi_label and len(y_pred.shape) != 2:
            raise ValueError(f"AUC: expected 2 axes with multi_label=True, got shape {tuple(y_pred.shape)}.")
        if not self._counts:
            super()._make((self.num_thresholds, y_pred.shape[-1]))
        if self.from_logits:
            y_pred = ops.sigmoid(y_pred)
        if self.label_weights is None and not self.multi_label:
            super().update_state(y_true, y_pred, sample_weight)
            return
        weight = None if sample_weight is None else ops.convert_to_tensor(sample_weight, dtype="float32")
        if weight is not None:
            check_weight(y_pred, weight)
            weight = ops.broadcast_to(align_weight(y_pred, weight), y_pred.shape)
        if self.multi_label:
            self._add(y_true, y_pred, weight)
            return
        assert self.label_weights is not None
        by_label = ops.multiply(ops.ones(y_pred.shape), self.label_weights)
        super().update_state(y_true, y_pred, by_label if weight is None else weight * by_label)

    def result(self) -> Tensor:
        """The area, or the mean of the labels' areas."""
        if not self._counts:
            return ops.convert_to_tensor(0.0)
        terms = self._terms()
        if not self.multi_label:
            return ops.sum(terms)
        areas = ops.sum(terms, axis=0)
        if self.label_weights is None:
            return ops.mean(areas)
        return divide_no_nan(ops.sum(areas * self.label_weights), ops.sum(self.label_weights))

    def _terms(self) -> Tensor:
        """The parts of the area between neighbouring thresholds, by label if there are several."""
        tp, fp, tn, fn = (self._counts[count].value for count in COUNTS)
        if self.curve == "PR" and self.summation_method == "interpolation":
            return _interpolated_pr(tp, fp, fn)
        recall = divide_no_nan(tp, tp + fn)
        if self.curve == "ROC":
            x, y = divide_no_nan(fp, fp + tn), recall
        elif self.curve == "PR":
            x, y = recall, divide_no_nan(tp, tp + fp)
        else:
            x, y = _gains(tp, fp, tn, fn)
        if self.summation_method == "interpolation":
            heights = (y[:-1] + y[1:]) * 0.5
        else:
            heights = (ops.minimum if self.summation_method == "minoring" else ops.maximum)(y[:-1], y[1:])
        return (x[:-1] - x[1:]) * heights

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        weights = self.label_weights
        return {
            **super().get_config(),
            "num_thresholds": self.num_thresholds,
            "curve": self.curve,
            "summation_method": self.summation_method,
            "multi_label": self.multi_label,
            "num_labels": self.num_labels,
            "label_weights": None if weights is None else weights.numpy().tolist(),
            "from_logits": self.from_logits,
            **({} if self._own_thresholds is None else {"thresholds": self._own_thresholds}),
        }


def _gains(tp: Tensor, fp: Tensor, tn: Tensor, fn: Tensor) -> tuple[Tensor, Tensor]:
    """Recall and precision between those of chance and 1 (Flach and Kull, 2015)."""
    odds = divide_no_nan(tp + fn, tn + fp)
    none = ops.equal(tp, 0.0)
    recall = ops.where(none, 0.0, 1.0 - odds * divide_no_nan(fn, tp))
    precision = ops.where(none, 1.0, 1.0 - odds * divide_no_nan(fp, tp))
    return ops.maximum(recall, 0.0), precision


def _interpolated_pr(tp: Tensor, fp: Tensor, fn: Tensor) -> Tensor:
    """Between two thresholds the true positives are linear in the positives; precision is integrated over recall."""
    positives = tp + fp
    gained = tp[:-1] - tp[1:]
    slope = divide_no_nan(gained, ops.maximum(positives[:-1] - positives[1:], 0.0))
    intercept = tp[1:] - slope * positives[1:]
    both = ops.logical_and(ops.greater(positives[:-1], 0.0), ops.greater(positives[1:], 0.0))
    ratio = ops.where(both, divide_no_nan(positives[:-1], positives[1:]), 1.0)
    return divide_no_nan(slope * (gained + intercept * ops.log(ratio)), tp[1:] + fn[1:])
