"""Layers that enlarge images, steps and volumes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from oxiconv import ops
from oxiconv.layers.input_spec import InputSpec
from oxiconv.layers.layer import Layer
from oxiconv.ops.convolution import data_format_of, tuple_of
from oxiconv.tensor import Tensor

INTERPOLATIONS = ("nearest", "bilinear", "bicubic", "lanczos3", "lanczos5")


def _repeated(inputs: Tensor, size: Sequence[int], data_format: str) -> Tensor:
    for axis, times in enumerate(size, 1 if data_format == "channels_last" else 2):
        inputs = ops.repeat(inputs, times, axis)
    return inputs


class UpSampling1D(Layer):
    """Each step of `[n, steps, channels]` repeated.

    Args:
        size: how many times.
        **kwargs: those of `Layer`.
    """

    config_fields: ClassVar[tuple[str, ...]] = ("size",)

    def __init__(self, size: int = 2, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if isinstance(size, bool) or not isinstance(size, int):
            raise TypeError(f"{self._label}: expected a whole number as size, got {size!r}")
        (self.size,) = tuple_of(size, 1, self._label, "size")
        self.input_spec = InputSpec(ndim=3)

    def call(self, inputs: Tensor) -> Tensor:
        """The enlarged inputs."""
        return _repeated(inputs, (self.size,), "channels_last")


class UpSampling2D(Layer):
    """Height and width enlarged `size` times.

    Args:
        size: factors of height and width.
        data_format: "channels_last" or "channels_first"; None is the configured one.
        interpolation: "nearest" repeats each position; "bilinear", "bicubic", "lanczos3" and "lanczos5" go from one to
            the next: see `ops.image.resize`.
        **kwargs: those of `Layer`.
    """

    config_fields: ClassVar[tuple[str, ...]] = ("size", "data_format", "interpolation")

    def __init__(
        self,
        size: int | Sequence[int] = (2, 2),
        data_format: str | None = None,
        interpolation: str = "nearest",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.data_format = data_format_of(data_format, self._label)
        self.size = tuple_of(size, 2, self._label, "size")
        self.interpolation = str(interpolation).lower()
        if self.interpolation not in INTERPOLATIONS:
            raise ValueError(f"{self._label}: expected interpolation {INTERPOLATIONS}, got {interpolation!r}")
        self.input_spec = InputSpec(ndim=4)

    def call(self, inputs: Tensor) -> Tensor:
        """The enlarged inputs."""
        if self.interpolation == "nearest":
            return _repeated(inputs, self.size, self.data_format)
        first = 1 if self.data_format == "channels_last" else 2
        sizes = [n * times for n, times in zip(inputs.shape[first : first + 2], self.size, strict=True)]
        return ops.image.resize(inputs, sizes, self.interpolation, data_format=self.data_format)


class UpSampling3D(Layer):
    """Each position of volumes repeated along depth, height and width.

    Args:
        size: how many times, one number or one per axis.
        data_format: "channels_last" or "channels_first"; None is the configured one.
        **kwargs: those of `Layer`.
    """

    config_fields: ClassVar[tuple[str, ...]] = ("size", "data_format")

    def __init__(self, size: int | Sequence[int] = (2, 2, 2), data_format: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.data_format = data_format_of(data_format, self._label)
        self.size = tuple_of(size, 3, self._label, "size")
        self.input_spec = InputSpec(ndim=5)

    def call(self, inputs: Tensor) -> Tensor:
        """The enlarged inputs."""
        return _repeated(inputs, self.size, self.data_format)
