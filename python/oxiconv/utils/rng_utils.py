"""Reproducible runs."""

from __future__ import annotations

import random

import numpy as np

from oxiconv.utils.argument_validation import is_whole


def set_random_seed(seed: int) -> None:
    """Seeds Python's `random`, NumPy and oxiconv: initial weights, dropout and shuffling then repeat.

    Args:
        seed: an integer in [0, 2**32).

    Raises:
        ValueError: no such integer.

    Example:
        >>> import oxiconv
        >>> oxiconv.utils.set_random_seed(1)
    """
    if not is_whole(seed, 0) or seed >= 2**32:
        raise ValueError(f"set_random_seed: expected an integer in [0, 2**32), got {seed!r}.")
    from oxiconv.random import set_global_seed

    random.seed(int(seed))
    np.random.seed(int(seed))
    set_global_seed(int(seed))
