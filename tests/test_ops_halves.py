"""Operations of float16 and bfloat16: the values of float32, rounded, and gradients of the same type."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import oxiconv
from oxiconv import GradientTape, Tensor, ops, tree
from reference.areas.ops import SMOOTH
from reference.areas.ops_images import IMAGES
from reference.case import Library
from reference.inputs import spread

LIBRARY = Library(oxiconv, GradientTape)
# Half a unit in the last place, relative: of 11 bits and of 8.
ROUNDING = {"float16": 2.0**-11, "bfloat16": 2.0**-8}
CALLS: dict[str, tuple[Callable[[Any, Any], Any], tuple[int, ...], float]] = {
    **{name: (call, (3, 4), 1.0) for name, call in SMOOTH.items()},
    **{name: (call, (2, 6, 4, 4), 0.1) for name, call in IMAGES.items()},
}
# Cases that add a float32 matrix, whose type the result then has; what is rounded before is amplified.
SYSTEMS = {"inv", "det", "logdet", "cholesky", "solve", "solve_triangular", "slogdet"}


def _results(call: Callable[[Any, Any], Any], x: Tensor) -> tuple[list[Tensor], Tensor | None]:
    with GradientTape() as tape:
        tape.watch(x)
        outputs = tree.flatten(call(ops, x))
        total: Any = 0.0
        for y in outputs:
            total = total + ops.sum(ops.cast(y, "float32"))
    return outputs, tape.gradient(total, x)


@pytest.mark.parametrize("dtype", ROUNDING)
@pytest.mark.parametrize("name", CALLS)
def test_halves_are_rounded_results_of_float32(name: str, dtype: str) -> None:
    call, shape, scale = CALLS[name]
    half = ops.cast(spread(LIBRARY, shape) * np.float32(scale), dtype)
    outputs, gradient = _results(call, half)
    wide, wide_gradient = _results(call, ops.cast(half, "float32"))
    for got, wanted in zip(outputs, wide, strict=True):
        floating = "float32" if name in SYSTEMS else dtype
        assert got.dtype == (floating if wanted.dtype == "float32" else wanted.dtype)
        a, b = ops.cast(got, "float32").numpy(), ops.cast(wanted, "float32").numpy()
        # Of the result, and of up to seven intermediate values that a case's operations hand on.
        steps = 64 if name in SYSTEMS else 8
        np.testing.assert_allclose(a, b, rtol=0, atol=steps * ROUNDING[dtype] * max(np.abs(b).max(), 1e-3))
    if wide_gradient is not None:
        assert gradient is not None
        assert gradient.dtype == dtype
