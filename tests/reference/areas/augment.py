"""Layers that prepare and vary images, with transformations that are given rather than drawn."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from reference.case import Array, Library, case

SHAPE = (3, 6, 5, 3)


def images(k: Library, high: float = 255.0) -> Array:
    return k.uniform(SHAPE, 0.0, high)


def boxes(k: Library, box_format: str = "xyxy") -> dict[str, Any]:
    x, y = k.uniform((3, 2, 1), 0.0, 2.5, seed="x"), k.uniform((3, 2, 1), 0.0, 3.0, seed="y")
    corners = np.concatenate([x, y, x + 2.0, y + 2.5], axis=-1)
    if box_format == "rel_xyxy":
        corners = corners / np.array([5, 6, 5, 6], np.float32)
    if box_format == "xywh":
        corners[..., 2:] -= corners[..., :2]
    return {"boxes": k.tensor(corners.astype(np.float32)), "labels": k.tensor(np.array([[1, 2], [3, 4], [5, 6]]))}


def treated(
    k: Library, layer: Any, transformation: Any, *, mask: bool = True, box: str | None = None
) -> dict[str, Array]:
    """Images, masks and boxes by the layer's hooks."""
    results = {"images": k.array(layer.transform_images(k.tensor(images(k)), transformation))}
    if mask:
        masks = k.integers((*SHAPE[:3], 1), 4).astype(np.float32)
        results["masks"] = k.array(layer.transform_segmentation_masks(k.tensor(masks), transformation))
    if box:
        found = layer.transform_bounding_boxes(boxes(k, box), transformation)
        results |= {key: k.array(found[key]) for key in ("boxes", "labels")}
    return results


@case(each=["horizontal", "vertical", "horizontal_and_vertical"])
def random_flip(k: Library, mode: str) -> Mapping[str, Array]:
    layer = k.keras.layers.RandomFlip(mode, bounding_box_format="rel_xyxy")
    flips = k.tensor(np.array([True, False, True]).reshape(3, 1, 1, 1))
    return treated(k, layer, {"flips": flips, "input_shape": SHAPE}, box="rel_xyxy")


@case(each=["reflect", "wrap", "constant", "nearest"])
def random_rotation(k: Library, fill_mode: str) -> Mapping[str, Array]:
    layer = k.keras.layers.RandomRotation(0.2, fill_mode=fill_mode, fill_value=7.0, bounding_box_format="xyxy")
    found = layer.get_random_transformation(k.tensor(images(k)))
    angle = np.array([20.0, -50.0, 0.0], np.float32)
    turn = np.deg2rad(angle.astype(np.float64))
    cos, sin, zero = np.cos(turn), np.sin(turn), np.zeros(3)
    matrix = np.stack(
        [cos, -sin, 2.0 - 2.0 * cos + 2.5 * sin, sin, cos, 2.5 - 2.0 * sin - 2.5 * cos, zero, zero], axis=1
    )
    given = {**found, "angle": k.tensor(angle), "rotation_matrix": k.tensor(matrix.astype(np.float32))}
    # Of the layer's own drawing: its matrices are those of its angles.
    drawn = k.array(found["rotation_matrix"])
    consistent = np.abs(drawn[:, 3] - np.sin(np.deg2rad(k.array(found["angle"])))).max() < 1e-6
    return {**treated(k, layer, given, box="xyxy"), "consistent": np.array(consistent)}


@case(each=["reflect", "wrap", "constant", "nearest"])
def random_zoom(k: Library, fill_mode: str) -> Mapping[str, Array]:
    layer = k.keras.layers.RandomZoom(0.3, 0.2, fill_mode=fill_mode, fill_value=7.0, bounding_box_format="xyxy")
    zooms = [k.tensor(np.array(v, np.float32).reshape(3, 1)) for v in ([0.7, 1.3, 1.0], [1.2, 0.8, 1.0])]
    return treated(k, layer, {"height_zoom": zooms[0], "width_zoom": zooms[1], "input_shape": SHAPE}, box="xyxy")


