"""Wrappers for scikit-learn, which are absent: see `oxiconv.absent`."""

from oxiconv.absent import getter

__getattr__ = getter(__name__)
