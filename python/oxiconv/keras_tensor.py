"""Symbolic values of the functional API, and the nodes that make them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from oxiconv import tree
from oxiconv.dtype import standardize_dtype
from oxiconv.naming import auto_name
from oxiconv.operators import Operators

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from oxiconv._core import DTypeName
    from oxiconv.symbolic import Operation
    from oxiconv.tensor import Shape


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

    # Tensors are dense.
    sparse = ragged = False
    ragged_rank = row_splits_dtype = None

    def __init__(
        self,
        shape: Sequence[int | None],
        dtype: Any = "float32",
        sparse: bool = False,
        ragged: bool = False,
        record_history: bool = True,
        name: str | None = None,
    ) -> None:
        if sparse or ragged:
            raise ValueError("KerasTensor: expected a dense tensor; sparse and ragged ones are absent")
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

    def reshape(self, newshape: Any) -> Any:
        """The tensor in another shape."""
        return self._ops.reshape(self, newshape)

    def squeeze(self, axis: int | None = None) -> Any:
        """The tensor without axes of size 1."""
        return self._ops.squeeze(self, axis)

    def __ne__(self, other: object) -> Any:
        return self._ops.not_equal(self, other)

    def __hash__(self) -> int:
        return id(self)

    def __round__(self, ndigits: int | None = None) -> Any:
        return self._ops.round(self, ndigits or 0)

    @property
    def _ops(self) -> Any:
        from oxiconv import ops

        return ops

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


def get_source_inputs(tensor: KerasTensor) -> list[KerasTensor]:
    """The inputs that a symbolic tensor was made of, each once, in the order they are met."""
    found: dict[int, KerasTensor] = {}
    seen: set[int] = set()
    stack = [tensor]
    while stack:
        t = stack.pop()
        if t.node is None or not t.node.inputs:
            found[id(t)] = t
        elif id(t.node) not in seen:
            seen.add(id(t.node))
            stack += reversed(t.node.inputs)
    return list(found.values())
