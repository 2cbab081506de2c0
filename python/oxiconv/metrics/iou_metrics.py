"""Intersection over union of predicted and labelled regions."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from oxiconv import ops
from oxiconv.losses.loss import align_weight, check_weight
from oxiconv.losses.regression import EPSILON
from oxiconv.metrics.metric import Metric

if TYPE_CHECKING:
    from oxiconv._core import Tensor


class IoU(Metric):
    """Mean over some classes of `true positives / (true positives + false positives + false negatives)`.

    Elements whose label or prediction is no class do not count.

    Args:
        num_classes: number of classes.
        target_class_ids: the classes that the mean is over; those that occur nowhere are left out.
        name: name of the metric.
        dtype: None or an integer type for whole counts and weights; a floating type for weights of any size.
        ignore_class: a label whose elements do not count.
        sparse_y_true: whether targets are class numbers, else a value per class along `axis`.
        sparse_y_pred: whether predictions are class numbers, else a value per class along `axis`.
        axis: the axis of the classes.

    Example:
        >>> import oxiconv
        >>> metric = oxiconv.metrics.IoU(num_classes=2, target_class_ids=[1])
        >>> round(float(metric([0, 0, 1, 1], [0, 1, 0, 1])), 4)
        0.3333
    """

    def __init__(
        self,
        num_classes: int,
        target_class_ids: Sequence[int],
        name: str | None = None,
        dtype: Any = None,
        ignore_class: int | None = None,
        sparse_y_true: bool = True,
        sparse_y_pred: bool = True,
        axis: int = -1,
    ) -> None:
        super().__init__(None, name)
        wrong = [c for c in target_class_ids if not 0 <= c < num_classes]
        if wrong:
            raise ValueError(f"{type(self).__name__}: target_class_ids must be in [0, {num_classes}), got {wrong}.")
        self._dtype = "float32" if "float" in str(getattr(dtype, "compute_dtype", dtype)) else "int32"
        self.num_classes = num_classes
        self.target_class_ids = list(target_class_ids)
        self.ignore_class = ignore_class
        self.sparse_y_true = sparse_y_true
        self.sparse_y_pred = sparse_y_pred
        self.axis = axis
        self.total_cm = self.add_variable(
            (num_classes, num_classes), "zeros", self._dtype, name="total_confusion_matrix"
        )

    @property
    def dtype(self) -> str:
        """Element type of the counts."""
        return self._dtype

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Adds a batch of labels and predictions, and weights of the labels' leading axes.

        Raises:
            ValueError: the shapes do not fit.
        """
        labels = self._classes(y_true, self.sparse_y_true)
        predicted = self._classes(y_pred, self.sparse_y_pred)
        shape = tuple(labels.shape)
        if labels.size != predicted.size:
            raise ValueError(
                f"{type(self).__name__}: expected predictions of shape {shape}, got {tuple(predicted.shape)}."
            )
        predicted = ops.reshape(predicted, shape)
        weight = ops.ones(shape, self._dtype)
        if sample_weight is not None:
            given = ops.convert_to_tensor(sample_weight)
            if given.dtype == "float32" and self._dtype == "int32":
                warnings.warn(
                    f"{type(self).__name__}: weights are counted in whole numbers; give dtype='float32' for others.",
                    stacklevel=2,
                )
            check_weight(labels, given)
            weight = ops.multiply(weight, align_weight(labels, ops.cast(given, self._dtype)))
        counted = ops.logical_and(self._known(labels), self._known(predicted))
        if self.ignore_class is not None:
            counted = ops.logical_and(counted, ops.not_equal(labels, self.ignore_class))
        cells = ops.where(counted, labels * self.num_classes + predicted, 0)
        weight = ops.where(counted, weight, ops.zeros((), self._dtype))
        flat = ops.scatter(ops.reshape(cells, (-1, 1)), ops.reshape(weight, (-1,)), (self.num_classes**2,))
        self.total_cm.assign_add(ops.reshape(flat, self.total_cm.shape))

    def result(self) -> Tensor:
        """The mean over the target classes."""
        matrix = self.total_cm.value
        hits = ops.sum(ops.where(np.eye(self.num_classes, dtype=bool), matrix, ops.zeros((), self._dtype)), axis=0)
        union = ops.cast(ops.sum(matrix, axis=0) + ops.sum(matrix, axis=1) - hits, "float32")
        chosen = ops.convert_to_tensor(np.isin(np.arange(self.num_classes), self.target_class_ids))
        occurs = ops.cast(ops.logical_and(chosen, ops.greater(union, 1e-9)), "float32")
        shares = ops.cast(hits, "float32") / (union + EPSILON)
        return ops.sum(shares * occurs) / (ops.sum(occurs) + EPSILON)

    def _classes(self, y: Any, sparse: bool) -> Tensor:
        y = ops.convert_to_tensor(y)
        return ops.cast(y if sparse else ops.argmax(y, axis=self.axis), "int32")

    def _known(self, classes: Tensor) -> Tensor:
        return ops.logical_and(ops.greater_equal(classes, 0), ops.less(classes, self.num_classes))

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
        dtype: Any = None,
        ignore_class: int | None = None,
        sparse_y_true: bool = True,
        sparse_y_pred: bool = True,
        axis: int = -1,
    ) -> None:
        every = range(num_classes)
        super().__init__(num_classes, every, name, dtype, ignore_class, sparse_y_true, sparse_y_pred, axis)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return _without(super().get_config(), "target_class_ids")


