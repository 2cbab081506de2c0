"""What `compile` sets up in a model and training keeps there."""

from __future__ import annotations

import functools
from collections.abc import Hashable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from oxiconv import optimizers
from oxiconv.metrics.metric import Metric
from oxiconv.metrics.reduction_metrics import Mean
from oxiconv.optimizers.optimizer import Optimizer
from oxiconv.random import next_seed
from oxiconv.trainer.compile_loss import CompileLoss
from oxiconv.trainer.compile_metrics import CompileMetrics
from oxiconv.trainer.step import Same, StepCache
from oxiconv.variable import Variable


class CompiledState:
    """The optimizer, loss and metrics of a compiled model, its compiled steps, and the state of its shuffling."""

    def __init__(self, config: dict[str, Any], model: Any) -> None:
        self.config = config
        optimizer = config["optimizer"]
        self.optimizer: Optimizer | None = None if optimizer is None else optimizers.get(optimizer)
        scaled = config["auto_scale_loss"] and model.dtype_policy.name == "mixed_float16"
        if self.optimizer is not None and scaled and not isinstance(self.optimizer, optimizers.LossScaleOptimizer):
            self.optimizer = optimizers.LossScaleOptimizer(self.optimizer, name="loss_scale_optimizer")
        # Asked for when outputs are known: a sequential model without an input has no names before.
        names = functools.partial(getattr, model, "output_names", None)
        self.loss = None if config["loss"] is None else CompileLoss(config["loss"], config["loss_weights"], names)
        given = (config["metrics"], config["weighted_metrics"])
        self.metrics = None if given == (None, None) else CompileMetrics(*given, names)
        self.loss_tracker = Mean(name="loss")
        self.run_eagerly = bool(config["run_eagerly"])
        self.steps = StepCache()
        self.shuffling = Shuffling()
        self._trainable: list[Variable] | None = None

    def all_metrics(self) -> list[Metric]:
        """The loss tracker, the metrics of `compile` as one, and the losses of several outputs."""
        metrics: list[Metric] = [self.loss_tracker]
        if self.metrics is not None:
            metrics.append(self.metrics)
        return metrics + ([] if self.loss is None else self.loss.metrics)

    def renew_optimizer(self) -> Optimizer | None:
        """Replaces the optimizer by a new one of its configuration, for a model whose weights are others now."""
        if self.optimizer is not None:
            self.optimizer = type(self.optimizer).from_config(self.optimizer.get_config())
        self._trainable = None
        return self.optimizer

    def compiles(self, overridden: bool) -> bool:
        """Whether steps are to be compiled: all, unless asked for otherwise."""
        return not self.run_eagerly and not (overridden and self.config["jit_compile"] is False)

    def keep_trainable(self, variables: Sequence[Variable]) -> list[Variable]:
        """The variables to train: those that were trainable at the first step of training after `compile`."""
        if self._trainable is None:
            self._trainable = list(variables)
        return self._trainable

    def configuration(self) -> Hashable:
        """What is written into a compiled step besides the model: a change needs a new step."""
        return tuple(_fixed(optimizer) for optimizer in _with_inner(self.optimizer))


def _with_inner(optimizer: Any) -> list[Any]:
    """An optimizer, and those that it wraps."""
    if optimizer is None:
        return []
    inner = [*getattr(optimizer, "optimizers", ()), *filter(None, [getattr(optimizer, "inner_optimizer", None)])]
    return [optimizer, *(o for one in inner for o in _with_inner(one))]


def _fixed(optimizer: Any) -> Hashable:
    plain = bool | int | float | str | None
    values = {k: v for k, v in vars(optimizer).items() if isinstance(v, plain) and k != "built"}
    return str(values), Same(vars(optimizer).get("_learning_rate"))


class Shuffling:
    """Random orders that depend on a seed and a count alone, so that a resumed training goes on with the same ones."""

    def __init__(self) -> None:
        self.seed: int | None = None
        self.count = 0

    def permutation(self, n: int) -> NDArray[np.intp]:
        """The next random order of n items."""
        if self.seed is None:
            self.seed = next_seed()
        generator = np.random.Generator(np.random.Philox(key=self.seed, counter=[0, 0, 0, self.count]))
        self.count += 1
        return generator.permutation(n)
