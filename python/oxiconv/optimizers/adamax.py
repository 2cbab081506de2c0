"""Adamax."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from oxiconv import ops
from oxiconv.optimizers.adam import check_betas, moved, one_minus_power
from oxiconv.optimizers.optimizer import Optimizer

if TYPE_CHECKING:
    from oxiconv._core import Tensor
    from oxiconv.variable import Variable


class Adamax(Optimizer):
    """Adamax (Kingma and Ba, 2014): Adam with the largest recent gradient in place of the second moment.

    `m += (g - m) * (1 - beta_1)`, `u = max(beta_2 * u, |g|)`, `v -= lr * m / ((1 - beta_1**t) * (u + epsilon))`.

    Args:
        learning_rate, weight_decay, …, name: see `Optimizer`.
        beta_1, beta_2: decay of the moment and of the norm, in [0, 1).
        epsilon: added to the norm.

    Example:
        >>> import oxiconv
        >>> v = oxiconv.Variable(1.0)
        >>> adamax = oxiconv.optimizers.Adamax(learning_rate=0.5)
        >>> adamax.apply([oxiconv.ops.convert_to_tensor(3.0)], [v])
        >>> round(float(v), 4)
        0.5
    """

    config_fields = ("beta_1", "beta_2", "epsilon")

    def __init__(
        self,
        learning_rate: Any = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
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
        check_betas(self, beta_1, beta_2)
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.epsilon = epsilon
        self._m: list[Variable] = []
        self._u: list[Variable] = []

    def build(self, variables: Sequence[Variable]) -> None:
        """Creates the moment and the norm of each variable."""
        if self.built:
            return
        super().build(variables)
        self._m, self._u = self.add_optimizer_variables(variables, ["momentum", "norm"])

    def _correction(self) -> Tensor:
        return one_minus_power(self.beta_1, self._time())

    def update_step(self, gradient: Tensor, variable: Variable, learning_rate: Tensor) -> None:
        """One update of one variable."""
        index = self._get_variable_index(variable)
        m = moved(self, self._m[index], gradient, self.beta_1)
        u = ops.maximum(self._u[index].value * self.beta_2, ops.abs(gradient))
        self.assign(self._u[index], u)
        self.assign_sub(variable, m * learning_rate / ((u + self.epsilon) * self._once(self._correction)))
