"""Activation functions by name, as layers' `activation=` takes them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from oxiconv import ops
from oxiconv.identifier import resolve
from oxiconv.ops.activation import mish
from oxiconv.ops.promotion import real
from oxiconv.symbolic import op
from oxiconv.tensor import Tensor, TensorLike

__all__ = [
    "celu",
    "deserialize",
    "elu",
    "exponential",
    "gelu",
    "get",
    "glu",
    "hard_shrink",
    "hard_sigmoid",
    "hard_silu",
    "hard_swish",
    "hard_tanh",
    "leaky_relu",
    "linear",
    "log_sigmoid",
    "log_softmax",
    "mish",
    "relu",
    "relu6",
    "selu",
    "serialize",
    "sigmoid",
    "silu",
    "soft_shrink",
    "softmax",
    "softplus",
    "softsign",
    "sparse_plus",
    "sparse_sigmoid",
    "sparsemax",
    "squareplus",
    "swish",
    "tanh",
    "tanh_shrink",
    "threshold",
]

celu = ops.celu
elu = ops.elu
exponential = ops.exp
glu = ops.glu
hard_sigmoid = ops.hard_sigmoid
hard_silu = hard_swish = ops.hard_silu
hard_shrink = ops.hard_shrink
hard_tanh = ops.hard_tanh
leaky_relu = ops.leaky_relu
log_sigmoid = ops.log_sigmoid
log_softmax = ops.log_softmax
relu6 = ops.relu6
selu = ops.selu
sigmoid = ops.sigmoid
silu = swish = ops.silu
softplus = ops.softplus
softmax = ops.softmax
softsign = ops.softsign
soft_shrink = ops.soft_shrink
sparse_plus = ops.sparse_plus
sparse_sigmoid = ops.sparse_sigmoid
sparsemax = ops.sparsemax
squareplus = ops.squareplus
tanh = ops.tanh
tanh_shrink = ops.tanh_shrink
threshold = ops.threshold


@op
def linear(x: TensorLike) -> Tensor:
    """`x`."""
    return ops.convert_to_tensor(x)


@op
def relu(x: TensorLike, negative_slope: float = 0.0, max_value: float | None = None, threshold: float = 0.0) -> Tensor:
    """`x` above `threshold`, at most `max_value`; `negative_slope * (x - threshold)` below.

    Example:
        >>> relu([-2.0, 1.0, 9.0], negative_slope=0.5, max_value=6.0).numpy().tolist()
        [-1.0, 1.0, 6.0]
    """
    if threshold == 0 and negative_slope == 0:
        y = ops.relu(x)
    elif threshold == 0:
        y = ops.leaky_relu(x, negative_slope)
    else:
        x = real(x)
        y = ops.where(x > threshold, x, (x - threshold) * negative_slope)
    return y if max_value is None else ops.minimum(y, max_value)


@op
def gelu(x: TensorLike, approximate: bool = False) -> Tensor:
    """`x` times the normal distribution function of `x`."""
    return ops.gelu(x, approximate)


_KNOWN: dict[str, Any] = {name: globals()[name] for name in __all__ if name not in ("get", "serialize", "deserialize")}


def get(identifier: Any) -> Any:
    """The function that a name, callable or configuration stands for; None is `linear`.

    Example:
        >>> float(get("relu")(-1.0))
        0.0
    """
    return linear if identifier is None else resolve("activation", identifier, _KNOWN)


def serialize(activation: Any) -> Any:
    """The name of one of these functions, or the configuration of another."""
    name = getattr(activation, "__name__", None)
    for known in (name, "exponential"):
        if isinstance(known, str) and _KNOWN.get(known) is activation:
            return known
    from oxiconv.saving.serialization import serialize_keras_object

    return serialize_keras_object(activation)


def deserialize(config: Any, custom_objects: Mapping[str, Any] | None = None) -> Any:
    """The function of a name or configuration."""
    if isinstance(config, str) and config in _KNOWN:
        return _KNOWN[config]
    from oxiconv.saving.serialization import deserialize_keras_object

    return deserialize_keras_object(config, custom_objects)
