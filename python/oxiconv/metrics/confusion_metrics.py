"""Counts of true and false positives and negatives, and ratios of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from oxiconv import ops
from oxiconv.losses.loss import align_weight, check_weight, divide_no_nan, squeeze_or_expand_to_same_rank
from oxiconv.losses.regression import EPSILON, as_pair
from oxiconv.metrics.metric import Accumulator, Metric

if TYPE_CHECKING:
    from oxiconv._core import Tensor
    from oxiconv.variable import Variable


# A prediction that is above no threshold, and the threshold that all others are above.
NEVER = -1e10


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
    return given or [0.5 if top_k is None else NEVER]


def count_above(mass: Tensor, y_pred: Tensor, thresholds: Sequence[float]) -> Tensor:
    """Sums over samples of `mass`, where the prediction is above each threshold: `[thresholds, labels]`.

    Thresholds that divide [0, 1] evenly are found by rounding, in one pass over the predictions.

    Args:
        mass: weights `[samples, labels]`.
        y_pred: predictions of the same shape.
        thresholds: increasing.
    """
    count = len(thresholds)
    even = np.arange(count, dtype=np.float32) / max(count - 1, 1)
    if count < 3 or not np.allclose(thresholds, even, atol=EPSILON):
        limits = ops.reshape(ops.convert_to_tensor([float(t) for t in thresholds]), (-1, 1, 1))
        above = ops.cast(ops.greater(ops.expand_dims(y_pred, 0), limits), "float32")
        return ops.sum(above * ops.expand_dims(mass, 0), axis=1)
    # The number of thresholds below the prediction; one that is NaN is above none.
    below = ops.ceil(ops.clip(y_pred, 0.0, 1.0) * float(count - 1))
    below = ops.where(ops.isnan(y_pred), 0.0, ops.maximum(below, 1.0) if thresholds[0] < 0 else below)
    # From the largest number to the smallest, so that a running sum has all that are above.
    labels = mass.shape[-1]
    place = np.arange(1, labels + 1, dtype=np.int32) * count - 1 - ops.cast(below, "int32")
    sums = ops.scatter(ops.reshape(place, (-1, 1)), ops.reshape(mass, (-1,)), (count * labels,))
    above = ops.cumsum(ops.reshape(sums, (labels, count)), axis=1)
    return ops.pad(ops.flip(ops.transpose(above)[:-1], 0), ((0, 1), (0, 0)))


class ConfusionMetric(Metric):
    """Counts at one or several thresholds: predictions above a threshold are positive.

    Args:
        counts: which counts are kept: 'true_positives', 'false_positives', 'true_negatives', 'false_negatives'.
        thresholds: the thresholds.
        top_k: only the k largest predictions along the last axis may be positive.
        class_id: only this entry of the last axis counts.
        name: name of the metric.
        dtype: a floating type.
    """

    # The count in a variable that is not named by it.
    _kind = ""
    # Those that are kept.
    true_positives: Variable
    false_positives: Variable
    true_negatives: Variable
    false_negatives: Variable

    def __init__(
        self,
        counts: Sequence[str],
        thresholds: Sequence[float],
        top_k: int | None = None,
        class_id: int | None = None,
        name: str | None = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(dtype, name)
        if top_k is not None and top_k < 1:
            raise ValueError(f"{type(self).__name__}: top_k must be at least 1, got {top_k!r}.")
        self.thresholds = list(thresholds)
        self.top_k = top_k
        self.class_id = class_id
        self._names = list(counts)
        self._counts: dict[str, Accumulator] = {}
        self._make((len(self.thresholds),))

    def _make(self, shape: tuple[int, ...]) -> None:
        for name in self._names:
            self._counts[name] = Accumulator(self, name, shape)
            setattr(self, name, self._counts[name].high)

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Adds a batch.

        Args:
            y_true: targets; those that are not 0 are positive.
            y_pred: predictions in [0, 1], of the same shape.
            sample_weight: weight per sample, or of the leading axes of the predictions.
        """
        y_true, y_pred = as_pair(type(self).__name__, y_true, y_pred, broadcast=False)
        weight = None
        if sample_weight is not None:
            y_pred, weight = squeeze_or_expand_to_same_rank(
                y_pred, ops.convert_to_tensor(sample_weight, dtype="float32")
            )
            check_weight(y_pred, weight)
            weight = ops.broadcast_to(align_weight(y_pred, weight), y_pred.shape)
        if self.top_k is not None:
            y_pred = ops.where(self._largest(y_pred), y_pred, NEVER)
        if self.class_id is not None:
            if len(y_pred.shape) < 2 or not -y_pred.shape[-1] <= self.class_id < y_pred.shape[-1]:
                raise ValueError(
                    f"{type(self).__name__}: expected an axis of classes with class_id={self.class_id}, "
                    f"got shape {tuple(y_pred.shape)}."
                )
            y_true, y_pred = y_true[..., self.class_id], y_pred[..., self.class_id]
            weight = None if weight is None else weight[..., self.class_id]
        self._add(*(None if t is None else ops.reshape(t, (-1, 1)) for t in (y_true, y_pred, weight)))

    def _add(self, y_true: Any, y_pred: Any, weight: Any) -> None:
        """Adds targets, predictions and weights `[samples, labels]`."""
        actual = ops.cast(ops.not_equal(y_true, 0.0), "float32")
        ones = ops.ones_like(actual) if weight is None else weight
        kinds = [(self._kind or name).split("_") for name in self._counts]
        # Positive targets are the true positives and false negatives, negative ones the others.
        wanted = [(right == "true") == (sign == "positives") for right, sign in kinds]
        masses = {which: ones * (actual if which else 1.0 - actual) for which in sorted(set(wanted))}
        mass = ops.concatenate(list(masses.values()), axis=1)
        above = count_above(mass, ops.concatenate([y_pred] * len(masses), axis=1), self.thresholds)
        total = ops.sum(mass, axis=0, keepdims=True)
        size = actual.shape[1]
        for (_, sign), which, accumulator in zip(kinds, wanted, self._counts.values(), strict=True):
            start = list(masses).index(which) * size
            part = slice(start, start + size)
            counted = above[:, part] if sign == "positives" else total[:, part] - above[:, part]
            accumulator.add(ops.reshape(counted, accumulator.high.shape))

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

    def __init__(
        self, thresholds: float | Sequence[float] | None = None, name: str | None = None, dtype: Any = None
    ) -> None:
        super().__init__(["accumulator"], as_thresholds(type(self).__name__, thresholds), name=name, dtype=dtype)
        self.init_thresholds = thresholds

    def result(self) -> Tensor:
        """The count, at each threshold if there are several."""
        return self._shown(self._value("accumulator"))

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

    _kind = "true_positives"


class FalsePositives(_OneCount):
    """Weighted number of positive predictions of negative targets."""

    _kind = "false_positives"


class TrueNegatives(_OneCount):
    """Weighted number of negative predictions of negative targets."""

    _kind = "true_negatives"


class FalseNegatives(_OneCount):
    """Weighted number of negative predictions of positive targets."""

    _kind = "false_negatives"


class Precision(ConfusionMetric):
    """True positives over all positive predictions; 0 where there are none.

    Args:
        thresholds: in [0, 1], one or several; predictions above are positive. None for 0.5, or for all of the top k.
        top_k: only the k largest predictions along the last axis may be positive.
        class_id: only this entry of the last axis counts.
        name: name of the metric.
        dtype: a floating type.

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
        dtype: Any = None,
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
        dtype: a floating type.

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
        dtype: Any = None,
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
