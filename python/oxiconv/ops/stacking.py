"""Joining and parting along rows, columns and depth; quarter turns."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np

from oxiconv import _core
from oxiconv.ops.arrangement import _part, concatenate, flip, ravel, swapaxes
from oxiconv.ops.reduction import axes_of
from oxiconv.symbolic import op
from oxiconv.tensor import ShapeError, Tensor, TensorLike, convert


def _at_least(x: Any, ndim: int) -> Tensor:
    """`x` with as many axes as NumPy's `atleast_*d` gives it."""
    x = convert(x)
    shapes = {
        (0, 1): (1,),
        (0, 2): (1, 1),
        (1, 2): (1, *x.shape),
        (0, 3): (1, 1, 1),
        (1, 3): (1, *x.shape, 1),
        (2, 3): (*x.shape, 1),
    }
    dims = shapes.get((x.ndim, ndim))
    return x if dims is None else _core.reshape(x, dims)


@op
def hstack(xs: Sequence[TensorLike]) -> Tensor:
    """Side by side: along the second axis, or the only one.

    >>> hstack([[[1], [2]], [[3], [4]]]).numpy().tolist()
    [[1, 3], [2, 4]]
    """
    tensors = [_at_least(x, 1) for x in xs]
    return concatenate(tensors, 0 if tensors and tensors[0].ndim == 1 else 1)


@op
def vstack(xs: Sequence[TensorLike]) -> Tensor:
    """One above the other: along the first of at least two axes.

    >>> vstack([[1, 2], [3, 4]]).numpy().tolist()
    [[1, 2], [3, 4]]
    """
    return concatenate([_at_least(x, 2) for x in xs], 0)


@op
def dstack(xs: Sequence[TensorLike]) -> Tensor:
    """One behind the other: along the third of at least three axes.

    >>> dstack([[1, 2], [3, 4]]).numpy().tolist()
    [[[1, 3], [2, 4]]]
    """
    return concatenate([_at_least(x, 3) for x in xs], 2)


@op
def append(x1: TensorLike, x2: TensorLike, axis: int | None = None) -> Tensor:
    """`x2` after `x1` along `axis` (default: both flattened).

    >>> append([1, 2], [[3], [4]]).numpy().tolist()
    [1, 2, 3, 4]
    """
    pair = [ravel(x1), ravel(x2)] if axis is None else [convert(x1), convert(x2)]
    return concatenate(pair, 0 if axis is None else axis)


@op
def array_split(x: TensorLike, indices_or_sections: int | Sequence[int], axis: int = 0) -> list[Tensor]:
    """As `split`, but a number need not divide the size: the first parts then have one more.

    >>> [part.shape for part in array_split([1, 2, 3, 4, 5], 2)]
    [(3,), (2,)]
    """
    from oxiconv.ops.arrangement import split

    if not isinstance(indices_or_sections, (int, np.integer)):
        return split(x, indices_or_sections, axis)
    count = int(indices_or_sections)
    if count < 1:
        raise ShapeError(f"array_split: expected at least 1 part, got {count}")
    x = convert(x)
    (place,) = axes_of(axis, x.ndim, "array_split")
    each, more = divmod(x.shape[place], count)
    cuts = [i * each + min(i, more) for i in range(count + 1)]
    return [_part(x, place, a, b) for a, b in itertools.pairwise(cuts)]


def _split_along(name: str, x: Any, parts: Any, axis: int, least: int) -> list[Tensor]:
    from oxiconv.ops.arrangement import split

    x = convert(x)
    if x.ndim < least:
        raise ShapeError(f"{name}: expected at least {least} axes, got shape {x.shape}")
    return split(x, parts, axis)


@op
def hsplit(x: TensorLike, indices_or_sections: int | Sequence[int]) -> list[Tensor]:
    """Parts along the second axis, or the only one.

    >>> [part.numpy().tolist() for part in hsplit([[1, 2, 3, 4]], 2)]
    [[[1, 2]], [[3, 4]]]
    """
    return _split_along("hsplit", x, indices_or_sections, 0 if convert(x).ndim == 1 else 1, 1)


@op
def vsplit(x: TensorLike, indices_or_sections: int | Sequence[int]) -> list[Tensor]:
    """Parts along the first axis.

    >>> [part.shape for part in vsplit([[1, 2], [3, 4]], 2)]
    [(1, 2), (1, 2)]
    """
    return _split_along("vsplit", x, indices_or_sections, 0, 2)


@op
def dsplit(x: TensorLike, indices_or_sections: int | Sequence[int]) -> list[Tensor]:
    """Parts along the third axis.

    >>> [part.shape for part in dsplit([[[1, 2], [3, 4]]], 2)]
    [(1, 2, 1), (1, 2, 1)]
    """
    return _split_along("dsplit", x, indices_or_sections, 2, 3)


@op
def fliplr(x: TensorLike) -> Tensor:
    """Columns in reverse order.

    >>> fliplr([[1, 2], [3, 4]]).numpy().tolist()
    [[2, 1], [4, 3]]
    """
    return flip(x, 1)


@op
def flipud(x: TensorLike) -> Tensor:
    """Rows in reverse order.

    >>> flipud([[1, 2], [3, 4]]).numpy().tolist()
    [[3, 4], [1, 2]]
    """
    return flip(x, 0)


@op
def rot90(array: TensorLike, k: int = 1, axes: Sequence[int] = (0, 1)) -> Tensor:
    """Turned by `k` quarters in the plane of `axes`, from the first towards the second.

    >>> rot90([[1, 2], [3, 4]]).numpy().tolist()
    [[2, 4], [1, 3]]
    """
    x = convert(array)
    first, second = (axes_of(a, x.ndim, "rot90")[0] for a in axes)
    if first == second:
        raise ShapeError(f"rot90: expected two different axes, got {tuple(axes)}")
    if k % 4 == 2:
        return flip(x, (first, second))
    if k % 4 == 1:
        return swapaxes(flip(x, second), first, second)
    return flip(swapaxes(x, first, second), second) if k % 4 else x
