"""Functional models as configurations, and back, in Keras's layout."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from oxiconv import tree
from oxiconv.models.graph import FunctionGraph
from oxiconv.symbolic import FunctionOperation, KerasTensor, Node, Operation, function_name, functions
from oxiconv.tensor import Tensor


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

    def encoded(node: Node) -> dict[str, Any]:
        return {"args": [_encode(a, place) for a in node.args], "kwargs": _encode(node.kwargs, place)}

    return {
        "layers": [_input_config(t) for t in cut.values()]
        + [
            {**_operation_config(op), "name": op.name, "inbound_nodes": [encoded(n) for n in calls[id(op)] if n.inputs]}
            for op in graph.operations
        ],
        "input_layers": tree.map_structure(place, graph.inputs_structure),
        "output_layers": tree.map_structure(place, graph.outputs_structure),
    }


def _input_config(tensor: KerasTensor) -> dict[str, Any]:
    config = {"batch_shape": list(tensor.shape), "dtype": tensor.dtype, "name": tensor.name}
    entry = {"module": "oxiconv.layers", "class_name": "InputLayer", "config": config, "registered_name": None}
    return {**entry, "name": tensor.name, "inbound_nodes": []}


def _operation_config(operation: Operation) -> dict[str, Any]:
    if isinstance(operation, FunctionOperation):
        config = {"name": operation.name, "function": function_name(operation.function)}
        return {"module": "oxiconv.ops", "class_name": "Function", "config": config, "registered_name": None}
    from oxiconv.saving.serialization import serialize_keras_object

    serialized: dict[str, Any] = serialize_keras_object(operation)
    return serialized


def _encode(value: Any, place: Any) -> Any:
    from oxiconv.saving.serialization import serialize_keras_object

    if isinstance(value, KerasTensor):
        config = {"shape": list(value.shape), "dtype": value.dtype, "keras_history": place(value)}
        return {"class_name": "__keras_tensor__", "config": config}
    if isinstance(value, slice):
        return {"class_name": "__slice__", "config": {"bounds": [value.start, value.stop, value.step]}}
    if value is Ellipsis:
        return {"class_name": "__ellipsis__", "config": {}}
    if isinstance(value, tuple):
        return {"class_name": "__tuple__", "items": [_encode(v, place) for v in value]}
    if isinstance(value, list):
        return [_encode(v, place) for v in value]
    if isinstance(value, dict):
        return {key: _encode(v, place) for key, v in value.items()}
    return serialize_keras_object(value.numpy() if isinstance(value, Tensor) else value)


def graph_from_config(config: Mapping[str, Any], custom_objects: Mapping[str, Any] | None = None) -> tuple[Any, Any]:
    """The inputs and outputs that a configuration of `graph_config` describes, made anew.

    Raises:
        ValueError: a configuration that is not one of a graph.
    """
    operations: dict[str, Operation] = {}
    pending: list[tuple[str, dict[str, Any]]] = []
    for entry in config["layers"]:
        name = entry["name"]
        operations[name] = _operation(entry, custom_objects)
        pending += [(name, call) for call in entry["inbound_nodes"]]
    made: dict[str, list[Node]] = {name: list(op.nodes) for name, op in operations.items()}

    def tensor(history: Any) -> KerasTensor:
        name, node, index = history
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
    return _structure(config["input_layers"], tensor), _structure(config["output_layers"], tensor)


def _operation(entry: Mapping[str, Any], custom_objects: Mapping[str, Any] | None) -> Operation:
    from oxiconv.saving.serialization import deserialize_keras_object

    if entry["class_name"] == "Function" and entry.get("module") == "oxiconv.ops":
        name = entry["config"]["function"]
        if name not in functions:
            raise ValueError(f"Model: expected a function of oxiconv.ops, got {name!r}")
        return FunctionOperation(functions[name], entry["config"]["name"])
    operation = deserialize_keras_object(entry, custom_objects)
    if not isinstance(operation, Operation):
        raise ValueError(f"Model: expected a layer, got {type(operation).__name__}")
    return operation


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
    if kind == "__slice__":
        return slice(*value["config"]["bounds"])
    if kind == "__ellipsis__":
        return Ellipsis
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
