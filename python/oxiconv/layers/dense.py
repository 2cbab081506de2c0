"""The fully connected layer."""

from __future__ import annotations

from typing import Any, ClassVar

from oxiconv import activations, constraints, initializers, ops, regularizers
from oxiconv.layers.input_spec import InputSpec
from oxiconv.layers.quantizable import Quantizable
from oxiconv.ops.convolution import positive
from oxiconv.ops.products import matmul_of_bytes
from oxiconv.tensor import Tensor


class Dense(Quantizable):
    """`activation(inputs @ kernel + bias)` over the last axis.

    Args:
        units: size of the last axis of the result.
        activation: function of the result.
        use_bias: whether to add a bias.
        kernel_initializer: of the kernel `[last, units]`.
        bias_initializer: of the bias `[units]`.
        kernel_regularizer: penalty on the kernel.
        bias_regularizer: penalty on the bias.
        activity_regularizer: penalty on the result.
        kernel_constraint: applied to the kernel after each step.
        bias_constraint: applied to the bias after each step.
        lora_rank: must be None.
        lora_alpha: must be None.
        quantization_config: that of a layer which `Model.quantize` has quantized, else None.
        **kwargs: those of `Layer`.

    Example:
        >>> import numpy as np
        >>> layer = Dense(10)
        >>> layer(np.zeros((2, 3, 4))).shape, layer.count_params()
        ((2, 3, 10), 50)
    """

    supports_masking = True
    _plain_call = True

    config_fields: ClassVar[tuple[str, ...]] = (
        "units",
        "activation",
        "use_bias",
        "kernel_initializer",
        "bias_initializer",
        "kernel_regularizer",
        "bias_regularizer",
        "kernel_constraint",
        "bias_constraint",
        "quantization_config",
    )

    def __init__(
        self,
        units: int,
        activation: Any = None,
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        kernel_constraint: Any = None,
        bias_constraint: Any = None,
        lora_rank: int | None = None,
        lora_alpha: float | None = None,
        quantization_config: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(activity_regularizer=activity_regularizer, **kwargs)
        refuse_low_rank(self._label, lora_rank, lora_alpha)
        self.quantization_config = None
        self._take_quantization(quantization_config)
        self.units = positive(units, self._label, "units")
        self.activation = activations.get(activation)
        self.use_bias = use_bias
        self.kernel_initializer = initializers.get(kernel_initializer)
        self.bias_initializer = initializers.get(bias_initializer)
        self.kernel_regularizer = regularizers.get(kernel_regularizer)
        self.bias_regularizer = regularizers.get(bias_regularizer)
        self.kernel_constraint = constraints.get(kernel_constraint)
        self.bias_constraint = constraints.get(bias_constraint)
        self.input_spec = InputSpec(min_ndim=2)
        self.bias: Any = None

    def build(self, input_shape: Any) -> None:
        """Makes kernel and bias."""
        last = input_shape[-1]
        if last is None:
            raise ValueError(f"{self._label}: build: expected a known last size, got shape {tuple(input_shape)}")
        self.kernel = self.add_weight(
            (last, self.units),
            self.kernel_initializer,
            regularizer=self.kernel_regularizer,
            constraint=self.kernel_constraint,
            name="kernel",
        )
        if self.use_bias:
            self.bias = self.add_weight(
                (self.units,),
                self.bias_initializer,
                regularizer=self.bias_regularizer,
                constraint=self.bias_constraint,
                name="bias",
            )
        self.input_spec = InputSpec(min_ndim=2, axes={-1: last})
        self._build_quantized()

    def call(self, inputs: Tensor) -> Tensor:
        """The product with the kernel."""
        outputs = self._product(inputs)
        if self.bias is not None:
            outputs = ops.add(outputs, self.bias)
        result: Tensor = outputs if self.activation is None else self.activation(outputs)
        return result

    def _multiply(self, x: Tensor, kernel: Any) -> Tensor:
        return matmul_of_bytes(x, kernel) if self.quantization_config else ops.matmul(x, kernel)


def refuse_low_rank(label: str, lora_rank: Any, lora_alpha: Any) -> None:
    """Raises ValueError for what is not there: kernels with a low-rank part."""
    if lora_rank is not None or lora_alpha is not None:
        raise ValueError(
            f"{label}: lora_rank and lora_alpha are not supported: freeze the layer and add the output of two small "
            "Dense layers to its own."
        )
