"""A recurrent layer in both directions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Self

from oxiconv import ops
from oxiconv.layers.layer import Layer

_MERGE_MODES = ("sum", "mul", "ave", "concat", None)


class Bidirectional(Layer):
    """Two copies of a recurrent layer, one of them going backwards, whose outputs are merged.

    Args:
        layer: a recurrent layer; its configuration is copied, not its weights.
        merge_mode: "concat" (along the last axis), "sum", "ave", "mul", or None for both outputs.
        weights: first values of the forward layer's and the backward layer's weights.
        backward_layer: the layer that goes backwards; by default made of `layer`.
        **kwargs: those of `Layer`.

    With `return_state`, the forward layer's states and then the backward layer's follow the output; `initial_state`
    has them in that order.

    Example:
        >>> import numpy as np
        >>> from oxiconv import layers
        >>> Bidirectional(layers.LSTM(4, return_sequences=True))(np.zeros((2, 5, 3))).shape
        (2, 5, 8)
    """

    supports_masking = True
    config_fields: ClassVar[tuple[str, ...]] = ("merge_mode",)

    def __init__(
        self,
        layer: Any,
        merge_mode: str | None = "concat",
        weights: Any = None,
        backward_layer: Any = None,
        **kwargs: Any,
    ) -> None:
        from oxiconv.saving.serialization import deserialize_keras_object, serialize_keras_object

        for given in (layer, backward_layer):
            if given is not None and not isinstance(given, Layer):
                raise ValueError(f"Bidirectional: expected recurrent layers, got {given!r}")
        if merge_mode not in _MERGE_MODES:
            raise ValueError(f"Bidirectional: expected merge_mode to be one of {_MERGE_MODES}, got {merge_mode!r}")
        super().__init__(**kwargs)

        def copy(direction: str, **changes: Any) -> Any:
            config = serialize_keras_object(layer)
            name = f"{direction}_{layer.name.removeprefix(f'{direction}_')}"
            config["config"].update(name=name, **changes)
            return deserialize_keras_object(config)

        self.forward_layer = copy("forward")
        self.backward_layer = copy("backward", go_backwards=True) if backward_layer is None else backward_layer
        self._check_layers()
        for one in (self.forward_layer, self.backward_layer):
            if hasattr(one, "zero_output_for_mask"):  # a masked step has nothing to add to the other direction's
                one.zero_output_for_mask = one.return_sequences
        self.merge_mode = merge_mode
        self._first_weights = weights
        self.stateful = layer.stateful
        self.return_sequences = layer.return_sequences
        self.return_state = layer.return_state
        self.input_spec = layer.input_spec

    def _check_layers(self) -> None:
        forward, backward = self.forward_layer, self.backward_layer
        if forward.go_backwards == backward.go_backwards:
            raise ValueError(f"{self._label}: expected layers of different go_backwards, got {forward.go_backwards}")
        for name in ("stateful", "return_sequences", "return_state"):
            ours, theirs = getattr(forward, name), getattr(backward, name)
            if ours != theirs:
                raise ValueError(f"{self._label}: expected layers of the same {name}, got {ours} and {theirs}")

    def build(self, sequences_shape: Any, initial_state_shape: Any = None) -> None:
        """Builds both layers."""
        for one in (self.forward_layer, self.backward_layer):
            if not one.built:
                one.build(sequences_shape)
        if self._first_weights:
            half = len(self._first_weights) // 2
            self.forward_layer.set_weights(self._first_weights[:half])
            self.backward_layer.set_weights(self._first_weights[half:])

    def call(self, sequences: Any, initial_state: Any = None, mask: Any = None, training: Any = None) -> Any:
        """The merged outputs, and the states if asked for."""
        half = len(initial_state) // 2 if initial_state is not None else 0
        forward_state, backward_state = (initial_state[:half], initial_state[half:]) if half else (None, None)
        y = self.forward_layer(sequences, initial_state=forward_state, mask=mask, training=training)
        z = self.backward_layer(sequences, initial_state=backward_state, mask=mask, training=training)
        states: tuple[Any, ...] = ()
        if self.return_state:
            states = (*y[1:], *z[1:])
            y, z = y[0], z[0]
        if self.return_sequences:
            z = ops.flip(z, axis=1)
        merged: Any
        if self.merge_mode is None:
            return (y, z, *states)
        if self.merge_mode == "concat":
            merged = ops.concatenate([y, z], axis=-1)
        elif self.merge_mode == "mul":
            merged = ops.multiply(y, z)
        else:
            merged = ops.add(y, z)
            if self.merge_mode == "ave":
                merged = ops.divide(merged, 2.0)
        return (merged, *states) if states else merged

    def compute_output_shape(self, sequences_shape: Any, initial_state_shape: Any = None) -> Any:
        """The shape of the merged outputs, and of the states if they are returned."""
        shape = self.forward_layer.compute_output_shape(sequences_shape)
        states: tuple[Any, ...] = ()
        if self.return_state:
            shape, states = shape[0], (*shape[1:], *shape[1:])
        if self.merge_mode is None:
            return (shape, shape, *states)
        if self.merge_mode == "concat":
            shape = (*shape[:-1], 2 * shape[-1])
        return (shape, *states) if states else shape

    def compute_mask(self, inputs: Any, mask: Any) -> Any:
        """The mask, where there is an output for each step."""
        if isinstance(mask, list):
            mask = mask[0]
        kept = mask if self.return_sequences else None
        outputs = [kept, kept] if self.merge_mode is None else [kept]
        if not self.return_state:
            return outputs if self.merge_mode is None else kept
        return [*outputs, *[None for _ in range(2 * len(self.forward_layer.state_size))]]

    @property
    def states(self) -> Any:
        """The states that stateful layers carry to the next batch; None before they are built."""
        parts = (self.forward_layer.states, self.backward_layer.states)
        return None if None in parts else (*parts[0], *parts[1])

    def reset_state(self) -> None:
        """Sets the states that are carried on to zeros."""
        self.forward_layer.reset_state()
        self.backward_layer.reset_state()

    reset_states = reset_state

    def get_config(self) -> dict[str, Any]:
        """The arguments that make an equal layer."""
        from oxiconv.saving.serialization import serialize_keras_object

        layers = {"layer": self.forward_layer, "backward_layer": self.backward_layer}
        return {**super().get_config(), **{name: serialize_keras_object(one) for name, one in layers.items()}}

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Mapping[str, Any] | None = None) -> Self:
        """A layer of a configuration."""
        from oxiconv.saving.serialization import deserialize_keras_object

        layers = {
            name: deserialize_keras_object(config[name], custom_objects)
            for name in ("layer", "backward_layer")
            if config.get(name) is not None
        }
        return cls(**{**config, **layers})
