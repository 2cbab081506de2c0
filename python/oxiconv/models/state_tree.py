"""All state of a model as nested dicts, by the paths of its variables."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from oxiconv.variable import Variable


def state_tree(model: Any, value_format: str) -> dict[str, Any]:
    """Dicts of the values of each kind of variable, nested by their paths."""
    if value_format not in ("backend_tensor", "numpy_array"):
        raise ValueError(
            f"get_state_tree: expected value_format 'backend_tensor' or 'numpy_array', got {value_format!r}"
        )
    return {kind: _nested(variables, value_format) for kind, variables in _kinds(model).items()}


def assign_state_tree(model: Any, tree: Mapping[str, Any]) -> None:
    """Assigns the values of a `state_tree`.

    Raises:
        ValueError: an unknown kind or path; nothing is assigned then.
    """
    known = _kinds(model)
    pairs: list[tuple[Variable, Any]] = []
    for kind, nested in tree.items():
        if kind not in known:
            raise ValueError(f"set_state_tree: expected some of {', '.join(known)}, got {kind!r}")
        variables = {v.path: v for v in known[kind]}
        for path, value in _flat(nested, ""):
            if path not in variables:
                raise ValueError(f"set_state_tree: {kind} has no {path!r}, but {', '.join(variables) or 'nothing'}")
            pairs.append((variables[path], value))
    for variable, value in pairs:
        variable.assign(value)


def _kinds(model: Any) -> dict[str, Sequence[Variable]]:
    optimizer = getattr(model, "optimizer", None)
    return {
        "trainable_variables": model.trainable_variables,
        "non_trainable_variables": model.non_trainable_variables,
        "optimizer_variables": [] if optimizer is None else optimizer.variables,
        "metrics_variables": model.metrics_variables,
    }


def _nested(variables: Sequence[Variable], value_format: str) -> dict[str, Any]:
    nested: dict[str, Any] = {}
    for variable in variables:
        *folders, name = variable.path.split("/")
        place = nested
        for folder in folders:
            place = place.setdefault(folder, {})
        if name in place:
            raise ValueError(f"get_state_tree: expected unique paths of variables, got {variable.path!r} twice")
        place[name] = variable.value if value_format == "backend_tensor" else variable.numpy()
    return nested


def _flat(nested: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, Any]]:
    for name, value in nested.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}/")
        else:
            yield prefix + name, value
