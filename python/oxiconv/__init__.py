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
from oxiconv.autograd import enable_grad, grad, no_grad, value_and_grad
from oxiconv.symbolic import KerasTensor
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
from oxiconv.variable import Variable

if TYPE_CHECKING:
    from oxiconv import (
        activations,
        backend,
        callbacks,
        config,
        constraints,
        datasets,
        initializers,
        layers,
        losses,
        metrics,
        models,
        optimizers,
        random,
        regularizers,
        saving,
        tree,
        utils,
    )
    from oxiconv.initializers import Initializer
    from oxiconv.layers import Input, InputSpec, Layer
    from oxiconv.losses import Loss
    from oxiconv.metrics import Metric
    from oxiconv.models import Model, Sequential
    from oxiconv.optimizers import Optimizer
    from oxiconv.regularizers import Regularizer

_operators.install(ops)

# Loaded at first use, so that `import oxiconv` costs little.
_MODULES = frozenset(
    {
        "activations",
        "backend",
        "callbacks",
        "config",
        "constraints",
        "datasets",
        "initializers",
        "layers",
        "losses",
        "metrics",
        "models",
        "optimizers",
        "random",
        "regularizers",
        "saving",
        "tree",
        "utils",
    }
)
_HOMES = {
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

__all__ = [
    "DTypeError",
    "FileFormatError",
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
    "Optimizer",
    "OxiconvError",
    "Regularizer",
    "Sequential",
    "ShapeError",
    "Tensor",
    "Variable",
    "__version__",
    "activations",
    "backend",
    "callbacks",
    "config",
    "constraints",
    "datasets",
    "enable_grad",
    "grad",
    "initializers",
    "layers",
    "losses",
    "metrics",
    "models",
    "no_grad",
    "ops",
    "optimizers",
    "random",
    "regularizers",
    "saving",
    "tree",
    "utils",
    "value_and_grad",
    "version",
]


def version() -> str:
    """The version of oxiconv."""
    return __version__


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return importlib.import_module(f"oxiconv.{name}")
    if name in _HOMES:
        value = getattr(importlib.import_module(f"oxiconv.{_HOMES[name]}"), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module 'oxiconv' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
