"""Functional models as configurations, and back, in Keras's layout."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Mapping
from typing import Any

from oxiconv import tree
from oxiconv.models.graph import FunctionGraph
from oxiconv.models.keras_ops import call_function, find_function, keras_call
from oxiconv.symbolic import (
    FunctionOperation,
    KerasTensor,
    Node,
    Operation,
    any_symbolic,
    function_name,
    functions,
    infer,
)
from oxiconv.tensor import Tensor

# Keras writes the default of `training` into a call that did not give it. By that default: the layers it does this for.
_TRAINING_DEFAULTS = {
    False: """
        AdditiveAttention AlphaDropout Attention ConvLSTM1D ConvLSTM2D ConvLSTM3D Dropout GRU GRUCell GaussianDropout
        GaussianNoise LSTM LSTMCell RNN SimpleRNN SimpleRNNCell SpatialDropout1D SpatialDropout2D SpatialDropout3D
        SpectralNormalization StackedRNNCells
    """,
    True: """
        AugMix AutoContrast CenterCrop ContrastLimitedAdaptiveHistogramEqualization CutMix Equalization
        MaxNumBoundingBoxes MixUp Pipeline RandAugment RandomBrightness RandomColorDegeneration RandomColorJitter
        RandomContrast RandomCrop RandomElasticTransform RandomErasing RandomFlip RandomGaussianBlur RandomGrayscale
        RandomHue RandomInvert RandomPerspective RandomPosterization RandomRotation RandomSaturation RandomSharpness
        RandomShear RandomTranslation RandomZoom Resizing Solarization
    """,
}


def graph_config(graph: FunctionGraph) -> dict[str, Any]:
    """The layers, their calls, and the inputs and outputs of a graph."""
    inside = {id(node) for node in graph.nodes}
    # Inputs within another model become inputs of their own.
    cut = {id(t): t for t in graph.inputs if t.node is None or id(t.node) not in inside}
    calls = {id(op): [node for node in op.nodes if id(node) in inside] for op in graph.operations}

    def place(tensor: KerasTensor) -> list[Any]:
        if id(tensor) in cut:
            return [tensor.name, 0, 0]
        assert tensor.node is not None
        operation = tensor.node.operation
        index = next(i for i, node in enumerate(calls[id(operation)]) if node is tensor.node)
        return [operation.name, index, tensor.index]

    def end(tensor: KerasTensor) -> list[Any]:
        name, index, output = place(tensor)
        return [
            name,
            index + (0 if id(tensor) in cut or tensor.node is None else _offset(tensor.node.operation)),
            output,
        ]

    return {
        "layers": [_input_config(t) for t in cut.values()]
        + [_operation_config(op, calls[id(op)], place) for op in graph.operations],
        "input_layers": tree.map_structure(end, graph.inputs_structure),
        "output_layers": tree.map_structure(end, graph.outputs_structure),
    }


def _offset(operation: Operation) -> int:
    """What Keras adds to the number of a call that makes an output: a functional model's own graph counts there."""
    return 0 if getattr(operation, "_graph", None) is None or getattr(operation, "_is_chain", False) else 1


def _input_config(tensor: KerasTensor) -> dict[str, Any]:
    config = {"batch_shape": list(tensor.shape), "dtype": tensor.dtype, "name": tensor.name}
    entry = {"module": "keras.layers", "class_name": "InputLayer", "config": config, "registered_name": None}
    return {**entry, "name": tensor.name, "inbound_nodes": []}


def _operation_config(operation: Operation, calls: list[Node], place: Any) -> dict[str, Any]:
    if isinstance(operation, FunctionOperation):
        return _function_config(operation, calls, place)
    from oxiconv.saving.serialization import serialize_keras_object

    entry: dict[str, Any] = serialize_keras_object(operation)
    nodes = []
    for node in calls:
        kwargs: dict[str, Any] = dict(node.kwargs)
        training = kwargs.get("training")
        if isinstance(training, bool) and _keras_default(entry, operation) is training:
            kwargs["training"] = int(training)  # told apart from the default, which Keras writes into all calls
        if node.inputs:
            nodes.append({"args": [_encode(a, place) for a in node.args], "kwargs": _encode(kwargs, place)})
    return {**entry, "name": operation.name, "inbound_nodes": nodes}


