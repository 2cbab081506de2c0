"""The table that `Model.summary` prints."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from oxiconv import tree
from oxiconv.dtype import itemsize
from oxiconv.layers.layer import Layer
from oxiconv.symbolic import FunctionOperation, Operation

if TYPE_CHECKING:
    from oxiconv.models.model import Model
    from oxiconv.variable import Variable


def print_summary(
    model: Model,
    line_length: int | None,
    positions: Sequence[float] | None,
    print_fn: Callable[[str], Any] | None,
    expand_nested: bool,
    show_trainable: bool,
    layer_range: Sequence[str] | None,
) -> None:
    """Prints the layers of `model` and the totals of their parameters. Arguments: see `Model.summary`."""
    plain = _is_plain(model)
    operations = _listed(model)
    header = ["Layer (type)", "Output Shape", "Param #"]
    ends = list(positions) if positions is not None else [0.45, 0.80, 1.0] if plain else [0.3, 0.56, 0.74, 1.0]
    length = 88 if plain else 108
    if not plain:
        header.append("Connected to")
    if show_trainable:
        header.append("Trainable")
        length += 12
        ends = [*(end * 0.9 for end in ends), 1.0]
    if len(ends) != len(header):
        raise ValueError(f"summary: expected {len(header)} positions, got {len(ends)}")
    if line_length is None:
        import shutil

        line_length = max(60, min(length, shutil.get_terminal_size().columns - 4))
    if layer_range is not None:
        operations = _range(operations, layer_range)
    rows = [row for op in operations for row in _rows(op, model, plain, expand_nested, show_trainable, 0)]
    text = "\n".join([f'Model: "{model.name}"', *_table(header, rows, ends, line_length), *_totals(model)])
    (print_fn or print)(text)


def _listed(model: Any) -> list[Operation]:
    if model._is_chain or model._graph is None:
        return list(model.layers)
    return list(model._graph.operations)


def _is_plain(model: Any) -> bool:
    """Whether the model is a chain, so that a column of connections would say nothing."""
    if model._is_chain or model._graph is None:
        return True
    nodes = model._graph.nodes
    used = [id(t) for node in nodes for t in node.inputs]
    return len(nodes) == len(model._graph.operations) and len(set(used)) == len(used) == len(nodes) - 1


def _rows(op: Any, model: Any, plain: bool, nested: bool, trainable: bool, level: int) -> list[list[str]]:
    name = f"{'   ' * level + '└ ' if level else ''}{op.name} ({_kind(op)})"
    row = [name, _shape(op), _params(op)]
    if not plain:
        row.append(_connections(op, model) if level == 0 else "-")
    if trainable:
        row.append("-" if not getattr(op, "weights", None) else "Y" if op.trainable else "N")
    rows = [row]
    if nested and hasattr(op, "layers"):
        for layer in op.layers:
            rows += _rows(layer, model, plain, nested, trainable, level + 1)
    return rows


def _kind(op: Operation) -> str:
    """The class as Keras writes it: functions have their own names, models of a graph are functional."""
    if isinstance(op, FunctionOperation):
        return "".join(map(str.capitalize, op.function.__name__.split("_")))
    name = type(op).__name__
    return "Functional" if name == "Model" else name


def _shape(op: Any) -> str:
    shapes: Any
    if op.nodes:
        shapes = tree.map_structure(lambda t: t.shape, op.nodes[-1].outputs)
    elif getattr(op, "_graph", None) is not None:
        shapes = tree.map_structure(lambda t: t.shape, op._graph.outputs_structure)
    elif isinstance(op, Layer) and op.built and op._build_shapes:
        try:
            shapes = op.compute_output_shape(**op._build_shapes)
        except (NotImplementedError, TypeError, ValueError):
            return "?"
    else:
        return "?"
    return str(shapes[0] if isinstance(shapes, list) and len(shapes) == 1 else shapes)


def _params(op: Any) -> str:
    if not isinstance(op, Layer):
        return "0"
    return f"{op.count_params():,}" if op.built else "0 (unbuilt)"


def _connections(op: Operation, model: Any) -> str:
    inside = {id(node) for node in model._graph.nodes}
    parts = []
    for node in op.nodes:
        for tensor in node.inputs if id(node) in inside else ():
            maker = tensor.node
            if maker is not None:
                index = [id(n) for n in maker.operation.nodes].index(id(maker))
                parts.append(f"{maker.operation.name}[{index}][{tensor.index}]")
    return ", ".join(parts) or "-"


def _range(operations: list[Operation], bounds: Sequence[str]) -> list[Operation]:
    if len(bounds) != 2:
        raise ValueError(f"summary: expected a layer_range of two names, got {bounds!r}")
    import re

    places = []
    for bound in bounds:
        found = [i for i, op in enumerate(operations) if re.match(bound, op.name)]
        if not found:
            raise ValueError(f"summary: expected a name of a layer in layer_range, got {bound!r}")
        places += [found[0], found[-1]]
    return operations[min(places) : max(places) + 1]


def _table(header: list[str], rows: list[list[str]], ends: list[float], length: int) -> list[str]:
    edges = [0, *(int(end * length) for end in ends)]
    widths = [b - a for a, b in itertools.pairwise(edges)]
    widths = _fit(widths, length)
    if min(widths) < 4:
        raise ValueError(f"summary: expected a line_length for columns of at least 4, got {length}")

    def line(left: str, fill: str, cross: str, end: str) -> str:
        return left + cross.join(fill * (width + 2) for width in widths) + end

    def cells(row: list[str], bar: str, bottom: bool) -> list[str]:
        columns = [_wrap(text, width) for text, width in zip(row, widths, strict=True)]
        height = max(map(len, columns))
        padded = [[""] * (height - len(c)) + c if bottom else c + [""] * (height - len(c)) for c in columns]
        justified = [
            [_JUSTIFY[title](text, width) for text in column]
            for title, column, width in zip(header, padded, widths, strict=True)
        ]
        return [bar + bar.join(f" {text} " for text in texts) + bar for texts in zip(*justified, strict=True)]

    body = [line("┏", "━", "┳", "┓"), *cells(header, "┃", True), line("┡", "━", "╇", "┩")]
    for i, row in enumerate(rows):
        body += [line("├", "─", "┼", "┤")] if i else []
        body += cells(row, "│", False)
    return [*body, line("└", "─", "┴", "┘")]


_JUSTIFY: dict[str, Callable[[str, int], str]] = {
    "Layer (type)": str.ljust,
    "Output Shape": str.ljust,
    "Param #": str.rjust,
    "Connected to": str.ljust,
    "Trainable": lambda text, width: f"{text:^{width}}",
}


def _fit(widths: list[int], length: int) -> list[int]:
    """The widths of the texts, made less so that the table with its padding and borders has the length."""
    excess = sum(widths) + 3 * len(widths) + 1 - length
    fitted = []
    for left, width in zip(range(len(widths), 0, -1), widths, strict=True):
        cut = min(round(excess / left), width + 1)
        fitted.append(width - cut)
        excess -= cut
    return fitted


def _wrap(text: str, width: int) -> list[str]:
    """Lines of at most a width; a longer word is cut off."""
    import textwrap

    prefix = text[: len(text) - len(text.lstrip())]
    lines = textwrap.wrap(text.lstrip(), width - len(prefix), break_long_words=False, break_on_hyphens=False) or [""]
    lines = [prefix + lines[0], *textwrap.wrap(text.lstrip()[len(lines[0]) :].strip(), width, break_long_words=False)]
    return [line if len(line) <= width else line[: width - 1] + "…" for line in lines]


def _totals(model: Any) -> list[str]:
    kinds = [("Trainable", model.trainable_weights), ("Non-trainable", model.non_trainable_weights)]
    optimizer = getattr(model, "optimizer", None)
    if optimizer is not None and getattr(optimizer, "built", False):
        kinds.append(("Optimizer", optimizer.variables))
    counts = [(kind, *_count(variables)) for kind, variables in kinds]
    total = ("Total", sum(n for _, n, _ in counts), sum(b for _, _, b in counts))
    return [f" {kind} params: {n:,} ({_memory(size)})" for kind, n, size in (total, *counts)]


def _count(variables: Sequence[Variable]) -> tuple[int, int]:
    """Elements and bytes."""
    sizes = [(int(np.prod(v.shape, dtype=np.int64)), itemsize(v.dtype)) for v in variables]
    return sum(n for n, _ in sizes), sum(n * width for n, width in sizes)


def _memory(size: float) -> str:
    for unit in ("B", "KB", "MB", "GB"):
        if size < 1024:
            return f"{size:.2f} {unit}"
        size /= 1024
    return f"{size:.2f} TB"
