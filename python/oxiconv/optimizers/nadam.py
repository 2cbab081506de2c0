"""Nadam."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from oxiconv import ops
from oxiconv.optimizers.adam import check_betas, moved, one_minus_power
from oxiconv.optimizers.optimizer import Optimizer
from oxiconv.variable import Variable

if TYPE_CHECKING:
    from oxiconv._core import Tensor


class Nadam(Optimizer):
    """Nadam (Dozat, 2016): Adam with Nesterov momentum, whose weight `b_t = beta_1 * (1 - 0.96**t / 2)` grows.

    `v -= lr * (b_{t+1} * m / (1 - p_{t+1}) + (1 - b_t) * g / (1 - p_t)) / (sqrt(u / (1 - beta_2**t)) + epsilon)`, with
    Adam's moments m and u, and `p_t` the product of all b up to t.

    Args:
        learning_rate, weight_decay, …, name: see `Optimizer`.
        beta_1, beta_2: decay of the moments, in [0, 1).
        epsilon: added to the root.

    Example:
        >>> import oxiconv
        >>> v = oxiconv.Variable(1.0)
        >>> nadam = oxiconv.optimizers.Nadam(learning_rate=0.5)
        >>> nadam.apply([oxiconv.ops.convert_to_tensor(3.0)], [v])
        >>> round(float(v), 3)
        0.469
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
        """Creates the two moments of each variable, and the product of momentum weights."""
        if self.built:
            return
        super().build(variables)
        self._momentums, self._velocities = self.add_optimizer_variables(variables, ["momentum", "velocity"])
        self._u_product = Variable(1.0, dtype="float32", trainable=False)

    def _backend_update_step(
        self, grads: list[Tensor], trainable_variables: list[Variable], learning_rate: Any
    ) -> None:
        self.assign(self._u_product, self._u_product.value * self._weight(0.0))
        super()._backend_update_step(grads, trainable_variables, learning_rate)

    def _weight(self, ahead: float) -> Tensor:
        return (1.0 - 0.5 * ops.power(0.96, self._time() + ahead)) * self.beta_1

    def _factors(self) -> tuple[Tensor, Tensor, Tensor]:
        """Of the moment, of the gradient, and of the second moment."""
        product, following = self._u_product.value, self._weight(1.0)
        return (
            following / (1.0 - product * following),
            (1.0 - self._weight(0.0)) / (1.0 - product),
            1.0 / one_minus_power(self.beta_2, self._time()),
        )

    def update_step(self, gradient: Tensor, variable: Variable, learning_rate: Tensor) -> None:
        """One update of one variable."""
        index = self._get_variable_index(variable)
        of_moment, of_gradient, of_square = self._once(self._factors)
        m = moved(self, self._momentums[index], gradient, self.beta_1)
        u = moved(self, self._velocities[index], ops.square(gradient), self.beta_2)
        step = (m * of_moment + gradient * of_gradient) * learning_rate
        self.assign_sub(variable, step / (ops.sqrt(u * of_square) + self.epsilon))
