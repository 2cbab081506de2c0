"""Keras 3's own model files: `.keras`, a zip of config.json, metadata.json and model.weights.h5, or a folder of these.

The weights' file also gets a group `_oxiconv`, which Keras passes over: the states of random generators and of the
shuffling, with which training goes on from the file as if it had not stopped.
"""

from __future__ import annotations

import datetime
import json
import os
import warnings
import zipfile
from collections.abc import Mapping
from typing import Any

import numpy as np

from oxiconv import _core
from oxiconv._core import FileFormatError
from oxiconv.saving.archive import read_members
from oxiconv.saving.atomic import replacing, scratch
from oxiconv.saving.custom_objects import CustomObjectScope
from oxiconv.saving.hdf5 import Group, reading, require_h5py, writing
from oxiconv.saving.model_config import compile_model, model_from_entry, parse_json
from oxiconv.saving.serialization import serialize_keras_object
from oxiconv.saving.sharing import SharedObjects
from oxiconv.saving.state_tree import places
from oxiconv.saving.training_state import generators, restore_shuffling, shuffling_state
from oxiconv.saving.variables_h5 import read_variables, write_variables

CONFIG, METADATA, WEIGHTS = "config.json", "metadata.json", "model.weights.h5"
# The version of Keras whose format this is.
KERAS_VERSION = "3.15.1"
_OWN = "_oxiconv"
# The most variables of an optimizer without slots: iteration and learning rate.
_UNBUILT = 2


def save_keras(model: Any, path: str, zipped: bool) -> None:
    """Writes a model to a `.keras` file, or to a folder, whose files are then replaced one by one."""
    require_h5py("Saving a model in Keras's format (.keras)")
    with SharedObjects():
        config = json.dumps(serialize_keras_object(model))
    date = datetime.datetime.now().strftime("%Y-%m-%d@%H:%M:%S")
    metadata = json.dumps({"keras_version": KERAS_VERSION, "date_saved": date, "oxiconv_version": _core.__version__})
    if zipped:
        with replacing(path) as temporary, scratch(path) as weights:
            _write_weights(weights, model)
            with zipfile.ZipFile(temporary, "w") as archive:
                archive.writestr(METADATA, metadata)
                archive.writestr(CONFIG, config)
                archive.write(weights, WEIGHTS)
        return
    os.makedirs(path, exist_ok=True)
    with replacing(os.path.join(path, WEIGHTS)) as temporary:
        _write_weights(temporary, model)
    for name, text in ((METADATA, metadata), (CONFIG, config)):
        with replacing(os.path.join(path, name)) as temporary, open(temporary, "w", encoding="utf-8") as file:
            file.write(text)


def _write_weights(path: str, model: Any) -> None:
    with writing(path) as file:
        write_variables(file, model)
        own = file.create_group(_OWN)
        for i, variable in enumerate(generators(model)):
            own.create_dataset(f"generator{i}", data=np.asarray(variable.numpy()))
        for name, value in shuffling_state(model).items():
            own.attrs[name] = value


def load_keras(path: str, custom_objects: Mapping[str, Any] | None, compile: bool) -> Any:
    """The model of a `.keras` file or folder."""
    parts = _parts(path, (CONFIG, WEIGHTS))
    entry = parse_json(path, CONFIG, parts[CONFIG])
    compiled = entry.pop("compile_config", None)
    with CustomObjectScope(custom_objects or {}), reading(parts[WEIGHTS], f"{path}: {WEIGHTS}") as root:
        with SharedObjects():
            model = model_from_entry(path, entry, custom_objects, len(parts[WEIGHTS]))
        read_variables(root, model)
        if compile and compiled:
            _compile(path, root, model, compiled, len(parts[WEIGHTS]))
        _restore(path, root, model)
    return model


def _compile(path: str, root: Group, model: Any, config: Any, size: int) -> None:
    """Compiles, and reads the optimizer's variables if the file has as many."""
    filled = {id(place.owner) for place in places(model)}
    stored = _count(root, "optimizer/vars")
    compile_model(path, model, config, stored > _UNBUILT, size)
    optimizer = model.optimizer
    if optimizer is not None and stored != len(optimizer.variables):
        filled.add(id(optimizer))
        warnings.warn(
            f"{path}: the optimizer starts anew: it has {len(optimizer.variables)} variables, the file has {stored}.",
            stacklevel=5,
        )
    read_variables(root, model, skip=filled)


def load_keras_weights(model: Any, path: str, skip_mismatch: bool) -> None:
    """Reads the weights of a `.keras` file into a built model."""
    parts = _parts(path, (WEIGHTS,))
    with reading(parts[WEIGHTS], f"{path}: {WEIGHTS}") as root:
        read_variables(root, model, skip_mismatch)


def _count(root: Group, path: str) -> int:
    group = root.find(path)
    return 0 if group is None else len(group.names())


def _restore(path: str, root: Group, model: Any) -> None:
    if _OWN not in root:
        return
    own = root.group(_OWN)
    states = generators(model)
    for i, variable in enumerate(states):
        if f"generator{i}" in own:
            data = own.dataset(f"generator{i}")
            if data.shape != variable.shape or data.kind not in "iu":
                raise FileFormatError(f"{path}: generator{i}: expected two integers, got shape {data.shape}.")
            variable.assign(data.read())
    restore_shuffling(path, model, own.number("shuffle_seed"), own.number("shuffle_count"))


def _parts(path: str, names: tuple[str, ...]) -> dict[str, bytes]:
    """The contents of members of a `.keras` file or folder."""
    parts = read_members(path, names) if not os.path.isdir(path) else {}
    for name in names:
        file = os.path.join(path, name)
        if os.path.isfile(file):
            with open(file, "rb") as opened:
                parts[name] = opened.read()
        if name not in parts:
            raise FileFormatError(f"{path}: expected {' and '.join(names)} in it, {name} is missing.")
    return parts
