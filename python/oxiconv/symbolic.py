"""Operations that can be nodes of functional models: layers, and functions of `ops`."""

from __future__ import annotations

import functools
import inspect
from typing import TYPE_CHECKING, Any, ParamSpec, Self, TypeVar, cast

from oxiconv import tree
from oxiconv.absent import refuse_member
from oxiconv.inference import infer
from oxiconv.keras_tensor import KerasHistory, KerasTensor, Node, any_symbolic, is_keras_tensor
from oxiconv.naming import auto_name

if TYPE_CHECKING:
    from collections.abc import Callable

P = ParamSpec("P")
R = TypeVar("R")

__all__ = [
    "FunctionOperation",
    "KerasHistory",
    "KerasTensor",
    "Node",
    "Operation",
    "any_symbolic",
    "function_name",
    "functions",
    "infer",
    "is_keras_tensor",
    "op",
]


class Operation:
    """Something that makes tensors of tensors and can be a node of a functional model."""

    def __init__(self, name: str | None = None) -> None:
        if name is not None and "/" in str(name):
            raise ValueError(f"{type(self).__name__}: expected a name without '/', got {name!r}")
        self.name = name if name is not None else auto_name(type(self).__name__)
        self.nodes: list[Node] = []

    def record(self, args: tuple[Any, ...], kwargs: dict[str, Any], outputs: Any) -> Any:
        """Makes `outputs`, fresh symbolic tensors, the results of a new node."""
        Node(self, args, kwargs, outputs)
        return outputs

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """The results of `call`; for symbolic tensors, those of a new node."""
        if any_symbolic(args) or any_symbolic(kwargs.values()):
            return self.record(args, kwargs, self.compute_output_spec(*args, **kwargs))
        return self.call(*args, **kwargs)

    def call(self, *args: Any, **kwargs: Any) -> Any:
        """The computation. Subclasses define it."""
        raise NotImplementedError(f"{type(self).__name__} {self.name!r}: expected a class that defines call")

    def compute_output_spec(self, *args: Any, **kwargs: Any) -> Any:
        """The results for symbolic tensors, without making a node."""
        return infer(self.call, args, kwargs)

    def symbolic_call(self, *args: Any, **kwargs: Any) -> Any:
        """The results for symbolic tensors, those of a new node."""
        return self.record(args, kwargs, self.compute_output_spec(*args, **kwargs))

    def get_config(self) -> dict[str, Any]:
        """The arguments that make an equal operation. Subclasses with other arguments define it."""
        return {"name": self.name}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        """An operation of a configuration."""
        return cls(**config)

    def __getattr__(self, name: str) -> Any:
        of_class = inspect.getattr_static(type(self), name, None)
        if isinstance(of_class, property) and of_class.fget is not None:
            return of_class.fget(self)  # its own AttributeError has led here: raise that
        refuse_member(type(self), name)

    @property
    def _inbound_nodes(self) -> list[Node]:
        return self.nodes

    @property
    def input(self) -> Any:
        """What the operation was first called on: a symbolic tensor, or a list of them."""
        inputs = self._first_node("input").inputs
        return inputs[0] if len(inputs) == 1 else inputs

    @property
    def output(self) -> Any:
        """What the operation made when it was first called: a symbolic tensor, or a list of them."""
        outputs = tree.flatten(self._first_node("output").outputs)
        return outputs[0] if len(outputs) == 1 else outputs

    def _first_node(self, what: str) -> Node:
        if not self.nodes:
            raise AttributeError(
                f"{type(self).__name__} {self.name!r}: {what} is defined once the layer has been called on a symbolic "
                "tensor, as in a functional or built sequential model"
            )
        return self.nodes[0]


class FunctionOperation(Operation):
    """A function of `ops` as an operation."""

    def __init__(self, function: Callable[..., Any], name: str | None = None) -> None:
        super().__init__(name or auto_name(function.__name__))
        self.function = function

    def call(self, *args: Any, **kwargs: Any) -> Any:
        """The function's result."""
        return self.function(*args, **kwargs)


# The functions that `op` has wrapped, by `function_name`: those that a saved model may name.
functions: dict[str, Callable[..., Any]] = {}


def function_name(function: Callable[..., Any]) -> str:
    """The module and name of a function, as saved models write it."""
    return f"{function.__module__}.{function.__name__}"


def op(function: Callable[P, R]) -> Callable[P, R]:
    """Lets `function` of tensors also take symbolic ones: then it becomes a node, with its shapes inferred."""

    @functools.wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        if any_symbolic(args) or (kwargs and any_symbolic(kwargs.values())):
            outputs = infer(function, args, kwargs)
            return cast("R", FunctionOperation(call).record(args, kwargs, outputs))
        return function(*args, **kwargs)

    functions[function_name(call)] = call
    return call
