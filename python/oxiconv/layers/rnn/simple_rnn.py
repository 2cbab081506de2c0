"""The fully connected recurrent layer."""

from __future__ import annotations

from typing import Any, ClassVar

from oxiconv import ops
from oxiconv.layers.rnn.cell import RecurrentCell, shared
from oxiconv.layers.rnn.rnn import CellRNN
from oxiconv.ops.convolution import positive


class SimpleRNNCell(RecurrentCell):
    """`activation(inputs @ kernel + bias + state @ recurrent_kernel)`, which is output and new state.

    Args: see `SimpleRNN`.

    Example:
        >>> import numpy as np
        >>> output, state = SimpleRNNCell(3)(np.ones((2, 4)), [np.zeros((2, 3))])
        >>> output.shape, len(state)
        ((2, 3), 1)
    """

    config_fields: ClassVar[tuple[str, ...]] = ("units",)

    def __init__(
        self,
        units: int,
        activation: Any = "tanh",
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
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**shared(locals()))
        self.units = positive(units, self._label, "units")
        self.state_size = self.output_size = self.units

    def build(self, input_shape: Any) -> None:
        """Makes kernel `[features, units]`, recurrent kernel `[units, units]` and bias."""
        self.add_kernels((input_shape[-1], self.units), (self.units, self.units), (self.units,))

    def step(self, projected: Any, states: list[Any], training: bool) -> tuple[Any, list[Any]]:
        """The output, which is the new state."""
        output = self.activation(ops.add(projected, self.recurrent_product(states[0], training)))
        return output, [output]


class SimpleRNN(CellRNN):
    """A recurrent layer whose output is fed back: `h = activation(x @ kernel + bias + h @ recurrent_kernel)`.

    Args:
        units: size of output and state.
        activation: function of the sum.
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
        **kwargs: those of `RNN`.

    Example:
        >>> import numpy as np
        >>> SimpleRNN(4, return_sequences=True)(np.zeros((2, 5, 3))).shape
        (2, 5, 4)
    """

    cell_class = SimpleRNNCell

    def __init__(
        self,
        units: int,
        activation: Any = "tanh",
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
        return_sequences: bool = False,
        return_state: bool = False,
        go_backwards: bool = False,
        stateful: bool = False,
        unroll: bool = False,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(locals())

    def get_config(self) -> dict[str, Any]:
        """The arguments that make an equal layer; Keras writes no seed here."""
        config = super().get_config()
        del config["seed"]
        return config
