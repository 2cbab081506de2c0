"""The gated recurrent unit."""

from __future__ import annotations

from typing import Any, ClassVar

from oxiconv import activations, ops
from oxiconv.layers.rnn.cell import RecurrentCell, shared
from oxiconv.layers.rnn.rnn import CellRNN
from oxiconv.ops.convolution import positive
from oxiconv.tensor import Tensor


class GRUCell(RecurrentCell):
    """One step of the gated recurrent unit (Cho et al. 2014). The output is the state.

    Args: see `GRU`.

    Example:
        >>> import numpy as np
        >>> output, state = GRUCell(3)(np.ones((2, 4)), np.zeros((2, 3)))
        >>> output.shape, state.shape
        ((2, 3), (2, 3))
    """

    gates = 3
    config_fields: ClassVar[tuple[str, ...]] = ("units", "recurrent_activation", "reset_after")

    def __init__(
        self,
        units: int,
        activation: Any = "tanh",
        recurrent_activation: Any = "sigmoid",
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        recurrent_initializer: Any = "orthogonal",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        recurrent_regularizer: Any = None,
        bias_regularizer: Any = None,
        kernel_constraint: Any = None,
        recurrent_constraint: Any = None,
        bias_constraint: Any = None,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        reset_after: bool = True,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**shared(locals()))
        self.units = positive(units, self._label, "units")
        self.recurrent_activation = activations.get(recurrent_activation)
        self.reset_after = reset_after
        self.state_size = self.output_size = self.units

    def build(self, input_shape: Any) -> None:
        """Makes kernel `[features, 3 * units]`, recurrent kernel and bias (`[2, 3 * units]` with `reset_after`)."""
        wide = 3 * self.units
        self.add_kernels((input_shape[-1], wide), (self.units, wide), (2, wide) if self.reset_after else (wide,))

    def join_bias(self, projected: Tensor) -> Tensor:
        """The input product with its bias."""
        if self.bias is None:
            return projected
        return ops.add(projected, self.bias[0] if self.reset_after else self.bias)

    def step(self, projected: Any, states: list[Any], training: bool) -> tuple[Any, list[Any]]:
        """The output, which is the new state."""
        state, units = states[0], self.units
        x_z, x_r, x_h = ops.split(projected, 3, axis=-1)
        if self.reset_after:
            inner = self.recurrent_product(state, training)
            if self.bias is not None:
                inner = ops.add(inner, self.bias[1])
            h_z, h_r, h_h = ops.split(inner, 3, axis=-1)
            update = self.recurrent_activation(ops.add(x_z, h_z))
            reset = self.recurrent_activation(ops.add(x_r, h_r))
            inner = ops.multiply(reset, h_h)
        else:
            masks = self.state_masks(state, training)
            gates, last = ops.split(self.recurrent_kernel, [2 * units], axis=-1)
            h_z, h_r = ops.split(self.gated_product(state, gates, masks and masks[:2]), 2, axis=-1)
            update = self.recurrent_activation(ops.add(x_z, h_z))
            reset = self.recurrent_activation(ops.add(x_r, h_r))
            inner = self.gated_product(ops.multiply(reset, state), last, masks and masks[2:])
        candidate = self.activation(ops.add(x_h, inner))
        output = ops.add(ops.multiply(update, state), ops.multiply(ops.subtract(1.0, update), candidate))
        return output, [output]


class GRU(CellRNN):
    """The gated recurrent unit (Cho et al. 2014).

    Args:
        units: size of output and state.
        activation: of the candidate state.
        recurrent_activation: of the gates.
        use_bias: whether to add a bias.
        kernel_initializer: of the kernel for the inputs.
        recurrent_initializer: of the kernel for the state.
        bias_initializer: of the bias.
        kernel_regularizer: penalty on the kernel for the inputs.
        recurrent_regularizer: penalty on the kernel for the state.
        bias_regularizer: penalty on the bias.
        activity_regularizer: penalty on the outputs.
        kernel_constraint: applied to the kernel for the inputs after each step.
        recurrent_constraint: applied to the kernel for the state after each step.
        bias_constraint: applied to the bias after each step.
        dropout: share of the inputs set to 0 in training, the same for all steps.
        recurrent_dropout: share of the state set to 0 in training, the same for all steps.
        seed: of the dropout.
        return_sequences: whether to return all outputs rather than the last.
        return_state: whether to return the last state, too.
        go_backwards: whether to go from the last step to the first.
        stateful: whether a batch begins with the states that the one before ended with.
        unroll: accepted for Keras compatibility: steps are always written out.
        reset_after: whether the reset gate multiplies the recurrent product rather than the state before it.
        use_cudnn: accepted for Keras compatibility.
        **kwargs: those of `RNN`.

    Example:
        >>> import numpy as np
        >>> GRU(4, return_sequences=True)(np.zeros((2, 5, 3))).shape
        (2, 5, 4)
    """

    cell_class = GRUCell

    def __init__(
        self,
        units: int,
        activation: Any = "tanh",
        recurrent_activation: Any = "sigmoid",
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        recurrent_initializer: Any = "orthogonal",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        recurrent_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        kernel_constraint: Any = None,
        recurrent_constraint: Any = None,
        bias_constraint: Any = None,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        seed: int | None = None,
        return_sequences: bool = False,
        return_state: bool = False,
        go_backwards: bool = False,
        stateful: bool = False,
        unroll: bool = False,
        reset_after: bool = True,
        use_cudnn: Any = "auto",
        **kwargs: Any,
    ) -> None:
        super().__init__(locals())
