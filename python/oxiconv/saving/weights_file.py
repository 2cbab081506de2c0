"""Weights as safetensors files, and the names that variables have there."""

from __future__ import annotations

import os
import re
import warnings
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from oxiconv import _core
from oxiconv._core import FileFormatError
from oxiconv.saving.paths import check_model_path, check_weights_path

if TYPE_CHECKING:
    from oxiconv.variable import Variable

# Names with this prefix are state that is no weight: of the optimizer and of random generators.
STATE = "__"


def save_weights(model: Any, filepath: str | os.PathLike[str], overwrite: bool = True) -> None:
    """Writes a model's weights, atomically.

    Args:
        model: a built model.
        filepath: ends in `.safetensors`.
        overwrite: whether an existing file is replaced.

    Raises:
        ValueError: another ending, or a model without weights yet.
        FileExistsError: the file exists and `overwrite` is False.
    """
    path = check_weights_path(filepath)
    _core.save_safetensors(path, _arrays(model, path, overwrite), {"format": "oxiconv-weights", "version": "1"})


def load_weights(model: Any, filepath: str | os.PathLike[str], skip_mismatch: bool = False) -> None:
    """Reads a model's weights from a weights file or a model file. Nothing is assigned unless everything fits.

    Args:
        model: a built model.
        filepath: ends in `.safetensors` or `.oxiconv`.
        skip_mismatch: whether weights that are missing or of another shape are skipped, with a warning.

    Raises:
        FileFormatError: no such file contents.
        ValueError: names or shapes differ.
    """
    path = check_model_path(filepath)
    _built(model, "load_weights")
    tensors, _ = read(path)
    stored = {name: array for name, array in tensors.items() if not name.startswith(STATE)}
    targets = dict(zip(weight_names(model), model.weights, strict=True))
    assign(path, targets, stored, skip_mismatch)


def read(path: str) -> tuple[dict[str, NDArray[Any]], dict[str, str]]:
    """The tensors and metadata of a file."""
    if not os.path.exists(path):
        raise FileNotFoundError(f"There is no file {path!r}.")
    return _core.load_safetensors(path)


def assign(
    path: str, targets: Mapping[str, Variable], stored: Mapping[str, NDArray[Any]], skip_mismatch: bool = False
) -> None:
    """Assigns arrays to the variables of the same names, after all names, shapes and types have been compared."""
    wrong = {}
    for name, variable in targets.items():
        array = stored.get(name)
        if array is None:
            wrong[name] = "is missing"
        elif array.shape != variable.shape:
            wrong[name] = f"has shape {array.shape}, the model expects {variable.shape}"
        elif array.dtype.name != variable.dtype:
            wrong[name] = f"is of {array.dtype.name}, the model expects {variable.dtype}"
    extra = [name for name in stored if name not in targets]
    told = [f"{name!r} {what}" for name, what in wrong.items()] + [f"{name!r} is not in the model" for name in extra]
    if told:
        message = f"{path}: " + "; ".join(told[:5]) + (f"; and {len(told) - 5} more" if len(told) > 5 else "") + "."
        if not skip_mismatch:
            raise FileFormatError(message)
        warnings.warn(f"{message} These are skipped.", stacklevel=3)
    for name, variable in targets.items():
        if name not in wrong:
            variable.assign(stored[name])


def weight_names(model: Any) -> list[str]:
    """A name for each of the model's weights, which depends on the model alone.

    It is the variable's path without the model's own name, and with automatic layer numbers counted within the model:
    the same architecture has the same names whatever else the process has built.
    """
    named: dict[tuple[str, str], str] = {}
    counts: Counter[tuple[str, str]] = Counter()
    taken: set[str] = set()
    names = []
    for variable in model.weights:
        parts = variable.path.split("/")
        parent = ""
        for part in parts[1:-1] if parts[0] == model.name and len(parts) > 1 else parts[:-1]:
            if (parent, part) not in named:
                stem = re.sub(r"_\d+$", "", part)
                count = counts[parent, stem]
                counts[parent, stem] += 1
                named[parent, part] = f"{stem}_{count}" if count else stem
            parent = f"{parent}{named[parent, part]}/"
        name = parent + parts[-1]
        unique, count = name, 0
        while unique in taken:
            count += 1
            unique = f"{name}_{count}"
        taken.add(unique)
        names.append(unique)
    return names


def weight_arrays(model: Any) -> dict[str, NDArray[Any]]:
    """The model's weights by name."""
    return as_arrays(weight_names(model), model.weights)


def as_arrays(names: Sequence[str], variables: Sequence[Variable]) -> dict[str, NDArray[Any]]:
    """The values of variables by name."""
    return {name: np.ascontiguousarray(v.numpy()).reshape(v.shape) for name, v in zip(names, variables, strict=True)}


def check_free(path: str, overwrite: bool) -> None:
    """Raises FileExistsError if the file exists and must not be replaced."""
    if not overwrite and os.path.exists(path):
        raise FileExistsError(f"{path!r} exists; pass overwrite=True to replace it.")


def _arrays(model: Any, path: str, overwrite: bool) -> dict[str, NDArray[Any]]:
    check_free(path, overwrite)
    _built(model, "save_weights")
    return weight_arrays(model)


def _built(model: Any, what: str) -> None:
    if not model.built:
        raise ValueError(
            f"{what}: the model {model.name!r} has no weights yet. Call it on data, or build(input_shape), first."
        )
