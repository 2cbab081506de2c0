"""The primitive of random numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from oxiconv import _core
from oxiconv.tensor import Tensor


def sample(state: Tensor, shape: Sequence[int], distribution: Literal["uniform", "normal"]) -> Tensor:
    """Random float32: uniform on [0, 1), or standard normal. `state` is int32[2] = (seed, counter)."""
    return _core.random(state, shape, distribution)
