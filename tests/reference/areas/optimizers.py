"""Trajectories of optimizers over ten steps, in their options; learning rates of schedules."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from reference.case import Array, Library, case

STEPS = 10

# Name of the class, arguments. The rates are large, so that ten steps go far.
OPTIMIZERS: dict[str, tuple[str, dict[str, Any]]] = {
    "sgd": ("SGD", {"learning_rate": 0.1}),
    "sgd_momentum": ("SGD", {"learning_rate": 0.1, "momentum": 0.9}),
    "sgd_nesterov": ("SGD", {"learning_rate": 0.1, "momentum": 0.9, "nesterov": True}),
    "rmsprop": ("RMSprop", {"learning_rate": 0.05}),
    "rmsprop_momentum": ("RMSprop", {"learning_rate": 0.05, "momentum": 0.5, "rho": 0.8}),
    "rmsprop_centered": ("RMSprop", {"learning_rate": 0.05, "momentum": 0.5, "epsilon": 1e-3, "centered": True}),
    "adam": ("Adam", {"learning_rate": 0.05}),
    "adam_amsgrad": ("Adam", {"learning_rate": 0.05, "beta_1": 0.8, "beta_2": 0.5, "amsgrad": True}),
    "adamw": ("AdamW", {"learning_rate": 0.05, "weight_decay": 0.1}),
    "adagrad": ("Adagrad", {"learning_rate": 0.1}),
    "adagrad_start": ("Adagrad", {"learning_rate": 0.1, "initial_accumulator_value": 0.5, "epsilon": 1e-2}),
    "adadelta": ("Adadelta", {"learning_rate": 1.0, "epsilon": 1e-2}),
    "adamax": ("Adamax", {"learning_rate": 0.05}),
    # Keras takes 1 - beta_2 in float32: with 0.999 that alone is off by 1.3e-5.
    "nadam": ("Nadam", {"learning_rate": 0.05, "beta_2": 0.9}),
    "lion": ("Lion", {"learning_rate": 0.05}),
    "lamb": ("Lamb", {"learning_rate": 0.05, "weight_decay": 0.1}),
    "adafactor": ("Adafactor", {"learning_rate": 0.5}),
    "adafactor_options": (
        "Adafactor",
        {"learning_rate": 0.5, "beta_2_decay": -0.5, "epsilon_2": 2.0, "clip_threshold": 0.5, "relative_step": False},
    ),
    "ftrl": ("Ftrl", {"learning_rate": 0.1}),
    "ftrl_options": (
        "Ftrl",
        {
            "learning_rate": 0.1,
            "learning_rate_power": -0.7,
            "l1_regularization_strength": 0.3,
            "l2_regularization_strength": 0.2,
            "l2_shrinkage_regularization_strength": 0.1,
            "beta": 0.5,
        },
    ),
    "muon": ("Muon", {"learning_rate": 0.05}),
    "muon_options": (
        "Muon",
        {
            "learning_rate": 0.05,
            "nesterov": False,
            "rms_rate": None,
            "ns_steps": 3,
            "momentum": 0.8,
            "adam_lr_ratio": 2.0,
            "weight_decay": 0.1,
            "adam_weight_decay": None,
        },
    ),
    "muon_excluded": ("Muon", {"learning_rate": 0.05, "exclude_layers": ["ker.el"]}),
    "decay": ("SGD", {"learning_rate": 0.1, "weight_decay": 0.3}),
    "clipnorm": ("SGD", {"learning_rate": 0.1, "clipnorm": 1.0}),
    "clipvalue": ("SGD", {"learning_rate": 0.1, "clipvalue": 0.5}),
    "global_clipnorm": ("Adam", {"learning_rate": 0.1, "global_clipnorm": 1.0}),
    "ema": ("SGD", {"learning_rate": 0.1, "use_ema": True, "ema_momentum": 0.7}),
    "ema_overwrite": (
        "Adam",
        {"learning_rate": 0.1, "use_ema": True, "ema_momentum": 0.7, "ema_overwrite_frequency": 3},
    ),
    "accumulation": ("Adam", {"learning_rate": 0.1, "gradient_accumulation_steps": 3, "clipnorm": 1.0}),
    "accumulation_ema": (
        "Nadam",
        {
            "learning_rate": 0.1,
            "gradient_accumulation_steps": 3,
            "use_ema": True,
            "ema_momentum": 0.7,
            "ema_overwrite_frequency": 2,
            "weight_decay": 0.2,
        },
    ),
    "loss_scale_factor": ("SGD", {"learning_rate": 0.1, "loss_scale_factor": 4.0}),
}


def variables(k: Library) -> list[Any]:
    """A matrix and a vector."""
    matrix = k.keras.Variable(k.normal((3, 2), seed="matrix"), name="kernel")
    return [matrix, k.keras.Variable(k.normal((2,), seed="vector"), name="bias")]


def trajectory(k: Library, optimizer: Any, targets: list[Any]) -> dict[str, Array]:
    """The variables after each step, and then the optimizer's own."""
    path: list[list[Array]] = [[] for _ in targets]
    for step in range(STEPS):
        grads = [k.tensor(k.normal(tuple(v.shape), seed=("gradient", step, i))) for i, v in enumerate(targets)]
        optimizer.apply(grads, targets)
        for values, v in zip(path, targets, strict=True):
            values.append(k.array(v.value))
    results = {f"variable{i}": np.stack(values) for i, values in enumerate(path)}
    for i, v in enumerate(optimizer.variables):
        held = k.array(v.value)
        results[f"own{i}"] = held.astype(np.int32) if held.dtype.kind == "i" else held
    return results


