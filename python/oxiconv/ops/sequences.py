"""Reordering by a pattern, and cutting into overlapping pieces."""

from __future__ import annotations

import math
import re
from typing import Any

import numpy as np

from oxiconv import _core
from oxiconv.ops.convolution import positive
from oxiconv.symbolic import op
from oxiconv.tensor import ShapeError, Tensor, TensorLike, convert


@op
def extract_sequences(x: TensorLike, sequence_length: int, sequence_stride: int) -> Tensor:
    """Overlapping pieces of the last axis: `[.., n]` to `[.., pieces, sequence_length]`.

    >>> extract_sequences([1, 2, 3, 4], 3, 1).numpy().tolist()
    [[1, 2, 3], [2, 3, 4]]
    """
    x = convert(x)
    length = positive(sequence_length, "extract_sequences", "sequence_length")
    stride = positive(sequence_stride, "extract_sequences", "sequence_stride")
    if not x.ndim:
        raise ShapeError("extract_sequences: expected at least one axis, got a scalar")
    count = max((x.shape[-1] - length) // stride + 1, 0)
    places = np.arange(count, dtype=np.int32)[:, None] * stride + np.arange(length, dtype=np.int32)
    return _core.gather(x, convert(places), x.ndim - 1)


@op
def rearrange(tensor: TensorLike, pattern: str, **axes_lengths: int) -> Tensor:
    """Axes split, reordered and joined as a pattern of names says, such as "b h (w c) -> b (h w) c".

    Sizes of names that a parenthesis joins on the left are given as arguments, all but one.

    >>> rearrange([[1, 2], [3, 4]], "a b -> (b a)").numpy().tolist()
    [1, 3, 2, 4]
    """
    x = convert(tensor)
    left, arrow, right = pattern.partition("->")
    if not arrow:
        raise ValueError(f"rearrange: expected a pattern with '->', got {pattern!r}")
    sources, results = _groups(left, pattern), _groups(right, pattern)
    names = [name for group in sources for name in group]
    wanted = [name for group in results for name in group]
    if len(set(names)) != len(names) or sorted(names) != sorted(wanted):
        raise ValueError(f"rearrange: expected the same different names on both sides, got {pattern!r}")
    if len(sources) != x.ndim:
        raise ShapeError(f"rearrange: expected {len(sources)} axes for {pattern!r}, got shape {x.shape}")
    sizes = dict(axes_lengths)
    for group, n in zip(sources, x.shape, strict=True):
        open_names = [name for name in group if name not in sizes]
        known = math.prod(sizes[name] for name in group if name in sizes)
        if len(open_names) == 1 and known and n % known == 0:
            sizes[open_names[0]] = n // known
        elif open_names or known != n:
            given = {name: sizes[name] for name in group if name in sizes}
            raise ShapeError(f"rearrange: expected sizes of {group} with the product {n}, got {given}")
    x = _core.reshape(x, [sizes[name] for name in names])
    order = [names.index(name) for name in wanted]
    x = x if order == sorted(order) else _core.permute(x, order)
    return _core.reshape(x, [math.prod(sizes[name] for name in group) for group in results])


def _groups(side: str, pattern: str) -> list[list[str]]:
    """The names on one side of a pattern, joined ones together."""
    tokens: list[Any] = re.findall(r"\(([^()]*)\)|([A-Za-z_]\w*)", side)
    rest = re.sub(r"\([^()]*\)|[A-Za-z_]\w*", "", side).strip()
    if rest:
        raise ValueError(f"rearrange: expected names and parentheses, got {rest!r} in {pattern!r}")
    return [joined.split() if joined or not name else [name] for joined, name in tokens]
