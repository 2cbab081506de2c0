"""Linear systems by elimination, written out step by step: traced and differentiable to any order.

One step per row: meant for the matrices of a model, up to a few hundred rows.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from oxiconv import _core
from oxiconv.ops import reduction
from oxiconv.ops.arrangement import broadcast_to, swapaxes, take_along_axis
from oxiconv.ops.diagonals import diagonal
from oxiconv.ops.products import matmul
from oxiconv.ops.promotion import real, reals, widened
from oxiconv.symbolic import op
from oxiconv.tensor import ShapeError, Tensor, TensorLike, convert


def matrices(x: Any, name: str, square: bool = False) -> Tensor:
    """`x` as real matrices `[.., m, n]`."""
    found = real(x)
    if found.ndim < 2 or (square and found.shape[-1] != found.shape[-2]):
        raise ShapeError(f"{name}: expected {'square ' if square else ''}matrices, got shape {found.shape}")
    return found


def _line(x: Tensor, axis: int, i: int) -> Tensor:
    """Row (-2) or column (-1) `i`, with its axis of size 1."""
    start, stop = [0] * x.ndim, list(x.shape)
    start[axis], stop[axis] = i, i + 1
    return _core.slice(x, start, stop, [1] * x.ndim)


def _only(test: Any, x: Tensor) -> Tensor:
    """`x`, 0 where the known `test` fails."""
    return _core.select(convert(np.asarray(test)), x, convert(0, x.dtype))


def _sub(a: Tensor, b: Tensor) -> Tensor:
    return _core.binary("sub", a, b)


def _mul(a: Tensor, b: Tensor) -> Tensor:
    return _core.binary("mul", a, b)


def _pivoted(x: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """Rows from `k` on exchanged so that the largest element of column `k` is in row `k`; and the rows' order."""
    n = x.shape[-2]
    column = _core.detach(_core.unary("abs", _line(x, -1, k)))
    candidates = _core.select(convert(np.arange(n)[:, None] >= k), column, -1.0)
    best = reduction.argmax(candidates, axis=-2, keepdims=True)
    rows = convert(np.arange(n, dtype=np.int32)[:, None])
    order = _core.select(_core.binary("eq", rows, best), convert(k, "int32"), rows)
    order = _core.select(_core.binary("eq", rows, k), best, order)
    return take_along_axis(x, order, -2), order


def _finite(result: Tensor, name: str, what: str, *given: Tensor) -> Tensor:
    known = not any(t.traced for t in (result, *given))
    if known and not np.isfinite(result.numpy()).all() and all(np.isfinite(t.numpy()).all() for t in given):
        raise ValueError(f"{name}: expected {what}")
    return result


@op
def lu_factor(x: TensorLike) -> tuple[Tensor, Tensor]:
    """LU factors of matrices, both in one (the unit diagonal of L is left out), and which row each row was.

    >>> lu, rows = lu_factor([[1.0, 2.0], [2.0, 2.0]])
    >>> lu.numpy().tolist(), rows.numpy().tolist()
    ([[2.0, 2.0], [0.5, 1.0]], [1, 0])
    """
    lu, order, _ = _factors(matrices(x, "lu_factor"))
    return lu, order


