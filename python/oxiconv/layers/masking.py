"""The layer that marks steps of a sequence to be skipped."""

from __future__ import annotations

from typing import Any, ClassVar

from oxiconv import ops
from oxiconv.layers.layer import Layer
from oxiconv.tensor import Tensor


class Masking(Layer):
    """Masks the steps of which every feature is `mask_value`, and sets them to 0: later layers skip them.

    Args:
        mask_value: the value.
        **kwargs: those of `Layer`.

    Example:
        >>> import numpy as np
        >>> layer = Masking(-1.0)
        >>> x = np.array([[[1.0, -1.0], [-1.0, -1.0]]])
        >>> layer(x).numpy().tolist(), layer.compute_mask(x).numpy().tolist()
        ([[[1.0, -1.0], [0.0, 0.0]]], [[True, False]])
    """

    supports_masking = True
    config_fields: ClassVar[tuple[str, ...]] = ("mask_value",)

    def __init__(self, mask_value: float = 0.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.mask_value = mask_value

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        """Which steps have a feature that is not `mask_value`."""
        return ops.any(ops.not_equal(inputs, self.mask_value), axis=-1)

    def call(self, inputs: Any) -> Tensor:
        """The inputs, with masked steps as zeros."""
        valid = ops.any(ops.not_equal(inputs, self.mask_value), axis=-1, keepdims=True)
        return ops.where(valid, inputs, 0)

    def compute_output_shape(self, input_shape: Any) -> Any:
        """The shape of the inputs."""
        return input_shape
