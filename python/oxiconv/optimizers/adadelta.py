"""Adadelta."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from oxiconv import ops
from oxiconv.optimizers.optimizer import Optimizer

if TYPE_CHECKING:
    from oxiconv._core import Tensor
    from oxiconv.variable import Variable


class Adadelta(Optimizer):
    """Adadelta (Zeiler, 2012): steps of the size of the past ones, relative to the gradients.

    `u = rho * u + (1 - rho) * g**2`, `d = -g * sqrt(s + epsilon) / sqrt(u + epsilon)`,
    `s = rho * s + (1 - rho) * d**2`, `v += lr * d`.

    Args:
        learning_rate, weight_decay, …, name: see `Optimizer`.
        rho: decay of the running means.
        epsilon: added under the roots.

    Example:
        >>> import oxiconv
        >>> v = oxiconv.Variable(1.0)
        >>> adadelta = oxiconv.optimizers.Adadelta(learning_rate=1.0, rho=0.0, epsilon=0.25)
        >>> adadelta.apply([oxiconv.ops.convert_to_tensor(1e4)], [v])
        >>> float(v)
        0.5
    """

    config_fields = ("rho", "epsilon")

    def __init__(
        self,
        learning_rate: Any = 0.001,
        rho: float = 0.95,
        epsilon: float = 1e-7,
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
        super().__init__(
            learning_rate,
            weight_decay,
            clipnorm,
            clipvalue,
            global_clipnorm,
            use_ema,
            ema_momentum,
            ema_overwrite_frequency,
            loss_scale_factor,
            gradient_accumulation_steps,
            name,
            **kwargs,
        )
        self.rho = rho
        self.epsilon = epsilon
        self._accumulated_grads: list[Variable] = []
        self._accumulated_delta_vars: list[Variable] = []

    def build(self, variables: Sequence[Variable]) -> None:
        """Creates the two running means of each variable."""
        if self.built:
            return
        super().build(variables)
        self._accumulated_grads, self._accumulated_delta_vars = self.add_optimizer_variables(
            variables, ["accumulated_grad", "accumulated_delta_var"]
        )

    def update_step(self, gradient: Tensor, variable: Variable, learning_rate: Tensor) -> None:
        """One update of one variable."""
        index = self._get_variable_index(variable)
        squares, steps = self._accumulated_grads[index], self._accumulated_delta_vars[index]
        u = squares.value * self.rho + ops.square(gradient) * (1.0 - self.rho)
        self.assign(squares, u)
        step = gradient * ops.sqrt(steps.value + self.epsilon) / ops.sqrt(u + self.epsilon)
        self.assign(steps, steps.value * self.rho + ops.square(step) * (1.0 - self.rho))
        self.assign_sub(variable, step * learning_rate)
