"""Every so many batches."""

from __future__ import annotations

from oxiconv.utils.argument_validation import is_whole


class Due:
    """Tells after which batches to save.

    Args:
        owner: the callback's name, for messages.
        save_freq: a number of batches; 'epoch' or False for none.
    """

    def __init__(self, owner: str, save_freq: str | int | bool) -> None:
        if save_freq != "epoch" and save_freq is not False and not is_whole(save_freq):
            raise ValueError(f"{owner}: save_freq must be 'epoch' or a positive integer, got {save_freq!r}.")
        self._every = int(save_freq) if is_whole(save_freq) else 0
        self._seen = 0
        self._last = -1

    def after(self, batch: int) -> bool:
        """Whether to save after a batch; one hook may stand for several batches (`steps_per_execution`)."""
        if not self._every:
            return False
        self._seen += batch + 1 if batch <= self._last else batch - self._last
        self._last = batch
        if self._seen < self._every:
            return False
        self._seen = 0
        return True
