"""Models: networks that can be trained and saved."""

from typing import Any

from oxiconv.models.cloning import clone_model
from oxiconv.models.function import Function
from oxiconv.models.model import Model, model_from_json
from oxiconv.models.sequential import Sequential

__all__ = ["Function", "Model", "Sequential", "clone_model", "load_model", "model_from_json", "save_model"]


def load_model(filepath: Any, custom_objects: Any = None, compile: bool = True, safe_mode: bool = True) -> Any:
    """The model of a file that `save_model` wrote."""
    from oxiconv.saving import load_model as load

    return load(filepath, custom_objects=custom_objects, compile=compile, safe_mode=safe_mode)


def save_model(model: Model, filepath: Any, overwrite: bool = True, zipped: bool | None = None) -> None:
    """Writes architecture, weights and optimizer state to one file."""
    model.save(filepath, overwrite=overwrite, zipped=zipped)
