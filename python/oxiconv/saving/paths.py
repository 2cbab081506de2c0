"""File names of models and weights."""

from __future__ import annotations

import os

MODEL_ENDINGS = (".oxiconv", ".safetensors")
WEIGHTS_ENDINGS = (".safetensors",)


def check_model_path(filepath: str | os.PathLike[str]) -> str:
    """The path of a model file.

    Raises:
        ValueError: its ending is not `.oxiconv` or `.safetensors`.
    """
    return _check(filepath, MODEL_ENDINGS, "model")


def check_weights_path(filepath: str | os.PathLike[str]) -> str:
    """The path of a weights file.

    Raises:
        ValueError: its ending is not `.safetensors`.
    """
    return _check(filepath, WEIGHTS_ENDINGS, "weights")


def _check(filepath: str | os.PathLike[str], endings: tuple[str, ...], what: str) -> str:
    path = os.fspath(filepath)
    if not isinstance(path, str):
        raise TypeError(f"Expected a path, got {filepath!r}.")
    if path.endswith(endings):
        return path
    works = " or ".join(repr(e) for e in endings)
    known = (
        " Keras's own formats, .keras and .h5, are not supported." if path.endswith((".keras", ".h5", ".hdf5")) else ""
    )
    raise ValueError(f"A {what} file's name must end in {works}, got {path!r}.{known}")
