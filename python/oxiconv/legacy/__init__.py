"""Keras 2's own names, which are absent: see `oxiconv.absent`."""

from oxiconv.absent import getter

__getattr__ = getter(__name__)
