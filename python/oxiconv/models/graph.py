"""The graph of a functional model: the nodes between its inputs and outputs, in an order to run them."""

from __future__ import annotations

from typing import Any

from oxiconv import masks, ops, tree
from oxiconv.layers.input_layer import InputLayer
from oxiconv.layers.layer import Layer
from oxiconv.models.byte_tensors import ByteTensors
from oxiconv.symbolic import KerasTensor, Node, Operation
from oxiconv.tensor import ShapeError, Tensor, convert


class FunctionGraph:
    """The operations that make `outputs` of `inputs`, both structures of symbolic tensors.

    Args:
        inputs: symbolic tensors.
        outputs: symbolic tensors.
        fixed: whether values must have the sizes of the inputs; else the layers judge for themselves.

    Raises:
        TypeError: something else than symbolic tensors.
        ValueError: outputs that do not follow from the inputs, or names that occur twice.
    """

    def __init__(self, inputs: Any, outputs: Any, fixed: bool = True) -> None:
        self._fixed = fixed
        self.inputs_structure = inputs
        self.outputs_structure = outputs
        self.inputs: list[KerasTensor] = _symbolic(inputs, "inputs")
        self.outputs: list[KerasTensor] = _symbolic(outputs, "outputs")
        # Inputs that another operation than an `Input` makes: there the graph is cut off from what came before.
        self._cut = {id(t) for t in self.inputs if t.node is None or not isinstance(t.node.operation, InputLayer)}
        self.nodes, self.operations = self._sort()
        given = {id(t) for t in self.inputs}
        self.computed = [n for n in self.nodes if not all(id(t) in given for t in tree.flatten(n.outputs))]
        self.layers = [operation for operation in self.operations if isinstance(operation, Layer)]
        names = [operation.name for operation in self.operations]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"Model: expected unique layer names, got {', '.join(twice)} more than once")

    def _sort(self) -> tuple[list[Node], list[Operation]]:
        """Nodes and operations by falling distance from the outputs, then by discovery: Keras's order of layers."""
        found, rank = self._discover()
        distance: dict[int, int] = {}
        farthest: dict[int, int] = {}
        for node in reversed(found):
            operation = id(node.operation)
            depth = max(distance.get(id(node), 0), farthest.get(operation, 0))
            distance[id(node)] = farthest[operation] = depth
            for parent in self._parents(node):
                distance[id(parent)] = max(distance.get(id(parent), 0), depth + 1)
        nodes = sorted(found, key=lambda node: -distance[id(node)])  # stable: parents stay before their users
        operations = {id(node.operation): node.operation for node in nodes}
        order = sorted(operations, key=lambda key: (-farthest[key], rank[key]))
        return nodes, [operations[key] for key in order]

    def _parents(self, node: Node) -> list[Node]:
        return [t.node for t in node.inputs if t.node is not None and id(t) not in self._cut]

    def _discover(self) -> tuple[list[Node], dict[int, int]]:
        """All nodes, each after those it needs; and the rank of operations, which counts them as they are met."""
        found: list[Node] = []
        rank: dict[int, int] = {}
        done: set[int] = set()
        given = {id(t) for t in self.inputs}
        # An explicit stack: networks are deeper than Python's recursion limit.
        stack = [(t.node, False) for t in reversed(self.outputs) if t.node is not None and id(t) not in self._cut]
        while stack:
            node, finished = stack.pop()
            if finished:
                found.append(node)
                continue
            if id(node) in done:
                continue
            done.add(id(node))
            rank.setdefault(id(node.operation), len(rank))
            stack.append((node, True))
            for tensor in node.inputs:
                if tensor.node is None and id(tensor) not in given:
                    raise ValueError(f"Model: expected outputs that follow from the inputs, got {tensor!r} too")
            stack += [(parent, False) for parent in reversed(self._parents(node))]
            if not node.inputs and not any(id(t) in given for t in tree.flatten(node.outputs)):
                raise ValueError(f"Model: expected {node.operation.name!r} among the inputs: outputs depend on it")
        for tensor in self.inputs:
            node_of = tensor.node
            if node_of is not None and id(tensor) not in self._cut and id(node_of) not in done:
                rank.setdefault(id(node_of.operation), -1)
                found.insert(0, node_of)
        return found, rank

    def run(self, inputs: Any, label: str, mask: Any = None) -> Any:
        """The outputs for values of the inputs, which may have masks."""
        matched = self._match(inputs, label)
        if mask is not None:
            masks.hang(matched, mask)
        values = dict(zip(map(id, self.inputs), matched, strict=True))
        in_bytes = ByteTensors(self.computed, self.outputs)
        for t in self.inputs if in_bytes else ():
            in_bytes.round(t, values)
        for node in self.computed:
            if in_bytes:
                in_bytes.run(node, values)
            else:
                node.run(values, node.operation)
        if isinstance(self.outputs_structure, KerasTensor):
            return values[id(self.outputs_structure)]
        return tree.map_structure(lambda t: values[id(t)], self.outputs_structure)

    def _match(self, inputs: Any, label: str) -> list[Tensor]:
        """The values of the inputs in order, in their declared types and ranks."""
        structure = self.inputs_structure
        if isinstance(inputs, dict):
            names = list(structure) if isinstance(structure, dict) else [t.name for t in self.inputs]
            missing = [name for name in names if name not in inputs]
            if missing:
                raise ValueError(f"{label}: expected inputs {names}, got {sorted(inputs)}")
            flat = [inputs[name] for name in (sorted(names) if isinstance(structure, dict) else names)]
            flat = tree.flatten(flat)
        else:
            flat = tree.flatten(inputs)
        if len(flat) != len(self.inputs):
            raise ValueError(f"{label}: expected {len(self.inputs)} inputs, got {len(flat)}")
        return [_fit(value, wanted, self._fixed) for value, wanted in zip(flat, self.inputs, strict=True)]

    def names(self, tensors: list[KerasTensor]) -> list[str]:
        """The names of the operations that make tensors."""
        return [t.name if t.node is None else t.node.operation.name for t in tensors]


def _fit(value: Any, wanted: KerasTensor, fixed: bool) -> Any:
    """A value of an input in its declared type, with a last axis of 1 added or taken away as declared."""
    if value is None:
        return None
    x = given = convert(value, wanted.dtype)
    mask = masks.get_keras_mask(value)
    if x.ndim == len(wanted.shape) + 1 and x.shape[-1] == 1:
        x = ops.squeeze(x, -1)
    elif x.ndim == len(wanted.shape) - 1 and wanted.shape[-1] == 1:
        x = ops.expand_dims(x, -1)
    pairs = zip(wanted.shape[1:], x.shape[1:], strict=False)
    if x.ndim != len(wanted.shape) or (fixed and any(n not in (None, m) for n, m in pairs)):
        raise ShapeError(f"expected shape {wanted.shape} for input {wanted.name!r}, got {given.shape}")
    if mask is not None and x is not value:
        masks.set_keras_mask(x, mask)
    return x


def _symbolic(structure: Any, what: str) -> list[KerasTensor]:
    flat = tree.flatten(structure)
    for x in flat:
        if not isinstance(x, KerasTensor):
            raise TypeError(f"Model: expected symbolic tensors as {what}, got {type(x).__name__}")
    if not flat:
        raise ValueError(f"Model: expected at least one tensor as {what}, got none")
    return flat
