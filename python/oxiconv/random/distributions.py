"""Random tensors. `seed` is an integer (the same values each time), a `SeedGenerator`, or None (the global one)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, TypeAlias

from oxiconv import _core, ops
from oxiconv.dtype import is_float, standardize_dtype
from oxiconv.ops.promotion import real
from oxiconv.random.seed import SeedGenerator, draw_seed
from oxiconv.symbolic import op
from oxiconv.tensor import ShapeError, Tensor, TensorLike, convert

Seed: TypeAlias = "int | SeedGenerator | None"


def _dims(shape: Sequence[Any], name: str) -> tuple[int, ...]:
    dims = tuple(shape)
    if any(n is None or n < 0 for n in dims):
        raise ShapeError(f"{name}: expected known sizes, got shape {tuple(shape)}")
    return dims


def _unit(shape: Sequence[int], seed: Seed, name: str) -> Tensor:
    return _core.random(draw_seed(seed), _dims(shape, name), "uniform")


def _check_float(dtype: Any, name: str) -> None:
    if dtype is not None and not is_float(dtype):
        raise ValueError(f"{name}: expected a real dtype, got {standardize_dtype(dtype)}")


def normal(
    shape: Sequence[int], mean: float = 0.0, stddev: float = 1.0, dtype: Any = None, seed: Seed = None
) -> Tensor:
    """Normally distributed numbers."""
    _check_float(dtype, "normal")
    z = _core.random(draw_seed(seed), _dims(shape, "normal"), "normal")
    return z * float(stddev) + float(mean)


def uniform(
    shape: Sequence[int], minval: float = 0.0, maxval: float = 1.0, dtype: Any = None, seed: Seed = None
) -> Tensor:
    """Uniformly distributed numbers in `[minval, maxval)`; whole ones for an integer dtype.

    Example:
        >>> uniform((1000,), 2.0, 3.0, seed=1).numpy().mean().round(1)
        np.float32(2.5)
    """
    if dtype is not None and not is_float(dtype):
        return randint(shape, int(minval), int(maxval), dtype, seed)
    u = _unit(shape, seed, "uniform")
    return u * (float(maxval) - float(minval)) + float(minval)


def randint(shape: Sequence[int], minval: int, maxval: int, dtype: Any = "int32", seed: Seed = None) -> Tensor:
    """Whole numbers in `[minval, maxval)`, a range of at most 2**24."""
    low, high = int(minval), int(maxval)
    if not 0 < high - low <= 2**24:  # a draw has 24 random bits
        raise ValueError(f"randint: expected a range of 1 to 2**24 numbers, got [{low}, {high})")
    if is_float(dtype):
        raise ValueError(f"randint: expected an integer dtype, got {dtype!r}")
    scaled = _unit(shape, seed, "randint") * float(high - low)
    # Rounding of the product may reach the end of the range.
    steps = ops.minimum(ops.cast(scaled, "int32"), high - low - 1)
    return convert(steps + low, dtype)


def truncated_normal(
    shape: Sequence[int], mean: float = 0.0, stddev: float = 1.0, dtype: Any = None, seed: Seed = None
) -> Tensor:
    """Normally distributed numbers within two deviations of the mean: the inverse of the distribution function."""
    _check_float(dtype, "truncated_normal")
    edge = math.erf(math.sqrt(2.0))
    z = ops.erfinv(uniform(shape, -edge, edge, seed=seed))
    limit = 2.0 * float(stddev)
    scaled = ops.clip(z * (math.sqrt(2.0) * float(stddev)), -limit, limit)
    return scaled + float(mean)


@op
def dropout(
    inputs: TensorLike, rate: float, noise_shape: Sequence[int | None] | None = None, seed: Seed = None
) -> Tensor:
    """`inputs` with a share `rate` of the elements set to 0 and the rest divided by `1 - rate`.

    Args:
        inputs: any real tensor.
        rate: share of zeros, from 0 to 1.
        noise_shape: sizes of the random choice, which broadcasts to the inputs; None is the inputs' size.
        seed: see the module.
    """
    x = real(inputs)
    if not 0 <= rate <= 1:
        raise ValueError(f"dropout: expected a rate from 0 to 1, got {rate!r}")
    if rate == 0:
        return x
    if rate == 1:
        return x * 0.0
    dims = x.shape
    if noise_shape is not None:
        given = tuple(noise_shape)
        if len(given) != x.ndim or any(n not in (None, 1, m) for n, m in zip(given, x.shape, strict=True)):
            raise ShapeError(f"dropout: expected a noise_shape that broadcasts to {x.shape}, got {given}")
        dims = tuple(m if n is None else n for n, m in zip(given, x.shape, strict=True))
    keep = _unit(dims, seed, "dropout") < 1.0 - rate
    return ops.where(keep, x * (1.0 / (1.0 - rate)), 0.0)


@op
def shuffle(x: TensorLike, axis: int = 0, seed: Seed = None) -> Tensor:
    """The slices of `x` along `axis` in random order."""
    x = convert(x)
    (place,) = ops.reduction.axes_of(axis, x.ndim, "shuffle")
    order = ops.argsort(_unit((x.shape[place],), seed, "shuffle"))
    return ops.take(x, order, place)


@op
def categorical(logits: TensorLike, num_samples: int, dtype: Any = "int32", seed: Seed = None) -> Tensor:
    """`num_samples` class indices for each row of `logits` (`[n, classes]`): the Gumbel-max method."""
    x = convert(logits, "float32")
    if x.ndim != 2:
        raise ShapeError(f"categorical: expected logits [n, classes], got shape {x.shape}")
    rows, classes = x.shape
    u = _unit((rows, int(num_samples), classes), seed, "categorical")
    gumbel = -ops.log(-ops.log(u))
    return convert(ops.argmax(ops.expand_dims(x, 1) + gumbel, axis=-1), dtype)
