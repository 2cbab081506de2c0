"""Averaged weights during evaluation."""

from __future__ import annotations

from typing import Any

from oxiconv.callbacks.callback import Callback, Logs


class SwapEMAWeights(Callback):
    """Puts the optimizer's moving averages into the model for evaluation and prediction, and the weights back after it.

    Args:
        swap_on_epoch: whether they are also in the model from the end of an epoch to the beginning of the next, so that
            `ModelCheckpoint` saves them.

    Raises:
        ValueError: at the first swap, if the optimizer was not made with `use_ema=True`.

    Example:
        >>> import oxiconv
        >>> optimizer = oxiconv.optimizers.Adam(use_ema=True)
        >>> callbacks = [oxiconv.callbacks.SwapEMAWeights()]
    """

    def __init__(self, swap_on_epoch: bool = False) -> None:
        super().__init__()
        self.swap_on_epoch = swap_on_epoch
        self._swapped = False

    def on_epoch_begin(self, epoch: int, logs: Logs = None) -> None:
        """Weights for training."""
        if self.swap_on_epoch:
            self._show(averages=False)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Averages, if asked for."""
        if self.swap_on_epoch:
            self._show(averages=True)
            if epoch == self.params["epochs"] - 1:
                # When training ends the averages are written into the model, where they are already.
                for variable, average in self._pairs():
                    average.assign(variable.value)

    def on_test_begin(self, logs: Logs = None) -> None:
        """Averages."""
        self._show(averages=True)

    def on_test_end(self, logs: Logs = None) -> None:
        """Weights."""
        self._show(averages=False)

    def on_predict_begin(self, logs: Logs = None) -> None:
        """Averages."""
        self._show(averages=True)

    def on_predict_end(self, logs: Logs = None) -> None:
        """Weights."""
        self._show(averages=False)

    def _show(self, averages: bool) -> None:
        if averages != self._swapped:
            for variable, average in self._pairs():
                held = variable.value
                variable.assign(average.value)
                average.assign(held)
            self._swapped = averages

    def _pairs(self) -> list[tuple[Any, Any]]:
        outer = getattr(self.model.optimizer, "inner_optimizer", self.model.optimizer)
        averaging = [o for o in getattr(outer, "optimizers", [outer]) if getattr(o, "use_ema", False)]
        if not averaging:
            raise ValueError("SwapEMAWeights: expected an optimizer made with use_ema=True.")
        return [pair for o in averaging for pair in zip(o.trainable_variables, o._averages, strict=True)]
