"""One-hot labels and normalized vectors, with NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def to_categorical(x: Any, num_classes: int | None = None) -> NDArray[np.float32]:
    """One-hot float32 rows of integer labels.

    Args:
        x: labels in [0, num_classes), of any shape; a trailing axis of 1 is dropped.
        num_classes: number of classes; by default the largest label plus 1.

    Returns:
        An array of the labels' shape with an axis of `num_classes` added.

    Raises:
        ValueError: labels that are out of range or not whole.

    Example:
        >>> from oxiconv.utils import to_categorical
        >>> to_categorical([0, 2])
        array([[1., 0., 0.],
               [0., 0., 1.]], dtype=float32)
    """
    labels = np.asarray(x)
    if labels.dtype.kind not in "biuf" or (labels.dtype.kind == "f" and (labels != np.floor(labels)).any()):
        raise ValueError(f"to_categorical: expected whole numbers, got an array of {labels.dtype}.")
    if labels.ndim > 1 and labels.shape[-1] == 1:
        labels = labels[..., 0]
    labels = labels.astype(np.int64)
    if num_classes is None:
        num_classes = int(labels.max()) + 1 if labels.size else 0
    if labels.size and (labels.min() < 0 or labels.max() >= num_classes):
        raise ValueError(
            f"to_categorical: expected labels in [0, {num_classes}), got {labels.min()} to {labels.max()}."
        )
    hot = np.zeros((*labels.shape, num_classes), np.float32)
    np.put_along_axis(hot, labels[..., None], 1.0, axis=-1)
    return hot


def normalize(x: Any, axis: int = -1, order: int = 2) -> NDArray[Any]:
    """`x` over its norm along an axis; zero vectors stay.

    Args:
        x: an array.
        axis: the axis of the vectors.
        order: of the norm.

    Example:
        >>> from oxiconv.utils import normalize
        >>> normalize([[3.0, 4.0]])
        array([[0.6, 0.8]])
    """
    x = np.asarray(x)
    norm = np.atleast_1d(np.linalg.norm(x, order, axis))
    norm[norm == 0] = 1
    result: NDArray[Any] = x / np.expand_dims(norm, axis)
    return result