@case(each=["reflect", "wrap", "constant", "nearest"])
def random_translation(k: Library, fill_mode: str) -> Mapping[str, Array]:
    layer = k.keras.layers.RandomTranslation(0.3, 0.2, fill_mode=fill_mode, bounding_box_format="xywh")
    moves = k.tensor(np.array([[1.5, -0.25], [-2.0, 3.25], [0.0, 0.0]], np.float32))
    return treated(k, layer, {"translations": moves, "input_shape": SHAPE}, mask=False, box="xywh")


@case
def random_shear(k: Library) -> Mapping[str, Array]:
    layer = k.keras.layers.RandomShear(0.3, 0.2, bounding_box_format="xyxy")
    shears = k.tensor(np.array([[0.3, 0.2], [-0.25, 0.0], [0.0, -0.3]], np.float32))
    return treated(k, layer, {"shear_factor": shears, "input_shape": SHAPE}, box="xyxy")


@case
def random_perspective(k: Library) -> Mapping[str, Array]:
    layer = k.keras.layers.RandomPerspective(fill_value=3.0, bounding_box_format="xyxy")
    start = np.array([[[0, 0], [4, 0], [0, 5], [4, 5]]] * 3, np.float32)
    transformation = {
        "apply_perspective": k.tensor(np.array([True, False, True])),
        "start_points": k.tensor(start),
        "end_points": k.tensor(start * (1.0 + k.uniform((3, 4, 2), -0.2, 0.2))),
        "input_shape": SHAPE,
    }
    return treated(k, layer, transformation, box="xyxy")


def column(values: Any) -> Array:
    return np.asarray(values, np.float32).reshape(-1, 1, 1, 1)


COLORS: dict[str, tuple[dict[str, Any], dict[str, Array]]] = {
    "RandomBrightness": ({"factor": 0.3}, {"rgb_delta": column([20.0, -60.0, 0.0])}),
    "RandomContrast": ({"factor": 0.3}, {"contrast_factor": column([0.7, 1.3, 1.0])}),
    "RandomHue": ({"factor": 0.3}, {"factor": np.array([0.1, -0.4, 0.0], np.float32)}),
    "RandomSaturation": ({"factor": 0.3}, {"factor": np.array([0.5, 1.5, 1.0], np.float32)}),
    "RandomColorDegeneration": ({"factor": 0.3}, {"factor": column([0.5, 1.0, 0.0])}),
    "RandomSharpness": ({"factor": 0.3}, {"factor": np.array([0.5, 1.0, 0.0], np.float32)}),
    "RandomPosterization": ({"factor": 3}, {"shift_factor": np.array([5, 2, 0], np.uint8)}),
    "RandomInvert": ({}, {"apply_inversion": np.array([True, False, True])}),
    "Solarization": (
        {"addition_factor": 0.3},
        {"additions": column([20.0, 0.0, 60.0]), "thresholds": column([100.0, 200.0, 128.0])},
    ),
}


@case(each=COLORS)
def colors(k: Library, value: tuple[dict[str, Any], dict[str, Array]]) -> Mapping[str, Array]:
    options, transformation = value
    name = next(key for key, entry in COLORS.items() if entry is value)
    given = {key: k.tensor(array) for key, array in transformation.items()}
    results: dict[str, Array] = {}
    for value_range in ((0, 255), (0, 1)):
        layer = getattr(k.keras.layers, name)(**options, value_range=value_range)
        x = images(k, float(value_range[1]))
        results[f"to {value_range[1]}"] = k.array(layer.transform_images(k.tensor(x), given))
    return results


@case
def auto_contrast(k: Library) -> Mapping[str, Array]:
    x = 40.0 + 0.5 * images(k)
    x[1, :, :, 0] = 9.0
    layers = k.keras.layers
    return {
        "to 255": k.array(layers.AutoContrast()(x)),
        "to 1": k.array(layers.AutoContrast((0, 1))((x / 255.0).astype(np.float32))),
    }


@case
def random_grayscale(k: Library) -> Mapping[str, Array]:
    layer = k.keras.layers.RandomGrayscale()
    chosen = k.tensor(np.array([True, False, True]).reshape(3, 1, 1, 1))
    return {"images": k.array(layer.transform_images(k.tensor(images(k)), chosen))}


