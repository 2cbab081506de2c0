"""What Keras's guides on models do: the functional API, chains, own layers and models, transfer learning."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import oxiconv as keras
from oxiconv import layers, ops


def data(*shape: int, seed: int = 0) -> Any:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def labels(n: int, classes: int, seed: int = 1) -> Any:
    return np.random.default_rng(seed).integers(0, classes, n).astype(np.int32)


# The functional API.


def test_a_classifier_from_input_to_file(tmp_path: Path) -> None:
    inputs = keras.Input(shape=(20,), name="digits")
    x = layers.Dense(16, activation="relu", name="dense_1")(inputs)
    x = layers.Dense(16, activation="relu", name="dense_2")(x)
    model = keras.Model(inputs=inputs, outputs=layers.Dense(4, name="predictions")(x), name="classifier")
    model.compile(
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        optimizer=keras.optimizers.RMSprop(),
        metrics=["accuracy"],
    )
    history = model.fit(data(64, 20), labels(64, 4), batch_size=16, epochs=2, validation_split=0.25, verbose=0)
    assert set(history.history) == {"loss", "accuracy", "val_loss", "val_accuracy"}
    scores = model.evaluate(data(16, 20), labels(16, 4), verbose=0)
    assert len(scores) == 2
    before = model.predict(data(5, 20), verbose=0)
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(again.predict(data(5, 20), verbose=0), before)


def test_two_models_share_one_graph_and_models_are_called_like_layers() -> None:
    image = keras.Input(shape=(12, 12, 1), name="img")
    x = layers.Conv2D(4, 3, activation="relu")(image)
    x = layers.MaxPooling2D(2)(x)
    code = layers.GlobalMaxPooling2D()(layers.Conv2D(9, 3, activation="relu")(x))
    encoder = keras.Model(image, code, name="encoder")
    code_in = keras.Input(shape=(9,), name="code")
    x = layers.Reshape((3, 3, 1))(code_in)
    x = layers.UpSampling2D(2)(layers.Conv2DTranspose(4, 3, activation="relu")(x))
    decoder = keras.Model(code_in, layers.Conv2DTranspose(1, 3, activation="relu")(x), name="decoder")
    whole_in = keras.Input(shape=(12, 12, 1))
    autoencoder = keras.Model(whole_in, decoder(encoder(whole_in)), name="autoencoder")
    assert autoencoder.output_shape == (None, 12, 12, 1)
    assert autoencoder.count_params() == encoder.count_params() + decoder.count_params()
    x = data(2, 12, 12, 1)
    np.testing.assert_array_equal(autoencoder(x), decoder(encoder(x)))
    autoencoder.compile("adam", "mse")
    before = encoder.get_weights()
    autoencoder.fit(x, x, verbose=0)
    assert any((a != b).any() for a, b in zip(before, encoder.get_weights(), strict=True))


def test_an_ensemble_of_models() -> None:
    def part() -> Any:
        inputs = keras.Input(shape=(8,))
        return keras.Model(inputs, layers.Dense(1)(inputs))

    parts = [part() for _ in range(3)]
    inputs = keras.Input(shape=(8,))
    ensemble = keras.Model(inputs, layers.average([p(inputs) for p in parts]))
    x = data(4, 8)
    # Three summands of float32, in any order.
    np.testing.assert_allclose(ensemble(x), sum(np.asarray(p(x)) for p in parts) / 3, rtol=1e-5, atol=1e-6)


def test_several_inputs_and_outputs_by_name() -> None:
    title = keras.Input(shape=(None,), name="title", dtype="int32")
    tags = keras.Input(shape=(5,), name="tags")
    x = layers.LSTM(6)(layers.Embedding(30, 8)(title))
    x = layers.concatenate([x, tags])
    outputs = {"priority": layers.Dense(1, name="priority")(x), "department": layers.Dense(4, name="department")(x)}
    model = keras.Model(inputs=[title, tags], outputs=outputs)
    model.compile(
        optimizer=keras.optimizers.RMSprop(1e-3),
        loss={
            "priority": keras.losses.BinaryCrossentropy(from_logits=True),
            "department": keras.losses.CategoricalCrossentropy(from_logits=True),
        },
        loss_weights={"priority": 1.0, "department": 0.2},
    )
    x = {"title": labels(24 * 7, 30).reshape(24, 7), "tags": data(24, 5)}
    y = {"priority": labels(24, 2)[:, None], "department": keras.utils.to_categorical(labels(24, 4), 4)}
    history = model.fit(x, y, epochs=1, batch_size=8, verbose=0)
    assert set(history.history) == {"loss", "priority_loss", "department_loss"}
    predicted = model.predict(x, verbose=0)
    assert {name: p.shape for name, p in predicted.items()} == {"priority": (24, 1), "department": (24, 4)}


def test_residual_blocks() -> None:
    inputs = keras.Input(shape=(12, 12, 3))
    x = first = layers.MaxPooling2D(3)(layers.Conv2D(8, 3, activation="relu")(inputs))
    x = layers.Conv2D(8, 3, activation="relu", padding="same")(x)
    x = layers.add([x, first])
    model = keras.Model(inputs, layers.Dense(10)(layers.Dropout(0.5)(layers.GlobalAveragePooling2D()(x))))
    model.compile("adam", keras.losses.CategoricalCrossentropy(from_logits=True), metrics=["acc"])
    history = model.fit(data(8, 12, 12, 3), keras.utils.to_categorical(labels(8, 10), 10), verbose=0)
    assert set(history.history) == {"acc", "loss"}


def test_a_shared_layer_has_one_set_of_weights() -> None:
    table = layers.Embedding(20, 4)
    a, b = keras.Input(shape=(None,), dtype="int32"), keras.Input(shape=(None,), dtype="int32")
    model = keras.Model([a, b], [table(a), table(b)])
    assert len(model.weights) == 1
    ids = labels(6, 20).reshape(2, 3)
    one, other = model([ids, ids])
    np.testing.assert_array_equal(one, other)


def test_all_activations_of_a_model_as_features() -> None:
    inputs = keras.Input((8, 8, 1))
    x = layers.Flatten(name="flat")(layers.Conv2D(2, 3, name="conv")(inputs))
    model = keras.Model(inputs, layers.Dense(3, name="head")(x))
    features = keras.Model(inputs=model.input, outputs=[layer.output for layer in model.layers])
    found = features(data(2, 8, 8, 1))
    assert [f.shape for f in found] == [(2, 8, 8, 1), (2, 6, 6, 2), (2, 72), (2, 3)]
    np.testing.assert_array_equal(found[-1], model(data(2, 8, 8, 1)))


class CustomDense(layers.Layer):
    """The guide's own layer, which a configuration names."""

    def __init__(self, units: int = 32) -> None:
        super().__init__()
        self.units = units

    def build(self, input_shape: Any) -> None:
        self.w = self.add_weight(shape=(input_shape[-1], self.units), initializer="random_normal", trainable=True)
        self.b = self.add_weight(shape=(self.units,), initializer="random_normal", trainable=True)

    def call(self, inputs: Any) -> Any:
        return ops.matmul(inputs, self.w) + self.b

    def get_config(self) -> dict[str, Any]:
        return {"units": self.units}


