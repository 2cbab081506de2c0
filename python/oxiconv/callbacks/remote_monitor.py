"""Results of epochs sent to a server."""

from __future__ import annotations

import json
import urllib.error
import urllib.parse
import urllib.request
import warnings
from collections.abc import Mapping
from typing import Any

from oxiconv.callbacks.callback import Callback


class RemoteMonitor(Callback):
    """Sends the results of each epoch to a server, by POST.

    Args:
        root: the server.
        path: where on it.
        field: the field of the form that has the results, as JSON.
        headers: of the request.
        send_as_json: whether the request is JSON rather than a form.

    Example:
        >>> import oxiconv
        >>> callbacks = [oxiconv.callbacks.RemoteMonitor("http://localhost:9000")]
    """

    def __init__(
        self,
        root: str = "http://localhost:9000",
        path: str = "/publish/epoch/end/",
        field: str = "data",
        headers: Mapping[str, str] | None = None,
        send_as_json: bool = False,
    ) -> None:
        super().__init__()
        if not root.startswith(("http://", "https://")):
            raise ValueError(f"RemoteMonitor: expected an address that begins with http:// or https://, got {root!r}.")
        self.root = root
        self.path = path
        self.field = field
        self.headers = headers
        self.send_as_json = send_as_json

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Sends the results; where the server is not reached, training goes on, with a warning."""
        text = json.dumps({"epoch": epoch, **(logs or {})})
        kind = "application/json" if self.send_as_json else "application/x-www-form-urlencoded"
        body = text if self.send_as_json else urllib.parse.urlencode({self.field: text})
        headers = {"Content-Type": kind, **(self.headers or {})}
        request = urllib.request.Request(self.root + self.path, body.encode(), headers)
        try:
            with urllib.request.urlopen(request, timeout=10):
                pass
        except OSError as error:
            warnings.warn(f"RemoteMonitor: {self.root} could not be reached: {error}", stacklevel=2)
