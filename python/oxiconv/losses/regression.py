"""Losses of real-valued predictions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from oxiconv import ops
from oxiconv.losses.loss import LossFunctionWrapper, squeeze_or_expand_to_same_rank

if TYPE_CHECKING:
    from oxiconv._core import Tensor

EPSILON = 1e-7


def as_pair(name: str, y_true: Any, y_pred: Any, broadcast: bool = True) -> tuple[Tensor, Tensor]:
    """Targets and predictions as float32, of one shape but for axes of 1 where they may `broadcast`.

    Where the ranks differ by a last axis of 1, it is added or taken away.

    Raises:
        ValueError: the shapes do not fit.
    """
    y_pred = ops.convert_to_tensor(y_pred, dtype="float32")
    y_true = ops.cast(ops.convert_to_tensor(y_true), "float32")
    y_true, y_pred = squeeze_or_expand_to_same_rank(y_true, y_pred)
    true, pred = tuple(y_true.shape), tuple(y_pred.shape)
    fits = len(true) == len(pred) and all(a == b or 1 in (a, b) for a, b in zip(true, pred, strict=True))
    if true != pred and not (broadcast and fits):
        raise ValueError(f"{name}: expected targets of the predictions' shape {pred}, got {true}.")
    return y_true, y_pred


def mean_squared_error(y_true: Any, y_pred: Any) -> Tensor:
    """Mean over the last axis of `(y_true - y_pred)**2`.

    Args:
        y_true: targets `[batch, .., d]`.
        y_pred: predictions of the same shape.

    Returns:
        `[batch, ..]`.

    Raises:
        ValueError: the shapes differ.

    Example:
        >>> import oxiconv
        >>> oxiconv.losses.mean_squared_error([[1.0, 2.0]], [[1.0, 4.0]]).numpy().tolist()
        [2.0]
    """
    y_true, y_pred = as_pair("mean_squared_error", y_true, y_pred)
    return ops.mean(ops.square(ops.subtract(y_true, y_pred)), axis=-1)


def mean_absolute_error(y_true: Any, y_pred: Any) -> Tensor:
    """Mean over the last axis of `|y_true - y_pred|`. Shapes as in `mean_squared_error`."""
    y_true, y_pred = as_pair("mean_absolute_error", y_true, y_pred)
    return ops.mean(ops.abs(ops.subtract(y_true, y_pred)), axis=-1)


def mean_absolute_percentage_error(y_true: Any, y_pred: Any) -> Tensor:
    """100 times the mean over the last axis of `|y_true - y_pred| / max(|y_true|, 1e-7)`."""
    y_true, y_pred = as_pair("mean_absolute_percentage_error", y_true, y_pred)
    ratio = ops.divide(ops.subtract(y_true, y_pred), ops.maximum(ops.abs(y_true), EPSILON))
    return ops.multiply(ops.mean(ops.abs(ratio), axis=-1), 100.0)


def mean_squared_logarithmic_error(y_true: Any, y_pred: Any) -> Tensor:
    """Mean over the last axis of `(log(y_true + 1) - log(y_pred + 1))**2`, values below 1e-7 taken as 1e-7."""
    y_true, y_pred = as_pair("mean_squared_logarithmic_error", y_true, y_pred)
    logs = [ops.log(ops.add(ops.maximum(y, EPSILON), 1.0)) for y in (y_true, y_pred)]
    return ops.mean(ops.square(ops.subtract(*logs)), axis=-1)


def huber(y_true: Any, y_pred: Any, delta: float = 1.0) -> Tensor:
    """Mean over the last axis of `e**2 / 2` where `|e| <= delta`, else `delta * |e| - delta**2 / 2`; e is the error."""
    y_true, y_pred = as_pair("huber", y_true, y_pred)
    error = ops.abs(ops.subtract(y_pred, y_true))
    inside = ops.multiply(ops.square(error), 0.5)
    outside = ops.subtract(ops.multiply(error, float(delta)), 0.5 * delta * delta)
    return ops.mean(ops.where(ops.less_equal(error, float(delta)), inside, outside), axis=-1)


def log_cosh(y_true: Any, y_pred: Any) -> Tensor:
    """Mean over the last axis of `log(cosh(y_pred - y_true))`, as `x + log(1 + exp(-2 x)) - log 2` of x = |error|."""
    y_true, y_pred = as_pair("log_cosh", y_true, y_pred)
    x = ops.abs(ops.subtract(y_pred, y_true))
    tail = ops.log1p(ops.exp(ops.multiply(x, -2.0)))
    return ops.mean(ops.subtract(ops.add(x, tail), 0.6931471805599453), axis=-1)


def cosine_similarity(y_true: Any, y_pred: Any, axis: int = -1) -> Tensor:
    """Minus the cosine of the angle between targets and predictions along `axis`; a zero vector gives 0."""
    y_true, y_pred = as_pair("cosine_similarity", y_true, y_pred)
    unit = [_unit(y, axis) for y in (y_true, y_pred)]
    return ops.negative(ops.sum(ops.multiply(*unit), axis=axis))


def _unit(x: Tensor, axis: int) -> Tensor:
    norm = ops.sum(ops.square(x), axis=axis, keepdims=True)
    return ops.multiply(x, ops.rsqrt(ops.maximum(norm, EPSILON * EPSILON)))


class MeanSquaredError(LossFunctionWrapper):
    """`mean_squared_error`, reduced.

    Example:
        >>> import oxiconv
        >>> float(oxiconv.losses.MeanSquaredError()([[0.0], [0.0]], [[1.0], [3.0]]))
        5.0
    """

    def __init__(
        self, reduction: str | None = "sum_over_batch_size", name: str = "mean_squared_error", dtype: Any = None
    ) -> None:
        super().__init__(mean_squared_error, reduction, name, dtype)


class MeanAbsoluteError(LossFunctionWrapper):
    """`mean_absolute_error`, reduced."""

    def __init__(
        self, reduction: str | None = "sum_over_batch_size", name: str = "mean_absolute_error", dtype: Any = None
    ) -> None:
        super().__init__(mean_absolute_error, reduction, name, dtype)


class MeanAbsolutePercentageError(LossFunctionWrapper):
    """`mean_absolute_percentage_error`, reduced."""

    def __init__(
        self,
        reduction: str | None = "sum_over_batch_size",
        name: str = "mean_absolute_percentage_error",
        dtype: Any = None,
    ) -> None:
        super().__init__(mean_absolute_percentage_error, reduction, name, dtype)


class MeanSquaredLogarithmicError(LossFunctionWrapper):
    """`mean_squared_logarithmic_error`, reduced."""

    def __init__(
        self,
        reduction: str | None = "sum_over_batch_size",
        name: str = "mean_squared_logarithmic_error",
        dtype: Any = None,
    ) -> None:
        super().__init__(mean_squared_logarithmic_error, reduction, name, dtype)


class Huber(LossFunctionWrapper):
    """`huber`, reduced."""

    def __init__(
        self,
        delta: float = 1.0,
        reduction: str | None = "sum_over_batch_size",
        name: str = "huber_loss",
        dtype: Any = None,
    ) -> None:
        super().__init__(huber, reduction, name, dtype, delta=delta)


class LogCosh(LossFunctionWrapper):
    """`log_cosh`, reduced."""

    def __init__(
        self, reduction: str | None = "sum_over_batch_size", name: str = "log_cosh", dtype: Any = None
    ) -> None:
        super().__init__(log_cosh, reduction, name, dtype)


class CosineSimilarity(LossFunctionWrapper):
    """`cosine_similarity`, reduced: -1 for equal directions, 0 for orthogonal ones."""

    def __init__(
        self,
        axis: int = -1,
        reduction: str | None = "sum_over_batch_size",
        name: str = "cosine_similarity",
        dtype: Any = None,
    ) -> None:
        super().__init__(cosine_similarity, reduction, name, dtype, axis=axis)