def test_own_layers_in_a_configuration() -> None:
    inputs = keras.Input((4,))
    model = keras.Model(inputs, CustomDense(10)(inputs))
    again = keras.Model.from_config(model.get_config(), custom_objects={"CustomDense": CustomDense})
    again.set_weights(model.get_weights())
    np.testing.assert_array_equal(again(data(2, 4)), model(data(2, 4)))
    with pytest.raises(ValueError, match="CustomDense"):
        keras.Model.from_config(model.get_config())


def test_a_recurrent_layer_that_uses_a_functional_model() -> None:
    units, steps, channels = 8, 5, 3
    inner_in = keras.Input((steps, units))
    inner = keras.Model(inner_in, layers.Dense(1)(layers.GlobalAveragePooling1D()(inner_in)))

    class CustomRNN(layers.Layer):
        def __init__(self) -> None:
            super().__init__()
            self.projection_1 = layers.Dense(units, activation="tanh")
            self.projection_2 = layers.Dense(units, activation="tanh")
            self.classifier = inner

        def call(self, inputs: Any) -> Any:
            outputs = []
            state = ops.zeros(shape=(inputs.shape[0], units))
            for t in range(inputs.shape[1]):
                state = self.projection_1(inputs[:, t, :]) + self.projection_2(state)
                outputs.append(state)
            return self.classifier(ops.stack(outputs, axis=1))

    rnn = CustomRNN()
    x = data(2, steps, channels)
    eager = rnn(x)
    assert eager.shape == (2, 1)
    inputs = keras.Input(batch_shape=(2, steps, channels))
    model = keras.Model(inputs, rnn(inputs))
    np.testing.assert_array_equal(model.predict(x, verbose=0), eager)
    assert len(model.weights) == 6


