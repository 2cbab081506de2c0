"""Normalization layers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from oxiconv import constraints, initializers, ops, regularizers
from oxiconv.dtype import result_type
from oxiconv.layers.input_spec import InputSpec
from oxiconv.layers.layer import Layer
from oxiconv.ops.reduction import axes_of
from oxiconv.tensor import Tensor


class BatchNormalization(Layer):
    """Mean 0 and variance 1 per channel, then scale `gamma` and shift `beta`.

    In training, with the batch's mean and biased variance, which also enter the moving statistics:
    `moving = moving * momentum + batch * (1 - momentum)`. At inference, and while not trainable, with the moving ones.

    Args:
        axis: of the channels.
        momentum: share of the moving statistics that a batch keeps.
        epsilon: added to the variance.
        center: whether to add `beta`.
        scale: whether to multiply by `gamma`.
        beta_initializer: of `beta`.
        gamma_initializer: of `gamma`.
        moving_mean_initializer: of the moving mean.
        moving_variance_initializer: of the moving variance.
        beta_regularizer: penalty on `beta`.
        gamma_regularizer: penalty on `gamma`.
        beta_constraint: applied to `beta` after each step.
        gamma_constraint: applied to `gamma` after each step.
        renorm: must be false.
        renorm_clipping: unused without `renorm`.
        renorm_momentum: unused without `renorm`.
        synchronized: must be false.
        **kwargs: those of `Layer`.

    Example:
        >>> import numpy as np
        >>> layer = BatchNormalization()
        >>> y = layer(np.array([[1.0], [3.0]]), training=True)
        >>> y.numpy().round(3).tolist(), round(layer.moving_mean.numpy().item(), 6)
        ([[-1.0], [1.0]], 0.02)
    """

    supports_masking = True

    config_fields: ClassVar[tuple[str, ...]] = (
        "axis",
        "momentum",
        "epsilon",
        "center",
        "scale",
        "beta_initializer",
        "gamma_initializer",
        "moving_mean_initializer",
        "moving_variance_initializer",
        "beta_regularizer",
        "gamma_regularizer",
        "beta_constraint",
        "gamma_constraint",
        "renorm",
        "renorm_clipping",
        "renorm_momentum",
        "synchronized",
    )

    def __init__(
        self,
        axis: int = -1,
        momentum: float = 0.99,
        epsilon: float = 1e-3,
        center: bool = True,
        scale: bool = True,
        beta_initializer: Any = "zeros",
        gamma_initializer: Any = "ones",
        moving_mean_initializer: Any = "zeros",
        moving_variance_initializer: Any = "ones",
        beta_regularizer: Any = None,
        gamma_regularizer: Any = None,
        beta_constraint: Any = None,
        gamma_constraint: Any = None,
        renorm: bool = False,
        renorm_clipping: Any = None,
        renorm_momentum: float = 0.99,
        synchronized: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if renorm or synchronized:
            raise ValueError(f"{self._label}: expected renorm=False and synchronized=False, the only supported values")
        if isinstance(axis, (list, tuple)):  # tf.keras wrote it so
            if len(axis) != 1:
                raise ValueError(f"{self._label}: expected one axis, got {axis}")
            axis = axis[0]
        self.axis = int(axis)
        self.momentum = float(momentum)
        self.epsilon = float(epsilon)
        self.center = center
        self.scale = scale
        self.renorm, self.renorm_clipping, self.renorm_momentum = renorm, renorm_clipping, renorm_momentum
        self.synchronized = synchronized
        self.beta_initializer = initializers.get(beta_initializer)
        self.gamma_initializer = initializers.get(gamma_initializer)
        self.moving_mean_initializer = initializers.get(moving_mean_initializer)
        self.moving_variance_initializer = initializers.get(moving_variance_initializer)
        self.beta_regularizer = regularizers.get(beta_regularizer)
        self.gamma_regularizer = regularizers.get(gamma_regularizer)
        self.beta_constraint = constraints.get(beta_constraint)
        self.gamma_constraint = constraints.get(gamma_constraint)
        self.gamma: Any = None
        self.beta: Any = None
        self.moving_mean: Any = None
        self.moving_variance: Any = None

    def build(self, input_shape: Any) -> None:
        """Makes gamma, beta and the moving statistics."""
        (axis,) = axes_of(self.axis, len(input_shape), self._label)
        size = input_shape[axis]
        if size is None:
            raise ValueError(f"{self._label}: expected a known size of axis {self.axis}, got shape {input_shape}")
        for name, wanted in (("gamma", self.scale), ("beta", self.center)):
            if wanted:
                weight = self.add_weight(
                    (size,),
                    getattr(self, f"{name}_initializer"),
                    autocast=False,
                    regularizer=getattr(self, f"{name}_regularizer"),
                    constraint=getattr(self, f"{name}_constraint"),
                    name=name,
                )
                setattr(self, name, weight)
        for name in ("moving_mean", "moving_variance"):
            initializer = getattr(self, f"{name}_initializer")
            weight = self.add_weight((size,), initializer, trainable=False, autocast=False, name=name)
            setattr(self, name, weight)
        self.input_spec = InputSpec(ndim=len(input_shape), axes={self.axis: size})

    def call(self, inputs: Tensor, training: bool | None = None) -> Tensor:
        """The normalized inputs."""
        inputs = ops.cast(inputs, result_type(inputs.dtype, "float32"))  # statistics of half types need more digits
        mean, variance = self.moving_mean.value, self.moving_variance.value
        if training and self.trainable:
            keep, new = self.momentum, 1.0 - self.momentum
            axes = [a for a in range(inputs.ndim) if a != self.axis % inputs.ndim]
            held_mean, held_variance = mean, variance
            mean, variance = ops.moments(inputs, axes)
            self.moving_mean.assign(held_mean * keep + ops.stop_gradient(mean) * new)
            self.moving_variance.assign(held_variance * keep + ops.stop_gradient(variance) * new)
        return ops.batch_normalization(inputs, mean, variance, self.axis, self.beta, self.gamma, self.epsilon)


class LayerNormalization(Layer):
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
        **kwargs: those of `Layer`.
    """

    supports_masking = True

    config_fields: ClassVar[tuple[str, ...]] = (
        "axis",
        "epsilon",
        "center",
        "scale",
        "beta_initializer",
        "gamma_initializer",
        "beta_regularizer",
        "gamma_regularizer",
        "beta_constraint",
        "gamma_constraint",
        "rms_scaling",
    )

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
        super().__init__(**kwargs)
        if self.rms_scaling:
            raise ValueError(f"{self._label}: expected rms_scaling=False; use RMSNormalization")
        self.axis = axis if isinstance(axis, int) else list(axis)
        self.epsilon = float(epsilon)
        self.center = center
        self.scale = scale
        self.beta_initializer = initializers.get(beta_initializer)
        self.gamma_initializer = initializers.get(gamma_initializer)
        self.beta_regularizer = regularizers.get(beta_regularizer)
        self.gamma_regularizer = regularizers.get(gamma_regularizer)
        self.beta_constraint = constraints.get(beta_constraint)
        self.gamma_constraint = constraints.get(gamma_constraint)
        self.gamma: Any = None
        self.beta: Any = None

    def build(self, input_shape: Any) -> None:
        """Makes gamma and beta."""
        sizes = [input_shape[a] for a in axes_of(self.axis, len(input_shape), self._label)]
        if None in sizes:
            raise ValueError(f"{self._label}: build: expected known sizes of axes {self.axis}, got shape {input_shape}")
        for name, wanted in (("gamma", self.scale), ("beta", self.center)):
            if wanted:
                weight = self.add_weight(
                    sizes,
                    getattr(self, f"{name}_initializer"),
                    regularizer=getattr(self, f"{name}_regularizer"),
                    constraint=getattr(self, f"{name}_constraint"),
                    name=name,
                )
                setattr(self, name, weight)

    def call(self, inputs: Tensor) -> Tensor:
        """The normalized inputs."""
        return ops.layer_normalization(inputs, self.gamma, self.beta, self.axis, self.epsilon)
