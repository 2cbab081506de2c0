"""Initializers: what fills new weights. Names and formulas are Keras's."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from oxiconv.absent import getter
from oxiconv.identifier import resolve
from oxiconv.initializers.constant import Constant, Identity, Ones, Zeros
from oxiconv.initializers.initializer import Initializer
from oxiconv.initializers.random import (
    GlorotNormal,
    GlorotUniform,
    HeNormal,
    HeUniform,
    LecunNormal,
    LecunUniform,
    Orthogonal,
    RandomInitializer,
    RandomNormal,
    RandomUniform,
    TruncatedNormal,
    VarianceScaling,
)
from oxiconv.naming import to_snake_case

# Keras's lower-case aliases, which are the classes.
constant = Constant
glorot_normal = GlorotNormal
glorot_uniform = GlorotUniform
he_normal = HeNormal
he_uniform = HeUniform
IdentityInitializer = identity = Identity
lecun_normal = LecunNormal
lecun_uniform = LecunUniform
ones = Ones
OrthogonalInitializer = orthogonal = Orthogonal
random_normal = RandomNormal
random_uniform = RandomUniform
truncated_normal = TruncatedNormal
variance_scaling = VarianceScaling
zeros = Zeros

__all__ = [
    "Constant",
    "GlorotNormal",
    "GlorotUniform",
    "HeNormal",
    "HeUniform",
    "Identity",
    "IdentityInitializer",
    "Initializer",
    "LecunNormal",
    "LecunUniform",
    "Ones",
    "Orthogonal",
    "OrthogonalInitializer",
    "RandomInitializer",
    "RandomNormal",
    "RandomUniform",
    "TruncatedNormal",
    "VarianceScaling",
    "Zeros",
    "constant",
    "deserialize",
    "get",
    "glorot_normal",
    "glorot_uniform",
    "he_normal",
    "he_uniform",
    "identity",
    "lecun_normal",
    "lecun_uniform",
    "ones",
    "orthogonal",
    "random_normal",
    "random_uniform",
    "serialize",
    "truncated_normal",
    "variance_scaling",
    "zeros",
]

_CLASSES = (
    Constant,
    GlorotNormal,
    GlorotUniform,
    HeNormal,
    HeUniform,
    Identity,
    LecunNormal,
    LecunUniform,
    Ones,
    Orthogonal,
    RandomNormal,
    RandomUniform,
    TruncatedNormal,
    VarianceScaling,
    Zeros,
)
_KNOWN: dict[str, Any] = {
    **{cls.__name__: cls for cls in _CLASSES},
    **{to_snake_case(cls.__name__): cls for cls in _CLASSES},
    "uniform": RandomUniform,
    "normal": RandomNormal,
    "one": Ones,
    "zero": Zeros,
    "IdentityInitializer": Identity,
    "OrthogonalInitializer": Orthogonal,
}


def get(identifier: Any) -> Any:
    """The initializer that a name, class, configuration, callable or array stands for.

    Example:
        >>> get("he_normal")
        <HeNormal>
    """
    if not callable(identifier) and hasattr(identifier, "shape"):
        from oxiconv import ops

        value = ops.convert_to_tensor(identifier)

        def same(shape: Any, dtype: Any = None) -> Any:
            if tuple(shape) != tuple(value.shape):
                raise ValueError(f"initializer: expected shape {tuple(value.shape)} of the array, got {tuple(shape)}.")
            return ops.cast(value, dtype or value.dtype)

        return same
    return resolve("initializer", identifier, _KNOWN)


def serialize(initializer: Callable[..., Any] | None) -> Any:
    """The configuration of an initializer."""
    from oxiconv.saving.serialization import serialize_keras_object

    return serialize_keras_object(initializer)


def deserialize(config: Any, custom_objects: Mapping[str, Any] | None = None) -> Any:
    """The initializer of a configuration."""
    from oxiconv.saving.serialization import deserialize_keras_object

    return deserialize_keras_object(config, custom_objects)


__getattr__ = getter(__name__)
