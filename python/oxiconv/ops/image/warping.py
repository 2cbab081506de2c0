"""Images seen through a map of the plane: affine, perspective, elastic."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from oxiconv import _core
from oxiconv.ops.arrangement import concatenate
from oxiconv.ops.comparison import where
from oxiconv.ops.image.filtering import gaussian_blur
from oxiconv.ops.image.layout import Images
from oxiconv.ops.image.sampling import check_fill_mode, check_interpolation, sample, sample_axis
from oxiconv.ops.reduction import sum as total
from oxiconv.symbolic import op
from oxiconv.tensor import ShapeError, Tensor, TensorLike, convert

if TYPE_CHECKING:
    from oxiconv.random.distributions import Seed


def _grid(height: int, width: int) -> tuple[Tensor, Tensor]:
    """Column and row of each pixel: `[1, height * width]` each."""
    rows, columns = np.indices((height, width), np.float32).reshape(2, 1, -1)
    return convert(columns), convert(rows)


def _projected(given: Images, transform: Tensor, interpolation: str, fill_mode: str, fill_value: float) -> Tensor:
    """Each result's pixel (x, y) from the place that the 6 or 8 numbers of the sample's transform say."""
    x = given.batch
    columns, rows = _grid(*given.size)
    numbers = [transform[:, i : i + 1] for i in range(transform.shape[1])]
    a0, a1, a2, b0, b1, b2 = numbers[:6]
    across, down = a0 * columns + a1 * rows + a2, b0 * columns + b1 * rows + b2
    depth = None if len(numbers) == 6 else numbers[6] * columns + numbers[7] * rows + 1.0
    if depth is not None:
        seen = where(depth == 0.0, 1.0, depth)
        across, down = across / seen, down / seen
    values = sample(convert(x, "float32"), down, across, interpolation, fill_mode, float(fill_value))
    if depth is not None:  # a point at infinity has no place
        values = where(_core.reshape(depth, (*depth.shape, 1)) == 0.0, float(fill_value), values)
    return given.restored(convert(_core.reshape(values, x.shape), given.dtype))


def _per_image(transform: Tensor, single: int, images: int, name: str) -> Tensor:
    """A transform for all images, or one for each, as one for each."""
    if transform.ndim == single:
        transform = _core.reshape(transform, (1, *transform.shape))
    if transform.ndim != single + 1 or transform.shape[0] not in (1, images):
        raise ShapeError(f"{name}: expected one transform or one for each of {images} images, got {transform.shape}")
    return _core.broadcast_to(transform, (images, *transform.shape[1:]))


@op
def affine_transform(
    images: TensorLike,
    transform: TensorLike,
    interpolation: str = "bilinear",
    fill_mode: str = "constant",
    fill_value: float = 0,
    data_format: str | None = None,
) -> Tensor:
    """Images whose pixel (x, y) is the given image's at ((a0 x + a1 y + a2) / k, (b0 x + b1 y + b2) / k).

    k is c0 x + c1 y + 1. The gradient with respect to the images is exact; TensorFlow's is the inverse map's values.

    Args:
        images: one image or a batch, of any dtype.
        transform: the 8 numbers a0, a1, a2, b0, b1, b2, c0, c1, for all images or `[n, 8]`; 6 where c0 and c1 are 0.
        interpolation: "bilinear" or "nearest".
        fill_mode: what is beyond an image: "constant", "nearest", "wrap" or "reflect" (cba|abc|cba).
        fill_value: for "constant".
        data_format: "channels_last" or "channels_first"; None is the configured one.

    Example:
        >>> image = [[[1.0], [2.0], [3.0]]]
        >>> affine_transform(image, [1, 0, 0.5, 0, 1, 0, 0, 0], fill_mode="nearest").numpy().ravel().tolist()
        [1.5, 2.5, 3.0]
    """
    check_interpolation(interpolation, "affine_transform")
    check_fill_mode(fill_mode, "affine_transform")
    given = Images(images, "affine_transform", data_format)
    numbers = convert(transform, "float32")
    if numbers.ndim not in (1, 2) or numbers.shape[-1] not in (6, 8):
        raise ShapeError(f"affine_transform: expected transform [8] or [n, 8], got shape {numbers.shape}")
    if numbers.shape[-1] == 8 and not numbers.traced and not numbers.numpy()[..., 6:].any():
        numbers = numbers[..., :6]
    numbers = _per_image(numbers, 1, given.batch.shape[0], "affine_transform")
    return _projected(given, numbers, interpolation, fill_mode, fill_value)


def _cross(a: Tensor, b: Tensor) -> Tensor:
    x, y, z = (a[:, i : i + 1] for i in range(3))
    u, v, w = (b[:, i : i + 1] for i in range(3))
    return concatenate([y * w - z * v, z * u - x * w, x * v - y * u], axis=1)


def _frame(points: Tensor) -> tuple[list[Tensor], list[Tensor]]:
    """The map of projective coordinates to four points `[n, 4, 2]`: its columns, and the rows of its inverse."""
    ones = convert(np.ones((points.shape[0], 1), np.float32))
    corners = [concatenate([points[:, i], ones], axis=1) for i in range(4)]
    p, q, r, last = corners
    dual = [_cross(q, r), _cross(r, p), _cross(p, q)]
    shares = [total(last * d, axis=1, keepdims=True) for d in dual]
    # Scaled so that the coordinates (1, 1, 1) are the fourth point; a common factor does not matter.
    return [c * s for c, s in zip(corners[:3], shares, strict=True)], [d / s for d, s in zip(dual, shares, strict=True)]


def homography(start_points: Tensor, end_points: Tensor) -> Tensor:
    """The 8 numbers, as `affine_transform` takes them, of the map of `end_points` to `start_points`, `[n, 4, 2]`."""
    (columns, _), (_, rows) = _frame(start_points), _frame(end_points)
    # The product of the first map and the second's inverse, element by element.
    entries = [[_outer_sum(columns, rows, i, j) for j in range(3)] for i in range(3)]
    flat = [entry / entries[2][2] for line in entries for entry in line]
    return concatenate(flat[:8], axis=1)


def _outer_sum(columns: list[Tensor], rows: list[Tensor], i: int, j: int) -> Tensor:
    terms = [c[:, i : i + 1] * r[:, j : j + 1] for c, r in zip(columns, rows, strict=True)]
    return terms[0] + terms[1] + terms[2]


@op
def perspective_transform(
    images: TensorLike,
    start_points: TensorLike,
    end_points: TensorLike,
    interpolation: str = "bilinear",
    fill_value: float = 0,
    data_format: str | None = None,
) -> Tensor:
    """Images seen so that the four `start_points` come to lie at the `end_points`.

    Args:
        images: one image or a batch, of any dtype.
        start_points: four points (x, y), no three on a line: `[4, 2]` for all images or `[n, 4, 2]`.
        end_points: where they go, in the same form.
        interpolation: "bilinear" or "nearest".
        fill_value: what is beyond an image.
        data_format: "channels_last" or "channels_first"; None is the configured one.

    Example:
        >>> start = [[0, 0], [2, 0], [0, 1], [2, 1]]
        >>> end = [[1, 0], [3, 0], [1, 1], [3, 1]]
        >>> perspective_transform([[[1.0], [2.0], [3.0]]] * 2, start, end).numpy().round(5)[0].ravel().tolist()
        [0.0, 1.0, 2.0]
    """
    check_interpolation(interpolation, "perspective_transform")
    given = Images(images, "perspective_transform", data_format)
    start, end = convert(start_points, "float32"), convert(end_points, "float32")
    if start.shape != end.shape or start.ndim not in (2, 3) or start.shape[-2:] != (4, 2):
        raise ShapeError(
            "perspective_transform: expected start_points and end_points [4, 2] or [n, 4, 2], "
            f"got {start.shape} and {end.shape}"
        )
    n = given.batch.shape[0]
    numbers = homography(_per_image(start, 2, n, "start_points"), _per_image(end, 2, n, "end_points"))
    return _projected(given, numbers, interpolation, "constant", fill_value)


def elastic_moves(
    images: int, height: int, width: int, alpha: Any, sigma: Any, length: int, seed: Seed = None
) -> Tensor:
    """How far across and down each pixel's value comes from: `[n, h * w, 2]`.

    Both are independent normal noise of deviation `sigma`, blurred with that deviation by a window of `length`, times
    `alpha`. The numbers may be values of a traced step.
    """
    from oxiconv.random.distributions import normal

    noise = normal((images, height, width, 2), seed=seed) * convert(sigma, "float32")
    moves = gaussian_blur(noise, (length, length), (sigma, sigma), "channels_last") * convert(alpha, "float32")
    return _core.reshape(moves, (images, height * width, 2))


@op
def displaced(
    images: TensorLike,
    moves: TensorLike,
    interpolation: str,
    fill_mode: str,
    fill_value: float = 0.0,
    data_format: str | None = None,
) -> Tensor:
    """Images whose pixels come from places `moves` away, as `elastic_moves` gives them."""
    given, ways = Images(images, "displaced", data_format), convert(moves, "float32")
    x = given.batch
    columns, rows = _grid(*given.size)
    values = sample(
        convert(x, "float32"), rows + ways[..., 1], columns + ways[..., 0], interpolation, fill_mode, fill_value
    )
    return given.restored(convert(_core.reshape(values, x.shape), given.dtype))


@op
def elastic_transform(
    images: TensorLike,
    alpha: float = 20.0,
    sigma: float = 5.0,
    interpolation: str = "bilinear",
    fill_mode: str = "reflect",
    fill_value: float = 0.0,
    seed: Seed = None,
    data_format: str | None = None,
) -> Tensor:
    """Images whose pixels are moved by smooth random distances: see `elastic_moves`.

    Args:
        images: one image or a batch, of any dtype.
        alpha: how far pixels move.
        sigma: how smooth the distances are, in pixels.
        interpolation: "bilinear" or "nearest".
        fill_mode: what is beyond an image: "constant", "nearest", "wrap" or "reflect".
        fill_value: for "constant".
        seed: see `oxiconv.random`.
        data_format: "channels_last" or "channels_first"; None is the configured one.
    """
    check_interpolation(interpolation, "elastic_transform")
    check_fill_mode(fill_mode, "elastic_transform")
    if not sigma > 0:
        raise ValueError(f"elastic_transform: expected sigma above 0, got {sigma!r}")
    given = Images(images, "elastic_transform", data_format)
    moves = elastic_moves(given.batch.shape[0], *given.size, alpha, sigma, 6 * int(sigma) | 1, seed)
    return displaced(images, moves, interpolation, fill_mode, fill_value, data_format)


@op
def stretched(
    images: TensorLike,
    scale: TensorLike,
    offset: TensorLike,
    interpolation: str,
    fill_mode: str,
    fill_value: float = 0.0,
    data_format: str | None = None,
) -> Tensor:
    """Images whose pixel (x, y) comes from (scale x x + offset x, ..): affine maps without turns, an axis at a time.

    `scale` and `offset` are `[n, 2]`, across and down.
    """
    given = Images(images, "stretched", data_format)
    x, scales, offsets = given.batch, convert(scale, "float32"), convert(offset, "float32")
    for axis, size, column in zip((1, 2), given.size, (1, 0), strict=True):
        line = convert(np.arange(size, dtype=np.float32)[None])
        places = line * scales[:, column : column + 1] + offsets[:, column : column + 1]
        x = sample_axis(x, places, axis, interpolation, fill_mode, fill_value)
    return given.restored(convert(x, given.dtype))


@op
def reordered(x: TensorLike, index: TensorLike, axis: int) -> Tensor:
    """`x`, `[n, ..]`, with the slices along `axis` that `index`, `[n, m]`, names for each of the n."""
    return _core.gather_each(convert(x), convert(index, "int32"), axis)


def projected_points(transform: Tensor, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Where the 8 numbers of transforms `[n, 8]` send points, `[n, k, 1]` each."""
    a0, a1, a2, b0, b1, b2, c0, c1 = (_core.reshape(transform[:, i], (transform.shape[0], 1, 1)) for i in range(8))
    depth = c0 * x + c1 * y + 1.0
    return (a0 * x + a1 * y + a2) / depth, (b0 * x + b1 * y + b2) / depth
