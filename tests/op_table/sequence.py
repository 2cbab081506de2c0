"""Rows of functions for sequences: attention, segments, recursions."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np

from op_table.bounds import EXACT, SELECTION, Elementwise, Smooth
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

IDS = np.array([2, 0, 0, 3, 2, 0], np.int32)


def segments(reduce: Callable[..., Any], empty: float) -> Callable[[Array], Array]:
    """A reduction of rows by `IDS`, for four segments."""

    def define(x: Array) -> Array:
        return np.stack([reduce(x[i == IDS], 0) if i in IDS else np.full(x.shape[1:], empty) for i in range(4)])

    return define


def ctc(logits: Array, labels: list[int]) -> Array:
    """Minus the log probability of labels: the sum over all ways to spell them, one by one."""
    p = np.exp(logits - np.log(np.exp(logits).sum(-1, keepdims=True)))
    losses = []
    for sample in p:
        total = 0.0
        for path in itertools.product(range(p.shape[2]), repeat=p.shape[1]):
            spelled = [c for c, _ in itertools.groupby(path) if c]
            if spelled == labels:
                total += float(np.prod(sample[range(len(path)), path]))
        losses.append(-np.log(total))
    return np.array(losses)


def labelled(logits: Any) -> Any:
    n, steps = logits.shape[:2]
    return ops.ctc_loss(np.full((n, 2), [1, 1]), logits, np.full(n, 2), np.full(n, steps))


def running(x: Array) -> tuple[Array, Array]:
    """`c = tanh(c) * x + x`, from 0."""
    carry, found = np.zeros(x.shape[1:]), []
    for part in x:
        carry = np.tanh(carry) * part + part
        found.append(carry)
    return carry, np.stack(found)


def step(carry: Any, x: Any) -> tuple[Any, Any]:
    after = ops.tanh(carry) * x + x
    return after, after


def again(x: Array) -> Array:
    for _ in range(3):
        x = np.tanh(x) + x
    return x


# An exponential of 2 ulp and a product each: the recursions of three steps below.
SQUARE = Elementwise(roundings=1)
THREE = Smooth(roundings=3 * 4)
X = draw.normal(3, 2)

CASES: list[Case] = [
    row(ops.segment_sum, segments(np.sum, 0.0), (draw.normal(6, 2),), EXACT, segment_ids=IDS, num_segments=4),
    row(
        ops.segment_max,
        segments(np.max, -float(np.finfo(np.float32).max)),
        (draw.spread(6, 2),),
        SELECTION,
        segment_ids=IDS,
        num_segments=4,
    ),
    row(
        ops.segment_min,
        segments(np.min, float(np.finfo(np.float32).max)),
        (draw.spread(6, 2),),
        SELECTION,
        segment_ids=IDS,
        num_segments=4,
    ),
    row(
        ops.segment_prod,
        segments(np.prod, 1.0),
        (draw.uniform(0.5, 1.5, 6, 2),),
        Smooth(roundings=2),
        segment_ids=IDS,
        num_segments=4,
    ),
    # A softmax of 3 classes, and 4 steps of a product of ones, three exponentials, two sums, a logarithm and a sum.
    row(ops.ctc_loss, lambda x: ctc(x, [1, 1]), (draw.normal(2, 4, 3),), Smooth(roundings=8 + 4 * 14), call=labelled),
    row(
        ops.ctc_decode,
        lambda x: (np.array([[[1, 2, 1, -1], [2, -1, -1, -1]]], np.int32), -x.max(-1).sum(1, keepdims=True)),
        (np.eye(3, dtype=np.float32)[[[1, 2, 0, 1], [0, 2, 2, 0]]] * 4 + draw.uniform(0.0, 1.0, 2, 4, 3),),
        Smooth(roundings=4),
        call=lambda x: ops.ctc_decode(x, np.array([4, 3 + 1])),
    ),
    row(ops.scan, running, (X,), THREE, call=lambda x: ops.scan(step, ops.zeros((2,)), x)),
    row(ops.fori_loop, again, (X,), THREE, call=lambda x: ops.fori_loop(0, 3, lambda _, v: ops.tanh(v) + v, x)),
    row(
        ops.while_loop,
        again,
        (X,),
        THREE,
        call=lambda x: ops.while_loop(lambda i, _: i < 3, lambda i, v: (i + 1, ops.tanh(v) + v), (0, x))[1],
    ),
    row(
        ops.while_loop,
        again,
        (X,),
        THREE,
        label="traced-condition",
        call=lambda x: ops.while_loop(
            lambda i, _: i < 3, lambda i, v: (i + 1, ops.tanh(v) + v), (ops.sum(x) * 0.0, x), maximum_iterations=5
        )[1],
    ),
    row(
        ops.associative_scan,
        lambda x: np.cumprod(x, 0),
        (draw.uniform(0.5, 1.5, 5, 2),),
        Smooth(roundings=5),
        call=lambda x: ops.associative_scan(ops.multiply, x),
    ),
    row(ops.map, np.square, (X,), Elementwise(roundings=1), call=lambda x: ops.map(ops.square, x)),
    row(
        ops.vectorized_map, np.square, (X,), Elementwise(roundings=1), call=lambda x: ops.vectorized_map(ops.square, x)
    ),
    row(
        ops.cond,
        np.square,
        (X,),
        SQUARE,
        call=lambda x: ops.cond(ops.sum(x) * 0.0 >= 0.0, lambda: ops.square(x), lambda: x),
    ),
    row(
        ops.switch,
        np.square,
        (X,),
        SQUARE,
        call=lambda x: ops.switch(ops.cast(ops.sum(x) * 0.0, "int32") + 1, [ops.tanh, ops.square, ops.exp], x),
    ),
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
