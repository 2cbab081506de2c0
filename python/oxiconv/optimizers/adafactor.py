"""Adafactor."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from oxiconv import ops
from oxiconv.optimizers.optimizer import Optimizer

if TYPE_CHECKING:
    from oxiconv._core import Tensor
    from oxiconv.variable import Variable


class Adafactor(Optimizer):
    """Adafactor (Shazeer and Stern, 2018): second moments of matrices kept as a row times a column.

    Args:
        learning_rate, weight_decay, …, name: see `Optimizer`.
        beta_2_decay: the decay of the second moments is `1 - t**beta_2_decay`.
        epsilon_1: added to squared gradients.
        epsilon_2: least size of a variable for the step's length.
        clip_threshold: largest root mean square of a step, relative to the rate.
        relative_step: whether the rate is at most `1 / sqrt(t)`; not asked of schedules.

    Example:
        >>> import oxiconv
        >>> v = oxiconv.Variable([1.0])
        >>> adafactor = oxiconv.optimizers.Adafactor(learning_rate=0.5)
        >>> adafactor.apply([oxiconv.ops.convert_to_tensor([3.0])], [v])
        >>> v.numpy().round(4).tolist()
        [0.5]
    """

    config_fields = ("beta_2_decay", "epsilon_1", "epsilon_2", "clip_threshold", "relative_step")

    def __init__(
        self,
        learning_rate: Any = 0.001,
        beta_2_decay: float = -0.8,
        epsilon_1: float = 1e-30,
        epsilon_2: float = 0.001,
        clip_threshold: float = 1.0,
        relative_step: bool = True,
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
        self.beta_2_decay = beta_2_decay
        self.epsilon_1 = epsilon_1
        self.epsilon_2 = epsilon_2
        self.clip_threshold = clip_threshold
        self.relative_step = relative_step
        self._r: list[Variable] = []
        self._c: list[Variable] = []
        self._v: list[Variable] = []

    def build(self, variables: Sequence[Variable]) -> None:
        """Creates the row, the column and the second moment of each variable."""
        if self.built:
            return
        super().build(variables)
        for v in variables:
            # Vectors have no use for a row and a column, but Keras keeps a place for them in its files.
            shape, dtype = (tuple(v.shape), "float32") if len(v.shape) >= 2 else ((), "int32")
            self._r.append(self.add_variable(shape[:-1], dtype=dtype, name=v.name))
            self._c.append(self.add_variable(shape[:-2] + shape[-1:], dtype=dtype, name=v.name))
            self._v.append(self.add_variable_from_reference(v, "velocity"))

    def _forgetting(self) -> Tensor:
        return ops.power(self._time(), self.beta_2_decay)

    def _least_rate(self) -> Tensor:
        return ops.minimum(self._once(self._rate_now), ops.rsqrt(self._time()))

    def update_step(self, gradient: Tensor, variable: Variable, learning_rate: Tensor) -> None:
        """One update of one variable."""
        index = self._get_variable_index(variable)
        r, c, v = self._r[index], self._c[index], self._v[index]
        new = self._once(self._forgetting)
        square = ops.square(gradient) + self.epsilon_1
        if len(variable.shape) >= 2:
            rows = r.value * (1.0 - new) + ops.mean(square, axis=-1) * new
            columns = c.value * (1.0 - new) + ops.mean(square, axis=-2) * new
            self.assign(r, rows)
            self.assign(c, columns)
            relative = rows / ops.mean(rows, axis=-1, keepdims=True)
            moment = ops.expand_dims(relative, -1) * ops.expand_dims(columns, -2)
        else:
            moment = v.value * (1.0 - new) + square * new
        self.assign(v, moment)
        step = gradient / ops.sqrt(moment)
        step = step / ops.maximum(_root_mean_square(step) / self.clip_threshold, 1.0)
        length = ops.maximum(_root_mean_square(variable.value), self.epsilon_2) * self._once(self._least_rate)
        self.assign_sub(variable, step * length)


def _root_mean_square(x: Tensor) -> Tensor:
    return ops.sqrt(ops.mean(ops.square(x)))
