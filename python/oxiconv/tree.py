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


def map_structure(func: Callable[..., Any], *structures: Any, none_is_leaf: bool = True) -> Any:
    """The first structure with each leaf replaced by `func(leaf, *leaves of the others)`.

    >>> map_structure(lambda a, b: a + b, [1, {"x": 2}], [10, {"x": 20}])
    [11, {'x': 22}]

    Raises:
        ValueError: structures that are not nested alike.
    """
    if not structures:
        raise TypeError("map_structure: expected at least one structure, got none")
    if not none_is_leaf:
        function = func

        def func(*leaves: Any) -> Any:
            return None if leaves[0] is None else function(*leaves)

    return _map(func, structures[0], structures[1:])


def _map(func: Callable[..., Any], structure: Any, others: tuple[Any, ...]) -> Any:
    if isinstance(structure, dict):
        for other in others:
            if not isinstance(other, dict) or other.keys() != structure.keys():
                raise ValueError(f"map_structure: expected a dict with keys {list(structure)}, got {other!r}")
        parts = {key: _map(func, value, tuple(o[key] for o in others)) for key, value in structure.items()}
        return parts if type(structure) is dict else _like_dict(structure, parts)
    if isinstance(structure, (list, tuple)):
        for other in others:
            if not isinstance(other, (list, tuple)) or len(other) != len(structure):
                raise ValueError(f"map_structure: expected a sequence of {len(structure)}, got {other!r}")
        return _like(structure, [_map(func, row[0], row[1:]) for row in zip(structure, *others, strict=True)])
    return func(structure, *others)


def flatten_with_path(structure: Any) -> list[tuple[tuple[Any, ...], Any]]:
    """Pairs of a path, which is a tuple of indices and keys, and the leaf there.

    >>> flatten_with_path([{"foo": 42}, 7])
    [((0, 'foo'), 42), ((1,), 7)]
    """
    if isinstance(structure, dict):
        parts: list[tuple[Any, Any]] = [(key, structure[key]) for key in _ordered(structure)]
    elif isinstance(structure, (list, tuple)):
        parts = list(enumerate(structure))
    else:
        return [((), structure)]
    return [((key, *path), leaf) for key, part in parts for path, leaf in flatten_with_path(part)]


def assert_same_structure(a: Any, b: Any, check_types: Any = None) -> None:
    """Raises ValueError if two structures are not nested alike, in the same types. `check_types` changes nothing.

    >>> assert_same_structure([(0, 1)], [(2, 3)])
    """
    same = _kind(a) == _kind(b)
    if same and isinstance(a, dict):
        same = a.keys() == b.keys()
        pairs = [(a[key], b[key]) for key in a] if same else []
    elif same and isinstance(a, (list, tuple)):
        same = len(a) == len(b)
        pairs = list(zip(a, b, strict=False))
    else:
        pairs = []
    if not same:
        raise ValueError(f"assert_same_structure: expected two structures nested alike, got {a!r} and {b!r}")
    for one, other in pairs:
        assert_same_structure(one, other)


def assert_same_paths(a: Any, b: Any) -> None:
    """Raises ValueError if the leaves of two structures are not at the same paths; lists and tuples are alike.

    >>> assert_same_paths([0, 1], (2, 3))
    """
    ours, theirs = ({path for path, _ in flatten_with_path(x)} for x in (a, b))
    if ours != theirs:
        raise ValueError(
            f"assert_same_paths: expected the same paths, got {sorted(map(str, ours ^ theirs))} in one only"
        )


def map_structure_up_to(shallow_structure: Any, func: Callable[..., Any], *structures: Any) -> Any:
    """Like `map_structure`, but the leaves are those of `shallow_structure`, whatever is nested below them.

    >>> map_structure_up_to([None, None], len, [[1, 1], [2]])
    [2, 1]
    """
    if not structures:
        raise TypeError("map_structure_up_to: expected at least one structure, got none")
    return _map(lambda _, *parts: func(*parts), shallow_structure, structures)


def map_shape_structure(func: Callable[..., Any], structure: Any) -> Any:
    """The structure with each shape, a list or tuple of sizes or None, replaced by `func(shape)`.

    >>> map_shape_structure(len, {"a": (None, 3), "b": [(1,), (2, 3)]})
    {'a': 2, 'b': [1, 2]}
    """
    if isinstance(structure, (list, tuple)) and all(n is None or isinstance(n, int) for n in structure):
        return func(tuple(structure))
    if isinstance(structure, dict):
        return {key: map_shape_structure(func, value) for key, value in structure.items()}
    if isinstance(structure, (list, tuple)):
        return _like(structure, [map_shape_structure(func, value) for value in structure])
    raise ValueError(f"map_shape_structure: expected shapes, got {structure!r}")


def lists_to_tuples(structure: Any) -> Any:
    """The structure with tuples for lists.

    >>> lists_to_tuples([1, {"a": [2]}])
    (1, {'a': (2,)})
    """
    if isinstance(structure, dict):
        return {key: lists_to_tuples(value) for key, value in structure.items()}
    if isinstance(structure, list):
        return tuple(lists_to_tuples(value) for value in structure)
    return _like(structure, [lists_to_tuples(v) for v in structure]) if isinstance(structure, tuple) else structure


class MAP_TO_NONE:
    """What a function that `traverse` calls returns to put None in the place of a part."""


def traverse(func: Callable[[Any], Any], structure: Any, top_down: bool = True) -> Any:
    """Calls `func` on the structure and all its parts; what is not None replaces the part.

    Top down, a part that was replaced is not entered. `MAP_TO_NONE` replaces a part by None.

    >>> traverse(lambda x: tuple(x) if isinstance(x, list) else None, {"a": [1, 2], "b": 3})
    {'a': (1, 2), 'b': 3}
    """
    if not callable(func):
        raise TypeError(f"traverse: expected a function, got {func!r}")
    if top_down:
        replaced = func(structure)
        if replaced is not None:
            return None if replaced is MAP_TO_NONE else replaced
    if isinstance(structure, dict):
        parts = {key: traverse(func, structure[key], top_down) for key in _ordered(structure)}
        walked: Any = {key: parts[key] for key in structure}
    elif isinstance(structure, (list, tuple)):
        walked = _like(structure, [traverse(func, part, top_down) for part in structure])
    else:
        walked = structure
    if top_down:
        return walked
    replaced = func(walked)
    return walked if replaced is None else None if replaced is MAP_TO_NONE else replaced


def pack_sequence_as(structure: Any, flat_sequence: Any) -> Any:
    """The structure with its leaves replaced, in order, by those of `flat_sequence`.

    >>> pack_sequence_as({"b": 0, "a": [0, 0]}, [1, 2, 3])
    {'b': 3, 'a': [1, 2]}
    """
    leaves = iter(flat_sequence)
    try:
        packed = _pack(structure, leaves)
    except StopIteration:
        given = len(list(flat_sequence))
        raise ValueError(f"pack_sequence_as: expected more than {given} leaves for {structure!r}") from None
    if any(True for _ in leaves):
        given = len(list(flat_sequence))
        raise ValueError(f"pack_sequence_as: expected fewer than {given} leaves for {structure!r}")
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


def _like_dict(structure: dict[Any, Any], parts: dict[Any, Any]) -> Any:
    made: Any = type(structure)
    factory = getattr(structure, "default_factory", None)
    return made(parts) if factory is None else made(factory, parts)


def _kind(x: Any) -> Any:
    return dict if isinstance(x, dict) else type(x) if isinstance(x, (list, tuple)) else None
