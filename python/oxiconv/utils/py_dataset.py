"""Data sets made batch by batch in Python."""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from oxiconv.utils.argument_validation import is_whole


class PyDataset:
    """A data set that makes its batches by index: subclasses define `__len__` and `__getitem__`.

    Args:
        workers: threads that make batches ahead of their use, where there is more than one. The order stays.
        use_multiprocessing: accepted; `workers` threads make the batches in either case. Reading, decoding and NumPy
            run without the interpreter's lock; Python code that holds it gains nothing from several workers.
        max_queue_size: batches that may be made ahead.

    Raises:
        ValueError: an argument that is not as above.

    Example:
        >>> import numpy as np, oxiconv
        >>> class Ones(oxiconv.utils.PyDataset):
        ...     def __len__(self):
        ...         return 3
        ...     def __getitem__(self, index):
        ...         return np.ones((4, 2)), np.full((4, 1), index)
        >>> [int(y[0, 0]) for x, y in Ones(workers=2)]
        [0, 1, 2]
    """

    def __init__(self, workers: int = 1, use_multiprocessing: bool = False, max_queue_size: int = 10) -> None:
        for name, value in (("workers", workers), ("max_queue_size", max_queue_size)):
            if not is_whole(value):
                raise ValueError(f"PyDataset: {name} must be a positive integer, got {value!r}.")
        self.workers = workers
        self.use_multiprocessing = use_multiprocessing
        self.max_queue_size = max_queue_size

    def __getitem__(self, index: int) -> Any:
        """The batch `(x,)`, `(x, y)` or `(x, y, sample_weight)` at an index."""
        raise NotImplementedError(f"{type(self).__name__} must define __getitem__(index)")

    def __len__(self) -> int:
        """The number of batches."""
        count = self.num_batches
        if count is None:
            raise TypeError(f"{type(self).__name__} has no length: it is endless.")
        return count

    @property
    def num_batches(self) -> int | None:
        """The number of batches, for subclasses that define this instead of `__len__`; None for an endless dataset."""
        if type(self).__len__ is PyDataset.__len__:
            raise NotImplementedError(f"{type(self).__name__} must define __len__() or num_batches")
        return len(self)

    def on_epoch_begin(self) -> None:
        """Before the first batch of an epoch."""

    def on_epoch_end(self) -> None:
        """After the last batch of an epoch."""

    def __iter__(self) -> Iterator[Any]:
        """The batches in order, endlessly where there is no number of them."""
        return self.batches(itertools.count() if self.num_batches is None else range(self.num_batches))

    def batches(self, indices: Iterable[int]) -> Iterator[Any]:
        """The batches at indices, in that order, made ahead by threads where there are several workers."""
        # A subclass that does not call `super().__init__` has one worker, as in Keras.
        workers = getattr(self, "workers", 1)
        if workers == 1:
            yield from map(self.__getitem__, indices)
            return
        executor = ThreadPoolExecutor(workers, thread_name_prefix="oxiconv-dataset")
        pending: deque[Future[Any]] = deque()
        try:
            for index in indices:
                pending.append(executor.submit(self.__getitem__, index))
                if len(pending) > self.max_queue_size:
                    yield pending.popleft().result()
            while pending:
                yield pending.popleft().result()
        finally:
            executor.shutdown(wait=False, cancel_futures=True)
