"""What callbacks get as logs of a batch: results that are computed only if somebody looks."""

from __future__ import annotations

from collections.abc import Callable, Iterator, MutableMapping
from typing import Any


class LazyLogs(MutableMapping[str, Any]):
    """A dict of floats, evaluated at its first use: reading metrics costs more than a small training step."""

    def __init__(self, evaluate: Callable[[], dict[str, Any]]) -> None:
        self._evaluate: Callable[[], dict[str, Any]] | None = evaluate
        self._values: dict[str, Any] = {}

    def _known(self) -> dict[str, Any]:
        if self._evaluate is not None:
            self._values, self._evaluate = {**self._evaluate(), **self._values}, None
        return self._values

    def __getitem__(self, key: str) -> Any:
        return self._known()[key]

    def __setitem__(self, key: str, value: Any) -> None:
        self._values[key] = value

    def __delitem__(self, key: str) -> None:
        del self._known()[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._known())

    def __len__(self) -> int:
        return len(self._known())

    def __bool__(self) -> bool:
        # `logs or {}`, which callbacks write, is no use of the values.
        return True

    def __repr__(self) -> str:
        return repr(self._known())
