"""Handwriting-like digits drawn by this module: a data set of any size that needs no file and no network.

Each picture starts as pen strokes (`_strokes`). The points are moved at random, bent by a smooth random field,
slanted, turned, scaled and shifted; a round pen of random width and pressure follows the spline through them; clutter
at the edge, ink strength and pixel noise are added.

The same seed gives the same bytes on every platform: random numbers are raw PCG64 output, whose stream NumPy keeps
stable, and the arithmetic is float32 add, multiply, divide and square root, elementwise, which IEEE 754 rounds in one
way only.
A longer set begins with the pictures of a shorter one.
"""

import math
from functools import cache

import numpy as np
from numpy.typing import NDArray

from oxiconv.datasets._strokes import DIGITS, Stroke

Floats = NDArray[np.float32]
Pictures = NDArray[np.uint8]
Split = tuple[Pictures, Pictures]

SIZE = 28
_MARGIN = 6  # canvas border that takes what the pen draws beyond the picture
_REACH = 3  # the pen touches pixels up to this far from its centre
_STEP = 0.55  # pixels between two prints of the pen
_UNIT = 0.2  # pixels per grid unit of the strokes: a digit is 14 x 20 pixels before distortion
_CHUNK = 2048  # glyphs drawn at a time: bounds memory, not visible in the result

_BEND = 4  # control points per side of the bending field
_JOINTS = 24  # most joints of one digit
_CLUTTER = 2  # strokes at the edge
# 64-bit random words per glyph.
_WORDS = {
    "label": 1,
    "variant": 1,
    "slant": 2,
    "turn": 2,
    "scale": 3,
    "shift": 2,
    "pen": 1,
    "pressure": 3,
    "ink": 1,
    "grain": 1,
    "bend": 2 * _BEND * _BEND,
    "joints": 2 * _JOINTS,
    "clutter": 7 * _CLUTTER,
    "noise": SIZE * SIZE // 8,
}


def load_data(train: int = 10000, test: int = 2000, seed: int = 0) -> tuple[Split, Split]:
    """Draws a training and a test set of handwriting-like digits.

    Args:
        train: number of training pictures.
        test: number of test pictures, drawn from a random stream of their own.
        seed: non-negative integer. The same seed gives the same bytes on every platform.

    Returns:
        `(x_train, y_train), (x_test, y_test)`: pictures are uint8 `[n, 28, 28]`, ink 255 on paper 0; labels are
        uint8 `[n]`, the digits 0 to 9.

    Raises:
        TypeError: an argument is not an integer.
        ValueError: an argument is negative.

    >>> from oxiconv.datasets import glyphs
    >>> (x_train, y_train), (x_test, y_test) = glyphs.load_data(train=100, test=20, seed=1)
    >>> x_train.shape, y_train.shape, x_test.shape, str(x_train.dtype)
    ((100, 28, 28), (100,), (20, 28, 28), 'uint8')
    """
    for name, value in (("train", train), ("test", test), ("seed", seed)):
        if isinstance(value, bool) or not isinstance(value, int | np.integer):
            raise TypeError(f"glyphs.load_data: {name} must be an integer, got {value!r}")
        if value < 0:
            raise ValueError(f"glyphs.load_data: {name} must not be negative, got {value}")
    return _draw(int(train), int(seed), 0), _draw(int(test), int(seed), 1)


def _draw(count: int, seed: int, stream: int) -> Split:
    pictures = np.empty((count, SIZE, SIZE), np.uint8)
    labels = np.empty(count, np.uint8)
    bits = np.random.PCG64(np.random.SeedSequence([seed, stream]))
    for start in range(0, count, _CHUNK):
        stop = min(start + _CHUNK, count)
        raw = bits.random_raw((stop - start) * sum(_WORDS.values())).reshape(stop - start, -1)
        pictures[start:stop], labels[start:stop] = _draw_chunk(raw)
    return pictures, labels


def _draw_chunk(raw: NDArray[np.uint64]) -> Split:
    """Draws one glyph from each row of random words."""
    ends = np.cumsum(list(_WORDS.values())).tolist()
    words = {name: raw[:, end - size : end] for (name, size), end in zip(_WORDS.items(), ends, strict=True)}
    labels = (words["label"][:, 0] >> np.uint64(32)) * np.uint64(len(DIGITS)) >> np.uint64(32)
    variants = words["variant"][:, 0] >> np.uint64(32)
    canvas = np.zeros((len(raw), (SIZE + 2 * _MARGIN) ** 2), np.float32)
    for digit, ways in enumerate(DIGITS):
        for variant, strokes in enumerate(ways):
            chosen = np.flatnonzero((labels == digit) & (variants % np.uint64(len(ways)) == variant))
            if len(chosen):
                canvas[chosen] = _write(strokes, {name: word[chosen] for name, word in words.items()})
    side = SIZE + 2 * _MARGIN
    ink = canvas.reshape(-1, side, side)[:, _MARGIN:-_MARGIN, _MARGIN:-_MARGIN]
    ink = ink * _uniform(words["ink"], 170, 255)[:, :, None]
    return _add_noise(ink, words), labels.astype(np.uint8)


