"""Initializers, regularizers and constraints, against the formulas that Keras documents."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

import oxiconv
from oxiconv import constraints, initializers, ops, random, regularizers
from oxiconv.initializers.random import RandomInitializer

SHAPE = (3, 3, 64, 128)
FAN_IN, FAN_OUT = 3 * 3 * 64, 3 * 3 * 128
COUNT = int(np.prod(SHAPE))
# Variance of a standard normal distribution cut at 2: 1 - 2 * 2 pdf(2) / (2 cdf(2) - 1).
CUT_VARIANCE = 1 - 4 * math.exp(-2) / math.sqrt(2 * math.pi) / math.erf(math.sqrt(2))

UNIFORM = {
    "glorot_uniform": 6 / (FAN_IN + FAN_OUT),
    "he_uniform": 6 / FAN_IN,
    "lecun_uniform": 3 / FAN_IN,
}
TRUNCATED = {
    "glorot_normal": 2 / (FAN_IN + FAN_OUT),
    "he_normal": 2 / FAN_IN,
    "lecun_normal": 1 / FAN_IN,
}


def check_moments(x: Any, variance: float, kurtosis: float) -> None:
    """Mean and variance within six deviations of what samples of this size have."""
    assert abs(x.mean()) < 6 * math.sqrt(variance / COUNT)
    assert abs(x.var() / variance - 1) < 6 * math.sqrt((kurtosis - 1) / COUNT)


@pytest.mark.parametrize("name", UNIFORM)
def test_uniform(name: str) -> None:
    x = initializers.get(name)(SHAPE).numpy().astype(np.float64)
    limit = math.sqrt(UNIFORM[name])
    check_moments(x, limit**2 / 3, 1.8)
    assert np.abs(x).max() <= limit * (1 + 2**-23)
    assert np.abs(x).max() > 0.999 * limit


@pytest.mark.parametrize("name", TRUNCATED)
def test_truncated_normal(name: str) -> None:
    x = initializers.get(name)(SHAPE).numpy().astype(np.float64)
    deviation = math.sqrt(TRUNCATED[name])
    check_moments(x, deviation**2, 3)
    # Cut at two deviations of the normal distribution, which is wider by sqrt(CUT_VARIANCE).
    edge = 2 * deviation / math.sqrt(CUT_VARIANCE)
    assert 0.99 * edge < np.abs(x).max() <= edge * (1 + 2**-23)


def test_plain_distributions() -> None:
    x = initializers.RandomNormal(mean=1.0, stddev=0.5)(SHAPE).numpy().astype(np.float64)
    check_moments(x - 1, 0.25, 3)
    x = initializers.RandomUniform(-1, 3)(SHAPE).numpy().astype(np.float64)
    check_moments(x - 1, 16 / 12, 1.8)
    x = initializers.TruncatedNormal(stddev=2.0)(SHAPE).numpy().astype(np.float64)
    check_moments(x, 4 * CUT_VARIANCE, 3)
    assert np.abs(x).max() <= 4.0
    x = initializers.VarianceScaling(3.0, "fan_out", "untruncated_normal")(SHAPE).numpy().astype(np.float64)
    check_moments(x, 3 / FAN_OUT, 3)
    x = initializers.VarianceScaling(3.0, "fan_avg", "uniform")(SHAPE).numpy().astype(np.float64)
    check_moments(x, 6 / (FAN_IN + FAN_OUT), 1.8)


@pytest.mark.parametrize("shape", [(6, 4), (4, 6), (2, 3, 5)])
def test_orthogonal(shape: tuple[int, ...]) -> None:
    x = initializers.Orthogonal(gain=2.0, seed=1)(shape).numpy().astype(np.float64).reshape(-1, shape[-1])
    gram = x.T @ x if x.shape[0] >= x.shape[1] else x @ x.T
    # Each of at most 6 products of numbers below 2 is off by two roundings.
    np.testing.assert_allclose(gram, 4 * np.eye(len(gram)), atol=6 * 4 * 2 * 2.0**-24)


def test_constants() -> None:
    np.testing.assert_array_equal(initializers.Zeros()((2, 3)).numpy(), np.zeros((2, 3), np.float32))
    np.testing.assert_array_equal(initializers.Ones()((2,), dtype="int32").numpy(), np.ones(2, np.int32))
    np.testing.assert_array_equal(initializers.Constant([1.0, 2.0])((3, 2)).numpy(), [[1, 2]] * 3)
    np.testing.assert_array_equal(initializers.Identity(3.0)((2, 2)).numpy(), 3 * np.eye(2))
    with pytest.raises(ValueError, match="Identity: expected a shape of 2 axes"):
        initializers.Identity()((2, 2, 2))
    with pytest.raises(ValueError, match="Orthogonal: expected a shape of at least 2"):
        initializers.Orthogonal()((2,))


def test_seeds() -> None:
    """An instance repeats itself; instances differ; generators go on; the global seed fixes all of it."""
    one = initializers.HeNormal(seed=3)
    np.testing.assert_array_equal(one((4, 4)).numpy(), one((4, 4)).numpy())
    np.testing.assert_array_equal(one((4, 4)).numpy(), initializers.HeNormal(seed=3)((4, 4)).numpy())
    unseeded = initializers.HeNormal()
    np.testing.assert_array_equal(unseeded((4, 4)).numpy(), unseeded((4, 4)).numpy())
    assert (unseeded((4, 4)).numpy() != initializers.HeNormal()((4, 4)).numpy()).any()
    advancing = initializers.HeNormal(seed=random.SeedGenerator(3))
    assert (advancing((4, 4)).numpy() != advancing((4, 4)).numpy()).any()
    draws = []
    for _ in range(2):
        oxiconv.utils.set_random_seed(11)
        draws.append([initializers.HeNormal()((4, 4)).numpy() for _ in range(2)])
    np.testing.assert_array_equal(draws[0], draws[1])
    assert (draws[0][0] != draws[0][1]).any()


@pytest.mark.parametrize("name", [n for n in initializers.__all__ if n[0].isupper() and "nitializer" not in n])
def test_names_and_configurations(name: str) -> None:
    cls = getattr(initializers, name)
    from oxiconv.naming import to_snake_case

    assert getattr(initializers, to_snake_case(name)) is cls
    for identifier in (name, to_snake_case(name), cls, cls()):
        assert type(initializers.get(identifier)) is cls
    one = cls() if "Zero" in name or name in ("Ones", "Constant", "Identity") else cls(seed=5)
    again = initializers.deserialize(initializers.serialize(one))
    assert type(again) is cls
    np.testing.assert_array_equal(again((4, 4)).numpy(), one((4, 4)).numpy())
    np.testing.assert_array_equal(one.clone()((4, 4)).numpy(), one((4, 4)).numpy())


def test_unknown_names() -> None:
    with pytest.raises(ValueError, match=r"initializer: expected one of .*he_normal.* got 'henormal'"):
        initializers.get("henormal")
    with pytest.raises(ValueError, match="initializer: expected a name, a callable or a configuration, got 3"):
        initializers.get(3)
    for bad in ({"scale": 0}, {"mode": "fan"}, {"distribution": "cauchy"}):
        with pytest.raises(ValueError, match="VarianceScaling: expected"):
            initializers.VarianceScaling(**bad)
    with pytest.raises(ValueError, match="integer seed"):
        initializers.HeNormal(seed=True)


def test_regularizers() -> None:
    w = np.array([[1.0, -2.0], [0.5, 0.0]])
    for regularizer, wanted in [
        (regularizers.L1(), 0.01 * 3.5),
        (regularizers.L2(0.5), 0.5 * 5.25),
        (regularizers.L1L2(0.1, 0.2), 0.1 * 3.5 + 0.2 * 5.25),
        (regularizers.get("l2"), 0.01 * 5.25),
        (regularizers.l1_l2(0.01, 0.01), 0.01 * (3.5 + 5.25)),
    ]:
        assert float(regularizer(w)) == pytest.approx(wanted, rel=8 * 2**-24)
        again = regularizers.deserialize(regularizers.serialize(regularizer))
        assert float(again(w)) == float(regularizer(w))
    assert regularizers.get(None) is None
    assert regularizers.get(ops.sum) is ops.sum
    with pytest.raises(ValueError, match="L2: expected a finite l2 of at least 0, got -1"):
        regularizers.L2(-1)


def test_constraints() -> None:
    w = np.array([[3.0, -0.3], [4.0, 0.4]], np.float32)
    # Columns have norms 5 and 0.5; Keras adds epsilon = 1e-7 to the divisor.
    cases: list[tuple[Any, Any]] = [
        (constraints.MaxNorm(2), [[1.2, -0.3], [1.6, 0.4]]),
        (constraints.UnitNorm(), [[0.6, -0.6], [0.8, 0.8]]),
        (constraints.NonNeg(), [[3, 0], [4, 0.4]]),
        (constraints.MinMaxNorm(1.0, 2.0), [[1.2, -0.6], [1.6, 0.8]]),
        (constraints.MinMaxNorm(1.0, 2.0, rate=0.5), [[2.1, -0.45], [2.8, 0.6]]),
        (constraints.MaxNorm(1, axis=1), [[0.99503719, -0.099503719], [0.99503719, 0.099503719]]),
    ]
    for constraint, wanted in cases:
        np.testing.assert_allclose(constraint(w).numpy(), wanted, rtol=1e-6)
        again = constraints.deserialize(constraints.serialize(constraint))
        np.testing.assert_array_equal(again(w).numpy(), constraint(w).numpy())
    assert isinstance(constraints.get("max_norm"), constraints.MaxNorm)


@pytest.mark.parametrize("name", ["VarianceScaling", "GlorotUniform", "HeNormal", "LecunUniform"])
def test_fans_of_chosen_axes(name: str) -> None:
    cls = getattr(initializers, name)
    # A kernel of attention: [inputs, heads, size per head]; the usual axes would give other fans.
    chosen = cls(seed=1, input_axes=[0], output_axes=[1, 2])
    plain = cls(seed=1)
    ratio = chosen((64, 4, 8)).numpy() / plain((64, 32)).numpy().reshape(64, 4, 8)
    # The same draws, scaled the same: 64 inputs, 32 outputs. One rounding of each.
    np.testing.assert_allclose(ratio, 1.0, rtol=2 * float(np.finfo(np.float32).eps))
    assert chosen.get_config()["output_axes"] == [1, 2]
    assert cls.from_config(chosen.get_config()).get_config() == chosen.get_config()


def test_arrays_as_initializers_have_one_shape() -> None:
    start = initializers.get(np.ones((2, 3), np.float32))
    assert start((2, 3)).numpy().tolist() == [[1.0] * 3] * 2
    with pytest.raises(ValueError, match=r"expected shape \(2, 3\) of the array, got \(4, 3\)"):
        start((4, 3))


def test_configurations_without_a_module() -> None:
    found = initializers.get({"class_name": "RandomNormal", "config": {"stddev": 0.5}})
    assert found.stddev == 0.5
    assert regularizers.get({"class_name": "L1L2", "config": {"l1": 0.5, "l2": 0.0}}).l1 == 0.5
    assert constraints.get({"class_name": "MaxNorm", "config": {"max_value": 3}}).max_value == 3


@pytest.mark.parametrize(
    ("use", "message"),
    [
        (lambda: regularizers.OrthogonalRegularizer(mode="both"), "mode 'rows' or 'columns'"),
        (lambda: regularizers.OrthogonalRegularizer()([1.0, 2.0]), "expected 2 axes"),
        (lambda: regularizers.OrthogonalRegularizer(factor=-1.0), "finite factor of at least 0"),
    ],
)
def test_wrong_regularizers(use: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        use()


def test_a_distribution_without_sample() -> None:
    class Nothing(RandomInitializer):
        pass

    with pytest.raises(NotImplementedError, match="Nothing: expected a class that defines sample"):
        Nothing()((2,))
