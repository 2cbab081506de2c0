"""The `.h5` files of Keras 2, which Keras 3 writes too: a group per layer, and the model as JSON in attributes."""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from oxiconv._core import FileFormatError
from oxiconv.saving.atomic import replacing
from oxiconv.saving.custom_objects import CustomObjectScope
from oxiconv.saving.hdf5 import Dataset, Group, reading, write_names, writing
from oxiconv.saving.keras_file import KERAS_VERSION
from oxiconv.saving.legacy_config import model_entry, training_arguments
from oxiconv.saving.model_config import compile_model, model_from_entry, parse_json
from oxiconv.saving.serialization import serialize_keras_object
from oxiconv.saving.sharing import SharedObjects
from oxiconv.saving.variables_h5 import fitted, same_kind

_TOP = "top_level_model_weights"
# The variables of optimizers in Keras 2, and what they are called in Keras 3 and here.
_KINDS = {
    "iter": "iteration",
    "iteration": "iteration",
    "m": "momentum",
    "momentum": "momentum",
    "v": "velocity",
    "velocity": "velocity",
    "rms": "velocity",
    "vhat": "velocity_hat",
    "velocity_hat": "velocity_hat",
    "u": "norm",
    "mg": "average_gradient",
    "average_gradient": "average_gradient",
    "accumulator": "accumulator",
    "accum_grad": "accumulated_grad",
    "accumulated_grad": "accumulated_grad",
    "accum_var": "accumulated_delta_var",
    "accumulated_delta_var": "accumulated_delta_var",
    "linear": "linear",
    "momentum_cache": "u_product",
    "learning_rate": "learning_rate",
}
_OUR_KINDS = tuple(dict.fromkeys(_KINDS.values()))


def save_h5(model: Any, path: str, include_optimizer: bool) -> None:
    """Writes a model, with its training state if it is compiled and `include_optimizer` is true."""
    with SharedObjects():
        entry = serialize_keras_object(model)
    compiled = entry.pop("compile_config", None)
    with replacing(path) as temporary, writing(temporary) as file:
        file.attrs["keras_version"] = KERAS_VERSION
        file.attrs["backend"] = "oxiconv"
        _write_text(file, "model_config", json.dumps({"class_name": entry["class_name"], "config": entry["config"]}))
        weights = file.create_group("model_weights")
        weights.attrs["backend"], weights.attrs["keras_version"] = b"oxiconv", KERAS_VERSION.encode()
        layers = model.layers
        write_names(weights, "layer_names", [layer.name for layer in layers])
        # By name, so that no group is made within one of a shorter name that follows.
        for layer in sorted(layers, key=lambda layer: layer.name):
            _write_weights(weights.create_group(layer.name), _weights(layer))
        _write_weights(weights.create_group(_TOP), model._own_variables())
        if include_optimizer and compiled and compiled.get("optimizer"):
            training = {key: value for key, value in compiled.items() if key != "optimizer"}
            optimizer = compiled["optimizer"]
            training["optimizer_config"] = {"class_name": optimizer["class_name"], "config": optimizer["config"]}
            _write_text(file, "training_config", json.dumps(training))
            _write_weights(file.create_group("optimizer_weights"), model.optimizer.variables)


def _write_text(file: Any, name: str, text: str) -> None:
    file.attrs[name] = text.encode("utf-8")


def _write_weights(group: Any, variables: Sequence[Any]) -> None:
    names = []
    for variable in variables:
        name, count = variable.path, 0
        while name in names:
            count += 1
            name = f"{variable.path}_{count}"
        names.append(name)
    write_names(group, "weight_names", names)
    for name, variable in zip(names, variables, strict=True):
        group.create_dataset(name, data=np.asarray(variable.numpy()))


def load_h5(path: str, custom_objects: Mapping[str, Any] | None, compile: bool) -> Any:
    """The model of a file."""
    size = os.path.getsize(path)
    with CustomObjectScope(custom_objects or {}), reading(path, path) as root:
        config = root.text("model_config")
        if config is None:
            raise FileFormatError(f"{path}: expected a whole model; for weights alone use model.load_weights().")
        try:
            entry = model_entry(parse_json(path, "model_config", config))
        except (ValueError, TypeError, KeyError, AttributeError, IndexError, RecursionError) as error:
            raise FileFormatError(f"{path}: model_config: {error}") from error
        with SharedObjects():
            model = model_from_entry(path, entry, custom_objects, size)
        read_weights(root, model)
        training = root.text("training_config") if compile else None
        if training is None:
            return model
        try:
            arguments = training_arguments(parse_json(path, "training_config", training))
        except (ValueError, TypeError, KeyError, AttributeError, IndexError, RecursionError) as error:
            raise FileFormatError(f"{path}: training_config: {error} (compile=False loads without.)") from error
        stored = _optimizer_weights(root)
        compile_model(path, model, arguments, len(stored) > 2, size)
        _assign_optimizer(path, model.optimizer, stored)
    return model


