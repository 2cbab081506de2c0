"""Functions of images: `ops.image`."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from reference.case import Array, Library, case

RESIZES: dict[str, dict[str, Any]] = {
    "nearest up": {"size": (10, 7), "interpolation": "nearest"},
    "nearest twice": {"size": (12, 10), "interpolation": "nearest"},
    "nearest half": {"size": (3, 5), "interpolation": "nearest"},
    "bilinear twice": {"size": (12, 10)},
    "bilinear": {"size": (4, 8)},
    "bilinear antialias": {"size": (2, 3), "antialias": True},
    # Shares that are multiples of 1/1024, to which TensorFlow rounds positions between pixels.
    "bicubic twice": {"size": (12, 10), "interpolation": "bicubic"},
    "bicubic half": {"size": (3, 10), "interpolation": "bicubic"},
    "bicubic antialias": {"size": (4, 3), "interpolation": "bicubic", "antialias": True},
    "lanczos3": {"size": (9, 4), "interpolation": "lanczos3"},
    "lanczos5 antialias": {"size": (4, 7), "interpolation": "lanczos5", "antialias": True},
    "crop": {"size": (3, 6), "crop_to_aspect_ratio": True},
    "pad": {"size": (3, 6), "pad_to_aspect_ratio": True, "fill_value": 0.5},
}


@case(each=RESIZES)
def resize(k: Library, options: dict[str, Any]) -> Mapping[str, Array]:
    return k.gradients(lambda x: k.keras.ops.image.resize(x, **options), k.normal((2, 6, 5, 3)))


# TensorFlow rounds positions to 1/1024 here: off by 2^-11, by which the four weights together change by no more than
# 3.2 * 2^-11 along each of two axes.
@case(tolerance=3.2e-3)
def resize_bicubic_to_any_size(k: Library) -> Mapping[str, Array]:
    x = k.normal((2, 6, 5, 3))
    return k.gradients(lambda x: k.keras.ops.image.resize(x, (10, 7), interpolation="bicubic"), x)


@case
def resize_area(k: Library) -> Mapping[str, Array]:
    return {"result": k.array(k.keras.ops.image.resize(k.normal((2, 6, 5, 3)), (4, 2), interpolation="area"))}


@case(each=["nearest", "bilinear", "bicubic"])
def resize_whole_numbers(k: Library, interpolation: str) -> Mapping[str, Array]:
    x = k.integers((1, 4, 4, 3), 256).astype(np.uint8)
    return {"result": k.array(k.keras.ops.image.resize(x, (8, 2), interpolation=interpolation))}


@case
def resize_channels_first(k: Library) -> Mapping[str, Array]:
    x = k.normal((2, 3, 5, 4))
    return {
        "batch": k.array(k.keras.ops.image.resize(x, (3, 6), data_format="channels_first")),
        "single": k.array(k.keras.ops.image.resize(x[0], (3, 6), data_format="channels_first")),
    }


@case(each=["linear", "cubic", "lanczos3", "lanczos5"])
def scale_and_translate(k: Library, method: str) -> Mapping[str, Array]:
    scale, move = np.array([1.4, 0.6], np.float32), np.array([-0.7, 0.3], np.float32)
    f = k.keras.ops.image.scale_and_translate
    return k.gradients(lambda x: f(x, (2, 6, 4, 2), scale, move, (1, 2), method), k.normal((2, 5, 6, 2)))


TURNS = np.array(
    [[0.9, -0.3, 1.2, 0.25, 1.1, -0.8, 0.0, 0.0], [1.0, 0.2, -2.3, 0.1, 0.8, 2.1, 0.01, -0.02]], np.float32
)


@case(each=["constant", "nearest", "wrap", "reflect"])
def affine_transform(k: Library, fill_mode: str) -> Mapping[str, Array]:
    # Outputs only: TensorFlow's gradient is not that of its output, but an inverse map of the cotangent.
    x, f = k.normal((2, 6, 7, 2)), k.keras.ops.image.affine_transform
    far = TURNS * np.array([1, 1, 8, 1, 1, 8, 0, 0], np.float32)
    return {
        f"{interpolation} {name}": k.array(f(x, transform, interpolation, fill_mode, 0.3))
        for interpolation in ("nearest", "bilinear")
        for name, transform in (("near", TURNS), ("far", far), ("one", TURNS[0]))
    }


@case
def affine_transform_of_whole_numbers(k: Library) -> Mapping[str, Array]:
    x = k.integers((2, 4, 5, 3), 256).astype(np.uint8)
    return {"result": k.array(k.keras.ops.image.affine_transform(x, TURNS))}


@case(each=["nearest", "bilinear"])
def perspective_transform(k: Library, interpolation: str) -> Mapping[str, Array]:
    start = np.array([[0, 0], [6, 0], [0, 5], [6, 5]], np.float32)
    end = start + k.uniform((2, 4, 2), -1.0, 1.0)
    f, x = k.keras.ops.image.perspective_transform, k.normal((2, 6, 7, 2))
    return {
        "batch": k.array(f(x, np.stack([start, start]), end, interpolation, 0.5)),
        "single": k.array(f(x[0], start, end[1], interpolation)),
    }


@case(each=[0, 1])
def map_coordinates(k: Library, order: int) -> Mapping[str, Array]:
    x, places, f = k.normal((4, 5, 2)), k.uniform((3, 6, 2), -1.5, 5.5), k.keras.ops.image.map_coordinates
    within = places.clip(0, np.array([3, 4, 1], np.float32).reshape(3, 1, 1))
    results = {mode: k.array(f(x, places, order, mode, 0.5)) for mode in ("constant", "nearest", "wrap")}
    if order == 0:
        return results
    return results | dict(k.gradients(lambda x, at: f(x, at, 1, "constant", 0.0), x, within * 0.9 + 0.04))


@case(each=["extract_patches", "extract_patches_3d"])
def patches(k: Library, name: str) -> Mapping[str, Array]:
    rank = 3 if name.endswith("3d") else 2
    f, x = getattr(k.keras.ops.image, name), k.normal((2, *(4, 5, 3)[:rank], 2))
    results = dict(k.gradients(lambda x: f(x, 2), x))
    results["overlap"] = k.array(f(x, (2, 3, 2)[:rank], strides=1))
    results["same"] = k.array(f(x, 2, padding="same"))
    results["dilated"] = k.array(f(x[0], (2, 2, 1)[:rank], strides=1, dilation_rate=2))
    return results


@case
def crops_and_margins(k: Library) -> Mapping[str, Array]:
    x, image = k.normal((2, 5, 6, 2)), k.keras.ops.image
    return {
        "pad": k.array(image.pad_images(x, 1, 2, target_height=8, target_width=9)),
        "crop": k.array(image.crop_images(x, 1, 2, target_height=3, right_cropping=1)),
        "crop single": k.array(
            image.crop_images(x[0], bottom_cropping=1, right_cropping=2, target_height=2, target_width=3)
        ),
    }


@case
def colors(k: Library) -> Mapping[str, Any]:
    x, image = k.uniform((2, 4, 3, 3)), k.keras.ops.image
    grey = np.full((1, 1, 2, 3), 0.25, np.float32)
    whole = k.integers((1, 3, 3, 3), 256).astype(np.uint8)
    return {
        "grayscale": k.gradients(image.rgb_to_grayscale, x),
        "grayscale whole": k.array(image.rgb_to_grayscale(whole)),
        "hsv": k.gradients(image.rgb_to_hsv, x),
        "hsv grey": k.array(image.rgb_to_hsv(grey)),
        "rgb": k.array(image.hsv_to_rgb(x)),
        "first": k.array(image.rgb_to_hsv(x.transpose(0, 3, 1, 2), data_format="channels_first")),
    }


@case
def filters(k: Library) -> Mapping[str, Any]:
    x, image = k.normal((2, 6, 5, 2)), k.keras.ops.image
    return {
        "blur": k.gradients(lambda x: image.gaussian_blur(x, (3, 3), (0.8, 1.5)), x),
        "wide blur": k.array(image.gaussian_blur(x, (7, 7), (2.0, 2.0))),
        "sobel": k.gradients(image.sobel_edges, x),
    }


@case(tolerance=1e-4)  # The spread is a difference of nearly equal sums: an error of 1e-6 over a spread of 0.05.
def ssim(k: Library) -> Mapping[str, Any]:
    x, y, f = k.uniform((2, 12, 13, 2), seed=1), k.uniform((2, 12, 13, 2), seed=2), k.keras.ops.image.ssim
    near = (0.9 * x + 0.1 * y).astype(np.float32)
    return {
        "far": k.gradients(f, x, y),
        "near": k.gradients(lambda a, b: f(a, b, filter_size=7, filter_sigma=1.0), x, near),
        "single": k.array(f(x[0], near[0], max_val=2.0)),
    }
