"""Layers that change shapes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from oxiconv import ops
from oxiconv.layers.input_spec import InputSpec
from oxiconv.layers.layer import Layer
from oxiconv.ops.convolution import data_format_of, tuple_of
from oxiconv.tensor import ShapeError, Tensor


class Flatten(Layer):
    """All axes but the batch as one. With "channels_first" the channels go last before.

    Args:
        data_format: "channels_last" or "channels_first"; None is the configured one.
        **kwargs: those of `Layer`.

    Example:
        >>> import numpy as np
        >>> Flatten()(np.zeros((2, 3, 4))).shape
        (2, 12)
    """

    config_fields: ClassVar[tuple[str, ...]] = ("data_format",)

    def __init__(self, data_format: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.data_format = data_format_of(data_format, self._label)
        self.input_spec = InputSpec(min_ndim=1)

    def call(self, inputs: Tensor) -> Tensor:
        """The flattened inputs."""
        if self.data_format == "channels_first" and inputs.ndim > 2:
            inputs = ops.moveaxis(inputs, 1, -1)
        size = 1
        for n in inputs.shape[1:]:
            size *= n
        return ops.reshape(inputs, (inputs.shape[0], size))


class Reshape(Layer):
    """Other sizes of the axes after the batch.

    Args:
        target_shape: the sizes; one may be -1.
        **kwargs: those of `Layer`.
    """

    config_fields: ClassVar[tuple[str, ...]] = ("target_shape",)

    def __init__(self, target_shape: Sequence[int], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.target_shape = tuple(target_shape)

    def call(self, inputs: Tensor) -> Tensor:
        """The inputs in other sizes."""
        return ops.reshape(inputs, (inputs.shape[0], *self.target_shape))


class Permute(Layer):
    """Axes after the batch in another order.

    Args:
        dims: the order, counted from 1.
        **kwargs: those of `Layer`.
    """

    config_fields: ClassVar[tuple[str, ...]] = ("dims",)

    def __init__(self, dims: Sequence[int], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.dims = tuple(dims)
        if sorted(self.dims) != list(range(1, len(self.dims) + 1)):
            raise ValueError(f"{self._label}: expected an order of 1 to {len(self.dims)}, got {dims}")
        self.input_spec = InputSpec(ndim=len(self.dims) + 1)

    def call(self, inputs: Tensor) -> Tensor:
        """The inputs with permuted axes."""
        return ops.transpose(inputs, (0, *self.dims))


class RepeatVector(Layer):
    """`[n, features]` repeated to `[n, times, features]`.

    Args:
        n: how many times.
        **kwargs: those of `Layer`.
    """

    config_fields: ClassVar[tuple[str, ...]] = ("n",)

    def __init__(self, n: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if isinstance(n, bool) or not isinstance(n, int):
            raise TypeError(f"{self._label}: expected a whole number, got {n!r}")
        if n < 1:
            raise ValueError(f"{self._label}: expected a positive number, got {n}")
        self.n = n
        self.input_spec = InputSpec(ndim=2)

    def call(self, inputs: Tensor) -> Tensor:
        """The repeated inputs."""
        return ops.repeat(ops.expand_dims(inputs, 1), self.n, axis=1)


def pairs_of(value: Any, rank: int, label: str, what: str) -> tuple[tuple[int, int], ...]:
    """`value` as (before, after) per axis: one number, one per axis, or the pairs."""
    if rank == 1 and isinstance(value, (tuple, list)) and len(value) == 2:
        value = (value,)
    given = (value,) * rank if isinstance(value, int) else tuple(value)
    if len(given) != rank:
        raise ValueError(f"{label}: expected {what} to be one number, {rank} numbers or {rank} pairs, got {value!r}")
    return tuple((low, high) for low, high in (tuple_of(pair, 2, label, what, least=0) for pair in given))


class _Margins(Layer):
    """Layers with (before, after) per spatial axis."""

    rank: ClassVar[int]

    def __init__(self, margins: Any, what: str, data_format: str | None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.data_format = data_format_of(data_format, self._label)
        self._margins = pairs_of(margins, self.rank, self._label, what)
        self.input_spec = InputSpec(ndim=self.rank + 2)

    config_fields: ClassVar[tuple[str, ...]] = ("data_format",)

    def _around(self) -> list[tuple[int, int]]:
        """The pairs of all axes, batch and channels included."""
        none = (0, 0)
        return [none, *self._margins, none] if self.data_format == "channels_last" else [none, none, *self._margins]


class _ZeroPadding(_Margins):
    config_fields: ClassVar[tuple[str, ...]] = ("padding",)

    def __init__(self, padding: Any, data_format: str | None, **kwargs: Any) -> None:
        super().__init__(padding, "padding", data_format, **kwargs)
        self.padding = self._margins if self.rank > 1 else self._margins[0]

    def call(self, inputs: Tensor) -> Tensor:
        """The padded inputs."""
        return ops.pad(inputs, self._around())


class ZeroPadding1D(_ZeroPadding):
    """Zeros before and after one axis.

    Args:
        padding: one number or (before, after).
        data_format: "channels_last" or "channels_first"; None is the configured one.
        **kwargs: those of `Layer`.
    """

    rank = 1

    def __init__(self, padding: Any = 1, data_format: str | None = None, **kwargs: Any) -> None:
        super().__init__(padding, data_format, **kwargs)


class ZeroPadding2D(_ZeroPadding):
    """Zeros around two axes.

    Args:
        padding: one number, one per axis, or ((top, bottom), (left, right)).
        data_format: "channels_last" or "channels_first"; None is the configured one.
        **kwargs: those of `Layer`.

    Example:
        >>> import numpy as np
        >>> ZeroPadding2D(((1, 2), (0, 3)))(np.zeros((1, 4, 4, 3))).shape
        (1, 7, 7, 3)
    """

    rank = 2

    def __init__(self, padding: Any = (1, 1), data_format: str | None = None, **kwargs: Any) -> None:
        super().__init__(padding, data_format, **kwargs)


class ZeroPadding3D(_ZeroPadding):
    """Zeros around three axes.

    Args:
        padding: one number, one per axis, or three pairs.
        data_format: "channels_last" or "channels_first"; None is the configured one.
        **kwargs: those of `Layer`.
    """

    rank = 3

    def __init__(self, padding: Any = ((1, 1), (1, 1), (1, 1)), data_format: str | None = None, **kwargs: Any) -> None:
        super().__init__(padding, data_format, **kwargs)


class _Cropping(_Margins):
    config_fields: ClassVar[tuple[str, ...]] = ("cropping",)

    def __init__(self, cropping: Any, data_format: str | None, **kwargs: Any) -> None:
        super().__init__(cropping, "cropping", data_format, **kwargs)
        self.cropping = self._margins if self.rank > 1 else self._margins[0]

    def call(self, inputs: Tensor) -> Tensor:
        """The cropped inputs."""
        around = self._around()
        if any(low + high >= n for (low, high), n in zip(around[1:], inputs.shape[1:], strict=True)):
            raise ShapeError(f"cropping: expected sizes above the cropping {self.cropping}, got shape {inputs.shape}")
        return inputs[tuple(slice(low, n - high) for (low, high), n in zip(around, inputs.shape, strict=True))]


class Cropping1D(_Cropping):
    """Elements left out at both ends of one axis.

    Args:
        cropping: one number or (before, after).
        **kwargs: those of `Layer`.
    """

    rank = 1

    def __init__(self, cropping: Any = (1, 1), **kwargs: Any) -> None:
        super().__init__(cropping, "channels_last", **kwargs)

    def get_config(self) -> dict[str, Any]:
        """The arguments that make an equal layer."""
        config = super().get_config()
        del config["data_format"]
        return config


class Cropping2D(_Cropping):
    """Elements left out at the ends of two axes.

    Args:
        cropping: one number, one per axis, or ((top, bottom), (left, right)).
        data_format: "channels_last" or "channels_first"; None is the configured one.
        **kwargs: those of `Layer`.
    """

    rank = 2

    def __init__(self, cropping: Any = ((0, 0), (0, 0)), data_format: str | None = None, **kwargs: Any) -> None:
        super().__init__(cropping, data_format, **kwargs)


class Cropping3D(_Cropping):
    """Elements left out at the ends of three axes.

    Args:
        cropping: one number, one per axis, or three pairs.
        data_format: "channels_last" or "channels_first"; None is the configured one.
        **kwargs: those of `Layer`.
    """

    rank = 3

    def __init__(self, cropping: Any = ((1, 1), (1, 1), (1, 1)), data_format: str | None = None, **kwargs: Any) -> None:
        super().__init__(cropping, data_format, **kwargs)
