"""Features with mean 0 and variance 1."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, ClassVar

import numpy as np

from oxiconv import ops
from oxiconv.config import epsilon
from oxiconv.layers.input_spec import InputSpec
from oxiconv.layers.layer import Layer
from oxiconv.tensor import ShapeError, Tensor
from oxiconv.variable import Variable


class Normalization(Layer):
    """`(inputs - mean) / sqrt(variance)`, with mean and variance given or learned from data by `adapt`.

    Args:
        axis: the axes along which mean and variance differ: an integer, several, or None for one of each.
        mean: known means; None leaves them to `adapt`.
        variance: known variances, of the means' shape.
        invert: whether the inverse is computed.
        **kwargs: those of `Layer`.

    Example:
        >>> import numpy as np
        >>> layer = Normalization()
        >>> layer.adapt(np.array([[1.0], [3.0]]))
        >>> layer([[5.0]]).numpy().tolist()
        [[3.0]]
    """

    config_fields: ClassVar[tuple[str, ...]] = ("axis", "invert")

    def __init__(
        self,
        axis: int | Sequence[int] | None = -1,
        mean: Any = None,
        variance: Any = None,
        invert: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.axis = () if axis is None else (axis,) if isinstance(axis, int) else tuple(axis)
        if np.shape(mean) != np.shape(variance) or (mean is None) != (variance is None):
            raise ValueError(f"{self._label}: expected mean and variance of one shape, got {mean!r} and {variance!r}")
        if np.ndim(mean) > len(self.axis) and mean is not None:
            raise ValueError(f"{self._label}: expected mean for {len(self.axis)} axes, got shape {np.shape(mean)}")
        self.input_mean = mean
        self.input_variance = variance
        self.invert = invert
        self._kept: tuple[int, ...] = ()
        self._sizes: tuple[int | None, ...] = ()
        self.adapt_mean: Variable | None = None
        self.adapt_variance: Variable | None = None

    def build(self, input_shape: Any) -> None:
        """Makes the weights: none if mean and variance are given."""
        rank = len(input_shape)
        if any(not -rank <= a < rank for a in self.axis):
            raise ShapeError(f"{self._label}: expected axes within {rank} axes, got {self.axis}")
        self._kept = tuple(sorted(a % rank for a in self.axis))
        self._sizes = tuple(input_shape)
        sizes = tuple(input_shape[a] for a in self._kept)
        if None in sizes:
            raise ShapeError(f"{self._label}: expected known sizes along {self.axis}, got shape {tuple(input_shape)}")
        # Counted from the end: an input without the batch axis goes through, as in Keras.
        self.input_spec = InputSpec(axes={a - rank: input_shape[a] for a in self._kept})
        if self.input_mean is None:
            self.adapt_mean = self.add_weight(sizes, "zeros", trainable=False, name="mean")
            self.adapt_variance = self.add_weight(sizes, "ones", trainable=False, name="variance")
            self.count = self.add_weight((), "zeros", "int", trainable=False, name="count")

    def _placed(self, given: Any, learned: Variable | None) -> Tensor:
        """A statistic in a shape that broadcasts to the inputs."""
        sizes = [n or 1 if a in self._kept else 1 for a, n in enumerate(self._sizes)]
        if learned is not None:
            return ops.reshape(learned.value, sizes)
        value = np.asarray(given, np.float32)
        dims = [1] * len(sizes)
        for axis, size in zip(reversed(self._kept), reversed(value.shape), strict=False):
            dims[axis] = size
        return ops.broadcast_to(value.reshape(dims), sizes)

    @property
    def mean(self) -> Tensor | None:
        """The means, in a shape that broadcasts to the inputs; None before the layer is built."""
        return self._placed(self.input_mean, self.adapt_mean) if self.built else None

    @property
    def variance(self) -> Tensor | None:
        """The variances, in a shape that broadcasts to the inputs; None before the layer is built."""
        return self._placed(self.input_variance, self.adapt_variance) if self.built else None

    def adapt(self, data: Any) -> None:
        """Learns mean and variance.

        Args:
            data: an array or tensor, a `PyDataset`, or an iterable of batches; of tuples the first is taken.
        """
        if self.input_mean is not None:
            raise ValueError(f"{self._label}: adapt: expected a layer without mean and variance, got {self.input_mean}")
        total, count, mean, variance = 0.0, 0, np.zeros(()), np.zeros(())
        for batch in _batches(data):
            array = np.asarray(ops.convert_to_numpy(batch), np.float64)
            if not self.built:
                self.build(array.shape)
            wrong = [a for a in self._kept if array.ndim != len(self._sizes) or array.shape[a] != self._sizes[a]]
            if wrong:
                raise ShapeError(f"{self._label}: adapt: expected data of shape {self._sizes}, got {array.shape}")
            axes = tuple(a for a in range(array.ndim) if a not in self._kept)
            count += 1
            size = float(np.prod([array.shape[a] for a in axes])) if axes else 1.0
            total += size
            share = size / total
            here = array.mean(axes)
            # Chan, Golub, LeVeque, Updating Formulae and a Pairwise Algorithm for Computing Sample Variances (1979).
            variance = (1 - share) * variance + share * array.var(axes) + share * (1 - share) * (here - mean) ** 2
            mean = mean + share * (here - mean)
        if not count:
            raise ValueError(f"{self._label}: adapt: expected at least one batch, got none")
        assert self.adapt_mean is not None
        assert self.adapt_variance is not None
        self.adapt_mean.assign(mean.astype(np.float32))
        self.adapt_variance.assign(variance.astype(np.float32))

    def call(self, inputs: Any) -> Tensor:
        """The normalized inputs."""
        x = ops.cast(inputs, self.compute_dtype)
        deviation = ops.maximum(ops.sqrt(self._placed(self.input_variance, self.adapt_variance)), epsilon())
        mean = self._placed(self.input_mean, self.adapt_mean)
        return mean + x * deviation if self.invert else (x - mean) / deviation

    def get_config(self) -> dict[str, Any]:
        """The arguments that make an equal layer."""
        config = super().get_config()
        config["mean"] = np.array(self.input_mean).tolist()
        config["variance"] = np.array(self.input_variance).tolist()
        return config


def _batches(data: Any) -> Iterator[Any]:
    if isinstance(data, (np.ndarray, Tensor)):
        yield data
        return
    if hasattr(data, "num_batches"):
        items: Iterator[Any] = (data[index] for index in range(data.num_batches))
    else:
        items = iter(data)
    for item in items:
        yield item[0] if isinstance(item, tuple) else item