def _function_config(operation: FunctionOperation, calls: list[Node], place: Any) -> dict[str, Any]:
    (node,) = calls  # each use of a function is an operation of its own
    split = keras_call(operation.function, node.args, node.kwargs)
    if split is None:  # Keras has no such operation
        config = {"name": operation.name, "function": function_name(operation.function)}
        entry = {"module": "oxiconv.ops", "class_name": "Function", "config": config, "registered_name": None}
        args, kwargs = list(node.args), _encode(node.kwargs, place)
    else:
        row, config, args = split
        config = {"name": operation.name, **_encode(config, place)}
        entry = {
            "module": row.module,
            "class_name": row.class_name,
            "config": config,
            "registered_name": row.class_name,
        }
        kwargs = {}
    call = {"args": [_encode(a, place) for a in args], "kwargs": kwargs}
    return {**entry, "name": operation.name, "inbound_nodes": [call]}


def _encode(value: Any, place: Any) -> Any:
    from oxiconv.saving.serialization import serialize_keras_object

    if isinstance(value, KerasTensor):
        config = {"shape": list(value.shape), "dtype": value.dtype, "keras_history": place(value)}
        return {"class_name": "__keras_tensor__", "config": config}
    if isinstance(value, (list, tuple)):
        return [_encode(v, place) for v in value]
    if isinstance(value, dict):
        return {key: _encode(v, place) for key, v in value.items()}
    return serialize_keras_object(value.numpy() if isinstance(value, Tensor) else value)


def graph_from_config(config: Mapping[str, Any], custom_objects: Mapping[str, Any] | None = None) -> tuple[Any, Any]:
    """The inputs and outputs that a configuration of `graph_config`, or of Keras, describes, made anew.

    Raises:
        ValueError: a configuration that is not one of a graph.
    """
    operations: dict[str, Operation] = {}
    made: dict[str, list[Node]] = {}
    pending: list[tuple[str, dict[str, Any]]] = []
    for entry in config["layers"]:
        name = entry["name"]
        if not isinstance(name, str) or name in operations:
            raise ValueError(f"Model: expected unique strings as names of layers, got {name!r}")
        operation = operations[name] = _operation(entry, custom_objects)
        pending += [(name, _call(entry, operation, call)) for call in entry["inbound_nodes"]]
        # What is called here starts anew: the layer may be shared with another model and have calls there.
        made[name] = [] if entry["inbound_nodes"] else list(operation.nodes)

    def tensor(history: Any) -> KerasTensor:
        name, node, index = history
        if node < 0 or index < 0:
            raise ValueError(f"Model: expected a call and an output that exist, got {history!r}")
        found: KerasTensor = tree.flatten(made[name][node].outputs)[index]
        return found

    def ready(name: str, call: Any, waiting: set[str]) -> bool:
        return name not in waiting and all(len(made[n]) > i for n, i, _ in _histories(call))

    while pending:
        left: list[tuple[str, dict[str, Any]]] = []
        waiting: set[str] = set()  # the calls of one operation keep their order
        for name, call in pending:
            if ready(name, call, waiting):
                operation = operations[name]
                operation(*(_decode(a, tensor) for a in call["args"]), **_decode(call["kwargs"], tensor))
                made[name].append(operation.nodes[-1])
            else:
                waiting.add(name)
                left.append((name, call))
        if len(left) == len(pending):
            raise ValueError(f"Model: expected a configuration without cycles, got one at {left[0][0]!r}")
        pending = left

    def end(history: Any) -> KerasTensor:
        name, node, index = history
        return tensor([name, node - _offset(operations[name]), index])

    return _structure(config["input_layers"], end), _structure(config["output_layers"], end)


