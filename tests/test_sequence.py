"""Layers for sequences: what recorded values do not show."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import oxiconv as keras
from oxiconv import layers, ops
from oxiconv.trace import Trace


def test_more_parts_than_one_step_reads() -> None:
    parts = [np.full((2, 1), i, np.float32) for i in range(2100)]
    joined = ops.concatenate(parts, axis=1)
    assert np.array_equal(joined.numpy(), np.concatenate(parts, axis=1))


@pytest.mark.parametrize("tail", ["mask", "bias", "relu", "residual"])
def test_what_follows_a_stack_of_matrix_products(tail: str) -> None:
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((4, 2, 3, 5)), rng.standard_normal((4, 2, 5, 6))
    seen, bias = np.tri(3, 6, dtype=bool), rng.standard_normal(6).astype(np.float32)
    add = rng.standard_normal((4, 2, 3, 6)).astype(np.float32)
    tails = {
        "mask": (lambda y: ops.where(seen, y * 0.5, -1e9), lambda y: np.where(seen, y * 0.5, -1e9)),
        "bias": (lambda y: y + bias, lambda y: y + bias),
        "relu": (lambda y: ops.relu(y + bias), lambda y: np.maximum(y + bias, 0)),
        "residual": (lambda y: ops.tanh(y) + add, lambda y: np.tanh(y) + add),
    }
    ours, oracle = tails[tail]
    x, z = a.astype(np.float32), b.astype(np.float32)
    with Trace() as trace:
        inputs = [trace.graph.input(v.shape, "float32") for v in (x, z)]
        step = trace.compile([ours(ops.matmul(*inputs))])
    # Five products and three operations of values up to 20: 20 * 8 * 2^-24.
    np.testing.assert_allclose(step.run([x, z])[0].numpy(), oracle(x.astype(np.float64) @ z), atol=1e-5)
