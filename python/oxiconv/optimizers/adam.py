"""Adam and AdamW."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from oxiconv import ops
from oxiconv.optimizers.optimizer import Optimizer

if TYPE_CHECKING:
    from oxiconv._core import Tensor
    from oxiconv.variable import Variable


class Adam(Optimizer):
    """Adam (Kingma and Ba, 2014).

    With t = iterations + 1: `m += (g - m) * (1 - beta_1)`, `u += (g**2 - u) * (1 - beta_2)`,
    `v -= m * alpha / (sqrt(u) + epsilon)`, `alpha = lr * sqrt(1 - beta_2**t) / (1 - beta_1**t)`.

    Args:
        learning_rate, weight_decay, …, name: see `Optimizer`.
        beta_1, beta_2: decay of the moments, in [0, 1).
        epsilon: added to the root ("epsilon hat" of the paper).
        amsgrad: whether to divide by the largest second moment so far.

    Example:
        >>> import oxiconv
        >>> v = oxiconv.Variable(1.0)
        >>> adam = oxiconv.optimizers.Adam(learning_rate=0.5)
        >>> _ = adam.apply_gradients([(oxiconv.ops.convert_to_tensor(3.0), v)])
        >>> round(float(v), 4)
        0.5
    """

    config_fields = ("beta_1", "beta_2", "epsilon", "amsgrad")

    def __init__(
        self,
        learning_rate: Any = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        amsgrad: bool = False,
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
        self.amsgrad = amsgrad
        self._momentums: list[Variable] = []
        self._velocities: list[Variable] = []
        self._velocity_hats: list[Variable] = []

    def build(self, variables: Sequence[Variable]) -> None:
        """Creates the two moments of each variable."""
        if self.built:
            return
        super().build(variables)
        self._momentums, self._velocities = self.add_optimizer_variables(variables, ["momentum", "velocity"])
        if self.amsgrad:
            self._velocity_hats = self.add_optimizer_variables(variables, "velocity_hat")

    def _correction(self) -> Tensor:
        """What makes up for the moments' start at 0."""
        t = self._time()
        return ops.sqrt(one_minus_power(self.beta_2, t)) / one_minus_power(self.beta_1, t)

    def update_step(self, gradient: Tensor, variable: Variable, learning_rate: Tensor) -> None:
        """One update of one variable."""
        index = self._get_variable_index(variable)
        m = moved(self, self._momentums[index], gradient, self.beta_1)
        u = moved(self, self._velocities[index], ops.square(gradient), self.beta_2)
        if self.amsgrad:
            hat = self._velocity_hats[index]
            u = ops.maximum(hat.value, u)
            self.assign(hat, u)
        alpha = learning_rate * self._once(self._correction)
        self.assign_sub(variable, m * alpha / (ops.sqrt(u) + self.epsilon))


def check_betas(optimizer: Optimizer, beta_1: float, beta_2: float) -> None:
    """Raises ValueError unless both are in [0, 1)."""
    for label, beta in (("beta_1", beta_1), ("beta_2", beta_2)):
        if not 0 <= beta < 1:
            raise ValueError(f"{type(optimizer).__name__}: {label} must be in [0, 1), got {beta!r}.")


def moved(optimizer: Optimizer, slot: Variable, value: Tensor, beta: float) -> Tensor:
    """The running mean in `slot`, moved towards `value` by the share `1 - beta`."""
    mean = slot.value + (value - slot.value) * (1.0 - beta)
    optimizer.assign(slot, mean)
    return mean


def one_minus_power(beta: float, step: Tensor) -> Tensor:
    """1 - beta**step, without the cancellation that float32 powers near 1 suffer."""
    if beta == 0:
        return ops.ones_like(step)
    return -ops.expm1(step * math.log(beta))


class AdamW(Adam):
    """Adam with decoupled weight decay (Loshchilov and Hutter, 2017), 0.004 by default. Arguments as `Adam`.

    Example:
        >>> import oxiconv
        >>> oxiconv.optimizers.AdamW().weight_decay
        0.004
    """

    def __init__(
        self,
        learning_rate: Any = 0.001,
        weight_decay: float | None = 0.004,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        amsgrad: bool = False,
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
        if weight_decay is None:
            raise ValueError("AdamW: weight_decay must be a number, got None.")
        super().__init__(
            learning_rate,
            beta_1,
            beta_2,
            epsilon,
            amsgrad,
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
