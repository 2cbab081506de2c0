"""Configurations of Keras 2 as those of Keras 3.

Keras 2 names classes without their module, writes calls as `[layer, call, output, arguments]`, and has some other
arguments. What Keras 3 writes into `.h5` files is a mixture, and passes through here as well.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

# TensorFlow functions on symbolic tensors, by the classes of operations they are in Keras 3.
_FUNCTIONS = {
    "__operators__.add": "numpy.Add",
    "math.add": "numpy.Add",
    "math.subtract": "numpy.Subtract",
    "math.multiply": "numpy.Multiply",
    "math.truediv": "numpy.TrueDivide",
    "math.divide": "numpy.TrueDivide",
    "math.pow": "numpy.Power",
    "math.maximum": "numpy.Maximum",
    "math.minimum": "numpy.Minimum",
    "math.negative": "numpy.Negative",
    "math.abs": "numpy.Absolute",
    "math.exp": "numpy.Exp",
    "math.log": "numpy.Log",
    "math.sqrt": "numpy.Sqrt",
    "math.square": "numpy.Square",
    "math.tanh": "numpy.Tanh",
    "math.sigmoid": "nn.Sigmoid",
    "nn.relu": "nn.Relu",
    "nn.relu6": "nn.Relu6",
    "nn.silu": "nn.Silu",
    "nn.softmax": "nn.Softmax",
}
_RENAMED = {"LeakyReLU": {"alpha": "negative_slope"}}
# Arguments that a class inherited in Keras 2 and never used.
_UNUSED = {
    "DepthwiseConv1D": ("groups",),
    "DepthwiseConv2D": ("groups",),
    "Conv1DTranspose": ("groups",),
    "Conv2DTranspose": ("groups",),
    "Conv3DTranspose": ("groups",),
    **dict.fromkeys(
        ("SeparableConv1D", "SeparableConv2D"),
        ("groups", "kernel_initializer", "kernel_regularizer", "kernel_constraint"),
    ),
}
_MODULES = {
    "_initializer": "keras.initializers",
    "_regularizer": "keras.regularizers",
    "_constraint": "keras.constraints",
}


def model_entry(config: Mapping[str, Any]) -> dict[str, Any]:
    """The entry of a model, from the attribute `model_config`."""
    entry = _layer(config)
    if entry["class_name"] not in ("Sequential", "Functional", "Model") and entry["registered_name"] is None:
        raise ValueError(f"expected a model, got {entry['class_name']!r}")
    return entry


def _layer(entry: Any) -> dict[str, Any]:
    if not isinstance(entry, Mapping) or not isinstance(entry.get("class_name"), str):
        raise ValueError(f"expected a layer with a class_name, got {str(entry)[:200]}")
    config: Any = entry["config"]
    if not isinstance(config, Mapping | list):
        raise ValueError(f"{entry['class_name']}: expected a dict as config, got {str(config)[:200]}")
    name, registered = _names(entry["class_name"])
    if name == "TFOpLambda":
        return _function(entry)
    if name in ("Functional", "Model") and "layers" in config:
        name, module, config = "Functional", "keras.src.models.functional", _graph(config)
    elif name == "Sequential":
        module, config = "keras", _chain(config)
    elif "inbound_nodes" in entry and "trainable" not in config and name != "InputLayer":
        module = "keras.src.ops"  # a function; which of Keras's modules it is in is not written
    else:
        module, config = str(entry.get("module") or "keras.layers"), _arguments(name, config)
        if "layers" in config and "input_layers" in config:  # a registered subclass of Model
            config = _graph(config)
    translated = {"module": module, "class_name": name, "config": config, "registered_name": registered}
    kept = ("name", "inbound_nodes", "build_config", "shared_object_id")
    return {**translated, **{key: entry[key] for key in kept if key in entry}}


def _names(class_name: str) -> tuple[str, str | None]:
    """The class's name and, if it is the user's, its registered name."""
    return class_name.rpartition(">")[2], class_name if ">" in class_name else None


def _arguments(name: str, config: Any) -> dict[str, Any]:
    """The constructor's arguments of a layer."""
    found = {_RENAMED.get(name, {}).get(key, key): value for key, value in config.items()}
    for key in _UNUSED.get(name, ()):
        found.pop(key, None)
    shape = found.pop("batch_input_shape", None)
    if shape is not None and name == "InputLayer":
        found["batch_shape"] = shape
    axis = found.get("axis")
    if isinstance(axis, list) and len(axis) == 1:
        found["axis"] = axis[0]
    dtype = found.get("dtype")
    if isinstance(dtype, Mapping) and dtype.get("class_name") == "Policy":
        found["dtype"] = dtype["config"]["name"]
    for key, value in found.items():
        if not isinstance(value, Mapping) or "class_name" not in value:
            continue
        module = next((module for end, module in _MODULES.items() if key.endswith(end)), None)
        if module is not None:
            found[key] = _object(value, module)
        elif key == "layer" or key.endswith("_layer") or key == "cell":
            found[key] = _layer(value)
    if isinstance(found.get("cells"), list):
        found["cells"] = [_layer(cell) for cell in found["cells"]]
    return found


