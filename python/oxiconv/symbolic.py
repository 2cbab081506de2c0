"""Symbolic values of the functional API, the operations that made them, and shape inference by tracing."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, NamedTuple, ParamSpec, TypeVar, cast

from oxiconv import tree
from oxiconv._core import OxiconvError, ShapeError, Tensor
from oxiconv.dtype import standardize_dtype
from oxiconv.naming import auto_name
from oxiconv.operators import Operators
from oxiconv.trace import Trace

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from oxiconv._core import DTypeName
    from oxiconv.tensor import Shape

P = ParamSpec("P")
R = TypeVar("R")

# What unknown sizes are replaced by, (batch, others), in the two runs of an inference. The others are multiples of
# the strides that networks apply to them; results whose sizes differ between the runs have an unknown size.
_SAMPLES = ((2, 480), (3, 960))


class KerasHistory(NamedTuple):
    """Where a symbolic tensor comes from: an operation, which of its nodes, and which of that node's outputs."""

    operation: Operation
    node_index: int
    tensor_index: int


class KerasTensor(Operators):
    """A tensor without data: shape (None where unknown), element type, and the node that makes it.

    >>> x = KerasTensor((None, 28, 28, 1), name="image")
    >>> x, (x[:, ::2] * 2.0).shape
    (<KerasTensor shape=(None, 28, 28, 1), dtype=float32, name=image>, (None, 14, 28, 1))
    """

    def __init__(self, shape: Sequence[int | None], dtype: Any = "float32", name: str | None = None) -> None:
        self.shape: Shape = tuple(shape)
        self.dtype: DTypeName = standardize_dtype(dtype)
        self.name = name or auto_name("KerasTensor")
        self.node: Node | None = None
        self.index = 0
        self._keras_mask: Any = None

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.shape)

    @property
    def _keras_history(self) -> KerasHistory:
        if self.node is None:
            raise AttributeError(f"{self!r}: no operation has made it")
        operation = self.node.operation
        return KerasHistory(operation, [id(n) for n in operation.nodes].index(id(self.node)), self.index)

    def __repr__(self) -> str:
        return f"<KerasTensor shape={self.shape}, dtype={self.dtype}, name={self.name}>"

    def _refuse(self, what: str) -> TypeError:
        return TypeError(f"{what}: the symbolic tensor {self!r} has no value; use oxiconv.ops on it instead")

    def __bool__(self) -> bool:
        raise self._refuse("bool")

    def __float__(self) -> float:
        raise self._refuse("float")

    def __int__(self) -> int:
        raise self._refuse("int")

    def __index__(self) -> int:
        raise self._refuse("index")

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Any:
        raise self._refuse("array")

    def __iter__(self) -> Iterator[Any]:
        raise self._refuse("iteration")

    def __len__(self) -> int:
        raise self._refuse("len")


class Node:
    """One use of an operation on symbolic tensors."""

    def __init__(self, operation: Operation, args: tuple[Any, ...], kwargs: dict[str, Any], outputs: Any) -> None:
        self.operation = operation
        self.args = args
        self.kwargs = kwargs
        self.outputs = outputs
        self.inputs = [t for t in tree.flatten((args, kwargs)) if isinstance(t, KerasTensor)]
        self._plain = len(args) == 1 and not kwargs and isinstance(args[0], KerasTensor)
        for index, tensor in enumerate(tree.flatten(outputs)):
            tensor.node, tensor.index = self, index
        operation.nodes.append(self)

    @property
    def parents(self) -> list[Node]:
        """The nodes that make this one's inputs, in order."""
        return [t.node for t in self.inputs if t.node is not None]

    def run(self, values: dict[int, Any], call: Callable[..., Any]) -> None:
        """Computes the outputs into `values`, by the identity of symbolic tensors, with `call` as the operation."""

        def value(t: Any) -> Any:
            return values[id(t)] if isinstance(t, KerasTensor) else t

        if self._plain:
            result = call(values[id(self.args[0])])
        else:
            args, kwargs = tree.map_structure(value, (self.args, self.kwargs))
            result = call(*args, **kwargs)
        if isinstance(self.outputs, KerasTensor):
            values[id(self.outputs)] = result
            return
        results = tree.flatten(result)
        for tensor, result in zip(tree.flatten(self.outputs), results, strict=True):
            values[id(tensor)] = result


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
        """The computation."""
        raise NotImplementedError

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


class Function(Operation):
    """A function of `ops` as an operation."""

    def __init__(self, function: Callable[..., Any], name: str | None = None) -> None:
        super().__init__(name or auto_name(function.__name__))
        self.function = function

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
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
            return cast("R", Function(call).record(args, kwargs, outputs))
        return function(*args, **kwargs)

    functions[function_name(call)] = call
    return call


def any_symbolic(values: Iterable[Any]) -> bool:
    """Whether a `KerasTensor` is among the values or within their sequences."""
    for v in values:
        if isinstance(v, KerasTensor):
            return True
        if isinstance(v, (list, tuple)):
            if any_symbolic(v):
                return True
        elif isinstance(v, dict) and any_symbolic(v.values()):
            return True
    return False


def is_keras_tensor(x: Any) -> bool:
    """Whether `x` is a symbolic tensor."""
    return isinstance(x, KerasTensor)


def infer(function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """What `function` makes of symbolic tensors: it is traced, and no data is computed."""
    symbols = [t for t in tree.flatten((args, kwargs)) if isinstance(t, KerasTensor)]
    known = all(n is not None for t in symbols for n in t.shape)
    try:
        first, *rest = [_trace(function, args, kwargs, *sample) for sample in _SAMPLES[: 1 if known else 2]]
    except OxiconvError as error:
        if not known and "unknown sizes" not in str(error):
            batch, size = _SAMPLES[0]
            error.args = (f"{error} (unknown sizes are tried as {batch} for the batch, {size} elsewhere)",)
        raise
    return tree.map_structure(_merge, first, rest[0] if rest else first)


class Spec:
    """Shape and element type of one result of a trace."""

    def __init__(self, shape: tuple[int, ...], dtype: str, mask: Spec | None = None) -> None:
        self.shape = shape
        self.dtype = dtype
        self.mask = mask


def _trace(function: Callable[..., Any], args: Any, kwargs: Any, batch: int, size: int) -> Any:
    with Trace(symbolic=True) as trace:

        def fill(t: Any) -> Any:
            if not isinstance(t, KerasTensor):
                return t
            dims = [n if n is not None else batch if axis == 0 else size for axis, n in enumerate(t.shape)]
            return trace.graph.input(dims, t.dtype, batched=bool(t.shape) and t.shape[0] is None)

        args, kwargs = tree.map_structure(fill, (args, kwargs))
        return tree.map_structure(_spec, function(*args, **kwargs))


def _spec(x: Any) -> Any:
    if isinstance(x, Tensor):
        mask = getattr(x, "_keras_mask", None)
        return Spec(x.shape, x.dtype, None if mask is None else _spec(mask))
    value = getattr(x, "value", None)
    if isinstance(value, Tensor):
        return Spec(value.shape, value.dtype)
    raise TypeError(f"symbolic call: expected tensors as results, got {type(x).__name__}")


def _merge(a: Spec, b: Spec) -> KerasTensor:
    if len(a.shape) != len(b.shape):
        raise ShapeError("symbolic call: expected a number of axes that does not depend on the unknown sizes")
    merged = KerasTensor([m if m == n else None for m, n in zip(a.shape, b.shape, strict=True)], a.dtype)
    if a.mask is not None and b.mask is not None:
        merged._keras_mask = _merge(a.mask, b.mask)
    return merged
