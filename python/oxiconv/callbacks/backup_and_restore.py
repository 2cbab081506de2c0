"""Going on with a training that was interrupted."""

from __future__ import annotations

import os
import shutil
from typing import Any

from oxiconv.callbacks.callback import Callback, Logs
from oxiconv.callbacks.due import Due
from oxiconv.tensor import FileFormatError


class BackupAndRestore(Callback):
    """Saves the state of the training, so that the same script, run again after an interruption, goes on from there.

    The resumed training ends with the same bits as one that was never interrupted, also in the middle of an epoch:
    weights, optimizers, random generators, metrics, the order of samples, the place in it, and what other callbacks
    (`EarlyStopping`, `ReduceLROnPlateau`, `ModelCheckpoint`) remember are saved. Callbacks of one's own name what they
    need in `state_fields`. Of generators, and of datasets that are iterated, the batches that were seen are skipped, so
    they must repeat themselves. The `History` has the epochs since the restart, as in Keras.

    Args:
        backup_dir: a folder for this alone.
        save_freq: 'epoch', or a number of batches; False for never.
        double_checkpoint: whether the state before the last is kept too, for the case that the last cannot be read.
        delete_checkpoint: whether the folder is removed when training ends.

    Raises:
        ValueError: no folder, or another `save_freq`.

    Example:
        >>> import tempfile, numpy as np, oxiconv
        >>> def train(epochs, folder):
        ...     oxiconv.utils.set_random_seed(1)
        ...     model = oxiconv.Sequential([oxiconv.Input((2,)), oxiconv.layers.Dense(1)])
        ...     model.compile("adam", "mse")
        ...     backup = oxiconv.callbacks.BackupAndRestore(folder, delete_checkpoint=False)
        ...     return model.fit(np.ones((8, 2)), np.ones((8, 1)), epochs=epochs, verbose=0, callbacks=[backup])
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     train(2, folder).epoch, train(5, folder).epoch
        ([0, 1], [2, 3, 4])
    """

    def __init__(
        self,
        backup_dir: str | os.PathLike[str],
        save_freq: str | int | bool = "epoch",
        double_checkpoint: bool = False,
        delete_checkpoint: bool = True,
    ) -> None:
        super().__init__()
        if not backup_dir:
            raise ValueError(f"BackupAndRestore: expected a folder as backup_dir, got {backup_dir!r}.")
        self.backup_dir = os.fspath(backup_dir)
        self.save_freq = save_freq
        self.double_checkpoint = double_checkpoint
        self.delete_checkpoint = delete_checkpoint
        self._due = Due("BackupAndRestore", save_freq)
        self._latest = os.path.join(self.backup_dir, "latest.npz")
        self._previous = os.path.join(self.backup_dir, "previous.npz")

    def on_train_begin(self, logs: Logs = None) -> None:
        """Reads the saved state, if there is one."""
        saved = [path for path in (self._latest, self._previous) if os.path.exists(path)]
        for path in saved:
            try:
                self._progress.load(path)
            except (OSError, FileFormatError):
                if path == saved[-1]:
                    raise
            else:
                return

    def on_train_batch_end(self, batch: int, logs: Logs = None) -> None:
        """Saves after every `save_freq` batches."""
        if self._due.after(batch):
            self._progress.defer(self._save)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Saves after the epoch."""
        if self.save_freq == "epoch":
            self._progress.defer(self._save)

    def on_train_end(self, logs: Logs = None) -> None:
        """Removes what was saved."""
        if self.delete_checkpoint and os.path.exists(self.backup_dir):
            shutil.rmtree(self.backup_dir)

    @property
    def _progress(self) -> Any:
        progress = getattr(self.model, "_progress", None)
        if progress is None:
            raise RuntimeError("BackupAndRestore: expected to be a callback of fit(), the only one it can resume.")
        return progress

    def _save(self) -> None:
        os.makedirs(self.backup_dir, exist_ok=True)
        if self.double_checkpoint and os.path.exists(self._latest):
            os.replace(self._latest, self._previous)
        self._progress.save(self._latest)
