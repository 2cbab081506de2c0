"""Models in the DOT language."""

import re
import shutil
from pathlib import Path
from typing import Any

import pytest

import oxiconv as keras
from oxiconv import layers
from oxiconv.utils import model_to_dot, plot_model


def boxes(dot: Any) -> dict[str, str]:
    """Names of layers by node."""
    return dict(re.findall(r"^(n\d+) \[label=.*?<b>(\w+)</b> \(", str(dot), re.M))


def arrows(dot: Any) -> set[tuple[str, str]]:
    names = boxes(dot)
    return {(names[a], names[b]) for a, b in re.findall(r"^(n\d+) -> (n\d+)", str(dot), re.M)}


def nested() -> keras.Model:
    inner_input = keras.Input((4,), name="inner_in")
    inner = keras.Model(inner_input, layers.Dense(4, name="inner_out")(inner_input), name="inner")
    chain = keras.Sequential([keras.Input((4,)), layers.Dense(4, name="c1"), layers.ReLU(name="c2")], name="chain")
    a = keras.Input((4,), name="a")
    b = inner(a)
    c = chain(b)
    return keras.Model(a, layers.Add(name="add")([b, c]), name="outer")


def test_boxes_and_arrows() -> None:
    dot = model_to_dot(nested())
    assert set(boxes(dot).values()) == {"a", "inner", "chain", "add"}
    assert arrows(dot) == {("a", "inner"), ("inner", "chain"), ("inner", "add"), ("chain", "add")}
    assert 'rankdir="TB"' in dot.to_string()


def test_nested_models_are_expanded() -> None:
    dot = model_to_dot(nested(), expand_nested=True, rankdir="LR")
    assert set(boxes(dot).values()) == {"a", "inner_in", "inner_out", "c1", "c2", "add"}
    assert arrows(dot) == {
        ("a", "inner_in"),
        ("inner_in", "inner_out"),
        ("inner_out", "c1"),
        ("c1", "c2"),
        ("inner_out", "add"),
        ("c2", "add"),
    }
    assert str(dot).count("subgraph") == 2
    assert str(dot).count("{") == str(dot).count("}")
    assert 'rankdir="LR"' in str(dot)


def test_what_boxes_tell() -> None:
    model = keras.Sequential([keras.Input((4, 4, 1)), layers.Conv2D(2, 3, activation="relu", name="conv")])
    model.get_layer("conv").trainable = False
    text = str(model_to_dot(model, True, True, show_layer_activations=True, show_trainable=True))
    for part in (
        "<b>conv</b> (Conv2D)",
        "Input shape: <b>(None, 4, 4, 1)</b>",
        "Output shape: <b>(None, 2, 2, 2)</b>",
        "Output dtype: <b>float32</b>",
        "Activation: <b>relu</b>",
        "<b>Non-trainable</b>",
    ):
        assert part in text
    plain = str(model_to_dot(model, show_layer_names=False))
    assert "<b>Conv2D</b>" in plain
    assert "conv" not in plain.replace("Conv2D", "")


def test_subclasses_are_one_box_and_unbuilt_models_an_error() -> None:
    class Own(keras.Model):
        def __init__(self) -> None:
            super().__init__(name="own")
            self.dense = layers.Dense(2)

        def call(self, x: Any) -> Any:
            return self.dense(x)

    model = Own()
    with pytest.raises(ValueError, match="model 'own' is not built"):
        model_to_dot(model)
    model(keras.ops.ones((1, 3)))
    assert list(boxes(model_to_dot(model)).values()) == ["own"]
    with pytest.raises(ValueError, match="unknown arguments 'colour'"):
        model_to_dot(model, colour=1)


def test_plot_without_graphviz(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert plot_model(nested(), tmp_path / "model.png", show_shapes=True) is None
    assert "needs Graphviz" in capsys.readouterr().out
    assert not (tmp_path / "model.png").exists()
    assert (tmp_path / "model.dot").read_text().startswith("digraph G {")
    plot_model(nested(), tmp_path / "other.dot")
    assert (tmp_path / "other.dot").exists()
    with pytest.raises(ImportError, match="there is no program 'dot'"):
        model_to_dot(nested()).create()


@pytest.mark.skipif(shutil.which("dot") is None, reason="Graphviz is not installed")
def test_plot_with_graphviz(tmp_path: Path) -> None:
    plot_model(nested(), tmp_path / "model.png", show_shapes=True, expand_nested=True)
    assert (tmp_path / "model.png").read_bytes().startswith(b"\x89PNG")


def test_plot_asks_graphviz(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "dot"
    program.write_text('#!/bin/sh\necho "$1"; cat\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    plot_model(nested(), tmp_path / "model.svg")
    assert (tmp_path / "model.svg").read_text().startswith("-Tsvg\ndigraph G {")
    program.write_text("#!/bin/sh\necho bad >&2; exit 3\n")
    with pytest.raises(RuntimeError, match="dot failed: bad"):
        plot_model(nested(), tmp_path / "model.svg")
