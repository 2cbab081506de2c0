"""Pooling layers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from oxiconv import ops
from oxiconv.layers.input_spec import InputSpec
from oxiconv.layers.layer import Layer
from oxiconv.ops.convolution import data_format_of, tuple_of
from oxiconv.tensor import Tensor


class BasePooling(Layer):
    """Pooling over windows of `rank` spatial axes.

    Args:
        pool_size: window, one number or one per axis.
        strides: step of the window; None is the window's size.
        padding: "valid" or "same"; padding counts as absent.
        data_format: "channels_last" or "channels_first"; None is the configured one.
        name: of the layer.
        **kwargs: those of `Layer`.
    """

    _nothing_to_build = True

    rank: ClassVar[int]
    config_fields: ClassVar[tuple[str, ...]] = ("pool_size", "padding", "strides", "data_format")

    def __init__(
        self,
        pool_size: int | Sequence[int],
        strides: int | Sequence[int] | None = None,
        padding: str = "valid",
        data_format: str | None = None,
        name: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(name=name, **kwargs)
        self.pool_size = tuple_of(pool_size, self.rank, self._label, "pool_size")
        self.strides = self.pool_size if strides is None else tuple_of(strides, self.rank, self._label, "strides")
        self.padding = str(padding).lower()
        if self.padding not in ("valid", "same"):
            raise ValueError(f"{self._label}: expected padding 'valid' or 'same', got {padding!r}")
        self.data_format = data_format_of(data_format, self._label)
        self.input_spec = InputSpec(ndim=self.rank + 2)


class BaseMaxPooling(BasePooling):
    """The largest value of each window; `pool_size` is 2 by default. Arguments: see `BasePooling`."""

    def __init__(
        self,
        pool_size: int | Sequence[int] = 2,
        strides: int | Sequence[int] | None = None,
        padding: str = "valid",
        data_format: str | None = None,
        name: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(pool_size, strides, padding, data_format, name, **kwargs)

    def call(self, inputs: Tensor) -> Tensor:
        """The pooled inputs."""
        return ops.max_pool(inputs, self.pool_size, self.strides, self.padding, self.data_format)


class BaseAveragePooling(BasePooling):
    """The mean of each window, padding not counted. Arguments: see `BasePooling`."""

    def call(self, inputs: Tensor) -> Tensor:
        """The pooled inputs."""
        return ops.average_pool(inputs, self.pool_size, self.strides, self.padding, self.data_format)


class MaxPooling1D(BaseMaxPooling):
    """Max pooling over one axis. Arguments: see `BaseMaxPooling`."""

    rank = 1


class MaxPooling2D(BaseMaxPooling):
    """Max pooling over two axes. Arguments: see `BaseMaxPooling`.

    Example:
        >>> import numpy as np
        >>> MaxPooling2D()(np.zeros((1, 7, 7, 3))).shape, MaxPooling2D(padding="same")(np.zeros((1, 7, 7, 3))).shape
        ((1, 3, 3, 3), (1, 4, 4, 3))
    """

    rank = 2


class MaxPooling3D(BaseMaxPooling):
    """Max pooling over three axes. Arguments: see `BaseMaxPooling`."""

    rank = 3


class AveragePooling1D(BaseAveragePooling):
    """Average pooling over one axis. Arguments: see `BasePooling`."""

    rank = 1


class AveragePooling2D(BaseAveragePooling):
    """Average pooling over two axes. Arguments: see `BasePooling`."""

    rank = 2


class AveragePooling3D(BaseAveragePooling):
    """Average pooling over three axes. Arguments: see `BasePooling`."""

    rank = 3


class BaseGlobalPooling(Layer):
    """Pooling over all positions: `[n, sizes.., channels]` to `[n, channels]`.

    Args:
        data_format: "channels_last" or "channels_first"; None is the configured one.
        keepdims: whether the spatial axes stay, with size 1.
        **kwargs: those of `Layer`.
    """

    _nothing_to_build = True

    rank: ClassVar[int]
    config_fields: ClassVar[tuple[str, ...]] = ("data_format", "keepdims")

    def __init__(self, data_format: str | None = None, keepdims: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.data_format = data_format_of(data_format, self._label)
        self.keepdims = keepdims
        self.input_spec = InputSpec(ndim=self.rank + 2)

    def _axes(self) -> list[int]:
        first = 1 if self.data_format == "channels_last" else 2
        return list(range(first, first + self.rank))


class BaseGlobalAveragePooling(BaseGlobalPooling):
    """The mean of all positions. Arguments: see `BaseGlobalPooling`."""

    def call(self, inputs: Tensor) -> Tensor:
        """The pooled inputs."""
        return ops.mean(inputs, self._axes(), self.keepdims)


class BaseGlobalMaxPooling(BaseGlobalPooling):
    """The largest value of all positions. Arguments: see `BaseGlobalPooling`."""

    def call(self, inputs: Tensor) -> Tensor:
        """The pooled inputs."""
        return ops.max(inputs, self._axes(), self.keepdims)


class GlobalAveragePooling1D(BaseGlobalAveragePooling):
    """The mean over one spatial axis; steps whose mask is false do not count. Arguments: see `BaseGlobalPooling`."""

    rank = 1
    supports_masking = True

    def call(self, inputs: Tensor, mask: Tensor | None = None) -> Tensor:
        """The pooled inputs."""
        if mask is None:
            return super().call(inputs)
        weight = ops.expand_dims(ops.cast(mask, inputs.dtype), 2 if self.data_format == "channels_last" else 1)
        count = ops.sum(weight, self._axes(), self.keepdims)
        return ops.sum(inputs * weight, self._axes(), self.keepdims) / count

    def compute_mask(self, inputs: Any, previous_mask: Any) -> None:
        """None: there are no steps left."""


class GlobalAveragePooling2D(BaseGlobalAveragePooling):
    """The mean over two spatial axes. Arguments: see `BaseGlobalPooling`."""

    rank = 2


class GlobalAveragePooling3D(BaseGlobalAveragePooling):
    """The mean over three spatial axes. Arguments: see `BaseGlobalPooling`."""

    rank = 3


class GlobalMaxPooling1D(BaseGlobalMaxPooling):
    """The maximum over one spatial axis. Arguments: see `BaseGlobalPooling`."""

    rank = 1


class GlobalMaxPooling2D(BaseGlobalMaxPooling):
    """The maximum over two spatial axes. Arguments: see `BaseGlobalPooling`."""

    rank = 2


class GlobalMaxPooling3D(BaseGlobalMaxPooling):
    """The maximum over three spatial axes. Arguments: see `BaseGlobalPooling`."""

    rank = 3


class BaseAdaptivePooling(Layer):
    """Pooling to a given number of positions, by windows as equal as they can be, which may overlap.

    Args:
        output_size: positions of the result, one number or one per axis.
        data_format: "channels_last" or "channels_first"; None is the configured one.
        **kwargs: those of `Layer`.
    """

    rank: ClassVar[int]
    config_fields: ClassVar[tuple[str, ...]] = ("output_size", "data_format")

    def __init__(self, output_size: int | Sequence[int], data_format: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.output_size = tuple_of(output_size, self.rank, self._label, "output_size")
        self.data_format = data_format_of(data_format, self._label)
        self.input_spec = InputSpec(ndim=self.rank + 2)


class BaseAdaptiveAveragePooling(BaseAdaptivePooling):
    """The mean of each window. Arguments: see `BaseAdaptivePooling`."""

    def call(self, inputs: Tensor) -> Tensor:
        """The pooled inputs."""
        pooled: Tensor = ops.adaptive_average_pool(inputs, self.output_size, self.data_format)
        return pooled


class BaseAdaptiveMaxPooling(BaseAdaptivePooling):
    """The largest value of each window. Arguments: see `BaseAdaptivePooling`."""

    def call(self, inputs: Tensor) -> Tensor:
        """The pooled inputs."""
        pooled: Tensor = ops.adaptive_max_pool(inputs, self.output_size, self.data_format)
        return pooled


class AdaptiveAveragePooling1D(BaseAdaptiveAveragePooling):
    """Adaptive average pooling over one spatial axis. Arguments: see `BaseAdaptivePooling`."""

    rank = 1


class AdaptiveAveragePooling2D(BaseAdaptiveAveragePooling):
    """Adaptive average pooling over two spatial axes. Arguments: see `BaseAdaptivePooling`."""

    rank = 2


class AdaptiveAveragePooling3D(BaseAdaptiveAveragePooling):
    """Adaptive average pooling over three spatial axes. Arguments: see `BaseAdaptivePooling`."""

    rank = 3


class AdaptiveMaxPooling1D(BaseAdaptiveMaxPooling):
    """Adaptive max pooling over one spatial axis. Arguments: see `BaseAdaptivePooling`."""

    rank = 1


class AdaptiveMaxPooling2D(BaseAdaptiveMaxPooling):
    """Adaptive max pooling over two spatial axes. Arguments: see `BaseAdaptivePooling`."""

    rank = 2


class AdaptiveMaxPooling3D(BaseAdaptiveMaxPooling):
    """Adaptive max pooling over three spatial axes. Arguments: see `BaseAdaptivePooling`."""

    rank = 3


MaxPool1D, MaxPool2D, MaxPool3D = MaxPooling1D, MaxPooling2D, MaxPooling3D
AvgPool1D, AvgPool2D, AvgPool3D = AveragePooling1D, AveragePooling2D, AveragePooling3D
GlobalAvgPool1D, GlobalAvgPool2D, GlobalAvgPool3D = (
    GlobalAveragePooling1D,
    GlobalAveragePooling2D,
    GlobalAveragePooling3D,
)
GlobalMaxPool1D, GlobalMaxPool2D, GlobalMaxPool3D = GlobalMaxPooling1D, GlobalMaxPooling2D, GlobalMaxPooling3D
