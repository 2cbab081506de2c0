"""Gamma, beta and binomial numbers, in a fixed number of operations, so that compiled steps can draw them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from oxiconv import ops
from oxiconv.dtype import is_float
from oxiconv.random.distributions import Seed, normal, uniform
from oxiconv.random.seed import SeedGenerator
from oxiconv.tensor import GraphError, Tensor, TensorLike, convert

# An attempt fails with a probability below 0.05 for every shape (Marsaglia and Tsang, A Simple Method for Generating
# Gamma Variables, 2000), so all of these fail with less than 0.05**8 = 4e-11: once in more numbers than a float32
# uniform can tell apart. Then the value is the one of a normal number of 0, near the median.
_ATTEMPTS = 8
# Binomials of at most so many trials are counted one by one.
_TRIALS = 16
# Trials are counted in float32, which holds whole numbers up to here.
_MOST = 2**24


def _separate(seed: Seed) -> Seed:
    """A source of different draws: an integer seed alone would give the same numbers each time."""
    return SeedGenerator(seed) if isinstance(seed, (int, np.integer)) and not isinstance(seed, bool) else seed


def _logarithm(shape: Sequence[int], alpha: Tensor, seed: Seed) -> Tensor:
    """Logarithms of gamma numbers: those of small `alpha` are too small for float32."""
    boosted = ops.where(alpha < 1.0, alpha + 1.0, alpha)
    d = boosted - 1.0 / 3.0
    c = 1.0 / ops.sqrt(9.0 * d)
    x = normal((_ATTEMPTS, *shape), seed=seed)
    u = uniform((_ATTEMPTS, *shape), seed=seed)
    root = 1.0 + c * x
    possible = root > 0.0
    log_v = 3.0 * ops.log(ops.where(possible, root, 1.0))
    bound = 0.5 * x * x + d * (1.0 - ops.exp(log_v) + log_v)
    accepted = ops.logical_and(possible, ops.log(u) < bound)
    chosen: Any = ops.zeros(shape)
    for attempt in reversed(range(_ATTEMPTS)):
        chosen = ops.where(accepted[attempt], log_v[attempt], chosen)
    # A gamma number of alpha is one of alpha + 1 times U ** (1 / alpha); 1 - U is never 0.
    power = ops.where(alpha < 1.0, ops.log(1.0 - uniform(shape, seed=seed)) / alpha, 0.0)
    return ops.add(ops.log(d) + chosen, power)


def _parameter(value: TensorLike, shape: Sequence[int], name: str, what: str) -> Tensor:
    parameter = convert(value, "float32")
    if not parameter.traced and not (parameter.numpy() > 0).all():
        raise ValueError(f"{name}: expected {what} above 0, got {value!r}")
    return ops.broadcast_to(parameter, shape)


def _real(dtype: Any, name: str) -> Any:
    if dtype is not None and not is_float(dtype):
        raise ValueError(f"{name}: expected a real dtype, got {dtype!r}")
    return "float32" if dtype is None else dtype


def gamma(shape: Sequence[int], alpha: TensorLike, dtype: Any = None, seed: Seed = None) -> Tensor:
    """Gamma-distributed numbers of scale 1.

    Args:
        shape: sizes of the result.
        alpha: shape parameter above 0, which broadcasts to `shape`.
        dtype: a real type; None is float32.
        seed: see `oxiconv.random`.

    Example:
        >>> gamma((20000,), 3.0, seed=1).numpy().mean().round(1)
        np.float32(3.0)
    """
    dims = tuple(shape)
    alpha = _parameter(alpha, dims, "gamma", "alpha")
    return convert(ops.exp(_logarithm(dims, alpha, _separate(seed))), _real(dtype, "gamma"))


def beta(shape: Sequence[int], alpha: TensorLike, beta: TensorLike, dtype: Any = None, seed: Seed = None) -> Tensor:
    """Beta-distributed numbers: X / (X + Y) of gamma numbers X and Y of the two parameters.

    Args:
        shape: sizes of the result.
        alpha: first parameter, above 0, which broadcasts to `shape`.
        beta: second parameter, likewise.
        dtype: a real type; None is float32.
        seed: see `oxiconv.random`.
    """
    dims, seed = tuple(shape), _separate(seed)
    first, second = _parameter(alpha, dims, "beta", "alpha"), _parameter(beta, dims, "beta", "beta")
    share = ops.sigmoid(_logarithm(dims, first, seed) - _logarithm(dims, second, seed))
    return convert(share, _real(dtype, "beta"))


def binomial(
    shape: Sequence[int], counts: TensorLike, probabilities: TensorLike, dtype: Any = None, seed: Seed = None
) -> Tensor:
    """Numbers of successes in `counts` trials of the given probabilities.

    Many trials are halved by the median of their uniform numbers, which is a beta number (Devroye, Non-Uniform Random
    Variate Generation, 1986, X.4.3), until they are few enough to be counted.

    Args:
        shape: sizes of the result.
        counts: trials, whole numbers from 0 to 2**24, which broadcast to `shape`.
        probabilities: of success, from 0 to 1, likewise.
        dtype: a real type; None is float32.
        seed: see `oxiconv.random`.

    Raises:
        GraphError: the counts are values of a traced step: the number of operations depends on them.
    """
    dims, seed = tuple(shape), _separate(seed)
    trials, chance = convert(counts, "float32"), convert(probabilities, "float32")
    if trials.traced:
        raise GraphError("binomial: expected counts that are known when the step is traced")
    given = trials.numpy()
    if given.size and not (given.min() >= 0 and given.max() <= _MOST and (given == np.floor(given)).all()):
        raise ValueError(f"binomial: expected counts that are whole numbers from 0 to 2**24, got {counts!r}")
    if not chance.traced and not ((chance.numpy() >= 0) & (chance.numpy() <= 1)).all():
        raise ValueError(f"binomial: expected probabilities from 0 to 1, got {probabilities!r}")
    most = int(given.max()) if given.size else 0
    left, chance = ops.broadcast_to(trials, dims), ops.broadcast_to(chance, dims)
    found: Any = ops.zeros(dims)
    while most > _TRIALS:
        # The uniform number of rank `middle` among those of the trials that are left.
        middle = ops.floor(left / 2.0) + 1.0
        many = left > float(_TRIALS)
        middle = ops.where(many, middle, 1.0)
        y = beta(dims, middle, ops.where(many, left + 1.0 - middle, 1.0), seed=seed)
        below = y <= chance
        found = ops.where(ops.logical_and(many, below), found + middle, found)
        next_chance = ops.where(below, (chance - y) / ops.maximum(1.0 - y, 1e-38), chance / ops.maximum(y, 1e-38))
        chance = ops.where(many, ops.clip(next_chance, 0.0, 1.0), chance)
        left = ops.where(many, ops.where(below, left - middle, middle - 1.0), left)
        most = most // 2
    places = convert(np.arange(_TRIALS, dtype=np.float32).reshape(-1, *[1] * len(dims)))
    successes = ops.logical_and(places < left, uniform((_TRIALS, *dims), seed=seed) < chance)
    return convert(found + ops.sum(ops.cast(successes, "float32"), axis=0), _real(dtype, "binomial"))
