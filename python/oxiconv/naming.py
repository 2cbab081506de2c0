"""Names: automatic ones per class as Keras counts them, and the scopes that make paths of them."""

from __future__ import annotations

import re
import threading
from collections import Counter
from typing import Any, Self

_counts: Counter[str] = Counter()
_uids: Counter[str] = Counter()


class _Scopes(threading.local):
    def __init__(self) -> None:
        # Named things, outermost first: `name_scope`s, and layers while they are built or called.
        self.open: list[Any] = []


scopes = _Scopes()


def to_snake_case(name: str) -> str:
    """Keras's snake case: letters only are split.

    >>> [to_snake_case(n) for n in ("Conv2D", "MaxPooling2D", "ReLU", "BatchNormalization")]
    ['conv2d', 'max_pooling2d', 're_lu', 'batch_normalization']
    """
    name = re.sub(r"\W+", "", name)
    name = re.sub("(.)([A-Z][a-z]+)", r"\1_\2", name)
    return re.sub("([a-z])([A-Z])", r"\1_\2", name).lower()


def auto_name(class_name: str) -> str:
    """The next free automatic name of a class."""
    prefix = to_snake_case(class_name)
    count = _counts[prefix]
    _counts[prefix] += 1
    return prefix if count == 0 else f"{prefix}_{count}"


def reset() -> None:
    """Forgets all counts: names start over."""
    _counts.clear()
    _uids.clear()


def uid(prefix: str) -> int:
    """How often this was called with a prefix."""
    _uids[prefix] += 1
    return _uids[prefix]


class name_scope:
    """A context in which the paths of variables start with `name`. Scopes nest.

    Args:
        name: without '/'.
        caller: the object that opens the scope.
        deduplicate: whether a scope that `caller` has just opened under this name is used again.
        override_parent: a path to start from, instead of the scopes around this one.

    >>> with name_scope("encoder"):
    ...     current_path()
    'encoder'
    """

    def __init__(
        self, name: str, caller: Any = None, deduplicate: bool = True, override_parent: str | None = None
    ) -> None:
        if "/" in str(name):
            raise ValueError(f"name_scope: expected a name without '/', got {name!r}")
        self.name = name
        self.caller = caller
        self.deduplicate = deduplicate
        self.override_parent = override_parent
        self._opened = False

    def __enter__(self) -> Self:
        top = scopes.open[-1] if scopes.open else None
        again = self.deduplicate and self.caller is not None and getattr(top, "caller", top) is self.caller
        self._opened = not (again and top is not None and top.name == self.name)
        if self._opened:
            scopes.open.append(self)
        return self

    def __exit__(self, *exc: object) -> None:
        if self._opened:
            scopes.open.pop()


def current_path() -> str:
    """The names of the open scopes, joined by '/'."""
    parts: list[str] = []
    for scope in scopes.open:
        parent = getattr(scope, "override_parent", None)
        if parent is not None:
            parts = [part for part in parent.split("/") if part]
        parts.append(scope.name)
    return "/".join(parts)


def scoped(name: str) -> str:
    """The path of something called `name` in the open scopes."""
    return f"{current_path()}/{name}" if scopes.open else name
