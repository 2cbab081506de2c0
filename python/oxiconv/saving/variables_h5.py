"""The variables of a model as groups of an HDF5 file, by Keras 3's paths."""

from __future__ import annotations

import warnings
from collections.abc import Container, Iterator, MutableMapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from oxiconv._core import FileFormatError, OxiconvError
from oxiconv.saving.hdf5 import Dataset, Group
from oxiconv.saving.state_tree import Place, own_variables, places


def write_variables(file: Any, model: Any) -> None:
    """Writes the variables of everything below `model` into an open h5py file."""
    for path, owner in places(model):
        store: dict[str, Any] = {}
        save = getattr(owner, "save_own_variables", None)
        if save is None:
            store.update({str(i): v for i, v in enumerate(own_variables(owner))})
        else:
            save(store)
        name = getattr(owner, "name", None)
        if not store and not isinstance(name, str):
            continue
        group = file.create_group(f"{path}/vars" if path else "vars")
        if isinstance(name, str):
            group.attrs["name"] = name
        for key, value in store.items():
            _write(group, key, value)


def _write(group: Any, key: str, value: Any) -> None:
    dtype = getattr(value, "dtype", None)
    array = np.asarray(value.numpy() if hasattr(value, "numpy") else value)
    if str(dtype) == "bfloat16":
        bits = np.asarray(array, np.float32).view(np.uint32) >> 16  # exact: the values are bfloat16 already
        data = group.create_dataset(key, data=bits.astype(np.uint16).view("V2"))
        data.attrs["dtype"] = "bfloat16"
    else:
        group.create_dataset(key, data=array)


class StoredVariables(MutableMapping[str, Any]):
    """What `load_own_variables` reads: the arrays of one object by name. Shapes are known before data is read."""

    def __init__(self, group: Group | None) -> None:
        self._group = group
        self._names = [] if group is None else group.names()

    def describe(self, key: str) -> Dataset:
        """The dataset of a name, unread."""
        if self._group is None or key not in self._names:
            raise KeyError(key)
        return self._group.dataset(key)

    def __getitem__(self, key: str) -> NDArray[Any]:
        return self.describe(key).read()

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)

    def __setitem__(self, key: str, value: Any) -> None:
        raise TypeError("load_own_variables: the store is read only")

    def __delitem__(self, key: str) -> None:
        raise TypeError("load_own_variables: the store is read only")


def read_variables(root: Group, model: Any, skip_mismatch: bool = False, skip: Container[int] = ()) -> None:
    """Assigns the variables of everything below `model`. Nothing is assigned unless all counts and shapes fit.

    Args:
        root: of the file.
        model: a built model.
        skip_mismatch: whether objects that do not fit are skipped, with a warning.
        skip: objects to leave as they are, by identity.

    Raises:
        FileFormatError: variables that are missing, too many, or of another shape or type.
    """
    fitting: list[tuple[Place, StoredVariables]] = []
    wrong: list[str] = []
    for place in places(model):
        if id(place.owner) in skip or _is_new_optimizer(place.owner):
            continue
        store = StoredVariables(_variables_group(root, place.path))
        problem = _problem(place, store)
        if problem is None:
            fitting.append((place, store))
        else:
            wrong.append(problem)
    if wrong:
        message = f"{root.label}: " + "; ".join(wrong[:5])
        message += f"; and {len(wrong) - 5} more." if len(wrong) > 5 else "."
        if not skip_mismatch:
            raise FileFormatError(message)
        warnings.warn(f"{message} These are skipped.", stacklevel=4)
    for place, store in fitting:
        _load(root.label, place, store)


def _is_new_optimizer(owner: Any) -> bool:
    """Whether it is an optimizer without state: it has nothing that the state in a file of weights could fill."""
    return hasattr(owner, "apply_gradients") and not owner.built


def _variables_group(root: Group, path: str) -> Group | None:
    home = root if not path else root.find(path)
    if home is None and "_layer_checkpoint_dependencies" in root:  # Keras 2.13
        home = root.find(path.replace("layers", "_layer_checkpoint_dependencies"))
    return None if home is None or "vars" not in home else home.group("vars")


def _is_ours(owner: Any, method: str) -> bool:
    return str(getattr(getattr(type(owner), method, None), "__module__", "oxiconv.")).startswith("oxiconv.")


def _problem(place: Place, store: StoredVariables) -> str | None:
    """Why the stored variables do not fit the object's own, if they do not."""
    if not _is_ours(place.owner, "load_own_variables"):
        return None  # the user's method decides
    label = f"{getattr(place.owner, 'name', type(place.owner).__name__)!r} (at {place.path or 'the top'})"
    variables = own_variables(place.owner)
    if len(store) != len(variables):
        return f"{label} has {len(variables)} variables, the file has {len(store)} for it"
    for i, variable in enumerate(variables):
        if str(i) not in store:
            return f"{label}: expected variables 0 to {len(variables) - 1} in the file, got {sorted(store)}"
        data = store.describe(str(i))
        if data.shape != tuple(variable.shape):
            return (
                f"{label}: {variable.name!r} has shape {data.shape} in the file, {tuple(variable.shape)} in the model"
            )
        if not same_kind(data, variable):
            return f"{label}: {variable.name!r} is of another type in the file than in the model, {variable.dtype}"
    return None


def _load(label: str, place: Place, store: StoredVariables) -> None:
    owner = place.owner
    load = getattr(owner, "load_own_variables", None)
    try:
        if load is not None:
            load(store)
        else:
            for i, variable in enumerate(own_variables(owner)):
                variable.assign(fitted(store[str(i)], variable))
    except (OxiconvError, KeyError, ValueError, TypeError, IndexError) as error:
        raise FileFormatError(f"{label}: {place.path or 'the top'}: {error}") from error


def same_kind(data: Dataset, variable: Any) -> bool:
    """Whether both are real, or both are not."""
    return (data.kind == "f") == ("float" in variable.dtype)


def fitted(values: NDArray[Any], variable: Any) -> NDArray[Any]:
    """Values as the variable's element type; integers must fit it."""
    if values.dtype.kind in "iu" and np.dtype(variable.dtype).kind in "iu":
        target = np.iinfo(variable.dtype)
        if (
            values.dtype != np.uint32
            and values.size
            and not (target.min <= values.min() and values.max() <= target.max)
        ):
            raise ValueError(f"{variable.name!r}: {variable.dtype} cannot hold the values of the file")
    return values
