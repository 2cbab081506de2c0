"""Normalizations, and the statistics that they need."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from oxiconv import _core
from oxiconv.config import epsilon as default_epsilon
from oxiconv.ops import reduction
from oxiconv.ops.promotion import real, widened
from oxiconv.ops.reduction import axes_of
from oxiconv.symbolic import op
from oxiconv.tensor import ShapeError, Tensor, TensorLike, convert


@op
@widened
def moments(x: TensorLike, axes: Any, keepdims: bool = False, synchronized: bool = False) -> tuple[Tensor, Tensor]:
    """Mean and biased variance over `axes`.

    >>> [float(part) for part in moments([1.0, 3.0], axes=[0])]
    [2.0, 1.0]
    """
    x = real(x)
    axes = axes_of(axes, x.ndim, "moments")
    if axes[:1] == [0] and x.size > x.shape[0] * int(np.prod([n for a, n in enumerate(x.shape) if a not in axes])):
        mean, variance = _moments_of_samples(x, axes)
        return (reduction.restore(mean, axes), reduction.restore(variance, axes)) if keepdims else (mean, variance)
    mean = reduction.mean(x, axes, keepdims=True)
    centred = _core.binary("sub", x, mean)
    variance = reduction.mean(_core.binary("mul", centred, centred), axes, keepdims=keepdims)
    return (mean if keepdims else _core.reshape(mean, variance.shape)), variance


def _moments_of_samples(x: Tensor, axes: list[int]) -> tuple[Tensor, Tensor]:
    """Moments over the batch and further axes, from those of each sample (Chan, Golub and LeVeque, 1983).

    For any `centre` of a sample of `count` elements, with `shift = mean(x - centre)`, the mean of the batch is that of
    `centre + shift`, and the sample's squared distances from it add up to

    `sum((x - centre)**2) + count * (centre - mean) * (centre - mean + 2 * shift)`.

    Sums within samples need no other sample, so a compiled step takes them while a sample is in cache, and only the
    samples' own moments wait for the batch. The `centre` is the sample's mean as it was rounded, so nothing cancels:
    `shift` is that rounding, at most `(d + 1) * u * mean(|x|)` with `d` the additions a value goes through. The formula
    holds for the rounded `mean` but for `count * (mean - exact mean)**2`, as `mean((x - mean)**2)` itself does. As it
    holds for any `centre`, that needs no gradient.
    """
    inner = axes[1:]
    count = float(np.prod([x.shape[a] for a in inner], dtype=np.int64))
    centre = _core.detach(reduction.mean(x, inner))
    apart = _core.binary("sub", x, reduction.restore(centre, inner))
    shift = reduction.mean(apart, inner)
    squares = reduction.sum(_core.binary("mul", apart, apart), inner)
    # With samples last, all of what follows is computed once, from all samples.
    last = centre.ndim - 1
    order = [*range(1, last + 1), 0]
    centre, shift, squares = (_core.permute(v, order) for v in (centre, shift, squares))
    mean = reduction.mean(_core.binary("add", centre, shift), last)
    apart = _core.binary("sub", centre, reduction.restore(mean, [last]))
    between = _core.binary("mul", apart, _core.binary("add", apart, _core.binary("mul", shift, 2.0)))
    squares = _core.binary("add", squares, _core.binary("mul", between, count))
    return mean, _core.binary("div", reduction.mean(squares, last), count)


@op
@widened
def batch_normalization(
    x: TensorLike,
    mean: TensorLike,
    variance: TensorLike,
    axis: int,
    offset: TensorLike | None = None,
    scale: TensorLike | None = None,
    epsilon: float = 1e-3,
) -> Tensor:
    """`(x - mean) / sqrt(variance + epsilon) * scale + offset`, with statistics and parameters along `axis`.

    >>> batch_normalization([[1.0, 5.0]], [0.0, 1.0], [1.0, 4.0], axis=-1, epsilon=0.0).numpy().tolist()
    [[1.0, 2.0]]
    """
    x = real(x)
    (place,) = axes_of(axis, x.ndim, "batch_normalization")
    dims = [n if a == place else 1 for a, n in enumerate(x.shape)]

    def along(v: Any) -> Tensor:
        v = convert(v, x.dtype)
        if v.shape != (x.shape[place],):
            raise ShapeError(f"batch_normalization: expected parameters of shape ({x.shape[place]},), got {v.shape}")
        return _core.reshape(v, dims)

    factor = _core.unary("rsqrt", _core.binary("add", along(variance), float(epsilon)))
    if scale is not None:
        factor = _core.binary("mul", factor, along(scale))
    y = _core.binary("mul", _core.binary("sub", x, along(mean)), factor)
    return y if offset is None else _core.binary("add", y, along(offset))


@op
@widened
def layer_normalization(
    x: TensorLike,
    gamma: TensorLike | None = None,
    beta: TensorLike | None = None,
    axis: int | Sequence[int] = -1,
    epsilon: float | None = None,
    **kwargs: Any,
) -> Tensor:
    """Mean 0 and variance 1 over `axis`, then scaled by `gamma` and shifted by `beta`.

    `rms_scaling=True`, deprecated as in Keras, leaves the mean and divides by the deviation; see `rms_normalization`.

    >>> layer_normalization([0.0, 2.0]).numpy().round(3).tolist()
    [-1.0, 1.0]
    """
    rms_scaling = kwargs.pop("rms_scaling", False)
    if kwargs:
        raise TypeError(f"layer_normalization: unexpected arguments {sorted(kwargs)}")
    x = real(x)
    axes = axes_of(axis, x.ndim, "layer_normalization")
    mean, variance = moments(x, axes, keepdims=True)
    small = default_epsilon() if epsilon is None else float(epsilon)
    if rms_scaling:
        warnings.warn("layer_normalization: rms_scaling is deprecated; use rms_normalization", stacklevel=3)
        mean = _core.binary("mul", mean, 0.0)
    factor = _core.unary("rsqrt", _core.binary("add", variance, small))
    y = _core.binary("mul", _core.binary("sub", x, mean), factor)
    if gamma is not None:
        y = _core.binary("mul", y, _over(x, axes, gamma))
    return y if beta is None else _core.binary("add", y, _over(x, axes, beta))


def _over(x: Tensor, axes: list[int], value: Any) -> Tensor:
    """Parameters of the sizes along `axes`, as they broadcast to `x`."""
    v = convert(value, x.dtype)
    sizes = [x.shape[a] for a in axes]
    if v.shape == tuple(sizes):
        return _core.reshape(v, [n if a in axes else 1 for a, n in enumerate(x.shape)])
    if v.size in (1,) or v.ndim == x.ndim:
        return v
    raise ShapeError(f"normalization: expected parameters of shape {tuple(sizes)}, got {v.shape}")


@op
@widened
def rms_normalization(
    x: TensorLike, scale: TensorLike | None = None, axis: int | Sequence[int] = -1, epsilon: float | None = None
) -> Tensor:
    """`x` divided by the root of its mean square over `axis`, times `scale`.

    >>> rms_normalization([3.0, 3.0]).numpy().round(3).tolist()
    [1.0, 1.0]
    """
    x = real(x)
    axes = axes_of(axis, x.ndim, "rms_normalization")
    small = default_epsilon() if epsilon is None else float(epsilon)
    power = reduction.mean(_core.binary("mul", x, x), axes, keepdims=True)
    y = _core.binary("mul", x, _core.unary("rsqrt", _core.binary("add", power, small)))
    return y if scale is None else _core.binary("mul", y, _over(x, axes, scale))


@op
@widened
def normalize(x: TensorLike, axis: int = -1, order: int = 2, epsilon: float | None = None) -> Tensor:
    """`x` divided by its norm along `axis`, which counts as at least `epsilon`.

    >>> normalize([0.0, 4.0]).numpy().tolist()
    [0.0, 1.0]
    """
    from oxiconv.ops.products import norm

    if order < 1 or order != int(order):
        raise ValueError(f"normalize: expected a whole order of at least 1, got {order!r}")
    x = real(x)
    if not x.ndim:
        x = _core.reshape(x, (1,))
    small = default_epsilon() if epsilon is None else float(epsilon)
    if order == 2:
        # The square root of a maximum has a gradient where the norm is 0.
        total = reduction.sum(_core.binary("mul", x, x), axis, keepdims=True)
        return _core.binary("mul", x, _core.unary("rsqrt", _core.binary("max", total, small * small)))
    return _core.binary("div", x, _core.binary("max", norm(x, order, axis, keepdims=True), small))
