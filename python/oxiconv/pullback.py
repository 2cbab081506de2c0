"""From cotangents of results to those of what they were computed of, through gradients of one's own too."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from oxiconv import _core
from oxiconv._core import Tensor
from oxiconv.tensor import convert

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from oxiconv.trace import Trace

    # Cotangents of sources, given a target and its cotangent (ones if None); None where unconnected.
    Pullback = Callable[[Tensor, Sequence[Tensor], Tensor | None], list[Tensor | None]]


@dataclass(eq=False)
class Custom:
    """Something computed that has a gradient function of its own.

    Attributes:
        inputs: what it was computed of.
        outputs: detached results.
        gradient: takes the cotangents of the outputs, gives those of the inputs.
    """

    inputs: Sequence[Tensor]
    outputs: Sequence[Tensor]
    gradient: Callable[..., Sequence[Tensor | None]]


def pull(
    pullback: Pullback, custom: Sequence[Custom], target: Tensor, sources: Sequence[Tensor], seed: Tensor | None
) -> list[Tensor | None]:
    """Cotangents of `sources`, through what `pullback` knows and through `custom` in between.

    The outputs of custom functions are first sources like others. What arrives there is then given to their gradient
    functions, last made first, whose results are targets' cotangents again.
    """
    every = [*sources, *(t for node in custom for t in node.outputs)]
    total = pullback(target, every, seed)
    for node in reversed(custom):
        before = len(every) - len(node.outputs)
        arrived, every, total = total[before:], every[:before], total[:before]
        if all(g is None for g in arrived):
            continue
        upstream = [
            convert(np.zeros(t.shape, np.float32), t.dtype) if g is None else g
            for g, t in zip(arrived, node.outputs, strict=True)
        ]
        for t, g in zip(node.inputs, node.gradient(*upstream), strict=True):
            if g is not None:
                total = [add(a, b) for a, b in zip(total, pullback(t, every, g), strict=True)]
    return total


def graph_gradient(
    active: Trace, target: Tensor, sources: Sequence[Tensor], seed: Tensor | None = None
) -> list[Tensor | None]:
    """Cotangents of values of a trace; None where unconnected."""

    def pullback(of: Tensor, to: Sequence[Tensor], weights: Tensor | None) -> list[Tensor | None]:
        # A value with data does not depend on one that is traced, nor is it a source of the trace.
        known = [s for s in to if s.traced]
        weighted = of if weights is None else _core.binary("mul", of, _core.detach(weights))
        found = iter(active.graph.grad(weighted, known) if of.traced else [None] * len(known))
        return [next(found) if s.traced else None for s in to]

    return pull(pullback, active.custom, target, sources, seed)


def add(a: Tensor | None, b: Tensor | None) -> Tensor | None:
    """The sum of what is there."""
    if a is None or b is None:
        return a if b is None else b
    return _core.binary("add", a, b)
