"""Tensors of a quantized model between its layers: kept in bytes where a quantized layer reads them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from oxiconv import masks, ops, tree
from oxiconv.layers.pooling import MaxPooling1D, MaxPooling2D, MaxPooling3D
from oxiconv.layers.quantizable import Quantizable, bytes_of, from_bytes
from oxiconv.layers.reshaping import (
    Cropping1D,
    Cropping2D,
    Cropping3D,
    Flatten,
    Permute,
    Reshape,
    ZeroPadding1D,
    ZeroPadding2D,
    ZeroPadding3D,
)
from oxiconv.symbolic import FunctionOperation, KerasTensor, Node

_MOVING_LAYERS = (
    Cropping1D,
    Cropping2D,
    Cropping3D,
    Flatten,
    MaxPooling1D,
    MaxPooling2D,
    MaxPooling3D,
    Permute,
    Reshape,
    ZeroPadding1D,
    ZeroPadding2D,
    ZeroPadding3D,
)
_MOVING_FUNCTIONS = (ops.get_item, ops.reshape, ops.transpose)


class ByteTensors:
    """Which tensors of a graph are rounded to bytes, and for which layer.

    A tensor that a quantized layer reads is rounded once, for all who read it: it is then stored in bytes alone, and a
    residual connection reads the bytes too. What only moves elements, adds zeros, or takes the largest, is done
    on the bytes: rounding keeps the order of values.

    Args:
        nodes: those of the graph, in order.
        kept: tensors that are not to be rounded: the graph's outputs.
    """

    def __init__(self, nodes: Sequence[Node], kept: Sequence[KerasTensor]) -> None:
        self._readers: dict[int, Quantizable] = {}
        for node in reversed(nodes):
            operation = node.operation
            if isinstance(operation, Quantizable):
                if operation.quantization_config is not None:
                    self._readers[id(node.inputs[0])] = operation
            elif self._readers and _moves(node) and id(node.outputs) in self._readers:
                self._readers.setdefault(id(node.inputs[0]), self._readers[id(node.outputs)])
        for t in kept:
            self._readers.pop(id(t), None)

    def __bool__(self) -> bool:
        return bool(self._readers)

    def run(self, node: Node, values: dict[int, Any]) -> None:
        """Runs a node as `Node.run`, and rounds its results."""
        moving = _moves(node)
        source = id(node.inputs[0]) if moving else None
        x = values.get(source) if source is not None else None
        held = bytes_of(x)
        if source is None or held is None:
            node.run(values, node.operation)
        else:
            values[source] = held[0]
            node.run(values, node.operation)
            values[source] = x
            values[id(node.outputs)] = from_bytes(values[id(node.outputs)], held[1])
        for t in tree.flatten(node.outputs):
            self.round(t, values)

    def round(self, t: KerasTensor, values: dict[int, Any]) -> None:
        """Rounds the value of a tensor, if a quantized layer reads it."""
        reader, x = self._readers.get(id(t)), values[id(t)]
        if reader is None or x.dtype != "float32":
            return
        mask = masks.get_keras_mask(x)
        values[id(t)] = y = reader.through_bytes(x)
        if mask is not None:
            masks.set_keras_mask(y, mask)


def _moves(node: Node) -> bool:
    """Whether the operation moves elements of one tensor, adds zeros, and takes the largest, at most."""
    operation = node.operation
    if len(node.inputs) != 1 or not isinstance(node.outputs, KerasTensor):
        return False
    if not isinstance(operation, FunctionOperation):
        return type(operation) in _MOVING_LAYERS
    zeros = operation.function is ops.pad and len(node.args) == 2 and not node.kwargs
    return zeros or operation.function in _MOVING_FUNCTIONS
