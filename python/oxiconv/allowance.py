"""A limit on what variables may be made: while a file is read, what it describes must be in proportion to its size."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator, Sequence
from contextvars import ContextVar


class _Allowance:
    def __init__(self, elements: int) -> None:
        self.left = elements


_active: ContextVar[_Allowance | None] = ContextVar("oxiconv_allowance", default=None)


@contextlib.contextmanager
def limited(elements: int) -> Iterator[None]:
    """Within the block, variables of at most this many elements in all may be made."""
    token = _active.set(_Allowance(elements))
    try:
        yield
    finally:
        _active.reset(token)


def spend(name: str, shape: Sequence[int]) -> None:
    """Counts a variable that is about to be made.

    Raises:
        ValueError: it is larger than what is left.
    """
    active = _active.get()
    if active is None:
        return
    elements = math.prod(shape)
    if elements > active.left:
        raise ValueError(f"the variable {name!r} of shape {tuple(shape)} is larger than the file could fill")
    active.left -= elements
