"""Models as graphs in the DOT language, drawn by Graphviz where it is installed."""

from __future__ import annotations

import html
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from oxiconv import tree

_CELL: Final = '<td bgcolor="{colour}" colspan="{span}"><font point-size="{size}" color="{ink}">{text}</font></td>'


@dataclass
class Dot:
    """A graph in the DOT language: `str(dot)` is its text."""

    attributes: dict[str, Any]
    lines: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        """The text."""
        attributes = "".join(f"  {key}={_quoted(value)};\n" for key, value in self.attributes.items())
        return "digraph G {\n" + attributes + "  node [shape=plain];\n" + "\n".join(self.lines) + "\n}\n"

    def to_string(self) -> str:
        """The text."""
        return str(self)

    def create(self, prog: str = "dot", format: str = "png") -> bytes:
        """The drawing, made by Graphviz.

        Raises:
            ImportError: Graphviz is not installed.
        """
        program = shutil.which(prog)
        if program is None:
            raise ImportError(f"Drawing a model needs Graphviz (https://graphviz.org): there is no program {prog!r}.")
        done = subprocess.run([program, f"-T{format}"], input=str(self).encode(), capture_output=True, check=False)
        if done.returncode != 0:
            raise RuntimeError(f"{prog} failed: {done.stderr.decode(errors='replace').strip()}")
        return done.stdout

    def write(self, path: str | os.PathLike[str], prog: str = "dot", format: str = "raw") -> None:
        """Writes the drawing to a file; the text for the formats "raw" and "dot"."""
        raw = format in ("raw", "dot")
        Path(path).write_bytes(str(self).encode() if raw else self.create(prog, format))


def model_to_dot(
    model: Any,
    show_shapes: bool = False,
    show_dtype: bool = False,
    show_layer_names: bool = True,
    rankdir: str = "TB",
    expand_nested: bool = False,
    dpi: int = 200,
    subgraph: bool = False,
    show_layer_activations: bool = False,
    show_trainable: bool = False,
    splines: str = "ortho",
    **kwargs: Any,
) -> Dot:
    """The graph of a model: a box for each layer, an arrow for each tensor between them.

    Args:
        model: a built model; one of a subclass is a single box.
        show_shapes: write the shapes of inputs and outputs.
        show_dtype: write the type of outputs.
        show_layer_names: write the names beside the classes.
        rankdir: "TB" from the top down, "LR" from left to right.
        expand_nested: draw models within the model as frames with their layers.
        dpi: of the drawing.
        subgraph: draw the model itself in a frame.
        show_layer_activations: write the activations of layers that have one.
        show_trainable: write whether layers with weights are trainable.
        splines: "ortho", "curved", "polyline", "spline" or "line".
        **kwargs: none are known.

    Returns:
        An object whose `str` is the text; `write` and `create` draw it with Graphviz.

    Raises:
        ValueError: the model is not built, or an argument is unknown.

    >>> from oxiconv import Sequential, layers
    >>> print(model_to_dot(Sequential([layers.Input((3,)), layers.Dense(2), layers.ReLU()])).lines[-1])
    n0 -> n1 [penwidth=2];
    """
    if kwargs:
        raise ValueError(f"model_to_dot: unknown arguments {', '.join(map(repr, kwargs))}.")
    if not model.built:
        raise ValueError(f"model_to_dot: model {model.name!r} is not built; call build() or the model on data.")
    dot = Dot({"rankdir": rankdir, "concentrate": "true", "dpi": dpi, "splines": splines})
    labels = _Labels(show_shapes, show_dtype, show_layer_names, show_layer_activations, show_trainable)
    _Drawing(dot, labels, expand_nested).draw(model, framed=subgraph)
    return dot


def plot_model(
    model: Any,
    to_file: str | os.PathLike[str] = "model.png",
    show_shapes: bool = False,
    show_dtype: bool = False,
    show_layer_names: bool = False,
    rankdir: str = "TB",
    expand_nested: bool = False,
    dpi: int = 200,
    show_layer_activations: bool = False,
    show_trainable: bool = False,
    splines: str = "ortho",
    **kwargs: Any,
) -> Any:
    """Draws a model to a file; see `model_to_dot`.

    The format is what the file's name ends in. Without Graphviz, the graph's text is written beside it, with the ending
    .dot, and a message says so.

    Returns:
        An image object of IPython where that is running, otherwise None.
    """
    dot = model_to_dot(
        model,
        show_shapes=show_shapes,
        show_dtype=show_dtype,
        show_layer_names=show_layer_names,
        rankdir=rankdir,
        expand_nested=expand_nested,
        dpi=dpi,
        show_layer_activations=show_layer_activations,
        show_trainable=show_trainable,
        splines=splines,
        **kwargs,
    )
    path = Path(to_file)
    format = path.suffix[1:].lower() or "png"
    try:
        dot.write(path, format=format)
    except ImportError as error:
        text = path.with_suffix(".dot")
        dot.write(text)
        print(f"plot_model: {error} The graph's text is in {text}.", flush=True)
        return None
    return _shown(path) if format in ("png", "jpg", "jpeg", "gif") else None


