"""Objects that occur more than once in one file: they are one object again after loading.

As in Keras, such entries carry the same `shared_object_id`. Within one `SharedObjects` scope all is one file.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextvars import ContextVar
from typing import Any, Self


class SharedObjects:
    """The scope of one file that is written or read."""

    def __init__(self) -> None:
        self.entries: dict[int, dict[str, Any]] = {}
        self.alive: list[Any] = []  # keeps identities unique
        self.objects: dict[int, Any] = {}

    def __enter__(self) -> Self:
        self._token = _scope.set(self)
        return self

    def __exit__(self, *_exc: object) -> None:
        _scope.reset(self._token)


_scope: ContextVar[SharedObjects | None] = ContextVar("oxiconv_shared_objects", default=None)


def written(obj: Any, entry: dict[str, Any]) -> None:
    """Notes the configuration of an object; at its second, numbers both."""
    scope = _scope.get()
    if scope is None:
        return
    first = scope.entries.setdefault(id(obj), entry)
    scope.alive.append(obj)
    if first is not entry:
        number = list(scope.entries).index(id(obj)) if "shared_object_id" not in first else first["shared_object_id"]
        first["shared_object_id"] = entry["shared_object_id"] = number


def read(entry: Mapping[str, Any]) -> Any:
    """The object that an entry of the same number has made before, or None."""
    scope, number = _scope.get(), entry.get("shared_object_id")
    return scope.objects.get(number) if scope is not None and isinstance(number, int) else None


def made(entry: Mapping[str, Any], obj: Any) -> None:
    """Notes what a numbered entry has made."""
    scope, number = _scope.get(), entry.get("shared_object_id")
    if scope is not None and isinstance(number, int):
        scope.objects[number] = obj
