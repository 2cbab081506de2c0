"""Intersection over union of predicted and labelled regions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from oxiconv import ops
from oxiconv.losses.loss import align_weight, check_weight, divide_no_nan
from oxiconv.metrics.metric import Accumulator, Metric

if TYPE_CHECKING:
    from oxiconv._core import Tensor


class IoU(Metric):
    """Mean over some classes of `true positives / (true positives + false positives + false negatives)`.

    Args:
        num_classes: number of classes.
        target_class_ids: the classes that the mean is over; those that occur nowhere are left out.
        name: name of the metric.
        dtype: None or 'float32'.
        ignore_class: a label whose elements do not count.
        sparse_y_true: whether targets are class numbers, else a value per class along `axis`.
        sparse_y_pred: whether predictions are class numbers, else a value per class along `axis`.
        axis: the axis of the classes.

    Example:
        >>> import oxiconv
        >>> metric = oxiconv.metrics.IoU(num_classes=2, target_class_ids=[1])
        >>> float(metric([0, 0, 1, 1], [0, 1, 0, 1])) < 0.34
        True
    """

    def __init__(
        self,
        num_classes: int,
        target_class_ids: Sequence[int],
        name: str | None = None,
        dtype: str | None = None,
        ignore_class: int | None = None,
        sparse_y_true: bool = True,
        sparse_y_pred: bool = True,
        axis: int = -1,
    ) -> None:
        super().__init__(dtype, name)
        wrong = [c for c in target_class_ids if not 0 <= c < num_classes]
        if wrong:
            raise ValueError(f"{type(self).__name__}: target_class_ids must be in [0, {num_classes}), got {wrong}.")
        self.num_classes = num_classes
        self.target_class_ids = list(target_class_ids)
        self.ignore_class = ignore_class
        self.sparse_y_true = sparse_y_true
        self.sparse_y_pred = sparse_y_pred
        self.axis = axis
        self._matrix = Accumulator(self, "total_confusion_matrix", (num_classes, num_classes))

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Adds a batch.

        Raises:
            ValueError: the shapes differ, or (where the labels have values) a label is out of range.
        """
        labels = self._classes(y_true, self.sparse_y_true)
        predicted = self._classes(y_pred, self.sparse_y_pred)
        shape = tuple(labels.shape)
        if labels.size != predicted.size:
            raise ValueError(
                f"{type(self).__name__}: expected predictions of shape {shape}, got {tuple(predicted.shape)}."
            )
        weight = ops.ones(shape)
        if sample_weight is not None:
            given = ops.convert_to_tensor(sample_weight, dtype="float32")
            check_weight(labels, given)
            weight = ops.multiply(weight, align_weight(labels, given))
        if self.ignore_class is not None:
            counted = ops.not_equal(labels, self.ignore_class)
            weight = ops.where(counted, weight, 0.0)
            labels = ops.where(counted, labels, 0)
        for name, numbers in (("labels", labels), ("predictions", predicted)):
            if not numbers.traced:
                self._check(name, numbers.numpy())
            # In a compiled step a number out of range makes the result NaN: better than counting it elsewhere.
            known = ops.logical_and(ops.greater_equal(numbers, 0), ops.less(numbers, self.num_classes))
            weight = ops.where(ops.reshape(known, shape), weight, float("nan"))
        last = self.num_classes - 1
        cells = ops.clip(labels, 0, last) * self.num_classes + ops.reshape(ops.clip(predicted, 0, last), shape)
        flat = ops.scatter(ops.reshape(cells, (-1, 1)), ops.reshape(weight, (-1,)), (self.num_classes**2,))
        self._matrix.add(ops.reshape(flat, (self.num_classes, self.num_classes)))

    def result(self) -> Tensor:
        """The mean over the target classes."""
        matrix = self._matrix.value
        hits = ops.sum(matrix * ops.eye(self.num_classes), axis=0)
        union = ops.sum(matrix, axis=0) + ops.sum(matrix, axis=1) - hits
        chosen = ops.convert_to_tensor(np.isin(np.arange(self.num_classes), self.target_class_ids))
        occurs = ops.cast(ops.logical_and(chosen, ops.greater(union, 0.0)), "float32")
        return divide_no_nan(ops.sum(divide_no_nan(hits, union) * occurs), ops.sum(occurs))

    def _classes(self, y: Any, sparse: bool) -> Tensor:
        y = ops.convert_to_tensor(y)
        return ops.cast(y if sparse else ops.argmax(y, axis=self.axis), "int32")

    def _check(self, name: str, numbers: np.ndarray[Any, Any]) -> None:
        if numbers.size and (numbers.min() < 0 or numbers.max() >= self.num_classes):
            found = f"{numbers.min()} to {numbers.max()}"
            raise ValueError(f"{type(self).__name__}: expected {name} in [0, {self.num_classes}), got {found}.")

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        names = ("num_classes", "target_class_ids", "ignore_class", "sparse_y_true", "sparse_y_pred", "axis")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}


class MeanIoU(IoU):
    """`IoU` over all classes that occur.

    Example:
        >>> import oxiconv
        >>> round(float(oxiconv.metrics.MeanIoU(num_classes=2)([0, 0, 1, 1], [0, 1, 0, 1])), 4)
        0.3333
    """

    def __init__(
        self,
        num_classes: int,
        name: str | None = None,
        dtype: str | None = None,
        ignore_class: int | None = None,
        sparse_y_true: bool = True,
        sparse_y_pred: bool = True,
        axis: int = -1,
    ) -> None:
        every = range(num_classes)
        super().__init__(num_classes, every, name, dtype, ignore_class, sparse_y_true, sparse_y_pred, axis)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        config = super().get_config()
        del config["target_class_ids"]
        return config
