"""Counts of true and false positives and negatives, and ratios of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from oxiconv import ops
from oxiconv.losses.loss import align_weight, check_weight, divide_no_nan, squeeze_or_expand_to_same_rank
from oxiconv.losses.regression import as_pair
from oxiconv.metrics.metric import Accumulator, Metric

if TYPE_CHECKING:
    from oxiconv._core import Tensor


def as_thresholds(owner: str, thresholds: float | Sequence[float] | None, top_k: int | None = None) -> list[float]:
    """The thresholds as a list: by default 0.5, or with top k one that every prediction is above.

    Raises:
        ValueError: a threshold outside [0, 1].
    """
    given: list[Any] = list(thresholds) if isinstance(thresholds, Sequence) else []
    if thresholds is not None and not isinstance(thresholds, Sequence):
        given = [thresholds]
    if any(not 0 <= t <= 1 for t in given):
        raise ValueError(f"{owner}: thresholds must be in [0, 1], got {thresholds!r}.")
    return given or [0.5 if top_k is None else float("-inf")]


class ConfusionMetric(Metric):
    """Counts at one or several thresholds: predictions above a threshold are positive.

    Args:
        counts: which counts are kept: 'true_positives', 'false_positives', 'true_negatives', 'false_negatives'.
        thresholds: the thresholds.
        top_k: only the k largest predictions along the last axis may be positive.
        class_id: only this entry of the last axis counts.
        name: name of the metric.
        dtype: None or 'float32'.
    """

    def __init__(
        self,
        counts: Sequence[str],
        thresholds: Sequence[float],
        top_k: int | None = None,
        class_id: int | None = None,
        name: str | None = None,
        dtype: str | None = None,
    ) -> None:
        super().__init__(dtype, name)
        if top_k is not None and top_k < 1:
            raise ValueError(f"{type(self).__name__}: top_k must be at least 1, got {top_k!r}.")
        self.thresholds = list(thresholds)
        self.top_k = top_k
        self.class_id = class_id
        self._counts = {count: Accumulator(self, count, (len(self.thresholds),)) for count in counts}

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Adds a batch.

        Args:
            y_true: targets; those that are not 0 are positive.
            y_pred: predictions in [0, 1], of the same shape.
            sample_weight: weight per sample, or of the leading axes of the predictions.
        """
        y_true, y_pred = as_pair(type(self).__name__, y_true, y_pred)
        weight = None
        if sample_weight is not None:
            y_pred, weight = squeeze_or_expand_to_same_rank(
                y_pred, ops.convert_to_tensor(sample_weight, dtype="float32")
            )
            check_weight(y_pred, weight)
            weight = ops.broadcast_to(align_weight(y_pred, weight), y_pred.shape)
        allowed = None if self.top_k is None else self._largest(y_pred)
        if self.class_id is not None:
            y_true, y_pred, weight, allowed = (
                None if t is None else t[..., self.class_id] for t in (y_true, y_pred, weight, allowed)
            )
        for kind, count in self._counts.items():
            count.add(self._count(kind, y_true, y_pred, weight, allowed))

    def _count(
        self, kind: str, y_true: Tensor, y_pred: Tensor, weight: Tensor | None, allowed: Tensor | None
    ) -> Tensor:
        wanted = ops.reshape(y_true, (1, -1))
        actual = ops.not_equal(wanted, 0.0)
        thresholds = ops.reshape(ops.convert_to_tensor(self.thresholds), (-1, 1))
        positive = ops.greater(ops.reshape(y_pred, (1, -1)), thresholds)
        if allowed is not None:
            positive = ops.logical_and(positive, ops.reshape(allowed, (1, -1)))
        right, sign = kind.split("_")
        chosen = positive if sign == "positives" else ops.logical_not(positive)
        agrees = actual if (right == "true") == (sign == "positives") else ops.logical_not(actual)
        hits = ops.cast(ops.logical_and(chosen, agrees), "float32")
        return ops.sum(hits if weight is None else ops.multiply(hits, ops.reshape(weight, (1, -1))), axis=1)

    def _largest(self, y_pred: Tensor) -> Tensor:
        assert self.top_k is not None
        _, indices = ops.top_k(y_pred, self.top_k)
        return ops.cast(ops.sum(ops.one_hot(indices, y_pred.shape[-1]), axis=-2), "bool")

    def _value(self, *counts: str) -> Tensor:
        total = self._counts[counts[0]].value
        for count in counts[1:]:
            total = ops.add(total, self._counts[count].value)
        return total

    def _shown(self, values: Tensor) -> Tensor:
        """A scalar for one threshold, else a value per threshold."""
        return values[0] if len(self.thresholds) == 1 else values


