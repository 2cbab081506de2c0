"""Splitting datasets in two."""

from __future__ import annotations

import random
from typing import Any

import numpy as np

from oxiconv.data import Dataset
from oxiconv.data.elements import map_leaves, rows, stack, to_numpy
from oxiconv.utils.argument_validation import is_whole


def split_dataset(
    dataset: Any,
    left_size: float | None = None,
    right_size: float | None = None,
    shuffle: bool = False,
    seed: int | None = None,
    preferred_backend: str | None = None,
) -> tuple[Dataset, Dataset]:
    """Splits data in two, such as training and test data.

    Args:
        dataset: an array, a tuple or list of arrays, an `oxiconv.data.Dataset` (one of batches is split by samples and
            batched again), or a data set of PyTorch.
        left_size: the number of samples on the left, or their fraction; by default what the right leaves.
        right_size: the same of the right.
        shuffle: shuffle first, as Keras does for the same seed.
        seed: of that order.
        preferred_backend: accepted for Keras's sake; the results are the same.

    Returns:
        Two `oxiconv.data.Dataset`s.

    Raises:
        TypeError: `dataset` or a size is of another type.
        ValueError: sizes that do not fit, or a part without samples.

    >>> left, right = split_dataset(np.arange(10), left_size=0.8)
    >>> len(left), len(right)
    (8, 2)
    """
    if left_size is None and right_size is None:
        raise ValueError("split_dataset: expected left_size or right_size, got neither.")
    batch_size = None
    if isinstance(dataset, Dataset):
        batch_size = dataset._batch_size
        samples = dataset if batch_size is None else dataset.unbatch()
        held = list(samples._elements())
        data = stack(held) if held else np.empty(0)
    elif isinstance(dataset, np.ndarray):
        data = dataset
    elif isinstance(dataset, tuple | list):
        data = tuple(np.asarray(to_numpy(part)) for part in dataset)
    elif hasattr(dataset, "__getitem__") and hasattr(dataset, "__len__"):
        items = (dataset[i] for i in range(len(dataset)))
        data = stack([map_leaves(to_numpy, tuple(item) if isinstance(item, list) else item) for item in items])
    else:
        raise TypeError(f"split_dataset: expected arrays or a dataset, got {type(dataset).__name__}.")
    total = rows(data)
    left, right = _sizes(left_size, right_size, total)
    order = list(range(total))
    if shuffle:
        random.Random(random.randint(0, 1_000_000) if seed is None else seed).shuffle(order)

    def part(numbers: list[int]) -> Dataset:
        made = Dataset.from_tensor_slices(map_leaves(lambda array: array[np.array(numbers, np.intp)], data))
        return (made if batch_size is None else made.batch(batch_size)).prefetch()

    return part(order[:left]), part(order[total - right :])


def _sizes(left: float | None, right: float | None, total: int) -> tuple[int, int]:
    """Both sizes in samples."""

    def samples(name: str, size: float | None) -> int | None:
        if size is None:
            return None
        if is_whole(size, 0):
            fits, count = 0 < size < total, int(size)
        elif isinstance(size, float | np.floating):
            fits, count = 0 < size < 1, round(float(size) * total)
        else:
            raise TypeError(f"split_dataset: {name} must be a number, got {type(size).__name__}.")
        if not fits:
            raise ValueError(
                f"split_dataset: {name} must be a fraction in (0, 1) or a number of samples in (0, {total}), "
                f"got {size!r}."
            )
        return count

    given = (samples("left_size", left), samples("right_size", right))
    first = given[0] if given[0] is not None else total - (given[1] or 0)
    second = given[1] if given[1] is not None else total - first
    if first + second > total:
        raise ValueError(f"split_dataset: {left!r} and {right!r} are more than the {total} samples.")
    if not first or not second:
        raise ValueError(f"split_dataset: {left!r} and {right!r} of {total} samples leave one part empty.")
    return first, second
