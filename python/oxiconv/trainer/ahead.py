"""Making items on a thread of their own, before they are needed."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator
from typing import TypeVar

T = TypeVar("T")


class _End:
    """The last item: why there are no more."""

    def __init__(self, error: BaseException | None) -> None:
        self.error = error


def ahead(items: Iterator[T], count: int) -> Iterator[T]:
    """The items in order, of which up to `count` are made while the caller is busy with the one before.

    The thread starts with the first item that is asked for and ends with the last, or when the iterator is closed. An
    error in making an item is raised where the item was due.
    """
    made: queue.Queue[T | _End] = queue.Queue(count)
    closed = threading.Event()

    def offer(item: T | _End) -> bool:
        while not closed.is_set():
            try:
                made.put(item, timeout=0.1)
            except queue.Full:
                continue
            return True
        return False

    def work() -> None:
        try:
            for item in items:
                if not offer(item):
                    return
        except BaseException as error:
            offer(_End(error))
        else:
            offer(_End(None))

    thread = threading.Thread(target=work, name="oxiconv-ahead", daemon=True)
    thread.start()
    try:
        while True:
            item = made.get()
            if isinstance(item, _End):
                if item.error is not None:
                    raise item.error
                return
            yield item
    finally:
        closed.set()
