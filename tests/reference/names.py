"""The record of Keras's public names, and how oxiconv compares with it."""

from __future__ import annotations

import ast
import contextlib
import importlib
import inspect
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

from reference.record_names import FILE, parameter

FOLDER = Path(__file__).parent
# Of these, a parameter may be left to `**kwargs`: every layer takes them.
COMMON = frozenset({"name", "dtype", "trainable", "activity_regularizer", "autocast"})


@dataclass(frozen=True)
class Name:
    """One line of the record."""

    path: str
    kind: str
    parameters: str

    @property
    def owner(self) -> str:
        """The module, or the class of a method."""
        return self.path.rpartition(".")[0]


@cache
def record() -> dict[str, Name]:
    """All recorded names by path; second names have the kind of the first."""
    found: dict[str, Name] = {}
    for line in FILE.read_text().splitlines():
        path, _, rest = line.partition(" ")
        if path.startswith("#"):
            continue
        if rest.startswith("= "):
            first = found[rest[2:]]
            found[path] = Name(path, first.kind, first.parameters)
        else:
            kind, bracket, parameters = rest.partition("(")
            found[path] = Name(path, kind, bracket + parameters)
    return found


@cache
def tiers() -> dict[str, dict[str, str]]:
    """Tiers by module and name; "*" is the rest of a module."""
    found: dict[str, dict[str, str]] = {}
    for line in (FOLDER / "tiers.txt").read_text().splitlines():
        if not line.startswith("#"):
            tier, module, *names = line.split()
            found.setdefault("" if module == "." else module, {}).update(dict.fromkeys(names, tier))
    return found


def tier(name: Name) -> str:
    """How much a name matters: 1, 2, 3 or -. Methods count as their class, modules as the least of what they hold."""
    owner, own = name.owner, name.path.rpartition(".")[2]
    if name.kind == "module":
        return "3"
    if owner in record() and record()[owner].kind == "class":
        return tier(record()[owner])
    # Submodules that repeat names of the module above have its tiers.
    for module in (owner, owner.rpartition(".")[0]):
        of_module = tiers().get(module, {})
        if own in of_module or "*" in of_module:
            return of_module.get(own, of_module.get("*", "3"))
    return "3"


@dataclass(frozen=True)
class Finding:
    """What oxiconv has for a name: "present", "absent" on purpose (with the reason), "missing" or "differs"."""

    state: str
    detail: str = ""


def compare(name: Name) -> Finding:
    """How oxiconv's object of a name compares with Keras's."""
    from oxiconv.absent import AbsentError, refuse

    try:
        value = resolve(name)
        if isinstance(value, ModuleType):
            # An attribute as soon as somebody has imported it, also where all that it has is absent.
            parent, _, last = value.__name__.rpartition(".")
            with contextlib.suppress(AttributeError):
                refuse(parent, last)
    except AbsentError as error:
        return Finding("absent", str(error))
    except (AttributeError, ImportError):
        return Finding("missing")
    if name.parameters in ("", "(?)") or not callable(value):
        return Finding("present")
    difference = differs(name.parameters, parameters_of(value))
    return Finding("differs", difference) if difference else Finding("present")


def resolve(name: Name) -> Any:
    """oxiconv's object of a name.

    Raises:
        AttributeError, ImportError: there is none.
    """
    value: Any = importlib.import_module("oxiconv")
    owner, _, own = name.path.rpartition(".")
    for part in owner.split(".") if owner else ():
        value = attribute(value, part)
    if name.kind == "property":
        # Much that is a property in Keras is an attribute here.
        if any(own in vars(base) for base in inspect.getmro(value)):
            return None
        return attribute(SAMPLES[owner]() if owner in SAMPLES else value, own)
    return attribute(value, own)


