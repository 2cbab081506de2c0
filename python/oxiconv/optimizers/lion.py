"""Lion."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from oxiconv import ops
from oxiconv.optimizers.optimizer import Optimizer

if TYPE_CHECKING:
    from oxiconv._core import Tensor
    from oxiconv.variable import Variable


class Lion(Optimizer):
    """Lion (Chen et al., 2023): steps of one size, in the direction of the sign of a moment.

    `v -= lr * sign(m * beta_1 + g * (1 - beta_1))`, then `m = m * beta_2 + g * (1 - beta_2)`.

    Args:
        learning_rate, weight_decay, …, name: see `Optimizer`.
        beta_1: share of the moment in the direction, in (0, 1].
        beta_2: decay of the moment.

    Example:
        >>> import oxiconv
        >>> v = oxiconv.Variable(1.0)
        >>> lion = oxiconv.optimizers.Lion(learning_rate=0.5)
        >>> lion.apply([oxiconv.ops.convert_to_tensor(3.0)], [v])
        >>> float(v)
        0.5
    """

    config_fields = ("beta_1", "beta_2")

    def __init__(
        self,
        learning_rate: Any = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.99,
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
        if not 0 < beta_1 <= 1:
            raise ValueError(f"Lion: beta_1 must be in (0, 1], got {beta_1!r}.")
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self._momentums: list[Variable] = []

    def build(self, variables: Sequence[Variable]) -> None:
        """Creates the moment of each variable."""
        if self.built:
            return
        super().build(variables)
        self._momentums = self.add_optimizer_variables(variables, "momentum")

    def update_step(self, gradient: Tensor, variable: Variable, learning_rate: Tensor) -> None:
        """One update of one variable."""
        slot = self._momentums[self._get_variable_index(variable)]
        direction = ops.sign(slot.value * self.beta_1 + gradient * (1.0 - self.beta_1))
        self.assign_sub(variable, direction * learning_rate)
        self.assign(slot, slot.value * self.beta_2 + gradient * (1.0 - self.beta_2))