# Chains.


def test_a_chain_is_a_list_of_layers() -> None:
    model = keras.Sequential(
        [layers.Dense(2, activation="relu", name="layer1"), layers.Dense(3, name="layer2")], name="my_sequential"
    )
    assert (model.weights, model.built) == ([], False)
    with pytest.raises(ValueError, match="count_params"):
        model.count_params()
    assert model(np.ones((1, 4))).shape == (1, 3)
    assert [w.shape for w in model.weights] == [(4, 2), (2,), (2, 3), (3,)]
    model.pop()
    assert [layer.name for layer in model.layers] == ["layer1"]
    model.add(layers.Dense(4, name="layer3"))
    assert model(np.ones((1, 4))).shape == (1, 4)
    growing = keras.Sequential([keras.Input(shape=(16, 16, 3))])
    growing.add(layers.Conv2D(4, 5, strides=2, activation="relu"))
    assert growing.output_shape == (None, 6, 6, 4)
    growing.add(layers.MaxPooling2D(3))
    assert growing.output_shape == (None, 2, 2, 4)


def test_features_of_a_chain() -> None:
    chain = keras.Sequential(
        [
            keras.Input(shape=(12, 12, 3)),
            layers.Conv2D(4, 5, strides=2, activation="relu"),
            layers.Conv2D(4, 3, activation="relu", name="my_intermediate_layer"),
        ]
    )
    every = keras.Model(inputs=chain.inputs, outputs=[layer.output for layer in chain.layers])
    one = keras.Model(inputs=chain.inputs, outputs=chain.get_layer(name="my_intermediate_layer").output)
    x = np.ones((1, 12, 12, 3), np.float32)
    np.testing.assert_array_equal(every(x)[1], one(x))


def test_freezing_all_but_the_last_layer() -> None:
    model = keras.Sequential([keras.Input((6,)), layers.Dense(4), layers.Dense(4), layers.Dense(2)])
    for layer in model.layers[:-1]:
        layer.trainable = False
    model.compile("sgd", "mse")
    frozen = [layer.get_weights() for layer in model.layers]
    model.fit(data(16, 6), data(16, 2), verbose=0)
    changed = [
        any((a != b).any() for a, b in zip(old, layer.get_weights(), strict=True))
        for old, layer in zip(frozen, model.layers, strict=True)
    ]
    assert changed == [False, False, True]


# Own layers and models.


def test_weights_of_own_layers() -> None:
    class Linear(layers.Layer):
        def __init__(self, units: int = 32, input_dim: int = 32) -> None:
            super().__init__()
            self.w = self.add_weight(shape=(input_dim, units), initializer="random_normal", trainable=True)
            self.b = self.add_weight(shape=(units,), initializer="zeros", trainable=True)
            self.total = self.add_weight(shape=(), initializer="zeros", trainable=False)

        def call(self, inputs: Any) -> Any:
            self.total.assign_add(ops.sum(inputs))
            return ops.matmul(inputs, self.w) + self.b

    layer = Linear(4, 2)
    assert layer.weights == [layer.w, layer.b, layer.total]
    assert (len(layer.trainable_weights), len(layer.non_trainable_weights)) == (2, 1)
    layer(np.ones((2, 2)))
    layer(np.ones((2, 2)))
    assert float(layer.total) == 8.0


