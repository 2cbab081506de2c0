"""Models that files are made of: built with the library they are given, real Keras or oxiconv, and equal in both.

Each is small, since its file is committed, and has no random layer that is active, since its training is compared.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

Arrays = dict[str, NDArray[Any]]


def sequential(k: Any) -> Any:
    """A chain with convolutions and momentum."""
    model = k.Sequential(
        [
            k.Input((6, 6, 2), name="image"),
            k.layers.Conv2D(3, 3, padding="same", activation="relu", kernel_regularizer=k.regularizers.L2(0.01)),
            k.layers.BatchNormalization(),
            k.layers.MaxPooling2D(),
            k.layers.SeparableConv2D(4, 2, depth_multiplier=2),
            k.layers.LeakyReLU(0.1),
            k.layers.Dropout(0.0),
            k.layers.Flatten(),
            k.layers.Dense(3, activation="softmax", kernel_constraint=k.constraints.MaxNorm(1.5)),
        ],
        name="chain",
    )
    model.compile(
        k.optimizers.SGD(0.05, momentum=0.9, nesterov=True),
        loss="sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )
    return model


def functional(k: Any) -> Any:
    """Two inputs and outputs, a shared layer, a nested chain and a nested graph, operators, and Adam on a schedule."""
    image, vector = k.Input((4, 4, 2), name="image"), k.Input((3,), name="vector")
    inner = k.Sequential([k.Input((3,)), k.layers.Dense(4, activation="tanh"), k.layers.Dense(3)], name="inner")
    inside = k.Input((3,), name="inside")
    graph = k.Model(inside, [k.layers.Dense(3, name="left")(inside), inside * 0.5], name="graph")
    x = k.layers.Conv2D(3, 2, strides=2, activation="gelu", name="stem")(image)
    x = k.layers.GlobalAveragePooling2D()(x)
    first, second = inner(vector), inner(x)
    left, half = graph(k.layers.Add()([first, second]))
    joined = k.layers.Concatenate()([left, half, k.ops.square(first)[:, ::2], 1.0 - second])
    joined = k.layers.LayerNormalization(epsilon=1e-4)(joined)
    outputs = {
        "kind": k.layers.Dense(2, activation="softmax", name="kind")(joined),
        "size": k.layers.Dense(1, name="size")(k.ops.mean(joined, axis=-1, keepdims=True)),
    }
    model = k.Model([image, vector], outputs, name="two_ends")
    model.compile(
        k.optimizers.Adam(k.optimizers.schedules.ExponentialDecay(0.02, 2, 0.5), clipnorm=2.0),
        loss={"kind": "categorical_crossentropy", "size": k.losses.Huber()},
        loss_weights={"kind": 1.0, "size": 0.5},
        metrics={"kind": ["accuracy"], "size": [k.metrics.MeanAbsoluteError(name="mae")]},
    )
    return model


def subclassed(k: Any) -> Any:
    """A model of the user's own classes, with layers in lists and dicts and a weight of its own."""

    @k.saving.register_keras_serializable(package="files")  # type: ignore[untyped-decorator]
    def scaled(x: Any) -> Any:
        return x * 0.75

    @k.saving.register_keras_serializable(package="files")
    class Shift(k.layers.Layer):  # type: ignore[misc]
        def __init__(self, start: float = 0.0, **kwargs: Any) -> None:
            super().__init__(**kwargs)
            self.start = start

        def build(self, input_shape: Any) -> None:
            self.by = self.add_weight(
                shape=(input_shape[-1],), initializer=k.initializers.Constant(self.start), name="by"
            )

        def call(self, x: Any) -> Any:
            return x + self.by

        def get_config(self) -> dict[str, Any]:
            return {**super().get_config(), "start": self.start}

    @k.saving.register_keras_serializable(package="files")
    class Mixed(k.Model):  # type: ignore[misc]
        def __init__(self, units: int, **kwargs: Any) -> None:
            super().__init__(**kwargs)
            self.units = units
            self.stem = k.layers.Dense(units, activation=scaled)
            self.blocks = [k.layers.Dense(units, activation="relu"), Shift(0.1), [k.layers.Dense(units)]]
            self.named = {"b": Shift(0.2), "a": k.layers.Dense(2)}
            self._norm = k.layers.BatchNormalization()
            self.gain = self.add_weight(shape=(2,), initializer="ones", name="gain")

        def call(self, x: Any, training: Any = None) -> Any:
            x = self.stem(x)
            for layer in (self.blocks[0], self.blocks[1], self.blocks[2][0], self.named["b"]):
                x = x + layer(x)
            return self.named["a"](self._norm(x, training=training)) * self.gain

        def get_config(self) -> dict[str, Any]:
            return {**super().get_config(), "units": self.units}

    model = Mixed(4, name="mixed")
    model.compile(k.optimizers.RMSprop(0.01, momentum=0.5), loss=k.losses.MeanSquaredError())
    model(np.zeros((1, 3), np.float32))
    return model


