"""Special functions."""

from __future__ import annotations

import math
from typing import Any

from oxiconv import _core
from oxiconv.ops.promotion import real, widened
from oxiconv.symbolic import op
from oxiconv.tensor import Tensor, TensorLike

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


# The Chebyshev fit of ln(erfc(x) e^(x²) / t), t = 1 / (1 + x/2), of relative error 1.2e-7 (Press et al., "Numerical
# Recipes", section on incomplete gamma functions), highest power of t first.
_ERFC = (
    0.17087277,
    -0.82215223,
    1.48851587,
    -1.13520398,
    0.27886807,
    -0.18628806,
    0.09678418,
    0.37409196,
    1.00002368,
    -1.26551223,
)


# Abramowitz and Stegun 9.8.1 in (x / 3.75)², and 9.8.2 in 3.75 / x; relative errors below 2e-7.
_I0_NEAR = (0.0045813, 0.0360768, 0.2659732, 1.2067492, 3.0899424, 3.5156229, 1.0)


_I0_FAR = (
    0.00392377,
    -0.01647633,
    0.02635537,
    -0.02057706,
    0.00916281,
    -0.00157565,
    0.00225319,
    0.01328592,
    0.39894228,
)


def _polynomial(coefficients: tuple[float, ...], t: Tensor) -> Tensor:
    first, second, *rest = coefficients
    p = _core.binary("add", _core.binary("mul", t, first), second)
    for c in rest:
        p = _core.binary("add", _core.binary("mul", p, t), c)
    return p


def _exp(x: Any) -> Tensor:
    return _core.unary("exp", x)


@op
def erf(x: TensorLike) -> Tensor:
    """Error function.

    >>> float(erf(0.0))
    0.0
    """
    return _core.unary("erf", real(x))


@op
@widened
def erfinv(x: TensorLike) -> Tensor:
    """Inverse of the error function, within about 3 ULP; infinite at -1 and 1.

    >>> float(erfinv(0.0))
    0.0
    """
    x = real(x)
    w = _core.unary(
        "neg", _core.unary("log", _core.binary("mul", _core.binary("sub", 1.0, x), _core.binary("add", 1.0, x)))
    )
    centre = _polynomial(_ERFINV_CENTRE, _core.binary("sub", w, 2.5))
    tail = _polynomial(_ERFINV_TAIL, _core.binary("sub", _core.unary("sqrt", _core.binary("max", w, 5.0)), 3.0))
    inside = _core.binary("mul", _core.select(_core.binary("lt", w, 5.0), centre, tail), x)
    size = _core.unary("abs", x)
    # At 1 and beyond, constants: no gradient.
    edge = _core.detach(_core.binary("mul", x, _core.select(_core.binary("gt", size, 1.0), math.nan, math.inf)))
    return _core.select(_core.binary("ge", size, 1.0), edge, inside)


@op
@widened
def erfc(x: TensorLike) -> Tensor:
    """`1 - erf(x)`, accurate where that is small.

    >>> float(erfc(0.0))
    1.0
    """
    x = real(x)
    size = _core.unary("abs", _core.detach(x))
    t = _core.binary("div", 1.0, _core.binary("add", _core.binary("mul", size, 0.5), 1.0))
    # exp(-x²) of a rounded square would be off by x² ulp: the square of x cut to sixteenths is exact.
    size = _core.binary("min", size, 12.0)
    cut = _core.binary("mul", _core.unary("floor", _core.binary("mul", size, 16.0)), 0.0625)
    rest = _core.binary("mul", _core.binary("sub", cut, size), _core.binary("add", cut, size))
    tail = _core.binary("mul", _exp(_core.unary("neg", _core.binary("mul", cut, cut))), _exp(rest))
    tail = _core.binary("mul", _core.binary("mul", t, tail), _exp(_polynomial(_ERFC, t)))
    value = _core.select(_core.binary("lt", x, 0.0), _core.binary("sub", 2.0, tail), tail)
    value = _core.detach(_core.select(_core.binary("eq", x, 0.0), 1.0, value))
    # The gradient is that of -erf; what it is taken from is 0.
    slope = _core.unary("erf", x)
    zero = _core.binary("sub", slope, _core.detach(slope))
    return _core.binary("sub", value, zero)


@op
@widened
def i0(x: TensorLike) -> Tensor:
    """The modified Bessel function of order 0.

    >>> float(i0(0.0))
    1.0
    """
    size = _core.unary("abs", real(x))
    near = _core.binary("mul", _core.binary("min", size, 3.75), 1.0 / 3.75)
    small = _polynomial(_I0_NEAR, _core.binary("mul", near, near))
    far = _core.binary("max", size, 3.75)
    large = _polynomial(_I0_FAR, _core.binary("div", 3.75, far))
    half = _exp(_core.binary("mul", far, 0.5))  # twice: exp(x) overflows before i0(x)
    large = _core.binary("mul", _core.binary("mul", _core.binary("div", large, _core.unary("sqrt", far)), half), half)
    return _core.select(_core.binary("lt", size, 3.75), small, large)
