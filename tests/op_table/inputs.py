"""Inputs of the rows: the same on every run."""

from __future__ import annotations

import zlib

import numpy as np

from op_table.case import Array

# What IEEE arithmetic treats on its own.
SPECIAL = np.array([np.nan, np.inf, -np.inf, 0.0, -0.0, 1.0, -1.0, 0.5, -2.5, 100.0], np.float32)


class Inputs:
    """A stream of random arrays, one for each module of rows, so that none depends on what is imported first."""

    def __init__(self, name: str) -> None:
        self._rng = np.random.default_rng(zlib.crc32(name.encode()))

    def normal(self, *dims: int) -> Array:
        """Standard normal numbers."""
        return self._rng.standard_normal(dims).astype(np.float32)

    def uniform(self, low: float, high: float, *dims: int) -> Array:
        """Numbers within a range."""
        return self._rng.uniform(low, high, dims).astype(np.float32)

    def spread(self, *dims: int) -> Array:
        """Different numbers around 0, in random order: 0.06 from one another and 0.02 from any multiple of 0.5."""
        n = int(np.prod(dims))
        steps = np.arange(n) - n // 2
        return (self._rng.permutation(steps) * 0.0625 + 0.03).astype(np.float32).reshape(dims)

    def integers(self, low: int, high: int, *dims: int, dtype: str = "int32") -> Array:
        """Whole numbers from `low` to below `high`."""
        return self._rng.integers(low, high, dims).astype(dtype)

    def truths(self, *dims: int) -> Array:
        """Truth values."""
        return self._rng.random(dims) < 0.5
