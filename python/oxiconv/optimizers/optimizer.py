"""The base class of optimizers: from gradients to updated variables."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from oxiconv import ops
from oxiconv.naming import auto_name
from oxiconv.optimizers import clipping
from oxiconv.optimizers.schedules.learning_rate_schedule import LearningRateSchedule
from oxiconv.variable import Variable

if TYPE_CHECKING:
    from oxiconv._core import Tensor


class Optimizer:
    """Base class: subclasses define `update_step` and, where they have slots, `build`.

    Args:
        learning_rate: a number, a `LearningRateSchedule`, or a function of the iteration.
        weight_decay: decoupled decay: before each update, `v -= v * weight_decay * learning_rate`.
        clipnorm: each gradient is scaled down to this norm.
        clipvalue: gradients are clipped to [-clipvalue, clipvalue].
        global_clipnorm: all gradients are scaled down by one factor to this joint norm. One of the three kinds at most.
        use_ema: keeps an exponential moving average of the variables.
        ema_momentum: its momentum.
        ema_overwrite_frequency: every so many iterations the averages are written into the variables; None for never.
        loss_scale_factor: the loss is multiplied by it, and the gradients divided.
        gradient_accumulation_steps: updates happen every so many steps, with the mean of their gradients.
        name: name of the optimizer.
    """

    def __init__(
        self,
        learning_rate: Any,
        weight_decay: float | None = None,
        clipnorm: float | None = None,
        clipvalue: float | None = None,
        global_clipnorm: float | None = None,
        use_ema: bool = False,
        ema_momentum: float = 0.99,
        ema_overwrite_frequency: int | None = None,
        loss_scale_factor: float | None = None,
        gradient_accumulation_steps: int | None = None,
        name: str | None = None,
        **kwargs: Any,
    ) -> None:
        who = type(self).__name__
        if kwargs:
            raise ValueError(f"{who}: unknown arguments {sorted(kwargs)}.")
        if sum(clip is not None for clip in (clipnorm, clipvalue, global_clipnorm)) > 1:
            raise ValueError(
                f"{who}: expected at most one of clipnorm, clipvalue and global_clipnorm, "
                f"got {clipnorm=}, {clipvalue=}, {global_clipnorm=}."
            )
        for label, value in (("clipnorm", clipnorm), ("clipvalue", clipvalue), ("global_clipnorm", global_clipnorm)):
            if value is not None and not value > 0:
                raise ValueError(f"{who}: {label} must be above 0, got {value!r}.")
        if use_ema and not 0 <= ema_momentum <= 1:
            raise ValueError(f"{who}: ema_momentum must be in [0, 1], got {ema_momentum!r}.")
        if ema_overwrite_frequency is not None and not _whole(ema_overwrite_frequency, 1):
            raise ValueError(
                f"{who}: ema_overwrite_frequency must be an integer >= 1, got {ema_overwrite_frequency!r}."
            )
        if gradient_accumulation_steps is not None and not _whole(gradient_accumulation_steps, 2):
            raise ValueError(
                f"{who}: gradient_accumulation_steps must be an integer >= 2, got {gradient_accumulation_steps!r}."
            )
        self.name = name or auto_name(who)
        self.weight_decay = weight_decay
        self.clipnorm = clipnorm
        self.clipvalue = clipvalue
        self.global_clipnorm = global_clipnorm
        self.use_ema = use_ema
        self.ema_momentum = ema_momentum
        self.ema_overwrite_frequency = ema_overwrite_frequency
        self.loss_scale_factor = loss_scale_factor
        self.gradient_accumulation_steps = gradient_accumulation_steps
        self.built = False
        self._variables: list[Variable] = []
        self._trainable_variables: list[Variable] = []
        self._index: dict[int, int] = {}
        self._averages: list[Variable] = []
        self._accumulators: list[Variable] = []
        self._excluded: Callable[[Variable], bool] | None = None
        # While gradients accumulate: whether this step updates; the values that it keeps otherwise.
        self._updating: Tensor | None = None
        self._iterations = self.add_variable((), dtype="int32", name="iteration")
        self._learning_rate: Any = self._rate(learning_rate)

    # State

    @property
    def variables(self) -> list[Variable]:
        """The optimizer's own variables: iteration, learning rate, then slots."""
        return list(self._variables)

    @property
    def iterations(self) -> Any:
        """How many updates have been made."""
        if self.gradient_accumulation_steps:
            return ops.floor_divide(self._iterations, self.gradient_accumulation_steps)
        return self._iterations

    @property
    def learning_rate(self) -> Any:
        """The learning rate: a variable, or the schedule's present value. Assigning a number changes the variable."""
        if isinstance(self._learning_rate, Variable):
            return self._learning_rate
        return ops.convert_to_tensor(self._learning_rate(self._iterations), dtype="float32")

    @learning_rate.setter
    def learning_rate(self, value: Any) -> None:
        if isinstance(value, LearningRateSchedule) or (callable(value) and not isinstance(value, Variable)):
            if isinstance(self._learning_rate, Variable):
                self._variables = [v for v in self._variables if v is not self._learning_rate]
            self._learning_rate = value
        elif isinstance(self._learning_rate, Variable):
            self._learning_rate.assign(value)
        else:
            raise TypeError(
                f"{type(self).__name__}: the learning rate follows {type(self._learning_rate).__name__}; it cannot be "
                "set to a number. Create the optimizer with a number to set it later."
            )

    def _rate(self, learning_rate: Any) -> Any:
        if isinstance(learning_rate, dict):
            from oxiconv.saving.serialization import deserialize_keras_object

            learning_rate = deserialize_keras_object(learning_rate)
        if callable(learning_rate):
            return learning_rate
        try:
            number = float(learning_rate)
        except (TypeError, ValueError):
            raise ValueError(
                f"{type(self).__name__}: expected a number, a LearningRateSchedule or a function of the iteration as "
                f"learning_rate, got {learning_rate!r}."
            ) from None
        return self.add_variable((), initializer=number, name="learning_rate")

    @property
    def trainable_variables(self) -> list[Variable]:
        """The variables that the optimizer was built with."""
        return list(self._trainable_variables)

    def add_variable(
        self,
        shape: Sequence[int],
        initializer: Any = "zeros",
        dtype: str | None = None,
        aggregation: str = "mean",
        name: str | None = None,
    ) -> Variable:
        """A variable of the optimizer's own."""
        variable = Variable(
            initializer,
            shape=tuple(shape),
            dtype=dtype or "float32",
            trainable=False,
            aggregation=aggregation,
            name=name,
        )
        variable.path = f"{self.name}/{variable.name}"
        self._variables.append(variable)
        return variable

    def add_variable_from_reference(
        self, reference_variable: Variable, name: str | None = None, initializer: Any = "zeros"
    ) -> Variable:
        """A slot: a variable of the shape and dtype of `reference_variable`."""
        slot = self.add_variable(reference_variable.shape, initializer, reference_variable.dtype, name=name or "var")
        slot.path = f"{self.name}/{reference_variable.path.replace('/', '_')}_{slot.name}"
        return slot

    def add_optimizer_variables(
        self, trainable_variables: Sequence[Variable], name: str, initializer: Any = "zeros"
    ) -> list[Variable]:
        """A slot for each variable."""
        return [self.add_variable_from_reference(v, name, initializer) for v in trainable_variables]

    def build(self, variables: Sequence[Variable]) -> None:
        """Creates the slots for `variables`; `super().build(variables)` comes first in subclasses."""
        if self.built:
            return
        self._trainable_variables = list(variables)
        self._index = {id(v): i for i, v in enumerate(variables)}
        if self.use_ema:
            self._averages = self.add_optimizer_variables(variables, "average")
        if self.gradient_accumulation_steps:
            self._accumulators = self.add_optimizer_variables(variables, "gradient_accumulator")
        self.built = True

    def __setstate__(self, state: dict[str, Any]) -> None:
        """For copies and pickles: the index is by identity."""
        vars(self).update(state)
        self._index = {id(v): i for i, v in enumerate(self._trainable_variables)}

    def _get_variable_index(self, variable: Variable) -> int:
        return self._index[id(variable)]

    # Updating

    def update_step(self, gradient: Tensor, variable: Variable, learning_rate: Tensor) -> None:
        """Updates `variable` and its slots, through `assign`, `assign_add` and `assign_sub` of the optimizer."""
        raise NotImplementedError(f"{type(self).__name__} must define update_step")

    def apply_gradients(self, grads_and_vars: Iterable[tuple[Any, Variable]]) -> Any:
        """Updates the variables of (gradient, variable) pairs. Pairs without a gradient are skipped with a warning."""
        pairs = list(grads_and_vars)
        self.apply([g for g, _ in pairs], [v for _, v in pairs])
        return self._iterations

    def apply(self, grads: Sequence[Any], trainable_variables: Sequence[Variable] | None = None) -> None:
        """Updates the variables.

        Args:
            grads: a gradient, or None, for each variable.
            trainable_variables: the variables; by default those that the optimizer was built with.

        Raises:
            ValueError: a variable that the optimizer was not built with, another number of gradients, or none at all.
        """
        who = type(self).__name__
        if trainable_variables is None:
            if not self.built:
                raise ValueError(f"{who}.apply: pass the variables too, or call build(variables) first.")
            trainable_variables = self._trainable_variables
        variables = list(trainable_variables)
        if len(grads) != len(variables):
            raise ValueError(f"{who}.apply: expected {len(variables)} gradients, one per variable, got {len(grads)}.")
        if not grads:
            return
        if not self.built:
            self.build(variables)
        for v in variables:
            if id(v) not in self._index:
                raise ValueError(
                    f"{who}.apply: {v.path!r} is not among the variables that this optimizer was built with. "
                    "After changing what is trainable, compile again with a new optimizer."
                )
        gradients, variables = self._connected(grads, variables)
        if self.loss_scale_factor is not None:
            gradients = [g / self.loss_scale_factor for g in gradients]
        if self.gradient_accumulation_steps:
            gradients = self._accumulate(gradients, variables, self.gradient_accumulation_steps)
        try:
            self._update(clipping.clip(gradients, self.clipnorm, self.clipvalue, self.global_clipnorm), variables)
        finally:
            self._updating = None
        if self.use_ema:
            self._average()
        self._iterations.assign_add(1)
        for v in variables:
            if v.constraint is not None:
                v.assign(v.constraint(v.value))

    def _connected(self, grads: Sequence[Any], variables: list[Variable]) -> tuple[list[Tensor], list[Variable]]:
        pairs = [(g, v) for g, v in zip(grads, variables, strict=True) if g is not None]
        if not pairs:
            raise ValueError(f"{type(self).__name__}.apply: no gradients for any variable.")
        if len(pairs) < len(variables):
            missing = [v.path for g, v in zip(grads, variables, strict=True) if g is None]
            warnings.warn(f"The loss does not depend on the variables {missing}; they are not updated.", stacklevel=3)
        return [ops.convert_to_tensor(g) for g, _ in pairs], [v for _, v in pairs]

    def _update(self, gradients: list[Tensor], variables: list[Variable]) -> None:
        rate = ops.convert_to_tensor(self.learning_rate)
        if self.weight_decay is not None:
            for v in variables:
                if self._excluded is None or not self._excluded(v):
                    self.assign_sub(v, v.value * (rate * self.weight_decay))
        for g, v in zip(gradients, variables, strict=True):
            self.update_step(g, v, rate)

    def _accumulate(self, gradients: list[Tensor], variables: list[Variable], steps: int) -> list[Tensor]:
        self._updating = ops.equal(ops.mod(self._iterations + 1, steps), 0)
        mean = []
        for g, v in zip(gradients, variables, strict=True):
            accumulator = self._accumulators[self._get_variable_index(v)]
            total = accumulator.value + g
            accumulator.assign(ops.where(self._updating, 0.0, total))
            mean.append(total / float(steps))
        return mean

    def _average(self) -> None:
        # The first average is the variable itself.
        momentum = ops.where(ops.equal(self._iterations, 0), 0.0, self.ema_momentum)
        frequency = self.ema_overwrite_frequency
        for v, average in zip(self._trainable_variables, self._averages, strict=True):
            average.assign(average.value * momentum + v.value * (1.0 - momentum))
            if frequency is not None:
                v.assign(ops.where(ops.equal(ops.mod(self._iterations + 1, frequency), 0), average.value, v.value))

    def finalize_variable_values(self, var_list: Sequence[Variable]) -> None:
        """Writes the moving averages into the variables, after training with `use_ema`."""
        if self.use_ema:
            for v in var_list:
                v.assign(self._averages[self._get_variable_index(v)].value)

    def assign(self, variable: Variable, value: Any) -> None:
        """Assigns within an update; kept as it was while gradients only accumulate."""
        if self._updating is not None:
            value = ops.where(self._updating, value, variable.value)
        variable.assign(value)

    def assign_add(self, variable: Variable, value: Any) -> None:
        """Adds within an update."""
        self.assign(variable, variable.value + value)

    def assign_sub(self, variable: Variable, value: Any) -> None:
        """Subtracts within an update."""
        self.assign(variable, variable.value - value)

    def exclude_from_weight_decay(
        self, var_list: Sequence[Variable] | None = None, var_names: Sequence[str] | None = None
    ) -> None:
        """Exempts variables from weight decay: those listed, and those whose path contains one of the names (regex)."""
        listed = {id(v) for v in var_list or ()}
        patterns = [re.compile(name) for name in var_names or ()]
        self._excluded = lambda v: id(v) in listed or any(p.search(v.path) for p in patterns)

    def scale_loss(self, loss: Tensor) -> Tensor:
        """The loss times `loss_scale_factor`."""
        return loss if self.loss_scale_factor is None else loss * self.loss_scale_factor

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments; the learning rate as it is now."""
        from oxiconv.saving.serialization import serialize_keras_object

        rate = self._learning_rate
        return {
            "name": self.name,
            "learning_rate": float(rate) if isinstance(rate, Variable) else serialize_keras_object(rate),
            "weight_decay": self.weight_decay,
            "clipnorm": self.clipnorm,
            "clipvalue": self.clipvalue,
            "global_clipnorm": self.global_clipnorm,
            "use_ema": self.use_ema,
            "ema_momentum": self.ema_momentum,
            "ema_overwrite_frequency": self.ema_overwrite_frequency,
            "loss_scale_factor": self.loss_scale_factor,
            "gradient_accumulation_steps": self.gradient_accumulation_steps,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Optimizer:
        """The optimizer of a configuration."""
        return cls(**config)


def _whole(value: Any, least: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= least
