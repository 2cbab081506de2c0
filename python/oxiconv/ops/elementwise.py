"""Elementwise functions: NumPy broadcasting, and promotion bool < uint8 < int32 < float32."""

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
_LN2, _LN10 = math.log(2.0), math.log(10.0)


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
    low, high = {"uint8": (0, 255), "int64": (-(2**53), 2**53)}.get(tensor.dtype, (-(2**31), 2**31 - 1))
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


def _real(name: str, x: Any) -> Tensor:
    return _core.unary(name, real(x))


@op
def add(x1: TensorLike, x2: TensorLike) -> Tensor:
    """`x1 + x2`."""
    return _arithmetic("add", x1, x2)


@op
def subtract(x1: TensorLike, x2: TensorLike) -> Tensor:
    """`x1 - x2`."""
    return _arithmetic("sub", x1, x2)


@op
def multiply(x1: TensorLike, x2: TensorLike) -> Tensor:
    """`x1 * x2`."""
    return _arithmetic("mul", x1, x2)


@op
def true_divide(x1: TensorLike, x2: TensorLike) -> Tensor:
    """`x1 / x2` in float32."""
    return _arithmetic("div", x1, x2)


divide = true_divide


@op
@widened
def divide_no_nan(x1: TensorLike, x2: TensorLike) -> Tensor:
    """`x1 / x2`, and 0 where `x2` is 0."""
    a, b = reals(x1, x2)
    zero = _core.binary("eq", b, 0.0)
    # The inner choice keeps infinities out of the gradient.
    return _core.select(zero, 0.0, _core.binary("div", a, _core.select(zero, 1.0, b)))


@op
def floor_divide(x1: TensorLike, x2: TensorLike) -> Tensor:
    """The largest integer not above `x1 / x2`."""
    return _arithmetic("floordiv", x1, x2)


@op
def mod(x1: TensorLike, x2: TensorLike) -> Tensor:
    """Remainder with the sign of `x2`."""
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
            return sqrt(base)
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
    """The larger of each pair; NaN if either is NaN."""
    return _binary("max", x1, x2)


@op
def minimum(x1: TensorLike, x2: TensorLike) -> Tensor:
    """The smaller of each pair; NaN if either is NaN."""
    return _binary("min", x1, x2)


@op
def clip(x: TensorLike, x_min: TensorLike, x_max: TensorLike) -> Tensor:
    """`x` limited to `[x_min, x_max]`.

    >>> clip([-2.0, 0.5, 9.0], 0.0, 1.0).numpy().tolist()
    [0.0, 0.5, 1.0]
    """
    return _binary("min", _binary("max", x, x_min), x_max)


@op
def arctan2(x1: TensorLike, x2: TensorLike) -> Tensor:
    """The angle of the point `(x2, x1)`."""
    return _core.binary("atan2", *reals(x1, x2))


@op
def negative(x: TensorLike) -> Tensor:
    """`-x`."""
    return _core.unary("neg", _signed(x))


@op
def absolute(x: TensorLike) -> Tensor:
    """`|x|`."""
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
    """`x * x`."""
    x = convert(x)
    return _arithmetic("mul", x, x)


@op
def reciprocal(x: TensorLike) -> Tensor:
    """`1 / x`."""
    return _core.binary("div", 1.0, real(x))


@op
def sqrt(x: TensorLike) -> Tensor:
    """Square root, in float32."""
    return _real("sqrt", x)


@op
def rsqrt(x: TensorLike) -> Tensor:
    """`1 / sqrt(x)`."""
    return _real("rsqrt", x)


@op
def exp(x: TensorLike) -> Tensor:
    """`e ** x`."""
    return _real("exp", x)


@op
def expm1(x: TensorLike) -> Tensor:
    """`exp(x) - 1`, accurate near 0."""
    return _real("expm1", x)


@op
def log(x: TensorLike) -> Tensor:
    """Natural logarithm."""
    return _real("log", x)


@op
def log1p(x: TensorLike) -> Tensor:
    """`log(1 + x)`, accurate near 0."""
    return _real("log1p", x)


@op
def log2(x: TensorLike) -> Tensor:
    """Logarithm to base 2."""
    return _core.binary("div", _real("log", x), _LN2)


