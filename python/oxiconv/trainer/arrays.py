"""Arrays as training takes them: checked, narrowed to the core's element types, split and weighted."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from oxiconv import tree
from oxiconv.dtype import narrow
from oxiconv.tensor import DTypeError, Tensor

Batch = tuple[Any, ...]


def as_array(name: str, value: Any, scalars: bool = False) -> NDArray[Any]:
    """An array of float32, int32, uint8 or bool with at least one axis, or also a scalar if `scalars`.

    Raises:
        DTypeError: the elements are no numbers.
        ValueError: a scalar, or no rectangular array.
    """
    if isinstance(value, Tensor):
        return value.numpy()
    if hasattr(value, "detach") and hasattr(value, "cpu"):
        value = value.detach().cpu()
    try:
        array = np.asarray(value)
    except ValueError as error:
        raise ValueError(f"{name}: expected a rectangular array, got {type(value).__name__}: {error}") from None
    if array.ndim == 0 and not scalars:
        raise ValueError(f"{name}: expected an array with a batch axis, got the scalar {value!r}.")
    if array.dtype.kind not in "biuf":
        raise DTypeError(f"{name}: expected numbers, got an array of {array.dtype}.")
    return narrow(array)


def as_arrays(name: str, structure: Any, scalars: bool = False) -> Any:
    """The structure with `as_array` of each leaf. A list of numbers is one array; a list of arrays is a structure."""
    if structure is None:
        return None
    if isinstance(structure, dict):
        return {key: as_arrays(f"{name}[{key!r}]", value, scalars) for key, value in structure.items()}
    if isinstance(structure, list | tuple) and structure and all(_is_array(v) or v is None for v in structure):
        return tuple(as_arrays(f"{name}[{i}]", value, scalars) for i, value in enumerate(structure))
    return as_array(name, structure, scalars)


def _is_array(value: Any) -> bool:
    return isinstance(value, dict) or (hasattr(value, "shape") and len(value.shape) > 0)


def is_data(x: Any) -> bool:
    """Whether `x` is arrays (or a structure of them), rather than a source of batches."""
    if isinstance(x, dict):
        return True
    if isinstance(x, list | tuple):
        return True
    if hasattr(x, "__next__") or not hasattr(x, "__array__"):
        return isinstance(x, Tensor) or (hasattr(x, "detach") and hasattr(x, "cpu"))
    return True


def leaves(data: Any) -> list[NDArray[Any]]:
    """The arrays of a structure, without None."""
    return [leaf for leaf in tree.flatten(data) if leaf is not None]


def count_samples(x: Any, y: Any = None, sample_weight: Any = None) -> int:
    """The number of samples.

    Raises:
        ValueError: the arrays do not agree on it, or there are none.
    """
    counts = {
        name: sorted({a.shape[0] for a in leaves(part)})
        for name, part in (("x", x), ("y", y), ("sample_weight", sample_weight))
        if part is not None
    }
    if len({c for part in counts.values() for c in part}) > 1:
        told = ", ".join(f"{name} has {' and '.join(map(str, c))}" for name, c in counts.items())
        raise ValueError(f"Expected the same number of samples in all arrays: {told}.")
    count = next((c for part in counts.values() for c in part), 0)
    if count == 0:
        raise ValueError("Expected at least one sample, got none.")
    return count


def take(data: Any, start: int, stop: int) -> Any:
    """Samples `start` to `stop` of a structure, as views."""
    return tree.map_structure(lambda a: None if a is None else a[start:stop], data)


def split(data: Batch, fraction: float) -> tuple[Batch, Batch]:
    """Training and validation parts: the last `fraction` of the samples, before any shuffling, is validation."""
    if not 0 < fraction < 1:
        raise ValueError(f"validation_split: expected a fraction in [0, 1), got {fraction!r}.")
    count = count_samples(*data)
    at = math.floor(count * (1.0 - fraction))
    if at == 0 or at == count:
        raise ValueError(f"validation_split: {fraction} of {count} samples leaves one part empty.")
    return take(data, 0, at), take(data, at, count)


def class_weights(y: Any, class_weight: Mapping[Any, float], sample_weight: Any = None) -> NDArray[np.float32]:
    """The weight of each sample's class; classes that are not listed have weight 1.

    Args:
        y: integer labels `[n]` or `[n, 1]`, or one-hot `[n, classes]`; one output.
        class_weight: class number to weight.
        sample_weight: None; as in Keras, samples are weighted by their classes or by themselves.
    """
    if sample_weight is not None:
        raise ValueError(
            "class_weight and sample_weight cannot be given at the same time: multiply the weights of samples by those "
            "of their classes, and pass sample_weight alone."
        )
    if not isinstance(y, np.ndarray):
        raise ValueError("class_weight: expected a model with one output and its targets as one array.")
    if y.ndim > 2:
        raise ValueError(f"class_weight: expected targets of one or two axes, got shape {y.shape}.")
    labels = np.argmax(y, axis=1) if y.ndim == 2 and y.shape[1] > 1 else y.reshape(-1)
    weights = np.ones(labels.shape, np.float32)
    if not isinstance(class_weight, Mapping):
        raise ValueError(f"class_weight: expected a dict of class to weight, got {class_weight!r}.")
    for key, weight in class_weight.items():
        if isinstance(key, bool) or not isinstance(key, int | np.integer):
            raise ValueError(f"class_weight: expected integers as classes, got {key!r}.")
        weights[labels == key] = float(weight)
    return weights
