"""Spectral normalization of another layer's kernel."""

from __future__ import annotations

from typing import Any, ClassVar

from oxiconv import initializers, ops
from oxiconv.layers.input_spec import InputSpec
from oxiconv.layers.layer import Layer
from oxiconv.layers.wrapper import Wrapper
from oxiconv.tensor import Tensor


class SpectralNormalization(Wrapper):
    """A layer whose kernel is divided by its largest singular value, in each call in training (Miyato et al., 2018).

    The value is estimated by power iteration, from a vector that is kept as a weight.

    Args:
        layer: a layer with a `kernel` or `embeddings`.
        power_iterations: how often per call, at least 1.
        **kwargs: those of `Layer`.

    Example:
        >>> import numpy as np
        >>> from oxiconv.layers import Dense
        >>> layer = SpectralNormalization(Dense(3), power_iterations=20)
        >>> _ = layer(np.ones((1, 2)), training=True)
        >>> round(float(np.linalg.norm(layer.layer.kernel.numpy(), 2)), 3)
        1.0
    """

    config_fields: ClassVar[tuple[str, ...]] = ("power_iterations",)

    def __init__(self, layer: Layer, power_iterations: int = 1, **kwargs: Any) -> None:
        super().__init__(layer, **kwargs)
        if not power_iterations > 0:
            raise ValueError(f"{self._label}: expected at least 1 power iteration, got {power_iterations!r}")
        self.power_iterations = power_iterations

    def build(self, input_shape: Any = None) -> None:
        """Builds the layer, and makes the vector."""
        super().build(input_shape)
        self.input_spec = InputSpec(min_ndim=1, axes={-1: input_shape[-1]})
        # Keras counts the kernel among this layer's own weights too, before the vector, in files as well.
        self.kernel = self._kernel()
        self.vector_u = self.add_weight(
            (1, self.kernel.shape[-1]),
            initializers.TruncatedNormal(stddev=0.02),
            dtype=self.kernel.dtype,
            trainable=False,
            name="vector_u",
        )

    def _kernel(self) -> Any:
        layer: Any = self.layer
        for name in ("kernel", "embeddings"):
            if hasattr(layer, name):
                return getattr(layer, name)
        raise ValueError(f"{self._label}: expected a layer with a kernel or embeddings, got {layer!r}")

    def call(self, inputs: Tensor, training: bool | None = False) -> Tensor:
        """The layer's outputs."""
        if training:
            held, u = self.kernel.value, self.vector_u.value
            # A kernel of zeros has no direction: it stays, and the vector too.
            zero = ops.all(ops.equal(held, 0.0))
            new_u, normalized = self._normalized(held, u)
            self.vector_u.assign(ops.where(zero, u, new_u))
            self.kernel.assign(ops.where(zero, held, normalized))
        outputs: Tensor = self.layer(inputs)
        return outputs

    def _normalized(self, kernel: Tensor, u: Tensor) -> tuple[Tensor, Tensor]:
        matrix = ops.reshape(kernel, (-1, kernel.shape[-1]))
        for _ in range(self.power_iterations):
            v = _unit(ops.matmul(u, ops.transpose(matrix)))
            u = _unit(ops.matmul(v, matrix))
        sigma = ops.sum(ops.matmul(v, matrix) * u)
        return u, kernel / ops.where(ops.equal(sigma, 0.0), 1.0, sigma)


def _unit(x: Tensor) -> Tensor:
    return ops.normalize(x, axis=1)
