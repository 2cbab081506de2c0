"""Arithmetic: NumPy broadcasting, and Keras's promotion of element types."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, TypeAlias

from oxiconv import _core
from oxiconv.dtype import is_float, result_type
from oxiconv.ops.promotion import real, reals, widened
from oxiconv.symbolic import op
from oxiconv.tensor import IndexValueError, Tensor, TensorLike, convert

if TYPE_CHECKING:
    from oxiconv._core import DTypeName


Number: TypeAlias = "float | int | bool"


def operands(a: Any, b: Any) -> tuple[Tensor | Number, Tensor | Number]:
    """Both as tensors, except that one may stay a Python number, which takes the other's element type."""
    if isinstance(a, (bool, int, float)):
        tensor = convert(b)
        scalar, tensor = _adapt(a, tensor)
        return scalar, tensor
    if isinstance(b, (bool, int, float)):
        scalar, tensor = _adapt(b, convert(a))
        return tensor, scalar
    return convert(a), convert(b)


def _adapt(scalar: Number, tensor: Tensor) -> tuple[Number, Tensor]:
    if is_float(tensor.dtype):
        return float(scalar), tensor
    if isinstance(scalar, float):
        return float(scalar), _core.cast(tensor, "float32")
    if isinstance(scalar, bool):
        return scalar, tensor
    if tensor.dtype == "bool":
        tensor = _core.cast(tensor, "int32")
    low, high = {"uint8": (0, 255), "int8": (-128, 127), "int64": (-(2**53), 2**53)}.get(
        tensor.dtype, (-(2**31), 2**31 - 1)
    )
    if not low <= scalar <= high:
        raise IndexValueError(f"expected a number that {tensor.dtype} holds, got {scalar}; cast the tensor first")
    return int(scalar), tensor


def _binary(name: str, a: Any, b: Any) -> Tensor:
    return _core.binary(name, *operands(a, b))


def _arithmetic(name: str, a: Any, b: Any) -> Tensor:
    a, b = operands(a, b)
    if all(v.dtype == "bool" if isinstance(v, Tensor) else isinstance(v, bool) for v in (a, b)):
        a, b = (_core.cast(v, "int32") if isinstance(v, Tensor) else int(v) for v in (a, b))
    return _core.binary(name, a, b)


@op
def add(x1: TensorLike, x2: TensorLike) -> Tensor:
    """`x1 + x2`.

    >>> add([1, 2], [10, 20]).numpy().tolist()
    [11, 22]
    """
    return _arithmetic("add", x1, x2)


@op
def subtract(x1: TensorLike, x2: TensorLike) -> Tensor:
    """`x1 - x2`.

    >>> subtract([5, 7], 2).numpy().tolist()
    [3, 5]
    """
    return _arithmetic("sub", x1, x2)


@op
def multiply(x1: TensorLike, x2: TensorLike) -> Tensor:
    """`x1 * x2`.

    >>> multiply([1, 2], 3).numpy().tolist()
    [3, 6]
    """
    return _arithmetic("mul", x1, x2)


@op
def true_divide(x1: TensorLike, x2: TensorLike) -> Tensor:
    """`x1 / x2` in float32.

    >>> true_divide([1, 3], 2).numpy().tolist()
    [0.5, 1.5]
    """
    return _arithmetic("div", x1, x2)


divide = true_divide


@op
@widened
def divide_no_nan(x1: TensorLike, x2: TensorLike) -> Tensor:
    """`x1 / x2`, and 0 where `x2` is 0.

    >>> divide_no_nan([1.0, 3.0], [0.0, 2.0]).numpy().tolist()
    [0.0, 1.5]
    """
    a, b = reals(x1, x2)
    zero = _core.binary("eq", b, 0.0)
    # The inner choice keeps infinities out of the gradient.
    return _core.select(zero, 0.0, _core.binary("div", a, _core.select(zero, 1.0, b)))


@op
def floor_divide(x1: TensorLike, x2: TensorLike) -> Tensor:
    """The largest integer not above `x1 / x2`.

    >>> floor_divide([7, -7], 2).numpy().tolist()
    [3, -4]
    """
    return _arithmetic("floordiv", x1, x2)


@op
def mod(x1: TensorLike, x2: TensorLike) -> Tensor:
    """Remainder with the sign of `x2`.

    >>> mod([7, -7], 3).numpy().tolist()
    [1, 2]
    """
    return _arithmetic("mod", x1, x2)


