"""Preprocessing layers: what is random, what is kept, what they take, and how they meet a compiled step."""

from __future__ import annotations

import inspect
import json
from typing import Any

import numpy as np
import pytest

import oxiconv as keras
from oxiconv import layers, ops
from oxiconv.layers.preprocessing.coloring import ColorLayer
from oxiconv.layers.preprocessing.image_layer import BaseImagePreprocessingLayer
from oxiconv.layers.preprocessing.warping import WarpLayer
from oxiconv.trace import Trace
from preprocessing_rows import PREPROCESSING

RNG = np.random.default_rng(5)
X = RNG.uniform(0, 255, (8, 12, 10, 3)).astype(np.float32)

# Layers that do the same in training and otherwise.
STEADY = (
    layers.Resizing,
    layers.CenterCrop,
    layers.RandomCrop,
    layers.AutoContrast,
    layers.ContrastLimitedAdaptiveHistogramEqualization,
    layers.MaxNumBoundingBoxes,
)
VARYING = [
    pytest.param(cls, arguments, id=cls.__name__)
    for cls, arguments, *_ in PREPROCESSING
    if issubclass(cls, BaseImagePreprocessingLayer)
]
# Of several images at once.
OF_BATCHES = (layers.MixUp, layers.CutMix, layers.Equalization)


def made(cls: Any, arguments: dict[str, Any], seed: int = 3, **more: Any) -> Any:
    seeded = {"seed": seed} if "seed" in inspect.signature(cls.__init__).parameters else {}
    return cls(**{**arguments, **seeded, **more})


@pytest.mark.parametrize(("cls", "arguments"), VARYING)
def test_inference_leaves_images_alone(cls: Any, arguments: dict[str, Any]) -> None:
    y = cls(**arguments)(X, training=False)
    if cls not in STEADY:
        np.testing.assert_array_equal(y, X)
    elif cls is layers.RandomCrop:
        np.testing.assert_array_equal(y, layers.CenterCrop(5, 7)(X))


@pytest.mark.parametrize(("cls", "arguments"), VARYING)
def test_a_seed_repeats_what_is_drawn(cls: Any, arguments: dict[str, Any]) -> None:
    one, other = made(cls, arguments), made(cls, arguments)
    drawn = [np.asarray(one(X, training=True)) for _ in range(4)]
    for y in drawn:
        np.testing.assert_array_equal(y, other(X, training=True))
    if cls not in STEADY[:2] + STEADY[3:] and cls is not layers.Equalization:
        assert any(not np.array_equal(drawn[0], y) for y in drawn[1:]), "the same each time"


@pytest.mark.parametrize(("cls", "arguments"), VARYING)
def test_images_of_any_type_one_or_many(cls: Any, arguments: dict[str, Any]) -> None:
    whole = X.astype(np.uint8)
    as_bytes, as_floats = (np.asarray(made(cls, arguments)(x, training=True)) for x in (whole, whole.astype("float32")))
    assert as_bytes.shape == as_floats.shape
    keeps_type = cls in (layers.Resizing, layers.MaxNumBoundingBoxes, STEADY[4])
    assert as_bytes.dtype == (np.uint8 if keeps_type else np.float32)
    # Where whole numbers stay whole, what is between them is rounded or cut.
    limited = as_floats.clip(0, 255) if keeps_type else as_floats
    np.testing.assert_allclose(as_bytes, limited, atol=1.0 if keeps_type else 0.0)
    single = np.asarray(made(cls, arguments)(X[0], training=True))
    assert single.shape == as_floats.shape[1:]
    if cls not in OF_BATCHES:
        # A batch of one draws as one image does.
        np.testing.assert_array_equal(single, np.asarray(made(cls, arguments)(X[:1], training=True))[0])
    with pytest.raises(ValueError, match="3 or 4 axes"):
        cls(**arguments)(X[0, 0], training=True)


@pytest.mark.parametrize(("cls", "arguments"), VARYING)
def test_channels_first_is_the_same_transposed(cls: Any, arguments: dict[str, Any]) -> None:
    if cls is layers.RandomErasing:
        arguments = {"fill_value": [3.0, 2.0, 1.0]}
    last = np.asarray(made(cls, arguments)(X, training=True))
    first = np.asarray(made(cls, arguments, data_format="channels_first")(X.transpose(0, 3, 1, 2), training=True))
    # Means and products may add up in another order: values to 255 of some dozen terms.
    np.testing.assert_allclose(first.transpose(0, 2, 3, 1), last, atol=2e-3)


