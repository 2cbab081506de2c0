"""Gamma, beta and binomial numbers: their distributions, seeds, and use in compiled steps."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from oxiconv import GraphError, random
from oxiconv.trace import Trace

N = 40_000
# The largest distance of an empirical distribution function from the true one exceeds d with a probability below
# 2 exp(-2 N d**2) (Dvoretzky, Kiefer, Wolfowitz; Massart): 1e-9 here.
DISTANCE = math.sqrt(math.log(2e9) / (2 * N))


def distance(values: Any, distribution: Callable[[float], float]) -> float:
    """How far the shares of values below some 200 places are from the distribution function."""
    ordered = np.sort(np.asarray(values, np.float64).ravel())
    places = ordered[:: len(ordered) // 200]
    shares = np.searchsorted(ordered, places, "right") / len(ordered)
    return max(float(abs(s - distribution(p))) for s, p in zip(shares.tolist(), places.tolist(), strict=True))


def gamma_below(a: float) -> Callable[[float], float]:
    """The regularized lower incomplete gamma function, by its power series."""

    def below(x: float) -> float:
        if x <= 0:
            return 0.0
        term = total = 1.0 / a
        k = 0
        while term > 1e-16 * total:
            k += 1
            term *= x / (a + k)
            total += term
        return total * math.exp(a * math.log(x) - x - math.lgamma(a))

    return below


def beta_below(a: float, b: float) -> Callable[[float], float]:
    """The regularized incomplete beta function: a sum of rectangles after substituting the singular ends away."""
    # With t = u**(1/a) / .. on each half the integrand is bounded.
    scale = math.exp(math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b))

    def lower(x: float, a: float, b: float) -> float:
        u = (np.arange(4000) + 0.5) / 4000 * x**a
        return float(((1 - u ** (1 / a)) ** (b - 1)).mean() * x**a / a)

    def below(x: float) -> float:
        return scale * lower(x, a, b) if x <= 0.5 else 1 - scale * lower(1 - x, b, a)

    return below


@pytest.mark.parametrize("alpha", [0.1, 0.7, 1.0, 2.5, 30.0])
def test_gamma(alpha: float) -> None:
    assert distance(random.gamma((N,), alpha, seed=1), gamma_below(alpha)) < DISTANCE


@pytest.mark.parametrize(("alpha", "beta"), [(0.2, 0.2), (1.0, 1.0), (2.0, 5.0), (0.5, 3.0)])
def test_beta(alpha: float, beta: float) -> None:
    assert distance(random.beta((N,), alpha, beta, seed=2), beta_below(alpha, beta)) < DISTANCE


def test_beta_of_tiny_parameters_is_a_coin() -> None:
    values = np.asarray(random.beta((N,), 1e-6, 1e-6, seed=3))
    assert np.isin(np.round(values, 4), [0.0, 1.0]).mean() > 0.999
    assert abs(values.mean() - 0.5) < 6 * 0.5 / math.sqrt(N)


@pytest.mark.parametrize(("count", "chance"), [(5, 0.3), (16, 0.5), (17, 0.9), (300, 0.02), (300, 0.6)])
def test_binomial(count: int, chance: float) -> None:
    values = np.asarray(random.binomial((N,), count, chance, seed=4))
    assert (values == np.floor(values)).all()
    shares = [math.comb(count, k) * chance**k * (1 - chance) ** (count - k) for k in range(count + 1)]
    whole = np.cumsum(shares)
    found = np.searchsorted(np.sort(values), np.arange(count + 1), "right") / N
    assert np.abs(found - whole).max() < DISTANCE


def test_binomial_of_many_trials() -> None:
    count, chance = 1_000_000, 0.3
    values = np.asarray(random.binomial((N,), count, chance, seed=5), np.float64)
    deviation = math.sqrt(count * chance * (1 - chance))

    def normal(x: float) -> float:  # off by less than 1 / deviation (Berry, Esseen)
        return 0.5 * math.erfc((count * chance - x - 0.5) / (deviation * math.sqrt(2)))

    assert distance(values, normal) < DISTANCE + 1 / deviation


def test_parameters_broadcast_and_ends_are_exact() -> None:
    gamma = np.asarray(random.gamma((N // 2, 2), [1.0, 9.0], seed=6))
    assert distance(gamma[:, 1], gamma_below(9.0)) < math.sqrt(2) * DISTANCE
    numbers = np.asarray(random.binomial((100, 3), [0, 7, 400], [0.5, 1.0, 0.0], seed=7))
    np.testing.assert_array_equal(numbers, np.broadcast_to([0, 7, 0], (100, 3)))


DRAWS: list[Callable[[Any], Any]] = [
    lambda seed: random.gamma((50,), 0.4, seed=seed),
    lambda seed: random.beta((50,), 0.4, 2.0, seed=seed),
    lambda seed: random.binomial((50,), 90, 0.4, seed=seed),
]


@pytest.mark.parametrize("draw", DRAWS)
def test_seeds_repeat_and_generators_go_on(draw: Callable[[Any], Any]) -> None:
    np.testing.assert_array_equal(draw(11), draw(11))
    assert not np.array_equal(draw(11), draw(12))
    generator = random.SeedGenerator(11)
    first = np.asarray(draw(generator))
    assert not np.array_equal(first, draw(generator))
    with Trace() as trace:
        step = trace.compile([draw(random.SeedGenerator(11))])
    # The same numbers of the same draws; sums of fused operations may round otherwise.
    np.testing.assert_allclose(step.run([])[0], draw(random.SeedGenerator(11)), rtol=1e-5)


@pytest.mark.parametrize(
    ("draw", "message"),
    [
        (lambda: random.gamma((2,), 0.0), "alpha above 0"),
        (lambda: random.beta((2,), 1.0, -1.0), "beta above 0"),
        (lambda: random.binomial((2,), 2.5, 0.5), "whole numbers"),
        (lambda: random.binomial((2,), -1, 0.5), "whole numbers"),
        (lambda: random.binomial((2,), 3, 1.5), "from 0 to 1"),
        (lambda: random.gamma((2,), 1.0, dtype="int32"), "real dtype"),
    ],
)
def test_bad_parameters_are_named(draw: Callable[[], Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        draw()


def test_traced_counts_are_refused() -> None:
    with Trace() as trace:
        counts = trace.graph.input((3,), "float32")
        with pytest.raises(GraphError, match="known when the step is traced"):
            random.binomial((3,), counts, 0.5)
