"""Elementary functions that compose those of the core, with their accuracy: hyperbolic, inverse, roots, angles."""

from __future__ import annotations

import math
from typing import Any

from oxiconv import _core
from oxiconv.dtype import is_float
from oxiconv.ops.promotion import real, reals, widened
from oxiconv.symbolic import op
from oxiconv.tensor import DTypeError, Tensor, TensorLike, convert

_LN2 = math.log(2.0)


def _add(a: Any, b: Any) -> Tensor:
    return _core.binary("add", a, b)


def _sub(a: Any, b: Any) -> Tensor:
    return _core.binary("sub", a, b)


def _mul(a: Any, b: Any) -> Tensor:
    return _core.binary("mul", a, b)


def _div(a: Any, b: Any) -> Tensor:
    return _core.binary("div", a, b)


def _sides(x: Tensor) -> tuple[Tensor, Tensor]:
    """-1 or 1 and the magnitude, for odd functions: at 0 the magnitude has a gradient, which `abs` has not."""
    side = _core.select(_core.binary("lt", x, 0.0), -1.0, 1.0)
    side = side if side.dtype == x.dtype else _core.cast(side, x.dtype)
    return side, _mul(x, side)


@op
@widened
def exp2(x: TensorLike) -> Tensor:
    """`2 ** x`.

    >>> exp2([0.0, 3.0, -1.0]).numpy().tolist()
    [1.0, 8.0, 0.5]
    """
    return _core.binary("pow", 2.0, real(x))


@op
@widened
def cbrt(x: TensorLike) -> Tensor:
    """Cube root, of negative numbers too.

    >>> cbrt([27.0, -8.0]).numpy().tolist()
    [3.0, -2.0]
    """
    side, size = _sides(real(x))
    plain = _core.binary("and", _core.binary("gt", size, 0.0), _core.binary("lt", size, math.inf))
    base = _core.select(plain, size, 1.0)
    root = _core.binary("pow", base, 1.0 / 3.0)
    # The exponent is rounded: a Newton step removes what that costs.
    square = _mul(root, root)
    root = _sub(root, _div(_sub(_mul(square, root), base), _mul(square, 3.0)))
    return _mul(side, _core.select(plain, root, size))


@op
@widened
def sinh(x: TensorLike) -> Tensor:
    """Hyperbolic sine.

    >>> float(sinh(1.0)) - 1.1752012 < 1e-6
    True
    """
    x = real(x)
    near = _core.binary("min", _core.binary("max", x, -20.0), 20.0)
    small = _mul(_sub(_core.unary("expm1", near), _core.unary("expm1", _core.unary("neg", near))), 0.5)
    side, size = _sides(x)
    # Half the exponent twice: exp(x) overflows before sinh(x).
    half = _core.unary("exp", _mul(size, 0.5))
    large = _mul(side, _mul(_mul(half, 0.5), half))
    return _core.select(_core.binary("lt", size, 20.0), small, large)


@op
@widened
def cosh(x: TensorLike) -> Tensor:
    """Hyperbolic cosine.

    >>> float(cosh(0.0))
    1.0
    """
    half = _mul(real(x), 0.5)
    up, down = _core.unary("exp", half), _core.unary("exp", _core.unary("neg", half))
    return _add(_mul(_mul(up, 0.5), up), _mul(_mul(down, 0.5), down))


@op
@widened
def arcsinh(x: TensorLike) -> Tensor:
    """Inverse hyperbolic sine.

    >>> float(arcsinh(0.0))
    0.0
    """
    side, size = _sides(real(x))
    large = _core.binary("gt", size, 1e9)  # beyond, the square is all there is, and overflows later
    near = _core.select(large, 1.0, size)
    square = _mul(near, near)
    small = _core.unary("log1p", _add(near, _div(square, _add(_core.unary("sqrt", _add(square, 1.0)), 1.0))))
    far = _add(_core.unary("log", _core.select(large, size, 1.0)), _LN2)
    far = _core.select(_core.unary("isnan", size), size, far)
    return _mul(side, _core.select(_core.binary("le", size, 1e9), small, far))


