"""Products and distances of vectors."""

from __future__ import annotations

from typing import Any

import numpy as np

from oxiconv import _core
from oxiconv.ops import reduction
from oxiconv.ops.arrangement import moveaxis, ravel
from oxiconv.ops.elementwise import multiply
from oxiconv.ops.products import tensordot
from oxiconv.ops.promotion import as_one, numbers, reals, widened
from oxiconv.ops.reduction import axes_of
from oxiconv.symbolic import op
from oxiconv.tensor import ShapeError, Tensor, TensorLike, convert


@op
@widened
def inner(x1: TensorLike, x2: TensorLike) -> Tensor:
    """Sum over the last axes of both; a scalar multiplies.

    >>> int(inner([1, 2], [3, 4]))
    11
    """
    a, b = convert(x1), convert(x2)
    if not a.ndim or not b.ndim:
        return multiply(a, b)
    if a.shape[-1] != b.shape[-1]:
        raise ShapeError(f"inner: expected last axes of one size, got shapes {a.shape} and {b.shape}")
    return tensordot(a, b, [[a.ndim - 1], [b.ndim - 1]])


@op
@widened
def vdot(x1: TensorLike, x2: TensorLike) -> Tensor:
    """Sum of the products of all elements of both, flattened.

    >>> int(vdot([[1, 2]], [[3], [4]]))
    11
    """
    a, b = ravel(x1), ravel(x2)
    if a.size != b.size:
        raise ShapeError(f"vdot: expected as many elements, got shapes {convert(x1).shape} and {convert(x2).shape}")
    return inner(a, b)


@op
@widened
def kron(x1: TensorLike, x2: TensorLike) -> Tensor:
    """Each element of `x1` times all of `x2`, in its place.

    >>> kron([[1, 2]], [[1], [3]]).numpy().tolist()
    [[1, 2], [3, 6]]
    """
    a, b = as_one([convert(x1), convert(x2)])
    rank = max(a.ndim, b.ndim)
    m, n = ((1,) * (rank - x.ndim) + x.shape for x in (a, b))
    left = _core.reshape(a, [size for d in m for size in (d, 1)])
    right = _core.reshape(b, [size for d in n for size in (1, d)])
    return _core.reshape(multiply(left, right), [p * q for p, q in zip(m, n, strict=True)])


@op
@widened
def cross(
    x1: TensorLike, x2: TensorLike, axisa: int = -1, axisb: int = -1, axisc: int = -1, axis: int | None = None
) -> Tensor:
    """Cross product of vectors with 2 or 3 components along `axisa` and `axisb` (or `axis` of both).

    Of two with 2 components only the third of the product is not 0: then it alone is the result, without an axis.

    >>> cross([1, 0, 0], [0, 1, 0]).numpy().tolist()
    [0, 0, 1]
    """
    if axis is not None:
        axisa = axisb = axisc = axis
    a, b = as_one([numbers(x1), numbers(x2)])
    a, b = moveaxis(a, axisa, -1), moveaxis(b, axisb, -1)
    if a.shape[-1] not in (2, 3) or b.shape[-1] not in (2, 3):
        raise ShapeError(f"cross: expected 2 or 3 components, got {a.shape[-1]} and {b.shape[-1]}")
    flat = a.shape[-1] == b.shape[-1] == 2

    def part(x: Tensor, i: int) -> Any:
        if i >= x.shape[-1]:
            return convert(0, x.dtype)
        start, stop = [0] * x.ndim, list(x.shape)
        start[-1], stop[-1] = i, i + 1
        return _core.reshape(_core.slice(x, start, stop, [1] * x.ndim), x.shape[:-1])

    def component(i: int) -> Tensor:
        j, k = (i + 1) % 3, (i + 2) % 3
        return _core.binary(
            "sub", _core.binary("mul", part(a, j), part(b, k)), _core.binary("mul", part(a, k), part(b, j))
        )

    if flat:
        return component(2)
    dims = np.broadcast_shapes(a.shape[:-1], b.shape[:-1])
    parts = [_core.reshape(_core.broadcast_to(component(i), dims), (*dims, 1)) for i in range(3)]
    result = _core.concat(parts, len(dims))
    (place,) = axes_of(axisc, result.ndim, "cross")
    return result if place == result.ndim - 1 else moveaxis(result, -1, place)


@op
@widened
def cdist(x: TensorLike, y: TensorLike) -> Tensor:
    """Distances `[.., m, n]` of each of `[.., m, size]` to each of `[.., n, size]`.

    Where a distance is 0, its gradient is taken as 0.

    >>> cdist([[0.0, 0.0]], [[3.0, 4.0], [0.0, 1.0]]).numpy().tolist()
    [[5.0, 1.0]]
    """
    a, b = reals(x, y)
    if a.ndim < 2 or b.ndim < 2 or a.shape[-1] != b.shape[-1]:
        raise ShapeError(f"cdist: expected [.., m, size] and [.., n, size], got shapes {a.shape} and {b.shape}")
    a = _core.reshape(a, (*a.shape[:-1], 1, a.shape[-1]))
    b = _core.reshape(b, (*b.shape[:-2], 1, *b.shape[-2:]))
    gap = _core.binary("sub", a, b)
    total = reduction.sum(_core.binary("mul", gap, gap), axis=-1)
    zero = _core.binary("eq", total, 0.0)
    return _core.select(zero, 0.0, _core.unary("sqrt", _core.select(zero, 1.0, total)))