def _object(entry: Mapping[str, Any], module: str) -> dict[str, Any]:
    if entry.get("module"):
        return dict(entry)
    name, registered = _names(entry["class_name"])
    return {"module": module, "class_name": name, "config": entry["config"], "registered_name": registered}


def _chain(config: Any) -> dict[str, Any]:
    """A `Sequential`; the first layer may have the input's shape."""
    found = {"layers": config} if isinstance(config, list) else dict(config)
    entries = found["layers"]
    layers = [_layer(entry) for entry in entries]
    first = entries[0]["config"] if entries else {}
    shape = first.get("batch_input_shape")
    if shape is not None and layers[0]["class_name"] != "InputLayer":
        name = f"{layers[0]['config'].get('name', 'layer')}_input"
        given = {"batch_shape": shape, "name": name, "dtype": first.get("dtype")}
        layers.insert(
            0, {"module": "keras.layers", "class_name": "InputLayer", "config": given, "registered_name": None}
        )
    return {**found, "layers": layers}


def _graph(config: Any) -> dict[str, Any]:
    """A functional model, with its calls in Keras 3's form."""
    layers = [_layer(entry) for entry in config["layers"]]
    names = {entry["name"]: entry for entry in layers}
    old = any(isinstance(call, list) for entry in layers for call in entry["inbound_nodes"])
    if not old and not any(isinstance(x, list) for x in config["input_layers"]):
        return {**config, "layers": layers}  # by Keras 3, with inputs and outputs as they were given
    first = _first_calls(names)

    def place(reference: Any) -> list[Any]:
        name, call, output = reference[:3]
        return [name, call - first.get(name, 0), output]

    def end(reference: Any) -> list[Any]:
        graph = names[reference[0]]["class_name"] == "Functional"  # whose own call Keras 3 counts here too
        return list(reference[:3]) if graph else place(reference)

    if old:
        for entry in layers:
            entry["inbound_nodes"] = [_call(call, names, place) for call in entry["inbound_nodes"]]
    ends = {key: _ends(config[key], end if old else list) for key in ("input_layers", "output_layers")}
    return {**config, "layers": layers, **ends}


def _ends(ends: Any, place: Any) -> Any:
    if _is_reference(ends):
        return place(ends)
    if isinstance(ends, Mapping):
        return {key: _ends(end, place) for key, end in ends.items()}
    found = [_ends(end, place) for end in ends]
    return found[0] if len(found) == 1 else found


def _first_calls(names: Mapping[str, Any]) -> dict[str, int]:
    """The number of the first call of nested models, where it is 1: Keras 2 counts their own graph as a call.

    It is seen at the last call, which something refers to.
    """
    last: dict[str, int] = {}

    def look(value: Any) -> None:
        if _is_reference(value) and value[0] in names:
            last[value[0]] = max(last.get(value[0], 0), value[1])
        if isinstance(value, list | tuple):
            for part in value:
                look(part)
        elif isinstance(value, Mapping):
            look(list(value.values()))

    look([entry["inbound_nodes"] for entry in names.values()])
    return {
        name: 1
        for name, number in last.items()
        if names[name]["class_name"] in ("Functional", "Sequential") and number == len(names[name]["inbound_nodes"])
    }


