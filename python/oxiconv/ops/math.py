"""Mathematical functions: Keras's `ops.math`."""

from oxiconv.ops.elimination import logdet, qr, solve
from oxiconv.ops.exponential import rsqrt
from oxiconv.ops.ordering import in_top_k, top_k
from oxiconv.ops.products import norm
from oxiconv.ops.reduction import logsumexp
from oxiconv.ops.segment import segment_max, segment_min, segment_prod, segment_sum
from oxiconv.ops.sequences import extract_sequences
from oxiconv.ops.special import erf, erfc, erfinv
from oxiconv.ops.vectors import cdist

__all__ = [
    "cdist",
    "erf",
    "erfc",
    "erfinv",
    "extract_sequences",
    "in_top_k",
    "logdet",
    "logsumexp",
    "norm",
    "qr",
    "rsqrt",
    "segment_max",
    "segment_min",
    "segment_prod",
    "segment_sum",
    "solve",
    "top_k",
]