@case
def random_gaussian_blur(k: Library) -> Mapping[str, Array]:
    layer = k.keras.layers.RandomGaussianBlur(kernel_size=3)
    given = {
        "should_apply_blur": k.tensor(np.array([True, False, True])),
        "blur_factor": k.tensor(np.array([0.6, 0.9], np.float32)),
    }
    return treated(k, layer, given)


@case
def equalization(k: Library) -> Mapping[str, Array]:
    x = np.floor(images(k) / 8.0) * 8.0
    layers = k.keras.layers
    return {
        "bins 256": k.array(layers.Equalization()(x)),
        "bins 16": k.array(layers.Equalization(bins=16)(x)),
        "to 1": k.array(layers.Equalization((0, 1))((x / 255.0).astype(np.float32))),
    }


@case
def adaptive_equalization(k: Library) -> Mapping[str, Array]:
    make = k.keras.layers.ContrastLimitedAdaptiveHistogramEqualization
    x = k.uniform((2, 9, 10, 2), 0.0, 255.0)
    return {
        "limited": k.array(make(clip_limit=2.0, tile_grid_size=(2, 3))(x)),
        "free": k.array(make(clip_limit=0.0, tile_grid_size=(2, 2))(x)),
        "to 1": k.array(make((0, 1), tile_grid_size=(3, 2))((x[0] / 255.0).astype(np.float32))),
    }


@case
def mix_up(k: Library) -> Mapping[str, Array]:
    layer = k.keras.layers.MixUp()
    given = {
        "mix_weight": k.tensor(np.array([0.2, 1.0, 0.7], np.float32)),
        "permutation_order": k.tensor(np.array([1, 2, 0], np.int32)),
    }
    labels = layer.transform_labels(k.tensor(k.uniform((3, 4))), given)
    found = layer.transform_bounding_boxes(boxes(k), given)
    return {
        "images": k.array(layer.transform_images(k.tensor(images(k)), given)),
        "labels": k.array(labels),
        "boxes": k.array(found["boxes"]),
    }


@case
def cut_mix(k: Library) -> Mapping[str, Array]:
    layer = k.keras.layers.CutMix()
    given = {
        "mix_weight": k.tensor(column([0.2, 1.0, 0.7])),
        "permutation_order": k.tensor(np.array([1, 2, 0], np.int32)),
        "batch_masks": k.tensor(k.uniform(SHAPE) < 0.5),
    }
    labels = layer.transform_labels(k.tensor(k.uniform((3, 4))), given)
    return {"images": k.array(layer.transform_images(k.tensor(images(k)), given)), "labels": k.array(labels)}


@case
def random_erasing(k: Library) -> Mapping[str, Array]:
    layer = k.keras.layers.RandomErasing()
    given = {
        "apply_erasing": k.tensor(np.array([True, False, True])),
        "batch_masks": k.tensor(k.uniform(SHAPE) < 0.5),
        "fill_value": k.tensor(images(k)[::-1].copy()),
    }
    return treated(k, layer, given)


RESIZINGS: dict[str, dict[str, Any]] = {
    "stretch": {},
    "crop": {"crop_to_aspect_ratio": True},
    "pad": {"pad_to_aspect_ratio": True, "fill_value": 9.0},
    "nearest": {"interpolation": "nearest"},
}


@case(each=RESIZINGS)
def resizing(k: Library, options: dict[str, Any]) -> Mapping[str, Array]:
    layer = k.keras.layers.Resizing(4, 7, bounding_box_format="xyxy", **options)
    return treated(k, layer, SHAPE[1:3], box="xyxy")


@case(each={"smaller": (4, 3), "odd": (3, 4), "larger": (8, 8)})
def center_crop(k: Library, size: tuple[int, int]) -> Mapping[str, Array]:
    layer = k.keras.layers.CenterCrop(*size, bounding_box_format="xyxy")
    return treated(k, layer, {"input_shape": SHAPE}, box="xyxy")


@case
def random_crop(k: Library) -> Mapping[str, Array]:
    layer = k.keras.layers.RandomCrop(4, 3)
    return {"images": k.array(layer.transform_images(k.tensor(images(k)), (2, 1)))}


