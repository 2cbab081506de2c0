"""Whether a monitored result has improved."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

from oxiconv.callbacks.callback import Callback

# What is better when higher, and when lower, among the words of names that say no direction themselves.
_RISING = (
    "acc",
    "accuracy",
    "auc",
    "precision",
    "recall",
    "fmeasure",
    "f1",
    "fbeta",
    "iou",
    "dice",
    "r2",
    "psnr",
    "ssim",
)
_FALLING = ("loss", "error", "mse", "mae", "mape", "msle", "rmse", "crossentropy", "divergence", "hinge", "poisson")


class MonitorCallback(Callback):
    """Base of callbacks that compare the values of one result.

    Args:
        monitor: the result, such as 'val_loss'.
        mode: 'min', 'max', or 'auto': as the metric of that name says, or by the words of its name.
        baseline: what the first value is compared with.
        min_delta: what a value must be better by.
    """

    def __init__(
        self, monitor: str = "val_loss", mode: str = "auto", baseline: float | None = None, min_delta: float = 0
    ) -> None:
        super().__init__()
        if mode not in ("auto", "min", "max"):
            warnings.warn(f"{type(self).__name__}: mode {mode!r} is unknown; 'auto' is used.", stacklevel=3)
            mode = "auto"
        self.monitor = monitor
        self.mode = mode
        self.best = baseline
        self.min_delta = abs(min_delta)

    def monitored(self, logs: Mapping[str, Any]) -> float | None:
        """The monitored value; None, with a warning, where there is none."""
        value = logs.get(self.monitor)
        if value is None:
            warnings.warn(
                f"{type(self).__name__}: there is no result {self.monitor!r} to monitor; there are {sorted(logs)}.",
                stacklevel=4,
            )
            return None
        return float(value)

    def improved(self, value: float, reference: float | None) -> bool:
        """Whether a value is better than a reference by more than `min_delta`; the first one always is, NaN never."""
        if reference is None:
            return True
        return value - self.min_delta > reference if self._upward() else value + self.min_delta < reference

    def _upward(self) -> bool:
        if self.mode != "auto":
            return self.mode == "max"
        name = self.monitor.removeprefix("val_")
        metrics = [m for one in getattr(self.model, "metrics", ()) for m in getattr(one, "metrics", (one,))]
        directions = {getattr(m, "_direction", None) for m in metrics if m.name == name}
        if directions & {"up", "down"}:
            return "up" in directions
        words = name.lower().split("_")
        if name != "loss" and any(word in _RISING for word in words):
            return True
        if any(word in _FALLING for word in words):
            return False
        raise ValueError(
            f"{type(self).__name__}: it is not known whether {self.monitor!r} is better when higher or when lower; "
            "pass mode='max' or mode='min'."
        )
