"""The inputs of functional models."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from oxiconv import config
from oxiconv.layers.layer import Layer
from oxiconv.symbolic import KerasTensor


class InputLayer(Layer):
    """The node of an input. `Input` makes one and returns its tensor.

    Args:
        shape: sizes without the batch axis, None where unknown.
        batch_size: size of the batch axis.
        dtype: element type.
        sparse: must be false.
        ragged: must be false.
        batch_shape: sizes with the batch axis, instead of `shape`.
        input_tensor: a symbolic tensor to use.
        optional: whether None may be passed.
        name: of the input.
    """

    def __init__(
        self,
        shape: Sequence[int | None] | None = None,
        batch_size: int | None = None,
        dtype: Any = None,
        sparse: bool | None = None,
        ragged: bool | None = None,
        batch_shape: Sequence[int | None] | None = None,
        input_tensor: KerasTensor | None = None,
        optional: bool = False,
        name: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(name=name)
        shape = kwargs.pop("input_shape", shape)
        batch_shape = kwargs.pop("batch_input_shape", batch_shape)
        if kwargs:
            raise TypeError(f"InputLayer: unexpected arguments {', '.join(kwargs)}")
        if sparse or ragged:
            raise ValueError(f"{self._label}: expected a dense input; sparse and ragged ones are not supported")
        if isinstance(shape, int):
            shape = (shape,)
        if (shape is None) == (batch_shape is None) and input_tensor is None:
            raise ValueError(f"{self._label}: expected either shape or batch_shape, got {shape} and {batch_shape}")
        if input_tensor is None:
            sizes = (batch_size, *shape) if shape is not None else tuple(batch_shape or ())
            if any(n is not None and (isinstance(n, bool) or not isinstance(n, int) or n < 0) for n in sizes):
                raise ValueError(f"{self._label}: expected sizes of at least 0 or None, got {sizes}")
            input_tensor = KerasTensor(sizes, dtype or config.floatx(), name=self.name)
        self.optional = optional
        self.batch_shape = input_tensor.shape
        self._dtype = input_tensor.dtype
        self.built = True
        self.record((), {}, input_tensor)

    def call(self) -> None:
        """Nothing: the value is given."""

    @property
    def dtype(self) -> str:
        """The element type of the input."""
        return self._dtype

    def get_config(self) -> dict[str, Any]:
        """The arguments that make an equal layer."""
        return {
            "batch_shape": self.batch_shape,
            "dtype": self.dtype,
            "sparse": False,
            "ragged": False,
            "name": self.name,
            "optional": self.optional,
        }


def Input(
    shape: Sequence[int | None] | None = None,
    batch_size: int | None = None,
    dtype: Any = None,
    sparse: bool | None = None,
    ragged: bool | None = None,
    batch_shape: Sequence[int | None] | None = None,
    name: str | None = None,
    tensor: KerasTensor | None = None,
    optional: bool = False,
) -> KerasTensor:
    """A symbolic tensor that a functional model takes as input.

    Args:
        shape: sizes without the batch axis, None where unknown.
        batch_size: size of the batch axis.
        dtype: element type, by default float32.
        sparse: must be false.
        ragged: must be false.
        batch_shape: sizes with the batch axis, instead of `shape`.
        name: of the input.
        tensor: a symbolic tensor to use.
        optional: whether None may be passed.

    Example:
        >>> Input((28, 28, 1), name="image").shape
        (None, 28, 28, 1)
    """
    layer = InputLayer(shape, batch_size, dtype, sparse, ragged, batch_shape, tensor, optional, name)
    tensor = layer.output
    assert isinstance(tensor, KerasTensor)
    return tensor
