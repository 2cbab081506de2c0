"""Saving and loading by the ending of the file's name."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from oxiconv.saving import keras_file, legacy_h5, model_file, weights_file
from oxiconv.saving.atomic import check_free, replacing
from oxiconv.saving.hdf5 import reading, writing
from oxiconv.saving.paths import check_folder, ending
from oxiconv.saving.variables_h5 import read_variables, write_variables


def save_model(
    model: Any, filepath: str | os.PathLike[str], overwrite: bool = True, zipped: bool | None = None, **kwargs: Any
) -> None:
    """Writes a model, atomically: architecture, weights, and if it is compiled, its optimizer with all state.

    Training that goes on from a `.keras`, `.safetensors` or `.oxiconv` file gives the same bits as training that never
    stopped.

    Args:
        model: a built model.
        filepath: ends in `.keras` (Keras 3), `.h5` or `.hdf5` (as Keras 2 and 3 write them), or in `.safetensors` or
            `.oxiconv` (one file of plain tensors, which needs no other package).
        overwrite: whether an existing file is replaced.
        zipped: False writes the parts of a `.keras` file into a folder, whose name has none of these endings.
        **kwargs: `include_optimizer=False` leaves the training state out of an `.h5` file.

    Raises:
        ValueError: another ending, a model without weights yet, or a part that has no configuration.
        FileExistsError: the file exists and `overwrite` is False.
        ImportError: h5py is needed and not installed.
    """
    include_optimizer = kwargs.pop("include_optimizer", True)
    if kwargs:
        raise ValueError(f"save: unknown arguments {sorted(kwargs)}.")
    if zipped is False:
        path, kind = check_folder(filepath), "folder"
    else:
        path, kind = ending(filepath, "model", (".keras", ".h5", ".hdf5", ".oxiconv", ".safetensors"))
    check_free(path, overwrite)
    if not model.built:
        raise ValueError(f"save: the model {model.name!r} is not built. Call it on data, or build(input_shape), first.")
    if kind in ("folder", ".keras"):
        keras_file.save_keras(model, path, zipped=kind == ".keras")
    elif kind in (".h5", ".hdf5"):
        legacy_h5.save_h5(model, path, include_optimizer)
    else:
        model_file.save_safetensors(model, path)


def load_model(
    filepath: str | os.PathLike[str],
    custom_objects: Mapping[str, Any] | None = None,
    compile: bool = True,
    safe_mode: bool = True,
) -> Any:
    """The model of a file that `save_model` wrote, here or in Keras.

    Args:
        filepath: a `.keras` file or folder, an `.h5` or `.hdf5` file of Keras 2 or 3, or a `.safetensors` or `.oxiconv`
            file of oxiconv.
        custom_objects: the user's classes and functions by name; functions of Lambda layers by the layer's name.
        compile: whether to compile the model as it was, with its optimizer's state.
        safe_mode: accepted for Keras compatibility: no code from a file is ever run.

    Raises:
        FileFormatError: contents that are damaged or no model; names the file and the part.
        FileNotFoundError: there is no such file.
        ValueError: another ending.
        ImportError: h5py is needed and not installed.
    """
    if os.path.isdir(filepath):
        return keras_file.load_keras(os.fspath(filepath), custom_objects, compile)
    path, kind = ending(filepath, "model", (".keras", ".h5", ".hdf5", ".oxiconv", ".safetensors"))
    _exists(path)
    if kind == ".keras":
        return keras_file.load_keras(path, custom_objects, compile)
    if kind in (".h5", ".hdf5"):
        return legacy_h5.load_h5(path, custom_objects, compile)
    return model_file.load_safetensors(path, custom_objects, compile)


def save_weights(
    model: Any,
    filepath: str | os.PathLike[str],
    overwrite: bool = True,
    max_shard_size: float | None = None,
    **kwargs: Any,
) -> None:
    """Writes a model's weights, atomically.

    Args:
        model: a built model.
        filepath: ends in `.weights.h5` (Keras 3's) or `.safetensors`.
        overwrite: whether an existing file is replaced.
        max_shard_size: must be None: the file is one in any case.
        **kwargs: none.

    Raises:
        ValueError: another ending, or a model without weights yet.
        FileExistsError: the file exists and `overwrite` is False.
        ImportError: h5py is needed and not installed.
    """
    if max_shard_size is not None:
        raise ValueError("save_weights: max_shard_size is not supported: the file is one in any case.")
    if kwargs:
        raise ValueError(f"save_weights: unknown arguments {sorted(kwargs)}.")
    path, kind = ending(filepath, "weights", (".weights.h5", ".safetensors"))
    check_free(path, overwrite)
    _built(model, "save_weights")
    if kind == ".safetensors":
        weights_file.save(model, path)
        return
    with replacing(path) as temporary, writing(temporary) as file:
        write_variables(file, model)


def load_weights(
    model: Any,
    filepath: str | os.PathLike[str],
    skip_mismatch: bool = False,
    by_name: bool | None = None,
    **kwargs: Any,
) -> None:
    """Reads a model's weights from a weights file or a model file. Nothing is assigned unless everything fits.

    Args:
        model: a built model.
        filepath: ends in `.weights.h5`, `.keras`, `.h5` or `.hdf5` (the legacy files, also those of
            `keras.applications`), `.safetensors` or `.oxiconv`.
        skip_mismatch: whether weights that are missing or of another shape are skipped, with a warning.
        by_name: for legacy files: match layers by their names instead of their order.
        **kwargs: `objects_to_skip`, layers to leave as they are, for `.weights.h5` files.

    Raises:
        FileFormatError: damaged contents, or names, counts or shapes that differ from the model's.
        FileNotFoundError: there is no such file.
        ValueError: another ending; an argument that does not apply to it.
        ImportError: h5py is needed and not installed.
    """
    skip = kwargs.pop("objects_to_skip", None)
    if kwargs:
        raise ValueError(f"load_weights: unknown arguments {sorted(kwargs)}.")
    known = (".weights.h5", ".keras", ".h5", ".hdf5", ".safetensors", ".oxiconv")
    path, kind = ending(filepath, "weights", known)
    if by_name is not None and kind not in (".h5", ".hdf5"):
        raise ValueError(f"load_weights: by_name is for legacy .h5 and .hdf5 files, got {path!r}.")
    if skip is not None and kind != ".weights.h5":
        raise ValueError(f"load_weights: objects_to_skip is for .weights.h5 files, got {path!r}.")
    _exists(path)
    _built(model, "load_weights")
    if kind in (".safetensors", ".oxiconv"):
        weights_file.load(model, path, skip_mismatch)
    elif kind == ".keras":
        keras_file.load_keras_weights(model, path, skip_mismatch)
    elif kind == ".weights.h5":
        with reading(path, path) as root:
            read_variables(root, model, skip_mismatch, {id(owner) for owner in skip or ()})
    else:
        with reading(path, path) as root:
            legacy_h5.read_weights(root, model, bool(by_name), skip_mismatch)


def _exists(path: str) -> None:
    if not os.path.exists(path):
        raise FileNotFoundError(f"There is no file {path!r}.")


def _built(model: Any, what: str) -> None:
    if not model.built:
        raise ValueError(
            f"{what}: the model {model.name!r} has no weights yet. Call it on data, or build(input_shape), first."
        )
