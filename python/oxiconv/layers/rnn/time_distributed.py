"""A layer applied to each step of a sequence."""

from __future__ import annotations

import inspect
from typing import Any

from oxiconv import ops
from oxiconv.layers.layer import Layer
from oxiconv.layers.wrapper import Wrapper
from oxiconv.tensor import ShapeError, Tensor


class TimeDistributed(Wrapper):
    """Applies a layer to each `inputs[:, t]`.

    Where samples are independent in the layer, its steps are samples of one larger batch; otherwise (batch statistics
    in training, layers of other origin) the steps run one after another.

    Args:
        layer: the layer, or a model.
        **kwargs: those of `Layer`.

    Example:
        >>> import numpy as np
        >>> from oxiconv import layers
        >>> TimeDistributed(layers.Conv2D(4, 3))(np.zeros((2, 10, 8, 8, 3))).shape
        (2, 10, 6, 6, 4)
    """

    supports_masking = True

    def build(self, input_shape: Any = None) -> None:
        """Builds the layer for one step."""
        super().build(self._step_shape(input_shape))

    def _step_shape(self, shape: Any) -> tuple[Any, ...]:
        if shape is None or len(shape) < 3:
            raise ShapeError(f"{self._label}: expected inputs [n, time, ..] of at least 3 axes, got shape {shape}")
        return (shape[0], *shape[2:])

    def compute_output_shape(self, input_shape: Any) -> Any:
        """The layer's for one step, with the time after the batch."""
        step = self.layer.compute_output_shape(self._step_shape(input_shape))
        return (step[0], input_shape[1], *step[1:])

    def call(self, inputs: Any, training: Any = None, mask: Any = None) -> Tensor:
        """The layer of each step, along axis 1."""
        if mask is not None and tuple(mask.shape[:2]) != tuple(inputs.shape[:2]):
            raise ShapeError(
                f"{self._label}: expected a mask whose shape begins with {tuple(inputs.shape[:2])}, got {mask.shape}"
            )
        parameters = inspect.signature(self.layer.call).parameters
        kwargs = {"training": training} if "training" in parameters else {}
        masked = mask is not None and "mask" in parameters
        batch, steps, *sizes = inputs.shape
        if not masked and samples_are_independent(self.layer, bool(training)):
            outputs = self.layer.call(ops.reshape(inputs, (batch * steps, *sizes)), **kwargs)
            return ops.reshape(outputs, (batch, steps, *outputs.shape[1:]))
        outputs = []
        for t in range(steps):
            if masked:
                kwargs["mask"] = mask[:, t]
            outputs.append(self.layer.call(inputs[:, t], **kwargs))
        return ops.stack(outputs, axis=1)


def samples_are_independent(layer: Layer, training: bool) -> bool:
    """Whether a batch gives what its samples give one by one (but for the numbers that dropout draws).

    True where that is known: for layers of this package that in training have no state of their own but weights.
    """
    if getattr(layer, "stateful", False) or not type(layer).__module__.startswith("oxiconv."):
        return False
    if layer.activity_regularizer is not None or getattr(layer, "function", None) is not None:
        return False
    fixed_noise = getattr(layer, "noise_shape", None)
    if fixed_noise is not None and fixed_noise[0] is not None:
        return False
    if training and any(not v.created_trainable for v in layer._own_variables()):
        return False
    if any(not isinstance(node, Layer) for node in getattr(layer, "operations", ())):
        return False
    return all(samples_are_independent(inner, training) for inner in layer._layers)
