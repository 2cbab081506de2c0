"""Records the public names of real Keras 3, with the signatures of what can be called, into `names.txt`.

    python tests/reference/record_names.py

A line is `module.Name kind(parameters)`, or `module.Name = first.name` for a second name of the same object. Methods
and properties are recorded for the classes in `BASES`.
"""

from __future__ import annotations

import inspect
import os
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

FILE = Path(__file__).parent / "names.txt"
# Classes whose methods are part of the record, too.
BASES = frozenset(
    {
        "Function",
        "InputSpec",
        "Initializer",
        "KerasTensor",
        "Layer",
        "Loss",
        "Metric",
        "Model",
        "Operation",
        "Optimizer",
        "Regularizer",
        "StatelessScope",
        "Variable",
        "callbacks.Callback",
        "constraints.Constraint",
        "dtype_policies.DTypePolicy",
        "optimizers.schedules.LearningRateSchedule",
        "random.SeedGenerator",
        "utils.Progbar",
        "utils.PyDataset",
    }
)


def signature(callable_: Any) -> str:
    """The parameters as text, without types; `?` for what has none to be read."""
    try:
        found = inspect.signature(callable_)
    except (TypeError, ValueError):
        return "(?)"
    return "(" + ", ".join(parameter(p) for p in found.parameters.values() if p.name != "self") + ")"


def parameter(p: inspect.Parameter) -> str:
    """One parameter as text."""
    star = "*" if p.kind is p.VAR_POSITIONAL else "**" if p.kind is p.VAR_KEYWORD else ""
    if p.default is p.empty:
        return f"{star}{p.name}"
    plain = p.default is None or isinstance(p.default, (bool, int, float, str, tuple))
    return f"{p.name}={p.default!r}" if plain else f"{p.name}=..."


def describe(value: Any) -> str:
    """Kind and parameters of an object."""
    if inspect.isclass(value):
        return "class" + signature(value.__init__)
    return "function" + signature(value) if callable(value) else "value"


def modules(root: ModuleType) -> Iterator[tuple[str, ModuleType]]:
    """The public modules below `root`, by their path."""
    seen, queue = set[int](), [("", root)]
    while queue:
        path, module = queue.pop(0)
        if id(module) in seen:
            continue
        seen.add(id(module))
        yield path, module
        for name in sorted(vars(module)):
            value = getattr(module, name)
            if inspect.ismodule(value) and not name.startswith("_") and name != "src" and "keras" in value.__name__:
                queue.append((f"{path}.{name}".lstrip("."), value))


def names(root: ModuleType) -> Iterator[str]:
    """The lines of the record."""
    first: dict[int, str] = {}
    for path, module in modules(root):
        if path:
            yield f"{path} module"
        for name in sorted(vars(module)):
            value = getattr(module, name)
            if (name.startswith("_") and name != "__version__") or inspect.ismodule(value):
                continue
            full = f"{path}.{name}".lstrip(".")
            known = first.setdefault(id(value), full) if callable(value) else full
            yield f"{full} = {known}" if known != full else f"{full} {describe(value)}"
            if full in BASES:
                yield from members(full, value)


def members(full: str, cls: Any) -> Iterator[str]:
    """The public methods and properties of a class."""
    for name in sorted(dir(cls)):
        if name.startswith("_") and name != "__call__":
            continue
        value = inspect.getattr_static(cls, name)
        function = getattr(value, "__func__", value)
        if "keras" not in str(getattr(inspect.unwrap(getattr(function, "fget", None) or function), "__module__", "")):
            continue
        kind = "property" if isinstance(value, property) else "method" + signature(getattr(cls, name))
        yield f"{full}.{name} {kind}"


def main() -> None:
    """Writes the record of the installed Keras."""
    os.environ["KERAS_BACKEND"] = "tensorflow"
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    import keras

    lines = list(names(keras))
    FILE.write_text(f"# Public names of Keras {keras.__version__}, made by record_names.py\n" + "\n".join(lines) + "\n")
    print(f"{len(lines)} names, {FILE.stat().st_size} bytes")


if __name__ == "__main__":
    main()