class BinaryIoU(IoU):
    """`IoU` of two classes, from predictions of the second one.

    Args:
        target_class_ids: the classes that the mean is over.
        threshold: predictions of at least this are of class 1.
        name: name of the metric.
        dtype: see `IoU`.

    Example:
        >>> import oxiconv
        >>> metric = oxiconv.metrics.BinaryIoU(target_class_ids=[0, 1], threshold=0.3)
        >>> round(float(metric([0, 1, 0, 1], [0.1, 0.2, 0.4, 0.7])), 4)
        0.3333
    """

    def __init__(
        self,
        target_class_ids: Sequence[int] = (0, 1),
        threshold: float = 0.5,
        name: str | None = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(2, target_class_ids, name, dtype)
        self.threshold = threshold

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Adds a batch; arguments as in `IoU`."""
        chosen = ops.greater_equal(ops.convert_to_tensor(y_pred, dtype="float32"), self.threshold)
        super().update_state(y_true, ops.cast(chosen, "int32"), sample_weight)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        unused = ("num_classes", "ignore_class", "sparse_y_true", "sparse_y_pred", "axis")
        return {**_without(super().get_config(), *unused), "threshold": self.threshold}


class OneHotIoU(IoU):
    """`IoU` of one-hot targets. Arguments: see `IoU`.

    Example:
        >>> import oxiconv
        >>> metric = oxiconv.metrics.OneHotIoU(num_classes=2, target_class_ids=[0])
        >>> float(metric([[1, 0], [0, 1]], [[0.9, 0.1], [0.6, 0.4]])) > 0.49
        True
    """

    def __init__(
        self,
        num_classes: int,
        target_class_ids: Sequence[int],
        name: str | None = None,
        dtype: Any = None,
        ignore_class: int | None = None,
        sparse_y_pred: bool = False,
        axis: int = -1,
    ) -> None:
        super().__init__(num_classes, target_class_ids, name, dtype, ignore_class, False, sparse_y_pred, axis)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return _without(super().get_config(), "sparse_y_true")


class OneHotMeanIoU(MeanIoU):
    """`MeanIoU` of one-hot targets. Arguments: see `IoU`."""

    def __init__(
        self,
        num_classes: int,
        name: str | None = None,
        dtype: Any = None,
        ignore_class: int | None = None,
        sparse_y_pred: bool = False,
        axis: int = -1,
    ) -> None:
        super().__init__(num_classes, name, dtype, ignore_class, False, sparse_y_pred, axis)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return _without(super().get_config(), "sparse_y_true")


def _without(config: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in config.items() if name not in names}