def _is_reference(value: Any) -> bool:
    return (
        isinstance(value, list)
        and 3 <= len(value) <= 4
        and isinstance(value[0], str)
        and all(isinstance(n, int) and not isinstance(n, bool) for n in value[1:3])
    )


def _call(call: Any, names: Mapping[str, Any], place: Any) -> dict[str, Any]:
    if not isinstance(call, list):
        return dict(call)
    kwargs: dict[str, Any] = {}

    def tensor(reference: Any) -> dict[str, Any]:
        config = {"shape": None, "dtype": None, "keras_history": place(reference)}
        return {"class_name": "__keras_tensor__", "config": config}

    def argument(value: Any) -> Any:
        if isinstance(value, list) and value and value[0] == "_CONSTANT_VALUE":
            kwargs.update(value[3] if len(value) > 3 else {})
            return value[2]
        if _is_reference(value):
            kwargs.update(value[3] if len(value) > 3 else {})
            return tensor(value)
        return [argument(part) for part in value]

    first = argument(call)
    if isinstance(first, list) and len(first) == 1:
        first = first[0]
    given = {}
    for key, value in kwargs.items():
        given[key] = tensor(value) if _is_reference(value) and value[0] in names else value
    return {"args": [first], "kwargs": given}


def _function(entry: Mapping[str, Any]) -> dict[str, Any]:
    """A TensorFlow function that was called on symbolic tensors."""
    config = entry["config"]
    operation = _FUNCTIONS.get(config["function"])
    if operation is None:
        raise ValueError(
            f"the TensorFlow function {config['function']!r} (layer {config.get('name')!r}) is not known here"
        )
    module, class_name = operation.split(".")
    # Its second operand and name are keyword arguments of the call.
    calls = []
    for call in entry["inbound_nodes"]:
        arguments = {k: v for k, v in (call[3] if len(call) > 3 else {}).items() if k != "name"}
        calls.append([*call[:3], {"x2" if k == "y" else k: v for k, v in arguments.items()}])
    given = {"name": config["name"]}
    made = {
        "module": f"keras.src.ops.{module}",
        "class_name": class_name,
        "config": given,
        "registered_name": class_name,
    }
    return {**made, "name": entry["name"], "inbound_nodes": calls}


def training_arguments(config: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of `compile`, from the attribute `training_config`."""
    optimizer = dict(config["optimizer_config"])
    arguments = dict(optimizer["config"])
    if "lr" in arguments:
        arguments["learning_rate"] = arguments.pop("lr")
    if not arguments.get("decay"):
        arguments.pop("decay", None)
    entry = {**_object({**optimizer, "module": None}, "keras.optimizers"), "config": arguments}
    if entry["registered_name"] is not None and entry["registered_name"].startswith("Custom>"):
        entry["registered_name"] = None  # Keras 2 registers its own optimizers
    found = {"optimizer": entry, "loss": _nested(config.get("loss"), _loss), "loss_weights": config.get("loss_weights")}
    for kind in ("metrics", "weighted_metrics"):
        found[kind] = _nested(config.get(kind), _metric)
    return found


def _nested(value: Any, translate: Any) -> Any:
    if isinstance(value, Mapping):
        return translate(value) if "class_name" in value else {k: _nested(v, translate) for k, v in value.items()}
    if isinstance(value, list):
        found = [_nested(v, translate) for v in value]
        return None if found == [None] else found
    return value


def _loss(entry: Mapping[str, Any]) -> dict[str, Any]:
    found = _object(entry, "keras.losses")
    if isinstance(found["config"], Mapping) and not entry.get("module"):
        config = {key: value for key, value in found["config"].items() if key != "fn"}
        if config.get("reduction") == "auto":
            config["reduction"] = "sum_over_batch_size"
        found["config"] = config
    return found


def _metric(entry: Mapping[str, Any]) -> Any:
    found = _object(entry, "keras.metrics")
    config = found["config"]
    if isinstance(config, Mapping) and isinstance(config.get("fn"), str):
        if found["class_name"] == "MeanMetricWrapper":
            function = {"module": "builtins", "class_name": "function", "config": config["fn"]}
            found["config"] = {**config, "fn": function}
        else:
            found["config"] = {key: value for key, value in config.items() if key != "fn"}
    return found
