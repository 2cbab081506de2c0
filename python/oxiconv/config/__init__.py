"""Settings of the whole process."""

from __future__ import annotations

from typing import Any

from oxiconv import _core


class _Settings:
    def __init__(self) -> None:
        self.epsilon = 1e-7
        self.image_data_format = "channels_last"


_settings = _Settings()


def floatx() -> str:
    """The element type of real tensors: "float32"."""
    return "float32"


def set_floatx(value: str) -> None:
    """Accepts "float32", the one type of real tensors."""
    if value != "float32":
        raise ValueError(f"set_floatx: expected 'float32', the only supported type, got {value!r}")


def epsilon() -> float:
    """The small number that keeps divisions and logarithms finite (default 1e-7)."""
    return _settings.epsilon


def set_epsilon(value: float) -> None:
    """Sets `epsilon`."""
    _settings.epsilon = float(value)


def image_data_format() -> str:
    """Where image layers expect channels by default: "channels_last" or "channels_first"."""
    return _settings.image_data_format


def set_image_data_format(data_format: Any) -> None:
    """Sets `image_data_format`."""
    if data_format not in ("channels_last", "channels_first"):
        raise ValueError(f"set_image_data_format: expected 'channels_last' or 'channels_first', got {data_format!r}")
    _settings.image_data_format = data_format


def backend() -> str:
    """The name of the engine."""
    return "oxiconv"


def isa() -> str:
    """The instruction set of the kernels in use: "avx512", "avx2", "neon" or "scalar".

    It is the best that the machine has, or what the environment variable `OXICONV_ISA` names.
    """
    return _core.isa()


def num_threads() -> int:
    """How many threads computations use: `set_num_threads`, or `OXICONV_NUM_THREADS`, or one per core."""
    return _core.num_threads()


def set_num_threads(n: int) -> None:
    """Sets how many threads computations use from now on. Results do not depend on it.

    Raises:
        ValueError: `n` is less than 1.

    >>> before = num_threads()
    >>> set_num_threads(1)
    >>> num_threads()
    1
    >>> set_num_threads(before)
    """
    if n < 1:
        raise ValueError(f"set_num_threads: expected at least 1, got {n}")
    _core.set_num_threads(n)