@case
def normalization(k: Library) -> Mapping[str, Array]:
    layers, x = k.keras.layers, k.normal((4, 5, 3), scale=2.0) + np.array([1, -2, 0], np.float32)
    results: dict[str, Array] = {}
    for axis in (-1, (1, 2), None):
        layer = layers.Normalization(axis=axis)
        layer.adapt(x)
        results[f"axis {axis}"] = k.array(layer(x))
        for index, weight in enumerate(layer.weights[:2]):
            results[f"axis {axis} weight {index}"] = k.array(weight.value)
    batches = layers.Normalization()
    batches.adapt([x[:1], x[1:]])
    results["batches"] = k.array(batches(x))
    results["given"] = k.array(layers.Normalization(mean=[1.0, 2.0, 3.0], variance=[4.0, 0.0, 1.0])(x))
    results["inverse"] = k.array(layers.Normalization(mean=1.0, variance=4.0, invert=True)(x))
    return results


@case
def rescaling(k: Library) -> Mapping[str, Array]:
    x = k.integers((2, 3, 3, 3), 256).astype(np.uint8)
    return {
        "one": k.array(k.keras.layers.Rescaling(1 / 127.5, -1.0)(x)),
        "channels": k.array(k.keras.layers.Rescaling([0.1, 0.2, 0.3], [1.0, 2.0, 3.0])(x)),
    }


@case(each=["multi_hot", "one_hot", "count"])
def category_encoding(k: Library, mode: str) -> Mapping[str, Array]:
    layer = k.keras.layers.CategoryEncoding(5, output_mode=mode)
    inputs: dict[str, Array] = {"row": np.array([3, 1, 1]), "column": np.array([[3], [0]])}
    if mode != "one_hot":
        inputs["table"] = np.array([[3, 1, 1], [0, 4, 2]])
    results = {key: k.array(layer(x)) for key, x in inputs.items()}
    if mode == "count":
        results["weighted"] = k.array(layer(inputs["table"], count_weights=np.array([[1, 2, 0.5], [3, 1, 1]])))
    return results


FORMATS = ["xyxy", "yxyx", "xywh", "center_xywh", "center_yxhw", "rel_xyxy", "rel_yxyx", "rel_xywh", "rel_center_xywh"]


@case
def box_formats(k: Library) -> Mapping[str, Array]:
    convert: Callable[..., Any] = k.keras.utils.bounding_boxes.convert_format
    corners = k.array(boxes(k)["boxes"])
    results = {}
    for name in FORMATS:
        there = convert(corners, "xyxy", name, height=6, width=5)
        results[name] = k.array(there)
        results[f"{name} back"] = k.array(convert(there, name, "center_xywh", height=6, width=5))
    return results


@case
def box_functions(k: Library) -> Mapping[str, Any]:
    utils, given = k.keras.utils.bounding_boxes, boxes(k)
    first, second = k.array(given["boxes"]), k.array(boxes(k)["boxes"])[::-1].copy() * 1.1
    n = np.array([1.0, 2.0, 3.0], np.float32)
    clipped = utils.clip_to_image_size(boxes(k), height=4, width=2)
    # Angles as given to a rotation; translations, scales and shears besides.
    moved = utils.affine_transform(
        k.tensor(first), *(k.tensor(v) for v in (10 * n, 0.1 * n, -0.1 * n, 1 + 0.1 * n, 4 * n, -3 * n)), 6, 5
    )
    variance, shape = [0.1, 0.1, 0.2, 0.2], (6, 5, 3)
    encoded = utils.encode_box_to_deltas(first, second, "xyxy", "xyxy", variance=variance, image_shape=shape)
    return {
        "clipped": {key: k.array(value) for key, value in clipped.items()},
        "affine": k.array(moved),
        "crop": k.array(utils.crop(k.tensor(first), 1, 1, 3, 2)),
        "pad": k.array(utils.pad(k.tensor(first), 1, 2)),
        "iou": k.gradients(lambda a, b: utils.compute_iou(a, b, "xyxy"), first, second),
        "iou of tables": k.array(utils.compute_iou(first[0], second[1] - 4.0, "yxyx", use_masking=True)),
        "ciou": k.gradients(lambda a, b: utils.compute_ciou(a, b, "xyxy"), first, second),
        "encoded": k.array(encoded),
        "decoded": k.array(
            utils.decode_deltas_to_boxes(first, encoded, "xyxy", "rel_xyxy", variance=variance, image_shape=shape)
        ),
    }
