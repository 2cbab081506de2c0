"""The dataset object: the methods of `tf.data.Dataset` that training scripts use."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from oxiconv.data.elements import leaves, map_leaves, own, rows, spec_of, stack, to_numpy, to_tensor
from oxiconv.data.streams import Cache, chunked, overlapped, prefetched, repeated, shuffled

AUTOTUNE: Final = -1
INFINITE_CARDINALITY: Final = -1
UNKNOWN_CARDINALITY: Final = -2

_AHEAD = 2  # elements that AUTOTUNE prefetches
_READ_AHEAD = 16  # rows fetched at a time where rows are used one by one


@dataclass(frozen=True)
class Rows:
    """A table whose rows are the elements: order, batches and parts of it are decided on row numbers alone."""

    order: Callable[[], Iterator[int]]
    fetch: Callable[[NDArray[np.intp]], Any]
    """The rows of these numbers as one element with a first axis."""
    ahead: int = 0
    """Fetches made ahead of their use, by as many threads."""

    def elements(self) -> Iterator[Any]:
        """The rows, one by one."""
        for fetched in self.batches(_READ_AHEAD):
            for k in range(rows(fetched)):
                yield map_leaves(partial(_row, k), fetched)

    def batches(self, size: int) -> Iterator[Any]:
        """The rows, `size` at a time."""
        calls = (partial(self.fetch, np.array(chunk, np.intp)) for chunk in chunked(self.order(), size))
        return overlapped(calls, self.ahead, self.ahead) if self.ahead else (call() for call in calls)


def _row(k: int, leaf: Any) -> Any:
    return leaf[k]


class Dataset:
    """A sequence of elements that can be gone through any number of times.

    An element is a tensor, or a tuple or dictionary of them. Methods return new datasets and compute nothing until one
    is iterated over. Made by `from_tensor_slices`, `from_tensors`, `from_generator` and `range`, and by
    `utils.image_dataset_from_directory`; models fit, evaluate and predict on it.

    Randomness is that of the seed given, or of `utils.set_random_seed`; `num_parallel_calls` and `deterministic` are
    accepted and change nothing: the order is always the same.

    Example:
        >>> from oxiconv.data import Dataset
        >>> ds = Dataset.from_tensor_slices(([1, 2, 3], [0.0, 0.5, 1.0])).map(lambda x, y: (x * 10, y)).batch(2)
        >>> [(x.numpy().tolist(), y.numpy().tolist()) for x, y in ds]
        [([10, 20], [0.0, 0.5]), ([30], [1.0])]
        >>> len(ds), ds.element_spec[0].shape
        (2, (None,))
    """

    def __init__(
        self,
        elements: Callable[[], Iterator[Any]],
        cardinality: int = UNKNOWN_CARDINALITY,
        batch_size: int | None = None,
        varying: bool = False,
        rows: Rows | None = None,
    ) -> None:
        """For subclasses and functions that make datasets: see the class methods.

        `elements` starts a pass over elements with NumPy leaves; `varying` says that batches may be smaller than
        `batch_size`.
        """
        self._elements = elements
        self._cardinality = cardinality
        self._batch_size = batch_size
        self._varying = varying
        self._rows = rows
        self._spec: Any = None
        self.class_names: list[str] | None = None
        self.file_paths: list[str] | None = None

    # Sources.

    @classmethod
    def from_rows(cls, count: int, fetch: Callable[[NDArray[np.intp]], Any], ahead: int = 0) -> Dataset:
        """`count` elements, fetched many at a time: `fetch(numbers)` gives those rows with a first axis.

        `ahead` fetches are made ahead of their use, by as many threads.
        """
        table = Rows(lambda: iter(range(count)), fetch, ahead)
        return cls(table.elements, count, rows=table)

    @classmethod
    def from_tensor_slices(cls, tensors: Any, name: str | None = None) -> Dataset:
        """The slices along the first axis of an array, or of a tuple or dictionary of arrays."""
        arrays = map_leaves(lambda leaf: np.asarray(to_numpy(leaf)), tensors)
        return cls.from_rows(rows(arrays), lambda numbers: map_leaves(lambda array: array[numbers], arrays))

    @classmethod
    def from_tensors(cls, tensors: Any, name: str | None = None) -> Dataset:
        """One element."""
        element = map_leaves(own, tensors)
        return cls(lambda: iter([element]), 1)

    @classmethod
    def from_generator(
        cls,
        generator: Callable[..., Any],
        output_types: Any = None,
        output_shapes: Any = None,
        args: tuple[Any, ...] | None = None,
        output_signature: Any = None,
        name: str | None = None,
    ) -> Dataset:
        """What a callable's iterator yields; types and shapes are those of what is yielded."""
        if not callable(generator):
            raise TypeError(f"from_generator: expected a callable, got {type(generator).__name__}.")
        return cls(lambda: (map_leaves(own, element) for element in generator(*(args or ()))))

    @classmethod
    def range(cls, *args: int, output_type: Any = "int32", name: str | None = None) -> Dataset:
        """The numbers of Python's `range`."""
        return cls.from_tensor_slices(np.arange(*args, dtype=output_type))

    @staticmethod
    def zip(*args: Any, datasets: Any = None, name: str | None = None) -> Dataset:
        """Tuples (or dictionaries) of the elements of datasets, as many as the shortest has."""
        structure = datasets if datasets is not None else args[0] if len(args) == 1 else args
        parts: list[Dataset] = leaves(structure)
        if not parts or not all(isinstance(part, Dataset) for part in parts):
            raise TypeError("zip: expected a tuple or dictionary of datasets.")

        def elements() -> Iterator[Any]:
            for drawn in zip(*(part._elements() for part in parts), strict=False):
                yield map_leaves(partial(_following, iter(drawn)), structure)

        known = [part._cardinality for part in parts]
        finite = [count for count in known if count != INFINITE_CARDINALITY]
        count = INFINITE_CARDINALITY if not finite else min(finite)  # UNKNOWN is the least
        return Dataset(elements, count, parts[0]._batch_size, any(part._varying for part in parts))

    # Elements.

    def __iter__(self) -> Iterator[Any]:
        """One pass, with tensors as leaves."""
        for element in self._elements():
            yield map_leaves(to_tensor, element)

    def as_numpy_iterator(self) -> Iterator[Any]:
        """One pass, with NumPy arrays and scalars as leaves."""
        for element in self._elements():
            yield map_leaves(lambda leaf: leaf[()] if isinstance(leaf, np.ndarray) else leaf, element)

    def cardinality(self) -> int:
        """The number of elements, `INFINITE_CARDINALITY` or `UNKNOWN_CARDINALITY`."""
        return self._cardinality

    def __len__(self) -> int:
        """The number of elements.

        Raises:
            TypeError: infinite, or not known without going through them.
        """
        if self._cardinality < 0:
            kind = "infinite" if self._cardinality == INFINITE_CARDINALITY else "unknown"
            raise TypeError(f"The dataset's length is {kind}.")
        return self._cardinality

    def __bool__(self) -> bool:
        """True, also for datasets without a length."""
        return True

    def __repr__(self) -> str:
        """The number of elements and their types."""
        counts = {INFINITE_CARDINALITY: "endless", UNKNOWN_CARDINALITY: "unknown number of"}
        return f"<Dataset: {counts.get(self._cardinality, self._cardinality)} elements>"

    @property
    def element_spec(self) -> Any:
        """The `TensorSpec`s of an element, learnt from the first."""
        if self._spec is None:
            first = next(self._elements(), None)
            if first is None:
                raise ValueError("element_spec: the dataset has no elements.")
            self._spec = spec_of(map_leaves(lambda leaf: np.asarray(to_tensor(leaf)), first), self._first_axis())
        return self._spec

    def _first_axis(self) -> int | None:
        if self._batch_size is None:
            return -1
        return None if self._varying else self._batch_size

    # Order and number of the elements.

    def _reordered(self, change: Callable[[Callable[[], Iterator[Any]]], Iterator[Any]], cardinality: int) -> Dataset:
        """The dataset with `change` of its stream; of the row numbers alone where elements are rows of a table."""
        if self._rows is not None:
            table = replace(self._rows, order=partial(change, self._rows.order))
            return Dataset(table.elements, cardinality, rows=table)
        return self._like(partial(change, self._elements), cardinality)

    def _like(self, elements: Callable[[], Iterator[Any]], cardinality: int) -> Dataset:
        return Dataset(elements, cardinality, self._batch_size, self._varying)

    def shuffle(
        self,
        buffer_size: int,
        seed: int | None = None,
        reshuffle_each_iteration: bool | None = True,
        name: str | None = None,
    ) -> Dataset:
        """The elements in random order: each drawn from a buffer of `buffer_size`; another order in each pass."""
        _check("shuffle", "buffer_size", buffer_size, 1)
        base = random.getrandbits(64) if seed is None else int(seed)
        passes = itertools.count()

        def change(source: Callable[[], Iterator[Any]]) -> Iterator[Any]:
            number = 0 if reshuffle_each_iteration is False else next(passes)
            return shuffled(source(), buffer_size, random.Random(f"{base}/{number}"))

        return self._reordered(change, self._cardinality)

    def take(self, count: int, name: str | None = None) -> Dataset:
        """The first `count` elements; all if that is -1."""
        if count < 0:
            return self
        known = self._cardinality
        taken = count if known == INFINITE_CARDINALITY else min(known, count)
        return self._reordered(lambda source: itertools.islice(source(), count), taken)

    def skip(self, count: int, name: str | None = None) -> Dataset:
        """All but the first `count` elements; none if that is -1."""
        if count < 0:
            return self.take(0)
        left = self._cardinality if self._cardinality < 0 else max(self._cardinality - count, 0)
        return self._reordered(lambda source: itertools.islice(source(), count, None), left)

    def shard(self, num_shards: int, index: int, name: str | None = None) -> Dataset:
        """Every `num_shards`-th element from number `index` on."""
        _check("shard", "num_shards", num_shards, 1)
        if not 0 <= index < num_shards:
            raise ValueError(f"shard: expected an index in [0, {num_shards}), got {index!r}.")
        known = self._cardinality
        count = known if known < 0 else max(0, -(-(known - index) // num_shards))
        return self._reordered(lambda source: itertools.islice(source(), index, None, num_shards), count)

    def repeat(self, count: int | None = None, name: str | None = None) -> Dataset:
        """The elements `count` times over; without end if that is None or -1."""
        times = None if count is None or count < 0 else int(count)
        known = self._cardinality
        if times is None:
            total = 0 if known == 0 else INFINITE_CARDINALITY
        else:
            total = known if known < 0 and times else known * times
        return self._reordered(lambda source: repeated(source, times), total)

    def concatenate(self, dataset: Dataset, name: str | None = None) -> Dataset:
        """These elements, then those of another dataset."""
        known = (self._cardinality, dataset._cardinality)
        total = INFINITE_CARDINALITY if INFINITE_CARDINALITY in known else min(known) if min(known) < 0 else sum(known)
        joined = self._like(lambda: itertools.chain(self._elements(), dataset._elements()), total)
        joined._varying = self._varying or dataset._varying
        return joined

    def filter(self, predicate: Callable[..., Any], name: str | None = None) -> Dataset:
        """The elements of which `predicate` is true."""
        return self._like(lambda: (e for e in self._elements() if bool(_call(predicate, e))), UNKNOWN_CARDINALITY)

    def enumerate(self, start: int = 0, name: str | None = None) -> Dataset:
        """Pairs of a number, counted from `start`, and an element."""

        def elements() -> Iterator[Any]:
            return ((np.asarray(i, np.int32), e) for i, e in enumerate(self._elements(), start))

        return self._like(elements, self._cardinality)

    # What becomes of the elements.

    def map(
        self,
        map_func: Callable[..., Any],
        num_parallel_calls: int | None = None,
        deterministic: bool | None = None,
        name: str | None = None,
    ) -> Dataset:
        """`map_func` of each element; the parts of a tuple are separate arguments, tensors all."""
        return self._like(lambda: (map_leaves(own, _call(map_func, e)) for e in self._elements()), self._cardinality)

    def batch(
        self,
        batch_size: int,
        drop_remainder: bool = False,
        num_parallel_calls: int | None = None,
        deterministic: bool | None = None,
        name: str | None = None,
    ) -> Dataset:
        """Elements of `batch_size` elements each, stacked along a new first axis; the last may have fewer."""
        _check("batch", "batch_size", batch_size, 1)
        known, table = self._cardinality, self._rows
        count = known if known < 0 else known // batch_size if drop_remainder else -(-known // batch_size)

        def elements() -> Iterator[Any]:
            if table is not None:
                batches = table.batches(batch_size)
            else:
                batches = (stack(chunk) for chunk in chunked(self._elements(), batch_size))
            return (b for b in batches if not drop_remainder or rows(b) == batch_size)

        return Dataset(elements, count, batch_size, not drop_remainder)

    def unbatch(self, name: str | None = None) -> Dataset:
        """The slices of the elements along their first axis."""

        def elements() -> Iterator[Any]:
            for element in self._elements():
                for k in range(rows(element)):
                    yield map_leaves(partial(_row, k), element)

        exact = self._batch_size is not None and not self._varying and self._cardinality >= 0
        return Dataset(elements, self._cardinality * (self._batch_size or 0) if exact else UNKNOWN_CARDINALITY)

    def rebatch(self, batch_size: int, drop_remainder: bool = False, name: str | None = None) -> Dataset:
        """Batches of another size."""
        return self.unbatch().batch(batch_size, drop_remainder)

    def cache(self, filename: str = "", name: str | None = None) -> Dataset:
        """Keeps the elements in memory from the first whole pass on."""
        if filename:
            raise ValueError("cache: only memory is supported, cache(); keep arrays in files with numpy.save.")
        return self._like(Cache(self._elements), self._cardinality)

    def prefetch(self, buffer_size: int = AUTOTUNE, name: str | None = None) -> Dataset:
        """Makes up to `buffer_size` elements ahead of their use, on a thread."""
        depth = _AHEAD if buffer_size == AUTOTUNE else buffer_size
        _check("prefetch", "buffer_size", depth, 0)
        return self if depth == 0 else self._like(lambda: prefetched(self._elements, depth), self._cardinality)

    def apply(self, transformation_func: Callable[[Dataset], Dataset], name: str | None = None) -> Dataset:
        """`transformation_func` of the dataset."""
        return transformation_func(self)

    def reduce(self, initial_state: Any, reduce_func: Callable[[Any, Any], Any], name: str | None = None) -> Any:
        """`state = reduce_func(state, element)` over all elements."""
        state = initial_state
        for element in self:
            state = reduce_func(state, element)
        return state

    def with_options(self, options: Any, name: str | None = None) -> Dataset:
        """The dataset itself: there is nothing to tune."""
        return self


def _following(items: Iterator[Any], _: Any) -> Any:
    return next(items)


def _call(function: Callable[..., Any], element: Any) -> Any:
    given = map_leaves(to_tensor, element)
    return function(*given) if isinstance(given, tuple) else function(given)


def _check(method: str, what: str, value: Any, least: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < least:
        raise ValueError(f"{method}: expected {what} of at least {least}, got {value!r}.")
