"""From what a file says of a model to the model: nothing is made that the file's weights could not fill."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from oxiconv import allowance
from oxiconv._core import FileFormatError
from oxiconv.saving.serialization import deserialize_keras_object

# Elements of variables per stored byte: weights may be stored in 16 bits, the slots of a new optimizer not at all.
_FACTOR = 2
# Elements beside: metrics and random generators are not stored.
_SPARE = 1 << 22


def parse_json(path: str, what: str, text: str | bytes | None) -> dict[str, Any]:
    """The JSON object of a text."""
    if text is None:
        raise FileFormatError(f"{path}: expected {what}, it is missing.")
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise FileFormatError(f"{path}: {what}: {error}") from error
    if not isinstance(value, dict):
        raise FileFormatError(f"{path}: {what}: expected a JSON object, got {type(value).__name__}.")
    return value


def model_from_entry(path: str, entry: Any, custom_objects: Mapping[str, Any] | None, size: int) -> Any:
    """The uncompiled model of a configuration.

    Args:
        path: of the file, for errors.
        entry: as `serialize_keras_object` makes it.
        custom_objects: the user's classes and functions.
        size: bytes that the file has for weights: a model of far more is refused before they are allocated.
    """
    try:
        with allowance.limited(_FACTOR * size + _SPARE):
            model = deserialize_keras_object(entry, custom_objects)
    except Exception as error:  # a configuration can break any constructor, in any way
        raise FileFormatError(f"{path}: architecture: {_told(error)}") from error
    if not hasattr(model, "compile_from_config"):
        raise FileFormatError(f"{path}: architecture: expected a model, got {type(model).__name__}.")
    return model


def compile_model(path: str, model: Any, config: Any, optimizer_built: bool, size: int) -> None:
    """Compiles as the file says.

    Args:
        path: of the file, for errors.
        model: a built model.
        config: as `get_compile_config` makes it.
        optimizer_built: whether the file has variables for the optimizer's slots.
        size: bytes that the file has for weights.
    """
    if not isinstance(config, Mapping):
        raise FileFormatError(f"{path}: compile: expected a JSON object, got {type(config).__name__}.")
    try:
        with allowance.limited(_FACTOR * size + _SPARE):
            model.compile_from_config(config)
            optimizer = model.optimizer
            if optimizer is not None and optimizer_built:
                optimizer.build(model.trainable_variables)
    except Exception as error:  # as above
        raise FileFormatError(f"{path}: compile: {_told(error)} (compile=False loads the model without.)") from error


def _told(error: Exception) -> str:
    return str(error) or type(error).__name__