@op
def log10(x: TensorLike) -> Tensor:
    """Logarithm to base 10."""
    return _core.binary("div", _real("log", x), _LN10)


@op
@widened
def logaddexp(x1: TensorLike, x2: TensorLike) -> Tensor:
    """`log(exp(x1) + exp(x2))` without overflow."""
    a, b = reals(x1, x2)
    # Choices, not a maximum and an absolute value: at a tie each argument has the gradient 1/2.
    above = _core.binary("gt", a, b)
    gap = _core.select(above, _core.binary("sub", b, a), _core.binary("sub", a, b))
    return _core.binary("add", _core.select(above, a, b), _core.unary("log1p", _core.unary("exp", gap)))


@op
def sin(x: TensorLike) -> Tensor:
    """Sine."""
    return _real("sin", x)


@op
def cos(x: TensorLike) -> Tensor:
    """Cosine."""
    return _real("cos", x)


@op
def tan(x: TensorLike) -> Tensor:
    """Tangent."""
    return _real("tan", x)


@op
def tanh(x: TensorLike) -> Tensor:
    """Hyperbolic tangent."""
    return _real("tanh", x)


@op
def arctan(x: TensorLike) -> Tensor:
    """Inverse tangent."""
    return _core.binary("atan2", real(x), 1.0)


@op
def erf(x: TensorLike) -> Tensor:
    """Error function."""
    return _real("erf", x)


# Polynomials of Giles, "Approximating the erfinv function" (2010), for single precision: centre and tail.
_ERFINV_CENTRE = (
    2.81022636e-08,
    3.43273939e-07,
    -3.5233877e-06,
    -4.39150654e-06,
    0.00021858087,
    -0.00125372503,
    -0.00417768164,
    0.246640727,
    1.50140941,
)
_ERFINV_TAIL = (
    -0.000200214257,
    0.000100950558,
    0.00134934322,
    -0.00367342844,
    0.00573950773,
    -0.0076224613,
    0.00943887047,
    1.00167406,
    2.83297682,
)


@op
@widened
def erfinv(x: TensorLike) -> Tensor:
    """Inverse of the error function, within about 3 ULP; infinite at -1 and 1."""
    x = real(x)
    w = _core.unary(
        "neg", _core.unary("log", _core.binary("mul", _core.binary("sub", 1.0, x), _core.binary("add", 1.0, x)))
    )
    centre = _horner(_ERFINV_CENTRE, _core.binary("sub", w, 2.5))
    tail = _horner(_ERFINV_TAIL, _core.binary("sub", _core.unary("sqrt", _core.binary("max", w, 5.0)), 3.0))
    inside = _core.binary("mul", _core.select(_core.binary("lt", w, 5.0), centre, tail), x)
    size = _core.unary("abs", x)
    # At 1 and beyond, constants: no gradient.
    edge = _core.detach(_core.binary("mul", x, _core.select(_core.binary("gt", size, 1.0), math.nan, math.inf)))
    return _core.select(_core.binary("ge", size, 1.0), edge, inside)


def _horner(coefficients: tuple[float, ...], w: Tensor) -> Tensor:
    first, second, *rest = coefficients
    p = _core.binary("add", _core.binary("mul", w, first), second)
    for c in rest:
        p = _core.binary("add", _core.binary("mul", p, w), c)
    return p


def _whole(name: str, x: Any) -> Tensor:
    x = convert(x)
    return _core.unary(name, x) if is_float(x.dtype) else _core.cast(x, "float32")


@op
def floor(x: TensorLike) -> Tensor:
    """The largest whole number not above `x`."""
    return _whole("floor", x)


@op
def ceil(x: TensorLike) -> Tensor:
    """The smallest whole number not below `x`."""
    return _whole("ceil", x)


@op
def round(x: TensorLike, decimals: int = 0) -> Tensor:
    """To the nearest multiple of `10 ** -decimals`, ties to even."""
    x = convert(x)
    if not is_float(x.dtype) and decimals >= 0:
        return x
    if decimals == 0:
        return _core.unary("round", x)
    scale = 10.0**decimals
    return _core.binary("div", _core.unary("round", _core.binary("mul", real(x), scale)), scale)


