"""The names that classes and functions have in Keras's files, and the closed set that a file may name."""

from __future__ import annotations

import importlib
from typing import Any

from oxiconv.saving.custom_objects import get_registered_name

# The modules whose public names a file may use. The first one that a class's module starts with is its home.
_HOMES = (
    "optimizers.schedules",
    "activations",
    "applications.convnext",
    "applications.inception_resnet_v2",
    "constraints",
    "dtype_policies",
    "initializers",
    "layers",
    "losses",
    "metrics",
    "models",
    "optimizers",
    "random",
    "regularizers",
)
# Where functions are looked for: Keras writes "builtins" as the module of all of them.
_FUNCTION_HOMES = ("activations", "losses", "metrics", "initializers", "regularizers", "constraints", "ops")
# Classes that Keras exports under another name than their own.
_EXPORTED = {"GroupedQueryAttention": "GroupQueryAttention"}
# Names at the top level of Keras.
_TOP = {"Sequential": "models", "Model": "models", "DTypePolicy": "dtype_policies", "SeedGenerator": "random"}


def keras_name(obj: Any) -> tuple[str | None, str, str | None]:
    """The module, class name and registered name that Keras writes for an object."""
    cls = type(obj)
    home = _home(cls.__module__)
    if home is None:
        registered = get_registered_name(cls)
        return None if cls.__module__ == "__main__" else cls.__module__, cls.__name__, registered
    if cls.__name__ == "Model":
        return "keras.src.models.functional", "Functional", "Functional"
    if home.startswith("applications."):  # Keras does not export their layers
        return f"keras.src.{home}", cls.__name__, cls.__name__
    name = _EXPORTED.get(cls.__name__, cls.__name__)
    return "keras" if name in ("Sequential", "DTypePolicy") else f"keras.{home}", name, None


def _home(module: str) -> str | None:
    below = module.removeprefix("oxiconv.")
    if below == module:
        return None
    return next((home for home in _HOMES if (below + ".").startswith(home + ".")), None)


def find_class(module: Any, name: str) -> Any:
    """The class of oxiconv that a file names; None if there is none."""
    if not isinstance(module, str):
        return None
    top, _, below = module.partition(".")
    if top not in ("keras", "oxiconv"):
        return None
    if name == "Functional":
        return _public("models", "Model")
    if not below:
        return _public(_TOP[name], name) if name in _TOP else None
    if below in _HOMES:
        return _public(below, name)
    # Names that Keras does not export are written with the module that defines them, below keras.src.
    homes = [home for home in _HOMES if below.removeprefix("src.").startswith(home)]
    return next((found for home in homes if (found := _public(home, name)) is not None), None)


def find_function(module: Any, name: str) -> Any:
    """The function of oxiconv that a file names; None if there is none."""
    given = module.partition(".")[2] if isinstance(module, str) else ""
    homes = (given,) if given in _FUNCTION_HOMES else _FUNCTION_HOMES
    for home in homes:
        found = _public(home, name)
        if found is not None and not isinstance(found, type) and callable(found):
            return found
    return None


def _public(home: str, name: str) -> Any:
    try:
        module = importlib.import_module(f"oxiconv.{home}")
    except ModuleNotFoundError:
        return None
    return getattr(module, name) if name in getattr(module, "__all__", ()) else None
