"""Every op against its definition in float64: values and gradients, eager, compiled, and compiled in shards."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from types import BuiltinFunctionType
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import ops as table
from op_table import primitives
from op_table.case import Case
from op_table.execution import MODES, execute
from oxiconv import _core, activations, ops

DTYPES = {"float64": "float32", "int64": "int32"}


@cache
def run(case: Case, mode: str) -> tuple[list[NDArray[Any]], list[NDArray[Any] | None]]:
    """Results and gradients of a case's op."""
    return execute(case.call, case.inputs, case.cotangents if case.has_gradients else None, mode)


def assert_near(got: NDArray[Any], wanted: NDArray[Any], tolerance: NDArray[Any], what: str) -> None:
    """Shapes are equal, and elements as near as the tolerance says; NaN and infinities are in the same places."""
    assert got.shape == wanted.shape, f"{what}: shape {got.shape}, expected {wanted.shape}"
    with np.errstate(invalid="ignore", over="ignore"):
        error = np.abs(got.astype(np.float64) - wanted)
        if got.dtype == np.float32:
            # Rounding to float32 is what turns numbers beyond its range into infinities.
            same = (got == wanted.astype(np.float32)) | (np.isnan(got) & np.isnan(wanted))
        else:
            same = got == wanted
    wrong = ~(same | (error <= tolerance))
    if np.any(wrong):
        worst = np.unravel_index(np.argmax(np.where(wrong, np.nan_to_num(error, nan=np.inf), -1)), wrong.shape)
        raise AssertionError(
            f"{what}: {np.count_nonzero(wrong)} of {wrong.size} elements; at {tuple(map(int, worst))} got "
            f"{got[worst]!r}, expected {wanted[worst]!r} within {np.broadcast_to(tolerance, wrong.shape)[worst]:.3g}"
        )


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("case", table.CASES, ids=lambda case: case.name)
def test_op(case: Case, mode: str) -> None:
    outputs, gradients = run(case, mode)
    assert len(outputs) == len(case.outputs)
    for place, (got, wanted, tolerance) in enumerate(zip(outputs, case.outputs, case.tolerances, strict=True)):
        assert got.dtype.name == DTYPES.get(wanted.dtype.name, wanted.dtype.name)
        assert_near(got, wanted, tolerance, f"result {place}")
    if case.has_gradients:
        for place, (gradient, (wanted, tolerance)) in enumerate(zip(gradients, case.gradients, strict=True)):
            zero = np.zeros(wanted.shape, np.float32)
            assert_near(zero if gradient is None else gradient, wanted, tolerance, f"gradient {place}")


@pytest.mark.parametrize("case", table.CASES, ids=lambda case: case.name)
def test_eager_equals_compiled(case: Case) -> None:
    # The same bits. Gradients are not compared here: where several add up, or are summed over the batch, the order is
    # another, and `test_op` holds both to the oracle.
    for eager, compiled in zip(*(run(case, mode)[0] for mode in ("eager", "compiled")), strict=True):
        np.testing.assert_array_equal(eager, compiled)


def test_every_op_has_a_row() -> None:
    rows = {id(case.op) for case in table.CASES}
    functions = [name for name in dir(_core) if isinstance(getattr(_core, name), BuiltinFunctionType)]
    missing, needless = [], set(table.NOT_IN_TABLE)
    for module, names in [(ops, ops.__all__), (activations, activations.__all__), (_core, functions)]:
        for name in names:
            full = f"{module.__name__.removeprefix('oxiconv.')}.{name}"
            if full in table.NOT_IN_TABLE:
                needless.discard(full)
            elif id(getattr(module, name)) not in rows:
                missing.append(full)
    assert not missing
    assert not needless


@pytest.mark.parametrize(("function", "rows"), [("unary", primitives.UNARY), ("binary", primitives.BINARY)])
def test_every_elementwise_primitive_has_a_row(function: str, rows: dict[str, object]) -> None:
    stub = Path(_core.__file__).with_name("_core.pyi").read_text(encoding="utf-8")
    documented = re.search(rf'def {function}\(.*?"""(.*?)"""', stub, re.DOTALL)
    assert documented is not None
    assert set(documented[1].split()) == set(rows)


def test_what_tells_of_a_tensor() -> None:
    array = np.arange(6, dtype=np.int32).reshape(2, 3)
    x = _core.tensor(array)
    assert (ops.shape(x), ops.ndim(x), ops.size(x), ops.dtype(x)) == ((2, 3), 2, 6, "int32")
    assert (ops.shape([[1.0]]), ops.dtype(0.5)) == ((1, 1), "float32")
    assert ops.is_tensor(x)
    assert not ops.is_tensor(array)
    np.testing.assert_array_equal(ops.convert_to_numpy(x), array)
    assert ops.convert_to_numpy(array) is array
