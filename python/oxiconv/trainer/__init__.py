"""Training, evaluation and prediction: what `compile` and `fit` do."""

from oxiconv.trainer.trainer import Trainer

__all__ = ["Trainer"]