def _write(strokes: tuple[Stroke, ...], words: dict[str, NDArray[np.uint64]]) -> Floats:
    """Canvases `[n, side * side]` with ink from 0 to 1, one per row of random words."""
    joints, follow, weights = _spline(strokes)
    count = len(joints)
    moves = _bell(words["joints"].reshape(-1, _JOINTS, 2), 5.0)
    points = joints + moves[:, :count]
    x, y = _bend(points[..., 0], points[..., 1], words)
    x, y = _place(x, y, words)
    x, y = (_weighted(v, follow, weights) for v in (x, y))
    pen = _uniform(words["pen"], 0.75, 1.65) * _pressure(x.shape[1], words)
    canvas = np.zeros((len(x), (SIZE + 2 * _MARGIN) ** 2), np.float32)
    _stamp(canvas, x, y, pen)
    _stamp(canvas, *_clutter(words))
    return canvas


@cache
def _spline(strokes: tuple[Stroke, ...]) -> tuple[Floats, NDArray[np.intp], Floats]:
    """Joints `[k, 2]`, and for each print of the pen the four joints it lies between and their weights."""
    joints = sorted({point for stroke in strokes for point in stroke})
    index = {point: k for k, point in enumerate(joints)}
    places = np.array(joints, np.float32) - np.array([35, 50], np.float32)
    follow: list[list[int]] = []
    weights: list[list[float]] = []
    for stroke in strokes:
        path = [index[point] for point in (stroke[0], *stroke, stroke[-1])]
        for first in range(len(path) - 3):
            four = path[first : first + 4]
            dx, dy = (float(d) for d in places[four[2]] - places[four[1]])
            # A chord is shorter than its arc, and joints move apart: a quarter more prints keep the ink closed.
            prints = int(math.sqrt(dx * dx + dy * dy) * _UNIT * 1.25 / _STEP) + 1
            for i in range(prints + (first == len(path) - 4)):
                t = i / prints
                follow.append(four)
                weights.append(
                    [
                        (-t + 2 * t * t - t * t * t) / 2,
                        (2 - 5 * t * t + 3 * t * t * t) / 2,
                        (t + 4 * t * t - 3 * t * t * t) / 2,
                        (-t * t + t * t * t) / 2,
                    ]
                )
    return places, np.array(follow, np.intp), np.array(weights, np.float32)


def _weighted(values: Floats, follow: NDArray[np.intp], weights: Floats) -> Floats:
    """Sums of four products, in a fixed order (a matrix product would leave the order to the BLAS)."""
    total = values[:, follow[:, 0]] * weights[:, 0]
    for k in range(1, 4):
        total = total + values[:, follow[:, k]] * weights[:, k]
    return total


def _bend(x: Floats, y: Floats, words: dict[str, NDArray[np.uint64]]) -> tuple[Floats, Floats]:
    """Elastic distortion: moves points by a smooth field, cubic B-splines over a grid of random vectors."""
    field = _bell(words["bend"].reshape(-1, _BEND, _BEND, 2), 15.0)
    across = _bspline(x / np.float32(70) + np.float32(0.5))
    down = _bspline(y / np.float32(100) + np.float32(0.5))
    move_x, move_y = np.zeros_like(x), np.zeros_like(y)
    for row in range(_BEND):
        for column in range(_BEND):
            weight = down[row] * across[column]
            move_x = move_x + weight * field[:, row, column, 0, None]
            move_y = move_y + weight * field[:, row, column, 1, None]
    return x + move_x, y + move_y


def _bspline(t: Floats) -> tuple[Floats, Floats, Floats, Floats]:
    t = np.clip(t, np.float32(0), np.float32(1))
    s = np.float32(1) - t
    sixth = np.float32(1 / 6)
    return (
        s * s * s * sixth,
        (np.float32(4) - np.float32(6) * t * t + np.float32(3) * t * t * t) * sixth,
        (np.float32(4) - np.float32(6) * s * s + np.float32(3) * s * s * s) * sixth,
        t * t * t * sixth,
    )


def _place(x: Floats, y: Floats, words: dict[str, NDArray[np.uint64]]) -> tuple[Floats, Floats]:
    """From the grid of the strokes to pixels: slant, turn, scale, shift."""
    one = np.float32(1)
    slant = np.float32(-0.12) + _bell(words["slant"][:, :1], 0.5)
    half = _bell(words["turn"][:, :1], 0.18)  # tangent of half the angle: sine and cosine without libm
    cosine, sine = (one - half * half) / (one + half * half), (half + half) / (one + half * half)
    size = _uniform(words["scale"][:, :1], 0.72, 1.02) * np.float32(_UNIT)
    wide = size * _uniform(words["scale"][:, 1:2], 0.75, 1.2)
    x, y = (x + slant * y) * wide, y * size
    x, y = x * cosine - y * sine, x * sine + y * cosine
    middle = np.float32((SIZE - 1) / 2)
    return x + _uniform(words["shift"][:, :1], -3.2, 3.2) + middle, y + _uniform(words["shift"][:, 1:], -3, 3) + middle


