"""Mathematical functions: Keras's `ops.math`."""

from oxiconv.ops.elementwise import erf, erfinv, rsqrt
from oxiconv.ops.ordering import in_top_k, top_k
from oxiconv.ops.reduction import logsumexp

__all__ = [
    "erf",
    "erfinv",
    "in_top_k",
    "logsumexp",
    "rsqrt",
    "top_k",
]
