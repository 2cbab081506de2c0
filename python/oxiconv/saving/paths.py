"""File names of models and weights."""

from __future__ import annotations

import os
from collections.abc import Sequence

MODEL_ENDINGS = (".keras", ".h5", ".hdf5", ".oxiconv", ".safetensors")
WEIGHTS_ENDINGS = (".weights.h5", ".safetensors")

_ELSEWHERE = {
    (".th", ".pt", ".pth", ".ckpt", ".bin"): (
        "Files of PyTorch are pickles, and unpickling runs code from the file. Convert it where PyTorch is installed: "
        "safetensors.torch.save_file(torch.load(path, weights_only=True), 'x.safetensors')"
    ),
    (".pkl", ".pickle", ".joblib", ".dill"): (
        "Unpickling runs code from the file. In a program that trusts it, load the arrays and write them with "
        "safetensors.numpy.save_file(arrays, 'x.safetensors')"
    ),
    (".npy", ".npz"): (
        "NumPy's files have no names of weights, and may hold pickles. Load it with numpy.load(path, "
        "allow_pickle=False) and give the arrays to model.set_weights"
    ),
    (".json",): "Weights in several files (shards) are not supported. Save them in one, as .weights.h5",
    (".pb", ".tf"): "A SavedModel is a TensorFlow program. Save the model as .keras where TensorFlow is installed",
}


def ending(filepath: str | os.PathLike[str], what: str, known: Sequence[str]) -> tuple[str, str]:
    """The path as a string, and which of the known endings it has.

    Raises:
        ValueError: none of them; names those that work, and for other libraries' files the way to convert them.
    """
    path = os.fspath(filepath)
    if not isinstance(path, str):
        raise TypeError(f"Expected a path, got {filepath!r}.")
    for end in known:
        if path.endswith(end):
            return path, end
    works = ", ".join(map(repr, known[:-1])) + f" or {known[-1]!r}"
    told = next((f" {text}." for ends, text in _ELSEWHERE.items() if path.lower().endswith(ends)), "")
    if what == "weights" and path.endswith((".h5", ".hdf5")):
        told = f" Keras's weights are written as {path.rpartition('.')[0] + '.weights.h5'!r}."
    raise ValueError(f"The name of a {what} file must end in {works}, got {path!r}.{told}")


def check_model_path(filepath: str | os.PathLike[str]) -> str:
    """The path of a model file to write; ValueError for another ending."""
    return ending(filepath, "model", MODEL_ENDINGS)[0]


def check_weights_path(filepath: str | os.PathLike[str]) -> str:
    """The path of a weights file to write; ValueError for another ending."""
    return ending(filepath, "weights", WEIGHTS_ENDINGS)[0]


def check_folder(filepath: str | os.PathLike[str]) -> str:
    """The path of a folder to write a model to; ValueError for the ending of a file."""
    path = str(os.fspath(filepath))
    if path.endswith(MODEL_ENDINGS):
        raise ValueError(f"With zipped=False, the name of a folder is expected, got {filepath!r}.")
    return path
