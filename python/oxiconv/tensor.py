"""The tensor class, and what becomes a tensor."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from oxiconv import _core
from oxiconv._core import (
    DTypeError,
    FileFormatError,
    GraphError,
    IndexValueError,
    InternalError,
    OxiconvError,
    ShapeError,
    Tensor,
)
from oxiconv.dtype import narrow, standardize_dtype

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from oxiconv.operators import Operators

TensorLike: TypeAlias = "Tensor | Operators | NDArray[Any] | float | Sequence[Any]"
Shape: TypeAlias = "tuple[int | None, ...]"

__all__ = [
    "DTypeError",
    "FileFormatError",
    "GraphError",
    "IndexValueError",
    "InternalError",
    "OxiconvError",
    "Shape",
    "ShapeError",
    "Tensor",
    "TensorLike",
    "convert",
]


def convert(x: Any, dtype: Any = None, copy: bool = True) -> Tensor:
    """`x` as a tensor of `dtype` (default: its own type; float64 becomes float32, Python's integers int32).

    `x` is a tensor, a variable, a number, an array, anything with `__array__`, or nested sequences of these.
    `copy=False` shares a contiguous array's memory, which must then not change.
    """
    tensor = x if isinstance(x, Tensor) else getattr(x, "value", None)
    if not isinstance(tensor, Tensor):
        tensor = _from_object(x, dtype, copy)
    if dtype is not None and tensor.dtype != (name := standardize_dtype(dtype)):
        tensor = _core.cast(tensor, name)
    return tensor


def _from_object(x: Any, dtype: Any, copy: bool) -> Tensor:
    if isinstance(x, (list, tuple)) and any(isinstance(v, Tensor) or hasattr(v, "value") for v in _leaves(x)):
        rows = [convert(v) for v in x]
        if len({row.shape for row in rows}) > 1:
            raise ShapeError(f"convert_to_tensor: expected parts of one shape, got {[row.shape for row in rows]}")
        widest = narrowest_common(rows)
        parts = [_core.reshape(_core.cast(row, widest), (1, *row.shape)) for row in rows]
        return _core.concat(parts, 0)
    if hasattr(x, "_keras_history") or x is None:
        raise DTypeError(
            f"convert_to_tensor: expected a value, got {x!r}"
            + ("" if x is None else "; a symbolic tensor has none until its model is called")
        )
    if hasattr(x, "detach") and hasattr(x, "cpu"):  # a torch tensor that may need a gradient or sit on a GPU
        x = x.detach().cpu()
    try:
        array = np.asarray(x)
    except ValueError as error:
        raise ShapeError(f"convert_to_tensor: expected a rectangular array, got {type(x).__name__}: {error}") from None
    if isinstance(x, (list, tuple)) and not array.size and array.dtype == np.float64:
        array = array.astype(np.float32)
    if dtype is None and array.dtype == np.int64 and not hasattr(x, "dtype") and _fits_int32(array):
        dtype = "int32"  # Python's integers, which have no width of their own
    narrowed = narrow(array, dtype)
    # A new array needs no second copy.
    return _core.tensor(np.ascontiguousarray(narrowed).reshape(narrowed.shape), copy=copy and narrowed is array)


def _fits_int32(array: NDArray[Any]) -> bool:
    info = np.iinfo(np.int32)
    return not array.size or bool(array.min() >= info.min and array.max() <= info.max)


def _leaves(x: Any) -> list[Any]:
    return [leaf for v in x for leaf in (_leaves(v) if isinstance(v, (list, tuple)) else [v])]


def narrowest_common(tensors: list[Tensor]) -> Any:
    """The element type to which all of these tensors promote."""
    from oxiconv.dtype import result_type

    return result_type(*(t.dtype for t in tensors))
