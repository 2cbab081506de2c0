"""Eigenvalues and singular values, by NumPy: of known values alone, and without gradients."""

from __future__ import annotations

from typing import Any

import numpy as np

from oxiconv.ops.concrete import undifferentiated
from oxiconv.tensor import ShapeError, Tensor, TensorLike, convert


def _matrices(x: Any, name: str, square: bool = False) -> Any:
    array = undifferentiated(x, name)
    if array.ndim < 2 or (square and array.shape[-1] != array.shape[-2]):
        raise ShapeError(f"{name}: expected {'square ' if square else ''}matrices, got shape {array.shape}")
    return array.astype(np.float64)


def _tensor(array: Any) -> Tensor:
    return convert(np.asarray(array, np.float32))


def eigh(x: TensorLike) -> tuple[Tensor, Tensor]:
    """Eigenvalues in ascending order, and eigenvectors as columns, of symmetric matrices. Known values only.

    >>> eigh([[2.0, 0.0], [0.0, 1.0]])[0].numpy().tolist()
    [1.0, 2.0]
    """
    numbers, vectors = np.linalg.eigh(_matrices(x, "eigh", square=True))
    return _tensor(numbers), _tensor(vectors)


def svd(x: TensorLike, full_matrices: bool = True, compute_uv: bool = True) -> Any:
    """U, singular values in descending order, and V transposed, with `U @ diag(s) @ V = x`. Known values only.

    Without `compute_uv` the singular values alone.

    >>> svd([[3.0, 0.0], [0.0, 4.0]], compute_uv=False).numpy().tolist()
    [4.0, 3.0]
    """
    array = _matrices(x, "svd")
    if not compute_uv:
        return _tensor(np.linalg.svd(array, compute_uv=False))
    return tuple(_tensor(part) for part in np.linalg.svd(array, full_matrices=full_matrices))


def lstsq(a: TensorLike, b: TensorLike, rcond: float | None = None) -> Tensor:
    """The `x` of least norm that makes `a @ x - b` smallest. Known values only.

    >>> lstsq([[1.0], [1.0]], [1.0, 3.0]).numpy().round(4).tolist()
    [2.0]
    """
    left, right = _matrices(a, "lstsq"), undifferentiated(b, "lstsq").astype(np.float64)
    if left.ndim != 2 or right.ndim not in (1, 2) or right.shape[0] != left.shape[0]:
        raise ShapeError(f"lstsq: expected a matrix and as many right sides' rows, got {left.shape} and {right.shape}")
    limit = rcond if rcond is not None else float(np.finfo(np.float32).eps) * max(left.shape)
    return _tensor(np.linalg.lstsq(left, right, rcond=limit)[0])


def pinv(x: TensorLike, rcond: float | None = None) -> Tensor:
    """The pseudo-inverse of matrices. Known values only.

    >>> pinv([[2.0], [0.0]]).numpy().round(4).tolist()
    [[0.5, 0.0]]
    """
    array = _matrices(x, "pinv")
    limit = rcond if rcond is not None else 10.0 * max(array.shape[-2:]) * float(np.finfo(np.float32).eps)
    return _tensor(np.linalg.pinv(array, rcond=limit))


def matrix_rank(x: TensorLike, tol: float | None = None) -> Tensor:
    """How many singular values are above `tol` (default: what float32 can tell from 0). Known values only.

    >>> int(matrix_rank([[1.0, 1.0], [1.0, 1.0]]))
    1
    """
    array = _matrices(x, "matrix_rank")
    sizes = np.linalg.svd(array, compute_uv=False)
    limit = (
        float(np.finfo(np.float32).eps) * max(array.shape[-2:]) * sizes.max(-1, keepdims=True) if tol is None else tol
    )
    return convert(np.asarray((sizes > limit).sum(-1), np.int32))
