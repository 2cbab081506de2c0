"""RMSprop."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from oxiconv import ops
from oxiconv.optimizers.optimizer import Optimizer

if TYPE_CHECKING:
    from oxiconv._core import Tensor
    from oxiconv.variable import Variable


class RMSprop(Optimizer):
    """RMSprop: the gradient over the root of its running mean square.

    `u = rho * u + (1 - rho) * g**2`; centered, also `a = rho * a + (1 - rho) * g` and the divisor is
    `sqrt(u - a**2 + epsilon)`, else `sqrt(u + epsilon)`; with momentum, `m = momentum * m + step; v -= m`.

    Args:
        learning_rate, weight_decay, …, name: see `Optimizer`.
        rho: decay of the running means.
        momentum: momentum of the steps.
        epsilon: added under the root.
        centered: whether to divide by the estimated deviation.

    Example:
        >>> import oxiconv
        >>> v = oxiconv.Variable(1.0)
        >>> rmsprop = oxiconv.optimizers.RMSprop(learning_rate=0.1, rho=0.75)
        >>> _ = rmsprop.apply_gradients([(oxiconv.ops.convert_to_tensor(2.0), v)])
        >>> round(float(v), 4)
        0.8
    """

    config_fields = ("rho", "momentum", "epsilon", "centered")

    def __init__(
        self,
        learning_rate: Any = 0.001,
        rho: float = 0.9,
        momentum: float = 0.0,
        epsilon: float = 1e-7,
        centered: bool = False,
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
        self.momentum = momentum
        self.epsilon = epsilon
        self.centered = centered
        self._velocities: list[Variable] = []
        self._momentums: list[Variable] = []
        self._average_gradients: list[Variable] = []

    def build(self, variables: Sequence[Variable]) -> None:
        """Creates the running means of each variable."""
        if self.built:
            return
        super().build(variables)
        self._velocities = self.add_optimizer_variables(variables, "velocity")
        if self.momentum > 0:
            self._momentums = self.add_optimizer_variables(variables, "momentum")
        if self.centered:
            self._average_gradients = self.add_optimizer_variables(variables, "average_gradient")

    def update_step(self, gradient: Tensor, variable: Variable, learning_rate: Tensor) -> None:
        """One update of one variable."""
        index = self._get_variable_index(variable)
        velocity = self._velocities[index]
        u = velocity.value * self.rho + ops.square(gradient) * (1.0 - self.rho)
        self.assign(velocity, u)
        if self.centered:
            average = self._average_gradients[index]
            a = average.value * self.rho + gradient * (1.0 - self.rho)
            self.assign(average, a)
            u = u - ops.square(a)
        step = gradient * learning_rate / ops.sqrt(u + self.epsilon)
        if self.momentum > 0:
            slot = self._momentums[index]
            step = slot.value * self.momentum + step
            self.assign(slot, step)
        self.assign_sub(variable, step)