def test_losses_of_nested_layers_are_those_of_the_last_call() -> None:
    class Penalty(layers.Layer):
        def call(self, inputs: Any) -> Any:
            self.add_loss(1e-2 * ops.mean(inputs))
            return inputs

    class Outer(layers.Layer):
        def __init__(self) -> None:
            super().__init__()
            self.penalty = Penalty()
            self.dense = layers.Dense(4, kernel_regularizer=keras.regularizers.L2(1e-3))

        def call(self, inputs: Any) -> Any:
            return self.dense(self.penalty(inputs))

    layer = Outer()
    assert layer.losses == []
    layer(np.zeros((1, 1)))
    assert len(layer.losses) == 2
    layer(np.ones((1, 1)))
    wanted = 1e-3 * np.sum(np.square(layer.dense.kernel.numpy()), dtype=np.float64)
    # One rounding of a product each, and sums of four terms.
    np.testing.assert_allclose([float(x) for x in layer.losses], [1e-2, wanted], rtol=1e-6)
    inputs = keras.Input(shape=(3,))
    model = keras.Model(inputs, Penalty()(inputs))
    for loss, value in ((None, 1e-2), ("mean_squared_error", 1.01)):
        model.compile(optimizer="adam", loss=loss)
        with pytest.warns(UserWarning, match="no trainable weights"):
            assert model.train_on_batch(np.ones((2, 3)), np.zeros((2, 3))) == pytest.approx(value)


def test_an_argument_for_training() -> None:
    class CustomDropout(layers.Layer):
        def __init__(self, rate: float, **kwargs: Any) -> None:
            super().__init__(**kwargs)
            self.rate = rate
            self.seed_generator = keras.random.SeedGenerator(1337)

        def call(self, inputs: Any, training: bool | None = None) -> Any:
            if training:
                return keras.random.dropout(inputs, rate=self.rate, seed=self.seed_generator)
            return inputs

    layer = CustomDropout(0.5)
    x = np.ones((1, 100), np.float32)
    np.testing.assert_array_equal(layer(x), x)
    assert 20 < int((layer(x, training=True).numpy() == 0).sum()) < 80
    chain = keras.Sequential([layer])
    np.testing.assert_array_equal(chain(x), x)
    assert (chain(x, training=True).numpy() == 0).any()
    assert len(layer.variables) == 1
    assert layer.weights == []


def test_a_variational_autoencoder_of_own_layers() -> None:
    class Sampling(layers.Layer):
        def __init__(self, **kwargs: Any) -> None:
            super().__init__(**kwargs)
            self.seed_generator = keras.random.SeedGenerator(1337)

        def call(self, inputs: Any) -> Any:
            mean, log_var = inputs
            batch, dim = ops.shape(mean)[0], ops.shape(mean)[1]
            return mean + ops.exp(0.5 * log_var) * keras.random.normal(shape=(batch, dim), seed=self.seed_generator)

    class Encoder(layers.Layer):
        def __init__(self, name: str = "encoder", **kwargs: Any) -> None:
            super().__init__(name=name, **kwargs)
            self.dense_proj = layers.Dense(8, activation="relu")
            self.dense_mean = layers.Dense(3)
            self.dense_log_var = layers.Dense(3)
            self.sampling = Sampling()

        def call(self, inputs: Any) -> Any:
            x = self.dense_proj(inputs)
            mean, log_var = self.dense_mean(x), self.dense_log_var(x)
            return mean, log_var, self.sampling((mean, log_var))

    class VariationalAutoEncoder(keras.Model):
        def __init__(self, original_dim: int, name: str = "autoencoder", **kwargs: Any) -> None:
            super().__init__(name=name, **kwargs)
            self.encoder = Encoder()
            self.decoder = keras.Sequential(
                [layers.Dense(8, activation="relu"), layers.Dense(original_dim, activation="sigmoid")]
            )

        def call(self, inputs: Any) -> Any:
            mean, log_var, z = self.encoder(inputs)
            self.add_loss(-0.5 * ops.mean(log_var - ops.square(mean) - ops.exp(log_var) + 1))
            return self.decoder(z)

    vae = VariationalAutoEncoder(12)
    vae.compile(keras.optimizers.Adam(learning_rate=1e-2), loss=keras.losses.MeanSquaredError())
    x = np.random.default_rng(0).random((64, 12), np.float32)
    history = vae.fit(x, x, epochs=8, batch_size=16, verbose=0)
    assert history.history["loss"][-1] < history.history["loss"][0]
    assert [layer.name for layer in vae.layers] == ["encoder", vae.decoder.name]
    assert len(vae.trainable_weights) == 10


