"""Batch normalization, and what it shares with the other normalizations: scale and shift."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from oxiconv import constraints, initializers, ops, regularizers
from oxiconv.config import epsilon as default_epsilon
from oxiconv.dtype import result_type
from oxiconv.layers.input_spec import InputSpec
from oxiconv.layers.layer import Layer
from oxiconv.ops.reduction import axes_of
from oxiconv.tensor import Tensor


class Affine(Layer):
    """Base of normalizations with a scale `gamma` and a shift `beta`.

    Args:
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
        "center",
        "scale",
        "beta_initializer",
        "gamma_initializer",
        "beta_regularizer",
        "gamma_regularizer",
        "beta_constraint",
        "gamma_constraint",
    )

    def __init__(
        self,
        center: bool,
        scale: bool,
        beta_initializer: Any,
        gamma_initializer: Any,
        beta_regularizer: Any,
        gamma_regularizer: Any,
        beta_constraint: Any,
        gamma_constraint: Any,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
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

    def _sizes(self, input_shape: Any, axis: int | Sequence[int]) -> list[int]:
        """The sizes of the axes that the weights are for."""
        sizes = [input_shape[a] for a in axes_of(axis, len(input_shape), self._label)]
        if None in sizes:
            raise ValueError(f"{self._label}: build: expected known sizes of axes {axis}, got shape {input_shape}")
        return sizes

    def _make_affine(self, shape: Sequence[int]) -> None:
        """Makes gamma and beta."""
        for name, wanted in (("gamma", self.scale), ("beta", self.center)):
            if wanted:
                weight = self.add_weight(
                    shape,
                    getattr(self, f"{name}_initializer"),
                    autocast=False,
                    regularizer=getattr(self, f"{name}_regularizer"),
                    constraint=getattr(self, f"{name}_constraint"),
                    name=name,
                )
                setattr(self, name, weight)


class BatchNormalization(Affine):
    """Mean 0 and variance 1 per channel, then scale `gamma` and shift `beta`.

    In training, with the batch's mean and biased variance, which also enter the moving statistics:
    `moving = moving * momentum + batch * (1 - momentum)`. At inference, and while not trainable, with the moving ones.
    Elements whose mask is false do not count in the batch's.

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
        renorm: whether training normalizes towards moving statistics too (Ioffe, 2017), as inference does.
        renorm_clipping: limits "rmin" and "rmax" of the ratio of deviations and "dmax" of the distance of means.
        renorm_momentum: of the statistics that training normalizes towards.
        synchronized: accepted: a batch is in one place.
        **kwargs: those of `Layer`.

    Example:
        >>> import numpy as np
        >>> layer = BatchNormalization()
        >>> y = layer(np.array([[1.0], [3.0]]), training=True)
        >>> y.numpy().round(3).tolist(), round(layer.moving_mean.numpy().item(), 6)
        ([[-1.0], [1.0]], 0.02)
    """

    config_fields: ClassVar[tuple[str, ...]] = (
        "axis",
        "momentum",
        "epsilon",
        "moving_mean_initializer",
        "moving_variance_initializer",
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
        renorm_clipping: Mapping[str, float] | None = None,
        renorm_momentum: float = 0.99,
        synchronized: bool = False,
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
        if isinstance(axis, (list, tuple)):  # tf.keras wrote it so
            if len(axis) != 1:
                raise ValueError(f"{self._label}: expected one axis, got {axis}")
            axis = axis[0]
        self.axis = int(axis)
        self.momentum = float(momentum)
        self.epsilon = float(epsilon)
        self.moving_mean_initializer = initializers.get(moving_mean_initializer)
        self.moving_variance_initializer = initializers.get(moving_variance_initializer)
        self.moving_mean: Any = None
        self.moving_variance: Any = None
        self.renorm = renorm
        self.renorm_clipping = None if renorm_clipping is None else dict(renorm_clipping)
        self.renorm_momentum = renorm_momentum
        self.synchronized = synchronized
        limits = self.renorm_clipping or {}
        if set(limits) - {"rmin", "rmax", "dmax"}:
            raise ValueError(f"{self._label}: expected renorm_clipping of 'rmin', 'rmax' and 'dmax', got {limits}")
        if limits.get("rmin", 0) > limits.get("rmax", float("inf")) or limits.get("dmax", 0) < 0:
            raise ValueError(f"{self._label}: expected rmin of at most rmax and dmax of at least 0, got {limits}")

    def build(self, input_shape: Any) -> None:
        """Makes gamma, beta and the moving statistics."""
        shape = self._sizes(input_shape, self.axis)
        self._make_affine(shape)
        self.moving_mean = self._statistic(shape, self.moving_mean_initializer, "moving_mean")
        self.moving_variance = self._statistic(shape, self.moving_variance_initializer, "moving_variance")
        if self.renorm:

            def deviation(shape: Any, dtype: Any = None) -> Tensor:
                return ops.sqrt(self.moving_variance_initializer(shape, dtype=dtype))

            self.moving_stddev = self._statistic(shape, deviation, "moving_stddev")
            self.renorm_mean = self._statistic(shape, self.moving_mean_initializer, "renorm_mean")
            self.renorm_stddev = self._statistic(shape, deviation, "renorm_stddev")
        self.input_spec = InputSpec(ndim=len(input_shape), axes={self.axis: shape[0]})

    def _statistic(self, shape: Sequence[int], initializer: Any, name: str) -> Any:
        return self.add_weight(shape, initializer, trainable=False, autocast=False, name=name)

    def call(self, inputs: Tensor, training: bool | None = None, mask: Tensor | None = None) -> Tensor:
        """The normalized inputs."""
        inputs = ops.cast(inputs, result_type(inputs.dtype, "float32"))  # statistics of half types need more digits
        gamma, beta = self.gamma, self.beta
        if training and self.trainable:
            mean, variance = self._moments(inputs, mask)
            if self.renorm:
                gamma, beta = self._towards_moving(mean, variance)
                self._move_deviations(mean, variance)
            else:
                _move(self.moving_variance, variance, self.momentum)
            _move(self.moving_mean, mean, self.momentum)
        else:
            mean, variance = self.moving_mean.value, self.moving_variance.value
        outputs = ops.batch_normalization(inputs, mean, variance, self.axis, beta, gamma, self.epsilon)
        return ops.cast(outputs, self.compute_dtype)

    def _moments(self, inputs: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor]:
        axes = [a for a in range(inputs.ndim) if a != self.axis % inputs.ndim]
        if mask is None:
            return ops.moments(inputs, axes)
        if mask.ndim != inputs.ndim - 1:
            raise ValueError(
                f"{self._label}: expected a mask of one axis less than the inputs, got shapes {mask.shape} and "
                f"{inputs.shape}"
            )
        weight = ops.broadcast_to(ops.expand_dims(ops.cast(mask, "float32"), -1), inputs.shape)
        count = ops.sum(weight, axes, keepdims=True) + default_epsilon()
        mean = ops.sum(inputs * weight, axes, keepdims=True) / count
        variance = ops.sum(ops.square(inputs - mean) * weight, axes, keepdims=True) / count
        return ops.reshape(mean, (-1,)), ops.reshape(variance, (-1,))

    def _towards_moving(self, mean: Tensor, variance: Tensor) -> tuple[Tensor, Tensor]:
        """The scale and shift that make normalization by the batch one by the moving statistics."""
        limits = self.renorm_clipping or {}
        deviation = ops.maximum(self.renorm_stddev.value, self.epsilon**0.5)
        ratio = ops.sqrt(variance + self.epsilon) / deviation
        ratio = ops.maximum(ratio, limits["rmin"]) if "rmin" in limits else ratio
        ratio = ops.minimum(ratio, limits["rmax"]) if "rmax" in limits else ratio
        distance = (mean - self.renorm_mean.value) / deviation
        if "dmax" in limits:
            distance = ops.clip(distance, -limits["dmax"], limits["dmax"])
        # Neither is part of the gradient.
        gamma, beta = ops.stop_gradient(ratio), ops.stop_gradient(distance)
        if self.gamma is not None:
            gamma, beta = gamma * self.gamma.value, beta * self.gamma.value
        return gamma, beta if self.beta is None else beta + self.beta.value

    def _move_deviations(self, mean: Tensor, variance: Tensor) -> None:
        deviation = ops.sqrt(variance + self.epsilon)
        _move(self.renorm_mean, mean, self.renorm_momentum)
        _move(self.renorm_stddev, deviation, self.renorm_momentum)
        moved = _move(self.moving_stddev, deviation, self.momentum)
        self.moving_variance.assign(ops.relu(ops.square(moved) - self.epsilon))


def _move(statistic: Any, value: Tensor, momentum: float) -> Tensor:
    """Assigns the moving mean after `value`; returns it."""
    moved: Tensor = statistic.value * momentum + ops.stop_gradient(value) * (1.0 - momentum)
    statistic.assign(moved)
    return moved
