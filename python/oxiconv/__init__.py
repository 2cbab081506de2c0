"""CNN training, fine-tuning and inference on any machine, with Keras's API.

Example:
    >>> import oxiconv as keras
    >>> model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
    >>> model.count_params()
    10
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from oxiconv import operators as _operators
from oxiconv import ops
from oxiconv._core import __version__
from oxiconv.absent import AbsentError, refuse
from oxiconv.autograd import enable_grad, grad, no_grad, value_and_grad
from oxiconv.devices import device
from oxiconv.naming import name_scope
from oxiconv.symbolic import KerasTensor, Operation
from oxiconv.tape import GradientTape
from oxiconv.tensor import (
    DTypeError,
    FileFormatError,
    GraphError,
    IndexValueError,
    InternalError,
    OxiconvError,
    ShapeError,
    Tensor,
)
from oxiconv.variable import StatelessScope, Variable

if TYPE_CHECKING:
    from oxiconv import (
        activations,
        applications,
        backend,
        callbacks,
        config,
        constraints,
        data,
        datasets,
        distillation,
        distribution,
        dtype_policies,
        export,
        initializers,
        layers,
        legacy,
        losses,
        metrics,
        mixed_precision,
        models,
        optimizers,
        preprocessing,
        profiler,
        quantizers,
        random,
        regularizers,
        saving,
        tree,
        utils,
        visualization,
        wrappers,
    )
    from oxiconv.dtype_policies import DTypePolicy, FloatDTypePolicy
    from oxiconv.initializers import Initializer
    from oxiconv.layers import Input, InputSpec, Layer
    from oxiconv.losses import Loss
    from oxiconv.metrics import Metric
    from oxiconv.models import Function, Model, Sequential
    from oxiconv.optimizers import Optimizer
    from oxiconv.regularizers import Regularizer

_operators.install(ops)

# Loaded at first use, so that `import oxiconv` costs little.
_MODULES = frozenset(
    {
        "activations",
        "applications",
        "backend",
        "callbacks",
        "config",
        "constraints",
        "data",
        "datasets",
        "distillation",
        "distribution",
        "dtype_policies",
        "export",
        "initializers",
        "layers",
        "legacy",
        "losses",
        "metrics",
        "mixed_precision",
        "models",
        "optimizers",
        "preprocessing",
        "profiler",
        "quantizers",
        "random",
        "regularizers",
        "saving",
        "tree",
        "utils",
        "visualization",
        "wrappers",
    }
)
_HOMES = {
    "DTypePolicy": "dtype_policies",
    "FloatDTypePolicy": "dtype_policies",
    "Function": "models",
    "Initializer": "initializers",
    "Input": "layers",
    "InputSpec": "layers",
    "Layer": "layers",
    "Loss": "losses",
    "Metric": "metrics",
    "Model": "models",
    "Optimizer": "optimizers",
    "Regularizer": "regularizers",
    "Sequential": "models",
}
# The release of Keras whose names, defaults and numbers these are.
keras_compat_version = "3.15.1"

__all__ = [
    "AbsentError",
    "DTypeError",
    "DTypePolicy",
    "FileFormatError",
    "FloatDTypePolicy",
    "Function",
    "GradientTape",
    "GraphError",
    "IndexValueError",
    "Initializer",
    "Input",
    "InputSpec",
    "InternalError",
    "KerasTensor",
    "Layer",
    "Loss",
    "Metric",
    "Model",
    "Operation",
    "Optimizer",
    "OxiconvError",
    "Regularizer",
    "Sequential",
    "ShapeError",
    "StatelessScope",
    "Tensor",
    "Variable",
    "__version__",
    "activations",
    "applications",
    "backend",
    "callbacks",
    "config",
    "constraints",
    "data",
    "datasets",
    "device",
    "distillation",
    "distribution",
    "dtype_policies",
    "enable_grad",
    "export",
    "grad",
    "initializers",
    "keras_compat_version",
    "layers",
    "legacy",
    "losses",
    "metrics",
    "mixed_precision",
    "models",
    "name_scope",
    "no_grad",
    "ops",
    "optimizers",
    "preprocessing",
    "profiler",
    "quantizers",
    "random",
    "regularizers",
    "saving",
    "tree",
    "utils",
    "value_and_grad",
    "version",
    "visualization",
    "wrappers",
]


def version() -> str:
    """The version of oxiconv. `keras_compat_version` is the release of Keras that it follows."""
    return __version__


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return importlib.import_module(f"oxiconv.{name}")
    if name in _HOMES:
        value = getattr(importlib.import_module(f"oxiconv.{_HOMES[name]}"), name)
        globals()[name] = value
        return value
    refuse(__name__, name)


def __dir__() -> list[str]:
    return sorted(__all__)
