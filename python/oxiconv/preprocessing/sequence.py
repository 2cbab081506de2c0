"""Padding of sequences of ids, which is absent: see `oxiconv.absent`."""

from oxiconv.absent import getter

__getattr__ = getter(__name__)
