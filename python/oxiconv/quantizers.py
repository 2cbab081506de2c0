"""Keras's quantizers, which are absent: `Model.quantize` quantizes a model. See `oxiconv.absent`."""

from oxiconv.absent import getter

__getattr__ = getter(__name__)