class _OneCount(ConfusionMetric):
    """One of the four counts."""

    _count_name = ""

    def __init__(
        self, thresholds: float | Sequence[float] | None = None, name: str | None = None, dtype: str | None = None
    ) -> None:
        super().__init__([self._count_name], as_thresholds(type(self).__name__, thresholds), name=name, dtype=dtype)
        self.init_thresholds = thresholds

    def result(self) -> Tensor:
        """The count, at each threshold if there are several."""
        return self._shown(self._value(self._count_name))

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {**super().get_config(), "thresholds": self.init_thresholds}


class TruePositives(_OneCount):
    """Weighted number of positive predictions of positive targets.

    Example:
        >>> import oxiconv
        >>> float(oxiconv.metrics.TruePositives()([1, 0, 1], [0.9, 0.8, 0.1]))
        1.0
    """

    _count_name = "true_positives"


class FalsePositives(_OneCount):
    """Weighted number of positive predictions of negative targets."""

    _count_name = "false_positives"


class TrueNegatives(_OneCount):
    """Weighted number of negative predictions of negative targets."""

    _count_name = "true_negatives"


class FalseNegatives(_OneCount):
    """Weighted number of negative predictions of positive targets."""

    _count_name = "false_negatives"


class Precision(ConfusionMetric):
    """True positives over all positive predictions; 0 where there are none.

    Args:
        thresholds: in [0, 1], one or several; predictions above are positive. None for 0.5, or for all of the top k.
        top_k: only the k largest predictions along the last axis may be positive.
        class_id: only this entry of the last axis counts.
        name: name of the metric.
        dtype: None or 'float32'.

    Example:
        >>> import oxiconv
        >>> float(oxiconv.metrics.Precision()([0, 1, 1, 1], [1, 0, 1, 1]).item()) > 0.66
        True
    """

    def __init__(
        self,
        thresholds: float | Sequence[float] | None = None,
        top_k: int | None = None,
        class_id: int | None = None,
        name: str | None = None,
        dtype: str | None = None,
    ) -> None:
        chosen = as_thresholds("Precision", thresholds, top_k)
        super().__init__(["true_positives", "false_positives"], chosen, top_k, class_id, name, dtype)
        self.init_thresholds = thresholds

    def result(self) -> Tensor:
        """The precision, at each threshold if there are several."""
        positives = self._value("true_positives", "false_positives")
        return self._shown(divide_no_nan(self._value("true_positives"), positives))

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        given = {"thresholds": self.init_thresholds, "top_k": self.top_k, "class_id": self.class_id}
        return {**super().get_config(), **given}


class Recall(ConfusionMetric):
    """True positives over all positive targets; 0 where there are none.

    Args:
        thresholds: in [0, 1], one or several; predictions above are positive. None for 0.5, or for all of the top k.
        top_k: only the k largest predictions along the last axis may be positive.
        class_id: only this entry of the last axis counts.
        name: name of the metric.
        dtype: None or 'float32'.

    Example:
        >>> import oxiconv
        >>> float(oxiconv.metrics.Recall()([0, 1, 1, 1], [1, 0, 1, 0]).item()) < 0.34
        True
    """

    def __init__(
        self,
        thresholds: float | Sequence[float] | None = None,
        top_k: int | None = None,
        class_id: int | None = None,
        name: str | None = None,
        dtype: str | None = None,
    ) -> None:
        chosen = as_thresholds("Recall", thresholds, top_k)
        super().__init__(["true_positives", "false_negatives"], chosen, top_k, class_id, name, dtype)
        self.init_thresholds = thresholds

    def result(self) -> Tensor:
        """The recall, at each threshold if there are several."""
        targets = self._value("true_positives", "false_negatives")
        return self._shown(divide_no_nan(self._value("true_positives"), targets))

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        given = {"thresholds": self.init_thresholds, "top_k": self.top_k, "class_id": self.class_id}
        return {**super().get_config(), **given}
