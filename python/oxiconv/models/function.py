"""A graph of operations as one operation, without a layer's state."""

from __future__ import annotations

from typing import Any, Self

from oxiconv import tree
from oxiconv.models.configuration import graph_config, graph_from_config
from oxiconv.models.graph import FunctionGraph
from oxiconv.symbolic import KerasTensor, Operation


class Function(Operation):
    """The computation from symbolic inputs to symbolic outputs, to be applied to other inputs.

    Args:
        inputs: a symbolic tensor, or a structure of them.
        outputs: symbolic tensors made of them.
        name: of the function.

    Example:
        >>> import oxiconv
        >>> a, b = oxiconv.KerasTensor((None, 2)), oxiconv.KerasTensor((None, 2))
        >>> function = Function([a, b], oxiconv.ops.relu(a - b))
        >>> one, other = oxiconv.ops.array([[1.0, 2.0]]), oxiconv.ops.array([[2.0, 1.0]])
        >>> function([one, other]).numpy().tolist()
        [[0.0, 1.0]]
    """

    def __init__(self, inputs: Any, outputs: Any, name: str | None = None) -> None:
        super().__init__(name)
        self._graph = FunctionGraph(inputs, outputs)

    @property
    def operations(self) -> list[Operation]:
        """The operations in an order to run them."""
        return list(self._graph.operations)

    @property
    def inputs(self) -> list[KerasTensor]:
        """The symbolic inputs, in order."""
        return self._graph.inputs

    @property
    def outputs(self) -> list[KerasTensor]:
        """The symbolic outputs, in order."""
        return self._graph.outputs

    def call(self, inputs: Any) -> Any:
        """The outputs for the inputs, in the structure that the function was made with."""
        return self._graph.run(inputs, f"Function {self.name!r}")

    def compute_output_shape(self, input_shape: Any) -> Any:
        """The shapes of the outputs for inputs of a shape."""
        shapes: list[Any] = []
        tree.map_shape_structure(shapes.append, input_shape)
        symbols = [KerasTensor(shape, t.dtype) for shape, t in zip(shapes, self.inputs, strict=True)]
        outputs = self.compute_output_spec(tree.pack_sequence_as(self._graph.inputs_structure, symbols))
        return tree.map_structure(lambda t: t.shape, outputs)

    def get_config(self) -> dict[str, Any]:
        """The operations, their calls, and the inputs and outputs."""
        return {"name": self.name, **graph_config(self._graph)}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        """A function of a configuration."""
        inputs, outputs = graph_from_config(config)
        return cls(inputs, outputs, name=config["name"])
