"""Rounding, remainders of rounding towards zero, and common divisors."""

from __future__ import annotations

from typing import Any

from oxiconv import _core
from oxiconv.dtype import is_float
from oxiconv.ops.elementwise import multiply, operands
from oxiconv.ops.promotion import as_one, numbers, real, whole_truths
from oxiconv.symbolic import op
from oxiconv.tensor import DTypeError, Tensor, TensorLike, convert


def _whole(name: str, x: Any) -> Tensor:
    x = convert(x)
    return _core.unary(name, x) if is_float(x.dtype) else _core.cast(x, "float32")


@op
def floor(x: TensorLike) -> Tensor:
    """The largest whole number not above `x`.

    >>> floor([1.8, -1.2]).numpy().tolist()
    [1.0, -2.0]
    """
    return _whole("floor", x)


@op
def ceil(x: TensorLike) -> Tensor:
    """The smallest whole number not below `x`.

    >>> ceil([1.2, -1.2]).numpy().tolist()
    [2.0, -1.0]
    """
    return _whole("ceil", x)


@op
def round(x: TensorLike, decimals: int = 0) -> Tensor:
    """To the nearest multiple of `10 ** -decimals`, ties to even.

    >>> round([1.5, 2.5, -0.4]).numpy().tolist()
    [2.0, 2.0, -0.0]
    """
    x = convert(x)
    if not is_float(x.dtype) and decimals >= 0:
        return x
    if decimals == 0:
        return _core.unary("round", x)
    scale = 10.0**decimals
    return _core.binary("div", _core.unary("round", _core.binary("mul", real(x), scale)), scale)


@op
def trunc(x: TensorLike) -> Tensor:
    """Rounded towards 0.

    >>> trunc([-1.7, 1.7]).numpy().tolist()
    [-1.0, 1.0]
    """
    x = convert(x)
    if not is_float(x.dtype):
        return x
    return _core.select(_core.binary("lt", x, 0.0), _core.unary("ceil", x), _core.unary("floor", x))


@op
def fabs(x: TensorLike) -> Tensor:
    """`|x|` as a real number.

    >>> fabs([-2, 3]).numpy().tolist()
    [2.0, 3.0]
    """
    return _core.unary("abs", real(x))


@op
def fmod(x1: TensorLike, x2: TensorLike) -> Tensor:
    """Remainder with the sign of `x1`.

    >>> fmod([-7, 7], 3).numpy().tolist()
    [-1, 1]
    """
    a, b = as_one([convert(v) for v in operands(x1, x2)])
    a, b = whole_truths(a), whole_truths(b)
    if a.dtype == "uint8":
        return _core.binary("mod", a, b)
    size = _core.binary("mod", _core.unary("abs", a), _core.unary("abs", b))
    return _core.select(_core.binary("lt", a, 0), _core.unary("neg", size), size)


def _integers(name: str, *xs: Any) -> list[Tensor]:
    tensors = as_one([convert(x) for x in xs])
    if is_float(tensors[0].dtype) or tensors[0].dtype == "bool":
        raise DTypeError(f"{name}: expected integers, got {[convert(x).dtype for x in xs]}")
    return tensors


@op
def gcd(x1: TensorLike, x2: TensorLike) -> Tensor:
    """The greatest common divisor.

    >>> gcd([12, -9], [18, 6]).numpy().tolist()
    [6, 3]
    """
    a, b = _integers("gcd", x1, x2)
    dtype = a.dtype
    a, b = (_core.unary("abs", numbers(x)) for x in (a, b))
    # Euclid's algorithm takes the most steps for neighbouring Fibonacci numbers: 46 of them are below 2^31.
    for _ in range(46 if dtype != "uint8" else 13):
        done = _core.binary("eq", b, 0)
        rest = _core.binary("mod", a, _core.select(done, convert(1, b.dtype), b))
        a, b = _core.select(done, a, b), _core.select(done, b, rest)
    return a if a.dtype == dtype else _core.cast(a, dtype)


@op
def lcm(x1: TensorLike, x2: TensorLike) -> Tensor:
    """The least common multiple; 0 with 0.

    >>> lcm([4, 0], [6, 5]).numpy().tolist()
    [12, 0]
    """
    a, b = _integers("lcm", x1, x2)
    common = gcd(a, b)
    zero = _core.binary("eq", common, 0)
    share = _core.binary("floordiv", a, _core.select(zero, convert(1, a.dtype), common))
    multiple = multiply(share, b)
    return multiple if a.dtype == "uint8" else _core.unary("abs", multiple)
