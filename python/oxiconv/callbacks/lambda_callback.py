"""Callbacks from functions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from oxiconv.callbacks.callback import Callback


class LambdaCallback(Callback):
    """A callback of functions, each with the arguments of the hook it is given as.

    Args:
        on_epoch_begin, on_epoch_end: functions of (epoch, logs).
        on_train_begin, on_train_end: functions of (logs).
        on_train_batch_begin, on_train_batch_end: functions of (batch, logs).
        **kwargs: other hooks by name.

    Raises:
        ValueError: a name that is no hook.

    Example:
        >>> import oxiconv
        >>> show = oxiconv.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: print(epoch))
        >>> show.on_epoch_end(3, {})
        3
    """

    def __init__(
        self,
        on_epoch_begin: Callable[..., Any] | None = None,
        on_epoch_end: Callable[..., Any] | None = None,
        on_train_begin: Callable[..., Any] | None = None,
        on_train_end: Callable[..., Any] | None = None,
        on_train_batch_begin: Callable[..., Any] | None = None,
        on_train_batch_end: Callable[..., Any] | None = None,
        **kwargs: Callable[..., Any],
    ) -> None:
        super().__init__()
        given = {
            "on_epoch_begin": on_epoch_begin,
            "on_epoch_end": on_epoch_end,
            "on_train_begin": on_train_begin,
            "on_train_end": on_train_end,
            "on_train_batch_begin": on_train_batch_begin,
            "on_train_batch_end": on_train_batch_end,
            **kwargs,
        }
        for name, function in given.items():
            if not name.startswith("on_") or not hasattr(Callback, name):
                raise ValueError(f"LambdaCallback: {name!r} is no hook of a callback.")
            if function is not None:
                setattr(self, name, function)
