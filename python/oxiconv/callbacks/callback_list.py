"""Lists of callbacks."""

from __future__ import annotations

from typing import Any

from oxiconv.callbacks.callback import Callback
from oxiconv.callbacks.history import History
from oxiconv.callbacks.progbar_logger import ProgbarLogger
from oxiconv.utils.python_utils import pythonify_logs

# Hooks by how many arguments come before the logs.
_HOOKS = {
    **{f"on_{phase}_{when}": 0 for phase in ("train", "test", "predict") for when in ("begin", "end")},
    **{f"on_{phase}_batch_{when}": 1 for phase in ("train", "test", "predict") for when in ("begin", "end")},
    **{f"on_{what}_{when}": 1 for what in ("epoch", "batch") for when in ("begin", "end")},
}
# Hooks whose logs are the results of an epoch or an evaluation.
_RESULTS = frozenset({"on_epoch_end", "on_train_end", "on_test_end"})
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
        given = pythonify_logs(given) if hook in _RESULTS else {} if given is None else given
        for callback in self._users[hook]:
            getattr(callback, hook)(*position, given)

    call.__doc__ = getattr(Callback, hook).__doc__
    return call


for _hook in _HOOKS:
    setattr(CallbackList, _hook, _forwarding(_hook))
