"""Long short-term memory."""

from __future__ import annotations

from typing import Any, ClassVar

from oxiconv import activations, ops
from oxiconv.layers.rnn.cell import RecurrentCell, forget_bias, shared
from oxiconv.layers.rnn.rnn import CellRNN
from oxiconv.ops.convolution import positive


class LSTMCell(RecurrentCell):
    """One step of long short-term memory (Hochreiter and Schmidhuber 1997). States are the output and the carry.

    Args: see `LSTM`.

    Example:
        >>> import numpy as np
        >>> output, states = LSTMCell(3)(np.ones((2, 4)), [np.zeros((2, 3)), np.zeros((2, 3))])
        >>> output.shape, len(states)
        ((2, 3), 2)
    """

    gates = 4
    config_fields: ClassVar[tuple[str, ...]] = ("units", "recurrent_activation", "unit_forget_bias")

    def __init__(
        self,
        units: int,
        activation: Any = "tanh",
        recurrent_activation: Any = "sigmoid",
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        recurrent_initializer: Any = "orthogonal",
        bias_initializer: Any = "zeros",
        unit_forget_bias: bool = True,
        kernel_regularizer: Any = None,
        recurrent_regularizer: Any = None,
        bias_regularizer: Any = None,
        kernel_constraint: Any = None,
        recurrent_constraint: Any = None,
        bias_constraint: Any = None,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**shared(locals()))
        self.units = positive(units, self._label, "units")
        self.recurrent_activation = activations.get(recurrent_activation)
        self.unit_forget_bias = unit_forget_bias
        self.state_size = [self.units, self.units]
        self.output_size = self.units

    def build(self, input_shape: Any) -> None:
        """Makes kernel `[features, 4 * units]`, recurrent kernel and bias: input, forget, carry and output gate."""
        wide = 4 * self.units
        initializer = forget_bias(self.bias_initializer, self.units) if self.unit_forget_bias else None
        self.add_kernels((input_shape[-1], wide), (self.units, wide), (wide,), initializer)

    def step(self, projected: Any, states: list[Any], training: bool) -> tuple[Any, list[Any]]:
        """The output and the new states."""
        state, carry = states
        gates = ops.add(projected, self.recurrent_product(state, training))
        i, f, c, o = ops.split(gates, 4, axis=self.gate_axis)
        kept = ops.multiply(self.recurrent_activation(f), carry)
        carry = ops.add(kept, ops.multiply(self.recurrent_activation(i), self.activation(c)))
        output = ops.multiply(self.recurrent_activation(o), self.activation(carry))
        return output, [output, carry]


class LSTM(CellRNN):
    """Long short-term memory (Hochreiter and Schmidhuber 1997).

    Args:
        units: size of output and states.
        activation: of the carry's new part, and of the carry for the output.
        recurrent_activation: of the gates.
        use_bias: whether to add a bias.
        kernel_initializer: of the kernel for the inputs.
        recurrent_initializer: of the kernel for the state.
        bias_initializer: of the bias.
        unit_forget_bias: whether the forget gate's bias starts as ones.
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
        use_cudnn: accepted for Keras compatibility.
        **kwargs: those of `RNN`.

    Example:
        >>> import numpy as np
        >>> output, state, carry = LSTM(4, return_sequences=True, return_state=True)(np.zeros((2, 5, 3)))
        >>> output.shape, state.shape, carry.shape
        ((2, 5, 4), (2, 4), (2, 4))
    """

    cell_class = LSTMCell

    def __init__(
        self,
        units: int,
        activation: Any = "tanh",
        recurrent_activation: Any = "sigmoid",
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        recurrent_initializer: Any = "orthogonal",
        bias_initializer: Any = "zeros",
        unit_forget_bias: bool = True,
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
        use_cudnn: Any = "auto",
        **kwargs: Any,
    ) -> None:
        super().__init__(locals())
