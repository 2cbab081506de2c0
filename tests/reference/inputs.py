"""What the cases of several areas are given and give."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from reference.case import Array, Library


def spread(k: Library, shape: tuple[int, ...], seed: Any = 0) -> Array:
    """Different values, so that no choice among them is a matter of rounding."""
    n = int(np.prod(shape))
    order = np.argsort(k.normal((n,), seed))
    return ((order - n // 2) * 0.125 + 0.03).astype(np.float32).reshape(shape)


def results(k: Library, outputs: Any) -> Mapping[str, Array]:
    leaves = k.keras.tree.flatten(outputs)
    return {f"output{i}": k.array(leaf) for i, leaf in enumerate(leaves)}
