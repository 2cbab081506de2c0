"""Models for sequences, end to end: captchas read by CTC, next frames of a video, clips classified frame by frame."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import oxiconv as keras
from oxiconv import layers, ops


def rng() -> np.random.Generator:
    return np.random.default_rng(0)


class CTCLayer(layers.Layer):
    """Adds the loss of its inputs, and gives the predictions: the endpoint of a captcha reader."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.loss_fn = keras.losses.CTC()

    def call(self, y_true: Any, y_pred: Any) -> Any:
        self.add_loss(self.loss_fn(y_true, y_pred))
        return y_pred


def captchas(count: int) -> tuple[Any, Any]:
    """Strips of 24 columns with three bars of a brightness that stands for a class from 1 to 3."""
    labels = rng().integers(1, 4, (count, 3)).astype(np.int32)
    images = np.zeros((count, 24, 8, 1), np.float32)
    for i, word in enumerate(labels):
        for place, c in enumerate(word):
            images[i, 8 * place + 2 : 8 * place + 6, 2 * c : 2 * c + 2] = 1.0
    return images, labels


def test_captcha_ocr() -> None:
    image, labels = layers.Input((24, 8, 1), name="image"), layers.Input((None,), name="label", dtype="int32")
    x = layers.Conv2D(8, 3, activation="relu", padding="same", name="Conv1")(image)
    x = layers.MaxPooling2D((2, 2))(x)
    x = layers.Reshape((12, 4 * 8))(x)
    x = layers.Dense(16, activation="relu")(x)
    x = layers.Bidirectional(layers.LSTM(16, return_sequences=True, dropout=0.1))(x)
    logits = layers.Dense(4, name="dense2")(x)
    model = keras.Model([image, labels], CTCLayer(name="ctc_loss")(labels, logits))
    model.compile(keras.optimizers.Adam(0.02))
    images, words = captchas(32)
    losses = model.fit({"image": images, "label": words}, batch_size=16, epochs=25, verbose=0).history["loss"]
    assert losses[-1] < 0.25 * losses[0]
    # The reader is the part of the model before the endpoint.
    reader = keras.Model(model.input[0], model.get_layer("dense2").output)
    predicted = reader.predict(images, verbose=0)
    decoded, scores = ops.ctc_decode(predicted, np.full(32, 12))
    assert decoded.shape == (1, 32, 12)
    assert scores.shape == (32, 1)
    read = decoded.numpy()[0]
    assert np.mean(read[:, :3] == words) > 0.8
    searched, _ = ops.ctc_decode(predicted, np.full(32, 12), strategy="beam_search", beam_width=10)
    assert np.mean(searched.numpy()[0, :, :3] == words) > 0.8


def test_next_frames() -> None:
    keras.utils.set_random_seed(2)
    # A square that moves to the right: the next frame is the last, moved.
    clips = np.zeros((12, 6, 12, 12, 1), np.float32)
    for i in range(12):
        row, column = rng().integers(0, 8, 2) if i == 0 else ((i * 5) % 8, (i * 3) % 4)
        for t in range(6):
            clips[i, t, row : row + 3, column + t : column + t + 3] = 1.0
    frames = layers.Input((None, 12, 12, 1))
    x = layers.ConvLSTM2D(8, (3, 3), padding="same", return_sequences=True, activation="relu")(frames)
    x = layers.BatchNormalization()(x)
    x = layers.ConvLSTM2D(8, (1, 1), padding="same", return_sequences=True, activation="relu")(x)
    outputs = layers.Conv3D(1, (3, 3, 3), activation="sigmoid", padding="same")(x)
    model = keras.Model(frames, outputs)
    assert model.output_shape == (None, None, 12, 12, 1)
    model.compile("adam", "binary_crossentropy")
    stopping = keras.callbacks.EarlyStopping(monitor="val_loss", patience=10)
    plateau = keras.callbacks.ReduceLROnPlateau(monitor="val_loss", patience=5)
    history = model.fit(
        clips[:10, :-1],
        clips[:10, 1:],
        batch_size=5,
        epochs=20,
        validation_data=(clips[10:, :-1], clips[10:, 1:]),
        callbacks=[stopping, plateau],
        verbose=0,
    )
    assert history.history["loss"][-1] < 0.9 * history.history["loss"][0]
    # One frame after another, from a clip that grows.
    seen = clips[:1, :3]
    for _ in range(2):
        new = model.predict(seen, verbose=0)[:, -1:]
        seen = np.concatenate([seen, new], axis=1)
    assert seen.shape == (1, 5, 12, 12, 1)


