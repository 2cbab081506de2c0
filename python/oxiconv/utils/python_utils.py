"""Results as Python numbers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def pythonify_logs(logs: Mapping[str, Any] | None) -> dict[str, Any]:
    """Results as Python floats where they are numbers, by sorted name, nested dicts laid flat.

    >>> import numpy as np
    >>> pythonify_logs({"loss": np.float32(0.5), "by_class": {"b": 1, "a": 2}, "note": "x"})
    {'a': 2.0, 'b': 1.0, 'loss': 0.5, 'note': 'x'}
    """
    floats: dict[str, Any] = {}
    for key in sorted(logs or {}):
        value = (logs or {})[key]
        if isinstance(value, Mapping):
            floats.update(pythonify_logs(value))
            continue
        try:
            floats[key] = float(value)
        except (TypeError, ValueError):
            floats[key] = value
    return floats
