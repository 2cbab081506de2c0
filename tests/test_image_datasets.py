"""Datasets of image folders; pixels, labels and splits are compared with Keras's in `reference/areas/images.py`."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import oxiconv as keras
from oxiconv.data import TensorSpec
from oxiconv.images import write_image
from reference.png_files import png

from_directory = keras.utils.image_dataset_from_directory


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Eleven images of one colour, the number of the image, in three classes; and what is no image."""
    for i in range(11):
        path = tmp_path / "images" / "xyz"[i % 3] / f"{i:02}.{'png' if i % 2 else 'PNG'}"
        path.parent.mkdir(parents=True, exist_ok=True)
        write_image_any(path, np.full((4 + i, 6, 3), i, np.uint8))
    for other in ("x/notes.txt", ".hidden/0.png", "loose.png"):
        path = tmp_path / "images" / other
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(png(np.zeros((1, 1), int)))
    return tmp_path / "images"


def write_image_any(path: Path, pixels: Any) -> None:
    write_image(path, pixels, "png")


def pairs(dataset: Any) -> list[tuple[int, int]]:
    return [(int(i), int(y)) for x, labels in dataset for i, y in zip(x[:, 0, 0, 0], labels, strict=True)]


def test_what_it_prints_and_tells(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    dataset = from_directory(folder, image_size=(8, 5), batch_size=4, seed=1)
    assert capsys.readouterr().out == "Found 11 files belonging to 3 classes.\n"
    assert dataset.class_names == ["x", "y", "z"]
    assert len(dataset) == dataset.cardinality() == 3
    assert len(dataset.file_paths) == 11
    assert dataset.element_spec == (TensorSpec((None, 8, 5, 3), "float32"), TensorSpec((None,), "int32"))
    assert sorted(pairs(dataset)) == [(i, i % 3) for i in range(11)]
    training, validation = from_directory(folder, seed=1, validation_split=0.3, subset="both", image_size=4)
    out = "Found 11 files belonging to 3 classes.\nUsing 8 files for training.\nUsing 3 files for validation.\n"
    assert capsys.readouterr().out == out
    assert sorted(pairs(training) + pairs(validation)) == [(i, i % 3) for i in range(11)]
    from_directory(folder, labels=None, verbose=False)
    assert capsys.readouterr().out == ""
    assert from_directory(folder, labels=None).class_names is None
    assert capsys.readouterr().out == "Found 13 files.\n"


def test_orders(folder: Path) -> None:
    options: dict[str, Any] = {"image_size": (4, 4), "batch_size": 3, "seed": 5, "verbose": False}
    dataset = from_directory(folder, **options)
    first, second = pairs(dataset), pairs(dataset)
    assert sorted(first) == sorted(second)
    assert first != second
    assert pairs(from_directory(folder, **options)) == first
    still = from_directory(folder, shuffle=False, **options)
    assert pairs(still) == pairs(still) == sorted(first, key=lambda pair: (pair[1], pair[0]))
    singles = from_directory(folder, shuffle=False, **options | {"batch_size": None})
    assert [int(y) for _, y in singles] == [y for _, y in pairs(still)]
    assert singles.element_spec[0] == TensorSpec((4, 4, 3), "float32")
    # Read, changed and batched as a script does.
    changed = singles.map(lambda x, y: (x / 2.0, y)).batch(4).prefetch(2)
    assert [float(x[0, 0, 0, 0]) for x, _ in changed] == [pairs(still)[i][0] / 2 for i in (0, 4, 8)]


def test_nearest_keeps_bytes_and_formats_are_accepted(folder: Path) -> None:
    images, _ = next(iter(from_directory(folder, interpolation="nearest", format="grain", verbose=False)))
    assert images.dtype == "uint8"


def test_a_model_trains_on_a_folder(folder: Path) -> None:
    keras.utils.set_random_seed(0)
    dataset = from_directory(folder, image_size=(4, 4), label_mode="categorical", batch_size=4, seed=1, verbose=False)
    model = keras.Sequential(
        [keras.Input((4, 4, 3)), keras.layers.Rescaling(0.1), keras.layers.Flatten(), keras.layers.Dense(3)]
    )
    model.compile(loss=keras.losses.CategoricalCrossentropy(from_logits=True), optimizer="sgd", metrics=["accuracy"])
    history = model.fit(dataset, validation_data=dataset, epochs=2, verbose=0)
    assert history.history.keys() == {"accuracy", "loss", "val_accuracy", "val_loss"}
    assert model.predict(dataset, verbose=0).shape == (11, 3)


def test_a_damaged_file_is_named(folder: Path) -> None:
    (folder / "y" / "01.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    dataset = from_directory(folder, verbose=False)
    with pytest.raises(ValueError, match=r"y/01\.png: damaged Png file"):
        list(dataset)


def test_links_are_followed_on_demand(folder: Path) -> None:
    (folder / "x" / "more").symlink_to(folder / "y")
    counts = [len(from_directory(folder, follow_links=f, verbose=False).file_paths) for f in (False, True)]
    assert counts == [11, 15]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"labels": "guess"}, 'labels must be "inferred", None or a list'),
        ({"labels": [1, 2]}, "got 2 labels for 13 files"),
        ({"labels": [1] * 13, "class_names": ["x"]}, 'class_names can only be given with labels="inferred"'),
        ({"class_names": ["x", "w"]}, r"expected some of the subfolders \['x', 'y', 'z'\]"),
        ({"label_mode": "one_hot"}, "label_mode must be"),
        ({"label_mode": "binary"}, "needs two classes"),
        ({"color_mode": "bgr"}, "color_mode must be"),
        ({"image_size": (3,)}, "image_size must be two positive integers"),
        ({"image_size": (3, 0)}, "image_size must be two positive integers"),
        ({"batch_size": 0}, "batch_size must be a positive integer or None"),
        ({"interpolation": "cubic"}, "interpolation must be one of bilinear"),
        ({"format": "torch"}, 'format must be "tf" or "grain"'),
        ({"data_format": "nchw"}, "data_format must be"),
        ({"crop_to_aspect_ratio": True, "pad_to_aspect_ratio": True}, "only one of"),
        ({"validation_split": 1.5, "subset": "training"}, "a fraction between 0 and 1"),
        ({"validation_split": 0.5}, "must be given together"),
        ({"subset": "training"}, "must be given together"),
        ({"validation_split": 0.5, "subset": "test"}, 'expected "training", "validation" or "both"'),
        ({"validation_split": 0.5, "subset": "training"}, "needs a seed"),
        ({"validation_split": 0.01, "subset": "validation", "seed": 0}, "no validation images"),
    ],
)
def test_bad_arguments(folder: Path, arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        from_directory(folder, **{"verbose": False, **arguments})


def test_no_folder_and_no_images(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"No such folder: .*nowhere"):
        from_directory(tmp_path / "nowhere")
    with pytest.raises(ValueError, match=r"no images in .*; read are \.bmp, \.gif"):
        from_directory(tmp_path, labels=None)