def _call(entry: Mapping[str, Any], operation: Operation, call: Mapping[str, Any]) -> dict[str, Any]:
    """A call without the arguments that Keras writes though nobody gave them."""
    kwargs = {key: value for key, value in call["kwargs"].items() if not (key == "mask" and value is None)}
    training = kwargs.get("training")
    if training is None or training is _keras_default(entry, operation):
        kwargs.pop("training", None)
    elif type(training) is int:
        kwargs["training"] = bool(training)
    return {"args": call["args"], "kwargs": kwargs}


def _keras_default(entry: Mapping[str, Any], operation: Operation) -> bool | None:
    """What Keras writes as `training` for a call that does not give it, None if nothing."""
    if str(entry.get("module")).split(".")[0] == "keras":
        names = ((default, names.split()) for default, names in _TRAINING_DEFAULTS.items())
        return next((default for default, known in names if entry["class_name"] in known), None)
    parameter = inspect.signature(getattr(operation, "call", operation)).parameters.get("training")
    return parameter.default if parameter is not None and isinstance(parameter.default, bool) else None


def _operation(entry: Mapping[str, Any], custom_objects: Mapping[str, Any] | None) -> Operation:
    from oxiconv.saving.serialization import deserialize_keras_object

    module, class_name, config = entry.get("module"), entry["class_name"], entry["config"]
    if class_name == "Function" and module == "oxiconv.ops":
        if config["function"] not in functions:
            raise ValueError(f"Model: expected a function of oxiconv.ops, got {config['function']!r}")
        return _Replayed(functions[config["function"]], config["name"])
    if isinstance(module, str) and f"{module}.".startswith("keras.src.ops."):
        found = find_function(module, class_name)
        if found is None:
            raise ValueError(f"Model: the operation {module}.{class_name} is not among oxiconv.ops")
        row, function = found
        given = {key: _decode(value, None) for key, value in config.items() if key != "name"}
        return _Replayed(function, config.get("name"), functools.partial(call_function, row, function, given))
    operation = deserialize_keras_object(entry, custom_objects)
    if not isinstance(operation, Operation):
        raise ValueError(f"Model: expected a layer, got {type(operation).__name__}")
    return operation


class _Replayed(FunctionOperation):
    """A function that records its calls under the name it had, with arguments that `arrange` puts in place."""

    def __init__(self, function: Any, name: str | None, arrange: Any = None) -> None:
        super().__init__(function, name)
        self._arrange = arrange

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """The function's result; for symbolic tensors, a node of this operation."""
        if not (any_symbolic(args) or any_symbolic(kwargs.values())):
            return self.function(*args, **kwargs)
        if self._arrange is not None:
            args, kwargs = self._arrange(args, kwargs)
        return self.record(args, kwargs, infer(self.function, args, kwargs))


def _histories(value: Any) -> list[Any]:
    if isinstance(value, dict):
        if value.get("class_name") == "__keras_tensor__":
            return [value["config"]["keras_history"]]
        return [h for v in value.values() for h in _histories(v)]
    return [h for v in value for h in _histories(v)] if isinstance(value, list) else []


def _decode(value: Any, tensor: Any) -> Any:
    from oxiconv.saving.serialization import deserialize_keras_object

    if isinstance(value, list):
        return [_decode(v, tensor) for v in value]
    if not isinstance(value, dict):
        return value
    kind = value.get("class_name")
    if kind == "__keras_tensor__":
        return tensor(value["config"]["keras_history"])
    if kind == "__tuple__":
        return tuple(_decode(v, tensor) for v in value["items"])
    if kind is not None and "config" in value:
        return deserialize_keras_object(value)
    return {key: _decode(v, tensor) for key, v in value.items()}


def _structure(value: Any, tensor: Any) -> Any:
    """A structure of [name, node, index] as the structure of tensors."""
    if isinstance(value, dict):
        return {key: _structure(v, tensor) for key, v in value.items()}
    if len(value) == 3 and isinstance(value[0], str):
        return tensor(value)
    return [_structure(v, tensor) for v in value]
