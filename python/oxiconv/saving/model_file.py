"""A whole model in one safetensors file: weights as tensors; architecture, compilation and training state as JSON.

The file is data. Loading builds classes by name from a closed set (see `serialization`), and runs no code from it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from oxiconv import _core
from oxiconv._core import FileFormatError
from oxiconv.saving.custom_objects import CustomObjectScope
from oxiconv.saving.paths import check_model_path
from oxiconv.saving.serialization import deserialize_keras_object, serialize_keras_object
from oxiconv.saving.weights_file import STATE, as_arrays, assign, check_free, read, weight_arrays, weight_names

if TYPE_CHECKING:
    from oxiconv.variable import Variable

FORMAT = "oxiconv"
VERSION = "1"


def save_model(
    model: Any, filepath: str | os.PathLike[str], overwrite: bool = True, zipped: bool | None = None
) -> None:
    """Writes a model, atomically: architecture, weights, and if it is compiled, its optimizer with all state.

    Training that goes on from the file gives the same bits as training that never stopped.

    Args:
        model: a built model.
        filepath: ends in `.oxiconv` or `.safetensors`.
        overwrite: whether an existing file is replaced.
        zipped: accepted for Keras compatibility: it is one file in any case.

    Raises:
        ValueError: another ending, a model without weights yet, or a part that has no configuration.
        FileExistsError: the file exists and `overwrite` is False.
    """
    path = check_model_path(filepath)
    check_free(path, overwrite)
    if not model.built:
        raise ValueError(f"save: the model {model.name!r} is not built. Call it on data, or build(input_shape), first.")
    tensors = weight_arrays(model)
    metadata = {"format": FORMAT, "version": VERSION, "architecture": json.dumps(serialize_keras_object(model))}
    build = model.get_build_config()
    if build is not None:
        metadata["build"] = json.dumps(serialize_keras_object(build))
    generators = _generators(model)
    tensors |= as_arrays(_numbered("seed", generators), generators)
    state = model._compiled_state
    if state is not None:
        metadata["compile"] = json.dumps(model.get_compile_config())
        training = {
            "shuffle_seed": state.shuffling.seed,
            "shuffle_count": state.shuffling.count,
            "optimizer_built": state.optimizer is not None and state.optimizer.built,
        }
        metadata["training"] = json.dumps(training)
        if state.optimizer is not None:
            slots = state.optimizer.variables
            tensors |= as_arrays(_numbered("optimizer", slots), slots)
    _core.save_safetensors(path, tensors, metadata)


def load_model(
    filepath: str | os.PathLike[str],
    custom_objects: Mapping[str, Any] | None = None,
    compile: bool = True,
    safe_mode: bool = True,
) -> Any:
    """The model of a file that `save_model` wrote.

    Args:
        filepath: ends in `.oxiconv` or `.safetensors`.
        custom_objects: the user's classes and functions by name.
        compile: whether to compile the model as it was, with its optimizer's state.
        safe_mode: accepted for Keras compatibility: no code from the file is ever run.

    Raises:
        FileFormatError: contents that are damaged or no model; names the file and the part.
        FileNotFoundError: there is no such file.
    """
    path = check_model_path(filepath)
    tensors, metadata = read(path)
    if metadata.get("format") != FORMAT:
        raise FileFormatError(f"{path}: expected a file of a whole model; for weights alone use model.load_weights().")
    if metadata.get("version") != VERSION:
        raise FileFormatError(f"{path}: expected format version {VERSION}, got {metadata.get('version')!r}.")
    with CustomObjectScope(custom_objects or {}):
        model = _architecture(path, _json(path, metadata, "architecture"), custom_objects)
        if not model.built:
            _build(path, model, metadata)
        stored = {name: array for name, array in tensors.items() if not name.startswith(STATE)}
        assign(path, dict(zip(weight_names(model), model.weights, strict=True)), stored)
        generators = _generators(model)
        assign(path, dict(zip(_numbered("seed", generators), generators, strict=True)), _part("seed", tensors))
        if compile and "compile" in metadata:
            _compile(path, model, metadata, _part("optimizer", tensors))
    return model


def _architecture(path: str, config: dict[str, Any], custom_objects: Mapping[str, Any] | None) -> Any:
    try:
        model = deserialize_keras_object(config, custom_objects)
    except (ValueError, TypeError, RecursionError, MemoryError) as error:
        raise FileFormatError(f"{path}: architecture: {error}") from error
    if not hasattr(model, "compile_from_config"):
        raise FileFormatError(f"{path}: architecture: expected a model, got {type(model).__name__}.")
    return model


def _build(path: str, model: Any, metadata: Mapping[str, str]) -> None:
    who = type(model).__name__
    if "build" not in metadata:
        raise FileFormatError(
            f"{path}: {who} was saved without its input shape: fit it, or call build(input_shape), before."
        )
    try:
        model.build_from_config(deserialize_keras_object(_json(path, metadata, "build")))
    except (ValueError, TypeError, KeyError, AttributeError, MemoryError) as error:
        raise FileFormatError(f"{path}: build: {error}") from error


def _compile(path: str, model: Any, metadata: Mapping[str, str], slots: dict[str, Any]) -> None:
    config = _json(path, metadata, "compile")
    training = _json(path, metadata, "training")
    try:
        model.compile_from_config(config)
    except (ValueError, TypeError, RecursionError) as error:
        raise FileFormatError(f"{path}: compile: {error} (compile=False loads the model without.)") from error
    optimizer = model.optimizer
    if optimizer is not None:
        if training.get("optimizer_built"):
            optimizer.build(model.trainable_variables)
        variables = optimizer.variables
        assign(path, dict(zip(_numbered("optimizer", variables), variables, strict=True)), slots)
    seed, count = training.get("shuffle_seed"), training.get("shuffle_count")
    if not (seed is None or _natural(seed)) or not _natural(count):
        raise FileFormatError(f"{path}: training: expected a seed and a count, got {seed!r} and {count!r}.")
    shuffling = model._compiled_state.shuffling
    shuffling.seed, shuffling.count = seed, count


def _natural(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**63


def _json(path: str, metadata: Mapping[str, str], key: str) -> dict[str, Any]:
    try:
        value = json.loads(metadata[key])
    except KeyError:
        raise FileFormatError(f"{path}: expected {key!r} in the metadata, got {sorted(metadata)}.") from None
    except (ValueError, RecursionError) as error:
        raise FileFormatError(f"{path}: {key}: {error}") from error
    if not isinstance(value, dict):
        raise FileFormatError(f"{path}: {key}: expected a JSON object, got {type(value).__name__}.")
    return value


def _generators(model: Any) -> list[Variable]:
    """The states of the model's random generators."""
    weights = {id(v) for v in model.weights}
    return [v for v in model.variables if id(v) not in weights and v.name == "seed_generator_state"]


def _numbered(kind: str, variables: list[Variable]) -> list[str]:
    return [f"{STATE}{kind}/{i}" for i in range(len(variables))]


def _part(kind: str, tensors: Mapping[str, Any]) -> dict[str, Any]:
    return {name: array for name, array in tensors.items() if name.startswith(f"{STATE}{kind}/")}
