"""Sequential, functional and subclassed models."""

from __future__ import annotations

import copy
import json
import pickle
from typing import Any

import numpy as np
import pytest

import oxiconv
from oxiconv import KerasTensor, Model, Sequential, ShapeError, layers, ops
from oxiconv.models import clone_model, model_from_json

Array = Any


@pytest.fixture(autouse=True)
def names_start_over() -> None:
    oxiconv.backend.clear_session()


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def mnist_convnet() -> Sequential:
    return Sequential(
        [
            oxiconv.Input((28, 28, 1)),
            layers.Conv2D(32, 3, activation="relu"),
            layers.MaxPooling2D(),
            layers.Conv2D(64, 3, activation="relu"),
            layers.MaxPooling2D(),
            layers.Flatten(),
            layers.Dropout(0.5),
            layers.Dense(10, activation="softmax"),
        ]
    )


def residual_block(x: Any, filters: int, strides: int) -> Any:
    y = layers.Conv2D(filters, 3, strides=strides, padding="same", use_bias=False)(x)
    y = layers.ReLU()(layers.BatchNormalization()(y))
    y = layers.BatchNormalization()(layers.Conv2D(filters, 3, padding="same", use_bias=False)(y))
    if strides > 1 or x.shape[-1] != filters:
        x = layers.BatchNormalization()(layers.Conv2D(filters, 1, strides=strides, use_bias=False)(x))
    return layers.ReLU()(layers.add([x, y]))


def resnet() -> Model:
    x = y = oxiconv.Input((32, 32, 3))
    for filters, strides in ((16, 1), (16, 1), (32, 2), (64, 2)):
        y = residual_block(y, filters, strides)
    return Model(x, layers.Dense(10)(layers.GlobalAveragePooling2D()(y)), name="resnet")


def two_ends() -> Model:
    """Two inputs and outputs, a shared layer, operators."""
    a, b = oxiconv.Input((4,), name="a"), oxiconv.Input((6,), name="b")
    shared = layers.Dense(5, name="shared")
    u, v = shared(layers.Dense(4, name="pa")(a)), shared(layers.Dense(4, name="pb")(b))
    first = layers.Dense(1, name="first")(layers.Concatenate()([u, v]))
    second = layers.Dense(3, name="second")(ops.relu(u * 2.0 + v)[:, ::-1] - 1)
    return Model([a, b], [first, second], name="two_ends")


def test_mnist_convnet_is_that_of_keras() -> None:
    model = mnist_convnet()
    assert model.count_params() == 34826
    assert [layer.name for layer in model.layers] == [
        "conv2d",
        "max_pooling2d",
        "conv2d_1",
        "max_pooling2d_1",
        "flatten",
        "dropout",
        "dense",
    ]
    assert [w.shape for w in model.weights] == [(3, 3, 1, 32), (32,), (3, 3, 32, 64), (64,), (1600, 10), (10,)]
    assert (model.input_shape, model.output_shape) == ((None, 28, 28, 1), (None, 10))
    assert (model.name, model.built) == ("sequential", True)


def test_sequential_is_built_by_its_first_call() -> None:
    model = Sequential([layers.Conv2D(4, 3), layers.Flatten(), layers.Dense(2)])
    assert (model.built, model.weights) == (False, [])
    with pytest.raises(AttributeError, match="outputs is known"):
        _ = model.output_shape
    assert model(np.zeros((3, 6, 6, 1))).shape == (3, 2)
    assert model.output_shape == (None, 2)
    assert model.count_params() == 40 + 4 * 4 * 4 * 2 + 2
    built = Sequential([layers.Dense(2)])
    built.build((None, 3))
    assert built.count_params() == 8
    assert layers.Dense(1)(built(oxiconv.Input((3,)))).shape == (None, 1)


@pytest.mark.parametrize("declared", [False, True])
def test_sequential_takes_inputs_of_other_sizes(declared: bool) -> None:
    """Where its layers do; the sizes that built it are an example."""
    first = [oxiconv.Input((4,))] if declared else []
    model = Sequential([*first, layers.Embedding(10, 3, mask_zero=True), layers.LSTM(2)])
    x = np.array([[1, 2, 0, 0], [3, 4, 5, 0]])
    padded = model(x).numpy()
    # The same steps are computed either way: what the mask leaves out changes no bit.
    np.testing.assert_array_equal(model(x[:, :3]).numpy(), padded)
    np.testing.assert_array_equal(model.predict(x[:, :3], verbose=0), padded)
    with pytest.raises(ShapeError, match="expected shape"):
        model(x[0])