@pytest.mark.parametrize(("cls", "arguments"), VARYING)
def test_compiled_is_what_is_eager(cls: Any, arguments: dict[str, Any]) -> None:
    eager, layer = made(cls, arguments), made(cls, arguments)
    model = keras.Sequential([keras.Input(X.shape[1:]), layer])
    seen: list[Any] = []

    class Watching(keras.Model):
        seen: Any = None

        def train_step(self, data: Any) -> Any:
            x, _ = keras.utils.unpack_x_y_sample_weight(data)[:2]
            y = self(x, training=True)
            self.seen.assign(y)
            return {"loss": ops.mean(y)}

    watching = Watching(model.inputs[0], model.outputs[0])
    watching.seen = keras.Variable(np.zeros(eager(X, training=True).shape, np.float32), trainable=False)
    watching.compile()
    eager = made(cls, arguments)
    for _ in range(2):
        watching.train_on_batch(X, X)
        seen.append(watching.seen.numpy())
        # The same operations fused, and means in another order.
        np.testing.assert_allclose(seen[-1], eager(X, training=True), atol=2e-3)


@pytest.mark.parametrize(("cls", "arguments"), VARYING)
def test_dicts_pass_whole(cls: Any, arguments: dict[str, Any]) -> None:
    labels = np.eye(8, dtype=np.float32)
    masks = RNG.integers(0, 3, (8, 12, 10, 1)).astype(np.float32)
    boxes: dict[str, Any] = {"boxes": np.tile([[1.0, 2.0, 6.0, 9.0]], (8, 2, 1)), "labels": np.tile([1, 2], (8, 1))}
    data: dict[str, Any] = {"images": X, "labels": labels, "segmentation_masks": masks, "other": np.arange(3)}
    if cls is layers.CutMix:
        with pytest.raises(NotImplementedError, match="use MixUp"):
            cls(bounding_box_format="xyxy")({**data, "bounding_boxes": boxes}, training=True)
    else:
        data["bounding_boxes"] = boxes
    before = {key: np.copy(value) for key, value in data.items() if key != "bounding_boxes"}
    result = made(cls, arguments, bounding_box_format="xyxy")(data, training=True)
    assert result.keys() == data.keys()
    for key, value in before.items():
        np.testing.assert_array_equal(data[key], value)  # what was given is not changed
    np.testing.assert_array_equal(result["images"], made(cls, arguments)(X, training=True))
    assert result["segmentation_masks"].shape[1:3] == result["images"].shape[1:3]
    if cls not in OF_BATCHES:
        np.testing.assert_array_equal(result["labels"], labels)
    if "bounding_boxes" in data:
        found = np.asarray(result["bounding_boxes"]["boxes"])
        assert found.shape[-1] == 4
        assert found.shape[:2] == np.asarray(result["bounding_boxes"]["labels"]).shape
        with pytest.raises(ValueError, match="bounding_box_format"):
            cls(**arguments)(data, training=True)
        one = {key: value[0] for key, value in data.items() if key not in ("bounding_boxes", "other")}
        one["bounding_boxes"] = {key: value[0] for key, value in boxes.items()}
        single = made(cls, arguments, bounding_box_format="xyxy")(one, training=True)
        assert np.asarray(single["bounding_boxes"]["boxes"]).shape == found.shape[1:]


# What is drawn.

MANY = np.zeros((4000, 2, 4, 3), np.float32)


def uniform_between(values: Any, low: float, high: float) -> None:
    """The mean and the ends are those of that distribution: 5 deviations, and 0.01 of the range for 4000 draws."""
    values = np.asarray(values)
    assert low <= values.min() <= low + 0.01 * (high - low)
    assert high - 0.01 * (high - low) <= values.max() <= high
    assert abs(values.mean() - (low + high) / 2) < 5 * (high - low) / np.sqrt(12 * values.size)


