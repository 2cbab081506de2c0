"""Elements of datasets: structures (tuples and dictionaries) whose leaves are NumPy arrays while they wait."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from oxiconv.tensor import Tensor, convert


@dataclass(frozen=True)
class TensorSpec:
    """Shape (None where it varies) and type of a part of a dataset's elements."""

    shape: tuple[int | None, ...]
    dtype: str
    name: str | None = None


def map_leaves(function: Callable[[Any], Any], element: Any) -> Any:
    """The structure with `function` of each leaf. As in `tf.data`, tuples and dictionaries are structure, lists not."""
    if isinstance(element, dict):
        return {key: map_leaves(function, part) for key, part in element.items()}
    if isinstance(element, tuple):
        parts = [map_leaves(function, part) for part in element]
        return type(element)(*parts) if hasattr(element, "_fields") else tuple(parts)
    return None if element is None else function(element)


def leaves(element: Any) -> list[Any]:
    """The leaves, in order."""
    found: list[Any] = []
    map_leaves(found.append, element)
    return found


def to_numpy(leaf: Any) -> Any:
    """A leaf as it waits: an array, or a string or other object as it is."""
    if isinstance(leaf, Tensor):
        return leaf.numpy()
    if isinstance(leaf, str | bytes):
        return leaf
    if hasattr(leaf, "detach") and hasattr(leaf, "cpu"):
        leaf = leaf.detach().cpu()
    array = np.asarray(leaf)
    # Python's numbers have no type of their own: they become what `tf.data` makes of them.
    if not hasattr(leaf, "dtype") and array.dtype in (np.dtype(np.float64), np.dtype(np.int64)):
        array = array.astype(np.float32 if array.dtype.kind == "f" else np.int32)
    return array


def own(leaf: Any) -> Any:
    """`to_numpy`, of an array a copy: whoever made it may fill it anew while it waits."""
    array = to_numpy(leaf)
    return array.copy() if array is leaf and isinstance(array, np.ndarray) else array


def to_tensor(leaf: Any) -> Any:
    """A leaf as users see it: a tensor, or text as it is."""
    if not isinstance(leaf, np.ndarray | np.generic):
        return leaf
    if leaf.dtype.kind not in "biuf":
        return leaf.item() if leaf.ndim == 0 else leaf
    # Nothing writes to an array that waits.
    return convert(leaf, copy=False)


def stack(elements: Sequence[Any]) -> Any:
    """Elements as one, with a new first axis.

    Raises:
        ValueError: their structures or shapes differ.
    """
    first = elements[0]
    if isinstance(first, dict):
        return {key: stack([element[key] for element in elements]) for key in first}
    if isinstance(first, tuple):
        if any(len(element) != len(first) for element in elements):
            raise ValueError("batch: elements of different structures.")
        return map_structure_like(first, [stack(parts) for parts in zip(*elements, strict=True)])
    shapes = sorted({np.shape(element) for element in elements})
    if len(shapes) > 1:
        raise ValueError(f"batch: expected elements of one shape, got {' and '.join(map(str, shapes))}.")
    return np.stack([np.asarray(element) for element in elements])


def map_structure_like(first: Any, parts: list[Any]) -> Any:
    """A tuple of the kind of `first`."""
    return type(first)(*parts) if hasattr(first, "_fields") else tuple(parts)


def rows(element: Any) -> int:
    """The length of the first axis, the same in all leaves.

    Raises:
        ValueError: there is none, or several.
    """
    counts = sorted({np.shape(leaf)[0] if np.ndim(leaf) else 0 for leaf in leaves(element)})
    if len(counts) != 1 or any(np.ndim(leaf) == 0 for leaf in leaves(element)):
        raise ValueError(f"Dataset: expected parts of one length along a first axis, got lengths {counts}.")
    return counts[0]


def spec_of(element: Any, first: int | None) -> Any:
    """The `TensorSpec`s of an element; those of the first axis are `first`, or what they are if that is -1."""

    def one(leaf: Any) -> TensorSpec:
        if isinstance(leaf, str | bytes):
            return TensorSpec((), "string")
        array: NDArray[Any] = np.asarray(leaf)
        dtype = array.dtype.name if array.dtype.kind in "biuf" else "string"
        shape = array.shape if first == -1 or not array.shape else (first, *array.shape[1:])
        return TensorSpec(tuple(shape), dtype)

    return map_leaves(one, element)
