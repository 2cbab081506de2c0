"""Stochastic gradient descent."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from oxiconv.optimizers.optimizer import Optimizer

if TYPE_CHECKING:
    from oxiconv._core import Tensor
    from oxiconv.variable import Variable


class SGD(Optimizer):
    """Gradient descent, with momentum m: `m = momentum * m - lr * g; v += m`.

    With Nesterov momentum `v += momentum * m - lr * g`.

    Args:
        learning_rate, weight_decay, …, name: see `Optimizer`.
        momentum: in [0, 1].
        nesterov: whether to look ahead.

    Example:
        >>> import oxiconv
        >>> v = oxiconv.Variable(1.0)
        >>> sgd = oxiconv.optimizers.SGD(learning_rate=0.5)
        >>> _ = sgd.apply_gradients([(oxiconv.ops.convert_to_tensor(1.0), v)])
        >>> float(v)
        0.5
    """

    config_fields = ("momentum", "nesterov")

    def __init__(
        self,
        learning_rate: Any = 0.01,
        momentum: float = 0.0,
        nesterov: bool = False,
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
        if not 0 <= momentum <= 1:
            raise ValueError(f"SGD: momentum must be in [0, 1], got {momentum!r}.")
        self.momentum = momentum
        self.nesterov = nesterov
        self.momentums: list[Variable] = []

    def build(self, variables: Sequence[Variable]) -> None:
        """Creates the momentum of each variable, if there is any momentum."""
        if self.built:
            return
        super().build(variables)
        if self.momentum:
            self.momentums = self.add_optimizer_variables(variables, "momentum")

    def update_step(self, gradient: Tensor, variable: Variable, learning_rate: Tensor) -> None:
        """One update of one variable."""
        step = gradient * learning_rate
        if not self.momentum:
            self.assign_sub(variable, step)
            return
        slot = self.momentums[self._get_variable_index(variable)]
        moved = slot.value * self.momentum - step
        self.assign(slot, moved)
        self.assign_add(variable, moved * self.momentum - step if self.nesterov else moved)
