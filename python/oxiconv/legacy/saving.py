"""Keras 2's own serialization, which are absent: see `oxiconv.absent`."""

from oxiconv.absent import getter

__getattr__ = getter(__name__)
