"""Rows of linear algebra: vectors and linear systems."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from op_table.bounds import EXACT, Smooth
from op_table.case import Array, Case, row
from op_table.inputs import Inputs
from oxiconv import ops

draw = Inputs("systems")


def _cross(a: Array, b: Array, **axes: int) -> Array:
    if a.shape[-1] == b.shape[-1] == 2 and not axes:
        return a[..., 0] * b[..., 1] - a[..., 1] * b[..., 0]
    return np.cross(a, b, **axes)


def _vectors() -> Iterator[Case]:
    # Sums of at most 5 products.
    few = Smooth(8, lambda a, b: np.abs(a).max() * np.abs(b).max())
    yield row(ops.inner, np.inner, [draw.normal(5), draw.normal(5)], few)
    yield row(ops.inner, np.inner, [draw.normal(2, 4), draw.normal(3, 4)], few)
    yield row(ops.inner, np.inner, [draw.normal(), draw.normal(3)], few)
    yield row(ops.inner, np.inner, [draw.integers(-9, 9, 2, 4), draw.integers(-9, 9, 4)], EXACT)
    yield row(ops.vdot, np.vdot, [draw.normal(2, 2), draw.normal(2, 2)], few)
    for a, b in [((2, 3), (4, 1)), ((3,), (2, 2)), ((), (3,))]:
        yield row(ops.kron, np.kron, [draw.normal(*a), draw.normal(*b)], few)
    kinds: list[tuple[tuple[int, ...], tuple[int, ...], dict[str, Any]]] = [
        ((3,), (3,), {}),
        ((4, 3), (3,), {}),
        ((3, 4), (3, 4), {"axis": 0}),
        ((2,), (2,), {}),
    ]
    for a, b, axes in kinds:
        yield row(
            ops.cross,
            lambda x, y, s=axes: _cross(x, y, **s),
            [draw.normal(*a), draw.normal(*b)],
            few,
            f"{axes}",
            **axes,
        )
    mixed = [draw.normal(4, 2), draw.normal(4, 3)]
    yield row(ops.cross, lambda x, y: np.cross(np.pad(x, ((0, 0), (0, 1))), y, axisc=0), mixed, few, "mixed", axisc=0)
    yield row(
        ops.cdist,
        lambda x, y: np.sqrt(((x[..., :, None, :] - y[..., None, :, :]) ** 2).sum(-1)),
        [draw.normal(2, 3, 4), draw.normal(2, 2, 4) + 3],
        Smooth(14, lambda x, y: 3, lambda x, y: 1),
    )
    same = draw.normal(2, 3)
    yield row(
        ops.cdist,
        lambda x, y: np.sqrt(((x[:, None] - y) ** 2).sum(-1)),
        [same, same],
        Smooth(14),
        "same",
        differentiable=False,
    )


def _symmetric(x: Array) -> Array:
    """Any matrices as symmetric, positive definite ones."""
    return x @ np.swapaxes(x, -1, -2) + 2 * np.eye(x.shape[-1])


def _factored(x: Array) -> list[Array]:
    """The LU factors with row exchanges, by their definition."""
    lu, order = x.copy(), np.arange(len(x))
    for k in range(min(x.shape)):
        best = k + int(np.argmax(np.abs(lu[k:, k])))
        lu[[k, best]], order[[k, best]] = lu[[best, k]], order[[best, k]]
        lu[k + 1 :, k] /= lu[k, k]
        lu[k + 1 :, k + 1 :] -= np.outer(lu[k + 1 :, k], lu[k, k + 1 :])
    return [lu, order.astype(np.int32)]


def _signed_qr(x: Array, mode: Any = "reduced") -> list[Array]:
    q, r = np.linalg.qr(x, mode)
    return [q, r]


def _systems() -> Iterator[Case]:
    # Elimination of 4 rows takes some 16 operations, and its errors grow with the condition of the matrix, which the
    # derivatives in the bound hold; intermediate values are no more than some units.
    bound = Smooth(60, lambda *x: 4, lambda *x: 4)
    square, stack = draw.normal(4, 4) + 3 * np.eye(4, dtype=np.float32)[::-1], draw.normal(2, 3, 3)
    stack = (stack + 3 * np.eye(3)).astype(np.float32)
    for a, b in [(square, draw.normal(4)), (square, draw.normal(4, 2)), (stack, draw.normal(2, 3, 1))]:
        yield row(ops.solve, np.linalg.solve, [a, b], bound)
    for x in (square, stack):
        yield row(ops.inv, np.linalg.inv, [x], bound)
        yield row(ops.det, np.linalg.det, [x], Smooth(60, lambda x: 100, lambda x: 100))
        yield row(ops.slogdet, lambda x: [np.asarray(v) for v in np.linalg.slogdet(x)], [x], bound)
    exchanged = np.array([[0, 1], [1, 0]], np.float32)
    yield row(ops.det, np.linalg.det, [exchanged], Smooth(8), "exchanged")
    yield row(ops.lu_factor, _factored, [square], bound)
    yield row(ops.lu_factor, _factored, [draw.normal(4, 3)], bound, "tall")
    lower, upper = np.tril(square[::-1]).copy(), np.triu(square[::-1]).copy()
    solves: list[tuple[bool, Array, Callable[[Array], Array]]] = [(True, lower, np.tril), (False, upper, np.triu)]
    for low, a, part in solves:
        for b in (draw.normal(4), draw.normal(4, 2)):
            yield row(
                ops.solve_triangular,
                lambda a, b, p=part: np.linalg.solve(p(a), b),
                [a, b],
                bound,
                f"lower={low}",
                lower=low,
            )
    for dims in [(3, 3), (2, 2, 2)]:
        for up in (False, True):
            yield row(
                ops.cholesky,
                lambda x, u=up: (
                    np.swapaxes(np.linalg.cholesky(_symmetric(x)), -1, -2) if u else np.linalg.cholesky(_symmetric(x))
                ),
                [draw.normal(*dims)],
                bound,
                f"upper={up}",
                lambda x, u=up: ops.cholesky(ops.matmul(x, ops.swapaxes(x, -1, -2)) + 2 * ops.eye(x.shape[-1]), u),
            )
            inverse = [np.tril(draw.normal(3, 3)) + 2 * np.eye(3)]
            yield row(
                ops.cholesky_inverse,
                lambda x, u=up: np.linalg.inv(np.triu(x).T @ np.triu(x) if u else np.tril(x) @ np.tril(x).T),
                [(inverse[0].T if up else inverse[0]).astype(np.float32)],
                bound,
                f"upper={up}",
                upper=up,
            )
    yield row(
        ops.logdet,
        lambda x: np.linalg.slogdet(_symmetric(x))[1],
        [draw.normal(3, 3)],
        bound,
        "",
        lambda x: ops.logdet(ops.matmul(x, ops.swapaxes(x, -1, -2)) + 2 * ops.eye(3)),
    )
    for dims in [(4, 3), (3, 3), (2, 4)]:
        # Away from singular: there the factors have no derivatives.
        x = draw.normal(*dims) + 3 * np.eye(*dims, dtype=np.float32)
        yield row(ops.qr, _signed_qr, [x], bound)
    yield row(
        ops.qr,
        lambda x: _signed_qr(x, "complete"),
        [draw.normal(4, 2)],
        bound,
        "complete",
        differentiable=False,
        mode="complete",
    )


CASES = [*_vectors(), *_systems()]
