"""Configurations of layers and models: those that real Keras 3 writes for the same objects."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

import oxiconv
from oxiconv import layers, saving
from reference.configurations import FILE, LAYERS, OBJECTS, SUMMARIES, plain

RECORDED: dict[str, Any] = json.loads(FILE.read_text())


@pytest.fixture(autouse=True)
def _fresh_names() -> None:
    oxiconv.backend.clear_session()


def test_the_record_is_whole() -> None:
    assert RECORDED.keys() == OBJECTS.keys()


@pytest.mark.parametrize("name", [name for name in LAYERS if hasattr(layers, name)])
def test_layers(name: str) -> None:
    assert plain(OBJECTS[f"layers.{name}"](oxiconv)) == RECORDED[f"layers.{name}"]


@pytest.mark.parametrize("name", [name for name in LAYERS if hasattr(layers, name)])
def test_layers_are_made_of_what_keras_wrote(name: str) -> None:
    layer = getattr(layers, name).from_config(RECORDED[f"layers.{name}"])
    assert plain(layer.get_config()) == RECORDED[f"layers.{name}"]


def test_common_arguments() -> None:
    assert plain(OBJECTS["with_common_arguments"](oxiconv)) == RECORDED["with_common_arguments"]


@pytest.mark.parametrize("name", ["sequential", "deferred"])
def test_chains(name: str) -> None:
    written = plain(OBJECTS[name](oxiconv))
    assert written["config"] == RECORDED[name]["config"]
    assert written["build_config"] == RECORDED[name]["build_config"]
    again = saving.deserialize_keras_object(RECORDED[name])
    assert plain(again.get_config()) == RECORDED[name]["config"]


def test_a_functional_model_is_made_of_what_keras_wrote() -> None:
    model = saving.deserialize_keras_object(RECORDED["functional"])
    assert [layer.name for layer in model.layers] == [
        entry["name"] for entry in RECORDED["functional"]["config"]["layers"] if "ops" not in entry["module"]
    ]
    assert model.input_names == ["a", "b"]
    outputs = model({"a": np.ones((2, 4)), "b": np.ones((2, 4), np.int32)})
    assert {key: value.shape for key, value in outputs.items()} == {"y": (2, 6), "z": (2,)}
    assert model.get_layer("inner").built


@pytest.mark.parametrize("name", SUMMARIES)
def test_summaries(name: str) -> None:
    """Line by line what Keras prints, in a terminal that is wide enough."""
    assert OBJECTS[f"summary {name}"](oxiconv) == RECORDED[f"summary {name}"]