def layered(k: Any) -> Any:
    """One of each kind of layer that has weights or settings of its own; untrained, and SGD without momentum."""
    image, steps = k.Input((6, 6, 3), name="image"), k.Input((5, 4), name="steps")
    x = k.layers.RandomFlip(seed=1)(image)
    x = k.layers.Normalization(mean=[0.1, 0.2, 0.3], variance=[1.0, 2.0, 3.0])(x)
    x = k.layers.SpectralNormalization(k.layers.Conv2D(4, 3, padding="same", name="inner_conv"), name="spectral")(x)
    x = k.layers.PReLU(shared_axes=[1, 2])(k.layers.GroupNormalization(2)(x))
    x = k.layers.DepthwiseConv2D(3, depth_multiplier=2, padding="same")(x)
    x = k.layers.Conv2DTranspose(4, 3, strides=2, padding="same")(k.layers.ReLU(6.0, negative_slope=0.1)(x))
    x = k.layers.Cropping2D(((1, 0), (0, 2)))(k.layers.UpSampling2D(2, interpolation="bilinear")(x))
    x = k.layers.GaussianDropout(0.1)(k.layers.ZeroPadding2D(1)(x))
    x = k.layers.GlobalMaxPooling2D()(k.layers.AveragePooling2D(3, strides=2, padding="same")(x))
    y = k.layers.Bidirectional(k.layers.LSTM(3, return_sequences=True), merge_mode="concat")(steps)
    y = k.layers.MultiHeadAttention(2, 3, dropout=0.1)(y, y)
    y = k.layers.TimeDistributed(k.layers.Dense(4, activation="silu"))(y)
    y = k.layers.Conv1D(4, 2, padding="causal", dilation_rate=2)(y)
    y = k.layers.RNN(k.layers.StackedRNNCells([k.layers.LSTMCell(3), k.layers.GRUCell(4)]), return_sequences=True)(y)
    y = k.layers.RMSNormalization()(k.layers.EinsumDense("abc,cd->abd", output_shape=(None, 4), bias_axes="d")(y))
    y = k.layers.SimpleRNN(3)(k.layers.GRU(4, return_sequences=True, reset_after=False)(y))
    joined = k.layers.UnitNormalization()(k.layers.Concatenate()([x, y]))
    z = k.layers.Multiply()([k.layers.Dense(4, name="a")(joined), k.layers.Dense(4, name="b")(joined)])
    z = k.layers.Permute((2, 1))(k.layers.Reshape((2, 2))(z))
    model = k.Model([image, steps], k.layers.Flatten()(z), name="layered")
    model.compile(k.optimizers.SGD(0.01), loss="mae")
    return model


MODELS: dict[str, Callable[[Any], Any]] = {
    "sequential": sequential,
    "functional": functional,
    "subclassed": subclassed,
    "layered": layered,
}
# Models that are not trained on where they are compared: random layers are active in training.
UNTRAINED = ("layered",)


def data(name: str) -> tuple[Any, Any]:
    """Inputs and targets of a model."""
    random = np.random.default_rng(len(name))

    def normal(*shape: int) -> NDArray[np.float32]:
        return random.normal(size=shape).astype(np.float32)

    if name == "sequential":
        return normal(6, 6, 6, 2), np.array([0, 1, 2, 2, 1, 0])
    if name == "layered":
        return [normal(4, 6, 6, 3), normal(4, 5, 4)], normal(4, 4)
    if name == "functional":
        kinds = np.eye(2, dtype=np.float32)[[0, 1, 1, 0, 1]]
        return [normal(5, 4, 4, 2), normal(5, 3)], {"kind": kinds, "size": normal(5, 1)}
    return normal(8, 3), normal(8, 2)


def fill(model: Any) -> None:
    """Gives a model weights that differ from any initializer's; variances stay positive."""
    random = np.random.default_rng(7)
    kept = [w for w in model.get_weights() if np.issubdtype(w.dtype, np.floating)]
    assert len(kept) == len(model.weights)
    model.set_weights([np.abs(random.normal(scale=0.5, size=w.shape)) + 0.1 for w in kept])


def as_dict(outputs: Any) -> Arrays:
    """Predictions as arrays by name."""
    if isinstance(outputs, dict):
        return {key: np.asarray(value) for key, value in outputs.items()}
    if isinstance(outputs, list):
        return {str(i): np.asarray(value) for i, value in enumerate(outputs)}
    return {"0": np.asarray(outputs)}


def observe(model: Any, name: str, steps: int) -> Arrays:
    """What a model predicts, and if it is trained further: the loss of each step, and what it predicts then."""
    x, y = data(name)
    seen = {f"before/{key}": value for key, value in as_dict(model.predict_on_batch(x)).items()}
    if steps and name not in UNTRAINED:
        losses = [model.train_on_batch(x, y, return_dict=True)["loss"] for _ in range(steps)]
        seen["losses"] = np.asarray(losses, np.float64)
        seen |= {f"after/{key}": value for key, value in as_dict(model.predict_on_batch(x)).items()}
    return seen