@pytest.mark.parametrize(
    "layer",
    [
        layers.Dense(2),
        layers.BatchNormalization(),
        layers.LayerNormalization(),
        layers.PReLU(),
        layers.Normalization(mean=[1.0, 2.0, 3.0], variance=[1.0, 1.0, 1.0]),
        layers.EinsumDense("ab,bc->ac", 2),
    ],
    ids=lambda layer: type(layer).__name__,
)
def test_layers_in_a_sequential_refuse_other_sizes_than_their_weights(layer: layers.Layer) -> None:
    model = Sequential([oxiconv.Input((3,)), layer])
    with pytest.raises(ShapeError, match=type(layer).__name__):
        model(np.ones((2, 1)))


def test_an_error_names_its_layer_once() -> None:
    with pytest.raises(ShapeError, match=r"^Conv2D 'image': expected at least 4 axes, got shape \(4, 4, 1\)$"):
        layers.Conv2D(2, 3, name="image")(np.ones((4, 4, 1)))


def test_sequential_add_and_pop() -> None:
    model = Sequential(name="stack")
    model.add(oxiconv.Input((4,)))
    model.add(layers.Dense(3, name="a"))
    model.add(layers.Dense(2, name="b"))
    assert model.output_shape == (None, 2)
    kernel = model.layers[0].get_weights()[0]
    assert model.pop().name == "b"
    assert model.output_shape == (None, 3)
    np.testing.assert_array_equal(model(np.eye(4)).numpy(), kernel)
    model.add(lambda x: x * 2.0)
    np.testing.assert_array_equal(model(np.eye(4)).numpy(), 2 * kernel)
    with pytest.raises(ValueError, match="unique layer names, got 'a' twice"):
        model.add(layers.Dense(1, name="a"))
    with pytest.raises(ShapeError, match="Conv2D 'c'"):
        model.add(layers.Conv2D(1, 1, name="c"))
    assert [layer.name for layer in model.layers] == ["a", "lambda"]
    with pytest.raises(TypeError, match="expected a layer, got int"):
        model.add(3)
    with pytest.raises(ValueError, match="expected at least one layer"):
        Sequential().pop()


def test_order_of_layers_and_weights_is_that_of_keras() -> None:
    """Depth from the outputs first, then order of discovery; as Keras 3.15 lists the same model."""
    model = resnet()
    assert [layer.name for layer in model.layers][:12] == [
        "input_layer",
        "conv2d",
        "batch_normalization",
        "re_lu",
        "conv2d_2",
        "conv2d_1",
        "batch_normalization_2",
        "batch_normalization_1",
        "add",
        "re_lu_1",
        "conv2d_3",
        "batch_normalization_3",
    ]
    assert model.count_params() == 81194
    assert (len(model.trainable_weights), len(model.non_trainable_weights)) == (35, 22)
    model = two_ends()
    order = ["a", "pa", "b", "shared", "pb", "concatenate", "first", "second"]
    assert [layer.name for layer in model.layers] == order
    assert model.output_names == ["first", "second"]
    assert model.input_names == ["a", "b"]
    assert model.output_shape == [(None, 1), (None, 3)]


def two_ends_in_numpy(model: Model, a: Array, b: Array) -> tuple[Array, Array]:
    def dense(name: str, x: Array) -> Array:
        kernel, bias = model.get_layer(name).get_weights()
        return x @ kernel.astype(np.float64) + bias

    u, v = dense("shared", dense("pa", a)), dense("shared", dense("pb", b))
    return dense("first", np.concatenate([u, v], -1)), dense("second", np.maximum(u * 2 + v, 0)[:, ::-1] - 1)


def test_functional_model_computes_what_it_says() -> None:
    model = two_ends()
    a, b = rng(0).standard_normal((7, 4)), rng(1).standard_normal((7, 6))
    for got, wanted in zip(model([a, b]), two_ends_in_numpy(model, a, b), strict=True):
        # Three dense layers of at most 10 terms on values below 30.
        np.testing.assert_allclose(got.numpy(), wanted, atol=30 * 30 * 2.0**-24)