def attribute(value: Any, name: str) -> Any:
    """An attribute, or a submodule that nobody has imported yet."""
    try:
        return getattr(value, name)
    except AttributeError:
        if inspect.isclass(value):
            from oxiconv.absent import refuse_member

            refuse_member(value, name)
        if not inspect.ismodule(value):
            raise
        return importlib.import_module(f"{value.__name__}.{name}")


def _model() -> Any:
    import oxiconv

    inputs = oxiconv.Input((1,))
    model = oxiconv.Model(inputs, oxiconv.layers.Dense(1)(inputs))
    model.compile("sgd", "mse")
    return model


def _sample(path: str, *args: Any) -> Callable[[], Any]:
    return lambda: attribute_path(path)(*args)


def attribute_path(path: str) -> Any:
    """oxiconv's object of a dotted path."""
    value: Any = importlib.import_module("oxiconv")
    for part in path.split("."):
        value = attribute(value, part)
    return value


# Objects of classes whose properties are recorded.
SAMPLES: dict[str, Callable[[], Any]] = {
    "DTypePolicy": _sample("DTypePolicy"),
    "Function": lambda: attribute_path("Function")(*[attribute_path("KerasTensor")((1,))] * 2),
    "InputSpec": _sample("InputSpec"),
    "KerasTensor": _sample("KerasTensor", (1,)),
    "Layer": lambda: _model().layers[1],
    "Loss": _sample("Loss"),
    "Metric": _sample("Metric"),
    "Model": _model,
    "Operation": lambda: _model().layers[1],
    "Optimizer": _sample("optimizers.SGD"),
    "StatelessScope": _sample("StatelessScope"),
    "Variable": _sample("Variable", 1.0),
    "callbacks.Callback": _sample("callbacks.Callback"),
    "dtype_policies.DTypePolicy": _sample("DTypePolicy"),
    "random.SeedGenerator": _sample("random.SeedGenerator", 1),
    "utils.PyDataset": _sample("utils.PyDataset"),
}


def parameters_of(value: Any) -> str:
    """The parameters of a class or function, as the record writes them."""
    try:
        found = inspect.signature(value.__init__ if inspect.isclass(value) else value)
    except (TypeError, ValueError):
        return "(?)"
    return "(" + ", ".join(parameter(p) for p in found.parameters.values() if p.name != "self") + ")"


def differs(theirs: str, ours: str) -> str:
    """What a call that fits Keras's parameters would find different; empty if nothing.

    Every named parameter of Keras must be there under its name, in its place, with its default. More of them may follow
    in ours; a size for each axis is the same as one size for all.
    """
    wanted, given = split(theirs), split(ours)
    if ours == "(?)" or {"*", "**"} <= {name[: name.rfind("*") + 1] for name in given}:
        return ""
    places = [name for name in given if not name.startswith("*")]
    position = 0
    for name, default in wanted.items():
        if name.startswith("*"):
            continue
        if name not in given:
            if name in COMMON and "**kwargs" in given:
                continue
            return f"no parameter {name!r} in {ours}"
        if not same_default(default, given[name]):
            return f"{name}={given[name]} for {name}={default}"
        if "*args" not in wanted and places.index(name) < position:
            return f"{name!r} in another place in {ours}"
        position = places.index(name)
    return ""


def split(parameters: str) -> dict[str, str | None]:
    """Names and defaults of parameters written as text."""
    parts = re.split(r", (?=[*\w])(?![^()\[\]{}]*[)\]}])", parameters[1:-1]) if parameters != "()" else []
    return {name: default if equals else None for name, equals, default in (p.partition("=") for p in parts)}


def same_default(theirs: str | None, ours: str | None) -> bool:
    """Whether two defaults written as text mean the same."""
    if theirs in (None, ours) or "..." in (theirs, ours):  # what Keras requires may be left out here
        return True
    if ours is None or theirs is None:
        return False
    try:
        a, b = ast.literal_eval(theirs), ast.literal_eval(ours)
    except (ValueError, SyntaxError):
        return False
    return bool(a == b or (isinstance(a, tuple) and set(a) == {b}))
