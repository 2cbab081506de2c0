"""Muon."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from oxiconv import ops
from oxiconv.optimizers.adam import moved, one_minus_power
from oxiconv.optimizers.optimizer import Optimizer

if TYPE_CHECKING:
    from oxiconv._core import Tensor
    from oxiconv.variable import Variable


class Muon(Optimizer):
    """Muon (Jordan et al., 2024): the momentum of a matrix, made orthogonal; AdamW for all other variables.

    Args:
        learning_rate, weight_decay, …, name: see `Optimizer`.
        adam_beta_1, adam_beta_2, epsilon: of Adam.
        adam_weight_decay: weight decay of the variables that Adam updates.
        exclude_layers: regular expressions of paths that Adam updates.
        exclude_embeddings: whether Adam updates paths with "embedding".
        muon_a, muon_b, muon_c: of the iteration `x = a x + (b y + c y y) x`, `y = x x'`, towards orthogonal matrices.
        adam_lr_ratio: Adam's learning rate over Muon's.
        momentum: of Muon.
        ns_steps: how often the iteration is made.
        nesterov: whether Muon looks ahead.
        rms_rate: size of the updates, times the root of the larger side; None for none.

    Example:
        >>> import oxiconv
        >>> v = oxiconv.Variable([[1.0, 2.0]])
        >>> muon = oxiconv.optimizers.Muon(learning_rate=1.0, weight_decay=None)
        >>> muon.apply([oxiconv.ops.convert_to_tensor([[3.0, 4.0]])], [v])
        >>> bool(v.numpy()[0, 0] < 1.0)
        True
    """

    config_fields = (
        "adam_beta_1",
        "adam_beta_2",
        "epsilon",
        "exclude_layers",
        "muon_a",
        "muon_b",
        "muon_c",
        "adam_lr_ratio",
        "momentum",
        "ns_steps",
        "nesterov",
        "exclude_embeddings",
        "adam_weight_decay",
        "rms_rate",
    )

    def __init__(
        self,
        learning_rate: Any = 0.001,
        adam_beta_1: float = 0.9,
        adam_beta_2: float = 0.999,
        adam_weight_decay: float | None = 0.004,
        epsilon: float = 1e-7,
        weight_decay: float | None = 0.004,
        clipnorm: float | None = None,
        clipvalue: float | None = None,
        global_clipnorm: float | None = None,
        use_ema: bool = False,
        ema_momentum: float = 0.99,
        ema_overwrite_frequency: int | None = None,
        loss_scale_factor: float | None = None,
        gradient_accumulation_steps: int | None = None,
        name: str | None = None,
        exclude_layers: Sequence[str] | None = None,
        exclude_embeddings: bool = True,
        muon_a: float = 3.4445,
        muon_b: float = -4.775,
        muon_c: float = 2.0315,
        adam_lr_ratio: float = 1,
        momentum: float = 0.95,
        ns_steps: int = 5,
        nesterov: bool = True,
        rms_rate: float | None = 0.2,
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
        self.adam_beta_1 = adam_beta_1
        self.adam_beta_2 = adam_beta_2
        self.adam_weight_decay = adam_weight_decay
        self.epsilon = epsilon
        self.exclude_layers = list(exclude_layers or ())
        self.exclude_embeddings = exclude_embeddings
        self.muon_a = muon_a
        self.muon_b = muon_b
        self.muon_c = muon_c
        self.adam_lr_ratio = adam_lr_ratio
        self.momentum = momentum
        self.ns_steps = ns_steps
        self.nesterov = nesterov
        self.rms_rate = rms_rate
        self.momentums: list[Variable] = []
        self.adam_velocities: list[Variable | None] = []

    def _should_use_adamw(self, variable: Variable) -> bool:
        embedding = self.exclude_embeddings and "embedding" in variable.path.lower()
        excluded = any(re.search(pattern, variable.path) for pattern in self.exclude_layers)
        return len(variable.shape) != 2 or embedding or excluded

    def build(self, variables: Sequence[Variable]) -> None:
        """Creates the momentum of each variable, and Adam's second moment of those that it updates."""
        if self.built:
            return
        super().build(variables)
        for v in variables:
            self.momentums.append(self.add_variable_from_reference(v, "momentum"))
            adam = self._should_use_adamw(v)
            self.adam_velocities.append(self.add_variable_from_reference(v, "velocity") if adam else None)

    def _decay_of(self, variable: Variable) -> float | None:
        return self.adam_weight_decay if self._should_use_adamw(variable) else self.weight_decay

    def _correction(self) -> Tensor:
        t = self._time()
        return ops.sqrt(one_minus_power(self.adam_beta_2, t)) / one_minus_power(self.adam_beta_1, t)

    def update_step(self, gradient: Tensor, variable: Variable, learning_rate: Tensor) -> None:
        """One update of one variable."""
        index = self._get_variable_index(variable)
        slot, velocity = self.momentums[index], self.adam_velocities[index]
        if velocity is not None:
            m = moved(self, slot, gradient, self.adam_beta_1)
            u = moved(self, velocity, ops.square(gradient), self.adam_beta_2)
            alpha = learning_rate * self.adam_lr_ratio * self._once(self._correction)
            self.assign_sub(variable, m * alpha / (ops.sqrt(u) + self.epsilon))
            return
        m = slot.value * self.momentum + gradient
        self.assign(slot, m)
        step = self.zeropower_via_newtonschulz5(gradient + m * self.momentum if self.nesterov else m, self.ns_steps)
        if self.rms_rate is not None:
            step = step * (max(variable.shape) ** 0.5 * self.rms_rate)
        self.assign_sub(variable, step * learning_rate)

    def zeropower_via_newtonschulz5(self, x: Tensor, steps: int) -> Tensor:
        """A matrix with the singular vectors of `x` and singular values near 1."""
        tall = x.shape[-2] > x.shape[-1]
        x = ops.transpose(x) if tall else x
        x = x / (ops.sqrt(ops.sum(ops.square(x))) + 1e-7)
        for _ in range(steps):
            y = ops.matmul(x, ops.transpose(x))
            x = x * self.muon_a + ops.matmul(y * self.muon_b + ops.matmul(y, y) * self.muon_c, x)
        return ops.transpose(x) if tall else x
