"""Operations of whole numbers, and with indices: exact; scattering and contractions with gradients."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from reference.case import Array, Library, case
from reference.inputs import results, spread

# Exact functions of integers `[3, 4]` below 5.
WHOLE: dict[str, Callable[[Any, Any], Any]] = {
    "one_hot": lambda o, i: o.one_hot(i, 4, axis=1),
    "one_hot_int": lambda o, i: o.one_hot(i - 1, 4, dtype="int32"),
    "multi_hot": lambda o, i: o.multi_hot(i, 5),
    "multi_hot_axis": lambda o, i: o.multi_hot(i, 5, axis=0),
    "bincount": lambda o, i: o.bincount(i[0], minlength=7),
    "bincount_rows": lambda o, i: o.bincount(i),
    "bincount_weights": lambda o, i: o.bincount(i[0], weights=[1.0, 2.0, 3.0, 4.0]),
    "argsort": lambda o, i: o.argsort(i, axis=-1),
    "argsort_first": lambda o, i: o.argsort(i, axis=0),
    "top_k": lambda o, i: tuple(o.top_k(i, 3)),
    "argmax": lambda o, i: o.argmax(i, axis=1),
    "argmin": lambda o, i: o.argmin(i, axis=0, keepdims=True),
    "nonzero": lambda o, i: o.nonzero(i),
    "where": lambda o, i: o.where(i > 2),
    "unique": lambda o, i: o.unique(i),
    "unique_all": lambda o, i: o.unique(i, return_index=True, return_inverse=True, return_counts=True),
    "unique_rows": lambda o, i: o.unique(i % 2, axis=0),
    "unique_size": lambda o, i: o.unique(i, size=7, fill_value=9),
    "digitize": lambda o, i: o.digitize(i, [1, 3]),
    "searchsorted": lambda o, i: o.searchsorted([0, 1, 1, 3], i[0], side="right"),
    "count_nonzero": lambda o, i: o.count_nonzero(i, axis=1),
    "cumsum": lambda o, i: o.cumsum(i),
    "cumprod": lambda o, i: o.cumprod(i + 1, axis=0),
    "unravel_index": lambda o, i: o.unravel_index(i[0], (3, 2)),
    "tril": lambda o, i: o.tril(i),
    "floor_divide": lambda o, i: o.floor_divide(i - 2, 2),
    "mod": lambda o, i: o.mod(i - 2, 3),
    "fmod": lambda o, i: o.fmod(i - 2, 3),
    "gcd": lambda o, i: o.gcd(i, 6),
    "lcm": lambda o, i: o.lcm(i, 6),
    "bitwise_and": lambda o, i: o.bitwise_and(i, 5),
    "bitwise_xor": lambda o, i: o.bitwise_xor(i, 5),
    "left_shift": lambda o, i: o.left_shift(i, 2),
    "right_shift": lambda o, i: o.right_shift(i - 4, 1),
    "isin": lambda o, i: o.isin(i, [1, 4]),
    "in_top_k": lambda o, i: o.in_top_k(i[:, 0] % 4, o.cast(i, "float32"), k=2),
    "median": lambda o, i: o.median(i, axis=1),
    "histogram": lambda o, i: o.histogram(o.cast(o.ravel(i), "float32"), bins=4),
    "histogram_range": lambda o, i: o.histogram(o.cast(o.ravel(i), "float32"), bins=3, range=(1.0, 4.0)),
    "vdot": lambda o, i: o.vdot(i, i),
    "matmul": lambda o, i: o.matmul(i, o.transpose(i)),
    "rot90": lambda o, i: o.rot90(i),
    "swap": lambda o, i: o.moveaxis(i, 0, 1),
    "mask": lambda o, i: i[i > 2],
    "max_pool": lambda o, i: o.max_pool(o.cast(o.reshape(i, (1, 3, 4, 1)), "float32"), 2, padding="same"),
    "nan_to_num": lambda o, i: o.nan_to_num(i),
    "average": lambda o, i: o.average(i, axis=0),
    "mean": lambda o, i: o.mean(i, axis=0),
    "sum_bool": lambda o, i: o.sum(i > 1, axis=0),
    "prod": lambda o, i: o.prod(i, axis=0),
    "power": lambda o, i: o.power(i, 3),
    "sqrt": lambda o, i: o.sqrt(i),
    "divide": lambda o, i: o.divide(i, 2),
    "einsum": lambda o, i: o.einsum("ij,kj->ik", i, i),
    "tensordot": lambda o, i: o.tensordot(i, i, axes=[[0], [0]]),
    "argpartition_first": lambda o, i: o.argpartition(i[0] * 7 + o.arange(4), 0)[:1],
}


@case(each=WHOLE)
def whole(k: Library, function: Callable[[Any, Any], Any]) -> Mapping[str, Array]:
    return results(k, function(k.keras.ops, k.tensor(k.integers((3, 4), 5, seed=2))))


@case(each=[None, "add", "max", "min"])
def scatter_update(k: Library, reduction: str | None) -> Mapping[str, Array]:
    index = k.tensor(np.array([[0, 1], [3, 2], [2, 0]], np.int32))
    return k.gradients(
        lambda x, v: k.keras.ops.scatter_update(x, index, v, reduction), spread(k, (4, 3)), spread(k, (3, 2), 1)[:, 0]
    )


@case
def writing(k: Library) -> Mapping[str, Mapping[str, Array]]:
    ops = k.keras.ops
    index = k.tensor(np.array([[1], [3], [1]], np.int32))
    return {
        "scatter": k.gradients(lambda v: ops.scatter(index, v, (5, 2)), k.normal((3, 2), 1)),
        "slice_update": results(k, ops.slice_update(k.normal((3, 5), 1), (1, 2), k.normal((2, 2), 2))),
        "repeated": results(k, ops.scatter_update(np.zeros(3, np.float32), [[1], [1], [0]], [5.0, 6.0, 7.0], "mul")),
        "slice_beyond": results(k, ops.slice_update(np.zeros(4, np.float32), [2], np.ones(2, np.float32))),
    }


EINSUMS = [
    "ij,jk->ik", "ij,jk", "bij,bjk->bik", "ij->ji", "ij->", "ij->i", "ii->i", "ii", "...ij,...jk->...ik", "i,j->ij",
    "bhqd,bhkd->bhqk", "abc,cd->abd", "ij,ij->", "abc,abd->bcd",
]  # fmt: skip


@case(each=EINSUMS)
def einsum(k: Library, subscripts: str) -> Mapping[str, Array]:
    sizes = dict(zip("abcdhijkq", (2, 3, 2, 4, 2, 3, 3, 4, 3), strict=True)) | {"k": 4}
    terms = subscripts.partition("->")[0].split(",")
    lead = (2,) if "." in subscripts else ()
    shapes = [(*lead, *(sizes[c] for c in term.strip("."))) for term in terms]
    inputs = [k.normal(shape, i) for i, shape in enumerate(shapes)]
    return k.gradients(lambda *x: k.keras.ops.einsum(subscripts, *x), *inputs)
