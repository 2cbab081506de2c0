"""Layers that act in training only, by chance."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, ClassVar

from oxiconv import ops, random, regularizers
from oxiconv.layers.input_spec import InputSpec
from oxiconv.layers.layer import Layer
from oxiconv.ops.convolution import data_format_of
from oxiconv.random.seed import SeedGenerator
from oxiconv.tensor import Tensor

# What `selu` approaches for small arguments: minus its scale times its alpha.
_SELU_LIMIT = -1.0507009873554805 * 1.6732632423543772


def _rate(rate: Any, label: str) -> float:
    if isinstance(rate, bool) or not isinstance(rate, (int, float)) or not 0 <= rate <= 1:
        raise ValueError(f"{label}: expected a rate from 0 to 1, got {rate!r}")
    return rate


class Dropout(Layer):
    """In training, sets a share `rate` of the inputs to 0 and divides the rest by `1 - rate`.

    Args:
        rate: share of zeros, from 0 to 1.
        noise_shape: sizes of the random choice, which broadcasts; None is the inputs' size of that axis.
        seed: integer; None derives one from the global seed.
        **kwargs: those of `Layer`.

    Example:
        >>> import numpy as np
        >>> layer = Dropout(0.5, seed=1)
        >>> x = np.ones((1, 1000), "float32")
        >>> float(layer(x).numpy().mean()), sorted(set(layer(x, training=True).numpy().ravel().tolist()))
        (1.0, [0.0, 2.0])
    """

    supports_masking = True
    _nothing_to_build = True

    config_fields: ClassVar[tuple[str, ...]] = ("rate", "seed", "noise_shape")

    def __init__(
        self,
        rate: float,
        noise_shape: Sequence[int | None] | None = None,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.rate = _rate(rate, self._label)
        self.noise_shape = None if noise_shape is None else tuple(noise_shape)
        self.seed = seed
        self.seed_generator = SeedGenerator(seed)

    def call(self, inputs: Tensor, training: bool = False) -> Tensor:
        """The inputs with or without dropout."""
        if not training or self.rate == 0:
            return ops.convert_to_tensor(inputs)
        return random.dropout(inputs, self.rate, self.noise_shape, self.seed_generator)


class _SpatialDropout(Dropout):
    """In training, sets a share `rate` of whole channels to 0 and divides the rest by `1 - rate`."""

    rank: ClassVar[int]

    def __init__(
        self,
        rate: float,
        data_format: str | None = None,
        seed: int | None = None,
        name: str | None = None,
        dtype: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(rate, seed=seed, name=name, dtype=dtype, **kwargs)
        self.data_format = data_format_of(data_format, self._label)
        ones = (1,) * self.rank
        self.noise_shape = (None, *ones, None) if self.data_format == "channels_last" else (None, None, *ones)
        self.input_spec = InputSpec(ndim=self.rank + 2)

    def get_config(self) -> dict[str, Any]:
        """The arguments that make an equal layer: those that Keras writes."""
        config: dict[str, Any] = {"rate": self.rate, "seed": self.seed, "name": self.name, "dtype": self.dtype}
        if self.rank > 1:
            config["data_format"] = self.data_format
        return config


class SpatialDropout1D(_SpatialDropout):
    """Dropout of whole channels of `[n, steps, channels]`.

    Args:
        rate: share of channels set to 0.
        seed: integer; None derives one from the global seed.
        name: of the layer.
        dtype: element type.
        **kwargs: those of `Layer`.
    """

    rank = 1

    def __init__(
        self, rate: float, seed: int | None = None, name: str | None = None, dtype: Any = None, **kwargs: Any
    ) -> None:
        super().__init__(rate, "channels_last", seed, name, dtype, **kwargs)


class SpatialDropout2D(_SpatialDropout):
    """Dropout of whole channels of images.

    Args:
        rate: share of channels set to 0.
        data_format: "channels_last" or "channels_first"; None is the configured one.
        seed: integer; None derives one from the global seed.
        name: of the layer.
        dtype: element type.
        **kwargs: those of `Layer`.
    """

    rank = 2


class SpatialDropout3D(_SpatialDropout):
    """Dropout of whole channels of volumes. Arguments: see `SpatialDropout2D`."""

    rank = 3


class GaussianNoise(Layer):
    """In training, adds normally distributed numbers of deviation `stddev`.

    Args:
        stddev: deviation, from 0 to 1.
        seed: integer; None derives one from the global seed.
        **kwargs: those of `Layer`.
    """

    supports_masking = True
    _nothing_to_build = True

    config_fields: ClassVar[tuple[str, ...]] = ("stddev", "seed")

    def __init__(self, stddev: float, seed: int | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if not 0 <= stddev <= 1:
            raise ValueError(f"{self._label}: expected stddev from 0 to 1, got {stddev!r}")
        self.stddev = stddev
        self.seed = seed
        self.seed_generator = SeedGenerator(seed)

    def call(self, inputs: Tensor, training: bool = False) -> Tensor:
        """The inputs with or without noise."""
        if not training or self.stddev == 0:
            return ops.convert_to_tensor(inputs)
        noise = random.normal(inputs.shape, 0.0, self.stddev, seed=self.seed_generator)
        return ops.add(inputs, ops.cast(noise, inputs.dtype))


class GaussianDropout(Layer):
    """In training, multiplies by normally distributed numbers of mean 1 and deviation `sqrt(rate / (1 - rate))`.

    Args:
        rate: the rate of the `Dropout` of equal deviation, from 0 to below 1.
        seed: integer; None derives one from the global seed.
        **kwargs: those of `Layer`.

    Example:
        >>> import numpy as np
        >>> y = GaussianDropout(0.5, seed=1)(np.ones((1, 10000), "float32"), training=True).numpy()
        >>> round(float(y.mean()), 1), round(float(y.std()), 1)
        (1.0, 1.0)
    """

    supports_masking = True
    _nothing_to_build = True

    config_fields: ClassVar[tuple[str, ...]] = ("rate", "seed")

    def __init__(self, rate: float, seed: int | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.rate = _rate(rate, self._label)
        if rate == 1:
            raise ValueError(f"{self._label}: expected a rate below 1, of which the deviation is finite")
        self.seed = seed
        self.seed_generator = SeedGenerator(seed)

    def call(self, inputs: Tensor, training: bool = False) -> Tensor:
        """The inputs with or without noise."""
        if not training or self.rate == 0:
            return ops.convert_to_tensor(inputs)
        deviation = math.sqrt(self.rate / (1.0 - self.rate))
        factor = random.normal(inputs.shape, 1.0, deviation, seed=self.seed_generator)
        return ops.multiply(inputs, ops.cast(factor, inputs.dtype))


class AlphaDropout(Dropout):
    """In training, sets a share `rate` of the inputs to the negative limit of `selu`, keeping mean and variance.

    Klambauer et al., 2017. Arguments: see `Dropout`.

    Example:
        >>> import numpy as np
        >>> x = np.random.default_rng(0).normal(size=(1, 10000)).astype("float32")
        >>> y = AlphaDropout(0.3, seed=1)(x, training=True).numpy()
        >>> abs(round(float(y.mean()), 1)), round(float(y.std()), 1)
        (0.0, 1.0)
    """

    def call(self, inputs: Tensor, training: bool = False) -> Tensor:
        """The inputs with or without dropout."""
        if not training or self.rate == 0:
            return ops.convert_to_tensor(inputs)
        given = self.noise_shape or inputs.shape
        shape = [n if own is None else own for own, n in zip(given, inputs.shape, strict=True)]
        kept = ops.greater_equal(random.uniform(shape, seed=self.seed_generator), self.rate)
        factor = ((1.0 - self.rate) * (1.0 + self.rate * _SELU_LIMIT**2)) ** -0.5 if self.rate < 1 else 0.0
        dropped = ops.where(kept, ops.cast(inputs, "float32"), _SELU_LIMIT)
        return ops.cast(dropped * factor - factor * _SELU_LIMIT * self.rate, inputs.dtype)


class ActivityRegularization(Layer):
    """The inputs, with a penalty on them.

    Args:
        l1: factor of the sum of absolute values, which is divided by the batch size.
        l2: factor of the sum of squares, likewise.
        **kwargs: those of `Layer`.
    """

    supports_masking = True
    _nothing_to_build = True

    config_fields: ClassVar[tuple[str, ...]] = ("l1", "l2")

    def __init__(self, l1: float = 0.0, l2: float = 0.0, **kwargs: Any) -> None:
        super().__init__(activity_regularizer=regularizers.L1L2(l1=l1, l2=l2), **kwargs)
        self.l1 = l1
        self.l2 = l2

    def call(self, inputs: Tensor) -> Tensor:
        """The inputs."""
        return inputs

    def get_config(self) -> dict[str, Any]:
        """The arguments that make an equal layer."""
        config = super().get_config()
        del config["activity_regularizer"]
        return config