def test_transformations_are_drawn_as_said() -> None:
    def drawn(layer: Any) -> Any:
        return layer.get_random_transformation(MANY, training=True)

    flips = np.asarray(drawn(layers.RandomFlip(seed=1))["flips"])
    assert abs(flips.mean() - 0.5) < 5 * 0.5 / np.sqrt(4000)
    uniform_between(drawn(layers.RandomRotation((-0.1, 0.2), seed=1))["angle"], -36, 72)
    zoom = drawn(layers.RandomZoom((-0.3, 0.1), 0.2, seed=1))
    uniform_between(zoom["height_zoom"], 0.7, 1.1)
    uniform_between(zoom["width_zoom"], 0.8, 1.2)
    same = drawn(layers.RandomZoom(0.2, seed=1))
    np.testing.assert_array_equal(same["height_zoom"], same["width_zoom"])
    moves = np.asarray(drawn(layers.RandomTranslation(0.5, (0.0, 0.25), seed=1))["translations"])
    uniform_between(moves[:, 0], 0.0, 1.0)
    uniform_between(moves[:, 1], -1.0, 1.0)
    uniform_between(drawn(layers.RandomBrightness(0.2, (0, 10), seed=1))["rgb_delta"], -2.0, 2.0)
    uniform_between(drawn(layers.RandomContrast((0.2, 0.5), seed=1))["contrast_factor"], 0.8, 1.5)
    shears = np.asarray(drawn(layers.RandomShear((0.1, 0.3), 0.2, seed=1))["shear_factor"])
    uniform_between(np.abs(shears[:, 0]), 0.1, 0.3)
    assert abs((shears[:, 0] > 0).mean() - 0.5) < 5 * 0.5 / np.sqrt(4000)
    for probability in (0.2, 0.9):
        grey = np.asarray(drawn(layers.RandomGrayscale(probability, seed=1)))
        inverted = np.asarray(drawn(layers.RandomInvert((probability, probability), seed=1))["apply_inversion"])
        deviation = np.sqrt(probability * (1 - probability) / 4000)
        assert abs(grey.mean() - probability) < 5 * deviation
        assert abs(inverted.mean() - probability) < 5 * deviation
    bits = np.asarray(drawn(layers.RandomPosterization((2, 5), seed=1))["shift_factor"])
    assert set(np.unique(bits)) == {4, 5, 6}
    starts = [layers.RandomCrop(2, 2, seed=s).get_random_transformation(MANY[:, :, :, :])[1] for s in range(3)]
    assert starts == [None] * 3  # no room down, so the middle
    tall = np.zeros((1, 5, 6, 1), np.float32)
    crop = layers.RandomCrop(3, 3, seed=1)
    places = [tuple(int(v) for v in crop.get_random_transformation(tall)[:2]) for _ in range(300)]
    assert set(places) == {(i, j) for i in range(3) for j in range(4)}


def test_mixing_keeps_shares() -> None:
    labels = np.eye(8, dtype=np.float32)
    for layer in (layers.MixUp(0.4, seed=1), layers.CutMix(seed=1)):
        result = layer({"images": X, "labels": labels}, training=True)
        shares = np.asarray(result["labels"])
        np.testing.assert_allclose(shares.sum(1), 1.0, atol=1e-6)
        assert ((shares > 0).sum(1) <= 2).all()
    drawn = layers.CutMix(seed=1).get_random_transformation(X)
    covered = np.asarray(drawn["batch_masks"]).mean((1, 2, 3))
    # A rectangle between pixels covers their centres up to one row and one column more or less.
    assert np.abs(covered - (1 - np.asarray(drawn["mix_weight"]).ravel())).max() < 1 / 12 + 1 / 10 + 1 / 120


def test_a_box_stays_around_what_it_marks() -> None:
    """A bright square and its box, through rotation, zoom and translation."""
    image = np.zeros((1, 41, 41, 1), np.float32)
    image[0, 16:23, 19:28] = 1.0
    box = {"boxes": np.array([[[19.0, 16.0, 28.0, 23.0]]]), "labels": np.array([[1]])}
    for layer in (
        layers.RandomFlip("horizontal", seed=1, bounding_box_format="xyxy"),
        layers.RandomRotation(0.2, "constant", seed=1, bounding_box_format="xyxy"),
        layers.RandomZoom(0.3, fill_mode="constant", seed=2, bounding_box_format="xyxy"),
        layers.RandomTranslation(0.2, 0.2, "constant", seed=3, bounding_box_format="xyxy"),
        layers.RandomPerspective(1.0, 0.3, seed=4, bounding_box_format="xyxy"),
        layers.RandomCrop(35, 33, seed=5, bounding_box_format="xyxy"),
    ):
        for _ in range(5):
            result = layer({"images": image, "bounding_boxes": box}, training=True)
            rows, columns = np.nonzero(np.asarray(result["images"])[0, ..., 0] > 0.5)
            x1, y1, x2, y2 = np.asarray(result["bounding_boxes"]["boxes"])[0, 0]
            # Pixel centres lie half a pixel within the edges; a turn about the centres of pixels moves edges by less
            # than one, and Keras counts translations and zooms from those too.
            assert x1 - 1.5 < columns.min(), layer
            assert columns.max() + 1 < x2 + 1.5, layer
            assert y1 - 1.5 < rows.min(), layer
            assert rows.max() + 1 < y2 + 1.5, layer
            assert (x2 - x1) * (y2 - y1) < 4 * 63, layer


