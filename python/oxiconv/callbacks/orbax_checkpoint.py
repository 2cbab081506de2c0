"""Checkpoints in Orbax's format: absent."""

from __future__ import annotations

from typing import Any

from oxiconv.callbacks.callback import Callback


class OrbaxCheckpoint(Callback):
    """Not available: Orbax writes the arrays of JAX. Use `ModelCheckpoint`, or `BackupAndRestore` to resume.

    Raises:
        NotImplementedError: always.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        raise NotImplementedError(
            "OrbaxCheckpoint is not available: Orbax writes the arrays of JAX. Use ModelCheckpoint to keep models, or "
            "BackupAndRestore to resume a training."
        )
