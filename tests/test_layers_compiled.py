"""Every layer, eager against compiled: outputs, gradients, updated state, in inference and in training."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from oxiconv import GradientTape, Variable, layers, ops
from oxiconv.layers import Layer
from oxiconv.trace import Trace
from test_layers import KERAS

Array = Any
U = 2.0**-24


def work(layer: Layer, inputs: list[Any], training: bool) -> list[Any]:
    """The outputs, and the gradients of a curved function of them for inputs and weights; None where unconnected."""
    with GradientTape() as tape:
        tape.watch(inputs)
        outputs = layer(inputs if len(inputs) > 1 else inputs[0], training=training)
        loss = ops.sum(outputs * ops.cos(outputs))
    return [outputs, *tape.gradient(loss, [*inputs, *layer.trainable_weights])]


# What takes whole numbers, and what eagerly leaves out the layers that chance did not choose, and so their gradients:
# test_preprocessing.py.
ELSEWHERE = (layers.CategoryEncoding, layers.RandAugment, layers.AugMix)


def state(layer: Layer) -> list[tuple[Variable, Array]]:
    return [(v, v.numpy().copy()) for v in layer.variables]


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize(("cls", "arguments", "shape"), [row[:3] for row in KERAS if row[0] not in ELSEWHERE])
def test_compiled_equals_eager(cls: Any, arguments: dict[str, Any], shape: Any, training: bool) -> None:
    layer: Layer = cls(**arguments)
    shapes = [(5, *(7 if n is None else n for n in s[1:])) for s in (shape if isinstance(shape, list) else [shape])]
    arrays = [np.random.default_rng(i).standard_normal(s).astype(np.float32) for i, s in enumerate(shapes)]
    layer(arrays if len(arrays) > 1 else arrays[0])
    layer.set_weights([np.random.default_rng(i).uniform(0.5, 1.5, w.shape) for i, w in enumerate(layer.weights)])
    before = state(layer)
    eager = work(layer, [ops.convert_to_tensor(x) for x in arrays], training)
    wanted = [x.numpy() for x in eager if x is not None] + [value for _, value in state(layer)]

    for variable, value in before:
        variable.assign(value)
    with Trace() as trace:
        traced = work(layer, [trace.graph.input(x.shape, "float32") for x in arrays], training)
        step = trace.compile([x for x in traced if x is not None])
    got = [x.numpy() for x in step.run(arrays)] + [value for _, value in state(layer)]
    assert [x is None for x in traced] == [x is None for x in eager]

    # The same operations, but sums may be taken in another order: each is off by at most a rounding per term, of the
    # terms' magnitude, and no sum has more terms than there are inputs and weights.
    terms = sum(x.size for x in arrays) + sum(v.size for v in layer.weights)
    for a, b in zip(got, wanted, strict=True):
        assert a.shape == b.shape
        np.testing.assert_allclose(a, b, rtol=0, atol=terms * U * max(1.0, float(np.abs(b).max(initial=0))))
