"""What layers do beside computing: weights, shapes, names, losses, training, configurations, errors."""

from __future__ import annotations

import inspect
import json
from typing import Any

import numpy as np
import pytest

import oxiconv
import sequence_layers
from oxiconv import ShapeError, Variable, layers, ops
from oxiconv.saving import deserialize_keras_object, serialize_keras_object
from preprocessing_rows import PREPROCESSING

# Class, arguments, input shape, and what Keras documents: output shape and number of parameters.
KERAS: list[tuple[Any, dict[str, Any], Any, Any, int]] = [
    (layers.Conv1D, {"filters": 8, "kernel_size": 3}, (None, 16, 4), (None, 14, 8), 104),
    (layers.Conv2D, {"filters": 32, "kernel_size": 3}, (None, 28, 28, 1), (None, 26, 26, 32), 320),
    (layers.Conv2D, {"filters": 64, "kernel_size": 3}, (None, 13, 13, 32), (None, 11, 11, 64), 18496),
    (layers.Conv2D, {"filters": 8, "kernel_size": 3, "groups": 2}, (None, 9, 9, 4), (None, 7, 7, 8), 152),
    (
        layers.Conv2D,
        {"filters": 8, "kernel_size": 3, "strides": 2, "padding": "same"},
        (None, None, None, 3),
        (None, None, None, 8),
        224,
    ),
    (layers.Conv3D, {"filters": 4, "kernel_size": 2}, (None, 5, 6, 7, 3), (None, 4, 5, 6, 4), 100),
    (layers.Conv1DTranspose, {"filters": 4, "kernel_size": 3, "strides": 2}, (None, 5, 2), (None, 11, 4), 28),
    (
        layers.Conv2DTranspose,
        {"filters": 4, "kernel_size": 3, "strides": 2, "padding": "same"},
        (None, 7, 7, 2),
        (None, 14, 14, 4),
        76,
    ),
    (layers.Conv3DTranspose, {"filters": 4, "kernel_size": 2}, (None, 3, 3, 3, 2), (None, 4, 4, 4, 4), 68),
    (layers.DepthwiseConv1D, {"kernel_size": 3}, (None, 9, 4), (None, 7, 4), 16),
    (layers.DepthwiseConv2D, {"kernel_size": 3, "depth_multiplier": 2}, (None, 9, 9, 4), (None, 7, 7, 8), 80),
    (layers.SeparableConv1D, {"filters": 5, "kernel_size": 3}, (None, 9, 4), (None, 7, 5), 37),
    (layers.SeparableConv2D, {"filters": 5, "kernel_size": 3}, (None, 9, 9, 4), (None, 7, 7, 5), 61),
    (layers.Dense, {"units": 10}, (None, 1600), (None, 10), 16010),
    (layers.Dense, {"units": 10, "use_bias": False}, (None, 3, 7), (None, 3, 10), 70),
    (layers.MaxPooling1D, {}, (None, 9, 3), (None, 4, 3), 0),
    (layers.MaxPooling2D, {}, (None, 26, 26, 32), (None, 13, 13, 32), 0),
    (layers.MaxPooling3D, {}, (None, 4, 6, 8, 2), (None, 2, 3, 4, 2), 0),
    (layers.AveragePooling1D, {"pool_size": 2}, (None, 9, 3), (None, 4, 3), 0),
    (layers.AveragePooling2D, {"pool_size": 3, "strides": 2, "padding": "same"}, (None, 9, 8, 3), (None, 5, 4, 3), 0),
    (layers.AveragePooling3D, {"pool_size": 2}, (None, 4, 6, 8, 2), (None, 2, 3, 4, 2), 0),
    (layers.GlobalAveragePooling1D, {}, (None, None, 3), (None, 3), 0),
    (layers.GlobalAveragePooling2D, {"keepdims": True}, (None, 5, 5, 3), (None, 1, 1, 3), 0),
    (layers.GlobalAveragePooling3D, {}, (None, 5, 5, 5, 3), (None, 3), 0),
    (layers.GlobalMaxPooling1D, {}, (None, 5, 3), (None, 3), 0),
    (layers.GlobalMaxPooling2D, {}, (None, None, None, 3), (None, 3), 0),
    (layers.GlobalMaxPooling3D, {}, (None, 5, 5, 5, 3), (None, 3), 0),
    (layers.BatchNormalization, {}, (None, 4, 4, 16), (None, 4, 4, 16), 64),
    (layers.BatchNormalization, {"scale": False, "center": False}, (None, 16), (None, 16), 32),
    (layers.BatchNormalization, {"renorm": True}, (None, 16), (None, 16), 112),
    (layers.LayerNormalization, {}, (None, 4, 16), (None, 4, 16), 32),
    (layers.GroupNormalization, {"groups": 4}, (None, 4, 16), (None, 4, 16), 32),
    (layers.RMSNormalization, {}, (None, 4, 16), (None, 4, 16), 16),
    (layers.UnitNormalization, {}, (None, 4, 16), (None, 4, 16), 0),
    (layers.SpectralNormalization, {"layer": layers.Dense(3)}, (None, 4), (None, 3), 18),
    (layers.AdaptiveAveragePooling1D, {"output_size": 4}, (None, 9, 3), (None, 4, 3), 0),
    (layers.AdaptiveAveragePooling2D, {"output_size": (2, 3)}, (None, 5, 7, 3), (None, 2, 3, 3), 0),
    (layers.AdaptiveAveragePooling3D, {"output_size": 2}, (None, 4, 5, 6, 3), (None, 2, 2, 2, 3), 0),
    (layers.AdaptiveMaxPooling1D, {"output_size": 4}, (None, 9, 3), (None, 4, 3), 0),
    (layers.AdaptiveMaxPooling2D, {"output_size": 2}, (None, 5, 7, 3), (None, 2, 2, 3), 0),
    (layers.AdaptiveMaxPooling3D, {"output_size": 2}, (None, 4, 5, 6, 3), (None, 2, 2, 2, 3), 0),
    (layers.Dropout, {"rate": 0.5, "seed": 1}, (None, 8), (None, 8), 0),
    (layers.SpatialDropout1D, {"rate": 0.5}, (None, 8, 3), (None, 8, 3), 0),
    (layers.SpatialDropout2D, {"rate": 0.5}, (None, 8, 8, 3), (None, 8, 8, 3), 0),
    (layers.SpatialDropout3D, {"rate": 0.5}, (None, 4, 4, 4, 3), (None, 4, 4, 4, 3), 0),
    (layers.GaussianNoise, {"stddev": 0.1}, (None, 8), (None, 8), 0),
    (layers.GaussianDropout, {"rate": 0.1}, (None, 8), (None, 8), 0),
    (layers.AlphaDropout, {"rate": 0.1}, (None, 8), (None, 8), 0),
    (layers.ActivityRegularization, {"l1": 0.1}, (None, 8), (None, 8), 0),
    (layers.Flatten, {}, (None, 5, 5, 64), (None, 1600), 0),
    (layers.Flatten, {}, (None, None, 3), (None, None), 0),
    (layers.Reshape, {"target_shape": (-1, 4)}, (None, 6, 2), (None, 3, 4), 0),
    (layers.Permute, {"dims": (2, 1)}, (None, 3, 4), (None, 4, 3), 0),
    (layers.RepeatVector, {"n": 3}, (None, 4), (None, 3, 4), 0),
    (layers.ZeroPadding1D, {"padding": (1, 2)}, (None, 3, 2), (None, 6, 2), 0),
    (layers.ZeroPadding2D, {"padding": (1, 2)}, (None, 3, 3, 2), (None, 5, 7, 2), 0),
    (layers.ZeroPadding3D, {}, (None, 3, 3, 3, 2), (None, 5, 5, 5, 2), 0),
    (layers.Cropping1D, {}, (None, 5, 2), (None, 3, 2), 0),
    (layers.Cropping2D, {"cropping": 1}, (None, 5, 6, 2), (None, 3, 4, 2), 0),
    (layers.Cropping3D, {}, (None, 5, 6, 7, 2), (None, 3, 4, 5, 2), 0),
    (layers.UpSampling1D, {}, (None, 5, 2), (None, 10, 2), 0),
    (layers.UpSampling2D, {}, (None, 5, 6, 2), (None, 10, 12, 2), 0),
    (layers.UpSampling3D, {"size": (1, 2, 3)}, (None, 2, 3, 4, 2), (None, 2, 6, 12, 2), 0),
    (layers.UpSampling2D, {"size": 3, "interpolation": "bilinear"}, (None, 5, 6, 2), (None, 15, 18, 2), 0),
    (layers.Activation, {"activation": "relu"}, (None, 3), (None, 3), 0),
    (layers.ReLU, {"max_value": 6.0}, (None, 3), (None, 3), 0),
    (layers.LeakyReLU, {}, (None, 3), (None, 3), 0),
    (layers.ELU, {}, (None, 3), (None, 3), 0),
    (layers.PReLU, {"shared_axes": [1, 2]}, (None, 4, 4, 8), (None, 4, 4, 8), 8),
    (layers.Softmax, {}, (None, 3), (None, 3), 0),
    (layers.Identity, {}, (None, 3), (None, 3), 0),
    (layers.Rescaling, {"scale": 2.0}, (None, 3), (None, 3), 0),
    (layers.Add, {}, [(None, 3), (None, 3)], (None, 3), 0),
    (layers.Subtract, {}, [(None, 3), (None, 3)], (None, 3), 0),
    (layers.Multiply, {}, [(None, 3), (None, 3)], (None, 3), 0),
    (layers.Average, {}, [(None, 3), (None, 3)], (None, 3), 0),
    (layers.Maximum, {}, [(None, 3), (None, 3)], (None, 3), 0),
    (layers.Minimum, {}, [(None, 3), (None, 3)], (None, 3), 0),
    (layers.Concatenate, {}, [(None, 3), (None, 4)], (None, 7), 0),
    (layers.Dot, {"axes": 1}, [(None, 3), (None, 3)], (None, 1), 0),
    (layers.Dot, {"axes": (2, 1)}, [(None, 3, 4), (None, 4, 5)], (None, 3, 5), 0),
    *PREPROCESSING,
]


