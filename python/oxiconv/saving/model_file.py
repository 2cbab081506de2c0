"""A whole model in one safetensors file: weights as tensors; architecture, compilation and training state as JSON.

The file is data. Loading builds classes by name from a closed set (see `serialization`), and runs no code from it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from oxiconv._core import FileFormatError
from oxiconv.saving import safetensors_file
from oxiconv.saving.custom_objects import CustomObjectScope
from oxiconv.saving.model_config import compile_model, model_from_entry, parse_json
from oxiconv.saving.serialization import serialize_keras_object
from oxiconv.saving.sharing import SharedObjects
from oxiconv.saving.training_state import generators, restore_shuffling, shuffling_state
from oxiconv.saving.weights_file import STATE, as_arrays, assign, weight_arrays, weight_names

if TYPE_CHECKING:
    from oxiconv.variable import Variable

FORMAT = "oxiconv"
VERSION = "1"


def save_safetensors(model: Any, path: str) -> None:
    """Writes a built model."""
    tensors = weight_arrays(model)
    with SharedObjects():
        entry = serialize_keras_object(model)
    compiled = entry.pop("compile_config", None)
    metadata = {"format": FORMAT, "version": VERSION, "architecture": json.dumps(entry)}
    states = generators(model)
    tensors |= as_arrays(_numbered("seed", states), states)
    optimizer = getattr(model, "optimizer", None)
    if compiled:
        metadata["compile"] = json.dumps(compiled)
        built = optimizer is not None and optimizer.built
        metadata["training"] = json.dumps({**shuffling_state(model), "optimizer_built": built})
        if optimizer is not None:
            tensors |= as_arrays(_numbered("optimizer", optimizer.variables), optimizer.variables)
    safetensors_file.write(path, tensors, metadata)


def load_safetensors(path: str, custom_objects: Mapping[str, Any] | None, compile: bool) -> Any:
    """The model of a file that `save_safetensors` wrote."""
    tensors, metadata = safetensors_file.read(path)
    if metadata.get("format") != FORMAT:
        raise FileFormatError(f"{path}: expected a file of a whole model; for weights alone use model.load_weights().")
    if metadata.get("version") != VERSION:
        raise FileFormatError(f"{path}: expected format version {VERSION}, got {metadata.get('version')!r}.")
    size = os.path.getsize(path)
    entry = parse_json(path, "architecture", metadata.get("architecture"))
    if "build" in metadata:
        entry["build_config"] = parse_json(path, "build", metadata["build"])
    with CustomObjectScope(custom_objects or {}):
        with SharedObjects():
            model = model_from_entry(path, entry, custom_objects, size)
        stored = {name: array for name, array in tensors.items() if not name.startswith(STATE)}
        assign(path, dict(zip(weight_names(model), model.weights, strict=True)), stored)
        states = generators(model)
        assign(path, dict(zip(_numbered("seed", states), states, strict=True)), _part("seed", tensors))
        if compile and "compile" in metadata:
            _compile(path, model, metadata, _part("optimizer", tensors), size)
    return model


def _compile(path: str, model: Any, metadata: Mapping[str, str], slots: dict[str, Any], size: int) -> None:
    training = parse_json(path, "training", metadata.get("training"))
    built = bool(training.get("optimizer_built"))
    compile_model(path, model, parse_json(path, "compile", metadata["compile"]), built, size)
    if model.optimizer is not None:
        variables = model.optimizer.variables
        assign(path, dict(zip(_numbered("optimizer", variables), variables, strict=True)), slots)
    restore_shuffling(path, model, training.get("shuffle_seed"), training.get("shuffle_count"))


def _numbered(kind: str, variables: list[Variable]) -> list[str]:
    return [f"{STATE}{kind}/{i}" for i in range(len(variables))]


def _part(kind: str, tensors: Mapping[str, Any]) -> dict[str, Any]:
    """The tensors of a kind; earlier versions wrote a name behind the number."""
    parts = {tuple(name.split("/")[:2]): array for name, array in tensors.items()}
    return {"/".join(name): array for name, array in parts.items() if name[0] == f"{STATE}{kind}"}
