"""Element types of operands and results."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar, cast

from oxiconv import _core, tree
from oxiconv.dtype import is_float, result_type
from oxiconv.tensor import Tensor, convert

P = ParamSpec("P")
R = TypeVar("R")
HALVES = ("float16", "bfloat16")


def widened(function: Callable[P, R]) -> Callable[P, R]:
    """`function` computed in float32 where it is given halves, its results rounded to them once.

    For functions of several steps: each alone would round, and a sum or a square leave the range of float16.
    """

    @functools.wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        kinds = [str(getattr(a, "dtype", "")) for a in (*args, *kwargs.values())]
        if not any(k in HALVES for k in kinds):
            return function(*args, **kwargs)
        common = result_type(*(k for k in kinds if k in (*HALVES, "float32")))

        def wide(x: Any) -> Any:
            return convert(x, "float32") if str(getattr(x, "dtype", "")) in HALVES else x

        def narrow(x: Any) -> Any:
            return _core.cast(x, common) if isinstance(x, Tensor) and x.dtype == "float32" else x

        results = function(*map(wide, args), **{k: wide(v) for k, v in kwargs.items()})
        return cast("R", tree.map_structure(narrow, results))

    return call


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
    return _core.cast(x, "int32") if x.dtype in ("bool", "uint8", "int8") else x


def whole_truths(x: Any) -> Tensor:
    """`x` as a tensor, truth values as int32."""
    x = convert(x)
    return _core.cast(x, "int32") if x.dtype == "bool" else x


def as_one(tensors: list[Tensor]) -> list[Tensor]:
    """All in the element type to which they promote."""
    first = tensors[0].dtype
    if all(t.dtype == first for t in tensors):
        return tensors
    common = result_type(*(t.dtype for t in tensors))
    return [t if t.dtype == common else _core.cast(t, common) for t in tensors]