def test_clips_frame_by_frame() -> None:
    # Whether a bar moves up or down.
    clips, ways = np.zeros((40, 5, 10, 10, 1), np.float32), np.arange(40) % 2
    for i, way in enumerate(ways):
        for t in range(5):
            row = 2 + (t if way else 4 - t) + (i // 2) % 2
            clips[i, t, row, 2:8] = 1.0
    frame = keras.Sequential(
        [
            layers.Input((10, 10, 1)),
            layers.Conv2D(4, 3, activation="relu"),
            layers.MaxPooling2D(),
            layers.Flatten(),
            layers.Dense(8, activation="relu"),
        ]
    )
    model = keras.Sequential(
        [
            layers.Input((5, 10, 10, 1)),
            layers.TimeDistributed(frame),
            layers.GRU(8),
            layers.Dropout(0.1),
            layers.Dense(1, activation="sigmoid"),
        ]
    )
    model.compile(keras.optimizers.Adam(0.02), "binary_crossentropy", metrics=["accuracy"])
    history = model.fit(clips, ways, batch_size=8, epochs=12, verbose=0)
    assert history.history["accuracy"][-1] > 0.9


def test_padded_words_are_skipped() -> None:
    words = rng().integers(1, 9, (6, 7)).astype(np.int32)
    lengths = rng().integers(1, 8, 6)
    words[np.arange(7) >= lengths[:, None]] = 0
    tokens = keras.Input((None,), dtype="int32")
    x = layers.Embedding(9, 4, mask_zero=True)(tokens)
    x = layers.Bidirectional(layers.LSTM(3, return_sequences=True))(x)
    x = layers.TimeDistributed(layers.Dense(3))(x)
    model = keras.Model(tokens, layers.GRU(2)(x))
    found = model.predict(words, verbose=0)
    for i, n in enumerate(lengths):
        # The same bits would need the same cut of the products; sums of 12 terms of at most 1 differ by 12 * 2^-24.
        np.testing.assert_allclose(found[i], model(words[i : i + 1, :n]).numpy()[0], atol=1e-6)


class MinimalRNNCell(layers.Layer):
    """The cell of Keras's guide to recurrent networks."""

    def __init__(self, units: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.units = units
        self.state_size = units

    def build(self, input_shape: Any) -> None:
        self.kernel = self.add_weight(shape=(input_shape[-1], self.units), initializer="uniform", name="kernel")
        self.recurrent_kernel = self.add_weight(
            shape=(self.units, self.units), initializer="uniform", name="recurrent_kernel"
        )
        self.built = True

    def call(self, inputs: Any, states: Any) -> Any:
        prev_output = states[0]
        h = ops.matmul(inputs, self.kernel)
        output = h + ops.matmul(prev_output, self.recurrent_kernel)
        return output, [output]


def test_cells_of_users() -> None:
    x = rng().standard_normal((4, 5, 3)).astype(np.float32)
    layer = layers.RNN(MinimalRNNCell(2), return_sequences=True)
    found = layer(x).numpy()
    kernel, recurrent = (w.astype(np.float64) for w in layer.get_weights())
    state = np.zeros((4, 2))
    for t in range(5):
        state = x[:, t] @ kernel + state @ recurrent
        np.testing.assert_allclose(found[:, t], state, atol=1e-6)  # five sums of 5 terms below 0.2: 5 * 5 * 0.2 * 2^-24
    model = keras.Sequential([keras.Input((None, 3)), layers.RNN([MinimalRNNCell(4), MinimalRNNCell(2)])])
    model.compile("sgd", "mse")
    assert model.fit(x, x[:, 0, :2], epochs=2, verbose=0).history["loss"][1] >= 0.0
    assert model.predict(x, verbose=0).shape == (4, 2)


class CountingCell(layers.LSTMCell):
    """A cell that changes the call of the one that it is made of."""

    def call(self, inputs: Any, states: Any, training: bool = False) -> Any:
        output, new = super().call(inputs, states, training)
        return output + 1.0, new


def test_a_subclass_with_a_call_of_its_own() -> None:
    x = rng().standard_normal((2, 3, 4)).astype(np.float32)
    plain, counting = layers.RNN(layers.LSTMCell(2)), layers.RNN(CountingCell(2))
    plain(x)
    counting(x)
    counting.set_weights(plain.get_weights())
    np.testing.assert_array_equal(counting(x).numpy(), plain(x).numpy() + 1.0)


@pytest.mark.parametrize("recurrent", [0.0, 0.4])
@pytest.mark.parametrize("kind", ["SimpleRNN", "GRU", "LSTM", "ConvLSTM1D"])
def test_dropout(kind: str, recurrent: float) -> None:
    convolves = kind == "ConvLSTM1D"
    arguments = {"filters": 3, "kernel_size": 2} if convolves else {"units": 3}
    layer = getattr(layers, kind)(**arguments, dropout=0.5, recurrent_dropout=recurrent, seed=1, return_sequences=True)
    x = np.ones((64, 4, 6, 5) if convolves else (64, 4, 5), np.float32)
    still = layer(x).numpy()
    first, second = layer(x, training=True).numpy(), layer(x, training=True).numpy()
    assert np.array_equal(still, layer(x, training=False).numpy())
    assert not np.array_equal(first, second)
    assert not np.array_equal(first, still)
    # Samples with the same masks have the same outputs, others not: the inputs' masks of five elements are 32.
    assert len(np.unique(first.reshape(64, -1).round(6), axis=0)) > 16
    model = keras.Sequential([keras.Input(x.shape[1:]), layer])
    model.compile(keras.optimizers.SGD(0.0), "mse")
    trained = model.fit(x, still, batch_size=64, epochs=2, verbose=0).history["loss"]
    assert model.evaluate(x, still, batch_size=64, verbose=0) < 1e-9
    assert min(trained) > 1e-4
    assert trained[0] != trained[1]


def test_dropout_is_the_same_at_all_steps() -> None:
    cell = layers.SimpleRNNCell(200, activation=None, kernel_initializer="identity", dropout=0.5, seed=2)
    cell.build((None, 200))
    cell.recurrent_kernel.assign(np.zeros((200, 200), np.float32))
    for layer in (layers.RNN(cell, return_sequences=True), layers.RNN([cell], return_sequences=True)):
        y = layer(np.ones((1, 3, 200), np.float32), training=True).numpy()[0]
        assert set(y[0]) == {0.0, 2.0}
        assert np.array_equal(y[0], y[1])
        assert np.array_equal(y[0], y[2])


def test_states_from_batch_to_batch() -> None:
    model = keras.Sequential([keras.Input(batch_shape=(2, 3, 4)), layers.GRU(3, stateful=True), layers.Dense(1)])
    model.compile("sgd", "mse")
    x = rng().standard_normal((8, 3, 4)).astype(np.float32)
    assert len(model.weights) == 5
    gru = model.layers[0]
    model.fit(x, x[:, 0, :1], batch_size=2, epochs=1, shuffle=False, verbose=0)
    carried = gru.states[0].numpy()
    assert np.any(carried)
    np.testing.assert_array_equal(model.predict(x[:2], batch_size=2, verbose=0).shape, (2, 1))
    assert not np.array_equal(gru.states[0].numpy(), carried)
    gru.reset_state()
    assert not np.any(gru.states[0].numpy())
    whole = model.predict(x[:2], batch_size=2, verbose=0)
    gru.reset_state()
    np.testing.assert_array_equal(model.predict(x[:2], batch_size=2, verbose=0), whole)
    with pytest.raises(ValueError, match="stateful=True expects a known batch size"):
        keras.Sequential([keras.Input((3, 4)), layers.LSTM(3, stateful=True)])


def test_what_is_wrong_is_said() -> None:
    x = np.zeros((2, 3, 4), np.float32)
    with pytest.raises(ValueError, match="LSTM 'lstm': expected 3 axes, got shape"):
        layers.LSTM(2, name="lstm")(x[0])
    with pytest.raises(ValueError, match="expected a cell with call and state_size"):
        layers.RNN(layers.Dense(2))
    with pytest.raises(ValueError, match="expected 2 states, got 1"):
        layers.LSTM(2)(x, initial_state=[np.zeros((2, 2))])
    with pytest.raises(ValueError, match=r"expected states of 2 samples, as the inputs have, got \(3, 2\)"):
        layers.GRU(2)(x, initial_state=np.zeros((3, 2), np.float32))
    with pytest.raises(ValueError, match=r"expected a mask of shape \(2, 3\), got \(2, 2\)"):
        layers.GRU(2)(x, mask=np.ones((2, 2), bool))
    with pytest.raises(ValueError, match="at least one step"):
        layers.GRU(2)(x[:, :0])
    with pytest.raises(ValueError, match="units of at least 1, got 0"):
        layers.LSTM(0)
    with pytest.raises(ValueError, match="expected merge_mode to be one of"):
        layers.Bidirectional(layers.LSTM(2), merge_mode="max")
    with pytest.raises(ValueError, match="expected layers of different go_backwards"):
        layers.Bidirectional(layers.LSTM(2), backward_layer=layers.LSTM(2))
    with pytest.raises(ValueError, match="expected value and key of one shape"):
        layers.MultiHeadAttention(2, 2)(x, x, x[:, :2])
    with pytest.raises(ValueError, match="expected inputs in a list"):
        layers.Attention()(x)
    with pytest.raises(ValueError, match="multiple of 2, got 3"):
        layers.GroupQueryAttention(2, 3, 2)
    with pytest.raises(ValueError, match=r"expected '\[X\],\[Y\]->\[Z\]'"):
        layers.EinsumDense("ab->a", 2)(x)
    with pytest.raises(ValueError, match="known sizes beside the batch"):
        layers.ConvLSTM2D(2, 3)(keras.Input((3, None, 8, 1)))
