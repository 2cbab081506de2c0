"""Values of images between their pixels: at places of each sample's own, or at coordinates of any number of axes."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import numpy as np

from oxiconv import _core
from oxiconv.dtype import is_float
from oxiconv.ops.comparison import logical_and, where
from oxiconv.ops.elementwise import clip, minimum, mod
from oxiconv.ops.rounding import floor
from oxiconv.ops.rounding import round as nearest_whole
from oxiconv.symbolic import op
from oxiconv.tensor import ShapeError, Tensor, TensorLike, convert

if TYPE_CHECKING:
    from collections.abc import Callable

FILL_MODES = ("constant", "nearest", "wrap", "reflect")


def check_interpolation(interpolation: str, name: str) -> None:
    """Raises unless places between pixels can be read this way."""
    if interpolation not in ("nearest", "bilinear"):
        raise ValueError(f"{name}: expected interpolation 'nearest' or 'bilinear', got {interpolation!r}")


def check_fill_mode(fill_mode: str, name: str) -> None:
    """Raises unless places outside an image can be read this way."""
    if fill_mode not in FILL_MODES:
        raise ValueError(f"{name}: expected fill_mode {', '.join(FILL_MODES)}, got {fill_mode!r}")


def inside(place: Tensor, size: int, fill_mode: str) -> Tensor:
    """Places along an axis of `size` pixels, continued beyond it by `fill_mode`, as places within it."""
    if fill_mode == "constant" or size == 1:
        return place if fill_mode == "constant" else place * 0.0
    if fill_mode == "reflect":  # dcba|abcd|dcba
        turned = mod(place + 0.5, 2.0 * size)
        place = minimum(turned, 2.0 * size - turned) - 0.5
    elif fill_mode == "wrap":  # abcd|abcd|abcd, where the step from d to a has no width of its own
        low = place + size * (floor(-place / (size - 1)) + 1.0)
        high = place - size * floor(place / (size - 1))
        place = where(place < 0.0, low, where(place > size - 1, high, place))
    return clip(place, 0.0, size - 1.0)


class _Taps:
    """The one or two whole places around places along an axis: their numbers, weights and whether they exist."""

    def __init__(self, place: Tensor, size: int, interpolation: str, bounded: bool) -> None:
        if interpolation == "nearest":
            # Halves go away from zero, so -1/2 is outside.
            self.first = where(place < 0.0, -floor(0.5 - place), floor(place + 0.5))
            self.weights: list[Any] = [None]
        else:
            self.first = floor(place)
            after = place - self.first
            self.weights = [1.0 - after, after]
        self.size = size
        self.bounded = bounded

    def number(self, tap: int) -> Tensor:
        """The whole place, limited to those that exist."""
        return clip(self.first + float(tap), 0.0, self.size - 1.0)

    def exists(self, tap: int) -> Tensor | None:
        """Whether the place exists; None if all do."""
        whole = self.first + float(tap)
        return None if self.bounded else logical_and(whole >= 0.0, whole <= self.size - 1.0)


def sample(
    x: Tensor, rows: Tensor, columns: Tensor, interpolation: str, fill_mode: str, fill_value: float = 0.0
) -> Tensor:
    """`x`, `[n, h, w, c]`, at the places `rows`, `columns` (`[n, p]`) of each sample: `[n, p, c]`."""
    n, height, width, channels = x.shape
    pixels = _core.reshape(x, (n, height * width, channels))
    bounded = fill_mode != "constant"
    down = _Taps(inside(rows, height, fill_mode), height, interpolation, bounded)
    across = _Taps(inside(columns, width, fill_mode), width, interpolation, bounded)
    total: Any = None
    for i, j in itertools.product(range(len(down.weights)), range(len(across.weights))):
        index = convert(down.number(i) * float(width) + across.number(j), "int32")
        part = _core.gather_each(pixels, index, 1)
        exists = _all(down.exists(i), across.exists(j))
        if exists is not None:
            part = where(_last(exists), part, fill_value)
        weight = _product(down.weights[i], across.weights[j])
        part = part if weight is None else part * _last(weight)
        total = part if total is None else total + part
    return convert(total)


def sample_axis(
    x: Tensor, places: Tensor, axis: int, interpolation: str, fill_mode: str, fill_value: float = 0.0
) -> Tensor:
    """`x`, `[n, ..]`, at the places `[n, m]` along `axis` of each sample."""
    size, bounded = x.shape[axis], fill_mode != "constant"
    taps = _Taps(inside(places, size, fill_mode), size, interpolation, bounded)
    dims = (places.shape[0], *[1] * (axis - 1), places.shape[1], *[1] * (x.ndim - axis - 1))
    total: Any = None
    for tap, weight in enumerate(taps.weights):
        part = _core.gather_each(x, convert(taps.number(tap), "int32"), axis)
        exists = taps.exists(tap)
        if exists is not None:
            part = where(_core.reshape(exists, dims), part, fill_value)
        part = part if weight is None else part * _core.reshape(weight, dims)
        total = part if total is None else total + part
    return convert(total)


def _last(x: Tensor) -> Tensor:
    return _core.reshape(x, (*x.shape, 1))


def _all(a: Tensor | None, b: Tensor | None) -> Tensor | None:
    return b if a is None else a if b is None else logical_and(a, b)


def _product(a: Any, b: Any) -> Any:
    return b if a is None else a if b is None else a * b


def _mirrored(index: Tensor, size: int) -> Tensor:
    """Places beyond the ends: dcb|abcd|cba."""
    last = max(size - 1, 1)
    return minimum(mod(index, 2.0 * last), 2.0 * last - mod(index, 2.0 * last))


def _reflected(index: Tensor, size: int) -> Tensor:
    """Places beyond the ends: dcba|abcd|dcba."""
    turned = mod(index, 2.0 * size)
    return minimum(turned, 2.0 * size - 1.0 - turned)


# Whole places beyond an axis, as ones within it.
_FIXES: dict[str, Callable[[Tensor, int], Tensor]] = {
    "constant": lambda index, size: clip(index, 0.0, size - 1.0),
    "nearest": lambda index, size: clip(index, 0.0, size - 1.0),
    "wrap": lambda index, size: mod(index, float(size)),
    "mirror": _mirrored,
    "reflect": _reflected,
}


@op
def map_coordinates(
    inputs: TensorLike, coordinates: TensorLike, order: int, fill_mode: str = "constant", fill_value: float = 0
) -> Tensor:
    """Elements of `inputs` at real coordinates.

    Args:
        inputs: any number of axes; whole numbers give rounded results.
        coordinates: `[axes, ..]`, a place along each axis of the inputs.
        order: 0 takes the nearest element, 1 goes linearly from one to the next.
        fill_mode: what is beyond the ends: "constant" (`fill_value`), "nearest" (aaa|abcd|ddd), "wrap"
            (bcd|abcd|abc), "mirror" (dcb|abcd|cba) or "reflect" (cba|abcd|dcb).
        fill_value: for "constant".

    Example:
        >>> map_coordinates([[0.0, 1.0], [2.0, 3.0]], [[0.5, 1.0], [0.0, 0.5]], order=1).numpy().tolist()
        [1.0, 2.5]
    """
    x, places = convert(inputs), convert(coordinates, "float32")
    if places.ndim < 2 or places.shape[0] != x.ndim:
        raise ShapeError(
            f"map_coordinates: expected coordinates [{x.ndim}, ..] for inputs of shape {x.shape}, got {places.shape}"
        )
    if order not in (0, 1):
        raise NotImplementedError(f"map_coordinates: expected order 0 or 1, got {order!r}")
    if fill_mode not in _FIXES:
        raise ValueError(f"map_coordinates: expected fill_mode {', '.join(_FIXES)}, got {fill_mode!r}")
    if 0 in x.shape:
        raise ShapeError(f"map_coordinates: expected inputs with elements, got shape {x.shape}")
    dims = places.shape[1:]
    elements = _core.reshape(x, (x.size,))
    strides = [int(np.prod(x.shape[a + 1 :], dtype=np.int64)) for a in range(x.ndim)]
    if x.size > 2**24:  # places are computed in float32, which holds whole numbers up to there
        raise ShapeError(f"map_coordinates: expected inputs of at most 2**24 elements, got shape {x.shape}")
    taps: list[list[tuple[Tensor, Tensor, Any]]] = []
    for axis, (size, stride) in enumerate(zip(x.shape, strides, strict=True)):
        place = _core.reshape(places[axis], dims)
        first = nearest_whole(place) if order == 0 else floor(place)
        after = place - first
        weights: list[Any] = [None] if order == 0 else [1.0 - after, after]
        whole = [first + float(tap) for tap in range(len(weights))]
        taps.append(
            [
                (_FIXES[fill_mode](at, size) * float(stride), logical_and(at >= 0.0, at <= size - 1.0), weight)
                for at, weight in zip(whole, weights, strict=True)
            ]
        )
    total: Any = None
    for corner in itertools.product(*taps):
        index: Any = 0.0
        exists: Tensor | None = None
        weight: Any = None
        for at, here, share in corner:
            index, exists, weight = at + index, _all(exists, here), _product(weight, share)
        part = convert(_core.gather(elements, convert(index, "int32"), 0), "float32")
        if fill_mode == "constant" and exists is not None:
            part = where(exists, part, float(fill_value))
        part = part if weight is None else part * weight
        total = part if total is None else total + part
    result = convert(total)
    return result if is_float(x.dtype) else convert(nearest_whole(result), x.dtype)
