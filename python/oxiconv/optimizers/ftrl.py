"""FTRL."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from oxiconv import ops
from oxiconv.optimizers.adagrad import filled
from oxiconv.optimizers.optimizer import Optimizer

if TYPE_CHECKING:
    from oxiconv._core import Tensor
    from oxiconv.variable import Variable


class Ftrl(Optimizer):
    """Follow the regularized leader (McMahan et al., 2013): many weights become exactly 0.

    With `s = 2 * l2_shrinkage * v + g`, `b = a + g**2`, `p = -learning_rate_power`:
    `z += s - (b**p - a**p) / lr * v`, `v = (clip(z, -l1, l1) - z) / (b**p / lr + 2 * l2 + beta / lr)`, `a = b`.

    Args:
        learning_rate, weight_decay, …, name: see `Optimizer`.
        learning_rate_power: at most 0; 0 is a fixed rate.
        initial_accumulator_value: where the sum of squares `a` begins, at least 0.
        l1_regularization_strength, l2_regularization_strength: at least 0.
        l2_shrinkage_regularization_strength: a penalty on the size of the gradient's steps, at least 0.
        beta: of the paper.

    Example:
        >>> import oxiconv
        >>> v = oxiconv.Variable(0.0)
        >>> ftrl = oxiconv.optimizers.Ftrl(1.0, initial_accumulator_value=0.0, l1_regularization_strength=3.0)
        >>> ftrl.apply([oxiconv.ops.convert_to_tensor(4.0)], [v])
        >>> float(v)
        -0.25
    """

    config_fields = (
        "learning_rate_power",
        "initial_accumulator_value",
        "l1_regularization_strength",
        "l2_regularization_strength",
        "l2_shrinkage_regularization_strength",
        "beta",
    )

    def __init__(
        self,
        learning_rate: Any = 0.001,
        learning_rate_power: float = -0.5,
        initial_accumulator_value: float = 0.1,
        l1_regularization_strength: float = 0.0,
        l2_regularization_strength: float = 0.0,
        l2_shrinkage_regularization_strength: float = 0.0,
        beta: float = 0.0,
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
        self.learning_rate_power = learning_rate_power
        self.initial_accumulator_value = initial_accumulator_value
        self.l1_regularization_strength = l1_regularization_strength
        self.l2_regularization_strength = l2_regularization_strength
        self.l2_shrinkage_regularization_strength = l2_shrinkage_regularization_strength
        self.beta = beta
        if learning_rate_power > 0:
            raise ValueError(f"Ftrl: learning_rate_power must be at most 0, got {learning_rate_power!r}.")
        for field in self.config_fields[1:-1]:
            if getattr(self, field) < 0:
                raise ValueError(f"Ftrl: {field} must be at least 0, got {getattr(self, field)!r}.")
        self._squares: list[Variable] = []
        self._linears: list[Variable] = []

    def build(self, variables: Sequence[Variable]) -> None:
        """Creates the sum of squares and the linear term of each variable."""
        if self.built:
            return
        super().build(variables)
        self._squares, self._linears = self.add_optimizer_variables(
            variables, ["accumulator", "linear"], [filled(self.initial_accumulator_value), "zeros"]
        )

    def update_step(self, gradient: Tensor, variable: Variable, learning_rate: Tensor) -> None:
        """One update of one variable."""
        index = self._get_variable_index(variable)
        squares, linear = self._squares[index], self._linears[index]
        shrunk = gradient + variable.value * (2.0 * self.l2_shrinkage_regularization_strength)
        total = squares.value + ops.square(gradient)
        before, after = (ops.power(x, -self.learning_rate_power) for x in (squares.value, total))
        z = linear.value + shrunk - (after - before) / learning_rate * variable.value
        l1, l2 = self.l1_regularization_strength, self.l2_regularization_strength
        divisor = (after + self.beta) / learning_rate + 2.0 * l2
        self.assign(squares, total)
        self.assign(linear, z)
        self.assign(variable, (ops.clip(z, -l1, l1) - z) / divisor)
