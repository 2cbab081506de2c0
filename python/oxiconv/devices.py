"""The device that computes: the CPU."""

from __future__ import annotations

from typing import Self


class device:
    """A context in which tensors are made on a device. There is one, "cpu:0".

    Args:
        device_name: "cpu" or "cpu:0".

    Raises:
        ValueError: another device.

    >>> with device("cpu:0"):
    ...     pass
    """

    def __init__(self, device_name: str) -> None:
        if str(device_name).lower().lstrip("/").removeprefix("device:") not in ("cpu", "cpu:0"):
            raise ValueError(f"device: expected 'cpu:0', the one device there is, got {device_name!r}")
        self.device_name = device_name

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        pass
