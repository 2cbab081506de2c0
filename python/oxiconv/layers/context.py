"""What is known while layers call layers: whether this is training, and which layer was called first."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


class _State(threading.local):
    def __init__(self) -> None:
        self.training: bool | None = None
        self.depth = 0


_state = _State()


def training() -> bool | None:
    """The `training` of the enclosing call; None if nobody said."""
    return _state.training


def nested() -> bool:
    """Whether a layer's call is running."""
    return _state.depth > 0


@contextmanager
def entered(training: Any) -> Iterator[None]:
    """Within a layer's call."""
    outer = _state.training
    _state.training = training
    _state.depth += 1
    try:
        yield
    finally:
        _state.training = outer
        _state.depth -= 1
