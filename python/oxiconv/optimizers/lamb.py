"""Lamb."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from oxiconv import ops
from oxiconv.optimizers.adam import check_betas, moved, one_minus_power
from oxiconv.optimizers.optimizer import Optimizer

if TYPE_CHECKING:
    from oxiconv._core import Tensor
    from oxiconv.variable import Variable


class Lamb(Optimizer):
    """Lamb (You et al., 2019): Adam's direction, with a step as long as the variable's norm says.

    Args:
        learning_rate, weight_decay, …, name: see `Optimizer`.
        beta_1, beta_2: decay of the moments, in [0, 1).
        epsilon: added to the root.

    Example:
        >>> import oxiconv
        >>> v = oxiconv.Variable(2.0)
        >>> lamb = oxiconv.optimizers.Lamb(learning_rate=0.5)
        >>> lamb.apply([oxiconv.ops.convert_to_tensor(3.0)], [v])
        >>> round(float(v), 4)
        1.0
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
        self._momentums: list[Variable] = []
        self._velocities: list[Variable] = []

    def build(self, variables: Sequence[Variable]) -> None:
        """Creates the two moments of each variable."""
        if self.built:
            return
        super().build(variables)
        self._momentums, self._velocities = self.add_optimizer_variables(variables, ["momentum", "velocity"])

    def _corrections(self) -> tuple[Tensor, Tensor]:
        t = self._time()
        return one_minus_power(self.beta_1, t), one_minus_power(self.beta_2, t)

    def update_step(self, gradient: Tensor, variable: Variable, learning_rate: Tensor) -> None:
        """One update of one variable."""
        index = self._get_variable_index(variable)
        first, second = self._once(self._corrections)
        m = moved(self, self._momentums[index], gradient, self.beta_1)
        u = moved(self, self._velocities[index], ops.square(gradient), self.beta_2)
        step = (m / first) / (ops.sqrt(u / second) + self.epsilon)
        length, wanted = (ops.sqrt(ops.sum(ops.square(x))) for x in (step, variable.value))
        known = ops.logical_and(ops.greater(wanted, 0.0), ops.greater(length, 0.0))
        ratio = ops.where(known, wanted / ops.where(known, length, 1.0), 1.0)
        self.assign_sub(variable, step * (ratio * learning_rate))