@op
def power(x1: TensorLike, x2: TensorLike) -> Tensor:
    """`x1 ** x2`. A small whole exponent multiplies, so it is exact for integers and differentiable at 0.

    Integers to the power of integers stay integers, and wrap around; to a negative power they are truncated.

    >>> power([1.0, 2.0, 3.0], 2).numpy().tolist(), power([2, 3], [5, 2]).numpy().tolist()
    ([1.0, 4.0, 9.0], [32, 9])
    """
    if isinstance(x2, (int, float)):
        base = convert(x1)
        if x2 == 0.5:
            return _core.unary("sqrt", real(base))
        if x2 == int(x2 if math.isfinite(x2) else 0.5) and 1 <= x2 <= 16:
            return _whole_power(base if isinstance(x2, int) else real(base), int(x2))
    a, b = operands(x1, x2)
    if not any(is_float(v.dtype) if isinstance(v, Tensor) else isinstance(v, float) for v in (a, b)):
        return _integer_power(convert(a), convert(b))
    return _core.binary("pow", a, b)


def _integer_power(base: Tensor, exponent: Tensor) -> Tensor:
    """By the bits of the exponent, each a square of the base further."""
    dtype = result_type(base.dtype, exponent.dtype, int)
    wide: DTypeName = "int64" if dtype == "int64" else "int32"
    base, exponent = _core.cast(base, wide), _core.cast(exponent, wide)
    result = convert(1, wide)
    rest = _core.binary("max", exponent, 0)
    square = base
    for _ in range(63 if wide == "int64" else 31):
        odd = _core.binary("eq", _core.binary("mod", rest, 2), 1)
        result = _core.select(odd, _core.binary("mul", result, square), result)
        rest, square = _core.binary("floordiv", rest, 2), _core.binary("mul", square, square)
    # A negative power of 1 or -1 is that of the magnitude; of others the fraction is cut off.
    parity = _core.select(_core.binary("eq", _core.binary("mod", exponent, 2), 1), base, convert(1, wide))
    unit = _core.binary("eq", _core.unary("abs", base), 1)
    below = _core.select(unit, parity, convert(0, wide))
    result = _core.select(_core.binary("lt", exponent, 0), below, result)
    return result if dtype == wide else _core.cast(result, dtype)


def _whole_power(base: Tensor, exponent: int) -> Tensor:
    if exponent == 1:
        return base
    half = _whole_power(base, exponent // 2)
    squared = _arithmetic("mul", half, half)
    return _arithmetic("mul", squared, base) if exponent % 2 else squared


@op
def maximum(x1: TensorLike, x2: TensorLike) -> Tensor:
    """The larger of each pair; NaN if either is NaN.

    >>> maximum([1, 5], 3).numpy().tolist()
    [3, 5]
    """
    return _binary("max", x1, x2)


@op
def minimum(x1: TensorLike, x2: TensorLike) -> Tensor:
    """The smaller of each pair; NaN if either is NaN.

    >>> minimum([1, 5], 3).numpy().tolist()
    [1, 3]
    """
    return _binary("min", x1, x2)


@op
def clip(x: TensorLike, x_min: TensorLike, x_max: TensorLike) -> Tensor:
    """`x` limited to `[x_min, x_max]`.

    >>> clip([-2.0, 0.5, 9.0], 0.0, 1.0).numpy().tolist()
    [0.0, 0.5, 1.0]
    """
    return _binary("min", _binary("max", x, x_min), x_max)


@op
def negative(x: TensorLike) -> Tensor:
    """`-x`.

    >>> negative([1, -2]).numpy().tolist()
    [-1, 2]
    """
    return _core.unary("neg", _signed(x))


@op
def absolute(x: TensorLike) -> Tensor:
    """`|x|`.

    >>> absolute([-2, 3]).numpy().tolist()
    [2, 3]
    """
    x = convert(x)
    return x if x.dtype in ("bool", "uint8") else _core.unary("abs", x)


abs = absolute


@op
def sign(x: TensorLike) -> Tensor:
    """-1, 0 or 1; NaN stays NaN.

    >>> sign([-2.0, 0.0, 3.0]).numpy().tolist()
    [-1.0, 0.0, 1.0]
    """
    x = convert(x)
    if x.dtype == "uint8":
        return _core.binary("min", x, 1)
    return _core.unary("sign", _signed(x))


def _signed(x: Any) -> Tensor:
    x = convert(x)
    return _core.cast(x, "int32") if x.dtype in ("bool", "uint8") else x


@op
def square(x: TensorLike) -> Tensor:
    """`x * x`.

    >>> square([2, 3]).numpy().tolist()
    [4, 9]
    """
    x = convert(x)
    return _arithmetic("mul", x, x)


@op
def reciprocal(x: TensorLike) -> Tensor:
    """`1 / x`.

    >>> float(reciprocal(4.0))
    0.25
    """
    return _core.binary("div", 1.0, real(x))
