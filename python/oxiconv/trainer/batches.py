"""Sources of batches: arrays cut and shuffled here, and generators, iterables and datasets of the user's."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from oxiconv import tree
from oxiconv.trainer.arrays import Batch, as_arrays, class_weights, count_samples, leaves
from oxiconv.utils.argument_validation import is_whole
from oxiconv.utils.py_dataset import PyDataset
from oxiconv.utils.sample_tuples import unpack_x_y_sample_weight


class Batches(Protocol):
    """A source of batches `(x, y, sample_weight)` of arrays; y and sample_weight may be None."""

    @property
    def steps(self) -> int | None:
        """Batches in a pass over the data; None where unknown."""

    @property
    def whole(self) -> Batch | None:
        """All the data, where it is known in advance."""

    def __iter__(self) -> Iterator[Batch]:
        """One pass over the data. The arrays of a batch are valid until the next."""


class ArrayBatches:
    """Batches of arrays in memory.

    Args:
        data: x, y and sample_weight.
        batch_size: samples per batch; the last batch has the rest.
        shuffle: True to draw the samples in random order, 'batch' to draw the batches so, False for neither.
        permutation: gives a random order of n items; called once per pass.
    """

    def __init__(
        self, data: Batch, batch_size: int, shuffle: bool | str, permutation: Callable[[int], NDArray[np.intp]] | None
    ) -> None:
        self._data = data
        self._flat = leaves(data)
        self._samples = count_samples(*data)
        self._size = min(batch_size, self._samples)
        self._shuffle = shuffle
        self._permutation = permutation
        # One buffer per array, reused: gathering a batch then allocates nothing.
        self._buffers = [np.empty((self._size, *a.shape[1:]), a.dtype) for a in self._flat] if shuffle is True else []

    @property
    def steps(self) -> int | None:
        """Batches in a pass."""
        return -(-self._samples // self._size)

    @property
    def whole(self) -> Batch | None:
        """The arrays."""
        return self._data

    def __iter__(self) -> Iterator[Batch]:
        starts = range(0, self._samples, self._size)
        if self._shuffle is True and self._permutation is not None:
            order = self._permutation(self._samples)
            for start in starts:
                index = order[start : start + self._size]
                rows = [buffer[: len(index)] for buffer in self._buffers]
                for array, row in zip(self._flat, rows, strict=True):
                    # Indices are in range; "clip" lets NumPy write to `out` without a copy in between.
                    np.take(array, index, axis=0, out=row, mode="clip")
                yield self._pack(rows)
            return
        if self._shuffle == "batch" and self._permutation is not None:
            starts_in_order = [starts[i] for i in self._permutation(len(starts))]
        else:
            starts_in_order = list(starts)
        for start in starts_in_order:
            yield self._pack([np.ascontiguousarray(a[start : start + self._size]) for a in self._flat])

    def _pack(self, rows: list[NDArray[Any]]) -> Batch:
        given = iter(rows)
        return tuple(
            tree.pack_sequence_as(part, [None if leaf is None else next(given) for leaf in tree.flatten(part)])
            for part in self._data
        )


class SourceBatches:
    """Batches from a generator, an iterable, or a dataset with `__len__` and `__getitem__`."""

    def __init__(self, source: Any, class_weight: Mapping[Any, float] | None = None) -> None:
        self._indexed = (
            hasattr(source, "__getitem__") and hasattr(source, "__len__") and not hasattr(source, "__next__")
        )
        if not self._indexed and not hasattr(source, "__iter__"):
            raise ValueError(f"Expected arrays, or an iterable of batches, as x; got {type(source).__name__}.")
        self._source = source
        self._class_weight = class_weight

    @property
    def steps(self) -> int | None:
        """The length of the source, if it has one."""
        if not hasattr(self._source, "__len__"):
            return None
        try:
            return len(self._source)
        except TypeError:  # torch's loaders of iterable datasets have a __len__ that fails
            return None

    @property
    def whole(self) -> Batch | None:
        """Not known."""
        return None

    @property
    def once(self) -> bool:
        """Whether the source is an iterator, which cannot start over."""
        return hasattr(self._source, "__next__")

    def __iter__(self) -> Iterator[Batch]:
        if self._indexed:
            if hasattr(self._source, "on_epoch_begin"):
                self._source.on_epoch_begin()
            indexed = (self._source[i] for i in range(len(self._source)))
            for item in self._source if isinstance(self._source, PyDataset) else indexed:
                yield self._standardize(item)
            if hasattr(self._source, "on_epoch_end"):
                self._source.on_epoch_end()
            return
        for item in self._source:
            yield self._standardize(item)

    def _standardize(self, item: Any) -> Batch:
        x, y, w = unpack_x_y_sample_weight(item)
        x, y, w = as_arrays("x", x), as_arrays("y", y), as_arrays("sample_weight", w)
        count_samples(x, y, w)
        if self._class_weight is not None:
            w = class_weights(y, self._class_weight, w)
        return tree.map_structure(lambda a: None if a is None else np.ascontiguousarray(a), (x, y, w))  # type: ignore[no-any-return]


class Epochs:
    """Cuts a source into epochs: whole passes, or `steps` batches each, going on where the last epoch stopped."""

    def __init__(self, batches: Batches, steps: int | None) -> None:
        if steps is not None and not is_whole(steps):
            raise ValueError(f"Expected a positive number of steps, got {steps!r}.")
        self._batches = batches
        self._steps = steps
        self._running: Iterator[Batch] | None = None
        self.exhausted = False

    @property
    def steps(self) -> int | None:
        """Batches per epoch, where known."""
        return self._steps or self._batches.steps

    def epoch(self) -> Iterator[Batch]:
        """The batches of the next epoch: fewer than `steps` if the data runs out."""
        if self._steps is None:
            self.exhausted = isinstance(self._batches, SourceBatches) and self._batches.once
            yield from self._batches
            return
        for _ in range(self._steps):
            following = self._next()
            if following is None:
                self.exhausted = True
                return
            yield following

    def _next(self) -> Batch | None:
        batch: Batch | None
        if self._running is None:
            self._running = iter(self._batches)
        batch = next(self._running, None)
        if batch is None and not (isinstance(self._batches, SourceBatches) and self._batches.once):
            self._running = iter(self._batches)
            batch = next(self._running, None)
        return batch