def read_weights(root: Group, model: Any, by_name: bool = False, skip_mismatch: bool = False) -> None:
    """Assigns the weights of a file's layers to those of a model: in order, or `by_name`.

    Nothing is assigned unless all fit, or `skip_mismatch` is true: then what does not is skipped with a warning.
    """
    group = root.group("model_weights") if "model_weights" in root else root
    saved = {name: _datasets(group.group(name)) for name in group.texts("layer_names")}
    if not saved:
        raise FileFormatError(f"{root.label}: expected the attribute 'layer_names': this is no file of legacy weights.")
    if by_name:
        pairs = [(name, _weights(layer), saved[name]) for layer in model.layers if (name := layer.name) in saved]
    else:
        layers = [layer for layer in model.layers if _weights(layer)]
        filled = {name: data for name, data in saved.items() if data}
        if len(layers) != len(filled):
            raise FileFormatError(
                f"{root.label}: the model has {len(layers)} layers with weights, the file has {len(filled)}. "
                "by_name=True loads those of the same names."
            )
        pairs = [(layer.name, _weights(layer), data) for layer, data in zip(layers, filled.values(), strict=True)]
    if _TOP in group:
        pairs.append((_TOP, model._own_variables(), _datasets(group.group(_TOP))))
    fitting, wrong = [], []
    for name, variables, data in pairs:
        if len(variables) != len(data):
            wrong.append(f"{name!r} has {len(variables)} weights, the file has {len(data)} for it")
            continue
        for variable, stored in zip(variables, data, strict=True):
            if stored.shape != tuple(variable.shape):
                wrong.append(f"{variable.path!r} has shape {stored.shape} in the file, {variable.shape} in the model")
            elif not same_kind(stored, variable):
                wrong.append(f"{variable.path!r} is of another type in the file than in the model, {variable.dtype}")
            else:
                fitting.append((variable, stored))
    if wrong:
        message = f"{root.label}: " + "; ".join(wrong[:5]) + (f"; and {len(wrong) - 5} more" if wrong[5:] else "") + "."
        if not skip_mismatch:
            raise FileFormatError(message)
        warnings.warn(f"{message} These are skipped.", stacklevel=4)
    for variable, stored in fitting:
        variable.assign(fitted(stored.read(), variable))


def _weights(layer: Any) -> list[Any]:
    """A layer's weights in the order of these files: trainable ones first."""
    return [*layer.trainable_weights, *layer.non_trainable_weights]


def _datasets(group: Group) -> list[Dataset]:
    return [group.dataset(name) for name in group.texts("weight_names")]


def _optimizer_weights(root: Group) -> list[tuple[str, Dataset]]:
    if "optimizer_weights" not in root:
        return []
    group = root.group("optimizer_weights")
    return [(name, group.dataset(name)) for name in group.texts("weight_names")]


def _assign_optimizer(path: str, optimizer: Any, stored: list[tuple[str, Dataset]]) -> None:
    if optimizer is None or not stored:
        return
    ordered = _in_our_order(optimizer, stored)
    if ordered is None or any(d.shape != tuple(v.shape) for v, d in ordered):
        warnings.warn(
            f"{path}: the optimizer starts anew: its {len(optimizer.variables)} variables do not fit the "
            f"{len(stored)} of the file.",
            stacklevel=4,
        )
        return
    for variable, data in ordered:
        variable.assign(fitted(data.read(), variable))


def _in_our_order(optimizer: Any, stored: list[tuple[str, Dataset]]) -> list[tuple[Any, Dataset]] | None:
    """Each variable that is stored with its data; None if one that training needs is not."""
    variables = list(optimizer.variables)
    by_kind: dict[str, list[Dataset]] = {}
    for name, data in stored:
        by_kind.setdefault(_kind(name), []).append(data)
    if "" in by_kind:  # names of Keras 3, which has our order
        return list(zip(variables, [d for _, d in stored], strict=True)) if len(stored) == len(variables) else None
    ours: dict[str, list[Any]] = {}
    for variable in variables:
        kind = next((k for k in _OUR_KINDS if variable.name == k or variable.name.endswith(f"_{k}")), variable.name)
        ours.setdefault(kind, []).append(variable)
    ours.pop("learning_rate", None)  # it is in the configuration
    if any(len(by_kind.get(kind, ())) != len(found) for kind, found in ours.items()):
        return None
    return [pair for kind, found in ours.items() for pair in zip(found, by_kind[kind], strict=True)]


def _kind(name: str) -> str:
    """What a variable of Keras 2 is to an optimizer: `Adam/m/layer/kernel:0` or, earlier, `Adam/layer/kernel/m:0`."""
    parts = name.removesuffix(":0").split("/")
    return _KINDS.get(parts[-1]) or (_KINDS.get(parts[1], "") if len(parts) > 2 else "")
