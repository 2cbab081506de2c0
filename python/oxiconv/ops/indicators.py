"""Indices as vectors of zeros and ones."""

from __future__ import annotations

from typing import Any

import numpy as np

from oxiconv import _core
from oxiconv.config import floatx
from oxiconv.dtype import is_float
from oxiconv.ops import reduction
from oxiconv.ops.reduction import axes_of
from oxiconv.symbolic import op
from oxiconv.tensor import Tensor, TensorLike, convert


@op
def one_hot(x: TensorLike, num_classes: int, axis: int = -1, dtype: Any = None, sparse: bool = False) -> Tensor:
    """A new axis of `num_classes` that is 1 at the index and 0 elsewhere; all 0 for an index out of range.

    >>> one_hot([0, 2], 3).numpy().tolist()
    [[1.0, 0.0, 0.0], [0.0, 0.0, 1.0]]
    """
    if sparse:
        raise ValueError("one_hot: expected sparse=False; sparse tensors are not supported")
    index = convert(x)
    index = _core.cast(index, "int32") if is_float(index.dtype) else index  # labels that `fit` made real
    (place,) = axes_of(axis, index.ndim + 1, "one_hot")
    classes = np.arange(num_classes, dtype=np.int32).reshape([-1 if a == place else 1 for a in range(index.ndim + 1)])
    hit = _core.binary("eq", reduction.restore(index, [place]), convert(classes))
    return convert(hit, dtype or floatx())


@op
def multi_hot(
    inputs: TensorLike,
    num_classes: int | None = None,
    axis: int = -1,
    dtype: Any = None,
    sparse: bool = False,
    **kwargs: Any,
) -> Tensor:
    """1 at every index found in a vector, or along the second axis, which vanishes; a new `axis` has the classes.

    >>> multi_hot([0, 2], 4).numpy().tolist()
    [1.0, 0.0, 1.0, 0.0]
    """
    num_classes = kwargs.pop("num_tokens", num_classes)  # its former name
    if kwargs or num_classes is None:
        raise ValueError(f"multi_hot: expected num_classes, got {num_classes} and {sorted(kwargs)}")
    index = convert(inputs)
    # As in Keras, `axis` is where the classes go; what is merged is the second axis, or the only one.
    hot = one_hot(index, num_classes, axis, "int32", sparse)
    return convert(reduction.max(hot, axis=1 if index.ndim > 1 else 0), dtype or floatx())
