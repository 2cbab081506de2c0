"""Dynamic loss scaling, for gradients in half precision."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Self

from oxiconv import ops
from oxiconv.optimizers.conditional import conditionally
from oxiconv.optimizers.optimizer import Optimizer

if TYPE_CHECKING:
    from oxiconv._core import Tensor
    from oxiconv.variable import Variable

# Arguments of other optimizers, with the values that ask for nothing.
_INNER_ONLY: dict[str, Any] = {
    "weight_decay": None,
    "clipnorm": None,
    "global_clipnorm": None,
    "clipvalue": None,
    "use_ema": False,
    "ema_momentum": 0.99,
    "ema_overwrite_frequency": None,
    "loss_scale_factor": None,
    "gradient_accumulation_steps": None,
}


class LossScaleOptimizer(Optimizer):
    """An optimizer whose loss is multiplied by a scale that follows the gradients.

    After `dynamic_growth_steps` steps of finite gradients the scale doubles. A step with a gradient that is not finite
    halves it and updates nothing else.

    Args:
        inner_optimizer: makes the updates.
        initial_scale: the first scale.
        dynamic_growth_steps: see above.
        name: name of the optimizer.

    Example:
        >>> import oxiconv
        >>> v = oxiconv.Variable(1.0)
        >>> optimizer = oxiconv.optimizers.LossScaleOptimizer(oxiconv.optimizers.SGD(0.5), initial_scale=8.0)
        >>> optimizer.apply([oxiconv.ops.convert_to_tensor(8.0)], [v])
        >>> float(v)
        0.5
        >>> optimizer.apply([oxiconv.ops.convert_to_tensor(float("inf"))], [v])
        >>> float(v), float(optimizer.dynamic_scale)
        (0.5, 4.0)
    """

    def __init__(
        self,
        inner_optimizer: Optimizer,
        initial_scale: float = 2.0**15,
        dynamic_growth_steps: int = 2000,
        name: str | None = None,
        **kwargs: Any,
    ) -> None:
        if not kwargs.pop("dynamic", True):
            raise ValueError("LossScaleOptimizer: dynamic=False is gone; set loss_scale_factor on the inner optimizer.")
        for argument, unset in _INNER_ONLY.items():
            if kwargs.pop(argument, unset) != unset:
                raise ValueError(f"LossScaleOptimizer: set {argument} on the inner optimizer.")
        super().__init__(0.0, name=name, **kwargs)
        self.inner_optimizer = inner_optimizer
        self.initial_scale = initial_scale
        self.dynamic_growth_steps = dynamic_growth_steps
        inner_optimizer.loss_scale_factor = None

    def build(self, variables: Sequence[Variable]) -> None:
        """Creates the scale and its counter, and builds the inner optimizer."""
        if self.built:
            return
        self.step_counter = self.add_variable((), dtype="int32", aggregation="none", name="step_counter")
        self.dynamic_scale = self.add_variable(
            (), float(self.initial_scale), dtype="float32", aggregation="none", name="dynamic_scale"
        )
        self.inner_optimizer.build(variables)
        super().build(variables)

    @property
    def variables(self) -> list[Variable]:
        """The own variables, then those of the inner optimizer."""
        return self._variables + self.inner_optimizer.variables

    def apply(self, grads: Sequence[Any], trainable_variables: Sequence[Variable] | None = None) -> None:
        """Updates the variables if all gradients, which are those of the scaled loss, are finite."""
        grads = list(grads)
        if not self.built and trainable_variables is not None:
            self.build(list(trainable_variables))
        if not any(g is not None for g in grads) or not self.built:
            self.inner_optimizer.apply(grads, trainable_variables)  # which says what is missing
            return
        finite = ops.all(ops.stack([ops.all(ops.isfinite(g)) for g in grads if g is not None]))
        scale, count = self.dynamic_scale.value, self.step_counter.value
        unscaled = [None if g is None else ops.divide(g, scale) for g in grads]
        conditionally(finite, lambda: self.inner_optimizer.apply(unscaled, trainable_variables))
        full = ops.equal(count, self.dynamic_growth_steps - 1)
        goes_on = ops.logical_and(finite, ops.logical_not(full))
        self.step_counter.assign(ops.where(goes_on, count + 1, 0))
        self.dynamic_scale.assign(scale * ops.where(finite, ops.where(full, 2.0, 1.0), 0.5))

    @property
    def learning_rate(self) -> Any:
        """That of the inner optimizer."""
        return self.inner_optimizer.learning_rate

    @learning_rate.setter
    def learning_rate(self, value: Any) -> None:
        self.inner_optimizer.learning_rate = value

    @property
    def iterations(self) -> Any:
        """How many updates the inner optimizer has made."""
        return self.inner_optimizer.iterations

    def scale_loss(self, loss: Tensor) -> Tensor:
        """The loss times the scale."""
        return loss * (self.dynamic_scale.value if self.built else self.initial_scale)

    def finalize_variable_values(self, var_list: Sequence[Variable]) -> None:
        """That of the inner optimizer."""
        self.inner_optimizer.finalize_variable_values(var_list)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        from oxiconv.saving.serialization import serialize_keras_object

        return {
            "name": self.name,
            "inner_optimizer": serialize_keras_object(self.inner_optimizer),
            "initial_scale": self.initial_scale,
            "dynamic_growth_steps": self.dynamic_growth_steps,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> Self:
        """The optimizer of a configuration."""
        from oxiconv.saving.serialization import deserialize_keras_object

        inner = deserialize_keras_object(config["inner_optimizer"], custom_objects)
        return cls(**{**config, "inner_optimizer": inner})