def test_inputs_and_outputs_in_dicts() -> None:
    model = two_ends()
    named = Model({"b": model.inputs[1], "a": model.inputs[0]}, {"y": model.outputs[0], "z": model.outputs[1]})
    a, b = np.ones((2, 4)), np.ones((2, 6))
    got = named({"a": a, "b": b})
    assert list(got) == ["y", "z"]
    np.testing.assert_array_equal(got["z"].numpy(), model([a, b])[1].numpy())
    # A model of a list of inputs takes a dict by their names.
    np.testing.assert_array_equal(model({"a": a, "b": b})[1].numpy(), got["z"].numpy())
    with pytest.raises(ValueError, match=r"expected inputs \['b', 'a'\], got \['a'\]"):
        named({"a": a})


def test_parts_of_a_model_are_models() -> None:
    model = mnist_convnet()
    x = rng().random((2, 28, 28, 1))
    features = Model(model.inputs, model.get_layer("conv2d_1").output)
    assert features.output_shape == (None, 11, 11, 64)
    # From within: the graph is cut at an intermediate tensor.
    head = Model(model.get_layer("conv2d_1").output, model.output)
    np.testing.assert_array_equal(head(features(x)).numpy(), model(x).numpy())
    assert head.count_params() == 16010
    again = Model.from_config(json.loads(json.dumps(head.get_config())))
    assert again.output_shape == (None, 10)


def test_models_are_layers() -> None:
    encoder = Sequential([oxiconv.Input((4,)), layers.Dense(3), layers.BatchNormalization()], name="encoder")
    x = oxiconv.Input((4,))
    model = Model(x, layers.Dense(2)(encoder(x) + encoder(x * 2.0)))
    assert [layer.name for layer in model.layers if isinstance(layer, Model)] == ["encoder"]
    assert model.count_params() == encoder.count_params() + 8
    encoder.trainable = False
    assert len(model.trainable_weights) == 2
    moving = encoder.layers[1].moving_mean.numpy().copy()
    model(np.ones((5, 4)), training=True)
    np.testing.assert_array_equal(encoder.layers[1].moving_mean.numpy(), moving)


def test_explicit_training_constant_wins() -> None:
    """The transfer learning guide: `base(x, training=False)` stays so when the model trains."""
    base = Sequential([oxiconv.Input((4,)), layers.BatchNormalization(), layers.Dropout(0.9)])
    x = oxiconv.Input((4,))
    still, moving = Model(x, base(x, training=False)), Model(x, base(x))
    data = rng().standard_normal((64, 4)) + 3
    np.testing.assert_array_equal(still(data, training=True).numpy(), still(data).numpy())
    assert (base.layers[0].moving_mean.numpy() == 0).all()
    assert (moving(data, training=True).numpy() == 0).mean() > 0.5
    assert (base.layers[0].moving_mean.numpy() != 0).all()


def test_inputs_are_converted() -> None:
    model = Sequential([oxiconv.Input((3, 1)), layers.Flatten(), layers.Dense(2)])
    x = rng().integers(0, 9, (4, 3))
    wanted = model(x[..., None].astype(np.float32)).numpy()
    np.testing.assert_array_equal(model(x[..., None].astype(np.uint8)).numpy(), wanted)
    np.testing.assert_array_equal(model(x).numpy(), wanted)
    with pytest.raises(ShapeError, match=r"Dense 'dense': expected size 3 of axis -1, got shape \(4, 5\)"):
        model(np.zeros((4, 5)))
    with pytest.raises(ValueError, match="expected 2 inputs, got 1"):
        two_ends()([np.zeros((1, 4))])


def test_unknown_sizes() -> None:
    x = oxiconv.Input((None, None, 3))
    y = layers.UpSampling2D()(layers.MaxPooling2D()(layers.Conv2D(4, 3, padding="same")(x)))
    model = Model(x, layers.Conv2D(1, 1)(layers.Concatenate()([x, y])))
    assert model.output_shape == (None, None, None, 1)
    assert model(np.zeros((1, 10, 12, 3))).shape == (1, 10, 12, 1)
    assert model(np.zeros((2, 4, 4, 3))).shape == (2, 4, 4, 1)


class Net(Model):
    def __init__(self, width: int = 3) -> None:
        super().__init__(name="net")
        self.first = layers.Dense(width)
        self.rest = [layers.BatchNormalization(), layers.Dense(2)]

    def call(self, x: Any, training: bool = False) -> Any:
        x = self.first(x)
        for layer in self.rest:
            x = layer(x)
        return x


