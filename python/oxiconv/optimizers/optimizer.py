"""The base class of optimizers: from gradients to updated variables."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from oxiconv import ops
from oxiconv.optimizers import clipping
from oxiconv.optimizers.conditional import conditionally
from oxiconv.optimizers.state import OptimizerState
from oxiconv.variable import StatelessScope

if TYPE_CHECKING:
    from oxiconv._core import Tensor
    from oxiconv.variable import Variable

T = TypeVar("T")


class Optimizer(OptimizerState):
    """Base class: subclasses define `update_step` and, where they have slots, `build`.

    Args:
        learning_rate: a number, a `LearningRateSchedule`, or a function without arguments.
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
        if not len(grads):
            return
        gradients, variables = self._connected(*self._known(grads, trainable_variables))
        if self.loss_scale_factor is not None:
            gradients = [g / self.loss_scale_factor for g in gradients]
        if self.gradient_accumulation_steps:
            self._accumulate(gradients, variables, self.gradient_accumulation_steps)
        else:
            self._update(gradients, variables)
        if self.use_ema:
            self._average()
        for v in variables:
            if v.constraint is not None:
                v.assign(v.constraint(v.value))
        self._iterations.assign_add(1)

    def _known(
        self, grads: Sequence[Any], trainable_variables: Sequence[Variable] | None
    ) -> tuple[list[Any], list[Variable]]:
        """One gradient or None per variable, of variables that this optimizer is built for."""
        who = type(self).__name__
        if trainable_variables is None:
            if not self.built:
                raise ValueError(f"{who}.apply: pass the variables too, or call build(variables) first.")
            trainable_variables = self._trainable_variables
        variables = list(trainable_variables)
        if len(grads) != len(variables):
            raise ValueError(f"{who}.apply: expected {len(variables)} gradients, one per variable, got {len(grads)}.")
        if not self.built:
            self.build(variables)
        for v in variables:
            if id(v) not in self._index:
                raise ValueError(
                    f"{who}.apply: {v.path!r} is not among the variables that this optimizer was built with. "
                    "After changing what is trainable, compile again with a new optimizer."
                )
        return list(grads), variables

    def _connected(self, grads: Sequence[Any], variables: list[Variable]) -> tuple[list[Tensor], list[Variable]]:
        pairs = [(g, v) for g, v in zip(grads, variables, strict=True) if g is not None]
        if not pairs:
            raise ValueError(f"{type(self).__name__}.apply: no gradients for any variable.")
        if len(pairs) < len(variables):
            missing = [v.path for g, v in zip(grads, variables, strict=True) if g is None]
            warnings.warn(f"The loss does not depend on the variables {missing}; they are not updated.", stacklevel=3)
        return [ops.convert_to_tensor(g) for g, _ in pairs], [v for _, v in pairs]

    def _update(self, gradients: list[Tensor], variables: list[Variable]) -> None:
        self._memo = {}
        try:
            gradients = clipping.clip(gradients, self.clipnorm, self.clipvalue, self.global_clipnorm)
            self._apply_weight_decay(variables)
            self._backend_update_step(gradients, variables, self._once(self._rate_now))
        finally:
            self._memo = None

    def _backend_update_step(
        self, grads: list[Tensor], trainable_variables: list[Variable], learning_rate: Any
    ) -> None:
        for g, v in zip(grads, trainable_variables, strict=True):
            self.update_step(g, v, learning_rate)

    def _rate_now(self) -> Tensor:
        return ops.convert_to_tensor(self.learning_rate)

    def _once(self, make: Callable[[], T]) -> T:
        """`make()`, evaluated once for all variables of an update; `make` is a method."""
        if self._memo is None:
            return make()
        name = make.__name__
        if name not in self._memo:
            self._memo[name] = make()
        found: T = self._memo[name]
        return found

    def _time(self) -> Tensor:
        """The number of the present update, from 1, as float32."""
        return ops.cast(self.iterations, "float32") + 1.0

    def _apply_weight_decay(self, variables: Sequence[Variable]) -> None:
        for v in variables:
            decay = self._decay_of(v)
            if decay is not None and not (self._excluded is not None and self._excluded(v)):
                v.assign(v.value - v.value * (self._once(self._rate_now) * decay))

    def _decay_of(self, variable: Variable) -> float | None:
        return self.weight_decay

    def _accumulate(self, gradients: list[Tensor], variables: list[Variable], steps: int) -> None:
        last = ops.equal(ops.mod(self._iterations + 1, steps), 0)
        totals = []
        for g, v in zip(gradients, variables, strict=True):
            accumulator = self._accumulators[self._get_variable_index(v)]
            totals.append(accumulator.value + g)
            accumulator.assign(totals[-1])

        def update() -> None:
            self._update([total / float(steps) for total in totals], variables)
            for accumulator in self._accumulators:
                accumulator.assign(ops.zeros(accumulator.shape))

        conditionally(last, update)

    def _average(self) -> None:
        # Counted in updates: all steps until the next one count as one.
        steps, frequency = self.gradient_accumulation_steps or 1, self.ema_overwrite_frequency
        # The first average is the variable itself.
        momentum = ops.where(ops.less(self._iterations, steps), 0.0, self.ema_momentum)
        for v, average in zip(self._trainable_variables, self._averages, strict=True):
            average.assign(average.value * momentum + v.value * (1.0 - momentum))
            if frequency is not None:
                last = ops.greater_equal(ops.mod(self._iterations, steps * frequency), steps * (frequency - 1))
                v.assign(ops.where(last, average.value, v.value))

    def finalize_variable_values(self, var_list: Sequence[Variable]) -> None:
        """Writes the moving averages into the variables, after training with `use_ema`."""
        if self.use_ema:
            for v in var_list:
                v.assign(self._averages[self._get_variable_index(v)].value)

    def assign(self, variable: Variable, value: Any) -> None:
        """Assigns within an update."""
        variable.assign(value)

    def assign_add(self, variable: Variable, value: Any) -> None:
        """Adds within an update."""
        variable.assign_add(value)

    def assign_sub(self, variable: Variable, value: Any) -> None:
        """Subtracts within an update."""
        variable.assign_sub(value)

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

    def stateless_apply(
        self, optimizer_variables: Sequence[Any], grads: Sequence[Any], trainable_variables: Sequence[Any]
    ) -> tuple[list[Tensor], list[Tensor]]:
        """The values that `apply` would give to the variables and to the optimizer's own; nothing is changed.

        Args:
            optimizer_variables: values of `variables`.
            grads: a gradient for each variable.
            trainable_variables: values of the variables that the optimizer was built with.
        """
        who = f"{type(self).__name__}.stateless_apply"
        if not self.built:
            raise ValueError(f"{who}: call build(variables) first.")
        held = [*self._trainable_variables, *self.variables]
        given = [*trainable_variables, *optimizer_variables]
        if len(trainable_variables) != len(self._trainable_variables) or len(given) != len(held):
            raise ValueError(
                f"{who}: expected {len(self._trainable_variables)} values of variables and {len(self.variables)} of "
                f"the optimizer, got {len(trainable_variables)} and {len(optimizer_variables)}."
            )
        with StatelessScope(list(zip(held, given, strict=True))) as scope:
            self.apply(grads)
        after = [scope.get_current_value(v) for v in held]
        count = len(trainable_variables)
        return after[:count], after[count:]