def _factors(x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Factors, order of rows, and the sign of that order."""
    m, n = x.shape[-2:]
    rows, columns = np.arange(m)[:, None], np.arange(n)
    lead = x.shape[:-2]
    order = _core.broadcast_to(convert(np.arange(m, dtype=np.int32)[:, None]), (*lead, m, 1))
    sign = _core.broadcast_to(convert(1, x.dtype), lead)
    for k in range(min(m, n)):
        x, moved = _pivoted(x, k)
        order = take_along_axis(order, moved, -2)
        stays = _core.binary("eq", _core.reshape(_line(moved, -2, k), lead), k)
        sign = _core.select(stays, sign, _core.unary("neg", sign))
        pivot = _line(_line(x, -2, k), -1, k)
        # Below a pivot of 0 the column is 0 already.
        safe = _core.select(_core.binary("eq", pivot, 0.0), 1.0, pivot)
        factor = _only(rows > k, _core.binary("div", _line(x, -1, k), safe))
        x = _sub(x, _mul(factor, _only(columns > k, _line(x, -2, k))))
        x = _core.select(convert((rows > k) & (columns == k)), factor, x)
    return x, _core.reshape(order, (*lead, m)), sign


def _eliminated(a: Tensor, b: Tensor) -> Tensor:
    """The solution of `a @ x = b`, by exchanging rows and clearing whole columns."""
    n = a.shape[-1]
    rows = np.arange(n)[:, None]
    both = _core.concat([a, b], a.ndim - 1)
    for k in range(n):
        both, _ = _pivoted(both, k)
        row = _core.binary("div", _line(both, -2, k), _line(_line(both, -2, k), -1, k))
        cleared = _sub(both, _mul(_line(both, -1, k), row))
        both = _core.select(convert(rows == k), row, cleared)
    start = [0] * both.ndim
    start[-1] = n
    return _core.slice(both, start, both.shape, [1] * both.ndim)


def _system(a: Any, b: Any, name: str) -> tuple[Tensor, Tensor, bool]:
    """Matrices and right sides of equal leading axes; whether the right side was a vector."""
    a, b = reals(a, b)
    a = matrices(a, name, square=True)
    vector = b.ndim == a.ndim - 1
    b = _core.reshape(b, (*b.shape, 1)) if vector else b
    if b.ndim < 2 or b.shape[-2] != a.shape[-1]:
        raise ShapeError(f"{name}: expected right sides of {a.shape[-1]} rows, got shape {b.shape}")
    lead = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    return broadcast_to(a, (*lead, *a.shape[-2:])), broadcast_to(b, (*lead, *b.shape[-2:])), vector


def _unboxed(x: Tensor, vector: bool) -> Tensor:
    return _core.reshape(x, x.shape[:-1]) if vector else x


@op
@widened
def solve(a: TensorLike, b: TensorLike) -> Tensor:
    """The solution of `a @ x = b`, for square matrices and vectors or matrices `b`.

    >>> solve([[2.0, 0.0], [0.0, 4.0]], [2.0, 2.0]).numpy().tolist()
    [1.0, 0.5]
    """
    a, b, vector = _system(a, b, "solve")
    return _unboxed(_finite(_eliminated(a, b), "solve", "a matrix that is not singular", a, b), vector)


@op
@widened
def inv(x: TensorLike) -> Tensor:
    """The inverse of square matrices.

    >>> inv([[2.0, 0.0], [0.0, 4.0]]).numpy().tolist()
    [[0.5, 0.0], [0.0, 0.25]]
    """
    x = matrices(x, "inv", square=True)
    ones = _core.broadcast_to(convert(np.eye(x.shape[-1], dtype=np.float32), x.dtype), x.shape)
    return _finite(_eliminated(x, ones), "inv", "a matrix that is not singular", x)


@op
@widened
def solve_triangular(a: TensorLike, b: TensorLike, lower: bool = False) -> Tensor:
    """The solution of `a @ x = b` for triangular matrices; what is in the other triangle is not looked at.

    >>> solve_triangular([[2.0, 9.0], [1.0, 4.0]], [2.0, 5.0], lower=True).numpy().tolist()
    [1.0, 1.0]
    """
    a, b, vector = _system(a, b, "solve_triangular")
    n = a.shape[-1]
    rows = np.arange(n)[:, None]
    found: list[Tensor] = []
    for k in range(n) if lower else reversed(range(n)):
        x = _core.binary("div", _line(b, -2, k), _line(_line(a, -2, k), -1, k))
        found.append(x)
        b = _sub(b, _mul(_only(rows > k if lower else rows < k, _line(a, -1, k)), x))
    x = _core.concat(found if lower else found[::-1], b.ndim - 2) if found else b
    return _unboxed(_finite(x, "solve_triangular", "no 0 on the diagonal", a, b), vector)


@op
@widened
def cholesky(x: TensorLike, upper: bool = False) -> Tensor:
    """The lower triangular L with `L @ L.T = x` of symmetric positive definite matrices; `upper` gives `L.T`.

    >>> cholesky([[4.0, 2.0], [2.0, 2.0]]).numpy().tolist()
    [[2.0, 0.0], [1.0, 1.0]]
    """
    x = matrices(x, "cholesky", square=True)
    # The mean with the transpose: the gradient is symmetric, too.
    rest = _mul(_core.binary("add", x, swapaxes(x, -1, -2)), convert(0.5, x.dtype))
    rows = np.arange(x.shape[-1])[:, None]
    columns = []
    for k in range(x.shape[-1]):
        root = _core.unary("sqrt", _line(_line(rest, -2, k), -1, k))
        column = _only(rows >= k, _core.binary("div", _line(rest, -1, k), root))
        columns.append(column)
        rest = _sub(rest, _mul(column, swapaxes(column, -1, -2)))
    factor = _core.concat(columns, x.ndim - 1) if columns else x
    _finite(factor, "cholesky", "positive definite matrices", x)
    return swapaxes(factor, -1, -2) if upper else factor


@op
@widened
def cholesky_inverse(x: TensorLike, upper: bool = False) -> Tensor:
    """The inverse of the matrix whose Cholesky factor is `x`.

    >>> cholesky_inverse([[2.0, 0.0], [0.0, 1.0]]).numpy().tolist()
    [[0.25, 0.0], [0.0, 1.0]]
    """
    x = matrices(x, "cholesky_inverse", square=True)
    ones = _core.broadcast_to(convert(np.eye(x.shape[-1], dtype=np.float32), x.dtype), x.shape)
    inverse = solve_triangular(x, ones, lower=not upper)
    turned = swapaxes(inverse, -1, -2)
    return matmul(inverse, turned) if upper else matmul(turned, inverse)


@op
@widened
def det(x: TensorLike) -> Tensor:
    """The determinant of square matrices.

    >>> float(det([[2.0, 0.0], [1.0, 4.0]]))
    8.0
    """
    lu, _, sign = _factors(matrices(x, "det", square=True))
    return _mul(sign, reduction.prod(diagonal(lu, 0, -2, -1), axis=-1))


@op
@widened
def slogdet(x: TensorLike) -> tuple[Tensor, Tensor]:
    """The sign of the determinant, and the logarithm of its magnitude, which does not overflow.

    >>> [float(part) for part in slogdet([[0.0, 1.0], [1.0, 0.0]])]
    [-1.0, 0.0]
    """
    lu, _, sign = _factors(matrices(x, "slogdet", square=True))
    line = diagonal(lu, 0, -2, -1)
    sign = _mul(sign, reduction.prod(_core.unary("sign", line), axis=-1))
    return sign, reduction.sum(_core.unary("log", _core.unary("abs", line)), axis=-1)


@op
@widened
def logdet(x: TensorLike) -> Tensor:
    """The logarithm of the determinant of positive definite matrices.

    >>> float(logdet([[1.0, 0.0], [0.0, 1.0]]))
    0.0
    """
    factor = cholesky(x)
    return _mul(reduction.sum(_core.unary("log", diagonal(factor, 0, -2, -1)), axis=-1), convert(2.0, factor.dtype))


@op
@widened
def qr(x: TensorLike, mode: str = "reduced") -> tuple[Tensor, Tensor]:
    """Orthogonal Q and upper triangular R with `Q @ R = x`, by reflections.

    `mode` "reduced" gives as many columns of Q as needed, "complete" all.

    >>> q, r = qr([[3.0], [4.0]])
    >>> q.shape, r.numpy().tolist()
    ((2, 1), [[-5.0]])
    """
    if mode not in ("reduced", "complete"):
        raise ValueError(f"qr: expected mode 'reduced' or 'complete', got {mode!r}")
    r = matrices(x, "qr")
    m, n = r.shape[-2:]
    q = _core.broadcast_to(convert(np.eye(m, dtype=np.float32), r.dtype), (*r.shape[:-2], m, m))
    rows = np.arange(m)[:, None]
    for k in range(min(m - 1, n)):
        column = _only(rows >= k, _line(r, -1, k))
        tail = reduction.sum(_mul(_only(rows > k, column), column), axis=-2, keepdims=True)
        done = _core.binary("eq", tail, 0.0)  # nothing to clear: no reflection, as LAPACK does
        first = _line(column, -2, k)
        size = _core.unary("sqrt", _core.select(done, 1.0, _core.binary("add", _mul(first, first), tail)))
        away = _core.select(_core.binary("lt", first, 0.0), size, _core.unary("neg", size))
        v = _core.select(convert(rows == k), _sub(column, away), column)
        total = reduction.sum(_mul(v, v), axis=-2, keepdims=True)
        scale = _core.select(done, 0.0, _core.binary("div", 2.0, _core.select(done, 1.0, total)))
        turned = swapaxes(v, -1, -2)
        r = _sub(r, _mul(_mul(v, scale), matmul(turned, r)))
        q = _sub(q, _mul(matmul(q, v), _mul(scale, turned)))
    r = _only(np.arange(m)[:, None] <= np.arange(n), r)
    if mode == "reduced":
        k = min(m, n)
        q = _core.slice(q, [0] * q.ndim, [*q.shape[:-1], k], [1] * q.ndim)
        r = _core.slice(r, [0] * r.ndim, [*r.shape[:-2], k, n], [1] * r.ndim)
    return q, r
