"""Results of epochs as a table in a file."""

from __future__ import annotations

import csv
import os
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
        self.separator = separator
        self.append = append
        self._file: TextIO | None = None
        self._columns: list[str] | None = None

    def on_train_begin(self, logs: Logs = None) -> None:
        """Opens the file; columns of a file to go on with are kept."""
        self._columns = None
        if self.append and os.path.exists(self.filename):
            with open(self.filename, newline="", encoding="utf-8") as file:
                self._columns = next(csv.reader(file, delimiter=self.separator), None)
        self._file = open(self.filename, "a" if self.append else "w", newline="", encoding="utf-8")  # noqa: SIM115

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Writes a row."""
        if self._file is None:
            return
        row = {"epoch": epoch, **(logs or {})}
        if self._columns is None:
            self._columns = ["epoch", *sorted(set(row) - {"epoch"})]
            csv.writer(self._file, delimiter=self.separator).writerow(self._columns)
        writer = csv.DictWriter(
            self._file, self._columns, restval="NA", extrasaction="ignore", delimiter=self.separator
        )
        writer.writerow(row)
        self._file.flush()

    def on_train_end(self, logs: Logs = None) -> None:
        """Closes the file."""
        if self._file is not None:
            self._file.close()
            self._file = None
