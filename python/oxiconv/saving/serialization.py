"""Objects as JSON-able configurations in Keras's form, and back.

An object becomes `{"module", "class_name", "config", "registered_name"}`, with the module and name that it has in
Keras, so that each library reads what the other wrote. Going back, a name selects among oxiconv's public classes and
functions, registered objects and `custom_objects`, and among nothing else: no code in a file is run or imported.
"""

from __future__ import annotations

import types
from collections.abc import Mapping
from typing import Any

import numpy as np

from oxiconv.saving import sharing
from oxiconv.saving.custom_objects import CustomObjectScope, get_registered_name, get_registered_object
from oxiconv.saving.keras_names import find_class, find_function, keras_name
from oxiconv.saving.keras_versions import accepted

_LAMBDA = (
    "The file holds the bytecode of a lambda, which is never run, whatever safe_mode is. Pass the function as "
    "custom_objects={name of the Lambda layer: function}, or save the model with a function defined by `def`."
)


def serialize_keras_object(obj: Any) -> Any:
    """A JSON-able description of `obj`.

    Args:
        obj: None, a number, string, array, list, tuple, dict, slice, a named function, or an object with `get_config`.

    Raises:
        ValueError: `obj` is a lambda, or something without `get_config`.

    Example:
        >>> import oxiconv
        >>> config = oxiconv.saving.serialize_keras_object(oxiconv.losses.MeanSquaredError())
        >>> config["module"], config["class_name"]
        ('keras.losses', 'MeanSquaredError')
    """
    if obj is None or isinstance(obj, bool | int | float | str):
        return obj
    if isinstance(obj, np.generic) or (isinstance(obj, np.ndarray) and obj.ndim == 0):
        return obj.item()
    if isinstance(obj, np.ndarray):
        return {"class_name": "__numpy__", "config": {"value": obj.tolist(), "dtype": str(obj.dtype)}}
    if isinstance(obj, list | tuple):
        return type(obj)(map(serialize_keras_object, obj)) if type(obj) in (list, tuple) else _sequence(obj)
    if isinstance(obj, Mapping) and not hasattr(obj, "get_config"):
        return {str(key): serialize_keras_object(value) for key, value in obj.items()}
    if isinstance(obj, slice):
        bounds = {name: serialize_keras_object(getattr(obj, name)) for name in ("start", "stop", "step")}
        return {"class_name": "__slice__", "config": bounds}
    if obj is Ellipsis:
        return {"class_name": "__ellipsis__", "config": {}}
    if isinstance(obj, bytes):
        return {"class_name": "__bytes__", "config": {"value": obj.decode("utf-8")}}
    if isinstance(obj, types.FunctionType | types.BuiltinFunctionType):
        return _serialize_function(obj)
    if not isinstance(obj, type) and hasattr(obj, "get_config"):
        return _serialize_object(obj)
    raise ValueError(f"Cannot serialize {obj!r} of type {type(obj).__name__}: it has no get_config method.")


def _sequence(obj: Any) -> list[Any]:
    """Named tuples and other subclasses lose their type, as in JSON."""
    return [serialize_keras_object(item) for item in obj]


def _serialize_function(function: Any) -> dict[str, Any]:
    if function.__name__ == "<lambda>":
        raise ValueError(
            "A lambda has no name to be saved by. Define a function with `def`, and load with it in custom_objects."
        )
    name = get_registered_name(function)
    return {"module": "builtins", "class_name": "function", "config": name, "registered_name": "function"}


def _serialize_object(obj: Any) -> dict[str, Any]:
    config = obj.get_config()
    if not isinstance(config, Mapping):
        raise TypeError(f"{type(obj).__name__}.get_config: expected a dict, got {type(config).__name__}.")
    module, class_name, registered_name = keras_name(obj)
    entry = {
        "module": module,
        "class_name": class_name,
        "config": serialize_keras_object(config),
        "registered_name": registered_name,
    }
    for part in ("build_config", "compile_config"):
        read = getattr(obj, f"get_{part}", None)
        value = None if read is None else read()
        if value is not None:
            entry[part] = serialize_keras_object(value)
    sharing.written(obj, entry)
    return entry


