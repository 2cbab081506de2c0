"""Automatic names: `conv2d`, `conv2d_1`, … per class, as Keras counts them."""

from __future__ import annotations

import re
from collections import Counter

_counts: Counter[str] = Counter()


def to_snake_case(name: str) -> str:
    """Keras's snake case: letters only are split.

    >>> [to_snake_case(n) for n in ("Conv2D", "MaxPooling2D", "ReLU", "BatchNormalization")]
    ['conv2d', 'max_pooling2d', 're_lu', 'batch_normalization']
    """
    name = re.sub(r"\W+", "", name)
    name = re.sub("(.)([A-Z][a-z]+)", r"\1_\2", name)
    return re.sub("([a-z])([A-Z])", r"\1_\2", name).lower()


def auto_name(class_name: str) -> str:
    """The next free automatic name of a class."""
    prefix = to_snake_case(class_name)
    count = _counts[prefix]
    _counts[prefix] += 1
    return prefix if count == 0 else f"{prefix}_{count}"


def reset() -> None:
    """Forgets all counts: names start over."""
    _counts.clear()
