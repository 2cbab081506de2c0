"""Cosine schedules (Loshchilov and Hutter, 2016)."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from oxiconv import ops
from oxiconv.optimizers.schedules.learning_rate_schedule import LearningRateSchedule, as_float, check_positive

if TYPE_CHECKING:
    from oxiconv._core import Tensor


def _half_wave(done: Tensor) -> Tensor:
    """From 1 at 0 to 0 at 1."""
    return (ops.cos(done * math.pi) + 1.0) * 0.5


class CosineDecay(LearningRateSchedule):
    """A half cosine from the initial rate to `alpha` times it, after an optional linear warmup.

    Args:
        initial_learning_rate: the rate at step 0.
        decay_steps: steps of the decay, after the warmup.
        alpha: the final rate as a fraction of the highest.
        name: unused, kept in the configuration.
        warmup_target: the rate after the warmup; None for no warmup.
        warmup_steps: steps of the warmup.

    Example:
        >>> import oxiconv
        >>> schedule = oxiconv.optimizers.schedules.CosineDecay(0.0, 10, warmup_target=1.0, warmup_steps=4)
        >>> float(schedule(2)), float(schedule(4)), float(schedule(14))
        (0.5, 1.0, 0.0)
    """

    def __init__(
        self,
        initial_learning_rate: float,
        decay_steps: int,
        alpha: float = 0.0,
        name: str = "CosineDecay",
        warmup_target: float | None = None,
        warmup_steps: int = 0,
    ) -> None:
        check_positive("CosineDecay", "decay_steps", decay_steps)
        self.initial_learning_rate = initial_learning_rate
        self.decay_steps = decay_steps
        self.alpha = alpha
        self.name = name
        self.warmup_target = warmup_target
        self.warmup_steps = warmup_steps

    def __call__(self, step: Any) -> Tensor:
        """The learning rate at `step`."""
        step = as_float(step)
        if self.warmup_target is None:
            return self._decayed(step, self.initial_learning_rate)
        decayed = self._decayed(ops.maximum(step - self.warmup_steps, 0.0), self.warmup_target)
        if not self.warmup_steps:
            return decayed
        slope = (self.warmup_target - self.initial_learning_rate) / self.warmup_steps
        return ops.where(ops.less(step, self.warmup_steps), step * slope + self.initial_learning_rate, decayed)

    def _decayed(self, step: Tensor, rate: float) -> Tensor:
        done = ops.minimum(step, float(self.decay_steps)) / self.decay_steps
        return (_half_wave(done) * (1.0 - self.alpha) + self.alpha) * rate

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        names = ("initial_learning_rate", "decay_steps", "alpha", "name", "warmup_target", "warmup_steps")
        return {name: getattr(self, name) for name in names}


class CosineDecayRestarts(LearningRateSchedule):
    """Half cosines one after another, each `t_mul` times as long and `m_mul` times as high as the one before.

    Args:
        initial_learning_rate: the rate at step 0.
        first_decay_steps: steps of the first decay.
        t_mul: growth of the periods, at least 1.
        m_mul: growth of the rates at the restarts.
        alpha: the lowest rate as a fraction of the initial one.
        name: unused, kept in the configuration.

    Example:
        >>> import oxiconv
        >>> schedule = oxiconv.optimizers.schedules.CosineDecayRestarts(1.0, 10)
        >>> round(float(schedule(5)), 4), float(schedule(30))
        (0.5, 1.0)
    """

    def __init__(
        self,
        initial_learning_rate: float,
        first_decay_steps: int,
        t_mul: float = 2.0,
        m_mul: float = 1.0,
        alpha: float = 0.0,
        name: str = "SGDRDecay",
    ) -> None:
        check_positive("CosineDecayRestarts", "first_decay_steps", first_decay_steps)
        if t_mul < 1:
            raise ValueError(f"CosineDecayRestarts: t_mul must be at least 1, got {t_mul!r}.")
        self.initial_learning_rate = initial_learning_rate
        self.first_decay_steps = first_decay_steps
        self.t_mul = t_mul
        self.m_mul = m_mul
        self.alpha = alpha
        self.name = name

    def __call__(self, step: Any) -> Tensor:
        """The learning rate at `step`."""
        done = as_float(step) / self.first_decay_steps
        if self.t_mul == 1.0:
            restart = ops.floor(done)
            done = done - restart
        else:
            restart = ops.floor(ops.log(done * (self.t_mul - 1.0) + 1.0) / math.log(self.t_mul))
            # At a restart the logarithm may round to either side.
            restart = restart + ops.cast(ops.greater_equal(done, self._begin(restart + 1.0)), "float32")
            restart = restart - ops.cast(ops.less(done, self._begin(restart)), "float32")
            done = (done - self._begin(restart)) / ops.power(self.t_mul, restart)
        height = ops.power(self.m_mul, restart)
        return (_half_wave(done) * height * (1.0 - self.alpha) + self.alpha) * self.initial_learning_rate

    def _begin(self, restart: Tensor) -> Tensor:
        """Where a period begins, in units of the first one: the geometric sum of those before."""
        return (ops.power(self.t_mul, restart) - 1.0) / (self.t_mul - 1.0)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        names = ("initial_learning_rate", "first_decay_steps", "t_mul", "m_mul", "alpha", "name")
        return {name: getattr(self, name) for name in names}
