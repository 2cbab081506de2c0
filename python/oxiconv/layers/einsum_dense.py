"""A dense layer over any axes."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Any, ClassVar

from oxiconv import activations, constraints, initializers, ops, regularizers
from oxiconv.layers.input_spec import InputSpec
from oxiconv.layers.layer import Layer
from oxiconv.tensor import ShapeError, Tensor


class EinsumDense(Layer):
    """`activation(einsum(equation, inputs, kernel) + bias)`.

    Args:
        equation: such as "abc,cde->abde": axes of the inputs, of the kernel and of the result. Leading or trailing
            axes of inputs and result may be "...".
        output_shape: sizes of the result without the batch; None where they are the inputs'.
        activation: function of the result.
        bias_axes: letters of the result along which the bias varies; None for no bias.
        kernel_initializer: of the kernel.
        bias_initializer: of the bias.
        kernel_regularizer: penalty on the kernel.
        bias_regularizer: penalty on the bias.
        kernel_constraint: applied to the kernel after each step.
        bias_constraint: applied to the bias after each step.
        lora_rank: must be None: low-rank updates are in `Embedding` alone.
        lora_alpha: must be None.
        gptq_unpacked_column_size: must be None: quantized kernels are absent.
        quantization_config: must be None: quantized kernels are absent.
        **kwargs: those of `Layer`.

    Example:
        >>> import numpy as np
        >>> layer = EinsumDense("...x,xy->...y", output_shape=4, bias_axes="y")
        >>> layer(np.zeros((2, 5, 3))).shape, [w.shape for w in layer.weights]
        ((2, 5, 4), [(3, 4), (4,)])
    """

    config_fields: ClassVar[tuple[str, ...]] = (
        "equation",
        "activation",
        "bias_axes",
        "kernel_initializer",
        "bias_initializer",
        "kernel_regularizer",
        "bias_regularizer",
        "kernel_constraint",
        "bias_constraint",
    )

    def __init__(
        self,
        equation: str,
        output_shape: Any,
        activation: Any = None,
        bias_axes: str | None = None,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        bias_regularizer: Any = None,
        kernel_constraint: Any = None,
        bias_constraint: Any = None,
        lora_rank: int | None = None,
        lora_alpha: float | None = None,
        gptq_unpacked_column_size: int | None = None,
        quantization_config: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        absent = (lora_rank, lora_alpha, gptq_unpacked_column_size, quantization_config)
        if any(value is not None for value in absent):
            raise NotImplementedError(f"{self._label}: low-rank updates and quantized kernels are absent")
        self.equation = equation
        self.partial_output_shape = (output_shape,) if isinstance(output_shape, int) else tuple(output_shape)
        self.bias_axes = bias_axes
        self.activation = activations.get(activation)
        self.kernel_initializer = initializers.get(kernel_initializer)
        self.bias_initializer = initializers.get(bias_initializer)
        self.kernel_regularizer = regularizers.get(kernel_regularizer)
        self.bias_regularizer = regularizers.get(bias_regularizer)
        self.kernel_constraint = constraints.get(kernel_constraint)
        self.bias_constraint = constraints.get(bias_constraint)
        self.bias: Any = None

    def build(self, input_shape: Any) -> None:
        """Makes kernel and bias."""
        axes = Axes(self.equation, self.partial_output_shape, input_shape, self._label)
        self.input_spec = InputSpec(ndim=len(input_shape), axes=axes.shared)
        self._kernel = self.add_weight(
            axes.kernel_shape,
            self._kernel_initializer(axes),
            regularizer=self.kernel_regularizer,
            constraint=self.kernel_constraint,
            name="kernel",
        )
        if self.bias_axes is not None:
            self.bias = self.add_weight(
                axes.bias_shape(self.bias_axes),
                self.bias_initializer,
                regularizer=self.bias_regularizer,
                constraint=self.bias_constraint,
                name="bias",
            )

    def _kernel_initializer(self, axes: Axes) -> Any:
        """The initializer; one that scales with the numbers of inputs and outputs is told which axes those are."""
        initializer = self.kernel_initializer
        if not isinstance(initializer, initializers.VarianceScaling):
            return initializer
        order = [*axes.kernel_inputs, *axes.kernel_outputs]
        sizes = [axes.kernel_shape[a] for a in order]
        split = len(axes.kernel_inputs)
        matrix = (math.prod(sizes[:split]), math.prod(sizes[split:]))

        def initialize(shape: Any, dtype: Any = None) -> Any:
            values = ops.reshape(initializer(matrix, dtype=dtype), sizes)
            return ops.transpose(values, [order.index(a) for a in range(len(order))])

        return initialize

    @property
    def kernel(self) -> Any:
        """The kernel."""
        if not self.built:
            raise AttributeError(f"{self._label}: kernel: expected a built layer, got one without weights yet")
        return self._kernel

    def call(self, inputs: Any, training: Any = None) -> Tensor:
        """The product with the kernel."""
        equation = Axes(self.equation, self.partial_output_shape, inputs.shape, self._label).equation
        outputs = ops.einsum(equation, inputs, self._kernel)
        if self.bias is not None:
            outputs = ops.add(outputs, self.bias)
        result: Tensor = outputs if self.activation is None else self.activation(outputs)
        return result

    def compute_output_shape(self, input_shape: Any) -> Any:
        """The shape of the result."""
        return Axes(self.equation, self.partial_output_shape, input_shape, self._label).output_shape

    def get_config(self) -> dict[str, Any]:
        """The arguments that make an equal layer."""
        return {**super().get_config(), "output_shape": self.partial_output_shape}


class Axes:
    """The equation of an `EinsumDense` for inputs of a shape: with letters for "...", and with all sizes."""

    def __init__(self, equation: str, output_shape: Sequence[Any], input_shape: Sequence[Any], label: str) -> None:
        self.label = f"{label}: equation {equation!r}"
        match = re.fullmatch(r"(\.\.\.)?([a-zA-Z]+)(\.\.\.)?,([a-zA-Z]+)->(\.\.\.)?([a-zA-Z]+)(\.\.\.)?", equation)
        if match is None or (match[1], match[3]) != (match[5], match[7]) or (match[1] and match[3]):
            raise ValueError(f"{self.label}: expected '[X],[Y]->[Z]', '...[X],[Y]->...[Z]' or '[X]...,[Y]->[Z]...'")
        before, after = match[1] is not None, match[3] is not None
        given, kernel, result = match[2], match[4], match[6]
        missing = len(input_shape) - len(given)
        if missing < 0 or (missing and not before and not after):
            raise ShapeError(f"{self.label}: expected inputs of {len(given)} axes, got shape {tuple(input_shape)}")
        spare = "".join(c for c in "ABCDEFGHIJKLMNOPQRSTUVWXYZ" if c not in given + kernel + result)[:missing]
        left, right = (spare, "") if before else ("", spare)
        self.equation = f"{left}{given}{right},{kernel}->{left}{result}{right}"
        # The batch is not in `output_shape`, nor are further axes that "..." stands for.
        shape = [input_shape[0], *output_shape]
        if before:
            shape[1:1] = input_shape[1:missing]
        else:
            shape.extend(input_shape[len(input_shape) - missing :])
        self.letters = left + result + right
        if len(shape) != len(self.letters):
            raise ShapeError(
                f"{self.label}: expected output_shape of {len(self.letters) - 1} sizes, got {tuple(output_shape)}"
            )
        inputs = dict(zip(left + given + right, input_shape, strict=True))
        self.sizes = dict(zip(self.letters, shape, strict=True))
        for letter, size in self.sizes.items():
            shared = inputs.get(letter)
            if letter not in inputs and letter not in kernel:
                raise ValueError(f"{self.label}: expected axis {letter!r} of the result in inputs or kernel")
            if letter in inputs and size is not None and size != shared:
                raise ShapeError(f"{self.label}: expected {shared} for {letter!r}, as the inputs have, got {size}")
            self.sizes[letter] = shared if size is None else size
        self.output_shape = tuple(self.sizes.values())
        # The sizes of the inputs that the kernel has too.
        self.shared = {axis: size for axis, (c, size) in enumerate(inputs.items()) if c in kernel}
        self.kernel_shape = []
        self.kernel_inputs: list[int] = []
        self.kernel_outputs: list[int] = []
        for place, letter in enumerate(kernel):
            of_result = letter in self.sizes
            if not of_result and letter not in inputs:
                raise ValueError(f"{self.label}: expected axis {letter!r} of the kernel in inputs or result")
            (self.kernel_outputs if of_result else self.kernel_inputs).append(place)
            self.kernel_shape.append(self.sizes[letter] if of_result else inputs[letter])

    def bias_shape(self, letters: str) -> tuple[int, ...]:
        """The sizes of a bias that varies along some letters of the result, from the first of them on."""
        if any(letter not in self.letters for letter in letters):
            raise ValueError(f"{self.label}: expected bias_axes of the result {self.letters!r}, got {letters!r}")
        first = min(self.letters.index(letter) for letter in letters)
        return tuple(self.sizes[c] if c in letters else 1 for c in self.letters[first:])
