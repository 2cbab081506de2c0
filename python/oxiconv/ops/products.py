"""Matrix products, contractions and norms."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from oxiconv import _core
from oxiconv.dtype import is_float, result_type
from oxiconv.ops import reduction
from oxiconv.ops.arrangement import broadcast_to
from oxiconv.ops.promotion import numbers, real, reals, widened
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


def matmul_of_bytes(x: Tensor, kernel: Tensor) -> Tensor:
    """`x @ kernel` of uint8 or int8 with an int8 matrix: exact sums in int32, without gradients."""
    last = x.shape[-1]
    rows = _core.reshape(x, (x.size // max(last, 1), last)) if x.ndim > 2 else x
    y = _core.matmul(rows, kernel)
    return _core.reshape(y, (*x.shape[:-1], y.shape[-1])) if x.ndim > 2 else y


def _product(a: Tensor, b: Tensor) -> Tensor:
    if not is_float(a.dtype) and not is_float(b.dtype):  # exact, which float32 would not be
        common = result_type(a.dtype, b.dtype)
        a, b = numbers(a), numbers(b)
        wide = _core.binary("mul", _core.reshape(a, (*a.shape, 1)), _core.reshape(b, (*b.shape[:-2], 1, *b.shape[-2:])))
        return convert(reduction.sum(wide, axis=-2), common)
    a, b = reals(a, b)
    if b.ndim == 2 and a.ndim > 2:  # one product of all rows
        rows = _core.reshape(a, (a.size // max(a.shape[-1], 1), a.shape[-1])) if a.size else None
        if rows is not None:
            return _core.reshape(_core.matmul(rows, b), (*a.shape[:-1], b.shape[-1]))
    if a.ndim == b.ndim == 2:
        return _core.matmul(a, b)
    try:
        lead = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    except ValueError:
        raise ShapeError(f"matmul: expected leading axes that broadcast, got shapes {a.shape} and {b.shape}") from None
    a = a if a.shape[:-2] == lead else broadcast_to(a, (*lead, *a.shape[-2:]))
    b = b if b.shape[:-2] == lead else broadcast_to(b, (*lead, *b.shape[-2:]))
    return _core.matmul(a, b)


@op
def dot(x1: TensorLike, x2: TensorLike) -> Tensor:
    """Sum over the last axis of `x1` and the second to last (or only) axis of `x2`; a scalar multiplies.

    >>> float(dot([1.0, 2.0], [3.0, 4.0]))
    11.0
    """
    a, b = convert(x1), convert(x2)
    if not a.ndim or not b.ndim:
        return _core.binary("mul", a, b)
    return tensordot(a, b, [[a.ndim - 1], [max(b.ndim - 2, 0)]])


@op
def tensordot(x1: TensorLike, x2: TensorLike, axes: int | Sequence[Any] = 2) -> Tensor:
    """Sum over pairs of axes: the last `axes` of `x1` with the first of `x2`, or two lists of axes.

    >>> tensordot([[1, 2]], [[3, 4]], axes=[[1], [1]]).numpy().tolist()
    [[11]]
    """
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
    """Einstein sum, such as "bij,bjk->bik": products summed over the letters that the result lacks.

    "..." stands for any leading axes, which broadcast; a letter has one size in all operands, and twice in one operand
    takes its diagonal. Without "->" the result has the letters that occur once, in order. `kwargs` (such as `optimize`)
    change nothing.

    Raises:
        ShapeError: a letter of two sizes, as with TensorFlow (NumPy broadcasts a size of 1); other letters than axes.

    >>> einsum("ij,kj->ik", [[1.0, 2.0]], [[3.0, 4.0]]).numpy().tolist()
    [[11.0]]
    >>> int(einsum("ii", [[1, 2], [3, 4]]))
    5
    """
    tensors = [convert(x) for x in operands]
    terms, result = _terms(subscripts, [t.ndim for t in tensors])
    parts = [_distinct(term, t) for term, t in zip(terms, tensors, strict=True)]
    parts = [_unstretched(term, t, i, parts) for i, (term, t) in enumerate(parts)]
    term, x = parts[0]
    for i, (other, y) in enumerate(parts[1:], 1):
        later = set(result).union(*(t for t, _ in parts[i + 1 :]))
        term, x = _contract(term, x, other, y, later)
    gone = [i for i, c in enumerate(term) if c not in result]
    x, term = reduction.sum(x, axis=gone) if gone else x, "".join(c for c in term if c in result)
    return _core.permute(x, [term.index(c) for c in result]) if term != result else x


# The axes of "..." have Greek capitals as letters: nobody writes these.
_HIDDEN = 0x391


def _terms(subscripts: str, ranks: list[int]) -> tuple[list[str], str]:
    """The letters of each operand and of the result, with capital letters beyond the alphabet for what "..." is."""
    left, arrow, result = subscripts.replace(" ", "").partition("->")
    terms = left.split(",")
    if len(terms) != len(ranks):
        raise ShapeError(f"einsum: expected {len(terms)} operands for {subscripts!r}, got {len(ranks)}")
    hidden = [rank - len(t.replace("...", "")) if "..." in t else 0 for t, rank in zip(terms, ranks, strict=True)]
    lead = "".join(chr(_HIDDEN + i) for i in range(max(hidden, default=0)))
    named = [t.replace("...", lead[len(lead) - max(n, 0) :]) for t, n in zip(terms, hidden, strict=True)]
    for given, term, rank in zip(terms, named, ranks, strict=True):
        if len(term) != rank or not all(c.isalpha() for c in term):
            raise ShapeError(f"einsum: expected letters for {rank} axes, got {given!r}")
    if not arrow:
        every = "".join(named)
        result = lead + "".join(sorted(c for c in set(every) - set(lead) if every.count(c) == 1))
    result = result.replace("...", lead)
    if len(set(result)) != len(result) or not set(result) <= set("".join(named)):
        raise ShapeError(f"einsum: expected a result of the operands' letters, got {result!r}")
    return named, result


def _distinct(term: str, x: Tensor) -> tuple[str, Tensor]:
    """Diagonals in place of letters that occur twice."""
    from oxiconv.ops.diagonals import diagonal

    for c in term:
        while term.count(c) > 1:
            first, second = term.index(c), term.rindex(c)
            if x.shape[first] != x.shape[second]:
                raise ShapeError(f"einsum: expected one size of {c!r}, got {x.shape[first]} and {x.shape[second]}")
            x = diagonal(x, 0, first, second)
            term = "".join(d for d in term if d != c) + c * (term.count(c) - 1)
    return term, x


def _unstretched(term: str, x: Tensor, i: int, parts: list[tuple[str, Tensor]]) -> tuple[str, Tensor]:
    """Without axes of "..." of size 1 that broadcast to another operand's."""
    every = [(c, n) for j, (t, y) in enumerate(parts) if j != i for c, n in zip(t, y.shape, strict=True)]
    others = {c: n for c, n in every if ord(c) >= _HIDDEN and n != 1}
    thin = [a for a, (c, n) in enumerate(zip(term, x.shape, strict=True)) if n == 1 and others.get(c, 1) != 1]
    if not thin:
        return term, x
    kept = [n for a, n in enumerate(x.shape) if a not in thin]
    return "".join(c for a, c in enumerate(term) if a not in thin), _core.reshape(x, kept)


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
    """All products of an element of `x1` and one of `x2`.

    >>> outer([1, 2], [3, 4]).numpy().tolist()
    [[3, 4], [6, 8]]
    """
    a, b = convert(x1), convert(x2)
    return _core.binary("mul", _core.reshape(a, (a.size, 1)), _core.reshape(b, (1, b.size)))


