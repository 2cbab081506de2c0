"""Element types: the four that tensors have, and what NumPy's and Keras's other types become."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any, Final, cast

import numpy as np

from oxiconv._core import DTypeError, IndexValueError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from oxiconv._core import DTypeName

# In order of promotion.
DTYPES: Final[tuple[DTypeName, ...]] = ("bool", "uint8", "int32", "float32")
_NARROWED: Final = {
    "float64": "float32",
    "float16": "float32",
    "int64": "int32",
    "int16": "int32",
    "int8": "int32",
    "uint64": "int32",
    "uint32": "int32",
    "uint16": "int32",
    "int": "int32",
    "float": "float32",
}


def standardize_dtype(dtype: Any) -> DTypeName:
    """The tensor element type for a name, a NumPy dtype or a Python type; None is float32.

    Wider and narrower numbers become float32 or int32, the types that tensors have.

    >>> standardize_dtype("int64"), standardize_dtype(np.float64), standardize_dtype(bool)
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
    """The type of an operation on these types: the last of bool, uint8, int32, float32.

    >>> result_type("bool", "int32")
    'int32'
    """
    return max((standardize_dtype(d) for d in dtypes), key=DTYPES.index, default="float32")


def is_float(dtype: Any) -> bool:
    """Whether the element type holds real numbers."""
    return standardize_dtype(dtype) == "float32"


def narrow(array: NDArray[Any], dtype: Any = None) -> NDArray[Any]:
    """`array` in one of the four tensor types: `dtype`, or the nearest to its own.

    Integers that int32 (or uint8) cannot hold are an error, never wrapped.
    """
    if array.dtype.kind not in "biuf":
        raise DTypeError(f"convert_to_tensor: expected numbers or truth values, got an array of {array.dtype}")
    target = standardize_dtype(array.dtype if dtype is None else dtype)
    if array.dtype == target:
        return array
    if target in ("int32", "uint8") and array.dtype.kind in "iu" and array.size:
        info = np.iinfo(target)
        low, high = int(array.min()), int(array.max())
        if low < info.min or high > info.max:
            raise IndexValueError(
                f"convert_to_tensor: expected integers within [{info.min}, {info.max}] for {target}, "
                f"got {array.dtype} from {low} to {high}"
            )
    if target in ("int32", "uint8") and array.dtype.kind == "f":
        # NumPy's result is undefined out of range; the core saturates, and NaN becomes 0.
        info = np.iinfo(target)
        return np.clip(np.nan_to_num(array.astype(np.float64)), info.min, info.max).astype(target)
    return array.astype(target)
