"""Losses of predicted probabilities or logits.

Probabilities are clipped to [1e-7, 1 - 1e-7] before their logarithm, as in Keras; logits need no clipping.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from oxiconv import ops
from oxiconv.losses.loss import LossFunctionWrapper
from oxiconv.losses.regression import EPSILON, as_pair
from oxiconv.masks import set_keras_mask

if TYPE_CHECKING:
    from oxiconv._core import Tensor


def _log_probabilities(y_pred: Tensor, from_logits: bool, axis: int) -> Tensor:
    if from_logits:
        return ops.log_softmax(y_pred, axis=axis)
    y_pred = ops.divide(y_pred, ops.sum(y_pred, axis=axis, keepdims=True))
    return ops.log(ops.clip(y_pred, EPSILON, 1.0 - EPSILON))


def binary_crossentropy(
    y_true: Any, y_pred: Any, from_logits: bool = False, label_smoothing: float = 0.0, axis: int = -1
) -> Tensor:
    """Mean over `axis` of `-(t log p + (1 - t) log(1 - p))`.

    Args:
        y_true: targets in [0, 1], of the predictions' shape.
        y_pred: probabilities, or logits.
        from_logits: whether `y_pred` are logits.
        label_smoothing: in [0, 1]; targets t become `t * (1 - s) + s / 2`.
        axis: the axis to average over.

    Raises:
        ValueError: the shapes differ.

    Example:
        >>> import oxiconv
        >>> round(float(oxiconv.losses.binary_crossentropy([[1.0]], [[0.5]]).numpy()[0]), 4)
        0.6931
    """
    y_true, y_pred = as_pair("binary_crossentropy", y_true, y_pred, broadcast=False)
    if label_smoothing:
        y_true = smoothed(y_true, label_smoothing, 2)
    if from_logits:
        losses = ops.binary_crossentropy(y_true, y_pred, from_logits=True)
    else:
        p = ops.clip(y_pred, EPSILON, 1.0 - EPSILON)
        hit = ops.multiply(y_true, ops.log(p))
        miss = ops.multiply(ops.subtract(1.0, y_true), ops.log(ops.subtract(1.0, p)))
        losses = ops.negative(ops.add(hit, miss))
    return ops.mean(losses, axis=axis)


def categorical_crossentropy(
    y_true: Any, y_pred: Any, from_logits: bool = False, label_smoothing: float = 0.0, axis: int = -1
) -> Tensor:
    """Minus the sum over `axis` of `t log p`.

    Args:
        y_true: one-hot or soft targets, of the predictions' shape.
        y_pred: probabilities (divided by their sum, then clipped), or logits.
        from_logits: whether `y_pred` are logits.
        label_smoothing: in [0, 1]; targets t become `t * (1 - s) + s / classes`.
        axis: the axis of the classes.

    Raises:
        ValueError: the shapes differ.

    Example:
        >>> import oxiconv
        >>> loss = oxiconv.losses.categorical_crossentropy([[0.0, 1.0]], [[0.5, 0.5]])
        >>> round(float(loss.numpy()[0]), 4)
        0.6931
    """
    y_true, y_pred = as_pair("categorical_crossentropy", y_true, y_pred, broadcast=False)
    if label_smoothing:
        y_true = smoothed(y_true, label_smoothing, y_pred.shape[axis])
    return ops.negative(ops.sum(ops.multiply(y_true, _log_probabilities(y_pred, from_logits, axis)), axis=axis))


def sparse_categorical_crossentropy(
    y_true: Any, y_pred: Any, from_logits: bool = False, ignore_class: int | None = None, axis: int = -1
) -> Tensor:
    """Minus the logarithm of the predicted probability of the labelled class.

    Args:
        y_true: integer labels in [0, classes), of the predictions' shape without `axis`, or with a last axis of 1.
        y_pred: probabilities (divided by their sum, then clipped), or logits.
        from_logits: whether `y_pred` are logits.
        ignore_class: a label whose samples have loss 0, and are left out of a mean.
        axis: the axis of the classes.

    Raises:
        ValueError: the shapes do not fit, or (where the labels have values) a label is out of range.

    Example:
        >>> import oxiconv
        >>> loss = oxiconv.losses.sparse_categorical_crossentropy([1], [[0.5, 0.5]])
        >>> round(float(loss.numpy()[0]), 4)
        0.6931
    """
    y_pred = ops.convert_to_tensor(y_pred, dtype="float32")
    labels = class_labels(y_true, y_pred, axis)
    if not labels.traced:
        check_labels("sparse_categorical_crossentropy", labels.numpy(), y_pred.shape[axis], ignore_class)
    hot = ops.one_hot(labels, y_pred.shape[axis], axis=axis)
    losses = ops.negative(ops.sum(ops.multiply(hot, _log_probabilities(y_pred, from_logits, axis)), axis=axis))
    if ignore_class is None:
        return losses
    counted = ops.not_equal(labels, ignore_class)
    losses = ops.where(counted, losses, 0.0)
    set_keras_mask(losses, counted)
    return losses


def class_labels(y_true: Any, y_pred: Tensor, axis: int = -1) -> Tensor:
    """Labels as int32 of the predictions' shape without the class axis."""
    labels = ops.convert_to_tensor(y_true)
    classes = len(y_pred.shape) + axis if axis < 0 else axis
    expected = (*y_pred.shape[:classes], *y_pred.shape[classes + 1 :])
    if len(labels.shape) == len(expected) + 1 and labels.shape[-1] == 1:
        labels = ops.squeeze(labels, -1)
    if tuple(labels.shape) != expected:
        hint = (
            " For one-hot targets use categorical_crossentropy." if tuple(labels.shape) == tuple(y_pred.shape) else ""
        )
        raise ValueError(
            f"sparse_categorical_crossentropy: for predictions of shape {tuple(y_pred.shape)} expected integer labels "
            f"of shape {expected}, got {tuple(labels.shape)}.{hint}"
        )
    return labels if labels.dtype == "int32" else ops.cast(labels, "int32")


