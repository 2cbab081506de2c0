"""Questions about elements, and choices by their answers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from oxiconv import _core
from oxiconv.dtype import is_float
from oxiconv.ops import reduction
from oxiconv.ops.elementwise import operands, where
from oxiconv.ops.promotion import as_one, real, reals
from oxiconv.symbolic import op
from oxiconv.tensor import ShapeError, Tensor, TensorLike, convert


@op
def allclose(x1: TensorLike, x2: TensorLike, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False) -> Tensor:
    """Whether all elements are as near as `isclose` says.

    >>> bool(allclose([1.0, 2.0], [1.0, 2.000001]))
    True
    """
    from oxiconv.ops.elementwise import isclose

    return reduction.all(isclose(x1, x2, rtol, atol, equal_nan))


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
def digitize(x: TensorLike, bins: TensorLike) -> Tensor:
    """The bin of each element: how many of the ascending `bins` are not above it.

    >>> digitize([0.0, 1.0, 2.5], [1.0, 2.0]).numpy().tolist()
    [0, 1, 2]
    """
    return _places(convert(x), convert(bins), "right", "digitize")


@op
def searchsorted(sorted_sequence: TensorLike, values: TensorLike, side: str = "left") -> Tensor:
    """Where each value belongs in the ascending sequence: before equal elements, or after them with side "right".

    The sequence may have leading axes, which `values` then has too. A comparison of every value with every element.

    >>> searchsorted([1.0, 2.0, 2.0, 3.0], [2.0, 5.0]).numpy().tolist()
    [1, 4]
    """
    return _places(convert(values), convert(sorted_sequence), side, "searchsorted")


def _places(x: Tensor, line: Tensor, side: str, name: str) -> Tensor:
    if side not in ("left", "right"):
        raise ValueError(f"{name}: expected side 'left' or 'right', got {side!r}")
    if line.ndim != 1 and (name == "digitize" or line.shape[:-1] != x.shape[:-1]):
        raise ShapeError(f"{name}: expected one ascending axis, or leading axes {x.shape[:-1]}, got {line.shape}")
    x, line = as_one([x, line])
    if not x.traced and not line.traced and line.ndim == 1:
        found = np.searchsorted(line.numpy(), x.numpy(), side=side)  # type: ignore[call-overload]
        return convert(np.asarray(found, np.int32))
    dims = (1,) * x.ndim + line.shape if line.ndim == 1 else (*line.shape[:-1], 1, line.shape[-1])
    before = _core.binary("lt" if side == "left" else "le", _core.reshape(line, dims), _core.reshape(x, (*x.shape, 1)))
    return reduction.sum(before, axis=-1)
