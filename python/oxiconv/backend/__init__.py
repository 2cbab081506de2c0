"""Settings and conversions under the name that Keras gives them."""

from __future__ import annotations

from typing import Any

from oxiconv import naming
from oxiconv.config import (
    backend,
    epsilon,
    floatx,
    image_data_format,
    set_epsilon,
    set_floatx,
    set_image_data_format,
)
from oxiconv.dtype import is_float as is_float_dtype
from oxiconv.dtype import result_type as _result_type
from oxiconv.dtype import standardize_dtype
from oxiconv.symbolic import is_keras_tensor
from oxiconv.variable import Variable

__all__ = [
    "Variable",
    "backend",
    "clear_session",
    "epsilon",
    "floatx",
    "get_uid",
    "image_data_format",
    "is_float_dtype",
    "is_int_dtype",
    "is_keras_tensor",
    "result_type",
    "set_epsilon",
    "set_floatx",
    "set_image_data_format",
    "standardize_dtype",
]


def result_type(*dtypes: Any) -> str:
    """The element type of an operation on these types."""
    return _result_type(*dtypes)


def clear_session(free_memory: bool = True) -> None:
    """Lets automatic names and the global dtype policy start over.

    `free_memory` changes nothing: memory is freed with its last user.
    """
    naming.reset()
    set_floatx(floatx())  # forgets the global dtype policy


def is_int_dtype(dtype: Any) -> bool:
    """Whether the element type holds integers.

    >>> is_int_dtype("uint8"), is_int_dtype("bool")
    (True, False)
    """
    return "int" in standardize_dtype(dtype)


def get_uid(prefix: str = "") -> int:
    """How often it was called with this prefix since the start or `clear_session`."""
    return naming.uid(prefix)
