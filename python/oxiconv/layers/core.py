"""Layers without weights that pass, scale or compute what they are told."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import numpy as np

from oxiconv import activations, ops
from oxiconv.config import image_data_format
from oxiconv.inference import infer
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
    """`inputs * scale + offset`, in the type the layer computes in.

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
        x = ops.cast(inputs, self.compute_dtype)
        scale, offset = (_per_channel(v) for v in (self.scale, self.offset))
        return ops.add(ops.multiply(x, scale), offset)


def _per_channel(values: Any) -> Any:
    """Numbers, one for each channel, where the configured data format has the channels of images."""
    array = np.asarray(values, np.float32)
    return array.reshape(-1, 1, 1) if array.ndim == 1 and image_data_format() == "channels_first" else values


class Lambda(Layer):
    """A function as a layer. It is saved by name: load it through `custom_objects`.

    Args:
        function: of the inputs, and of `arguments`; it also gets `mask` and `training` if it takes them.
        output_shape: the shape of the outputs without the batch axis, or a function of the input shape that gives it;
            by default it comes from tracing the function.
        mask: the mask of the outputs, or a function of the inputs and their mask that gives it.
        arguments: keyword arguments of the function.
        **kwargs: those of `Layer`.

    Example:
        >>> Lambda(lambda x: x**2)([[1.0, 3.0]]).numpy().tolist()
        [[1.0, 9.0]]
    """

    supports_masking = True

    config_fields: ClassVar[tuple[str, ...]] = ("function", "arguments")

    def __init__(
        self,
        function: Callable[..., Any],
        output_shape: Any = None,
        mask: Any = None,
        arguments: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.function = activations.get(function)
        self.arguments = dict(arguments or {})
        self.mask = mask
        self._output_shape = output_shape
        try:
            self._taken = frozenset(inspect.signature(self.function).parameters) & {"mask", "training"}
        except (TypeError, ValueError):
            self._taken = frozenset()

    def call(self, inputs: Any, mask: Any = None, training: bool | None = None) -> Any:
        """The function of the inputs."""
        extra = {"mask": mask, "training": training}
        return self.function(inputs, **self.arguments, **{name: extra[name] for name in self._taken})

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Any:
        """What `mask` says; by default the mask of the inputs ends here."""
        return self.mask(inputs, previous_mask) if callable(self.mask) else self.mask

    def compute_output_shape(self, input_shape: Any) -> Any:
        """What `output_shape` says; by default the shape that tracing the function finds."""
        if self._output_shape is None:
            return super().compute_output_shape(input_shape)
        if callable(self._output_shape):
            return self._output_shape(input_shape)
        return (input_shape[0], *self._output_shape)

    def _symbolic_outputs(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if self._output_shape is None:
            return infer(self._cast_and_invoke, args, kwargs)
        return super()._symbolic_outputs(args, kwargs)

    def get_config(self) -> dict[str, Any]:
        """The arguments that make an equal layer."""
        config = super().get_config()
        for name, value in (("output_shape", self._output_shape), ("mask", self.mask)):
            if value is not None:
                config[name] = activations.serialize(value) if callable(value) else value
        return config
