"""Sums and means of values over batches."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from oxiconv import ops
from oxiconv.losses.loss import (
    align_weight,
    apply_mask,
    check_weight,
    divide_no_nan,
    squeeze_or_expand_to_same_rank,
)
from oxiconv.masks import get_keras_mask
from oxiconv.metrics.metric import Accumulator, Metric

if TYPE_CHECKING:
    from collections.abc import Callable

    from oxiconv._core import Tensor


class Sum(Metric):
    """Sum of all values, each times its weight.

    Example:
        >>> import oxiconv
        >>> metric = oxiconv.metrics.Sum()
        >>> metric.update_state([1.0, 3.0], sample_weight=[1.0, 0.5])
        >>> float(metric.result())
        2.5
    """

    def __init__(self, name: str = "sum", dtype: Any = None) -> None:
        super().__init__(dtype, name)
        self._total = Accumulator(self, "total")
        self.total = self._total.high

    def update_state(self, values: Any, sample_weight: Any = None) -> None:
        """Adds a batch."""
        mask, values = get_keras_mask(values), ops.convert_to_tensor(values, dtype="float32")
        if sample_weight is not None:
            values, weight = _weighted(values, sample_weight, mask)
            values = ops.multiply(values, align_weight(values, weight))
        self._total.add(ops.sum(values))

    def result(self) -> Tensor:
        """The value over all batches since the last reset."""
        return self._total.value


class Mean(Metric):
    """Weighted mean of the samples' values; axes after the first are averaged within a sample.

    Example:
        >>> import oxiconv
        >>> metric = oxiconv.metrics.Mean()
        >>> metric.update_state([1.0, 3.0]), metric.update_state(8.0)
        (None, None)
        >>> float(metric.result())
        4.0
    """

    def __init__(self, name: str = "mean", dtype: Any = None) -> None:
        super().__init__(dtype, name)
        self._total = Accumulator(self, "total")
        self._count = Accumulator(self, "count")
        self.total = self._total.high
        self.count = self._count.high

    def update_state(self, values: Any, sample_weight: Any = None) -> None:
        """Adds a batch."""
        values, weight = samplewise(values, sample_weight)
        self._total.add(ops.sum(values))
        if weight is None:
            self._count.add(ops.convert_to_tensor(float(values.shape[0] if values.shape else 1)))
        else:
            self._count.add(ops.sum(weight))

    def result(self) -> Tensor:
        """The value over all batches since the last reset."""
        return divide_no_nan(self._total.value, self._count.value)


def samplewise(values: Any, sample_weight: Any) -> tuple[Tensor, Tensor | None]:
    """One value per sample, times its weight, and the weight per sample."""
    mask, values = get_keras_mask(values), ops.convert_to_tensor(values, dtype="float32")
    if sample_weight is None:
        return (_mean_from(values, 1), None) if len(values.shape) > 1 else (values, None)
    values, weight = _weighted(values, sample_weight, mask)
    if len(values.shape) > len(weight.shape):
        values = _mean_from(values, len(weight.shape))
    weight = ops.broadcast_to(weight, values.shape)
    values = ops.multiply(values, weight)
    if len(values.shape) > 1:
        values, weight = _mean_from(values, 1), _mean_from(weight, 1)
    return values, weight


def _weighted(values: Tensor, sample_weight: Any, mask: Any) -> tuple[Tensor, Tensor]:
    """The values, and weights of their leading axes. As in Keras, the values' mask counts where there are weights."""
    weight = apply_mask(ops.convert_to_tensor(sample_weight, dtype="float32"), mask, "sum")
    assert weight is not None
    values, weight = squeeze_or_expand_to_same_rank(values, weight)
    check_weight(values, weight)
    return values, weight


def _mean_from(values: Tensor, axis: int) -> Tensor:
    """Mean over the axes from `axis` on."""
    axes = list(range(axis, len(values.shape)))
    count = math.prod(values.shape[axis:])
    return ops.multiply(ops.sum(values, axis=axes), 1.0 / max(count, 1))


class MeanMetricWrapper(Mean):
    """Mean of `fn(y_true, y_pred, **kwargs)`, a function that gives a value per sample.

    Example:
        >>> import oxiconv
        >>> metric = oxiconv.metrics.MeanMetricWrapper(oxiconv.losses.mean_absolute_error)
        >>> float(metric([[1.0], [2.0]], [[1.0], [5.0]]))
        1.5
    """

    def __init__(self, fn: Callable[..., Any], name: str | None = None, dtype: Any = None, **kwargs: Any) -> None:
        super().__init__(name or getattr(fn, "__name__", None) or "mean_metric_wrapper", dtype)
        self._fn = fn
        self._fn_kwargs = kwargs

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:  # type: ignore[override]
        """Adds a batch."""
        values = self._fn(y_true, y_pred, **self._fn_kwargs)
        if sample_weight is not None:
            sample_weight = ops.convert_to_tensor(sample_weight, dtype="float32")
        super().update_state(values, apply_mask(sample_weight, get_keras_mask(y_pred), "sum"))

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        from oxiconv.saving.serialization import serialize_keras_object

        config = {**super().get_config(), **self._fn_kwargs}
        return config if type(self) is not MeanMetricWrapper else {**config, "fn": serialize_keras_object(self._fn)}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Metric:
        """An instance of a configuration."""
        if isinstance(config.get("fn"), dict):
            from oxiconv.saving.serialization import deserialize_keras_object

            config = {**config, "fn": deserialize_keras_object(config["fn"])}
        return cls(**config)
