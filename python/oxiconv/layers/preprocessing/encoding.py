"""Whole numbers as vectors."""

from __future__ import annotations

from typing import Any, ClassVar

from oxiconv import ops
from oxiconv.layers.layer import Layer
from oxiconv.ops.convolution import positive
from oxiconv.tensor import Tensor, convert

_MODES = ("multi_hot", "one_hot", "count")


class CategoryEncoding(Layer):
    """Whole numbers below `num_tokens` as vectors of that length.

    Args:
        num_tokens: how many different numbers there are.
        output_mode: "multi_hot" (which numbers are in the last axis), "count" (how often), or "one_hot" (each number a
            vector; a last axis of 1 is taken away).
        sparse: False; sparse tensors are not supported.
        **kwargs: those of `Layer`.

    Example:
        >>> import numpy as np
        >>> CategoryEncoding(4, "count")(np.array([[0, 2, 2]])).numpy().tolist()
        [[1.0, 0.0, 2.0, 0.0]]
    """

    config_fields: ClassVar[tuple[str, ...]] = ("num_tokens", "output_mode")

    def __init__(
        self, num_tokens: int | None = None, output_mode: str = "multi_hot", sparse: bool = False, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        if sparse:
            raise ValueError(f"{self._label}: expected sparse=False; sparse tensors are not supported")
        output_mode = "multi_hot" if output_mode == "binary" else output_mode
        if output_mode not in _MODES:
            raise ValueError(f"{self._label}: expected output_mode {', '.join(_MODES)}, got {output_mode!r}")
        self.num_tokens = positive(num_tokens, self._label, "num_tokens")
        self.output_mode = output_mode
        self.sparse = False

    def call(self, inputs: Any, count_weights: Any = None) -> Tensor:
        """The vectors; `count_weights`, of the inputs' shape, are what each number counts."""
        if count_weights is not None and self.output_mode != "count":
            raise ValueError(f"{self._label}: expected count_weights only with output_mode 'count'")
        numbers = convert(inputs, "int32")
        if not numbers.traced and numbers.size:
            low, high = int(numbers.numpy().min()), int(numbers.numpy().max())
            if low < 0 or high >= self.num_tokens:
                raise ValueError(
                    f"{self._label}: expected numbers from 0 to {self.num_tokens - 1}, got {low} to {high}"
                )
        numbers = ops.reshape(numbers, (1,)) if numbers.ndim == 0 else numbers
        if self.output_mode == "one_hot":
            if numbers.ndim > 1 and numbers.shape[-1] == 1:
                numbers = ops.squeeze(numbers, -1)
            return ops.one_hot(numbers, self.num_tokens, dtype=self.compute_dtype)
        vectors = ops.one_hot(numbers, self.num_tokens, dtype=self.compute_dtype)
        if self.output_mode == "multi_hot":
            return ops.max(vectors, axis=-2)
        if count_weights is not None:
            vectors = vectors * ops.expand_dims(ops.reshape(count_weights, numbers.shape), -1)
        return ops.sum(vectors, axis=-2)
