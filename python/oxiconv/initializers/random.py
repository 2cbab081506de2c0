"""Random initializers. An instance returns the same values on each call, unless its seed is a `SeedGenerator`."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from oxiconv.initializers.initializer import Initializer
from oxiconv.random.seed import SeedGenerator, next_seed
from oxiconv.tensor import ShapeError, Tensor, convert

if TYPE_CHECKING:
    from numpy.typing import NDArray

# Deviation of a standard normal distribution cut at 2: dividing by it restores deviation 1.
_CUT_DEVIATION = 0.87962566103423978


class RandomInitializer(Initializer):
    """Base of random initializers. `seed` is an integer, a `SeedGenerator`, or None: derived from the global seed."""

    def __init__(self, seed: int | SeedGenerator | None = None) -> None:
        if isinstance(seed, Mapping):
            from oxiconv.saving.serialization import deserialize_keras_object

            seed = deserialize_keras_object(seed)
        if seed is not None and (isinstance(seed, bool) or not isinstance(seed, (int, np.integer, SeedGenerator))):
            raise ValueError(f"{type(self).__name__}: expected an integer seed or a SeedGenerator, got {seed!r}")
        self._given = seed
        self.seed = next_seed() if seed is None else seed

    def sample(self, shape: tuple[int, ...], generator: np.random.Generator) -> NDArray[Any]:
        """Values of `shape` in float64. Subclasses define it."""
        raise NotImplementedError(f"{type(self).__name__}: expected a class that defines sample")

    def __call__(self, shape: Sequence[int], dtype: Any = None) -> Tensor:
        """A tensor of `shape`."""
        if isinstance(self.seed, SeedGenerator):
            key = int.from_bytes(self.seed.next().numpy().tobytes(), "little")
        else:
            key = int(self.seed) % 2**64
        generator = np.random.Generator(np.random.Philox(key=key))
        return convert(self.sample(tuple(int(n) for n in shape), generator).astype(np.float32), dtype, copy=False)

    def get_config(self) -> dict[str, Any]:
        """The arguments that make an equal initializer."""
        from oxiconv.saving.serialization import serialize_keras_object

        return {"seed": serialize_keras_object(self._given)}


def _truncated(shape: tuple[int, ...], generator: np.random.Generator) -> NDArray[Any]:
    """Standard normal values within 2, by drawing again those outside."""
    values = generator.standard_normal(shape)
    flat = values.reshape(-1)
    while (outside := np.flatnonzero(np.abs(flat) > 2.0)).size:
        flat[outside] = generator.standard_normal(outside.size)
    return flat.reshape(shape)


class RandomNormal(RandomInitializer):
    """Normal distribution."""

    def __init__(self, mean: float = 0.0, stddev: float = 0.05, seed: int | SeedGenerator | None = None) -> None:
        self.mean, self.stddev = mean, stddev
        super().__init__(seed)

    def sample(self, shape: tuple[int, ...], generator: np.random.Generator) -> NDArray[Any]:
        """Values of `shape`."""
        return self.mean + self.stddev * generator.standard_normal(shape)

    def get_config(self) -> dict[str, Any]:
        """The arguments that make an equal initializer."""
        return {"mean": self.mean, "stddev": self.stddev, **super().get_config()}


class TruncatedNormal(RandomNormal):
    """Normal distribution cut at two deviations from the mean."""

    def sample(self, shape: tuple[int, ...], generator: np.random.Generator) -> NDArray[Any]:
        """Values of `shape`."""
        return self.mean + self.stddev * _truncated(shape, generator)


class RandomUniform(RandomInitializer):
    """Uniform distribution on `[minval, maxval)`."""

    def __init__(self, minval: float = -0.05, maxval: float = 0.05, seed: int | SeedGenerator | None = None) -> None:
        self.minval, self.maxval = minval, maxval
        super().__init__(seed)

    def sample(self, shape: tuple[int, ...], generator: np.random.Generator) -> NDArray[Any]:
        """Values of `shape`."""
        return generator.uniform(self.minval, self.maxval, shape)

    def get_config(self) -> dict[str, Any]:
        """The arguments that make an equal initializer."""
        return {"minval": self.minval, "maxval": self.maxval, **super().get_config()}


def compute_fans(
    shape: Sequence[int], input_axes: Sequence[int] | None = None, output_axes: Sequence[int] | None = None
) -> tuple[int, int]:
    """Inputs and outputs of a weight: for a convolution kernel, channels times kernel positions.

    With both `input_axes` and `output_axes`, they are the products of the sizes of those axes.

    Example:
        >>> compute_fans((3, 3, 16, 32))
        (144, 288)
    """
    if input_axes is not None and output_axes is not None:
        return math.prod(int(shape[axis]) for axis in input_axes), math.prod(int(shape[axis]) for axis in output_axes)
    if len(shape) < 2:
        n = int(np.prod(shape, dtype=np.int64))
        return n, n
    field = int(np.prod(shape[:-2], dtype=np.int64))
    return int(shape[-2]) * field, int(shape[-1]) * field


class VarianceScaling(RandomInitializer):
    """Mean 0 and variance `scale / n`, where `n` is the fan-in, the fan-out or their mean.

    Args:
        scale: positive factor.
        mode: "fan_in", "fan_out" or "fan_avg".
        distribution: "truncated_normal" (also "normal"), "untruncated_normal" or "uniform".
        seed: see `RandomInitializer`.
        input_axes: the axes that count as inputs, for weights that are no kernels.
        output_axes: the axes that count as outputs.
    """

    def __init__(
        self,
        scale: float = 1.0,
        mode: str = "fan_in",
        distribution: str = "truncated_normal",
        seed: int | SeedGenerator | None = None,
        input_axes: Sequence[int] | None = None,
        output_axes: Sequence[int] | None = None,
    ) -> None:
        if scale <= 0:
            raise ValueError(f"VarianceScaling: expected a positive scale, got {scale}")
        if mode not in ("fan_in", "fan_out", "fan_avg"):
            raise ValueError(f"VarianceScaling: expected mode 'fan_in', 'fan_out' or 'fan_avg', got {mode!r}")
        distribution = {"normal": "truncated_normal"}.get(distribution.lower(), distribution.lower())
        if distribution not in ("truncated_normal", "untruncated_normal", "uniform"):
            raise ValueError(
                "VarianceScaling: expected distribution 'truncated_normal', 'untruncated_normal' or 'uniform', "
                f"got {distribution!r}"
            )
        self.scale, self.mode, self.distribution = scale, mode, distribution
        self.input_axes, self.output_axes = input_axes, output_axes
        super().__init__(seed)

    def sample(self, shape: tuple[int, ...], generator: np.random.Generator) -> NDArray[Any]:
        """Values of `shape`."""
        fan_in, fan_out = compute_fans(shape, self.input_axes, self.output_axes)
        n = {"fan_in": fan_in, "fan_out": fan_out, "fan_avg": (fan_in + fan_out) / 2}[self.mode]
        variance = self.scale / max(1.0, n)
        if self.distribution == "uniform":
            limit = math.sqrt(3.0 * variance)
            return generator.uniform(-limit, limit, shape)
        if self.distribution == "truncated_normal":
            return math.sqrt(variance) / _CUT_DEVIATION * _truncated(shape, generator)
        return math.sqrt(variance) * generator.standard_normal(shape)

    def get_config(self) -> dict[str, Any]:
        """The arguments that make an equal initializer."""
        own = {"scale": self.scale, "mode": self.mode, "distribution": self.distribution}
        return {**own, **super().get_config(), "input_axes": self.input_axes, "output_axes": self.output_axes}


class _Scaled(VarianceScaling):
    """A named case of `VarianceScaling`."""

    _case: tuple[float, str, str]

    def __init__(
        self,
        seed: int | SeedGenerator | None = None,
        input_axes: Sequence[int] | None = None,
        output_axes: Sequence[int] | None = None,
    ) -> None:
        super().__init__(*self._case, seed, input_axes, output_axes)

    def get_config(self) -> dict[str, Any]:
        """The arguments that make an equal initializer."""
        config = super().get_config()
        return {name: config[name] for name in ("seed", "input_axes", "output_axes")}


class GlorotUniform(_Scaled):
    """Uniform within `sqrt(6 / (fan_in + fan_out))`."""

    _case = (1.0, "fan_avg", "uniform")


class GlorotNormal(_Scaled):
    """Truncated normal of variance `2 / (fan_in + fan_out)`."""

    _case = (1.0, "fan_avg", "truncated_normal")


class HeNormal(_Scaled):
    """Truncated normal of variance `2 / fan_in`."""

    _case = (2.0, "fan_in", "truncated_normal")


class HeUniform(_Scaled):
    """Uniform within `sqrt(6 / fan_in)`."""

    _case = (2.0, "fan_in", "uniform")


class LecunNormal(_Scaled):
    """Truncated normal of variance `1 / fan_in`."""

    _case = (1.0, "fan_in", "truncated_normal")


class LecunUniform(_Scaled):
    """Uniform within `sqrt(3 / fan_in)`."""

    _case = (1.0, "fan_in", "uniform")


class Orthogonal(RandomInitializer):
    """`gain` times a random matrix with orthonormal rows or columns; leading axes count as rows."""

    def __init__(self, gain: float = 1.0, seed: int | SeedGenerator | None = None) -> None:
        self.gain = gain
        super().__init__(seed)

    def sample(self, shape: tuple[int, ...], generator: np.random.Generator) -> NDArray[Any]:
        """Values of `shape`, which has at least 2 axes."""
        if len(shape) < 2:
            raise ShapeError(f"Orthogonal: expected a shape of at least 2 axes, got {shape}")
        rows, columns = int(np.prod(shape[:-1], dtype=np.int64)), shape[-1]
        q, r = np.linalg.qr(generator.standard_normal((max(rows, columns), min(rows, columns))))
        q = q * np.sign(np.diag(r))  # makes the distribution uniform
        return self.gain * (q.T if rows < columns else q).reshape(shape)

    def get_config(self) -> dict[str, Any]:
        """The arguments that make an equal initializer."""
        return {"gain": self.gain, **super().get_config()}
