"""What is known while layers call layers: whether this is training, and which layer was called first."""

from __future__ import annotations

import threading
from typing import Any
from weakref import WeakSet


class _Calls(threading.local):
    def __init__(self) -> None:
        # The `training` of the enclosing call; None if nobody said.
        self.training: Any = None
        # How many calls of layers are running, one within the other.
        self.depth = 0


calls = _Calls()
# The layers that hold losses of a call: only when there are any must the next call look for old ones.
with_losses: WeakSet[Any] = WeakSet()


def training() -> bool | None:
    """The `training` of the enclosing call; None if nobody said."""
    return calls.training  # type: ignore[no-any-return]


def nested() -> bool:
    """Whether a layer's call is running."""
    return calls.depth > 0