@op
@widened
def arccosh(x: TensorLike) -> Tensor:
    """Inverse hyperbolic cosine; NaN below 1.

    >>> float(arccosh(1.0))
    0.0
    """
    x = real(x)
    large = _core.binary("gt", x, 1e9)
    above = _sub(_core.select(large, 2.0, x), 1.0)
    near = _core.unary("log1p", _add(above, _core.unary("sqrt", _mul(above, _add(above, 2.0)))))
    return _core.select(large, _add(_core.unary("log", _core.select(large, x, 1.0)), _LN2), near)


@op
@widened
def arctanh(x: TensorLike) -> Tensor:
    """Inverse hyperbolic tangent; infinite at -1 and 1, NaN beyond.

    >>> float(arctanh(1.0))
    inf
    """
    side, size = _sides(real(x))
    return _mul(side, _mul(_core.unary("log1p", _div(_mul(size, 2.0), _sub(1.0, size))), 0.5))


def _cosine_of(x: Tensor) -> Tensor:
    """`sqrt(1 - x²)` without cancellation."""
    return _core.unary("sqrt", _mul(_sub(1.0, x), _add(x, 1.0)))


@op
@widened
def arcsin(x: TensorLike) -> Tensor:
    """Inverse sine; NaN beyond [-1, 1].

    >>> float(arcsin(0.0))
    0.0
    """
    x = real(x)
    return _core.binary("atan2", x, _cosine_of(x))


@op
@widened
def arccos(x: TensorLike) -> Tensor:
    """Inverse cosine; NaN beyond [-1, 1].

    >>> float(arccos(1.0))
    0.0
    """
    x = real(x)
    return _core.binary("atan2", _cosine_of(x), x)


@op
@widened
def sinc(x: TensorLike) -> Tensor:
    """`sin(πx) / (πx)`, 1 at 0.

    >>> float(sinc(0.0))
    1.0
    """
    x = real(x)
    zero = _core.binary("eq", x, 0.0)
    angle = _mul(_core.select(zero, 1.0, x), math.pi)
    return _core.select(zero, 1.0, _div(_core.unary("sin", angle), angle))


@op
@widened
def deg2rad(x: TensorLike) -> Tensor:
    """Degrees as radians.

    >>> round(float(deg2rad(180.0)), 5)
    3.14159
    """
    return _mul(real(x), math.pi / 180.0)


@op
@widened
def rad2deg(x: TensorLike) -> Tensor:
    """Radians as degrees.

    >>> round(float(rad2deg(3.14159265)))
    180
    """
    return _mul(real(x), 180.0 / math.pi)


@op
@widened
def hypot(x1: TensorLike, x2: TensorLike) -> Tensor:
    """`sqrt(x1² + x2²)` without overflow.

    >>> float(hypot(3.0, 4.0))
    5.0
    """
    a, b = reals(x1, x2)
    scale = _core.detach(_core.binary("max", _core.unary("abs", a), _core.unary("abs", b)))
    plain = _core.binary("and", _core.binary("gt", scale, 0.0), _core.binary("lt", scale, math.inf))
    scale = _core.select(plain, scale, 1.0)
    a, b = _div(a, scale), _div(b, scale)
    total = _add(_mul(a, a), _mul(b, b))
    zero = _core.binary("eq", total, 0.0)  # where the root has no gradient
    return _mul(scale, _core.select(zero, 0.0, _core.unary("sqrt", _core.select(zero, 1.0, total))))


@op
@widened
def logaddexp2(x1: TensorLike, x2: TensorLike) -> Tensor:
    """`log2(2 ** x1 + 2 ** x2)` without overflow.

    >>> float(logaddexp2(3.0, 3.0))
    4.0
    """
    a, b = reals(x1, x2)
    above = _core.binary("gt", a, b)
    gap = _core.select(above, _sub(b, a), _sub(a, b))
    gap = _core.select(_core.binary("eq", a, b), 0.0, gap)  # of equal infinities, whose difference is NaN
    tail = _div(_core.unary("log1p", _core.unary("exp", _mul(gap, _LN2))), _LN2)
    return _add(_core.select(above, a, b), tail)


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
    for part in (half, _sub(exponent, half)):
        x = _mul(x, _core.binary("pow", 2.0, _core.cast(part, x.dtype)))
    return x
