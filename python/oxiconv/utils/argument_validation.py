"""Checks of arguments."""

from __future__ import annotations

from typing import Any

import numpy as np


def is_whole(value: Any, least: int = 1) -> bool:
    """Whether `value` is an integer of at least `least`; True and False are none."""
    return isinstance(value, int | np.integer) and not isinstance(value, bool) and bool(value >= least)
