"""Transformations of iterators, which know nothing of datasets."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from itertools import islice, repeat, takewhile
from typing import Any, TypeVar

T = TypeVar("T")
Source = Callable[[], Iterator[T]]

_END: Any = object()


def shuffled(items: Iterator[T], buffer: int, rng: random.Random) -> Iterator[T]:
    """Draws each item from a buffer, which the next of the source then joins."""
    held = list(islice(items, buffer))
    for item in items:
        k = rng.randrange(buffer)
        held[k], drawn = item, held[k]
        yield drawn
    rng.shuffle(held)
    yield from held


def repeated(source: Source[T], count: int | None) -> Iterator[T]:
    """The source over and over; stops where it is empty, which would never end."""
    while count is None or count > 0:
        empty = True
        for item in source():
            empty = False
            yield item
        if empty:
            return
        count = None if count is None else count - 1


def chunked(items: Iterator[T], size: int) -> Iterator[list[T]]:
    """Lists of `size` items, the last one perhaps shorter."""
    while chunk := list(islice(items, size)):
        yield chunk


def overlapped(calls: Iterator[Callable[[], T]], depth: int, threads: int) -> Iterator[T]:
    """The results of calls, in order, `depth` of them made ahead of their use by `threads` threads."""
    executor = ThreadPoolExecutor(threads, thread_name_prefix="oxiconv-prefetch")
    ahead: deque[Future[T]] = deque()
    try:
        for call in calls:
            ahead.append(executor.submit(call))
            if len(ahead) > depth:
                yield ahead.popleft().result()
        while ahead:
            yield ahead.popleft().result()
    finally:
        executor.shutdown(wait=False, cancel_futures=True)


def prefetched(source: Source[T], depth: int) -> Iterator[T]:
    """The items, made up to `depth` ahead of their use by a thread."""
    step = partial(next, source(), _END)
    yield from takewhile(lambda item: item is not _END, overlapped(repeat(step), depth, 1))


class Cache:
    """Keeps the items of a source, from the first pass that reaches the end."""

    def __init__(self, source: Source[Any]) -> None:
        self._source = source
        self._kept: list[Any] | None = None

    def __call__(self) -> Iterator[Any]:
        """One pass."""
        if self._kept is not None:
            yield from self._kept
            return
        items = []
        for item in self._source():
            items.append(item)
            yield item
        self._kept = items
