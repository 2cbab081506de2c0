"""Normalizations of each sample on its own: over axes, over groups of channels, by root mean square or by length."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any, ClassVar

from oxiconv import ops
from oxiconv.layers.input_spec import InputSpec
from oxiconv.layers.layer import Layer
from oxiconv.layers.normalization import Affine
from oxiconv.ops.convolution import positive
from oxiconv.ops.reduction import axes_of
from oxiconv.tensor import Tensor


def _axis(axis: Any, label: str) -> int | list[int]:
    given = axis if isinstance(axis, (list, tuple)) else [axis]
    if not given or any(isinstance(a, bool) or not isinstance(a, int) for a in given):
        raise TypeError(f"{label}: expected an axis or a list of axes, got {axis!r}")
    return axis if isinstance(axis, int) else list(axis)


class LayerNormalization(Affine):
    """Mean 0 and variance 1 over `axis` of each sample, then scale `gamma` and shift `beta`.

    Args:
        axis: an axis, or several.
        epsilon: added to the variance.
        center: whether to add `beta`.
        scale: whether to multiply by `gamma`.
        beta_initializer: of `beta`.
        gamma_initializer: of `gamma`.
        beta_regularizer: penalty on `beta`.
        gamma_regularizer: penalty on `gamma`.
        beta_constraint: applied to `beta` after each step.
        gamma_constraint: applied to `gamma` after each step.
        **kwargs: those of `Layer`; `rms_scaling`, deprecated in Keras, divides by the deviation without centering.
    """

    config_fields: ClassVar[tuple[str, ...]] = ("axis", "epsilon", "rms_scaling")

    def __init__(
        self,
        axis: int | Sequence[int] = -1,
        epsilon: float = 1e-3,
        center: bool = True,
        scale: bool = True,
        beta_initializer: Any = "zeros",
        gamma_initializer: Any = "ones",
        beta_regularizer: Any = None,
        gamma_regularizer: Any = None,
        beta_constraint: Any = None,
        gamma_constraint: Any = None,
        **kwargs: Any,
    ) -> None:
        self.rms_scaling = bool(kwargs.pop("rms_scaling", False))
        super().__init__(
            center,
            scale,
            beta_initializer,
            gamma_initializer,
            beta_regularizer,
            gamma_regularizer,
            beta_constraint,
            gamma_constraint,
            **kwargs,
        )
        if self.rms_scaling:
            warnings.warn(
                f"{self._label}: rms_scaling divides by the deviation, not the root mean square, and is deprecated; "
                "use RMSNormalization.",
                DeprecationWarning,
                stacklevel=2,
            )
        self.axis = _axis(axis, self._label)
        self.epsilon = float(epsilon)

    def build(self, input_shape: Any) -> None:
        """Makes gamma and beta."""
        sizes = self._sizes(input_shape, self.axis)
        if self.rms_scaling:
            self.scale, self.center = True, False
        self._make_affine(sizes)

    def call(self, inputs: Tensor) -> Tensor:
        """The normalized inputs."""
        if not self.rms_scaling:
            outputs = ops.layer_normalization(inputs, self.gamma, self.beta, self.axis, self.epsilon)
            return ops.cast(outputs, self.compute_dtype)
        axes = axes_of(self.axis, inputs.ndim, self._label)
        _, variance = ops.moments(inputs, axes, keepdims=True)
        outputs = inputs * ops.rsqrt(variance + self.epsilon) * _along(self.gamma, axes, inputs)
        return ops.cast(outputs, self.compute_dtype)


def _along(weight: Any, axes: Sequence[int], inputs: Tensor) -> Tensor:
    """A weight for some axes, broadcast against the inputs."""
    return ops.reshape(weight, [n if a in axes else 1 for a, n in enumerate(inputs.shape)])


class GroupNormalization(Affine):
    """Mean 0 and variance 1 of each sample over groups of channels, then scale `gamma` and shift `beta`.

    Args:
        groups: number of groups; -1 for one per channel, which is instance normalization.
        axis: of the channels.
        epsilon: added to the variance.
        center: whether to add `beta`.
        scale: whether to multiply by `gamma`.
        beta_initializer: of `beta`.
        gamma_initializer: of `gamma`.
        beta_regularizer: penalty on `beta`.
        gamma_regularizer: penalty on `gamma`.
        beta_constraint: applied to `beta` after each step.
        gamma_constraint: applied to `gamma` after each step.
        **kwargs: those of `Layer`.

    Example:
        >>> import numpy as np
        >>> x = np.array([[1.0, 3.0, 10.0, 30.0]])
        >>> GroupNormalization(groups=2)(x).numpy().round(2).tolist()
        [[-1.0, 1.0, -1.0, 1.0]]
    """

    config_fields: ClassVar[tuple[str, ...]] = ("groups", "axis", "epsilon")

    def __init__(
        self,
        groups: int = 32,
        axis: int = -1,
        epsilon: float = 1e-3,
        center: bool = True,
        scale: bool = True,
        beta_initializer: Any = "zeros",
        gamma_initializer: Any = "ones",
        beta_regularizer: Any = None,
        gamma_regularizer: Any = None,
        beta_constraint: Any = None,
        gamma_constraint: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            center,
            scale,
            beta_initializer,
            gamma_initializer,
            beta_regularizer,
            gamma_regularizer,
            beta_constraint,
            gamma_constraint,
            **kwargs,
        )
        self.groups = groups if groups == -1 else positive(groups, self._label, "groups")
        self.axis = axis
        self.epsilon = epsilon

    def build(self, input_shape: Any) -> None:
        """Makes gamma and beta."""
        (channels,) = self._sizes(input_shape, self.axis)
        if self.groups == -1:
            self.groups = channels
        if channels % self.groups:
            raise ValueError(f"{self._label}: expected a multiple of groups={self.groups} channels, got {channels}")
        self.input_spec = InputSpec(ndim=len(input_shape), axes={self.axis: channels})
        self._make_affine((channels,))

    def call(self, inputs: Tensor) -> Tensor:
        """The normalized inputs."""
        (axis,) = axes_of(self.axis, inputs.ndim, self._label)
        shape = list(inputs.shape)
        shape[axis : axis + 1] = [self.groups, shape[axis] // self.groups]
        grouped = ops.reshape(ops.cast(inputs, "float32"), shape)
        mean, variance = ops.moments(grouped, [a for a in range(1, len(shape)) if a != axis], keepdims=True)
        outputs = ops.reshape((grouped - mean) * ops.rsqrt(variance + self.epsilon), inputs.shape)
        if self.gamma is not None:
            outputs = outputs * _along(self.gamma, [axis], inputs)
        if self.beta is not None:
            outputs = outputs + _along(self.beta, [axis], inputs)
        return ops.cast(outputs, self.compute_dtype)


class RMSNormalization(Layer):
    """Root mean square of 1 over `axis`, then times a learned `scale`.

    Args:
        axis: an axis, or several.
        epsilon: added to the mean square.
        **kwargs: those of `Layer`.

    Example:
        >>> import numpy as np
        >>> [round(float(y), 4) for y in RMSNormalization()(np.array([[3.0, 4.0]]))[0]]
        [0.8485, 1.1314]
    """

    supports_masking = True

    config_fields: ClassVar[tuple[str, ...]] = ("axis", "epsilon")

    def __init__(self, axis: int | Sequence[int] = -1, epsilon: float = 1e-6, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.axis = _axis(axis, self._label)
        self.epsilon = epsilon

    def build(self, input_shape: Any) -> None:
        """Makes the scale."""
        sizes = [input_shape[a] for a in axes_of(self.axis, len(input_shape), self._label)]
        if None in sizes:
            raise ValueError(f"{self._label}: build: expected known sizes of axes {self.axis}, got shape {input_shape}")
        self.scale = self.add_weight(sizes, "ones", name="scale")

    def call(self, inputs: Tensor) -> Tensor:
        """The normalized inputs."""
        x = ops.cast(inputs, "float32")
        axes = axes_of(self.axis, x.ndim, self._label)
        factor = ops.rsqrt(ops.mean(ops.square(x), axes, keepdims=True) + self.epsilon)
        return ops.cast(x * factor * _along(self.scale, axes, x), self.compute_dtype)


class UnitNormalization(Layer):
    """Length 1 over `axis`.

    Args:
        axis: an axis, or several.
        **kwargs: those of `Layer`.

    Example:
        >>> import numpy as np
        >>> [round(float(y), 4) for y in UnitNormalization()(np.array([[3.0, 4.0]]))[0]]
        [0.6, 0.8]
    """

    supports_masking = True
    _nothing_to_build = True

    config_fields: ClassVar[tuple[str, ...]] = ("axis",)

    def __init__(self, axis: int | Sequence[int] = -1, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.axis = _axis(axis, self._label)

    def call(self, inputs: Tensor) -> Tensor:
        """The inputs, divided by their length."""
        axis: Any = self.axis
        return ops.cast(ops.normalize(inputs, axis, 2, 1e-12), self.compute_dtype)
