"""Element types: those that tensors have, and what NumPy's and Keras's other types become."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any, Final, cast

import numpy as np

from oxiconv._core import DTypeError, IndexValueError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from oxiconv._core import DTypeName

# In order of promotion; float16 and bfloat16 meet in float32, uint8 and int8 in int32.
DTYPES: Final[tuple[DTypeName, ...]] = ("bool", "uint8", "int8", "int32", "int64", "float16", "bfloat16", "float32")
_FLOATS: Final = frozenset({"float16", "bfloat16", "float32"})
_INTEGERS: Final = frozenset({"uint8", "int8", "int32", "int64"})
_BYTES: Final = frozenset({"uint8", "int8"})
_HALVES: Final = frozenset({"float16", "bfloat16"})
_NARROWED: Final = {
    "float64": "float32",
    "int16": "int32",
    "uint64": "int64",
    "uint32": "int64",
    "uint16": "int32",
    "int": "int32",
    "float": "float32",
}


def standardize_dtype(dtype: Any) -> DTypeName:
    """The tensor element type for a name, a NumPy dtype or a Python type; None is float32.

    Numbers of other widths become the nearest type that tensors have: float64 is float32, int16 is int32.

    >>> standardize_dtype("int16"), standardize_dtype(np.float64), standardize_dtype(bool)
    ('int32', 'float32', 'bool')
    """
    if dtype is None:
        return "float32"
    name = dtype if isinstance(dtype, str) else getattr(dtype, "__name__", None) or str(dtype)
    if name not in DTYPES and name not in _NARROWED:
        with contextlib.suppress(TypeError):
            name = np.dtype(dtype).name
    name = {"bool_": "bool"}.get(name, _NARROWED.get(name, name))
    if name not in DTYPES:
        raise DTypeError(f"dtype: expected one of {', '.join(DTYPES)}, got {dtype!r}")
    return cast("DTypeName", name)


def result_type(*dtypes: Any) -> DTypeName:
    """The type of an operation on these types: the last of them in the order of promotion.

    That is bool, uint8 or int8, int32, int64, float16 or bfloat16, float32; of uint8 and int8, int32.

    Python's `int` and `float` take the width of what they meet.

    >>> result_type("bool", "int32"), result_type("int64", "float16"), result_type("float16", "bfloat16")
    ('int32', 'float16', 'float32')
    >>> result_type("float16", float), result_type("uint8", int), result_type("uint8", float)
    ('float16', 'uint8', 'float32')
    """
    names = {standardize_dtype(d) for d in dtypes if d is not int and d is not float}
    if any(d is float for d in dtypes) and not names & _FLOATS:
        names.add("float32")
    if any(d is int for d in dtypes) and not names - {"bool"}:
        names.add("int32")
    if names >= _HALVES:
        return "float32"
    if names >= _BYTES:
        names.add("int32")
    return max(names, key=DTYPES.index, default="float32")


def is_float(dtype: Any) -> bool:
    """Whether the element type holds real numbers."""
    return (dtype if dtype in DTYPES else standardize_dtype(dtype)) in _FLOATS


def itemsize(dtype: Any) -> int:
    """Bytes of an element."""
    return {"float32": 4, "float16": 2, "bfloat16": 2, "int64": 8, "int32": 4}.get(standardize_dtype(dtype), 1)


def narrow(array: NDArray[Any], dtype: Any = None) -> NDArray[Any]:
    """`array` in one of the tensor types that NumPy has: `dtype`, or the nearest to its own.

    Integers that the type cannot hold are an error, never wrapped. For bfloat16 the array is float32.
    """
    if array.dtype.kind not in "biuf":
        raise DTypeError(f"convert_to_tensor: expected numbers or truth values, got an array of {array.dtype}")
    target = standardize_dtype(array.dtype if dtype is None else dtype)
    if target == "bfloat16":
        target = "float32"
    if array.dtype == target:
        return array
    if target in _INTEGERS and array.dtype.kind in "iu" and array.size:
        info = np.iinfo(target)
        low, high = int(array.min()), int(array.max())
        if low < info.min or high > info.max:
            raise IndexValueError(
                f"convert_to_tensor: expected integers within [{info.min}, {info.max}] for {target}, "
                f"got {array.dtype} from {low} to {high}"
            )
    if target in _INTEGERS and array.dtype.kind == "f":
        # NumPy's result is undefined out of range; the core saturates, and NaN becomes 0.
        info = np.iinfo(target)
        real = np.nan_to_num(array.astype(np.float64))
        # The largest int64 is no float64: what reaches it is replaced, not converted.
        below = real < float(info.max)
        return np.where(below, np.maximum(np.where(below, real, 0), info.min).astype(target), info.max).astype(target)
    return array.astype(target)
