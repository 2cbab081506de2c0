"""Convolutional long short-term memory, for sequences of signals, images and volumes."""

from __future__ import annotations

from typing import Any, ClassVar

from oxiconv import activations, ops
from oxiconv.layers.input_spec import InputSpec
from oxiconv.layers.rnn.cell import RecurrentCell, forget_bias, shared
from oxiconv.layers.rnn.rnn import CellRNN
from oxiconv.ops.convolution import data_format_of, paddings, positive, tuple_of
from oxiconv.tensor import ShapeError, Tensor


class ConvLSTMCell(RecurrentCell):
    """One step of long short-term memory with convolutions for products (Shi et al. 2015).

    The state's convolution has stride 1 and padding "same", so that its size stays.
    """

    gates = 4
    config_fields: ClassVar[tuple[str, ...]] = (
        "filters",
        "kernel_size",
        "strides",
        "padding",
        "data_format",
        "dilation_rate",
        "recurrent_activation",
        "unit_forget_bias",
    )

    def __init__(
        self,
        rank: int,
        filters: int,
        kernel_size: Any,
        strides: Any = 1,
        padding: str = "valid",
        data_format: str | None = None,
        dilation_rate: Any = 1,
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
        self.implementation = 1  # each gate drops other elements
        self.rank = rank
        self.filters = positive(filters, self._label, "filters")
        self.kernel_size = tuple_of(kernel_size, rank, self._label, "kernel_size")
        self.strides = tuple_of(strides, rank, self._label, "strides")
        self.padding = str(padding).lower()
        if self.padding not in ("valid", "same"):
            raise ValueError(f"{self._label}: expected padding 'valid' or 'same', got {padding!r}")
        self.data_format = data_format_of(data_format, self._label)
        self.dilation_rate = tuple_of(dilation_rate, rank, self._label, "dilation_rate")
        if max(self.strides) > 1 and max(self.dilation_rate) > 1:
            raise ValueError(
                f"{self._label}: expected strides or dilation_rate of 1, got {strides} and {dilation_rate}"
            )
        self.recurrent_activation = activations.get(recurrent_activation)
        self.unit_forget_bias = unit_forget_bias
        self.gate_axis = -1 if self.data_format == "channels_last" else -1 - rank
        self.state_size = [self.filters, self.filters]
        self._input_shape: tuple[Any, ...] = ()

    def build(self, inputs_shape: Any, states_shape: Any = None) -> None:
        """Makes kernel `[kernel.., channels, 4 * filters]`, recurrent kernel and bias, for inputs of one step."""
        if any(n is None for n in inputs_shape[1:]):
            raise ShapeError(f"{self._label}: build: expected known sizes beside the batch, got {tuple(inputs_shape)}")
        self._input_shape = tuple(inputs_shape[1:])
        wide = 4 * self.filters
        initializer = forget_bias(self.bias_initializer, self.filters) if self.unit_forget_bias else None
        self.add_kernels(
            (*self.kernel_size, inputs_shape[self.gate_axis], wide),
            (*self.kernel_size, self.filters, wide),
            (wide,),
            initializer,
        )

    def product(self, x: Any, kernel: Any, recurrent: bool = False) -> Tensor:
        """The convolution; with a time axis, of all steps as one batch."""
        if recurrent:
            return ops.conv(x, kernel, 1, "same", self.data_format)
        lead = x.shape[: x.ndim - self.rank - 1]
        if len(lead) == 2:
            x = ops.reshape(x, (lead[0] * lead[1], *x.shape[2:]))
        y = ops.conv(x, kernel, self.strides, self.padding, self.data_format, self.dilation_rate)
        return ops.reshape(y, (*lead, *y.shape[1:])) if len(lead) == 2 else y

    def join_bias(self, projected: Tensor) -> Tensor:
        """The convolution with the bias."""
        if self.bias is None:
            return projected
        return ops.add(projected, ops.reshape(self.bias, (-1, *[1] * (-1 - self.gate_axis))))

    def step(self, projected: Any, states: list[Any], training: bool) -> tuple[Any, list[Any]]:
        """The output and the new states."""
        state, carry = states
        gates = ops.add(projected, self.recurrent_product(state, training))
        i, f, c, o = ops.split(gates, 4, axis=self.gate_axis)
        kept = ops.multiply(self.recurrent_activation(f), carry)
        carry = ops.add(kept, ops.multiply(self.recurrent_activation(i), self.activation(c)))
        output = ops.multiply(self.recurrent_activation(o), self.activation(carry))
        return output, [output, carry]

    def result_shape(self, shape: Any) -> tuple[Any, ...]:
        """The shape of output and states for the shape of one step's inputs."""
        last = self.data_format == "channels_last"
        sizes = shape[1:-1] if last else shape[2:]
        known = [0 if n is None else n for n in sizes]
        low, high = paddings(self.padding, known, self.kernel_size, self.strides, self.dilation_rate, self._label)
        after = []
        for a, n in enumerate(sizes):
            span = (self.kernel_size[a] - 1) * self.dilation_rate[a] + 1
            after.append(None if n is None else (n + low[a] + high[a] - span) // self.strides[a] + 1)
        return (shape[0], *after, self.filters) if last else (shape[0], self.filters, *after)

    def compute_output_shape(self, inputs_shape: Any, states_shape: Any = None) -> Any:
        """The shapes of the output and of the states."""
        shape = self.result_shape(inputs_shape)
        return shape, [shape, shape]

    def get_initial_state(self, batch_size: Any = None) -> list[Any]:
        """Zeros, twice."""
        shape = self.result_shape((batch_size, *self._input_shape))
        return [ops.zeros(shape, self.compute_dtype) for _ in range(2)]


class ConvLSTM(CellRNN):
    """The base of convolutional long short-term memory layers."""

    cell_class = ConvLSTMCell

    def _make_cell(self, **arguments: Any) -> ConvLSTMCell:
        return ConvLSTMCell(self.rank, **arguments)

    def compute_output_shape(self, sequences_shape: Any, initial_state_shape: Any = None) -> Any:
        """The shape of the outputs, and of the states if they are returned."""
        batch, time = sequences_shape[:2]
        state = self.cell.result_shape((batch, *sequences_shape[2:]))
        shape = (batch, time, *state[1:]) if self.return_sequences else state
        return (shape, state, state) if self.return_state else shape

    # Axes of the signal; the layers for users set it.
    rank: ClassVar[int]

    def __init__(
        self,
        filters: int,
        kernel_size: Any,
        strides: Any = 1,
        padding: str = "valid",
        data_format: str | None = None,
        dilation_rate: Any = 1,
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
        **kwargs: Any,
    ) -> None:
        super().__init__(locals())
        self.input_spec = InputSpec(ndim=self.rank + 3)


class ConvLSTM1D(ConvLSTM):
    """Convolutional long short-term memory over sequences of signals, `[n, time, size, channels]`.

    Args: see `ConvLSTM2D`.
    """

    rank = 1


class ConvLSTM2D(ConvLSTM):
    """Convolutional long short-term memory over sequences of images, `[n, time, rows, columns, channels]`.

    Args:
        filters: channels of output and states.
        kernel_size: of both convolutions.
        strides: of the inputs' convolution.
        padding: "valid" or "same", of the inputs' convolution; the state's has "same".
        data_format: "channels_last" or "channels_first"; None is the configured one.
        dilation_rate: of the inputs' convolution.
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
        return_state: whether to return the last states, too.
        go_backwards: whether to go from the last step to the first.
        stateful: whether a batch begins with the states that the one before ended with.
        **kwargs: those of `RNN`.

    Example:
        >>> import numpy as np
        >>> ConvLSTM2D(4, 3, padding="same", return_sequences=True)(np.zeros((1, 5, 8, 8, 2))).shape
        (1, 5, 8, 8, 4)
    """

    rank = 2


class ConvLSTM3D(ConvLSTM):
    """Convolutional long short-term memory over sequences of volumes, `[n, time, depth, rows, columns, channels]`.

    Args: see `ConvLSTM2D`.
    """

    rank = 3
