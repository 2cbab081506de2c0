"""Results for TensorBoard."""

from __future__ import annotations

import os
import time
from typing import Any

import numpy as np

from oxiconv.callbacks.callback import Callback, Logs
from oxiconv.callbacks.event_file import EventFile
from oxiconv.callbacks.learning_rate import learning_rates
from oxiconv.utils.argument_validation import is_whole


class TensorBoard(Callback):
    """Writes results for TensorBoard, which shows them with `tensorboard --logdir logs`. Needs no other package.

    There are `epoch_loss` and so on for training and validation, `epoch_learning_rate`,
    `evaluation_loss_vs_iterations`, and if asked for `batch_loss` and histograms of weights.

    Args:
        log_dir: the folder; `train` and `validation` within it have the files.
        histogram_freq: epochs from one set of histograms of the weights to the next; 0 for none.
        write_graph: whether the layers of a functional or sequential model are written.
        write_images: must be False.
        write_steps_per_second: whether the pace is written.
        update_freq: 'epoch', or batches from one set of results to the next ('batch' for 1).
        profile_batch: must be 0.
        embeddings_freq: must be 0.
        embeddings_metadata: must be None.

    Raises:
        ValueError: an `update_freq` that is none of these.
        NotImplementedError: something that must not be set.

    Example:
        >>> import oxiconv
        >>> callbacks = [oxiconv.callbacks.TensorBoard("logs")]
    """

    def __init__(
        self,
        log_dir: str | os.PathLike[str] = "logs",
        histogram_freq: int = 0,
        write_graph: bool = True,
        write_images: bool = False,
        write_steps_per_second: bool = False,
        update_freq: str | int = "epoch",
        profile_batch: Any = 0,
        embeddings_freq: int = 0,
        embeddings_metadata: Any = None,
    ) -> None:
        super().__init__()
        if write_images or embeddings_freq or embeddings_metadata:
            raise NotImplementedError(
                "TensorBoard: images of weights and embeddings are not available; use histogram_freq, or "
                "utils.array_to_img and utils.save_img."
            )
        if profile_batch not in (0, "0"):
            raise NotImplementedError(
                "TensorBoard: profiles are not written to logs; use model.profile() or oxiconv.profiler."
            )
        if update_freq not in ("epoch", "batch") and not is_whole(update_freq):
            raise ValueError(
                f"TensorBoard: update_freq must be 'epoch', 'batch' or a positive integer, got {update_freq!r}."
            )
        self.log_dir = os.fspath(log_dir)
        self.histogram_freq = histogram_freq
        self.write_graph = write_graph
        self.write_images = write_images
        self.write_steps_per_second = write_steps_per_second
        self.update_freq: Any = 1 if update_freq == "batch" else update_freq
        self._files: dict[str, EventFile] = {}
        self._batches = 0
        self._began = 0.0
        self._iterations = 0

    def set_model(self, model: Any) -> None:
        """Writes the layers."""
        super().set_model(model)
        self._close()
        if self.write_graph and type(model).__name__ in ("Functional", "Sequential", "Model") and model.built:
            try:
                text = model.to_json()
            except (NotImplementedError, AttributeError):
                return  # a subclassed model has no graph of layers
            self._file("train").text("keras", text, "graph_keras_model", 0)

    def on_train_begin(self, logs: Logs = None) -> None:
        """Starts counting batches."""
        self._batches = 0

    def on_epoch_begin(self, epoch: int, logs: Logs = None) -> None:
        """Starts the clock."""
        self._began, self._iterations = time.perf_counter(), self._iteration()

    def on_train_batch_end(self, batch: int, logs: Logs = None) -> None:
        """Writes the results so far, if it is time."""
        self._batches += 1
        if self.update_freq != "epoch" and self._batches % self.update_freq == 0:
            for name, value in (logs or {}).items():
                self._scalar("train", f"batch_{name}", value, self._batches)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Writes the results of the epoch."""
        results = dict(logs or {})
        if hasattr(self.model.optimizer, "learning_rate"):
            results |= learning_rates(self.model)
        if self.write_steps_per_second:
            spent = time.perf_counter() - self._began
            results["steps_per_second"] = (self._iteration() - self._iterations) / max(spent, 1e-9)
        for name, value in results.items():
            kind = "validation" if name.startswith("val_") else "train"
            self._scalar(kind, f"epoch_{name.removeprefix('val_')}", value, epoch)
        if self.histogram_freq and epoch % self.histogram_freq == 0:
            for weight in self.model.weights:
                self._file("train").histogram(f"{weight.path}/histogram", np.asarray(weight), epoch)
        self._flush()

    def on_test_end(self, logs: Logs = None) -> None:
        """Writes the results of an evaluation."""
        if hasattr(self.model.optimizer, "iterations"):
            for name, value in (logs or {}).items():
                self._scalar("validation", f"evaluation_{name}_vs_iterations", value, self._iteration())
            self._flush()

    def on_train_end(self, logs: Logs = None) -> None:
        """Ends the files."""
        self._close()

    def _iteration(self) -> int:
        return int(getattr(self.model.optimizer, "iterations", 0))

    def _file(self, kind: str) -> EventFile:
        if kind not in self._files:
            self._files[kind] = EventFile(os.path.join(self.log_dir, kind))
        return self._files[kind]

    def _scalar(self, kind: str, tag: str, value: Any, step: int) -> None:
        if isinstance(value, (int, float)):
            self._file(kind).scalar(tag, float(value), step)

    def _flush(self) -> None:
        for file in self._files.values():
            file.flush()

    def _close(self) -> None:
        for file in self._files.values():
            file.close()
        self._files.clear()
