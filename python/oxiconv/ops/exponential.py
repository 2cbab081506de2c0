"""Exponentials, logarithms and roots."""

from __future__ import annotations

import math
from typing import Any

from oxiconv import _core
from oxiconv.dtype import is_float
from oxiconv.ops.promotion import real, reals, widened
from oxiconv.ops.trigonometry import sides
from oxiconv.symbolic import op
from oxiconv.tensor import DTypeError, Tensor, TensorLike, convert

_LN2, _LN10 = math.log(2.0), math.log(10.0)


def _real(name: str, x: Any) -> Tensor:
    return _core.unary(name, real(x))


@op
def sqrt(x: TensorLike) -> Tensor:
    """Square root, in float32.

    >>> float(sqrt(9.0))
    3.0
    """
    return _real("sqrt", x)


@op
def rsqrt(x: TensorLike) -> Tensor:
    """`1 / sqrt(x)`.

    >>> float(rsqrt(4.0))
    0.5
    """
    return _real("rsqrt", x)


@op
@widened
def cbrt(x: TensorLike) -> Tensor:
    """Cube root, of negative numbers too.

    >>> cbrt([27.0, -8.0]).numpy().tolist()
    [3.0, -2.0]
    """
    side, size = sides(real(x))
    plain = _core.binary("and", _core.binary("gt", size, 0.0), _core.binary("lt", size, math.inf))
    base = _core.select(plain, size, 1.0)
    root = _core.binary("pow", base, 1.0 / 3.0)
    # The exponent is rounded: a Newton step removes what that costs.
    square = _core.binary("mul", root, root)
    beyond = _core.binary("sub", _core.binary("mul", square, root), base)
    root = _core.binary("sub", root, _core.binary("div", beyond, _core.binary("mul", square, 3.0)))
    return _core.binary("mul", side, _core.select(plain, root, size))


@op
def exp(x: TensorLike) -> Tensor:
    """`e ** x`.

    >>> float(exp(0.0))
    1.0
    """
    return _real("exp", x)


@op
@widened
def exp2(x: TensorLike) -> Tensor:
    """`2 ** x`.

    >>> exp2([0.0, 3.0, -1.0]).numpy().tolist()
    [1.0, 8.0, 0.5]
    """
    return _core.binary("pow", 2.0, real(x))


@op
def expm1(x: TensorLike) -> Tensor:
    """`exp(x) - 1`, accurate near 0.

    >>> float(expm1(0.0))
    0.0
    """
    return _real("expm1", x)


@op
def log(x: TensorLike) -> Tensor:
    """Natural logarithm.

    >>> float(log(1.0))
    0.0
    """
    return _real("log", x)


@op
def log1p(x: TensorLike) -> Tensor:
    """`log(1 + x)`, accurate near 0.

    >>> float(log1p(0.0))
    0.0
    """
    return _real("log1p", x)


@op
def log2(x: TensorLike) -> Tensor:
    """Logarithm to base 2.

    >>> float(log2(8.0))
    3.0
    """
    return _core.binary("div", _real("log", x), _LN2)


@op
def log10(x: TensorLike) -> Tensor:
    """Logarithm to base 10.

    >>> float(log10(1.0))
    0.0
    """
    return _core.binary("div", _real("log", x), _LN10)


@op
@widened
def logaddexp(x1: TensorLike, x2: TensorLike) -> Tensor:
    """`log(exp(x1) + exp(x2))` without overflow.

    >>> round(float(logaddexp(0.0, 0.0)), 4)
    0.6931
    """
    a, b = reals(x1, x2)
    # Choices, not a maximum and an absolute value: at a tie each argument has the gradient 1/2.
    above = _core.binary("gt", a, b)
    gap = _core.select(above, _core.binary("sub", b, a), _core.binary("sub", a, b))
    return _core.binary("add", _core.select(above, a, b), _core.unary("log1p", _core.unary("exp", gap)))


@op
@widened
def logaddexp2(x1: TensorLike, x2: TensorLike) -> Tensor:
    """`log2(2 ** x1 + 2 ** x2)` without overflow.

    >>> float(logaddexp2(3.0, 3.0))
    4.0
    """
    a, b = reals(x1, x2)
    above = _core.binary("gt", a, b)
    gap = _core.select(above, _core.binary("sub", b, a), _core.binary("sub", a, b))
    gap = _core.select(_core.binary("eq", a, b), 0.0, gap)  # of equal infinities, whose difference is NaN
    tail = _core.binary("div", _core.unary("log1p", _core.unary("exp", _core.binary("mul", gap, _LN2))), _LN2)
    return _core.binary("add", _core.select(above, a, b), tail)


@op
@widened
def ldexp(x1: TensorLike, x2: TensorLike) -> Tensor:
    """`x1 * 2 ** x2`, with whole `x2`.

    >>> ldexp([0.5, 3.0], [1, 2]).numpy().tolist()
    [1.0, 12.0]
    """
    exponent = convert(x2)
    if is_float(exponent.dtype):
        raise DTypeError(f"ldexp: expected whole exponents, got {exponent.dtype}")
    # In two halves, since a power may overflow where the result does not.
    half = _core.binary("floordiv", exponent, 2)
    x = real(x1)
    for part in (half, _core.binary("sub", exponent, half)):
        x = _core.binary("mul", x, _core.binary("pow", 2.0, _core.cast(part, x.dtype)))
    return x
