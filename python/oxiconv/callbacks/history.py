"""The record of a training."""

from __future__ import annotations

from typing import Any

from oxiconv.callbacks.callback import Callback, Logs


class History(Callback):
    """Keeps the results of each epoch; `fit` returns one.

    `history` maps names to lists of values, `epoch` lists the epochs.
    """

    def __init__(self) -> None:
        super().__init__()
        self.history: dict[str, list[Any]] = {}
        self.epoch: list[int] = []

    def on_train_begin(self, logs: Logs = None) -> None:
        """Starts the list of epochs."""
        self.epoch = []
        self.model.history = self

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Appends the epoch's results."""
        self.epoch.append(epoch)
        for name, value in (logs or {}).items():
            self.history.setdefault(name, []).append(value)
