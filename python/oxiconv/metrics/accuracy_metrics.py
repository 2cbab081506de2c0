"""How often predictions equal labels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from oxiconv import ops
from oxiconv.losses.probabilistic import class_labels
from oxiconv.losses.regression import as_pair
from oxiconv.metrics.reduction_metrics import MeanMetricWrapper

if TYPE_CHECKING:
    from oxiconv._core import Tensor


def _hits(a: Tensor, b: Tensor) -> Tensor:
    return ops.cast(ops.equal(a, b), "float32")


def accuracy(y_true: Any, y_pred: Any) -> Tensor:
    """1 where `y_true == y_pred`."""
    return _hits(*as_pair("accuracy", y_true, y_pred))


def binary_accuracy(y_true: Any, y_pred: Any, threshold: float = 0.5) -> Tensor:
    """1 where `y_pred > threshold` is what the target, 0 or 1, says. Of the predictions' shape."""
    y_true, y_pred = as_pair("binary_accuracy", y_true, y_pred)
    return _hits(y_true, ops.cast(ops.greater(y_pred, threshold), "float32"))


def categorical_accuracy(y_true: Any, y_pred: Any) -> Tensor:
    """1 where the largest prediction along the last axis is that of the one-hot target."""
    y_true, y_pred = as_pair("categorical_accuracy", y_true, y_pred)
    return _hits(ops.argmax(y_true, axis=-1), ops.argmax(y_pred, axis=-1))


def sparse_categorical_accuracy(y_true: Any, y_pred: Any) -> Tensor:
    """1 where the largest prediction along the last axis is that of the integer label."""
    y_pred = ops.convert_to_tensor(y_pred, dtype="float32")
    return _hits(class_labels(y_true, y_pred), ops.argmax(y_pred, axis=-1))


def top_k_categorical_accuracy(y_true: Any, y_pred: Any, k: int = 5) -> Tensor:
    """1 where fewer than `k` predictions exceed that of the one-hot target's class."""
    y_true, y_pred = as_pair("top_k_categorical_accuracy", y_true, y_pred)
    return _in_top_k(ops.argmax(y_true, axis=-1), y_pred, k)


def sparse_top_k_categorical_accuracy(y_true: Any, y_pred: Any, k: int = 5, from_sorted_ids: bool = False) -> Tensor:
    """1 where fewer than `k` predictions exceed that of the label's class.

    Args:
        y_true: integer labels.
        y_pred: a value per class; or, with `from_sorted_ids`, class numbers from the most to the least likely.
        k: how many predictions count.
        from_sorted_ids: what `y_pred` holds.
    """
    y_pred = ops.convert_to_tensor(y_pred)
    labels = class_labels(y_true, y_pred)
    if from_sorted_ids:
        found = ops.equal(ops.expand_dims(labels, -1), y_pred[..., :k])
        return ops.cast(ops.any(found, axis=-1), "float32")
    return _in_top_k(labels, ops.cast(y_pred, "float32"), k)


def _in_top_k(labels: Tensor, y_pred: Tensor, k: int) -> Tensor:
    if k < 1:
        raise ValueError(f"top k: expected k of at least 1, got {k}.")
    hot = ops.cast(ops.one_hot(labels, y_pred.shape[-1]), "bool")
    own = ops.sum(ops.where(hot, y_pred, 0.0), axis=-1, keepdims=True)
    above = ops.sum(ops.cast(ops.greater(y_pred, own), "int32"), axis=-1)
    # NaN compares false with all; such a prediction is no hit.
    return ops.cast(ops.logical_and(ops.less(above, k), ops.logical_not(ops.isnan(ops.squeeze(own, -1)))), "float32")


class Accuracy(MeanMetricWrapper):
    """Mean of `y_true == y_pred`.

    Example:
        >>> import oxiconv
        >>> float(oxiconv.metrics.Accuracy()([[1.0], [2.0]], [[1.0], [3.0]]))
        0.5
    """

    def __init__(self, name: str = "accuracy", dtype: Any = None) -> None:
        super().__init__(accuracy, name, dtype)


class BinaryAccuracy(MeanMetricWrapper):
    """Mean of `binary_accuracy`.

    Args:
        threshold: predictions above it count as 1.

    Example:
        >>> import oxiconv
        >>> float(oxiconv.metrics.BinaryAccuracy()([[1.0], [0.0]], [[0.7], [0.6]]))
        0.5
    """

    def __init__(self, name: str = "binary_accuracy", dtype: Any = None, threshold: float = 0.5) -> None:
        super().__init__(binary_accuracy, name, dtype, threshold=threshold)


class CategoricalAccuracy(MeanMetricWrapper):
    """Mean of `categorical_accuracy`: one-hot targets.

    Example:
        >>> import oxiconv
        >>> float(oxiconv.metrics.CategoricalAccuracy()([[0.0, 1.0], [1.0, 0.0]], [[0.1, 0.9], [0.2, 0.8]]))
        0.5
    """

    def __init__(self, name: str = "categorical_accuracy", dtype: Any = None) -> None:
        super().__init__(categorical_accuracy, name, dtype)


class SparseCategoricalAccuracy(MeanMetricWrapper):
    """Mean of `sparse_categorical_accuracy`: integer labels.

    Example:
        >>> import oxiconv
        >>> float(oxiconv.metrics.SparseCategoricalAccuracy()([1, 0], [[0.1, 0.9], [0.2, 0.8]]))
        0.5
    """

    def __init__(self, name: str = "sparse_categorical_accuracy", dtype: Any = None) -> None:
        super().__init__(sparse_categorical_accuracy, name, dtype)


class TopKCategoricalAccuracy(MeanMetricWrapper):
    """Mean of `top_k_categorical_accuracy`: one-hot targets."""

    def __init__(self, k: int = 5, name: str = "top_k_categorical_accuracy", dtype: Any = None) -> None:
        super().__init__(top_k_categorical_accuracy, name, dtype, k=k)


class SparseTopKCategoricalAccuracy(MeanMetricWrapper):
    """Mean of `sparse_top_k_categorical_accuracy`: integer labels.

    Example:
        >>> import oxiconv
        >>> metric = oxiconv.metrics.SparseTopKCategoricalAccuracy(k=2)
        >>> float(metric([0, 2], [[0.2, 0.3, 0.5], [0.2, 0.3, 0.5]]))
        0.5
    """

    def __init__(
        self,
        k: int = 5,
        name: str = "sparse_top_k_categorical_accuracy",
        dtype: Any = None,
        from_sorted_ids: bool = False,
    ) -> None:
        super().__init__(sparse_top_k_categorical_accuracy, name, dtype, k=k, from_sorted_ids=from_sorted_ids)


def is_binary_or_sparse_categorical(y_true: Any, y_pred: Any) -> tuple[bool, bool]:
    """How 'accuracy' and 'crossentropy' read the shapes: one prediction is binary; fewer target axes are labels."""
    true, pred = tuple(y_true.shape), tuple(y_pred.shape)
    binary = bool(pred) and pred[-1] == 1
    sparse = len(true) < len(pred) or (bool(true) and true[-1] == 1 and pred[-1] > 1)
    return binary, sparse
