"""Weights and models in files: round trips, continued training, and files that are wrong."""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import oxiconv as keras
from oxiconv import layers, saving
from oxiconv._core import FileFormatError, load_safetensors, save_safetensors

X = np.random.default_rng(0).normal(size=(40, 6, 6, 2)).astype(np.float32)
Y = (X.mean((1, 2, 3)) > 0).astype(np.int64)


def network() -> keras.Sequential:
    """Every kind of state: weights, moving statistics, the counter of a dropout, slots of an optimizer."""
    keras.utils.set_random_seed(1)
    model = keras.Sequential(
        [
            keras.Input((6, 6, 2)),
            layers.Conv2D(3, 3, activation="relu", kernel_regularizer=keras.regularizers.L2(1e-3)),
            layers.BatchNormalization(),
            layers.MaxPooling2D(2),
            layers.Flatten(),
            layers.Dropout(0.5),
            layers.Dense(2, activation="softmax"),
        ]
    )
    rate = keras.optimizers.schedules.ExponentialDecay(0.01, 10, 0.9)
    model.compile(keras.optimizers.Adam(rate, clipnorm=1.0), "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def digest(model: Any) -> str:
    return hashlib.sha256(b"".join(np.ascontiguousarray(w).tobytes() for w in model.get_weights())).hexdigest()


def fit(model: Any, epochs: int) -> None:
    model.fit(X, Y, batch_size=16, epochs=epochs, verbose=0)


@pytest.mark.parametrize("name", ["model.oxiconv", "model.safetensors"])
def test_training_goes_on_with_the_same_bits(tmp_path: Path, name: str) -> None:
    never_stopped = network()
    fit(never_stopped, 4)
    model = network()
    fit(model, 2)
    model.save(tmp_path / name)
    keras.utils.set_random_seed(999)
    again = saving.load_model(tmp_path / name)
    np.testing.assert_array_equal(again.predict(X, verbose=0), model.predict(X, verbose=0))
    assert again.optimizer.get_config() == model.optimizer.get_config()
    assert int(again.optimizer.iterations) == 6
    fit(again, 2)
    assert digest(again) == digest(never_stopped)
    assert digest(again) != digest(model)


def test_a_model_saved_before_training(tmp_path: Path) -> None:
    model = network()
    model.save(tmp_path / "m.oxiconv")
    again = saving.load_model(tmp_path / "m.oxiconv")
    fit(model, 1)
    # The shuffling of a model that has never trained has no seed yet: it is drawn at its first fit.
    keras.utils.set_random_seed(1)
    assert again.evaluate(X, Y, verbose=0, return_dict=True).keys() == {"loss", "accuracy"}
    fit(again, 1)
    assert int(again.optimizer.iterations) == int(model.optimizer.iterations) == 3


def test_uncompiled_and_functional(tmp_path: Path) -> None:
    inputs = keras.Input((4,))
    hidden = layers.Dense(3, activation="tanh")(inputs)
    model = keras.Model(inputs, [layers.Dense(2, name="a")(hidden), layers.Dense(1, name="b")(hidden)])
    model.save(tmp_path / "m.oxiconv")
    again = saving.load_model(tmp_path / "m.oxiconv")
    assert not again.compiled
    x = X[:, 0, :2].reshape(-1, 4)
    for p, q in zip(again.predict(x, verbose=0), model.predict(x, verbose=0), strict=True):
        np.testing.assert_array_equal(p, q)


def test_compile_false(tmp_path: Path) -> None:
    network().save(tmp_path / "m.oxiconv")
    assert not saving.load_model(tmp_path / "m.oxiconv", compile=False).compiled


def test_weights_do_not_depend_on_what_else_was_built(tmp_path: Path) -> None:
    model = network()
    fit(model, 1)
    model.save_weights(tmp_path / "w.safetensors")
    tensors, _ = load_safetensors(str(tmp_path / "w.safetensors"))
    assert "conv2d/kernel" in tensors
    layers.Dense(1)
    layers.Conv2D(1, 1)
    other = network()
    assert digest(other) != digest(model)
    other.load_weights(tmp_path / "w.safetensors")
    assert digest(other) == digest(model)
    model.save(tmp_path / "m.oxiconv")
    third = network()
    third.load_weights(tmp_path / "m.oxiconv")
    assert digest(third) == digest(model)


def dense(units: int, name: str = "head") -> keras.Sequential:
    return keras.Sequential([keras.Input((3,)), layers.Dense(4, name="body"), layers.Dense(units, name=name)])


def test_mismatches_change_nothing(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    dense(2).save_weights(path)
    other = dense(5)
    before = digest(other)
    with pytest.raises(ValueError, match=r"'head/kernel' has shape \(4, 2\), the model expects \(4, 5\)"):
        other.load_weights(path)
    renamed = dense(2, "other")
    with pytest.raises(ValueError, match=r"'other/kernel' is missing.*'head/kernel' is not in the model"):
        renamed.load_weights(path)
    assert digest(other) == before


def test_skip_mismatch(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    source, other = dense(2), dense(5)
    source.save_weights(path)
    head = other.get_weights()[2].copy()
    with pytest.warns(UserWarning, match="skipped"):
        other.load_weights(path, skip_mismatch=True)
    np.testing.assert_array_equal(other.get_weights()[0], source.get_weights()[0])
    np.testing.assert_array_equal(other.get_weights()[2], head)


class Doubled(layers.Layer):
    def call(self, x: Any) -> Any:
        return x * 2.0


def squared(y_true: Any, y_pred: Any) -> Any:
    return keras.ops.mean(keras.ops.square(y_true - y_pred), axis=-1)


def test_custom_objects(tmp_path: Path) -> None:
    path = tmp_path / "m.oxiconv"
    model = keras.Sequential([keras.Input((2,)), Doubled(), layers.Dense(1)])
    model.compile("sgd", squared)
    model.fit(np.ones((4, 2)), np.ones((4, 1)), verbose=0)
    model.save(path)
    again = saving.load_model(path, custom_objects={"Doubled": Doubled, "squared": squared})
    assert again.evaluate(np.ones((4, 2)), np.ones((4, 1)), verbose=0) == model.evaluate(
        np.ones((4, 2)), np.ones((4, 1)), verbose=0
    )
    with pytest.raises(ValueError, match=r"m.oxiconv: architecture: .*'Doubled'.*custom_objects"):
        saving.load_model(path)
    with pytest.raises(ValueError, match=r"m.oxiconv: compile: .*'squared'.*compile=False"):
        saving.load_model(path, custom_objects={"Doubled": Doubled})
    assert not saving.load_model(path, custom_objects={"Doubled": Doubled}, compile=False).compiled


class Custom(keras.Model):
    def __init__(self, units: int) -> None:
        super().__init__()
        self.units = units
        self.hidden = layers.Dense(units, activation="relu")
        self.head = layers.Dense(2, activation="softmax")

    def call(self, inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
        return self.head(self.hidden(layers.Flatten()(inputs)))

    def get_config(self) -> dict[str, Any]:
        return {"units": self.units}


@pytest.mark.parametrize("built_by", ["fit", "build"])
def test_a_subclassed_model(tmp_path: Path, built_by: str) -> None:
    path = tmp_path / "m.oxiconv"
    model = Custom(3)
    model.compile("adam", "sparse_categorical_crossentropy")
    if built_by == "fit":
        fit(model, 1)
    else:
        model.build((None, 6, 6, 2))
    model.save(path)
    again = saving.load_model(path, custom_objects={"Custom": Custom})
    np.testing.assert_array_equal(again.predict(X, verbose=0), model.predict(X, verbose=0))
    tensors, metadata = load_safetensors(str(path))
    entry = json.loads(metadata["architecture"])
    for build in ({}, {"nothing": 1}, None, 3):
        save_safetensors(str(path), tensors, {**metadata, "architecture": json.dumps({**entry, "build_config": build})})
        with pytest.raises(FileFormatError, match=r"m\.oxiconv: "):
            saving.load_model(path, custom_objects={"Custom": Custom})


def test_registered_objects() -> None:
    @saving.register_keras_serializable(package="tests", name="Thrice")
    class Thrice(layers.Layer):
        def call(self, x: Any) -> Any:
            return x * 3.0

    config = saving.serialize_keras_object(Thrice(name="t"))
    assert config["registered_name"] == "tests>Thrice"
    assert isinstance(saving.deserialize_keras_object(json.loads(json.dumps(config))), Thrice)
    with pytest.raises(ValueError, match="get_config"):
        saving.register_keras_serializable()(object)


def test_serialization_of_values() -> None:
    value = {"a": (1, [2.5, None]), "b": np.arange(3, dtype=np.int32), "c": np.float32(0.5)}
    again = saving.deserialize_keras_object(json.loads(json.dumps(saving.serialize_keras_object(value))))
    assert again["a"] == [1, [2.5, None]]  # JSON has no tuples, as in Keras
    np.testing.assert_array_equal(again["b"], value["b"])
    assert again["c"] == 0.5
    with pytest.raises(ValueError, match="lambda"):
        saving.serialize_keras_object(lambda x: x)
    with pytest.raises(ValueError, match="no get_config"):
        saving.serialize_keras_object(object())


@pytest.mark.parametrize("name", ["m.weights.json", "m.npz", "m", "m.txt"])
def test_endings(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match=r"must end in '.keras', .*'.oxiconv' or '.safetensors'"):
        network().save(tmp_path / name)
    with pytest.raises(ValueError, match=r"must end in '.weights.h5' or '.safetensors'"):
        network().save_weights(tmp_path / name)
    with pytest.raises(ValueError, match="must end in"):
        saving.load_model(tmp_path / name)


def test_existing_and_missing_files(tmp_path: Path) -> None:
    path = tmp_path / "m.oxiconv"
    network().save(path)
    with pytest.raises(FileExistsError, match="overwrite"):
        network().save(path, overwrite=False)
    with pytest.raises(FileNotFoundError, match=r"none\.oxiconv"):
        saving.load_model(tmp_path / "none.oxiconv")
    assert [p.name for p in tmp_path.iterdir()] == ["m.oxiconv"]


def test_unbuilt_models_are_refused(tmp_path: Path) -> None:
    model = keras.Sequential([layers.Dense(1)])
    with pytest.raises(ValueError, match="not built"):
        model.save(tmp_path / "m.oxiconv")
    with pytest.raises(ValueError, match="no weights yet"):
        model.save_weights(tmp_path / "w.safetensors")


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The file of a trained model."""
    path = tmp_path_factory.mktemp("saved") / "m.oxiconv"
    model = network()
    fit(model, 1)
    model.save(path)
    return path.read_bytes()


Damage = Callable[[dict[str, Any], dict[str, str]], Any]


def changed(key: str, edit: Callable[[Any], Any]) -> Damage:
    def apply(_: dict[str, Any], metadata: dict[str, str]) -> None:
        metadata[key] = json.dumps(edit(json.loads(metadata[key])))

    return apply


def with_class(name: Any) -> Damage:
    def edit(config: Any) -> Any:
        config["config"]["layers"][1]["class_name"] = name
        config["config"]["layers"][1]["registered_name"] = name
        return config

    return changed("architecture", edit)


def with_filters(value: Any) -> Damage:
    def edit(config: Any) -> Any:
        config["config"]["layers"][1]["config"]["filters"] = value
        return config

    return changed("architecture", edit)


DAMAGES: dict[str, tuple[Damage, str]] = {
    "no format": (lambda t, m: m.pop("format"), "whole model"),
    "other version": (lambda t, m: m.update(version="7"), "version"),
    "no architecture": (lambda t, m: m.pop("architecture"), "architecture"),
    "no json": (lambda t, m: m.update(architecture="{"), "architecture"),
    "a list": (lambda t, m: m.update(architecture="[]"), "JSON object"),
    "deep json": (lambda t, m: m.update(architecture="[" * 100_000 + "]" * 100_000), "architecture"),
    "a number": (changed("architecture", lambda _: {"class_name": 3, "config": {}}), "class_name"),
    "no model": (changed("architecture", lambda _: {"x": 1}), "expected a model"),
    "another object": (
        changed("architecture", lambda _: keras.saving.serialize_keras_object(layers.Dense(1))),
        "expected a model",
    ),
    "unknown class": (with_class("Malware"), "'Malware'"),
    "a private name": (with_class("_tracked"), "'_tracked'"),
    "a builtin": (with_class("eval"), "'eval'"),
    "a class that is a list": (with_class([1]), "string"),
    "wrong filters": (with_filters("many"), "Conv2D"),
    "other filters": (with_filters(7), "shape"),
    "config is a list": (
        changed("architecture", lambda c: {**c, "config": [1, 2]}),
        "expected a dict as config",
    ),
    "layers is a number": (changed("architecture", lambda c: {**c, "config": {"layers": 3}}), "architecture"),
    "missing weight": (lambda t, m: t.pop("conv2d/kernel"), "'conv2d/kernel' is missing"),
    "extra weight": (lambda t, m: t.update(extra=np.zeros(1, np.float32)), "'extra' is not in the model"),
    "weight of another shape": (
        lambda t, m: t.update({"dense/bias": np.zeros(3, np.float32)}),
        r"'dense/bias' has shape \(3,\)",
    ),
    "weight of another type": (lambda t, m: t.update({"dense/bias": np.zeros(2, np.int32)}), "int32"),
    "missing slot": (lambda t, m: t.pop(next(k for k in t if k.startswith("__optimizer"))), "is missing"),
    "missing seed": (lambda t, m: t.pop(next(k for k in t if k.startswith("__seed"))), "is missing"),
    "wrong optimizer": (changed("compile", lambda c: {**c, "optimizer": 3}), "compile"),
    "unknown argument": (changed("compile", lambda c: {**c, "nope": 3}), "compile"),
    "wrong seed": (changed("training", lambda c: {**c, "shuffle_seed": "x"}), "seed"),
    "negative count": (changed("training", lambda c: {**c, "shuffle_count": -1}), "count"),
}


@pytest.mark.parametrize("kind", DAMAGES)
def test_damaged_models(tmp_path: Path, saved: bytes, kind: str) -> None:
    path = tmp_path / "m.oxiconv"
    path.write_bytes(saved)
    tensors, metadata = load_safetensors(str(path))
    damage, message = DAMAGES[kind]
    damage(tensors, metadata)
    save_safetensors(str(path), tensors, metadata)
    with pytest.raises(FileFormatError, match=message) as caught:
        saving.load_model(path)
    assert "m.oxiconv" in str(caught.value)


@pytest.mark.parametrize("keep", [0, 4, 8, 100, -1])
def test_truncated_files(tmp_path: Path, saved: bytes, keep: int) -> None:
    path = tmp_path / "m.oxiconv"
    path.write_bytes(saved[:keep])
    with pytest.raises(FileFormatError, match=r"m\.oxiconv"):
        saving.load_model(path)


def test_a_header_longer_than_the_file(tmp_path: Path) -> None:
    path = tmp_path / "m.oxiconv"
    path.write_bytes(struct.pack("<Q", 2**40) + b"{}")
    with pytest.raises(FileFormatError, match=r"m\.oxiconv"):
        saving.load_model(path)
