"""Questions about elements, and choices by their answers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from oxiconv import _core
from oxiconv.dtype import is_float
from oxiconv.ops import reduction
from oxiconv.ops.elementwise import operands
from oxiconv.ops.promotion import as_one, real, reals
from oxiconv.symbolic import op
from oxiconv.tensor import Tensor, TensorLike, convert


@op
def equal(x1: TensorLike, x2: TensorLike) -> Tensor:
    """`x1 == x2`.

    >>> equal([1, 2], [1, 3]).numpy().tolist()
    [True, False]
    """
    return _core.binary("eq", *operands(x1, x2))


@op
def not_equal(x1: TensorLike, x2: TensorLike) -> Tensor:
    """`x1 != x2`.

    >>> not_equal([1, 2], [1, 3]).numpy().tolist()
    [False, True]
    """
    return _core.binary("ne", *operands(x1, x2))


@op
def less(x1: TensorLike, x2: TensorLike) -> Tensor:
    """`x1 < x2`.

    >>> less([1, 2], 2).numpy().tolist()
    [True, False]
    """
    return _core.binary("lt", *operands(x1, x2))


@op
def less_equal(x1: TensorLike, x2: TensorLike) -> Tensor:
    """`x1 <= x2`.

    >>> less_equal([1, 2], 1).numpy().tolist()
    [True, False]
    """
    return _core.binary("le", *operands(x1, x2))


@op
def greater(x1: TensorLike, x2: TensorLike) -> Tensor:
    """`x1 > x2`.

    >>> greater([1, 2], 1).numpy().tolist()
    [False, True]
    """
    return _core.binary("gt", *operands(x1, x2))


@op
def greater_equal(x1: TensorLike, x2: TensorLike) -> Tensor:
    """`x1 >= x2`.

    >>> greater_equal([1, 2], 2).numpy().tolist()
    [False, True]
    """
    return _core.binary("ge", *operands(x1, x2))


@op
def logical_and(x1: TensorLike, x2: TensorLike) -> Tensor:
    """Whether both are non-zero.

    >>> logical_and([True, True], [True, False]).numpy().tolist()
    [True, False]
    """
    return _core.binary("and", convert(x1, "bool"), convert(x2, "bool"))


@op
def logical_or(x1: TensorLike, x2: TensorLike) -> Tensor:
    """Whether either is non-zero.

    >>> logical_or([True, False], [False, False]).numpy().tolist()
    [True, False]
    """
    return _core.binary("or", convert(x1, "bool"), convert(x2, "bool"))


@op
def logical_xor(x1: TensorLike, x2: TensorLike) -> Tensor:
    """Whether exactly one is non-zero.

    >>> logical_xor([True, True], [True, False]).numpy().tolist()
    [False, True]
    """
    return _core.binary("ne", convert(x1, "bool"), convert(x2, "bool"))


@op
def logical_not(x: TensorLike) -> Tensor:
    """Whether it is zero.

    >>> logical_not([True, False]).numpy().tolist()
    [False, True]
    """
    return _core.unary("not", convert(x, "bool"))


@op
def isnan(x: TensorLike) -> Tensor:
    """Whether it is not a number.

    >>> isnan([1.0, float("nan")]).numpy().tolist()
    [False, True]
    """
    return _core.unary("isnan", real(x))


@op
def isinf(x: TensorLike) -> Tensor:
    """Whether it is infinite.

    >>> isinf([1.0, float("inf")]).numpy().tolist()
    [False, True]
    """
    return _core.binary("eq", _core.unary("abs", real(x)), math.inf)


@op
def isfinite(x: TensorLike) -> Tensor:
    """Whether it is neither infinite nor NaN.

    >>> isfinite([1.0, float("inf")]).numpy().tolist()
    [True, False]
    """
    return _core.binary("lt", _core.unary("abs", real(x)), math.inf)


@op
def isneginf(x: TensorLike) -> Tensor:
    """Whether it is minus infinity.

    >>> isneginf([1.0, -float("inf")]).numpy().tolist()
    [False, True]
    """
    return _core.binary("eq", real(x), -math.inf)


@op
def isposinf(x: TensorLike) -> Tensor:
    """Whether it is plus infinity.

    >>> isposinf([1.0, float("inf")]).numpy().tolist()
    [False, True]
    """
    return _core.binary("eq", real(x), math.inf)


@op
def isclose(x1: TensorLike, x2: TensorLike, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False) -> Tensor:
    """Whether `|x1 - x2| <= atol + rtol * |x2|`.

    >>> isclose([1.0, 2.0], [1.000001, 2.1]).numpy().tolist()
    [True, False]
    """
    a, b = reals(x1, x2)
    gap = _core.unary("abs", _core.binary("sub", a, b))
    bound = _core.binary("add", _core.binary("mul", _core.unary("abs", b), rtol), atol)
    finite = _core.binary("lt", _core.unary("abs", b), math.inf)
    close = _core.binary("or", _core.binary("and", _core.binary("le", gap, bound), finite), _core.binary("eq", a, b))
    if equal_nan:
        close = _core.binary("or", close, _core.binary("and", _core.unary("isnan", a), _core.unary("isnan", b)))
    return close


@op
def allclose(x1: TensorLike, x2: TensorLike, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False) -> Tensor:
    """Whether all elements are as near as `isclose` says.

    >>> bool(allclose([1.0, 2.0], [1.0, 2.000001]))
    True
    """
    return reduction.all(isclose(x1, x2, rtol, atol, equal_nan))


@op
def isin(x1: TensorLike, x2: TensorLike, assume_unique: bool = False, invert: bool = False) -> Tensor:
    """Whether each element of `x1` is one of `x2`'s, or is none with `invert`. `assume_unique` changes nothing.

    >>> isin([1, 2, 3], [3, 1]).numpy().tolist()
    [True, False, True]
    """
    a, b = as_one([convert(x1), convert(x2)])
    column = _core.reshape(a, (*a.shape, 1))
    hit = reduction.any(_core.binary("eq", column, _core.reshape(b, (1,) * a.ndim + (b.size,))), axis=-1)
    return _core.unary("not", hit) if invert else hit


@op
def signbit(x: TensorLike) -> Tensor:
    """Whether the sign is minus, that of a zero too; false for NaN.

    >>> signbit([1.0, -0.0, -2.0]).numpy().tolist()
    [False, True, True]
    """
    x = convert(x)
    if x.dtype in ("bool", "uint8"):
        return _core.binary("ne", x, x)
    below = _core.binary("lt", x, 0)
    if not is_float(x.dtype):
        return below
    minus_zero = _core.binary("lt", _core.binary("div", 1.0, x), 0.0)
    return _core.binary("or", below, _core.binary("and", _core.binary("eq", x, 0.0), minus_zero))


@op
def heaviside(x1: TensorLike, x2: TensorLike) -> Tensor:
    """0 where `x1` is negative, 1 where positive, `x2` where 0, NaN where NaN.

    >>> heaviside([-2.0, 0.0, 3.0], 0.5).numpy().tolist()
    [0.0, 0.5, 1.0]
    """
    a, b = reals(x1, x2)
    step = _core.detach(_core.select(_core.unary("isnan", a), a, _core.cast(_core.binary("gt", a, 0.0), a.dtype)))
    return _core.select(_core.binary("eq", a, 0.0), b, step)


@op
def fmax(x1: TensorLike, x2: TensorLike) -> Tensor:
    """The larger of each pair; of a NaN and a number, the number.

    >>> fmax([1.0, float("nan")], [2.0, 3.0]).numpy().tolist()
    [2.0, 3.0]
    """
    return _but_nan("max", x1, x2)


@op
def fmin(x1: TensorLike, x2: TensorLike) -> Tensor:
    """The smaller of each pair; of a NaN and a number, the number.

    >>> fmin([1.0, float("nan")], [2.0, 3.0]).numpy().tolist()
    [1.0, 3.0]
    """
    return _but_nan("min", x1, x2)


def _but_nan(name: str, x1: Any, x2: Any) -> Tensor:
    a, b = operands(x1, x2)
    best = _core.binary(name, a, b)
    if not is_float(best.dtype):
        return best
    a, b = reals(a, b)
    best = _core.select(_core.unary("isnan", a), b, best)
    return _core.select(_core.unary("isnan", b), a, best)


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


@op
def select(condlist: Sequence[TensorLike], choicelist: Sequence[TensorLike], default: TensorLike = 0) -> Tensor:
    """The element of the first choice whose condition is true, else `default`.

    >>> select([[True, False, False], [True, True, False]], [[1, 2, 3], [4, 5, 6]], 9).numpy().tolist()
    [1, 5, 9]
    """
    if len(condlist) != len(choicelist) or not len(condlist):
        raise ValueError(f"select: expected as many conditions as choices, got {len(condlist)} and {len(choicelist)}")
    result: Any = default
    for condition, choice in zip(reversed(condlist), reversed(choicelist), strict=True):
        result = where(condition, choice, result)
    return convert(result)


@op
def nan_to_num(x: TensorLike, nan: float = 0.0, posinf: float | None = None, neginf: float | None = None) -> Tensor:
    """NaN replaced by `nan`, infinities by `posinf` and `neginf` (default: the largest finite numbers).

    >>> nan_to_num([1.0, float("nan")]).numpy().tolist()
    [1.0, 0.0]
    """
    x = convert(x)
    if not is_float(x.dtype):
        return x
    largest = 3.4028234663852886e38
    x = _core.select(_core.unary("isnan", x), float(nan), x)
    x = _core.select(_core.binary("eq", x, math.inf), largest if posinf is None else float(posinf), x)
    return _core.select(_core.binary("eq", x, -math.inf), -largest if neginf is None else float(neginf), x)
