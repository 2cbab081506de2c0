"""Attention: weighted means of values, with weights that compare queries and keys."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from oxiconv.ops.activation import softmax
from oxiconv.ops.arrangement import repeat
from oxiconv.ops.comparison import logical_and, where
from oxiconv.ops.elementwise import add, multiply
from oxiconv.ops.products import einsum
from oxiconv.symbolic import op
from oxiconv.tensor import ShapeError, Tensor, TensorLike, convert

# What stands for minus infinity: the softmax of scores that are all masked stays finite.
_MASKED = -0.7 * float(np.finfo(np.float32).max)


def causal_mask(queries: int, keys: int) -> Tensor:
    """`[queries, keys]`: whether a key is at or before the query's place."""
    return convert(np.tri(queries, keys, dtype=np.bool_))


def window_mask(queries: int, keys: int, width: int) -> Tensor:
    """`[queries, keys]`: whether a key is less than `width` places from the query's."""
    return convert(np.abs(np.arange(queries)[:, None] - np.arange(keys)) < width)


@op
def masked_softmax(scores: TensorLike, mask: TensorLike | None = None, axis: Any = -1) -> Tensor:
    """Exponentials of the scores where `mask` is true that sum to 1 along `axis`; 0 elsewhere."""
    if mask is None:
        return softmax(scores, axis)
    return where(mask, softmax(where(mask, scores, _MASKED), axis), 0.0)


@op
def dot_product_attention(
    query: TensorLike,
    key: TensorLike,
    value: TensorLike,
    bias: TensorLike | None = None,
    mask: TensorLike | None = None,
    scale: float | None = None,
    is_causal: bool = False,
    flash_attention: bool | None = None,
    attn_logits_soft_cap: float | None = None,
) -> Tensor:
    """`softmax(query · key * scale) · value` for each head (Vaswani et al. 2017).

    Args:
        query: `[n, queries, heads, size]`.
        key: `[n, keys, key_heads, size]`; each key head serves `heads / key_heads` heads.
        value: as `key`.
        bias: added to the scores `[n, heads, queries, keys]`; broadcasts.
        mask: whether a query sees a key; broadcasts to the scores. Where a query sees none, all count alike.
        scale: of the scores; by default `1 / sqrt(size)`.
        is_causal: whether a query sees only keys at or before its place.
        flash_attention: None or False: there is one kernel.
        attn_logits_soft_cap: must be None, as in Keras outside of TPUs.

    >>> import numpy as np
    >>> x = np.ones((2, 5, 4, 8), np.float32)
    >>> dot_product_attention(x, x, x, is_causal=True).shape
    (2, 5, 4, 8)
    """
    if flash_attention:
        raise ValueError("dot_product_attention: flash_attention is absent; leave it None")
    if attn_logits_soft_cap is not None:
        raise ValueError("dot_product_attention: attn_logits_soft_cap is absent; leave it None")
    q, k, v = (convert(x, "float32") for x in (query, key, value))
    if not q.ndim == k.ndim == v.ndim == 4 or k.shape[:3] != v.shape[:3] or q.shape[0] != k.shape[0]:
        raise ShapeError(
            "dot_product_attention: expected [n, queries, heads, size] and twice [n, keys, key_heads, size], got "
            f"{q.shape}, {k.shape} and {v.shape}"
        )
    if q.shape[2] % k.shape[2] or q.shape[3] != k.shape[3]:
        raise ShapeError(
            "dot_product_attention: expected keys of the queries' size, and a multiple of their heads, got "
            f"{q.shape} and {k.shape}"
        )
    if q.shape[2] != k.shape[2]:
        k, v = (repeat(x, q.shape[2] // k.shape[2], axis=2) for x in (k, v))
    scores = multiply(einsum("bqnh,bknh->bnqk", q, k), 1.0 / math.sqrt(q.shape[3]) if scale is None else scale)
    if bias is not None:
        scores = add(scores, bias)
    seen = None if mask is None else convert(mask, "bool")
    if is_causal:
        causal = causal_mask(q.shape[1], k.shape[1])
        seen = causal if seen is None else logical_and(seen, causal)
    if seen is not None:
        scores = where(seen, scores, _MASKED)
    return einsum("bnqk,bknh->bqnh", softmax(scores), v)
