"""Weights as safetensors files, and the names that variables have there."""

from __future__ import annotations

import re
import warnings
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from oxiconv._core import FileFormatError
from oxiconv.saving import safetensors_file

if TYPE_CHECKING:
    from oxiconv.variable import Variable

# Names with this prefix are state that is no weight: of the optimizer and of random generators.
STATE = "__"


def save(model: Any, path: str) -> None:
    """Writes the weights of a built model."""
    safetensors_file.write(path, weight_arrays(model), {"format": "oxiconv-weights", "version": "1"})


def load(model: Any, path: str, skip_mismatch: bool = False) -> None:
    """Reads the weights of a built model from a weights file or a model file."""
    tensors, _ = safetensors_file.read(path)
    stored = {name: array for name, array in tensors.items() if not name.startswith(STATE)}
    assign(path, dict(zip(weight_names(model), model.weights, strict=True)), stored, skip_mismatch)


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
