"""What the cells of recurrent layers share: weights, dropout, and an input product that needs no recursion."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar

from oxiconv import activations, constraints, initializers, ops, random, regularizers, tree
from oxiconv.layers.input_spec import InputSpec
from oxiconv.layers.layer import Layer
from oxiconv.random.seed import SeedGenerator
from oxiconv.tensor import Tensor


class RecurrentCell(Layer):
    """One step of a recurrent layer: `call(inputs, states)` gives the output and the new states.

    `call` is `step(project(inputs), states)`. `project` does not depend on states, so that a layer applies it to the
    whole sequence at once: one large product instead of one for each step.

    Weights are `kernel`, `recurrent_kernel` and `bias`, with the gates side by side along the last axis.
    """

    # How many blocks of the kernels' last axis there are.
    gates: ClassVar[int] = 1
    config_fields: ClassVar[tuple[str, ...]] = (
        "activation",
        "use_bias",
        "kernel_initializer",
        "recurrent_initializer",
        "bias_initializer",
        "kernel_regularizer",
        "recurrent_regularizer",
        "bias_regularizer",
        "kernel_constraint",
        "recurrent_constraint",
        "bias_constraint",
        "dropout",
        "recurrent_dropout",
        "seed",
    )

    state_size: Any
    kernel: Any
    recurrent_kernel: Any
    bias: Any

    def __init__(
        self,
        *,
        activation: Any,
        use_bias: bool,
        kernel_initializer: Any,
        recurrent_initializer: Any,
        bias_initializer: Any,
        kernel_regularizer: Any,
        recurrent_regularizer: Any,
        bias_regularizer: Any,
        kernel_constraint: Any,
        recurrent_constraint: Any,
        bias_constraint: Any,
        dropout: float,
        recurrent_dropout: float,
        seed: int | None,
        **kwargs: Any,
    ) -> None:
        implementation = kwargs.pop("implementation", 2)
        if implementation not in (1, 2):
            raise ValueError(f"{type(self).__name__}: expected implementation 1 or 2, got {implementation!r}")
        super().__init__(**kwargs)
        self.activation = activations.get(activation)
        self.use_bias = use_bias
        self.kernel_initializer = initializers.get(kernel_initializer)
        self.recurrent_initializer = initializers.get(recurrent_initializer)
        self.bias_initializer = initializers.get(bias_initializer)
        self.kernel_regularizer = regularizers.get(kernel_regularizer)
        self.recurrent_regularizer = regularizers.get(recurrent_regularizer)
        self.bias_regularizer = regularizers.get(bias_regularizer)
        self.kernel_constraint = constraints.get(kernel_constraint)
        self.recurrent_constraint = constraints.get(recurrent_constraint)
        self.bias_constraint = constraints.get(bias_constraint)
        self.dropout = min(1.0, max(0.0, dropout))
        self.recurrent_dropout = min(1.0, max(0.0, recurrent_dropout))
        # As in Keras: with dropout of states, and with implementation 1, each gate drops other elements.
        self.implementation = 1 if self.recurrent_dropout else implementation
        self.seed = seed
        self.seed_generator = SeedGenerator(seed)
        self._masks: dict[str, list[Tensor]] | None = None

    def add_kernels(
        self,
        kernel: Sequence[Any],
        recurrent_kernel: Sequence[Any],
        bias: Sequence[int],
        bias_initializer: Any = None,
    ) -> None:
        """Makes the weights of these shapes."""
        # What the kernel meets: the last axis, or the channels of images. From the end, so with a time axis, too.
        self.input_spec = InputSpec(axes={self.gate_axis: kernel[-2]})
        self.kernel = self.add_weight(
            kernel,
            self.kernel_initializer,
            regularizer=self.kernel_regularizer,
            constraint=self.kernel_constraint,
            name="kernel",
        )
        self.recurrent_kernel = self.add_weight(
            recurrent_kernel,
            self.recurrent_initializer,
            regularizer=self.recurrent_regularizer,
            constraint=self.recurrent_constraint,
            name="recurrent_kernel",
        )
        self.bias = None
        if self.use_bias:
            self.bias = self.add_weight(
                bias,
                bias_initializer or self.bias_initializer,
                regularizer=self.bias_regularizer,
                constraint=self.bias_constraint,
                name="bias",
            )

    # What a kind of cell defines.

    def product(self, x: Any, kernel: Any, recurrent: bool = False) -> Tensor:
        """The kernel applied to inputs or, if `recurrent`, to a state. Inputs may have a time axis after the first."""
        return ops.matmul(x, kernel)

    def join_bias(self, projected: Tensor) -> Tensor:
        """The input product with the bias."""
        return projected if self.bias is None else ops.add(projected, self.bias)

    def step(self, projected: Any, states: list[Any], training: bool) -> tuple[Any, list[Any]]:
        """The output and the new states, of what `project` made of the inputs."""
        raise NotImplementedError(f"{self._label}: expected a class that defines step")

    # The axis of the gates in a product, counted from the end so that a time axis does not matter.
    gate_axis: int = -1

    def project(self, inputs: Any, training: bool = False, time: bool = False) -> Any:
        """What the step needs of the inputs: of one step, or with `time` of all of them along axis 1."""
        masks = None
        if training and self.dropout:
            masks = self.dropout_masks("inputs", self.dropout, inputs[:, 0] if time else inputs)
            masks = [ops.expand_dims(m, 1) for m in masks] if time else masks
        return self.join_bias(self.gated_product(inputs, self.kernel, masks))

    def recurrent_product(self, state: Any, training: bool) -> Tensor:
        """The recurrent kernel applied to a state."""
        return self.gated_product(state, self.recurrent_kernel, self.state_masks(state, training), recurrent=True)

    def gated_product(self, x: Any, kernel: Any, masks: list[Tensor] | None, recurrent: bool = False) -> Tensor:
        """The kernel applied to `x`, of which each gate sees what its mask lets through."""
        if masks is None:
            return self.product(x, kernel, recurrent)
        if len(masks) == 1:
            return self.product(ops.multiply(x, masks[0]), kernel, recurrent)
        kernels = ops.split(kernel, len(masks), axis=-1)
        parts = [self.product(ops.multiply(x, m), k, recurrent) for m, k in zip(masks, kernels, strict=True)]
        return ops.concatenate(parts, axis=self.gate_axis)

    def call(self, inputs: Any, states: Any, training: bool = False) -> tuple[Any, Any]:
        """One step."""
        given = list(states) if tree.is_nested(states) else [states]
        output, new = self.step(self.project(inputs, training), given, training)
        return output, new if tree.is_nested(states) else new[0]

    def get_initial_state(self, batch_size: Any = None) -> list[Any]:
        """The states that a sequence begins with: zeros."""
        return [ops.zeros((batch_size, size), self.compute_dtype) for size in tree.flatten(self.state_size)]

    # Dropout.

    def state_masks(self, state: Any, training: bool) -> list[Tensor] | None:
        """Factors for a state; None without dropout."""
        dropped = training and self.recurrent_dropout
        return self.dropout_masks("states", self.recurrent_dropout, state) if dropped else None

    def dropout_masks(self, what: str, rate: float, like: Any) -> list[Tensor]:
        """Factors for `what`, one per gate or one for all; the same for all steps of a sequence."""
        if self._masks is not None and what in self._masks:
            return self._masks[what]
        count = self.gates if self.implementation == 1 else 1
        ones = ops.ones_like(like)
        masks = [random.dropout(ones, rate, seed=self.seed_generator) for _ in range(count)]
        if self._masks is not None:
            self._masks[what] = masks
        return masks

    @contextmanager
    def one_sequence(self) -> Iterator[None]:
        """Within, all steps have the same dropout."""
        self._masks = {}
        try:
            yield
        finally:
            self._masks = None


def shared(arguments: dict[str, Any]) -> dict[str, Any]:
    """Of the `locals()` of a cell's constructor, the arguments that all cells have."""
    return {**{name: arguments[name] for name in RecurrentCell.config_fields}, **arguments["kwargs"]}


def forget_bias(initializer: Any, units: int) -> Any:
    """An initializer of a bias for four gates: that of `initializer`, but ones for the forget gate."""

    def initialize(shape: Any, dtype: Any = None) -> Tensor:
        first = initializer((units,), dtype=dtype)
        rest = initializer((2 * units,), dtype=dtype)
        return ops.concatenate([first, ops.ones((units,), dtype or "float32"), rest])

    return initialize