# Transfer learning.


def test_trainable_is_recursive_and_counts() -> None:
    layer = layers.BatchNormalization()
    layer.build((None, 4))
    assert (len(layer.weights), len(layer.trainable_weights), len(layer.non_trainable_weights)) == (4, 2, 2)
    inner = keras.Sequential([keras.Input(shape=(3,)), layers.Dense(3, activation="relu")])
    model = keras.Sequential([keras.Input(shape=(3,)), inner, layers.Dense(3, activation="sigmoid")])
    model.trainable = False
    assert not inner.trainable
    assert not inner.layers[0].trainable
    assert model.trainable_weights == []


def test_a_frozen_base_then_fine_tuning() -> None:
    base = keras.Sequential(
        [keras.Input((8, 8, 3)), layers.Conv2D(4, 3), layers.BatchNormalization(), layers.ReLU()], name="base"
    )
    base.trainable = False
    inputs = keras.Input(shape=(8, 8, 3))
    x = layers.Rescaling(scale=1 / 127.5, offset=-1)(inputs)
    x = layers.GlobalAveragePooling2D()(base(x, training=False))
    model = keras.Model(inputs, layers.Dense(1)(layers.Dropout(0.2)(x)))
    loss, metric = keras.losses.BinaryCrossentropy(from_logits=True), keras.metrics.BinaryAccuracy
    model.compile(optimizer=keras.optimizers.Adam(), loss=loss, metrics=[metric()])
    x = np.random.default_rng(0).integers(0, 256, (16, 8, 8, 3)).astype(np.uint8)
    y = labels(16, 2)
    before = base.get_weights()
    model.fit(x, y, epochs=2, verbose=0)
    assert all((a == b).all() for a, b in zip(before, base.get_weights(), strict=True))
    assert len(model.optimizer.variables) == 2 + 2 * 2
    base.trainable = True
    model.compile(optimizer=keras.optimizers.Adam(1e-5), loss=loss, metrics=[metric()])
    model.fit(x, y, epochs=1, verbose=0)
    after = base.get_weights()
    changed = [bool((a != b).any()) for a, b in zip(before, after, strict=True)]
    # Kernel, bias, gamma and beta are trained; the statistics stay, since the base is called with training=False.
    assert changed == [True, True, True, True, False, False]


def test_what_is_trainable_is_fixed_by_compile() -> None:
    model = keras.Sequential([keras.Input((4,)), layers.Dense(3), layers.Dense(2)])
    model.compile("sgd", "mse")
    model.fit(data(8, 4), data(8, 2), verbose=0)
    model.layers[0].trainable = False
    before = model.layers[0].get_weights()
    model.compile("sgd", "mse")
    model.fit(data(8, 4), data(8, 2), verbose=0)
    assert all((a == b).all() for a, b in zip(before, model.layers[0].get_weights(), strict=True))


def test_a_changed_activation_is_used_by_calls() -> None:
    """The Grad-CAM guide takes the last softmax away, after training."""
    model = keras.Sequential([keras.Input((4,)), layers.Dense(3, activation="softmax", name="last")])
    x = data(2, 4)
    model.compile("sgd", "mse")
    model.predict(x, verbose=0)
    last: Any = model.layers[-1]
    last.activation = None
    kernel, bias = model.get_weights()
    # Products of four terms.
    np.testing.assert_allclose(model(x), x @ kernel + bias, rtol=1e-5, atol=1e-6)
