"""Depthwise and depthwise-separable convolutions: grouped convolutions of one channel each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from oxiconv import constraints, initializers, ops, regularizers
from oxiconv.layers.convolution import BaseConv
from oxiconv.ops.convolution import positive
from oxiconv.tensor import Tensor


class BaseDepthwiseConv(BaseConv):
    """A convolution of each channel on its own, giving `depth_multiplier` channels for each.

    The kernel is `[*kernel_size, channels, depth_multiplier]`. Other arguments: see `BaseConv`.
    """

    config_fields: ClassVar[tuple[str, ...]] = (
        "depth_multiplier",
        "depthwise_initializer",
        "depthwise_regularizer",
        "depthwise_constraint",
    )

    def __init__(
        self,
        kernel_size: int | Sequence[int],
        strides: int | Sequence[int] = 1,
        padding: str = "valid",
        depth_multiplier: int = 1,
        data_format: str | None = None,
        dilation_rate: int | Sequence[int] = 1,
        activation: Any = None,
        use_bias: bool = True,
        depthwise_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        depthwise_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        depthwise_constraint: Any = None,
        bias_constraint: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            kwargs.pop("filters", 1),
            kernel_size,
            strides,
            padding,
            data_format,
            dilation_rate,
            activation=activation,
            use_bias=use_bias,
            bias_initializer=bias_initializer,
            bias_regularizer=bias_regularizer,
            activity_regularizer=activity_regularizer,
            bias_constraint=bias_constraint,
            **kwargs,
        )
        self.depth_multiplier = positive(depth_multiplier, self._label, "depth_multiplier")
        self.depthwise_initializer = initializers.get(depthwise_initializer)
        self.depthwise_regularizer = regularizers.get(depthwise_regularizer)
        self.depthwise_constraint = constraints.get(depthwise_constraint)

    def _depthwise_kernel(self, channels: int) -> Any:
        return self.add_weight(
            (*self.kernel_size, channels, self.depth_multiplier),
            self.depthwise_initializer,
            regularizer=self.depthwise_regularizer,
            constraint=self.depthwise_constraint,
            name="depthwise_kernel" if isinstance(self, BaseSeparableConv) else "kernel",
        )

    def build(self, input_shape: Any) -> None:
        """Makes kernel and bias."""
        channels = self._channels(input_shape)
        self.kernel = self._depthwise_kernel(channels)
        self.bias = self._bias(channels * self.depth_multiplier)

    def convolution_op(self, inputs: Tensor, kernel: Any) -> Tensor:
        """The convolution without bias and activation."""
        return ops.depthwise_conv(inputs, kernel, self.strides, self.padding, self.data_format, self.dilation_rate)

    def get_config(self) -> dict[str, Any]:
        """The arguments that make an equal layer."""
        config = super().get_config()
        unused = ("groups", "kernel_initializer", "kernel_regularizer", "kernel_constraint", "filters")
        return {name: value for name, value in config.items() if name not in unused}


class BaseSeparableConv(BaseDepthwiseConv):
    """A depthwise convolution, then one of kernel size 1, with one bias."""

    config_fields: ClassVar[tuple[str, ...]] = (
        "filters",
        "pointwise_initializer",
        "pointwise_regularizer",
        "pointwise_constraint",
    )

    def __init__(
        self,
        filters: int,
        kernel_size: int | Sequence[int],
        strides: int | Sequence[int] = 1,
        padding: str = "valid",
        data_format: str | None = None,
        dilation_rate: int | Sequence[int] = 1,
        depth_multiplier: int = 1,
        activation: Any = None,
        use_bias: bool = True,
        depthwise_initializer: Any = "glorot_uniform",
        pointwise_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        depthwise_regularizer: Any = None,
        pointwise_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        depthwise_constraint: Any = None,
        pointwise_constraint: Any = None,
        bias_constraint: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            kernel_size,
            strides,
            padding,
            depth_multiplier,
            data_format,
            dilation_rate,
            activation,
            use_bias,
            depthwise_initializer,
            bias_initializer,
            depthwise_regularizer,
            bias_regularizer,
            activity_regularizer,
            depthwise_constraint,
            bias_constraint,
            filters=filters,
            **kwargs,
        )
        self.pointwise_initializer = initializers.get(pointwise_initializer)
        self.pointwise_regularizer = regularizers.get(pointwise_regularizer)
        self.pointwise_constraint = constraints.get(pointwise_constraint)

    def build(self, input_shape: Any) -> None:
        """Makes both kernels and the bias."""
        channels = self._channels(input_shape)
        self.depthwise_kernel = self._depthwise_kernel(channels)
        self.pointwise_kernel = self._kernel(
            (*(1,) * self.rank, channels * self.depth_multiplier, self.filters), "pointwise"
        )
        self.pointwise_kernel.name = "pointwise_kernel"
        self.pointwise_kernel.path = f"{self.name}/pointwise_kernel"
        self.bias = self._bias(self.filters)

    def call(self, inputs: Tensor) -> Tensor:
        """The convolution of the inputs."""
        return self._finish(
            ops.separable_conv(
                inputs,
                self.depthwise_kernel,
                self.pointwise_kernel,
                self.strides,
                self.padding,
                self.data_format,
                self.dilation_rate,
            )
        )

    def get_config(self) -> dict[str, Any]:
        """The arguments that make an equal layer."""
        return {**super().get_config(), "filters": self.filters}


class DepthwiseConv1D(BaseDepthwiseConv):
    """Depthwise convolution over one axis. Arguments: see `BaseDepthwiseConv`."""

    rank = 1


class DepthwiseConv2D(BaseDepthwiseConv):
    """Depthwise convolution over two axes. Arguments: see `BaseDepthwiseConv`."""

    rank = 2


class SeparableConv1D(BaseSeparableConv):
    """Depthwise-separable convolution over one axis. Arguments: see `BaseSeparableConv`."""

    rank = 1


class SeparableConv2D(BaseSeparableConv):
    """Depthwise-separable convolution over two axes. Arguments: see `BaseSeparableConv`."""

    rank = 2


SeparableConvolution1D, SeparableConvolution2D = SeparableConv1D, SeparableConv2D
