"""The base class of losses, and the reduction of per-sample values with sample weights."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from oxiconv import ops
from oxiconv.masks import get_keras_mask, set_keras_mask
from oxiconv.naming import auto_name

if TYPE_CHECKING:
    from oxiconv._core import Tensor

REDUCTIONS = ("sum_over_batch_size", "sum", "mean", "mean_with_sample_weight", "none", None)


class Loss:
    """Base class: subclasses define `call(y_true, y_pred)`, the loss of each sample.

    Args:
        name: name of the loss; by default the class name in snake case.
        reduction: 'sum_over_batch_size' or 'mean' (sum of the weighted values over their number), 'sum',
            'mean_with_sample_weight' (over the sum of the weights), 'none' or None (no reduction).
        dtype: a floating type; losses are computed in float32.

    Example:
        >>> import numpy as np, oxiconv
        >>> class Distance(oxiconv.losses.Loss):
        ...     def call(self, y_true, y_pred):
        ...         return oxiconv.ops.sum(oxiconv.ops.abs(oxiconv.ops.subtract(y_true, y_pred)), axis=-1)
        >>> float(Distance()(np.zeros((2, 3)), np.ones((2, 3))))
        3.0
    """

    # Whether targets keep their integer dtype; others are given to `call` as float32, as Keras gives them.
    _integer_targets = False

    def __init__(
        self, name: str | None = None, reduction: str | None = "sum_over_batch_size", dtype: Any = None
    ) -> None:
        if reduction not in REDUCTIONS:
            raise ValueError(f"Unknown loss reduction {reduction!r}; expected one of {REDUCTIONS}.")
        check_dtype("Loss", dtype)
        self.name = name or auto_name(type(self).__name__)
        self.reduction = reduction

    @property
    def dtype(self) -> str:
        """float32."""
        return "float32"

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Tensor:
        """The reduced loss.

        Args:
            y_true: targets, or a structure of them for a `call` that takes such.
            y_pred: predictions, likewise.
            sample_weight: weights that multiply the values: a scalar, one per sample, or of the values' shape.
        """
        y_true = _map(self._target, y_true)
        y_pred = _map(_prediction, y_pred)
        values = ops.convert_to_tensor(self.call(y_true, y_pred))
        mask = _both(get_keras_mask(y_pred), get_keras_mask(values))
        return reduce_weighted_values(values, sample_weight, mask, self.reduction)

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """The loss of each sample; for inputs `[batch, .., d]` usually of shape `[batch, ..]`."""
        raise NotImplementedError(f"{type(self).__name__} must define call(y_true, y_pred)")

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {"name": self.name, "reduction": self.reduction}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Loss:
        """An instance of a configuration."""
        return cls(**config)

    def _target(self, y: Any) -> Tensor:
        y = ops.convert_to_tensor(y)
        return y if self._integer_targets and y.dtype != "float32" else ops.cast(y, "float32")


def _prediction(y: Any) -> Tensor:
    x = ops.convert_to_tensor(y, dtype="float32")
    mask = get_keras_mask(y)
    if mask is not None and x is not y:
        set_keras_mask(x, mask)
    return x


class LossFunctionWrapper(Loss):
    """A loss made of a function `fn(y_true, y_pred, **kwargs)` that gives the loss of each sample."""

    def __init__(
        self,
        fn: Callable[..., Any],
        reduction: str | None = "sum_over_batch_size",
        name: str | None = None,
        dtype: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(name=name or getattr(fn, "__name__", None), reduction=reduction, dtype=dtype)
        self.fn = fn
        self._fn_kwargs = kwargs

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """The loss of each sample."""
        if not isinstance(y_true, dict | list | tuple) and not isinstance(y_pred, dict | list | tuple):
            y_true, y_pred = squeeze_or_expand_to_same_rank(y_true, y_pred)
        return self.fn(y_true, y_pred, **self._fn_kwargs)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        from oxiconv.saving.serialization import serialize_keras_object

        config = {**super().get_config(), **self._fn_kwargs}
        return config if type(self) is not LossFunctionWrapper else {**config, "fn": serialize_keras_object(self.fn)}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Loss:
        """An instance of a configuration."""
        if isinstance(config.get("fn"), dict):
            from oxiconv.saving.serialization import deserialize_keras_object

            config = {**config, "fn": deserialize_keras_object(config["fn"])}
        return cls(**config)


def check_dtype(owner: str, dtype: Any) -> None:
    """Raises ValueError unless `dtype` is None, a floating type or a policy of one: computations are in float32."""
    name = getattr(dtype, "compute_dtype", dtype)
    if name is not None and "float" not in str(name):
        raise ValueError(f"{owner}: dtype must be a floating type, got {dtype!r}.")


def squeeze_or_expand_to_same_rank(x1: Tensor, x2: Tensor, expand_rank_1: bool = True) -> tuple[Tensor, Tensor]:
    """Where the ranks differ by one and the longer ends in 1: expands a vector, else squeezes the longer."""
    rank1, rank2 = len(x1.shape), len(x2.shape)
    if rank1 == rank2 + 1 and x1.shape[-1] == 1:
        return (x1, ops.expand_dims(x2, -1)) if rank2 == 1 and expand_rank_1 else (ops.squeeze(x1, -1), x2)
    if rank2 == rank1 + 1 and x2.shape[-1] == 1:
        return (ops.expand_dims(x1, -1), x2) if rank1 == 1 and expand_rank_1 else (x1, ops.squeeze(x2, -1))
    return x1, x2


def reduce_weighted_values(
    values: Tensor, sample_weight: Any = None, mask: Tensor | None = None, reduction: str | None = "sum_over_batch_size"
) -> Tensor:
    """`values` times the weights, reduced. Under a mask a mean is taken over the values that count."""
    if sample_weight is not None:
        sample_weight = ops.convert_to_tensor(sample_weight, dtype="float32")
    sample_weight = apply_mask(sample_weight, mask, reduction)
    if sample_weight is not None:
        values, sample_weight = squeeze_or_expand_to_same_rank(values, sample_weight)
        check_weight(values, sample_weight)
        sample_weight = align_weight(values, sample_weight)
        values = ops.multiply(values, sample_weight)
    if reduction in (None, "none") or values.shape in ((), (0,)):
        return values
    total = ops.sum(values)
    if reduction == "sum":
        return total
    if reduction == "mean_with_sample_weight" and sample_weight is not None:
        return divide_no_nan(total, ops.sum(sample_weight))
    return ops.multiply(total, 1.0 / max(math.prod(values.shape), 1))


def apply_mask(sample_weight: Tensor | None, mask: Tensor | None, reduction: str | None) -> Tensor | None:
    """The weights, zero where the mask is false; for a mean they grow by total/valid, to be one over valid values."""
    if mask is None:
        return sample_weight
    weight = ops.cast(mask, "float32")
    if reduction in ("mean", "sum_over_batch_size"):
        scale = divide_no_nan(ops.convert_to_tensor(float(math.prod(mask.shape))), ops.sum(weight))
        weight = ops.multiply(weight, scale)
    if sample_weight is None:
        return weight
    weight, sample_weight = squeeze_or_expand_to_same_rank(weight, sample_weight)
    return ops.multiply(align_weight(weight, sample_weight), weight)


def _both(a: Any, b: Any) -> Any:
    """Where two masks, each None for everywhere, are both true."""
    if a is None or b is None:
        return b if a is None else a
    return ops.logical_and(ops.cast(a, "bool"), ops.cast(b, "bool"))


def align_weight(values: Tensor, weight: Tensor) -> Tensor:
    """A weight per sample (or per leading axes), with axes of 1 appended so that it broadcasts against `values`."""
    missing = len(values.shape) - len(weight.shape)
    if missing <= 0 or not weight.shape:
        return weight
    return ops.reshape(weight, (*weight.shape, *(1,) * missing))


def check_weight(values: Tensor, weight: Tensor) -> None:
    """Raises ValueError unless the weight's axes are the values' leading ones."""
    shape, given = tuple(values.shape), tuple(weight.shape)
    if len(given) > len(shape) or any(w not in (1, v) for w, v in zip(given, shape, strict=False)):
        raise ValueError(
            f"sample_weight: expected a weight per sample, or the leading axes of {shape}, got shape {given}."
        )


def divide_no_nan(a: Tensor, b: Tensor) -> Tensor:
    """A / b, and 0 where b is 0."""
    zero = ops.equal(b, 0.0)
    return ops.where(zero, 0.0, ops.divide(a, ops.where(zero, 1.0, b)))


def _map(fn: Callable[[Any], Any], structure: Any) -> Any:
    if isinstance(structure, dict):
        return {key: _map(fn, value) for key, value in structure.items()}
    if isinstance(structure, list | tuple) and any(hasattr(item, "shape") for item in structure):
        return [_map(fn, item) for item in structure]
    return fn(structure)
