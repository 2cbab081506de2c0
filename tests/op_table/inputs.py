"""Inputs of the rows: the same on every run."""

from __future__ import annotations

import numpy as np

from op_table.case import Array

_RNG = np.random.default_rng(2024)
# What IEEE arithmetic treats on its own.
SPECIAL = np.array([np.nan, np.inf, -np.inf, 0.0, -0.0, 1.0, -1.0, 0.5, -2.5, 100.0], np.float32)


def normal(*dims: int) -> Array:
    """Standard normal numbers."""
    return _RNG.standard_normal(dims).astype(np.float32)


def uniform(low: float, high: float, *dims: int) -> Array:
    """Numbers within a range."""
    return _RNG.uniform(low, high, dims).astype(np.float32)


def spread(*dims: int) -> Array:
    """Different numbers around 0, in random order, at least 0.06 from one another and 0.02 from any multiple of 0.5."""
    n = int(np.prod(dims))
    steps = np.arange(n) - n // 2
    return (_RNG.permutation(steps) * 0.0625 + 0.03).astype(np.float32).reshape(dims)


def integers(low: int, high: int, *dims: int, dtype: str = "int32") -> Array:
    """Whole numbers from `low` to below `high`."""
    return _RNG.integers(low, high, dims).astype(dtype)


def truths(*dims: int) -> Array:
    """Truth values."""
    return _RNG.random(dims) < 0.5
