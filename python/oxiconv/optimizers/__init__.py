"""Optimizers, with Keras's names, defaults and formulas."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from oxiconv.absent import getter
from oxiconv.optimizers import schedules
from oxiconv.optimizers.adadelta import Adadelta
from oxiconv.optimizers.adafactor import Adafactor
from oxiconv.optimizers.adagrad import Adagrad
from oxiconv.optimizers.adam import Adam, AdamW
from oxiconv.optimizers.adamax import Adamax
from oxiconv.optimizers.ftrl import Ftrl
from oxiconv.optimizers.lamb import Lamb
from oxiconv.optimizers.lion import Lion
from oxiconv.optimizers.loss_scale_optimizer import LossScaleOptimizer
from oxiconv.optimizers.multi_optimizer import MultiOptimizer, OptimizerMap
from oxiconv.optimizers.muon import Muon
from oxiconv.optimizers.nadam import Nadam
from oxiconv.optimizers.optimizer import Optimizer
from oxiconv.optimizers.rmsprop import RMSprop
from oxiconv.optimizers.schedule_free_adamw import ScheduleFreeAdamW
from oxiconv.optimizers.sgd import SGD

_CLASSES: tuple[type[Optimizer], ...] = (
    SGD,
    Adadelta,
    Adafactor,
    Adagrad,
    Adam,
    AdamW,
    Adamax,
    Ftrl,
    Lamb,
    Lion,
    Muon,
    Nadam,
    RMSprop,
    ScheduleFreeAdamW,
)
_BY_NAME: dict[str, type[Optimizer]] = {cls.__name__.lower(): cls for cls in _CLASSES}


def get(identifier: Any) -> Optimizer | None:
    """An optimizer by name, configuration or itself.

    Args:
        identifier: None; a class name in any case ('adam', 'sgd', …); a configuration dict; an `Optimizer`.

    Raises:
        ValueError: an unknown name.

    Example:
        >>> import oxiconv
        >>> type(oxiconv.optimizers.get("rmsprop")).__name__
        'RMSprop'
    """
    if identifier is None or isinstance(identifier, Optimizer):
        return identifier
    if isinstance(identifier, Mapping):
        return deserialize(identifier)
    if isinstance(identifier, str):
        from oxiconv.saving.custom_objects import get_registered_object

        found = get_registered_object(identifier) or _BY_NAME.get(identifier.lower())
        if found is None:
            raise ValueError(f"Unknown optimizer {identifier!r}; expected one of {sorted(_BY_NAME)}.")
        identifier = found
    if isinstance(identifier, type) and issubclass(identifier, Optimizer):
        make: Callable[[], Optimizer] = identifier  # subclasses have a default learning rate
        return make()
    raise ValueError(f"Could not interpret {identifier!r} as an optimizer.")


def serialize(optimizer: Optimizer) -> Any:
    """The configuration of an optimizer, without its slots."""
    from oxiconv.saving.serialization import serialize_keras_object

    return serialize_keras_object(optimizer)


def deserialize(config: Any, custom_objects: Mapping[str, Any] | None = None) -> Optimizer:
    """The optimizer of a configuration."""
    from oxiconv.saving.serialization import deserialize_keras_object

    known = _BY_NAME.get(str(config.get("class_name")).lower()) if isinstance(config, Mapping) else None
    if known is not None and config.get("module") is None:
        config = {**config, "module": "oxiconv.optimizers", "class_name": known.__name__}
    optimizer = deserialize_keras_object(config, custom_objects)
    if not isinstance(optimizer, Optimizer):
        raise ValueError(f"Expected the configuration of an optimizer, got {config!r}.")
    return optimizer


__all__ = [
    "SGD",
    "Adadelta",
    "Adafactor",
    "Adagrad",
    "Adam",
    "AdamW",
    "Adamax",
    "Ftrl",
    "Lamb",
    "Lion",
    "LossScaleOptimizer",
    "MultiOptimizer",
    "Muon",
    "Nadam",
    "Optimizer",
    "OptimizerMap",
    "RMSprop",
    "ScheduleFreeAdamW",
    "deserialize",
    "get",
    "schedules",
    "serialize",
]

__getattr__ = getter(__name__)
