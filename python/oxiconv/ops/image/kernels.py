"""Interpolation kernels, as functions of the distance from the centre in pixels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from oxiconv.ops.comparison import where
from oxiconv.ops.elementwise import maximum
from oxiconv.ops.trigonometry import sin

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from oxiconv.tensor import Tensor


class Kernel(NamedTuple):
    """Weights of source pixels at a distance: of arrays, and of tensors that may be traced."""

    radius: float
    weights: Callable[[NDArray[Any]], NDArray[Any]]
    traced: Callable[[Tensor], Tensor]


def _triangle(x: Any, least: Any) -> Any:
    return least(1.0 - x, 0.0)


def _keys(x: Any, choose: Any) -> Any:
    # Keys, Cubic Convolution Interpolation (1981), with a = -1/2.
    near = ((1.5 * x - 2.5) * x) * x + 1.0
    far = ((-0.5 * x + 2.5) * x - 4.0) * x + 2.0
    return choose(x >= 2.0, 0.0, choose(x >= 1.0, far, near))


def _lanczos(radius: float, x: Any, choose: Any, sine: Any) -> Any:
    # At the centre the quotient is 1 to float32 accuracy; there it is not computed, for its divisor.
    safe = choose(x > 1e-3, x, 1.0)
    value = radius * sine(np.pi * safe) * sine(np.pi / radius * safe) / (np.pi**2 * safe * safe)
    return choose(x > radius, 0.0, choose(x > 1e-3, value, 1.0))


KERNELS: dict[str, Kernel] = {
    "bilinear": Kernel(1.0, lambda x: _triangle(x, np.maximum), lambda x: _triangle(x, maximum)),
    "bicubic": Kernel(2.0, lambda x: _keys(x, np.where), lambda x: _keys(x, where)),
    "lanczos3": Kernel(3.0, lambda x: _lanczos(3.0, x, np.where, np.sin), lambda x: _lanczos(3.0, x, where, sin)),
    "lanczos5": Kernel(5.0, lambda x: _lanczos(5.0, x, np.where, np.sin), lambda x: _lanczos(5.0, x, where, sin)),
}
