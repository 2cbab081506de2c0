"""Objects as JSON-able configurations, and back.

An object becomes `{"module", "class_name", "config", "registered_name"}`, as in Keras. Going back, a name selects among
oxiconv's public classes and functions, registered objects and `custom_objects`, and among nothing else.
"""

from __future__ import annotations

import importlib
import types
from collections.abc import Mapping
from typing import Any

import numpy as np

from oxiconv.saving.custom_objects import get_registered_name, get_registered_object

# The modules whose public names a configuration may use. Longest first: the first prefix that fits is the home.
_MODULES = (
    "oxiconv.optimizers.schedules",
    "oxiconv.activations",
    "oxiconv.constraints",
    "oxiconv.initializers",
    "oxiconv.layers",
    "oxiconv.losses",
    "oxiconv.metrics",
    "oxiconv.models",
    "oxiconv.optimizers",
    "oxiconv.random",
    "oxiconv.regularizers",
)


def serialize_keras_object(obj: Any) -> Any:
    """A JSON-able description of `obj`.

    Args:
        obj: None, a number, string, NumPy array, list, tuple, dict, a named function, or an object with `get_config`.

    Raises:
        ValueError: `obj` is a lambda, or something without `get_config`.

    Example:
        >>> import oxiconv
        >>> oxiconv.saving.serialize_keras_object(oxiconv.losses.MeanSquaredError())["class_name"]
        'MeanSquaredError'
    """
    if obj is None or isinstance(obj, bool | int | float | str):
        return obj
    if isinstance(obj, np.generic):
        return obj.item()
    if isinstance(obj, np.ndarray):
        return {"class_name": "__numpy__", "config": {"value": obj.tolist(), "dtype": str(obj.dtype)}}
    if isinstance(obj, tuple):
        return {"class_name": "__tuple__", "items": [serialize_keras_object(item) for item in obj]}
    if isinstance(obj, list):
        return [serialize_keras_object(item) for item in obj]
    if isinstance(obj, Mapping):
        return {str(key): serialize_keras_object(value) for key, value in obj.items()}
    if isinstance(obj, types.FunctionType | types.BuiltinFunctionType):
        if obj.__name__ == "<lambda>":
            raise ValueError(
                "A lambda has no name to be saved by. Define a function with `def`, and load with it in custom_objects."
            )
        return {
            "module": _home(obj.__module__),
            "class_name": "function",
            "config": obj.__name__,
            "registered_name": get_registered_name(obj),
        }
    if not isinstance(obj, type) and hasattr(obj, "get_config"):
        cls = type(obj)
        return {
            "module": _home(cls.__module__),
            "class_name": cls.__name__,
            "config": serialize_keras_object(obj.get_config()),
            "registered_name": get_registered_name(cls),
        }
    raise ValueError(f"Cannot serialize {obj!r} of type {type(obj).__name__}: it has no get_config method.")


