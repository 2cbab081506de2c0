"""Connectionist temporal classification (Graves et al. 2006): its loss, and what a network's outputs spell."""

from __future__ import annotations

from typing import Any

import numpy as np

from oxiconv.ops.activation import log_softmax
from oxiconv.ops.arrangement import broadcast_to, concatenate, cumsum, pad, repeat, reshape, stack
from oxiconv.ops.comparison import equal, less, logical_and, not_equal, where
from oxiconv.ops.core import cast, stop_gradient
from oxiconv.ops.creation import arange
from oxiconv.ops.elementwise import add, clip, maximum, negative, subtract
from oxiconv.ops.exponential import exp, log
from oxiconv.ops.indexing import get_item
from oxiconv.ops.products import einsum
from oxiconv.ops.reduction import argmax, max, sum
from oxiconv.symbolic import op
from oxiconv.tensor import GraphError, ShapeError, Tensor, TensorLike, convert

__all__ = ["ctc_decode", "ctc_loss"]

# The logarithm of 0: sums of a few such stay finite, and have gradients.
_IMPOSSIBLE = -1e30
# What it costs to end before the target does: the logarithm of 1e-307, as in TensorFlow. So a target that the outputs
# are too few for has a loss, and a gradient.
_ASTRAY = -706.8935


@op
def ctc_loss(
    target: TensorLike, output: TensorLike, target_length: TensorLike, output_length: TensorLike, mask_index: int = 0
) -> Tensor:
    """Minus the logarithm of the probability that outputs spell targets, for each sample `[n]`.

    The recursion over time is on logarithms, so that nothing underflows; it is written out, and its gradient is exact.
    Where the outputs are too few for the target, the part of the target that they can spell counts as 1e-307.

    Args:
        target: class indices `[n, length]`.
        output: logits `[n, time, classes]`.
        target_length: how many of each target's indices count, `[n]`.
        output_length: how many of each sample's outputs count, `[n]`.
        mask_index: the class that separates others, and stands for none.

    >>> import numpy as np
    >>> float(ctc_loss([[1]], np.zeros((1, 1, 2)), [1], [1]))  # doctest: +ELLIPSIS
    0.693147...
    """
    labels, logits = convert(target, "int32"), convert(output, "float32")
    lengths, times = convert(target_length, "int32"), convert(output_length, "int32")
    if labels.ndim != 2 or logits.ndim != 3 or labels.shape[0] != logits.shape[0]:
        raise ShapeError(
            f"ctc_loss: expected target [n, length] and output [n, time, classes], got {labels.shape} and "
            f"{logits.shape}"
        )
    n, steps, classes = logits.shape
    if lengths.shape != (n,) or times.shape != (n,):
        raise ShapeError(f"ctc_loss: expected lengths of shape ({n},), got {lengths.shape} and {times.shape}")
    # States: a separator before, between and after the labels.
    blank = mask_index % classes
    width = 2 * labels.shape[1] + 1
    spaced = repeat(labels, 2, axis=1)
    states = where(np.arange(width) % 2 == 0, blank, concatenate([spaced, np.full((n, 1), blank, np.int32)], 1))
    # A state follows the one before the last if the separator between them can be left out.
    skips = logical_and(not_equal(states, blank), not_equal(states, pad(states, [[0, 0], [2, 0]])[:, :width]))
    skips = logical_and(skips, np.arange(width) > 1)
    log_p = clip(log_softmax(logits), _IMPOSSIBLE, 0.0)
    # The probability of each state at each time. A product with ones and zeros, as it is a batch of products.
    of_state = cast(equal(reshape(states, (n, width, 1)), np.arange(classes, dtype=np.int32)), "float32")
    chances = einsum("ntc,nsc->nts", log_p, of_state)
    alpha = where(np.arange(width) < 2, get_item(chances, (slice(None), 0)), _IMPOSSIBLE)
    for t in range(1, steps):
        one, two = (_moved(alpha, by) for by in (1, 2))
        two = where(skips, two, _IMPOSSIBLE)
        peak = stop_gradient(maximum(maximum(alpha, one), two))
        total = add(add(exp(subtract(alpha, peak)), exp(subtract(one, peak))), exp(subtract(two, peak)))
        after = add(add(log(total), peak), get_item(chances, (slice(None), t)))
        alpha = where(reshape(less(t, times), (n, 1)), after, alpha)
    # Either of the last two states may end; without labels there is only the separator.
    place, ends = arange(width), reshape(lengths * 2, (n, 1))
    valid = logical_and(less(place, ends + 1), less(ends - 2, place))
    last = where(valid, alpha, add(alpha, _ASTRAY))
    peak = stop_gradient(max(last, axis=1, keepdims=True))
    loss = negative(add(log(sum(exp(subtract(last, peak)), axis=1)), reshape(peak, (n,))))
    return where(less(0, times), loss, where(less(0, lengths), -_ASTRAY, 0.0))


def _moved(x: Tensor, by: int) -> Tensor:
    """States moved up, with impossible ones below."""
    n, width = x.shape
    low = np.full((n, min(by, width)), _IMPOSSIBLE, np.float32)
    return concatenate([low, get_item(x, (slice(None), slice(0, width - min(by, width))))], 1)


