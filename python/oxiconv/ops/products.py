"""Matrix products, contractions and norms."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from oxiconv import _core
from oxiconv.dtype import is_float
from oxiconv.ops import reduction
from oxiconv.ops.arrangement import broadcast_to
from oxiconv.ops.promotion import real, reals, widened
from oxiconv.ops.reduction import axes_of
from oxiconv.symbolic import op
from oxiconv.tensor import ShapeError, Tensor, TensorLike, convert

if TYPE_CHECKING:
    from collections.abc import Sequence


@op
def matmul(x1: TensorLike, x2: TensorLike) -> Tensor:
    """Matrix product of the last two axes; leading axes broadcast, one-dimensional operands are vectors.

    >>> matmul([[1.0, 2.0]], [[3.0], [4.0]]).numpy().tolist()
    [[11.0]]
    """
    a, b = convert(x1), convert(x2)
    if not a.ndim or not b.ndim:
        raise ShapeError(f"matmul: expected at least one axis, got shapes {a.shape} and {b.shape}")
    row, column = a.ndim == 1, b.ndim == 1
    a = _core.reshape(a, (1, a.size)) if row else a
    b = _core.reshape(b, (b.size, 1)) if column else b
    if a.shape[-1] != b.shape[-2]:
        raise ShapeError(f"matmul: expected equal inner sizes, got shapes {convert(x1).shape} and {convert(x2).shape}")
    y = _product(a, b)
    dims = list(y.shape)
    if column:
        del dims[-1]
    if row:
        del dims[-1 if column else -2]
    return _core.reshape(y, dims) if row or column else y


def _product(a: Tensor, b: Tensor) -> Tensor:
    if not is_float(a.dtype) and not is_float(b.dtype):  # exact, which float32 would not be
        wide = _core.binary("mul", _core.reshape(a, (*a.shape, 1)), _core.reshape(b, (*b.shape[:-2], 1, *b.shape[-2:])))
        return reduction.sum(wide, axis=-2)
    a, b = reals(a, b)
    if b.ndim == 2 and a.ndim > 2:  # one product of all rows
        rows = _core.reshape(a, (a.size // max(a.shape[-1], 1), a.shape[-1])) if a.size else None
        if rows is not None:
            return _core.reshape(_core.matmul(rows, b), (*a.shape[:-1], b.shape[-1]))
    try:
        lead = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    except ValueError:
        raise ShapeError(f"matmul: expected leading axes that broadcast, got shapes {a.shape} and {b.shape}") from None
    a = a if a.shape[:-2] == lead else broadcast_to(a, (*lead, *a.shape[-2:]))
    b = b if b.shape[:-2] == lead else broadcast_to(b, (*lead, *b.shape[-2:]))
    return _core.matmul(a, b)


@op
def dot(x1: TensorLike, x2: TensorLike) -> Tensor:
    """Sum over the last axis of `x1` and the second to last (or only) axis of `x2`; a scalar multiplies."""
    a, b = convert(x1), convert(x2)
    if not a.ndim or not b.ndim:
        return _core.binary("mul", a, b)
    return tensordot(a, b, [[a.ndim - 1], [max(b.ndim - 2, 0)]])


@op
def tensordot(x1: TensorLike, x2: TensorLike, axes: int | Sequence[Any] = 2) -> Tensor:
    """Sum over pairs of axes: the last `axes` of `x1` with the first of `x2`, or two lists of axes."""
    a, b = convert(x1), convert(x2)
    if isinstance(axes, int):
        left, right = list(range(a.ndim - axes, a.ndim)), list(range(axes))
    else:
        left, right = ([s] if isinstance(s, int) else list(s) for s in axes)
    axes_of(left, a.ndim, "tensordot")
    axes_of(right, b.ndim, "tensordot")
    left, right = [i % a.ndim for i in left], [i % b.ndim for i in right]
    if [a.shape[i] for i in left] != [b.shape[i] for i in right]:
        raise ShapeError(f"tensordot: expected equal sizes along {left} and {right}, got {a.shape} and {b.shape}")
    rest_a = [i for i in range(a.ndim) if i not in left]
    rest_b = [i for i in range(b.ndim) if i not in right]
    m, k, n = (_volume(a, rest_a), _volume(a, left), _volume(b, rest_b))
    rows = _core.reshape(_core.permute(a, rest_a + left), (m, k))
    columns = _core.reshape(_core.permute(b, right + rest_b), (k, n))
    return _core.reshape(matmul(rows, columns), [a.shape[i] for i in rest_a] + [b.shape[i] for i in rest_b])


def _volume(x: Tensor, axes: list[int]) -> int:
    return int(np.prod([x.shape[i] for i in axes], dtype=np.int64))


@op
def einsum(subscripts: str, *operands: TensorLike, **kwargs: Any) -> Tensor:
    """Einstein sum, such as "bij,bjk->bik"; no repeated index within one operand, no "...".

    >>> einsum("ij,kj->ik", [[1.0, 2.0]], [[3.0, 4.0]]).numpy().tolist()
    [[11.0]]
    """
    text = subscripts.replace(" ", "")
    left, arrow, result = text.partition("->")
    terms = left.split(",")
    if not arrow:
        result = "".join(sorted(c for c in set(left) - {","} if left.count(c) == 1))
    tensors = [convert(x) for x in operands]
    if len(terms) != len(tensors):
        raise ShapeError(f"einsum: expected {len(terms)} operands for {subscripts!r}, got {len(tensors)}")
    for term, t in zip(terms, tensors, strict=True):
        if len(term) != t.ndim or len(set(term)) != len(term) or (not term.isalpha() and term):
            raise ShapeError(f"einsum: expected {t.ndim} different letters for shape {t.shape}, got {term!r}")
    if len(set(result)) != len(result) or not set(result) <= set(left):
        raise ShapeError(f"einsum: expected a result of the operands' letters, got {result!r}")
    term, x = terms[0], tensors[0]
    for i in range(1, len(tensors)):
        later = set(result).union(*terms[i + 1 :])
        term, x = _contract(term, x, terms[i], tensors[i], later)
    gone = [i for i, c in enumerate(term) if c not in result]
    x, term = reduction.sum(x, axis=gone) if gone else x, "".join(c for c in term if c in result)
    return _core.permute(x, [term.index(c) for c in result]) if term != result else x


def _contract(s: str, a: Tensor, t: str, b: Tensor, later: set[str]) -> tuple[str, Tensor]:
    """The product of two terms, summed over the letters that nothing later needs."""
    for c in set(s) & set(t):
        if a.shape[s.index(c)] != b.shape[t.index(c)]:
            raise ShapeError(f"einsum: expected one size of {c!r}, got {a.shape[s.index(c)]} and {b.shape[t.index(c)]}")
    for own, other in ((s, t), (t, s)):
        lone = [i for i, c in enumerate(own) if c not in other and c not in later]
        if lone and own is s:
            a, s = reduction.sum(a, axis=lone), "".join(c for i, c in enumerate(s) if i not in lone)
        elif lone:
            b, t = reduction.sum(b, axis=lone), "".join(c for i, c in enumerate(t) if i not in lone)
    batch = [c for c in s if c in t and c in later]
    inner = [c for c in s if c in t and c not in later]
    rows, columns = [c for c in s if c not in t], [c for c in t if c not in s]
    size = {c: n for term, x in ((s, a), (t, b)) for c, n in zip(term, x.shape, strict=True)}

    def volume(letters: list[str]) -> int:
        return int(np.prod([size[c] for c in letters], dtype=np.int64))

    dims = [size[c] for c in batch]
    left = _core.permute(a, [s.index(c) for c in batch + rows + inner])
    right = _core.permute(b, [t.index(c) for c in batch + inner + columns])
    y = matmul(
        _core.reshape(left, [*dims, volume(rows), volume(inner)]),
        _core.reshape(right, [*dims, volume(inner), volume(columns)]),
    )
    letters = batch + rows + columns
    return "".join(letters), _core.reshape(y, [size[c] for c in letters])


@op
def outer(x1: TensorLike, x2: TensorLike) -> Tensor:
    """All products of an element of `x1` and one of `x2`."""
    a, b = convert(x1), convert(x2)
    return _core.binary("mul", _core.reshape(a, (a.size, 1)), _core.reshape(b, (1, b.size)))


@op
@widened
def norm(x: TensorLike, ord: Any = None, axis: Any = None, keepdims: bool = False) -> Tensor:
    """Vector norm over `axis` (default: all elements); `ord` is 2 (default, also "fro"), 1, inf, -inf or a number."""
    x = real(x)
    axes = axes_of(axis, x.ndim, "norm")
    if ord in (None, "fro") or (ord == 2 and len(axes) == 1):
        return _core.unary("sqrt", reduction.sum(_core.binary("mul", x, x), axes, keepdims))
    if len(axes) != 1 or isinstance(ord, str):
        raise ValueError(f"norm: expected ord None or 'fro' over {len(axes)} axes, got {ord!r}")
    size = _core.unary("abs", x)
    if ord == np.inf:
        return reduction.max(size, axes, keepdims)
    if ord == -np.inf:
        return reduction.min(size, axes, keepdims)
    if ord == 1:
        return reduction.sum(size, axes, keepdims)
    if ord == 0:
        return convert(reduction.sum(_core.binary("ne", x, 0.0), axes, keepdims), x.dtype)
    return _core.binary("pow", reduction.sum(_core.binary("pow", size, float(ord)), axes, keepdims), 1.0 / ord)