def deserialize_keras_object(
    config: Any, custom_objects: Mapping[str, Any] | None = None, safe_mode: bool = True
) -> Any:
    """What `serialize_keras_object` described.

    Args:
        config: a configuration; lists and dicts of configurations are walked.
        custom_objects: classes and functions by name, beside oxiconv's own and the registered ones.
        safe_mode: accepted for Keras compatibility. Loading never runs code from a configuration.

    Raises:
        ValueError: an unknown name, or a configuration its class refuses.

    Example:
        >>> import oxiconv
        >>> config = oxiconv.saving.serialize_keras_object(oxiconv.losses.Huber(delta=2.0))
        >>> oxiconv.saving.deserialize_keras_object(config).get_config()["delta"]
        2.0
    """
    if isinstance(config, list):
        return [deserialize_keras_object(item, custom_objects, safe_mode) for item in config]
    if not isinstance(config, Mapping):
        return config
    class_name = config.get("class_name")
    if class_name == "__tuple__" and isinstance(config.get("items"), list):
        return tuple(deserialize_keras_object(item, custom_objects, safe_mode) for item in config["items"])
    if class_name == "__numpy__" and isinstance(config.get("config"), Mapping):
        return _array(config["config"])
    if class_name is None or "config" not in config:
        return {key: deserialize_keras_object(value, custom_objects, safe_mode) for key, value in config.items()}
    if not isinstance(class_name, str):
        raise ValueError(f"Expected a string as class_name, got {class_name!r}.")
    if class_name == "function":
        return _function(config, custom_objects)
    cls = _find(config, class_name, custom_objects)
    if not isinstance(cls, type) or not hasattr(cls, "from_config"):
        raise ValueError(f"{class_name!r} is not a class with a from_config method.")
    inner = config["config"]
    if not isinstance(inner, Mapping):
        raise ValueError(f"{class_name}: expected a dict as config, got {inner!r}.")
    try:
        return _from_config(cls, inner, custom_objects)
    except (TypeError, KeyError, AttributeError, IndexError) as error:
        raise ValueError(f"{class_name} cannot be built from its config {_short(inner)}: {error}") from error


def _from_config(cls: Any, config: Mapping[str, Any], custom_objects: Mapping[str, Any] | None) -> Any:
    """Nested configurations stay: `from_config` and the constructors read them, inside the caller's scope."""
    if not custom_objects:
        return cls.from_config(_plain(config))
    from oxiconv.saving.custom_objects import CustomObjectScope

    with CustomObjectScope(custom_objects):
        return cls.from_config(_plain(config))


def _plain(config: Any) -> Any:
    """A copy in which the tuples and arrays are themselves again, and the objects are still configurations."""
    if isinstance(config, list):
        return [_plain(item) for item in config]
    if not isinstance(config, Mapping):
        return config
    if config.get("class_name") == "__tuple__" and isinstance(config.get("items"), list):
        return tuple(_plain(item) for item in config["items"])
    if config.get("class_name") == "__numpy__" and isinstance(config.get("config"), Mapping):
        return _array(config["config"])
    if "class_name" in config:
        return config
    return {key: _plain(value) for key, value in config.items()}


def _array(config: Mapping[str, Any]) -> Any:
    try:
        dtype = np.dtype(str(config["dtype"]))
        if dtype.kind not in "biuf":
            raise ValueError(f"dtype {dtype}")
        return np.array(config["value"], dtype)
    except (TypeError, ValueError, KeyError) as error:
        raise ValueError(f"Not the configuration of an array: {error}") from error


def _home(module: str | None) -> str | None:
    """The public module that exports an object defined in `module`; None for the user's own."""
    return next((home for home in _MODULES if module is not None and (module + ".").startswith(home + ".")), None)


def _function(config: Mapping[str, Any], custom_objects: Mapping[str, Any] | None) -> Any:
    name = config["config"]
    if not isinstance(name, str):
        raise ValueError(f"Expected the name of a function, got {name!r}.")
    found = _find(config, name, custom_objects)
    if not callable(found):
        raise ValueError(f"{name!r} is not callable.")
    return found


def _find(config: Mapping[str, Any], name: str, custom_objects: Mapping[str, Any] | None) -> Any:
    registered = config.get("registered_name")
    for known_as in (registered, name):
        if isinstance(known_as, str):
            found = get_registered_object(known_as, custom_objects)
            if found is not None:
                return found
    home = config.get("module")
    if home in _MODULES:
        module = importlib.import_module(home)
        if name in getattr(module, "__all__", ()):
            return getattr(module, name)
    raise ValueError(
        f"Unknown object {name!r}" + (f" of module {home!r}" if home else "") + ". Pass it to the loading function as "
        f"custom_objects={{{name!r}: ...}}, or register it with @oxiconv.saving.register_keras_serializable()."
    )


def _short(config: Mapping[str, Any]) -> str:
    text = repr(dict(config))
    return text if len(text) <= 200 else text[:200] + "…"