def test_subclassed_model() -> None:
    model = Net()
    assert not model.built
    assert model(np.ones((2, 4))).shape == (2, 2)
    assert [layer.name for layer in model.layers] == ["dense", "batch_normalization", "dense_1"]
    assert model.count_params() == 15 + 12 + 8
    other = Net(5)
    other.build((None, 4))
    assert other.count_params() == 25 + 20 + 12
    assert Net.from_config(other.get_config()).first.units == 5
    with pytest.raises(AttributeError, match="functional and built sequential"):
        _ = model.output_shape


def test_functional_subclass() -> None:
    class Custom(Model):
        def double(self, x: Any) -> Any:
            return self(x) * 2

    x = oxiconv.Input((3,))
    model = Custom(x, layers.Dense(2)(x))
    assert model.double(np.ones((1, 3))).shape == (1, 2)
    assert len(model.weights) == 2
    assert model.name == "custom"


@pytest.mark.parametrize("make", [mnist_convnet, resnet, two_ends])
def test_configuration_makes_an_equal_model(make: Any) -> None:
    model = make()
    again = model_from_json(model.to_json())
    assert type(again) is type(model)
    assert again.to_json() == model.to_json()
    assert [layer.name for layer in again.layers] == [layer.name for layer in model.layers]
    again.set_weights(model.get_weights())
    x = [rng(i).random((2, *t.shape[1:])) for i, t in enumerate(model.inputs)]
    got, wanted = (m(x if len(x) > 1 else x[0]) for m in (again, model))
    for a, b in zip(oxiconv.tree.flatten(got), oxiconv.tree.flatten(wanted), strict=True):
        np.testing.assert_array_equal(a.numpy(), b.numpy())


def test_configuration_without_an_input() -> None:
    model = Sequential([layers.Dense(2, name="d")])
    assert not model_from_json(model.to_json()).built
    model(np.zeros((1, 3)))
    assert model_from_json(model.to_json()).count_params() == 8


def test_clone() -> None:
    model = two_ends()
    twin = clone_model(model)
    assert [w.shape for w in twin.weights] == [w.shape for w in model.weights]
    assert all(a is not b for a, b in zip(twin.weights, model.weights, strict=True))
    outer = Sequential([oxiconv.Input((4,)), Scaled(3.0)])
    assert clone_model(outer).layers[0].factor == 3.0


