"""Element types of operands and results."""

from __future__ import annotations

from typing import Any

from oxiconv import _core
from oxiconv.dtype import is_float, result_type
from oxiconv.tensor import Tensor, convert


def real(x: Any) -> Tensor:
    """`x` as a tensor of real numbers: itself if it is one, else in float32."""
    x = convert(x)
    return x if is_float(x.dtype) else _core.cast(x, "float32")


def reals(*xs: Any) -> list[Tensor]:
    """All as tensors of one real type."""
    tensors = [convert(x) for x in xs]
    return as_one(tensors) if any(is_float(x.dtype) for x in tensors) else [real(x) for x in tensors]


def numbers(x: Any) -> Tensor:
    """`x` as a tensor that can be summed: truth values and bytes become int32."""
    x = convert(x)
    return _core.cast(x, "int32") if x.dtype in ("bool", "uint8") else x


def as_one(tensors: list[Tensor]) -> list[Tensor]:
    """All in the element type to which they promote."""
    common = result_type(*(t.dtype for t in tensors))
    return [t if t.dtype == common else _core.cast(t, common) for t in tensors]