@case(each=OPTIMIZERS)
def steps(k: Library, setup: tuple[str, dict[str, Any]]) -> Mapping[str, Array]:
    cls, arguments = setup
    optimizer = getattr(k.keras.optimizers, cls)(**arguments)
    targets = variables(k)
    results = trajectory(k, optimizer, targets)
    if arguments.get("use_ema"):
        optimizer.finalize_variable_values(targets)
        results |= {f"final{i}": k.array(v.value) for i, v in enumerate(targets)}
    return results


@case
def excluded_from_decay(k: Library) -> Mapping[str, Array]:
    optimizer = k.keras.optimizers.AdamW(0.1, weight_decay=0.5)
    optimizer.exclude_from_weight_decay(var_names=["bias"])
    return trajectory(k, optimizer, variables(k))


@case
def constrained(k: Library) -> Mapping[str, Array]:
    targets = variables(k)
    targets[0].constraint = k.keras.constraints.MaxNorm(0.5)
    return trajectory(k, k.keras.optimizers.SGD(0.1, momentum=0.9), targets)


@case
def rate_of_a_schedule(k: Library) -> Mapping[str, Array]:
    rate = k.keras.optimizers.schedules.ExponentialDecay(0.5, 2, 0.5)
    return trajectory(k, k.keras.optimizers.SGD(rate, gradient_accumulation_steps=2, weight_decay=0.1), variables(k))


@case
def rate_assigned_between_steps(k: Library) -> Mapping[str, Array]:
    optimizer = k.keras.optimizers.Adam(0.1)
    targets = variables(k)
    first = trajectory(k, optimizer, targets)
    optimizer.learning_rate = 0.01
    return {"first": first["variable0"], **trajectory(k, optimizer, targets)}


@case
def loss_scale(k: Library) -> Mapping[str, Array]:
    inner = k.keras.optimizers.SGD(0.1, momentum=0.5)
    optimizer = k.keras.optimizers.LossScaleOptimizer(inner, initial_scale=8.0, dynamic_growth_steps=3)
    targets = variables(k)
    path, scales = [], []
    for step in range(STEPS):
        grads = [k.normal(tuple(v.shape), seed=("gradient", step, i)) for i, v in enumerate(targets)]
        if step in (4, 8):
            grads[1][0] = np.inf
        optimizer.apply([k.tensor(g) for g in grads], targets)
        path.append(k.array(targets[0].value))
        scales.append(k.array(optimizer.scale_loss(k.tensor(np.float32(1.0)))))
    return {
        "variable": np.stack(path),
        "scale": np.stack(scales),
        "iterations": np.array(int(optimizer.iterations), np.int32),
    }


@case
def several_optimizers(k: Library) -> Mapping[str, Array]:
    optimizers = k.keras.optimizers
    by_path = optimizers.OptimizerMap(optimizers.Adam(0.1), {"bia.": optimizers.SGD(0.2)})
    return trajectory(k, optimizers.MultiOptimizer(by_path), variables(k))


SCHEDULES: dict[str, tuple[str, tuple[Any, ...], dict[str, Any]]] = {
    "exponential": ("ExponentialDecay", (0.5, 4, 0.9), {}),
    "exponential_staircase": ("ExponentialDecay", (0.5, 4, 0.9), {"staircase": True}),
    "inverse": ("InverseTimeDecay", (0.5, 4, 0.9), {}),
    "inverse_staircase": ("InverseTimeDecay", (0.5, 4, 0.9), {"staircase": True}),
    "piecewise": ("PiecewiseConstantDecay", ([4, 9], [1.0, 0.5, 0.1]), {}),
    "polynomial": ("PolynomialDecay", (0.5, 8), {"power": 2.0}),
    "polynomial_cycle": ("PolynomialDecay", (0.5, 8), {"end_learning_rate": 0.1, "cycle": True}),
    "cosine": ("CosineDecay", (0.5, 8), {"alpha": 0.1}),
    "cosine_warmup": ("CosineDecay", (0.1, 8), {"warmup_target": 0.5, "warmup_steps": 4}),
    "restarts": ("CosineDecayRestarts", (0.5, 4), {"alpha": 0.1, "m_mul": 0.5}),
    "restarts_of_one_length": ("CosineDecayRestarts", (0.5, 4), {"t_mul": 1.0, "m_mul": 0.5}),
}


@case(each=SCHEDULES)
def schedule(k: Library, setup: tuple[str, tuple[Any, ...], dict[str, Any]]) -> Mapping[str, Array]:
    cls, arguments, options = setup
    rate = getattr(k.keras.optimizers.schedules, cls)(*arguments, **options)
    return {"rate": np.stack([k.array(rate(k.tensor(np.int32(step)))) for step in range(24)])}
