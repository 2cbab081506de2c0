"""Files that real Keras 3 and 2 wrote load here, predict what they predicted, and train on as they trained on."""

import zipfile
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

import oxiconv as keras
from oxiconv import saving
from reference.file_models import MODELS, data, fill, observe

ARCHIVE = Path(__file__).parent / "reference" / "files.zip"
STEPS = 3


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The recorded files."""
    where = tmp_path_factory.mktemp("files")
    with zipfile.ZipFile(ARCHIVE) as archive:
        archive.extractall(where)
    return where


@pytest.fixture(scope="module")
def expected(folder: Path) -> dict[str, Any]:
    with np.load(folder / "expected.npz") as arrays:
        return dict(arrays)


def compare(seen: dict[str, Any], expected: dict[str, Any], key: str) -> None:
    """Equal to 1e-5: float32 in two orders of summation, over outputs and losses of order one and a few steps."""
    wanted = {part.removeprefix(f"{key}/"): value for part, value in expected.items() if part.startswith(f"{key}/")}
    assert seen.keys() <= wanted.keys()
    for part, value in seen.items():
        np.testing.assert_allclose(value, wanted[part], rtol=1e-5, atol=1e-5, err_msg=part)


@pytest.mark.parametrize("name", MODELS)
def test_keras_files(folder: Path, expected: dict[str, Any], name: str) -> None:
    MODELS[name](keras)  # registers the classes of its own
    model = saving.load_model(folder / f"{name}.keras")
    compare(observe(model, name, STEPS), expected, name)


@pytest.mark.parametrize("file", ["sequential_keras3.h5", "functional_keras3.h5", "sequential_keras2.h5"])
def test_legacy_files(folder: Path, expected: dict[str, Any], file: str) -> None:
    name = file.partition("_")[0]
    seen = observe(saving.load_model(folder / file), name, STEPS)
    if "keras2" in file:
        # Keras 2 corrects the moving variance of batch normalization by n/(n - 1), Keras 3 does not: they learn the
        # same and predict differently then.
        seen.pop("after/0")
    compare(seen, expected, file[:-3] if "keras2" in file else name)


@pytest.mark.parametrize("name", MODELS)
def test_weights(folder: Path, expected: dict[str, Any], name: str) -> None:
    model = MODELS[name](keras)
    fill(model)
    model.load_weights(folder / f"{name}.weights.h5")
    compare(observe(model, name, 0), expected, name)
    fill(model)
    model.load_weights(folder / f"{name}.keras")
    compare(observe(model, name, 0), expected, name)


@pytest.mark.parametrize("by_name", [False, True])
def test_legacy_weights(folder: Path, expected: dict[str, Any], by_name: bool) -> None:
    model = MODELS["sequential"](keras)
    names = ["conv2d", "batch_normalization", "separable_conv2d", "dense"]
    layers = [layer for layer in model.layers if layer.weights]
    for layer, name in zip(layers, names, strict=True):
        layer.name = name if by_name else f"other_{name}"
    model.load_weights(folder / "sequential_keras2_weights.h5", by_name=by_name)
    compare(observe(model, "sequential", 0), expected, "sequential_keras2")


@pytest.mark.parametrize("style", ["Adam/{kind}/{variable}:0", "Adam/{variable}/{kind}:0"])
def test_optimizers_of_keras_2(tmp_path: Path, style: str) -> None:
    """Keras 2 has the slots in an order of its own, and no learning rate; the names tell what is what."""
    x, y = data("sequential")
    model = keras.Sequential([keras.Input((6, 6, 2)), keras.layers.Flatten(), keras.layers.Dense(3, name="d")])
    model.compile("adam", "sparse_categorical_crossentropy")
    model.train_on_batch(x, y)
    path = tmp_path / "m.h5"
    model.save(path)
    iteration, _, *slots = [v.numpy() for v in model.optimizer.variables]
    names = ["Adam/iter:0"] + [style.format(kind=k, variable=v) for k in "mv" for v in ("d/kernel", "d/bias")]
    arrays = [iteration, slots[0], slots[2], slots[1], slots[3]]
    with h5py.File(path, "r+") as file:
        del file["optimizer_weights"]
        group = file.create_group("optimizer_weights")
        group.attrs["weight_names"] = [name.encode() for name in names]
        for name, array in zip(names, arrays, strict=True):
            group[name] = array
    again = saving.load_model(path)
    for _ in range(3):
        assert again.train_on_batch(x, y) == model.train_on_batch(x, y)
    with h5py.File(path, "r+") as file:
        file["optimizer_weights"].attrs["weight_names"] = [name.encode() for name in names[:-1]]
    with pytest.warns(UserWarning, match="the optimizer starts anew"):
        saving.load_model(path)
