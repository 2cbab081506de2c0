"""Layers for sequences: arguments, shapes of inputs and outputs, and numbers of parameters, as Keras 3 gives them."""

from typing import Any

from oxiconv import layers

Row = tuple[type, dict[str, Any], Any, Any, int]

# Class, arguments, input shape, output shape, parameters.
ROWS: list[Row] = [
    (layers.SimpleRNN, {"units": 4}, (None, 5, 3), (None, 4), 32),
    (layers.GRU, {"units": 4, "return_sequences": True}, (None, None, 3), (None, None, 4), 108),
    (layers.GRU, {"units": 4, "reset_after": False}, (None, 5, 3), (None, 4), 96),
    (layers.LSTM, {"units": 4, "dropout": 0.1, "seed": 3}, (None, 5, 3), (None, 4), 128),
    (layers.LSTM, {"units": 4, "return_state": True}, (None, 5, 3), ((None, 4), (None, 4), (None, 4)), 128),
    (layers.ConvLSTM1D, {"filters": 2, "kernel_size": 3}, (None, 4, 8, 1), (None, 6, 2), 80),
    (
        layers.ConvLSTM2D,
        {"filters": 2, "kernel_size": 3, "padding": "same", "return_sequences": True},
        (None, None, 8, 6, 1),
        (None, None, 8, 6, 2),
        224,
    ),
    (layers.ConvLSTM2D, {"filters": 2, "kernel_size": 3, "strides": 2}, (2, 3, 8, 6, 1), (2, 3, 2, 2), 224),
    (
        layers.ConvLSTM2D,
        {"filters": 2, "kernel_size": 3, "data_format": "channels_first"},
        (None, 3, 1, 8, 6),
        (None, 2, 6, 4),
        224,
    ),
    (layers.ConvLSTM3D, {"filters": 1, "kernel_size": 2}, (None, 2, 4, 4, 4, 1), (None, 3, 3, 3, 1), 68),
    (layers.RNN, {"cell": layers.LSTMCell(4)}, (None, 5, 3), (None, 4), 128),
    (
        layers.RNN,
        {"cell": layers.StackedRNNCells([layers.GRUCell(4), layers.SimpleRNNCell(2)]), "return_sequences": True},
        (None, 5, 3),
        (None, 5, 2),
        122,
    ),
    (layers.Bidirectional, {"layer": layers.LSTM(4)}, (None, 5, 3), (None, 8), 256),
    (
        layers.Bidirectional,
        {"layer": layers.GRU(4, return_sequences=True), "merge_mode": "sum"},
        (None, 5, 3),
        (None, 5, 4),
        216,
    ),
    (layers.TimeDistributed, {"layer": layers.Dense(4)}, (None, 5, 3), (None, 5, 4), 16),
    (layers.TimeDistributed, {"layer": layers.Conv2D(2, 3)}, (None, None, 8, 8, 1), (None, None, 6, 6, 2), 20),
    (layers.Embedding, {"input_dim": 7, "output_dim": 3, "mask_zero": True}, (None, 5), (None, 5, 3), 21),
    (layers.Masking, {"mask_value": 2.0}, (None, 5, 3), (None, 5, 3), 0),
    (
        layers.EinsumDense,
        {"equation": "abc,cd->abd", "output_shape": (None, 4), "bias_axes": "d"},
        (None, 5, 3),
        (None, 5, 4),
        16,
    ),
    (layers.Attention, {"use_scale": True}, [(None, 5, 3), (None, 4, 3)], (None, 5, 3), 1),
    (layers.AdditiveAttention, {"dropout": 0.2}, [(None, 5, 3), (None, 4, 3)], (None, 5, 3), 3),
    (layers.MultiHeadAttention, {"num_heads": 2, "key_dim": 3, "output_shape": 5}, (None, 4, 8), (None, 4, 5), 197),
    (
        layers.GroupQueryAttention,
        {"head_dim": 3, "num_query_heads": 4, "num_key_value_heads": 2},
        (None, 4, 8),
        (None, 4, 8),
        320,
    ),
]

# Classes that are parts of others, or bases.
PARTS = {layers.SimpleRNNCell, layers.GRUCell, layers.LSTMCell, layers.StackedRNNCells, layers.Wrapper}
