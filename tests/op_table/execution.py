"""The ways of running an op: eagerly, compiled on complete tensors, and compiled in shards of a batch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from op_table.case import Array
from oxiconv import GradientTape, Tensor, _core, tree
from oxiconv.trace import Trace

MODES = ["eager", "compiled", "sharded"]


def execute(
    call: Callable[..., Any], inputs: Sequence[Array], cotangents: Sequence[Array] | None, mode: str
) -> tuple[list[Array], list[Array | None]]:
    """Results of `call`, and with `cotangents`, one for each float result, the gradients for its float inputs.

    Sharded: axis 0 is the batch of all inputs that are as long there as the first.
    """
    if mode == "eager":
        outputs, gradients = _differentiate(call, [_core.tensor(a) for a in inputs], cotangents)
        return [y.numpy() for y in outputs], [None if g is None else g.numpy() for g in gradients]
    batch = inputs[0].shape[:1] if inputs else ()
    with Trace() as trace:
        symbols = [
            trace.graph.input(a.shape, a.dtype.name, batched=mode == "sharded" and a.shape[:1] == batch != ())
            for a in inputs
        ]
        outputs, gradients = _differentiate(call, symbols, cotangents)
        every = [*outputs, *gradients]
        results = iter(trace.compile([t for t in every if t is not None and t.traced]).run(inputs))
    values = [None if t is None else (next(results) if t.traced else t).numpy() for t in every]
    return [y for y in values[: len(outputs)] if y is not None], values[len(outputs) :]


def _differentiate(
    call: Callable[..., Any], tensors: list[Tensor], cotangents: Sequence[Array] | None
) -> tuple[list[Tensor], list[Tensor | None]]:
    sources = [t for t in tensors if t.dtype == "float32"]
    with GradientTape() as tape:
        tape.watch(sources)
        outputs = tree.flatten(call(*tensors))
    if cotangents is None:
        return outputs, []
    targets = [y for y in outputs if y.dtype == "float32"]
    seeds = [_core.tensor(np.asarray(g, np.float32)) for g in cotangents]
    return outputs, tape.gradient(targets, sources, output_gradients=seeds)