def test_augmentation_within_fit() -> None:
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.Input((12, 10, 3)),
            layers.Rescaling(1 / 255),
            layers.RandomFlip("horizontal", seed=1),
            layers.RandomRotation(0.1, seed=2),
            layers.RandomZoom(0.1, seed=3),
            layers.Conv2D(4, 3, activation="relu"),
            layers.GlobalAveragePooling2D(),
            layers.Dense(2),
        ]
    )
    model.compile(
        keras.optimizers.Adam(0.01), keras.losses.SparseCategoricalCrossentropy(from_logits=True), metrics=["accuracy"]
    )
    bright = np.where(np.arange(64) % 2, 200.0, 40.0).reshape(-1, 1, 1, 1)
    x = (np.ones((64, 12, 10, 3)) * bright).astype(np.float32)
    history = model.fit(x, np.arange(64) % 2, batch_size=16, epochs=30, verbose=0)
    assert history.history["loss"][-1] < 0.7 * history.history["loss"][0]
    again = model.predict(x[:4], verbose=0)
    np.testing.assert_array_equal(again, model.predict(x[:4], verbose=0))


def test_configurations_of_keras() -> None:
    """The keys that real Keras 3 writes."""
    base = {"name", "trainable", "dtype", "data_format"}
    warp = {"fill_mode", "fill_value", "interpolation", "seed"}
    ours = {
        layers.RandomFlip: {"mode", "seed"},
        layers.RandomRotation: {"factor"} | warp,
        layers.RandomZoom: {"height_factor", "width_factor"} | warp,
        layers.RandomTranslation: {"height_factor", "width_factor"} | warp,
        layers.RandomCrop: {"height", "width", "seed"},
        layers.RandomContrast: {"factor", "value_range", "seed"},
        layers.RandomBrightness: {"factor", "value_range", "seed"},
        layers.MixUp: {"alpha", "seed"},
        layers.CutMix: {"factor", "seed"},
        layers.RandAugment: {"value_range", "num_ops", "factor", "interpolation", "seed"},
        layers.RandomErasing: {"factor", "scale", "fill_value", "value_range", "seed"},
        layers.RandomShear: {"x_factor", "y_factor"} | warp,
        layers.RandomGrayscale: {"factor"},
        layers.CenterCrop: {"height", "width"},
    }
    for cls, arguments, *_ in PREPROCESSING:
        if cls in ours:
            assert set(cls(**arguments).get_config()) == base | ours[cls], cls
    assert layers.RandomRotation(0.2).get_config()["factor"] == (-0.2, 0.2)
    assert layers.RandomContrast(0.2).get_config()["factor"] == (0, 0.2)
    assert layers.RandomSaturation(0.2).get_config()["factor"] == (-0.2, 0.2)
    config = json.loads(json.dumps(layers.Normalization(mean=[1.0, 2.0], variance=[3.0, 4.0]).get_config()))
    assert (config["mean"], config["variance"], config["axis"]) == ([1.0, 2.0], [3.0, 4.0], [-1])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: layers.RandomRotation(1.5), "factor as one or two numbers from -1.0 to 1.0, got 1.5"),
        (lambda: layers.RandomContrast((0.1, 0.2, 0.3)), "factor"),
        (lambda: layers.RandomZoom(-1.0), "height_factor|above -1"),
        (lambda: layers.RandomBrightness(0.1, value_range=(3,)), "value_range"),
        (lambda: layers.RandomFlip("sideways"), "mode"),
        (lambda: layers.RandomGaussianBlur(kernel_size=4), "odd"),
        (lambda: layers.RandomErasing(fill_value=[1.0, 2.0]), "one or three"),
        (lambda: layers.RandomGrayscale(1.5), "from 0 to 1"),
        (lambda: layers.Resizing(0, 3), "height"),
        (lambda: layers.CategoryEncoding(3)(np.array([[1, 3]])), "numbers from 0 to 2, got 1 to 3"),
        (lambda: layers.CategoryEncoding(3, sparse=True), "sparse"),
        (lambda: layers.Normalization(mean=1.0), "mean and variance"),
        (lambda: layers.Normalization(mean=1.0, variance=1.0).adapt(X), "adapt"),
        (lambda: layers.Normalization().adapt([]), "at least one batch"),
        (lambda: layers.RandomHue(0.1)(X[..., :2]), "3 channels, got 2"),
        (lambda: layers.RandomFlip()({"labels": X}), "'images'"),
    ],
)
def test_bad_arguments_are_named(make: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize(
    ("layer", "method"),
    [
        (ColorLayer(name="mine"), "_colored"),
        (WarpLayer("reflect", "bilinear", None, 0.0, None, name="mine"), "_warped"),
    ],
)
def test_a_base_class_names_what_it_lacks(layer: Any, method: str) -> None:
    with pytest.raises(NotImplementedError, match=f"Layer 'mine': expected a class that defines {method}"):
        layer.transform_images(X, {}, training=True)


def test_lists_of_boxes_become_dense() -> None:
    lists = {"boxes": [[[1.0, 1.0, 2.0, 2.0]], [[1.0, 1.0, 2.0, 2.0], [0.0, 0.0, 3.0, 3.0]]], "labels": [[4], [5, 6]]}
    layer = layers.MaxNumBoundingBoxes(3, bounding_box_format="xyxy")
    found = layer({"images": X[:2], "bounding_boxes": lists})["bounding_boxes"]
    np.testing.assert_array_equal(found["labels"], [[4, -1, -1], [5, 6, -1]])
    assert np.asarray(found["boxes"]).shape == (2, 3, 4)


def test_pipeline_and_restored_layers() -> None:
    pipeline = layers.Pipeline([layers.RandomFlip("horizontal", seed=1), layers.RandomBrightness(0.2, seed=2)])
    again = layers.deserialize(json.loads(json.dumps(layers.serialize(pipeline))))
    np.testing.assert_array_equal(pipeline(X, training=True), again(X, training=True))
    np.testing.assert_array_equal(pipeline(X, training=False), X)


def test_normalization_in_a_model_follows_adapt() -> None:
    layer = layers.Normalization()
    model = keras.Sequential([keras.Input((3,)), layer])
    data = RNG.normal(3.0, 2.0, (50, 3)).astype(np.float32)
    np.testing.assert_allclose(model.predict(data, verbose=0), data, rtol=1e-6)
    layer.adapt(data)
    y = model.predict(data, verbose=0)
    np.testing.assert_allclose(y.mean(0), 0.0, atol=1e-6)
    np.testing.assert_allclose(y.std(0), 1.0, atol=1e-6)


def test_what_is_drawn_for_an_image_is_computed_with_it() -> None:
    """Random numbers and all that follows from them belong to a shard; only the seeds' states are the whole batch's."""
    with Trace() as trace:
        y = trace.graph.input(X.shape, "float32")
        for layer in (layers.RandomFlip(), layers.RandomRotation(0.1), layers.RandomZoom(0.1), layers.RandomHue(0.1)):
            y = layer(y, training=True)
        program = str(trace.compile([y]))
    stages = [part for part in program.split("\nstage ") if part[1:].startswith((" (whole)", " (sharded)"))]
    (sharded,) = (part for part in stages if "(sharded)" in part)
    assert sharded.count("= random") == program.count("= random") == 5


def test_rescaling_by_channel_follows_the_configured_format() -> None:
    layer = layers.Rescaling([0.1, 0.2, 0.3], [1.0, 2.0, 3.0])
    last = np.asarray(layer(X))
    keras.config.set_image_data_format("channels_first")
    try:
        first = np.asarray(layer(X.transpose(0, 3, 1, 2)))
    finally:
        keras.config.set_image_data_format("channels_last")
    np.testing.assert_array_equal(first.transpose(0, 2, 3, 1), last)
