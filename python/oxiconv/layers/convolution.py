"""Convolution layers of one to three spatial axes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from oxiconv import activations, constraints, initializers, ops, regularizers
from oxiconv.layers.input_spec import InputSpec
from oxiconv.layers.quantizable import Quantizable
from oxiconv.ops.convolution import conv_of_bytes, data_format_of, positive, tuple_of
from oxiconv.tensor import Tensor


class BaseConv(Quantizable):
    """A convolution over `rank` spatial axes, of which each layer below has its number.

    Args:
        filters: channels of the result.
        kernel_size: window, one number or one per axis.
        strides: step of the window.
        padding: "valid", "same" (result size `ceil(size / stride)`), or in one dimension "causal".
        data_format: "channels_last" or "channels_first"; None is the configured one.
        dilation_rate: distance between the window's taps; not together with strides above 1.
        groups: parts of the channels that are convolved apart.
        activation: function of the result.
        use_bias: whether to add a bias.
        kernel_initializer: of the kernel `[*kernel_size, channels // groups, filters]`.
        bias_initializer: of the bias.
        kernel_regularizer: penalty on the kernel.
        bias_regularizer: penalty on the bias.
        activity_regularizer: penalty on the result.
        kernel_constraint: applied to the kernel after each step.
        bias_constraint: applied to the bias after each step.
        **kwargs: those of `Layer`, and `quantization_config`: that of a layer which `Model.quantize` has quantized.
    """

    rank: ClassVar[int]
    # "fast" or "exact", set on a layer; None: that of `config.precision()`.
    precision: str | None = None
    config_fields: ClassVar[tuple[str, ...]] = (
        "filters",
        "kernel_size",
        "strides",
        "padding",
        "data_format",
        "dilation_rate",
        "groups",
        "activation",
        "use_bias",
        "kernel_initializer",
        "bias_initializer",
        "kernel_regularizer",
        "bias_regularizer",
        "activity_regularizer",
        "kernel_constraint",
        "bias_constraint",
    )

    def __init__(
        self,
        filters: int,
        kernel_size: int | Sequence[int],
        strides: int | Sequence[int] = 1,
        padding: str = "valid",
        data_format: str | None = None,
        dilation_rate: int | Sequence[int] = 1,
        groups: int = 1,
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
        quantization_config = kwargs.pop("quantization_config", None)
        super().__init__(activity_regularizer=activity_regularizer, **kwargs)
        self._take_quantization(quantization_config)
        rank = self.rank
        self.filters = positive(filters, self._label, "filters")
        self.groups = positive(groups, self._label, "groups")
        self.kernel_size = tuple_of(kernel_size, rank, self._label, "kernel_size")
        self.strides = tuple_of(strides, rank, self._label, "strides")
        self.dilation_rate = tuple_of(dilation_rate, rank, self._label, "dilation_rate")
        self.padding = self._padding(padding)
        self.data_format = data_format_of(data_format, self._label)
        self.activation = activations.get(activation)
        self.use_bias = use_bias
        self.kernel_initializer = initializers.get(kernel_initializer)
        self.bias_initializer = initializers.get(bias_initializer)
        self.kernel_regularizer = regularizers.get(kernel_regularizer)
        self.bias_regularizer = regularizers.get(bias_regularizer)
        self.kernel_constraint = constraints.get(kernel_constraint)
        self.bias_constraint = constraints.get(bias_constraint)
        self.input_spec = InputSpec(min_ndim=rank + 2)
        self.bias: Any = None
        if self.filters % self.groups:
            raise ValueError(f"{self._label}: expected filters that are a multiple of groups={groups}, got {filters}")
        if max(self.strides) > 1 and max(self.dilation_rate) > 1:
            raise ValueError(
                f"{self._label}: expected strides or dilation_rate of 1, got {self.strides} and {self.dilation_rate}"
            )

    def _padding(self, padding: str) -> str:
        allowed = ("valid", "same", "causal") if self.rank == 1 else ("valid", "same")
        mode = str(padding).lower()
        if mode not in allowed:
            raise ValueError(f"{self._label}: expected padding {', '.join(map(repr, allowed))}, got {padding!r}")
        return mode

    def _channels(self, input_shape: Any) -> int:
        """The number of input channels, fixed from now on."""
        axis = -1 if self.data_format == "channels_last" else 1
        channels = input_shape[axis] if len(input_shape) == self.rank + 2 else None
        if channels is None:
            raise ValueError(
                f"{self._label}: build: expected {self.rank + 2} axes and known channels, got shape {input_shape}"
            )
        self.input_spec = InputSpec(ndim=self.rank + 2, axes={axis: channels})
        return int(channels)

    def _kernel(self, shape: Sequence[int], name: str = "kernel") -> Any:
        return self.add_weight(
            shape,
            getattr(self, f"{name}_initializer"),
            regularizer=getattr(self, f"{name}_regularizer"),
            constraint=getattr(self, f"{name}_constraint"),
            name=name,
        )

    def _bias(self, size: int) -> Any:
        return self._kernel((size,), "bias") if self.use_bias else None

    def build(self, input_shape: Any) -> None:
        """Makes kernel and bias."""
        channels = self._channels(input_shape)
        if channels % self.groups:
            raise ValueError(f"{self._label}: expected a multiple of groups={self.groups} channels, got {channels}")
        self.kernel = self._kernel((*self.kernel_size, channels // self.groups, self.filters))
        self.bias = self._bias(self.filters)
        self._build_quantized()

    def convolution_op(self, inputs: Tensor, kernel: Any) -> Tensor:
        """The convolution without bias and activation."""
        return ops.conv(
            inputs,
            kernel,
            self.strides,
            self.padding,
            self.data_format,
            self.dilation_rate,
            precision=self.precision,
        )

    def _finish(self, outputs: Tensor) -> Tensor:
        """Bias and activation."""
        if self.bias is not None:
            first = self.data_format == "channels_first"
            bias = ops.reshape(self.bias, (1, -1, *(1,) * self.rank)) if first else self.bias
            outputs = ops.add(outputs, bias)
        result: Tensor = outputs if self.activation is None else self.activation(outputs)
        return result

    def call(self, inputs: Tensor) -> Tensor:
        """The convolution of the inputs."""
        return self._finish(self._product(inputs))

    def _multiply(self, x: Tensor, kernel: Any) -> Tensor:
        if self.quantization_config is None:
            return self.convolution_op(x, kernel)
        return conv_of_bytes(x, kernel, self.strides, self.padding, self.data_format, self.dilation_rate)

    def _scaled(self, sums: Tensor, scale: Tensor) -> Tensor:
        first = self.data_format == "channels_first"
        return super()._scaled(sums, ops.reshape(scale, (1, -1, *(1,) * self.rank)) if first else scale)

    def _why_not_quantized(self) -> str | None:
        if self._plain_call and self.groups > 1:
            return f"it has {self.groups} groups"
        return super()._why_not_quantized()

    def get_config(self) -> dict[str, Any]:
        """The arguments that make an equal layer."""
        config = super().get_config()
        if self.quantization_config is not None:
            config["quantization_config"] = dict(self.quantization_config)
        return config


class Conv1D(BaseConv):
    """Convolution `[n, steps, channels]` to `[n, new_steps, filters]`. Arguments: see `BaseConv`."""

    rank = 1
    _plain_call = True


class Conv2D(BaseConv):
    """Convolution `[n, h, w, channels]` to `[n, new_h, new_w, filters]`. Arguments: see `BaseConv`.

    Example:
        >>> import numpy as np
        >>> layer = Conv2D(32, 3, activation="relu")
        >>> layer(np.zeros((1, 28, 28, 1))).shape, layer.count_params()
        ((1, 26, 26, 32), 320)
    """

    rank = 2
    _plain_call = True


class Conv3D(BaseConv):
    """Convolution `[n, d, h, w, channels]` to `[n, new_d, new_h, new_w, filters]`. Arguments: see `BaseConv`."""

    rank = 3
    _plain_call = True


Convolution1D, Convolution2D, Convolution3D = Conv1D, Conv2D, Conv3D
