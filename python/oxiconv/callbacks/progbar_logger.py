"""The progress bar of `fit`, `evaluate` and `predict`."""

from __future__ import annotations

from typing import Any

from oxiconv.callbacks.callback import Callback, Logs
from oxiconv.utils.progbar import Progbar


class ProgbarLogger(Callback):
    """Prints progress and results: a bar (`verbose` 1) or a line per epoch (2)."""

    def __init__(self) -> None:
        super().__init__()
        self._bar: Progbar | None = None
        self._seen = 0
        self._steps: int | None = None
        self._training = False

    def set_params(self, params: dict[str, Any]) -> None:
        """Takes the number of epochs and steps, and the verbosity."""
        super().set_params(params)
        self._steps = params.get("steps")
        verbose = params.get("verbose", 1)
        self._verbose = 1 if verbose == "auto" else int(verbose)
        self._epochs = params.get("epochs", 1)

    def on_train_begin(self, logs: Logs = None) -> None:
        """Validation within training has no bar of its own."""
        self._training = True

    def on_train_end(self, logs: Logs = None) -> None:
        """Evaluation after training has one again."""
        self._training = False

    def on_epoch_begin(self, epoch: int, logs: Logs = None) -> None:
        """Starts the epoch's bar."""
        if self._verbose and self._epochs > 1:
            print(f"Epoch {epoch + 1}/{self._epochs}", flush=True)
        self._start()

    def on_train_batch_end(self, batch: int, logs: Logs = None) -> None:
        """Refreshes the bar, if it is time."""
        self._refresh(batch, logs)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Ends the epoch's bar with its results."""
        self._finish(logs)

    def on_test_begin(self, logs: Logs = None) -> None:
        """Starts a bar, outside of training."""
        if not self._training:
            self._start()

    def on_test_batch_end(self, batch: int, logs: Logs = None) -> None:
        """Refreshes the bar, if it is time."""
        if not self._training:
            self._refresh(batch, logs)

    def on_test_end(self, logs: Logs = None) -> None:
        """Ends the bar with the results."""
        if not self._training:
            self._finish(logs)

    def on_predict_begin(self, logs: Logs = None) -> None:
        """Starts a bar."""
        self._start()

    def on_predict_batch_end(self, batch: int, logs: Logs = None) -> None:
        """Refreshes the bar, if it is time."""
        self._refresh(batch, None)

    def on_predict_end(self, logs: Logs = None) -> None:
        """Ends the bar."""
        self._finish(None)

    def _start(self) -> None:
        self._seen = 0
        self._bar = Progbar(self._steps, verbose=self._verbose, stateless_metrics=()) if self._verbose else None

    def _refresh(self, batch: int, logs: Logs) -> None:
        self._seen = batch + 1
        # The logs are read, which costs time, only for a refresh that is shown.
        if self._bar is not None and self._seen != self._steps and self._bar.due():
            self._bar.update(self._seen, list((logs or {}).items()), finalize=False)

    def _finish(self, logs: Logs) -> None:
        if self._bar is not None:
            # A pass over data of unknown length has told it.
            self._steps = self._bar.target = self._steps or self._seen
            self._bar.update(self._seen, list((logs or {}).items()), finalize=True)
            self._bar = None