def _shown(path: Path) -> Any:
    notebook = sys.modules.get("IPython")
    return None if notebook is None else notebook.display.Image(filename=str(path))


@dataclass(frozen=True)
class _Labels:
    shapes: bool
    dtype: bool
    names: bool
    activations: bool
    trainable: bool

    def of(self, layer: Any) -> str:
        """A table in Graphviz's HTML: a dark title, and cells with what is shown."""
        kind = type(layer).__name__
        node = layer.nodes[-1] if getattr(layer, "nodes", None) else None
        cells: list[tuple[str, str, str]] = []
        if self.shapes:
            if kind != "InputLayer":
                cells.append((f"Input shape: <b>{_shapes(node and node.inputs)}</b>", "white", "black"))
            cells.append((f"Output shape: <b>{_shapes(node and node.outputs)}</b>", "white", "black"))
        if self.dtype:
            types = {str(t.dtype) for t in tree.flatten(node.outputs)} if node else {"?"}
            cells.append((f"Output dtype: <b>{', '.join(sorted(types))}</b>", "white", "black"))
        if self.trainable and getattr(layer, "weights", None):
            state = ("Trainable", "forestgreen") if layer.trainable else ("Non-trainable", "firebrick")
            cells.append((f"<b>{state[0]}</b>", state[1], "white"))
        span = max(1, len(cells))
        title = f"<b>{_text(layer.name)}</b> ({kind})" if self.names else f"<b>{kind}</b>"
        lines = [_CELL.format(colour="black", span=span, size=16, ink="white", text=title)]
        activation = getattr(layer, "activation", None)
        if self.activations and activation is not None:
            name = getattr(activation, "name", None) or getattr(activation, "__name__", None) or str(activation)
            text = f"Activation: <b>{_text(name)}</b>"
            lines.append(_CELL.format(colour="white", span=span, size=14, ink="black", text=text))
        if cells:
            row = (_CELL.format(colour=c, span=1, size=14, ink=ink, text=text) for text, c, ink in cells)
            lines.append("".join(row))
        table = "".join(f"<tr>{line}</tr>" for line in lines)
        return f'<<table border="0" cellborder="1" bgcolor="black" cellpadding="10">{table}</table>>'


class _Drawing:
    def __init__(self, dot: Dot, labels: _Labels, expand: bool) -> None:
        self._dot = dot
        self._labels = labels
        self._expand = expand
        self._names: dict[int, str] = {}
        self._edges: set[tuple[str, str]] = set()

    def draw(self, model: Any, framed: bool) -> None:
        """A model's boxes and arrows, in a frame or not."""
        lines = self._dot.lines
        if framed:
            name = f"cluster_{len(self._names)}"
            lines.append(f"subgraph {name} {{\nstyle=dashed;\nlabel={_quoted(model.name)};\nlabeljust=l;")
        graph = getattr(model, "_graph", None)
        for layer in [model] if graph is None else _boxes(model):
            if self._expands(layer) and layer is not model:
                self.draw(layer, framed=True)
            elif id(layer) not in self._names:
                name = self._names[id(layer)] = f"n{len(self._names)}"
                lines.append(f"{name} [label={self._labels.of(layer)}, fontname=Helvetica];")
        if framed:
            lines.append("}")
        for node in [] if graph is None else graph.nodes:
            for index, tensor in enumerate(node.inputs):
                if tensor.node is not None:
                    self._arrow(self._source(tensor), self._target(node.operation, index))

    def _expands(self, layer: Any) -> bool:
        return self._expand and getattr(layer, "_graph", None) is not None

    def _source(self, tensor: Any) -> Any:
        """The layer that makes a tensor, within nested models that are drawn."""
        while self._expands(tensor.node.operation):
            tensor = tensor.node.operation._graph.outputs[tensor.index]
        return tensor.node.operation

    def _target(self, operation: Any, index: int) -> Any:
        """The layer that takes input `index` of an operation."""
        while self._expands(operation):
            inside = operation._graph.inputs[index].node.operation
            operation = operation.layers[0] if operation._is_chain else inside
        return operation

    def _arrow(self, source: Any, target: Any) -> None:
        # A chain's own input has no box.
        ends = (self._names.get(id(source)), self._names.get(id(target)))
        if ends[0] is not None and ends[1] is not None and ends not in self._edges:
            self._edges.add((ends[0], ends[1]))
            self._dot.lines.append(f"{ends[0]} -> {ends[1]} [penwidth=2];")


def _boxes(model: Any) -> Iterator[Any]:
    yield from model.layers if model._is_chain else model._graph.operations


def _shapes(tensors: Any) -> str:
    if tensors is None:
        return "?"
    shapes = [str(tuple(t.shape)) for t in tree.flatten(tensors)]
    return _text(", ".join(shapes))


def _text(text: Any) -> str:
    return html.escape(str(text))


def _quoted(value: Any) -> str:
    text = str(value)
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
