"""Linear algebra: Keras's `ops.linalg`."""

from oxiconv.ops.products import norm

__all__ = [
    "norm",
]
