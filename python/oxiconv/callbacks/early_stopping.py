"""Stopping when training no longer helps, or has failed."""

from __future__ import annotations

import math
from typing import Any

from numpy.typing import NDArray

from oxiconv.callbacks.callback import Callback, Logs
from oxiconv.callbacks.monitoring import MonitorCallback


class EarlyStopping(MonitorCallback):
    """Stops training when a result has not improved for some epochs.

    Args:
        monitor: the result to watch.
        min_delta: smaller changes are no improvement.
        patience: epochs without improvement after which training stops.
        verbose: 1 to print when it stops.
        mode: 'min', 'max' or 'auto', as the metric says.
        baseline: a value that must be reached for an epoch to count as improvement.
        restore_best_weights: whether to go back to the weights of the best epoch.
        start_from_epoch: epochs to wait before watching.

    Example:
        >>> import oxiconv
        >>> oxiconv.callbacks.EarlyStopping(monitor="val_accuracy", patience=3).patience
        3
    """

    state_fields = ("wait", "stopped_epoch", "best", "best_epoch", "best_weights")

    def __init__(
        self,
        monitor: str = "val_loss",
        min_delta: float = 0,
        patience: int = 0,
        verbose: int = 0,
        mode: str = "auto",
        baseline: float | None = None,
        restore_best_weights: bool = False,
        start_from_epoch: int = 0,
    ) -> None:
        super().__init__(monitor, mode, min_delta=min_delta)
        self.patience = patience
        self.verbose = verbose
        self.baseline = baseline
        self.restore_best_weights = restore_best_weights
        self.start_from_epoch = start_from_epoch
        self._reset()

    def _reset(self) -> None:
        self.wait = 0
        self.stopped_epoch = 0
        self.best = None
        self.best_epoch = 0
        self.best_weights: list[NDArray[Any]] | None = None

    def on_train_begin(self, logs: Logs = None) -> None:
        """Starts over."""
        self._reset()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Compares the epoch with the best so far."""
        value = self.monitored(logs or {})
        if value is None or epoch < self.start_from_epoch:
            return
        if self.restore_best_weights and self.best_weights is None:
            self._keep(epoch)
        self.wait += 1
        if self.improved(value, self.best):
            self.best = value
            self._keep(epoch)
            if self.baseline is None or self.improved(value, self.baseline):
                self.wait = 0
            return
        if self.wait >= self.patience and epoch > 0:
            self.stopped_epoch = epoch
            self.model.stop_training = True

    def on_train_end(self, logs: Logs = None) -> None:
        """Tells why training stopped, and restores the best weights."""
        if self.stopped_epoch > 0 and self.verbose > 0:
            print(f"Epoch {self.stopped_epoch + 1}: early stopping")
        if self.restore_best_weights and self.best_weights is not None:
            if self.verbose > 0:
                print(f"Restoring model weights from the end of the best epoch: {self.best_epoch + 1}.")
            self.model.set_weights(self.best_weights)

    def _keep(self, epoch: int) -> None:
        self.best_epoch = epoch
        if self.restore_best_weights:
            self.best_weights = self.model.get_weights()


class TerminateOnNaN(Callback):
    """Stops training when the loss is NaN or infinite.

    Args:
        raise_error: whether to raise a RuntimeError instead.

    Example:
        >>> import oxiconv
        >>> callbacks = [oxiconv.callbacks.TerminateOnNaN()]
    """

    def __init__(self, raise_error: bool = False) -> None:
        super().__init__()
        self.raise_error = raise_error

    def on_batch_end(self, batch: int, logs: Logs = None) -> None:
        """Looks at the loss."""
        loss = (logs or {}).get("loss")
        if loss is not None and not math.isfinite(loss):
            if self.raise_error:
                raise RuntimeError(f"NaN or Inf loss encountered at batch {batch}: {loss}.")
            print(f"Batch {batch}: Invalid loss, terminating training")
            self.model.stop_training = True
