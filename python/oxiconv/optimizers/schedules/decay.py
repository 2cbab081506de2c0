"""Schedules that decay by a formula: exponential, inverse time, piecewise constant, polynomial."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from oxiconv import ops
from oxiconv.optimizers.schedules.learning_rate_schedule import LearningRateSchedule, as_float, check_positive

if TYPE_CHECKING:
    from oxiconv._core import Tensor


class ExponentialDecay(LearningRateSchedule):
    """`initial_learning_rate * decay_rate ** (step / decay_steps)`.

    Args:
        initial_learning_rate: the rate at step 0.
        decay_steps: steps in which the rate decays by `decay_rate`.
        decay_rate: the factor.
        staircase: whether the exponent is rounded down to an integer.
        name: unused, kept in the configuration.

    Example:
        >>> import oxiconv
        >>> float(oxiconv.optimizers.schedules.ExponentialDecay(1.0, 10, 0.5)(20))
        0.25
    """

    def __init__(
        self,
        initial_learning_rate: float,
        decay_steps: int,
        decay_rate: float,
        staircase: bool = False,
        name: str = "ExponentialDecay",
    ) -> None:
        check_positive("ExponentialDecay", "decay_steps", decay_steps)
        self.initial_learning_rate = initial_learning_rate
        self.decay_steps = decay_steps
        self.decay_rate = decay_rate
        self.staircase = staircase
        self.name = name

    def __call__(self, step: Any) -> Tensor:
        """The learning rate at `step`."""
        power = as_float(step) / self.decay_steps
        power = ops.floor(power) if self.staircase else power
        return ops.power(self.decay_rate, power) * self.initial_learning_rate

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        names = ("initial_learning_rate", "decay_steps", "decay_rate", "staircase", "name")
        return {name: getattr(self, name) for name in names}


class InverseTimeDecay(LearningRateSchedule):
    """`initial_learning_rate / (1 + decay_rate * step / decay_steps)`; arguments as in `ExponentialDecay`.

    Example:
        >>> import oxiconv
        >>> float(oxiconv.optimizers.schedules.InverseTimeDecay(1.0, 10, 1.0)(10))
        0.5
    """

    def __init__(
        self,
        initial_learning_rate: float,
        decay_steps: int,
        decay_rate: float,
        staircase: bool = False,
        name: str = "InverseTimeDecay",
    ) -> None:
        check_positive("InverseTimeDecay", "decay_steps", decay_steps)
        self.initial_learning_rate = initial_learning_rate
        self.decay_steps = decay_steps
        self.decay_rate = decay_rate
        self.staircase = staircase
        self.name = name

    def __call__(self, step: Any) -> Tensor:
        """The learning rate at `step`."""
        power = as_float(step) / self.decay_steps
        power = ops.floor(power) if self.staircase else power
        return self.initial_learning_rate / (power * self.decay_rate + 1.0)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        names = ("initial_learning_rate", "decay_steps", "decay_rate", "staircase", "name")
        return {name: getattr(self, name) for name in names}


class PiecewiseConstantDecay(LearningRateSchedule):
    """`values[0]` up to and including step `boundaries[0]`, `values[1]` up to `boundaries[1]`, …, then `values[-1]`.

    Args:
        boundaries: increasing steps.
        values: rates, one more than boundaries.
        name: unused, kept in the configuration.

    Example:
        >>> import oxiconv
        >>> schedule = oxiconv.optimizers.schedules.PiecewiseConstantDecay([10], [1.0, 0.5])
        >>> float(schedule(10)), float(schedule(11))
        (1.0, 0.5)
    """

    def __init__(self, boundaries: Sequence[int], values: Sequence[float], name: str = "PiecewiseConstant") -> None:
        if len(boundaries) != len(values) - 1:
            raise ValueError(
                f"PiecewiseConstantDecay: expected one value more than boundaries, got {len(boundaries)} boundaries "
                f"and {len(values)} values."
            )
        if any(a >= b for a, b in itertools.pairwise(boundaries)):
            raise ValueError(f"PiecewiseConstantDecay: expected increasing boundaries, got {list(boundaries)}.")
        self.boundaries = list(boundaries)
        self.values = list(values)
        self.name = name

    def __call__(self, step: Any) -> Tensor:
        """The learning rate at `step`."""
        step = ops.convert_to_tensor(step)
        rate = ops.convert_to_tensor(float(self.values[-1]))
        for boundary, value in reversed(list(zip(self.boundaries, self.values, strict=False))):
            rate = ops.where(ops.less_equal(step, boundary), float(value), rate)
        return rate

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {"boundaries": self.boundaries, "values": self.values, "name": self.name}


class PolynomialDecay(LearningRateSchedule):
    """`(initial - end) * (1 - step / decay_steps) ** power + end`, steps after `decay_steps` taken as `decay_steps`.

    Args:
        initial_learning_rate: the rate at step 0.
        decay_steps: steps until the end rate.
        end_learning_rate: the end rate.
        power: the exponent.
        cycle: whether to begin again with a longer decay at each multiple of `decay_steps`.
        name: unused, kept in the configuration.

    Example:
        >>> import oxiconv
        >>> float(oxiconv.optimizers.schedules.PolynomialDecay(1.0, 10, 0.0)(5))
        0.5
    """

    def __init__(
        self,
        initial_learning_rate: float,
        decay_steps: int,
        end_learning_rate: float = 0.0001,
        power: float = 1.0,
        cycle: bool = False,
        name: str = "PolynomialDecay",
    ) -> None:
        check_positive("PolynomialDecay", "decay_steps", decay_steps)
        self.initial_learning_rate = initial_learning_rate
        self.decay_steps = decay_steps
        self.end_learning_rate = end_learning_rate
        self.power = power
        self.cycle = cycle
        self.name = name

    def __call__(self, step: Any) -> Tensor:
        """The learning rate at `step`."""
        done = as_float(step)
        if self.cycle:
            cycles = ops.maximum(ops.ceil(done / self.decay_steps), 1.0)
            left = 1.0 - done / (cycles * self.decay_steps)
        else:
            left = 1.0 - ops.minimum(done, float(self.decay_steps)) / self.decay_steps
        span = self.initial_learning_rate - self.end_learning_rate
        return ops.power(left, self.power) * span + self.end_learning_rate

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        names = ("initial_learning_rate", "decay_steps", "end_learning_rate", "power", "cycle", "name")
        return {name: getattr(self, name) for name in names}
