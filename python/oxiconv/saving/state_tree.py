"""Where the weights of a model are in Keras's files: one group per object, at the path of attributes that leads to it.

The paths are part of the format: `layers/dense_1/vars/0` is the first weight of the second `Dense` among
`model.layers`. In lists and dicts, objects are numbered per class; attributes are visited in alphabetical order,
private ones last; an object that is reached twice counts where it is reached first.
"""

from __future__ import annotations

import contextlib
import functools
from collections import Counter
from collections.abc import Iterator
from typing import Any, NamedTuple

from oxiconv.naming import to_snake_case

# Attributes of our classes that lead to nothing that is saved, or to what other paths lead to.
_PASSED_OVER = frozenset(
    {
        "nodes",
        "input_spec",
        "_losses",
        "_arguments",
        "_build_shapes",
        "_weights",
        "_compiled",
        "_graph",
        "_graph_layers",
    }
    | {"_stack", "_input_layer", "_tensors", "_dtype_policy", "callbacks", "history", "metrics"}
)


# Where the properties of all layers, models and optimizers are: they lead to nothing else than attributes do.
_BASES = (
    "builtins",
    "oxiconv.layers.building",
    "oxiconv.layers.configurable",
    "oxiconv.layers.layer",
    "oxiconv.layers.state",
    "oxiconv.models",
    "oxiconv.optimizers",
    "oxiconv.symbolic",
    "oxiconv.trainer",
)


class Place(NamedTuple):
    """An object with variables of its own, and its path."""

    path: str
    owner: Any


def places(model: Any) -> list[Place]:
    """All objects below `model` that may have variables, the model first."""
    return list(_object(model, "", set()))


def own_variables(owner: Any) -> list[Any]:
    """The variables of an object alone, in the order in which Keras numbers them."""
    if hasattr(owner, "_own_variables"):
        return list(owner._own_variables())
    return list(owner.variables) if hasattr(owner, "apply_gradients") else []


def _object(owner: Any, path: str, visited: set[int]) -> Iterator[Place]:
    if id(owner) in visited:
        return
    visited.add(id(owner))
    yield Place(path, owner)
    for name, child in _attributes(owner):
        inner = f"{path}/{name}" if path else name
        if _is_saved(child):
            yield from _object(child, inner, visited)
        elif isinstance(child, list | tuple | dict):
            yield from _container(child, inner, visited, set())


def _container(container: Any, path: str, visited: set[int], seen: set[int]) -> Iterator[Place]:
    if id(container) in seen:
        return
    seen.add(id(container))
    counts: Counter[str] = Counter()

    def numbered(name: str) -> str:
        counts[name] += 1
        return name if counts[name] == 1 else f"{name}_{counts[name] - 1}"

    for child in container.values() if isinstance(container, dict) else container:
        if _is_saved(child):
            yield from _object(child, f"{path}/{numbered(keras_class_name(child))}", visited)
        elif isinstance(child, list | tuple | dict):
            yield from _container(child, f"{path}/{numbered('container')}", visited, seen)


def keras_class_name(owner: Any) -> str:
    """The snake-case name of an object's class in Keras, where `Model(inputs, outputs)` is a `Functional`."""
    name = type(owner).__name__
    return to_snake_case("Functional" if name == "Model" else name)


def _attributes(owner: Any) -> Iterator[tuple[str, Any]]:
    attributes = {name: value for name, value in vars(owner).items() if name not in _PASSED_OVER}
    cls: type = type(owner)
    for name in _properties(cls):
        with contextlib.suppress(Exception):  # it may have no value yet
            attributes[name] = getattr(owner, name)
    if getattr(owner, "_graph", None) is not None or getattr(owner, "_is_chain", False):
        yield "layers", owner.layers
    elif hasattr(owner, "compile"):  # subclasses of Model: one attribute among others
        attributes["layers"] = owner.layers
    for name in sorted(attributes, key=lambda name: f"~{name}" if name.startswith("_") else name):
        yield name, attributes[name]


@functools.cache
def _properties(cls: type) -> tuple[str, ...]:
    """The properties of a class and of those it derives from, but for our base classes."""
    found = [
        name
        for base in cls.__mro__
        if not base.__module__.startswith(_BASES)
        for name, value in vars(base).items()
        if isinstance(value, property)
    ]
    return tuple(dict.fromkeys(found))


def _is_saved(value: Any) -> bool:
    return hasattr(value, "_flatten_layers") or hasattr(value, "apply_gradients")
