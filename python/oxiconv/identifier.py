"""What users may give for an initializer, activation, regularizer or constraint: a name, object or configuration."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def _of_config(config: Mapping[str, Any], known: Mapping[str, Any]) -> Any:
    """The object of a configuration; older ones name a class of `known` without its module."""
    named = known.get(str(config.get("class_name")))
    if config.get("module") is None and config.get("registered_name") is None and isinstance(named, type):
        return named.from_config(dict(config.get("config", {})))  # type: ignore[attr-defined]
    from oxiconv.saving.serialization import deserialize_keras_object

    return deserialize_keras_object(config)


def resolve(kind: str, identifier: Any, known: Mapping[str, Any]) -> Any:
    """The object that `identifier` names: among `known`, then among the registered custom objects.

    A class is instantiated; a configuration is deserialized; None and callables are returned as they are.

    Raises:
        ValueError: an unknown name, or something that is none of these.
    """
    if identifier is None:
        return None
    if isinstance(identifier, Mapping):
        found = _of_config(identifier, known)
    elif isinstance(identifier, str):
        found = known.get(identifier)
        if found is None:
            from oxiconv.saving.custom_objects import get_registered_object

            found = get_registered_object(identifier)
        if found is None:
            raise ValueError(f"{kind}: expected one of {', '.join(sorted(known))}, got {identifier!r}")
    else:
        found = identifier
    if isinstance(found, type):
        found = found()
    if not callable(found):
        raise ValueError(f"{kind}: expected a name, a callable or a configuration, got {identifier!r}")
    return found
