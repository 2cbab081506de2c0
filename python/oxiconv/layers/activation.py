"""Activations as layers."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any, ClassVar

from oxiconv import activations, constraints, initializers, ops, regularizers
from oxiconv.layers.input_spec import InputSpec
from oxiconv.layers.layer import Layer
from oxiconv.tensor import ShapeError, Tensor


class Activation(Layer):
    """A function of `activations` by name, or any callable, as a layer.

    Args:
        activation: name or function.
        **kwargs: those of `Layer`.

    Example:
        >>> Activation("relu")([-1.0, 2.0]).numpy().tolist()
        [0.0, 2.0]
    """

    supports_masking = True
    _nothing_to_build = True

    config_fields: ClassVar[tuple[str, ...]] = ("activation",)

    def __init__(self, activation: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.activation = activations.get(activation)

    def call(self, inputs: Tensor) -> Tensor:
        """The function of the inputs."""
        result: Tensor = self.activation(inputs)
        return result


class ReLU(Layer):
    """`x` above `threshold`, at most `max_value`; `negative_slope * (x - threshold)` below.

    Args:
        max_value: upper limit, at least 0, or None.
        negative_slope: slope below the threshold, at least 0.
        threshold: at least 0.
        **kwargs: those of `Layer`.
    """

    supports_masking = True
    _nothing_to_build = True

    config_fields: ClassVar[tuple[str, ...]] = ("max_value", "negative_slope", "threshold")

    def __init__(
        self,
        max_value: float | None = None,
        negative_slope: float = 0.0,
        threshold: float = 0.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        for name, value in (("max_value", max_value), ("negative_slope", negative_slope), ("threshold", threshold)):
            if (value is None and name != "max_value") or (value is not None and not value >= 0):
                raise ValueError(f"{self._label}: expected {name} of at least 0, got {value!r}")
        self.max_value, self.negative_slope, self.threshold = max_value, negative_slope, threshold

    def call(self, inputs: Tensor) -> Tensor:
        """The activated inputs."""
        return activations.relu(inputs, self.negative_slope, self.max_value, self.threshold)


class LeakyReLU(Layer):
    """`x`, times `negative_slope` where negative.

    Args:
        negative_slope: at least 0.
        **kwargs: those of `Layer`; `alpha` is the old name of `negative_slope`.
    """

    supports_masking = True
    _nothing_to_build = True

    config_fields: ClassVar[tuple[str, ...]] = ("negative_slope",)

    def __init__(self, negative_slope: float = 0.3, **kwargs: Any) -> None:
        if "alpha" in kwargs:
            negative_slope = kwargs.pop("alpha")
            warnings.warn("LeakyReLU: alpha is now called negative_slope", DeprecationWarning, stacklevel=2)
        super().__init__(**kwargs)
        if not negative_slope >= 0:
            raise ValueError(f"{self._label}: expected negative_slope of at least 0, got {negative_slope!r}")
        self.negative_slope = negative_slope

    def call(self, inputs: Tensor) -> Tensor:
        """The activated inputs."""
        return ops.leaky_relu(inputs, self.negative_slope)


class ELU(Layer):
    """`x` where positive, else `alpha * (exp(x) - 1)`.

    Args:
        alpha: factor.
        **kwargs: those of `Layer`.
    """

    supports_masking = True
    _nothing_to_build = True

    config_fields: ClassVar[tuple[str, ...]] = ("alpha",)

    def __init__(self, alpha: float = 1.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.alpha = alpha

    def call(self, inputs: Tensor) -> Tensor:
        """The activated inputs."""
        return ops.elu(inputs, self.alpha)


class Softmax(Layer):
    """Exponentials that sum to 1 along `axis`.

    Args:
        axis: an axis, or several.
        **kwargs: those of `Layer`.
    """

    supports_masking = True
    _nothing_to_build = True

    config_fields: ClassVar[tuple[str, ...]] = ("axis",)

    def __init__(self, axis: int | Sequence[int] = -1, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.axis = axis if isinstance(axis, int) else list(axis)

    def call(self, inputs: Tensor, mask: Tensor | None = None) -> Tensor:
        """The activated inputs; 0 where `mask`, which broadcasts against them, is false or at most 0.5."""
        if mask is None:
            return ops.softmax(inputs, self.axis)
        if mask.ndim > inputs.ndim or any(
            m not in (1, n) for m, n in zip(mask.shape[::-1], inputs.shape[::-1], strict=False)
        ):
            raise ShapeError(f"softmax: expected a mask that broadcasts to {inputs.shape}, got shape {mask.shape}")
        mask = mask if mask.dtype == "bool" else ops.greater(mask, 0.5)
        # Far below all else, but finite: a row without any is a row of equal shares, then of zeros.
        low = -3e4 if inputs.dtype == "float16" else -1e9
        return ops.where(mask, ops.softmax(ops.where(mask, inputs, low), self.axis), 0.0)


class PReLU(Layer):
    """`x` where positive, else `alpha * x` with a learned `alpha` per position.

    Args:
        alpha_initializer: of `alpha`.
        alpha_regularizer: penalty on `alpha`.
        alpha_constraint: applied to `alpha` after each step.
        shared_axes: axes, counted from 1, along which `alpha` is one.
        **kwargs: those of `Layer`.
    """

    supports_masking = True

    config_fields: ClassVar[tuple[str, ...]] = (
        "alpha_initializer",
        "alpha_regularizer",
        "alpha_constraint",
        "shared_axes",
    )

    def __init__(
        self,
        alpha_initializer: Any = "Zeros",
        alpha_regularizer: Any = None,
        alpha_constraint: Any = None,
        shared_axes: int | Sequence[int] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.alpha_initializer = initializers.get(alpha_initializer)
        self.alpha_regularizer = regularizers.get(alpha_regularizer)
        self.alpha_constraint = constraints.get(alpha_constraint)
        self.shared_axes = [shared_axes] if isinstance(shared_axes, int) else shared_axes and list(shared_axes)

    def build(self, input_shape: Any) -> None:
        """Makes alpha."""
        shared = self.shared_axes or []
        sizes = [1 if axis in shared else n for axis, n in enumerate(input_shape)][1:]
        if None in sizes:
            raise ValueError(
                f"{self._label}: build: expected known sizes or shared_axes, got shape {input_shape} and {shared}"
            )
        self.alpha = self.add_weight(
            sizes,
            self.alpha_initializer,
            regularizer=self.alpha_regularizer,
            constraint=self.alpha_constraint,
            name="alpha",
        )
        fixed = {axis: n for axis, n in enumerate(input_shape) if axis and axis not in shared}
        self.input_spec = InputSpec(ndim=len(input_shape), axes=fixed)

    def call(self, inputs: Tensor) -> Tensor:
        """The activated inputs."""
        return ops.maximum(inputs, 0.0) + self.alpha * ops.minimum(inputs, 0.0)
