"""Activations and cross-entropies, with gradients."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from reference.case import Array, Library, case
from reference.inputs import spread

ACTIVATIONS = [
    "celu", "elu", "exponential", "gelu", "hard_shrink", "hard_sigmoid", "hard_silu", "hard_tanh", "leaky_relu",
    "linear", "log_sigmoid", "log_softmax", "mish", "relu", "relu6", "selu", "sigmoid", "silu", "softmax", "softplus",
    "softsign", "soft_shrink", "sparse_plus", "sparse_sigmoid", "squareplus", "swish", "tanh",
    "tanh_shrink", "glu",
]  # fmt: skip


@case(each=ACTIVATIONS)
def activation(k: Library, name: str) -> Mapping[str, Array]:
    return k.gradients(k.keras.activations.get(name), spread(k, (4, 6), 3))


@case
def activation_arguments(k: Library) -> Mapping[str, Mapping[str, Array]]:
    a, x = k.keras.activations, spread(k, (4, 6), 3)
    return {
        "relu": k.gradients(lambda x: a.relu(x, negative_slope=0.1, max_value=1.0, threshold=0.25), x),
        "elu": k.gradients(lambda x: a.elu(x, alpha=0.5), x),
        "gelu": k.gradients(lambda x: a.gelu(x, approximate=True), x),
        "threshold": k.gradients(lambda x: a.threshold(x, 0.5, -2.0), x),
        "squareplus": k.gradients(lambda x: a.squareplus(x, 2), x),
        "soft_shrink": k.gradients(lambda x: a.soft_shrink(x, 0.25), x),
    }


CROSSENTROPIES: dict[str, Callable[[Any, Any, Any], Any]] = {
    "binary": lambda o, t, y: o.binary_crossentropy(t, o.sigmoid(y)),
    "binary_logits": lambda o, t, y: o.binary_crossentropy(t, y, from_logits=True),
    "categorical": lambda o, t, y: o.categorical_crossentropy(t, o.exp(y)),
    "categorical_logits": lambda o, t, y: o.categorical_crossentropy(t, y, from_logits=True),
    "categorical_axis": lambda o, t, y: o.categorical_crossentropy(t, o.exp(y), axis=0),
}


@case(each=CROSSENTROPIES)
def crossentropy(k: Library, function: Callable[[Any, Any, Any], Any]) -> Mapping[str, Array]:
    target = k.uniform((3, 4), 0.1, 0.9, 5)
    # Gradients of TensorFlow from logits take it that these are probabilities.
    target = target / target.sum(-1, keepdims=True)
    return k.gradients(lambda y: function(k.keras.ops, k.tensor(target), y), k.normal((3, 4), 6))


@case(each=[False, True])
def sparse_crossentropy(k: Library, from_logits: bool) -> Mapping[str, Array]:
    ops = k.keras.ops
    classes = k.tensor(k.integers((3,), 4, 1))

    def run(y: Any) -> Any:
        return ops.sparse_categorical_crossentropy(classes, y if from_logits else ops.softmax(y), from_logits)

    return k.gradients(run, k.normal((3, 4), 6))