def deserialize_keras_object(
    config: Any, custom_objects: Mapping[str, Any] | None = None, safe_mode: bool = True
) -> Any:
    """What `serialize_keras_object`, here or in Keras, described.

    Args:
        config: a configuration; lists and dicts of configurations are walked.
        custom_objects: classes and functions by name, beside oxiconv's own and the registered ones.
        safe_mode: accepted for Keras compatibility. Loading never runs code from a configuration.

    Raises:
        ValueError: an unknown name, bytecode, or a configuration its class refuses.

    Example:
        >>> import oxiconv
        >>> config = oxiconv.saving.serialize_keras_object(oxiconv.losses.Huber(delta=2.0))
        >>> oxiconv.saving.deserialize_keras_object(config).get_config()["delta"]
        2.0
    """
    if isinstance(config, list | tuple):
        return [deserialize_keras_object(item, custom_objects, safe_mode) for item in config]
    if not isinstance(config, Mapping):
        return config
    class_name = config.get("class_name")
    special, value = _special(config)
    if special:
        return value
    if class_name is None or "config" not in config:
        return {key: deserialize_keras_object(value, custom_objects, safe_mode) for key, value in config.items()}
    if not isinstance(class_name, str):
        raise ValueError(f"Expected a string as class_name, got {class_name!r}.")
    if class_name == "function":
        return _function(config, custom_objects)
    shared = sharing.read(config)
    if shared is not None:
        return shared
    inner = config["config"]
    if not isinstance(inner, Mapping):
        raise ValueError(f"{class_name}: expected a dict as config, got {_short(inner)}.")
    if class_name == "Lambda":
        inner = _with_function(inner, custom_objects)
    cls = _class(config, class_name, custom_objects)
    with CustomObjectScope(custom_objects or {}):
        try:
            # Nested configurations stay: `from_config` and the constructors read them.
            made = cls.from_config(_plain(accepted(cls, class_name, inner)))
            build, compiled = config.get("build_config"), config.get("compile_config")
            if build and not made.built:
                made.build_from_config(_plain(build))
            if compiled:
                made.compile_from_config(compiled)
        except (TypeError, KeyError, AttributeError, IndexError) as error:
            raise ValueError(f"{class_name} cannot be built from its config {_short(inner)}: {error}") from error
    sharing.made(config, made)
    return made


def _special(config: Mapping[str, Any]) -> tuple[bool, Any]:
    """Whether the configuration is of a value that JSON lacks, and that value."""
    kind, inner = config.get("class_name"), config.get("config")
    if kind == "__lambda__":
        raise ValueError(_LAMBDA)
    if kind == "__tuple__" and isinstance(config.get("items"), list):
        return True, tuple(_plain(item) for item in config["items"])
    if not isinstance(inner, Mapping):
        return False, None
    if kind in ("__numpy__", "__tensor__"):
        return True, _array(inner)
    if kind == "__slice__":
        bounds = inner.get("bounds") or [inner.get(name) for name in ("start", "stop", "step")]
        if not all(n is None or (isinstance(n, int) and not isinstance(n, bool)) for n in bounds):
            raise ValueError(f"__slice__: expected integers or None, got {bounds!r}.")
        return True, slice(*bounds)
    if kind == "__ellipsis__":
        return True, Ellipsis
    if kind == "__bytes__":
        return True, str(inner.get("value")).encode()
    return False, None


def _plain(config: Any) -> Any:
    """A copy in which the values that JSON lacks are themselves again, and the objects are still configurations."""
    if isinstance(config, list):
        return [_plain(item) for item in config]
    if not isinstance(config, Mapping):
        return config
    special, value = _special(config)
    if special:
        return value
    if "class_name" in config:
        return dict(config)
    return {key: _plain(value) for key, value in config.items()}


def _array(config: Mapping[str, Any]) -> Any:
    try:
        dtype = np.dtype(str(config["dtype"]))
        if dtype.kind not in "biuf":
            raise ValueError(f"dtype {dtype}")
        return np.array(config["value"], dtype)
    except (TypeError, ValueError, KeyError, OverflowError) as error:
        raise ValueError(f"Not the configuration of an array: {error}") from error


def _function(config: Mapping[str, Any], custom_objects: Mapping[str, Any] | None) -> Any:
    name = config["config"]
    if not isinstance(name, str):
        raise ValueError(f"Expected the name of a function, got {name!r}.")
    found = get_registered_object(name, custom_objects)
    if found is None:
        found = find_function(config.get("module"), name)
    if found is None:
        raise _unknown(name, config.get("module"))
    if not callable(found):
        raise ValueError(f"{name!r} is not callable.")
    return found


def _with_function(config: Mapping[str, Any], custom_objects: Mapping[str, Any] | None) -> Mapping[str, Any]:
    """The configuration of a Lambda layer; if it has bytecode, with the caller's function for the layer's name."""
    function, name = config.get("function"), config.get("name")
    if not (
        isinstance(function, list) or (isinstance(function, Mapping) and function.get("class_name") == "__lambda__")
    ):
        return config
    found = get_registered_object(name, custom_objects) if isinstance(name, str) else None
    if not callable(found):
        raise ValueError(f"Lambda {name!r}: {_LAMBDA}")
    kept = {key: value for key, value in config.items() if key in ("name", "trainable", "dtype", "arguments")}
    return {**kept, "function": found}


def _class(config: Mapping[str, Any], name: str, custom_objects: Mapping[str, Any] | None) -> Any:
    module = config.get("module")
    found = None
    for known_as in (config.get("registered_name"), name):
        if found is None and isinstance(known_as, str):
            found = get_registered_object(known_as, custom_objects)
    if found is None:
        found = find_class(module, name)
    if found is None:
        raise _unknown(name, module)
    if not isinstance(found, type) or not hasattr(found, "from_config"):
        raise ValueError(f"{name!r} is not a class with a from_config method.")
    return found


def _unknown(name: str, module: Any) -> ValueError:
    return ValueError(
        f"Unknown object {name!r}" + (f" of module {module!r}" if module else "") + ". Pass it to the loading function "
        f"as custom_objects={{{name!r}: ...}}, or register it with @oxiconv.saving.register_keras_serializable()."
    )


def _short(config: Any) -> str:
    text = repr(config)
    return text if len(text) <= 200 else text[:200] + "…"