class Scaled(layers.Layer):
    def __init__(self, factor: float, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.factor = factor

    def call(self, x: Any) -> Any:
        return x * self.factor


def test_copies_and_pickles() -> None:
    model = mnist_convnet()
    x = rng().random((2, 28, 28, 1))
    wanted = model(x).numpy()
    for twin in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        np.testing.assert_array_equal(twin(x).numpy(), wanted)
        twin.set_weights([0 * w for w in twin.get_weights()])
        np.testing.assert_array_equal(model(x).numpy(), wanted)


def test_configuration_names_no_code() -> None:
    """A file selects among known classes and functions; it cannot import."""
    outer = Sequential([oxiconv.Input((4,)), Scaled(3.0)])
    with pytest.raises(ValueError, match="Unknown object 'Scaled'"):
        model_from_json(outer.to_json())
    assert model_from_json(outer.to_json(), {"Scaled": Scaled}).layers[0].factor == 3.0
    config = json.loads(two_ends().to_json())
    entry = next(e for e in config["config"]["layers"] if e["module"].startswith("keras.src.ops"))
    entry.update(module="os", class_name="system")
    with pytest.raises(ValueError, match=r"Unknown object 'system' of module 'os'"):
        model_from_json(json.dumps(config))
    entry.update(module="keras.src.ops.os", class_name="System")
    with pytest.raises(ValueError, match=r"keras\.src\.ops\.os\.System is not among oxiconv\.ops"):
        model_from_json(json.dumps(config))
    entry.update(module="oxiconv.ops", class_name="Function", config={"name": "f", "function": "os.system"})
    with pytest.raises(ValueError, match=r"function of oxiconv\.ops, got 'os\.system'"):
        model_from_json(json.dumps(config))


def summary_of(model: Model, **arguments: Any) -> list[str]:
    lines: list[str] = []
    model.summary(print_fn=lambda text: lines.extend(text.split("\n")), **arguments)
    return lines


def test_summary() -> None:
    lines = summary_of(mnist_convnet(), line_length=76)
    assert lines[0] == 'Model: "sequential"'
    assert len({len(line) for line in lines[1:-3]}) == 1 == len({76, len(lines[1])})
    cells = [[cell.strip() for cell in line.strip("│┃").split("│")] for line in lines if "│" in line]
    assert cells[0] == ["conv2d (Conv2D)", "(None, 26, 26, 32)", "320"]
    assert cells[-1] == ["dense (Dense)", "(None, 10)", "16,010"]
    assert lines[-3:] == [
        " Total params: 34,826 (136.04 KB)",
        " Trainable params: 34,826 (136.04 KB)",
        " Non-trainable params: 0 (0.00 B)",
    ]


def test_summary_of_a_graph_and_of_unbuilt_layers() -> None:
    text = "\n".join(summary_of(two_ends(), line_length=110))
    assert "Connected to" in text
    assert "pa[0][0]" in text
    assert "multiply (Multiply)" in text
    assert "shared[1][0]" in text
    unbuilt = "\n".join(summary_of(Sequential([layers.Dense(2)])))
    assert "0 (unbuilt)" in unbuilt
    assert "?" in unbuilt
    nested = Sequential([oxiconv.Input((4,)), Sequential([layers.Dense(3, name="inside")], name="block")])
    assert "inside" not in "\n".join(summary_of(nested))
    assert "└ inside (Dense)" in "\n".join(summary_of(nested, expand_nested=True, show_trainable=True, line_length=90))
    assert "flatten" not in "\n".join(summary_of(mnist_convnet(), layer_range=["conv2d", "conv2d_1"]))
    with pytest.raises(ValueError, match="layer_range"):
        summary_of(mnist_convnet(), layer_range=["nothing", "conv2d"])


def test_get_layer_and_weights() -> None:
    model = mnist_convnet()
    assert model.get_layer("dense") is model.layers[-1] is model.get_layer(index=-1)
    for arguments in ({"name": "none"}, {"index": 9}, {}, {"name": "dense", "index": 1}):
        with pytest.raises(ValueError, match="get_layer"):
            model.get_layer(**arguments)
    weights = model.get_weights()
    other = mnist_convnet()
    other.set_weights(weights)
    x = rng().random((2, 28, 28, 1))
    np.testing.assert_array_equal(other(x).numpy(), model(x).numpy())
    with pytest.raises(ValueError, match=r"Sequential .*set_weights: expected 6 arrays, got 5"):
        model.set_weights(weights[1:])


def test_errors_of_functional_models() -> None:
    x, y = oxiconv.Input((3,)), oxiconv.Input((3,), name="other")
    with pytest.raises(ValueError, match="expected 'other' among the inputs"):
        Model(x, x + y)
    with pytest.raises(ValueError, match="follow from the inputs"):
        Model(x, KerasTensor((None, 3)) + 1.0)
    with pytest.raises(TypeError, match="expected symbolic tensors as inputs, got ndarray"):
        Model(np.zeros(3), x)
    with pytest.raises(ValueError, match="unique layer names, got d more than once"):
        Model(x, layers.Dense(1, name="d")(layers.Dense(1, name="d")(x)))
    with pytest.raises(TypeError, match="has no value"):
        float(x)
    with pytest.raises(TypeError, match="has no value"):
        bool(x > 0)
    with pytest.raises(ShapeError, match=r"concatenate: expected equal shapes.*unknown sizes are tried as 2 for"):
        layers.Concatenate(axis=1)([x[:, :, None], oxiconv.Input((3, 2))])
    with pytest.raises(TypeError, match="expected inputs and outputs"):
        Model(inputs=x)


def test_deep_models_need_no_recursion() -> None:
    x = oxiconv.Input((2,))
    y: Any = x
    for _ in range(1500):
        y = y + 1.0
    np.testing.assert_array_equal(Model(x, y)(np.zeros((1, 2))).numpy(), [[1500, 1500]])


def test_summary_in_a_narrow_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "20")
    assert max(map(len, summary_of(two_ends()))) == 60
    with pytest.raises(ValueError, match="expected a line_length for columns of at least 4, got 20"):
        summary_of(two_ends(), line_length=20)
