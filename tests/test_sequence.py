"""Layers for sequences: what recorded values do not show."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

import oxiconv as keras
from oxiconv import layers, ops
from oxiconv.layers.attention.multi_head_attention import HeadedAttention
from oxiconv.saving.serialization import deserialize_keras_object, serialize_keras_object
from oxiconv.trace import Trace
from sequence_layers import ROWS


@pytest.mark.parametrize(("cls", "arguments", "shape", "wanted", "parameters"), ROWS)
def test_shapes_parameters_and_configuration(
    cls: Any, arguments: dict[str, Any], shape: Any, wanted: Any, parameters: int
) -> None:
    layer = cls(**arguments, name="one")
    attends = isinstance(layer, HeadedAttention)  # they take query and value
    shapes = (shape, shape) if attends else (shape,)
    assert tuple(layer.compute_output_shape(*shapes)) == wanted
    layer.build(*shapes)
    assert layer.count_params() == parameters
    # Through JSON, as a saved model does it.
    config = json.loads(json.dumps(serialize_keras_object(layer)))
    again = deserialize_keras_object(config)
    assert type(again) is cls
    assert json.loads(json.dumps(serialize_keras_object(again))) == config
    assert tuple(again.compute_output_shape(*shapes)) == wanted
    for name, value in arguments.items():
        assert name in layer.get_config(), value
    # A node of a model has that shape, and so has what is computed.
    inputs = [keras.Input(batch_shape=s) for s in (shape if isinstance(shape, list) else [shape])]
    outputs = layer(*inputs * 2) if attends else layer(inputs if len(inputs) > 1 else inputs[0])
    if isinstance(wanted[0], tuple):
        assert tuple(t.shape for t in outputs) == wanted
        return
    assert outputs.shape == wanted
    known = [np.ones([n or 2 for n in s], np.float32) for s in (shape if isinstance(shape, list) else [shape])]
    computed = keras.Model(inputs, outputs)(known)
    assert computed.shape == tuple(n or 2 for n in wanted)


@pytest.mark.parametrize("name", ["SimpleRNN", "GRU", "LSTM"])
def test_sizes_that_a_recurrent_layer_was_not_built_for(name: str) -> None:
    layer, cell = getattr(layers, name)(4, name="mine"), getattr(layers, f"{name}Cell")(4, name="mine")
    over = layers.RNN(getattr(layers, f"{name}Cell")(4), name="over")
    both = layers.Bidirectional(getattr(layers, name)(4, name="inner"))
    count = 2 if name == "LSTM" else 1
    states = [np.zeros((2, 4))] * count
    for call in (layer, over, both):
        call(np.ones((2, 5, 3)))
    cell(np.ones((2, 3)), states)
    with pytest.raises(keras.ShapeError, match=f"{name} 'mine': expected size 3 of axis -1, got shape \\(2, 5, 7\\)"):
        layer(np.ones((2, 5, 7)))
    with pytest.raises(keras.ShapeError, match=r"RNN 'over': expected size 3 of axis -1, got shape \(2, 5, 7\)"):
        over(np.ones((2, 5, 7)))
    with pytest.raises(keras.ShapeError, match=f"{name} 'forward_inner': expected size 3 of axis -1"):
        both(np.ones((2, 5, 7)))
    with pytest.raises(keras.ShapeError, match=f"{name}Cell 'mine': expected size 3 of axis -1, got shape \\(2, 7\\)"):
        cell(np.ones((2, 7)), states)
    with pytest.raises(keras.ShapeError, match=f"{name} 'mine': expected size 3 of axis -1"):
        layer(keras.Input((5, 7)))
    with pytest.raises(keras.ShapeError, match=r"'mine': expected states of shape \(2, 4\), got \(2, 6\)"):
        layer(np.ones((2, 5, 3)), initial_state=[np.ones((2, 6))] * count)
    # Another time, and unknown ones, are fine.
    assert layer(np.ones((2, 9, 3))).shape == (2, 4)
    assert layer(keras.Input((None, 3))).shape == (None, 4)


@pytest.mark.parametrize(
    ("data_format", "shape", "axis"), [("channels_last", (6, 6, 3), -1), ("channels_first", (3, 6, 6), -3)]
)
def test_channels_that_a_convolutional_one_was_not_built_for(data_format: str, shape: Any, axis: int) -> None:
    layer = layers.ConvLSTM2D(4, 3, data_format=data_format, name="mine")
    layer(np.ones((2, 5, *shape)))
    wrong = tuple(7 if n == 3 else n for n in shape)
    with pytest.raises(keras.ShapeError, match=f"ConvLSTM2D 'mine': expected size 3 of axis {axis}, got shape"):
        layer(np.ones((2, 5, *wrong)))


def test_more_parts_than_one_step_reads() -> None:
    parts = [np.full((2, 1), i, np.float32) for i in range(2100)]
    joined = ops.concatenate(parts, axis=1)
    assert np.array_equal(joined.numpy(), np.concatenate(parts, axis=1))


@pytest.mark.parametrize("tail", ["mask", "bias", "relu", "residual"])
def test_what_follows_a_stack_of_matrix_products(tail: str) -> None:
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((4, 2, 3, 5)), rng.standard_normal((4, 2, 5, 6))
    seen, bias = np.tri(3, 6, dtype=bool), rng.standard_normal(6).astype(np.float32)
    add = rng.standard_normal((4, 2, 3, 6)).astype(np.float32)
    tails: dict[str, tuple[Any, Any]] = {
        "mask": (lambda y: ops.where(seen, y * 0.5, -1e9), lambda y: np.where(seen, y * 0.5, -1e9)),
        "bias": (lambda y: y + bias, lambda y: y + bias),
        "relu": (lambda y: ops.relu(y + bias), lambda y: np.maximum(y + bias, 0)),
        "residual": (lambda y: ops.tanh(y) + add, lambda y: np.tanh(y) + add),
    }
    ours, oracle = tails[tail]
    x, z = a.astype(np.float32), b.astype(np.float32)
    with Trace() as trace:
        inputs = [trace.graph.input(v.shape, "float32") for v in (x, z)]
        step = trace.compile([ours(ops.matmul(*inputs))])
    # Five products and three operations of values up to 20: 20 * 8 * 2^-24.
    np.testing.assert_allclose(step.run([x, z])[0].numpy(), oracle(x.astype(np.float64) @ z), atol=1e-5)
