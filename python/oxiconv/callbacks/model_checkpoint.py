"""Saving the model during training."""

from __future__ import annotations

import os
from typing import Any

from oxiconv.callbacks.callback import Logs
from oxiconv.callbacks.due import Due
from oxiconv.callbacks.monitoring import MonitorCallback
from oxiconv.saving.paths import check_model_path, check_weights_path


class ModelCheckpoint(MonitorCallback):
    """Saves the model, or its weights, after epochs or every so many batches.

    Args:
        filepath: where to; `{epoch:02d}` and results such as `{val_loss:.2f}` are filled in. Ends in `.keras`,
            `.h5`, `.oxiconv` or `.safetensors`; weights alone in `.weights.h5` or `.safetensors`.
        monitor: the result that tells which is best.
        verbose: 1 to print when it saves.
        save_best_only: whether to save only when the result has improved.
        save_weights_only: whether to save weights alone.
        mode: 'min', 'max' or 'auto', as the metric says.
        save_freq: 'epoch', or a number of batches.
        initial_value_threshold: what the first saved model must be better than.

    Raises:
        ValueError: another ending, or another `save_freq`.

    Example:
        >>> import oxiconv
        >>> checkpoint = oxiconv.callbacks.ModelCheckpoint("best-{epoch:02d}.oxiconv", save_best_only=True)
    """

    state_fields = ("best",)

    def __init__(
        self,
        filepath: str | os.PathLike[str],
        monitor: str = "val_loss",
        verbose: int = 0,
        save_best_only: bool = False,
        save_weights_only: bool = False,
        mode: str = "auto",
        save_freq: str | int = "epoch",
        initial_value_threshold: float | None = None,
    ) -> None:
        super().__init__(monitor, mode, initial_value_threshold)
        self.filepath = os.fspath(filepath)
        (check_weights_path if save_weights_only else check_model_path)(self.filepath)
        self.verbose = verbose
        self.save_best_only = save_best_only
        self.save_weights_only = save_weights_only
        self.save_freq = save_freq
        self._due = Due("ModelCheckpoint", save_freq)
        self._epoch = 0

    def on_epoch_begin(self, epoch: int, logs: Logs = None) -> None:
        """Notes the epoch."""
        self._epoch = epoch

    def on_train_batch_end(self, batch: int, logs: Logs = None) -> None:
        """Saves after every `save_freq` batches."""
        if self._due.after(batch):
            self._save(self._epoch, batch, logs or {})

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Saves after the epoch."""
        if self.save_freq == "epoch":
            self._save(epoch, None, logs or {})

    def _save(self, epoch: int, batch: int | None, logs: Any) -> None:
        path = self._path(epoch, batch, logs)
        if not self._should_save(epoch, path, logs):
            return
        os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
        if self.save_weights_only:
            self.model.save_weights(path, overwrite=True)
        else:
            self.model.save(path, overwrite=True)
        if self.verbose > 0:
            print(f"\nEpoch {epoch + 1}: finished saving model to {path}")

    def _should_save(self, epoch: int, path: str, logs: Any) -> bool:
        told = f"\nEpoch {epoch + 1}: "
        value = self.monitored(logs) if self.save_best_only else None
        if value is None:
            # Without the result there is no telling which model is best: as in Keras, none is lost.
            told += f"saving model to {path}"
        else:
            best = "None" if self.best is None else f"{self.best:.5f}"
            if not self.improved(value, self.best):
                if self.verbose > 0:
                    print(f"{told}{self.monitor} did not improve from {best}")
                return False
            told += f"{self.monitor} improved from {best} to {value:.5f}, saving model to {path}"
            self.best = value
        if self.verbose > 0:
            print(told)
        return True

    def _path(self, epoch: int, batch: int | None, logs: Any) -> str:
        known = dict(logs) if "{" in self.filepath else {}
        known |= {"epoch": epoch + 1} | ({} if batch is None else {"batch": batch + 1})
        try:
            return self.filepath.format(**known)
        except KeyError as error:
            raise KeyError(f"ModelCheckpoint: {self.filepath!r} names {error}, there are {sorted(known)}.") from None
