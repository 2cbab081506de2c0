"""The base class of callbacks, and lists of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Logs = Mapping[str, Any] | None


class Callback:
    """Base class: override the hooks that are needed.

    `self.model` is the model, `self.params` a dict with `epochs`, `steps` and `verbose`. Logs of batches are evaluated
    when they are first read; what is kept beyond the hook must be copied by then.

    Example:
        >>> import oxiconv
        >>> class Stop(oxiconv.callbacks.Callback):
        ...     def on_epoch_end(self, epoch, logs=None):
        ...         self.model.stop_training = logs["loss"] < 0.1
    """

    def __init__(self) -> None:
        self.params: dict[str, Any] = {}
        self._model: Any = None

    @property
    def model(self) -> Any:
        """The model being trained, evaluated or used."""
        return self._model

    def set_params(self, params: dict[str, Any]) -> None:
        """Called before training with `epochs`, `steps` and `verbose`."""
        self.params = params

    def set_model(self, model: Any) -> None:
        """Called before training with the model."""
        self._model = model

    def on_batch_begin(self, batch: int, logs: Logs = None) -> None:
        """Older name of `on_train_batch_begin`."""

    def on_batch_end(self, batch: int, logs: Logs = None) -> None:
        """Older name of `on_train_batch_end`."""

    def on_epoch_begin(self, epoch: int, logs: Logs = None) -> None:
        """Before an epoch of training."""

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """After an epoch and its validation; logs hold the results by name, those of validation as `val_…`."""

    def on_train_batch_begin(self, batch: int, logs: Logs = None) -> None:
        """Before a training batch."""
        self.on_batch_begin(batch, logs)

    def on_train_batch_end(self, batch: int, logs: Logs = None) -> None:
        """After a training batch; logs hold the epoch's results so far."""
        self.on_batch_end(batch, logs)

    def on_test_batch_begin(self, batch: int, logs: Logs = None) -> None:
        """Before an evaluation batch, also of validation."""

    def on_test_batch_end(self, batch: int, logs: Logs = None) -> None:
        """After an evaluation batch."""

    def on_predict_batch_begin(self, batch: int, logs: Logs = None) -> None:
        """Before a prediction batch."""

    def on_predict_batch_end(self, batch: int, logs: Logs = None) -> None:
        """After a prediction batch; logs hold its `outputs`."""

    def on_train_begin(self, logs: Logs = None) -> None:
        """Before training."""

    def on_train_end(self, logs: Logs = None) -> None:
        """After training, unless it ended by an exception."""

    def on_test_begin(self, logs: Logs = None) -> None:
        """Before evaluation, also of validation."""

    def on_test_end(self, logs: Logs = None) -> None:
        """After evaluation."""

    def on_predict_begin(self, logs: Logs = None) -> None:
        """Before prediction."""

    def on_predict_end(self, logs: Logs = None) -> None:
        """After prediction."""


# Hooks by how many arguments come before the logs.
_HOOKS = {
    **{f"on_{phase}_{when}": 0 for phase in ("train", "test", "predict") for when in ("begin", "end")},
    **{f"on_{phase}_batch_{when}": 1 for phase in ("train", "test", "predict") for when in ("begin", "end")},
    **{f"on_epoch_{when}": 1 for when in ("begin", "end")},
}
# A training batch hook is in use if it, or its older name, is overridden.
_OLDER = {"on_train_batch_begin": "on_batch_begin", "on_train_batch_end": "on_batch_end"}


class CallbackList(Callback):
    """Calls each hook of several callbacks, in order.

    Args:
        callbacks: a callback or a list; None for none.
        add_history: whether to add a `History` if there is none.
        add_progbar: whether to add a `ProgbarLogger` if there is none.
        model: the model.
        **params: given to `set_params`.
    """

    def __init__(
        self,
        callbacks: Any = None,
        add_history: bool = False,
        add_progbar: bool = False,
        model: Any = None,
        **params: Any,
    ) -> None:
        super().__init__()
        from oxiconv.callbacks.history import History
        from oxiconv.callbacks.progbar_logger import ProgbarLogger

        given = callbacks if isinstance(callbacks, list | tuple) else [] if callbacks is None else [callbacks]
        self.callbacks: list[Any] = list(given)
        for callback in self.callbacks:
            if not isinstance(callback, Callback):
                raise ValueError(f"callbacks: expected Callback instances, got {callback!r}.")
        if add_history and not any(isinstance(c, History) for c in self.callbacks):
            self.callbacks.append(History())
        if add_progbar and not any(isinstance(c, ProgbarLogger) for c in self.callbacks):
            self.callbacks.append(ProgbarLogger())
        self._users = {hook: self._using(hook) for hook in _HOOKS}
        if model is not None:
            self.set_model(model)
        if params:
            self.set_params(params)

    def _using(self, hook: str) -> list[Any]:
        """The callbacks that override a hook: the others cost nothing."""
        names = [hook, _OLDER.get(hook, hook)]
        return [
            c
            for c in self.callbacks
            if any(getattr(type(c), n) is not getattr(Callback, n) or n in vars(c) for n in names)
        ]

    def append(self, callback: Callback) -> None:
        """Adds a callback."""
        self.callbacks.append(callback)
        self._users = {hook: self._using(hook) for hook in _HOOKS}

    def set_params(self, params: dict[str, Any]) -> None:
        """Tells all callbacks."""
        super().set_params(params)
        for callback in self.callbacks:
            callback.set_params(params)

    def set_model(self, model: Any) -> None:
        """Tells all callbacks."""
        super().set_model(model)
        for callback in self.callbacks:
            callback.set_model(model)


def _forwarding(hook: str) -> Any:
    def call(self: CallbackList, *args: Any, logs: Any = None) -> None:
        position = args[: _HOOKS[hook]]
        given = args[len(position)] if len(args) > len(position) else logs
        given = {} if given is None else given
        for callback in self._users[hook]:
            getattr(callback, hook)(*position, given)

    call.__doc__ = getattr(Callback, hook).__doc__
    return call


for _hook in _HOOKS:
    setattr(CallbackList, _hook, _forwarding(_hook))
