"""The base class of callbacks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

Logs = Mapping[str, Any] | None


class Callback:
    """Base class: override the hooks that are needed.

    `self.model` is the model, `self.params` a dict with `epochs`, `steps` and `verbose`. Logs of batches are evaluated
    when they are first read; what is kept beyond the hook must be copied by then.

    Example:
        >>> import oxiconv
        >>> class Stop(oxiconv.callbacks.Callback):
        ...     def on_epoch_end(self, epoch, logs=None):
        ...         self.model.stop_training = logs["loss"] < 0.1
    """

    # Attributes, of numbers, strings or lists of arrays, that a resumed training must go on with: `BackupAndRestore`
    # keeps them.
    state_fields: ClassVar[tuple[str, ...]] = ()

    def __init__(self) -> None:
        self.params: dict[str, Any] = {}
        self._model: Any = None

    @property
    def model(self) -> Any:
        """The model being trained, evaluated or used."""
        return self._model

    def set_params(self, params: dict[str, Any]) -> None:
        """Called before training with `epochs`, `steps` and `verbose`."""
        self.params = params

    def set_model(self, model: Any) -> None:
        """Called before training with the model."""
        self._model = model

    def on_batch_begin(self, batch: int, logs: Logs = None) -> None:
        """Older name of `on_train_batch_begin`."""

    def on_batch_end(self, batch: int, logs: Logs = None) -> None:
        """Older name of `on_train_batch_end`."""

    def on_epoch_begin(self, epoch: int, logs: Logs = None) -> None:
        """Before an epoch of training."""

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """After an epoch and its validation; logs hold the results by name, those of validation as `val_…`."""

    def on_train_batch_begin(self, batch: int, logs: Logs = None) -> None:
        """Before a training batch."""
        self.on_batch_begin(batch, logs)

    def on_train_batch_end(self, batch: int, logs: Logs = None) -> None:
        """After a training batch; logs hold the epoch's results so far."""
        self.on_batch_end(batch, logs)

    def on_test_batch_begin(self, batch: int, logs: Logs = None) -> None:
        """Before an evaluation batch, also of validation."""

    def on_test_batch_end(self, batch: int, logs: Logs = None) -> None:
        """After an evaluation batch."""

    def on_predict_batch_begin(self, batch: int, logs: Logs = None) -> None:
        """Before a prediction batch."""

    def on_predict_batch_end(self, batch: int, logs: Logs = None) -> None:
        """After a prediction batch; logs hold its `outputs`."""

    def on_train_begin(self, logs: Logs = None) -> None:
        """Before training."""

    def on_train_end(self, logs: Logs = None) -> None:
        """After training, unless it ended by an exception."""

    def on_test_begin(self, logs: Logs = None) -> None:
        """Before evaluation, also of validation."""

    def on_test_end(self, logs: Logs = None) -> None:
        """After evaluation."""

    def on_predict_begin(self, logs: Logs = None) -> None:
        """Before prediction."""

    def on_predict_end(self, logs: Logs = None) -> None:
        """After prediction."""
