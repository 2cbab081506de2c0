"""Adagrad."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from oxiconv import ops
from oxiconv.optimizers.optimizer import Optimizer

if TYPE_CHECKING:
    from oxiconv._core import Tensor
    from oxiconv.variable import Variable


class Adagrad(Optimizer):
    """Adagrad (Duchi et al., 2011): `a += g**2; v -= lr * g / sqrt(a + epsilon)`.

    Args:
        learning_rate, weight_decay, …, name: see `Optimizer`.
        initial_accumulator_value: where `a` begins.
        epsilon: added under the root.

    Example:
        >>> import oxiconv
        >>> v = oxiconv.Variable(1.0)
        >>> adagrad = oxiconv.optimizers.Adagrad(learning_rate=0.5, initial_accumulator_value=0.0)
        >>> adagrad.apply([oxiconv.ops.convert_to_tensor(3.0)], [v])
        >>> round(float(v), 4)
        0.5
    """

    config_fields = ("initial_accumulator_value", "epsilon")

    def __init__(
        self,
        learning_rate: Any = 0.001,
        initial_accumulator_value: float = 0.1,
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
        self.initial_accumulator_value = initial_accumulator_value
        self.epsilon = epsilon
        self._squares: list[Variable] = []

    def build(self, variables: Sequence[Variable]) -> None:
        """Creates the sum of squared gradients of each variable."""
        if self.built:
            return
        super().build(variables)
        start = filled(self.initial_accumulator_value)
        self._squares = self.add_optimizer_variables(variables, "accumulator", start)

    def update_step(self, gradient: Tensor, variable: Variable, learning_rate: Tensor) -> None:
        """One update of one variable."""
        squares = self._squares[self._get_variable_index(variable)]
        total = squares.value + ops.square(gradient)
        self.assign(squares, total)
        self.assign_sub(variable, gradient * learning_rate / ops.sqrt(total + self.epsilon))


def filled(value: float) -> Callable[..., Tensor]:
    """An initializer of slots that begin at `value`."""
    return lambda shape, dtype=None: ops.full(shape, value, dtype)
