"""What layers, models and variables offer beside their results: scopes, state, copies, settings."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import oxiconv
from oxiconv import config, layers, ops


@pytest.fixture(autouse=True)
def _fresh() -> Iterator[None]:
    oxiconv.backend.clear_session()
    yield
    config.set_max_epochs(None)
    config.set_max_steps_per_epoch(None)
    config.enable_interactive_logging()


def test_paths_are_those_of_keras() -> None:
    """As real Keras 3.15.1 prints them for these models."""

    class Net(oxiconv.Model):
        def __init__(self) -> None:
            super().__init__(name="mm")
            self.d = layers.Dense(3)
            self.l = [layers.Dense(2, name="a"), layers.Dropout(0.5)]
            self.v = oxiconv.Variable(1.0, name="vv")
            self.met = oxiconv.metrics.Mean()

        def build(self, input_shape: Any = None) -> None:
            self.w = self.add_weight(shape=(2,), name="w")
            super().build(input_shape)

        def call(self, x: Any) -> Any:
            return self.l[1](self.l[0](self.d(x)))

    net = Net()
    net(np.ones((1, 4)))
    own = ["vv", "mm/w", "mm/dense/kernel", "mm/dense/bias", "mm/a/kernel", "mm/a/bias"]
    assert [v.path for v in net.weights] == own
    assert [v.path for v in net.variables] == [*own, "seed_generator/seed_generator_state"]
    assert [v.path for v in net.metrics_variables] == ["mean/total", "mean/count"]
    chain = oxiconv.Sequential([oxiconv.Input((4,)), layers.Dense(3), layers.BatchNormalization()], name="s")
    assert [v.path for v in chain.weights][:3] == ["s/dense_1/kernel", "s/dense_1/bias", "s/batch_normalization/gamma"]
    late = oxiconv.Sequential([oxiconv.Sequential([layers.Dense(2, name="in")], name="ns")], name="s2")
    late(np.ones((1, 4)))
    assert [v.path for v in late.weights] == ["s2/ns/in/kernel", "s2/ns/in/bias"]
    alone = layers.Dense(3, name="zz")
    alone.build((None, 4))
    assert (alone.kernel.path, alone.path) == ("zz/kernel", "zz")
    with oxiconv.name_scope("outer"), oxiconv.name_scope("inner"):
        assert oxiconv.Variable(0.0, name="x").path == "outer/inner/x"


def test_stateless_calls_change_nothing() -> None:
    layer = layers.BatchNormalization(momentum=0.5)
    layer.build((None, 2))
    x = np.array([[1.0, 2.0], [3.0, 6.0]], np.float32)
    trainable = [v * 2.0 for v in layer.trainable_variables]
    given = [v.value for v in layer.non_trainable_variables]
    y, after = layer.stateless_call(trainable, given, x, training=True)
    np.testing.assert_allclose(after[0], x.mean(0) / 2, rtol=1e-6)
    np.testing.assert_array_equal(layer.moving_mean, 0.0)
    wanted = 2 * (x - x.mean(0)) / np.sqrt(x.var(0) + 1e-3)
    np.testing.assert_allclose(y, wanted, rtol=1e-5)
    with pytest.raises(ValueError, match="expected 2 trainable_variables, got 1"):
        layer.stateless_call(trainable[:1], given, x)
    with pytest.raises(ValueError, match="expected a built layer"):
        layers.Dense(1).stateless_call([], [], x)


def test_gradients_of_a_stateless_call() -> None:
    """The JAX way: a function of the weights."""
    layer = layers.Dense(1, use_bias=False)
    layer.build((None, 2))
    kernel = ops.convert_to_tensor([[1.0], [2.0]])
    with oxiconv.GradientTape() as tape:
        tape.watch(kernel)
        y, _ = layer.stateless_call([kernel], [], [[3.0, 4.0]])
    assert tape.gradient(y, kernel).numpy().tolist() == [[3.0], [4.0]]


def test_state_trees() -> None:
    model = oxiconv.Sequential([oxiconv.Input((3,)), layers.Dense(2, name="d"), layers.BatchNormalization()], name="m")
    model.compile("adam", "mse")
    model.fit(np.ones((4, 3)), np.ones((4, 2)), verbose=0)
    held = model.get_state_tree("numpy_array")
    assert set(held) == {"trainable_variables", "non_trainable_variables", "optimizer_variables", "metrics_variables"}
    assert set(held["trainable_variables"]["m"]) == {"d", "batch_normalization"}
    saved = {kind: tree for kind, tree in held.items() if kind != "metrics_variables"}
    before = model.predict(np.ones((1, 3)), verbose=0)
    model.fit(np.ones((4, 3)), np.zeros((4, 2)), verbose=0)
    assert (model.predict(np.ones((1, 3)), verbose=0) != before).any()
    model.set_state_tree(saved)
    np.testing.assert_array_equal(model.predict(np.ones((1, 3)), verbose=0), before)
    with pytest.raises(ValueError, match="has no 'm/e/kernel'"):
        model.set_state_tree({"trainable_variables": {"m": {"e": {"kernel": 0.0}}}})


def test_clones() -> None:
    inputs = oxiconv.Input((4,))
    inner = oxiconv.Sequential([oxiconv.Input((4,)), layers.Dense(3, name="deep")], name="inner")
    model = oxiconv.Model(inputs, ops.relu(layers.Dropout(0.5, name="drop")(inner(inputs)) * 2.0))
    model.compile("sgd", "mse")
    clone = oxiconv.models.clone_model(model)
    assert clone.compiled
    assert [layer.name for layer in clone.layers] == [layer.name for layer in model.layers]
    clone.set_weights(model.get_weights())
    x = np.random.default_rng(0).standard_normal((2, 4)).astype(np.float32)
    np.testing.assert_array_equal(clone(x), model(x))
    assert clone.weights[0] is not model.weights[0]

    def half(layer: Any) -> Any:
        made = {**layer.get_config(), "rate": 0.25} if isinstance(layer, layers.Dropout) else layer.get_config()
        return type(layer).from_config(made)

    assert oxiconv.models.clone_model(model, clone_function=half).get_layer("drop").rate == 0.25

    def noisy(layer: Any, *args: Any, **kwargs: Any) -> Any:
        y = layer(*args, **kwargs)
        return layers.GaussianNoise(0.1)(y) if isinstance(layer, layers.Dropout) else y

    added = oxiconv.models.clone_model(model, clone_function=lambda layer: layer, call_function=noisy)
    assert len(added.layers) == len(model.layers) + 1
    assert added.get_layer("inner") is inner
    upon = oxiconv.Input((4,), name="other")
    assert oxiconv.models.clone_model(model, input_tensors=upon).input is upon
    deep = oxiconv.models.clone_model(model, clone_function=half, recursive=True)
    assert deep.get_layer("inner").get_layer("deep") is not inner.get_layer("deep")
    with pytest.raises(ValueError, match="expected a functional model for call_function"):
        oxiconv.models.clone_model(inner, call_function=noisy)


def test_operations_and_functions() -> None:
    class Twice(oxiconv.Operation):
        def call(self, x: Any) -> Any:
            return x * 2.0

    assert float(Twice()(3.0)) == 6.0
    a = oxiconv.Input((2,))
    y = Twice(name="twice")(a) + 1.0
    function = oxiconv.Function(a, {"y": y})
    assert function(np.ones((1, 2), np.float32))["y"].numpy().tolist() == [[3.0, 3.0]]
    assert function.compute_output_shape((None, 2)) == {"y": (None, 2)}
    assert [op.name for op in function.operations][1] == "twice"
    assert function(oxiconv.Input((2,)))["y"].shape == (None, 2)
    assert oxiconv.utils.get_source_inputs(y)[0] is a
    history = y._keras_history
    assert (history.operation.name, history.node_index, history.tensor_index) == ("add", 0, 0)


def test_shapes_of_a_class_that_gives_them() -> None:
    class Table(layers.Layer):
        def __init__(self) -> None:
            super().__init__()
            self.dense = layers.Dense(3)

        def call(self, x: Any) -> Any:
            return self.dense(x)

        def compute_output_shape(self, input_shape: Any) -> Any:
            return (*input_shape[:-1], 3)

    layer = Table()
    assert layer(oxiconv.Input((7, 5))).shape == (None, 7, 3)
    assert len(layer.weights) == 2
    assert layer.compute_output_shape((None, 5)) == (None, 3)
    assert layers.Dense(4).compute_output_shape((None, 2, 5)) == (None, 2, 4)


def test_lambda_layers() -> None:
    inputs = oxiconv.Input((4,))
    assert layers.Lambda(lambda x: x[:, :2])(inputs).shape == (None, 2)
    given = layers.Lambda(lambda x: x, output_shape=(9,))
    assert given(inputs).shape == (None, 9)
    assert layers.Lambda(lambda x, by: x * by, arguments={"by": 3.0})([[1.0]]).numpy().tolist() == [[3.0]]
    when = layers.Lambda(lambda x, training: x * 2.0 if training else x)
    assert float(when([1.0], training=True)[0]) == 2.0
    masked = layers.Lambda(lambda x: x, mask=lambda x, mask: ops.not_equal(x, 0.0))([[1.0, 0.0]])
    assert masked._keras_mask.numpy().tolist() == [[True, False]]


def test_bounds_on_training() -> None:
    model = oxiconv.Sequential([oxiconv.Input((2,)), layers.Dense(1)])
    model.compile("sgd", "mse")
    config.set_max_epochs(2)
    config.set_max_steps_per_epoch(3)
    x, y = np.ones((40, 2), np.float32), np.ones((40, 1), np.float32)
    with pytest.warns(UserWarning, match=r"2 of 5 epochs|3 steps per epoch"):
        history = model.fit(x, y, batch_size=4, epochs=5, verbose=0)
    assert len(history.history["loss"]) == 2
    assert int(model.optimizer.iterations) == 6
    with pytest.warns(UserWarning, match="3 steps per epoch"):
        assert model.predict(x, batch_size=4, verbose=0).shape == (12, 1)
    with pytest.raises(ValueError, match="set_max_epochs: expected a positive integer"):
        config.set_max_epochs(0)


def test_logging_without_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    model = oxiconv.Sequential([oxiconv.Input((2,)), layers.Dense(1)])
    model.compile("sgd", "mse")
    config.disable_interactive_logging()
    model.fit(np.ones((64, 2)), np.ones((64, 1)))
    assert "\b" not in (printed := capsys.readouterr().out)
    assert "━" not in printed
    assert "loss" in printed


def test_devices_and_versions() -> None:
    with oxiconv.device("cpu:0"):
        assert float(ops.ones(())) == 1.0
    with pytest.raises(ValueError, match="the one device there is, got 'gpu:0'"):
        oxiconv.device("gpu:0")
    assert oxiconv.keras_compat_version.startswith("3.")
    assert oxiconv.version() == oxiconv.__version__
    with pytest.raises(NotImplementedError, match="never runs code"):
        config.enable_unsafe_deserialization()
    with pytest.raises(ValueError, match="the one engine"):
        config.set_backend("jax")


def test_a_layer_whose_constructor_calls_no_super_says_so() -> None:
    class Broken(layers.Layer):
        def __init__(self) -> None:
            self.units = 3

        def call(self, x: Any) -> Any:
            return x

    with pytest.raises(RuntimeError, match=r"Broken: call super\(\).__init__\(\)"):
        Broken()(np.ones((1, 2)))


def test_chains_of_several_inputs() -> None:
    """A chain whose first layer takes a list has no symbolic form, and runs layer by layer."""
    chain = oxiconv.Sequential([layers.Concatenate(), layers.Dense(2)])
    y = chain([np.ones((3, 2), np.float32), np.ones((3, 1), np.float32)])
    assert y.shape == (3, 2)
    assert chain.layers[1].kernel.shape == (3, 2)
