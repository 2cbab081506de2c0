"""Transposed convolutions: the gradients of convolutions with respect to their inputs, as layers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from oxiconv import ops
from oxiconv.layers.convolution import BaseConv
from oxiconv.ops.convolution import tuple_of
from oxiconv.tensor import Tensor


class BaseConvTranspose(BaseConv):
    """A transposed convolution over `rank` spatial axes, of which each layer below has its number.

    Result sizes are `size * stride` for "same" and `size * stride + max(kernel - stride, 0)` for "valid", or what
    `output_padding` says. The kernel is `[*kernel_size, filters, channels]`. Other arguments: see `BaseConv`.
    """

    config_fields: ClassVar[tuple[str, ...]] = ("output_padding",)

    def __init__(
        self,
        filters: int,
        kernel_size: int | Sequence[int],
        strides: int | Sequence[int] = 1,
        padding: str = "valid",
        output_padding: int | Sequence[int] | None = None,
        data_format: str | None = None,
        dilation_rate: int | Sequence[int] = 1,
        activation: Any = None,
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        kernel_constraint: Any = None,
        bias_constraint: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            filters,
            kernel_size,
            strides,
            padding,
            data_format,
            dilation_rate,
            1,
            activation,
            use_bias,
            kernel_initializer,
            bias_initializer,
            kernel_regularizer,
            bias_regularizer,
            activity_regularizer,
            kernel_constraint,
            bias_constraint,
            **kwargs,
        )
        self.output_padding = (
            None if output_padding is None else tuple_of(output_padding, self.rank, self._label, "output_padding", 0)
        )

    def _padding(self, padding: str) -> str:
        if padding == "causal":
            raise ValueError(f"{self._label}: expected padding 'valid' or 'same', got 'causal'")
        return super()._padding(padding)

    def build(self, input_shape: Any) -> None:
        """Makes kernel and bias."""
        self.kernel = self._kernel((*self.kernel_size, self.filters, self._channels(input_shape)))
        self.bias = self._bias(self.filters)

    def convolution_op(self, inputs: Tensor, kernel: Any) -> Tensor:
        """The transposed convolution without bias and activation."""
        return ops.conv_transpose(
            inputs,
            kernel,
            self.strides,
            self.padding,
            self.output_padding,
            self.data_format,
            self.dilation_rate,
            precision=self.precision,
        )

    def get_config(self) -> dict[str, Any]:
        """The arguments that make an equal layer."""
        config = super().get_config()
        del config["groups"]
        return config


class Conv1DTranspose(BaseConvTranspose):
    """Transposed convolution over one axis. Arguments: see `BaseConvTranspose`."""

    rank = 1


class Conv2DTranspose(BaseConvTranspose):
    """Transposed convolution over two axes. Arguments: see `BaseConvTranspose`.

    Example:
        >>> import numpy as np
        >>> Conv2DTranspose(8, 3, strides=2, padding="same")(np.zeros((1, 7, 7, 4))).shape
        (1, 14, 14, 8)
    """

    rank = 2


class Conv3DTranspose(BaseConvTranspose):
    """Transposed convolution over three axes. Arguments: see `BaseConvTranspose`; `data_format` first."""

    rank = 3

    def __init__(
        self,
        filters: int,
        kernel_size: int | Sequence[int],
        strides: int | Sequence[int] = 1,
        padding: str = "valid",
        data_format: str | None = None,
        output_padding: int | Sequence[int] | None = None,
        dilation_rate: int | Sequence[int] = 1,
        activation: Any = None,
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        kernel_constraint: Any = None,
        bias_constraint: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            filters,
            kernel_size,
            strides,
            padding,
            output_padding,
            data_format,
            dilation_rate,
            activation,
            use_bias,
            kernel_initializer,
            bias_initializer,
            kernel_regularizer,
            bias_regularizer,
            activity_regularizer,
            kernel_constraint,
            bias_constraint,
            **kwargs,
        )


Convolution1DTranspose, Convolution2DTranspose, Convolution3DTranspose = (
    Conv1DTranspose,
    Conv2DTranspose,
    Conv3DTranspose,
)
