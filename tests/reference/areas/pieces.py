"""Regularizers, constraints, and initializers without chance."""

from collections.abc import Mapping
from typing import Any

from reference.case import Array, Library, case

REGULARIZERS: dict[str, tuple[str, dict[str, Any]]] = {
    "l1": ("L1", {"l1": 0.3}),
    "l2": ("L2", {"l2": 0.3}),
    "l1_default": ("L1", {}),
    "l2_default": ("L2", {}),
    "l1_l2": ("L1L2", {"l1": 0.1, "l2": 0.2}),
    "orthogonal_rows": ("OrthogonalRegularizer", {"factor": 0.5}),
    "orthogonal_columns": ("OrthogonalRegularizer", {"factor": 0.5, "mode": "columns"}),
}
CONSTRAINTS: dict[str, tuple[str, dict[str, Any]]] = {
    "max_norm": ("MaxNorm", {"max_value": 1.0}),
    "max_norm_axes": ("MaxNorm", {"max_value": 1.0, "axis": [0, 1]}),
    "non_neg": ("NonNeg", {}),
    "unit_norm": ("UnitNorm", {"axis": 1}),
    "min_max_norm": ("MinMaxNorm", {"min_value": 0.8, "max_value": 1.2}),
    "min_max_norm_rate": ("MinMaxNorm", {"min_value": 0.8, "max_value": 1.2, "rate": 0.3, "axis": 1}),
}


@case(each=REGULARIZERS)
def regularizers(k: Library, setup: tuple[str, dict[str, Any]]) -> Mapping[str, Array]:
    cls, arguments = setup
    return k.gradients(getattr(k.keras.regularizers, cls)(**arguments), k.normal((4, 3)))


@case(each=CONSTRAINTS)
def constraints(k: Library, setup: tuple[str, dict[str, Any]]) -> Mapping[str, Array]:
    cls, arguments = setup
    return {"weight": k.array(getattr(k.keras.constraints, cls)(**arguments)(k.tensor(k.normal((4, 3)))))}


@case
def initializers(k: Library) -> Mapping[str, Array]:
    known = k.keras.initializers
    return {
        "constant": k.array(known.Constant(1.5)((2, 3))),
        "array": k.array(known.Constant(k.normal((3,)))((2, 3))),
        "identity": k.array(known.Identity(2.0)((2, 3))),
        "tensor": k.array(known.get(k.normal((2, 3)))((2, 3))),
        "ones": k.array(known.get("ones")((2,), dtype="int32")),
    }
