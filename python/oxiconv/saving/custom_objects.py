"""The user's classes and functions that a saved file may name.

A file is data: a name in it only ever selects among oxiconv's own public classes, what the program registered with
`register_keras_serializable`, and what the caller passed as `custom_objects`. Nothing is imported by name.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextvars import ContextVar
from types import MappingProxyType
from typing import Any, Self, TypeVar

T = TypeVar("T")

_registered: dict[str, Any] = {}
_scope: ContextVar[Mapping[str, Any]] = ContextVar("oxiconv_custom_objects", default=MappingProxyType({}))


def register_keras_serializable(package: str = "Custom", name: str | None = None) -> Callable[[T], T]:
    """Decorator that makes a class or function known to saved files under `package>name`.

    A class needs `get_config`. The name defaults to the object's own.

    Example:
        >>> import oxiconv
        >>> @oxiconv.saving.register_keras_serializable(package="docs")
        ... def halved(x):
        ...     return x * 0.5
        >>> oxiconv.saving.get_registered_name(halved)
        'docs>halved'

    Raises:
        ValueError: a class has no `get_config`.
    """

    def register(obj: T) -> T:
        registered_name = f"{package}>{name or getattr(obj, '__name__', type(obj).__name__)}"
        if isinstance(obj, type) and not hasattr(obj, "get_config"):
            raise ValueError(f"register_keras_serializable: {obj.__name__} has no get_config method")
        _registered[registered_name] = obj
        return obj

    return register


def get_registered_name(obj: Any) -> str:
    """The name `obj` was registered under, or its own `__name__`."""
    for registered_name, known in _registered.items():
        if known is obj:
            return registered_name
    return str(getattr(obj, "__name__", type(obj).__name__))


def get_registered_object(
    name: str, custom_objects: Mapping[str, Any] | None = None, module_objects: Mapping[str, Any] | None = None
) -> Any | None:
    """The object called `name` in `custom_objects`, the scope, the registry or `module_objects`; None where unknown."""
    for known in (custom_objects or {}, _scope.get(), _registered, module_objects or {}):
        if name in known:
            return known[name]
    return None


def get_custom_objects() -> dict[str, Any]:
    """What has been registered, by name: the live registry."""
    return _registered


class CustomObjectScope:
    """Context in which `custom_objects` are known to deserialization. Scopes nest.

    Example:
        >>> import oxiconv
        >>> with oxiconv.saving.CustomObjectScope({"f": abs}):
        ...     oxiconv.saving.get_registered_object("f") is abs
        True
    """

    def __init__(self, custom_objects: Mapping[str, Any]) -> None:
        self._custom_objects = dict(custom_objects)

    def __enter__(self) -> Self:
        self._token = _scope.set({**_scope.get(), **self._custom_objects})
        return self

    def __exit__(self, *_exc: object) -> None:
        _scope.reset(self._token)


custom_object_scope = CustomObjectScope