@op
def ctc_decode(
    inputs: TensorLike,
    sequence_lengths: TensorLike,
    strategy: str = "greedy",
    beam_width: int = 100,
    top_paths: int = 1,
    merge_repeated: bool = True,
    mask_index: int = 0,
) -> tuple[Tensor, Tensor]:
    """What a network's outputs spell.

    Args:
        inputs: logits `[n, time, classes]`.
        sequence_lengths: how many of each sample's outputs count, `[n]`.
        strategy: "greedy", the likeliest class at each time, or "beam_search", the likeliest labels over all ways to
            spell them. The search follows the data, so it cannot be traced.
        beam_width: how many beginnings the search follows.
        top_paths: how many results the search returns.
        merge_repeated: whether the same class several times in a row counts once, without a separator between.
        mask_index: the class that separates others, and stands for none.

    Returns:
        Class indices `[paths, n, time]`, with -1 after the last; and scores: minus the sum of the largest logits,
        `[n, 1]`, or the log probabilities `[n, top_paths]` of the search.

    >>> import numpy as np
    >>> logits = np.log([[[0.1, 0.8, 0.1], [0.1, 0.8, 0.1], [0.2, 0.1, 0.7]]])
    >>> ctc_decode(logits, [3])[0].numpy().tolist()
    [[[1, 2, -1]]]
    """
    x, lengths = convert(inputs, "float32"), convert(sequence_lengths, "int32")
    if x.ndim != 3 or lengths.shape != x.shape[:1]:
        raise ShapeError(
            f"ctc_decode: expected inputs [n, time, classes] and lengths [n], got {x.shape} and {lengths.shape}"
        )
    if strategy == "greedy":
        return _greedy(x, lengths, merge_repeated, mask_index % x.shape[2])
    if strategy != "beam_search":
        raise ValueError(f"ctc_decode: expected strategy 'greedy' or 'beam_search', got {strategy!r}")
    if x.traced or lengths.traced:
        raise GraphError(
            "ctc_decode: strategy 'beam_search' follows the data, and the inputs are traced; decode outside of the "
            "step, or run it eagerly (run_eagerly=True)"
        )
    if not 1 <= top_paths <= beam_width:
        raise ValueError(f"ctc_decode: expected top_paths from 1 to beam_width {beam_width}, got {top_paths}")
    log_p = log_softmax(x).numpy().astype(np.float64)
    n, steps, classes = log_p.shape
    paths = np.full((top_paths, n, steps), -1, np.int32)
    scores = np.full((n, top_paths), -np.inf, np.float32)
    for i, length in enumerate(lengths.numpy()):
        found = beam_search(log_p[i, :length], beam_width, mask_index % classes)
        for rank, (labels, score) in enumerate(found[:top_paths]):
            paths[rank, i, : len(labels)] = labels
            scores[i, rank] = score
    return convert(paths), convert(scores)


def _greedy(x: Tensor, lengths: Tensor, merge: bool, blank: int) -> tuple[Tensor, Tensor]:
    n, steps, _ = x.shape
    best = cast(argmax(x, axis=2), "int32")
    valid = less(np.arange(steps, dtype=np.int32), reshape(lengths, (n, 1)))
    kept = logical_and(valid, not_equal(best, blank))
    if merge and steps > 1:
        new = not_equal(get_item(best, (slice(None), slice(1, None))), get_item(best, (slice(None), slice(0, -1))))
        kept = logical_and(kept, concatenate([np.ones((n, 1), np.bool_), new], 1))
    # Where each goes; what is not kept goes nowhere.
    place = where(kept, subtract(cumsum(cast(kept, "int32"), axis=1), 1), -1)
    there = equal(reshape(place, (n, steps, 1)), np.arange(steps, dtype=np.int32))
    values = broadcast_to(reshape(add(best, 1), (n, steps, 1)), (n, steps, steps))
    labels = subtract(sum(where(there, values, 0), axis=1), 1)
    score = negative(sum(where(valid, max(x, axis=2), 0.0), axis=1, keepdims=True))
    return stack([labels]), score


def beam_search(log_p: Any, width: int, blank: int) -> list[tuple[tuple[int, ...], float]]:
    """The likeliest labels for log probabilities `[time, classes]`, best first, with their log probabilities.

    Each beginning has two probabilities: to end with a separator, and to end with its last label (Hannun 2014).
    """
    minus = -np.inf
    beams: dict[tuple[int, ...], tuple[float, float]] = {(): (0.0, minus)}
    for now in log_p:
        after: dict[tuple[int, ...], tuple[float, float]] = {}

        def reach(labels: tuple[int, ...], separated: float, labelled: float, after: Any = after) -> None:
            a, b = after.get(labels, (minus, minus))
            after[labels] = (float(np.logaddexp(a, separated)), float(np.logaddexp(b, labelled)))

        for labels, (separated, labelled) in beams.items():
            either = float(np.logaddexp(separated, labelled))
            reach(labels, either + now[blank], minus)
            for c, p in enumerate(now):
                if c == blank:
                    continue
                if labels and labels[-1] == c:
                    reach(labels, minus, labelled + p)
                    reach((*labels, c), minus, separated + p)
                else:
                    reach((*labels, c), minus, either + p)
        ranked = sorted(after.items(), key=lambda item: -np.logaddexp(*item[1]))
        beams = dict(ranked[:width])
    return [(labels, float(np.logaddexp(*p))) for labels, p in beams.items()]
