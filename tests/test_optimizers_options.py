"""Optimizers beyond their formulas: compiled steps, state, configurations, and classes of one's own."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest

from oxiconv import Variable, ops, optimizers
from oxiconv.optimizers import schedules
from oxiconv.trace import Trace
from reference.areas.optimizers import OPTIMIZERS

EPS = float(np.finfo(np.float32).eps)
CLASSES = [name for name in optimizers.__all__ if name[0].isupper()]
PLAIN = [name for name in CLASSES if name not in ("Optimizer", "OptimizerMap", "MultiOptimizer", "LossScaleOptimizer")]


def draw(*shape: int, seed: int = 0) -> Any:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def targets() -> list[Variable]:
    return [Variable(draw(3, 2, seed=1), name="kernel"), Variable(draw(2, seed=2), name="bias")]


def gradients(step: int) -> list[Any]:
    return [draw(3, 2, seed=10 + step), draw(2, seed=50 + step)]


def make(setup: tuple[str, dict[str, Any]]) -> Any:
    return getattr(optimizers, setup[0])(**setup[1])


def run_eagerly(optimizer: Any, variables: list[Variable], steps: int = 7) -> None:
    for i in range(steps):
        optimizer.apply([ops.convert_to_tensor(g) for g in gradients(i)], variables)


def run_compiled(optimizer: Any, variables: list[Variable], steps: int = 7) -> None:
    optimizer.build(variables)
    with Trace() as trace:
        inputs = [trace.graph.input(v.shape, "float32", batched=False) for v in variables]
        optimizer.apply(inputs, variables)
        step = trace.compile([])
    for i in range(steps):
        step.run(gradients(i))


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_compiled_steps_equal_eager_ones(name: str) -> None:
    eager, compiled = make(OPTIMIZERS[name]), make(OPTIMIZERS[name])
    ours, theirs = targets(), targets()
    run_eagerly(eager, ours)
    run_compiled(compiled, theirs)
    # A fused program may contract products and sums, one rounding less of each pair; seven steps of a few dozen
    # operations on values of size 1 to 4, and Muon's iteration magnifies what it is given about tenfold.
    tolerance = 7 * 64 * EPS * (10 if name.startswith("muon") else 1)
    for a, b in zip([*ours, *eager.variables], [*theirs, *compiled.variables], strict=True):
        np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=tolerance, atol=tolerance, err_msg=a.path)


def test_compiled_loss_scale() -> None:
    optimizer = optimizers.LossScaleOptimizer(optimizers.SGD(1.0), initial_scale=4.0, dynamic_growth_steps=2)
    v = Variable(0.0)
    optimizer.build([v])
    with Trace() as trace:
        g = trace.graph.input((), "float32", batched=False)
        optimizer.apply([g], [v])
        step = trace.compile([])
    seen = []
    for value in (4.0, np.inf, 2.0, np.nan, 1.0, 1.0, 2.0):
        step.run([np.array(value, np.float32)])
        seen.append((float(v), float(optimizer.dynamic_scale), int(optimizer.iterations)))
    # The scale doubles after two finite steps in a row and halves after every other; such a step changes nothing else.
    want = [(-1, 4, 1), (-1, 2, 1), (-2, 2, 2), (-2, 1, 2), (-3, 1, 3), (-4, 2, 4), (-5, 2, 5)]
    assert seen == want


def test_schedule_free_adamw_is_its_definition() -> None:
    """Against the three sequences of the paper, in float64: base z, average x, and y where gradients are taken."""
    lr, b1, b2, eps = 0.1, 0.8, 0.9, 1e-8
    optimizer = optimizers.ScheduleFreeAdamW(lr, b1, b2, eps, warmup_steps=3)
    variables = targets()
    x = z = variables[0].numpy().astype(np.float64)
    u = np.zeros_like(z)
    for i in range(9):
        g = gradients(i)[0].astype(np.float64)
        u = b2 * u + (1 - b2) * g**2
        z = z - lr * min((i + 1) / 3, 1) * g / (np.sqrt(u / (1 - b2 ** (i + 1))) + eps)
        x = x + (z - x) / (i + 1)
    run_eagerly(optimizer, variables, 9)
    # Ten operations a step; the average is found again from y, which divides roundings by b1 each time: 0.8**-9 < 8.
    np.testing.assert_allclose(variables[0].numpy(), (1 - b1) * z + b1 * x, atol=9 * 10 * 8 * EPS * 2)
    np.testing.assert_allclose(optimizer.variables[2].numpy(), z, atol=9 * 10 * EPS * 2)


def test_names_of_slots_are_those_of_keras() -> None:
    kernel = Variable(draw(3, 2), name="kernel")
    kernel.path = "model/dense/kernel"
    adam = optimizers.Adam(amsgrad=True, use_ema=True, gradient_accumulation_steps=2, name="adam")
    adam.build([kernel])
    slot = "adam/model_dense_kernel"
    assert [v.path for v in adam.variables] == [
        "adam/iteration",
        "adam/learning_rate",
        f"{slot}_average",
        f"{slot}_gradient_accumulator",
        f"{slot}_momentum",
        f"{slot}_velocity",
        f"{slot}_velocity_hat",
    ]
    adafactor = optimizers.Adafactor(name="a")
    adafactor.build([kernel, Variable(draw(2), name="bias")])
    assert [(v.name, v.shape, v.dtype) for v in adafactor.variables[2:]] == [
        ("kernel", (3,), "float32"),
        ("kernel", (2,), "float32"),
        ("model_dense_kernel_velocity", (3, 2), "float32"),
        ("bias", (), "int32"),
        ("bias", (), "int32"),
        ("bias_velocity", (2,), "float32"),
    ]


@pytest.mark.parametrize("name", PLAIN)
def test_configurations_and_strings(name: str) -> None:
    optimizer = optimizers.get(name.lower())
    assert optimizer is not None
    assert type(optimizer).__name__ == name
    again = optimizers.deserialize(optimizers.serialize(optimizer))
    assert type(again) is type(optimizer)
    assert again.get_config() == optimizer.get_config()
    other = optimizers.get({"class_name": name.lower(), "config": {"learning_rate": 0.25, "name": "other"}})
    assert other is not None
    assert float(other.learning_rate) == 0.25
    assert other.name == "other"


def test_configurations_of_wrappers() -> None:
    scaled = optimizers.LossScaleOptimizer(optimizers.Adam(0.5), initial_scale=4.0)
    again = optimizers.deserialize(optimizers.serialize(scaled))
    assert again.get_config() == scaled.get_config()
    assert float(again.learning_rate) == 0.5
    by_path = optimizers.OptimizerMap(optimizers.Adam(), {"a": optimizers.SGD(0.5)})
    several = optimizers.MultiOptimizer(by_path, loss_scale_factor=2.0)
    other = optimizers.deserialize(optimizers.serialize(several))
    assert other.get_config() == several.get_config()
    with pytest.raises(AttributeError, match="learning rates are those of its optimizers"):
        _ = other.learning_rate


@pytest.mark.parametrize("name", PLAIN)
def test_state_is_saved_and_loaded(name: str) -> None:
    first, second = (getattr(optimizers, name)(0.1) for _ in range(2))
    variables = targets()
    run_eagerly(first, variables, 3)
    store: dict[str, Any] = {}
    first.save_own_variables(store)
    assert list(store) == [str(i) for i in range(len(first.variables))]
    copies = [Variable(v.numpy(), name=v.name) for v in variables]
    second.build(copies)
    second.load_own_variables(store)
    for optimizer, some in ((first, variables), (second, copies)):
        optimizer.apply([ops.convert_to_tensor(g) for g in gradients(5)], some)
    for a, b in zip(variables, copies, strict=True):
        np.testing.assert_array_equal(a.numpy(), b.numpy())
    third = getattr(optimizers, name)(0.1)
    with pytest.warns(UserWarning, match="not built yet"):
        third.load_own_variables({**store, "more": np.zeros(())})
    third.build(copies)
    third.set_weights([v.numpy() for v in first.variables])
    assert int(third.iterations) == 4


def test_stateless_apply_changes_nothing() -> None:
    optimizer, variables = optimizers.Adam(0.1), targets()
    optimizer.build(variables)
    before = [v.numpy() for v in [*variables, *optimizer.variables]]
    grads = [ops.convert_to_tensor(g) for g in gradients(0)]
    new, own = optimizer.stateless_apply([v.value for v in optimizer.variables], grads, [v.value for v in variables])
    for v, value in zip([*variables, *optimizer.variables], before, strict=True):
        np.testing.assert_array_equal(v.numpy(), value)
    optimizer.apply(grads, variables)
    for v, tensor in zip([*variables, *optimizer.variables], [*new, *own], strict=True):
        np.testing.assert_array_equal(v.numpy(), tensor.numpy())
    with pytest.raises(ValueError, match="expected 2 values of variables"):
        optimizer.stateless_apply([], grads, [])


class Averaging(optimizers.Optimizer):
    """An optimizer as users write it: slots, a counter, direct assignments."""

    def __init__(self, learning_rate: float = 0.5, **kwargs: Any) -> None:
        super().__init__(learning_rate=learning_rate, **kwargs)
        self.calls = Variable(0, dtype="int32", trainable=False, name="calls")

    def build(self, variables: Any) -> None:
        super().build(variables)
        self.sums = [self.add_variable_from_reference(reference_variable=v, name="sum") for v in variables]

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        total = self.sums[self._get_variable_index(variable)]
        total.assign_add(gradient)
        self.calls.assign_add(1)
        self.assign_sub(variable, ops.multiply(total, learning_rate))


@pytest.mark.parametrize("run", [run_eagerly, run_compiled])
def test_an_own_optimizer(run: Any) -> None:
    optimizer, (kernel, bias) = Averaging(gradient_accumulation_steps=2), targets()
    start = bias.numpy().astype(np.float64)
    run(optimizer, [kernel, bias], 5)
    # Updates after the second and the fourth step, with means of two gradients; their sums are the steps.
    first, second = ((gradients(i)[1] + gradients(i + 1)[1]).astype(np.float64) / 2 for i in (0, 2))
    np.testing.assert_allclose(bias.numpy(), start - 0.5 * (2 * first + second), atol=32 * EPS)
    assert int(optimizer.calls) == 4
    assert optimizer.calls in optimizer.variables
    assert [v.name for v in optimizer.variables][-2:] == ["kernel_sum", "bias_sum"]


def test_learning_rates_that_are_functions() -> None:
    rates = iter([0.5, 0.25])
    optimizer, v = optimizers.SGD(lambda: next(rates)), Variable(0.0)
    for want in (-0.5, -0.75):
        optimizer.apply([ops.convert_to_tensor(1.0)], [v])
        assert float(v) == want
    changed = optimizers.SGD(0.5)
    assert len(changed.variables) == 2
    changed.learning_rate = schedules.ExponentialDecay(1.0, 1, 0.5)
    assert [w.name for w in changed.variables] == ["iteration"]
    assert float(changed.learning_rate) == 1.0


def test_arguments_of_old_scripts() -> None:
    with pytest.warns(UserWarning, match="decay is ignored"):
        optimizers.SGD(decay=0.1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        optimizers.SGD(decay=None)
    assert optimizers.get(None) is None


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: optimizers.Lion(beta_1=0.0), "beta_1"),
        (lambda: optimizers.Ftrl(learning_rate_power=0.5), "learning_rate_power must be at most 0"),
        (lambda: optimizers.Ftrl(l1_regularization_strength=-1.0), "l1_regularization_strength must be at least 0"),
        (lambda: optimizers.Ftrl(initial_accumulator_value=-1.0), "initial_accumulator_value"),
        (lambda: optimizers.ScheduleFreeAdamW(beta_1=0.0), "beta_1 must be above 0"),
        (lambda: optimizers.LossScaleOptimizer(optimizers.SGD(), clipnorm=1.0), "clipnorm on the inner"),
        (lambda: optimizers.LossScaleOptimizer(optimizers.SGD(), dynamic=False), "loss_scale_factor"),
        (lambda: optimizers.OptimizerMap(optimizers.SGD()).__setitem__("a", "sgd"), "wraps no other"),
        (lambda: optimizers.SGD().set_weights([]), "call build"),
        (lambda: optimizers.SGD().stateless_apply([], [], []), "call build"),
        (lambda: optimizers.SGD().add_optimizer_variables(targets(), ["a"], ["zeros", "ones"]), "an initializer per"),
    ],
)
def test_wrong_arguments(build: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build()


@pytest.mark.parametrize("name", ["SGD", "RMSprop", "Adam", "Adagrad", "Adadelta", "Adamax", "Nadam", "Lion"])
def test_an_update_is_one_map_per_variable(name: str) -> None:
    """All slots and the variable are written in one pass over the gradient; what all share is computed once."""
    optimizer = getattr(optimizers, name)(weight_decay=0.1, **({"momentum": 0.5} if name in ("SGD", "RMSprop") else {}))
    variables = [Variable(draw(8, 8, seed=i), name=f"v{i}") for i in range(4)]
    optimizer.build(variables)
    with Trace() as trace:
        optimizer.apply([trace.graph.input((8, 8), "float32", batched=False) for _ in variables], variables)
        program = str(trace.compile([]))
    results = [line for line in program.splitlines() if " = map " in line]
    assert sum("float32[8, 8]" in line for line in results) == len(variables)
    # Scalars: the count, the decay, and at most two factors of moments, each possibly for several maps.
    assert sum("[8, 8]" not in line for line in results) <= 8