def check_labels(name: str, labels: np.ndarray[Any, Any], classes: int, ignore_class: int | None = None) -> None:
    """Raises ValueError for a label that is no integer, or outside [0, classes) and not `ignore_class`."""
    if labels.dtype.kind == "f" and not (labels == np.floor(labels)).all():
        raise ValueError(f"{name}: expected integer labels, got {labels.dtype} values that are not whole.")
    if not labels.size or (labels.min() >= 0 and labels.max() < classes):
        return
    wrong = (labels < 0) | (labels >= classes)
    if ignore_class is not None:
        wrong &= labels != ignore_class
    if wrong.any():
        index = int(np.argmax(wrong))
        raise ValueError(
            f"{name}: expected labels in [0, {classes}), got {labels.ravel()[index].item()} at position {index}."
        )


def kl_divergence(y_true: Any, y_pred: Any) -> Tensor:
    """Sum over the last axis of `t log(t / p)`, both clipped to [1e-7, 1]."""
    y_true, y_pred = as_pair("kl_divergence", y_true, y_pred)
    y_true, y_pred = (ops.clip(y, EPSILON, 1.0) for y in (y_true, y_pred))
    return ops.sum(ops.multiply(y_true, ops.log(ops.divide(y_true, y_pred))), axis=-1)


def poisson(y_true: Any, y_pred: Any) -> Tensor:
    """Mean over the last axis of `p - t log(p + 1e-7)`."""
    y_true, y_pred = as_pair("poisson", y_true, y_pred)
    return ops.mean(ops.subtract(y_pred, ops.multiply(y_true, ops.log(ops.add(y_pred, EPSILON)))), axis=-1)


def smoothed(y_true: Tensor, smoothing: float, classes: int) -> Tensor:
    """Targets drawn towards equal probabilities of all classes."""
    return ops.add(ops.multiply(y_true, 1.0 - smoothing), smoothing / classes)


def check_smoothing(name: str, label_smoothing: float) -> None:
    """Raises ValueError unless the smoothing is in [0, 1]."""
    if not 0.0 <= label_smoothing <= 1.0:
        raise ValueError(f"{name}: label_smoothing must be in [0, 1], got {label_smoothing!r}.")


class BinaryCrossentropy(LossFunctionWrapper):
    """`binary_crossentropy`, reduced.

    Example:
        >>> import oxiconv
        >>> bce = oxiconv.losses.BinaryCrossentropy(from_logits=True)
        >>> round(float(bce([[1.0], [0.0]], [[0.0], [0.0]])), 4)
        0.6931
    """

    def __init__(
        self,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        axis: int = -1,
        reduction: str | None = "sum_over_batch_size",
        name: str = "binary_crossentropy",
        dtype: Any = None,
    ) -> None:
        check_smoothing("BinaryCrossentropy", label_smoothing)
        kwargs = {"from_logits": from_logits, "label_smoothing": label_smoothing, "axis": axis}
        super().__init__(binary_crossentropy, reduction, name, dtype, **kwargs)


class CategoricalCrossentropy(LossFunctionWrapper):
    """`categorical_crossentropy`, reduced.

    Example:
        >>> import oxiconv
        >>> cce = oxiconv.losses.CategoricalCrossentropy()
        >>> round(float(cce([[0.0, 1.0]], [[0.1, 0.9]])), 4)
        0.1054
    """

    def __init__(
        self,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        axis: int = -1,
        reduction: str | None = "sum_over_batch_size",
        name: str = "categorical_crossentropy",
        dtype: Any = None,
    ) -> None:
        check_smoothing("CategoricalCrossentropy", label_smoothing)
        kwargs = {"from_logits": from_logits, "label_smoothing": label_smoothing, "axis": axis}
        super().__init__(categorical_crossentropy, reduction, name, dtype, **kwargs)


class SparseCategoricalCrossentropy(LossFunctionWrapper):
    """`sparse_categorical_crossentropy`, reduced; with `ignore_class` a mean is over the other samples.

    Example:
        >>> import oxiconv
        >>> scce = oxiconv.losses.SparseCategoricalCrossentropy(ignore_class=255)
        >>> round(float(scce([1, 255], [[0.1, 0.9], [0.5, 0.5]])), 4)
        0.1054
    """

    _integer_targets = True

    def __init__(
        self,
        from_logits: bool = False,
        ignore_class: int | None = None,
        reduction: str | None = "sum_over_batch_size",
        axis: int = -1,
        name: str = "sparse_categorical_crossentropy",
        dtype: Any = None,
    ) -> None:
        kwargs = {"from_logits": from_logits, "ignore_class": ignore_class, "axis": axis}
        super().__init__(sparse_categorical_crossentropy, reduction, name, dtype, **kwargs)

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """The loss of each sample."""
        return self.fn(y_true, y_pred, **self._fn_kwargs)


class KLDivergence(LossFunctionWrapper):
    """`kl_divergence`, reduced."""

    def __init__(
        self, reduction: str | None = "sum_over_batch_size", name: str = "kl_divergence", dtype: Any = None
    ) -> None:
        super().__init__(kl_divergence, reduction, name, dtype)


class Poisson(LossFunctionWrapper):
    """`poisson`, reduced."""

    def __init__(self, reduction: str | None = "sum_over_batch_size", name: str = "poisson", dtype: Any = None) -> None:
        super().__init__(poisson, reduction, name, dtype)
