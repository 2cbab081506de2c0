"""Parts of complex numbers, of tensors, which are real."""

from __future__ import annotations

import math

from oxiconv import _core
from oxiconv.ops.promotion import real as real_tensor
from oxiconv.symbolic import op
from oxiconv.tensor import Tensor, TensorLike, convert


@op
def real(x: TensorLike) -> Tensor:
    """The real part: `x`.

    >>> real([1.0, -2.0]).numpy().tolist()
    [1.0, -2.0]
    """
    return convert(x)


@op
def imag(x: TensorLike) -> Tensor:
    """The imaginary part: 0.

    >>> imag([1.0, -2.0]).numpy().tolist()
    [0.0, 0.0]
    """
    x = convert(x)
    return _core.broadcast_to(convert(0, x.dtype), x.shape)


@op
def conjugate(x: TensorLike) -> Tensor:
    """The complex conjugate: `x`.

    >>> conjugate([1.0, -2.0]).numpy().tolist()
    [1.0, -2.0]
    """
    return convert(x)


conj = conjugate


@op
def isreal(x: TensorLike) -> Tensor:
    """Whether the imaginary part is 0: true.

    >>> isreal([1.0, -2.0]).numpy().tolist()
    [True, True]
    """
    return _core.broadcast_to(convert(True), convert(x).shape)


@op
def angle(x: TensorLike) -> Tensor:
    """The angle of a real number in the complex plane: 0, or π where negative.

    >>> angle([1.0, -1.0]).numpy().round(4)
    array([0.    , 3.1416], dtype=float32)
    """
    x = real_tensor(x)
    flat = _core.select(_core.binary("lt", x, 0.0), math.pi, 0.0)
    return _core.select(_core.unary("isnan", x), _core.detach(x), _core.cast(flat, x.dtype))
