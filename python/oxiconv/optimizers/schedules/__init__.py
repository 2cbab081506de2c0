"""Learning rate schedules: functions of the iteration, computed in the training step."""

from oxiconv.optimizers.schedules.cosine import CosineDecay, CosineDecayRestarts
from oxiconv.optimizers.schedules.decay import (
    ExponentialDecay,
    InverseTimeDecay,
    PiecewiseConstantDecay,
    PolynomialDecay,
)
from oxiconv.optimizers.schedules.learning_rate_schedule import LearningRateSchedule

__all__ = [
    "CosineDecay",
    "CosineDecayRestarts",
    "ExponentialDecay",
    "InverseTimeDecay",
    "LearningRateSchedule",
    "PiecewiseConstantDecay",
    "PolynomialDecay",
]
