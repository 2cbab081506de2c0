"""Optimizers and schedules against float64 implementations written from Keras's documentation."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from oxiconv import Variable, ops, optimizers
from oxiconv.optimizers import schedules
from oxiconv.trace import Trace

Array = NDArray[np.float64]
EPS = float(np.finfo(np.float32).eps)
STEPS = 40


def gradients() -> Iterator[Array]:
    """Gradients of changing sign and size, exact in float32."""
    draw = np.random.default_rng(0)
    for _ in range(STEPS):
        yield draw.normal(size=(3, 2)).astype(np.float32).astype(np.float64)


START = np.random.default_rng(1).normal(size=(3, 2)).astype(np.float32).astype(np.float64)


def sgd(lr: float = 0.1, momentum: float = 0.0, nesterov: bool = False) -> Callable[[Array, Array, int], Array]:
    m = np.zeros_like(START)

    def step(v: Array, g: Array, t: int) -> Array:
        nonlocal m
        m = momentum * m - lr * g
        return v + (momentum * m - lr * g if nesterov else m)

    return step


def adam(
    lr: float = 0.001, b1: float = 0.9, b2: float = 0.999, eps: float = 1e-7, amsgrad: bool = False, decay: float = 0.0
) -> Callable[[Array, Array, int], Array]:
    m, u, hat = (np.zeros_like(START) for _ in range(3))

    def step(v: Array, g: Array, t: int) -> Array:
        nonlocal m, u, hat
        v = v - v * decay * lr
        m = b1 * m + (1 - b1) * g
        u = b2 * u + (1 - b2) * g**2
        hat = np.maximum(hat, u)
        alpha = lr * math.sqrt(1 - b2 ** (t + 1)) / (1 - b1 ** (t + 1))
        return v - alpha * m / (np.sqrt(hat if amsgrad else u) + eps)

    return step


def rmsprop(
    lr: float = 0.001, rho: float = 0.9, momentum: float = 0.0, eps: float = 1e-7, centered: bool = False
) -> Callable[[Array, Array, int], Array]:
    u, a, m = (np.zeros_like(START) for _ in range(3))

    def step(v: Array, g: Array, t: int) -> Array:
        nonlocal u, a, m
        u = rho * u + (1 - rho) * g**2
        a = rho * a + (1 - rho) * g
        step = lr * g / np.sqrt((u - a**2 if centered else u) + eps)
        m = momentum * m + step
        return v - m

    return step


CASES: dict[str, tuple[Callable[[], optimizers.Optimizer], Callable[[Array, Array, int], Array]]] = {
    "sgd": (lambda: optimizers.SGD(0.1), sgd()),
    "momentum": (lambda: optimizers.SGD(0.1, momentum=0.9), sgd(momentum=0.9)),
    "nesterov": (lambda: optimizers.SGD(0.1, momentum=0.9, nesterov=True), sgd(momentum=0.9, nesterov=True)),
    "adam": (lambda: optimizers.Adam(0.01), adam(0.01)),
    "adam betas": (lambda: optimizers.Adam(0.01, 0.5, 0.9, 1e-3), adam(0.01, 0.5, 0.9, 1e-3)),
    "amsgrad": (lambda: optimizers.Adam(0.01, beta_2=0.5, amsgrad=True), adam(0.01, b2=0.5, amsgrad=True)),
    "adamw": (lambda: optimizers.AdamW(0.01, weight_decay=0.1), adam(0.01, decay=0.1)),
    "rmsprop": (lambda: optimizers.RMSprop(0.01), rmsprop(0.01)),
    "rmsprop momentum": (lambda: optimizers.RMSprop(0.01, momentum=0.5), rmsprop(0.01, momentum=0.5)),
    "centered": (lambda: optimizers.RMSprop(0.01, rho=0.5, centered=True), rmsprop(0.01, 0.5, centered=True)),
}


def run(optimizer: optimizers.Optimizer, values: Iterator[Array]) -> Variable:
    v = Variable(START.astype(np.float32))
    for g in values:
        optimizer.apply_gradients([(ops.convert_to_tensor(g.astype(np.float32)), v)])
    return v


def follow(step: Callable[[Array, Array, int], Array], values: Iterator[Array]) -> Array:
    v = START
    for t, g in enumerate(values):
        v = step(v, g, t)
    return v


def tolerance(step_size: float) -> float:
    """Each of the steps rounds its increment (16 roundings of a value of `step_size`) and the sum (of size up to 4)."""
    return STEPS * EPS * (16 * step_size + 4)


@pytest.mark.parametrize("name", CASES)
def test_trajectory(name: str) -> None:
    make, step = CASES[name]
    want = follow(step, gradients())
    # Centered RMSprop divides by the root of a difference, which magnifies roundings of u by u / (u - a^2) <= 1e3.
    size = 40.0 if name == "centered" else 1.0
    np.testing.assert_allclose(run(make(), gradients()).numpy(), want, rtol=0, atol=tolerance(size))


@pytest.mark.parametrize("name", CASES)
def test_compiled_updates_equal_eager_ones(name: str) -> None:
    eager = run(CASES[name][0](), gradients())
    optimizer = CASES[name][0]()
    v = Variable(START.astype(np.float32))
    optimizer.build([v])
    with Trace() as trace:
        g = trace.graph.input((3, 2), "float32", batched=False)
        optimizer.apply([g], [v])
        step = trace.compile([])
    for value in gradients():
        step.run([value.astype(np.float32)])
    assert int(optimizer.iterations) == STEPS
    # The same operations; a fused program may contract a product and a sum, which saves one rounding of each pair.
    size = 40.0 if name == "centered" else 1.0
    np.testing.assert_allclose(v.numpy(), eager.numpy(), rtol=0, atol=tolerance(size))


def test_first_adam_step_is_accurate() -> None:
    """1 - 0.999**1 by float32 powers would be wrong by 1e-5, relative."""
    v = Variable(np.zeros(1, np.float32))
    optimizers.Adam(1.0, epsilon=0.0).apply([ops.convert_to_tensor([2.0])], [v])
    assert float(v.numpy()[0]) == pytest.approx(-1.0, rel=8 * EPS)


def test_clipping() -> None:
    g = np.array([[3.0, 4.0]], np.float32)
    h = np.array([[0.0, 12.0]], np.float32)
    cases: list[tuple[dict[str, Any], list[list[float]]]] = [
        ({"clipvalue": 3.5}, [[3.0, 3.5], [0.0, 3.5]]),
        ({"clipnorm": 2.5}, [[1.5, 2.0], [0.0, 2.5]]),
        ({"clipnorm": 100.0}, [[3.0, 4.0], [0.0, 12.0]]),
        ({"global_clipnorm": 6.5}, [[1.5, 2.0], [0.0, 6.0]]),
    ]
    for kwargs, want in cases:
        v, w = Variable(np.zeros((1, 2), np.float32)), Variable(np.zeros((1, 2), np.float32))
        optimizers.SGD(1.0, **kwargs).apply([ops.convert_to_tensor(g), ops.convert_to_tensor(h)], [v, w])
        np.testing.assert_allclose(-np.concatenate([v.numpy(), w.numpy()]), want, rtol=4 * EPS)
    with pytest.raises(ValueError, match="at most one of clipnorm"):
        optimizers.SGD(clipnorm=1.0, clipvalue=1.0)


def test_a_gradient_that_is_not_finite_is_not_hidden_by_clipping() -> None:
    v = Variable(np.zeros(2, np.float32))
    optimizers.SGD(1.0, clipnorm=1.0).apply([ops.convert_to_tensor([np.inf, 1.0])], [v])
    assert np.isnan(v.numpy()).all()


def test_accumulated_gradients() -> None:
    """Every third step updates with the mean of three gradients; between, nothing changes but the accumulator."""
    optimizer = optimizers.Adam(0.01, gradient_accumulation_steps=3, weight_decay=0.1)
    v = Variable(START.astype(np.float32))
    oracle, want = adam(0.01, decay=0.1), START
    pending: list[Array] = []
    for i, g in enumerate(gradients()):
        optimizer.apply([ops.convert_to_tensor(g.astype(np.float32))], [v])
        pending.append(g)
        if len(pending) == 3:
            want = oracle(want, sum(pending, np.zeros_like(START)) / 3, i // 3)
            pending = []
        np.testing.assert_allclose(v.numpy(), want, rtol=0, atol=tolerance(1.0))
    assert int(optimizer.iterations) == STEPS // 3


def test_moving_average() -> None:
    optimizer = optimizers.SGD(0.1, use_ema=True, ema_momentum=0.8)
    v = Variable(START.astype(np.float32))
    step, value, average = sgd(), START, START
    for t, g in enumerate(gradients()):
        optimizer.apply([ops.convert_to_tensor(g.astype(np.float32))], [v])
        value = step(value, g, t)
        average = value if t == 0 else 0.8 * average + 0.2 * value
    np.testing.assert_allclose(v.numpy(), value, rtol=0, atol=tolerance(1.0))
    optimizer.finalize_variable_values([v])
    np.testing.assert_allclose(v.numpy(), average, rtol=0, atol=tolerance(1.0))


def test_moving_average_overwrites() -> None:
    optimizer = optimizers.SGD(1.0, use_ema=True, ema_momentum=0.5, ema_overwrite_frequency=2)
    v = Variable(0.0)
    for want in (-1.0, -1.5):
        optimizer.apply([ops.convert_to_tensor(1.0)], [v])
        assert float(v) == want


def test_weight_decay_and_exclusion() -> None:
    kernel, bias = Variable(1.0, name="kernel"), Variable(1.0, name="bias")
    optimizer = optimizers.SGD(0.5, weight_decay=0.5)
    optimizer.exclude_from_weight_decay(var_names=["bias"])
    zero = ops.convert_to_tensor(0.0)
    optimizer.apply([zero, zero], [kernel, bias])
    assert (float(kernel), float(bias)) == (0.75, 1.0)


def test_loss_scale() -> None:
    optimizer = optimizers.SGD(1.0, loss_scale_factor=8.0)
    v = Variable(0.0)
    assert float(optimizer.scale_loss(ops.convert_to_tensor(0.5))) == 4.0
    optimizer.apply([ops.convert_to_tensor(8.0)], [v])
    assert float(v) == -1.0


def test_learning_rate_is_read_and_set() -> None:
    optimizer = optimizers.Adam(0.5)
    assert float(optimizer.learning_rate) == 0.5
    optimizer.learning_rate = 0.25
    assert float(optimizer.learning_rate) == 0.25
    optimizer.learning_rate.assign(0.125)
    assert optimizer.get_config()["learning_rate"] == 0.125
    scheduled = optimizers.Adam(schedules.ExponentialDecay(1.0, 1, 0.5))
    with pytest.raises(TypeError, match="ExponentialDecay"):
        scheduled.learning_rate = 0.1


def test_schedule_follows_the_iterations() -> None:
    optimizer = optimizers.SGD(schedules.ExponentialDecay(1.0, 1, 0.5))
    v = Variable(0.0)
    for want in (-1.0, -1.5, -1.75):
        optimizer.apply([ops.convert_to_tensor(1.0)], [v])
        assert float(v) == want


def piecewise(step: int) -> float:
    return 1.0 if step <= 10 else 0.5 if step <= 20 else 0.1


def cosine(step: int) -> float:
    if step < 10:
        return 0.1 + (1.0 - 0.1) * step / 10
    done = min((step - 10) / 20, 1.0)
    return 0.05 + 0.95 * 0.5 * (1 + math.cos(math.pi * done))


def restarts(step: int) -> float:
    begin, period, height = 0.0, 10.0, 1.0
    while step >= begin + period:
        begin, period, height = begin + period, period * 2, height * 0.5
    return 0.1 + 0.9 * height * 0.5 * (1 + math.cos(math.pi * (step - begin) / period))


SCHEDULES: dict[str, tuple[schedules.LearningRateSchedule, Callable[[int], float]]] = {
    "exponential": (schedules.ExponentialDecay(0.5, 10, 0.9), lambda s: 0.5 * 0.9 ** (s / 10)),
    "staircase": (schedules.ExponentialDecay(0.5, 10, 0.9, staircase=True), lambda s: 0.5 * 0.9 ** (s // 10)),
    "inverse": (schedules.InverseTimeDecay(0.5, 10, 0.9), lambda s: 0.5 / (1 + 0.9 * s / 10)),
    "piecewise": (schedules.PiecewiseConstantDecay([10, 20], [1.0, 0.5, 0.1]), piecewise),
    "polynomial": (
        schedules.PolynomialDecay(0.5, 30, 0.1, power=2.0),
        lambda s: 0.4 * (1 - min(s, 30) / 30) ** 2 + 0.1,
    ),
    "cycle": (
        schedules.PolynomialDecay(0.5, 10, 0.1, cycle=True),
        lambda s: 0.4 * (1 - s / (10 * max(math.ceil(s / 10), 1))) + 0.1,
    ),
    "cosine": (schedules.CosineDecay(0.1, 20, alpha=0.05, warmup_target=1.0, warmup_steps=10), cosine),
    "restarts": (schedules.CosineDecayRestarts(1.0, 10, m_mul=0.5, alpha=0.1), restarts),
}


@pytest.mark.parametrize("name", SCHEDULES)
def test_schedule(name: str) -> None:
    schedule, oracle = SCHEDULES[name]
    for step in range(75):
        # A handful of roundings of values up to 2 pi; the powers' exponents up to 8 magnify them by as much.
        assert float(schedule(step)) == pytest.approx(oracle(step), abs=64 * EPS), step
    again = type(schedule).from_config(schedule.get_config())
    assert float(again(7)) == float(schedule(7))


@pytest.mark.parametrize("name", ["adam", "Adam", "sgd", "SGD", "rmsprop", "adamw"])
def test_get(name: str) -> None:
    assert type(optimizers.get(name)).__name__.lower() == name.lower()


def test_configuration_round_trip() -> None:
    optimizer = optimizers.AdamW(schedules.CosineDecay(0.1, 20), clipnorm=1.0, amsgrad=True)
    again = optimizers.deserialize(optimizers.serialize(optimizer))
    assert again.get_config() == optimizer.get_config()
    assert isinstance(again, optimizers.AdamW)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: optimizers.get("nope"), "Unknown optimizer 'nope'"),
        (lambda: optimizers.Adam(lr=0.1), r"unknown arguments \['lr'\]"),
        (lambda: optimizers.Adam("fast"), "learning_rate"),
        (lambda: optimizers.Adam(beta_1=1.0), "beta_1"),
        (lambda: optimizers.SGD(momentum=2.0), "momentum"),
        (lambda: optimizers.SGD(gradient_accumulation_steps=1), "gradient_accumulation_steps"),
        (lambda: optimizers.SGD(use_ema=True, ema_momentum=2.0), "ema_momentum"),
        (lambda: schedules.PiecewiseConstantDecay([1], [1.0]), "one value more"),
        (lambda: schedules.ExponentialDecay(1.0, 0, 0.5), "decay_steps"),
    ],
)
def test_wrong_arguments(make: Callable[[], Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()


def test_apply_to_unknown_or_no_variables() -> None:
    optimizer = optimizers.SGD()
    v, w = Variable(0.0), Variable(0.0, name="other")
    one = ops.convert_to_tensor(1.0)
    optimizer.apply([one], [v])
    with pytest.raises(ValueError, match="'other' is not among the variables"):
        optimizer.apply([one], [w])
    with pytest.raises(ValueError, match="no gradients"):
        optimizer.apply([None], [v])
    with pytest.raises(ValueError, match="expected 1 gradients"):
        optimizer.apply([one, one])
    with pytest.warns(UserWarning, match="does not depend on"):
        optimizers.SGD().apply([one, None], [v, w])
