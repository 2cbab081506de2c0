"""Rows of image functions, pixel by pixel in float64."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from op_table.bounds import EXACT, Linear, Smooth
from op_table.case import Array, Case, row
from op_table.inputs import Inputs
from oxiconv import ops

draw = Inputs("image")


def _keys(d: float) -> float:
    return 1.5 * d**3 - 2.5 * d**2 + 1 if d < 1 else -0.5 * d**3 + 2.5 * d**2 - 4 * d + 2 if d < 2 else 0.0


KERNELS: dict[str, Callable[[float], float]] = {
    "bilinear": lambda d: max(0.0, 1.0 - d),
    "bicubic": _keys,
    "lanczos3": lambda d: float(np.sinc(d) * np.sinc(d / 3)) if d < 3 else 0.0,
    "lanczos5": lambda d: float(np.sinc(d) * np.sinc(d / 5)) if d < 5 else 0.0,
}


def _line(x: Array, new: int, axis: int, interpolation: str, antialias: bool) -> Array:
    """Each result is the weighted mean of the pixels around its centre that there are."""
    size = x.shape[axis]
    width = max(size / new, 1.0) if antialias else 1.0
    results = []
    for i in range(new):
        centre = (i + 0.5) * size / new - 0.5
        if interpolation == "nearest":
            results.append(np.take(x, min(int((i + 0.5) * size / new), size - 1), axis))
            continue
        weights = np.array([KERNELS[interpolation](abs(j - centre) / width) for j in range(size)])
        results.append(np.tensordot(weights / weights.sum(), x, (0, axis)))
    return np.stack(results, axis)


def _resized(x: Array, size: tuple[int, int], interpolation: str, antialias: bool) -> Array:
    return _line(_line(x, size[0], 1, interpolation, antialias), size[1], 2, interpolation, antialias)


def _resizes() -> Iterator[Case]:
    for interpolation, antialias, size in [
        ("nearest", False, (8, 6)),
        ("nearest", False, (2, 3)),
        ("nearest", False, (5, 4)),
        ("bilinear", False, (8, 6)),
        ("bilinear", False, (3, 5)),
        ("bilinear", True, (2, 2)),
        ("bicubic", False, (5, 6)),
        ("lanczos3", True, (3, 4)),
        ("lanczos5", False, (5, 2)),
    ]:
        # Two passes, each with weights rounded once and one product a term.
        yield row(
            ops.image.resize,
            lambda x, s=size, i=interpolation, a=antialias: _resized(x, s, i, a),
            [draw.normal(3, 4, 3, 2)],
            EXACT if interpolation == "nearest" else Linear(roundings=4),
            f"{interpolation}{'-antialias' if antialias else ''}-{size[0]}x{size[1]}",
            lambda x, s=size, i=interpolation, a=antialias: ops.image.resize(x, s, i, a),
        )
    yield row(
        ops.image.resize,
        lambda x: _resized(x.transpose(0, 2, 3, 1), (6, 2), "bilinear", False).transpose(0, 3, 1, 2),
        [draw.normal(2, 3, 4, 3)],
        Linear(roundings=4),
        "first",
        lambda x: ops.image.resize(x, (6, 2), data_format="channels_first"),
    )
    yield row(
        ops.image.resize,
        lambda x: np.clip(np.round(_resized(x.astype(float), (4, 2), "bicubic", False)), 0, 255).astype(np.uint8),
        [draw.integers(0, 256, 2, 2, 4, 1, dtype="uint8")],
        EXACT,
        "uint8",
        lambda x: ops.image.resize(x, (4, 2), "bicubic"),
    )
    # A matrix of weights, which are quotients of few operations, and a product with it.
    yield row(
        ops.image.scale_and_translate,
        lambda x: _line(x, 8, 1, "bilinear", False),
        [draw.normal(2, 4, 3)],
        Linear(roundings=8),
        "",
        lambda x: ops.image.scale_and_translate(x, (2, 8, 3), [2.0], [0.0], (1,), "linear", False),
    )


def _outside(i: int, size: int, mode: str) -> int | None:
    """The pixel that stands for number `i`; None is the filling."""
    if mode == "constant":
        return i if 0 <= i < size else None
    if mode == "nearest":
        return min(max(i, 0), size - 1)
    if mode == "mirror":
        line = [*range(size), *range(size - 2, 0, -1)]
    else:
        line = [*range(size), *range(size - 1, -1, -1)] if mode == "reflect" else [*range(size)]
    return int(line[i % len(line)])


def _at(x: Array, y: float, z: float, mode: str, fill: float, linear: bool) -> Array:
    """The value of `[h, w, c]` at a place."""

    def pixel(i: int, j: int) -> Array:
        a, b = _outside(i, x.shape[0], mode), _outside(j, x.shape[1], mode)
        return np.full(x.shape[2], fill) if a is None or b is None else x[a, b]

    if not linear:
        return pixel(*(int(np.floor(v + 0.5)) for v in (y, z)))
    i, j = int(np.floor(y)), int(np.floor(z))
    u, v = y - i, z - j
    return (1 - u) * ((1 - v) * pixel(i, j) + v * pixel(i, j + 1)) + u * (
        (1 - v) * pixel(i + 1, j) + v * pixel(i + 1, j + 1)
    )


def _seen(x: Array, transform: Array, mode: str, linear: bool) -> Array:
    y = np.zeros_like(x)
    for n, i, j in np.ndindex(*x.shape[:3]):
        a0, a1, a2, b0, b1, b2, c0, c1 = transform[n]
        depth = c0 * j + c1 * i + 1
        y[n, i, j] = _at(x[n], (b0 * j + b1 * i + b2) / depth, (a0 * j + a1 * i + a2) / depth, mode, 0.5, linear)
    return y


# Eighths, so that places are exact in float32, none halfway between two pixels.
TURNS = np.array(
    [
        [0.875, -0.25, 0.625, 0.125, 1.25, -2.375, 0, 0],
        [1.25, 0.5, -3.875, -0.25, 0.75, 4.125, 0, 0],
        [1, 0, 1, 0, 1, -1, 0, 0],
    ],
    np.float32,
)


def _warps() -> Iterator[Case]:
    x = draw.normal(3, 4, 3, 2)
    for mode in ("constant", "nearest", "reflect"):
        for linear in (False, True):
            kind = "bilinear" if linear else "nearest"
            # A weight is a product of two exact numbers; it multiplies each term.
            yield row(
                ops.image.affine_transform,
                lambda x, m=mode, b=linear: _seen(x, TURNS, m, b),
                [x],
                Linear(roundings=3),
                f"{mode}-{kind}",
                lambda x, m=mode, k=kind: ops.image.affine_transform(x, TURNS, k, m, 0.5),
            )
    # How the image changes with its map: places are sums of three products, of numbers up to 4.
    yield row(
        ops.image.affine_transform,
        lambda x, t: _seen(x, t, "nearest", linear=True),
        [x[:2], (TURNS[:2] + np.array([0, 0, 0.03, 0, 0, -0.02, 0.01, 0.02])).astype(np.float32)],
        Smooth(24),
        "map",
        lambda x, t: ops.image.affine_transform(x, t, fill_mode="nearest"),
    )
    corners = np.array([[[0, 0], [2, 0], [0, 3], [2, 3]]], np.float32)
    moved = corners + np.array([[[0.3, 0.2], [-0.2, 0.4], [0.1, -0.3], [0.25, 0.15]]], np.float32)
    # Products of coordinates up to 3 in two cross products each, their sums and quotients: some 30 operations.
    yield row(
        ops.image.perspective_transform,
        lambda x, s, e: _seen(x, _homographies(s, e), "constant", linear=True),
        [x[:1], corners, moved],
        Smooth(60),
        "",
        lambda x, s, e: ops.image.perspective_transform(x, s, e, fill_value=0.5),
    )
    image, places = draw.normal(4, 3), draw.uniform(-1.4, 3.4, 2, 5)
    places = np.where(np.abs(places - np.round(places)) < 0.05, places + 0.1, places).astype(np.float32)
    for mode in ("constant", "nearest", "mirror", "reflect", "wrap"):
        for order in (0, 1):
            yield row(
                ops.image.map_coordinates,
                lambda x, p, m=mode, o=order: np.array([_at(x[..., None], a, b, m, 0.5, o == 1)[0] for a, b in p.T]),
                [image, np.where(np.abs(places % 1 - 0.5) < 0.05, places + 0.1, places).astype(np.float32)],
                Smooth(10),
                f"{mode}-{order}",
                lambda x, p, m=mode, o=order: ops.image.map_coordinates(x, p, o, m, 0.5),
            )


def _homographies(start: Array, end: Array) -> Array:
    """The maps of `end` to `start`, from the eight linear equations that they are."""
    found = []
    for s, e in zip(start, end, strict=True):
        lines, values = [], []
        for (u, v), (x, y) in zip(s, e, strict=True):
            lines += [[x, y, 1, 0, 0, 0, -u * x, -u * y], [0, 0, 0, x, y, 1, -v * x, -v * y]]
            values += [u, v]
        found.append(np.linalg.solve(np.array(lines), np.array(values)))
    return np.stack(found)


def _patches(x: Array, size: tuple[int, ...], step: int, dilation: int) -> Array:
    rank = len(size)
    reach = [(k - 1) * dilation + 1 for k in size]
    counts = [(n - r) // step + 1 for n, r in zip(x.shape[1:-1], reach, strict=True)]
    y = np.zeros((x.shape[0], *counts, int(np.prod(size)) * x.shape[-1]), x.dtype)
    for at in np.ndindex(*counts):
        part = x[(slice(None), *(slice(a * step, a * step + r, dilation) for a, r in zip(at, reach, strict=True)))]
        y[(slice(None), *at)] = part.reshape(x.shape[0], -1)
    assert y.ndim == rank + 2
    return y


def _parts() -> Iterator[Case]:
    for size, step, dilation in [((2, 2), 2, 1), ((2, 3), 1, 1), ((2, 1), 2, 2)]:
        yield row(
            ops.image.extract_patches,
            lambda x, s=size, t=step, d=dilation: _patches(x, s, t, d),
            [draw.normal(2, 5, 4, 2)],
            EXACT,
            f"{size}{step}{dilation}".replace(" ", ""),
            lambda x, s=size, t=step, d=dilation: ops.image.extract_patches(x, s, t, d),
        )
    yield row(
        ops.image.extract_patches_3d,
        lambda x: _patches(x, (2, 1, 2), 1, 1),
        [draw.normal(2, 3, 2, 3, 2)],
        EXACT,
        "",
        lambda x: ops.image.extract_patches_3d(x, (2, 1, 2), 1),
    )
    yield row(
        ops.image.pad_images,
        lambda x: np.pad(x, ((0, 0), (1, 2), (0, 3), (0, 0))),
        [draw.normal(2, 2, 3, 2)],
        EXACT,
        "",
        lambda x: ops.image.pad_images(x, 1, 0, 2, target_width=6),
    )
    yield row(
        ops.image.crop_images,
        lambda x: x[:, :, 1:3, 2:3],
        [draw.normal(2, 2, 5, 4)],
        EXACT,
        "",
        lambda x: ops.image.crop_images(x, 1, 2, target_height=2, target_width=1, data_format="channels_first"),
    )


def _hsv(x: Array) -> Array:
    import colorsys

    return np.apply_along_axis(lambda p: np.array(colorsys.rgb_to_hsv(*p)), -1, x)


def _rgb(x: Array) -> Array:
    import colorsys

    return np.apply_along_axis(lambda p: np.array(colorsys.hsv_to_rgb(*p)), -1, x)


def _colors() -> Iterator[Case]:
    # Channels in different sixths of the circle, apart from each other.
    pixels = np.array([[0.9, 0.5, 0.2], [0.3, 0.8, 0.55], [0.1, 0.3, 0.7], [0.8, 0.15, 0.6]], np.float32)
    x = np.stack([pixels, pixels * 0.7 + 0.1]).reshape(2, 2, 2, 3).astype(np.float32)
    shares = np.array([0.2989, 0.587, 0.114])
    yield row(ops.image.rgb_to_grayscale, lambda x: (x * shares).sum(-1, keepdims=True), [x], Linear(roundings=2))
    # Differences of channels up to 1, a quotient, a product and a sum.
    yield row(ops.image.rgb_to_hsv, _hsv, [x], Smooth(8))
    hues = np.array([[0.1, 0.6, 0.7], [0.4, 0.3, 0.9], [0.55, 0.8, 0.5], [0.85, 0.45, 0.6]], np.float32)
    yield row(ops.image.hsv_to_rgb, _rgb, [hues.reshape(2, 1, 2, 3)], Smooth(8))


def _bell(size: int, sigma: float) -> Array:
    line = np.exp(-0.5 * ((np.arange(size) - (size - 1) / 2) / sigma) ** 2)
    return line / line.sum()


def _filtered(x: Array, window: Array) -> Array:
    """Sums over a window moved over each channel, without margins."""
    k, m = window.shape
    y = np.zeros((x.shape[0], x.shape[1] - k + 1, x.shape[2] - m + 1, x.shape[3]), x.dtype)
    for i, j in np.ndindex(k, m):
        y = y + window[i, j] * x[:, i : i + y.shape[1], j : j + y.shape[2]]
    return y


def _similar(x: Array, y: Array) -> Array:
    """Of windows of 3 by 3, with means and spreads as they are defined."""
    window = np.outer(_bell(3, 1.5), _bell(3, 1.5))
    total = np.zeros(x.shape[0])
    places = [(i, j) for i in range(x.shape[1] - 2) for j in range(x.shape[2] - 2)]
    for i, j in places:
        a, b = x[:, i : i + 3, j : j + 3, 0], y[:, i : i + 3, j : j + 3, 0]
        mean_a, mean_b = (a * window).sum((1, 2)), (b * window).sum((1, 2))
        away_a, away_b = a - mean_a[:, None, None], b - mean_b[:, None, None]
        spread = ((away_a**2 + away_b**2) * window).sum((1, 2))
        shared = (away_a * away_b * window).sum((1, 2))
        total += ((2 * mean_a * mean_b + 1e-4) * (2 * shared + 9e-4)) / (
            (mean_a**2 + mean_b**2 + 1e-4) * (spread + 9e-4)
        )
    return total / len(places)


def _filters() -> Iterator[Case]:
    x = draw.normal(2, 4, 5, 2)
    yield row(
        ops.image.gaussian_blur,
        lambda x: _filtered(np.pad(x, ((0, 0), (1, 1), (2, 2), (0, 0))), np.outer(_bell(3, 0.7), _bell(5, 1.5))),
        [x],
        # Weights: exponentials (2 ULP) of rounded squares up to 1.3, over their sum; one for each of two passes.
        Linear(roundings=24),
        "",
        lambda x: ops.image.gaussian_blur(x, (3, 5), (1.5, 0.7)),
    )
    down = np.outer([-1.0, 0.0, 1.0], [1.0, 2.0, 1.0])
    yield row(
        ops.image.sobel_edges,
        lambda x: np.stack(
            [_filtered(np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)), "reflect"), w) for w in (down, down.T)], -1
        ),
        [x],
        Linear(roundings=4),
    )
    # Spreads are differences of sums of nine squares; quotients of products of those.
    yield row(
        ops.image.ssim,
        _similar,
        [draw.uniform(0, 1, 2, 4, 3, 1), draw.uniform(0, 1, 2, 4, 3, 1)],
        Smooth(40, terms=lambda x, y: 8.0, gradient_terms=lambda x, y: 60.0),
        "",
        lambda x, y: ops.image.ssim(x, y, filter_size=3),
    )


CASES = [*_resizes(), *_warps(), *_parts(), *_colors(), *_filters()]
