"""Learning rates that follow the epochs or the results."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np

from oxiconv.callbacks.callback import Callback, Logs
from oxiconv.callbacks.monitoring import MonitorCallback


class LearningRateScheduler(Callback):
    """Sets the learning rate at the beginning of each epoch.

    Args:
        schedule: `schedule(epoch, lr)` or `schedule(epoch)`, which gives the rate; epochs count from 0.
        verbose: 1 to print the rate.

    Example:
        >>> import oxiconv
        >>> halve = oxiconv.callbacks.LearningRateScheduler(lambda epoch, lr: lr * 0.5)
    """

    def __init__(self, schedule: Callable[..., float], verbose: int = 0) -> None:
        super().__init__()
        self.schedule = schedule
        self.verbose = verbose

    def on_epoch_begin(self, epoch: int, logs: Logs = None) -> None:
        """Sets the rate."""
        for name, optimizer in optimizers(self.model):
            present = float(optimizer.learning_rate)
            both = len(inspect.signature(self.schedule).parameters) > 1
            rate = self.schedule(epoch, present) if both else self.schedule(epoch)
            try:
                rate = float(rate)
            except (TypeError, ValueError):
                raise ValueError(f"LearningRateScheduler: expected a float from the schedule, got {rate!r}.") from None
            optimizer.learning_rate = rate
            if self.verbose > 0:
                print(f"\nEpoch {epoch + 1}: LearningRateScheduler setting {name}learning rate to {rate}.")

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Adds the rate to the results."""
        if logs is not None:
            logs.update(learning_rates(self.model))


class ReduceLROnPlateau(MonitorCallback):
    """Lowers the learning rate when a result has stopped improving.

    Args:
        monitor: the result to watch.
        factor: what the rate is multiplied by, below 1.
        patience: epochs without improvement before it is.
        verbose: 1 to print when it is.
        mode: 'min', 'max' or 'auto', as the metric says.
        min_delta: smaller changes are no improvement.
        cooldown: epochs to wait after lowering.
        min_lr: the lowest rate.

    Example:
        >>> import oxiconv
        >>> oxiconv.callbacks.ReduceLROnPlateau(factor=0.5, patience=3).factor
        0.5
    """

    state_fields = ("best", "wait", "cooldown_counter")

    def __init__(
        self,
        monitor: str = "val_loss",
        factor: float = 0.1,
        patience: int = 10,
        verbose: int = 0,
        mode: str = "auto",
        min_delta: float = 0.0001,
        cooldown: int = 0,
        min_lr: float = 0.0,
    ) -> None:
        super().__init__(monitor, mode, min_delta=min_delta)
        if not factor < 1.0:
            raise ValueError(f"ReduceLROnPlateau: factor must be below 1, got {factor!r}.")
        self.factor = factor
        self.patience = patience
        self.verbose = verbose
        self.cooldown = cooldown
        self.min_lr = min_lr
        self._reset()

    def _reset(self) -> None:
        self.best = None
        self.wait = 0
        self.cooldown_counter = 0

    def on_train_begin(self, logs: Logs = None) -> None:
        """Starts over."""
        self._reset()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Compares the epoch with the best so far; adds the rate to the results."""
        if logs is not None:
            logs.update(learning_rates(self.model))
        value = self.monitored(logs or {})
        if value is None:
            return
        if self.in_cooldown():
            self.cooldown_counter -= 1
            self.wait = 0
        if self.improved(value, self.best):
            self.best = value
            self.wait = 0
        elif not self.in_cooldown():
            self.wait += 1
            if self.wait >= self.patience:
                lowered = [self._lower(epoch, name, optimizer) for name, optimizer in optimizers(self.model)]
                if any(lowered):
                    self.cooldown_counter = self.cooldown
                    self.wait = 0

    def _lower(self, epoch: int, name: str, optimizer: Any) -> bool:
        rate = float(optimizer.learning_rate)
        # The rate is kept in float32: so is the limit that it is compared with.
        if rate <= float(np.float32(self.min_lr)):
            return False
        lowered = max(rate * self.factor, self.min_lr)
        optimizer.learning_rate = lowered
        if self.verbose > 0:
            print(f"\nEpoch {epoch + 1}: ReduceLROnPlateau reducing {name}learning rate to {lowered}.")
        return True

    def in_cooldown(self) -> bool:
        """Whether it waits after lowering the rate."""
        return self.cooldown_counter > 0


def optimizers(model: Any) -> list[tuple[str, Any]]:
    """The optimizers of a model, with what to call each before its learning rate."""
    several = getattr(model.optimizer, "optimizers", None)
    if several is not None:
        return [(f"{optimizer.name} ", optimizer) for optimizer in several]
    if not hasattr(model.optimizer, "learning_rate"):
        raise ValueError("The model's optimizer has no learning rate.")
    return [("", model.optimizer)]


def learning_rates(model: Any) -> dict[str, float]:
    """The learning rates as results."""
    return {
        f"learning_rate_{name.strip()}" if name else "learning_rate": float(optimizer.learning_rate)
        for name, optimizer in optimizers(model)
    }
