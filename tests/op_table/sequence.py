"""Rows of functions for sequences: attention, segments, recursions."""

from __future__ import annotations

from typing import Any

import numpy as np

from op_table.bounds import Smooth
from op_table.case import Array, Case, row
from op_table.inputs import Inputs
from oxiconv import ops

draw = Inputs("sequence")


def attention(q: Array, k: Array, v: Array, scale: float, seen: Any = True) -> Array:
    """Softmax of `q k` over the keys that are seen, times `v`; a key head serves several heads."""
    repeats = q.shape[2] // k.shape[2]
    k, v = np.repeat(k, repeats, 2), np.repeat(v, repeats, 2)
    scores = np.where(seen, np.einsum("bqnh,bknh->bnqk", q, k) * scale, -np.inf)
    e = np.exp(scores - scores.max(-1, keepdims=True))
    return np.einsum("bnqk,bknh->bqnh", e / e.sum(-1, keepdims=True), v)


CAUSAL = np.tri(3, 4, dtype=bool)
# A score of 2 products, scale and shift, an exponential of 2 ulp, a sum of 4, a division, a sum of 4.
ATTENTION = Smooth(roundings=2 + 2 + 4 + 4 + 1 + 4)

CASES: list[Case] = [
    row(
        ops.dot_product_attention,
        lambda q, k, v: attention(q, k, v, 2**-0.5),
        (draw.normal(2, 3, 2, 2), draw.normal(2, 4, 2, 2), draw.normal(2, 4, 2, 2)),
        ATTENTION,
    ),
    row(
        ops.dot_product_attention,
        lambda q, k, v: attention(q, k, v, 0.5, CAUSAL),
        (draw.normal(1, 3, 4, 2), draw.normal(1, 4, 2, 2), draw.normal(1, 4, 2, 2)),
        ATTENTION,
        label="causal-grouped",
        is_causal=True,
        scale=0.5,
    ),
]
