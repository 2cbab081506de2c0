"""The base of layers that hold another layer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

from oxiconv.layers.layer import Layer


class Wrapper(Layer):
    """Holds a layer, as `layer`. Subclasses define `call`.

    Args:
        layer: the layer.
        **kwargs: those of `Layer`.
    """

    def __init__(self, layer: Any, **kwargs: Any) -> None:
        if not isinstance(layer, Layer):
            raise ValueError(f"{type(self).__name__}: expected a layer, got {layer!r}")
        super().__init__(**kwargs)
        self.layer = layer

    def build(self, input_shape: Any = None) -> None:
        """Builds the layer."""
        if not self.layer.built:
            self.layer.build(input_shape)

    def get_config(self) -> dict[str, Any]:
        """The arguments that make an equal layer."""
        from oxiconv.saving.serialization import serialize_keras_object

        return {**super().get_config(), "layer": serialize_keras_object(self.layer)}

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Mapping[str, Any] | None = None) -> Self:
        """A layer of a configuration."""
        from oxiconv.saving.serialization import deserialize_keras_object

        config = dict(config)
        return cls(deserialize_keras_object(config.pop("layer"), custom_objects), **config)
