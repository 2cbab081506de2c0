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
    `v -= m * self._alpha / (sqrt(u) + epsilon)`, `alpha = lr * sqrt(1 - beta_2**t) / (1 - beta_1**t)`.

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
            weight_decay=weight_decay,
            clipnorm=clipnorm,
            clipvalue=clipvalue,
            global_clipnorm=global_clipnorm,
            use_ema=use_ema,
            ema_momentum=ema_momentum,
            ema_overwrite_frequency=ema_overwrite_frequency,
            loss_scale_factor=loss_scale_factor,
            gradient_accumulation_steps=gradient_accumulation_steps,
            name=name,
            **kwargs,
        )
        for label, beta in (("beta_1", beta_1), ("beta_2", beta_2)):
            if not 0 <= beta < 1:
                raise ValueError(f"{type(self).__name__}: {label} must be in [0, 1), got {beta!r}.")
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.epsilon = epsilon
        self.amsgrad = amsgrad
        self._momentums: list[Variable] = []
        self._velocities: list[Variable] = []
        self._velocity_hats: list[Variable] = []
        # The step size of the present update: the same for all variables.
        self._alpha: Tensor | None = None

    def build(self, variables: Sequence[Variable]) -> None:
        """Creates the two moments of each variable."""
        if self.built:
            return
        super().build(variables)
        for v in variables:
            self._momentums.append(self.add_variable_from_reference(v, "momentum"))
            self._velocities.append(self.add_variable_from_reference(v, "velocity"))
        if self.amsgrad:
            self._velocity_hats = self.add_optimizer_variables(variables, "velocity_hat")

    def _update(self, gradients: list[Tensor], variables: list[Variable]) -> None:
        super()._update(gradients, variables)
        self._alpha = None

    def update_step(self, gradient: Tensor, variable: Variable, learning_rate: Tensor) -> None:
        """One update of one variable."""
        index = self._get_variable_index(variable)
        first, second = self._momentums[index], self._velocities[index]
        if self._alpha is None:
            t = ops.cast(self.iterations, "float32") + 1.0
            self._alpha = learning_rate * ops.sqrt(_one_minus_power(self.beta_2, t)) / _one_minus_power(self.beta_1, t)
        m = first.value + (gradient - first.value) * (1.0 - self.beta_1)
        u = second.value + (ops.square(gradient) - second.value) * (1.0 - self.beta_2)
        self.assign(first, m)
        self.assign(second, u)
        if self.amsgrad:
            hat = self._velocity_hats[index]
            u = ops.maximum(hat.value, u)
            self.assign(hat, u)
        self.assign_sub(variable, m * self._alpha / (ops.sqrt(u) + self.epsilon))

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {
            **super().get_config(),
            "beta_1": self.beta_1,
            "beta_2": self.beta_2,
            "epsilon": self.epsilon,
            "amsgrad": self.amsgrad,
        }


def _one_minus_power(beta: float, step: Tensor) -> Tensor:
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
