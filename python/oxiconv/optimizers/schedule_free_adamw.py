"""Schedule-free AdamW."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from oxiconv import ops
from oxiconv.optimizers.adam import check_betas, moved, one_minus_power
from oxiconv.optimizers.optimizer import Optimizer

if TYPE_CHECKING:
    from oxiconv._core import Tensor
    from oxiconv.variable import Variable


class ScheduleFreeAdamW(Optimizer):
    """Schedule-free Adam (Defazio et al., 2024): averaging in place of a learning rate schedule.

    The formulas of the paper. Keras with TensorFlow or PyTorch reads the base point after it was moved where the paper
    wants it as it was before; its results differ from the second step on.

    Args:
        learning_rate, weight_decay, …, name: see `Optimizer`.
        beta_1: weight of the average in the point where gradients are taken, in (0, 1).
        beta_2: decay of the second moment, in [0, 1).
        epsilon: added to the root.
        warmup_steps: steps in which the learning rate grows linearly.

    Example:
        >>> import oxiconv
        >>> v = oxiconv.Variable(1.0)
        >>> optimizer = oxiconv.optimizers.ScheduleFreeAdamW(learning_rate=0.5)
        >>> optimizer.apply([oxiconv.ops.convert_to_tensor(3.0)], [v])
        >>> round(float(v), 4)
        0.5
    """

    config_fields = ("beta_1", "beta_2", "epsilon", "warmup_steps")

    def __init__(
        self,
        learning_rate: Any = 0.0025,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        warmup_steps: int = 0,
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
        if beta_1 == 0:
            raise ValueError("ScheduleFreeAdamW: beta_1 must be above 0: the average is found by dividing by it.")
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.epsilon = epsilon
        self.warmup_steps = warmup_steps
        self._momentums: list[Variable] = []
        self._velocities: list[Variable] = []

    def build(self, variables: Sequence[Variable]) -> None:
        """Creates the base point of each variable, which begins where it is, and its second moment."""
        if self.built:
            return
        super().build(variables)
        for v in variables:
            self._momentums.append(self.add_variable_from_reference(v, "momentum", lambda shape, dtype, v=v: v.value))
            self._velocities.append(self.add_variable_from_reference(v, "velocity"))

    def _correction(self) -> Tensor:
        return one_minus_power(self.beta_2, self._time())

    def update_step(self, gradient: Tensor, variable: Variable, learning_rate: Tensor) -> None:
        """One update of one variable."""
        index = self._get_variable_index(variable)
        base, t = self._momentums[index], self._time()
        u = moved(self, self._velocities[index], ops.square(gradient), self.beta_2)
        if self.warmup_steps > 0:
            learning_rate = learning_rate * ops.minimum(t / float(self.warmup_steps), 1.0)
        before = base.value
        after = before - gradient * learning_rate / (ops.sqrt(u / self._once(self._correction)) + self.epsilon)
        self.assign(base, after)
        average = (variable.value - before * (1.0 - self.beta_1)) / self.beta_1
        average = average + (after - average) / t
        self.assign(variable, after * (1.0 - self.beta_1) + average * self.beta_1)
