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
    from collections.abc import Callable, Sequence

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
    if size == 1:
        return place * 0.0
    if fill_mode == "reflect":  # dcba|abcd|dcba
        turned = place + 0.5
        turned = turned - floor(turned * (0.5 / size)) * (2.0 * size)
        place = minimum(turned, 2.0 * size - turned) - 0.5
    elif fill_mode == "wrap":  # abcd|abcd|abcd, where the step from d to a has no width of its own
        low = place + size * (floor(-place / (size - 1)) + 1.0)
        high = place - size * floor(place / (size - 1))
        place = where(place < 0.0, low, where(place > size - 1, high, place))
    return clip(place, 0.0, size - 1.0)


def _framed(x: Tensor, axes: Sequence[int], fill_value: float) -> Tensor:
    """`x` with an element of the filling before and after each of the axes: places beyond it are like those at it."""
    widths = [int(axis in axes) for axis in range(x.ndim)]
    padded = _core.pad(x, widths, widths, [0] * x.ndim)
    if not fill_value:
        return padded
    own = np.ones([n if w else 1 for n, w in zip(x.shape, widths, strict=True)], np.bool_)
    return _core.select(convert(np.pad(own, [(w, w) for w in widths])), padded, convert(fill_value, x.dtype))


def _taps(place: Tensor, size: int, interpolation: str, fill_mode: str) -> tuple[list[Tensor], Tensor | None]:
    """The whole places around places along an axis of `size` elements, and how far from the first to the second.

    With fill mode "constant" they count from the frame, which has number 0.
    """
    if fill_mode == "constant":
        size += 2
        place = clip(place + 1.0, 0.0, size - 1.0)
    else:
        place = inside(place, size, fill_mode)
    if interpolation == "nearest":
        first = floor(place + 0.5)
        # Halves go away from zero, so that -1/2 is outside.
        return [where(place == 0.5, 0.0, first) if fill_mode == "constant" else first], None
    first = floor(place)
    return [first, minimum(first + 1.0, size - 1.0)], place - first


def sample(
    x: Tensor, rows: Tensor, columns: Tensor, interpolation: str, fill_mode: str, fill_value: float = 0.0
) -> Tensor:
    """`x`, `[n, h, w, c]`, at the places `rows`, `columns` (`[n, p]`) of each sample: `[n, p, c]`."""
    lines, down = _taps(rows, x.shape[1], interpolation, fill_mode)
    places, across = _taps(columns, x.shape[2], interpolation, fill_mode)
    x = _framed(x, (1, 2), fill_value) if fill_mode == "constant" else x
    n, height, width, channels = x.shape
    pixels = _core.reshape(x, (n, height * width, channels))

    def row(line: Tensor) -> Tensor:
        values = [_core.gather_each(pixels, convert(line * float(width) + at, "int32"), 1) for at in places]
        return _between(values, None if across is None else _last(across))

    return _between([row(line) for line in lines], None if down is None else _last(down))


def sample_axis(
    x: Tensor, places: Tensor, axis: int, interpolation: str, fill_mode: str, fill_value: float = 0.0
) -> Tensor:
    """`x`, `[n, ..]`, at the places `[n, m]` along `axis` of each sample."""
    taps, after = _taps(places, x.shape[axis], interpolation, fill_mode)
    x = _framed(x, (axis,), fill_value) if fill_mode == "constant" else x
    dims = (places.shape[0], *[1] * (axis - 1), places.shape[1], *[1] * (x.ndim - axis - 1))
    values = [_core.gather_each(x, convert(tap, "int32"), axis) for tap in taps]
    return _between(values, None if after is None else _core.reshape(after, dims))


def _between(values: list[Tensor], after: Tensor | None) -> Tensor:
    if after is None:
        return values[0]
    first, second = values
    return convert(first + (second - first) * after)


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
