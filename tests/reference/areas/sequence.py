"""Recurrent layers, their cells and wrappers."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from reference.case import Array, Library, case

Layers = Any

LAYERS: dict[str, Callable[[Layers], Any]] = {
    "simple": lambda m: m.SimpleRNN(3),
    "simple_sequences": lambda m: m.SimpleRNN(3, activation="relu", use_bias=False, return_sequences=True),
    "gru": lambda m: m.GRU(3),
    "gru_reset_before": lambda m: m.GRU(3, reset_after=False, return_sequences=True),
    "gru_no_bias": lambda m: m.GRU(2, use_bias=False, return_state=True),
    "gru_reset_before_no_bias": lambda m: m.GRU(2, use_bias=False, reset_after=False, activation="relu"),
    "lstm": lambda m: m.LSTM(3),
    "lstm_all": lambda m: m.LSTM(3, return_sequences=True, return_state=True),
    "lstm_backwards": lambda m: m.LSTM(2, go_backwards=True, return_sequences=True, unroll=True),
    "lstm_activations": lambda m: m.LSTM(2, activation="relu", recurrent_activation="hard_sigmoid", use_bias=False),
    "stacked": lambda m: m.RNN([m.LSTMCell(3), m.GRUCell(2), m.SimpleRNNCell(2)], return_sequences=True),
    "cell": lambda m: m.RNN(m.LSTMCell(3), return_sequences=True, go_backwards=True),
    "bidirectional": lambda m: m.Bidirectional(m.LSTM(2)),
    "bidirectional_sequences": lambda m: m.Bidirectional(m.GRU(2, return_sequences=True)),
    "bidirectional_sum": lambda m: m.Bidirectional(m.LSTM(2, return_sequences=True), merge_mode="sum"),
    "bidirectional_mul": lambda m: m.Bidirectional(m.LSTM(2), merge_mode="mul"),
    "bidirectional_none": lambda m: m.Bidirectional(m.LSTM(2, return_sequences=True), merge_mode=None),
    "bidirectional_states": lambda m: m.Bidirectional(m.LSTM(2, return_state=True)),
    "bidirectional_own": lambda m: m.Bidirectional(
        m.LSTM(2, return_sequences=True), backward_layer=m.GRU(3, go_backwards=True, return_sequences=True)
    ),
    "time_distributed": lambda m: m.TimeDistributed(m.Dense(2, activation="tanh")),
}
# Layers with an output per step, and without.
MASKED: dict[str, Callable[[Layers], Any]] = {
    "simple": lambda m: m.SimpleRNN(3),
    "gru_sequences": lambda m: m.GRU(3, return_sequences=True),
    "lstm_states": lambda m: m.LSTM(3, return_sequences=True, return_state=True),
    "lstm_backwards": lambda m: m.LSTM(3, return_sequences=True, go_backwards=True),
    "zeros": lambda m: m.RNN(m.LSTMCell(3), return_sequences=True, zero_output_for_mask=True),
    "zeros_last": lambda m: m.RNN(m.GRUCell(3), zero_output_for_mask=True),
    "stacked": lambda m: m.RNN([m.GRUCell(3), m.LSTMCell(2)], return_sequences=True),
    "bidirectional": lambda m: m.Bidirectional(m.LSTM(2, return_sequences=True)),
    "bidirectional_last": lambda m: m.Bidirectional(m.GRU(2)),
}
CONVOLUTIONAL: dict[str, tuple[Callable[[Layers], Any], tuple[int, ...]]] = {
    "1d": (lambda m: m.ConvLSTM1D(2, 3, padding="same", return_sequences=True), (2, 3, 5, 2)),
    "2d": (lambda m: m.ConvLSTM2D(2, 3, padding="same"), (2, 3, 5, 4, 1)),
    "2d_valid": (lambda m: m.ConvLSTM2D(2, (3, 2), return_sequences=True, return_state=True), (1, 3, 5, 5, 2)),
    "2d_strides": (lambda m: m.ConvLSTM2D(2, 3, strides=2, padding="same", use_bias=False), (1, 3, 5, 6, 1)),
    "2d_dilation": (lambda m: m.ConvLSTM2D(1, 2, dilation_rate=2, go_backwards=True), (1, 3, 6, 6, 1)),
    "2d_activations": (
        lambda m: m.ConvLSTM2D(1, 2, padding="same", activation="relu", recurrent_activation="hard_sigmoid"),
        (1, 3, 4, 4, 1),
    ),
    "3d": (lambda m: m.ConvLSTM3D(1, 2, padding="same"), (1, 2, 3, 3, 3, 1)),
}


@case(each=LAYERS)
def layers(k: Library, make: Callable[[Layers], Any]) -> Mapping[str, Any]:
    return k.layer(make(k.keras.layers), k.normal((2, 4, 3)))


@case(each=MASKED)
def masked(k: Library, make: Callable[[Layers], Any]) -> Mapping[str, Any]:
    mask = np.array([[True, True, False, True], [False, True, True, False]])
    return k.layer(make(k.keras.layers), k.normal((2, 4, 3)), mask=k.tensor(mask))


@case(each=CONVOLUTIONAL)
def convolutional(k: Library, made: tuple[Callable[[Layers], Any], tuple[int, ...]]) -> Mapping[str, Any]:
    make, shape = made
    return k.layer(make(k.keras.layers), k.normal(shape))


@case
def convolutional_masked(k: Library) -> Mapping[str, Any]:
    mask = np.array([[True, False, True], [False, True, False]])
    layer = k.keras.layers.ConvLSTM1D(2, 2, padding="same", return_sequences=True)
    return k.layer(layer, k.normal((2, 3, 4, 1)), mask=k.tensor(mask))


@case
def first_states(k: Library) -> Mapping[str, Any]:
    found: dict[str, Any] = {}
    for name, layer in (("lstm", k.keras.layers.LSTM(3)), ("gru", k.keras.layers.GRU(3, return_sequences=True))):
        states = [k.normal((2, 3), seed=i) for i in range(2 if name == "lstm" else 1)]
        x = k.normal((2, 4, 3))
        layer(k.tensor(x), initial_state=[k.tensor(s) for s in states])
        k.fill(layer)
        run = lambda x, *s, layer=layer: layer(x, initial_state=list(s))  # noqa: E731
        found[name] = k.gradients(run, x, *states, variables=layer.trainable_variables)
    both = k.keras.layers.Bidirectional(k.keras.layers.GRU(2, return_sequences=True))
    states = [k.tensor(k.normal((2, 2), seed=i)) for i in range(2)]
    found["bidirectional"] = k.layer(both, k.normal((2, 4, 3)), initial_state=states)
    return found


@case(each=["SimpleRNNCell", "GRUCell", "LSTMCell"])
def cells(k: Library, name: str) -> Mapping[str, Any]:
    cell = getattr(k.keras.layers, name)(3)
    states = [k.normal((2, 3), seed=i) for i in range(2 if name == "LSTMCell" else 1)]
    x = k.normal((2, 4))
    cell(k.tensor(x), [k.tensor(s) for s in states])
    k.fill(cell)
    return k.gradients(lambda x, *s: cell(x, list(s)), x, *states, variables=cell.trainable_variables)


@case
def stateful(k: Library) -> Mapping[str, Array]:
    layer = k.keras.layers.LSTM(3, stateful=True)
    x = [k.tensor(k.normal((2, 4, 3), seed=i)) for i in range(3)]
    layer(x[0])
    k.fill(layer)
    layer.reset_state()
    found = {f"output{i}": k.array(layer(one)) for i, one in enumerate(x)}
    found |= {f"state{i}": k.array(state) for i, state in enumerate(layer.states)}
    layer.reset_state()
    return {**found, "again": k.array(layer(x[0]))}


@case
def first_weights(k: Library) -> Mapping[str, Array]:
    layer = k.keras.layers.LSTM(2, kernel_initializer="ones", recurrent_initializer="zeros", bias_initializer="zeros")
    plain = k.keras.layers.LSTM(2, unit_forget_bias=False, bias_initializer="ones")
    both = k.keras.layers.Bidirectional(k.keras.layers.GRU(2, recurrent_initializer="ones"))
    found = {}
    for name, one in (("lstm", layer), ("plain", plain), ("both", both)):
        one.build((None, 3, 2))
        for i, weight in enumerate(one.weights):
            if "recurrent" in weight.path or "bias" in weight.path or name == "lstm":
                found[f"{name}{i}"] = k.array(weight.value)
    del found["plain1"]  # orthogonal: drawn
    return found


@case
def penalties(k: Library) -> Mapping[str, Array]:
    layer = k.keras.layers.LSTM(
        2, kernel_regularizer="l2", recurrent_regularizer="l1", bias_regularizer="l2", activity_regularizer="l2"
    )
    x = k.tensor(k.normal((2, 4, 3)))
    layer(x)
    k.fill(layer)
    layer(x)
    return {f"loss{i}": k.array(loss) for i, loss in enumerate(layer.losses)}


@case
def time_distributed_convolution(k: Library) -> Mapping[str, Any]:
    layer = k.keras.layers.TimeDistributed(k.keras.layers.Conv2D(2, 2, activation="relu"))
    return k.layer(layer, k.normal((2, 3, 4, 4, 1)))


@case
def time_distributed_normalization(k: Library) -> Mapping[str, Any]:
    layer = k.keras.layers.TimeDistributed(k.keras.layers.BatchNormalization())
    return k.layer(layer, k.normal((4, 3, 2)), training=True)


@case
def training(k: Library) -> Mapping[str, Any]:
    """Loss by loss of a model with a convolution per step and a recurrent layer."""
    m = k.keras.layers
    frame = k.keras.Sequential([m.Input((4, 4, 1)), m.Conv2D(2, 3, activation="relu"), m.Flatten()])
    model = k.keras.Sequential([m.Input((3, 4, 4, 1)), m.TimeDistributed(frame), m.Bidirectional(m.GRU(3)), m.Dense(2)])
    k.fill(model)
    model.compile(k.keras.optimizers.SGD(0.1, momentum=0.9), "mse")
    history = model.fit(k.normal((8, 3, 4, 4, 1)), k.normal((8, 2), seed=1), 4, epochs=3, shuffle=False, verbose=0)
    return {"loss": np.array(history.history["loss"]), "last": model.get_weights()[-1]}


@case
def embedding(k: Library) -> Mapping[str, Any]:
    return k.layer(k.keras.layers.Embedding(6, 3), k.integers((2, 5), 6))


@case
def masking(k: Library) -> Mapping[str, Any]:
    x = k.normal((2, 4, 3))
    x[0, 1:3] = 0
    x[1, 0, 1] = 0
    layer = k.keras.layers.Masking()
    found = k.layer(layer, x)
    return {**found, "mask": k.array(layer.compute_mask(k.tensor(x)))}
