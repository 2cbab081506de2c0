"""Where a training is, written to a file and taken up from it to the last bit."""

from __future__ import annotations

import json
import os
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from oxiconv.callbacks import CallbackList
from oxiconv.metrics.metric import Accumulator, Metric
from oxiconv.optimizers.optimizer import Optimizer
from oxiconv.random import global_state, restore_global_state
from oxiconv.saving.atomic import replacing
from oxiconv.tensor import FileFormatError
from oxiconv.trainer.arrays import Batch
from oxiconv.trainer.epochs import Epochs
from oxiconv.trainer.state import CompiledState
from oxiconv.variable import Variable

# What in a saved training is no array, as JSON.
_ABOUT = "about"

Saved = tuple[dict[str, NDArray[Any]], dict[str, Any]]


class Progress:
    """The state of a running `fit`, for callbacks that save it and go on from it.

    Attributes:
        epoch: the epoch that is running.
        batch: its batches that are done.
        initial_epoch: where training begins.
    """

    def __init__(self, model: Any, state: CompiledState, epochs: Epochs, callbacks: CallbackList, start: int) -> None:
        self._model = model
        self._state = state
        self._epochs = epochs
        self._callbacks = callbacks
        self.initial_epoch = self.epoch = start
        self.batch = 0
        self._resumed: Saved | None = None
        self._deferred: list[Callable[[], None]] = []

    def batches(self) -> Iterator[Batch]:
        """Those of the epoch that are not done."""
        return self._epochs.epoch(self.batch)

    @property
    def exhausted(self) -> bool:
        """Whether the data has run out for good."""
        return self._epochs.exhausted

    def defer(self, action: Callable[[], None]) -> None:
        """Has `action` done when all callbacks have seen the present event."""
        self._deferred.append(action)

    def settle(self) -> None:
        """Does what was deferred."""
        while self._deferred:
            self._deferred.pop(0)()

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes all that the rest of the training depends on. The file is replaced as a whole or not at all."""
        tensors: dict[str, NDArray[Any]] = {}
        for group, variables in variable_groups(self._model).items():
            tensors |= {f"{group}/{i}": v.numpy() for i, v in enumerate(variables)}
        states = []
        for i, callback in enumerate(self._callbacks.callbacks):
            kept = {}
            for name in callback.state_fields:
                value = getattr(callback, name)
                if isinstance(value, list):
                    tensors |= {f"callback/{i}/{name}/{j}": np.asarray(a) for j, a in enumerate(value)}
                kept[name] = {"list": len(value)} if isinstance(value, list) else value
            states.append([type(callback).__name__, kept])
        index = {id(v): i for i, v in enumerate(self._model.variables)}
        passes, position, shuffles = self._epochs.position
        about = {
            "epoch": self.epoch,
            "batch": self.batch,
            "passes": passes,
            "position": position,
            "shuffling": [self._state.shuffling.seed, shuffles],
            "random": global_state(),
            "optimizers": [
                [index.get(id(v), -1) for v in o.trainable_variables] if o.built else None
                for o in _optimizers(self._model)
            ],
            "callbacks": states,
        }
        _write(path, tensors, about)

    def load(self, path: str | os.PathLike[str]) -> None:
        """Reads a saved state, which `fit` takes up before its first step."""
        self._resumed = _, saved = _read(path)
        self.initial_epoch = self.epoch = int(saved["epoch"])
        self.batch = int(saved["batch"])

    def resume(self, prepare: Callable[[Any], Any]) -> bool:
        """Takes up what was loaded, if anything; `prepare` creates, for a batch, what a first step would."""
        if self._resumed is None:
            return False
        tensors, saved = self._resumed
        shuffling = self._state.shuffling
        shuffling.seed, shuffling.count = saved["shuffling"]
        self._epochs.resume(saved["passes"], saved["position"])
        batch = self._epochs.sample()
        if batch is not None:
            prepare(batch)
        variables = self._model.variables
        self._fits(tensors, "model", variables)
        for optimizer, trained in zip(_optimizers(self._model), saved["optimizers"], strict=True):
            if trained is not None and not optimizer.built:
                optimizer.build([variables[i] for i in trained])
        groups = variable_groups(self._model)
        for group, held in groups.items():
            self._fits(tensors, group, held)
        for group, held in groups.items():
            for i, variable in enumerate(held):
                variable.assign(tensors[f"{group}/{i}"])
        for i, (callback, (_, kept)) in enumerate(zip(self._callbacks.callbacks, saved["callbacks"], strict=False)):
            for name, value in kept.items():
                if isinstance(value, dict):
                    value = [tensors[f"callback/{i}/{name}/{j}"] for j in range(value["list"])]
                setattr(callback, name, value)
        restore_global_state(saved["random"])
        return True

    def _fits(self, tensors: Mapping[str, NDArray[Any]], group: str, held: Sequence[Variable]) -> None:
        shapes = {f"{group}/{i}": v.shape for i, v in enumerate(held)}
        stored = {name: a.shape for name, a in tensors.items() if name.rsplit("/", 1)[0] == group}
        if stored != shapes:
            raise ValueError(
                f"The saved training has {len(stored)} variables of the {group}, this one {len(shapes)}, or they have "
                "other shapes. Use the same model and compile arguments; a subclassed model that is trained eagerly "
                "must be called on a batch before fit()."
            )


def variable_groups(model: Any) -> dict[str, list[Variable]]:
    """The variables that training a model changes, each in one group."""
    groups = {"model": list(model.variables)}
    # With what metrics keep beside their variables, such as the rounding errors of sums.
    groups["metrics"] = _variables(model.metrics)
    groups |= {f"optimizer{i}": o.variables for i, o in enumerate(_optimizers(model))}
    seen: set[int] = set()
    for group, variables in groups.items():
        groups[group] = [v for v in variables if id(v) not in seen]
        seen |= {id(v) for v in variables}
    return groups


def _optimizers(model: Any) -> list[Optimizer]:
    found = {id(o): o for o in _leaves(vars(model)) if isinstance(o, Optimizer)}
    return list(found.values())


def _write(path: str | os.PathLike[str], tensors: dict[str, NDArray[Any]], about: dict[str, Any]) -> None:
    parts = {**tensors, _ABOUT: np.frombuffer(json.dumps(about).encode(), np.uint8)}
    with replacing(os.fspath(path)) as temporary, open(temporary, "wb") as file:
        # Arrays within a zip file, whose checksums tell a damaged one; nothing in it is ever run.
        np.savez(file, allow_pickle=False, **parts)


def _read(path: str | os.PathLike[str]) -> Saved:
    try:
        with open(path, "rb") as opened, np.load(opened, allow_pickle=False) as file:
            tensors = {name: file[name] for name in file.files}
        return tensors, json.loads(tensors.pop(_ABOUT).tobytes())
    except (ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise FileFormatError(f"{os.fspath(path)!r} is no saved training: {error}") from error


def _variables(value: Any) -> list[Variable]:
    """The variables in metrics, and in the objects of metrics that they hold, in order."""
    if isinstance(value, Variable):
        return [value]
    if isinstance(value, Metric | Accumulator):
        return _variables(list(vars(value).values()))
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, list | tuple) else ()
    return [v for part in parts for v in _variables(part)]


def _leaves(value: Any) -> list[Any]:
    """The values of an object's attributes, also within lists and dicts."""
    if isinstance(value, dict):
        return [leaf for part in value.values() for leaf in _leaves(part)]
    return [leaf for part in value for leaf in _leaves(part)] if isinstance(value, list | tuple) else [value]
