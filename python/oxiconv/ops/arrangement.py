"""Shapes and order of elements."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from oxiconv import _core
from oxiconv.ops.core import check_flat, wrap
from oxiconv.ops.promotion import whole_truths
from oxiconv.ops.reduction import axes_of, restore
from oxiconv.symbolic import op
from oxiconv.tensor import ShapeError, Tensor, TensorLike, convert, narrowest_common

if TYPE_CHECKING:
    from collections.abc import Sequence


@op
def reshape(x: TensorLike, newshape: int | Sequence[int]) -> Tensor:
    """The same elements in other sizes, one of which may be -1.

    >>> reshape([1, 2, 3, 4, 5, 6], (2, -1)).shape
    (2, 3)
    """
    x = convert(x)
    dims = [int(n) for n in ([newshape] if isinstance(newshape, int) else newshape)]
    known = int(np.prod([n for n in dims if n != -1], dtype=np.int64))
    if dims.count(-1) == 1 and known and x.size % known == 0:
        dims[dims.index(-1)] = x.size // known
    if any(n < 0 for n in dims) or int(np.prod(dims, dtype=np.int64)) != x.size:
        raise ShapeError(f"reshape: expected sizes for {x.size} elements of shape {x.shape}, got {newshape}")
    return _core.reshape(x, dims)


@op
def ravel(x: TensorLike) -> Tensor:
    """All elements along one axis.

    >>> ravel([[1, 2], [3, 4]]).numpy().tolist()
    [1, 2, 3, 4]
    """
    x = convert(x)
    return _core.reshape(x, (x.size,))


@op
def transpose(x: TensorLike, axes: Sequence[int] | None = None) -> Tensor:
    """Axes in the order `axes` (default: reversed).

    >>> transpose([[1, 2, 3]]).shape
    (3, 1)
    """
    x = convert(x)
    order = list(range(x.ndim))[::-1] if axes is None else [int(a) + x.ndim * (a < 0) for a in axes]
    if sorted(order) != list(range(x.ndim)):
        raise ShapeError(f"transpose: expected an order of {x.ndim} axes, got {axes}")
    return x if order == sorted(order) else _core.permute(x, order)


@op
def swapaxes(x: TensorLike, axis1: int, axis2: int) -> Tensor:
    """Two axes exchanged.

    >>> swapaxes([[1, 2, 3]], 0, 1).shape
    (3, 1)
    """
    x = convert(x)
    (a,), (b,) = axes_of(axis1, x.ndim, "swapaxes"), axes_of(axis2, x.ndim, "swapaxes")
    order = list(range(x.ndim))
    order[a], order[b] = b, a
    return _core.permute(x, order)


@op
def moveaxis(x: TensorLike, source: int | Sequence[int], destination: int | Sequence[int]) -> Tensor:
    """Axes moved to other places; the rest keep their order.

    >>> moveaxis([[[1, 2, 3]]], 2, 0).shape
    (3, 1, 1)
    """
    x = convert(x)
    sources = [source] if isinstance(source, int) else list(source)
    places = [destination] if isinstance(destination, int) else list(destination)
    axes_of(sources, x.ndim, "moveaxis")
    axes_of(places, x.ndim, "moveaxis")
    if len(sources) != len(places):
        raise ShapeError(f"moveaxis: expected as many destinations as sources, got {source} and {destination}")
    moved = {p % x.ndim: s % x.ndim for p, s in zip(places, sources, strict=True)}
    rest = iter([a for a in range(x.ndim) if a not in moved.values()])
    return _core.permute(x, [moved[p] if p in moved else next(rest) for p in range(x.ndim)])


@op
def expand_dims(x: TensorLike, axis: int | Sequence[int]) -> Tensor:
    """Axes of size 1 inserted so that they stand at `axis` in the result.

    >>> expand_dims([1, 2], 0).shape
    (1, 2)
    """
    x = convert(x)
    count = 1 if isinstance(axis, int) else len(axis)
    return restore(x, axes_of(axis, x.ndim + count, "expand_dims"))


@op
def squeeze(x: TensorLike, axis: int | Sequence[int] | None = None) -> Tensor:
    """Without the axes `axis` of size 1 (default: all of size 1).

    >>> squeeze([[[1], [2]]]).shape
    (2,)
    """
    x = convert(x)
    axes = [a for a, n in enumerate(x.shape) if n == 1] if axis is None else axes_of(axis, x.ndim, "squeeze")
    if any(x.shape[a] != 1 for a in axes):
        raise ShapeError(f"squeeze: expected axes of size 1, got {axis} of shape {x.shape}")
    return _core.reshape(x, [n for a, n in enumerate(x.shape) if a not in axes])


@op
def broadcast_to(x: TensorLike, shape: Sequence[int]) -> Tensor:
    """`x` repeated to `shape` by NumPy's rules.

    >>> broadcast_to([1, 2], (2, 2)).numpy().tolist()
    [[1, 2], [1, 2]]
    """
    x = convert(x)
    dims = tuple(int(n) for n in shape)
    tail = dims[len(dims) - x.ndim :] if x.ndim <= len(dims) else ()
    if x.ndim > len(dims) or any(m not in (1, n) for m, n in zip(x.shape, tail, strict=True)):
        raise ShapeError(f"broadcast_to: expected a shape that {x.shape} broadcasts to, got {dims}")
    return _core.broadcast_to(x, dims)


@op
def concatenate(xs: Sequence[TensorLike], axis: int = 0) -> Tensor:
    """Tensors one after another along `axis`; other sizes are equal.

    >>> concatenate([[1, 2], [3]]).numpy().tolist()
    [1, 2, 3]
    """
    tensors = [convert(x) for x in xs]
    if not tensors:
        raise ShapeError("concatenate: expected at least one tensor, got none")
    first = tensors[0]
    (place,) = axes_of(axis, first.ndim, "concatenate")
    for t in tensors[1:]:
        if t.shape[:place] + t.shape[place + 1 :] != first.shape[:place] + first.shape[place + 1 :]:
            raise ShapeError(
                f"concatenate: expected equal shapes except along axis {place}, got {[t.shape for t in tensors]}"
            )
    common = narrowest_common(tensors)
    return _core.concat([_core.cast(t, common) if t.dtype != common else t for t in tensors], place)


@op
def stack(x: Sequence[TensorLike], axis: int = 0) -> Tensor:
    """Tensors of one shape along a new axis.

    >>> stack([[1, 2], [3, 4]], axis=1).numpy().tolist()
    [[1, 3], [2, 4]]
    """
    tensors = [convert(t) for t in x]
    if not tensors or len({t.shape for t in tensors}) != 1:
        raise ShapeError(f"stack: expected tensors of one shape, got {[t.shape for t in tensors]}")
    axes = axes_of(axis, tensors[0].ndim + 1, "stack")
    return concatenate([restore(t, axes) for t in tensors], axes[0])


@op
def split(x: TensorLike, indices_or_sections: int | Sequence[int], axis: int = 0) -> list[Tensor]:
    """Equal parts along `axis`, or the parts between the given indices.

    >>> [part.shape for part in split([1, 2, 3, 4, 5, 6], [2, 3])]
    [(2,), (1,), (3,)]
    """
    x = convert(x)
    (place,) = axes_of(axis, x.ndim, "split")
    n = x.shape[place]
    if isinstance(indices_or_sections, int):
        if indices_or_sections < 1 or n % indices_or_sections:
            raise ShapeError(f"split: expected a number that divides {n}, got {indices_or_sections}")
        cuts = list(range(0, n + 1, n // indices_or_sections)) if n else [0] * (indices_or_sections + 1)
    else:
        cuts = [0, *(min(max(int(i) + (n if i < 0 else 0), 0), n) for i in indices_or_sections), n]
    return [_part(x, place, a, max(a, b)) for a, b in itertools.pairwise(cuts)]


def _part(x: Tensor, axis: int, start: int, stop: int) -> Tensor:
    low = [start if a == axis else 0 for a in range(x.ndim)]
    high = [stop if a == axis else n for a, n in enumerate(x.shape)]
    return _core.slice(x, low, high, [1] * x.ndim)


@op
def tile(x: TensorLike, repeats: int | Sequence[int]) -> Tensor:
    """`x` repeated as a whole along each axis.

    >>> tile([1, 2], 2).numpy().tolist()
    [1, 2, 1, 2]
    """
    x = convert(x)
    times = [repeats] if isinstance(repeats, int) else list(repeats)
    rank = max(x.ndim, len(times))
    times = [1] * (rank - len(times)) + times
    dims = [1] * (rank - x.ndim) + list(x.shape)
    split_dims = [n for d in dims for n in (1, d)]
    wide = [n for t, d in zip(times, dims, strict=True) for n in (t, d)]
    return _core.reshape(
        _core.broadcast_to(_core.reshape(x, split_dims), wide), [t * d for t, d in zip(times, dims, strict=True)]
    )


@op
def repeat(x: TensorLike, repeats: int, axis: int | None = None) -> Tensor:
    """Each element `repeats` times along `axis` (default: of the flattened tensor).

    >>> repeat([1, 2], 2).numpy().tolist()
    [1, 1, 2, 2]
    """
    x = convert(x)
    if not isinstance(repeats, int):
        raise ShapeError(f"repeat: expected one whole number of repeats, got {repeats!r}")
    if axis is None:
        x, axis = ravel(x), 0
    (place,) = axes_of(axis, x.ndim, "repeat")
    dims = list(x.shape)
    wide = [*dims[: place + 1], repeats, *dims[place + 1 :]]
    dims[place] *= repeats
    return _core.reshape(_core.broadcast_to(restore(x, [place + 1]), wide), dims)


@op
def pad(
    x: TensorLike,
    pad_width: int | Sequence[Any],
    mode: str = "constant",
    constant_values: float | None = None,
) -> Tensor:
    """Elements added around: `pad_width` is (before, after) per axis, one pair for all, or one number.

    `mode` is "constant" (zeros, or `constant_values`), "reflect", "symmetric" or "edge".

    >>> pad([1, 2], (1, 2)).numpy().tolist()
    [0, 1, 2, 0, 0]
    """
    x = convert(x)
    widths = np.broadcast_to(np.asarray(pad_width), (x.ndim, 2)).tolist()
    if any(w < 0 for pair in widths for w in pair):
        raise ShapeError(f"pad: expected widths of at least 0, got {pad_width}")
    low, high = [p[0] for p in widths], [p[1] for p in widths]
    zeros = [0] * x.ndim
    if mode == "constant":
        padded = _core.pad(x, low, high, zeros)
        if not constant_values:
            return padded
        inside = _core.pad(convert(np.ones(x.shape, np.bool_)), low, high, zeros)
        return _core.select(inside, padded, convert(constant_values, x.dtype))
    if mode not in ("reflect", "symmetric", "edge"):
        raise ValueError(f"pad: expected mode 'constant', 'reflect', 'symmetric' or 'edge', got {mode!r}")
    if constant_values is not None:
        raise ValueError(f"pad: expected constant_values only with mode 'constant', got mode {mode!r}")
    for axis, (before, after) in enumerate(widths):
        if before or after:
            if x.shape[axis] == 0 or (mode == "reflect" and x.shape[axis] == 1):
                raise ShapeError(f"pad: mode {mode!r} needs more elements along axis {axis} of shape {x.shape}")
            line = np.arange(x.shape[axis], dtype=np.int32)
            order = np.pad(line, (before, after), mode=cast("Any", mode))
            x = _core.gather(x, convert(order), axis)
    return x


@op
def flip(x: TensorLike, axis: int | Sequence[int] | None = None) -> Tensor:
    """Order reversed along `axis` (default: all).

    >>> flip([1, 2, 3]).numpy().tolist()
    [3, 2, 1]
    """
    x = convert(x)
    for a in axes_of(axis, x.ndim, "flip"):
        x = _core.gather(x, convert(np.arange(x.shape[a] - 1, -1, -1, dtype=np.int32)), a)
    return x


@op
def roll(x: TensorLike, shift: int, axis: int | None = None) -> Tensor:
    """Elements moved by `shift` along `axis` (default: of the flattened tensor), around the end.

    >>> roll([1, 2, 3], 1).numpy().tolist()
    [3, 1, 2]
    """
    x = convert(x)
    if axis is None:
        return _core.reshape(roll(ravel(x), shift, 0), x.shape)
    (place,) = axes_of(axis, x.ndim, "roll")
    n = x.shape[place]
    cut = -int(shift) % n if n else 0
    return _core.concat([_part(x, place, cut, n), _part(x, place, 0, cut)], place) if cut else x


@op
def take(x: TensorLike, indices: TensorLike, axis: int | None = None) -> Tensor:
    """Slices of `x` at `indices` along `axis` (default: of the flattened tensor); negative ones count from the end.

    >>> take([10, 20, 30], [2, 0]).numpy().tolist()
    [30, 10]
    """
    x = convert(x)
    if axis is None:
        x, axis = ravel(x), 0
    (place,) = axes_of(axis, x.ndim, "take")
    return _core.gather(x, wrap(convert(indices), x.shape[place], "take"), place)


@op
def take_along_axis(x: TensorLike, indices: TensorLike, axis: int | None = None) -> Tensor:
    """Elements of `x` at `indices`, which has the shape of `x` except along `axis` (and broadcasts there).

    >>> take_along_axis([[1, 2], [3, 4]], [[1], [0]], axis=1).numpy().tolist()
    [[2], [3]]
    """
    x, index = convert(x), convert(indices)
    if axis is None:
        x, index, axis = ravel(x), ravel(index), 0
    (place,) = axes_of(axis, x.ndim, "take_along_axis")
    if index.ndim != x.ndim:
        raise ShapeError(f"take_along_axis: expected indices with {x.ndim} axes, got shape {index.shape}")
    index = wrap(index, x.shape[place], "take_along_axis")
    check_flat(x.size, "take_along_axis")
    dims = [index.shape[a] if a == place else n for a, n in enumerate(x.shape)]
    index = broadcast_to(index, dims)
    strides = [int(np.prod(x.shape[a + 1 :], dtype=np.int64)) for a in range(x.ndim)]
    offset = np.zeros([1] * x.ndim, np.int32)
    for a in range(x.ndim):
        if a != place:
            line = np.arange(dims[a], dtype=np.int32) * strides[a]
            offset = offset + line.reshape([-1 if b == a else 1 for b in range(x.ndim)])
    flat = _core.binary("add", _core.binary("mul", index, strides[place]), convert(offset))
    return _core.gather(_core.reshape(x, (x.size,)), flat, 0)


@op
def cumsum(x: TensorLike, axis: int | None = None, dtype: Any = None) -> Tensor:
    """Running sums along `axis` (default: of the flattened tensor).

    >>> cumsum([1, 2, 3]).numpy().tolist()
    [1, 3, 6]
    """
    x = whole_truths(x) if dtype is None else convert(x, dtype)
    if axis is None:
        x, axis = ravel(x), 0
    (place,) = axes_of(axis, x.ndim, "cumsum")
    n, shift = x.shape[place], 1
    zeros = [0] * x.ndim
    while shift < n:  # after each round an element holds the sum of the last 2 * shift
        low = [shift if a == place else 0 for a in range(x.ndim)]
        x = _core.binary("add", x, _core.pad(_part(x, place, 0, n - shift), low, zeros, zeros))
        shift *= 2
    return x


@op
def meshgrid(*x: TensorLike, indexing: str = "xy") -> list[Tensor]:
    """Coordinate grids of one-dimensional tensors, in Cartesian ("xy") or matrix ("ij") order.

    >>> [grid.numpy().tolist() for grid in meshgrid([1, 2], [3])]
    [[[1, 2]], [[3, 3]]]
    """
    if indexing not in ("xy", "ij"):
        raise ValueError(f"meshgrid: expected indexing 'xy' or 'ij', got {indexing!r}")
    lines = [ravel(t) for t in x]
    order = list(range(len(lines)))
    if indexing == "xy" and len(lines) > 1:
        order[:2] = [1, 0]
    dims = [lines[i].size for i in order]
    return [
        _core.broadcast_to(_core.reshape(t, [t.size if i == j else 1 for j in order]), dims)
        for i, t in enumerate(lines)
    ]


def _triangle(x: Tensor, k: int, lower: bool) -> Tensor:
    if x.ndim < 2:
        raise ShapeError(f"{'tril' if lower else 'triu'}: expected at least 2 axes, got shape {x.shape}")
    mask = np.tri(x.shape[-2], x.shape[-1], k if lower else k - 1, dtype=np.bool_)
    return _core.select(convert(mask if lower else ~mask), x, convert(0, x.dtype))


@op
def tril(x: TensorLike, k: int = 0) -> Tensor:
    """Zeros above the k-th diagonal of the last two axes.

    >>> tril([[1, 2], [3, 4]]).numpy().tolist()
    [[1, 0], [3, 4]]
    """
    return _triangle(convert(x), k, lower=True)


@op
def triu(x: TensorLike, k: int = 0) -> Tensor:
    """Zeros below the k-th diagonal of the last two axes.

    >>> triu([[1, 2], [3, 4]]).numpy().tolist()
    [[1, 2], [0, 4]]
    """
    return _triangle(convert(x), k, lower=False)


@op
def unstack(x: TensorLike, num: int | None = None, axis: int = 0) -> list[Tensor]:
    """The slices along `axis`, without it.

    >>> [part.numpy().tolist() for part in unstack([[1, 2], [3, 4]], axis=1)]
    [[1, 3], [2, 4]]
    """
    x = convert(x)
    (place,) = axes_of(axis, x.ndim, "unstack")
    if num is not None and num != x.shape[place]:
        raise ShapeError(f"unstack: expected {num} slices along axis {place}, got shape {x.shape}")
    rest = [n for a, n in enumerate(x.shape) if a != place]
    return [_core.reshape(_part(x, place, i, i + 1), rest) for i in range(x.shape[place])]
