"""Linear algebra: Keras's `ops.linalg`."""

from oxiconv.absent import getter
from oxiconv.ops.elimination import cholesky, cholesky_inverse, det, inv, lu_factor, qr, solve, solve_triangular
from oxiconv.ops.products import norm
from oxiconv.ops.spectra import eigh, lstsq, matrix_rank, pinv, svd

__all__ = [
    "cholesky",
    "cholesky_inverse",
    "det",
    "eigh",
    "inv",
    "lstsq",
    "lu_factor",
    "matrix_rank",
    "norm",
    "pinv",
    "qr",
    "solve",
    "solve_triangular",
    "svd",
]

__getattr__ = getter(__name__)
