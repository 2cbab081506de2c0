"""Cross-entropies that weigh samples by how well they are predicted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from oxiconv import ops
from oxiconv.losses.loss import LossFunctionWrapper
from oxiconv.losses.probabilistic import check_smoothing, class_labels, smoothed
from oxiconv.losses.regression import EPSILON, as_pair

if TYPE_CHECKING:
    from oxiconv._core import Tensor


def binary_focal_crossentropy(
    y_true: Any,
    y_pred: Any,
    apply_class_balancing: bool = False,
    alpha: float = 0.25,
    gamma: float = 2.0,
    from_logits: bool = False,
    label_smoothing: float = 0.0,
    axis: int = -1,
) -> Tensor:
    """Mean over `axis` of the binary cross-entropy times `(1 - p_t)**gamma` (Lin et al., 2017).

    `p_t` is the probability given to the target. With `apply_class_balancing` also times `alpha` for targets of 1 and
    `1 - alpha` for targets of 0.

    Example:
        >>> import oxiconv
        >>> round(float(oxiconv.losses.binary_focal_crossentropy([[1.0]], [[0.5]])[0]), 4)
        0.1733
    """
    y_true, y_pred = as_pair("binary_focal_crossentropy", y_true, y_pred, broadcast=False)
    if label_smoothing:
        y_true = smoothed(y_true, label_smoothing, 2)
    p = ops.sigmoid(y_pred) if from_logits else y_pred
    clipped = ops.clip(p, EPSILON, 1.0 - EPSILON)
    losses = -(y_true * ops.log(clipped) + (1.0 - y_true) * ops.log(1.0 - clipped))
    losses = losses * ops.power(1.0 - (y_true * p + (1.0 - y_true) * (1.0 - p)), gamma)
    if apply_class_balancing:
        losses = losses * (y_true * alpha + (1.0 - y_true) * (1.0 - alpha))
    return ops.mean(losses, axis=axis)


def categorical_focal_crossentropy(
    y_true: Any,
    y_pred: Any,
    alpha: float | Sequence[float] = 0.25,
    gamma: float = 2.0,
    from_logits: bool = False,
    label_smoothing: float = 0.0,
    axis: int = -1,
) -> Tensor:
    """Sum over `axis` of `-alpha * (1 - p)**gamma * t * log(p)`; `alpha` may be a weight per class of the last axis.

    Example:
        >>> import oxiconv
        >>> round(float(oxiconv.losses.categorical_focal_crossentropy([[0.0, 1.0]], [[0.5, 0.5]])[0]), 4)
        0.0433
    """
    y_true, y_pred = as_pair("categorical_focal_crossentropy", y_true, y_pred, broadcast=False)
    if label_smoothing:
        y_true = smoothed(y_true, label_smoothing, y_pred.shape[axis])
    p = ops.softmax(y_pred, axis=axis) if from_logits else y_pred
    p = ops.clip(p / ops.sum(p, axis=axis, keepdims=True), EPSILON, 1.0 - EPSILON)
    weight = ops.power(1.0 - p, gamma) * ops.convert_to_tensor(alpha, dtype="float32")
    return ops.negative(ops.sum(weight * y_true * ops.log(p), axis=axis))


def categorical_generalized_cross_entropy(y_true: Any, y_pred: Any, q: float) -> Tensor:
    """`(1 - p**q) / q`, p the probability of the labelled class (Zhang and Sabuncu, 2018).

    Between the cross-entropy, for q towards 0, and the absolute error, for q = 1.

    Args:
        y_true: integer labels.
        y_pred: probabilities of the classes.
        q: in (0, 1).
    """
    y_pred = ops.convert_to_tensor(y_pred, dtype="float32")
    labels = class_labels(y_true, y_pred)
    p = ops.sum(ops.one_hot(labels, y_pred.shape[-1]) * y_pred, axis=-1)
    return (1.0 - ops.power(p, q)) / q


class BinaryFocalCrossentropy(LossFunctionWrapper):
    """`binary_focal_crossentropy`, reduced."""

    def __init__(
        self,
        apply_class_balancing: bool = False,
        alpha: float = 0.25,
        gamma: float = 2.0,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        axis: int = -1,
        reduction: str | None = "sum_over_batch_size",
        name: str = "binary_focal_crossentropy",
        dtype: Any = None,
    ) -> None:
        check_smoothing("BinaryFocalCrossentropy", label_smoothing)
        super().__init__(
            binary_focal_crossentropy,
            reduction,
            name,
            dtype,
            apply_class_balancing=apply_class_balancing,
            alpha=alpha,
            gamma=gamma,
            from_logits=from_logits,
            label_smoothing=label_smoothing,
            axis=axis,
        )


class CategoricalFocalCrossentropy(LossFunctionWrapper):
    """`categorical_focal_crossentropy`, reduced."""

    def __init__(
        self,
        alpha: float | Sequence[float] = 0.25,
        gamma: float = 2.0,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        axis: int = -1,
        reduction: str | None = "sum_over_batch_size",
        name: str = "categorical_focal_crossentropy",
        dtype: Any = None,
    ) -> None:
        check_smoothing("CategoricalFocalCrossentropy", label_smoothing)
        super().__init__(
            categorical_focal_crossentropy,
            reduction,
            name,
            dtype,
            alpha=alpha,
            gamma=gamma,
            from_logits=from_logits,
            label_smoothing=label_smoothing,
            axis=axis,
        )


class CategoricalGeneralizedCrossEntropy(LossFunctionWrapper):
    """`categorical_generalized_cross_entropy`, reduced."""

    _integer_targets = True

    def __init__(
        self,
        q: float = 0.5,
        reduction: str | None = "sum_over_batch_size",
        name: str = "categorical_generalized_cross_entropy",
        dtype: Any = None,
    ) -> None:
        if not 0 < q < 1:
            raise ValueError(f"CategoricalGeneralizedCrossEntropy: q must be in (0, 1), got {q!r}.")
        super().__init__(categorical_generalized_cross_entropy, reduction, name, dtype, q=q)
