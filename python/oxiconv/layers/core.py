"""Layers without weights that pass, scale or compute what they are told."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import numpy as np

from oxiconv import activations, ops
from oxiconv.layers.layer import Layer
from oxiconv.tensor import Tensor


class Identity(Layer):
    """The inputs."""

    supports_masking = True
    _nothing_to_build = True

    def call(self, inputs: Any) -> Any:
        """The inputs."""
        return inputs


class Rescaling(Layer):
    """`inputs * scale + offset` in float32.

    Args:
        scale: a number, or one per channel.
        offset: a number, or one per channel.
        **kwargs: those of `Layer`.

    Example:
        >>> import numpy as np
        >>> Rescaling(1 / 255)(np.array([[255]], np.uint8)).numpy().tolist()
        [[1.0]]
    """

    supports_masking = True

    config_fields: ClassVar[tuple[str, ...]] = ("scale", "offset")

    def __init__(self, scale: Any, offset: Any = 0.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.scale = np.asarray(scale).tolist()
        self.offset = np.asarray(offset).tolist()

    def call(self, inputs: Tensor) -> Tensor:
        """The scaled inputs."""
        return ops.add(ops.multiply(ops.cast(inputs, "float32"), self.scale), self.offset)


class Lambda(Layer):
    """A function as a layer. It is saved by name: load it through `custom_objects`.

    Args:
        function: of the inputs, and of `arguments`.
        output_shape: accepted for Keras compatibility; shapes come from tracing.
        arguments: keyword arguments of the function.
        **kwargs: those of `Layer`.
    """

    supports_masking = True

    config_fields: ClassVar[tuple[str, ...]] = ("function", "arguments")

    def __init__(
        self,
        function: Callable[..., Any],
        output_shape: Any = None,
        arguments: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.function = activations.get(function)
        self.arguments = dict(arguments or {})

    def call(self, inputs: Any) -> Any:
        """The function of the inputs."""
        return self.function(inputs, **self.arguments)
