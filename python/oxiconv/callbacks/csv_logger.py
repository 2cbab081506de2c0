"""Results of epochs as a table in a file."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterable
from typing import Any, TextIO

from oxiconv.callbacks.callback import Callback, Logs


class CSVLogger(Callback):
    """Writes the results of each epoch as a row.

    Args:
        filename: the file.
        separator: between columns.
        append: whether to go on with an existing file.

    Example:
        >>> import oxiconv
        >>> logger = oxiconv.callbacks.CSVLogger("training.csv")
    """

    def __init__(self, filename: str | os.PathLike[str], separator: str = ",", append: bool = False) -> None:
        super().__init__()
        self.filename = os.fspath(filename)
        self.sep = separator
        self.append = append
        self._file: TextIO | None = None
        self._columns: list[str] | None = None

    def on_train_begin(self, logs: Logs = None) -> None:
        """Opens the file."""
        self.on_train_end()
        self._columns = None
        self._file = open(self.filename, "a" if self.append else "w", newline="", encoding="utf-8")  # noqa: SIM115

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Writes a row."""
        results = logs or {}
        if self._file is None:
            return
        if self._columns is None:
            self._columns = sorted(results)
            if not any(name.startswith("val_") for name in results):
                # Validation may come in a later epoch: its columns are there from the start.
                self._columns += [f"val_{name}" for name in self._columns]
            if self._file.tell() == 0:
                self._write(["epoch", *self._columns])
        self._write([epoch, *(_cell(results.get(name, "NA")) for name in self._columns)])

    def on_train_end(self, logs: Logs = None) -> None:
        """Closes the file."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _write(self, row: list[Any]) -> None:
        assert self._file is not None
        csv.writer(self._file, delimiter=self.sep).writerow(row)
        self._file.flush()


def _cell(value: Any) -> Any:
    """A value as Keras writes it: lists in one column."""
    several = isinstance(value, Iterable) and not isinstance(value, str) and getattr(value, "ndim", 1) > 0
    return f'"[{", ".join(map(str, value))}]"' if several else value
