"""Whether a monitored result has improved."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping
from typing import Any


class Monitor:
    """Compares values of one result.

    Args:
        owner: the callback's name, for messages.
        name: the result, such as 'val_loss'.
        mode: 'min', 'max', or 'auto': 'max' for accuracies and the like, 'min' otherwise.
        min_delta: what a value must be better by.
    """

    def __init__(self, owner: str, name: str, mode: str, min_delta: float = 0.0) -> None:
        if mode not in ("auto", "min", "max"):
            raise ValueError(f"{owner}: mode must be 'auto', 'min' or 'max', got {mode!r}.")
        self._owner = owner
        self.name = name
        rising = ("acc", "accuracy", "auc", "precision", "recall", "fmeasure", "f1", "iou", "score")
        plain = name.removeprefix("val_").lower()
        up = mode == "max" or (mode == "auto" and any(word in plain for word in rising))
        self._sign = 1.0 if up else -1.0
        self._delta = abs(min_delta)
        self.worst = -self._sign * math.inf

    def value(self, logs: Mapping[str, Any]) -> float | None:
        """The monitored value; None, with a warning, where there is none."""
        if self.name in logs:
            return float(logs[self.name])
        warnings.warn(
            f"{self._owner}: there is no result {self.name!r} to monitor; there are {sorted(logs)}.", stacklevel=4
        )
        return None

    def better(self, value: float, best: float) -> bool:
        """Whether `value` is better than `best` by more than the delta. NaN is not."""
        return (
            self._sign * (value - best) > self._delta if math.isfinite(best) else self._sign * value > self._sign * best
        )
