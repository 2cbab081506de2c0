"""Trigonometric and hyperbolic functions and their inverses, as compositions of those of the core."""

from __future__ import annotations

import math
from typing import Any

from oxiconv import _core
from oxiconv.ops.promotion import real, reals, widened
from oxiconv.symbolic import op
from oxiconv.tensor import Tensor, TensorLike

_LN2, _LN10 = math.log(2.0), math.log(10.0)


def _real(name: str, x: Any) -> Tensor:
    return _core.unary(name, real(x))


def _sub(a: Any, b: Any) -> Tensor:
    return _core.binary("sub", a, b)


def _add(a: Any, b: Any) -> Tensor:
    return _core.binary("add", a, b)


def _mul(a: Any, b: Any) -> Tensor:
    return _core.binary("mul", a, b)


def _div(a: Any, b: Any) -> Tensor:
    return _core.binary("div", a, b)


def sides(x: Tensor) -> tuple[Tensor, Tensor]:
    """-1 or 1 and the magnitude, for odd functions: at 0 the magnitude has a gradient, which `abs` has not."""
    side = _core.select(_core.binary("lt", x, 0.0), -1.0, 1.0)
    side = side if side.dtype == x.dtype else _core.cast(side, x.dtype)
    return side, _mul(x, side)


@op
def sin(x: TensorLike) -> Tensor:
    """Sine.

    >>> float(sin(0.0))
    0.0
    """
    return _real("sin", x)


@op
def cos(x: TensorLike) -> Tensor:
    """Cosine.

    >>> float(cos(0.0))
    1.0
    """
    return _real("cos", x)


@op
def tan(x: TensorLike) -> Tensor:
    """Tangent.

    >>> float(tan(0.0))
    0.0
    """
    return _real("tan", x)


@op
def arctan(x: TensorLike) -> Tensor:
    """Inverse tangent.

    >>> float(arctan(0.0))
    0.0
    """
    return _core.binary("atan2", real(x), 1.0)


@op
def arctan2(x1: TensorLike, x2: TensorLike) -> Tensor:
    """The angle of the point `(x2, x1)`.

    >>> float(arctan2(0.0, 1.0))
    0.0
    """
    return _core.binary("atan2", *reals(x1, x2))


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
def tanh(x: TensorLike) -> Tensor:
    """Hyperbolic tangent.

    >>> float(tanh(0.0))
    0.0
    """
    return _real("tanh", x)


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
    side, size = sides(x)
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
    side, size = sides(real(x))
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
    side, size = sides(real(x))
    return _mul(side, _mul(_core.unary("log1p", _div(_mul(size, 2.0), _sub(1.0, size))), 0.5))


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