@pytest.mark.parametrize(("cls", "arguments", "shape", "wanted", "parameters"), KERAS)
def test_shapes_parameters_and_configuration(
    cls: Any, arguments: dict[str, Any], shape: Any, wanted: Any, parameters: int
) -> None:
    layer = cls(**arguments, name="one")
    assert layer.compute_output_shape(shape) == wanted
    assert layer.count_params() == parameters
    # Through JSON, as a saved model does it.
    config = json.loads(json.dumps(serialize_keras_object(layer)))
    again = deserialize_keras_object(config)
    assert type(again) is cls
    assert json.loads(json.dumps(serialize_keras_object(again))) == config
    assert again.compute_output_shape(shape) == wanted
    for name, value in arguments.items():
        assert name in layer.get_config(), value


def test_every_layer_is_in_the_table() -> None:
    tested = {row[0] for row in [*KERAS, *sequence_layers.ROWS]} | sequence_layers.PARTS
    untested = {layers.Layer, layers.InputLayer, layers.InputSpec, layers.Lambda}
    public = {value for name in layers.__all__ if inspect.isclass(value := getattr(layers, name))}
    assert public == tested | untested


class Scale(layers.Layer):
    """A layer as users write them."""

    def __init__(self, factor: float = 2.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.factor = factor

    def build(self, input_shape: Any) -> None:
        self.scale = self.add_weight((input_shape[-1],), initializer="ones", name="scale")
        self.count = self.add_weight((), initializer="zeros", dtype="int32", trainable=False, name="count")

    def call(self, inputs: Any) -> Any:
        self.count.assign_add(1)
        return inputs * self.scale * self.factor


class Block(layers.Layer):
    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.stem = layers.Dense(2)
        self.stages: list[Any] = [layers.Dense(3), [Scale(), {"inner": layers.Dense(4)}]]
        self.free = Variable(1.0, name="free")

    def call(self, inputs: Any, training: Any = None) -> Any:
        first, (second, named) = self.stages
        x = second(first(self.stem(inputs)))
        return named["inner"](x) * self.free


def test_layer_of_a_user() -> None:
    layer = Scale(3.0)
    np.testing.assert_array_equal(layer(np.ones((1, 2))).numpy(), [[3, 3]])
    assert [w.path for w in layer.weights] == [f"{layer.name}/scale", f"{layer.name}/count"]
    assert (len(layer.trainable_weights), len(layer.non_trainable_weights)) == (1, 1)
    assert int(layer.count) == 1
    # Shapes come from tracing, which leaves no trace in the state.
    assert layer.compute_output_shape((None, 2)) == (None, 2)
    assert int(layer.count) == 1
    assert layer.get_config()["factor"] == 3.0
    assert Scale.from_config(layer.get_config()).factor == 3.0


def test_sublayers_are_found_in_lists_and_dicts() -> None:
    block = Block(name="block")
    block(np.ones((1, 5)))
    assert [w.shape for w in block.weights] == [(), (5, 2), (2,), (2, 3), (3,), (3,), (), (3, 4), (4,)]
    assert block.count_params() == 1 + 12 + 9 + 3 + 1 + 16
    block.stages.append(layers.Dense(1))
    assert len(block._layers) == 5
    assert len({id(w) for w in block.weights}) == len(block.weights)


def test_layers_may_refer_to_each_other() -> None:
    outer = Block(name="outer")
    outer(np.ones((1, 5)))
    before = len(outer.weights)
    outer.stem.parent = outer  # type: ignore[attr-defined]
    assert len(outer.weights) == len(outer.variables) == before
    dropout = layers.Dropout(0.5)
    assert (len(dropout.weights), [v.shape for v in dropout.variables]) == (0, [(2,)])


def test_trainable_is_recursive() -> None:
    block = Block()
    block(np.ones((1, 5)))
    total = len(block.weights)
    assert len(block.trainable_weights) == total - 1
    block.trainable = False
    assert block.trainable_weights == []
    assert len(block.non_trainable_weights) == total
    assert not block.stem.trainable
    assert not block.stem.kernel.trainable
    block.trainable = True
    assert len(block.trainable_weights) == total - 1
    frozen = layers.Dense(2, trainable=False)
    frozen.build((None, 3))
    assert not frozen.kernel.trainable


def test_names_count_up_per_class() -> None:
    oxiconv.backend.clear_session()
    assert [layers.Conv2D(1, 1).name, layers.Conv2D(1, 1).name, layers.ReLU().name] == ["conv2d", "conv2d_1", "re_lu"]
    assert layers.MaxPooling2D().name == "max_pooling2d"
    assert layers.BatchNormalization(name="bn").name == "bn"


def test_get_and_set_weights() -> None:
    layer = layers.Dense(2, name="head")
    layer.build((None, 3))
    kernel, bias = layer.get_weights()
    kernel[:] = 7
    assert not (layer.kernel.numpy() == 7).any()
    layer.set_weights([kernel, bias])
    assert (layer.kernel.numpy() == 7).all()
    with pytest.raises(ValueError, match=r"Dense 'head': set_weights: expected 2 arrays, got 1"):
        layer.set_weights([kernel])
    with pytest.raises(ShapeError, match=r"Dense 'head'.*\(2,\) for 'head/bias', got \(5,\)"):
        layer.set_weights([kernel * 0, np.zeros(5)])
    assert (layer.kernel.numpy() == 7).all()


def test_losses() -> None:
    layer = layers.Dense(
        2, kernel_initializer="ones", kernel_regularizer="l2", bias_regularizer="l1", activity_regularizer="l1"
    )
    layer.build((None, 3))
    # 0.01 * 6 ones squared, 0.01 * two zeros.
    assert [float(loss) for loss in layer.losses] == [pytest.approx(0.06), 0.0]
    layer(np.ones((4, 3)))
    # The penalty of the outputs (8 threes) is divided by the batch size.
    assert float(layer.losses[0]) == pytest.approx(0.01 * 24 / 4)
    layer(np.ones((4, 3)))
    assert len(layer.losses) == 3


class Noisy(layers.Layer):
    """Knows nothing of training itself."""

    def __init__(self) -> None:
        super().__init__()
        self.dropout = layers.Dropout(0.9, seed=1)
        self.still = layers.Dropout(0.9, seed=1)

    def call(self, x: Any) -> Any:
        self.add_loss(ops.sum(x))
        return self.dropout(x) + 0 * self.still(x, training=False)


def test_training_reaches_nested_layers() -> None:
    x = np.ones((4, 64), np.float32)
    layer = Noisy()
    assert (layer(x).numpy() == 1).all()
    assert (layer(x, training=True).numpy() == 0).any()
    assert (layer(x, training=False).numpy() == 1).all()
    assert [float(loss) for loss in layer.losses] == [256.0]

    class Outer(layers.Layer):
        def __init__(self) -> None:
            super().__init__()
            self.inner = Noisy()

        def call(self, x: Any, training: bool = False) -> Any:
            return self.inner(x), training

    outer = Outer()
    y, training = outer(x, training=True)
    assert training
    assert (y.numpy() == 0).any()
    y, training = outer(x, True)
    assert (y.numpy() == 0).any()
    y, training = outer(x)
    assert not training
    assert (y.numpy() == 1).all()


def test_build_gets_the_shapes_of_all_arguments() -> None:
    class Pair(layers.Layer):
        def build(self, left_shape: Any, right_shape: Any) -> None:
            self.shapes = left_shape, right_shape

        def call(self, left: Any, right: Any) -> Any:
            return ops.matmul(left, right)

    pair = Pair()
    assert pair(np.ones((2, 3)), right=np.ones((3, 4))).shape == (2, 4)
    assert pair.shapes == ((2, 3), (3, 4))


def test_weights_made_in_a_trace_have_values() -> None:
    class Late(layers.Layer):
        def build(self, input_shape: Any) -> None:
            self.w = self.add_weight((3,), initializer=lambda shape, dtype: oxiconv.random.normal(shape), name="w")

        def call(self, x: Any) -> Any:
            return x + self.w

    model = oxiconv.Sequential([layers.Activation(lambda x: Late(name="late")(x))])
    assert model(np.ones((2, 3))).shape == (2, 3)


@pytest.mark.parametrize(
    ("make", "x", "error", "message"),
    [
        (lambda: layers.Conv2D(4, 3, name="stem"), (1, 2, 2, 1), ShapeError, r"Conv2D 'stem': conv: .*\[3, 3\]"),
        (lambda: layers.Conv2D(4, 3, name="stem"), (1, 8, 8), ShapeError, r"'stem': expected at least 4 axes"),
        (lambda: layers.Conv2D(4, 3, groups=4, name="g"), (1, 8, 8, 6), ValueError, r"'g': expected a multiple of"),
        (lambda: layers.Dense(4, name="d"), (3,), ShapeError, r"Dense 'd': expected at least 2 axes, got shape \(3,\)"),
        (lambda: layers.MaxPooling2D(3, name="p"), (1, 2, 2, 1), ShapeError, r"MaxPooling2D 'p': .*window"),
        (
            lambda: layers.Reshape((5, 5), name="r"),
            (2, 24),
            ShapeError,
            r"Reshape 'r': reshape: expected .*48 elements",
        ),
        (lambda: layers.BatchNormalization(axis=3, name="b"), (2, 4), ShapeError, r"BatchNormalization 'b'.*axis"),
        (lambda: layers.Add(name="a"), (2, 4), ShapeError, r"Add 'a': merge: expected a list"),
        (lambda: layers.Cropping2D(2, name="c"), (1, 4, 4, 1), ShapeError, r"Cropping2D 'c': cropping: expected"),
    ],
)
def test_errors_name_the_layer(make: Any, x: tuple[int, ...], error: Any, message: str) -> None:
    with pytest.raises(error, match=message):
        make()(np.zeros(x, np.float32))


def test_inputs_of_another_size_than_built_for() -> None:
    layer = layers.Conv2D(2, 3, name="stem")
    layer(np.zeros((1, 8, 8, 3)))
    with pytest.raises(ShapeError, match=r"Conv2D 'stem': expected size 3 of axis -1, got shape \(1, 8, 8, 4\)"):
        layer(np.zeros((1, 8, 8, 4)))
    dense = layers.Dense(2, name="head")
    dense(np.zeros((1, 8)))
    with pytest.raises(ShapeError, match=r"Dense 'head': expected size 8 of axis -1"):
        dense(np.zeros((1, 9)))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: layers.Conv2D(0, 3), "filters of at least 1, got 0"),
        (lambda: layers.Conv2D(4, (3, 3, 3)), "kernel_size to be 2 whole numbers"),
        (lambda: layers.Conv2D(4, 3, padding="full"), "padding 'valid', 'same', got 'full'"),
        (lambda: layers.Conv2D(4, 3, padding="causal"), "padding 'valid', 'same', got 'causal'"),
        (lambda: layers.Conv2D(4, 3, strides=2, dilation_rate=2), "strides or dilation_rate of 1"),
        (lambda: layers.Conv2D(5, 3, groups=2), "multiple of groups=2, got 5"),
        (lambda: layers.Conv2D(4, 3, activation="rellu"), "activation: expected one of .*relu.*got 'rellu'"),
        (lambda: layers.Conv2D(4, 3, kernel_initializer="glorot"), "initializer: expected one of .*got 'glorot'"),
        (lambda: layers.Conv2D(4, 3, data_format="NHWC"), "data_format 'channels_first' or 'channels_last'"),
        (lambda: layers.Dense(True), "units of at least 1, got True"),
        (lambda: layers.Dense(4, kernel_regularizer="l3"), "regularizer: expected one of"),
        (lambda: layers.Dropout(1.5), "rate from 0 to 1, got 1.5"),
        (lambda: layers.MaxPooling2D(padding="no"), "padding 'valid' or 'same', got 'no'"),
        (lambda: layers.Permute((1, 3)), "order of 1 to 2"),
        (lambda: layers.ReLU(negative_slope=-1), "negative_slope of at least 0, got -1"),
        (lambda: layers.Dense(4, dtype="float64"), "float32., the widest real type"),
        (lambda: layers.Dense(4, name="a/b"), "name without '/'"),
        (lambda: layers.BatchNormalization(renorm=True, renorm_clipping={"max": 1}), "'rmin', 'rmax' and 'dmax'"),
        (lambda: layers.BatchNormalization(renorm_clipping={"rmin": 2, "rmax": 1}), "rmin of at most rmax"),
        (lambda: layers.UpSampling2D(interpolation="cubic"), "interpolation .'nearest', 'bilinear', 'bicubic'"),
        (lambda: layers.UpSampling1D(size=0), "size"),
        (lambda: layers.GroupNormalization(groups=0), "groups"),
        (lambda: layers.GroupNormalization(groups=3)(np.ones((1, 4))), "multiple of groups=3 channels, got 4"),
        (lambda: layers.GaussianDropout(1.0), "rate below 1"),
        (lambda: layers.GaussianNoise(2.0), "stddev from 0 to 1"),
        (lambda: layers.RepeatVector(0), "positive number"),
        (lambda: layers.Dot(axes=0), "each not 0"),
        (lambda: layers.Dot(axes=1)([np.ones((2, 3)), np.ones((2, 4))]), "equal sizes"),
        (lambda: layers.Softmax()(np.ones((2, 3)), mask=ops.ones((2, 2))), "mask that broadcasts to"),
        (lambda: layers.SpectralNormalization(layers.Dense(2), power_iterations=0), "at least 1 power iteration"),
        (lambda: layers.SpectralNormalization(layers.ReLU())(np.ones((1, 2))), "a kernel or embeddings"),
        (lambda: layers.Dense(2, lora_rank=4), "lora_rank and lora_alpha are not supported"),
        (
            lambda: layers.Dense(2, quantization_config="int8"),
            "expected a quantization_config as a quantized layer has",
        ),
        (lambda: layers.Input((2, -3)), "sizes of at least 0"),
    ],
)
def test_bad_arguments(make: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()


def test_other_errors() -> None:
    with pytest.raises(ValueError, match="Dense: unexpected arguments unit"):
        layers.Dense(4, unit=3)
    with pytest.raises(ValueError, match="float16x"):
        layers.Dense(4, dtype="float16x")
    with pytest.raises(ValueError, match="'head': count_params: expected a built layer"):
        layers.Dense(4, name="head").count_params()
    with pytest.raises(NotImplementedError, match="defines call"):
        layers.Layer()(np.ones(3))
    with pytest.raises(ValueError, match="known last size"):
        layers.Dense(4)(layers.Flatten()(layers.Input((None, 3))))

    class Opaque(layers.Layer):
        def __init__(self, thing: Any) -> None:
            super().__init__()

    with pytest.raises(NotImplementedError, match="defines get_config"):
        Opaque(object()).get_config()
