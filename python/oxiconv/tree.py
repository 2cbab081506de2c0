"""Nested structures of lists, tuples and dicts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


def is_nested(structure: Any) -> bool:
    """Whether `structure` is a list, tuple or dict."""
    return isinstance(structure, (list, tuple, dict))


def flatten(structure: Any) -> list[Any]:
    """The leaves in order; dicts in order of their sorted keys.

    >>> flatten({"b": [1, (2, 3)], "a": 4})
    [4, 1, 2, 3]
    """
    if isinstance(structure, dict):
        return [leaf for key in _ordered(structure) for leaf in flatten(structure[key])]
    if isinstance(structure, (list, tuple)):
        return [leaf for part in structure for leaf in flatten(part)]
    return [structure]


def map_structure(function: Callable[..., Any], structure: Any, *others: Any) -> Any:
    """The structure with each leaf replaced by `function(leaf, *leaves of the others)`.

    >>> map_structure(lambda a, b: a + b, [1, {"x": 2}], [10, {"x": 20}])
    [11, {'x': 22}]
    """
    if isinstance(structure, dict):
        for other in others:
            if not isinstance(other, dict) or other.keys() != structure.keys():
                raise ValueError(f"map_structure: expected a dict with keys {list(structure)}, got {other!r}")
        return {key: map_structure(function, value, *(o[key] for o in others)) for key, value in structure.items()}
    if isinstance(structure, (list, tuple)):
        for other in others:
            if not isinstance(other, (list, tuple)) or len(other) != len(structure):
                raise ValueError(f"map_structure: expected a sequence of {len(structure)}, got {other!r}")
        parts = [map_structure(function, *row) for row in zip(structure, *others, strict=True)]
        return _like(structure, parts)
    return function(structure, *others)


def pack_sequence_as(structure: Any, flat: list[Any]) -> Any:
    """The structure with its leaves replaced, in order, by those of `flat`.

    >>> pack_sequence_as({"b": 0, "a": [0, 0]}, [1, 2, 3])
    {'b': 3, 'a': [1, 2]}
    """
    leaves = iter(flat)
    try:
        packed = _pack(structure, leaves)
    except StopIteration:
        raise ValueError(f"pack_sequence_as: expected more than {len(flat)} leaves for {structure!r}") from None
    if any(True for _ in leaves):
        raise ValueError(f"pack_sequence_as: expected fewer than {len(flat)} leaves for {structure!r}")
    return packed


def _pack(structure: Any, leaves: Iterator[Any]) -> Any:
    if isinstance(structure, dict):
        packed = {key: _pack(structure[key], leaves) for key in _ordered(structure)}
        return {key: packed[key] for key in structure}
    if isinstance(structure, (list, tuple)):
        parts = []
        for part in structure:
            parts.append(_pack(part, leaves))
        return _like(structure, parts)
    return next(leaves)


def _like(structure: Any, parts: list[Any]) -> Any:
    if isinstance(structure, list):
        return parts
    return type(structure)(*parts) if hasattr(structure, "_fields") else tuple(parts)


def _ordered(structure: dict[Any, Any]) -> list[Any]:
    try:
        return sorted(structure)
    except TypeError:
        return list(structure)
