"""Windows for signal processing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from oxiconv.tensor import ShapeError, Tensor, TensorLike, convert


def _window(name: str, x: Any, make: Callable[[int], Any]) -> Tensor:
    length = convert(x)
    if length.size != 1:
        raise ShapeError(f"{name}: expected one length, got shape {length.shape}")
    return convert(make(int(length)), "float32")


def bartlett(x: TensorLike) -> Tensor:
    """A triangle of `x` points that begins and ends at 0.

    >>> bartlett(5).numpy().tolist()
    [0.0, 0.5, 1.0, 0.5, 0.0]
    """
    return _window("bartlett", x, np.bartlett)


def blackman(x: TensorLike) -> Tensor:
    """Blackman's window of `x` points.

    >>> blackman(3).numpy().round(3).tolist()
    [-0.0, 1.0, -0.0]
    """
    return _window("blackman", x, np.blackman)


def hamming(x: TensorLike) -> Tensor:
    """Hamming's window of `x` points.

    >>> hamming(3).numpy().round(2)
    array([0.08, 1.  , 0.08], dtype=float32)
    """
    return _window("hamming", x, np.hamming)


def hanning(x: TensorLike) -> Tensor:
    """Von Hann's window of `x` points.

    >>> hanning(3).numpy().tolist()
    [0.0, 1.0, 0.0]
    """
    return _window("hanning", x, np.hanning)


def kaiser(x: TensorLike, beta: float) -> Tensor:
    """Kaiser's window of `x` points and shape `beta`.

    >>> kaiser(3, 0.0).numpy().tolist()
    [1.0, 1.0, 1.0]
    """
    return _window("kaiser", x, lambda n: np.kaiser(n, float(beta)))
