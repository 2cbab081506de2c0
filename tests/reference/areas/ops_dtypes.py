"""Element types of results: every operation of one and of two tensors, for every type."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from reference.case import Array, Library, case

TYPES = ("bool", "uint8", "int32", "int64", "float16", "bfloat16", "float32")
# Keras's types that tensors do not have, and the ones in their place. TensorFlow makes float64 of int64 where a
# function is real; as in Keras with JAX, it is float32 here.
OURS = {"int8": "int32", "int16": "int32", "uint16": "int32", "uint32": "int32", "float64": "float32"}

# Operations by the types that TensorFlow takes: all, all but truth values, and real ones.
GENERAL = (
    "abs all any arccos arcsin arctan argmax argmin argsort average ceil cos cosh count_nonzero cumprod cumsum "
    "deg2rad diag exp exp2 expand_dims expm1 fabs flip floor full_like:1 isfinite isinf isnan log log10 log1p log2 "
    "logical_not max mean median min moveaxis:0,1 nan_to_num ones_like prod ravel signbit sin sinc sinh sort sqrt "
    "square std sum tan tanh transpose tril trace var zeros_like trunc nansum nanmax nanmean nancumsum cbrt rot90 "
    "angle isposinf corrcoef"
)
NUMBERS = "ptp round sign relu"
REAL = "negative reciprocal sigmoid softmax gelu silu rsqrt erf logsumexp"
UNARY = {
    name: types
    for names, types in [(GENERAL, TYPES), (NUMBERS, TYPES[1:]), (REAL, TYPES[4:])]
    for name in names.split(" ")
}
BINARY = [
    "add",
    "subtract",
    "multiply",
    "divide",
    "true_divide",
    "divide_no_nan",
    "floor_divide",
    "mod",
    "fmod",
    "power",
    "maximum",
    "minimum",
    "fmax",
    "fmin",
    "arctan2",
    "hypot",
    "logaddexp",
    "equal",
    "less",
    "logical_and",
    "where:1",
    "matmul",
    "dot",
    "inner",
    "outer",
    "kron",
    "append",
    "isclose",
    "concatenate:2",
    "stack:2",
    "tensordot",
    "heaviside",
]


def dtype(k: Library, call: Callable[[], Any]) -> str:
    """The result's type, or what kind of refusal there is instead."""
    try:
        found = str(k.keras.backend.standardize_dtype(call().dtype))
    except Exception:
        return "refused"
    return OURS.get(found, found)


def tensor(k: Library, name: str) -> Any:
    return k.keras.ops.cast(np.array([[1, 2], [3, 1]], np.float32), name)


@case(each=list(UNARY))
def unary(k: Library, spec: str) -> Mapping[str, Array]:
    name, _, arguments = spec.partition(":")
    rest = [int(a) for a in arguments.split(",") if a]
    function = getattr(k.keras.ops, name)
    return {"types": np.array([dtype(k, lambda t=t: function(tensor(k, t), *rest)) for t in UNARY[spec]])}  # type: ignore[misc]


@case(each=BINARY)
def binary(k: Library, spec: str) -> Mapping[str, Array]:
    name, _, kind = spec.partition(":")
    function = getattr(k.keras.ops, name)

    def call(a: str, b: str) -> Any:
        x, y = tensor(k, a), tensor(k, b)
        if kind == "1":
            return function(tensor(k, "bool"), x, y)
        return function([x, y]) if kind == "2" else function(x, y)

    # Two tensors of truth values TensorFlow refuses nearly everywhere.
    pairs = [(a, b) for a in TYPES for b in TYPES if (a, b) != ("bool", "bool")]
    return {"types": np.array([dtype(k, lambda p=p: call(*p)) for p in pairs])}  # type: ignore[misc]


@case(each=["add", "multiply", "divide", "maximum", "power", "less"])
def beside_a_number(k: Library, name: str) -> Mapping[str, Array]:
    function = getattr(k.keras.ops, name)
    pairs = [(t, n) for t in TYPES for n in (2, 1.5)]
    return {"types": np.array([dtype(k, lambda p=p: function(tensor(k, p[0]), p[1])) for p in pairs])}  # type: ignore[misc]


@case
def result_type(k: Library) -> Mapping[str, Array]:
    promote = k.keras.backend.result_type
    names = np.array([[OURS.get(n := promote(a, b), n) for b in TYPES] for a in TYPES])
    python = np.array([[OURS.get(n := promote(a, b), n) for b in (int, float, bool)] for a in TYPES])
    return {"tensors": names, "python": python}
