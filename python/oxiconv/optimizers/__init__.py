"""Optimizers, with Keras's names, defaults and formulas."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from oxiconv.optimizers import schedules
from oxiconv.optimizers.adam import Adam, AdamW
from oxiconv.optimizers.optimizer import Optimizer
from oxiconv.optimizers.rmsprop import RMSprop
from oxiconv.optimizers.sgd import SGD

_BY_NAME: dict[str, type[Optimizer]] = {cls.__name__.lower(): cls for cls in (Adam, AdamW, RMSprop, SGD)}


def get(identifier: Any) -> Optimizer:
    """An optimizer by name, configuration or itself.

    Args:
        identifier: a class name in any case ('adam', 'sgd', …); a configuration dict; an `Optimizer`.

    Raises:
        ValueError: an unknown name.

    Example:
        >>> import oxiconv
        >>> type(oxiconv.optimizers.get("rmsprop")).__name__
        'RMSprop'
    """
    if isinstance(identifier, Optimizer):
        return identifier
    if isinstance(identifier, Mapping):
        return deserialize(identifier)
    if isinstance(identifier, str):
        from oxiconv.saving.custom_objects import get_registered_object

        found = get_registered_object(identifier) or _BY_NAME.get(identifier.lower())
        if found is None:
            raise ValueError(f"Unknown optimizer {identifier!r}; expected one of {sorted(_BY_NAME)}.")
        identifier = found
    if isinstance(identifier, type) and issubclass(identifier, Optimizer):
        make: Callable[[], Optimizer] = identifier  # subclasses have a default learning rate
        return make()
    raise ValueError(f"Could not interpret {identifier!r} as an optimizer.")


def serialize(optimizer: Optimizer) -> Any:
    """The configuration of an optimizer, without its slots."""
    from oxiconv.saving.serialization import serialize_keras_object

    return serialize_keras_object(optimizer)


def deserialize(config: Any, custom_objects: Mapping[str, Any] | None = None) -> Optimizer:
    """The optimizer of a configuration."""
    from oxiconv.saving.serialization import deserialize_keras_object

    optimizer = deserialize_keras_object(config, custom_objects)
    if not isinstance(optimizer, Optimizer):
        raise ValueError(f"Expected the configuration of an optimizer, got {config!r}.")
    return optimizer


__all__ = ["SGD", "Adam", "AdamW", "Optimizer", "RMSprop", "deserialize", "get", "schedules", "serialize"]
