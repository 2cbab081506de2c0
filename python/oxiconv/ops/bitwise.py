"""Bits of integers. One table of pairs of bytes serves all: `|` and `^` follow from `&`."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from oxiconv import _core
from oxiconv.dtype import is_float
from oxiconv.ops.comparison import logical_and, logical_not, logical_or, logical_xor
from oxiconv.ops.elementwise import operands
from oxiconv.ops.promotion import as_one
from oxiconv.symbolic import op
from oxiconv.tensor import DTypeError, Tensor, TensorLike, convert


@cache
def _table() -> Tensor:
    """`a & b` at `256 * a + b`."""
    byte = np.arange(256, dtype=np.int32)
    return convert((byte[:, None] & byte).ravel())


def _integers(name: str, x: Any, y: Any) -> tuple[Tensor, Tensor]:
    """Both in one type; a Python number takes that of the tensor beside it."""
    a, b = operands(x, y)
    if not isinstance(a, Tensor) or not isinstance(b, Tensor):
        beside = b if isinstance(b, Tensor) else convert(a)
        a, b = (v if isinstance(v, Tensor) else convert(v, beside.dtype) for v in (a, b))
    a, b = as_one([a, b])
    if is_float(a.dtype):
        raise DTypeError(f"{name}: expected integers or truth values, got {[convert(v).dtype for v in (x, y)]}")
    return a, b


def _and(a: Tensor, b: Tensor) -> Tensor:
    dtype = a.dtype
    a, b = (_core.cast(x, "int32") for x in (a, b))
    total = None
    for place in range(1 if dtype == "uint8" else 4):
        low, high = (_core.binary("mod", _core.binary("floordiv", x, 256**place), 256) for x in (b, a))
        part = _core.gather(_table(), _core.binary("add", _core.binary("mul", high, 256), low), 0)
        part = _core.binary("mul", part, 256**place)  # the highest byte wraps into the sign
        total = part if total is None else _core.binary("add", total, part)
    assert total is not None
    return total if dtype == "int32" else _core.cast(total, dtype)


def _broadcast(a: Tensor, b: Tensor) -> list[Tensor]:
    dims = np.broadcast_shapes(a.shape, b.shape)
    return [_core.broadcast_to(x, dims) for x in (a, b)]


@op
def bitwise_and(x: TensorLike, y: TensorLike) -> Tensor:
    """Bits that both have.

    >>> bitwise_and([12, -1], [10, 7]).numpy().tolist()
    [8, 7]
    """
    a, b = _integers("bitwise_and", x, y)
    return logical_and(a, b) if a.dtype == "bool" else _and(*_broadcast(a, b))


@op
def bitwise_or(x: TensorLike, y: TensorLike) -> Tensor:
    """Bits that either has.

    >>> bitwise_or([12, -8], [10, 7]).numpy().tolist()
    [14, -1]
    """
    a, b = _integers("bitwise_or", x, y)
    if a.dtype == "bool":
        return logical_or(a, b)
    return _core.binary("sub", _core.binary("add", a, b), _and(*_broadcast(a, b)))


@op
def bitwise_xor(x: TensorLike, y: TensorLike) -> Tensor:
    """Bits that exactly one has.

    >>> bitwise_xor([12, -1], [10, 7]).numpy().tolist()
    [6, -8]
    """
    a, b = _integers("bitwise_xor", x, y)
    if a.dtype == "bool":
        return logical_xor(a, b)
    both = _and(*_broadcast(a, b))
    return _core.binary("sub", _core.binary("sub", _core.binary("add", a, b), both), both)


@op
def bitwise_invert(x: TensorLike) -> Tensor:
    """All bits the other way.

    >>> bitwise_invert([0, 5]).numpy().tolist()
    [-1, -6]
    """
    a = convert(x)
    if is_float(a.dtype):
        raise DTypeError(f"bitwise_invert: expected integers or truth values, got {a.dtype}")
    if a.dtype == "bool":
        return logical_not(a)
    return _core.binary("sub", 255 if a.dtype == "uint8" else -1, a)


bitwise_not = bitwise_invert


def _power_of_two(name: str, x: Any, y: Any) -> tuple[Tensor, Tensor, Tensor]:
    a, count = _integers(name, x, y)
    if a.dtype == "bool":
        a, count = _core.cast(a, "int32"), _core.cast(count, "int32")
    # From 32 on (8 for bytes) nothing of the number is left; what is doubled 31 times is in range of int32 as bits.
    power = convert(np.array([1 << k if k < 31 else -(2**31) for k in range(32)], np.int32))
    bounded = _core.binary("max", _core.binary("min", _core.cast(count, "int32"), 31), 0)
    return a, count, _core.gather(power, bounded, 0)


@op
def bitwise_left_shift(x: TensorLike, y: TensorLike) -> Tensor:
    """`x` times `2 ** y`, wrapping around; 0 if `y` is the number of bits or more.

    >>> bitwise_left_shift([1, 3], [4, 31]).numpy().tolist()
    [16, -2147483648]
    """
    a, count, power = _power_of_two("bitwise_left_shift", x, y)
    shifted = _core.binary("mul", _core.cast(a, "int32"), power)
    shifted = shifted if a.dtype == "int32" else _core.cast(shifted, a.dtype)
    return _core.select(
        _core.binary("lt", count, 8 if a.dtype in ("uint8", "int8") else 32), shifted, convert(0, a.dtype)
    )


@op
def bitwise_right_shift(x: TensorLike, y: TensorLike) -> Tensor:
    """`x` divided by `2 ** y`, rounded down.

    >>> bitwise_right_shift([16, -5], [2, 1]).numpy().tolist()
    [4, -3]
    """
    a, count, power = _power_of_two("bitwise_right_shift", x, y)
    wide = _core.cast(a, "int32")
    # The last power is negative as a number: what remains after 31 shifts is the sign.
    sign = _core.select(_core.binary("lt", wide, 0), convert(-1, "int32"), convert(0, "int32"))
    shifted = _core.select(_core.binary("lt", count, 31), _core.binary("floordiv", wide, power), sign)
    return shifted if a.dtype == "int32" else _core.cast(shifted, a.dtype)


left_shift = bitwise_left_shift
right_shift = bitwise_right_shift