@op
def equal(x1: TensorLike, x2: TensorLike) -> Tensor:
    """`x1 == x2`."""
    return _binary("eq", x1, x2)


@op
def not_equal(x1: TensorLike, x2: TensorLike) -> Tensor:
    """`x1 != x2`."""
    return _binary("ne", x1, x2)


@op
def less(x1: TensorLike, x2: TensorLike) -> Tensor:
    """`x1 < x2`."""
    return _binary("lt", x1, x2)


@op
def less_equal(x1: TensorLike, x2: TensorLike) -> Tensor:
    """`x1 <= x2`."""
    return _binary("le", x1, x2)


@op
def greater(x1: TensorLike, x2: TensorLike) -> Tensor:
    """`x1 > x2`."""
    return _binary("gt", x1, x2)


@op
def greater_equal(x1: TensorLike, x2: TensorLike) -> Tensor:
    """`x1 >= x2`."""
    return _binary("ge", x1, x2)


@op
def logical_and(x1: TensorLike, x2: TensorLike) -> Tensor:
    """Whether both are non-zero."""
    return _core.binary("and", convert(x1, "bool"), convert(x2, "bool"))


@op
def logical_or(x1: TensorLike, x2: TensorLike) -> Tensor:
    """Whether either is non-zero."""
    return _core.binary("or", convert(x1, "bool"), convert(x2, "bool"))


@op
def logical_xor(x1: TensorLike, x2: TensorLike) -> Tensor:
    """Whether exactly one is non-zero."""
    return _core.binary("ne", convert(x1, "bool"), convert(x2, "bool"))


@op
def logical_not(x: TensorLike) -> Tensor:
    """Whether it is zero."""
    return _core.unary("not", convert(x, "bool"))


@op
def isnan(x: TensorLike) -> Tensor:
    """Whether it is not a number."""
    return _real("isnan", x)


@op
def isinf(x: TensorLike) -> Tensor:
    """Whether it is infinite."""
    return _core.binary("eq", _real("abs", x), math.inf)


@op
def isfinite(x: TensorLike) -> Tensor:
    """Whether it is neither infinite nor NaN."""
    return _core.binary("lt", _real("abs", x), math.inf)


@op
def nan_to_num(x: TensorLike, nan: float = 0.0, posinf: float | None = None, neginf: float | None = None) -> Tensor:
    """NaN replaced by `nan`, infinities by `posinf` and `neginf` (default: the largest finite numbers)."""
    x = convert(x)
    if not is_float(x.dtype):
        return x
    largest = 3.4028234663852886e38
    x = _core.select(_core.unary("isnan", x), float(nan), x)
    x = _core.select(_core.binary("eq", x, math.inf), largest if posinf is None else float(posinf), x)
    return _core.select(_core.binary("eq", x, -math.inf), -largest if neginf is None else float(neginf), x)


@op
def isclose(x1: TensorLike, x2: TensorLike, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False) -> Tensor:
    """Whether `|x1 - x2| <= atol + rtol * |x2|`."""
    a, b = reals(x1, x2)
    gap = _core.unary("abs", _core.binary("sub", a, b))
    bound = _core.binary("add", _core.binary("mul", _core.unary("abs", b), rtol), atol)
    finite = _core.binary("lt", _core.unary("abs", b), math.inf)
    close = _core.binary("or", _core.binary("and", _core.binary("le", gap, bound), finite), _core.binary("eq", a, b))
    if equal_nan:
        close = _core.binary("or", close, _core.binary("and", _core.unary("isnan", a), _core.unary("isnan", b)))
    return close


@op
def where(condition: TensorLike, x1: TensorLike | None = None, x2: TensorLike | None = None) -> Tensor:
    """`x1` where `condition` is non-zero, else `x2`. Without these, the positions of what is not zero: see `nonzero`.

    >>> where([True, False], [1.0, 2.0], 0.0).numpy().tolist()
    [1.0, 0.0]
    """
    if x1 is None and x2 is None:
        from oxiconv.ops.indexing import nonzero

        return nonzero(condition)  # type: ignore[return-value]  # positions are asked for by name elsewhere
    if x1 is None or x2 is None:
        raise ValueError("where: expected both x1 and x2, or neither")
    a, b = operands(x1, x2)
    return _core.select(convert(condition, "bool"), a, b)
