"""Sources of batches: arrays cut and shuffled here, and generators, iterables and datasets of the user's."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from oxiconv import tree
from oxiconv.trainer.arrays import Batch, as_arrays, class_weights, count_samples, leaves
from oxiconv.utils.py_dataset import PyDataset
from oxiconv.utils.sample_tuples import unpack_x_y_sample_weight

Permutation = Callable[[int], NDArray[np.intp]]

# Small batches are gathered many at a time: this many bytes, which both caches hold. Gathering is then a percent or two
# of a step, less than what a thread that did it ahead would take from the step's own threads.
CHUNK = 1 << 20

# The cardinality of a dataset that repeats for ever, in `oxiconv.data` as in tf.data.
ENDLESS = -1


class Batches(Protocol):
    """A source of batches `(x, y, sample_weight)` of arrays; y and sample_weight may be None."""

    @property
    def steps(self) -> int | None:
        """Batches in a pass over the data; None where unknown."""

    @property
    def whole(self) -> Batch | None:
        """All the data, where it is known in advance."""

    @property
    def once(self) -> bool:
        """Whether it is an iterator, which cannot start over."""

    @property
    def endless(self) -> bool:
        """Whether a pass is known never to end."""

    def run(self, start: int = 0) -> Iterator[Batch]:
        """One pass over the data, from batch `start` on. The arrays of a batch are valid until the next."""

    def sample(self) -> Batch | None:
        """A batch, to learn the shapes from; None from an iterator, which would lose it."""

    def replay(self, passes: int) -> None:
        """Tells a new source that passes were made before, in a training that is resumed."""


class ArrayBatches:
    """Batches of arrays in memory.

    Args:
        data: x, y and sample_weight.
        batch_size: samples per batch; the last batch has the rest.
        shuffle: True to draw the samples in random order, 'batch' to draw the batches so, False for neither.
        permutation: gives a random order of n items; called once per pass.
    """

    once = False
    endless = False

    def __init__(self, data: Batch, batch_size: int, shuffle: bool | str, permutation: Permutation | None) -> None:
        self._data = data
        self._flat = leaves(data)
        self._samples = count_samples(*data)
        self._size = min(batch_size, self._samples)
        self._shuffle = shuffle
        self._permutation = permutation
        # Whether x, y and sample_weight are an array or None each.
        self._plain = all(part is None or isinstance(part, np.ndarray) for part in data)
        sample = sum(a[:1].nbytes for a in self._flat)
        self._chunk = max(CHUNK // max(sample * self._size, 1), 1)

    @property
    def steps(self) -> int | None:
        """Batches in a pass."""
        return -(-self._samples // self._size)

    @property
    def whole(self) -> Batch | None:
        """The arrays."""
        return self._data

    def sample(self) -> Batch | None:
        """The first."""
        return self._pack([np.ascontiguousarray(a[: self._size]) for a in self._flat])

    def replay(self, passes: int) -> None:
        """Nothing to do: the order depends on the permutation alone."""

    def run(self, start: int = 0) -> Iterator[Batch]:
        """One pass over the data."""
        starts = range(0, self._samples, self._size)
        if self._shuffle is True and self._permutation is not None:
            order = self._permutation(self._samples)
            return self._gathered(order, starts[start:])
        in_order = list(starts)
        if self._shuffle == "batch" and self._permutation is not None:
            in_order = [starts[i] for i in self._permutation(len(starts))]
        return (self._pack([np.ascontiguousarray(a[i : i + self._size]) for a in self._flat]) for i in in_order[start:])

    def _gathered(self, order: NDArray[np.intp], starts: range) -> Iterator[Batch]:
        rows = self._size * self._chunk
        # One buffer per array, used again: gathering allocates nothing.
        buffers = [np.empty((min(rows, self._samples), *a.shape[1:]), a.dtype) for a in self._flat]
        for first in starts[:: self._chunk]:
            index = order[first : first + rows]
            for array, buffer in zip(self._flat, buffers, strict=True):
                _gather(array, index, buffer[: len(index)])
            for i in range(0, len(index), self._size):
                yield self._pack([b[i : min(i + self._size, len(index))] for b in buffers])

    def _pack(self, rows: list[NDArray[Any]]) -> Batch:
        given = iter(rows)
        if self._plain:
            return tuple([None if part is None else next(given) for part in self._data])
        return tuple(
            tree.pack_sequence_as(part, [None if leaf is None else next(given) for leaf in tree.flatten(part)])
            for part in self._data
        )


class SourceBatches:
    """Batches from a generator, an iterable, or a dataset with `__len__` and `__getitem__`.

    Args:
        source: what gives the batches.
        class_weight: weights per class, to be made into sample weights.
        permutation: gives a random order of n batches, for a dataset by index; None to keep them in order.
        free: whether batches are for a step of the user's, which may take any tuple of arrays.
    """

    def __init__(
        self,
        source: Any,
        class_weight: Mapping[Any, float] | None = None,
        permutation: Permutation | None = None,
        free: bool = False,
    ) -> None:
        by_index = hasattr(source, "__getitem__") and hasattr(source, "__len__") and not hasattr(source, "__iter__")
        self._indexed = by_index or isinstance(source, PyDataset)
        if not self._indexed and not hasattr(source, "__iter__"):
            raise ValueError(f"Expected arrays, or an iterable of batches, as x; got {type(source).__name__}.")
        self._source = source
        self._class_weight = class_weight
        self._permutation = permutation if isinstance(source, PyDataset) else None
        self._free = free

    @property
    def steps(self) -> int | None:
        """The length of the source, if it has one."""
        if isinstance(self._source, PyDataset):
            return self._source.num_batches
        if not hasattr(self._source, "__len__"):
            return None
        try:
            return len(self._source)
        except TypeError:  # torch's loaders of iterable datasets, and endless datasets, have a __len__ that fails
            return None

    @property
    def whole(self) -> Batch | None:
        """Not known."""
        return None

    @property
    def once(self) -> bool:
        """Whether the source is an iterator, which cannot start over."""
        return hasattr(self._source, "__next__")

    @property
    def endless(self) -> bool:
        """Whether the source says so, as `Dataset.repeat` and TensorFlow's datasets do."""
        return hasattr(self._source, "cardinality") and int(self._source.cardinality()) == ENDLESS

    def sample(self) -> Batch | None:
        """The first."""
        if self._indexed:
            return self._standardize(self._source[0])
        return None if self.once else next(map(self._standardize, self._source), None)

    def replay(self, passes: int) -> None:
        """Runs the hooks that earlier passes ran, since they may have reordered the dataset."""
        for _ in range(passes if self._indexed else 0):
            self._hook("on_epoch_begin")
            self._hook("on_epoch_end")

    def run(self, start: int = 0) -> Iterator[Batch]:
        """One pass over the data."""
        if not self._indexed:
            yield from map(self._standardize, itertools.islice(self._source, start, None))
            return
        self._hook("on_epoch_begin")
        count = self.steps
        order: Any = itertools.count(start) if count is None else range(count)[start:]
        if self._permutation is not None and count is not None:
            order = self._permutation(count).tolist()[start:]
        items = (
            self._source.batches(order) if isinstance(self._source, PyDataset) else map(self._source.__getitem__, order)
        )
        yield from map(self._standardize, items)
        self._hook("on_epoch_end")

    def _hook(self, name: str) -> None:
        if hasattr(self._source, name):
            getattr(self._source, name)()

    def _standardize(self, item: Any) -> Batch:
        item = tuple(item) if isinstance(item, list) else item
        if isinstance(item, tuple) and len(item) > 3 and self._free:
            return _contiguous(tuple(as_arrays(f"batch[{i}]", part, scalars=True) for i, part in enumerate(item)))
        x, y, w = unpack_x_y_sample_weight(item)
        parts = (("x", x), ("y", y), ("sample_weight", w))
        x, y, w = (as_arrays(name, part, scalars=self._free) for name, part in parts)
        if not self._free:
            count_samples(x, y, w)
        if self._class_weight is not None:
            w = class_weights(y, self._class_weight, w)
        return _contiguous((x, y, w))


def _gather(array: NDArray[Any], index: NDArray[np.intp], out: NDArray[Any]) -> None:
    """Rows of an array. `np.take` is the faster, but copies the whole of an array that is not contiguous first."""
    if array.flags.c_contiguous:
        # Indices are in range; "clip" lets NumPy write to `out` without a copy in between.
        np.take(array, index, axis=0, out=out, mode="clip")
    else:
        out[...] = array[index]


def _contiguous(data: Batch) -> Batch:
    return tree.map_structure(lambda a: None if a is None else np.ascontiguousarray(a).reshape(a.shape), data)  # type: ignore[no-any-return]
