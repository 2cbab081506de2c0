"""The base class of learning rate schedules."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from oxiconv import ops

if TYPE_CHECKING:
    from oxiconv._core import Tensor


class LearningRateSchedule:
    """Base class: subclasses define `__call__(step)` with `ops`, and `get_config`.

    The schedule is part of the compiled training step, where `step` is the optimizer's iteration, a traced int32.

    Example:
        >>> import oxiconv
        >>> class Halving(oxiconv.optimizers.schedules.LearningRateSchedule):
        ...     def __call__(self, step):
        ...         return 0.5 ** oxiconv.ops.cast(step, "float32")
        >>> float(oxiconv.optimizers.SGD(Halving()).learning_rate)
        1.0
    """

    def __call__(self, step: Any) -> Any:
        """The learning rate at an iteration, counted from 0."""
        raise NotImplementedError(f"{type(self).__name__} must define __call__(step)")

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        raise NotImplementedError(f"{type(self).__name__} must define get_config() to be saved")

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> LearningRateSchedule:
        """The schedule of a configuration."""
        return cls(**config)


def as_float(step: Any) -> Tensor:
    """An iteration as float32; exact below 2**24."""
    return ops.cast(ops.convert_to_tensor(step), "float32")


def check_positive(owner: str, name: str, value: float) -> None:
    """Raises ValueError unless `value` is above 0."""
    if not value > 0:
        raise ValueError(f"{owner}: {name} must be above 0, got {value!r}.")
