"""The networks of `applications`: layers, names and counts as in Keras (recorded), arguments, weights from files."""

import hashlib
import importlib
import inspect
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import oxiconv as keras
from oxiconv import applications, ops
from oxiconv.applications import imagenet_utils, pretrained
from reference.applications import RECORD, describe

RECORDED: dict[str, dict[str, dict[str, Any]]] = json.loads(RECORD.read_text())
# One network per family, or more where the code branches, as `kind`: with a top, or with pooled features. Their sizes
# let the suite build them; `OXICONV_ALL_APPLICATIONS` checks every one in every form.
CHEAP = [
    ("EfficientNetB0", "top"),
    ("MobileNetV2", "top"),
    ("ResNet50", "avg"),
    ("VGG16", "max"),
    ("VGG19", "avg"),
    ("Xception", "top"),
    ("ConvNeXtTiny", "max"),
    ("DenseNet121", "max"),
    ("EfficientNetV2B0", "top"),
    ("InceptionV3", "avg"),
    ("MobileNet", "top"),
    ("MobileNetV3Small", "top"),
    ("MobileNetV3Large", "avg"),
    ("NASNetMobile", "avg"),
    ("ResNet50V2", "top"),
]
ALL = [(name, kind) for name in RECORDED for kind in ("top", "avg", "max")]


@pytest.fixture
def zeros(monkeypatch: pytest.MonkeyPatch) -> None:
    """Initial weights of zeros: these tests look at shapes, and drawing millions of numbers takes time."""
    from oxiconv.initializers import random

    for cls in vars(random).values():
        if isinstance(cls, type) and "__call__" in vars(cls):
            monkeypatch.setattr(cls, "__call__", lambda self, shape, dtype=None, **kwargs: ops.zeros(shape, dtype))


@pytest.mark.usefixtures("zeros")
@pytest.mark.timeout(1200)
@pytest.mark.parametrize(("name", "kind"), ALL if os.environ.get("OXICONV_ALL_APPLICATIONS") else CHEAP)
def test_layers_are_those_of_keras(name: str, kind: str) -> None:
    keras.backend.clear_session()
    arguments = {} if kind == "top" else {"include_top": False, "pooling": kind}
    model = getattr(applications, name)(weights=None, **arguments)
    assert describe(model) == RECORDED[name][kind]


# From the table of the API: parameters, trainable ones, parameters without a top, weights.
COUNTS = {
    "EfficientNetB0": (5_330_571, 5_288_548, 4_049_571, 314),
    "MobileNetV2": (3_538_984, 3_504_872, 2_257_984, 262),
    "ResNet50": (25_636_712, 25_583_592, 23_587_712, 320),
    "VGG16": (138_357_544, 138_357_544, 14_714_688, 32),
    "Xception": (22_910_480, 22_855_952, 20_861_480, 236),
    "ConvNeXtTiny": (28_589_128, 28_589_128, 27_820_128, 182),
    "DenseNet121": (8_062_504, 7_978_856, 7_037_504, 606),
    "EfficientNetV2S": (21_612_360, 21_458_488, 20_331_360, 672),
    "InceptionV3": (23_851_784, 23_817_352, 21_802_784, 378),
    "MobileNet": (4_253_864, 4_231_976, 3_228_864, 137),
    "MobileNetV3Large": (5_507_432, 5_483_032, 2_996_352, 266),
    "ResNet50V2": (25_613_800, 25_568_360, 23_564_800, 272),
}


@pytest.mark.parametrize("name", COUNTS)
def test_the_record_agrees_with_the_published_counts(name: str) -> None:
    top, bare = RECORDED[name]["top"], RECORDED[name]["avg"]
    assert (top["params"], top["trainable"], bare["params"], top["weights"]) == COUNTS[name]


def test_module_paths_and_signatures() -> None:
    first = ["include_top", "weights", "input_tensor", "input_shape", "pooling", "classes", "classifier_activation"]
    for name in applications.__all__:
        constructor = getattr(applications, name)
        module = importlib.import_module(constructor.__module__)
        assert module.__name__.startswith("oxiconv.applications.")
        assert callable(module.preprocess_input)
        assert module.decode_predictions is imagenet_utils.decode_predictions
        parameters = inspect.signature(constructor).parameters
        assert set(first) <= set(parameters)
        assert parameters["weights"].default == "imagenet"
        if not name.startswith(("MobileNet", "NASNet", "ConvNeXt")):
            assert list(parameters)[:7] == first
    from oxiconv.applications.resnet50 import ResNet50, decode_predictions, preprocess_input

    assert ResNet50 is applications.ResNet50
    assert decode_predictions is imagenet_utils.decode_predictions
    assert callable(preprocess_input)


