"""F-scores: precision and recall in one number."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from oxiconv import ops
from oxiconv.losses.regression import EPSILON, as_pair
from oxiconv.metrics.metric import Accumulator, Metric

if TYPE_CHECKING:
    from oxiconv._core import Tensor

_SUMS = ("true_positives", "false_positives", "false_negatives", "intermediate_weights")


class FBetaScore(Metric):
    """`(1 + beta**2) * precision * recall / (beta**2 * precision + recall)` of classes or labels.

    Args:
        average: None for a score per class, 'micro' of the counts of all classes, 'macro' for the mean of the scores,
            'weighted' for their mean by number of targets.
        beta: weight of the recall, above 0.
        threshold: predictions above it are positive, in (0, 1]; None for the largest of each sample.
        name: name of the metric.
        dtype: a floating type.

    Example:
        >>> import oxiconv
        >>> metric = oxiconv.metrics.FBetaScore(beta=2.0, threshold=0.5)
        >>> [round(float(score), 4) for score in metric([[1, 1], [1, 0]], [[0.2, 0.6], [0.2, 0.6]])]
        [0.0, 0.8333]
    """

    def __init__(
        self,
        average: str | None = None,
        beta: float = 1.0,
        threshold: float | None = None,
        name: str = "fbeta_score",
        dtype: Any = None,
    ) -> None:
        super().__init__(dtype, name)
        who = type(self).__name__
        if average not in (None, "micro", "macro", "weighted"):
            raise ValueError(f"{who}: average must be None, 'micro', 'macro' or 'weighted', got {average!r}.")
        if not beta > 0:
            raise ValueError(f"{who}: beta must be above 0, got {beta!r}.")
        if threshold is not None and not 0 < threshold <= 1:
            raise ValueError(f"{who}: threshold must be in (0, 1], got {threshold!r}.")
        self.average = average
        self.beta = beta
        self.threshold = threshold
        self._sums: dict[str, Accumulator] = {}

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Adds a batch of targets and predictions `[batch, classes]`, and weights `[batch]`."""
        y_true, y_pred = as_pair(type(self).__name__, y_true, y_pred, broadcast=False)
        if len(y_pred.shape) != 2:
            raise ValueError(
                f"{type(self).__name__}: expected targets and predictions of 2 axes, got shape {tuple(y_pred.shape)}."
            )
        if not self._sums:
            shape = () if self.average == "micro" else y_pred.shape[1:]
            self._sums = {name: Accumulator(self, name, shape) for name in _SUMS}
        if self.threshold is None:
            largest = ops.greater_equal(y_pred, ops.max(y_pred, axis=-1, keepdims=True))
            chosen = ops.logical_and(largest, ops.greater(ops.abs(y_pred), 1e-9))
        else:
            chosen = ops.greater(y_pred, self.threshold)
        positive = ops.cast(chosen, "float32")
        weight = None
        if sample_weight is not None:
            weight = ops.expand_dims(ops.convert_to_tensor(sample_weight, dtype="float32"), -1)
        terms = (positive * y_true, positive * (1.0 - y_true), (1.0 - positive) * y_true, y_true)
        for accumulator, values in zip(self._sums.values(), terms, strict=True):
            values = values if weight is None else values * weight
            accumulator.add(ops.sum(values, axis=None if self.average == "micro" else 0))

    def result(self) -> Tensor:
        """The score over all batches since the last reset, or the scores of the classes."""
        if not self._sums:
            return ops.convert_to_tensor(0.0)
        hits, wrong, missed, targets = (accumulator.value for accumulator in self._sums.values())
        precision, recall = hits / (hits + wrong + EPSILON), hits / (hits + missed + EPSILON)
        square = self.beta**2
        scores = precision * recall / (precision * square + recall + EPSILON) * (1.0 + square)
        if self.average == "weighted":
            return ops.sum(scores * (targets / (ops.sum(targets) + EPSILON)))
        return scores if self.average is None else ops.mean(scores)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {**super().get_config(), "average": self.average, "beta": self.beta, "threshold": self.threshold}


class F1Score(FBetaScore):
    """`FBetaScore` with `beta` of 1: the harmonic mean of precision and recall.

    Example:
        >>> import oxiconv
        >>> metric = oxiconv.metrics.F1Score(average="macro", threshold=0.5)
        >>> round(float(metric([[1, 1], [1, 0]], [[0.2, 0.6], [0.2, 0.6]])), 4)
        0.3333
    """

    def __init__(
        self, average: str | None = None, threshold: float | None = None, name: str = "f1_score", dtype: Any = None
    ) -> None:
        super().__init__(average, 1.0, threshold, name, dtype)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        config = super().get_config()
        del config["beta"]
        return config
