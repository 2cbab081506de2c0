"""Python operators, in terms of `ops`: for tensors, symbolic tensors and variables alike."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, cast

from oxiconv import trace
from oxiconv._core import DTypeError, GraphError, Tensor
from oxiconv.dtype import is_float

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import ModuleType

    from oxiconv import ops  # noqa: TC004 - `install` sets it
    from oxiconv.tensor import TensorLike


class Operators:
    """Arithmetic, comparison and indexing."""

    # NumPy then leaves `array + tensor` to `__radd__`.
    __array_priority__ = 100

    def __add__(self, other: Any) -> Tensor:
        return ops.add(self, other)

    def __radd__(self, other: Any) -> Tensor:
        return ops.add(other, self)

    def __sub__(self, other: Any) -> Tensor:
        return ops.subtract(self, other)

    def __rsub__(self, other: Any) -> Tensor:
        return ops.subtract(other, self)

    def __mul__(self, other: Any) -> Tensor:
        return ops.multiply(self, other)

    def __rmul__(self, other: Any) -> Tensor:
        return ops.multiply(other, self)

    def __truediv__(self, other: Any) -> Tensor:
        return ops.true_divide(self, other)

    def __rtruediv__(self, other: Any) -> Tensor:
        return ops.true_divide(other, self)

    def __floordiv__(self, other: Any) -> Tensor:
        return ops.floor_divide(self, other)

    def __rfloordiv__(self, other: Any) -> Tensor:
        return ops.floor_divide(other, self)

    def __mod__(self, other: Any) -> Tensor:
        return ops.mod(self, other)

    def __rmod__(self, other: Any) -> Tensor:
        return ops.mod(other, self)

    def __pow__(self, other: Any) -> Tensor:
        return ops.power(self, other)

    def __rpow__(self, other: Any) -> Tensor:
        return ops.power(other, self)

    def __matmul__(self, other: Any) -> Tensor:
        return ops.matmul(self, other)

    def __rmatmul__(self, other: Any) -> Tensor:
        return ops.matmul(other, self)

    def __neg__(self) -> Tensor:
        return ops.negative(self)

    def __pos__(self) -> Tensor:
        return ops.convert_to_tensor(self)

    def __abs__(self) -> Tensor:
        return ops.absolute(self)

    def __invert__(self) -> Tensor:
        return ops.bitwise_invert(_bits(self))

    def __and__(self, other: Any) -> Tensor:
        return ops.bitwise_and(_bits(self), _bits(other))

    __rand__ = __and__

    def __or__(self, other: Any) -> Tensor:
        return ops.bitwise_or(_bits(self), _bits(other))

    __ror__ = __or__

    def __xor__(self, other: Any) -> Tensor:
        return ops.bitwise_xor(_bits(self), _bits(other))

    __rxor__ = __xor__

    def __lshift__(self, other: Any) -> Tensor:
        return ops.bitwise_left_shift(_bits(self), _bits(other))

    def __rlshift__(self, other: Any) -> Tensor:
        return ops.bitwise_left_shift(_bits(other), _bits(self))

    def __rshift__(self, other: Any) -> Tensor:
        return ops.bitwise_right_shift(_bits(self), _bits(other))

    def __rrshift__(self, other: Any) -> Tensor:
        return ops.bitwise_right_shift(_bits(other), _bits(self))

    def __divmod__(self, other: Any) -> tuple[Tensor, Tensor]:
        return ops.floor_divide(self, other), ops.mod(self, other)

    def __rdivmod__(self, other: Any) -> tuple[Tensor, Tensor]:
        return ops.floor_divide(other, self), ops.mod(other, self)

    def __round__(self, ndigits: int | None = None) -> Tensor:
        return ops.round(self, ndigits or 0)

    def __lt__(self, other: Any) -> Tensor:
        return ops.less(self, other)

    def __le__(self, other: Any) -> Tensor:
        return ops.less_equal(self, other)

    def __gt__(self, other: Any) -> Tensor:
        return ops.greater(self, other)

    def __ge__(self, other: Any) -> Tensor:
        return ops.greater_equal(self, other)

    def __getitem__(self, key: Any) -> Tensor:
        return ops.get_item(self, key)


class Values(Operators):
    """Operators that need data: those of tensors and variables, not of symbolic tensors."""

    def __eq__(self, other: object) -> Tensor:  # type: ignore[override]
        return ops.equal(self, cast("TensorLike", other))

    def __ne__(self, other: object) -> Tensor:  # type: ignore[override]
        return ops.not_equal(self, cast("TensorLike", other))

    def __hash__(self) -> int:
        return id(self)

    def __bool__(self) -> bool:
        return bool(_item(self, "bool"))

    def __float__(self) -> float:
        return float(_item(self, "float"))

    def __int__(self) -> int:
        return int(_item(self, "int"))

    def __index__(self) -> int:
        value = _item(self, "index")
        if isinstance(value, float):
            raise TypeError("index: expected an integer tensor, got float32")
        return int(value)

    def __len__(self) -> int:
        shape = ops.shape(self)
        if not shape:
            raise TypeError("len: expected at least one axis, got a scalar")
        return int(shape[0])

    def __iter__(self) -> Iterator[Tensor]:
        return (ops.get_item(self, i) for i in range(len(self)))

    def __contains__(self, value: Any) -> bool:
        return bool(_item(ops.any(ops.equal(self, value)), "in"))

    def item(self) -> float | int | bool:
        """The value of a tensor with one element, as a Python number."""
        return _item(self, "item")

    def __format__(self, spec: str) -> str:
        return format(_item(self, "format"), spec) if spec else str(self)


def _bits(x: Any) -> Any:
    if is_float(ops.dtype(x)):
        raise DTypeError(
            f"bitwise operator: expected truth values or integers, got {ops.dtype(x)}; use ops.logical_* for non-zero"
        )
    return x


def _item(x: Any, what: str) -> float | int | bool:
    tensor = ops.convert_to_tensor(x)
    if tensor.traced and trace.current() is None:
        raise GraphError(f"{what}: {trace.ended(tensor)}")
    if tensor.traced:
        raise GraphError(
            f"{what}: the value is not known while a computation is being traced; use ops.where for a choice by value, "
            "or compile(run_eagerly=True) to run Python code step by step"
        )
    if tensor.size != 1:
        raise ValueError(f"{what}: expected one element, got shape {tensor.shape}")
    value: float | int | bool = tensor.numpy().item()
    return value


def _explained(name: str, method: Callable[..., Any]) -> Callable[..., Any]:
    """A method of the core that needs data, with an error that tells what to do where there is none."""

    @functools.wraps(method)
    def call(self: Tensor, *args: Any, **kwargs: Any) -> Any:
        if self.traced:
            _item(self, name)
        return method(self, *args, **kwargs)

    return call


def _repr(x: Tensor) -> str:
    if x.traced:
        return f"<traced {x.dtype} {x.shape}>"
    return f"<Tensor shape={x.shape}, dtype={x.dtype}, value={x.numpy()}>"


def install(module: ModuleType) -> None:
    """Gives the core's tensor class these operators, in terms of `module`.

    That is `oxiconv.ops`. It is handed in rather than imported because it builds on classes that have operators.
    """
    globals()["ops"] = module
    for source in (Operators, Values):
        for name, method in vars(source).items():
            if callable(method) or name == "__array_priority__":
                setattr(Tensor, name, method)
    setattr(Tensor, "__repr__", _repr)  # noqa: B010
    for name in ("numpy", "__array__"):
        if not hasattr(getattr(Tensor, name), "__wrapped__"):
            setattr(Tensor, name, _explained(name.strip("_"), getattr(Tensor, name)))