def mobilenet(**arguments: Any) -> Any:
    return applications.MobileNetV2(**{"weights": None, "alpha": 0.35, "input_shape": (32, 32, 3), **arguments})


def test_arguments() -> None:
    assert mobilenet(classes=5).output_shape == (None, 5)
    assert mobilenet(include_top=False).output_shape == (None, 1, 1, 1280)
    assert mobilenet(include_top=False, input_shape=None).output_shape == (None, None, None, 1280)
    assert mobilenet(include_top=False, pooling="avg", input_shape=(None, None, 3)).output_shape == (None, 1280)
    assert mobilenet().name == "mobilenetv2_0.35_32"
    logits = mobilenet(classes=3, classifier_activation=None).predict(np.zeros((1, 32, 32, 3), np.float32), verbose=0)
    assert abs(logits.sum() - 1) > 1e-6  # no softmax
    image = keras.Input((48, 48, 3))
    scaled = keras.layers.Rescaling(1 / 255)(image)
    model = mobilenet(input_tensor=scaled, input_shape=None, include_top=False)
    assert model.inputs == [image]
    assert any(isinstance(layer, keras.layers.Rescaling) for layer in model.layers)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"weights": "nowhere.h5"}, "'imagenet' or the path"),
        ({"weights": "imagenet", "classes": 10}, "classes must be 1000"),
        ({"weights": "imagenet", "include_top": False, "input_shape": (96, 96, 3), "alpha": 0.4}, "alpha"),
        ({"input_shape": (16, 16, 3)}, "at least 32x32"),
        ({"input_shape": (32, 32)}, "three entries"),
        ({"input_shape": (None, 32, 3)}, "must be known"),
        ({"weights": "imagenet", "include_top": False, "input_shape": (96, 96, 1), "alpha": 1.0}, "3 channels"),
    ],
)
def test_errors(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        mobilenet(**arguments)


def test_unusual_channels_are_told() -> None:
    with pytest.warns(UserWarning, match="1 or 3 channels"):
        mobilenet(input_shape=(32, 32, 4), include_top=False)


def test_weights_from_files(tmp_path: Path) -> None:
    source = mobilenet(include_top=False)
    source.save_weights(tmp_path / "w.weights.h5")
    with pytest.raises(ValueError, match="softmax"):
        mobilenet(weights=str(tmp_path / "w.weights.h5"), classifier_activation="relu")
    source.save(tmp_path / "m.keras")
    source.save(tmp_path / "m.h5")
    source.save_weights(tmp_path / "w.safetensors")
    for name in ("w.weights.h5", "m.keras", "m.h5", "w.safetensors"):
        again = mobilenet(include_top=False, weights=str(tmp_path / name))
        for a, b in zip(source.get_weights(), again.get_weights(), strict=True):
            np.testing.assert_array_equal(a, b)


def test_a_network_is_saved_and_loaded(tmp_path: Path) -> None:
    """With layers of the package's own."""
    x = np.random.default_rng(0).uniform(0, 255, (1, 32, 32, 3)).astype(np.float32)
    model = applications.convnext._convnext(
        (1, 1, 1, 1),
        (4, 4, 8, 8),
        "convnext_tiny",
        ("", ""),
        {**dict.fromkeys(("weights", "input_tensor", "pooling")), "include_top": True, "include_preprocessing": True}
        | {"input_shape": (32, 32, 3), "classes": 4, "classifier_activation": "softmax", "name": "small"},
    )
    model.save(tmp_path / "m.keras")
    np.testing.assert_array_equal(
        keras.saving.load_model(tmp_path / "m.keras").predict(x, verbose=0), model.predict(x, verbose=0)
    )
    config = json.loads(model.to_json())["config"]
    entry = next(e for e in config["layers"] if e["class_name"] == "LayerScale")
    assert entry["module"] == "keras.src.applications.convnext"  # where Keras has it


def test_imagenet_weights_come_from_the_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    name = "mobilenet_v2_weights_tf_dim_ordering_tf_kernels_0.35_96_no_top.h5"
    source = mobilenet(include_top=False, input_shape=(96, 96, 3))
    (tmp_path / "models").mkdir()
    source.save(tmp_path / "models" / name)
    model = mobilenet(include_top=False, input_shape=(96, 96, 3), weights="imagenet")
    np.testing.assert_array_equal(model.get_weights()[0], source.get_weights()[0])
    file = pretrained.Remote(name, "http://localhost:9/x", "0" * 32)
    with pytest.raises(ValueError, match=r"expected the checksum 0+\. Delete it, or get it anew from http"):
        pretrained.fetch(file)
    checksum = hashlib.sha256((tmp_path / "models" / name).read_bytes()).hexdigest()
    assert pretrained.fetch(file._replace(checksum=checksum)) == str(tmp_path / "models" / name)


@pytest.mark.filterwarnings("ignore")
def test_weights_that_cannot_be_had(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    file = pretrained.Remote("missing.h5", "http://localhost:9/missing.h5")
    with pytest.raises(FileNotFoundError, match=r"missing\.h5.*http://localhost:9/missing\.h5.*weights=None"):
        pretrained.fetch(file)


# Preprocessing, against its definition in float64.


@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
@pytest.mark.parametrize("mode", ["tf", "torch", "caffe"])
@pytest.mark.parametrize("batch", [True, False])
def test_preprocessing(mode: str, data_format: str, batch: bool) -> None:
    images = np.random.default_rng(0).uniform(0, 255, (2, 4, 5, 3)).astype(np.float32)
    mean, deviation = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
    expected = {
        "tf": images / 127.5 - 1.0,
        "torch": (images / 255.0 - mean) / deviation,
        "caffe": images[..., ::-1] - np.array([103.939, 116.779, 123.68]),
    }[mode]
    given = images
    if data_format == "channels_first":
        given, expected = np.moveaxis(images, -1, 1), np.moveaxis(expected, -1, 1)
    if not batch:
        given, expected = given[0], expected[0]
    before = given.copy()
    seen = imagenet_utils.preprocess_input(given, data_format, mode)
    # Three roundings of numbers up to 255 and 2.7.
    np.testing.assert_allclose(seen, expected, rtol=3e-7, atol=5e-5)
    assert seen.dtype == np.float32
    np.testing.assert_array_equal(given, before)
    tensor = imagenet_utils.preprocess_input(ops.convert_to_tensor(given), data_format, mode)
    np.testing.assert_allclose(np.asarray(tensor), expected, rtol=3e-7, atol=5e-5)
    symbolic = keras.Input(given.shape[1:] if batch else given.shape)
    assert imagenet_utils.preprocess_input(symbolic, data_format, mode).shape == symbolic.shape


def test_preprocessing_errors_and_integers() -> None:
    with pytest.raises(ValueError, match="mode"):
        imagenet_utils.preprocess_input(np.zeros((2, 2, 3)), mode="keras")
    with pytest.raises(ValueError, match="data_format"):
        imagenet_utils.preprocess_input(np.zeros((2, 2, 3)), data_format="last")
    assert applications.vgg16.preprocess_input(np.zeros((1, 2, 2, 3), np.uint8)).dtype == np.float32
    x = np.ones((1, 2, 2, 3), np.float32)
    assert applications.efficientnet.preprocess_input(x) is x


def test_predictions_in_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "index.json"
    path.write_text(json.dumps({str(i): [f"n{i:08}", f"thing_{i}"] for i in range(1000)}))
    monkeypatch.setattr(imagenet_utils, "fetch", lambda file: str(path))
    scores = np.zeros((2, 1000), np.float32)
    scores[0, [7, 3, 999]] = 0.5, 0.25, 0.125
    scores[1, 0] = 1.0
    first, second = applications.resnet.decode_predictions(scores, top=3)
    assert first == [("n00000007", "thing_7", 0.5), ("n00000003", "thing_3", 0.25), ("n00000999", "thing_999", 0.125)]
    assert second[0] == ("n00000000", "thing_0", 1.0)
    with pytest.raises(ValueError, match=r"\(n, 1000\), got \(2, 10\)"):
        imagenet_utils.decode_predictions(scores[:, :10])