@op
@widened
def norm(x: TensorLike, ord: Any = None, axis: Any = None, keepdims: bool = False) -> Tensor:
    """Norm of vectors along one axis, of matrices along two, or (the default) of all elements.

    Args:
        x: a tensor.
        ord: for vectors 2 (the default), 1, 0, inf, -inf or any number; for matrices "fro" (the default), 1, -1, inf
            and -inf, and by singular values, of known matrices and without a gradient, 2, -2 and "nuc".
        axis: one axis, or the axes of rows and columns; None takes all elements, or with `ord` all axes.
        keepdims: whether the axes stay, with size 1.

    >>> float(norm([3.0, 4.0])), norm([[1.0, -5.0], [2.0, 1.0]], ord=1, axis=(0, 1)).numpy().tolist()
    (5.0, 6.0)
    """
    x = real(x)
    axes = axes_of(axis, x.ndim, "norm")
    if ord is None or (ord == "fro" and len(axes) == 2) or (ord == 2 and len(axes) == 1):
        return _core.unary("sqrt", reduction.sum(_core.binary("mul", x, x), axes, keepdims))
    if len(axes) == 1 and not isinstance(ord, str):
        return _vector_norm(_core.unary("abs", x), float(ord), axes, keepdims)
    if len(axes) == 2:
        rows, columns = axes if axis is None else (int(a) % x.ndim for a in axis)
        return _matrix_norm(x, ord, rows, columns, keepdims)
    raise ValueError(f"norm: expected an ord for vectors or matrices, got {ord!r} over {len(axes)} axes")


def _vector_norm(size: Tensor, ord: float, axes: list[int], keepdims: bool) -> Tensor:
    if ord == np.inf:
        return reduction.max(size, axes, keepdims)
    if ord == -np.inf:
        return reduction.min(size, axes, keepdims)
    if ord == 1:
        return reduction.sum(size, axes, keepdims)
    if ord == 0:
        return convert(reduction.sum(_core.binary("ne", size, 0.0), axes, keepdims), size.dtype)
    return _core.binary("pow", reduction.sum(_core.binary("pow", size, ord), axes, keepdims), 1.0 / ord)


def _matrix_norm(x: Tensor, ord: Any, rows: int, columns: int, keepdims: bool) -> Tensor:
    """1 and -1 compare columns, inf and -inf rows, by the sums of their magnitudes."""
    from oxiconv.ops.arrangement import moveaxis
    from oxiconv.ops.spectra import svd

    if ord in (1, -1, np.inf, -np.inf):
        summed, compared = (rows, columns) if ord in (1, -1) else (columns, rows)
        sums = reduction.sum(_core.unary("abs", x), summed, keepdims=True)
        best = (reduction.max if ord > 0 else reduction.min)(sums, compared, keepdims=True)
    elif ord in (2, -2, "nuc"):
        sizes = svd(moveaxis(x, (rows, columns), (-2, -1)), compute_uv=False)
        reduce = reduction.sum if ord == "nuc" else reduction.max if ord > 0 else reduction.min
        best = reduction.restore(reduce(sizes, axis=-1), sorted((rows, columns)))
    else:
        raise ValueError(f"norm: expected ord 'fro', 'nuc', 1, -1, 2, -2, inf or -inf for matrices, got {ord!r}")
    return best if keepdims else _core.reshape(best, [n for a, n in enumerate(x.shape) if a not in (rows, columns)])