def _pressure(prints: int, words: dict[str, NDArray[np.uint64]]) -> Floats:
    """Pen width along the way, a parabola through three random values about 1."""
    t = np.arange(prints, dtype=np.float32) / np.float32(max(prints - 1, 1))
    start, middle, end = (_uniform(words["pressure"][:, k : k + 1], 0.8, 1.2) for k in range(3))
    one, two = np.float32(1), np.float32(2)
    width: Floats = start * ((one - t) * (one - two * t))
    width = width + middle * (np.float32(4) * t * (one - t))
    return width + end * (t * (two * t - one))


def _clutter(words: dict[str, NDArray[np.uint64]]) -> tuple[Floats, Floats, Floats]:
    """Short strokes at the edge, as of neighbouring writing; half of the glyphs have none."""
    raw = words["clutter"].reshape(-1, _CLUTTER, 7)
    prints = 12
    t = np.arange(prints, dtype=np.float32) / np.float32(prints - 1)
    along = _uniform(raw[..., 0], 0, SIZE - 1)[..., None] + _uniform(raw[..., 1], -5, 5)[..., None] * t
    inward = _uniform(raw[..., 2], -3, 0.5)[..., None] + _uniform(raw[..., 3], -1.5, 1.5)[..., None] * t
    far = (raw[..., 4] >> np.uint64(63) == 1)[..., None]
    upright = (raw[..., 5] >> np.uint64(63) == 1)[..., None]
    inward = np.where(far, np.float32(SIZE - 1) - inward, inward)
    x, y = np.where(upright, inward, along), np.where(upright, along, inward)
    pen = np.where(raw[..., 6] >> np.uint64(63) == 1, np.float32(1), np.float32(-1))[..., None] * np.ones_like(t)
    rows = len(raw)
    return x.reshape(rows, -1), y.reshape(rows, -1), pen.reshape(rows, -1)


def _stamp(canvas: Floats, x: Floats, y: Floats, pen: Floats) -> None:
    """Prints a round pen of radius `pen` at each point; a radius of -1 prints nothing."""
    side = SIZE + 2 * _MARGIN
    low, high = np.float32(_REACH - _MARGIN), np.float32(SIZE - 1 + _MARGIN - _REACH)
    x, y = np.clip(x, low, high), np.clip(y, low, high)
    row, column = np.rint(y).astype(np.intp), np.rint(x).astype(np.intp)
    reach = np.arange(-_REACH, _REACH + 1)
    offsets = (reach[:, None] * side + reach).reshape(-1)
    down, across = (np.repeat(reach, len(reach)).astype(np.float32), np.tile(reach, len(reach)).astype(np.float32))
    corner = (row + _MARGIN) * side + column + _MARGIN + np.arange(len(canvas))[:, None] * canvas.shape[1]
    dx, dy = column.astype(np.float32) - x, row.astype(np.float32) - y
    flat = canvas.reshape(-1)
    for k in range(x.shape[1]):
        # One point of every glyph: no pixel occurs twice, so gather, maximum and scatter are exact.
        ax, ay = across + dx[:, k, None], down + dy[:, k, None]
        ink = np.clip(pen[:, k, None] + np.float32(0.5) - np.sqrt(ax * ax + ay * ay), np.float32(0), np.float32(1))
        at = corner[:, k, None] + offsets
        flat[at] = np.maximum(flat[at], ink)


def _add_noise(ink: Floats, words: dict[str, NDArray[np.uint64]]) -> Pictures:
    shifts = np.arange(0, 64, 8, dtype=np.uint64)
    octets = (words["noise"][:, :, None] >> shifts & np.uint64(255)).astype(np.int16).reshape(ink.shape)
    grain = (octets & 15) + (octets >> 4) - 15  # triangular, -15 to 15
    level = _uniform(words["grain"], 0, 2)[:, :, None]
    noisy: Floats = np.clip(ink + grain.astype(np.float32) * level, np.float32(0), np.float32(255))
    return np.rint(noisy).astype(np.uint8)


def _uniform(raw: NDArray[np.uint64], low: float, high: float) -> Floats:
    """Uniform on [low, high): the upper 24 bits, which float32 holds exactly."""
    unit: Floats = (raw >> np.uint64(40)).astype(np.float32) * np.float32(2.0**-24)
    return unit * np.float32(high - low) + np.float32(low)


def _bell(raw: NDArray[np.uint64], reach: float) -> Floats:
    """A bell-shaped value within (-reach, reach): the sum of four 16-bit numbers, standard deviation 0.289 of it."""
    mask = np.uint64(0xFFFF)
    total = (raw & mask) + (raw >> np.uint64(16) & mask) + (raw >> np.uint64(32) & mask) + (raw >> np.uint64(48))
    bell: Floats = total.astype(np.float32) * np.float32(2.0**-17) - np.float32(1)
    return bell * np.float32(reach)
