"""Objects whose configurations and summaries are recorded under real Keras, into `configurations.json`.

python tests/reference/configurations.py
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

FILE = Path(__file__).parent / "configurations.json"

# Arguments of layers, by class; each layer is built for a shape, that of `SHAPES` or by rank.
LAYERS: dict[str, str] = {
    "Activation": "activation='relu'",
    "Add": "",
    "Average": "",
    "AveragePooling1D": "2",
    "AveragePooling2D": "2, padding='same'",
    "AveragePooling3D": "2, strides=(1, 2, 1)",
    "BatchNormalization": "momentum=0.9, gamma_regularizer='l2'",
    "CenterCrop": "4, 3",
    "Concatenate": "axis=1",
    "Conv1D": "3, 2, padding='causal'",
    "Conv1DTranspose": "3, 2",
    "Conv2D": "4, 3, strides=2, activation='relu', kernel_regularizer='l2', kernel_constraint='max_norm'",
    "Conv2DTranspose": "2, (3, 2), output_padding=0",
    "Conv3D": "3, 2, groups=1",
    "Conv3DTranspose": "3, 2",
    "ConvLSTM2D": "2, 3",
    "Cropping1D": "1",
    "Cropping2D": "((1, 0), (0, 1))",
    "Cropping3D": "1",
    "Dense": "5, activation='gelu', use_bias=False, kernel_initializer=keras.initializers.HeNormal(seed=3)",
    "DepthwiseConv1D": "2",
    "DepthwiseConv2D": "3, depth_multiplier=2",
    "Dot": "axes=1",
    "Dropout": "0.3, seed=1",
    "ELU": "alpha=0.5",
    "Embedding": "10, 4, mask_zero=True",
    "Flatten": "",
    "GRU": "3",
    "GaussianDropout": "0.2",
    "GaussianNoise": "0.1",
    "GlobalAveragePooling1D": "",
    "GlobalAveragePooling2D": "keepdims=True",
    "GlobalAveragePooling3D": "",
    "GlobalMaxPooling1D": "",
    "GlobalMaxPooling2D": "data_format='channels_first'",
    "GlobalMaxPooling3D": "",
    "GroupNormalization": "groups=2",
    "Identity": "",
    "LSTM": "3, return_sequences=True",
    "LayerNormalization": "",
    "LeakyReLU": "",
    "Masking": "",
    "MaxPooling1D": "",
    "MaxPooling2D": "(2, 3)",
    "MaxPooling3D": "",
    "Maximum": "",
    "Minimum": "",
    "Multiply": "",
    "Normalization": "mean=1.0, variance=4.0",
    "PReLU": "shared_axes=[1]",
    "Permute": "(2, 1)",
    "RMSNormalization": "",
    "RandomBrightness": "0.2",
    "RandomContrast": "0.2",
    "RandomFlip": "'horizontal', seed=2",
    "RandomRotation": "0.1",
    "RandomTranslation": "0.1, 0.2",
    "RandomZoom": "0.1",
    "ReLU": "max_value=6.0",
    "RepeatVector": "3",
    "Rescaling": "0.5, offset=[1.0, 2.0]",
    "Reshape": "(2, -1)",
    "Resizing": "4, 5",
    "SeparableConv1D": "3, 2",
    "SeparableConv2D": "3, 2, depth_multiplier=2",
    "SimpleRNN": "3",
    "Softmax": "",
    "SpatialDropout1D": "0.2",
    "SpatialDropout2D": "0.2",
    "SpatialDropout3D": "0.2",
    "Subtract": "",
    "UnitNormalization": "",
    "UpSampling1D": "2",
    "UpSampling2D": "(2, 3), interpolation='bilinear'",
    "UpSampling3D": "2",
    "ZeroPadding1D": "1",
    "ZeroPadding2D": "(1, 2)",
    "ZeroPadding3D": "1",
}


def layer(name: str) -> Callable[[Any], Any]:
    """The configuration of a layer of `LAYERS`, with non-default arguments of `Layer`, too."""

    def make(keras: Any) -> Any:
        made = eval(f"keras.layers.{name}({LAYERS[name]})", {"keras": keras})
        return made.get_config()

    return make


def with_common_arguments(keras: Any) -> Any:
    """The arguments that all layers share."""
    made = keras.layers.Dense(
        2, trainable=False, dtype="mixed_bfloat16", name="head", activity_regularizer=keras.regularizers.L1L2(0.1, 0.2)
    )
    return made.get_config()


def functional(keras: Any) -> Any:
    """Several inputs and outputs, a shared layer, a nested model, operators, a constant and a call argument."""
    a, b = keras.Input((4,), name="a"), keras.Input((4,), name="b", dtype="int32")
    shared = keras.layers.Dense(3, activation="relu", name="shared")
    x = keras.layers.concatenate([shared(a), shared(keras.ops.cast(b, "float32"))])
    inner_in = keras.Input((6,), name="inner_in")
    inner = keras.Model(inner_in, keras.layers.BatchNormalization(name="bn")(inner_in), name="inner")
    y = keras.layers.Dropout(0.5, name="drop")(inner(x, training=False))
    z = keras.ops.mean(y * 2.0 + x, axis=-1, keepdims=True)[:, 0]
    model = keras.Model({"a": a, "b": b}, {"y": y, "z": z}, name="whole")
    model.compile(optimizer=keras.optimizers.SGD(0.1, momentum=0.9), loss={"y": "mse", "z": keras.losses.Huber()})
    return keras.saving.serialize_keras_object(model)


def sequential(keras: Any) -> Any:
    """A chain with an input."""
    layers = keras.layers
    chain = [keras.Input((8, 8, 1), name="image"), layers.Conv2D(2, 3, name="c"), layers.Flatten(name="f")]
    model = keras.Sequential([*chain, layers.Dense(2, name="d")], name="chain")
    return keras.saving.serialize_keras_object(model)


def deferred(keras: Any) -> Any:
    """A chain without an input, built by its first call."""
    model = keras.Sequential([keras.layers.Dense(2, name="d"), keras.layers.ReLU(name="r")], name="late")
    model.build((None, 3))
    return keras.saving.serialize_keras_object(model)


def chain(keras: Any) -> Any:
    """A chain with a nested chain and a layer without weights."""
    layers = keras.layers
    inner = keras.Sequential(
        [layers.Dense(4, activation="relu", name="i1"), layers.Dropout(0.1, name="i2")], name="inner"
    )
    last = [layers.BatchNormalization(name="a_batch_normalization_with_a_long_name"), layers.Dense(2, name="last")]
    return keras.Sequential([keras.Input((3, 5), name="in"), inner, layers.Flatten(name="flat"), *last], name="chain")


def branches(keras: Any) -> Any:
    """Two inputs, a shared layer, operators, a nested model."""
    layers = keras.layers
    a, b = keras.Input((4,), name="a"), keras.Input((None, 4), name="b")
    shared = layers.Dense(3, name="shared")
    inner_in = keras.Input((3,), name="inner_in")
    inner = keras.Model(inner_in, layers.Dense(2, name="inner_dense")(inner_in), name="inner")
    inner.trainable = False
    x = layers.Concatenate(name="concat")([inner(shared(a)), layers.GlobalMaxPooling1D(name="pool")(shared(b))])
    return keras.Model([a, b], [layers.Dense(1, name="out")(x), x * 2.0], name="branches")


def subclass(keras: Any) -> Any:
    """A model with layers as attributes, of which one has not been used yet."""

    class Net(keras.Model):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__(name="net")
            self.first = keras.layers.Dense(3, name="first")
            self.others = [keras.layers.Dense(2, name="second"), keras.layers.Dense(2, name="unused")]

        def call(self, x: Any) -> Any:
            return self.others[0](self.first(x))

    net = Net()
    net(keras.Input((4,)))
    return net


# Arguments of `summary`, by the model and a name.
SUMMARIES: dict[str, tuple[Callable[[Any], Any], dict[str, Any]]] = {
    "chain": (chain, {}),
    "chain nested": (chain, {"expand_nested": True, "show_trainable": True}),
    "chain narrow": (chain, {"line_length": 60, "positions": [0.5, 0.75, 1.0]}),
    "branches": (branches, {}),
    "branches nested": (branches, {"expand_nested": True, "show_trainable": True, "line_length": 130}),
    "branches range": (branches, {"layer_range": ["shared", "conc"], "line_length": 90}),
    "subclass": (subclass, {}),
}


def summary(name: str) -> Callable[[Any], Any]:
    """The lines of a summary."""

    def make(keras: Any) -> Any:
        model, arguments = SUMMARIES[name]
        printed: list[str] = []
        model(keras).summary(print_fn=printed.append, **{"line_length": 100, **arguments})
        return "\n".join(printed).rstrip().split("\n")

    return make


OBJECTS: dict[str, Callable[[Any], Any]] = {
    **{f"layers.{name}": layer(name) for name in LAYERS},
    **{f"summary {name}": summary(name) for name in SUMMARIES},
    **{f.__name__: f for f in (with_common_arguments, functional, sequential, deferred)},
}


def plain(config: Any) -> Any:
    """A configuration as JSON gives it back."""
    return json.loads(json.dumps(config, default=lambda x: x.tolist() if hasattr(x, "tolist") else list(x)))


def main() -> None:
    """Records the configurations."""
    os.environ["KERAS_BACKEND"] = "tensorflow"
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ["COLUMNS"] = "200"  # the width at which summaries are cut off
    import keras

    found: Mapping[str, Any] = {}
    for name, make in OBJECTS.items():
        keras.backend.clear_session()
        found = {**found, name: plain(make(keras))}
    lines = [f"{json.dumps(name)}: {json.dumps(config)}" for name, config in found.items()]
    FILE.write_text("{\n" + ",\n".join(lines) + "\n}\n")
    print(f"{len(found)} configurations, {FILE.stat().st_size} bytes, Keras {keras.__version__}")


if __name__ == "__main__":
    main()
